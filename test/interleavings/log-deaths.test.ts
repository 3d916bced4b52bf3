/**
 * A worker dies inside the log, at every access to memory that it makes there (log-deaths.ts).
 */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import type { Core, RunHandle } from "../../src/host/core.js";
import { buryWorker } from "../../src/host/core-workers.js";
import { SCALE } from "../support/durability-report.js";
import { everyAccessModule, Victim } from "../support/victim.js";
import { ACTIONS, CAPABILITIES, type Cores, die, Log, makeCore, newMemory, STRICT } from "./log-deaths.js";

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

/** Two workers over one memory, and a core that looks on; a strict commit waits in the log. */
function waiting(): { core: Core; victim: Victim; burier: Victim; run: RunHandle; version: number } {
  const memory = newMemory();
  const { core } = makeCore(cores, memory, CAPABILITIES);
  const [victim, burier] = [new Victim(cores.dying, memory), new Victim(cores.dying, memory)];
  const run = burier.runOf("b");
  return { core, victim, burier, run, version: burier.put(run, "k", "it waits", STRICT) };
}

it("what waits is never counted as nothing while somebody clears up", () => {
  let deaths = 0;
  for (let step = 0; ; step += STRIDE) {
    const { core, victim, burier } = waiting();
    if (!victim.run(() => victim.put(victim.runOf("a"), "k", "by the dead", STRICT), step)) break;
    deaths++;
    let gone = 0;
    burier.onStep = () => {
      if (core.unpublished === 0 || core.unwrittenBytes === 0) gone++;
    };
    expect(buryWorker(burier.core, victim.core.worker, core.workerIn(victim.core.worker))).toBe(true);
    expect(gone, `accesses at which nothing seemed to wait, after a death at ${step}`).toBe(0);
  }
  expect(deaths).toBeGreaterThan(0);
});

it("a commit does not count as published before readers see it", () => {
  const { core, burier, run, version } = waiting();
  let hidden = 0;
  burier.onStep = () => {
    if (core.unpublished === 0 && !core.isPublished(run, version)) hidden++;
  };
  new Log().drain(burier.core);
  burier.onStep = undefined;
  expect(core.isPublished(run, version)).toBe(true);
  expect(hidden, "accesses at which it counted and was not there").toBe(0);
});
