/**
 * A worker that dies at an access to memory of one's choice: an instance of the core in this very thread that asks before each,
 * and is left where it stands when its time has come. What it has stored by then is stored, what it holds it goes on holding.
 */
import { readFileSync } from "node:fs";
import { WORKERS_MAX } from "../../src/host/abi.js";
import { encodeKey, encodeName, encodeValue, type Value } from "../../src/host/codec.js";
import type { Core } from "../../src/host/core.js";
import type { CoreExports } from "../../src/host/core-loader.js";
import { attachCore } from "../../src/host/core-workers.js";
import { everyAccess, withoutLingering } from "../interleavings/every-access.mjs";

const STEPPED = "build/stepped.wasm";

/** The core that asks before every access to memory, made of the stepped one. */
export function everyAccessModule(): Promise<WebAssembly.Module> {
  return WebAssembly.compile(everyAccess(readFileSync(STEPPED)) as BufferSource);
}

/**
 * The core of those who look on in this thread. Who waits there waits for somebody who does not go on meanwhile: it does not linger,
 * and is told BUSY after as many looks.
 */
export function lookerModule(file = "build/shared-debug.wasm"): Promise<WebAssembly.Module> {
  return WebAssembly.compile(withoutLingering(readFileSync(file)) as BufferSource);
}

const DEATH = new Error("dead");

export class Victim {
  readonly core: Core;
  readonly exports: CoreExports;
  /** What `db.detach` takes. */
  readonly workerId: number;
  #left = Number.POSITIVE_INFINITY;
  #steps = 0;
  /** Called before each access, with how many there have been. */
  onStep: ((step: number) => void) | undefined;

  constructor(module: WebAssembly.Module, memory: WebAssembly.Memory, canWait = true) {
    const step = (): void => {
      const taken = this.#steps++;
      this.onStep?.(taken);
      if (--this.#left < 0) throw DEATH;
    };
    this.exports = new WebAssembly.Instance(module, { env: { memory }, step: { step } }).exports as CoreExports;
    this.core = attachCore(this.exports, memory, undefined, canWait);
    const { worker } = this.core;
    this.workerId = worker + WORKERS_MAX * this.core.workerIn(worker).incarnation;
  }

  /** Accesses since the last {@link Victim.run}. */
  get steps(): number {
    return this.#steps;
  }

  /** Does something until the access at `step`, which is not made any more; whether it has died of that. */
  run(action: (victim: Victim) => void, step = Number.POSITIVE_INFINITY): boolean {
    this.#steps = 0;
    this.#left = step;
    try {
      action(this);
      return false;
    } catch (error) {
      if (!isDeath(error)) throw error;
      return true;
    } finally {
      this.#left = Number.POSITIVE_INFINITY;
    }
  }

  /** The run, made if it is not there. */
  runOf(id: string): { pointer: number; generation: number } {
    this.core.renew();
    return this.core.createRun(encodeName(id, 256, "The run id", this.core));
  }

  /** Commits a put into the key-values of a run, in a mode by its number; the version or a status negated. */
  put(run: { pointer: number; generation: number }, key: string, value: Value, mode: number): number {
    const { core } = this;
    core.renew();
    const valueBytes = encodeValue(value, core);
    return core.put(run.pointer, run.generation, 0, encodeKey(key, core), valueBytes, mode, -1);
  }
}

function isDeath(error: unknown): boolean {
  for (let at: unknown = error; at !== undefined; at = (at as Error).cause) if (at === DEATH) return true;
  return false;
}
