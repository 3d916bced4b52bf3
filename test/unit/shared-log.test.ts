/**
 * Many workers write one log: what they count adds up, in memory and after opening again, also where segments change under
 * them, a worker is ended in the middle, or the whole process is killed.
 */
import { spawn } from "node:child_process";
import fs, { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { afterEach, describe, expect, it, vi } from "vitest";
import { nodeFs } from "../../src/adapters/node-fs.js";
import { Database, type DatabaseHandle } from "../../src/index.js";

const WORKER = new URL("../support/shared-log-worker.mjs", import.meta.url);
const PROCESS = new URL("../support/shared-log-process.mjs", import.meta.url).pathname;
const OWNER = new URL("../support/shared-log-owner.mjs", import.meta.url);
const FULL = new URL("../support/shared-log-full.mjs", import.meta.url).pathname;
const RUNS = ["a", "b"];
const folders: string[] = [];

afterEach(() => {
  vi.restoreAllMocks();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "holdfast-shared-"));
  folders.push(made);
  return made;
}

interface Job {
  readonly count: number;
  readonly durability: "strict" | "buffered" | "in-memory";
  readonly asynchronous: boolean;
}

interface Outcome {
  readonly done: number;
  readonly errors: Record<string, number>;
}

/** What the process whose files could not grow says at its end. */
interface Ended {
  readonly told: readonly Outcome[];
  readonly heap: unknown;
  readonly counted: readonly number[];
  readonly chains: readonly unknown[];
}

async function start(db: Database, job: Job): Promise<{ worker: Worker; outcome: Promise<Outcome> }> {
  const worker = new Worker(WORKER, { workerData: { handle: db.share(), runs: RUNS, tells: false, ...job } });
  await new Promise((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
  });
  const outcome = new Promise<Outcome>((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
  });
  outcome.catch(() => {});
  return { worker, outcome };
}

function counted(db: Database): number {
  return RUNS.reduce((sum, run) => sum + ((db.run(run).kv.get("n") as number | undefined) ?? 0), 0);
}

/** Each run's events are one chain, as many as its counter says. */
function expectWhole(db: Database): void {
  for (const run of RUNS) {
    const { kv, events } = db.run(run);
    expect(events.verify(), run).toEqual({ valid: true, length: (kv.get("n") as number | undefined) ?? 0 });
  }
  expect(db.verify()).toEqual({ valid: true });
}

const JOBS: Job[] = [
  { count: 60, durability: "strict", asynchronous: false },
  { count: 60, durability: "strict", asynchronous: true },
  { count: 400, durability: "buffered", asynchronous: false },
  { count: 400, durability: "buffered", asynchronous: true },
  { count: 400, durability: "in-memory", asynchronous: false },
];

describe("workers of one persistent database", () => {
  it.each(JOBS)("count together, $durability, asynchronously: $asynchronous, over many segments", async (job) => {
    const path = folder();
    const storage = nodeFs(path, { segmentBytesTarget: 4096 });
    const db = await Database.open({ storage, shared: true, durability: "buffered" });
    const workers = await Promise.all([1, 2, 3].map(() => start(db, job)));
    for (const { worker } of workers) worker.postMessage("go");
    for (let i = 0; i < 20; i++) {
      db.run("own").kv.put("n", i + 1, { durability: job.durability });
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    for (const { outcome } of workers) expect(await outcome).toEqual({ done: job.count, errors: {} });
    expect(counted(db)).toBe(3 * job.count);
    expectWhole(db);
    await db.checkpoint();
    await db.close();
    const again = await Database.open(path);
    expect(again.storageInfo.recovered).toBeUndefined();
    expect([counted(again), again.run("own").kv.get("n")]).toEqual([3 * job.count, 20]);
    expectWhole(again);
    await again.close();
  });

  it("a checkpoint is made while they write", async () => {
    const path = folder();
    const db = await Database.open({ path, shared: true, durability: "buffered" });
    const workers = await Promise.all([1, 2].map(() => start(db, { ...(JOBS[2] as Job), count: 1000 })));
    for (const { worker } of workers) worker.postMessage("go");
    for (let i = 0; i < 5; i++) await db.checkpoint();
    for (const { outcome } of workers) expect(await outcome).toEqual({ done: 1000, errors: {} });
    await db.close();
    const again = await Database.open(path);
    expect(counted(again)).toBe(2000);
    expectWhole(again);
    await again.close();
  });

  it.each(["flushSync", "flush"] as const)(
    "%s syncs what another one has written while the one before was under way",
    async (name) => {
      // The note stood behind that, and said that all was synced: the next call returned at once.
      const storage = nodeFs(folder());
      const durability = { mode: "buffered", flushIntervalMs: 60_000 } as const;
      const db = await Database.open({ storage, shared: true, durability });
      const other = await Database.attach(db.share());
      db.run("a").kv.put("k", 1);
      const { fdatasync, fdatasyncSync } = fs;
      let syncs = 0;
      const count = (): void => {
        if (syncs++ === 0) other.run("b").kv.put("c", 1);
      };
      vi.spyOn(fs, "fdatasyncSync").mockImplementation((fd) => {
        count();
        fdatasyncSync(fd);
      });
      vi.spyOn(fs, "fdatasync").mockImplementation(((fd: number, callback: fs.NoParamCallback) => {
        count();
        fdatasync(fd, callback);
      }) as typeof fs.fdatasync);
      await db[name]();
      const before = syncs;
      await db[name]();
      expect(syncs).toBeGreaterThan(before);
      // Once the note stands behind all that is synced, there is nothing left to do.
      const after = syncs;
      await db[name]();
      expect(syncs).toBe(after);
      await other.close();
      await db.close();
    },
  );

  it.each(JOBS)(
    "closed where it was opened, refuses later writes of workers and keeps the one in the middle: $durability, asynchronously: $asynchronous",
    async (job) => {
      for (let round = 0; round < 6; round++) {
        const path = folder();
        const db = await Database.open({ path, shared: true, durability: "buffered" });
        const { worker, outcome } = await start(db, { ...job, count: 1_000_000 });
        worker.postMessage("go");
        await new Promise((resolve) => setTimeout(resolve, 10 + 2 * round));
        await db.close();
        const { done, errors } = await outcome;
        expect(errors).toEqual({ CLOSED: 1 });
        const again = await Database.open(path);
        expect(again.storageInfo.recovered).toBeUndefined();
        expect(counted(again)).toBe(done);
        expectWhole(again);
        await again.close();
      }
    },
  );

  it("one that is ended anywhere leaves the others able to go on, or told why not, and nothing acknowledged is lost", async () => {
    for (let round = 0; round < 8; round++) {
      const path = folder();
      const db = await Database.open({ path, shared: true, durability: "buffered" });
      const victim = await start(db, { count: 1_000_000, durability: "buffered", asynchronous: false });
      const other = await start(db, { count: 2000, durability: "buffered", asynchronous: false });
      victim.worker.postMessage("go");
      other.worker.postMessage("go");
      await new Promise((resolve) => setTimeout(resolve, 5 + round * 3));
      await victim.worker.terminate();
      db.detach(1);
      const { done, errors } = await other.outcome;
      const allowed = ["CORRUPTION", "STORE_FAILED", "COMMIT_INDETERMINATE", "BUSY"];
      const codes = Object.keys(errors).map((code) => code.replace("close: ", ""));
      expect(codes.filter((code) => !allowed.includes(code))).toEqual([]);
      await db.close().catch((error: unknown) => expect(allowed).toContain((error as { code?: string }).code));
      const again = await Database.open(path);
      const ownCount = RUNS.reduce(
        (most, run) => Math.max(most, (again.run(run).kv.get("worker-2") as number | undefined) ?? 0),
        0,
      );
      expect(ownCount, `round ${round}`).toBeGreaterThanOrEqual(done);
      expectWhole(again);
      await again.close();
    }
  });

  it.each(["strict", "buffered"] as const)(
    "goes on where the one that opened it has died, until somebody takes over, and is told of nothing that is lost: %s",
    async (durability) => {
      // What it wrote after that was acknowledged, to files that the next owner had read already.
      const path = folder();
      const owner = new Worker(OWNER, { workerData: path });
      const handle = await new Promise<DatabaseHandle>((resolve, reject) => {
        owner.once("message", resolve);
        owner.once("error", reject);
      });
      const attached = await Database.attach(handle);
      const { kv } = attached.run("run");
      await owner.terminate();
      kv.put("alone", 1, { durability });
      const next = await Database.open(path);
      expect(() => kv.put("overtaken", 1, { durability })).toThrow(
        expect.objectContaining({ code: "COMMIT_INDETERMINATE" }),
      );
      expect(() => kv.put("later", 1, { durability })).toThrow(expect.objectContaining({ code: "STORE_FAILED" }));
      expect(kv.get("alone")).toBe(1);
      next.run("run").kv.put("next", 1);
      await next.close();
      await attached.close().catch(() => {});
      const again = await Database.open(path);
      expect(again.run("run").kv.keys()).toEqual(["alone", "next", "owner"]);
      await again.close();
    },
  );

  // Files that may not grow stand for a full disk: the system says the same of both.
  it.skipIf(process.platform !== "linux").each([
    ["strict", false],
    ["strict", true],
    ["buffered", false],
    ["buffered", true],
  ] as const)(
    "where files cannot grow nobody is told of a commit that is not there, %s, asynchronously: %s",
    async (mode, asynchronous) => {
      const script = `trap '' XFSZ; exec prlimit --fsize=20000 "$0" "$@"`;
      const child = spawn("bash", ["-c", script, process.execPath, FULL, folder(), mode, String(asynchronous)]);
      let output = "";
      child.stdout.on("data", (bytes: Buffer) => {
        output += bytes.toString();
      });
      await new Promise((resolve) => child.once("close", resolve));
      const { told, heap, counted: found, chains } = JSON.parse(output) as Ended;
      const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
      expect(heap).toEqual({ valid: true });
      expect(chains).toEqual(found.map((length) => ({ valid: true, length })));
      expect(sum(told.map(({ done }) => done))).toBeGreaterThan(0);
      expect(sum(found)).toBeGreaterThanOrEqual(sum(told.map(({ done }) => done)));
      const allowed = ["COMMIT_INDETERMINATE", "STORE_FAILED", "STORAGE_FULL", "close: COMMIT_INDETERMINATE"];
      expect(told.flatMap(({ errors }) => Object.keys(errors)).filter((code) => !allowed.includes(code))).toEqual([]);
    },
  );

  it.each([
    ["strict", false],
    ["strict", true],
    ["buffered", false],
  ] as const)(
    "a killed process loses nothing that was acknowledged, %s, asynchronously: %s",
    async (mode, asynchronous) => {
      for (let round = 0; round < 4; round++) {
        const path = folder();
        const child = spawn(process.execPath, [PROCESS, path, mode, "3", String(asynchronous)], {
          stdio: ["ignore", "pipe", "inherit"],
        });
        let told = "";
        child.stdout.on("data", (bytes: Buffer) => {
          told += bytes.toString();
        });
        await new Promise<void>((resolve) => child.stdout.once("data", () => resolve()));
        await new Promise((resolve) => setTimeout(resolve, 20 + round * 37));
        child.kill("SIGKILL");
        await new Promise((resolve) => child.once("close", resolve));
        const db = await Database.open(path);
        const lines = told.split("\n").slice(0, -1);
        expect(lines.length).toBeGreaterThan(0);
        for (const line of lines) {
          const [run, worker, count] = line.split(" ") as [string, string, string];
          expect(db.run(run).kv.get(`worker-${worker}`), line).toBeGreaterThanOrEqual(Number(count));
        }
        expectWhole(db);
        await db.close();
      }
    },
  );
});
