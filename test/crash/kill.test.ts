/**
 * Real processes, killed at random moments: while they open, recover, write, sync and change segments.
 *
 * The parent keeps a ledger of what the child said was committed. After each kill the state must be the plan up to some
 * commit: no acknowledged one lost, none in part, none out of order. The killed logs are opened by the next child, which
 * may be killed over its recovery, so that segments and epochs pile up in a directory over ten kills.
 * `HOLDFAST_SEED` repeats the moments, `HOLDFAST_KILLS` changes how many there are.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { nodeFs } from "../../src/adapters/node-fs.js";
import { Database } from "../../src/index.js";
import { lastOf, planOf, RUNS } from "./plan.mjs";

const KILLS = Number(process.env["HOLDFAST_KILLS"] ?? 100);
const KILLS_PER_DIRECTORY = 10;
const SEED = Number(process.env["HOLDFAST_SEED"] ?? Date.now() % 1_000_000_000);
const WRITER = fileURLToPath(new URL("./writer.mjs", import.meta.url));
/** From the moment that the child is ready, or in one case of eight from its start. */
const KILL_AFTER_READY_MS_MAX = 70;
const KILL_AFTER_START_MS_MAX = 130;

type Mode = "strict" | "buffered";
type Stored = Record<string, Record<string, unknown>>;

/** Numbers from 0 up to 1, from a seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The plan, carried out in plain objects as far as it was asked for. */
class Model {
  readonly state: Stored = Object.fromEntries(RUNS.map((run) => [run, {}]));
  sequence = 0;

  /** Everything as it must stand after commit `sequence`; only ever asked for forwards. */
  upTo(sequence: number): Stored {
    while (this.sequence < sequence) {
      const n = ++this.sequence;
      const { run, puts, deletes } = planOf(n);
      const values = this.state[run] as Record<string, unknown>;
      for (const key of puts) values[key] = { n, key };
      for (const key of deletes) delete values[key];
    }
    return this.state;
  }
}

interface Life {
  /** The last commit that the child said it had made, in this life or in those before it. */
  readonly acknowledged: number;
  readonly wasReady: boolean;
}

/** Lets a child live for a while, kills it, and reads what it said to the last byte. */
async function liveAndDie(directory: string, mode: Mode, segmentBytes: number, random: () => number): Promise<Life> {
  const child = spawn(process.execPath, [WRITER, directory, mode, String(segmentBytes)], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const said: Buffer[] = [];
  let complaint = "";
  child.stderr.on("data", (text) => {
    complaint += String(text);
  });
  const ready = new Promise<void>((resolve) => {
    child.stdout.on("data", (bytes: Buffer) => {
      said.push(bytes);
      resolve();
    });
  });
  const ended = new Promise<string | null>((resolve) => child.on("close", (_code, signal) => resolve(signal)));
  if (random() < 0.125) {
    await sleep(random() * KILL_AFTER_START_MS_MAX);
  } else {
    await Promise.race([ready, ended]);
    await sleep(random() * KILL_AFTER_READY_MS_MAX);
  }
  child.kill("SIGKILL");
  const signal = await ended;
  expect(complaint, "the child must not fail by itself").toBe("");
  expect(signal).toBe("SIGKILL");
  const bytes = Buffer.concat(said);
  const wasReady = bytes.length >= 4;
  return { acknowledged: wasReady ? bytes.readUInt32LE(bytes.length - (bytes.length % 4) - 4) : 0, wasReady };
}

/** Looks at a killed log without touching it, or now and then by recovering and closing it here. */
async function lookAt(directory: string, recover: boolean): Promise<{ last: number; state: Stored; valid: boolean }> {
  const db = await Database.open({ storage: nodeFs(directory), readOnly: !recover });
  try {
    const state = Object.fromEntries(RUNS.map((run) => [run, Object.fromEntries(db.run(run).kv.list())]));
    return { last: lastOf(db), state, valid: db.verify().valid };
  } finally {
    await db.close();
  }
}

interface Totals {
  kills: number;
  whileOpening: number;
  commits: number;
  /** Kills that came between a commit and its acknowledgement. */
  unacknowledged: number;
  segments: number;
}

async function killsInOneDirectory(
  mode: Mode,
  segmentBytes: number,
  kills: number,
  random: () => number,
  totals: Totals,
) {
  const directory = mkdtempSync(join(tmpdir(), "hf-kill-"));
  try {
    const model = new Model();
    let acknowledged = 0;
    for (let kill = 1; kill <= kills; kill++) {
      const where = `${mode}, kill ${kill}, segments of ${segmentBytes}, seed ${SEED}`;
      const life = await liveAndDie(directory, mode, segmentBytes, random);
      totals.kills++;
      if (!life.wasReady) totals.whileOpening++;
      acknowledged = Math.max(acknowledged, life.acknowledged);
      if (readdirSync(directory).every((name) => !name.endsWith(".log"))) {
        expect(acknowledged, where).toBe(0);
        continue;
      }
      const { last, state, valid } = await lookAt(directory, kill % 4 === 0);
      expect(valid, where).toBe(true);
      expect(last, `${where}: acknowledged and lost`).toBeGreaterThanOrEqual(acknowledged);
      expect(last, `${where}: more than one commit that nobody made`).toBeLessThanOrEqual(acknowledged + 1);
      expect(state, `${where}: not the plan up to ${last}`).toEqual(model.upTo(last));
      if (last > acknowledged) totals.unacknowledged++;
      acknowledged = last;
    }
    totals.commits += acknowledged;
    totals.segments += readdirSync(directory).filter((name) => name.endsWith(".log")).length;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

describe.concurrent("killed processes", () => {
  test.each<Mode>(["strict", "buffered"])("%s: nothing acknowledged is lost, torn or out of order", async (mode) => {
    console.log(`${mode}: HOLDFAST_SEED=${SEED}`);
    const random = randomFrom(SEED + (mode === "strict" ? 0 : 1));
    const totals: Totals = { kills: 0, whileOpening: 0, commits: 0, unacknowledged: 0, segments: 0 };
    const sizes = mode === "strict" ? [2_000, 64 * 1024 * 1024] : [20_000, 64 * 1024 * 1024];
    for (let i = 0; totals.kills < KILLS; i++) {
      const kills = Math.min(KILLS_PER_DIRECTORY, KILLS - totals.kills);
      await killsInOneDirectory(mode, sizes[i % sizes.length] as number, kills, random, totals);
    }
    console.log(`${mode}: ${JSON.stringify(totals)}`);
    expect(totals.commits).toBeGreaterThan(totals.kills);
  });
});
