/**
 * A disk in memory, for tests that need to choose when it fails, when it is slow and what a crash leaves of it.
 *
 *     cache      what reads see: every byte that was appended, until the power goes
 *     platter    what is durable: bytes go there when a sync that covers them succeeds
 *     dirty      the ranges of the cache that no sync has covered yet
 *
 * What it keeps true:
 *  - everything random comes from the seed, so the same calls give the same disk;
 *  - a killed process loses nothing that was appended, and what was dirty stays dirty;
 *  - a power cut keeps the platter, and of the dirty ranges what the seed says: a prefix, or each block of 512 bytes kept,
 *    lost (as zeros or as what was there before) or torn;
 *  - a failed sync is reported once per handle; the next one succeeds although the bytes never reach the platter;
 *  - creating, cutting and removing a segment are durable when they return, and may be half done when they fail;
 *  - where appends are synchronous a full disk takes what fits; where they are not, an append is atomic and all behind one
 *    that failed fail too, until `truncate`.
 */

import type {
  CheckpointWriter,
  SegmentInfo,
  Storage,
  StorageCapabilities,
  StorageOpenOptions,
  StorageSession,
} from "../../src/adapters/storage.js";
import { type ErrorCode, HoldfastError } from "../../src/errors.js";
import { appended } from "./appended-bytes.js";
import { turn } from "./seeded-environment.js";

/** A method of a session; synchronous and asynchronous forms count as methods of their own. */
export type DiskMethod =
  | "open"
  | "segments"
  | "read"
  | "createSegment"
  | "createSegmentSync"
  | "append"
  | "appendSync"
  | "flush"
  | "flushSync"
  | "truncate"
  | "truncateSync"
  | "removeSegment"
  | "checkpoints"
  | "readCheckpoint"
  | "beginCheckpoint"
  | "writeCheckpoint"
  | "commitCheckpoint"
  | "removeCheckpoint"
  | "close";

/** How a disk is made. */
export interface DiskOptions {
  readonly seed?: number;
  /** How many more bytes fit; no end if left out. */
  readonly room?: number;
  /** The unit in which unsynced bytes are kept or lost. */
  readonly blockBytes?: number;
  /** Every asynchronous method waits for a `step()` of its own before it takes effect. */
  readonly manual?: boolean;
  /** What lets an asynchronous method go on, where not `manual`; a microtask if left out. */
  readonly schedule?: (resume: () => void) => void;
}

/** What a storage over the disk declares. */
export interface SimulatedStorageOptions {
  readonly syncAppend?: boolean;
  readonly syncFlush?: boolean;
  readonly asyncFlush?: boolean;
  readonly durableAppend?: boolean;
  readonly recordBytesMax?: number;
  readonly segmentBytesTarget?: number;
}

/** How a call is made to fail. */
export interface FailOptions {
  /** How many calls fail; one if left out. */
  readonly times?: number;
  /** How many calls succeed first; none if left out. */
  readonly after?: number;
  /** How many bytes an append gets done before it fails. */
  readonly afterBytes?: number;
  /** Whether creating, cutting or removing takes effect, without being durable, although it fails; by seed if left out. */
  readonly applied?: boolean;
}

/** One call, as it was made. */
export interface DiskCall {
  readonly method: DiskMethod;
  readonly segment?: number | undefined;
  readonly bytes?: number | undefined;
}

interface Range {
  readonly start: number;
  readonly end: number;
}

interface Segment {
  readonly number: number;
  cache: Uint8Array;
  platter: Uint8Array;
  /** How far the file reaches on the platter; what lies beyond is left over from before a cut. */
  durableLength: number;
  /** Whether its name is on the platter. */
  durableName: boolean;
  dirty: Range[];
  /** How many syncs have failed; every handle reports each of them once. */
  failedSyncs: number;
}

/** A checkpoint: there whole, though perhaps its name, or that it was removed, is not on the platter. */
interface Checkpoint {
  readonly bytes: Uint8Array;
  state: "durable" | "named" | "removed";
}

interface Failure {
  readonly code: ErrorCode;
  readonly options: FailOptions;
  skip: number;
  left: number;
}

interface Waiting {
  readonly method: DiskMethod;
  readonly resume: () => void;
  readonly fail: (error: unknown) => void;
}

/** A small generator with a state of 32 bits (mulberry32): good enough for choices, and easy to copy. */
class Random {
  state: number;

  constructor(seed: number) {
    this.state = seed >>> 0;
  }

  /** An integer from 0 to `below` − 1. */
  below(below: number): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  }
}

/** The disk. Storages over it share its content; sessions end with a crash. */
export class SimulatedDisk {
  /** How many more bytes fit. */
  room: number;
  /** Every call since the disk was made, in order. */
  readonly calls: DiskCall[] = [];
  /** The epoch of the newest owner. */
  epoch = 0;
  readonly #options: DiskOptions;
  readonly #random: Random;
  readonly #blockBytes: number;
  readonly #segments = new Map<number, Segment>();
  /** Segments whose removal is not durable: they come back when the power goes. */
  readonly #ghosts = new Map<number, Segment>();
  readonly #checkpoints = new Map<number, Checkpoint>();
  /** What segments that were removed had in them. */
  readonly #removed = new Map<number, Uint8Array>();
  readonly #failures = new Map<DiskMethod, Failure[]>();
  readonly #held = new Set<DiskMethod>();
  #waiting: Waiting[] = [];
  #sessions = new Set<SimulatedSession>();
  #owner: SimulatedSession | undefined;

  constructor(options: DiskOptions = {}) {
    this.#options = options;
    this.#random = new Random(options.seed ?? 1);
    this.#blockBytes = options.blockBytes ?? 512;
    this.room = options.room ?? Number.POSITIVE_INFINITY;
  }

  /** A storage over this disk. */
  storage(options: SimulatedStorageOptions = {}): Storage {
    const syncAppend = options.syncAppend ?? true;
    const capabilities: StorageCapabilities = {
      kind: "simulated",
      mechanism: "simulated",
      persistent: true,
      syncAppend,
      syncFlush: options.syncFlush ?? syncAppend,
      asyncFlush: options.asyncFlush ?? true,
      durableAppend: options.durableAppend ?? false,
      recordBytesMax: options.recordBytesMax ?? 64 * 1024 * 1024,
      segmentBytesTarget: options.segmentBytesTarget ?? 64 * 1024 * 1024,
    };
    return { capabilities, open: (openOptions) => this.#open(capabilities, openOptions) };
  }

  /** Lets calls of a method fail: the next one, or `times` of them, once `after` have succeeded. */
  failNext(method: DiskMethod, code: ErrorCode, options: FailOptions = {}): void {
    const queue = this.#failures.get(method) ?? [];
    queue.push({ code, options, skip: options.after ?? 0, left: options.times ?? 1 });
    this.#failures.set(method, queue);
  }

  /** Holds every call of an asynchronous method in flight until `release`. A flush that is held covers what was there when it began. */
  hold(method: DiskMethod): void {
    this.#held.add(method);
  }

  /** Lets the calls go that were held, and holds no more; with `fail` the first of them fails with that code. */
  async release(method: DiskMethod, options: { readonly fail?: ErrorCode } = {}): Promise<void> {
    this.#held.delete(method);
    const going = this.#waiting.filter((waiting) => waiting.method === method);
    if (options.fail !== undefined && going.length > 0) this.failNext(method, options.fail);
    this.#waiting = this.#waiting.filter((waiting) => waiting.method !== method);
    for (const waiting of going) waiting.resume();
    await turn();
  }

  /** How many calls wait, of one method or of all. */
  waiting(method?: DiskMethod): number {
    return this.#waiting.filter((waiting) => method === undefined || waiting.method === method).length;
  }

  /** Lets the oldest waiting call that is not held take effect; returns its method, `undefined` if there was none. */
  async step(): Promise<DiskMethod | undefined> {
    await turn();
    const index = this.#waiting.findIndex((waiting) => !this.#held.has(waiting.method));
    const [next] = index < 0 ? [] : this.#waiting.splice(index, 1);
    next?.resume();
    await turn();
    return next?.method;
  }

  /** Ends every session. What they still do fails and leaves no trace; what was in flight is rejected. */
  crash(options: { readonly kind: "kill" | "power" }): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const session of this.#sessions) session.die();
    this.#sessions.clear();
    this.#owner = undefined;
    this.#failures.clear();
    this.#held.clear();
    if (options.kind === "power") this.#losePower();
    for (const call of waiting) call.fail(new HoldfastError("STORE_FAILED", "the simulated process has died"));
  }

  /** A copy of what reads would see. */
  bytes(segment: number): Uint8Array {
    return this.#require(segment).cache.slice();
  }

  /** A copy of what is certain to survive a power cut. */
  durableBytes(segment: number): Uint8Array {
    const { platter, durableLength } = this.#require(segment);
    return platter.slice(0, durableLength);
  }

  /** The numbers of all segments, ascending. */
  segmentNumbers(): number[] {
    return [...this.#segments.keys()].sort((a, b) => a - b);
  }

  /** What reads have ever seen of segments, those that were removed included, ascending by number. */
  everySegment(): Uint8Array[] {
    const all = new Map(this.#removed);
    for (const [number, { cache }] of this.#segments) all.set(number, cache);
    return [...all].sort(([a], [b]) => a - b).map(([, bytes]) => bytes);
  }

  /** Flips one bit, durably. */
  corrupt(segment: number, offset: number, bit: number): void {
    const { cache, platter } = this.#require(segment);
    for (const bytes of [cache, platter]) {
      const byte = bytes[offset];
      if (byte !== undefined) bytes[offset] = byte ^ (1 << bit);
    }
  }

  /** Cuts a segment, durably. */
  cut(segment: number, length: number): void {
    const found = this.#require(segment);
    shorten(found, length);
    found.durableLength = Math.min(found.durableLength, length);
  }

  /** Puts bytes in the place of a segment, durably; makes it if need be. */
  replace(segment: number, content: Uint8Array): void {
    this.#segments.set(segment, durableSegment(segment, content));
  }

  /** A disk with the same content and the same state of chance, and nobody at work on it. */
  clone(): SimulatedDisk {
    const copy = new SimulatedDisk({ ...this.#options, blockBytes: this.#blockBytes });
    copy.#random.state = this.#random.state;
    copy.room = this.room;
    copy.epoch = this.epoch;
    for (const [number, segment] of this.#segments) copy.#segments.set(number, cloneSegment(segment));
    for (const [number, segment] of this.#ghosts) copy.#ghosts.set(number, cloneSegment(segment));
    for (const [number, checkpoint] of this.#checkpoints) copy.#checkpoints.set(number, { ...checkpoint });
    return copy;
  }

  async #open(capabilities: StorageCapabilities, options: StorageOpenOptions): Promise<StorageSession> {
    this.calls.push({ method: "open" });
    if (options.signal?.aborted === true) throw new HoldfastError("TIMEOUT", "open: the signal has fired");
    const failure = this.takeFailure("open");
    if (failure !== undefined) throw new HoldfastError(failure.code, "open: simulated failure");
    if (options.readOnly) {
      const nothing = this.epoch === 0 && this.#isEmpty;
      if (nothing) throw new HoldfastError("NOT_FOUND", "there is no database on the simulated disk");
    } else {
      if (this.#owner !== undefined) {
        const details = { owner: "simulated", epoch: this.epoch };
        throw new HoldfastError("LOCKED", "the simulated disk has an owner", { details });
      }
      this.epoch += 1;
    }
    const epoch = options.readOnly ? 0 : this.epoch;
    const session = new SimulatedSession(this, capabilities, epoch, this.#isEmpty);
    this.#sessions.add(session);
    if (!options.readOnly) this.#owner = session;
    return session;
  }

  get #isEmpty(): boolean {
    return this.#segments.size === 0 && this.checkpointList().length === 0;
  }

  /** The bytes of the checkpoints that a power cut leaves, whole. */
  durableCheckpoints(): Uint8Array[] {
    return [...this.#checkpoints.values()].filter(({ state }) => state === "durable").map(({ bytes }) => bytes);
  }

  // What follows is for the sessions of this disk.

  checkpointList(): SegmentInfo[] {
    return [...this.#checkpoints]
      .filter(([, { state }]) => state !== "removed")
      .map(([number, { bytes }]) => ({ number, byteLength: bytes.byteLength }))
      .sort((a, b) => a.number - b.number);
  }

  findCheckpoint(number: number): Uint8Array | undefined {
    const found = this.#checkpoints.get(number);
    return found === undefined || found.state === "removed" ? undefined : found.bytes;
  }

  commitCheckpoint(number: number, bytes: Uint8Array, failure: Failure | undefined): void {
    if (failure === undefined || (failure.code !== "STORAGE_FULL" && this.#applies(failure))) {
      this.#checkpoints.set(number, { bytes, state: "named" });
    }
    if (failure !== undefined) throw new HoldfastError(failure.code, "commitCheckpoint: simulated failure");
    this.#syncDirectory();
  }

  removeCheckpoint(number: number, failure: Failure | undefined): void {
    const found = this.#checkpoints.get(number);
    if (found !== undefined && (failure === undefined || this.#applies(failure))) {
      if (found.state !== "removed") this.room += found.bytes.byteLength;
      found.state = "removed";
    }
    if (failure !== undefined) throw new HoldfastError(failure.code, "removeCheckpoint: simulated failure");
    this.#syncDirectory();
  }

  /** The failure that the next call of this method is to have, if any. */
  takeFailure(method: DiskMethod): Failure | undefined {
    const queue = this.#failures.get(method);
    const first = queue?.[0];
    if (first === undefined) return undefined;
    if (first.skip > 0) {
      first.skip -= 1;
      return undefined;
    }
    first.left -= 1;
    if (first.left <= 0) queue?.shift();
    return first;
  }

  /** Waits until the call may take effect: at once, for a step, or for a release. */
  gate(method: DiskMethod): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#held.has(method) || this.#options.manual === true) {
        this.#waiting.push({ method, resume: resolve, fail: reject });
      } else if (this.#options.schedule !== undefined) {
        this.#options.schedule(resolve);
      } else {
        resolve();
      }
    });
  }

  leave(session: SimulatedSession): void {
    this.#sessions.delete(session);
    if (this.#owner === session) this.#owner = undefined;
  }

  list(): SegmentInfo[] {
    return this.segmentNumbers().map((number) => ({ number, byteLength: this.#require(number).cache.byteLength }));
  }

  find(number: number): Segment | undefined {
    return this.#segments.get(number);
  }

  create(number: number, content: Uint8Array, failure: Failure | undefined): void {
    if (this.#segments.has(number)) throw new HoldfastError("STORE_FAILED", `segment ${number} is already there`);
    if (failure === undefined && content.byteLength > this.room) throw full("createSegment", 0);
    if (failure !== undefined) {
      if (failure.code === "STORAGE_FULL") throw full("createSegment", 0);
      if (this.#applies(failure)) {
        const segment = durableSegment(number, content);
        segment.durableName = false;
        this.#segments.set(number, segment);
      }
      throw new HoldfastError(failure.code, "createSegment: simulated failure");
    }
    this.room -= content.byteLength;
    this.#segments.set(number, durableSegment(number, content));
    this.#syncDirectory();
  }

  append(number: number, bytes: Uint8Array, atomic: boolean, failure: Failure | undefined): void {
    const segment = this.#require(number);
    const wanted = Math.min(
      bytes.byteLength,
      failure?.options.afterBytes ?? (failure === undefined ? bytes.byteLength : 0),
    );
    const fits = Math.min(wanted, this.room);
    const whole = failure === undefined && fits === bytes.byteLength;
    const count = whole || !atomic ? fits : 0;
    const start = segment.cache.byteLength;
    segment.cache = appended(segment.cache, bytes.subarray(0, count));
    if (count > 0) segment.dirty.push({ start, end: start + count });
    this.room -= count;
    if (whole) return;
    if (failure === undefined || failure.code === "STORAGE_FULL") throw full("append", count);
    throw new HoldfastError(failure.code, "append: simulated failure");
  }

  truncate(number: number, byteLength: number, failure: Failure | undefined): void {
    const segment = this.#require(number);
    if (!Number.isSafeInteger(byteLength) || byteLength < 0 || byteLength > segment.cache.byteLength) {
      throw new HoldfastError("STORE_FAILED", `segment ${number} cannot be cut to ${byteLength} bytes`);
    }
    if (failure === undefined || this.#applies(failure)) {
      this.room += segment.cache.byteLength - byteLength;
      shorten(segment, byteLength);
    }
    if (failure !== undefined) throw new HoldfastError(failure.code, "truncate: simulated failure");
    // The cut is made durable by a sync of the file, and that brings the rest of it along.
    this.sync(segment, segment.dirty);
  }

  remove(number: number, failure: Failure | undefined): void {
    const segment = this.#segments.get(number);
    if (segment !== undefined && (failure === undefined || this.#applies(failure))) {
      this.room += segment.cache.byteLength;
      this.#segments.delete(number);
      this.#removed.set(number, segment.cache);
      if (segment.durableName) this.#ghosts.set(number, segment);
    }
    if (failure !== undefined) throw new HoldfastError(failure.code, "removeSegment: simulated failure");
    this.#syncDirectory();
  }

  /** Brings ranges of the cache to the platter. */
  sync(segment: Segment, ranges: readonly Range[]): void {
    const length = segment.cache.byteLength;
    const end = Math.min(length, Math.max(segment.durableLength, ...ranges.map((range) => range.end)));
    if (segment.platter.byteLength < end)
      segment.platter = appended(segment.platter, new Uint8Array(end - segment.platter.byteLength));
    for (const range of ranges) {
      const until = Math.min(range.end, length);
      if (range.start < until) segment.platter.set(segment.cache.subarray(range.start, until), range.start);
    }
    segment.durableLength = end;
    segment.dirty = segment.dirty.filter((range) => !ranges.includes(range));
  }

  /** As a kernel does: the pages are marked clean although they were not written. */
  failSync(segment: Segment): void {
    segment.dirty = [];
    segment.failedSyncs += 1;
  }

  #applies(failure: Failure): boolean {
    return failure.options.applied ?? this.#random.below(2) === 0;
  }

  #syncDirectory(): void {
    this.#ghosts.clear();
    for (const segment of this.#segments.values()) segment.durableName = true;
    for (const [number, checkpoint] of this.#checkpoints) {
      if (checkpoint.state === "removed") this.#checkpoints.delete(number);
      else checkpoint.state = "durable";
    }
  }

  #require(number: number): Segment {
    const segment = this.#segments.get(number);
    if (segment === undefined)
      throw new HoldfastError("NOT_FOUND", `There is no segment ${number}.`, { details: { segment: number } });
    return segment;
  }

  #losePower(): void {
    for (const [number, ghost] of this.#ghosts) {
      if (this.#random.below(2) === 0) this.#segments.set(number, ghost);
    }
    this.#ghosts.clear();
    for (const [number, checkpoint] of this.#checkpoints) {
      if (checkpoint.state === "durable") continue;
      // Where its name comes back it was whole before it was named.
      if (this.#random.below(2) === 0) this.#checkpoints.delete(number);
      else checkpoint.state = "durable";
    }
    for (const [number, segment] of [...this.#segments].sort(([a], [b]) => a - b)) {
      if (!segment.durableName && this.#random.below(2) === 0) {
        this.#segments.delete(number);
        continue;
      }
      const survived = this.#survivingBytes(segment);
      this.room += segment.cache.byteLength - survived.byteLength;
      this.#segments.set(number, durableSegment(number, survived));
    }
  }

  /** What a power cut leaves of a segment: its durable bytes, and of the dirty ones what chance wrote in time. */
  #survivingBytes(segment: Segment): Uint8Array {
    const { cache, durableLength } = segment;
    const unsynced = Math.max(0, cache.byteLength - durableLength);
    const way = (["nothing", "everything", "prefix", "blocks", "blocks of the whole"] as const)[this.#random.below(5)];
    const reached = durableLength + this.#random.below(unsynced + 1);
    const whole = way === "everything" || way === "blocks of the whole";
    const length = way === "nothing" ? durableLength : whole ? durableLength + unsynced : reached;
    const before = new Uint8Array(length);
    const old = this.#random.below(2) === 0 ? segment.platter : segment.platter.subarray(0, durableLength);
    before.set(old.subarray(0, length));
    for (const { start, end } of segment.dirty) {
      for (let at = start; at < Math.min(end, length); ) {
        const blockEnd = Math.min(end, length, (Math.floor(at / this.#blockBytes) + 1) * this.#blockBytes);
        const kept = way === "prefix" || way === "everything" ? blockEnd - at : this.#keptOfBlock(blockEnd - at);
        before.set(cache.subarray(at, at + kept), at);
        at = blockEnd;
      }
    }
    return before;
  }

  #keptOfBlock(blockBytes: number): number {
    const fate = this.#random.below(4);
    if (fate === 0) return 0;
    return fate === 1 ? this.#random.below(blockBytes + 1) : blockBytes;
  }
}

class SimulatedSession implements StorageSession {
  readonly epoch: number;
  readonly fresh: boolean;
  readonly persisted = undefined;
  readonly #disk: SimulatedDisk;
  readonly #capabilities: StorageCapabilities;
  /** The segments made by this session, which its flushes cover, and the last of them, which takes its appends. */
  readonly #mine: number[] = [];
  /** How many failed syncs each handle has reported, by method and segment. */
  readonly #reported = new Map<string, number>();
  readonly #inFlight = new Set<Promise<unknown>>();
  #tail: Promise<unknown> = Promise.resolve();
  #queued = 0;
  #gap: unknown;
  #isCheckpointing = false;
  #dead = false;
  #closing: Promise<void> | undefined;

  constructor(disk: SimulatedDisk, capabilities: StorageCapabilities, epoch: number, fresh: boolean) {
    this.#disk = disk;
    this.#capabilities = capabilities;
    this.epoch = epoch;
    this.fresh = fresh;
  }

  die(): void {
    this.#dead = true;
  }

  async segments(): Promise<readonly SegmentInfo[]> {
    this.#log("segments");
    await this.#pass("segments");
    return this.#disk.list();
  }

  async read(segment: number, offset: number, into: Uint8Array): Promise<number> {
    this.#log("read", segment, into.byteLength);
    await this.#pass("read");
    const found = this.#disk.find(segment);
    if (found === undefined)
      throw new HoldfastError("NOT_FOUND", `There is no segment ${segment}.`, { details: { segment } });
    const part = found.cache.subarray(offset, offset + into.byteLength);
    into.set(part);
    return part.byteLength;
  }

  createSegmentSync(number: number, content: Uint8Array): void {
    this.#synchronously("createSegmentSync", this.#capabilities.syncAppend, number, content.byteLength);
    this.#create(number, content, this.#disk.takeFailure("createSegmentSync"));
  }

  createSegment(number: number, content: Uint8Array): Promise<void> {
    const copied = new Uint8Array(content);
    return this.#enqueue("createSegment", number, copied.byteLength, () => {
      this.#refuseGap();
      this.#create(number, copied, this.#disk.takeFailure("createSegment"));
    });
  }

  appendSync(bytes: Uint8Array): void {
    const current = this.#mine.at(-1);
    this.#synchronously("appendSync", this.#capabilities.syncAppend, current, bytes.byteLength);
    this.#disk.append(this.#current(), bytes, false, this.#disk.takeFailure("appendSync"));
  }

  append(bytes: Uint8Array): Promise<void> {
    const copied = new Uint8Array(bytes);
    return this.#enqueue("append", this.#mine.at(-1), copied.byteLength, () => {
      this.#refuseGap();
      const current = this.#current();
      try {
        this.#disk.append(current, copied, true, this.#disk.takeFailure("append"));
      } catch (error) {
        if (!this.#capabilities.syncAppend) this.#gap = error;
        throw error;
      }
    });
  }

  /** Two calls, each of which can be held and made to fail, with nothing between them. */
  async appendDurably(bytes: Uint8Array): Promise<void> {
    if (this.#capabilities.durableAppend !== true) throw unsupported("appendDurably");
    await Promise.all([this.append(bytes), this.flush()]);
  }

  truncateSync(byteLength: number): void {
    this.#synchronously("truncateSync", this.#capabilities.syncAppend, this.#mine.at(-1), byteLength);
    this.#disk.truncate(this.#current(), byteLength, this.#disk.takeFailure("truncateSync"));
  }

  truncate(byteLength: number): Promise<void> {
    return this.#enqueue("truncate", this.#mine.at(-1), byteLength, () => {
      this.#disk.truncate(this.#current(), byteLength, this.#disk.takeFailure("truncate"));
      this.#gap = undefined;
    });
  }

  removeSegment(number: number): Promise<void> {
    return this.#enqueue("removeSegment", number, undefined, () => {
      this.#disk.remove(number, this.#disk.takeFailure("removeSegment"));
      const index = this.#mine.indexOf(number);
      if (index >= 0) this.#mine.splice(index, 1);
    });
  }

  async checkpoints(): Promise<readonly SegmentInfo[]> {
    this.#log("checkpoints");
    await this.#pass("checkpoints");
    return this.#disk.checkpointList();
  }

  async readCheckpoint(checkpoint: number, offset: number, into: Uint8Array): Promise<number> {
    this.#log("readCheckpoint", checkpoint, into.byteLength);
    await this.#pass("readCheckpoint");
    const found = this.#disk.findCheckpoint(checkpoint);
    if (found === undefined) {
      throw new HoldfastError("NOT_FOUND", `There is no checkpoint ${checkpoint}.`, { details: { checkpoint } });
    }
    const part = found.subarray(offset, offset + into.byteLength);
    into.set(part);
    return part.byteLength;
  }

  async beginCheckpoint(number: number): Promise<CheckpointWriter> {
    this.#refuseWriting("beginCheckpoint");
    this.#log("beginCheckpoint", number);
    await this.#pass("beginCheckpoint");
    if (this.#disk.findCheckpoint(number) !== undefined) {
      throw new HoldfastError("STORE_FAILED", `checkpoint ${number} is already there`);
    }
    if (this.#isCheckpointing) throw new HoldfastError("STORE_FAILED", "another checkpoint is being written");
    this.#isCheckpointing = true;
    let written = new Uint8Array(0);
    let isOpen = true;
    return {
      write: (bytes) => {
        const copied = new Uint8Array(bytes);
        return this.#enqueue("writeCheckpoint", number, copied.byteLength, () => {
          const failure = this.#disk.takeFailure("writeCheckpoint");
          if (failure !== undefined) throw new HoldfastError(failure.code, "writeCheckpoint: simulated failure");
          if (copied.byteLength > this.#disk.room) throw full("writeCheckpoint", 0);
          this.#disk.room -= copied.byteLength;
          written = appended(written, copied) as Uint8Array<ArrayBuffer>;
        });
      },
      commit: () =>
        this.#enqueue("commitCheckpoint", number, written.byteLength, () => {
          isOpen = false;
          this.#isCheckpointing = false;
          this.#disk.commitCheckpoint(number, written, this.#disk.takeFailure("commitCheckpoint"));
        }),
      abandon: async () => {
        if (isOpen) this.#isCheckpointing = false;
        if (isOpen && !this.#dead) this.#disk.room += written.byteLength;
        isOpen = false;
      },
    };
  }

  removeCheckpoint(number: number): Promise<void> {
    return this.#enqueue("removeCheckpoint", number, undefined, () => {
      this.#disk.removeCheckpoint(number, this.#disk.takeFailure("removeCheckpoint"));
    });
  }

  flushSync(): void {
    this.#synchronously("flushSync", this.#capabilities.syncFlush, this.#mine.at(-1), undefined);
    this.#finishFlush("flushSync", this.#beginFlush());
  }

  flush(): Promise<void> {
    try {
      this.#refuseWriting("flush");
      if (!this.#capabilities.asyncFlush) throw unsupported("flush");
      this.#log("flush", this.#mine.at(-1));
    } catch (error) {
      return Promise.reject(error);
    }
    return this.#track(this.#flush());
  }

  async #flush(): Promise<void> {
    // With nothing queued before it, a flush covers exactly what is there at the call, also of what is appended synchronously.
    if (this.#queued > 0) await this.#tail;
    this.#refuseDead();
    this.#refuseGap();
    const covered = this.#beginFlush();
    await this.#disk.gate("flush");
    this.#refuseDead();
    this.#finishFlush("flush", covered);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#disk.calls.push({ method: "close" });
    while (this.#inFlight.size > 0) await Promise.allSettled(this.#inFlight);
    if (!this.#dead) this.#disk.leave(this);
  }

  #create(number: number, content: Uint8Array, failure: Failure | undefined): void {
    this.#disk.create(number, content, failure);
    this.#mine.push(number);
  }

  #beginFlush(): Map<Segment, readonly Range[]> {
    const covered = new Map<Segment, readonly Range[]>();
    for (const number of this.#mine) {
      const segment = this.#disk.find(number);
      if (segment !== undefined) covered.set(segment, [...segment.dirty]);
    }
    return covered;
  }

  #finishFlush(method: "flush" | "flushSync", covered: ReadonlyMap<Segment, readonly Range[]>): void {
    const failure = this.#disk.takeFailure(method);
    let reported = false;
    for (const [segment, ranges] of covered) {
      if (failure !== undefined) this.#disk.failSync(segment);
      const handle = `${method}:${segment.number}`;
      if ((this.#reported.get(handle) ?? 0) < segment.failedSyncs) {
        this.#reported.set(handle, segment.failedSyncs);
        reported = true;
      } else {
        // What a failed sync has marked clean meanwhile is dirty no more, and is not written.
        this.#disk.sync(
          segment,
          ranges.filter((range) => segment.dirty.includes(range)),
        );
      }
    }
    if (failure !== undefined) throw new HoldfastError(failure.code, `${method}: simulated failure`);
    if (reported) throw new HoldfastError("STORE_FAILED", `${method}: an earlier sync has failed`);
  }

  #enqueue(
    method: DiskMethod,
    segment: number | undefined,
    bytes: number | undefined,
    work: () => void,
  ): Promise<void> {
    try {
      this.#refuseWriting(method);
      this.#log(method, segment, bytes);
    } catch (error) {
      return Promise.reject(error);
    }
    this.#queued += 1;
    const done = this.#tail.then(async () => {
      try {
        await this.#disk.gate(method);
        this.#refuseDead();
        work();
      } finally {
        this.#queued -= 1;
      }
    });
    this.#tail = done.catch(() => {});
    return this.#track(done);
  }

  async #pass(method: DiskMethod): Promise<void> {
    this.#refuseDead();
    if (this.#closing !== undefined) throw new HoldfastError("CLOSED", `${method}: the session is closed`);
    const failure = this.#disk.takeFailure(method);
    await this.#disk.gate(method);
    this.#refuseDead();
    if (failure !== undefined) throw new HoldfastError(failure.code, `${method}: simulated failure`);
  }

  #track<T>(work: Promise<T>): Promise<T> {
    const done = (): void => {
      this.#inFlight.delete(work);
    };
    this.#inFlight.add(work);
    work.then(done, done);
    return work;
  }

  #log(method: DiskMethod, segment?: number, bytes?: number): void {
    this.#disk.calls.push({ method, segment, bytes });
  }

  #current(): number {
    const current = this.#mine.at(-1);
    if (current === undefined) throw new HoldfastError("STORE_FAILED", "this session has not created a segment yet");
    return current;
  }

  #synchronously(method: DiskMethod, capable: boolean, segment: number | undefined, bytes: number | undefined): void {
    this.#refuseWriting(method);
    if (!capable) throw unsupported(method);
    this.#log(method, segment, bytes);
  }

  #refuseDead(): void {
    if (this.#dead) throw new HoldfastError("STORE_FAILED", "the simulated process has died");
  }

  #refuseGap(): void {
    if (this.#gap !== undefined) throw this.#gap;
  }

  #refuseWriting(method: DiskMethod): void {
    this.#refuseDead();
    if (this.#closing !== undefined) throw new HoldfastError("CLOSED", `${method}: the session is closed`);
    if (this.epoch === 0) throw new HoldfastError("READ_ONLY", `${method}: the session is read-only`);
  }
}

function full(what: string, appendedBytes: number): HoldfastError {
  return new HoldfastError("STORAGE_FULL", `${what}: the simulated disk is full`, { details: { appendedBytes } });
}

function unsupported(what: string): HoldfastError {
  return new HoldfastError("SYNC_COMMIT_UNSUPPORTED", `${what}: this simulated storage cannot do that`);
}

function shorten(segment: Segment, length: number): void {
  segment.cache = segment.cache.slice(0, length);
  // A range that the cut does not touch stays the same object: a flush in flight knows by it what it covers.
  segment.dirty = segment.dirty.flatMap((range) => {
    if (range.end <= length) return [range];
    return range.start < length ? [{ start: range.start, end: length }] : [];
  });
}

function durableSegment(number: number, content: Uint8Array): Segment {
  return {
    number,
    cache: content.slice(),
    platter: content.slice(),
    durableLength: content.byteLength,
    durableName: true,
    dirty: [],
    failedSyncs: 0,
  };
}

function cloneSegment(segment: Segment): Segment {
  return { ...segment, cache: segment.cache.slice(), platter: segment.platter.slice(), dirty: [...segment.dirty] };
}
