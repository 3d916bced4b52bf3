/**
 * What has found something once runs first, for ever: each with what it was.
 */
import type { Plan } from "./faults.js";

/** Seeds from when workloads wrote key-values alone: they do so still, or they would not meet what they have found. */
export const KEYS_ONLY_SEEDS: ReadonlySet<number> = new Set([1010, 1014, 42, 1530295682]);

/** Workloads whose crashes have found a fault. */
export const CRASH_SEEDS: readonly number[] = [
  // Killed between making the directory and syncing the one that it is in; the next owner found it made, acknowledged strict
  // commits, and the power cut took the directory with all of them.
  1010,
  1014,
];

/** Calls that failed, and found a fault so. */
export const ERROR_CASES: readonly (Plan & { readonly seed: number })[] = [
  // The link of a lock was made and reported as failed: the opener met its own lock and refused itself.
  { seed: 42, call: 19, kind: "EINTR", forEver: false },
  // Opening failed behind its lock, and that lock kept the same process from opening for as long as it lived.
  { seed: 42, call: 21, kind: "EIO", forEver: false },
  // A segment was renamed, and that reported as failed for want of room: commits went on behind the end that the segment
  // records of its predecessor, and were not read when the database was opened again.
  { seed: 1530295682, call: 90, kind: "ENOSPC", forEver: false },
];
