/**
 * The one place that time, randomness and scheduling come from, so that a test can run the whole store from one seed.
 * The fourth such thing, storage, is an option of `Database.open` with a contract of its own.
 */

/** Everything the host takes from the outside world besides storage. */
export interface Environment {
  /** Milliseconds from an arbitrary start; never goes back. For intervals and timeouts. */
  monotonicMs(): number;
  /** Milliseconds since 1970 by the wall clock. For timestamps that people read; never for order. */
  wallMs(): number;
  /** Fills `bytes` with randomness that an attacker cannot guess. */
  randomBytes(bytes: Uint8Array): void;
  /**
   * Runs `task` once after `delayMs`; returns what cancels it. Work in the background must not keep a process alive,
   * a wait that somebody has awaited must: that is what `holdsProcess` says.
   */
  schedule(delayMs: number, task: () => void, holdsProcess?: boolean): () => void;
}

/** Waits for so long, or without a time until timers and messages have had their turn. */
export function pause(environment: Environment, delayMs = 0): Promise<void> {
  return new Promise((resolve) => {
    environment.schedule(delayMs, resolve, true);
  });
}

/** Puts this thread to sleep; where it may not be, as the main thread of a browser, it goes on at once. */
export function sleep(ms: number): void {
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  } catch {
    // Then the next attempt comes a little too early.
  }
}

/** Random bytes are had from the platform so many at a time, because each call costs as much as hundreds of them. */
const RANDOM_BLOCK_BYTES = 1024;

function randomFromBlocks(): (bytes: Uint8Array) => void {
  const block = new Uint8Array(RANDOM_BLOCK_BYTES);
  let used = RANDOM_BLOCK_BYTES;
  return (bytes) => {
    if (bytes.length > RANDOM_BLOCK_BYTES) {
      crypto.getRandomValues(bytes);
      return;
    }
    if (used + bytes.length > RANDOM_BLOCK_BYTES) {
      crypto.getRandomValues(block);
      used = 0;
    }
    bytes.set(block.subarray(used, used + bytes.length));
    used += bytes.length;
  };
}

/** The platform's own clock, randomness and timers, looked up when asked for and not when imported. */
export function platformEnvironment(): Environment {
  return {
    monotonicMs: () => performance.now(),
    wallMs: () => Date.now(),
    randomBytes: randomFromBlocks(),
    schedule: (delayMs, task, holdsProcess = false) => {
      const timer: unknown = setTimeout(task, delayMs);
      const canLetGo = typeof timer === "object" && timer !== null && "unref" in timer;
      if (canLetGo && !holdsProcess) (timer as { unref(): void }).unref();
      return () => clearTimeout(timer as number);
    },
  };
}
