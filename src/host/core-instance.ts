/**
 * The core of another worker, instantiated here over its memory: apart from where the core's bytes come from, which whoever was
 * given a module need not know.
 */
import { instantiate } from "@assemblyscript/loader";
import { HoldfastError } from "../errors.js";

/** The raw exports of the core. */
export type CoreExports = Record<string, (...numbers: number[]) => number>;

/**
 * Instantiates the core of another worker over its memory.
 * @throws HoldfastError `INVALID_ARGUMENT` if the module is no core for shared memory.
 */
export async function instantiateCore(module: WebAssembly.Module, memory: WebAssembly.Memory): Promise<CoreExports> {
  try {
    return (await instantiate(module, { env: { memory } })).instance.exports as CoreExports;
  } catch (cause) {
    throw new HoldfastError("INVALID_ARGUMENT", "The handle's module is no core over shared memory.", { cause });
  }
}
