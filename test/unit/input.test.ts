/**
 * Whatever is passed in: bad input gets the typed error that the specification names, and the store is as it was.
 *
 * Each case compares the whole store before and after: listings with versions, the database's version, counters, and the
 * walk over the heap. At the end the whole API is fed with anything at all: only a HoldfastError may leave it.
 */
import { spawnSync } from "node:child_process";
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { memory } from "../../src/adapters/memory.js";
import type { Storage } from "../../src/adapters/storage.js";
import { Database, DurabilityMode, HoldfastError, type Run, type Value } from "../../src/index.js";
import { nested } from "../contract/samples.js";

const MIB = 1024 * 1024;
/** Calls of each method; of those that open a database a tenth. */
const FUZZ_RUNS = 2000;
const FUZZ_SEED = Number(process.env.HOLDFAST_SEED ?? 20_261_120);

/** What a caller without types can do. Everything goes through here, so that no case needs a cast of its own. */
// biome-ignore lint/suspicious/noExplicitAny: wrong types are what these tests are about
type Loose = any;

const opened: Database[] = [];

async function openStore(): Promise<Database> {
  const db = await Database.open({ durability: "in-memory" });
  opened.push(db);
  db.run("run").transaction((tx) => {
    tx.kv.put("number", 1);
    tx.kv.put("text", "two");
    tx.kv.put("object", { list: [1, 2, 3] });
  });
  db.run("other").kv.put("number", 2);
  return db;
}

afterEach(async () => {
  for (const db of opened.splice(0)) await db.close();
});

/** Everything that a refused call must leave as it was. */
function stateOf(db: Database): unknown {
  const { entries, runs, snapshotsHeld, commits } = db.stats();
  return {
    listings: ["run", "other"].map((id) =>
      db
        .run(id)
        .kv.keys()
        .map((key) => [key, db.run(id).kv.getVersioned(key)]),
    ),
    version: db.version,
    counts: [entries, runs, snapshotsHeld, commits, db.totalCount(), db.run("run").count(), db.run("run").version],
    verify: db.verify(),
  };
}

function codeOf(error: unknown): string {
  if (HoldfastError.is(error)) return error.code;
  throw new Error(`something untyped came out: ${String(error)}`, { cause: error });
}

/** What a call came to: the code of its error, or that it was accepted. */
function outcomeOf(call: () => unknown): string {
  try {
    call();
    return "accepted";
  } catch (error) {
    return codeOf(error);
  }
}

async function outcomeOfAsync(call: () => unknown): Promise<string> {
  try {
    await call();
    return "accepted";
  } catch (error) {
    return codeOf(error);
  }
}

type Attempt = (run: Loose, db: Loose) => unknown;

/** A table of calls that must be refused with one code. */
function refuses(code: string, table: Readonly<Record<string, Attempt>>): void {
  for (const [name, attempt] of Object.entries(table)) {
    test(`${code}: ${name}`, async () => {
      const db = await openStore();
      const before = stateOf(db);
      expect(await outcomeOfAsync(() => attempt(db.run("run"), db))).toBe(code);
      expect(stateOf(db)).toEqual(before);
    });
  }
}

class Point {
  readonly x = 1;
}

function cyclic(): unknown {
  const value: { self?: unknown } = {};
  value.self = [value];
  return value;
}

/** Values that cannot be stored, with the path to the culprit. */
const BAD_VALUES: Readonly<Record<string, readonly [value: unknown, path: string]>> = {
  undefined: [undefined, "$"],
  "a function": [() => 1, "$"],
  "a class": [Point, "$"],
  "a symbol": [Symbol("s"), "$"],
  "an instance of a class": [new Point(), "$"],
  "a Date": [new Date(0), "$"],
  "a Map": [new Map(), "$"],
  "a Set": [new Set([1]), "$"],
  "a RegExp": [/x/, "$"],
  "an Error": [new Error("x"), "$"],
  "a promise": [Promise.resolve(1), "$"],
  "a boxed number": [Object(1), "$"],
  "a boxed string": [Object("x"), "$"],
  "an ArrayBuffer": [new ArrayBuffer(4), "$"],
  "a DataView": [new DataView(new ArrayBuffer(4)), "$"],
  "an Int8Array": [new Int8Array(4), "$"],
  "a Uint8ClampedArray": [new Uint8ClampedArray(4), "$"],
  "a Float64Array": [new Float64Array(1), "$"],
  "a subclass of Array": [new (class List extends Array {})(), "$"],
  "an object whose prototype is another's": [Object.create({ inherited: 1 }), "$"],
  "arguments with a hole": [Array(3), "$[0]"],
  "undefined within": [{ a: [1, { b: undefined }] }, "$.a[1].b"],
  "a function within": [[[() => 1]], "$[0][0]"],
  "a symbol within": [{ s: Symbol("s") }, "$.s"],
  "a symbol for a key": [{ [Symbol.for("k")]: 1 }, "$[Symbol(k)]"],
  "an instance within": [{ list: [new Point()] }, "$.list[0]"],
  "a cycle": [cyclic(), "$.self[0]"],
  "a bigint beyond int64": [2n ** 63n, "$"],
  "a bigint below int64": [-(2n ** 63n) - 1n, "$"],
  "a bigint beyond int64 within": [{ big: [2n ** 64n] }, "$.big[0]"],
  "65 levels": [nested(65), ""],
  "10,000 levels": [nested(10_000), ""],
  "a lone high surrogate": ["\uD800", "$"],
  "a lone low surrogate": ["a\uDC00b", "$"],
  "a lone surrogate within": [{ text: ["\uD83D"] }, "$.text[0]"],
  "a lone surrogate in 10,000 characters": [`${"x".repeat(9999)}\uD800`, "$"],
  "a lone surrogate as an object's key": [{ "\uDFFF": 1 }, '$["\\udfff"]'],
  "a getter": [
    {
      get now(): number {
        throw new Error("a getter was run");
      },
    },
    "$.now",
  ],
  "a Proxy that throws": [
    new Proxy(
      {},
      {
        ownKeys() {
          throw new RangeError("mine");
        },
      },
    ),
    "$",
  ],
  "a Proxy that throws a HoldfastError": [
    new Proxy([1], {
      getOwnPropertyDescriptor() {
        throw new HoldfastError("CONFLICT", "forged");
      },
    }),
    "$",
  ],
  "a Proxy within that throws": [
    {
      inner: new Proxy(
        {},
        {
          getPrototypeOf() {
            throw null;
          },
        },
      ),
    },
    "$.inner",
  ],
  "a revoked Proxy": [revoked(), "$"],
};

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

describe("values that cannot be stored", () => {
  const ways: Readonly<Record<string, (run: Run, value: Loose) => unknown>> = {
    put: (run, value) => run.kv.put("number", value),
    "put in a transaction": (run, value) => run.transaction((tx) => tx.kv.put("number", value)),
    "put in an asynchronous transaction": (run, value) => run.transactionAsync((tx) => tx.kv.put("number", value)),
    "put that expects a version": (run, value) => run.kv.put("new", value, { ifVersion: null }),
  };
  for (const [name, [value, path]] of Object.entries(BAD_VALUES)) {
    test(`INVALID_VALUE with the path to it: ${name}`, async () => {
      const db = await openStore();
      const before = stateOf(db);
      for (const [way, put] of Object.entries(ways)) {
        let thrown: unknown;
        try {
          await put(db.run("run"), value);
        } catch (error) {
          thrown = error;
        }
        expect(codeOf(thrown), way).toBe("INVALID_VALUE");
        if (path !== "") expect((thrown as HoldfastError).details["path"], way).toBe(path);
        expect(stateOf(db), way).toEqual(before);
      }
    });
  }

  test("64 levels and int64 are within the limits", async () => {
    const db = await openStore();
    const { kv } = db.run("run");
    for (const value of [nested(64), 2n ** 63n - 1n, -(2n ** 63n)]) {
      kv.put("edge", value);
      expect(kv.get("edge")).toEqual(value);
    }
  });
});

describe("values that call back", () => {
  /** An object that calls `back` once while it is encoded. */
  function calling(back: () => void): Value {
    let called = false;
    return new Proxy(
      { a: 1, b: [2] },
      {
        ownKeys(target) {
          if (!called) back();
          called = true;
          return Reflect.ownKeys(target);
        },
      },
    );
  }

  test("a value that writes to the store while it is encoded: both writes are whole", async () => {
    const db = await openStore();
    const { kv } = db.run("run");
    kv.put(
      "outer",
      calling(() => kv.put("inner", "a value that is longer than the other")),
    );
    expect(kv.getMany(["outer", "inner"])).toEqual([{ a: 1, b: [2] }, "a value that is longer than the other"]);
    db.run("run").transaction((tx) => {
      tx.kv.put(
        "outer",
        calling(() => {
          tx.kv.put("inner", "second");
          db.run("new").kv.list();
          db.run("another").kv.put("k", 1);
        }),
      );
    });
    expect(kv.getMany(["outer", "inner"])).toEqual([{ a: 1, b: [2] }, "second"]);
    expect(db.verify()).toEqual({ valid: true });
  });

  test("a value that makes the memory grow while it is encoded", async () => {
    const db = await openStore();
    const { kv } = db.run("run");
    const grow = (): void => {
      for (let i = 0; i < 50; i++) kv.put(`big-${i}`, "x".repeat(60_000));
    };
    expect(outcomeOf(() => kv.put("outer", calling(grow)))).toBe("accepted");
    expect(kv.get("outer")).toEqual({ a: 1, b: [2] });
    const growOther = (): void => {
      for (let i = 0; i < 100; i++) db.run("other").kv.put(`big-${i}`, new Uint8Array(60_000).fill(i));
    };
    expect(outcomeOf(() => db.run("run").transaction((tx) => tx.kv.put("within", calling(growOther))))).toBe(
      "accepted",
    );
    expect(kv.get("within")).toEqual({ a: 1, b: [2] });
    expect(db.verify()).toEqual({ valid: true });
  });

  test("a value that makes memory grow at every step of it, put after puts of its own size", async () => {
    const db = await openStore();
    const { kv } = db.run("run");
    for (let size = 1024; size <= 4 * MIB; size *= 4) {
      const grow = (): unknown => kv.put(`size-${size}`, new Uint8Array(size).fill(1));
      kv.put("outer", calling(grow));
      expect(kv.get("outer")).toEqual({ a: 1, b: [2] });
    }
    expect(db.verify()).toEqual({ valid: true });
  });

  test("a value that ends its own transaction while it is encoded", async () => {
    const db = await openStore();
    const before = stateOf(db);
    const transaction = db.run("run").begin();
    expect(
      outcomeOf(() =>
        transaction.kv.put(
          "a",
          calling(() => transaction.rollback()),
        ),
      ),
    ).toBe("TRANSACTION_CLOSED");
    expect(stateOf(db)).toEqual(before);
  });

  test("a value that closes the database while it is encoded", async () => {
    const db = await openStore();
    const outcome = outcomeOf(() =>
      db.run("run").kv.put(
        "a",
        calling(() => void db.close()),
      ),
    );
    // It began before close did, so either will do, as long as it is whole.
    expect(["accepted", "CLOSED"]).toContain(outcome);
    await db.close();
  });

  test("a value that throws after it has written: the write that it made stays, its own is refused", async () => {
    const db = await openStore();
    const { kv } = db.run("run");
    const outcome = outcomeOf(() =>
      kv.put(
        "outer",
        calling(() => {
          kv.put("inner", 1);
          throw new Error("mine");
        }),
      ),
    );
    expect(outcome).toBe("INVALID_VALUE");
    expect(kv.getMany(["outer", "inner"])).toEqual([undefined, 1]);
  });
});

describe("what is too large", () => {
  const tooLarge: Readonly<Record<string, Value>> = {
    "16 MiB of text, with its head": "x".repeat(16 * MIB),
    "16 MiB of bytes, with their head": new Uint8Array(16 * MIB),
    "text of three bytes a character": "€".repeat(6 * MIB),
    "many parts": Array.from({ length: 17 }, () => new Uint8Array(MIB)),
  };
  for (const [name, value] of Object.entries(tooLarge)) {
    refuses("VALUE_TOO_LARGE", {
      [`put of ${name}`]: (run) => run.kv.put("large", value),
      [`put of ${name} in a transaction`]: (run) => run.transaction((tx: Loose) => tx.kv.put("large", value)),
    });
  }

  test("16 MiB with the head are stored and read", async () => {
    const db = await openStore();
    const value = new Uint8Array(16 * MIB - 5).fill(7);
    db.run("run").kv.put("large", value);
    expect(Buffer.compare(db.run("run").kv.get("large") as Uint8Array, value)).toBe(0);
    expect(db.verify()).toEqual({ valid: true });
  });

  refuses("TRANSACTION_TOO_LARGE", {
    "three values of 15 MiB in one transaction": (run) =>
      run.transaction((tx: Loose) => {
        for (let i = 0; i < 3; i++) tx.kv.put(`part-${i}`, new Uint8Array(15 * MIB));
      }),
    "many small values": (run) =>
      run.transactionAsync((tx: Loose) => {
        for (let i = 0; i < 600; i++) tx.kv.put(`part-${i}`, new Uint8Array(64 * 1024));
      }),
  });

  test("a transaction of 31 MiB is committed", async () => {
    const db = await openStore();
    db.run("run").transaction((tx) => {
      for (let i = 0; i < 31; i++) tx.kv.put(`part-${i}`, new Uint8Array(MIB - 64));
    });
    expect(db.run("run").kv.count("part-")).toBe(31);
  });
});

const BAD_KEYS: Readonly<Record<string, unknown>> = {
  empty: "",
  "1,025 bytes": "k".repeat(1025),
  "1,026 bytes in 513 characters": "é".repeat(513),
  "a million characters": "k".repeat(1_000_000),
  "a lone high surrogate": "\uD800",
  "a lone low surrogate in a long one": `${"k".repeat(200)}\uDC00`,
  undefined: undefined,
  null: null,
  "a number": 7,
  "a bigint": 7n,
  "a boolean": true,
  "a symbol": Symbol("key"),
  "an object": {},
  "an object without a prototype": Object.create(null),
  "an array": ["a"],
  "a boxed string": Object("number"),
  bytes: new Uint8Array(1),
  "a function": () => "number",
  "something that throws when it becomes text": {
    toString() {
      throw new Error("was made text");
    },
  },
};

describe("keys that are none", () => {
  for (const [name, key] of Object.entries(BAD_KEYS)) {
    refuses("INVALID_KEY", {
      [`get, ${name}`]: (run) => run.kv.get(key),
      [`getVersioned, ${name}`]: (run) => run.kv.getVersioned(key),
      [`getMany, ${name}`]: (run) => run.kv.getMany(["number", key]),
      [`has, ${name}`]: (run) => run.kv.has(key),
      [`put, ${name}`]: (run) => run.kv.put(key, 1),
      [`put that expects a version, ${name}`]: (run) => run.kv.put(key, 1, { ifVersion: null }),
      [`delete, ${name}`]: (run) => run.kv.delete(key),
      [`put in a transaction, ${name}`]: (run) => run.transaction((tx: Loose) => tx.kv.put(key, 1)),
      [`put that expects, in a transaction, ${name}`]: (run) =>
        run.transaction((tx: Loose) => tx.kv.put(key, 1, { ifVersion: 1 })),
      [`delete in a transaction, ${name}`]: (run) => run.transaction((tx: Loose) => tx.kv.delete(key)),
      [`get in a transaction, ${name}`]: (run) => run.transaction((tx: Loose) => tx.kv.get(key)),
      [`get of a run that is not there, ${name}`]: (_, db) => db.run("nowhere").kv.get(key),
      [`delete of a run that is not there, ${name}`]: (_, db) => db.run("nowhere").kv.delete(key),
      [`get of a snapshot, ${name}`]: (run) => {
        const snapshot = run.snapshot();
        try {
          snapshot.kv.get(key);
        } finally {
          snapshot.dispose();
        }
      },
    });
    const isRunId = typeof key === "string" && key.length > 256;
    refuses("INVALID_KEY", { [`run, ${name}${isRunId ? ", too long for a run" : ""}`]: (_, db) => db.run(key) });
  }
  refuses("INVALID_KEY", {
    "a run's id of 257 bytes": (_, db) => db.run("r".repeat(257)),
    "a run of a database snapshot": (_, db) => {
      const snapshot = db.snapshot();
      try {
        snapshot.run(undefined);
      } finally {
        snapshot.dispose();
      }
    },
  });
});

describe("names of the prototype are names like others", () => {
  const names = ["__proto__", "constructor", "toString", "valueOf", "hasOwnProperty", "a\u0000b", "\u0000"];
  test("as keys, as run ids and as keys of objects", async () => {
    const db = await openStore();
    for (const name of names) {
      const value = JSON.parse(`{${JSON.stringify(name)}: {"polluted": true}}`) as Value;
      expect(db.run(name).kv.get(name)).toBeUndefined();
      db.run(name).kv.put(name, value);
      expect(Object.keys(db.run(name).kv.get(name) as object)).toEqual([name]);
      expect(db.run(name).kv.list()).toEqual([[name, value]]);
    }
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
    expect(db.stats().runs).toBe(names.length + 2);
    expect(db.verify()).toEqual({ valid: true });
  });
});

const unprintable: object = Object.create(null);
const throwing = new Proxy(
  {},
  {
    get() {
      throw new Error("a caller's own");
    },
    ownKeys() {
      throw new Error("a caller's own");
    },
    has() {
      throw new Error("a caller's own");
    },
  },
);

describe("options that are none", () => {
  const notObjects: Readonly<Record<string, unknown>> = {
    null: null,
    "a number": 5,
    "a string": "strict",
    "a boolean": true,
    "a symbol": Symbol("options"),
    "a function": () => 1,
    "an object that throws": throwing,
    "an unknown name": { unknown: 1 },
    "a name that is nearly right": { ifVerison: 1, durabilty: "strict", timeoutMS: 1, prefxi: "a" },
  };
  for (const [name, options] of Object.entries(notObjects)) {
    refuses("INVALID_ARGUMENT", {
      [`put, ${name}`]: (run) => run.kv.put("number", 2, options),
      [`delete, ${name}`]: (run) => run.kv.delete("number", options),
      [`put in a transaction, ${name}`]: (run) =>
        run.transaction((tx: Loose) => {
          tx.kv.put("number", 2, options);
        }),
      [`list, ${name}`]: (run) => run.kv.list(options),
      [`keys, ${name}`]: (run) => run.kv.keys(options),
      [`list of nothing, ${name}`]: (_, db) => db.run("nowhere").kv.list(options),
      [`begin, ${name}`]: (run) => run.begin(options).rollback(),
      [`transaction, ${name}`]: (run) => run.transaction((tx: Loose) => tx.kv.put("number", 2), options),
      [`transactionAsync, ${name}`]: (run) => run.transactionAsync((tx: Loose) => tx.kv.put("number", 2), options),
    });
  }
});

/** Bad values for one option, each with the calls that take it. */
describe("options with bad values", () => {
  const badVersions: readonly unknown[] = [
    0,
    -1,
    1.5,
    Number.NaN,
    2 ** 53,
    "1",
    1n,
    true,
    {},
    unprintable,
    Symbol("v"),
  ];
  for (const [i, ifVersion] of badVersions.entries()) {
    refuses("INVALID_ARGUMENT", {
      [`put, ifVersion ${i}`]: (run) => run.kv.put("number", 2, { ifVersion }),
      [`delete, ifVersion ${i}`]: (run) => run.kv.delete("number", { ifVersion }),
      [`delete of nothing, ifVersion ${i}`]: (_, db) => db.run("nowhere").kv.delete("number", { ifVersion }),
      [`put in a transaction, ifVersion ${i}`]: (run) =>
        run.transaction((tx: Loose) => tx.kv.put("number", 2, { ifVersion })),
    });
  }

  const badDurabilities: readonly unknown[] = [
    "",
    "Strict",
    "fsync",
    "__proto__",
    null,
    0,
    {},
    [],
    unprintable,
    Symbol("d"),
    throwing,
    { mode: "none" },
    { mode: unprintable },
    { mode: "buffered", flushIntervalMs: 0 },
    { mode: "buffered", flushIntervalMs: "100" },
    { mode: "buffered", flushIntervalMs: Number.NaN },
    { mode: "buffered", flushIntervalMs: unprintable },
    { mode: "buffered", flushIntervalMs: 2 ** 31 },
    { mode: "buffered", maxPendingWrites: 0.5 },
    { mode: "buffered", maxPendingWrites: -1 },
    { mode: "buffered", flushIntervall: 5 },
    { mode: "strict", flushIntervalMs: 5 },
  ];
  for (const [i, durability] of badDurabilities.entries()) {
    refuses("INVALID_ARGUMENT", {
      [`put, durability ${i}`]: (run) => run.kv.put("number", 2, { durability }),
      [`delete, durability ${i}`]: (run) => run.kv.delete("number", { durability }),
      [`begin, durability ${i}`]: (run) => run.begin({ durability }).rollback(),
      [`transaction, durability ${i}`]: (run) => run.transaction(() => 1, { durability }),
      [`transactionAsync, durability ${i}`]: (run) => run.transactionAsync(() => 1, { durability }),
      [`open, durability ${i}`]: () => Database.open({ durability } as Loose),
      [`builder, durability ${i}`]: () =>
        Database.builder()
          .durability(durability as Loose)
          .open(),
    });
  }

  const badBounds: readonly unknown[] = [
    null,
    5,
    {},
    [],
    Symbol("b"),
    "\uD800",
    "k".repeat(1025),
    unprintable,
    throwing,
  ];
  for (const [i, bound] of badBounds.entries()) {
    for (const name of ["prefix", "start", "end"]) {
      refuses("INVALID_KEY", {
        [`list, ${name} ${i}`]: (run) => run.kv.list({ [name]: bound }),
        [`keys, ${name} ${i}`]: (run) => run.kv.keys({ [name]: bound }),
        [`list of nothing, ${name} ${i}`]: (_, db) => db.run("nowhere").kv.list({ [name]: bound }),
        [`list in a transaction, ${name} ${i}`]: (run) => run.transaction((tx: Loose) => tx.kv.list({ [name]: bound })),
      });
    }
    refuses("INVALID_KEY", {
      [`count, prefix ${i}`]: (run) => run.kv.count(bound),
      [`count of nothing, prefix ${i}`]: (_, db) => db.run("nowhere").kv.count(bound),
    });
  }

  const badLimits: readonly unknown[] = [
    -1,
    1.5,
    Number.NaN,
    Number.NEGATIVE_INFINITY,
    "5",
    null,
    5n,
    {},
    unprintable,
    Symbol("l"),
  ];
  for (const [i, limit] of badLimits.entries()) {
    refuses("INVALID_ARGUMENT", {
      [`list, limit ${i}`]: (run) => run.kv.list({ limit }),
      [`keys of nothing, limit ${i}`]: (_, db) => db.run("nowhere").kv.keys({ limit }),
    });
  }
  for (const [i, reverse] of [0, "true", null, {}, unprintable, Symbol("r")].entries()) {
    refuses("INVALID_ARGUMENT", { [`list, reverse ${i}`]: (run) => run.kv.list({ reverse }) });
  }

  for (const [i, timeoutMs] of [-1, Number.NaN, "5", null, 5n, {}, unprintable, Symbol("t")].entries()) {
    refuses("INVALID_ARGUMENT", {
      [`begin, timeoutMs ${i}`]: (run) => run.begin({ timeoutMs }).rollback(),
      [`transaction, timeoutMs ${i}`]: (run) => run.transaction(() => 1, { timeoutMs }),
      [`transactionAsync, timeoutMs ${i}`]: (run) => run.transactionAsync(() => 1, { timeoutMs }),
    });
  }

  const badRetries: readonly unknown[] = [
    null,
    3,
    "3",
    true,
    Symbol("r"),
    throwing,
    { attempts: 0 },
    { attempts: -1 },
    { attempts: 1.5 },
    { attempts: Number.NaN },
    { attempts: "3" },
    { attempts: unprintable },
    { attempts: 3, baseMs: -1 },
    { attempts: 3, baseMs: null },
    { attempts: 3, maxMs: Number.NaN },
    { attempts: 3, maxMs: unprintable },
    { attempts: 3, unknown: 1 },
  ];
  for (const [i, retry] of badRetries.entries()) {
    refuses("INVALID_ARGUMENT", {
      [`transaction, retry ${i}`]: (run) => run.transaction((tx: Loose) => tx.kv.put("number", 2), { retry }),
      [`transactionAsync, retry ${i}`]: (run) => run.transactionAsync((tx: Loose) => tx.kv.put("number", 2), { retry }),
    });
  }

  for (const [i, signal] of [null, 5, "abort", {}, unprintable, throwing].entries()) {
    refuses("INVALID_ARGUMENT", {
      [`transactionAsync, signal ${i}`]: (run) =>
        run.transactionAsync((tx: Loose) => tx.kv.put("number", 2), { signal }),
      [`open, signal ${i}`]: () => Database.open({ durability: "in-memory", signal } as Loose),
    });
  }
});

describe("arguments that are none", () => {
  for (const [i, body] of [undefined, null, 5, "body", {}, Symbol("b")].entries()) {
    refuses("INVALID_ARGUMENT", {
      [`transaction, callback ${i}`]: (run) => run.transaction(body),
      [`transactionAsync, callback ${i}`]: (run) => run.transactionAsync(body),
    });
  }
  const notLists: readonly unknown[] = [undefined, null, 5, "number", {}, new Set(["number"]), { length: 1 }, throwing];
  for (const [i, keys] of notLists.entries()) {
    refuses("INVALID_ARGUMENT", {
      [`getMany, keys ${i}`]: (run) => run.kv.getMany(keys),
      [`getMany in a transaction, keys ${i}`]: (run) => run.transaction((tx: Loose) => tx.kv.getMany(keys)),
    });
  }
  refuses("INVALID_KEY", {
    "getMany with a hole": (run) => run.kv.getMany(Array(2)),
    "getMany in a transaction, with a hole": (run) => run.transaction((tx: Loose) => tx.kv.getMany(Array(2))),
  });
  for (const [i, event] of [undefined, null, 5, "", "close", "__proto__", {}, unprintable, Symbol("e")].entries()) {
    refuses("INVALID_ARGUMENT", { [`on, event ${i}`]: (_, db) => db.on(event, () => {}) });
  }
  for (const [i, listener] of [undefined, null, 5, "listener", {}].entries()) {
    refuses("INVALID_ARGUMENT", { [`on, listener ${i}`]: (_, db) => db.on("error", listener) });
  }

  test("reads of no keys at all say that the store, the transaction or the snapshot is closed", async () => {
    const db = await openStore();
    const [transaction, snapshot] = [db.run("run").begin(), db.run("run").snapshot()];
    transaction.rollback();
    snapshot.dispose();
    expect(outcomeOf(() => transaction.kv.getMany([]))).toBe("TRANSACTION_CLOSED");
    expect(outcomeOf(() => snapshot.kv.getMany([]))).toBe("TRANSACTION_CLOSED");
    const { kv } = db.run("run");
    await db.close();
    expect(outcomeOf(() => kv.getMany([]))).toBe("CLOSED");
  });
});

describe("opening with what cannot be opened", () => {
  const base = { durability: "in-memory" };
  const table: Readonly<Record<string, unknown>> = {
    nothing: undefined,
    null: null,
    "a number": 5,
    "a symbol": Symbol("path"),
    "an empty path": "",
    "no place": {},
    "an array": [],
    "an object that throws": throwing,
    "an unknown name": { ...base, pth: "./s" },
    "a path that is a number": { path: 5 },
    "an empty path in options": { path: "" },
    "a path with a null byte": { path: "/tmp/holdfast\u0000test" },
    "a storage that is null": { ...base, storage: null },
    "a storage that is empty": { storage: {} },
    "a storage without open": { storage: { capabilities: memory().capabilities } },
    "a storage with empty capabilities": { storage: { capabilities: {}, open: () => {} } },
    "a storage that throws": { storage: throwing },
    "a storage with capabilities that throw": { storage: { capabilities: throwing, open: () => {} } },
    "a trace that throws": { ...base, trace: throwing },
    "an environment that throws": { ...base, environment: throwing },
    "a strict storage that keeps nothing": { storage: memory(), durability: "strict" },
    "a durability that is none": { durability: "volatile" },
    "readOnly that is no boolean": { ...base, readOnly: 1 },
    "shared that is no boolean": { ...base, shared: "yes" },
    "shared that cannot be printed": { ...base, shared: unprintable },
    "maxBytes too small": { ...base, maxBytes: 65_536 },
    "maxBytes too large": { ...base, maxBytes: 2 ** 32 },
    "maxBytes that is no whole number": { ...base, maxBytes: 2.5 * MIB + 0.5 },
    "maxBytes that is text": { ...base, maxBytes: "4194304" },
    "maxBytes that is a bigint": { ...base, maxBytes: 4_194_304n },
    "maxBytes that cannot be printed": { ...base, maxBytes: unprintable },
    "maxBytes null": { ...base, maxBytes: null },
    "wasm that is no module": { ...base, wasm: new Uint8Array([0, 1, 2, 3]) },
    "wasm of another module": { ...base, wasm: Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0) },
    "wasm that is null": { ...base, wasm: null },
    "wasm that is an object": { ...base, wasm: {} },
    "wasm at no place": { ...base, wasm: "file:///nowhere/single.wasm" },
    "wasm that is not a URL": { ...base, wasm: "http://[" },
    "wasm that is relative to nothing": { ...base, wasm: "./single.wasm" },
    "wasm that is a symbol": { ...base, wasm: Symbol("w") },
    "wasm that throws": { ...base, wasm: throwing },
    "onProgress that is no function": { ...base, onProgress: 5 },
    "environment that is empty": { ...base, environment: {} },
    "environment that is null": { ...base, environment: null },
  };
  for (const [name, options] of Object.entries(table)) {
    test(`INVALID_ARGUMENT: ${name}`, async () => {
      expect(
        await outcomeOfAsync(async () => {
          opened.push(await Database.open(options as Loose));
        }),
      ).toBe("INVALID_ARGUMENT");
    });
  }

  test("a storage that fails in its own way still gives a typed error", async () => {
    const broken: readonly Loose[] = [
      { capabilities: memory().capabilities, open: () => Promise.reject(new TypeError("mine")) },
      { capabilities: memory().capabilities, open: () => Promise.reject(undefined) },
      {
        capabilities: memory().capabilities,
        open() {
          throw unprintable;
        },
      },
    ];
    for (const storage of broken as readonly Storage[]) {
      expect(await outcomeOfAsync(() => Database.open({ storage }))).toBe("STORE_FAILED");
    }
  });

  test("the builder takes nothing in that open would refuse", async () => {
    const builds: readonly (() => Promise<unknown>)[] = [
      () => Database.builder().open(),
      () => Database.builder().path("").open(),
      () =>
        Database.builder()
          .path(5 as Loose)
          .open(),
      () =>
        Database.builder()
          .storage({} as Loose)
          .open(),
      () =>
        Database.builder()
          .durability("none" as Loose)
          .open(),
      () =>
        Database.builder()
          .durability("none" as Loose)
          .openTemp(),
    ];
    for (const build of builds) expect(await outcomeOfAsync(build)).toBe("INVALID_ARGUMENT");
  });

  test("a place that cannot be made is a typed error", async () => {
    for (const path of ["/dev/null/store", `/tmp/${"x".repeat(5000)}`]) {
      expect(await outcomeOfAsync(() => Database.open(path)), path.slice(0, 40)).not.toBe("accepted");
    }
  });

  // Node's own recursive mkdir never returns where a parent answers ENOENT to everything, as /proc does, and it spins in
  // the thread that called it. In a process of its own, so that it can be ended.
  test.runIf(process.platform === "linux")("a place in which nothing can be made does not hang", () => {
    const script = `
      const { Database } = await import(process.argv[1]);
      await Database.open("/proc/holdfast/cannot-be-made").then(() => console.log("accepted"), (e) => console.log(e.code));`;
    const built = new URL("../../dist/index.js", import.meta.url).href;
    const { stdout, signal } = spawnSync(process.execPath, ["--input-type=module", "-e", script, built], {
      encoding: "utf8",
      timeout: 5000,
      killSignal: "SIGKILL",
    });
    expect([stdout.trim(), signal]).toEqual(["STORE_FAILED", null]);
  });
});

/** What fast-check itself could not handle or print stands under a name, and is put in when a call is made. */
const UNPRINTABLE = "(an object without a prototype)";
const THROWING = "(an object that throws)";

function unmasked(value: unknown): unknown {
  if (value === THROWING) return throwing;
  if (value === UNPRINTABLE) return unprintable;
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, unmasked(item)]));
}

/** Anything at all, with some of what nearly fits, so that calls come past the first check. */
const anything = fc.oneof(
  fc.anything({
    withBigInt: true,
    withDate: true,
    withMap: true,
    withNullPrototype: true,
    withSparseArray: true,
    withTypedArray: true,
    withSet: true,
    withUnboxedValues: true,
  } as Loose),
  fc.constantFrom<unknown>(
    "number",
    "text",
    "object",
    "run",
    "",
    "__proto__",
    "strict",
    "buffered",
    "in-memory",
    UNPRINTABLE,
    THROWING,
    Symbol("s"),
    () => 1,
  ),
  fc.constantFrom<unknown>(0, 1, -1, 1n, Number.NaN, undefined, null, true),
  fc.record(
    {
      durability: fc.constantFrom<unknown>(
        "strict",
        "in-memory",
        "buffered",
        DurabilityMode.strict(),
        null,
        UNPRINTABLE,
      ),
      ifVersion: fc.constantFrom<unknown>(null, 0, 1, 2, 1.5, "1", UNPRINTABLE),
      timeoutMs: fc.constantFrom<unknown>(0, 1000, -1, "1", UNPRINTABLE),
      retry: fc.constantFrom<unknown>({ attempts: 2 }, { attempts: 0 }, null, 3, UNPRINTABLE),
      signal: fc.constantFrom<unknown>(undefined, null, {}, 5),
      prefix: fc.constantFrom<unknown>("", "n", 5, null),
      limit: fc.constantFrom<unknown>(0, 1, -1, UNPRINTABLE),
    },
    { requiredKeys: [] },
  ),
);

type Call = (db: Loose, args: readonly unknown[]) => unknown;

const CALLS: Readonly<Record<string, Call>> = {
  "db.run": (db, [id]) => db.run(id),
  "db.on": (db, [event, listener]) => db.on(event, listener)(),
  "kv.get": (db, [key]) => db.run("run").kv.get(key),
  "kv.getVersioned": (db, [key]) => db.run("run").kv.getVersioned(key),
  "kv.getMany": (db, [keys]) => db.run("run").kv.getMany(keys),
  "kv.getMany of a list": (db, keys) => db.run("run").kv.getMany(keys),
  "kv.has": (db, [key]) => db.run("run").kv.has(key),
  "kv.put": (db, [key, value, options]) => db.run("run").kv.put(key, value, options),
  "kv.put to a key": (db, [value, options]) => db.run("fuzzed").kv.put("key", value, options),
  "kv.delete": (db, [key, options]) => db.run("run").kv.delete(key, options),
  "kv.list": (db, [options]) => db.run("run").kv.list(options),
  "kv.keys": (db, [options]) => db.run("run").kv.keys(options),
  "kv.count": (db, [prefix]) => db.run("run").kv.count(prefix),
  "run.begin": (db, [options]) => db.run("run").begin(options).rollback(),
  "run.transaction": (db, [body, options]) => db.run("run").transaction(body, options),
  "run.transaction of a callback": (db, [options, key, value]) =>
    db.run("run").transaction((tx: Loose) => void tx.kv.put(key, value), options),
  "run.transactionAsync": (db, [body, options]) => db.run("run").transactionAsync(body, options),
  "run.transactionAsync of a callback": (db, [options, key, value]) =>
    db.run("run").transactionAsync((tx: Loose) => void tx.kv.put(key, value), options),
  "tx.kv": (db, [key, value, options]) =>
    db.run("run").transaction((tx: Loose) => {
      tx.kv.delete(key, options);
      tx.kv.put(key, value, options);
      tx.kv.getMany([key]);
      tx.kv.list(options);
    }),
  "snapshot.kv": (db, [key, options]) => {
    const snapshot = db.snapshot();
    try {
      const { kv } = snapshot.run("run");
      kv.get(key);
      kv.getMany(key);
      kv.list(options);
      kv.count(options);
    } finally {
      snapshot.dispose();
    }
  },
  "snapshot.run": (db, [id]) => {
    const snapshot = db.snapshot();
    try {
      snapshot.run(id);
    } finally {
      snapshot.dispose();
    }
  },
  "Database.open": async (_, [options]) => {
    // What would be made by a path is not wanted here.
    if (typeof options === "string") return;
    await (await Database.open(options as Loose)).close();
  },
  "Database.open in memory": async (_, [options]) => {
    const extra = typeof options === "object" && options !== null && options !== throwing ? options : {};
    await (await Database.open({ ...extra, durability: "in-memory", path: undefined } as Loose)).close();
  },
};

describe("anything at all", () => {
  for (const [name, call] of Object.entries(CALLS)) {
    const heavy = name.startsWith("Database.open");
    test(`only a HoldfastError leaves ${name}, and the store is sound`, async () => {
      const db = await openStore();
      await fc.assert(
        fc.asyncProperty(fc.array(anything, { minLength: 3, maxLength: 3 }), async (args) => {
          await outcomeOfAsync(() => call(db, args.map(unmasked)));
        }),
        { numRuns: heavy ? FUZZ_RUNS / 10 : FUZZ_RUNS, seed: FUZZ_SEED },
      );
      expect(db.verify()).toEqual({ valid: true });
      expect(db.stats().snapshotsHeld).toBe(0);
      db.run("after").kv.put("works", 1);
      expect(db.run("after").kv.get("works")).toBe(1);
    });
  }
});
