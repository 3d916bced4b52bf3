// A graph: the modules of this project and of all that it depends on, with an edge for each import. Loaded as a whole, then read:
// a node, its neighbours, what is two steps away, all that is reached, a node by its path.
//
// Keeps true: what every subject answers to every question is compared with plain lists of the same graph before anything is
// timed, and each pass with what it has to come to.

import { fileURLToPath } from "node:url";
import { openGraphology } from "../subjects/graphology.mjs";
import { openHoldfastGraph } from "../subjects/holdfast-graph.mjs";
import { openSqliteGraph } from "../subjects/sqlite-graph.mjs";
import { importGraph } from "../work/import-graph.mjs";
import { pick, shuffledIndices } from "../workload.mjs";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const READS = { node: 100_000, neighbors: 50_000, twoSteps: 10_000, reached: 400, find: 50_000 };
const READS_QUICK = { node: 4000, neighbors: 4000, twoSteps: 1000, reached: 100, find: 4000 };
/** Walks begin at so many of the modules that nobody imports: those from which most is reached. */
const ENTRIES = 20;

const SUBJECTS = [
  { name: "Holdfast", open: openHoldfastGraph, isHoldfast: true },
  { name: "graphology", open: openGraphology },
  { name: "better-sqlite3", open: openSqliteGraph },
];

/** The graph as lists, and the right answers. */
function makeModel() {
  const { modules, imports: named } = importGraph(ROOT, ["src", "test", "node_modules", "bench/node_modules"]);
  const places = new Map(modules.map((module, index) => [module, index]));
  const imports = named.map((pair) => pair.map((module) => places.get(module)));
  const targets = modules.map(() => []);
  const isImported = modules.map(() => false);
  for (const [from, to] of imports) {
    targets[from].push(to);
    isImported[to] = true;
  }
  const within = (start, depth) => {
    const found = new Set([start]);
    let level = [start];
    for (let step = 0; step < depth && level.length > 0; step++) {
      level = [...new Set(level.flatMap((from) => targets[from]))].filter((to) => !found.has(to));
      for (const to of level) found.add(to);
    }
    return [...found];
  };
  const entries = modules
    .map((_, index) => ({ index, count: isImported[index] ? 0 : within(index, Number.POSITIVE_INFINITY).length }))
    .sort((a, b) => b.count - a.count || a.index - b.index)
    .slice(0, ENTRIES)
    .map(({ index }) => index);
  return {
    edges: imports,
    nodes: modules.map((path) => ({ path, package: packageOf(path) })),
    entries,
    neighbors: (index) => targets[index],
    twoSteps: (index) => within(index, 2).slice(1),
    reached: (index) => within(index, Number.POSITIVE_INFINITY),
  };
}

/** The package that a module is of: the innermost; of the project itself none. */
function packageOf(path) {
  const [, inner] = /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path) ?? [];
  return inner ?? "";
}

/** Asks one subject everything, and throws where it answers something else than the lists say. */
function compare(graph, ids, model) {
  const indices = new Map(ids.map((id, index) => [id, index]));
  const sorted = (list) => [...list].sort((a, b) => a - b);
  const same = (what, index, found, right) => {
    if (JSON.stringify(found) === JSON.stringify(right)) return;
    throw new Error(
      `${what} of ${model.nodes[index].path}: ${JSON.stringify(found)} where ${JSON.stringify(right)} is right`,
    );
  };
  const all = (found) => sorted(found.map((id) => indices.get(id)));
  same("the counts", 0, graph.counts(), [model.nodes.length, model.edges.length]);
  graph.check();
  for (const [index, id] of ids.entries()) {
    const { labels, properties } = graph.node(id);
    same("the node", index, { labels, properties }, { labels: ["module"], properties: model.nodes[index] });
    const neighbors = graph.neighbors(id);
    same("the neighbours", index, all(neighbors.map(({ node }) => node)), sorted(model.neighbors(index)));
    same("their edges", index, new Set(neighbors.map(({ edge }) => edge)).size, neighbors.length);
    for (const ways of [graph, graph.byStatement].filter(Boolean)) {
      same("what is two steps away", index, all(ways.twoSteps(id)), sorted(model.twoSteps(index)));
    }
    const found = graph.find(model.nodes[index].path).map((node) => node.properties);
    same("what is found by the path", index, found, [model.nodes[index]]);
  }
  for (const index of model.entries) {
    for (const ways of [graph, graph.byStatement].filter(Boolean)) {
      same("what is reached", index, all(ways.reached(ids[index])), sorted(model.reached(index)));
    }
  }
}

/** A subject's graph, loaded and compared, with its passes. */
async function openFilled({ name, open, isHoldfast = false }, model) {
  const graph = await open();
  const ids = graph.load(model.nodes, model.edges);
  compare(graph, ids, model);
  const { passesOver } = await import(`../subjects/graph-passes.mjs?${name}`);
  return { name, open, isHoldfast, ids, passes: passesOver(graph), close: () => graph.close() };
}

/** Loading: each pass fills a graph that was opened for it and is closed after it. */
function loading({ open }, { nodes, edges }) {
  const count = nodes.length + edges.length;
  let graph;
  return {
    operations: count,
    async makeInput() {
      graph = await open();
      return { graph, nodes, edges, count, expected: count };
    },
    pass: (input) => input.graph.load(input.nodes, input.edges).length + input.edges.length,
    async settle() {
      const [nodeCount, edgeCount] = graph.counts();
      if (nodeCount + edgeCount !== count) throw new Error(`holds ${nodeCount} nodes and ${edgeCount} edges`);
      await graph.close();
    },
  };
}

/** A function that is asked once for each index. */
function known(figure) {
  const figures = new Map();
  return (index) => {
    if (!figures.has(index)) figures.set(index, figure(index));
    return figures.get(index);
  };
}

/** Reading: `from` are the indices of the nodes that are asked about, `figure` what one answer adds to the total. */
function reading(operations, pass, from, ids, figure, { nodes }) {
  return {
    operations,
    pass,
    makeInput(round, count) {
      const order = shuffledIndices(count, round).map((at) => from[at % from.length]);
      return {
        ids: pick(ids, order),
        paths: Array.from(order, (index) => nodes[index].path),
        count,
        expected: order.reduce((sum, index) => sum + figure(index), 0),
      };
    },
  };
}

const ROWS = [
  {
    of: (subject, model) => loading(subject, model),
    names: { Holdfast: "Holdfast, load", graphology: "graphology, load", "better-sqlite3": "better-sqlite3, load" },
    notes: {
      Holdfast: ({ nodes, edges }) =>
        `${nodes.length} nodes and ${edges.length} edges, in one transaction; per node or edge`,
      graphology: () => "no transaction, ends of edges checked; its index by hand",
      "better-sqlite3": () => "one transaction, foreign keys",
    },
  },
  read("node", "getPass", (model) => (index) => model.nodes[index].path.length, {
    names: {
      Holdfast: "Holdfast graph.getNode",
      graphology: "graphology, attributes",
      "better-sqlite3": "better-sqlite3, select and parse",
    },
    notes: { graphology: () => "the object that it holds, not a copy" },
  }),
  read("neighbors", "neighborsPass", (model) => (index) => model.neighbors(index).length, {
    names: {
      Holdfast: "Holdfast graph.neighbors",
      graphology: "graphology mapOutEdges",
      "better-sqlite3": "better-sqlite3, select by an index",
    },
    notes: { graphology: () => "in no promised order" },
  }),
  read("twoSteps", "twoStepsPass", (model) => (index) => model.twoSteps(index).length, {
    names: {
      Holdfast: "Holdfast graph.bfs, two steps",
      graphology: "graphology, two steps by hand",
      "better-sqlite3": "better-sqlite3, two steps",
    },
    notes: {
      Holdfast: () => "all within two steps but the start, each once",
      "better-sqlite3": () => "a select for each node and a Set; one UNION is slower",
    },
  }),
  read("reached", "reachedPass", (model) => (index) => model.reached(index).length, {
    names: {
      Holdfast: "Holdfast graph.bfs",
      graphology: "graphology, queue and Set by hand",
      "better-sqlite3": "better-sqlite3, everything reached",
    },
    notes: {
      Holdfast: ({ entries, reached }) => {
        const counts = entries.map((index) => reached(index).length);
        return `from ${entries.length} entries, ${Math.min(...counts)} to ${Math.max(...counts)} nodes`;
      },
      "better-sqlite3": () => "a select for each node and a Set; one recursive statement is slower",
    },
  }),
  read("find", "findPass", (model) => (index) => model.nodes[index].path.length, {
    names: {
      Holdfast: "Holdfast graph.findNodes",
      graphology: "graphology, Map by hand",
      "better-sqlite3": "better-sqlite3, find by an index",
    },
    notes: { Holdfast: () => "one node by its path" },
  }),
];

function read(kind, pass, figureIn, { names, notes }) {
  return {
    of({ passes, ids }, model, operations) {
      const from = kind === "reached" ? model.entries : model.nodes.map((_, index) => index);
      return reading(operations[kind], passes[pass], from, ids, known(figureIn(model)), model);
    },
    names,
    notes,
  };
}

export async function prepare({ quick, opened }) {
  const operations = quick ? READS_QUICK : READS;
  const model = makeModel();
  const filled = [];
  for (const subject of SUBJECTS) filled.push(await opened(subject.name, () => openFilled(subject, model)));
  return {
    computes: true,
    subjects: ROWS.flatMap(({ of, names, notes }) =>
      filled.filter(Boolean).map((subject) => ({
        name: names[subject.name],
        note: notes[subject.name]?.(model),
        isHoldfast: subject.isHoldfast,
        ...of(subject, model, operations),
      })),
    ),
  };
}
