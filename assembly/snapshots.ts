/**
 * The registry of held snapshots, and the horizon below which versions may go.
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
 * The rule that makes pruning safe without a lock (COMMIT 13): a pruner raises `floor` to the horizon that it uses, then
 * reads the slots, then prunes; who acquires stores its slot, then reads `floor`, and tries again if that has passed it.
 */
import { add64, load32, load64, replace64, store32, store64 } from "./atomics";
import { CAPABILITY_LOG, SNAPSHOT_SLOTS, WORKERS_MAX } from "./constants";
import {
  SNAPSHOT_BITMAP_BASE,
  SNAPSHOT_BITMAP_BYTES,
  SNAPSHOT_SLOTS_ALL,
  SNAPSHOT_SLOTS_BASE,
  Superblock,
  superblock,
} from "./superblock";
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

/**
 * D: everything at or below it is published, in every run. With a log that is where the first unpublished commit of the
 * queue stands; in memory only, it is told by what the workers are committing (COMMIT 14).
 */
export function publishedHorizon(): u64 {
  const sb = superblock();
  const counter = load64(changetype<usize>(sb) + offsetof<Superblock>("version"));
  if (sb.capabilities & CAPABILITY_LOG) {
    const first = load64(changetype<usize>(sb) + offsetof<Superblock>("unpublishedFrom"));
    return min(counter, first - 1);
  }
  if (!SHARED) return counter;
  let horizon = counter;
  for (let index: u32 = 0; index < workersHigh(sb); index++) {
    const bound = load64(changetype<usize>(workerAt(index)) + offsetof<Worker>("bound"));
    if (bound != 0) horizon = min(horizon, bound - 1);
  }
  return horizon;
}

function workersHigh(sb: Superblock): u32 {
  return load32(changetype<usize>(sb) + offsetof<Superblock>("workersHigh"));
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

/**
 * Holds a snapshot at `version`, which the caller knows to be at least the horizon at some instant since it began.
 * With `reserved` it may take a slot of the reserve. Returns the slot to release, or NO_SLOT: every slot is taken by other versions, or pruning has passed the version
 * (then the caller reads the newest version again and retries).
 */
export function snapshotAcquire(version: u64, reserved: bool): u32 {
  const sb = superblock();
  const start = SHARED
    ? workerIndex() * SLOTS_OWN + ((version as u32) & (SLOTS_OWN - 1))
    : (version as u32) & (SNAPSHOT_SLOTS - 1);
  // Where it will stand is not known yet: a pruner that comes meanwhile looks at every slot.
  countHeld(1, SHARED ? 1 : 0);
  const slots = reserved ? SNAPSHOT_SLOTS_ALL : SNAPSHOT_SLOTS;
  for (let step: u32 = 0; step < slots; step++) {
    const slot = step < SNAPSHOT_SLOTS ? slotInTurn(start, step) : step;
    if (!slotTake(slot, version)) continue;
    if (load64(changetype<usize>(sb) + offsetof<Superblock>("floor")) > version) {
      slotDrop(slot);
      break;
    }
    if (SHARED && !isElsewhere(slot)) countHeld(0, -1);
    return slot;
  }
  countHeld(-1, SHARED ? -1 : 0);
  return NO_SLOT;
}

/** The slot to look at next: between workers first all of this one's own, then everybody's. */
function slotInTurn(start: u32, step: u32): u32 {
  if (SHARED && step < SLOTS_OWN) return (start & ~(SLOTS_OWN - 1)) + ((start + step) & (SLOTS_OWN - 1));
  return (start + step) & (SNAPSHOT_SLOTS - 1);
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

/** Raises the floor to `horizon`: the first thing that a pruner does. */
export function raiseFloor(horizon: u64): void {
  const address = changetype<usize>(superblock()) + offsetof<Superblock>("floor");
  for (;;) {
    const floor = load64(address);
    if (floor >= horizon || replace64(address, floor, horizon)) return;
  }
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
  for (let index: u32 = 0; index < workersHigh(superblock()); index++) {
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

/** Below this nothing is held: nothing was once the floor stood there, and since then nothing can be acquired. Each instance's own. */
let clearBelow: u64 = 0;

/** Notes whether nothing is held at all. The floor stands at `horizon` or above. */
export function noteHeld(horizon: u64): void {
  if (SHARED && snapshotsHeld() == 0) clearBelow = horizon;
}

function heldBetweenShared(from: u64, to: u64): bool {
  if (to <= clearBelow) return false;
  const high = workersHigh(superblock());
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

/** Announces that this worker is about to take a version: nothing above the bound counts as published until it is done. */
export function workerBegin(): void {
  if (!SHARED) return;
  const counter = load64(changetype<usize>(superblock()) + offsetof<Superblock>("version"));
  store64(changetype<usize>(worker()) + offsetof<Worker>("bound"), counter + 1);
}

/** Ends what workerBegin announced, after the run's visible version has moved. */
export function workerEnd(): void {
  if (SHARED) store64(changetype<usize>(worker()) + offsetof<Worker>("bound"), 0);
}

/** Takes the next version. Under the log lock where there is a log. */
export function nextVersion(): u64 {
  return add64(changetype<usize>(superblock()) + offsetof<Superblock>("version"), 1) + 1;
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
