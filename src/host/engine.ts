/**
 * What runs, transactions and snapshots share of one open database: its core, its durability, and whether it is open.
 */
import { type ErrorCode, HoldfastError } from "../errors.js";
import { MODE_BUFFERED, MODE_IN_MEMORY, MODE_STRICT } from "./abi.js";
import type { Core, RunHandle } from "./core.js";
import type { DurableLog } from "./durability.js";
import {
  type BufferedMode,
  bufferedDefault,
  type CommitMode,
  commitMode,
  type DurabilityMode,
  type DurabilityOption,
  parseDurability,
} from "./durability-mode.js";
import type { Environment } from "./environment.js";

/** What an engine is made of. */
export interface EngineParts {
  readonly core: Core;
  /** Undefined for a database in memory only. */
  readonly log: DurableLog | undefined;
  readonly mode: DurabilityMode;
  readonly readOnly: boolean;
  /** Whether a strict commit can be made in a synchronous call. */
  readonly syncFlush: boolean;
  readonly storageKind: string;
  readonly environment: Environment;
}

/** What a leaked snapshot, transaction or walk still holds in the core. It refers to numbers only, never to the handle. */
export interface Held {
  /** The version that is held. */
  readonly version: number;
  giveBack(core: Core): void;
}

/** A handle that holds something in the core until it is ended. */
export interface Holder {
  /** Where it stands among the recent ones; −1: not among them. Kept by the engine. */
  place: number;
  held(): Held;
}

export class Engine {
  readonly core: Core;
  readonly log: DurableLog | undefined;
  readonly environment: Environment;
  /** The database's own mode. */
  readonly #defaultMode: CommitMode;
  /** What a buffered write takes where it does not say so itself. */
  readonly #buffered: BufferedMode;
  readonly #readOnly: boolean;
  readonly #syncFlush: boolean;
  readonly #storageKind: string;
  /** Why nothing new is taken, once closing; and why nothing can be done any more, once closed or locked out. */
  #closing: string | undefined;
  #closed: string | undefined;
  /** What that is told as. */
  #closedAs: ErrorCode = "CLOSED";
  /** Asynchronous operations that have begun and not ended. */
  #inFlight = 0;
  readonly #awaitingLanding: (() => void)[] = [];
  /** Open handles of this turn; held on to until it is over. */
  readonly #recent: Holder[] = [];
  #isSettling = false;
  /**
   * The last handles that were ended. While no object of a class is alive, a JavaScript engine may forget what it has learnt
   * of the class at its next collection, and with it the compiled code of everything that makes or uses one.
   */
  keptSnapshot: object | undefined;
  keptTransaction: object | undefined;
  /** Of each run's graph, by the address of the run, the newest block of ids whose mark is published (ids.ts). */
  readonly idMarks = new Map<number, { readonly generation: number; readonly block: number }>();
  /** When versions were first seen to be held beyond a turn, and by how many handles. */
  readonly #heldSince = new Map<number, { readonly sinceMs: number; holders: number }>();
  readonly #leaks = new FinalizationRegistry<Held>((held) => this.#reclaim(held));

  constructor(parts: EngineParts) {
    this.core = parts.core;
    this.log = parts.log;
    this.environment = parts.environment;
    this.#defaultMode = commitMode(parts.mode);
    this.#buffered = this.#defaultMode.bounds ?? bufferedDefault();
    this.#readOnly = parts.readOnly;
    this.#syncFlush = parts.syncFlush;
    this.#storageKind = parts.storageKind;
  }

  /** Whether new work is taken. */
  get isOpen(): boolean {
    return this.#closing === undefined;
  }

  /** Whether work that has begun can go on. */
  get isLive(): boolean {
    return this.#closed === undefined;
  }

  /**
   * Whether what a handle holds in the core can be given back. Once the core has trapped it need not be: ending a handle then
   * does nothing, as after the close, and in no way hides the error that has been thrown.
   */
  get canGiveBack(): boolean {
    return this.isLive && this.core.isSound;
  }

  /** Takes no new work from now on; what has begun goes on. */
  beginClosing(reason: string): void {
    this.#closing ??= reason;
  }

  /** Refuses everything from now on, with that code unless it was closed before. */
  close(reason: string, code: ErrorCode = "CLOSED"): void {
    if (this.#closing === undefined) this.#closedAs = code;
    this.#closing ??= reason;
    this.#closed ??= reason;
  }

  /** Before new work. @throws HoldfastError `CLOSED`, or what it was closed with. */
  assertOpen(): void {
    if (this.#closing !== undefined) throw new HoldfastError(this.#closedAs, `${this.#closing} Open it again.`);
  }

  /** Before a step of work that has begun. @throws HoldfastError as {@link assertOpen}. */
  assertLive(): void {
    if (this.#closed !== undefined) throw new HoldfastError(this.#closedAs, `${this.#closed} Open it again.`);
  }

  /** Before a write. @throws HoldfastError `READ_ONLY`, `STORE_FAILED`, `STORAGE_FULL`, `BUSY`; nothing has changed. */
  assertWritable(): void {
    if (this.#readOnly) {
      throw new HoldfastError("READ_ONLY", "The database was opened with readOnly: true. Open it without to write.");
    }
    this.log?.assertWritable();
  }

  #given(option: DurabilityOption): CommitMode {
    return commitMode(parseDurability(option, this.#buffered));
  }

  /**
   * The mode that a synchronous write is made in.
   * @throws HoldfastError `SYNC_COMMIT_UNSUPPORTED` if the storage cannot keep its promise synchronously.
   */
  syncModeOf(option: DurabilityOption | undefined): CommitMode {
    const mode = option === undefined ? this.#defaultMode : this.#given(option);
    if (mode.number === MODE_IN_MEMORY) return mode;
    // Without a log nothing is written: a transaction can still read.
    if (this.#readOnly) return mode;
    if (this.log === undefined) throw this.#unsupported(mode, "Open the database with a path or a persistent storage.");
    if (mode.number === MODE_STRICT && !this.#syncFlush)
      throw this.#unsupported(mode, "Use await run.transactionAsync(…).");
    return mode;
  }

  /** The mode that an asynchronous transaction is made in. */
  asyncModeOf(option: DurabilityOption | undefined): CommitMode {
    const mode = option === undefined ? this.#defaultMode : this.#given(option);
    if (mode.number === MODE_IN_MEMORY || this.log !== undefined || this.#readOnly) return mode;
    throw this.#unsupported(mode, "Open the database with a path or a persistent storage.");
  }

  #unsupported(mode: CommitMode, next: string): HoldfastError {
    const name = mode.number === MODE_BUFFERED ? "buffered" : "strict";
    return new HoldfastError(
      "SYNC_COMMIT_UNSUPPORTED",
      `The storage (${this.#storageKind}) cannot make a ${name} commit in a synchronous call; nothing has changed. ${next}`,
      { details: { storage: this.#storageKind, mode: name } },
    );
  }

  /** Keeps the promise of `mode` for a commit that was just installed. */
  settle(run: RunHandle, version: number, mode: CommitMode): void {
    if (this.log === undefined) return;
    try {
      this.log.mode(mode.number).commit(run, version, mode.bounds);
    } catch (error) {
      this.discard(run);
      throw error;
    }
  }

  /** Lets go of a run that there was nothing in but a commit which was undone: it would stay for good. */
  discard(run: RunHandle): void {
    if (this.canGiveBack) this.core.discardRun(run);
  }

  /** Milliseconds since 1970, which are stored: whatever else a clock may return is refused. */
  wallMs(): number {
    const nowMs: unknown = this.environment.wallMs();
    if (typeof nowMs === "number" && Number.isFinite(nowMs)) return nowMs;
    throw new HoldfastError(
      "INVALID_ARGUMENT",
      "The clock gives no time: wallMs, or Date.now, must return a finite number of milliseconds; nothing has changed.",
    );
  }

  /** Counts an asynchronous operation as in flight from before it begins, so that `close` waits for it. */
  track<T>(start: () => Promise<T>): Promise<T> {
    this.#inFlight++;
    const work = start();
    work.then(this.#landed, this.#landed);
    return work;
  }

  readonly #landed = (): void => {
    this.#inFlight--;
    if (this.#inFlight > 0) return;
    for (const resolve of this.#awaitingLanding.splice(0)) resolve();
  };

  /** Waits for every operation in flight, whatever becomes of it. */
  async drainInFlight(): Promise<void> {
    while (this.#inFlight > 0) await new Promise<void>((resolve) => this.#awaitingLanding.push(resolve));
  }

  /**
   * Sees to it that what `holder` holds in the core is given back if it is dropped without being ended. Most are ended
   * before the caller's turn is over, and a collector finds nothing before that: only what is still open then is
   * registered with it.
   */
  watch(holder: Holder): void {
    holder.place = this.#recent.length;
    this.#recent.push(holder);
    if (this.#isSettling) return;
    this.#isSettling = true;
    queueMicrotask(this.#settleRecent);
  }

  unwatch(holder: Holder): void {
    const { place } = holder;
    if (place === WATCHED) {
      this.#leaks.unregister(holder);
      this.#forgetHeld(holder.held().version);
    } else if (place >= 0) this.#forgetRecent(place);
    holder.place = UNWATCHED;
  }

  #forgetRecent(place: number): void {
    const last = this.#recent.pop() as Holder;
    if (last.place === place) return;
    last.place = place;
    this.#recent[place] = last;
  }

  readonly #settleRecent = (): void => {
    this.#isSettling = false;
    for (const holder of this.#recent) {
      const held = holder.held();
      holder.place = WATCHED;
      this.#leaks.register(holder, held, holder);
      this.#noteHeld(held.version);
    }
    this.#recent.length = 0;
  };

  /** For how long a version has been held, in milliseconds; `undefined` where no turn has ended since. */
  heldForMs(version: number): number | undefined {
    const note = this.#heldSince.get(version);
    return note === undefined ? undefined : this.environment.monotonicMs() - note.sinceMs;
  }

  #noteHeld(version: number): void {
    const note = this.#heldSince.get(version);
    if (note === undefined) this.#heldSince.set(version, { sinceMs: this.environment.monotonicMs(), holders: 1 });
    else note.holders++;
  }

  #forgetHeld(version: number): void {
    const note = this.#heldSince.get(version);
    if (note !== undefined && --note.holders === 0) this.#heldSince.delete(version);
  }

  #reclaim(held: Held): void {
    this.#forgetHeld(held.version);
    if (!this.canGiveBack) return;
    held.giveBack(this.core);
  }
}

/** The place of a handle that nobody watches, and of one that the collector does. */
const UNWATCHED = -1;
const WATCHED = -2;
