/**
 * A storage in the browser's origin private file system: a directory per database, a file per segment and per checkpoint.
 *
 *     in a dedicated worker     synchronous, strict commits included: `opfs-session.ts`
 *     in a page, or shared      through a worker that the adapter starts for itself: `shared-proxy.ts`
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
import { CAPABILITIES, OwnedStorage } from "./opfs-owned.js";
import { encodedName, hasSyncHandles, unsupported } from "./opfs-place.js";
import { openReader } from "./opfs-reader.js";
import { openProxied } from "./shared-proxy.js";
import type { ApartSession, Storage, StorageCapabilities, StorageOpenOptions, StorageSession } from "./storage.js";

export { removeOpfs } from "./opfs-place.js";

const SEGMENT_BYTES_TARGET = 64 * 1024 * 1024;

/** Options of {@link opfs}. */
export interface OpfsOptions {
  /** A segment that has reached this many bytes is closed and a new one begun; 64 MiB if left out. */
  readonly segmentBytesTarget?: number | undefined;
  /**
   * In a page, and with `shared: true`: makes the worker, for bundlers that do not find `new Worker(new URL("./opfs-worker.js", import.meta.url))` in
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
  const { worker = startWorker } = options;
  return hasSyncHandles() ? new WorkerStorage(name, target, worker) : new PageStorage(name, target, worker);
}

class WorkerStorage implements Storage {
  readonly capabilities: StorageCapabilities;
  readonly openApart: ((options: StorageOpenOptions) => Promise<ApartSession>) | undefined;
  readonly #name: string;
  readonly #owned: OwnedStorage;

  constructor(name: string, target: number, makeWorker: () => Worker) {
    this.#name = name;
    this.#owned = new OwnedStorage(name, target);
    this.capabilities = this.#owned.capabilities;
    this.openApart = apart(name, target, makeWorker);
  }

  async open(options: StorageOpenOptions): Promise<StorageSession> {
    refuseAborted(options.signal);
    return options.readOnly ? openReader(this.#name) : this.#owned.open(options);
  }
}

class PageStorage implements Storage {
  readonly capabilities: StorageCapabilities;
  readonly openApart: ((options: StorageOpenOptions) => Promise<ApartSession>) | undefined;
  readonly #name: string;

  constructor(name: string, segmentBytesTarget: number, makeWorker: () => Worker) {
    this.#name = name;
    this.openApart = typeof document === "undefined" ? undefined : apart(name, segmentBytesTarget, makeWorker);
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
    if (this.openApart === undefined) {
      throw unsupported("no synchronous access to its files, which only dedicated workers of some browsers have");
    }
    return this.openApart(options);
  }
}

/** How it is opened in a worker of its own, where one can be started. */
function apart(
  name: string,
  segmentBytesTarget: number,
  makeWorker: () => Worker,
): ((options: StorageOpenOptions) => Promise<ApartSession>) | undefined {
  if (typeof Worker === "undefined") return undefined;
  return (options) => openProxied(name, segmentBytesTarget, makeWorker, options);
}

/** In the form in which bundlers look for workers. */
function startWorker(): Worker {
  return new Worker(new URL("./opfs-worker.js", import.meta.url), { type: "module" });
}
