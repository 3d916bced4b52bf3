/**
 * Opening: memory, core, storage and log brought together in order.
 *
 * Whatever was opened is closed again if a later part fails, and whatever stopped it leaves here as a typed error.
 */
import { memory } from "../adapters/memory.js";
import type { Storage, StorageCapabilities, StorageOpenOptions, StorageSession } from "../adapters/storage.js";
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
import { describe } from "./arguments.js";
import type { ByteStream } from "./byte-stream.js";
import { Core } from "./core.js";
import { loadCore } from "./core-loader.js";
import type { DurableLog } from "./durability.js";
import { type DurabilityMode, databaseMode, parseDurability } from "./durability-mode.js";
import { Engine } from "./engine.js";
import { type Environment, pause, platformEnvironment } from "./environment.js";
import type { Attachment } from "./instrument.js";
import type { Filled } from "./keeping.js";
import { Listeners } from "./listeners.js";
import { loaded } from "./loading.js";
import { maxBytesOf, type OpenOptions, parseOptions } from "./options.js";
import { assertSharedMemory, canWait, platformStorage } from "./platform.js";
import type { Sharing, WayToLog } from "./sharing.js";
import type { StorageInfo } from "./storage-info.js";

/** Everything that opening brings together. */
export interface Opened {
  readonly engine: Engine;
  readonly mode: DurabilityMode;
  readonly info: StorageInfo;
  readonly listeners: Listeners;
  /** Undefined where memory is not shared. */
  readonly sharing: Sharing | undefined;
  readonly commitsAtOpen: number;
  /** Gives up what is held outside of the memory, once the database is closed. */
  release(): Promise<void>;
}

const DATABASE_ID_BYTES = 16;

function capabilityBits(capabilities: StorageCapabilities): number {
  if (!capabilities.persistent) return 0;
  return (
    CAPABILITY_LOG |
    (capabilities.syncAppend ? CAPABILITY_SYNC_APPEND : 0) |
    (capabilities.syncFlush ? CAPABILITY_SYNC_FLUSH : 0)
  );
}

/** The core over a new memory, and what it was made of. */
interface Made {
  readonly core: Core;
  readonly attachment: Attachment | undefined;
  readonly memory: WebAssembly.Memory;
  readonly module: WebAssembly.Module;
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
      await pause(environment, waitMs);
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
  assertSharedMemory();
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
  capabilities: number,
  environment: Environment,
): Promise<Made> {
  const memoryOfCore = await makeMemory(options, environment);
  const { exports: bare, module } = await loadCore(options.wasm, memoryOfCore, options.shared ?? false, options.signal);
  const attachment = options.trace?.attach(bare, storage.persistent, memoryOfCore);
  const seed = new Uint32Array(2);
  environment.randomBytes(new Uint8Array(seed.buffer));
  const overhead = RECORD_HEADER_BYTES + RUN_ID_BYTES_MAX + RECORD_TRAILER_BYTES;
  const core = Core.format(attachment?.exports ?? bare, memoryOfCore, options.shared ?? false, {
    maxBytes: maxBytesOf(options),
    seed,
    capabilities,
    recordBytesMax: Math.min(storage.recordBytesMax, RECORD_BYTES_MAX) - overhead,
    canWait: canWait(),
  });
  return { core, attachment, memory: memoryOfCore, module };
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
): Promise<Filled> {
  const { environment, persistent } = parts;
  const { readOnly = false, salvage = false, onProgress, signal } = options;
  const databaseId = new Uint8Array(DATABASE_ID_BYTES);
  environment.randomBytes(databaseId);
  const how = { databaseId, environment, onProgress, signal };
  if (source !== undefined) {
    const { importInto } = await loaded(import("./importing.js"));
    return { state: await importInto(core, session, source, { ...how, persistent }) };
  }
  if (!persistent) return {};
  const { fillFromLog } = await loaded(import("./keeping.js"));
  return fillFromLog(session, core, { ...how, readOnly }, salvage);
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
  const readOnly = options.readOnly ?? false;
  // From the start, and not only once it is shared: that is one call, and what has the storage open cannot move in it.
  const openApart = options.shared === true && !readOnly ? storage.openApart : undefined;
  const apart = openApart && (await loaded(import("./apart.js")));
  const capabilities = apart?.apartCapabilities(storage.capabilities) ?? storage.capabilities;
  const bits = apart?.CAPABILITIES_APART ?? capabilityBits(capabilities);
  const mode = databaseMode(options.durability, capabilities);
  let made = await makeCore(options, capabilities, bits, environment);
  const listeners = new Listeners();
  const owned: { session?: StorageSession; engine?: Engine; lost?: string } = {};
  const open: StorageOpenOptions = {
    readOnly,
    signal: options.signal,
    onLockedOut: (reason, code) => {
      owned.lost = reason;
      owned.engine?.close(`The database was taken over: ${reason}.`, code);
      listeners.emit("locked-out", reason);
      // What is still held of the ownership would keep this very page from opening again.
      queueMicrotask(() => owned.session?.close().catch(() => {}));
    },
  };
  const apartSession = await openApart?.(open);
  const bareSession = apartSession ?? (await storage.open(open));
  const session = made.attachment?.session(bareSession) ?? bareSession;
  owned.session = session;
  try {
    let filled: Filled;
    for (let attempt = 1; ; attempt++) {
      try {
        filled = await fill(options, source, session, made.core, { environment, persistent: capabilities.persistent });
        break;
      } catch (error) {
        if (!readOnly || attempt === READ_ATTEMPTS_MAX || !HoldfastError.is(error, "NOT_FOUND")) throw error;
        made = await makeCore(options, capabilities, bits, environment);
      }
    }
    const { state, salvaged } = filled;
    const { core } = made;
    const onError = (error: HoldfastError): void => listeners.emit("error", error);
    let log: DurableLog | undefined;
    let way: WayToLog | undefined;
    if (state !== undefined && !readOnly) {
      way = apartSession && (await apart?.beginApart(made, apartSession, state, environment));
      const { beginLog } = await loaded(import("./keeping.js"));
      log = beginLog({ core, session, capabilities, state, mode, environment, onError }, way?.makeWriter);
      if (session.ticket !== undefined) way = { log: { ticket: session.ticket, state } };
    }
    const { syncFlush, kind, mechanism } = capabilities;
    if (owned.lost !== undefined) throw takenOver(owned.lost);
    const engine = new Engine({ core, log, mode, readOnly, syncFlush, storageKind: kind, environment });
    owned.engine = engine;
    const { persisted, fresh, vanished } = session;
    const info = { kind, mechanism, persisted, fresh, vanished, recovered: state?.recovered, salvaged };
    const shares = core.shared && (!capabilities.persistent || way !== undefined);
    const parts = { storage: info, durability: mode, readOnly, ...way };
    const report = { listeners, onBuried: () => log?.noteBuffered() };
    return {
      engine,
      mode,
      info,
      listeners,
      sharing: shares ? (await loaded(import("./sharing.js"))).shareOwned(made, parts, environment, report) : undefined,
      commitsAtOpen: core.commits,
      release: async () => {
        await session.close();
        await remove?.();
      },
    };
  } catch (error) {
    await session.close().catch(() => {});
    // Then that is why, whatever the session said once it was closed.
    throw owned.lost === undefined || HoldfastError.is(error, "LOCKED") ? error : takenOver(owned.lost, error);
  }
}

function takenOver(reason: string, cause?: unknown): HoldfastError {
  return new HoldfastError("LOCKED", `The database was taken over while it was opened: ${reason}. Open it again.`, {
    cause,
  });
}

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (!signal?.aborted) return;
  throw new HoldfastError("TIMEOUT", "Opening was aborted by its signal.", { cause: signal.reason });
}

/** What an error says, where it is one. */
function textOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : describe(error);
}

/** Makes whatever stopped opening a typed error. */
export function openFailed(error: unknown, signal: AbortSignal | undefined): HoldfastError {
  if (HoldfastError.is(error)) return error;
  if (signal?.aborted) return new HoldfastError("TIMEOUT", "Opening was aborted by its signal.", { cause: error });
  return new HoldfastError("STORE_FAILED", `The database could not be opened: ${textOf(error)}`, { cause: error });
}

/**
 * Opens the parts of a database; `remove` takes its place away once it is closed, `source` is what it is imported from.
 * @throws HoldfastError and nothing else.
 */
export async function openDatabase(given: unknown, remove?: () => Promise<void>, source?: ByteStream): Promise<Opened> {
  const options = parseOptions(given);
  throwIfAborted(options.signal);
  try {
    return await openParts(options, remove, source);
  } catch (error) {
    throw openFailed(error, options.signal);
  }
}
