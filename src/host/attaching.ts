/**
 * Attaching: the database of another worker, over the same memory.
 *
 * A place is taken only once the lock is held that says that its worker lives, where there are such locks (evidence.ts); both
 * are given back where a later part fails.
 */
import { HoldfastError } from "../errors.js";
import { Core, firstFreePlace, noPlace, type WorkerPlace, workerPlace } from "./core.js";
import { type CoreExports, instantiateCore } from "./core-loader.js";
import { DurableLog } from "./durability.js";
import { Engine } from "./engine.js";
import { type Environment, platformEnvironment } from "./environment.js";
import { canSeeEnds, holdPlace } from "./evidence.js";
import { type DatabaseHandle, readHandle, type SharedLog } from "./handle.js";
import { Listeners } from "./listeners.js";
import { type Opened, openFailed, throwIfAborted } from "./opening.js";
import { type AttachOptions, parseAttachOptions } from "./options.js";
import { assertSharedMemory, canWait, type JoinedStorage, joinStorage } from "./platform.js";
import { Sharing } from "./sharing.js";

/** Attempts to find a free place: each that fails means that another worker has just got one. */
const PLACES_TRIED_MAX = 1000;

/** This worker's instance of the core, and what gives back the lock that says that it lives. */
interface Entered {
  readonly core: Core;
  readonly letGo: () => void;
}

/**
 * Attaches to the database that a handle is of.
 * @throws HoldfastError and nothing else.
 */
export async function attachDatabase(given: unknown, givenOptions: unknown): Promise<Opened> {
  const options = parseAttachOptions(givenOptions);
  throwIfAborted(options.signal);
  assertSharedMemory();
  const handle = readHandle(given);
  try {
    return await attach(handle, options);
  } catch (error) {
    throw openFailed(error, options.signal);
  }
}

async function attach(handle: DatabaseHandle, options: AttachOptions): Promise<Opened> {
  const environment = options.environment ?? platformEnvironment();
  const bare = await instantiateCore(handle.module, handle.memory);
  const exports = options.trace?.attach(bare, false).exports ?? bare;
  const { core, letGo } = await enter(exports, handle);
  const listeners = new Listeners();
  const { storage, durability: mode, readOnly } = handle;
  const joined = handle.log === undefined ? undefined : await joinStorage(handle.log.ticket);
  const report = (error: HoldfastError): void => listeners.emit("error", error);
  const log = joined && joinedLog(core, joined, handle, environment, report);
  const sharing = new Sharing({
    core,
    environment,
    handle: { ...handle, place: undefined },
    isOwner: false,
    report,
    onBuried: () => log?.noteBuffered(),
  });
  if (options.signal?.aborted) {
    sharing.leave();
    letGo();
    await joined?.session.close();
    throwIfAborted(options.signal);
  }
  return {
    engine: new Engine({
      core,
      log,
      mode,
      readOnly,
      syncFlush: joined?.capabilities.syncFlush ?? false,
      storageKind: storage.kind,
      environment,
    }),
    mode,
    info: storage,
    listeners,
    sharing,
    commitsAtOpen: core.commits,
    release: async () => {
      await joined?.session.close();
      letGo();
    },
  };
}

/** The log as this worker writes to it. */
function joinedLog(
  core: Core,
  { session, capabilities }: JoinedStorage,
  { log, durability }: DatabaseHandle,
  environment: Environment,
  onError: (error: HoldfastError) => void,
): DurableLog {
  const state = { ...(log as SharedLog).state, isJoined: true };
  return new DurableLog(core, session, capabilities, state, durability, environment, { onError });
}

/** Takes the place that was promised, or any. */
async function enter(exports: CoreExports, handle: DatabaseHandle): Promise<Entered> {
  const promised = handle.place === undefined ? undefined : workerPlace(handle.place.worker, handle.place.word);
  const take = (place: WorkerPlace | undefined): Core => Core.attach(exports, handle.memory, place, canWait());
  if (!canSeeEnds()) return { core: take(promised), letGo: () => {} };
  for (let attempt = 1; ; attempt++) {
    const place = promised ?? firstFreePlace(exports);
    const letGo = await holdPlace(handle.name, place.worker, place.seen.incarnation);
    try {
      if (letGo !== undefined) return { core: take(place), letGo };
    } catch (error) {
      letGo?.();
      if (promised !== undefined || !HoldfastError.is(error, "BUSY")) throw error;
    }
    if (promised !== undefined || attempt === PLACES_TRIED_MAX) throw noPlace();
  }
}
