/**
 * Where something that measures is put between the store and what it stands on: around the core's exports and around the
 * storage's session. Without it both are used as they are, so that it costs nothing where it is not asked for.
 */
import type { StorageSession } from "../adapters/storage.js";
import type { CoreExports } from "./core-loader.js";

/** Wraps what a database stands on when it is opened. */
export interface Instrument {
  /** The core's exports, as they are to be called. `persistent`: whether commits go to a log. */
  exports(exports: CoreExports, persistent: boolean): CoreExports;
  /** The storage's session, as it is to be called. */
  session(session: StorageSession): StorageSession;
}
