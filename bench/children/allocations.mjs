// Counts the bytes of JavaScript heap that operations take, and the collections that they cause; writes JSON to standard
// output. In a process of its own, because the young generation must be large and nothing else may allocate.
//
// Keeps true: what is allocated is the growth of the heap between collections, summed over them, so that none hides any; the
// loops have run long enough before to be optimised; keys, values and payloads exist beforehand.

import v8 from "node:v8";
import { Database } from "../../dist/index.js";
import { makeKeys } from "../workload.mjs";

const KEYS = 1000;
const WARM_UPS = 5;
const WARM_UP_OPERATIONS = 20_000;
const SETTLE_MS = 30;
const [divisor] = process.argv.slice(2).map(Number);
const MANY = 1_000_000 / divisor;
const SOME = 100_000 / divisor;
const FEW = 20_000 / divisor;

const db = await Database.open({ durability: "in-memory" });
const run = db.run("bench");
const { kv, state, events } = run;
const keys = makeKeys(KEYS);
for (let i = 0; i < KEYS; i++) kv.put(keys[i], i);
const halves = keys.map((_, i) => `half:${i}`);
for (let i = 0; i < KEYS; i++) kv.put(halves[i], i + 0.5);
const boxed = new Array(KEYS).fill(null).map((_, i) => i + 0.25);
boxed.push("so that they are kept boxed");
const payloads = keys.map((_, step) => ({ step, tool: `tool-${step % 16}`, ok: true }));
for (let i = 0; i < KEYS; i++) state.set(keys[i], i);

/** Each has a loop of its own and returns how many operations did what they should. */
const operations = [
  {
    name: "kv.get of small integers",
    count: MANY,
    pass(count) {
      let right = 0;
      for (let i = 0; i < count; i++) if (kv.get(keys[i % KEYS]) >= 0) right++;
      return right;
    },
  },
  {
    name: "kv.put of small integers",
    count: MANY,
    pass(count) {
      let right = 0;
      for (let i = 0; i < count; i++) if (kv.put(keys[i % KEYS], i % 100_000) > 0) right++;
      return right;
    },
  },
  {
    name: "kv.has",
    count: MANY,
    pass(count) {
      let right = 0;
      for (let i = 0; i < count; i++) if (kv.has(keys[i % KEYS])) right++;
      return right;
    },
  },
  {
    name: "kv.put of floats",
    count: MANY,
    pass(count) {
      let right = 0;
      for (let i = 0; i < count; i++) if (kv.put(halves[i % KEYS], boxed[i % KEYS]) > 0) right++;
      return right;
    },
  },
  {
    name: "kv.get of floats",
    count: MANY,
    pass(count) {
      let right = 0;
      for (let i = 0; i < count; i++) if (kv.get(halves[i % KEYS]) > 0) right++;
      return right;
    },
  },
  {
    name: "kv.getVersioned",
    count: MANY,
    pass(count) {
      let right = 0;
      for (let i = 0; i < count; i++) if (kv.getVersioned(keys[i % KEYS]).version > 0) right++;
      return right;
    },
  },
  {
    name: "run.snapshot and dispose",
    count: SOME,
    pass(count) {
      let right = 0;
      for (let i = 0; i < count; i++) {
        const snapshot = run.snapshot();
        if (snapshot.version > 0) right++;
        snapshot.dispose();
      }
      return right;
    },
  },
  {
    name: "run.begin, one put, commit",
    count: SOME,
    pass(count) {
      let right = 0;
      for (let i = 0; i < count; i++) {
        const tx = run.begin();
        tx.kv.put(keys[i % KEYS], i % 100_000);
        if (tx.commit() > 0) right++;
      }
      return right;
    },
  },
  {
    name: "run.transaction of one put",
    count: SOME,
    pass(count) {
      let right = 0;
      for (let i = 0; i < count; i++) {
        run.transaction((tx) => {
          tx.kv.put(keys[i % KEYS], i % 100_000);
        });
        right++;
      }
      return right;
    },
  },
  {
    name: "state.set of small integers",
    count: SOME,
    pass(count) {
      let right = 0;
      for (let i = 0; i < count; i++) if (state.set(keys[i % KEYS], i % 100_000) > 0) right++;
      return right;
    },
  },
  {
    name: "events.append of three fields",
    count: FEW,
    pass(count) {
      let right = 0;
      for (let i = 0; i < count; i++) if (events.append("tool", payloads[i % KEYS]).sequence >= 0) right++;
      return right;
    },
  },
];

/** Bytes allocated from the first collection's state to the end, and how often was collected in between. */
function countPass({ pass, count }) {
  globalThis.gc();
  const profiler = new v8.GCProfiler();
  profiler.start();
  const before = process.memoryUsage().heapUsed;
  const right = pass(count);
  const after = process.memoryUsage().heapUsed;
  const { statistics } = profiler.stop();
  if (right !== count) throw new Error(`${right} of ${count} operations did what they should`);
  let from = before;
  let bytes = 0;
  for (const { beforeGC, afterGC } of statistics) {
    bytes += beforeGC.heapStatistics.usedHeapSize - from;
    from = afterGC.heapStatistics.usedHeapSize;
  }
  return { bytes: (bytes + after - from) / count, collections: statistics.length };
}

// The compiler works on a thread of its own: it must be done before anything is counted.
const settle = () => new Promise((resolve) => setTimeout(resolve, SETTLE_MS));

const found = [];
for (const operation of operations) {
  for (let round = 0; round < WARM_UPS; round++) {
    operation.pass(Math.min(operation.count, WARM_UP_OPERATIONS));
    await settle();
  }
  // What is counted to be nothing has run at its full length before: the last optimisation of a loop comes late in it.
  if (operation.count === MANY) operation.pass(operation.count);
  await settle();
  const memoryBefore = db.stats().memoryBytes;
  const { bytes, collections } = countPass(operation);
  const { name, count } = operation;
  found.push({ name, count, bytes, collections, memoryBytes: db.stats().memoryBytes - memoryBefore });
}
await db.close();
process.stdout.write(JSON.stringify(found));
