/**
 * The child whose allocations are measured: `node … allocations-child.mjs steady|costs single|shared`. It writes one line
 * of JSON with what it has found; around what is to be watched from outside it writes the marks "begin" and "end".
 *
 * Whatever is measured has been done before, until the compiler has nothing left to do with it.
 */
import { writeSync } from "node:fs";
import { PerformanceObserver, performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { getHeapStatistics } from "node:v8";
import { Database } from "../../dist/index.js";

const [what, memory] = process.argv.slice(2);
const mark = (text) => writeSync(1, `${text}\n`);

const KEYS = Array.from({ length: 1000 }, (_, i) => `key ${i}`);
const WARM_UPS = 40;
const WARM_UP_OPERATIONS = 50_000;
const MEASUREMENTS = 3;

/** When collections began, in milliseconds of `performance.now`. */
const collectedAtMs = [];
new PerformanceObserver((list) => {
  for (const { startTime } of list.getEntries()) collectedAtMs.push(startTime);
}).observe({ entryTypes: ["gc"] });

const db = await Database.open({ durability: "in-memory", shared: memory === "shared" });
const run = db.run("r");
const { kv } = run;
const fractions = db.run("fractions").kv;
const body = (tx) => {
  tx.kv.put("key 1", 1);
};
const empty = () => {};

/** Each does one thing `count` times. What it reads goes into `sum`, so that no read is left out. */
let sum = 0;
const operations = {
  nothing: (count) => {
    for (let i = 0; i < count; i++) sum = (sum + i) & 0xffff;
  },
  "an object of three fields": (count) => {
    for (let i = 0; i < count; i++) kept[i & 7] = { a: i & 7, b: sum, c: 1 };
  },
  "kv.get": (count) => {
    for (let i = 0; i < count; i++) sum = (sum + kv.get(KEYS[i % 1000])) & 0xffff;
  },
  "kv.put": (count) => {
    for (let i = 0; i < count; i++) kv.put(KEYS[i % 1000], i & 0xffff);
  },
  "kv.has": (count) => {
    for (let i = 0; i < count; i++) if (kv.has(KEYS[i % 1000])) sum = (sum + 1) & 0xffff;
  },
  "kv.get of nothing": (count) => {
    for (let i = 0; i < count; i++) if (kv.get("never") === undefined) sum = (sum + 1) & 0xffff;
  },
  "kv.delete and kv.put": (count) => {
    for (let i = 0; i < count; i++) {
      kv.delete(KEYS[i % 1000]);
      kv.put(KEYS[i % 1000], i & 0xff);
    }
  },
  "kv.get of a fraction": (count) => {
    for (let i = 0; i < count; i++) if (fractions.get(KEYS[i % 1000]) > 0.75) sum = (sum + 1) & 0xffff;
  },
  "kv.put of a fraction": (count) => {
    for (let i = 0; i < count; i++) fractions.put(KEYS[i % 1000], (i % 1000) + 0.5);
  },
  "run.transaction": (count) => {
    for (let i = 0; i < count; i++) run.transaction(empty);
  },
  "run.transaction with a put": (count) => {
    for (let i = 0; i < count; i++) run.transaction(body);
  },
  "run.begin, a put, commit": (count) => {
    for (let i = 0; i < count; i++) {
      const transaction = run.begin();
      transaction.kv.put("key 1", 1);
      transaction.commit();
    }
  },
  "run.begin, rollback": (count) => {
    for (let i = 0; i < count; i++) run.begin().rollback();
  },
  "a put in an open transaction": (count) => {
    const transaction = run.begin();
    const inside = transaction.kv;
    for (let i = 0; i < count; i++) inside.put(KEYS[i % 1000], i & 0xffff);
    transaction.rollback();
  },
  "a get in an open transaction": (count) => {
    const transaction = run.begin();
    const inside = transaction.kv;
    for (let i = 0; i < count; i++) sum = (sum + inside.get(KEYS[i % 1000])) & 0xffff;
    transaction.rollback();
  },
  "run.snapshot, dispose": (count) => {
    for (let i = 0; i < count; i++) run.snapshot().dispose();
  },
  "run.snapshot, a get, dispose": (count) => {
    for (let i = 0; i < count; i++) {
      const snapshot = run.snapshot();
      sum = (sum + snapshot.kv.get("key 1")) & 0xffff;
      snapshot.dispose();
    }
  },
  "db.snapshot, dispose": (count) => {
    for (let i = 0; i < count; i++) db.snapshot().dispose();
  },
  "a get on an open snapshot": (count) => {
    const snapshot = run.snapshot();
    const inside = snapshot.kv;
    for (let i = 0; i < count; i++) sum = (sum + inside.get(KEYS[i % 1000])) & 0xffff;
    snapshot.dispose();
  },
};
const kept = [];

async function warmUp(names) {
  for (let i = 0; i < WARM_UPS; i++) {
    for (const name of names) operations[name](WARM_UP_OPERATIONS);
    // What was compiled beside is put in place between two turns.
    await sleep(i < WARM_UPS - 5 ? 0 : 20);
  }
}

/** What a loop leaves: bytes of the heap, bytes of the arena, and how often memory was collected meanwhile. */
async function measure(loop) {
  const begun = { ms: 0, heap: 0 };
  const ended = { ms: 0, heap: 0 };
  const arenaBefore = db.stats();
  // Asking allocates as well: twice before, so that what one asking takes can be taken off.
  let asking = getHeapStatistics().used_heap_size;
  asking = getHeapStatistics().used_heap_size - asking;
  begun.ms = performance.now();
  begun.heap = getHeapStatistics().used_heap_size;
  loop();
  ended.heap = getHeapStatistics().used_heap_size;
  ended.ms = performance.now();
  const arenaAfter = db.stats();
  await sleep(20);
  return {
    heapBytes: ended.heap - begun.heap - asking,
    memoryBytes: arenaAfter.memoryBytes - arenaBefore.memoryBytes,
    memoryFreeBytes: arenaAfter.memoryFreeBytes - arenaBefore.memoryFreeBytes,
    arenaBytes: arenaAfter.liveBytes + arenaAfter.deadBytes - arenaBefore.liveBytes - arenaBefore.deadBytes,
    collections: collectedAtMs.filter((at) => at >= begun.ms && at <= ended.ms).length,
    ms: ended.ms - begun.ms,
  };
}

for (let i = 0; i < 1000; i++) {
  kv.put(KEYS[i], i);
  fractions.put(KEYS[i], i + 0.5);
}

/** The least of several measurements: the first of them also pays for what is done once. */
async function measureAgain(loop) {
  let least = await measure(loop);
  for (let i = 1; i < MEASUREMENTS; i++) {
    const found = await measure(loop);
    if (found.heapBytes >= 0 && found.heapBytes < least.heapBytes) least = found;
  }
  return least;
}

const actions = {
  /** Implicit operations on small integers, two million in all. */
  async steady() {
    const names = ["kv.get", "kv.put", "kv.has", "kv.delete and kv.put"];
    const loop = () => {
      for (let round = 0; round < 10; round++) {
        for (const name of names) operations[name](WARM_UP_OPERATIONS);
      }
    };
    await warmUp(names);
    for (let i = 0; i < MEASUREMENTS; i++) await measure(loop);
    mark(`begin ${process.pid}`);
    loop();
    mark("end");
    await sleep(20);
    return { ...(await measure(loop)), operations: 10 * names.length * WARM_UP_OPERATIONS };
  },

  /** Bytes for each operation, of 200,000. */
  async costs() {
    const count = 200_000;
    const costs = {};
    for (const [name, operation] of Object.entries(operations)) {
      await warmUp([name]);
      globalThis.gc();
      const found = await measureAgain(() => operation(count));
      costs[name] = { ...found, bytesEach: found.heapBytes / count };
    }
    return costs;
  },
};

const found = await actions[what]();
mark(JSON.stringify(found));
process.exit(0);
