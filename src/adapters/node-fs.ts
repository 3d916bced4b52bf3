/**
 * One storage over `node:fs` for Node, Deno and Bun: a directory per database, a file per segment.
 *
 *     000000000001.log      a segment; written under its name + ".tmp", synced, renamed, the directory synced
 *     lock.7, *.sock        who owns the directory: `node-fs-lock.ts`
 *     *.tmp                 left over from something that did not finish; the next owner removes it
 *
 * What it keeps true:
 *  - importing it touches nothing of `node:*`: built-in modules are looked up at `open`, so bundlers may see this file;
 *  - bytes go from the caller's view to `write` without a copy, by explicit position, and short writes are continued;
 *  - `flushSync` and `flush` have a descriptor each, opened before the bytes were written, so that neither swallows the
 *    other's error; after a failed sync this session never writes or syncs again;
 *  - only the directory's owner writes, and it looks whether it still is before it makes or removes a segment.
 */

import { HoldfastError } from "../errors.js";
import { noSuchSegment, openedReadOnly, refuseAborted, sessionClosed, storageFull, storeFailed } from "./failures.js";
import { acquireLock, type DirectoryLock } from "./node-fs-lock.js";
import {
  codeOf,
  failure,
  ignoreErrors,
  openDirectory,
  openFile,
  type Platform,
  platform,
  rename,
  syncData,
  syncDataSync,
  syncDirectory,
  TEMPORARY_SUFFIX,
  TRANSFER_BYTES_MAX,
  writeAll,
} from "./node-fs-platform.js";
import type { SegmentInfo, Storage, StorageCapabilities, StorageOpenOptions, StorageSession } from "./storage.js";

const RECORD_BYTES_MAX = 64 * 1024 * 1024;
const SEGMENT_BYTES_TARGET = 64 * 1024 * 1024;
const SEGMENT_DIGITS = 12;
const SEGMENT_NUMBER_MAX = 10 ** SEGMENT_DIGITS - 1;
const SEGMENT_PATTERN = /^(\d{12})\.log$/;
const DIRECTORY_MODE = 0o700;
const FORBIDDEN_CODES = new Set(["EROFS", "EACCES", "EPERM"]);

/** Options of {@link nodeFs}. */
export interface NodeFsOptions {
  /** A segment that has reached this many bytes is closed and a new one begun; 64 MiB if left out. */
  readonly segmentBytesTarget?: number | undefined;
  /**
   * Take the database over although it cannot be proved that its last owner is dead (another machine over a network file
   * system, for instance). Does nothing against an owner that answers. Two owners at once damage the database.
   */
  readonly takeOver?: boolean | undefined;
}

/**
 * A storage in a directory, for Node, Deno and Bun. The directory and its parents are made when it is opened.
 * @param path the directory; relative paths are resolved when the storage is opened
 * @throws HoldfastError `INVALID_ARGUMENT` for an empty path or a target that is not a positive integer
 */
export function nodeFs(path: string, options: NodeFsOptions = {}): Storage {
  if (typeof path !== "string" || path === "" || path.includes("\0")) {
    throw new HoldfastError("INVALID_ARGUMENT", "nodeFs: the path must be a non-empty string without NUL characters.");
  }
  const target = options.segmentBytesTarget ?? SEGMENT_BYTES_TARGET;
  if (!Number.isSafeInteger(target) || target < 1) {
    throw new HoldfastError(
      "INVALID_ARGUMENT",
      `nodeFs: segmentBytesTarget must be a positive integer, not ${target}.`,
    );
  }
  return new FileStorage(path, target, options.takeOver === true);
}

class FileStorage implements Storage {
  readonly capabilities: StorageCapabilities;
  readonly #path: string;
  readonly #takeOver: boolean;

  constructor(path: string, segmentBytesTarget: number, takeOver: boolean) {
    const host = (globalThis as { process?: NodeJS.Process }).process;
    this.capabilities = {
      kind: "files",
      mechanism: host?.platform === "darwin" ? "fsync" : "fdatasync",
      persistent: true,
      syncAppend: true,
      syncFlush: true,
      asyncFlush: true,
      recordBytesMax: RECORD_BYTES_MAX,
      segmentBytesTarget,
    };
    this.#path = path;
    this.#takeOver = takeOver;
  }

  async open(options: StorageOpenOptions): Promise<StorageSession> {
    const node = platform();
    refuseAborted(options.signal);
    if (options.readOnly) return this.#openReadOnly(node);
    const directory = makeDirectory(node, this.#path);
    let lock: DirectoryLock | undefined;
    try {
      lock = await acquireLock(node, directory, { takeOver: this.#takeOver, signal: options.signal });
      return new FileSession(node, directory, lock, options.onLockedOut);
    } catch (error) {
      await lock?.release();
      throw openFailure(directory, error);
    }
  }

  #openReadOnly(node: Platform): StorageSession {
    try {
      return new FileSession(node, existingDirectory(node, this.#path), undefined, undefined);
    } catch (error) {
      if (codeOf(error) !== "ENOENT") throw failure(`Cannot open ${this.#path} read-only`, error);
      throw new HoldfastError(
        "NOT_FOUND",
        `There is no database at ${this.#path}. Open without readOnly to make one.`,
        {
          cause: error,
          details: { path: this.#path },
        },
      );
    }
  }
}

/** Makes the directory with its parents, each entry durable; returns its path with links resolved. */
function makeDirectory(node: Platform, path: string): string {
  const { fs } = node;
  const directory = node.path.resolve(path);
  try {
    for (const missing of missingDirectories(node, directory)) {
      fs.mkdirSync(missing, { mode: DIRECTORY_MODE });
      syncDirectory(node, node.path.dirname(missing));
    }
    return existingDirectory(node, directory);
  } catch (error) {
    if (codeOf(error) === "EEXIST" || codeOf(error) === "ENOTDIR") throw notDirectory(directory, error);
    throw openFailure(directory, error);
  }
}

/**
 * What has to be made of a path, outermost first. One by one, because making a path with its parents in one call never
 * returns where the system says of a parent that it is missing and cannot be made.
 */
function missingDirectories(node: Platform, directory: string): string[] {
  const missing: string[] = [];
  for (let at = directory; !node.fs.existsSync(at) && at !== node.path.dirname(at); at = node.path.dirname(at)) {
    missing.unshift(at);
  }
  return missing;
}

function existingDirectory(node: Platform, path: string): string {
  const directory = node.fs.realpathSync(node.path.resolve(path));
  if (!node.fs.statSync(directory).isDirectory()) throw notDirectory(directory);
  return directory;
}

function notDirectory(path: string, cause?: unknown): HoldfastError {
  return new HoldfastError(
    "STORE_FAILED",
    `${path} is, or leads through, something that is not a directory. Name another.`,
    {
      cause,
      details: { path },
    },
  );
}

/** What the system said at `open`: as {@link failure}, but a directory that must not be written to says how to go on. */
function openFailure(directory: string, cause: unknown): HoldfastError {
  if (HoldfastError.is(cause)) return cause;
  if (FORBIDDEN_CODES.has(codeOf(cause))) {
    return new HoldfastError(
      "READ_ONLY",
      `Cannot write in ${directory} (${codeOf(cause)}). Open with { readOnly: true }, or make the directory writable.`,
      { cause, details: { path: directory } },
    );
  }
  return failure(`Cannot open ${directory}`, cause);
}

/** The segment that appends go to, with a descriptor for each way to sync it. */
interface OpenSegment {
  readonly number: number;
  /** Writes, and `flushSync`. */
  readonly fd: number;
  /** `flush`. */
  readonly flushFd: number;
  byteLength: number;
  syncedBytes: number;
  /** How often it was cut: what was appended after a cut is not what a flush begun before it has covered. */
  cuts: number;
  flushesInFlight: number;
  retired: boolean;
}

class FileSession implements StorageSession {
  readonly epoch: number;
  readonly fresh: boolean;
  readonly persisted = true;
  readonly #node: Platform;
  readonly #directory: string;
  readonly #lock: DirectoryLock | undefined;
  readonly #onLockedOut: ((reason: string) => void) | undefined;
  readonly #directoryFd: number | undefined;
  readonly #pending = new Set<Promise<unknown>>();
  #current: OpenSegment | undefined;
  #reader: { readonly number: number; readonly fd: number } | undefined;
  #flushRunning: Promise<void> | undefined;
  #flushWaiting: Promise<void> | undefined;
  /** The first failure after which nothing that was written can be trusted to become durable. */
  #failed: HoldfastError | undefined;
  #closing: Promise<void> | undefined;

  constructor(
    node: Platform,
    directory: string,
    lock: DirectoryLock | undefined,
    onLockedOut: ((reason: string) => void) | undefined,
  ) {
    this.#node = node;
    this.#directory = directory;
    this.#lock = lock;
    this.#onLockedOut = onLockedOut;
    this.epoch = lock?.epoch ?? 0;
    this.fresh = this.#list().length === 0;
    this.#directoryFd = lock === undefined ? undefined : openDirectory(node, directory);
  }

  async segments(): Promise<readonly SegmentInfo[]> {
    this.#refuseClosed("segments");
    try {
      return this.#list();
    } catch (error) {
      throw failure(`Cannot list ${this.#directory}`, error);
    }
  }

  async read(segment: number, offset: number, into: Uint8Array): Promise<number> {
    this.#refuseClosed("read");
    const { fs } = this.#node;
    const fd = this.#readerOf(segment);
    let done = 0;
    while (done < into.byteLength) {
      let count: number;
      try {
        count = fs.readSync(fd, into, done, Math.min(into.byteLength - done, TRANSFER_BYTES_MAX), offset + done);
      } catch (error) {
        if (codeOf(error) === "EINTR") continue;
        throw storeFailed(`Cannot read segment ${segment} at ${offset + done}`, error);
      }
      if (count === 0) break;
      done += count;
    }
    return done;
  }

  async createSegment(number: number, content: Uint8Array): Promise<void> {
    this.createSegmentSync(number, content);
  }

  createSegmentSync(number: number, content: Uint8Array): void {
    this.#refuseWriting("createSegment");
    if (!Number.isSafeInteger(number) || number < 0 || number > SEGMENT_NUMBER_MAX) {
      throw storeFailed(`createSegment: ${number} is no segment number; they run from 0 to ${SEGMENT_NUMBER_MAX}`);
    }
    if (this.#node.fs.existsSync(this.#pathOf(number))) {
      throw storeFailed(`createSegment: segment ${number} is already there`);
    }
    this.#refuseLockedOut();
    // Once the successor is there nobody syncs the predecessor any more, and a flush answers for both.
    this.#syncCurrent();
    const created = this.#writeSegment(number, content);
    this.#retireCurrent();
    this.#current = created;
  }

  /** Asynchronous appends are atomic: what did not fit whole is cut off again. */
  async append(bytes: Uint8Array): Promise<void> {
    const before = this.#current?.byteLength ?? 0;
    try {
      this.appendSync(bytes);
    } catch (error) {
      if (!HoldfastError.is(error, "STORAGE_FULL") || error.details["appendedBytes"] === 0) throw error;
      this.truncateSync(before);
      throw storageFull("append", 0, error.cause);
    }
  }

  appendSync(bytes: Uint8Array): void {
    this.#refuseWriting("append");
    const current = this.#segment("append");
    try {
      writeAll(this.#node, current.fd, bytes, current.byteLength, "append");
      current.byteLength += bytes.byteLength;
    } catch (error) {
      const appended = HoldfastError.is(error, "STORAGE_FULL") ? error.details["appendedBytes"] : undefined;
      // After any other error nobody knows where the segment ends.
      if (typeof appended !== "number") throw this.#fail("append", error);
      current.byteLength += appended;
      throw error;
    }
  }

  flush(): Promise<void> {
    try {
      this.#refuseWriting("flush");
    } catch (error) {
      return Promise.reject(error);
    }
    // A sync covers what was written before it started; so a call made meanwhile waits for the next one, and all such share it.
    if (this.#flushWaiting !== undefined) return this.#flushWaiting;
    if (this.#flushRunning === undefined) return this.#startFlush();
    const next = (): Promise<void> => {
      this.#flushWaiting = undefined;
      return this.#startFlush();
    };
    this.#flushWaiting = this.#track(this.#flushRunning.then(next, next));
    return this.#flushWaiting;
  }

  flushSync(): void {
    this.#refuseWriting("flushSync");
    this.#syncCurrent();
  }

  async truncate(byteLength: number): Promise<void> {
    this.truncateSync(byteLength);
  }

  truncateSync(byteLength: number): void {
    this.#refuseWriting("truncate");
    const current = this.#segment("truncate");
    if (!Number.isSafeInteger(byteLength) || byteLength < 0 || byteLength > current.byteLength) {
      throw storeFailed(
        `truncate: segment ${current.number} has ${current.byteLength} bytes and cannot be cut to ${byteLength}`,
      );
    }
    try {
      this.#node.fs.ftruncateSync(current.fd, byteLength);
      this.#node.fs.fsyncSync(current.fd);
    } catch (error) {
      throw this.#fail("truncate", error);
    }
    current.byteLength = byteLength;
    current.syncedBytes = byteLength;
    current.cuts += 1;
  }

  async removeSegment(number: number): Promise<void> {
    this.#refuseWriting("removeSegment");
    this.#refuseLockedOut();
    const { fs } = this.#node;
    if (this.#reader?.number === number) this.#closeReader();
    if (this.#current?.number === number) this.#retireCurrent();
    try {
      fs.rmSync(this.#pathOf(number), { force: true });
      const fd = this.#directoryFd;
      if (fd === undefined) return;
      await this.#track(
        new Promise<void>((resolve, reject) => fs.fsync(fd, (error) => (error ? reject(error) : resolve()))),
      );
    } catch (error) {
      throw storeFailed(`Cannot remove segment ${number}`, error);
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    while (this.#pending.size > 0) await Promise.allSettled(this.#pending);
    this.#retireCurrent();
    this.#closeReader();
    const directoryFd = this.#directoryFd;
    if (directoryFd !== undefined) ignoreErrors(() => this.#node.fs.closeSync(directoryFd));
    await this.#lock?.release();
  }

  #pathOf(number: number): string {
    return this.#node.path.join(this.#directory, `${String(number).padStart(SEGMENT_DIGITS, "0")}.log`);
  }

  #list(): SegmentInfo[] {
    const found: SegmentInfo[] = [];
    for (const name of this.#node.fs.readdirSync(this.#directory)) {
      const match = SEGMENT_PATTERN.exec(name);
      if (match === null) continue;
      const stat = this.#node.fs.lstatSync(this.#node.path.join(this.#directory, name), { throwIfNoEntry: false });
      // The owner beside a reader may remove a segment at any time.
      if (stat?.isFile() === true) found.push({ number: Number(match[1]), byteLength: stat.size });
    }
    return found.sort((a, b) => a.number - b.number);
  }

  #readerOf(segment: number): number {
    if (this.#reader?.number === segment) return this.#reader.fd;
    this.#closeReader();
    try {
      const fd = openFile(this.#node, this.#pathOf(segment), "read");
      this.#reader = { number: segment, fd };
      return fd;
    } catch (error) {
      if (codeOf(error) === "ENOENT") throw noSuchSegment(segment);
      throw storeFailed(`Cannot read segment ${segment}`, error);
    }
  }

  #closeReader(): void {
    const reader = this.#reader;
    this.#reader = undefined;
    if (reader !== undefined) ignoreErrors(() => this.#node.fs.closeSync(reader.fd));
  }

  /** Writes a segment under a temporary name and gives it its own only when it is whole and synced. */
  #writeSegment(number: number, content: Uint8Array): OpenSegment {
    const { fs } = this.#node;
    const path = this.#pathOf(number);
    const temporary = path + TEMPORARY_SUFFIX;
    const opened: number[] = [];
    const open = (how: "create" | "write"): number => {
      const fd = openFile(this.#node, temporary, how);
      opened.push(fd);
      return fd;
    };
    let renamed = false;
    try {
      fs.rmSync(temporary, { force: true });
      const fd = open("create");
      const flushFd = open("write");
      writeAll(this.#node, fd, content, 0, `Cannot write segment ${number}`);
      fs.fsyncSync(fd);
      rename(this.#node, temporary, path);
      renamed = true;
      if (this.#directoryFd !== undefined) fs.fsyncSync(this.#directoryFd);
      const byteLength = content.byteLength;
      return { number, fd, flushFd, byteLength, syncedBytes: byteLength, cuts: 0, flushesInFlight: 0, retired: false };
    } catch (error) {
      for (const fd of opened) ignoreErrors(() => fs.closeSync(fd));
      ignoreErrors(() => fs.rmSync(renamed ? path : temporary, { force: true }));
      const what = `Cannot make segment ${number}`;
      throw renamed ? this.#fail(what, error) : failure(what, error);
    }
  }

  #segment(what: string): OpenSegment {
    if (this.#current === undefined) throw storeFailed(`${what}: this session has not created a segment yet`);
    return this.#current;
  }

  #syncCurrent(): void {
    const current = this.#current;
    if (current === undefined || current.syncedBytes >= current.byteLength) return;
    try {
      syncDataSync(this.#node, current.fd);
    } catch (error) {
      throw this.#fail("flush", error);
    }
    current.syncedBytes = current.byteLength;
  }

  #startFlush(): Promise<void> {
    if (this.#failed !== undefined) return Promise.reject(this.#afterFailure("flush", this.#failed));
    const current = this.#current;
    if (current === undefined || current.syncedBytes >= current.byteLength) return Promise.resolve();
    const flush = this.#track(this.#flushSegment(current));
    const done = (): void => {
      if (this.#flushRunning === flush) this.#flushRunning = undefined;
    };
    this.#flushRunning = flush;
    flush.then(done, done);
    return flush;
  }

  async #flushSegment(segment: OpenSegment): Promise<void> {
    const { byteLength: coveredBytes, cuts } = segment;
    segment.flushesInFlight += 1;
    try {
      await syncData(this.#node, segment.flushFd);
    } catch (error) {
      throw this.#fail("flush", error);
    } finally {
      segment.flushesInFlight -= 1;
      if (segment.retired) this.#closeSegment(segment);
    }
    // A sync counts only if none that overlapped it has failed.
    if (this.#failed !== undefined) throw this.#afterFailure("flush", this.#failed);
    if (segment.cuts === cuts) segment.syncedBytes = Math.max(segment.syncedBytes, coveredBytes);
  }

  #retireCurrent(): void {
    const current = this.#current;
    this.#current = undefined;
    if (current === undefined) return;
    current.retired = true;
    this.#closeSegment(current);
  }

  /** A descriptor that a flush is using is closed when that flush ends. */
  #closeSegment(segment: OpenSegment): void {
    if (segment.flushesInFlight > 0) return;
    ignoreErrors(() => this.#node.fs.closeSync(segment.fd));
    ignoreErrors(() => this.#node.fs.closeSync(segment.flushFd));
  }

  #track<T>(work: Promise<T>): Promise<T> {
    const done = (): void => {
      this.#pending.delete(work);
    };
    this.#pending.add(work);
    work.then(done, done);
    return work;
  }

  #fail(what: string, cause: unknown): HoldfastError {
    const error = HoldfastError.is(cause, "STORE_FAILED") ? cause : storeFailed(what, cause);
    this.#failed ??= error;
    return error;
  }

  #afterFailure(what: string, first: HoldfastError): HoldfastError {
    return storeFailed(`${what}: the storage has failed before and is not used again; open the database anew`, first);
  }

  #refuseClosed(what: string): void {
    if (this.#closing !== undefined) throw sessionClosed(what);
  }

  #refuseWriting(what: string): void {
    this.#refuseClosed(what);
    if (this.#lock === undefined) throw openedReadOnly(what);
    if (this.#failed !== undefined) throw this.#afterFailure(what, this.#failed);
  }

  /** Nobody takes over from an owner that lives, but a person may have overridden that. */
  #refuseLockedOut(): void {
    let owned: boolean | undefined;
    try {
      owned = this.#lock?.isStillOwner();
    } catch (error) {
      throw storeFailed(`Cannot look at the lock in ${this.#directory}`, error);
    }
    if (owned !== false) return;
    const error = this.#fail(`${this.#directory} has been taken over by another owner`, undefined);
    this.#onLockedOut?.(error.message);
    throw error;
  }
}
