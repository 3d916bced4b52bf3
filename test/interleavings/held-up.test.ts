/** Commits that are held up while others write on, prune, and come to hold something (held-up.ts). */
import { expect, it } from "vitest";
import { SCALE, SEED } from "../support/durability-report.js";
import { Harness } from "./harness.js";
import { heldUp } from "./held-up.js";
import { HELD_UP_SCRIPTS } from "./scripts.js";

/** With one in so many schedules; which of them the seed says. */
const STRIDE = Math.max(1, Math.round(5 / SCALE));

it.each(HELD_UP_SCRIPTS)("$name", async (script) => {
  const harness = await Harness.of("build/stepped.wasm");
  try {
    expect(heldUp(harness, script, STRIDE, SEED % STRIDE), `HOLDFAST_SEED=${SEED}`).toBeUndefined();
    expect(harness.runs).toBeGreaterThan(1_000);
  } finally {
    await harness.close();
  }
});
