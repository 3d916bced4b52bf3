/**
 * The log queue: commits that are installed, in version order, until they are both written and published.
 *
 *   items    a ring; a commit's place is its sequence number
 *   chunks   extents that the records stand in, one behind the other, so that what is to be written is mostly contiguous
 *
 *   released ≤ publishedTo, synced, written ≤ tail; written ≤ sealed ≤ tail
 *
 * A committer takes version and place together under the log lock, after it has made sure of the memory for both. One
 * drainer at a time seals and writes in order. What happens to runs when items move on stands in publish.ts.
 */

import { EXTENT_HEADER_BYTES, extentAllocate, extentFree, extentOrder, extentOwn, extentsOf, orderFor } from "./arena";
import { store64 } from "./atomics";
import {
  DEFERRED_BYTES_MAX,
  RECORD_COMMIT,
  RECORD_WATERMARK,
  STATUS_OK,
  STATUS_STORE_FULL,
  VERSION_MAX,
} from "./constants";
import { lockAcquire, lockRelease, lockSeize } from "./lock";
import { recordBegin, recordCrc, recordOverhead, recordSeal } from "./record";
import { Superblock, superblock } from "./superblock";

const SHARED: bool = ASC_FEATURE_THREADS;

export const ITEM_QUEUED: u8 = 0;
export const ITEM_SEALED: u8 = 1;
export const ITEM_WRITTEN: u8 = 2;
export const ITEM_SYNCED: u8 = 3;
export const ITEM_UNDONE: u8 = 4;

const ITEMS_MIN: u32 = 64;
const CHUNK_ORDER_MIN: u32 = 16;

@unmanaged
export class Item {
  version: u64;
  /** The log position of the record's first byte, once sealed. */
  position: u64;
  /** What `installed` of the run was before, for undoing. */
  previousInstalled: u64;
  /** The run's header, or 0 for a watermark. */
  run: usize;
  record: usize;
  length: u32;
  operations: u32;
  liveChange: i32;
  liveKvChange: i32;
  mode: u8;
  state: u8;
  published: u8;
  kind: u8;
  /** Whether it is the deletion of its run. */
  deletesRun: u8;
  /** Between workers: whether its record is encoded, so that it counts though its worker dies. */
  whole: u8;
}

const ITEM_ORDER: u32 = 6;
const ITEM_BYTES: u32 = 1 << ITEM_ORDER;

/** What stands at the front of a chunk's extent. */
@unmanaged
class Chunk {
  next: usize;
  end: usize;
  at: usize;
  /** Items whose records are in it. */
  items: u32;
}

function logLockAddress(): usize {
  return changetype<usize>(superblock()) + offsetof<Superblock>("logLock");
}

/** Takes the log's lock; false when it could not be had in time. */
export function logLock(): bool {
  return lockAcquire(logLockAddress());
}

/** The same for who looks into the queue; false also where nobody can say what is in it. */
export function queueLock(): bool {
  if (!logLock()) return false;
  if (!SHARED || superblock().queueLost == 0) return true;
  logUnlock();
  return false;
}

/** The same for who had it a moment ago and cannot leave things as they are. */
export function logLockAlways(): void {
  while (!lockAcquire(logLockAddress())) {}
}

export function logUnlock(): void {
  lockRelease(logLockAddress());
}

/** Takes the log's lock over from a dead worker; false if that does not hold it. */
export function logSeize(dead: u32): bool {
  return lockSeize(logLockAddress(), dead);
}

/** The item at a sequence number between released and tail. */
export function itemAt(sb: Superblock, sequence: u32): Item {
  const index = sequence & (sb.queueCapacity - 1);
  return changetype<Item>(sb.queueItems + ((index * ITEM_BYTES) as usize));
}

function ringMake(capacity: u32): usize {
  const extent = extentAllocate(orderFor((capacity as u64) * (ITEM_BYTES as u64)), changetype<usize>(superblock()));
  return extent ? extent + EXTENT_HEADER_BYTES : 0;
}

function ringGrow(sb: Superblock): bool {
  const capacity = sb.queueCapacity ? sb.queueCapacity << 1 : ITEMS_MIN;
  const ring = ringMake(capacity);
  if (ring == 0) return false;
  for (let sequence = sb.queueReleased; sequence != sb.queueTail; sequence++) {
    const to = ring + (((sequence & (capacity - 1)) * ITEM_BYTES) as usize);
    memory.copy(to, changetype<usize>(itemAt(sb, sequence)), ITEM_BYTES);
  }
  const before = sb.queueItems;
  sb.queueItems = ring;
  sb.queueCapacity = capacity;
  if (before) extentFree(before - EXTENT_HEADER_BYTES);
  return true;
}

function chunkMake(length: u32): usize {
  const order = max(orderFor((length as u64) + (offsetof<Chunk>() as u64)), CHUNK_ORDER_MIN);
  const extent = extentAllocate(order, changetype<usize>(superblock()));
  if (extent == 0) return 0;
  const chunk = changetype<Chunk>(extent + EXTENT_HEADER_BYTES);
  chunk.next = 0;
  chunk.end = extent + ((1 as usize) << order);
  chunk.at = extent + EXTENT_HEADER_BYTES + offsetof<Chunk>();
  chunk.items = 0;
  return changetype<usize>(chunk);
}

/** Takes the spare chunk if it has the room, or makes one. */
function chunkTake(sb: Superblock, length: u32): usize {
  const spare = sb.queueChunkSpare;
  if (spare && changetype<Chunk>(spare).end - changetype<Chunk>(spare).at >= (length as usize)) {
    sb.queueChunkSpare = 0;
    return spare;
  }
  return chunkMake(length);
}

/** Makes sure that one record of `length` bytes can be placed; a status. Under the log lock. */
export function queueReserve(length: u32): u32 {
  const sb = superblock();
  if (sb.queueTail - sb.queueReleased == sb.queueCapacity && !ringGrow(sb)) return STATUS_STORE_FULL;
  const last = sb.queueChunkLast;
  if (last && changetype<Chunk>(last).end - changetype<Chunk>(last).at >= (length as usize)) return STATUS_OK;
  const chunk = chunkTake(sb, length);
  if (chunk == 0) return STATUS_STORE_FULL;
  if (last) changetype<Chunk>(last).next = chunk;
  else sb.queueChunkFirst = chunk;
  sb.queueChunkLast = chunk;
  return STATUS_OK;
}

/**
 * Lets nobody take the version that is given next for a published one (snapshots.ts looks at the counter first). Under the log
 * lock.
 */
export function announceVersion(): void {
  const sb = superblock();
  if (sb.unpublishedFrom != VERSION_MAX) return;
  store64(changetype<usize>(sb) + offsetof<Superblock>("unpublishedFrom"), sb.version + 1);
}

/**
 * Takes the next place for a record that was reserved. Under the log lock. Whoever dies before the record is whole has taken
 * none (queueMend), so that the item comes last into the queue.
 */
export function queuePlace(length: u32, version: u64, kind: u32, mode: u32): Item {
  const sb = superblock();
  const chunk = changetype<Chunk>(sb.queueChunkLast);
  const item = itemAt(sb, sb.queueTail);
  item.version = version;
  item.position = 0;
  item.previousInstalled = 0;
  item.run = 0;
  item.record = chunk.at;
  item.length = length;
  item.operations = 0;
  item.liveChange = 0;
  item.liveKvChange = 0;
  item.mode = mode as u8;
  item.state = ITEM_QUEUED;
  item.published = 0;
  item.kind = kind as u8;
  item.deletesRun = 0;
  if (SHARED) item.whole = 0;
  chunk.at += length;
  chunk.items++;
  sb.queueUnwrittenBytes += length;
  sb.queueTail++;
  return item;
}

/** Notes that the record of an item is encoded. */
export function placeIsWhole(item: Item): void {
  if (SHARED) item.whole = 1;
}

/**
 * Whether a commit that is published before it is written would take the bytes that wait past their limit. One that is
 * larger by itself is taken where nothing waits; the host writes it at once.
 */
export function deferredIsFull(length: u32): bool {
  const waiting = superblock().queueDeferredBytes;
  return waiting != 0 && waiting + length > DEFERRED_BYTES_MAX;
}

/** Queues a watermark record, which tells recovery what was synced; a status. */
export function queueWatermark(mode: u32): u32 {
  const sb = superblock();
  const length = recordOverhead(0);
  const status = queueReserve(length);
  if (status != STATUS_OK) return status;
  const item = queuePlace(length, sb.version, RECORD_WATERMARK, mode);
  item.published = 1;
  recordBegin(item.record, length, item.version, RECORD_WATERMARK, mode, 0, 0, 0);
  placeIsWhole(item);
  return STATUS_OK;
}

/**
 * Seals the next records that stand contiguously, at least one and at most `bytesMax` bytes, for the log as it stands.
 * Returns their bytes, 0 when everything is written; where they are is in drainPointer.
 */
export function drainNext(bytesMax: u32): u32 {
  const sb = superblock();
  while (sb.queueWritten != sb.queueTail && itemAt(sb, sb.queueWritten).state == ITEM_UNDONE) sb.queueWritten++;
  sb.sealedPosition = sb.logPosition;
  sb.sealedChain = sb.logChain;
  sb.drainBytes = 0;
  let sequence = sb.queueWritten;
  for (; sequence != sb.queueTail; sequence++) {
    const item = itemAt(sb, sequence);
    if (sb.drainBytes == 0) sb.drainPointer = item.record;
    const follows = item.record == sb.drainPointer + sb.drainBytes;
    if (item.state == ITEM_UNDONE || !follows || (sb.drainBytes != 0 && sb.drainBytes + item.length > bytesMax)) break;
    // A watermark record says itself what was synced before it; others carry what is known by now.
    sb.sealedChain = recordSeal(item.record, sb.sealedPosition, sb.logWatermark, sb.logEpoch, sb.sealedChain);
    item.position = sb.sealedPosition;
    item.state = ITEM_SEALED;
    sb.sealedPosition += item.length as u64;
    sb.drainBytes += item.length;
  }
  sb.queueSealed = sequence;
  return sb.drainBytes;
}

/** Notes that the sealed records whose bytes lie within the first `bytes` were written whole. */
export function drainAccept(bytes: u32): void {
  const sb = superblock();
  let left = bytes;
  while (sb.queueWritten != sb.queueSealed) {
    const item = itemAt(sb, sb.queueWritten);
    if (item.length > left) break;
    left -= item.length;
    item.state = ITEM_WRITTEN;
    sb.queueUnwrittenBytes -= item.length;
    sb.logPosition += item.length as u64;
    sb.logChain = recordCrc(item.record);
    sb.logWrittenVersion = max(sb.logWrittenVersion, item.version);
    if (item.published && item.kind == (RECORD_COMMIT as u8)) sb.queueDeferredBytes -= item.length;
    sb.queueWritten++;
  }
}

/** Takes the seal of what was not written off again, so that it can be sealed anew. */
export function drainReject(): void {
  const sb = superblock();
  for (let sequence = sb.queueWritten; sequence != sb.queueSealed; sequence++) {
    const item = itemAt(sb, sequence);
    if (item.state == ITEM_SEALED) item.state = ITEM_QUEUED;
  }
  sb.queueSealed = sb.queueWritten;
}

/** Notes that everything below a log position is durable. */
export function queueSynced(position: u64): void {
  const sb = superblock();
  sb.logWatermark = max(sb.logWatermark, position);
  for (let sequence = sb.queueReleased; sequence != sb.queueWritten; sequence++) {
    const item = itemAt(sb, sequence);
    if (item.state == ITEM_WRITTEN && item.position + (item.length as u64) <= position) item.state = ITEM_SYNCED;
  }
}

/** Lets go of the items at the front that are done with, and of the chunks that become empty. */
export function queueRelease(): void {
  const sb = superblock();
  while (sb.queueReleased != sb.queueTail) {
    const item = itemAt(sb, sb.queueReleased);
    const done = item.state == ITEM_UNDONE || (item.published && item.state >= ITEM_WRITTEN);
    if (!done) break;
    sb.queueReleased++;
    releaseRecord(sb);
  }
  if (sb.queuePublishedTo - sb.queueReleased > 0x80000000) sb.queuePublishedTo = sb.queueReleased;
  // What was undone at the front is let go before it was written or sealed: no cursor stays behind.
  if (sb.queueWritten - sb.queueReleased > 0x80000000) sb.queueWritten = sb.queueReleased;
  if (sb.queueSealed - sb.queueReleased > 0x80000000) sb.queueSealed = sb.queueReleased;
}

/**
 * Takes off again what was undone at the end: it is never written, and what stands before it may wait for long. Nobody is writing,
 * and all before it was looked at.
 */
export function queueCut(): void {
  const sb = superblock();
  while (sb.queueTail != sb.queueWritten) {
    const item = itemAt(sb, sb.queueTail - 1);
    if (item.state != ITEM_UNDONE) break;
    const chunk = chunkWithLast(sb);
    chunk.at = item.record;
    chunk.items--;
    sb.queueTail--;
  }
  if (sb.queuePublishedTo - sb.queueReleased > sb.queueTail - sb.queueReleased) sb.queuePublishedTo = sb.queueTail;
}

/** Takes one record off the oldest chunk that has any. */
function releaseRecord(sb: Superblock): void {
  let chunk = changetype<Chunk>(sb.queueChunkFirst);
  while (chunk.items == 0) {
    chunkDrop(sb, chunk);
    chunk = changetype<Chunk>(sb.queueChunkFirst);
  }
  if (--chunk.items != 0) return;
  if (chunk.next) chunkDrop(sb, chunk);
  else chunk.at = changetype<usize>(chunk) + offsetof<Chunk>();
}

/** The chunk that the newest record stands in. Those behind it, which are empty, are taken out of the list. */
function chunkWithLast(sb: Superblock): Chunk {
  let last = changetype<Chunk>(sb.queueChunkLast);
  while (last.items == 0) {
    let before = changetype<Chunk>(sb.queueChunkFirst);
    while (before.next != changetype<usize>(last)) before = changetype<Chunk>(before.next);
    before.next = 0;
    sb.queueChunkLast = changetype<usize>(before);
    chunkLetGo(sb, last);
    last = before;
  }
  return last;
}

/** Takes the first chunk, which is empty and not the last, out of the list. */
function chunkDrop(sb: Superblock, chunk: Chunk): void {
  sb.queueChunkFirst = chunk.next;
  chunkLetGo(sb, chunk);
}

/** Frees a chunk that is in no list any more; one of the usual size is kept to be used again. */
function chunkLetGo(sb: Superblock, chunk: Chunk): void {
  const extent = changetype<usize>(chunk) - EXTENT_HEADER_BYTES;
  if (sb.queueChunkSpare == 0 && extentOrder(extent) == CHUNK_ORDER_MIN) {
    chunk.next = 0;
    chunk.at = changetype<usize>(chunk) + offsetof<Chunk>();
    sb.queueChunkSpare = changetype<usize>(chunk);
  } else {
    extentFree(extent);
  }
}

/** Formats an empty queue. */
export function queueFormat(): void {
  superblock().unpublishedFrom = VERSION_MAX;
}

// Behind a worker that has died in the middle of the queue.

/** What the records of a chunk begin at. */
function chunkStart(chunk: Chunk): usize {
  return changetype<usize>(chunk) + offsetof<Chunk>();
}

/** The chunk that a record stands in, or null. */
function chunkOf(sb: Superblock, record: usize): Chunk | null {
  for (let at = sb.queueChunkFirst; at; at = changetype<Chunk>(at).next) {
    if (record >= chunkStart(changetype<Chunk>(at)) && record < changetype<Chunk>(at).end) return changetype<Chunk>(at);
  }
  return null;
}

/** Counts the items of each chunk anew, and says where the next record goes; false if a record stands nowhere. */
function chunksMend(sb: Superblock): bool {
  sb.queueChunkLast = 0;
  for (let at = sb.queueChunkFirst; at; at = changetype<Chunk>(at).next) {
    changetype<Chunk>(at).items = 0;
    changetype<Chunk>(at).at = chunkStart(changetype<Chunk>(at));
    sb.queueChunkLast = at;
  }
  for (let sequence = sb.queueReleased; sequence != sb.queueTail; sequence++) {
    const item = itemAt(sb, sequence);
    const chunk = chunkOf(sb, item.record);
    if (chunk === null) return false;
    chunk.items++;
    chunk.at = item.record + (item.length as usize);
  }
  return true;
}

/** Gives back what belongs to the queue and is no part of it: those that are get another owner meanwhile. */
function extentsMend(sb: Superblock): void {
  const owner = changetype<usize>(sb);
  queueOwn(sb, owner + offsetof<Superblock>("queueItems"));
  extentsOf(owner);
  queueOwn(sb, owner);
}

function queueOwn(sb: Superblock, owner: usize): void {
  if (sb.queueItems) extentOwn(sb.queueItems - EXTENT_HEADER_BYTES, owner);
  if (sb.queueChunkSpare) extentOwn(sb.queueChunkSpare - EXTENT_HEADER_BYTES, owner);
  for (let at = sb.queueChunkFirst; at; at = changetype<Chunk>(at).next) extentOwn(at - EXTENT_HEADER_BYTES, owner);
}

/** Ends the acceptance of what was written: an item says that it is before the log's end moves behind it. */
function acceptMend(sb: Superblock): void {
  if (sb.queueWritten - sb.queueReleased > 0x80000000) sb.queueWritten = sb.queueReleased;
  for (; sb.queueWritten != sb.queueTail; sb.queueWritten++) {
    const item = itemAt(sb, sb.queueWritten);
    if (item.state != ITEM_WRITTEN && item.state != ITEM_SYNCED) return;
    sb.logPosition = item.position + (item.length as u64);
    sb.logChain = recordCrc(item.record);
    sb.logWrittenVersion = max(sb.logWrittenVersion, item.version);
  }
}

/** Counts anew what waits. Each sum is stored once: hosts read them without the lock, and must not find nothing where something waits. */
function sumsMend(sb: Superblock): void {
  let unpublished: u32 = 0;
  let deferred: u32 = 0;
  let unwritten: u32 = 0;
  for (let sequence = sb.queueReleased; sequence != sb.queueTail; sequence++) {
    const item = itemAt(sb, sequence);
    if (item.state == ITEM_UNDONE) continue;
    if (item.state < ITEM_WRITTEN) unwritten += item.length;
    if (!item.published) unpublished++;
    else if (item.state < ITEM_WRITTEN && item.kind == (RECORD_COMMIT as u8)) deferred += item.length;
  }
  sb.queueUnpublished = unpublished;
  sb.queueDeferredBytes = deferred;
  sb.queueUnwrittenBytes = unwritten;
}

/** The extent says how large the ring is, also where that was not noted any more. */
export function ringMend(): void {
  const sb = superblock();
  if (sb.queueItems) sb.queueCapacity = 1 << (extentOrder(sb.queueItems - EXTENT_HEADER_BYTES) - ITEM_ORDER - 1);
}

/**
 * Makes the queue whole again behind somebody who has died in the middle of it, holding its lock: what was counted is counted
 * anew, what had begun is ended. False if that cannot be. What a drainer who lives has sealed stays sealed.
 */
export function queueMend(): bool {
  const sb = superblock();
  if (!chunksMend(sb)) return false;
  extentsMend(sb);
  acceptMend(sb);
  queueSynced(sb.logWatermark);
  sumsMend(sb);
  sb.queuePublishedTo = sb.queueReleased;
  return true;
}

/** The newest item of the queue, or null: the only one that can have been in the making. */
export function lastPlaced(): Item | null {
  const sb = superblock();
  return sb.queueTail == sb.queueReleased ? null : itemAt(sb, sb.queueTail - 1);
}

/** How many items of a run are not published. */
export function unpublishedOf(run: usize): u32 {
  const sb = superblock();
  let count: u32 = 0;
  for (let sequence = sb.queueReleased; sequence != sb.queueTail; sequence++) {
    const item = itemAt(sb, sequence);
    if (item.run == run && item.state != ITEM_UNDONE && !item.published) count++;
  }
  return count;
}
