/**
 * Every moment of seeded workloads at which the power may fail or the process be killed, and what may be on the disk then:
 * each state is opened by the code that ships, and must be a prefix of the commit order with everything that was promised.
 */
import { expect, it } from "vitest";
import { acquireLock } from "../../src/adapters/node-fs-lock.js";
import { FileStorage } from "../../src/adapters/node-fs-storage.js";
import { Database } from "../../src/index.js";
import { SINGLE } from "../support/builds.js";
import { SCALE } from "../support/durability-report.js";
import { recyclableModuleOf } from "../support/recycled-instances.js";
import { judgePoints } from "./judge.js";
import { CRASH_SEEDS } from "./seeds.js";
import { Tally, workloadSeeds } from "./tally.js";
import { Workload, warmedUp } from "./workload.js";

const STATES = 100_000;
/** How many states of a point are looked at where there are too many to go through. */
const STATES_OF_POINT = 8;
const WORKLOAD = { sessions: 3, steps: 20, fills: true, keepsPoints: true };
/** It ends what hangs, also where processors are busy with other things: alone it takes minutes. */
const TIMEOUT_MS = 1_800_000;

it("whatever a crash leaves is a prefix of the commit order with everything that was promised", {
  timeout: TIMEOUT_MS * Math.max(SCALE, 1),
}, async () => {
  const subject = await warmedUp({ Database, FileStorage, acquireLock, wasm: await recyclableModuleOf(SINGLE) });
  const tally = new Tally();
  let checkpoints = 0;
  for (const seed of workloadSeeds(CRASH_SEEDS)) {
    if (tally.cases >= STATES * SCALE || tally.isEnough) break;
    const workload = new Workload(subject, seed, WORKLOAD);
    try {
      await workload.run();
      const judged = await judgePoints(subject, workload.points, workload.segmentBytes, seed, STATES_OF_POINT);
      tally.cases += judged.states;
      tally.acknowledged += judged.acknowledged;
      checkpoints += workload.checkpoints;
    } catch (error) {
      tally.note(seed, error, workload.story);
    }
  }
  console.log(`${checkpoints} checkpoints`);
  tally.report(
    "crash-states",
    "a disk as a crash may leave it, opened",
    STATES * SCALE,
    checkpoints === 0 ? "checkpoints, which this release does not make" : undefined,
  );
  expect(tally.violations).toEqual([]);
});
