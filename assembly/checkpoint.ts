/**
 * Writing a checkpoint: what a version sees of one run, as records, a step at a time while commits go on.
 *
 * The walk goes through a run's tables leaf by leaf, in the order of the hashes that lead to them. A split puts nothing
 * behind it that it has not seen, and nothing before it that it has. What it has collected of a leaf stays where it is
 * until the walk comes to it, and so does a group's table: a value that the version sees is in it, and the version is held
 * all along. The tables of a run can go between two steps where the version sees nothing in them, so they are asked for anew.
 */

import { EXTENT_HEADER_BYTES, extentAllocate, extentFree, extentOrder, orderFor } from "./arena";
import {
  CHECKPOINT_RECORD_BYTES_MAX,
  RECORD_END,
  RECORD_RUN,
  RECORD_TRAILER_BYTES,
  STEP_DONE,
  STEP_FULL,
  STEP_MORE,
  STEP_NEEDS_OFFSET,
  STEP_ROOM,
  TABLE_COUNT,
} from "./constants";
import { bytesCopy, ENTRY_TABLE_MASK, Entry, entryKey } from "./entry";
import { CONTROL_EMPTY } from "./group";
import { heldBytes, heldWrite, recordBegin, recordOverhead, recordSeal } from "./record";
import { Run, runTable } from "./run";
import { groupTable, isIndex } from "./run-tables";
import { Cursor, cursorNext } from "./scan";
import { leafSlot, Table, tableLeaf } from "./table";
import { Version, valueAt, versionValue } from "./versions";
import { worker } from "./workers";

/** The hash behind the last one. */
const HASHES_END: u64 = 0x100000000;
/** Leaves that one step looks at, most of which may hold nothing that the version sees. */
const LEAVES_PER_STEP: u32 = 64;
const LIST_BYTES_MIN: u32 = 2000;

/** A stream of records under way, in an extent of its own. A list is an extent of addresses. */
@unmanaged
export class Walk {
  /** Where the next record stands, and the checksum that it carries. */
  position: u64;
  chain: u32;
  epoch: u32;
  /** What the checkpoint sees. */
  version: u64;
  /** The version of the run that is walked. */
  runVersion: u64;
  /** Where the run's table of the tag goes on, and the table of the group under way. */
  tableHash: u64;
  groupHash: u64;
  run: usize;
  tag: u32;
  /** Whether the run has a record yet. */
  isNamed: bool;
  group: usize;
  groups: usize;
  groupCount: u32;
  groupNext: u32;
  entries: usize;
  entryCount: u32;
  entryNext: u32;
}

/** A list with room for `count` addresses: `list` itself or a larger one in its place; 0 if memory cannot grow. */
function listReserve(list: usize, count: u32): usize {
  const bytes = max(count << 2, LIST_BYTES_MIN);
  if (list != 0 && orderFor(bytes) <= extentOrder(list - EXTENT_HEADER_BYTES)) return list;
  const extent = extentAllocate(orderFor(bytes), changetype<usize>(worker()));
  if (extent == 0) return 0;
  if (list != 0) extentFree(list - EXTENT_HEADER_BYTES);
  return extent + EXTENT_HEADER_BYTES;
}

function listAt(list: usize, index: u32): usize {
  return load<usize>(list + ((index as usize) << 2));
}

/** Whether a version sees anything in a table. */
function isSeen(table: Table, version: u64, cursor: Cursor): bool {
  cursor.place = 0;
  cursor.slot = 0;
  for (let entry = cursorNext(table, cursor); entry !== null; entry = cursorNext(table, cursor)) {
    if (valueAt(entry, version) !== null) return true;
  }
  return false;
}

/** The hash behind those that lead to the same leaf as `hash`. */
function hashBehind(table: Table, hash: u32): u64 {
  const bits = tableLeaf(table, hash).depth;
  return bits == 0 ? HASHES_END : (((hash >>> (32 - bits)) as u64) + 1) << (32 - bits);
}

/** Puts what a version sees of a leaf into a list with room for it, from `hash` on; how many that are. */
function collect(table: Table, hash: u32, list: usize, areGroups: bool, version: u64, cursor: Cursor): u32 {
  const leaf = tableLeaf(table, hash);
  let count: u32 = 0;
  for (let slot: u32 = 0; slot < leaf.slots; slot++) {
    if (load<u8>(leaf.body + (slot as usize)) & CONTROL_EMPTY) continue;
    const entry = changetype<Entry>(load<usize>(leafSlot(leaf, slot)));
    if (entry.hash < hash) continue;
    const seen = areGroups ? isSeen(groupTable(entry), version, cursor) : valueAt(entry, version) !== null;
    if (seen) store<usize>(list + ((count++ as usize) << 2), changetype<usize>(entry));
  }
  return count;
}

function collectEntries(walk: Walk, table: Table, hash: u32, cursor: Cursor): bool {
  const list = listReserve(walk.entries, tableLeaf(table, hash).entries);
  if (list == 0) return false;
  walk.entries = list;
  walk.entryNext = 0;
  walk.entryCount = collect(table, hash, list, false, walk.version, cursor);
  return true;
}

function collectGroups(walk: Walk, table: Table, hash: u32, cursor: Cursor): bool {
  const list = listReserve(walk.groups, tableLeaf(table, hash).entries);
  if (list == 0) return false;
  walk.groups = list;
  walk.groupNext = 0;
  walk.groupCount = collect(table, hash, list, true, walk.version, cursor);
  return true;
}

/** Goes one leaf, one group or one table on; false if memory cannot grow. At the run's end `tag` is TABLE_COUNT. */
function advance(walk: Walk, cursor: Cursor): bool {
  if (walk.group != 0 && walk.groupHash != HASHES_END) {
    const table = groupTable(changetype<Entry>(walk.group));
    const hash = walk.groupHash as u32;
    walk.groupHash = hashBehind(table, hash);
    return collectEntries(walk, table, hash, cursor);
  }
  walk.group = 0;
  if (walk.groupNext < walk.groupCount) {
    walk.group = listAt(walk.groups, walk.groupNext++);
    walk.groupHash = 0;
    return true;
  }
  const table = runTable(changetype<Run>(walk.run), walk.tag);
  if (table === null || walk.tableHash == HASHES_END) {
    walk.tag++;
    walk.tableHash = 0;
    return true;
  }
  const hash = walk.tableHash as u32;
  walk.tableHash = hashBehind(table, hash);
  return isIndex(walk.tag) ? collectGroups(walk, table, hash, cursor) : collectEntries(walk, table, hash, cursor);
}

/** Begins a stream of what `version` sees, behind a header with this checksum; null if memory cannot grow. */
export function walkMake(version: u64, headerCrc: u32, epoch: u32): Walk | null {
  const extent = extentAllocate(orderFor(offsetof<Walk>()), changetype<usize>(worker()));
  if (extent == 0) return null;
  const walk = changetype<Walk>(extent + EXTENT_HEADER_BYTES);
  memory.fill(changetype<usize>(walk), 0, offsetof<Walk>());
  walk.version = version;
  walk.chain = headerCrc;
  walk.epoch = epoch;
  return walk;
}

/** Begins to walk a run, which is at `version` in the checkpoint. */
export function walkRun(walk: Walk, run: Run, version: u64): void {
  walk.run = changetype<usize>(run);
  walk.runVersion = version;
  walk.isNamed = false;
  walk.tag = 0;
  walk.tableHash = 0;
}

/**
 * Writes one record of the run to `at`, where there are `room` bytes; returns its length, 0 if there is none to write yet. It
 * ends at CHECKPOINT_RECORD_BYTES_MAX however much room there is, unless its first entry is longer by itself.
 * Why it stopped stands at `result`: STEP_MORE, STEP_DONE, STEP_FULL, or STEP_ROOM with the bytes that the next record needs
 * behind it.
 */
export function walkStep(walk: Walk, at: usize, room: u32, cursor: Cursor, result: usize): u32 {
  const name = changetype<Entry>(changetype<Run>(walk.run).entry);
  const overhead = recordOverhead(name.keyBytes as u32);
  let length = overhead;
  let needed = overhead;
  let operations: u32 = 0;
  let state = room < overhead ? STEP_ROOM : STEP_MORE;
  for (let leaves: u32 = 0; state == STEP_MORE && leaves < LEAVES_PER_STEP; ) {
    if (walk.entryNext == walk.entryCount) {
      leaves++;
      if (walk.tag == TABLE_COUNT) state = STEP_DONE;
      else if (!advance(walk, cursor)) state = STEP_FULL;
      continue;
    }
    const entry = changetype<Entry>(listAt(walk.entries, walk.entryNext));
    const value = changetype<Version>(changetype<usize>(valueAt(entry, walk.version)));
    const bytes = heldBytes(entry.keyBytes as u32, value.length);
    if (length + bytes > (operations == 0 ? room : min(room, CHECKPOINT_RECORD_BYTES_MAX))) {
      needed = overhead + bytes;
      if (operations == 0) state = STEP_ROOM;
      break;
    }
    const end = at + ((length - RECORD_TRAILER_BYTES) as usize);
    const tag = (entry.flags & ENTRY_TABLE_MASK) as u32;
    heldWrite(end, tag, value.number, entryKey(entry), entry.keyBytes as u32, value.length);
    bytesCopy(end + ((bytes - value.length) as usize), versionValue(value), value.length);
    length += bytes;
    operations++;
    walk.entryNext++;
  }
  store<u32>(result, state);
  store<u32>(result, needed, STEP_NEEDS_OFFSET);
  if (state == STEP_ROOM || state == STEP_FULL || (operations == 0 && walk.isNamed)) return 0;
  walk.isNamed = true;
  recordBegin(at, length, walk.runVersion, RECORD_RUN, 0, entryKey(name), name.keyBytes as u32, operations);
  return seal(walk, at, length);
}

/** Writes the last record of a stream to `at`; returns its length. */
export function walkFinish(walk: Walk, at: usize): u32 {
  const length = recordOverhead(0);
  recordBegin(at, length, walk.version, RECORD_END, 0, 0, 0, 0);
  return seal(walk, at, length);
}

/** Gives back what a stream has worked with, also where it was not finished. */
export function walkFree(walk: Walk): void {
  if (walk.groups != 0) extentFree(walk.groups - EXTENT_HEADER_BYTES);
  if (walk.entries != 0) extentFree(walk.entries - EXTENT_HEADER_BYTES);
  extentFree(changetype<usize>(walk) - EXTENT_HEADER_BYTES);
}

function seal(walk: Walk, record: usize, length: u32): u32 {
  walk.chain = recordSeal(record, walk.position, 0, walk.epoch, walk.chain);
  walk.position += length as u64;
  return length;
}
