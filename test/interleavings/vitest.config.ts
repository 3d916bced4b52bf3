/**
 * Interleavings: workers stepped at every access to what they share, killed at every step, and under no scheduler at all:
 * `npx vitest run --config test/interleavings/vitest.config.ts`.
 *
 * They need what `node scripts/build.mjs --all` makes. `HOLDFAST_SCALE` multiplies the random cases, `HOLDFAST_SEED` replays
 * a run.
 */
import { resolve } from "node:path";
import { defineConfig } from "vitest/config";
import unit from "../../vitest.config.js";

const TEST_TIMEOUT_MS = 600_000;

export default defineConfig({
  ...unit,
  root: resolve(import.meta.dirname, "../.."),
  test: { ...unit.test, include: ["test/interleavings/**/*.test.ts"], testTimeout: TEST_TIMEOUT_MS },
});
