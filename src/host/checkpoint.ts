/**
 * Writing what a version sees as one stream of bytes: a checkpoint in the place of the log before it, or an export.
 *
 * The version is held by a snapshot while the stream is made, piece by piece, and commits go on in between. A checkpoint of
 * the log begins at a segment that was just begun: everything in those before it is published by then (COMMIT 19), so the
 * version sees it, and once the checkpoint is durable nobody needs them.
 *
 * Loaded only where something is so written.
 */
import type { StorageSession } from "../adapters/storage.js";
import * as abi from "./abi.js";
import { type Core, type HeldRun, statusError } from "./core.js";
import { checkpointBegin, checkpointEnd, checkpointFinish, checkpointRun, checkpointStep } from "./core-checkpoint.js";
import { type Environment, pause } from "./environment.js";
import type { SegmentStart } from "./log.js";
import type { LogFilesInUse } from "./log-files.js";
import { type CheckpointHeader, type Crc32c, HeaderWriter } from "./log-format.js";

/** Steps in which nothing was found before the others get their turn. */
const EMPTY_STEPS_MAX = 4;
/** A piece is long enough with so many bytes: what has room for more was made for values or records of others. */
const PIECE_BYTES = abi.CHECKPOINT_RECORD_BYTES_MAX;
/** Bytes after which timers and messages get their turn: a few milliseconds of work. */
const BREATH_BYTES = 1024 * 1024;
/** For how long a worker is waited for that is in the middle of a run, and how often at least: each time the core waits. */
const BUSY_MS_MAX = 10_000;
const BUSY_STEPS_MIN = 3;

const DATABASE_ID_BYTES = 16;
const EXPORT_EPOCH = 1;
const EXPORT_NUMBER = 1;

/** The pieces of one checkpoint, one after another. */
export class CheckpointStream {
  readonly #core: Core;
  readonly #header: CheckpointHeader;
  readonly #runs: readonly HeldRun[];
  readonly #environment: Environment;
  #nextRun = 0;
  #isWalking = false;
  /** The run that is walked. */
  #pointer = 0;
  /** What the core works with; 0 before the first piece and after the last. */
  #walk = 0;
  /** Steps in a row that another worker was in the way of, and when the first of them had waited. */
  #busySteps = 0;
  #busySinceMs = 0;
  #isBegun = false;
  #isOver = false;

  /** @param runs what is to be in it; the header's version is held by a snapshot until the stream is over */
  constructor(core: Core, header: CheckpointHeader, runs: readonly HeldRun[], environment: Environment) {
    this.#core = core;
    this.#header = header;
    this.#runs = runs;
    this.#environment = environment;
  }

  /**
   * The next piece, valid until the next call into the core and perhaps empty; undefined at the end. After an empty one others
   * must have their turn: it may be told there that the worker is dead which is in the way.
   * @throws HoldfastError `STORE_FULL` where there is no memory to work with, `BUSY` where another worker stays in the middle
   *   of a run, `CORRUPTION` for a run that is lost.
   */
  next(): Uint8Array | undefined {
    const core = this.#core;
    if (this.#isOver) return undefined;
    let filled = this.#isBegun ? 0 : this.#begin();
    let emptySteps = 0;
    while (emptySteps < EMPTY_STEPS_MAX && filled < PIECE_BYTES) {
      if (!this.#isWalking && !this.#takeRun()) {
        if (core.valueCapacity - filled < abi.RECORD_HEADER_BYTES + abi.RECORD_TRAILER_BYTES) break;
        filled += checkpointFinish(core, this.#walk, filled);
        this.#isOver = true;
        this.end();
        break;
      }
      const { length, state, needs } = checkpointStep(core, this.#walk, filled);
      filled += length;
      if (state === abi.STEP_BUSY) {
        if (filled === 0) this.#noteBusy();
        break;
      }
      this.#busySteps = 0;
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

  /** @throws HoldfastError `BUSY` once that is too long. */
  #noteBusy(): void {
    const nowMs = this.#environment.monotonicMs();
    if (this.#busySteps++ === 0) this.#busySinceMs = nowMs;
    const isOver = this.#busySteps >= BUSY_STEPS_MIN && nowMs - this.#busySinceMs >= BUSY_MS_MAX;
    if (isOver) throw statusError(abi.STATUS_BUSY_LOCK, "The checkpoint");
  }

  #begin(): number {
    const core = this.#core;
    const { bytes, crc } = encodeCheckpointHeader(this.#header, (part) => core.crc32c(part));
    this.#walk = checkpointBegin(core, this.#header.version, crc, this.#header.epoch);
    this.#isBegun = true;
    core.stage(bytes);
    return bytes.length;
  }

  #takeRun(): boolean {
    const run = this.#runs[this.#nextRun++];
    if (run === undefined) return false;
    checkpointRun(this.#core, this.#walk, run);
    this.#pointer = run.pointer;
    this.#isWalking = true;
    return true;
  }

  /** Lets go of what the stream works with. Idempotent; nothing comes after it. */
  end(): void {
    this.#isOver = true;
    if (this.#walk !== 0) checkpointEnd(this.#core, this.#walk);
    this.#walk = 0;
  }
}

/** Writes a checkpoint's header. Returns the bytes and the checksum that the first record carries. */
function encodeCheckpointHeader(header: CheckpointHeader, crc32c: Crc32c): { bytes: Uint8Array; crc: number } {
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

/** Writes all pieces of a stream, with a breath now and then. */
async function writeStream(
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
      await pause(environment);
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

/** Makes a checkpoint of everything that stands before a segment that was just begun. */
export async function checkpointBefore(core: Core, start: SegmentStart, files: LogFilesInUse): Promise<void> {
  const { session, state, environment } = files;
  // All that stands before the segment is published, so that the version that is held now sees it (COMMIT 19).
  const slot = core.takeSnapshot(0, 0, true);
  try {
    const version = core.resultVersion();
    const { databaseId, epoch } = state;
    const header: CheckpointHeader = {
      databaseId,
      number: start.number,
      epoch,
      isExport: false,
      position: start.position,
      chain: start.chain,
      version,
      given: core.version(),
      written: start.writtenVersion,
      commits: core.commits,
    };
    const stream = new CheckpointStream(core, header, core.runsAt(version), environment);
    await storeCheckpoint(session, start.number, stream, environment);
  } finally {
    core.dropSnapshot(slot, 0, 0);
  }
}

/** Whether the database that something is read of can still be read. */
interface Life {
  readonly environment: Environment;
  /** Throws once it cannot. */
  assertLive(): void;
  /** Whether what is held in the core can be given back; afterwards it is somebody else's. */
  readonly canGiveBack: boolean;
}

/** The pieces of an export of what `version` sees of these runs. @throws HoldfastError once that cannot be read any more */
export async function* exportPieces(
  core: Core,
  version: number,
  runs: readonly HeldRun[],
  life: Life,
): AsyncGenerator<Uint8Array, void, undefined> {
  const header: CheckpointHeader = {
    databaseId: new Uint8Array(DATABASE_ID_BYTES),
    number: EXPORT_NUMBER,
    epoch: EXPORT_EPOCH,
    isExport: true,
    position: 0,
    chain: 0,
    version,
    given: version,
    written: 0,
    commits: core.commits,
  };
  const stream = new CheckpointStream(core, header, runs, life.environment);
  try {
    for (;;) {
      life.assertLive();
      const piece = stream.next();
      if (piece === undefined) return;
      if (piece.length > 0) yield piece.slice();
      else await pause(life.environment);
    }
  } finally {
    if (life.canGiveBack) stream.end();
  }
}
