/** The contract suites that run on every runtime: one line each. Vitest mounts the same functions. */
import type { Case, ReloadCase } from "../contract/context.js";
import { storageContract } from "../contract/storage-contract.js";

export interface Suite {
  readonly name: string;
  readonly cases?: () => readonly Case[];
  readonly reloadCases?: () => readonly ReloadCase[];
}

export const suites: readonly Suite[] = [{ name: "storage", cases: storageContract }];
