/**
 * The suite of many workers on the sources, in threads of Node's; `test/runtimes/` runs the same on every runtime.
 */
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { memory } from "../../src/adapters/memory.js";
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
  for (const item of workersContract()) {
    if (item.needs?.(memory().capabilities) !== false) test(item.name, () => item.run(context()));
  }
});

test("a database that was not opened to be shared cannot be, and says how it could", async () => {
  const database = await Database.builder().buffered().openTemp();
  expect(() => database.share()).toThrow(/shared: true/);
  await database.close();
});
