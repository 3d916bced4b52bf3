// A graph in better-sqlite3 `:memory:`: a table of nodes and one of edges, indexed both ways by indices that hold all that is
// asked for. Ends of edges are foreign keys, which better-sqlite3 checks unless told not to; properties are JSON.
//
// Walks are a select for each node and a set beside it, which is faster here than one statement for all (`byStatement`).

import { openSqliteTables } from "./better-sqlite3.mjs";

const LABEL = "module";
const SCHEMA = `
  CREATE TABLE nodes (id INTEGER PRIMARY KEY, label TEXT NOT NULL, path TEXT, properties TEXT NOT NULL);
  CREATE INDEX nodes_by_path ON nodes (label, path);
  CREATE TABLE edges (
    id INTEGER PRIMARY KEY, source INTEGER NOT NULL REFERENCES nodes, target INTEGER NOT NULL REFERENCES nodes,
    type TEXT NOT NULL, properties TEXT NOT NULL
  );
  CREATE INDEX edges_out ON edges (source, id, target, type);
  CREATE INDEX edges_in ON edges (target, id, source, type);`;

const TWO_STEPS = `
  SELECT target FROM edges WHERE source = @id AND target <> @id
  UNION
  SELECT next.target FROM edges AS first CROSS JOIN edges AS next ON next.source = first.target
  WHERE first.source = @id AND next.target <> @id`;

const REACHED = `
  WITH RECURSIVE reached (node) AS (
    VALUES (?) UNION SELECT edges.target FROM reached CROSS JOIN edges ON edges.source = reached.node
  )
  SELECT node FROM reached`;

const nodeOf = ([id, label, properties]) => ({ id, labels: [label], properties: JSON.parse(properties) });

/** An empty graph whose nodes are found by their paths. */
export function openSqliteGraph() {
  const db = openSqliteTables(SCHEMA);
  const insertNode = db.prepare("INSERT INTO nodes (label, path, properties) VALUES (?, ?, ?)");
  const insertEdge = db.prepare("INSERT INTO edges (source, target, type, properties) VALUES (?, ?, ?, ?)");
  const selectNode = db.prepare("SELECT id, label, properties FROM nodes WHERE id = ?").raw();
  const selectByPath = db
    .prepare("SELECT id, label, properties FROM nodes WHERE label = ? AND path = ? ORDER BY id")
    .raw();
  const selectOut = db.prepare("SELECT id AS edge, target AS node, type FROM edges WHERE source = ? ORDER BY id");
  const selectTargets = db.prepare("SELECT target FROM edges WHERE source = ?").pluck();
  const selectTwoSteps = db.prepare(TWO_STEPS).pluck();
  const selectReached = db.prepare(REACHED).pluck();

  /** Breadth first, a select for each node that is come to, so many steps far. */
  const walk = (start, depth) => {
    const found = [start];
    const seen = new Set(found);
    for (let level = 0, at = 0; level < depth && at < found.length; level++) {
      for (const end = found.length; at < end; at++) {
        for (const target of selectTargets.all(found[at])) {
          if (seen.has(target)) continue;
          seen.add(target);
          found.push(target);
        }
      }
    }
    return found;
  };
  return {
    load: db.transaction((nodes, edges) => {
      const ids = nodes.map(
        (properties) => insertNode.run(LABEL, properties.path, JSON.stringify(properties)).lastInsertRowid,
      );
      for (const [from, to] of edges) insertEdge.run(ids[from], ids[to], "imports", "{}");
      return ids;
    }),
    counts: () => ["nodes", "edges"].map((table) => db.prepare(`SELECT count(*) FROM ${table}`).pluck().get()),
    check() {},
    node: (id) => nodeOf(selectNode.get(id)),
    neighbors: (id) => selectOut.all(id),
    find: (path) => selectByPath.all(LABEL, path).map(nodeOf),
    twoSteps: (id) => walk(id, 2).slice(1),
    reached: (id) => walk(id, Number.POSITIVE_INFINITY),
    byStatement: { twoSteps: (id) => selectTwoSteps.all({ id }), reached: (id) => selectReached.all(id) },
    close: () => db.close(),
  };
}
