/**
 * `npm run demo`: an agent works, is killed in the middle, goes on from its store alone, and ends where an agent that was
 * never killed ends.
 *
 * What it keeps true:
 * - the kill follows a step that the agent has acknowledged, so something is always there to be lost;
 * - both runs look at one frozen copy of the input, so an editor at work beside them changes nothing;
 * - whatever way it ends, its processes are gone and its temporary folder with them;
 * - exit code 0: all promises held; 1: one did not; 2: it was asked for something that it cannot do.
 */
import { accessSync, existsSync, constants as fileModes, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { checkAll, contentsLeft } from "./compare.mjs";
import { HELP, parseOptions, UsageError } from "./options.mjs";
import { Progress } from "./progress.mjs";
import { describeEnd, describeRecovery, describeStart, printReport } from "./report.mjs";
import { AgentError, runAgent, Stopped } from "./run-agent.mjs";
import { findRuntime } from "./runtimes.mjs";
import { prepareTask } from "./tasks.mjs";

const LIBRARY = new URL("../../dist/index.js", import.meta.url);
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"];

/** Where the two databases go: below `--keep`, which has to be empty, or below the temporary folder. */
function placeForDatabases(keep, temporary) {
  const root = keep ?? temporary;
  const paths = { interrupted: join(root, "interrupted"), uninterrupted: join(root, "uninterrupted") };
  const taken = Object.values(paths).find((path) => existsSync(path));
  if (taken !== undefined) throw new UsageError(`--keep: ${taken} is already there; name another folder, or remove it`);
  try {
    mkdirSync(root, { recursive: true });
    accessSync(root, fileModes.W_OK);
  } catch (error) {
    throw new UsageError(`--keep: cannot write to ${keep} (${error.code})`);
  }
  return paths;
}

/** Runs the agent, kills it, and runs it again over what it left. */
async function interruptedRun(start, total, killAfter) {
  const before = await start("run 1", { killAfter });
  console.log(describeEnd("run 1", before, total));
  const after = await start("run 1 again", { done: before.acknowledged });
  console.log(describeRecovery(after, total));
  return { before, after, latencies: [...before.latencies, ...after.latencies] };
}

/** In memory there is nothing that could outlive a kill: the first run is as whole as the second. */
async function wholeRun(start, name, total) {
  const run = await start(name, {});
  console.log(describeEnd(name, run, total));
  return { after: run, latencies: run.latencies };
}

/** Both runs, and what they prove. @returns the exit code */
async function demonstrate(options, temporary, signal) {
  const { Database } = await import(LIBRARY.href);
  const runtime = findRuntime(options.runtime);
  const task = prepareTask(options.input, join(temporary, "input"));
  const paths = placeForDatabases(options.keep, temporary);
  const { mode } = options;
  const killAfter = options.killAfter ?? Math.max(1, Math.floor(task.steps / 2));
  if (killAfter > task.steps) throw new UsageError(`--kill-after ${killAfter}: there are ${task.steps} steps`);
  console.log(describeStart(task, mode, runtime.name));

  const starter =
    (path) =>
    async (name, { killAfter, done = 0 }) => {
      const progress = new Progress(name, task.steps, done);
      const request = { task: task.name, input: task.input, path, mode };
      try {
        return await runAgent({ runtime, request, killAfter, signal, onStep: (label) => progress.step(label) });
      } finally {
        progress.end();
      }
    };
  const first =
    mode === "in-memory"
      ? await wholeRun(starter(paths.interrupted), "run 1", task.steps)
      : await interruptedRun(starter(paths.interrupted), task.steps, killAfter);
  const second = await wholeRun(starter(paths.uninterrupted), "run 2", task.steps);

  const contents = await contentsLeft(Database, first.after, paths.interrupted);
  const other = await contentsLeft(Database, second.after, paths.uninterrupted);
  const checks = checkAll({ ...first, contents, other });
  printReport({
    checks,
    contents,
    learned: task.learned(contents.kv),
    latencies: [...first.latencies, ...second.latencies],
    paths: mode === "in-memory" ? [] : Object.values(paths),
    kept: options.keep,
  });
  return checks.every((check) => check.ok) ? 0 : 1;
}

async function main() {
  const options = parseOptions(process.argv.slice(2));
  if (options.help) {
    console.log(HELP);
    return 0;
  }
  if (!existsSync(LIBRARY)) throw new UsageError("Holdfast is not built yet: npm run build");
  const stop = new AbortController();
  for (const signal of SIGNALS) process.on(signal, () => stop.abort(signal));
  process.stdout.on("error", () => stop.abort("SIGPIPE"));
  const temporary = mkdtempSync(join(tmpdir(), "holdfast-demo-"));
  try {
    return await demonstrate(options, temporary, stop.signal);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  if (error instanceof UsageError) {
    console.error(`demo: ${error.message}`);
    process.exitCode = 2;
  } else if (error instanceof AgentError) {
    console.error(`demo: ${error.message}`);
    process.exitCode = 1;
  } else if (error instanceof Stopped) {
    console.error("demo: stopped; the agent has paused and ended, and the temporary folder is removed");
    process.exitCode = 128 + (constants.signals[error.signal] ?? 1);
  } else {
    throw error;
  }
}
