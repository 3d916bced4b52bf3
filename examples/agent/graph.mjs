/**
 * `node examples/agent/graph.mjs`: what an agent did and what it found, walked as one graph, in one snapshot.
 *
 * The agent reads the files of this folder. Each look is a trace; each file is a node, each import an edge; a trace says in
 * its metadata which node it is about. So traces are nodes too, of another kind: a step of the walk goes from a trace to the
 * traces below it and to its file, and from a file to what it imports.
 *
 * What it keeps true: the walk sees one instant of both, whatever the agent does meanwhile.
 */
import { readdirSync, readFileSync } from "node:fs";

const LIBRARY = new URL("../../dist/index.js", import.meta.url);
const FOLDER = new URL("./", import.meta.url);
const IMPORT = /^import .* from "\.\/(?<file>[^"]+)";$/gm;

/** Looks at one file: a trace, its node, and an edge to each file that it imports, all in one step. */
function look(run, file, plan) {
  const text = readFileSync(new URL(file, FOLDER), "utf8");
  run.transaction((tx) => {
    const node = nodeOf(tx.graph, file);
    tx.graph.patchNode(node, { lines: text.split("\n").length });
    for (const { groups } of text.matchAll(IMPORT)) tx.graph.addEdge(node, nodeOf(tx.graph, groups.file), "imports");
    tx.traces.record({ type: "tool-call", name: "read", args: { file } }, { parent: plan, metadata: { node } });
  });
}

/** The node of a file, added where it is not there yet. */
function nodeOf(graph, path) {
  return graph.findNodes("file", "path", path)[0]?.id ?? graph.addNode("file", { path });
}

/** What a step leads to from a trace or a node, each as `{ trace }` or `{ node }`. */
function stepsFrom({ traces, graph }, place) {
  if (place.node !== undefined) {
    return graph.neighbors(place.node, { type: "imports" }).map(({ node }) => ({ node }));
  }
  const { node } = traces.get(place.trace).metadata ?? {};
  const below = traces.children(place.trace).map(({ id }) => ({ trace: id }));
  return node === undefined ? below : [{ node }, ...below];
}

/** Everything that can be come to, breadth first, each once, with its depth. */
function* walk(snapshot, start) {
  const seen = new Set([JSON.stringify(start)]);
  const queue = [{ ...start, depth: 0 }];
  for (const { depth, ...place } of queue) {
    yield { ...place, depth };
    for (const next of stepsFrom(snapshot, place)) {
      const name = JSON.stringify(next);
      if (seen.has(name)) continue;
      seen.add(name);
      queue.push({ ...next, depth: depth + 1 });
    }
  }
}

function describe({ traces, graph }, { trace, node, depth }) {
  const indent = "  ".repeat(depth);
  if (node === undefined) {
    const { entry } = traces.get(trace);
    return `${indent}trace  ${entry.type === "thought" ? entry.content : `${entry.name} ${entry.args.file}`}`;
  }
  const { path, lines } = graph.getNode(node).properties;
  return `${indent}file   ${path}${lines === undefined ? ", not looked at" : `, ${lines} lines`}`;
}

const { Database } = await import(LIBRARY.href);
const db = await Database.open({ durability: "in-memory" });
const run = db.run("explore");
run.graph.createIndex("file", "path");
const plan = run.traces.record({ type: "thought", content: "who imports whom here?" });
const files = readdirSync(FOLDER).filter((file) => file.endsWith(".mjs"));
const half = Math.ceil(files.length / 2);
for (const file of files.slice(0, half)) look(run, file, plan);

const snapshot = run.snapshot();
// The agent goes on; the snapshot does not see it.
for (const file of files.slice(half)) look(run, file, plan);
const places = [...walk(snapshot, { trace: plan })];
for (const place of places) console.log(describe(snapshot, place));
const traces = places.filter(({ trace }) => trace !== undefined).length;
console.log(`\nin the snapshot  ${traces} traces and ${places.length - traces} files`);
snapshot.dispose();
console.log(`by now           ${run.traces.count()} traces and ${run.graph.nodeCount()} files`);
await db.close();
