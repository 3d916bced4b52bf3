/**
 * What callers pass, looked at once before anything is done with it.
 *
 * Options are copied name by name, so that an object whose properties change or throw can do so only here; nothing that is
 * passed is turned into a string by code of its own.
 */
import { HoldfastError } from "../errors.js";
import type { Value } from "./codec.js";

const TEXT_CHARS_MAX = 40;

/** A value as a message can name it; never calls anything of the value's. */
export function describe(value: unknown): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value.length > TEXT_CHARS_MAX ? `${value.slice(0, TEXT_CHARS_MAX)}…` : value);
    case "symbol":
    case "function":
    case "undefined":
      return typeof value === "undefined" ? "undefined" : `a ${typeof value}`;
    case "object":
      return value === null ? "null" : "an object";
    default:
      return String(value);
  }
}

/** The error for an argument that is not what it should be. */
export function refuseArgument(message: string, cause?: unknown): HoldfastError {
  return new HoldfastError("INVALID_ARGUMENT", message, cause === undefined ? {} : { cause });
}

/**
 * A copy of an options object that may have these names.
 * @throws HoldfastError `INVALID_ARGUMENT` if it is no object, has another name, or throws when it is read.
 */
export function readOptions<T extends object>(options: unknown, names: readonly (keyof T & string)[], what: string): T {
  if (options === undefined) return {} as T;
  if (typeof options !== "object" || options === null) {
    throw refuseArgument(`${what} takes an object with ${names.join(", ")}, got ${describe(options)}.`);
  }
  const copy: Record<string, unknown> = {};
  let given: string[];
  try {
    given = Object.keys(options);
    for (const name of names) copy[name] = (options as Record<string, unknown>)[name];
  } catch (cause) {
    throw refuseArgument(`The options of ${what} threw when they were read.`, cause);
  }
  for (const name of given) {
    if ((names as readonly string[]).includes(name)) continue;
    throw refuseArgument(`${what} has no option ${describe(name)}; it has ${names.join(", ")}.`);
  }
  return copy as T;
}

/** @throws HoldfastError `INVALID_ARGUMENT` unless `value` is a function. */
export function checkFunction(value: unknown, what: string): void {
  if (typeof value !== "function") throw refuseArgument(`${what} must be a function, got ${describe(value)}.`);
}

/** @throws HoldfastError `INVALID_ARGUMENT` unless `value` is an `AbortSignal` or undefined. */
export function checkSignal(value: unknown): void {
  if (value === undefined || isSignal(value)) return;
  throw refuseArgument(`signal must be an AbortSignal, got ${describe(value)}.`);
}

/** Whether it is one that can be asked: what only inherits from one cannot, and a Proxy may throw. */
function isSignal(value: unknown): boolean {
  try {
    return typeof AbortSignal !== "undefined" && value instanceof AbortSignal && typeof value.aborted === "boolean";
  } catch {
    return false;
  }
}

/** A copy of a list of keys, as {@link readStrings}. */
export function readKeys(keys: unknown): readonly string[] {
  return readStrings(keys, "The keys of getMany");
}

/**
 * A copy of an array of strings, each as it is at this moment, up to the first item that is none: whoever looks at each item
 * refuses that one, and an array may have four thousand million holes.
 * @throws HoldfastError `INVALID_ARGUMENT`, naming `what`, if it is no array, or throws when it is read.
 */
export function readStrings(given: unknown, what: string): string[] {
  try {
    if (!Array.isArray(given)) throw refuseArgument(`${what} must be an array, got ${describe(given)}.`);
    const strings: string[] = [];
    for (let at = 0; at < given.length; at++) {
      const item = given[at];
      strings.push(item);
      if (typeof item !== "string") break;
    }
    return strings;
  } catch (cause) {
    if (HoldfastError.is(cause)) throw cause;
    throw refuseArgument(`${what} threw when they were read.`, cause);
  }
}

/**
 * Runs what encodes a value of the caller's, which `inner` leads to; the path in an error is then the caller's own.
 * @throws HoldfastError `INVALID_VALUE` with `details.path` from the value itself; what `encode` does.
 */
export function withPath<T>(inner: string, encode: () => T): T {
  try {
    return encode();
  } catch (error) {
    if (!HoldfastError.is(error, "INVALID_VALUE")) throw error;
    const { path } = error.details;
    if (typeof path !== "string" || !path.startsWith(inner)) throw error;
    const own = `$${path.slice(inner.length)}`;
    throw new HoldfastError(
      "INVALID_VALUE",
      error.message.replace(path, () => own),
      {
        cause: error,
        details: { ...error.details, path: own },
      },
    );
  }
}

/**
 * A copy of an array, each item as it is at this moment.
 * @throws HoldfastError `INVALID_ARGUMENT`, naming `what`, if it is no array, has more than `itemsMax` items, or throws.
 */
export function readArray(given: unknown, itemsMax: number, what: string): unknown[] {
  let length: number;
  try {
    if (!Array.isArray(given)) throw refuseArgument(`${what} must be an array, got ${describe(given)}.`);
    length = given.length;
    if (length <= itemsMax) return Array.from(given);
  } catch (cause) {
    if (HoldfastError.is(cause)) throw cause;
    throw refuseArgument(`${what} threw when they were read.`, cause);
  }
  throw refuseArgument(`${what} are ${length}, and at most ${itemsMax} can be given.`);
}

/** Whether a value of the value model is an object, and neither an array nor bytes. */
export function isPlainObject(value: unknown): value is { readonly [key: string]: Value } {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
}

/** Whether something would be awaited. */
export function isThenable(value: unknown): boolean {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return false;
  try {
    return "then" in value && typeof value.then === "function";
  } catch {
    // A Proxy that cannot be asked is no promise.
    return false;
  }
}
