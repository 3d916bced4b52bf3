/**
 * One database in many workers, as each of them has it: giving out handles, clearing up behind workers that are dead, and
 * going away.
 *
 * Loaded only where memory is shared.
 */
import { HoldfastError } from "../errors.js";
import { ABI_VERSION, WORKERS_MAX } from "./abi.js";
import { describe, refuseArgument } from "./arguments.js";
import type { Core, WorkerSlot } from "./core.js";
import { giveTurn, TURN_SYNC, TURN_WRITE, takeTurn } from "./core-shared-log.js";
import { buryWorker, closeAll, leaveStorage, promiseWorker } from "./core-workers.js";
import type { DurableLog } from "./durability.js";
import { type Environment, pause } from "./environment.js";
import { Evidence } from "./evidence.js";
import type { DatabaseHandle, SharedLog } from "./handle.js";
import type { Listeners } from "./listeners.js";
import type { Log, LogListener } from "./log.js";
import { unsupported } from "./unsupported.js";

/** For how long something is tried that another worker stands in the way of, and how often at least: each time the core waits. */
const WAIT_MS_MAX = 10_000;
const ATTEMPTS_MIN = 3;
/** Between two attempts, so that the end of a worker can be told, and it be cleared up behind. */
const PAUSE_MS = 50;
const NAME_BYTES = 16;
/** The thread id that a worker of Node has once it has ended. */
const THREAD_ENDED = -1;

/** What tells one shared database from others. */
export function newName(environment: Environment): string {
  const bytes = new Uint8Array(NAME_BYTES);
  environment.randomBytes(bytes);
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** How other workers come to the log of a persistent database. */
export interface WayToLog {
  readonly log: SharedLog;
  /** What the database is told from others by, where somebody has been told already. */
  readonly name?: string;
  /** Makes what writes it here, where this worker does not by itself. */
  readonly makeWriter?: (listener: LogListener) => Log;
}

/** How the database was opened, as every handle says it. */
type OpenedAs = Pick<DatabaseHandle, "storage" | "durability" | "readOnly"> & Partial<WayToLog>;

/** What gives a database to other workers, where it was opened. */
export function shareOwned(
  { core, memory, module }: { core: Core; memory: WebAssembly.Memory; module: WebAssembly.Module },
  { storage, durability, readOnly, log, name }: OpenedAs,
  environment: Environment,
  { listeners, onBuried }: { readonly listeners: Listeners; readonly onBuried: () => void },
): Sharing {
  const how = { storage, durability, readOnly, log };
  const handle = {
    ...how,
    holdfast: ABI_VERSION,
    memory,
    module,
    name: name ?? newName(environment),
    place: undefined,
  };
  const report = (error: HoldfastError): void => listeners.emit("error", error);
  return new Sharing({ core, environment, handle, isOwner: true, report, onBuried });
}

export interface SharingParts {
  readonly core: Core;
  readonly environment: Environment;
  /** What every handle has in common. */
  readonly handle: DatabaseHandle;
  /** Whether this is where the database was opened. */
  readonly isOwner: boolean;
  /** Told what goes wrong in the background. */
  readonly report: (error: HoldfastError) => void;
  /** Told when a dead worker was cleared up behind: what it has written may still have to be synced. */
  readonly onBuried: () => void;
}

export class Sharing {
  readonly #core: Core;
  readonly #handle: DatabaseHandle;
  readonly #isOwner: boolean;
  readonly #onBuried: () => void;
  readonly #environment: Environment;
  readonly #evidence: Evidence;
  /** Names this worker: no other one of this memory ever has the same. */
  readonly workerId: number;

  constructor(parts: SharingParts) {
    this.#core = parts.core;
    this.#handle = parts.handle;
    this.#isOwner = parts.isOwner;
    this.#onBuried = parts.onBuried;
    this.#environment = parts.environment;
    this.workerId = idOf(parts.core.worker, parts.core.workerIn(parts.core.worker));
    this.#evidence = new Evidence({ ...parts, database: parts.handle.name });
  }

  /** A handle for any worker, or for the one that is given, whose end is watched. */
  share(worker: unknown): DatabaseHandle {
    if (worker === undefined) {
      this.#evidence.watchAll();
      return this.#handle;
    }
    if (!isWorker(worker)) {
      throw refuseArgument(`share takes the worker that the handle is for, or nothing, got ${describe(worker)}.`);
    }
    if (worker.threadId === THREAD_ENDED) {
      throw refuseArgument("The worker that the handle would be for has ended: start another one.");
    }
    const promised = promiseWorker(this.#core);
    this.#evidence.watchObject(worker, promised.worker, promised.seen.incarnation);
    this.#evidence.watchAll();
    return { ...this.#handle, place: { worker: promised.worker, word: promised.seen.word } };
  }

  /** Clears up behind a worker that the caller knows to be dead; whether there was one. */
  detach(worker: unknown): boolean {
    if (!Number.isSafeInteger(worker) || (worker as number) < 0) {
      throw refuseArgument(`detach takes the workerId of a database in another worker, got ${describe(worker)}.`);
    }
    if (worker === this.workerId) {
      throw refuseArgument("detach is for another worker, which is dead: close this database instead.");
    }
    const place = (worker as number) % WORKERS_MAX;
    const seen = this.#core.workerIn(place);
    // Somebody else's by now, perhaps, who lives.
    if (idOf(place, seen) !== worker) return false;
    const buried = buryWorker(this.#core, place, seen);
    if (buried) this.#onBuried();
    return buried;
  }

  /**
   * Rebuilds a run that a worker has died in from the log; whether there was anything to rebuild.
   * @throws HoldfastError `UNSUPPORTED` in a worker that has attached.
   */
  recoverRun(id: string, log: DurableLog): Promise<boolean> {
    if (!this.#isOwner) {
      throw unsupported("db.recoverRun in a worker that has attached", "Call it where the database was opened.");
    }
    return log.recoverRun(this.#handle.module, id);
  }

  /**
   * Nobody can install anything any more, in whichever worker, if this is where the database was opened, and nobody is in the
   * middle of the log. One who has died there is given the time to be known as dead: that is told between two attempts alone.
   * @throws HoldfastError `COMMIT_INDETERMINATE` where somebody stays in the middle of it.
   */
  async closeAll(): Promise<void> {
    const core = this.#core;
    if (!this.#isOwner) return;
    const had = (turn: typeof TURN_WRITE): boolean => {
      if (!takeTurn(core, turn)) return false;
      giveTurn(core, turn);
      return true;
    };
    const endMs = this.#environment.monotonicMs() + WAIT_MS_MAX;
    const steps = [() => closeAll(core), () => had(TURN_WRITE), () => had(TURN_SYNC)];
    for (const step of steps) {
      for (let attempt = 1; core.isSound && !step(); attempt++) {
        if (attempt >= ATTEMPTS_MIN && this.#environment.monotonicMs() > endMs) throw stuck();
        await pause(this.#environment, PAUSE_MS);
      }
    }
  }

  /** Gives the place back with all that is held in it. Nothing else is called afterwards. */
  leave(): void {
    this.#evidence.stop();
    if (this.#isOwner) leaveStorage(this.#core);
    if (this.#core.isSound) this.#core.leave();
  }
}

/** Who is in a place: the first one there has its number, later ones higher ones. */
function idOf(place: number, { incarnation }: WorkerSlot): number {
  return place + WORKERS_MAX * incarnation;
}

function isWorker(given: unknown): given is { readonly threadId?: unknown } {
  try {
    return typeof (given as { postMessage?: unknown } | null)?.postMessage === "function";
  } catch {
    return false;
  }
}

function stuck(): HoldfastError {
  return new HoldfastError(
    "COMMIT_INDETERMINATE",
    "The database is closed, but another worker is in the middle of its log: what was not yet durable shows when it is opened again. If that worker was dead, db.detach(its id) would have said so.",
  );
}
