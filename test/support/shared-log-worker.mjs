/**
 * A worker that writes to a persistent database that others write to as well: transactions that count, and events.
 *
 * It is told by `workerData` what to do, and tells of each commit that was acknowledged, by a message or, where the process is to
 * be killed, by a line on standard output that is written before anything else happens.
 */
import { writeSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import { Database } from "holdfast";

const { handle, runs, count, durability, asynchronous, tells } = workerData;
const db = await Database.attach(handle);
const errors = {};
let done = 0;

function work(tx, i) {
  tx.kv.put("n", (tx.kv.get("n") ?? 0) + 1);
  tx.kv.put(`worker-${db.workerId}`, i + 1);
  tx.events.append("counted", { worker: db.workerId, i });
}

parentPort.postMessage({ ready: db.workerId });
parentPort.once("message", async () => {
  for (let i = 0; i < count; i++) {
    const run = db.run(runs[i % runs.length]);
    const options = { durability, retry: { attempts: 100_000, baseMs: 0, maxMs: 1 } };
    try {
      if (asynchronous) await run.transactionAsync(async (tx) => work(tx, i), options);
      else run.transaction((tx) => work(tx, i), options);
      done++;
      if (tells) writeSync(1, `${run.id} ${db.workerId} ${i + 1}\n`);
    } catch (error) {
      const code = error.code ?? String(error);
      errors[code] = (errors[code] ?? 0) + 1;
      if (code === "CORRUPTION" || code === "CLOSED") break;
    }
  }
  await db.close().catch((error) => {
    errors[`close: ${error.code}`] = 1;
  });
  parentPort.postMessage({ done, errors });
});
