/**
 * Reading a checkpoint, or an export, into an empty core.
 *
 * Nothing is trusted: a record is taken once its checksums hold, its lengths add up and it continues the stream, and no more
 * than one record is ever held in memory.
 */
import { HoldfastError } from "../errors.js";
import * as abi from "./abi.js";
import { type Core, statusError } from "./core.js";
import { restore, restored } from "./core-reading.js";
import { decodeCheckpointHeader } from "./header-reader.js";
import type { CheckpointHeader } from "./log-format.js";

/** Gives up to `most` of the next bytes of a stream, none at its end. */
export type NextBytes = (most: number) => Promise<Uint8Array>;

/** Bytes of a stream that have come and are not taken yet. */
class Pending {
  readonly #next: NextBytes;
  #bytes: Uint8Array = new Uint8Array(0);
  #isOver = false;

  constructor(next: NextBytes) {
    this.#next = next;
  }

  /** The first `length` bytes, fewer only where the stream ends. */
  async first(length: number): Promise<Uint8Array> {
    const pieces = [this.#bytes];
    let have = this.#bytes.length;
    while (have < length && !this.#isOver) {
      const piece = await this.#next(length - have);
      this.#isOver = piece.length === 0;
      pieces.push(piece);
      have += piece.length;
    }
    if (pieces.length > 1) this.#bytes = joined(pieces, have);
    return this.#bytes.subarray(0, length);
  }

  take(length: number): void {
    this.#bytes = this.#bytes.subarray(length);
  }
}

function joined(pieces: readonly Uint8Array[], length: number): Uint8Array {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/**
 * Restores checkpoint `number`, or with `undefined` an export; returns what it says of itself.
 * @throws HoldfastError `CORRUPTION` with checkpoint and offset, `UNSUPPORTED`, `STORE_FULL`, and what `next` throws.
 */
export async function restoreCheckpoint(
  core: Core,
  number: number | undefined,
  next: NextBytes,
): Promise<CheckpointHeader> {
  const pending = new Pending(next);
  const header = decodeCheckpointHeader(await pending.first(abi.SEGMENT_HEADER_BYTES), number, (bytes) =>
    core.crc32c(bytes),
  );
  pending.take(abi.SEGMENT_HEADER_BYTES);
  core.logBegin(0, header.crc, header.epoch, 0);
  let position = 0;
  const damaged = (what: string): HoldfastError => damage(number, abi.SEGMENT_HEADER_BYTES + position, what);
  for (let windowBytes = core.valueCapacity; ; ) {
    const bytes = await pending.first(windowBytes);
    core.stage(bytes);
    const { taken, status, lastKind } = restore(core, bytes.length, header.version);
    position += taken;
    if (status === abi.STATUS_STORE_FULL) throw statusError(status, "The checkpoint");
    if (status === abi.STATUS_DAMAGED) throw damaged("a record says what cannot be");
    if (status === abi.STATUS_CORRUPTION) throw damaged("a record does not continue it");
    pending.take(taken);
    if (lastKind === abi.RECORD_END) break;
    if (taken > 0) continue;
    if (bytes.length < windowBytes || windowBytes >= abi.RECORD_BYTES_MAX)
      throw damaged("it ends before its last record");
    windowBytes = Math.min(windowBytes * 4, abi.RECORD_BYTES_MAX);
  }
  if ((await pending.first(1)).length > 0) throw damaged("something stands behind its last record");
  restored(core, header.version, header.given, header.written, header.commits);
  return header;
}

function damage(number: number | undefined, offset: number, what: string): HoldfastError {
  if (number === undefined) {
    return new HoldfastError("CORRUPTION", `The export is damaged at byte ${offset}: ${what}. Export it again.`, {
      details: { offset },
    });
  }
  return new HoldfastError(
    "CORRUPTION",
    `Checkpoint ${number} is damaged at byte ${offset}: ${what}. Nothing was changed. Restore the file from a copy.`,
    { details: { checkpoint: number, offset } },
  );
}
