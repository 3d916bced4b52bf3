/**
 * Words that several workers read and write: the one file that knows how. In the single build they are plain memory.
 *
 * All of them are in one total order, and everything that a worker did before it wrote such a word is seen by whoever reads
 * what it wrote. A test build can be told to ask before each of them (step.ts), so that a test decides which worker goes on.
 */
import { stepped } from "./step";

const SHARED: bool = ASC_FEATURE_THREADS;

/** Reads a word of 32 bits. */
export function load32(word: usize): u32 {
  if (!SHARED) return load<u32>(word);
  stepped(word);
  return atomic.load<u32>(word);
}

export function store32(word: usize, value: u32): void {
  if (!SHARED) {
    store<u32>(word, value);
    return;
  }
  stepped(word);
  atomic.store<u32>(word, value);
}

/**
 * The same where what is stored behind it, plainly, must not be seen before it: some processors let such stores pass an atomic
 * one, and none lets them pass an atomic load.
 */
export function storeFirst32(word: usize, value: u32): void {
  store32(word, value);
  if (SHARED) atomic.load<u32>(word);
}

/** Adds to a counter and returns what it was. */
export function add32(word: usize, value: i32): u32 {
  if (SHARED) {
    stepped(word);
    return atomic.add<u32>(word, value as u32);
  }
  const before = load<u32>(word);
  store<u32>(word, before + (value as u32));
  return before;
}

/** Replaces `expected` by `value`; returns what was there. */
export function swap32(word: usize, expected: u32, value: u32): u32 {
  if (SHARED) {
    stepped(word);
    return atomic.cmpxchg<u32>(word, expected, value);
  }
  const before = load<u32>(word);
  if (before == expected) store<u32>(word, value);
  return before;
}

/** Replaces whatever is there; returns that. */
export function take32(word: usize, value: u32): u32 {
  if (SHARED) {
    stepped(word);
    return atomic.xchg<u32>(word, value);
  }
  const before = load<u32>(word);
  store<u32>(word, value);
  return before;
}

export function store8(word: usize, value: u8): void {
  if (!SHARED) {
    store<u8>(word, value);
    return;
  }
  stepped(word);
  atomic.store<u8>(word, value);
}

/** Reads a word of 64 bits. */
export function load64(word: usize): u64 {
  if (!SHARED) return load<u64>(word);
  stepped(word);
  return atomic.load<u64>(word);
}

export function store64(word: usize, value: u64): void {
  if (!SHARED) {
    store<u64>(word, value);
    return;
  }
  stepped(word);
  atomic.store<u64>(word, value);
}

/** As {@link storeFirst32}. */
export function storeFirst64(word: usize, value: u64): void {
  store64(word, value);
  if (SHARED) atomic.load<u64>(word);
}

export function add64(word: usize, value: u64): u64 {
  if (SHARED) {
    stepped(word);
    return atomic.add<u64>(word, value);
  }
  const before = load<u64>(word);
  store<u64>(word, before + value);
  return before;
}

/** Replaces `expected` by `value`; false if the word was something else. */
export function replace64(word: usize, expected: u64, value: u64): bool {
  if (SHARED) {
    stepped(word);
    return atomic.cmpxchg<u64>(word, expected, value) == expected;
  }
  if (load<u64>(word) != expected) return false;
  store<u64>(word, value);
  return true;
}

/** Spends about a cycle for each time, away from the words that others are at work on: between two looks at one of them. */
export function linger(times: u32): void {
  if (!SHARED) return;
  for (let i: u32 = 0; i < times; i++) atomic.load<u32>(0);
}

/** Sleeps while the word is `expected`, at most for so long; true when that ran out. Only between workers. */
export function sleep(word: usize, expected: u32, ns: i64): bool {
  if (!SHARED) return false;
  stepped(word);
  // Where a test decides who goes on, nobody may sleep: the test would wait for ever.
  return isDefined(STEPPED) || atomic.wait<i32>(word, expected as i32, ns) == 2;
}

/** Wakes one that sleeps at the word. */
export function wake(word: usize): void {
  if (!SHARED) return;
  stepped(word);
  if (!isDefined(STEPPED)) atomic.notify(word, 1);
}
