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
  /** Whether it is the last child of its parent; the same of those above it, outermost first, as far up as lines are drawn. */
  readonly lastAt: readonly boolean[];
}

/** Deeper levels are not set in any further. */
const LEVELS_DRAWN_MAX = 20;

/** What a listing of traces is bounded by. */
export interface TreeBounds {
  readonly depthMax: number;
}

/** All traces in the order of the tree: each before its children, children by time. */
export function* placedTraces(traces: RunSnapshot["traces"], { depthMax }: TreeBounds): Generator<PlacedTrace> {
  const place = (siblings: readonly Trace[], depth: number, above: readonly boolean[]): PlacedTrace[] =>
    siblings.map((trace, at) => ({ trace, depth, lastAt: [...above, at === siblings.length - 1] }));
  const seen = new Set<string>();
  const open = place(traces.roots(), 0, []).reverse();
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (seen.has(next.trace.id)) throw twice(next.trace.id);
    seen.add(next.trace.id);
    yield next;
    const depth = next.depth + 1;
    if (depth >= depthMax) continue;
    // What stands above a root is nothing.
    const above = next.depth === 0 ? [] : next.lastAt.slice(-LEVELS_DRAWN_MAX);
    for (const child of place(traces.children(next.trace.id), depth, above).reverse()) open.push(child);
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

/** One line of the tree. */
export function treeLine({ trace, depth, lastAt }: PlacedTrace): string {
  const stem = lastAt
    .slice(0, -1)
    .map((last) => (last ? "   " : "│  "))
    .join("");
  const branch = depth === 0 ? "" : lastAt.at(-1) ? "└─ " : "├─ ";
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
