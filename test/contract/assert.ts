/**
 * The few assertions that the contract suites need, without a framework, so that they run wherever JavaScript does.
 *
 * Equality is that of the value model: −0 is not 0, NaN is NaN, a bigint is not a number, bytes are compared by content.
 */

import { HoldfastError } from "../../src/errors.js";

/** Fails with what was expected and what came. */
export function equal(actual: unknown, expected: unknown, what = "value"): void {
  if (!Object.is(actual, expected)) throw new Error(`${what}: expected ${show(expected)}, got ${show(actual)}`);
}

/** Fails unless `condition` holds. */
export function ok(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(`expected ${what}`);
}

/** Fails unless both are the same value of the value model, at every depth. */
export function deepEqual(actual: unknown, expected: unknown, what = "value"): void {
  const path = difference(actual, expected);
  if (path === undefined) return;
  throw new Error(`${what}${path}: expected ${show(expected)}, got ${show(actual)}`);
}

/** Fails unless `action` throws a `HoldfastError` of that code; returns it. */
export function throwsCode(code: string, action: () => unknown): HoldfastError {
  let result: unknown;
  try {
    result = action();
  } catch (error) {
    return requireCode(code, error);
  }
  throw new Error(`expected ${code} to be thrown, got ${show(result)}`);
}

/** Fails unless the promise of `action` is rejected with a `HoldfastError` of that code; returns it. */
export async function rejectsCode(code: string, action: () => PromiseLike<unknown>): Promise<HoldfastError> {
  let result: unknown;
  try {
    result = await action();
  } catch (error) {
    return requireCode(code, error);
  }
  throw new Error(`expected a rejection with ${code}, got ${show(result)}`);
}

function requireCode(code: string, error: unknown): HoldfastError {
  if (!HoldfastError.is(error)) throw new Error(`expected ${code}, got ${show(error)}`, { cause: error });
  if (error.code !== code) throw new Error(`expected ${code}, got ${error.code}: ${error.message}`, { cause: error });
  return error;
}

/** The path to the first difference, `undefined` if there is none. It is put together on the way back only: there seldom is one. */
function difference(a: unknown, b: unknown): string | undefined {
  if (Object.is(a, b)) return undefined;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return "";
  if (a instanceof Uint8Array || b instanceof Uint8Array) return sameBytes(a, b) ? undefined : "";
  if (Array.isArray(a) || Array.isArray(b)) {
    return Array.isArray(a) && Array.isArray(b) && a.length === b.length ? differentItem(a, b) : "";
  }
  return differentMember(a as Members, b as Members);
}

type Members = Readonly<Record<string, unknown>>;

function differentMember(a: Members, b: Members): string | undefined {
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) return "";
  for (const key of keys) {
    const path = isMember.call(b, key) ? difference(a[key], b[key]) : "";
    if (path !== undefined) return `.${key}${path}`;
  }
  return undefined;
}

/** Whether an object lists that key: it is its own, and enumerable. */
const isMember = Object.prototype.propertyIsEnumerable;

function differentItem(a: readonly unknown[], b: readonly unknown[]): string | undefined {
  for (let i = 0; i < a.length; i++) {
    const path = difference(a[i], b[i]);
    if (path !== undefined) return `[${i}]${path}`;
  }
  return undefined;
}

function sameBytes(a: object, b: object): boolean {
  if (!(a instanceof Uint8Array) || !(b instanceof Uint8Array) || a.byteLength !== b.byteLength) return false;
  const [left, right] = [wordsOf(a), wordsOf(b)];
  for (let i = 0; i < left.length; i++) if (left[i] !== right[i]) return false;
  for (let i = left.byteLength; i < a.byteLength; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** The bytes but for the last three, four at a time: large values are compared thousands of times. */
function wordsOf(bytes: Uint8Array): Uint32Array {
  const { buffer, byteOffset } = bytes.byteOffset % 4 === 0 ? bytes : new Uint8Array(bytes);
  return new Uint32Array(buffer, byteOffset, bytes.byteLength >>> 2);
}

const SHOWN_LENGTH_MAX = 300;

/** A value as a person would write it, cut short. */
export function show(value: unknown): string {
  const text = render(value, 0);
  return text.length > SHOWN_LENGTH_MAX ? `${text.slice(0, SHOWN_LENGTH_MAX)}…` : text;
}

function render(value: unknown, depth: number): string {
  if (Object.is(value, -0)) return "-0";
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "string") return JSON.stringify(value);
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  if (value instanceof Uint8Array) return `bytes(${value.byteLength})[${value.subarray(0, 32).join(",")}]`;
  if (typeof value !== "object" || value === null) return String(value);
  if (depth > 4) return "…";
  if (Array.isArray(value)) return `[${value.map((item) => render(item, depth + 1)).join(", ")}]`;
  return `{${Object.entries(value)
    .map(([key, item]) => `${key}: ${render(item, depth + 1)}`)
    .join(", ")}}`;
}
