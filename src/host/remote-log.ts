/**
 * The log of a worker that only installs and queues: another one writes it, for all who share the memory (`drainer.ts`).
 *
 * What it keeps true:
 *  - a call is made after the commit is installed, so that the round that answers it has written that;
 *  - a round that was answered counts, whatever has failed since; while none is, a failure ends the wait (COMMIT 9);
 *  - where this thread may sleep it waits for a bounded time: who has installed and waited in vain cannot say more than
 *    `COMMIT_INDETERMINATE` (COMMIT 6); asynchronous waits go on until the round is over or the database is closed.
 *
 * Loaded only where memory is shared.
 */
import { HoldfastError } from "../errors.js";
import { WATERMARK_CLOSED } from "./abi.js";
import type { Core } from "./core.js";
import { failLog, hasLeftStorage, logFailed, logPlace } from "./core-shared-log.js";
import type { Environment } from "./environment.js";
import { closedMeanwhile, indeterminate, type Log, type LogListener, type SegmentStart, storeFailed } from "./log.js";
import type { LogPost } from "./log-post.js";
import type { LogState } from "./log-state.js";
import { unsupported } from "./unsupported.js";

/** The longest that a synchronous call waits for the worker that writes. */
const WAIT_MS_MAX = 10_000;
/** How often a waiter looks whether all has failed, or is closed. */
const LOOK_MS = 250;

/** What a {@link RemoteLog} is made of. */
export interface RemoteLogParts {
  readonly core: Core;
  readonly post: LogPost;
  readonly listener: LogListener;
  readonly state: LogState;
  readonly environment: Environment;
  /** Asks the worker that writes; only where the database was opened. */
  readonly ask?: ((what: string) => Promise<unknown>) | undefined;
}

export class RemoteLog implements Log {
  readonly #core: Core;
  readonly #post: LogPost;
  readonly #listener: LogListener;
  readonly #state: LogState;
  readonly #environment: Environment;
  readonly #ask: ((what: string) => Promise<unknown>) | undefined;
  #failure: HoldfastError | undefined;
  /** The writing in the background that somebody looks after, and whether more was asked for meanwhile. */
  #pumping: Promise<void> | undefined;
  #pumpsAgain = false;

  constructor({ core, post, listener, state, environment, ask }: RemoteLogParts) {
    this.#core = core;
    this.#post = post;
    this.#listener = listener;
    this.#state = state;
    this.#environment = environment;
    this.#ask = ask;
  }

  /** Why nothing can be written any more. */
  get failure(): HoldfastError | undefined {
    if (this.#failure === undefined && logFailed(this.#core)) this.fail(failedElsewhere());
    return this.#failure;
  }

  get isDirty(): boolean {
    return this.#core.logPosition > this.#core.logWatermark || this.#core.unwrittenBytes > 0;
  }

  get syncs(): number {
    return this.#post.syncs;
  }

  get syncing(): undefined {
    return undefined;
  }

  get hasBegun(): boolean {
    return logPlace(this.#core).segment !== 0;
  }

  get hasLog(): boolean {
    return this.hasBegun || this.#state.segment !== 0;
  }

  assertUsable(): void {
    const { failure } = this;
    if (failure !== undefined) throw storeFailed(failure);
  }

  fail(cause: unknown): HoldfastError {
    if (this.#failure === undefined) {
      this.#failure = HoldfastError.is(cause, "STORE_FAILED")
        ? cause
        : new HoldfastError("STORE_FAILED", "The storage failed.", { cause });
      failLog(this.#core);
      this.#listener.onFailed(this.#failure);
    }
    return indeterminate(this.#failure);
  }

  async rotate(): Promise<SegmentStart> {
    this.assertUsable();
    if (this.#ask === undefined) throw unsupported("A new segment", "Begin it where the database was opened.");
    return (await this.#ask("rotate")) as SegmentStart;
  }

  // Synchronously.

  drainSync(durably = false): void {
    this.assertUsable();
    if (this.#isDone(durably)) this.publishDue();
    else this.#waitSync(durably);
  }

  syncSync(): void {
    this.drainSync(true);
  }

  /** Whether nothing is left to do that one could wait for. */
  #isDone(durably: boolean): boolean {
    if (this.#core.unwrittenBytes > 0) return false;
    return !durably || this.#core.logPosition <= this.#core.logWatermark;
  }

  #waitSync(durably: boolean): void {
    const ticket = this.#post.call(durably);
    const endMs = this.#environment.monotonicMs() + WAIT_MS_MAX;
    for (;;) {
      const { round } = this.#post;
      if (this.#isOver(durably, ticket)) return;
      if (this.#environment.monotonicMs() >= endMs) throw tooLong();
      this.#post.waitSync(round, LOOK_MS);
    }
  }

  /** Whether a call has been answered, or need not be any more. Throws where it never will be. */
  #isOver(durably: boolean, ticket: number): boolean {
    if (!this.#post.isDone(durably, ticket)) {
      const { failure } = this;
      if (failure !== undefined) throw indeterminate(failure);
      if (!hasLeftStorage(this.#core)) return this.#assertWritten();
      // Whoever has opened it has written and synced what was installed before.
      if (!this.#isDone(true)) throw closedMeanwhile();
    }
    this.#listener.onPublished();
    return true;
  }

  /** Throws if the one who writes is known to be dead. */
  #assertWritten(): false {
    const { worker, word } = this.#post.writer;
    if (this.#core.workerIn(worker).word !== word) throw this.fail(new Error("The worker that writes has ended."));
    return false;
  }

  // In the background.

  async drain(durably = false): Promise<void> {
    this.assertUsable();
    if (this.#isDone(durably)) this.publishDue();
    else await this.#wait(durably);
  }

  async sync(): Promise<void> {
    const position = this.#core.logPosition;
    while (this.#core.logWatermark < position) await this.#wait(true);
  }

  async #wait(durably: boolean): Promise<void> {
    const ticket = this.#post.call(durably);
    for (;;) {
      const { round } = this.#post;
      if (this.#isOver(durably, ticket)) return;
      await this.#post.wait(round, LOOK_MS);
    }
  }

  pump(): void {
    if (this.#pumping === undefined) {
      this.#pumping = this.#pump();
      return;
    }
    this.#pumpsAgain = true;
    this.#post.call(false);
  }

  async #pump(): Promise<void> {
    try {
      do {
        this.#pumpsAgain = false;
        await this.#wait(false);
      } while (this.#pumpsAgain);
    } catch {
      // A failure has been told to the listener; once the database is closed, nothing of this worker is left over.
    } finally {
      this.#pumping = undefined;
    }
  }

  beginSync(): void {
    this.drain(true).catch(() => {});
  }

  publishDue(): void {
    this.#core.publishDue();
    this.#listener.onPublished();
  }

  mark(closed: boolean): void {
    this.#core.watermark(closed ? WATERMARK_CLOSED : 0);
  }

  async settle(): Promise<void> {
    await this.#pumping;
  }
}

function failedElsewhere(): HoldfastError {
  return new HoldfastError("STORE_FAILED", "The storage has failed in the worker that writes to it.");
}

function tooLong(): HoldfastError {
  return new HoldfastError("BUSY", "The worker that writes to the storage has not done so for too long.");
}
