/**
 * What `Database.open`, `attach` and `import` take, checked before anything is touched.
 */
import type { Storage } from "../adapters/storage.js";
import { checkFunction, checkSignal, describe, readOptions, refuseArgument } from "./arguments.js";
import type { WasmSource } from "./core-loader.js";
import type { DurabilityOption } from "./durability-mode.js";
import type { Environment } from "./environment.js";
import type { Instrument } from "./instrument.js";
import type { RecoveryProgress } from "./recovery.js";

/** How a database is opened. */
export interface OpenOptions {
  /** The directory, or in browsers the name, of the platform's own storage. Not used where the mode is in-memory. */
  readonly path?: string | undefined;
  /** The database's mode; by default the strongest that its storage can keep in a synchronous call. */
  readonly durability?: DurabilityOption | undefined;
  /** An explicit storage, in place of the platform's own. */
  readonly storage?: Storage | undefined;
  /** Open beside a live owner: reads what is in the log now; writes throw `READ_ONLY`. */
  readonly readOnly?: boolean | undefined;
  /**
   * With `readOnly`: where the log is damaged or cannot be read, read what stands before that instead of refusing to open, and
   * say so in `db.storageInfo.salvaged`. For getting out what can be had, by `db.export()`, when there is no copy.
   */
  readonly salvage?: boolean | undefined;
  /** The most memory in bytes that the database may take; by default 4 GiB − 64 KiB, shared 1 GiB. */
  readonly maxBytes?: number | undefined;
  /** Keep the database in a `SharedArrayBuffer`, for `db.share()`; in a browser's storage a worker of its own writes the log. */
  readonly shared?: boolean | undefined;
  /** Told now and then how far a long recovery has come. */
  readonly onProgress?: ((progress: RecoveryProgress) => void) | undefined;
  /** Ends opening. */
  readonly signal?: AbortSignal | undefined;
  /** The core, where it cannot be found beside the package: a module, its bytes or a URL. */
  readonly wasm?: WasmSource | undefined;
  /** Measures every commit: `trace()` from `holdfast/trace`. */
  readonly trace?: Instrument | undefined;
  /** Where time and randomness come from; for tests that replay from a seed. */
  readonly environment?: Environment | undefined;
}

/** How a database is attached to. */
export interface AttachOptions {
  /** Ends attaching. */
  readonly signal?: AbortSignal | undefined;
  /** Measures the commits that this worker makes: `trace()` from `holdfast/trace`. */
  readonly trace?: Instrument | undefined;
  /** Where time and randomness come from; for tests that replay from a seed. */
  readonly environment?: Environment | undefined;
}

const NAMES = [
  "path",
  "durability",
  "storage",
  "readOnly",
  "salvage",
  "maxBytes",
  "shared",
  "onProgress",
  "signal",
  "wasm",
  "trace",
  "environment",
] as const;

/** Less than this leaves no room for the store itself. */
const MAX_BYTES_LEAST = 1024 * 1024;
const MAX_BYTES_MOST = 4 * 1024 * 1024 * 1024 - 65536;
const MAX_BYTES_SHARED = 1024 * 1024 * 1024;

/** Options from what `open` was given, a path or an object. */
export function parseOptions(given: unknown): OpenOptions {
  if (typeof given === "string") return parseOptions({ path: given });
  if (given === undefined) throw refuseArgument("Database.open takes a path or an object of options, got undefined.");
  const options = readOptions<OpenOptions>(given, NAMES, "Database.open");
  if (options.path !== undefined && (typeof options.path !== "string" || options.path === "")) {
    throw refuseArgument("path must be a string that is not empty.");
  }
  if (options.path !== undefined && options.storage !== undefined) {
    throw refuseArgument("Give path or storage, not both: a storage has its place already.");
  }
  for (const name of ["readOnly", "salvage", "shared"] as const) {
    const value: unknown = options[name];
    if (value !== undefined && typeof value !== "boolean") {
      throw refuseArgument(`${name} must be true or false, got ${describe(value)}.`);
    }
  }
  if (options.salvage === true && options.readOnly !== true) {
    throw refuseArgument("salvage only reads: pass readOnly: true with it.");
  }
  if (options.onProgress !== undefined) checkFunction(options.onProgress, "onProgress");
  checkSignal(options.signal);
  checkParts(options);
  return options;
}

/** Options of `Database.attach`, checked. */
export function parseAttachOptions(given: unknown): AttachOptions {
  const options = readOptions<AttachOptions>(given, ["signal", "trace", "environment"], "Database.attach");
  checkSignal(options.signal);
  checkParts(options);
  return options;
}

/** An object that a caller has made must have the parts that are called: told here, not by a TypeError somewhere inside. */
function checkParts({ storage, environment, trace }: OpenOptions): void {
  if (storage !== undefined && !(hasFunctions(storage, ["open"]) && hasCapabilities(storage))) {
    throw refuseArgument(
      `storage must be a Storage such as memory() from "holdfast/adapters/memory", got ${describe(storage)}.`,
    );
  }
  if (trace !== undefined && !hasFunctions(trace, ["attach"])) {
    throw refuseArgument(`trace must be what trace() of "holdfast/trace" returns, got ${describe(trace)}.`);
  }
  const parts = ["monotonicMs", "wallMs", "randomBytes", "schedule"];
  if (environment !== undefined && !hasFunctions(environment, parts)) {
    throw refuseArgument(`environment must have the functions ${parts.join(", ")}.`);
  }
}

/** What throws when it is looked at is nothing that could be used. */
function hasFunctions(value: unknown, names: readonly string[]): boolean {
  if (typeof value !== "object" || value === null) return false;
  try {
    return names.every((name) => typeof (value as Record<string, unknown>)[name] === "function");
  } catch {
    return false;
  }
}

function hasCapabilities(storage: Storage): boolean {
  try {
    const { kind, persistent, recordBytesMax } = storage.capabilities;
    return typeof kind === "string" && typeof persistent === "boolean" && recordBytesMax > 0;
  } catch {
    return false;
  }
}

/** The limit on memory, in whole pages. */
export function maxBytesOf(options: OpenOptions): number {
  const { maxBytes } = options;
  if (maxBytes === undefined) return options.shared ? MAX_BYTES_SHARED : MAX_BYTES_MOST;
  if (!Number.isInteger(maxBytes) || maxBytes < MAX_BYTES_LEAST || maxBytes > MAX_BYTES_MOST) {
    throw refuseArgument(
      `maxBytes must be a whole number from ${MAX_BYTES_LEAST} to ${MAX_BYTES_MOST}, got ${describe(maxBytes)}.`,
    );
  }
  return maxBytes - (maxBytes % 65536);
}
