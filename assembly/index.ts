/**
 * The ABI: every export. Each takes its arguments from the host's scratch and its parameters, looks that handles mean what
 * they did, calls the store, and returns a status, an address or a version.
 *
 * Versions and log positions cross as f64, which holds them exactly. A function that returns an address returns a status
 * where it is below STATUS_LIMIT; one that returns a version returns a status negated.
 */

import { acquire } from "./acquire";
import { heapFormat } from "./arena";
import { Walk, walkFinish, walkFree, walkMake, walkRun, walkStep } from "./checkpoint";
import { checksum, checksumFormat } from "./checksum";
import {
  ABI_VERSION,
  BEGUN_DEPENDS_OFFSET,
  BEGUN_GENERATION_OFFSET,
  COUNTER_COMMITS,
  COUNTER_ENTRIES,
  COUNTER_HORIZON,
  COUNTER_LOG_CHAIN,
  COUNTER_OLDEST_HELD,
  COUNTER_RUNS,
  ENTRY_HEADER_BYTES,
  ENTRY_KNOWN,
  LOG_BUSY,
  SCRATCH_BOUNDS_BYTES,
  SLOT_RUN_STALE,
  STATUS_BUSY_LOCK,
  STATUS_CLOSED,
  STATUS_DRAIN_FIRST,
  STATUS_INVALID_ARGUMENT,
  STATUS_LIMIT,
  STATUS_MISSING,
  STATUS_NOTHING,
  STATUS_OK,
  STATUS_POISONED,
  STATUS_RUN_STALE,
  STATUS_STORE_FULL,
  STATUS_TRANSACTION_CLOSED,
  STATUS_UNDONE,
  STEP_BUSY,
  STEP_LOST,
  TOMBSTONE,
  WATERMARK_CLOSED,
} from "./constants";
import { Entry } from "./entry";
import { hashKey } from "./hash";
import { publishedHorizon } from "./horizon";
import { collect } from "./listing";
import { refusal, refused } from "./lock";
import { READS_MAX, readAbandon, readBegin, readHolds } from "./optimistic";
import { deadBytes, PRUNE_CHAINS_PER_RELEASE, pruneBelow, raisedFloor, runTrim } from "./prune";
import { publishReady, undoUnwritten } from "./publish";
import { drainAccept, drainNext, logUnlock, queueFormat, queueLock, queueSynced, queueWatermark } from "./queue";
import { findEntry, foundEntry, foundVersion, readAt, readHeld, readLatest } from "./reads";
import { recoverRecords, recoverReseal, recoverWatermark } from "./recovery";
import { restoreEnd, restoreRecords } from "./restore";
import {
  commitsOfAll,
  directoryLock,
  directoryTryLock,
  directoryUnlock,
  hasRetired,
  liveEntriesOfAll,
  RUN_POISONED,
  Run,
  retiredReclaim,
  runArena,
  runChange,
  runExistsAt,
  runFind,
  runFindAt,
  runForgetUnused,
  runIdsFrom,
  runIdTake,
  runIs,
  runIsLost,
  runLive,
  runLock,
  runMake,
  runSequence,
  runShows,
  runTryLock,
  runUnlock,
  systemArena,
  runVisible as visibleOf,
} from "./run";
import { matchBase, Range, scanCollect, scanMatched, scanNarrow, scanNoteReads, scanOrder } from "./scan";
import {
  scratchBounds,
  scratchCursors,
  scratchKey,
  scratchMake,
  scratchRange,
  scratchResult,
  scratchValue,
  scratchValueBytes,
  scratchReserve as valueReserve,
} from "./scratch";
import { snapshotsHeld as held, NO_SLOT, oldestHeld, snapshotRelease, snapshotVersion } from "./snapshots";
import { commitDeletion, commitOne, commitTransaction, wouldCommit } from "./store";
import { SUPERBLOCK_MAGIC, Superblock, superblock } from "./superblock";
import { tableMake } from "./table";
import {
  countReads,
  noteRead,
  noteScan,
  noteWrite,
  TOUCHED_WRITTEN,
  Transaction,
  touchedFind,
  touchedValue,
  transactionBegin,
  transactionEnd,
  transactionIs,
  transactionIsDoomed,
  transactionLost,
} from "./transaction";
import { Traversal, traversalFree, traversalMake, traversalStep } from "./traverse";
import { verifyHeap } from "./verify";

import { openOfAll, worker, workerEnter, workerIndex, workerSeen } from "./workers";

const SHARED: bool = ASC_FEATURE_THREADS;

export { scratchBounds, scratchKey, scratchResult, scratchValue, scratchValueBytes };

// The memory and the instance.

/** The version of this interface; the host refuses a module of another. */
export function abiVersion(): u32 {
  return ABI_VERSION;
}

/** Formats a fresh memory as an empty database; a status. Called once, before any instance attaches. */
export function format(memoryLimit: u32, seedLow: u32, seedHigh: u32, capabilities: u32, recordBytesMax: u32): u32 {
  const sb = superblock();
  if (sb.magic == SUPERBLOCK_MAGIC) return STATUS_INVALID_ARGUMENT;
  sb.abiVersion = ABI_VERSION;
  sb.seed = (seedLow as u64) | ((seedHigh as u64) << 32);
  sb.capabilities = capabilities;
  sb.recordBytesMax = recordBytesMax;
  checksumFormat();
  heapFormat(memoryLimit as usize);
  queueFormat();
  const directory = tableMake(systemArena());
  if (directory === null) return STATUS_STORE_FULL;
  sb.directory = changetype<usize>(directory);
  sb.magic = SUPERBLOCK_MAGIC;
  return STATUS_OK;
}

/**
 * Takes a worker's slot for this instance, the one at an index if its word is still `word`, or with WORKER_NONE any, and makes
 * its scratch; a status, STATUS_NOTHING where the slot cannot be had. `canWait`:
 * whether the instance may be put to sleep. The slot's index is in the result area then.
 */
export function attach(wanted: u32, word: u32, canWait: u32): u32 {
  const sb = superblock();
  if (sb.magic != SUPERBLOCK_MAGIC) return STATUS_INVALID_ARGUMENT;
  if (sb.closed != 0) return STATUS_CLOSED;
  if (!workerEnter(wanted, word, canWait != 0)) return STATUS_NOTHING;
  workerSeen();
  const status = refusal(scratchMake());
  if (SHARED && status == STATUS_OK) store<u32>(scratchResult(), workerIndex());
  return status;
}

/** Makes room for a value of `bytes` in the value scratch; a status. What stood in it is gone. */
export function scratchReserve(bytes: u32): u32 {
  return refusal(valueReserve(bytes));
}

/**
 * Checks every invariant of the heap, with `atRest` those too that only hold while no other worker is in the core; 0 or the
 * number of the one that is broken.
 */
export function verify(atRest: u32): u32 {
  return verifyHeap(atRest != 0);
}

/** The CRC32C of bytes in memory. */
export function crc32c(pointer: u32, length: u32): u32 {
  return checksum(pointer as usize, length);
}

// Runs.

/**
 * A run that was looked up, and in the result area the generation that handles of it have, also after it was deleted; or a
 * status. The directory's lock, under which both belong together, is given back.
 */
function found(run: Run): usize {
  // Odd while it lives, and one more from its deletion on.
  store<u32>(scratchResult(), (run.generation - 1) | 1);
  const isPoisoned = SHARED && (run.flags & RUN_POISONED) != 0;
  directoryUnlock();
  return isPoisoned ? (STATUS_POISONED as usize) : changetype<usize>(run);
}

/** The same where there is none. */
function notFound(status: u32): usize {
  directoryUnlock();
  return refusal(status) as usize;
}

/** The run whose id is in the key scratch; 0 if there is none, or a status. */
export function runResolve(nameBytes: u32): usize {
  if (!directoryLock()) return STATUS_BUSY_LOCK as usize;
  const run = runFind(scratchKey(), nameBytes);
  return run === null ? notFound(STATUS_MISSING) : found(run);
}

/** The run whose id is in the key scratch, made if need be; or a status. */
export function runCreate(nameBytes: u32): usize {
  if (!directoryLock()) return STATUS_BUSY_LOCK as usize;
  const run = runMake(scratchKey(), nameBytes);
  return run === null ? notFound(STATUS_STORE_FULL) : found(run);
}

/** The incarnation that a version sees of the run whose id is in the key scratch; 0 if there was none, or a status. */
export function runResolveAt(nameBytes: u32, version: f64): usize {
  if (!directoryLock()) return STATUS_BUSY_LOCK as usize;
  const run = runFindAt(scratchKey(), nameBytes, version as u64);
  return run === null ? notFound(STATUS_MISSING) : found(run);
}

/** The run after `run`, or with 0 the first, that has something at a version (negative: what is published); 0 at the end. */
export function runNext(run: usize, version: f64): usize {
  let at = run ? changetype<Run>(run).nextRun : superblock().firstRun;
  while (at != 0 && !runExistsAt(changetype<Run>(at), version < 0, version as u64)) at = changetype<Run>(at).nextRun;
  return at;
}

/** A copy of a run's id, as the key of an entry; 0 where the run is gone meanwhile, or a status. */
export function runName(run: usize): usize {
  if (!SHARED) return changetype<Run>(run).entry;
  if (!directoryLock()) return STATUS_BUSY_LOCK as usize;
  const entry = changetype<Run>(run).entry;
  const copy = scratchKey();
  if (entry) memory.copy(copy, entry, ENTRY_HEADER_BYTES + (changetype<Entry>(entry).keyBytes as u32));
  directoryUnlock();
  return entry ? copy : 0;
}

/** Commits the deletion of a run as a whole; its version, or a status negated. */
export function runDelete(run: usize, generation: u32, mode: u32): f64 {
  if (!directoryLock()) return -(STATUS_BUSY_LOCK as f64);
  const result = commitDeletion(changetype<Run>(run), generation, mode);
  directoryUnlock();
  return refused(result);
}

/** Takes a run that nobody has written to out of the directory; one that has commits or transactions stays. */
export function runDiscard(run: usize, generation: u32): void {
  if (!directoryTryLock()) return;
  runForgetUnused(changetype<Run>(run), generation);
  directoryUnlock();
}

/** The generation of a run's header. */
export function runGeneration(run: usize): u32 {
  return changetype<Run>(run).generation;
}

/** The newest version of a run that readers see, 0 if it has none; a status negated where the handle is stale. */
export function runVisible(run: usize, generation: u32): f64 {
  const header = changetype<Run>(run);
  const visible = visibleOf(header);
  // What of one that a worker has died in is installed is published as ever, in its time.
  const counts = runIs(header, generation) || (SHARED && runIsLost(header) && runIs(header, generation + 2));
  return counts ? (visible as f64) : -(STATUS_RUN_STALE as f64);
}

/** Live entries of a run: of all tables, or of the key-value table. */
export function runCount(run: usize, generation: u32, onlyKv: u32): f64 {
  const header = changetype<Run>(run);
  const live = runLive(header, onlyKv != 0);
  return runIs(header, generation) ? (live as f64) : -(STATUS_RUN_STALE as f64);
}

/** How many commits of a run are installed and not yet published. */
export function runUnpublished(run: usize, generation: u32): u32 {
  const header = changetype<Run>(run);
  return runIs(header, generation) ? header.unpublished : 0;
}

// One key at a time.

/**
 * The newest published value of the key in scratch, as a version record; a status. Between workers it is a copy in the value
 * scratch, good until the next call, and STATUS_LARGE where it does not fit there.
 */
export function get(run: usize, generation: u32, tag: u32, keyBytes: u32): usize {
  const key = scratchKey();
  return readLatest(changetype<Run>(run), generation, tag, hashKey(key, keyBytes, superblock().seed), key, keyBytes);
}

/** The entry of the key in scratch, which the host finds by itself from now on; 0 where it must not. The run is there. */
export function keyKnown(run: usize, tag: u32, keyBytes: u32): usize {
  if (SHARED) return 0;
  const key = scratchKey();
  const entry = findEntry(changetype<Run>(run), tag, hashKey(key, keyBytes, superblock().seed), key, keyBytes);
  if (entry === null) return 0;
  entry.flags |= ENTRY_KNOWN as u16;
  return changetype<usize>(entry);
}

export function knownGoneAddress(): usize {
  return changetype<usize>(superblock()) + offsetof<Superblock>("knownGone");
}

/** The value of the key in scratch at a version that is held; a status. */
export function getAt(run: usize, generation: u32, tag: u32, keyBytes: u32, at: f64): usize {
  const header = changetype<Run>(run);
  if (!runShows(header, generation)) return staleness(header) as usize;
  const key = scratchKey();
  const hash = hashKey(key, keyBytes, superblock().seed);
  if (!SHARED) return changetype<usize>(readAt(header, tag, hash, key, keyBytes, at as u64));
  if (!readHeld(header, tag, hash, key, keyBytes, at as u64)) return STATUS_BUSY_LOCK as usize;
  // A run that is poisoned and taken away meanwhile is somebody else's by now.
  return runShows(header, generation) ? changetype<usize>(foundVersion()) : (staleness(header) as usize);
}

/** Why a handle means nothing any more to who reads at a version that is held. */
function staleness(run: Run): u32 {
  return SHARED && (run.flags & RUN_POISONED) != 0 ? STATUS_POISONED : STATUS_RUN_STALE;
}

/** The same to who wants what is published: under the name of one that is lost there may be another by now. */
function stalenessNow(run: Run): u32 {
  return runIsLost(run) ? STATUS_POISONED : STATUS_RUN_STALE;
}

/** Commits a put of the value in scratch to the key in scratch. `expected` is negative where any version will do. */
export function put(
  run: usize,
  generation: u32,
  tag: u32,
  keyBytes: u32,
  valueBytes: u32,
  mode: u32,
  expected: f64,
): f64 {
  const result = commitOne(
    changetype<Run>(run),
    generation,
    tag,
    scratchKey(),
    keyBytes,
    scratchValue(),
    valueBytes,
    mode,
    expected as i64,
    scratchResult(),
  );
  return refused(result);
}

/** Commits a deletion of the key in scratch. */
export function remove(run: usize, generation: u32, tag: u32, keyBytes: u32, mode: u32, expected: f64): f64 {
  const result = commitOne(
    changetype<Run>(run),
    generation,
    tag,
    scratchKey(),
    keyBytes,
    0,
    TOMBSTONE,
    mode,
    expected as i64,
    scratchResult(),
  );
  return refused(result);
}

// Listings.

/** The bounds in scratch as a range. */
function boundsRange(prefixBytes: u32, startBytes: u32, endBytes: u32): Range {
  const range = scratchRange();
  range.prefix = scratchBounds();
  range.prefixBytes = prefixBytes;
  range.start = range.prefix + prefixBytes;
  range.startBytes = startBytes;
  range.end = range.start + startBytes;
  range.endBytes = endBytes;
  return range;
}

/**
 * Collects the first `limit` keys in the bounds in scratch that have a value at a version (negative: what is published), or
 * with limit 0 only counts all of them; a status.
 */
export function scan(
  run: usize,
  generation: u32,
  tag: u32,
  at: f64,
  prefixBytes: u32,
  startBytes: u32,
  endBytes: u32,
  limit: u32,
  reverse: u32,
): u32 {
  const header = changetype<Run>(run);
  if (at < 0 ? !runIs(header, generation) : !runShows(header, generation)) {
    return SHARED && at < 0 ? stalenessNow(header) : staleness(header);
  }
  if (prefixBytes + startBytes + endBytes > SCRATCH_BOUNDS_BYTES) return STATUS_INVALID_ARGUMENT;
  const range = boundsRange(prefixBytes, startBytes, endBytes);
  if (SHARED && at < 0) return collectLatest(header, generation, tag, range, limit, reverse != 0);
  const version = at < 0 ? visibleOf(header) : (at as u64);
  const status = collect(header, tag, version, range, null, limit, reverse != 0);
  // A run that is poisoned and taken away meanwhile is somebody else's by now.
  return SHARED && !runShows(header, generation) ? staleness(header) : status;
}

/**
 * Collects at what is published. That is looked up between the same two looks at the sequence: nobody holds it, so that a
 * moment later what stood there may be gone.
 */
function collectLatest(run: Run, generation: u32, tag: u32, range: Range, limit: u32, reverse: bool): u32 {
  const cursors = scratchCursors();
  for (let attempt: u32 = 0; attempt < READS_MAX && readBegin(runSequence(run)); attempt++) {
    const isCurrent = runIs(run, generation);
    const status = scanCollect(run, tag, visibleOf(run), range, null, cursors, limit, reverse);
    if (readHolds()) return isCurrent ? refusal(status) : stalenessNow(run);
  }
  readAbandon();
  if (!runLock(run)) return STATUS_BUSY_LOCK;
  const isCurrent = runIs(run, generation);
  const status = scanCollect(run, tag, visibleOf(run), range, null, cursors, limit, reverse);
  runUnlock(run);
  return isCurrent ? refusal(status) : stalenessNow(run);
}

/** The same inside a transaction, which notes the range. */
export function transactionScan(
  handle: usize,
  generation: u32,
  tag: u32,
  prefixBytes: u32,
  startBytes: u32,
  endBytes: u32,
  limit: u32,
  reverse: u32,
): u32 {
  const transaction = changetype<Transaction>(handle);
  if (!transactionIs(transaction, generation)) return STATUS_TRANSACTION_CLOSED;
  if (prefixBytes + startBytes + endBytes > SCRATCH_BOUNDS_BYTES) return STATUS_INVALID_ARGUMENT;
  if (transactionIsDoomed(transaction)) return STATUS_UNDONE;
  const range = boundsRange(prefixBytes, startBytes, endBytes);
  const status = noteScan(transaction, tag, range.prefix, prefixBytes, startBytes, endBytes);
  if (status != STATUS_OK) return refusal(status);
  const run = changetype<Run>(transaction.run);
  const collected = collect(run, tag, transaction.start, range, transaction, limit, reverse != 0);
  const lost = transactionLost(transaction);
  return lost != STATUS_OK ? lost : collected;
}

/** Ends the range that a transaction has just scanned where its ordered listing ends, if that is at its limit; a status. */
export function transactionNarrow(handle: usize, generation: u32): u32 {
  const transaction = changetype<Transaction>(handle);
  if (!transactionIs(transaction, generation)) return STATUS_TRANSACTION_CLOSED;
  scanNarrow(transaction);
  return STATUS_OK;
}

/** How many keys the last scan has collected. */
export function scanCount(): u32 {
  return scanMatched();
}

/** Orders what the last scan has collected; returns how many keys that are. */
export function scanSort(): u32 {
  return scanOrder();
}

/** Notes the first `count` keys of the ordered scan as read; a status. */
export function transactionNoteScanned(handle: usize, generation: u32, tag: u32, count: u32): u32 {
  const transaction = changetype<Transaction>(handle);
  if (!transactionIs(transaction, generation)) return STATUS_TRANSACTION_CLOSED;
  return refusal(scanNoteReads(transaction, tag, count));
}

/** Where the collected keys stand: (key, key bytes, version record), 12 bytes each. */
export function scanBase(): usize {
  return matchBase();
}

// Graphs.

/** An id that the graph of a run has not given before; 0 as long as it is not said from where on, or a status negated. */
export function runTakeId(run: usize, generation: u32): f64 {
  const header = changetype<Run>(run);
  return runIs(header, generation) ? (runIdTake(header) as f64) : -(STATUS_RUN_STALE as f64);
}

/** Says from which id on the graph of a run has given none. */
export function runFreeIds(run: usize, generation: u32, first: f64): void {
  const header = changetype<Run>(run);
  if (runIs(header, generation)) runIdsFrom(header, first as u64);
}

/** A walk from a node over the edge types in the value scratch, or a status. It is given back by traverseClose. */
export function traverseOpen(start: f64, typesBytes: u32): usize {
  const traversal = traversalMake(start, scratchValue(), typesBytes);
  return traversal === null ? (refusal(STATUS_STORE_FULL) as usize) : changetype<usize>(traversal);
}

export function traverseClose(traversal: usize): void {
  traversalFree(changetype<Traversal>(traversal));
}

/** Goes on with a walk at a version that is held, by at most `rowsMax` nodes; a status. */
export function traverseStep(traversal: usize, run: usize, generation: u32, at: f64, sides: u32, rowsMax: u32): u32 {
  const header = changetype<Run>(run);
  if (!runShows(header, generation)) return staleness(header);
  const status = traversalStep(changetype<Traversal>(traversal), header, at as u64, null, sides, rowsMax);
  return SHARED && !runShows(header, generation) ? staleness(header) : refusal(status);
}

/** The same as a transaction sees it, which notes what is looked at. */
export function transactionTraverse(traversal: usize, handle: usize, generation: u32, sides: u32, rowsMax: u32): u32 {
  const transaction = changetype<Transaction>(handle);
  if (!transactionIs(transaction, generation)) return STATUS_TRANSACTION_CLOSED;
  if (transactionIsDoomed(transaction)) return STATUS_UNDONE;
  const run = changetype<Run>(transaction.run);
  const walk = changetype<Traversal>(traversal);
  const status = traversalStep(walk, run, transaction.start, transaction, sides, rowsMax);
  const lost = transactionLost(transaction);
  return lost != STATUS_OK ? lost : refusal(status);
}

// Snapshots.

/**
 * Holds what is published now, of one run or with run 0 of the database. The version stands in the result area; the slot is
 * returned, SLOT_NONE where all are taken, SLOT_RUN_STALE where the handle is. With `reserved` it may be one of the reserve:
 * for reads that let go of it within the call that took it.
 */
export function snapshotTake(run: usize, generation: u32, reserved: u32): u32 {
  const header = changetype<Run>(run);
  if (run != 0 && !runIs(header, generation)) return SLOT_RUN_STALE;
  const slot = acquire(run == 0 ? null : header, false, reserved != 0);
  if (SHARED && slot != NO_SLOT && run != 0 && !runIs(header, generation)) {
    snapshotRelease(slot);
    return SLOT_RUN_STALE;
  }
  if (slot != NO_SLOT) store<f64>(scratchResult(), snapshotVersion(slot) as f64);
  return slot;
}

/** Lets go of a snapshot, and prunes some of what only it saw. */
export function snapshotDrop(slot: u32, run: usize, generation: u32): void {
  snapshotRelease(slot);
  if (hasRetired()) reclaimDeleted();
  const header = changetype<Run>(run);
  if (run == 0 || header.pruneCount == 0 || !runIs(header, generation)) return;
  // Whoever has the lock is writing, and prunes as well.
  if (!runTryLock(header)) return;
  if (header.pruneCount != 0 && runIs(header, generation)) {
    runChange(header);
    pruneBelow(header, PRUNE_CHAINS_PER_RELEASE);
    runTrim(header);
  }
  runUnlock(header);
}

function reclaimDeleted(): void {
  if (!directoryTryLock()) return;
  retiredReclaim(raisedFloor());
  directoryUnlock();
}

// Transactions.

/**
 * Begins a transaction on a run; its context, or a status. In the result area then stand what a handle needs to know:
 * the version it started at, the newest unpublished version that it may read (0: none), and the context's generation.
 */
export function transactionOpen(run: usize, generation: u32, how: u32): usize {
  if (superblock().closed != 0) return STATUS_CLOSED as usize;
  const handle = transactionBegin(changetype<Run>(run), generation, how);
  if (handle < (STATUS_LIMIT as usize)) return refusal(handle as u32) as usize;
  const transaction = changetype<Transaction>(handle);
  store<f64>(scratchResult(), transaction.start as f64);
  store<f64>(scratchResult() + BEGUN_DEPENDS_OFFSET, transaction.dependsOn as f64);
  store<u32>(scratchResult() + BEGUN_GENERATION_OFFSET, transaction.generation);
  return handle;
}

/** What a transaction has written to the key in scratch or else sees of it, as a version record; a status. */
export function transactionGet(handle: usize, generation: u32, tag: u32, keyBytes: u32): usize {
  const transaction = changetype<Transaction>(handle);
  if (!transactionIs(transaction, generation)) return STATUS_TRANSACTION_CLOSED as usize;
  if (transactionIsDoomed(transaction)) return STATUS_UNDONE as usize;
  const key = scratchKey();
  const hash = hashKey(key, keyBytes, superblock().seed);
  const own = touchedFind(transaction, tag, hash, key, keyBytes);
  if (own !== null && (own.flags & TOUCHED_WRITTEN) != 0) {
    const written = touchedValue(transaction, own);
    return written.length == TOMBSTONE ? (STATUS_MISSING as usize) : changetype<usize>(written);
  }
  if (!readHeld(changetype<Run>(transaction.run), tag, hash, key, keyBytes, transaction.start)) {
    return STATUS_BUSY_LOCK as usize;
  }
  const lost = transactionLost(transaction);
  if (lost != STATUS_OK) return lost as usize;
  const version = foundVersion();
  const seen: u64 = version === null ? 0 : version.number;
  const status = noteRead(transaction, tag, hash, key, keyBytes, seen, foundEntry());
  return status != STATUS_OK ? (refusal(status) as usize) : changetype<usize>(version);
}

/** Writes the value in scratch to the key in scratch within a transaction; a status. */
export function transactionPut(handle: usize, generation: u32, tag: u32, keyBytes: u32, valueBytes: u32): u32 {
  const transaction = changetype<Transaction>(handle);
  if (!transactionIs(transaction, generation)) return STATUS_TRANSACTION_CLOSED;
  const key = scratchKey();
  const hash = hashKey(key, keyBytes, superblock().seed);
  return refusal(noteWrite(transaction, tag, hash, key, keyBytes, scratchValue(), valueBytes));
}

/** Deletes the key in scratch within a transaction; a status. */
export function transactionRemove(handle: usize, generation: u32, tag: u32, keyBytes: u32): u32 {
  const transaction = changetype<Transaction>(handle);
  if (!transactionIs(transaction, generation)) return STATUS_TRANSACTION_CLOSED;
  const key = scratchKey();
  const hash = hashKey(key, keyBytes, superblock().seed);
  return refusal(noteWrite(transaction, tag, hash, key, keyBytes, 0, TOMBSTONE));
}

/**
 * Commits a transaction; its version or a status negated. It has ended then, unless that is STATUS_DRAIN_FIRST, which asks
 * to be called again.
 */
export function transactionCommit(handle: usize, generation: u32, mode: u32): f64 {
  const transaction = changetype<Transaction>(handle);
  if (!transactionIs(transaction, generation)) return -(STATUS_TRANSACTION_CLOSED as f64);
  const result = commitTransaction(transaction, mode, scratchCursors(), scratchRange());
  if (result != -(STATUS_DRAIN_FIRST as i64)) end(transaction);
  return refused(result);
}

/** Whether a transaction would pass its validation now; a status. For tracing: nothing is changed by it. */
export function transactionValidate(handle: usize, generation: u32): u32 {
  const transaction = changetype<Transaction>(handle);
  if (!transactionIs(transaction, generation)) return STATUS_TRANSACTION_CLOSED;
  const run = changetype<Run>(transaction.run);
  if (!runLock(run)) return STATUS_BUSY_LOCK;
  // What it has read may be gone with what was undone.
  const isDoomed = transactionIsDoomed(transaction);
  const status = isDoomed ? STATUS_UNDONE : wouldCommit(transaction, scratchCursors(), scratchRange());
  runUnlock(run);
  return status;
}

/** How many keys a transaction has read, and how many it has written. */
export function transactionReads(handle: usize): u32 {
  return countReads(changetype<Transaction>(handle));
}

export function transactionWrites(handle: usize): u32 {
  return changetype<Transaction>(handle).writes;
}

/** Ends a transaction without a commit; a status: STATUS_UNDONE where it may have read what was undone since it began. */
export function transactionClose(handle: usize, generation: u32): u32 {
  const transaction = changetype<Transaction>(handle);
  if (!transactionIs(transaction, generation)) return STATUS_TRANSACTION_CLOSED;
  const status = transactionIsDoomed(transaction) ? STATUS_UNDONE : STATUS_OK;
  end(transaction);
  return status;
}

function end(transaction: Transaction): void {
  transactionEnd(transaction);
  if (hasRetired()) reclaimDeleted();
}

// The log.

/** Where the log goes on: position, the checksum to carry, the epoch to write, and what is known to be synced. */
export function logBegin(position: f64, chain: u32, epoch: u32, watermark: f64): void {
  const sb = superblock();
  sb.logPosition = position as u64;
  sb.logChain = chain;
  sb.logEpoch = epoch;
  sb.logWatermark = watermark as u64;
}

/** Moves the version counter up to at least `version`. */
export function versionRaise(version: f64): void {
  const sb = superblock();
  sb.version = max(sb.version, version as u64);
  sb.logWrittenVersion = max(sb.logWrittenVersion, version as u64);
}

/** Seals the next records to write; their bytes, 0 when all are written. They stand at drainPointer. */
export function drain(bytesMax: u32): u32 {
  if (!queueLock()) return LOG_BUSY;
  const bytes = drainNext(bytesMax);
  logUnlock();
  return bytes;
}

/** The sealed records are written. Publishes what that makes durable enough; 1 if more is queued. */
export function drained(): u32 {
  if (!queueLock()) return LOG_BUSY;
  const sb = superblock();
  drainAccept(sb.drainBytes);
  publishReady();
  const more: u32 = sb.queueWritten == sb.queueTail ? 0 : 1;
  unlockPublished();
  return more;
}

/** After something was published: gives the log's lock back, and then what deleted runs have left. */
function unlockPublished(): void {
  logUnlock();
  if (SHARED && hasRetired()) reclaimDeleted();
}

/**
 * The append failed for want of room after `bytes` bytes. Whole records stay; everything unpublished behind them is undone.
 * Returns how many commits were.
 */
export function drainFailed(bytes: u32): u32 {
  if (!queueLock()) return LOG_BUSY;
  drainAccept(bytes);
  const undone = undoUnwritten();
  unlockPublished();
  return undone;
}

/** Everything below a log position is durable. Publishes what waited for that. */
export function synced(position: f64): u32 {
  if (!queueLock()) return LOG_BUSY;
  queueSynced(position as u64);
  publishReady();
  unlockPublished();
  return STATUS_OK;
}

/** Queues a watermark record; a status. */
export function watermark(mode: u32): u32 {
  if (!queueLock()) return STATUS_BUSY_LOCK;
  // Behind the note that it was closed stands nothing.
  const isLate = SHARED && superblock().closed != 0 && mode != WATERMARK_CLOSED;
  const status = isLate ? STATUS_CLOSED : queueWatermark(mode);
  logUnlock();
  return status;
}

/** Applies the records at an address; the bytes taken. Status, kind and mode stand in the result area. */
export function recover(pointer: u32, length: u32): u32 {
  return recoverRecords(pointer as usize, length, scratchResult());
}

/** The highest watermark that a whole record header in these bytes carries. */
export function recoverSearch(pointer: u32, length: u32, position: f64): f64 {
  return recoverWatermark(pointer as usize, length, position as u64) as f64;
}

/** Seals the records at an address, which are of `epoch`, anew where the log begins; a status. */
export function reseal(pointer: u32, length: u32, epoch: u32): u32 {
  return recoverReseal(pointer as usize, length, epoch);
}

// Checkpoints.

/** The version of a run that `version` sees; a status negated where nobody can say what is in it. */
export function runVersionAt(run: usize, version: f64): f64 {
  if (!runExistsAt(changetype<Run>(run), false, version as u64)) return -(STATUS_MISSING as f64);
  if (SHARED && changetype<Run>(run).flags & RUN_POISONED) return -(STATUS_POISONED as f64);
  return min(changetype<Run>(run).visible, version as u64) as f64;
}

/** Begins the records of what `version` sees, behind a header with this checksum; what is under way, or a status. */
export function checkpointBegin(version: f64, headerCrc: u32, epoch: u32): usize {
  const walk = walkMake(version as u64, headerCrc, epoch);
  return walk === null ? (refusal(STATUS_STORE_FULL) as usize) : changetype<usize>(walk);
}

/** Goes on with a run, which is at `version` in the checkpoint. */
export function checkpointRun(walk: usize, run: usize, version: f64): void {
  walkRun(changetype<Walk>(walk), changetype<Run>(run), version as u64);
}

/** Writes one record of the run behind the first `offset` bytes of the value scratch; its length. */
export function checkpointStep(walk: usize, offset: u32): u32 {
  const at = scratchValue() + (offset as usize);
  const room = scratchValueBytes() - offset;
  if (!SHARED) return walkStep(changetype<Walk>(walk), at, room, scratchCursors().entries(), scratchResult());
  const run = changetype<Run>(changetype<Walk>(walk).run);
  store<u32>(scratchResult(), STEP_BUSY);
  if (!runLock(run)) return 0;
  if (run.flags & RUN_POISONED) {
    runUnlock(run);
    store<u32>(scratchResult(), STEP_LOST);
    return 0;
  }
  const length = walkStep(changetype<Walk>(walk), at, room, scratchCursors().entries(), scratchResult());
  runUnlock(run);
  return length;
}

/** Writes the last record of a checkpoint in the same way. */
export function checkpointFinish(walk: usize, offset: u32): u32 {
  return walkFinish(changetype<Walk>(walk), scratchValue() + (offset as usize));
}

/** Lets go of what writing a checkpoint has worked with. */
export function checkpointEnd(walk: usize): void {
  walkFree(changetype<Walk>(walk));
}

/** Restores the records of a checkpoint of `version` at an address; the bytes taken. Status and kind stand in the result area. */
export function restore(pointer: u32, length: u32, version: f64): u32 {
  return restoreRecords(pointer as usize, length, version as u64, scratchResult());
}

/** A checkpoint is restored whole; what it says of the log behind it. */
export function restored(version: f64, given: f64, written: f64, commits: f64): void {
  restoreEnd(version as u64, given as u64, written as u64, commits as u64);
}

// Counters that the host asks for between operations.

/** Where the counters stand that the host reads after every commit, so that it need not call for them. */
export function versionAddress(): usize {
  return changetype<usize>(superblock()) + offsetof<Superblock>("version");
}

export function drainPointerAddress(): usize {
  return changetype<usize>(superblock()) + offsetof<Superblock>("drainPointer");
}

export function unpublishedAddress(): usize {
  return changetype<usize>(superblock()) + offsetof<Superblock>("queueUnpublished");
}

export function logPosition(): f64 {
  return superblock().logPosition as f64;
}

export function logWatermark(): f64 {
  return superblock().logWatermark as f64;
}

export function writtenVersion(): f64 {
  return superblock().logWrittenVersion as f64;
}

/** Bytes of records that are queued and not yet written. */
export function unwrittenBytes(): u32 {
  return superblock().queueUnwrittenBytes;
}

/** What the host asks for now and then: one of COUNTER_… */
export function counter(which: u32): f64 {
  const sb = superblock();
  if (which == COUNTER_HORIZON) return publishedHorizon() as f64;
  if (which == COUNTER_ENTRIES) return liveEntriesOfAll() as f64;
  if (which == COUNTER_COMMITS) return commitsOfAll() as f64;
  if (which == COUNTER_OLDEST_HELD) return oldestHeld() as f64;
  if (which == COUNTER_LOG_CHAIN) return sb.logChain as f64;
  return (which == COUNTER_RUNS ? sb.runsLive : sb.heapFreeBytes) as f64;
}

/** The most entries that one put has moved. */
export function movedMax(): u32 {
  return superblock().movedMax;
}

/**
 * What the arenas of all runs hold: bytes of their extents, of blocks in use, of free blocks between those, and of what is
 * not the newest; then snapshots held, transactions open, and contexts of this worker that keep their buffers for reuse.
 */
export function use(): void {
  let extents: u64 = 0;
  let used: u64 = 0;
  let free: u64 = 0;
  let dead: u64 = 0;
  for (let at = superblock().firstRun; at; at = changetype<Run>(at).nextRun) {
    const run = changetype<Run>(at);
    const arena = runArena(run);
    extents += arena.extentBytes as u64;
    used += arena.usedBytes as u64;
    free += arena.freeBytes as u64;
    // Of a run that somebody holds for long, nothing is dead.
    if ((SHARED && (run.flags & RUN_POISONED) != 0) || !runLock(run)) continue;
    dead += run.deleted != 0 ? (arena.usedBytes as u64) : deadBytes(run);
    runUnlock(run);
  }
  store<f64>(scratchResult(), extents as f64);
  store<f64>(scratchResult(), used as f64, 8);
  store<f64>(scratchResult(), free as f64, 16);
  store<f64>(scratchResult(), dead as f64, 24);
  store<f64>(scratchResult(), held() as f64, 32);
  store<f64>(scratchResult(), openOfAll() as f64, 40);
  store<f64>(scratchResult(), worker().poolCount as f64, 48);
}
