/**
 * The codec: every value of the model comes back as it was, everything else is refused by name, and no bytes whatever do
 * more than `CORRUPTION`. Property tests print the seed of a failure (fast-check does).
 */

import { deepStrictEqual } from "node:assert";
import { isDeepStrictEqual } from "node:util";
import { decode as cborDecode } from "cborg";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HoldfastError } from "../../src/errors.js";
import {
  decodeText,
  decodeValue,
  encodeBound,
  encodeKey,
  encodeName,
  encodeValue,
  KEY_BYTES_MAX,
  type Scratch,
  VALUE_BYTES_MAX,
  VALUE_DEPTH_MAX,
  type Value,
} from "../../src/host/codec.js";

const KEY_AREA_OFFSET = 8;
const VALUE_AREA_OFFSET = KEY_AREA_OFFSET + 4096 + 3;

/** Memory that is replaced when it grows: the old views are detached, and the value area moves. */
class GrowingScratch implements Scratch {
  #buffer = new ArrayBuffer(VALUE_AREA_OFFSET + 64 * 1024);
  readonly shared = false;
  readonly keyOffset = KEY_AREA_OFFSET;
  valueOffset = VALUE_AREA_OFFSET;
  valueCapacity = 64 * 1024;
  bytes = new Uint8Array(this.#buffer);
  view = new DataView(this.#buffer);
  reservations: number[] = [];

  renew(): void {}

  reserveValue(byteLength: number): void {
    this.reservations.push(byteLength);
    if (byteLength <= this.valueCapacity) return;
    this.valueOffset += 16;
    this.valueCapacity = byteLength;
    this.#buffer =
      this.#buffer.transfer === undefined
        ? structuredClone(this.#buffer, { transfer: [this.#buffer] })
        : this.#buffer.transfer();
    this.#buffer = new ArrayBuffer(this.valueOffset + byteLength);
    this.bytes = new Uint8Array(this.#buffer);
    this.view = new DataView(this.#buffer);
  }
}

/** Shared memory does not move when it grows, but its views are renewed. */
class SharedScratch implements Scratch {
  readonly #buffer = new SharedArrayBuffer(VALUE_AREA_OFFSET + VALUE_BYTES_MAX);
  readonly shared = true;
  readonly keyOffset = KEY_AREA_OFFSET;
  readonly valueOffset = VALUE_AREA_OFFSET;
  valueCapacity = 64 * 1024;
  bytes = new Uint8Array(this.#buffer);
  view = new DataView(this.#buffer);

  renew(): void {}

  reserveValue(byteLength: number): void {
    this.valueCapacity = Math.max(this.valueCapacity, byteLength);
    this.bytes = new Uint8Array(this.#buffer);
    this.view = new DataView(this.#buffer);
  }
}

const scratches: readonly (readonly [string, () => Scratch])[] = [
  ["growing memory", () => new GrowingScratch()],
  ["shared memory", () => new SharedScratch()],
];

function encoded(value: unknown, scratch: Scratch = new GrowingScratch(), own = false): Uint8Array {
  const byteLength = encodeValue(value, scratch, own);
  return scratch.bytes.slice(scratch.valueOffset, scratch.valueOffset + byteLength);
}

function hex(value: unknown): string {
  return Buffer.from(encoded(value)).toString("hex");
}

function decoded(bytes: ArrayLike<number>, scratch: Scratch = new GrowingScratch()): Value {
  scratch.reserveValue(bytes.length);
  // Not where encodeValue() writes: a value is decoded from anywhere.
  const offset = scratch.bytes.length - bytes.length;
  scratch.bytes.set(bytes, offset);
  return decodeValue(scratch, offset, bytes.length);
}

function roundTrip(value: unknown, scratch: Scratch = new GrowingScratch()): Value {
  const byteLength = encodeValue(value, scratch);
  return decodeValue(scratch, scratch.valueOffset, byteLength);
}

function failure(run: () => unknown): HoldfastError {
  try {
    run();
  } catch (error) {
    if (HoldfastError.is(error)) return error;
    throw new Error("an untyped error", { cause: error });
  }
  throw new Error("nothing was thrown");
}

function expectInvalid(value: unknown, path: string, scratch: Scratch = new GrowingScratch()): HoldfastError {
  const error = failure(() => encodeValue(value, scratch));
  expect(error.code).toBe("INVALID_VALUE");
  expect(error.details["path"]).toBe(path);
  expect(error.message).toContain(`at ${path} `);
  return error;
}

function nestedArray(depth: number): unknown {
  let value: unknown = [];
  for (let level = 1; level < depth; level++) value = [value];
  return value;
}

/**
 * Strict equality of the model: −0 is not 0, NaN is NaN, 1n is not 1, prototypes count. Not `toStrictEqual`, which takes
 * an own property named `constructor` for the object's class.
 */
function expectSame(actual: unknown, expected: unknown): void {
  if (!isDeepStrictEqual(actual, expected)) deepStrictEqual(actual, expected);
}

const text = fc.string({ unit: "binary", maxLength: 90 }).filter((s) => s.isWellFormed());
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const model = fc.letrec<{ value: Value; array: Value; object: Value }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.constantFrom<Value>(null, true, false, -0, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 32, -(2 ** 32) - 1),
    fc.integer(),
    fc.double(),
    fc.maxSafeInteger(),
    int64,
    fc.bigInt({ min: -30n, max: 300n }),
    text,
    fc.uint8Array({ maxLength: 300 }),
    tie("array"),
    tie("object"),
  ),
  array: fc.array(tie("value"), { maxLength: 30 }) as fc.Arbitrary<Value>,
  object: fc
    .array(fc.tuple(fc.oneof(text, fc.constantFrom("__proto__", "constructor", "toString", "7", "")), tie("value")), {
      maxLength: 30,
    })
    .map((entries) => {
      const object: Record<string, Value> = {};
      for (const [key, value] of entries) {
        Object.defineProperty(object, key, { value, configurable: true, enumerable: true, writable: true });
      }
      return object;
    }),
})).value;

describe.each(scratches)("values in %s", (_, makeScratch) => {
  it("come back as they were, with their keys in order", () => {
    const scratch = makeScratch();
    fc.assert(
      fc.property(model, (value) => {
        const back = roundTrip(value, scratch);
        expectSame(back, value);
        if (typeof value === "object" && value !== null) expectSame(Object.keys(back as object), Object.keys(value));
      }),
      { numRuns: 1000 },
    );
  });

  it("are independent of memory and of each other", () => {
    const scratch = makeScratch();
    for (const value of [
      new Uint8Array([1, 2, 3]),
      { a: new Uint8Array([1, 2, 3]) },
      [new Uint8Array(0), new Uint8Array(0)],
    ]) {
      const byteLength = encodeValue(value, scratch);
      const back = decodeValue(scratch, scratch.valueOffset, byteLength);
      scratch.bytes.fill(0xff, scratch.valueOffset, scratch.valueOffset + byteLength);
      expect(back).toStrictEqual(value);
      const arrays = back instanceof Uint8Array ? [back] : (Object.values(back as object) as Uint8Array[]);
      for (const array of arrays) expect(array.buffer).toBeInstanceOf(ArrayBuffer);
      if (arrays.length === 2) expect(arrays[0]).not.toBe(arrays[1]);
    }
  });

  it("of many bytes make room once, in renewed views", () => {
    for (const value of [
      "x".repeat(1_000_000),
      "é".repeat(400_000),
      "😀".repeat(300_000),
      new Uint8Array(3_000_000).fill(7),
    ]) {
      const scratch = makeScratch();
      expectSame(roundTrip(value, scratch), value);
      expectSame(roundTrip([value, { deep: value }], scratch), [value, { deep: value }]);
      expectSame(roundTrip(value, scratch), value);
    }
  });

  it("of text come back at each length around the crossovers, in UTF-8 of 1 to 4 bytes", () => {
    const scratch = makeScratch();
    for (const unit of [
      "a",
      "\u007f",
      "\u0080",
      "é",
      "\u07ff",
      "\u0800",
      "€",
      "\uffff",
      "😀",
      "\u{10ffff}",
      "\u0000",
    ]) {
      for (let length = 0; length < 140; length++) {
        for (const value of [unit.repeat(length), "a".repeat(length) + unit, unit + "a".repeat(length)]) {
          expectSame(roundTrip(value, scratch), value);
          expectSame(roundTrip([value], scratch), [value]);
        }
      }
      for (const length of [255, 256, 21_844, 21_845, 21_846, 65_535, 65_536, 65_537]) {
        const value = unit.repeat(length);
        expectSame(roundTrip(value, scratch), value);
        expectSame(encoded([value], scratch).slice(1), encoded(value, scratch));
      }
    }
  });

  it("keep a leading byte order mark, in text and in keys", () => {
    const scratch = makeScratch();
    const bom = "\ufeff";
    expectSame(roundTrip({ [`${bom}key`]: `${bom}${"x".repeat(50)}`, list: [bom] }, scratch), {
      [`${bom}key`]: `${bom}${"x".repeat(50)}`,
      list: [bom],
    });
  });

  it("that are corrupt give CORRUPTION and nothing else, whatever the bytes", () => {
    const scratch = makeScratch();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => expectValueOrCorruption(bytes, scratch)),
      { numRuns: 5000 },
    );
    fc.assert(
      fc.property(
        model,
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 }),
        fc.integer({ min: -3, max: 3 }),
        (value, changes, lengthChange) => {
          const original = encoded(value);
          const bytes = new Uint8Array(Math.max(0, original.length + lengthChange));
          bytes.set(original.subarray(0, bytes.length));
          for (const [position, byte] of changes) if (bytes.length > 0) bytes[position % bytes.length] = byte;
          expectValueOrCorruption(bytes, scratch);
        },
      ),
      { numRuns: 5000 },
    );
  });
});

/** A NaN with these bits, as an engine may have computed it. */
function nanOf(bits: bigint): number {
  return new Float64Array(new BigUint64Array([bits]).buffer)[0] as number;
}

/** What is read from any bytes is a value that we would write as these very bytes: the form is the only one. */
function expectValueOrCorruption(bytes: Uint8Array, scratch: Scratch): void {
  let value: Value;
  try {
    value = decoded(bytes, scratch);
  } catch (error) {
    if (!HoldfastError.is(error, "CORRUPTION")) throw error;
    return;
  }
  const again = encoded(value);
  // A NaN may come with other bits than ours, and integer-like keys move to the front: neither changes the size.
  expectSame(again.length, bytes.length);
  expectSame(decoded(again, scratch), value);
}

describe("the encoding", () => {
  it.each<[unknown, string]>([
    [null, "f6"],
    [false, "f4"],
    [true, "f5"],
    [0, "00"],
    [23, "17"],
    [24, "1818"],
    [255, "18ff"],
    [256, "190100"],
    [65_535, "19ffff"],
    [65_536, "1a00010000"],
    [2 ** 31, "1a80000000"],
    [2 ** 32 - 1, "1affffffff"],
    [2 ** 32, "fb41f0000000000000"],
    [-1, "20"],
    [-24, "37"],
    [-25, "3818"],
    [-(2 ** 31) - 1, "3a80000000"],
    [-(2 ** 32), "3affffffff"],
    [-(2 ** 32) - 1, "fbc1f0000000100000"],
    [-0, "fb8000000000000000"],
    [1.5, "fb3ff8000000000000"],
    [Number.NaN, "fb7ff8000000000000"],
    [nanOf(0xfff8_0000_0000_0000n), "fb7ff8000000000000"],
    [nanOf(0x7ff0_0000_0000_0001n), "fb7ff8000000000000"],
    [Number.POSITIVE_INFINITY, "fb7ff0000000000000"],
    [Number.NEGATIVE_INFINITY, "fbfff0000000000000"],
    [Number.MAX_SAFE_INTEGER, "fb433fffffffffffff"],
    [0n, "1b0000000000000000"],
    [-1n, "3b0000000000000000"],
    [2n ** 53n, "1b0020000000000000"],
    [2n ** 63n - 1n, "1b7fffffffffffffff"],
    [-(2n ** 63n), "3b7fffffffffffffff"],
    ["", "60"],
    ["a".repeat(23), `77${"61".repeat(23)}`],
    ["a".repeat(24), `7818${"61".repeat(24)}`],
    ["é€😀", "69c3a9e282acf09f9880"],
    [new Uint8Array([1, 2]), "420102"],
    [Buffer.from([1, 2]), "420102"],
  ])("of %s is the same at the top and nested: %s", (value, expected) => {
    expect(hex(value)).toBe(expected);
    expect(hex([value])).toBe(`81${expected}`);
    expect(hex({ k: value })).toBe(`a1616b${expected}`);
    const expectedValue = value instanceof Uint8Array ? new Uint8Array(value) : value;
    expectSame(roundTrip(value), expectedValue);
    expectSame((roundTrip([value]) as Value[])[0], expectedValue);
  });

  it("can be read by any CBOR decoder", () => {
    fc.assert(
      fc.property(model, (value) => {
        // The decoder's numbers and bigints differ from ours only in type: it gives a number wherever that is exact.
        expectSame(loosely(cborDecode(encoded(value))), loosely(value));
      }),
      { numRuns: 500 },
    );
  });

  it("of what the store has made itself is that of the same value given by a caller", () => {
    fc.assert(
      fc.property(model, (value) => {
        const scratch = new GrowingScratch();
        const given = encoded(value, scratch);
        const copy = roundTrip(value, scratch);
        expect(Buffer.compare(encoded(copy, scratch, true), given)).toBe(0);
        // One that was encoded so leaves the next one its checks.
        expectInvalid({ a: [undefined] }, "$.a[0]");
      }),
      { numRuns: 500 },
    );
  });

  it("does not depend on what was encoded before", () => {
    const scratch = new GrowingScratch();
    const big = { a: "x".repeat(200_000), b: [1, 2, { c: new Uint8Array(100_000) }] };
    const small = { a: 1 };
    const alone = hex(small);
    expectSame(roundTrip(big, scratch), big);
    expect(Buffer.from(encoded(small, scratch)).toString("hex")).toBe(alone);
    expectInvalid({ a: [undefined] }, "$.a[0]");
    expect(Buffer.from(encoded(small, scratch)).toString("hex")).toBe(alone);
  });
});

function loosely(value: unknown): unknown {
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  if (typeof value === "string") return value.replace(/^\ufeff/, "");
  if (value instanceof Uint8Array) return [...value];
  if (Array.isArray(value)) return value.map(loosely);
  if (typeof value !== "object" || value === null) return value;
  return Object.entries(value)
    .map(([key, item]) => [loosely(key), loosely(item)] as const)
    .sort(([a], [b]) => (String(a) < String(b) ? -1 : 1));
}

describe("what is not a value is refused by its path", () => {
  class Point {
    x = 1;
  }
  class List extends Array<number> {}

  it.each<[string, unknown]>([
    ["undefined", undefined],
    ["a function", () => 1],
    ["a symbol", Symbol("s")],
    ["a bigint above int64", 2n ** 63n],
    ["a bigint below int64", -(2n ** 63n) - 1n],
    ["a class instance", new Point()],
    ["an array of a class", List.of(1)],
    ["a Date", new Date(0)],
    ["a Map", new Map()],
    ["a Set", new Set()],
    ["a RegExp", /x/],
    ["an Error", new Error("x")],
    ["a Promise", Promise.resolve()],
    ["a boxed number", Object(1)],
    ["an ArrayBuffer", new ArrayBuffer(1)],
    ["a DataView", new DataView(new ArrayBuffer(1))],
    ["a Uint16Array", new Uint16Array(1)],
    ["a Uint8ClampedArray", new Uint8ClampedArray(1)],
    ["a Proxy of a Uint8Array", new Proxy(new Uint8Array(1), {})],
    ["a short text with a high surrogate", "a\ud800"],
    ["a short text with a low surrogate", "\udc00a"],
    ["a long text with a lone surrogate", `${"a".repeat(100)}\ud800`],
    ["a huge text with a lone surrogate", `\udc00${"a".repeat(100_000)}`],
  ])("%s", (_, value) => {
    expectInvalid(value, "$");
    expectInvalid([value], "$[0]");
    expectInvalid({ steps: [1, { x: null }, [], { result: value }] }, "$.steps[3].result");
    expectInvalid({ "two words": { "": value } }, '$["two words"][""]');
  });

  it("a key with a lone surrogate, shown escaped", () => {
    expectInvalid({ a: { "\ud800": 1 } }, '$.a["\\ud800"]');
  });

  it("a symbol for a key, unless it is not enumerable", () => {
    expectInvalid({ a: { [Symbol("tag")]: 1 } }, "$.a[Symbol(tag)]");
    const hidden = Object.defineProperty({ b: 1 }, Symbol.toStringTag, { value: "Map", enumerable: false });
    expect(roundTrip(hidden)).toStrictEqual({ b: 1 });
  });

  it("a getter or setter, without running it", () => {
    let runs = 0;
    const getter = {
      get value() {
        runs++;
        return 1;
      },
    };
    expectInvalid([getter], "$[0].value");
    expectInvalid({ set value(_: number) {} }, "$.value");
    const array = [1, 2];
    Object.defineProperty(array, 1, { get: () => runs++, enumerable: true });
    expectInvalid(array, "$[1]");
    expect(runs).toBe(0);
  });

  it("a hole in an array", () => {
    // biome-ignore lint/suspicious/noSparseArray: that is the subject
    expectInvalid({ list: [1, , 3] }, "$.list[1]");
    expectInvalid(new Array(3), "$[0]");
  });

  it("a cycle, but not a value that is used twice", () => {
    const node: Record<string, unknown> = { name: "n" };
    node["self"] = { list: [node] };
    expectInvalid(node, "$.self.list[0]");
    const shared = { a: 1 };
    expect(roundTrip([shared, shared, { shared }])).toStrictEqual([shared, shared, { shared }]);
  });

  it("nesting beyond the limit, and only beyond it", () => {
    expect(roundTrip(nestedArray(VALUE_DEPTH_MAX))).toStrictEqual(nestedArray(VALUE_DEPTH_MAX));
    expectInvalid(nestedArray(VALUE_DEPTH_MAX + 1), `$${"[0]".repeat(VALUE_DEPTH_MAX)}`);
    expect(failure(() => encodeValue(nestedArray(100_000), new GrowingScratch())).code).toBe("INVALID_VALUE");
    expect(roundTrip([nestedArray(VALUE_DEPTH_MAX - 1), 7, [8]])).toStrictEqual([
      nestedArray(VALUE_DEPTH_MAX - 1),
      7,
      [8],
    ]);
  });

  it("a Proxy that throws, with what it threw as the cause", () => {
    const thrown = new HoldfastError("CONFLICT", "not ours");
    const hostile = (trap: keyof ProxyHandler<object>, target: object) =>
      new Proxy(target, {
        [trap]: () => {
          throw thrown;
        },
      });
    for (const trap of ["ownKeys", "getOwnPropertyDescriptor", "getPrototypeOf"] as const) {
      for (const target of [{ a: 1 }, [1]]) {
        if (Array.isArray(target) && trap === "ownKeys") continue;
        const error = failure(() =>
          encodeValue({ first: { done: 1 }, bad: hostile(trap, target) }, new GrowingScratch()),
        );
        expect(error.code).toBe("INVALID_VALUE");
        expect(error.details["path"]).toMatch(/^\$\.bad/);
        expect(error.cause).toBe(thrown);
      }
    }
    const revoked = Proxy.revocable({}, {});
    revoked.revoke();
    expect(expectInvalid([revoked.proxy], "$[0]").cause).toBeInstanceOf(TypeError);
  });

  it("a Uint8Array whose buffer was transferred away", () => {
    const array = new Uint8Array(8);
    structuredClone(array.buffer, { transfer: [array.buffer] });
    expectInvalid(array, "$");
    expectInvalid([array], "$[0]");
  });

  it("a Uint8Array over shared memory that grows while it is stored, without a byte beside its room", () => {
    const buffer = new SharedArrayBuffer(70_000, { maxByteLength: 200_000 });
    const value = new Uint8Array(buffer);
    const canary = new Uint8Array(200_000).fill(0xee);
    class OtherThread extends GrowingScratch {
      override reserveValue(byteLength: number): void {
        super.reserveValue(byteLength + canary.length);
        this.valueCapacity = byteLength;
        this.bytes.set(canary, this.valueOffset + byteLength);
        buffer.grow(200_000);
      }
    }
    const scratch = new OtherThread();
    expectInvalid(value, "$", scratch);
    expect(scratch.reservations).toHaveLength(1);
    const roomEnd = scratch.valueOffset + scratch.valueCapacity;
    expect(scratch.bytes.subarray(roomEnd, roomEnd + canary.length)).toEqual(canary);
  });

  it("and the path of a very long key stays readable", () => {
    const error = failure(() => encodeValue({ ["k".repeat(1_000_000)]: undefined }, new GrowingScratch()));
    expect(error.message.length).toBeLessThan(500);
  });
});

describe("unusual objects", () => {
  it("with the names of prototype members keep them as own properties", () => {
    const value = JSON.parse('{"__proto__":{"polluted":1},"constructor":{"prototype":2},"hasOwnProperty":3}') as Value;
    const back = roundTrip({ deep: [value] }) as { deep: [Record<string, unknown>] };
    expect(Object.keys(back.deep[0])).toEqual(["__proto__", "constructor", "hasOwnProperty"]);
    expect(Object.getPrototypeOf(back.deep[0])).toBe(Object.prototype);
    expect(Object.getOwnPropertyDescriptor(back.deep[0], "__proto__")?.value).toEqual({ polluted: 1 });
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  });

  it("keep what their prototype has a setter for, or does not let go of", () => {
    let calls = 0;
    const back = (() => {
      Object.defineProperty(Object.prototype, "nailed", { value: 0, writable: false, configurable: true });
      Object.defineProperty(Object.prototype, "caught", { set: () => calls++, configurable: true });
      try {
        return roundTrip({ nailed: 2, caught: 3, deep: [{ caught: 4 }] });
      } finally {
        Reflect.deleteProperty(Object.prototype, "nailed");
        Reflect.deleteProperty(Object.prototype, "caught");
      }
    })();
    expect(back).toStrictEqual({ nailed: 2, caught: 3, deep: [{ caught: 4 }] });
    expect(Object.getOwnPropertyDescriptor(back, "caught")).toEqual({
      value: 3,
      enumerable: true,
      configurable: true,
      writable: true,
    });
    expect(calls).toBe(0);
  });

  it("without a prototype are plain", () => {
    expect(roundTrip(Object.assign(Object.create(null), { a: 1 }))).toStrictEqual({ a: 1 });
  });

  it("give up what is not data: extra properties of arrays, and what is not enumerable", () => {
    expect(roundTrip(Object.assign([1], { extra: () => 1 }))).toStrictEqual([1]);
    expect(roundTrip(Object.defineProperty({ a: 1 }, "b", { value: 2, enumerable: false }))).toStrictEqual({ a: 1 });
  });

  it("cannot lie about the length of their bytes", () => {
    class Liar extends Uint8Array {
      override get length(): number {
        return 1_000;
      }
    }
    expect(roundTrip(new Liar([1, 2]))).toStrictEqual(new Uint8Array([1, 2]));
    expect(roundTrip([new Liar([1, 2])])).toStrictEqual([new Uint8Array([1, 2])]);
  });

  it("may use the same scratch while they are read", () => {
    const scratch = new GrowingScratch();
    const meddling = new Proxy(
      { a: 1, b: "two" },
      {
        getOwnPropertyDescriptor(target, key) {
          encodeValue({ other: [1, 2, "x".repeat(100_000)] }, scratch);
          return Reflect.getOwnPropertyDescriptor(target, key);
        },
      },
    );
    expect(roundTrip([meddling, 3], scratch)).toStrictEqual([{ a: 1, b: "two" }, 3]);
  });

  it("are read once per property", () => {
    let reads = 0;
    const counting = new Proxy(
      { a: 1 },
      {
        getOwnPropertyDescriptor: (target, key) => ({
          ...Reflect.getOwnPropertyDescriptor(target, key),
          value: ++reads,
          configurable: true,
        }),
        get: () => {
          throw new Error("read past its descriptor");
        },
      },
    );
    // Object.keys() asks for the descriptor to learn whether the key is enumerable, and the value is read after that.
    expect(roundTrip(counting)).toStrictEqual({ a: 2 });
    expect(reads).toBe(2);
  });

  it("that claim to be endless arrays end early", () => {
    const endless = new Proxy([], {
      getOwnPropertyDescriptor: (target, key) =>
        key === "length"
          ? { value: 2 ** 32 - 1, writable: true, enumerable: false, configurable: false }
          : Reflect.getOwnPropertyDescriptor(target, key),
    });
    expect(failure(() => encodeValue(endless, new GrowingScratch())).code).toBe("VALUE_TOO_LARGE");
  });
});

describe("the size limit", () => {
  it("holds to the byte, at the top and nested", () => {
    const head = 5;
    const fits = "x".repeat(VALUE_BYTES_MAX - head);
    expect(encodeValue(fits, new GrowingScratch())).toBe(VALUE_BYTES_MAX);
    expect(encodeValue(new Uint8Array(VALUE_BYTES_MAX - head), new GrowingScratch())).toBe(VALUE_BYTES_MAX);
    const ones = new Array<number>(VALUE_BYTES_MAX - head).fill(1);
    expect(encodeValue(ones, new GrowingScratch())).toBe(VALUE_BYTES_MAX);
    ones[0] = 24;
    for (const value of [
      `${fits}x`,
      new Uint8Array(VALUE_BYTES_MAX - head + 1),
      [fits],
      [new Uint8Array(VALUE_BYTES_MAX - head)],
      ones,
    ]) {
      const scratch = new GrowingScratch();
      const error = failure(() => encodeValue(value, scratch));
      expect(error.code).toBe("VALUE_TOO_LARGE");
      expect(error.details["limit"]).toBe(VALUE_BYTES_MAX);
      expect(scratch.reservations).toEqual([]);
    }
  });

  it("counts bytes of UTF-8, not characters", () => {
    const scratch = new GrowingScratch();
    const error = failure(() => encodeValue("€".repeat(6_000_000), scratch));
    expect(error.code).toBe("VALUE_TOO_LARGE");
    expect(error.details).toEqual({ byteLength: 18_000_005, limit: VALUE_BYTES_MAX });
    expect(scratch.reservations).toEqual([]);
  });

  it("ends early on what would grow without end", () => {
    let bomb: unknown = ["bomb"];
    for (let level = 0; level < 60; level++) bomb = [bomb, bomb];
    const large = "x".repeat(1_000_000);
    for (const value of [bomb, new Array(100_000).fill(large), new Array(2 ** 31), "x".repeat(2 ** 28)]) {
      expect(failure(() => encodeValue(value, new GrowingScratch())).code).toBe("VALUE_TOO_LARGE");
    }
  });

  it("asks for exactly the room that is needed", () => {
    const scratch = new GrowingScratch();
    encodeValue("é".repeat(50_000), scratch);
    expect(scratch.reservations).toEqual([100_005]);
  });

  it("passes on what reserveValue throws", () => {
    const full = new HoldfastError("STORE_FULL", "full");
    const scratch = new GrowingScratch();
    scratch.reserveValue = () => {
      throw full;
    };
    const large = "x".repeat(100_000);
    for (const value of [large, [large], new Uint8Array(100_000)])
      expect(failure(() => encodeValue(value, scratch))).toBe(full);
    expect(roundTrip({ a: 1 }, scratch)).toStrictEqual({ a: 1 });
  });
});

describe("corrupt bytes", () => {
  const deep = (depth: number) => [...new Array<number>(depth - 1).fill(0x81), 0x80];

  it.each<[string, number[]]>([
    ["nothing at all", []],
    ["a number cut short", [0x19, 0x01]],
    ["a float cut short", [0xfb, 1, 2, 3]],
    ["a bigint cut short", [0x1b, 1, 2, 3]],
    ["text cut short", [0x65, 0x61]],
    ["bytes cut short", [0x45, 0x61]],
    ["an array cut short", [0x82, 0x01]],
    ["a map cut short after its key", [0xa1, 0x61, 0x61]],
    ["bytes after a scalar", [0x01, 0x01]],
    ["bytes after text", [0x61, 0x61, 0x61]],
    ["bytes after an array", [0x81, 0x01, 0x01]],
    ["bytes after an empty map", [0xa0, 0xa0]],
    ["an array longer than memory", [0x9a, 0xff, 0xff, 0xff, 0xff, 0x01]],
    ["an array of 2^64 items", [0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]],
    ["a map longer than memory", [0xba, 0x7f, 0xff, 0xff, 0xff, 0x01]],
    ["bytes longer than memory", [0x5a, 0xff, 0xff, 0xff, 0xff]],
    ["text with a 64-bit length", [0x7b, 0, 0, 0, 0, 0, 0, 0, 1, 0x61]],
    ["wrong UTF-8", [0x61, 0xff]],
    ["an encoded surrogate", [0x63, 0xed, 0xa0, 0x80]],
    ["overlong UTF-8", [0x62, 0xc0, 0x80]],
    ["wrong UTF-8 in a long text", [0x78, 0x30, ...new Array<number>(47).fill(0x61), 0xc3]],
    ["wrong UTF-8 in a key", [0xa1, 0x61, 0xff, 0x01]],
    ["a tag", [0xc0, 0x01]],
    ["a nested tag", [0x81, 0xd8, 0x2a, 0x01]],
    ["an indefinite array", [0x9f, 0x01, 0xff]],
    ["an indefinite map", [0xbf, 0xff]],
    ["indefinite text", [0x7f, 0x61, 0x61, 0xff]],
    ["indefinite bytes", [0x5f, 0x41, 0x61, 0xff]],
    ["a break", [0xff]],
    ["a break in an array", [0x82, 0x01, 0xff]],
    ["a break for a map's value", [0xa1, 0x61, 0x61, 0xff]],
    ["undefined", [0xf7]],
    ["undefined in an array", [0x81, 0xf7]],
    ["a simple value", [0xe0]],
    ["a simple value of two bytes", [0xf8, 0xff]],
    ["a half float", [0xf9, 0x3c, 0x00]],
    ["a single float", [0xfa, 0x3f, 0xc0, 0x00, 0x00]],
    ["a nested single float", [0x81, 0xfa, 0x3f, 0xc0, 0x00, 0x00]],
    ["a float that should be an integer", [0xfb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0]],
    ["an integer longer than needed", [0x18, 0x17]],
    ["a length longer than needed", [0x79, 0x00, 0x01, 0x61]],
    ["reserved heads", [0x1c]],
    ["a bigint above int64", [0x1b, 0x80, 0, 0, 0, 0, 0, 0, 0]],
    ["a bigint below int64", [0x3b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]],
    ["a key that is a number", [0xa1, 0x01, 0x01]],
    ["a key that is an array", [0xa1, 0x80, 0x01]],
    ["a repeated key", [0xa2, 0x61, 0x61, 0x01, 0x61, 0x61, 0x02]],
    ["a repeated __proto__", [0xa2, ...[1, 2].flatMap((n) => [0x69, ...Buffer.from("__proto__"), n])]],
    ["nesting one level too deep", deep(VALUE_DEPTH_MAX + 1)],
    ["nesting far too deep", deep(60_000)],
    ["nesting too deep in maps", [...new Array<number[]>(5_000).fill([0xa1, 0x61, 0x61]).flat(), 0x01]],
  ])("%s", (_, bytes) => {
    for (const [, makeScratch] of scratches) {
      const error = failure(() => decoded(bytes, makeScratch()));
      expect(error.code).toBe("CORRUPTION");
      expect(error.details["byteLength"]).toBeTypeOf("number");
    }
  });

  it("include bytes that lie outside of the memory", () => {
    const scratch = new GrowingScratch();
    for (const byteLength of [2, 10, 1_000, 2 ** 31]) {
      expect(failure(() => decodeValue(scratch, scratch.bytes.length - 1, byteLength)).code).toBe("CORRUPTION");
      expect(failure(() => decodeText(scratch, scratch.bytes.length - 1, byteLength)).code).toBe("CORRUPTION");
    }
  });

  it("at the depth limit are still a value", () => {
    expect(decoded(deep(VALUE_DEPTH_MAX))).toStrictEqual(nestedArray(VALUE_DEPTH_MAX));
  });
});

describe.each(scratches)("keys in %s", (_, makeScratch) => {
  const scratch = makeScratch();
  const back = (byteLength: number, offset = scratch.keyOffset) => decodeText(scratch, offset, byteLength);

  it("come back as they were", () => {
    const key = fc.string({ unit: "binary", minLength: 1, maxLength: 200 }).filter((s) => s.isWellFormed());
    fc.assert(
      fc.property(key, (k) => {
        const byteLength = encodeKey(k, scratch);
        expect(byteLength).toBe(Buffer.byteLength(k));
        expect(back(byteLength)).toBe(k);
        expect(back(encodeKey(k, scratch, 2048), 2048)).toBe(k);
      }),
      { numRuns: 1000 },
    );
    for (let length = 1; length < 140; length++) {
      for (const k of ["k".repeat(length), `${"k".repeat(length)}é`, `😀${"k".repeat(length)}`])
        expect(back(encodeKey(k, scratch))).toBe(k);
    }
  });

  it("have 1 to 1024 bytes and are well-formed strings", () => {
    for (const k of ["k".repeat(KEY_BYTES_MAX), "é".repeat(512), "😀".repeat(256)]) {
      expect(encodeKey(k, scratch)).toBe(KEY_BYTES_MAX);
      expect(back(KEY_BYTES_MAX)).toBe(k);
    }
    const bad = [
      "",
      "k".repeat(1025),
      "é".repeat(513),
      "€".repeat(342),
      "k".repeat(2 ** 20),
      "\ud800",
      "a\udc00",
      `${"k".repeat(100)}\ud800`,
    ];
    for (const k of [
      ...bad,
      undefined,
      null,
      1,
      1n,
      Symbol("k"),
      {},
      ["k"],
      new String("k"),
      { toString: () => "k" },
    ]) {
      const error = failure(() => encodeKey(k, scratch));
      expect(error.code).toBe("INVALID_KEY");
      expect(error.message).toMatch(/^The key /);
    }
  });

  it("never write past their limit", () => {
    scratch.bytes.fill(0xaa, scratch.keyOffset, scratch.keyOffset + 4096);
    expect(failure(() => encodeKey("€".repeat(400), scratch)).code).toBe("INVALID_KEY");
    expect(scratch.bytes[scratch.keyOffset + KEY_BYTES_MAX]).toBe(0xaa);
  });

  it("of runs have a limit of their own and are named in the message", () => {
    expect(back(encodeName("run-1", 256, "a run's id", scratch))).toBe("run-1");
    expect(encodeName("é".repeat(128), 256, "a run's id", scratch)).toBe(256);
    for (const name of ["", "r".repeat(257), "é".repeat(129), "\ud800", 7, undefined]) {
      const error = failure(() => encodeName(name, 256, "a run's id", scratch));
      expect(error.code).toBe("INVALID_KEY");
      expect(error.message).toMatch(/^A run's id /);
    }
  });

  it("that bound a list may be empty", () => {
    const offset = scratch.keyOffset + KEY_BYTES_MAX;
    expect(encodeBound("", "prefix", scratch, offset)).toBe(0);
    expect(back(0, offset)).toBe("");
    for (const bound of ["user:", "é".repeat(512), "k".repeat(1024)])
      expect(back(encodeBound(bound, "prefix", scratch, offset), offset)).toBe(bound);
    for (const bound of ["k".repeat(1025), "\ud800", null, undefined, 0]) {
      const error = failure(() => encodeBound(bound, "prefix", scratch, offset));
      expect(error.code).toBe("INVALID_KEY");
      expect(error.message).toMatch(/^Prefix /);
    }
  });
});
