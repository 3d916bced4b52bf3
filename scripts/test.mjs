/**
 * `npm test`: everything, straight after `npm ci`, on a machine that has Node and npm.
 *
 * Builds release and debug, runs the checks with the unit and model tests, the unit tests again on the debug core, the tests
 * on simulated disks, on damage, of workers that a scheduler steps and of real processes that are killed, other libraries' own
 * tests over the store, the contract suites on every runtime, runs on servers of NATS, the packed package in bundles and on runtimes, and browsers that are
 * killed; installs what it needs and says so. Then one table says what was counted about durability; the last line is the total
 * over all of it.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { installLibraries } from "../test/integrations/install.mjs";
import { integrations } from "../test/integrations/run.mjs";
import { installBundlers } from "../test/package/project.mjs";
import { packageRuns } from "../test/package/run.mjs";
import { explainOutcomes, rowsOf, table, totalOf } from "../test/runtimes/collect.mjs";
import { findChromium, findFirefox, findNatsServer, installRuntimes } from "../test/runtimes/install.mjs";
import { conformanceRuns } from "../test/runtimes/run.mjs";
import { check, vitest } from "./check.mjs";
import { clearReports, conclude, faultsOf, readReports } from "./durability.mjs";
import { explainFailures, inParallel, ROOT, runNode, StepError, step } from "./steps.mjs";

const UNIT_STEP = "unit tests (vitest)";

/** A check is no test: it adds nothing to the number of those that passed, but its failure is a failure. */
function rowOfChecks(steps) {
  const failed = steps.filter((result) => !result.ok && result.name !== UNIT_STEP).length;
  return { runtime: "build and checks", storage: "–", passed: 0, failed, skipped: 0 };
}

/** One run of vitest as a step and as a row of the table: by `run`, or by the root's vitest with a configuration. */
async function vitestStep({ name, row, core, results, config, filesAtOnce, env, run }) {
  // What fails before it has counted anything is one failure.
  let numbers = { passed: 0, failed: 1, skipped: 0 };
  const result = await step(name, async () => {
    const { output, ...counted } = await (run?.() ?? vitest(core, results, { config, filesAtOnce, env }));
    numbers = counted;
    if (counted.failed > 0) throw new StepError(output);
    return `${counted.passed} passed`;
  });
  return { result, row: { runtime: `node ${process.versions.node}, ${core}`, storage: row, ...numbers } };
}

const UNIT_DEBUG = {
  name: "unit tests, debug core (vitest)",
  row: "unit",
  core: "debug",
  results: "build/results/unit-debug.json",
  config: "vitest.config.ts",
};

/** A suite about durability with a configuration of its own. */
function durabilityRun(name, folder) {
  const results = `build/results/${folder}.json`;
  return { name: `${name} (vitest)`, row: folder, core: "release", results, config: `test/${folder}/vitest.config.ts` };
}

/** Other libraries' own tests over the built package. */
const INTEGRATIONS = { name: "LangGraph.js, Keyv (vitest)", row: "integrations", core: "release", run: integrations };

/** One more than two cores: what runs in browsers, or syncs files, waits for most of its time. */
const RUNS_AT_ONCE = 3;
/** What kills processes has the machine to itself. */
const KILLS = { ...durabilityRun("kills and system calls", "crash"), filesAtOnce: 2 };

/**
 * Servers of a cluster, and runs on them, which wait for leases and elections. Here without planted faults, for want of time;
 * `npm run test:fleet` has them as well.
 */
const SERVERS = {
  ...durabilityRun("runs on servers of NATS", "nats"),
  filesAtOnce: 3,
  env: { HOLDFAST_PLANTED: "skip" },
};

/** A suite in browsers is no test of vitest's: its last line says how many cases it had. */
async function browserStep(name, storage, script) {
  let numbers = { passed: 0, failed: 1, skipped: 0 };
  const result = await step(name, async () => {
    const { code, output } = await runNode(join(ROOT, script), []);
    const last = output.trim().split("\n").at(-1) ?? "";
    const [passed = 0, failed = 1, skipped = 0] = (last.match(/\d+/g) ?? []).map(Number);
    numbers = { passed, failed, skipped };
    if (code !== 0 || failed > 0) throw new StepError(output);
    return `${passed} passed`;
  });
  return { result, row: { runtime: "browsers", storage, ...numbers } };
}

/** What runs last, one after another: servers that are slow, and browsers that are killed. */
const LAST = [
  () => browserStep("killed tabs and browsers", "crash", "test/browser-crash/run.mjs"),
  () => vitestStep(SERVERS),
];

/** What runs side by side with the suites on every runtime, longest first. */
const SUITES = [
  () => vitestStep(durabilityRun("simulated disks", "simulation")),
  () => vitestStep(UNIT_DEBUG),
  () => vitestStep(durabilityRun("interleavings of workers", "interleavings")),
  () => vitestStep(durabilityRun("damage", "damage")),
  () => browserStep("the sandbox, as a person uses it", "sandbox", "test/example-browser/run.mjs"),
  () => vitestStep(INTEGRATIONS),
];

/** Between two releases of Node that are run: by hand, `node test/runtimes/run.mjs node`. */
const BETWEEN = ["node 22"];

/** Runtimes that cannot be installed are one failure, with what npm said. */
async function conformance() {
  try {
    return await conformanceRuns([], BETWEEN);
  } catch (error) {
    if (!(error instanceof StepError)) throw error;
    const failure = { runtime: "all", suite: "harness", storage: "–", name: "install", ok: false, ms: 0 };
    return [() => [{ ...failure, error: error.message }]];
  }
}

/** Runs suites and runtimes side by side, in turn one of these and one of those. @returns the results of both */
async function sideBySide(suites, runtimes) {
  const further = suites.map((suite, at) => ({ at, run: async () => ({ further: await suite() }) }));
  const outcomes = runtimes.map((runtime, at) => ({ at, run: async () => ({ outcomes: await runtime() }) }));
  const inTurn = [...further, ...outcomes].sort((a, b) => a.at - b.at);
  const results = await inParallel(inTurn, RUNS_AT_ONCE, ({ run }) => run());
  return {
    further: results.flatMap((result) => result.further ?? []),
    outcomes: results.flatMap((result) => result.outcomes ?? []),
  };
}

/** What has to be fetched comes while the build and the checks keep the processors busy; who needs it reports what fails. */
function fetchAhead() {
  return Promise.allSettled([
    installRuntimes(),
    installBundlers(),
    installLibraries(),
    findChromium(),
    findFirefox(),
    findNatsServer(),
  ]);
}

/** How much of each failure stands once more at the end, for who sees no more than the end of a long log. */
const BRIEF_LINES = 6;
const BRIEF_CHARACTERS = 200;

/** What has failed, in a few lines each; what all of it was stands above. */
function sayBriefly(steps, outcomes) {
  const ofSteps = steps.filter(({ ok }) => !ok).map(({ name, output }) => [name, telling(output)]);
  const ofOutcomes = outcomes
    .filter(({ ok }) => !ok)
    .map(({ runtime, storage, suite, name, error }) => [
      `${runtime} / ${storage} / ${suite} / ${name}`,
      String(error).split("\n"),
    ]);
  for (const [name, lines] of [...ofSteps, ...ofOutcomes]) {
    const brief = lines.slice(0, BRIEF_LINES).map((line) => `  ${line.trim().slice(0, BRIEF_CHARACTERS)}\n`);
    console.log(`FAILED ${name}\n${brief.join("")}`);
  }
}

/** The lines of an output that name a failure, and if none does its last ones. */
function telling(output) {
  const lines = output.split("\n").filter((line) => line.trim() !== "");
  const named = lines.filter((line) => /\bFAIL(ED)?\b|Error: /.test(line));
  return named.length > 0 ? [...new Set(named)] : lines.slice(-BRIEF_LINES);
}

async function main() {
  const fetched = fetchAhead();
  mkdirSync(join(ROOT, "build/results"), { recursive: true });
  clearReports();
  const { steps, unit } = await check({ conformanceFollows: true });
  const rows = [rowOfChecks(steps), { runtime: `node ${process.versions.node}`, storage: "unit, model", ...unit }];
  let outcomes = [];
  await fetched;
  if (steps.some((result) => result.name === UNIT_STEP)) {
    const runtimes = [...(await conformance()), ...(await packageRuns())];
    const { further, outcomes: conformed } = await sideBySide(SUITES, runtimes);
    outcomes = conformed;
    further.push(await vitestStep(KILLS));
    for (const suite of LAST) further.push(await suite());
    for (const { result, row } of further) {
      steps.push(result);
      rows.push(row);
    }
    rows.push(...rowsOf(outcomes));
  }
  explainFailures(steps);
  explainOutcomes(outcomes);
  console.log("\nDurability\n");
  const reports = readReports();
  const isDurable = conclude(reports, faultsOf(reports));
  rows.push({
    runtime: "durability",
    storage: "totals",
    passed: isDurable ? 1 : 0,
    failed: isDurable ? 0 : 1,
    skipped: 0,
  });
  const { passed, failed, skipped } = totalOf(rows);
  console.log(`\n${table(rows)}\n`);
  sayBriefly(steps, outcomes);
  console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
  return failed > 0 ? 1 : 0;
}

process.exitCode = await main();
