/**
 * What stays behind where a worker dies as it begins a transaction, and what a call is told that has failed for want of memory
 * after another one had waited in vain.
 */
import { beforeAll, expect, it } from "vitest";
import { WORKER_FREE } from "../../src/host/abi.js";
import { encodeKey, encodeName, encodeValue, type Value } from "../../src/host/codec.js";
import { Core, type RunHandle } from "../../src/host/core.js";
import type { CoreExports } from "../../src/host/core-loader.js";
import { giveTurn, TURN_WRITE, takeTurn } from "../../src/host/core-shared-log.js";
import { buryWorker } from "../../src/host/core-workers.js";
import { HoldfastError } from "../../src/index.js";
import { everyAccessModule, lookerModule, Victim } from "../support/victim.js";

const PAGES_MAX = 256;
/** Of bytes, which are copied: a text would be encoded anew each time. */
const LARGE = new Uint8Array(1_000_000).fill(0x78);
const STATUS_STORE_FULL = 1;
/** As assembly/shared.ts numbers the locks, and the part of a lock's word that says who has it. */
const [LOCK_DIRECTORY, LOCK_ALLOCATOR, LOCK_OWNER] = [2, 3, 0xff];

let every: WebAssembly.Module;
let whole: WebAssembly.Module;

beforeAll(async () => {
  every = await everyAccessModule();
  whole = await lookerModule();
});

function scene(): { core: Core; memory: WebAssembly.Memory; victim: Victim } {
  const memory = new WebAssembly.Memory({ initial: 2, maximum: PAGES_MAX, shared: true });
  const exports = new WebAssembly.Instance(whole, { env: { memory } }).exports as CoreExports;
  const core = Core.format(exports, memory, true, {
    maxBytes: PAGES_MAX * 65536,
    seed: new Uint32Array([1, 2]),
    capabilities: 0,
    recordBytesMax: 2 ** 24,
    canWait: false,
  });
  return { core, memory, victim: new Victim(every, memory) };
}

function runOf(core: Core, id: string): RunHandle {
  core.renew();
  return core.createRun(encodeName(id, 256, "The run id", core));
}

function put(core: Core, id: string, value: Value): number {
  const run = runOf(core, id);
  core.renew();
  const valueBytes = encodeValue(value, core);
  return core.put(run.pointer, run.generation, 0, encodeKey("key", core), valueBytes, 0, -1);
}

/** The word of a lock. */
function wordOf(core: Core, memory: WebAssembly.Memory, index: number): number {
  const address = core.call("lockAddress", index) >>> 0;
  return new Uint32Array(memory.buffer)[address / 4] as number;
}

/** Whether it is a worker who has the allocator. */
function hasAllocator(core: Core, memory: WebAssembly.Memory, { core: { worker } }: Victim): boolean {
  return (wordOf(core, memory, LOCK_ALLOCATOR) & LOCK_OWNER) === worker + 1;
}

function usedBytes(core: Core): number {
  const { bytes, freeBytes } = core.memoryUse();
  return bytes - freeBytes;
}

/** Whether it has died as it took the run away again. */
function isLost(core: Core, id: string): boolean {
  try {
    runOf(core, id);
    return false;
  } catch (error) {
    if (HoldfastError.is(error, "CORRUPTION")) return true;
    throw error;
  }
}

it("the memory of a run that was begun on by a worker that died of it is given back once the run is deleted", () => {
  // The run was counted a transaction that nobody ended any more: it was kept for it, with all that it had, for ever.
  let deaths = 0;
  for (let step = 0; ; step++) {
    const { core, victim } = scene();
    put(core, "before", LARGE);
    core.deleteRun(runOf(core, "before"), 0);
    const used = usedBytes(core);
    const run = runOf(victim.core, "run");
    const died = victim.run(() => {
      const transaction = victim.core.begin(run.pointer, run.generation, 0);
      victim.core.resultVersion();
      victim.core.end(transaction, victim.core.begunGeneration());
    }, step);
    if (!died) break;
    deaths++;
    expect(buryWorker(core, victim.core.worker, core.workerIn(victim.core.worker))).toBe(true);
    if (isLost(core, "run")) {
      core.renew();
      expect(core.banishRun(encodeName("run", 256, "The run id", core), 0)).toBeGreaterThanOrEqual(0);
    }
    for (let i = 0; i < 3; i++) {
      expect(put(core, "run", LARGE)).toBeGreaterThan(0);
      expect(core.deleteRun(runOf(core, "run"), 0)).toBeGreaterThan(0);
    }
    expect(core.verify(), `at access ${step}`).toBe(0);
    expect(usedBytes(core), `at access ${step}`).toBeLessThan(used + 200_000);
  }
  expect(deaths).toBeGreaterThan(20);
});

it("what a dead worker held is given back also where another one has died in the allocator, of whom that is not known yet", () => {
  // It waited for the allocator with the directory in hand, once for each buffer, and then took what it had not got for given.
  let deaths = 0;
  for (let step = 0; ; step++) {
    const { core, memory, victim } = scene();
    const other = new Victim(every, memory);
    const run = runOf(core, "run");
    put(core, "run", "small");
    const runOfOther = other.runOf("of other");
    const used = usedBytes(core);
    const pointer = victim.core.begin(run.pointer, run.generation, 0);
    victim.core.renew();
    const valueBytes = encodeValue(LARGE, victim.core);
    victim.core.transactionPut(pointer, victim.core.begunGeneration(), 0, encodeKey("key", victim.core), valueBytes);
    if (!other.run(() => other.put(runOfOther, "key", LARGE, 0), step)) break;
    if (!hasAllocator(core, memory, other)) continue;
    deaths++;
    const seen = core.workerIn(victim.core.worker);
    expect(() => buryWorker(core, victim.core.worker, seen), `at access ${step}`).toThrow(
      expect.objectContaining({ code: "BUSY" }),
    );
    expect(wordOf(core, memory, LOCK_DIRECTORY), "the directory's lock").toBe(0);
    expect(buryWorker(core, other.core.worker, core.workerIn(other.core.worker)), `at access ${step}`).toBe(true);
    for (const { worker } of [victim.core, other.core]) expect(core.workerIn(worker).state).toBe(WORKER_FREE);
    core.renew();
    if (isLost(core, "of other")) core.banishRun(encodeName("of other", 256, "The run id", core), 0);
    expect(core.verify(), `at access ${step}`).toBe(0);
    expect(usedBytes(core), `at access ${step}`).toBeLessThan(used + LARGE.length / 2);
  }
  expect(deaths).toBeGreaterThan(10);
});

it("headers of runs that were made behind a worker that died in a commit are used again once that is known", () => {
  const RUNS = 200;
  let deaths = 0;
  for (let step = 0; ; step++) {
    const { core, victim } = scene();
    const run = victim.runOf("run");
    const churn = (): number => {
      for (let i = 0; i < RUNS; i++) {
        put(core, "churned", "small");
        core.deleteRun(runOf(core, "churned"), 0);
      }
      return usedBytes(core);
    };
    const used = churn();
    if (!victim.run(() => victim.put(run, "key", "small", 0), step)) break;
    if (core.horizon === core.version()) continue;
    // Nobody can say yet whether what the dead one was committing can be seen, so that whatever is deleted stays.
    deaths++;
    expect(churn()).toBeGreaterThan(used + RUNS * 512);
    expect(buryWorker(core, victim.core.worker, core.workerIn(victim.core.worker))).toBe(true);
    const grown = churn();
    expect(churn()).toBe(grown);
    expect(core.verify(), `at access ${step}`).toBe(0);
  }
  expect(deaths).toBeGreaterThan(2);
});

it("a lack of memory is told as such, also after somebody has waited for a lock in vain", () => {
  // That somebody had waited was remembered until it was asked for: the next lack of memory was called BUSY.
  const { core, victim } = scene();
  expect(put(core, "run", "small")).toBeGreaterThan(0);
  expect(takeTurn(victim.core, TURN_WRITE)).toBe(true);
  expect(takeTurn(core, TURN_WRITE)).toBe(false);
  giveTurn(victim.core, TURN_WRITE);
  core.reserveValue(4_000_000);
  core.refuseGrowth(1);
  expect(put(core, "run", "y".repeat(4_000_000))).toBe(-STATUS_STORE_FULL);
});
