/**
 * A real graph: who imports whom among the sources of this project and all that it stands on, thousands of modules. What the
 * store says of it is what a plain traversal says.
 */
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { importGraph } from "../../bench/work/import-graph.mjs";
import { memory } from "../../src/adapters/memory.js";
import { Database, type GraphDirection, type GraphVisit, type Run } from "../../src/index.js";
import { GraphModel } from "../model/graph-oracle.js";
import { randomFrom } from "../support/seeded-random.js";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const WRITES_PER_TRANSACTION = 3000;
const MODULES_LEAST = 2000;
const IMPORTS_LEAST = 5000;
const DIRECTIONS: readonly GraphDirection[] = ["out", "in", "both"];
const PAIRS = 200;
const TIMEOUT_MS = 120_000;

const { modules, imports } = importGraph(ROOT, ["src", "test", "node_modules"]);
const SEED = Number(process.env["HOLDFAST_SEED"] ?? 9);
let db: Database;
let run: Run;
const idOf = new Map<string, number>();
const model = new GraphModel();

/** Does something to every item, so many in each transaction. */
function inParts<T>(items: readonly T[], each: (graph: Run["graph"], item: T) => void): void {
  for (let at = 0; at < items.length; at += WRITES_PER_TRANSACTION) {
    run.transaction(({ graph }) => {
      for (const item of items.slice(at, at + WRITES_PER_TRANSACTION)) each(graph, item);
    });
  }
}

const packageOf = (module: string): string => /.*node_modules\/((@[^/]+\/)?[^/]+)/.exec(module)?.[1] ?? "";
const typeOf = (from: string, to: string): string => (packageOf(from) === packageOf(to) ? "within" : "across");

/** The plain graph as lists, which a model of two maps is too slow for. */
const around = { out: new Map<number, number[]>(), in: new Map<number, number[]>() };
const edgesBetween = new Map<string, number[]>();

function note<K>(lists: Map<K, number[]>, key: K, item: number): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [item]);
  else list.push(item);
}

function next(node: number, direction: GraphDirection): number[] {
  const [out, back] = [around.out.get(node) ?? [], around.in.get(node) ?? []];
  return direction === "out" ? out : direction === "in" ? back : [...out, ...back];
}

function plainWalk(start: number, direction: GraphDirection): GraphVisit[] {
  const visits: GraphVisit[] = [{ node: start, depth: 0, parent: undefined }];
  const seen = new Set([start]);
  for (let level = visits.slice(); level.length > 0; ) {
    const found: GraphVisit[] = [];
    for (const { node: parent, depth } of level) {
      for (const node of next(parent, direction)) {
        if (seen.has(node)) continue;
        seen.add(node);
        found.push({ node, depth: depth + 1, parent });
      }
    }
    level = found.sort((a, b) => a.node - b.node);
    visits.push(...level);
  }
  return visits;
}

/** The path that the store promises: the least next node at each step, over the least edges. */
function plainPath(source: number, target: number, left: ReadonlyMap<number, number>): unknown {
  const length = left.get(source);
  if (length === undefined) return undefined;
  const nodes = [source];
  const edges: number[] = [];
  for (let depth = length; depth > 0; depth--) {
    const at = nodes.at(-1) as number;
    const to = Math.min(...next(at, "out").filter((node) => left.get(node) === depth - 1));
    edges.push(Math.min(...(edgesBetween.get(`${at} ${to}`) ?? [])));
    nodes.push(to);
  }
  expect(nodes.at(-1)).toBe(target);
  return { nodes, edges };
}

beforeAll(async () => {
  console.info(`imports: ${modules.length} modules, ${imports.length} imports, seed ${SEED}`);
  db = await Database.open({ storage: memory() });
  run = db.run("imports");
  run.graph.createIndex("module", "path");
  inParts(modules, (graph, path) => {
    const labels = path.startsWith("node:") ? ["module", "builtin"] : "module";
    idOf.set(path, graph.addNode(labels, { path, package: packageOf(path) }));
  });
  inParts(imports, (graph, [from, to]) => {
    const [source, target] = [idOf.get(from) as number, idOf.get(to) as number];
    const edge = graph.addEdge(source, target, typeOf(from, to));
    note(around.out, source, target);
    note(around.in, target, source);
    note(edgesBetween, `${source} ${target}`, edge);
    model.edges.set(edge, { id: edge, source, target, type: typeOf(from, to), properties: {} });
  });
}, TIMEOUT_MS);

afterAll(() => db.close());

describe("the import graph of everything in node_modules", () => {
  const random = randomFrom(SEED);
  const anyModule = (): number => idOf.get(modules[Math.floor(random() * modules.length)] as string) as number;

  test("is large, the same each time, and sound", { timeout: TIMEOUT_MS }, () => {
    expect(modules.length).toBeGreaterThan(MODULES_LEAST);
    expect(imports.length).toBeGreaterThan(IMPORTS_LEAST);
    expect(importGraph(ROOT, ["src", "test", "node_modules"])).toEqual({ modules, imports });
    const report = { valid: true, nodes: modules.length, edges: imports.length, problems: [] };
    expect(run.graph.verify()).toEqual(report);
    expect(db.verify()).toEqual({ valid: true });
    expect([run.graph.nodeCount(), run.graph.edgeCount()]).toEqual([modules.length, imports.length]);
  });

  test("each module is found by its path, and knows its neighbours", { timeout: TIMEOUT_MS }, () => {
    for (const [path, id] of idOf) {
      const found = run.graph.findNodes("module", "path", path);
      expect(found.map((node) => node.id)).toEqual([id]);
      for (const direction of ["out", "in"] as const) {
        const near = run.graph.neighbors(id, { direction });
        if (near.length === 0 && next(id, direction).length === 0) continue;
        expect(near.map(({ node }) => node)).toEqual(next(id, direction));
        expect(run.graph.degree(id, { direction })).toBe(near.length);
      }
    }
    const crossing = imports.filter(([from, to]) => typeOf(from, to) === "across").length;
    const counted = modules.reduce(
      (sum, path) => sum + run.graph.degree(idOf.get(path) as number, { type: "across" }),
      0,
    );
    expect(counted).toBe(crossing);
    run.graph.dropIndex("module", "path");
    const scanned = modules.slice(0, 3).map((path) => run.graph.findNodes("module", "path", path).map(({ id }) => id));
    expect(scanned).toEqual(modules.slice(0, 3).map((path) => [idOf.get(path)]));
    run.graph.createIndex("module", "path");
    expect(run.graph.findNodes("module", "path", modules[5] as string).map(({ id }) => id)).toEqual([
      idOf.get(modules[5] as string),
    ]);
  });

  test("walks come to what a plain traversal comes to, in its order", { timeout: TIMEOUT_MS }, () => {
    const entries = ["src/index.ts", "test/unit/contract.test.ts", "node:fs", "node_modules/vitest/dist/index.js"];
    const starts = [
      ...entries.flatMap((path) => idOf.get(path) ?? []),
      anyModule(),
      anyModule(),
      anyModule(),
      anyModule(),
    ];
    let visited = 0;
    for (const start of starts) {
      for (const direction of DIRECTIONS) {
        const expected = plainWalk(start, direction);
        expect([...run.graph.bfs(start, { direction })]).toEqual(expected);
        const near = expected.filter(({ depth }) => depth <= 2);
        expect([...run.graph.bfs(start, { direction, depth: 2 })]).toEqual(near);
        visited += expected.length;
      }
      const typed = [...run.graph.bfs(start, { type: "within", depth: 2 })];
      expect(typed).toEqual(
        model.nodes.set(start, { id: start, labels: [], properties: {} }) &&
          model.bfs(start, { direction: "out", types: ["within"] }, 2),
      );
    }
    expect(visited).toBeGreaterThan(modules.length);
    console.info(`imports: ${visited} visits of ${starts.length} starts`);
  });

  test("shortest paths between pairs are the ones that are promised", { timeout: TIMEOUT_MS }, () => {
    let found = 0;
    for (let pair = 0; pair < PAIRS; pair += 10) {
      const target = pair % 20 === 0 ? (idOf.get("node:fs") as number) : anyModule();
      const reaching = plainWalk(target, "in");
      const left = new Map(reaching.map(({ node, depth }) => [node, depth]));
      for (let i = 0; i < 10; i++) {
        // From most modules of a package there is no path to another's: half of them are such that there is one.
        const source = i % 2 === 0 ? (reaching[Math.floor(random() * reaching.length)]?.node as number) : anyModule();
        const expected = plainPath(source, target, left);
        expect(run.graph.shortestPath(source, target)).toEqual(expected);
        if (expected !== undefined) found++;
      }
    }
    expect(found).toBeGreaterThanOrEqual(PAIRS / 2);
    console.info(`imports: ${found} paths of ${PAIRS} pairs`);
  });

  test("a hub that is deleted takes its edges along, and a snapshot keeps them", { timeout: TIMEOUT_MS }, () => {
    const [hub, degree] = [...around.in].reduce<[number, number]>(
      (most, [node, { length }]) => (length > most[1] ? [node, length] : most),
      [0, 0],
    );
    const snapshot = run.snapshot();
    const before = plainWalk(hub, "both");
    const edges = run.graph.degree(hub, { direction: "both" });
    expect(run.graph.deleteNode(hub)).toBe(true);
    expect([snapshot.graph.degree(hub, { direction: "in" }), run.graph.degree(hub, { direction: "in" })]).toEqual([
      degree,
      0,
    ]);
    expect([...snapshot.graph.bfs(hub, { direction: "both" })]).toEqual(before);
    expect([...run.graph.bfs(hub)]).toEqual([]);
    expect(run.graph.verify()).toEqual({
      valid: true,
      nodes: modules.length - 1,
      edges: imports.length - edges,
      problems: [],
    });
    snapshot.dispose();
    expect(db.verify()).toEqual({ valid: true });
  });
});
