/**
 * What the graph does with stored lines and values that are none of its own: a typed error or a whole answer when they are
 * read, a finding for `verify`, an end to every walk, and an index that is whole again after `rebuild`.
 */
import { describe, expect, test, vi } from "vitest";
import { memory } from "../../src/adapters/memory.js";
import { TransactionWriter } from "../../src/host/transaction-writer.js";
import { Database, HoldfastError, type Run, type Transaction, type Value } from "../../src/index.js";
import { randomFrom } from "../support/seeded-random.js";

const GRAPH = 4;
const INDEX = 12;
const VISITS_MAX = 1000;

/** A graph of three nodes in a row, `1 → 2 → 3`, with edges 4 and 5, an index, and a loop 7 at node 3. */
async function open(): Promise<Run> {
  const db = await Database.open({ storage: memory() });
  const run = db.run("r");
  const { graph } = run;
  const [a, b, c] = [graph.addNode("a", { p: 1 }), graph.addNode(["a", "b"], { p: 1 }), graph.addNode("b")];
  graph.addEdge(a, b, "t");
  graph.addEdge(b, c, "u", { w: 1 });
  graph.createIndex("a", "p");
  graph.addEdge(c, c, "t");
  return run;
}

function put(run: Run, table: number, key: string, value: unknown): void {
  run.writer.put(table, key, value as Value, undefined);
}

/** Everything that reads; none of it may go on for ever. */
const READS: Readonly<Record<string, (run: Run) => unknown>> = {
  getNode: ({ graph }) => [graph.getNode(1), graph.getNode(2), graph.getNode(3)],
  getEdge: ({ graph }) => [graph.getEdge(4), graph.getEdge(5), graph.getEdge(7)],
  nodes: ({ graph }) => graph.nodes(),
  edges: ({ graph }) => graph.edges(),
  nodesByLabel: ({ graph }) => graph.nodesByLabel("a"),
  findNodes: ({ graph }) => [graph.findNodes("a", "p", 1), graph.findNodes("b", "p", 1)],
  indexes: ({ graph }) => graph.indexes(),
  neighbors: ({ graph }) => [1, 2, 3].map((id) => graph.neighbors(id, { direction: "both" })),
  bfs: ({ graph }) => [...graph.bfs(1, { direction: "both", limit: VISITS_MAX })],
  "bfs of a type": ({ graph }) => [...graph.bfs(1, { type: "t", limit: VISITS_MAX })],
  shortestPath: ({ graph }) => [graph.shortestPath(1, 3), graph.shortestPath(3, 1, { direction: "both" })],
};

const WRITES: Readonly<Record<string, (run: Run) => unknown>> = {
  addNode: ({ graph }) => graph.addNode("a", { p: 2 }),
  addEdge: ({ graph }) => graph.addEdge(1, 3, "t"),
  patchNode: ({ graph }) => graph.patchNode(2, { p: 3 }),
  updateNode: ({ graph }) => graph.updateNode(3, { labels: "c" }),
  patchEdge: ({ graph }) => graph.patchEdge(5, { w: 2 }),
  createIndex: ({ graph }) => graph.createIndex("b", "p"),
  dropIndex: ({ graph }) => graph.dropIndex("a", "p"),
  deleteEdge: ({ graph }) => graph.deleteEdge(4),
  deleteNode: ({ graph }) => graph.deleteNode(2),
};

function outcome(use: () => unknown): string {
  try {
    const result = use();
    return Array.isArray(result) && result.length >= VISITS_MAX ? "without end" : "answered";
  } catch (error) {
    return HoldfastError.is(error) ? error.code : `untyped: ${error}`;
  }
}

const FOREIGN: readonly unknown[] = [
  null,
  1,
  "x",
  [],
  {},
  [[], {}, 1],
  ["a", {}],
  [[1], {}],
  [["a"], []],
  [["a"], new Uint8Array(1)],
  [1, 2, "t", []],
  [0, 2, "t", {}],
  [1.5, 2, "t", {}],
  [1, "2", "t", {}],
  [1, 2, 3, {}],
  [1n, 2n, "t", {}],
  { a: { p: "x" } },
  { a: { p: 0 } },
  { a: 1 },
  { a: [1] },
];

/** Keys that the graph would never write, in its own tables. */
const LINES: readonly string[] = [
  "oa1\u0000",
  "oa1\u0000a4",
  "oa1\u0000a4a",
  "oa1\u0000a4a0t",
  "oa1\u0000a4b02t",
  "oa1\u0000a4a:t",
  "oa1\u0000a4a/t",
  "oa1\u0000a4p9007199254740992t",
  "oa1\u0000a4p9999999999999999t",
  "oa1\u0000a4q12345678901234567t",
  "oa1\u0000zzzz",
  "oa1\u0000a0a2t",
  "oa1\u0000a9a8t",
  "ia1\u0000a9a8t",
  "oa0\u0000a9a0t",
  "na\u0000",
  "n\u0000a9",
  "n\u0000a0",
  "n\u0000x",
  "la\u0000a9",
  "la\u0000",
  "la\u0000a1x",
  "pa6\u0000a1",
  "p",
  "l",
  "o",
  "i",
  "n",
  "#\u0000x",
  "#\u0000p9999999999999999",
];

describe("a value or a line that is none of the graph's own", () => {
  test("gives a typed error or an answer, and never an endless walk", async () => {
    for (const foreign of FOREIGN) {
      for (const [table, key] of [
        [GRAPH, "na2"],
        [GRAPH, "ea5"],
        [INDEX, "x\u0000"],
      ] as const) {
        const run = await open();
        put(run, table, key, foreign);
        const what = `${key} ${JSON.stringify(foreign, (_, item: unknown) => (typeof item === "bigint" ? `${item}` : item))}`;
        for (const [name, read] of Object.entries({ ...READS, ...WRITES })) {
          expect(["answered", "CORRUPTION", "NOT_FOUND"], `${name} over ${what}`).toContain(outcome(() => read(run)));
        }
      }
    }
    for (const line of LINES) {
      const run = await open();
      put(run, INDEX, line, null);
      for (const [name, read] of Object.entries({ ...READS, ...WRITES })) {
        const what = `${name} over ${JSON.stringify(line)}`;
        expect(["answered", "CORRUPTION"], what).toContain(outcome(() => read(run)));
      }
    }
  });

  test("is found by verify, and what is wrong with the index is mended by rebuild", async () => {
    for (const line of LINES.filter((each) => !each.startsWith("#"))) {
      const run = await open();
      put(run, INDEX, line, null);
      const { valid, problems } = run.graph.verify();
      expect([valid, problems.length], JSON.stringify(line)).toEqual([false, 1]);
      expect(run.graph.rebuild().valid, JSON.stringify(line)).toBe(false);
      expect(run.graph.verify(), JSON.stringify(line)).toEqual({ valid: true, nodes: 3, edges: 3, problems: [] });
      for (const [name, read] of Object.entries(READS))
        expect(
          outcome(() => read(run)),
          name,
        ).toBe("answered");
    }
  });

  test("a line that is missing is found and put back", async () => {
    const whole = await open();
    const keys = whole.writer.keys(INDEX, undefined).filter((key) => /^[noilp]/.test(key));
    const before = Object.values(READS).map((read) => read(whole));
    expect(keys.length).toBe(15);
    for (const key of keys) {
      const run = await open();
      run.writer.delete(INDEX, key, undefined);
      expect(run.graph.verify().problems, key).toEqual([`The index lacks ${JSON.stringify(key)}`]);
      run.graph.rebuild();
      expect(run.graph.verify().valid, key).toBe(true);
      expect(Object.values(READS).map((read) => read(run))).toEqual(before);
    }
  });

  test("which properties are indexed, where that cannot be read, is none any more after rebuild, as errors promise", async () => {
    for (const foreign of [1, { a: 1 }, { a: { p: "x" } }]) {
      const run = await open();
      put(run, INDEX, "x\u0000", foreign);
      expect(run.graph.verify().valid).toBe(false);
      run.graph.rebuild();
      expect(run.graph.verify().valid, JSON.stringify(foreign)).toBe(true);
      expect(run.graph.indexes()).toEqual([]);
      run.graph.createIndex("a", "p");
      expect(run.graph.findNodes("a", "p", 1).length).toBe(2);
      expect(run.graph.verify().valid).toBe(true);
    }
  });

  test("which properties are indexed, where it cannot be read for want of a lock, stays as it is", async () => {
    // BUSY was taken for damage: rebuild dropped every index of a sound graph.
    const run = await open();
    const busy = (): never => {
      throw new HoldfastError("BUSY", "Somebody else has the lock.");
    };
    for (const use of [(tx: Transaction) => tx.graph.rebuild(), (tx: Transaction) => tx.graph.verify()]) {
      const transaction = run.begin();
      const get = vi.spyOn(TransactionWriter.prototype, "get").mockImplementationOnce(busy);
      expect(outcome(() => use(transaction))).toBe("BUSY");
      expect(get.mock.calls).toEqual([[INDEX, "x\u0000"]]);
      get.mockRestore();
      transaction.commit();
    }
    expect(run.graph.indexes()).toEqual([{ label: "a", property: "p" }]);
    expect(run.graph.verify()).toEqual({ valid: true, nodes: 3, edges: 3, problems: [] });
  });

  test("ids that nothing says were given, or that nobody can read, are found and said again", async () => {
    const run = await open();
    run.writer.delete(INDEX, "#\u0000a0", undefined);
    expect(run.graph.verify().problems).toEqual(["The id 7 would be given again"]);
    put(run, INDEX, "#\u0000x", null);
    expect(run.graph.verify().problems).toHaveLength(2);
    run.graph.rebuild();
    expect(run.graph.verify().problems).toEqual([]);
    expect(run.writer.keys(INDEX, { prefix: "#\u0000" })).toEqual(["#\u0000a0"]);
    run.transaction((tx) => {
      tx.graph.addNode("a");
      expect(tx.graph.verify().problems).toEqual([]);
    });
  });

  test("a walk along damaged lines ends", { timeout: 10_000 }, async () => {
    // A node 0 was none to the set of those that were seen, so that a walk came to it again and again.
    const run = await open();
    put(run, INDEX, "oa1\u0000a9a0t", null);
    put(run, INDEX, "oa0\u0000a9a0t", null);
    put(run, INDEX, "ia3\u0000a9a0t", null);
    put(run, INDEX, "ia0\u0000a9a0t", null);
    expect(outcome(() => [...run.graph.bfs(1, { limit: VISITS_MAX })])).toBe("CORRUPTION");
    expect(outcome(() => run.graph.shortestPath(2, 3, { depth: VISITS_MAX }))).toBe("CORRUPTION");
  });

  test("any bytes in place of any line leave nothing but answers and typed errors", async () => {
    const seed = Number(process.env["HOLDFAST_SEED"] ?? 20_261);
    const random = randomFrom(seed);
    console.info(`damaged graphs: seed ${seed}`);
    for (let trial = 0; trial < 300; trial++) {
      const run = await open();
      const keys = run.writer.keys(INDEX, undefined);
      for (let i = 0; i < 3; i++) {
        const key = keys[Math.floor(random() * keys.length)] as string;
        const at = 1 + Math.floor(random() * key.length);
        const damaged =
          key.slice(0, at) + String.fromCharCode(Math.floor(random() * 128)) + key.slice(at + Math.floor(random() * 2));
        run.writer.delete(INDEX, key, undefined);
        put(run, INDEX, damaged, null);
      }
      for (const [name, use] of Object.entries({ ...READS, ...WRITES })) {
        expect(["answered", "CORRUPTION", "NOT_FOUND"], `${name}, seed ${seed}, trial ${trial}`).toContain(
          outcome(() => use(run)),
        );
      }
    }
  });
});
