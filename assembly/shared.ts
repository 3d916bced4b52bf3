/**
 * The entry of the shared build: the ABI, and what only those call who have others beside them.
 */
import { banish, bury } from "./burial";
import { CLOSED_TO_WRITES, STATUS_BUSY_LOCK, STATUS_NOTHING, WORKER_NONE } from "./constants";
import { lockAcquire, lockRelease } from "./lock";
import { logLock, logUnlock } from "./queue";
import { directoryLock, directoryUnlock, lockOf, Run, runFind } from "./run";
import { scratchKey } from "./scratch";
import { Superblock, superblock } from "./superblock";
import { workerReserve, workerWord } from "./workers";

export * from "./index";

/** With WORKER_NONE keeps a slot for a worker that is to attach; its index, or WORKER_NONE. Otherwise a slot's word. */
export function workerSlot(index: u32): u32 {
  return index == WORKER_NONE ? workerReserve() : workerWord(index);
}

/**
 * Clears up behind the worker in a slot, which is dead, or leaves this instance's own; a status, STATUS_NOTHING where the
 * slot's word is another one by now.
 */
export function workerBury(index: u32, word: u32): u32 {
  return bury(index, word);
}

/**
 * Notes that the database is being closed: once this returns true nothing more is installed, or placed in the log. False where
 * somebody has been in the middle of the log for too long.
 */
export function closeAll(): bool {
  if (!logLock()) return false;
  superblock().closed = CLOSED_TO_WRITES;
  logUnlock();
  return true;
}

/** Takes the poisoned run whose id is in the key scratch away, with all that is in it; a status. */
export function runBanish(nameBytes: u32): u32 {
  if (!directoryLock()) return STATUS_BUSY_LOCK;
  const run = runFind(scratchKey(), nameBytes);
  const status = run === null ? STATUS_NOTHING : banish(run);
  directoryUnlock();
  return status;
}

/** Where the end of the heap stands: no address of a value is beyond it. */
export function heapEndAddress(): usize {
  return changetype<usize>(superblock()) + offsetof<Superblock>("heapEnd");
}

/** Where the workers' common knowledge of the log stands: LOG_PLACE_… */
export function logPlaceAddress(): usize {
  return changetype<usize>(superblock()) + offsetof<Superblock>("logSegmentPosition");
}

/** Where it stands whether the database is closed. */
export function closedAddress(): usize {
  return changetype<usize>(superblock()) + offsetof<Superblock>("closed");
}

function turnWord(turn: u32): usize {
  const sb = changetype<usize>(superblock());
  return sb + (turn == 0 ? offsetof<Superblock>("drainLock") : offsetof<Superblock>("syncLock"));
}

/**
 * Where a lock's word stands, for those who look at who waits for whom: of the turns to write and to sync, the directory, the
 * allocator and the log, then of one run after another; 0 behind the last.
 */
export function lockAddress(index: u32): usize {
  const sb = changetype<usize>(superblock());
  if (index < 2) return turnWord(index);
  if (index == 2) return sb + offsetof<Superblock>("directoryLock");
  if (index == 3) return sb + offsetof<Superblock>("allocatorLock");
  if (index == 4) return sb + offsetof<Superblock>("logLock");
  let run = superblock().firstRun;
  for (let skip: u32 = 5; run && skip < index; skip++) run = changetype<Run>(run).nextRun;
  return run ? lockOf(changetype<Run>(run)) : 0;
}

/** Takes the turn to write to the storage (0) or to sync it (1); false when it could not be had in time. */
export function turnTake(turn: u32): bool {
  return lockAcquire(turnWord(turn));
}

/** Gives it back. */
export function turnGive(turn: u32): void {
  lockRelease(turnWord(turn));
}
