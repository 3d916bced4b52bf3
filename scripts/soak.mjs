/**
 * `npm run soak -- --minutes N`: the histories of many workers on every runtime, and the suites about durability, again and again,
 * with fresh seeds, for so long.
 *
 * - each round runs every suite once, one after another; `HOLDFAST_SCALE` says how many times as many cases each has;
 * - the histories say after each runtime what they have counted there;
 * - a goal is not asked for here: it is that of one whole run, whatever its scale;
 * - a line after each suite says what it has counted and, where it failed, the seed or the command that shows that again;
 * - the end, also by Ctrl-C, is the table over everything; exit code 1 if anything was wrong, 2 for flags it does not know.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { build } from "./build.mjs";
import { addReport, clearReports, conclude, faultsOf, readReports } from "./durability.mjs";
import { explainFailures, isMain, ROOT, tool } from "./steps.mjs";

const HISTORIES = "histories";
/** By their directory under `test/`, each with a vitest configuration of its own; those that are missing are left out. */
const SUITES_OF_VITEST = ["simulation", "damage", "crash", "interleavings", "model"];
/** Readers, writers and workers that are terminated, on every runtime: first, so that a short run has them too. */
const SUITES = [HISTORIES, ...SUITES_OF_VITEST];
const USAGE = `npm run soak -- [--minutes N] [--scale X] [--suite ${SUITES.join("|")}]`;
const MINUTES = 10;
/** How long one row of histories takes, over all runtimes together, at scale 1. */
const HISTORIES_SECONDS = 120;
/** What starting and ending its runtimes takes beyond that. */
const HISTORIES_END_MS = 20_000;
const SEEDS = 2 ** 31;
const LOGS = join(ROOT, "build/soak");
/** From the time that ends a run to the kill of a suite that does not end by itself. */
const GRACE_MS = 10_000;

class UsageError extends Error {}

/** Reads the flags. @throws UsageError in one line */
export function parseFlags(args) {
  const flags = { minutes: MINUTES, scale: 1, suites: SUITES };
  for (let i = 0; i < args.length; i += 2) {
    const [flag, value] = [args[i], args[i + 1]];
    if (flag === "--minutes") flags.minutes = positive(flag, value);
    else if (flag === "--scale") flags.scale = positive(flag, value);
    else if (flag === "--suite" && SUITES.includes(value)) flags.suites = [value];
    else throw new UsageError(`${[flag, value].filter((part) => part !== undefined).join(" ")}: usage: ${USAGE}`);
  }
  return flags;
}

function positive(flag, value) {
  const number = Number(value);
  if (value !== undefined && value.trim() !== "" && Number.isFinite(number) && number > 0) return number;
  throw new UsageError(`${flag} ${value ?? ""}: it takes a number above 0; usage: ${USAGE}`);
}

/** What Node is given to run a suite; `undefined` where the suite is not there. */
function commandOf(suite, scale, msLeft) {
  if (suite !== HISTORIES) {
    const args = suiteArgs(suite);
    return args && [tool("vitest/vitest.mjs"), "run", ...args];
  }
  // It ends by itself, so that what every runtime has counted is told.
  const seconds = Math.max(1, Math.min(HISTORIES_SECONDS * scale, (msLeft - HISTORIES_END_MS) / 1000));
  return [join(ROOT, "test/runtimes/histories.mjs"), "--seconds", String(Math.floor(seconds))];
}

/** The configuration of a suite; the model tests of a tree without one of their own are run by that of the unit tests. */
function suiteArgs(suite) {
  const own = `test/${suite}/vitest.config.ts`;
  if (existsSync(join(ROOT, own))) return ["--config", own];
  return suite === "model" ? ["--config", "vitest.config.ts", "test/model"] : undefined;
}

function clock(ms) {
  const total = Math.round(ms / 1000);
  return `${Math.floor(total / 60)}:${String(total % 60).padStart(2, "0")}`;
}

class Soak {
  #begunMs = performance.now();
  #endMs;
  #scale;
  #suites;
  #child;
  #isStopped = false;
  #totals = new Map();
  #failures = [];
  #runs = 0;

  constructor({ minutes, scale, suites }) {
    this.#endMs = this.#begunMs + minutes * 60_000;
    this.#scale = scale;
    this.#suites = suites.filter((suite) => commandOf(suite, scale, 0) !== undefined);
  }

  get #isOver() {
    return this.#isStopped || performance.now() >= this.#endMs;
  }

  /** Ends the run: what is under way is given up, and counts for nothing. */
  stop() {
    this.#isStopped = true;
    this.#child?.stop();
  }

  async run() {
    mkdirSync(LOGS, { recursive: true });
    while (!this.#isOver) {
      for (const suite of this.#suites) {
        if (this.#isOver) break;
        await this.#runSuite(suite);
      }
    }
    return this.#end();
  }

  async #runSuite(suite) {
    const seed = Math.floor(Math.random() * SEEDS);
    clearReports();
    const command = commandOf(suite, this.#scale, this.#endMs - performance.now());
    const told = suite === HISTORIES ? (line) => console.log(`         ${line}`) : () => {};
    this.#child = startSuite(command, seed, this.#scale, this.#endMs, told);
    const { code, output, isCutShort } = await this.#child.ended;
    this.#child = undefined;
    const reports = readReports();
    for (const report of reports) this.#totals.set(report.suite, addReport(this.#totals.get(report.suite), report));
    const faults = faultsOf(reports, { goals: false, expectAll: false });
    if (isCutShort && faults.length === 0) return this.#say(suite, "given up unfinished", reports);
    this.#runs++;
    if (code === 0 && faults.length === 0) return this.#say(suite, "ok", reports);
    const log = join(LOGS, `${suite}-${seed}.log`);
    writeFileSync(log, output);
    const failure = `${suite} FAILED, HOLDFAST_SEED=${seed} HOLDFAST_SCALE=${this.#scale}, see ${log}`;
    this.#failures.push(failure, ...faults, ...(output.match(/^again: .*$/gm) ?? []));
    return this.#say(suite, failure, reports);
  }

  #say(suite, what, reports) {
    const soFar = reports.map(
      ({ suite: name }) => `${name} ${(this.#totals.get(name).cases ?? 0).toLocaleString("en-US")}`,
    );
    const elapsed = clock(performance.now() - this.#begunMs);
    const cases = soFar.length === 0 ? "" : `  so far: ${soFar.join(", ")}`;
    console.log(`${elapsed.padStart(7)}  ${suite.padEnd(10)}  ${what}${cases}`);
  }

  /** The table over everything. @returns the exit code */
  #end() {
    const isOk = conclude([...this.#totals.values()], this.#failures);
    const elapsed = clock(performance.now() - this.#begunMs);
    console.log(`\n${this.#runs} runs of suites in ${elapsed}${this.#isStopped ? ", stopped" : ""}`);
    return isOk ? 0 : 1;
  }
}

/** One run of a suite in a process group of its own, so that stopping it ends its workers and their children too. */
function startSuite(command, seed, scale, endMs, told) {
  const env = { ...process.env, NO_COLOR: "1", HOLDFAST_SEED: String(seed), HOLDFAST_SCALE: String(scale) };
  const child = spawn(process.execPath, command, {
    cwd: ROOT,
    env,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  let isCutShort = false;
  const collect = (chunk) => {
    output += chunk;
  };
  child.stdout.setEncoding("utf8").on("data", collect);
  createInterface({ input: child.stdout }).on("line", told);
  child.stderr.setEncoding("utf8").on("data", collect);
  const signal = (name) => {
    try {
      process.kill(-child.pid, name);
    } catch {
      // It has ended by itself.
    }
  };
  let killTimer;
  const stop = () => {
    if (isCutShort) return;
    isCutShort = true;
    signal("SIGTERM");
    killTimer = setTimeout(() => signal("SIGKILL"), GRACE_MS);
  };
  const endTimer = setTimeout(stop, Math.max(0, endMs - performance.now()));
  const ended = new Promise((resolve) => {
    const end = (code) => {
      clearTimeout(endTimer);
      clearTimeout(killTimer);
      if (isCutShort) signal("SIGKILL");
      resolve({ code, output, isCutShort });
    };
    child.once("error", (error) => {
      output += error.message;
      end(127);
    });
    child.once("close", (code) => end(code ?? 1));
  });
  return { ended, stop };
}

async function main() {
  let flags;
  try {
    flags = parseFlags(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(error.message);
    return 2;
  }
  const built = await build({ debug: true, quiet: true });
  if (explainFailures(built) > 0) return 1;
  const soak = new Soak(flags);
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => soak.stop());
  return soak.run();
}

if (isMain(import.meta.url)) process.exitCode = await main();
