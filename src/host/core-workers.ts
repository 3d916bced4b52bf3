/**
 * What the workers that share a memory ask of the core about one another: who is in which slot, who is dead, who may go on.
 */
import { HoldfastError } from "../errors.js";
import {
  STATUS_BUSY_LOCK,
  STATUS_NOTHING,
  STATUS_OK,
  STATUS_STORE_FULL,
  WORKER_FREE,
  WORKER_NONE,
  WORKERS_MAX,
} from "./abi.js";
import { assertInterface, Core, enter, slotOf, statusError, type WorkerPlace, type WorkerSlot } from "./core.js";
import type { CoreExports } from "./core-instance.js";
import { giveTurn, noteStorageLeft, TURN_SYNC, TURN_WRITE, takeTurn } from "./core-shared-log.js";

/**
 * Attaches to a memory that somebody has formatted: in a slot that is still as it was seen, or in any.
 * @throws HoldfastError `BUSY` if there is none, or the one that was seen is somebody's by now ({@link isNoPlace}), and where
 *   a lock could not be had; `CLOSED`, `STORE_FULL`.
 */
export function attachCore(
  exports: CoreExports,
  memory: WebAssembly.Memory,
  place: WorkerPlace | undefined,
  canWait: boolean,
): Core {
  assertInterface(exports);
  const status = enter(exports, place, canWait);
  if (status === STATUS_NOTHING) throw noPlace();
  if (status === STATUS_STORE_FULL || status === STATUS_BUSY_LOCK) (exports["attachFailed"] as () => void)();
  if (status !== STATUS_OK) throw statusError(status, "Attaching");
  return new Core(exports, memory, true);
}

/** A slot as another worker has seen it. */
export function workerPlace(worker: number, word: number): WorkerPlace {
  return { worker, seen: slotOf(word) };
}

/** The first slot that is free, before an instance has attached. @throws HoldfastError `BUSY` where there is none. */
export function firstFreePlace(exports: CoreExports): WorkerPlace {
  assertInterface(exports);
  const slot = exports["workerSlot"] as (worker: number) => number;
  for (let worker = 0; worker < WORKERS_MAX; worker++) {
    const seen = slotOf(slot(worker) >>> 0);
    if (seen.state === WORKER_FREE) return { worker, seen };
  }
  throw noPlace();
}

/** The error where every place is taken, or that which was promised. */
export function noPlace(): HoldfastError {
  return new HoldfastError(
    "BUSY",
    `No place is left for this worker: ${WORKERS_MAX} can be attached at a time, and a handle that was made for one worker is good once.`,
    { details: { limit: WORKERS_MAX } },
  );
}

/** Whether an error is that: of what else is `BUSY` a lock could not be had. */
export function isNoPlace(error: unknown): boolean {
  return HoldfastError.is(error, "BUSY") && error.details["limit"] === WORKERS_MAX;
}

/** Keeps a slot for a worker to come. @throws HoldfastError `BUSY` if there is none. */
export function promiseWorker(core: Core): WorkerPlace {
  const worker = core.call("workerSlot", WORKER_NONE) >>> 0;
  if (worker !== WORKER_NONE) return { worker, seen: core.workerIn(worker) };
  throw new HoldfastError("BUSY", `${WORKERS_MAX} workers are attached, which is the most there can be.`, {
    details: { limit: WORKERS_MAX },
  });
}

/**
 * Clears up behind a worker that is known to be dead, and was seen in its slot; false if it is not there any more.
 * @throws HoldfastError `BUSY`.
 */
export function buryWorker(core: Core, worker: number, seen: WorkerSlot): boolean {
  const status = core.call("workerBury", worker, seen.word);
  if (status === STATUS_BUSY_LOCK) throw statusError(status, "The detachment");
  return status === STATUS_OK;
}

/** From now on nobody can install anything, in whichever worker; false where that could not be said in time. */
export function closeAll(core: Core): boolean {
  return core.call("closeAll") !== 0;
}

/**
 * From now on nobody touches the storage, in whichever worker; waits for one that is in the middle, as long as for any turn.
 * Holds for a core that has trapped as well.
 */
export function leaveStorage(core: Core): void {
  const turns = core.isSound ? [TURN_WRITE, TURN_SYNC].filter((turn) => takeTurn(core, turn)) : [];
  noteStorageLeft(core);
  for (const turn of turns) giveTurn(core, turn);
}
