/**
 * A database whose storage keeps a log: what opening reads of it, and what writes it from then on. Loaded where there is one.
 */
import type { StorageCapabilities, StorageSession } from "../adapters/storage.js";
import type { Core } from "./core.js";
import { DurableLog, type DurableLogParts } from "./durability.js";
import { loaded } from "./loading.js";
import type { LogListener } from "./log.js";
import { listFiles } from "./log-files.js";
import { type LogState, newLog } from "./log-state.js";
import { LogWriter } from "./log-writer.js";
import type { RecoveryOptions } from "./recovery.js";
import type { SalvagedInfo } from "./storage-info.js";

/** Where a log goes on, which one that is salvaged has none of; and what was salvaged. */
export interface Filled {
  readonly state?: LogState | undefined;
  readonly salvaged?: SalvagedInfo | undefined;
}

/** Fills an empty core with what its storage has kept. */
export async function fillFromLog(
  session: StorageSession,
  core: Core,
  options: RecoveryOptions,
  salvage: boolean,
): Promise<Filled> {
  const files = await listFiles(session);
  if (files.checkpoint === undefined && files.segments.length === 0) {
    return salvage ? {} : { state: newLog(session, core, options.databaseId) };
  }
  const { recoverLog, salvageLog } = await loaded(import("./recovery.js"));
  if (salvage) return { salvaged: await salvageLog(session, core, options, files) };
  return { state: await recoverLog(session, core, options, files) };
}

/** The log that commits go to from now on: written here, unless another one writes it. */
export function beginLog(
  parts: Omit<DurableLogParts, "makeWriter"> & {
    readonly session: StorageSession;
    readonly capabilities: StorageCapabilities;
  },
  makeWriter?: DurableLogParts["makeWriter"],
): DurableLog {
  const { core, session, capabilities, state } = parts;
  const writer = (listener: LogListener): LogWriter => new LogWriter(core, session, capabilities, listener, state);
  return new DurableLog({ ...parts, makeWriter: makeWriter ?? writer });
}
