/**
 * What there is of one run: how many of each thing, what the index says of it, and how large it is.
 */
import type { Database, RunInfo } from "../index.js";
import { type Json, toJson } from "./json-values.js";

/** What is told of a run. */
export interface RunReport {
  readonly id: string;
  /** The version of its newest commit. */
  readonly version: number;
  /** Live entries of all primitives, those of their indices included. */
  readonly entries: number;
  /** Bytes of an export of this run alone. */
  readonly exportBytes: number;
  readonly kv: number;
  readonly events: number;
  readonly state: number;
  readonly traces: number;
  readonly nodes: number;
  readonly edges: number;
  readonly info: RunInfo | undefined;
}

/** Looks at a run; takes time in proportion to what is in it. */
export async function reportRun(db: Database, id: string): Promise<RunReport> {
  const run = db.run(id);
  let exportBytes = 0;
  for await (const piece of db.export({ runs: [id] })) exportBytes += piece.length;
  return {
    id,
    version: run.version,
    entries: run.count(),
    exportBytes,
    kv: run.kv.count(),
    events: run.events.length,
    state: run.state.count(),
    traces: run.traces.count(),
    nodes: run.graph.nodeCount(),
    edges: run.graph.edgeCount(),
    info: db.runs.get(id),
  };
}

/** A run's entry in the index, without its name. */
export function infoToJson(info: RunInfo): Json {
  const { name: _, metadata, ...rest } = info;
  return { ...rest, metadata: toJson(metadata) };
}

export function runToJson({ info, ...rest }: RunReport): { readonly [key: string]: Json } {
  return { ...rest, info: info === undefined ? null : infoToJson(info) };
}
