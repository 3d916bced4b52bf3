/**
 * Snapshots: what they show never changes while they are held, and costs nobody anything.
 */
import type { Database, KVReader, Snapshot } from "../../src/index.js";
import { deepEqual, equal, ok, throwsCode } from "./assert.js";
import type { Case } from "./context.js";
import { fill, pause, RUN } from "./samples.js";

/** How many different versions can be held at once. */
const VERSIONS_HELD_MAX = 1024;
const DEFERRED = { durability: "in-memory" } as const;

/** The whole suite. */
export function snapshotContract(): Case[] {
  return [...heldCases(), ...wholeDatabaseCases(), ...releaseCases(), ...limitCases()];
}

function on(name: string, use: (db: Database) => Promise<void> | void): Case {
  return {
    name,
    async run(context) {
      await use(await context.open());
    },
  };
}

/** Everything that can be read of three keys, in every way of reading. */
function everything(kv: KVReader): unknown[] {
  const keys = ["a", "b", "c"];
  return [
    keys.map((key) => kv.get(key)),
    keys.map((key) => kv.has(key)),
    keys.map((key) => kv.getVersioned(key)?.version),
    kv.getMany(keys),
    kv.list(),
    kv.list({ reverse: true, limit: 2 }),
    kv.keys({ start: "b" }),
    kv.count(),
    kv.count("a"),
  ].map((read) => JSON.stringify(read));
}

function heldCases(): Case[] {
  return [
    on("what a snapshot shows stays the same while everything is overwritten and deleted", (db) => {
      const run = db.run(RUN);
      fill(db, RUN, [
        ["a", 1],
        ["b", { list: [2] }],
      ]);
      const snapshot = run.snapshot();
      const before = everything(snapshot.kv);
      equal(snapshot.version, run.version, "version");
      for (let i = 0; i < 200; i++) {
        run.kv.put("a", i, DEFERRED);
        run.kv.put("c", "new", DEFERRED);
        run.kv.delete("b", DEFERRED);
        run.kv.put("b", i, DEFERRED);
      }
      run.transaction((tx) => {
        tx.kv.delete("a");
        tx.kv.put("b", "other");
      });
      deepEqual(everything(snapshot.kv), before, "after the writes");
      equal(run.kv.get("a"), undefined);
      snapshot.dispose();
      equal(db.verify().valid, true, "verify");
    }),
    on("many snapshots each show their own instant", (db) => {
      const run = db.run(RUN);
      const held: Snapshot[] = [];
      for (let i = 0; i < 50; i++) {
        run.kv.put("counter", i, DEFERRED);
        if (i % 3 === 0) run.kv.delete("odd", DEFERRED);
        else run.kv.put("odd", i, DEFERRED);
        held.push(run.snapshot());
      }
      const check = (i: number): void => {
        equal(held[i]?.kv.get("counter"), i, `counter of ${i}`);
        equal(held[i]?.kv.get("odd"), i % 3 === 0 ? undefined : i, `odd of ${i}`);
      };
      for (let i = 0; i < 50; i++) check(i);
      // What goes first are those in the middle: chains of versions are cut at both ends.
      for (let i = 10; i < 40; i++) held[i]?.dispose();
      run.kv.put("counter", "newest", DEFERRED);
      for (let i = 0; i < 10; i++) check(i);
      for (let i = 40; i < 50; i++) check(i);
      for (const snapshot of held) snapshot.dispose();
      equal(db.stats().snapshotsHeld, 0, "snapshots held");
      equal(db.verify().valid, true, "verify");
    }),
    on("a snapshot does not show what an open transaction has written, nor its commit", (db) => {
      const run = db.run(RUN);
      const transaction = run.begin();
      transaction.kv.put("a", 1);
      const snapshot = run.snapshot();
      transaction.commit();
      equal(snapshot.kv.get("a"), undefined);
      equal(run.kv.get("a"), 1);
      snapshot.dispose();
    }),
    on("a snapshot of a run that is not there stays empty when it comes to be", (db) => {
      const snapshot = db.run("later").snapshot();
      db.run("later").kv.put("a", 1);
      deepEqual([snapshot.kv.get("a"), snapshot.kv.has("a"), snapshot.kv.count()], [undefined, false, 0]);
      deepEqual(snapshot.kv.list({ prefix: "a" }), []);
      throwsCode("INVALID_KEY", () => snapshot.kv.get(""));
      snapshot.dispose();
    }),
    on("a snapshot can be read over turns of the event loop", async (db) => {
      const run = db.run(RUN);
      run.kv.put("a", 1);
      const snapshot = run.snapshot();
      const writing = run.transactionAsync((tx) => tx.kv.put("a", 2));
      equal(snapshot.kv.get("a"), 1);
      await writing;
      await pause(5);
      equal(snapshot.kv.get("a"), 1);
      equal(run.kv.get("a"), 2);
      snapshot.dispose();
    }),
    on("one old snapshot under many overwrites keeps two versions, not all of them", async (db) => {
      const run = db.run(RUN);
      run.kv.put("a", "x".repeat(10_000), DEFERRED);
      const snapshot = run.snapshot();
      for (let i = 0; i < 2000; i++) run.kv.put("a", String(i).padEnd(10_000, "x"), DEFERRED);
      // The records of a storage that works asynchronously wait in memory until they are written.
      await db.flush();
      const { memoryBytes, memoryFreeBytes } = db.stats();
      ok(memoryBytes - memoryFreeBytes < 8 * 1024 * 1024, `20 MB not to be kept, got ${memoryBytes - memoryFreeBytes}`);
      equal(snapshot.kv.get("a"), "x".repeat(10_000));
      snapshot.dispose();
    }),
  ];
}

function wholeDatabaseCases(): Case[] {
  return [
    on("db.snapshot holds every run, those that come later as empty", async (db) => {
      db.run("one").kv.put("a", 1);
      db.run("two").kv.put("a", 2);
      await db.flush();
      const snapshot = db.snapshot();
      equal(snapshot.version, db.version, "version");
      db.run("one").kv.put("a", 10);
      db.run("two").kv.delete("a");
      db.run("three").kv.put("a", 30);
      const seen = ["one", "two", "three"].map((id) => snapshot.run(id).kv.get("a"));
      deepEqual(seen, [1, 2, undefined]);
      deepEqual(snapshot.run("two").kv.list(), [["a", 2]]);
      equal(snapshot.run("two").id, "two");
      throwsCode("INVALID_KEY", () => snapshot.run(""));
      snapshot.dispose();
      throwsCode("TRANSACTION_CLOSED", () => snapshot.run("one"));
    }),
    on("a view of a run ends with the snapshot that it came from", (db) => {
      db.run(RUN).kv.put("a", 1);
      const snapshot = db.snapshot();
      const view = snapshot.run(RUN);
      snapshot.dispose();
      throwsCode("TRANSACTION_CLOSED", () => view.kv.get("a"));
    }),
  ];
}

function releaseCases(): Case[] {
  return [
    on("a snapshot that was disposed of is not read again, and disposing again is nothing", (db) => {
      db.run(RUN).kv.put("a", 1);
      const snapshot = db.run(RUN).snapshot();
      const { kv } = snapshot;
      equal(db.stats().snapshotsHeld, 1);
      snapshot.dispose();
      snapshot.dispose();
      snapshot[Symbol.dispose]();
      equal(db.stats().snapshotsHeld, 0);
      const reads: (() => unknown)[] = [
        () => kv.get("a"),
        () => kv.getVersioned("a"),
        () => kv.getMany(["a"]),
        () => kv.has("a"),
        () => kv.list(),
        () => kv.keys(),
        () => kv.count(),
      ];
      for (const read of reads) throwsCode("TRANSACTION_CLOSED", read);
    }),
    on("disposing of one of two equal snapshots leaves the other", (db) => {
      const run = db.run(RUN);
      run.kv.put("a", 1);
      const [first, second] = [run.snapshot(), run.snapshot()];
      first.dispose();
      first.dispose();
      run.kv.put("a", 2);
      run.kv.put("a", 3);
      equal(second.kv.get("a"), 1);
      second.dispose();
    }),
    on("a closed database closes its snapshots", async (db) => {
      db.run(RUN).kv.put("a", 1);
      const [snapshot, whole] = [db.run(RUN).snapshot(), db.snapshot()];
      await db.close();
      throwsCode("CLOSED", () => snapshot.kv.get("a"));
      throwsCode("CLOSED", () => whole.run(RUN));
      snapshot.dispose();
      whole.dispose();
    }),
  ];
}

function limitCases(): Case[] {
  return [
    on("1,024 different versions can be held, one more is BUSY, and one less is enough again", (db) => {
      const run = db.run(RUN);
      const held: Snapshot[] = [];
      for (let i = 0; i < VERSIONS_HELD_MAX; i++) {
        run.kv.put("a", i, DEFERRED);
        held.push(run.snapshot());
      }
      run.kv.put("a", "newest", DEFERRED);
      throwsCode("BUSY", () => run.snapshot());
      throwsCode("BUSY", () => db.snapshot());
      equal(run.kv.get("a"), "newest", "reads go on, and so it");
      held[500]?.dispose();
      held[500] = run.snapshot();
      throwsCode("BUSY", () => {
        run.kv.put("a", "newer", DEFERRED);
        run.snapshot();
      });
      for (const [i, snapshot] of held.entries()) {
        equal(snapshot.kv.get("a"), i === 500 ? "newest" : i, `snapshot ${i}`);
        snapshot.dispose();
      }
      run.snapshot().dispose();
      equal(db.stats().snapshotsHeld, 0);
      equal(db.verify().valid, true, "verify");
    }),
    on("any number of snapshots of one version are one to the limit", (db) => {
      const run = db.run(RUN);
      run.kv.put("a", 1);
      const held = Array.from({ length: 2 * VERSIONS_HELD_MAX }, () => run.snapshot());
      run.kv.put("a", 2);
      for (const snapshot of held) equal(snapshot.kv.get("a"), 1);
      for (const snapshot of held) snapshot.dispose();
      equal(db.stats().snapshotsHeld, 0);
    }),
  ];
}
