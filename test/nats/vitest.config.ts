/**
 * Tests over servers of NATS that they start themselves: `npx vitest run --config test/nats/vitest.config.ts`.
 *
 * They need what `node scripts/build.mjs` makes, because their children run the built package.
 */
import { resolve } from "node:path";
import { defineConfig } from "vitest/config";
import unit from "../../vitest.config.js";

const TEST_TIMEOUT_MS = 60_000;

export default defineConfig({
  ...unit,
  root: resolve(import.meta.dirname, "../.."),
  test: {
    ...unit.test,
    include: ["test/nats/**/*.test.ts"],
    testTimeout: TEST_TIMEOUT_MS,
    hookTimeout: TEST_TIMEOUT_MS,
  },
});
