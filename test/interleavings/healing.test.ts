/**
 * A worker dies in the middle of changing a run, at every access to memory that a commit makes, one after another: the run is
 * as it was, or is refused and rebuilt from the log. What was acknowledged of it is there with its versions, and nothing else.
 */
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { CheckpointStream } from "../../src/host/checkpoint.js";
import { encodeName } from "../../src/host/codec.js";
import { Database, HoldfastError } from "../../src/index.js";
import { SCALE } from "../support/durability-report.js";
import { everyAccessModule, Victim } from "../support/victim.js";

/** Of the accesses of a commit, one in so many is died at. */
const STRIDE = Math.max(1, Math.round(5 / SCALE));
const BUFFERED = 1;
const DEFERRED = 0;

let module: WebAssembly.Module;
const folders: string[] = [];

beforeAll(async () => {
  module = await everyAccessModule();
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "holdfast-healing-"));
  folders.push(made);
  return made;
}

/** What a run says of itself, as far as it can be compared. */
function stateOf(db: Database, id: string): unknown {
  const run = db.run(id);
  return {
    version: run.version,
    count: run.count(),
    keys: run.kv.list().map(([key, value]) => [key, value, run.kv.getVersioned(key)?.version]),
    events: run.events.verify(),
    last: run.events.length === 0 ? undefined : run.events.read(run.events.length - 1)?.hash,
    cell: run.state.read("cell"),
    traces: run.traces.list(),
  };
}

function write(db: Database, id: string, n: number): void {
  db.run(id).transaction((tx) => {
    tx.kv.put(`key-${n % 7}`, { n, text: "x".repeat(n * 3) });
    if (n % 3 === 0) tx.kv.delete(`key-${(n + 4) % 7}`);
    tx.events.append("written", n);
    tx.state.transitionOrInit("cell", 0, (before) => [(before as number) + 1, undefined]);
    tx.traces.record({ type: "thought", content: `thought ${n}` }, { tags: [`tag-${n % 2}`] });
  });
}

/** Has a worker die in a put of `run` at an access; whether it did. */
function die(db: Database, id: string, step: number, mode: number): boolean {
  const { memory } = db.share();
  const victim = new Victim(module, memory);
  const run = victim.runOf(id);
  const died = victim.run(() => victim.put(run, "key-1", { by: "the dead" }, mode), step);
  if (!died) victim.core.leave();
  else expect(db.detach(victim.workerId)).toBe(true);
  return died;
}

function isLost(db: Database, id: string): boolean {
  try {
    db.run(id).kv.get("key-1");
    return false;
  } catch (error) {
    if (HoldfastError.is(error, "CORRUPTION")) return true;
    throw error;
  }
}

/**
 * Has workers die in a run, a little later each time, until one has left it lost with nothing of what it was about; at which
 * access that was.
 */
function loseRun(db: Database, id: string): number {
  let step = 28;
  for (; !isLost(db, id); step++) if (!die(db, id, step, BUFFERED)) throw new Error("nobody died");
  return step - 1;
}

/** Has a worker die in the middle of a run, whose lock it goes on holding; what `db.detach` takes. */
async function dieHolding(db: Database, id: string): Promise<number> {
  write(db, "as-it", 1);
  write(db, id, 1);
  const step = loseRun(db, "as-it");
  await db.recoverRun("as-it");
  const victim = new Victim(module, db.share().memory);
  const run = victim.runOf(id);
  expect(victim.run(() => victim.put(run, "key-1", { by: "the dead" }, BUFFERED), step)).toBe(true);
  return victim.workerId;
}

/** Ends with an error whoever goes on asking for pieces that do not come, since nothing else could in the same thread. */
function boundPieces(): void {
  const { next } = CheckpointStream.prototype;
  let empty = 0;
  vi.spyOn(CheckpointStream.prototype, "next").mockImplementation(function (this: CheckpointStream) {
    const piece = next.call(this);
    empty = piece?.length === 0 ? empty + 1 : 0;
    if (empty === 10) throw new Error("it waits without end");
    return piece;
  });
}

async function exported(db: Database): Promise<number> {
  let bytes = 0;
  for await (const piece of db.export()) bytes += piece.length;
  return bytes;
}

/** What is in memory is what whoever reads the files finds. */
async function expectAsInLog(db: Database, path: string, id: string): Promise<void> {
  await db.flush();
  const reader = await Database.open({ path, readOnly: true });
  expect(stateOf(db, id)).toEqual(stateOf(reader, id));
  await reader.close();
}

/** Waits until so many bytes of a checkpoint are written. */
async function checkpointIsUnderWay(path: string, bytes: number): Promise<void> {
  const written = (): number =>
    Math.max(0, ...readdirSync(path).map((name) => (/ckp./.test(name) ? statSync(join(path, name)).size : 0)));
  while (written() < bytes) await new Promise((resolve) => setImmediate(resolve));
}

async function opened(path = folder()): Promise<Database> {
  return Database.open({ path, shared: true, durability: "buffered" });
}

describe("a worker that has died in the middle of a run", () => {
  it("is not waited for without end by an export, which lets its end be told meanwhile", async () => {
    boundPieces();
    const db = await opened();
    const dead = await dieHolding(db, "run");
    setTimeout(() => db.detach(dead), 0);
    await expect(exported(db)).rejects.toMatchObject({ code: "CORRUPTION", details: { run: "run" } });
    expect(await db.recoverRun("run")).toBe(true);
    expect(await exported(db)).toBeGreaterThan(0);
    await db.close();
  });

  it("makes a checkpoint and an export BUSY where nobody tells, and the database can be closed", async () => {
    // By its lock, which it does not have here, some runtimes would take it for dead.
    vi.stubGlobal("navigator", undefined);
    boundPieces();
    const path = folder();
    const db = await opened(path);
    const dead = await dieHolding(db, "run");
    const busy = expect.objectContaining({ code: "BUSY" });
    expect(() => db.run("run").kv.put("key", 1)).toThrow(busy);
    write(db, "other", 1);
    await expect(exported(db)).rejects.toEqual(busy);
    const other = stateOf(db, "other");
    const made = expect(db.checkpoint()).rejects.toEqual(busy);
    await Promise.all([made, db.close()]);
    const again = await Database.open(path);
    expect(stateOf(again, "other")).toEqual(other);
    expect(again.run("run").count()).toBeGreaterThan(0);
    await again.close();
    expect(dead).toBeGreaterThan(0);
  });

  it("is waited for by a checkpoint until its end is told", async () => {
    vi.stubGlobal("navigator", undefined);
    const db = await opened();
    const dead = await dieHolding(db, "run");
    const runs = db.runs.ids();
    const made = db.checkpoint();
    setTimeout(() => db.detach(dead), 5_000);
    await expect(made).rejects.toMatchObject({ code: "CORRUPTION" });
    expect(await db.recoverRun("run")).toBe(true);
    await db.checkpoint();
    expect(db.runs.ids()).toEqual(runs);
    await db.close();
  });
});

describe("db.recoverRun", () => {
  it.each([
    ["buffered", BUFFERED],
    ["deferred", DEFERRED],
  ])("rebuilds a run that a worker has died in, at every access of a %s commit", async (_, mode) => {
    const path = folder();
    const db = await opened(path);
    for (let n = 0; n < 20; n++) {
      write(db, "run", n);
      write(db, "other", n);
    }
    let deaths = 0;
    let rebuilt = 0;
    let kept = 0;
    for (let step = 0, died = true; died; step += STRIDE) {
      write(db, "run", 20 + step);
      const before = stateOf(db, "run");
      const other = stateOf(db, "other");
      died = die(db, "run", step, mode);
      if (died) deaths++;
      const wasLost = isLost(db, "run");
      expect(await db.recoverRun("run"), `step ${step}`).toBe(wasLost);
      if (wasLost) rebuilt++;
      const isThere = JSON.stringify(db.run("run").kv.get("key-1")) === JSON.stringify({ by: "the dead" });
      if (isThere) kept++;
      else expect(stateOf(db, "run"), `step ${step}`).toEqual(before);
      expect(stateOf(db, "other")).toEqual(other);
      if (wasLost) await expectAsInLog(db, path, "run");
      expect(db.verify(), `step ${step}`).toEqual({ valid: true });
    }
    console.info(`${deaths} deaths, ${rebuilt} runs rebuilt, ${kept} commits of the dead kept`);
    expect(rebuilt).toBeGreaterThan(10 * Math.min(1, SCALE));
    write(db, "run", 1);
    const last = stateOf(db, "run");
    await db.close();
    const again = await Database.open(path);
    expect(stateOf(again, "run")).toEqual(last);
    await again.close();
  });

  it("refuses what was held from before, and shows the rest the run as it is", async () => {
    const db = await opened();
    for (let n = 0; n < 10; n++) write(db, "run", n);
    const before = stateOf(db, "run");
    const ofAll = db.snapshot();
    const ofRun = db.run("run").snapshot();
    const open = db.run("run").begin();
    open.kv.get("key-1");
    loseRun(db, "run");
    const lost = expect.objectContaining({ code: "CORRUPTION" });
    expect(() => db.run("run").kv.put("key", 1)).toThrow(lost);
    expect(() => ofAll.run("run").kv.get("key-1")).toThrow(lost);
    expect(await db.recoverRun("run")).toBe(true);
    expect(stateOf(db, "run")).toEqual(before);
    for (const view of [db, ofAll]) expect(view.runs.ids()).toEqual(["run"]);
    for (const read of [() => ofAll.run("run").kv.get("key-1"), () => ofRun.kv.get("key-1"), () => ofRun.kv.list()]) {
      expect(read).toThrow(lost);
    }
    open.kv.put("key-2", 2);
    expect(() => open.commit()).toThrow(expect.objectContaining({ code: "CONFLICT" }));
    const later = db.snapshot();
    expect(later.run("run").kv.list()).toEqual(db.run("run").kv.list());
    for (const held of [ofAll, ofRun, later]) held.dispose();
    write(db, "run", 11);
    await db.checkpoint();
    expect(db.verify()).toEqual({ valid: true });
    expect(db.stats().snapshotsHeld).toBe(0);
    expect(await db.recoverRun("run")).toBe(false);
    await db.close();
  });

  it("goes on from a checkpoint, and no checkpoint is made without a run that is lost", async () => {
    const path = folder();
    const db = await opened(path);
    for (let n = 0; n < 10; n++) write(db, "run", n);
    await db.checkpoint();
    for (let n = 10; n < 20; n++) write(db, "run", n);
    db.run("gone").kv.put("key", 1);
    db.deleteRun("gone");
    const before = stateOf(db, "run");
    loseRun(db, "run");
    await expect(db.checkpoint()).rejects.toMatchObject({ code: "CORRUPTION", details: { run: "run" } });
    expect(await db.recoverRun("run")).toBe(true);
    expect(stateOf(db, "run")).toEqual(before);
    await db.checkpoint();
    await db.close();
    const again = await Database.open(path);
    expect(stateOf(again, "run")).toEqual(before);
    await again.close();
  });

  it("is begun again where whoever did it has died of it, at every access", async () => {
    const db = await opened();
    for (let n = 0; n < 10; n++) write(db, "run", n);
    const before = stateOf(db, "run");
    const { version } = db.run("run");
    let deaths = 0;
    for (let step = 0, died = true; died; step += STRIDE) {
      loseRun(db, "run");
      const healer = new Victim(module, db.share().memory);
      died = healer.run(({ core }) => {
        core.renew();
        expect(core.heal("Begin", encodeName("run", 256, "The run id", core), version)).toBe(0);
        const { pointer, generation } = core.besideResult();
        expect(core.heal("End", pointer, generation, 0)).toBe(0);
      }, step);
      if (died) expect(db.detach(healer.workerId)).toBe(true);
      else healer.core.leave();
      deaths++;
      expect(isLost(db, "run"), `step ${step}`).toBe(true);
      expect(db.runs.ids(), `step ${step}`).toEqual(["run"]);
      expect(db.verify(), `step ${step}`).toEqual({ valid: true });
      expect(await db.recoverRun("run")).toBe(true);
      expect(stateOf(db, "run"), `step ${step}`).toEqual(before);
      await db.checkpoint();
      expect(db.verify(), `step ${step}`).toEqual({ valid: true });
      expect(db.stats().runs).toBe(1);
    }
    expect(deaths).toBeGreaterThan(10);
    await db.close();
  });

  it("is not in the way of a checkpoint that is under way: that is given up, and the log is kept", async () => {
    const path = folder();
    const db = await opened(path);
    for (let n = 0; n < 40; n++) write(db, "run", n);
    for (let i = 0; i < 8; i++) db.run(`other-${i}`).kv.put("large", new Uint8Array(2_000_000));
    for (let n = 0; n < 40; n++) write(db, "last", n);
    const before = [stateOf(db, "run"), stateOf(db, "last")];
    const made = db.checkpoint();
    await checkpointIsUnderWay(path, 1);
    // One of them is walked first, the other one last.
    for (const id of ["run", "last"]) loseRun(db, id);
    await expect(made).rejects.toMatchObject({ code: "CORRUPTION" });
    for (const id of ["run", "last"]) expect(await db.recoverRun(id)).toBe(true);
    expect([stateOf(db, "run"), stateOf(db, "last")]).toEqual(before);
    await db.checkpoint();
    await db.close();
    const again = await Database.open(path);
    expect([stateOf(again, "run"), stateOf(again, "last")]).toEqual(before);
    await again.close();
  });

  it("of a run whose first commit its worker has died in leaves none, and so does its deletion", async () => {
    const path = folder();
    const db = await opened(path);
    write(db, "run", 1);
    loseRun(db, "first");
    expect(await db.recoverRun("first")).toBe(true);
    expect(db.run("first").count()).toBe(0);
    loseRun(db, "first");
    expect(db.deleteRun("first")).toBe(true);
    expect(db.run("first").count()).toBe(0);
    expect(db.runs.list()).toEqual([]);
    expect(db.verify()).toEqual({ valid: true });
    await db.close();
    const again = await Database.open(path);
    expect(again.run("first").count()).toBe(0);
    await again.close();
  });

  it.each(["buffered", "strict", "in-memory"] as const)("is not needed to delete one, %s", async (durability) => {
    const path = folder();
    const db = await opened(path);
    const bytes = db.stats().memoryFreeBytes;
    for (let round = 0; round < 3; round++) {
      for (let n = 0; n < 30; n++) write(db, "run", n);
      loseRun(db, "run");
      expect(db.deleteRun("run", { durability })).toBe(true);
      expect(db.run("run").count()).toBe(0);
      expect(db.verify()).toEqual({ valid: true });
    }
    expect(db.deleteRun("run")).toBe(false);
    write(db, "other", 1);
    expect(db.stats().memoryFreeBytes, "what it had is free again").toBeGreaterThan(bytes - 200_000);
    write(db, "run", 3);
    const last = stateOf(db, "run");
    await db.close();
    const again = await Database.open(path);
    expect(stateOf(again, "run")).toEqual(last);
    await again.close();
  });

  it("is refused in a worker that has attached, and of what is only in memory", async () => {
    const db = await opened();
    const attached = await Database.attach(db.share());
    await expect(attached.recoverRun("run")).rejects.toMatchObject({ code: "UNSUPPORTED" });
    await attached.close();
    await db.close();
    await expect(db.recoverRun("run")).rejects.toMatchObject({ code: "CLOSED" });
    const inMemory = await Database.open({ durability: "in-memory", shared: true });
    loseRun(inMemory, "run");
    await expect(inMemory.recoverRun("run")).rejects.toMatchObject({ code: "UNSUPPORTED" });
    expect(inMemory.deleteRun("run")).toBe(true);
    expect(inMemory.verify()).toEqual({ valid: true });
    await inMemory.close();
    const alone = await Database.open(folder());
    write(alone, "run", 1);
    expect(await alone.recoverRun("run")).toBe(false);
    await expect(alone.recoverRun("")).rejects.toMatchObject({ code: "INVALID_KEY" });
    await alone.close();
  });
});
