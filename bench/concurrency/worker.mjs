// One worker thread: opens its store, then does what it is told to, from gate to gate.
//
// Keeps true: it holds one store and nothing else, as a worker of a program does; between two jobs it goes back to its event
// loop once, outside of all time that is taken.

import { setTimeout as pause } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";
import { makeKeys, pick, shuffledIndices } from "../workload.mjs";
import { KEYS } from "./catalogue.mjs";
import { countingPuts } from "./counter.mjs";
import { WorkerGate } from "./gate.mjs";
import { JOB_CLOSE, jobAt } from "./jobs.mjs";
import { behindOneLock } from "./mutex.mjs";
import { openInWorker } from "./stores.mjs";

const { worker, gate: gateBuffer, store: description, words } = workerData;
const gate = new WorkerGate(gateBuffer, worker);

/** What a store becomes by the way in which it is come to. */
const WAYS = { free: (store) => store, locked: behindOneLock, counted: countingPuts };

/** The loops, an instance of their module for each way and for keys and graphs apart. */
async function loopsFor(way) {
  return { keys: await import(`./loops.mjs?${way}`), graph: await import(`./graph-loops.mjs?${way}`) };
}

try {
  const store = await openInWorker(description, worker);
  const order = shuffledIndices(KEYS, worker + 1);
  const keys = pick(makeKeys(KEYS), order);
  const marks = Array.from(order, (index) => index + 1);
  const loops = new Map();
  for (const way of words.keys()) loops.set(way, await loopsFor(way));
  const runs = new Map();
  const runFor = (on, way, window) => {
    if (on === "graph") return WAYS[way](store.graph(window), words.get(way));
    const name = `${on} ${way}`;
    if (!runs.has(name)) runs.set(name, WAYS[way](store[on](), words.get(way)));
    return runs.get(name);
  };
  parentPort.postMessage("ready");

  for (let { job, window } = gate.awaitOrder(); job !== JOB_CLOSE; { job, window } = gate.awaitOrder()) {
    const { loop, on, way } = jobAt(job);
    const run = runFor(on, way, window);
    gate.arrive();
    loops.get(way)[on === "graph" ? "graph" : "keys"][loop](run, keys, marks, gate);
    gate.finish();
    await pause(1);
  }
  await store.close();
} catch (error) {
  gate.fail();
  parentPort.postMessage({ failure: String(error?.stack ?? error) });
}
