/**
 * Listing a range of keys: one pass over a table, filtering there, and a sort of what matches.
 *
 * What matched stands in a buffer that each instance owns, as (key, key bytes, record) of 12 bytes; it is valid until the
 * instance's next call. The order comes from a heap, so that the first few of many cost one pass and a few steps each:
 * after ordering, the first of the listing stands last in the buffer, the second before it, and so on.
 */

import { EXTENT_HEADER_BYTES, extentAllocate, extentFree, extentOrder, orderFor } from "./arena";
import { ENTRY_HEADER_BYTES, STATUS_OK, STATUS_STORE_FULL } from "./constants";
import { bytesCompare, bytesEqual, Entry, entryKey } from "./entry";
import { CONTROL_EMPTY } from "./group";
import { Run, runTable } from "./run";
import { directoryLeaf, leafSlot, leafSpan, Table } from "./table";
import {
  noteRead,
  TOUCHED_WRITTEN,
  Transaction,
  touchedAt,
  touchedCount,
  touchedFind,
  touchedKey,
  touchedValue,
} from "./transaction";
import { TOMBSTONE, Version, valueAt } from "./versions";

export const MATCH_BYTES: u32 = 12;

/** The bounds of a listing: each one's bytes stand behind the other's; a bound of no bytes is none. */
@unmanaged
export class Range {
  prefix: usize;
  prefixBytes: u32;
  start: usize;
  startBytes: u32;
  end: usize;
  endBytes: u32;
}

/** What one matched key is, in the buffer. */
@unmanaged
export class Match {
  key: usize;
  keyBytes: u32;
  record: usize;
}

// Each instance owns its buffer: it is working memory of one call, not state.
let matches: usize = 0;
let matchesCapacity: u32 = 0;
let matchCount: u32 = 0;

/** The match at an index of the buffer. */
export function matchAt(index: u32): Match {
  return changetype<Match>(matches + ((index * MATCH_BYTES) as usize));
}

/** Where the buffer stands. */
export function matchBase(): usize {
  return matches;
}

/** Whether a key lies in a range. */
export function rangeHas(range: Range, key: usize, keyBytes: u32): bool {
  const prefixBytes = range.prefixBytes;
  if (prefixBytes != 0 && (keyBytes < prefixBytes || !bytesEqual(key, range.prefix, prefixBytes))) return false;
  if (range.startBytes != 0 && bytesCompare(key, keyBytes, range.start, range.startBytes) < 0) return false;
  return range.endBytes == 0 || bytesCompare(key, keyBytes, range.end, range.endBytes) < 0;
}

/** Adds a match; where matches are only counted, that needs no memory. */
function matchPush(key: usize, keyBytes: u32, record: usize, collect: bool): bool {
  if (!collect) {
    matchCount++;
    return true;
  }
  const bytes = (matchCount + 1) * MATCH_BYTES;
  if (bytes > matchesCapacity) {
    const extent = extentAllocate(orderFor(max(bytes << 1, 4096)), 0);
    if (extent == 0) return false;
    memory.copy(extent + EXTENT_HEADER_BYTES, matches, matchCount * MATCH_BYTES);
    if (matches) extentFree(matches - EXTENT_HEADER_BYTES);
    matches = extent + EXTENT_HEADER_BYTES;
    matchesCapacity = (1 << extentOrder(extent)) - (EXTENT_HEADER_BYTES as u32);
  }
  const match = matchAt(matchCount++);
  match.key = key;
  match.keyBytes = keyBytes;
  match.record = record;
  return true;
}

/** Calls for each entry of a table would cost a closure; this walks to the next entry at or after a cursor instead. */
@unmanaged
export class Cursor {
  place: u32;
  slot: u32;
}

/** The entry at the cursor or the next after it, and the cursor behind it; null at the end. */
export function cursorNext(table: Table, cursor: Cursor): Entry | null {
  while (cursor.place < (1 as u32) << table.depth) {
    const leaf = directoryLeaf(table, cursor.place);
    while (cursor.slot < leaf.slots) {
      const slot = cursor.slot++;
      if ((load<u8>(leaf.body + (slot as usize)) & CONTROL_EMPTY) == 0) {
        return changetype<Entry>(load<usize>(leafSlot(leaf, slot)));
      }
    }
    cursor.place += leafSpan(table, leaf);
    cursor.slot = 0;
  }
  return null;
}

/** Collects the keys of a run's table that have a value at `at`, overlaid with what a transaction has written; a status. */
export function scanCollect(
  run: Run,
  tag: u32,
  at: u64,
  range: Range,
  transaction: Transaction | null,
  cursor: Cursor,
  collect: bool,
): u32 {
  matchCount = 0;
  const table = runTable(run, tag);
  cursor.place = 0;
  cursor.slot = 0;
  while (table !== null) {
    const entry = cursorNext(table, cursor);
    if (entry === null) break;
    const key = entryKey(entry);
    const keyBytes = entry.keyBytes as u32;
    if (!rangeHas(range, key, keyBytes)) continue;
    if (transaction !== null && transaction.writes != 0) {
      const own = touchedFind(transaction, tag, entry.hash, key, keyBytes);
      if (own !== null && (own.flags & TOUCHED_WRITTEN) != 0) continue;
    }
    const version = valueAt(entry, at);
    if (version !== null && !matchPush(key, keyBytes, changetype<usize>(version), collect)) return STATUS_STORE_FULL;
  }
  return transaction === null || transaction.writes == 0 ? STATUS_OK : collectWritten(transaction, tag, range, collect);
}

function collectWritten(transaction: Transaction, tag: u32, range: Range, collect: bool): u32 {
  for (let i: u32 = 0; i < touchedCount(transaction); i++) {
    const item = touchedAt(transaction, i);
    if ((item.flags & TOUCHED_WRITTEN) == 0 || (item.tag as u32) != tag) continue;
    const record = touchedValue(transaction, item);
    const key = touchedKey(transaction, item);
    if (record.length == TOMBSTONE || !rangeHas(range, key, item.keyBytes as u32)) continue;
    if (!matchPush(key, item.keyBytes as u32, changetype<usize>(record), collect)) return STATUS_STORE_FULL;
  }
  return STATUS_OK;
}

/** How many keys matched. */
export function scanMatched(): u32 {
  return matchCount;
}

function before(a: Match, b: Match, reverse: bool): bool {
  const order = bytesCompare(a.key, a.keyBytes, b.key, b.keyBytes);
  return reverse ? order > 0 : order < 0;
}

function swap(a: u32, b: u32): void {
  const x = matchAt(a);
  const y = matchAt(b);
  const key = x.key;
  const keyBytes = x.keyBytes;
  const record = x.record;
  x.key = y.key;
  x.keyBytes = y.keyBytes;
  x.record = y.record;
  y.key = key;
  y.keyBytes = keyBytes;
  y.record = record;
}

function sink(from: u32, count: u32, reverse: bool): void {
  for (let parent = from; ; ) {
    let child = parent * 2 + 1;
    if (child >= count) return;
    if (child + 1 < count && before(matchAt(child + 1), matchAt(child), reverse)) child++;
    if (!before(matchAt(child), matchAt(parent), reverse)) return;
    swap(parent, child);
    parent = child;
  }
}

/** Orders the first `limit` matches, from the end of the buffer towards its front; returns how many there are. */
export function scanOrder(limit: u32, reverse: bool): u32 {
  for (let i = matchCount >>> 1; i > 0; i--) sink(i - 1, matchCount, reverse);
  const wanted = min(limit, matchCount);
  for (let taken: u32 = 0; taken < wanted; taken++) {
    const last = matchCount - 1 - taken;
    swap(0, last);
    sink(0, last, reverse);
  }
  return wanted;
}

/**
 * Adds the first `count` keys of the ordered listing to what a transaction has read; a status. Its own writes are not reads.
 * Noting can move the transaction's buffer, in which its own writes stand: what was matched there moves along.
 */
export function scanNoteReads(transaction: Transaction, tag: u32, count: u32): u32 {
  const before = transaction.data;
  const beforeEnd = before + transaction.dataUsed;
  let status = STATUS_OK;
  for (let i: u32 = 0; i < count && status == STATUS_OK; i++) {
    const match = matchAt(matchCount - 1 - i);
    if (match.record >= before && match.record < beforeEnd) continue;
    const version = changetype<Version>(match.record);
    const entry = changetype<Entry>(match.key - (ENTRY_HEADER_BYTES as usize));
    status = noteRead(transaction, tag, entry.hash, match.key, match.keyBytes, version.number, entry);
  }
  const moved = transaction.data - before;
  for (let i: u32 = 0; moved != 0 && i < count; i++) {
    const match = matchAt(matchCount - 1 - i);
    if (match.record < before || match.record >= beforeEnd) continue;
    match.key += moved;
    match.record += moved;
  }
  return status;
}
