/**
 * The suite of many workers on the sources, in threads of Node's; `test/runtimes/` runs the same on every runtime.
 */
import { Worker } from "node:worker_threads";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { memory } from "../../src/adapters/memory.js";
import type { Instrument } from "../../src/host/instrument.js";
import { Database } from "../../src/index.js";
import type { Context } from "../contract/context.js";
import type { WorkerPort } from "../contract/hand.js";
import { workersContract } from "../contract/workers-contract.js";
import { buildHands } from "../support/hands.js";

let startWorker: () => WorkerPort;
const opened: Database[] = [];

beforeAll(async () => {
  startWorker = await buildHands("workers");
});

afterEach(async () => {
  for (const database of opened.splice(0).reverse()) await database.close();
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

describe("many workers", () => {
  for (const item of workersContract()) test(item.name, () => item.run(context()));
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
