/**
 * Names that users give to things, and the keys that primitives make of them.
 *
 * What it keeps true:
 *  - a name is a well-formed string of 1 to so many bytes of UTF-8;
 *  - an index table's key is `group U+0000 member`, and the core groups by what stands before the first U+0000: a name in a
 *    group is escaped, so that it has none; two names never share a group, and escaped ones sort as the names do;
 *  - numbers in keys have one width, so that they sort as numbers do.
 */
import { HoldfastError } from "../errors.js";
import { readArray } from "./arguments.js";
import { utf8ByteLength } from "./utf8.js";

/** The most bytes of UTF-8 that a type, a tag, an id or a run's name may have. Escaped it takes at most twice as many. */
export const NAME_BYTES_MAX = 256;
/** The most tags that can be given at once. */
export const TAGS_MAX = 256;
/** Digits that hold every safe integer. */
export const DIGITS = 16;

function refuseName(problem: string, limit: number): HoldfastError {
  return new HoldfastError("INVALID_KEY", problem, { details: { limit } });
}

/**
 * Checks a name before anything is done with it; `what` begins the message.
 * @throws HoldfastError `INVALID_KEY` unless `name` is a well-formed string of 1 to `bytesMax` bytes of UTF-8.
 */
export function checkName(name: unknown, what: string, bytesMax: number = NAME_BYTES_MAX): asserts name is string {
  const range = `1 to ${bytesMax} bytes of UTF-8`;
  if (typeof name !== "string") {
    const kind = name === null ? "null" : typeof name;
    throw refuseName(`${what} must be a string of ${range}, not ${kind}.`, bytesMax);
  }
  if (name === "") throw refuseName(`${what} is empty; it must have ${range}.`, bytesMax);
  if (name.length > bytesMax || utf8ByteLength(name) > bytesMax) {
    throw refuseName(`${what} has more than ${bytesMax} bytes of UTF-8; shorten or hash it.`, bytesMax);
  }
  if (!name.isWellFormed()) {
    const advice = "which UTF-8 cannot carry; repair it with toWellFormed()";
    throw refuseName(`${what} has a lone surrogate, ${advice}.`, bytesMax);
  }
}

/**
 * A checked copy of a list of tags, or of other names that a message then calls by `noun`, each once, in the order given.
 * @throws HoldfastError `INVALID_ARGUMENT` if it is no array, or longer than {@link TAGS_MAX}; `INVALID_KEY` as {@link checkName}.
 */
export function readTags(given: unknown, noun = "tag"): string[] {
  const tags = readArray(given, TAGS_MAX, `The ${noun}s`);
  for (const tag of tags) checkName(tag, `A ${noun}`);
  return [...new Set(tags as string[])];
}

/** A name as a part of a group: without U+0000, in the same order, different for different names. */
export function inGroup(name: string): string {
  if (!name.includes("\u0000") && !name.includes("\u0001")) return name;
  return name.replaceAll("\u0001", "\u0001\u0002").replaceAll("\u0000", "\u0001\u0001");
}

/** A safe integer that is not negative, as text that sorts as it does. */
export function fixedWidth(count: number): string {
  return String(count).padStart(DIGITS, "0");
}

/** The letter before the one of a single digit. */
const DIGITS_BASE = 96;
const DIGIT_ZERO = 48;

/** An id as a part of a key: a letter for how many digits it has, then the digits, so that ids sort as numbers do. */
export function idText(id: number): string {
  const digits = String(id);
  return String.fromCharCode(DIGITS_BASE + digits.length) + digits;
}

/** The id that stands in a key from `at` on, and what is behind it; `undefined` if there is none. */
export function readId(key: string, at: number): { readonly id: number; readonly end: number } | undefined {
  const count = key.charCodeAt(at) - DIGITS_BASE;
  const end = at + 1 + count;
  if (!(count >= 1 && count <= DIGITS && end <= key.length)) return undefined;
  let id = 0;
  for (let index = at + 1; index < end; index++) {
    const digit = key.charCodeAt(index) - DIGIT_ZERO;
    if (!(digit >= 0 && digit <= 9)) return undefined;
    id = id * 10 + digit;
  }
  // No id has two texts.
  const isShortest = count === 1 || key.charCodeAt(at + 1) !== DIGIT_ZERO;
  return isShortest && Number.isSafeInteger(id) ? { id, end } : undefined;
}

/** Code units in the order of the code points that they stand for: surrogates after all others. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}

/** The order of UTF-8 bytes, which is that of code points and not that of JavaScript's strings. */
export function compareUtf8(a: string, b: string): number {
  const common = Math.min(a.length, b.length);
  for (let index = 0; index < common; index++) {
    const difference = rank(a.charCodeAt(index)) - rank(b.charCodeAt(index));
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}
