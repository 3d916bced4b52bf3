/**
 * Everything that is in a run, item by item, in an order that does not change: its entry in the index, key-values, state cells,
 * events, traces, and of the graph its indices, nodes and edges. Read in pages, but for traces, of which there is one listing.
 */
import type { Database } from "../index.js";
import { eventToJson } from "./event-lines.js";
import { type Json, toJson } from "./json-values.js";
import { infoToJson } from "./run-report.js";
import { traceToJson } from "./trace-tree.js";

/** One item; `in` is the primitive that it belongs to. */
export type Item = { readonly in: string } & { readonly [key: string]: Json };

/** Every page is looked for in the whole run, so that many small ones would take longer than the items themselves. */
const PAGE = 50_000;

/** Sorted names page by page: the last one of a page begins the next, and is left out there. */
function* paged(list: (options: { start?: string; limit: number }) => readonly string[]): Generator<string> {
  let last: string | undefined;
  for (;;) {
    const page = list(last === undefined ? { limit: PAGE } : { start: last, limit: PAGE });
    const fresh = page[0] === last ? page.slice(1) : page;
    yield* fresh;
    if (page.length < PAGE) return;
    last = page.at(-1);
  }
}

/** Things with rising ids, page by page. */
function* pagedById<T extends { readonly id: number }>(
  list: (options: { after?: number; limit: number }) => readonly T[],
): Generator<T> {
  for (let page = list({ limit: PAGE }); page.length > 0; ) {
    yield* page;
    page = list({ after: (page.at(-1) as T).id, limit: PAGE });
  }
}

/** The names of what a run consists of, each with its items. */
export function partsOf(db: Database, id: string): { readonly [part: string]: () => Generator<Item> } {
  const { kv, state, events, traces, graph } = db.run(id);
  return {
    *info() {
      const info = db.runs.get(id);
      if (info !== undefined) yield { in: "info", info: infoToJson(info) };
    },
    *kv() {
      for (const key of paged((options) => kv.keys(options))) {
        const found = kv.getVersioned(key);
        if (found !== undefined) yield { in: "kv", key, version: found.version, value: toJson(found.value) };
      }
    },
    *state() {
      for (const name of paged((options) => state.keys(options))) {
        const cell = state.read(name);
        if (cell !== undefined) yield { in: "state", name, ...cell, value: toJson(cell.value) };
      }
    },
    *events() {
      for (const event of events.range()) yield { in: "event", ...eventToJson(event) };
    },
    *traces() {
      for (const trace of traces.list()) yield { in: "trace", ...traceToJson(trace) };
    },
    *graph() {
      for (const { label, property } of graph.indexes()) yield { in: "index", label, property };
      for (const node of pagedById((options) => graph.nodes(options))) {
        yield { in: "node", ...node, properties: toJson(node.properties) };
      }
      for (const edge of pagedById((options) => graph.edges(options))) {
        yield { in: "edge", ...edge, properties: toJson(edge.properties) };
      }
    },
  };
}
