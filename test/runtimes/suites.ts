/** The contract suites that run on every runtime: one line each. Vitest mounts the same functions. */
import type { Case, ReloadCase } from "../contract/context.js";
import { deleteRunContract } from "../contract/delete-run-contract.js";
import { durabilityContract, durabilityReloadCases } from "../contract/durability-contract.js";
import { durableObjectContract } from "../contract/durable-object-contract.js";
import { eventsContract } from "../contract/events-contract.js";
import { fastPathContract } from "../contract/fast-path-contract.js";
import { goldenContract } from "../contract/golden-contract.js";
import { graphContract } from "../contract/graph-contract.js";
import { historiesContract } from "../contract/histories-contract.js";
import { indexedDbContract } from "../contract/indexeddb-contract.js";
import { isolationContract } from "../contract/isolation-contract.js";
import { kvContract } from "../contract/kv-contract.js";
import { opfsContract } from "../contract/opfs-contract.js";
import { portableContract } from "../contract/portable-contract.js";
import { runsContract } from "../contract/runs-contract.js";
import { snapshotContract } from "../contract/snapshot-contract.js";
import { stateContract } from "../contract/state-contract.js";
import { storageContract } from "../contract/storage-contract.js";
import { tracesContract } from "../contract/traces-contract.js";
import { transactionContract } from "../contract/transaction-contract.js";
import { workersContract } from "../contract/workers-contract.js";

export interface Suite {
  readonly name: string;
  /** Whether it opens databases, and so runs on shared memory as well. */
  readonly opens: boolean;
  /** Whether it is about workers that share a memory, and runs on shared memory alone. */
  readonly shares?: boolean;
  readonly cases?: () => readonly Case[];
  readonly reloadCases?: () => readonly ReloadCase[];
}

/** What is made of transactions and snapshots alone, and knows no storage. */
export const OF_NO_STORAGE: ReadonlySet<string> = new Set([
  "isolation",
  "snapshot",
  "events",
  "state",
  "traces",
  "runs",
  "graph",
  "fast path",
]);

export const suites: readonly Suite[] = [
  { name: "storage", opens: false, cases: storageContract },
  { name: "opfs", opens: false, cases: opfsContract },
  { name: "indexeddb", opens: false, cases: indexedDbContract },
  { name: "durable object", opens: false, cases: durableObjectContract },
  { name: "kv", opens: true, cases: kvContract },
  { name: "transaction", opens: true, cases: transactionContract },
  { name: "isolation", opens: true, cases: isolationContract },
  { name: "snapshot", opens: true, cases: snapshotContract },
  { name: "events", opens: true, cases: eventsContract },
  { name: "state", opens: true, cases: stateContract },
  { name: "traces", opens: true, cases: tracesContract },
  { name: "graph", opens: true, cases: graphContract },
  { name: "runs", opens: true, cases: runsContract },
  { name: "deleteRun", opens: true, cases: deleteRunContract },
  { name: "fast path", opens: true, cases: fastPathContract },
  { name: "portable", opens: true, cases: portableContract },
  { name: "golden", opens: true, cases: goldenContract },
  { name: "workers", opens: true, shares: true, cases: workersContract },
  { name: "histories", opens: true, shares: true, cases: historiesContract },
  { name: "durability", opens: true, cases: durabilityContract, reloadCases: durabilityReloadCases },
];
