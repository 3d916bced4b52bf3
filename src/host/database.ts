/**
 * A database: one memory, one storage, one owner. Opening, looking inside, closing.
 */
import { memory } from "../adapters/memory.js";
import type { Storage, StorageCapabilities, StorageSession, VanishedInfo } from "../adapters/storage.js";
import { HoldfastError } from "../errors.js";
import {
  CAPABILITY_LOG,
  CAPABILITY_SYNC_APPEND,
  CAPABILITY_SYNC_FLUSH,
  RECORD_BYTES_MAX,
  RECORD_HEADER_BYTES,
  RECORD_TRAILER_BYTES,
  RUN_ID_BYTES_MAX,
} from "./abi.js";
import { checkFunction, describe, readOptions, refuseArgument } from "./arguments.js";
import { encodeName } from "./codec.js";
import { Core, type HeldRun } from "./core.js";
import { loadCore } from "./core-loader.js";
import { DurableLog, databaseMode } from "./durability.js";
import { bufferedDefault, type DurabilityMode, type DurabilityOption, parseDurability } from "./durability-mode.js";
import { Engine } from "./engine.js";
import { type Environment, platformEnvironment } from "./environment.js";
import type { Attachment } from "./instrument.js";
import { maxBytesOf, type OpenOptions, parseOptions } from "./options.js";
import { canWait, platformStorage, temporaryPlace } from "./platform.js";
import { RunIndex } from "./primitives/run-index.js";
import type { StepOptions } from "./reader-writer.js";
import { type LogState, type RecoveredInfo, recoverLog, type SalvagedInfo, salvageLog } from "./recovery.js";
import { Run } from "./run.js";
import { RunWriter } from "./run-writer.js";
import { DatabaseSnapshot } from "./snapshot.js";
import { type ByteStream, checkSource, exportPieces, importStream, refuseExisting, storeImport } from "./transfer.js";
import { unsupported } from "./unsupported.js";

/** Where a database is kept, and in what state it was found. */
export interface StorageInfo {
  /** `"memory"`, `"files"`, `"indexeddb"`, … */
  readonly kind: string;
  /** What makes a commit durable there: `"fdatasync"`, … */
  readonly mechanism: string;
  /** Whether the platform promises not to evict it; `undefined` where it cannot say. */
  readonly persisted: boolean | undefined;
  /** Whether nothing was there before. */
  readonly fresh: boolean;
  /** Set where it is fresh and yet known to have been there: it was evicted, cleared or deleted. */
  readonly vanished: VanishedInfo | undefined;
  /** Set where the database had not been closed. */
  readonly recovered: RecoveredInfo | undefined;
  /** Set where it was opened with `salvage` and is damaged: what it ends at. */
  readonly salvaged: SalvagedInfo | undefined;
}

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

/** The events of a database and what their listeners are given. */
export interface DatabaseEvents {
  /** Something failed in the background; writes will say so too. */
  error: HoldfastError;
  /** Somebody else has taken the database over. */
  "locked-out": string;
  /** The database had not been closed, and was recovered when it was opened. */
  recovered: RecoveredInfo;
}

type Listener = (payload: never) => void;

/** Everything that opening brings together. */
interface Opened {
  readonly engine: Engine;
  readonly session: StorageSession;
  readonly mode: DurabilityMode;
  readonly info: StorageInfo;
  readonly listeners: Listeners;
  readonly remove: (() => Promise<void>) | undefined;
  readonly commitsAtOpen: number;
}

class Listeners {
  readonly #byEvent = new Map<string, Set<Listener>>();

  add(event: string, listener: Listener): () => void {
    const listeners = this.#byEvent.get(event) ?? new Set();
    this.#byEvent.set(event, listeners);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  /** Tells one listener, if it still listens. */
  emitTo(listener: Listener, event: string, payload: unknown): void {
    if (!this.#byEvent.get(event)?.has(listener)) return;
    try {
      (listener as (payload: unknown) => void)(payload);
    } catch {}
  }

  /** Tells every listener. What one throws is its own affair: it must not take the place of what the writer is told. */
  emit<E extends keyof DatabaseEvents>(event: E, payload: DatabaseEvents[E]): void {
    for (const listener of [...(this.#byEvent.get(event) ?? [])]) this.emitTo(listener, event, payload);
  }
}

const EVENTS = new Set<string>(["error", "locked-out", "recovered"]);
const DATABASE_ID_BYTES = 16;

function capabilityBits(capabilities: StorageCapabilities): number {
  if (!capabilities.persistent) return 0;
  return (
    CAPABILITY_LOG |
    (capabilities.syncAppend ? CAPABILITY_SYNC_APPEND : 0) |
    (capabilities.syncFlush ? CAPABILITY_SYNC_FLUSH : 0)
  );
}

/** How long to wait where there is no address space for one more memory: that of closed databases goes when it is collected. */
const MEMORY_WAITS_MS = [50, 200, 1000];

/** The memory of a database. */
async function makeMemory(options: OpenOptions, environment: Environment): Promise<WebAssembly.Memory> {
  for (let attempt = 0; ; attempt++) {
    try {
      return reserveMemory(options);
    } catch (cause) {
      if (HoldfastError.is(cause)) throw cause;
      const waitMs = MEMORY_WAITS_MS[attempt];
      if (waitMs === undefined) throw noAddressSpace(cause);
      await new Promise<void>((resolve) => {
        environment.schedule(waitMs, resolve, true);
      });
    }
  }
}

function noAddressSpace(cause: unknown): HoldfastError {
  return new HoldfastError(
    "STORE_FULL",
    "There is no address space for another database here. Close some, let go of them, and open it again, or pass a smaller maxBytes.",
    { cause },
  );
}

/** Shared memory wants isolation in browsers. */
function reserveMemory(options: OpenOptions): WebAssembly.Memory {
  const maximum = maxBytesOf(options) / 65536;
  if (!options.shared) return new WebAssembly.Memory({ initial: 2, maximum });
  const isolated = (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated;
  if (typeof SharedArrayBuffer === "undefined" || isolated === false) {
    throw new HoldfastError(
      "SHARED_MEMORY_UNAVAILABLE",
      "Shared memory needs a cross-origin isolated page: serve it with the headers Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp. Everything else works without shared: true.",
    );
  }
  return new WebAssembly.Memory({ initial: 2, maximum, shared: true });
}

async function chooseStorage(options: OpenOptions): Promise<Storage> {
  if (options.storage !== undefined) return options.storage;
  const inMemory = options.durability !== undefined && parseDurability(options.durability).mode === "in-memory";
  if (inMemory) return memory();
  if (options.path !== undefined) return platformStorage(options.path);
  throw new HoldfastError(
    "INVALID_ARGUMENT",
    'Database.open needs to know where to keep the database: a path, a storage, or durability: "in-memory".',
  );
}

async function makeCore(
  options: OpenOptions,
  storage: StorageCapabilities,
  environment: Environment,
): Promise<{ readonly core: Core; readonly attachment: Attachment | undefined }> {
  const memoryOfCore = await makeMemory(options, environment);
  const bare = await loadCore(options.wasm, memoryOfCore, options.shared ?? false);
  const attachment = options.trace?.attach(bare, storage.persistent);
  const seed = new Uint32Array(2);
  environment.randomBytes(new Uint8Array(seed.buffer));
  const overhead = RECORD_HEADER_BYTES + RUN_ID_BYTES_MAX + RECORD_TRAILER_BYTES;
  const core = Core.format(attachment?.exports ?? bare, memoryOfCore, options.shared ?? false, {
    maxBytes: maxBytesOf(options),
    seed,
    capabilities: capabilityBits(storage),
    recordBytesMax: Math.min(storage.recordBytesMax, RECORD_BYTES_MAX) - overhead,
    canWait: canWait(),
  });
  return { core, attachment };
}

/**
 * Fills an empty core: from the stream of an import, or from the log. Says where the log goes on, which a database in memory
 * and one that is salvaged have none of.
 */
async function fill(
  options: OpenOptions,
  source: ByteStream | undefined,
  session: StorageSession,
  core: Core,
  parts: { readonly environment: Environment; readonly persistent: boolean },
): Promise<{ readonly state?: LogState | undefined; readonly salvaged?: SalvagedInfo | undefined }> {
  const { environment, persistent } = parts;
  const { readOnly = false, salvage = false, onProgress, signal } = options;
  const databaseId = new Uint8Array(DATABASE_ID_BYTES);
  environment.randomBytes(databaseId);
  const how = { databaseId, environment, onProgress, signal };
  if (source !== undefined) {
    refuseExisting(session);
    const imported = await importStream(core, source, how);
    return persistent ? { state: await storeImport(core, session, imported, how) } : {};
  }
  if (!persistent) return {};
  if (salvage) return { salvaged: await salvageLog(session, core, { ...how, readOnly }) };
  return { state: await recoverLog(session, core, { ...how, readOnly }) };
}

/** How often a reader begins again because the owner beside it has taken away what it was about to read. */
const READ_ATTEMPTS_MAX = 10;

/** Opens the parts in order; whatever was opened is closed again if a later one fails. */
async function openParts(
  options: OpenOptions,
  remove: (() => Promise<void>) | undefined,
  source: ByteStream | undefined,
): Promise<Opened> {
  const environment = options.environment ?? platformEnvironment();
  const storage = await chooseStorage(options);
  const { capabilities } = storage;
  const mode = databaseMode(options.durability, capabilities);
  const readOnly = options.readOnly ?? false;
  let { core, attachment } = await makeCore(options, capabilities, environment);
  const listeners = new Listeners();
  const owned: { session?: StorageSession; engine?: Engine; lost?: string } = {};
  const bareSession = await storage.open({
    readOnly,
    signal: options.signal,
    onLockedOut: (reason) => {
      owned.lost = reason;
      owned.engine?.close(`The database was taken over: ${reason}.`);
      listeners.emit("locked-out", reason);
      // What is still held of the ownership would keep this very page from opening again.
      queueMicrotask(() => owned.session?.close().catch(() => {}));
    },
  });
  const session = attachment?.session(bareSession) ?? bareSession;
  owned.session = session;
  try {
    let filled: Awaited<ReturnType<typeof fill>>;
    for (let attempt = 1; ; attempt++) {
      try {
        filled = await fill(options, source, session, core, { environment, persistent: capabilities.persistent });
        break;
      } catch (error) {
        if (!readOnly || attempt === READ_ATTEMPTS_MAX || !HoldfastError.is(error, "NOT_FOUND")) throw error;
        ({ core, attachment } = await makeCore(options, capabilities, environment));
      }
    }
    const { state, salvaged } = filled;
    const listener = { onError: (error: HoldfastError) => listeners.emit("error", error) };
    const log =
      state === undefined || readOnly
        ? undefined
        : new DurableLog(core, session, capabilities, state, mode, environment, listener);
    const { syncFlush, kind, mechanism } = capabilities;
    if (owned.lost !== undefined) {
      throw new HoldfastError(
        "LOCKED",
        `The database was taken over while it was opened: ${owned.lost}. Open it again.`,
      );
    }
    const engine = new Engine({ core, log, mode, readOnly, syncFlush, storageKind: kind, environment });
    owned.engine = engine;
    const { persisted, fresh, vanished } = session;
    return {
      engine,
      session,
      mode,
      info: { kind, mechanism, persisted, fresh, vanished, recovered: state?.recovered, salvaged },
      listeners,
      remove,
      commitsAtOpen: core.commits,
    };
  } catch (error) {
    await session.close().catch(() => {});
    throw error;
  }
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (!signal?.aborted) return;
  throw new HoldfastError("TIMEOUT", "Opening was aborted by its signal.", { cause: signal.reason });
}

/** What an error says, where it is one. */
function textOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : describe(error);
}

/** Makes whatever stopped opening a typed error. */
function openFailed(error: unknown, signal: AbortSignal | undefined): HoldfastError {
  if (HoldfastError.is(error)) return error;
  if (signal?.aborted) return new HoldfastError("TIMEOUT", "Opening was aborted by its signal.", { cause: error });
  return new HoldfastError("STORE_FAILED", `The database could not be opened: ${textOf(error)}`, { cause: error });
}

async function open(given: unknown, remove?: () => Promise<void>, source?: ByteStream): Promise<Database> {
  const options = parseOptions(given);
  throwIfAborted(options.signal);
  try {
    return new Database(await openParts(options, remove, source));
  } catch (error) {
    throw openFailed(error, options.signal);
  }
}

/** The state of agent runs: open one, get runs from it, close it. */
export class Database implements AsyncDisposable {
  readonly #engine: Engine;
  readonly #session: StorageSession;
  readonly #mode: DurabilityMode;
  readonly #info: StorageInfo;
  readonly #listeners: Listeners;
  readonly #remove: (() => Promise<void>) | undefined;
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
    this.#session = opened.session;
    this.#mode = opened.mode;
    this.#info = opened.info;
    this.#listeners = opened.listeners;
    this.#remove = opened.remove;
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
    const { recovered } = this.#info;
    if (event === "recovered" && recovered !== undefined) {
      // As every event: to those who still listen, and what one throws is its own affair.
      queueMicrotask(() => this.#listeners.emitTo(listener as Listener, event, recovered));
    }
    return this.#listeners.add(event, listener as Listener);
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
   * are open on it end with `CONFLICT`, and under its name a new run can begin. Its memory goes back to the others.
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
   * @throws HoldfastError `STORAGE_FULL` if there is no room beside the log, which is kept then; `STORE_FULL`, `STORE_FAILED`,
   *   `READ_ONLY`, `BUSY`, `CLOSED`.
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
   *   is read also `STORE_FULL`.
   */
  export(given?: ExportOptions): AsyncGenerator<Uint8Array, void, undefined> {
    const { runs } = readOptions<ExportOptions>(given, ["runs"], "export");
    if (runs !== undefined && !Array.isArray(runs)) throw refuseArgument("runs must be an array of run ids.");
    const snapshot = this.snapshot();
    try {
      return this.#export(snapshot, snapshot.heldRuns(runs));
    } catch (error) {
      snapshot[Symbol.dispose]();
      throw error;
    }
  }

  async *#export(snapshot: DatabaseSnapshot, runs: readonly HeldRun[]): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      yield* exportPieces(this.#engine.core, snapshot.version, runs, () => this.#engine.assertLive());
    } finally {
      snapshot[Symbol.dispose]();
    }
  }

  /**
   * A new database from what {@link Database.export} gave: a stream, or pieces, of bytes. Keys keep their versions. The
   * place must be empty; where this fails it stays so.
   * @throws HoldfastError `ALREADY_EXISTS`, `CORRUPTION` with offset, `UNSUPPORTED` for an export of a newer release, and what
   *   {@link Database.open} throws.
   */
  static async import(stream: ByteStream, options: string | OpenOptions): Promise<Database> {
    checkSource(stream);
    const { readOnly } = parseOptions(options);
    if (readOnly === true) throw refuseArgument("Database.import cannot be read-only.");
    return open(options, undefined, stream);
  }

  /** A handle for other workers. @throws HoldfastError `UNSUPPORTED` in this release. */
  share(): never {
    throw unsupported("db.share", "Let one worker own the database and ask it by messages.");
  }

  /** The same database in another worker. @throws HoldfastError `UNSUPPORTED` in this release. */
  static attach(_handle: unknown): Promise<never> {
    return Promise.reject(unsupported("Database.attach", "Let one worker own the database and ask it by messages."));
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
   * @throws HoldfastError `STORAGE_FULL`, `STORE_FAILED`, `COMMIT_INDETERMINATE` if not everything became durable;
   *   ownership is given up all the same.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#engine.beginClosing("The database is closed.");
    try {
      await this.#engine.drainInFlight();
      if (this.#engine.isLive) await this.#engine.log?.shutdown();
    } finally {
      this.#engine.close("The database is closed.");
      await this.#session.close();
      await this.#remove?.();
    }
  }

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

  inMemory(): DatabaseBuilder {
    return this.#with({ durability: "in-memory" });
  }

  buffered(): DatabaseBuilder {
    return this.#with({ durability: bufferedDefault() });
  }

  strict(): DatabaseBuilder {
    return this.#with({ durability: "strict" });
  }

  storage(storage: Storage): DatabaseBuilder {
    return this.#with({ storage });
  }

  /** Opens what was collected. Throws what {@link Database.open} does. */
  open(): Promise<Database> {
    return open(this.#options);
  }

  /** Opens in a temporary place, which is removed when the database is closed. */
  async openTemp(): Promise<Database> {
    const environment = this.#options.environment ?? platformEnvironment();
    const { path, remove } = await temporaryPlace((bytes) => environment.randomBytes(bytes));
    try {
      return await open({ ...this.#options, path }, remove);
    } catch (error) {
      await remove().catch(() => {});
      throw error;
    }
  }
}
