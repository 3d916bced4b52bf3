/**
 * Keyv's own tests over the adapter, and what they leave open: expiry without Keyv, many keys, long ones, namespaces.
 */
import suite, { keyvIteratorTests } from "@keyv/test-suite";
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
