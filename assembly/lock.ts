/**
 * Locks and the memory order between workers. In the single build all of it compiles to nothing.
 *
 *   a lock word   owner's slot + 1 (8 bits) | somebody waits | who waits comes next | owner's incarnation (22 bits)
 *
 * It is 0 while free. Locks are taken in ARCHITECTURE's order: run directory, then one run, then the allocator, then the log;
 * never two runs, never across a call out of the core. Who cannot have one spins for some microseconds, then sleeps, for
 * LOCK_WAIT_MS in all; after that it is refused, and has changed nothing. Where an instance must not sleep (a browser's
 * main thread) it spins for a bounded time instead.
 *
 * Fair enough: who has slept for one slice in vain asks that the lock be handed to those who sleep, and whoever comes anew
 * stands behind them: not sooner, because whoever is awake takes and gives back a lock a hundred times while one wakes up. For
 * the same reason who spins looks rarely: what a run consists of has to move to another core with each change of hands, and
 * ten operations in a row cost hardly more than one. A lock whose owner has died stays held until somebody with evidence of
 * that takes it over.
 */
import { linger, load32, sleep, swap32, wake } from "./atomics";
import { STATUS_BUSY_LOCK, STATUS_STORE_FULL } from "./constants";
import { noticeGrowth } from "./superblock";
import { LOCK_HANDOFF, LOCK_OWNER, LOCK_WAITED, lockToken, mayWait } from "./workers";

const SHARED: bool = ASC_FEATURE_THREADS;
/** Cycles that a held lock is looked at before going to sleep: two workers take turns in less. */
const SPIN: u32 = 1 << 13;
/**
 * The same where others sleep for it, and after having been woken in vain: then there are more workers than the lock can keep
 * busy, and what a run consists of stays in one core the longer, the fewer are awake.
 */
const SPIN_CROWDED: u32 = 1 << 10;
/**
 * The same where nobody may sleep: some 60 ms. Less is over before a busy machine lets the holder go on, and who looks at the
 * page would notice more.
 */
const SPIN_INSTEAD: u32 = 1 << 26;
/** Cycles between two looks, at first and at most: each look takes the word's line away from whoever holds the lock. */
const LINGER_MIN: u32 = 64;
const LINGER_MAX: u32 = 1 << 15;
const SLICE_NS: i64 = 5000000;
const SLICES: u32 = 400;
/** The same for who can come again, and may find then that it is known to be dead whom it has waited for. */
const SLICES_BRIEF: u32 = 80;
/** Awakenings in vain that count as a slice. */
const LOST_PER_SLICE: u32 = 64;

/**
 * Set when a lock could not be had in time, and taken back when memory could not, so that a lack of memory can be told from a lack
 * of patience: what was the case last is what a call has failed for.
 */
let ranOut: bool = false;
/** Slices that a lock is waited for now. */
let slicesMax: u32 = SLICES;

/** Whether a lock could not be had since this was last asked. */
function lockRanOut(): bool {
  if (!SHARED) return false;
  const result = ranOut;
  ranOut = false;
  return result;
}

/** A status that a call has failed with: a lack of memory, or of patience where that is what it was. */
export function refusal(status: u32): u32 {
  if (!SHARED) return status;
  return lockRanOut() && status == STATUS_STORE_FULL ? STATUS_BUSY_LOCK : status;
}

/** The same of a version, or a status negated. */
export function refused(result: i64): f64 {
  if (!SHARED) return result as f64;
  return result == -(STATUS_STORE_FULL as i64) ? -(refusal(STATUS_STORE_FULL) as f64) : (result as f64);
}

/** Forgets that: what lacks now is memory. */
export function lockForget(): void {
  if (SHARED) ranOut = false;
}

/** From now on locks are waited for briefly, or for as long as usual again. */
export function lockBriefly(briefly: bool): void {
  if (SHARED) slicesMax = briefly ? SLICES_BRIEF : SLICES;
}

/** Takes the lock at `word`; false when it could not be had in time. */
export function lockAcquire(word: usize): bool {
  if (!SHARED) return true;
  if (swap32(word, 0, lockToken()) != 0 && !lockWait(word)) return false;
  noticeGrowth();
  return true;
}

/** Takes the lock at `word` if it is free. */
export function lockTry(word: usize): bool {
  if (!SHARED) return true;
  if (swap32(word, 0, lockToken()) != 0) return false;
  noticeGrowth();
  return true;
}

/** Looks at the lock, more and more rarely, for `cycles` in all. */
function lockSpin(word: usize, cycles: u32, taken: u32): bool {
  let between = LINGER_MIN;
  for (let spent: u32 = 0; spent < cycles; spent += between) {
    if (load32(word) == 0 && swap32(word, 0, taken) == 0) return true;
    linger(between);
    between = min(between << 1, LINGER_MAX);
  }
  return false;
}

/**
 * Takes a lock that nobody holds, also one that is kept free for those who have slept; `held` is what stands there. Who has to
 * be woken is not known any more, so that somebody is when it is given back.
 */
function lockTake(word: usize, held: u32): bool {
  return (held & LOCK_OWNER) == 0 && swap32(word, held, lockToken() | LOCK_WAITED) == held;
}

/** For how long who comes to a held lock looks at it first. */
function patience(word: usize): u32 {
  if (!mayWait()) return SPIN_INSTEAD;
  return (load32(word) & LOCK_WAITED) != 0 ? SPIN_CROWDED : SPIN;
}

function lockWait(word: usize): bool {
  if (lockSpin(word, patience(word), lockToken())) return true;
  // Who cannot sleep has waited for as long as it may.
  if (!mayWait() && lockTake(word, load32(word))) return true;
  let slept = false;
  let lost: u32 = 0;
  for (let slices: u32 = 0; mayWait() && slices < slicesMax; ) {
    const held = load32(word);
    // Free, unless it is kept free for those who have slept.
    if ((held & LOCK_OWNER) == 0 && (slept || (held & LOCK_HANDOFF) == 0)) {
      if (lockTake(word, held)) return true;
      continue;
    }
    const marked = held | LOCK_WAITED | (slices != 0 ? LOCK_HANDOFF : 0);
    if (held != marked && swap32(word, held, marked) != held) continue;
    const timedOut = sleep(word, marked, SLICE_NS);
    slept = true;
    if (timedOut || ++lost % LOST_PER_SLICE == 0) slices++;
    else if (lockSpin(word, SPIN_CROWDED, lockToken() | LOCK_WAITED)) return true;
  }
  ranOut = true;
  return false;
}

/** Gives the lock at `word` back. The caller holds it. */
export function lockRelease(word: usize): void {
  if (!SHARED) return;
  if (swap32(word, lockToken(), 0) == lockToken()) return;
  lockHandOver(word);
}

/** Takes the lock at `word` over from the dead worker whose token this is; false if it does not hold it. */
export function lockSeize(word: usize, dead: u32): bool {
  if (!SHARED) return false;
  let held = load32(word);
  while ((held & ~(LOCK_WAITED | LOCK_HANDOFF)) == dead) {
    const before = swap32(word, held, lockToken() | LOCK_WAITED);
    if (before == held) return true;
    held = before;
  }
  return false;
}

/** Gives a lock that was taken over back to the dead worker whose token this is. */
export function lockReturn(word: usize, dead: u32): void {
  let held = load32(word);
  for (;;) {
    const before = swap32(word, held, (held & (LOCK_WAITED | LOCK_HANDOFF)) | dead);
    if (before == held) return;
    held = before;
  }
}

function lockHandOver(word: usize): void {
  for (;;) {
    const held = load32(word);
    if (swap32(word, held, held & LOCK_HANDOFF) == held) break;
  }
  wake(word);
}
