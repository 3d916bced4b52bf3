/**
 * The store on a simulated file system, everything from one seed: `npx vitest run --config test/simulation/vitest.config.ts`.
 *
 * `HOLDFAST_SEED` replays a run, `HOLDFAST_SCALE` makes it longer. Faults are planted by loading the sources once more with
 * `?plant=…`: see `plants.ts`.
 */
import { resolve } from "node:path";
import { defineConfig } from "vitest/config";
import unit from "../../vitest.config.js";
import { plantedSources } from "./plants.js";

const TEST_TIMEOUT_MS = 600_000;

export default defineConfig({
  ...unit,
  plugins: [plantedSources(), ...(unit.plugins ?? [])],
  root: resolve(import.meta.dirname, "../.."),
  test: { ...unit.test, include: ["test/simulation/**/*.test.ts"], testTimeout: TEST_TIMEOUT_MS },
});
