/**
 * A counting read-write lock, only in the build for benchmarks that reads by it instead of reading without a lock: what that
 * is better than is measured and not believed.
 *
 *   word + 0   a lock word (lock.ts): who writes
 *   word + 4   how many read
 *
 * A reader counts itself and looks whether somebody writes; then it takes itself off again and comes in behind the writers.
 * A writer takes the word and waits until nobody reads.
 */
import { add32, linger, load32, sleep, wake } from "./atomics";
import { lockAcquire, lockRelease } from "./lock";

const READERS_OFFSET: usize = 4;
/** Looks at the readers before going to sleep, and the cycles between two. */
const LOOKS: u32 = 256;
const LINGER: u32 = 64;
const SLICE_NS: i64 = 5000000;
const SLICES: u32 = 400;

/** Whether this build reads by plain locks. */
export function readsByLock(): bool {
  return isDefined(PLAIN_LOCKS);
}

/** Begins to read; false when somebody has written all the time. */
export function readLock(word: usize): bool {
  add32(word + READERS_OFFSET, 1);
  if (load32(word) == 0) return true;
  readUnlock(word);
  if (!lockAcquire(word)) return false;
  add32(word + READERS_OFFSET, 1);
  lockRelease(word);
  return true;
}

/** Ends reading. The last one wakes the writer that waits for that. */
export function readUnlock(word: usize): void {
  if (add32(word + READERS_OFFSET, -1) == 1 && load32(word) != 0) wake(word + READERS_OFFSET);
}

/** Waits until nobody reads, with the lock word held; false, and the word given back, when that took too long. */
export function readersLeave(word: usize): bool {
  const readers = word + READERS_OFFSET;
  for (let i: u32 = 0; i < LOOKS; i++) {
    if (load32(readers) == 0) return true;
    linger(LINGER);
  }
  for (let slices: u32 = 0; slices < SLICES; ) {
    const count = load32(readers);
    if (count == 0) return true;
    if (sleep(readers, count, SLICE_NS)) slices++;
  }
  lockRelease(word);
  return false;
}
