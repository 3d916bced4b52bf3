// graphology: a graph of objects in memory. It has no index of properties, no transactions and no file; what a node is found
// by is a `Map` beside it, and walks are written by hand over its iterators.

import { MultiDirectedGraph } from "graphology";

/** An empty graph whose nodes are found by their paths. */
export function openGraphology() {
  const graph = new MultiDirectedGraph();
  const byPath = new Map();
  const nodeOf = (id) => graph.getNodeAttributes(id);

  const walk = (start, depth) => {
    const found = [start];
    const seen = new Set(found);
    const visit = (target) => {
      if (seen.has(target)) return;
      seen.add(target);
      found.push(target);
    };
    for (let level = 0, at = 0; level < depth && at < found.length; level++) {
      for (const end = found.length; at < end; at++) graph.forEachOutNeighbor(found[at], visit);
    }
    return found;
  };
  return {
    load(nodes, edges) {
      const ids = nodes.map((properties, index) => {
        const id = graph.addNode(index + 1, { labels: ["module"], properties: { ...properties } });
        const same = byPath.get(properties.path);
        if (same === undefined) byPath.set(properties.path, [id]);
        else same.push(id);
        return id;
      });
      for (const [from, to] of edges) graph.addEdge(ids[from], ids[to], { type: "imports", properties: {} });
      return ids;
    },
    counts: () => [graph.order, graph.size],
    check() {},
    node: nodeOf,
    neighbors: (id) => graph.mapOutEdges(id, (edge, { type }, _source, target) => ({ edge, node: target, type })),
    twoSteps: (id) => walk(id, 2).slice(1),
    reached: (id) => walk(id, Number.POSITIVE_INFINITY),
    find: (path) => (byPath.get(path) ?? []).map(nodeOf),
    close() {},
  };
}
