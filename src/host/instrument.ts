/**
 * Where something that measures is put between the store and what it stands on: around the core's exports and around the
 * storage's session. Without it both are used as they are, so that it costs nothing where it is not asked for.
 */
import type { StorageSession } from "../adapters/storage.js";
import type { CoreExports } from "./core-instance.js";

/** What stands between one database and what it stands on. */
export interface Attachment {
  /** The core's exports, as they are to be called. */
  readonly exports: CoreExports;
  /** The storage's session, as it is to be called. */
  session(session: StorageSession): StorageSession;
}

/** Made by whoever wants to measure. */
export interface Instrument {
  /** Stands in when a database is opened over a memory; `persistent`: whether commits go to a log. */
  attach(exports: CoreExports, persistent: boolean, memory: WebAssembly.Memory): Attachment;
}
