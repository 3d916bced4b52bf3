/**
 * A process that ends, or stays, in one particular way: `node owner.mjs <directory> <mode> <what>`.
 *
 * It writes `COMMITS` commits and one line of JSON when they have returned; then it does what it was told to do. Where it
 * cannot open the database, the line says why.
 */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Database } from "../../dist/index.js";
import { errorOf, tellLine } from "./tell.mjs";

const COMMITS = 20;
const [directory, mode, what] = process.argv.slice(2);

/** Long enough that nothing is synced in the background, so that only what has been written is left. */
const durability = mode === "buffered" ? { mode, flushIntervalMs: 60_000, maxPendingWrites: 1e9 } : mode;

const actions = {
  exit: () => process.exit(7),
  throw: () => {
    setTimeout(() => {
      throw new Error("thrown on purpose");
    }, 0);
  },
  reject: () => {
    Promise.reject(new Error("rejected on purpose"));
  },
  /** Nothing keeps it alive: an open database does not. */
  end: () => {},
  stay: () => sleep(1e9),
  block: () => {
    for (;;) readFileSync("/dev/null");
  },
  close: () => db.close(),
};

let db;
try {
  db = await Database.open({ path: directory, durability });
} catch (error) {
  tellLine(errorOf(error));
  process.exit(1);
}
const { kv } = db.run("owned");
const first = kv.count();
for (let i = 0; i < COMMITS; i++) kv.put(`k${String(first + i).padStart(4, "0")}`, first + i);
tellLine({ pid: process.pid, count: kv.count() });
await actions[what]();
