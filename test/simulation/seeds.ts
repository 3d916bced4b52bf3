/**
 * Seeds of workloads that found something once: they run first, for ever, each with what it was that they found.
 */

/** Workloads whose crashes have found a fault. */
export const CRASH_SEEDS: readonly number[] = [
  // Killed between making the directory and syncing the one that it is in; the next owner found it made, acknowledged strict
  // commits, and the power cut took the directory with all of them.
  1010,
  1014,
];

/** Workloads whose calls failed, and found a fault so. */
export const ERROR_SEEDS: readonly number[] = [
  // The link of a lock was made and reported as failed: the opener met its own lock and refused itself. And where opening
  // failed behind its lock, that lock kept the same process from opening for as long as it lived.
  42,
];
