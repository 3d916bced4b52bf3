/**
 * What callers of the storage adapter pass, looked at before anything is done with it. Keyv hands on what it is given, and in
 * JavaScript that may be anything: whatever cannot be is refused as a `HoldfastError`, and nothing of it is called.
 */
import { type Database, HoldfastError } from "../../index.js";

function refuse(what: string, given: unknown): HoldfastError {
  const kind = given === null ? "null" : typeof given;
  return new HoldfastError("INVALID_ARGUMENT", `${what}, got ${Number.isNaN(given) ? "NaN" : kind}.`);
}

/** @throws HoldfastError `INVALID_ARGUMENT` unless it has what the adapter uses of a database. */
export function checkDatabase(db: unknown): asserts db is Database {
  const { run, flush } = (typeof db === "object" && db !== null ? db : {}) as Partial<Database>;
  if (typeof run === "function" && typeof flush === "function") return;
  throw refuse("HoldfastKeyv takes a database, as Database.open() resolves with", db);
}

/** The id of the run that options name. @throws HoldfastError `INVALID_ARGUMENT` unless they are an object that can be read. */
export function readRunId(options: unknown, otherwise: string): string {
  if (options === undefined) return otherwise;
  if (typeof options !== "object" || options === null) throw refuse("HoldfastKeyv takes an object with run", options);
  try {
    const { run = otherwise } = options as { run?: string };
    return run;
  } catch (cause) {
    throw new HoldfastError("INVALID_ARGUMENT", "The options of HoldfastKeyv threw when they were read.", { cause });
  }
}

/** @throws HoldfastError `INVALID_ARGUMENT` unless `key` is a string. */
export function checkKey(key: unknown): asserts key is string {
  if (typeof key !== "string") throw refuse("A key must be a string", key);
}

/** A copy of a list of keys. @throws HoldfastError `INVALID_ARGUMENT` if it is no array of strings, or throws when it is read. */
export function readKeys(given: unknown): readonly string[] {
  const keys: string[] = [];
  try {
    if (!Array.isArray(given)) throw refuse("Several keys are given as an array", given);
    for (let at = 0; at < given.length; at++) {
      const key: unknown = given[at];
      checkKey(key);
      keys.push(key);
    }
  } catch (cause) {
    if (HoldfastError.is(cause)) throw cause;
    throw new HoldfastError("INVALID_ARGUMENT", "The list of keys threw when it was read.", { cause });
  }
  return keys;
}

/** The prefix that Keyv puts before the keys of a namespace. @throws HoldfastError `INVALID_ARGUMENT` unless it is a string, or none. */
export function prefixOf(namespace: unknown): string {
  if (namespace === undefined || namespace === null || namespace === "") return "";
  if (typeof namespace !== "string") throw refuse("A namespace must be a string", namespace);
  return `${namespace}:`;
}

/** @throws HoldfastError `INVALID_ARGUMENT` unless `ttl` is a number or left out. */
export function checkTtl(ttl: unknown): asserts ttl is number | undefined {
  if (ttl === undefined || (typeof ttl === "number" && !Number.isNaN(ttl))) return;
  throw refuse("A time to live must be a number of milliseconds", ttl);
}

/** @throws HoldfastError `INVALID_ARGUMENT` unless `listener` is a function. */
export function checkListener(listener: unknown): void {
  if (typeof listener !== "function") throw refuse("A listener must be a function", listener);
}
