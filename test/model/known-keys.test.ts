/**
 * Whoever knows where a key stands sees what one who asks sees (known.ts). `HOLDFAST_MODEL_SEED=…` does a failure again.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Database } from "../../src/index.js";
import { BUILDS, moduleOf } from "../support/builds.js";
import { SEED, TIMEOUT_MS, TIMES } from "./follow.js";
import { knownModelOf } from "./known.js";

const SEQUENCES = 400;

console.info(`known keys: seed ${SEED}`);

describe.each(BUILDS)("the $name build", (build) => {
  it("reads what is there, known or not", { timeout: TIMEOUT_MS }, () =>
    fc.assert(knownModelOf(build), { numRuns: Math.ceil(SEQUENCES * TIMES), seed: SEED }),
  );

  it("reads what is there where each read is of another key, and of a few again", { timeout: TIMEOUT_MS }, async () => {
    const database = await Database.open({
      wasm: await moduleOf(build),
      shared: build.shared,
      durability: "in-memory",
    });
    const { kv } = database.run("r");
    const keys = Array.from({ length: 20_000 }, (_, i) => `key ${i}`);
    const expected: number[] = [];
    for (const [round, count] of [20_000, 20_000, 50, 20_000, 50].entries()) {
      for (const [i, key] of keys.entries()) {
        if (round > 0 && (i + round) % 3 > 0) continue;
        expected[i] = i * 10 + round;
        kv.put(key, expected[i]);
      }
      let wrong = 0;
      for (let read = 0; read < 60_000; read++) {
        if (kv.get(keys[read % count] as string) !== expected[read % count]) wrong++;
      }
      expect(wrong, `round ${round}`).toBe(0);
    }
    await database.close();
  });
});
