/**
 * Traces: recorded once, checked field by field, and found by parent, type, tag and time.
 */
import {
  type Database,
  HoldfastError,
  type StepOptions,
  type Trace,
  type TraceEntry,
  type TraceStoreReader,
  type TraceTree,
} from "../../src/index.js";
import { deepEqual, equal, ok, throwsCode } from "./assert.js";
import type { Case } from "./context.js";
import { eachView, HOSTILE_KEYS, hostileObject, nested, onRun, pause, RUN, sampleValues } from "./samples.js";

/** The whole suite. */
export function tracesContract(): Case[] {
  return [
    ...recordCases(),
    ...findCases(),
    ...treeCases(),
    ...timeCases(),
    ...transactionCases(),
    ...snapshotCases(),
    ...refusalCases(),
  ];
}

/** Lets `check` read through every view there is; each must show the same. */
function throughEveryView(db: Database, check: (traces: TraceStoreReader, view: string) => void): void {
  eachView(db, (views, view) => check(views.traces, view));
}

const loose = (value: unknown): never => value as never;
const thought = (content: string): TraceEntry => ({ type: "thought", content });
const ids = (traces: readonly Trace[]): string[] => traces.map(({ id }) => id);

/** One entry of every type, with every field and with as few as can be. */
const ENTRIES: readonly TraceEntry[] = [
  { type: "tool-call", name: "grep", args: { pattern: "TODO" }, result: ["a.ts"], durationMs: 12.5 },
  { type: "tool-call", name: "", args: null },
  { type: "decision", question: "which?", options: ["a", "b"], chosen: "b", reasoning: "shorter" },
  { type: "decision", question: "which?", options: [], chosen: "none" },
  { type: "query", queryType: "vector", query: "leaks", resultsCount: 3 },
  { type: "thought", content: "hm", confidence: 0.7 },
  { type: "thought", content: "" },
  { type: "error", errorType: "Timeout", message: "took too long", recoverable: true },
  { type: "custom", name: "reward", data: { value: -1n } },
];

function recordCases(): Case[] {
  return [
    onRun("where there is nothing, nothing is found", (_run, db) => {
      throughEveryView(db, (traces, view) => {
        equal(traces.get("missing"), undefined, view);
        equal(traces.has("missing"), false, view);
        equal(traces.tree("missing"), undefined, view);
        const empty = [
          traces.children("missing"),
          traces.roots(),
          traces.byType("thought"),
          traces.byTag("missing"),
          traces.byTime(Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY),
          traces.list(),
        ];
        deepEqual(empty, [[], [], [], [], [], []], view);
        equal(traces.count(), 0, view);
      });
      equal(db.stats().runs, 0, "runs after reads");
    }),
    onRun("every type of entry comes back as it was recorded", (run, db) => {
      const before = Date.now();
      const recorded = ENTRIES.map((entry) => run.traces.record(entry));
      const after = Date.now();
      throughEveryView(db, (traces, view) => {
        for (const [i, id] of recorded.entries()) {
          const trace = traces.get(id) as Trace;
          const { timestamp, ...rest } = trace;
          deepEqual(rest, { id, entry: ENTRIES[i], tags: [] }, view);
          ok(before <= timestamp && timestamp <= after, `the time of the record: ${timestamp}`);
          equal(traces.has(id), true, view);
        }
        equal(traces.count(), ENTRIES.length, view);
      });
    }),
    onRun("parent, tags, metadata and id come back as they were given", (run, db) => {
      equal(run.traces.record(thought("root"), { id: "root" }), "root");
      const metadata = { model: "m-1", nested: hostileObject() };
      run.traces.record(thought("child"), { id: "child", parent: "root", tags: ["b", "a", "b"], metadata });
      throughEveryView(db, (traces, view) => {
        const { timestamp: _, ...child } = traces.get("child") as Trace;
        const expected = { id: "child", entry: thought("child"), parent: "root", tags: ["b", "a"], metadata };
        deepEqual(child, expected, view);
        equal("parent" in (traces.get("root") as Trace), false, `${view} parent of a root`);
      });
      const nothing = { parent: undefined, tags: undefined, metadata: undefined, id: undefined };
      const id = run.traces.record({ type: "thought", content: "plain", confidence: undefined }, nothing);
      const { timestamp: _, ...plain } = run.traces.get(id) as Trace;
      deepEqual(plain, { id, entry: thought("plain"), tags: [] });
    }),
    onRun("values in a trace are any, and independent of what was given", (run) => {
      const values = sampleValues().filter(([name]) => name !== "64 levels");
      for (const [name, value] of values) {
        const id = run.traces.record({ type: "tool-call", name, args: value, result: value });
        const entry = run.traces.get(id)?.entry;
        ok(entry?.type === "tool-call", "a tool-call");
        deepEqual([entry.args, entry.result], [value, value], name);
      }
      const args = { list: [1] };
      const id = run.traces.record({ type: "tool-call", name: "a", args });
      args.list.push(2);
      const read = (): typeof args => ((run.traces.get(id) as Trace).entry as { args: unknown }).args as typeof args;
      read().list.push(3);
      deepEqual(read(), { list: [1] });
    }),
    onRun("an id that is made has 20 characters and is above those made before it, in every run", (run, db) => {
      const made: string[] = [];
      for (let i = 0; i < 200; i++) made.push(db.run(`run-${i % 3}`).traces.record(thought(`${i}`)));
      run.transaction((tx) => {
        for (let i = 0; i < 200; i++) made.push(tx.traces.record(thought(`${i}`)));
      });
      deepEqual([...new Set(made)].sort(), made);
      ok(
        made.every((id) => /^[0-9a-z]{20}$/.test(id)),
        `ids of 20 characters: ${made[0]}`,
      );
    }),
    onRun("an id that is there is ALREADY_EXISTS, and nothing has changed", (run) => {
      run.traces.record(thought("first"), { id: "a", tags: ["first"] });
      const error = throwsCode("ALREADY_EXISTS", () =>
        run.traces.record(thought("second"), { id: "a", tags: ["second"] }),
      );
      equal(error.details["id"], "a");
      deepEqual(run.traces.get("a")?.entry, thought("first"));
      deepEqual([run.traces.count(), run.traces.byTag("second").length, run.traces.list().length], [1, 0, 1]);
    }),
    onRun("a parent that is missing is NOT_FOUND, and nothing is recorded", (run, db) => {
      const error = throwsCode("NOT_FOUND", () => run.traces.record(thought("a"), { parent: "missing", tags: ["t"] }));
      equal(error.details["id"], "missing");
      throwsCode("NOT_FOUND", () => run.traces.record(thought("a"), { id: "a", parent: "a" }));
      deepEqual([run.traces.count(), run.traces.byTag("t").length, db.stats().runs], [0, 0, 0]);
    }),
    onRun("each trace counts once among the entries of the run", (run, db) => {
      for (let i = 0; i < 10; i++) run.traces.record(thought("a"), { tags: ["a", "b", "c"] });
      deepEqual([run.count(), db.totalCount(), run.traces.count()], [10, 10, 10]);
    }),
    {
      name: "traces are there again after a close, by every way to find them",
      needs: ({ persistent }) => persistent,
      async run(context) {
        const db = await context.open();
        const root = db.run(RUN).traces.record(thought("root"), { tags: ["t"] });
        db.run(RUN).traces.record(thought("child"), { parent: root });
        const before = db.run(RUN).traces.list();
        const { traces } = (await context.reopen()).run(RUN);
        deepEqual(traces.list(), before);
        deepEqual(
          [traces.tree(root)?.children.length, ids(traces.byTag("t")), ids(traces.roots())],
          [1, [root], [root]],
        );
      },
    },
  ];
}

function findCases(): Case[] {
  return [
    onRun("traces are found by type, and custom ones by their name too", (run, db) => {
      const recorded = ENTRIES.map((entry) => run.traces.record(entry));
      run.traces.record({ type: "custom", name: "a\u0000", data: 1 }, { id: "null" });
      run.traces.record({ type: "custom", name: "a", data: 1 }, { id: "plain" });
      throughEveryView(db, (traces, view) => {
        for (const type of ["tool-call", "decision", "query", "thought", "error"] as const) {
          const expected = recorded.filter((_, i) => ENTRIES[i]?.type === type);
          deepEqual(ids(traces.byType(type)), expected, `${view} ${type}`);
        }
        deepEqual(ids(traces.byType("custom")).length, 3, view);
        deepEqual(ids(traces.byType("custom", { name: "reward" })), recorded.slice(-1), view);
        deepEqual(ids(traces.byType("custom", { name: "a" })), ["plain"], view);
        deepEqual(ids(traces.byType("custom", { name: "a\u0000" })), ["null"], view);
        deepEqual(traces.byType("custom", { name: "none" }), [], view);
      });
    }),
    onRun("traces are found by each of their tags, whatever text these are", (run, db) => {
      const nulls = ["\u0000", "\u0001", "\u0001\u0001", "\u0001\u0002", "a\u0000", "a\u0001", "a\u0001\u0001"];
      const long = ["x".repeat(256), "\u0000".repeat(256), "é".repeat(128)];
      const tags = [...new Set([...HOSTILE_KEYS, ...nulls, ...long])];
      for (const [i, tag] of tags.entries()) run.traces.record(thought(tag), { id: `${i}`, tags: [tag, "all"] });
      throughEveryView(db, (traces, view) => {
        for (const [i, tag] of tags.entries()) {
          deepEqual(ids(traces.byTag(tag)), [`${i}`], `${view} ${JSON.stringify(tag)}`);
        }
        equal(traces.byTag("all").length, tags.length, view);
        deepEqual(traces.byTag("none"), [], view);
      });
    }),
    onRun("ids may be any text of 1 to 256 bytes, and no two are taken for one another", (run, db) => {
      const nulls = ["\u0001", "\u0000\u0000", "\u0001\u0001", "a\u0001", "a\u0001\u0001", "\u0000".repeat(256)];
      const all = [...new Set([...HOSTILE_KEYS, ...nulls, "x".repeat(256), "😀".repeat(64)])];
      for (const id of all) run.traces.record(thought("parent"), { id, tags: ["\u0000".repeat(256)] });
      for (const parent of all) run.traces.record(thought(parent), { parent });
      throughEveryView(db, (traces, view) => {
        for (const id of all) {
          equal(traces.get(id)?.id, id, view);
          deepEqual(
            traces.children(id).map(({ entry }) => entry),
            [thought(id)],
            `${view} ${JSON.stringify(id)}`,
          );
        }
        deepEqual(new Set(ids(traces.roots())), new Set(all), view);
      });
    }),
  ];
}

function treeCases(): Case[] {
  const shape = (tree: TraceTree | undefined): unknown => [tree?.trace.id, ...(tree?.children ?? []).map(shape)];
  return [
    onRun("children, roots and tree show who belongs to whom", (run, db) => {
      const record = (id: string, parent?: string): string => run.traces.record(thought(id), { id, parent });
      record("a");
      record("b");
      record("a1", "a");
      record("a2", "a");
      record("a11", "a1");
      throughEveryView(db, (traces, view) => {
        deepEqual(ids(traces.roots()), ["a", "b"], view);
        deepEqual(ids(traces.children("a")), ["a1", "a2"], view);
        deepEqual(traces.children("b"), [], view);
        deepEqual(shape(traces.tree("a")), ["a", ["a1", ["a11"]], ["a2"]], view);
        deepEqual(shape(traces.tree("a1")), ["a1", ["a11"]], view);
        deepEqual(traces.tree("b"), { trace: traces.get("b"), children: [] }, view);
      });
    }),
    onRun("a tree may be very deep, and very wide", (run) => {
      run.transaction((tx) => {
        let parent = tx.traces.record(thought("top"), { id: "top" });
        for (let i = 0; i < 5000; i++) parent = tx.traces.record(thought("deep"), { parent });
        for (let i = 0; i < 1000; i++) tx.traces.record(thought("wide"), { parent: "top" });
      });
      let depth = 0;
      const top = run.traces.tree("top") as TraceTree;
      for (let node: TraceTree | undefined = top; node !== undefined; node = node.children[0]) depth++;
      deepEqual([depth, top.children.length], [5001, 1001]);
    }),
  ];
}

function timeCases(): Case[] {
  return [
    onRun("everything is listed in the order of time, and of ids within one millisecond", async (run, db) => {
      for (const id of ["c", "a", "b"]) run.traces.record(thought(id), { id, tags: ["t"] });
      await pause(5);
      run.traces.record(thought("later"), { id: "0", tags: ["t"] });
      throughEveryView(db, (traces, view) => {
        const all = traces.list();
        const sorted = [...all].sort((a, b) => a.timestamp - b.timestamp || (a.id < b.id ? -1 : 1));
        deepEqual(ids(all), ids(sorted), view);
        equal(all.at(-1)?.id, "0", view);
        for (const found of [traces.roots(), traces.byType("thought"), traces.byTag("t")]) deepEqual(found, all, view);
        deepEqual(traces.list({ reverse: true }), all.toReversed(), view);
        deepEqual(ids(traces.list({ reverse: true, limit: 1 })), ["0"], view);
        deepEqual(traces.list({ limit: 2 }), all.slice(0, 2), view);
        deepEqual(traces.list({ limit: 0 }), [], view);
      });
    }),
    onRun("byTime is half-open, and takes any times", async (run, db) => {
      const first = run.traces.record(thought("first"));
      await pause(5);
      const second = run.traces.record(thought("second"));
      const [one, two] = [run.traces.get(first)?.timestamp as number, run.traces.get(second)?.timestamp as number];
      throughEveryView(db, (traces, view) => {
        const between = (start: number, end: number): string[] => ids(traces.byTime(start, end));
        deepEqual(between(one, two), [first], view);
        deepEqual(between(one, two + 1), [first, second], view);
        deepEqual(between(one + 0.5, two + 0.5), [second], view);
        deepEqual(between(one + 1, two), [], view);
        deepEqual(between(two, one), [], view);
        deepEqual(between(-1e300, 1e300), [first, second], view);
        deepEqual(between(Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY), [first, second], view);
        deepEqual(between(0, 0), [], view);
        deepEqual(between(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY), [], view);
      });
    }),
  ];
}

function transactionCases(): Case[] {
  return [
    onRun("a transaction sees what it records, and nobody else does before the commit", (run) => {
      run.transaction((tx) => {
        const root = tx.traces.record(thought("root"), { tags: ["t"] });
        const child = tx.traces.record(thought("child"), { parent: root });
        deepEqual(ids(tx.traces.children(root)), [child]);
        equal(tx.traces.tree(root)?.children[0]?.trace.id, child);
        deepEqual([ids(tx.traces.byTag("t")), tx.traces.count()], [[root], 2]);
        deepEqual(ids(tx.traces.list()), [root, child]);
        deepEqual([run.traces.has(root), run.traces.count(), run.traces.list().length], [false, 0, 0]);
      });
      equal(run.traces.count(), 2);
    }),
    onRun("what is rolled back leaves no trace, in no index", (run) => {
      throwsCode("NOT_FOUND", () =>
        run.transaction((tx) => {
          tx.traces.record(thought("lost"), { id: "lost", tags: ["t"] });
          tx.kv.put("lost", 1);
          throw new HoldfastError("NOT_FOUND", "mine");
        }),
      );
      deepEqual([run.traces.has("lost"), run.traces.count(), run.count()], [false, 0, 0]);
      deepEqual(
        [run.traces.list(), run.traces.roots(), run.traces.byTag("t"), run.traces.byType("thought")],
        [[], [], [], []],
      );
      run.traces.record(thought("again"), { id: "lost" });
    }),
    onRun("transactions that only record are never in conflict, nor are those that read another tag", (run) => {
      run.traces.record(thought("root"), { id: "root", tags: ["seen"] });
      const [one, two] = [run.begin(), run.begin()];
      one.traces.record(thought("one"), { parent: "root", tags: ["t"] });
      two.traces.record(thought("two"), { parent: "root", tags: ["t"] });
      equal(two.traces.byTag("seen").length, 1);
      one.commit();
      two.commit();
      deepEqual([run.traces.children("root").length, run.traces.byTag("t").length], [2, 2]);
    }),
    onRun("whoever has listed is in conflict with who records into that list", (run) => {
      run.traces.record(thought("root"), { id: "root" });
      const reads: ((tx: { traces: TraceStoreReader }) => unknown)[] = [
        ({ traces }) => traces.children("root"),
        ({ traces }) => traces.tree("root"),
        ({ traces }) => traces.byType("thought"),
        ({ traces }) => traces.byTag("t"),
        ({ traces }) => traces.list(),
        ({ traces }) => traces.count(),
      ];
      for (const read of reads) {
        const transaction = run.begin();
        read(transaction);
        transaction.kv.put("lost", 1);
        run.traces.record(thought("child"), { parent: "root", tags: ["t"] });
        throwsCode("CONFLICT", () => transaction.commit());
      }
    }),
    onRun("a refusal in a transaction leaves the rest of it whole", (run) => {
      run.transaction((tx) => {
        tx.traces.record(thought("a"), { id: "a" });
        throwsCode("ALREADY_EXISTS", () => tx.traces.record(thought("b"), { id: "a" }));
        throwsCode("NOT_FOUND", () => tx.traces.record(thought("b"), { parent: "b" }));
        throwsCode("INVALID_VALUE", () => tx.traces.record({ type: "custom", name: "c", data: loose(() => 1) }));
        throwsCode("INVALID_ARGUMENT", () => tx.traces.record(thought("b"), { durability: "strict" }));
      });
      deepEqual(ids(run.traces.list()), ["a"]);
    }),
  ];
}

function snapshotCases(): Case[] {
  return [
    onRun("a snapshot holds the traces as they were", (run, db) => {
      run.traces.record(thought("root"), { id: "root", tags: ["t"] });
      const [snapshot, whole] = [run.snapshot(), db.snapshot()];
      run.traces.record(thought("child"), { id: "child", parent: "root", tags: ["t"] });
      for (const { traces } of [snapshot, whole.run(RUN)]) {
        deepEqual(
          [ids(traces.list()), ids(traces.byTag("t")), ids(traces.byType("thought"))],
          [["root"], ["root"], ["root"]],
        );
        deepEqual([traces.tree("root")?.children, traces.has("child"), traces.count()], [[], false, 1]);
        equal("record" in traces, false, "record on a snapshot");
      }
      snapshot.dispose();
      whole.dispose();
      throwsCode("TRANSACTION_CLOSED", () => snapshot.traces.list());
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
    onRun("an entry that is not as its type says is INVALID_ARGUMENT, naming the field", (run) => {
      const bad: [entry: unknown, named: string][] = [
        [undefined, "type"],
        [null, "type"],
        ["thought", "type"],
        [{}, "type"],
        [{ type: "idea", content: "a" }, "idea"],
        [{ type: "__proto__" }, "__proto__"],
        [{ type: "toString" }, "toString"],
        [{ type: "thought" }, "content"],
        [{ type: "thought", content: 1 }, "content"],
        [{ type: "thought", content: "a", confidence: "high" }, "confidence"],
        [{ type: "thought", content: "a", confidence: Number.NaN }, "confidence"],
        [{ type: "thought", content: "a", confidence: null }, "confidence"],
        [{ type: "thought", content: "a", mood: "good" }, "mood"],
        [{ type: "tool-call", name: "a" }, "args"],
        [{ type: "tool-call", args: 1 }, "name"],
        [{ type: "tool-call", name: "a", args: 1, durationMs: "1" }, "durationMs"],
        [{ type: "decision", question: "a", options: "ab", chosen: "a" }, "options"],
        [{ type: "decision", question: "a", options: ["a", 1], chosen: "a" }, "options"],
        [{ type: "decision", question: "a", options: ["a"] }, "chosen"],
        [{ type: "decision", question: "a", options: [], chosen: "a", reasoning: 1 }, "reasoning"],
        [{ type: "query", queryType: "a", query: "b", resultsCount: -1 }, "resultsCount"],
        [{ type: "query", queryType: "a", query: "b", resultsCount: 1.5 }, "resultsCount"],
        [{ type: "query", queryType: "a", resultsCount: 1 }, "query"],
        [{ type: "error", errorType: "a", message: "b" }, "recoverable"],
        [{ type: "error", errorType: "a", message: "b", recoverable: 1 }, "recoverable"],
        [{ type: "custom", name: "a" }, "data"],
        [{ type: "custom", name: 1, data: 1 }, "name"],
      ];
      for (const [entry, named] of bad) {
        const { message } = throwsCode("INVALID_ARGUMENT", () => run.traces.record(loose(entry)));
        ok(message.includes(named), `the message to name ${named}: ${message}`);
      }
      const throwing = Object.defineProperty({ type: "thought" }, "content", {
        enumerable: true,
        get() {
          throw new Error("mine");
        },
      });
      throwsCode("INVALID_ARGUMENT", () => run.traces.record(loose(throwing)));
      equal(run.traces.count(), 0);
    }),
    onRun("an id, a parent, a tag or a custom name that is none is INVALID_KEY", (run) => {
      for (const name of ["", "x".repeat(257), "é".repeat(129), "\uD800", 7, null, {}].map(loose)) {
        const uses: (() => unknown)[] = [
          () => run.traces.record(thought("a"), { id: name }),
          () => run.traces.record(thought("a"), { parent: name }),
          () => run.traces.record(thought("a"), { tags: ["fine", name] }),
          () => run.traces.get(name),
          () => run.traces.has(name),
          () => run.traces.children(name),
          () => run.traces.tree(name),
          () => run.traces.byTag(name),
          () => run.traces.byType("custom", { name }),
        ];
        for (const use of uses) throwsCode("INVALID_KEY", use);
      }
      for (const name of ["", "x".repeat(257), "\uD800"]) {
        throwsCode("INVALID_KEY", () => run.traces.record({ type: "custom", name, data: 1 }));
      }
      equal(run.traces.count(), 0);
    }),
    onRun("what throws when it is looked at gives a typed error", (run) => {
      throwsCode("INVALID_ARGUMENT", () => run.traces.record(revoked({})));
      const decision = { type: "decision", question: "a", chosen: "b" } as const;
      throwsCode("INVALID_ARGUMENT", () => run.traces.record({ ...decision, options: revoked([]) }));
      throwsCode("INVALID_ARGUMENT", () => run.traces.record({ ...decision, options: new Array(2 ** 32 - 1) }));
      throwsCode("INVALID_VALUE", () => run.traces.record({ type: "custom", name: "a", data: revoked({}) }));
      throwsCode("INVALID_ARGUMENT", () => run.traces.record(thought("a"), revoked({})));
      throwsCode("INVALID_ARGUMENT", () => run.traces.record(thought("a"), { tags: revoked([]) }));
      throwsCode("INVALID_ARGUMENT", () => run.traces.record(thought("a"), { tags: new Array(2 ** 32 - 1) }));
      throwsCode("INVALID_VALUE", () => run.traces.record(thought("a"), { metadata: revoked({}) }));
      throwsCode("INVALID_ARGUMENT", () => run.traces.byTime(revoked({}), 1));
      equal(run.traces.count(), 0);
    }),
    onRun("a trace has at most 256 tags", (run) => {
      const tags = Array.from({ length: 257 }, (_, i) => `tag-${i}`);
      throwsCode("INVALID_ARGUMENT", () => run.traces.record(thought("a"), { tags }));
      const id = run.traces.record(thought("a"), { tags: tags.slice(1) });
      deepEqual([run.traces.get(id)?.tags.length, ids(run.traces.byTag("tag-256"))], [256, [id]]);
    }),
    onRun("a value that is none is INVALID_VALUE, with the path to it from the trace", (run, db) => {
      const path = (entry: unknown, metadata?: unknown): unknown =>
        throwsCode("INVALID_VALUE", () => run.traces.record(loose(entry), { metadata: loose(metadata) })).details[
          "path"
        ];
      equal(path({ type: "tool-call", name: "a", args: { b: [() => 1] } }), "$.entry.args.b[0]");
      equal(path(thought("\uD800")), "$.entry.content");
      equal(path(thought("a"), { b: new Date() }), "$.metadata.b");
      ok(
        `${path({ type: "custom", name: "a", data: nested(63) })}`.startsWith("$.entry.data"),
        "the path to lead to data",
      );
      throwsCode("VALUE_TOO_LARGE", () =>
        run.traces.record({ type: "custom", name: "a", data: new Uint8Array(16 * 1024 * 1024) }),
      );
      equal(db.stats().runs, 0, "runs after refusals");
      run.traces.record({ type: "custom", name: "a", data: nested(62) });
    }),
    onRun("options and arguments that are none are INVALID_ARGUMENT", (run) => {
      const options = [
        null,
        1,
        { tag: "a" },
        { tags: "a" },
        { tags: null },
        { metadata: [] },
        { metadata: null },
        { metadata: 1 },
      ];
      for (const bad of [...options, { metadata: new Uint8Array(1) }, { durability: "maybe" }].map(loose)) {
        throwsCode("INVALID_ARGUMENT", () => run.traces.record(thought("a"), bad));
      }
      for (const bad of [null, { limit: -1 }, { reverse: 1 }, { prefix: "a" }].map(loose)) {
        throwsCode("INVALID_ARGUMENT", () => run.traces.list(bad));
      }
      for (const bad of [Number.NaN, "0", null, undefined, 1n].map(loose)) {
        throwsCode("INVALID_ARGUMENT", () => run.traces.byTime(bad, 1));
        throwsCode("INVALID_ARGUMENT", () => run.traces.byTime(0, bad));
      }
      for (const bad of ["idea", "", null, undefined, "constructor"].map(loose)) {
        throwsCode("INVALID_ARGUMENT", () => run.traces.byType(bad));
      }
      throwsCode("INVALID_ARGUMENT", () => run.traces.byType("thought", { name: "a" }));
      equal(run.traces.count(), 0);
      run.traces.record(thought("a"), { durability: "in-memory" });
      equal(run.traces.count(), 1);
    }),
    onRun(
      "the durability of a record is handed on: a storage that cannot keep it refuses, and nothing has changed",
      (run, db, context) => {
        const { capabilities } = context;
        const uses = (options: StepOptions): (() => unknown)[] => [() => run.traces.record(thought("a"), options)];
        const strict = { durability: "strict" } as const;
        const before = db.stats().syncs;
        for (const use of uses(strict)) {
          if (capabilities.syncFlush) use();
          else throwsCode("SYNC_COMMIT_UNSUPPORTED", use);
        }
        if (capabilities.syncFlush) ok(db.stats().syncs > before, "a sync");
        else equal(run.traces.count(), 0);
      },
    ),
    onRun("a closed database keeps its traces to itself", async (run, db) => {
      run.traces.record(thought("a"), { id: "a" });
      await db.close();
      throwsCode("CLOSED", () => run.traces.get("a"));
      throwsCode("CLOSED", () => run.traces.record(thought("b")));
    }),
  ];
}
