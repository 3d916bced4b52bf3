/**
 * What operations leave behind, measured in a process of its own on the built package: bytes of the JavaScript heap,
 * collections, bytes of the arena, and system calls of the main thread.
 *
 * An implicit operation on small integers leaves nothing. Handles of transactions and snapshots are objects, and cost what
 * the table says; its ceilings are 1.5 times what was measured on Node 20, and zero is exact.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { straceWorks } from "../support/strace.js";

const CHILD = fileURLToPath(new URL("./allocations-child.mjs", import.meta.url));
/** Young objects of a whole measurement fit, so that nothing is collected in the middle of it. */
const SEMI_SPACE_MIB = 128;
/** Over two million operations; one object in a thousand of them would be more. */
const HEAP_NOISE_BYTES_MAX = 64 * 1024;
/** Of an operation that allocates nothing: 20 KB over 200,000. */
const NOTHING = 0.1;
/** A number that is no small integer: an object of a header and a double. */
const BOXED = 16;

interface Found {
  readonly heapBytes: number;
  readonly memoryBytes: number;
  readonly memoryFreeBytes: number;
  readonly arenaBytes: number;
  readonly collections: number;
  readonly operations: number;
  readonly bytesEach: number;
}

/** The most that each operation may leave on the heap, in bytes. */
const CEILINGS: Readonly<Record<string, number>> = {
  nothing: NOTHING,
  // What shows that the measurement measures: a header of three words, and three fields.
  "an object of three fields": 48 + NOTHING,
  "kv.get": NOTHING,
  "kv.get of nothing": NOTHING,
  "kv.put": NOTHING,
  "kv.has": NOTHING,
  "kv.delete and kv.put": NOTHING,
  "kv.get of a fraction": BOXED + NOTHING,
  // The fraction itself, which the caller makes.
  "kv.put of a fraction": BOXED + NOTHING,
  "a put in an open transaction": NOTHING,
  "a get in an open transaction": NOTHING,
  "a get on an open snapshot": NOTHING,
  "run.transaction": 480,
  "run.transaction with a put": 540,
  "run.begin, a put, commit": 540,
  "run.begin, rollback": 480,
  "run.snapshot, dispose": 168,
  "run.snapshot, a get, dispose": 396,
  "db.snapshot, dispose": 132,
};

function run(command: string, args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8", maxBuffer: 16 * 1024 * 1024 });
  expect(status, stderr).toBe(0);
  return stdout;
}

/** The last line that the child wrote, which has what it found. */
function foundIn(stdout: string): unknown {
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
}

const MARK = /^\d+ +write\(1, "(begin|end)\b/;

/** The system calls of the main thread between the marks, from a trace of all threads. */
function callsBetweenMarks(trace: string): string[] {
  const lines = trace.split("\n");
  const begin = lines.findIndex((line) => MARK.exec(line)?.[1] === "begin");
  expect(begin, "the trace has its first mark").toBeGreaterThan(-1);
  const thread = /^\d+/.exec(lines[begin] as string)?.[0];
  const after = lines.slice(begin + 1).filter((line) => line.startsWith(`${thread} `));
  const end = after.findIndex((line) => MARK.exec(line)?.[1] === "end");
  expect(end, "the trace has its last mark").toBeGreaterThan(-1);
  return after.slice(0, end).filter((line) => !line.includes("<... write resumed>"));
}

const available = straceWorks();

describe.each(["single", "shared"])("in %s memory", (memory) => {
  test("two million implicit operations on small integers leave nothing and collect nothing", () => {
    const found = foundIn(run(process.execPath, [CHILD, "steady", memory])) as Found;
    console.log(`${memory}: ${JSON.stringify(found)}`);
    expect(found.operations).toBeGreaterThan(1_000_000);
    expect(found.collections, "collections").toBe(0);
    expect(found.heapBytes, "bytes of the heap").toBeLessThan(HEAP_NOISE_BYTES_MAX);
    expect(found).toMatchObject({ memoryBytes: 0, memoryFreeBytes: 0, arenaBytes: 0 });
  });

  test.skipIf(!available)("nor do they make a system call", () => {
    const directory = mkdtempSync(join(tmpdir(), "hf-strace-"));
    try {
      const output = join(directory, "trace");
      run("strace", ["-f", "-o", output, process.execPath, CHILD, "steady", memory]);
      expect(callsBetweenMarks(readFileSync(output, "utf8"))).toEqual([]);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });

  test("handles and values cost what is known, and no memory of the arena", () => {
    const semiSpace = [`--min-semi-space-size=${SEMI_SPACE_MIB}`, `--max-semi-space-size=${SEMI_SPACE_MIB}`];
    const args = ["--expose-gc", ...semiSpace, CHILD, "costs", memory];
    const costs = foundIn(run(process.execPath, args)) as Readonly<Record<string, Found>>;
    const rows = Object.entries(costs).map(([name, { bytesEach }]) => `  ${bytesEach.toFixed(1).padStart(7)}  ${name}`);
    console.log(`bytes of the heap per operation, ${memory} memory:\n${rows.join("\n")}`);
    expect(Object.keys(costs).sort()).toEqual(Object.keys(CEILINGS).sort());
    expect(costs["an object of three fields"]?.bytesEach).toBeGreaterThan(20);
    for (const [name, found] of Object.entries(costs)) {
      expect(found.collections, `${name}: collections`).toBe(0);
      expect(found.bytesEach, `${name}: bytes each`).toBeLessThanOrEqual(CEILINGS[name] as number);
      expect(found, name).toMatchObject({ memoryBytes: 0, memoryFreeBytes: 0, arenaBytes: 0 });
    }
  });
});
