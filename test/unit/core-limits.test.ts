/**
 * Limits at their edge, and headers that are used again.
 */
import { describe, expect, it } from "vitest";
import { Database } from "../../src/index.js";
import { codeOf } from "../model/subject.js";
import { BUILDS, type Build, moduleOf } from "../support/builds.js";

async function open(build: Build): Promise<Database> {
  const wasm = await moduleOf(build);
  return Database.open({ wasm, shared: build.shared, durability: "in-memory", maxBytes: 256 * 1024 * 1024 });
}

describe.each(BUILDS)("the $name build", (build) => {
  it("holds snapshots of 1,024 versions, and no more", async () => {
    await using db = await open(build);
    const run = db.run("r");
    const held = Array.from({ length: 1024 }, (_, i) => {
      run.kv.put("k", i);
      return run.snapshot();
    });
    const again = run.snapshot();
    run.kv.put("k", "newest");
    expect(codeOf(() => run.snapshot())).toBe("BUSY");
    expect(codeOf(() => run.begin())).toBe("BUSY");
    expect(held.map((snapshot) => snapshot.kv.get("k"))).toEqual(held.map((_, i) => i));
    expect(db.verify()).toEqual({ valid: true });
    held[500]?.dispose();
    using fresh = run.snapshot();
    expect(fresh.kv.get("k")).toBe("newest");
    for (const snapshot of [...held, again]) snapshot.dispose();
    expect(db.stats().snapshotsHeld).toBe(1);
    expect(db.verify()).toEqual({ valid: true });
  });

  it("finds every place that a snapshot has given back, whatever its version", async () => {
    await using db = await open(build);
    const run = db.run("r");
    const hold = (i: number) => {
      run.kv.put("k", i);
      return run.snapshot();
    };
    const held = Array.from({ length: 1024 }, (_, i) => hold(i));
    for (let i = 0; i < 64; i++) {
      held[i]?.dispose();
      held[i] = hold(1024 + i);
      expect(held[i]?.kv.get("k")).toBe(1024 + i);
      run.kv.put("k", "between");
      expect(codeOf(() => run.snapshot())).toBe("BUSY");
    }
    for (const snapshot of held) snapshot.dispose();
    expect(db.stats().snapshotsHeld).toBe(0);
    expect(db.verify()).toEqual({ valid: true });
  });

  it("takes keys of 1,024 bytes, and tells apart two that differ in the last", async () => {
    await using db = await open(build);
    const { kv } = db.run("r");
    const [a, b] = [`${"é".repeat(511)}xa`, `${"é".repeat(511)}xb`];
    kv.put(a, 1);
    kv.put(b, 2);
    expect(kv.keys({ start: a, end: b })).toEqual([a]);
    expect([kv.get(a), kv.get(b)]).toEqual([1, 2]);
    expect(codeOf(() => kv.put(`${a}c`, 3))).toBe("INVALID_KEY");
    expect(codeOf(() => kv.put("", 3))).toBe("INVALID_KEY");
  });

  it("takes a value of 16 MiB, and refuses one byte more", async () => {
    await using db = await open(build);
    const { kv } = db.run("r");
    const largest = new Uint8Array(16 * 1024 * 1024 - 5).fill(7);
    largest[largest.length - 1] = 9;
    kv.put("k", largest);
    const found = kv.get("k") as Uint8Array;
    expect([found.length, found[0], found.at(-1)]).toEqual([largest.length, 7, 9]);
    expect(codeOf(() => kv.put("k", new Uint8Array(largest.length + 1)))).toBe("VALUE_TOO_LARGE");
    expect(kv.delete("k")).toBe(true);
    expect(db.verify()).toEqual({ valid: true });
  });

  it("uses the header of a forgotten run again, and nobody takes the new run for the old", async () => {
    await using db = await open(build);
    for (let i = 0; i < 200; i++) {
      const transaction = db.run(`run ${i}`).begin();
      transaction.kv.put("k", i);
      transaction.rollback();
      expect(db.run(`run ${i}`).kv.get("k")).toBeUndefined();
    }
    expect(db.stats().runs).toBe(0);
    const free = db.stats().memoryFreeBytes;
    for (let i = 0; i < 200; i++) db.run(`other ${i}`).begin().rollback();
    expect(db.stats().memoryFreeBytes).toBe(free);
    db.run("new").kv.put("k", "new");
    expect(db.run("run 199").kv.get("k")).toBeUndefined();
    expect(db.run("run 199").kv.put("k", "again")).toBe(2);
    expect(db.verify()).toEqual({ valid: true });
  });

  it("shows an empty run to a snapshot of a run that was never written to and is forgotten", async () => {
    // A snapshot was taken of a run that existed only because a transaction was open on it; the transaction was rolled
    // back, the run was forgotten, and listing the snapshot threw STORE_FAILED with the status of a stale handle.
    await using db = await open(build);
    const transaction = db.run("r").begin();
    using snapshot = db.run("r").snapshot();
    transaction.rollback();
    expect(snapshot.kv.get("k")).toBeUndefined();
    expect(snapshot.kv.list()).toEqual([]);
    expect(snapshot.kv.count()).toBe(0);
  });

  it("does not make a run by reading it, nor by a write that is refused", async () => {
    // In the shared build getMany made the run that it read; in both a put whose value was refused had already made it.
    // Such a run was never forgotten again.
    await using db = await open(build);
    expect(db.run("read").kv.getMany(["k"])).toEqual([undefined]);
    expect(codeOf(() => db.run("refused").kv.put("k", (() => {}) as never))).toBe("INVALID_VALUE");
    expect(db.stats().runs).toBe(0);
  });

  it("does not take what a transaction has written itself for something that it has read", async () => {
    // A transaction wrote a key and listed many others; noting those as read moved the buffer that its own write stood
    // in, and the listing went on reading there.
    await using db = await open(build);
    const { kv } = db.run("r");
    for (let i = 0; i < 3000; i++) kv.put(`k${String(i).padStart(6, "0")}${"x".repeat(100)}`, i);
    for (let i = 0; i < 20; i++) {
      const transaction = db.run("r").begin();
      for (let own = 0; own < 10; own++) transaction.kv.put(`z${own}`, i);
      expect(transaction.kv.list()).toHaveLength(3010);
      transaction.commit();
    }
  });
});
