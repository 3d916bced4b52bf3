/**
 * How the scripts run things and say so.
 *
 * - a step prints one line when it is over: its name, how it went, how long it took;
 * - the output of a command is kept back, and shown only where the command fails;
 * - a command is an argument list, never a shell line, and its failure is a value, never a stack trace.
 */
import { spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The root of the project, whatever the working directory is. */
export const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");

/** A failure that is the user's to mend: its message is all there is to say. */
export class StepError extends Error {}

const NAME_WIDTH = 44;

/** The entry script of a command line tool among the development dependencies. */
export function tool(path) {
  return join(ROOT, "node_modules", path);
}

export function seconds(ms) {
  return `${(ms / 1000).toFixed(1)} s`;
}

export function stepLine(name, note, ms) {
  return `${name.padEnd(NAME_WIDTH)} ${note.padEnd(10)} ${ms === undefined ? "" : seconds(ms).padStart(7)}`.trimEnd();
}

/** Has a child end with this process, however that ends, unless it has ended before. @returns the child */
export function boundToThis(child) {
  const end = () => child.kill("SIGKILL");
  process.once("exit", end);
  child.once("close", () => process.off("exit", end));
  return child;
}

/**
 * Runs a command in the root of the project to its end, or for `msMax` if that is sooner.
 * @returns its exit code and everything that it wrote, both streams in the order of arrival
 */
export function run(command, args, { env = {}, cwd = ROOT, inherit = false, msMax } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: inherit ? "inherit" : ["ignore", "pipe", "pipe"],
      timeout: msMax,
      killSignal: "SIGKILL",
    });
    let output = "";
    const collect = (chunk) => {
      output += chunk;
    };
    child.stdout?.setEncoding("utf8").on("data", collect);
    child.stderr?.setEncoding("utf8").on("data", collect);
    child.once("error", (error) => resolve({ code: 127, output: `${command}: ${error.message}\n` }));
    child.once("close", (code, signal) =>
      resolve({ code: code ?? 1, output: signal ? `${output}ended by ${signal}\n` : output }),
    );
  });
}

/** Runs a script under this very Node. */
export function runNode(script, args, options) {
  return run(process.execPath, [script, ...args], options);
}

/** Like {@link run}, for a command that has to succeed: throws its output. */
export async function runOrThrow(command, args, options) {
  const { code, output } = await run(command, args, options);
  if (code !== 0) throw new StepError(output.trim() || `${command} ended with exit code ${code}`);
  return output;
}

/** Calls `work` on every item, at most `limit` at a time, and returns the results in the order of the items. */
export async function inParallel(items, limit, work) {
  const results = new Array(items.length);
  let next = 0;
  const lane = async () => {
    while (next < items.length) {
      const index = next++;
      results[index] = await work(items[index]);
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, lane));
  return results;
}

/**
 * Runs one step and prints its line.
 * @returns `{ name, ok, ms, output }`; a `StepError` of the work is a failure, anything else is a fault of the script
 */
export async function step(name, work, { quiet = false } = {}) {
  const start = performance.now();
  try {
    const note = (await work()) ?? "ok";
    const ms = performance.now() - start;
    if (!quiet) console.log(stepLine(name, note, ms));
    return { name, ok: true, ms, output: "" };
  } catch (error) {
    if (!(error instanceof StepError)) throw error;
    const ms = performance.now() - start;
    console.log(stepLine(name, "FAILED", ms));
    return { name, ok: false, ms, output: error.message };
  }
}

/** Prints what the failed steps had to say. @returns how many of them there are */
export function explainFailures(results) {
  const failed = results.filter((result) => !result.ok);
  for (const result of failed) console.error(`\n--- ${result.name} ---\n${result.output}`);
  return failed.length;
}

/** Whether `url` is the script that was started, and not a module that another one imports. */
export function isMain(url) {
  return process.argv[1] !== undefined && fileURLToPath(url) === process.argv[1];
}
