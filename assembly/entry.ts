/**
 * An entry: one key of one table, and the head of its version chain.
 *
 *   0  hash       of the key under the database's seed
 *   4  head       newest version record, 0 while the key was only reserved
 *   8  pruneNext  next entry with versions to prune, while ENTRY_QUEUED is set
 *  12  keyBytes   u16
 *  14  flags      u16: the table's tag, ENTRY_QUEUED and ENTRY_KNOWN
 *  16  the key
 *
 * An entry stays where it is for as long as it is in its table; tables move only the pointer to it.
 */

import { Arena, arenaAllocate, arenaFree } from "./arena";
import { ENTRY_HEADER_BYTES, ENTRY_KNOWN } from "./constants";
import { keeps, RULE_KNOWN_IS_TOLD } from "./rules";
import { superblock } from "./superblock";

const SHARED: bool = ASC_FEATURE_THREADS;

export const ENTRY_TABLE_MASK: u16 = 0xff;
/** The entry stands in its run's prune queue. */
export const ENTRY_QUEUED: u16 = 0x100;

@unmanaged
export class Entry {
  hash: u32;
  head: usize;
  pruneNext: usize;
  keyBytes: u16;
  flags: u16;
}

/** The address of an entry's key. */
export function entryKey(entry: Entry): usize {
  return changetype<usize>(entry) + (ENTRY_HEADER_BYTES as usize);
}

/** An entry for a copy of a key, with no versions; null if memory cannot grow. */
export function entryMake(arena: Arena, tag: u32, hash: u32, key: usize, keyBytes: u32): Entry | null {
  const block = arenaAllocate(arena, ENTRY_HEADER_BYTES + keyBytes);
  if (block == 0) return null;
  const entry = changetype<Entry>(block);
  entry.hash = hash;
  entry.head = 0;
  entry.pruneNext = 0;
  entry.keyBytes = keyBytes as u16;
  entry.flags = tag as u16;
  bytesCopy(entryKey(entry), key, keyBytes);
  return entry;
}

/** Gives an entry's memory back. It is in no table and no queue, and has no versions. */
export function entryFree(arena: Arena, entry: Entry): void {
  assert(entry.head == 0 && (entry.flags & ENTRY_QUEUED) == 0);
  if (!SHARED && entry.flags & (ENTRY_KNOWN as u16) && keeps(RULE_KNOWN_IS_TOLD)) superblock().knownGone = 1;
  arenaFree(arena, changetype<usize>(entry), ENTRY_HEADER_BYTES + (entry.keyBytes as u32));
}

/** Whether `length` bytes at `a` and `b` are the same. */
export function bytesEqual(a: usize, b: usize, length: u32): bool {
  if (length >= 8) {
    const last = (length - 8) as usize;
    for (let i: usize = 0; i < last; i += 8) {
      if (load<u64>(a + i) != load<u64>(b + i)) return false;
    }
    return load<u64>(a + last) == load<u64>(b + last);
  }
  if (length >= 4) {
    const last = (length - 4) as usize;
    return load<u32>(a) == load<u32>(b) && load<u32>(a + last) == load<u32>(b + last);
  }
  for (let i: usize = 0; i < (length as usize); i++) {
    if (load<u8>(a + i) != load<u8>(b + i)) return false;
  }
  return true;
}

/** Copies bytes; a loop of words for the short ones, where a bulk copy costs more than it moves. */
export function bytesCopy(to: usize, from: usize, length: u32): void {
  if (length > 64) {
    memory.copy(to, from, length);
    return;
  }
  let i: usize = 0;
  for (; i + 8 <= (length as usize); i += 8) store<u64>(to + i, load<u64>(from + i));
  for (; i < (length as usize); i++) store<u8>(to + i, load<u8>(from + i));
}

/** Orders byte strings: negative, zero or positive as `a` stands before, at or after `b`. */
export function bytesCompare(a: usize, aBytes: u32, b: usize, bBytes: u32): i32 {
  const shared = min(aBytes, bBytes) as usize;
  let i: usize = 0;
  while (i + 8 <= shared && load<u64>(a + i) == load<u64>(b + i)) i += 8;
  for (; i < shared; i++) {
    const difference = (load<u8>(a + i) as i32) - (load<u8>(b + i) as i32);
    if (difference) return difference;
  }
  return aBytes < bBytes ? -1 : aBytes > bBytes ? 1 : 0;
}
