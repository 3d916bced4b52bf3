/**
 * A worker that is held still at an access to memory of the test's choice, until it is let go, and then goes on as if nothing
 * had been. It says how many accesses an action has.
 */
import { parentPort, workerData } from "node:worker_threads";
import { encodeKey, encodeName, encodeValue } from "../../dist/host/codec.js";
import { attachCore } from "../../dist/host/core-workers.js";

const { module, control } = workerData;
/** Whether it is held, and whether it has been let go. */
const words = new Int32Array(control);
let left = Number.POSITIVE_INFINITY;

function step() {
  if (--left !== 0) return;
  Atomics.store(words, 0, 1);
  Atomics.notify(words, 0);
  Atomics.wait(words, 1, 0);
}

function put(core, run, key, value, mode) {
  core.renew();
  const valueBytes = encodeValue(value, core);
  return core.put(run.pointer, run.generation, 0, encodeKey(key, core), valueBytes, mode, -1);
}

function runOf(core, id) {
  core.renew();
  return core.createRun(encodeName(id, 256, "The run id", core));
}

const ACTIONS = {
  put: (core) => put(core, runOf(core, "a"), "key", "by the one that was held", 0),
  "put a new key into a new run": (core) => put(core, runOf(core, "new"), "key", "x".repeat(70_000), 0),
  "delete a run": (core) => core.deleteRun(runOf(core, "a"), 0),
};

parentPort.on("message", ({ memory, action, at }) => {
  const { exports } = new WebAssembly.Instance(module, { env: { memory }, step: { step } });
  const core = attachCore(exports, memory, undefined, true);
  left = at;
  const version = ACTIONS[action](core);
  // What was not come to is not held.
  const wasHeld = left <= 0;
  left = Number.POSITIVE_INFINITY;
  core.leave();
  Atomics.store(words, 0, 2);
  Atomics.notify(words, 0);
  parentPort.postMessage({ version, wasHeld });
});
