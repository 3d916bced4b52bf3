/**
 * What the inspector asks of whoever has the database, and what it is told: plain data, which a message can carry. The views know
 * nothing else, so it is all the same to them where the database is.
 */
import type {
  Cell,
  DatabaseStats,
  DurabilityName,
  GraphEdge,
  GraphNode,
  LogEvent,
  RunInfo,
  StorageInfo,
  TraceTree,
  Value,
} from "holdfast";
import type { Latency } from "./meter";

/** A version that a snapshot is held of. */
export interface HeldVersion {
  readonly version: number;
  /** When its snapshot was taken, in milliseconds since 1970. */
  readonly takenAt: number;
  /** The type of its newest event, where that is not in the version held before it. */
  readonly event: string | undefined;
}

export interface Overview {
  readonly runId: string;
  readonly info: RunInfo | undefined;
  readonly version: number;
  readonly held: readonly HeldVersion[];
  readonly heldMax: number;
  readonly storage: StorageInfo;
  readonly durability: DurabilityName;
}

export interface Entry {
  readonly key: string;
  readonly value: Value;
  readonly version: number;
}

export interface Entries {
  readonly found: readonly Entry[];
  readonly matching: number;
  readonly total: number;
}

export interface Events {
  /** The newest first. */
  readonly events: readonly LogEvent[];
  readonly length: number;
}

export interface Traces {
  readonly trees: readonly TraceTree[];
  readonly total: number;
}

export interface Graph {
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly GraphEdge[];
  readonly nodeCount: number;
  readonly edgeCount: number;
}

/** What is different in a version from the one held before it. */
export interface Changes {
  readonly version: number;
  /** The version compared with; `undefined` where none is held before it. */
  readonly since: number | undefined;
  readonly lines: readonly ChangedLine[];
}

export interface ChangedLine {
  readonly kind: "key" | "cell" | "event" | "trace" | "graph";
  readonly what: string;
  readonly how: string;
}

export interface Costs {
  readonly stats: DatabaseStats;
  readonly latency: readonly Latency[];
  /** The steps in which the clock moves there, in milliseconds. */
  readonly clockMs: number;
}

/** Every question, and its answer. `at` is a version that is held; without it, now. */
export interface Questions {
  overview: { ask: object; answer: Overview };
  events: {
    ask: { at?: number | undefined; limit: number; type?: string | undefined };
    answer: Events & { types: readonly string[] };
  };
  traces: { ask: { at?: number | undefined }; answer: Traces };
  cells: { ask: { at?: number | undefined }; answer: readonly (readonly [string, Cell])[] };
  entries: {
    ask: { at?: number | undefined; search?: string | undefined; prefix?: string | undefined; limit: number };
    answer: Entries;
  };
  graph: { ask: { at?: number | undefined; limit: number }; answer: Graph };
  changes: { ask: { version: number }; answer: Changes };
  verify: { ask: object; answer: { readonly valid: boolean; readonly length: number; readonly reason?: string } };
  costs: { ask: object; answer: Costs };
}

export type Topic = keyof Questions;

/** Where answers come from. */
export interface Source {
  ask<T extends Topic>(topic: T, question: Questions[T]["ask"]): Promise<Questions[T]["answer"]>;
  /** Calls `listener` when there is something new. @returns what ends that */
  onChange(listener: () => void): () => void;
}
