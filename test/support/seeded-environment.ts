/**
 * Time, randomness and timers under a test's control: all from one seed, and nothing happens before `advance`.
 */
import type { Environment } from "../../src/host/environment.js";

interface Task {
  readonly dueMs: number;
  readonly run: () => void;
}

export class SeededEnvironment implements Environment {
  #nowMs = 0;
  #state: number;
  readonly #tasks = new Set<Task>();

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#nowMs;
  }

  randomBytes(bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length; i++) {
      this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0;
      bytes[i] = this.#state >>> 24;
    }
  }

  schedule(delayMs: number, run: () => void): () => void {
    const task = { dueMs: this.#nowMs + delayMs, run };
    this.#tasks.add(task);
    return () => this.#tasks.delete(task);
  }

  /** Lets time pass and runs what becomes due, in order. */
  advance(ms: number): void {
    this.#nowMs += ms;
    const due = [...this.#tasks].filter((task) => task.dueMs <= this.#nowMs).sort((a, b) => a.dueMs - b.dueMs);
    for (const task of due) if (this.#tasks.delete(task)) task.run();
  }
}

/** Long enough for whatever waits on promises to go on. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
