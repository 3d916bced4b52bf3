/**
 * How it is known that a worker is dead: its end was told by the platform, or the lock that it holds for as long as it lives is
 * free. Never by time.
 *
 * A worker that attaches takes the lock first and the place afterwards, and gives them back in the other order. The lock is
 * named for the database, the place and the incarnation of the place, so that "somebody is attached there and the lock of that
 * very attachment is free" is true of the dead alone.
 *
 * Web Locks are used where there are any (Deno, browsers, Node from 24 on); elsewhere a worker's end is told by its own object,
 * or by the application. In Deno a lock is free as soon as its worker has been told to end, which is some milliseconds before
 * that has noticed: there the lock is the evidence, and what is done on it waits for a moment.
 */
import { HoldfastError } from "../errors.js";
import { WORKER_ATTACHED, WORKERS_MAX } from "./abi.js";
import { type Core, type WorkerSlot, whenBusy } from "./core.js";
import type { Environment } from "./environment.js";

/** How often is looked for workers that have attached since, to be told of their ends. */
const LOOK_INTERVAL_MS = 500;
/** Many times as long as a worker in Deno goes on after it has been told to end: to the next loop or call. */
const LINGER_MS = 300;
/** How long to wait before clearing up is tried again which could not be done. */
const RETRY_MS = 100;

function locks(): LockManager | undefined {
  return typeof navigator === "undefined" ? undefined : navigator.locks;
}

/** Whether a worker's end can be seen here without anybody telling. */
export function canSeeEnds(): boolean {
  return locks() !== undefined;
}

function lockName(database: string, worker: number, incarnation: number): string {
  return `holdfast/${database}/${worker}/${incarnation}`;
}

/** Holds the lock of a place until what it resolves to is called; undefined where somebody else has it. */
export function holdPlace(database: string, worker: number, incarnation: number): Promise<(() => void) | undefined> {
  return new Promise((resolve, reject) => {
    const held = locks()?.request(lockName(database, worker, incarnation), { ifAvailable: true }, (lock) => {
      if (lock === null) return resolve(undefined);
      return new Promise<void>((release) => resolve(release));
    });
    held?.catch(reject);
  });
}

/**
 * Calls `ended` when a worker has ended, where its object tells that, until the signal is aborted: a worker that outlives a
 * database must not keep its memory.
 */
function onEnd(worker: object, ended: () => void, signal: AbortSignal): void {
  const target = worker as { once?: unknown; off?: unknown; addEventListener?: unknown };
  if (typeof target.once === "function" && typeof target.off === "function") {
    target.once("exit", ended);
    signal.addEventListener("abort", () => (target as EventEmitterLike).off("exit", ended));
  } else if (typeof target.addEventListener === "function") {
    target.addEventListener("close", ended, { once: true, signal });
  }
}

interface EventEmitterLike {
  off(event: "exit", listener: () => void): void;
}

export interface EvidenceParts {
  readonly core: Core;
  /** What the locks of this database are named by. */
  readonly database: string;
  readonly environment: Environment;
  /** Told what goes wrong in the background. */
  readonly report: (error: HoldfastError) => void;
  /** Told when a dead worker was cleared up behind. */
  readonly onBuried: () => void;
}

/** Watches over the workers of one database, and clears up behind those that are dead. */
export class Evidence {
  readonly #core: Core;
  readonly #database: string;
  readonly #environment: Environment;
  readonly #report: (error: HoldfastError) => void;
  readonly #onBuried: () => void;
  readonly #abort = new AbortController();
  /** Whose lock has been asked for: it is had when they are dead. */
  readonly #watched = new Set<string>();
  #cancelLook: (() => void) | undefined;

  constructor({ core, database, environment, report, onBuried }: EvidenceParts) {
    this.#core = core;
    this.#database = database;
    this.#environment = environment;
    this.#report = report;
    this.#onBuried = onBuried;
    if (canSeeEnds()) whenBusy.add(this.#look);
  }

  /** From now on whoever attaches is watched. */
  watchAll(): void {
    if (this.#cancelLook === undefined && canSeeEnds()) this.#lookAgain();
  }

  /** Clears up behind the worker of a promised place, or takes the promise back, when its object tells that it has ended. */
  watchObject(object: object, worker: number, incarnation: number): void {
    const ended = (): void => {
      if (this.#abort.signal.aborted || !this.#core.isSound) return;
      // Some runtimes tell so while the worker still runs: where there are locks, its lock tells the truth.
      if (canSeeEnds() && this.#core.workerIn(worker).state === WORKER_ATTACHED) this.#look();
      else this.#bury(worker, incarnation);
    };
    onEnd(object, ended, this.#abort.signal);
  }

  /** Ends all of it. */
  stop(): void {
    whenBusy.delete(this.#look);
    this.#cancelLook?.();
    this.#abort.abort();
  }

  #lookAgain(): void {
    this.#cancelLook = this.#environment.schedule(LOOK_INTERVAL_MS, () => {
      this.#look();
      if (!this.#abort.signal.aborted) this.#lookAgain();
    });
  }

  /** Asks for the locks of all who are attached and not yet watched. */
  readonly #look = (): void => {
    if (this.#abort.signal.aborted || !this.#core.isSound) return;
    // The place of whoever made the database has no lock: the database ends with it.
    for (let worker = 1; worker < WORKERS_MAX; worker++) {
      if (worker === this.#core.worker) continue;
      const seen = this.#core.workerIn(worker);
      if (seen.state === WORKER_ATTACHED) this.#watch(worker, seen);
    }
  };

  #watch(worker: number, { incarnation }: WorkerSlot): void {
    const name = lockName(this.#database, worker, incarnation);
    if (this.#watched.has(name)) return;
    this.#watched.add(name);
    const { signal } = this.#abort;
    const dead = locks()?.request(name, { signal }, () => {
      this.#watched.delete(name);
      if ("Deno" in globalThis) this.#environment.schedule(LINGER_MS, () => this.#bury(worker, incarnation));
      else this.#bury(worker, incarnation);
    });
    // Aborted when the database is closed.
    dead?.catch(() => this.#watched.delete(name));
  }

  /** Clears up behind an attachment that is known to be dead, or a promise that nobody keeps any more. */
  #bury(worker: number, incarnation: number): void {
    if (this.#abort.signal.aborted || !this.#core.isSound) return;
    const seen = this.#core.workerIn(worker);
    if (seen.incarnation !== incarnation) return;
    try {
      if (this.#core.buryWorker(worker, seen)) this.#onBuried();
    } catch (error) {
      if (!HoldfastError.is(error)) throw error;
      if (error.code === "BUSY") this.#environment.schedule(RETRY_MS, () => this.#bury(worker, incarnation));
      else this.#report(error);
    }
  }
}
