/**
 * A driver started by itself: builds first, does its runs so many at once, tells what failed, and ends with its table.
 */
import { build } from "../../scripts/build.mjs";
import { explainFailures, inParallel, StepError } from "../../scripts/steps.mjs";
import { explainOutcomes, rowsOf, table, totalOf } from "./collect.mjs";

async function failedOf(runsOf, atOnce) {
  const built = await build({ debug: false, quiet: true });
  if (explainFailures(built) > 0) return 1;
  const runs = await runsOf(process.argv.slice(2));
  const outcomes = (await inParallel(runs, atOnce, (run) => run())).flat();
  explainOutcomes(outcomes);
  const rows = rowsOf(outcomes);
  const { passed, failed, skipped } = totalOf(rows);
  console.log(`\n${table(rows)}\n\n${passed} passed, ${failed} failed, ${skipped} skipped`);
  return failed;
}

/** Ends the process with 1 where anything failed. `runsOf(names)` makes what is done for the names on the command line. */
export async function runAlone(runsOf, atOnce) {
  try {
    process.exitCode = (await failedOf(runsOf, atOnce)) > 0 ? 1 : 0;
  } catch (error) {
    if (!(error instanceof StepError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}
