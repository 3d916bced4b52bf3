/**
 * A process with workers that all write to one persistent database, for tests that kill it: each acknowledged commit is a line
 * "run worker count" on standard output.
 */
import { Worker } from "node:worker_threads";
import { Database } from "holdfast";

const [, , path, durability, workers, asynchronous] = process.argv;
const db = await Database.open({ path, shared: true, durability });
const made = [];
for (let i = 0; i < Number(workers); i++) {
  const workerData = {
    handle: db.share(),
    runs: ["a", "b"],
    count: 1_000_000,
    durability,
    asynchronous: asynchronous === "true",
    tells: true,
  };
  const worker = new Worker(new URL("./shared-log-worker.mjs", import.meta.url), { workerData });
  await new Promise((resolve) => worker.once("message", resolve));
  made.push(worker);
}
for (const worker of made) worker.postMessage("go");
