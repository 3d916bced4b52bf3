/**
 * Holdfast in other libraries, by their own tests: `node test/integrations/run.mjs`, which installs what they need.
 *
 * The built package is tested, not the sources, with the libraries' own vitest: their tests import it.
 */
import { resolve } from "node:path";

const TEST_TIMEOUT_MS = 60_000;

export default {
  root: resolve(import.meta.dirname, "../.."),
  test: {
    include: ["test/integrations/*.test.ts"],
    // LangGraph's tests expect the names of vitest to be global.
    globals: true,
    pool: "forks",
    testTimeout: TEST_TIMEOUT_MS,
    hookTimeout: TEST_TIMEOUT_MS,
  },
};
