/**
 * What the model test does to a database: tagged operations that stay meaningful when others are left out, so that a
 * failing sequence shrinks well. Transactions and snapshots are named by a number that is taken modulo those that are open.
 *
 * A sequence keeps to one primitive or mixes all of them: conflicts need acts that meet.
 */
import fc from "fast-check";
import type { RunInfo, TraceEntry, Value } from "../../src/index.js";
import type { Mode, RangeOptions } from "../support/history.js";
import type {
  Act,
  CellRead,
  CellWrite,
  EventRead,
  EventWrite,
  Expectation,
  KvRead,
  KvWrite,
  ReadAct,
  TraceRead,
  TraceWrite,
  WriteAct,
} from "./acts.js";
import type { IndexQuery, IndexWrite } from "./primitives-oracle.js";

export type Operation =
  | { readonly op: "do"; run: string; act: WriteAct; mode: Mode | undefined }
  | { readonly op: "look"; view: "run" | "transaction" | "snapshot"; run: string; index: number; act: ReadAct }
  | { readonly op: "begin"; run: string; mode: Mode | undefined }
  | { readonly op: "in"; index: number; act: WriteAct }
  | { readonly op: "commit"; index: number }
  | { readonly op: "rollback"; index: number }
  | { readonly op: "callback"; run: string; mode: Mode | undefined; acts: readonly Act[]; fails: boolean }
  | { readonly op: "index"; act: IndexWrite; mode: Mode | undefined }
  | { readonly op: "runs"; view: "run" | "snapshot"; index: number; query: IndexQuery }
  | { readonly op: "deleteRun"; run: string; mode: Mode | undefined; byIndex: boolean }
  | { readonly op: "snapshot"; run: string | undefined }
  | { readonly op: "dispose"; index: number }
  | { readonly op: "flush"; sync: boolean }
  | { readonly op: "tick"; ms: number }
  | { readonly op: "room"; bytes: number }
  | {
      readonly op: "checkpoint";
      run: string;
      acts: readonly WriteAct[];
      mode: Mode | undefined;
      turns: number;
      crash: boolean;
    }
  | { readonly op: "transfer" }
  | { readonly op: "reopen" }
  | { readonly op: "crash"; kind: "kill" | "power" };

export const RUNS = ["a", "run é"] as const;

// In UTF-8 "\uffff" stands before "😀", in UTF-16 behind it.
export const KEYS = ["a", "b", "ab", "a/", "a/1", "a/2", "é", "\uffff", "😀", "z", "z".repeat(1024)] as const;

const BOUNDS = ["", "a", "a/", "ab", "b", "é", "\uffff", "😀", "zz"] as const;
const NAMES = ["a", "b", "a", "b", "a/1", "é", "😀", "z".repeat(1022)] as const;
// U+0000 ends a group of an index, and U+0001 escapes it.
const TYPES = ["tool", "tool", "é", "a\u0000b", "a\u0001"] as const;
const IDS = ["1", "2", "1", "2", "3", "a\u0000b", "é"] as const;
const TAGS = ["x", "y", "a\u0000b"] as const;
const TIMES = [0, 40, 100, 140, 300] as const;

const SCALARS: readonly Value[] = [
  null,
  true,
  false,
  0,
  -0,
  1,
  -1,
  4294967296,
  0.5,
  Number.NaN,
  "",
  "x",
  0n,
  -1n,
  2n ** 63n - 1n,
];

const value: fc.Arbitrary<Value> = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...SCALARS) },
  { weight: 3, arbitrary: fc.integer() },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 400 }).map((length) => "v".repeat(length)) },
  { weight: 1, arbitrary: fc.string({ unit: "grapheme", maxLength: 20 }) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 60 }) },
  { weight: 1, arbitrary: fc.integer({ min: 2000, max: 70_000 }).map((length) => new Uint8Array(length).fill(length)) },
  {
    weight: 1,
    arbitrary: fc.constantFrom<Value>(
      [],
      [1, [2, "three"], { four: 4n }],
      {},
      { nested: { list: [null, -0], bytes: new Uint8Array([1, 2]) } },
      JSON.parse('{"__proto__":1,"constructor":[true]}') as Value,
    ),
  },
);

const run = fc.constantFrom(...RUNS, RUNS[0]);
const key = fc.oneof({ weight: 3, arbitrary: fc.constantFrom("a", "b", "ab", "a/1") }, fc.constantFrom(...KEYS));
const mode = fc.constantFrom<Mode | undefined>(undefined, "in-memory", "buffered", "strict");
const expect = fc.constantFrom<Expectation>("any", "any", "any", "null", "right", "wrong");
const index = fc.nat({ max: 5 });
const limit = fc.constantFrom(undefined, undefined, 0, 1, 2);
const range: fc.Arbitrary<RangeOptions> = fc.record(
  {
    prefix: fc.constantFrom(...BOUNDS),
    start: fc.constantFrom(...BOUNDS),
    end: fc.constantFrom(...BOUNDS),
    reverse: fc.boolean(),
    limit: fc.nat({ max: 4 }),
  },
  { requiredKeys: [] },
);

type Fields<T> = { [K in keyof Omit<T, "do" | "op">]: fc.Arbitrary<Omit<T, "do" | "op">[K]> };

function tagged<T extends Operation["op"]>(op: T, fields: Fields<Extract<Operation, { op: T }>>) {
  return fc.record({ op: fc.constant(op), ...fields }) as unknown as fc.Arbitrary<Operation>;
}

/** Acts of these names, all of the same fields. */
function acts<A extends { readonly do: string }>(names: readonly A["do"][], fields: object): fc.Arbitrary<A> {
  return fc.record({ do: fc.constantFrom(...names), ...fields }) as unknown as fc.Arbitrary<A>;
}

const kvWrite = fc.oneof(
  { weight: 5, arbitrary: acts<KvWrite>(["kv.put"], { key, value, expect }) },
  { weight: 2, arbitrary: acts<KvWrite>(["kv.delete"], { key, expect }) },
);
const kvRead = fc.oneof(
  { weight: 3, arbitrary: acts<KvRead>(["kv.get", "kv.versioned", "kv.has"], { key }) },
  { weight: 1, arbitrary: acts<KvRead>(["kv.many"], { keys: fc.constant(KEYS) }) },
  { weight: 4, arbitrary: acts<KvRead>(["kv.list", "kv.list", "kv.keys", "kv.count"], { range }) },
);
const eventWrite = acts<EventWrite>(["events.append"], { type: fc.constantFrom(...TYPES), payload: value });
const place = fc.nat({ max: 6 });
const eventRead = fc.oneof(
  acts<EventRead>(["events.read"], { sequence: place }),
  acts<EventRead>(["events.range"], { start: place, end: fc.option(place, { nil: undefined }) }),
  acts<EventRead>(["events.byType"], { type: fc.constantFrom(...TYPES), reverse: fc.boolean(), limit }),
  acts<EventRead>(["events.types", "events.length", "events.head", "events.verify"], {}),
);
const name = fc.constantFrom(...NAMES);
const fails = fc.nat({ max: 4 }).map((chance) => chance === 0);
const cellWrite = fc.oneof(
  { weight: 3, arbitrary: acts<CellWrite>(["state.init", "state.set", "state.set"], { name, value }) },
  {
    weight: 2,
    arbitrary: acts<CellWrite>(["state.cas"], {
      name,
      value,
      expect: fc.constantFrom("right", "right", "wrong", "null"),
    }),
  },
  { weight: 2, arbitrary: acts<CellWrite>(["state.transition", "state.transitionOrInit"], { name, value, fails }) },
  { weight: 2, arbitrary: acts<CellWrite>(["state.delete"], { name }) },
);
const cellRead = fc.oneof(
  acts<CellRead>(["state.read", "state.has"], { name }),
  acts<CellRead>(["state.list", "state.keys", "state.count"], { range }),
);
const entry = fc.oneof<fc.Arbitrary<TraceEntry>[]>(
  value.map((args) => ({ type: "tool-call", name: "grep", args })),
  fc.constantFrom("hm", "é").map((content) => ({ type: "thought", content })),
  fc.constant({ type: "decision", question: "which?", options: ["this", "that"], chosen: "this" }),
  fc.constant({ type: "query", queryType: "kv", query: "a", resultsCount: 3 }),
  fc.constant({ type: "error", errorType: "E", message: "no", recoverable: false }),
  fc.tuple(fc.constantFrom(...TYPES), value).map(([name, data]) => ({ type: "custom", name, data })),
);
const id = fc.constantFrom(...IDS);
const traceWrite = acts<TraceWrite>(["traces.record"], {
  entry,
  parent: fc.option(id, { nil: undefined }),
  tags: fc.array(fc.constantFrom(...TAGS), { maxLength: 2 }),
  metadata: fc.option(
    value.map((m) => ({ m })),
    { nil: undefined },
  ),
  id: fc.option(id, { nil: undefined, freq: 1 }),
});
const traceRead = fc.oneof(
  acts<TraceRead>(["traces.get", "traces.has", "traces.children", "traces.tree"], { id }),
  acts<TraceRead>(["traces.roots", "traces.count"], {}),
  acts<TraceRead>(["traces.byType"], {
    type: fc.constantFrom("tool-call", "thought", "custom"),
    name: fc.constant(undefined),
  }),
  acts<TraceRead>(["traces.byType"], { type: fc.constant("custom"), name: fc.constantFrom(...TYPES) }),
  acts<TraceRead>(["traces.byTag"], { tag: fc.constantFrom(...TAGS) }),
  acts<TraceRead>(["traces.byTime"], { start: fc.constantFrom(...TIMES), end: fc.constantFrom(...TIMES) }),
  acts<TraceRead>(["traces.list"], { reverse: fc.boolean(), limit }),
);

const tags = fc.array(fc.constantFrom(...TAGS), { maxLength: 2 });
const indexWrite = fc.oneof(
  {
    weight: 4,
    arbitrary: acts<IndexWrite>(["create"], { run, parent: fc.constantFrom(undefined, ...RUNS), tags, note: value }),
  },
  {
    weight: 4,
    arbitrary: acts<IndexWrite>(["complete", "fail", "pause", "resume", "cancel", "archive"], { run }),
  },
  { weight: 1, arbitrary: acts<IndexWrite>(["addTags", "removeTags"], { run, tags }) },
  { weight: 1, arbitrary: acts<IndexWrite>(["updateMetadata"], { run, note: value }) },
);
const query: fc.Arbitrary<IndexQuery> = fc.record(
  {
    status: fc.constantFrom<RunInfo["status"]>("active", "paused", "failed", "archived"),
    tag: fc.constantFrom(...TAGS),
    parent: fc.constantFrom(...RUNS),
    includeArchived: fc.boolean(),
  },
  { requiredKeys: [] },
);

/** The operations of a sequence whose acts are these; `indexed`: how much it has to do with the index of runs. */
function work(write: fc.Arbitrary<WriteAct>, read: fc.Arbitrary<ReadAct>, indexed: number) {
  const act = fc.oneof<fc.Arbitrary<Act>[]>(write, read);
  const view = fc.constantFrom<"run" | "transaction" | "snapshot">("run", "transaction", "transaction", "snapshot");
  return [
    { weight: 28, arbitrary: tagged("do", { run, act: write, mode }) },
    { weight: 18, arbitrary: tagged("look", { view, run, index, act: read }) },
    { weight: 9, arbitrary: tagged("begin", { run, mode }) },
    { weight: 14, arbitrary: tagged("in", { index, act: write }) },
    { weight: 9, arbitrary: tagged("commit", { index }) },
    { weight: 2, arbitrary: tagged("rollback", { index }) },
    {
      weight: 3,
      arbitrary: tagged("callback", { run, mode, acts: fc.array(act, { maxLength: 6 }), fails: fc.boolean() }),
    },
    { weight: 5, arbitrary: tagged("snapshot", { run: fc.constantFrom(undefined, ...RUNS) }) },
    { weight: 3, arbitrary: tagged("dispose", { index }) },
    { weight: 2, arbitrary: tagged("flush", { sync: fc.boolean() }) },
    { weight: 1 + indexed, arbitrary: tagged("deleteRun", { run, mode, byIndex: fc.boolean() }) },
    { weight: 1 + 8 * indexed, arbitrary: tagged("index", { act: indexWrite, mode }) },
    { weight: 1 + 3 * indexed, arbitrary: tagged("runs", { view: fc.constantFrom("run", "snapshot"), index, query }) },
    { weight: 2, arbitrary: tagged("tick", { ms: fc.constantFrom(40, 100, 250) }) },
    { weight: 1, arbitrary: tagged("transfer", {}) },
  ];
}

const checkpoint = tagged("checkpoint", {
  run,
  acts: fc.array(fc.oneof<fc.Arbitrary<WriteAct>[]>(kvWrite, eventWrite, cellWrite, traceWrite), { maxLength: 4 }),
  mode,
  turns: fc.nat({ max: 6 }),
  crash: fails,
});

const storage: fc.WeightedArbitrary<Operation>[] = [
  { weight: 3, arbitrary: checkpoint },
  { weight: 2, arbitrary: tagged("room", { bytes: fc.constantFrom(0, 100, 250, 1e9, 1e9) }) },
  { weight: 2, arbitrary: tagged("reopen", {}) },
  { weight: 3, arbitrary: tagged("crash", { kind: fc.constantFrom("kill", "power") }) },
];

/** Deferred commits of which three are more than may wait in memory, and a disk without room. */
const bulk: fc.WeightedArbitrary<Operation>[] = [
  {
    weight: 12,
    arbitrary: tagged("do", {
      run,
      act: acts<KvWrite>(["kv.put"], {
        key: fc.constantFrom("b", "ab"),
        value: fc.integer({ min: 400_000, max: 500_000 }).map((length) => new Uint8Array(length)),
        expect: fc.constant("any"),
      }),
      mode: fc.constant("in-memory"),
    }),
  },
  { weight: 4, arbitrary: tagged("room", { bytes: fc.constantFrom(0, 0, 250, 1e9) }) },
  { weight: 4, arbitrary: tagged("do", { run, act: kvWrite, mode }) },
  { weight: 3, arbitrary: tagged("look", { view: fc.constant("run"), run, index, act: kvRead }) },
  { weight: 2, arbitrary: tagged("begin", { run, mode }) },
  { weight: 2, arbitrary: tagged("in", { index, act: kvWrite }) },
  { weight: 2, arbitrary: tagged("commit", { index }) },
  { weight: 1, arbitrary: tagged("deleteRun", { run, mode: fc.constant("in-memory"), byIndex: fc.boolean() }) },
];

const twoKeys = fc.constantFrom("a", "b");
const small = fc.nat({ max: 9 });
const anyVersion = fc.constant("any");
// What is read and then changed by others must mostly stay there, or its coming and going is what conflicts.
const fewWrites = fc.oneof(
  { weight: 6, arbitrary: acts<WriteAct>(["kv.put"], { key: twoKeys, value: small, expect: anyVersion }) },
  {
    weight: 1,
    arbitrary: acts<WriteAct>(["kv.put"], { key: twoKeys, value: small, expect: fc.constantFrom("null", "right") }),
  },
  { weight: 1, arbitrary: acts<WriteAct>(["kv.delete"], { key: twoKeys, expect: anyVersion }) },
  { weight: 2, arbitrary: acts<WriteAct>(["state.set", "state.delete"], { name: twoKeys, value: small }) },
);
const fewReads = fc.oneof<fc.Arbitrary<ReadAct>[]>(
  acts<KvRead>(["kv.list"], { range: fc.constantFrom({}, { prefix: "a" }, { limit: 1 }) }),
  acts<KvRead>(["kv.keys", "kv.count"], { range: fc.constantFrom({}, { prefix: "a" }) }),
  acts<KvRead>(["kv.versioned"], { key: twoKeys }),
  acts<CellRead>(["state.list"], { range: fc.constant({}) }),
);
const here = fc.constant(RUNS[0]);
const oneOfTwo = fc.nat({ max: 1 });
const deferred = fc.constantFrom<Mode | undefined>("in-memory", "in-memory", undefined);
/** Short transactions on two keys of one run, which meet all the time, and snapshots of what they delete. */
const races: fc.WeightedArbitrary<Operation>[] = [
  { weight: 8, arbitrary: tagged("do", { run: here, act: fewWrites, mode: deferred }) },
  { weight: 6, arbitrary: tagged("begin", { run: here, mode: deferred }) },
  {
    weight: 6,
    arbitrary: tagged("look", { view: fc.constant("transaction"), run: here, index: oneOfTwo, act: fewReads }),
  },
  { weight: 6, arbitrary: tagged("in", { index: oneOfTwo, act: fewWrites }) },
  { weight: 6, arbitrary: tagged("commit", { index: oneOfTwo }) },
  { weight: 2, arbitrary: tagged("snapshot", { run: fc.constantFrom(undefined, RUNS[0]) }) },
  { weight: 2, arbitrary: tagged("look", { view: fc.constant("snapshot"), run: here, index, act: fewReads }) },
  { weight: 1, arbitrary: tagged("dispose", { index }) },
  { weight: 1, arbitrary: tagged("deleteRun", { run: here, mode: deferred, byIndex: fc.boolean() }) },
];

const branch = acts<TraceWrite>(["traces.record"], {
  entry,
  parent: fc.constantFrom(undefined, "1", "1"),
  tags,
  metadata: fc.constant(undefined),
  id: fc.constantFrom(undefined, undefined, undefined, "1"),
});
/** Transactions that record under one parent, which do not conflict unless they look. */
const branches: fc.WeightedArbitrary<Operation>[] = [
  { weight: 6, arbitrary: tagged("do", { run: here, act: branch, mode: deferred }) },
  { weight: 5, arbitrary: tagged("begin", { run: here, mode: deferred }) },
  { weight: 6, arbitrary: tagged("in", { index: oneOfTwo, act: branch }) },
  { weight: 1, arbitrary: tagged("look", { view: fc.constant("transaction"), run: here, index, act: traceRead }) },
  { weight: 5, arbitrary: tagged("commit", { index: oneOfTwo }) },
];

/** A disk that is nearly full again and again, and what a crash then finds. */
const tight: fc.WeightedArbitrary<Operation>[] = [
  { weight: 12, arbitrary: tagged("do", { run, act: fewWrites, mode }) },
  { weight: 2, arbitrary: tagged("do", { run, act: eventWrite, mode }) },
  { weight: 3, arbitrary: tagged("begin", { run, mode }) },
  { weight: 4, arbitrary: tagged("in", { index, act: fewWrites }) },
  { weight: 3, arbitrary: tagged("commit", { index }) },
  { weight: 1, arbitrary: tagged("deleteRun", { run, mode, byIndex: fc.boolean() }) },
  { weight: 8, arbitrary: tagged("room", { bytes: fc.constantFrom(0, 20, 60, 130, 1e9, 1e9, 1e9, 1e9) }) },
  { weight: 2, arbitrary: tagged("crash", { kind: fc.constantFrom("kill", "power") }) },
  { weight: 2, arbitrary: checkpoint },
  { weight: 1, arbitrary: tagged("reopen", {}) },
  { weight: 1, arbitrary: tagged("flush", { sync: fc.boolean() }) },
];

const everyWrite = fc.oneof<fc.Arbitrary<WriteAct>[]>(kvWrite, eventWrite, cellWrite, traceWrite);
const everyRead = fc.oneof<fc.Arbitrary<ReadAct>[]>(kvRead, eventRead, cellRead, traceRead);

/** What sequences may be about. */
const SUBJECTS = {
  everything: work(everyWrite, everyRead, 1),
  kv: work(kvWrite, kvRead, 0),
  events: work(eventWrite, eventRead, 0),
  cells: work(cellWrite, cellRead, 0),
  traces: work(traceWrite, traceRead, 0),
  runs: work(fc.oneof<fc.Arbitrary<WriteAct>[]>(kvWrite, cellWrite), everyRead, 2),
} as const;

/** Sequences for a database in memory, or with `persistent` for one with a storage. */
export function sequences(persistent: boolean): fc.Arbitrary<Operation[]> {
  const about = (operations: fc.WeightedArbitrary<Operation>[]): fc.Arbitrary<Operation[]> =>
    fc.array(fc.oneof(...operations), { maxLength: 50, size: "max" });
  const common = persistent ? storage : [];
  const scarce = [
    { weight: 1, arbitrary: about(bulk) },
    { weight: 4, arbitrary: about(tight) },
  ];
  const weights = { everything: 8, kv: 4, events: 3, cells: 3, traces: 3, runs: 3 };
  const kinds = Object.entries(SUBJECTS).map(([subject, operations]) => ({
    weight: weights[subject as keyof typeof weights],
    arbitrary: about([...operations, ...common]),
  }));
  return fc.oneof(
    ...kinds,
    { weight: 6, arbitrary: about(races) },
    { weight: 2, arbitrary: about(branches) },
    ...(persistent ? scarce : []),
  );
}
