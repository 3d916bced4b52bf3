/**
 * Workers are terminated at random instants while they write, read, make and delete runs, in memory and on files. After each
 * the others go on at once; a run is as it was or is refused, and then rebuilt from the log, or deleted where there is none; what
 * was acknowledged is there, and what belongs together agrees; the heap is sound.
 *
 * A failure prints the seed: `HOLDFAST_SEED` plays the same acts again (not the same instants), `HOLDFAST_SCALE` makes more.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Worker } from "node:worker_threads";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { nodeFs } from "../../src/adapters/node-fs.js";
import { Database, HoldfastError } from "../../src/index.js";
import { type DurabilityReport, SCALE, SEED, writeReport } from "../support/durability-report.js";
import { buildForThread } from "../support/hands.js";

/** The worker with all that it imports in one file, of the sources: it starts sooner. */
const FOLDER = "build/interleavings/terminations";
/** Nothing of what the runner needs in its own process. */
const EXEC_ARGV: string[] = [];
const RUNS = ["a", "b", "c"];
/** Workers that begin together; they are terminated one after another. */
const CREW = 4;
/** Within so long the others must have gone on. */
const GOES_ON_MS_MAX = 1000;
/** What a worker may be told: that another has died where it wanted to go, or has kept it waiting. */
const ALLOWED = ["CORRUPTION", "BUSY", "COMMIT_INDETERMINATE", "CONFLICT"];

let thread: URL;

beforeAll(async () => {
  const alias = { holdfast: resolve("src/index.ts") };
  thread = await buildForThread("test/support/termination-worker.mjs", resolve(FOLDER), alias);
});

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
});

interface Kind {
  readonly name: string;
  readonly deaths: number;
  /** Undefined in memory. */
  readonly files: { readonly durability: "strict" | "buffered"; readonly segmentBytesTarget: number } | undefined;
  readonly modes: readonly string[];
}

const KINDS: Kind[] = [
  { name: "in memory", deaths: 130, files: undefined, modes: ["in-memory"] },
  {
    name: "on files, in all modes",
    deaths: 130,
    files: { durability: "buffered", segmentBytesTarget: 100_000 },
    modes: ["in-memory", "in-memory", "in-memory", "buffered", "buffered", "strict"],
  },
  {
    name: "on files, in many segments",
    deaths: 60,
    files: { durability: "strict", segmentBytesTarget: 2000 },
    modes: ["strict", "buffered", "in-memory"],
  },
];

interface Hand {
  readonly worker: Worker;
  readonly id: number;
  /** Where it stands in the ledger. */
  readonly lane: number;
}

/** One database, and those who are terminated over it. */
class Slaughter {
  readonly #db: Database;
  readonly #kind: Kind;
  readonly #ledger: SharedArrayBuffer;
  readonly #acknowledged: Int32Array;
  /** Runs that were deleted, so that the ledger says nothing of them any more. */
  readonly #begun = new Set<string>();
  readonly wrong: string[] = [];
  readonly met: Record<string, number> = {};
  #lanes = 0;
  deaths = 0;
  lost = 0;
  slowestMs = 0;
  /** How often what was told was compared with what is there. */
  compared = 0;

  constructor(db: Database, kind: Kind) {
    this.#db = db;
    this.#kind = kind;
    // A lane for each worker that ever will be.
    this.#ledger = new SharedArrayBuffer(4 * RUNS.length * (Math.ceil(kind.deaths * SCALE) + 2 * CREW));
    this.#acknowledged = new Int32Array(this.#ledger);
  }

  async hire(): Promise<Hand> {
    const lane = this.#lanes++;
    const seed = (SEED + lane * 7919) | 0;
    const { modes } = this.#kind;
    const workerData = { handle: this.#db.share(), runs: RUNS, ledger: this.#ledger, lane, seed, modes };
    const worker = new Worker(thread, { workerData, execArgv: EXEC_ARGV });
    const id = await new Promise<number>((resolve, reject) => {
      worker.once("error", reject);
      worker.on("message", ({ ready, wrong, met, message }) => {
        if (ready !== undefined) resolve(ready);
        if (wrong !== undefined) this.wrong.push(wrong);
        if (met === undefined) return;
        const what = met === "BUSY" ? `BUSY ${message}` : met;
        this.met[what] = (this.met[what] ?? 0) + 1;
        if (!ALLOWED.includes(met)) this.wrong.push(`a worker met ${met}: ${message}`);
      });
    });
    return { worker, id, lane };
  }

  async terminate({ worker, id, lane }: Hand): Promise<void> {
    await worker.terminate();
    this.#db.detach(id);
    this.deaths++;
    const began = performance.now();
    this.#db.run("probe").kv.put("deaths", this.deaths);
    const lost = RUNS.filter((run) => this.#isLost(run));
    this.slowestMs = Math.max(this.slowestMs, performance.now() - began);
    if (this.#isLost(`own-${lane}`)) lost.push(`own-${lane}`);
    this.lost += lost.length;
    for (const run of lost) await this.#heal(run);
    for (const run of RUNS) this.#compare(run);
    const { valid, fault } = this.#db.verify();
    if (!valid) this.wrong.push(`verify() says ${fault}`);
  }

  #isLost(run: string): boolean {
    try {
      this.#db.run(run).kv.put("probe", this.deaths);
      return false;
    } catch (error) {
      if (HoldfastError.is(error, "CORRUPTION")) return true;
      throw error;
    }
  }

  async #heal(run: string): Promise<void> {
    if (this.#kind.files === undefined) {
      await expect(this.#db.recoverRun(run)).rejects.toMatchObject({ code: "UNSUPPORTED" });
      this.#begun.add(run);
      this.#db.deleteRun(run);
    } else if (this.lost % 5 === 0 && run.startsWith("own-")) {
      this.#db.deleteRun(run);
    } else if (!(await this.#db.recoverRun(run))) {
      this.wrong.push(`${run} was lost, and nothing was to be rebuilt`);
    }
  }

  /** What was acknowledged before it is looked is there, and what is there agrees. */
  #compare(id: string, db = this.#db): void {
    const acknowledged = Array.from({ length: this.#lanes }, (_, lane) =>
      Atomics.load(this.#acknowledged, lane * RUNS.length + RUNS.indexOf(id)),
    );
    const snapshot = db.run(id).snapshot();
    try {
      const n = (snapshot.kv.get("n") as number | undefined) ?? 0;
      const found = snapshot.kv.list({ prefix: "worker-" });
      const sum = found.reduce((total, [, mine]) => total + (mine as number), 0);
      const chain = snapshot.events.verify();
      if (!chain.valid || chain.length !== n || sum !== n) {
        this.wrong.push(`${id}: ${n} counted, ${sum} by workers, events ${JSON.stringify(chain)}`);
      }
      if (this.#begun.has(id)) return;
      for (const [lane, told] of acknowledged.entries()) {
        const mine = (snapshot.kv.get(`worker-${lane}`) as number | undefined) ?? 0;
        this.compared++;
        if (mine < told) this.wrong.push(`${id}: worker ${lane} was told of ${told}, there are ${mine}`);
      }
    } catch (error) {
      // Another one has died of itself in the meantime: nobody was terminated.
      this.wrong.push(`${id}: ${String(error)}`);
    } finally {
      snapshot.dispose();
    }
  }

  compareAll(db: Database): void {
    for (const run of RUNS) this.#compare(run, db);
  }
}

/** Lets workers work for a while, from an instant to some ten milliseconds. */
function aWhile(): Promise<void> {
  const ms = Math.random() ** 2 * 15;
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function stop({ worker }: Hand): Promise<void> {
  const ended = new Promise((resolve) => worker.once("exit", resolve));
  worker.postMessage("stop");
  await ended;
}

/** What the whole file has counted. */
const total: { -readonly [F in keyof DurabilityReport]: DurabilityReport[F] } = {
  suite: "terminations",
  what: "a worker terminated while it works",
  cases: 0,
  goal: 300 * SCALE,
  acknowledged: 0,
  lost: 0,
  partial: 0,
  reordered: 0,
  silentlyCorrupt: 0,
  untyped: 0,
  hung: 0,
  seed: SEED,
  seconds: 0,
};
afterAll(() => writeReport(total));

describe("workers that are terminated", () => {
  it.each(KINDS)("$name", async (kind) => {
    const path = mkdtempSync(join(tmpdir(), "holdfast-terminations-"));
    folders.push(path);
    const { files } = kind;
    const db =
      files === undefined
        ? await Database.open({ durability: "in-memory", shared: true })
        : await Database.open({ storage: nodeFs(path, files), durability: files.durability, shared: true });
    const it = new Slaughter(db, kind);
    const began = performance.now();
    const deaths = Math.ceil(kind.deaths * SCALE);
    while (it.deaths < deaths && it.wrong.length === 0) {
      const crew = await Promise.all(Array.from({ length: CREW }, () => it.hire()));
      for (const victim of crew) {
        await aWhile();
        await it.terminate(victim);
      }
      if (files !== undefined && it.deaths % (5 * CREW) === 0) await db.checkpoint();
    }
    // Those that are asked to stop leave nothing behind.
    await Promise.all((await Promise.all([it.hire(), it.hire()])).map(stop));
    it.compareAll(db);
    const seconds = (performance.now() - began) / 1000;
    const met = JSON.stringify(it.met);
    console.info(
      `${kind.name}: ${it.deaths} deaths in ${seconds.toFixed(1)} s, ${it.lost} runs lost, went on after at most ${it.slowestMs.toFixed(0)} ms, met ${met}, seed ${SEED}`,
    );
    total.cases += it.deaths;
    total.acknowledged += it.compared;
    total.seconds += seconds;
    total.lost += it.wrong.filter((what) => what.includes("was told of")).length;
    total.partial += it.wrong.filter((what) => what.includes("counted,")).length;
    total.silentlyCorrupt += it.wrong.filter((what) => what.includes("verify()")).length;
    total.untyped += it.wrong.filter((what) => what.includes("a worker met")).length;
    expect(it.wrong).toEqual([]);
    expect(db.verify()).toEqual({ valid: true });
    expect(it.slowestMs).toBeLessThan(GOES_ON_MS_MAX);
    await db.close();
    if (files === undefined) return;
    const again = await Database.open(path);
    expect(again.storageInfo.recovered).toBeUndefined();
    it.compareAll(again);
    expect(it.wrong).toEqual([]);
    await again.close();
  });
});
