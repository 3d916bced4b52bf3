/** Two workers die of whom nobody knows yet (two-deaths.ts). `HOLDFAST_SEED` tries the same again, `HOLDFAST_SCALE` more. */
import { beforeAll, describe, expect, it } from "vitest";
import { SCALE, SEED } from "../support/durability-report.js";
import { everyAccessModule, lookerModule } from "../support/victim.js";
import type { Cores } from "./log-deaths.js";
import { tryDeaths } from "./two-deaths.js";

/** Trials for each pair of deeds. */
const TRIALS = Math.ceil(2 * SCALE);

let cores: Cores;

beforeAll(async () => {
  const whole = await lookerModule();
  cores = { dying: await everyAccessModule(), whole };
});

describe.each([
  ["in memory", false],
  ["over a log", true],
])("two workers that die before anybody knows, %s", (_, hasLog) => {
  it("leave nothing behind once both are known", () => {
    const { deaths, waited } = tryDeaths(cores, hasLog, SEED, TRIALS);
    console.info(`${deaths} times two deaths, ${waited} times the second had to be known first, seed ${SEED}`);
    expect(waited).toBeGreaterThan(0);
  });
});
