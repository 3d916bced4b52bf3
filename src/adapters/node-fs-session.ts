/**
 * An open directory: how the bytes of segments come to the disk, and what happens when they do not.
 *
 * What it keeps true:
 *  - bytes go from the caller's view to `write` without a copy, by explicit position, and short writes are continued;
 *  - `flushSync` and `flush` have a descriptor each, opened before the bytes were written, so that neither swallows the
 *    other's error; after a failed sync this session never writes or syncs again;
 *  - only the directory's owner writes, and it looks whether it still is before it makes or removes a file.
 */

import { HoldfastError } from "../errors.js";
import { noSuchFile, openedReadOnly, sessionClosed, storageFull, storeFailed } from "./failures.js";
import { FileCheckpoint } from "./node-fs-checkpoint.js";
import {
  codeOf,
  failure,
  INTERRUPTIONS_MAX,
  ignoreErrors,
  openDirectory,
  openFile,
  type Platform,
  rename,
  syncData,
  syncDataSync,
  syncFile,
  TEMPORARY_SUFFIX,
  TRANSFER_BYTES_MAX,
  writeAll,
} from "./node-fs-platform.js";
import type { CheckpointWriter, JoinTicket, SegmentInfo, StorageSession } from "./storage.js";

type FileKind = "segment" | "checkpoint";

const SUFFIX: Readonly<Record<FileKind, string>> = { segment: "log", checkpoint: "ckp" };
const NUMBER_DIGITS = 12;
const NUMBER_MAX = 10 ** NUMBER_DIGITS - 1;
const FILE_PATTERN = /^(\d{12})\.(log|ckp)$/;

/** That a directory is owned. */
export interface Ownership {
  readonly epoch: number;
  /** Set where it is another worker's: that may die while this one goes on to write, and somebody else take over. */
  readonly isAnothers?: boolean;
  /** Whether nobody has taken it over meanwhile. */
  isStillOwner(): boolean;
  release(): Promise<void>;
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

export class FileSession implements StorageSession {
  readonly epoch: number;
  readonly fresh: boolean;
  readonly ticket: JoinTicket | undefined;
  readonly persisted = true;
  readonly #node: Platform;
  readonly #directory: string;
  readonly #lock: Ownership | undefined;
  readonly #onLockedOut: ((reason: string) => void) | undefined;
  readonly #directoryFd: number | undefined;
  readonly #pending = new Set<Promise<unknown>>();
  #current: OpenSegment | undefined;
  #reader: { readonly path: string; readonly fd: number } | undefined;
  #checkpoint: FileCheckpoint | undefined;
  #flushRunning: Promise<void> | undefined;
  #flushWaiting: Promise<void> | undefined;
  /** The sync of the directory that has not begun yet. */
  #removalSync: Promise<void> | undefined;
  /** The first failure after which nothing that was written can be trusted to become durable. */
  #failed: HoldfastError | undefined;
  #closing: Promise<void> | undefined;

  constructor(
    node: Platform,
    directory: string,
    lock: Ownership | undefined,
    onLockedOut: ((reason: string) => void) | undefined,
    segmentBytesTarget: number,
  ) {
    this.#node = node;
    this.#directory = directory;
    this.#lock = lock;
    this.#onLockedOut = onLockedOut;
    this.epoch = lock?.epoch ?? 0;
    this.ticket =
      lock === undefined ? undefined : { kind: "files", path: directory, epoch: lock.epoch, segmentBytesTarget };
    this.fresh = this.#list("segment").length === 0 && this.#list("checkpoint").length === 0;
    this.#directoryFd = lock === undefined ? undefined : openDirectory(node, directory);
  }

  async segments(): Promise<readonly SegmentInfo[]> {
    this.#refuseClosed("segments");
    return this.#listed("segment");
  }

  async read(segment: number, offset: number, into: Uint8Array): Promise<number> {
    this.#refuseClosed("read");
    return this.#readFrom("segment", segment, offset, into);
  }

  async createSegment(number: number, content: Uint8Array): Promise<void> {
    this.createSegmentSync(number, content);
  }

  createSegmentSync(number: number, content: Uint8Array): void {
    this.#refuseWriting("createSegment");
    this.#refuseNumber("segment", number);
    this.#refuseLockedOut();
    // Once the successor is there nobody syncs the predecessor any more, and a flush answers for both.
    this.#syncCurrent();
    const created = this.#writeSegment(number, content);
    this.#retireCurrent();
    this.#current = created;
  }

  joinSegmentSync(number: number, byteLength: number): void {
    this.#refuseWriting("joinSegment");
    if (this.#current?.number === number) {
      if (byteLength < this.#current.byteLength) this.#current.cuts += 1;
      this.#current.byteLength = byteLength;
      this.#current.syncedBytes = Math.min(this.#current.syncedBytes, byteLength);
      return;
    }
    this.#retireCurrent();
    const path = this.#pathOf("segment", number);
    const opened: number[] = [];
    try {
      opened.push(openFile(this.#node, path, "write"));
      opened.push(openFile(this.#node, path, "write"));
    } catch (error) {
      for (const fd of opened) ignoreErrors(() => this.#node.fs.closeSync(fd));
      throw this.#fail(`Cannot go on in segment ${number}`, error);
    }
    const [fd, flushFd] = opened as [number, number];
    this.#current = { number, fd, flushFd, byteLength, syncedBytes: 0, cuts: 0, flushesInFlight: 0, retired: false };
  }

  adoptSegmentSync(number: number): boolean {
    this.#refuseWriting("adoptSegment");
    const found = this.#list("segment").find((segment) => segment.number === number);
    if (found === undefined) return false;
    this.joinSegmentSync(number, found.byteLength);
    // It is whole under its name; that the name stays may not have been seen to.
    try {
      if (this.#directoryFd !== undefined) this.#node.fs.fsyncSync(this.#directoryFd);
    } catch (error) {
      throw this.#fail(`Cannot go on in segment ${number}`, error);
    }
    return true;
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
    this.#refuseOvertaken();
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
    this.#refuseOvertaken();
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
    if (this.#current?.number === number) this.#retireCurrent();
    await this.#remove("segment", number);
  }

  async checkpoints(): Promise<readonly SegmentInfo[]> {
    this.#refuseClosed("checkpoints");
    return this.#listed("checkpoint");
  }

  async readCheckpoint(checkpoint: number, offset: number, into: Uint8Array): Promise<number> {
    this.#refuseClosed("readCheckpoint");
    return this.#readFrom("checkpoint", checkpoint, offset, into);
  }

  async beginCheckpoint(number: number): Promise<CheckpointWriter> {
    this.#refuseWriting("beginCheckpoint");
    this.#refuseNumber("checkpoint", number);
    this.#refuseLockedOut();
    if (this.#checkpoint?.isOpen === true) throw storeFailed("beginCheckpoint: another checkpoint is being written");
    this.#checkpoint = new FileCheckpoint(this.#node, this.#pathOf("checkpoint", number), this.#directoryFd, {
      refuse: (what) => {
        this.#refuseWriting(what);
        this.#refuseLockedOut();
      },
      track: (work) => this.#track(work),
      fail: (what, cause) => this.#fail(what, cause),
    });
    return this.#checkpoint;
  }

  async removeCheckpoint(number: number): Promise<void> {
    this.#refuseWriting("removeCheckpoint");
    this.#refuseLockedOut();
    await this.#remove("checkpoint", number);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    while (this.#pending.size > 0) await Promise.allSettled(this.#pending);
    await this.#checkpoint?.abandon();
    this.#retireCurrent();
    this.#closeReader();
    const directoryFd = this.#directoryFd;
    if (directoryFd !== undefined) ignoreErrors(() => this.#node.fs.closeSync(directoryFd));
    await this.#lock?.release();
  }

  #pathOf(kind: FileKind, number: number): string {
    return this.#node.path.join(this.#directory, `${String(number).padStart(NUMBER_DIGITS, "0")}.${SUFFIX[kind]}`);
  }

  #list(kind: FileKind): SegmentInfo[] {
    const found: SegmentInfo[] = [];
    for (const name of this.#node.fs.readdirSync(this.#directory)) {
      const match = FILE_PATTERN.exec(name);
      if (match === null || match[2] !== SUFFIX[kind]) continue;
      const stat = this.#node.fs.lstatSync(this.#node.path.join(this.#directory, name), { throwIfNoEntry: false });
      // The owner beside a reader may remove a file at any time.
      if (stat?.isFile() === true) found.push({ number: Number(match[1]), byteLength: stat.size });
    }
    return found.sort((a, b) => a.number - b.number);
  }

  #listed(kind: FileKind): SegmentInfo[] {
    try {
      return this.#list(kind);
    } catch (error) {
      throw failure(`Cannot list ${this.#directory}`, error);
    }
  }

  #readFrom(kind: FileKind, number: number, offset: number, into: Uint8Array): number {
    const { fs } = this.#node;
    const fd = this.#readerOf(kind, number);
    let done = 0;
    let interruptions = 0;
    while (done < into.byteLength) {
      let count: number;
      try {
        count = fs.readSync(fd, into, done, Math.min(into.byteLength - done, TRANSFER_BYTES_MAX), offset + done);
      } catch (error) {
        if (codeOf(error) === "EINTR" && interruptions++ < INTERRUPTIONS_MAX) continue;
        // What stands before a bad sector can be read all the same; the next call begins at that one, and says so.
        if (done > 0) break;
        throw storeFailed(`Cannot read ${kind} ${number} at ${offset + done}`, error);
      }
      if (count === 0) break;
      done += count;
      interruptions = 0;
    }
    return done;
  }

  #readerOf(kind: FileKind, number: number): number {
    const path = this.#pathOf(kind, number);
    if (this.#reader?.path === path) return this.#reader.fd;
    this.#closeReader();
    try {
      const fd = openFile(this.#node, path, "read");
      this.#reader = { path, fd };
      return fd;
    } catch (error) {
      if (codeOf(error) === "ENOENT") throw noSuchFile(kind, number);
      throw storeFailed(`Cannot read ${kind} ${number}`, error);
    }
  }

  #closeReader(): void {
    const reader = this.#reader;
    this.#reader = undefined;
    if (reader !== undefined) ignoreErrors(() => this.#node.fs.closeSync(reader.fd));
  }

  /** Removes a file and makes that durable; those that are removed in one turn share a sync. */
  async #remove(kind: FileKind, number: number): Promise<void> {
    const path = this.#pathOf(kind, number);
    if (this.#reader?.path === path) this.#closeReader();
    try {
      this.#node.fs.rmSync(path, { force: true });
      this.#removalSync ??= this.#track(this.#syncRemovals());
      await this.#removalSync;
    } catch (error) {
      throw storeFailed(`Cannot remove ${kind} ${number}`, error);
    }
  }

  /** Covers what is removed before it begins, which is once the turn is over. */
  async #syncRemovals(): Promise<void> {
    await undefined;
    this.#removalSync = undefined;
    if (this.#directoryFd !== undefined) await syncFile(this.#node, this.#directoryFd);
  }

  /** Writes a segment under a temporary name and gives it its own only when it is whole and synced. */
  #writeSegment(number: number, content: Uint8Array): OpenSegment {
    const { fs } = this.#node;
    const path = this.#pathOf("segment", number);
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
      // What a successor says of its predecessor's end must be true: with one that may be there nothing is appended any more.
      const mayBeThere = renamed || this.#mayBeThere(path);
      ignoreErrors(() => fs.rmSync(mayBeThere ? path : temporary, { force: true }));
      const what = `Cannot make segment ${number}`;
      throw mayBeThere ? this.#fail(what, error) : failure(what, error);
    }
  }

  /** A rename may have happened although the system says that it failed. */
  #mayBeThere(path: string): boolean {
    try {
      return this.#node.fs.lstatSync(path, { throwIfNoEntry: false }) !== undefined;
    } catch {
      return true;
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
    this.#refuseOvertaken();
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

  #refuseNumber(kind: FileKind, number: number): void {
    if (!Number.isSafeInteger(number) || number < 0 || number > NUMBER_MAX) {
      throw storeFailed(`${number} is no number of a ${kind}; they run from 0 to ${NUMBER_MAX}`);
    }
    if (this.#node.fs.existsSync(this.#pathOf(kind, number))) {
      throw storeFailed(`Cannot make ${kind} ${number}, because it is already there`);
    }
  }

  /**
   * Whoever takes over makes its lock before it reads the log: while there is none, what was written until now will be read.
   */
  #refuseOvertaken(): void {
    if (this.#lock?.isAnothers === true) this.#refuseLockedOut();
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
