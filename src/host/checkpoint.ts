/**
 * Writing what a version sees as one stream of bytes: a checkpoint in the place of the log before it, or an export.
 *
 * The version is held by a snapshot while the stream is made, piece by piece, and commits go on in between. A checkpoint of
 * the log begins at a segment that was just begun: everything in those before it is published by then (COMMIT 19), so the
 * version sees it, and once the checkpoint is durable nobody needs them.
 */
import type { SegmentInfo, StorageSession } from "../adapters/storage.js";
import * as abi from "./abi.js";
import type { Core, HeldRun } from "./core.js";
import { statusError } from "./core.js";
import type { Environment } from "./environment.js";
import { type CheckpointHeader, encodeCheckpointHeader } from "./log-format.js";

/** Steps in which nothing was found before the others get their turn. */
const EMPTY_STEPS_MAX = 4;
/** Bytes after which timers and messages get their turn: a few milliseconds of work. */
const BREATH_BYTES = 1024 * 1024;

/** So many files are removed at once. */
const REMOVALS_AT_ONCE = 32;

/** The pieces of one checkpoint, one after another. */
export class CheckpointStream {
  readonly #core: Core;
  readonly #header: CheckpointHeader;
  readonly #runs: readonly HeldRun[];
  #nextRun = 0;
  #isWalking = false;
  /** The run that is walked. */
  #pointer = 0;
  /** What the core works with; 0 before the first piece and after the last. */
  #walk = 0;
  #isBegun = false;
  #isOver = false;

  /** @param runs what is to be in it; the header's version is held by a snapshot until the stream is over */
  constructor(core: Core, header: CheckpointHeader, runs: readonly HeldRun[]) {
    this.#core = core;
    this.#header = header;
    this.#runs = runs;
  }

  /**
   * The next piece, valid until the next call into the core and perhaps empty; undefined at the end.
   * @throws HoldfastError `STORE_FULL` where there is no memory to work with.
   */
  next(): Uint8Array | undefined {
    const core = this.#core;
    if (this.#isOver) return undefined;
    let filled = this.#isBegun ? 0 : this.#begin();
    let emptySteps = 0;
    while (emptySteps < EMPTY_STEPS_MAX) {
      if (!this.#isWalking && !this.#takeRun()) {
        if (core.valueCapacity - filled < abi.RECORD_HEADER_BYTES + abi.RECORD_TRAILER_BYTES) break;
        filled += core.checkpointFinish(this.#walk, filled);
        this.#isOver = true;
        this.end();
        break;
      }
      const { length, state, needs } = core.checkpointStep(this.#walk, filled);
      filled += length;
      if (state === abi.STEP_LOST) throw core.runError(abi.STATUS_POISONED, this.#pointer, "The checkpoint");
      if (state === abi.STEP_FULL) throw statusError(abi.STATUS_STORE_FULL, "The checkpoint");
      if (state === abi.STEP_DONE) this.#isWalking = false;
      if (state === abi.STEP_MORE && length === 0) emptySteps++;
      if (state !== abi.STEP_ROOM) continue;
      if (filled > 0) break;
      core.reserveValue(needs);
    }
    return core.staged(filled);
  }

  #begin(): number {
    const core = this.#core;
    const { bytes, crc } = encodeCheckpointHeader(this.#header, (part) => core.crc32c(part));
    this.#walk = core.checkpointBegin(this.#header.version, crc, this.#header.epoch);
    this.#isBegun = true;
    core.stage(bytes);
    return bytes.length;
  }

  #takeRun(): boolean {
    const run = this.#runs[this.#nextRun++];
    if (run === undefined) return false;
    this.#core.checkpointRun(this.#walk, run);
    this.#pointer = run.pointer;
    this.#isWalking = true;
    return true;
  }

  /** Lets go of what the stream works with. Idempotent; nothing comes after it. */
  end(): void {
    this.#isOver = true;
    if (this.#walk !== 0) this.#core.checkpointEnd(this.#walk);
    this.#walk = 0;
  }
}

/** Lets timers and messages have their turn. */
export function breathe(environment: Environment): Promise<void> {
  return new Promise((resolve) => {
    environment.schedule(0, resolve, true);
  });
}

/** Writes all pieces of a stream, with a breath now and then. */
export async function writeStream(
  stream: CheckpointStream,
  write: (piece: Uint8Array) => Promise<void>,
  environment: Environment,
): Promise<void> {
  let sinceBreath = 0;
  try {
    for (let piece = stream.next(); piece !== undefined; piece = stream.next()) {
      const { length } = piece;
      if (length > 0) await write(piece);
      // A piece without bytes has cost as much as one with many.
      sinceBreath += length > 0 ? length : BREATH_BYTES;
      if (sinceBreath < BREATH_BYTES) continue;
      sinceBreath = 0;
      await breathe(environment);
    }
  } finally {
    stream.end();
  }
}

/** Makes a stream a checkpoint of a storage: whole and durable when this returns, or not there. */
export async function storeCheckpoint(
  session: StorageSession,
  number: number,
  stream: CheckpointStream,
  environment: Environment,
): Promise<void> {
  const writer = await session.beginCheckpoint(number);
  try {
    await writeStream(stream, (piece) => writer.write(piece), environment);
    await writer.commit();
  } catch (error) {
    await writer.abandon();
    throw error;
  }
}

/** Removes the segments and checkpoints that checkpoint `number`, which is durable, has taken the place of. */
export async function removeBefore(session: StorageSession, number: number): Promise<void> {
  // Some at once, so that a storage can share what makes it durable; not all, since the program waits for each.
  const remove = async (files: readonly SegmentInfo[], one: (number: number) => Promise<void>): Promise<void> => {
    const old = files.filter((file) => file.number < number);
    while (old.length > 0) await Promise.all(old.splice(0, REMOVALS_AT_ONCE).map((file) => one(file.number)));
  };
  await remove(await session.segments(), (old) => session.removeSegment(old));
  await remove(await session.checkpoints(), (old) => session.removeCheckpoint(old));
}
