/**
 * What commit number `sequence` of the crash tests does: known to the child that makes it and to the parent that checks.
 *
 * - A commit of the plan writes its number to each key that it touches, so that a state can be told from every other one.
 * - Beside the plan stands one run whose transactions read what the one before wrote, and meet in conflicts: its state
 *   is a number, which every primitive holds in its own way.
 * - Each side notes what of the other had returned before it began: what came later is there only with what came before.
 */

export const RUNS = ["alpha", "beta", "gamma"];
/** The only run that is deleted. */
const DELETED_RUN = "gamma";
/** The run beside the plan. */
export const JOINT_RUN = "joint";

/** The most commits of the plan, and of the joint run, that are under way or deferred at any time. */
export const UNACKNOWLEDGED_MAX = 96;
export const JOINT_UNACKNOWLEDGED_MAX = 8;

/** What the child says, as one byte before a number of four. */
export const SAYS = {
  /** It is about to open. */
  opening: 0,
  /** It is open; the number of commits in its joint run. */
  ready: 1,
  /** Commit `n` of the plan has returned, and with it all before. */
  returned: 2,
  /** Commit `n` of the plan, and all before it, are durable. */
  durable: 3,
  /** The same for the joint run. */
  jointReturned: 4,
  jointDurable: 5,
  checkpointBegun: 6,
  checkpointEnded: 7,
  /** There are no checkpoints in this build. */
  checkpointMissing: 8,
  /** The storage has failed, and the child does nothing any more. */
  storageFailed: 9,
};

/** @returns {{ run: string, puts: string[], deletes: string[], deletesRun: boolean }} */
export function planOf(sequence) {
  // Knuth's multiplicative hash: a choice that looks random and needs no state.
  const choice = Math.imul(sequence, 2654435761) >>> 0;
  if (choice % 61 === 0) return { run: DELETED_RUN, puts: [], deletes: [], deletesRun: true };
  const run = RUNS[choice % RUNS.length];
  const kind = (choice >>> 8) % 8;
  if (kind < 5) return { run, puts: [`k${(choice >>> 12) % 24}`], deletes: [], deletesRun: false };
  const group = `t${(choice >>> 12) % 4}`;
  const puts = [0, 1, 2, 3, 4].map((i) => `${group}.${i}`);
  return { run, puts, deletes: kind === 7 ? [`k${(choice >>> 16) % 24}`] : [], deletesRun: false };
}
