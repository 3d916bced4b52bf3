/**
 * Holding a version, so that pruning leaves what is seen at it: for a snapshot of all, of one run, or for a transaction.
 *
 * Pruners do not wait, nor do those that come to hold something (COMMIT 13). A pruner reads the counter, raises the floor to what it
 * goes by, reads the bounds, then what is held, and then prunes, for a while. Who acquires stores the slot, then reads the floor.
 *
 * Where the floor has not passed the version, whoever goes by something newer sees the slot. Where it has, that may not be so:
 *
 *   of all runs   the version must stand right below a bound that is still announced. Who read that bound before it was announced
 *                 goes by less than the version, who read it meanwhile leaves what is seen at it, and who reads it later sees the slot.
 *   of one run    nothing newer may have been published in it. Until then nothing that is seen has gone, for only what has a
 *                 published successor goes. Who looked before that successor was published saw the bound of its commit, which was
 *                 announced under the run's lock, after what is seen at the version; who looks later sees the slot.
 */
import { load32, load64 } from "./atomics";
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
  if (!installed) return seen;
  // In this order: who deletes the run marks it before that is installed, and nobody may stand behind its end.
  const newest = load64(changetype<usize>(run) + offsetof<Run>("installed"));
  const flags = load32(changetype<usize>(run) + offsetof<Run>("flags"));
  return flags & RUN_DELETING ? seen : max(newest, seen);
}
