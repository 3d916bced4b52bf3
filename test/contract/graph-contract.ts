/**
 * The graph: nodes and edges with their labels, types and properties; what finds them; walks; ids; and what two transactions
 * on one graph do to one another.
 */
import {
  Database,
  type GraphDirection,
  type GraphEdge,
  type GraphNode,
  type GraphReader,
  type GraphStore,
  type GraphVisit,
  HoldfastError,
  type Run,
  type Transaction,
  type Value,
} from "../../src/index.js";
import { deepEqual, equal, ok, throwsCode } from "./assert.js";
import type { Case } from "./context.js";
import { eachView, HOSTILE_KEYS, hostileObject, nested, onRun, RUN, sampleValues } from "./samples.js";

/** The whole suite. */
export function graphContract(): Case[] {
  return [
    ...nodeCases(),
    ...edgeCases(),
    ...findCases(),
    ...pageCases(),
    ...walkCases(),
    ...pathCases(),
    ...openWalkCases(),
    ...idCases(),
    ...transactionCases(),
    ...conflictCases(),
    ...snapshotCases(),
    ...refusalCases(),
  ];
}

const loose = (value: unknown): never => value as never;
const idsOf = (items: readonly (GraphNode | GraphEdge)[]): number[] => items.map(({ id }) => id);
const DIRECTIONS: readonly GraphDirection[] = ["out", "in", "both"];
const persistent: NonNullable<Case["needs"]> = ({ persistent: is }) => is;
/** The names that mean something elsewhere, or to the index's own keys. */
const NAMES: readonly string[] = [
  ...new Set([...HOSTILE_KEYS, "\u0001", "\u0001\u0001", "\u0001\u0002", "a\u0000", "a\u0001b", "a1", "b10"]),
  "x".repeat(256),
  "\u0000".repeat(256),
  "😀".repeat(64),
];

/** Lets `check` read through every view there is; each must show the same. */
function throughEveryView(db: Database, check: (graph: GraphReader, view: string) => void): void {
  eachView(db, ({ graph }, view) => check(graph, view));
}

function sound(graph: GraphReader, nodes: number, edges: number): void {
  deepEqual(graph.verify(), { valid: true, nodes, edges, problems: [] }, "verify");
}

/** `count` nodes with one label. */
function addNodes(graph: GraphStore, count: number, label = "n"): number[] {
  return Array.from({ length: count }, (_, i) => graph.addNode(label, { i }));
}

/** All that a graph shows, so that two moments of it can be compared. */
function everything(graph: GraphReader): unknown {
  const nodes = graph.nodes();
  return {
    nodes,
    edges: graph.edges(),
    indexes: graph.indexes(),
    counts: [graph.nodeCount(), graph.edgeCount()],
    around: nodes.map(({ id, labels }) => [
      DIRECTIONS.map((direction) => graph.neighbors(id, { direction })),
      [...graph.bfs(id, { direction: "both" })],
      labels.map((label) => idsOf(graph.nodesByLabel(label))),
    ]),
  };
}

/** Makes a checkpoint, where that can be done from here: not in a worker that has attached. */
async function checkpoint(db: Database): Promise<void> {
  await db.checkpoint().catch((error: unknown) => {
    if (!HoldfastError.is(error, "UNSUPPORTED")) throw error;
  });
}

function nodeCases(): Case[] {
  return [
    onRun("where there is nothing, nothing is found, and looking makes no run", (run, db) => {
      throughEveryView(db, (graph, view) => {
        deepEqual([graph.getNode(1), graph.getEdge(1), graph.hasNode(1)], [undefined, undefined, false], view);
        deepEqual([graph.getNodes([1, 2]), graph.getEdges([3])], [[undefined, undefined], [undefined]], view);
        deepEqual(
          [graph.nodes(), graph.edges(), graph.nodesByLabel("a"), graph.findNodes("a", "b", 1)],
          [[], [], [], []],
        );
        deepEqual([graph.nodeCount(), graph.edgeCount(), graph.indexes()], [0, 0, []], view);
        for (const direction of DIRECTIONS) {
          deepEqual([graph.neighbors(1, { direction }), graph.degree(1, { direction })], [[], 0], view);
          deepEqual([...graph.bfs(1, { direction })], [], view);
          equal(graph.shortestPath(1, 2, { direction }), undefined, view);
        }
        equal(graph.shortestPath(1, 1), undefined, view);
        sound(graph, 0, 0);
      });
      deepEqual(
        [run.graph.deleteNode(1), run.graph.deleteEdge(1), run.graph.dropIndex("a", "b")],
        [false, false, false],
      );
      deepEqual(run.graph.rebuild(), { valid: true, nodes: 0, edges: 0, problems: [] });
      equal(db.stats().runs, 0, "runs after reads");
    }),
    onRun("nodes come back as they were added, labels each once and in their order", (run, db) => {
      const [plain, many, bare] = [
        run.graph.addNode("person", { name: "Ada" }),
        run.graph.addNode(["b", "a", "b"], hostileObject()),
        run.graph.addNode([]),
      ];
      equal(plain, 1);
      throughEveryView(db, (graph, view) => {
        deepEqual(graph.getNode(plain), { id: plain, labels: ["person"], properties: { name: "Ada" } }, view);
        deepEqual(graph.getNode(many), { id: many, labels: ["b", "a"], properties: hostileObject() }, view);
        deepEqual(graph.getNode(bare), { id: bare, labels: [], properties: {} }, view);
        deepEqual(idsOf(graph.getNodes([bare, plain, bare]) as GraphNode[]), [bare, plain, bare], view);
        deepEqual([graph.hasNode(bare), graph.nodeCount(), idsOf(graph.nodes())], [true, 3, [plain, many, bare]], view);
        sound(graph, 3, 0);
      });
    }),
    onRun("properties are any values, and independent of what was given and of what was returned", (run) => {
      for (const [name, value] of sampleValues().filter(([name]) => name !== "64 levels")) {
        const id = run.graph.addNode("a", { value });
        const edge = run.graph.addEdge(id, id, "a", { value });
        deepEqual(
          [run.graph.getNode(id)?.properties, run.graph.getEdge(edge)?.properties],
          [{ value }, { value }],
          name,
        );
      }
      const properties = { list: [1] };
      const labels = ["a"];
      const id = run.graph.addNode(labels, properties);
      properties.list.push(2);
      labels.push("b");
      const read = (): { list: number[] } => run.graph.getNode(id)?.properties as never;
      read().list.push(3);
      (run.graph.getNode(id) as unknown as { labels: string[] }).labels.push("c");
      deepEqual([read(), run.graph.getNode(id)?.labels], [{ list: [1] }, ["a"]]);
    }),
    onRun("updateNode replaces labels, properties or both, and leaves the rest", (run, db) => {
      const id = run.graph.addNode(["a", "b"], { x: 1, y: 2 });
      run.graph.createIndex("a", "x");
      run.graph.createIndex("c", "x");
      run.graph.updateNode(id, {});
      deepEqual(run.graph.getNode(id), { id, labels: ["a", "b"], properties: { x: 1, y: 2 } });
      run.graph.updateNode(id, { labels: ["c", "b"] });
      deepEqual(run.graph.getNode(id), { id, labels: ["c", "b"], properties: { x: 1, y: 2 } });
      throughEveryView(db, (graph, view) => {
        const found = [graph.findNodes("a", "x", 1), graph.findNodes("c", "x", 1)].map(idsOf);
        deepEqual(
          [found, idsOf(graph.nodesByLabel("a")), idsOf(graph.nodesByLabel("b"))],
          [[[], [id]], [], [id]],
          view,
        );
      });
      run.graph.updateNode(id, { properties: { z: 3 }, labels: undefined });
      deepEqual(run.graph.getNode(id), { id, labels: ["c", "b"], properties: { z: 3 } });
      deepEqual(run.graph.findNodes("c", "x", 1), []);
      run.graph.updateNode(id, { labels: "a", properties: { x: 1 } });
      deepEqual(idsOf(run.graph.findNodes("a", "x", 1)), [id]);
      run.graph.updateNode(id, { labels: [], properties: {} });
      deepEqual(run.graph.getNode(id), { id, labels: [], properties: {} });
      sound(run.graph, 1, 0);
    }),
    onRun("patches set single properties and remove those that are undefined", (run) => {
      const before = { kept: 1, changed: 1, removed: 1, ...hostileObject() };
      const node = run.graph.addNode("a", before);
      const edge = run.graph.addEdge(node, node, "t", before);
      run.graph.createIndex("a", "changed");
      run.graph.createIndex("a", "removed");
      const patch = { changed: [2], removed: undefined, missing: undefined, made: null };
      run.graph.patchNode(node, patch);
      run.graph.patchEdge(edge, patch);
      const after = { kept: 1, changed: [2], ...hostileObject(), made: null };
      deepEqual([run.graph.getNode(node)?.properties, run.graph.getEdge(edge)?.properties], [after, after]);
      const found = (property: string, value: Value): number => run.graph.findNodes("a", property, value).length;
      deepEqual([found("changed", 1), found("changed", [2]), found("removed", 1)], [0, 1, 0]);
      run.graph.patchNode(node, JSON.parse('{"__proto__": 7, "constructor": 8}'));
      deepEqual(
        Object.entries(run.graph.getNode(node)?.properties ?? {}).filter(([name]) => /o_|con/.test(name)),
        [
          ["__proto__", 7],
          ["constructor", 8],
        ],
      );
      const gone = Object.defineProperty({}, "__proto__", { value: undefined, enumerable: true });
      run.graph.patchNode(node, { ...{ constructor: undefined }, ...gone });
      equal(Object.hasOwn(run.graph.getNode(node)?.properties ?? {}, "constructor"), false);
      run.graph.patchNode(node, gone);
      equal(Object.hasOwn(run.graph.getNode(node)?.properties ?? {}, "__proto__"), false);
      sound(run.graph, 1, 1);
    }),
    onRun("deleting a node deletes its edges, and nothing else", (run, db) => {
      const [a, b, c] = addNodes(run.graph, 3) as [number, number, number];
      run.graph.createIndex("n", "i");
      const edges = [
        [a, b],
        [b, a],
        [b, b],
        [b, b],
        [a, b],
        [c, b],
        [a, c],
      ].map(([from, to]) => run.graph.addEdge(from as number, to as number, "t"));
      equal(run.graph.deleteNode(b), true);
      equal(run.graph.deleteNode(b), false);
      throughEveryView(db, (graph, view) => {
        deepEqual([idsOf(graph.nodes()), idsOf(graph.edges())], [[a, c], [edges[6]]], view);
        deepEqual(
          [graph.getNode(b), graph.hasNode(b), graph.degree(b, { direction: "both" })],
          [undefined, false, 0],
          view,
        );
        deepEqual([idsOf(graph.nodesByLabel("n")), graph.findNodes("n", "i", 1)], [[a, c], []], view);
        sound(graph, 2, 1);
      });
      for (const use of [
        () => run.graph.updateNode(b, { labels: "x" }),
        () => run.graph.patchNode(b, {}),
        () => run.graph.addEdge(a, b, "t"),
        () => run.graph.addEdge(b, a, "t"),
        () => run.graph.updateEdge(edges[0] as number, { properties: {} }),
        () => run.graph.patchEdge(edges[0] as number, {}),
      ]) {
        throwsCode("NOT_FOUND", use);
      }
      sound(run.graph, 2, 1);
    }),
  ];
}

function edgeCases(): Case[] {
  return [
    onRun("edges come back as they were added: several between two nodes, and from a node to itself", (run, db) => {
      const [a, b] = addNodes(run.graph, 2) as [number, number];
      const one = run.graph.addEdge(a, b, "t", { weight: 1 });
      const two = run.graph.addEdge(a, b, "t");
      const loop = run.graph.addEdge(a, a, "u", hostileObject());
      throughEveryView(db, (graph, view) => {
        const all = [
          { id: one, source: a, target: b, type: "t", properties: { weight: 1 } },
          { id: two, source: a, target: b, type: "t", properties: {} },
          { id: loop, source: a, target: a, type: "u", properties: hostileObject() },
        ];
        deepEqual([graph.edges(), graph.edgeCount(), graph.getEdge(two)], [all, 3, all[1]], view);
        deepEqual(graph.getEdges([loop, 99, one]), [all[2], undefined, all[0]], view);
        const to = (edge: number, node: number, type: string, direction: string): unknown => ({
          edge,
          node,
          type,
          direction,
        });
        deepEqual(graph.neighbors(a), [to(one, b, "t", "out"), to(two, b, "t", "out"), to(loop, a, "u", "out")], view);
        deepEqual(graph.neighbors(a, { direction: "in" }), [to(loop, a, "u", "in")], view);
        deepEqual(graph.neighbors(a, { direction: "both" }), graph.neighbors(a), view);
        deepEqual(graph.neighbors(b, { direction: "both" }), [to(one, a, "t", "in"), to(two, a, "t", "in")], view);
        deepEqual(graph.neighbors(b), [], view);
      });
    }),
    onRun("updateEdge replaces its properties, and only them", (run) => {
      const [a, b] = addNodes(run.graph, 2) as [number, number];
      const id = run.graph.addEdge(a, b, "t", { x: 1, y: 1 });
      run.graph.updateEdge(id, { properties: { x: 2 } });
      deepEqual(run.graph.getEdge(id), { id, source: a, target: b, type: "t", properties: { x: 2 } });
      run.graph.updateEdge(id, loose({}));
      run.graph.updateEdge(id, loose({ properties: undefined }));
      deepEqual(run.graph.getEdge(id)?.properties, { x: 2 }, "what is left out stays as it is");
      equal(run.graph.deleteEdge(id), true);
      equal(run.graph.deleteEdge(id), false);
      throwsCode("NOT_FOUND", () => run.graph.updateEdge(id, { properties: {} }));
      throwsCode("NOT_FOUND", () => run.graph.patchEdge(id, {}));
      deepEqual([run.graph.neighbors(a), run.graph.degree(b, { direction: "in" })], [[], 0]);
      sound(run.graph, 2, 0);
    }),
    onRun("direction, type and types choose edges, and degree counts what neighbors returns", (run, db) => {
      const [a, b, c] = addNodes(run.graph, 3) as [number, number, number];
      const types = ["t", "u", "v", "t\u0000", "\u0000t"];
      for (const type of types) {
        for (const [from, to] of [
          [a, b],
          [b, a],
          [a, a],
          [c, a],
        ] as const) {
          run.graph.addEdge(from, to, type);
        }
      }
      throughEveryView(db, (graph, view) => {
        const all = graph.edges();
        for (const direction of DIRECTIONS) {
          for (const wanted of [undefined, ...types.map((type) => [type]), ["t", "v"], ["t", "t", "none"], ["none"]]) {
            const kept = all.filter(({ source, target, type }) => {
              const isNear = (direction !== "in" && source === a) || (direction !== "out" && target === a);
              return isNear && (wanted?.includes(type) ?? true);
            });
            const what = `${view} ${direction} ${JSON.stringify(wanted)}`;
            const options = wanted === undefined ? { direction } : { direction, types: wanted };
            deepEqual(
              graph.neighbors(a, options).map(({ edge }) => edge),
              idsOf(kept),
              what,
            );
            equal(graph.degree(a, options), kept.length, what);
            if (wanted?.length === 1) {
              const one = { direction, type: wanted[0] as string };
              deepEqual(graph.neighbors(a, one), graph.neighbors(a, options), what);
              equal(graph.degree(a, one), kept.length, what);
            }
          }
        }
      });
    }),
    onRun("names that mean something elsewhere are labels, types and properties like any other", (run, db) => {
      const nodes = NAMES.map((name) => run.graph.addNode(name, JSON.parse(JSON.stringify({ [name]: name }))));
      for (const [i, name] of NAMES.entries()) {
        equal(run.graph.createIndex(name, name), true);
        run.graph.addEdge(nodes[0] as number, nodes[i] as number, name);
      }
      throughEveryView(db, (graph, view) => {
        for (const [i, name] of NAMES.entries()) {
          const what = `${view} ${JSON.stringify(name)}`;
          const id = nodes[i] as number;
          deepEqual(idsOf(graph.nodesByLabel(name)), [id], what);
          deepEqual(
            graph.neighbors(nodes[0] as number, { type: name }).map(({ node }) => node),
            [id],
            what,
          );
          const there = [...graph.bfs(nodes[0] as number, { types: [name] })].map(({ node }) => node);
          deepEqual(there, [...new Set([nodes[0], id])], what);
          equal(graph.shortestPath(nodes[0] as number, id, { type: name })?.edges.length, i === 0 ? 0 : 1, what);
        }
        sound(graph, NAMES.length, NAMES.length);
      });
      for (const name of NAMES) {
        const own = Object.fromEntries([[name, name]]);
        const id = run.graph.addNode(name, own);
        equal(run.graph.findNodes(name, name, name).at(-1)?.id, id, JSON.stringify(name));
        equal(run.graph.dropIndex(name, name), true);
        equal(run.graph.findNodes(name, name, name).at(-1)?.id, id, JSON.stringify(name));
        equal(run.graph.dropIndex(name, name), false);
      }
      deepEqual(run.graph.indexes(), []);
    }),
  ];
}

/** Values that are alike and are not the same. */
const ALIKE: readonly Value[] = [
  ...sampleValues()
    .filter(([name]) => !["64 levels", "1 MiB of bytes", "100,000 characters"].includes(name))
    .map(([, value]) => value),
  1,
  "1",
  "a",
  "a\u0000",
  "a\u0001",
  "a\u0001\u0001",
  "\u0000",
  "s",
  "v00",
  "x".repeat(128),
  "x".repeat(129),
  "é".repeat(64),
  "é".repeat(65),
  `${"x".repeat(128)}y`,
  `${"x".repeat(128)}z`,
  Uint8Array.of(1, 2),
  Uint8Array.of(1, 2, 3),
  new Uint8Array(3000),
  new Uint8Array(3001),
  [1, 2],
  [2, 1],
  { a: 1, b: 2 },
  { b: 2, a: 1 },
  nested(60),
];

function findCases(): Case[] {
  return [
    onRun("findNodes finds what has just this value, through an index and without one alike", (run, db) => {
      const ids = run.transaction((tx) => ALIKE.map((value) => tx.graph.addNode("a", { value, other: 1 })));
      run.graph.addNode("b", { value: 1 });
      run.graph.addNode("a", { valu: 1 });
      run.graph.addNode("a");
      const check = (how: string): void =>
        throughEveryView(db, (graph, view) => {
          for (const [i, value] of ALIKE.entries()) {
            deepEqual(idsOf(graph.findNodes("a", "value", value)), [ids[i]], `${how} ${view} ${i}`);
          }
          deepEqual([graph.findNodes("a", "value", 12_345), graph.findNodes("c", "value", 1)], [[], []], view);
          deepEqual([graph.findNodes("a", "toString", 1), graph.findNodes("__proto__", "x", 1)], [[], []], view);
        });
      check("by scan");
      equal(run.graph.createIndex("a", "value"), true);
      equal(run.graph.createIndex("a", "value"), false);
      check("by an index made afterwards");
      sound(run.graph, ALIKE.length + 3, 0);
      for (const [i, id] of ids.entries()) run.graph.patchNode(id, { value: ALIKE[(i + 1) % ALIKE.length] as Value });
      for (const [i, id] of ids.entries()) run.graph.patchNode(id, { value: ALIKE[i] as Value });
      check("after changes");
      deepEqual(run.graph.indexes(), [{ label: "a", property: "value" }]);
      equal(run.graph.dropIndex("a", "value"), true);
      check("by scan again");
      equal(run.graph.createIndex("a", "value"), true);
      check("by the index made again");
      sound(run.graph, ALIKE.length + 3, 0);
    }),
    onRun("an index follows labels and properties that come and go", (run) => {
      const { graph } = run;
      graph.createIndex("a", "p");
      graph.createIndex("a", "q");
      graph.createIndex("b", "p");
      const id = graph.addNode("a", { p: 1 });
      const found = (): number[] =>
        [graph.findNodes("a", "p", 1), graph.findNodes("a", "q", 1), graph.findNodes("b", "p", 1)].map(
          ({ length }) => length,
        );
      deepEqual(found(), [1, 0, 0]);
      graph.updateNode(id, { labels: ["b", "a"] });
      deepEqual(found(), [1, 0, 1]);
      graph.patchNode(id, { q: 1, p: undefined });
      deepEqual(found(), [0, 1, 0]);
      graph.updateNode(id, { labels: "b" });
      deepEqual(found(), [0, 0, 0]);
      graph.patchNode(id, { p: 1 });
      deepEqual(found(), [0, 0, 1]);
      graph.dropIndex("b", "p");
      graph.updateNode(id, { labels: ["a", "b"] });
      deepEqual(found(), [1, 1, 1]);
      graph.deleteNode(id);
      deepEqual(found(), [0, 0, 0]);
      sound(graph, 0, 0);
    }),
    onRun("many indices on many labels do not mix", (run) => {
      const { graph } = run;
      run.transaction((tx) => {
        for (let i = 0; i < 30; i++) tx.graph.createIndex(`l${i % 6}`, `p${i % 5}`);
        for (let i = 0; i < 30; i++) tx.graph.addNode(`l${i % 6}`, Object.fromEntries([[`p${i % 5}`, i % 3]]));
      });
      equal(graph.indexes().length, 30);
      for (let i = 0; i < 30; i++) {
        for (const value of [0, 1, 2]) {
          equal(graph.findNodes(`l${i % 6}`, `p${i % 5}`, value).length, value === i % 3 ? 1 : 0, `${i} ${value}`);
        }
      }
      sound(graph, 30, 0);
    }),
  ];
}

/** What a page must be of a whole listing in the order of ids. */
function paged<T>(all: readonly T[], idOf: (item: T) => number, page: Page): T[] {
  const { after, reverse, limit } = page;
  const ordered = reverse ? [...all].reverse() : [...all];
  const kept = ordered.filter((item) => after === undefined || (reverse ? idOf(item) < after : idOf(item) > after));
  return kept.slice(0, limit);
}

interface Page {
  readonly after?: number | undefined;
  readonly reverse?: boolean | undefined;
  readonly limit?: number | undefined;
}

function pageCases(): Case[] {
  return [
    onRun("pages of every listing put together are the listing, also over numbers of more digits", (run, db) => {
      run.transaction((tx) => {
        const hub = tx.graph.addNode("a", { p: 1 });
        for (let i = 0; i < 60; i++) {
          const node = tx.graph.addNode(i % 2 === 0 ? "a" : ["a", "b"], { p: i % 2 });
          tx.graph.addEdge(...((i % 3 === 0 ? [node, hub] : [hub, node]) as [number, number]), i % 2 === 0 ? "t" : "u");
        }
        tx.graph.addEdge(hub, hub, "t");
        for (let i = 0; i < 60; i += 7) tx.graph.deleteNode(2 + 2 * i);
      });
      const listings: [name: string, of: (graph: GraphReader, page: Page) => { id?: number; edge?: number }[]][] = [
        ["nodes", (graph, page) => graph.nodes(page) as never],
        ["edges", (graph, page) => graph.edges(page) as never],
        ["nodesByLabel", (graph, page) => graph.nodesByLabel("b", page) as never],
        ["findNodes", (graph, page) => graph.findNodes("a", "p", 1, page) as never],
        ["neighbors", (graph, page) => graph.neighbors(1, page) as never],
        ["neighbors in", (graph, page) => graph.neighbors(1, { direction: "in", ...page }) as never],
        ["neighbors both", (graph, page) => graph.neighbors(1, { direction: "both", ...page }) as never],
        ["neighbors of a type", (graph, page) => graph.neighbors(1, { type: "u", ...page }) as never],
        ["eachNeighbor", (graph, page) => [...graph.eachNeighbor(1, page)] as never],
        [
          "eachNeighbor both of a type",
          (graph, page) => [...graph.eachNeighbor(1, { direction: "both", type: "t", ...page })] as never,
        ],
        [
          "neighbors both of types",
          (graph, page) => graph.neighbors(1, { direction: "both", types: ["u", "t"], ...page }) as never,
        ],
      ];
      const check = (): void =>
        throughEveryView(db, (graph, view) => {
          for (const [name, list] of listings) {
            const all = list(graph, {});
            const idOf = (item: { id?: number; edge?: number }): number => item.id ?? item.edge ?? 0;
            ok(all.length > 5, `${name} to list some`);
            for (const after of [undefined, 9, 10, 99, 101, Number.MAX_SAFE_INTEGER]) {
              for (const reverse of [undefined, false, true]) {
                for (const limit of [undefined, 0, 7, Number.POSITIVE_INFINITY]) {
                  const page = { after, reverse, limit };
                  deepEqual(list(graph, page), paged(all, idOf, page), `${name} ${view} ${JSON.stringify(page)}`);
                }
              }
            }
          }
        });
      check();
      run.graph.createIndex("a", "p");
      check();
    }),
    onRun("each neighbor of a hub comes once and in order, over portions of many sizes", (run, db) => {
      const [hub, other] = addNodes(run.graph, 2) as [number, number];
      const ends: readonly (readonly [number, number])[] = [
        [hub, other],
        [other, hub],
        [hub, hub],
      ];
      run.transaction((tx) => {
        for (let i = 0; i < 1500; i++) tx.graph.addEdge(...(ends[i % 3] as [number, number]), i % 2 === 0 ? "t" : "u");
      });
      throughEveryView(db, (graph, view) => {
        for (const direction of DIRECTIONS) {
          for (const options of [
            {},
            { reverse: true },
            { type: "u" },
            { type: "u", reverse: true },
            { types: ["v", "u"], after: 200, limit: 257 },
            { after: 700, limit: 300 },
          ]) {
            const all = graph.neighbors(hub, { direction, ...options });
            ok(all.length > 250, "more than a portion");
            deepEqual([...graph.eachNeighbor(hub, { direction, ...options })], all, `${view} ${direction}`);
          }
        }
      });
      const begun = run.graph.eachNeighbor(hub);
      equal(db.stats().snapshotsHeld, 0, "before the first was asked for");
      const first = begun.next();
      equal(db.stats().snapshotsHeld, 1, "between two");
      const before = run.graph.degree(hub);
      run.graph.deleteNode(other);
      equal([first, ...begun].length, before, "what is seen of before");
      equal(db.stats().snapshotsHeld, 0, "at the end");
      for (const { edge } of run.graph.eachNeighbor(hub)) if (edge > 0) break;
      equal(db.stats().snapshotsHeld, 0, "after break");
      throwsCode("INVALID_ARGUMENT", () => run.graph.eachNeighbor(loose("1")));
    }),
  ];
}

/** A walk in the plainest way: what is behind `next`, level after level, each in the order of ids. */
function plainWalk(
  graph: GraphReader,
  start: number,
  direction: GraphDirection,
  types?: readonly string[],
): GraphVisit[] {
  const edges = graph.edges().filter(({ type }) => types === undefined || types.includes(type));
  const next = (from: number): number[] =>
    edges.flatMap(({ source, target }) => [
      ...(direction !== "in" && source === from ? [target] : []),
      ...(direction !== "out" && target === from ? [source] : []),
    ]);
  const seen = new Set([start]);
  const visits: GraphVisit[] = [{ node: start, depth: 0, parent: undefined }];
  for (let level = visits.slice(); level.length > 0; ) {
    const found: GraphVisit[] = [];
    for (const { node: parent, depth } of level) {
      for (const node of next(parent)) {
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

/** A graph in which levels are not met in the order of ids: node `i` leads to nodes far before and behind it. */
function tangle(run: Run, nodes: number): number[] {
  return run.transaction((tx) => {
    const ids = addNodes(tx.graph, nodes);
    for (let i = 0; i < nodes; i++) {
      for (const step of [7, 31]) {
        const type = step === 7 ? "near" : i % 2 === 0 ? "far" : "f";
        tx.graph.addEdge(ids[i] as number, ids[(i * step + nodes - 3) % nodes] as number, type);
      }
    }
    return ids;
  });
}

function walkCases(): Case[] {
  return [
    onRun("bfs comes to every node once, by depth and then by id, each from the least before it", (run, db) => {
      const ids = tangle(run, 60);
      throughEveryView(db, (graph, view) => {
        for (const start of [ids[0], ids[29], ids[59]] as number[]) {
          for (const direction of DIRECTIONS) {
            for (const types of [undefined, ["near"], ["far", "f"], ["none"]]) {
              const expected = plainWalk(graph, start, direction, types);
              const what = `${view} ${start} ${direction} ${types}`;
              deepEqual(
                [...graph.bfs(start, types === undefined ? { direction } : { direction, types })],
                expected,
                what,
              );
              for (const depth of [0, 1, 2, 3]) {
                const kept = expected.filter((visit) => visit.depth <= depth);
                deepEqual([...graph.bfs(start, { direction, types, depth })], kept, `${what} to ${depth}`);
              }
              for (const limit of [0, 1, 2, 5, 1000]) {
                deepEqual(
                  [...graph.bfs(start, { direction, types, limit })],
                  expected.slice(0, limit),
                  `${what} of ${limit}`,
                );
              }
            }
          }
        }
      });
      deepEqual(
        [...run.graph.bfs(ids[0] as number, { type: "near" })],
        plainWalk(run.graph, ids[0] as number, "out", ["near"]),
      );
      equal(db.stats().snapshotsHeld, 0, "snapshots that walks have left");
    }),
    onRun("a walk over thousands of nodes, wide and deep, forgets none", (run, db) => {
      const WIDE = 3000;
      const DEEP = 1500;
      const [hub, first] = run.transaction((tx) => {
        const middle = tx.graph.addNode("hub");
        for (let i = 0; i < WIDE; i++) {
          const leaf = tx.graph.addNode("leaf");
          tx.graph.addEdge(middle, leaf, "t");
        }
        return [middle, middle + 1];
      });
      const chain = run.transaction((tx) => {
        let last = first;
        for (let i = 0; i < DEEP; i++) {
          const node = tx.graph.addNode("chain");
          tx.graph.addEdge(last, node, "t");
          last = node;
        }
        return last;
      });
      throughEveryView(db, (graph, view) => {
        const visits = [...graph.bfs(hub)];
        equal(visits.length, 1 + WIDE + DEEP, view);
        deepEqual(
          [visits[1 + WIDE]?.depth, visits.at(-1)],
          [2, { node: chain, depth: DEEP + 1, parent: visits.at(-2)?.node }],
        );
        ok(
          visits.every(({ node }, i) => i === 0 || i > WIDE || node > (visits[i - 1]?.node as number)),
          "a level in order",
        );
        equal([...graph.bfs(chain, { direction: "in" })].length, DEEP + 2, view);
        const both = [...graph.bfs(chain, { direction: "both" })].map(({ node }) => node);
        deepEqual([both.length, new Set(both).size], [1 + WIDE + DEEP, 1 + WIDE + DEEP], `${view} both ways`);
        equal(graph.shortestPath(hub, chain)?.edges.length, DEEP + 1, view);
      });
    }),
    onRun("a signal that is aborted ends a walk with TIMEOUT, before it and in the middle", (run, db) => {
      const [a, b] = addNodes(run.graph, 2) as [number, number];
      run.graph.addEdge(a, b, "t");
      const before = AbortSignal.abort("why");
      const error = throwsCode("TIMEOUT", () => [...run.graph.bfs(a, { signal: before })]);
      equal(error.cause, "why");
      throwsCode("TIMEOUT", () => run.graph.shortestPath(a, b, { signal: before }));
      const control = new AbortController();
      const walk = run.graph.bfs(a, { signal: control.signal });
      equal(walk.next().value?.node, a);
      control.abort();
      throwsCode("TIMEOUT", () => walk.next());
      deepEqual([walk.next().done, db.stats().snapshotsHeld], [true, 0]);
    }),
    onRun("a signal that is aborted ends a walk within a level of thousands", (run, db) => {
      const [hub, ...leaves] = run.transaction(({ graph }) => addNodes(graph, 5001)) as [number, ...number[]];
      run.transaction(({ graph }) => {
        for (const leaf of leaves) graph.addEdge(hub, leaf, "t");
      });
      for (const depth of [undefined, 1]) {
        const control = new AbortController();
        let visits = 0;
        throwsCode("TIMEOUT", () => {
          for (const _ of run.graph.bfs(hub, { depth, signal: control.signal })) if (++visits === 10) control.abort();
        });
        ok(visits < 2000, `fewer visits than ${visits} before the signal was heard`);
        equal(db.stats().snapshotsHeld, 0);
      }
    }),
  ];
}

function pathCases(): Case[] {
  return [
    onRun("of several shortest paths the one with the least next nodes is found, over the least edges", (run, db) => {
      const { graph } = run;
      const [start, b, c, d, end, far] = addNodes(graph, 6) as [number, number, number, number, number, number];
      const link = (from: number, to: number, type = "t"): number => graph.addEdge(from, to, type);
      link(c, end);
      const atC = link(start, c);
      link(start, c);
      link(d, end);
      const atB = link(start, b);
      const bEnd = link(b, end);
      link(b, end);
      link(start, b);
      link(start, d, "u");
      link(end, far);
      throughEveryView(db, (reader, view) => {
        deepEqual(reader.shortestPath(start, end), { nodes: [start, b, end], edges: [atB, bEnd] }, view);
        deepEqual(reader.shortestPath(start, start), { nodes: [start], edges: [] }, view);
        deepEqual(reader.shortestPath(start, c, { type: "t" }), { nodes: [start, c], edges: [atC] }, view);
        equal(reader.shortestPath(end, start), undefined, view);
        deepEqual(reader.shortestPath(end, start, { direction: "in" }), { nodes: [end, b, start], edges: [bEnd, atB] });
        equal(reader.shortestPath(end, start, { direction: "both" })?.nodes.length, 3, view);
        equal(reader.shortestPath(start, d, { type: "t" }), undefined, view);
        equal(reader.shortestPath(start, d, { types: ["x", "u"] })?.edges.length, 1, view);
        equal(reader.shortestPath(start, d, { type: "t", direction: "both" })?.nodes.length, 4, view);
        deepEqual(
          [0, 1, 2, 3].map((depth) => reader.shortestPath(start, far, { depth })?.edges.length),
          [undefined, undefined, undefined, 3],
        );
        deepEqual(reader.shortestPath(far, far, { depth: 0 }), { nodes: [far], edges: [] });
        deepEqual([reader.shortestPath(start, 999), reader.shortestPath(999, start)], [undefined, undefined]);
      });
    }),
  ];
}

function openWalkCases(): Case[] {
  const ring = (run: Run, nodes: number): number[] =>
    run.transaction((tx) => {
      const ids = addNodes(tx.graph, nodes);
      for (const [i, id] of ids.entries()) tx.graph.addEdge(id, ids[(i + 1) % nodes] as number, "t");
      return ids;
    });
  return [
    onRun("a walk that was begun goes on over what was there then", (run, db) => {
      const ids = ring(run, 8);
      const [snapshot, whole] = [run.snapshot(), db.snapshot()];
      const walks = [run.graph, snapshot.graph, whole.run(RUN).graph].map((graph) => graph.bfs(ids[0] as number));
      for (const walk of walks) equal(walk.next().value?.node, ids[0]);
      for (const id of ids.slice(1)) run.graph.deleteNode(id);
      const late = run.graph.addNode("n");
      run.graph.addEdge(ids[0] as number, late, "t");
      for (const walk of walks)
        deepEqual(
          [...walk].map(({ node }) => node),
          ids.slice(1),
        );
      deepEqual(
        [...run.graph.bfs(ids[0] as number)].map(({ node }) => node),
        [ids[0], late],
      );
      snapshot.dispose();
      whole.dispose();
      equal(db.stats().snapshotsHeld, 0);
    }),
    onRun(
      "a walk that is broken off lets go of what it held, in every way that there is to break it off",
      (run, db) => {
        const ids = ring(run, 8);
        const start = ids[0] as number;
        for (const { node } of run.graph.bfs(start)) if (node === ids[3]) break;
        equal(db.stats().snapshotsHeld, 0, "after break");
        const walk = run.graph.bfs(start);
        walk.next();
        equal(db.stats().snapshotsHeld, 1, "while it is open");
        deepEqual(
          [walk.return(), walk.return(), walk.next()].map(({ done }) => done),
          [true, true, true],
        );
        equal(db.stats().snapshotsHeld, 0, "after return");
        const disposed = run.graph.bfs(start);
        disposed[Symbol.dispose]();
        disposed[Symbol.dispose]();
        deepEqual([disposed.next().done, db.stats().snapshotsHeld], [true, 0]);
        throwsCode("NOT_FOUND", () => {
          for (const _ of run.graph.bfs(start)) throw new HoldfastError("NOT_FOUND", "mine");
        });
        const [first] = run.graph.bfs(start);
        equal(first?.node, start);
        deepEqual([...run.graph.bfs(start, { limit: 3 })].length, 3);
        equal(db.stats().snapshotsHeld, 0, "after all of them");
        for (let i = 0; i < 3000; i++) run.graph.bfs(start).return();
        for (let i = 0; i < 3000; i++) run.graph.bfs(999);
        equal(db.stats().snapshotsHeld, 0, "after thousands");
      },
    ),
    onRun(
      "a walk whose snapshot, transaction or database has ended gives a typed error, and then nothing",
      async (run, db) => {
        const ids = ring(run, 5);
        const start = ids[0] as number;
        const snapshot = run.snapshot();
        const transaction = run.begin();
        const rolledBack = run.begin();
        const walks = [snapshot, transaction, rolledBack].map(({ graph }) => graph.bfs(start));
        const unstarted = [snapshot, transaction].map(({ graph }) => graph.bfs(start));
        for (const walk of walks) walk.next();
        snapshot.dispose();
        transaction.commit();
        rolledBack.rollback();
        for (const walk of [...walks, ...unstarted]) {
          throwsCode("TRANSACTION_CLOSED", () => walk.next());
          equal(walk.next().done, true);
        }
        throwsCode("TRANSACTION_CLOSED", () => snapshot.graph.bfs(start));
        throwsCode("TRANSACTION_CLOSED", () => transaction.graph.bfs(start));
        throwsCode("TRANSACTION_CLOSED", () => transaction.graph.shortestPath(start, start));
        throwsCode("TRANSACTION_CLOSED", () => transaction.graph.addNode("a"));
        const open = [run.graph.bfs(start), run.graph.bfs(start)];
        open[0]?.next();
        await db.close();
        for (const walk of open) {
          throwsCode("CLOSED", () => walk.next());
          equal(walk.next().done, true);
        }
        const uses: (() => unknown)[] = [
          () => run.graph.getNode(start),
          () => run.graph.bfs(start),
          () => run.graph.shortestPath(start, start),
          () => run.graph.addNode("a"),
          () => run.graph.neighbors(start),
          () => run.graph.verify(),
        ];
        for (const use of uses) throwsCode("CLOSED", use);
      },
    ),
    onRun("a walk over a run that is deleted meanwhile goes on, and the run's next graph begins anew", (run, db) => {
      const ids = ring(run, 5);
      const walk = run.graph.bfs(ids[0] as number);
      walk.next();
      db.deleteRun(RUN);
      deepEqual([run.graph.nodes(), run.graph.nodeCount(), run.graph.getNode(ids[0] as number)], [[], 0, undefined]);
      const again = run.graph.addNode("n");
      run.graph.addEdge(again, again, "t");
      deepEqual(
        [...walk].map(({ node }) => node),
        ids.slice(1),
      );
      sound(run.graph, 1, 1);
    }),
  ];
}

/** As many ids as have one mark in the store. */
const IDS_PER_BLOCK = 256;

function idCases(): Case[] {
  return [
    onRun("an id is never given twice: not after a deletion, a rollback or a refusal", (run) => {
      const given: number[] = [];
      const { graph } = run;
      for (let i = 0; i < 5; i++) {
        const node = graph.addNode("a");
        given.push(node, graph.addEdge(node, node, "t"));
        graph.deleteNode(node);
        const transaction = run.begin();
        given.push(transaction.graph.addNode("a"));
        transaction.rollback();
        throwsCode("NOT_FOUND", () =>
          run.transaction((tx) => {
            given.push(tx.graph.addNode("a"));
            throw new HoldfastError("NOT_FOUND", "mine");
          }),
        );
        throwsCode("INVALID_VALUE", () => graph.addNode("a", loose({ bad: () => 1 })));
      }
      deepEqual(
        [...new Set(given)].sort((a, b) => a - b),
        given,
      );
      sound(graph, 0, 0);
    }),
    onRun("transactions that are open at once get different ids", (run) => {
      const open = Array.from({ length: 20 }, () => run.begin());
      const given: number[] = [];
      for (let round = 0; round < 30; round++) {
        for (const { graph } of open) {
          const node = graph.addNode("a", { round });
          given.push(node, graph.addEdge(node, node, "t"));
        }
      }
      equal(new Set(given).size, given.length);
      for (const transaction of open) transaction.commit();
      sound(run.graph, given.length / 2, given.length / 2);
      ok(!given.includes(run.graph.addNode("a")), "a new id");
    }),
    {
      name: "an id is never given twice: not after the database was opened again, from log or checkpoint",
      needs: persistent,
      async run(context) {
        let db = await context.open();
        const given: number[] = [];
        for (let opening = 0; opening < 20; opening++) {
          const { graph } = db.run(RUN);
          const node = graph.addNode("a");
          given.push(node, graph.addEdge(node, node, "t"));
          // Nothing of what had the greatest ids is left.
          if (opening % 3 === 0) graph.deleteNode(node);
          if (opening % 4 === 1) for (let i = 0; i < IDS_PER_BLOCK; i += 4) given.push(graph.addNode("a"));
          if (opening % 2 === 0) await checkpoint(db);
          db = await context.reopen();
        }
        deepEqual(
          [...new Set(given)].sort((a, b) => a - b),
          given,
          "ids rise and come once",
        );
        deepEqual(db.run(RUN).graph.verify().valid, true);
      },
    },
    {
      name: "an id is never given twice: not where one mark stands for many blocks of ids",
      needs: persistent,
      async run(context) {
        let db = await context.open();
        const given: number[] = [];
        for (let opening = 0; opening < 3; opening++) {
          const add = (count: number): void =>
            db.run(RUN).transaction(({ graph }) => {
              for (let i = 0; i < count; i++) given.push(graph.addNode("a"));
            });
          // It ends in the last block that a mark stands for: at first that is the only one, from 4,096 ids on one of sixteen.
          for (let block = 0; block < 15; block += 5) add(5 * IDS_PER_BLOCK);
          add(IDS_PER_BLOCK / 2);
          if (opening === 1) await checkpoint(db);
          db = await context.reopen();
        }
        equal(db.run(RUN).graph.nodeCount(), given.length);
        given.push(db.run(RUN).graph.addNode("a"));
        ok(
          given.every((id, at) => at === 0 || id > (given[at - 1] as number)),
          "ids rise and come once",
        );
      },
    },
    onRun("an id is never given twice: not in a copy of the database", async (run, db, { wasm }) => {
      const node = run.graph.addNode("a", { x: 1 });
      const edge = run.graph.addEdge(node, node, "t");
      const last = run.graph.addNode("a");
      run.graph.createIndex("a", "x");
      run.graph.deleteNode(last);
      const pieces: Uint8Array[] = [];
      for await (const piece of db.export()) pieces.push(piece);
      const copy = await Database.import(pieces, { durability: "in-memory", wasm });
      try {
        const { graph } = copy.run(RUN);
        deepEqual(everything(graph), everything(run.graph));
        ok(graph.addNode("a") > last, "an id above those that were given");
        deepEqual(idsOf(graph.findNodes("a", "x", 1)), [node]);
        equal(graph.getEdge(edge)?.source, node);
        equal(graph.verify().valid, true);
      } finally {
        await copy.close();
      }
    }),
    {
      name: "a graph is there again after the database was opened again, from log or checkpoint",
      needs: persistent,
      async run(context) {
        let db = await context.open();
        tangle(db.run(RUN), 40);
        db.run(RUN).graph.createIndex("n", "i");
        db.run(RUN).graph.deleteNode(1);
        const before = everything(db.run(RUN).graph);
        db = await context.reopen();
        deepEqual(everything(db.run(RUN).graph), before, "from the log");
        await checkpoint(db);
        db = await context.reopen();
        deepEqual(everything(db.run(RUN).graph), before, "from the checkpoint");
        equal(db.run(RUN).graph.verify().valid, true);
        await db.close();
        // What is only read cannot be attached to.
        const reader = await context.open({ readOnly: true }).catch((error: unknown) => {
          if (!HoldfastError.is(error, "UNSUPPORTED")) throw error;
        });
        if (reader === undefined) return;
        const { graph } = reader.run(RUN);
        deepEqual(everything(graph), before, "read only");
        const writes: (() => unknown)[] = [
          () => graph.addNode("a"),
          () => graph.addEdge(2, 2, "t"),
          () => graph.updateNode(2, { labels: "b" }),
          () => graph.patchNode(2, {}),
          () => graph.deleteNode(2),
          () => graph.deleteEdge(1),
          () => graph.createIndex("a", "b"),
          () => graph.dropIndex("n", "i"),
          () => graph.rebuild(),
        ];
        for (const write of writes) throwsCode("READ_ONLY", write);
        deepEqual(everything(graph), before, "after refusals");
      },
    },
  ];
}

function transactionCases(): Case[] {
  return [
    onRun(
      "a transaction sees its own effects in every way there is, and nobody else does before the commit",
      (run, db) => {
        const there = run.graph.addNode("a", { p: 0 });
        run.graph.createIndex("a", "p");
        const before = everything(run.graph);
        const seen = run.transaction((tx) => {
          const { graph } = tx;
          const made = graph.addNode(["a", "b"], { p: 1 });
          const edge = graph.addEdge(there, made, "t", { w: 1 });
          const loop = graph.addEdge(made, made, "u");
          graph.patchNode(there, { p: 1 });
          graph.createIndex("b", "p");
          deepEqual(graph.getNode(made), { id: made, labels: ["a", "b"], properties: { p: 1 } });
          deepEqual([idsOf(graph.findNodes("a", "p", 1)), graph.findNodes("a", "p", 0)], [[there, made], []]);
          deepEqual([idsOf(graph.nodesByLabel("b")), idsOf(graph.findNodes("b", "p", 1))], [[made], [made]]);
          deepEqual(
            graph.neighbors(made, { direction: "both" }).map((each) => each.edge),
            [edge, loop],
          );
          equal(graph.degree(made, { direction: "in" }), 2);
          deepEqual(
            [...graph.bfs(there)],
            [
              { node: there, depth: 0, parent: undefined },
              { node: made, depth: 1, parent: there },
            ],
          );
          deepEqual(
            [...graph.bfs(made, { direction: "in" })].map(({ node }) => node),
            [made, there],
          );
          deepEqual(graph.shortestPath(there, made), { nodes: [there, made], edges: [edge] });
          deepEqual([graph.nodeCount(), graph.edgeCount(), graph.verify().valid], [2, 2, true]);
          deepEqual(everything(run.graph), before, "outside");
          const other = graph.addNode("c");
          const gone = graph.addEdge(made, other, "t");
          deepEqual([...graph.bfs(there)].length, 3);
          graph.deleteEdge(gone);
          deepEqual([[...graph.bfs(there)].length, graph.shortestPath(there, other)], [2, undefined]);
          graph.deleteNode(other);
          throwsCode("NOT_FOUND", () => graph.addEdge(made, other, "t"));
          deepEqual(graph.getEdge(gone), undefined);
          return everything(graph);
        });
        throughEveryView(db, (graph, view) => deepEqual(everything(graph), seen, view));
        sound(run.graph, 2, 2);
      },
    ),
    onRun("what is rolled back leaves nothing, in no index", (run) => {
      const there = run.graph.addNode("a", { p: 0 });
      const edge = run.graph.addEdge(there, there, "t");
      run.graph.createIndex("a", "p");
      const before = everything(run.graph);
      const transaction = run.begin();
      const { graph } = transaction;
      graph.addEdge(there, graph.addNode("a", { p: 0 }), "t");
      graph.patchNode(there, { p: 1 });
      graph.patchEdge(edge, { p: 1 });
      graph.createIndex("b", "p");
      graph.dropIndex("a", "p");
      graph.deleteEdge(edge);
      graph.deleteNode(there);
      [...graph.bfs(there + 2)];
      transaction.rollback();
      deepEqual(everything(run.graph), before);
      sound(run.graph, 1, 1);
    }),
    onRun("a graph, keys, events, cells and traces commit together or not at all", (run, db) => {
      const write = (tx: Transaction): void => {
        const node = tx.graph.addNode("a", { p: 1 });
        tx.graph.addEdge(node, node, "t");
        tx.kv.put("node", node);
        tx.events.append("added", { node });
        tx.state.set("last", node);
        tx.traces.record({ type: "thought", content: `${node}` });
      };
      const look = (): unknown => [
        run.graph.nodeCount(),
        run.graph.edgeCount(),
        run.kv.count(),
        run.events.length,
        run.state.count(),
        run.traces.count(),
      ];
      throwsCode("NOT_FOUND", () =>
        run.transaction((tx) => {
          write(tx);
          throw new HoldfastError("NOT_FOUND", "mine");
        }),
      );
      deepEqual([look(), db.stats().runs], [[0, 0, 0, 0, 0, 0], 0]);
      const transaction = run.begin();
      write(transaction);
      transaction.kv.get("other");
      run.kv.put("other", 1);
      throwsCode("CONFLICT", () => transaction.commit());
      deepEqual(look(), [0, 0, 1, 0, 0, 0]);
      run.transaction(write);
      deepEqual(look(), [1, 1, 2, 1, 1, 1]);
      ok(run.graph.hasNode(run.kv.get("node") as number), "the node that the key names");
    }),
    onRun("a refusal in a transaction leaves the rest of it whole", (run) => {
      run.transaction(({ graph }) => {
        const node = graph.addNode("a");
        throwsCode("NOT_FOUND", () => graph.addEdge(node, 999, "t"));
        throwsCode("NOT_FOUND", () => graph.patchNode(999, {}));
        throwsCode("INVALID_VALUE", () => graph.addNode("a", loose({ f: () => 1 })));
        throwsCode("INVALID_VALUE", () => graph.patchNode(node, { f: loose(() => 1) }));
        throwsCode("INVALID_KEY", () => graph.addNode(""));
        throwsCode("INVALID_ARGUMENT", () => graph.addNode("a", {}, { durability: "strict" }));
        throwsCode("VALUE_TOO_LARGE", () => graph.patchNode(node, { big: new Uint8Array(17 * 1024 * 1024) }));
      });
      sound(run.graph, 1, 0);
    }),
    onRun("what a Proxy does while properties are read is done before the graph is looked at", (run) => {
      // The ends of the edge and the indices had been looked at before it: an edge dangled, a node was in no index.
      const during = (act: () => unknown): { p: number } => {
        const ownKeys = (target: { p: number }): (string | symbol)[] => {
          act();
          return Reflect.ownKeys(target);
        };
        return new Proxy({ p: 1 }, { ownKeys });
      };
      const gone = run.transaction(({ graph }) => {
        const [a, b] = addNodes(graph, 2) as [number, number];
        const deleting = during(() => graph.deleteNode(b));
        throwsCode("NOT_FOUND", () => graph.addEdge(a, b, "t", deleting));
        const indexing = during(() => graph.createIndex("n", "p"));
        const node = graph.addNode("n", indexing);
        deepEqual(idsOf(graph.findNodes("n", "p", 1)), [node]);
        return b;
      });
      equal(run.graph.hasNode(gone), false);
      equal(run.graph.findNodes("n", "p", 1).length, 1);
      sound(run.graph, 2, 0);
    }),
    onRun("an asynchronous transaction keeps a graph as well", async (run) => {
      const hub = run.graph.addNode("hub");
      await Promise.all(
        Array.from({ length: 20 }, (_, i) =>
          run.transactionAsync(async (tx) => {
            const node = tx.graph.addNode("a", { i });
            await Promise.resolve();
            tx.graph.addEdge(hub, node, "t");
          }),
        ),
      );
      deepEqual([run.graph.degree(hub), run.graph.nodesByLabel("a").length], [20, 20]);
      sound(run.graph, 21, 20);
    }),
  ];
}

/** Two transactions that are open at once, the first of which commits first; what became of the second. */
function race(
  run: Run,
  first: (tx: Transaction) => unknown,
  second: (tx: Transaction) => unknown,
): "committed" | "conflict" {
  const [one, two] = [run.begin(), run.begin()];
  first(one);
  second(two);
  one.commit();
  try {
    two.commit();
  } catch (error) {
    if (!HoldfastError.is(error, "CONFLICT")) throw error;
    equal(run.graph.verify().valid, true, "verify after a conflict");
    return "conflict";
  }
  equal(run.graph.verify().valid, true, "verify after both");
  return "committed";
}

type Act = (tx: Transaction) => unknown;

function conflictCases(): Case[] {
  /** Whichever of the two commits first. */
  const eitherWay = (run: Run, expected: string, one: () => Act, two: () => Act, what: string): void => {
    equal(race(run, one(), two()), expected, `${what}, one way`);
    equal(race(run, two(), one()), expected, `${what}, the other way`);
  };
  return [
    onRun("edges never conflict with one another, nor with what changes of their nodes", (run) => {
      const [a, b, c, d] = addNodes(run.graph, 4) as [number, number, number, number];
      const edge = run.graph.addEdge(a, b, "t");
      run.graph.createIndex("n", "i");
      let count = 0;
      const never = (what: string, one: Act, two: Act): void =>
        eitherWay(
          run,
          "committed",
          () => one,
          () => two,
          what,
        );
      never(
        "different nodes",
        ({ graph }) => graph.addEdge(a, b, "t"),
        ({ graph }) => graph.addEdge(c, d, "t"),
      );
      never(
        "one hub",
        ({ graph }) => graph.addEdge(a, b, "t"),
        ({ graph }) => graph.addEdge(a, c, "t"),
      );
      never(
        "one target",
        ({ graph }) => graph.addEdge(a, c, "t"),
        ({ graph }) => graph.addEdge(b, c, "t"),
      );
      never(
        "the same ends",
        ({ graph }) => graph.addEdge(a, c, "t"),
        ({ graph }) => graph.addEdge(a, c, "t"),
      );
      never(
        "a node and its edge",
        ({ graph }) => graph.patchNode(a, { i: count++ }),
        ({ graph }) => graph.addEdge(a, c, "t"),
      );
      never(
        "a label and an edge",
        ({ graph }) => graph.updateNode(b, { labels: ["n", `${count++}`] }),
        ({ graph }) => graph.addEdge(b, b, "t"),
      );
      never(
        "an edge's properties and another edge",
        ({ graph }) => graph.patchEdge(edge, { x: 1 }),
        ({ graph }) => graph.addEdge(a, b, "t"),
      );
      never(
        "an edge's properties and its node",
        ({ graph }) => graph.patchEdge(edge, { x: 1 }),
        ({ graph }) => graph.patchNode(a, { x: 1 }),
      );
      never(
        "two nodes of one label",
        ({ graph }) => graph.addNode("n", { i: 1 }),
        ({ graph }) => graph.addNode("n", { i: 1 }),
      );
      never(
        "two other nodes",
        ({ graph }) => graph.patchNode(a, { i: 9 }),
        ({ graph }) => graph.patchNode(b, { i: 9 }),
      );
      never(
        "a node and the deletion of another",
        ({ graph }) => graph.addNode("n"),
        ({ graph }) => graph.deleteNode(graph.addNode("n")),
      );
      equal(run.graph.degree(a) > 8, true);
    }),
    onRun("two that add nodes never conflict, however many blocks of ids there have been", (run) => {
      for (let i = 0; i < 20; i++) {
        const both = [run.begin(), run.begin()];
        for (const { graph } of both) addNodes(graph, IDS_PER_BLOCK);
        for (const transaction of both) transaction.commit();
      }
      equal(run.graph.nodeCount(), 40 * IDS_PER_BLOCK);
    }),
    onRun(
      "asynchronous ones that add nodes never conflict, however many blocks of ids there have been",
      async (run) => {
        for (let i = 0; i < 20; i++) {
          const add = (): Promise<void> =>
            run.transactionAsync(async ({ graph }) => {
              addNodes(graph, IDS_PER_BLOCK);
              await Promise.resolve();
            });
          await Promise.all([add(), add()]);
        }
        equal(run.graph.nodeCount(), 40 * IDS_PER_BLOCK);
      },
    ),
    onRun("two that change one node or one edge conflict", (run) => {
      const a = run.graph.addNode("n");
      const edge = run.graph.addEdge(a, a, "t");
      const always = (what: string, one: Act, two: Act): void =>
        eitherWay(
          run,
          "conflict",
          () => one,
          () => two,
          what,
        );
      always(
        "patches",
        ({ graph }) => graph.patchNode(a, { x: 1 }),
        ({ graph }) => graph.patchNode(a, { y: 1 }),
      );
      always(
        "updates",
        ({ graph }) => graph.updateNode(a, { labels: "b" }),
        ({ graph }) => graph.patchNode(a, { y: 1 }),
      );
      always(
        "patches of an edge",
        ({ graph }) => graph.patchEdge(edge, { x: 1 }),
        ({ graph }) => graph.patchEdge(edge, { y: 1 }),
      );
    }),
    onRun(
      "a node that is deleted against an edge to it or from it: whoever comes second is in conflict, and none dangles",
      (run) => {
        const other = run.graph.addNode("n");
        const adds: ((node: number) => Act)[] = [
          (node) =>
            ({ graph }) =>
              graph.addEdge(node, other, "t"),
          (node) =>
            ({ graph }) =>
              graph.addEdge(other, node, "t"),
          (node) =>
            ({ graph }) =>
              graph.addEdge(node, node, "t"),
        ];
        for (const [i, add] of adds.entries()) {
          for (const isFirst of [true, false]) {
            const node = run.graph.addNode("n");
            run.graph.addEdge(other, node, "t");
            const remove: Act = ({ graph }) => graph.deleteNode(node);
            equal(isFirst ? race(run, remove, add(node)) : race(run, add(node), remove), "conflict", `${i} ${isFirst}`);
            equal(run.graph.hasNode(node), !isFirst);
            equal(run.graph.verify().valid, true);
          }
        }
        const edge = run.graph.addEdge(other, other, "t");
        equal(
          race(
            run,
            ({ graph }) => graph.deleteEdge(edge),
            ({ graph }) => graph.patchEdge(edge, { x: 1 }),
          ),
          "conflict",
        );
        const node = run.graph.addNode("n");
        const gone = run.graph.addEdge(node, other, "t");
        equal(
          race(
            run,
            ({ graph }) => graph.deleteNode(node),
            ({ graph }) => graph.patchEdge(gone, { x: 1 }),
          ),
          "conflict",
        );
        const last = run.graph.addNode("n");
        equal(
          race(
            run,
            ({ graph }) => graph.deleteNode(last),
            ({ graph }) => graph.patchNode(last, { x: 1 }),
          ),
          "conflict",
        );
        const again = run.graph.addNode("n");
        equal(
          race(
            run,
            ({ graph }) => graph.patchNode(again, { x: 1 }),
            ({ graph }) => graph.deleteNode(again),
          ),
          "conflict",
        );
        equal(run.graph.hasNode(again), true);
      },
    ),
    onRun("an index that is made or dropped meanwhile misses no node", (run) => {
      let name = 0;
      const node = run.graph.addNode(["l", "m"], { p: 0 });
      const changes: ((label: string) => Act)[] = [
        (label) =>
          ({ graph }) =>
            graph.addNode(label, { p: 1 }),
        () =>
          ({ graph }) =>
            graph.patchNode(node, { p: name }),
        (label) =>
          ({ graph }) =>
            graph.updateNode(node, { labels: ["m", label] }),
        (label) =>
          ({ graph }) =>
            graph.deleteNode(graph.addNode(label, { p: 1 })),
      ];
      for (const [i, change] of changes.entries()) {
        for (const isFirst of [true, false]) {
          const label = i === 1 ? "m" : `label ${name++}`;
          const property = i === 1 && !isFirst ? "q" : "p";
          const make: Act = ({ graph }) => graph.createIndex(label, property);
          const outcome = isFirst ? race(run, make, change(label)) : race(run, change(label), make);
          ok(
            outcome === "conflict" || i !== 0 || isFirst === false,
            `a node that is added behind an index to conflict: ${i}`,
          );
          equal(run.graph.verify().valid, true);
          const drop: Act = ({ graph }) => graph.dropIndex(label, property);
          if (isFirst) race(run, drop, change(label));
          else race(run, change(label), drop);
          equal(run.graph.verify().valid, true);
        }
      }
      equal(
        race(
          run,
          ({ graph }) => graph.createIndex("x", "a"),
          ({ graph }) => graph.createIndex("x", "b"),
        ),
        "conflict",
      );
      run.graph.rebuild();
      equal(run.graph.verify().valid, true);
    }),
    onRun(
      "who has read is in conflict with what changes it only where something was written on the strength of it",
      (run) => {
        const [a, b, c] = addNodes(run.graph, 3) as [number, number, number];
        run.graph.addEdge(a, b, "t");
        const reads: [name: string, read: Act, touched: boolean][] = [
          ["neighbors", ({ graph }) => graph.neighbors(a), true],
          ["neighbors of a type", ({ graph }) => graph.neighbors(a, { type: "none" }), true],
          ["degree", ({ graph }) => graph.degree(a), true],
          ["bfs", ({ graph }) => [...graph.bfs(a)], true],
          ["bfs against it", ({ graph }) => [...graph.bfs(c, { direction: "in" })], true],
          ["shortestPath", ({ graph }) => graph.shortestPath(a, c), true],
          ["edges", ({ graph }) => graph.edges(), true],
          ["another's neighbors", ({ graph }) => graph.neighbors(b), false],
          ["neighbors on the other side", ({ graph }) => graph.neighbors(a, { direction: "in" }), false],
          ["bfs from elsewhere", ({ graph }) => [...graph.bfs(c)], false],
          ["bfs of the start alone", ({ graph }) => [...graph.bfs(a, { depth: 0 })], false],
          ["the nodes", ({ graph }) => [graph.nodes(), graph.getNode(a), graph.nodesByLabel("n")], false],
        ];
        for (const [name, read, touched] of reads) {
          const add: Act = ({ graph }) => graph.addEdge(a, c, "t");
          const remove = (): void => {
            for (const { edge, node } of run.graph.neighbors(a)) if (node === c) run.graph.deleteEdge(edge);
          };
          equal(race(run, add, read), "committed", `${name}, only read`);
          remove();
          const write: Act = (tx) => [read(tx), tx.kv.put("on the strength of it", 1)];
          equal(race(run, add, write), touched ? "conflict" : "committed", `${name}, and written`);
          remove();
        }
      },
    ),
    onRun("who has gone through a portion of a hub's neighbors has not read those behind it", (run) => {
      const hub = run.graph.addNode("n");
      run.transaction(({ graph }) => {
        for (let i = 0; i < 600; i++) graph.addEdge(hub, hub, i % 2 === 0 ? "t" : "u");
      });
      for (const direction of DIRECTIONS) {
        for (const options of [{}, { type: "u" }]) {
          const add: Act = ({ graph }) => graph.addEdge(hub, hub, "u");
          const read = (count: number): Act => {
            return ({ graph, kv }) => {
              const walk = graph.eachNeighbor(hub, { direction, ...options });
              for (let i = 0; i < count; i++) walk.next();
              kv.put("on the strength of it", 1);
            };
          };
          equal(race(run, add, read(1)), "committed", `the first, ${direction}`);
          equal(race(run, add, read(1000)), "conflict", `all, ${direction}`);
        }
      }
    }),
    onRun("implicit steps meet no conflict that they tell of", (run) => {
      const hub = run.graph.addNode("hub");
      const transaction = run.begin();
      transaction.graph.addEdge(hub, hub, "t");
      run.graph.patchNode(hub, { x: 1 });
      run.graph.deleteNode(hub);
      throwsCode("CONFLICT", () => transaction.commit());
      sound(run.graph, 0, 0);
    }),
  ];
}

function snapshotCases(): Case[] {
  return [
    onRun("a snapshot holds the graph as it was, whatever becomes of it", (run, db) => {
      tangle(run, 30);
      run.graph.createIndex("n", "i");
      const [snapshot, whole, transaction] = [run.snapshot(), db.snapshot(), run.begin()];
      const before = everything(run.graph);
      const views = [snapshot.graph, whole.run(RUN).graph, transaction.graph];
      const check = (what: string): void => {
        for (const graph of views) {
          deepEqual(everything(graph), before, what);
          deepEqual([graph.findNodes("n", "i", 7).length, graph.findNodes("m", "i", 7).length], [1, 0], what);
          equal(graph.verify().valid, true, what);
        }
      };
      run.graph.dropIndex("n", "i");
      check("an index dropped");
      run.graph.createIndex("m", "i");
      for (let id = 1; id <= 30; id++) run.graph.updateNode(id, { labels: "m", properties: { i: -id } });
      check("nodes changed");
      for (const { id } of run.graph.edges()) run.graph.patchEdge(id, { x: 1 });
      for (const { id } of run.graph.edges()) if (id % 2 === 0) run.graph.deleteEdge(id);
      check("edges deleted");
      for (let i = 0; i < 50; i++) run.graph.addEdge(1, run.graph.addNode("n", { i: 7 }), "near");
      check("nodes added");
      for (const { id } of run.graph.nodes()) run.graph.deleteNode(id);
      check("all deleted");
      db.deleteRun(RUN);
      const [first, second] = [snapshot.graph, whole.run(RUN).graph];
      deepEqual([everything(first), everything(second)], [before, before], "the run deleted");
      for (const graph of [first, second]) equal("addNode" in graph, false, "addNode on a snapshot");
      transaction.rollback();
      snapshot.dispose();
      whole.dispose();
      throwsCode("TRANSACTION_CLOSED", () => first.nodes());
      throwsCode("TRANSACTION_CLOSED", () => second.shortestPath(1, 2));
      deepEqual(run.graph.nodes(), []);
    }),
  ];
}

/** What throws, lies or changes when it is looked at. */
function hostiles(): unknown[] {
  const boom = (): never => {
    throw new Error("boom");
  };
  const trap = new Proxy({}, new Proxy({}, { get: () => boom }));
  const array = new Proxy([1, 2], { get: boom });
  const getter = Object.defineProperty({}, "direction", { get: boom, enumerable: true });
  const revoked = Proxy.revocable({}, {});
  const revokedArray = Proxy.revocable([], {});
  revoked.revoke();
  revokedArray.revoke();
  const cyclic: unknown[] = [];
  cyclic.push(cyclic);
  return [
    trap,
    array,
    getter,
    revoked.proxy,
    revokedArray.proxy,
    { toString: boom, valueOf: boom, [Symbol.toPrimitive]: boom },
    { labels: revokedArray.proxy },
    { labels: [trap] },
    { properties: revoked.proxy },
    { types: revokedArray.proxy },
    { type: trap },
    { signal: trap },
    { signal: revoked.proxy },
    { signal: Object.create(AbortSignal.prototype) },
    { after: trap },
    { limit: trap },
    { reverse: trap },
    { x: trap },
    cyclic,
    new Array(2 ** 32 - 1),
    Symbol("s"),
    boom,
    new Map([["a", 1]]),
    new Date(),
    Uint8Array.of(1),
    null,
    "",
    "x".repeat(257),
    "\uD800",
    0,
    -1,
    1.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    2 ** 53,
    1n,
    true,
    [0],
    ["1"],
    [""],
    ["\uD800"],
    [Symbol("s")],
    { limit: -1 },
    { limit: 0.5 },
    { limit: Number.NaN },
    { limit: null },
    { limit: "1" },
    { after: 0 },
    { after: "1" },
    { after: null },
    { after: 1.5 },
    { reverse: 1 },
    { reverse: null },
    { direction: "up" },
    { direction: null },
    { direction: "__proto__" },
    { type: "" },
    { type: 1 },
    { type: null },
    { types: "t" },
    { types: [1] },
    { types: Array.from({ length: 257 }, (_, i) => `${i}`) },
    { type: "t", types: ["t"] },
    { depth: -1 },
    { depth: 1.5 },
    { depth: "1" },
    { depth: null },
    { signal: {} },
    { signal: null },
    { unknown: 1 },
    { durability: "maybe" },
    { labels: [""] },
    { labels: 1 },
    { labels: null },
    { properties: 1 },
    { properties: [] },
    { properties: null },
    { properties: new Map() },
    { properties: { f: () => 1 } },
  ];
}

/** A prototype as bytes of another realm have it: one that this realm's `instanceof` does not know. */
const FOREIGN_BYTES: object = Object.create(Object.getPrototypeOf(Uint8Array.prototype));

/** What a refusal may say. */
const REFUSALS = ["INVALID_ARGUMENT", "INVALID_KEY", "INVALID_VALUE", "VALUE_TOO_LARGE", "NOT_FOUND"];

function refusalCases(): Case[] {
  const methods = (graph: GraphStore, id: number): Record<string, (given: unknown) => unknown> => {
    const read = (walk: Iterable<unknown>): unknown => [...walk];
    const of = (given: unknown): never => loose(given);
    return {
      getNode: (given) => graph.getNode(of(given)),
      getNodes: (given) => graph.getNodes(of(given)),
      hasNode: (given) => graph.hasNode(of(given)),
      getEdge: (given) => graph.getEdge(of(given)),
      getEdges: (given) => graph.getEdges(of(given)),
      nodes: (given) => graph.nodes(of(given)),
      edges: (given) => graph.edges(of(given)),
      "nodesByLabel by label": (given) => graph.nodesByLabel(of(given)),
      "nodesByLabel by page": (given) => graph.nodesByLabel("n", of(given)),
      "findNodes by label": (given) => graph.findNodes(of(given), "i", 1),
      "findNodes by property": (given) => graph.findNodes("n", of(given), 1),
      "findNodes by value": (given) => graph.findNodes("n", "i", of(given)),
      "findNodes by page": (given) => graph.findNodes("n", "i", 1, of(given)),
      "findNodes by page, indexed": (given) => graph.findNodes("n", "indexed", 1, of(given)),
      "neighbors by id": (given) => graph.neighbors(of(given)),
      "neighbors by options": (given) => graph.neighbors(id, of(given)),
      "degree by id": (given) => graph.degree(of(given)),
      "degree by options": (given) => graph.degree(id, of(given)),
      "bfs by id": (given) => read(graph.bfs(of(given))),
      "bfs by options": (given) => read(graph.bfs(id, of(given))),
      "shortestPath by source": (given) => graph.shortestPath(of(given), id),
      "shortestPath by target": (given) => graph.shortestPath(id, of(given)),
      "shortestPath by options": (given) => graph.shortestPath(id, id, of(given)),
      "addNode by labels": (given) => graph.addNode(of(given)),
      "addNode by properties": (given) => graph.addNode("made", of(given)),
      "addNode by options": (given) => graph.addNode("made", {}, of(given)),
      "updateNode by id": (given) => graph.updateNode(of(given), {}),
      "updateNode by update": (given) => graph.updateNode(id, of(given)),
      "updateNode by options": (given) => graph.updateNode(id, {}, of(given)),
      "patchNode by id": (given) => graph.patchNode(of(given), {}),
      "patchNode by patch": (given) => graph.patchNode(id, of(given)),
      "patchNode by options": (given) => graph.patchNode(id, {}, of(given)),
      "deleteNode by id": (given) => graph.deleteNode(of(given)),
      "addEdge by source": (given) => graph.addEdge(of(given), id, "made"),
      "addEdge by target": (given) => graph.addEdge(id, of(given), "made"),
      "addEdge by type": (given) => graph.addEdge(id, id, of(given)),
      "addEdge by properties": (given) => graph.addEdge(id, id, "made", of(given)),
      "addEdge by options": (given) => graph.addEdge(id, id, "made", {}, of(given)),
      "updateEdge by id": (given) => graph.updateEdge(of(given), { properties: {} }),
      "updateEdge by update": (given) => graph.updateEdge(id + 1, of(given)),
      "patchEdge by id": (given) => graph.patchEdge(of(given), {}),
      "patchEdge by patch": (given) => graph.patchEdge(id + 1, of(given)),
      "deleteEdge by id": (given) => graph.deleteEdge(of(given)),
      "createIndex by label": (given) => graph.createIndex(of(given), "p"),
      "createIndex by property": (given) => graph.createIndex("n", of(given)),
      "dropIndex by label": (given) => graph.dropIndex(of(given), "p"),
      "dropIndex by property": (given) => graph.dropIndex("n", of(given)),
      "rebuild by options": (given) => graph.rebuild(of(given)),
    };
  };
  return [
    onRun(
      "whatever a method is given, it answers or throws a typed error, and a refusal has changed nothing",
      (run, db) => {
        const id = run.graph.addNode("n", { i: 1, indexed: 1 });
        equal(run.graph.addEdge(id, id, "t", { x: 1 }), id + 1);
        run.graph.createIndex("n", "indexed");
        for (const [name, use] of Object.entries(methods(run.graph, id))) {
          for (const [i, given] of hostiles().entries()) {
            const version = db.version;
            const before = run.count();
            try {
              use(given);
            } catch (error) {
              const code = HoldfastError.is(error) ? error.code : "untyped";
              ok(REFUSALS.includes(code), `a typed refusal of ${name}, hostile ${i}: ${error}`);
              deepEqual([run.count(), run.graph.verify().valid], [before, true], `${name} ${i}`);
              equal(db.version, version, `the version after a refusal of ${name} ${i}`);
            }
          }
        }
        equal(run.graph.verify().valid, true);
        deepEqual(run.graph.getNode(id)?.labels, ["n"]);
      },
    ),
    onRun("arguments that are none are refused, each with its code", (run) => {
      const id = run.graph.addNode("n");
      const edge = run.graph.addEdge(id, id, "t", { x: 1 });
      for (const bad of [0, -1, 1.5, Number.NaN, "1", 1n, null, undefined, {}, 2 ** 53].map(loose)) {
        for (const [name, use] of Object.entries(methods(run.graph, id))) {
          if (/by (id|source|target)$|^(getNode|hasNode|getEdge)$/.test(name)) {
            throwsCode("INVALID_ARGUMENT", () => use(bad));
          }
        }
        throwsCode("INVALID_ARGUMENT", () => run.graph.getNodes([bad]));
        throwsCode("INVALID_ARGUMENT", () => run.graph.getEdges([edge, bad]));
      }
      for (const bad of ["", "x".repeat(257), "\uD800"]) {
        for (const name of [
          "nodesByLabel by label",
          "findNodes by label",
          "addNode by labels",
          "addEdge by type",
          "createIndex by label",
          "dropIndex by label",
        ]) {
          throwsCode("INVALID_KEY", () => methods(run.graph, id)[name]?.(bad));
        }
        throwsCode("INVALID_KEY", () => run.graph.neighbors(id, { type: bad }));
        throwsCode("INVALID_KEY", () => run.graph.bfs(id, { types: [bad] }));
        throwsCode("INVALID_KEY", () => run.graph.shortestPath(id, id, { types: ["t", bad] }));
      }
      for (const bad of [null, 1, "a", [], new Map([["x", 1]]), new Date(), Uint8Array.of(1)].map(loose)) {
        throwsCode("INVALID_ARGUMENT", () => run.graph.patchNode(id, bad));
        throwsCode("INVALID_ARGUMENT", () => run.graph.patchEdge(edge, bad));
      }
      for (const bad of [null, 1, "a", [], Uint8Array.of(1)].map(loose)) {
        throwsCode("INVALID_ARGUMENT", () => run.graph.addNode("n", bad));
      }
      throwsCode("INVALID_ARGUMENT", () => run.graph.patchNode(id, loose(undefined)));
      const said = {
        "The labels must be an array": () => run.graph.addNode(loose({ labels: ["n"] })),
        "The types must be an array": () => run.graph.neighbors(id, { types: loose("t") }),
      };
      for (const [start, use] of Object.entries(said)) {
        equal(throwsCode("INVALID_ARGUMENT", use).message.slice(0, start.length), start);
      }
      equal(
        throwsCode("INVALID_VALUE", () => run.graph.addNode("n", { a: { b: loose(() => 1) } })).details["path"],
        "$.a.b",
      );
      equal(
        throwsCode("INVALID_VALUE", () => run.graph.patchEdge(edge, { a: [loose(() => 1)] })).details["path"],
        "$.a[0]",
      );
      throwsCode("INVALID_VALUE", () => run.graph.findNodes("n", "p", loose(undefined)));
      throwsCode("INVALID_VALUE", () => run.graph.addNode("n", { deep: nested(63) }));
      run.graph.addNode("n", { deep: nested(62) });
      deepEqual(run.graph.getEdge(edge)?.properties, { x: 1 });
      sound(run.graph, 2, 1);
    }),
    onRun("bytes are no properties, whatever prototype they have, and nothing of them is stored", (run) => {
      // They passed for an object and were stored as bytes: the node could be neither read, listed nor deleted.
      const id = run.graph.addNode("n", { x: 1 });
      const edge = run.graph.addEdge(id, id, "t", { x: 1 });
      const before = everything(run.graph);
      for (const prototype of [null, Object.prototype, FOREIGN_BYTES]) {
        const bytes = loose(Object.setPrototypeOf(Uint8Array.of(1), prototype));
        throwsCode("INVALID_ARGUMENT", () => run.graph.addNode("n", bytes));
        throwsCode("INVALID_ARGUMENT", () => run.graph.addEdge(id, id, "t", bytes));
        throwsCode("INVALID_ARGUMENT", () => run.graph.updateNode(id, { properties: bytes }));
        throwsCode("INVALID_ARGUMENT", () => run.graph.updateEdge(edge, { properties: bytes }));
        throwsCode("INVALID_ARGUMENT", () => run.transaction(({ graph }) => graph.addNode("n", bytes)));
      }
      sound(run.graph, 1, 1);
      deepEqual(everything(run.graph), before);
    }),
    onRun("a node has at most 256 labels, and a walk looks for at most 256 types", (run) => {
      const names = Array.from({ length: 257 }, (_, i) => `${"x".repeat(200)}-${i}`);
      throwsCode("INVALID_ARGUMENT", () => run.graph.addNode(names));
      throwsCode("INVALID_ARGUMENT", () => run.graph.bfs(1, { types: names }));
      const [a, b] = [run.graph.addNode(names.slice(1)), run.graph.addNode([])] as const;
      run.graph.addEdge(a, b, names[256] as string);
      deepEqual([...run.graph.bfs(a, { types: names.slice(1) })].length, 2);
      deepEqual([...run.graph.bfs(a, { types: names.slice(0, 256) })].length, 1);
      sound(run.graph, 2, 1);
    }),
    onRun(
      "the durability of each write is handed on: a storage that cannot keep it refuses, and nothing has changed",
      (run, db, context) => {
        const id = run.graph.addNode("n");
        const edge = run.graph.addEdge(id, id, "t");
        const strict = { durability: "strict" } as const;
        const uses: (() => unknown)[] = [
          () => run.graph.addNode("n", {}, strict),
          () => run.graph.updateNode(id, { labels: "m" }, strict),
          () => run.graph.patchNode(id, { x: 1 }, strict),
          () => run.graph.addEdge(id, id, "t", {}, strict),
          () => run.graph.updateEdge(edge, { properties: { y: 1 } }, strict),
          () => run.graph.patchEdge(edge, { x: 1 }, strict),
          () => run.graph.createIndex("m", "x", strict),
          () => run.graph.dropIndex("m", "x", strict),
          () => run.graph.deleteEdge(edge, strict),
          () => run.graph.deleteNode(id, strict),
        ];
        const before = everything(run.graph);
        for (const use of uses) {
          const { syncs } = db.stats();
          if (context.capabilities.syncFlush) {
            use();
            ok(db.stats().syncs > syncs, "a sync");
          } else {
            throwsCode("SYNC_COMMIT_UNSUPPORTED", use);
            deepEqual(everything(run.graph), before);
          }
        }
        run.graph.addNode("n", {}, { durability: "in-memory" });
        equal(run.graph.verify().valid, true);
      },
    ),
  ];
}
