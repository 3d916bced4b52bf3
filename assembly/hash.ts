/**
 * The hash of a key: 32 bits, seeded per database so that nobody who cannot read the seed can make keys collide.
 *
 * Two 32-bit lanes start from the seed; eight bytes at a time are folded into them by a full 32 × 32 → 64 bit product,
 * the widest that WebAssembly multiplies in one instruction. The table spends the bits once each: the low 7 for the
 * control byte, the next for the group, the high ones for the directory.
 */
const FACTOR_A: u32 = 0x53c5ca59;
const FACTOR_B: u32 = 0x74743c1b;

/** The hash of `length` bytes at `pointer` under `seed`. */
export function hashKey(pointer: usize, length: u32, seed: u64): u32 {
  let a = (seed as u32) ^ length;
  let b = (seed >> 32) as u32;
  let p = pointer;
  let rest = length;
  for (; rest > 8; rest -= 8, p += 8) {
    const product = ((a ^ load<u32>(p) ^ FACTOR_A) as u64) * ((b ^ load<u32>(p, 4) ^ FACTOR_B) as u64);
    a = product as u32;
    b = (product >> 32) as u32;
  }
  if (rest >= 4) {
    a ^= load<u32>(p);
    b ^= load<u32>(p + rest - 4);
  } else if (rest > 0) {
    a ^= ((load<u8>(p) as u32) << 16) | ((load<u8>(p + (rest >> 1)) as u32) << 8) | (load<u8>(p + rest - 1) as u32);
  }
  const product = ((a ^ FACTOR_A) as u64) * ((b ^ FACTOR_B) as u64);
  return (product as u32) ^ ((product >> 32) as u32);
}
