/**
 * Values as bytes outside of the core: what is hashed before it is stored, what is stored inside of another value, and what is
 * copied.
 */
import { decodeValue, encodeValue, type Scratch, type Source, type Value } from "./codec.js";

/** Room for keys in a scratch, as in the core's. */
const KEY_BYTES = 4096;
/** A buffer of this size is kept for the next value; a larger one is given back. */
const SPARE_BYTES_MAX = 64 * 1024;
/** Far from what the largest value holds. */
const TEXT_CHECKED_CHARS_MAX = 65_536;

class PrivateScratch implements Scratch {
  bytes = new Uint8Array(KEY_BYTES + SPARE_BYTES_MAX);
  view = new DataView(this.bytes.buffer);
  readonly keyOffset = 0;
  readonly valueOffset = KEY_BYTES;
  readonly shared = false;

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

let spare: PrivateScratch | undefined;

/**
 * The bytes that `value` is stored as, in memory of their own.
 * @throws HoldfastError `INVALID_VALUE` with `details.path`; `VALUE_TOO_LARGE` with `details.limit`.
 */
export function encodeToBytes(value: unknown): Uint8Array {
  const scratch = spare ?? new PrivateScratch();
  // A Proxy in the value may come back here while this is under way.
  spare = undefined;
  const byteLength = encodeValue(value, scratch);
  const bytes = scratch.bytes.slice(scratch.valueOffset, scratch.valueOffset + byteLength);
  if (scratch.valueCapacity <= SPARE_BYTES_MAX) spare = scratch;
  return bytes;
}

/** The value that {@link encodeToBytes} has encoded. @throws HoldfastError `CORRUPTION` where the bytes are not one. */
export function decodeFromBytes(bytes: Uint8Array): Value {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const source: Source = { bytes, view, shared: false };
  return decodeValue(source, 0, bytes.length);
}

/**
 * A value as it is at this moment, independent of the caller's, for a step that may run more than once.
 * @throws HoldfastError `INVALID_VALUE` with `details.path`, `VALUE_TOO_LARGE`.
 */
export function copyValue(value: unknown): Value {
  if (typeof value === "number" || typeof value === "boolean" || value === null) return value;
  // Texts cannot change, and what one of them may not have is found at once.
  if (typeof value === "string" && value.length <= TEXT_CHECKED_CHARS_MAX && value.isWellFormed()) return value;
  return decodeFromBytes(encodeToBytes(value));
}
