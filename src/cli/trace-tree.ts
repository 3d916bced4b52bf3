/**
 * The tree of a run's traces, walked depth first and without recursion, so that no depth is too much.
 */
import { HoldfastError, type RunSnapshot, type Trace, type TraceEntry, type Value } from "../index.js";
import { type Json, toJson } from "./json-values.js";
import { shortened } from "./text.js";

/** A trace at its place in the tree. */
export interface PlacedTrace {
  readonly trace: Trace;
  readonly depth: number;
  /** Whether it is the last child of its parent; the same of all above it, outermost first. */
  readonly lastAt: readonly boolean[];
}

/** What a listing of traces is bounded by. */
export interface TreeBounds {
  readonly depthMax: number;
}

/** All traces in the order of the tree: each before its children, children by time. */
export function* placedTraces(traces: RunSnapshot["traces"], { depthMax }: TreeBounds): Generator<PlacedTrace> {
  const place = (siblings: readonly Trace[], above: readonly boolean[]): PlacedTrace[] =>
    siblings.map((trace, at) => ({ trace, depth: above.length, lastAt: [...above, at === siblings.length - 1] }));
  const seen = new Set<string>();
  const open = place(traces.roots(), []).reverse();
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (seen.has(next.trace.id)) throw twice(next.trace.id);
    seen.add(next.trace.id);
    yield next;
    if (next.depth + 1 < depthMax) open.push(...place(traces.children(next.trace.id), next.lastAt).reverse());
  }
}

function twice(id: string): HoldfastError {
  const message = `The trace ${JSON.stringify(id)} has two parents: the index of traces was damaged, or written by something else. "holdfast verify DIR" says what else is.`;
  return new HoldfastError("CORRUPTION", message, { details: { id } });
}

/** What a trace is about, in a few words. */
export function summaryOf(entry: TraceEntry): string {
  switch (entry.type) {
    case "tool-call":
      return `${entry.name} ${JSON.stringify(toJson(entry.args))}`;
    case "decision":
      return `${entry.question} → ${entry.chosen}`;
    case "query":
      return `${entry.queryType} ${entry.query} (${entry.resultsCount})`;
    case "thought":
      return entry.content;
    case "error":
      return `${entry.errorType}: ${entry.message}`;
    case "custom":
      return `${entry.name} ${JSON.stringify(toJson(entry.data))}`;
  }
}

const LINE_CHARS_MAX = 100;
/** Deeper levels are not set in any further. */
const INDENT_LEVELS_MAX = 20;

/** One line of the tree. */
export function treeLine({ trace, lastAt }: PlacedTrace): string {
  const above = lastAt.slice(1, -1).slice(-INDENT_LEVELS_MAX);
  const stem = above.map((last) => (last ? "   " : "│  ")).join("");
  const branch = lastAt.length === 1 ? "" : lastAt.at(-1) ? "└─ " : "├─ ";
  const tags = trace.tags.length === 0 ? "" : ` #${trace.tags.join(" #")}`;
  return stem + branch + shortened(`${trace.entry.type}: ${summaryOf(trace.entry)}${tags}`, LINE_CHARS_MAX);
}

/** A trace as JSON. */
export function traceToJson(trace: Trace): { readonly [key: string]: Json } {
  const { id, parent, tags, metadata, timestamp, entry } = trace;
  return {
    id,
    parent: parent ?? null,
    timestamp,
    tags,
    entry: toJson(entry as unknown as Value),
    ...(metadata === undefined ? {} : { metadata: toJson(metadata) }),
  };
}
