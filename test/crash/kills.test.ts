/**
 * Real processes on Node, Deno and Bun, killed at random moments: while they open, recover, write, sync, change segments
 * and make checkpoints, with transactions in flight.
 *
 * The parent keeps a ledger of what the child said was committed. After each kill the state must be the plan up to some
 * commit: no acknowledged one lost, none in part, none out of order. The killed database is opened by the next child, which
 * may be killed over its recovery, so that segments and epochs pile up in a directory over ten kills.
 * `HOLDFAST_SEED` repeats the moments, `HOLDFAST_SCALE` multiplies how many there are.
 */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { nodeFs } from "../../src/adapters/node-fs.js";
import { Database, HoldfastError } from "../../src/index.js";
import { SCALE, SEED, writeReport } from "../support/durability-report.js";
import { randomFrom } from "../support/seeded-random.js";
import { runtimesHere, type ServerRuntime } from "../support/server-runtimes.js";
import { type Found, judge, nothingAcknowledged, read } from "./ledger.js";
import { Faults, Life, type Mode } from "./life.js";
import {
  CHECKPOINT_MS_MAX,
  isBegun,
  LANES,
  type Moment,
  moment,
  OPENING_MS_MAX,
  SEGMENT_BYTES,
  TEST_TIMEOUT_MS,
} from "./moments.js";
import { SAYS } from "./plan.mjs";

const KILLS_PER_DIRECTORY = 10;
/** Directories for each runtime, half of them strict. */
const DIRECTORIES = { node: 40, deno: 10, bun: 10 } as const;
const GOAL = 600;
const CHECKPOINT_END_MS_MAX = 600;
/** When a kill comes, counted from what the child said; each with its share of all kills. */
const MOMENTS: readonly Moment[] = [
  { share: 0.12, after: undefined, waitMsMax: 0, delayMsMax: 150 },
  { share: 0.18, after: SAYS.opening, waitMsMax: OPENING_MS_MAX, delayMsMax: 40 },
  { share: 0.14, after: SAYS.checkpointBegun, waitMsMax: CHECKPOINT_MS_MAX, delayMsMax: 30 },
  { share: 0.1, after: SAYS.checkpointEnded, waitMsMax: CHECKPOINT_END_MS_MAX, delayMsMax: 20 },
  { share: 0.46, after: SAYS.ready, waitMsMax: OPENING_MS_MAX, delayMsMax: 70 },
];

interface Totals {
  kills: number;
  whileOpening: number;
  whileCheckpointing: number;
  checkpoints: number;
  hasNoCheckpoints: boolean;
  acknowledged: number;
  /** Kills that came between a commit and its acknowledgement. */
  unacknowledged: number;
  segments: number;
}

interface Job {
  readonly runtime: ServerRuntime;
  readonly mode: Mode;
  readonly segmentBytes: number;
  readonly seed: number;
}

/** Looks at a killed database without touching it, or now and then by recovering and closing it here. */
async function lookAt(directory: string, recover: boolean): Promise<Found> {
  const db = await Database.open({ storage: nodeFs(directory), readOnly: !recover });
  try {
    return read(db);
  } finally {
    await db.close();
  }
}

/** One database, killed again and again. @returns whether all went well */
async function killInOneDirectory(job: Job, totals: Totals, faults: Faults): Promise<boolean> {
  const { runtime, mode, segmentBytes, seed } = job;
  const directory = mkdtempSync(join(tmpdir(), "hf-kill-"));
  const random = randomFrom(seed);
  const ledger = nothingAcknowledged();
  const faultsBefore = faults.messages.length;
  for (let kill = 1; kill <= KILLS_PER_DIRECTORY && faults.messages.length === faultsBefore; kill++) {
    const where = `${runtime.name}, ${mode}, segments of ${segmentBytes}, kill ${kill}, HOLDFAST_SEED=${SEED}, kept in ${directory}`;
    const before = { ...ledger };
    const orders = { directory, mode, segmentBytes, from: ledger.durable, seed: Math.floor(random() * 2 ** 31) };
    const life = new Life(runtime, orders, ledger, true);
    await moment(MOMENTS, life, random);
    const death = await life.kill();
    totals.kills++;
    if (death.wasOpening) totals.whileOpening++;
    if (death.wasCheckpointing) totals.whileCheckpointing++;
    if (death.hasNoCheckpoints) totals.hasNoCheckpoints = true;
    totals.checkpoints += death.checkpoints;
    totals.acknowledged += ledger.durable - before.durable + ledger.jointDurable - before.jointDurable;
    if (death.hung) faults.add("hung", where);
    // What it says of its own accord is a failure; a runtime may complain of what being killed does to it.
    else if (death.signal !== "SIGKILL" || death.complaint !== "" || death.storageFailed) {
      faults.add("untyped", `${where}: ${death.storageFailed ? "its storage failed" : death.complaint}`);
    } else if (isBegun(directory)) {
      try {
        const verdict = judge(await lookAt(directory, kill % 4 === 0), ledger);
        if (verdict.fault !== undefined) faults.add(verdict.fault, `${where}: ${verdict.why}`);
        else {
          if (verdict.last > ledger.durable) totals.unacknowledged++;
          Object.assign(ledger, { returned: verdict.last, durable: verdict.last });
          Object.assign(ledger, { jointReturned: verdict.joint, jointDurable: verdict.joint });
        }
      } catch (error) {
        const column = HoldfastError.is(error, "CORRUPTION") ? "lost" : "untyped";
        faults.add(column, `${where}: ${error instanceof Error ? error.stack : String(error)}`);
      }
    } else if (ledger.durable > 0) faults.add("lost", `${where}: there is no database any more`);
  }
  totals.segments += readdirSync(directory).filter((name) => name.endsWith(".log")).length;
  const isWell = faults.messages.length === faultsBefore;
  if (isWell) rmSync(directory, { recursive: true, force: true });
  return isWell;
}

function jobsOn(runtimes: readonly ServerRuntime[]): Job[] {
  const jobs = runtimes.flatMap((runtime) =>
    Array.from({ length: Math.max(2, Math.round(DIRECTORIES[runtime.name] * SCALE)) }, (_, i) => {
      const mode: Mode = i % 2 === 0 ? "strict" : "buffered";
      return { runtime, mode, segmentBytes: SEGMENT_BYTES[mode][(i >> 1) % 2] as number };
    }),
  );
  return jobs.map((job, i) => ({ ...job, seed: (SEED + Math.imul(i, 0x9e3779b1)) >>> 0 }));
}

test("killed at any moment, nothing acknowledged is lost, torn or out of order", {
  timeout: TEST_TIMEOUT_MS,
}, async () => {
  console.log(`kills: HOLDFAST_SEED=${SEED}`);
  const { runtimes, skipped } = await runtimesHere();
  const begunMs = performance.now();
  const faults = new Faults();
  const totals: Totals = {
    kills: 0,
    whileOpening: 0,
    whileCheckpointing: 0,
    checkpoints: 0,
    hasNoCheckpoints: false,
    acknowledged: 0,
    unacknowledged: 0,
    segments: 0,
  };
  const jobs = jobsOn(runtimes);
  const lane = async (): Promise<void> => {
    for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) await killInOneDirectory(job, totals, faults);
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  console.log(`kills: ${JSON.stringify(totals)}`);
  writeReport({
    suite: "kills",
    what: "a process killed by SIGKILL at a random moment",
    cases: totals.kills,
    goal: Math.round(GOAL * SCALE),
    acknowledged: totals.acknowledged,
    ...faults.counts,
    seed: SEED,
    seconds: (performance.now() - begunMs) / 1000,
    skipped: totals.hasNoCheckpoints ? [skipped, "no checkpoints in this build"].filter(Boolean).join("; ") : skipped,
  });
  expect(faults.messages).toEqual([]);
  expect(totals.acknowledged).toBeGreaterThan(totals.kills);
});
