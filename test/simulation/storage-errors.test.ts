/**
 * Every call of the file system that a database makes, made to fail in every way, once and for ever; and some calls of many
 * more databases.
 */
import { expect, it } from "vitest";
import { acquireLock } from "../../src/adapters/node-fs-lock.js";
import { FileStorage } from "../../src/adapters/node-fs-storage.js";
import { Database } from "../../src/index.js";
import { SINGLE } from "../support/builds.js";
import { SCALE } from "../support/durability-report.js";
import { recyclableModuleOf } from "../support/recycled-instances.js";
import { callsOf, FAULTS, type Plan, tryFault } from "./faults.js";
import { mixed, Random } from "./random.js";
import { ERROR_CASES } from "./seeds.js";
import { Tally, workloadSeeds } from "./tally.js";
import { warmedUp } from "./workload.js";

/** So many cases go through every call of a workload in every way; the rest take a few of each of many workloads. */
const EXHAUSTIVE_CASES = 4_000;
const CASES = 5_200;
const CASES_OF_WORKLOAD = 20;
/** It ends what hangs, also where processors are busy with other things. */
const TIMEOUT_MS = 1_200_000;

/** Every way in which each of some calls can fail. */
function* everyPlan(calls: number): Generator<Plan> {
  for (let call = 0; call < calls; call++) {
    for (const kind of FAULTS) {
      yield { call, kind, forEver: false };
      yield { call, kind, forEver: true };
    }
  }
}

function* somePlans(calls: number, random: Random): Generator<Plan> {
  for (let count = 0; count < CASES_OF_WORKLOAD; count++) {
    yield { call: random.pick(calls), kind: random.of(FAULTS), forEver: random.rarely(2) };
  }
}

it("whichever call fails, everything ends with a typed error and nothing that was promised is lost", {
  timeout: TIMEOUT_MS * Math.max(SCALE, 1),
}, async () => {
  const subject = await warmedUp({ Database, FileStorage, acquireLock, wasm: await recyclableModuleOf(SINGLE) });
  const tally = new Tally();
  const attempt = async (seed: number, plan: Plan): Promise<void> => {
    tally.cases++;
    try {
      tally.acknowledged += await tryFault(subject, seed, plan);
    } catch (error) {
      tally.note(seed, error, []);
    }
  };
  for (const { seed, ...plan } of ERROR_CASES) await attempt(seed, plan);
  for (const seed of workloadSeeds([])) {
    if (tally.cases >= CASES * SCALE || tally.isEnough) break;
    const calls = await callsOf(subject, seed);
    const isExhaustive = tally.cases < EXHAUSTIVE_CASES * SCALE;
    for (const plan of isExhaustive ? everyPlan(calls) : somePlans(calls, new Random(mixed(seed, 13)))) {
      if (tally.isEnough) break;
      await attempt(seed, plan);
    }
  }
  tally.report("storage-errors", "a call of the file system that fails", CASES * SCALE);
  expect(tally.violations).toEqual([]);
});
