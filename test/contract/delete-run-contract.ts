/**
 * Deleting a run: all of it in one commit, seen by those who held it before, and a new run under the same name after.
 */
import { type Database, HoldfastError } from "../../src/index.js";
import { deepEqual, equal, ok, throwsCode } from "./assert.js";
import type { Case } from "./context.js";
import { fill, RUN } from "./samples.js";

const DEFERRED = { durability: "in-memory" } as const;
const OTHER = "another run";

/** The whole suite. */
export function deleteRunContract(): Case[] {
  return [...wholeCases(), ...heldCases(), ...openCases(), ...durableCases(), ...refusalCases()];
}

function on(name: string, use: (db: Database) => Promise<void> | void): Case {
  return {
    name,
    async run(context) {
      await use(await context.open());
    },
  };
}

/** Puts something of every primitive into a run. */
function fillAll(db: Database, id: string): void {
  db.run(id).transaction((tx) => {
    for (let i = 0; i < 20; i++) tx.kv.put(`key ${i}`, i);
    tx.events.append("type", { n: 1 });
    tx.state.init("cell", "value");
    const root = tx.traces.record({ type: "thought", content: "root" }, { tags: ["tag"] });
    tx.traces.record({ type: "thought", content: "child" }, { parent: root });
  }, DEFERRED);
}

/** What is left of a run, in every primitive. */
function leftOf(db: Database, id: string): unknown[] {
  const run = db.run(id);
  return [run.kv.count(), run.events.length, run.events.types(), run.state.list(), run.traces.list(), run.count()];
}

const NOTHING = [0, 0, [], [], [], 0];

function wholeCases(): Case[] {
  return [
    on("everything of the run goes, and nothing of the others", (db) => {
      fillAll(db, RUN);
      fillAll(db, OTHER);
      const before = leftOf(db, OTHER);
      equal(db.deleteRun(RUN, DEFERRED), true, "it existed");
      deepEqual(leftOf(db, RUN), NOTHING, "what is left");
      deepEqual(leftOf(db, OTHER), before, "the other run");
      equal(db.totalCount(), db.run(OTHER).count(), "total");
      equal(db.run(RUN).version, 0, "run.version");
      equal(db.stats().runs, 1, "runs");
      equal(db.deleteRun(RUN, DEFERRED), false, "a second time");
      equal(db.deleteRun("never written", DEFERRED), false, "one that never was");
      equal(db.verify().valid, true, "heap");
    }),
    on("it is one commit: the version moves by it, once", (db) => {
      fillAll(db, RUN);
      const before = db.version;
      db.deleteRun(RUN, DEFERRED);
      equal(db.version, before + 1, "db.version");
    }),
    on("under the name a new run begins, with nothing of the old one", (db) => {
      for (let round = 1; round <= 5; round++) {
        fillAll(db, RUN);
        const run = db.run(RUN);
        equal(run.events.head()?.sequence, 0, "sequences begin anew");
        equal(run.state.read("cell")?.version, 1, "cells begin anew");
        equal(run.kv.put("key 0", round, DEFERRED) > 0, true, "put");
        equal(run.kv.get("key 0"), round, "get");
        equal(db.deleteRun(RUN, DEFERRED), true, "deleted");
        equal(run.kv.get("key 0"), undefined, "the same handle sees nothing");
        equal(run.kv.delete("key 0", DEFERRED), false, "nor has it anything to delete");
        equal(db.stats().runs, 0, "and looking made no run");
      }
      equal(db.verify().valid, true, "heap");
    }),
    on("a version of before never matches in the run that comes after", (db) => {
      const run = db.run(RUN);
      const version = run.kv.put("key", 1, DEFERRED);
      db.deleteRun(RUN, DEFERRED);
      throwsCode("VERSION_MISMATCH", () => run.kv.put("key", 2, { ifVersion: version, ...DEFERRED }));
      ok(run.kv.put("key", 2, { ifVersion: null, ...DEFERRED }) > version, "a new key");
    }),
  ];
}

function heldCases(): Case[] {
  return [
    on("snapshots of before see the run as it was, those of after do not", (db) => {
      fillAll(db, RUN);
      const before = db.run(RUN).snapshot();
      const whole = db.snapshot();
      const keys = before.kv.list();
      db.deleteRun(RUN, DEFERRED);
      const after = db.snapshot();
      fill(db, RUN, [["key 0", "new"]]);
      deepEqual(before.kv.list(), keys, "run snapshot");
      deepEqual(whole.run(RUN).kv.list(), keys, "database snapshot, resolved afterwards");
      equal(whole.run(RUN).events.verify().valid, true, "its events");
      deepEqual(after.run(RUN).kv.list(), [], "taken between");
      deepEqual(db.run(RUN).kv.list(), [["key 0", "new"]], "now");
      equal(db.verify().valid, true, "heap");
      for (const snapshot of [before, whole, after]) snapshot.dispose();
      equal(db.verify().valid, true, "heap after release");
      deepEqual(db.run(RUN).kv.list(), [["key 0", "new"]], "after release");
    }),
    on("each of many incarnations is seen by who held it", (db) => {
      const released = new Set<number>();
      const held = Array.from({ length: 6 }, (_, round) => {
        fill(db, RUN, [["round", round]]);
        const snapshot = db.snapshot();
        db.deleteRun(RUN, DEFERRED);
        return snapshot;
      });
      for (const gone of [3, 0, 5, 1, 4, 2]) {
        for (const [round, snapshot] of held.entries()) {
          if (!released.has(round)) equal(snapshot.run(RUN).kv.get("round"), round, `incarnation ${round}`);
        }
        held[gone]?.dispose();
        released.add(gone);
        equal(db.verify().valid, true, "heap");
      }
    }),
    on("the memory goes back once nobody sees the run any more", async (db) => {
      const fillLarge = (): void =>
        db.run(RUN).transaction((tx) => {
          for (let i = 0; i < 2000; i++) tx.kv.put(`key ${i}`, "v".repeat(200));
        }, DEFERRED);
      // What waits for the log takes memory too.
      const freeBytes = async (): Promise<number> => {
        await db.flush();
        return db.stats().memoryFreeBytes;
      };
      fillLarge();
      db.deleteRun(RUN, DEFERRED);
      const free = await freeBytes();
      for (let round = 0; round < 5; round++) {
        fillLarge();
        const snapshot = db.run(RUN).snapshot();
        db.deleteRun(RUN, DEFERRED);
        ok((await freeBytes()) < free, "kept while it is held");
        equal(snapshot.kv.count(), 2000, "held");
        snapshot.dispose();
        ok((await freeBytes()) >= free, "given back");
      }
    }),
  ];
}

function openCases(): Case[] {
  return [
    on("an open transaction goes on reading its instant, and cannot write over the deletion", (db) => {
      fillAll(db, RUN);
      const reading = db.run(RUN).begin(DEFERRED);
      const writing = db.run(RUN).begin(DEFERRED);
      equal(reading.kv.get("key 1"), 1, "before");
      writing.kv.put("blind", 1);
      db.deleteRun(RUN, DEFERRED);
      equal(reading.kv.get("key 2"), 2, "after");
      reading.commit();
      throwsCode("CONFLICT", () => writing.commit());
      deepEqual(leftOf(db, RUN), NOTHING, "what is left");
      equal(db.verify().valid, true, "heap");
    }),
    on("an open transaction cannot write into the run that comes after either", (db) => {
      fillAll(db, RUN);
      const old = db.run(RUN).begin(DEFERRED);
      old.kv.put("key 1", "old");
      db.deleteRun(RUN, DEFERRED);
      fill(db, RUN, [["key 1", "new"]]);
      throwsCode("CONFLICT", () => old.commit());
      deepEqual(db.run(RUN).kv.list(), [["key 1", "new"]], "now");
    }),
    on("a transaction in flight that began before is retried on the new run", async (db) => {
      fillAll(db, RUN);
      let attempts = 0;
      const done = db.run(RUN).transactionAsync(
        async (tx) => {
          attempts++;
          const seen = tx.kv.count();
          await Promise.resolve();
          if (attempts === 1) db.deleteRun(RUN, DEFERRED);
          tx.kv.put("seen", seen);
          return seen;
        },
        { ...DEFERRED, retry: { attempts: 3, baseMs: 0 } },
      );
      equal(await done, 0, "what the last attempt saw");
      equal(attempts, 2, "attempts");
      deepEqual(db.run(RUN).kv.list(), [["seen", 0]], "now");
    }),
    on("deleting a run on which a transaction has only begun leaves that usable", (db) => {
      const tx = db.run(RUN).begin(DEFERRED);
      tx.kv.put("key", 1);
      equal(db.deleteRun(RUN, DEFERRED), false, "nothing was there");
      tx.commit();
      equal(db.run(RUN).kv.get("key"), 1, "committed");
    }),
  ];
}

function durableCases(): Case[] {
  return [
    {
      name: "a deletion lasts as its mode says, and what came after it too",
      needs: ({ persistent }) => persistent,
      async run(context) {
        let db = await context.open();
        fillAll(db, RUN);
        fillAll(db, OTHER);
        const before = leftOf(db, OTHER);
        db.deleteRun(RUN);
        db = await context.reopen();
        deepEqual(leftOf(db, RUN), NOTHING, "deleted");
        fill(db, RUN, [["key", "new"]]);
        db.deleteRun(OTHER);
        fillAll(db, OTHER);
        db = await context.reopen();
        deepEqual(db.run(RUN).kv.list(), [["key", "new"]], "made anew");
        deepEqual(leftOf(db, OTHER).slice(0, 2), before.slice(0, 2), "the other, made anew");
        equal(db.verify().valid, true, "heap");
      },
    },
    {
      name: "a deletion behind commits in flight comes after them",
      needs: ({ persistent, syncFlush }) => persistent && syncFlush,
      async run(context) {
        const db = await context.open();
        fillAll(db, RUN);
        const inFlight = Promise.allSettled(
          [1, 2, 3].map((n) =>
            db.run(RUN).transactionAsync(async (tx) => tx.kv.put(`flight ${n}`, n), { durability: "strict" }),
          ),
        );
        // The bodies are run one after another, and are installed once their microtasks have run.
        for (let turn = 0; turn < 30; turn++) await Promise.resolve();
        equal(db.deleteRun(RUN, { durability: "strict" }), true, "it existed");
        deepEqual(leftOf(db, RUN), NOTHING, "what is left");
        const outcomes = await inFlight;
        ok(
          outcomes.every((outcome) => outcome.status === "fulfilled" || HoldfastError.is(outcome.reason, "CONFLICT")),
          "each was committed before it, or met a conflict",
        );
        deepEqual(leftOf(db, RUN), NOTHING, "what is left after all");
      },
    },
    {
      name: "behind commits in flight that cannot be synced synchronously it is BUSY, and nothing has changed",
      needs: ({ persistent, syncFlush }) => persistent && !syncFlush,
      async run(context) {
        const db = await context.open();
        fillAll(db, RUN);
        const inFlight = db.run(RUN).transactionAsync(async (tx) => tx.kv.put("flight", 1), { durability: "strict" });
        for (let turn = 0; turn < 5; turn++) await Promise.resolve();
        throwsCode("BUSY", () => db.deleteRun(RUN));
        equal(db.run(RUN).kv.count(), 20, "untouched");
        await inFlight;
        equal(db.run(RUN).kv.get("flight"), 1, "committed");
        db.deleteRun(RUN);
        deepEqual(leftOf(db, RUN), NOTHING, "deleted once it could be");
      },
    },
  ];
}

function refusalCases(): Case[] {
  return [
    on("names and options that are none are refused", async (db) => {
      throwsCode("INVALID_KEY", () => db.deleteRun(""));
      throwsCode("INVALID_KEY", () => db.deleteRun(5 as unknown as string));
      throwsCode("INVALID_ARGUMENT", () => db.deleteRun(RUN, { mode: "strict" } as never));
      await db.close();
      throwsCode("CLOSED", () => db.deleteRun(RUN));
    }),
    {
      name: "a mode that the storage cannot keep synchronously is refused",
      needs: ({ syncFlush }) => !syncFlush,
      async run(context) {
        const db = await context.open();
        fillAll(db, RUN);
        throwsCode("SYNC_COMMIT_UNSUPPORTED", () => db.deleteRun(RUN, { durability: "strict" }));
        equal(db.run(RUN).kv.count(), 20, "untouched");
      },
    },
  ];
}
