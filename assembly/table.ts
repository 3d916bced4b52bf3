/**
 * A hash table of entries that grows by splitting one small table at a time (extendible hashing over Swiss tables).
 *
 *   Table.directory ── 2^depth pointers, indexed by the top bits of the hash
 *        └─ Leaf ── body: slots control bytes, then slots entry pointers (4 bytes each); slots = 16 … 512
 *
 * What it keeps true:
 *  - an entry is in the leaf that the top bits of its hash lead to, in a slot whose control byte is the hash's low seven
 *    bits, reachable by the triangular probe from the group that the bits above those name;
 *  - a leaf has at least one empty slot, so that a probe ends;
 *  - a leaf of local depth d stands in 2^(depth − d) neighbouring places of the directory;
 *  - no insertion moves more entries than one leaf holds, splits that put all on one side included, because then the
 *    leaf is not copied again: it only loses a bit of depth to spare.
 */
import { Arena, arenaAllocate, arenaFree } from "./arena";
import { ENTRY_HEADER_BYTES } from "./constants";
import { bytesEqual, Entry, entryKey } from "./entry";
import {
  CONTROL_DELETED,
  CONTROL_EMPTY,
  CONTROL_HASH_BITS,
  controlOf,
  GROUP_SLOTS,
  matchControl,
  matchEmpty,
  matchFree,
} from "./group";
import { within } from "./optimistic";
import { superblock } from "./superblock";

const SHARED: bool = ASC_FEATURE_THREADS;
const LEAF_SLOTS_MIN: u32 = 16;
/** More slots than any leaf has: only keys with equal hashes make one larger than LEAF_SLOTS_MAX. */
const LEAF_SLOTS_READ_MAX: u32 = 1 << 20;
const LEAF_SLOTS_MAX: u32 = 512;
/** Beyond this depth a leaf grows instead of splitting: only keys with equal hashes can bring it there. */
export const DIRECTORY_DEPTH_MAX: u32 = 20;

@unmanaged
export class Table {
  directory: usize;
  depth: u32;
  /** Entries in the table, those that hold only a tombstone included. */
  entries: u32;
  leaves: u32;
  /** The version of the last commit that made a key appear or disappear. */
  stamp: u64;
}

@unmanaged
export class Leaf {
  body: usize;
  slots: u32;
  depth: u32;
  /** Slots that may still be taken from the empty ones before the leaf must be rebuilt or split. */
  room: u32;
  entries: u32;
}

/** The bytes of a leaf's body. Each is exactly a size class. */
export function leafBodyBytes(slots: u32): u32 {
  return slots * 5;
}

/** The most entries that a leaf may hold: seven eighths. */
export function leafCapacity(slots: u32): u32 {
  return slots - (slots >>> 3);
}

/** The address of a slot's entry pointer. */
export function leafSlot(leaf: Leaf, slot: u32): usize {
  return leaf.body + (leaf.slots as usize) + ((slot as usize) << 2);
}

function directoryIndex(table: Table, hash: u32): usize {
  // Shifted in two steps, since a shift by 32 would be a shift by 0.
  return ((hash >>> 1) >>> (31 - table.depth)) as usize;
}

/** The leaf that a hash belongs in. */
export function tableLeaf(table: Table, hash: u32): Leaf {
  return changetype<Leaf>(load<usize>(table.directory + (directoryIndex(table, hash) << 2)));
}

/** The leaf at a place of the directory. */
export function directoryLeaf(table: Table, index: u32): Leaf {
  return changetype<Leaf>(load<usize>(table.directory + ((index as usize) << 2)));
}

/** How many places of the directory a leaf takes: add it to a leaf's first place to come to the next leaf. */
export function leafSpan(table: Table, leaf: Leaf): u32 {
  return 1 << (table.depth - leaf.depth);
}

function leafMake(arena: Arena, slots: u32, depth: u32): Leaf | null {
  const block = arenaAllocate(arena, offsetof<Leaf>() as u32);
  if (block == 0) return null;
  const leaf = changetype<Leaf>(block);
  if (!leafBodyMake(arena, leaf, slots)) {
    arenaFree(arena, block, offsetof<Leaf>() as u32);
    return null;
  }
  leaf.depth = depth;
  return leaf;
}

function leafBodyMake(arena: Arena, leaf: Leaf, slots: u32): bool {
  const body = arenaAllocate(arena, leafBodyBytes(slots));
  if (body == 0) return false;
  memory.fill(body, CONTROL_EMPTY, slots);
  leaf.body = body;
  leaf.slots = slots;
  leaf.room = leafCapacity(slots);
  leaf.entries = 0;
  return true;
}

/** An empty table; null if memory cannot grow. */
export function tableMake(arena: Arena): Table | null {
  const block = arenaAllocate(arena, offsetof<Table>() as u32);
  const directory = block ? arenaAllocate(arena, 4) : 0;
  const leaf = directory ? leafMake(arena, LEAF_SLOTS_MIN, 0) : null;
  if (leaf === null) {
    if (directory) arenaFree(arena, directory, 4);
    if (block) arenaFree(arena, block, offsetof<Table>() as u32);
    return null;
  }
  const table = changetype<Table>(block);
  store<usize>(directory, changetype<usize>(leaf));
  table.directory = directory;
  table.depth = 0;
  table.entries = 0;
  table.leaves = 1;
  table.stamp = 0;
  return table;
}

/** Gives an empty table back. */
export function tableFree(table: Table, arena: Arena): void {
  assert(table.entries == 0);
  for (let place: u32 = 0; place < (1 as u32) << table.depth; ) {
    const leaf = directoryLeaf(table, place);
    place += leafSpan(table, leaf);
    arenaFree(arena, leaf.body, leafBodyBytes(leaf.slots));
    arenaFree(arena, changetype<usize>(leaf), offsetof<Leaf>() as u32);
  }
  arenaFree(arena, table.directory, 4 << table.depth);
  arenaFree(arena, changetype<usize>(table), offsetof<Table>() as u32);
}

/** The leaf at an address that was read without a lock, or null: what is in it may be something else at each look. */
export function leafWithin(address: usize): Leaf | null {
  const at = within(address, offsetof<Leaf>() as u32);
  return at != 0 ? changetype<Leaf>(at) : null;
}

/**
 * The body of a leaf that said to have so many slots; 0 where a reader without a lock has come upon something else. Each is read
 * once only, so that what was looked at is what is used.
 */
export function leafBody(leaf: Leaf, slots: u32): usize {
  if (!SHARED) return leaf.body;
  const isSize = slots >= LEAF_SLOTS_MIN && slots <= LEAF_SLOTS_READ_MAX && popcnt<u32>(slots) == 1;
  return isSize ? within(leaf.body, leafBodyBytes(slots)) : 0;
}

/** The leaf for a hash, as tableLeaf, or null where a reader without a lock has come upon something else. */
function leafFor(table: Table, hash: u32): Leaf | null {
  if (!SHARED) return tableLeaf(table, hash);
  if (table.depth > DIRECTORY_DEPTH_MAX) return null;
  return leafWithin(load<usize>(within(table.directory + (directoryIndex(table, hash) << 2), 4)));
}

/** The entry of a key, or null. The key is `keyBytes` bytes at `key`, anywhere in memory. */
export function tableFind(table: Table, hash: u32, key: usize, keyBytes: u32): Entry | null {
  const leaf = leafFor(table, hash);
  if (SHARED && leaf === null) return null;
  const size = changetype<Leaf>(leaf).slots;
  const controls = leafBody(changetype<Leaf>(leaf), size);
  if (SHARED && controls == 0) return null;
  const slots = controls + (size as usize);
  const mask = size / GROUP_SLOTS - 1;
  const control = controlOf(hash);
  let group = (hash >>> CONTROL_HASH_BITS) & mask;
  for (let step: u32 = 1; step <= mask + 1; step++) {
    const at = controls + ((group * GROUP_SLOTS) as usize);
    for (let match = matchControl(at, control); match; match &= match - 1) {
      const slot = group * GROUP_SLOTS + ctz<u32>(match);
      const entry = changetype<Entry>(
        within(load<usize>(slots + ((slot as usize) << 2)), ENTRY_HEADER_BYTES + keyBytes),
      );
      if (entry.hash == hash && (entry.keyBytes as u32) == keyBytes && bytesEqual(entryKey(entry), key, keyBytes)) {
        return entry;
      }
    }
    if (matchEmpty(at)) return null;
    group = (group + step) & mask;
  }
  return null;
}

/** Puts an entry that is not in the leaf into a free slot. The leaf has room. */
function leafPut(leaf: Leaf, entry: Entry): void {
  const mask = leaf.slots / GROUP_SLOTS - 1;
  let group = (entry.hash >>> CONTROL_HASH_BITS) & mask;
  let step: u32 = 1;
  let free = matchFree(leaf.body + ((group * GROUP_SLOTS) as usize));
  while (free == 0) {
    group = (group + step++) & mask;
    free = matchFree(leaf.body + ((group * GROUP_SLOTS) as usize));
  }
  const slot = group * GROUP_SLOTS + ctz<u32>(free);
  const control = leaf.body + (slot as usize);
  if (load<u8>(control) == CONTROL_EMPTY) leaf.room--;
  store<u8>(control, controlOf(entry.hash));
  store<usize>(leafSlot(leaf, slot), changetype<usize>(entry));
  leaf.entries++;
}

/** Puts every entry of an old body into leaves that have room for it: `high` takes those whose bit is set. */
function leafMove(body: usize, slots: u32, low: Leaf, high: Leaf, bit: u32): void {
  for (let slot: u32 = 0; slot < slots; slot++) {
    if (load<u8>(body + (slot as usize)) & CONTROL_EMPTY) continue;
    const entry = changetype<Entry>(load<usize>(body + (slots as usize) + ((slot as usize) << 2)));
    leafPut(bit != 0 && (entry.hash & bit) != 0 ? high : low, entry);
  }
}

/** Gives a leaf a new body of `slots` slots; false if memory cannot grow, with nothing changed. */
function leafRebuild(arena: Arena, leaf: Leaf, slots: u32): bool {
  const oldBody = leaf.body;
  const oldSlots = leaf.slots;
  if (!leafBodyMake(arena, leaf, slots)) return false;
  leafMove(oldBody, oldSlots, leaf, leaf, 0);
  arenaFree(arena, oldBody, leafBodyBytes(oldSlots));
  noteMoved(leaf.entries);
  return true;
}

function noteMoved(entries: u32): void {
  const sb = superblock();
  if (entries > sb.movedMax) sb.movedMax = entries;
}

function directoryDouble(table: Table, arena: Arena): bool {
  const places = (1 as u32) << table.depth;
  const directory = arenaAllocate(arena, places << 3);
  if (directory == 0) return false;
  for (let i: usize = 0; i < (places as usize); i++) {
    const leaf = load<u32>(table.directory + (i << 2)) as u64;
    store<u64>(directory + (i << 3), leaf | (leaf << 32));
  }
  arenaFree(arena, table.directory, places << 2);
  table.directory = directory;
  table.depth++;
  return true;
}

/** Splits a full leaf in two by the next bit of the hash; false if memory cannot grow, with nothing lost. */
function leafSplit(table: Table, arena: Arena, leaf: Leaf, hash: u32): bool {
  if (leaf.depth == table.depth && !directoryDouble(table, arena)) return false;
  const high = leafMake(arena, leaf.slots, leaf.depth + 1);
  if (high === null) return false;
  const oldBody = leaf.body;
  const oldSlots = leaf.slots;
  const moved = leaf.entries;
  if (!leafBodyMake(arena, leaf, oldSlots)) {
    arenaFree(arena, high.body, leafBodyBytes(high.slots));
    arenaFree(arena, changetype<usize>(high), offsetof<Leaf>() as u32);
    return false;
  }
  leafMove(oldBody, oldSlots, leaf, high, 1 << (31 - leaf.depth));
  arenaFree(arena, oldBody, leafBodyBytes(oldSlots));
  const half = leafSpan(table, leaf) >>> 1;
  leaf.depth++;
  const first = (directoryIndex(table, hash) as u32) & ~((half << 1) - 1);
  for (let i: u32 = first + half; i < first + (half << 1); i++) {
    store<usize>(table.directory + ((i as usize) << 2), changetype<usize>(high));
  }
  table.leaves++;
  noteMoved(moved);
  return true;
}

/** How many slots of a leaf were never used since it was last rebuilt. */
function leafEmpty(leaf: Leaf): u32 {
  let empty: u32 = 0;
  for (let slot: u32 = 0; slot < leaf.slots; slot += GROUP_SLOTS)
    empty += popcnt<u32>(matchEmpty(leaf.body + (slot as usize)));
  return empty;
}

/**
 * Puts an entry into a leaf that should be rebuilt, where there is no memory to do so: into a slot that a deletion has left
 * on its way, or else into an empty one, as long as another one stays empty. False if there is none.
 */
function leafReuse(table: Table, leaf: Leaf, entry: Entry): bool {
  if (leaf.entries >= leafCapacity(leaf.slots)) return false;
  const mask = leaf.slots / GROUP_SLOTS - 1;
  let group = (entry.hash >>> CONTROL_HASH_BITS) & mask;
  for (let step: u32 = 1; step <= mask + 1; step++) {
    const at = leaf.body + ((group * GROUP_SLOTS) as usize);
    const empty = matchEmpty(at);
    let usable = matchControl(at, CONTROL_DELETED);
    if (usable == 0 && empty != 0 && leafEmpty(leaf) > 1) usable = empty;
    if (usable != 0) {
      const slot = group * GROUP_SLOTS + ctz<u32>(usable);
      store<u8>(leaf.body + (slot as usize), controlOf(entry.hash));
      store<usize>(leafSlot(leaf, slot), changetype<usize>(entry));
      leaf.entries++;
      table.entries++;
      return true;
    }
    // A probe for the key would end here, so it must not stand any further.
    if (empty != 0) return false;
    group = (group + step) & mask;
  }
  return false;
}

/** Puts an entry whose key is not in the table into it; false if memory cannot grow, with the table as it was to readers. */
export function tableInsert(table: Table, arena: Arena, entry: Entry): bool {
  let leaf = tableLeaf(table, entry.hash);
  while (leaf.room == 0) {
    const capacity = leafCapacity(leaf.slots);
    let done: bool;
    if (leaf.entries <= capacity >>> 1) done = leafRebuild(arena, leaf, leaf.slots);
    else if (leaf.slots < LEAF_SLOTS_MAX || leaf.depth == DIRECTORY_DEPTH_MAX)
      done = leafRebuild(arena, leaf, leaf.slots << 1);
    else done = leafSplit(table, arena, leaf, entry.hash);
    if (!done) return leafReuse(table, leaf, entry);
    leaf = tableLeaf(table, entry.hash);
  }
  leafPut(leaf, entry);
  table.entries++;
  return true;
}

/** Takes an entry that is in the table out of it. */
export function tableErase(table: Table, entry: Entry): void {
  const leaf = tableLeaf(table, entry.hash);
  const mask = leaf.slots / GROUP_SLOTS - 1;
  const control = controlOf(entry.hash);
  let group = (entry.hash >>> CONTROL_HASH_BITS) & mask;
  for (let step: u32 = 1; step <= mask + 1; step++) {
    const at = leaf.body + ((group * GROUP_SLOTS) as usize);
    for (let match = matchControl(at, control); match; match &= match - 1) {
      const slot = group * GROUP_SLOTS + ctz<u32>(match);
      if (load<usize>(leafSlot(leaf, slot)) != changetype<usize>(entry)) continue;
      // No probe ever went past a group that has an empty slot, so there the slot can be empty again.
      const empty = matchEmpty(at) != 0;
      store<u8>(leaf.body + (slot as usize), empty ? CONTROL_EMPTY : CONTROL_DELETED);
      if (empty) leaf.room++;
      leaf.entries--;
      table.entries--;
      return;
    }
    group = (group + step) & mask;
  }
  assert(false);
}
