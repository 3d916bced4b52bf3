/**
 * Locks and the memory order between workers. In the single build all of it compiles to nothing.
 *
 * A lock word is 0 while free. The calls stand where ARCHITECTURE's order of locks wants them: run directory, then one
 * run, then the allocator, then the log; never two runs, never across a call out of the core. Waits are bounded: a lock
 * that cannot be had within SPINS_MAX is reported, and the caller undoes nothing because it has changed nothing.
 */
const SHARED: bool = ASC_FEATURE_THREADS;
/** Bounded, because a browser's main thread must not wait; about a millisecond of spinning. */
const SPINS_MAX: u32 = 1 << 20;

/** Takes the lock at `word`; false when it could not be had within the bound. */
export function lockAcquire(word: usize): bool {
  if (!SHARED) return true;
  for (let spins: u32 = 0; spins < SPINS_MAX; spins++) {
    if (atomic.load<u32>(word) == 0 && atomic.cmpxchg<u32>(word, 0, 1) == 0) return true;
  }
  return false;
}

/**
 * Takes a lock below which nothing can be undone any more. Its critical sections are short and hold no other lock, so
 * only a dead worker can make this wait for long.
 */
export function lockAcquireAlways(word: usize): void {
  while (!lockAcquire(word)) {}
}

/** Gives the lock at `word` back. The caller holds it. */
export function lockRelease(word: usize): void {
  if (SHARED) atomic.store<u32>(word, 0);
}

/** Reads a word that another worker may be changing. */
export function loadShared(word: usize): u64 {
  return SHARED ? atomic.load<u64>(word) : load<u64>(word);
}

/** Writes a word that another worker may be reading; everything before it is visible to whoever sees the new value. */
export function storeShared(word: usize, value: u64): void {
  if (SHARED) atomic.store<u64>(word, value);
  else store<u64>(word, value);
}

/** Adds to a counter and returns what it was. */
export function addShared(word: usize, value: u64): u64 {
  if (SHARED) return atomic.add<u64>(word, value);
  const before = load<u64>(word);
  store<u64>(word, before + value);
  return before;
}

/** Replaces `expected` by `value`; false if the word was something else. */
export function replaceShared(word: usize, expected: u64, value: u64): bool {
  if (SHARED) return atomic.cmpxchg<u64>(word, expected, value) == expected;
  if (load<u64>(word) != expected) return false;
  store<u64>(word, value);
  return true;
}
