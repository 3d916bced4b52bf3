/** A worker publishes what was written, and at each of its accesses another one asks how many entries a run has. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { MODE_BUFFERED } from "../../src/host/abi.js";
import { encodeKey, encodeName, encodeValue } from "../../src/host/codec.js";
import { Core, type RunHandle } from "../../src/host/core.js";
import type { CoreExports } from "../../src/host/core-loader.js";
import { everyAccessModule, Victim } from "../support/victim.js";

const PAGES_MAX = 256;
const WITH_LOG = 7;
const STATUS_LIMIT = 64;
const COMMITS = 4;
const ABOUT_A_RECORD = 80;

function runOf(core: Core): RunHandle {
  core.renew();
  return core.createRun(encodeName("run", 256, "The run id", core));
}

function put(core: Core, key: string): void {
  const run = runOf(core);
  core.renew();
  const valueBytes = encodeValue(key, core);
  core.put(run.pointer, run.generation, 0, encodeKey(key, core), valueBytes, MODE_BUFFERED, -1);
}

function has(core: Core, run: RunHandle, key: string): boolean {
  core.renew();
  return core.get(run.pointer, run.generation, 0, encodeKey(key, core)) >= STATUS_LIMIT;
}

it("as many entries are counted as can be read", async () => {
  // The version was seen before the counts were those of it: a key was there that was not counted.
  const every = await everyAccessModule();
  const whole = await WebAssembly.compile(readFileSync("build/shared-debug.wasm"));
  const memory = new WebAssembly.Memory({ initial: 2, maximum: PAGES_MAX, shared: true });
  const exports = new WebAssembly.Instance(whole, { env: { memory } }).exports as CoreExports;
  const core = Core.format(exports, memory, true, {
    maxBytes: PAGES_MAX * 65536,
    seed: new Uint32Array([1, 2]),
    capabilities: WITH_LOG,
    recordBytesMax: 2 ** 24,
    canWait: true,
  });
  const keys = Array.from({ length: COMMITS }, (_, i) => `key ${i}`);
  for (const key of keys) put(core, key);
  const run = runOf(core);
  const writer = new Victim(every, memory);
  const seen = new Set<number>();
  writer.onStep = (step) => {
    const before = keys.filter((key) => has(core, run, key)).length;
    const counted = [core.runCount(run, true), core.runCount(run, false), core.liveEntries];
    expect(counted, `at access ${step}`).toEqual([before, before, before]);
    seen.add(before);
  };
  writer.run(({ core: writes }) => {
    while (writes.drain(ABOUT_A_RECORD) !== undefined) writes.drained();
  });
  writer.onStep = undefined;
  expect(seen.size).toBeGreaterThan(2);
  expect(seen).toContain(COMMITS);
  expect(core.verify()).toBe(0);
});
