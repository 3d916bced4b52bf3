/**
 * Walks the whole heap and checks every invariant that the other files state. Returns the number of the first one broken,
 * 0 where all hold; where it was found stands in the superblock.
 *
 * Between workers each part is looked at under its lock; what hangs together over several of them is only right while nobody
 * else is in the core (`atRest`). Nothing is changed but the fault fields.
 */

import {
  Arena,
  allocatorLock,
  allocatorUnlock,
  arenaListOf,
  blockBytes,
  CLASS_COUNT,
  classBytes,
  EXTENT_HEADER_BYTES,
  Extent,
  extentOrder,
  extentState,
  freeListOf,
} from "./arena";
import { MODE_STRICT, TABLE_COUNT, TABLE_KV, TOMBSTONE, VERSION_MAX } from "./constants";
import { bytesEqual, ENTRY_QUEUED, Entry, entryKey } from "./entry";
import { CONTROL_DELETED, CONTROL_EMPTY, controlOf } from "./group";
import { hashKey } from "./hash";
import { ITEM_UNDONE, ITEM_WRITTEN, itemAt, logLock, logUnlock } from "./queue";
import {
  directoryLock,
  directoryUnlock,
  RUN_BYTES,
  RUN_POISONED,
  Run,
  runArena,
  runLive,
  runLock,
  runTable,
  runUnlock,
  systemArena,
} from "./run";
import { groupBytes, groupTable, isIndex } from "./run-tables";
import { slotHolders, snapshotsHeld } from "./snapshots";
import {
  BUDDY_ORDER_MAX,
  BUDDY_ORDER_MIN,
  CACHE_LINE_BYTES,
  HEAP_BASE,
  MAP_END,
  SNAPSHOT_BITMAP_BASE,
  SNAPSHOT_SLOTS_ALL,
  SNAPSHOT_SLOTS_BASE,
  SUPERBLOCK_BASE,
  SUPERBLOCK_BYTES,
  SUPERBLOCK_MAGIC,
  Superblock,
  superblock,
} from "./superblock";
import {
  directoryLeaf,
  Leaf,
  leafBodyBytes,
  leafCapacity,
  leafSlot,
  leafSpan,
  Table,
  tableFind,
  tableLeaf,
} from "./table";
import { Transaction } from "./transaction";
import { Version, versionBytes } from "./versions";
import { openOfAll, workerAt } from "./workers";

const SHARED: bool = ASC_FEATURE_THREADS;

export const FAULT_SUPERBLOCK: u32 = 1;
export const FAULT_EXTENT: u32 = 2;
export const FAULT_FREE_EXTENTS: u32 = 3;
export const FAULT_BUDDIES_APART: u32 = 4;
export const FAULT_ARENA_EXTENTS: u32 = 5;
export const FAULT_ARENA_BYTES: u32 = 6;
export const FAULT_LEAF: u32 = 7;
export const FAULT_ENTRY_PLACE: u32 = 8;
export const FAULT_TABLE_COUNT: u32 = 9;
export const FAULT_CHAIN: u32 = 10;
export const FAULT_LIVE: u32 = 11;
export const FAULT_PRUNE_QUEUE: u32 = 12;
export const FAULT_RUN: u32 = 13;
export const FAULT_QUEUE: u32 = 14;
export const FAULT_SNAPSHOTS: u32 = 15;
export const FAULT_DIRECTORY: u32 = 16;
/** A part could not be looked at, because somebody has been in the middle of it for too long. */
export const FAULT_BUSY: u32 = 17;

function fault(code: u32, address: usize): u32 {
  const sb = superblock();
  sb.faultCode = code;
  sb.faultAddress = address as u32;
  return code;
}

/** Every extent from the first to the last, and every free one in its list; no two free buddies apart. */
function verifyExtents(): u32 {
  const sb = superblock();
  let free: u64 = 0;
  let at = HEAP_BASE;
  while (at < sb.heapEnd) {
    const state = extentState(at);
    if (state == 0) return fault(FAULT_EXTENT, at);
    const order = extentOrder(at);
    const size = (1 as usize) << order;
    if ((at & (size - 1)) != 0 || at + size > sb.heapEnd) return fault(FAULT_EXTENT, at);
    if (state == 1) {
      free += size as u64;
      const buddy = at ^ size;
      const inside = buddy >= HEAP_BASE && (buddy as u64) + (size as u64) <= (sb.heapEnd as u64);
      if (order < BUDDY_ORDER_MAX && inside && extentState(buddy) == 1 && extentOrder(buddy) == order) {
        return fault(FAULT_BUDDIES_APART, at);
      }
    }
    at += size;
  }
  let listed: u64 = 0;
  for (let order = BUDDY_ORDER_MIN; order <= BUDDY_ORDER_MAX; order++) {
    const first = load<usize>(freeListOf(order));
    if ((first != 0) != !!((sb.freeOrders >>> (order - BUDDY_ORDER_MIN)) & 1)) {
      return fault(FAULT_FREE_EXTENTS, first);
    }
    for (let extent = first; extent; extent = changetype<Extent>(extent).next) {
      if (extentState(extent) != 1 || extentOrder(extent) != order) return fault(FAULT_FREE_EXTENTS, extent);
      listed += (1 as u64) << order;
    }
  }
  if (listed != free || free != (sb.heapFreeBytes as u64)) return fault(FAULT_FREE_EXTENTS, 0);
  return 0;
}

/** The bytes of an arena add up: handed out, free, and not yet bumped over. `used` was counted by walking what is in it. */
function verifyArena(arena: Arena, used: u32): u32 {
  let bytes: u32 = 0;
  let count: u32 = 0;
  for (let extent = arena.extents; extent; extent = changetype<Extent>(extent).next) {
    if (extentState(extent) != 2) return fault(FAULT_ARENA_EXTENTS, extent);
    if (changetype<Extent>(extent).owner != changetype<usize>(arena)) return fault(FAULT_ARENA_EXTENTS, extent);
    bytes += 1 << extentOrder(extent);
    count++;
  }
  if (bytes != arena.extentBytes || count != arena.extentCount) {
    return fault(FAULT_ARENA_EXTENTS, changetype<usize>(arena));
  }
  let free: u32 = 0;
  for (let index: u32 = 0; index < CLASS_COUNT; index++) {
    for (let block = load<usize>(arenaListOf(arena, index)); block; block = load<usize>(block))
      free += classBytes(index);
  }
  if (free != arena.freeBytes || used != arena.usedBytes) return fault(FAULT_ARENA_BYTES, changetype<usize>(arena));
  const rest = (arena.bumpEnd - arena.bump) as u32;
  if (bytes - count * (EXTENT_HEADER_BYTES as u32) != used + free + rest) {
    return fault(FAULT_ARENA_BYTES, changetype<usize>(arena));
  }
  return 0;
}

// What a walk has counted so far; reset by verifyHeap.
let usedBytes: u32 = 0;
let liveCount: u32 = 0;
let liveKvCount: u32 = 0;
let queuedCount: u32 = 0;

function verifyLeaf(
  table: Table,
  leaf: Leaf,
  place: u32,
  run: Run | null,
  tag: u32,
  kind: u32,
  group: Entry | null,
): u32 {
  const sb = superblock();
  usedBytes += blockBytes(offsetof<Leaf>() as u32) + blockBytes(leafBodyBytes(leaf.slots));
  let entries: u32 = 0;
  let empty: u32 = 0;
  for (let slot: u32 = 0; slot < leaf.slots; slot++) {
    const control = load<u8>(leaf.body + (slot as usize));
    if (control == CONTROL_EMPTY) empty++;
    if (control & CONTROL_EMPTY) {
      if (control != CONTROL_EMPTY && control != CONTROL_DELETED) return fault(FAULT_LEAF, changetype<usize>(leaf));
      continue;
    }
    const entry = changetype<Entry>(load<usize>(leafSlot(leaf, slot)));
    const address = changetype<usize>(entry);
    entries++;
    usedBytes += blockBytes(((entryKey(entry) - address) as u32) + (entry.keyBytes as u32));
    const hash = hashKey(entryKey(entry), entry.keyBytes, sb.seed);
    const misplaced = entry.hash != hash || control != controlOf(hash) || (entry.flags & 0xff) != (tag as u16);
    const found = tableFind(table, hash, entryKey(entry), entry.keyBytes);
    if (misplaced || changetype<usize>(found) != address) return fault(FAULT_ENTRY_PLACE, address);
    if (changetype<usize>(tableLeaf(table, hash)) != changetype<usize>(leaf)) return fault(FAULT_ENTRY_PLACE, address);
    if (group !== null && !isOfGroup(group, entry)) return fault(FAULT_ENTRY_PLACE, address);
    if (run === null) continue;
    const status =
      kind == KIND_GROUPS ? verifyTable(groupTable(entry), run, tag, KIND_KEYS, entry) : verifyChain(run, entry, tag);
    if (status) return status;
  }
  const room = empty == 0 ? 1 : leaf.room > leafCapacity(leaf.slots) || leaf.room > empty ? 1 : 0;
  if (entries != leaf.entries || room) return fault(FAULT_LEAF, changetype<usize>(leaf));
  for (let i: u32 = 0; i < leafSpan(table, leaf); i++) {
    if (changetype<usize>(directoryLeaf(table, place + i)) != changetype<usize>(leaf)) {
      return fault(FAULT_LEAF, changetype<usize>(leaf));
    }
  }
  return 0;
}

/** Numbers fall along a chain, none beyond what is installed; what `visible` sees is counted. */
function verifyChain(run: Run, entry: Entry, tag: u32): u32 {
  let newer = VERSION_MAX;
  let seen = false;
  if (entry.flags & ENTRY_QUEUED) queuedCount++;
  // An entry without versions stays only until its turn in the prune queue.
  else if (entry.head == 0) return fault(FAULT_CHAIN, changetype<usize>(entry));
  for (let at = entry.head; at; at = changetype<Version>(at).previous) {
    const version = changetype<Version>(at);
    if (version.number >= newer || version.number > run.installed || version.number == 0) return fault(FAULT_CHAIN, at);
    if (newer == VERSION_MAX && version.previous != 0 && (entry.flags & ENTRY_QUEUED) == 0)
      return fault(FAULT_CHAIN, at);
    newer = version.number;
    usedBytes += blockBytes(versionBytes(version.length));
    if (seen || version.number > run.visible) continue;
    seen = true;
    if (version.length == TOMBSTONE || isIndex(tag)) continue;
    liveCount++;
    if (tag == TABLE_KV) liveKvCount++;
  }
  return 0;
}

/** Whether a key is one of a group of an index. */
function isOfGroup(group: Entry, entry: Entry): bool {
  const bytes = groupBytes(entryKey(entry), entry.keyBytes as u32);
  return bytes == (group.keyBytes as u32) && bytesEqual(entryKey(entry), entryKey(group), bytes);
}

/** The kinds of tables: of keys, of the keys of one group of an index, of the groups, and the directory of runs. */
const KIND_KEYS: u32 = 0;
const KIND_GROUPS: u32 = 1;
const KIND_RUNS: u32 = 2;

function verifyTable(table: Table, run: Run | null, tag: u32, kind: u32, group: Entry | null): u32 {
  usedBytes += blockBytes(offsetof<Table>() as u32) + blockBytes(4 << table.depth);
  let entries: u32 = 0;
  let leaves: u32 = 0;
  for (let place: u32 = 0; place < (1 as u32) << table.depth; ) {
    const leaf = directoryLeaf(table, place);
    const status = verifyLeaf(table, leaf, place, run, tag, kind, group);
    if (status) return status;
    entries += leaf.entries;
    leaves++;
    place += leafSpan(table, leaf);
  }
  if (entries != table.entries || leaves != table.leaves) return fault(FAULT_TABLE_COUNT, changetype<usize>(table));
  return 0;
}

function verifyRun(run: Run): u32 {
  if (!runLock(run)) return fault(FAULT_BUSY, changetype<usize>(run));
  let status = verifyRunLocked(run);
  // What others publish meanwhile moves versions and counts without the run's lock: only where nobody can is a fault one.
  if (SHARED && status != 0 && logLock()) {
    superblock().faultCode = 0;
    status = verifyRunLocked(run);
    logUnlock();
  }
  runUnlock(run);
  return status;
}

function verifyRunLocked(run: Run): u32 {
  const address = changetype<usize>(run);
  if (run.visible > run.installed || run.installed > superblock().version) return fault(FAULT_RUN, address);
  if ((run.unpublished == 0) != (run.visible == run.installed)) return fault(FAULT_RUN, address);
  usedBytes = 0;
  liveCount = 0;
  liveKvCount = 0;
  queuedCount = 0;
  for (let tag: u32 = 0; tag < TABLE_COUNT; tag++) {
    const table = runTable(run, tag);
    const status = table === null ? 0 : verifyTable(table, run, tag, isIndex(tag) ? KIND_GROUPS : KIND_KEYS, null);
    if (status) return status;
  }
  // What a deleted run still shows to snapshots is counted nowhere.
  if (run.deleted == 0 && (liveCount != run.live || liveKvCount != run.liveKv)) return fault(FAULT_LIVE, address);
  if (SHARED && run.deleted == 0 && (liveCount != runLive(run, false) || liveKvCount != runLive(run, true))) {
    return fault(FAULT_LIVE, address);
  }
  let queued: u32 = 0;
  for (let entry = run.pruneFirst; entry; entry = changetype<Entry>(entry).pruneNext) {
    if ((changetype<Entry>(entry).flags & ENTRY_QUEUED) == 0) return fault(FAULT_PRUNE_QUEUE, entry);
    if (changetype<Entry>(entry).pruneNext == 0 && run.pruneLast != entry) return fault(FAULT_PRUNE_QUEUE, entry);
    queued++;
  }
  if (queued != run.pruneCount || queuedCount != queued) return fault(FAULT_PRUNE_QUEUE, address);
  return verifyArena(runArena(run), usedBytes);
}

/** Every header is either in the directory under its name or in the free list; the system arena holds just these. */
function verifyDirectory(atRest: bool): u32 {
  const sb = superblock();
  let runs: u32 = 0;
  let live: u32 = 0;
  let retired: u32 = 0;
  let names: u32 = 0;
  for (let at = sb.firstRun; at; at = changetype<Run>(at).nextRun) {
    const run = changetype<Run>(at);
    runs++;
    if (run.entry == 0) {
      if ((run.generation & 1) == 1 || run.deleted != 0) return fault(FAULT_DIRECTORY, at);
      continue;
    }
    if ((run.generation & 1) != (run.deleted == 0 ? 1 : 0)) return fault(FAULT_DIRECTORY, at);
    if (run.deleted == 0) live++;
    else retired++;
    const newest = changetype<Entry>(run.entry).head == at;
    if (newest) names++;
    if (run.flags & RUN_POISONED) continue;
    // Only the newest incarnation of a name lives, and those behind it were deleted before it was born.
    const older = changetype<Run>(run.older);
    if (!newest && run.deleted == 0) return fault(FAULT_DIRECTORY, at);
    if (run.older != 0 && (older.deleted == 0 || older.entry != run.entry)) return fault(FAULT_DIRECTORY, at);
    const status = verifyRun(run);
    if (status) return status;
  }
  for (let at = sb.retiredNew; at; at = changetype<Run>(at).nextFree) retired--;
  for (let at = sb.retiredRuns; at; at = changetype<Run>(at).nextFree) retired--;
  if (atRest && (runs != sb.runCount || live != sb.runsLive || retired != 0)) return fault(FAULT_DIRECTORY, 0);
  if (!atRest) return 0;
  usedBytes = runs * blockBytes(RUN_BYTES + (CACHE_LINE_BYTES as u32));
  let contexts = openOfAll();
  for (let index: u32 = 0; index < sb.workersHigh; index++) {
    for (let at = workerAt(index).pool; at; at = changetype<Transaction>(at).next) contexts++;
  }
  usedBytes += contexts * blockBytes(offsetof<Transaction>() as u32);
  const status = verifyTable(changetype<Table>(sb.directory), null, 0, KIND_RUNS, null);
  if (status) return status;
  if (changetype<Table>(sb.directory).entries != names) return fault(FAULT_DIRECTORY, 0);
  // What was left behind when it was made anew is in no arena any more.
  return sb.directoriesLost != 0 ? 0 : verifyArena(systemArena(), usedBytes);
}

function verifyQueue(): u32 {
  const sb = superblock();
  let unpublished: u32 = 0;
  let deferred: u32 = 0;
  let unwritten: u32 = 0;
  let before: u64 = 0;
  let first = VERSION_MAX;
  for (let sequence = sb.queueReleased; sequence != sb.queueTail; sequence++) {
    const item = itemAt(sb, sequence);
    if (item.state > ITEM_UNDONE || (item.mode as u32) > MODE_STRICT || item.version < before) {
      return fault(FAULT_QUEUE, changetype<usize>(item));
    }
    before = item.version;
    if (item.state == ITEM_UNDONE) continue;
    if (item.state < ITEM_WRITTEN) unwritten += item.length;
    if (!item.published) {
      unpublished++;
      if (first == VERSION_MAX) first = item.version;
    } else if (sequence - sb.queueWritten < sb.queueTail - sb.queueWritten && item.run != 0) {
      deferred += item.length;
    }
  }
  if (unpublished != sb.queueUnpublished || first != sb.unpublishedFrom) return fault(FAULT_QUEUE, 0);
  if (deferred != sb.queueDeferredBytes) return fault(FAULT_QUEUE, 1);
  if (unwritten != sb.queueUnwrittenBytes) return fault(FAULT_QUEUE, 2);
  return 0;
}

function verifySnapshots(): u32 {
  let held: u32 = 0;
  for (let slot: u32 = 0; slot < SNAPSHOT_SLOTS_ALL; slot++) {
    const word = load<u64>(SNAPSHOT_SLOTS_BASE + ((slot as usize) << 3));
    const bits = load<u64>(SNAPSHOT_BITMAP_BASE + (((slot >>> 6) as usize) << 3));
    const marked = ((bits >> ((slot & 63) as u64)) & 1) == 1;
    if (!SHARED && marked != (word != 0)) return fault(FAULT_SNAPSHOTS, slot);
    held += slotHolders(word);
  }
  return held == snapshotsHeld() ? 0 : fault(FAULT_SNAPSHOTS, 0xffff);
}

/** Whether the map fits below the heap, and each contended part of the superblock begins a cache line. */
function mapIsSound(): bool {
  const lines =
    offsetof<Superblock>("allocatorLock") |
    offsetof<Superblock>("version") |
    offsetof<Superblock>("floor") |
    offsetof<Superblock>("logLock") |
    SUPERBLOCK_BASE;
  return (lines & (CACHE_LINE_BYTES - 1)) == 0 && offsetof<Superblock>() <= SUPERBLOCK_BYTES && MAP_END <= HEAP_BASE;
}

/** Checks everything; 0 or the number of what is broken. */
export function verifyHeap(atRest: bool): u32 {
  const sb = superblock();
  if (sb.magic != SUPERBLOCK_MAGIC || !mapIsSound()) return fault(FAULT_SUPERBLOCK, 0);
  sb.faultCode = 0;
  if (!allocatorLock()) return fault(FAULT_BUSY, 0);
  let status = verifyExtents();
  allocatorUnlock();
  if (status != 0) return status;
  if (!directoryLock()) return fault(FAULT_BUSY, 0);
  status = verifyDirectory(atRest);
  directoryUnlock();
  if (status != 0) return status;
  // As of a poisoned run, of a queue that a worker has died in nobody says anything.
  if (!SHARED || sb.queueLost == 0) {
    if (!logLock()) return fault(FAULT_BUSY, 0);
    status = verifyQueue();
    logUnlock();
  }
  return status == 0 && atRest ? verifySnapshots() : status;
}
