/**
 * Where a database was opened whose log another worker writes: has that begin, and tells what it has failed of.
 *
 * Loaded only where memory is shared.
 */
import type { ApartSession } from "../adapters/storage.js";
import { HoldfastError } from "../errors.js";
import { CAPABILITY_LOG, CAPABILITY_SYNC_FLUSH } from "./abi.js";
import type { Core } from "./core.js";
import type { DrainOrder } from "./drainer.js";
import type { LogCapabilities } from "./durability.js";
import type { Environment } from "./environment.js";
import { LogPost } from "./log-post.js";
import type { LogState } from "./log-state.js";
import { canWait } from "./platform.js";
import { RemoteLog } from "./remote-log.js";
import { newName, type WayToLog } from "./sharing.js";

/** The memory and the core that goes with it, as they are posted, and the core over it here. */
export interface ApartParts {
  readonly core: Core;
  readonly memory: WebAssembly.Memory;
  readonly module: WebAssembly.Module;
}

/**
 * The core takes a log that another worker writes for what a page sees of it, which asks and goes on: a buffered commit is
 * published as it is queued. Who can wait for a sync it knows by itself.
 */
export const CAPABILITIES_APART = CAPABILITY_LOG | CAPABILITY_SYNC_FLUSH;

/**
 * What can be done here in a synchronous call: whatever another worker does that one can wait for, wherever one can wait. All
 * who wait share a sync.
 */
export function apartCapabilities<T>(of: T): Omit<T, "syncAppend" | "syncFlush" | "flushBlocks"> & LogActions {
  const waits = canWait();
  return { ...of, syncAppend: waits, syncFlush: waits, flushBlocks: true };
}

type LogActions = Pick<LogCapabilities, "syncAppend" | "syncFlush" | "flushBlocks">;

/** Has the worker that the session lives in write the log from now on. */
export async function beginApart(
  { core, memory, module }: ApartParts,
  session: ApartSession,
  state: LogState,
  environment: Environment,
): Promise<WayToLog> {
  const name = newName(environment);
  const post = new LogPost(name);
  const order: DrainOrder = { memory, module, name, post: post.buffer, state };
  await session.ask("begin", order);
  return {
    name,
    log: { post: post.buffer, state },
    makeWriter: (listener) => {
      const log = new RemoteLog({ core, post, listener, state, environment, ask: (what) => session.ask(what) });
      // Answered when the worker stops; where it is lost, the call fails as well.
      session.ask("failure").catch((error: unknown) => {
        if (HoldfastError.is(error, "STORE_FAILED")) log.fail(error);
      });
      return log;
    },
  };
}
