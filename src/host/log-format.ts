/**
 * What the headers of segments and checkpoints say, and writing a segment's; checkpoint.ts writes its own, header-reader.ts reads
 * both. docs/FORMAT.md is the specification; records are the core's.
 *
 * Positions count record bytes since the log began, headers aside: so a record keeps its position when a tail is written
 * again to a new segment.
 */
import * as abi from "./abi.js";

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

/** What a checkpoint says of itself, and of the log behind it. */
export interface CheckpointHeader {
  readonly databaseId: Uint8Array;
  /** The first segment that is to be read behind it. */
  readonly number: number;
  readonly epoch: number;
  /** Whether it stands for itself: there may be no segment behind it yet. */
  readonly isExport: boolean;
  /** The log position where that segment begins, and the checksum of what stood before it. */
  readonly position: number;
  readonly chain: number;
  /** It holds what this version sees: everything published at or below it. */
  readonly version: number;
  /** The highest version that was given when it was made, and the highest that the log before `position` holds. */
  readonly given: number;
  readonly written: number;
  /** How many commits the database has had. */
  readonly commits: number;
}

export type Crc32c = (bytes: Uint8Array) => number;

const HEADER_BYTES = abi.SEGMENT_HEADER_BYTES;

/** Both kinds of header are alike in their magic, format, database, number, epoch and flags, and in their checksum. */
export class HeaderWriter {
  readonly bytes = new Uint8Array(HEADER_BYTES);
  readonly #view = new DataView(this.bytes.buffer);

  constructor(magic: bigint, databaseId: Uint8Array, number: number, epoch: number, flags: number) {
    this.#view.setBigUint64(abi.SEGMENT_MAGIC_OFFSET, magic, true);
    this.u32(abi.SEGMENT_FORMAT_OFFSET, abi.FORMAT_VERSION);
    this.u32(abi.SEGMENT_HEADER_BYTES_OFFSET, HEADER_BYTES);
    this.bytes.set(databaseId, abi.SEGMENT_DATABASE_OFFSET);
    this.u64(abi.SEGMENT_NUMBER_OFFSET, number);
    this.u32(abi.SEGMENT_EPOCH_OFFSET, epoch);
    this.u32(abi.SEGMENT_FLAGS_OFFSET, flags);
  }

  u32(offset: number, value: number): void {
    this.#view.setUint32(offset, value, true);
  }

  u64(offset: number, value: number): void {
    this.#view.setBigUint64(offset, BigInt(value), true);
  }

  /** Closes the header; the checksum is what the first record carries. */
  finish(crc32c: Crc32c): { bytes: Uint8Array; crc: number } {
    const crc = crc32c(this.bytes.subarray(0, abi.SEGMENT_CRC_OFFSET));
    this.u32(abi.SEGMENT_CRC_OFFSET, crc);
    return { bytes: this.bytes, crc };
  }
}

/** Writes a segment's header; `crc32c` is the core's. Returns the bytes and the checksum that the first record carries. */
export function encodeSegmentHeader(header: SegmentHeader, crc32c: Crc32c): { bytes: Uint8Array; crc: number } {
  const writer = new HeaderWriter(abi.SEGMENT_MAGIC, header.databaseId, header.number, header.epoch, 0);
  writer.u64(abi.SEGMENT_POSITION_OFFSET, header.position);
  writer.u64(abi.SEGMENT_FIRST_VERSION_OFFSET, header.firstVersion);
  writer.u64(abi.SEGMENT_SYNCED_END_OFFSET, header.syncedEnd);
  writer.u64(abi.SEGMENT_PREDECESSOR_OFFSET, header.predecessor);
  writer.u64(abi.SEGMENT_PREDECESSOR_END_OFFSET, header.predecessorEnd);
  writer.u32(abi.SEGMENT_PREDECESSOR_CRC_OFFSET, header.predecessorCrc);
  return writer.finish(crc32c);
}
