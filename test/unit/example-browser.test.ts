/**
 * The sandbox for browsers keeps up with the library: it type-checks against the built package, its agent keeps its run as it
 * says, its inspector answers from any database, and what vite makes of it has the core in it, byte for byte, and nothing to
 * warn of. What a person does to it in a browser is test/example-browser/.
 */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Database } from "holdfast";
import { build, createLogger } from "vite";
import { expect, test } from "vitest";
import { begin, RUN, standing, startOver, takeStep } from "../../examples/browser/agent/agent.js";
import { editsOf } from "../../examples/browser/agent/edits.js";
import { FILES } from "../../examples/browser/agent/project.js";
import { Meter } from "../../examples/browser/inspector/meter.js";
import { Probe } from "../../examples/browser/inspector/probe.js";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const EXAMPLE = join(ROOT, "examples/browser");
/** How many steps the agent's way to the end has, always. */
const STEPS = 59;

test("the browser example type-checks against the built package", () => {
  const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
  const { stdout, status } = spawnSync(process.execPath, [tsc, "-p", EXAMPLE], { encoding: "utf8" });
  expect({ stdout, status }).toEqual({ stdout: "", status: 0 });
});

/** Takes the agent to the end, and says what it has done in each step. */
async function goOn(db: Database): Promise<string[]> {
  const run = begin(db);
  if (db.runs.get(RUN)?.status === "paused") db.runs.resume(RUN);
  while (await takeStep(db, run));
  return [...run.events.range()].map(({ type, payload }) => `${type} ${JSON.stringify(payload)}`);
}

test("the sandbox's agent mends the shop, each step one transaction", async () => {
  const db = await Database.open({ durability: "in-memory" });
  const run = begin(db);
  db.runs.resume(RUN);
  for (let step = 1; step <= STEPS; step++) {
    const before = run.version;
    await takeStep(db, run);
    expect(standing(db, run).step).toBe(step);
    expect(run.events.length).toBeGreaterThanOrEqual(step + 1);
    // The last step is followed by the commit that completes the run.
    expect(run.version - before).toBe(step === STEPS ? 2 : 1);
  }
  expect(standing(db, run)).toMatchObject({ phase: "done", status: "completed" });
  expect(await takeStep(db, run)).toBe(false);
  expect(run.events.verify()).toEqual({ valid: true, length: STEPS + 2 });
  expect(run.graph.nodeCount()).toBe(Object.keys(FILES).length);
  expect(run.kv.keys({ prefix: "before:" })).toEqual([]);
  for (const [, report] of run.kv.list({ prefix: "result:" })) expect(report).toMatchObject({ failed: 0 });

  const again = startOver(db);
  expect(standing(db, again)).toMatchObject({ step: 0, phase: "reading", status: "paused" });
  expect([again.traces.count(), again.events.length, again.graph.nodeCount()]).toEqual([1, 1, 0]);
  await db.close();
});

test("the sandbox's agent, moved to another database after any step, goes the same way", async () => {
  const whole = await Database.open({ durability: "in-memory" });
  const way = await goOn(whole);
  await whole.close();
  let db = await Database.open({ durability: "in-memory" });
  db.runs.resume(begin(db).id);
  for (let step = 1; step < STEPS; step++) {
    await takeStep(db, begin(db));
    const moved = await Database.import(db.export(), { durability: "in-memory" });
    await db.close();
    db = moved;
  }
  expect(await goOn(db)).toEqual(way);
  await db.close();
});

test("edits of a text are always the same, change one line each, and never a comment", () => {
  const text = "// a > b\nconst f = (a, b) => a > b && a - b;\n";
  expect(editsOf(text).map(({ line, to }) => `${line} ${to}`)).toEqual([
    "2 const f = (a, b) => a >= b && a - b;",
    "2 const f = (a, b) => a > b || a - b;",
    "2 const f = (a, b) => a > b && a + b;",
  ]);
});

test("the inspector's probe shows the versions that it holds, as they were, and lets go of the others", async () => {
  const db = await Database.open({ durability: "in-memory" });
  const run = db.run("any");
  const probe = new Probe(db, "any", { held: 3, meter: new Meter() });
  const versions: number[] = [];
  for (let n = 1; n <= 5; n++) {
    run.transaction((tx) => {
      tx.kv.put("n", n);
      tx.state.set("cell", n);
      tx.events.append("counted", { n });
    });
    versions.push(run.version);
    probe.note();
  }
  const { held } = probe.answer("overview", {});
  expect(held.map(({ version }) => version)).toEqual(versions.slice(2));
  expect(db.stats().snapshotsHeld).toBe(3);
  const at = versions[2];
  expect(probe.answer("entries", { at, limit: 9 }).found).toMatchObject([{ key: "n", value: 3 }]);
  expect(probe.answer("events", { at, limit: 9 }).length).toBe(3);
  expect(probe.answer("entries", { search: "nothing like it", limit: 9 })).toMatchObject({ matching: 0, total: 1 });
  expect(probe.answer("changes", { version: versions[4] ?? 0 })).toMatchObject({
    since: versions[3],
    lines: [
      { kind: "cell", what: "cell", how: "4 → 5" },
      { kind: "key", what: "n", how: "changed" },
      { kind: "event", what: "4 counted" },
    ],
  });
  probe.dispose();
  expect(db.stats().snapshotsHeld).toBe(0);
  await db.close();
});

test("the inspector knows the public interface and itself, and nothing else", () => {
  const folder = join(EXAMPLE, "inspector");
  const imported = readdirSync(folder)
    .filter((name) => name.endsWith(".ts"))
    .flatMap((name) => [...readFileSync(join(folder, name), "utf8").matchAll(/^(?:import|\} from).*?"([^"]+)";$/gm)])
    .map(([, from]) => from ?? "");
  expect(imported.length).toBeGreaterThan(20);
  expect(imported.filter((from) => from !== "holdfast" && !/^\.\/[\w.-]+$/.test(from))).toEqual([]);
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
