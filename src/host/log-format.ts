/**
 * The headers of segments and checkpoints, written and read. docs/FORMAT.md is the specification; records are the core's.
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

type Crc32c = (bytes: Uint8Array) => number;

/** Which file is read, for what is said when it is damaged. */
export type FileName = { readonly kind: "segment" | "checkpoint"; readonly number: number };

const HEADER_BYTES = abi.SEGMENT_HEADER_BYTES;

/** Both kinds of header are alike in their magic, format, database, number, epoch and flags, and in their checksum. */
class HeaderWriter {
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

/** A header whose checksum holds and whose format this release reads. */
class HeaderReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #file: FileName;
  readonly crc: number;

  /** @throws HoldfastError `CORRUPTION`, `UNSUPPORTED` if a newer release wrote it. */
  constructor(bytes: Uint8Array, magic: bigint, flagsKnown: number, file: FileName, crc32c: Crc32c) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#file = file;
    const { kind } = file;
    if (bytes.length < HEADER_BYTES) throw this.damaged(`it ends inside its header, at byte ${bytes.length}`);
    if (this.#view.getBigUint64(abi.SEGMENT_MAGIC_OFFSET, true) !== magic) {
      throw this.damaged(`it does not begin as a ${kind} does`);
    }
    this.crc = this.u32(abi.SEGMENT_CRC_OFFSET);
    if (crc32c(bytes.subarray(0, abi.SEGMENT_CRC_OFFSET)) !== this.crc) {
      throw this.damaged("its header's checksum does not hold");
    }
    // The checksum holds, so that somebody has written it so: what that is to mean only they know.
    const format = this.u32(abi.SEGMENT_FORMAT_OFFSET);
    const reserved = bytes.subarray(abi.SEGMENT_RESERVED_OFFSET, abi.SEGMENT_CRC_OFFSET);
    const isKnown =
      format === abi.FORMAT_VERSION &&
      this.u32(abi.SEGMENT_HEADER_BYTES_OFFSET) === HEADER_BYTES &&
      (this.u32(abi.SEGMENT_FLAGS_OFFSET) & ~flagsKnown) === 0 &&
      reserved.every((byte) => byte === 0);
    if (isKnown) return;
    throw new HoldfastError(
      "UNSUPPORTED",
      `${this.#name} is of format ${format}, or has more than this release reads. Open it with the release that wrote it, or a newer one.`,
      { details: { [kind]: file.number, format } },
    );
  }

  get #name(): string {
    const { kind, number } = this.#file;
    return `${kind === "segment" ? "Segment" : "Checkpoint"} ${number}`;
  }

  damaged(what: string): HoldfastError {
    const { kind, number } = this.#file;
    return new HoldfastError("CORRUPTION", `${this.#name} is damaged: ${what}. Restore the file from a copy.`, {
      details: { [kind]: number, offset: 0 },
    });
  }

  u32(offset: number): number {
    return this.#view.getUint32(offset, true);
  }

  u64(offset: number): number {
    const value = this.#view.getBigUint64(offset, true);
    if (value > BigInt(NUMBER_MAX)) throw this.damaged("a number in its header is beyond 2^52");
    return Number(value);
  }

  get databaseId(): Uint8Array {
    return this.#bytes.slice(abi.SEGMENT_DATABASE_OFFSET, abi.SEGMENT_NUMBER_OFFSET);
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

/**
 * Reads the header of segment `number`.
 * @throws HoldfastError `CORRUPTION` if it is damaged or another segment's, `UNSUPPORTED` if a newer release wrote it.
 */
export function decodeSegmentHeader(
  bytes: Uint8Array,
  number: number,
  crc32c: Crc32c,
): SegmentHeader & { crc: number } {
  const reader = new HeaderReader(bytes, abi.SEGMENT_MAGIC, 0, { kind: "segment", number }, crc32c);
  if (reader.u64(abi.SEGMENT_NUMBER_OFFSET) !== number) throw reader.damaged("its header is of another segment");
  return {
    databaseId: reader.databaseId,
    number,
    epoch: reader.u32(abi.SEGMENT_EPOCH_OFFSET),
    position: reader.u64(abi.SEGMENT_POSITION_OFFSET),
    firstVersion: reader.u64(abi.SEGMENT_FIRST_VERSION_OFFSET),
    syncedEnd: reader.u64(abi.SEGMENT_SYNCED_END_OFFSET),
    predecessor: reader.u64(abi.SEGMENT_PREDECESSOR_OFFSET),
    predecessorEnd: reader.u64(abi.SEGMENT_PREDECESSOR_END_OFFSET),
    predecessorCrc: reader.u32(abi.SEGMENT_PREDECESSOR_CRC_OFFSET),
    crc: reader.crc,
  };
}

/** Writes a checkpoint's header. Returns the bytes and the checksum that the first record carries. */
export function encodeCheckpointHeader(header: CheckpointHeader, crc32c: Crc32c): { bytes: Uint8Array; crc: number } {
  const flags = header.isExport ? abi.CHECKPOINT_EXPORT : 0;
  const writer = new HeaderWriter(abi.CHECKPOINT_MAGIC, header.databaseId, header.number, header.epoch, flags);
  writer.u64(abi.CHECKPOINT_POSITION_OFFSET, header.position);
  writer.u64(abi.CHECKPOINT_VERSION_OFFSET, header.version);
  writer.u64(abi.CHECKPOINT_GIVEN_OFFSET, header.given);
  writer.u64(abi.CHECKPOINT_COMMITS_OFFSET, header.commits);
  writer.u64(abi.CHECKPOINT_WRITTEN_OFFSET, header.written);
  writer.u32(abi.CHECKPOINT_CHAIN_OFFSET, header.chain);
  return writer.finish(crc32c);
}

/**
 * Reads the header of checkpoint `number`, or with `undefined` of an export.
 * @throws HoldfastError `CORRUPTION` if it is damaged or another one's, `UNSUPPORTED` if a newer release wrote it.
 */
export function decodeCheckpointHeader(
  bytes: Uint8Array,
  number: number | undefined,
  crc32c: Crc32c,
): CheckpointHeader & { crc: number } {
  const file: FileName = { kind: "checkpoint", number: number ?? 0 };
  const reader = new HeaderReader(bytes, abi.CHECKPOINT_MAGIC, abi.CHECKPOINT_EXPORT, file, crc32c);
  const own = reader.u64(abi.SEGMENT_NUMBER_OFFSET);
  if (number !== undefined && own !== number) throw reader.damaged("its header is of another checkpoint");
  const header = {
    databaseId: reader.databaseId,
    number: own,
    epoch: reader.u32(abi.SEGMENT_EPOCH_OFFSET),
    isExport: (reader.u32(abi.SEGMENT_FLAGS_OFFSET) & abi.CHECKPOINT_EXPORT) !== 0,
    position: reader.u64(abi.CHECKPOINT_POSITION_OFFSET),
    chain: reader.u32(abi.CHECKPOINT_CHAIN_OFFSET),
    version: reader.u64(abi.CHECKPOINT_VERSION_OFFSET),
    given: reader.u64(abi.CHECKPOINT_GIVEN_OFFSET),
    written: reader.u64(abi.CHECKPOINT_WRITTEN_OFFSET),
    commits: reader.u64(abi.CHECKPOINT_COMMITS_OFFSET),
    crc: reader.crc,
  };
  if (header.given > Number(abi.VERSION_MAX) || header.version > header.given || header.written > header.given) {
    throw reader.damaged("its versions contradict one another");
  }
  // The first segment behind an export is number 1 and begins at 0: behind any other nothing would be found again.
  if (header.isExport && (own !== 1 || header.position !== 0 || header.chain !== 0 || header.written !== 0)) {
    throw reader.damaged("an export goes on from no log");
  }
  return header;
}
