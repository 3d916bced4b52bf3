// Holdfast's graph, in memory, through its public API.

import { openDatabase } from "./holdfast.mjs";

const LABEL = "module";

/** An empty graph whose nodes are found by their paths. */
export async function openHoldfastGraph() {
  const db = await openDatabase();
  const run = db.run("bench");
  run.graph.createIndex(LABEL, "path");
  const { graph } = run;
  return {
    /** All in one transaction; the ids of the nodes. */
    load: (nodes, edges) =>
      run.transaction((tx) => {
        const ids = nodes.map((properties) => tx.graph.addNode(LABEL, properties));
        for (const [from, to] of edges) tx.graph.addEdge(ids[from], ids[to], "imports");
        return ids;
      }),
    counts: () => [graph.nodeCount(), graph.edgeCount()],
    check() {
      const report = graph.verify();
      if (!report.valid) throw new Error(`the graph does not verify: ${JSON.stringify(report)}`);
    },
    node: (id) => graph.getNode(id),
    neighbors: (id) => graph.neighbors(id),
    twoSteps(id) {
      const found = [];
      for (const { node } of graph.bfs(id, { depth: 2 })) if (node !== id) found.push(node);
      return found;
    },
    reached(id) {
      const found = [];
      for (const { node } of graph.bfs(id)) found.push(node);
      return found;
    },
    find: (path) => graph.findNodes(LABEL, "path", path),
    close: () => db.close(),
  };
}
