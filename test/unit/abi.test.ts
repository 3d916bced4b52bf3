/**
 * The host and the core agree: on every number, on what a module needs, and on where the counters stand.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import * as abi from "../../src/host/abi.js";
import { Core } from "../../src/host/core.js";
import { loadCore } from "../../src/host/core-loader.js";
import { Database } from "../../src/index.js";
import { BUILDS, bytesOf, moduleOf } from "../support/builds.js";

const DATA_SECTION = 11;
const CONSTANT = /^export const (\w+): \w+ = (\w+);$/gm;

/** The ids of a module's sections: after 8 bytes of magic and version each is an id, a LEB128 length and its content. */
function sectionsOf(bytes: Uint8Array): number[] {
  const sections: number[] = [];
  for (let at = 8; at < bytes.length; ) {
    sections.push(bytes[at++] as number);
    let length = 0;
    for (let shift = 0, more = true; more; shift += 7) {
      const byte = bytes[at++] as number;
      length += (byte & 0x7f) * 2 ** shift;
      more = byte >= 0x80;
    }
    at += length;
  }
  return sections;
}

describe("the numbers of the ABI", () => {
  it("are the same in the host and in the core, name by name", async () => {
    const source = await readFile(join(import.meta.dirname, "../../assembly/constants.ts"), "utf8");
    const ofCore = new Map([...source.matchAll(CONSTANT)].map(([, name, value]) => [name, BigInt(value as string)]));
    const declared = [...source.matchAll(/^export const (\w+)/gm)].map(([, name]) => name);
    expect([...ofCore.keys()], "every constant of the core can be read").toEqual(declared);
    const ofHost = new Map(Object.entries(abi).map(([name, value]) => [name, BigInt(value)]));
    expect(Object.fromEntries(ofHost)).toEqual(Object.fromEntries(ofCore));
  });
});

describe.each(BUILDS)("the $name module", (build) => {
  it("imports the memory and nothing else", async () => {
    const imports = WebAssembly.Module.imports(await moduleOf(build));
    expect(imports).toEqual([{ module: "env", name: "memory", kind: "memory" }]);
  });

  it.skipIf(build.debug)("has no data that instantiating would write again", async () => {
    expect(sectionsOf(await bytesOf(build))).not.toContain(DATA_SECTION);
  });

  it("keeps its version counter where the host reads it", async () => {
    const memory = new WebAssembly.Memory({ initial: 2, maximum: 64, shared: build.shared });
    const { exports } = await loadCore(await moduleOf(build), memory, build.shared);
    const seed = new Uint32Array(2);
    const limits = { maxBytes: 64 * 65536, seed, capabilities: 0, recordBytesMax: 1e6, canWait: true };
    const core = Core.format(exports, memory, build.shared, limits);
    expect(core.version()).toBe(0);
    core.versionRaise(2 ** 40 + 7);
    expect(core.version()).toBe(2 ** 40 + 7);
    expect(core.horizon).toBe(2 ** 40 + 7);
  });

  it("counts versions as the database tells them", async () => {
    const options = {
      wasm: await moduleOf(build),
      shared: build.shared,
      durability: "in-memory",
      maxBytes: 2 ** 22,
    } as const;
    await using db = await Database.open(options);
    expect([1, 2, 3].map((value) => db.run("a").kv.put("k", value))).toEqual([1, 2, 3]);
    expect(db.version).toBe(3);
  });
});
