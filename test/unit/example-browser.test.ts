/**
 * The example for browsers keeps up with the library: it type-checks against the built package, its agent keeps its run as
 * it says, and what vite makes of it has the core in it, byte for byte, and nothing to warn of.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Database } from "holdfast";
import { build, createLogger } from "vite";
import { expect, test } from "vitest";
import { begin, RUN, startOver, stepsDone, TASK_TRACE, takeStep } from "../../examples/browser/agent.js";
import { PLAN } from "../../examples/browser/plan.js";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const EXAMPLE = join(ROOT, "examples/browser");

test("the browser example type-checks against the built package", () => {
  const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
  const { stdout, status } = spawnSync(process.execPath, [tsc, "-p", EXAMPLE], { encoding: "utf8" });
  expect({ stdout, status }).toEqual({ stdout: "", status: 0 });
});

test("the browser example's agent moves its cursor, its traces and its decisions together", async () => {
  const db = await Database.open({ durability: "in-memory" });
  const run = begin(db);
  for (let step = 1; step <= PLAN.length; step++) {
    takeStep(db, run);
    expect(stepsDone(begin(db))).toBe(step);
    expect(run.traces.children(TASK_TRACE)).toHaveLength(step);
    expect(run.events.readByType("decision")).toHaveLength(step);
    expect(run.kv.count("note:")).toBe(step);
  }
  expect(takeStep(db, run)).toBeUndefined();
  expect(db.runs.get(RUN)?.status).toBe("completed");
  expect(run.events.verify()).toEqual({ valid: true, length: PLAN.length });

  const again = startOver(db);
  expect(db.runs.get(RUN)?.status).toBe("active");
  expect([stepsDone(again), again.traces.count(), again.events.length, again.kv.count()]).toEqual([0, 1, 0, 0]);
  await db.close();
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
