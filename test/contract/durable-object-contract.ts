/**
 * What only a storage in a Durable Object has to keep: one row for each append, a fence besides the object itself, and an end that is
 * said where its tables are deleted or damaged under it. The cases get at those tables as the object's own code could.
 */
import { type DurableObjectStorageLike, durableObject } from "../../src/adapters/durable-object.js";
import type { Storage, StorageCapabilities } from "../../src/adapters/storage.js";
import { Database, HoldfastError } from "../../src/index.js";
import { deepEqual, equal, ok, rejectsCode, throwsCode } from "./assert.js";
import type { Case, Context } from "./context.js";
import { RUN } from "./samples.js";

const LAST = "SELECT max(start) FROM holdfast_chunk WHERE name = ?1";

const inObject = ({ kind }: StorageCapabilities): boolean => kind === "durable-object";

/** What the object's own code has: the platform's storage, with what only the cases call. */
interface Platform extends DurableObjectStorageLike {
  deleteAll(): Promise<void>;
}

/** A database of a name of its own in the object. */
interface Place {
  readonly platform: Platform;
  readonly name: string;
  readonly storage: Storage;
  open(storage?: Storage): Promise<Database>;
  rows(query: string, ...bindings: unknown[]): Record<string, unknown>[];
}

function inTables(name: string, run: (place: Place, context: Context) => Promise<void>): Case {
  return {
    name,
    needs: inObject,
    run: (context) => {
      const platform = context.object as Platform;
      const own = durableObject(platform, { name });
      const open = (storage = own): Promise<Database> => context.open({ storage });
      const rows: Place["rows"] = (query, ...bindings) => platform.sql.exec(query, ...bindings).toArray();
      return run({ platform, name, storage: own, open, rows }, context);
    },
  };
}

/** Writes a log of some rows, and closes it. */
async function written({ open }: Place): Promise<void> {
  const db = await open();
  for (let i = 0; i < 20; i++) db.run(RUN).kv.put(`key ${i}`, "x".repeat(100));
  await db.close();
}

export function durableObjectContract(): Case[] {
  return [
    inTables("a commit is one row, there when the call returns, and no row is longer than it may be", async (place) => {
      const count = (): number =>
        Number(place.rows("SELECT count(*) AS n FROM holdfast_chunk WHERE name = ?", place.name)[0]?.["n"]);
      const { kv } = (await place.open()).run(RUN);
      kv.put("first", 1);
      const before = count();
      kv.put("key", 1);
      equal(count(), before + 1, "rows after a write");
      kv.put("large", "x".repeat(2_500_000));
      equal(count(), before + 4, "rows after a large one");
      const [longest] = place.rows("SELECT max(length(bytes)) AS bytes FROM holdfast_chunk");
      ok(Number(longest?.["bytes"]) <= 2 ** 20, "no row above a MiB");
    }),
    inTables("a copy of the adapter that knows nothing of the owner takes over from it", async (place) => {
      const { platform, name } = place;
      const unknown: DurableObjectStorageLike = {
        sql: { exec: (query, ...bindings) => platform.sql.exec(query, ...bindings) },
        transactionSync: (closure) => platform.transactionSync(closure),
        sync: () => platform.sync(),
      };
      const first = await place.open();
      const told: string[] = [];
      first.on("locked-out", (reason) => told.push(reason));
      first.run(RUN).kv.put("first", 1);
      const second = await place.open(durableObject(unknown, { name }));
      equal(second.run(RUN).kv.get("first"), 1, "what the first has written");
      throwsCode("COMMIT_INDETERMINATE", () => first.run(RUN).kv.put("late", 1));
      deepEqual(told, ["another owner has taken over"], "what the first was told");
      second.run(RUN).kv.put("second", 2);
      await second.close();
      deepEqual((await place.open()).run(RUN).kv.keys(), ["first", "second"], "keys");
    }),
    inTables("databases of one object know nothing of one another", async (place) => {
      const other = durableObject(place.platform, { name: `${place.name}, the other` });
      const [one, two] = [await place.open(), await place.open(other)];
      one.run(RUN).kv.put("key", 1);
      two.run(RUN).kv.put("key", 2);
      await one.close();
      await two.close();
      equal((await place.open()).run(RUN).kv.get("key"), 1, "one");
      equal((await place.open(other)).run(RUN).kv.get("key"), 2, "the other");
    }),
    inTables("rows that are missing or changed are damage, and stay as they are", async (place) => {
      await written(place);
      const { name, rows } = place;
      const all = (): unknown => rows("SELECT number, start, hex(bytes) FROM holdfast_chunk WHERE name = ?", name);
      const good = rows("SELECT * FROM holdfast_chunk WHERE name = ?", name);
      for (const damage of [
        `DELETE FROM holdfast_chunk WHERE name = ?1 AND start > 0 AND start < (${LAST})`,
        `UPDATE holdfast_chunk SET bytes = zeroblob(length(bytes)) WHERE name = ?1 AND start > 0 AND start < (${LAST})`,
        "UPDATE holdfast_chunk SET bytes = 'text' WHERE name = ?1 AND start = 0",
      ]) {
        place.platform.sql.exec(damage, name);
        const damaged = all();
        const opening = place.open();
        await rejectsCode(damage.includes("text") ? "STORE_FAILED" : "CORRUPTION", () => opening);
        deepEqual(all(), damaged, "the rows");
        place.platform.sql.exec("DELETE FROM holdfast_chunk WHERE name = ?", name);
        for (const { kind, number, start, bytes } of good) {
          place.platform.sql.exec(
            "INSERT INTO holdfast_chunk VALUES (?, ?, ?, ?, ?)",
            name,
            kind,
            number,
            start,
            bytes,
          );
        }
      }
      equal((await place.open()).run(RUN).kv.count(), 20, "keys once it is mended");
    }),
    inTables(
      "a commit that the object's own code rolls back is noticed by the next one, which adds nothing",
      async (place, { wasm }) => {
        // By itself: what is lost refuses to close, too.
        const db = await Database.open({ storage: place.storage, wasm });
        const { kv } = db.run(RUN);
        kv.put("kept", 1);
        await db.flush();
        throwsCode("TIMEOUT", () =>
          place.platform.transactionSync(() => {
            kv.put("rolled back", 1);
            throw new HoldfastError("TIMEOUT", "the object's own");
          }),
        );
        throwsCode("COMMIT_INDETERMINATE", () => kv.put("late", 1));
        throwsCode("STORE_FAILED", () => kv.put("later", 1));
        await db.close().catch(() => {});
        deepEqual((await place.open()).run(RUN).kv.keys(), ["kept"], "keys");
      },
    ),
    inTables("what is no storage of an object, and a name that is none, are refused", async ({ platform }) => {
      for (const wrong of [undefined, null, {}, "storage"]) {
        throwsCode("INVALID_ARGUMENT", () => durableObject(wrong as unknown as DurableObjectStorageLike));
      }
      throwsCode("INVALID_ARGUMENT", () => durableObject(platform, { name: "" }));
    }),
    inTables(
      "an object whose storage is deleted under it locks its databases out, and can begin anew",
      async (place) => {
        const db = await place.open();
        const told: string[] = [];
        db.on("locked-out", (reason) => told.push(reason));
        db.run(RUN).kv.put("key", 1);
        await place.platform.deleteAll();
        throwsCode("COMMIT_INDETERMINATE", () => db.run(RUN).kv.put("late", 1));
        deepEqual(told, ["the object's storage was deleted"], "what it was told");
        await db.close().catch(() => {});
        const again = await place.open();
        deepEqual([again.storageInfo.fresh, again.totalCount()], [true, 0], "what is left");
        again.run(RUN).kv.put("key", 2);
      },
    ),
  ];
}
