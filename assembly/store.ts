/**
 * The store: reading a key, and the commit path.
 *
 * A commit, whether of one operation or of a transaction, goes through the same steps under its run's lock (COMMIT 1):
 *
 *   check      the handle, what it stands behind, what it expects, what it has read
 *   reserve    memory for every record, entry and place that it needs: the last step that can fail
 *   number     the next version, and with a log its place in the queue
 *   encode     its record
 *   install    its records at the heads of their chains
 *   publish    at once where its mode allows, otherwise when the log has it
 */
import { load32, store64 } from "./atomics";
import {
  CAPABILITY_LOG,
  CAPABILITY_SYNC_APPEND,
  CAPABILITY_SYNC_FLUSH,
  MODE_IN_MEMORY,
  OPERATION_DELETE,
  OPERATION_DELETE_RUN,
  OPERATION_PUT,
  RECORD_COMMIT,
  STATUS_BUSY_LOCK,
  STATUS_BUSY_PENDING,
  STATUS_CLOSED,
  STATUS_CONFLICT,
  STATUS_CONFLICT_PENDING,
  STATUS_DRAIN_FIRST,
  STATUS_NOTHING,
  STATUS_NOTHING_PENDING,
  STATUS_OK,
  STATUS_RUN_STALE,
  STATUS_STORE_FULL,
  STATUS_TRANSACTION_TOO_LARGE,
  STATUS_UNDONE,
  STATUS_VERSION_MISMATCH,
  TABLE_KV,
  TOMBSTONE,
} from "./constants";
import { bytesCopy, ENTRY_QUEUED, Entry, entryFree, entryKey, entryMake } from "./entry";
import { hashKey } from "./hash";
import { nextVersion, workerBegin, workerEnd } from "./horizon";
import { PRUNE_CHAINS_PER_WRITE, pruneCommitted, pruneEnqueue, raisedFloor, runTrim } from "./prune";
import { publishPlaced } from "./publish";
import {
  announceVersion,
  deferredIsFull,
  Item,
  logUnlock,
  placeIsWhole,
  queueLock,
  queuePlace,
  queueRelease,
  queueReserve,
} from "./queue";
import { findEntry, foundTable, foundTableMake } from "./reads";
import { operationBytes, operationWrite, recordBegin, recordOverhead } from "./record";
import {
  keeps,
  RULE_BUSY_BEFORE_INSTALL,
  RULE_COUNTS_AT_VISIBLE,
  RULE_DEFERRED_BOUNDED,
  RULE_INCARNATION,
  RULE_KEYS_VALIDATED,
  RULE_RANGES_VALIDATED,
  RULE_TOMBSTONE_IS_ABSENT,
} from "./rules";
import {
  RUN_DELETING,
  Run,
  retiredReclaim,
  runArena,
  runChange,
  runIs,
  runLock,
  runPublish,
  runRetire,
  runShows,
  runUnlock,
} from "./run";
import { entryRemove, groupTidy, isIndex } from "./run-tables";
import { Cursor, Cursors, cursorNext, Range, rangeFirst, rangeHas, rangeNext } from "./scan";
import { NO_SLOT, snapshotRelease } from "./snapshots";
import { Superblock, superblock } from "./superblock";
import { Table, tableInsert } from "./table";
import {
  scanAt,
  scanCount,
  TOUCHED_READ,
  TOUCHED_WRITTEN,
  Transaction,
  touchedAt,
  touchedCount,
  touchedKey,
  touchedValue,
  transactionIsDoomed,
} from "./transaction";
import { Version, valueAt, versionFree, versionInstall, versionMake, versionValue } from "./versions";
import { mayWait } from "./workers";

const SHARED: bool = ASC_FEATURE_THREADS;

/** The newest installed value of an entry; null where the newest is a tombstone, or there is none. */
function liveHead(entry: Entry | null): Version | null {
  if (entry === null || entry.head == 0) return null;
  const head = changetype<Version>(entry.head);
  return head.length == TOMBSTONE ? null : head;
}

function hasLog(sb: Superblock): bool {
  return (sb.capabilities & CAPABILITY_LOG) != 0;
}

/** Whether the deletion of a run is installed. In this order with what tells that it is published. */
function isBeingDeleted(run: Run): bool {
  return (load32(changetype<usize>(run) + offsetof<Run>("flags")) & RUN_DELETING) != 0;
}

/** Whether a synchronous commit would stand behind one that only an asynchronous sync can publish (COMMIT 4). */
function standsBehind(sb: Superblock, run: Run): bool {
  // Behind the deletion of its run nothing can be installed at all.
  if (isBeingDeleted(run)) return true;
  // Where another worker writes the log for all, syncing is waiting.
  const canSync = (sb.capabilities & CAPABILITY_SYNC_FLUSH) != 0 && (!SHARED || mayWait());
  return run.unpublished != 0 && !canSync && keeps(RULE_BUSY_BEFORE_INSTALL);
}

/**
 * What a lack of memory is called: where records wait that could be written now, their memory is to be had by that, and the
 * host writes them before it tries again.
 */
function refuseMemory(sb: Superblock): u32 {
  const canDrain = (sb.capabilities & CAPABILITY_SYNC_APPEND) != 0 && sb.queueUnwrittenBytes != 0;
  return canDrain ? STATUS_DRAIN_FIRST : STATUS_STORE_FULL;
}

/** The run id's bytes, which stand as the key of the run's entry in the directory. */
function nameOf(run: Run): Entry {
  return changetype<Entry>(run.entry);
}

/** Makes sure of the log's memory for a record; a status. Takes the log lock, which is held on where it returns STATUS_OK. */
function reservePlace(sb: Superblock, length: u32, mode: u32): u32 {
  const waits = mode == MODE_IN_MEMORY && (sb.capabilities & CAPABILITY_SYNC_APPEND) != 0;
  if (waits && deferredIsFull(length) && keeps(RULE_DEFERRED_BOUNDED)) return STATUS_DRAIN_FIRST;
  if (!queueLock()) return STATUS_BUSY_LOCK;
  let status = SHARED && sb.closed != 0 ? STATUS_CLOSED : SHARED && sb.undoing != 0 ? STATUS_BUSY_LOCK : STATUS_OK;
  if (status == STATUS_OK) status = queueReserve(length);
  if (status != STATUS_OK) logUnlock();
  return status;
}

/** Takes version and place together, and writes the record's header. Under the log lock. */
function place(_sb: Superblock, run: Run, length: u32, mode: u32, operations: u32): Item {
  if (SHARED) announceVersion();
  const item = queuePlace(length, nextVersion(), RECORD_COMMIT, mode);
  item.run = changetype<usize>(run);
  item.operations = operations;
  item.previousInstalled = run.installed;
  return item;
}

/** Puts a record at the head of its entry, and marks that the keys of the entry's table are others than before. */
function install(table: Table, entry: Entry, record: Version, version: u64, changesMembership: bool): void {
  versionInstall(entry, record, version);
  if (changesMembership) table.stamp = version;
}

/** How the number of keys of a table changes when a record takes the place of what was there. */
function keysChange(entry: Entry | null, length: u32): i32 {
  const is = length == TOMBSTONE ? 0 : 1;
  const had = keeps(RULE_TOMBSTONE_IS_ABSENT) ? liveHead(entry) !== null : entry !== null && entry.head != 0;
  return is - (had ? 1 : 0);
}

/** What of that counts as live entries: an index has none that a user would count. */
function liveChange(tag: u32, keys: i32): i32 {
  return isIndex(tag) ? 0 : keys;
}

/**
 * Commits one operation: a put, or with TOMBSTONE as its length a deletion. With `expected` not negative only if the key
 * is at that version (0: missing). Returns the version, or a status negated; after STATUS_VERSION_MISMATCH the version that
 * the key has stands at `actual`.
 */
export function commitOne(
  run: Run,
  generation: u32,
  tag: u32,
  key: usize,
  keyBytes: u32,
  value: usize,
  length: u32,
  mode: u32,
  expected: i64,
  actual: usize,
): i64 {
  if (!runLock(run)) return -(STATUS_BUSY_LOCK as i64);
  const result = commitOneLocked(run, generation, tag, key, keyBytes, value, length, mode, expected, actual);
  runUnlock(run);
  return result;
}

function commitOneLocked(
  run: Run,
  generation: u32,
  tag: u32,
  key: usize,
  keyBytes: u32,
  value: usize,
  length: u32,
  mode: u32,
  expected: i64,
  actual: usize,
): i64 {
  const sb = superblock();
  // In this order: a deletion that is published meanwhile moves the generation before it takes the flag away.
  const behind = standsBehind(sb, run);
  if (!runIs(run, generation)) return -(STATUS_RUN_STALE as i64);
  if (sb.closed != 0) return -(STATUS_CLOSED as i64);
  if (behind) return -(STATUS_BUSY_PENDING as i64);
  if (operationBytes(keyBytes, length == TOMBSTONE ? 0 : length) > sb.recordBytesMax) {
    return -(STATUS_TRANSACTION_TOO_LARGE as i64);
  }
  const hash = hashKey(key, keyBytes, sb.seed);
  let entry = findEntry(run, tag, hash, key, keyBytes);
  const before = liveHead(entry);
  if (expected >= 0 && (before === null ? 0 : (before.number as i64)) != expected) {
    store<f64>(actual, before === null ? 0 : (before.number as f64));
    return -(STATUS_VERSION_MISMATCH as i64);
  }
  if (length == TOMBSTONE && before === null) {
    const pending = entry !== null && entry.head != 0 && changetype<Version>(entry.head).number > run.visible;
    return -((pending ? STATUS_NOTHING_PENDING : STATUS_NOTHING) as i64);
  }

  runChange(run);
  const arena = runArena(run);
  const record = versionMake(arena, length);
  if (record === null) return -(refuseMemory(sb) as i64);
  const made = entry === null;
  if (made) entry = entryInsert(run, tag, hash, key, keyBytes);
  const valueBytes = length == TOMBSTONE ? 0 : length;
  const logged = hasLog(sb);
  const recordBytes = recordOverhead(nameBytesOf(run)) + operationBytes(keyBytes, valueBytes);
  const status = entry === null ? STATUS_STORE_FULL : logged ? reservePlace(sb, recordBytes, mode) : STATUS_OK;
  if (status != STATUS_OK || entry === null) {
    versionFree(arena, record);
    if (made && entry !== null) entryRemove(run, entry);
    return -((status == STATUS_STORE_FULL ? refuseMemory(sb) : status) as i64);
  }

  bytesCopy(versionValue(record), value, valueBytes);
  const keys = keysChange(entry, length);
  const change = liveChange(tag, keys);
  if (!logged) {
    workerBegin();
    const version = nextVersion();
    install(foundTable(), entry, record, version, keys != 0);
    publishAtOnce(run, version, change, tag == TABLE_KV ? change : 0);
    pruneCommitted(run, entry, PRUNE_CHAINS_PER_WRITE, valueBytes);
    if (keys < 0) runTrim(run);
    return version as i64;
  }
  const item = place(sb, run, recordBytes, mode, 1);
  item.liveChange = change;
  item.liveKvChange = tag == TABLE_KV ? change : 0;
  const at = recordHeader(run, item);
  const kind = length == TOMBSTONE ? OPERATION_DELETE : OPERATION_PUT;
  operationWrite(at, kind, tag, key, keyBytes, versionValue(record), valueBytes);
  placeIsWhole(item);
  install(foundTable(), entry, record, item.version, keys != 0);
  return finishQueued(sb, run, item, entry);
}

function nameBytesOf(run: Run): u32 {
  return nameOf(run).keyBytes as u32;
}

function recordHeader(run: Run, item: Item): usize {
  const name = nameOf(run);
  return recordBegin(
    item.record,
    item.length,
    item.version,
    RECORD_COMMIT,
    item.mode as u32,
    entryKey(name),
    name.keyBytes as u32,
    item.operations,
  );
}

/** The last step of a commit in a log: what is published at once is, and the log lock goes. */
function finishQueued(_sb: Superblock, run: Run, item: Item, written: Entry | null): i64 {
  const version = item.version;
  // Whoever reads this sees the mark of a deletion too (acquire.ts).
  store64(changetype<usize>(run) + offsetof<Run>("installed"), version);
  run.commits++;
  if (!keeps(RULE_COUNTS_AT_VISIBLE)) countAtOnce(run, item);
  if (written !== null) pruneEnqueue(run, written);
  const operations = item.operations;
  const bytes = item.length;
  const deletes = item.deletesRun;
  publishPlaced(item);
  queueRelease();
  logUnlock();
  // A run that goes stays as it is: what is in it may be lost, and who died in here may not be thought to have been changing it.
  if (SHARED && !deletes) {
    pruneCommitted(run, null, operations + PRUNE_CHAINS_PER_WRITE, bytes);
    runTrim(run);
  }
  return version as i64;
}

/** What counting would be if it did not wait for the publication. */
function countAtOnce(run: Run, item: Item): void {
  run.live += item.liveChange;
  run.liveKv += item.liveKvChange;
  item.liveChange = 0;
  item.liveKvChange = 0;
}

/** Publishes a commit of a database without a log. */
function publishAtOnce(run: Run, version: u64, change: i32, changeKv: i32): void {
  run.installed = version;
  runPublish(run, version, change, changeKv);
  workerEnd();
  run.commits++;
}

/** An entry without versions for a key that findEntry has just not found; null if memory cannot grow. */
function entryInsert(run: Run, tag: u32, hash: u32, key: usize, keyBytes: u32): Entry | null {
  const table = foundTableMake(run, tag, key, keyBytes);
  if (table === null) return null;
  const arena = runArena(run);
  const entry = entryMake(arena, tag, hash, key, keyBytes);
  if (entry !== null && tableInsert(table, arena, entry)) return entry;
  if (entry !== null) entryFree(arena, entry);
  groupTidy(run, tag, key, keyBytes);
  return null;
}

/**
 * Commits the deletion of a run as a whole; its version, or a status negated. Until that is published nothing else can be
 * written to the run, and its readers see it as it was.
 */
export function commitDeletion(run: Run, generation: u32, mode: u32): i64 {
  if (!runLock(run)) return -(STATUS_BUSY_LOCK as i64);
  const result = commitDeletionLocked(run, generation, mode);
  runUnlock(run);
  if (result > 0 && !hasLog(superblock())) retiredReclaim(raisedFloor());
  return result;
}

function commitDeletionLocked(run: Run, generation: u32, mode: u32): i64 {
  const sb = superblock();
  // In this order: a deletion that is published meanwhile moves the generation before it takes the flag away.
  const behind = standsBehind(sb, run);
  if (!runIs(run, generation)) return -(STATUS_RUN_STALE as i64);
  if (sb.closed != 0) return -(STATUS_CLOSED as i64);
  if (behind) return -(STATUS_BUSY_PENDING as i64);
  if (run.installed == 0) return -(STATUS_NOTHING as i64);
  runChange(run);
  if (!hasLog(sb)) {
    workerBegin();
    const version = nextVersion();
    run.installed = version;
    run.commits++;
    runRetire(run, version);
    workerEnd();
    return version as i64;
  }
  const recordBytes = recordOverhead(nameBytesOf(run)) + operationBytes(0, 0);
  const status = reservePlace(sb, recordBytes, mode);
  if (status != STATUS_OK) return -((status == STATUS_STORE_FULL ? refuseMemory(sb) : status) as i64);
  const item = place(sb, run, recordBytes, mode, 1);
  item.deletesRun = 1;
  operationWrite(recordHeader(run, item), OPERATION_DELETE_RUN, 0, 0, 0, 0, 0);
  placeIsWhole(item);
  run.flags |= RUN_DELETING;
  return finishQueued(sb, run, item, null);
}

/**
 * Commits a transaction in `mode`; returns its version (for one that wrote nothing: what it started at), or a status
 * negated. Its snapshot is let go where it succeeds; the caller ends it in every case but STATUS_DRAIN_FIRST, which asks
 * to be called again.
 */
export function commitTransaction(transaction: Transaction, mode: u32, cursors: Cursors, range: Range): i64 {
  const run = changetype<Run>(transaction.run);
  if (!runLock(run)) return -(STATUS_BUSY_LOCK as i64);
  const result = commitTransactionLocked(run, transaction, mode, cursors, range);
  runUnlock(run);
  return result;
}

function commitTransactionLocked(run: Run, transaction: Transaction, mode: u32, cursors: Cursors, range: Range): i64 {
  const sb = superblock();
  const behind = (!transaction.asynchronous || isBeingDeleted(run)) && standsBehind(sb, run);
  if (!isSameIncarnation(run, transaction)) return -(STATUS_CONFLICT as i64);
  if (transactionIsDoomed(transaction)) return -(STATUS_UNDONE as i64);
  if (transaction.writes == 0) return transaction.start as i64;
  if (sb.closed != 0) return -(STATUS_CLOSED as i64);
  if (behind) return -(STATUS_BUSY_PENDING as i64);
  let status = validate(run, transaction, cursors, range);
  if (status != STATUS_OK) return -(status as i64);
  runChange(run);
  status = reserveWrites(run, transaction);
  const logged = hasLog(sb);
  const operations = countOperations(transaction);
  const recordBytes = recordOverhead(nameBytesOf(run)) + operationsBytes(transaction);
  if (status == STATUS_OK && operations != 0 && logged) status = reservePlace(sb, recordBytes, mode);
  if (status != STATUS_OK) {
    giveBackWrites(run, transaction);
    return -((status == STATUS_STORE_FULL ? refuseMemory(sb) : status) as i64);
  }
  if (operations == 0) return transaction.start as i64;
  snapshotRelease(transaction.slot);
  transaction.slot = NO_SLOT;
  if (logged) {
    const item = place(sb, run, recordBytes, mode, operations);
    encodeWrites(run, transaction, item);
    placeIsWhole(item);
    installWrites(run, transaction, item.version, changetype<usize>(item) + offsetof<Item>("liveChange"));
    return finishQueued(sb, run, item, null);
  }
  workerBegin();
  const version = nextVersion();
  const changes = changetype<usize>(cursors);
  installWrites(run, transaction, version, changes);
  publishAtOnce(run, version, load<i32>(changes), load<i32>(changes, 4));
  pruneCommitted(run, null, operations + PRUNE_CHAINS_PER_WRITE, recordBytes);
  runTrim(run);
  return version as i64;
}

/** Whether a transaction's run is the one that it began on. One that only read may still end well. */
function isSameIncarnation(run: Run, transaction: Transaction): bool {
  if (!keeps(RULE_INCARNATION)) return true;
  return runIs(run, transaction.runGeneration) || (transaction.writes == 0 && runShows(run, transaction.runGeneration));
}

/** What validation would say of a transaction now; a status. */
export function wouldCommit(transaction: Transaction, cursors: Cursors, range: Range): u32 {
  const run = changetype<Run>(transaction.run);
  return isSameIncarnation(run, transaction) ? validate(run, transaction, cursors, range) : STATUS_CONFLICT;
}

/** Whether everything that a transaction has read is still so at the newest installed versions; a status (COMMIT 2). */
function validate(run: Run, transaction: Transaction, cursors: Cursors, range: Range): u32 {
  for (let i: u32 = 0; i < touchedCount(transaction); i++) {
    const item = touchedAt(transaction, i);
    if ((item.flags & TOUCHED_READ) == 0) continue;
    const key = touchedKey(transaction, item);
    const entry =
      item.entry != 0
        ? changetype<Entry>(item.entry)
        : findEntry(run, item.tag as u32, item.hash, key, item.keyBytes as u32);
    const head = liveHead(entry);
    const now = head === null ? 0 : head.number;
    if (now != item.seen && keeps(RULE_KEYS_VALIDATED)) return conflictWith(run, entry);
  }
  const groups = cursors.groups();
  for (let i: u32 = 0; i < scanCount(transaction); i++) {
    const scan = scanAt(transaction, i);
    range.prefix = transaction.data + (scan.bounds as usize);
    range.prefixBytes = scan.prefixBytes;
    range.start = range.prefix + (scan.prefixBytes as usize);
    range.startBytes = scan.startBytes;
    range.end = range.start + (scan.startBytes as usize);
    range.endBytes = scan.endBytes;
    for (let table = rangeFirst(run, scan.tag, range, groups); table !== null; ) {
      if (table.stamp > transaction.start && keeps(RULE_RANGES_VALIDATED)) {
        const status = validateRange(run, table, transaction.start, range, cursors.entries());
        if (status != STATUS_OK) return status;
      }
      table = rangeNext(run, scan.tag, groups);
    }
  }
  return STATUS_OK;
}

/**
 * Whether the keys of a range are those that the transaction saw when it began. Values do not matter here: those that a scan
 * has returned are in the read set.
 */
function validateRange(run: Run, table: Table, start: u64, range: Range, cursor: Cursor): u32 {
  cursor.place = 0;
  cursor.slot = 0;
  for (let entry = cursorNext(table, cursor); entry !== null; entry = cursorNext(table, cursor)) {
    if (entry.head == 0 || changetype<Version>(entry.head).number <= start) continue;
    if (!rangeHas(range, entryKey(entry), entry.keyBytes as u32)) continue;
    if ((valueAt(entry, start) === null) != (liveHead(entry) === null)) return conflictWith(run, entry);
  }
  return STATUS_OK;
}

/** What a conflict is called: with a version that is not yet published, the host makes that durable before it reports. */
function conflictWith(run: Run, entry: Entry | null): u32 {
  const pending = entry !== null && entry.head != 0 && changetype<Version>(entry.head).number > run.visible;
  return pending ? STATUS_CONFLICT_PENDING : STATUS_CONFLICT;
}

/** Makes a record, and where the key is new an entry, for everything that a transaction writes; a status. */
function reserveWrites(run: Run, transaction: Transaction): u32 {
  const arena = runArena(run);
  for (let i: u32 = 0; i < touchedCount(transaction); i++) {
    const item = touchedAt(transaction, i);
    if ((item.flags & TOUCHED_WRITTEN) == 0) continue;
    const tag = item.tag as u32;
    const value = touchedValue(transaction, item);
    const key = touchedKey(transaction, item);
    let entry = findEntry(run, tag, item.hash, key, item.keyBytes as u32);
    // Deleting what is not there is nothing to write down.
    if (value.length == TOMBSTONE && liveHead(entry) === null) continue;
    if (entry === null) entry = entryInsert(run, tag, item.hash, key, item.keyBytes as u32);
    if (entry === null) return STATUS_STORE_FULL;
    item.table = changetype<usize>(foundTable());
    item.target = changetype<usize>(entry);
    const record = versionMake(arena, value.length);
    if (record === null) return STATUS_STORE_FULL;
    item.record = changetype<usize>(record);
    if (value.length != TOMBSTONE) memory.copy(versionValue(record), versionValue(value), value.length);
  }
  return STATUS_OK;
}

/** Gives back what reserveWrites had made. */
function giveBackWrites(run: Run, transaction: Transaction): void {
  for (let i: u32 = 0; i < touchedCount(transaction); i++) {
    const item = touchedAt(transaction, i);
    if (item.record) versionFree(runArena(run), changetype<Version>(item.record));
    const entry = changetype<Entry>(item.target);
    // One that is in the prune queue was there before, and goes when its turn comes.
    if (item.target != 0 && entry.head == 0 && (entry.flags & ENTRY_QUEUED) == 0) entryRemove(run, entry);
    item.record = 0;
    item.target = 0;
  }
}

function countOperations(transaction: Transaction): u32 {
  let operations: u32 = 0;
  for (let i: u32 = 0; i < touchedCount(transaction); i++) {
    if (touchedAt(transaction, i).record) operations++;
  }
  return operations;
}

function valueBytesOf(record: Version): u32 {
  return record.length == TOMBSTONE ? 0 : record.length;
}

function operationsBytes(transaction: Transaction): u32 {
  let bytes: u32 = 0;
  for (let i: u32 = 0; i < touchedCount(transaction); i++) {
    const item = touchedAt(transaction, i);
    if (item.record) bytes += operationBytes(item.keyBytes as u32, valueBytesOf(changetype<Version>(item.record)));
  }
  return bytes;
}

function encodeWrites(run: Run, transaction: Transaction, item: Item): void {
  let at = recordHeader(run, item);
  for (let i: u32 = 0; i < touchedCount(transaction); i++) {
    const touched = touchedAt(transaction, i);
    if (touched.record == 0) continue;
    const record = changetype<Version>(touched.record);
    const kind = record.length == TOMBSTONE ? OPERATION_DELETE : OPERATION_PUT;
    const key = touchedKey(transaction, touched);
    const valueBytes = valueBytesOf(record);
    at = operationWrite(at, kind, touched.tag as u32, key, touched.keyBytes as u32, versionValue(record), valueBytes);
  }
}

/** Installs what reserveWrites has made; the changes in live entries, of all tables and of key-values, go to `changes`. */
function installWrites(run: Run, transaction: Transaction, version: u64, changes: usize): void {
  let all: i32 = 0;
  let kv: i32 = 0;
  for (let i: u32 = 0; i < touchedCount(transaction); i++) {
    const item = touchedAt(transaction, i);
    if (item.record == 0) continue;
    const entry = changetype<Entry>(item.target);
    const record = changetype<Version>(item.record);
    const keys = keysChange(entry, record.length);
    all += liveChange(item.tag as u32, keys);
    if ((item.tag as u32) == TABLE_KV) kv += keys;
    install(changetype<Table>(item.table), entry, record, version, keys != 0);
    pruneEnqueue(run, entry);
  }
  store<i32>(changes, all);
  store<i32>(changes, kv, 4);
}
