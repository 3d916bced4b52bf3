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
 * stands behind them. A lock whose owner has died stays held until somebody with evidence of that takes it over.
 */
import { load32, sleep, swap32, wake } from "./atomics";
import { LOCK_HANDOFF, LOCK_OWNER, LOCK_WAITED, lockToken, mayWait } from "./workers";

const SHARED: bool = ASC_FEATURE_THREADS;
/** Looks at a held lock before going to sleep: longer than most sections last. */
const SPINS: u32 = 256;
/** The same where nobody may sleep: some milliseconds. */
const SPINS_INSTEAD: u32 = 1 << 20;
/** Looks after which who must not sleep takes what is kept for those who do: they may all have given up. */
const SPINS_KEPT: u32 = SPINS_INSTEAD >> 1;
const SLICE_NS: i64 = 5000000;
const SLICES: u32 = 400;

/** Set when a lock could not be had in time, so that a lack of memory can be told from a lack of patience. */
let ranOut: bool = false;

/** Whether a lock could not be had since this was last asked. */
export function lockRanOut(): bool {
  if (!SHARED) return false;
  const result = ranOut;
  ranOut = false;
  return result;
}

/** Takes the lock at `word`; false when it could not be had in time. */
export function lockAcquire(word: usize): bool {
  if (!SHARED) return true;
  return swap32(word, 0, lockToken()) == 0 || lockWait(word);
}

/** Takes the lock at `word` if it is free. */
export function lockTry(word: usize): bool {
  return !SHARED || swap32(word, 0, lockToken()) == 0;
}

/** Whether nobody holds a lock, whatever else its word says. */
function isFree(held: u32): bool {
  return (held & LOCK_OWNER) == 0;
}

function lockSpin(word: usize, spins: u32): bool {
  for (let i: u32 = 0; i < spins; i++) {
    const held = load32(word);
    if (held == 0 && swap32(word, 0, lockToken()) == 0) return true;
    if (i > SPINS_KEPT && isFree(held) && swap32(word, held, lockToken() | LOCK_WAITED) == held) return true;
  }
  return false;
}

function lockWait(word: usize): bool {
  if (lockSpin(word, mayWait() ? SPINS : SPINS_INSTEAD)) return true;
  for (let slices: u32 = 0; mayWait() && slices < SLICES; ) {
    const held = load32(word);
    // Free, or kept free for those who have slept. Whoever has come anew meanwhile has left its mark on it.
    if (isFree(held) && ((held & LOCK_HANDOFF) == 0 || slices != 0)) {
      if (swap32(word, held, lockToken() | LOCK_WAITED) == held) return true;
      continue;
    }
    const marked = held | LOCK_WAITED | (slices != 0 ? LOCK_HANDOFF : 0);
    if (held != marked && swap32(word, held, marked) != held) continue;
    // Woken, or one slice later.
    if (sleep(word, marked, SLICE_NS) || slices != 0) slices++;
    else slices = 1;
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
