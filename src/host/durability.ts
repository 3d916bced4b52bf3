/**
 * What keeps a mode's promise: one interface, three modes over one log.
 *
 * A commit is installed in the core and queued before it comes here; `commit` returns when what its mode promises is true,
 * or throws and says what has become of it.
 */
import type { StorageCapabilities, StorageSession } from "../adapters/storage.js";
import { HoldfastError } from "../errors.js";
import { DEFERRED_BYTES_MAX, RECORD_HEADER_BYTES, RECORD_TRAILER_BYTES } from "./abi.js";
import type { Core, RunHandle } from "./core.js";
import { type BufferedMode, bufferedDefault, type DurabilityMode, type DurabilityName } from "./durability-mode.js";
import type { Environment } from "./environment.js";
import { Flusher } from "./flusher.js";
import { GroupCommit } from "./group-commit.js";
import { loaded } from "./loading.js";
import { indeterminate, installedError, type Log, type LogListener } from "./log.js";
import { type LogFilesInUse, removeBefore } from "./log-files.js";
import type { LogState } from "./log-state.js";
import { unsupported } from "./unsupported.js";

/** One mode over one database. */
export interface Durability {
  readonly modeName: DurabilityName;
  readonly isPersistent: boolean;
  /** Keeps the mode's promise for a synchronous commit that was just installed; `bounds` for one that is buffered. */
  commit(run: RunHandle, version: number, bounds: BufferedMode | undefined): void;
}

/** What the note takes that everything before it is synced. */
const NOTE_BYTES = RECORD_HEADER_BYTES + RECORD_TRAILER_BYTES;
/** The most bytes that may wait for an asynchronous storage. */
const PENDING_BYTES_MAX = 64 * 1024 * 1024;

/** In-memory over a log: published when it comes here, unless something of its run stands before it. */
class Deferred implements Durability {
  readonly modeName = "in-memory";
  readonly isPersistent = false;
  readonly #log: DurableLog;

  constructor(log: DurableLog) {
    this.#log = log;
  }

  commit(run: RunHandle, version: number): void {
    if (!this.#log.isPublished(run, version)) this.#log.makeDurable(run, version);
    else this.#log.drainIfFull();
  }
}

/** Handed to the storage; synced in the background. */
class Buffered implements Durability {
  readonly modeName = "buffered";
  readonly isPersistent = true;
  readonly #log: DurableLog;

  constructor(log: DurableLog) {
    this.#log = log;
  }

  commit(run: RunHandle, version: number, bounds: BufferedMode | undefined): void {
    this.#log.handOver(run, version);
    if (!this.#log.isPublished(run, version)) this.#log.makeDurable(run, version);
    this.#log.noteBuffered(version, bounds);
  }
}

/** Written and synced, and only then visible. */
class Strict implements Durability {
  readonly modeName = "strict";
  readonly isPersistent = true;
  readonly #log: DurableLog;

  constructor(log: DurableLog) {
    this.#log = log;
  }

  commit(run: RunHandle, version: number): void {
    this.#log.makeDurable(run, version);
  }
}

/** What a worker can do with the log in a synchronous call, and how it is told apart. */
export type LogCapabilities = Pick<StorageCapabilities, "kind" | "syncAppend" | "syncFlush" | "flushBlocks">;

/** What a {@link DurableLog} is made of. */
export interface DurableLogParts {
  readonly core: Core;
  /** Where checkpoints go; only where the database was opened. */
  readonly session: StorageSession | undefined;
  readonly capabilities: LogCapabilities;
  readonly state: LogState;
  readonly mode: DurabilityMode;
  readonly environment: Environment;
  readonly onError: (error: HoldfastError) => void;
  /** Makes what the log is written by. */
  readonly makeWriter: (listener: LogListener) => Log;
}

/** The log of a persistent database with everything that moves it on: the modes, the flusher, group commit. */
export class DurableLog {
  readonly #core: Core;
  readonly #capabilities: LogCapabilities;
  readonly #writer: Log;
  readonly #flusher: Flusher;
  readonly #group: GroupCommit;
  readonly #modes: readonly Durability[];
  readonly #session: StorageSession | undefined;
  readonly #environment: Environment;
  readonly #state: LogState;
  #marked = 0;
  /** The newest buffered commit of this worker. */
  #buffered = 0;
  /** The newest checkpoint, 0 where there is none, and the one under way or the last. */
  #checkpoint: number;
  #checkpointing: Promise<void> = Promise.resolve();
  /** Whether there may be files that it has taken the place of. */
  #hasOldFiles = false;
  /** Set once the log is being ended: what came now would stand behind the note that it was closed. */
  #isEnding = false;

  constructor({ core, session, capabilities, state, mode, environment, onError, makeWriter }: DurableLogParts) {
    this.#core = core;
    this.#capabilities = capabilities;
    this.#session = session;
    this.#environment = environment;
    this.#state = state;
    this.#checkpoint = state.checkpoint;
    this.#writer = makeWriter({
      onPublished: () => this.#group.onPublished(),
      onSynced: () => this.#group.onSynced(),
      onUndoing: () => this.#group.onUndoing(),
      onUndone: (error) => {
        this.#group.onUndone(error);
        if (!capabilities.syncAppend) onError(error);
      },
      onFailed: (error) => {
        this.#group.onFailed(this.#writer.fail(error));
        onError(error);
      },
    });
    this.#group = new GroupCommit(core, this.#writer, {
      canChain: capabilities.syncAppend && capabilities.flushBlocks !== true,
      monotonicMs: () => environment.monotonicMs(),
    });
    const bounds = mode.mode === "buffered" ? mode : bufferedDefault();
    this.#flusher = new Flusher(this.#writer, environment, capabilities.syncFlush, bounds);
    this.#modes = [new Deferred(this), new Buffered(this), new Strict(this)];
  }

  /** Throws if no write can be taken now; before anything is changed. */
  assertWritable(): void {
    if (this.#isEnding) throw new HoldfastError("CLOSED", "The database is being closed; nothing has changed.");
    this.#writer.assertUsable();
    if (this.#capabilities.syncAppend || this.#core.unwrittenBytes <= PENDING_BYTES_MAX) return;
    this.#writer.pump();
    throw new HoldfastError(
      "BUSY",
      `More than ${PENDING_BYTES_MAX} bytes wait for the storage; nothing has changed. Await db.flush() between writes.`,
      { details: { limit: PENDING_BYTES_MAX } },
    );
  }

  /** The mode with a number. */
  mode(number: number): Durability {
    return this.#modes[number] as Durability;
  }

  /** Whether readers see a version of a run. */
  isPublished(run: RunHandle, version: number): boolean {
    return this.#core.unpublished === 0 || this.#core.isPublished(run, version);
  }

  /** Writes everything that is queued; swallows a lack of room that has not hit this commit, which is installed. */
  handOver(run: RunHandle, version: number, durably = false): void {
    if (!this.#capabilities.syncAppend) {
      this.#writer.pump();
      return;
    }
    try {
      this.#writer.drainSync(durably);
    } catch (error) {
      const spared = HoldfastError.is(error, "STORAGE_FULL") && this.#isSpared(run, version);
      if (!spared) throw installedError(error);
    }
  }

  #isSpared(run: RunHandle, version: number): boolean {
    return this.#core.writtenVersion >= version || this.#core.isPublished(run, version);
  }

  /** Writes and syncs everything up to a commit, so that it is published. */
  makeDurable(run: RunHandle, version: number): void {
    this.handOver(run, version, true);
    try {
      if (!this.isPublished(run, version)) this.#writer.syncSync();
    } catch (error) {
      throw installedError(error);
    }
    this.#flusher.synced();
  }

  /**
   * Writes and syncs whatever is pending: what a conflict with an unpublished commit waits for (COMMIT 4). False where the
   * storage cannot do so synchronously.
   */
  settlePending(): boolean {
    if (!this.#capabilities.syncFlush) return false;
    this.#writer.drainSync(true);
    this.#writer.syncSync();
    return true;
  }

  /** Writes what waits in memory, for a deferred commit that would take it past its limit. */
  drainFirst(): void {
    if (this.#capabilities.syncAppend) this.#writer.drainSync();
    else this.#writer.pump();
  }

  /** Writes deferred commits that have piled up past their limit: one may be larger than that by itself. */
  drainIfFull(): void {
    if (this.#core.unwrittenBytes <= DEFERRED_BYTES_MAX) return;
    try {
      this.drainFirst();
    } catch (error) {
      // It is published and waits for room like those before it.
      if (!isFull(error)) throw installedError(error);
    }
  }

  /**
   * Notes a buffered commit, which is installed: what it throws is that its fate is not known. Without bounds of its own it
   * has the database's.
   */
  noteBuffered(version = 0, bounds?: BufferedMode): void {
    this.#buffered = Math.max(this.#buffered, version);
    try {
      this.#flusher.note(bounds);
    } catch (error) {
      throw installedError(error);
    }
  }

  /**
   * The same for an asynchronous one. Where it was published before the storage has it, it is handed over now; the promise says
   * when that is done, where this worker can wait for it.
   */
  noteBufferedAsync(run: RunHandle, version: number, bounds: BufferedMode | undefined): Promise<void> | undefined {
    const isHandedOver = this.#core.writtenVersion >= version;
    if (isHandedOver || !this.#capabilities.syncAppend) {
      if (!isHandedOver) this.#writer.pump();
      this.noteBuffered(version, bounds);
      return undefined;
    }
    return this.#writer
      .drain()
      .catch((error: unknown) => {
        if (!HoldfastError.is(error, "STORAGE_FULL") || !this.#isSpared(run, version)) throw installedError(error);
      })
      .then(() => this.noteBuffered(version, bounds));
  }

  /** Whether the store has failed, so that nothing unpublished will ever be published. */
  get hasFailed(): boolean {
    return this.#writer.failure !== undefined;
  }

  get syncs(): number {
    return this.#writer.syncs;
  }

  /** Resolves when a version is published; writes and syncs for it together with others. */
  published(run: RunHandle, version: number): Promise<void> {
    return this.#group.published(run, version);
  }

  /** Writes what is queued, in the background of the caller. */
  drain(): Promise<void> {
    return this.#writer.drain();
  }

  /** Makes everything committed so far durable, and says so in the log. */
  async flush(): Promise<void> {
    if (this.#isMarked()) return;
    await this.#drainCommits();
    const position = this.#core.logPosition;
    await this.#writer.sync();
    // What came while it was under way has its own time.
    if (this.#core.logPosition === position && this.#core.unwrittenBytes === 0) this.#afterFlush();
  }

  /** Writes what is queued. That there is no room for a note which was queued before is no failure of what is written. */
  async #drainCommits(): Promise<void> {
    const { unpublished } = this.#core;
    try {
      await this.#writer.drain();
    } catch (error) {
      const isWhole = unpublished === 0 && this.#core.unwrittenBytes === 0;
      if (!isWhole || !isFull(error)) throw error;
    }
  }

  /** Whether the log ends with a note that everything before it is synced; that note itself need not be. */
  #isMarked(): boolean {
    const isWhole = this.#core.unwrittenBytes === 0 && this.#core.unpublished === 0;
    return isWhole && this.#writer.failure === undefined && this.#core.logPosition === this.#marked;
  }

  /** The same synchronously. */
  flushSync(): void {
    if (!this.#capabilities.syncFlush) {
      throw new HoldfastError(
        "SYNC_COMMIT_UNSUPPORTED",
        `The storage (${this.#capabilities.kind}) cannot sync synchronously; nothing has changed. Use await db.flush().`,
      );
    }
    if (this.#isMarked()) return;
    this.#writer.drainSync(true);
    this.#writer.syncSync();
    this.#afterFlush();
  }

  /** Writes the note for recovery. That everything is durable stays true if there is no room for it. */
  #afterFlush(): void {
    this.#flusher.synced();
    if (!this.#writer.hasBegun || this.#core.logPosition === this.#marked) return;
    // The log ends there only if the note stands right behind what is synced: another worker may write before it and behind it.
    const end = this.#core.logWatermark + NOTE_BYTES;
    try {
      this.#writer.mark(false);
      if (this.#capabilities.syncAppend) this.#writer.drainSync();
      this.#marked = end;
      if (!this.#capabilities.syncAppend) this.#writer.pump();
    } catch (error) {
      if (!isFull(error)) throw error;
    }
  }

  /**
   * Makes a checkpoint of everything that is published, and removes the log that it takes the place of. Those who ask
   * meanwhile wait for one of their own.
   */
  checkpoint(): Promise<void> {
    if (this.#state.isJoined === true) {
      const next = "Call it where the database was opened.";
      return Promise.reject(unsupported("db.checkpoint in a worker that has attached", next));
    }
    return this.#withFiles((files) => this.#makeCheckpoint(files));
  }

  /** Rebuilds a run that a worker has died in, in a memory that goes with the module; whether there was anything to rebuild. */
  recoverRun(module: WebAssembly.Module, id: string): Promise<boolean> {
    return this.#withFiles(async (files) => {
      const { healRun } = await loaded(import("./healing.js"));
      return healRun(this.#core, module, files, id);
    });
  }

  /** Does something with the files of the log while no checkpoint takes any away, one after another. */
  #withFiles<T>(body: (files: LogFilesInUse) => Promise<T>): Promise<T> {
    const next = this.#checkpointing.then(() =>
      body({
        session: this.#session as StorageSession,
        writer: this.#writer,
        state: this.#state,
        environment: this.#environment,
      }),
    );
    this.#checkpointing = next.then(
      () => {},
      () => {},
    );
    return next;
  }

  async #makeCheckpoint(files: LogFilesInUse): Promise<void> {
    if (!this.#writer.hasLog && this.#core.unwrittenBytes === 0) return;
    const { checkpointBefore } = await loaded(import("./checkpoint.js"));
    const start = await this.#writer.rotate();
    // Nothing was written since the newest one.
    if (start.number === this.#checkpoint) return this.#removeOld();
    await checkpointBefore(this.#core, start, files);
    this.#checkpoint = start.number;
    this.#hasOldFiles = true;
    await this.#removeOld();
  }

  /** Removes what the newest checkpoint has taken the place of; what it could not remove is its own again the next time. */
  async #removeOld(): Promise<void> {
    if (!this.#hasOldFiles || this.#session === undefined) return;
    await removeBefore(this.#session, this.#checkpoint);
    this.#hasOldFiles = false;
  }

  /** The same for a worker that has joined, unless the database is being closed where it was opened. */
  async #leave(): Promise<void> {
    try {
      await this.#writer.drain();
      if (this.#writer.hasBegun) await this.#writer.sync();
    } catch (error) {
      if (!HoldfastError.is(error, "CLOSED")) throw error;
    }
  }

  /**
   * Of a database that is locked out: its buffered commits are all durable. Whoever has made another one has waited for it, and
   * was told.
   * @throws HoldfastError `COMMIT_INDETERMINATE` where that is not known
   */
  assertKept(): void {
    const { logPosition, logWatermark, writtenVersion } = this.#core;
    const isSynced = logPosition <= logWatermark || logPosition === this.#marked;
    if (this.#buffered === 0 || (isSynced && this.#buffered <= writtenVersion)) return;
    throw indeterminate(this.#writer.failure ?? new HoldfastError("STORE_FAILED", "The database was taken over."));
  }

  /** Waits for what is in flight, makes everything durable, and writes that the log ends here. */
  async shutdown(): Promise<void> {
    await this.#flusher.stop();
    await this.#group.settle();
    await this.#writer.settle();
    this.#isEnding = true;
    // What stays is in nobody's way, and its turn comes again with the next opening.
    await this.#removeOld().catch(() => {});
    const { failure } = this.#writer;
    if (failure !== undefined) {
      if (this.#writer.isDirty) throw this.#writer.fail(failure);
      return;
    }
    // Where the log ends is said by whoever has opened it, who makes everything durable then.
    if (this.#state.isJoined === true) return this.#leave();
    await this.#drainCommits();
    if (!this.#writer.hasBegun) return;
    await this.#writer.sync();
    try {
      this.#writer.mark(true);
      await this.#writer.drain();
    } catch (error) {
      // Everything is durable; the next opening only takes it for not closed.
      if (!isFull(error)) throw error;
    }
    await this.#writer.sync();
  }
}

/** Whether there was no room, on the storage or in memory. */
function isFull(error: unknown): boolean {
  return HoldfastError.is(error, "STORAGE_FULL") || HoldfastError.is(error, "STORE_FULL");
}
