/**
 * A worker dies inside the log, at every access to memory that it makes there (log-deaths.ts).
 */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { SCALE } from "../support/durability-report.js";
import { everyAccessModule } from "../support/victim.js";
import { ACTIONS, type Cores, die } from "./log-deaths.js";

/** Of the accesses of an action one in so many is died at, a different one each time. */
const STRIDE = Math.max(1, Math.round(11 / SCALE));

let cores: Cores;

beforeAll(async () => {
  const whole = await WebAssembly.compile(readFileSync("build/shared-debug.wasm"));
  cores = { dying: await everyAccessModule(), whole };
});

describe("a worker that dies inside the log", () => {
  const counts = { deaths: 0, lost: 0 };
  it.each(ACTIONS.map((action, i) => ({ name: action.name, action, i })))("$name", ({ action, i }) => {
    let deaths = 0;
    for (let step = i % STRIDE; ; step += STRIDE) {
      let lost: number | undefined;
      try {
        lost = die(cores, action, step);
      } catch (error) {
        throw new Error(`${action.name}, at access ${step}: ${(error as Error).message}`, { cause: error });
      }
      if (lost === undefined) break;
      deaths++;
      counts.lost += lost;
    }
    counts.deaths += deaths;
    expect(deaths).toBeGreaterThan(0);
  });

  it("was looked at often enough", () => {
    console.info(`${counts.deaths} deaths inside the log, ${counts.lost} runs lost`);
    expect(counts.lost).toBeGreaterThan(50 * Math.min(1, SCALE));
  });
});
