/**
 * Text across the boundary: keys, names and list bounds into the core's memory, and text back out of it.
 *
 * What this file keeps true:
 *  - no two different strings become the same bytes: text with a lone surrogate is refused, never replaced;
 *  - what is read back is exactly what was written: decoding is fatal on wrong UTF-8 and keeps a leading U+FEFF;
 *  - short ASCII, which nearly every key is, is copied by a plain loop: no allocation, no call out of JavaScript;
 *  - views over a SharedArrayBuffer are never handed to `TextEncoder` or `TextDecoder`, which browsers refuse;
 *  - loading the module touches no platform global: both coders are made when first needed.
 */

import { HoldfastError } from "../errors.js";

/**
 * Where encoded bytes go: a part of the core's linear memory. `bytes` and `view` cover the whole memory and are renewed
 * when it grows, so read them (and `valueOffset`) again after {@link Scratch.reserveValue}.
 */
export interface Scratch {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Room for 4096 bytes of keys. */
  readonly keyOffset: number;
  readonly valueOffset: number;
  /** Bytes at {@link Scratch.valueOffset}; at least 64 KiB. */
  readonly valueCapacity: number;
  /**
   * Makes `valueCapacity >= byteLength`. What the area held before may be gone.
   * @throws HoldfastError `STORE_FULL`
   */
  reserveValue(byteLength: number): void;
  /** Renews the views if the memory has grown since they were made. */
  renew(): void;
  /** Whether the memory is a SharedArrayBuffer. */
  readonly shared: boolean;
}

/** Where bytes are decoded from. */
export type Source = Pick<Scratch, "bytes" | "view" | "shared">;

/** The most bytes of UTF-8 that a key may have. */
export const KEY_BYTES_MAX = 1024;

/** Up to this many UTF-16 units a loop over `charCodeAt` is tried before `TextEncoder`. */
export const ASCII_LOOP_CHARS_MAX = 64;

/** Up to this many bytes a loop beats `TextDecoder`, whose call alone costs some 75 ns (measured on Node 20). */
export const DECODE_LOOP_BYTES_MAX = 36;

/**
 * One list of code units per length, filled anew for each text: `fromCharCode` takes them all in one call, which gives a
 * flat string at once, and nothing is allocated but that string.
 */
const codeUnitsByLength: readonly number[][] = Array.from({ length: DECODE_LOOP_BYTES_MAX + 1 }, (_, length) =>
  new Array<number>(length).fill(0),
);

let textEncoder: TextEncoder | undefined;
let textDecoder: TextDecoder | undefined;

/** Writes `text` at `offset` if it is all ASCII; returns its byte length, or −1, having perhaps written a part. */
export function writeAscii(text: string, bytes: Uint8Array, offset: number): number {
  const length = text.length;
  // Looked at once behind the loop: a branch for each unit costs a fifth of it.
  let seen = 0;
  for (let index = 0; index < length; index++) {
    const unit = text.charCodeAt(index);
    seen |= unit;
    bytes[offset + index] = unit;
  }
  return seen > 0x7f ? -1 : length;
}

/**
 * Writes well-formed `text` at `offset`, using at most `roomBytes`; returns its byte length, or −1 where it does not fit.
 * `shared` says whether `bytes` is a view over shared memory.
 */
export function writeUtf8(text: string, bytes: Uint8Array, offset: number, roomBytes: number, shared: boolean): number {
  textEncoder ??= new TextEncoder();
  if (shared) {
    const encoded = textEncoder.encode(text);
    if (encoded.length > roomBytes) return -1;
    bytes.set(encoded, offset);
    return encoded.length;
  }
  const result = textEncoder.encodeInto(text, bytes.subarray(offset, offset + roomBytes));
  return result.read === text.length ? result.written : -1;
}

/** How many bytes of UTF-8 well-formed `text` takes. */
export function utf8ByteLength(text: string): number {
  let byteLength = text.length;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    // A surrogate pair is two units and four bytes, so each half adds one byte beyond its unit.
    if (unit > 0x7ff && (unit < 0xd800 || unit > 0xdfff)) byteLength += 2;
    else if (unit > 0x7f) byteLength += 1;
  }
  return byteLength;
}

/**
 * Writes a key as UTF-8 at `offset` (by default the scratch's key area) and returns its byte length.
 * @throws HoldfastError `INVALID_KEY` unless `key` is a well-formed string of 1 to {@link KEY_BYTES_MAX} bytes.
 */
export function encodeKey(key: unknown, scratch: Scratch, offset: number = scratch.keyOffset): number {
  if (typeof key === "string" && key.length <= ASCII_LOOP_CHARS_MAX && key.length > 0) {
    const byteLength = writeAscii(key, scratch.bytes, offset);
    if (byteLength > 0) return byteLength;
  }
  return writeCheckedText(key, "the key", 1, KEY_BYTES_MAX, scratch, offset);
}

/**
 * Writes a name, such as a run's id, at the scratch's key area and returns its byte length.
 * @throws HoldfastError `INVALID_KEY`, naming `what`, unless `name` is a well-formed string of 1 to `bytesMax` bytes.
 */
export function encodeName(name: unknown, bytesMax: number, what: string, scratch: Scratch): number {
  return writeCheckedText(name, what, 1, bytesMax, scratch, scratch.keyOffset);
}

/**
 * Writes a bound of a list (prefix, start, end) at `offset` and returns its byte length, which may be 0.
 * @throws HoldfastError `INVALID_KEY`, naming `what`, unless `key` is a well-formed string of at most
 * {@link KEY_BYTES_MAX} bytes.
 */
export function encodeBound(key: unknown, what: string, scratch: Scratch, offset: number): number {
  return writeCheckedText(key, what, 0, KEY_BYTES_MAX, scratch, offset);
}

/**
 * Reads UTF-8 from anywhere in the memory.
 * @throws HoldfastError `CORRUPTION` where the bytes are not UTF-8 or lie outside the memory.
 */
export function decodeText(scratch: Source, offset: number, byteLength: number): string {
  const bytes = scratch.bytes;
  const units = codeUnitsByLength[byteLength];
  if (units === undefined || offset + byteLength > bytes.length) return decodeUtf8(scratch, offset, byteLength);
  for (let index = 0; index < byteLength; index++) {
    // Inside the memory, by the check above.
    const unit = bytes[offset + index] as number;
    if (unit > 0x7f) return decodeUtf8(scratch, offset, byteLength);
    units[index] = unit;
  }
  return String.fromCharCode.apply(String, units);
}

function writeCheckedText(
  text: unknown,
  what: string,
  bytesMin: number,
  bytesMax: number,
  scratch: Scratch,
  offset: number,
): number {
  if (typeof text !== "string") {
    const kind = text === null ? "null" : typeof text;
    throw invalidKey(`${what} must be a string, not ${kind}`, { limit: bytesMax });
  }
  if (text.length < bytesMin)
    throw invalidKey(`${what} is empty; it must have 1 to ${bytesMax} bytes of UTF-8`, { limit: bytesMax });
  // Each UTF-16 unit takes a byte at least, so this bounds the work that a hostile length can cause.
  if (text.length <= bytesMax) {
    if (!text.isWellFormed()) {
      throw invalidKey(`${what} has a lone surrogate, which UTF-8 cannot carry; repair it with toWellFormed()`, {
        limit: bytesMax,
      });
    }
    const asciiLength = text.length <= ASCII_LOOP_CHARS_MAX ? writeAscii(text, scratch.bytes, offset) : -1;
    if (asciiLength >= 0) return asciiLength;
    const byteLength = writeUtf8(text, scratch.bytes, offset, bytesMax, scratch.shared);
    if (byteLength >= 0) return byteLength;
  }
  throw invalidKey(`${what} has more than ${bytesMax} bytes of UTF-8; shorten or hash it`, { limit: bytesMax });
}

function decodeUtf8(scratch: Source, offset: number, byteLength: number): string {
  const bytes = scratch.bytes;
  const end = offset + byteLength;
  if (end > bytes.length) throw corruptText(offset, byteLength, undefined);
  textDecoder ??= new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  try {
    return textDecoder.decode(scratch.shared ? bytes.slice(offset, end) : bytes.subarray(offset, end));
  } catch (cause) {
    throw corruptText(offset, byteLength, cause);
  }
}

function corruptText(offset: number, byteLength: number, cause: unknown): HoldfastError {
  return new HoldfastError("CORRUPTION", "Stored text is not UTF-8: the bytes were damaged after they were written.", {
    cause,
    details: { offset, byteLength },
  });
}

function invalidKey(problem: string, details: Record<string, unknown>): HoldfastError {
  return new HoldfastError("INVALID_KEY", `${problem.charAt(0).toUpperCase()}${problem.slice(1)}.`, { details });
}
