/**
 * Unit tests run on the sources of the host and on a core that was built before.
 *
 * `HOLDFAST_CORE=debug` takes the debug build of the core: same tests, with asserts on. Only the place of the module
 * differs, so wherever the sources say `new URL("….wasm", import.meta.url)`, the URL of the chosen build is put in.
 */
import { pathToFileURL } from "node:url";
import { defineConfig, type Plugin } from "vitest/config";

const TEST_TIMEOUT_MS = 60_000;

const core = process.env.HOLDFAST_CORE === "debug" ? "debug" : "release";

const MODULES = {
  release: { single: "dist/single.wasm", shared: "dist/shared.wasm" },
  debug: { single: "build/single-debug.wasm", shared: "build/shared-debug.wasm" },
} as const;

const MODULE_URL = /new URL\(\s*["'`][^"'`]*?\b(single|shared)\.wasm["'`]\s*,\s*import\.meta\.url\s*,?\s*\)/g;

function builtCore(): Plugin {
  return {
    name: "built-core",
    enforce: "pre",
    transform: {
      filter: { id: /[\\/]src[\\/].*\.ts$/, code: /\.wasm/ },
      handler(code) {
        return code.replace(MODULE_URL, (_, build: "single" | "shared") => {
          const path = new URL(MODULES[core][build], pathToFileURL(`${import.meta.dirname}/`));
          return `new URL(${JSON.stringify(path.href)})`;
        });
      },
    },
  };
}

export default defineConfig({
  plugins: [builtCore()],
  test: {
    // The model tests choose their builds themselves, so that one run of them covers all four.
    include: core === "debug" ? ["test/unit/**/*.test.ts"] : ["test/unit/**/*.test.ts", "test/model/**/*.test.ts"],
    // These run the built package, or no core at all; what workers do to one log is stepped with asserts on (test/interleavings).
    exclude:
      core === "debug"
        ? [
            "test/unit/{cli,codec,demo,docs,package,example-browser,example-edge,graph-example,scorecard,bench-page,bench-runtimes,bench-compare,bench-ycsb,bench-core,shared-log}.test.ts",
          ]
        : [],
    pool: "forks",
    testTimeout: TEST_TIMEOUT_MS,
    hookTimeout: TEST_TIMEOUT_MS,
  },
});
