/**
 * How a process may end without closing its database, and who may open it then: on Node, Deno and Bun, each beside each.
 *
 * What the storage does about locks is tried in `test/unit/node-fs-lock.test.ts`; here it is the built package, a whole
 * database and every runtime, and what was committed is counted.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { nodeFs } from "../../src/adapters/node-fs.js";
import { Database } from "../../src/index.js";
import { writeReport } from "../support/durability-report.js";
import { CHILD_ENVIRONMENT, runtimesHere, type ServerRuntime } from "../support/server-runtimes.js";

const OWNER = fileURLToPath(new URL("./owner.mjs", import.meta.url));
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** What each owner commits. */
const COMMITS = 20;
/** Nineteen for each runtime. */
const GOAL = 57;
const END_MS_MAX = 20_000;

interface Line {
  readonly pid?: number;
  readonly count?: number;
  readonly code?: string;
  readonly message?: string;
}

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

interface Owner {
  readonly process: ChildProcess;
  readonly line: Line;
  readonly ended: Promise<Ended>;
}

const { runtimes, skipped } = await runtimesHere();
const begunMs = performance.now();
const counted = { cases: 0, acknowledged: 0, lost: 0, untyped: 0 };
const children = new Set<ChildProcess>();
let directory: string;
let hasLost = false;

async function own(runtime: ServerRuntime, mode: string, what: string): Promise<Owner> {
  const child = spawn(runtime.command, [...runtime.args, OWNER, directory, mode, what], {
    cwd: ROOT,
    env: CHILD_ENVIRONMENT,
    stdio: ["ignore", "pipe", "pipe"],
  });
  children.add(child);
  let complaint = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    complaint += text;
  });
  const ended = new Promise<Ended>((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      reject(new Error(`${runtime.name} is still there after ${END_MS_MAX} ms (${what})`));
    }, END_MS_MAX);
    child.once("close", (code, signal) => {
      clearTimeout(timer);
      children.delete(child);
      resolve({ code, signal });
    });
  });
  ended.catch(() => {});
  const lines = createInterface({ input: child.stdout });
  const said = await Promise.race([once(lines, "line"), ended.then(() => undefined)]);
  if (said === undefined) throw new Error(`${runtime.name} said nothing (${what}): ${complaint}`);
  return { process: child, line: JSON.parse(String(said[0])) as Line, ended };
}

async function endedBy(owner: Owner, signal: NodeJS.Signals): Promise<Ended> {
  owner.process.kill(signal);
  return owner.ended;
}

/** Opens the database here and counts what is there: the first so many, and nothing else. */
async function expectCommits(count: number): Promise<void> {
  counted.acknowledged += count;
  const db = await Database.open(directory);
  try {
    const found = db
      .run("owned")
      .kv.list()
      .map(([, value]) => value);
    hasLost = found.length < count;
    if (hasLost) counted.lost += count - found.length;
    expect(found).toEqual(Array.from({ length: count }, (_, i) => i));
    expect(db.verify()).toEqual({ valid: true });
  } finally {
    await db.close();
  }
}

/** Rewrites the lock as if its owner had had it before this machine was started the last time. */
function moveToEarlierBoot(): void {
  const name = readdirSync(directory).find((entry) => entry.startsWith("lock."));
  if (name === undefined) throw new Error("there is no lock");
  const path = join(directory, name);
  const record = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
  // A process of that number lives now, as it well may after a restart.
  const earlier = { ...record, bootId: "11111111-2222-3333-4444-555555555555", pid: process.ppid, startTime: "1" };
  writeFileSync(path, JSON.stringify(earlier));
}

beforeEach(() => {
  hasLost = false;
  directory = mkdtempSync(join(tmpdir(), "hf-ending-"));
});

afterEach((context) => {
  counted.cases++;
  for (const left of children) left.kill("SIGKILL");
  children.clear();
  if (context.task.result?.state === "fail") {
    if (!hasLost) counted.untyped++;
    console.error(`kept: ${directory}`);
  } else rmSync(directory, { recursive: true, force: true });
});

afterAll(() => {
  writeReport({
    suite: "endings",
    what: "a process that ends without closing, or an owner that stays",
    goal: GOAL,
    partial: 0,
    reordered: 0,
    silentlyCorrupt: 0,
    ...counted,
    hung: 0,
    seconds: (performance.now() - begunMs) / 1000,
    skipped,
  });
});

describe.each(runtimes)("$name", (runtime) => {
  test.each(["strict", "buffered"])("process.exit with %s commits and no close loses none", async (mode) => {
    const owner = await own(runtime, mode, "exit");
    expect(await owner.ended).toEqual({ code: 7, signal: null });
    await expectCommits(COMMITS);
  });

  test.each(["throw", "reject"])("an error that nobody catches (%s) loses none", async (what) => {
    const owner = await own(runtime, "buffered", what);
    expect((await owner.ended).code).not.toBe(0);
    await expectCommits(COMMITS);
  });

  test("an open database keeps no process alive, and what ends by itself loses none", async () => {
    const owner = await own(runtime, "buffered", "end");
    expect(await owner.ended).toEqual({ code: 0, signal: null });
    await expectCommits(COMMITS);
  });

  test.each(["SIGTERM", "SIGINT", "SIGHUP", "SIGKILL"] as const)("%s loses none", async (signal) => {
    const owner = await own(runtime, "buffered", "stay");
    const { code } = await endedBy(owner, signal);
    expect(code).not.toBe(0);
    await expectCommits(COMMITS);
  });

  test("a lock from before this machine was started again is taken over", async () => {
    await endedBy(await own(runtime, "buffered", "stay"), "SIGKILL");
    moveToEarlierBoot();
    const next = await own(runtime, "buffered", "close");
    expect(next.line).toMatchObject({ count: 2 * COMMITS });
    expect((await next.ended).code).toBe(0);
    await expectCommits(2 * COMMITS);
  });

  describe.each(runtimes)("before $name", (other) => {
    test.each(["stay", "block"])("an owner that lives (%s) keeps it out, and is named", async (what) => {
      const owner = await own(runtime, "buffered", what);
      const refused = await own(other, "buffered", "close");
      expect(refused.line).toMatchObject({ code: "LOCKED" });
      expect(refused.line.message).toContain(`process ${owner.line.pid}`);
      await expect(Database.open({ storage: nodeFs(directory, { takeOver: true }) })).rejects.toMatchObject({
        code: "LOCKED",
        details: { pid: owner.line.pid },
      });
      await endedBy(owner, "SIGKILL");
    });

    test("an owner that is dead leaves it the database", async () => {
      await endedBy(await own(runtime, "buffered", "stay"), "SIGKILL");
      const next = await own(other, "buffered", "close");
      expect(next.line).toMatchObject({ count: 2 * COMMITS });
      expect((await next.ended).code).toBe(0);
      await expectCommits(2 * COMMITS);
    });
  });
});
