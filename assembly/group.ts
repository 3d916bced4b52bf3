/**
 * Control bytes, sixteen at a time.
 *
 * Each slot of a table has one control byte: EMPTY, DELETED, or the low seven bits of the hash of what the slot holds.
 * A group is sixteen control bytes that one vector instruction compares; its answer is a mask with one bit a slot.
 * EMPTY and DELETED have the top bit set and a hash never has, so one test tells used from free.
 */
export const GROUP_SLOTS: u32 = 16;
export const CONTROL_EMPTY: u8 = 0x80;
export const CONTROL_DELETED: u8 = 0xfe;
export const CONTROL_HASH_BITS: u32 = 7;

/** The control byte for a hash. */
export function controlOf(hash: u32): u8 {
  return (hash & 0x7f) as u8;
}

/** One bit for each slot of the group at `controls` whose control byte is `control`. */
export function matchControl(controls: usize, control: u8): u32 {
  return i8x16.bitmask(i8x16.eq(v128.load(controls), i8x16.splat(control))) as u32;
}

/** One bit for each slot that was never used since the group was last made. A probe ends where there is one. */
export function matchEmpty(controls: usize): u32 {
  return matchControl(controls, CONTROL_EMPTY);
}

/** One bit for each slot that holds nothing. */
export function matchFree(controls: usize): u32 {
  return i8x16.bitmask(v128.load(controls)) as u32;
}
