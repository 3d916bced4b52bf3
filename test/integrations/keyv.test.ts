/**
 * Keyv's own tests over the adapter, and what they leave open: expiry without Keyv, many keys, long ones, big values, namespaces,
 * wrong arguments.
 */
import { spawnSync } from "node:child_process";
import suite, { keyvIteratorTests } from "@keyv/test-suite";
import { type Database, HoldfastError } from "holdfast";
import { HoldfastKeyv } from "holdfast/integrations/keyv";
import Keyv, { type KeyvStoreAdapter } from "keyv";
import * as test from "vitest";
import { collect, PLACES, type Place } from "./places.js";

const { afterAll, beforeEach, describe, expect, it } = test;

/** The adapter over a place: each call is one use of it. */
class Placed implements KeyvStoreAdapter {
  readonly #place: Place;
  readonly opts = { dialect: "sqlite" };
  namespace?: string | undefined;

  constructor(place: Place) {
    this.#place = place;
  }

  #use<T>(call: (store: HoldfastKeyv) => Promise<T>): Promise<T> {
    const { namespace } = this;
    return this.#place.use((db) => {
      // The type of a store that Keyv takes is what the adapter is checked against.
      const store = new HoldfastKeyv(db) satisfies KeyvStoreAdapter;
      store.namespace = namespace;
      return call(store);
    });
  }

  on(): this {
    return this;
  }
  get<T>(key: string): Promise<T | undefined> {
    return this.#use((store) => store.get<T>(key));
  }
  getMany<T>(keys: string[]): Promise<(T | undefined)[]> {
    return this.#use((store) => store.getMany<T>(keys));
  }
  has(key: string): Promise<boolean> {
    return this.#use((store) => store.has(key));
  }
  set(key: string, value: unknown, ttl?: number): Promise<boolean> {
    return this.#use((store) => store.set(key, value, ttl));
  }
  delete(key: string): Promise<boolean> {
    return this.#use((store) => store.delete(key));
  }
  deleteMany(keys: string[]): Promise<boolean> {
    return this.#use((store) => store.deleteMany(keys));
  }
  clear(): Promise<void> {
    return this.#use((store) => store.clear());
  }
  disconnect(): Promise<void> {
    return this.#use((store) => store.disconnect());
  }
  deleteExpired(): Promise<number> {
    return this.#use((store) => store.deleteExpired());
  }
  count(): Promise<number> {
    return this.#place.use(async (db) => db.run("keyv").count());
  }
  async *iterator<T>(namespace?: string): AsyncGenerator<[string, T], void> {
    const entries: [string, T][] = [];
    await this.#use(async (store) => {
      for await (const entry of store.iterator<T>(namespace)) entries.push(entry);
    });
    yield* entries;
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

for (const [name, make] of Object.entries(PLACES)) {
  describe(name, () => {
    const place = make();
    const store = new Placed(place);
    afterAll(() => place.remove());

    describe("@keyv/test-suite", () => {
      suite(test, Keyv, () => new Placed(place));
    });
    describe("@keyv/test-suite, iterators", () => {
      keyvIteratorTests(test, Keyv, () => new Placed(place));
    });

    describe("besides", () => {
      beforeEach(async () => {
        store.namespace = undefined;
        await store.clear();
      });

      it("returns, counts and iterates nothing whose time is over, and removes what it comes across", async () => {
        for (const key of ["a", "b", "c", "d"]) await store.set(key, "soon over", 1);
        await store.set("e", "stays");
        await pause(20);
        expect(await store.get("a")).toBeUndefined();
        expect(await store.getMany(["b", "e"])).toEqual([undefined, "stays"]);
        expect(await store.has("c")).toBe(false);
        expect(await store.count()).toBe(2);
        expect(await collect(store.iterator())).toEqual([["e", "stays"]]);
        expect(await store.count()).toBe(1);
      });

      it("removes on demand what nobody asks for", async () => {
        await store.set("a", 1, 1);
        await store.set("b", 2);
        await pause(20);
        expect(await store.deleteExpired()).toBe(1);
        expect(await store.count()).toBe(1);
      });

      it("keeps keys of any length and none", async () => {
        const keys = ["", "k", "é".repeat(400), "x".repeat(1001), "ü".repeat(3000), `${"ü".repeat(3000)}.`];
        for (const [at, key] of keys.entries()) await store.set(key, at);
        expect(await store.getMany(keys)).toEqual([0, 1, 2, 3, 4, 5]);
        const found = await collect(store.iterator());
        expect(new Map(found as [string, number][])).toEqual(new Map(keys.map((key, at) => [key, at])));
        expect(await store.deleteMany([...keys, "none"])).toBe(true);
        expect(await store.count()).toBe(0);
      });

      it("clears and iterates long keys by their namespace too", async () => {
        const long = "x".repeat(2000);
        for (const namespace of ["one", "two"]) {
          const keyv = new Keyv({ store, namespace });
          await keyv.set("short", namespace);
          await keyv.set(long, namespace);
        }
        const one = new Keyv({ store, namespace: "one" });
        await one.clear();
        expect(await one.get(["short", long])).toEqual([undefined, undefined]);
        const two = new Keyv({ store, namespace: "two" });
        const found = await collect(two.iterator?.(undefined) ?? []);
        expect(found).toEqual([
          ["short", "two"],
          [long, "two"],
        ]);
      });

      it("iterates over more than it reads at once, each once", async () => {
        const keys = Array.from({ length: 600 }, (_, at) => String(at).padStart(4, "0"));
        await place.use(async (db) => {
          const direct = new HoldfastKeyv(db);
          await Promise.all(keys.map((key) => direct.set(key, key)));
        });
        const found = await collect(store.iterator());
        expect(found.map(([key]) => key)).toEqual(keys);
      });

      it("clears more than one transaction removes, and leaves what has another namespace", async () => {
        const keys = Array.from({ length: 9000 }, (_, at) => `one:${at}`);
        await place.use(async (db) => {
          const direct = new HoldfastKeyv(db);
          await direct.set("two:0", "stays");
          await db.run("keyv").transactionAsync(({ kv }) => {
            for (const key of keys) kv.put(`=${key}`, { value: key });
          });
        });
        store.namespace = "one";
        await store.clear();
        expect(await store.count()).toBe(1);
        expect(await store.get("two:0")).toBe("stays");
      });

      it("takes in, with a namespace, those whose names go on behind its colon, and no others", async () => {
        await place.use(async (db) => {
          const [a, inner, beside] = ["a", "a:b", "ab"].map(
            (namespace) => new Keyv({ store: new HoldfastKeyv(db), namespace }),
          ) as [Keyv, Keyv, Keyv];
          for (const keyv of [a, inner, beside]) await keyv.set("k", keyv.namespace);
          expect(await collect(a.iterator?.(undefined) ?? [])).toEqual([
            ["b:k", "a:b"],
            ["k", "a"],
          ]);
          await a.clear();
          expect(await inner.get("k")).toBeUndefined();
          expect(await beside.get("k")).toBe("ab");
        });
      });

      it("goes by the namespace that it was told last where two share a store", async () => {
        await place.use(async (db) => {
          const shared = new HoldfastKeyv(db);
          const one = new Keyv({ store: shared, namespace: "one" });
          const two = new Keyv({ store: shared, namespace: "two" });
          await one.set("k", 1);
          await two.set("k", 2);
          await one.clear();
          expect([await one.get("k"), await two.get("k")]).toEqual([1, undefined]);
        });
      });

      it("finds nothing to clear without a prefix, unless Keyv is told that there is no namespace", async () => {
        await place.use(async (db) => {
          const bare = new Keyv({ store: new HoldfastKeyv(db), useKeyPrefix: false });
          await bare.set("k", 1);
          await bare.clear();
          expect(await bare.get("k")).toBe(1);
          expect(await collect(bare.iterator?.(undefined) ?? [])).toEqual([]);
          const none = new Keyv({ store: new HoldfastKeyv(db), useKeyPrefix: false, namespace: "" });
          expect(await collect(none.iterator?.(undefined) ?? [])).toEqual([["k", 1]]);
          await none.clear();
          expect(await bare.get("k")).toBeUndefined();
        });
      });

      it("clears and iterates a namespace that is itself too long for a key", async () => {
        const [long, other] = ["x".repeat(2000), "y".repeat(2000)];
        for (const namespace of [long, other]) await store.set(`${namespace}:k`, "kept");
        expect(await collect(store.iterator(long))).toEqual([[`${long}:k`, "kept"]]);
        store.namespace = long;
        await store.clear();
        expect(await store.getMany([`${long}:k`, `${other}:k`])).toEqual([undefined, "kept"]);
      });

      it("removes only what is over from more than it looks at in one transaction", async () => {
        await place.use(async (db) => {
          await db.run("keyv").transactionAsync(({ kv }) => {
            for (let at = 0; at < 1000; at++) kv.put(`=${at}`, { value: at, ...(at % 2 === 0 ? { expires: 1 } : {}) });
          });
          const direct = new HoldfastKeyv(db);
          expect(await direct.deleteExpired()).toBe(500);
          expect(db.run("keyv").kv.has("=1")).toBe(true);
          expect(db.run("keyv").count()).toBe(500);
        });
      });

      it("removes what is over also where an iteration is left", async () => {
        await store.set("a", 1, 1);
        await store.set("b", 2);
        await store.set("c", 3);
        await pause(20);
        await place.use(async (db) => {
          for await (const entry of new HoldfastKeyv(db).iterator()) {
            expect(entry).toEqual(["b", 2]);
            break;
          }
          expect(db.run("keyv").count()).toBe(2);
        });
      });

      it("takes entries that Keyv does not serialize", async () => {
        const keyv = new Keyv({ store });
        keyv.serialize = undefined;
        keyv.deserialize = undefined;
        const value = { bytes: new Uint8Array([1, 2]), big: 7n };
        expect(await keyv.set("raw", value)).toBe(true);
        expect(await keyv.get("raw")).toEqual(value);
      });

      it("tells Keyv why a write failed, and its own listeners why a read did", async () => {
        await place.use(async (db) => {
          const direct = new HoldfastKeyv(db);
          const keyv = new Keyv({ store: direct });
          const errors: unknown[] = [];
          keyv.on("error", (error) => errors.push(error));
          expect(await keyv.set("lone \ud800", 1)).toBe(false);
          expect(await keyv.get("lone \ud800")).toBeUndefined();
          expect(errors).toMatchObject([{ code: "INVALID_KEY" }, { code: "INVALID_KEY" }]);
        });
      });
    });
  });
}

/** What a call comes to: the error that it rejects with, `thrown` if it does not wait for that, or that there is none. */
async function outcome(call: () => unknown): Promise<unknown> {
  let result: unknown;
  try {
    result = call();
  } catch (error) {
    return { thrown: error };
  }
  try {
    await result;
    return "no error";
  } catch (error) {
    return HoldfastError.is(error) ? error.code : error;
  }
}

describe("wrong arguments", () => {
  const place = (PLACES["in memory"] as () => Place)();
  afterAll(() => place.remove());
  const lone = `\ud800${"x".repeat(2000)}`;
  const none = undefined as unknown as string;
  const noKeys = [undefined, null, "key", 5, {}, [undefined], [5], ["k", null], [Symbol("k")]] as unknown as string[][];

  it("refuses what is no database, and options that are none", async () => {
    const dbs = [undefined, null, 5, "db", {}, () => {}] as unknown as Database[];
    for (const db of dbs) {
      expect(() => new HoldfastKeyv(db)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
    }
    await place.use(async (db) => {
      const throwing = {
        get run(): string {
          throw new TypeError("not to be read");
        },
      };
      for (const options of [null, 5, "run", throwing] as unknown as { run: string }[]) {
        expect(() => new HoldfastKeyv(db, options)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
      }
      for (const run of [null, 5, "", "\ud800"] as string[]) {
        expect(() => new HoldfastKeyv(db, { run })).toThrow(expect.objectContaining({ code: "INVALID_KEY" }));
      }
      const listener = undefined as unknown as () => void;
      expect(() => new HoldfastKeyv(db).on("error", listener)).toThrow(
        expect.objectContaining({ code: "INVALID_ARGUMENT" }),
      );
    });
  });

  it("rejects keys that are no strings, and lists that are none", async () => {
    await place.use(async (db) => {
      const store = new HoldfastKeyv(db);
      for (const key of [undefined, null, 5, {}, Symbol("k")] as unknown as string[]) {
        const calls = [() => store.get(key), () => store.has(key), () => store.delete(key), () => store.set(key, 1)];
        for (const call of calls) expect(await outcome(call)).toBe("INVALID_ARGUMENT");
      }
      for (const keys of noKeys) {
        expect(await outcome(() => store.getMany(keys))).toBe("INVALID_ARGUMENT");
        expect(await outcome(() => store.deleteMany(keys))).toBe("INVALID_ARGUMENT");
      }
      const unreadable = new Proxy(["k"], {
        get: () => {
          throw new TypeError("not to be read");
        },
      });
      expect(await outcome(() => store.getMany(unreadable))).toBe("INVALID_ARGUMENT");
      expect(await outcome(() => store.deleteMany(unreadable))).toBe("INVALID_ARGUMENT");
      // The first that is no string is refused, and none behind it is looked at.
      const hole = Object.defineProperty(Array<string>(2), 1, {
        get: () => {
          throw new Error("looked at");
        },
      });
      await expect(store.getMany(hole)).rejects.toThrow("A key must be a string");
      expect(db.run("keyv").count()).toBe(0);
    });
  });

  it("rejects lone surrogates in keys of any length", async () => {
    await place.use(async (db) => {
      const store = new HoldfastKeyv(db);
      for (const key of ["\ud800", lone]) {
        const calls = [() => store.get(key), () => store.has(key), () => store.delete(key), () => store.set(key, 1)];
        calls.push(
          () => store.getMany(["k", key]),
          () => store.deleteMany(["k", key]),
        );
        for (const call of calls) expect(await outcome(call)).toBe("INVALID_KEY");
      }
    });
  });

  it("rejects a time to live that is no number, values that cannot be, and namespaces that are no strings", async () => {
    await place.use(async (db) => {
      const store = new HoldfastKeyv(db);
      for (const ttl of [5n, "5", null, Number.NaN, {}] as unknown as number[]) {
        expect(await outcome(() => store.set("k", 1, ttl))).toBe("INVALID_ARGUMENT");
      }
      const throwing = {
        get value(): string {
          throw new TypeError("not to be read");
        },
      };
      for (const value of [undefined, Symbol("v"), () => {}, throwing]) {
        expect(await outcome(() => store.set("k", value))).toBe("INVALID_VALUE");
      }
      for (const namespace of [5, {}, Symbol("n")] as unknown as string[]) {
        store.namespace = namespace;
        expect(await outcome(() => store.clear())).toBe("INVALID_ARGUMENT");
        expect(await outcome(() => store.iterator(namespace).next())).toBe("INVALID_ARGUMENT");
      }
      expect(db.run("keyv").count()).toBe(0);
    });
  });

  it("rejects every call once the database is closed", async () => {
    const closed = (PLACES["in memory"] as () => Place)();
    const store = await closed.use(async (db) => new HoldfastKeyv(db));
    await closed.remove();
    const calls = [() => store.get("k"), () => store.getMany(["k"]), () => store.has("k"), () => store.set("k", 1)];
    calls.push(
      () => store.delete("k"),
      () => store.deleteMany(["k"]),
      () => store.clear(),
      () => store.deleteExpired(),
      () => store.iterator().next(),
      () => store.disconnect(),
    );
    for (const call of calls) expect(await outcome(call)).toBe("CLOSED");
    expect(await outcome(() => store.get(none))).toBe("INVALID_ARGUMENT");
  });

  it("reports to Keyv once what is wrong", async () => {
    await place.use(async (db) => {
      const keyv = new Keyv({ store: new HoldfastKeyv(db), namespace: "" });
      const errors: unknown[] = [];
      keyv.on("error", (error) => errors.push(error));
      expect(await keyv.get(none)).toBeUndefined();
      expect(await keyv.set(none, 1)).toBe(false);
      expect(await keyv.set("k", 1, 5n as unknown as number)).toBe(false);
      expect(await keyv.delete(none)).toBe(false);
      keyv.namespace = "\ud800";
      await keyv.clear();
      const codes = [...Array(4).fill("INVALID_ARGUMENT"), "INVALID_KEY"];
      expect(errors).toMatchObject(codes.map((code) => ({ code })));
    });
  });
});

/*
 * Removals and iterations listed thousands of entries with their values: a heap that could hold a few hundred of them was out of
 * memory, which ends the process. Each is done here in a process whose heap is smaller than what is stored.
 */
describe("values that are together more than the heap", () => {
  const script = (work: string): string => `
    import { Database } from "holdfast";
    import { HoldfastKeyv } from "holdfast/integrations/keyv";
    const db = await Database.open({ durability: "in-memory" });
    const store = new HoldfastKeyv(db);
    for (let at = 0; at < 600; at++) {
      await store.set("n:" + (at % 2 === 0 ? "x".repeat(2000) : "") + at, at + "v".repeat(1 << 20), at < 300 ? 1 : undefined);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
    ${work}
    console.log(db.run("keyv").count());
    await db.close();
  `;
  const run = (work: string) => {
    const given = ["--max-old-space-size=200", "--input-type=module", "--eval", script(work)];
    const { status, stdout, stderr } = spawnSync(process.execPath, given, {
      cwd: import.meta.dirname,
      encoding: "utf8",
    });
    return { status, stdout: stdout.trim(), stderr };
  };

  it("clears them all", () => {
    expect(run("await store.clear();")).toMatchObject({ status: 0, stdout: "0" });
  });

  it("clears those of a namespace", () => {
    expect(run('store.namespace = "n"; await store.clear();')).toMatchObject({ status: 0, stdout: "0" });
  });

  it("leaves those of another namespace", () => {
    expect(run('store.namespace = "other"; await store.clear();')).toMatchObject({ status: 0, stdout: "600" });
  });

  it("removes those that are over", () => {
    expect(run("console.log(await store.deleteExpired());")).toMatchObject({ status: 0, stdout: "300\n300" });
  });

  it("iterates over them", () => {
    const work = "let seen = 0; for await (const _ of store.iterator()) seen++; console.log(seen);";
    expect(run(work)).toMatchObject({ status: 0, stdout: "300\n300" });
  });
});
