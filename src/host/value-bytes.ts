/**
 * Values as bytes outside of the core: what is hashed before it is stored, what is stored inside of another value, and what is
 * copied.
 */
import { decodeValue, encodeValue, type Scratch, type Source, type Value } from "./codec.js";

/** Room for keys in a scratch, as in the core's. */
const KEY_BYTES = 4096;
/** A buffer of this size is kept for the next value; a larger one is not. */
const SPARE_BYTES_MAX = 64 * 1024;
/** As many are in use at once where nobody's Proxy encodes further values in between. */
const SPARES_MAX = 2;
/** Far from what the largest value holds. */
const TEXT_CHECKED_CHARS_MAX = 65_536;

/** A value as bytes in memory that is lent: with 4 KiB before it that may be written to as well. */
export interface LentBytes extends Source {
  /** Where the value begins. */
  readonly valueOffset: number;
  readonly byteLength: number;
}

class PrivateScratch implements Scratch, LentBytes {
  bytes = new Uint8Array(KEY_BYTES + SPARE_BYTES_MAX);
  view = new DataView(this.bytes.buffer);
  readonly keyOffset = 0;
  readonly valueOffset = KEY_BYTES;
  readonly shared = false;
  byteLength = 0;

  get valueCapacity(): number {
    return this.bytes.length - this.valueOffset;
  }

  reserveValue(byteLength: number): void {
    if (byteLength <= this.valueCapacity) return;
    this.bytes = new Uint8Array(this.valueOffset + byteLength);
    this.view = new DataView(this.bytes.buffer);
  }

  renew(): void {}
}

const spares: PrivateScratch[] = [];

/**
 * The bytes that `value` is stored as, lent until they are given back: memory of their own beyond 64 bytes costs as much as several
 * reads of the store.
 * @throws HoldfastError `INVALID_VALUE` with `details.path`; `VALUE_TOO_LARGE` with `details.limit`.
 */
export function lendBytes(value: unknown): LentBytes {
  // Nobody else's while this is under way: a Proxy in the value may come back here.
  const scratch = spares.pop() ?? new PrivateScratch();
  try {
    scratch.byteLength = encodeValue(value, scratch);
  } catch (error) {
    giveBack(scratch);
    throw error;
  }
  return scratch;
}

/** Gives back what was lent, once; nobody looks at it any more. */
export function giveBack(lent: LentBytes): void {
  const scratch = lent as PrivateScratch;
  if (scratch.valueCapacity <= SPARE_BYTES_MAX && spares.length < SPARES_MAX) spares.push(scratch);
}

/**
 * The bytes that `value` is stored as, in memory of their own.
 * @throws HoldfastError `INVALID_VALUE` with `details.path`; `VALUE_TOO_LARGE` with `details.limit`.
 */
export function encodeToBytes(value: unknown): Uint8Array {
  const lent = lendBytes(value);
  const { bytes, valueOffset, byteLength } = lent;
  const own = bytes.slice(valueOffset, valueOffset + byteLength);
  giveBack(lent);
  return own;
}

/** The value that {@link encodeToBytes} has encoded. @throws HoldfastError `CORRUPTION` where the bytes are not one. */
export function decodeFromBytes(bytes: Uint8Array): Value {
  if (bytes.length > SPARE_BYTES_MAX) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return decodeValue({ bytes, view, shared: false }, 0, bytes.length);
  }
  // Where there is a view already: making one costs more than to copy so few bytes and to decode them.
  const scratch = spares.pop() ?? new PrivateScratch();
  scratch.bytes.set(bytes, scratch.valueOffset);
  try {
    return decodeValue(scratch, scratch.valueOffset, bytes.length);
  } finally {
    giveBack(scratch);
  }
}

/**
 * A value as it is at this moment, independent of the caller's, for a step that may run more than once.
 * @throws HoldfastError `INVALID_VALUE` with `details.path`, `VALUE_TOO_LARGE`.
 */
export function copyValue(value: unknown): Value {
  if (typeof value === "number" || typeof value === "boolean" || value === null) return value;
  // Texts cannot change, and what one of them may not have is found at once.
  if (typeof value === "string" && value.length <= TEXT_CHECKED_CHARS_MAX && value.isWellFormed()) return value;
  const lent = lendBytes(value);
  const copy = decodeValue(lent, lent.valueOffset, lent.byteLength);
  giveBack(lent);
  return copy;
}
