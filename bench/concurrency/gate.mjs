// The gate that the workers of a measurement go through together, and the counters that they show their progress in.
//
//   Int32Array over shared memory, in lines of 128 bytes, because processors fetch two lines of 64 at a time
//     line 0          state   HOLD: come and wait   GO: work   STOP: come to an end
//     line 1          how many have arrived, how many have finished, whether one has failed
//     line 2 + 2 w    worker w's orders: a number that rises, what to do, and the number of the window
//     line 3 + 2 w    worker w's figures: operations so far, puts, what was wrong; its own until it has finished
//
// Keeps true: nobody works before all have arrived; a worker writes to its own line only, and looks at the state, which does
// not change while they work.

const LINE = 32;
const STATE = 0;
const ARRIVED = LINE;
const FINISHED = LINE + 1;
const FAILED = LINE + 2;
const HOLD = 0;
const GO = 1;
const STOP = 2;
/** How long whoever is missing is waited for. */
const PATIENCE_MS = 60_000;

const orderAt = (worker) => (2 + 2 * worker) * LINE;
const figuresAt = (worker) => (3 + 2 * worker) * LINE;

export function makeGate(workers) {
  return new SharedArrayBuffer((2 + 2 * workers) * LINE * 4);
}

/** The side of a worker. */
export class WorkerGate {
  #words;
  #order;
  #figures;
  #seen = 0;

  constructor(buffer, worker) {
    this.#words = new Int32Array(buffer);
    this.#order = orderAt(worker);
    this.#figures = figuresAt(worker);
  }

  /** Sleeps until there is something to do; the numbers of the job and of the window. */
  awaitOrder() {
    Atomics.wait(this.#words, this.#order, this.#seen);
    this.#seen = Atomics.load(this.#words, this.#order);
    return { job: this.#words[this.#order + 1], window: this.#words[this.#order + 2] };
  }

  /** Stands at the gate until it opens. */
  arrive() {
    const words = this.#words;
    this.tell(0, 0, 0);
    Atomics.add(words, ARRIVED, 1);
    Atomics.notify(words, ARRIVED);
    Atomics.wait(words, STATE, HOLD);
  }

  /** Shows how many operations are done; whether to go on. */
  goesOn(operations) {
    this.#words[this.#figures] = operations;
    return Atomics.load(this.#words, STATE) === GO;
  }

  tell(operations, puts, wrong) {
    this.#words[this.#figures] = operations;
    this.#words[this.#figures + 1] = puts;
    this.#words[this.#figures + 2] = wrong;
  }

  finish() {
    Atomics.add(this.#words, FINISHED, 1);
    Atomics.notify(this.#words, FINISHED);
  }

  fail() {
    Atomics.store(this.#words, FAILED, 1);
    for (const at of [ARRIVED, FINISHED]) {
      Atomics.add(this.#words, at, 1 << 16);
      Atomics.notify(this.#words, at);
    }
  }
}

/** The side of the thread that measures. It sleeps wherever it waits. */
export class OwnerGate {
  #words;
  #sleeper = new Int32Array(new SharedArrayBuffer(4));

  constructor(buffer) {
    this.#words = new Int32Array(buffer);
  }

  sleep(ms) {
    Atomics.wait(this.#sleeper, 0, 0, ms);
  }

  order(worker, job, window = 0) {
    const at = orderAt(worker);
    this.#words[at + 1] = job;
    this.#words[at + 2] = window;
    Atomics.add(this.#words, at, 1);
    Atomics.notify(this.#words, at);
  }

  /** Gives the first `workers` workers a job; returns when all stand at the gate. */
  gather(workers, job, window) {
    const words = this.#words;
    Atomics.store(words, STATE, HOLD);
    Atomics.store(words, ARRIVED, 0);
    Atomics.store(words, FINISHED, 0);
    for (let worker = 0; worker < workers; worker++) this.order(worker, job, window);
    this.#awaitCount(ARRIVED, workers);
  }

  open() {
    Atomics.store(this.#words, STATE, GO);
    Atomics.notify(this.#words, STATE);
  }

  /** Waits until each of the first `workers` workers has done something, or `ms` are over. Whether all have. */
  awaitProgress(workers, ms) {
    const start = performance.now();
    for (;;) {
      if (this.operations(workers).every((count) => count > 0)) return true;
      if (Atomics.load(this.#words, FAILED) !== 0 || performance.now() - start > ms) return false;
      this.sleep(1);
    }
  }

  /** What each has done so far. */
  operations(workers) {
    return Array.from({ length: workers }, (_, worker) => this.#words[figuresAt(worker)]);
  }

  /** Ends the work; returns when all have finished. */
  close(workers) {
    Atomics.store(this.#words, STATE, STOP);
    this.#awaitCount(FINISHED, workers);
  }

  /** What each has done in all. */
  figures(workers) {
    return Array.from({ length: workers }, (_, worker) => {
      const at = figuresAt(worker);
      return { operations: this.#words[at], puts: this.#words[at + 1], wrong: this.#words[at + 2] };
    });
  }

  #awaitCount(at, wanted) {
    const words = this.#words;
    const start = performance.now();
    for (let count = Atomics.load(words, at); count < wanted; count = Atomics.load(words, at)) {
      if (performance.now() - start > PATIENCE_MS) throw new Error(`only ${count} of ${wanted} workers have come`);
      Atomics.wait(words, at, count, PATIENCE_MS);
    }
    if (Atomics.load(words, FAILED) !== 0) throw new WorkerFailed();
  }
}

/** A worker has failed; what it says is on its way as a message. */
export class WorkerFailed extends Error {}
