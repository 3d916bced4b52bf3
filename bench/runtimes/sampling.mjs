// How often and how long an operation is timed, on any runtime.
//
// Keeps true: knows no platform but `performance.now`. A sample is a batch of operations, the smallest that takes twenty ticks of
// the clock, because browsers give a coarse one: median and p99 are over such batches, and a row says how many operations each was.
// Every operation gives a number, and the sum of a batch is compared with what is right, outside of the time.

import { percentileOf } from "../statistics.mjs";

const TICKS_PER_BATCH = 20;
const BATCH_MS_MIN = 0.02;
const BATCH_MAX = 2 ** 17;
/** The least of some batches says what one takes: an interruption makes any of them longer, and none shorter. */
const TRIES_PER_SIZE = 5;
const SAMPLES_MIN = 3;
const TICKS_LOOKED_AT = 9;

/** The least time that the clock shows, in milliseconds. */
export function tickOfClock() {
  const ticks = [];
  while (ticks.length < TICKS_LOOKED_AT) {
    const start = performance.now();
    let end = start;
    while (end === start) end = performance.now();
    ticks.push(end - start);
  }
  return Math.min(...ticks);
}

async function awaited(op, from, first, count) {
  let sum = await first;
  for (let at = from + 1; at < from + count; at++) sum += await op(at);
  return sum;
}

/** One batch: milliseconds. Throws where what it gave is not what is right. */
async function timeBatch({ op, right }, from, count) {
  const start = performance.now();
  let sum = op(from);
  if (typeof sum === "number") {
    for (let at = from + 1; at < from + count; at++) sum += op(at);
  } else {
    sum = await awaited(op, from, sum, count);
  }
  const ms = performance.now() - start;
  let expected = 0;
  for (let at = from; at < from + count; at++) expected += right(at);
  if (sum !== expected) throw new Error(`gave ${sum} where ${expected} is right`);
  return ms;
}

/** Times one operation, given as `{ op(at), right(at) }`, over rounds that others may come between. */
export class Sampler {
  #work;
  #batchMsMin;
  #next = 0;
  #nsPerOperation = [];
  /** Operations for each sample. */
  perSample = 1;

  constructor(work, tickMs) {
    this.#work = work;
    this.#batchMsMin = Math.max(TICKS_PER_BATCH * tickMs, BATCH_MS_MIN);
  }

  /** Operations so far, those of the warm-up too. */
  get operations() {
    return this.#next;
  }

  async #batch() {
    const ms = await timeBatch(this.#work, this.#next, this.perSample);
    this.#next += this.perSample;
    return ms;
  }

  /** Runs for a while, and finds out how large a batch has to be. */
  async warmUp(forMs) {
    const end = performance.now() + forMs;
    for (;;) {
      let leastMs = Number.POSITIVE_INFINITY;
      for (let i = 0; i < TRIES_PER_SIZE && leastMs >= this.#batchMsMin; i++) {
        leastMs = Math.min(leastMs, await this.#batch());
      }
      if (leastMs < this.#batchMsMin && this.perSample < BATCH_MAX) this.perSample *= 2;
      else if (performance.now() >= end) return;
    }
  }

  async round(forMs) {
    const end = performance.now() + forMs;
    for (let samples = 0; samples < SAMPLES_MIN || performance.now() < end; samples++) {
      const ms = await this.#batch();
      this.#nsPerOperation.push((ms * 1e6) / this.perSample);
    }
  }

  figures() {
    return { ...figuresOf(this.#nsPerOperation), perSample: this.perSample };
  }
}

/** Median and p99 of samples in nanoseconds. */
export function figuresOf(samples) {
  const sorted = Float64Array.from(samples).sort();
  return { medianNs: percentileOf(sorted, 0.5), p99Ns: percentileOf(sorted, 0.99), samples: sorted.length };
}
