/**
 * The graph against two maps: random sequences of everything that a caller can do with it, on every build, in memory and over
 * a disk, with explicit transactions that meet, snapshots and walks that are held, reopenings, checkpoints and copies.
 *
 * A failure prints its seed: `HOLDFAST_MODEL_SEED=… npx vitest run …` does it again. `HOLDFAST_MODEL_RUNS` multiplies the
 * number of sequences.
 */
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { BUILDS } from "../support/builds.js";
import { SEED, TIMEOUT_MS, TIMES } from "./follow.js";
import { followed, graphModelOf } from "./graph-follow.js";
import { tally } from "./graph-subject.js";

/** Sequences in memory, and over a disk. */
const RUNS_RELEASE = { memory: 650, disk: 750 };
const RUNS_DEBUG = { memory: 300, disk: 350 };
const SEQUENCES_LEAST = 4000;

console.info(`graph model: seed ${SEED}`);

describe.each(BUILDS)("the $name build agrees with two maps", (build) => {
  const { memory, disk } = build.debug ? RUNS_DEBUG : RUNS_RELEASE;

  it("in memory", { timeout: TIMEOUT_MS }, () =>
    fc.assert(graphModelOf(build, false), { numRuns: Math.ceil(memory * TIMES), seed: SEED }),
  );

  it("over a disk", { timeout: TIMEOUT_MS }, () =>
    fc.assert(graphModelOf(build, true), { numRuns: Math.ceil(disk * TIMES), seed: SEED }),
  );
});

afterAll(() => {
  const done = Object.entries(tally).map(([what, count]) => `${count} ${what}`);
  console.info(`graph model: ${followed} sequences, ${done.join(", ")}`);
});

it("has followed as many sequences as it says, and met everything", () => {
  expect(followed).toBeGreaterThanOrEqual(SEQUENCES_LEAST * TIMES);
  for (const [what, count] of Object.entries(tally)) expect(count, what).toBeGreaterThan(followed / 50);
});
