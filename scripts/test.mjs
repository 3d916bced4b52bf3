/**
 * `npm test`: everything, straight after `npm ci`, on a machine that has Node and npm.
 *
 * Builds release and debug, runs the checks with the unit tests, the unit tests again on the debug core, and the contract
 * suites on every runtime; installs the runtimes it needs and says so. The last line is the total over all of it.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { explainOutcomes, rowsOf, table, totalOf } from "../test/runtimes/collect.mjs";
import { conformance } from "../test/runtimes/run.mjs";
import { check, unitTests } from "./check.mjs";
import { explainFailures, ROOT, StepError, step } from "./steps.mjs";

const UNIT_STEP = "unit tests (vitest)";

/** A check is no test: it adds nothing to the number of those that passed, but its failure is a failure. */
function rowOfChecks(steps) {
  const failed = steps.filter((result) => !result.ok && result.name !== UNIT_STEP).length;
  return { runtime: "build and checks", storage: "–", passed: 0, failed, skipped: 0 };
}

async function debugUnitTests() {
  let numbers = { passed: 0, failed: 0, skipped: 0 };
  const result = await step("unit tests, debug core (vitest)", async () => {
    const { output, ...counted } = await unitTests("debug", "build/results/unit-debug.json");
    numbers = counted;
    if (counted.failed > 0) throw new StepError(output);
    return `${counted.passed} passed`;
  });
  return { result, row: { runtime: `node ${process.versions.node}, debug`, storage: "unit", ...numbers } };
}

/** Runtimes that cannot be installed are one failure, with what npm said. */
async function conformanceOutcomes() {
  try {
    return await conformance();
  } catch (error) {
    if (!(error instanceof StepError)) throw error;
    return [
      { runtime: "all", suite: "harness", storage: "–", name: "install", ok: false, error: error.message, ms: 0 },
    ];
  }
}

async function main() {
  mkdirSync(join(ROOT, "build/results"), { recursive: true });
  const { steps, unit } = await check();
  const rows = [rowOfChecks(steps), { runtime: `node ${process.versions.node}`, storage: "unit", ...unit }];
  let outcomes = [];
  if (steps.some((result) => result.name === UNIT_STEP)) {
    const debug = await debugUnitTests();
    steps.push(debug.result);
    outcomes = await conformanceOutcomes();
    rows.push(debug.row, ...rowsOf(outcomes));
  }
  explainFailures(steps);
  explainOutcomes(outcomes);
  const { passed, failed, skipped } = totalOf(rows);
  console.log(`\n${table(rows)}\n\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
  return failed > 0 ? 1 : 0;
}

process.exitCode = await main();
