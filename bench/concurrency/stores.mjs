// The stores that the workers share, or have each for itself: how they are opened, filled and looked through afterwards.
//
// Keeps true: every store gives a worker the same few functions over a run: `get`, `put` (a number that rises with each put of
// a worker), `between` (before each batch); all hold the same keys and values from the beginning. Where it is a graph that is
// worked on, each window has one of its own, which holds the first nodes and nothing else when the gate opens: otherwise what
// one window adds would be the next one's burden.

import { Database } from "../../dist/index.js";
import { makeKeys } from "../workload.mjs";
import { KEYS } from "./catalogue.mjs";
import { LABEL, propertiesOf } from "./graph-loops.mjs";
import { firstValue, isValueOf, markOf } from "./loops.mjs";

const LMDB_READERS = 126;
const nothing = () => {};

function runsOf(workers) {
  return ["one", ...Array.from({ length: workers }, (_, worker) => `own-${worker}`)];
}

function fill(put) {
  for (const [index, key] of makeKeys(KEYS).entries()) put(key, firstValue(index));
}

/** How many keys of a run do not hold a value of theirs. */
function countWrong(get) {
  return makeKeys(KEYS).filter((key, index) => !isValueOf(get(key), markOf(index))).length;
}

const graphRun = (window) => `graph-${window}`;
/** Where a window's graph says what the ids of its first nodes are above their marks: ids of a run made late begin further on. */
const IDS_ABOVE = "ids above marks";

/** Puts a window's graph in the place of the one before it. */
function renewGraph(db, window, before) {
  if (before !== undefined) db.deleteRun(graphRun(before));
  db.run(graphRun(window)).transaction(({ graph, kv }) => {
    const ids = Array.from(makeKeys(KEYS), (key, index) => graph.addNode(LABEL, propertiesOf(key, markOf(index))));
    const above = ids[0] - markOf(0);
    if (ids.some((id, index) => id !== above + markOf(index))) throw new Error("the ids of the first nodes have gaps");
    kv.put(IDS_ABOVE, above);
  });
}

/** Throws unless so many nodes were added to a window's graph. */
function checkAdded(db, window, added) {
  const count = db.run(graphRun(window)).graph.nodeCount();
  if (count !== KEYS + added) throw new Error(`${added} nodes were added to ${KEYS}, and there are ${count}`);
}

/** How many nodes of a window's graph are none of those that it can hold. */
function countWrongNodes(db, window) {
  const keys = makeKeys(KEYS);
  const isRight = ({ labels, properties }) => labels[0] === LABEL && keys[properties.mark - 1] === properties.path;
  return db
    .run(graphRun(window))
    .graph.nodes()
    .filter((node) => !isRight(node)).length;
}

/** Throws unless the memory is sound. */
function verify(db) {
  const report = db.verify();
  if (!report.valid) throw new Error(`the memory does not verify: ${JSON.stringify(report)}`);
}

/** A Holdfast database for `workers` workers, of this build of the core. */
export async function openHoldfast({ workers, group, wasm }) {
  const db = await Database.open({ durability: "in-memory", shared: true, ...(wasm === undefined ? {} : { wasm }) });
  const ofGroup = group === "graph" ? graphsIn(db) : keysIn(db, workers);
  return {
    share: () => ({ kind: "holdfast", handle: db.share() }),
    commits: () => db.stats().commits,
    ...ofGroup,
    check() {
      verify(db);
      return ofGroup.check();
    },
    close: () => db.close(),
  };
}

function keysIn(db, workers) {
  for (const id of runsOf(workers)) fill((key, value) => db.run(id).kv.put(key, value));
  return {
    prepare: nothing,
    checkWindow: nothing,
    check: () => runsOf(workers).reduce((wrong, id) => wrong + countWrong((key) => db.run(id).kv.get(key)), 0),
  };
}

function graphsIn(db) {
  let current;
  return {
    prepare(window) {
      renewGraph(db, window, current);
      current = window;
    },
    checkWindow: (added) => checkAdded(db, current, added),
    check: () => (current === undefined ? 0 : countWrongNodes(db, current)),
  };
}

/** Nothing that is shared: each worker opens its own. */
export async function openOwn({ group }) {
  return {
    share: () => ({ kind: "own", group }),
    commits: undefined,
    prepare: nothing,
    checkWindow: nothing,
    check: () => 0,
    close: nothing,
  };
}

/** An lmdb environment for `workers` workers: a named database for each run. */
export async function openLmdb({ workers, folder }) {
  const { open } = await import("lmdb");
  const options = lmdbOptions(folder, workers);
  const environment = open(options);
  const runs = new Map(runsOf(workers).map((name) => [name, environment.openDB({ name })]));
  for (const db of runs.values()) environment.transactionSync(() => fill((key, value) => db.put(key, value)));
  return {
    share: () => ({ kind: "lmdb", options }),
    commits: undefined,
    prepare: nothing,
    checkWindow: nothing,
    check() {
      environment.resetReadTxn();
      return [...runs.values()].reduce((wrong, db) => wrong + countWrong((key) => db.get(key)), 0);
    },
    close: () => environment.close(),
  };
}

function lmdbOptions(path, workers) {
  return { path, noSync: true, maxDbs: workers + 2, maxReaders: LMDB_READERS };
}

/** A worker's side of a store. */
export async function openInWorker(description, worker) {
  if (description.kind === "lmdb") return attachLmdb(description.options, worker);
  if (description.kind === "own") return ownHoldfast(description.group);
  const db = await Database.attach(description.handle);
  return {
    one: () => overHoldfast(db, "one"),
    own: () => overHoldfast(db, `own-${worker}`),
    graph: (window) => overGraph(db, window),
    close: () => db.close(),
  };
}

async function ownHoldfast(group) {
  const db = await Database.open({ durability: "in-memory" });
  const run = () => overHoldfast(db, "one");
  if (group !== "graph") fill((key, value) => db.run("one").kv.put(key, value));
  let current;
  return {
    one: run,
    own: run,
    graph(window) {
      renewGraph(db, window, current);
      current = window;
      return overGraph(db, window);
    },
    close() {
      verify(db);
      const ofGraph = () => (current === undefined ? 0 : countWrongNodes(db, current));
      const wrong = group === "graph" ? ofGraph() : countWrong((key) => db.run("one").kv.get(key));
      if (wrong > 0) throw new Error(`a database of its own holds ${wrong} wrong values`);
      return db.close();
    },
  };
}

function overHoldfast(db, id) {
  const { kv } = db.run(id);
  return { get: (key) => kv.get(key), put: (key, value) => kv.put(key, value), between: nothing };
}

function overGraph(db, window) {
  const { graph, kv } = db.run(graphRun(window));
  const above = kv.get(IDS_ABOVE);
  return {
    get: (mark) => graph.getNode(above + mark),
    put: (label, properties) => graph.addNode(label, properties),
    between: nothing,
  };
}

async function attachLmdb(options, worker) {
  const { open } = await import("lmdb");
  const environment = open(options);
  const overRun = (name) => {
    const db = environment.openDB({ name });
    let puts = 0;
    return {
      get: (key) => db.get(key),
      put: (key, value) => (db.putSync(key, value) ? ++puts : -1),
      // What is read from here on is as of now.
      between: () => environment.resetReadTxn(),
    };
  };
  return { one: () => overRun("one"), own: () => overRun(`own-${worker}`), close: () => environment.close() };
}
