/**
 * The demo as a user runs it: a process of its own, judged by its exit code, by what it says, and by what it leaves behind,
 * which is nothing, or where it is told to keep it, a store in which traces, events and cursor tell of the same steps.
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Database } from "../../src/index.js";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const DEMO = join(ROOT, "examples/agent/demo.mjs");
const AGENT = join(ROOT, "examples/agent/agent.mjs");
const RECORDED_RUNS = join(ROOT, "../shared/data/trajectories");
const TIMEOUT_MS = 60_000;
const COLUMNS_MAX = 80;
/** The report of the demo without flags is to be seen at one glance. */
const LINES_MAX = 38;
/** A bar of the histogram: three to a decade, from a microsecond to seconds. */
const BAR = /[█▏▎▍▌▋▊▉]/;
const BARS_MAX = 24;
/** A slow machine is told how far it has come, now and then. */
const PROGRESS = /^ {2}run \d( again)? +\d+\/\d+$/;
/** The run is put into the index, and its task begun. */
const COMMITS_BEFORE_STEPS = 2;

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Everything that a test writes; and the folder that the demo takes for the system's temporary one. */
let place: string;
let temporary: string;

beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), "hf-demo-test-"));
  temporary = join(place, "tmp");
  mkdirSync(temporary);
});

afterEach(() => {
  rmSync(place, { recursive: true, force: true });
});

/** Runs the demo to its end; `signalWhenRunning` is sent as soon as it has said what it is about to do. */
function demo(args: readonly string[], signalWhenRunning?: NodeJS.Signals): Promise<Outcome> {
  const child = start(DEMO, args);
  child.stdin.end();
  if (signalWhenRunning !== undefined) child.stdout.once("data", () => child.kill(signalWhenRunning));
  return outcomeOf(child);
}

/** Runs the agent as the demo does: it hears of each step, and of the end; `signalAtStep` is when it is interrupted. */
function agent(request: string, { signalAtStep = Number.POSITIVE_INFINITY } = {}): Promise<Outcome> {
  const child = start(AGENT, [request]);
  createInterface({ input: child.stdout }).on("line", (line) => {
    const { type, steps } = JSON.parse(line);
    if (type === "finished") child.stdin.end();
    if (type === "step" && steps <= signalAtStep) child.stdin.write(".");
    if (type === "step" && steps === signalAtStep) child.kill("SIGTERM");
  });
  return outcomeOf(child);
}

function start(script: string, args: readonly string[]): ChildProcessWithoutNullStreams {
  const env = { ...process.env, TMPDIR: temporary, TEMP: temporary, TMP: temporary };
  return spawn(process.execPath, [script, ...args], { cwd: place, env });
}

function outcomeOf(child: ChildProcessWithoutNullStreams): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      stdout += chunk;
    });
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
      stderr += chunk;
    });
    // It may be gone before it has been told that it was heard.
    child.stdin.on("error", () => {});
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, stdout, stderr }));
  });
}

/** A recorded run, with what JSON can spell and a store cannot keep: half a surrogate pair. */
function stepsOf(count: number): object[] {
  return Array.from({ length: count }, (_, index) => ({
    action: index % 2 === 0 ? `open file-${index}.txt\n` : "submit",
    observation: `line ${index}\n`.repeat(20),
    thought: "What is in it? \ud83d",
    response: "ünïcödé",
    state: { open_file: `file-${index}.txt` },
  }));
}

function writeTrajectory(steps: number): string {
  return writeFile("run.json", JSON.stringify({ trajectory: stepsOf(steps) }));
}

function writeFile(name: string, content: string): string {
  const path = join(place, name);
  writeFileSync(path, content);
  return path;
}

function expectSuccess({ code, stdout, stderr }: Outcome): void {
  expect({ code, stderr }, stdout).toEqual({ code: 0, stderr: "" });
  expect(stdout).toContain("✓ both runs ended equal");
  const [, ...counts] =
    stdout.match(/✓ no step is lost or doubled: cursor (\d+) = (\d+) traces = (\d+) decisions/) ?? [];
  expect(new Set(counts).size).toBe(1);
  expect(stdout).toContain(`✓ the event log is whole: ${counts[0]} hash`);
  expect(stdout).toMatch(/✓ the tree is whole: \d+ traces? below one root/);
  expect(stdout).toMatch(/run +completed, tagged demo, \w+; cursor \d+, at version \d+\n/);
  expect(stdout).toMatch(new RegExp(`event log +${counts[0]} events?, head [0-9a-f]{32}…`));
  expect(stdout).toContain("└─ ");
  expect(stdout).not.toContain("✗");
  expect(stdout).not.toContain("\x1b");
  expect(stdout.split("\n").filter((line) => line.length > COLUMNS_MAX)).toEqual([]);
  expect(readdirSync(temporary)).toEqual([]);
}

/** @returns how many steps were acknowledged before the kill */
function expectRecovery({ stdout }: Outcome): number {
  expect(stdout).toContain("killed (SIGKILL)");
  const [, commits] = stdout.match(/recovered (\d+) commits?, dropped \d+ bytes?/) ?? [];
  const [, acknowledged, found] =
    stdout.match(/✓ no acknowledged step is missing: (\d+) acknowledged, (\d+) found/) ?? [];
  expect(Number(acknowledged)).toBeGreaterThan(0);
  expect(Number(found)).toBeGreaterThanOrEqual(Number(acknowledged));
  const isCompleted = stdout.includes("found it completed");
  expect(Number(commits)).toBe(Number(found) + COMMITS_BEFORE_STEPS + (isCompleted ? 1 : 0));
  expect(stdout).toContain("that before the kill is in it");
  return Number(acknowledged);
}

interface StoredRun {
  readonly status: string | undefined;
  readonly error: string | undefined;
  readonly steps: number;
}

/** Looks at a store that was kept: whatever happened to the agent, its parts tell of the same steps. */
async function expectWholeRun(path: string): Promise<StoredRun> {
  const db = await Database.open({ path, readOnly: true });
  try {
    const { events, state, traces } = db.run("demo");
    const cursor = state.read("cursor");
    const steps = Number(cursor?.value);
    expect(cursor?.version).toBe(steps + 1);
    const numbers = Array.from({ length: steps }, (_, number) => number);
    expect(events.readByType("decision").map(({ payload }) => (payload as { step: number }).step)).toEqual(numbers);
    expect(events.verify()).toEqual({ valid: true, length: steps });
    const stepIds = numbers.map((number) => `step/${String(number).padStart(5, "0")}`);
    expect(traces.byTag("step").map(({ id }) => id)).toEqual(stepIds);
    expect(traces.children("task").map(({ id }) => id)).toEqual(stepIds);
    expect(traces.roots().map(({ id }) => id)).toEqual(["task"]);
    const below = (tree = traces.tree("task")): number => tree?.children.reduce((sum, it) => sum + below(it), 1) ?? 0;
    expect(below()).toBe(traces.count());
    const info = db.runs.get("demo");
    return { status: info?.status, error: info?.error, steps };
  } finally {
    await db.close();
  }
}

async function expectRefusal(args: readonly string[], why: RegExp): Promise<void> {
  const { code, stdout, stderr } = await demo(args);
  expect({ code, stdout }, stderr).toEqual({ code: 2, stdout: "" });
  expect(stderr).toMatch(/^demo: [^\n]+\n$/);
  expect(stderr).toMatch(why);
  expect(readdirSync(temporary)).toEqual([]);
}

describe("the demo", { timeout: TIMEOUT_MS }, () => {
  test("kills an agent that reads the source, and its second start loses nothing", async () => {
    const outcome = await demo([]);
    expectSuccess(outcome);
    expectRecovery(outcome);
    expect(outcome.stdout).toMatch(/p50 .* p99 .* max /);
    const lasting = outcome.stdout.split("\n").filter((line) => !PROGRESS.test(line));
    const bars = lasting.filter((line) => BAR.test(line));
    // How many bars there are is up to the machine: a busy one spreads its latencies.
    expect(lasting.length - bars.length).toBeLessThanOrEqual(LINES_MAX);
    expect(bars.length).toBeLessThanOrEqual(BARS_MAX);
  });

  test("loses nothing acknowledged in buffered mode either", async () => {
    const outcome = await demo(["--mode", "buffered"]);
    expectSuccess(outcome);
    expectRecovery(outcome);
  });

  test("kills nothing in memory, says why, and compares", async () => {
    const outcome = await demo(["--mode", "in-memory"]);
    expectSuccess(outcome);
    expect(outcome.stdout).not.toContain("SIGKILL");
    expect(outcome.stdout).toContain("a killed process loses everything");
    expect(outcome.stdout).not.toContain("log on disk");
  });

  test("kills the agent in the middle of a recorded run", async () => {
    const outcome = await demo(["--input", writeTrajectory(60)]);
    expectSuccess(outcome);
    const acknowledged = expectRecovery(outcome);
    expect(acknowledged).toBeGreaterThanOrEqual(30);
    expect(acknowledged).toBeLessThan(60);
  });

  test("works on a recorded run of one step, where the kill comes after the last", async () => {
    const outcome = await demo(["--input", writeTrajectory(1)]);
    expectSuccess(outcome);
    expect(expectRecovery(outcome)).toBe(1);
  });

  test("takes a recorded run that is a list of messages", async () => {
    const history = [
      { role: "system", content: "Be careful." },
      { role: "assistant", content: "I look.", action: "ls", thought: "I look." },
      { role: "tool", content: "a.txt" },
    ];
    expectSuccess(await demo(["--input", writeFile("messages.json", JSON.stringify({ history }))]));
  });

  test.each([1, 7, 30, 59, 60])(
    "loses and doubles nothing where it is killed after step %i of 60",
    async (killAfter) => {
      const keep = join(place, "kept");
      const input = writeTrajectory(60);
      const outcome = await demo(["--input", input, "--kill-after", String(killAfter), "--keep", keep]);
      expectSuccess(outcome);
      expect(expectRecovery(outcome)).toBeGreaterThanOrEqual(killAfter);
      for (const name of ["interrupted", "uninterrupted"]) {
        expect(await expectWholeRun(join(keep, name))).toEqual({ status: "completed", error: undefined, steps: 60 });
      }
    },
  );

  test("traces a step as its thought, its call and what went wrong", async () => {
    const keep = join(place, "kept");
    const trajectory = [
      { thought: "I try.", action: "python a.py\n", observation: "Traceback:\nTypeError: no\n", execution_time: 0.25 },
      { thought: "\n", action: "submit" },
    ];
    const input = writeFile("run.json", JSON.stringify({ trajectory }));
    expectSuccess(await demo(["--input", input, "--keep", keep]));
    const db = await Database.open({ path: join(keep, "interrupted") });
    const entries = db
      .run("demo")
      .traces.list()
      .map(({ id, entry }) => [id, entry]);
    await db.close();
    expect(Object.fromEntries(entries)).toEqual({
      task: { type: "custom", name: "task", data: { task: "trajectory" } },
      "step/00000": { type: "thought", content: "I try." },
      "step/00000.1": {
        type: "tool-call",
        name: "python",
        args: "a.py",
        result: "Traceback:\nTypeError: no\n",
        durationMs: 250,
      },
      "step/00000.2": { type: "error", errorType: "TypeError", message: "no", recoverable: true },
      "step/00001": { type: "tool-call", name: "submit", args: "" },
    });
  });

  const recorded = existsSync(RECORDED_RUNS) ? readdirSync(RECORDED_RUNS).filter((name) => name.endsWith(".json")) : [];
  test.each(recorded)("repeats the recorded run %s", async (name) => {
    const outcome = await demo(["--input", join(RECORDED_RUNS, name)]);
    expectSuccess(outcome);
    expectRecovery(outcome);
  });

  test("keeps the databases where it is told to, and never works over them", async () => {
    const keep = join(place, "kept");
    const outcome = await demo(["--input", writeTrajectory(4), "--keep", keep]);
    expect(outcome.code, outcome.stderr).toBe(0);
    expect(readdirSync(keep)).toEqual(["interrupted", "uninterrupted"]);
    expect(readdirSync(temporary)).toEqual([]);
    await expectRefusal(["--keep", keep], /already there/);
  });

  test.each(["deno", "bun"])("runs the agent on %s, or says in a line how to install it", async (runtime) => {
    const args = ["--runtime", runtime];
    const outcome = await demo(args);
    if (outcome.code === 2) {
      await expectRefusal(args, /npm ci .*test\/runtimes/);
      return;
    }
    expectSuccess(outcome);
    expectRecovery(outcome);
  });

  test.skipIf(process.platform === "win32")("cleans up when it is interrupted", async () => {
    const { code, stderr } = await demo(["--input", writeTrajectory(500)], "SIGINT");
    expect({ code, stderr }).toEqual({ code: 130, stderr: expect.stringMatching(/^demo: stopped[^\n]*\n$/) });
    expect(readdirSync(temporary)).toEqual([]);
  });

  test.skipIf(process.platform === "win32")("leaves a paused run where it is interrupted, which goes on", async () => {
    const path = join(place, "store");
    const request = JSON.stringify({
      task: "trajectory",
      input: writeFile("steps.json", JSON.stringify(stepsOf(40)).replaceAll("\\ud83d", "")),
      path,
      mode: "strict",
    });
    const { code, stdout } = await agent(request, { signalAtStep: 3 });
    expect({ code, last: stdout.trim().split("\n").at(-1) }).toEqual({
      code: 0,
      last: '{"type":"paused","why":"SIGTERM"}',
    });
    const paused = await expectWholeRun(path);
    expect(paused).toEqual({ status: "paused", error: undefined, steps: expect.any(Number) });
    expect(paused.steps).toBeGreaterThanOrEqual(3);
    expect(paused.steps).toBeLessThan(40);

    const again = await agent(request);
    expect(again.stdout).toContain(`"found":${paused.steps},"status":"paused"`);
    expect(await expectWholeRun(path)).toEqual({ status: "completed", error: undefined, steps: 40 });
  });

  test("leaves a failed run where the agent fails, and does not go on with it", async () => {
    const path = join(place, "store");
    const input = writeFile("steps.json", '[{"action": "ls"}, {"action": 7}]');
    const request = JSON.stringify({ task: "trajectory", input, path, mode: "strict" });
    const { code, stdout } = await agent(request);
    expect(code).toBe(1);
    expect(stdout).toContain('{"type":"failed"');
    const failed = { status: "failed", error: expect.stringContaining("trim"), steps: 1 };
    expect(await expectWholeRun(path)).toEqual(failed);
    expect((await agent(request)).stdout).toContain("the run is failed");
    expect(await expectWholeRun(path)).toEqual(failed);
  });

  test("explains itself", async () => {
    const { code, stdout, stderr } = await demo(["--help"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    for (const flag of ["--mode", "--runtime", "--input", "--kill-after", "--keep"]) expect(stdout).toContain(flag);
  });
});

describe("the demo refuses, in one line and with exit code 2,", { timeout: TIMEOUT_MS }, () => {
  test.each([
    ["an unknown flag", ["--fast"], /--fast/],
    ["an argument without a flag", ["strict"], /strict/],
    ["a flag without its value", ["--mode"], /--mode/],
    ["a flag in the place of a value", ["--mode", "--help"], /--mode/],
    ["an unknown mode", ["--mode", "paranoid"], /strict, buffered, in-memory/],
    ["an unknown runtime", ["--runtime", "perl"], /node, deno, bun/],
    ["an empty name of a file", ["--input", ""], /--input/],
    ["to keep what is in memory only", ["--mode", "in-memory", "--keep", "kept"], /--keep/],
    ["to kill after no step", ["--kill-after", "0"], /--kill-after/],
    ["to kill after what is no number", ["--kill-after", "half"], /--kill-after/],
    ["to kill after a step that does not come", ["--kill-after", "99999"], /there are \d+ steps/],
    ["to kill what is in memory only", ["--mode", "in-memory", "--kill-after", "3"], /--kill-after/],
    ["a file that is missing", ["--input", "missing.json"], /missing\.json.*ENOENT/],
    ["a directory for a file", ["--input", "."], /EISDIR/],
  ])("%s", (_, args, why) => expectRefusal(args, why));

  test.each([
    ["no JSON", '{"trajectory": [', /is not JSON/],
    ["an empty file", "", /is not JSON/],
    ["no object", "[]", /is no recorded run: it is not an object/],
    ["null", "null", /is no recorded run: it is not an object/],
    ["another object", '{"steps": []}', /neither a "trajectory" nor a "history"/],
    ["no list of steps", '{"trajectory": "long"}', /neither a "trajectory" nor a "history"/],
    ["no steps", '{"trajectory": []}', /it has no steps/],
    ["a step that is none", '{"trajectory": [{"action": "ls"}, 7]}', /step 2 has no "action"/],
    ["messages without an action", '{"history": [{"role": "user", "content": "hello"}, null]}', /it has no steps/],
  ])("a recorded run that is %s", (_, content, why) => expectRefusal(["--input", writeFile("bad.json", content)], why));

  test("to keep databases below a file", () =>
    expectRefusal(["--keep", join(writeFile("file", ""), "kept")], /--keep/));
});
