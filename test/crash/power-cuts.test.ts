/**
 * Power cuts on real file systems: ext4 and xfs on a disk of their own, shut down at random moments under a writing child.
 *
 * After each cut the disk is mounted again and compared with the ledger. Strict: all that was acknowledged is there.
 * Buffered: the plan up to some commit, no earlier than the last one that was made durable and than what is older than the
 * interval of background syncs. The database that was cut goes on being used, on Node, Deno and Bun in turn.
 *
 * What is acknowledged while the file system is being shut down does not bind: a sync that runs beside that may return as
 * if it had been made, which no sync does that meets a real power cut. A loop of nothing but write and fdatasync finds its
 * last write gone in one of twenty such cuts, on ext4 and on xfs (Linux 6.18).
 * Needs Linux and root. Where a disk is not to be had the suite is skipped and says why.
 */
import { join } from "node:path";
import { expect, test } from "vitest";
import { nodeFs } from "../../src/adapters/node-fs.js";
import { Database, HoldfastError } from "../../src/index.js";
import { SCALE, SEED, writeReport } from "../support/durability-report.js";
import { cuttableFileSystems, type FileSystemKind, LoopDisk } from "../support/loop-disk.js";
import { randomFrom } from "../support/seeded-random.js";
import { runtimesHere, type ServerRuntime } from "../support/server-runtimes.js";
import { type Acknowledged, judge, nothingAcknowledged, read } from "./ledger.js";
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

const GOAL = 100;
/** For each file system and mode. */
const CUTS_PER_DISK = 25;
const CUTS_PER_DATABASE = 5;
/** From a cut to the child's word that its storage has failed. */
const FAILURE_MS_MAX = 1_000;
/** The child syncs 20 ms after a buffered commit; the rest is for a disk and a machine that are busy. */
const BUFFERED_MS_MAX = 1_500;
/** When a cut comes, counted from what the child said; each with its share. */
const MOMENTS: readonly Moment[] = [
  { share: 0.1, after: undefined, waitMsMax: 0, delayMsMax: 150 },
  { share: 0.15, after: SAYS.opening, waitMsMax: OPENING_MS_MAX, delayMsMax: 40 },
  { share: 0.2, after: SAYS.checkpointBegun, waitMsMax: CHECKPOINT_MS_MAX, delayMsMax: 30 },
  { share: 0.1, after: SAYS.ready, waitMsMax: OPENING_MS_MAX, delayMsMax: 2_500 },
  { share: 0.45, after: SAYS.ready, waitMsMax: OPENING_MS_MAX, delayMsMax: 200 },
];

interface Job {
  readonly kind: FileSystemKind;
  readonly mode: Mode;
  readonly seed: number;
}

interface Totals {
  cuts: number;
  whileOpening: number;
  whileCheckpointing: number;
  /** Cuts that the child met in a call, and was told of as it should be. */
  told: number;
  checkpoints: number;
  hasNoCheckpoints: boolean;
  acknowledged: number;
  /** Buffered commits that had returned and are gone, as they may. */
  goneAsAllowed: number;
}

/** When commits of the plan returned, so that those that are old enough can be asked for. */
class Clock {
  readonly #returned: { readonly n: number; readonly atMs: number }[] = [];

  hear(says: number, n: number): void {
    if (says === SAYS.returned) this.#returned.push({ n, atMs: performance.now() });
  }

  /** The last commit that had returned by a time. */
  lastBy(ms: number): number {
    return this.#returned.reduce((last, { n, atMs }) => (atMs <= ms ? Math.max(last, n) : last), 0);
  }
}

/** One life, one cut. @returns whether the database agrees with what was said */
async function cutOnce(
  disk: LoopDisk,
  directory: string,
  job: Job,
  runtime: ServerRuntime,
  segmentBytes: number,
  ledger: Acknowledged,
  random: () => number,
  totals: Totals,
  faults: Faults,
): Promise<void> {
  const { kind, mode } = job;
  const where = `${kind}, ${runtime.name}, ${mode}, segments of ${segmentBytes}, cut ${totals.cuts + 1}, HOLDFAST_SEED=${SEED}, kept in ${disk.place}`;
  const before = { ...ledger };
  const clock = new Clock();
  const orders = { directory, mode, segmentBytes, from: ledger.durable, seed: Math.floor(random() * 2 ** 31) };
  const life = new Life(runtime, orders, ledger, false, (says, n) => clock.hear(says, n));
  await moment(MOMENTS, life, random);
  // Only what was heard by now binds: see the head of this file.
  const heard = { ...ledger };
  const cutAtMs = performance.now();
  await disk.cut(random() < 0.5);
  await life.until(SAYS.storageFailed, FAILURE_MS_MAX);
  const death = await life.kill();
  await disk.unmount();
  await disk.mount();
  totals.cuts++;
  if (death.wasOpening) totals.whileOpening++;
  if (death.wasCheckpointing) totals.whileCheckpointing++;
  if (death.storageFailed) totals.told++;
  if (death.hasNoCheckpoints) totals.hasNoCheckpoints = true;
  totals.checkpoints += death.checkpoints;
  if (death.hung) return faults.add("hung", where);
  if (death.signal !== "SIGKILL" || death.complaint !== "")
    return faults.add("untyped", `${where}: ${death.complaint}`);
  ledger.durable = Math.max(heard.durable, clock.lastBy(cutAtMs - BUFFERED_MS_MAX));
  ledger.jointDurable = heard.jointDurable;
  totals.acknowledged += ledger.durable - before.durable + ledger.jointDurable - before.jointDurable;
  if (!isBegun(directory)) {
    if (ledger.durable > 0) return faults.add("lost", `${where}: there is no database any more`);
    Object.assign(ledger, nothingAcknowledged());
    return;
  }
  try {
    const db = await Database.open({ storage: nodeFs(directory), readOnly: random() < 0.5 });
    const found = read(db);
    await db.close();
    const verdict = judge(found, ledger);
    if (verdict.fault !== undefined) return faults.add(verdict.fault, `${where}: ${verdict.why}`);
    totals.goneAsAllowed += Math.max(0, ledger.returned - verdict.last);
    Object.assign(ledger, { returned: verdict.last, durable: verdict.last });
    Object.assign(ledger, { jointReturned: verdict.joint, jointDurable: verdict.joint });
  } catch (error) {
    const column = HoldfastError.is(error, "CORRUPTION") ? "lost" : "untyped";
    faults.add(column, `${where}: ${error instanceof Error ? error.stack : String(error)}`);
  }
}

/** One disk with one database after another on it, until something is wrong. */
async function cutDisk(
  job: Job,
  runtimes: readonly ServerRuntime[],
  cuts: number,
  totals: Totals,
  faults: Faults,
): Promise<void> {
  const disk = await LoopDisk.make(job.kind);
  const random = randomFrom(job.seed);
  const own = new Faults();
  try {
    for (let cut = 0, database = 0; cut < cuts && own.messages.length === 0; database++) {
      const ledger = nothingAcknowledged();
      const directory = join(disk.mountPoint, `database-${database}`);
      const segmentBytes = SEGMENT_BYTES[job.mode][database % 2] as number;
      for (let i = 0; i < CUTS_PER_DATABASE && cut < cuts && own.messages.length === 0; i++, cut++) {
        const runtime = runtimes[(database + i) % runtimes.length] as ServerRuntime;
        await cutOnce(disk, directory, job, runtime, segmentBytes, ledger, random, totals, own);
      }
    }
  } finally {
    faults.addAll(own);
    if (own.messages.length === 0) await disk.remove();
    else await disk.unmount();
  }
}

test("when the power is cut, nothing that was durable is lost, and the rest is whole and in order", {
  timeout: TEST_TIMEOUT_MS,
}, async (context) => {
  console.log(`power-cuts: HOLDFAST_SEED=${SEED}`);
  const { kinds, skipped: disksMissing } = await cuttableFileSystems();
  const { runtimes, skipped: runtimesMissing } = await runtimesHere();
  const begunMs = performance.now();
  const faults = new Faults();
  const totals: Totals = {
    cuts: 0,
    whileOpening: 0,
    whileCheckpointing: 0,
    told: 0,
    checkpoints: 0,
    hasNoCheckpoints: false,
    acknowledged: 0,
    goneAsAllowed: 0,
  };
  const jobs = kinds
    .flatMap((kind) => (["strict", "buffered"] as const).map((mode) => ({ kind, mode })))
    .map((job, i) => ({
      ...job,
      seed: (SEED + Math.imul(i + 1, 0x9e3779b1)) >>> 0,
    }));
  const cuts = Math.max(1, Math.round(CUTS_PER_DISK * SCALE));
  const lane = async (): Promise<void> => {
    for (let job = jobs.shift(); job !== undefined; job = jobs.shift())
      await cutDisk(job, runtimes, cuts, totals, faults);
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  console.log(`power-cuts: ${JSON.stringify(totals)}`);
  const missing = [disksMissing, runtimesMissing, totals.hasNoCheckpoints ? "no checkpoints in this build" : undefined];
  const skipped = missing.filter((why) => why !== undefined).join("; ");
  writeReport({
    suite: "power-cuts",
    what: "a file system shut down under a writing process",
    cases: totals.cuts,
    goal: Math.round(GOAL * SCALE),
    acknowledged: totals.acknowledged,
    ...faults.counts,
    seed: SEED,
    seconds: (performance.now() - begunMs) / 1000,
    skipped: skipped === "" ? undefined : skipped,
  });
  expect(faults.messages).toEqual([]);
  if (kinds.length === 0) context.skip(skipped);
  expect(totals.acknowledged).toBeGreaterThan(totals.cuts);
});
