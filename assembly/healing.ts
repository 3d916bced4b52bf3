/**
 * What becomes of a run that a worker has died in the middle of changing: it is rebuilt from what its log says, or taken away.
 *
 *   read back    the log, for this run alone, into a memory of its own (recovery.ts, restore.ts)
 *   begin        a new header in front of the lost one, which is retired as a deleted run is: who holds a version from before
 *                finds that one and is refused, and its memory stays until nobody does
 *   fill         step by step, each under the new header's lock; it counts as lost all along
 *   end          it is the run
 *
 * What it keeps true: while a run is lost nothing is committed to it, so that once everything is written and published its log
 * has all of it; a run is never missing where its log has it: whoever dies in here leaves it lost.
 */
import { store32 } from "./atomics";
import {
  CAPABILITY_LOG,
  RECORD_KIND_OFFSET,
  RECORD_LENGTH_OFFSET,
  RECORD_RUN,
  RECORD_RUN_BYTES_OFFSET,
  STATUS_BUSY_LOCK,
  STATUS_BUSY_PENDING,
  STATUS_CLOSED,
  STATUS_NOTHING,
  STATUS_OK,
  STATUS_RUN_STALE,
  STATUS_STORE_FULL,
} from "./constants";
import { entryMake } from "./entry";
import { nextVersion, publishedHorizon, workerBegin, workerEnd } from "./horizon";
import { raisedFloor } from "./prune";
import { logLock, logUnlock } from "./queue";
import { restoreEntries } from "./restore";
import {
  directoryLock,
  directoryUnlock,
  RUN_DELETING,
  RUN_POISONED,
  Run,
  retiredReclaim,
  runChange,
  runEmpty,
  runIs,
  runIsLost,
  runLock,
  runRenew,
  runRetire,
  runUnlock,
  systemArena,
} from "./run";
import { commitDeletion } from "./store";
import { superblock } from "./superblock";

/** Reads a log back for one run alone, into a memory that is nobody else's; a status. */
export function readOnlyRun(name: usize, nameBytes: u32): u32 {
  const entry = entryMake(systemArena(), 0, 0, name, nameBytes);
  if (entry === null) return STATUS_STORE_FULL;
  superblock().onlyRun = changetype<usize>(entry);
  return STATUS_OK;
}

function hasLog(): bool {
  return (superblock().capabilities & CAPABILITY_LOG) != 0;
}

/**
 * Retires a lost run at a version that no log knows of, above all that were ever held; false if the log's lock could not be
 * had. Under its lock and the directory's.
 */
function retireLost(run: Run): bool {
  if (hasLog() && !logLock()) return false;
  workerBegin();
  runChange(run);
  runRetire(run, nextVersion());
  workerEnd();
  if (hasLog()) logUnlock();
  return true;
}

/** Retires one that is lost; a status. The directory's lock is held. */
function retire(run: Run): u32 {
  if (!runLock(run)) return STATUS_BUSY_LOCK;
  const isRetired = retireLost(run);
  runUnlock(run);
  return isRetired ? STATUS_OK : STATUS_BUSY_LOCK;
}

/** Retires what a run was to take the place of when somebody died; a status. The directory's lock is held. */
function retireOlder(run: Run): u32 {
  for (let older = run.older; older != 0; older = changetype<Run>(older).older) {
    const status = runIsLost(changetype<Run>(older)) ? retire(changetype<Run>(older)) : STATUS_OK;
    if (status != STATUS_OK) return status;
  }
  return STATUS_OK;
}

/**
 * Commits the deletion of a lost run; its version, or a status negated: STATUS_OK where the log has nothing of it, so that
 * nothing is written. Its header and the generation that handles of it carry stand at `result`. The directory's lock is held.
 */
export function banish(run: Run, mode: u32, result: usize): i64 {
  if ((run.flags & RUN_POISONED) == 0) return -(STATUS_NOTHING as i64);
  store<u32>(result, changetype<usize>(run) as u32);
  store<u32>(result, run.generation, 4);
  let status = retireOlder(run);
  if (status != STATUS_OK) return -(status as i64);
  const version = commitDeletion(run, run.generation, mode);
  if (version != -(STATUS_NOTHING as i64)) return version;
  status = retire(run);
  retiredReclaim(raisedFloor());
  return -(status as i64);
}

/**
 * Puts a header that is to be filled in the place of a lost run; a status. With version 0 none: the log has nothing of the run.
 * The directory's lock is held.
 */
export function renew(lost: Run, version: u64, result: usize): u32 {
  if ((lost.flags & RUN_POISONED) == 0) return STATUS_NOTHING;
  if (superblock().closed != 0) return STATUS_CLOSED;
  if ((lost.flags & RUN_DELETING) != 0 || lost.unpublished != 0) return STATUS_BUSY_PENDING;
  if (publishedHorizon() < version) return STATUS_BUSY_PENDING;
  store<u32>(result, 0);
  const status = retireOlder(lost);
  if (status != STATUS_OK) return status;
  if (version == 0) return retire(lost);
  const run = runRenew(lost, version);
  if (run === null) return STATUS_STORE_FULL;
  store<u32>(result, changetype<usize>(run) as u32);
  store<u32>(result, run.generation, 4);
  // If this fails they are lost together, and the next attempt retires both.
  return retire(lost);
}

/** Whether a header is still being filled: nobody has deleted it, or filled another in its place. Under its lock. */
function isRefilled(run: Run, generation: u32): bool {
  return runIs(run, generation) && runIsLost(run) && (run.flags & RUN_DELETING) == 0;
}

/** Puts the entries of whole records where they belong; a status. */
export function refill(run: Run, generation: u32, records: usize, length: u32): u32 {
  if (!runLock(run)) return STATUS_BUSY_LOCK;
  let status = isRefilled(run, generation) ? STATUS_OK : STATUS_RUN_STALE;
  runChange(run);
  for (let at: u32 = 0; at < length && status == STATUS_OK; ) {
    const record = records + (at as usize);
    if ((load<u8>(record + RECORD_KIND_OFFSET) as u32) == RECORD_RUN) {
      status = restoreEntries(superblock(), run, record, load<u16>(record + RECORD_RUN_BYTES_OFFSET));
    }
    at += load<u32>(record + RECORD_LENGTH_OFFSET);
  }
  runUnlock(run);
  return status;
}

/** Makes a header that is filled the run, or empties it again; a status. */
export function finish(run: Run, generation: u32, whole: bool): u32 {
  if (!directoryLock()) return STATUS_BUSY_LOCK;
  let status = STATUS_BUSY_LOCK;
  if (runLock(run)) {
    status = isRefilled(run, generation) ? STATUS_OK : STATUS_RUN_STALE;
    if (status == STATUS_OK) {
      runChange(run);
      if (whole) store32(changetype<usize>(run) + offsetof<Run>("flags"), run.flags & ~RUN_POISONED);
      else empty(run);
    }
    runUnlock(run);
  }
  directoryUnlock();
  return status;
}

function empty(run: Run): void {
  run.live = 0;
  run.liveKv = 0;
  runEmpty(run);
}
