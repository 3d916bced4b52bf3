/**
 * The index of runs: entries that come and go with their runs, and statuses that move only as they may.
 */
import type { Database, RunIndex, RunIndexReader, RunInfo, RunStatus, StepOptions } from "../../src/index.js";
import { deepEqual, equal, ok, throwsCode } from "./assert.js";
import type { Case, Context } from "./context.js";
import { byUtf8, HOSTILE_KEYS, hostileObject, nested } from "./samples.js";

/** The whole suite. */
export function runsContract(): Case[] {
  return [
    ...createCases(),
    ...moveCases(),
    ...changeCases(),
    ...listCases(),
    ...deleteCases(),
    ...snapshotCases(),
    ...refusalCases(),
  ];
}

/** A case that works on one database with nothing in it. */
function on(name: string, use: (runs: RunIndex, db: Database, context: Context) => Promise<void> | void): Case {
  return {
    name,
    async run(context) {
      const db = await context.open();
      await use(db.runs, db, context);
    },
  };
}

/** Lets `check` read the index of the database and of a snapshot; both must show the same. */
async function throughEveryView(db: Database, check: (runs: RunIndexReader, view: string) => void): Promise<void> {
  check(db.runs, "database");
  // A snapshot of all runs may precede what is not yet durable.
  await db.flush();
  const snapshot = db.snapshot();
  check(snapshot.runs, "snapshot");
  snapshot.dispose();
}

const loose = (value: unknown): never => value as never;
const names = (infos: readonly RunInfo[]): string[] => infos.map(({ name }) => name);

/** Each way to change a status, by the status that it leads to. */
const MOVES: { readonly [S in RunStatus]: (runs: RunIndex, name: string) => RunInfo } = {
  active: (runs, name) => runs.resume(name),
  paused: (runs, name) => runs.pause(name),
  completed: (runs, name) => runs.complete(name),
  failed: (runs, name) => runs.fail(name, "because"),
  cancelled: (runs, name) => runs.cancel(name),
  archived: (runs, name) => runs.archive(name),
};
const STATUSES = Object.keys(MOVES) as RunStatus[];
const ALLOWED: { readonly [S in RunStatus]: readonly RunStatus[] } = {
  active: ["completed", "failed", "cancelled", "paused", "archived"],
  paused: ["active", "cancelled", "archived"],
  completed: ["archived"],
  failed: ["archived"],
  cancelled: ["archived"],
  archived: [],
};

/** A run of that name at that status. */
function createAt(runs: RunIndex, name: string, status: RunStatus): RunInfo {
  const info = runs.create({ name });
  return status === "active" ? info : MOVES[status](runs, name);
}

function createCases(): Case[] {
  return [
    on("an index of nothing has nothing", async (_runs, db) => {
      await throughEveryView(db, (runs, view) => {
        equal(runs.get("missing"), undefined, view);
        deepEqual(runs.list(), [], view);
        const byStatus = { active: 0, paused: 0, completed: 0, failed: 0, cancelled: 0, archived: 0 };
        deepEqual(runs.stats(), { total: 0, byStatus }, view);
      });
      equal(db.stats().runs, 0, "runs after reads");
    }),
    on("create puts a run into the index, active, with what was given", async (index, db) => {
      const before = Date.now();
      index.create({ name: "root" });
      const metadata = { model: "m-1", nested: hostileObject() };
      const child = index.create({ name: "child", parent: "root", tags: ["b", "a", "b"], metadata });
      const after = Date.now();
      const { createdAt, updatedAt, ...rest } = child;
      deepEqual(rest, { name: "child", status: "active", parent: "root", tags: ["b", "a"], metadata });
      ok(before <= createdAt && createdAt <= after, `createdAt to be the time of the call: ${createdAt}`);
      equal(updatedAt, createdAt);
      await throughEveryView(db, (runs, view) => {
        deepEqual(runs.get("child"), child, view);
        deepEqual(Object.keys(runs.get("root") as RunInfo).sort(), [
          "createdAt",
          "metadata",
          "name",
          "status",
          "tags",
          "updatedAt",
        ]);
        deepEqual([runs.get("root")?.tags, runs.get("root")?.metadata], [[], {}], view);
      });
    }),
    on("a run that is in the index is ALREADY_EXISTS; one that only has data is not", (index, db) => {
      db.run("a").kv.put("data", 1);
      equal(index.get("a"), undefined);
      deepEqual(index.list(), []);
      index.create({ name: "a", tags: ["first"] });
      const error = throwsCode("ALREADY_EXISTS", () => index.create({ name: "a", tags: ["second"] }));
      equal(error.details["name"], "a");
      deepEqual([index.get("a")?.tags, db.run("a").kv.get("data")], [["first"], 1]);
    }),
    on("a parent that is not in the index is NOT_FOUND, and nothing is created", (index, db) => {
      db.run("only data").kv.put("data", 1);
      for (const parent of ["missing", "only data", "a"]) {
        equal(throwsCode("NOT_FOUND", () => index.create({ name: "a", parent })).details["name"], parent);
      }
      deepEqual([index.get("a"), db.stats().runs], [undefined, 1]);
    }),
    on("an entry counts once in its run, and what is returned can be changed without harm", (index, db) => {
      const metadata = { list: [1] };
      const created = index.create({ name: "a", tags: ["t"], metadata });
      deepEqual([db.run("a").count(), db.totalCount(), db.stats().runs], [1, 1, 1]);
      metadata.list.push(2);
      for (const info of [created, index.get("a") as RunInfo]) {
        (info.tags as string[]).push("spoilt");
        (info.metadata as typeof metadata).list.push(3);
      }
      deepEqual([index.get("a")?.tags, index.get("a")?.metadata], [["t"], { list: [1] }]);
    }),
    {
      name: "the index is there again after a close",
      needs: ({ persistent }) => persistent,
      async run(context) {
        const db = await context.open();
        db.runs.create({ name: "a", tags: ["t"] });
        db.runs.create({ name: "b", parent: "a" });
        db.runs.fail("b", "because");
        const before = db.runs.list();
        const again = await context.reopen();
        deepEqual(again.runs.list(), before);
        equal(again.runs.archive("b").error, "because");
      },
    },
  ];
}

function moveCases(): Case[] {
  return [
    on("a status moves where it may and nowhere else", (index) => {
      for (const from of STATUSES) {
        for (const to of STATUSES) {
          const name = `${from} to ${to}`;
          const before = createAt(index, name, from);
          if (ALLOWED[from].includes(to)) {
            const after = MOVES[to](index, name);
            deepEqual([after.status, after.createdAt], [to, before.createdAt], name);
            deepEqual(index.get(name), after, name);
          } else {
            const error = throwsCode("INVALID_TRANSITION", () => MOVES[to](index, name));
            deepEqual([error.details["from"], error.details["to"], error.details["name"]], [from, to, name]);
            deepEqual(index.get(name), before, name);
          }
        }
      }
    }),
    on("an end has a time and a failure an error, which stay when it is archived", (index) => {
      for (const status of ["completed", "failed", "cancelled"] as const) {
        const { completedAt, updatedAt, error } = createAt(index, status, status);
        equal(completedAt, updatedAt, `${status} completedAt`);
        equal(error, status === "failed" ? "because" : undefined, `${status} error`);
        const archived = index.archive(status);
        deepEqual([archived.completedAt, archived.error], [completedAt, error], status);
      }
      equal("completedAt" in createAt(index, "paused", "paused"), false);
      equal("completedAt" in createAt(index, "archived", "archived"), false);
    }),
    on("a run that is not in the index cannot be changed: NOT_FOUND, and none is made", (index, db) => {
      const uses: (() => unknown)[] = [
        ...STATUSES.map((status) => () => MOVES[status](index, "missing")),
        () => index.addTags("missing", ["t"]),
        () => index.removeTags("missing", ["t"]),
        () => index.updateMetadata("missing", {}),
      ];
      for (const use of uses) equal(throwsCode("NOT_FOUND", use).details["name"], "missing");
      equal(db.stats().runs, 0, "runs");
    }),
  ];
}

function changeCases(): Case[] {
  return [
    on("tags are added and taken away, each once and in order", (index) => {
      index.create({ name: "a", tags: ["x"] });
      deepEqual(index.addTags("a", ["z", "y", "x", "z"]).tags, ["x", "z", "y"]);
      deepEqual(index.removeTags("a", ["z", "none"]).tags, ["x", "y"]);
      deepEqual(index.addTags("a", []).tags, ["x", "y"]);
      deepEqual(index.get("a")?.tags, ["x", "y"]);
    }),
    on("metadata is merged property by property, and null is a value", (index) => {
      index.create({ name: "a", metadata: { kept: 1, replaced: { a: 1 }, nulled: 1 } });
      const info = index.updateMetadata("a", { replaced: { b: 2 }, nulled: null, added: [3] });
      deepEqual(info.metadata, { kept: 1, replaced: { b: 2 }, nulled: null, added: [3] });
      deepEqual(index.get("a"), info);
      const hostile = index.updateMetadata("a", hostileObject()).metadata;
      deepEqual(Object.getOwnPropertyDescriptor(hostile, "__proto__")?.value, { polluted: true });
      equal(({} as { polluted?: unknown }).polluted, undefined, "pollution");
    }),
    on("tags and metadata can be changed at any status, and nothing else changes with them", (index) => {
      for (const status of STATUSES) {
        const { updatedAt, ...before } = createAt(index, status, status);
        index.addTags(status, ["t"]);
        const after = index.updateMetadata(status, { a: 1 });
        ok(after.updatedAt >= updatedAt, "updatedAt to move on");
        const { updatedAt: _, ...rest } = after;
        deepEqual(rest, { ...before, tags: ["t"], metadata: { a: 1 } }, status);
      }
    }),
  ];
}

function listCases(): Case[] {
  return [
    on("a list is sorted by name, and has those for which all that was asked holds", async (index, db) => {
      for (const [i, name] of ["c", "\u{10000}", "\uFFFD", "a", "b"].entries()) {
        index.create({ name, tags: i % 2 === 0 ? ["even"] : ["odd"] });
      }
      index.create({ name: "a/1", parent: "a", tags: ["even"] });
      index.complete("b");
      index.archive("c");
      db.run("no entry").kv.put("a", 1);
      await throughEveryView(db, (runs, view) => {
        deepEqual(names(runs.list()), ["a", "a/1", "b", "\uFFFD", "\u{10000}"], view);
        deepEqual(names(runs.list({ includeArchived: true })), ["a", "a/1", "b", "c", "\uFFFD", "\u{10000}"], view);
        deepEqual(names(runs.list({ includeArchived: false, tag: "even" })), ["a/1", "b", "\uFFFD"], view);
        deepEqual(names(runs.list({ tag: "even", includeArchived: true })), ["a/1", "b", "c", "\uFFFD"], view);
        deepEqual(names(runs.list({ status: "archived" })), ["c"], view);
        deepEqual(names(runs.list({ status: "completed" })), ["b"], view);
        deepEqual(names(runs.list({ status: "active", tag: "odd" })), ["a", "\u{10000}"], view);
        deepEqual(names(runs.list({ parent: "a" })), ["a/1"], view);
        deepEqual(names(runs.list({ parent: "missing" })), [], view);
        deepEqual(runs.list({ parent: "a" })[0], runs.get("a/1"), view);
        const byStatus = { active: 4, paused: 0, completed: 1, failed: 0, cancelled: 0, archived: 1 };
        deepEqual(runs.stats(), { total: 6, byStatus }, view);
      });
    }),
    on("ids are those of all runs that exist, in the index or not, sorted, in every view", async (index, db) => {
      deepEqual(index.ids(), []);
      for (const id of HOSTILE_KEYS) db.run(id).kv.put("data", 1);
      index.create({ name: "in the index" });
      db.run("only looked at").kv.get("data");
      db.run("gone").kv.put("data", 1);
      const before = db.snapshot();
      index.delete("gone");
      const there = [...HOSTILE_KEYS, "in the index"].sort(byUtf8);
      await throughEveryView(db, (runs, view) => deepEqual(runs.ids(), there, view));
      deepEqual(before.runs.ids(), [...there, "gone"].sort(byUtf8));
      before.dispose();
    }),
    on("names are run ids: 1 to 256 bytes of any text", (index) => {
      const all = [...HOSTILE_KEYS, "n".repeat(256), "\u0000".repeat(256), "é".repeat(128)];
      for (const name of all) index.create({ name, tags: [name] });
      for (const name of all) deepEqual(names(index.list({ tag: name })), [name]);
      deepEqual(names(index.list()), [...all].sort(byUtf8));
    }),
  ];
}

function deleteCases(): Case[] {
  return [
    on("delete takes the run with everything in it, once", async (index, db) => {
      index.create({ name: "a" });
      index.create({ name: "b", parent: "a" });
      const run = db.run("a");
      run.kv.put("data", 1);
      run.events.append("step", 1);
      equal(index.delete("a"), true);
      equal(index.delete("a"), false, "second delete");
      deepEqual([index.get("a"), run.kv.get("data"), run.events.length, run.count()], [undefined, undefined, 0, 0]);
      await throughEveryView(db, (runs) => deepEqual(names(runs.list()), ["b"]));
      equal(index.get("b")?.parent, "a", "parent that was deleted");
      index.create({ name: "a" });
      deepEqual([index.get("a")?.status, run.kv.count(), run.events.append("step", 1).sequence], ["active", 0, 0]);
    }),
    on("delete takes a run that is not in the index too, and nothing where there is none", (index, db) => {
      db.run("a").kv.put("data", 1);
      equal(index.delete("a"), true);
      deepEqual([db.run("a").kv.get("data"), db.stats().runs], [undefined, 0]);
      equal(index.delete("missing"), false);
    }),
    on("a range of events that was begun before its run was deleted is never mixed with another's", (index, db) => {
      const fill = (payload: string, count: number): void =>
        db.run("a").transaction((tx) => {
          for (let i = 0; i < count; i++) tx.events.append("step", payload);
        });
      fill("old", 600);
      const range = db.run("a").events.range();
      const iterator = range[Symbol.iterator]();
      for (let i = 0; i < 10; i++) equal(iterator.next().value?.payload, "old");
      index.delete("a");
      throwsCode("CONFLICT", () => [...range]);
      fill("new", 700);
      throwsCode("CONFLICT", () => {
        for (let next = iterator.next(); !next.done; next = iterator.next()) equal(next.value.payload, "old");
      });
      throwsCode("CONFLICT", () => [...range]);
      equal([...db.run("a").events.range()].length, 700);
    }),
  ];
}

function snapshotCases(): Case[] {
  return [
    on("a snapshot holds the index as it was", async (index, db) => {
      for (const name of ["a", "b"]) index.create({ name });
      await db.flush();
      const snapshot = db.snapshot();
      index.complete("a");
      index.delete("b");
      index.create({ name: "c" });
      deepEqual(names(snapshot.runs.list()), ["a", "b"]);
      deepEqual(
        [snapshot.runs.get("a")?.status, snapshot.runs.get("c"), snapshot.runs.stats().total],
        ["active", undefined, 2],
      );
      equal("create" in snapshot.runs, false, "create on a snapshot");
      snapshot.dispose();
      throwsCode("TRANSACTION_CLOSED", () => snapshot.runs.list());
    }),
  ];
}

/** An object that throws whatever is done with it. */
function revoked(target: object): never {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy as never;
}

function refusalCases(): Case[] {
  return [
    on("a name, a parent or a tag that is none is INVALID_KEY", (index, db) => {
      index.create({ name: "a" });
      for (const bad of ["", "x".repeat(257), "é".repeat(129), "\uD800", 7, null, {}].map(loose)) {
        const uses: (() => unknown)[] = [
          () => index.create({ name: bad }),
          () => index.create({ name: "b", parent: bad }),
          () => index.create({ name: "b", tags: [bad] }),
          () => index.get(bad),
          () => index.list({ tag: bad }),
          () => index.list({ parent: bad }),
          ...STATUSES.map((status) => () => MOVES[status](index, bad)),
          () => index.addTags(bad, []),
          () => index.addTags("a", [bad]),
          () => index.removeTags(bad, []),
          () => index.removeTags("a", [bad]),
          () => index.updateMetadata(bad, {}),
          () => index.delete(bad),
        ];
        for (const use of uses) throwsCode("INVALID_KEY", use);
      }
      equal(db.stats().runs, 1, "runs");
    }),
    on("arguments that are none are INVALID_ARGUMENT, and change nothing", (index, db) => {
      const before = index.create({ name: "a" });
      const uses: (() => unknown)[] = [
        () => index.create(loose(null)),
        () => index.create(loose("b")),
        () => index.create(loose({ name: "b", status: "active" })),
        () => index.create({ name: "b", tags: loose("t") }),
        () => index.create({ name: "b", tags: loose(null) }),
        () => index.create({ name: "b", metadata: loose([]) }),
        () => index.create({ name: "b", metadata: loose(null) }),
        () => index.create({ name: "b" }, loose({ durable: true })),
        () => index.create({ name: "b" }, { durability: loose("maybe") }),
        () => index.list(loose({ status: "idle" })),
        () => index.list(loose({ status: "toString" })),
        () => index.list(loose({ includeArchived: 1 })),
        () => index.list(loose({ name: "a" })),
        () => index.fail("a", loose(undefined)),
        () => index.fail("a", loose(new Error("an error"))),
        () => index.complete("a", loose(null)),
        () => index.addTags("a", loose(undefined)),
        () => index.removeTags("a", loose("t")),
        () => index.updateMetadata("a", loose(undefined)),
        () => index.updateMetadata("a", loose(new Uint8Array(1))),
        () => index.delete("a", loose({ force: true })),
      ];
      for (const use of uses) throwsCode("INVALID_ARGUMENT", use);
      deepEqual(index.get("a"), before);
      equal(db.stats().runs, 1, "runs");
    }),
    on("what throws when it is looked at gives a typed error", (index, db) => {
      const before = index.create({ name: "a" });
      throwsCode("INVALID_ARGUMENT", () => index.create(revoked({})));
      throwsCode("INVALID_VALUE", () => index.create({ name: "b", metadata: revoked({}) }));
      throwsCode("INVALID_ARGUMENT", () => index.create({ name: "b", tags: revoked([]) }));
      throwsCode("INVALID_ARGUMENT", () => index.addTags("a", new Array(2 ** 32 - 1)));
      throwsCode("INVALID_VALUE", () => index.updateMetadata("a", revoked({})));
      throwsCode("INVALID_ARGUMENT", () => index.fail("a", revoked({})));
      throwsCode("INVALID_ARGUMENT", () => index.complete("a", revoked({})));
      throwsCode("INVALID_ARGUMENT", () => index.list(revoked({})));
      throwsCode("INVALID_KEY", () => index.get(revoked({})));
      deepEqual([index.get("a"), db.stats().runs], [before, 1]);
    }),
    on("values that are none are INVALID_VALUE, with the path to them", (index, db) => {
      const path = (metadata: unknown): unknown =>
        throwsCode("INVALID_VALUE", () => index.create({ name: "a", metadata: loose(metadata) })).details["path"];
      equal(path({ a: [() => 1] }), "$.a[0]");
      throwsCode("VALUE_TOO_LARGE", () =>
        index.create({ name: "a", metadata: { a: new Uint8Array(16 * 1024 * 1024) } }),
      );
      equal(db.stats().runs, 0, "runs after refusals");
      index.create({ name: "a" });
      throwsCode("INVALID_VALUE", () => index.fail("a", "\uD800"));
      throwsCode("INVALID_VALUE", () => index.updateMetadata("a", { a: nested(64) }));
      equal(index.get("a")?.status, "active");
      deepEqual(index.updateMetadata("a", { a: nested(62) }).metadata, { a: nested(62) });
    }),
    on("every write takes a durability", (index) => {
      const deferred = { durability: "in-memory" } as const;
      index.create({ name: "a" }, deferred);
      index.pause("a", deferred);
      index.resume("a", deferred);
      index.addTags("a", ["t"], deferred);
      index.removeTags("a", ["t"], deferred);
      index.updateMetadata("a", { a: 1 }, deferred);
      index.fail("a", "because", deferred);
      equal(index.archive("a", deferred).status, "archived");
      equal(index.delete("a", deferred), true);
    }),
    on(
      "the durability of every write is handed on: a storage that cannot keep it refuses, and nothing has changed",
      (index, db, context) => {
        const { capabilities } = context;
        index.create({ name: "a" });
        const uses = (options: StepOptions): (() => unknown)[] => [
          () => index.create({ name: "b" }, options),
          () => index.pause("a", options),
          () => index.resume("a", options),
          () => index.addTags("a", ["t"], options),
          () => index.removeTags("a", ["t"], options),
          () => index.updateMetadata("a", {}, options),
          () => index.fail("a", "because", options),
          () => index.archive("a", options),
          () => index.delete("a", options),
        ];
        const strict = { durability: "strict" } as const;
        const before = db.stats().syncs;
        for (const use of uses(strict)) {
          if (capabilities.syncFlush) use();
          else throwsCode("SYNC_COMMIT_UNSUPPORTED", use);
        }
        if (capabilities.syncFlush) ok(db.stats().syncs > before, "a sync");
        else deepEqual(names(index.list()), ["a"]);
      },
    ),
    on("a closed database keeps its index to itself", async (index, db) => {
      index.create({ name: "a" });
      await db.close();
      throwsCode("CLOSED", () => index.get("a"));
      throwsCode("CLOSED", () => index.list());
      throwsCode("CLOSED", () => index.create({ name: "b" }));
    }),
  ];
}
