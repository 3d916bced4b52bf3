/**
 * Holding a version, so that pruning leaves what is seen at it: for a snapshot of all, of one run, or for a transaction.
 *
 * Pruners do not wait, nor do those that come to hold something (COMMIT 13). A pruner reads the counter, raises the floor to what it
 * goes by, and reads the bounds, then what is held, then prunes. Who acquires stores the slot, then reads the floor. Where that has not passed the
 * version, whoever prunes from there on sees the slot. Where it has, what is seen at the version is still there if nothing newer
 * was published in the run meanwhile, for only what has a published successor is pruned, or, of all runs, if a bound stands before
 * which the version is: who looked before it was announced went by less, and everybody else has seen it or will see the slot.
 */
import { floorHasPassed, isPoint, publishedHorizon } from "./horizon";
import { keeps, RULE_START_AT_HORIZON } from "./rules";
import { RUN_DELETING, Run, runSeen } from "./run";
import { NO_SLOT, snapshotAcquire, snapshotRelease } from "./snapshots";

const SHARED: bool = ASC_FEATURE_THREADS;
const ATTEMPTS_MAX: u32 = 1024;

/**
 * Holds what is published now, in all runs or in one; with `installed` what is installed in that one. The slot, of the reserve too
 * where `reserved` says so; NO_SLOT where all are taken, or pruning has been faster each time.
 */
export function acquire(run: Run | null, installed: bool, reserved: bool): u32 {
  for (let attempt: u32 = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const newest = newestOf(run, installed);
    const version = run === null || keeps(RULE_START_AT_HORIZON) ? max(newest, publishedHorizon()) : newest;
    const slot = snapshotAcquire(version, reserved);
    if (!SHARED || slot == NO_SLOT || !floorHasPassed(version)) return slot;
    if (run === null ? isPoint(version) : newestOf(run, installed) == newest) return slot;
    snapshotRelease(slot);
  }
  return NO_SLOT;
}

function newestOf(run: Run | null, installed: bool): u64 {
  if (run === null) return 0;
  const seen = runSeen(run);
  return installed && (run.flags & RUN_DELETING) == 0 ? max(run.installed, seen) : seen;
}
