/**
 * Who holds which lock of a memory that workers share, read from outside: without a place among them, without a lock, at any
 * time. An instance of the core is made for its addresses alone.
 */
import { WORKER_INCARNATION_SHIFT, WORKERS_MAX } from "../../src/host/abi.js";
import type { DatabaseHandle } from "../../src/index.js";

/** The parts of a lock word, as assembly/workers.ts has them. */
const OWNER = 0xff;
const WAITED = 0x100;
const HANDOFF = 0x200;
const INCARNATION_SHIFT = 10;

/** The locks before those of the runs, as assembly/shared.ts numbers them. */
export const LOCK_NAMES = ["the turn to write", "the turn to sync", "the directory", "the allocator", "the log"];
const STATES = ["free", "promised", "attached", "dead"];

interface Addresses {
  lockAddress(index: number): number;
  workerSlot(index: number): number;
}

export class Locks {
  readonly #memory: WebAssembly.Memory;
  readonly #addresses: Addresses;

  private constructor(memory: WebAssembly.Memory, addresses: Addresses) {
    this.#memory = memory;
    this.#addresses = addresses;
  }

  static async of({ memory, module }: DatabaseHandle): Promise<Locks> {
    const { exports } = await WebAssembly.instantiate(module, { env: { memory } });
    return new Locks(memory, exports as unknown as Addresses);
  }

  /** Every lock by its name, and its word. */
  *#words(): Iterable<{ readonly name: string; readonly word: number }> {
    // An engine may tell late that another worker has grown the memory; who grows it by nothing is told at once.
    this.#memory.grow(0);
    const words = new Int32Array(this.#memory.buffer);
    for (let i = 0; ; i++) {
      const address = this.#addresses.lockAddress(i) >>> 0;
      if (address === 0) return;
      yield {
        name: LOCK_NAMES[i] ?? `the run whose lock stands at ${address}`,
        word: Atomics.load(words, address / 4),
      };
    }
  }

  /** How many headers of runs were ever made. */
  runHeaders(): number {
    return [...this.#words()].length - LOCK_NAMES.length;
  }

  /** Those that somebody holds, and whom it is; empty where nobody holds any. */
  held(): string[] {
    return [...this.#words()].flatMap(({ name, word }) => {
      if ((word & OWNER) === 0) return [];
      const waited =
        (word & WAITED) === 0 ? "nobody waits" : (word & HANDOFF) === 0 ? "somebody waits" : "whoever waits comes next";
      return [`${name}: held by worker ${(word & OWNER) - 1}, incarnation ${word >>> INCARNATION_SHIFT}, ${waited}`];
    });
  }

  /** Everybody who has a place but the owner, and in which state that is. */
  places(): string[] {
    return Array.from({ length: WORKERS_MAX - 1 }, (_, i) => i + 1).flatMap((worker) => {
      const word = this.#addresses.workerSlot(worker) >>> 0;
      const [state, incarnation] = [word % 2 ** WORKER_INCARNATION_SHIFT, word >>> WORKER_INCARNATION_SHIFT];
      return state === 0 ? [] : [`worker ${worker}: ${STATES[state]}, incarnation ${incarnation}`];
    });
  }
}
