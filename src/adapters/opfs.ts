/**
 * A storage in the browser's origin private file system: a directory per database, a file per segment and per checkpoint.
 *
 *     in a dedicated worker     synchronous, strict commits included: `opfs-session.ts`
 *     in a page                 asynchronous, through a worker that the adapter starts for itself: `opfs-proxy.ts`
 *     read-only, in either      by plain files, beside a live owner: `opfs-reader.ts`
 *
 * What it keeps true:
 *  - what it can do is known when it is made, from where the code runs; nothing is touched or started before `open`;
 *  - a file comes into being whole and durable, or is nothing (`opfs-files.ts`); since the browser only makes files
 *    asynchronously, a few empty ones are kept ready (`opfs-spares.ts`). While none is ready the target for the length of a
 *    segment is out of reach, so that a loop that never yields goes on in the segment that it has;
 *  - there is one owner: a Web Lock, and behind it the handle of the owner file (`opfs-storage.ts`).
 *
 * What flush makes durable is the files. The list of their names is the browser's own: a browser that loses that in a power
 * cut loses the database with it, and the next owner finds it gone ({@link StorageSession.vanished}).
 */

import { HoldfastError } from "../errors.js";
import { refuseAborted } from "./failures.js";
import { encodedName, hasSyncHandles, unsupported } from "./opfs-place.js";
import { openProxied } from "./opfs-proxy.js";
import { openReader } from "./opfs-reader.js";
import type { OpfsSession } from "./opfs-session.js";
import { openOwned } from "./opfs-storage.js";
import type { Storage, StorageCapabilities, StorageOpenOptions, StorageSession } from "./storage.js";

export { removeOpfs } from "./opfs-place.js";

const RECORD_BYTES_MAX = 64 * 1024 * 1024;
const SEGMENT_BYTES_TARGET = 64 * 1024 * 1024;

/** Options of {@link opfs}. */
export interface OpfsOptions {
  /** A segment that has reached this many bytes is closed and a new one begun; 64 MiB if left out. */
  readonly segmentBytesTarget?: number | undefined;
  /**
   * In a page: makes the worker, for bundlers that do not find `new Worker(new URL("./opfs-worker.js", import.meta.url))` in
   * a package, or where a content security policy asks for a script of one's own. It has to be a module worker whose script
   * imports `holdfast/adapters/opfs-worker`.
   */
  readonly worker?: (() => Worker) | undefined;
}

/**
 * A storage in the origin private file system, under that name.
 *
 * In a dedicated worker it works synchronously and can be strict in a synchronous call. In a page it works asynchronously.
 * @throws HoldfastError `INVALID_ARGUMENT` for a name that is empty, too long or no well-formed text, or a bad option
 */
export function opfs(name: string, options: OpfsOptions = {}): Storage {
  encodedName(name);
  const target = options.segmentBytesTarget ?? SEGMENT_BYTES_TARGET;
  if (!Number.isSafeInteger(target) || target < 1) {
    throw new HoldfastError("INVALID_ARGUMENT", `opfs: segmentBytesTarget must be a positive integer, not ${target}.`);
  }
  return hasSyncHandles() ? new WorkerStorage(name, target) : new PageStorage(name, target, options.worker);
}

const CAPABILITIES = {
  kind: "opfs",
  mechanism: "flush",
  persistent: true,
  asyncFlush: true,
  recordBytesMax: RECORD_BYTES_MAX,
} as const;

class WorkerStorage implements Storage {
  readonly capabilities: StorageCapabilities;
  readonly #name: string;
  #session: OpfsSession | undefined;

  constructor(name: string, target: number) {
    const isReady = (): boolean => this.#session?.canCreateSync !== false;
    this.#name = name;
    this.capabilities = {
      ...CAPABILITIES,
      syncAppend: true,
      syncFlush: true,
      flushBlocks: true,
      get segmentBytesTarget() {
        return isReady() ? target : Number.MAX_SAFE_INTEGER;
      },
    };
  }

  async open(options: StorageOpenOptions): Promise<StorageSession> {
    refuseAborted(options.signal);
    if (options.readOnly) return openReader(this.#name);
    this.#session = await openOwned(this.#name, options);
    return this.#session;
  }
}

class PageStorage implements Storage {
  readonly capabilities: StorageCapabilities;
  readonly #name: string;
  readonly #makeWorker: (() => Worker) | undefined;

  constructor(name: string, segmentBytesTarget: number, makeWorker: (() => Worker) | undefined) {
    this.#name = name;
    this.#makeWorker = makeWorker;
    this.capabilities = {
      ...CAPABILITIES,
      syncAppend: false,
      syncFlush: false,
      durableAppend: true,
      segmentBytesTarget,
    };
  }

  async open(options: StorageOpenOptions): Promise<StorageSession> {
    refuseAborted(options.signal);
    if (typeof globalThis.navigator?.storage?.getDirectory !== "function") throw unsupported("no such file system");
    if (options.readOnly) return openReader(this.#name);
    if (typeof document === "undefined" || typeof Worker === "undefined") {
      throw unsupported("no synchronous access to its files, which only dedicated workers of some browsers have");
    }
    return openProxied(this.#name, this.#makeWorker ?? startWorker, options);
  }
}

/** In the form in which bundlers look for workers. */
function startWorker(): Worker {
  return new Worker(new URL("./opfs-worker.js", import.meta.url), { type: "module" });
}
