/**
 * A worker that is terminated some time while it writes, reads, makes and deletes runs.
 *
 * Each transaction counts: the run's `n`, what this worker has done in the run, and an event, so that the three always agree. What
 * was acknowledged stands in a ledger that outlives it.
 */
import { parentPort, workerData } from "node:worker_threads";
import { Database } from "holdfast";

const { handle, runs, ledger, lane, seed, modes } = workerData;
const acknowledged = new Int32Array(ledger);
const db = await Database.attach(handle);
let state = seed | 1;
let toStop = false;
const errors = {};

function below(bound) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * bound);
}

const counter = `worker-${lane}`;

function count(tx) {
  const mine = (tx.kv.get(counter) ?? 0) + 1;
  tx.kv.put("n", (tx.kv.get("n") ?? 0) + 1);
  tx.kv.put(counter, mine);
  tx.events.append("counted", { lane, mine });
  // A commit of many writes takes long enough to be died in.
  if (below(3) === 0) for (let i = 0; i < 300; i++) tx.kv.put(`bulk-${below(2000)}`, i);
  if (below(4) === 0) tx.kv.put(`large-${below(3)}`, new Uint8Array(below(400_000)));
  if (below(4) === 0) tx.traces.record({ type: "thought", content: counter }, { tags: [`tag-${below(5)}`] });
  return mine;
}

function acknowledge(index, mine) {
  Atomics.store(acknowledged, lane * runs.length + index, mine);
}

const RETRY = { attempts: 1000, baseMs: 0, maxMs: 1 };

async function act() {
  const index = below(runs.length);
  const run = db.run(runs[index]);
  const durability = modes[below(modes.length)];
  const what = below(20);
  if (what < 8) acknowledge(index, run.transaction(count, { durability, retry: RETRY }));
  else if (what < 10)
    acknowledge(index, await run.transactionAsync(async (tx) => count(tx), { durability, retry: RETRY }));
  else if (what < 12) run.kv.put(`free-${below(6)}`, { by: lane, text: "y".repeat(below(300)) }, { durability });
  else if (what < 13) run.kv.delete(`free-${below(6)}`, { durability });
  else if (what < 15) look(run);
  else if (what < 18) {
    const own = db.run(`own-${lane}`);
    for (let i = 0; i < 5; i++) own.kv.put(`key-${i}`, "z".repeat(below(2000)), { durability });
    if (below(2) === 0) db.deleteRun(own.id, { durability });
  } else run.kv.list({ prefix: "free-" });
}

/** What a snapshot shows must agree, also in the middle of everything. */
function look(run) {
  const snapshot = run.snapshot();
  try {
    const n = snapshot.kv.get("n") ?? 0;
    const { length } = snapshot.events;
    const sum = snapshot.kv.list({ prefix: "worker-" }).reduce((total, [, value]) => total + value, 0);
    if (n !== length || n !== sum)
      parentPort.postMessage({ wrong: `${run.id}: ${n} counted, ${length} events, ${sum} by workers` });
  } finally {
    snapshot.dispose();
  }
}

parentPort.on("message", () => {
  toStop = true;
});
parentPort.postMessage({ ready: db.workerId });
for (let i = 0; !toStop; i++) {
  try {
    await act();
  } catch (error) {
    const code = error.code ?? String(error.stack);
    if (errors[code] === undefined) parentPort.postMessage({ met: code, message: error.message });
    errors[code] = (errors[code] ?? 0) + 1;
  }
  if (i % 16 === 0) await new Promise((resolve) => setImmediate(resolve));
}
await db.close().catch((error) => parentPort.postMessage({ met: `close: ${error.code}` }));
parentPort.close();
