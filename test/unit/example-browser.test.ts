/**
 * The example for browsers keeps up with the library: it type-checks against the built package, and what vite makes of it
 * has the core in it, byte for byte, and nothing to warn of.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, createLogger } from "vite";
import { expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const EXAMPLE = join(ROOT, "examples/browser");

test("the browser example type-checks against the built package", () => {
  const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
  const { stdout, status } = spawnSync(process.execPath, [tsc, "-p", EXAMPLE], { encoding: "utf8" });
  expect({ stdout, status }).toEqual({ stdout: "", status: 0 });
});

test("the browser example is bundled without a warning, and finds its core beside it", async () => {
  const logged: string[] = [];
  const customLogger = createLogger("silent");
  customLogger.warn = customLogger.warnOnce = customLogger.error = (message) => logged.push(message);

  const built = await build({ root: EXAMPLE, customLogger, build: { write: false } });
  const files = [built].flat().flatMap((result) => ("output" in result ? result.output : []));

  expect(logged).toEqual([]);
  expect(files.map(({ fileName }) => fileName)).toContain("index.html");
  const core = files.find(({ fileName }) => /single.*\.wasm$/.test(fileName));
  const bytes = core?.type === "asset" ? Buffer.from(core.source) : undefined;
  expect(bytes).toEqual(readFileSync(join(ROOT, "dist/single.wasm")));
});
