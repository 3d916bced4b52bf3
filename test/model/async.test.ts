/**
 * Random interleavings of asynchronous transactions with everything that can come between them.
 *
 * A failure prints its seed: `HOLDFAST_MODEL_SEED=…` does it again; `HOLDFAST_MODEL_RUNS` multiplies the sequences.
 */
import fc from "fast-check";
import { describe, it } from "vitest";
import { type Build, SHARED_DEBUG, SINGLE, SINGLE_DEBUG } from "../support/builds.js";
import { type Mode, show } from "../support/history.js";
import { ASYNC_KEYS, ASYNC_RUNS, Clients, type Ending, type Event, type Step } from "./clients.js";

const TIMES = Number(process.env["HOLDFAST_MODEL_RUNS"] ?? 1);
const SEED = Number(process.env["HOLDFAST_MODEL_SEED"] ?? Date.now() % 2 ** 31);
const TIMEOUT_MS = 120_000 * TIMES;

const run = fc.constantFrom(ASYNC_RUNS[0], ASYNC_RUNS[0], ASYNC_RUNS[1]);
const key = fc.constantFrom("k", "k", ...ASYNC_KEYS);
const mode = fc.constantFrom<Mode>("in-memory", "buffered", "strict", "strict");
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("get" as const), key }) },
  { weight: 2, arbitrary: fc.constant<Step>({ do: "list" }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("put" as const), key }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("delete" as const), key }) },
  { weight: 6, arbitrary: fc.constant<Step>({ do: "return" }) },
  { weight: 1, arbitrary: fc.constant<Step>({ do: "throw" }) },
  { weight: 1, arbitrary: fc.constant<Step>({ do: "rollback" }) },
);

const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 10, arbitrary: fc.record({ op: fc.constant("begin" as const), run, mode }) },
  { weight: 30, arbitrary: fc.record({ op: fc.constant("step" as const), index: fc.nat({ max: 4 }), step }) },
  { weight: 8, arbitrary: fc.record({ op: fc.constant("put" as const), run, key, mode }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constant("delete" as const), run, key, mode }) },
  { weight: 5, arbitrary: fc.record({ op: fc.constant("increment" as const), run, key, mode }) },
  { weight: 5, arbitrary: fc.constant<Event>({ op: "hold" }) },
  {
    weight: 4,
    arbitrary: fc.record({ op: fc.constant("release" as const), fail: fc.nat({ max: 9 }).map((n) => n === 0) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ op: fc.constant("room" as const), bytes: fc.constantFrom(0, 60, 150, 1e9, 1e9, 1e9) }),
  },
  { weight: 2, arbitrary: fc.constant<Event>({ op: "flush" }) },
  { weight: 2, arbitrary: fc.constant<Event>({ op: "tick" }) },
);

async function follow(
  build: Build,
  isSync: boolean,
  seed: number,
  ending: Ending,
  events: readonly Event[],
): Promise<void> {
  const clients = await Clients.make(build, seed, isSync);
  try {
    for (const one of events) await clients.apply(one);
    await clients.end(build, ending);
  } catch (error) {
    await clients.abandon();
    throw new Error(`${error instanceof Error ? error.message : String(error)}; after ${show(events)}, ${ending}`, {
      cause: error,
    });
  }
}

console.info(`asynchronous model: seed ${SEED}`);

const MATRIX = [
  { build: SINGLE, isSync: true, numRuns: 2000 },
  { build: SINGLE_DEBUG, isSync: true, numRuns: 4000 },
  { build: SHARED_DEBUG, isSync: true, numRuns: 400 },
  { build: SINGLE_DEBUG, isSync: false, numRuns: 1000 },
];

describe.each(MATRIX)("the $build.name build, appending synchronously: $isSync", ({ build, isSync, numRuns }) => {
  it("keeps every promise of the commit path", { timeout: TIMEOUT_MS }, () =>
    fc.assert(
      fc.asyncProperty(
        fc.nat(),
        fc.constantFrom<Ending>("close", "kill", "power"),
        fc.array(event, { maxLength: 50, size: "max" }),
        (seed, ending, events) => follow(build, isSync, seed, ending, events),
      ),
      { numRuns: Math.ceil(numRuns * TIMES), seed: SEED },
    ),
  );
});
