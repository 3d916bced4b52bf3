/** A run is deleted at an access of somebody's who is beginning an asynchronous transaction on it. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { BEGIN_INSTALLED, MODE_BUFFERED, MODE_STRICT } from "../../src/host/abi.js";
import { encodeKey, encodeName, encodeValue } from "../../src/host/codec.js";
import { Core, type RunHandle } from "../../src/host/core.js";
import type { CoreExports } from "../../src/host/core-loader.js";
import { HoldfastError } from "../../src/index.js";
import { everyAccessModule, Victim } from "../support/victim.js";

const PAGES_MAX = 256;
const WITH_LOG = 7;
const STATUS_LIMIT = 64;
const VALUE = "what is read as of the beginning";

function runOf(core: Core, id: string): RunHandle {
  core.renew();
  return core.createRun(encodeName(id, 256, "The run id", core));
}

function put(core: Core, id: string, value: string): void {
  const run = runOf(core, id);
  core.renew();
  const valueBytes = encodeValue(value, core);
  core.put(run.pointer, run.generation, 0, encodeKey("key", core), valueBytes, MODE_BUFFERED, -1);
}

/** Writes and syncs all that is queued, and gives back what can be given back. */
function settle(core: Core): void {
  while (core.drain(4096) !== undefined) core.drained();
  core.synced(core.logPosition);
  core.dropSnapshot(core.takeSnapshot(0, 0, false), 0, 0);
}

it("the transaction reads the run as it was, or is refused", async () => {
  // It read that the run was not marked, then as its newest version the deletion's, and stood behind the run's end: what it read was
  // given back under it.
  const every = await everyAccessModule();
  const whole = await WebAssembly.compile(readFileSync("build/shared-debug.wasm"));
  const counts = { read: 0, deleted: 0 };
  for (let step = 0, more = true; more; step++) {
    const memory = new WebAssembly.Memory({ initial: 2, maximum: PAGES_MAX, shared: true });
    const exports = new WebAssembly.Instance(whole, { env: { memory } }).exports as CoreExports;
    const core = Core.format(exports, memory, true, {
      maxBytes: PAGES_MAX * 65536,
      seed: new Uint32Array([1, 2]),
      capabilities: WITH_LOG,
      recordBytesMax: 2 ** 24,
      canWait: false,
    });
    put(core, "run", VALUE);
    settle(core);
    const victim = new Victim(every, memory);
    const { core: begins } = victim;
    const run = victim.runOf("run");
    let deleted = 0;
    more = false;
    victim.onStep = (taken) => {
      if (taken !== step) return;
      more = true;
      try {
        deleted = core.deleteRun(runOf(core, "run"), MODE_STRICT);
      } catch (error) {
        if (!HoldfastError.is(error, "BUSY")) throw error;
      }
    };
    let context = 0;
    victim.run(() => {
      context = begins.begin(run.pointer, run.generation, BEGIN_INSTALLED);
    });
    victim.onStep = undefined;
    if (deleted > 0) counts.deleted++;
    settle(core);
    for (let i = 0; i < 4; i++) put(core, `other-${i}`, "y".repeat(3_000));
    settle(core);
    if (context < STATUS_LIMIT) continue;
    const generation = begins.begunGeneration();
    begins.renew();
    const record = begins.transactionGet(context, generation, 0, encodeKey("key", begins));
    expect(record, `deleted at access ${step}`).toBeGreaterThan(STATUS_LIMIT);
    expect(begins.value(record), `deleted at access ${step}`).toBe(VALUE);
    counts.read++;
    begins.end(context, generation);
    expect(core.verify(), `deleted at access ${step}`).toBe(0);
  }
  expect(counts.read).toBeGreaterThan(20);
  expect(counts.deleted).toBeGreaterThan(20);
});
