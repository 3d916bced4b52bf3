/**
 * A database in IndexedDB, as it is opened in one thread: one object store of chunks.
 *
 *     ["meta", "epoch"]             the epoch of the newest owner
 *     ["meta", "flushed"]           written by every flush; its strict commit carries all that was committed before
 *     ["segment", number]           there is such a segment
 *     ["chunk", number, offset]     its bytes from `offset` on; chunks of a segment meet without gaps
 *     ["checkpoint", number]        there is such a checkpoint, whole
 *     ["part", number, offset]      its bytes, or those of one that was never finished: the next owner removes them
 *
 * What it keeps true:
 *  - every writing call is one transaction, so it happens whole or not at all; they run one after another, in call order;
 *  - once an append fails, all behind it fail as well, with the same error, until `truncate`: there is never a gap;
 *  - every writing transaction reads the epoch again and aborts if it is not its own any more, so that an owner that was
 *    overtaken writes nothing, also where there are no Web Locks to keep others out;
 *  - bytes are copied at the call: cloning a view would clone the whole memory behind it, and a shared one is refused.
 */

import { setMany, type UseStore } from "idb-keyval";
import { HoldfastError } from "../errors.js";
import { noSuchFile, openedReadOnly, refuseAborted, sessionClosed, storageFull, storeFailed } from "./failures.js";
import { OwnerLock, onPutAside, persistedHint } from "./shared-owner-lock.js";
import { forget, recall, remember } from "./shared-witness.js";
import type {
  CheckpointWriter,
  SegmentInfo,
  Storage,
  StorageCapabilities,
  StorageOpenOptions,
  StorageSession,
  VanishedInfo,
} from "./storage.js";

const RECORD_BYTES_MAX = 32 * 1024 * 1024 + 64 * 1024;
export const SEGMENT_BYTES_TARGET = 64 * 1024 * 1024;
/** Longer appends are split, so that reading a little does not clone a lot. */
const CHUNK_BYTES_MAX = 256 * 1024;
const BLOCKED_MS_MAX = 5_000;
const EPOCH_MAX = 2 ** 32 - 1;
const DATABASE_VERSION = 1;
const STORE_NAME = "holdfast";
const LOCK_PREFIX = "holdfast:";

const EPOCH_KEY = ["meta", "epoch"];
const FLUSHED_KEY = ["meta", "flushed"];

/** How the keys of a kind of file begin: of its name, and of its bytes. */
type FileKind = "segment" | "checkpoint";
const BYTES_OF = { segment: "chunk", checkpoint: "part" } as const;

const nameKey = (kind: FileKind, number: number): IDBValidKey => [kind, number];
const chunkKey = (kind: FileKind, number: number, offset: number): IDBValidKey => [BYTES_OF[kind], number, offset];

type Durability = "strict" | "relaxed";

const CAPABILITIES = {
  kind: "indexeddb",
  mechanism: "strict transaction",
  persistent: true,
  syncAppend: false,
  syncFlush: false,
  asyncFlush: true,
  durableAppend: true,
  recordBytesMax: RECORD_BYTES_MAX,
} as const;

/**
 * Deletes the database of that name with everything in it; without complaint where there is none. Whoever has it open gives
 * way, and is told that it is locked out.
 * @throws HoldfastError `STORE_FAILED`, also where somebody has it open and does not give way
 */
export async function removeIndexedDb(name: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(inTheWay(name)), BLOCKED_MS_MAX);
    const request = indexedDB.deleteDatabase(name);
    request.onsuccess = () => {
      clearTimeout(timer);
      resolve();
    };
    request.onerror = () => {
      clearTimeout(timer);
      reject(failure(`Cannot remove the IndexedDB database ${name}`, request.error));
    };
  });
  await forget("indexeddb", name);
}

export class IndexedDbStorage implements Storage {
  readonly capabilities: StorageCapabilities;
  readonly #name: string;

  constructor(name: string, segmentBytesTarget: number) {
    this.#name = name;
    this.capabilities = { ...CAPABILITIES, segmentBytesTarget };
  }

  async open(options: StorageOpenOptions): Promise<StorageSession> {
    refuseAborted(options.signal);
    if (typeof globalThis.indexedDB === "undefined") {
      throw new HoldfastError("UNSUPPORTED", "There is no IndexedDB here; use another storage.");
    }
    let lock: OwnerLock | undefined;
    let database: IDBDatabase | undefined;
    try {
      lock = options.readOnly ? undefined : await OwnerLock.acquire(LOCK_PREFIX + this.#name, this.#name);
      refuseAborted(options.signal);
      database = await openDatabase(this.#name, options.readOnly);
      const known = options.readOnly ? 0 : await recall("indexeddb", this.#name);
      const epoch = options.readOnly ? 0 : await takeOver(database, known);
      const fresh = !(await hasFiles(database));
      const vanished = fresh && known > 0 ? { epoch: known } : undefined;
      const persisted = await persistedHint();
      const onFirstFile = (): Promise<void> => remember("indexeddb", this.#name, epoch);
      if (!fresh && !options.readOnly) await onFirstFile();
      const { onLockedOut } = options;
      return new IndexedDbSession({ database, lock, epoch, fresh, persisted, vanished, onFirstFile, onLockedOut });
    } catch (error) {
      database?.close();
      await lock?.release();
      throw failure(`Cannot open the IndexedDB database ${this.#name}`, error);
    }
  }
}

// ---- The platform ----------------------------------------------------------------------------------------------------

function failure(what: string, cause: unknown): HoldfastError {
  if (HoldfastError.is(cause)) return cause;
  const name = typeof cause === "object" && cause !== null && "name" in cause ? cause.name : "";
  return name === "QuotaExceededError" ? storageFull(what, 0, cause) : storeFailed(what, cause);
}

function ignoreErrors(action: () => void): void {
  try {
    action();
  } catch {
    // A transaction that has ended by itself cannot be aborted, and need not be.
  }
}

function result<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function inTheWay(name: string): HoldfastError {
  return storeFailed(`Another connection to the IndexedDB database ${name} is in the way. Close its other tabs`);
}

function openDatabase(name: string, existingOnly: boolean): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(name, DATABASE_VERSION);
    let missing = false;
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      reject(inTheWay(name));
    }, BLOCKED_MS_MAX);
    request.onupgradeneeded = () => {
      missing = existingOnly;
      if (missing) request.transaction?.abort();
      else request.result.createObjectStore(STORE_NAME);
    };
    request.onsuccess = () => {
      clearTimeout(timer);
      if (late) request.result.close();
      else resolve(request.result);
    };
    request.onerror = () => {
      clearTimeout(timer);
      const nothing = new HoldfastError(
        "NOT_FOUND",
        `There is no database ${name}. Open without readOnly to make one.`,
      );
      reject(missing ? nothing : request.error);
    };
  });
}

/**
 * A store in the sense of idb-keyval whose transactions have that durability. What it does settles with its transaction and not
 * before: a request that has succeeded may yet be undone when the commit fails.
 */
function useStore(database: IDBDatabase, durability: Durability, prepare?: (store: IDBObjectStore) => void): UseStore {
  return async (mode, callback) => {
    const transaction = database.transaction(STORE_NAME, mode, { durability });
    // What is aborted because of a request may have no error of its own. Requests that are only aborted with it say nothing.
    let cause: DOMException | null = null;
    transaction.addEventListener("error", ({ target }) => {
      const { error } = target as IDBRequest;
      if (error?.name !== "AbortError") cause ??= error;
    });
    const over = new Promise<void>((resolve, reject) => {
      transaction.addEventListener("complete", () => resolve());
      transaction.addEventListener("abort", () => reject(transaction.error ?? cause));
    });
    // Both end together; the transaction's own error, or that of its request, is the one that says why.
    over.catch(() => {});
    const store = transaction.objectStore(STORE_NAME);
    prepare?.(store);
    let value: Awaited<ReturnType<typeof callback>>;
    try {
      value = await callback(store);
    } catch (error) {
      // What was put before the failure must not be committed without the rest.
      ignoreErrors(() => transaction.abort());
      await over.catch((reason) => {
        if (reason !== null) throw reason;
      });
      throw error;
    }
    // Also of one that only reads: until it has ended it is in the way of others, who may be in another worker that the caller
    // goes on to wait for.
    await over;
    return value;
  };
}

/**
 * Raises the epoch above the last one, and above the one that is known of a database that is gone. What is left over is removed
 * in the same transaction: behind it there may be an owner that came later, with a checkpoint that it has not finished yet.
 */
async function takeOver(database: IDBDatabase, known: number): Promise<number> {
  let epoch = 0;
  await useStore(database, "strict")("readwrite", async (store) => {
    const last: number | undefined = await result(store.get(EPOCH_KEY));
    epoch = Math.max(last ?? 0, known) + 1;
    if (epoch > EPOCH_MAX) throw storeFailed("The database has used up its epochs; export it and import it anew");
    store.put(epoch, EPOCH_KEY);
    await removeUnfinished(store);
  });
  return epoch;
}

function nameRange(kind: FileKind): IDBKeyRange {
  return IDBKeyRange.bound([kind, 0], [kind, Number.POSITIVE_INFINITY]);
}

function chunkRange(kind: FileKind, number: number, from: number, to: number): IDBKeyRange {
  return IDBKeyRange.bound(chunkKey(kind, number, from), chunkKey(kind, number, to));
}

async function hasFiles(database: IDBDatabase): Promise<boolean> {
  return useStore(database, "relaxed")("readonly", async (store) => {
    const segments = await result(store.count(nameRange("segment")));
    return segments > 0 || (await result(store.count(nameRange("checkpoint")))) > 0;
  });
}

/** The numbers of all files of a kind, ascending. */
async function numbersOf(store: IDBObjectStore, kind: FileKind): Promise<number[]> {
  const keys = await result(store.getAllKeys(nameRange(kind)));
  return keys.map((key) => (Array.isArray(key) ? key[1] : undefined)).filter((number) => typeof number === "number");
}

/** Removes what is left of checkpoints that were never finished. */
async function removeUnfinished(store: IDBObjectStore): Promise<void> {
  let from = 0;
  for (const number of [...(await numbersOf(store, "checkpoint")), Number.POSITIVE_INFINITY]) {
    // Between neighbours there is nothing, and a range of nothing is refused.
    if (number > from) store.delete(IDBKeyRange.bound(["part", from], ["part", number], false, true));
    from = number + 1;
  }
}

/** The chunk that begins at or before `offset`, with where it begins. */
async function chunkBefore(
  store: IDBObjectStore,
  kind: FileKind,
  number: number,
  offset: number,
): Promise<{ start: number; bytes: Uint8Array } | undefined> {
  const cursor = await result(store.openCursor(chunkRange(kind, number, 0, offset), "prev"));
  if (cursor === null) return undefined;
  return { start: offsetOf(cursor.key), bytes: bytesOf(cursor.value) };
}

function offsetOf(key: IDBValidKey): number {
  const offset: unknown = Array.isArray(key) ? key[2] : undefined;
  if (typeof offset !== "number") throw storeFailed("The IndexedDB database holds a key that is not Holdfast's");
  return offset;
}

function bytesOf(value: unknown): Uint8Array {
  if (!(value instanceof Uint8Array)) throw storeFailed("The IndexedDB database holds a value that is not Holdfast's");
  return value;
}

function chunksOf(kind: FileKind, number: number, offset: number, bytes: Uint8Array): [IDBValidKey, Uint8Array][] {
  const chunks: [IDBValidKey, Uint8Array][] = [];
  for (let at = 0; at < bytes.byteLength; at += CHUNK_BYTES_MAX) {
    // A slice of its own: a view would bring the bytes of its neighbours with it.
    chunks.push([chunkKey(kind, number, offset + at), bytes.slice(at, at + CHUNK_BYTES_MAX)]);
  }
  return chunks;
}

// ---- The session -----------------------------------------------------------------------------------------------------

interface SessionParts {
  readonly database: IDBDatabase;
  readonly lock: OwnerLock | undefined;
  readonly epoch: number;
  readonly fresh: boolean;
  readonly persisted: boolean | undefined;
  readonly vanished: VanishedInfo | undefined;
  /** Called when the first file comes into being. */
  readonly onFirstFile: () => Promise<void>;
  readonly onLockedOut: ((reason: string) => void) | undefined;
}

class IndexedDbSession implements StorageSession {
  readonly epoch: number;
  readonly fresh: boolean;
  readonly persisted: boolean | undefined;
  readonly vanished: VanishedInfo | undefined;
  readonly #onFirstFile: () => Promise<void>;
  #hasFiles: boolean;
  readonly #database: IDBDatabase;
  readonly #lock: OwnerLock | undefined;
  readonly #onLockedOut: ((reason: string) => void) | undefined;
  readonly #stopListening: () => void;
  /** The last writing call; the next one starts when it is over. */
  #tail: Promise<unknown> = Promise.resolve();
  /** The segment that appends go to, as far as the calls that are over have brought it. */
  #current: { readonly number: number; byteLength: number } | undefined;
  /** What an append failed with, until `truncate` makes good for it. */
  #gap: HoldfastError | undefined;
  /** Why this session must never write again. */
  #lost: HoldfastError | undefined;
  /** What rejects each call that is under way. */
  readonly #underWay = new Set<(error: HoldfastError) => void>();
  /** The chunk that was read last: a reader that goes on in small steps does not clone it again at each. */
  #lastChunk:
    | { readonly kind: FileKind; readonly number: number; readonly start: number; readonly bytes: Uint8Array }
    | undefined;
  #isCheckpointing = false;
  #closing: Promise<void> | undefined;

  constructor(parts: SessionParts) {
    this.epoch = parts.epoch;
    this.fresh = parts.fresh;
    this.persisted = parts.persisted;
    this.vanished = parts.vanished;
    this.#onFirstFile = parts.onFirstFile;
    this.#hasFiles = !parts.fresh;
    this.#database = parts.database;
    this.#lock = parts.lock;
    this.#onLockedOut = parts.onLockedOut;
    parts.database.onversionchange = () => {
      this.#loseOwnership("another tab wants to delete or upgrade the database");
      parts.database.close();
    };
    parts.database.onclose = () => this.#loseOwnership("the browser has closed the database");
    parts.lock?.onLost((reason) => this.#loseOwnership(reason));
    this.#stopListening = onPutAside(() => {
      this.#loseOwnership("the page was put aside");
      void this.close();
    });
  }

  async segments(): Promise<readonly SegmentInfo[]> {
    this.#refuseReading("segments");
    return this.#listed("segment");
  }

  async read(segment: number, offset: number, into: Uint8Array): Promise<number> {
    this.#refuseReading("read");
    return this.#readFrom("segment", segment, offset, into);
  }

  createSegment(number: number, content: Uint8Array): Promise<void> {
    const copied = new Uint8Array(content);
    return this.#enqueue("createSegment", async () => {
      if (!Number.isSafeInteger(number) || number < 0)
        throw storeFailed(`createSegment: ${number} is no segment number`);
      this.#refuseGap();
      let exists = false;
      const prepare = (store: IDBObjectStore): void => {
        store.getKey(nameKey("segment", number)).onsuccess = ({ target }) => {
          exists = (target as IDBRequest<IDBValidKey | undefined>).result !== undefined;
          if (exists) store.transaction.abort();
        };
      };
      try {
        await setMany(
          [[nameKey("segment", number), copied.byteLength], ...chunksOf("segment", number, 0, copied)],
          this.#fenced("strict", prepare),
        );
      } catch (error) {
        if (exists) throw storeFailed(`createSegment: segment ${number} is already there`);
        throw error;
      }
      this.#current = { number, byteLength: copied.byteLength };
      await this.#noteFiles();
    });
  }

  append(bytes: Uint8Array): Promise<void> {
    return this.#append(bytes, "relaxed");
  }

  /** A strict commit of the bytes themselves carries all that was committed before. */
  appendDurably(bytes: Uint8Array): Promise<void> {
    return this.#append(bytes, "strict");
  }

  #append(bytes: Uint8Array, durability: Durability): Promise<void> {
    const copied = new Uint8Array(bytes);
    return this.#enqueue("append", async () => {
      this.#refuseGap();
      const current = this.#segment("append");
      try {
        await setMany(chunksOf("segment", current.number, current.byteLength, copied), this.#fenced(durability));
      } catch (error) {
        this.#gap = failure("append", error);
        throw this.#gap;
      }
      current.byteLength += copied.byteLength;
    });
  }

  flush(): Promise<void> {
    return this.#enqueue("flush", async () => {
      this.#refuseGap();
      await setMany([[FLUSHED_KEY, this.epoch]], this.#fenced("strict"));
    });
  }

  truncate(byteLength: number): Promise<void> {
    return this.#enqueue("truncate", async () => {
      const current = this.#segment("truncate");
      if (!Number.isSafeInteger(byteLength) || byteLength < 0 || byteLength > current.byteLength) {
        throw storeFailed(
          `truncate: segment ${current.number} has ${current.byteLength} bytes and cannot be cut to ${byteLength}`,
        );
      }
      this.#lastChunk = undefined;
      await this.#fenced("strict")("readwrite", async (store) => {
        const last = byteLength === 0 ? undefined : await chunkBefore(store, "segment", current.number, byteLength - 1);
        store.delete(chunkRange("segment", current.number, byteLength, Number.POSITIVE_INFINITY));
        if (last !== undefined && last.start + last.bytes.byteLength > byteLength) {
          store.put(last.bytes.slice(0, byteLength - last.start), chunkKey("segment", current.number, last.start));
        }
      });
      current.byteLength = byteLength;
      this.#gap = undefined;
    });
  }

  removeSegment(number: number): Promise<void> {
    return this.#enqueue("removeSegment", async () => {
      await this.#remove("segment", number);
      if (this.#current?.number === number) this.#current = undefined;
    });
  }

  async checkpoints(): Promise<readonly SegmentInfo[]> {
    this.#refuseReading("checkpoints");
    return this.#listed("checkpoint");
  }

  async readCheckpoint(checkpoint: number, offset: number, into: Uint8Array): Promise<number> {
    this.#refuseReading("readCheckpoint");
    return this.#readFrom("checkpoint", checkpoint, offset, into);
  }

  /** Its pieces go between the appends of the log, each as a transaction of its own. */
  async beginCheckpoint(number: number): Promise<CheckpointWriter> {
    if (this.#isCheckpointing) throw storeFailed("beginCheckpoint: another checkpoint is being written");
    this.#isCheckpointing = true;
    let isOpen = true;
    const end = (): void => {
      if (isOpen) this.#isCheckpointing = false;
      isOpen = false;
    };
    let byteLength = 0;
    const clear = (): Promise<void> =>
      this.#enqueue("beginCheckpoint", async () => {
        const isThere = await this.#reading("Cannot begin a checkpoint", (store) =>
          result(store.getKey(nameKey("checkpoint", number))),
        );
        if (isThere !== undefined) throw storeFailed(`beginCheckpoint: checkpoint ${number} is already there`);
        await this.#fenced("relaxed")("readwrite", (store) => {
          store.delete(chunkRange("checkpoint", number, 0, Number.POSITIVE_INFINITY));
        });
      });
    await clear().catch((error: unknown) => {
      end();
      throw error;
    });
    return {
      write: (bytes) => {
        const chunks = chunksOf("checkpoint", number, byteLength, bytes);
        byteLength += bytes.byteLength;
        return this.#enqueue("Cannot write the checkpoint", () => setMany(chunks, this.#fenced("relaxed")));
      },
      commit: () =>
        this.#enqueue("Cannot finish the checkpoint", async () => {
          await setMany([[nameKey("checkpoint", number), byteLength]], this.#fenced("strict"));
          end();
          await this.#noteFiles();
        }),
      abandon: async () => {
        if (!isOpen) return;
        end();
        await clear().catch(() => {});
      },
    };
  }

  removeCheckpoint(number: number): Promise<void> {
    return this.#enqueue("removeCheckpoint", () => this.#remove("checkpoint", number));
  }

  createSegmentSync(): void {
    throw this.#synchronous("createSegmentSync");
  }

  appendSync(): void {
    throw this.#synchronous("appendSync");
  }

  flushSync(): void {
    throw this.#synchronous("flushSync");
  }

  truncateSync(): void {
    throw this.#synchronous("truncateSync");
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#tail;
    this.#stopListening();
    this.#database.onclose = null;
    this.#database.onversionchange = null;
    this.#database.close();
    await this.#lock?.release();
  }

  /** Has it remembered beside the database that there is something in it. */
  async #noteFiles(): Promise<void> {
    if (this.#hasFiles) return;
    this.#hasFiles = true;
    await this.#onFirstFile();
  }

  /** Runs a writing call when all that were made before it are over. */
  #enqueue(what: string, work: () => Promise<void>): Promise<void> {
    try {
      this.#refuseWriting(what);
    } catch (error) {
      return Promise.reject(error);
    }
    const done = this.#tail.then(async () => {
      try {
        await this.#unlessLost(work);
      } catch (error) {
        throw this.#lost ?? failure(what, error);
      }
    });
    this.#tail = done.catch(() => {});
    return done;
  }

  /** A store whose writing transactions make sure, in the same transaction, that nobody has taken over. */
  #fenced(durability: Durability, prepare?: (store: IDBObjectStore) => void): UseStore {
    return useStore(this.#database, durability, (store) => {
      store.get(EPOCH_KEY).onsuccess = ({ target }) => {
        const { result: stored } = target as IDBRequest<unknown>;
        if (stored === this.epoch) return;
        this.#loseOwnership(`another owner has taken over (epoch ${String(stored)}, this one had ${this.epoch})`);
        store.transaction.abort();
      };
      prepare?.(store);
    });
  }

  #listed(kind: FileKind): Promise<readonly SegmentInfo[]> {
    return this.#reading(`Cannot list the ${kind}s`, async (store) => {
      const found: SegmentInfo[] = [];
      for (const number of await numbersOf(store, kind)) {
        const last = await chunkBefore(store, kind, number, Number.POSITIVE_INFINITY);
        found.push({ number, byteLength: last === undefined ? 0 : last.start + last.bytes.byteLength });
      }
      return found;
    });
  }

  async #readFrom(kind: FileKind, number: number, offset: number, into: Uint8Array): Promise<number> {
    if (this.epoch !== 0) {
      const cached = this.#lastChunk;
      const isCached = cached?.kind === kind && cached.number === number && offset >= cached.start;
      if (isCached && offset < cached.start + cached.bytes.byteLength) {
        return copy(cached.bytes.subarray(offset - cached.start), into);
      }
    }
    return this.#reading(`Cannot read ${kind} ${number}`, async (store) => {
      const first = await chunkBefore(store, kind, number, offset);
      const isThere = (await result(store.getKey(nameKey(kind, number)))) !== undefined;
      if (!isThere) throw noSuchFile(kind, number);
      if (first === undefined || offset >= first.start + first.bytes.byteLength) return 0;
      let done = copy(first.bytes.subarray(offset - first.start), into);
      let last = first;
      if (done < into.byteLength) {
        const rest = await result(store.getAll(chunkRange(kind, number, offset + done, offset + into.byteLength - 1)));
        for (const value of rest) {
          last = { start: offset + done, bytes: bytesOf(value) };
          done += copy(last.bytes, into.subarray(done));
        }
      }
      this.#lastChunk = { kind, number, ...last };
      return done;
    });
  }

  /** In a writing call. */
  async #remove(kind: FileKind, number: number): Promise<void> {
    this.#lastChunk = undefined;
    await this.#fenced("strict")("readwrite", (store) => {
      store.delete(nameKey(kind, number));
      store.delete(chunkRange(kind, number, 0, Number.POSITIVE_INFINITY));
    });
  }

  async #reading<T>(what: string, work: (store: IDBObjectStore) => Promise<T>): Promise<T> {
    try {
      return await this.#unlessLost(() => useStore(this.#database, "relaxed")("readonly", work));
    } catch (error) {
      throw failure(what, error);
    }
  }

  /** Does it, and waits no longer when the database is lost: a browser that closes one may leave its requests unanswered. */
  #unlessLost<T>(work: () => Promise<T>): Promise<T> {
    if (this.#lost !== undefined) return Promise.reject(this.#lost);
    return new Promise<T>((resolve, reject) => {
      this.#underWay.add(reject);
      void work()
        .then(resolve, reject)
        .finally(() => this.#underWay.delete(reject));
    });
  }

  #loseOwnership(reason: string): void {
    if (this.#lost !== undefined) return;
    this.#lost = storeFailed(`The database was lost to this session, because ${reason}; open it again`);
    for (const end of this.#underWay) end(this.#lost);
    this.#underWay.clear();
    this.#onLockedOut?.(reason);
  }

  #segment(what: string): { readonly number: number; byteLength: number } {
    if (this.#current === undefined) throw storeFailed(`${what}: this session has not created a segment yet`);
    return this.#current;
  }

  #refuseGap(): void {
    if (this.#gap !== undefined) throw this.#gap;
  }

  #refuseReading(what: string): void {
    if (this.#closing !== undefined) throw sessionClosed(what);
  }

  #refuseWriting(what: string): void {
    if (this.#closing !== undefined) throw sessionClosed(what);
    if (this.epoch === 0) throw openedReadOnly(what);
    if (this.#lost !== undefined) throw this.#lost;
  }

  #synchronous(what: string): HoldfastError {
    return new HoldfastError("SYNC_COMMIT_UNSUPPORTED", `${what}: IndexedDB only works asynchronously.`);
  }
}

/** Copies as much as fits; returns how much that was. */
function copy(from: Uint8Array, into: Uint8Array): number {
  const part = from.subarray(0, into.byteLength);
  into.set(part);
  return part.byteLength;
}
