/**
 * A storage in IndexedDB, for a browser's main thread and its workers.
 *
 *     by itself     in the thread that opens it, asynchronously: `indexeddb-session.ts`
 *     shared        the same in a worker of its own, which writes for all: `shared-proxy.ts`, loaded then
 */

import { HoldfastError } from "../errors.js";
import { IndexedDbStorage, SEGMENT_BYTES_TARGET } from "./indexeddb-session.js";
import type { ApartSession, Storage, StorageOpenOptions } from "./storage.js";

export { removeIndexedDb } from "./indexeddb-session.js";

/** Options of {@link indexedDb}. */
export interface IndexedDbOptions {
  /**
   * With `shared: true`: makes the worker that writes for all, for bundlers that do not find
   * `new Worker(new URL("./indexeddb-worker.js", import.meta.url))` in a package, or where a content security policy asks for a
   * script of one's own. It has to be a module worker whose script imports `holdfast/adapters/indexeddb-worker`.
   */
  readonly worker?: (() => Worker) | undefined;
}

/**
 * A storage in the IndexedDB database of that name. It works asynchronously only; a database that is opened on it with
 * `shared: true` is written by a worker of its own, for which dedicated workers can wait.
 * @throws HoldfastError `INVALID_ARGUMENT` for an empty name
 */
export function indexedDb(name: string, options: IndexedDbOptions = {}): Storage {
  if (typeof name !== "string" || name === "") {
    throw new HoldfastError("INVALID_ARGUMENT", "indexedDb: the name must be a non-empty string.");
  }
  return new SharableStorage(name, options.worker ?? startWorker);
}

class SharableStorage extends IndexedDbStorage {
  readonly openApart: ((options: StorageOpenOptions) => Promise<ApartSession>) | undefined;

  constructor(name: string, makeWorker: () => Worker) {
    super(name, SEGMENT_BYTES_TARGET);
    if (typeof Worker === "undefined") return;
    this.openApart = async (options) => {
      const { openProxied } = await import("./shared-proxy.js");
      return openProxied(name, SEGMENT_BYTES_TARGET, makeWorker, options);
    };
  }
}

/** In the form in which bundlers look for workers. */
function startWorker(): Worker {
  return new Worker(new URL("./indexeddb-worker.js", import.meta.url), { type: "module" });
}
