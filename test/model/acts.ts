/**
 * Everything that can be done with one run's primitives, as data: an act is performed on a run, a transaction or, where it
 * only reads, on a snapshot, and what comes of it is a plain value.
 *
 * A refusal is a value too: its code, and those of its details that the contract names.
 */
import {
  type EventLog,
  type EventLogReader,
  HoldfastError,
  type KVReader,
  type KVStore,
  type StateCells,
  type StateCellsReader,
  type TraceEntry,
  type TraceStore,
  type TraceStoreReader,
  type Value,
} from "../../src/index.js";
import type { Mode, RangeOptions } from "../support/history.js";

/** What a write expects of the version of its key or cell. */
export type Expectation = "any" | "null" | "right" | "wrong";

export type KvWrite =
  | { readonly do: "kv.put"; key: string; value: Value; expect: Expectation; ifVersion?: number | null }
  | { readonly do: "kv.delete"; key: string; expect: Expectation; ifVersion?: number | null };
export type KvRead =
  | { readonly do: "kv.get" | "kv.versioned" | "kv.has"; key: string }
  | { readonly do: "kv.many"; keys: readonly string[] }
  | { readonly do: "kv.list" | "kv.keys" | "kv.count"; range: RangeOptions };
export type EventWrite = { readonly do: "events.append"; type: string; payload: Value };
export type EventRead =
  | { readonly do: "events.read"; sequence: number }
  | { readonly do: "events.range"; start: number; end: number | undefined }
  | { readonly do: "events.byType"; type: string; reverse: boolean; limit: number | undefined }
  | { readonly do: "events.types" | "events.length" | "events.head" | "events.verify" };
export type CellWrite =
  | { readonly do: "state.init" | "state.set"; name: string; value: Value }
  | { readonly do: "state.cas"; name: string; value: Value; expect: Expectation; expected?: number }
  | { readonly do: "state.transition" | "state.transitionOrInit"; name: string; value: Value; fails: boolean }
  | { readonly do: "state.delete"; name: string };
export type CellRead =
  | { readonly do: "state.read" | "state.has"; name: string }
  | { readonly do: "state.list" | "state.keys" | "state.count"; range: RangeOptions };
export interface TraceWrite {
  readonly do: "traces.record";
  readonly entry: TraceEntry;
  readonly parent: string | undefined;
  readonly tags: readonly string[];
  readonly metadata: { readonly [key: string]: Value } | undefined;
  /** One is made if it is left out. */
  readonly id: string | undefined;
}
export type TraceRead =
  | { readonly do: "traces.get" | "traces.has" | "traces.children" | "traces.tree"; id: string }
  | { readonly do: "traces.roots" | "traces.count" }
  | { readonly do: "traces.byType"; type: TraceEntry["type"]; name: string | undefined }
  | { readonly do: "traces.byTag"; tag: string }
  | { readonly do: "traces.byTime"; start: number; end: number }
  | { readonly do: "traces.list"; reverse: boolean; limit: number | undefined };

export type WriteAct = KvWrite | EventWrite | CellWrite | TraceWrite;
export type ReadAct = KvRead | EventRead | CellRead | TraceRead;
export type Act = WriteAct | ReadAct;

/** What reads are made on. */
export interface View {
  readonly kv: KVReader;
  readonly events: EventLogReader;
  readonly state: StateCellsReader;
  readonly traces: TraceStoreReader;
}

/** What writes are made on. */
export interface Target {
  readonly kv: KVStore;
  readonly events: EventLog;
  readonly state: StateCells;
  readonly traces: TraceStore;
}

/** A call that threw. */
export interface Refused {
  readonly refused: string;
}

/** The code of a refusal, `undefined` for anything else. */
export function codeOfResult(result: unknown): string | undefined {
  return typeof result === "object" && result !== null && "refused" in result ? (result as Refused).refused : undefined;
}

/** What a callback throws that is to fail. */
export function callbackError(): HoldfastError {
  return new HoldfastError("INVALID_TRANSITION", "the callback throws");
}

/** The result of a call, or how it was refused. */
export function resultOf(call: () => unknown, details: readonly string[] = []): unknown {
  try {
    return call();
  } catch (error) {
    if (!HoldfastError.is(error)) throw error;
    const named = details.filter((name) => name in error.details).map((name) => [name, error.details[name]]);
    return { refused: error.code, ...Object.fromEntries(named) };
  }
}

type Durability = { readonly durability?: Mode };

function writeKv(kv: KVStore, act: KvWrite, options: Durability): unknown {
  const given = { ...options, ...(act.ifVersion === undefined ? {} : { ifVersion: act.ifVersion }) };
  return resultOf(() => (act.do === "kv.put" ? kv.put(act.key, act.value, given) : kv.delete(act.key, given)));
}

function readKv(kv: KVReader, act: KvRead): unknown {
  switch (act.do) {
    case "kv.get":
      return kv.get(act.key);
    case "kv.versioned":
      return kv.getVersioned(act.key);
    case "kv.has":
      return kv.has(act.key);
    case "kv.many":
      return kv.getMany(act.keys);
    case "kv.list":
      return kv.list(act.range);
    case "kv.keys":
      return kv.keys(act.range);
    case "kv.count":
      return kv.count(act.range.prefix);
  }
}

function readEvents(events: EventLogReader, act: EventRead): unknown {
  switch (act.do) {
    case "events.read":
      return events.read(act.sequence);
    case "events.range":
      return [...events.range(act.start, act.end)];
    case "events.byType":
      return events.readByType(act.type, { reverse: act.reverse, limit: act.limit });
    case "events.types":
      return events.types();
    case "events.length":
      return events.length;
    case "events.head":
      return events.head();
    case "events.verify":
      return events.verify();
  }
}

function writeState(state: StateCells, act: CellWrite, options: Durability): unknown {
  switch (act.do) {
    case "state.init":
      return resultOf(() => state.init(act.name, act.value, options), ["version"]);
    case "state.set":
      return resultOf(() => state.set(act.name, act.value, options));
    case "state.cas":
      return resultOf(() => state.cas(act.name, act.expected ?? 1, act.value, options), ["expected", "actual"]);
    case "state.delete":
      return resultOf(() => state.delete(act.name, options));
  }
  const next = (before: Value): [Value, Value] => {
    if (act.fails) throw callbackError();
    return [act.value, before];
  };
  if (act.do === "state.transition") return resultOf(() => state.transition(act.name, next, options));
  return resultOf(() => state.transitionOrInit(act.name, "initial", next, options));
}

function readState(state: StateCellsReader, act: CellRead): unknown {
  switch (act.do) {
    case "state.read":
      return state.read(act.name);
    case "state.has":
      return state.has(act.name);
    case "state.list":
      return state.list(act.range);
    case "state.keys":
      return state.keys(act.range);
    case "state.count":
      return state.count(act.range.prefix);
  }
}

function readTraces(traces: TraceStoreReader, act: TraceRead): unknown {
  switch (act.do) {
    case "traces.get":
      return traces.get(act.id);
    case "traces.has":
      return traces.has(act.id);
    case "traces.children":
      return traces.children(act.id);
    case "traces.tree":
      return traces.tree(act.id);
    case "traces.roots":
      return traces.roots();
    case "traces.count":
      return traces.count();
    case "traces.byType":
      return traces.byType(act.type, { name: act.name });
    case "traces.byTag":
      return traces.byTag(act.tag);
    case "traces.byTime":
      return traces.byTime(act.start, act.end);
    case "traces.list":
      return traces.list({ reverse: act.reverse, limit: act.limit });
  }
}

const WRITES: ReadonlySet<Act["do"]> = new Set<WriteAct["do"]>([
  "kv.put",
  "kv.delete",
  "events.append",
  "state.init",
  "state.set",
  "state.cas",
  "state.transition",
  "state.transitionOrInit",
  "state.delete",
  "traces.record",
]);

export function isWrite(act: Act): act is WriteAct {
  return WRITES.has(act.do);
}

/** Reads; a refusal is a value. */
export function look(view: View, act: ReadAct): unknown {
  return resultOf(() => {
    if (act.do.startsWith("kv.")) return readKv(view.kv, act as KvRead);
    if (act.do.startsWith("events.")) return readEvents(view.events, act as EventRead);
    if (act.do.startsWith("state.")) return readState(view.state, act as CellRead);
    return readTraces(view.traces, act as TraceRead);
  });
}

/** Reads or writes; a refusal is a value. */
export function perform(target: Target, act: Act, mode?: Mode): unknown {
  if (!isWrite(act)) return look(target, act);
  const options: Durability = mode === undefined ? {} : { durability: mode };
  switch (act.do) {
    case "kv.put":
    case "kv.delete":
      return writeKv(target.kv, act, options);
    case "events.append":
      return resultOf(() => target.events.append(act.type, act.payload, options));
    case "traces.record": {
      const { entry, parent, tags, metadata, id } = act;
      return resultOf(() => target.traces.record(entry, { parent, tags, metadata, id, ...options }));
    }
    default:
      return writeState(target.state, act, options);
  }
}
