/**
 * The suite of many workers on the sources, in threads of Node's; `test/runtimes/` runs the same on every runtime.
 */
import { EventEmitter } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { memory } from "../../src/adapters/memory.js";
import { WORKER_INCARNATION_SHIFT, WORKERS_MAX } from "../../src/host/abi.js";
import type { Instrument } from "../../src/host/instrument.js";
import { Database, type DatabaseHandle } from "../../src/index.js";
import type { Context } from "../contract/context.js";
import type { WorkerPort } from "../contract/hand.js";
import { workersContract } from "../contract/workers-contract.js";
import { buildHands } from "../support/hands.js";

let startWorker: () => WorkerPort;
const opened: Database[] = [];
const folders: string[] = [];

beforeAll(async () => {
  startWorker = await buildHands("workers");
});

afterEach(async () => {
  for (const database of opened.splice(0).reverse()) await database.close();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function context(): Context {
  const { capabilities } = memory();
  const open: Context["open"] = async (options = {}) => {
    const database = await Database.open({ storage: memory(), ...options });
    opened.push(database);
    return database;
  };
  return {
    runtime: "node",
    storageKind: "memory",
    capabilities,
    storage: () => memory(),
    path: undefined,
    startWorker: () => startWorker(),
    open,
    reopen: open,
  };
}

/** Where things stand in a memory that is shared, for a test that puts something there. */
async function addressesOf({ memory: ofDatabase, module }: DatabaseHandle) {
  const { exports } = await WebAssembly.instantiate(module, { env: { memory: ofDatabase } });
  return exports as unknown as { lockAddress(index: number): number; workerSlot(index: number): number };
}

describe("many workers", () => {
  for (const item of workersContract()) {
    if (item.needs?.(memory().capabilities) !== false) test(item.name, () => item.run(context()));
  }
});

test("a database that was not opened to be shared cannot be, and says how it could", async () => {
  const database = await Database.builder().buffered().openTemp();
  expect(() => database.share()).toThrow(/shared: true/);
  await database.close();
});

test("a worker that outlives a database does not keep its memory", async () => {
  // Each database listened for the end of the worker for as long as that lived, and was kept whole by it.
  const worker = new Worker("setInterval(() => {}, 1000)", { eval: true });
  const before = worker.listenerCount("exit");
  for (let i = 0; i < 20; i++) {
    const database = await Database.open({ storage: memory(), shared: true });
    database.share(worker);
    expect(worker.listenerCount("exit")).toBe(before + 1);
    await database.close();
  }
  expect(worker.listenerCount("exit")).toBe(before);
  await worker.terminate();
});

test("what is said of a worker that is dead does not hit the one that has its place now", async () => {
  // They had the same id: one that lived was taken for the dead, and its snapshots from it.
  const owner = await Database.open({ storage: memory(), shared: true });
  opened.push(owner);
  const first = await Database.attach(owner.share());
  expect(owner.detach(first.workerId)).toBe(true);
  const second = await Database.attach(owner.share());
  opened.push(second);
  expect(second.workerId % 64).toBe(first.workerId % 64);
  const snapshot = second.run("run").snapshot();
  expect(owner.detach(first.workerId)).toBe(false);
  expect(owner.stats().snapshotsHeld).toBe(1);
  snapshot.dispose();
  expect(owner.verify()).toEqual({ valid: true });
});

test("a worker is listened to once, however many handles it gets, and one that has ended gets none", async () => {
  const owner = await Database.open({ storage: memory(), shared: true });
  opened.push(owner);
  const worker = new Worker("setInterval(() => {}, 1000)", { eval: true });
  const before = worker.listenerCount("exit");
  for (let i = 0; i < 20; i++) await (await Database.attach(owner.share(worker))).close();
  expect(worker.listenerCount("exit")).toBe(before + 1);
  await worker.terminate();
  expect(() => owner.share(worker)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
});

describe("a database that is closed while a worker that has died holds", () => {
  const LOCKS = { "the turn to write": 0, "the turn to sync": 1, "the log": 4 };

  /** A database on files with a worker that is attached, and has died with one of its locks held. */
  async function withDead(lock: number, worker?: EventEmitter): Promise<Database> {
    const path = mkdtempSync(join(tmpdir(), "holdfast-dead-"));
    folders.push(path);
    const shared = await Database.open({ path, shared: true, durability: "buffered" });
    shared.run("run").kv.put("key", 1);
    const handle = shared.share(worker);
    const { workerId } = await Database.attach(handle);
    const { lockAddress, workerSlot } = await addressesOf(handle);
    const word = (lockAddress(lock) >>> 0) / 4;
    const incarnation = workerSlot(workerId) >>> WORKER_INCARNATION_SHIFT;
    new Int32Array(handle.memory.buffer)[word] = (workerId + 1) | (incarnation << 10);
    return shared;
  }

  test.each(Object.entries(LOCKS))("%s waits until it is told of that end, and loses nothing", async (_, lock) => {
    // It waited for the log's lock without a turn of the event loop, in which it would have been told, and so for ever.
    const worker = Object.assign(new EventEmitter(), { postMessage: () => {} });
    const db = await withDead(lock, worker);
    setTimeout(() => worker.emit("exit"), 10);
    await db.close();
    const again = await Database.open(folders.at(-1) as string);
    expect([again.run("run").kv.get("key"), again.storageInfo.recovered]).toEqual([1, undefined]);
    await again.close();
  });

  test("the log does not wait for ever if nobody tells", async () => {
    const db = await withDead(LOCKS["the log"]);
    await expect(db.close()).rejects.toMatchObject({ code: "COMMIT_INDETERMINATE" });
  });
});

test("a worker that cannot come to the log gives its place back", async () => {
  // It kept it, as many as there are: then nobody could attach any more.
  const folder = mkdtempSync(join(tmpdir(), "holdfast-join-"));
  folders.push(folder);
  const db = await Database.open({ path: join(folder, "db"), shared: true });
  opened.push(db);
  const handle = db.share();
  const { log } = handle;
  const elsewhere = { ...handle, log: { ...log, ticket: { ...log?.ticket, kind: "nobody's" } } } as DatabaseHandle;
  for (let attempt = 0; attempt < 2 * WORKERS_MAX; attempt++) {
    await expect(Database.attach(elsewhere)).rejects.toMatchObject({ code: "UNSUPPORTED" });
  }
  const attached = await Database.attach(handle);
  opened.push(attached);
  attached.run("r").kv.put("k", 1);
  expect(db.run("r").kv.get("k")).toBe(1);
});

test("a worker for which there is no memory gives its place back", async () => {
  const db = await Database.open({ durability: "in-memory", shared: true, maxBytes: 4 * 1024 * 1024 });
  opened.push(db);
  const run = db.run("r");
  const fill = (bytes: number): void => {
    const value = "x".repeat(bytes);
    try {
      for (let i = 0; ; i++) run.kv.put(`${bytes} ${i}`, value);
    } catch (error) {
      expect(error).toMatchObject({ code: "STORE_FULL" });
    }
  };
  for (const bytes of [200_000, 20_000, 2_000]) fill(bytes);
  const handle = db.share();
  for (let attempt = 0; attempt < 2 * WORKERS_MAX; attempt++) {
    await expect(Database.attach(handle)).rejects.toMatchObject({ code: "STORE_FULL" });
  }
  for (const key of run.kv.keys()) run.kv.delete(key);
  const attached = await Database.attach(handle);
  opened.push(attached);
  attached.run("r").kv.put("k", 1);
  expect(run.kv.get("k")).toBe(1);
});

test("an export that outlives the worker it was begun in leaves the others' memory alone", async () => {
  // What it had held was given back when the worker went, and then once more.
  const db = await Database.open({ durability: "in-memory", shared: true });
  opened.push(db);
  for (let i = 0; i < 1_000; i++) db.run("r").kv.put(`k${i}`, "x".repeat(1_000));
  const attached = await Database.attach(db.share());
  const pieces = attached.export();
  await pieces.next();
  await attached.close();
  const others = await Database.attach(db.share());
  opened.push(others);
  for (let i = 0; i < 200; i++) others.run("s").kv.put(`k${i}`, "y".repeat(1_000));
  await expect(pieces.next()).rejects.toMatchObject({ code: "CLOSED" });
  for (let i = 0; i < 200; i++) db.run("t").kv.put(`k${i}`, "z".repeat(1_000));
  expect(db.verify()).toEqual({ valid: true });
});

test("memory that a worker has grown before it died is used, and not left out", async () => {
  // It was counted as in use by nobody until the heap came to be grown the next time.
  const owner = await Database.open({ storage: memory(), shared: true });
  opened.push(owner);
  const handle = owner.share();
  const dead = await Database.attach(handle);
  const { lockAddress, workerSlot } = await addressesOf(handle);
  const free = owner.stats().memoryFreeBytes;
  handle.memory.grow(4);
  const allocator = 3;
  const word = (lockAddress(allocator) >>> 0) / 4;
  const incarnation = workerSlot(dead.workerId) >>> WORKER_INCARNATION_SHIFT;
  new Int32Array(handle.memory.buffer)[word] = (dead.workerId + 1) | (incarnation << 10);
  expect(owner.detach(dead.workerId)).toBe(true);
  expect(owner.stats().memoryFreeBytes).toBeGreaterThanOrEqual(free + 4 * 65536);
  expect(owner.verify()).toEqual({ valid: true });
});

test.each(["died", "left"])("a run that a worker had only begun to make is gone once that has %s", async (how) => {
  // Its header, its name and its place among the runs that live were kept for ever.
  const owner = await Database.open({ storage: memory(), shared: true });
  opened.push(owner);
  const other = await Database.attach(owner.share());
  other.run("begun").begin().kv.put("key", 1);
  expect(owner.stats().runs).toBe(1);
  if (how === "left") await other.close();
  else owner.detach(other.workerId);
  expect(owner.stats()).toMatchObject({ runs: 0, transactionsOpen: 0, snapshotsHeld: 0 });
  expect(owner.verify()).toEqual({ valid: true });
});

test("a snapshot of a run that another worker makes meanwhile says of no version what is not so", async () => {
  // The run was looked for, another worker made it, and the snapshot was empty at a version by which it was not.
  const owner = await Database.open({ storage: memory(), shared: true });
  opened.push(owner);
  const meanwhile: (() => void)[] = [];
  const meddler: Instrument = {
    attach: (exports) => ({
      exports: {
        ...exports,
        snapshotTake: (...numbers) => {
          meanwhile.pop()?.();
          return (exports["snapshotTake"] as (...given: number[]) => number)(...numbers);
        },
      },
      session: (session) => session,
    }),
  };
  const attached = await Database.attach(owner.share(), { trace: meddler });
  opened.push(attached);
  meanwhile.push(() => {
    owner.run("run").kv.put("key", 1);
    owner.run("other").kv.put("key", 1);
  });
  const snapshot = attached.run("run").snapshot();
  expect(snapshot.version).toBe(2);
  expect(snapshot.kv.get("key")).toBe(1);
  snapshot.dispose();
  const nothing = attached.run("nothing").snapshot();
  expect([nothing.version, nothing.kv.get("key")]).toEqual([2, undefined]);
  nothing.dispose();
  expect(owner.stats().snapshotsHeld).toBe(0);
});
