/**
 * Runs other libraries' own tests over Holdfast, on what was built last: `node test/integrations/run.mjs`.
 *
 * The types come first: those of the integrations' sources against the libraries' own, which the build does not have.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { vitest } from "../../scripts/check.mjs";
import { isMain, ROOT, runNode, StepError, tool } from "../../scripts/steps.mjs";
import { installLibraries, layPackage } from "./install.mjs";

const CONFIG = "test/integrations/vitest.config.mjs";
const RESULTS = "build/results/integrations.json";
const FILES_AT_ONCE = 2;

/** @returns the numbers of vitest and what it wrote; throws a `StepError` where the types are wrong or nothing can be installed */
export async function integrations() {
  await installLibraries();
  layPackage();
  const { code, output } = await runNode(tool("typescript/bin/tsc"), ["-p", "test/integrations"]);
  if (code !== 0) throw new StepError(output.trim());
  mkdirSync(join(ROOT, "build/results"), { recursive: true });
  const script = join(ROOT, "test/integrations/node_modules/vitest/vitest.mjs");
  return vitest("release", RESULTS, { config: CONFIG, filesAtOnce: FILES_AT_ONCE, script });
}

if (isMain(import.meta.url)) {
  try {
    const { output, failed } = await integrations();
    console.log(output);
    process.exitCode = failed > 0 ? 1 : 0;
  } catch (error) {
    if (!(error instanceof StepError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}
