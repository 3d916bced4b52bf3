/**
 * What the promises are made of: the system calls themselves, in the order in which the kernel saw them.
 *
 * Needs Linux and strace. Where that is not to be had the tests are skipped and say so; on CI that is a failure.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { straceWorks } from "../support/strace.js";
import { type Call, isOfLog, isSync, isWrite, parseCalls, TRACE_FLAGS } from "../support/system-calls.js";

const TRACED = fileURLToPath(new URL("./traced.mjs", import.meta.url));
const available = straceWorks();
const CALLS = "write,writev,pwrite64,pwritev,fsync,fdatasync,sync_file_range,ftruncate,rename,renameat2";

async function traced(what: string, directory: string): Promise<Call[]> {
  const output = join(directory, "trace");
  const args = [...TRACE_FLAGS, "-e", `trace=${CALLS}`, "-o", output];
  const child = spawn("strace", [...args, process.execPath, TRACED, what, join(directory, "db")], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let complaint = "";
  child.stderr.on("data", (text) => {
    complaint += String(text);
  });
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  expect(code, complaint).toBe(0);
  return parseCalls(readFileSync(output, "utf8"));
}

function isMark(call: Call, text: string): boolean {
  return call.name === "write" && call.text.startsWith("1<") && call.text.includes(`"${text}\\n"`);
}

/** The mark with a text. */
function markIn(calls: readonly Call[], text: string): Call {
  const found = calls.find((call) => isMark(call, text));
  if (found === undefined) throw new Error(`there is no mark "${text}" in the trace`);
  return found;
}

/** Calls that were made after one mark and had returned before the other was written. */
function between(calls: readonly Call[], begin: string, end: string): Call[] {
  const from = markIn(calls, begin).returnedAt;
  const to = markIn(calls, end).calledAt;
  return calls.filter((call) => call.calledAt >= from && call.returnedAt <= to);
}

const isLogSync = (call: Call): boolean => isSync(call) && isOfLog(call);
const isLogWrite = (call: Call): boolean => isWrite(call) && isOfLog(call);
/** How threads wake one another; nothing of it reaches a file. */
const isWakeUp = (call: Call): boolean => /^\d+<(anon_inode:|pipe:)/.test(call.text) && !call.text.startsWith("1<");

test.runIf(process.env["CI"] === "true")("strace is there, so that nothing below is skipped", () => {
  expect(available).toBe(true);
});

describe.skipIf(!available)("system calls", () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "hf-strace-"));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  test("buffered, in a loop that never yields: a sync at least each interval", async () => {
    const calls = await traced("busy", directory);
    const inside = between(calls, "begin", "end");
    const syncs = inside.filter((call) => isLogSync(call) && call.ok);
    const times = [
      markIn(calls, "begin").calledAt,
      ...syncs.map((call) => call.calledAt),
      markIn(calls, "end").calledAt,
    ];
    const gapsMs = times.slice(1).map((at, i) => Math.round((at - (times[i] as number)) * 1000));
    console.log(`${inside.filter(isLogWrite).length} writes, ${syncs.length} syncs, ${gapsMs.join(" ")} ms apart`);
    expect(syncs.length).toBeGreaterThanOrEqual(4);
    // Twice the interval leaves room for a machine that is busy with something else.
    expect(Math.max(...gapsMs)).toBeLessThan(200);
  });

  test("strict: the log is written, then synced, and only then the commit returns", async () => {
    const calls = await traced("strict", directory);
    for (let i = 0; i < 30; i++) {
      const inside = between(calls, `begin ${i}`, `end ${i}`);
      const written = inside.filter(isLogWrite).at(-1);
      const synced = inside.filter((call) => isLogSync(call) && call.ok).at(-1);
      expect(written, `commit ${i} is written`).toBeDefined();
      expect(synced, `commit ${i} is synced`).toBeDefined();
      expect(synced?.calledAt).toBeGreaterThanOrEqual(written?.returnedAt ?? Number.POSITIVE_INFINITY);
    }
  });

  test("in-memory: nothing is written or synced at all, and no directory is made", async () => {
    const inside = between(await traced("in-memory", directory), "begin", "end");
    expect(inside.filter((call) => !isWakeUp(call)).map((call) => `${call.name}(${call.text}`)).toEqual([]);
    expect(existsSync(join(directory, "db"))).toBe(false);
  });
});
