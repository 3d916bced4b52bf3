/**
 * The child that gets killed: opens a database, goes on where it ends, and writes as fast as it can.
 *
 *     node writer.mjs <directory> <mode> <segment bytes>
 *
 * After each commit has returned, its number goes to the pipe at once, as four bytes. The first one is where it started.
 */
import { writeSync } from "node:fs";
import { nodeFs } from "../../dist/adapters/node-fs.js";
import { Database } from "../../dist/index.js";
import { lastOf, planOf } from "./plan.mjs";

const [directory, mode, segmentBytesTarget] = process.argv.slice(2);
const storage = nodeFs(directory, { segmentBytesTarget: Number(segmentBytesTarget) });
const durability = mode === "buffered" ? { mode, flushIntervalMs: 20, maxPendingWrites: 500 } : mode;
const db = await Database.open({ storage, durability });

const message = Buffer.alloc(4);
function tell(sequence) {
  message.writeUInt32LE(sequence);
  writeSync(1, message);
}

let sequence = lastOf(db);
tell(sequence);

function commitNext() {
  const n = ++sequence;
  const { run, puts, deletes } = planOf(n);
  if (puts.length === 1) {
    db.run(run).kv.put(puts[0], { n, key: puts[0] });
  } else {
    db.run(run).transaction((tx) => {
      for (const key of puts) tx.kv.put(key, { n, key });
      for (const key of deletes) tx.kv.delete(key);
    });
  }
  tell(n);
}

/** Batches, so that timers and background syncs have their turn. */
function writeOn() {
  for (let i = 0; i < 64; i++) commitNext();
  setImmediate(writeOn);
}

writeOn();
