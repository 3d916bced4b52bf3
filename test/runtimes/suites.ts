/** The contract suites that run on every runtime: one line each. Vitest mounts the same functions. */
import type { Case, ReloadCase } from "../contract/context.js";
import { durabilityContract, durabilityReloadCases } from "../contract/durability-contract.js";
import { kvContract } from "../contract/kv-contract.js";
import { snapshotContract } from "../contract/snapshot-contract.js";
import { storageContract } from "../contract/storage-contract.js";
import { transactionContract } from "../contract/transaction-contract.js";

export interface Suite {
  readonly name: string;
  /** Whether it opens databases, and so runs on shared memory as well. */
  readonly opens: boolean;
  readonly cases?: () => readonly Case[];
  readonly reloadCases?: () => readonly ReloadCase[];
}

export const suites: readonly Suite[] = [
  { name: "storage", opens: false, cases: storageContract },
  { name: "kv", opens: true, cases: kvContract },
  { name: "transaction", opens: true, cases: transactionContract },
  { name: "snapshot", opens: true, cases: snapshotContract },
  { name: "durability", opens: true, cases: durabilityContract, reloadCases: durabilityReloadCases },
];
