/**
 * Reading a run without its lock: a reader looks at the run's sequence, reads, and looks again. While somebody changes the
 * run the sequence is odd; where it is another one afterwards, what was read means nothing.
 *
 * So between the two looks anything may be read: a table in the middle of a split, a record whose memory is a key by now.
 * What this file and its callers keep true of such a read:
 *  - it never leaves the memory: every address is checked before it is used (`within`), and one that fails is taken for
 *    address 0, where there are only zeros;
 *  - it ends: every loop has a bound of its own, or follows numbers that fall;
 *  - nobody sees what it found before the second look.
 *
 * In the single build nobody can come between, and all of it compiles to nothing.
 */
import { add32, linger, load32 } from "./atomics";
import { noticeGrowth, superblock } from "./superblock";
import { Worker, worker } from "./workers";

const SHARED: bool = ASC_FEATURE_THREADS;
/** Looks at a sequence that is odd, before giving up on reading without the lock: some microseconds. */
const LOOKS: u32 = 32;
/** Cycles between two looks, at first and at most: each look takes the line away from whoever is changing the run. */
const LINGER_MIN: u32 = 8;
const LINGER_MAX: u32 = 512;
/** Reads that somebody came between, after which the lock is taken. */
export const READS_MAX: u32 = 32;

let sequenceAt: usize = 0;
let began: u32 = 0;

/** Begins a read under the sequence at an address; false while the run is being changed and does not come to rest. */
export function readBegin(sequence: usize): bool {
  if (!SHARED) return true;
  sequenceAt = sequence;
  let between = LINGER_MIN;
  for (let i: u32 = 0; i < LOOKS; i++) {
    began = load32(sequence);
    if ((began & 1) == 0) return true;
    linger(between);
    between = min(between << 1, LINGER_MAX);
  }
  return false;
}

/** Whether what was read since readBegin is true. */
export function readHolds(): bool {
  if (!SHARED) return true;
  // Plain loads may pass an atomic load, but not a write in between; this line is nobody else's.
  add32(changetype<usize>(worker()) + offsetof<Worker>("barrier"), 1);
  const holds = load32(sequenceAt) == began;
  sequenceAt = 0;
  return holds;
}

/** For the middle of a long read: whether it is in vain already. Never, for one that is made under the lock. */
export function readIsTorn(): bool {
  return SHARED && sequenceAt != 0 && load32(sequenceAt) != began;
}

/** Gives up a read without a second look. */
export function readAbandon(): void {
  if (SHARED) sequenceAt = 0;
}

/** An address if `bytes` bytes from it on are in the memory, otherwise 0. */
export function within(address: usize, bytes: u32): usize {
  if (!SHARED) return address;
  const end = (address as u64) + (bytes as u64);
  if (end <= (memory.size() as u64) << 16) return address;
  if (end > (superblock().heapEnd as u64)) return 0;
  noticeGrowth();
  return address;
}
