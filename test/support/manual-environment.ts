/**
 * Time that stands still until a test moves it, and randomness from a seed: for tests of timers that never wait.
 */
import type { Environment } from "../../src/host/environment.js";

interface Timer {
  readonly dueMs: number;
  readonly task: () => void;
}

export class ManualEnvironment implements Environment {
  #nowMs = 0;
  #state: number;
  readonly #timers = new Set<Timer>();

  constructor(seed = 1) {
    this.#state = seed >>> 0;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return 1_700_000_000_000 + this.#nowMs;
  }

  randomBytes(bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length; i++) {
      this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0;
      bytes[i] = this.#state >>> 24;
    }
  }

  schedule(delayMs: number, task: () => void): () => void {
    const timer = { dueMs: this.#nowMs + delayMs, task };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** How many timers wait. */
  get timers(): number {
    return this.#timers.size;
  }

  /** Lets time pass without a timer running, as in a loop that never yields. */
  block(ms: number): void {
    this.#nowMs += ms;
  }

  /** Lets time pass, runs the timers that are due in order, and lets what they began go on. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      const due = [...this.#timers].filter((timer) => timer.dueMs <= untilMs).sort((a, b) => a.dueMs - b.dueMs)[0];
      if (due === undefined) break;
      this.#timers.delete(due);
      this.#nowMs = Math.max(this.#nowMs, due.dueMs);
      due.task();
      await settled();
    }
    this.#nowMs = untilMs;
    await settled();
  }
}

/** Long enough for whatever waits on promises to go on. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
