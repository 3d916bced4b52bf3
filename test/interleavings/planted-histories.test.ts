/**
 * That histories of real workers find what they are for: each of these faults, planted into the core, is found within a bounded
 * number of histories. That the same find nothing in the core as it is, histories.test.ts sees.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { WorkerPort } from "../contract/hand.js";
import { Crew, inMemory, onFiles } from "../histories/ground.js";
import { followHistory } from "../histories/history.js";
import { SCALE } from "../support/durability-report.js";
import { buildHands } from "../support/hands.js";
import { buildShared, PLANTS_FOR_HISTORIES, planted } from "./plants.js";

/** Nobody schedules these: what is found in one of a few has a hundred to be found in. */
const HISTORIES = Math.ceil(100 * SCALE);
const TRANSACTIONS = 500;
const WORKERS_MAX = 6;
const SEGMENT_BYTES = 64 * 1024;

const folder = mkdtempSync(join(tmpdir(), "holdfast-planted-"));
const told: string[] = [];
let startWorker: () => WorkerPort;

beforeAll(async () => {
  startWorker = await buildHands("planted-histories");
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
  console.info(told.join("\n"));
});

/** What the first history that fails says, and which one of all it is. */
async function firstFault(wasm: WebAssembly.Module, kills: boolean, files: boolean): Promise<string | undefined> {
  const crew = new Crew(() => startWorker(), true);
  try {
    for (let seed = 1; seed <= HISTORIES; seed++) {
      const ground = files ? onFiles("node", join(folder, `${seed}`), SEGMENT_BYTES, wasm) : inMemory("node", wasm);
      const shape = { seed, transactions: TRANSACTIONS, workersMax: WORKERS_MAX, killsMax: kills ? 1 : 0 };
      const fault = await followHistory(ground, crew, shape).then(
        () => undefined,
        (error: Error) => error.message,
      );
      if (fault !== undefined) return fault;
    }
    return undefined;
  } finally {
    await crew.close();
  }
}

describe("a fault that is planted", () => {
  it.each(PLANTS_FOR_HISTORIES)("can be planted: $name", (plant) => {
    expect(() => planted(plant)).not.toThrow();
  });

  it.each(PLANTS_FOR_HISTORIES)("is found by histories: $name", async (plant) => {
    const wasm = await WebAssembly.compile(readFileSync(await buildShared(plant)));
    const found = await firstFault(wasm, plant.kills === true, plant.onFiles === true);
    told.push(`${plant.name}: ${found?.slice(0, 240).replaceAll("\n", " ") ?? "not found"}`);
    expect(found, plant.name).toBeDefined();
  });
});
