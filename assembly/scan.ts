/**
 * Listing a range of keys: one pass over a table, filtering there, and a sort of what matches.
 *
 * What matched stands in a buffer that each instance owns, as (key, key bytes, record) of 12 bytes; it is valid until the
 * instance's next call. Where only the first few are wanted, the buffer is a heap of that many with the last of them at its
 * root, so that most of what else matches costs one comparison.
 */

import { EXTENT_HEADER_BYTES, extentAllocate, extentFree, extentOrder, orderFor } from "./arena";
import { ENTRY_HEADER_BYTES, STATUS_OK, STATUS_STORE_FULL, TOMBSTONE } from "./constants";
import { bytesCompare, bytesEqual, Entry, entryKey } from "./entry";
import { CONTROL_EMPTY } from "./group";
import { readIsTorn, within } from "./optimistic";
import { keeps, RULE_SCANNED_IS_READ } from "./rules";
import { Run, runTable } from "./run";
import { groupBytes, groupTable, isIndex, tableOf } from "./run-tables";
import { DIRECTORY_DEPTH_MAX, directoryLeaf, Leaf, leafBody, leafSpan, leafWithin, Table } from "./table";
import {
  narrowScan,
  noteRead,
  TOUCHED_WRITTEN,
  Transaction,
  touchedAt,
  touchedCount,
  touchedFind,
  touchedKey,
  touchedValue,
} from "./transaction";
import { Version, valueAt } from "./versions";
import { worker } from "./workers";

const SHARED: bool = ASC_FEATURE_THREADS;
export const MATCH_BYTES: u32 = 12;
/** A buffer of this size is always there; one of more than the larger size goes when the next listing begins. */
const MATCHES_BYTES_MIN: u32 = 4000;
const MATCHES_BYTES_KEPT: u32 = 1048576;

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
let matchLimit: u32 = 0;
let matchReverse: bool = false;
/** The place of a cursor over groups where there is only one table to look into. */
const ONE_TABLE: u32 = 0xffffffff;

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

function matchesMake(bytes: u32): usize {
  const extent = extentAllocate(orderFor(bytes), changetype<usize>(worker()));
  return extent ? extent + EXTENT_HEADER_BYTES : 0;
}

function matchesUse(buffer: usize): void {
  if (matches) extentFree(matches - EXTENT_HEADER_BYTES);
  matches = buffer;
  matchesCapacity = (1 << extentOrder(buffer - EXTENT_HEADER_BYTES)) - (EXTENT_HEADER_BYTES as u32);
}

/** Makes sure of a small buffer, so that a short listing works also when memory is full; a status. */
export function scanReserve(): u32 {
  const buffer = matchesMake(MATCHES_BYTES_MIN);
  if (buffer == 0) return STATUS_STORE_FULL;
  matchesUse(buffer);
  return STATUS_OK;
}

/** Gives a large buffer back, as long as a small one can be had instead. */
function matchesShrink(): void {
  const buffer = matchesMake(MATCHES_BYTES_MIN);
  if (buffer) matchesUse(buffer);
}

/** Begins a listing that keeps the first `limit` matches, or with 0 only counts. */
function matchesBegin(limit: u32, reverse: bool): void {
  if (matchesCapacity > MATCHES_BYTES_KEPT) matchesShrink();
  matchCount = 0;
  matchLimit = limit;
  matchReverse = reverse;
}

/** Whether a key stands behind as many as are wanted, so that its versions need not be looked at. */
function isBeyond(key: usize, keyBytes: u32): bool {
  if (matchLimit == 0 || matchCount != matchLimit) return false;
  const last = matchAt(0);
  return !isBefore(key, keyBytes, last.key, last.keyBytes);
}

/** Adds a match; false if memory cannot grow. Beyond the limit it takes the place of the last one, if it stands before it. */
function matchPush(key: usize, keyBytes: u32, record: usize): bool {
  if (matchLimit == 0) {
    matchCount++;
    return true;
  }
  if (matchCount == matchLimit) {
    if (isBeyond(key, keyBytes)) return true;
    const last = matchAt(0);
    last.key = key;
    last.keyBytes = keyBytes;
    last.record = record;
    sink(0, matchCount);
    return true;
  }
  const bytes = (matchCount + 1) * MATCH_BYTES;
  if (bytes > matchesCapacity) {
    const buffer = matchesMake(bytes << 1);
    if (buffer == 0) return false;
    memory.copy(buffer, matches, matchCount * MATCH_BYTES);
    matchesUse(buffer);
  }
  const match = matchAt(matchCount++);
  match.key = key;
  match.keyBytes = keyBytes;
  match.record = record;
  if (matchCount == matchLimit) heapify();
  return true;
}

/** Calls for each entry of a table would cost a closure; this walks to the next entry at or after a cursor instead. */
@unmanaged
export class Cursor {
  place: u32;
  slot: u32;
}

/** The cursors of one scan, one behind the other: over the groups of an index, and over the entries of a table. */
@unmanaged
export class Cursors {
  groupPlace: u32;
  groupSlot: u32;
  entryPlace: u32;
  entrySlot: u32;

  groups(): Cursor {
    return changetype<Cursor>(changetype<usize>(this));
  }

  entries(): Cursor {
    return changetype<Cursor>(changetype<usize>(this) + offsetof<Cursors>("entryPlace"));
  }
}

/** The leaf at a place of the directory; null where a reader without a lock has come upon something else. */
function leafAt(table: Table, place: u32): Leaf {
  if (!SHARED) return directoryLeaf(table, place);
  if (readIsTorn() || table.depth > DIRECTORY_DEPTH_MAX) return changetype<Leaf>(0);
  return changetype<Leaf>(
    changetype<usize>(leafWithin(load<usize>(within(table.directory + ((place as usize) << 2), 4)))),
  );
}

/** The entry at the cursor or the next after it, and the cursor behind it; null at the end. */
export function cursorNext(table: Table, cursor: Cursor): Entry | null {
  while (cursor.place < (1 as u32) << table.depth) {
    const leaf = leafAt(table, cursor.place);
    if (SHARED && changetype<usize>(leaf) == 0) return null;
    const slots = leaf.slots;
    const body = leafBody(leaf, slots);
    if (SHARED && body == 0) return null;
    while (cursor.slot < slots) {
      const slot = cursor.slot++;
      if ((load<u8>(body + (slot as usize)) & CONTROL_EMPTY) == 0) {
        return changetype<Entry>(
          within(load<usize>(body + (slots as usize) + ((slot as usize) << 2)), ENTRY_HEADER_BYTES),
        );
      }
    }
    cursor.place += leafSpan(table, leaf);
    cursor.slot = 0;
  }
  return null;
}

/** The first table that a range of a run's table may have keys in; null if there is none. `groups` leads to the next. */
export function rangeFirst(run: Run, tag: u32, range: Range, groups: Cursor): Table | null {
  groups.place = ONE_TABLE;
  groups.slot = 0;
  if (!isIndex(tag)) return runTable(run, tag);
  if (groupBytes(range.prefix, range.prefixBytes) < range.prefixBytes) {
    return tableOf(run, tag, range.prefix, range.prefixBytes);
  }
  groups.place = 0;
  return rangeNext(run, tag, groups);
}

/** The next table after rangeFirst; null at the end. */
export function rangeNext(run: Run, tag: u32, groups: Cursor): Table | null {
  if (groups.place == ONE_TABLE) return null;
  const table = runTable(run, tag);
  const group: Entry | null = table === null ? null : cursorNext(table, groups);
  return group === null ? null : groupTable(group);
}

/**
 * Collects the first `limit` keys of a range that have a value at `at`, overlaid with what a transaction has written; with
 * limit 0 only counts them. A status.
 */
export function scanCollect(
  run: Run,
  tag: u32,
  at: u64,
  range: Range,
  transaction: Transaction | null,
  cursors: Cursors,
  limit: u32,
  reverse: bool,
): u32 {
  matchesBegin(limit, reverse);
  const groups = cursors.groups();
  for (let table = rangeFirst(run, tag, range, groups); table !== null; table = rangeNext(run, tag, groups)) {
    const status = collectTable(table, tag, at, range, transaction, cursors.entries());
    if (status != STATUS_OK) return status;
  }
  return transaction === null || transaction.writes == 0 ? STATUS_OK : collectWritten(transaction, tag, range);
}

function collectTable(
  table: Table,
  tag: u32,
  at: u64,
  range: Range,
  transaction: Transaction | null,
  cursor: Cursor,
): u32 {
  cursor.place = 0;
  cursor.slot = 0;
  for (let entry = cursorNext(table, cursor); entry !== null; entry = cursorNext(table, cursor)) {
    const keyBytes = entry.keyBytes as u32;
    const key = within(entryKey(entry), keyBytes);
    if (!rangeHas(range, key, keyBytes) || isBeyond(key, keyBytes)) continue;
    if (transaction !== null && transaction.writes != 0) {
      const own = touchedFind(transaction, tag, entry.hash, key, keyBytes);
      if (own !== null && (own.flags & TOUCHED_WRITTEN) != 0) continue;
    }
    const version = valueAt(entry, at);
    if (version !== null && !matchPush(key, keyBytes, changetype<usize>(version))) return STATUS_STORE_FULL;
  }
  return STATUS_OK;
}

function collectWritten(transaction: Transaction, tag: u32, range: Range): u32 {
  for (let i: u32 = 0; i < touchedCount(transaction); i++) {
    const item = touchedAt(transaction, i);
    if ((item.flags & TOUCHED_WRITTEN) == 0 || (item.tag as u32) != tag) continue;
    const record = touchedValue(transaction, item);
    const key = touchedKey(transaction, item);
    if (record.length == TOMBSTONE || !rangeHas(range, key, item.keyBytes as u32)) continue;
    if (!matchPush(key, item.keyBytes as u32, changetype<usize>(record))) return STATUS_STORE_FULL;
  }
  return STATUS_OK;
}

/** How many keys matched. */
export function scanMatched(): u32 {
  return matchCount;
}

/** Whether a key stands before another one in the listing. */
function isBefore(a: usize, aBytes: u32, b: usize, bBytes: u32): bool {
  const order = bytesCompare(a, aBytes, b, bBytes);
  return matchReverse ? order > 0 : order < 0;
}

/** The same of the keys at two places of the buffer. */
function standsBefore(a: u32, b: u32): bool {
  const x = matchAt(a);
  const y = matchAt(b);
  return isBefore(x.key, x.keyBytes, y.key, y.keyBytes);
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

/** Lets the match at `from` sink to its place in the heap, whose root is the last in the listing's order. */
function sink(from: u32, count: u32): void {
  for (let parent = from; ; ) {
    let child = parent * 2 + 1;
    if (child >= count) return;
    if (child + 1 < count && standsBefore(child, child + 1)) child++;
    if (!standsBefore(parent, child)) return;
    swap(parent, child);
    parent = child;
  }
}

function heapify(): void {
  for (let i = matchCount >>> 1; i > 0; i--) sink(i - 1, matchCount);
}

/** Orders what was collected; returns how many matches there are. */
export function scanOrder(): u32 {
  // At its limit it is a heap already.
  if (matchCount != matchLimit) heapify();
  for (let left = matchCount; left > 1; ) {
    left--;
    swap(0, left);
    sink(0, left);
  }
  return matchCount;
}

/** Ends the range that a transaction has just noted at the last key of its ordered listing, where that is at its limit. */
export function scanNarrow(transaction: Transaction): void {
  if (matchCount == 0 || matchCount != matchLimit) return;
  const last = matchAt(matchCount - 1);
  narrowScan(transaction, last.key, last.keyBytes, matchReverse);
}

/**
 * Adds the first `count` keys of the ordered listing to what a transaction has read; a status. Its own writes are not reads.
 * Noting can move the transaction's buffer, in which its own writes stand: what was matched there moves along.
 */
export function scanNoteReads(transaction: Transaction, tag: u32, count: u32): u32 {
  if (!keeps(RULE_SCANNED_IS_READ)) return STATUS_OK;
  const before = transaction.data;
  const beforeEnd = before + transaction.dataUsed;
  let status = STATUS_OK;
  for (let i: u32 = 0; i < count && status == STATUS_OK; i++) {
    const match = matchAt(i);
    if (match.record >= before && match.record < beforeEnd) continue;
    const version = changetype<Version>(match.record);
    const entry = changetype<Entry>(match.key - (ENTRY_HEADER_BYTES as usize));
    status = noteRead(transaction, tag, entry.hash, match.key, match.keyBytes, version.number, entry);
  }
  const moved = transaction.data - before;
  for (let i: u32 = 0; moved != 0 && i < count; i++) {
    const match = matchAt(i);
    if (match.record < before || match.record >= beforeEnd) continue;
    match.key += moved;
    match.record += moved;
  }
  return status;
}
