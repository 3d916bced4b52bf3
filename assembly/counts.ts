/**
 * How many entries a run has as of what readers see, for who asks without a lock.
 *
 * What readers see moves by one store, and how many there are cannot move by the same. So the counts of the last two versions that
 * were published stand side by side, each behind its version: the newer one is written before its version can be seen, in place of
 * the one before last.
 */
import { load64 } from "./atomics";

const COUNTS_OFFSET: usize = 8;
const SLOT_BYTES: usize = 16;

/** Says how many there are as of a version that cannot be seen yet; `visible` can. */
export function countsSay(slots: usize, visible: u64, version: u64, counts: u64): void {
  const slot = load<u64>(slots) == visible ? slots + SLOT_BYTES : slots;
  store<u64>(slot, version);
  store<u64>(slot + COUNTS_OFFSET, counts);
}

/** Where it stands how many there are as of a version; 0 where nobody has said it. */
export function countsAt(slots: usize, version: u64): usize {
  if (load64(slots) == version) return slots + COUNTS_OFFSET;
  return load64(slots + SLOT_BYTES) == version ? slots + SLOT_BYTES + COUNTS_OFFSET : 0;
}
