/**
 * Every call of the file system that a database makes, made to fail in every way, once and for ever.
 */
import { expect, it } from "vitest";
import { acquireLock } from "../../src/adapters/node-fs-lock.js";
import { FileStorage } from "../../src/adapters/node-fs-storage.js";
import { Database } from "../../src/index.js";
import { moduleOf, SINGLE } from "../support/builds.js";
import { SCALE } from "../support/durability-report.js";
import { callsOf, FAULTS, tryFault } from "./faults.js";
import { ERROR_SEEDS } from "./seeds.js";
import { Tally, workloadSeeds } from "./tally.js";

const CASES = 6_000;
const TIMEOUT_MS = 600_000;

it("whichever call fails, everything ends with a typed error and nothing that was promised is lost", {
  timeout: TIMEOUT_MS * Math.max(SCALE, 1),
}, async () => {
  const subject = { Database, FileStorage, acquireLock, wasm: await moduleOf(SINGLE) };
  const tally = new Tally();
  for (const seed of workloadSeeds(ERROR_SEEDS)) {
    if (tally.cases >= CASES * SCALE || tally.isEnough) break;
    const calls = await callsOf(subject, seed);
    for (let call = 0; call < calls && !tally.isEnough; call++) {
      for (const kind of FAULTS) {
        for (const forEver of [false, true]) {
          tally.cases++;
          try {
            tally.acknowledged += await tryFault(subject, seed, { call, kind, forEver });
          } catch (error) {
            tally.note(seed, error, []);
          }
        }
      }
    }
  }
  tally.report("storage-errors", "a call of the file system that fails", CASES * SCALE);
  expect(tally.violations).toEqual([]);
});
