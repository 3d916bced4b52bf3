/**
 * Values as bytes and back: CBOR (RFC 8949) of definite lengths, self-describing, so that any tool can read a log.
 *
 * | value                                           | bytes                                                   |
 * |-------------------------------------------------|---------------------------------------------------------|
 * | number, an integer of −2^32 … 2^32−1, not −0    | major 0 or 1, shortest form: at most 5 bytes            |
 * | any other number (−0, NaN, fractions, big ones) | 0xfb and 8 bytes                                        |
 * | bigint within int64                             | 0x1b or 0x3b and 8 bytes, however small it is           |
 * | string, Uint8Array, array, plain object         | major 3, 2, 4, 5 with the shortest length               |
 * | false, true, null                               | 0xf4, 0xf5, 0xf6                                        |
 *
 * What this file keeps true:
 *  - a value has one encoding, the same at the top and nested, and no two values share one; whatever else CBOR allows
 *    (tags, indefinite lengths, short floats, `undefined`, longer forms than needed) is `CORRUPTION` when read;
 *  - a value read back is deeply equal to, and independent of, what was written; keys keep their order;
 *  - encoding reads each property once, runs no getter, and never leaves a partial value behind as a whole one;
 *  - both directions are bounded: {@link VALUE_DEPTH_MAX} levels, {@link VALUE_BYTES_MAX} bytes, memory in proportion to
 *    the bytes; no input makes either throw anything but a {@link HoldfastError}.
 */

import { HoldfastError } from "../errors.js";
import {
  ASCII_LOOP_CHARS_MAX,
  decodeText,
  type Scratch,
  type Source,
  utf8ByteLength,
  writeAscii,
  writeUtf8,
} from "./utf8.js";

export { decodeText, encodeBound, encodeKey, encodeName, KEY_BYTES_MAX, type Scratch, type Source } from "./utf8.js";

/** What can be stored. Class instances, `undefined`, functions and symbols cannot. */
export type Value =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly Value[]
  | { readonly [key: string]: Value };

/** The most bytes that an encoded value may have. */
export const VALUE_BYTES_MAX = 16 * 1024 * 1024;
/** The most arrays and objects that may lie within one another. */
export const VALUE_DEPTH_MAX = 64;

/** A private buffer of this size is kept for the next nested value; a larger one is given back. */
const SPARE_BYTES_MAX = 64 * 1024;
/** Longer property names are cut in a path, so that a message stays readable. */
const PATH_SEGMENT_CHARS_MAX = 64;

const UINT = 0x00;
const NEGATIVE = 0x20;
const BYTES = 0x40;
const TEXT = 0x60;
const ARRAY = 0x80;
const MAP = 0xa0;
/** Of an item's head the lower five bits, from which on the argument stands in the bytes behind. */
const ARGUMENT_NEXT = 24;
const UINT64 = 0x1b;
const NEGATIVE64 = 0x3b;
const FALSE = 0xf4;
const TRUE = 0xf5;
const NULL = 0xf6;
const FLOAT64 = 0xfb;
/** The upper half of the one NaN that is written; the lower is 0. Of those that are read each is NaN. */
const NAN_HIGH = 0x7ff8_0000;

const SCALAR64_BYTES = 1 + 8;
const HEAD_BYTES_MAX = 1 + 4;
const UINT32_MAX = 0xffff_ffff;
const INT64_MAX = 0x7fff_ffff_ffff_ffffn;
/** A number is written before its width is looked at, so the last one may need this much more room than it takes. */
const NESTED_BUFFER_BYTES_MAX = VALUE_BYTES_MAX + SCALAR64_BYTES;

/** The engine's own getters: an instance or a subclass can shadow `length`, and a Proxy passes `instanceof`. */
const typedArrayPrototype = Object.getPrototypeOf(Uint8Array.prototype) as object;
const typedArrayName = intrinsicGetter(Symbol.toStringTag);
const typedArrayByteLength = intrinsicGetter("byteLength");

/**
 * Encodes `value` at the scratch's value area, which may grow, and returns the byte length. A value with a Proxy in it
 * runs the Proxy's code, before anything is written to the scratch. An `own` value is one that the store has made itself, of
 * arrays and objects with nothing but values in them, and need not be looked at as one that a caller gives.
 * @throws HoldfastError `INVALID_VALUE` with `details.path`; `VALUE_TOO_LARGE` with `details.limit`; `STORE_FULL`.
 */
export function encodeValue(value: unknown, scratch: Scratch, own = false): number {
  if (typeof value === "number") {
    const offset = scratch.valueOffset;
    return putNumber(value, scratch.bytes, scratch.view, offset) - offset;
  }
  if (typeof value === "string") return encodeText(value, scratch);
  if (typeof value === "boolean" || value === null) {
    scratch.bytes[scratch.valueOffset] = value === null ? NULL : value ? TRUE : FALSE;
    return 1;
  }
  if (typeof value === "bigint") {
    if (!isInt64(value)) throw invalidValue("$", "is a bigint beyond 64 bits");
    return putBigInt(value, scratch.bytes, scratch.view, scratch.valueOffset) - scratch.valueOffset;
  }
  if (typeof value === "object")
    return isBytes(value) ? encodeBytes(value, scratch) : encodeNested(value, scratch, own);
  throw invalidValue("$", `is ${describe(value)}`);
}

/**
 * Decodes the value whose bytes lie anywhere in the memory.
 * @throws HoldfastError `CORRUPTION` where the bytes are not exactly one value in the form that we write.
 */
export function decodeValue(scratch: Source, offset: number, byteLength: number): Value {
  const bytes = scratch.bytes;
  const end = offset + byteLength;
  if (byteLength < 1 || end > bytes.length) throw corrupt(offset, byteLength);
  // Inside the memory, by the check above.
  const first = bytes[offset] as number;
  // Numbers are the hottest path of the store, so they are read in one look; the rest of the function would do as well.
  if (first < UINT64) {
    const argument = readArgument(scratch, offset, end);
    if (argument >= 0 && headByteLength(argument) === byteLength) return argument;
    throw corrupt(offset, byteLength);
  }
  if (first === FLOAT64 && byteLength === SCALAR64_BYTES) {
    const float = scratch.view.getFloat64(offset + 1);
    if (!isShortInteger(float)) return float;
  }
  if (first >= ARRAY && first < MAP + 32) return decodeNested(scratch, offset, byteLength);
  if (itemByteLength(scratch, offset, end) !== byteLength) throw corrupt(offset, byteLength);
  return readScalar(scratch, offset, byteLength);
}

function encodeText(text: string, scratch: Scratch): number {
  const charLength = text.length;
  // The value area always holds the longest encoding of so few characters.
  if (charLength > ASCII_LOOP_CHARS_MAX) reserveText(text, scratch);
  const offset = scratch.valueOffset;
  const end = putText(text, scratch.bytes, offset, scratch.shared);
  if (end < 0) throw invalidValue("$", "has a lone surrogate, which UTF-8 cannot carry");
  if (end - offset > VALUE_BYTES_MAX) throw tooLarge(end - offset);
  return end - offset;
}

/** Makes room for `text`. Counts its bytes only if the worst case does not fit, because the memory never shrinks again. */
function reserveText(text: string, scratch: Scratch): void {
  if (text.length > VALUE_BYTES_MAX) throw tooLarge(undefined);
  if (HEAD_BYTES_MAX + text.length * 3 <= scratch.valueCapacity) return;
  const textBytes = utf8ByteLength(text);
  const byteLength = headByteLength(textBytes) + textBytes;
  if (byteLength > VALUE_BYTES_MAX) throw tooLarge(byteLength);
  if (byteLength > scratch.valueCapacity) scratch.reserveValue(byteLength);
}

function encodeBytes(value: Uint8Array, scratch: Scratch): number {
  const length = typedArrayByteLength.call(value) as number;
  const byteLength = headByteLength(length) + length;
  if (byteLength > VALUE_BYTES_MAX) throw tooLarge(byteLength);
  if (byteLength > scratch.valueCapacity) scratch.reserveValue(byteLength);
  const start = putHead(BYTES, length, scratch.bytes, scratch.valueOffset);
  try {
    // Into its room and no further: shared memory may have grown since its length was read.
    scratch.bytes.subarray(start, start + length).set(value);
  } catch (cause) {
    throw invalidValue("$", "is a Uint8Array whose buffer was transferred away or resized", cause);
  }
  return byteLength;
}

/** Up to this many bytes a loop beats a copy through a view that is made for it. */
const COPY_LOOP_BYTES_MAX = 64;

let spareWriter: NestedWriter | undefined;

/**
 * Arrays and objects are written to a buffer of our own first: reading them can run a Proxy's code, which may well call
 * the store and so use the scratch, and the size is not known before the end.
 */
function encodeNested(value: object, scratch: Scratch, own: boolean): number {
  const writer = spareWriter ?? new NestedWriter();
  spareWriter = undefined;
  const byteLength = writer.write(value, own);
  if (byteLength > scratch.valueCapacity) scratch.reserveValue(byteLength);
  scratch.renew();
  const { bytes } = writer;
  if (byteLength > COPY_LOOP_BYTES_MAX) scratch.bytes.set(bytes.subarray(0, byteLength), scratch.valueOffset);
  else for (let i = 0; i < byteLength; i++) scratch.bytes[scratch.valueOffset + i] = bytes[i] as number;
  if (bytes.length <= SPARE_BYTES_MAX) spareWriter = writer;
  return byteLength;
}

/**
 * Writes one array or object, checking while it walks.
 *
 * Why not the library's encoder, when its decoder is used: it always writes a bigint in the shortest form, with no hook
 * for the width (a token of a forged `Type` would do it, by its internals); it would read every property a second time
 * after the check, when a Proxy can answer differently; and its way round that, a token per item, takes 64 bytes or more
 * for an item of two and is three to four times slower. The walk is needed for the checks in any case; writing adds a
 * head per container to what scalars need at the top.
 */
class NestedWriter {
  bytes = new Uint8Array(4 * 1024);
  #view = new DataView(this.bytes.buffer);
  #position = 0;
  /** How many containers are open: the length in use of both lists below. */
  #depth = 0;
  readonly #ancestors: (object | undefined)[] = [];
  readonly #path: PropertyKey[] = [];
  #own = false;
  /** What we threw ourselves, to tell it from what a Proxy threw, even where that is a HoldfastError too. */
  #failure: HoldfastError | undefined;

  /** Writes `value` from the start of {@link NestedWriter.bytes}; returns the byte length. After a throw: throw it away. */
  write(value: object, own: boolean): number {
    this.#position = 0;
    this.#own = own;
    try {
      this.#writeContainer(value);
    } catch (error) {
      if (error === this.#failure) throw error;
      throw invalidValue(this.#pathText(), "threw an error when it was read", error);
    }
    if (this.#position > VALUE_BYTES_MAX) throw tooLarge(this.#position);
    return this.#position;
  }

  #writeItem(item: unknown): void {
    if (typeof item === "number") {
      this.#reserve(SCALAR64_BYTES);
      this.#position = putNumber(item, this.bytes, this.#view, this.#position);
    } else if (typeof item === "string") {
      this.#writeText(item, "has a lone surrogate, which UTF-8 cannot carry");
    } else if (typeof item === "boolean" || item === null) {
      this.#reserve(1);
      this.bytes[this.#position++] = item === null ? NULL : item ? TRUE : FALSE;
    } else if (typeof item === "object") {
      if (isBytes(item)) this.#writeBytes(item);
      else this.#writeContainer(item);
    } else if (typeof item === "bigint") {
      if (!isInt64(item)) throw this.#invalid("is a bigint beyond 64 bits");
      this.#reserve(SCALAR64_BYTES);
      this.#position = putBigInt(item, this.bytes, this.#view, this.#position);
    } else {
      throw this.#invalid(`is ${describe(item)}`);
    }
  }

  #writeText(text: string, problemIfIllFormed: string): void {
    if (text.length > VALUE_BYTES_MAX - this.#position) throw this.#tooLarge();
    if (this.#position + HEAD_BYTES_MAX + text.length * 3 > this.bytes.length) {
      const textBytes = utf8ByteLength(text);
      this.#reserve(headByteLength(textBytes) + textBytes);
    }
    const end = putText(text, this.bytes, this.#position, false);
    if (end < 0) throw this.#invalid(problemIfIllFormed);
    this.#position = end;
  }

  #writeBytes(item: Uint8Array): void {
    const length = typedArrayByteLength.call(item) as number;
    this.#reserve(headByteLength(length) + length);
    const start = putHead(BYTES, length, this.bytes, this.#position);
    this.bytes.set(item, start);
    this.#position = start + length;
  }

  #writeContainer(item: object): void {
    if (this.#depth === VALUE_DEPTH_MAX) throw this.#invalid(`is nested deeper than ${VALUE_DEPTH_MAX} levels`);
    for (let level = 0; level < this.#depth; level++) {
      if (this.#ancestors[level] === item) throw this.#invalid("contains itself");
    }
    const isArray = Array.isArray(item);
    const prototype: unknown = Object.getPrototypeOf(item);
    if (isArray ? !isArrayPrototype(prototype) : !isPlainPrototype(prototype)) {
      throw this.#invalid(`is ${describeInstance(prototype)}`);
    }
    if (isArray) this.#writeArray(item);
    else this.#writeObject(item);
  }

  #writeArray(items: object): void {
    const length = this.#readData(items, "length");
    // Only a Proxy can answer anything else.
    if (typeof length !== "number" || !(length >= 0 && length <= UINT32_MAX))
      throw this.#invalid("has a length that is none");
    this.#writeHead(ARRAY, length, 1);
    const depth = this.#depth;
    this.#ancestors[depth] = items;
    this.#depth = depth + 1;
    for (let index = 0; index < length; index++) {
      this.#path[depth] = index;
      this.#writeItem(this.#readData(items, index));
    }
    this.#close(depth);
  }

  #writeObject(item: object): void {
    const symbols = this.#own ? [] : Object.getOwnPropertySymbols(item);
    const keys = Object.keys(item);
    this.#writeHead(MAP, keys.length, 2);
    const depth = this.#depth;
    this.#ancestors[depth] = item;
    this.#depth = depth + 1;
    for (const symbol of symbols) {
      this.#path[depth] = symbol;
      if (Reflect.getOwnPropertyDescriptor(item, symbol)?.enumerable === true)
        throw this.#invalid("has a symbol for its key");
    }
    for (const key of keys) {
      this.#path[depth] = key;
      this.#writeText(key, "has a key with a lone surrogate, which UTF-8 cannot carry");
      this.#writeItem(this.#readData(item, key));
    }
    this.#close(depth);
  }

  /** Leaves a container. Nothing of the caller's stays reachable through a writer that is kept; emptying the lists would free them. */
  #close(depth: number): void {
    this.#depth = depth;
    this.#ancestors[depth] = undefined;
    this.#path[depth] = 0;
  }

  /** An own property's value, read once and without running a getter. */
  #readData(item: object, key: PropertyKey): unknown {
    if (this.#own) return item[key as keyof typeof item];
    const property = Reflect.getOwnPropertyDescriptor(item, key);
    if (property === undefined) throw this.#invalid("is a hole: an array must have a value at every index");
    if (property.get !== undefined || property.set !== undefined)
      throw this.#invalid("is a getter or setter, which is never run");
    return property.value;
  }

  /** Fails before the first item where the items, of `itemBytesMin` each at least, cannot fit. */
  #writeHead(major: number, count: number, itemBytesMin: number): void {
    if (count * itemBytesMin > VALUE_BYTES_MAX - this.#position) throw this.#tooLarge();
    this.#reserve(HEAD_BYTES_MAX);
    this.#position = putHead(major, count, this.bytes, this.#position);
  }

  #reserve(byteLength: number): void {
    const needed = this.#position + byteLength;
    const old = this.bytes;
    if (needed <= old.length) return;
    if (needed > NESTED_BUFFER_BYTES_MAX) throw this.#tooLarge();
    this.bytes = new Uint8Array(Math.min(Math.max(needed, 2 * old.length), NESTED_BUFFER_BYTES_MAX));
    this.bytes.set(old.subarray(0, this.#position));
    this.#view = new DataView(this.bytes.buffer);
  }

  #invalid(problem: string): HoldfastError {
    this.#failure = invalidValue(this.#pathText(), problem);
    return this.#failure;
  }

  #tooLarge(): HoldfastError {
    this.#failure = tooLarge(undefined);
    return this.#failure;
  }

  #pathText(): string {
    return `$${this.#path.slice(0, this.#depth).map(pathSegmentText).join("")}`;
  }
}

let spareReader: NestedReader | undefined;

function decodeNested(scratch: Source, offset: number, byteLength: number): Value {
  const reader = spareReader ?? new NestedReader();
  spareReader = undefined;
  reader.begin(scratch, offset, byteLength);
  const value = reader.item(0);
  if (!reader.isDone) throw corrupt(offset, byteLength);
  // One that is kept holds on to nobody's memory.
  reader.begin(NOWHERE, 0, 0);
  spareReader = reader;
  return value;
}

const NOWHERE: Source = { bytes: new Uint8Array(), view: new DataView(new ArrayBuffer(0)), shared: false };

/** An array gets room ahead for so many items; with more, a count that lies would cost memory for what is not there. */
const ITEMS_AHEAD_MAX = 64;
/** Longer property names are not kept. */
const NAME_BYTES_MAX = 23;
const NAMES_KEPT = 256;
/** A name makes room for another one that is found in its place so often, so that names which are all different cost little. */
const NAMES_MISSED_PER_CHANGE = 8;
/**
 * Property names that were read lately, by their bytes. Names of properties are few, and finding one costs less than to make a
 * text of the same bytes again and again.
 */
const namesKept = new Array<{ readonly bytes: Uint8Array; readonly name: string } | undefined>(NAMES_KEPT).fill(
  undefined,
);
let namesMissed = 0;

function isAt(kept: Uint8Array, bytes: Uint8Array, start: number, length: number): boolean {
  if (kept.length !== length) return false;
  for (let i = 0; i < length; i++) if (kept[i] !== bytes[start + i]) return false;
  return true;
}

/**
 * Reads one array or object, item by item.
 *
 * Why no library: the forms that are allowed are fewer than those of CBOR (see the table above), and what a general
 * decoder takes for the same (an 8-byte integer for a number, wrong UTF-8 for replaced characters) would have to be read
 * here in any case; what is then left to it is to fill arrays and objects, at several times the cost.
 */
class NestedReader {
  #source = NOWHERE;
  #start = 0;
  #end = 0;
  #position = 0;

  begin(source: Source, offset: number, byteLength: number): void {
    this.#source = source;
    this.#start = offset;
    this.#position = offset;
    this.#end = offset + byteLength;
  }

  get isDone(): boolean {
    return this.#position === this.#end;
  }

  /** The next item, within `depth` containers. */
  item(depth: number): Value {
    const position = this.#position;
    if (position >= this.#end) throw this.#corrupt();
    // Inside the memory, by the check above.
    const first = this.#source.bytes[position] as number;
    // Most items are short: what their first byte says need not be looked at again.
    if (first < ARGUMENT_NEXT) {
      this.#position = position + 1;
      return first;
    }
    if (first >= TEXT && first < TEXT + ARGUMENT_NEXT) return this.#shortText(first - TEXT);
    const byteLength = itemByteLength(this.#source, position, this.#end);
    if (byteLength < 0) throw this.#corrupt();
    this.#position = position + byteLength;
    if (first < ARRAY || first >= MAP + 32) return readScalar(this.#source, position, byteLength);
    const count = readArgument(this.#source, position, this.#end);
    const isArray = first < MAP;
    // Each item takes a byte at least, so a larger count is a lie, and not to be looped over.
    const itemsMax = this.#end - this.#position;
    if (depth === VALUE_DEPTH_MAX || (isArray ? count : 2 * count) > itemsMax) throw this.#corrupt();
    return isArray ? this.#array(count, depth + 1) : this.#object(count, depth + 1);
  }

  #array(count: number, depth: number): Value {
    const items: Value[] = count > ITEMS_AHEAD_MAX ? [] : new Array(count);
    for (let i = 0; i < count; i++) items[i] = this.item(depth);
    return items;
  }

  #shortText(byteLength: number): string {
    const start = this.#position + 1;
    if (start + byteLength > this.#end) throw this.#corrupt();
    this.#position = start + byteLength;
    return decodeText(this.#source, start, byteLength);
  }

  #object(count: number, depth: number): Value {
    const object: { [name: string]: Value } = {};
    for (let i = 0; i < count; i++) {
      const name = this.#name(depth);
      if (typeof name !== "string") throw this.#corrupt();
      if (!(name in object)) {
        object[name] = this.item(depth);
        continue;
      }
      if (Object.hasOwn(object, name)) throw this.#corrupt();
      // Assigning would set the prototype, call an inherited setter, or fail where what is inherited cannot be written.
      const value = this.item(depth);
      Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
    }
    return object;
  }

  /** The next item, which has to be a property's name. */
  #name(depth: number): Value {
    const { bytes } = this.#source;
    const start = this.#position + 1;
    const length = (bytes[start - 1] ?? 0) - TEXT;
    if (!(length > 0 && length <= NAME_BYTES_MAX) || start + length > this.#end) return this.item(depth);
    const place = (length * 31 + (bytes[start] as number) * 7 + (bytes[start + length - 1] as number)) % NAMES_KEPT;
    const kept = namesKept[place];
    if (kept !== undefined && isAt(kept.bytes, bytes, start, length)) {
      this.#position = start + length;
      return kept.name;
    }
    const name = this.item(depth);
    if (kept === undefined || namesMissed++ % NAMES_MISSED_PER_CHANGE === 0) {
      // The engine's own copy of the name, which it looks for in vain otherwise for each object that is made.
      const [own = ""] = Object.keys({ [name as string]: 0 });
      namesKept[place] = { bytes: bytes.slice(start, start + length), name: own };
    }
    return name;
  }

  #corrupt(): HoldfastError {
    return corrupt(this.#start, this.#end - this.#start);
  }
}

/** Reads a scalar whose byte length is that of {@link itemByteLength}. */
function readScalar(scratch: Source, offset: number, byteLength: number): Value {
  // Inside the memory: itemByteLength() looked.
  const first = scratch.bytes[offset] as number;
  if (first === FLOAT64) return scratch.view.getFloat64(offset + 1);
  if (first === UINT64) return scratch.view.getBigInt64(offset + 1);
  if (first === NEGATIVE64) return -1n - scratch.view.getBigInt64(offset + 1);
  if (first >= FALSE) return first === NULL ? null : first === TRUE;
  const argument = readArgument(scratch, offset, offset + byteLength);
  if (first < NEGATIVE) return argument;
  if (first < BYTES) return -1 - argument;
  const end = offset + byteLength;
  if (first < TEXT) return scratch.bytes.slice(end - argument, end);
  return decodeText(scratch, end - argument, argument);
}

/**
 * How many bytes the item at `offset` takes, a container's without what is in it. −1 where it does not end by `end`, or is
 * in a form that is never written.
 */
function itemByteLength(scratch: Source, offset: number, end: number): number {
  // Inside the memory: every caller has checked that offset < end.
  const first = scratch.bytes[offset] as number;
  if (first >= FALSE && first <= NULL) return 1;
  if (first === FLOAT64) {
    if (offset + SCALAR64_BYTES > end) return -1;
    return isShortInteger(scratch.view.getFloat64(offset + 1)) ? -1 : SCALAR64_BYTES;
  }
  if (first === UINT64 || first === NEGATIVE64) {
    // With the top bit set it would be beyond int64, in either sign.
    return offset + SCALAR64_BYTES > end || scratch.view.getInt8(offset + 1) < 0 ? -1 : SCALAR64_BYTES;
  }
  if (first >= MAP + 32) return -1;
  const argument = readArgument(scratch, offset, end);
  if (argument < 0) return -1;
  const headBytes = headByteLength(argument);
  if (first < BYTES || first >= ARRAY) return headBytes;
  return offset + headBytes + argument > end ? -1 : headBytes + argument;
}

/** The number in an item's head; −1 where it is cut short, in a longer form than it needs, or of more than 4 bytes. */
function readArgument(scratch: Source, offset: number, end: number): number {
  const bytes = scratch.bytes;
  const minor = (bytes[offset] as number) & 31;
  if (minor < ARGUMENT_NEXT) return minor;
  if (minor === 24 && offset + 2 <= end) {
    const argument = bytes[offset + 1] as number;
    return argument >= 24 ? argument : -1;
  }
  if (minor === 25 && offset + 3 <= end) {
    const argument = scratch.view.getUint16(offset + 1);
    return argument > 0xff ? argument : -1;
  }
  if (minor === 26 && offset + 5 <= end) {
    const argument = scratch.view.getUint32(offset + 1);
    return argument > 0xffff ? argument : -1;
  }
  return -1;
}

/** Whether a number is written as an integer. */
function isShortInteger(value: number): boolean {
  return (
    value <= UINT32_MAX && value >= -1 - UINT32_MAX && Math.floor(value) === value && (value !== 0 || 1 / value > 0)
  );
}

function isInt64(value: bigint): boolean {
  return value <= INT64_MAX && value >= -1n - INT64_MAX;
}

/** Writes a number, in at most 9 bytes; returns where it ends. */
function putNumber(value: number, bytes: Uint8Array, view: DataView, offset: number): number {
  if (isShortInteger(value)) {
    return value >= 0 ? putHead(UINT, value, bytes, offset) : putHead(NEGATIVE, -1 - value, bytes, offset);
  }
  bytes[offset] = FLOAT64;
  if (Number.isNaN(value)) {
    // What was computed and what was written out have different bits, and engines store them as they are.
    view.setUint32(offset + 1, NAN_HIGH);
    view.setUint32(offset + 5, 0);
  } else {
    view.setFloat64(offset + 1, value);
  }
  return offset + SCALAR64_BYTES;
}

/** Writes a bigint within int64; returns where it ends. */
function putBigInt(value: bigint, bytes: Uint8Array, view: DataView, offset: number): number {
  bytes[offset] = value >= 0n ? UINT64 : NEGATIVE64;
  view.setBigInt64(offset + 1, value >= 0n ? value : -1n - value);
  return offset + SCALAR64_BYTES;
}

/**
 * Writes a text with its head; returns where it ends, or −1 for a lone surrogate. The caller has made room for the text
 * as it is in UTF-8.
 */
function putText(text: string, bytes: Uint8Array, offset: number, shared: boolean): number {
  const charLength = text.length;
  // Right for ASCII; for anything else the head may turn out to be longer.
  const headBytesGuess = headByteLength(charLength);
  if (charLength <= ASCII_LOOP_CHARS_MAX && writeAscii(text, bytes, offset + headBytesGuess) >= 0) {
    return putHead(TEXT, charLength, bytes, offset) + charLength;
  }
  if (!text.isWellFormed()) return -1;
  const start = offset + headBytesGuess;
  const byteLength = writeUtf8(text, bytes, start, charLength * 3, shared);
  const headBytes = headByteLength(byteLength);
  if (headBytes !== headBytesGuess) bytes.copyWithin(offset + headBytes, start, start + byteLength);
  return putHead(TEXT, byteLength, bytes, offset) + byteLength;
}

/** Writes a major type with its argument, which is below 2^32, in the shortest form; returns where it ends. */
function putHead(major: number, argument: number, bytes: Uint8Array, offset: number): number {
  if (argument < ARGUMENT_NEXT) {
    bytes[offset] = major | argument;
    return offset + 1;
  }
  if (argument <= 0xff) {
    bytes[offset] = major | 24;
    bytes[offset + 1] = argument;
    return offset + 2;
  }
  if (argument <= 0xffff) {
    bytes[offset] = major | 25;
    bytes[offset + 1] = argument >>> 8;
    bytes[offset + 2] = argument;
    return offset + 3;
  }
  bytes[offset] = major | 26;
  bytes[offset + 1] = argument >>> 24;
  bytes[offset + 2] = argument >>> 16;
  bytes[offset + 3] = argument >>> 8;
  bytes[offset + 4] = argument;
  return offset + 5;
}

/** The byte length of what {@link putHead} writes. */
function headByteLength(argument: number): number {
  return argument < ARGUMENT_NEXT ? 1 : argument <= 0xff ? 2 : argument <= 0xffff ? 3 : 5;
}

function intrinsicGetter(name: PropertyKey): (this: unknown) => unknown {
  const getter = Object.getOwnPropertyDescriptor(typedArrayPrototype, name)?.get;
  if (getter === undefined)
    throw new HoldfastError("UNSUPPORTED", `This engine's typed arrays have no ${String(name)}.`);
  return getter;
}

/** Whether `value` is a Uint8Array, of any realm or subclass. */
function isBytes(value: object): value is Uint8Array {
  return typedArrayName.call(value) === "Uint8Array";
}

function describe(value: unknown): string {
  return value === undefined ? "undefined" : `a ${typeof value}`;
}

/** Whether arrays have it, of this realm or another one: no other prototype is an array itself. */
function isArrayPrototype(prototype: unknown): boolean {
  return prototype === Array.prototype || Array.isArray(prototype);
}

/** Whether plain objects have it, or none, of this realm or another one, whose own is at the root and has what every object inherits. */
export function isPlainPrototype(prototype: unknown): boolean {
  if (prototype === Object.prototype || prototype === null) return true;
  if (typeof prototype !== "object" || Object.getPrototypeOf(prototype) !== null) return false;
  return Object.hasOwn(prototype, "isPrototypeOf") && Object.hasOwn(prototype, "constructor");
}

/** Names a class by what its prototype says, without running a getter. */
function describeInstance(prototype: unknown): string {
  if (typeof prototype !== "object" || prototype === null) return "an object without a usable prototype";
  const ownClass: unknown = Object.getOwnPropertyDescriptor(prototype, "constructor")?.value;
  if (typeof ownClass !== "function") return "a class instance";
  const name: unknown = Object.getOwnPropertyDescriptor(ownClass, "name")?.value;
  return typeof name === "string" && name !== ""
    ? `an instance of ${name.slice(0, PATH_SEGMENT_CHARS_MAX)}`
    : "a class instance";
}

function pathSegmentText(segment: PropertyKey): string {
  if (typeof segment === "number") return `[${segment}]`;
  if (typeof segment === "symbol") return `[${String(segment)}]`;
  const name = segment.length > PATH_SEGMENT_CHARS_MAX ? `${segment.slice(0, PATH_SEGMENT_CHARS_MAX)}…` : segment;
  return /^[A-Za-z_$][\w$]*$/.test(name) ? `.${name}` : `[${JSON.stringify(name)}]`;
}

function invalidValue(path: string, problem: string, cause?: unknown): HoldfastError {
  const message =
    `The value at ${path} ${problem}. A value is made of null, booleans, numbers, bigints of 64 bits, ` +
    "well-formed strings, Uint8Arrays, arrays and plain objects; convert the rest before storing it.";
  return new HoldfastError("INVALID_VALUE", message, { ...(cause === undefined ? {} : { cause }), details: { path } });
}

function tooLarge(byteLength: number | undefined): HoldfastError {
  const size = byteLength === undefined ? "more" : `${byteLength} bytes`;
  return new HoldfastError(
    "VALUE_TOO_LARGE",
    `The value takes ${size} when encoded, and the limit is ${VALUE_BYTES_MAX} bytes; store it in parts under several keys.`,
    { details: { ...(byteLength === undefined ? {} : { byteLength }), limit: VALUE_BYTES_MAX } },
  );
}

function corrupt(offset: number, byteLength: number, cause?: unknown): HoldfastError {
  return new HoldfastError(
    "CORRUPTION",
    `The ${byteLength} bytes at ${offset} are not a stored value: they were damaged after they were written.`,
    { ...(cause === undefined ? {} : { cause }), details: { offset, byteLength } },
  );
}
