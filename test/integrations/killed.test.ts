/**
 * A graph of LangGraph's whose process is killed twice, where it waits for an answer and in the middle of a superstep, goes on
 * each time from what the saver has kept: nothing that had ended runs again.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, onTestFinished, test } from "vitest";

const SCRIPT = join(import.meta.dirname, "killed-graph.mjs");

/** Starts a part in a process of its own, and kills it as soon as it has said what it came to. @returns what it said */
async function untilKilled(directory: string, part: string, durability: string): Promise<unknown> {
  const env = { ...process.env, DURABILITY: durability };
  const child = spawn(process.execPath, [SCRIPT, directory, part], { stdio: ["ignore", "pipe", "pipe"], env });
  // Also where the test ends before it has said anything.
  onTestFinished(() => {
    child.kill("SIGKILL");
  });
  let complaints = "";
  child.stderr.setEncoding("utf8").on("data", (chunk) => {
    complaints += chunk;
  });
  const ended = new Promise((resolve) => child.once("close", (_, signal) => resolve(signal)));
  for await (const line of createInterface({ input: child.stdout })) {
    child.kill("SIGKILL");
    expect(await ended).toBe("SIGKILL");
    return JSON.parse(line);
  }
  throw new Error(`it said nothing:\n${complaints}`);
}

test.each(["strict", "buffered"])("a graph goes on after kills, %s", async (durability) => {
  const directory = mkdtempSync(join(tmpdir(), "hf-killed-graph-"));
  const ran = (): string[] => readFileSync(join(directory, "ran"), "utf8").trim().split("\n").sort();
  try {
    expect(await untilKilled(directory, "begin", durability)).toEqual(["begun", "fetch"]);
    expect(await untilKilled(directory, "resume", durability)).toBe("in the middle of slow");
    expect(ran()).toEqual(["fetch", "quick", "slow"]);
    expect(await untilKilled(directory, "end", durability)).toEqual(["begun", "fetch", "yes", "quick", "slow"]);
    expect(ran()).toEqual(["fetch", "quick", "slow", "slow"]);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
