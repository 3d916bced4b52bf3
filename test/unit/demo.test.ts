/**
 * The demo as a user runs it: a process of its own, judged by its exit code, by what it says, and by what it leaves behind,
 * which is nothing.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const DEMO = join(ROOT, "examples/agent/demo.mjs");
const RECORDED_RUN = join(ROOT, "../shared/data/trajectories/katy.json");
const TIMEOUT_MS = 60_000;
const COLUMNS_MAX = 80;

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
  return new Promise((resolve, reject) => {
    const env = { ...process.env, TMPDIR: temporary, TEMP: temporary, TMP: temporary };
    const child = spawn(process.execPath, [DEMO, ...args], { cwd: place, env, stdio: ["ignore", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      if (stdout === "" && signalWhenRunning !== undefined) child.kill(signalWhenRunning);
      stdout += chunk;
    });
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
      stderr += chunk;
    });
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, stdout, stderr }));
  });
}

/** A recorded run, with what JSON can spell and a store cannot keep: half a surrogate pair. */
function writeTrajectory(steps: number): string {
  const trajectory = Array.from({ length: steps }, (_, index) => ({
    action: index % 2 === 0 ? `open file-${index}.txt\n` : "submit",
    observation: `line ${index}\n`.repeat(20),
    thought: "What is in it? \ud83d",
    response: "ünïcödé",
    state: { open_file: `file-${index}.txt` },
  }));
  return writeFile("run.json", JSON.stringify({ trajectory }));
}

function writeFile(name: string, content: string): string {
  const path = join(place, name);
  writeFileSync(path, content);
  return path;
}

function expectSuccess({ code, stdout, stderr }: Outcome): void {
  expect({ code, stderr }, stdout).toEqual({ code: 0, stderr: "" });
  expect(stdout).toContain("✓ both runs ended equal");
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
  expect(commits).toBe(found);
  return Number(acknowledged);
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

  test.runIf(existsSync(RECORDED_RUN))("repeats a real recorded run", async () => {
    const outcome = await demo(["--input", RECORDED_RUN]);
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

  test("explains itself", async () => {
    const { code, stdout, stderr } = await demo(["--help"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    for (const flag of ["--mode", "--runtime", "--input", "--keep"]) expect(stdout).toContain(flag);
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
