/**
 * Tests over servers of NATS that they start themselves: `npx vitest run --config test/nats/vitest.config.ts`.
 *
 * They need what `node scripts/build.mjs` makes, because their children run the built package. `HOLDFAST_PLANT` plants one of the
 * faults of `plants.ts` in the sources.
 */
import { basename, resolve } from "node:path";
import { defineConfig, type Plugin } from "vitest/config";
import unit from "../../vitest.config.js";
import { PLANTS } from "./plants.js";

const TEST_TIMEOUT_MS = 240_000;

const changes = PLANTS[Number(process.env.HOLDFAST_PLANT ?? Number.NaN)]?.changes ?? [];

function planted(): Plugin {
  return {
    name: "planted",
    enforce: "pre",
    transform: {
      filter: { id: /[\\/]src[\\/](adapters[\\/]nats|fleet[\\/]).*\.ts$/ },
      handler(code, id) {
        const here = changes.filter(({ file }) => file === basename(id));
        return here.reduce((changed, { from, to }) => {
          if (!changed.includes(from)) throw new Error(`There is no ${from} in ${id}`);
          return changed.replace(from, to);
        }, code);
      },
    },
  };
}

export default defineConfig({
  ...unit,
  plugins: [...(unit.plugins ?? []), planted()],
  root: resolve(import.meta.dirname, "../.."),
  test: {
    ...unit.test,
    include: ["test/nats/**/*.test.ts"],
    testTimeout: TEST_TIMEOUT_MS,
    hookTimeout: TEST_TIMEOUT_MS,
  },
});
