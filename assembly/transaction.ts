/**
 * Transaction contexts: what a transaction has read, scanned and written, in buffers that are kept for the next one.
 *
 *   items    one for each key that it has touched: how it was read, and what was last written to it
 *   index    open addressing over the items, so that a second touch finds the first
 *   scans    the ranges that it has listed or counted
 *   data     the bytes of keys, bounds and values; values stand in it as version records do, so that a reader of a value
 *            does not care whose it is
 *
 * What it keeps true: a context is of one run and one incarnation; `start` is held in the snapshot registry from begin to
 * end; a handle is the context's address with its generation, which rises at each end, so that a handle of an earlier
 * transaction is refused. Contexts are never freed, each worker has its own, of which at most TRANSACTION_POOL_MAX keep their
 * buffers, and none above BUFFER_BYTES_KEPT.
 */

import { acquire } from "./acquire";
import {
  arenaAllocate,
  EXTENT_HEADER_BYTES,
  extentAllocate,
  extentFree,
  extentOrder,
  extentsOf,
  orderFor,
} from "./arena";
import { store32 } from "./atomics";
import {
  BEGIN_INSTALLED,
  BEGIN_STEP,
  KEY_BYTES_MAX,
  OPERATION_HEADER_BYTES,
  STATUS_BUSY_SNAPSHOTS,
  STATUS_CONFLICT,
  STATUS_LIMIT,
  STATUS_OK,
  STATUS_POISONED,
  STATUS_RUN_STALE,
  STATUS_STORE_FULL,
  STATUS_TRANSACTION_TOO_LARGE,
  TOMBSTONE,
  TRANSACTION_BYTES_MAX,
  TRANSACTION_POOL_MAX,
  VERSION_HEADER_BYTES,
} from "./constants";
import { bytesCopy, bytesEqual, Entry } from "./entry";
import {
  directoryLock,
  directoryTryLock,
  directoryUnlock,
  RUN_POISONED,
  Run,
  runForgetUnused,
  runIs,
  runShows,
  systemArena,
} from "./run";
import { NO_SLOT, snapshotRelease, snapshotVersion } from "./snapshots";
import { superblock } from "./superblock";
import { Version, versionBytes } from "./versions";
import { Context, Worker, worker, workerAt } from "./workers";

const SHARED: bool = ASC_FEATURE_THREADS;
export const TOUCHED_READ: u8 = 1;
export const TOUCHED_WRITTEN: u8 = 2;

const ITEM_BYTES_MIN: u32 = 4096;
const DATA_BYTES_MIN: u32 = 8192;
const INDEX_BYTES_MIN: u32 = 512;
const INDEX_BYTES_EMPTIED: u32 = 4096;
/** A context keeps buffers of up to this size. */
const BUFFER_BYTES_KEPT: u32 = 262144;
/** What one transaction may keep in memory for what it has read: two of the largest extents. */
const DATA_BYTES_MAX: u32 = 67108864 - 64;

/** A buffer in an extent of its own. */
@unmanaged
class Buffer {
  base: usize;
  used: u32;
  capacity: u32;
}

@unmanaged
export class Transaction extends Context {
  run: usize;
  runGeneration: u32;
  /** Odd while a transaction is open in this context. */
  generation: u32;
  slot: u32;
  start: u64;
  asynchronous: u32;
  /** Whether its run counts it. */
  counted: u32;
  undoneGeneration: u32;
  /** The newest version that was installed and not published when it began; 0 where there was none. */
  dependsOn: u64;
  items: usize;
  itemsUsed: u32;
  itemsCapacity: u32;
  index: usize;
  indexUsed: u32;
  indexCapacity: u32;
  scans: usize;
  scansUsed: u32;
  scansCapacity: u32;
  data: usize;
  dataUsed: u32;
  dataCapacity: u32;
  /** Items that are written, and the bytes that their operations take in a record. */
  writes: u32;
  writeBytes: u32;
  /** The next free context. */
  next: usize;
}

@unmanaged
export class Touched {
  hash: u32;
  key: u32;
  keyBytes: u16;
  tag: u8;
  flags: u8;
  /** During a commit: the table that its key stands in. */
  table: usize;
  /** The version that a read saw; 0 where the key was missing. */
  seen: u64;
  /** The entry that a read found a value in: it cannot go while the transaction's snapshot is held. */
  entry: usize;
  /** Where in `data` the written version record stands. */
  value: u32;
  valueCapacity: u32;
  /** During a commit: the record and the entry that were made for it; 0 where none were. */
  record: usize;
  target: usize;
}

@unmanaged
export class Scan {
  tag: u32;
  prefixBytes: u32;
  startBytes: u32;
  endBytes: u32;
  /** Where in `data` prefix, start and end stand, one behind the other. */
  bounds: u32;
}

const BUFFER_BYTES: usize = offsetof<Buffer>();
const TOUCHED_BYTES: u32 = offsetof<Touched>() as u32;
const SCAN_BYTES: u32 = offsetof<Scan>() as u32;

function bufferOf(transaction: Transaction, field: usize): Buffer {
  return changetype<Buffer>(changetype<usize>(transaction) + field);
}

/** Makes room for `bytes` more in a buffer; a status. What is in it may move. */
function bufferReserve(buffer: Buffer, bytes: u32, bytesMin: u32): u32 {
  const needed = (buffer.used as u64) + (bytes as u64);
  if (needed <= (buffer.capacity as u64)) return STATUS_OK;
  if (needed > (DATA_BYTES_MAX as u64)) return STATUS_TRANSACTION_TOO_LARGE;
  const extent = extentAllocate(orderFor(max(needed, bytesMin as u64)), changetype<usize>(buffer));
  if (extent == 0) return STATUS_STORE_FULL;
  const base = extent + EXTENT_HEADER_BYTES;
  memory.copy(base, buffer.base, buffer.used);
  bufferFree(buffer);
  buffer.base = base;
  buffer.capacity = (1 << extentOrder(extent)) - (EXTENT_HEADER_BYTES as u32);
  return STATUS_OK;
}

function bufferFree(buffer: Buffer): void {
  if (buffer.base) extentFree(buffer.base - EXTENT_HEADER_BYTES);
  buffer.base = 0;
  buffer.capacity = 0;
}

/** Lets go of a buffer that is larger than what is kept for the next transaction. */
function bufferShrink(buffer: Buffer): void {
  if (buffer.capacity > BUFFER_BYTES_KEPT) bufferFree(buffer);
}

function itemsBuffer(transaction: Transaction): Buffer {
  return bufferOf(transaction, offsetof<Transaction>("items"));
}

function indexBuffer(transaction: Transaction): Buffer {
  return bufferOf(transaction, offsetof<Transaction>("index"));
}

function scansBuffer(transaction: Transaction): Buffer {
  return bufferOf(transaction, offsetof<Transaction>("scans"));
}

function dataBuffer(transaction: Transaction): Buffer {
  return bufferOf(transaction, offsetof<Transaction>("data"));
}

/** A number of items of a transaction. */
export function touchedCount(transaction: Transaction): u32 {
  return transaction.itemsUsed / TOUCHED_BYTES;
}

/** How many keys a transaction has read. */
export function countReads(transaction: Transaction): u32 {
  let reads: u32 = 0;
  for (let i: u32 = 0; i < touchedCount(transaction); i++)
    reads += (touchedAt(transaction, i).flags & TOUCHED_READ) as u32;
  return reads;
}

/** The item at an index. Valid until the next one is added. */
export function touchedAt(transaction: Transaction, index: u32): Touched {
  return changetype<Touched>(transaction.items + ((index * TOUCHED_BYTES) as usize));
}

/** The address of an item's key. Valid until the transaction is next written to. */
export function touchedKey(transaction: Transaction, item: Touched): usize {
  return transaction.data + (item.key as usize);
}

/** What an item was last written to, as a version record. */
export function touchedValue(transaction: Transaction, item: Touched): Version {
  return changetype<Version>(transaction.data + (item.value as usize));
}

export function scanCount(transaction: Transaction): u32 {
  return transaction.scansUsed / SCAN_BYTES;
}

export function scanAt(transaction: Transaction, index: u32): Scan {
  return changetype<Scan>(transaction.scans + ((index * SCAN_BYTES) as usize));
}

function holdsBuffers(transaction: Transaction): bool {
  return (transaction.items | transaction.index | transaction.scans | transaction.data) != 0;
}

function contextTake(): Transaction | null {
  const mine = worker();
  if (mine.pool) {
    const kept = changetype<Transaction>(mine.pool);
    mine.pool = kept.next;
    if (holdsBuffers(kept)) mine.poolCount--;
    return kept;
  }
  if (!directoryLock()) return null;
  const block = arenaAllocate(systemArena(), offsetof<Transaction>() as u32);
  const made: Transaction | null = block ? changetype<Transaction>(block) : null;
  if (made !== null) {
    memory.fill(block, 0, offsetof<Transaction>());
    made.nextOwned = mine.contexts;
    mine.contexts = block;
  }
  directoryUnlock();
  return made;
}

/**
 * Ends every transaction of a worker that is no more; its contexts, their buffers given back, wait for whoever comes after.
 * Their snapshots are let go of with all others of it. False if the allocator could not be had: then it has to be done again.
 */
export function transactionsOfDead(index: u32): bool {
  const dead = workerAt(index);
  dead.pool = 0;
  dead.poolCount = 0;
  for (let at = dead.contexts; at; at = changetype<Transaction>(at).nextOwned) {
    const transaction = changetype<Transaction>(at);
    for (let field = offsetof<Transaction>("items"); field <= offsetof<Transaction>("data"); field += BUFFER_BYTES) {
      if (!extentsOf(at + field)) return false;
      memory.fill(at + field, 0, BUFFER_BYTES);
    }
    if (transaction.generation & 1) transaction.generation++;
    store32(at + offsetof<Context>("begunOn"), 0);
    transaction.counted = 0;
    transaction.run = 0;
    transaction.writes = 0;
    transaction.writeBytes = 0;
    transaction.next = dead.pool;
    dead.pool = at;
  }
  store32(changetype<usize>(dead) + offsetof<Worker>("open"), 0);
  return true;
}

/** Empties a context and gives it back; beyond the pool's size its buffers go. */
function contextReturn(transaction: Transaction): void {
  const mine = worker();
  transaction.generation++;
  transaction.itemsUsed = 0;
  transaction.scansUsed = 0;
  transaction.dataUsed = 0;
  transaction.writes = 0;
  transaction.writeBytes = 0;
  transaction.run = 0;
  bufferShrink(itemsBuffer(transaction));
  bufferShrink(scansBuffer(transaction));
  bufferShrink(dataBuffer(transaction));
  bufferShrink(indexBuffer(transaction));
  // A small index is emptied, a large one begun anew: a small transaction after a large one must not pay for that.
  if (transaction.index != 0 && transaction.indexUsed <= INDEX_BYTES_EMPTIED) {
    memory.fill(transaction.index, 0, transaction.indexUsed);
  } else {
    transaction.indexUsed = 0;
  }
  if (mine.poolCount >= TRANSACTION_POOL_MAX) {
    bufferFree(itemsBuffer(transaction));
    bufferFree(indexBuffer(transaction));
    bufferFree(scansBuffer(transaction));
    bufferFree(dataBuffer(transaction));
    transaction.indexUsed = 0;
    // Contexts with buffers stand in front, so that they are the ones to be used again.
    const first = changetype<Transaction>(mine.pool);
    transaction.next = first.next;
    first.next = changetype<usize>(transaction);
    return;
  }
  if (holdsBuffers(transaction)) mine.poolCount++;
  transaction.next = mine.pool;
  mine.pool = changetype<usize>(transaction);
}

/**
 * Begins a transaction on an incarnation of a run: at what is published, or, where its outcome will be withheld, at what is
 * installed. Returns the context, or a status.
 */
export function transactionBegin(run: Run, generation: u32, how: u32): usize {
  const asynchronous: u32 = how & BEGIN_INSTALLED;
  if (!runIs(run, generation)) return STATUS_RUN_STALE as usize;
  const transaction = contextTake();
  if (transaction === null) return STATUS_STORE_FULL as usize;
  const slot = acquire(run, asynchronous != 0, (how & BEGIN_STEP) != 0);
  const start = slot == NO_SLOT ? 0 : snapshotVersion(slot);
  let counted: u32 = 0;
  // A run whose first commit is newer than the start would not be kept by what is held.
  if (slot != NO_SLOT && (run.born == 0 || (SHARED && run.born > start))) {
    counted = countUnborn(transaction, run, generation);
  }
  // Deleted meanwhile: then what is held may be of after that, and would keep nothing of the run.
  else if (SHARED && !runIs(run, generation)) counted = UNBORN_GONE;
  if (slot == NO_SLOT || counted == UNBORN_GONE) {
    if (slot != NO_SLOT) snapshotRelease(slot);
    transaction.generation++;
    contextReturn(transaction);
    return (slot == NO_SLOT ? STATUS_BUSY_SNAPSHOTS : STATUS_RUN_STALE) as usize;
  }
  const sb = superblock();
  transaction.generation++;
  transaction.run = changetype<usize>(run);
  transaction.runGeneration = generation;
  transaction.slot = slot;
  transaction.start = start;
  transaction.asynchronous = asynchronous;
  transaction.undoneGeneration = sb.undoneGeneration;
  transaction.dependsOn = asynchronous && run.installed > run.visible ? run.installed : 0;
  transaction.counted = counted;
  const mine = worker();
  store32(changetype<usize>(mine) + offsetof<Worker>("open"), mine.open + 1);
  return changetype<usize>(transaction);
}

const UNBORN_COUNTED: u32 = 1;
const UNBORN_GONE: u32 = 2;

/**
 * Counts a transaction on a run that has nothing published yet, so that the run stays: nothing else tells that somebody means
 * it. Later ones hold a version that the run is seen at.
 */
function countUnborn(transaction: Transaction, run: Run, generation: u32): u32 {
  if (!directoryLock()) return UNBORN_GONE;
  const lives = runIs(run, generation);
  if (lives) {
    // Between workers it is counted by this note alone, so that nobody can die between the two.
    if (SHARED) store32(changetype<usize>(transaction) + offsetof<Context>("begunOn"), changetype<usize>(run) as u32);
    else run.transactions++;
  }
  directoryUnlock();
  return lives ? UNBORN_COUNTED : UNBORN_GONE;
}

/** Whether a handle means the transaction that is open in its context. */
export function transactionIs(transaction: Transaction, generation: u32): bool {
  return transaction.generation == generation && (generation & 1) == 1;
}

/** Ends a transaction: lets go of its snapshot and its context. A run that nobody has written to is forgotten. */
export function transactionEnd(transaction: Transaction): void {
  const run = changetype<Run>(transaction.run);
  if (transaction.slot != NO_SLOT) snapshotRelease(transaction.slot);
  const generation = transaction.runGeneration;
  const counted = transaction.counted;
  contextReturn(transaction);
  const mine = worker();
  store32(changetype<usize>(mine) + offsetof<Worker>("open"), mine.open - 1);
  if (counted == 0) return;
  // A deleted run counts those that were begun on it before it was there until it is given back.
  if (SHARED) store32(changetype<usize>(transaction) + offsetof<Context>("begunOn"), 0);
  else if (--run.transactions != 0) return;
  if (!directoryTryLock()) return;
  runForgetUnused(run, generation);
  directoryUnlock();
}

/**
 * Ends the range that was noted last at a key: what lies behind it in the listing's order was not looked at. Where something
 * was added to the transaction since then, there is no room for that, and the range stays as it was noted.
 */
export function narrowScan(transaction: Transaction, key: usize, keyBytes: u32, reverse: bool): void {
  const scan = scanAt(transaction, scanCount(transaction) - 1);
  if (scan.bounds + scan.prefixBytes + scan.startBytes + scan.endBytes != transaction.dataUsed) return;
  const start = transaction.data + ((scan.bounds + scan.prefixBytes) as usize);
  const end = start + (scan.startBytes as usize);
  if (reverse) {
    memory.copy(start + (keyBytes as usize), end, scan.endBytes);
    memory.copy(start, key, keyBytes);
    scan.startBytes = keyBytes;
  } else {
    // The first key behind a key is that key with a zero byte.
    memory.copy(end, key, keyBytes);
    store<u8>(end + (keyBytes as usize), 0);
    scan.endBytes = keyBytes + 1;
  }
  transaction.dataUsed = scan.bounds + scan.prefixBytes + scan.startBytes + scan.endBytes;
}

/** Whether an append failed since the transaction began, so that it may have read what was undone. */
export function transactionIsDoomed(transaction: Transaction): bool {
  return transaction.asynchronous != 0 && transaction.undoneGeneration != superblock().undoneGeneration;
}

/** Why what a transaction has just read means nothing: its run was poisoned while it was open, perhaps taken away since. */
export function transactionLost(transaction: Transaction): u32 {
  if (!SHARED) return STATUS_OK;
  const run = changetype<Run>(transaction.run);
  if (runShows(run, transaction.runGeneration)) return STATUS_OK;
  return run.flags & RUN_POISONED ? STATUS_POISONED : STATUS_CONFLICT;
}

/** The item of a key, or null if the transaction has not touched it. */
export function touchedFind(transaction: Transaction, tag: u32, hash: u32, key: usize, keyBytes: u32): Touched | null {
  if (transaction.indexUsed == 0) return null;
  const mask = (transaction.indexUsed >>> 2) - 1;
  let place = (hash + tag * 0x9e3779b9) & mask;
  let number = load<u32>(transaction.index + ((place as usize) << 2));
  // The index is at most half full, so there is an end.
  while (number != 0) {
    const item = touchedAt(transaction, number - 1);
    if (
      item.hash == hash &&
      (item.tag as u32) == tag &&
      (item.keyBytes as u32) == keyBytes &&
      bytesEqual(touchedKey(transaction, item), key, keyBytes)
    ) {
      return item;
    }
    place = (place + 1) & mask;
    number = load<u32>(transaction.index + ((place as usize) << 2));
  }
  return null;
}

function indexPut(transaction: Transaction, item: Touched, number: u32): void {
  const mask = (transaction.indexUsed >>> 2) - 1;
  let place = (item.hash + (item.tag as u32) * 0x9e3779b9) & mask;
  while (load<u32>(transaction.index + ((place as usize) << 2)) != 0) place = (place + 1) & mask;
  store<u32>(transaction.index + ((place as usize) << 2), number);
}

/** Makes sure that the index stays at most half full with one more item; a status. Its `used` is its size, a power of two. */
function indexReserve(transaction: Transaction): u32 {
  const count = touchedCount(transaction) + 1;
  if (transaction.indexUsed >= count << 3) return STATUS_OK;
  const bytes: u32 = max(transaction.indexUsed << 1, INDEX_BYTES_MIN);
  const buffer = indexBuffer(transaction);
  if (bytes > buffer.capacity) {
    const extent = extentAllocate(orderFor(bytes), changetype<usize>(buffer));
    if (extent == 0) return STATUS_STORE_FULL;
    bufferFree(buffer);
    buffer.base = extent + EXTENT_HEADER_BYTES;
    buffer.capacity = (1 << extentOrder(extent)) - (EXTENT_HEADER_BYTES as u32);
  }
  buffer.used = bytes;
  memory.fill(buffer.base, 0, bytes);
  for (let i: u32 = 0; i < touchedCount(transaction); i++) indexPut(transaction, touchedAt(transaction, i), i + 1);
  return STATUS_OK;
}

/** The item of a key, made if the transaction has not touched it; the item or a status. `key` may be in scratch only. */
export function touch(transaction: Transaction, tag: u32, hash: u32, key: usize, keyBytes: u32): usize {
  const found = touchedFind(transaction, tag, hash, key, keyBytes);
  if (found !== null) return changetype<usize>(found);
  let status = bufferReserve(itemsBuffer(transaction), TOUCHED_BYTES, ITEM_BYTES_MIN);
  if (status == STATUS_OK) status = indexReserve(transaction);
  if (status == STATUS_OK) status = bufferReserve(dataBuffer(transaction), keyBytes, DATA_BYTES_MIN);
  if (status != STATUS_OK) return status as usize;
  const item = touchedAt(transaction, touchedCount(transaction));
  transaction.itemsUsed += TOUCHED_BYTES;
  memory.fill(changetype<usize>(item), 0, TOUCHED_BYTES);
  item.hash = hash;
  item.key = transaction.dataUsed;
  item.keyBytes = keyBytes as u16;
  item.tag = tag as u8;
  bytesCopy(transaction.data + (transaction.dataUsed as usize), key, keyBytes);
  transaction.dataUsed += keyBytes;
  indexPut(transaction, item, touchedCount(transaction));
  return changetype<usize>(item);
}

/** Notes that a key was read at a version (0 where it was missing); a status. The first read of a key is what counts. */
export function noteRead(
  transaction: Transaction,
  tag: u32,
  hash: u32,
  key: usize,
  keyBytes: u32,
  seen: u64,
  entry: Entry | null,
): u32 {
  const made = touch(transaction, tag, hash, key, keyBytes);
  if (made < (STATUS_LIMIT as usize)) return made as u32;
  const item = changetype<Touched>(made);
  if (item.flags & TOUCHED_READ) return STATUS_OK;
  item.flags |= TOUCHED_READ;
  item.seen = seen;
  item.entry = seen == 0 ? 0 : changetype<usize>(entry);
  return STATUS_OK;
}

/** Notes a range that was scanned, its bounds standing one behind the other at `bounds`; a status. */
export function noteScan(
  transaction: Transaction,
  tag: u32,
  bounds: usize,
  prefixBytes: u32,
  startBytes: u32,
  endBytes: u32,
): u32 {
  const bytes = prefixBytes + startBytes + endBytes;
  // Where a listing ends early the last key that it returned becomes a bound: behind the bounds is room for that.
  const room: u32 = KEY_BYTES_MAX + 1;
  let status = bufferReserve(scansBuffer(transaction), SCAN_BYTES, 1);
  if (status == STATUS_OK) status = bufferReserve(dataBuffer(transaction), bytes + room, DATA_BYTES_MIN);
  if (status != STATUS_OK) return status;
  const scan = scanAt(transaction, scanCount(transaction));
  transaction.scansUsed += SCAN_BYTES;
  scan.tag = tag;
  scan.prefixBytes = prefixBytes;
  scan.startBytes = startBytes;
  scan.endBytes = endBytes;
  scan.bounds = transaction.dataUsed;
  memory.copy(transaction.data + (transaction.dataUsed as usize), bounds, bytes);
  transaction.dataUsed += bytes;
  return STATUS_OK;
}

/** The bytes that an item's operation takes in a record. */
function itemBytes(item: Touched, length: u32): u32 {
  return OPERATION_HEADER_BYTES + (item.keyBytes as u32) + (length == TOMBSTONE ? 0 : length);
}

/**
 * Writes a value, or with TOMBSTONE as its length a deletion, to a key; a status. Nothing has changed unless it is
 * STATUS_OK. A value that fits where the key's last one stood goes there, so that writing one key again and again does not
 * fill the buffer.
 */
export function noteWrite(
  transaction: Transaction,
  tag: u32,
  hash: u32,
  key: usize,
  keyBytes: u32,
  value: usize,
  length: u32,
): u32 {
  const made = touch(transaction, tag, hash, key, keyBytes);
  if (made < (STATUS_LIMIT as usize)) return made as u32;
  let item = changetype<Touched>(made);
  const written = (item.flags & TOUCHED_WRITTEN) != 0;
  const before = written ? itemBytes(item, touchedValue(transaction, item).length) : 0;
  const total = (transaction.writeBytes as u64) - (before as u64) + (itemBytes(item, length) as u64);
  if (total > (min(TRANSACTION_BYTES_MAX, superblock().recordBytesMax) as u64)) return STATUS_TRANSACTION_TOO_LARGE;
  const bytes = versionBytes(length);
  if (!written || item.valueCapacity < bytes) {
    const index = ((changetype<usize>(item) - transaction.items) as u32) / TOUCHED_BYTES;
    const status = valueReserve(transaction, bytes);
    if (status != STATUS_OK) return status;
    item = touchedAt(transaction, index);
    item.value = transaction.dataUsed;
    item.valueCapacity = (bytes + 7) & ~7;
    transaction.dataUsed += item.valueCapacity;
  }
  const record = touchedValue(transaction, item);
  record.number = 0;
  record.previous = 0;
  record.length = length;
  if (length != TOMBSTONE) {
    memory.copy(changetype<usize>(record) + (VERSION_HEADER_BYTES as usize), value, length);
  }
  item.flags |= TOUCHED_WRITTEN;
  transaction.writeBytes = total as u32;
  if (!written) transaction.writes++;
  return STATUS_OK;
}

/** Makes room for a value in `data`, 8-byte aligned; gathers what is still used when that would make the difference. */
function valueReserve(transaction: Transaction, bytes: u32): u32 {
  const buffer = dataBuffer(transaction);
  const wanted = ((bytes + 7) & ~7) + 8;
  transaction.dataUsed = (transaction.dataUsed + 7) & ~7;
  const status = bufferReserve(buffer, wanted, DATA_BYTES_MIN);
  if (status != STATUS_TRANSACTION_TOO_LARGE) return status;
  return gather(transaction, wanted);
}

/** Copies the keys, bounds and values that are still used to a fresh buffer; a status. */
function gather(transaction: Transaction, wanted: u32): u32 {
  let bytes: u64 = wanted as u64;
  for (let i: u32 = 0; i < touchedCount(transaction); i++) {
    const item = touchedAt(transaction, i);
    bytes += ((item.keyBytes as u64) + 7) & ~7;
    if (item.flags & TOUCHED_WRITTEN) bytes += (versionBytes(touchedValue(transaction, item).length) as u64) + 8;
  }
  for (let i: u32 = 0; i < scanCount(transaction); i++) {
    const scan = scanAt(transaction, i);
    bytes += (scan.prefixBytes + scan.startBytes + scan.endBytes) as u64;
  }
  if (bytes > (DATA_BYTES_MAX as u64)) return STATUS_TRANSACTION_TOO_LARGE;
  const extent = extentAllocate(orderFor(bytes), changetype<usize>(dataBuffer(transaction)));
  if (extent == 0) return STATUS_STORE_FULL;
  const old = transaction.data;
  const base = extent + EXTENT_HEADER_BYTES;
  let used: u32 = 0;
  for (let i: u32 = 0; i < touchedCount(transaction); i++) {
    const item = touchedAt(transaction, i);
    bytesCopy(base + (used as usize), old + (item.key as usize), item.keyBytes);
    item.key = used;
    used = (used + (item.keyBytes as u32) + 7) & ~7;
    if ((item.flags & TOUCHED_WRITTEN) == 0) continue;
    const length = versionBytes(changetype<Version>(old + (item.value as usize)).length);
    memory.copy(base + (used as usize), old + (item.value as usize), length);
    item.value = used;
    item.valueCapacity = (length + 7) & ~7;
    used += item.valueCapacity;
  }
  for (let i: u32 = 0; i < scanCount(transaction); i++) {
    const scan = scanAt(transaction, i);
    const length = scan.prefixBytes + scan.startBytes + scan.endBytes;
    memory.copy(base + (used as usize), old + (scan.bounds as usize), length);
    scan.bounds = used;
    used += length;
  }
  const buffer = dataBuffer(transaction);
  bufferFree(buffer);
  buffer.base = base;
  buffer.capacity = (1 << extentOrder(extent)) - (EXTENT_HEADER_BYTES as u32);
  buffer.used = (used + 7) & ~7;
  return STATUS_OK;
}
