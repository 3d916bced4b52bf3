/**
 * The store against a `Map`: random sequences of everything that a caller can do with every primitive, on every build, in
 * memory and over a disk that runs full, loses power and forgets what it had not synced.
 *
 * A failure prints its seed: `HOLDFAST_MODEL_SEED=… npx vitest run …` does it again. `HOLDFAST_MODEL_RUNS` multiplies the
 * number of sequences.
 */
import fc from "fast-check";
import { describe, it } from "vitest";
import { BUILDS } from "../support/builds.js";
import { modelOf, SEED, TIMEOUT_MS, TIMES } from "./follow.js";

/** Sequences in memory, and over a disk. */
const RUNS_RELEASE = { memory: 1000, disk: 2000 };
const RUNS_DEBUG = { memory: 500, disk: 1000 };

console.info(`model: seed ${SEED}`);

describe.each(BUILDS)("the $name build agrees with a Map", (build) => {
  const { memory, disk } = build.debug ? RUNS_DEBUG : RUNS_RELEASE;

  it("in memory", { timeout: TIMEOUT_MS }, () =>
    fc.assert(modelOf(build, false), { numRuns: Math.ceil(memory * TIMES), seed: SEED }),
  );

  it("over a disk", { timeout: TIMEOUT_MS }, () =>
    fc.assert(modelOf(build, true), { numRuns: Math.ceil(disk * TIMES), seed: SEED }),
  );
});
