/**
 * How it is known that a worker is dead: its end was told by the platform, or the lock that it holds for as long as it lives is
 * free. Never by time.
 *
 * A worker that attaches takes the lock first and the place afterwards, and gives them back in the other order. The lock is
 * named for the database, the place and the incarnation of the place, so that "somebody is attached there and the lock of that
 * very attachment is free" is true of the dead alone.
 *
 * Web Locks are used where there are any (Deno, browsers, Node from 24 on); elsewhere a worker's end is told by its own object,
 * or by the application. A lock that is asked for is had as soon as its holder is dead, but for Node, where half of the requests
 * that wait are forgotten when the holder's thread is ended, and where a thread is shown no locks but its own: there each lock
 * is tried now and then. In Deno a lock is free as soon as its worker has been told to end, which is some milliseconds before
 * that has noticed: there the lock is the evidence, and what is done on it waits for a moment.
 */
import { HoldfastError } from "../errors.js";
import { WORKER_ATTACHED, WORKERS_MAX } from "./abi.js";
import { type Core, whenBusy } from "./core.js";
import { buryWorker } from "./core-workers.js";
import type { Environment } from "./environment.js";

/** How often is looked for workers that have attached since, to be told of their ends, or to see whether they have come. */
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

/** Whether a request for a lock may wait for ever, though the lock is free. */
function forgetsRequests(): boolean {
  return "process" in globalThis && !("Deno" in globalThis);
}

/** Whether a worker may still run for a moment after its object has told of its end, and its lock is free. */
function tellsEarly(): boolean {
  return "Deno" in globalThis;
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

/** Calls `ended` when a worker has ended, where its object tells that; what stops it. */
function onEnd(worker: object, ended: () => void): () => void {
  const target = worker as EventEmitterLike & EventTarget;
  if (typeof target.once === "function" && typeof target.off === "function") {
    target.once("exit", ended);
    return () => target.off("exit", ended);
  }
  if (typeof target.addEventListener !== "function") return () => {};
  target.addEventListener("close", ended, { once: true });
  return () => target.removeEventListener("close", ended);
}

interface EventEmitterLike {
  once(event: "exit", listener: () => void): void;
  off(event: "exit", listener: () => void): void;
}

/** The places that were promised to one worker, and what stops waiting for its end. */
interface Promised {
  attachments: Attachment[];
  readonly stop: () => void;
}

/** Who is attached where. */
interface Attachment {
  readonly worker: number;
  readonly incarnation: number;
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
  /** Whose locks have been asked for, by their names, with what takes the request back: each is had when its holder is dead. */
  readonly #watched = new Map<string, AbortController>();
  /** Whose objects tell of their ends. A worker that outlives a database must not keep its memory. */
  readonly #promised = new Map<object, Promised>();
  #isStopped = false;
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
    const promised = this.#promised.get(object) ?? {
      attachments: [],
      stop: onEnd(object, () => this.#hasEnded(object)),
    };
    this.#promised.set(object, promised);
    // Those that were given back by now need nobody to look after them.
    promised.attachments = promised.attachments.filter(
      (old) => this.#core.workerIn(old.worker).incarnation === old.incarnation,
    );
    promised.attachments.push({ worker, incarnation });
  }

  #hasEnded(object: object): void {
    const attachments = this.#promised.get(object)?.attachments ?? [];
    this.#promised.delete(object);
    if (this.#isStopped || !this.#core.isSound) return;
    for (const { worker, incarnation } of attachments) {
      if (tellsEarly() && this.#core.workerIn(worker).state === WORKER_ATTACHED) this.#look();
      else this.#bury(worker, incarnation);
    }
  }

  /** Ends all of it. */
  stop(): void {
    this.#isStopped = true;
    whenBusy.delete(this.#look);
    this.#cancelLook?.();
    for (const request of this.#watched.values()) request.abort();
    for (const { stop } of this.#promised.values()) stop();
    this.#promised.clear();
  }

  #lookAgain(): void {
    this.#cancelLook = this.#environment.schedule(LOOK_INTERVAL_MS, () => {
      this.#look();
      if (!this.#isStopped) this.#lookAgain();
    });
  }

  /** Asks for the locks of all who are attached and not yet watched. */
  readonly #look = (): void => {
    if (this.#isStopped || !this.#core.isSound) return;
    // The place of whoever made the database has no lock: the database ends with it.
    for (let worker = 1; worker < WORKERS_MAX; worker++) {
      if (worker === this.#core.worker) continue;
      const { state, incarnation } = this.#core.workerIn(worker);
      if (state === WORKER_ATTACHED) this.#watch(worker, incarnation);
    }
  };

  /** Is told once the lock of an attachment is free; where requests are forgotten, only if it is free now. */
  #watch(worker: number, incarnation: number): void {
    const name = lockName(this.#database, worker, incarnation);
    if (this.#watched.has(name)) return;
    const request = new AbortController();
    this.#watched.set(name, request);
    const forget = (): unknown => this.#watched.delete(name);
    const how = forgetsRequests() ? { ifAvailable: true } : { signal: request.signal };
    locks()
      ?.request(name, how, (lock) => (lock === null ? undefined : this.#isFree(worker, incarnation)))
      .then(forget, forget);
  }

  /** The lock of an attachment is free. */
  #isFree(worker: number, incarnation: number): void {
    if (tellsEarly()) this.#environment.schedule(LINGER_MS, () => this.#bury(worker, incarnation));
    else this.#bury(worker, incarnation);
  }

  /** Clears up behind an attachment that is known to be dead, or a promise that nobody keeps any more. */
  #bury(worker: number, incarnation: number): void {
    if (this.#isStopped || !this.#core.isSound) return;
    const seen = this.#core.workerIn(worker);
    if (seen.incarnation !== incarnation) return;
    try {
      if (buryWorker(this.#core, worker, seen)) this.#onBuried();
    } catch (error) {
      if (!HoldfastError.is(error)) throw error;
      if (error.code === "BUSY") this.#environment.schedule(RETRY_MS, () => this.#bury(worker, incarnation));
      else this.#report(error);
    }
  }
}
