/**
 * A worker dies inside the log: at every access to memory that it makes while it places a record, seals and accepts what is
 * written, publishes, or lets go of what is done with. Whoever clears up behind it goes on writing: what the log then holds is
 * what is in memory, every commit that was whole is in it, and the queue and the heap are as they should be.
 *
 * The log is a buffer here, which the drainer writes to by position; it is read back by the recovery that ships.
 */
import { expect } from "vitest";
import { encodeKey, encodeName, encodeValue, type Value } from "../../src/host/codec.js";
import { Core, type RunHandle } from "../../src/host/core.js";
import type { CoreExports } from "../../src/host/core-loader.js";
import { recover } from "../../src/host/core-reading.js";
import { eachScanned, scan, scanSort } from "../../src/host/core-scan.js";
import { logFailed } from "../../src/host/core-shared-log.js";
import { buryWorker } from "../../src/host/core-workers.js";
import { Victim } from "../support/victim.js";

export const CAPABILITIES = 7;
const [DEFERRED, BUFFERED] = [0, 1];
export const STRICT = 2;
const PAGES_MAX = 1024;
const FILE_BYTES = 4 * 1024 * 1024;
const CHAIN = 77;
const RUNS = ["a", "b", "c", "new"];

/** The core that one dies in, and that of those who go on: it may ask before each access, too, and is never held up. */
export interface Cores {
  readonly dying: WebAssembly.Module;
  readonly whole: WebAssembly.Module;
}

export function makeCore(
  { whole }: Cores,
  memory: WebAssembly.Memory,
  capabilities: number,
  canWait = true,
): { core: Core; exports: CoreExports } {
  const imports = { env: { memory }, step: { step: () => {} } };
  const exports = new WebAssembly.Instance(whole, imports).exports as CoreExports;
  const core = Core.format(exports, memory, true, {
    maxBytes: PAGES_MAX * 65536,
    seed: new Uint32Array([1, 2]),
    capabilities,
    recordBytesMax: 2 ** 25,
    canWait,
  });
  core.logBegin(0, CHAIN, 1, 0);
  return { core, exports };
}

export function newMemory(): WebAssembly.Memory {
  return new WebAssembly.Memory({ initial: 2, maximum: PAGES_MAX, shared: true });
}

/** One log, written to by whoever drains. */
export class Log {
  readonly bytes = new Uint8Array(FILE_BYTES);

  /** Writes what is queued, as far as `most` bytes at once go, and syncs it. */
  drain(core: Core, syncs = true): void {
    for (;;) {
      const position = core.logPosition;
      const bytes = core.drain(300);
      if (bytes === undefined) break;
      this.bytes.set(bytes, position);
      core.drained();
    }
    if (syncs) core.synced(core.logPosition);
  }
}

function runOf(core: Core, id: string): RunHandle {
  core.renew();
  return core.createRun(encodeName(id, 256, "The run id", core));
}

function put(core: Core, run: RunHandle, key: string, value: Value, mode: number): number {
  core.renew();
  const valueBytes = encodeValue(value, core);
  return core.put(run.pointer, run.generation, 0, encodeKey(key, core), valueBytes, mode, -1);
}

function remove(core: Core, run: RunHandle, key: string, mode: number): number {
  core.renew();
  return core.remove(run, 0, encodeKey(key, core), mode, -1);
}

/** A transaction of three writes. */
function transact(core: Core, run: RunHandle, mode: number): void {
  const pointer = core.begin(run.pointer, run.generation, 0);
  core.resultVersion();
  const generation = core.begunGeneration();
  for (const key of ["x", "k1", "y"]) {
    core.renew();
    const valueBytes = encodeValue(`in a transaction, ${key}`, core);
    core.transactionPut(pointer, generation, 0, encodeKey(key, core), valueBytes);
  }
  core.commit(pointer, generation, mode);
}

/** What a run shows: undefined where it is not there, "lost" where a worker has died in it. */
function stateOf(core: Core, id: string): unknown {
  core.renew();
  let run: RunHandle;
  try {
    run = core.resolveRun(encodeName(id, 256, "The run id", core));
  } catch (error) {
    if ((error as { code?: string }).code === "CORRUPTION") return "lost";
    throw error;
  }
  if (run.pointer === 0 || core.runVisible(run) === 0) return undefined;
  const found: [string, Value, number][] = [];
  const all = { prefixBytes: 0, startBytes: 0, endBytes: 0, reverse: false, limit: 1000 };
  expect(scan(core, run, 0, core.runVisible(run), all, true)).toBe(0);
  eachScanned(core, scanSort(core), (key, record) => found.push([key, core.value(record), core.versionOf(record)]));
  return { version: core.runVisible(run), count: core.runCount(run, false), kv: core.runCount(run, true), found };
}

export interface Action {
  readonly name: string;
  /** What others have queued before. */
  readonly before?: (core: Core, log: Log) => void;
  readonly act: (victim: Victim, log: Log, runs: readonly RunHandle[]) => void;
}

function queueMany(core: Core, count: number, mode: number): void {
  for (let i = 0; i < count; i++) put(core, runOf(core, i % 2 === 0 ? "b" : "c"), `q${i % 40}`, i, mode);
}

export const ACTIONS: readonly Action[] = [
  { name: "a strict put", act: ({ core }, _, [a]) => put(core, a as RunHandle, "k1", "by the dead", STRICT) },
  {
    name: "a deferred put of a new key",
    act: ({ core }, _, [a]) => put(core, a as RunHandle, "new", "by the dead", DEFERRED as number),
  },
  {
    name: "a deferred put where the ring is full",
    before: (core) => queueMany(core, 63, DEFERRED as number),
    act: ({ core }, _, [a]) => {
      for (let i = 0; i < 3; i++) put(core, a as RunHandle, `new-${i}`, "by the dead", DEFERRED as number);
    },
  },
  {
    name: "a put that needs a chunk of its own",
    before: (core) => queueMany(core, 5, BUFFERED as number),
    act: ({ core }, _, [a]) => put(core, a as RunHandle, "large", "x".repeat(70_000), BUFFERED as number),
  },
  { name: "a deletion", act: ({ core }, _, [a]) => remove(core, a as RunHandle, "k1", BUFFERED as number) },
  { name: "a transaction", act: ({ core }, _, [a]) => transact(core, a as RunHandle, BUFFERED as number) },
  { name: "a deferred transaction", act: ({ core }, _, [a]) => transact(core, a as RunHandle, DEFERRED as number) },
  {
    name: "a strict deletion of a run, and its publication",
    act: ({ core }, log, [a]) => {
      core.deleteRun(a as RunHandle, STRICT);
      log.drain(core);
    },
  },
  {
    name: "a deferred deletion of a run",
    act: ({ core }, _, [a]) => core.deleteRun(a as RunHandle, DEFERRED as number),
  },
  {
    name: "writing what others have queued",
    before: (core) => {
      queueMany(core, 5, STRICT);
      queueMany(core, 3, DEFERRED as number);
      queueMany(core, 2, BUFFERED as number);
    },
    act: ({ core }, log) => log.drain(core),
  },
  {
    name: "writing what others have queued over several chunks, and a note",
    before: (core, log) => {
      put(core, runOf(core, "b"), "large", "x".repeat(50_000), BUFFERED as number);
      put(core, runOf(core, "b"), "large", "y".repeat(60_000), BUFFERED as number);
      put(core, runOf(core, "c"), "large", "z".repeat(70_000), STRICT);
      log.drain(core, false);
      queueMany(core, 3, STRICT);
    },
    act: ({ core }, log) => {
      log.drain(core);
      core.watermark(0);
      log.drain(core);
    },
  },
  {
    name: "publishing the deletion of a run",
    before: (core, log) => {
      core.deleteRun(runOf(core, "b"), STRICT);
      log.drain(core, false);
    },
    act: ({ core }) => core.synced(core.logPosition),
  },
  {
    name: "the first commit of a run",
    act: ({ core }) => put(core, runOf(core, "new"), "k1", "by the dead", BUFFERED as number),
  },
];

/** One death; how many runs it has cost, undefined where the action came to its end. What is wrong afterwards is thrown. */
export function die(cores: Cores, action: Action, step: number): number | undefined {
  const memory = newMemory();
  const { core, exports } = makeCore(cores, memory, CAPABILITIES);
  const log = new Log();
  for (let i = 0; i < 6; i++)
    for (const id of ["a", "b", "c"]) put(core, runOf(core, id), `k${i}`, `${id}${i}`, BUFFERED as number);
  remove(core, runOf(core, "a"), "k3", STRICT);
  log.drain(core);
  const victim = new Victim(cores.dying, memory);
  const runs = ["a", "b", "c"].map((id) => runOf(victim.core, id));
  action.before?.(core, log);
  const before = new Map(RUNS.map((id) => [id, stateOf(core, id)]));
  const written = core.logPosition;
  if (!victim.run((it) => action.act(it, log, runs), step)) return undefined;
  expect(buryWorker(core, victim.core.worker, core.workerIn(victim.core.worker))).toBe(true);
  const fault = (when: string): string =>
    `${when}: ${core.verify()} at ${(exports["faultAddress"]?.() ?? 0).toString(16)}`;
  expect(fault("after the burial")).toMatch(/: 0 /);
  expect(exports["strayExtent"]?.() ?? 0, "an extent that nobody has").toBe(0);
  expect(logFailed(core), "the log has failed").toBe(false);
  expect(core.logPosition).toBeGreaterThanOrEqual(written);
  // The others go on; what was on its way when it died comes first.
  log.drain(core);
  expect(put(core, runOf(core, "other"), "after", 1, STRICT)).toBeGreaterThan(0);
  for (const id of ["b", "c"]) {
    if (stateOf(core, id) !== undefined) expect(put(core, runOf(core, id), "after", 2, STRICT)).toBeGreaterThan(0);
  }
  log.drain(core);
  expect(core.unpublished, "unpublished").toBe(0);
  expect(core.unwrittenBytes, "unwritten").toBe(0);
  expect(core.horizon).toBe(core.version());
  expect(fault("after the others went on")).toMatch(/: 0 /);
  const again = readBack(cores, log, core.logPosition);
  let lost = 0;
  for (const id of [...RUNS, "other"]) {
    const state = stateOf(core, id);
    if (state === "lost") lost++;
    else expect(stateOf(again, id), `the run ${id}`).toEqual(state);
    if (state !== "lost" || id === "new") continue;
    expect(holds(stateOf(again, id), before.get(id)), `the lost run ${id}`).toBe(true);
  }
  expect(lost).toBeLessThanOrEqual(1);
  for (const id of RUNS) if (stateOf(core, id) === "lost") banish(cores, core, log, id);
  expect(fault("after the deletion")).toMatch(/: 0 /);
  return lost;
}

/** Deletes a run that is lost: it is gone, in the log too. */
function banish(cores: Cores, core: Core, log: Log, id: string): void {
  core.renew();
  expect(core.banishRun(encodeName(id, 256, "The run id", core), STRICT)).toBeGreaterThanOrEqual(0);
  log.drain(core);
  expect(stateOf(core, id)).toBe(undefined);
  expect(stateOf(readBack(cores, log, core.logPosition), id)).toBe(undefined);
}

/** Whether a state is another one with what one commit has changed. */
function holds(now: unknown, before: unknown): boolean {
  if (now === undefined) return true;
  const entries = (state: unknown): string[] =>
    ((state as { found: unknown[] }).found ?? []).map((entry) => JSON.stringify(entry));
  const left = entries(before).filter((entry) => !entries(now).includes(entry));
  return (now as { version: number }).version >= (before as { version: number }).version && left.length <= 1;
}

function readBack(cores: Cores, log: Log, length: number): Core {
  const { core } = makeCore(cores, newMemory(), 0);
  core.stage(log.bytes.subarray(0, length));
  expect(recover(core, 0, length)).toMatchObject({ taken: length, status: 0 });
  expect(core.verify()).toBe(0);
  return core;
}
