/**
 * What each mode promises, on a disk that waits, fails and loses power when the test says so (SPEC 6, COMMIT 1 to 11).
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import type { Storage } from "../../src/adapters/storage.js";
import { HoldfastError } from "../../src/errors.js";
import { Database, type DurabilityName, type OpenOptions, type Run, type Transaction } from "../../src/index.js";
import { wasm } from "../support/damage-logs.js";
import { ManualEnvironment, settled } from "../support/manual-environment.js";
import { type DiskMethod, SimulatedDisk, type SimulatedStorageOptions } from "../support/simulated-storage.js";

const MODES: readonly DurabilityName[] = ["in-memory", "buffered", "strict"];
const ASYNC_ONLY: SimulatedStorageOptions = { syncAppend: false };

const opened: Database[] = [];
const disks = new Set<SimulatedDisk>();
afterEach(async () => {
  // What a failed test has left held would never end.
  for (const disk of disks) disk.crash({ kind: "kill" });
  disks.clear();
  for (const db of opened.splice(0)) await db.close().catch(() => {});
});

async function open(disk: SimulatedDisk, options: OpenOptions = {}, kind?: SimulatedStorageOptions): Promise<Database> {
  const db = await Database.open({ storage: disk.storage(kind), wasm, ...options });
  opened.push(db);
  disks.add(disk);
  return db;
}

function calls(disk: SimulatedDisk, ...methods: DiskMethod[]): number {
  return disk.calls.filter((call) => methods.includes(call.method)).length;
}

const syncsOf = (disk: SimulatedDisk): number => calls(disk, "flush", "flushSync");

/** The code of what `work` throws or rejects with; undefined if it does neither. */
async function codeOf(work: (() => unknown) | Promise<unknown>): Promise<string | undefined> {
  try {
    await (typeof work === "function" ? work() : work);
    return undefined;
  } catch (error) {
    if (!HoldfastError.is(error)) throw error;
    return error.code;
  }
}

function putAsync(run: Run, key: string, value: unknown, durability: DurabilityName = "strict"): Promise<void> {
  const done = run.transactionAsync((tx) => void tx.kv.put(key, value as string), { durability });
  done.catch(() => {});
  return done;
}

async function afterCrash(disk: SimulatedDisk, kind: "kill" | "power"): Promise<Database> {
  disk.crash({ kind });
  return open(disk);
}

describe("strict commits in flight", () => {
  test("nobody sees one before it is synced, and everybody does afterwards", async () => {
    const disk = new SimulatedDisk();
    const db = await open(disk);
    const run = db.run("r");
    const before = run.kv.put("old", 1);
    disk.hold("flush");
    const done = putAsync(run, "new", 2);
    const replaced = putAsync(run, "old", 3);
    await settled();
    expect(disk.waiting("flush")).toBe(1);
    const seen = (): unknown[] => {
      using snapshot = run.snapshot();
      using all = db.snapshot();
      return [
        run.kv.get("new"),
        run.kv.get("old"),
        run.kv.getVersioned("old")?.version,
        run.kv.has("new"),
        run.kv.getMany(["new", "old"]),
        run.kv.list(),
        run.kv.keys({ prefix: "n" }),
        run.kv.count(),
        run.kv.count("n"),
        run.count(),
        db.totalCount(),
        run.version === before,
        db.version === before,
        snapshot.kv.list(),
        snapshot.kv.get("new"),
        all.run("r").kv.list(),
        run.transaction((tx) => [tx.kv.get("new"), tx.kv.list(), tx.kv.count()]),
      ];
    };
    const hidden = [undefined, 1, before, false, [undefined, 1], [["old", 1]], [], 1, 0, 1, 1, true, true];
    const rest = [[["old", 1]], undefined, [["old", 1]], [undefined, [["old", 1]], 1]];
    expect(seen()).toEqual([...hidden, ...rest]);
    await disk.release("flush");
    await Promise.all([done, replaced]);
    expect(run.kv.list()).toEqual([
      ["new", 2],
      ["old", 3],
    ]);
    expect(run.version).toBe(before + 2);
    expect(db.version).toBe(before + 2);
  });

  test("an asynchronous transaction starts from them, and its outcome is withheld until they are durable", async () => {
    const disk = new SimulatedDisk();
    const run = (await open(disk)).run("r");
    run.kv.put("k", 1);
    disk.hold("flush");
    const first = putAsync(run, "k", 2);
    await settled();
    const outcomes: string[] = [];
    const read = run.transactionAsync((tx) => tx.kv.get("k")).then((value) => outcomes.push(`read ${String(value)}`));
    const thrown = run
      .transactionAsync((tx) => {
        throw new Error(`saw ${String(tx.kv.get("k"))}`);
      })
      .catch((error: Error) => outcomes.push(error.message));
    await settled();
    expect(outcomes).toEqual([]);
    await disk.release("flush");
    await Promise.all([first, read, thrown]);
    expect(outcomes.sort()).toEqual(["read 2", "saw 2"]);
  });

  test.each(MODES)("a synchronous %s write behind one of its run makes both durable", async (durability) => {
    const disk = new SimulatedDisk();
    const run = (await open(disk)).run("r");
    run.kv.put("old", 0);
    disk.hold("flush");
    const first = putAsync(run, "a", 1);
    await settled();
    run.kv.put("b", 2, { durability });
    expect(run.kv.get("a")).toBe(1);
    expect(run.kv.get("b")).toBe(2);
    await disk.release("flush");
    await first;
    const again = await afterCrash(disk, "power");
    expect(again.run("r").kv.keys()).toEqual(["a", "b", "old"]);
  });

  test("a buffered write of another run neither waits for it nor syncs it", async () => {
    const disk = new SimulatedDisk();
    const db = await open(disk);
    db.run("r").kv.put("old", 0);
    disk.hold("flush");
    const first = putAsync(db.run("r"), "a", 1);
    await settled();
    const syncs = syncsOf(disk);
    db.run("other").kv.put("b", 2, { durability: "buffered" });
    expect(db.run("other").kv.get("b")).toBe(2);
    expect(db.run("r").kv.get("a")).toBeUndefined();
    expect(syncsOf(disk)).toBe(syncs);
    await disk.release("flush");
    await first;
  });

  test("a transaction that has read what one changes gets CONFLICT, and only once that is durable", async () => {
    const disk = new SimulatedDisk();
    const run = (await open(disk)).run("r");
    run.kv.put("k", 1);
    disk.hold("flush");
    const first = putAsync(run, "k", 2);
    await settled();
    const body = (): unknown => run.transaction((tx) => tx.kv.put("other", tx.kv.get("k") as number));
    expect(await codeOf(body)).toBe("CONFLICT");
    expect(run.kv.get("k")).toBe(2);
    expect(run.kv.get("other")).toBeUndefined();
    await disk.release("flush");
    await first;
  });

  test("a deletion that finds a deletion in flight does not tell of it before it is durable", async () => {
    // delete compared with the installed head, found a tombstone and answered "was not there" without waiting for it.
    // A power cut then brought the key back, although the caller had been told that it was gone.
    const disk = new SimulatedDisk();
    const run = (await open(disk)).run("r");
    run.kv.put("k", 1);
    disk.hold("flush");
    const first = run.transactionAsync((tx) => tx.kv.delete("k"));
    first.catch(() => {});
    await settled();
    expect(run.kv.get("k")).toBe(1);
    const existed = run.kv.delete("k");
    expect({ existed, stillRead: run.kv.has("k") }).toEqual({ existed: false, stillRead: false });
    await disk.release("flush");
    await first;
  });

  test("over storage that cannot sync synchronously: BUSY, and nothing has changed", async () => {
    for (const kind of [ASYNC_ONLY, { syncAppend: true, syncFlush: false }]) {
      const disk = new SimulatedDisk();
      const db = await open(disk, {}, kind);
      const run = db.run("r");
      run.kv.put("k", 1);
      await db.flush();
      disk.hold("flush");
      const first = putAsync(run, "k", 2);
      await settled();
      const version = run.version;
      for (const durability of ["in-memory", "buffered"] as const) {
        expect(await codeOf(() => run.kv.put("k", 3, { durability }))).toBe("BUSY");
        expect(await codeOf(() => run.kv.delete("k", { durability }))).toBe("BUSY");
        expect(await codeOf(() => run.transaction((tx) => tx.kv.put("x", 1), { durability }))).toBe("BUSY");
      }
      expect([run.kv.list(), run.version, run.count()]).toEqual([[["k", 1]], version, 1]);
      expect(db.run("other").kv.put("k", 4, { durability: "buffered" })).toBeGreaterThan(0);
      await disk.release("flush");
      await first;
      expect(run.kv.get("k")).toBe(2);
      expect(run.kv.put("k", 5)).toBeGreaterThan(version);
      expect(db.verify()).toEqual({ valid: true });
    }
  });
});

describe("group commit", () => {
  test.each([
    ["on different keys", (i: number) => `k${i}`],
    ["all on one key that they read", () => "counter"],
  ])("64 transactions in flight share a few syncs: %s", async (_, keyOf) => {
    // A sync takes a while, as on every real disk: those who meet a conflict try again meanwhile.
    const disk = new SimulatedDisk({ schedule: (resume) => setTimeout(resume, 5) });
    const db = await open(disk);
    const run = db.run("r");
    run.kv.put("counter", 0);
    const syncs = syncsOf(disk);
    const retry = { attempts: 100, baseMs: 0, maxMs: 0 };
    const one = (i: number): Promise<void> =>
      run.transactionAsync((tx) => void tx.kv.put(keyOf(i), ((tx.kv.get(keyOf(i)) as number | undefined) ?? 0) + 1), {
        retry,
      });
    await Promise.all(Array.from({ length: 64 }, (_unused, i) => one(i)));
    const total = run.kv.list().reduce((sum, [, value]) => sum + (value as number), 0);
    expect(total).toBe(64);
    expect(syncsOf(disk) - syncs).toBeLessThanOrEqual(keyOf(0) === keyOf(1) ? 64 / 8 : 2);
    const again = await afterCrash(disk, "power");
    expect(again.run("r").kv.list().length).toBe(keyOf(0) === keyOf(1) ? 1 : 65);
  });

  test("those who come while a sync is under way share the next one", async () => {
    const disk = new SimulatedDisk();
    const run = (await open(disk)).run("r");
    run.kv.put("k", 0);
    disk.hold("flush");
    const first = putAsync(run, "first", 1);
    await settled();
    const later = Array.from({ length: 20 }, (_, i) => putAsync(run, `later${i}`, i));
    await settled();
    const before = calls(disk, "flush");
    await disk.release("flush");
    await Promise.all([first, ...later]);
    expect(calls(disk, "flush") - before).toBe(1);
  });
});

describe("for want of room", () => {
  test("what is unpublished behind the failure is undone, what is published stays queued, and the store goes on", async () => {
    const disk = new SimulatedDisk();
    const db = await open(disk);
    const [one, two, three] = ["r1", "r2", "r3"].map((id) => db.run(id)) as [Run, Run, Run];
    const base = one.kv.put("k", 0);
    const record = disk.calls.findLast((call) => call.method === "appendSync")?.bytes as number;
    disk.hold("flush");
    const inFlight = putAsync(one, "k", 1);
    await settled();
    const whole = putAsync(one, "k", 2);
    await Promise.resolve();
    await Promise.resolve();
    const deferred = two.kv.put("d", 3, { durability: "in-memory" });
    const undone = [putAsync(one, "k", 4, "buffered"), putAsync(three, "k", 5), putAsync(one, "k", 6)];
    await settled();
    let leave: () => void = () => {};
    const stillOpen = one.transactionAsync(
      (tx) =>
        new Promise<void>((resolve) => {
          tx.kv.get("k");
          leave = resolve;
        }),
    );
    stillOpen.catch(() => {});
    await settled();
    disk.room = Math.floor(record * 1.5);
    const order: string[] = [];
    for (const rejected of undone) {
      rejected.catch(() => order.push(disk.calls.at(-1)?.method ?? "nothing"));
    }
    await disk.release("flush");
    await Promise.all([inFlight, whole]);
    for (const rejected of undone) expect(await codeOf(rejected)).toBe("STORAGE_FULL");
    expect(new Set(order), "the file is cut before anybody is told").not.toContain("appendSync");
    expect(calls(disk, "truncateSync")).toBeGreaterThan(0);
    leave();
    expect(await codeOf(stillOpen), "it may have read what was undone").toBe("STORAGE_FULL");
    expect([one.kv.get("k"), three.kv.get("k"), two.kv.get("d")]).toEqual([2, undefined, 3]);
    expect([one.kv.count(), three.count(), db.totalCount()]).toEqual([1, 0, 2]);
    expect(db.verify()).toEqual({ valid: true });

    disk.room = 0;
    expect(await codeOf(() => one.kv.put("k", 7))).toBe("STORAGE_FULL");
    expect(one.kv.get("k")).toBe(2);

    disk.room = Number.POSITIVE_INFINITY;
    const next = one.kv.put("k", 8);
    expect(next, "versions of undone commits are not given again").toBeGreaterThan(base + 6);
    expect(deferred).toBeLessThan(next);
    const again = await afterCrash(disk, "power");
    expect([again.run("r1").kv.list(), again.run("r2").kv.list(), again.run("r3").kv.list()]).toEqual([
      [["k", 8]],
      [["d", 3]],
      [],
    ]);
    expect(again.run("r1").kv.getVersioned("k")?.version).toBe(next);
  });

  test("a record that fits in part is cut off and leaves nothing, at every length", async () => {
    const disk = new SimulatedDisk();
    const db = await open(disk);
    const { kv } = db.run("r");
    kv.put("k", "x".repeat(20));
    const record = disk.calls.findLast((call) => call.method === "appendSync")?.bytes as number;
    const length = disk.bytes(1).length;
    for (const durability of ["buffered", "strict"] as const) {
      for (let room = 0; room < record; room++) {
        disk.room = room;
        expect(await codeOf(() => kv.put("k", "y".repeat(20), { durability }))).toBe("STORAGE_FULL");
        expect(disk.bytes(1).length).toBe(length);
        expect(disk.durableBytes(1).length).toBe(length);
      }
    }
    disk.room = record;
    kv.put("k", "z".repeat(20));
    disk.room = Number.POSITIVE_INFINITY;
    expect((await afterCrash(disk, "power")).run("r").kv.get("k")).toBe("z".repeat(20));
  });

  test("no room for a segment refuses the commit and can be tried again", async () => {
    const disk = new SimulatedDisk({ room: 100 });
    const db = await open(disk);
    expect(await codeOf(() => db.run("r").kv.put("k", 1))).toBe("STORAGE_FULL");
    expect(db.run("r").kv.get("k")).toBeUndefined();
    disk.room = Number.POSITIVE_INFINITY;
    db.run("r").kv.put("k", 2);
    expect((await afterCrash(disk, "power")).run("r").kv.get("k")).toBe(2);
  });

  test("a cut that fails ends the store", async () => {
    const disk = new SimulatedDisk();
    const db = await open(disk);
    const { kv } = db.run("r");
    kv.put("k", 1);
    disk.room = 10;
    disk.failNext("truncateSync", "STORE_FAILED");
    expect(await codeOf(() => kv.put("k", 2))).toBe("COMMIT_INDETERMINATE");
    disk.room = Number.POSITIVE_INFINITY;
    expect(await codeOf(() => kv.put("k", 3))).toBe("STORE_FAILED");
    expect(kv.get("k")).toBe(1);
    expect((await afterCrash(disk, "kill")).run("r").kv.get("k")).toBe(1);
  });
});

describe("what a transaction has read is undone", () => {
  /** A strict commit that is installed while its append is held, then a transaction that reads it and waits. */
  async function readBeforeUndo(end: (run: Run, seen: unknown) => (tx: Transaction) => unknown): Promise<unknown[]> {
    const disk = new SimulatedDisk();
    const db = await open(disk, {}, ASYNC_ONLY);
    const run = db.run("r");
    run.kv.put("k", "old");
    await db.flush();
    disk.hold("append");
    const first = codeOf(run.transactionAsync((tx) => tx.kv.put("k", "undone"), { durability: "strict" }));
    await settled();
    let seen: unknown;
    let go = (): void => {};
    const gate = new Promise<void>((resolve) => {
      go = resolve;
    });
    const second = codeOf(
      run.transactionAsync(async (tx) => {
        seen = tx.kv.get("k");
        await gate;
        return end(run, seen)(tx);
      }),
    );
    await settled();
    await disk.release("append", { fail: "STORAGE_FULL" });
    await settled();
    go();
    return [seen, await first, await second, run.kv.get("k"), db.verify().valid];
  }

  const expected = ["undone", "STORAGE_FULL", "STORAGE_FULL", "old", true];

  test.each<[string, () => (tx: Transaction) => unknown]>([
    ["it writes something else", () => (tx) => tx.kv.put("l", 1)],
    ["it reads on", () => (tx) => tx.kv.get("k")],
    ["it lists", () => (tx) => tx.kv.list()],
    ["it ends without having written", () => () => "outcome"],
    ["it rolls back", () => (tx) => tx.rollback()],
    [
      "it throws",
      () => () => {
        throw new TypeError("the callback's own");
      },
    ],
  ])("so that it ends with STORAGE_FULL: %s", async (_, end) => {
    // Whoever begins asynchronously starts from what is installed. When that is undone, going on would read two states.
    expect(await readBeforeUndo(end)).toEqual(expected);
  });
});

describe("asynchronous storage that is full", () => {
  /** A refused write asks the storage once more, so that one soon after is taken: the first of five that is. */
  async function untilTaken(write: () => number): Promise<string | undefined> {
    let code: string | undefined;
    for (let i = 0; i < 5; i++) {
      code = await codeOf(write);
      if (code === undefined) break;
      await settled();
    }
    return code;
  }

  test("keeps its queue, emits the error, refuses writes, and drains once there is room", async () => {
    const disk = new SimulatedDisk();
    const db = await open(disk, {}, ASYNC_ONLY);
    const errors: string[] = [];
    db.on("error", (error) => errors.push(error.code));
    const { kv } = db.run("r");
    kv.put("k", 0);
    await db.flush();
    disk.room = 10;
    kv.put("k", 1);
    kv.put("l", 2);
    await settled();
    expect(errors).toContain("STORAGE_FULL");
    expect([kv.get("k"), kv.get("l")], "what was acknowledged is not undone").toEqual([1, 2]);
    expect(await codeOf(() => kv.put("k", 3))).toBe("STORAGE_FULL");
    expect(await codeOf(() => kv.delete("k"))).toBe("STORAGE_FULL");
    expect(kv.get("k")).toBe(1);
    disk.room = Number.POSITIVE_INFINITY;
    expect(await untilTaken(() => kv.put("k", 5))).toBeUndefined();
    await db.flush();
    const again = await afterCrash(disk, "power");
    expect(again.run("r").kv.list()).toEqual([
      ["k", 5],
      ["l", 2],
    ]);
  });

  test("takes writes again although nothing was left in its queue", async () => {
    // All that was queued was a strict commit, which was undone. Only a pump that had written something cleared the
    // state of being full, and with nothing to write every later write was refused for ever.
    const disk = new SimulatedDisk();
    const db = await open(disk, {}, ASYNC_ONLY);
    const run = db.run("r");
    run.kv.put("k", 0);
    await db.flush();
    await settled();
    await db.flush();
    disk.room = 10;
    expect(await codeOf(putAsync(run, "k", 1))).toBe("STORAGE_FULL");
    disk.room = Number.POSITIVE_INFINITY;
    expect(await untilTaken(() => run.kv.put("k", 2))).toBeUndefined();
  });

  test("refuses writes too where the room was missing for a new segment", async () => {
    // The lack of room was only noted where an append failed. Where the segment could not be made writes were taken on
    // and on, although nothing of them reached the storage.
    const disk = new SimulatedDisk({ room: 100 });
    const db = await open(disk, {}, ASYNC_ONLY);
    const errors: string[] = [];
    db.on("error", (error) => errors.push(error.code));
    const { kv } = db.run("r");
    kv.put("k", 1);
    await settled();
    expect(errors).toContain("STORAGE_FULL");
    expect(await codeOf(() => kv.put("k", 2))).toBe("STORAGE_FULL");
    disk.room = Number.POSITIVE_INFINITY;
    expect(await untilTaken(() => kv.put("k", 4))).toBeUndefined();
    await db.flush();
    expect((await afterCrash(disk, "power")).run("r").kv.get("k")).toBe(4);
  });
});

describe("a storage that fails", () => {
  test("a failed sync is final: in flight COMMIT_INDETERMINATE, later STORE_FAILED, no second sync, reads go on", async () => {
    const disk = new SimulatedDisk();
    const db = await open(disk);
    const errors: string[] = [];
    db.on("error", (error) => errors.push(error.code));
    const run = db.run("r");
    run.kv.put("k", 1);
    disk.hold("flush");
    const written = putAsync(run, "k", 2);
    await settled();
    const queued = putAsync(run, "k", 3);
    await settled();
    await disk.release("flush", { fail: "STORE_FAILED" });
    expect(await codeOf(written)).toBe("COMMIT_INDETERMINATE");
    expect(await codeOf(queued)).toBe("COMMIT_INDETERMINATE");
    const syncs = syncsOf(disk);
    const writes = calls(disk, "appendSync");
    for (const durability of MODES) {
      expect(await codeOf(() => run.kv.put("k", 4, { durability })), durability).toBe("STORE_FAILED");
      expect(await codeOf(() => run.kv.delete("k", { durability })), durability).toBe("STORE_FAILED");
      expect(await codeOf(putAsync(run, "k", 4, durability)), durability).toBe("STORE_FAILED");
    }
    expect(await codeOf(() => db.flushSync())).toMatch(/STORE_FAILED|COMMIT_INDETERMINATE/);
    expect(await codeOf(db.flush())).toMatch(/STORE_FAILED|COMMIT_INDETERMINATE/);
    expect([run.kv.get("k"), run.kv.list(), run.transaction((tx) => tx.kv.get("k"))]).toEqual([1, [["k", 1]], 1]);
    expect(await run.transactionAsync((tx) => tx.kv.get("k")), "nothing is withheld any more").toBe(1);
    await db.close().catch(() => {});
    expect(syncsOf(disk)).toBe(syncs);
    expect(calls(disk, "appendSync")).toBe(writes);
    expect(errors).toEqual(["STORE_FAILED"]);
    expect([1, 2]).toContain((await open(disk)).run("r").kv.get("k"));
  });

  test("a synchronous sync that fails", async () => {
    const disk = new SimulatedDisk();
    const { kv } = (await open(disk)).run("r");
    kv.put("k", 1);
    disk.failNext("flushSync", "STORE_FAILED");
    expect(await codeOf(() => kv.put("k", 2))).toBe("COMMIT_INDETERMINATE");
    expect(kv.get("k")).toBe(1);
    const syncs = syncsOf(disk);
    expect(await codeOf(() => kv.put("k", 3))).toBe("STORE_FAILED");
    expect(syncsOf(disk)).toBe(syncs);
  });

  test("a sync that overlaps a failed one does not count", async () => {
    const disk = new SimulatedDisk();
    const run = (await open(disk)).run("r");
    run.kv.put("k", 1);
    disk.hold("flush");
    const inFlight = putAsync(run, "k", 2);
    await settled();
    disk.failNext("flushSync", "STORE_FAILED");
    expect(await codeOf(() => run.kv.put("l", 3))).toBe("COMMIT_INDETERMINATE");
    await disk.release("flush");
    expect(await codeOf(inFlight)).toBe("COMMIT_INDETERMINATE");
    expect(run.kv.get("k")).toBe(1);
  });

  test.each(["buffered", "strict"] as const)("an error of a %s write that is not want of room", async (durability) => {
    const disk = new SimulatedDisk();
    const db = await open(disk);
    const { kv } = db.run("r");
    kv.put("k", 1);
    disk.failNext("appendSync", "STORE_FAILED", { afterBytes: 7 });
    expect(await codeOf(() => kv.put("k", 2, { durability }))).toBe("COMMIT_INDETERMINATE");
    expect(await codeOf(() => kv.put("k", 3, { durability }))).toBe("STORE_FAILED");
    expect(kv.get("k")).toBe(1);
    expect(calls(disk, "truncateSync")).toBe(0);
    const again = await afterCrash(disk, "kill");
    expect([again.run("r").kv.get("k"), again.storageInfo.recovered?.droppedBytes]).toEqual([1, 7]);
  });

  test("close says so if what was written never became durable", async () => {
    // The background sync had failed, so shutdown skipped everything and resolved. A caller without an error listener,
    // who wrote nothing more, was never told that acknowledged writes may be gone.
    const disk = new SimulatedDisk();
    const environment = new ManualEnvironment();
    const db = await open(disk, { durability: "buffered", environment });
    db.run("r").kv.put("k", 1);
    disk.failNext("flush", "STORE_FAILED");
    await environment.advance(200);
    expect(await codeOf(db.close())).toMatch(/STORE_FAILED|COMMIT_INDETERMINATE/);
  });

  test("an error listener that throws does not change what the writer is told", async () => {
    // emit ran the listeners inside the failing call. One that threw put its own error in the place of the typed one.
    const disk = new SimulatedDisk();
    const db = await open(disk);
    db.run("r").kv.put("k", 1);
    db.on("error", () => {
      throw new Error("the listener's own");
    });
    disk.failNext("flushSync", "STORE_FAILED");
    let caught: unknown;
    try {
      db.run("r").kv.put("k", 2);
    } catch (error) {
      caught = error;
    }
    expect(HoldfastError.is(caught, "COMMIT_INDETERMINATE"), String(caught)).toBe(true);
  });
});

describe("modes over modes", () => {
  const cases = MODES.flatMap((database) => MODES.map((write) => ({ database, write })));

  test.each(cases)(
    "a $write write over a $database database keeps what SPEC 6 promises",
    async ({ database, write }) => {
      for (const kind of ["kill", "power"] as const) {
        for (let seed = 1; seed <= 8; seed++) {
          const disk = new SimulatedDisk({ seed });
          const db = await open(disk, { durability: database });
          const { kv } = db.run("r");
          kv.put("before", 1, { durability: "strict" });
          const version = kv.put("k", 2, { durability: write });
          expect(kv.getVersioned("k")).toEqual({ value: 2, version });
          const again = await afterCrash(disk, kind);
          const survived = again.run("r").kv.has("k");
          expect(again.run("r").kv.get("before")).toBe(1);
          if (write === "strict" || (write === "buffered" && kind === "kill")) expect(survived).toBe(true);
          if (write === "in-memory") expect(survived).toBe(false);
          await again.close();
        }
      }
    },
  );

  test.each(cases)("a strict write brings a $write one before it along, in a $database database", async (modes) => {
    const disk = new SimulatedDisk();
    const db = await open(disk, { durability: modes.database });
    db.run("a").kv.put("k", 1, { durability: modes.write });
    db.run("b").kv.put("k", 2, { durability: "strict" });
    const again = await afterCrash(disk, "power");
    expect([again.run("a").kv.get("k"), again.run("b").kv.get("k")]).toEqual([1, 2]);
  });

  test("after any crash the state is a prefix of the commit order, whatever the modes were", async () => {
    for (let seed = 1; seed <= 60; seed++) {
      const disk = new SimulatedDisk({ seed, blockBytes: 64 });
      const db = await open(disk, { durability: "buffered" }, { segmentBytesTarget: 700 });
      let strict = 0;
      for (let i = 1; i <= 40; i++) {
        const durability = MODES[(seed * 7 + i * i) % 5 === 0 ? 2 : (seed + i) % 2] as DurabilityName;
        if (durability === "strict") strict = i;
        db.run(`r${i % 3}`).transaction(
          (tx) => {
            tx.kv.put(`a${i}`, i);
            tx.kv.put(`b${i}`, i);
          },
          { durability },
        );
      }
      const again = await afterCrash(disk, seed % 2 === 0 ? "power" : "kill");
      const found = [0, 1, 2].flatMap((r) =>
        again
          .run(`r${r}`)
          .kv.list()
          .map(([, value]) => value as number),
      );
      const last = Math.max(0, ...found);
      const expected = Array.from({ length: last * 2 }, (_, i) => Math.floor(i / 2) + 1);
      expect(
        found.sort((a, b) => a - b),
        `seed ${seed}`,
      ).toEqual(expected);
      expect(last, `seed ${seed}`).toBeGreaterThanOrEqual(strict);
      await again.close();
    }
  });

  test("strict over storage that only works asynchronously: SYNC_COMMIT_UNSUPPORTED, and nothing has changed", async () => {
    const disk = new SimulatedDisk();
    const db = await open(disk, {}, ASYNC_ONLY);
    expect(db.durability.mode).toBe("buffered");
    const run = db.run("r");
    const durability = "strict";
    expect(await codeOf(() => run.kv.put("k", 1, { durability }))).toBe("SYNC_COMMIT_UNSUPPORTED");
    expect(await codeOf(() => run.kv.delete("k", { durability }))).toBe("SYNC_COMMIT_UNSUPPORTED");
    expect(await codeOf(() => run.begin({ durability }))).toBe("SYNC_COMMIT_UNSUPPORTED");
    expect(await codeOf(() => run.transaction((tx) => tx.kv.put("k", 1), { durability }))).toBe(
      "SYNC_COMMIT_UNSUPPORTED",
    );
    expect(await codeOf(() => db.flushSync())).toBe("SYNC_COMMIT_UNSUPPORTED");
    expect([run.kv.list(), run.version]).toEqual([[], 0]);
    await putAsync(run, "k", 1);
    expect((await afterCrash(disk, "power")).run("r").kv.get("k")).toBe(1);
  });

  test("buffered over asynchronous storage is submitted at once and in order", async () => {
    const disk = new SimulatedDisk();
    const db = await open(disk, {}, ASYNC_ONLY);
    for (let i = 0; i < 50; i++) db.run(`r${i % 3}`).kv.put(`k${i}`, i);
    expect(db.totalCount()).toBe(50);
    await settled();
    expect((await afterCrash(disk, "kill")).totalCount()).toBe(50);
  });

  test("segments change also where appends are synchronous and syncs are not", async () => {
    // A new segment synced the old one through flushSync, whatever the storage could do. Where it could not, the first
    // full segment ended the store.
    const disk = new SimulatedDisk();
    const db = await open(disk, {}, { syncAppend: true, syncFlush: false, segmentBytesTarget: 300 });
    for (let i = 0; i < 20; i++) {
      expect(await codeOf(() => db.run("r").kv.put(`k${i}`, i, { durability: "buffered" }))).toBeUndefined();
      await settled();
    }
    await db.flush();
    expect((await afterCrash(disk, "power")).totalCount()).toBe(20);
  });
});

describe("deferred commits", () => {
  test("make no system call until they would pass 1 MiB, and are then written first", async () => {
    const disk = new SimulatedDisk();
    const db = await open(disk);
    const { kv } = db.run("r");
    const value = "x".repeat(100_000);
    for (let i = 0; i < 10; i++) kv.put(`k${i}`, value, { durability: "in-memory" });
    expect(calls(disk, "appendSync", "createSegmentSync", "flushSync")).toBe(0);
    kv.put("k10", value, { durability: "in-memory" });
    expect(calls(disk, "appendSync")).toBeGreaterThan(0);
    const written = (await afterCrash(disk, "kill")).run("r").kv.keys().length;
    expect(written).toBe(10);
  });

  test("are refused, and nothing has changed, where those before them cannot be written", async () => {
    const disk = new SimulatedDisk({ room: 200_000 });
    const db = await open(disk);
    const { kv } = db.run("r");
    const value = "x".repeat(300_000);
    for (let i = 0; i < 3; i++) kv.put(`k${i}`, value, { durability: "in-memory" });
    expect(await codeOf(() => kv.put("k3", value, { durability: "in-memory" }))).toBe("STORAGE_FULL");
    expect(kv.keys()).toEqual(["k0", "k1", "k2"]);
    disk.room = Number.POSITIVE_INFINITY;
    kv.put("k3", value, { durability: "in-memory" });
    await db.close();
    expect((await open(disk)).run("r").kv.keys()).toEqual(["k0", "k1", "k2", "k3"]);
  });

  test("one that is larger than the limit by itself is written too", () => {
    // The core asked to drain first for as long as the record did not fit below 1 MiB, which one larger than that never
    // does. The writing call went round for ever; here a child does, so that this test can end.
    const script = `
      import { Database } from "./dist/index.js";
      const db = await Database.open({ path: process.argv[1] });
      const kv = db.run("r").kv;
      kv.put("k", "x".repeat(2000000), { durability: "in-memory" });
      db.run("r").transaction((tx) => tx.kv.put("l", "y".repeat(2000000)), { durability: "in-memory" });
      process.stdout.write(String(kv.count()));
      await db.close();`;
    const child = inChild(script, 10_000);
    expect([child.signal, child.stdout]).toEqual([null, "2"]);
  });

  test("go out at close", async () => {
    const disk = new SimulatedDisk();
    const db = await open(disk);
    db.run("r").kv.put("k", 1, { durability: "in-memory" });
    await db.close();
    disk.crash({ kind: "power" });
    expect((await open(disk)).run("r").kv.get("k")).toBe(1);
  });
});

describe("the flusher", () => {
  const buffered = { mode: "buffered", flushIntervalMs: 100, maxPendingWrites: 10 } as const;

  async function openTimed(kind?: SimulatedStorageOptions): Promise<{
    disk: SimulatedDisk;
    environment: ManualEnvironment;
    db: Database;
  }> {
    const disk = new SimulatedDisk();
    const environment = new ManualEnvironment();
    const db = await open(disk, { durability: buffered, environment }, kind);
    return { disk, environment, db };
  }

  /** Whether everything that was appended is durable. */
  const isSynced = (disk: SimulatedDisk): boolean => disk.bytes(1).length === disk.durableBytes(1).length;

  test("syncs at the interval, once for all that came, and rests when there is nothing to sync", async () => {
    const { disk, environment, db } = await openTimed();
    for (let i = 0; i < 5; i++) db.run("r").kv.put(`k${i}`, i);
    await environment.advance(99);
    expect([syncsOf(disk), isSynced(disk)]).toEqual([0, false]);
    await environment.advance(2);
    expect([syncsOf(disk), isSynced(disk)]).toEqual([1, true]);
    await environment.advance(10_000);
    expect([syncsOf(disk), environment.timers]).toEqual([1, 0]);
  });

  test("syncs at the number of writes", async () => {
    const { disk, db } = await openTimed();
    for (let i = 0; i < 9; i++) db.run("r").kv.put(`k${i}`, i);
    await settled();
    expect(syncsOf(disk)).toBe(0);
    db.run("r").kv.put("k9", 9);
    await settled();
    expect([syncsOf(disk), isSynced(disk)]).toEqual([1, true]);
  });

  test("in a loop that never yields the writing call syncs once the last sync is overdue", async () => {
    const disk = new SimulatedDisk();
    const environment = new ManualEnvironment();
    const db = await open(disk, { durability: { ...buffered, maxPendingWrites: 1e9 }, environment });
    for (let i = 0; i < 1000; i++) {
      environment.block(1);
      db.run("r").kv.put("k", i);
    }
    expect(calls(disk, "flushSync")).toBeGreaterThanOrEqual(9);
    expect(calls(disk, "flushSync")).toBeLessThanOrEqual(10);
  });

  describe("and what a commit says of when it is synced", () => {
    // Both bounds were read and checked, and then the database's own were kept.
    type Durability = NonNullable<OpenOptions["durability"]>;
    const ways: readonly (readonly [string, (run: Run, durability: Durability) => unknown])[] = [
      ["put", (run, durability) => run.kv.put("k", 1, { durability })],
      ["delete", (run, durability) => run.kv.delete("there", { durability })],
      ["a step", (run, durability) => run.events.append("step", 1, { durability })],
      ["transaction", (run, durability) => run.transaction((tx) => tx.kv.put("k", 1), { durability })],
      [
        "begin",
        (run, durability) => {
          const tx = run.begin({ durability });
          tx.kv.put("k", 1);
          tx.commit();
        },
      ],
      ["transactionAsync", (run, durability) => run.transactionAsync((tx) => tx.kv.put("k", 1), { durability })],
    ];
    const everyWay = ways.flatMap(([name, commit]) => [
      { name, kind: {}, commit },
      { name: `${name}, on asynchronous storage`, kind: ASYNC_ONLY, commit },
    ]);

    async function openSlow(kind: SimulatedStorageOptions) {
      const disk = new SimulatedDisk();
      const environment = new ManualEnvironment();
      const durability = { mode: "buffered", flushIntervalMs: 60_000 } as const;
      const db = await open(disk, { durability, environment }, kind);
      db.run("r").kv.put("there", 1);
      await db.flush();
      const before = syncsOf(disk);
      return { disk, environment, run: db.run("r"), syncs: () => syncsOf(disk) - before };
    }

    test.each(everyWay)("its interval: $name", async ({ kind, commit }) => {
      const { environment, run, syncs } = await openSlow(kind);
      run.kv.put("before", 1);
      await commit(run, { mode: "buffered", flushIntervalMs: 5 });
      await environment.advance(4);
      expect(syncs()).toBe(0);
      await environment.advance(2);
      expect(syncs()).toBe(1);
      await environment.advance(120_000);
      expect([syncs(), environment.timers]).toEqual([1, 0]);
    });

    test.each(everyWay)("its number of writes: $name", async ({ kind, commit }) => {
      const { run, syncs } = await openSlow(kind);
      run.kv.put("before", 1);
      await settled();
      expect(syncs()).toBe(0);
      await commit(run, { mode: "buffered", maxPendingWrites: 2 });
      await settled();
      expect(syncs()).toBe(1);
    });

    test.each([[{}], [ASYNC_ONLY]])("both hold while a sync is under way: %o", async (kind) => {
      for (const bound of [{ flushIntervalMs: 5 }, { maxPendingWrites: 1 }]) {
        const { disk, environment, run, syncs } = await openSlow(kind);
        disk.hold("flush");
        run.kv.put("k", 1, { durability: { mode: "buffered", maxPendingWrites: 1 } });
        await settled();
        expect(disk.waiting("flush")).toBe(1);
        run.kv.put("k", 2, { durability: { mode: "buffered", ...bound } });
        await environment.advance(100);
        await disk.release("flush");
        await environment.advance(6);
        expect(syncs()).toBe(2);
      }
    });

    test.each<[Durability]>([["buffered"], [{ mode: "buffered" }], [{ mode: "buffered", maxPendingWrites: 500 }]])(
      "what it leaves out is the database's: %o",
      async (durability) => {
        const { environment, run, syncs } = await openSlow({});
        run.kv.put("k", 1, { durability });
        await environment.advance(59_999);
        expect(syncs()).toBe(0);
        await environment.advance(2);
        expect(syncs()).toBe(1);
      },
    );

    test("it may wait for longer than the database's, until one comes that may not", async () => {
      const { disk, environment, db } = await openTimed();
      db.run("r").kv.put("k", 1, { durability: { mode: "buffered", flushIntervalMs: 60_000 } });
      await environment.advance(10_000);
      expect(syncsOf(disk)).toBe(0);
      db.run("r").kv.put("k", 2);
      await environment.advance(101);
      expect(syncsOf(disk)).toBe(1);
    });
  });

  test.each([[{}], [ASYNC_ONLY]])("syncs what came while a slow sync was under way: %o", async (kind) => {
    // The timer of a write that came during a sync fired before that sync was over, found it under way and did nothing.
    // Nobody set it again, so the write stayed unsynced until somebody happened to write.
    const { disk, environment, db } = await openTimed(kind);
    db.run("r").kv.put("k", 1);
    disk.hold("flush");
    await environment.advance(101);
    expect(disk.waiting("flush")).toBe(1);
    db.run("r").kv.put("k", 2);
    await environment.advance(150);
    await disk.release("flush");
    await environment.advance(1000);
    expect(isSynced(disk)).toBe(true);
  });

  test.each([[{}], [ASYNC_ONLY]])("syncs what came while a flush() was under way: %o", async (kind) => {
    // flush() ended by telling the flusher that everything was synced, and so took away the timer of a write that had
    // come after its sync began. That write stayed unsynced until somebody happened to write.
    const { disk, environment, db } = await openTimed(kind);
    db.run("r").kv.put("k", 1);
    await settled();
    disk.hold("flush");
    const flushed = db.flush();
    await settled();
    db.run("r").kv.put("k", 2);
    await disk.release("flush");
    await flushed;
    await environment.advance(1000);
    expect((await afterCrash(disk, "power")).run("r").kv.get("k")).toBe(2);
  });

  test("syncs buffered transactions that were made asynchronously", async () => {
    // Only synchronous commits were noted. A buffered transactionAsync was written and then synced by nobody.
    const { disk, environment, db } = await openTimed();
    await putAsync(db.run("r"), "k", 1, "buffered");
    await environment.advance(1000);
    expect([syncsOf(disk), isSynced(disk)]).toEqual([1, true]);
  });

  test("tells of its errors on the next write and to listeners", async () => {
    const { disk, environment, db } = await openTimed();
    const errors: string[] = [];
    const off = db.on("error", (error) => errors.push(error.code));
    db.run("r").kv.put("k", 1);
    disk.failNext("flush", "STORE_FAILED");
    await environment.advance(200);
    expect(errors).toEqual(["STORE_FAILED"]);
    expect(await codeOf(() => db.run("r").kv.put("k", 2))).toBe("STORE_FAILED");
    expect(db.run("r").kv.get("k")).toBe(1);
    off();
  });

  test("is over when close has resolved", async () => {
    const { disk, environment, db } = await openTimed();
    db.run("r").kv.put("k", 1);
    disk.hold("flush");
    await environment.advance(101);
    const closed = db.close();
    let isClosed = false;
    void closed.then(() => {
      isClosed = true;
    });
    await settled();
    expect(isClosed).toBe(false);
    await disk.release("flush");
    await closed;
    expect([environment.timers, isSynced(disk)]).toEqual([0, true]);
  });
});

describe("flush and close", () => {
  test.each(["flush", "flushSync"] as const)("%s makes everything durable, deferred commits too", async (how) => {
    const disk = new SimulatedDisk();
    const db = await open(disk, { durability: "buffered" });
    db.run("r").kv.put("b", 1);
    db.run("r").kv.put("d", 2, { durability: "in-memory" });
    await db[how]();
    expect((await afterCrash(disk, "power")).run("r").kv.keys()).toEqual(["b", "d"]);
  });

  test("flush says that it succeeded although there is no room for its note of that", async () => {
    // After the sync flush writes a watermark. When only that found no room, flush reported STORAGE_FULL although
    // everything committed was durable.
    const disk = new SimulatedDisk();
    const db = await open(disk, { durability: "buffered" });
    db.run("r").kv.put("k", 1);
    disk.room = 10;
    expect(await codeOf(db.flush())).toBeUndefined();
    disk.room = Number.POSITIVE_INFINITY;
    expect((await afterCrash(disk, "power")).run("r").kv.get("k")).toBe(1);
  });

  test.each([
    ["what appends synchronously", {}],
    ["what appends asynchronously", ASYNC_ONLY],
  ])("nor do more of them, nor close, fail for want of room for a note, on %s", async (_, kind) => {
    // The note stayed queued. The next flush and close met the want of room with it, and told it as if something were not
    // durable; what was open meanwhile, even if it only read, was told that what it had read was undone.
    const disk = new SimulatedDisk();
    const db = await open(disk, { durability: "buffered" }, kind);
    const told: string[] = [];
    db.on("error", ({ code }) => told.push(code));
    const run = db.run("r");
    run.kv.put("k", 1);
    await settled();
    let leave: () => void = () => {};
    const reading = run.transactionAsync(async (tx) => {
      await new Promise<void>((resolve) => {
        leave = resolve;
      });
      return tx.kv.get("k");
    });
    await settled();
    disk.room = 10;
    for (let i = 0; i < 3; i++) expect(await codeOf(db.flush())).toBeUndefined();
    await settled();
    expect(await codeOf(db.flush())).toBeUndefined();
    if (kind !== ASYNC_ONLY) expect(await codeOf(() => db.flushSync())).toBeUndefined();
    leave();
    expect(await reading).toBe(1);
    expect(told).toEqual([]);
    // A commit that does not fit is refused, and takes nothing along.
    expect(await codeOf(putAsync(run, "large", "x".repeat(100)))).toBe("STORAGE_FULL");
    expect(await codeOf(db.close())).toBeUndefined();
    disk.crash({ kind: "power" });
    disk.room = Number.POSITIVE_INFINITY;
    const again = await open(disk);
    expect(again.run("r").kv.list()).toEqual([["k", 1]]);
    expect(again.storageInfo.recovered).toMatchObject({ droppedBytes: 0, reason: "the database was not closed" });
  });

  test.each([[{}], [ASYNC_ONLY]])("a buffered transactionAsync is with the storage at once: %o", async (kind) => {
    // On asynchronous storage it stayed in memory until the next sync in the background: an acknowledged commit went with its tab.
    const disk = new SimulatedDisk();
    const minute = { mode: "buffered", flushIntervalMs: 60_000 } as const;
    const db = await open(disk, { durability: minute }, kind);
    await db.run("r").transactionAsync((tx) => tx.kv.put("k", 1));
    await settled();
    expect((await afterCrash(disk, "kill")).run("r").kv.get("k")).toBe(1);
  });

  test("a large commit in memory stands although there is no room for it on the disk", async () => {
    // It had happened, and was told as if nothing had.
    const disk = new SimulatedDisk();
    const db = await open(disk);
    const large = "x".repeat(2_000_000);
    disk.room = 200_000;
    db.run("r").kv.put("k", large, { durability: "in-memory" });
    expect(db.run("r").kv.get("k")).toBe(large);
    expect(await codeOf(db.flush())).toBe("STORAGE_FULL");
    disk.room = Number.POSITIVE_INFINITY;
    await db.flush();
    expect((await afterCrash(disk, "power")).run("r").kv.get("k")).toBe(large);
  });

  test.each([
    [
      "one by one",
      async (db: Database) => {
        for (const bytes of [100, 30_000, 300_000]) {
          const value = "x".repeat(bytes);
          expect(await codeOf(() => db.run("r").kv.put("large", value))).toBe("STORAGE_FULL");
          expect(await codeOf(putAsync(db.run("r"), "larger", value))).toBe("STORAGE_FULL");
        }
      },
    ],
    [
      "many at once",
      async (db: Database) => {
        const puts = Array.from({ length: 8 }, (_, i) => putAsync(db.run(`r${i}`), "k", "x".repeat(30_000)));
        expect(new Set(await Promise.all(puts.map(codeOf)))).toEqual(new Set(["STORAGE_FULL"]));
      },
    ],
  ])("what is refused again and again takes no memory behind what waits for room: %s", async (_how, refuse) => {
    // Each record stayed in the queue until the deferred commit before it was written; or all but those that stood last in it.
    const disk = new SimulatedDisk();
    const db = await open(disk, { durability: "buffered" });
    const run = db.run("r");
    run.kv.put("k", 1);
    await db.flush();
    disk.room = 10;
    run.kv.put("deferred", 1, { durability: "in-memory" });
    for (let i = 0; i < 5; i++) await refuse(db);
    const { memoryBytes } = db.stats();
    for (let i = 0; i < 50; i++) await refuse(db);
    expect(db.stats().memoryBytes).toBe(memoryBytes);
    expect(db.verify()).toEqual({ valid: true });
    disk.room = Number.POSITIVE_INFINITY;
    run.kv.put("last", 2);
    await db.flush();
    const found = (await afterCrash(disk, "power")).run("r").kv.list();
    expect(found).toEqual([
      ["deferred", 1],
      ["k", 1],
      ["last", 2],
    ]);
  });

  test.each([[{}], [ASYNC_ONLY]])(
    "a run that was made for a commit without room is not there afterwards: %o",
    async (kind) => {
      // It stayed for good: counted, in no list, and not to be deleted.
      const disk = new SimulatedDisk();
      const db = await open(disk, { durability: "buffered" }, kind);
      db.run("r").kv.put("k", 1);
      await db.flush();
      await settled();
      disk.room = 10;
      const { memoryBytes } = db.stats();
      for (let i = 0; i < 200; i++) {
        const run = (what: string): Run => db.run(`${what} ${i}`);
        expect(await codeOf(putAsync(run("asynchronous"), "k", "x".repeat(1_000)))).toBe("STORAGE_FULL");
        if (kind === ASYNC_ONLY) continue;
        expect(await codeOf(() => run("put").kv.put("k", "x".repeat(1_000)))).toBe("STORAGE_FULL");
        expect(await codeOf(() => run("step").events.append("type", "x".repeat(1_000)))).toBe("STORAGE_FULL");
        expect(await codeOf(() => run("transaction").transaction((tx) => tx.kv.put("k", 1)))).toBe("STORAGE_FULL");
      }
      expect(db.stats()).toMatchObject({ runs: 1, entries: 1 });
      expect(db.stats().memoryBytes - memoryBytes).toBeLessThan(500_000);
      expect(db.verify()).toEqual({ valid: true });
    },
  );

  test("one put that no record of the storage has room for is refused before anything is changed", async () => {
    // Only transactions were: the storage met the record, and ended the store.
    const db = await open(new SimulatedDisk(), { durability: "buffered" }, { recordBytesMax: 100_000 });
    const { kv } = db.run("r");
    expect(await codeOf(() => kv.put("k", "x".repeat(200_000)))).toBe("TRANSACTION_TOO_LARGE");
    expect(await codeOf(() => kv.put("k", "x".repeat(200_000), { durability: "in-memory" }))).toBe(
      "TRANSACTION_TOO_LARGE",
    );
    kv.put("k", "x".repeat(90_000));
    expect(kv.keys()).toEqual(["k"]);
    expect(db.stats().runs).toBe(1);
  });

  test.each([[{}], [ASYNC_ONLY]])("what finds no room is still told beside a note: %o", async (kind) => {
    const disk = new SimulatedDisk();
    const db = await open(disk, { durability: "buffered" }, kind);
    db.run("r").kv.put("k", 1);
    await db.flush();
    await settled();
    disk.room = 10;
    db.run("r").kv.put("d", "x".repeat(100), { durability: "in-memory" });
    expect(await codeOf(db.flush())).toBe("STORAGE_FULL");
    expect(await codeOf(db.flush())).toBe("STORAGE_FULL");
    expect(await codeOf(db.close())).toBe("STORAGE_FULL");
  });

  test.each([[{}], [ASYNC_ONLY]])(
    "flushing again what is durable costs neither a sync nor a byte: %o",
    async (kind) => {
      // The note that a flush leaves behind was taken for something new by the next flush, which synced it, and on
      // asynchronous storage left another one.
      const disk = new SimulatedDisk();
      const db = await open(disk, { durability: "buffered" }, kind);
      db.run("r").kv.put("k", 1);
      await db.flush();
      await settled();
      const before = [syncsOf(disk), disk.bytes(1).length];
      for (let i = 0; i < 5; i++) {
        await db.flush();
        await settled();
      }
      expect([syncsOf(disk), disk.bytes(1).length]).toEqual(before);
    },
  );

  test("close waits for what is in flight, refuses new work, and does so once", async () => {
    const disk = new SimulatedDisk();
    const db = await open(disk);
    const run = db.run("r");
    run.kv.put("k", 1);
    disk.hold("flush");
    const inFlight = putAsync(run, "a", 2);
    let leave: () => void = () => {};
    const open_ = run.transactionAsync(async (tx) => {
      await new Promise<void>((resolve) => {
        leave = resolve;
      });
      tx.kv.put("b", 3);
    });
    await settled();
    let isClosed = false;
    const closed = db.close().then(() => {
      isClosed = true;
    });
    expect(db.isOpen).toBe(false);
    for (const work of [() => run.kv.put("k", 9), () => run.kv.get("k"), () => db.run("x"), () => db.snapshot()]) {
      expect(await codeOf(work)).toBe("CLOSED");
    }
    for (const work of [putAsync(run, "k", 9), db.flush()]) expect(await codeOf(work)).toBe("CLOSED");
    await settled();
    expect(isClosed).toBe(false);
    await disk.release("flush");
    leave();
    await Promise.all([inFlight, open_, closed, db.close()]);
    await db.close();
    expect(calls(disk, "close")).toBe(1);
    disk.crash({ kind: "power" });
    const again = await open(disk);
    expect(again.run("r").kv.keys()).toEqual(["a", "b", "k"]);
    expect(again.storageInfo.recovered).toBeUndefined();
  });

  test("disposing closes", async () => {
    const disk = new SimulatedDisk();
    const db = await open(disk, { durability: "buffered" });
    db.run("r").kv.put("k", 1);
    await db[Symbol.asyncDispose]();
    expect(db.isOpen).toBe(false);
    disk.crash({ kind: "power" });
    expect((await open(disk)).run("r").kv.get("k")).toBe(1);
  });

  test("close reports that what is deferred found no room, and lets go all the same", async () => {
    const disk = new SimulatedDisk({ room: 10 });
    const db = await open(disk);
    db.run("r").kv.put("k", 1, { durability: "in-memory" });
    expect(await codeOf(db.close())).toBe("STORAGE_FULL");
    expect(await codeOf(open(disk))).toBeUndefined();
  });
});

/** Runs a module in a process of its own, against the built package. Its argument is a directory that is removed. */
function inChild(script: string, timeout: number): { signal: string | null; stdout: string; directory: string } {
  const directory = mkdtempSync(join(tmpdir(), "hf-child-"));
  directories.push(directory);
  const root = join(import.meta.dirname, "../..");
  const args = ["--input-type=module", "-e", script, directory];
  const { signal, stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, timeout, encoding: "utf8" });
  expect(stderr).toBe("");
  return { signal, stdout, directory };
}

const directories: string[] = [];
afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
});

describe("leaving the process", () => {
  const start = 'import { Database } from "./dist/index.js"; const path = process.argv[1];';
  const write = 'const db = await Database.open({ path, durability: { mode: "buffered", flushIntervalMs: 60000 } });';
  const puts = 'for (let i = 0; i < 500; i++) db.run("r").kv.put("k" + i, i);';

  test.each([
    ["by coming to its end: an open database does not keep it alive", ""],
    ["by process.exit", "process.exit(0);"],
    ["by SIGTERM", 'process.kill(process.pid, "SIGTERM"); await new Promise((r) => setTimeout(r, 5000));'],
    ["by an exception", 'process.on("uncaughtException", () => process.exit(3)); throw new Error("x");'],
  ])("%s", async (_, ending) => {
    const startMs = performance.now();
    const { signal, directory } = inChild(`${start}${write}${puts}${ending}`, 20_000);
    expect(signal).toBe(ending.includes("SIGTERM") ? "SIGTERM" : null);
    expect(performance.now() - startMs).toBeLessThan(15_000);
    const db = await Database.open({ path: directory, wasm });
    opened.push(db);
    expect(db.run("r").kv.count()).toBe(500);
  });
});

describe("a database that is taken over while it is opened is not opened, and says why", () => {
  // The session was told before there was anything to close. The database opened as if it still had an owner's rights,
  // and closing what was not there yet threw where nobody could catch it.
  test("at once", async () => {
    const real = new SimulatedDisk().storage();
    const storage: Storage = {
      capabilities: real.capabilities,
      open(options) {
        options.onLockedOut?.("another tab");
        return real.open(options);
      },
    };
    expect(await codeOf(Database.open({ storage, wasm }))).toBe("LOCKED");
    await settled();
  });

  // Being told closes the session, which then refuses to be read: that is not what the user must hear.
  test("while the log is looked for", async () => {
    const real = new SimulatedDisk().storage();
    const storage: Storage = {
      capabilities: real.capabilities,
      async open(options) {
        const session = await real.open(options);
        const checkpoints = session.checkpoints.bind(session);
        session.checkpoints = async () => {
          options.onLockedOut?.("another tab");
          await settled();
          return checkpoints();
        };
        return session;
      },
    };
    const refusal = await Database.open({ storage, wasm }).catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code: "LOCKED", message: expect.stringContaining("another tab") });
  });
});

describe.each([
  ["synchronous", {}],
  ["asynchronous", ASYNC_ONLY],
])("a database that is locked out, on %s storage", (_, kind) => {
  const lockable = async (): Promise<{ disk: SimulatedDisk; db: Database; run: Run; lockOut: () => void }> => {
    const disk = new SimulatedDisk();
    const real = disk.storage(kind);
    let lockOut = (): void => {};
    const storage: Storage = {
      capabilities: real.capabilities,
      open(options) {
        lockOut = () => options.onLockedOut?.("another tab", "STORE_FAILED");
        return real.open(options);
      },
    };
    const db = await open(disk, { storage, durability: "buffered", environment: new ManualEnvironment() });
    return { disk, db, run: db.run("r"), lockOut: () => lockOut() };
  };

  // It closed as if all were well, and whoever had committed to it was never told that this may be gone.
  test("says so at close where a buffered commit is not known to be durable, and lets go all the same", async () => {
    const { disk, db, run, lockOut } = await lockable();
    run.kv.put("a", 1);
    await db.flush();
    run.kv.put("b", 2);
    await settled();
    lockOut();
    expect(await codeOf(db.close())).toBe("COMMIT_INDETERMINATE");
    expect(calls(disk, "close")).toBe(1);
    expect(await codeOf(db.close())).toBe("COMMIT_INDETERMINATE");
  });

  test("says so at close of an asynchronous buffered commit as well", async () => {
    const { db, run, lockOut } = await lockable();
    await putAsync(run, "a", 1, "buffered");
    lockOut();
    expect(await codeOf(db.close())).toBe("COMMIT_INDETERMINATE");
  });

  test("closes without complaint where all of them are durable, and the note of that perhaps is not", async () => {
    for (const flushes of [1, 2]) {
      const { db, run, lockOut } = await lockable();
      run.kv.put("a", 1);
      for (let flush = 0; flush < flushes; flush++) {
        await db.flush();
        await settled();
      }
      run.kv.put("b", 2, { durability: "in-memory" });
      lockOut();
      expect(await codeOf(db.close())).toBeUndefined();
    }
  });

  test("closes without complaint where whoever waits for a commit is told by that", async () => {
    const { disk, db, run, lockOut } = await lockable();
    run.kv.put("a", 1);
    await putAsync(run, "b", 2);
    const method = kind.syncAppend === false ? "append" : "appendSync";
    disk.hold(method);
    disk.failNext(method, "STORE_FAILED");
    const inFlight = codeOf(putAsync(run, "c", 3));
    await settled();
    lockOut();
    await disk.release(method);
    expect(await inFlight).toBe("COMMIT_INDETERMINATE");
    expect(await codeOf(db.close())).toBeUndefined();
  });
});

describe("on asynchronous storage", () => {
  test.each([0, 1, 2, 3, 4, 5, 6])(
    "a put %i microtasks after a flush has written everything is written too",
    async (count) => {
      // The writer that had just emptied the queue still counted as under way for some microtasks. A put in between was
      // left to it, and the flush behind that joined it: it resolved, and the put was lost with the process.
      const disk = new SimulatedDisk();
      const environment = new ManualEnvironment();
      const db = await open(disk, { durability: "buffered", environment }, ASYNC_ONLY);
      db.run("r").kv.put("a", 1);
      await settled();
      const first = db.flush();
      for (let i = 0; i < count; i++) await Promise.resolve();
      db.run("r").kv.put("b", 2);
      await db.flush();
      await first;
      const recovered = await afterCrash(disk, "kill");
      expect(recovered.run("r").kv.list()).toEqual([
        ["a", 1],
        ["b", 2],
      ]);
    },
  );

  describe.each([[ASYNC_ONLY], [{ ...ASYNC_ONLY, durableAppend: true }]])(
    "while one more put comes in every call: %o",
    (kind) => {
      // Who had asked for what was queued was let go on once nothing was queued any more, which it always was.
      const CALLS_MAX = 1000;

      async function openLoaded() {
        const load: { left: number; db?: Database } = { left: 0 };
        const disk = new SimulatedDisk({
          schedule: (resume) => {
            if (load.left > 0) load.db?.run("load").kv.put("k", load.left--);
            setTimeout(resume, 0);
          },
        });
        const environment = new ManualEnvironment();
        const db = await open(disk, { durability: "buffered", environment }, kind);
        load.db = db;
        load.left = CALLS_MAX;
        db.run("load").kv.put("k", load.left);
        await settled();
        return { disk, environment, db, load };
      }

      /** Ends the load; throws if it had ended before. */
      function stop(load: { left: number }): void {
        expect(load.left).toBeGreaterThan(0);
        load.left = 0;
      }

      test("the background syncs", async () => {
        const { disk, environment, load } = await openLoaded();
        await environment.advance(101);
        while (load.left > 0 && syncsOf(disk) === 0) await settled();
        stop(load);
      });

      test("flushes and strict commits become durable", async () => {
        const { disk, db, load } = await openLoaded();
        db.run("r").kv.put("buffered", 1);
        const first = putAsync(db.run("r"), "first", 1);
        await Promise.all([db.flush(), first]);
        await putAsync(db.run("r"), "second", 1);
        stop(load);
        const recovered = await afterCrash(disk, "power");
        expect(recovered.run("r").kv.keys()).toEqual(["buffered", "first", "second"]);
      });

      test("a checkpoint is made", async () => {
        const { disk, db, load } = await openLoaded();
        db.run("r").kv.put("k", 1);
        await db.checkpoint();
        stop(load);
        expect(disk.durableCheckpoints().length).toBe(1);
        const recovered = await afterCrash(disk, "power");
        expect(recovered.run("r").kv.get("k")).toBe(1);
      });
    },
  );

  test("a put is handed over at once also behind the background's sync", async () => {
    const disk = new SimulatedDisk();
    const environment = new ManualEnvironment();
    const db = await open(disk, { durability: "buffered", environment }, ASYNC_ONLY);
    db.run("r").kv.put("a", 1);
    await settled();
    environment.advance(200);
    db.run("r").kv.put("b", 2);
    await settled();
    const recovered = await afterCrash(disk, "kill");
    expect(recovered.run("r").kv.get("b")).toBe(2);
  });

  test("a sync that stands behind an append without room is made again after the cut, and the store lives on", async () => {
    // The storage refuses a sync while an append before it has left a gap. That was taken for a failed sync, which is
    // final: a disk that was full for a moment ended the store.
    const disk = new SimulatedDisk();
    const db = await open(disk, { durability: "buffered" }, ASYNC_ONLY);
    const { kv } = db.run("r");
    kv.put("a", 1);
    await settled();
    disk.hold("flush");
    const first = db.flush();
    await settled();
    kv.put("b", 2);
    await settled();
    const second = codeOf(db.flush());
    await settled();
    disk.hold("append");
    disk.room = 0;
    kv.put("c", 3);
    await settled();
    await disk.release("flush");
    await disk.release("append");
    await first;
    expect([undefined, "STORAGE_FULL"]).toContain(await second);
    disk.room = Number.POSITIVE_INFINITY;
    while ((await codeOf(() => kv.put("d", 4))) === "STORAGE_FULL") await settled();
    await db.flush();
    const recovered = await afterCrash(disk, "power");
    expect(recovered.run("r").kv.keys()).toEqual(["a", "b", "c", "d"]);
  });

  test("what was undone is told so, also where the run goes on while the cut is under way", async () => {
    // Between the undoing and the end of the cut a buffered commit was taken and published. Its version was higher than that
    // of the strict one that had been undone, whose caller was then told that it had been published.
    const disk = new SimulatedDisk();
    const db = await open(disk, { durability: "buffered" }, ASYNC_ONLY);
    const run = db.run("r");
    run.kv.put("begun", 1);
    await db.flush();
    disk.hold("truncate");
    disk.room = 0;
    const undone = codeOf(putAsync(run, "a", 1));
    await settled();
    expect(await codeOf(() => run.kv.put("b", 2))).toBe("STORAGE_FULL");
    disk.room = Number.POSITIVE_INFINITY;
    await disk.release("truncate");
    expect(await undone).toBe("STORAGE_FULL");
    expect(run.kv.keys()).toEqual(["begun"]);
    while ((await codeOf(() => run.kv.put("c", 3))) === "STORAGE_FULL") await settled();
    await db.flush();
    expect((await afterCrash(disk, "power")).run("r").kv.keys()).toEqual(["begun", "c"]);
  });
});
