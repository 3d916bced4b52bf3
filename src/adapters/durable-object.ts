/**
 * A storage in a Durable Object, over its SQLite.
 *
 * Of the platform's interfaces this one writes within the call: a record is in the object's storage when `append` returns, and
 * no queue stands between. What the modes mean there:
 *
 *     buffered              the commit is in the object's storage when the call returns. The output gate holds back whatever leaves
 *                           the object after it, a response or a request to others, until it is durable: whoever was answered
 *                           finds it again. What is seen within the object may be ahead of the disk.
 *     strict, asynchronous  `transactionAsync` awaits `sync()`, and only then is the commit visible, within the object too.
 *     strict, synchronous   refused: no call of the platform's makes anything durable before it returns.
 *
 * What it keeps true:
 *  - the object is the owner, since the platform runs one of each; within it a database is open once, and an epoch in every
 *    write keeps others out that a bundler has made another copy of this module for;
 *  - nothing is opened in a global: an object that was reset begins with a new `ctx.storage`, and so without owners.
 */

import { HoldfastError } from "../errors.js";
import { DurableObjectSession } from "./durable-object-session.js";
import { type DurableObjectStorageLike, failure, Tables } from "./durable-object-tables.js";
import { refuseAborted } from "./failures.js";
import type { Storage, StorageCapabilities, StorageOpenOptions, StorageSession } from "./storage.js";

export type { DurableObjectCursor, DurableObjectStorageLike } from "./durable-object-tables.js";

/** Options of {@link durableObject}. */
export interface DurableObjectOptions {
  /** Which database of the object, where it has several; `"main"` if left out. */
  readonly name?: string | undefined;
}

const CAPABILITIES: StorageCapabilities = {
  kind: "durable-object",
  mechanism: "storage.sync",
  persistent: true,
  syncAppend: true,
  syncFlush: false,
  asyncFlush: true,
  recordBytesMax: 32 * 1024 * 1024 + 64 * 1024,
  segmentBytesTarget: 16 * 1024 * 1024,
};

/** Who has which databases of an object open, by their names. */
const owners = new WeakMap<DurableObjectStorageLike, Map<string, { readonly since: string }>>();

/**
 * A storage in the object whose `ctx.storage` that is. Its class has to be backed by SQLite. `deleteAll()` takes it away; whoever
 * has it open is locked out with the next write.
 * @throws HoldfastError `INVALID_ARGUMENT` for what is no such storage, options that are none, or an empty name
 */
export function durableObject(storage: DurableObjectStorageLike, options: DurableObjectOptions = {}): Storage {
  if (!isStorage(storage)) throw refuseArgument("pass the ctx.storage of a Durable Object, with its sql");
  if (typeof options !== "object" || options === null) {
    throw refuseArgument('pass the options as an object, { name: "main" }, or leave them out');
  }
  const { name = "main" } = options;
  if (typeof name !== "string" || name === "") throw refuseArgument("the name must be a non-empty string");
  return { capabilities: CAPABILITIES, open: async (how) => openSession(storage, name, how) };
}

function isStorage(storage: DurableObjectStorageLike): boolean {
  if (typeof storage?.sync !== "function" || typeof storage.transactionSync !== "function") return false;
  try {
    return typeof storage.sql?.exec === "function";
  } catch {
    // A class without SQLite may refuse the very look at it: opening says so.
    return true;
  }
}

function refuseArgument(what: string): HoldfastError {
  return new HoldfastError("INVALID_ARGUMENT", `durableObject: ${what}.`);
}

function openSession(storage: DurableObjectStorageLike, name: string, options: StorageOpenOptions): StorageSession {
  const { readOnly, signal, onLockedOut } = options;
  refuseAborted(signal);
  const release = readOnly ? () => {} : own(storage, name);
  try {
    const tables = new Tables(storage, name);
    if (readOnly && !tables.exists) {
      throw new HoldfastError(
        "NOT_FOUND",
        `There is no database ${name} in the object. Open without readOnly to make one.`,
      );
    }
    const epoch = readOnly ? 0 : tables.own();
    return new DurableObjectSession({ storage, tables, epoch, onLockedOut, release });
  } catch (error) {
    release();
    throw failure(`Cannot open the database ${name} of the object`, error);
  }
}

/** Takes the name for this session. @returns what gives it back */
function own(storage: DurableObjectStorageLike, name: string): () => void {
  const taken = owners.get(storage) ?? new Map<string, { readonly since: string }>();
  owners.set(storage, taken);
  const owner = taken.get(name);
  if (owner !== undefined) {
    throw new HoldfastError(
      "LOCKED",
      `The database ${name} is already open in this object, since ${owner.since}. Use that one, or close it.`,
      { details: { name, ...owner } },
    );
  }
  const mine = { since: new Date().toISOString() };
  taken.set(name, mine);
  return () => {
    if (taken.get(name) === mine) taken.delete(name);
  };
}
