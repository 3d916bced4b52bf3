/**
 * Key-values, as every platform and every storage must have them: reads, writes, listings, versions, and the isolation of
 * runs from one another.
 */
import type { Database, KVReader, ListOptions, Value } from "../../src/index.js";
import { deepEqual, equal, ok, throwsCode } from "./assert.js";
import type { Case, Context } from "./context.js";
import {
  byUtf8,
  fill,
  HOSTILE_KEYS,
  hostileObject,
  listedKeys,
  RUN,
  sampleValues,
  throughEveryView,
} from "./samples.js";

/** The whole suite. */
export function kvContract(): Case[] {
  return [
    ...readAndWriteCases(),
    ...valueCases(),
    ...independenceCases(),
    ...listCases(),
    ...versionCases(),
    ...ifVersionCases(),
    ...isolationCases(),
  ];
}

/** A case that works on one database with nothing in it. */
function on(name: string, use: (db: Database, context: Context) => Promise<void> | void): Case {
  return {
    name,
    async run(context) {
      await use(await context.open(), context);
    },
  };
}

function readAndWriteCases(): Case[] {
  return [
    on("what is missing is undefined, false, empty or 0, never a throw", (db) => {
      const checkEmpty = (kv: KVReader, view: string): void => {
        equal(kv.get("missing"), undefined, `${view} get`);
        equal(kv.getVersioned("missing"), undefined, `${view} getVersioned`);
        equal(kv.has("missing"), false, `${view} has`);
        deepEqual(kv.getMany(["missing", "too"]), [undefined, undefined], `${view} getMany`);
        deepEqual(kv.list(), [], `${view} list`);
        deepEqual(kv.keys({ prefix: "m" }), [], `${view} keys`);
        equal(kv.count(), 0, `${view} count`);
        equal(kv.count("m"), 0, `${view} count with a prefix`);
      };
      checkEmpty(db.run(RUN).kv, "untouched run");
      throughEveryView(db, RUN, checkEmpty);
      db.run(RUN).kv.put("present", 1);
      db.run(RUN).kv.delete("present");
      throughEveryView(db, RUN, checkEmpty);
      equal(db.run(RUN).version > 0, true, "version of a run whose only key is gone");
    }),
    on("put, overwrite, get, has and delete tell the same story", (db) => {
      const { kv } = db.run(RUN);
      kv.put("plan", "first");
      equal(kv.get("plan"), "first");
      kv.put("plan", "second");
      equal(kv.get("plan"), "second");
      equal(kv.has("plan"), true);
      equal(kv.count(), 1);
      equal(kv.delete("plan"), true, "first delete");
      equal(kv.delete("plan"), false, "second delete");
      equal(kv.get("plan"), undefined);
      equal(kv.has("plan"), false);
      kv.put("plan", "third");
      equal(kv.get("plan"), "third", "after coming back");
    }),
    on("null and false are values and not missing", (db) => {
      const { kv } = db.run(RUN);
      kv.put("null", null);
      kv.put("false", false);
      equal(kv.has("null") && kv.has("false"), true);
      throughEveryView(db, RUN, (view) => deepEqual(view.getMany(["null", "false"]), [null, false]));
      equal(kv.delete("null"), true);
    }),
    on("getMany answers in the order asked, doubles and gaps included", (db) => {
      fill(db, RUN, [
        ["a", 1],
        ["b", 2],
        ["c", 3],
      ]);
      throughEveryView(db, RUN, (kv, view) => {
        deepEqual(kv.getMany(["c", "x", "a", "c", "b"]), [3, undefined, 1, 3, 2], view);
        deepEqual(kv.getMany([]), [], view);
      });
    }),
    on("keys may be 1 to 1,024 bytes of any text", (db) => {
      const { kv } = db.run(RUN);
      const long = ["k".repeat(1024), "é".repeat(512), "😀".repeat(256), "€".repeat(341)];
      for (const [i, key] of [...HOSTILE_KEYS, ...long].entries()) kv.put(key, i);
      for (const [i, key] of [...HOSTILE_KEYS, ...long].entries()) equal(kv.get(key), i, JSON.stringify(key));
      deepEqual(kv.keys(), [...HOSTILE_KEYS, ...long].sort(byUtf8));
      throwsCode("INVALID_KEY", () => kv.put("", 1));
      throwsCode("INVALID_KEY", () => kv.put("k".repeat(1025), 1));
      throwsCode("INVALID_KEY", () => kv.put("é".repeat(513), 1));
      throwsCode("INVALID_KEY", () => kv.get("\uD800"));
      equal(kv.count(), HOSTILE_KEYS.length + long.length);
    }),
    on("2,000 keys are all found, and half of them after the other half was deleted", (db) => {
      const key = (i: number): string => `key-${(i * 7919) % 2000}`;
      fill(
        db,
        RUN,
        Array.from({ length: 2000 }, (_, i) => [key(i), i]),
      );
      equal(db.run(RUN).kv.count(), 2000);
      for (let i = 0; i < 2000; i++) equal(db.run(RUN).kv.get(key(i)), i, key(i));
      db.run(RUN).transaction((tx) => {
        for (let i = 0; i < 2000; i += 2) equal(tx.kv.delete(key(i)), true, key(i));
      });
      equal(db.run(RUN).kv.count(), 1000);
      for (let i = 0; i < 2000; i++) equal(db.run(RUN).kv.get(key(i)), i % 2 === 0 ? undefined : i, key(i));
      equal(db.verify().valid, true, "verify");
    }),
  ];
}

function valueCases(): Case[] {
  const perValue = sampleValues().map(([name, value]) =>
    on(`a value comes back as it was: ${name}`, (db) => {
      db.run(RUN).kv.put("value", value);
      throughEveryView(db, RUN, (kv, view) => {
        deepEqual(kv.get("value"), value, view);
        deepEqual(kv.getVersioned("value")?.value, value, view);
        deepEqual(kv.getMany(["value"]), [value], view);
        deepEqual(kv.list(), [["value", value]], view);
      });
    }),
  );
  return [
    ...perValue,
    on("a value comes back from a transaction that has not been committed", (db) => {
      const transaction = db.run(RUN).begin();
      for (const [name, value] of sampleValues()) transaction.kv.put(name, value);
      for (const [name, value] of sampleValues()) deepEqual(transaction.kv.get(name), value, name);
      transaction.rollback();
    }),
    on("numbers and bigints stay apart", (db) => {
      db.run(RUN).kv.put("number", 1);
      db.run(RUN).kv.put("bigint", 1n);
      equal(db.run(RUN).kv.get("number"), 1);
      equal(db.run(RUN).kv.get("bigint"), 1n);
    }),
    on("the order of an object's keys is kept", (db) => {
      db.run(RUN).kv.put("value", { z: 1, a: 2, m: 3 });
      deepEqual(Object.keys(db.run(RUN).kv.get("value") as object), ["z", "a", "m"]);
    }),
    on("names of the prototype are ordinary keys of an object and touch no prototype", (db) => {
      db.run(RUN).kv.put("value", hostileObject());
      const value = db.run(RUN).kv.get("value") as object;
      deepEqual(Object.keys(value), ["__proto__", "constructor", "toString", "hasOwnProperty"]);
      equal(Object.getPrototypeOf(value), Object.prototype, "prototype");
      equal(({} as { polluted?: unknown }).polluted, undefined, "pollution");
    }),
  ];
}

function independenceCases(): Case[] {
  return [
    on("changing what was written or what was read changes nothing that is stored", (db) => {
      const { kv } = db.run(RUN);
      const given = { list: [1, 2], bytes: Uint8Array.of(1, 2), inner: { a: 1 } };
      const original = structuredClone(given);
      kv.put("value", given);
      const spoil = (value: unknown): void => {
        const loose = value as typeof given;
        loose.list.push(3);
        loose.bytes[0] = 99;
        loose.inner.a = 2;
      };
      spoil(given);
      throughEveryView(db, RUN, (view, name) => {
        spoil(view.get("value"));
        spoil(view.getVersioned("value")?.value);
        spoil(view.getMany(["value"])[0]);
        spoil(view.list()[0]?.[1]);
        deepEqual(view.get("value"), original, name);
      });
    }),
    on("bytes that were read are the reader's own, and stay as they were read", (db) => {
      const { kv } = db.run(RUN);
      kv.put("bytes", Uint8Array.of(1, 2, 3));
      const read = kv.get("bytes") as Uint8Array;
      const twice = kv.get("bytes") as Uint8Array;
      ok(read.buffer !== twice.buffer, "two reads not to share a buffer");
      kv.put("bytes", Uint8Array.of(7, 7, 7));
      for (let i = 0; i < 300; i++) kv.put(`other-${i}`, "x".repeat(500), { durability: "in-memory" });
      deepEqual(read, Uint8Array.of(1, 2, 3));
      read[0] = 50;
      deepEqual(kv.get("bytes"), Uint8Array.of(7, 7, 7));
    }),
    on("a view into a larger buffer is stored alone", (db) => {
      const large = Uint8Array.from({ length: 100 }, (_, i) => i);
      db.run(RUN).kv.put("part", large.subarray(10, 13));
      large.fill(0);
      deepEqual(db.run(RUN).kv.get("part"), Uint8Array.of(10, 11, 12));
    }),
  ];
}

const LISTED = [
  "a",
  "a:",
  "a:1",
  "a:10",
  "a:2",
  "a;",
  "b",
  "B",
  "é",
  "\uFFFD",
  "\u{10000}",
  "😀",
  "\u0000",
  "a:\uE000",
];

/** Every combination of what a listing can be asked for. */
function* combinations(): Generator<ListOptions> {
  const bounds = [undefined, "", "a", "a:", "a:1", "a:2", "b", "\uFFFD", "\u{10000}", "\u{10FFFF}"];
  for (const prefix of [undefined, "", "a", "a:", "a:1", "zz", "\uFFFD"]) {
    for (const start of bounds) {
      for (const end of bounds) {
        for (const reverse of [undefined, false, true]) {
          for (const limit of [undefined, 0, 1, 3, 100]) yield { prefix, start, end, reverse, limit };
        }
      }
    }
  }
}

function listCases(): Case[] {
  return [
    on("listings are in the order of UTF-8, where an astral character follows all others", (db) => {
      const shuffled = ["\u{10000}", "\uFFFD", "😀", "z", "\uE000", "\uD7FF", "é", "Z", "\u0000"];
      fill(
        db,
        RUN,
        shuffled.map((key, i) => [key, i]),
      );
      const sorted = ["\u0000", "Z", "z", "é", "\uD7FF", "\uE000", "\uFFFD", "\u{10000}", "😀"];
      ok([...sorted].sort().join() !== sorted.join(), "JavaScript's own order to differ");
      throughEveryView(db, RUN, (kv, view) => {
        deepEqual(kv.keys(), sorted, view);
        deepEqual(
          kv.list().map(([key]) => key),
          sorted,
          view,
        );
        deepEqual(kv.keys({ reverse: true }), sorted.toReversed(), view);
      });
    }),
    on("every combination of prefix, start, end, reverse and limit agrees with the plain definition", (db) => {
      fill(
        db,
        RUN,
        LISTED.map((key, i) => [key, { i }]),
      );
      const values = new Map(LISTED.map((key, i) => [key, i]));
      const listings = [...combinations()].map((options) => {
        const keys = listedKeys(LISTED, options);
        const entries = keys.map((key) => [key, { i: values.get(key) as number }]);
        return { options, keys, entries, shown: JSON.stringify(options) };
      });
      throughEveryView(db, RUN, (kv, view) => {
        for (const { options, keys, entries, shown } of listings) {
          const what = `${view} ${shown}`;
          deepEqual(kv.keys(options), keys, what);
          deepEqual(kv.list(options), entries, what);
        }
        for (const prefix of [undefined, "", "a", "a:", "a:1", "zz", "\uFFFD"]) {
          equal(kv.count(prefix), listedKeys(LISTED, { prefix }).length, `${view} count ${prefix}`);
        }
      });
    }),
    on("end is exclusive and start inclusive", (db) => {
      fill(db, RUN, [
        ["a", 1],
        ["b", 2],
        ["c", 3],
      ]);
      throughEveryView(db, RUN, (kv, view) => {
        deepEqual(kv.keys({ start: "a", end: "c" }), ["a", "b"], view);
        deepEqual(kv.keys({ start: "b", end: "b" }), [], view);
        deepEqual(kv.keys({ start: "c", end: "a" }), [], view);
        deepEqual(kv.keys({ reverse: true, limit: 1, end: "c" }), ["b"], view);
      });
    }),
    on("a listing is of its instant: what is written after it does not show in it", (db) => {
      fill(db, RUN, [
        ["a", 1],
        ["b", 2],
      ]);
      const list = db.run(RUN).kv.list();
      db.run(RUN).kv.delete("a");
      db.run(RUN).kv.put("c", 3);
      deepEqual(list, [
        ["a", 1],
        ["b", 2],
      ]);
      deepEqual(db.run(RUN).kv.keys(), ["b", "c"]);
    }),
  ];
}

function versionCases(): Case[] {
  return [
    on("versions grow over the whole database, and every key carries that of its commit", (db) => {
      const versions: number[] = [];
      for (let i = 0; i < 6; i++) versions.push(db.run(`run-${i % 3}`).kv.put(`key-${i}`, i));
      for (const [i, version] of versions.entries()) {
        ok(Number.isSafeInteger(version) && version > 0, `a positive integer, got ${version}`);
        ok(i === 0 || version > (versions[i - 1] as number), `version ${version} to be above the one before`);
        deepEqual(db.run(`run-${i % 3}`).kv.getVersioned(`key-${i}`), { value: i, version });
      }
      for (let i = 0; i < 3; i++) equal(db.run(`run-${i}`).version, versions[i + 3], `version of run ${i}`);
    }),
    on("everything that a transaction writes carries its one version, seen alike in every view", (db) => {
      const transaction = db.run(RUN).begin();
      transaction.kv.put("a", 1);
      transaction.kv.put("b", 2);
      const version = transaction.commit();
      throughEveryView(db, RUN, (kv, view) => {
        deepEqual(kv.getVersioned("a"), { value: 1, version }, view);
        deepEqual(kv.getVersioned("b"), { value: 2, version }, view);
      });
      equal(db.run(RUN).version, version);
    }),
    on("db.version stands at the last commit once all is flushed, and a delete counts as one", async (db) => {
      const before = db.run(RUN).kv.put("a", 1);
      db.run("other").kv.delete("nothing");
      await db.flush();
      equal(db.version, before, "after a put and a delete of nothing");
      db.run(RUN).kv.delete("a");
      await db.flush();
      ok(db.version > before, "a delete to be a commit");
      equal(db.run(RUN).version, db.version, "run.version");
      equal(db.run("other").version, 0, "version of a run without commits");
    }),
  ];
}

function ifVersionCases(): Case[] {
  const mismatch = (action: () => unknown, expected: number | null, actual: number | null): void => {
    const error = throwsCode("VERSION_MISMATCH", action);
    deepEqual([error.details["expected"], error.details["actual"]], [expected, actual], "details");
    equal(error.details["key"], "key", "details.key");
  };
  return [
    on("ifVersion: null writes only where there is nothing", (db) => {
      const { kv } = db.run(RUN);
      const version = kv.put("key", 1, { ifVersion: null });
      mismatch(() => kv.put("key", 2, { ifVersion: null }), null, version);
      equal(kv.get("key"), 1);
      kv.delete("key");
      ok(kv.put("key", 3, { ifVersion: null }) > version, "to be written again after a delete");
    }),
    on("ifVersion writes only over that version", (db) => {
      const { kv } = db.run(RUN);
      mismatch(() => kv.put("key", 0, { ifVersion: 1 }), 1, null);
      const first = kv.put("key", 1);
      const second = kv.put("key", 2, { ifVersion: first });
      mismatch(() => kv.put("key", 3, { ifVersion: first }), first, second);
      mismatch(() => kv.put("key", 3, { ifVersion: second + 1 }), second + 1, second);
      equal(kv.get("key"), 2);
      equal(db.run(RUN).version, second, "version after refusals");
    }),
    on("delete takes ifVersion too", (db) => {
      const { kv } = db.run(RUN);
      mismatch(() => kv.delete("key", { ifVersion: 4 }), 4, null);
      equal(kv.delete("key", { ifVersion: null }), false, "deleting nothing where nothing was expected");
      const version = kv.put("key", 1);
      mismatch(() => kv.delete("key", { ifVersion: null }), null, version);
      mismatch(() => kv.delete("key", { ifVersion: version + 7 }), version + 7, version);
      equal(kv.get("key"), 1);
      equal(kv.delete("key", { ifVersion: version }), true);
      equal(kv.has("key"), false);
      mismatch(() => kv.delete("key", { ifVersion: version }), version, null);
    }),
    on("ifVersion in a transaction compares with what the transaction sees", (db) => {
      const run = db.run(RUN);
      const version = run.kv.put("key", 1);
      run.transaction((tx) => {
        mismatch(() => tx.kv.put("key", 2, { ifVersion: null }), null, version);
        mismatch(() => tx.kv.delete("key", { ifVersion: version + 1 }), version + 1, version);
        tx.kv.put("key", 2, { ifVersion: version });
        tx.kv.put("new", 3, { ifVersion: null });
        throwsCode("VERSION_MISMATCH", () => tx.kv.put("new", 4, { ifVersion: null }));
      });
      deepEqual(run.kv.getMany(["key", "new"]), [2, 3]);
    }),
    on("ifVersion in a transaction is a read, so that a later change is a conflict", (db) => {
      const run = db.run(RUN);
      const transaction = run.begin();
      transaction.kv.put("key", "mine", { ifVersion: null });
      run.kv.put("key", "theirs");
      throwsCode("CONFLICT", () => transaction.commit());
      equal(run.kv.get("key"), "theirs");
    }),
  ];
}

function isolationCases(): Case[] {
  return [
    on("runs share nothing: the same key holds different values in each", (db) => {
      const ids = ["a", "b", "a:", "A", "é", ...HOSTILE_KEYS.filter((id) => id !== "a")];
      for (const [i, id] of ids.entries()) db.run(id).kv.put("key", i);
      for (const [i, id] of ids.entries()) {
        deepEqual(db.run(id).kv.list(), [["key", i]], JSON.stringify(id));
        equal(db.run(id).count(), 1);
        equal(db.run(id).id, id);
      }
      db.run("a").kv.delete("key");
      equal(db.run("b").kv.get("key"), 1);
      equal(db.totalCount(), ids.length - 1);
    }),
    on("a run's id is 1 to 256 bytes of UTF-8", (db) => {
      for (const id of ["r".repeat(256), "é".repeat(128), "😀".repeat(64)]) {
        db.run(id).kv.put("key", id);
        equal(db.run(id).kv.get("key"), id);
      }
      for (const id of ["", "r".repeat(257), "é".repeat(129), "\uDC00"]) throwsCode("INVALID_KEY", () => db.run(id));
    }),
    on("a run's handle is cached, and exists as a run only once something is written", (db) => {
      const run = db.run("new");
      equal(db.run("new"), run, "the second handle");
      run.kv.get("a");
      run.kv.getMany(["a", "b"]);
      run.kv.list();
      run.kv.count();
      run.kv.delete("a");
      run.snapshot().dispose();
      run.count();
      equal(db.stats().runs, 0, "runs after reads");
      run.kv.put("a", 1);
      equal(db.stats().runs, 1, "runs after a write");
    }),
    on("a write that is refused makes no run", (db) => {
      const { kv } = db.run("refused");
      throwsCode("INVALID_KEY", () => kv.put("", 1));
      throwsCode("INVALID_VALUE", () => kv.put("a", undefined as unknown as Value));
      throwsCode("VERSION_MISMATCH", () => kv.put("a", 1, { ifVersion: 1 }));
      equal(db.stats().runs, 0, "runs");
      equal(db.totalCount(), 0, "entries");
    }),
    on("a transaction that writes nothing makes no run", (db) => {
      db.run("rolled-back").begin().rollback();
      db.run("read-only").transaction((tx) => tx.kv.get("a"));
      equal(db.stats().runs, 0, "runs");
    }),
    on("counts of a run and of the database follow what is written and deleted", (db) => {
      fill(db, "one", [
        ["a", 1],
        ["b", 2],
      ]);
      fill(db, "two", [["a", 1]]);
      deepEqual([db.run("one").count(), db.run("two").count(), db.totalCount()], [2, 1, 3]);
      equal(db.stats().entries, 3);
      db.run("one").kv.put("a", 9);
      db.run("one").kv.delete("b");
      deepEqual([db.run("one").count(), db.run("one").kv.count(), db.totalCount()], [1, 1, 2]);
    }),
  ];
}
