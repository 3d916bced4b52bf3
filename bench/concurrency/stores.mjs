// The stores that the workers share, or have each for itself: how they are opened, filled and looked through afterwards.
//
// Keeps true: every store gives a worker the same few functions over a run: `get`, `put` (a number that rises with each put of
// a worker), `between` (before each batch); all hold the same keys and values from the beginning.

import { Database } from "../../dist/index.js";
import { makeKeys } from "../workload.mjs";
import { KEYS } from "./catalogue.mjs";
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

/** A Holdfast database for `workers` workers, of this build of the core. */
export async function openHoldfast({ workers, wasm }) {
  const db = await Database.open({ durability: "in-memory", shared: true, ...(wasm === undefined ? {} : { wasm }) });
  for (const id of runsOf(workers)) fill((key, value) => db.run(id).kv.put(key, value));
  return {
    share: () => ({ kind: "holdfast", handle: db.share() }),
    commits: () => db.stats().commits,
    check() {
      const report = db.verify();
      if (!report.valid) throw new Error(`the memory does not verify: ${JSON.stringify(report)}`);
      return runsOf(workers).reduce((wrong, id) => wrong + countWrong((key) => db.run(id).kv.get(key)), 0);
    },
    close: () => db.close(),
  };
}

/** Nothing that is shared: each worker opens its own. */
export async function openOwn() {
  return { share: () => ({ kind: "own" }), commits: undefined, check: () => 0, close: nothing };
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
export async function openInWorker(description) {
  if (description.kind === "lmdb") return attachLmdb(description.options);
  if (description.kind === "own") return ownHoldfast();
  const db = await Database.attach(description.handle);
  return { isOwn: false, run: (id) => overHoldfast(db, id), close: () => db.close() };
}

async function ownHoldfast() {
  const db = await Database.open({ durability: "in-memory" });
  fill((key, value) => db.run("one").kv.put(key, value));
  return {
    isOwn: true,
    run: (id) => overHoldfast(db, id),
    close() {
      const wrong = countWrong((key) => db.run("one").kv.get(key));
      if (wrong > 0 || !db.verify().valid) throw new Error(`a database of its own holds ${wrong} wrong values`);
      return db.close();
    },
  };
}

function overHoldfast(db, id) {
  const { kv } = db.run(id);
  return { get: (key) => kv.get(key), put: (key, value) => kv.put(key, value), between: nothing };
}

async function attachLmdb(options) {
  const { open } = await import("lmdb");
  const environment = open(options);
  return {
    isOwn: false,
    run(name) {
      const db = environment.openDB({ name });
      let puts = 0;
      return {
        get: (key) => db.get(key),
        put: (key, value) => (db.putSync(key, value) ? ++puts : -1),
        // What is read from here on is as of now.
        between: () => environment.resetReadTxn(),
      };
    },
    close: () => environment.close(),
  };
}
