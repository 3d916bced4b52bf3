/**
 * What lasts: modes, flushing, closing, opening again, ownership, and what a failing storage leaves. The reload cases
 * hold over the death of what wrote.
 */
import type { Storage, StorageCapabilities, StorageSession } from "../../src/adapters/storage.js";
import {
  bufferedDefault,
  Database,
  DurabilityMode,
  flushInterval,
  HoldfastError,
  maxPendingWrites,
  type RecoveredInfo,
  requiresImmediateFsync,
  requiresWal,
  type Value,
} from "../../src/index.js";
import { deepEqual, equal, ok, rejectsCode, throwsCode } from "./assert.js";
import type { Case, Context, OpenOptions, ReloadCase } from "./context.js";
import { fill, gateway, pause, RUN, sampleValues } from "./samples.js";

const persistent = (capabilities: StorageCapabilities): boolean => capabilities.persistent;
const volatile = (capabilities: StorageCapabilities): boolean => !capabilities.persistent;
const syncFlush = (capabilities: StorageCapabilities): boolean => capabilities.syncFlush;
const syncAppend = (capabilities: StorageCapabilities): boolean => capabilities.persistent && capabilities.syncAppend;
const asyncOnly = (capabilities: StorageCapabilities): boolean => capabilities.persistent && !capabilities.syncFlush;

/** The whole suite, but for what takes two lives. */
export function durabilityContract(): Case[] {
  return [
    ...modeCases(),
    ...unsupportedCases(),
    ...reopenCases(),
    ...closeCases(),
    ...openingCases(),
    ...ownershipCases(),
    ...readOnlyCases(),
    ...failureCases(),
    ...errorCases(),
  ];
}

const defaultModes: Readonly<Record<string, DurabilityMode>> = {
  memory: { mode: "in-memory" },
  files: { mode: "strict" },
  indexeddb: { mode: "buffered", flushIntervalMs: 100, maxPendingWrites: 1000 },
};

function modeCases(): Case[] {
  return [
    {
      name: "a database opens in the strongest mode that its storage can keep in a synchronous call, and says so",
      async run(context) {
        const db = await context.open();
        // Where a worker waits for another one that writes, it can do what the storage cannot.
        const waits = context.capabilities.syncFlush && context.storageKind === "indexeddb";
        const expected = waits ? undefined : defaultModes[context.storageKind];
        if (expected !== undefined) deepEqual(db.durability, expected);
        else equal(db.durability.mode, context.capabilities.syncFlush ? "strict" : "buffered");
      },
    },
    {
      name: "every mode can be asked for by name or as an object, and says what it has become",
      needs: persistent,
      async run(context) {
        const asked: [OpenOptions["durability"], DurabilityMode][] = [
          ["strict", { mode: "strict" }],
          ["buffered", bufferedDefault()],
          [
            { mode: "buffered", flushIntervalMs: 7 },
            { mode: "buffered", flushIntervalMs: 7, maxPendingWrites: 1000 },
          ],
          [
            { mode: "buffered", maxPendingWrites: 3 },
            { mode: "buffered", flushIntervalMs: 100, maxPendingWrites: 3 },
          ],
          [DurabilityMode.inMemory(), { mode: "in-memory" }],
        ];
        for (const [durability, expected] of asked) {
          const db = await context.open({ durability });
          deepEqual(db.durability, expected);
          await db.close();
        }
      },
    },
    {
      name: "the mode helpers say what each mode needs",
      run() {
        const modes = [DurabilityMode.inMemory(), DurabilityMode.buffered(), DurabilityMode.strict()];
        deepEqual(modes.map(requiresWal), [false, true, true]);
        deepEqual(modes.map(requiresImmediateFsync), [false, false, true]);
        deepEqual(
          modes.map((mode) => flushInterval(mode) ?? null),
          [null, 100, null],
        );
        deepEqual(
          modes.map((mode) => maxPendingWrites(mode) ?? null),
          [null, 1000, null],
        );
        deepEqual(DurabilityMode.default(), { mode: "strict" });
      },
    },
    {
      name: "any mode over any mode: single writes and transactions, all of them there after opening again",
      needs: syncFlush,
      async run(context) {
        const modes = ["in-memory", "buffered", "strict"] as const;
        let count = 0;
        for (const durability of modes) {
          const db = await context.open({ durability });
          const run = db.run(RUN);
          for (const over of modes) {
            run.kv.put(`put ${durability} ${over}`, 1, { durability: over });
            run.transaction((tx) => tx.kv.put(`transaction ${durability} ${over}`, 1), { durability: over });
            const transaction = run.begin({ durability: over });
            transaction.kv.put(`begin ${durability} ${over}`, 1);
            transaction.commit();
            await run.transactionAsync((tx) => tx.kv.put(`async ${durability} ${over}`, 1), { durability: over });
            run.kv.put("gone", 1, { durability: over });
            equal(run.kv.delete("gone", { durability: over }), true);
            count += 4;
            equal(run.kv.count(), count, `keys after ${over} over ${durability}`);
          }
          await db.close();
        }
        const db = await context.open();
        equal(db.run(RUN).kv.count(), count);
        equal(db.verify().valid, true, "verify");
      },
    },
    {
      name: "buffered writes are synced in the background: after the interval, or after that many writes",
      needs: syncAppend,
      async run(context) {
        const db = await context.open({ durability: { mode: "buffered", flushIntervalMs: 5, maxPendingWrites: 1000 } });
        db.run(RUN).kv.put("a", 1);
        await until(() => db.stats().syncs > 0, "a sync after the interval");
        await db.close();
        const many = await context.open({
          durability: { mode: "buffered", flushIntervalMs: 1_000_000, maxPendingWrites: 3 },
        });
        const before = many.stats().syncs;
        many.run(RUN).kv.put("a", 2);
        many.run(RUN).kv.put("b", 2);
        await pause(10);
        equal(many.stats().syncs, before, "syncs after two of three writes");
        many.run(RUN).kv.put("c", 2);
        await until(() => many.stats().syncs > before, "a sync after three writes");
      },
    },
    {
      name: "in memory nothing is flushed, and flush and flushSync are fine with that",
      needs: volatile,
      async run(context) {
        const db = await context.open();
        db.run(RUN).kv.put("a", 1);
        await db.flush();
        db.flushSync();
        deepEqual([db.stats().syncs, db.stats().logBytes], [0, 0], "syncs and bytes of log");
      },
    },
    {
      name: "strict transactions in flight share their syncs",
      needs: persistent,
      async run(context) {
        const db = await context.open();
        await db.run(RUN).transactionAsync((tx) => tx.kv.put("first", 1), { durability: "strict" });
        const before = db.stats().syncs;
        await Promise.all(
          Array.from({ length: 64 }, (_, i) =>
            db.run(`run-${i % 8}`).transactionAsync((tx) => tx.kv.put(`key-${i}`, i), { durability: "strict" }),
          ),
        );
        equal(db.totalCount(), 65);
        const syncs = db.stats().syncs - before;
        ok(syncs >= 1 && syncs <= 16, `at most 16 syncs for 64 transactions, got ${syncs}`);
      },
    },
  ];
}

async function until(condition: () => boolean, what: string): Promise<void> {
  for (let i = 0; i < 400; i++) {
    if (condition()) return;
    await pause(5);
  }
  ok(false, what);
}

function unsupportedCases(): Case[] {
  return [
    {
      name: "strict where the storage cannot sync synchronously is refused, never weakened, and nothing has changed",
      needs: asyncOnly,
      async run(context) {
        const db = await context.open();
        const run = db.run(RUN);
        let ran = false;
        const strict = { durability: "strict" } as const;
        const refused: (() => unknown)[] = [
          () => run.kv.put("a", 1, strict),
          () => run.kv.put("a", 1, { durability: { mode: "strict" } }),
          () => run.kv.delete("a", strict),
          () => run.begin(strict),
          () =>
            run.transaction(() => {
              ran = true;
            }, strict),
        ];
        for (const call of refused) {
          const { message } = throwsCode("SYNC_COMMIT_UNSUPPORTED", call);
          ok(message.includes("transactionAsync"), `the message to name transactionAsync: ${message}`);
        }
        throwsCode("SYNC_COMMIT_UNSUPPORTED", () => db.flushSync());
        equal(ran, false, "whether the callback ran");
        equal(db.totalCount(), 0);
      },
    },
    {
      name: "transactionAsync is strict where the storage works asynchronously, alone and as the database's mode",
      needs: asyncOnly,
      async run(context) {
        const db = await context.open();
        const before = db.stats().syncs;
        await db.run(RUN).transactionAsync((tx) => tx.kv.put("a", 1), { durability: "strict" });
        ok(db.stats().syncs > before, "a sync");
        const strict = await context.reopen({ durability: "strict" });
        deepEqual(strict.durability, { mode: "strict" });
        throwsCode("SYNC_COMMIT_UNSUPPORTED", () => strict.run(RUN).kv.put("b", 2));
        await strict.run(RUN).transactionAsync((tx) => tx.kv.put("b", 2));
        deepEqual(strict.run(RUN).kv.keys(), ["a", "b"]);
      },
    },
    {
      name: "in memory there is no durable write, and no durable mode",
      needs: volatile,
      async run(context) {
        const db = await context.open();
        const run = db.run(RUN);
        for (const durability of ["buffered", "strict"] as const) {
          throwsCode("SYNC_COMMIT_UNSUPPORTED", () => run.kv.put("a", 1, { durability }));
          throwsCode("SYNC_COMMIT_UNSUPPORTED", () => run.begin({ durability }));
          await rejectsCode("SYNC_COMMIT_UNSUPPORTED", () => run.transactionAsync(() => {}, { durability }));
          await rejectsCode("INVALID_ARGUMENT", () => context.open({ durability }));
        }
        equal(run.kv.has("a"), false);
        run.kv.put("a", 1, { durability: "in-memory" });
        equal(run.kv.get("a"), 1);
      },
    },
  ];
}

/** Everything in a database that opening again must bring back. */
function contents(db: Database, runs: readonly string[]): unknown {
  return runs.map((id) =>
    db
      .run(id)
      .kv.keys()
      .map((key) => [key, db.run(id).kv.getVersioned(key) as { value: Value; version: number }]),
  );
}

function reopenCases(): Case[] {
  return [
    {
      name: "opening again finds every value of every run, with its version, and goes on from there",
      needs: persistent,
      async run(context) {
        const db = await context.open();
        const runs = [RUN, "other", "__proto__", "r".repeat(256)];
        fill(db, RUN, sampleValues());
        for (const [i, id] of runs.entries()) {
          fill(
            db,
            id,
            Array.from({ length: 50 }, (_, j) => [`key-${j}`, { i, j }]),
          );
          for (let j = 0; j < 50; j += 3) db.run(id).kv.delete(`key-${j}`, { durability: "in-memory" });
          db.run(id).kv.put("again", i, { durability: "in-memory" });
          db.run(id).kv.put("again", -i, { durability: "in-memory" });
        }
        const before = contents(db, runs);
        const [entries, version] = [db.totalCount(), db.run(runs.at(-1) as string).version];
        for (let times = 0; times < 3; times++) {
          const again = await context.reopen();
          deepEqual(contents(again, runs), before, `contents, opened again ${times + 1} times`);
          equal(again.totalCount(), entries, "entries");
          // Versions may leap over those that an owner without a trace in the log could have given.
          ok(again.version >= version, `db.version to be at least ${version}, got ${again.version}`);
          equal(again.verify().valid, true, "verify");
        }
        const last = await context.reopen();
        ok(last.run("new").kv.put("a", 1) > version, "versions to go on growing");
      },
    },
    {
      name: "opening again after each mode finds what it wrote",
      needs: persistent,
      async run(context) {
        const modes = context.capabilities.syncFlush
          ? (["in-memory", "buffered", "strict"] as const)
          : (["in-memory", "buffered"] as const);
        for (const durability of modes) {
          const db = await context.open({ durability });
          for (let i = 0; i < 20; i++) db.run(RUN).kv.put(`${durability} ${i}`, i);
          await db.close();
          const again = await context.open();
          equal(again.run(RUN).kv.count(durability), 20, durability);
          await again.close();
        }
      },
    },
    {
      name: "a transaction that was rolled back, and one still open, are not there after opening again",
      needs: persistent,
      async run(context) {
        const db = await context.open();
        db.run(RUN).kv.put("kept", 1);
        const rolledBack = db.run(RUN).begin();
        rolledBack.kv.put("lost", 1);
        rolledBack.rollback();
        db.run(RUN).begin().kv.put("open", 1);
        const again = await context.reopen();
        deepEqual(again.run(RUN).kv.keys(), ["kept"]);
      },
    },
    {
      name: "values of 3 MiB and a transaction of 12 MiB are there after opening again",
      needs: persistent,
      async run(context) {
        const db = await context.open({ durability: "buffered" });
        const part = (i: number): Uint8Array => new Uint8Array(3 * 1024 * 1024).fill(i + 1);
        fill(
          db,
          RUN,
          Array.from({ length: 4 }, (_, i) => [`part-${i}`, part(i)]),
        );
        const again = await context.reopen();
        for (let i = 0; i < 4; i++) deepEqual(again.run(RUN).kv.get(`part-${i}`), part(i), `part ${i}`);
      },
    },
    {
      name: "nothing is kept in memory",
      needs: volatile,
      async run(context) {
        const db = await context.open();
        db.run(RUN).kv.put("a", 1);
        const again = await context.reopen();
        equal(again.run(RUN).kv.get("a"), undefined);
        equal(again.storageInfo.fresh, true);
      },
    },
    {
      name: "storageInfo says where it is kept and how it was found",
      async run(context) {
        const db = await context.open();
        const { kind, mechanism } = context.capabilities;
        deepEqual([db.storageInfo.kind, db.storageInfo.mechanism, db.storageInfo.fresh], [kind, mechanism, true]);
        equal(db.storageInfo.recovered, undefined, "recovered, of a fresh one");
        db.run(RUN).kv.put("a", 1);
        const again = await context.reopen();
        equal(again.storageInfo.fresh, !context.capabilities.persistent, "fresh, the second time");
        equal(again.storageInfo.recovered, undefined, "recovered, after a clean close");
      },
    },
  ];
}

function closeCases(): Case[] {
  return [
    {
      name: "close refuses everything from then on, and can be repeated",
      async run(context) {
        const db = await context.open();
        const run = db.run(RUN);
        run.kv.put("a", 1);
        equal(db.isOpen, true);
        const closing = db.close();
        equal(db.isOpen, false, "isOpen while closing");
        await closing;
        await db.close();
        await db[Symbol.asyncDispose]();
        const refused: (() => unknown)[] = [
          () => db.run("b"),
          () => db.snapshot(),
          () => db.totalCount(),
          () => db.stats(),
          () => db.verify(),
          () => db.version,
          () => db.flushSync(),
          () => run.version,
          () => run.count(),
          () => run.snapshot(),
          () => run.begin(),
          () => run.transaction(() => 1),
          () => run.kv.get("a"),
          () => run.kv.getVersioned("a"),
          () => run.kv.getMany(["a"]),
          () => run.kv.has("a"),
          () => run.kv.list(),
          () => run.kv.keys(),
          () => run.kv.count(),
          () => run.kv.put("a", 2),
          () => run.kv.delete("a"),
        ];
        for (const call of refused) throwsCode("CLOSED", call);
        await rejectsCode("CLOSED", () => db.flush());
        await rejectsCode("CLOSED", () => run.transactionAsync(() => 1));
        ok(db.storageInfo.kind !== "" && db.durability.mode !== undefined, "what it was, still to be told");
      },
    },
    {
      name: "leaving the scope of a database closes it, with what was written in it",
      async run(context) {
        const db = await context.open();
        db.run(RUN).kv.put("a", 1);
        await db[Symbol.asyncDispose]();
        equal(db.isOpen, false);
        if (!context.capabilities.persistent) return;
        const again = await context.open();
        equal(again.run(RUN).kv.get("a"), 1);
      },
    },
    {
      name: "close waits for what is in flight, and what it waited for is there after opening again",
      needs: persistent,
      async run(context) {
        const db = await context.open();
        const gate = gateway();
        const writes = Array.from({ length: 10 }, (_, i) =>
          db.run(RUN).transactionAsync(
            async (tx) => {
              await gate.passed;
              tx.kv.put(`key-${i}`, i);
            },
            { durability: "strict" },
          ),
        );
        const flushed = db.flush();
        const closing = db.close();
        gate.open();
        await Promise.all([...writes, flushed, closing]);
        const again = await context.open();
        equal(again.run(RUN).kv.count(), 10);
      },
    },
    {
      name: "flush makes everything so far durable, also what was deferred, and again is nothing",
      needs: persistent,
      async run(context) {
        const db = await context.open();
        db.run(RUN).kv.put("a", 1, { durability: "in-memory" });
        equal(db.run(RUN).kv.get("a"), 1);
        await Promise.all([db.flush(), db.flush()]);
        const { syncs } = db.stats();
        ok(syncs > 0, "a sync");
        await db.flush();
        ok(db.stats().syncs <= syncs + 1, "hardly a sync where there is nothing new");
        if (context.capabilities.syncFlush) db.flushSync();
      },
    },
  ];
}

function openingCases(): Case[] {
  return [
    {
      name: "a path alone opens the platform's own storage, in its strongest synchronous mode",
      needs: persistent,
      async run(context) {
        if (context.path === undefined) return;
        const db = await Database.open(context.path);
        try {
          equal(db.storageInfo.kind, context.storageKind);
          // The one that is opened by its path in a worker, where it works synchronously.
          const ofOpfs: DurabilityMode = { mode: "strict" };
          deepEqual(db.durability, context.storageKind === "opfs" ? ofOpfs : defaultModes[context.storageKind]);
          db.run(RUN).kv.put("a", 1);
        } finally {
          await db.close();
        }
        const again = await context.open();
        equal(again.run(RUN).kv.get("a"), 1, "found by the adapter at the same place");
      },
    },
    {
      name: "the builder opens what its options say, and is not changed by them",
      async run(context) {
        const bare = Database.builder();
        const builder = context.wasm === undefined ? bare : bare.wasm(context.wasm);
        const kept = context.capabilities.persistent;
        const made = builder.storage(context.storage());
        const attempts: [Promise<Database>, string][] = [
          [builder.inMemory().open(), "in-memory"],
          [builder.durability("in-memory").open(), "in-memory"],
        ];
        for (const [opening, mode] of attempts) {
          const db = await opening;
          equal(db.durability.mode, mode);
          await db.close();
        }
        if (kept) {
          for (const [opening, mode] of [
            [() => made.buffered().open(), "buffered"],
            [() => made.strict().open(), "strict"],
            [() => made.durability({ mode: "buffered", flushIntervalMs: 9 }).open(), "buffered"],
          ] as const) {
            const db = await opening();
            deepEqual([db.durability.mode, db.storageInfo.kind], [mode, context.storageKind]);
            await db.close();
          }
        }
        if (kept && context.path !== undefined) {
          const db = await builder.path(context.path).buffered().open();
          equal(db.storageInfo.kind, context.storageKind);
          await db.close();
        }
        await rejectsCode("INVALID_ARGUMENT", () => builder.open());
      },
    },
    {
      name: "openTemp opens in a place of its own, which is gone after closing",
      async run(context) {
        if (context.path === undefined) return;
        const [one, two] = [await Database.builder().openTemp(), await Database.builder().buffered().openTemp()];
        one.run(RUN).kv.put("a", 1);
        two.run(RUN).kv.put("a", 2);
        deepEqual([one.storageInfo.kind, two.durability.mode], [context.storageKind, "buffered"]);
        deepEqual([one.run(RUN).kv.get("a"), two.run(RUN).kv.get("a")], [1, 2]);
        await Promise.all([one.close(), two.close()]);
      },
    },
    {
      name: "the core can be given as bytes, as a module and as a URL",
      async run(context) {
        if (context.runtime !== "browser") return;
        const url = new URL("../../src/single.wasm", import.meta.url);
        if (url.protocol === "file:") return;
        const bytes = await (await fetch(url)).arrayBuffer().catch(() => undefined);
        if (bytes === undefined || !WebAssembly.validate(bytes)) return;
        for (const wasm of [bytes, new Uint8Array(bytes), await WebAssembly.compile(bytes), url, url.href]) {
          const db = await context.open({ wasm, shared: false });
          equal(db.verify().valid, true);
          await db.close();
        }
      },
    },
    {
      name: "a page that is not isolated is refused shared memory, and told which headers it takes",
      async run(context) {
        if ((globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated !== false) return;
        const error = await rejectsCode("SHARED_MEMORY_UNAVAILABLE", () => context.open({ shared: true }));
        for (const header of ["Cross-Origin-Opener-Policy", "Cross-Origin-Embedder-Policy"]) {
          ok(error.message.includes(header), `the message to name ${header}`);
        }
        equal((await context.open({ shared: false })).storageInfo.fresh, true, "opens without");
      },
    },
    {
      name: "what keeps opening from beginning is refused before anything is made",
      async run(context) {
        await rejectsCode("TIMEOUT", () => context.open({ signal: AbortSignal.abort(new Error("no")) }));
        await rejectsCode("INVALID_ARGUMENT", () => context.open({ maxBytes: 1000 }));
        await rejectsCode("INVALID_ARGUMENT", () => context.open({ wasm: new Uint8Array(8) }));
        const db = await context.open();
        equal(db.storageInfo.fresh, true);
      },
    },
    {
      name: "maxBytes is kept: a write beyond it is STORE_FULL, changes nothing, and room that is freed is used again",
      async run(context) {
        const db = await context.open({ maxBytes: 4 * 1024 * 1024, durability: "in-memory" });
        const { kv } = db.run(RUN);
        let count = 0;
        const error = throwsCode("STORE_FULL", () => {
          for (; count < 1000; count++) kv.put(`key-${count}`, "x".repeat(100_000));
        });
        ok(count > 5, `some to fit, got ${count}`);
        ok(error.message.includes("maxBytes"), "the message to name maxBytes");
        equal(kv.count(), count);
        equal(kv.has(`key-${count}`), false);
        equal(db.verify().valid, true, "verify");
        await db.flush();
        for (let i = 0; i < count; i += 1) kv.delete(`key-${i}`);
        await db.flush();
        kv.put("again", "x".repeat(100_000));
        equal(db.verify().valid, true, "verify");
      },
    },
  ];
}

function ownershipCases(): Case[] {
  return [
    {
      name: "a second open of the same place is LOCKED with details, and the first goes on",
      needs: persistent,
      async run(context) {
        const db = await context.open();
        db.run(RUN).kv.put("a", 1);
        const error = await rejectsCode("LOCKED", () => context.open());
        ok(Object.keys(error.details).length > 0, "details of the owner");
        if (context.path !== undefined) {
          const { path } = context;
          await rejectsCode("LOCKED", () => Database.open(path));
        }
        db.run(RUN).kv.put("b", 2);
        await db.close();
        const next = await context.open();
        deepEqual(next.run(RUN).kv.keys(), ["a", "b"]);
      },
    },
    {
      name: "of many that open at once one gets it, and nobody after it is closed",
      needs: persistent,
      async run(context) {
        const attempts = await Promise.allSettled(Array.from({ length: 5 }, () => context.open()));
        const opened = attempts.flatMap((attempt) => (attempt.status === "fulfilled" ? [attempt.value] : []));
        equal(opened.length, 1, "how many opened");
        for (const attempt of attempts) {
          if (attempt.status === "rejected") equal(HoldfastError.is(attempt.reason, "LOCKED"), true, "the refusal");
        }
        await opened[0]?.close();
        await (await context.open()).close();
      },
    },
    {
      name: "an owner whose lock is taken is told, and does nothing more",
      needs: persistent,
      async run(context) {
        const { locks } = navigatorOf();
        if (context.runtime !== "browser" || context.path === undefined || locks === undefined) return;
        const db = await context.open();
        const told: unknown[] = [];
        db.on("locked-out", (reason) => told.push(reason));
        db.run(RUN).kv.put("a", 1);
        await db.flush();
        const prefix = context.storageKind === "opfs" ? "holdfast-opfs:" : "holdfast:";
        await locks.request(prefix + context.path, { steal: true }, () => {});
        await until(() => told.length > 0, "to be told");
        equal(typeof told[0], "string");
        equal(db.isOpen, false, "isOpen");
        throwsCode("CLOSED", () => db.run(RUN));
        await db.close();
        const next = await context.open();
        equal(next.run(RUN).kv.get("a"), 1);
      },
    },
  ];
}

function navigatorOf(): { readonly locks?: LockManager } {
  return (globalThis as { navigator?: { readonly locks?: LockManager } }).navigator ?? {};
}

function readOnlyCases(): Case[] {
  return [
    {
      name: "a read-only database stands beside its owner, shows what was flushed, and writes nothing",
      needs: persistent,
      async run(context) {
        const owner = await context.open();
        owner.run(RUN).kv.put("a", 1);
        await owner.flush();
        const db = await context.open({ readOnly: true });
        const run = db.run(RUN);
        equal(run.kv.get("a"), 1);
        deepEqual(run.kv.list(), [["a", 1]]);
        throwsCode("READ_ONLY", () => run.kv.put("b", 2));
        throwsCode("READ_ONLY", () => run.kv.delete("a"));
        deepEqual([db.totalCount(), db.stats().runs, db.verify().valid], [1, 1, true], "what it counts");
        await db.close();
        owner.run(RUN).kv.put("b", 2);
        equal(owner.verify().valid, true);
      },
    },
    {
      name: "transactions of a read-only database read, and say READ_ONLY where they write",
      needs: persistent,
      async run(context) {
        await (await context.open()).run(RUN).transactionAsync((tx) => tx.kv.put("a", 1), { durability: "strict" });
        const run = (await context.open({ readOnly: true })).run(RUN);
        equal(
          run.transaction((tx) => tx.kv.get("a")),
          1,
          "a transaction that only reads",
        );
        const begun = run.begin();
        equal(begun.kv.get("a"), 1);
        begun.commit();
        throwsCode("READ_ONLY", () => run.transaction((tx) => tx.kv.put("b", 2)));
        throwsCode("READ_ONLY", () => run.transaction((tx) => tx.kv.delete("a")));
        await rejectsCode("READ_ONLY", () => run.transactionAsync((tx) => tx.kv.put("b", 2)));
      },
    },
    {
      name: "a read-only database where there is none says so, and makes nothing",
      needs: persistent,
      async run(context) {
        await rejectsCode("NOT_FOUND", () => context.open({ readOnly: true }));
        equal((await context.open()).storageInfo.fresh, true);
      },
    },
  ];
}

/** A storage whose next call of one method fails as told; everything else is passed on. */
function failing(inner: Storage, method: "flush" | "append", error: HoldfastError): Storage & { arm(): void } {
  let armed = false;
  const wrap = (session: StorageSession): StorageSession =>
    new Proxy(session, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== "function") return value;
        return (...args: unknown[]) => {
          // What does both at once fails with either.
          const isMeant = typeof name === "string" && (name.startsWith(method) || name === "appendDurably");
          if (!armed || !isMeant) return Reflect.apply(value, target, args);
          armed = false;
          if (String(name).endsWith("Sync")) throw error;
          return Promise.reject(error);
        };
      },
    });
  return {
    capabilities: inner.capabilities,
    open: async (options) => wrap(await inner.open(options)),
    arm: () => {
      armed = true;
    },
  };
}

const diskError = (): HoldfastError => new HoldfastError("STORE_FAILED", "simulated EIO");

async function commitThatFails(db: Database): Promise<void> {
  const run = db.run(RUN);
  await rejectsCode("COMMIT_INDETERMINATE", () =>
    run.transactionAsync((tx) => tx.kv.put("in flight", 1), { durability: "strict" }),
  );
}

function failureCases(): Case[] {
  return [
    {
      name: "a failed sync is final: in flight is indeterminate, later writes fail, listeners are told, reads go on",
      needs: persistent,
      async run(context) {
        const storage = failing(context.storage(), "flush", diskError());
        const db = await Database.open({ storage, wasm: context.wasm });
        try {
          const told: HoldfastError[] = [];
          db.on("error", (error) => told.push(error));
          db.run(RUN).kv.put("a", 1);
          await db.flush();
          storage.arm();
          await commitThatFails(db);
          equal(told.length, 1, "how often it was told");
          equal(told[0]?.code, "STORE_FAILED");
          throwsCode("STORE_FAILED", () => db.run(RUN).kv.put("b", 1));
          throwsCode("STORE_FAILED", () => db.run(RUN).kv.delete("a"));
          await rejectsCode("STORE_FAILED", () => db.run(RUN).transactionAsync((tx) => tx.kv.put("b", 1)));
          deepEqual(db.run(RUN).kv.list(), [["a", 1]]);
          equal(db.verify().valid, true, "verify");
        } finally {
          await db.close().catch(() => {});
        }
        const again = await context.open();
        equal(again.run(RUN).kv.get("a"), 1);
      },
    },
    {
      name: "a listener that throws changes nothing of what the commit says, nor of the other listeners",
      needs: persistent,
      async run(context) {
        const storage = failing(context.storage(), "flush", diskError());
        const db = await Database.open({ storage, wasm: context.wasm });
        try {
          let told = 0;
          db.on("error", () => {
            throw new Error("a listener's own");
          });
          db.on("error", () => {
            told++;
          });
          db.run(RUN).kv.put("a", 1);
          await db.flush();
          storage.arm();
          if (storage.capabilities.syncFlush) {
            throwsCode("COMMIT_INDETERMINATE", () => db.run(RUN).kv.put("in flight", 1));
          } else {
            await commitThatFails(db);
          }
          equal(told, 1, "how often the second was told");
        } finally {
          await db.close().catch(() => {});
        }
      },
    },
    {
      name: "the listener of an event is called until it is taken off",
      needs: persistent,
      async run(context) {
        const storage = failing(context.storage(), "flush", diskError());
        const db = await Database.open({ storage, wasm: context.wasm });
        try {
          let told = 0;
          const off = db.on("error", () => {
            told++;
          });
          off();
          off();
          storage.arm();
          await commitThatFails(db);
          equal(told, 0);
        } finally {
          await db.close().catch(() => {});
        }
      },
    },
  ];
}

function errorCases(): Case[] {
  return [
    {
      name: "an error is an Error, carries its code, and is known by HoldfastError.is across copies of the package",
      async run(context) {
        const db = await context.open();
        const error = throwsCode("INVALID_KEY", () => db.run(RUN).kv.get(""));
        ok(error instanceof Error && error instanceof HoldfastError, "an Error of the class");
        deepEqual([error.name, error.code], ["HoldfastError", "INVALID_KEY"]);
        equal(HoldfastError.is(error), true);
        equal(HoldfastError.is(error, "INVALID_KEY"), true);
        equal(HoldfastError.is(error, "CLOSED"), false);
        for (const other of [new Error("INVALID_KEY"), { code: "INVALID_KEY" }, "INVALID_KEY", null, undefined]) {
          equal(HoldfastError.is(other), false);
        }
        const copy = { [Symbol.for("holdfast.error")]: true, code: "CONFLICT" };
        equal(HoldfastError.is(copy, "CONFLICT"), true, "one of another copy");
      },
    },
    {
      name: "an unknown event is refused, and known ones can be listened to and left",
      async run(context) {
        const db = await context.open();
        throwsCode("INVALID_ARGUMENT", () => db.on("closed" as "error", () => {}));
        for (const event of ["error", "locked-out", "recovered"] as const) db.on(event, () => {})();
      },
    },
  ];
}

/** What must hold over a reload of the page, a new browser, or a SIGKILL of the process. */
export function durabilityReloadCases(): ReloadCase[] {
  return [...flushedCases(), ...killedCases(), ...manyRunsCases()];
}

/** The state after a death: not fresh, and reported as recovered unless nothing had to be. */
async function openedAgain(context: Context): Promise<Database> {
  const db = await context.open();
  equal(db.storageInfo.fresh, false, "fresh");
  const recovered = db.storageInfo.recovered as RecoveredInfo | undefined;
  ok(recovered !== undefined, "to be told of a recovery");
  ok(recovered.commits > 0 && recovered.reason !== "", "commits and a reason");
  const told = new Promise<RecoveredInfo>((resolve) => db.on("recovered", resolve));
  deepEqual(await told, recovered, "what a listener is told");
  equal(db.verify().valid, true, "verify");
  return db;
}

function numbered(db: Database): number[] {
  return db
    .run(RUN)
    .kv.list({ prefix: "key-" })
    .map(([, value]) => value as number)
    .sort((a, b) => a - b);
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

function flushedCases(): ReloadCase[] {
  return [
    {
      name: "what was written buffered and flushed is there, every kind of value of it",
      async before(context) {
        const db = await context.open({ durability: "buffered" });
        for (const [name, value] of sampleValues()) db.run(RUN).kv.put(name, value);
        await db.flush();
      },
      async after(context) {
        const db = await openedAgain(context);
        for (const [name, value] of sampleValues()) deepEqual(db.run(RUN).kv.get(name), value, name);
        equal(db.run(RUN).kv.count(), sampleValues().length);
      },
    },
    {
      name: "strict asynchronous transactions that were awaited are there, the open one is not",
      async before(context) {
        const db = await context.open();
        const strict = { durability: "strict" } as const;
        for (let i = 0; i < 5; i++) await db.run(RUN).transactionAsync((tx) => tx.kv.put(`key-${i}`, i), strict);
        await Promise.all(
          upTo(45).map((i) => db.run(RUN).transactionAsync((tx) => tx.kv.put(`key-${i + 5}`, i + 5), strict)),
        );
        db.run(RUN).begin().kv.put("open", 1);
      },
      async after(context) {
        const db = await openedAgain(context);
        deepEqual(numbered(db), upTo(50));
        equal(db.run(RUN).kv.has("open"), false);
      },
    },
    {
      name: "what was deferred goes out ahead of the flush",
      async before(context) {
        const db = await context.open();
        for (let i = 0; i < 30; i++) db.run(RUN).kv.put(`key-${i}`, i, { durability: "in-memory" });
        await db.flush();
      },
      async after(context) {
        deepEqual(numbered(await openedAgain(context)), upTo(30));
      },
    },
  ];
}

function killedCases(): ReloadCase[] {
  return [
    {
      name: "what was written strictly in a synchronous call is there, with everything deferred before it",
      needs: syncFlush,
      async before(context) {
        const db = await context.open();
        for (let i = 0; i < 20; i++) {
          db.run(RUN).kv.put(`key-${i}`, i, { durability: i % 2 === 0 ? "in-memory" : "strict" });
        }
        db.run(RUN).kv.put("gone", 1);
        db.run(RUN).kv.delete("gone");
      },
      async after(context) {
        const db = await openedAgain(context);
        deepEqual(numbered(db), upTo(20));
        equal(db.run(RUN).kv.has("gone"), false);
      },
    },
    {
      name: "what was written buffered is there without a flush where it was handed to the system",
      needs: syncAppend,
      async before(context) {
        const db = await context.open({
          durability: { mode: "buffered", flushIntervalMs: 1_000_000, maxPendingWrites: 1_000_000 },
        });
        for (let i = 0; i < 500; i++) db.run(RUN).kv.put(`key-${i}`, i);
      },
      async after(context) {
        deepEqual(numbered(await openedAgain(context)), upTo(500));
      },
    },
    {
      name: "what was queued and not flushed is there up to some commit, without a gap",
      needs: asyncOnly,
      async before(context) {
        const db = await context.open();
        for (let i = 0; i < 10; i++) db.run(RUN).kv.put(`key-${i}`, i);
        await db.flush();
        for (let i = 10; i < 500; i++) db.run(RUN).transaction((tx) => both(tx.kv, i));
      },
      async after(context) {
        const db = await openedAgain(context);
        const found = numbered(db);
        ok(found.length >= 10, `at least the ten that were flushed, got ${found.length}`);
        deepEqual(found, upTo(found.length));
        equal(db.run(RUN).kv.count("twin-"), found.length - 10, "twins of the same transactions");
      },
    },
  ];
}

function both(kv: { put(key: string, value: Value): number }, i: number): void {
  kv.put(`key-${i}`, i);
  kv.put(`twin-${i}`, i);
}

function manyRunsCases(): ReloadCase[] {
  const runs = upTo(20).map((i) => `run-${i}`);
  return [
    {
      name: "the data of many runs is there, each as its last commit left it, and goes on from there",
      async before(context) {
        const db = await context.open();
        for (const [i, id] of runs.entries()) {
          fill(
            db,
            id,
            upTo(i + 1).map((j) => [`key-${j}`, { i, j }]),
          );
          if (i % 2 === 0) db.run(id).kv.delete("key-0", { durability: "in-memory" });
          db.run(id).kv.put("last", i, { durability: "in-memory" });
        }
        db.run("versions").kv.put("last of all", db.run(runs.at(-1) as string).version);
        await db.flush();
      },
      async after(context) {
        const db = await openedAgain(context);
        for (const [i, id] of runs.entries()) {
          const { kv } = db.run(id);
          const expected = upTo(i + 1).filter((j) => i % 2 !== 0 || j !== 0);
          equal(kv.count("key-"), expected.length, `keys of ${id}`);
          for (const j of expected) deepEqual(kv.get(`key-${j}`), { i, j }, `${id} key-${j}`);
          equal(kv.get("last"), i, id);
        }
        equal(db.stats().runs, runs.length + 1, "runs");
        equal(db.run("run-19").version, db.run("versions").kv.get("last of all"), "version of the last run");
        ok(db.run("run-0").kv.put("new", 1) > db.run("versions").version, "versions to go on growing");
        const again = await context.reopen();
        equal(again.run("run-0").kv.get("new"), 1, "after a clean close");
        equal(again.storageInfo.recovered, undefined, "recovered, after a clean close");
      },
    },
  ];
}
