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

/** The rows that the cases damage. */
interface Rows {
  readonly files: readonly Record<string, unknown>[];
  readonly chunks: readonly Record<string, unknown>[];
}

function allRows({ name, rows }: Place): Rows {
  const of = (table: string): Record<string, unknown>[] => rows(`SELECT * FROM ${table} WHERE name = ?`, name);
  return {
    files: of("holdfast_file"),
    chunks: of("holdfast_chunk").map(({ bytes, ...row }) => ({
      ...row,
      bytes: typeof bytes === "string" ? bytes : new Uint8Array(bytes as ArrayBuffer),
    })),
  };
}

function putBack({ name, platform }: Place, { files, chunks }: Rows): void {
  for (const [table, all] of [
    ["holdfast_file", files],
    ["holdfast_chunk", chunks],
  ] as const) {
    platform.sql.exec(`DELETE FROM ${table} WHERE name = ?`, name);
    for (const row of all) {
      const places = Object.keys(row);
      platform.sql.exec(`INSERT INTO ${table} (${places}) VALUES (${places.map(() => "?")})`, ...Object.values(row));
    }
  }
}

/** Fails unless opening is `CORRUPTION` that says so, with the file and the offset, and leaves every row as it is. */
async function staysDamaged(place: Place, says: RegExp): Promise<void> {
  const damaged = allRows(place);
  const { message, details } = await rejectsCode("CORRUPTION", () => place.open());
  ok(says.test(message) && /Restore/.test(message), `${says} and what to do in: ${message}`);
  const isPlaced = typeof details?.["segment"] === "number" && typeof details["offset"] === "number";
  ok(isPlaced, `the segment and the offset in: ${JSON.stringify(details)}`);
  deepEqual(allRows(place), damaged, "the rows");
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
      await first.flush();
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
      const { name, platform } = place;
      const good = allRows(place);
      for (const [damage, says] of [
        [`DELETE FROM holdfast_chunk WHERE name = ?1 AND start > 0 AND start < (${LAST})`, /missing from there on/],
        [
          `UPDATE holdfast_chunk SET bytes = zeroblob(length(bytes)) WHERE name = ?1 AND start > 0 AND start < (${LAST})`,
          /synced beyond/,
        ],
        [`UPDATE holdfast_chunk SET bytes = 'text' WHERE name = ?1 AND start = (${LAST})`, /not bytes/],
        ["UPDATE holdfast_chunk SET bytes = 'text' WHERE name = ?1 AND start = 0", /not bytes/],
        ["DELETE FROM holdfast_file WHERE name = ?1", /row in holdfast_file is missing/],
      ] as const) {
        platform.sql.exec(damage, name);
        await staysDamaged(place, says);
        putBack(place, good);
      }
      equal((await place.open()).run(RUN).kv.count(), 20, "keys once it is mended");
    }),
    inTables(
      "what no row of holdfast_file names is kept, and what stands before it can be salvaged",
      async (place, context) => {
        const { name, platform, storage } = place;
        const db = await place.open();
        db.run(RUN).kv.put("before", 1);
        await db.checkpoint();
        db.run(RUN).kv.put("behind", 1);
        await db.close();
        const good = allRows(place);
        for (const which of ["", "AND kind = 'checkpoint'", "AND kind = 'segment'"]) {
          platform.sql.exec(`DELETE FROM holdfast_file WHERE name = ? ${which}`, name);
          await staysDamaged(place, which.includes("checkpoint") ? /is missing/ : /row in holdfast_file is missing/);
          if (which.includes("segment")) {
            const salvaged = await context.open({ storage, readOnly: true, salvage: true });
            deepEqual(
              [salvaged.run(RUN).kv.keys(), salvaged.storageInfo.fresh],
              [["before"], false],
              "what is salvaged",
            );
            await salvaged.close();
          }
          putBack(place, good);
        }
        deepEqual((await place.open()).run(RUN).kv.keys(), ["before", "behind"], "keys once it is mended");
      },
    ),
    inTables("an end that somebody cut off opens as what is left, and says that it was not closed", async (place) => {
      await written(place);
      const { name, platform } = place;
      // What says that it was closed, and the last commit.
      for (let i = 0; i < 2; i++) {
        platform.sql.exec(`DELETE FROM holdfast_chunk WHERE name = ?1 AND start = (${LAST})`, name);
      }
      const db = await place.open();
      deepEqual(
        [db.run(RUN).kv.count(), db.storageInfo.recovered?.commits],
        [19, 19],
        "keys, and commits that were read",
      );
    }),
    inTables(
      "what is left of a checkpoint that was never finished is gone with the first segment written",
      async (place) => {
        await written(place);
        const { name, platform, rows } = place;
        platform.sql.exec("INSERT INTO holdfast_chunk VALUES (?, 'checkpoint', 9, 0, zeroblob(100))", name);
        const db = await place.open();
        deepEqual([db.run(RUN).kv.count(), db.storageInfo.recovered], [20, undefined], "what is read");
        db.run(RUN).kv.put("key", 1);
        await db.close();
        deepEqual(rows("SELECT number FROM holdfast_chunk WHERE name = ? AND kind = 'checkpoint'", name), [], "left");
      },
    ),
    inTables("an epoch that is no number is damage, until it is one again", async (place) => {
      await written(place);
      const { name, platform, rows } = place;
      const epochs = (): unknown => rows("SELECT epoch FROM holdfast_database WHERE name = ?", name);
      const set = "UPDATE holdfast_database SET epoch = ? WHERE name = ?";
      for (const wrong of ["text", 1.5, -1]) {
        platform.sql.exec(set, wrong, name);
        const error = await rejectsCode("CORRUPTION", () => place.open());
        ok(/holdfast_database .* Set it to/.test(error.message), `what to do in: ${error.message}`);
        equal(error.details?.["name"], name, "whose it is");
        deepEqual(epochs(), [{ epoch: wrong }], "the epoch");
      }
      platform.sql.exec(set, 1, name);
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
    inTables(
      "what is no storage of an object, options that are none, and a name that is none, are refused",
      async (place) => {
        const { platform } = place;
        const { sync, transactionSync } = platform;
        for (const wrong of [
          undefined,
          null,
          {},
          "storage",
          { sync, transactionSync },
          { sync, transactionSync, sql: {} },
        ]) {
          const error = throwsCode("INVALID_ARGUMENT", () =>
            durableObject(wrong as unknown as DurableObjectStorageLike),
          );
          ok(error.message.includes("pass the ctx.storage"), `what to pass in: ${error.message}`);
        }
        for (const wrong of [null, "foo", 1, () => {}]) {
          const error = throwsCode("INVALID_ARGUMENT", () =>
            durableObject(platform, wrong as unknown as { name: string }),
          );
          ok(error.message.includes('{ name: "main" }'), `what to pass in: ${error.message}`);
        }
        throwsCode("INVALID_ARGUMENT", () => durableObject(platform, { name: "" }));
        throwsCode("INVALID_ARGUMENT", () => durableObject(platform, { name: null as unknown as string }));
      },
    ),
    inTables("a storage that will not have its sql looked at is UNSUPPORTED once it is opened", async (place) => {
      const refusing = {
        sync: async (): Promise<void> => {},
        transactionSync: <T>(closure: () => T): T => closure(),
        get sql(): never {
          throw new Error("SQL is not enabled for this Durable Object class.");
        },
      };
      await rejectsCode("UNSUPPORTED", () => place.open(durableObject(refusing, { name: place.name })));
    }),
    inTables(
      "an object whose storage is deleted under it locks its databases out, and can begin anew",
      async (place) => {
        const db = await place.open();
        const told: string[] = [];
        db.on("locked-out", (reason) => told.push(reason));
        db.run(RUN).kv.put("key", 1);
        await db.flush();
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
