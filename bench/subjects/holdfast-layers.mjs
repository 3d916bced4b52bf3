// What lies below the public API: the core through its exports, with and without the host's codec, and the bare table.
//
// Reaches into the build by path, because nothing of this is public. Every layer is a store of its own.

import fs from "node:fs";
import { compileRawTable } from "../core/compile.mjs";

const PAGES_MAX = 32768;
const OPERATION_BYTES = 40;
const KEY_OFFSET = 8;
const VALUE_OFFSET = 24;
const RUN = "bench";
const TABLE_KV = 0;
const IN_MEMORY = 0;
const ANY_VERSION = -1;

async function formatCore(module) {
  const { Core } = await import("../../dist/host/core.js");
  const memory = new WebAssembly.Memory({ initial: 2, maximum: PAGES_MAX });
  const { exports } = await WebAssembly.instantiate(module, { env: { memory } });
  const core = Core.format(exports, memory, false, {
    maxBytes: PAGES_MAX * 65536,
    seed: new Uint32Array([0x9e3779b9, 0x7f4a7c15]),
    capabilities: 0,
    recordBytesMax: 2 ** 25,
  });
  return { core, exports };
}

function releaseModule() {
  return new WebAssembly.Module(fs.readFileSync(new URL("../../dist/single.wasm", import.meta.url)));
}

/** The release's core through `put`, its key and value encoded by the host's codec each time. */
export async function openCore() {
  const { encodeKey, encodeValue } = await import("../../dist/host/codec.js");
  const { core, exports } = await formatCore(releaseModule());
  const { pointer, generation } = core.createRun(encodeKey(RUN, core));
  const put = (key, value) => {
    core.renew();
    const valueBytes = encodeValue(value, core);
    const keyBytes = encodeKey(key, core);
    return core.put(pointer, generation, TABLE_KV, keyBytes, valueBytes, IN_MEMORY, ANY_VERSION);
  };
  return {
    load(keys, values) {
      for (let i = 0; i < keys.length; i++) put(keys[i], values[i]);
    },
    putPass({ keys, values, count }) {
      let puts = 0;
      for (let i = 0; i < count; i++) if (put(keys[i], values[i]) > 0) puts++;
      return puts;
    },
    read(key) {
      const record = core.get(pointer, generation, TABLE_KV, encodeKey(key, core));
      return record === 0 ? undefined : core.value(record);
    },
    /** The most entries that one put has moved. */
    movedMax: () => exports.movedMax() >>> 0,
    close() {},
  };
}

/** The benchmark's own build of the core: the engine's put and the bare table's, both from bytes that stand ready. */
export async function openRawTable() {
  const { encodeKey, encodeValue } = await import("../../dist/host/codec.js");
  const { core, exports } = await formatCore(compileRawTable());
  const run = core.createRun(encodeKey(RUN, core));
  const table = exports.benchTableMake(run.pointer) >>> 0;
  if (table === 0) throw new Error("there is no memory for a table");
  const { benchTablePut, benchTableGet, benchEnginePut } = exports;
  let area = 0;
  let areaBytes = 0;

  const place = (operation, key, value) => {
    const valueBytes = encodeValue(value, core);
    const keyBytes = encodeKey(key, core);
    core.bytes.copyWithin(operation + KEY_OFFSET, core.keyOffset, core.keyOffset + keyBytes);
    core.bytes.copyWithin(operation + VALUE_OFFSET, core.valueOffset, core.valueOffset + valueBytes);
    core.view.setUint32(operation, keyBytes, true);
    core.view.setUint32(operation + 4, valueBytes, true);
  };
  /** Encodes operations one behind the other; the address of the first. */
  const placeAll = (keys, values, count) => {
    if (count * OPERATION_BYTES > areaBytes) {
      areaBytes = count * OPERATION_BYTES;
      area = exports.benchArea(areaBytes) >>> 0;
      if (area === 0) throw new Error("there is no memory for the operations");
    }
    core.renew();
    for (let i = 0; i < count; i++) place(area + i * OPERATION_BYTES, keys[i], values[i]);
    return area;
  };
  return {
    placeAll,
    load(keys, values) {
      const input = { first: placeAll(keys, values, keys.length), count: keys.length };
      this.tablePass(input);
      this.enginePass(input);
    },
    tablePass({ first, count }) {
      let puts = 0;
      const end = first + count * OPERATION_BYTES;
      for (let at = first; at < end; at += OPERATION_BYTES) puts += benchTablePut(run.pointer, table, at);
      return puts;
    },
    enginePass({ first, count }) {
      let puts = 0;
      const end = first + count * OPERATION_BYTES;
      for (let at = first; at < end; at += OPERATION_BYTES) {
        if (benchEnginePut(run.pointer, run.generation, at) > 0) puts++;
      }
      return puts;
    },
    readTable(key) {
      place(area, key, 0);
      const record = benchTableGet(table, area) >>> 0;
      return record === 0 ? undefined : core.value(record);
    },
    readEngine(key) {
      core.renew();
      const record = core.get(run.pointer, run.generation, TABLE_KV, encodeKey(key, core));
      return record === 0 ? undefined : core.value(record);
    },
    close() {},
  };
}
