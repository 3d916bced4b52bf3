/**
 * Asynchronous commits that share syncs: each waits until what it depends on is published, and one cycle at a time writes
 * and syncs for all who have come by then.
 *
 * An outcome, value or throw, is withheld until everything that it was read from is published (COMMIT 5).
 */
import { HoldfastError } from "../errors.js";
import type { Core, RunHandle } from "./core.js";
import { installedError, type Log } from "./log.js";

interface Waiter {
  readonly run: RunHandle;
  readonly version: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Microtasks that nobody new has come in, after which nobody is waited for. */
const IDLE_HOPS_MAX = 8;
/** One microtask's wait: some engines take several times as long to wait for what is no promise. */
const HOP = Promise.resolve();

/** What group commit asks of the storage and the clock. */
interface Surroundings {
  /** Whether the next sync can be begun in the very call that ends the last one, and others work beside it. */
  readonly canChain: boolean;
  monotonicMs(): number;
}

/**
 * How many of those who come in turn are worth waiting for.
 *
 * If they take longer to come back than a sync takes, halves alternate: one is at work while the other one is synced, and
 * nothing idles. If a sync takes longer, each that is saved counts for more than the idling, and all share one. Where
 * syncs cannot be chained, all who come in turn are waited for: either nobody works beside a sync, or each has the way to the
 * storage and back in it, which is the dearest of all.
 */
class Crowd {
  readonly #clock: Surroundings;
  #size = 0;
  #released = 0;
  #releasedAtMs = 0;
  #lastCameAtMs = 0;
  #syncBeganAtMs = 0;
  #sharesOneSync = false;

  constructor(clock: Surroundings) {
    this.#clock = clock;
  }

  came(): void {
    this.#lastCameAtMs = this.#clock.monotonicMs();
  }

  syncBegins(): void {
    this.#syncBeganAtMs = this.#clock.monotonicMs();
  }

  /** So many were let go by a sync, and so many stay. */
  released(count: number, staying: number): void {
    if (count === 0) return;
    const nowMs = this.#clock.monotonicMs();
    if (this.#released > 0) {
      const oneComesInMs = Math.max(0, this.#lastCameAtMs - this.#releasedAtMs) / this.#released;
      this.#sharesOneSync = oneComesInMs * this.#size < nowMs - this.#syncBeganAtMs;
    }
    this.#size = count + staying;
    this.#released = count;
    this.#releasedAtMs = nowMs;
  }

  /** Whether a sync is worth beginning for so many. */
  isGathered(waiting: number): boolean {
    if (!this.#clock.canChain) return false;
    return this.#size > 0 && waiting * (this.#sharesOneSync ? 1 : 2) >= this.#size;
  }
}

export class GroupCommit {
  readonly #core: Core;
  readonly #log: Log;
  #waiters: Waiter[] = [];
  /** Those whose version was undone, until that may be told. */
  #undone: Waiter[] = [];
  #cycle: Promise<void> | undefined;
  readonly #crowd: Crowd;

  constructor(core: Core, log: Log, surroundings: Surroundings) {
    this.#core = core;
    this.#log = log;
    this.#crowd = new Crowd(surroundings);
  }

  /** Resolves when a version of a run is published. Rejects if it is undone, or the store fails first. */
  published(run: RunHandle, version: number): Promise<void> {
    if (version === 0 || this.#core.isPublished(run, version)) return Promise.resolve();
    const failure = this.#log.failure;
    if (failure !== undefined) return Promise.reject(this.#log.fail(failure));
    return new Promise((resolve, reject) => {
      this.#waiters.push({ run, version, resolve, reject });
      this.#crowd.came();
      this.#cycle ??= this.#run();
    });
  }

  async #run(): Promise<void> {
    try {
      while (this.#waiters.length > 0 && this.#log.failure === undefined) {
        if (this.#log.syncing !== undefined) {
          await this.#log.syncing.catch(() => {});
          continue;
        }
        await this.#gather();
        this.#crowd.syncBegins();
        await this.#log.drain(true).catch(() => {});
        if (this.#waiters.length > 0) await this.#log.sync();
        this.onPublished();
        if (this.#waiters.length === 0 || this.#log.isDirty) continue;
        this.#log.publishDue();
        if (!this.#log.isDirty) this.#rejectAll(lost());
      }
    } catch (error) {
      this.#rejectAll(installedError(error));
    } finally {
      this.#cycle = undefined;
    }
    if (this.#log.failure !== undefined) this.#rejectAll(this.#log.fail(this.#log.failure));
  }

  /** Lets those join whose callbacks are just ending. */
  async #gather(): Promise<void> {
    let seen = 0;
    for (let idleHops = 0; idleHops < IDLE_HOPS_MAX; idleHops++) {
      await HOP;
      if (this.#waiters.length > seen) {
        seen = this.#waiters.length;
        idleHops = 0;
      }
      if (this.#crowd.isGathered(seen)) return;
    }
  }

  /**
   * Begins the next sync for those who came while the last one was under way, before it lets those go who waited for that:
   * so the disk works while they do.
   */
  onSynced(): void {
    const waiting = this.#waiters.length;
    const next = this.#waiters.filter((waiter) => !this.#core.isPublished(waiter.run, waiter.version));
    this.#crowd.released(waiting - next.length, next.length);
    if (this.#crowd.isGathered(next.length)) {
      this.#crowd.syncBegins();
      this.#log.beginSync();
    }
    this.onPublished();
  }

  #rejectAll(error: unknown): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter.reject(error);
  }

  /** Lets go of those whose version readers now see. */
  onPublished(): void {
    if (this.#waiters.length === 0) return;
    const still: Waiter[] = [];
    for (const waiter of this.#waiters) {
      if (this.#core.isPublished(waiter.run, waiter.version)) waiter.resolve();
      else still.push(waiter);
    }
    this.#waiters = still;
  }

  /**
   * Sets those aside whose version was just undone. Only now can they be told: once later commits of the run are published,
   * their versions look as if they were too.
   */
  onUndoing(): void {
    this.onPublished();
    const written = this.#core.writtenVersion;
    const still: Waiter[] = [];
    for (const waiter of this.#waiters) (waiter.version > written ? this.#undone : still).push(waiter);
    this.#waiters = still;
  }

  /** Refuses those whose version was undone. */
  onUndone(error: HoldfastError): void {
    const undone = this.#undone;
    this.#undone = [];
    for (const waiter of undone) waiter.reject(error);
  }

  /** Refuses all: nothing will become durable any more. */
  onFailed(error: HoldfastError): void {
    this.onUndone(error);
    this.#rejectAll(error);
  }

  /** Waits until nobody waits. */
  async settle(): Promise<void> {
    while (this.#cycle !== undefined) await this.#cycle.catch(() => {});
  }
}

/** Everything is written and synced, and somebody still waits: a fault of the store, told instead of waited out. */
function lost(): HoldfastError {
  return new HoldfastError("COMMIT_INDETERMINATE", "The commit is synced, but not visible. Open the database anew.");
}
