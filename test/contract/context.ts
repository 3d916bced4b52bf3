/**
 * What a contract suite is made of: cases, which are plain data, and the context that each of them is run with.
 *
 * A case knows no framework, no runtime and no storage. Vitest mounts the suites on the sources, `test/runtimes/` mounts
 * the same ones on the built package in every runtime. Every case gets a context, and so a place, of its own, and what
 * it opened is closed and removed after it.
 */
import type { DurableObjectStorageLike } from "../../src/adapters/durable-object.js";
import type { Storage, StorageCapabilities } from "../../src/adapters/storage.js";
import type { Database } from "../../src/index.js";
import type { WorkerPort } from "./hand.js";

/** The options of `Database.open` in their long form. */
export type OpenOptions = Exclude<NonNullable<Parameters<typeof Database.open>[0]>, string>;

/** Where a case runs: one place in one storage on one runtime. */
export interface Context {
  /** `"node"`, `"deno"`, `"bun"`, `"workerd"` or `"browser"`. */
  readonly runtime: string;
  /** The short name of the storage, as in its capabilities: `"memory"`, `"files"`, `"indexeddb"`. */
  readonly storageKind: string;
  readonly capabilities: StorageCapabilities;
  /** A new storage object, always over the one place of this case. */
  storage(): Storage;
  /** What `Database.open` takes as `path` for this very place, where the storage is the platform's own. */
  readonly path: string | undefined;
  /** The core, where the package cannot find its own: for a case that does not open by `open` below. */
  readonly wasm?: WebAssembly.Module | undefined;
  /** The storage of the Durable Object that the case runs in, if it does. */
  readonly object?: DurableObjectStorageLike | undefined;
  /** Whether another worker writes the log, and publishes at any moment. */
  readonly isWrittenElsewhere?: boolean;
  /** Opens a database at the place of this case; it is closed when the case is over, if it is still open then. */
  open(options?: OpenOptions): Promise<Database>;
  /**
   * Closes the database opened last, and opens it again with its options and `options` on top. What was written is there
   * again only where the storage is persistent.
   */
  reopen(options?: OpenOptions): Promise<Database>;
  /** Starts a worker, where this runtime can; see `hand.ts` for what it does. */
  readonly startWorker?: (() => WorkerPort) | undefined;
}

/** Something that must hold for every storage whose capabilities the case asks for. */
export interface Case {
  readonly name: string;
  /** Whether the case applies to such a storage; where it does not, it counts as skipped. */
  readonly needs?: (capabilities: StorageCapabilities) => boolean;
  /** How long it may take, where that is more than usual. */
  readonly msMax?: number;
  run(context: Context): Promise<void> | void;
}

/**
 * Something that must hold over the death of what ran phase one: a page that is reloaded, a browser that is closed, a
 * process that is killed. Only storages that are persistent get these. Nothing is closed between the phases.
 */
export interface ReloadCase {
  readonly name: string;
  readonly needs?: (capabilities: StorageCapabilities) => boolean;
  before(context: Context): Promise<void>;
  after(context: Context): Promise<void>;
}
