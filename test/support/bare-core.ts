/**
 * A core without a database around it, for tests that look at what no handle shows: raw exports, refused growth.
 */

import { encodeKey, encodeValue, type Value } from "../../src/host/codec.js";
import { Core } from "../../src/host/core.js";
import { type CoreExports, loadCore } from "../../src/host/core-loader.js";
import { type Build, moduleOf } from "./builds.js";

export interface BareCore {
  readonly core: Core;
  readonly exports: CoreExports;
}

const PAGES_MAX = 8192;

/** Formats a core, in memory only or for a storage of these capabilities, its hash seeded with `seed`. */
export async function bareCore(build: Build, seed = 1, capabilities = 0): Promise<BareCore> {
  const memory = new WebAssembly.Memory({ initial: 2, maximum: PAGES_MAX, shared: build.shared });
  const { exports } = await loadCore(await moduleOf(build), memory, build.shared);
  const limits = {
    maxBytes: PAGES_MAX * 65536,
    seed: new Uint32Array([seed, seed]),
    capabilities,
    recordBytesMax: 2 ** 25,
    canWait: true,
  };
  return { core: Core.format(exports, memory, build.shared, limits), exports };
}

/** Makes or finds a run. */
export function runOf(core: Core, name: string): { pointer: number; generation: number } {
  core.renew();
  return core.createRun(encodeKey(name, core));
}

/** Puts into the key-values of a run; the version or a status negated. */
export function put(core: Core, run: { pointer: number; generation: number }, key: string, value: Value): number {
  core.renew();
  const valueBytes = encodeValue(value, core);
  return core.put(run.pointer, run.generation, 0, encodeKey(key, core), valueBytes, 0, -1);
}

/** The value of a key, `undefined` if there is none. */
export function get(core: Core, run: { pointer: number; generation: number }, key: string): Value | undefined {
  core.renew();
  const record = core.get(run.pointer, run.generation, 0, encodeKey(key, core));
  return record === 0 ? undefined : core.value(record);
}
