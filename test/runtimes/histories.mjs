/**
 * Long rows of histories of real workers, on the built package and on every runtime there is, one runtime after another:
 *
 *   node test/runtimes/histories.mjs                           all of them, for a minute together
 *   node test/runtimes/histories.mjs deno firefox --seconds 60 those whose name begins so
 *   node test/runtimes/histories.mjs bun --seed 7 --repeat 50  one history again and again: its seed says what the workers do, and
 *                                                              not who comes when
 *
 * A line for each runtime says what was counted; each that failed is told with the command that repeats it. What was counted goes
 * into the table about durability too.
 */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { build } from "../../scripts/build.mjs";
import { explainFailures, isMain, ROOT, StepError, step } from "../../scripts/steps.mjs";
import { bundle, launch, serve } from "../support/browsers.mjs";
import { installRuntimes, serverRuntimes } from "./install.mjs";
import { BROWSERS, COMPILED, compileSuites } from "./run.mjs";

const USAGE =
  "node test/runtimes/histories.mjs [runtime…] [--seconds N] [--seed S] [--repeat N] [--transactions N] [--kills-every N]";
const ENTRY = join(COMPILED, "test/runtimes/histories-entry.js");
const REPORTS = join(ROOT, "build/durability");
const SECONDS = 60;
const TRANSACTIONS = 1000;
const KILLS_EVERY = 4;
const SEEDS = 1_000_000;
/** A process, or a page, is a new one after so many: memory of databases that were closed goes when its runtime comes to it. */
const BATCH = 60;
/** Longer than any history that comes to an end, and than it takes to say of one that it does not. */
const SILENCE_MS_MAX = 60_000;
const KINDS = ["lost", "reordered", "silentlyCorrupt", "untyped", "hung"];

class UsageError extends Error {}

function parseFlags(args) {
  const seed = Number(process.env.HOLDFAST_SEED ?? Math.floor(Math.random() * SEEDS)) % SEEDS;
  const flags = {
    runtimes: [],
    seconds: SECONDS,
    seed,
    repeat: 0,
    transactions: TRANSACTIONS,
    killsEvery: KILLS_EVERY,
  };
  const numbers = { "--seconds": "seconds", "--seed": "seed", "--repeat": "repeat", "--transactions": "transactions" };
  const named = { ...numbers, "--kills-every": "killsEvery" };
  for (let i = 0; i < args.length; i++) {
    const name = named[args[i]];
    if (name === undefined && !args[i].startsWith("--")) flags.runtimes.push(args[i]);
    else if (name === undefined) throw new UsageError(`${args[i]}: usage: ${USAGE}`);
    else {
      flags[name] = Number(args[++i]);
      if (!(flags[name] >= 0)) throw new UsageError(`${args[i - 1]} ${args[i]}: it takes a number; usage: ${USAGE}`);
    }
  }
  return flags;
}

/** What one runtime has come to. */
class Count {
  tally = {};
  failures = [];
  /** Signs of life go here. */
  onLine = () => {};
  isDone = false;
  lastSeed;

  line(text) {
    let line;
    try {
      line = JSON.parse(text);
    } catch {
      return;
    }
    this.onLine();
    if (line.done === true) this.isDone = true;
    else if ("failed" in line) this.failures.push(line);
    if ("seed" in line) this.lastSeed = line.seed;
    for (const [name, value] of Object.entries(line.tally ?? {})) {
      this.tally[name] = name === "leftMax" ? Math.max(this.tally[name] ?? 0, value) : (this.tally[name] ?? 0) + value;
    }
  }

  get histories() {
    return (this.tally.histories ?? 0) + this.failures.length;
  }
}

/** Ends what has said nothing for too long. */
function watchSilence(count, end) {
  let timer;
  const again = () => {
    clearTimeout(timer);
    timer = setTimeout(() => end(`nothing for ${SILENCE_MS_MAX} ms after seed ${count.lastSeed}`), SILENCE_MS_MAX);
  };
  count.onLine = again;
  again();
  return () => clearTimeout(timer);
}

/** One batch in a process of its own; throws what that died of. */
function batchOnServer(runtime, settings, count) {
  return new Promise((resolve, reject) => {
    const child = spawn(runtime.command, [...runtime.args, ENTRY, JSON.stringify(settings)], {
      cwd: ROOT,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", FORCE_COLOR: undefined },
    });
    let noise = "";
    let reason;
    const stop = watchSilence(count, (why) => {
      reason = why;
      child.kill("SIGKILL");
    });
    createInterface({ input: child.stdout }).on("line", (line) => count.line(line));
    child.stderr.setEncoding("utf8").on("data", (chunk) => {
      noise += chunk;
    });
    child.once("close", (code, signal) => {
      stop();
      if (code === 0 && count.isDone) resolve();
      else reject(new Error(`${reason ?? `ended with ${signal ?? `exit code ${code}`}`}\n${noise.slice(-2000)}`));
    });
  });
}

/** One batch in a page of a browser of its own; throws what that died of. */
async function batchInBrowser({ name, executablePath }, settings, count) {
  const profile = mkdtempSync(join(tmpdir(), `holdfast-histories-${name}-`));
  const site = join(ROOT, "build/browser-histories", name);
  const server = await serve(site, (_path, line) => count.line(line));
  const browser = await launch(name, { executablePath, profile, callMsMax: settings.msMax + 2 * SILENCE_MS_MAX });
  try {
    const page = await browser.newPage();
    await page.open(server.url, "holdfastHistories");
    await new Promise((resolve, reject) => {
      const stop = watchSilence(count, (why) => reject(new Error(why)));
      page.call(settings).then(resolve, reject).finally(stop);
    });
  } finally {
    await browser.close();
    server.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

/** Histories on one runtime for so long. @returns what they have come to */
async function followOn(name, flags, msMax, batch, root) {
  const count = new Count();
  const until = performance.now() + msMax;
  for (let done = 0; performance.now() < until && (flags.repeat === 0 || done < flags.repeat); done += BATCH) {
    count.isDone = false;
    const left = flags.repeat === 0 ? BATCH : Math.min(BATCH, flags.repeat - done);
    const settings = {
      firstSeed: flags.repeat === 0 ? flags.seed + done : flags.seed,
      step: flags.repeat === 0 ? 1 : 0,
      count: left,
      msMax: until - performance.now(),
      transactions: flags.transactions,
      killsEvery: flags.killsEvery,
      root,
    };
    try {
      await batch(settings, count);
    } catch (error) {
      count.failures.push({
        seed: (count.lastSeed ?? settings.firstSeed - 1) + 1,
        kind: "hung",
        failed: error.message,
      });
      break;
    }
  }
  return { name, count };
}

async function onServer(runtime, flags, msMax) {
  const root = mkdtempSync(join(tmpdir(), "holdfast-histories-"));
  try {
    return await followOn(runtime.name, flags, msMax, (...given) => batchOnServer(runtime, ...given), root);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

async function onBrowser({ name, executablePath }, flags, msMax) {
  await bundle(ENTRY, join(ROOT, "build/browser-histories", name));
  return followOn(name, flags, msMax, (...given) => batchInBrowser({ name, executablePath }, ...given), undefined);
}

function say({ name, count }, ms) {
  const {
    committed = 0,
    aborted = 0,
    indeterminate = 0,
    killed = 0,
    poisoned = 0,
    logsLost = 0,
    leftMax = 0,
  } = count.tally;
  const parts = [
    `${count.histories} histories`,
    `${committed.toLocaleString("en-US")} committed`,
    `${aborted.toLocaleString("en-US")} refused`,
    `${killed} killed inside (${indeterminate} in a commit, ${poisoned} runs and ${logsLost} logs left unfinished)`,
    `at most ${leftMax.toLocaleString("en-US")} bytes left`,
  ];
  const verdict = count.failures.length === 0 ? "ok" : `${count.failures.length} FAILED`;
  console.log(`${name.padEnd(14)} ${(ms / 1000).toFixed(0).padStart(4)} s  ${verdict}: ${parts.join(", ")}`);
}

function replayOf(name, { seed }, { transactions, killsEvery }) {
  const [short] = name.split(" ");
  const which = short === "node" ? `"${name.split(".")[0]}"` : short;
  return `node test/runtimes/histories.mjs ${which} --seed ${seed} --repeat 50 --transactions ${transactions} --kills-every ${killsEvery}`;
}

function writeReport(all, skipped, flags, seconds) {
  const failures = all.flatMap(({ count }) => count.failures);
  const sum = (pick) => all.reduce((total, { count }) => total + pick(count), 0);
  const ofKind = Object.fromEntries(
    KINDS.map((kind) => [kind, failures.filter((failure) => failure.kind === kind).length]),
  );
  mkdirSync(REPORTS, { recursive: true });
  const report = {
    suite: "histories",
    what: "histories of real workers",
    cases: sum((count) => count.histories),
    goal: 0,
    acknowledged: sum((count) => count.tally.committed ?? 0),
    partial: 0,
    ...ofKind,
    seed: flags.seed,
    seconds,
    skipped: skipped.length === 0 ? undefined : `no ${skipped.join(", no ")} here`,
  };
  writeFileSync(join(REPORTS, "histories.json"), `${JSON.stringify(report, null, 2)}\n`);
}

/** Everything that histories can be followed on here, by name, and what is missing. */
async function grounds(wanted) {
  const isWanted = (name) => wanted.length === 0 || wanted.some((prefix) => name.startsWith(prefix));
  const servers = serverRuntimes().filter(({ name }) => isWanted(name));
  const browsers = [];
  for (const { name, find } of BROWSERS.filter((browser) => isWanted(browser.name))) {
    browsers.push({ name, executablePath: await find() });
  }
  const here = ({ command, executablePath }) => command !== undefined || executablePath !== undefined;
  return {
    work: [
      ...servers.filter(here).map(
        (runtime) =>
          (...given) =>
            onServer(runtime, ...given),
      ),
      ...browsers.filter(here).map(
        (browser) =>
          (...given) =>
            onBrowser(browser, ...given),
      ),
    ],
    skipped: [...servers, ...browsers].filter((ground) => !here(ground)).map(({ name }) => name),
  };
}

async function main() {
  const flags = parseFlags(process.argv.slice(2));
  const built = await build({ debug: false, quiet: true });
  if (explainFailures(built) > 0) return 1;
  const compiled = await step("tsc test/runtimes", compileSuites, { quiet: true });
  if (explainFailures([compiled]) > 0) return 1;
  await installRuntimes();
  const { work, skipped } = await grounds(flags.runtimes);
  const begunMs = performance.now();
  const all = [];
  for (const [index, follow] of work.entries()) {
    const startMs = performance.now();
    const msMax = (flags.seconds * 1000 - (startMs - begunMs)) / (work.length - index);
    const done = await follow(flags, Math.max(1, msMax));
    all.push(done);
    say(done, performance.now() - startMs);
    for (const failure of done.count.failures) {
      console.error(`\n--- ${done.name} ---\n${failure.failed}\nagain: ${replayOf(done.name, failure, flags)}\n`);
    }
    writeReport(all, skipped, flags, (performance.now() - begunMs) / 1000);
  }
  const failed = all.reduce((sum, { count }) => sum + count.failures.length, 0);
  const histories = all.reduce((sum, { count }) => sum + count.histories, 0);
  console.log(`${histories} histories on ${all.length} runtimes, seed ${flags.seed}: ${failed} failed`);
  return failed > 0 ? 1 : 0;
}

if (isMain(import.meta.url)) {
  try {
    process.exitCode = await main();
  } catch (error) {
    if (!(error instanceof StepError) && !(error instanceof UsageError)) throw error;
    console.error(error.message);
    process.exitCode = error instanceof UsageError ? 2 : 1;
  }
}
