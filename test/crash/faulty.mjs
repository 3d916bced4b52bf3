/**
 * The child whose system calls are watched or made to fail: `node faulty.mjs '{"directory":…,"acts":[…]}'`.
 *
 * It does one act after another, numbering its commits from `from` on, and writes one line of JSON for each thing that has
 * happened, at once: what was acknowledged, what failed and how. It ends by itself, without closing unless told to.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { nodeFs } from "../../dist/adapters/node-fs.js";
import { Database } from "../../dist/index.js";
import { errorOf, tellLine } from "./tell.mjs";

const { directory, durability, segmentBytes, from, acts } = JSON.parse(process.argv[2]);
const VALUES = 3;
let sequence = from;

let db;
try {
  const storage = nodeFs(directory, segmentBytes === undefined ? {} : { segmentBytesTarget: segmentBytes });
  db = await Database.open({ storage, durability });
} catch (error) {
  tellLine({ at: "refused", error: errorOf(error) });
  process.exit(0);
}
tellLine({ at: "opened" });
db.on("error", (error) => tellLine({ at: "event", error: errorOf(error) }));
const run = db.run("faulty");

function writer(n, bytes) {
  const value = bytes === undefined ? n : { n, filler: "x".repeat(bytes) };
  return (tx) => {
    for (let i = 0; i < VALUES; i++) tx.kv.put(`${n}.${i}`, i === 0 ? value : n);
  };
}

function attempt(at, n, work) {
  try {
    work();
    tellLine({ at, n });
  } catch (error) {
    tellLine({ at: "failed", n, error: errorOf(error) });
  }
}

async function attemptAsync(at, n, work) {
  try {
    await work();
    tellLine({ at, n });
  } catch (error) {
    tellLine({ at: "failed", n, error: errorOf(error) });
  }
}

const actions = {
  commit: ({ bytes, as }) => {
    const n = ++sequence;
    attempt("acknowledged", n, () => run.transaction(writer(n, bytes), as && { durability: as }));
  },
  /** One key, without a transaction around it. */
  put: () => {
    const n = ++sequence;
    attempt("acknowledged", n, () => run.kv.put(`${n}.only`, n));
  },
  /** Several in flight at once. */
  burst: ({ count = 4 }) =>
    Promise.all(
      Array.from({ length: count }, () => {
        const n = ++sequence;
        return attemptAsync("acknowledged", n, () => run.transactionAsync(writer(n)));
      }),
    ),
  flush: () => attemptAsync("flushed", sequence, () => db.flush()),
  flushSync: () => attempt("flushed", sequence, () => db.flushSync()),
  pause: ({ ms }) => sleep(ms),
  /** Reads go on whatever has become of the storage. */
  read: () => attempt("read", run.kv.count(), () => run.kv.list()),
  checkpoint: () => attemptAsync("checkpointed", sequence, () => db.checkpoint()),
  close: () => attemptAsync("closed", sequence, () => db.close()),
};

for (const act of acts) {
  tellLine({ at: "doing", what: act.do });
  await actions[act.do](act);
}
tellLine({ at: "end" });
process.exit(0);
