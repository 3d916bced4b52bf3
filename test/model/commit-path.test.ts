/**
 * Failures of the commit path, each shrunk to its few steps.
 */
import { describe, expect, it } from "vitest";
import {
  CAPABILITY_LOG,
  CAPABILITY_SYNC_APPEND,
  CAPABILITY_SYNC_FLUSH,
  STATUS_DRAIN_FIRST,
} from "../../src/host/abi.js";
import { Database, type Transaction } from "../../src/index.js";
import { bareCore, put, runOf } from "../support/bare-core.js";
import { moduleOf, SINGLE_DEBUG } from "../support/builds.js";
import { holds } from "../support/log-records.js";
import { SeededEnvironment, turn } from "../support/seeded-environment.js";
import { SimulatedDisk } from "../support/simulated-storage.js";
import { codeOf } from "./subject.js";

async function open(disk: SimulatedDisk, environment = new SeededEnvironment(1)): Promise<Database> {
  return Database.open({ wasm: await moduleOf(SINGLE_DEBUG), storage: disk.storage(), environment });
}

describe("the commit path", () => {
  it("tells nobody through a rolled back callback what is not durable", async () => {
    // A callback read a strict commit whose sync was under way, rolled its transaction back itself and returned. Its
    // outcome was told at once, and a power cut then took what it had told.
    const disk = new SimulatedDisk();
    const db = await open(disk);
    disk.hold("flush");
    const first = db.run("r").transactionAsync((tx) => tx.kv.put("k", "secret"));
    await turn();
    let told: unknown;
    const second = db.run("r").transactionAsync((tx: Transaction) => {
      const value = tx.kv.get("k");
      tx.rollback();
      return value;
    });
    second.then((value) => {
      told = value;
    });
    await turn();
    expect(holds(disk, "secret")).toBe(false);
    expect(told).toBeUndefined();
    await disk.release("flush");
    await first;
    expect(await second).toBe("secret");
    await db.close();
  });

  it("tells nobody that a key is gone before its deletion is durable", async () => {
    // A strict deletion was waiting for its sync when a synchronous delete of the same key returned false: not there.
    // Readers still saw the key, and after a power cut it was back.
    const disk = new SimulatedDisk();
    const db = await open(disk);
    db.run("r").kv.put("k", 1);
    disk.hold("flush");
    const deletion = db.run("r").transactionAsync((tx) => tx.kv.delete("k"));
    await turn();
    expect(db.run("r").kv.has("k")).toBe(true);
    expect(db.run("r").kv.delete("k")).toBe(false);
    expect(db.run("r").kv.has("k")).toBe(false);
    await disk.release("flush");
    await deletion;
    await db.close();
  });

  it("syncs buffered commits that came during a sync that took longer than the interval", async () => {
    // The timer of a buffered commit fired while an earlier sync was still under way, found it and did nothing. Nobody
    // armed it again, so that the commit was never synced.
    const disk = new SimulatedDisk();
    const environment = new SeededEnvironment(1);
    const db = await open(disk, environment);
    const buffered = { durability: "buffered" } as const;
    db.run("r").kv.put("k", "first", buffered);
    disk.hold("flush");
    environment.advance(100);
    db.run("r").kv.put("k", "second", buffered);
    environment.advance(100);
    await disk.release("flush");
    environment.advance(100);
    await turn();
    expect(holds(disk, "second")).toBe(true);
    await db.close();
  });

  it("syncs buffered commits also while there is no room for more", async () => {
    // A deferred commit waited that the full disk could not take; the background sync tried to write that first, failed,
    // and left the buffered commits that were written long ago unsynced.
    const disk = new SimulatedDisk();
    const environment = new SeededEnvironment(1);
    const db = await open(disk, environment);
    db.run("r").kv.put("k", "kept", { durability: "buffered" });
    db.run("r").kv.put("j", "deferred", { durability: "in-memory" });
    disk.room = 0;
    environment.advance(100);
    await turn();
    expect(holds(disk, "kept")).toBe(true);
    disk.room = Number.POSITIVE_INFINITY;
    await db.close();
  });

  it("does not give a version again that a deferred commit had, which was lost with the process", async () => {
    // After a clean close a session only made deferred commits and died; the next open found the log closed and counted
    // on from there, so that a remembered ifVersion matched another commit.
    const disk = new SimulatedDisk();
    const first = await open(disk);
    first.run("r").kv.put("k", 0);
    await first.close();
    const second = await open(disk);
    const lost = second.run("r").kv.put("k", 1, { durability: "in-memory" });
    disk.crash({ kind: "kill" });
    const third = await open(disk);
    expect(third.run("r").kv.put("k", 2, { durability: "in-memory" })).toBeGreaterThan(lost);
    disk.crash({ kind: "kill" });
    const fourth = await open(disk);
    expect(fourth.run("r").kv.put("k", 3)).toBeGreaterThan(lost + 2);
    await fourth.close();
  });

  it("does not give such a version again after two crashes", async () => {
    // Two crashes in a row, the second with only deferred commits behind it: both times the versions went on from the
    // same recovered one, by the same gap.
    const disk = new SimulatedDisk();
    const first = await open(disk);
    first.run("r").kv.put("k", 0);
    disk.crash({ kind: "kill" });
    const second = await open(disk);
    const lost = second.run("r").kv.put("k", 1, { durability: "in-memory" });
    disk.crash({ kind: "kill" });
    const third = await open(disk);
    expect(third.run("r").kv.put("k", 2)).toBeGreaterThan(lost);
    await third.close();
  });

  it("refuses again and again while there is no room for the first segment", { timeout: 5000 }, async () => {
    // Every refusal released the undone commit from the queue but left the mark of what was sealed behind it; the next
    // refusal walked from one to the other, 2^32 steps around.
    const disk = new SimulatedDisk({ room: 10 });
    const db = await open(disk);
    const begun = performance.now();
    for (let i = 0; i < 3; i++) expect(codeOf(() => db.run("r").kv.put("k", i))).toBe("STORAGE_FULL");
    expect(performance.now() - begun).toBeLessThan(1000);
    expect(db.verify()).toEqual({ valid: true });
    disk.room = Number.POSITIVE_INFINITY;
    db.run("r").kv.put("k", 4);
    await db.close();
  });

  it("takes a deferred commit that is larger than all that may wait", async () => {
    // A deferred commit of more than a mebibyte was told to drain the queue first, also when nothing was in it; the host
    // did so and tried again, for ever.
    const { core } = await bareCore(SINGLE_DEBUG, 1, CAPABILITY_LOG | CAPABILITY_SYNC_APPEND | CAPABILITY_SYNC_FLUSH);
    core.logBegin(0, 0, 1, 0);
    const run = runOf(core, "r");
    expect(put(core, run, "k", new Uint8Array(2 * 1024 * 1024))).toBe(1);
    expect(core.verify()).toBe(0);
    expect(put(core, run, "k", "small")).toBe(-STATUS_DRAIN_FIRST);
  });
});
