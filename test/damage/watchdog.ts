/**
 * Ends the process where a case hangs, and says which: a loop inside the core lets no timer of its own thread run.
 */
import { Worker } from "node:worker_threads";

const HANG_MS_MAX = 20_000;
const NAME_BYTES_MAX = 4096;

const WATCH = `
  const { workerData } = require("node:worker_threads");
  const beat = new Int32Array(workerData.shared, 0, 2);
  const name = new Uint8Array(workerData.shared, 8);
  let seen = -1;
  setInterval(() => {
    const now = Atomics.load(beat, 0);
    if (now !== seen || now === 0) { seen = now; return; }
    const length = Atomics.load(beat, 1);
    require("node:fs").writeSync(2, "A case hangs: " + Buffer.from(name.slice(0, length)).toString() + "\\n");
    process.kill(process.pid, "SIGKILL");
  }, ${HANG_MS_MAX});
`;

export class Watchdog {
  readonly #worker: Worker;
  readonly #beat: Int32Array;
  readonly #name: Uint8Array;

  constructor() {
    const shared = new SharedArrayBuffer(8 + NAME_BYTES_MAX);
    this.#beat = new Int32Array(shared, 0, 2);
    this.#name = new Uint8Array(shared, 8);
    this.#worker = new Worker(WATCH, { eval: true, workerData: { shared } });
    this.#worker.unref();
  }

  /** Something has got on: the case of that name begins. */
  beat(name: () => string): void {
    const text = new TextEncoder().encode(name()).subarray(0, NAME_BYTES_MAX);
    this.#name.set(text);
    Atomics.store(this.#beat, 1, text.length);
    Atomics.add(this.#beat, 0, 1);
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }
}
