/**
 * Tracing: what each commit has cost, in every mode; and a traced database does what another does.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Database, HoldfastError, type OpenOptions } from "../../src/index.js";
import { type PerfTrace, trace } from "../../src/trace.js";
import { wasm } from "../support/damage-logs.js";
import { settled } from "../support/manual-environment.js";
import { SimulatedDisk } from "../support/simulated-storage.js";

async function traced(options: OpenOptions = {}): Promise<{ db: Database; commits: () => readonly PerfTrace[] }> {
  const tracer = trace();
  const db = await Database.open({ wasm, trace: tracer, ...options });
  return { db, commits: () => tracer.commits };
}

function last(commits: readonly PerfTrace[]): PerfTrace {
  return commits.at(-1) as PerfTrace;
}

describe("a commit", () => {
  test("in memory has no cost of a log, and counts its keys", async () => {
    const { db, commits } = await traced({ durability: "in-memory" });
    const run = db.run("r");
    const version = run.kv.put("a", 1);
    expect(last(commits())).toMatchObject({ version, walAppendNs: 0, fsyncNs: 0, keysRead: 0, keysWritten: 1 });
    run.transaction((tx) => {
      tx.kv.get("a");
      tx.kv.get("none");
      tx.kv.put("b", 2);
      tx.kv.put("c", 3);
      tx.kv.put("b", 4);
    });
    const { snapshotAcquireNs, readSetValidateNs, commitTotalNs, ...rest } = last(commits());
    expect(rest).toMatchObject({ version: run.version, keysRead: 2, keysWritten: 2 });
    expect(snapshotAcquireNs).toBeGreaterThan(0);
    expect(commitTotalNs).toBeGreaterThanOrEqual(readSetValidateNs + rest.writeSetApplyNs);
    expect(commits()).toHaveLength(2);
    await db.close();
  });

  test("that is strict shows its append and its sync, within its whole time", async () => {
    const { db, commits } = await traced({ storage: new SimulatedDisk().storage(), durability: "strict" });
    db.run("r").kv.put("a", 1);
    const { walAppendNs, fsyncNs, commitTotalNs } = last(commits());
    expect(walAppendNs).toBeGreaterThan(0);
    expect(fsyncNs).toBeGreaterThan(0);
    expect(commitTotalNs).toBeGreaterThanOrEqual(walAppendNs + fsyncNs);
    await db.close();
  });

  // A session was wrapped without the method that appends and syncs at once, which then ran on the wrapper, and had no private
  // fields there: over IndexedDB every strict commit of a traced database failed, and the storage with it.
  test("that is strict over a storage which appends and syncs in one call is made, and shows a sync", async () => {
    const storage = new SimulatedDisk().storage({ syncAppend: false, syncFlush: false, durableAppend: true });
    const { db, commits } = await traced({ storage, durability: "buffered" });
    await db.run("r").transactionAsync((tx) => tx.kv.put("a", 1), { durability: "strict" });
    const { fsyncNs, commitTotalNs } = last(commits());
    expect(fsyncNs).toBeGreaterThan(0);
    expect(commitTotalNs).toBeGreaterThanOrEqual(fsyncNs);
    await db.close();
  });

  test("is made, and so are checkpoints, over a storage that has to prepare for a segment", async () => {
    const disk = new SimulatedDisk();
    const storage = disk.storage();
    let isReady = false;
    const open: typeof storage.open = async (options) => {
      const session = await storage.open(options);
      const { createSegmentSync } = session;
      return Object.assign(session, {
        async prepareSegment() {
          await settled();
          isReady = this === session;
        },
        createSegmentSync(number: number, content: Uint8Array) {
          if (number > 1 && !isReady)
            throw new HoldfastError("STORAGE_FULL", "not ready", { details: { appendedBytes: 0 } });
          isReady = false;
          createSegmentSync.call(session, number, content);
        },
      });
    };
    const { db } = await traced({ storage: { ...storage, open }, durability: "strict" });
    for (let i = 0; i < 3; i++) {
      db.run("r").kv.put("a", i);
      await db.checkpoint();
    }
    expect(disk.durableCheckpoints().length).toBe(1);
    await db.close();
  });

  test("that is buffered is finished once it is written; a deferred one at once", async () => {
    const { db, commits } = await traced({ storage: new SimulatedDisk().storage(), durability: "buffered" });
    db.run("r").kv.put("a", 1);
    expect(last(commits())).toMatchObject({ fsyncNs: 0 });
    expect(last(commits()).walAppendNs).toBeGreaterThan(0);
    db.run("r").kv.put("b", 1, { durability: "in-memory" });
    expect(last(commits())).toMatchObject({ walAppendNs: 0, fsyncNs: 0 });
    await db.close();
  });

  test("in flight with others is traced when it is published, each one", async () => {
    const { db, commits } = await traced({ storage: new SimulatedDisk().storage(), durability: "strict" });
    const run = db.run("r");
    const puts = Array.from({ length: 10 }, (_, i) => run.transactionAsync((tx) => tx.kv.put(`k${i}`, i)));
    expect(commits()).toHaveLength(0);
    await Promise.all(puts);
    expect(commits()).toHaveLength(10);
    expect(commits().every(({ fsyncNs, commitTotalNs }) => fsyncNs > 0 && commitTotalNs >= fsyncNs)).toBe(true);
    await db.close();
  });

  test("that changes nothing is none, though other runs have got on since its own did", async () => {
    // It was taken for one of the version that it started at; over a log it waited for ever to be published.
    for (const storage of [undefined, new SimulatedDisk().storage()]) {
      const { db, commits } = await traced(storage === undefined ? { durability: "in-memory" } : { storage });
      const [a, b] = [db.run("a"), db.run("b")];
      a.kv.put("x", 1);
      b.kv.put("x", 1);
      a.transaction((tx) => {
        tx.kv.put("t", 1);
        tx.kv.delete("t");
      });
      expect(commits().map(({ version }) => version)).toEqual([a.version, b.version]);
      const version = a.kv.put("x", 2);
      expect(commits().map((commit) => commit.version)).toEqual([1, 2, version]);
      await db.close();
    }
  });

  test("of a worker that has attached shows its append and its sync", async () => {
    // It was measured as if it were in memory.
    const path = mkdtempSync(join(tmpdir(), "holdfast-trace-"));
    const owner = await Database.open({ path, shared: true, durability: "strict" });
    try {
      const tracer = trace();
      const attached = await Database.attach(owner.share(), { trace: tracer });
      const version = attached.run("r").kv.put("a", 1);
      const { walAppendNs, fsyncNs, commitTotalNs, ...rest } = last(tracer.commits);
      expect(rest).toMatchObject({ version, keysWritten: 1 });
      expect(walAppendNs).toBeGreaterThan(0);
      expect(fsyncNs).toBeGreaterThan(0);
      expect(commitTotalNs).toBeGreaterThanOrEqual(walAppendNs + fsyncNs);
      await attached.run("r").transactionAsync((tx) => tx.kv.put("b", 1));
      expect(tracer.commits).toHaveLength(2);
      expect(last(tracer.commits).fsyncNs).toBeGreaterThan(0);
      await attached.close();
    } finally {
      await owner.close();
      rmSync(path, { recursive: true, force: true });
    }
  });

  test("that was refused, rolled back, or undone is none", async () => {
    const disk = new SimulatedDisk();
    const { db, commits } = await traced({ storage: disk.storage(), durability: "strict" });
    const run = db.run("r");
    run.kv.put("a", 1);
    const tx = run.begin();
    tx.kv.get("a");
    tx.kv.put("b", 1);
    run.kv.put("a", 2);
    expect(() => tx.commit()).toThrow(HoldfastError);
    run.begin().rollback();
    run.transaction((reading) => reading.kv.get("a"));
    disk.room = 0;
    expect(() => run.kv.put("c", 3)).toThrow(HoldfastError);
    disk.room = Number.POSITIVE_INFINITY;
    expect(commits()).toHaveLength(2);
    run.kv.put("d", 4);
    expect(commits()).toHaveLength(3);
    await db.close();
  });
});

test("the newest are kept, a listener is told of all, and a summary is made of what is kept", async () => {
  let told = 0;
  const tracer = trace({ keep: 10, onCommit: () => told++ });
  const db = await Database.open({ wasm, trace: tracer, durability: "in-memory" });
  for (let i = 0; i < 100; i++) db.run("r").kv.put("k", i);
  await settled();
  expect(told).toBe(100);
  expect(tracer.commits.map(({ version }) => version)).toEqual([91, 92, 93, 94, 95, 96, 97, 98, 99, 100]);
  const { commits, keysWritten, commitTotalNs } = tracer.summary();
  expect({ commits, keysWritten }).toEqual({ commits: 10, keysWritten: { mean: 1, p50: 1, p99: 1, max: 1 } });
  expect(commitTotalNs.max).toBeGreaterThanOrEqual(commitTotalNs.p50);
  expect(trace().summary()).toMatchObject({ commits: 0, fsyncNs: { mean: 0, max: 0 } });
  await db.close();
});

test("what is no tracer is refused when the database is opened", async () => {
  const refused = Database.open({ wasm, durability: "in-memory", trace: {} as never });
  await expect(refused).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
});
