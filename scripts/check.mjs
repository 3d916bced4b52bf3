/**
 * `npm run check`: everything that holds for the tree as it stands, on this Node. Fast enough to run before each commit.
 *
 * Steps that need no build run beside one another; all of them run even where one fails, and what failed says why at the
 * end. The asc debug build counts as the type check of `assembly/`, the build of `src/` as that of the host.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { build } from "./build.mjs";
import { faultsOfPackage, filesOf } from "./package.mjs";
import { explainFailures, inParallel, isMain, ROOT, runNode, runOrThrow, StepError, step, tool } from "./steps.mjs";

const STEPS_AT_ONCE = 2;
const RESULTS = "build/results";
const PACKAGE = "build/package";
const UNIT_RESULTS = `${RESULTS}/unit.json`;

const toolSteps = [
  {
    name: "format and lint (biome)",
    script: "@biomejs/biome/bin/biome",
    args: ["ci", "--error-on-warnings", "--colors=off", "."],
  },
  {
    name: "arrows (dependency-cruiser)",
    script: "dependency-cruiser/bin/dependency-cruise.mjs",
    args: ["src", "assembly"],
  },
  // Every public name is documented, and every link in that leads somewhere.
  { name: "reference (typedoc)", script: "typedoc/bin/typedoc", args: ["--emit", "none", "--logLevel", "Warn"] },
  { name: "types of test/ (tsc)", script: "typescript/bin/tsc", args: ["-p", "test/tsconfig.json"] },
];

async function runTool(script, args, options) {
  const { code, output } = await runNode(tool(script), args, options);
  if (code !== 0) throw new StepError(output.trim() || `ended with exit code ${code}`);
}

/** Packs once, away from the tree, and lets all that check the package read the same file. */
async function checkPackage() {
  const directory = join(ROOT, PACKAGE);
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  await runOrThrow("npm", ["pack", "--silent", "--pack-destination", PACKAGE]);
  const tarball = join(PACKAGE, readdirSync(directory)[0]);
  await runTool("publint/src/cli.js", ["--strict", tarball]);
  await runTool("@arethetypeswrong/cli/dist/index.js", [
    tarball,
    "--profile",
    "esm-only",
    "--exclude-entrypoints",
    "./single.wasm",
    "./shared.wasm",
    "--no-color",
  ]);
  await runOrThrow("tar", ["-xzf", tarball, "-C", PACKAGE]);
  const files = filesOf(join(directory, "package"));
  const faults = faultsOfPackage(files);
  if (faults.length > 0) throw new StepError(faults.join("\n"));
  return `${files.size} files`;
}

async function checkSize() {
  const { code, output } = await runNode("scripts/size.mjs", []);
  if (code !== 0) throw new StepError(output.trim());
  console.log(output.trimEnd());
}

/**
 * Runs the tests of a vitest configuration against the release or the debug build of the core, so many files at once: one for
 * each core where nothing else runs beside it. `script` is another vitest than the root's.
 * @returns the numbers of vitest, also where tests failed
 */
export async function vitest(
  core,
  resultsPath,
  { config = "vitest.config.ts", filesAtOnce = 1, env = {}, script } = {},
) {
  const path = join(ROOT, resultsPath);
  rmSync(path, { force: true });
  const args = ["run", "--config", config, "--reporter=default", "--reporter=json", `--outputFile.json=${resultsPath}`];
  args.push(`--maxWorkers=${filesAtOnce}`);
  const { code, output } = await runNode(script ?? tool("vitest/vitest.mjs"), args, {
    env: { HOLDFAST_CORE: core, NO_COLOR: "1", ...env },
  });
  const numbers = readNumbers(path);
  if (code !== 0 && numbers.failed === 0) numbers.failed = 1;
  return { ...numbers, output: output.trim() };
}

function readNumbers(path) {
  try {
    const { numPassedTests, numFailedTests, numPendingTests, numTodoTests } = JSON.parse(readFileSync(path, "utf8"));
    return { passed: numPassedTests, failed: numFailedTests, skipped: numPendingTests + (numTodoTests ?? 0) };
  } catch {
    return { passed: 0, failed: 0, skipped: 0 };
  }
}

/**
 * Runs all checks and prints their lines; where the suites on every runtime follow, without what those mount on this Node.
 * @returns `{ steps, unit }`, `unit` being the numbers of the unit tests */
export async function check({ conformanceFollows = false } = {}) {
  const env = conformanceFollows ? { HOLDFAST_CONFORMANCE: "follows" } : {};
  const steps = await build({ debug: true, quiet: false });
  const built = steps.every((result) => result.ok);
  const independent = toolSteps.map(({ name, script, args }) => ({ name, work: () => runTool(script, args) }));
  const onBuild = built
    ? [
        { name: "package (contents, publint, types)", work: checkPackage },
        { name: "size budget", work: checkSize },
      ]
    : [];
  steps.push(...(await inParallel([...independent, ...onBuild], STEPS_AT_ONCE, ({ name, work }) => step(name, work))));
  let unit = { passed: 0, failed: 0, skipped: 0 };
  if (built) {
    const result = await step("unit tests (vitest)", async () => {
      const { output, ...numbers } = await vitest("release", UNIT_RESULTS, {
        filesAtOnce: availableParallelism(),
        env,
      });
      unit = numbers;
      if (numbers.failed > 0) throw new StepError(output);
      return `${numbers.passed} passed`;
    });
    steps.push(result);
  } else {
    console.log("Left out, because the build failed: package, size budget, unit tests.");
  }
  return { steps, unit };
}

if (isMain(import.meta.url)) {
  mkdirSync(join(ROOT, RESULTS), { recursive: true });
  const { steps } = await check();
  const failed = explainFailures(steps);
  process.exitCode = failed > 0 ? 1 : 0;
}
