/**
 * Tests that kill real processes and watch real system calls: `npx vitest run --config test/crash/vitest.config.ts`.
 *
 * They need what `node scripts/build.mjs --all` makes, because their children run the built package.
 */
import { resolve } from "node:path";
import { defineConfig } from "vitest/config";
import unit from "../../vitest.config.js";

const TEST_TIMEOUT_MS = 180_000;
/** Of the tests of one file that may run beside one another: each has a process of its own. */
const PROCESSES_AT_ONCE = 2;

export default defineConfig({
  ...unit,
  root: resolve(import.meta.dirname, "../.."),
  test: {
    ...unit.test,
    include: ["test/crash/**/*.test.ts"],
    testTimeout: TEST_TIMEOUT_MS,
    maxConcurrency: PROCESSES_AT_ONCE,
  },
});
