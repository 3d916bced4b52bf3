/**
 * An open database on a subject of JetStream.
 *
 * What it keeps true:
 *  - a writing call is over when the replicas have acknowledged it; they run one after another, in call order;
 *  - once an append fails, all behind it fail as well, with the same error, until `truncate`;
 *  - nothing is taken away from the subject or the object store before it stands in the log that it is not needed any more: whoever
 *    reads the log, an owner who was overtaken in the middle included, finds all that it speaks of.
 */
import { HoldfastError } from "../errors.js";
import { noSuchFile, openedReadOnly, sessionClosed, storeFailed } from "./failures.js";
import type { CheckpointObjects, GrowingObject } from "./nats-checkpoints.js";
import { type CheckpointFile, Fold, type LogFile } from "./nats-fold.js";
import { decodeFrame, OPERATIONS, type Operation } from "./nats-frames.js";
import type { Lease } from "./nats-lease.js";
import { failure, Overtaken, type Subject } from "./nats-subject.js";
import type { CheckpointWriter, SegmentInfo, StorageOpenOptions, StorageSession } from "./storage.js";

export interface NatsSessionParts {
  readonly subject: Subject;
  readonly objects: CheckpointObjects;
  /** What was there. */
  readonly fold: Fold;
  /** 0 where it only reads. */
  readonly epoch: number;
  readonly lease: Lease | undefined;
  /** How the names of its objects begin. */
  readonly prefix: string;
  readonly onLockedOut: StorageOpenOptions["onLockedOut"];
}

const encoder = new TextEncoder();
const NOTHING = new Uint8Array(0);
/** How many bytes of segments are kept once they were read, so that the subject need not be read twice; with the last of them more. */
const KEPT_BYTES_MAX = 64 * 1024 * 1024;
/** How often a subject is read again because its owner has taken something away meanwhile. */
const READS_MAX = 10;

export class NatsSession implements StorageSession {
  readonly epoch: number;
  readonly fresh: boolean;
  /** Servers take nothing away that they were not asked to: the stream refuses what does not fit. */
  readonly persisted = true;
  readonly #subject: Subject;
  readonly #objects: CheckpointObjects;
  #fold: Fold;
  readonly #lease: Lease | undefined;
  readonly #prefix: string;
  readonly #onLockedOut: StorageOpenOptions["onLockedOut"];
  /** The last writing call; the next one starts when it is over. */
  #tail: Promise<unknown> = Promise.resolve();
  /** The segment that was created last. */
  #current: LogFile | undefined;
  /** What an append failed with, until `truncate` makes good for it. */
  #gap: HoldfastError | undefined;
  /** Why this session must never write again. */
  #lost: HoldfastError | undefined;
  #isCheckpointing = false;
  #checkpoints = 0;
  #closing: Promise<void> | undefined;

  constructor({ subject, objects, fold, epoch, lease, prefix, onLockedOut }: NatsSessionParts) {
    this.epoch = epoch;
    this.#subject = subject;
    this.#objects = objects;
    this.#fold = fold;
    this.#lease = lease;
    this.#prefix = prefix;
    this.#onLockedOut = onLockedOut;
    this.fresh = fold.segments.size === 0 && ![...fold.checkpoints.values()].some(({ state }) => state === "there");
    if (lease !== undefined) lease.onLost = (reason) => this.#loseOwnership(reason);
  }

  // Segments.

  async segments(): Promise<readonly SegmentInfo[]> {
    this.#refuseClosed("segments");
    await this.#catchUp();
    return inOrder(this.#fold.segments.values());
  }

  async read(segment: number, offset: number, into: Uint8Array): Promise<number> {
    this.#refuseClosed("read");
    if (offset + into.byteLength > (this.#fold.segments.get(segment)?.byteLength ?? 0)) await this.#catchUp();
    let bytes: Uint8Array;
    try {
      bytes = await this.#bytesOf(segment);
    } catch (error) {
      if (this.epoch > 0 || !HoldfastError.is(error, "CORRUPTION")) throw error;
      // Its owner may have removed it meanwhile.
      await this.#catchUp();
      bytes = await this.#bytesOf(segment);
    }
    const part = bytes.subarray(offset, offset + into.byteLength);
    into.set(part);
    return part.byteLength;
  }

  /** Where it only reads, what its owner has written meanwhile is looked for. */
  #catchUp(): Promise<void> {
    if (this.epoch > 0) return Promise.resolve();
    const done = this.#tail.then(() => this.#readOn());
    this.#tail = done.catch(() => {});
    return done;
  }

  async #readOn(): Promise<void> {
    try {
      this.#fold = await readOn(this.#subject, this.#fold, 0);
    } catch (error) {
      throw failure("Cannot look for what is new", error);
    }
  }

  /** All bytes of a segment; where they were not kept they are fetched, and those of others let go. */
  async #bytesOf(segment: number): Promise<Uint8Array> {
    const file = this.#fold.segment(segment);
    if (file === undefined) throw noSuchFile("segment", segment);
    const parts = file.parts ?? (await this.#fetch(file));
    if (parts.length === 1) return parts[0] as Uint8Array;
    const bytes = joined(parts);
    // Unless something was appended meanwhile.
    if (file.parts === parts) file.parts = [bytes];
    return bytes;
  }

  /**
   * Fetches the bytes of a segment, and of those behind it as far as there is room: who reads one reads on, and each costs a question.
   * @throws HoldfastError `CORRUPTION` where something of it is missing; `STORE_FAILED` where it is not there any more
   */
  async #fetch(file: LogFile): Promise<Uint8Array[]> {
    this.#letGo();
    const wanted = new Map<number, number>();
    let last = 0;
    let bytes = 0;
    for (const { number, byteLength } of inOrder(this.#fold.segments.values())) {
      if (number < file.number || bytes >= KEPT_BYTES_MAX) continue;
      wanted.set(number, byteLength);
      last = Math.max(last, this.#fold.segments.get(number)?.last ?? 0);
      bytes += byteLength;
    }
    const span: Span = { from: file.first, to: last, keepsBytes: (number) => wanted.has(number) };
    let again: Fold;
    try {
      again = await readShown(this.#subject, span);
      const isAsKnown = again.segments.get(file.number)?.byteLength === wanted.get(file.number);
      if (!(isAsKnown && (await holds(this.#subject, again)))) again = await readAgreed(this.#subject, span);
    } catch (error) {
      throw failure("read", error);
    }
    const parts = again.segment(file.number)?.parts;
    if (parts === undefined) throw noSuchFile("segment", file.number);
    for (const [number, byteLength] of wanted) {
      const [known, found] = [this.#fold.segments.get(number), again.segments.get(number)];
      if (known === undefined || found?.damagedAt !== undefined || found?.byteLength !== byteLength) continue;
      // What was appended meanwhile is not among them.
      if (known.byteLength === byteLength) known.parts ??= found.parts;
    }
    return parts;
  }

  #letGo(): void {
    for (const file of this.#fold.segments.values()) file.parts = undefined;
  }

  createSegment(number: number, content: Uint8Array): Promise<void> {
    const copied = content.slice();
    return this.#enqueue("createSegment", async () => {
      if (!Number.isSafeInteger(number) || number < 0) {
        throw storeFailed(`createSegment: ${number} is no segment number`);
      }
      this.#refuseGap();
      const { segments } = this.#fold;
      if (segments.has(number)) throw storeFailed(`createSegment: segment ${number} is already there`);
      this.#letGo();
      const { first, last } = await this.#write(OPERATIONS.create, number, 0, copied);
      const byteLength = copied.byteLength;
      this.#current = { number, first, last, byteLength, parts: undefined, damagedAt: undefined };
      segments.set(number, this.#current);
    });
  }

  append(bytes: Uint8Array): Promise<void> {
    const copied = bytes.slice();
    return this.#enqueue("append", async () => {
      this.#refuseGap();
      const file = this.#segment("append");
      try {
        const { last } = await this.#write(OPERATIONS.append, file.number, file.byteLength, copied);
        file.last = last;
      } catch (error) {
        this.#gap = failure("append", error);
        throw this.#gap;
      }
      file.byteLength += copied.byteLength;
      file.parts = undefined;
    });
  }

  /** What is acknowledged is durable. */
  appendDurably(bytes: Uint8Array): Promise<void> {
    return this.append(bytes);
  }

  flush(): Promise<void> {
    return this.#enqueue("flush", async () => this.#refuseGap());
  }

  truncate(byteLength: number): Promise<void> {
    return this.#enqueue("truncate", async () => {
      const file = this.#segment("truncate");
      const { number } = file;
      if (!Number.isSafeInteger(byteLength) || byteLength < 0 || byteLength > file.byteLength) {
        throw storeFailed(
          `truncate: segment ${number} has ${file.byteLength} bytes and cannot be cut to ${byteLength}`,
        );
      }
      // Where there is no room for an append there is none for a cut, and need not be: nothing of it is there.
      if (byteLength < file.byteLength) {
        const { last } = await this.#write(OPERATIONS.cut, number, byteLength, NOTHING);
        file.last = last;
        file.byteLength = byteLength;
        file.parts = undefined;
      }
      this.#gap = undefined;
    });
  }

  removeSegment(number: number): Promise<void> {
    return this.#enqueue("removeSegment", async () => {
      if (!this.#fold.segments.has(number)) return;
      await this.#write(OPERATIONS.remove, number, 0, NOTHING);
      this.#fold.segments.delete(number);
      if (this.#current?.number === number) this.#current = undefined;
      await this.#purge();
    });
  }

  // Checkpoints.

  async checkpoints(): Promise<readonly SegmentInfo[]> {
    this.#refuseClosed("checkpoints");
    await this.#catchUp();
    return inOrder(this.#there());
  }

  #there(): CheckpointFile[] {
    return [...this.#fold.checkpoints.values()].filter(({ state }) => state === "there");
  }

  async readCheckpoint(checkpoint: number, offset: number, into: Uint8Array): Promise<number> {
    this.#refuseClosed("readCheckpoint");
    const file = this.#there().find(({ number }) => number === checkpoint);
    if (file === undefined) throw noSuchFile("checkpoint", checkpoint);
    try {
      const found = await this.#objects.read(file.name, offset, into);
      if (found === undefined) throw noSuchFile("checkpoint", checkpoint);
      return found;
    } catch (error) {
      throw failure("readCheckpoint", error);
    }
  }

  async beginCheckpoint(number: number): Promise<CheckpointWriter> {
    if (this.#isCheckpointing) throw storeFailed("beginCheckpoint: another checkpoint is being written");
    this.#isCheckpointing = true;
    const name = `${this.#prefix}/${this.epoch}-${++this.#checkpoints}`;
    const body = encoder.encode(name);
    let object: GrowingObject | undefined;
    let byteLength = 0;
    try {
      await this.#enqueue("beginCheckpoint", async () => {
        if (this.#there().some((each) => each.number === number)) {
          throw storeFailed(`beginCheckpoint: checkpoint ${number} is already there`);
        }
        const { first } = await this.#write(OPERATIONS.begin, number, 0, body);
        this.#fold.checkpoints.set(name, { number, first, name, byteLength: 0, state: "begun" });
      });
      object = this.#objects.begin(name);
    } finally {
      if (object === undefined) this.#isCheckpointing = false;
    }
    const growing = object;
    let isOpen = true;
    return {
      write: async (bytes) => {
        this.#refuseWriting("Cannot write the checkpoint");
        byteLength += bytes.byteLength;
        try {
          await growing.write(bytes);
        } catch (error) {
          throw failure("Cannot write the checkpoint", error);
        }
      },
      commit: async () => {
        try {
          await growing.end();
          // From here on it may be there, unless there is no room for its end: what takes it away would leave a log that names it.
          isOpen = false;
          await this.#enqueue("Cannot finish the checkpoint", async () => {
            await this.#write(OPERATIONS.finish, number, byteLength, body);
            Object.assign(this.#fold.checkpoints.get(name) as CheckpointFile, { byteLength, state: "there" });
          });
        } catch (error) {
          if (HoldfastError.is(error, "STORAGE_FULL")) isOpen = true;
          throw failure("Cannot finish the checkpoint", error);
        } finally {
          if (!isOpen) this.#isCheckpointing = false;
        }
      },
      abandon: async () => {
        if (!isOpen) return;
        isOpen = false;
        this.#isCheckpointing = false;
        await growing.abandon();
        this.#fold.checkpoints.delete(name);
      },
    };
  }

  removeCheckpoint(number: number): Promise<void> {
    return this.#enqueue("removeCheckpoint", async () => {
      const file = this.#there().find((each) => each.number === number);
      if (file === undefined) return;
      await this.#write(OPERATIONS.drop, number, 0, encoder.encode(file.name));
      file.state = "removed";
      await this.removeLeftOvers();
      await this.#purge();
    });
  }

  /** Removes the objects of checkpoints that were removed, or never finished by an owner before. */
  async removeLeftOvers(): Promise<void> {
    for (const { name, state } of [...this.#fold.checkpoints.values()]) {
      const isMine = name.startsWith(`${this.#prefix}/${this.epoch}-`);
      if (state === "there" || (state === "begun" && isMine)) continue;
      await this.#objects.remove(name);
      this.#fold.checkpoints.delete(name);
    }
  }

  /** Takes away the messages that nothing needs any more. */
  async #purge(): Promise<void> {
    const { first } = this.#fold;
    await this.#write(OPERATIONS.forget, 0, first, NOTHING);
    await this.#subject.purge(first);
  }

  // Synchronously nothing can be done.

  createSegmentSync(): void {
    throw synchronous("createSegmentSync");
  }

  appendSync(): void {
    throw synchronous("appendSync");
  }

  flushSync(): void {
    throw synchronous("flushSync");
  }

  truncateSync(): void {
    throw synchronous("truncateSync");
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#tail;
    await this.#objects.endReading();
    await this.#lease?.release();
  }

  /** Runs a writing call when all that were made before it are over. */
  #enqueue(what: string, work: () => Promise<void>): Promise<void> {
    try {
      this.#refuseWriting(what);
    } catch (error) {
      return Promise.reject(error);
    }
    const done = this.#tail.then(async () => {
      if (this.#lost !== undefined) throw this.#lost;
      try {
        await work();
      } catch (error) {
        throw this.#lost ?? failure(what, error);
      }
    });
    this.#tail = done.catch(() => {});
    return done;
  }

  async #write(
    operation: Operation,
    file: number,
    at: number,
    body: Uint8Array,
  ): Promise<{ readonly first: number; readonly last: number }> {
    try {
      const written = await this.#subject.write(operation, file, at, body);
      this.#fold.last = written.last;
      return written;
    } catch (error) {
      if (HoldfastError.is(error, "STORAGE_FULL")) throw error;
      // What was not answered may have arrived, and nothing can be written behind it any more.
      throw this.#loseOwnership(error instanceof Overtaken ? error.message : textOf(error), error);
    }
  }

  #segment(what: string): LogFile {
    if (this.#current === undefined) throw storeFailed(`${what}: this session has not created a segment yet`);
    return this.#current;
  }

  #refuseGap(): void {
    if (this.#gap !== undefined) throw this.#gap;
  }

  #refuseClosed(what: string): void {
    if (this.#closing !== undefined) throw sessionClosed(what);
  }

  #refuseWriting(what: string): void {
    this.#refuseClosed(what);
    if (this.epoch === 0) throw openedReadOnly(what);
    if (this.#lost !== undefined) throw this.#lost;
  }

  #loseOwnership(reason: string, cause?: unknown): HoldfastError {
    if (this.#lost === undefined) {
      const what = `The database was lost to this session: ${reason}. Open it again.`;
      this.#lost = new HoldfastError("STORE_FAILED", what, { cause });
      this.#onLockedOut?.(reason, "STORE_FAILED");
    }
    return this.#lost;
  }
}

/** From which message to which a subject is read, and of which segments the bytes are kept. */
interface Span {
  readonly from: number;
  readonly to: number;
  readonly keepsBytes: (segment: number, keptBytes: number) => boolean;
}

/**
 * Reads a subject from its beginning to its end, with the bytes of segments as far as they are kept.
 * @throws HoldfastError `CORRUPTION`, `UNSUPPORTED`, `STORE_FAILED`
 */
export async function readSubject(subject: Subject, bytesMax = KEPT_BYTES_MAX): Promise<Fold> {
  for (let attempt = 1; ; attempt++) {
    const end = await subject.end();
    const span: Span = { from: 1, to: end, keepsBytes: (_, keptBytes) => keptBytes < bytesMax };
    const shown = await readShown(subject, span);
    if (await holds(subject, shown)) return shown;
    // Its owner may have taken something away meanwhile.
    const isStill = async (): Promise<boolean> => attempt === READS_MAX || (await subject.end()) === end;
    if (!(await isStill())) continue;
    const agreed = await readAgreed(subject, span);
    if (!isWhole(agreed) && !(await isStill())) continue;
    agreed.refuseTorn();
    return agreed;
  }
}

/** What any of the servers shows: one that was away may hold other messages than the others have agreed on, and not know of it. */
async function readShown(subject: Subject, { from, to, keepsBytes }: Span): Promise<Fold> {
  const fold = new Fold(keepsBytes);
  if (to > 0) await subject.replay(from, to, (sequence, message) => fold.take(sequence, message));
  fold.last = to;
  return fold;
}

/** What the one that leads does, which takes longer. */
async function readAgreed(subject: Subject, { from, to, keepsBytes }: Span): Promise<Fold> {
  const fold = new Fold(keepsBytes);
  await subject.replayByLeader(from, to, (sequence, message) => fold.take(sequence, message));
  fold.last = to;
  return fold;
}

function isWhole(fold: Fold): boolean {
  return !fold.isTorn && !fold.isDamaged;
}

/** Whether nothing is missing of what was shown, and nothing among it that the servers have not agreed on. */
async function holds(subject: Subject, fold: Fold): Promise<boolean> {
  if (!isWhole(fold)) return false;
  const toAsk = fold.doubts.reduce((sum, { behind, sequence }) => sum + sequence - behind, 0);
  // All there is, asked for once, is not more.
  if (toAsk > fold.last - fold.first) return false;
  for (const { behind, sequence, last } of fold.doubts) {
    if ((await subject.lastBetween(behind, sequence)) !== last) return false;
  }
  return true;
}

/** What there is now, by what was read of it before; only where that does not do, all is read again. */
export async function readOn(subject: Subject, fold: Fold, bytesMax = KEPT_BYTES_MAX): Promise<Fold> {
  const end = await subject.end();
  const { last, writer } = fold;
  if (end === last) return fold;
  let isOfOne = true;
  await subject.replay(last + 1, end, (sequence, message) => {
    if (decodeFrame(message, sequence).writer !== writer) isOfOne = false;
    fold.take(sequence, message);
  });
  // What another owner has taken away, and the messages that say so, may be gone; so may the whole subject, and have begun anew.
  return end > last && isOfOne && isWhole(fold) ? fold : readSubject(subject, bytesMax);
}

function inOrder(files: Iterable<{ readonly number: number; readonly byteLength: number }>): SegmentInfo[] {
  return [...files].map(({ number, byteLength }) => ({ number, byteLength })).sort((a, b) => a.number - b.number);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.byteLength;
  }
  return bytes;
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function synchronous(what: string): HoldfastError {
  return new HoldfastError("SYNC_COMMIT_UNSUPPORTED", `${what}: servers are asked asynchronously only.`);
}
