// The threads that share one store, and one window of work with some of them.
//
// Keeps true: a window is measured only while all of its workers run, by counters that are read from outside, so that whoever
// has to wait for a core is counted as slow and not as absent; processor time is taken from before the gate opens until all
// have finished, when nothing else in this process runs, and divided by all that was done in between; what was read and written is
// checked after each window, outside of its time.

import os from "node:os";
import { Worker } from "node:worker_threads";
import { makeGate, OwnerGate, WorkerFailed } from "./gate.mjs";
import { JOB_CLOSE, jobNumber } from "./jobs.mjs";

/** Threads that are started at a time: they compete for the cores. */
const STARTED_AT_ONCE = 4;
const PROGRESS_MS = 5000;
/** For each way a word on lines of its own, which what all workers share besides the store stands in: a lock, a counter. */
const WORD_LINE_BYTES = 128;

/** @param options `ways` in which the workers will come to the store, as the jobs name them. */
export async function openPool({ store, workers, ways }) {
  const gateBuffer = makeGate(workers);
  const gate = new OwnerGate(gateBuffer);
  const words = new Map(Array.from(ways, (way) => [way, new SharedArrayBuffer(WORD_LINE_BYTES)]));
  const threads = [];
  for (let from = 0; from < workers; from += STARTED_AT_ONCE) {
    const count = Math.min(STARTED_AT_ONCE, workers - from);
    const some = Array.from({ length: count }, (_, i) => start(from + i, gateBuffer, store.share(), words));
    threads.push(...(await Promise.all(some)));
  }
  return new Pool(threads, gate, store);
}

async function start(worker, gate, store, words) {
  const thread = new Worker(new URL("./worker.mjs", import.meta.url), { workerData: { worker, gate, store, words } });
  const failed = new Promise((_, reject) => {
    thread.on("message", (message) => message !== "ready" && reject(new Error(message.failure)));
    thread.on("error", reject);
  });
  failed.catch(() => {});
  const exited = new Promise((resolve) => thread.once("exit", resolve));
  await Promise.race([new Promise((resolve) => thread.once("message", resolve)), failed]);
  return { thread, failed, exited };
}

class Pool {
  #threads;
  #gate;
  #store;
  #windows = 0;

  constructor(threads, gate, store) {
    this.#threads = threads;
    this.#gate = gate;
    this.#store = store;
  }

  /** Lets the first `workers` work for `ms` and returns what that came to. */
  async window({ workload, workers, way, ms }) {
    try {
      return this.#window(workers, jobNumber(workload, way), ms);
    } catch (error) {
      if (!(error instanceof WorkerFailed)) throw error;
      throw await Promise.race(this.#threads.map(({ failed }) => failed.catch((reason) => reason)));
    }
  }

  #window(workers, job, ms) {
    const gate = this.#gate;
    const window = ++this.#windows;
    this.#store.prepare(window);
    const commitsBefore = this.#store.commits?.();
    gate.gather(workers, job, window);
    const machineBefore = busyMs();
    const cpuBefore = process.cpuUsage();
    const opened = performance.now();
    gate.open();
    const allRan = gate.awaitProgress(workers, PROGRESS_MS);
    const before = gate.operations(workers);
    const from = performance.now();
    gate.sleep(ms);
    const after = gate.operations(workers);
    const to = performance.now();
    gate.close(workers);
    const cpu = process.cpuUsage(cpuBefore);
    const wallMs = performance.now() - opened;
    const cpuMs = (cpu.user + cpu.system) / 1000;
    const done = after.map((count, worker) => count - before[worker]);
    const figures = gate.figures(workers);
    this.#check(figures, commitsBefore);
    const operations = total(figures.map((each) => each.operations));
    return {
      perSecond: (total(done) / (to - from)) * 1000,
      cpuNs: (cpuMs * 1e6) / operations,
      /** What the slowest worker did of its share. */
      leastShare: (Math.min(...done) * workers) / total(done),
      /** What others took of the cores meanwhile, beyond those that these workers leave idle. */
      othersShare: othersShare((busyMs() - machineBefore - cpuMs) / wallMs, workers),
      allRan,
    };
  }

  #check(figures, commitsBefore) {
    const wrong = total(figures.map((each) => each.wrong));
    if (wrong > 0) throw new Error(`${wrong} operations gave something else than is right`);
    if (commitsBefore === undefined) return;
    const commits = this.#store.commits() - commitsBefore;
    const puts = total(figures.map((each) => each.puts));
    if (commits !== puts) throw new Error(`${puts} puts have made ${commits} commits`);
    this.#store.checkWindow(puts);
  }

  /** Looks through the store, and closes it behind the threads. */
  async close() {
    const wrong = this.#store.check();
    for (const worker of this.#threads.keys()) this.#gate.order(worker, JOB_CLOSE);
    await Promise.all(this.#threads.map(({ exited, failed }) => Promise.race([exited, failed])));
    await this.#store.close();
    if (wrong > 0) throw new Error(`${wrong} keys hold something that is not theirs`);
  }
}

function total(numbers) {
  return numbers.reduce((sum, number) => sum + number, 0);
}

function othersShare(othersCores, workers) {
  const cores = os.availableParallelism();
  return Math.max(0, othersCores - Math.max(0, cores - workers)) / cores;
}

/** Milliseconds that the cores have worked, for whomever. */
function busyMs() {
  return total(os.cpus().map(({ times }) => times.user + times.nice + times.sys + times.irq));
}
