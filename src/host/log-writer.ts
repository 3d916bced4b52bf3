/**
 * The log while the database is open: draining the core's queue to storage, syncing it, and what happens when either fails.
 *
 * What it keeps true:
 *  - one drain at a time, in order; a segment is synced to its end before its successor's header is written (COMMIT 17);
 *  - whoever waits for what is queued waits for what was queued by then, however much comes behind it;
 *  - a sync counts for what was written before it started, and only if no sync has failed by its return (COMMIT 10);
 *  - between workers that share a memory one writes at a time, and one that waits syncs for all; what they must know of one
 *    another stands in the memory; a sync in the background takes no turn, because its own worker goes on meanwhile;
 *  - for want of room: what was appended whole stays, what is unpublished behind it is undone, the file is cut and the cut
 *    synced before anybody is told (COMMIT 8); after anything else that fails, and where other workers share the memory
 *    after that too, nothing is ever written again (COMMIT 9).
 */
import type { StorageSession } from "../adapters/storage.js";
import { HoldfastError } from "../errors.js";
import * as abi from "./abi.js";
import type { Core } from "./core.js";
import {
  failLog,
  giveTurn,
  hasLeftStorage,
  logFailed,
  TURN_SYNC,
  TURN_WRITE,
  type Turn,
  takeTurn,
} from "./core-shared-log.js";
import { closedMeanwhile, indeterminate, type Log, type LogListener, type SegmentStart, storeFailed } from "./log.js";
import { LogPlace, type NextSegment } from "./log-place.js";
import type { LogState } from "./log-state.js";

/** What the writer asks of the storage's capabilities. */
interface LogCapabilities {
  readonly syncAppend: boolean;
  readonly syncFlush: boolean;
  readonly durableAppend?: boolean;
  readonly segmentBytesTarget: number;
}

/** The most bytes that are sealed and written at once. */
const DRAIN_BYTES_MAX = 4 * 1024 * 1024;

/** How often a turn is waited for, each time for as long as the core waits: some ten seconds together. */
const TURN_ATTEMPTS_MAX = 5;
const TURN_PAUSE_MS = 20;

export class LogWriter implements Log {
  readonly #core: Core;
  readonly #session: StorageSession;
  readonly #capabilities: LogCapabilities;
  readonly #listener: LogListener;
  readonly #state: LogState;
  readonly #place: LogPlace;
  /** While somebody waits for the next segment to be begun: the log position from which on it may be. */
  #rotatesAt: number | undefined;
  #failure: HoldfastError | undefined;
  /** Set while asynchronous storage has no room: what is queued is kept, and nothing more is taken. */
  #full: HoldfastError | undefined;
  /** The pump under way, or the last one. */
  #pump: Promise<void> = Promise.resolve();
  #isPumping = false;
  /** What the pump waits for: it goes on before all others who wait for that. */
  #step: Promise<void> = Promise.resolve();
  #flushInFlight: Promise<void> | undefined;
  #syncs = 0;

  constructor(
    core: Core,
    session: StorageSession,
    capabilities: LogCapabilities,
    listener: LogListener,
    state: LogState,
  ) {
    this.#core = core;
    this.#session = session;
    this.#capabilities = capabilities;
    this.#listener = listener;
    this.#state = state;
    this.#place = new LogPlace(core, session, state);
  }

  // Between workers.

  /** Does something in turn, standing where the last one who had it has stopped; waits so many times for that. */
  #inTurn<T>(turn: Turn, body: () => T, attempts = TURN_ATTEMPTS_MAX): T {
    const core = this.#core;
    if (!core.shared) return body();
    for (let attempt = 1; !takeTurn(core, turn); attempt++) {
      if (attempt === attempts) throw noTurn();
    }
    try {
      // Whoever has opened it does not own the storage any more; before, it has written and synced what was installed.
      const hasLeft = this.#state.isJoined === true && hasLeftStorage(core);
      if (hasLeft && this.isDirty) throw closedMeanwhile();
      if (turn === TURN_WRITE && !hasLeft) this.#join();
      return body();
    } finally {
      if (turn === TURN_WRITE) this.#place.noteEnd();
      giveTurn(core, turn);
    }
  }

  /**
   * The same for who need not block. Between two attempts everything else has its turn: the end of a worker that has died with
   * this one is told there, and nowhere else.
   */
  async #inTurnLater<T>(turn: Turn, body: () => T): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return this.#inTurn(turn, body, 1);
      } catch (error) {
        if (attempt === TURN_ATTEMPTS_MAX || !HoldfastError.is(error, "BUSY")) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, TURN_PAUSE_MS));
    }
  }

  #join(): void {
    this.assertUsable();
    try {
      this.#place.follow();
    } catch (cause) {
      throw this.fail(cause);
    }
  }

  /** How often a sync has been made. */
  get syncs(): number {
    return this.#syncs;
  }

  /** Whether something is written that is not known to be synced, or queued and not written. */
  get isDirty(): boolean {
    return this.#core.logPosition > this.#core.logWatermark || this.#core.unwrittenBytes > 0;
  }

  /** Throws if nothing can be written: `STORE_FAILED`, or `STORAGE_FULL` while asynchronous storage has no room. */
  assertUsable(): void {
    if (this.#failure === undefined && this.#core.shared && logFailed(this.#core)) {
      this.fail(new HoldfastError("STORE_FAILED", "The storage has failed in another worker."));
    }
    if (this.#failure !== undefined) throw storeFailed(this.#failure);
    if (this.#full !== undefined && this.#core.unwrittenBytes === 0 && !this.#isPumping) this.#full = undefined;
    if (this.#full === undefined) return;
    // Each refused write asks the storage once more, so that writing goes on soon after there is room.
    const refusal = this.#full;
    this.pump();
    throw refusal;
  }

  /** Why nothing can be written any more. */
  get failure(): HoldfastError | undefined {
    return this.#failure;
  }

  /** Ends all writing; returns the error for commits that were in flight. */
  fail(cause: unknown): HoldfastError {
    this.#rotatesAt = undefined;
    if (this.#failure === undefined) {
      this.#failure = HoldfastError.is(cause, "STORE_FAILED")
        ? cause
        : new HoldfastError("STORE_FAILED", "The storage failed.", { cause });
      if (this.#core.shared) failLog(this.#core);
      this.#listener.onFailed(this.#failure);
    }
    return indeterminate(this.#failure);
  }

  // Segments.

  /** Where the log ends once all that is queued now is written. */
  get #queueEnd(): number {
    return this.#core.logPosition + this.#core.unwrittenBytes;
  }

  /** Whether what is queued needs a new segment first. */
  get #wantsSegment(): boolean {
    const { segment, bytes } = this.#place;
    return segment === 0 || this.#rotatesNow || bytes >= this.#capabilities.segmentBytesTarget;
  }

  get #rotatesNow(): boolean {
    return this.#rotatesAt !== undefined && this.#core.logPosition >= this.#rotatesAt;
  }

  /** Whether a new segment can be begun in a synchronous call: what is in the old one must be synced first. */
  get #canChangeSegment(): boolean {
    return (
      this.#place.segment === 0 || this.#capabilities.syncFlush || this.#core.logPosition <= this.#core.logWatermark
    );
  }

  /** False only where a segment would be begun for nothing. */
  #segmentIsReady(): boolean {
    return !this.#wantsSegment || this.#core.unwrittenBytes > 0;
  }

  #beginSegmentSync(): void {
    const place = this.#place;
    if (place.segment !== 0) this.#syncWritten();
    const next = place.next();
    place.plan(next);
    try {
      this.#session.createSegmentSync(next.number, next.bytes);
    } catch (cause) {
      place.unplan();
      throw this.#creationFailed(cause);
    }
    this.#begun(next);
  }

  async #beginSegment(): Promise<void> {
    if (this.#place.segment !== 0) await this.#flushOnce(true);
    const next = this.#place.next();
    try {
      await this.#session.createSegment(next.number, next.bytes);
    } catch (cause) {
      throw this.#creationFailed(cause);
    }
    this.#begun(next);
  }

  #begun(next: NextSegment): void {
    this.#place.begin(next);
    if (this.#rotatesNow) this.#rotatesAt = undefined;
  }

  /** A segment is there whole or not at all, so that one for which there was no room can be tried again. */
  #creationFailed(cause: unknown): unknown {
    this.#rotatesAt = undefined;
    if (!this.#canUndoAfter(cause)) return this.fail(cause);
    if (!this.#capabilities.syncAppend) this.#full = cause;
    this.#undo(0, cause);
    return cause;
  }

  /** Where the segment under way begins, if it was begun in this session and nothing stands behind that or is queued. */
  get #restsAt(): SegmentStart | undefined {
    const { start } = this.#place;
    const isEmpty = start?.position === this.#core.logPosition && this.#core.unwrittenBytes === 0 && !this.#isPumping;
    return isEmpty ? start : undefined;
  }

  /**
   * Writes what is queued, closes the segment under way, synced to its end, and begins the next; where that is. One that
   * nothing was written to yet is kept. What stands before it is published when this returns.
   */
  async rotate(): Promise<SegmentStart> {
    this.assertUsable();
    if (this.#capabilities.syncAppend) {
      this.drainSync();
      await this.#session.prepareSegment?.();
      while (!this.#canChangeSegment) await this.sync();
      this.assertUsable();
      this.#inTurn(TURN_WRITE, () => {
        if (this.#restsAt === undefined) this.#beginSegmentSync();
      });
      return this.#place.start as SegmentStart;
    }
    this.#rotatesAt = this.#restsAt === undefined ? this.#queueEnd : undefined;
    try {
      while (this.#rotatesAt !== undefined) await this.#pumpUntil(() => this.#rotatesAt === undefined);
    } finally {
      this.#rotatesAt = undefined;
    }
    if (this.#failure !== undefined) throw storeFailed(this.#failure);
    return this.#place.start as SegmentStart;
  }

  #undo(appendedBytes: number, error: HoldfastError): void {
    const undone = this.#core.drainFailed(appendedBytes);
    this.#listener.onUndoing();
    this.#tellUndone(undone, error);
  }

  /** That a note alone has found no room is nobody's loss. */
  #tellUndone(undone: number, error: HoldfastError): void {
    if (undone > 0 || this.#core.unwrittenBytes > 0) this.#listener.onUndone(error);
  }

  // Writing.

  /** Writes everything that is queued by now. Only where the storage appends synchronously. */
  drainSync(): void {
    this.assertUsable();
    if (this.#core.shared && this.#core.unwrittenBytes === 0) this.publishDue();
    else this.#inTurn(TURN_WRITE, () => this.#drainAll());
  }

  /** Sees to it that what other workers have written and synced is published when this returns. */
  publishDue(): void {
    if (this.#core.shared) this.#core.publishDue();
    this.#listener.onPublished();
  }

  #drainAll(): void {
    // Other workers may queue for as long as this one writes.
    const end = this.#core.shared ? this.#queueEnd : Number.POSITIVE_INFINITY;
    for (let more = this.#segmentIsReady(); more; ) {
      if (this.#wantsSegment && this.#canChangeSegment) this.#beginSegmentSync();
      const bytes = this.#core.drain(DRAIN_BYTES_MAX);
      if (bytes === undefined) break;
      this.#appendSync(bytes);
      this.#place.bytes += bytes.length;
      more = this.#noteWritten() && this.#core.logPosition < end;
    }
    this.#listener.onPublished();
  }

  /** Has the core take what was sealed for written, since it would be written once more otherwise. Whether more is queued. */
  #noteWritten(): boolean {
    for (let attempt = 1; ; attempt++) {
      try {
        return this.#core.drained();
      } catch (cause) {
        if (attempt === TURN_ATTEMPTS_MAX || !HoldfastError.is(cause, "BUSY")) throw this.fail(cause);
      }
    }
  }

  /**
   * Whether what is unpublished can be undone after this. Not where other workers may wait for commits of theirs: they would
   * not be told in time, and take for kept what is gone. Then nothing is written any more.
   */
  #canUndoAfter(cause: unknown): cause is HoldfastError {
    return HoldfastError.is(cause, "STORAGE_FULL") && !(this.#core.shared && this.#core.hasOthers);
  }

  #appendSync(bytes: Uint8Array): void {
    try {
      this.#session.appendSync(bytes);
    } catch (cause) {
      if (!this.#canUndoAfter(cause)) throw this.fail(cause);
      const appended = cause.details["appendedBytes"];
      const undone = this.#core.drainFailed(typeof appended === "number" ? appended : 0);
      this.#listener.onUndoing();
      try {
        this.#session.truncateSync(this.#place.segmentEnd);
      } catch (cutCause) {
        throw this.fail(cutCause);
      }
      this.#tellUndone(undone, cause);
      throw cause;
    }
  }

  /** Makes everything that is written durable, and publishes what waited for it. */
  syncSync(): void {
    this.assertUsable();
    if (!this.#core.shared) {
      this.#syncWritten();
    } else if (this.isWritten) {
      // One's own descriptor must be of the segment that is written to: the others are synced to their ends.
      const position = this.#inTurn(TURN_WRITE, () => this.#core.logPosition);
      this.#inTurn(TURN_SYNC, () => this.#syncWritten(position));
    } else {
      this.publishDue();
    }
  }

  /** Whether something is written that is not known to be synced. */
  get isWritten(): boolean {
    return this.#core.logPosition > this.#core.logWatermark;
  }

  #syncWritten(position = this.#core.logPosition): void {
    if (position <= this.#core.logWatermark) {
      if (this.#core.shared) this.publishDue();
      return;
    }
    this.#syncs++;
    try {
      this.#session.flushSync();
    } catch (cause) {
      throw this.fail(cause);
    }
    if (this.#core.shared) this.assertUsable();
    if (this.#failure !== undefined) throw indeterminate(this.#failure);
    this.#core.synced(position);
    this.#listener.onPublished();
  }

  /** Begins to write what is queued on asynchronous storage, batch by batch, if nobody does; what fails is told to the listener. */
  pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    this.#pump = this.#pumpLoop();
    this.#pump.catch(() => {});
  }

  /** The same, and waits until something is so, or nothing is queued any more. What fails before that is thrown. */
  async #pumpUntil(isDone: () => boolean): Promise<void> {
    this.pump();
    const pump = this.#pump;
    while (this.#isPumping && !isDone()) await this.#step;
    if (!isDone()) await pump;
  }

  async #pumpLoop(): Promise<void> {
    try {
      while (this.#failure === undefined && (this.#core.unwrittenBytes > 0 || this.#rotatesAt !== undefined)) {
        if (this.#wantsSegment) {
          this.#step = this.#beginSegment();
          await this.#step;
        }
        const bytes = this.#core.drain(DRAIN_BYTES_MAX);
        if (bytes === undefined) {
          if (this.#rotatesAt === undefined) break;
          // What was queued is undone, or another worker has yet to finish it: that comes behind.
          this.#rotatesAt = 0;
          continue;
        }
        // What is unpublished waits for a sync: it has one in the same step, where the storage can.
        const durably = this.#capabilities.durableAppend === true && this.#core.unpublished > 0;
        if (durably) this.#syncs++;
        this.#step = this.#append(bytes, durably);
        await this.#step;
        this.#place.bytes += bytes.length;
        this.#full = undefined;
        this.#noteWritten();
        // Who writes asynchronously writes alone: the storage has no place for another worker.
        this.#place.noteEnd();
        // It counts only if no sync has failed meanwhile, like every sync (COMMIT 10).
        if (durably && this.#failure === undefined) {
          this.#core.synced(this.#core.logPosition);
          this.#listener.onSynced();
        } else this.#listener.onPublished();
      }
    } finally {
      // In the same breath as the last look at the queue: what is queued from now on begins another pump.
      this.#isPumping = false;
    }
  }

  async #append(bytes: Uint8Array, durably: boolean): Promise<void> {
    try {
      await (durably ? this.#session.appendDurably?.(bytes) : this.#session.append(bytes));
    } catch (cause) {
      if (!this.#canUndoAfter(cause)) throw this.fail(cause);
      // Nothing is taken until the cut is durable.
      this.#full = cause;
      const undone = this.#core.drainFailed(0);
      this.#listener.onUndoing();
      try {
        await this.#session.truncate(this.#place.segmentEnd);
      } catch (cutCause) {
        throw this.fail(cutCause);
      }
      this.#tellUndone(undone, cause);
      throw cause;
    }
  }

  /** Writes everything that is queued by now, synchronously where that can be. */
  async drain(): Promise<void> {
    if (this.#failure !== undefined) throw storeFailed(this.#failure);
    if (!this.#capabilities.syncAppend) {
      const end = this.#queueEnd;
      await this.#pumpUntil(() => this.#core.logPosition >= end);
    } else if (!this.#core.shared) this.drainSync();
    else await this.#drainLater();
  }

  async #drainLater(): Promise<void> {
    this.assertUsable();
    if (this.#core.unwrittenBytes === 0) this.publishDue();
    else await this.#inTurnLater(TURN_WRITE, () => this.#drainAll());
  }

  /**
   * Makes everything durable that is written when it begins. Calls share a sync: one is under way, the next covers all who
   * came meanwhile.
   */
  async sync(): Promise<void> {
    const position = this.#core.logPosition;
    while (this.#core.logWatermark < position) {
      if (this.#failure !== undefined) throw indeterminate(this.#failure);
      await (this.#flushInFlight ?? this.#flushOnce(false));
    }
  }

  /**
   * Writes what is queued and begins the next sync, all in this call. Only where the storage appends synchronously and no
   * sync is under way; what fails is told to the listener, and to whoever waits.
   */
  beginSync(): void {
    try {
      this.drainSync();
    } catch {
      if (this.#failure !== undefined) return;
    }
    if (this.#core.logPosition > this.#core.logWatermark) this.#flushOnce(false).catch(() => {});
  }

  /** The sync that is under way in the background. */
  get syncing(): Promise<void> | undefined {
    return this.#flushInFlight;
  }

  /** `pumping`: whether it is the pump that asks, which has nothing under way then. */
  #flushOnce(pumping: boolean): Promise<void> {
    const flight = this.#flush(pumping).finally(() => {
      if (this.#flushInFlight === flight) this.#flushInFlight = undefined;
    });
    this.#flushInFlight = flight;
    return flight;
  }

  async #flush(pumping: boolean): Promise<void> {
    this.#syncs++;
    // One's own descriptor must be of the segment that is written to: the others are synced to their ends.
    const position = this.#core.shared
      ? await this.#inTurnLater(TURN_WRITE, () => this.#core.logPosition)
      : this.#core.logPosition;
    try {
      await this.#session.flush();
    } catch (cause) {
      // It stood behind an append for which there was no room, and was refused instead of being made: once the pump has
      // cut that off, whoever waits can ask again.
      if (pumping || !this.#isPumping || !HoldfastError.is(cause, "STORAGE_FULL")) throw this.fail(cause);
      await this.#step.catch(() => {});
      return;
    }
    this.#flushInFlight = undefined;
    if (this.#core.shared && logFailed(this.#core))
      throw this.fail(new Error("Another worker's sync has failed meanwhile."));
    if (this.#failure !== undefined) throw indeterminate(this.#failure);
    this.#core.synced(position);
    this.#listener.onSynced();
  }

  /** Waits for what is under way; never throws. */
  async settle(): Promise<void> {
    await this.#pump.catch(() => {});
    await this.#flushInFlight?.catch(() => {});
  }

  /** Queues the record that tells recovery what is synced; with `closed` also that nothing came after. */
  mark(closed: boolean): void {
    this.#core.watermark(closed ? abi.WATERMARK_CLOSED : 0);
  }

  /** Whether the log has any segment. */
  get hasLog(): boolean {
    return this.hasBegun || this.#state.segment !== 0;
  }

  /** Whether the log has a segment of this session, so that there is something to mark. */
  get hasBegun(): boolean {
    return this.#place.hasBegun;
  }
}

function noTurn(): HoldfastError {
  return new HoldfastError(
    "BUSY",
    "Another worker has been in the middle of writing to the storage for too long. If it is dead, db.detach(its id) says so.",
  );
}
