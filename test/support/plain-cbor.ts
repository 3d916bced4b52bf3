/**
 * Values as docs/FORMAT.md has them, encoded and decoded the plain way: what tests judge stored bytes and hashes by.
 *
 * Nothing here is shared with the store's own codec.
 */
import { createHash } from "node:crypto";
import type { Value } from "../../src/index.js";

const INTEGER_MAX = 2 ** 32 - 1;
const INTEGER_MIN = -(2 ** 32);

function head(major: number, count: number): Buffer {
  const first = major << 5;
  if (count < 24) return Buffer.from([first | count]);
  if (count < 2 ** 8) return Buffer.from([first | 24, count]);
  const bytes = Buffer.alloc(count < 2 ** 16 ? 3 : 5);
  bytes[0] = first | (count < 2 ** 16 ? 25 : 26);
  bytes.writeUIntBE(count, 1, bytes.length - 1);
  return bytes;
}

function numberBytes(value: number): Buffer {
  const isShort = Number.isInteger(value) && !Object.is(value, -0) && value >= INTEGER_MIN && value <= INTEGER_MAX;
  if (isShort) return value >= 0 ? head(0, value) : head(1, -1 - value);
  const bytes = Buffer.alloc(9, 0xfb);
  bytes.writeDoubleBE(value, 1);
  return bytes;
}

function bigintBytes(value: bigint): Buffer {
  const bytes = Buffer.alloc(9, value >= 0n ? 0x1b : 0x3b);
  bytes.writeBigUInt64BE(value >= 0n ? value : -1n - value, 1);
  return bytes;
}

/** The bytes that a value is stored as. */
export function plainEncode(value: Value): Buffer {
  if (value === false || value === true || value === null) {
    return Buffer.from([value === null ? 0xf6 : value ? 0xf5 : 0xf4]);
  }
  if (typeof value === "number") return numberBytes(value);
  if (typeof value === "bigint") return bigintBytes(value);
  if (typeof value === "string") return Buffer.concat([head(3, Buffer.byteLength(value)), Buffer.from(value)]);
  if (value instanceof Uint8Array) return Buffer.concat([head(2, value.length), value]);
  if (Array.isArray(value)) {
    return Buffer.concat([head(4, value.length), ...(value as readonly Value[]).map(plainEncode)]);
  }
  const entries = Object.entries(value as { readonly [key: string]: Value });
  return Buffer.concat([
    head(5, entries.length),
    ...entries.flatMap(([key, item]) => [plainEncode(key), plainEncode(item)]),
  ]);
}

/** Reads values one behind the other. */
class PlainDecoder {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  #take(count: number): Buffer {
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }

  #simple(first: number): Value {
    if (first === 0xfb) return this.#take(8).readDoubleBE(0);
    if (first === 0xf6) return null;
    return first === 0xf5;
  }

  #count(short: number): number {
    if (short < 24) return short;
    const bytes = 2 ** (short - 24);
    return this.#take(bytes).readUIntBE(0, bytes);
  }

  next(): Value {
    const first = this.#take(1)[0] as number;
    const [major, short] = [first >> 5, first & 31];
    if (major === 7) return this.#simple(first);
    if (major < 2 && short === 27) {
      const magnitude = this.#take(8).readBigUInt64BE(0);
      return major === 0 ? magnitude : -1n - magnitude;
    }
    const count = this.#count(short);
    if (major === 0) return count;
    if (major === 1) return -1 - count;
    if (major === 2) return new Uint8Array(this.#take(count));
    if (major === 3) return this.#take(count).toString();
    if (major === 4) return Array.from({ length: count }, () => this.next());
    return Object.fromEntries(Array.from({ length: count }, () => [this.next() as string, this.next()]));
  }
}

/** The value that whole and undamaged bytes stand for. */
export function plainDecode(bytes: Uint8Array): Value {
  return new PlainDecoder(bytes).next();
}

/** The hash that seals an event: over its stored bytes, and the hash before it. */
export function eventHash(
  sequence: number,
  type: string,
  payload: Value,
  timestamp: number,
  previousHash: Uint8Array,
): Uint8Array {
  const bytes = plainEncode([sequence, type, payload, timestamp]);
  return new Uint8Array(createHash("sha256").update(bytes).update(previousHash).digest());
}
