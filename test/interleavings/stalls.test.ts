/**
 * A worker is held still in the middle of anything, and then let go: while it is, others get on with what it does not hold, or
 * are told BUSY and have changed nothing; nobody takes from it what it holds. Afterwards it goes on as if nothing had been, and
 * so do they.
 *
 * Those who wait are not allowed to sleep, so that they are told after milliseconds and not after seconds; once somebody sleeps,
 * and the worker is held for ten seconds.
 */
import { Worker } from "node:worker_threads";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { encodeKey, encodeName, encodeValue, type Value } from "../../src/host/codec.js";
import { Core, type RunHandle } from "../../src/host/core.js";
import type { CoreExports } from "../../src/host/core-loader.js";
import { scanSort, transactionScan } from "../../src/host/core-scan.js";
import { logFailed } from "../../src/host/core-shared-log.js";
import { attachCore } from "../../src/host/core-workers.js";
import { HoldfastError } from "../../src/index.js";
import { SCALE } from "../support/durability-report.js";
import { everyAccessModule, lookerModule } from "../support/victim.js";

const STRIDE = Math.max(1, Math.round(7 / SCALE));
const WITH_LOG = 7;
const IN_MEMORY = 0;
const PAGES_MAX = 1024;
const HELD_MS = 10_000;
const STATUS_BUSY_LOCK = 5;
const ANSWER_MS_MAX = 10_000;
const OVERWRITES = 1_000;
const GROWTH_BYTES_MAX = 8_192;
const LARGE = "z".repeat(200_000);
const ACTIONS = ["put", "put a new key into a new run", "delete a run"];

let whole: WebAssembly.Module;
let worker: Worker;
const control = new SharedArrayBuffer(8);
const words = new Int32Array(control);

beforeAll(async () => {
  const module = await everyAccessModule();
  whole = await lookerModule();
  worker = new Worker(new URL("./stalled.mjs", import.meta.url), { workerData: { module, control } });
});

afterAll(() => worker.terminate());

function runOf(core: Core, id: string): RunHandle {
  core.renew();
  return core.createRun(encodeName(id, 256, "The run id", core));
}

function put(core: Core, id: string, key: string, value: Value): number {
  const run = runOf(core, id);
  core.renew();
  const valueBytes = encodeValue(value, core);
  return core.put(run.pointer, run.generation, 0, encodeKey(key, core), valueBytes, 0, -1);
}

function remove(core: Core, id: string, key: string): void {
  const run = runOf(core, id);
  core.renew();
  expect(core.remove(run, 0, encodeKey(key, core), 0, -1)).toBeGreaterThan(0);
}

function get(core: Core, id: string, key: string): Value | undefined {
  const run = runOf(core, id);
  core.renew();
  const record = core.get(run.pointer, run.generation, 0, encodeKey(key, core));
  if (record === STATUS_BUSY_LOCK) throw new HoldfastError("BUSY", "read");
  return record < 64 ? undefined : core.value(record);
}

/** How many keys a run has, as a transaction finds them that begins and ends with that; or a status negated. */
function countInTransaction(core: Core, id: string): number {
  const run = runOf(core, id);
  const pointer = core.begin(run.pointer, run.generation, 0);
  core.resultVersion();
  const generation = core.begunGeneration();
  const all = { prefixBytes: 0, startBytes: 0, endBytes: 0, reverse: false, limit: 1000 };
  const status = transactionScan(core, pointer, generation, 0, all, true);
  const count = status === 0 ? scanSort(core) : -status;
  core.end(pointer, generation);
  return count;
}

interface Held {
  readonly memory: WebAssembly.Memory;
  readonly core: Core;
  readonly exports: CoreExports;
  /** What it was told, once it has been let go. */
  letGo(): Promise<{ version: number; wasHeld: boolean }>;
}

/** Has the worker begin an action over a new memory, and stop at an access; undefined where it has come to its end before. */
async function hold(action: string, at: number, canWait: boolean, capabilities = WITH_LOG): Promise<Held | undefined> {
  const memory = new WebAssembly.Memory({ initial: 2, maximum: PAGES_MAX, shared: true });
  const exports = new WebAssembly.Instance(whole, { env: { memory } }).exports as CoreExports;
  const core = Core.format(exports, memory, true, {
    maxBytes: PAGES_MAX * 65536,
    seed: new Uint32Array([1, 2]),
    capabilities,
    recordBytesMax: 2 ** 25,
    canWait,
  });
  for (let i = 0; i < 5; i++) for (const id of ["a", "b"]) put(core, id, i === 0 ? "key" : `key-${i}`, i);
  words.fill(0);
  const told = new Promise<{ version: number; wasHeld: boolean }>((resolve) => worker.once("message", resolve));
  worker.postMessage({ memory, action, at });
  while (Atomics.load(words, 0) === 0) {
    if (Atomics.wait(words, 0, 0, ANSWER_MS_MAX) === "timed-out") throw new Error("the worker does not answer");
  }
  if (Atomics.load(words, 0) === 2) {
    await told;
    return undefined;
  }
  const letGo = (): typeof told => {
    Atomics.store(words, 1, 1);
    Atomics.notify(words, 1);
    return told;
  };
  return { memory, core, exports, letGo };
}

/** Whether something was done; otherwise it was told BUSY. */
function tried(action: () => number | undefined): boolean {
  let status: number | undefined;
  try {
    status = action();
  } catch (error) {
    if (HoldfastError.is(error, "BUSY")) return false;
    throw error;
  }
  if (status === undefined || status > 0) return true;
  // Behind the deletion of its run nothing can be written before that is published.
  expect([-STATUS_BUSY_LOCK, -4, -10]).toContain(status);
  return false;
}

interface Counts {
  done: number;
  busy: number;
}

/** What others do meanwhile. */
function goOn({ memory, core }: Held, round: number, counts: Counts, untilMs = Number.POSITIVE_INFINITY): void {
  const acts = [
    () => put(core, "a", `others-${round}`, round),
    () => put(core, "b", `others-${round}`, round),
    () => put(core, `more-${round}`, "key", "y".repeat(3000)),
    () => {
      const value = get(core, "a", "key");
      expect([0, undefined, "by the one that was held"]).toContain(value);
      return undefined;
    },
    () => {
      expect(get(core, "b", "key")).toBe(0);
      return undefined;
    },
    () => {
      core.dropSnapshot(core.takeSnapshot(0, 0, true), 0, 0);
      return undefined;
    },
    () => {
      while (core.drain(4096) !== undefined) core.drained();
      return undefined;
    },
    // Each is the first of its kind, and needs memory.
    () => {
      core.renew();
      encodeValue(LARGE, core);
      return put(core, "b", "large", LARGE);
    },
    () => countInTransaction(core, "b"),
    () => {
      const exports = new WebAssembly.Instance(whole, { env: { memory } }).exports as CoreExports;
      attachCore(exports, memory, undefined, false).leave();
      return undefined;
    },
  ];
  for (const act of acts) {
    if (performance.now() > untilMs) return;
    if (tried(act)) counts.done++;
    else counts.busy++;
  }
}

function expectSound({ core, exports }: Held): void {
  for (let i = 0; i < 3; i++) {
    expect(put(core, "a", "after", i)).toBeGreaterThan(0);
    expect(put(core, "b", "after", i)).toBeGreaterThan(0);
  }
  while (core.drain(4096) !== undefined) core.drained();
  core.synced(core.logPosition);
  expect(core.unpublished).toBe(0);
  expect(core.horizon).toBe(core.version());
  expect(logFailed(core)).toBe(false);
  const fault = core.verify();
  expect(fault, `verify() at ${(exports["faultAddress"]?.() ?? 0).toString(16)}`).toBe(0);
}

describe("a worker that is held still and let go harms nothing", () => {
  it.each(ACTIONS)("%s", async (action) => {
    const counts = { done: 0, busy: 0 };
    let holds = 0;
    for (let at = 1; ; at += STRIDE) {
      const held = await hold(action, at, false);
      if (held === undefined) break;
      holds++;
      goOn(held, 0, counts);
      const { version, wasHeld } = await held.letGo();
      expect(wasHeld).toBe(true);
      // It had its way, or it met what others had begun to delete.
      expect(version, `held at access ${at}`).toBeGreaterThan(0);
      expectSound(held);
    }
    console.info(
      `${action}: held at ${holds} accesses; others did ${counts.done} things and were told BUSY ${counts.busy} times`,
    );
    expect(holds).toBeGreaterThan(5);
    expect(counts.busy).toBeGreaterThan(0);
    expect(counts.done).toBeGreaterThan(0);
  });

  it("in a commit in memory, while another run is written over and over: its memory does not grow", async () => {
    let holds = 0;
    for (let at = 1; ; at += STRIDE) {
      const held = await hold("put", at, false, IN_MEMORY);
      if (held === undefined) break;
      const { core } = held;
      // Where it has the directory, nobody comes to a run.
      if (!tried(() => put(core, "b", "key", 0))) {
        await held.letGo();
        continue;
      }
      holds++;
      const before = core.use().usedBytes;
      for (let i = 0; i < OVERWRITES; i++) put(core, "b", "key", i);
      const snapshot = core.takeSnapshot(0, 0, false);
      for (let i = 0; i < OVERWRITES; i++) put(core, "b", "key", -i);
      for (let i = 0; i < OVERWRITES; i++) {
        put(core, "b", `passing-${i}`, i);
        remove(core, "b", `passing-${i}`);
      }
      // What is held, what can still come to be, and what the last looks have not come to.
      expect(core.use().usedBytes - before, `held at access ${at}`).toBeLessThan(GROWTH_BYTES_MAX);
      core.dropSnapshot(snapshot, 0, 0);
      const { version } = await held.letGo();
      expect(version, `held at access ${at}`).toBeGreaterThan(0);
      for (let i = 0; i < 3; i++) expect(put(core, "a", "after", i)).toBeGreaterThan(0);
      expect(core.horizon).toBe(core.version());
      expect(core.verify()).toBe(0);
    }
    expect(holds).toBeGreaterThan(5);
  });

  it("for ten seconds in the middle of the log, while others sleep in front of it", async () => {
    const counts = { done: 0, busy: 0 };
    // Found by its effect: nobody gets into the log.
    for (let at = 60; ; at += 10) {
      const held = await hold("put", at, true);
      if (held === undefined) throw new Error("it was never in the log");
      const beganMs = performance.now();
      const isInLog = !tried(() => put(held.core, "b", "key-1", "by another"));
      if (!isInLog) {
        await held.letGo();
        continue;
      }
      while (performance.now() - beganMs < HELD_MS) goOn(held, 1, counts, beganMs + HELD_MS);
      const { version } = await held.letGo();
      expect(version).toBeGreaterThan(0);
      expectSound(held);
      expect(get(held.core, "a", "key")).toBe("by the one that was held");
      break;
    }
    expect(counts.busy).toBeGreaterThan(0);
  });
});
