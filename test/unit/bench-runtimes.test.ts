/**
 * The workloads that the benchmark runs on every runtime: they run on what there is here, and find out who gives or keeps what is
 * wrong.
 */
import fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Group, measure, type Row, type Store, type Subject } from "../../bench/runtimes/program.mjs";
import { holdfast } from "../../bench/runtimes/subjects/holdfast.mjs";
import { memory } from "../../src/adapters/memory.js";
import { Database } from "../../src/index.js";

const SIZE = { keys: 200, warmUpMs: 0, roundMs: 0, rounds: 2, openings: 1 };
const WORK = ["kv.get", "getMany", "list", "snapshot", "kv.put", "transaction", "events.append", "opening", "loading"];

async function rowsOf(group: Group): Promise<Row[]> {
  const rows: Row[] = [];
  await measure([group], { size: SIZE, report: (line) => void ("row" in line && rows.push(line.row)) });
  return rows;
}

const inMemory = (...subjects: Subject[]): Group => ({ storage: "memory", mode: "in-memory", subjects });
const failuresOf = (rows: readonly Row[]) => rows.flatMap(({ failure }) => failure ?? []);

/** The least that a store can be: a map. */
function mapStore(change: (store: Record<string, unknown>, map: Map<string, unknown>) => void = () => {}): Subject {
  return {
    name: "map",
    open(): Store {
      const map = new Map<string, unknown>();
      const store = {
        keeps: true,
        load(keys: string[], values: unknown[]) {
          for (const [i, key] of keys.entries()) map.set(key, values[i]);
        },
        get: (key: string) => map.get(key),
        put: (key: string, value: unknown) => void map.set(key, value),
      };
      change(store, map);
      return store;
    },
  };
}

describe("the workloads of every runtime", () => {
  test("each is measured on Holdfast in memory", async () => {
    const subject = holdfast({ Database, mode: "in-memory", make: () => ({ storage: memory() }) });
    const rows = await rowsOf(inMemory(subject));
    expect(failuresOf(rows)).toEqual([]);
    expect(rows.map(({ workload }) => workload).sort()).toEqual([...WORK].sort());
    for (const { medianNs = 0, samples = 0 } of rows) expect(medianNs * samples).toBeGreaterThan(0);
  });

  test.each([
    ["synchronously", false],
    ["by awaited transactions", true],
  ])("each is measured on Holdfast in files, written %s, with the bytes that it logs", async (_, later) => {
    const path = fs.mkdtempSync(join(tmpdir(), "hf-bench-"));
    const remove = (): void => fs.rmSync(path, { recursive: true, force: true });
    const subject = holdfast({ Database, mode: "buffered", later, make: () => ({ path }), remove });
    const rows = await rowsOf({ storage: "files", mode: "buffered", subjects: [subject] });
    expect(failuresOf(rows)).toEqual([]);
    expect(rows.map(({ workload }) => workload).sort()).toEqual([...WORK].sort());
    const put = rows.find(({ workload }) => workload === "kv.put");
    expect(put?.bytes).toBeGreaterThan(64);
    expect(fs.existsSync(path)).toBe(false);
  });

  test("a store that offers less is measured on what it offers", async () => {
    const rows = await rowsOf(inMemory(mapStore()));
    expect(failuresOf(rows)).toEqual([]);
    expect(rows.map(({ workload }) => workload)).toEqual(["loading", "kv.get", "kv.put"]);
  });

  test("who gives a wrong value is found out, and the others go on", async () => {
    const wrong = mapStore((store) => {
      store["get"] = () => ({ step: 3 });
    });
    const rows = await rowsOf(inMemory({ ...wrong, name: "wrong" }, mapStore()));
    expect(failuresOf(rows)).toEqual([expect.stringMatching(/^gave \d+ where \d+ is right$/)]);
    const others = rows.filter(({ subject }) => subject === "map");
    expect(others.map(({ workload }) => workload)).toEqual(["loading", "kv.get", "kv.put"]);
  });

  test("who forgets what was put is found out", async () => {
    const forgetful = mapStore((store) => {
      store["put"] = () => {};
    });
    expect(failuresOf(await rowsOf(inMemory(forgetful)))).toEqual([
      expect.stringMatching(/^holds \d+ under key:\d+ where \d+ was put$/),
    ]);
  });

  test("a storage that is not there is said to be missing, and is no failure", async () => {
    const rows = await rowsOf({ ...inMemory(mapStore()), missing: "none here" });
    expect(rows).toEqual([expect.objectContaining({ subject: "map", missing: "none here" })]);
  });
});
