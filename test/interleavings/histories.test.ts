/**
 * Histories of real workers that nobody schedules, on Node and on the sources: two to eight workers, a thousand transactions
 * each, in every fourth one workers are terminated inside; in memory, and fewer of them over one log on files. What they are
 * and what has to hold of them stands in `test/histories/`; `test/runtimes/` has some of the same on every runtime.
 *
 * `HOLDFAST_SEED` repeats what the workers do, though not who comes when; `HOLDFAST_SCALE` makes more histories.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { WorkerPort } from "../contract/hand.js";
import { Crew, type Ground, inMemory, onFiles } from "../histories/ground.js";
import { addTally, emptyTally, Fault, type FaultKind, followHistory } from "../histories/history.js";
import { moduleOf, SHARED } from "../support/builds.js";
import { SCALE, SEED, writeReport } from "../support/durability-report.js";
import { buildHands } from "../support/hands.js";

const IN_MEMORY = Math.ceil(200 * SCALE);
const ON_FILES = Math.ceil(40 * SCALE);
const TRANSACTIONS = 1000;
const WORKERS_MAX = 8;
const KILLS_MAX = 2;
/** One history in so many is one with workers that are terminated. */
const KILLS_EVERY = Number(process.env["HOLDFAST_KILLS_EVERY"] ?? 4);
const SEGMENT_BYTES = [16 * 1024, 256 * 1024, 64 * 1024 * 1024];

const folder = mkdtempSync(join(tmpdir(), "holdfast-histories-"));
let startWorker: () => WorkerPort;

beforeAll(async () => {
  startWorker = await buildHands("histories");
});

const begunMs = performance.now();
const counted = emptyTally();
const faults: FaultKind[] = [];

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
  const count = (kind: FaultKind): number => faults.filter((fault) => fault === kind).length;
  writeReport({
    suite: "histories",
    what: "histories of real workers",
    cases: counted.histories + faults.length,
    goal: IN_MEMORY + ON_FILES,
    acknowledged: counted.committed,
    lost: count("lost"),
    partial: 0,
    reordered: count("reordered"),
    silentlyCorrupt: count("silentlyCorrupt"),
    untyped: count("untyped"),
    hung: count("hung"),
    seed: SEED,
    seconds: (performance.now() - begunMs) / 1000,
  });
});

async function follow(count: number, groundOf: (seed: number) => Ground): Promise<void> {
  const crew = new Crew(() => startWorker(), true);
  const total = emptyTally();
  try {
    for (let i = 0; i < count; i++) {
      const seed = (SEED % 1_000_000) + i;
      const killsMax = seed % KILLS_EVERY === KILLS_EVERY - 1 ? KILLS_MAX : 0;
      const shape = { seed, transactions: TRANSACTIONS, workersMax: WORKERS_MAX, killsMax };
      addTally(total, await followHistory(groundOf(seed), crew, shape));
    }
  } catch (error) {
    faults.push(error instanceof Fault ? error.kind : "untyped");
    throw error;
  } finally {
    await crew.close();
    addTally(counted, total);
    console.info(`histories: seed ${SEED}, ${JSON.stringify(total)}`);
  }
  expect(total.committed).toBeGreaterThan(count * TRANSACTIONS * 0.2);
}

describe("histories of real workers are strictly serializable, and leave nothing behind", () => {
  it(`${IN_MEMORY} of ${TRANSACTIONS} transactions in memory`, async () => {
    const wasm = await moduleOf(SHARED);
    await follow(IN_MEMORY, () => inMemory("node", wasm));
  });

  it(`${ON_FILES} over one log, which is kept as they were told`, async () => {
    const wasm = await moduleOf(SHARED);
    await follow(ON_FILES, (seed) =>
      onFiles("node", join(folder, `${seed}`), SEGMENT_BYTES[seed % SEGMENT_BYTES.length] as number, wasm),
    );
  });
});
