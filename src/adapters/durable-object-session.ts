/**
 * An open database in the tables of a Durable Object.
 *
 * What it keeps true:
 *  - every write is in the object's storage when the call returns, in call order; nothing is queued here;
 *  - what has to be durable awaits `sync()`, which is over when everything written before is on the disk;
 *  - a session that was overtaken, or whose tables are gone, says so once and never writes again.
 */

import { HoldfastError } from "../errors.js";
import { type DurableObjectStorageLike, type FileKind, failure, isGone, type Tables } from "./durable-object-tables.js";
import { openedReadOnly, sessionClosed, storeFailed } from "./failures.js";
import type { CheckpointWriter, SegmentInfo, StorageSession } from "./storage.js";

interface SessionParts {
  readonly storage: DurableObjectStorageLike;
  readonly tables: Tables;
  /** 0 where it only reads. */
  readonly epoch: number;
  readonly onLockedOut: ((reason: string) => void) | undefined;
  /** Lets the next owner in. */
  readonly release: () => void;
}

/** The file that is appended to. */
interface Growing {
  readonly number: number;
  byteLength: number;
}

export class DurableObjectSession implements StorageSession {
  readonly epoch: number;
  readonly fresh: boolean;
  /** The platform takes nothing away that it was not asked to. */
  readonly persisted = true;
  readonly #storage: DurableObjectStorageLike;
  readonly #tables: Tables;
  readonly #onLockedOut: ((reason: string) => void) | undefined;
  readonly #release: () => void;
  /** The segment that was created last. */
  #current: Growing | undefined;
  /** The checkpoint that is being written. */
  #checkpoint: Growing | undefined;
  /** Why this session must never write again. */
  #lost: HoldfastError | undefined;
  #syncing: Promise<void> = Promise.resolve();
  #closing: Promise<void> | undefined;

  constructor({ storage, tables, epoch, onLockedOut, release }: SessionParts) {
    this.#storage = storage;
    this.#tables = tables;
    this.epoch = epoch;
    this.fresh = !tables.hasFiles;
    this.#onLockedOut = onLockedOut;
    this.#release = release;
  }

  async segments(): Promise<readonly SegmentInfo[]> {
    return this.#reading("segments", () => this.#tables.list("segment"));
  }

  async read(segment: number, offset: number, into: Uint8Array): Promise<number> {
    return this.#read("read", "segment", segment, offset, into);
  }

  async createSegment(number: number, content: Uint8Array): Promise<void> {
    this.createSegmentSync(number, content);
    await this.#sync("createSegment");
  }

  createSegmentSync(number: number, content: Uint8Array): void {
    this.#writing("createSegment", () => {
      if (!Number.isSafeInteger(number) || number < 0) throw storeFailed(`createSegment: ${number} is no number`);
      this.#refuseTaken("createSegment", "segment", number);
      // Not before the log was found to be whole: where rows of it are gone, what is left stays as it is.
      if (this.#current === undefined && this.#checkpoint === undefined) this.#tables.removeUnfinished();
      this.#tables.name("segment", number);
      this.#tables.append("segment", number, 0, content);
    });
    this.#current = { number, byteLength: content.byteLength };
  }

  async append(bytes: Uint8Array): Promise<void> {
    this.appendSync(bytes);
  }

  appendSync(bytes: Uint8Array): void {
    this.#grow("append", "segment", () => this.#segment("append"), bytes);
  }

  async flush(): Promise<void> {
    this.#refuseWriting("flush");
    await this.#sync("flush");
  }

  flushSync(): void {
    throw new HoldfastError(
      "SYNC_COMMIT_UNSUPPORTED",
      "flushSync: the storage of a Durable Object syncs asynchronously only. Use await db.flush().",
    );
  }

  async truncate(byteLength: number): Promise<void> {
    this.truncateSync(byteLength);
    await this.#sync("truncate");
  }

  truncateSync(byteLength: number): void {
    this.#writing("truncate", () => {
      const { number, byteLength: there } = this.#segment("truncate");
      if (!Number.isSafeInteger(byteLength) || byteLength < 0 || byteLength > there) {
        throw storeFailed(`truncate: segment ${number} has ${there} bytes and cannot be cut to ${byteLength}`);
      }
      this.#tables.cut("segment", number, byteLength);
    });
    this.#segment("truncate").byteLength = byteLength;
  }

  async removeSegment(number: number): Promise<void> {
    await this.#remove("removeSegment", "segment", number);
    if (this.#current?.number === number) this.#current = undefined;
  }

  async checkpoints(): Promise<readonly SegmentInfo[]> {
    return this.#reading("checkpoints", () => this.#tables.list("checkpoint"));
  }

  async readCheckpoint(checkpoint: number, offset: number, into: Uint8Array): Promise<number> {
    return this.#read("readCheckpoint", "checkpoint", checkpoint, offset, into);
  }

  /** Its pieces are rows from the start; the row that names it makes a checkpoint of them. */
  async beginCheckpoint(number: number): Promise<CheckpointWriter> {
    const what = "beginCheckpoint";
    if (this.#checkpoint !== undefined) throw storeFailed(`${what}: another checkpoint is being written`);
    this.#writing(what, () => {
      this.#refuseTaken(what, "checkpoint", number);
      this.#tables.removeUnfinished();
    });
    const growing: Growing = { number, byteLength: 0 };
    this.#checkpoint = growing;
    const mine = (): Growing => {
      if (this.#checkpoint !== growing) throw storeFailed("The checkpoint is not being written any more");
      return growing;
    };
    return {
      write: async (bytes) => this.#grow("Cannot write the checkpoint", "checkpoint", mine, bytes),
      commit: async () => {
        const finish = "Cannot finish the checkpoint";
        this.#writing(finish, () => this.#tables.name("checkpoint", mine().number));
        this.#checkpoint = undefined;
        await this.#sync(finish);
      },
      abandon: async () => {
        if (this.#checkpoint === growing) this.#abandonCheckpoint();
      },
    };
  }

  async removeCheckpoint(number: number): Promise<void> {
    await this.#remove("removeCheckpoint", "checkpoint", number);
  }

  close(): Promise<void> {
    if (this.#closing === undefined) {
      this.#abandonCheckpoint();
      this.#closing = this.#syncing.then(this.#release);
    }
    return this.#closing;
  }

  /** What stays of it where that fails is removed by the next owner. */
  #abandonCheckpoint(): void {
    const abandoned = this.#checkpoint;
    this.#checkpoint = undefined;
    if (abandoned === undefined) return;
    try {
      this.#writing("abandon", () => {
        this.#tables.remove("checkpoint", abandoned.number);
      });
    } catch {
      // Whatever it was, the next writing call meets it too, and says so.
    }
  }

  #grow(what: string, kind: FileKind, of: () => Growing, bytes: Uint8Array): void {
    this.#writing(what, () => {
      const { number, byteLength } = of();
      this.#tables.append(kind, number, byteLength, bytes);
    });
    of().byteLength += bytes.byteLength;
  }

  async #remove(what: string, kind: FileKind, number: number): Promise<void> {
    this.#writing(what, () => this.#tables.remove(kind, number));
    await this.#sync(what);
  }

  #writing(what: string, work: () => void): void {
    this.#refuseWriting(what);
    let isOwner: boolean;
    try {
      isOwner = this.#tables.write(this.epoch, work);
    } catch (error) {
      throw isGone(error) ? this.#loseOwnership("the object's storage was deleted") : failure(what, error);
    }
    if (!isOwner) throw this.#loseOwnership("another owner has taken over");
  }

  #reading<T>(what: string, work: () => T): T {
    if (this.#closing !== undefined) throw sessionClosed(what);
    try {
      return work();
    } catch (error) {
      throw failure(what, error);
    }
  }

  #read(what: string, kind: FileKind, number: number, offset: number, into: Uint8Array): number {
    return this.#reading(what, () => this.#tables.read(kind, number, offset, into));
  }

  #sync(what: string): Promise<void> {
    const synced = this.#storage.sync().catch((error: unknown) => {
      throw storeFailed(`${what}: the object's storage could not be synced`, error);
    });
    this.#syncing = Promise.all([this.#syncing, synced]).then(
      () => {},
      () => {},
    );
    return synced;
  }

  #segment(what: string): Growing {
    if (this.#current === undefined) throw storeFailed(`${what}: this session has not created a segment yet`);
    return this.#current;
  }

  #refuseTaken(what: string, kind: FileKind, number: number): void {
    if (this.#tables.has(kind, number)) throw storeFailed(`${what}: ${kind} ${number} is already there`);
  }

  #refuseWriting(what: string): void {
    if (this.#closing !== undefined) throw sessionClosed(what);
    if (this.epoch === 0) throw openedReadOnly(what);
    if (this.#lost !== undefined) throw this.#lost;
  }

  #loseOwnership(reason: string): HoldfastError {
    if (this.#lost === undefined) {
      this.#lost = storeFailed(`The database was lost to this session, because ${reason}; open it again`);
      this.#onLockedOut?.(reason);
    }
    return this.#lost;
  }
}
