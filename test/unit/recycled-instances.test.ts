/**
 * What tests recycle instead of making anew differs in nothing from what is new: over a wiped memory a renewed instance of the core
 * does what a new one does, to the last byte.
 */
import { expect, test } from "vitest";
import { Core } from "../../src/host/core.js";
import type { CoreExports } from "../../src/host/core-instance.js";
import { SINGLE, SINGLE_DEBUG } from "../support/builds.js";
import { RecycledInstance, recyclableModuleOf } from "../support/recycled-instances.js";

const OPTIONS = {
  maxBytes: 1024 * 1024,
  seed: Uint32Array.of(1, 2),
  capabilities: 0,
  recordBytesMax: 1,
  canWait: false,
};

/** Whatever the core keeps outside of its memory, as it is. */
function globalsOf({ exports }: WebAssembly.Instance): unknown[] {
  return Object.values(exports).flatMap((one) => (one instanceof WebAssembly.Global ? [one.value] : []));
}

function format({ exports }: WebAssembly.Instance, memory: WebAssembly.Memory): Core {
  return Core.format(exports as CoreExports, memory, false, OPTIONS);
}

test.each([SINGLE, SINGLE_DEBUG])("a renewed instance of $name over a wiped memory is as a new one", async (build) => {
  const module = await recyclableModuleOf(build);
  const memories = [0, 1].map(() => new WebAssembly.Memory({ initial: 16, maximum: 16 })) as [
    WebAssembly.Memory,
    WebAssembly.Memory,
  ];
  const [used, fresh] = memories.map((memory) => new RecycledInstance(module, memory)) as [
    RecycledInstance,
    RecycledInstance,
  ];
  const atFirst = globalsOf(used.instance);
  const core = format(used.instance, memories[0]);
  expect(core.verify()).toBe(0);
  expect(globalsOf(used.instance)).not.toEqual(atFirst);

  new Uint8Array(memories[0].buffer).fill(0);
  used.renew();
  expect(globalsOf(used.instance)).toEqual(atFirst);
  expect(globalsOf(used.instance)).toEqual(globalsOf(fresh.instance));
  for (const [index, one] of [used, fresh].entries()) format(one.instance, memories[index] as WebAssembly.Memory);
  expect(globalsOf(used.instance)).toEqual(globalsOf(fresh.instance));
  expect(Buffer.compare(Buffer.from(memories[0].buffer), Buffer.from(memories[1].buffer))).toBe(0);
});
