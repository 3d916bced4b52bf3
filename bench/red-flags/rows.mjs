// The rows of the scorecard: every row of the specification's table on speed, and every absolute floor.
//
// Keeps true: a row names the measurement that it comes from and the goal of that catalogue which it stands for, and repeats
// no figure of either; goals and red lines of sizes are those of the size budget.
//
// `from` is one of
//   { measurement, goal }               a goal of bench/catalogue.mjs, by the subject or the row that it names
//   { measurement, shown }              a row beside it that has no goal and is only shown
//   { workload, workers, kind }         a goal of bench/concurrency/catalogue.mjs, by the word that it is written with
//   { size, redTimesGoal }              a row of scripts/size.mjs by how its name begins, red at so many times its goal

const DURABILITY = "durability modes";
const HOT_PATH = "hot path";
const SCALING = "scaling";
const FACADE = "facade tax";
const INFRASTRUCTURE = "infrastructure";

export const gates = [DURABILITY, HOT_PATH, SCALING, FACADE, INFRASTRUCTURE];

const measured = (gate, measurement, goal, title) => ({ gate, title, from: { measurement, goal } });
const shown = (gate, measurement, name, title) => ({ gate, title, from: { measurement, shown: name } });
const workers = (workload, count, kind, title, more = {}) => ({
  gate: SCALING,
  title,
  from: { workload, workers: count, kind, ...more },
});
const size = (name, title) => ({ gate: INFRASTRUCTURE, title, from: { size: name, redTimesGoal: 2 } });

export const rows = [
  measured(
    DURABILITY,
    "put-buffered",
    "better-sqlite3 WAL NORMAL",
    "`kv.put` buffered, beside better-sqlite3 WAL `NORMAL`",
  ),
  measured(DURABILITY, "put-buffered", "Holdfast kv.put buffered", "`kv.put` buffered, time"),
  measured(DURABILITY, "put-buffered", "Holdfast kv.put buffered, puts", "`kv.put` buffered, puts per second"),
  measured(DURABILITY, "put-strict", "bare write + fdatasync", "`kv.put` strict, times a bare `write` and `fdatasync`"),
  measured(
    DURABILITY,
    "group-commit",
    "different keys, one after another ÷ in flight",
    "64 strict `transactionAsync` in flight on different keys, beside one after another",
  ),
  measured(DURABILITY, "group-commit", "different keys, attempts ÷ commits", "the same: attempts for each commit"),
  measured(
    DURABILITY,
    "group-commit",
    "events of one run, one after another ÷ in flight",
    "64 in flight that append events to one run, beside one after another",
  ),
  measured(DURABILITY, "group-commit", "events of one run, attempts ÷ commits", "the same: attempts for each commit"),

  measured(HOT_PATH, "snapshot", "Holdfast run.snapshot()", "snapshot of a run taken and let go of"),
  measured(HOT_PATH, "snapshot", "Holdfast db.snapshot()", "snapshot of the database taken and let go of"),
  shown(HOT_PATH, "snapshot", "Holdfast run.snapshot(), one get", "snapshot of a run taken, one key read, let go of"),
  measured(
    HOT_PATH,
    "allocations",
    "run.snapshot and dispose, linear memory",
    "the store's own memory that a snapshot takes",
  ),
  measured(HOT_PATH, "get", "lmdb get", "`kv.get`, 100,000 shuffled keys, beside lmdb `get`"),
  measured(HOT_PATH, "get", "Map.get", "`kv.get`, 100,000 shuffled keys, beside `Map.get`"),
  measured(HOT_PATH, "get", "Holdfast kv.get", "`kv.get`, time"),
  measured(HOT_PATH, "get-hot", "Map.get", "`kv.get` of 1,000 hot keys, beside `Map.get`"),
  measured(HOT_PATH, "put", "better-sqlite3 :memory:", "`kv.put` in memory, beside better-sqlite3 `:memory:`"),
  measured(HOT_PATH, "put", "Map.set", "`kv.put` in memory, beside `Map.set`"),
  measured(HOT_PATH, "put", "Holdfast kv.put", "`kv.put` in memory, time"),
  measured(HOT_PATH, "get-many", "Holdfast kv.getMany of ten", "`getMany` of ten keys"),
  measured(HOT_PATH, "events-append", "Holdfast events.append", "`events.append` in memory"),
  measured(HOT_PATH, "tail", "Holdfast kv.put, p99 ÷ mean", "`kv.put`, p99 over the mean"),
  measured(HOT_PATH, "growth", "Holdfast kv.put, p99.99", "`kv.put`, p99.99 while a run grows to 1,000,000 keys"),
  measured(HOT_PATH, "growth", "entries moved by one put, most", "entries that one put moves, at most"),
  measured(HOT_PATH, "allocations", "kv.get of small integers", "JavaScript heap for a `kv.get` of a small integer"),
  measured(HOT_PATH, "allocations", "kv.put of small integers", "JavaScript heap for a `kv.put` of a small integer"),
  measured(HOT_PATH, "allocations", "kv.has", "JavaScript heap for a `kv.has`"),
  measured(HOT_PATH, "allocations", "kv.put of floats", "JavaScript heap for a `kv.put` of a fraction"),

  ...[2, 4, 8].map((count) => workers("disjoint", count, "ofOne", `puts to disjoint runs, ${count} workers over one`)),
  workers("disjoint", 1, "perSecond", "puts of one worker"),
  workers("disjoint", 4, "perSecond", "puts of four workers to disjoint runs, floor", { isFloor: true }),
  workers("disjoint", 4, "perSecond", "puts of four workers to disjoint runs, aim"),
  workers("one-run", 4, "ofOne", "puts of four workers to one run, over one worker's"),
  ...[2, 4, 8].flatMap((count) => [
    workers("reads", count, "scalesLikeOwn", `reads of one run, ${count} workers, of what shares nothing scales to`),
    workers("reads", count, "ofOne", `reads of one run, ${count} workers over one`),
  ]),
  workers("reads", 50, "perSecond", "reads of one run, 50 workers"),
  workers("mixed", 10, "perSecond", "80 % reads and 20 % puts of one run, 10 workers"),
  workers("graph-reads", 50, "perSecond", "`getNode` of one run's graph, 50 workers"),
  workers("graph-mixed", 10, "perSecond", "80 % `getNode` and 20 % `addNode`, 10 workers"),

  measured(FACADE, "layers", "engine put (A1)", "engine put in memory (A1), time"),
  measured(FACADE, "layers", "A1 ÷ A0", "engine put over raw table put (A1 ÷ A0)"),
  measured(FACADE, "layers", "B ÷ A1", "`kv.put` over engine put (B ÷ A1)"),
  measured(FACADE, "layers", "B ÷ A0", "`kv.put` over raw table put (B ÷ A0)"),

  measured(INFRASTRUCTURE, "recovery", "opening a log, records", "recovery, records"),
  measured(INFRASTRUCTURE, "recovery", "opening a log, bytes", "recovery, bytes"),
  measured(
    INFRASTRUCTURE,
    "memory",
    "Holdfast",
    "memory for an entry beyond a key of 16 and a value of 64 bytes, 100,000 entries",
  ),
  size("dist/single.wasm", "the core, gzipped"),
  size("browser bundle", "the browser bundle without the core, gzipped"),
];
