/**
 * The entry of the shared build: the ABI, and what only those call who have others beside them.
 */
import { store32 } from "./atomics";
import { bury } from "./burial";
import { CLOSED_TO_WRITES, LOG_PLACE_PLAN_OFFSET, STATUS_BUSY_LOCK, STATUS_NOTHING, WORKER_NONE } from "./constants";
import { banish, finish, readOnlyRun, refill, renew } from "./healing";
import { logBegin } from "./index";
import { lockAcquire, lockRelease, refusal, refused } from "./lock";
import { logLock, logUnlock } from "./queue";
import { directoryLock, directoryUnlock, lockOf, Run, runFind } from "./run";
import { scratchKey } from "./scratch";
import { Superblock, superblock } from "./superblock";
import { workerIndex, workerReserve, workerWord } from "./workers";

export * from "./index";

/** Gives back the place of this instance, for which there was no scratch, with what it has got. */
export function attachFailed(): void {
  bury(workerIndex(), workerWord(workerIndex()));
}

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

/**
 * Commits the deletion of the poisoned run whose id is in the key scratch; its version, or a status negated: STATUS_OK where it
 * is gone and the log never knew of it. Then its header and what handles of it carry stand in the result area.
 */
export function runBanish(nameBytes: u32, mode: u32): f64 {
  if (!directoryLock()) return -(STATUS_BUSY_LOCK as f64);
  const run = runFind(scratchKey(), nameBytes);
  const result = run === null ? -(STATUS_NOTHING as i64) : banish(run, mode, scratchResult());
  directoryUnlock();
  return refused(result);
}

/** From now on a log is read back for the run alone whose id is in the key scratch; a status. */
export function healOnly(nameBytes: u32): u32 {
  return readOnlyRun(scratchKey(), nameBytes);
}

/**
 * Begins to rebuild the poisoned run whose id is in the key scratch at the version that its log ends with, 0 if it has none of
 * it; a status, STATUS_BUSY_PENDING where something older is not yet published. The header to fill and its generation stand in
 * the result area.
 */
export function healBegin(nameBytes: u32, version: f64): u32 {
  if (!directoryLock()) return STATUS_BUSY_LOCK;
  const run = runFind(scratchKey(), nameBytes);
  const status = run === null ? STATUS_NOTHING : renew(run, version as u64, scratchResult());
  directoryUnlock();
  return refusal(status);
}

/** Fills it with the records of a checkpoint at an address; a status, STATUS_RUN_STALE where somebody has deleted it. */
export function healRecords(run: usize, generation: u32, pointer: u32, length: u32): u32 {
  return refusal(refill(changetype<Run>(run), generation, pointer as usize, length));
}

/** Gives it to everybody, or with `whole` false empties it again; a status. */
export function healEnd(run: usize, generation: u32, whole: u32): u32 {
  return finish(changetype<Run>(run), generation, whole != 0);
}

/** Where the end of the heap stands: no address of a value is beyond it. */
export function heapEndAddress(): usize {
  return changetype<usize>(superblock()) + offsetof<Superblock>("heapEnd");
}

/**
 * Whether this instance knows how large the memory is. An engine may note that for one that is being made, and begin to tell it of
 * growth, in this order; what another worker grows between the two it hears of with the next growth.
 */
export function knowsMemory(): bool {
  return memory.grow(0) <= memory.size();
}

/** Where the workers' common knowledge of the log stands: LOG_PLACE_… */
export function logPlaceAddress(): usize {
  return changetype<usize>(superblock()) + offsetof<Superblock>("logSegmentPosition");
}

/** Where it stands whether the database is closed. */
export function closedAddress(): usize {
  return changetype<usize>(superblock()) + offsetof<Superblock>("closed");
}

/**
 * Notes which segment is about to be made, with 0 that none is: whoever makes it may die of that at any instant, and whoever
 * writes next finds out whether it is there. Whoever has the turn to write.
 */
export function segmentPlan(segment: u32, position: f64, chain: u32, epoch: u32): void {
  const sb = superblock();
  sb.planPosition = position as u64;
  sb.planChain = chain;
  sb.planEpoch = epoch;
  store32(logPlaceAddress() + LOG_PLACE_PLAN_OFFSET, segment);
}

/** The segment that was planned is there: the log goes on in it. */
export function segmentBegin(): void {
  const sb = superblock();
  logBegin(sb.planPosition as f64, sb.planChain, sb.planEpoch, sb.planPosition as f64);
  sb.logSegmentPosition = sb.planPosition;
  sb.logSegment = sb.planSegment;
  store32(logPlaceAddress() + LOG_PLACE_PLAN_OFFSET, 0);
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
