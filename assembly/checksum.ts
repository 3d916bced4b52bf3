/**
 * CRC32C (Castagnoli, reflected, polynomial 0x82f63b78; RFC 3720 appendix B.4), eight bytes a step.
 *
 * The eight tables are computed into the fixed memory map when the memory is formatted, because static data would be
 * written again by every instance that attaches. Every instance computes the same words.
 */
import { CHECKSUM_TABLES_BASE } from "./superblock";

const POLYNOMIAL: u32 = 0x82f63b78;
const TABLE_BYTES: usize = 1024;

function tableWord(table: usize, index: u32): u32 {
  return load<u32>(CHECKSUM_TABLES_BASE + table * TABLE_BYTES + ((index as usize) << 2));
}

/** Fills the tables: table 0 advances a checksum by one byte, table k by a byte that stands k bytes further ahead. */
export function checksumFormat(): void {
  for (let i: u32 = 0; i < 256; i++) {
    let word = i;
    for (let bit = 0; bit < 8; bit++) word = word & 1 ? (word >>> 1) ^ POLYNOMIAL : word >>> 1;
    store<u32>(CHECKSUM_TABLES_BASE + ((i as usize) << 2), word);
  }
  for (let i: u32 = 0; i < 256; i++) {
    let word = tableWord(0, i);
    for (let table: usize = 1; table < 8; table++) {
      word = (word >>> 8) ^ tableWord(0, word & 255);
      store<u32>(CHECKSUM_TABLES_BASE + table * TABLE_BYTES + ((i as usize) << 2), word);
    }
  }
}

/** The checksum of `length` bytes at `pointer`. */
export function checksum(pointer: usize, length: u32): u32 {
  let crc: u32 = 0xffffffff;
  let p = pointer;
  const end = pointer + length;
  for (const wideEnd = pointer + (length & ~7); p < wideEnd; p += 8) {
    const low = load<u32>(p) ^ crc;
    const high = load<u32>(p, 4);
    crc =
      tableWord(7, low & 255) ^
      tableWord(6, (low >>> 8) & 255) ^
      tableWord(5, (low >>> 16) & 255) ^
      tableWord(4, low >>> 24) ^
      tableWord(3, high & 255) ^
      tableWord(2, (high >>> 8) & 255) ^
      tableWord(1, (high >>> 16) & 255) ^
      tableWord(0, high >>> 24);
  }
  for (; p < end; p++) crc = (crc >>> 8) ^ tableWord(0, (crc ^ load<u8>(p)) & 255);
  return ~crc;
}
