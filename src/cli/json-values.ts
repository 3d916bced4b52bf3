/**
 * How values that JSON has no word for are written in it, so that nothing is lost and nothing can be mistaken:
 *
 *     bigint                       {"$bigint":"9007199254740993"}
 *     bytes                        {"$bytes":"3q2+7w=="}            base64
 *     -0, NaN, Infinity            {"$number":"-0"}                 also "NaN", "Infinity", "-Infinity"
 *     an object whose only key     {"$object":{"$bytes":"mine"}}    its values in turn as here
 *       is one of these four
 *
 * Everything else is what JSON makes of it. Hashes of events, which are no values, are written as hexadecimal digits.
 */
import type { Value } from "../index.js";

/** What `JSON.stringify` can write as it stands. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

const WORDS = new Set(["$bigint", "$bytes", "$number", "$object"]);

function numberToJson(value: number): Json {
  if (Object.is(value, -0)) return { $number: "-0" };
  return Number.isFinite(value) ? value : { $number: String(value) };
}

/** A stored value as JSON. It is nested no deeper than values may be, so that recursion has an end. */
export function toJson(value: Value): Json {
  if (typeof value === "number") return numberToJson(value);
  if (typeof value === "bigint") return { $bigint: String(value) };
  if (value === null || typeof value !== "object") return value;
  if (value instanceof Uint8Array) return { $bytes: base64(value) };
  if (Array.isArray(value)) return value.map((item) => toJson(item as Value));
  // `fromEntries` defines properties, so that `__proto__` is a key like any other.
  const object: Json = Object.fromEntries(Object.entries(value).map(([key, item]) => [key, toJson(item as Value)]));
  const [only, ...others] = Object.keys(object);
  return only !== undefined && others.length === 0 && WORDS.has(only) ? { $object: object } : object;
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

/** A hash as hexadecimal digits. */
export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
}

/** Inside of strings only, where JSON may spell them: what a terminal would obey and JSON leaves as it is. */
const CONTROLS = /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** JSON as text, on one line or indented by so many blanks. */
export function jsonText(value: Json, indent = 0): string {
  const spelled = (char: string): string => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return JSON.stringify(value, null, indent).replaceAll(CONTROLS, spelled);
}
