/**
 * Memory: extents from a buddy allocator, and arenas of size classes over them. The only one that grows the memory.
 *
 *   extent   2^order bytes, order 10 to 26 (1 KiB to 64 MiB), aligned to its size
 *     0  word    order | state << 8 | EXTENT_MARK << 16
 *     4  owner   the arena or buffer holder it belongs to; 0 while free
 *     8  next    in its free list, or in its owner's list
 *    12  prev
 *    32  what the owner keeps in it
 *
 * What it keeps true:
 *  - the buddy of an extent (its address xor its size) always begins with an extent header, so two free buddies can be
 *    told and are always merged;
 *  - every byte from HEAP_BASE to heapEnd belongs to exactly one extent;
 *  - every byte of an arena's extents beyond their headers is handed out, in a free list, or not yet bumped over:
 *    extentBytes − headers = usedBytes + freeBytes + (bumpEnd − bump), counted in whole size classes;
 *  - memory grows only under the allocator's lock, and growing is the only thing here that can fail.
 *
 * An arena is guarded by whoever owns it (a run by its lock), the buddy allocator by a lock of its own; so runs never meet
 * here except to take or give a whole extent.
 */
import { load32, swap32 } from "./atomics";
import { lockAcquire, lockForget, lockRelease, lockSeize, lockTry } from "./lock";
import {
  BUDDY_LISTS_BASE,
  BUDDY_ORDER_MAX,
  BUDDY_ORDER_MIN,
  BUDDY_ORDERS,
  HEAP_BASE,
  Superblock,
  superblock,
} from "./superblock";
import { workerIndex } from "./workers";

const SHARED: bool = ASC_FEATURE_THREADS;
const PAGE_BYTES: u64 = 65536;
const EXTENT_MARK: u32 = 0xb0d7;
const EXTENT_FREE: u32 = 1;
const EXTENT_USED: u32 = 2;
export const EXTENT_HEADER_BYTES: usize = 32;
/** The owner of an extent that a worker puts on the stack of those to be freed: this and the worker's index, below any address. */
const OWNER_LATER: usize = 1;
/** Growing by less than this would grow often; by more would surprise a small database. */
const GROWTH_BYTES_MIN: u64 = 262144;

/** The header of an extent. */
@unmanaged
export class Extent {
  word: u32;
  owner: usize;
  next: usize;
  prev: usize;
}

/** The order of an extent, from its header. */
export function extentOrder(extent: usize): u32 {
  return load<u32>(extent) & 0xff;
}

/** Whether an address holds the header of a free extent of this order. */
function isFreeOfOrder(extent: usize, order: u32): bool {
  return load<u32>(extent) == (order | (EXTENT_FREE << 8) | (EXTENT_MARK << 16));
}

/** Whether an address holds the header of any extent, and whether that is free: 0 no, 1 free, 2 used. */
export function extentState(extent: usize): u32 {
  const word = load<u32>(extent);
  const order = word & 0xff;
  if (word >>> 16 != EXTENT_MARK || order < BUDDY_ORDER_MIN || order > BUDDY_ORDER_MAX) return 0;
  return (word >>> 8) & 0xff;
}

/** The address of the head of the free list of an order. */
export function freeListOf(order: u32): usize {
  return BUDDY_LISTS_BASE + (((order - BUDDY_ORDER_MIN) as usize) << 2);
}

/** The smallest order whose extent has room for `bytes` beyond its header; above BUDDY_ORDER_MAX if none has. */
export function orderFor(bytes: u64): u32 {
  const whole = bytes + (EXTENT_HEADER_BYTES as u64);
  const order = 64 - (clz<u64>(whole - 1) as u32);
  return max(order, BUDDY_ORDER_MIN);
}

function listPush(sb: Superblock, extent: usize, order: u32): void {
  const list = freeListOf(order);
  const header = changetype<Extent>(extent);
  const first = load<usize>(list);
  header.word = order | (EXTENT_FREE << 8) | (EXTENT_MARK << 16);
  header.owner = 0;
  header.next = first;
  header.prev = 0;
  if (first) changetype<Extent>(first).prev = extent;
  store<usize>(list, extent);
  sb.freeOrders |= 1 << (order - BUDDY_ORDER_MIN);
}

function listRemove(sb: Superblock, extent: usize, order: u32): void {
  const list = freeListOf(order);
  const header = changetype<Extent>(extent);
  if (header.next) changetype<Extent>(header.next).prev = header.prev;
  if (header.prev) changetype<Extent>(header.prev).next = header.next;
  else store<usize>(list, header.next);
  if (load<usize>(list) == 0) sb.freeOrders &= ~(1 << (order - BUDDY_ORDER_MIN));
}

/** Gives an extent to the free lists, merged with its buddies as far as they are free. */
function release(sb: Superblock, extent: usize, order: u32): void {
  // Free from here on, in a list or not: what a walk over all extents makes of it if this is never ended.
  if (SHARED) changetype<Extent>(extent).word = order | (EXTENT_FREE << 8) | (EXTENT_MARK << 16);
  sb.heapFreeBytes += 1 << order;
  while (order < BUDDY_ORDER_MAX) {
    const buddy = extent ^ ((1 as usize) << order);
    if (buddy < HEAP_BASE || (buddy as u64) + ((1 as u64) << order) > (sb.heapEnd as u64)) break;
    if (!isFreeOfOrder(buddy, order)) break;
    listRemove(sb, buddy, order);
    if (buddy < extent) extent = buddy;
    order++;
  }
  listPush(sb, extent, order);
}

/** Makes [heapEnd, end) part of the heap, as the largest aligned extents that fit. */
function adopt(sb: Superblock, end: usize): void {
  let start = sb.heapEnd;
  sb.heapEnd = end;
  // Headers first: merging looks at the buddies of what it gets, which may lie further ahead.
  adoptHeaders(start, end);
  while (start < end) {
    const order = adoptOrder(start, end);
    release(sb, start, order);
    start += (1 as usize) << order;
  }
}

function adoptHeaders(start: usize, end: usize): void {
  for (let at = start; at < end; ) {
    const order = adoptOrder(at, end);
    changetype<Extent>(at).owner = 0;
    changetype<Extent>(at).word = order | (EXTENT_USED << 8) | (EXTENT_MARK << 16);
    at += (1 as usize) << order;
  }
}

function adoptOrder(start: usize, end: usize): u32 {
  const aligned = ctz<u32>(start as u32);
  const fitting = 31 - clz<u32>((end - start) as u32);
  return min(min(aligned, fitting), BUDDY_ORDER_MAX);
}

/** Grows the memory so that an extent of `order` can be had; false if the limit or the platform refuses. */
function grow(sb: Superblock, order: u32): bool {
  if (sb.refuseGrowthIn > 1) sb.refuseGrowthIn--;
  else if (sb.refuseGrowthIn == 1) return false;
  const size = (1 as u64) << order;
  const end = sb.heapEnd as u64;
  const needed = ((end + size - 1) & ~(size - 1)) + size;
  const wanted = max(needed, end + max(GROWTH_BYTES_MIN, (end >> 3) & ~(PAGE_BYTES - 1)));
  const limit = sb.memoryLimit as u64;
  if (needed > limit) return false;
  return growTo(sb, min(wanted, limit)) || growTo(sb, needed);
}

function growTo(sb: Superblock, end: u64): bool {
  const pages = ((end + PAGE_BYTES - 1) / PAGE_BYTES) as i32;
  // Growing by nothing tells the size as it is, where another instance has grown the memory a moment ago.
  const current = SHARED ? memory.grow(0) : memory.size();
  if (pages > current && memory.grow(pages - current) < 0) return false;
  adopt(sb, (end & ~((1 << BUDDY_ORDER_MIN) - 1)) as usize);
  return true;
}

/** Hands out an extent of at least the wanted order for `owner`; 0 if memory cannot grow. */
export function extentAllocate(order: u32, owner: usize): usize {
  if (order > BUDDY_ORDER_MAX) return 0;
  const sb = superblock();
  const lock = allocatorWord();
  if (!lockAcquire(lock)) return 0;
  if (SHARED) releaseLater(sb);
  let fitting = sb.freeOrders & (0xffffffff << (order - BUDDY_ORDER_MIN));
  if (fitting == 0 && grow(sb, order)) fitting = sb.freeOrders & (0xffffffff << (order - BUDDY_ORDER_MIN));
  if (fitting == 0) {
    lockRelease(lock);
    lockForget();
    return 0;
  }
  let found = ctz<u32>(fitting) + BUDDY_ORDER_MIN;
  const extent = load<usize>(freeListOf(found));
  listRemove(sb, extent, found);
  while (found > order) {
    found--;
    listPush(sb, extent + ((1 as usize) << found), found);
  }
  const header = changetype<Extent>(extent);
  header.word = order | (EXTENT_USED << 8) | (EXTENT_MARK << 16);
  header.owner = owner;
  header.next = 0;
  header.prev = 0;
  sb.heapFreeBytes -= 1 << order;
  lockRelease(lock);
  return extent;
}

/**
 * Gives an extent back. Its owner has taken it out of its own list. This cannot fail, so it does not wait: where the lock is
 * held, whoever allocates next finds it on a stack.
 */
export function extentFree(extent: usize): void {
  const sb = superblock();
  const lock = allocatorWord();
  assert(extentState(extent) == EXTENT_USED);
  if (lockTry(lock)) {
    release(sb, extent, extentOrder(extent));
    lockRelease(lock);
  } else if (SHARED) {
    freeLater(sb, extent);
  }
}

function freeLater(sb: Superblock, extent: usize): void {
  changetype<Extent>(extent).owner = OWNER_LATER + (workerIndex() as usize);
  const later = changetype<usize>(sb) + offsetof<Superblock>("freedLater");
  for (;;) {
    const first = load32(later);
    changetype<Extent>(extent).next = first;
    if (swap32(later, first, extent as u32) == first) return;
  }
}

/** Gives back what was freed while the lock was held. Under the lock. */
function releaseLater(sb: Superblock): void {
  for (let extent = popLater(sb); extent; extent = popLater(sb)) release(sb, extent, extentOrder(extent));
}

/** Takes the first extent off that stack, 0 if it is empty. Under the lock: others only put something on top. */
function popLater(sb: Superblock): usize {
  const later = changetype<usize>(sb) + offsetof<Superblock>("freedLater");
  let first = load32(later);
  while (first != 0) {
    // Nobody's before it leaves the stack, so that its header says so at every instant.
    changetype<Extent>(first).owner = 0;
    const before = swap32(later, first, changetype<Extent>(first).next as u32);
    if (before == first) break;
    first = before;
  }
  return first;
}

function allocatorWord(): usize {
  return changetype<usize>(superblock()) + offsetof<Superblock>("allocatorLock");
}

/** Takes the allocator's lock over from a dead worker; false if that does not hold it. */
export function allocatorSeize(dead: u32): bool {
  return lockSeize(allocatorWord(), dead);
}

/** Takes the allocator's lock; false when it could not be had in time. */
export function allocatorLock(): bool {
  return lockAcquire(allocatorWord());
}

export function allocatorUnlock(): void {
  lockRelease(allocatorWord());
}

/**
 * Makes the free lists anew from the headers: what nobody owns is free. Under the allocator's lock, whose last holder may
 * have been anywhere.
 */
export function heapRebuild(): void {
  const sb = superblock();
  while (popLater(sb)) {}
  memory.fill(BUDDY_LISTS_BASE, 0, (BUDDY_ORDERS as usize) << 2);
  sb.freeOrders = 0;
  sb.heapFreeBytes = 0;
  // First nobody is free, so that merging meets only what stands in a list.
  for (let at = HEAP_BASE; at < sb.heapEnd; at += (1 as usize) << extentOrder(at)) {
    if (extentState(at) == 0) adoptHeaders(at, sb.heapEnd);
    const isOwned = extentState(at) == EXTENT_USED && changetype<Extent>(at).owner != 0;
    if (isOwned) continue;
    changetype<Extent>(at).word = extentOrder(at) | (EXTENT_USED << 8) | (EXTENT_MARK << 16);
    changetype<Extent>(at).owner = 0;
  }
  for (let at = HEAP_BASE; at < sb.heapEnd; ) {
    const order = extentOrder(at);
    if (changetype<Extent>(at).owner == 0) release(sb, at, order);
    at += (1 as usize) << order;
  }
  // It may have died after it had grown the memory, and before that was part of the heap.
  const end = min((memory.grow(0) as u64) * PAGE_BYTES, sb.memoryLimit as u64) & ~((1 << BUDDY_ORDER_MIN) - 1);
  if (end > (sb.heapEnd as u64)) adopt(sb, end as usize);
}

/** Gives back what a dead worker was about to put on the stack of extents to be freed; false as extentsOf. */
export function extentsLaterOf(index: u32): bool {
  return extentsOf(OWNER_LATER + (index as usize));
}

/** Says whose an extent is from now on. */
export function extentOwn(extent: usize, owner: usize): void {
  changetype<Extent>(extent).owner = owner;
}

/** Gives back every extent of an owner that is no more; false if the lock could not be had, and they are left. */
export function extentsOf(owner: usize): bool {
  const sb = superblock();
  if (!lockAcquire(allocatorWord())) return false;
  if (SHARED) releaseLater(sb);
  for (let at = HEAP_BASE; at < sb.heapEnd; ) {
    const order = extentOrder(at);
    const isOwned = extentState(at) == EXTENT_USED && changetype<Extent>(at).owner == owner;
    at += (1 as usize) << order;
    if (isOwned) release(sb, at - ((1 as usize) << order), order);
  }
  lockRelease(allocatorWord());
  return true;
}

/** Formats the allocator over a fresh memory of `memory.size()` pages. */
export function heapFormat(memoryLimit: usize): void {
  const sb = superblock();
  sb.memoryLimit = memoryLimit;
  sb.heapEnd = HEAP_BASE;
  const end = (memory.size() as u64) * PAGE_BYTES;
  adopt(sb, min(end, memoryLimit as u64) as usize);
}

// Size classes: multiples of 8 up to 128, then four to each doubling up to 32 KiB. A block's size is known to whoever
// frees it, so blocks have no headers.
const CLASS_STEP: u32 = 8;
const CLASS_LINEAR_MAX: u32 = 128;
const CLASS_LINEAR_COUNT: u32 = CLASS_LINEAR_MAX / CLASS_STEP;
const CLASS_DOUBLINGS: u32 = 8;
export const CLASS_COUNT: u32 = CLASS_LINEAR_COUNT + CLASS_DOUBLINGS * 4;
export const SMALL_BYTES_MAX: u32 = CLASS_LINEAR_MAX << CLASS_DOUBLINGS;
/** An arena takes extents of a quarter of what it has, within these orders. */
const ARENA_ORDER_MIN: u32 = BUDDY_ORDER_MIN;
const ARENA_ORDER_MAX: u32 = 18;

/** An arena: the extents of one owner, and the free blocks in them. Its free list heads follow it in memory. */
@unmanaged
export class Arena {
  /** The newest extent; all are linked. */
  extents: usize;
  bump: usize;
  bumpEnd: usize;
  extentCount: u32;
  extentBytes: u32;
  freeBytes: u32;
  usedBytes: u32;
  pad: u32;
}

export const ARENA_BYTES: usize = offsetof<Arena>() + ((CLASS_COUNT as usize) << 2);

/** The class of a block of `size` bytes, 1 ≤ size ≤ SMALL_BYTES_MAX. */
export function classOf(size: u32): u32 {
  if (size <= CLASS_LINEAR_MAX) return (size - 1) >>> 3;
  const last = size - 1;
  const log = 31 - clz<u32>(last);
  return CLASS_LINEAR_COUNT + (log - 7) * 4 + ((last - (1 << log)) >>> (log - 2));
}

/** The bytes of a block of a class. */
export function classBytes(index: u32): u32 {
  if (index < CLASS_LINEAR_COUNT) return (index + 1) << 3;
  const doubling = (index - CLASS_LINEAR_COUNT) >>> 2;
  const step = ((index - CLASS_LINEAR_COUNT) & 3) + 1;
  return (CLASS_LINEAR_MAX << doubling) + step * (32 << doubling);
}

/** The bytes that a block of `size` really takes: its class, or its whole extent. */
export function blockBytes(size: u32): u32 {
  if (size <= SMALL_BYTES_MAX) return classBytes(classOf(size));
  return (1 << orderFor(size)) - (EXTENT_HEADER_BYTES as u32);
}

/** The address of the head of an arena's free list of a class. */
export function arenaListOf(arena: Arena, index: u32): usize {
  return changetype<usize>(arena) + offsetof<Arena>() + ((index as usize) << 2);
}

function pushBlock(arena: Arena, block: usize, index: u32): void {
  const list = arenaListOf(arena, index);
  store<usize>(block, load<usize>(list));
  store<usize>(list, block);
  arena.freeBytes += classBytes(index);
}

function linkExtent(arena: Arena, extent: usize): void {
  const first = arena.extents;
  changetype<Extent>(extent).next = first;
  changetype<Extent>(extent).prev = 0;
  if (first) changetype<Extent>(first).prev = extent;
  arena.extents = extent;
  arena.extentCount++;
  arena.extentBytes += 1 << extentOrder(extent);
}

function unlinkExtent(arena: Arena, extent: usize): void {
  const header = changetype<Extent>(extent);
  if (header.next) changetype<Extent>(header.next).prev = header.prev;
  if (header.prev) changetype<Extent>(header.prev).next = header.next;
  else arena.extents = header.next;
  arena.extentCount--;
  arena.extentBytes -= 1 << extentOrder(extent);
}

/** Puts `rest` bytes at `at` into the free lists: sizes are multiples of the smallest class, so nothing is lost. */
function donate(arena: Arena, at: usize, rest: u32): void {
  while (rest > 0) {
    let index = classOf(min(rest, SMALL_BYTES_MAX));
    if (classBytes(index) > rest) index--;
    pushBlock(arena, at, index);
    at += classBytes(index);
    rest -= classBytes(index);
  }
}

/** Makes room to bump over `bytes`; false if memory cannot grow. */
function refill(arena: Arena, bytes: u32): bool {
  const quarter = max(arena.extentBytes >>> 2, 1);
  const wanted: u32 = min(max((31 - clz<u32>(quarter)) as u32, ARENA_ORDER_MIN), ARENA_ORDER_MAX);
  let extent = extentAllocate(max(wanted, orderFor(bytes)), changetype<usize>(arena));
  // Near the limit a smaller one may still be had.
  if (extent == 0 && wanted > orderFor(bytes)) extent = extentAllocate(orderFor(bytes), changetype<usize>(arena));
  if (extent == 0) return false;
  donate(arena, arena.bump, (arena.bumpEnd - arena.bump) as u32);
  linkExtent(arena, extent);
  arena.bump = extent + EXTENT_HEADER_BYTES;
  arena.bumpEnd = extent + ((1 as usize) << extentOrder(extent));
  return true;
}

function allocateLarge(arena: Arena, size: u32): usize {
  const extent = extentAllocate(orderFor(size), changetype<usize>(arena));
  if (extent == 0) return 0;
  linkExtent(arena, extent);
  arena.usedBytes += blockBytes(size);
  return extent + EXTENT_HEADER_BYTES;
}

/** A block cut from a free one of a larger class, where memory cannot grow any more; 0 if there is none. */
function allocateFromLarger(arena: Arena, index: u32): usize {
  const bytes = classBytes(index);
  for (let larger = index + 1; larger < CLASS_COUNT; larger++) {
    const list = arenaListOf(arena, larger);
    const block = load<usize>(list);
    if (block == 0) continue;
    store<usize>(list, load<usize>(block));
    arena.freeBytes -= classBytes(larger);
    arena.usedBytes += bytes;
    donate(arena, block + bytes, classBytes(larger) - bytes);
    return block;
  }
  return 0;
}

/** A block of at least `size` bytes, 8-byte aligned, its content undefined; 0 if memory cannot grow. */
export function arenaAllocate(arena: Arena, size: u32): usize {
  if (size > SMALL_BYTES_MAX) return allocateLarge(arena, size);
  const index = classOf(size);
  const bytes = classBytes(index);
  const list = arenaListOf(arena, index);
  let block = load<usize>(list);
  if (block) {
    store<usize>(list, load<usize>(block));
    arena.freeBytes -= bytes;
  } else {
    if (arena.bump + bytes > arena.bumpEnd && !refill(arena, bytes)) return allocateFromLarger(arena, index);
    block = arena.bump;
    arena.bump += bytes;
  }
  arena.usedBytes += bytes;
  return block;
}

/** Gives back a block that arenaAllocate returned for this size. */
export function arenaFree(arena: Arena, block: usize, size: u32): void {
  if (size > SMALL_BYTES_MAX) {
    const extent = block - EXTENT_HEADER_BYTES;
    arena.usedBytes -= blockBytes(size);
    unlinkExtent(arena, extent);
    extentFree(extent);
    return;
  }
  const index = classOf(size);
  arena.usedBytes -= classBytes(index);
  pushBlock(arena, block, index);
}

/** Gives every extent of an arena back and leaves it empty. */
export function arenaRelease(arena: Arena): void {
  let extent = arena.extents;
  while (extent) {
    const next = changetype<Extent>(extent).next;
    extentFree(extent);
    extent = next;
  }
  memory.fill(changetype<usize>(arena), 0, ARENA_BYTES);
}
