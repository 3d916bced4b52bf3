/** A worker that opens a database in files, gives it to whoever has started it, and goes on until it is terminated. */
import { parentPort, workerData } from "node:worker_threads";
import { Database } from "holdfast";

const db = await Database.open({ path: workerData, shared: true, durability: "strict" });
db.run("run").kv.put("owner", 1);
parentPort.postMessage(db.share());
setInterval(() => {}, 1000);
