/**
 * The chain of events: a million of them, and not one bit of what is stored can change unnoticed.
 */
import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { VERSION_HEADER_BYTES, VERSION_LENGTH_OFFSET } from "../../src/host/abi.js";
import { encodeKey } from "../../src/host/codec.js";
import type { Core } from "../../src/host/core.js";
import { Engine } from "../../src/host/engine.js";
import { platformEnvironment } from "../../src/host/environment.js";
import { Run } from "../../src/host/run.js";
import { Database } from "../../src/index.js";
import { bareCore } from "../support/bare-core.js";
import { SINGLE, SINGLE_DEBUG } from "../support/builds.js";

const TABLE = 1;
const INDEX = 9;
const EVENTS = 1_000_000;
const BUILD = process.env["HOLDFAST_CORE"] === "debug" ? SINGLE_DEBUG : SINGLE;

/** A run over a core whose memory the test can reach. */
async function reachableRun(): Promise<{ run: Run; core: Core }> {
  const { core } = await bareCore(BUILD);
  const environment = platformEnvironment();
  const parts = { core, log: undefined, readOnly: false, syncFlush: false, storageKind: "memory", environment };
  return { run: new Run(new Engine({ ...parts, mode: { mode: "in-memory" } }), "r"), core };
}

/** Where the value of a key lies in memory. */
function storedAt(core: Core, run: Run, table: number, key: string): { start: number; end: number } {
  core.renew();
  const { pointer, generation } = run.writer.handle();
  const record = core.get(pointer, generation, table, encodeKey(key, core));
  const length = core.view.getUint32(record + VERSION_LENGTH_OFFSET, true);
  return { start: record + VERSION_HEADER_BYTES, end: record + VERSION_HEADER_BYTES + length };
}

describe("a bit that is flipped in memory", () => {
  const payloads = [null, "text", { tool: "grep", args: ["a", 1.5, -0], at: 12345678901n }, new Uint8Array([1, 2, 3])];

  test("is found by verify, wherever in the chain it is", async () => {
    const { run, core } = await reachableRun();
    for (const [i, payload] of payloads.entries()) run.events.append(i % 2 === 0 ? "even" : "odd", payload);
    const keys: [number, string][] = payloads.map((_, i) => [TABLE, String(i).padStart(16, "0")]);
    keys.push([INDEX, "head\u0000"]);
    let flipped = 0;
    for (const [table, key] of keys) {
      const { start, end } = storedAt(core, run, table, key);
      for (let bit = start * 8; bit < end * 8; bit++) {
        core.bytes[bit >> 3] = (core.bytes[bit >> 3] as number) ^ (1 << (bit & 7));
        const report = run.events.verify();
        expect(report.valid, `bit ${bit - start * 8} of ${key}`).toBe(false);
        if (table === TABLE) expect(report.firstInvalid).toBe(Number(key));
        core.bytes[bit >> 3] = (core.bytes[bit >> 3] as number) ^ (1 << (bit & 7));
        flipped++;
      }
    }
    expect(run.events.verify()).toEqual({ valid: true, length: payloads.length });
    expect(flipped).toBeGreaterThan(4 * 64 * 8);
  });
});

test.skipIf(BUILD === SINGLE_DEBUG)(
  "a million events are appended, verified, and read back by range",
  async () => {
    const db = await Database.open({ durability: "in-memory" });
    const { events } = db.run("r");
    for (let i = 0; i < EVENTS; i++) events.append(i % 10 === 0 ? "tenth" : "other", i);
    expect(events.length).toBe(EVENTS);
    expect(events.verify()).toEqual({ valid: true, length: EVENTS });
    let expected = 250_000;
    let last: Uint8Array | undefined;
    for (const { sequence, payload, previousHash, hash } of events.range(250_000, 750_000)) {
      if (sequence !== expected || payload !== expected)
        throw new Error(`event ${sequence} where ${expected} should be`);
      if (last !== undefined && Buffer.compare(last, previousHash) !== 0)
        throw new Error(`chain broken at ${sequence}`);
      last = hash;
      expected++;
    }
    expect(expected).toBe(750_000);
    expect([...events.range(EVENTS - 3)].map(({ payload }) => payload)).toEqual([EVENTS - 3, EVENTS - 2, EVENTS - 1]);
    expect(events.readByType("tenth", { limit: 2, reverse: true }).map(({ payload }) => payload)).toEqual([
      EVENTS - 10,
      EVENTS - 20,
    ]);
    expect(db.verify().valid).toBe(true);
    await db.close();
  },
  120_000,
);

test("the hash of an event is what the format says, computed by somebody else", async () => {
  const { run } = await reachableRun();
  const previous = run.events.append("a", 1).hash;
  const { hash } = run.events.append("b", { x: [1, "y"] });
  const [bytes, previousHash] = run.writer.get(TABLE, "1".padStart(16, "0")) as [Uint8Array, Uint8Array, Uint8Array];
  expect(previousHash).toEqual(previous);
  expect(new Uint8Array(createHash("sha256").update(bytes).update(previous).digest())).toEqual(hash);
});
