// One worker thread: opens its store, then does what it is told to, from gate to gate.
//
// Keeps true: it holds one store and nothing else, as a worker of a program does; between two jobs it goes back to its event
// loop once, outside of all time that is taken.

import { setTimeout as pause } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";
import { makeKeys, pick, shuffledIndices } from "../workload.mjs";
import { KEYS } from "./catalogue.mjs";
import { WorkerGate } from "./gate.mjs";
import { JOB_CLOSE, jobAt } from "./jobs.mjs";
import { behindOneLock } from "./mutex.mjs";
import { openInWorker } from "./stores.mjs";

const { worker, gate: gateBuffer, store: description, lock } = workerData;
const gate = new WorkerGate(gateBuffer, worker);

try {
  const store = await openInWorker(description, worker);
  const order = shuffledIndices(KEYS, worker + 1);
  const keys = pick(makeKeys(KEYS), order);
  const marks = Array.from(order, (index) => index + 1);
  const free = await import("./loops.mjs?without");
  const locked = lock === undefined ? undefined : await import("./loops.mjs?locked");
  const one = store.run("one");
  const own = store.run(store.isOwn ? "one" : `own-${worker}`);
  const stores = {
    free: { one, own },
    locked: lock === undefined ? undefined : { one: behindOneLock(one, lock), own: behindOneLock(own, lock) },
  };
  parentPort.postMessage("ready");

  for (let order = gate.awaitOrder(); order !== JOB_CLOSE; order = gate.awaitOrder()) {
    const { loop, run, behindLock } = jobAt(order);
    gate.arrive();
    const loops = behindLock ? locked : free;
    loops[loop]((behindLock ? stores.locked : stores.free)[run], keys, marks, gate);
    gate.finish();
    await pause(1);
  }
  await store.close();
} catch (error) {
  gate.fail();
  parentPort.postMessage({ failure: String(error?.stack ?? error) });
}
