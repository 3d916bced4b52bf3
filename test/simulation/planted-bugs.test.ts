/**
 * Faults that were planted in the log and its storage: the simulation finds each of them on seeds that nobody chose.
 */
import { afterAll, expect, it } from "vitest";
import type { acquireLock } from "../../src/adapters/node-fs-lock.js";
import type { FileStorage } from "../../src/adapters/node-fs-storage.js";
import type { Database } from "../../src/index.js";
import { SINGLE } from "../support/builds.js";
import { SEED, writeReport } from "../support/durability-report.js";
import { recyclableModuleOf } from "../support/recycled-instances.js";
import { callsOf, FAULTS, tryFault } from "./faults.js";
import { judgeDamage, judgePoints } from "./judge.js";
import { expectPlantable, modulePath, PLANTS, type Trial } from "./plants.js";
import { mixed, Random } from "./random.js";
import { type Subject, Violation, Workload, type WorkloadOptions, warmedUp } from "./workload.js";

const PLANTS_LEAST = 14;
const WORKLOAD = { sessions: 3, steps: 20, fills: true, keepsPoints: true };
const OPENINGS = { ...WORKLOAD, sessions: 2, steps: 3 };
/** How much is tried before a plant counts as not found. */
const WORKLOADS_MAX = 60;
const PLANS_OF_WORKLOAD = 60;
const DISKS_OF_WORKLOAD = 20;
const STATES_OF_POINT = 6;
/** What is tried on sources without a plant, where nothing may be found. */
const WORKLOADS_SOUND = 4;
const TIMEOUT_MS = 120_000;

const startMs = performance.now();
let acknowledged = 0;
let found = 0;
const missed: string[] = [];

/** The code with a plant in it; −1: without one, loaded in the same way. */
async function subjectOf(index: number): Promise<Subject> {
  const load = (file: string): Promise<unknown> => import(/* @vite-ignore */ modulePath(file, index));
  const host = (await load("index.ts")) as { Database: typeof Database };
  const storage = (await load("adapters/node-fs-storage.ts")) as { FileStorage: typeof FileStorage };
  const lock = (await load("adapters/node-fs-lock.ts")) as { acquireLock: typeof acquireLock };
  return warmedUp({ ...host, ...storage, ...lock, wasm: await recyclableModuleOf(SINGLE) });
}

async function crash(subject: Subject, seed: number, options: WorkloadOptions): Promise<void> {
  const workload = new Workload(subject, seed, options);
  await workload.run();
  acknowledged += workload.acknowledged;
  await judgePoints(subject, workload.points, workload.segmentBytes, seed, STATES_OF_POINT);
}

const TRIALS: Readonly<Record<Trial, (subject: Subject, seed: number) => Promise<void>>> = {
  crash: (subject, seed) => crash(subject, seed, WORKLOAD),
  openings: (subject, seed) => crash(subject, seed, OPENINGS),
  fullDisks: async (subject, seed) => {
    for (let disk = 0; disk < DISKS_OF_WORKLOAD; disk++) {
      const workload = new Workload(subject, mixed(seed, 14, disk), { ...WORKLOAD, keepsPoints: false });
      await workload.run();
      acknowledged += workload.acknowledged;
    }
  },
  errors: async (subject, seed) => {
    const random = new Random(mixed(seed, 11));
    const calls = await callsOf(subject, seed);
    for (let plan = 0; plan < PLANS_OF_WORKLOAD; plan++) {
      const how = { call: random.pick(calls), kind: random.of(FAULTS), forEver: random.rarely(3) };
      acknowledged += await tryFault(subject, seed, how);
    }
  },
  damage: async (subject, seed) => {
    const workload = new Workload(subject, seed, WORKLOAD);
    await workload.run();
    acknowledged += workload.acknowledged;
    for (const [index, point] of workload.points.entries()) {
      await judgeDamage(subject, point, workload.segmentBytes, mixed(seed, 12, index));
    }
  },
};

/** The first violation that trials of one kind meet; undefined if they meet none. */
async function firstViolation(
  subject: Subject,
  trial: Trial,
  salt: number,
  many: number,
): Promise<Violation | undefined> {
  for (let index = 0; index < many; index++) {
    try {
      await TRIALS[trial](subject, mixed(SEED, salt, index));
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      return error;
    }
  }
  return undefined;
}

for (const trial of ["crash", "openings", "fullDisks", "errors", "damage"] as const) {
  it(`nothing is found by ${trial} where nothing is planted`, { timeout: TIMEOUT_MS }, async () => {
    expect(await firstViolation(await subjectOf(-1), trial, 21, WORKLOADS_SOUND)).toBeUndefined();
  });
}

for (const [index, plant] of PLANTS.entries()) {
  it(`finds a store that ${plant.name}`, { timeout: TIMEOUT_MS }, async () => {
    missed.push(plant.name);
    expectPlantable(plant);
    const violation = await firstViolation(await subjectOf(index), plant.trial, 22 + index, WORKLOADS_MAX);
    expect(violation, `HOLDFAST_SEED=${SEED} replays it`).toBeDefined();
    // What a plant has broken is the store, and not its own text.
    expect(violation?.message).not.toMatch(/ReferenceError|TypeError|SyntaxError/);
    console.log(violation?.message.split("\n")[0]);
    missed.pop();
    found++;
  });
}

afterAll(() => {
  writeReport({
    suite: "planted-bugs",
    what: "a fault that was planted, and found",
    cases: found,
    goal: PLANTS_LEAST,
    acknowledged,
    lost: missed.length,
    partial: 0,
    reordered: 0,
    silentlyCorrupt: 0,
    untyped: 0,
    hung: 0,
    seed: SEED,
    seconds: Math.round((performance.now() - startMs) / 100) / 10,
  });
});
