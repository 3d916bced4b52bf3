/**
 * System calls on Node, Deno and Bun, watched by strace and made to fail by it: each answer that the system may give to
 * a write, a sync or an open, what the child is told then, and what is found when the database is opened again.
 *
 * Held for each fault: the code is the one that is promised; nothing is synced or written again after a sync has failed;
 * what was acknowledged is there, what was refused is not, and of what is in doubt nothing is there in part or without
 * what came before it. Needs Linux and strace. Where that is not to be had the tests are skipped and say so.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { Database, HoldfastError } from "../../src/index.js";
import { type DurabilityReport, writeReport } from "../support/durability-report.js";
import { CHILD_ENVIRONMENT, runtimesHere, type ServerRuntime } from "../support/server-runtimes.js";
import { straceWorks } from "../support/strace.js";
import { type Call, isOfLog, isSync, isWrite, parseCalls, TRACE_FLAGS } from "../support/system-calls.js";
import { Faults } from "./life.js";
import { FAULTS, ORDERS, type Scenario } from "./storage-faults.js";

const CHILD = fileURLToPath(new URL("./faulty.mjs", import.meta.url));
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const CALLS =
  "write,writev,pwrite64,pwritev,pread64,read,fsync,fdatasync,sync_file_range,ftruncate,rename,renameat,renameat2,openat,mkdir,mkdirat,unlink,unlinkat";
const GOAL = 60;
const CHILD_MS_MAX = 20_000;
/** Commits that stand there before the child begins. */
const BEFORE = 2;
/** Keys of a commit, but of a put that is one. */
const VALUES = 3;

interface Line {
  readonly at: string;
  readonly n?: number;
  readonly error?: { readonly name: string; readonly code: string; readonly message: string };
}

interface Traced {
  readonly lines: readonly Line[];
  readonly calls: readonly Call[];
}

const available = straceWorks();
const { runtimes, skipped } = await runtimesHere();
const begunMs = performance.now();
const allFaults = new Faults();
let cases = 0;
let acknowledged = 0;

/** Runs a command to its end. @returns what it wrote, and that only if it ended as it should */
function output(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: ROOT, env: CHILD_ENVIRONMENT, stdio: ["ignore", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    let isLate = false;
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    const timer = setTimeout(() => {
      isLate = true;
      child.kill("SIGKILL");
    }, CHILD_MS_MAX);
    child.once("error", reject);
    child.once("close", (code) => {
      clearTimeout(timer);
      if (isLate) reject(new Hung(`not over after ${CHILD_MS_MAX} ms: ${stdout}${stderr}`));
      else if (code !== 0) reject(new Error(`ended with ${code}: ${stdout}${stderr}`));
      else resolve(stdout);
    });
  });
}

class Hung extends Error {}

function childArgs(runtime: ServerRuntime, directory: string, { durability, segmentBytes, acts }: Scenario): string[] {
  const given = { directory, durability, segmentBytes, from: BEFORE, acts };
  return [runtime.command, ...runtime.args, CHILD, JSON.stringify(given)];
}

/** Makes what is there before the child begins. */
async function prepare(directory: string, { before }: Scenario): Promise<void> {
  if (before === "nothing") return;
  const acts = [
    ...Array.from({ length: BEFORE }, () => ({ do: "commit" })),
    ...(before === "closed" ? [{ do: "close" }] : []),
  ];
  await output(process.execPath, [CHILD, JSON.stringify({ directory, durability: "strict", from: 0, acts })]);
}

/** Runs a scenario under strace. Where nothing is injected all calls are watched, the child's own lines among them. */
async function traced(runtime: ServerRuntime, place: string, scenario: Scenario): Promise<Traced> {
  const { inject, on, fileBytesMax } = scenario;
  const directory = join(place, "db");
  const trace = join(place, "trace");
  const paths =
    inject.length === 0 ? [] : on.flatMap((name) => ["-P", name === "." ? directory : join(directory, name)]);
  const injected = inject.flatMap((what) => ["-e", `inject=${what}`]);
  const args = [...TRACE_FLAGS, "-e", `trace=${CALLS}`, ...injected, ...paths, "-o", trace];
  const child = childArgs(runtime, directory, scenario);
  // The signal that comes with the limit is ignored from the start: not every runtime does that by itself.
  const limited =
    fileBytesMax === undefined
      ? child
      : ["bash", "-c", `trap "" XFSZ; ulimit -f ${fileBytesMax / 1024}; exec "$@"`, "bash", ...child];
  const stdout = await output("strace", [...args, ...limited]);
  const lines = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);
  return { lines, calls: parseCalls(readFileSync(trace, "utf8")) };
}

/** A line as scenarios write it. */
function outcomeOf({ at, n, error }: Line): string | undefined {
  if (error !== undefined && error.name !== "HoldfastError") return `untyped ${error.name}: ${error.message}`;
  if (at === "refused") return `refused ${error?.code}`;
  if (at === "acknowledged") return `${n} ok`;
  if (at === "read") return "read ok";
  if (at === "flushed" || at === "checkpointed" || at === "closed") return at;
  return undefined;
}

/** What has become of the acts, in their order; those in flight together by their numbers. */
function outcomesOf(lines: readonly Line[]): string[] {
  const outcomes: string[] = [];
  let group: Line[] = [];
  let act = "";
  const end = (): void => {
    const sorted = group.sort((a, b) => (a.n ?? 0) - (b.n ?? 0));
    for (const line of sorted) {
      const isCommit = ["commit", "put", "burst"].includes(act);
      const failed = isCommit ? `${line.n} ${line.error?.code}` : line.error?.code;
      const outcome = line.at === "failed" && line.error?.name === "HoldfastError" ? failed : outcomeOf(line);
      if (outcome !== undefined) outcomes.push(outcome);
    }
    group = [];
  };
  for (const line of lines) {
    if (line.at === "event") continue;
    if (line.at === "doing") {
      end();
      act = (line as Line & { what: string }).what;
    } else group.push(line);
  }
  end();
  return outcomes;
}

/** Numbers of the commits that are in a state of doubt, refused, or acknowledged. */
function numbersOf(outcomes: readonly string[], accepts: (code: string) => boolean): number[] {
  return outcomes.flatMap((outcome) => {
    const match = /^(\d+) (\w+)$/.exec(outcome);
    return match !== null && accepts(match[2] as string) ? [Number(match[1])] : [];
  });
}

/** Opens the database here, and compares what is found with what was said; then writes to it, closes it, and looks again. */
async function checkState(
  directory: string,
  scenario: Scenario,
  outcomes: readonly string[],
  where: string,
  faults: Faults,
): Promise<void> {
  const before = scenario.before === "nothing" ? [] : Array.from({ length: BEFORE }, (_, i) => i + 1);
  const kept = [...before, ...numbersOf(outcomes, (code) => code === "ok")];
  const inDoubt = numbersOf(outcomes, (code) => code === "COMMIT_INDETERMINATE");
  const db = await Database.open(directory);
  try {
    const found = new Map<number, number>();
    for (const key of db.run("faulty").kv.keys()) {
      const [n, part] = key.split(".") as [string, string];
      found.set(Number(n), (found.get(Number(n)) ?? 0) + (part === "only" ? VALUES : 1));
    }
    acknowledged += kept.length;
    for (const n of kept) if (!found.has(n)) faults.add("lost", `${where}: commit ${n}`);
    for (const [n, count] of found) {
      if (count !== VALUES) faults.add("partial", `${where}: ${count} keys of commit ${n}`);
      if (!kept.includes(n) && !inDoubt.includes(n)) faults.add("silentlyCorrupt", `${where}: commit ${n} was refused`);
    }
    const firstMissing = inDoubt.find((n) => !found.has(n)) ?? Number.POSITIVE_INFINITY;
    for (const n of inDoubt) if (found.has(n) && n > firstMissing) faults.add("reordered", `${where}: commit ${n}`);
    if (!db.verify().valid) faults.add("silentlyCorrupt", `${where}: the heap does not verify`);
    db.run("faulty").kv.put("after", 1);
  } finally {
    await db.close();
  }
  const again = await Database.open({ path: directory, readOnly: true });
  expect(again.run("faulty").kv.get("after"), "it is written to again").toBe(1);
  await again.close();
}

/** After a sync of a log has failed, no file of the log is synced or written any more. */
function checkFinality(calls: readonly Call[], where: string, faults: Faults): void {
  const failed = calls.find((call) => call.isInjected && isSync(call) && isOfLog(call));
  if (failed === undefined) return;
  const later = calls.filter((call) => call.calledAt > failed.returnedAt && isOfLog(call));
  const retried = later.filter((call) => isSync(call) || isWrite(call));
  for (const call of retried) faults.add("silentlyCorrupt", `${where}: ${call.name}(${call.text} after a failed sync`);
}

/** A short write is followed by one of what it has left out. */
function checkContinued(calls: readonly Call[]): void {
  const writes = calls.filter((call) => isWrite(call) && isOfLog(call));
  const [short, next] = writes as [Call, Call];
  expect(short.isInjected).toBe(true);
  const sizeOf = (call: Call): number[] => (/, (\d+), (\d+)\) +=/.exec(call.text) ?? []).slice(1).map(Number);
  const [bytes = 0, at = 0] = sizeOf(short);
  expect(sizeOf(next)).toEqual([bytes - 10, at + 10]);
}

/** Each act in the trace: from the line that says so to the line of the next. */
function actsIn(calls: readonly Call[]): { readonly begunAt: number; readonly marks: readonly Call[] }[] {
  const acts: { begunAt: number; marks: Call[] }[] = [];
  for (const call of calls) {
    if (!call.text.startsWith("1<") || !isWrite(call)) continue;
    if (call.text.includes('\\"at\\":\\"doing\\"')) acts.push({ begunAt: call.returnedAt, marks: [] });
    else if (/\\"at\\":\\"(acknowledged|flushed)\\"/.test(call.text)) acts.at(-1)?.marks.push(call);
  }
  return acts;
}

/** Whether what was written since an act began is synced by a sync that was begun after it, before a time. */
function isSyncedBy(calls: readonly Call[], begunAt: number, untilAt: number, which: "first" | "last"): boolean {
  const inAct = calls.filter((call) => call.calledAt >= begunAt && call.returnedAt <= untilAt && isOfLog(call));
  const written = inAct.filter((call) => isWrite(call) && !call.text.includes(".tmp>")).at(which === "first" ? 0 : -1);
  if (written === undefined) return false;
  return inAct.some((call) => isSync(call) && call.ok && call.calledAt >= written.returnedAt);
}

/** Every acknowledgement that promises durability comes after the return of a sync that covers the commit. */
function checkOrder(calls: readonly Call[], scenario: Scenario, where: string): void {
  const acts = actsIn(calls);
  expect(acts.length, where).toBe(scenario.acts.length);
  acts.forEach(({ begunAt, marks }, i) => {
    const act = scenario.acts[i];
    const isBuffered = scenario.durability !== "strict" && act?.do === "commit" && act.as !== "strict";
    if (act?.do === "flush" || act?.do === "flushSync") {
      // What it makes durable was written by the act before.
      const since = acts[i - 1]?.begunAt ?? 0;
      expect(isSyncedBy(calls, since, marks[0]?.calledAt ?? 0, "first"), `${where}: act ${i}`).toBe(true);
      return;
    }
    marks.forEach((mark, at) => {
      if (isBuffered) {
        const isWritten = calls.some(
          (call) => isWrite(call) && isOfLog(call) && call.calledAt >= begunAt && call.returnedAt <= mark.calledAt,
        );
        expect(isWritten, `${where}: act ${i} is written`).toBe(true);
        return;
      }
      const which = at === marks.length - 1 ? "last" : "first";
      expect(isSyncedBy(calls, begunAt, mark.calledAt, which), `${where}: act ${i}, acknowledgement ${at}`).toBe(true);
    });
  });
}

/** A segment is written to only when it, its name and all of its predecessor are durable. */
function checkSegments(calls: readonly Call[], where: string): void {
  const renames = calls.filter((call) => call.name.startsWith("rename") && call.text.includes(".log.tmp"));
  for (const renamed of renames) {
    const name = /(\d{12}\.log)\.tmp/.exec(renamed.text)?.[1] ?? "";
    const first = calls.find((call) => isWrite(call) && call.text.includes(`${name}>`));
    const own = calls.find((call) => isSync(call) && call.text.includes(`${name}.tmp>`));
    const directory = calls.find(
      (call) => isSync(call) && /\/db>/.test(call.text) && call.calledAt >= renamed.returnedAt,
    );
    expect(own?.returnedAt, `${where}: ${name} is synced before its name`).toBeLessThanOrEqual(renamed.calledAt);
    if (first === undefined) continue;
    expect(directory?.returnedAt, `${where}: the name of ${name} is durable`).toBeLessThanOrEqual(first.calledAt);
    const isOfOther = (call: Call): boolean => isOfLog(call) && !call.text.includes(name);
    const before = calls.filter((call) => isOfOther(call) && call.returnedAt <= first.calledAt);
    const written = before.filter(isWrite).at(-1);
    const synced = before.filter((call) => isSync(call) && call.ok).at(-1);
    if (written === undefined) continue;
    expect(synced?.calledAt, `${where}: what is before ${name} is synced`).toBeGreaterThanOrEqual(written.returnedAt);
  }
}

/** A checkpoint is durable under its name before anything that it takes the place of is removed. */
function checkCheckpoints(calls: readonly Call[], where: string): void {
  for (const renamed of calls.filter((call) => call.name.startsWith("rename") && call.text.includes(".ckp.tmp"))) {
    const name = /(\d{12}\.ckp)\.tmp/.exec(renamed.text)?.[1] ?? "";
    const own = calls.find((call) => isSync(call) && call.text.includes(`${name}.tmp>`));
    expect(own?.returnedAt, `${where}: ${name} is synced before its name`).toBeLessThanOrEqual(renamed.calledAt);
    const later = calls.filter((call) => call.calledAt >= renamed.returnedAt);
    const directory = later.find((call) => isSync(call) && /\/db>/.test(call.text));
    const removed = later.find((call) => call.name.startsWith("unlink") && /\.(log|ckp)"/.test(call.text));
    expect(removed, `${where}: something is removed after ${name}`).toBeDefined();
    expect(directory?.returnedAt, `${where}: the name of ${name} is durable`).toBeLessThanOrEqual(
      removed?.calledAt ?? 0,
    );
  }
}

/** The files of a log with their bytes. */
function logOf(directory: string): Record<string, string> {
  if (!existsSync(directory)) return {};
  const names = readdirSync(directory).filter((name) => name.endsWith(".log"));
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(directory, name)).toString("hex")]));
}

/** One case from beginning to end, in a place of its own that stays where it fails. */
async function runCase(
  runtime: ServerRuntime,
  scenario: Scenario,
  check: (traced: Traced, where: string, faults: Faults) => void,
): Promise<void> {
  const place = mkdtempSync(join(tmpdir(), "hf-calls-"));
  const directory = join(place, "db");
  const where = `${runtime.name}, ${scenario.name}, kept in ${place}`;
  const faults = new Faults();
  cases++;
  try {
    if (scenario.before !== "nothing") mkdirSync(directory);
    await prepare(directory, scenario);
    const log = logOf(directory);
    const found = await traced(runtime, place, scenario);
    const outcomes = outcomesOf(found.lines);
    const events = found.lines.filter(({ at }) => at === "event").map(({ error }) => error?.code);
    expect({ outcomes, events }, where).toEqual({ outcomes: scenario.expected, events: scenario.events ?? [] });
    if (scenario.inject.length > 0)
      expect(
        found.calls.some(({ isInjected }) => isInjected),
        `${where}: injected`,
      ).toBe(true);
    if (scenario.leavesLog === true) expect(logOf(directory), where).toEqual(log);
    if (outcomes.includes("closed")) {
      const left = readdirSync(directory).filter((name) => name.endsWith(".ckp.tmp"));
      expect(left, `${where}: left by checkpoints`).toEqual([]);
    }
    check(found, where, faults);
    if (scenario.isLie !== true) await checkState(directory, scenario, outcomes, where, faults);
    expect(faults.messages).toEqual([]);
    rmSync(place, { recursive: true, force: true });
  } catch (error) {
    if (faults.messages.length === 0) faults.add(error instanceof Hung ? "hung" : "untyped", where);
    if (HoldfastError.is(error)) throw new Error(`${where}: ${error.code}: ${error.message}`, { cause: error });
    throw error;
  } finally {
    allFaults.addAll(faults);
  }
}

afterAll(() => {
  const report: DurabilityReport = {
    suite: "system-calls",
    what: "a system call that is watched, or made to fail",
    cases,
    goal: GOAL,
    acknowledged,
    ...allFaults.counts,
    seconds: (performance.now() - begunMs) / 1000,
    skipped: available ? skipped : "strace is not to be had here",
  };
  writeReport(report);
});

describe.skipIf(!available).each(runtimes)("$name", (runtime) => {
  test.concurrent.each(ORDERS)("acknowledges only what is durable: $name", async (scenario) => {
    await runCase(runtime, scenario, ({ calls }, where) => {
      checkOrder(calls, scenario, where);
      checkSegments(calls, where);
      checkCheckpoints(calls, where);
    });
  });

  const isForIt = ({ runtimes: only }: Scenario): boolean => only?.includes(runtime.name) ?? true;

  test.concurrent.each(FAULTS.filter(isForIt))("$name", async (scenario) => {
    await runCase(runtime, scenario, ({ calls }, where, faults) => {
      if (scenario.isLie === true) checkContinued(calls);
      else checkFinality(calls, where, faults);
    });
  });
});
