/**
 * The log as docs/FORMAT.md has it, read and forged without the core: what tests of recovery judge the core by.
 *
 * It shares the offsets of `abi.ts` with the host, and nothing else: the checksum is computed here, from the polynomial.
 */
import * as abi from "../../src/host/abi.js";

/** One record as it stands in a segment. */
export interface LogRecord {
  /** Where it begins and ends in the segment's bytes. */
  readonly start: number;
  readonly end: number;
  /** Where it begins and what it vouches for, in log positions. */
  readonly position: number;
  readonly watermark: number;
  readonly version: number;
  readonly epoch: number;
  readonly isCommit: boolean;
}

/** A segment, taken apart. */
export interface LogSegment {
  readonly number: number;
  readonly epoch: number;
  readonly position: number;
  readonly syncedEnd: number;
  readonly predecessorEnd: number;
  readonly records: readonly LogRecord[];
}

/** What a byte does to a checksum, by the byte. */
const CRC_OF_BYTE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  return crc;
});

/** CRC-32C (Castagnoli), a byte at a time. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) {
    crc = (crc >>> 8) ^ (CRC_OF_BYTE[(crc ^ (bytes[i] as number)) & 0xff] as number);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Takes a whole, undamaged segment apart; what is left at its end without being a record is not looked at. */
export function parseSegment(bytes: Uint8Array): LogSegment {
  const view = viewOf(bytes);
  const integer = (offset: number): number => Number(view.getBigUint64(offset, true));
  const records: LogRecord[] = [];
  for (let start = abi.SEGMENT_HEADER_BYTES; start + abi.RECORD_HEADER_BYTES <= bytes.length; ) {
    const end = start + view.getUint32(start + abi.RECORD_LENGTH_OFFSET, true);
    if (end > bytes.length || end <= start) break;
    records.push({
      start,
      end,
      position: integer(start + abi.RECORD_POSITION_OFFSET),
      watermark: integer(start + abi.RECORD_WATERMARK_OFFSET),
      version: integer(start + abi.RECORD_VERSION_OFFSET),
      epoch: view.getUint32(start + abi.RECORD_EPOCH_OFFSET, true),
      isCommit: bytes[start + abi.RECORD_KIND_OFFSET] === abi.RECORD_COMMIT,
    });
    start = end;
  }
  return {
    number: integer(abi.SEGMENT_NUMBER_OFFSET),
    epoch: view.getUint32(abi.SEGMENT_EPOCH_OFFSET, true),
    position: integer(abi.SEGMENT_POSITION_OFFSET),
    syncedEnd: integer(abi.SEGMENT_SYNCED_END_OFFSET),
    predecessorEnd: integer(abi.SEGMENT_PREDECESSOR_END_OFFSET),
    records,
  };
}

/** Changes a segment's header, and makes its checksum right again. */
export function forgeHeader(bytes: Uint8Array, change: (view: DataView) => void): Uint8Array {
  const forged = bytes.slice();
  const view = viewOf(forged);
  change(view);
  view.setUint32(abi.SEGMENT_CRC_OFFSET, crc32c(forged.subarray(0, abi.SEGMENT_CRC_OFFSET)), true);
  return forged;
}

/** What a forged record says where it differs from the record that it was made from. */
export interface Forgery {
  readonly position?: number;
  readonly epoch?: number;
  readonly previousCrc?: number;
  readonly watermark?: number;
  readonly version?: number;
}

/** A copy of one record's bytes that says something else, with both checksums right. */
export function forgeRecord(record: Uint8Array, forgery: Forgery): Uint8Array {
  const forged = record.slice();
  const view = viewOf(forged);
  if (forgery.position !== undefined) view.setBigUint64(abi.RECORD_POSITION_OFFSET, BigInt(forgery.position), true);
  if (forgery.epoch !== undefined) view.setUint32(abi.RECORD_EPOCH_OFFSET, forgery.epoch, true);
  if (forgery.previousCrc !== undefined) view.setUint32(abi.RECORD_PREVIOUS_CRC_OFFSET, forgery.previousCrc, true);
  if (forgery.watermark !== undefined) view.setBigUint64(abi.RECORD_WATERMARK_OFFSET, BigInt(forgery.watermark), true);
  if (forgery.version !== undefined) view.setBigUint64(abi.RECORD_VERSION_OFFSET, BigInt(forgery.version), true);
  const covered = forged.subarray(abi.RECORD_LENGTH_OFFSET, abi.RECORD_HEADER_BYTES);
  view.setUint32(abi.RECORD_HEADER_CRC_OFFSET, crc32c(covered), true);
  const end = forged.length - abi.RECORD_TRAILER_BYTES;
  view.setUint32(end, crc32c(forged.subarray(0, end)), true);
  return forged;
}

/** The checksum that ends a record, which the next one carries. */
export function recordCrc(record: Uint8Array): number {
  return viewOf(record).getUint32(record.length - abi.RECORD_TRAILER_BYTES, true);
}
