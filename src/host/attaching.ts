/**
 * Attaching: the database of another worker, over the same memory.
 *
 * The place that was taken (entering.ts) is given back where a later part fails.
 */
import type { StorageSession } from "../adapters/storage.js";
import type { HoldfastError } from "../errors.js";
import { apartCapabilities } from "./apart.js";
import type { Core } from "./core.js";
import { instantiateCore } from "./core-instance.js";
import { DurableLog, type LogCapabilities } from "./durability.js";
import { Engine } from "./engine.js";
import { type Entered, enter } from "./entering.js";
import { type Environment, platformEnvironment } from "./environment.js";
import { type DatabaseHandle, readHandle } from "./handle.js";
import type { Attachment } from "./instrument.js";
import { joinStorage } from "./joining.js";
import { Listeners } from "./listeners.js";
import type { Log, LogListener } from "./log.js";
import { LogPost } from "./log-post.js";
import type { LogState } from "./log-state.js";
import { LogWriter } from "./log-writer.js";
import { type Opened, openFailed, throwIfAborted } from "./opening.js";
import { type AttachOptions, parseAttachOptions } from "./options.js";
import { assertSharedMemory, canWait } from "./platform.js";
import { RemoteLog } from "./remote-log.js";
import { Sharing } from "./sharing.js";

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
  const bare = instantiateCore(handle.module, handle.memory);
  // Where another worker writes the log, nothing is seen of that here: a commit is then measured until it is installed.
  const writes = handle.log !== undefined && handle.log.post === undefined;
  const attachment = options.trace?.attach(bare, writes, handle.memory);
  const entered = await enter(attachment?.exports ?? bare, handle, canWait());
  try {
    return await join(entered, handle, options, environment, attachment);
  } catch (error) {
    if (entered.core.isSound) entered.core.leave();
    entered.letGo();
    throw error;
  }
}

/** The database as a worker has it that has taken its place. */
async function join(
  { core, letGo }: Entered,
  handle: DatabaseHandle,
  options: AttachOptions,
  environment: Environment,
  attachment: Attachment | undefined,
): Promise<Opened> {
  const listeners = new Listeners();
  const { storage, durability: mode, readOnly } = handle;
  const joined = await joinLog(core, handle, environment, attachment);
  if (options.signal?.aborted) {
    await joined?.session?.close();
    throwIfAborted(options.signal);
  }
  const report = (error: HoldfastError): void => listeners.emit("error", error);
  const log = joined && new DurableLog({ ...joined, core, session: undefined, mode, environment, onError: report });
  const sharing = new Sharing({
    core,
    environment,
    handle: { ...handle, place: undefined },
    isOwner: false,
    report,
    onBuried: () => log?.noteBuffered(),
  });
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
      await joined?.session?.close();
      letGo();
    },
  };
}

/** What this worker's log is made of. */
interface JoinedLog {
  readonly capabilities: LogCapabilities;
  readonly state: LogState;
  readonly makeWriter: (listener: LogListener) => Log;
  /** Its own, where it writes by itself. */
  readonly session: StorageSession | undefined;
}

/** The log as this worker comes to it: through the one that writes for all, or with a session of its own. */
async function joinLog(
  core: Core,
  { log, storage, name }: DatabaseHandle,
  environment: Environment,
  attachment: Attachment | undefined,
): Promise<JoinedLog | undefined> {
  if (log === undefined) return undefined;
  const state = { ...log.state, isJoined: true };
  if (log.post !== undefined) {
    const post = new LogPost(name, log.post);
    return {
      capabilities: apartCapabilities({ kind: storage.kind }),
      state,
      makeWriter: (listener) => new RemoteLog({ core, post, listener, state, environment }),
      session: undefined,
    };
  }
  const { capabilities, session: bare } = await joinStorage(log.ticket);
  const session = attachment?.session(bare) ?? bare;
  const makeWriter = (listener: LogListener): Log => new LogWriter(core, session, capabilities, listener, state);
  return { capabilities, state, makeWriter, session };
}
