/**
 * A reader without a lock, to whom anything may happen between two of its accesses: at one of them all that its run keeps in
 * memory becomes something else, as if another worker had given it back and used it for its own, and some accesses later it is as
 * before. The reader must end, must not leave the memory, and must come to what is true.
 */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { encodeKey, encodeName, encodeValue } from "../../src/host/codec.js";
import { Core, type RunHandle } from "../../src/host/core.js";
import type { CoreExports } from "../../src/host/core-loader.js";
import { scan, scanCount } from "../../src/host/core-scan.js";
import { SCALE } from "../support/durability-report.js";
import { everyAccessModule, Victim } from "../support/victim.js";

const STRIDE = Math.max(1, Math.round(3 / SCALE));
const PAGES_MAX = 64;
const KEYS = 60;
/** Where the heap begins: what is below is nobody's to take. */
const HEAP_BASE = 65536;
/** For so many accesses it is something else: fewer than a reader looks at a run that is being changed before it takes the lock. */
const SPANS = [1, 2, 3, 5, 9, 20];
/** What memory becomes: a byte everywhere, or words that could be sizes and addresses of something. */
const IMAGES: ((words: Uint32Array) => void)[] = [
  (words) => words.fill(0x70707070),
  (words) => words.fill(0xffffffff),
  (words) => words.fill(0),
  (words) => words.fill(1 << 20),
  (words) => words.fill(0x0fff0000),
  (words) => {
    for (let i = 0; i < words.length; i++) words[i] = i % 3 === 0 ? 16 : (i * 64) % (PAGES_MAX * 65536);
  },
];

let every: WebAssembly.Module;
let whole: WebAssembly.Module;

beforeAll(async () => {
  every = await everyAccessModule();
  whole = await WebAssembly.compile(readFileSync("build/shared-debug.wasm"));
});

function runOf(core: Core, id: string): RunHandle {
  core.renew();
  return core.createRun(encodeName(id, 256, "The run id", core));
}

interface Scene {
  readonly memory: WebAssembly.Memory;
  readonly core: Core;
  readonly reader: Victim;
  readonly run: RunHandle;
  /** The extents of the run: all that it keeps but its header. */
  readonly extents: readonly Uint32Array[];
}

function scene(): Scene {
  const memory = new WebAssembly.Memory({ initial: 2, maximum: PAGES_MAX, shared: true });
  const exports = new WebAssembly.Instance(whole, { env: { memory } }).exports as CoreExports;
  const core = Core.format(exports, memory, true, {
    maxBytes: PAGES_MAX * 65536,
    seed: new Uint32Array([1, 2]),
    capabilities: 0,
    recordBytesMax: 2 ** 20,
    canWait: false,
  });
  const run = runOf(core, "run");
  for (let i = 0; i < KEYS; i++) {
    core.renew();
    const valueBytes = encodeValue(`value ${i}`, core);
    core.put(run.pointer, run.generation, 0, encodeKey(`key-${i}`, core), valueBytes, 0, -1);
  }
  const reader = new Victim(every, memory);
  core.renew();
  return { memory, core, reader, run, extents: extentsOf(memory, run) };
}

/** Whatever in the heap belongs to somebody whose address lies in the run's header: its arena. */
function extentsOf(memory: WebAssembly.Memory, run: RunHandle): Uint32Array[] {
  const words = new Uint32Array(memory.buffer);
  const found: Uint32Array[] = [];
  for (let at = HEAP_BASE; at < memory.buffer.byteLength; ) {
    const word = words[at >> 2] as number;
    if (word >>> 16 !== 0xb0d7) break;
    const bytes = 2 ** (word & 0xff);
    const owner = words[(at >> 2) + 1] as number;
    // Beyond the extent's own header, which no reader looks at.
    if (owner > run.pointer && owner < run.pointer + 512) found.push(words.subarray((at >> 2) + 8, (at + bytes) >> 2));
    at += bytes;
  }
  return found;
}

function read({ core }: Victim, run: RunHandle): unknown {
  core.renew();
  const record = core.get(run.pointer, run.generation, 0, encodeKey("key-7", core));
  return record < 64 ? record : core.value(record);
}

function list({ core }: Victim, run: RunHandle): unknown {
  const request = { prefixBytes: 0, startBytes: 0, endBytes: 0, reverse: false, limit: 0 };
  return [scan(core, run, 0, -1, request, false), scanCount(core)];
}

describe.each([
  ["a read", read, "value 7"],
  ["a listing", list, [0, KEYS]],
] as const)("%s without a lock", (_, act, expected) => {
  it("comes to what is true, whatever its run becomes in between", () => {
    const { memory, reader, run, extents } = scene();
    expect(extents.length).toBeGreaterThan(0);
    const sequence = new Uint32Array(memory.buffer, run.pointer, 1);
    reader.run(() => expect(act(reader, run)).toEqual(expected));
    const accesses = reader.steps;
    const restore = (before: readonly Uint32Array[]): void => {
      for (const [i, words] of extents.entries()) words.set(before[i] as Uint32Array);
    };
    let cases = 0;
    for (const image of IMAGES) {
      for (const span of SPANS) {
        for (let at = 0; at < accesses; at += STRIDE) {
          const before = extents.map((words) => words.slice());
          reader.onStep = (step) => {
            // As whoever changes a run does: odd for as long as it is being changed.
            if (step === at || step === at + span) sequence[0] = (sequence[0] as number) + 1;
            if (step === at) for (const words of extents) image(words);
            else if (step === at + span) restore(before);
          };
          let result: unknown;
          try {
            reader.run(() => {
              result = act(reader, run);
            });
          } catch (error) {
            const how = `image ${IMAGES.indexOf(image)}, for ${span} accesses from ${at} on`;
            throw new Error(`${how}: ${String(error)}: ${String((error as Error).cause)}`, { cause: error });
          }
          reader.onStep = undefined;
          restore(before);
          sequence[0] = ((sequence[0] as number) + 1) & ~1;
          expect(result, `image ${IMAGES.indexOf(image)}, for ${span} accesses from ${at} on`).toEqual(expected);
          cases++;
        }
      }
    }
    console.info(`${cases} cases`);
    expect(cases).toBeGreaterThan(100);
  });
});
