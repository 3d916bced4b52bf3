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
export const ERROR_SEEDS: readonly number[] = [];
