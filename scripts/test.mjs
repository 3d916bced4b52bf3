/**
 * `npm test`: everything, straight after `npm ci`, on a machine that has Node and npm.
 *
 * Builds release and debug, runs the checks with the unit and model tests, the unit tests again on the debug core, the tests
 * that kill real processes, and the contract suites on every runtime; installs what it needs and says so. The last line is the total over all of it.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { explainOutcomes, rowsOf, table, totalOf } from "../test/runtimes/collect.mjs";
import { conformance } from "../test/runtimes/run.mjs";
import { check, vitest } from "./check.mjs";
import { explainFailures, ROOT, StepError, step } from "./steps.mjs";

const UNIT_STEP = "unit tests (vitest)";

/** A check is no test: it adds nothing to the number of those that passed, but its failure is a failure. */
function rowOfChecks(steps) {
  const failed = steps.filter((result) => !result.ok && result.name !== UNIT_STEP).length;
  return { runtime: "build and checks", storage: "–", passed: 0, failed, skipped: 0 };
}

/** One run of vitest as a step and as a row of the table. */
async function vitestStep({ name, row, core, results, config }) {
  let numbers = { passed: 0, failed: 0, skipped: 0 };
  const result = await step(name, async () => {
    const { output, ...counted } = await vitest(core, results, config);
    numbers = counted;
    if (counted.failed > 0) throw new StepError(output);
    return `${counted.passed} passed`;
  });
  return { result, row: { runtime: `node ${process.versions.node}, ${core}`, storage: row, ...numbers } };
}

const FURTHER_RUNS = [
  {
    name: "unit tests, debug core (vitest)",
    row: "unit",
    core: "debug",
    results: "build/results/unit-debug.json",
    config: "vitest.config.ts",
  },
  {
    name: "kills and system calls (vitest)",
    row: "crash",
    core: "release",
    results: "build/results/crash.json",
    config: "test/crash/vitest.config.ts",
  },
];

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
  const rows = [rowOfChecks(steps), { runtime: `node ${process.versions.node}`, storage: "unit, model", ...unit }];
  let outcomes = [];
  if (steps.some((result) => result.name === UNIT_STEP)) {
    for (const run of FURTHER_RUNS) {
      const { result, row } = await vitestStep(run);
      steps.push(result);
      rows.push(row);
    }
    outcomes = await conformanceOutcomes();
    rows.push(...rowsOf(outcomes));
  }
  explainFailures(steps);
  explainOutcomes(outcomes);
  const { passed, failed, skipped } = totalOf(rows);
  console.log(`\n${table(rows)}\n\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
  return failed > 0 ? 1 : 0;
}

process.exitCode = await main();
