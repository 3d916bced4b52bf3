/**
 * Something of every method there is, step by step, for suites that let the core fail in the middle of it.
 *
 * Nothing in it is random, so that what a step does is the same in every run: what the database shows before and after each
 * step is known from a run in which nothing fails.
 */
import type { Environment } from "../../src/host/environment.js";
import type { Database, DatabaseSnapshot, Run, Snapshot, Transaction, Value } from "../../src/index.js";

/** Handles that steps leave for later ones. */
export interface Bag {
  snapshot?: Snapshot | undefined;
  whole?: DatabaseSnapshot | undefined;
  transaction?: Transaction | undefined;
}

/** One step: a call, or calls that belong together. */
export interface Step {
  readonly name: string;
  run(db: Database, bag: Bag): unknown;
  /** Whether it commits more than once, so that a part of it can be refused. */
  readonly several?: boolean;
}

const WALL_MS = 1_700_000_000_000;
const RUNS = ["a", "b", "many", "large", "g"];
const DEFERRED = { durability: "in-memory" } as const;
const MANY = 400;

/** Time that stands still, and randomness that is the same for every caller; only what gives others their turn is run. */
export const STILL: Environment = {
  monotonicMs: () => 0,
  wallMs: () => WALL_MS,
  randomBytes: (bytes) => {
    for (let i = 0; i < bytes.length; i++) bytes[i] = (i * 37 + 11) & 0xff;
  },
  schedule: (delayMs, task) => {
    if (delayMs === 0) queueMicrotask(task);
    return () => {};
  },
};

function text(length: number): string {
  return "v".repeat(length);
}

function step(name: string, run: Step["run"]): Step {
  return { name, run };
}

/** Key-values, alone and in transactions. */
const keyValues: readonly Step[] = [
  step("put of a new key in a new run", (db) => db.run("a").kv.put("k", 1)),
  step("put over a value", (db) => db.run("a").kv.put("k", text(100))),
  step("put if absent", (db) => db.run("a").kv.put("k2", { deep: [1, "two"] }, { ifVersion: null })),
  step("deferred put", (db) => db.run("a").kv.put("deferred", text(30), DEFERRED)),
  step("large put", (db) => db.run("large").kv.put("l", text(70_000))),
  step("larger put over it", (db) => db.run("large").kv.put("l", text(150_000))),
  step("delete", (db) => db.run("a").kv.delete("k2")),
  step("delete of nothing", (db) => db.run("a").kv.delete("never")),
  step("get", (db) => db.run("a").kv.get("k")),
  step("getVersioned", (db) => db.run("a").kv.getVersioned("k")),
  step("getMany", (db) => db.run("a").kv.getMany(["k", "k2", "none"])),
  step("has", (db) => db.run("a").kv.has("k")),
  step("transaction of many puts", (db) =>
    db.run("many").transaction((tx) => {
      for (let i = 0; i < MANY; i++) tx.kv.put(`key ${String(i).padStart(8, "0")}`, i);
    }),
  ),
  step("list", (db) => db.run("many").kv.list().length),
  step("list of a range", (db) => db.run("many").kv.list({ prefix: "key 000001", reverse: true, limit: 50 }).length),
  step("keys", (db) => db.run("many").kv.keys().length),
  step("count", (db) => db.run("many").kv.count("key 000002")),
  step("transaction that lists, deletes and puts", (db) =>
    db.run("many").transaction((tx) => {
      for (const [key, value] of tx.kv.list({ limit: 60 })) {
        if ((value as number) % 2 === 0) tx.kv.delete(key);
        else tx.kv.put(key, text(40));
      }
      return tx.kv.count();
    }),
  ),
  step("transaction with a large value", (db) =>
    db.run("large").transaction((tx) => {
      tx.kv.put("m", text(90_000));
      return tx.kv.get("m");
    }),
  ),
  step("transaction that is rolled back", (db) => {
    const transaction = db.run("many").begin();
    for (let i = 0; i < 100; i++) transaction.kv.put(`rolled back ${i}`, text(200));
    transaction.kv.keys();
    transaction.rollback();
  }),
];

/** The other primitives. */
const primitives: readonly Step[] = [
  step("event append", (db) => db.run("b").events.append("tick", { n: 1 }).sequence),
  step("event append with a larger payload", (db) => db.run("b").events.append("tock", text(3000)).sequence),
  step("event reads", (db) => {
    const { events } = db.run("b");
    return [[...events.range(0, 9)].length, events.read(0)?.type, events.types(), events.readByType("tick").length];
  }),
  step("event verify", (db) => db.run("b").events.verify()),
  step("state init", (db) => db.run("b").state.init("cell", 1)),
  step("state set", (db) => db.run("b").state.set("cell", text(50))),
  step("state cas", (db) => db.run("b").state.cas("cell", 2, 3)),
  step("state transition", (db) => db.run("b").state.transition("cell", (now) => [(now as number) + 1, now as Value])),
  step("state delete", (db) => db.run("b").state.delete("cell")),
  step("state transitionOrInit", (db) => db.run("b").state.transitionOrInit("cell", 7, (now) => [now, now])),
  step("state list", (db) => db.run("b").state.list()),
  step("trace record", (db) =>
    db.run("b").traces.record({ type: "thought", content: "hm" }, { id: "t1", tags: ["x", "y"] }),
  ),
  step("trace record below it", (db) =>
    db.run("b").traces.record({ type: "custom", name: "c", data: text(500) }, { id: "t2", parent: "t1" }),
  ),
  step("trace reads", (db) => {
    const { traces } = db.run("b");
    return [traces.tree("t1"), traces.byTag("x").length, traces.byType("custom").length, traces.list().length];
  }),
  step("run create", (db) => db.runs.create({ name: "b", tags: ["demo"] })),
  step("run pause", (db) => db.runs.pause("b")),
  step("run index reads", (db) => [db.runs.get("b"), db.runs.list().length, db.runs.stats()]),
];

/** The node of a name. Which id it has depends on how often one was taken in vain. */
function named(views: Views, name: string): number {
  return views.graph.findNodes("n", "name", name)[0]?.id ?? 1;
}

type Views = Pick<Run, "graph"> | Pick<Transaction, "graph">;

const graphs: readonly Step[] = [
  ...["x", "y", "z"].map((name) =>
    step(`graph node ${name}`, (db) => void db.run("g").graph.addNode(["n", "m"], { name, of: text(40) })),
  ),
  step("graph index", (db) => db.run("g").graph.createIndex("n", "name")),
  step("graph edges", (db) =>
    db.run("g").transaction((tx) => {
      const [x, y, z] = ["x", "y", "z"].map((name) => named(tx, name)) as [number, number, number];
      tx.graph.addEdge(x, y, "t", { weight: 1 });
      tx.graph.addEdge(y, z, "u");
      tx.graph.addEdge(z, z, "t");
      return [...tx.graph.bfs(x)].length;
    }),
  ),
  step("graph of many", (db) =>
    db.run("g").transaction((tx) => {
      const hub = named(tx, "z");
      for (let i = 0; i < 40; i++) tx.graph.addEdge(hub, tx.graph.addNode("m"), "many");
    }),
  ),
  step("graph walks", (db) => {
    const run = db.run("g");
    const [x, z] = [named(run, "x"), named(run, "z")];
    const path = run.graph.shortestPath(x, z, { types: ["t", "u"] });
    return [[...run.graph.bfs(x, { direction: "both" })].length, path?.nodes.length, run.graph.degree(z)];
  }),
  step("graph patch", (db) => db.run("g").graph.patchNode(named(db.run("g"), "x"), { name: "w", of: undefined })),
  step("graph verify", (db) => db.run("g").graph.verify()),
  step("graph node deleted", (db) => db.run("g").graph.deleteNode(named(db.run("g"), "y"))),
];

/** What holds on to versions, and what lets go of them; what is asynchronous; what looks at the whole. */
const holding: readonly Step[] = [
  step("snapshots", (db, bag) => {
    bag.snapshot = db.run("a").snapshot();
    bag.whole = db.snapshot();
  }),
  step("begin", (db, bag) => {
    bag.transaction = db.run("b").begin();
    bag.transaction.kv.get("in it");
    bag.transaction.kv.put("in it", 1);
  }),
  step("put under a snapshot", (db) => db.run("a").kv.put("k", text(120))),
  step("delete under a snapshot", (db) => db.run("a").kv.delete("deferred")),
  step("reads of the snapshots", (_db, { snapshot, whole }) => [
    snapshot?.kv.get("k"),
    snapshot?.kv.list().length,
    whole?.run("many").kv.count(),
    whole?.run("b").traces.list().length,
  ]),
  step("commit", (_db, bag) => bag.transaction?.commit()),
  step("dispose", (_db, bag) => {
    bag.snapshot?.dispose();
    bag.whole?.dispose();
  }),
  step("transactionAsync", (db) => db.run("a").transactionAsync(async (tx) => tx.kv.put("async", 1))),
  {
    name: "transactionAsync, two in flight",
    several: true,
    run: (db) =>
      Promise.all([
        db.run("a").transactionAsync((tx) => tx.kv.put("flight", 1)),
        db.run("b").transactionAsync((tx) => tx.events.append("flight", 2).sequence),
      ]),
  },
  {
    name: "deferred puts that go out with a flush",
    several: true,
    async run(db) {
      db.run("a").kv.put("d1", 1, DEFERRED);
      db.run("a").kv.put("d2", 2, DEFERRED);
      await db.flush();
    },
  },
  step("counters", (db) => [db.version, db.run("a").version, db.run("a").count(), db.totalCount(), db.stats().entries]),
  step("verify", (db) => db.verify()),
  step("flushSync", (db) => db.flushSync()),
  step("checkpoint", (db) => db.checkpoint()),
  step("export", async (db) => {
    let bytes = 0;
    for await (const piece of db.export()) bytes += piece.length;
    return bytes;
  }),
  step("deleteRun", (db) => db.deleteRun("many")),
  step("put to the run that was deleted", (db) => db.run("many").kv.put("again", 1)),
  step("runs.delete", (db) => db.runs.delete("b")),
];

/** Every step, in order. */
export const STEPS: readonly Step[] = [...keyValues, ...primitives, ...graphs, ...holding];

function short(_key: string, value: unknown): unknown {
  if (value instanceof Uint8Array) return Array.from(value.subarray(0, 32)).join();
  return typeof value === "string" && value.length > 100 ? `${value.length} of ${value.slice(0, 20)}` : value;
}

/** What a graph shows, but for ids. */
function graphOf({ graph }: Run): unknown {
  const nodes = graph.nodes();
  const nameOf = new Map(nodes.map(({ id, properties }) => [id, properties["name"]]));
  const edges = graph
    .edges()
    .map(({ source, target, type, properties }) => [nameOf.get(source), nameOf.get(target), type, properties]);
  const all = nodes.map(({ labels, properties }) => [labels, properties]);
  return [all, edges, graph.indexes(), graph.verify()];
}

/** Everything that the runs of the steps show, in one text. */
export function digest(db: Database): string {
  const runs = RUNS.map((id) => {
    const run = db.run(id);
    const head = run.events.head();
    const { kv, state, traces } = run;
    const listed = [kv.count(), kv.list(), head, state.list(), traces.list(), db.runs.get(id), graphOf(run)];
    return [id, run.version, run.count(), ...listed];
  });
  return JSON.stringify(runs, short);
}

/** What a database counts over all runs. */
export function counters(db: Database): readonly number[] {
  const { entries, runs, snapshotsHeld, transactionsOpen, commits } = db.stats();
  return [db.version, db.totalCount(), entries, runs, snapshotsHeld, transactionsOpen, commits];
}
