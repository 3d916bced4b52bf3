/**
 * One memory for any number of databases, one after the other: it is wiped and formatted anew for each, under a new instance
 * of a core that was compiled once, or one that is renewed. That costs a tenth of what a new memory does.
 *
 * A wiped memory is as large as the largest database before has made it; what one takes is counted from the heap.
 */
import * as abi from "../../src/host/abi.js";
import { Core } from "../../src/host/core.js";
import type { CoreExports } from "../../src/host/core-loader.js";
import { type Build, moduleOf } from "./builds.js";
import { stateLine } from "./plain-log.js";
import { isRecyclable, RecycledInstance, recyclableModuleOf } from "./recycled-instances.js";

const PAGE_BYTES = 65536;
const TEXT_CHUNK = 8192;

function latin1(bytes: Uint8Array, start: number, length: number): string {
  if (length <= TEXT_CHUNK) return String.fromCharCode.apply(String, bytes.subarray(start, start + length) as never);
  return Buffer.from(bytes.buffer, start, length).toString("latin1");
}

export class RecycledCore {
  readonly build: Build;
  readonly #memory: WebAssembly.Memory;
  readonly #module: WebAssembly.Module;
  readonly #maxBytes: number;
  /** The one instance, where it can be renewed. */
  readonly #recycled: RecycledInstance | undefined;
  #exports: CoreExports = {};

  private constructor(build: Build, module: WebAssembly.Module, maxBytes: number) {
    this.build = build;
    this.#module = module;
    this.#memory = new WebAssembly.Memory({ initial: 2, maximum: maxBytes / PAGE_BYTES, shared: build.shared });
    this.#maxBytes = maxBytes;
    this.#recycled = isRecyclable(module) ? new RecycledInstance(module, this.#memory) : undefined;
  }

  static async of(build: Build, maxBytes: number): Promise<RecycledCore> {
    return new RecycledCore(build, await (build.shared ? moduleOf(build) : recyclableModuleOf(build)), maxBytes);
  }

  /** An empty database; the one before is gone. */
  format(): Core {
    new Uint8Array(this.#memory.buffer).fill(0);
    this.#recycled?.renew();
    const instance =
      this.#recycled?.instance ?? new WebAssembly.Instance(this.#module, { env: { memory: this.#memory } });
    this.#exports = instance.exports as CoreExports;
    return Core.format(this.#exports, this.#memory, this.build.shared, {
      maxBytes: this.#maxBytes,
      seed: Uint32Array.of(1, 2),
      capabilities: abi.CAPABILITY_LOG | abi.CAPABILITY_SYNC_APPEND | abi.CAPABILITY_SYNC_FLUSH,
      recordBytesMax: abi.RECORD_BYTES_MAX,
      canWait: true,
    });
  }

  /** Bytes of memory, and how many of them the database uses. */
  use(core: Core): { readonly bytes: number; readonly usedBytes: number } {
    const { bytes, freeBytes } = core.memoryUse();
    return { bytes, usedBytes: bytes - freeBytes };
  }

  /** Every entry that is live in every run and table, as {@link judgeLog} writes a state down. */
  state(): string {
    const { runNext, runName, runGeneration, scan, scanCount, scanBase } = this.#exports as unknown as Calls;
    const lines: string[] = [];
    for (let run = runNext(0, -1) >>> 0; run !== 0; run = runNext(run, -1) >>> 0) {
      for (let table = 0; table < abi.TABLE_COUNT; table++) {
        const status = scan(run, runGeneration(run), table, -1, 0, 0, 0, 0xffffffff, 0);
        if (status !== abi.STATUS_OK) throw new Error(`scanning table ${table} gave status ${status}`);
        const count = scanCount() >>> 0;
        if (count === 0) continue;
        const bytes = new Uint8Array(this.#memory.buffer);
        const view = new DataView(this.#memory.buffer);
        const entry = runName(run) >>> 0;
        const nameBytes = view.getUint16(entry + abi.ENTRY_KEY_BYTES_OFFSET, true);
        const name = latin1(bytes, entry + abi.ENTRY_HEADER_BYTES, nameBytes);
        const base = scanBase() >>> 0;
        for (let i = 0; i < count; i++) {
          const match = base + i * 12;
          const key = latin1(bytes, view.getUint32(match, true), view.getUint32(match + 4, true));
          const record = view.getUint32(match + 8, true);
          const length = view.getUint32(record + abi.VERSION_LENGTH_OFFSET, true);
          lines.push(stateLine(name, table, key, latin1(bytes, record + abi.VERSION_HEADER_BYTES, length)));
        }
      }
    }
    return lines.sort().join("\n");
  }
}

type Call = (...numbers: number[]) => number;
interface Calls {
  readonly runNext: Call;
  readonly runName: Call;
  readonly runGeneration: Call;
  readonly scan: Call;
  readonly scanCount: Call;
  readonly scanBase: Call;
}
