/**
 * Taking a place among those who share a memory. It is taken only once the lock is held that says that its worker lives, where
 * there are such locks (evidence.ts).
 */
import type { Core, WorkerPlace } from "./core.js";
import type { CoreExports } from "./core-instance.js";
import { attachCore, firstFreePlace, isNoPlace, noPlace, workerPlace } from "./core-workers.js";
import { canSeeEnds, holdPlace } from "./evidence.js";
import type { PromisedPlace } from "./handle.js";

/** Attempts to find a free place: each that fails means that another worker has just got one. */
const PLACES_TRIED_MAX = 1000;

/** What is needed to take a place. */
export interface Entrance {
  readonly memory: WebAssembly.Memory;
  /** Tells this database from others, where workers hold locks in its name. */
  readonly name: string;
  /** The place that is kept for the worker; without one it takes any that is free. */
  readonly place: PromisedPlace | undefined;
}

/** This worker's instance of the core, and what gives back the lock that says that it lives. */
export interface Entered {
  readonly core: Core;
  readonly letGo: () => void;
}

/** Takes the place that was promised, or any; `canWait`: whether this thread may be put to sleep. */
export async function enter(exports: CoreExports, entrance: Entrance, canWait: boolean): Promise<Entered> {
  const { memory, name, place: kept } = entrance;
  const promised = kept === undefined ? undefined : workerPlace(kept.worker, kept.word);
  const take = (place: WorkerPlace | undefined): Core => attachCore(exports, memory, place, canWait);
  if (!canSeeEnds()) return { core: take(promised), letGo: () => {} };
  for (let attempt = 1; ; attempt++) {
    const place = promised ?? firstFreePlace(exports);
    const letGo = await holdPlace(name, place.worker, place.seen.incarnation);
    try {
      if (letGo !== undefined) return { core: take(place), letGo };
    } catch (error) {
      letGo?.();
      if (promised !== undefined || !isNoPlace(error)) throw error;
    }
    if (promised !== undefined || attempt === PLACES_TRIED_MAX) throw noPlace();
  }
}
