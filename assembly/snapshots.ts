/**
 * The registry of held snapshots, and the horizon below which versions may go.
 *
 * A slot is one word: version << 11 | holders, 0 while free. Who acquires a version looks first at the slot that the
 * version hashes to, so that holders of one version meet there. So that a pruner need not look at every slot, the single
 * build keeps a bitmap of those in use; between workers a bitmap and its slots could not change together, so the shared
 * build counts the holders instead: counted before the slot is stored, and until after it is cleared.
 *
 * The rule that makes pruning safe without a lock (COMMIT 13): a pruner raises `floor` to the horizon that it uses, then
 * reads the slots, then prunes; who acquires stores its slot, then reads `floor`, and tries again if that has passed it.
 */
import { CAPABILITY_LOG, SNAPSHOT_SLOTS } from "./constants";
import { addShared, loadShared, replaceShared, storeShared } from "./lock";
import {
  SNAPSHOT_BITMAP_BASE,
  SNAPSHOT_BITMAP_BYTES,
  SNAPSHOT_SLOTS_ALL,
  SNAPSHOT_SLOTS_BASE,
  Superblock,
  superblock,
  WORKER_SLOT_BYTES,
  WORKER_SLOTS,
  WORKER_SLOTS_BASE,
} from "./superblock";

const SHARED: bool = ASC_FEATURE_THREADS;
const HOLDER_BITS: u64 = 11;
const HOLDERS_MAX: u64 = (1 << HOLDER_BITS) - 1;
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
  const counter = loadShared(changetype<usize>(sb) + offsetof<Superblock>("version"));
  if (sb.capabilities & CAPABILITY_LOG) {
    const first = loadShared(changetype<usize>(sb) + offsetof<Superblock>("unpublishedFrom"));
    return min(counter, first - 1);
  }
  if (!SHARED) return counter;
  let horizon = counter;
  for (let worker: u32 = 0; worker < WORKER_SLOTS; worker++) {
    const bound = loadShared(WORKER_SLOTS_BASE + (worker as usize) * WORKER_SLOT_BYTES);
    if (bound != 0) horizon = min(horizon, bound - 1);
  }
  return horizon;
}

/** Adds a holder of `version` to a slot that has that version or none; false if the slot is somebody else's. */
function slotTake(slot: u32, version: u64): bool {
  const address = slotAddress(slot);
  const word = loadShared(address);
  if (word == 0) {
    if (!replaceShared(address, 0, (version << HOLDER_BITS) | 1)) return false;
    bitmapSet(slot);
    return true;
  }
  return word >> HOLDER_BITS == version && (word & HOLDERS_MAX) < HOLDERS_MAX && replaceShared(address, word, word + 1);
}

/**
 * Holds a snapshot at `version`, which the caller knows to be at least the horizon at some instant since it began.
 * With `reserved` it may take a slot of the reserve. Returns the slot to release, or NO_SLOT: every slot is taken by other versions, or pruning has passed the version
 * (then the caller reads the newest version again and retries).
 */
export function snapshotAcquire(version: u64, reserved: bool): u32 {
  const sb = superblock();
  const start = (version as u32) & (SNAPSHOT_SLOTS - 1);
  addHeld(sb, 1);
  const slots = reserved ? SNAPSHOT_SLOTS_ALL : SNAPSHOT_SLOTS;
  for (let step: u32 = 0; step < slots; step++) {
    const slot = step < SNAPSHOT_SLOTS ? (start + step) & (SNAPSHOT_SLOTS - 1) : step;
    if (!slotTake(slot, version)) continue;
    if (loadShared(changetype<usize>(sb) + offsetof<Superblock>("floor")) <= version) return slot;
    slotDrop(slot);
    break;
  }
  addHeld(sb, -1);
  return NO_SLOT;
}

function addHeld(sb: Superblock, count: i32): void {
  const address = changetype<usize>(sb) + offsetof<Superblock>("snapshotsHeld");
  if (SHARED) atomic.add<u32>(address, count as u32);
  else store<u32>(address, load<u32>(address) + count);
}

function slotDrop(slot: u32): void {
  const address = slotAddress(slot);
  for (;;) {
    const word = loadShared(address);
    assert((word & HOLDERS_MAX) != 0);
    const last = (word & HOLDERS_MAX) == 1;
    if (!replaceShared(address, word, last ? 0 : word - 1)) continue;
    if (last) bitmapClear(slot);
    return;
  }
}

/** Lets go of one holder of a slot. */
export function snapshotRelease(slot: u32): void {
  slotDrop(slot);
  addHeld(superblock(), -1);
}

/** The version that a slot holds. */
export function snapshotVersion(slot: u32): u64 {
  return loadShared(slotAddress(slot)) >> HOLDER_BITS;
}

/** Raises the floor to `horizon`: the first thing that a pruner does. */
export function raiseFloor(horizon: u64): void {
  const address = changetype<usize>(superblock()) + offsetof<Superblock>("floor");
  for (;;) {
    const floor = loadShared(address);
    if (floor >= horizon || replaceShared(address, floor, horizon)) return;
  }
}

function slotHeldIn(slot: u32, from: u64, to: u64): bool {
  const held = loadShared(slotAddress(slot));
  const version = held >> HOLDER_BITS;
  return held != 0 && version >= from && version < to;
}

function snapshotsHeld(): u32 {
  const held = changetype<usize>(superblock()) + offsetof<Superblock>("snapshotsHeld");
  return SHARED ? atomic.load<u32>(held) : load<u32>(held);
}

/** Whether a held snapshot sees a version that is `from` and whose successor is `to`: one in [from, to). */
export function heldBetween(from: u64, to: u64): bool {
  if (snapshotsHeld() == 0) return false;
  if (SHARED) {
    for (let slot: u32 = 0; slot < SNAPSHOT_SLOTS_ALL; slot++) {
      if (slotHeldIn(slot, from, to)) return true;
    }
    return false;
  }
  for (let word: usize = 0; word < SNAPSHOT_BITMAP_BYTES; word += 8) {
    for (let bits = load<u64>(SNAPSHOT_BITMAP_BASE + word); bits; bits &= bits - 1) {
      if (slotHeldIn(((word as u32) << 3) + (ctz<u64>(bits) as u32), from, to)) return true;
    }
  }
  return false;
}

/** Announces that a worker is about to take a version: nothing above the bound counts as published until it is done. */
export function workerBegin(worker: u32): void {
  if (!SHARED) return;
  const counter = loadShared(changetype<usize>(superblock()) + offsetof<Superblock>("version"));
  storeShared(WORKER_SLOTS_BASE + (worker as usize) * WORKER_SLOT_BYTES, counter + 1);
}

/** Ends what workerBegin announced, after the run's visible version has moved. */
export function workerEnd(worker: u32): void {
  if (SHARED) storeShared(WORKER_SLOTS_BASE + (worker as usize) * WORKER_SLOT_BYTES, 0);
}

/** Takes the next version. Under the log lock where there is a log. */
export function nextVersion(): u64 {
  return addShared(changetype<usize>(superblock()) + offsetof<Superblock>("version"), 1) + 1;
}

/** The lowest version that is held; 0 where none is. For those who look inside: it looks at every slot. */
export function oldestHeld(): u64 {
  let oldest: u64 = 0;
  for (let slot: u32 = 0; slot < SNAPSHOT_SLOTS_ALL; slot++) {
    const word = loadShared(slotAddress(slot));
    const version = word >> HOLDER_BITS;
    if (word != 0 && (oldest == 0 || version < oldest)) oldest = version;
  }
  return oldest;
}
