/**
 * Walking a run's graph breadth first, one level at a time, at a version that is held or as a transaction sees it.
 *
 *   rows   one for each node that was come upon, level after level: the node, and the row that it was reached from
 *   seen   the same nodes once more, as an open-addressed set at most half full; 0 is none, since ids begin with 1
 *   types  the edge types that count, each behind its length in 16 bits; where there are none all count
 *
 * What it keeps true: a level that is whole is in the order of its nodes, so that what a walk says does not depend on how
 * entries are hashed, and a node's row of origin is the first of the level before that leads to it; a call that fails has
 * forgotten nothing that earlier ones found.
 */
import { EXTENT_HEADER_BYTES, extentAllocate, extentFree, extentOrder, orderFor } from "./arena";
import {
  GRAPH_IN,
  GRAPH_OUT,
  STATUS_DAMAGED,
  STATUS_OK,
  STATUS_STORE_FULL,
  TABLE_GRAPH,
  TABLE_INDEX_BASE,
  TRAVERSE_IN,
  TRAVERSE_NODE_OFFSET,
  TRAVERSE_OUT,
  TRAVERSE_PARENT_OFFSET,
  TRAVERSE_ROW_BYTES,
} from "./constants";
import { bytesEqual } from "./entry";
import { collect } from "./listing";
import { Run } from "./run";
import { matchAt, Range, scanMatched } from "./scan";
import { scratchBounds, scratchRange } from "./scratch";
import { noteScan, Transaction } from "./transaction";
import { worker } from "./workers";

const TAG: u32 = TABLE_GRAPH + TABLE_INDEX_BASE;
const SLOTS_PER_ROW: u32 = 2;
/** What a node takes: its row, and its part of the set. */
const NODE_BYTES: u32 = TRAVERSE_ROW_BYTES + 8 * SLOTS_PER_ROW;
const ZERO: u32 = 48;
/** The greatest id: what is above it is not told from its neighbours as a number of the host's. */
const ID_MAX: u64 = 9007199254740991;
/** The letter before the one of a single digit. */
const DIGITS_BASE: u32 = 96;
const DIGITS_MAX: u32 = 16;

/** A walk under way, in an extent of its own with the types behind it. The host reads what it begins with. */
@unmanaged
export class Traversal {
  rows: usize;
  /** The rows of the level that is walked now, and the next of them. */
  levelStart: u32;
  levelEnd: u32;
  next: u32;
  count: u32;
  /** How many there is room for. The set stands behind as many. */
  room: u32;
  typesBytes: u32;
}

function listMake(bytes: u64): usize {
  const extent = extentAllocate(orderFor(bytes), changetype<usize>(worker()));
  return extent ? extent + EXTENT_HEADER_BYTES : 0;
}

function listFree(list: usize): void {
  if (list) extentFree(list - EXTENT_HEADER_BYTES);
}

/** The bytes that a list has room for. */
function listBytes(list: usize): u32 {
  return (1 << extentOrder(list - EXTENT_HEADER_BYTES)) - (EXTENT_HEADER_BYTES as u32);
}

function typesOf(traversal: Traversal): usize {
  return changetype<usize>(traversal) + offsetof<Traversal>();
}

/** A walk from a node, with a copy of the types; null if memory cannot grow. */
export function traversalMake(start: f64, types: usize, typesBytes: u32): Traversal | null {
  const block = listMake((offsetof<Traversal>() as u64) + (typesBytes as u64));
  if (block == 0) return null;
  memory.fill(block, 0, offsetof<Traversal>());
  const traversal = changetype<Traversal>(block);
  traversal.typesBytes = typesBytes;
  memory.copy(typesOf(traversal), types, typesBytes);
  if (reserve(traversal)) {
    add(traversal, start, 0);
    traversal.levelEnd = 1;
    return traversal;
  }
  traversalFree(traversal);
  return null;
}

export function traversalFree(traversal: Traversal): void {
  listFree(traversal.rows);
  listFree(changetype<usize>(traversal));
}

function rowOf(traversal: Traversal, index: u32): usize {
  return traversal.rows + ((index * TRAVERSE_ROW_BYTES) as usize);
}

function nodeOf(traversal: Traversal, index: u32): f64 {
  return load<f64>(rowOf(traversal, index) + TRAVERSE_NODE_OFFSET);
}

/** Where a node stands in the set, or would. Half of the set stays empty, so there is an end. */
function seenPlace(traversal: Traversal, node: f64): usize {
  const slots = traversal.room * SLOTS_PER_ROW;
  const seen = rowOf(traversal, traversal.room);
  const spread = ((node as u64) * 0x9e3779b97f4a7c15) >> 32;
  const end = seen + ((slots as usize) << 3);
  const first = ((spread * (slots as u64)) >> 32) as usize;
  let at = seen + (first << 3);
  while (load<f64>(at) != 0 && load<f64>(at) != node) {
    at += 8;
    if (at == end) at = seen;
  }
  return at;
}

/** Makes room for one more node; false if memory cannot grow. */
function reserve(traversal: Traversal): bool {
  const count = traversal.count;
  if (count < traversal.room) return true;
  const rows = listMake(((count as u64) + 1) * (NODE_BYTES as u64));
  if (rows == 0) return false;
  const room = listBytes(rows) / NODE_BYTES;
  memory.copy(rows, traversal.rows, count * TRAVERSE_ROW_BYTES);
  memory.fill(rows + ((room * TRAVERSE_ROW_BYTES) as usize), 0, room * (NODE_BYTES - TRAVERSE_ROW_BYTES));
  listFree(traversal.rows);
  traversal.rows = rows;
  traversal.room = room;
  for (let index: u32 = 0; index < count; index++) {
    const node = nodeOf(traversal, index);
    store<f64>(seenPlace(traversal, node), node);
  }
  return true;
}

/** Adds a node that there is room for, unless it was come upon before. */
function add(traversal: Traversal, node: f64, parent: u32): void {
  const place = seenPlace(traversal, node);
  if (load<f64>(place) != 0) return;
  store<f64>(place, node);
  const row = rowOf(traversal, traversal.count++);
  store<f64>(row + TRAVERSE_NODE_OFFSET, node);
  store<u32>(row + TRAVERSE_PARENT_OFFSET, parent);
}

/** Whether the bytes behind the ids of a key name a type that counts. */
function isWanted(traversal: Traversal, type: usize, typeBytes: u32): bool {
  if (traversal.typesBytes == 0) return true;
  const end = typesOf(traversal) + (traversal.typesBytes as usize);
  for (let at = typesOf(traversal); at < end; ) {
    const bytes = load<u16>(at) as u32;
    if (bytes == typeBytes && bytesEqual(at + 2, type, bytes)) return true;
    at += 2 + (bytes as usize);
  }
  return false;
}

/** The bytes of an id at an address, its letter included; 0 where that is none, within `limit` bytes. */
function idBytes(at: usize, limit: u32): u32 {
  const bytes: u32 = limit == 0 ? 0 : (load<u8>(at) as u32) - DIGITS_BASE + 1;
  return bytes < 2 || bytes > DIGITS_MAX + 1 || bytes > limit ? 0 : bytes;
}

/** The id at an address; 0, which is none, where its digits are not those of an id, or it begins with a zero. */
function idAt(at: usize, bytes: u32): f64 {
  let id: u64 = 0;
  for (let index: usize = 1; index < (bytes as usize); index++) {
    const digit = (load<u8>(at + index) as u32) - ZERO;
    if (digit > 9 || (digit == 0 && index == 1)) return 0;
    id = id * 10 + (digit as u64);
  }
  return id > ID_MAX ? 0 : (id as f64);
}

/** Writes an id; the address behind it. */
function idWrite(at: usize, id: u64): usize {
  let digits: u32 = 1;
  for (let rest = id / 10; rest != 0; rest /= 10) digits++;
  store<u8>(at, (DIGITS_BASE + digits) as u8);
  for (let index = digits as usize; index > 0; index--) {
    store<u8>(at + index, (ZERO + ((id % 10) as u32)) as u8);
    id /= 10;
  }
  return at + 1 + (digits as usize);
}

/** Adds the other end of one adjacency key, whose group takes `groupBytes` bytes; a status. */
function follow(traversal: Traversal, key: usize, keyBytes: u32, groupBytes: u32, parent: u32): u32 {
  const edgeBytes = idBytes(key + (groupBytes as usize), keyBytes - groupBytes);
  const otherAt = groupBytes + edgeBytes;
  const otherBytes = edgeBytes == 0 ? 0 : idBytes(key + (otherAt as usize), keyBytes - otherAt);
  const other = otherBytes == 0 ? 0 : idAt(key + (otherAt as usize), otherBytes);
  if (other == 0) return STATUS_DAMAGED;
  const typeAt = otherAt + otherBytes;
  if (!isWanted(traversal, key + (typeAt as usize), keyBytes - typeAt)) return STATUS_OK;
  if (!reserve(traversal)) return STATUS_STORE_FULL;
  add(traversal, other, parent);
  return STATUS_OK;
}

/** Adds what the edges of a row's node on one side lead to; a status. */
function expand(traversal: Traversal, row: u32, side: u32, run: Run, at: u64, transaction: Transaction | null): u32 {
  const group = scratchBounds();
  store<u8>(group, side as u8);
  const end = idWrite(group + 1, nodeOf(traversal, row) as u64);
  store<u8>(end, 0);
  const range = scratchRange();
  memory.fill(changetype<usize>(range), 0, offsetof<Range>());
  range.prefix = group;
  range.prefixBytes = (end - group + 1) as u32;
  let status = STATUS_OK;
  if (transaction !== null) status = noteScan(transaction, TAG, group, range.prefixBytes, 0, 0);
  if (status == STATUS_OK) status = collect(run, TAG, at, range, transaction, 0xffffffff, false);
  const matches = scanMatched();
  for (let index: u32 = 0; index < matches && status == STATUS_OK; index++) {
    const match = matchAt(index);
    status = follow(traversal, match.key, match.keyBytes, range.prefixBytes, row);
  }
  return status;
}

function swap(a: usize, b: usize): void {
  const rest = v128.load(a);
  v128.store(a, v128.load(b));
  v128.store(b, rest);
}

/** Lets the row at `from` of a heap of `count` rows sink to its place; the greatest node is at the root. */
function sink(rows: usize, from: u32, count: u32): void {
  for (let parent = from; ; ) {
    let child = parent * 2 + 1;
    if (child >= count) return;
    const left = rows + ((child * TRAVERSE_ROW_BYTES) as usize);
    let greater = left;
    if (child + 1 < count && load<f64>(left + TRAVERSE_ROW_BYTES) > load<f64>(left)) {
      greater += TRAVERSE_ROW_BYTES;
      child++;
    }
    const at = rows + ((parent * TRAVERSE_ROW_BYTES) as usize);
    if (load<f64>(at) >= load<f64>(greater)) return;
    swap(at, greater);
    parent = child;
  }
}

/** Ends a level: what was come upon is the next one, put in order. */
function levelEnd(traversal: Traversal): void {
  traversal.levelStart = traversal.levelEnd;
  traversal.levelEnd = traversal.count;
  const rows = rowOf(traversal, traversal.levelStart);
  let left = traversal.levelEnd - traversal.levelStart;
  // At first it is made a heap, from its middle on; then the greatest goes behind the others, again and again.
  for (let unmade = left >>> 1; left > 1; ) {
    if (unmade > 0) unmade--;
    else swap(rows, rows + ((--left * TRAVERSE_ROW_BYTES) as usize));
    sink(rows, unmade, left);
  }
}

/**
 * Looks at the edges of the next rows, at most `rowsMax`, of the level under way; a status. When all were looked at, what
 * they lead to is the level; it is empty at the end.
 */
export function traversalStep(
  traversal: Traversal,
  run: Run,
  at: u64,
  transaction: Transaction | null,
  sides: u32,
  rowsMax: u32,
): u32 {
  for (let left = rowsMax; traversal.next < traversal.levelEnd; left--) {
    if (left == 0) return STATUS_OK;
    const row = traversal.next;
    let status = STATUS_OK;
    if (sides & TRAVERSE_OUT) status = expand(traversal, row, GRAPH_OUT, run, at, transaction);
    if (status == STATUS_OK && (sides & TRAVERSE_IN) != 0)
      status = expand(traversal, row, GRAPH_IN, run, at, transaction);
    if (status != STATUS_OK) return status;
    traversal.next++;
  }
  levelEnd(traversal);
  return STATUS_OK;
}
