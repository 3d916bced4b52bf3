/**
 * The example for the edge in a real workerd that is killed by SIGKILL at random moments: while its objects open and recover, take
 * steps and make checkpoints, with requests in flight to several of them.
 *
 * The ledger is outside: what was answered. A plain step is a synchronous buffered commit, whose answer only the output gate holds
 * back until it is durable; a strict one awaits the sync itself. After each kill, every run must be its steps from 1 on without a
 * gap, in all primitives alike, with everything that was answered at the place and with the hash that was answered.
 * `HOLDFAST_SEED` repeats the moments, `HOLDFAST_SCALE` multiplies how many there are. A kill leaves to the system what was
 * written: these tests say nothing of power cuts.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { SCALE, SEED, writeReport } from "../support/durability-report.js";
import { BESIDE, buildExample, Edge, EXAMPLE, type Told, workerdHere } from "../support/edge-example.js";
import { randomFrom } from "../support/seeded-random.js";
import { Faults } from "./life.js";

const INSTALL_MS_MAX = 300_000;
const GOAL = 24;
const RUNS = ["one", "two", "three"];
/** How many clients each run has; the last of them asks for strict steps. */
const CLIENTS = 2;
const DELAY_MS_MAX = 800;
/** The share of kills that come while objects open. */
const EARLY_SHARE = 0.25;
const EARLY_MS_MAX = 25;
/** A client compacts its run after so many of its steps. */
const STEPS_TO_COMPACTION = 5;

/** What a run was found to hold, or answered, by its step. */
type Ledger = Map<number, { readonly result: string; readonly hash: string }>;

let command: string | undefined;
let skipped: string | undefined;
let state: string;

beforeAll(async () => {
  ({ command, skipped } = await workerdHere());
  await buildExample();
  state = mkdtempSync(join(tmpdir(), "hf-edge-"));
}, INSTALL_MS_MAX);

afterAll(() => rmSync(state, { recursive: true, force: true }));

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test("killed in the middle of a run, it goes on where it was; what was in the isolate's memory is gone", async ({
  skip,
}) => {
  if (command === undefined) return skip();
  const answers: object[] = [];
  let edge = await Edge.start(command, state);
  try {
    answers.push(await edge.ask("runs/one", { tool: "grep", result: "3 hits" }));
    answers.push(await edge.ask("runs/one?strict", { tool: "edit", result: "done" }));
    await edge.ask("runs/two", { tool: "test", result: "48 passed" });
    expect(await edge.ask("seen/page", {})).toEqual({ key: "page", seen: 1 });
    expect(await edge.ask("seen/page", {})).toEqual({ key: "page", seen: 2 });
  } finally {
    await edge.kill();
  }
  edge = await Edge.start(command, state);
  try {
    expect(await edge.ask("seen/page", {})).toEqual({ key: "page", seen: 1 });
    const one = await edge.ask<Told>("runs/one");
    expect(one).toMatchObject({ cursor: 2, calls: 2, verified: true });
    expect(one.steps).toMatchObject([
      { ...answers[0], tool: "grep", result: "3 hits" },
      { ...answers[1], tool: "edit", result: "done" },
    ]);
    expect(await edge.ask("runs/one/compact", {})).toMatchObject({ kind: "durable-object", fresh: false });
    expect(await edge.ask("runs/one", { tool: "push", result: "ok" })).toMatchObject({ step: 3 });
    expect(await edge.ask("runs/two")).toMatchObject({ cursor: 1, steps: [{ result: "48 passed" }] });
  } finally {
    await edge.kill();
  }
});

test("a class that is not backed by SQLite is refused with what to do", async ({ skip }) => {
  if (command === undefined) return skip();
  const config = readFileSync(join(EXAMPLE, "config.capnp"), "utf8");
  expect(config).toContain(", enableSql = true");
  const without = config.replace(", enableSql = true", "");
  writeFileSync(join(BESIDE, "config.capnp"), without);
  const edge = await Edge.start(command, state, BESIDE);
  try {
    await expect(edge.ask("runs/pairs")).rejects.toThrow(/not backed by SQLite.*new_sqlite_classes.*enableSql/);
  } finally {
    await edge.kill();
  }
});

/** Mounts a disk of that size there, or gives a mounted one that size. @returns what the system complains of */
function mountDisk(size: string, at: string, isThere = false): string {
  const options = isThere ? `remount,size=${size}` : `size=${size}`;
  return spawnSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", at], { encoding: "utf8" }).stderr;
}

test("a disk that is full resets the object: what was answered is there, and it goes on once there is room", async ({
  skip,
}) => {
  if (command === undefined) return skip();
  const small = mkdtempSync(join(tmpdir(), "hf-edge-full-"));
  const complaint = mountDisk("3m", small);
  if (complaint !== "") {
    console.warn(`SKIPPED: a full disk under workerd: ${complaint}`);
    rmSync(small, { recursive: true });
    return skip();
  }
  let edge: Edge | undefined;
  try {
    edge = await Edge.start(command, small);
    const [result, answered, refusals]: [string, unknown[], unknown[]] = ["x".repeat(200_000), [], []];
    for (let i = 0; refusals.length < 4; i++) {
      const path = i % 2 === 0 ? "runs/one" : "runs/one?strict";
      await edge.ask(path, { tool: "fill", result }).then(
        (taken) => answered.push(taken),
        (error) => refusals.push(String(error)),
      );
    }
    expect(answered.length).toBeGreaterThan(0);
    for (const refusal of refusals) expect(refusal).toMatch(/SQLITE_FULL/);
    expect(mountDisk("30m", small, true)).toBe("");
    const told = await edge.ask<Told>("runs/one");
    expect(told.steps.slice(0, answered.length)).toMatchObject(answered);
    expect(told).toMatchObject({ cursor: told.steps.length, calls: told.steps.length, verified: true });
    expect(await edge.ask("runs/one", { tool: "fill", result })).toMatchObject({ step: told.steps.length + 1 });
  } finally {
    await edge?.kill();
    spawnSync("umount", ["-l", small]);
    rmSync(small, { recursive: true, force: true });
  }
});

/** One life of the edge, and how many checkpoints were made in it. */
interface Life {
  isOver: boolean;
  checkpoints: number;
}

/** Takes steps one after another until the edge is killed; what fails before is a fault. */
async function client(edge: Edge, run: string, name: string, ledger: Ledger, life: Life): Promise<void> {
  const isStrict = name.endsWith(`-${CLIENTS - 1}`);
  for (let i = 1; !life.isOver; i++) {
    const result = `${name} ${i}`;
    try {
      const path = `runs/${run}`;
      const { step, hash } = await edge.ask<{ step: number; hash: string }>(isStrict ? `${path}?strict` : path, {
        tool: "count",
        result,
      });
      ledger.set(step, { result, hash });
      if (i % STEPS_TO_COMPACTION !== 0) continue;
      await edge.ask(`${path}/compact`, {});
      life.checkpoints++;
    } catch (error) {
      if (!life.isOver) throw error;
    }
  }
}

/** Compares what a run tells with what was answered, and takes what it tells for answered. */
function judge({ cursor, steps, calls, verified }: Told, ledger: Ledger, where: string, faults: Faults): void {
  if (cursor !== steps.length || calls !== steps.length) {
    faults.add("partial", `${where}: cursor ${cursor}, ${steps.length} events, ${calls} traces`);
  }
  if (!verified) faults.add("silentlyCorrupt", `${where}: the chain of its events is broken`);
  const found = new Map(steps.map(({ step, result, hash }) => [step, { result, hash }]));
  if (steps.some(({ step }, i) => step !== i + 1)) faults.add("reordered", `${where}: its steps are not 1, 2, 3, …`);
  for (const [step, { result, hash }] of ledger) {
    const there = found.get(step);
    if (there?.result === result && there.hash === hash) continue;
    faults.add("lost", `${where}: step ${step}, ${result}, is ${there?.result ?? "gone"}`);
  }
  for (const [step, what] of found) ledger.set(step, what);
}

test("killed at any moment, nothing that was answered is lost, torn or out of order", { timeout: 180_000 }, async ({
  skip,
}) => {
  const begunMs = performance.now();
  const faults = new Faults();
  const random = randomFrom(SEED);
  const ledgers = new Map<string, Ledger>(RUNS.map((run) => [run, new Map()]));
  const kills = command === undefined ? 0 : Math.ceil(GOAL * SCALE);
  let acknowledged = 0;
  let checkpoints = 0;
  console.log(`edge kills: HOLDFAST_SEED=${SEED}`);
  const kept = mkdtempSync(join(tmpdir(), "hf-edge-kills-"));
  for (let kill = 1; command !== undefined && kill <= kills + 1 && faults.messages.length === 0; kill++) {
    const where = `kill ${kill}, HOLDFAST_SEED=${SEED}, kept in ${kept}`;
    const edge = await Edge.start(command, kept);
    const life: Life = { isOver: false, checkpoints: 0 };
    const isEarly = kill <= kills && random() < EARLY_SHARE;
    const note = (error: unknown): void => {
      const isHung = error instanceof Error && error.name === "TimeoutError";
      if (!life.isOver) faults.add(isHung ? "hung" : "untyped", `${where}: ${error}`);
    };
    const look = async (run: string, ledger: Ledger): Promise<void> => {
      const told = await edge.ask<Told>(`runs/${run}`);
      judge(told, ledger, `run ${run}, ${where}`, faults);
    };
    const clients = [...ledgers].map(async ([run, ledger]) => {
      if (!isEarly) await look(run, ledger);
      const names = Array.from({ length: CLIENTS }, (_, i) => `kill ${kill}-${i}`);
      if (kill <= kills) await Promise.all(names.map((name) => client(edge, run, name, ledger, life)));
    });
    const living = Promise.all(clients.map((running) => running.catch(note)));
    if (kill > kills) await living;
    else await pause(random() * (isEarly ? EARLY_MS_MAX : DELAY_MS_MAX));
    acknowledged = [...ledgers.values()].reduce((sum, { size }) => sum + size, 0);
    life.isOver = true;
    await edge.kill();
    await living;
    checkpoints += life.checkpoints;
  }
  writeReport({
    suite: "edge-kills",
    what: "workerd killed by SIGKILL under Durable Objects",
    cases: kills,
    goal: Math.ceil(GOAL * SCALE),
    acknowledged,
    ...faults.counts,
    seed: SEED,
    seconds: (performance.now() - begunMs) / 1000,
    skipped,
  });
  if (command === undefined) return skip();
  console.log(`edge kills: ${kills} kills, ${acknowledged} steps answered or found, ${checkpoints} checkpoints`);
  expect(faults.messages).toEqual([]);
  expect(acknowledged).toBeGreaterThan(kills);
  expect(checkpoints).toBeGreaterThan(0);
  rmSync(kept, { recursive: true, force: true });
});
