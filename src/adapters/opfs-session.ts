/**
 * An open database in the origin private file system, in a dedicated worker: segments and checkpoints over synchronous handles.
 *
 * What it keeps true:
 *  - a file is valid only by its header, which is written and flushed after its bytes are flushed (`opfs-files.ts`);
 *  - the session has every file open for itself: the handles are the second fence, behind the Web Lock;
 *  - an asynchronous writing call does its work at the call, like its synchronous twin. Only the making of a segment may
 *    have to wait for a spare file; what is called meanwhile waits behind it, in order, over a copy of its bytes;
 *  - once an asynchronous append fails, all behind it fail with the same error until `truncate`: there is never a gap;
 *  - a file has one handle, so a flush is one call that tells its own caller of its failure; after a failed one nothing is
 *    written or flushed any more.
 */

import { HoldfastError } from "../errors.js";
import { noSuchFile, sessionClosed, storageFull, storeFailed } from "./failures.js";
import {
  DATA_OFFSET,
  encodeHeader,
  type FileHeader,
  type FileKind,
  failure,
  HEADER_BYTES,
  ignoreErrors,
  readAll,
  type SyncHandle,
  writeAll,
} from "./opfs-files.js";
import type { Spare, SparePool } from "./opfs-spares.js";
import type { OwnerLock } from "./shared-owner-lock.js";
import type { CheckpointWriter, SegmentInfo, StorageSession, VanishedInfo } from "./storage.js";

/** A valid file, open. */
export interface StoredFile {
  readonly name: string;
  readonly handle: SyncHandle;
  readonly kind: FileKind;
  readonly number: number;
  byteLength: number;
  syncedBytes: number;
}

export interface SessionParts {
  readonly directory: FileSystemDirectoryHandle;
  /** Holds the epoch, and by being open keeps others out. */
  readonly owner: SyncHandle;
  readonly lock: OwnerLock | undefined;
  readonly epoch: number;
  readonly files: readonly StoredFile[];
  readonly spares: SparePool;
  readonly persisted: boolean | undefined;
  readonly vanished: VanishedInfo | undefined;
  readonly onLockedOut: ((reason: string) => void) | undefined;
  /** Called when the first file comes into being. */
  readonly onFirstFile: () => Promise<void>;
}

/** Where a file of that kind and number is kept in the map. */
const keyOf = (kind: FileKind, number: number): string => `${kind} ${number}`;

export class OpfsSession implements StorageSession {
  readonly epoch: number;
  readonly fresh: boolean;
  readonly persisted: boolean | undefined;
  readonly vanished: VanishedInfo | undefined;
  readonly #parts: SessionParts;
  readonly #spares: SparePool;
  readonly #files = new Map<string, StoredFile>();
  readonly #pending = new Set<Promise<unknown>>();
  #current: StoredFile | undefined;
  #checkpoint: OpfsCheckpoint | undefined;
  /** Whether a checkpoint is being begun or written. */
  #isCheckpointing = false;
  #hasFiles: boolean;
  /** The last call that waits for a spare file, or behind one that does. */
  #turn: Promise<void> | undefined;
  /** What an asynchronous append failed with, until `truncate` makes good for it. */
  #gap: HoldfastError | undefined;
  /** The first failure after which nothing that was written can be trusted to become durable. */
  #failed: HoldfastError | undefined;
  #closing: Promise<void> | undefined;

  constructor(parts: SessionParts) {
    this.#parts = parts;
    this.#spares = parts.spares;
    this.epoch = parts.epoch;
    this.persisted = parts.persisted;
    this.vanished = parts.vanished;
    for (const file of parts.files) this.#files.set(keyOf(file.kind, file.number), file);
    this.#hasFiles = this.#files.size > 0;
    this.fresh = !this.#hasFiles;
    parts.lock?.onLost((reason) => {
      this.#failed ??= storeFailed(`The database was lost to this session, because ${reason}; open it again`);
      parts.onLockedOut?.(reason);
    });
  }

  /** Whether a segment could be made in a synchronous call. */
  get canCreateSync(): boolean {
    return !this.#spares.isEmpty;
  }

  async segments(): Promise<readonly SegmentInfo[]> {
    return this.#listed("segment", "segments");
  }

  async read(segment: number, offset: number, into: Uint8Array): Promise<number> {
    this.#refuseClosed("read");
    return this.#readFrom("segment", segment, offset, into);
  }

  createSegment(number: number, content: Uint8Array): Promise<void> {
    const what = "createSegment";
    return this.#inTurn(what, content, (bytes) => {
      this.#refuseGap();
      const spare = this.#spares.takeNow();
      if (spare !== undefined) return this.#createSegment(spare, number, bytes);
      const copied = new Uint8Array(bytes);
      return this.#takeSpare(what).then((made) => this.#createSegment(made, number, copied));
    });
  }

  createSegmentSync(number: number, content: Uint8Array): void {
    this.#refuseWriting("createSegment");
    this.#refuseOvertaking("createSegment");
    const spare = this.#spares.takeNow();
    if (spare === undefined) {
      throw new HoldfastError(
        "STORAGE_FULL",
        "createSegment: no file is ready for it, because nothing has been awaited for several segments. Nothing has changed: await something, then write again.",
        { details: { appendedBytes: 0 } },
      );
    }
    this.#createSegment(spare, number, content);
  }

  async prepareSegment(): Promise<void> {
    const what = "prepareSegment";
    this.#refuseWriting(what);
    try {
      await this.#track(this.#spares.wait());
    } catch (error) {
      throw failure(what, error);
    }
  }

  append(bytes: Uint8Array): Promise<void> {
    return this.#inTurn("append", bytes, (whole) => {
      this.#refuseGap();
      const { byteLength } = this.#segment("append");
      try {
        this.#append(whole);
      } catch (error) {
        this.#gap = this.#appendedNothing(error, byteLength);
        throw this.#gap;
      }
    });
  }

  appendSync(bytes: Uint8Array): void {
    this.#refuseWriting("append");
    this.#refuseOvertaking("append");
    this.#append(bytes);
  }

  flush(): Promise<void> {
    return this.#inTurn("flush", undefined, () => {
      this.#refuseGap();
      this.#syncCurrent();
    });
  }

  flushSync(): void {
    this.#refuseWriting("flushSync");
    this.#refuseOvertaking("flushSync");
    this.#syncCurrent();
  }

  truncate(byteLength: number): Promise<void> {
    return this.#inTurn("truncate", undefined, () => this.#truncate(byteLength));
  }

  truncateSync(byteLength: number): void {
    this.#refuseWriting("truncate");
    this.#refuseOvertaking("truncate");
    this.#truncate(byteLength);
  }

  /** Makes it invalid in its turn; while the browser takes the file away, others have theirs. */
  removeSegment(number: number): Promise<void> {
    let gone: Promise<void> | undefined;
    const work = (): void => {
      gone = this.#remove("segment", number);
    };
    return this.#inTurn("removeSegment", undefined, work).then(() => gone);
  }

  async checkpoints(): Promise<readonly SegmentInfo[]> {
    return this.#listed("checkpoint", "checkpoints");
  }

  async readCheckpoint(checkpoint: number, offset: number, into: Uint8Array): Promise<number> {
    this.#refuseClosed("readCheckpoint");
    return this.#readFrom("checkpoint", checkpoint, offset, into);
  }

  async beginCheckpoint(number: number): Promise<CheckpointWriter> {
    this.#refuseWriting("beginCheckpoint");
    this.#refuseNumber("checkpoint", number);
    if (this.#isCheckpointing) throw storeFailed("beginCheckpoint: another checkpoint is being written");
    this.#isCheckpointing = true;
    try {
      const spare = await this.#track(this.#takeSpare("Cannot begin a checkpoint"));
      this.#checkpoint = new OpfsCheckpoint(spare, {
        refuse: (what) => this.#refuseWriting(what),
        validate: (byteLength) => this.#validate(spare, { kind: "checkpoint", number, epoch: this.epoch, byteLength }),
        discard: () => this.#discard(spare),
        end: () => {
          this.#isCheckpointing = false;
        },
      });
      return this.#checkpoint;
    } catch (error) {
      this.#isCheckpointing = false;
      throw error;
    }
  }

  async removeCheckpoint(number: number): Promise<void> {
    this.#refuseWriting("removeCheckpoint");
    await this.#remove("checkpoint", number);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#turn;
    while (this.#pending.size > 0) await Promise.allSettled(this.#pending);
    await this.#checkpoint?.abandon();
    while (this.#pending.size > 0) await Promise.allSettled(this.#pending);
    await this.#spares.close();
    for (const { handle } of this.#files.values()) ignoreErrors(() => handle.close());
    ignoreErrors(() => this.#parts.owner.close());
    await this.#parts.lock?.release();
  }

  // ---- What the calls do

  /** Does the work of a writing call: now, or where a call before it waits for a file, behind that one. */
  #inTurn(
    what: string,
    bytes: Uint8Array | undefined,
    work: (bytes: Uint8Array) => void | Promise<void>,
  ): Promise<void> {
    let done: Promise<void> | undefined;
    try {
      this.#refuseWriting(what);
      if (this.#turn === undefined) done = work(bytes ?? NOTHING) ?? undefined;
      else {
        const copied = new Uint8Array(bytes ?? NOTHING);
        done = this.#turn.then(() => {
          if (this.#failed !== undefined) throw this.#afterFailure(what, this.#failed);
          return work(copied);
        });
      }
    } catch (error) {
      return Promise.reject(error);
    }
    if (done === undefined) return Promise.resolve();
    const over = (): void => {
      if (this.#turn === turn) this.#turn = undefined;
    };
    const turn: Promise<void> = done.then(over, over);
    this.#turn = turn;
    return done;
  }

  async #takeSpare(what: string): Promise<Spare> {
    try {
      return await this.#spares.take();
    } catch (error) {
      throw failure(what, error);
    }
  }

  #createSegment(spare: Spare, number: number, content: Uint8Array): void {
    try {
      this.#refuseNumber("segment", number);
      // Once the successor is there nobody flushes the predecessor any more, and a flush answers for both.
      this.#syncCurrent();
    } catch (error) {
      this.#spares.giveBack(spare);
      throw error;
    }
    const what = `Cannot make segment ${number}`;
    try {
      writeAll(spare.handle, content, DATA_OFFSET, what);
      spare.handle.flush();
    } catch (error) {
      this.#discard(spare);
      if (HoldfastError.is(error, "STORAGE_FULL")) throw storageFull(what, 0, error.cause);
      throw failure(what, error);
    }
    const { byteLength } = content;
    this.#current = this.#validate(spare, { kind: "segment", number, epoch: this.epoch, byteLength });
  }

  /** Makes a file whose bytes are flushed valid, durably. */
  #validate(spare: Spare, header: FileHeader): StoredFile {
    const { name, handle } = spare;
    const { kind, number, byteLength } = header;
    const what = `Cannot make ${kind} ${number} valid`;
    try {
      writeAll(handle, encodeHeader(header), 0, what);
      handle.flush();
    } catch (error) {
      // Whether it is valid on the disk nobody knows.
      const failed = this.#fail(what, error);
      this.#discard(spare);
      throw failed;
    }
    const file: StoredFile = { name, handle, kind, number, byteLength, syncedBytes: byteLength };
    this.#files.set(keyOf(kind, number), file);
    if (!this.#hasFiles) void this.#track(this.#parts.onFirstFile());
    this.#hasFiles = true;
    return file;
  }

  #append(bytes: Uint8Array): void {
    const current = this.#segment("append");
    try {
      writeAll(current.handle, bytes, DATA_OFFSET + current.byteLength, "append");
      current.byteLength += bytes.byteLength;
    } catch (error) {
      const appended = HoldfastError.is(error, "STORAGE_FULL") ? error.details["appendedBytes"] : undefined;
      // After any other error nobody knows where the segment ends.
      if (typeof appended !== "number") throw this.#fail("append", error);
      current.byteLength += appended;
      throw error;
    }
  }

  /** Cuts off what a failed append has left, so that it is atomic. Returns what the caller is told. */
  #appendedNothing(error: unknown, byteLength: number): HoldfastError {
    if (!HoldfastError.is(error, "STORAGE_FULL")) return failure("append", error);
    try {
      if (error.details["appendedBytes"] !== 0) this.#truncate(byteLength);
    } catch (cutError) {
      return failure("append", cutError);
    }
    return storageFull("append", 0, error.cause);
  }

  #syncCurrent(): void {
    const current = this.#current;
    if (current === undefined || current.syncedBytes === current.byteLength) return;
    try {
      current.handle.flush();
    } catch (error) {
      throw this.#fail("flush", error);
    }
    current.syncedBytes = current.byteLength;
  }

  #truncate(byteLength: number): void {
    const current = this.#segment("truncate");
    if (!Number.isSafeInteger(byteLength) || byteLength < 0 || byteLength > current.byteLength) {
      throw storeFailed(
        `truncate: segment ${current.number} has ${current.byteLength} bytes and cannot be cut to ${byteLength}`,
      );
    }
    try {
      current.handle.truncate(DATA_OFFSET + byteLength);
      current.handle.flush();
    } catch (error) {
      throw this.#fail("truncate", error);
    }
    current.byteLength = byteLength;
    current.syncedBytes = byteLength;
    this.#gap = undefined;
  }

  /** Makes a file invalid, durably, and then takes it away: should its name come back, it is a left-over. */
  #remove(kind: FileKind, number: number): Promise<void> | undefined {
    const key = keyOf(kind, number);
    const file = this.#files.get(key);
    if (file === undefined) return undefined;
    const what = `Cannot remove ${kind} ${number}`;
    try {
      writeAll(file.handle, new Uint8Array(HEADER_BYTES), 0, what);
      file.handle.flush();
    } catch (error) {
      throw this.#fail(what, error);
    }
    this.#files.delete(key);
    if (this.#current === file) this.#current = undefined;
    return this.#discard(file);
  }

  /** Takes a file away that is not valid. Where that fails it is a left-over, which the next owner takes away. */
  #discard({ name, handle }: Spare): Promise<void> {
    ignoreErrors(() => handle.close());
    return this.#track(this.#parts.directory.removeEntry(name).catch(() => {}));
  }

  #listed(kind: FileKind, what: string): SegmentInfo[] {
    this.#refuseClosed(what);
    return [...this.#files.values()]
      .filter((file) => file.kind === kind)
      .map(({ number, byteLength }) => ({ number, byteLength }))
      .sort((a, b) => a.number - b.number);
  }

  #readFrom(kind: FileKind, number: number, offset: number, into: Uint8Array): number {
    const file = this.#files.get(keyOf(kind, number));
    if (file === undefined) throw noSuchFile(kind, number);
    const left = Math.max(file.byteLength - offset, 0);
    try {
      return readAll(file.handle, into.subarray(0, left), DATA_OFFSET + offset);
    } catch (error) {
      throw storeFailed(`Cannot read ${kind} ${number} at ${offset}`, error);
    }
  }

  #track<T>(work: Promise<T>): Promise<T> {
    const done = (): void => {
      this.#pending.delete(work);
    };
    this.#pending.add(work);
    work.then(done, done);
    return work;
  }

  // ---- What is refused

  #segment(what: string): StoredFile {
    if (this.#current === undefined) throw storeFailed(`${what}: this session has not created a segment yet`);
    return this.#current;
  }

  #refuseGap(): void {
    if (this.#gap !== undefined) throw this.#gap;
  }

  #refuseNumber(kind: FileKind, number: number): void {
    if (!Number.isSafeInteger(number) || number < 0) throw storeFailed(`${number} is no number of a ${kind}`);
    if (this.#files.has(keyOf(kind, number))) throw storeFailed(`${kind} ${number} is already there`);
  }

  #refuseOvertaking(what: string): void {
    if (this.#turn !== undefined) throw storeFailed(`${what}: an asynchronous call before it is not over`);
  }

  #refuseClosed(what: string): void {
    if (this.#closing !== undefined) throw sessionClosed(what);
  }

  #refuseWriting(what: string): void {
    this.#refuseClosed(what);
    if (this.#failed !== undefined) throw this.#afterFailure(what, this.#failed);
  }

  #fail(what: string, cause: unknown): HoldfastError {
    const error = HoldfastError.is(cause, "STORE_FAILED") ? cause : storeFailed(what, cause);
    this.#failed ??= error;
    return error;
  }

  #afterFailure(what: string, first: HoldfastError): HoldfastError {
    return storeFailed(`${what}: the storage has failed before and is not used again; open the database anew`, first);
  }
}

const NOTHING = new Uint8Array(0);

/** What a checkpoint asks of the session that it belongs to. */
interface CheckpointOwner {
  /** Throws where the session must not write any more. */
  refuse(what: string): void;
  validate(byteLength: number): void;
  discard(): Promise<void>;
  end(): void;
}

/** A checkpoint on its way: a spare file without a header. */
class OpfsCheckpoint implements CheckpointWriter {
  readonly #handle: SyncHandle;
  readonly #owner: CheckpointOwner;
  #byteLength = 0;
  #isOpen = true;

  constructor(spare: Spare, owner: CheckpointOwner) {
    this.#handle = spare.handle;
    this.#owner = owner;
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#refuseEnded("write");
    const what = "Cannot write the checkpoint";
    try {
      writeAll(this.#handle, bytes, DATA_OFFSET + this.#byteLength, what);
    } catch (error) {
      throw HoldfastError.is(error, "STORAGE_FULL") ? storageFull(what, 0, error.cause) : error;
    }
    this.#byteLength += bytes.byteLength;
  }

  async commit(): Promise<void> {
    this.#refuseEnded("commit");
    try {
      this.#handle.flush();
    } catch (error) {
      throw failure("Cannot finish the checkpoint", error);
    }
    this.#end();
    this.#owner.validate(this.#byteLength);
  }

  async abandon(): Promise<void> {
    if (!this.#isOpen) return;
    this.#end();
    await this.#owner.discard();
  }

  #end(): void {
    this.#isOpen = false;
    this.#owner.end();
  }

  #refuseEnded(what: string): void {
    this.#owner.refuse(what);
    if (!this.#isOpen) throw sessionClosed(`${what} of a checkpoint`);
  }
}
