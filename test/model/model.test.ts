/**
 * The store against a `Map`: random sequences of everything that a caller can do, on every build, in memory and over a disk
 * that runs full, loses power and forgets what it had not synced.
 *
 * A failure prints its seed: `HOLDFAST_MODEL_SEED=… npx vitest run …` does it again. `HOLDFAST_MODEL_RUNS` multiplies the
 * number of sequences.
 */
import fc from "fast-check";
import { describe, it } from "vitest";
import { BUILDS, type Build } from "../support/builds.js";
import { type Mode, show } from "../support/history.js";
import { type Operation, sequences } from "./operations.js";
import { Subject, type SubjectOptions } from "./subject.js";

const TIMES = Number(process.env["HOLDFAST_MODEL_RUNS"] ?? 1);
const SEED = Number(process.env["HOLDFAST_MODEL_SEED"] ?? Date.now() % 2 ** 31);
const TIMEOUT_MS = 120_000 * TIMES;

/** Sequences in memory, and over a disk. */
const RUNS_RELEASE = { memory: 800, disk: 1500 };
const RUNS_DEBUG = { memory: 300, disk: 600 };

async function follow(options: SubjectOptions, operations: readonly Operation[]): Promise<void> {
  const subject = await Subject.make(options);
  try {
    for (const operation of operations) {
      await subject.apply(operation);
      if (options.build.debug) subject.verify();
    }
    await subject.end();
  } catch (error) {
    await subject.abandon();
    throw new Error(`${error instanceof Error ? error.message : String(error)}; after ${show(operations)}`, {
      cause: error,
    });
  }
}

function modelOf(build: Build, persistent: boolean): fc.IAsyncProperty<unknown> {
  const modes: Mode[] = persistent ? ["in-memory", "buffered", "strict"] : ["in-memory"];
  const options = fc.record({
    seed: fc.nat(),
    mode: fc.constantFrom(...modes),
    maxPendingWrites: fc.constantFrom(3, 1000),
  });
  return fc.asyncProperty(options, sequences(persistent), (chosen, operations) =>
    follow({ build, persistent, ...chosen }, operations),
  );
}

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
