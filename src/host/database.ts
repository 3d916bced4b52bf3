/**
 * An open database: what it says of itself, the runs that it gives out, and how it ends.
 */
import type { Storage } from "../adapters/storage.js";
import { HoldfastError } from "../errors.js";
import { RUN_ID_BYTES_MAX } from "./abi.js";
import { checkFunction, describe, readOptions, readStrings, refuseArgument } from "./arguments.js";
import type { ByteStream } from "./byte-stream.js";
import { encodeName } from "./codec.js";
import type { HeldRun } from "./core.js";
import type { WasmSource } from "./core-loader.js";
import { bufferedDefault, type DurabilityMode, type DurabilityOption } from "./durability-mode.js";
import { endedAtOnce } from "./ended-at-once.js";
import type { Engine } from "./engine.js";
import { platformEnvironment } from "./environment.js";
import type { DatabaseHandle } from "./handle.js";
import type { DatabaseEvents, Listener, Listeners } from "./listeners.js";
import { loaded } from "./loading.js";
import { type Opened, openDatabase } from "./opening.js";
import { type AttachOptions, type OpenOptions, parseOptions } from "./options.js";
import { assertSharedMemory } from "./platform.js";
import { RunIndex } from "./primitives/run-index.js";
import type { StepOptions } from "./reader-writer.js";
import { Run } from "./run.js";
import { RunWriter } from "./run-writer.js";
import type { Sharing } from "./sharing.js";
import { DatabaseSnapshot } from "./snapshot.js";
import type { StorageInfo } from "./storage-info.js";
import { unsupported } from "./unsupported.js";

/** What `db.verify()` found. */
export interface VerifyReport {
  readonly valid: boolean;
  /** The number of the first broken invariant of the heap; see `assembly/verify.ts`. */
  readonly fault?: number;
}

/** Counters of a database. */
export interface DatabaseStats {
  /** Live entries over all runs and primitives. */
  readonly entries: number;
  readonly runs: number;
  /** Snapshots and transactions that hold a version. */
  readonly snapshotsHeld: number;
  /** The lowest version that is held; `undefined` where none is. */
  readonly oldestSnapshotVersion: number | undefined;
  /** How long that one has been held, in milliseconds from the end of the turn that took it; `undefined` before that. */
  readonly oldestSnapshotAgeMs: number | undefined;
  /** Transactions that are open, and contexts that are kept for the next ones (at most 8). */
  readonly transactionsOpen: number;
  readonly transactionsPooled: number;
  /** Bytes of linear memory, which never shrinks. */
  readonly memoryBytes: number;
  /** Bytes of memory that no run, table or buffer is using. */
  readonly memoryFreeBytes: number;
  /** Bytes of the runs' tables, keys and newest values. */
  readonly liveBytes: number;
  /** Bytes of older values and of deletions, which go when no snapshot sees them any more. */
  readonly deadBytes: number;
  /** The part of the runs' memory that is free only for blocks of the same size, 0 to 1. */
  readonly fragmentation: number;
  /** Bytes of records in the log, since it began. */
  readonly logBytes: number;
  readonly commits: number;
  readonly syncs: number;
  /** Commits that were made durable together, on average; `undefined` before the first sync. */
  readonly commitsPerSync: number | undefined;
}

/** What {@link Database.export} takes. */
export interface ExportOptions {
  /** The ids of the runs to export; all of them if left out. */
  readonly runs?: readonly string[] | undefined;
}

/** What to do where a log is not shared. */
const SHARED_INSTEAD = "Share one that can be written to, in memory or on the platform's own storage.";

const EVENTS = new Set<string>(["error", "locked-out", "recovered"]);

async function open(given: unknown, remove?: () => Promise<void>, source?: ByteStream): Promise<Database> {
  return new Database(await openDatabase(given, remove, source));
}

/** The state of agent runs: open one, get runs from it, close it. */
export class Database implements AsyncDisposable {
  readonly #engine: Engine;
  readonly #mode: DurabilityMode;
  readonly #info: StorageInfo;
  readonly #listeners: Listeners;
  readonly #sharing: Sharing | undefined;
  readonly #release: () => Promise<void>;
  /** Handles that are in use, so that asking for a run again gives the same one; dropped ones are taken out. */
  readonly #runs = new Map<string, WeakRef<Run>>();
  readonly #dropped = new FinalizationRegistry<string>((id) => {
    if (this.#runs.get(id)?.deref() === undefined) this.#runs.delete(id);
  });
  #closing: Promise<void> | undefined;
  #index: RunIndex | undefined;
  readonly #commitsAtOpen: number;

  /** @internal */
  constructor(opened: Opened) {
    this.#engine = opened.engine;
    this.#mode = opened.mode;
    this.#info = opened.info;
    this.#listeners = opened.listeners;
    this.#sharing = opened.sharing;
    this.#release = opened.release;
    this.#commitsAtOpen = opened.commitsAtOpen;
  }

  /**
   * Opens a database: at a path, with the platform's own storage and its strongest synchronous mode, or as options say.
   * @throws HoldfastError `INVALID_ARGUMENT`, `LOCKED` with the owner's details, `CORRUPTION` with segment and offset,
   *   `UNSUPPORTED`, `STORE_FULL`, `STORE_FAILED`, `STORAGE_FULL`, `SHARED_MEMORY_UNAVAILABLE`, `TIMEOUT` when aborted.
   */
  static open(options: string | OpenOptions): Promise<Database> {
    return open(options);
  }

  /** A builder: `Database.builder().path("./s").buffered().open()`. */
  static builder(): DatabaseBuilder {
    return new DatabaseBuilder({});
  }

  /** The mode that writes are made in unless they say otherwise. */
  get durability(): DurabilityMode {
    return this.#mode;
  }

  /** Whether the database takes work. */
  get isOpen(): boolean {
    return this.#engine.isOpen;
  }

  /** The newest version at or below which every commit of every run is published. */
  get version(): number {
    this.#engine.assertOpen();
    return this.#engine.core.horizon;
  }

  /** Where the database is kept, and how it was found. */
  get storageInfo(): StorageInfo {
    return this.#info;
  }

  /**
   * Calls `listener` on an event; returns what ends that. One that is added after a recovery is told of it. What a listener
   * throws is ignored.
   */
  on<E extends keyof DatabaseEvents>(event: E, listener: (payload: DatabaseEvents[E]) => void): () => void {
    if (typeof event !== "string" || !EVENTS.has(event)) {
      throw refuseArgument(`There is no event ${describe(event)}; there are ${[...EVENTS].join(", ")}.`);
    }
    checkFunction(listener, "A listener");
    const registration = this.#listeners.add(event, listener as Listener);
    const { recovered } = this.#info;
    if (event === "recovered" && recovered !== undefined) {
      // As every event: to those who still listen, and what one throws is its own affair.
      queueMicrotask(() => this.#listeners.emitTo(registration, event, recovered));
    }
    return () => this.#listeners.remove(registration, event);
  }

  /**
   * A run by its id, 1 to 256 bytes of UTF-8. It exists once something is written to it.
   * @throws HoldfastError `INVALID_KEY`, `CLOSED`.
   */
  run(id: string): Run {
    this.#engine.assertOpen();
    const known = typeof id === "string" ? this.#runs.get(id)?.deref() : undefined;
    if (known !== undefined) return known;
    this.#engine.core.renew();
    encodeName(id, RUN_ID_BYTES_MAX, "The run id", this.#engine.core);
    const run = new Run(this.#engine, id);
    this.#runs.set(id, new WeakRef(run));
    this.#dropped.register(run, id);
    return run;
  }

  /**
   * Holds every run as it is now, at an instant when everything at or below its version was published. Dispose of it.
   * @throws HoldfastError `BUSY`, `CLOSED`.
   */
  snapshot(): DatabaseSnapshot {
    this.#engine.assertOpen();
    return new DatabaseSnapshot(this.#engine);
  }

  /** Live entries over all runs and primitives. */
  totalCount(): number {
    this.#engine.assertOpen();
    return this.#engine.core.liveEntries;
  }

  /**
   * Resolves when everything committed so far is durable.
   * @throws HoldfastError `STORAGE_FULL`, `STORE_FAILED`, `COMMIT_INDETERMINATE`, `CLOSED`.
   */
  flush(): Promise<void> {
    return this.#engine.track(() => this.#flush());
  }

  async #flush(): Promise<void> {
    this.#engine.assertOpen();
    await this.#engine.log?.flush();
  }

  /**
   * Makes everything committed so far durable before it returns.
   * @throws HoldfastError `SYNC_COMMIT_UNSUPPORTED` where the storage cannot; what {@link Database.flush} does.
   */
  flushSync(): void {
    this.#engine.assertOpen();
    this.#engine.log?.flushSync();
  }

  /** The index of runs: which there are, what they are called, and how far they have come. */
  get runs(): RunIndex {
    this.#index ??= new RunIndex({
      ids: () => {
        this.#engine.assertOpen();
        return this.#engine.core.runIds(-1);
      },
      // A handle of its own for each run that is only looked at would cost more than the look.
      reader: (id) => this.#runs.get(id)?.deref()?.writer ?? new RunWriter(this.#engine, id),
      writer: (id) => this.run(id).writer,
      deleteRun: (id, options) => this.run(id).writer.deleteRun(options),
    });
    return this.#index;
  }

  /**
   * Deletes a run as a whole, in one commit; whether it existed. Snapshots taken before still see it, transactions that
   * are open on it end with `CONFLICT`, and under its name a new run can begin. Its memory goes back to the others. It takes away
   * a run that a worker has died in as well.
   * @throws HoldfastError `INVALID_KEY`, `STORAGE_FULL`, `STORE_FAILED`, `COMMIT_INDETERMINATE`,
   *   `SYNC_COMMIT_UNSUPPORTED`, `BUSY`, `READ_ONLY`, `CLOSED`.
   */
  deleteRun(runId: string, given?: StepOptions): boolean {
    return this.run(runId).writer.deleteRun(readOptions<StepOptions>(given, ["durability"], "deleteRun"));
  }

  /**
   * Compacts the log: everything that is published is written as a checkpoint while commits go on, and once that is durable
   * the log that it takes the place of is removed. Killed anywhere, the database opens as if it had not begun, or as if it
   * were done. Does nothing where there is nothing new, and for a database in memory.
   * @throws HoldfastError `STORAGE_FULL` if there is no room beside the log, which is kept then; `CORRUPTION` while a run is lost,
   *   which {@link Database.recoverRun} rebuilds; `STORE_FULL`, `STORE_FAILED`, `READ_ONLY`, `BUSY`, `CLOSED`.
   */
  async checkpoint(): Promise<void> {
    this.#engine.assertOpen();
    this.#engine.assertWritable();
    await this.#engine.track(() => this.#engine.log?.checkpoint() ?? Promise.resolve());
  }

  /**
   * Everything that is published at this instant, or only the named runs, as one stream of bytes that
   * {@link Database.import} takes on every platform. It holds a snapshot until it has been read to its end, or `return` is
   * called, as leaving a `for await` does.
   * @throws HoldfastError `NOT_FOUND` if there is no such run, `INVALID_KEY`, `INVALID_ARGUMENT`, `BUSY`, `CLOSED`; while it
   *   is read also `BUSY`, `CORRUPTION` for a run that is lost, `STORE_FULL`, `STORE_FAILED`.
   */
  export(given?: ExportOptions): AsyncGenerator<Uint8Array, void, undefined> {
    const { runs } = readOptions<ExportOptions>(given, ["runs"], "export");
    const ids = runs === undefined ? undefined : readStrings(runs, "The runs of export");
    const snapshot = this.snapshot();
    try {
      return endedAtOnce(this.#export(snapshot, snapshot.heldRuns(ids)), () => snapshot[Symbol.dispose]());
    } catch (error) {
      snapshot[Symbol.dispose]();
      throw error;
    }
  }

  async *#export(snapshot: DatabaseSnapshot, runs: readonly HeldRun[]): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      const { exportPieces } = await loaded(import("./checkpoint.js"));
      yield* exportPieces(this.#engine.core, snapshot.version, runs, this.#engine);
    } finally {
      snapshot[Symbol.dispose]();
    }
  }

  /**
   * A new database from what {@link Database.export} gave: a stream, or pieces, of bytes. Keys keep their versions. The
   * place must be empty; where this fails it stays so. The stream is ended then.
   * @throws HoldfastError `ALREADY_EXISTS`, `CORRUPTION` with offset, `UNSUPPORTED` for an export of a newer release, and what
   *   {@link Database.open} throws.
   */
  static async import(stream: ByteStream, options: string | OpenOptions): Promise<Database> {
    const { checkSource, endSource } = await loaded(import("./byte-stream.js"));
    checkSource(stream);
    try {
      const { readOnly } = parseOptions(options);
      if (readOnly === true) throw refuseArgument("Database.import cannot be read-only.");
      return await open(options, undefined, stream);
    } catch (error) {
      endSource(stream);
      throw error;
    }
  }

  /**
   * Which of those that share the memory this is: what {@link Database.detach} takes elsewhere. 0 where it was opened; no two ever
   * have the same.
   */
  get workerId(): number {
    return this.#sharing?.workerId ?? 0;
  }

  /**
   * A handle that other workers attach to this database with: post it to them by `postMessage`, and call
   * {@link Database.attach} there. With a worker given the handle is for it alone and good once; its end is then noticed, and
   * what it held is let go of. The database must have been opened with `shared: true`; in a browser's storage one worker, which
   * was started then, writes for all who are attached.
   * @throws HoldfastError `SHARED_MEMORY_UNAVAILABLE`, `INVALID_ARGUMENT`, `BUSY` if 64 workers are attached, `UNSUPPORTED` if
   *   it is only read, or on a storage that only one worker can write to, `CLOSED`.
   */
  share(worker?: object): DatabaseHandle {
    this.#engine.assertOpen();
    return this.#shared("db.share").share(worker);
  }

  /**
   * Attaches to the database of another worker: the same memory, with the whole interface. Closing it leaves the others as
   * they are; once the database is closed where it was opened, every write throws `CLOSED`.
   * @throws HoldfastError `INVALID_ARGUMENT` for what is no handle or one of another release, `CLOSED`, `BUSY` if there is no
   *   place left, or another worker is held in the middle of something, `SHARED_MEMORY_UNAVAILABLE`, `STORE_FULL`, `STORE_FAILED`, `TIMEOUT` when aborted.
   */
  static async attach(handle: DatabaseHandle, options?: AttachOptions): Promise<Database> {
    const { attachDatabase } = await loaded(import("./attaching.js"));
    return new Database(await attachDatabase(handle, options));
  }

  /**
   * Says that a worker is dead, by its `workerId`: what it held is let go of, and a run that it was changing is refused as
   * `CORRUPTION` until {@link Database.recoverRun} has rebuilt it. Only for one that is known to be dead, and needed only where
   * nobody notices: where there are no Web Locks, of a worker that was not given to {@link Database.share}. Whether there was
   * anything to clear up.
   * @throws HoldfastError `INVALID_ARGUMENT`, `CLOSED`; `BUSY` where another worker is in the way, which may be dead itself: call it
   *   again once the event loop has turned, and for that one too.
   */
  detach(workerId: number): boolean {
    this.#engine.assertOpen();
    return this.#shared("db.detach").detach(workerId);
  }

  #shared(what: string): Sharing {
    if (this.#sharing !== undefined) return this.#sharing;
    if (this.#engine.core.shared)
      throw unsupported(`${what} of a database on this storage, or that is only read,`, SHARED_INSTEAD);
    assertSharedMemory();
    throw refuseArgument(`${what} needs a memory that can be shared: open the database with shared: true.`);
  }

  /**
   * Rebuilds a run that a worker has died in the middle of changing, from the newest checkpoint and the log behind it, while
   * the others go on. All commits of it that were acknowledged are there again, with their versions; snapshots and transactions
   * from before are refused to read it. Whether there was anything to rebuild. Where the database was opened.
   * @throws HoldfastError `UNSUPPORTED` for a database that is only in memory, of which {@link Database.deleteRun} removes the
   *   run, and in a worker that has attached; `CORRUPTION` with segment and offset where the files are damaged, `STORE_FULL`
   *   where there is no memory to rebuild it in, the run as it was then; `STORE_FAILED`, `INVALID_KEY`, `BUSY`, `READ_ONLY`,
   *   `CLOSED`.
   */
  recoverRun(runId: string): Promise<boolean> {
    return this.#engine.track(() => this.#recoverRun(runId));
  }

  async #recoverRun(runId: string): Promise<boolean> {
    const { id } = this.run(runId);
    const { log } = this.#engine;
    this.#engine.assertWritable();
    if (log !== undefined) return (await this.#sharing?.recoverRun(id, log)) ?? false;
    throw new HoldfastError(
      "UNSUPPORTED",
      `The run ${describe(runId)} is only in memory, and there is nothing to rebuild it from. Remove it with db.deleteRun(id).`,
    );
  }

  /** Counters: what is kept, and what it costs. */
  stats(): DatabaseStats {
    this.#engine.assertOpen();
    const { core, log } = this.#engine;
    const memoryUse = core.memoryUse();
    const use = core.use();
    const syncs = log?.syncs ?? 0;
    const oldest = core.oldestSnapshot;
    return {
      entries: core.liveEntries,
      runs: core.runCountLive,
      snapshotsHeld: use.snapshotsHeld,
      oldestSnapshotVersion: oldest === 0 ? undefined : oldest,
      oldestSnapshotAgeMs: oldest === 0 ? undefined : this.#engine.heldForMs(oldest),
      transactionsOpen: use.transactionsOpen,
      transactionsPooled: use.transactionsPooled,
      memoryBytes: memoryUse.bytes,
      memoryFreeBytes: memoryUse.freeBytes,
      liveBytes: use.usedBytes - use.deadBytes,
      deadBytes: use.deadBytes,
      fragmentation: use.extentBytes === 0 ? 0 : use.freeBytes / use.extentBytes,
      logBytes: core.logPosition,
      commits: core.commits,
      syncs,
      commitsPerSync: syncs === 0 ? undefined : (core.commits - this.#commitsAtOpen) / syncs,
    };
  }

  /** Walks the whole memory and checks every invariant. Takes time in proportion to what is stored. */
  verify(): VerifyReport {
    this.#engine.assertOpen();
    const fault = this.#engine.core.verify();
    return fault === 0 ? { valid: true } : { valid: false, fault };
  }

  /**
   * Takes no new work, waits for what is in flight, makes everything durable, and gives up ownership. Doing so again
   * waits for the same. The callback of a transactionAsync is in flight until it settles: awaiting `close` in one waits
   * for itself.
   * @throws HoldfastError `STORAGE_FULL`, `STORE_FAILED`, `COMMIT_INDETERMINATE` if not everything became durable, or, where the
   *   database was locked out, not every buffered commit; ownership is given up all the same.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#engine.beginClosing("The database is closed.");
    try {
      await this.#engine.drainInFlight();
      await this.#sharing?.closeAll();
      if (this.#engine.isLive) await this.#engine.log?.shutdown();
      else this.#engine.log?.assertKept();
    } finally {
      this.#engine.close("The database is closed.");
      try {
        this.#sharing?.leave();
      } finally {
        await this.#release();
      }
    }
  }

  /** {@link close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Collects options and opens. Every method returns a new builder. */
export class DatabaseBuilder {
  readonly #options: OpenOptions;

  /** @internal */
  constructor(options: OpenOptions) {
    this.#options = options;
  }

  #with(options: OpenOptions): DatabaseBuilder {
    return new DatabaseBuilder({ ...this.#options, ...options });
  }

  /** The directory, or in browsers the name. */
  path(path: string): DatabaseBuilder {
    return this.#with({ path });
  }

  /** Any mode. */
  durability(durability: DurabilityOption): DatabaseBuilder {
    return this.#with({ durability });
  }

  /** Nothing is kept. */
  inMemory(): DatabaseBuilder {
    return this.#with({ durability: "in-memory" });
  }

  /** Buffered, synced every 100 ms or 1,000 writes. */
  buffered(): DatabaseBuilder {
    return this.#with({ durability: bufferedDefault() });
  }

  /** Each commit is durable when it returns. */
  strict(): DatabaseBuilder {
    return this.#with({ durability: "strict" });
  }

  /** An explicit storage, in place of the platform's own. */
  storage(storage: Storage): DatabaseBuilder {
    return this.#with({ storage });
  }

  /** The core, where it cannot be found beside the package, or nothing may be compiled from bytes: a module, its bytes, or a URL. */
  wasm(wasm: WasmSource): DatabaseBuilder {
    return this.#with({ wasm });
  }

  /** Opens what was collected. Throws what {@link Database.open} does. */
  open(): Promise<Database> {
    return open(this.#options);
  }

  /** Opens in a temporary place, which is removed when the database is closed. */
  async openTemp(): Promise<Database> {
    const environment = this.#options.environment ?? platformEnvironment();
    const { temporaryPlace } = await loaded(import("./temporary.js"));
    const { path, remove } = await temporaryPlace((bytes) => environment.randomBytes(bytes));
    try {
      return await open({ ...this.#options, path }, remove);
    } catch (error) {
      await remove().catch(() => {});
      throw error;
    }
  }
}
