/**
 * Random interleavings of asynchronous transactions over every primitive with everything that can come between them.
 *
 * A failure prints its seed: `HOLDFAST_MODEL_SEED=…` does it again; `HOLDFAST_MODEL_RUNS` multiplies the sequences.
 */
import fc from "fast-check";
import { describe, it } from "vitest";
import { SHARED_DEBUG, SINGLE, SINGLE_DEBUG } from "../support/builds.js";
import { asyncModelOf, SEED, TIMEOUT_MS, TIMES } from "./follow.js";

const MATRIX = [
  { build: SINGLE, isSync: true, numRuns: 2000 },
  { build: SINGLE_DEBUG, isSync: true, numRuns: 2000 },
  { build: SHARED_DEBUG, isSync: true, numRuns: 400 },
  { build: SINGLE, isSync: false, numRuns: 600 },
  { build: SINGLE_DEBUG, isSync: false, numRuns: 1000 },
];

console.info(`asynchronous model: seed ${SEED}`);

describe.each(MATRIX)("the $build.name build, appending synchronously: $isSync", ({ build, isSync, numRuns }) => {
  it("keeps every promise of the commit path", { timeout: TIMEOUT_MS }, () =>
    fc.assert(asyncModelOf(build, isSync), { numRuns: Math.ceil(numRuns * TIMES), seed: SEED }),
  );
});
