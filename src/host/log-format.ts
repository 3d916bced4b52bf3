/**
 * The segment header, written and read. docs/FORMAT.md is the specification; records are the core's.
 *
 * Positions count record bytes since the log began, headers aside: so a record keeps its position when a tail is written
 * again to a new segment.
 */
import { HoldfastError } from "../errors.js";
import * as abi from "./abi.js";

/** The most that a number in a header can be, so that what is counted from there stays exact as a double. */
const NUMBER_MAX = 2 ** 52;

/** What a segment says of itself. */
export interface SegmentHeader {
  /** 16 bytes that every segment of one database shares. */
  readonly databaseId: Uint8Array;
  readonly number: number;
  readonly epoch: number;
  /** The log position of its first record. */
  readonly position: number;
  /** What its owner has committed since it made the segment has this version or a higher one. */
  readonly firstVersion: number;
  /** Everything below this position was durable before the segment came into being. */
  readonly syncedEnd: number;
  /** The segment before it, 0 for the first; where that one ends, and the checksum of its last record up to there. */
  readonly predecessor: number;
  readonly predecessorEnd: number;
  readonly predecessorCrc: number;
}

/** Writes a header; `crc32c` is the core's. Returns the bytes and the checksum that the first record carries. */
export function encodeSegmentHeader(
  header: SegmentHeader,
  crc32c: (bytes: Uint8Array) => number,
): { bytes: Uint8Array; crc: number } {
  const bytes = new Uint8Array(abi.SEGMENT_HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(abi.SEGMENT_MAGIC_OFFSET, abi.SEGMENT_MAGIC, true);
  view.setUint32(abi.SEGMENT_FORMAT_OFFSET, abi.FORMAT_VERSION, true);
  view.setUint32(abi.SEGMENT_HEADER_BYTES_OFFSET, abi.SEGMENT_HEADER_BYTES, true);
  bytes.set(header.databaseId, abi.SEGMENT_DATABASE_OFFSET);
  view.setBigUint64(abi.SEGMENT_NUMBER_OFFSET, BigInt(header.number), true);
  view.setUint32(abi.SEGMENT_EPOCH_OFFSET, header.epoch, true);
  view.setBigUint64(abi.SEGMENT_POSITION_OFFSET, BigInt(header.position), true);
  view.setBigUint64(abi.SEGMENT_FIRST_VERSION_OFFSET, BigInt(header.firstVersion), true);
  view.setBigUint64(abi.SEGMENT_SYNCED_END_OFFSET, BigInt(header.syncedEnd), true);
  view.setBigUint64(abi.SEGMENT_PREDECESSOR_OFFSET, BigInt(header.predecessor), true);
  view.setBigUint64(abi.SEGMENT_PREDECESSOR_END_OFFSET, BigInt(header.predecessorEnd), true);
  view.setUint32(abi.SEGMENT_PREDECESSOR_CRC_OFFSET, header.predecessorCrc, true);
  const crc = crc32c(bytes.subarray(0, abi.SEGMENT_CRC_OFFSET));
  view.setUint32(abi.SEGMENT_CRC_OFFSET, crc, true);
  return { bytes, crc };
}

/**
 * Reads a header of segment `number`.
 * @throws HoldfastError `CORRUPTION` if it is damaged or another segment's, `UNSUPPORTED` if a newer release wrote it.
 */
export function decodeSegmentHeader(
  bytes: Uint8Array,
  number: number,
  crc32c: (bytes: Uint8Array) => number,
): SegmentHeader & { crc: number } {
  const damaged = (what: string): HoldfastError =>
    new HoldfastError("CORRUPTION", `Segment ${number} is damaged: ${what}. Restore the file from a copy.`, {
      details: { segment: number, offset: 0 },
    });
  if (bytes.length < abi.SEGMENT_HEADER_BYTES) throw damaged(`it ends inside its header, at byte ${bytes.length}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const magic = view.getBigUint64(abi.SEGMENT_MAGIC_OFFSET, true);
  if (magic !== abi.SEGMENT_MAGIC) throw damaged("it does not begin as a segment does");
  const crc = view.getUint32(abi.SEGMENT_CRC_OFFSET, true);
  if (crc32c(bytes.subarray(0, abi.SEGMENT_CRC_OFFSET)) !== crc) throw damaged("its header's checksum does not hold");
  const format = view.getUint32(abi.SEGMENT_FORMAT_OFFSET, true);
  if (format !== abi.FORMAT_VERSION) {
    throw new HoldfastError(
      "UNSUPPORTED",
      `Segment ${number} is of format ${format}, this release reads ${abi.FORMAT_VERSION}. Open it with the release that wrote it, or a newer one.`,
      { details: { segment: number, format } },
    );
  }
  const integer = (offset: number): number => {
    const value = view.getBigUint64(offset, true);
    if (value > BigInt(NUMBER_MAX)) throw damaged("a number in its header is beyond 2^52");
    return Number(value);
  };
  if (integer(abi.SEGMENT_NUMBER_OFFSET) !== number) throw damaged("its header is of another segment");
  return {
    databaseId: bytes.slice(abi.SEGMENT_DATABASE_OFFSET, abi.SEGMENT_NUMBER_OFFSET),
    number,
    epoch: view.getUint32(abi.SEGMENT_EPOCH_OFFSET, true),
    position: integer(abi.SEGMENT_POSITION_OFFSET),
    firstVersion: integer(abi.SEGMENT_FIRST_VERSION_OFFSET),
    syncedEnd: integer(abi.SEGMENT_SYNCED_END_OFFSET),
    predecessor: integer(abi.SEGMENT_PREDECESSOR_OFFSET),
    predecessorEnd: integer(abi.SEGMENT_PREDECESSOR_END_OFFSET),
    predecessorCrc: view.getUint32(abi.SEGMENT_PREDECESSOR_CRC_OFFSET, true),
    crc,
  };
}
