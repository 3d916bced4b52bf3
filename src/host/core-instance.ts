/**
 * The core of another worker, instantiated here over its memory: apart from where the core's bytes come from, which whoever was
 * given a module need not know.
 */
import { instantiateSync } from "@assemblyscript/loader";
import { HoldfastError } from "../errors.js";

/** The raw exports of the core. */
export type CoreExports = Record<string, (...numbers: number[]) => number>;

/** Growth takes much longer than an instance is in danger to miss it. */
const ATTEMPTS_MAX = 100;

/**
 * Instantiates the core of another worker over its memory. Where that has been grown meanwhile an instance may not know of it, and
 * would trap at what lies there: then another one is made.
 * @throws HoldfastError `INVALID_ARGUMENT` if the module is no core for shared memory; `BUSY` if the memory was grown every time.
 */
export function instantiateCore(module: WebAssembly.Module, memory: WebAssembly.Memory): CoreExports {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const exports = instantiateOnce(module, memory);
    // A core that cannot be asked is another one's, which is told where its interface is looked at.
    if (exports["knowsMemory"]?.() !== 0) return exports;
  }
  throw new HoldfastError("BUSY", "The memory is grown all the time. Try again once the others write less.");
}

function instantiateOnce(module: WebAssembly.Module, memory: WebAssembly.Memory): CoreExports {
  try {
    return instantiateSync(module, { env: { memory } }).instance.exports as CoreExports;
  } catch (cause) {
    throw new HoldfastError("INVALID_ARGUMENT", "The handle's module is no core over shared memory.", { cause });
  }
}
