/**
 * The rule of the fast path: a read on the run itself is the same read in a transaction begun at that instant, and on a
 * snapshot taken then.
 *
 * One table has every read of every primitive. Each case is a situation that the whole table is read in, through all three
 * views, without anything in between; snapshots that were held before must go on showing what they showed. A case of its
 * own compares the table with the classes, so that a new read that is not in it fails.
 */
import {
  type Database,
  type DatabaseSnapshot,
  type EventLogReader,
  type GraphEdgeOptions,
  type GraphReader,
  HoldfastError,
  type KVReader,
  type KVStore,
  type ListOptions,
  type Run,
  type RunIndexReader,
  type RunSnapshot,
  type Snapshot,
  type StateCellsReader,
  type TraceStoreReader,
  type TraceType,
  type Transaction,
} from "../../src/index.js";
import { deepEqual, equal, ok, show, throwsCode } from "./assert.js";
import type { Case, Context } from "./context.js";
import { pause, RUN } from "./samples.js";

/** The whole suite. */
export function fastPathContract(): Case[] {
  return [...tableCases(), ...quietCases(), ...concurrentCases(), ...heldCases(), ...inFlightCases(), ...indexCases()];
}

// The table of reads.

/** What a run, a transaction and a snapshot have in common. */
interface View {
  readonly kv: KVReader;
  readonly events: EventLogReader;
  readonly state: StateCellsReader;
  readonly traces: TraceStoreReader;
  readonly graph: GraphReader;
}

/** One entry for every public member of a reader: all that it gives for all that it is asked here. */
type Reads<R> = { readonly [M in keyof R]: (reader: R) => unknown };

/** Names of keys and of cells: what the situations write, and what nobody ever does. */
const NAMES = [
  "steady",
  "changed",
  "again",
  "fresh:0",
  "fresh:1",
  "gone",
  "item:1",
  "item:10",
  "item:é",
  "item:😀",
  "__proto__",
];
const ASKED = [...NAMES, "never", "item:", "\u0000", ""];
const PREFIXES = [undefined, "", "item:", "fresh:", "item:é", "never"];
const RANGES: readonly (ListOptions | undefined)[] = [
  undefined,
  {},
  { prefix: "item:" },
  { prefix: "fresh:", reverse: true },
  { start: "f", end: "item:2" },
  { start: "item:1" },
  { end: "item:10" },
  { end: "" },
  { reverse: true },
  { limit: 0 },
  { limit: 3 },
  { limit: 3, reverse: true },
  { prefix: "item:", start: "item:10", reverse: true, limit: 1 },
  { start: "z", end: "a" },
  { limit: -1 },
];

const EVENT_TYPES = ["plan", "step", "item:é", "never", ""];
const EVENTS_MAX = 24;
const SEQUENCES = [...Array.from({ length: EVENTS_MAX }, (_, i) => i), 1e15, -1];

const TRACES = ["root", "child", "other", "t0", "t1", "t2", "t3", "never", ""];
const TRACE_TYPES: readonly TraceType[] = ["tool-call", "decision", "query", "thought", "error", "custom"];
const TAGS = ["x", "y", "never", ""];

/** What reading gives, or the code of what it throws. */
function outcome(read: () => unknown): unknown {
  try {
    return read();
  } catch (error) {
    if (HoldfastError.is(error)) return { threw: error.code };
    withTraces(TRACE_LENGTH, read);
    throw error;
  }
}

const TRACE_LENGTH = 10;

/**
 * Works with traces of that many calls. The table asks for so much that is refused that to trace each refusal took longer than all
 * reads, and all that is compared of one is its code; what throws anything else is asked again, with a trace.
 */
function withTraces<T>(length: number, work: () => T): T {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = length;
  try {
    return work();
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

/** What reading gives for each argument. */
function each<A>(given: readonly A[], read: (argument: A) => unknown): unknown[] {
  return given.map((argument) => outcome(() => read(argument)));
}

const KV_READS: Reads<KVReader> = {
  get: (kv) => each(ASKED, (key) => kv.get(key)),
  getVersioned: (kv) => each(ASKED, (key) => kv.getVersioned(key)),
  getMany: (kv) => each([NAMES, [], ["steady", "never", "steady"], ASKED], (keys) => kv.getMany(keys)),
  has: (kv) => each(ASKED, (key) => kv.has(key)),
  list: (kv) => each(RANGES, (range) => kv.list(range)),
  keys: (kv) => each(RANGES, (range) => kv.keys(range)),
  count: (kv) => each(PREFIXES, (prefix) => kv.count(prefix)),
};

const EVENT_READS: Reads<EventLogReader> = {
  read: (events) => each(SEQUENCES, (sequence) => events.read(sequence)),
  range: (events) => {
    const spans: [number?, number?][] = [[], [0], [1, 3], [2, EVENTS_MAX * 2], [3, 1], [1e15], [-1]];
    return each(spans, ([start, end]) => [...events.range(start, end)]);
  },
  head: (events) => events.head(),
  length: (events) => events.length,
  readByType: (events) =>
    each(EVENT_TYPES, (type) => [
      events.readByType(type),
      events.readByType(type, { reverse: true }),
      events.readByType(type, { limit: 1 }),
      events.readByType(type, { reverse: true, limit: 2 }),
      events.readByType(type, { limit: 0 }),
    ]),
  types: (events) => events.types(),
  verify: (events) => events.verify(),
};

const STATE_READS: Reads<StateCellsReader> = {
  read: (state) => each(ASKED, (name) => state.read(name)),
  has: (state) => each(ASKED, (name) => state.has(name)),
  list: (state) => each(RANGES, (range) => state.list(range)),
  keys: (state) => each(RANGES, (range) => state.keys(range)),
  count: (state) => each(PREFIXES, (prefix) => state.count(prefix)),
};

const TRACE_READS: Reads<TraceStoreReader> = {
  get: (traces) => each(TRACES, (id) => traces.get(id)),
  has: (traces) => each(TRACES, (id) => traces.has(id)),
  children: (traces) => each(TRACES, (id) => traces.children(id)),
  tree: (traces) => each(TRACES, (id) => traces.tree(id)),
  roots: (traces) => traces.roots(),
  byType: (traces) => [
    each(TRACE_TYPES, (type) => traces.byType(type)),
    each(["mark", "never", ""], (name) => traces.byType("custom", { name })),
  ],
  byTag: (traces) => each(TAGS, (tag) => traces.byTag(tag)),
  byTime: (traces) => {
    const times = [Number.NEGATIVE_INFINITY, 0, 1e12, Number.POSITIVE_INFINITY, Number.NaN];
    return each(times, (start) => each(times, (end) => traces.byTime(start, end)));
  },
  list: (traces) =>
    each([undefined, { reverse: true }, { limit: 2 }, { reverse: true, limit: 1 }], (o) => traces.list(o)),
  count: (traces) => traces.count(),
};

/** Ids as a run gives them at first, behind the first block, and never. */
const IDS = [...Array.from({ length: 16 }, (_, i) => i + 1), 256, 257, 258, 1e9, 0];
/** Of them those whose edges are looked at in every way: which ways there are is compared elsewhere, with a model. */
const NEAR = [1, 6, 1e9, 0];
const PAGES = [undefined, { limit: 2 }, { after: 9, reverse: true }, { limit: -1 }];
const LABELS = ["hub", "round", "never", ""];
const EDGES: readonly (GraphEdgeOptions | undefined)[] = [
  undefined,
  { direction: "in" },
  { direction: "both", types: ["odd", "never"] },
];

const GRAPH_READS: Reads<GraphReader> = {
  getNode: (graph) => each(IDS, (id) => graph.getNode(id)),
  getNodes: (graph) => each([IDS.slice(0, -1), [], [1, 1], IDS], (ids) => graph.getNodes(ids)),
  hasNode: (graph) => each(IDS, (id) => graph.hasNode(id)),
  getEdge: (graph) => each(IDS, (id) => graph.getEdge(id)),
  getEdges: (graph) => each([IDS.slice(0, -1), [], IDS], (ids) => graph.getEdges(ids)),
  nodes: (graph) => each(PAGES, (page) => graph.nodes(page)),
  edges: (graph) => each(PAGES, (page) => graph.edges(page)),
  nodeCount: (graph) => graph.nodeCount(),
  edgeCount: (graph) => graph.edgeCount(),
  nodesByLabel: (graph) => each(LABELS, (label) => each(PAGES, (page) => graph.nodesByLabel(label, page))),
  findNodes: (graph) =>
    each(LABELS, (label) =>
      each(["round", "never"], (property) =>
        each([0, 1, -0, "hub"], (value) => graph.findNodes(label, property, value)),
      ),
    ),
  indexes: (graph) => graph.indexes(),
  eachNeighbor: (graph) => each(NEAR, (id) => each(PAGES, (page) => [...graph.eachNeighbor(id, page)])),
  neighbors: (graph) =>
    each(NEAR, (id) => [
      each(EDGES, (edges) => graph.neighbors(id, edges)),
      each(PAGES, (page) => graph.neighbors(id, page)),
    ]),
  degree: (graph) => each(NEAR, (id) => each(EDGES, (edges) => graph.degree(id, edges))),
  bfs: (graph) =>
    each(NEAR, (id) =>
      each(EDGES, (edges) => [[...graph.bfs(id, edges)], [...graph.bfs(id, { ...edges, depth: 1, limit: 3 })]]),
    ),
  shortestPath: (graph) => each(NEAR, (id) => each(EDGES, (edges) => graph.shortestPath(1, id, edges))),
  verify: (graph) => graph.verify(),
};

const INDEX_NAMES = [RUN, "idle", "ended", "gone", "never", ""];
const INDEX_READS: Reads<RunIndexReader> = {
  get: (runs) => each(INDEX_NAMES, (name) => runs.get(name)),
  list: (runs) => [
    runs.list(),
    runs.list({ includeArchived: true }),
    each(["active", "paused", "completed", "failed", "cancelled", "archived"] as const, (status) =>
      runs.list({ status }),
    ),
    each(TAGS, (tag) => runs.list({ tag })),
    each(INDEX_NAMES, (parent) => runs.list({ parent })),
  ],
  stats: (runs) => runs.stats(),
  ids: (runs) => runs.ids(),
};

const GROUPS = ["kv", "events", "state", "traces", "graph"] as const;

/** Every read of every primitive, by its name. */
const READS: readonly (readonly [name: string, read: (view: View) => unknown])[] = [
  ...named("kv", KV_READS, (view) => view.kv),
  ...named("events", EVENT_READS, (view) => view.events),
  ...named("state", STATE_READS, (view) => view.state),
  ...named("traces", TRACE_READS, (view) => view.traces),
  ...named("graph", GRAPH_READS, (view) => view.graph),
];

function named<R>(group: string, reads: Reads<R>, of: (view: View) => R): [string, (view: View) => unknown][] {
  return Object.entries<(reader: R) => unknown>(reads).map(([name, read]) => [
    `${group}.${name}`,
    (view) => read(of(view)),
  ]);
}

/** What each read of the table gives. */
type Seen = Readonly<Record<string, unknown>>;

function seenOf(view: View): Seen {
  return withTraces(0, () => Object.fromEntries(READS.map(([name, read]) => [name, outcome(() => read(view))])));
}

// The table and the classes.

/** What each primitive has besides reads. A new member is either put here, or into the table above. */
const WRITES: { readonly [G in (typeof GROUPS)[number]]: readonly string[] } = {
  kv: ["put", "delete"],
  events: ["append"],
  state: ["init", "set", "cas", "transition", "transitionOrInit", "delete"],
  traces: ["record"],
  graph: [
    ...["addNode", "updateNode", "patchNode", "deleteNode", "addEdge", "updateEdge", "patchEdge", "deleteEdge"],
    ...["createIndex", "dropIndex", "rebuild"],
  ],
};
const INDEX_WRITES = [
  ...["create", "complete", "fail", "pause", "resume", "cancel", "archive"],
  ...["addTags", "removeTags", "updateMetadata", "delete"],
];

function membersOf(prototype: object): string[] {
  return Object.getOwnPropertyNames(prototype)
    .filter((name) => name !== "constructor")
    .sort();
}

/** Compares the classes behind a primitive with the table: the reads of its reader, and what its writer adds. */
function compareClasses(what: string, reader: object, writer: object, reads: object, writes: readonly string[]): void {
  const readerClass = Object.getPrototypeOf(reader) as object;
  const writerClass = Object.getPrototypeOf(writer) as object;
  deepEqual(membersOf(readerClass), Object.keys(reads).sort(), `the reads of ${what}`);
  deepEqual(membersOf(writerClass), [...writes].sort(), `what ${what} has besides reads`);
  equal(Object.getPrototypeOf(writerClass), readerClass, `what the writer of ${what} extends`);
}

function tableCases(): Case[] {
  return [
    {
      name: "the table has every public member of every reader",
      async run(context) {
        const db = await context.open();
        const run = db.run(RUN);
        using snapshot = run.snapshot();
        using whole = db.snapshot();
        const tables = {
          kv: KV_READS,
          events: EVENT_READS,
          state: STATE_READS,
          traces: TRACE_READS,
          graph: GRAPH_READS,
        };
        deepEqual(membersOf(Object.getPrototypeOf(whole.run(RUN))), [...GROUPS].sort(), "primitives");
        for (const group of GROUPS) {
          compareClasses(group, snapshot[group], run[group], tables[group], WRITES[group]);
          using transaction = run.begin();
          equal(Object.getPrototypeOf(transaction[group]), Object.getPrototypeOf(run[group]), `the class of ${group}`);
        }
        compareClasses("db.runs", whole.runs, db.runs, INDEX_READS, INDEX_WRITES);
      },
    },
    situation("the table can tell: a difference in any read of it is found", (stage) => {
      furnish(stage.run);
      const before = stage.look("at first");
      for (let round = 0; round < 3; round++) stage.run.transaction((tx) => change(tx, round));
      const after = stage.look("in the end");
      // A read that gives the same whatever happens would prove nothing.
      for (const [name] of READS) {
        ok(show(before[name]) !== show(after[name]) || differ(before[name], after[name]), `${name} to have changed`);
      }
    }),
  ];
}

function differ(a: unknown, b: unknown): boolean {
  try {
    deepEqual(a, b);
    return false;
  } catch {
    return true;
  }
}

// What situations are made of.

type Writable = Pick<Run, "kv" | "events" | "state" | "traces" | "graph">;

/** A first state of all primitives, written operation by operation. */
function furnish({ kv, events, state, traces, graph }: Writable): void {
  for (const name of NAMES) {
    if (name.startsWith("fresh:")) continue;
    kv.put(name, { name, value: [1.5, null, 7n] });
    state.init(name, [name]);
  }
  kv.delete("gone");
  state.delete("gone");
  events.append("plan", { steps: 3 });
  events.append("step", 0);
  events.append("plan", null);
  traces.record({ type: "thought", content: "begin" }, { id: "root", tags: ["x"] });
  traces.record({ type: "tool-call", name: "grep", args: [] }, { id: "child", parent: "root", tags: ["y", "x"] });
  traces.record({ type: "custom", name: "mark", data: 1 }, { id: "other", metadata: { by: "test" } });
  const hub = graph.addNode(["hub", "round"], { round: "hub" });
  graph.addEdge(hub, hub, "odd");
}

/** Changes something that each read of the table shows; keys and cells come, go and come back from round to round. */
function change({ kv, events, state, traces, graph }: Writable, round: number): void {
  kv.put("changed", round);
  kv.put(`fresh:${round}`, `round ${round}`);
  state.set("changed", round);
  state.set(`fresh:${round}`, round);
  if (round % 2 === 0) {
    kv.delete("again");
    state.delete("again");
    kv.put("gone", round);
    state.init("gone", round);
  } else {
    kv.put("again", `round ${round}`);
    state.init("again", round);
    kv.delete("gone");
    state.delete("gone");
  }
  events.append("step", round);
  if (round % 2 === 1) events.append("item:é", round);
  // Only as many events as the table reads one by one.
  const parent = round === 0 ? "root" : `t${round - 1}`;
  traces.record({ type: "custom", name: "mark", data: round }, { id: `t${round}`, parent, tags: ["x", "y"] });
  traces.record({ type: "query", queryType: "find", query: "q", resultsCount: round }, { parent: "child" });
  traces.record({ type: "thought", content: `round ${round}` });
  if (round === 0) traces.record({ type: "error", errorType: "E", message: "m", recoverable: true }, { id: "e" });
  changeGraph(graph, round);
}

/** Nodes and edges around the hub come and go; from the second round on there is an index. */
function changeGraph(graph: Writable["graph"], round: number): void {
  const [hub] = graph.nodesByLabel("hub", { limit: 1 });
  if (hub === undefined) return;
  const node = graph.addNode("round", { round });
  graph.addEdge(hub.id, node, round % 2 === 0 ? "even" : "odd", { round });
  graph.addEdge(node, hub.id, "odd");
  graph.patchNode(hub.id, { round });
  if (round === 1) graph.createIndex("round", "round");
  if (round > 1) graph.deleteNode(graph.nodesByLabel("round", { after: hub.id, limit: 1 })[0]?.id ?? hub.id);
}

interface Held {
  readonly what: string;
  readonly snapshot: Snapshot;
  readonly seen: Seen;
}

/** One run that is looked at through all its views. */
class Stage {
  readonly db: Database;
  readonly run: Run;
  readonly context: Context;
  readonly #held: Held[] = [];

  constructor(db: Database, context: Context) {
    this.db = db;
    this.run = db.run(RUN);
    this.context = context;
  }

  /**
   * The whole table through all three views; returns what they all show. Nothing is awaited, so it is one instant, unless another
   * worker publishes what it has made durable: then they are asked once more.
   */
  agree(what: string): Seen {
    for (;;) {
      const { version } = this.run;
      try {
        return this.#agreeNow(what);
      } catch (error) {
        if (!this.context.isWrittenElsewhere || this.run.version === version) throw error;
      }
    }
  }

  #agreeNow(what: string): Seen {
    const { run } = this;
    const fast = seenOf(run);
    using transaction = run.begin();
    compare(seenOf(transaction), fast, `${what}: in a transaction`);
    using snapshot = run.snapshot();
    compare(seenOf(snapshot), fast, `${what}: on a snapshot`);
    return fast;
  }

  /** The same, and what is held shows what it showed. */
  look(what: string): Seen {
    const seen = this.agree(what);
    for (const held of this.#held) compare(seenOf(held.snapshot), held.seen, `${what}: held since ${held.what}`);
    return seen;
  }

  /** Holds a snapshot from here on. */
  hold(what: string): void {
    const snapshot = this.run.snapshot();
    this.#held.push({ what, snapshot, seen: seenOf(snapshot) });
  }

  /** Lets go of one of those that are held. */
  release(index: number): void {
    for (const { snapshot } of this.#held.splice(index, 1)) snapshot.dispose();
  }

  releaseAll(): void {
    while (this.#held.length > 0) this.release(0);
  }
}

/** Compares read by read, so that a failure names one. */
function compare(actual: Seen, expected: Seen, what: string): void {
  for (const [name] of READS) deepEqual(actual[name], expected[name], `${what}, ${name}`);
}

function situation(
  name: string,
  play: (stage: Stage) => Promise<void> | void,
  needs?: NonNullable<Case["needs"]>,
): Case {
  return {
    name,
    ...(needs === undefined ? {} : { needs }),
    async run(context) {
      const stage = new Stage(await context.open(), context);
      await play(stage);
      stage.releaseAll();
      equal(stage.db.verify().valid, true, "verify");
      equal(stage.db.stats().snapshotsHeld, 0, "snapshots held in the end");
    },
  };
}

/** Everything that change and furnish leave of keys and cells, deleted. */
function clear({ kv, state }: Writable): void {
  for (const key of kv.keys()) kv.delete(key);
  for (const name of state.keys()) state.delete(name);
}

// Situations.

function quietCases(): Case[] {
  return [
    situation("where nothing was ever written, and after the first write", (stage) => {
      stage.look("nothing");
      stage.hold("nothing");
      stage.run.kv.put("steady", 1);
      stage.look("one key");
      stage.run.kv.delete("steady");
      stage.look("none again");
    }),
    situation("after every single operation", (stage) => {
      const { kv, events, state, traces } = stage.run;
      const operations: Readonly<Record<string, () => unknown>> = {
        "a put": () => kv.put("steady", 1),
        "a put over it": () => kv.put("steady", "two"),
        "a put of another": () => kv.put("item:1", null),
        "a delete": () => kv.delete("steady"),
        "a delete of nothing": () => kv.delete("steady"),
        "a put of what was deleted": () => kv.put("steady", [3]),
        "an event": () => events.append("plan", 1),
        "another event": () => events.append("step", 2),
        "a cell": () => state.init("steady", 1),
        "a cell set": () => state.set("steady", 2),
        "a cell compared": () => state.cas("steady", 2, 3),
        "a cell moved": () => state.transition("steady", (value) => [[value], undefined]),
        "a cell deleted": () => state.delete("steady"),
        "a cell made again": () => state.transitionOrInit("steady", 0, (value) => [value, undefined]),
        "a trace": () => traces.record({ type: "thought", content: "c" }, { id: "root" }),
        "a trace below it": () =>
          traces.record({ type: "thought", content: "c" }, { id: "child", parent: "root", tags: ["x"] }),
      };
      for (const [what, operation] of Object.entries(operations)) {
        operation();
        stage.look(what);
      }
    }),
    situation("what a transaction shows of its own writes is what all show after its commit", (stage) => {
      const { run } = stage;
      const changes = [furnish, ...[0, 1, 2, 3].map((round) => (tx: Writable) => change(tx, round)), clear];
      for (const [i, make] of changes.entries()) {
        const before = stage.look(`before ${i}`);
        const transaction = run.begin();
        make(transaction);
        const own = seenOf(transaction);
        compare(stage.look(`while ${i} is open`), before, `while ${i} is open`);
        transaction.commit();
        const after = stage.look(`after the commit of ${i}`);
        for (const [name] of READS) {
          // A version is given by the commit.
          if (name !== "kv.getVersioned") deepEqual(own[name], after[name], `in transaction ${i}, ${name}`);
        }
      }
    }),
    situation("with so many entries that tables split, and few of them left", (stage) => {
      const { run } = stage;
      furnish(run);
      const many = 3000;
      run.transaction((tx) => {
        for (let i = 0; i < many; i++) tx.kv.put(`many:${i}`, i);
      });
      stage.look("many");
      stage.hold("many");
      run.transaction((tx) => {
        for (let i = 0; i < many; i++) if (i % 100 !== 0) tx.kv.delete(`many:${i}`);
      });
      stage.look("few");
      stage.release(0);
      stage.look("few, and nobody sees the others any more");
    }),
  ];
}

function concurrentCases(): Case[] {
  return [
    situation("beside writers that have not committed, roll back, commit and conflict", (stage) => {
      const { run } = stage;
      furnish(run);
      const before = stage.look("at first");
      const [rolledBack, winner, loser] = [run.begin(), run.begin(), run.begin()];
      for (const writer of [rolledBack, winner, loser]) {
        seenOf(writer);
        change(writer, 0);
        compare(stage.look("uncommitted writes"), before, "uncommitted writes");
      }
      rolledBack.rollback();
      compare(stage.look("one rolled back"), before, "one rolled back");
      stage.hold("before the commit");
      winner.commit();
      stage.look("one committed");
      const committed = stage.agree("one committed");
      throwsCode("CONFLICT", () => loser.commit());
      compare(stage.look("one in conflict"), committed, "one in conflict");
    }),
    situation("between commits, while readers and writers of every age are open", (stage) => {
      const { run } = stage;
      furnish(run);
      const readers: { readonly transaction: Transaction; readonly seen: Seen }[] = [];
      const writers: Transaction[] = [];
      for (let round = 0; round < 6; round++) {
        const transaction = run.begin();
        readers.push({ transaction, seen: seenOf(transaction) });
        const writer = run.begin();
        clear(writer);
        writers.push(writer);
        run.transaction((tx) => change(tx, round));
        stage.look(`round ${round}`);
        for (const [age, reader] of readers.entries()) {
          compare(seenOf(reader.transaction), reader.seen, `round ${round}: in the transaction of round ${age}`);
        }
      }
      for (const { transaction } of readers) transaction.commit();
      for (const writer of writers) writer.rollback();
      stage.look("all ended");
    }),
    situation("beside asynchronous transactions that wait in the middle", async (stage) => {
      const { run } = stage;
      furnish(run);
      const before = stage.look("at first");
      let go = (): void => {};
      const gate = new Promise<void>((resolve) => {
        go = resolve;
      });
      const waiting = run.transactionAsync(async (tx) => {
        change(tx, 0);
        await gate;
        change(tx, 1);
      });
      await pause(1);
      compare(stage.look("waiting"), before, "waiting");
      go();
      await waiting;
      stage.look("committed");
    }),
  ];
}

function heldCases(): Case[] {
  return [
    situation("with a snapshot of each state held, old and new, let go of in no order", (stage) => {
      const { run } = stage;
      stage.hold("nothing");
      furnish(run);
      const rounds = 8;
      for (let round = 0; round < rounds; round++) {
        stage.hold(`round ${round}`);
        if (round % 2 === 0) run.transaction((tx) => change(tx, round));
        else change(run, round);
        stage.look(`after round ${round}`);
      }
      for (const index of [4, 0, 6, 2, 2, 3, 0, 1, 0]) {
        stage.release(index);
        run.kv.put("changed", index);
        stage.look(`one of them let go of`);
      }
    }),
    situation("over tombstones: all deleted, with and without a snapshot that sees them, and made again", (stage) => {
      const { run } = stage;
      furnish(run);
      stage.hold("all there");
      clear(run);
      stage.look("all deleted, one by one");
      stage.hold("all deleted");
      run.transaction((tx) => change(tx, 0));
      stage.look("some made again");
      run.transaction(clear);
      stage.look("all deleted, in one transaction");
      stage.releaseAll();
      stage.look("nobody sees what was deleted");
      for (let i = 0; i < 20; i++) {
        run.kv.put("again", i);
        run.state.init("again", i);
        if (i % 7 === 0) stage.hold(`time ${i}`);
        run.kv.delete("again");
        run.state.delete("again");
      }
      stage.look("made and deleted again and again");
    }),
    situation("over a run that was deleted as a whole, and another of its name", (stage) => {
      const { db, run } = stage;
      furnish(run);
      stage.hold("the first run");
      const old = run.begin();
      const seen = seenOf(old);
      ok(db.deleteRun(RUN), "the run to be there");
      stage.look("deleted");
      compare(seenOf(old), seen, "a transaction on the first run");
      stage.hold("deleted");
      run.transaction((tx) => {
        furnish(tx);
        change(tx, 0);
      });
      stage.look("made again");
      compare(seenOf(old), seen, "a transaction on the first run, beside the second");
      old.rollback();
      stage.hold("the second run");
      ok(db.deleteRun(RUN), "the second run to be there");
      stage.look("deleted again");
    }),
    situation("what a whole database's snapshot shows of the run is what the run showed", async (stage) => {
      const { db, run } = stage;
      const held: { readonly whole: DatabaseSnapshot; readonly view: RunSnapshot; readonly seen: Seen }[] = [];
      for (let round = -1; round < 4; round++) {
        if (round < 0) furnish(run);
        else run.transaction((tx) => change(tx, round));
        // It may precede what is not yet durable.
        await db.flush();
        const seen = stage.look(`round ${round}`);
        const whole = db.snapshot();
        held.push({ whole, view: whole.run(RUN), seen });
        for (const item of held) {
          compare(seenOf(item.view), item.seen, `round ${round}: as first seen`);
          compare(seenOf(item.whole.run(RUN)), item.seen, `round ${round}: as seen through it now`);
        }
      }
      for (const { whole } of held) whole.dispose();
    }),
  ];
}

// Commits in flight.

const STRICT = { durability: "strict" } as const;
const MARK = "in flight";
/** Microtasks after which a commit must have been installed that nothing keeps waiting. */
const TURNS_MAX = 100;
/** How often the views are compared while a commit is on its way. */
const LOOKS_MAX = 10;

const canBeInFlight: NonNullable<Case["needs"]> = ({ persistent }) => persistent;

/**
 * Makes strict commits in `steps`, each begun where the one before it is installed, and looks at the run while none of
 * them is published: everybody must see what was before. On their way everybody must see the same, and of one commit
 * either nothing or all.
 */
async function fly(stage: Stage, what: string, steps: readonly ((tx: Transaction) => void)[]): Promise<void> {
  const { run } = stage;
  const isElsewhere = stage.context.isWrittenElsewhere === true;
  const before = stage.look(`${what}: before`);
  const versionBefore = run.version;
  let landed = false;
  const flights: Promise<void>[] = [];
  for (const [i, step] of steps.entries()) {
    const marked = (tx: Transaction): void => {
      step(tx);
      if (i === steps.length - 1) tx.kv.put(MARK, what);
    };
    flights.push(run.transactionAsync(marked, STRICT));
    // After this turn it is installed.
    if (i < steps.length - 1) await Promise.resolve();
  }
  const all = Promise.all(flights).finally(() => {
    landed = true;
  });
  const probes = await untilInstalled(run, what);
  ok(!landed && (isElsewhere || run.kv.get(MARK) !== what), `${what} to be in flight while it is looked at`);
  const inFlight = stage.look(`${what}: in flight`);
  // A storage that answers within a turn may have published the first of several, another worker all of them.
  if (run.version === versionBefore) compare(inFlight, before, `${what}: in flight`);
  else ok(isElsewhere || (steps.length > 1 && stage.context.storageKind !== "files"), `nothing of ${what} to be seen`);
  const between: Seen[] = [];
  for (let looks = 0; looks < LOOKS_MAX && !landed; looks++) {
    await (looks % 5 === 4 ? pause(0) : Promise.resolve());
    between.push(stage.agree(`${what}: on its way`));
  }
  await all;
  await Promise.all(probes);
  equal(run.kv.get(MARK), what, "the mark after it resolved");
  const after = stage.look(`${what}: after`);
  if (steps.length > 1) return;
  for (const seen of between) compare(seen, differ(seen, before) ? after : before, `${what}: on its way`);
}

/** Waits until the mark is installed, published or not; returns what is still to be awaited. */
async function untilInstalled(run: Run, mark: string): Promise<Promise<void>[]> {
  const probes: Promise<void>[] = [];
  let installed = false;
  // Asynchronous transactions begin at what is installed: that is how it can be told from outside.
  const probe = (tx: Transaction): void => {
    installed = tx.kv.get(MARK) === mark;
  };
  for (let turn = 0; !installed; turn++) {
    ok(turn < TURNS_MAX, `${mark} to be installed`);
    await Promise.resolve();
    probes.push(run.transactionAsync(probe));
  }
  return probes;
}

function inFlightCases(): Case[] {
  const flying = (name: string, play: (stage: Stage) => Promise<void>): Case => situation(name, play, canBeInFlight);
  return [
    flying("while the first commit of a run is in flight", async (stage) => {
      stage.hold("nothing");
      await fly(stage, "the first commit", [furnish]);
      await fly(stage, "the second commit", [(tx) => change(tx, 0)]);
    }),
    flying("while commits of every kind are in flight, one at a time", async (stage) => {
      furnish(stage.run);
      for (let round = 0; round < 4; round++) {
        stage.hold(`round ${round}`);
        await fly(stage, `round ${round}`, [(tx) => change(tx, round)]);
      }
    }),
    flying("while deletions are in flight, and what makes the same keys again", async (stage) => {
      furnish(stage.run);
      stage.hold("all there");
      await fly(stage, "the deletion of all", [clear]);
      stage.hold("all deleted");
      await fly(stage, "some made again", [(tx) => change(tx, 0)]);
      await fly(stage, "deleted and made again in one", [
        (tx) => {
          clear(tx);
          tx.kv.put("changed", "again");
          tx.state.init("changed", "again");
        },
      ]);
    }),
    flying("while many commits are in flight, each of which has read what those before it wrote", async (stage) => {
      furnish(stage.run);
      stage.hold("before");
      await fly(
        stage,
        "four in a row",
        [0, 1, 2, 3].map((round) => (tx: Transaction): void => {
          seenOf(tx);
          change(tx, round);
        }),
      );
      stage.hold("after");
      await fly(stage, "deleted and made again in flight", [
        clear,
        (tx) => {
          tx.kv.put("steady", "new");
          tx.state.init("steady", "new");
        },
        clear,
        (tx) => void tx.kv.put("again", "newest"),
      ]);
    }),
    flying("of a run that commits while an earlier commit of another run is in flight", async (stage) => {
      const { db, run } = stage;
      furnish(run);
      await db.flush();
      const other = db.run("other");
      const flight = other.transactionAsync((tx) => void tx.kv.put("a", 1), STRICT);
      await Promise.resolve();
      for (let round = 0; round < 3; round++) {
        stage.hold(`round ${round}`);
        run.transaction((tx) => change(tx, round), { durability: "in-memory" });
        stage.look(`round ${round}`);
      }
      if (!stage.context.isWrittenElsewhere) {
        equal(other.kv.get("a"), undefined, "the other run's commit, still in flight");
      }
      await flight;
      stage.look("in the end");
    }),
    flying("while a commit is in flight beside open transactions that began before and after it", async (stage) => {
      const { run } = stage;
      furnish(run);
      const earlier = run.begin();
      const seen = seenOf(earlier);
      change(earlier, 0);
      const flight = run.transactionAsync((tx) => change(tx, 0), STRICT);
      await Promise.resolve();
      const { version } = run;
      const meanwhile = run.begin();
      const seenMeanwhile = seenOf(meanwhile);
      const inFlight = stage.agree("in flight");
      if (run.version === version) compare(seenMeanwhile, inFlight, "a transaction begun meanwhile");
      else ok(stage.context.isWrittenElsewhere === true, "the commit to be in flight");
      await flight;
      compare(seenOf(meanwhile), seenMeanwhile, "a transaction begun meanwhile, after the commit");
      ok(differ(stage.look("after"), seen), "the commit to be seen");
      earlier.rollback();
      meanwhile.rollback();
    }),
  ];
}

// The index of runs, which is read on the database and on snapshots of it.

type SeenIndex = Readonly<Record<string, unknown>>;

function seenOfIndex(runs: RunIndexReader): SeenIndex {
  const reads = Object.entries(INDEX_READS);
  return withTraces(0, () => Object.fromEntries(reads.map(([name, read]) => [name, outcome(() => read(runs))])));
}

function indexCases(): Case[] {
  return [
    {
      name: "the index of runs: read on the database and on a snapshot of it, over everything that changes it",
      async run(context) {
        const db = await context.open();
        const { runs } = db;
        const held: { readonly whole: DatabaseSnapshot; readonly seen: SeenIndex }[] = [];
        const changes: Readonly<Record<string, () => unknown>> = {
          nothing: () => undefined,
          "a run that is not in the index": () => furnish(db.run(RUN)),
          "that run put into it": () => runs.create({ name: RUN, tags: ["x"] }),
          "two more": () => [
            runs.create({ name: "idle", parent: RUN, tags: ["x", "y"] }),
            runs.create({ name: "ended" }),
          ],
          paused: () => runs.pause("idle"),
          "ended and archived": () => [runs.complete("ended"), runs.archive("ended")],
          tags: () => [runs.addTags("idle", ["z"]), runs.removeTags("idle", ["x"])],
          metadata: () => runs.updateMetadata(RUN, { tokens: 1 }),
          "one for a while": () => runs.create({ name: "gone" }),
          deleted: () => runs.delete("gone"),
          "made again": () => runs.create({ name: "gone", metadata: { again: true } }),
          "the first one deleted with what it holds": () => db.deleteRun(RUN),
          "the first one used again without an entry": () => db.run(RUN).kv.put("a", 1),
        };
        for (const [what, make] of Object.entries(changes)) {
          // A writer of an indexed run that has not committed is nothing to the index.
          using open = db.run("idle").begin();
          (open.kv as KVStore).put("uncommitted", what);
          make();
          await db.flush();
          const seen = seenOfIndex(runs);
          const whole = db.snapshot();
          held.push({ whole, seen });
          for (const [age, item] of held.entries()) {
            deepEqual(seenOfIndex(item.whole.runs), item.seen, `${what}: the index held at step ${age}`);
          }
        }
        for (const { whole } of held) whole.dispose();
        equal(db.verify().valid, true, "verify");
      },
    },
  ];
}
