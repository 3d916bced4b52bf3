/**
 * A worker dies in the middle of changing a run, at every access to memory that a commit makes, one after another: the run is
 * as it was, or is refused and rebuilt from the log. What was acknowledged of it is there with its versions, and nothing else.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { Database, HoldfastError } from "../../src/index.js";
import { SCALE } from "../support/durability-report.js";
import { everyAccessModule, Victim } from "../support/victim.js";

/** Of the accesses of a commit, one in so many is died at. */
const STRIDE = Math.max(1, Math.round(5 / SCALE));
const BUFFERED = 1;
const DEFERRED = 0;

let module: WebAssembly.Module;
const folders: string[] = [];

beforeAll(async () => {
  module = await everyAccessModule();
});

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "holdfast-healing-"));
  folders.push(made);
  return made;
}

/** What a run says of itself, as far as it can be compared. */
function stateOf(db: Database, id: string): unknown {
  const run = db.run(id);
  return {
    version: run.version,
    count: run.count(),
    keys: run.kv.list().map(([key, value]) => [key, value, run.kv.getVersioned(key)?.version]),
    events: run.events.verify(),
    last: run.events.length === 0 ? undefined : run.events.read(run.events.length - 1)?.hash,
    cell: run.state.read("cell"),
    traces: run.traces.list(),
  };
}

function write(db: Database, id: string, n: number): void {
  db.run(id).transaction((tx) => {
    tx.kv.put(`key-${n % 7}`, { n, text: "x".repeat(n * 3) });
    if (n % 3 === 0) tx.kv.delete(`key-${(n + 4) % 7}`);
    tx.events.append("written", n);
    tx.state.transitionOrInit("cell", 0, (before) => [(before as number) + 1, undefined]);
    tx.traces.record({ type: "thought", content: `thought ${n}` }, { tags: [`tag-${n % 2}`] });
  });
}

/** Has a worker die in a put of `run` at an access; whether it did. */
function die(db: Database, id: string, step: number, mode: number): boolean {
  const { memory } = db.share();
  const victim = new Victim(module, memory);
  const run = victim.runOf(id);
  const died = victim.run(() => victim.put(run, "key-1", { by: "the dead" }, mode), step);
  if (!died) victim.core.leave();
  else expect(db.detach(victim.core.worker)).toBe(true);
  return died;
}

function isLost(db: Database, id: string): boolean {
  try {
    db.run(id).kv.get("key-1");
    return false;
  } catch (error) {
    if (HoldfastError.is(error, "CORRUPTION")) return true;
    throw error;
  }
}

async function opened(path = folder()): Promise<Database> {
  return Database.open({ path, shared: true, durability: "buffered" });
}

describe("db.recoverRun", () => {
  it.each([
    ["buffered", BUFFERED],
    ["deferred", DEFERRED],
  ])("rebuilds a run that a worker has died in, at every access of a %s commit", async (_, mode) => {
    const path = folder();
    const db = await opened(path);
    for (let n = 0; n < 20; n++) {
      write(db, "run", n);
      write(db, "other", n);
    }
    let deaths = 0;
    let rebuilt = 0;
    let kept = 0;
    for (let step = 0, died = true; died; step += STRIDE) {
      write(db, "run", 20 + step);
      const before = stateOf(db, "run");
      const other = stateOf(db, "other");
      died = die(db, "run", step, mode);
      if (died) deaths++;
      const wasLost = isLost(db, "run");
      expect(await db.recoverRun("run"), `step ${step}`).toBe(wasLost);
      if (wasLost) rebuilt++;
      const isThere = JSON.stringify(db.run("run").kv.get("key-1")) === JSON.stringify({ by: "the dead" });
      if (isThere) kept++;
      else expect(stateOf(db, "run"), `step ${step}`).toEqual(before);
      expect(stateOf(db, "other")).toEqual(other);
      expect(db.verify(), `step ${step}`).toEqual({ valid: true });
    }
    console.info(`${deaths} deaths, ${rebuilt} runs rebuilt, ${kept} commits of the dead kept`);
    expect(rebuilt).toBeGreaterThan(10);
    write(db, "run", 1);
    const last = stateOf(db, "run");
    await db.close();
    const again = await Database.open(path);
    expect(stateOf(again, "run")).toEqual(last);
    await again.close();
  });
});
