/**
 * The registry of held snapshots.
 *
 * A slot is one word, 0 while free; who acquires a version looks first at the slot that the version hashes to, so that
 * holders of one version meet there.
 *
 *   version << 11 | holders                     where there is one worker
 *   version << 11 | worker << 5 | holders       between workers: whose it is stands in the word itself, so that there is no
 *                                               instant at which a worker that dies leaves a slot that nobody has
 *
 * So that a pruner need not look at every slot, the single build keeps a bitmap of those in use. Between workers a bitmap
 * and its slots could not change together, and holders of different workers would meet on one cache line: there each worker
 * has SLOTS_OWN slots of its own to look at first, shares none with another, and counts what it holds: before the slot is
 * stored, and until after it is cleared.
 *
 * That a slot which is stored keeps what is seen at its version is another matter: acquire.ts.
 */
import { load32, load64, replace64, store32, store64 } from "./atomics";
import { SNAPSHOT_SLOTS, WORKERS_MAX } from "./constants";
import { pointBetween, workersHigh } from "./horizon";
import { SNAPSHOT_BITMAP_BASE, SNAPSHOT_BITMAP_BYTES, SNAPSHOT_SLOTS_ALL, SNAPSHOT_SLOTS_BASE } from "./superblock";
import { Worker, worker, workerAt, workerIndex } from "./workers";

const SHARED: bool = ASC_FEATURE_THREADS;
/** Bits below the version. */
const HOLDER_BITS: u64 = 11;
/** Between workers, those of them that count holders; the worker's index stands above them. */
const HOLDER_COUNT_BITS: u64 = 5;
const HOLDERS_MAX: u64 = SHARED ? (1 << HOLDER_COUNT_BITS) - 1 : (1 << HOLDER_BITS) - 1;
/** Returned where every slot is taken. */
export const NO_SLOT: u32 = 0xffffffff;

function slotAddress(slot: u32): usize {
  return SNAPSHOT_SLOTS_BASE + ((slot as usize) << 3);
}

function bitmapAddress(slot: u32): usize {
  return SNAPSHOT_BITMAP_BASE + (((slot >>> 6) as usize) << 3);
}

function bitmapSet(slot: u32): void {
  if (SHARED) return;
  store<u64>(bitmapAddress(slot), load<u64>(bitmapAddress(slot)) | ((1 as u64) << ((slot & 63) as u64)));
}

function bitmapClear(slot: u32): void {
  if (SHARED) return;
  store<u64>(bitmapAddress(slot), load<u64>(bitmapAddress(slot)) & ~((1 as u64) << ((slot & 63) as u64)));
}

// Between workers: who holds a slot.

/** Slots that a worker looks at first. */
const SLOTS_OWN: u32 = SNAPSHOT_SLOTS / WORKERS_MAX;

/** Whether a slot is outside of those that its holder looks at first. */
function isElsewhere(slot: u32): bool {
  return slot / SLOTS_OWN != workerIndex();
}

/** Takes a slot for this worker, or adds a holder to one that it has at this version; false if it is somebody else's. */
function slotTakeShared(slot: u32, version: u64): bool {
  const address = slotAddress(slot);
  const word = load64(address);
  const mine = (version << HOLDER_BITS) | ((workerIndex() as u64) << HOLDER_COUNT_BITS);
  if (word == 0) return replace64(address, 0, mine | 1);
  if ((word & ~HOLDERS_MAX) != mine || (word & HOLDERS_MAX) == HOLDERS_MAX) return false;
  store64(address, word + 1);
  return true;
}

function countHeld(change: i32, elsewhere: i32): void {
  const mine = changetype<usize>(worker());
  store32(mine + offsetof<Worker>("held"), worker().held + change);
  if (elsewhere != 0) store32(mine + offsetof<Worker>("heldElsewhere"), worker().heldElsewhere + elsewhere);
}

/** Lets go of everything that a worker holds which is known to be dead. */
export function snapshotsOfDead(index: u32): void {
  const dead = workerAt(index);
  for (let slot: u32 = 0; slot < SNAPSHOT_SLOTS_ALL; slot++) {
    const word = load64(slotAddress(slot));
    const owner = ((word >> HOLDER_COUNT_BITS) as u32) & (WORKERS_MAX - 1);
    if (word != 0 && owner == index) store64(slotAddress(slot), 0);
  }
  store32(changetype<usize>(dead) + offsetof<Worker>("held"), 0);
  store32(changetype<usize>(dead) + offsetof<Worker>("heldElsewhere"), 0);
}

/** Adds a holder of `version` to a slot that has that version or none; false if the slot is somebody else's. */
function slotTake(slot: u32, version: u64): bool {
  if (SHARED) return slotTakeShared(slot, version);
  const address = slotAddress(slot);
  const word = load64(address);
  if (word == 0) {
    if (!replace64(address, 0, (version << HOLDER_BITS) | 1)) return false;
    bitmapSet(slot);
    return true;
  }
  return word >> HOLDER_BITS == version && (word & HOLDERS_MAX) < HOLDERS_MAX && replace64(address, word, word + 1);
}

/** Stores `version` in a slot, with `reserved` of the reserve too; the slot, or NO_SLOT where every one is taken by other versions. */
export function snapshotAcquire(version: u64, reserved: bool): u32 {
  const start = SHARED
    ? workerIndex() * SLOTS_OWN + ((version as u32) & (SLOTS_OWN - 1))
    : (version as u32) & (SNAPSHOT_SLOTS - 1);
  // Where it will stand is not known yet: a pruner that comes meanwhile looks at every slot.
  countHeld(1, SHARED ? 1 : 0);
  const slots = reserved ? SNAPSHOT_SLOTS_ALL : SNAPSHOT_SLOTS;
  for (let step: u32 = 0; step < slots; step++) {
    const slot = step < SNAPSHOT_SLOTS ? slotInTurn(start, step) : step;
    if (!slotTake(slot, version)) continue;
    if (SHARED && !isElsewhere(slot)) countHeld(0, -1);
    return slot;
  }
  countHeld(-1, SHARED ? -1 : 0);
  return NO_SLOT;
}

/** The slot to look at next: between workers first all of this one's own, then everybody's. */
function slotInTurn(start: u32, step: u32): u32 {
  if (!SHARED) return (start + step) & (SNAPSHOT_SLOTS - 1);
  const own = start & ~(SLOTS_OWN - 1);
  return step < SLOTS_OWN ? own + ((start + step) & (SLOTS_OWN - 1)) : (own + step) & (SNAPSHOT_SLOTS - 1);
}

function slotDrop(slot: u32): void {
  const address = slotAddress(slot);
  const word = load64(address);
  assert((word & HOLDERS_MAX) != 0);
  const last = (word & HOLDERS_MAX) == 1;
  store64(address, last ? 0 : word - 1);
  if (last) bitmapClear(slot);
}

/** Lets go of one holder of a slot. */
export function snapshotRelease(slot: u32): void {
  slotDrop(slot);
  countHeld(-1, SHARED && isElsewhere(slot) ? -1 : 0);
}

/** The version that a slot holds. */
export function snapshotVersion(slot: u32): u64 {
  return load64(slotAddress(slot)) >> HOLDER_BITS;
}

/** How many hold the snapshot of a slot, from its word. */
export function slotHolders(word: u64): u32 {
  return (word & HOLDERS_MAX) as u32;
}

function slotHeldIn(slot: u32, from: u64, to: u64): bool {
  const held = load64(slotAddress(slot));
  const version = held >> HOLDER_BITS;
  return held != 0 && version >= from && version < to;
}

/** How many snapshots are held, transactions included, over all workers. */
export function snapshotsHeld(): u32 {
  if (!SHARED) return worker().held;
  let held: u32 = 0;
  for (let index: u32 = 0; index < workersHigh(); index++) {
    held += load32(changetype<usize>(workerAt(index)) + offsetof<Worker>("held"));
  }
  return held;
}

/** Whether a held snapshot sees a version that is `from` and whose successor is `to`: one in [from, to). */
export function heldBetween(from: u64, to: u64): bool {
  if (SHARED) return heldBetweenShared(from, to);
  if (worker().held == 0) return false;
  for (let word: usize = 0; word < SNAPSHOT_BITMAP_BYTES; word += 8) {
    for (let bits = load<u64>(SNAPSHOT_BITMAP_BASE + word); bits; bits &= bits - 1) {
      if (slotHeldIn(((word as u32) << 3) + (ctz<u64>(bits) as u32), from, to)) return true;
    }
  }
  return false;
}

/** Below this nothing is held that prevents pruning: nothing was once this was the horizon. Each instance's own. */
let clearBelow: u64 = 0;
/** Whether nothing at all was held when this instance looked last, which was after it had looked at the bounds. */
let nothingHeld: bool = false;

/** Notes whether nothing is held at all. The floor stands at `horizon` or above. */
export function noteHeld(horizon: u64): void {
  if (!SHARED) return;
  nothingHeld = snapshotsHeld() == 0;
  if (nothingHeld) clearBelow = horizon;
}

/**
 * Whether a snapshot sees a record that is `from` and whose successor is `to`, or can come to see it. The successor is no newer
 * than the floor, and above `horizon` there are points.
 */
export function seenBetween(from: u64, to: u64, horizon: u64): bool {
  if (SHARED && to > horizon) {
    if (pointBetween(from, to)) return true;
    if (nothingHeld) return false;
  }
  return heldBetween(from, to);
}

function heldBetweenShared(from: u64, to: u64): bool {
  if (to <= clearBelow) return false;
  const high = workersHigh();
  let elsewhere: u32 = 0;
  for (let index: u32 = 0; index < high; index++) {
    const address = changetype<usize>(workerAt(index));
    if (load32(address + offsetof<Worker>("held")) == 0) continue;
    elsewhere |= load32(address + offsetof<Worker>("heldElsewhere"));
    for (let slot = index * SLOTS_OWN; slot < (index + 1) * SLOTS_OWN; slot++) {
      if (slotHeldIn(slot, from, to)) return true;
    }
  }
  if (elsewhere == 0) return false;
  for (let slot: u32 = 0; slot < SNAPSHOT_SLOTS_ALL; slot++) {
    if (slotHeldIn(slot, from, to)) return true;
  }
  return false;
}

/** The lowest version that is held; 0 where none is. For those who look inside: it looks at every slot. */
export function oldestHeld(): u64 {
  let oldest: u64 = 0;
  for (let slot: u32 = 0; slot < SNAPSHOT_SLOTS_ALL; slot++) {
    const word = load64(slotAddress(slot));
    const version = word >> HOLDER_BITS;
    if (word != 0 && (oldest == 0 || version < oldest)) oldest = version;
  }
  return oldest;
}
