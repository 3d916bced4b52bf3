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
  // The link of a lock failed, and so did what would have made it without a link, though its empty file was there: nobody could
  // open any more.
  { seed: 3993416696, call: 19, kind: "EIO", forEver: true },
  { seed: 11, call: 19, kind: "ENOSPC", forEver: true },
  { seed: 25, call: 19, kind: "EMFILE", forEver: true },
  { seed: 28, call: 19, kind: "EINTR", forEver: true },
  { seed: 37, call: 19, kind: "EACCES", forEver: true },
  // A full disk had the log cut off what it could not end; the power cut lost that cut, and a commit in front came back, which
  // was published and of which nobody was told that it had not happened. That is a prefix, and the judge took it for none.
  { seed: 3827665443, call: 128, kind: "ENOSPC", forEver: true },
];
