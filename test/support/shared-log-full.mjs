/**
 * A process in which workers write to one persistent database until its files may not grow any more, for a test that limits
 * that: what each was acknowledged, and what is there after opening again, is one line of JSON on standard output.
 */
import { Worker } from "node:worker_threads";
import { Database } from "holdfast";

const [, , path, durability, asynchronous] = process.argv;
const RUNS = ["a", "b"];
const COUNT = 400;
const db = await Database.open({ path, shared: true, durability });
const outcomes = [];
for (let i = 0; i < 3; i++) {
  const workerData = {
    handle: db.share(),
    runs: RUNS,
    count: COUNT,
    durability,
    asynchronous: asynchronous === "true",
    tells: false,
  };
  const worker = new Worker(new URL("./shared-log-worker.mjs", import.meta.url), { workerData });
  await new Promise((resolve) => worker.once("message", resolve));
  outcomes.push({ worker, outcome: new Promise((resolve) => worker.once("message", resolve)) });
}
for (const { worker } of outcomes) worker.postMessage("go");
const told = await Promise.all(outcomes.map(({ outcome }) => outcome));
const heap = db.verify();
await db.close().catch(() => {});

const again = await Database.open({ path, readOnly: true });
const counted = RUNS.map((run) => again.run(run).kv.get("n") ?? 0);
const chains = RUNS.map((run) => again.run(run).events.verify());
process.stdout.write(`${JSON.stringify({ told, heap, counted, chains })}\n`);
await again.close();
