/**
 * That the scheduler finds what it is for: each fault of plants.ts, planted into the core, is found within a bounded number of
 * runs. That the same runs find nothing in the core as it is, interleavings.test.ts sees.
 */
import { readFileSync } from "node:fs";
import { afterAll, describe, expect, it } from "vitest";
import { SCALE } from "../support/durability-report.js";
import { lookerModule } from "../support/victim.js";
import { Harness, type Script } from "./harness.js";
import { heldUp } from "./held-up.js";
import { hunt } from "./hunt.js";
import { ACTIONS, type Cores, die } from "./log-deaths.js";
import { build, buildShared, HELD_UP_PLANTS, LOG_PLANTS, PLANTS, planted, TWO_DEATHS_PLANTS } from "./plants.js";
import { HELD_UP_SCRIPTS } from "./scripts.js";
import { tryDeaths } from "./two-deaths.js";

/** More than twice as many as any of them takes. */
const RUNS = Math.ceil(24_000 * SCALE);
/** Of the accesses of an action one in so many is died at. */
const LOG_STRIDE = 5;
/** What is tried one after another is tried in so many passes, each a little later: neighbours mostly find the same. */
const PASSES = 31;
/** More than any of them takes. */
const TWO_DEATHS_TRIALS = 200;
const STEPS_ATOMIC = 150;
const STEPS_EVERY_ACCESS = 2000;

describe("a fault that is planted", () => {
  it.each([...PLANTS, ...LOG_PLANTS, ...TWO_DEATHS_PLANTS, ...HELD_UP_PLANTS])("can be planted: $name", (plant) => {
    expect(() => planted(plant)).not.toThrow();
  });

  const told: string[] = [];
  afterAll(() => console.info(told.join("\n")));

  it.each(PLANTS.map((plant, index) => ({ ...plant, index })))("is found: $name", async ({ index, ...plant }) => {
    const harness = await Harness.of(await build(plant, index));
    try {
      const steps = plant.everyAccess === true ? STEPS_EVERY_ACCESS : STEPS_ATOMIC;
      const kills = plant.kills === true;
      // From the same seed each time: whether a plant is found must not be a matter of luck.
      const found = hunt(harness, { runs: RUNS, steps, firstSeed: 0, kills, script: plant.script });
      told.push(`${plant.name}: ${found?.split("\n")[0]?.slice(0, 120) ?? "not found"}`);
      expect(found, plant.name).toBeDefined();
    } finally {
      await harness.close();
    }
  });
});

describe("a fault of clearing up behind the dead that is planted", () => {
  it.each(LOG_PLANTS.map((plant, i) => ({ ...plant, index: PLANTS.length + i })))(
    "is found: $name",
    async ({ index, ...plant }) => {
      const file = await build({ ...plant, everyAccess: true }, index);
      const module = await WebAssembly.compile(readFileSync(file));
      const cores = { dying: module, whole: module };
      expect(findDeath(cores, plant.script), plant.name).toBeDefined();
    },
  );
});

describe("a fault of clearing up behind one while another one is dead that is planted", () => {
  const before = PLANTS.length + LOG_PLANTS.length;
  it.each(TWO_DEATHS_PLANTS.map((plant, i) => ({ ...plant, index: before + i })))(
    "is found: $name",
    async ({ index, ...plant }) => {
      const dying = await WebAssembly.compile(readFileSync(await build({ ...plant, everyAccess: true }, index)));
      const cores = { dying, whole: await lookerModule(await buildShared(plant)) };
      // With a log first: one of them shows there alone.
      expect(() => [true, false].map((hasLog) => tryDeaths(cores, hasLog, 0, TWO_DEATHS_TRIALS, plant.script))).toThrow(
        /, then /,
      );
    },
  );
});

describe("a fault of holding and pruning while commits are held up that is planted", () => {
  const before = PLANTS.length + LOG_PLANTS.length + TWO_DEATHS_PLANTS.length;
  it.each(HELD_UP_PLANTS.map((plant, i) => ({ ...plant, index: before + i })))(
    "is found: $name",
    async ({ index, ...plant }) => {
      const harness = await Harness.of(await build(plant, index));
      try {
        const script = HELD_UP_SCRIPTS.find(({ name }) => name === plant.script) as Script;
        let found: string | undefined;
        for (let pass = 0; pass < PASSES && found === undefined; pass++) found = heldUp(harness, script, PASSES, pass);
        expect(found, plant.name).toBeDefined();
      } finally {
        await harness.close();
      }
    },
  );
});

/** What goes wrong first, at whichever death: in one action at each, or in all. */
function findDeath(cores: Cores, only: string | undefined): string | undefined {
  const [stride, passes] = only === undefined ? [LOG_STRIDE, 1] : [PASSES, PASSES];
  for (const action of ACTIONS.filter(({ name }) => only === undefined || name === only)) {
    for (let pass = 0; pass < passes; pass++) {
      for (let step = pass; ; step += stride) {
        try {
          if (die(cores, action, step) === undefined) break;
        } catch (error) {
          return `${action.name}, at access ${step}: ${String(error)}`;
        }
      }
    }
  }
  return undefined;
}
