/** Two workers die of whom nobody knows yet (two-deaths.ts). `HOLDFAST_SEED` tries the same again, `HOLDFAST_SCALE` more. */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { SCALE, SEED } from "../support/durability-report.js";
import { randomFrom } from "../support/seeded-random.js";
import { everyAccessModule } from "../support/victim.js";
import type { Cores } from "./log-deaths.js";
import { DEEDS, dieTwice, lengthsOf } from "./two-deaths.js";

/** Trials for each pair of deeds. */
const TRIALS = Math.ceil(2 * SCALE);

let cores: Cores;

beforeAll(async () => {
  const whole = await WebAssembly.compile(readFileSync("build/shared-debug.wasm"));
  cores = { dying: await everyAccessModule(), whole };
});

describe.each([
  ["in memory", false],
  ["over a log", true],
])("two workers that die before anybody knows, %s", (_, hasLog) => {
  it("leave nothing behind once both are known", () => {
    const lengths = lengthsOf(cores, hasLog);
    const random = randomFrom(SEED);
    const below = (bound: number): number => Math.floor(random() * bound);
    let trials = 0;
    let waited = 0;
    for (const [i, first] of DEEDS.entries()) {
      if (first.needsOther === true) continue;
      for (const [j, second] of DEEDS.entries()) {
        for (let left = TRIALS; left > 0; left--) {
          const steps = [below(lengths[i] as number), below(lengths[j] as number)] as const;
          trials++;
          try {
            if (dieTwice(cores, hasLog, { deed: first, step: steps[0] }, { deed: second, step: steps[1] })) waited++;
          } catch (error) {
            const what = `${first.name} at ${steps[0]}, then ${second.name} at ${steps[1]}`;
            throw new Error(`${what}, seed ${SEED}: ${(error as Error).message}`, { cause: error });
          }
        }
      }
    }
    console.info(`${trials} times two deaths, ${waited} times the second had to be known first, seed ${SEED}`);
    expect(waited).toBeGreaterThan(0);
  });
});
