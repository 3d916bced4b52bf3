/**
 * A session that lives in a worker of its own: because only workers have synchronous access to files, or because several
 * workers share the database and one writes for all.
 *
 * What it keeps true:
 *  - calls are sent when they are made, over a copy of their bytes, and the worker does them in that order;
 *  - whatever ends the worker ends the session: what waits for an answer gets `STORE_FAILED`, and the owner is told;
 *  - a page that is put aside gives everything up at once: the worker is ended, and with it go the lock and the handles;
 *  - `close` returns when the worker has closed its session, so that the next owner finds nothing held.
 */

import { HoldfastError } from "../errors.js";
import { refuseAborted, sessionClosed, storeFailed } from "./failures.js";
import { type Calls, type OpenedInfo, type Response, receivedError } from "./shared-messages.js";
import { onPutAside } from "./shared-owner-lock.js";
import type { ApartSession, CheckpointWriter, SegmentInfo, StorageOpenOptions, VanishedInfo } from "./storage.js";

/**
 * How long the worker may take to close its session. One that has ended without anybody being told never answers; ending it gives
 * up all that it holds as well, and whatever had to be written was written before.
 */
const CLOSE_MS_MAX = 3000;

interface Waiting {
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/** The worker, as something to call. */
class WorkerLink {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #count = 0;
  #ended: HoldfastError | undefined;
  onLost: ((reason: string) => void) | undefined;

  constructor(worker: Worker) {
    this.#worker = worker;
    worker.onmessage = ({ data }: MessageEvent<Response>) => this.#take(data);
    worker.onerror = (event) => {
      event.preventDefault();
      this.#fail(`its worker failed: ${event.message || "its script could not be loaded or run"}`);
    };
    worker.onmessageerror = () => this.#fail("its worker sent something that cannot be read");
  }

  call<K extends keyof Calls>(call: K, ...args: Parameters<Calls[K]>): Promise<ReturnType<Calls[K]>> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    this.#count += 1;
    const id = this.#count;
    const given: readonly unknown[] = args;
    const moved = given.flatMap((arg) => (arg instanceof Uint8Array ? [arg.buffer as ArrayBuffer] : []));
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
      this.#worker.postMessage({ id, call, args }, moved);
    });
  }

  /** Ends the worker; what waits for an answer gets this error. */
  end(error: HoldfastError): void {
    if (this.#ended !== undefined) return;
    this.#ended = error;
    this.#worker.terminate();
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }

  #take(response: Response): void {
    if ("lost" in response) {
      this.onLost?.(response.lost);
      return;
    }
    const waiting = this.#waiting.get(response.id);
    this.#waiting.delete(response.id);
    if ("error" in response) waiting?.reject(receivedError(response.error));
    else waiting?.resolve(response.value);
  }

  #fail(reason: string): void {
    this.end(storeFailed(`The storage is lost, because ${reason}. Open the database again`));
    this.onLost?.(reason);
  }
}

/** Starts a worker, which takes ownership of the database of that name. */
export async function openProxied(
  name: string,
  segmentBytesTarget: number,
  makeWorker: () => Worker,
  options: StorageOpenOptions,
): Promise<ApartSession> {
  let link: WorkerLink;
  try {
    link = new WorkerLink(makeWorker());
  } catch (error) {
    throw storeFailed("The storage's worker could not be started", error);
  }
  try {
    const info = await link.call("open", name, segmentBytesTarget);
    refuseAborted(options.signal);
    return new ProxiedSession(link, info, options.onLockedOut);
  } catch (error) {
    await link.call("close").catch(() => {});
    link.end(sessionClosed("open"));
    throw error;
  }
}

/** A copy that may be moved away: of a view it takes no more than the view, and it is never shared. */
const copyOf = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes);

class ProxiedSession implements ApartSession {
  readonly epoch: number;
  readonly fresh: boolean;
  readonly persisted: boolean | undefined;
  readonly vanished: VanishedInfo | undefined;
  readonly #link: WorkerLink;
  readonly #stopListening: () => void;
  #isCheckpointing = false;
  #closing: Promise<void> | undefined;

  constructor(link: WorkerLink, info: OpenedInfo, onLockedOut: ((reason: string) => void) | undefined) {
    this.epoch = info.epoch;
    this.fresh = info.fresh;
    this.persisted = info.persisted;
    this.vanished = info.vanished;
    this.#link = link;
    let isLost = false;
    const lose = (reason: string): void => {
      if (isLost || this.#closing !== undefined) return;
      isLost = true;
      onLockedOut?.(reason);
    };
    link.onLost = lose;
    this.#stopListening = onPutAside(() => {
      const reason = "the page was put aside";
      lose(reason);
      link.end(storeFailed(`The database was lost to this session, because ${reason}; open it again`));
    });
  }

  segments(): Promise<readonly SegmentInfo[]> {
    return this.#call("segments", "segments");
  }

  async read(segment: number, offset: number, into: Uint8Array): Promise<number> {
    return copied(await this.#call("read", "read", segment, offset, into.byteLength), into);
  }

  createSegment(number: number, content: Uint8Array): Promise<void> {
    return this.#call("createSegment", "createSegment", number, copyOf(content));
  }

  append(bytes: Uint8Array): Promise<void> {
    return this.#call("append", "append", copyOf(bytes));
  }

  appendDurably(bytes: Uint8Array): Promise<void> {
    return this.#call("appendDurably", "appendDurably", copyOf(bytes));
  }

  flush(): Promise<void> {
    return this.#call("flush", "flush");
  }

  truncate(byteLength: number): Promise<void> {
    return this.#call("truncate", "truncate", byteLength);
  }

  removeSegment(number: number): Promise<void> {
    return this.#call("removeSegment", "removeSegment", number);
  }

  checkpoints(): Promise<readonly SegmentInfo[]> {
    return this.#call("checkpoints", "checkpoints");
  }

  async readCheckpoint(checkpoint: number, offset: number, into: Uint8Array): Promise<number> {
    return copied(await this.#call("readCheckpoint", "readCheckpoint", checkpoint, offset, into.byteLength), into);
  }

  async beginCheckpoint(number: number): Promise<CheckpointWriter> {
    if (this.#isCheckpointing) throw storeFailed("beginCheckpoint: another checkpoint is being written");
    this.#isCheckpointing = true;
    let isOpen = true;
    const end = (): void => {
      if (isOpen) this.#isCheckpointing = false;
      isOpen = false;
    };
    try {
      await this.#call("beginCheckpoint", "beginCheckpoint", number);
    } catch (error) {
      end();
      throw error;
    }
    return {
      write: (bytes) => this.#call("write", "writeCheckpoint", copyOf(bytes)),
      commit: async () => {
        await this.#call("commit", "commitCheckpoint");
        end();
      },
      abandon: async () => {
        if (!isOpen) return;
        end();
        await this.#call("abandon", "abandonCheckpoint").catch(() => {});
      },
    };
  }

  removeCheckpoint(number: number): Promise<void> {
    return this.#call("removeCheckpoint", "removeCheckpoint", number);
  }

  ask(what: string, given?: unknown): Promise<unknown> {
    return this.#call(what, "ask", what, given);
  }

  createSegmentSync(): never {
    throw synchronous("createSegmentSync");
  }

  appendSync(): never {
    throw synchronous("appendSync");
  }

  flushSync(): never {
    throw synchronous("flushSync");
  }

  truncateSync(): never {
    throw synchronous("truncateSync");
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#stopListening();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, CLOSE_MS_MAX);
    });
    await Promise.race([this.#link.call("close").catch(() => {}), late]);
    clearTimeout(timer);
    this.#link.end(sessionClosed("The storage"));
  }

  #call<K extends keyof Calls>(what: string, call: K, ...args: Parameters<Calls[K]>): Promise<ReturnType<Calls[K]>> {
    if (this.#closing !== undefined) return Promise.reject(sessionClosed(what));
    return this.#link.call(call, ...args);
  }
}

function copied(from: Uint8Array, into: Uint8Array): number {
  into.set(from);
  return from.byteLength;
}

function synchronous(what: string): HoldfastError {
  return new HoldfastError(
    "SYNC_COMMIT_UNSUPPORTED",
    `${what}: the storage is in another worker and only works asynchronously. In a page, open the database in a dedicated worker for synchronous commits.`,
  );
}
