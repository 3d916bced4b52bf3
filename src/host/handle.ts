/**
 * What one worker gives another so that both have the same database: the memory, the core that goes with it, and how the
 * database was opened.
 *
 * It is a plain object that `postMessage` can clone, and nothing in it has to be transferred. It comes from outside when it
 * arrives, so every part is looked at before it is used.
 */

import type { JoinTicket } from "../adapters/storage.js";
import { HoldfastError } from "../errors.js";
import { ABI_VERSION } from "./abi.js";
import { describe, refuseArgument } from "./arguments.js";
import { type DurabilityMode, parseDurability } from "./durability-mode.js";
import type { LogState } from "./log-state.js";
import type { StorageInfo } from "./storage-info.js";

/** The place that was kept for one worker. */
export interface PromisedPlace {
  readonly worker: number;
  readonly word: number;
}

/** How another worker comes to write to the log of a persistent database: by itself, or through the one that writes for all. */
export interface SharedLog {
  readonly ticket?: JoinTicket | undefined;
  readonly post?: SharedArrayBuffer | undefined;
  /** How the log was found; where it goes on by now stands in the memory. */
  readonly state: LogState;
}

/** What `db.share()` returns and `Database.attach` takes. Its parts are nobody else's business. */
export interface DatabaseHandle {
  /** The interface of the core, which both sides must know. */
  readonly holdfast: number;
  readonly memory: WebAssembly.Memory;
  readonly module: WebAssembly.Module;
  /** Tells this database from others, where workers hold locks in its name. */
  readonly name: string;
  /** How it was found when it was opened. */
  readonly storage: StorageInfo;
  readonly durability: DurabilityMode;
  readonly readOnly: boolean;
  /** Undefined for a database in memory only. */
  readonly log: SharedLog | undefined;
  /** The place that is kept for the worker; without one it takes any that is free. */
  readonly place: PromisedPlace | undefined;
}

/**
 * Looks at a handle that has arrived.
 * @throws HoldfastError `INVALID_ARGUMENT` if it is none, or one of another release.
 */
export function readHandle(given: unknown): DatabaseHandle {
  try {
    return checkedHandle(given);
  } catch (cause) {
    if (HoldfastError.is(cause)) throw cause;
    throw refuseArgument("The handle threw when it was read: post it as it is, by postMessage alone.", cause);
  }
}

function checkedHandle(given: unknown): DatabaseHandle {
  if (typeof given !== "object" || given === null || !("holdfast" in given)) {
    throw refuseArgument(
      `Database.attach takes what db.share() returned in the worker that opened the database, got ${describe(given)}.`,
    );
  }
  const handle = given as DatabaseHandle;
  if (handle.holdfast !== ABI_VERSION) {
    throw refuseArgument(
      `The handle is of interface ${describe(handle.holdfast)}, this package has ${ABI_VERSION}: load the same release of Holdfast in both workers.`,
    );
  }
  if (!isWholly(handle)) {
    throw refuseArgument("The handle has lost a part on its way: post it as it is, by postMessage alone.");
  }
  return { ...handle, durability: parseDurability(handle.durability) };
}

function isWholly(handle: DatabaseHandle): boolean {
  try {
    return isWhole(handle);
  } catch {
    // A part that is null, or that cannot be looked at.
    return false;
  }
}

function isWhole({ memory, module, name, storage, log, place }: DatabaseHandle): boolean {
  return (
    memory instanceof WebAssembly.Memory &&
    typeof SharedArrayBuffer !== "undefined" &&
    memory.buffer instanceof SharedArrayBuffer &&
    module instanceof WebAssembly.Module &&
    typeof name === "string" &&
    typeof storage?.kind === "string" &&
    (log === undefined || isWholeLog(log)) &&
    (place === undefined || (isIndex(place.worker) && isIndex(place.word)))
  );
}

function isWholeLog({ ticket, post, state }: SharedLog): boolean {
  const hasWay = post === undefined ? typeof ticket?.path === "string" : post instanceof SharedArrayBuffer;
  return hasWay && state?.databaseId instanceof Uint8Array;
}

function isIndex(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 0xffffffff;
}
