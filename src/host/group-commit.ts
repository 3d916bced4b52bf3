/**
 * Asynchronous commits that share syncs: each waits until what it depends on is published, and one cycle at a time writes
 * and syncs for all who have come by then.
 *
 * An outcome, value or throw, is withheld until everything that it was read from is published (COMMIT 5).
 */
import { HoldfastError } from "../errors.js";
import type { Core, RunHandle } from "./core.js";
import type { LogWriter } from "./log-writer.js";

interface Waiter {
  readonly run: RunHandle;
  readonly version: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Microtasks that nobody new has come in, after which nobody is waited for. */
const IDLE_HOPS_MAX = 8;

export class GroupCommit {
  readonly #core: Core;
  readonly #log: LogWriter;
  #waiters: Waiter[] = [];
  /** Those whose version was undone, until that may be told. */
  #undone: Waiter[] = [];
  #cycle: Promise<void> | undefined;
  /** How many were let go of in this cycle, and how many there were together in the last. */
  #released = 0;
  #crowd = 0;

  constructor(core: Core, log: LogWriter) {
    this.#core = core;
    this.#log = log;
  }

  /** Resolves when a version of a run is published. Rejects if it is undone, or the store fails first. */
  published(run: RunHandle, version: number): Promise<void> {
    if (version === 0 || this.#core.isPublished(run, version)) return Promise.resolve();
    const failure = this.#log.failure;
    if (failure !== undefined) return Promise.reject(this.#log.fail(failure));
    return new Promise((resolve, reject) => {
      this.#waiters.push({ run, version, resolve, reject });
      this.#cycle ??= this.#run();
    });
  }

  async #run(): Promise<void> {
    try {
      while (this.#waiters.length > 0 && this.#log.failure === undefined) {
        await this.#gather();
        await this.#log.drain().catch(() => {});
        this.#released = 0;
        if (this.#waiters.length > 0) await this.#log.sync();
        this.onPublished();
        this.#crowd = this.#released + this.#waiters.length;
        if (this.#waiters.length > 0 && !this.#log.isDirty) this.#rejectAll(lost());
      }
    } catch (error) {
      this.#rejectAll(error);
    } finally {
      this.#cycle = undefined;
    }
    if (this.#log.failure !== undefined) this.#rejectAll(this.#log.fail(this.#log.failure));
  }

  /**
   * Lets those join whose callbacks are just ending, until half of those are here who were there last time: the others
   * come while these are synced, so that one half is always at work while the other one waits.
   */
  async #gather(): Promise<void> {
    let seen = 0;
    for (let idleHops = 0; idleHops < IDLE_HOPS_MAX; idleHops++) {
      await undefined;
      if (this.#waiters.length > seen) {
        seen = this.#waiters.length;
        idleHops = 0;
      }
      if (seen * 2 >= this.#crowd && this.#crowd > 0) return;
    }
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
    this.#released += this.#waiters.length - still.length;
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
  return new HoldfastError(
    "COMMIT_INDETERMINATE",
    "The commit was written and synced, but is not visible. Close the database and open it anew.",
  );
}
