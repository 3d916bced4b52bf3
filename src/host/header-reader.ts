/**
 * Reading the headers of segments and checkpoints (log-format.ts). Nothing in them is trusted before its checksum holds, and no
 * number after that which could not be counted on from.
 */
import { HoldfastError } from "../errors.js";
import * as abi from "./abi.js";
import type { CheckpointHeader, Crc32c, SegmentHeader } from "./log-format.js";

/** The most that a number in a header can be, so that what is counted from there stays exact as a double. */
const NUMBER_MAX = 2 ** 52;
/** The most that may be counted already in what is imported: as many again can be before a number is beyond what is read. */
const IMPORTED_MAX = NUMBER_MAX / 2;

/** Which file is read, for what is said when it is damaged. */
export type FileName = { readonly kind: "segment" | "checkpoint"; readonly number: number };

const HEADER_BYTES = abi.SEGMENT_HEADER_BYTES;

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

  /** Whether it is no file, but a stream that was given. */
  get #isStream(): boolean {
    return this.#file.kind === "checkpoint" && this.#file.number === 0;
  }

  get #name(): string {
    const { kind, number } = this.#file;
    if (this.#isStream) return "The export";
    return `${kind === "segment" ? "Segment" : "Checkpoint"} ${number}`;
  }

  damaged(what: string): HoldfastError {
    const { kind, number } = this.#file;
    const next = this.#isStream ? "Export it again" : "Restore the file from a copy";
    return new HoldfastError("CORRUPTION", `${this.#name} is damaged: ${what}. ${next}.`, {
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
  const standsAlone = own === 1 && header.position === 0 && header.chain === 0 && header.written === 0;
  if (header.isExport ? !standsAlone : number === undefined) throw reader.damaged("an export goes on from no log");
  // Whoever imports it writes on: what opening would refuse then is refused before anything is stored.
  if (number === undefined && Math.max(header.given, header.commits) > IMPORTED_MAX) {
    throw reader.damaged("its versions or commits leave too few to go on with");
  }
  return header;
}
