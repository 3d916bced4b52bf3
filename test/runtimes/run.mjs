/**
 * Runtime conformance: the contract suites, compiled once, on every runtime there is.
 *
 *   node test/runtimes/run.mjs            all of them
 *   node test/runtimes/run.mjs deno bun   those whose name begins so; `chromium`, `firefox` and `workerd` are, too
 *
 * The suites are compiled with tsc and not bundled for servers, so that each runtime resolves the built package by
 * itself. Where the suites say `src/`, the compiled ones find `dist/`.
 */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { isMain, ROOT, runNode, runOrThrow, StepError, step, tool } from "../../scripts/steps.mjs";
import { runAlone } from "./alone.mjs";
import { BROWSER_PARTS, bundlePages, runInBrowser, titleOf } from "./browser.mjs";
import { Collector, missing, rowsOf, totalOf } from "./collect.mjs";
import { edgeRuntime, findChromium, findFirefox, installRuntimes, serverRuntimes } from "./install.mjs";
import { runInWorkerd } from "./workerd.mjs";

/** More than a machine has cores: most of the time they wait for a disk, or for another process of the same browser. */
const RUNTIMES_AT_ONCE = 3;
const SILENCE_MS_MAX = 120_000;
const END_MS_MAX = 20_000;
export const COMPILED = join(ROOT, "build/runtimes");
const ENTRY = join(COMPILED, "test/runtimes/entry.js");

/** Compiles the suites to `build/runtimes/`, with the built package in the place of its sources. */
export async function compileSuites() {
  rmSync(COMPILED, { recursive: true, force: true });
  const { code, output } = await runNode(tool("typescript/bin/tsc"), ["-p", "test/runtimes/tsconfig.json"]);
  if (code !== 0) throw new StepError(output.trim());
  rmSync(join(COMPILED, "src"), { recursive: true, force: true });
  mkdirSync(COMPILED, { recursive: true });
  symlinkSync(join(ROOT, "dist"), join(COMPILED, "src"), "junction");
}

/** Runs one process over `settings`. Ends it by itself where it hangs, and where phase one is over. */
function runProcess(runtime, settings) {
  return new Promise((resolve) => {
    const child = spawn(runtime.command, [...runtime.args, ENTRY, JSON.stringify(settings)], {
      cwd: ROOT,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", FORCE_COLOR: undefined },
    });
    let reason;
    let watchdog;
    const kill = (why) => {
      reason = why;
      child.kill("SIGKILL");
    };
    const onLine = () => {
      clearTimeout(watchdog);
      if (!collector.done) watchdog = setTimeout(() => kill(`nothing for ${SILENCE_MS_MAX} ms`), SILENCE_MS_MAX);
      else if (settings.phase === "before") child.kill("SIGKILL");
      else watchdog = setTimeout(() => kill(`all cases over, but still alive after ${END_MS_MAX} ms`), END_MS_MAX);
    };
    const collector = new Collector(runtime.name, onLine);
    onLine();
    const lines = createInterface({ input: child.stdout });
    lines.on("line", (line) => collector.line(line));
    child.stderr.setEncoding("utf8").on("data", (chunk) => {
      collector.noise += chunk;
    });
    child.once("error", (error) => {
      reason = error.message;
    });
    child.once("close", (code, signal) => {
      clearTimeout(watchdog);
      const killedAsPlanned = settings.phase === "before" && collector.done && reason === undefined;
      if (reason !== undefined) collector.fail(reason);
      else if (!killedAsPlanned && (code !== 0 || !collector.done))
        collector.fail(`ended with ${signal ?? `exit code ${code}`}`);
      resolve(collector.outcomes);
    });
  });
}

/** All phases on one server runtime. The reload cases live through the death of their process by SIGKILL. */
async function runOnServer(runtime) {
  const root = mkdtempSync(join(tmpdir(), "holdfast-conformance-"));
  const variant = "in a new process";
  try {
    const settings = { root, variant, failedBefore: [] };
    const ordinary = await runProcess(runtime, { ...settings, phase: "cases" });
    const before = await runProcess(runtime, { ...settings, phase: "before" });
    const failedBefore = before
      .filter((outcome) => !outcome.ok && outcome.place !== undefined)
      .map(({ place }) => place);
    const after = await runProcess(runtime, { ...settings, phase: "after", failedBefore });
    return [...ordinary, ...before, ...after];
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

async function named(runtime) {
  const version = (await runOrThrow(runtime.command, ["--version"])).match(/\d+([.-]\d+){2}/)?.[0];
  return { ...runtime, name: `${runtime.name.split(" ")[0]} ${version}` };
}

async function onRuntime(runtime, work) {
  if (runtime.command === undefined) return [missing(runtime.name, "npm has no build of it for this platform")];
  const present = await named(runtime);
  return reported(present.name, () => work(present));
}

/** Browsers, with what finds each and what names one that is elsewhere. */
export const BROWSERS = [
  { name: "firefox", find: findFirefox, variable: "FIREFOX_PATH" },
  { name: "chromium", find: findChromium, variable: "CHROME_PATH" },
];

/** The parts that browsers run, or what says that there is none; what is found late is looked for once. */
function browserRuns(isWanted) {
  const wanted = BROWSERS.filter(({ name }) => isWanted(name));
  const places = new Map(wanted.map(({ name, find }) => [name, find()]));
  // Whoever runs in it is told; until then nobody waits.
  for (const place of places.values()) place.catch(() => {});
  return BROWSER_PARTS.flatMap((part, index) =>
    wanted.map((browser) => async () => onBrowser(browser, await places.get(browser.name), part, index === 0)),
  );
}

async function onBrowser({ name, variable }, executablePath, part, saysMissing) {
  if (executablePath !== undefined) {
    return reported(titleOf(name, part), () => runInBrowser({ runtime: name, executablePath }, part));
  }
  return saysMissing ? [missing(name, `none was found; name one with ${variable}, or install it`)] : [];
}

/** Runs and prints the line of one runtime. */
async function reported(name, work) {
  let outcomes = [];
  await step(`conformance on ${name}`, async () => {
    outcomes = await work();
    const { passed, failed } = totalOf(rowsOf(outcomes));
    return failed > 0 ? `${failed} FAILED` : `${passed} passed`;
  });
  return outcomes;
}

/**
 * What there is to run on the runtimes whose name begins with one of `wanted`, or on all but those of `leftOut`, longest first, so that nothing is left
 * to run alone in the end; everything that they need is made and installed. @returns functions to the outcomes of each
 */
export async function conformanceRuns(wanted = [], leftOut = []) {
  const isNamed = (name) => wanted.length === 0 || wanted.some((prefix) => name.startsWith(prefix));
  const isWanted = (name) => isNamed(name) && !leftOut.includes(name);
  const compiled = await step("tsc test/runtimes", compileSuites);
  if (!compiled.ok) {
    const failure = { runtime: "all", suite: "harness", storage: "–", name: "compile", ok: false, ms: 0 };
    return [() => [{ ...failure, error: compiled.output }]];
  }
  await installRuntimes();
  const browsers = browserRuns(isWanted);
  if (browsers.length > 0) await bundlePages();
  const servers = serverRuntimes().filter(({ name }) => isWanted(name));
  const edge = [edgeRuntime()].filter(({ name }) => isWanted(name));
  return [
    ...browsers,
    ...servers.map((runtime) => () => onRuntime(runtime, runOnServer)),
    ...edge.map((runtime) => () => onRuntime(runtime, runInWorkerd)),
  ];
}

if (isMain(import.meta.url)) await runAlone(conformanceRuns, RUNTIMES_AT_ONCE);
