/**
 * What an act must give, read and write, said in terms of a `Map`. Nothing here knows how the primitives keep what they keep.
 *
 *   k:key       the value                               e:sequence  the event, sequence in 16 digits
 *   c:name      a cell: value, version, updatedAt       n:name      the version that a deleted cell had
 *   t:id        a trace                                 i:          the run's entry in the index
 *
 * What a prediction says of conflicts (COMMIT 2): a transaction must conflict where an item of `reads` has another version
 * than it saw, or the keys of a range of `scans` are others; it may where something was written that `touches` names. Where
 * it commits nevertheless, the act must give the same when it is done again on what stood just before the commit.
 */
import type { LogEvent, RunInfo, Trace, Value } from "../../src/index.js";
import { compareKeys, isInRange, listOf, type RangeOptions, type State } from "../support/history.js";
import { eventHash } from "../support/plain-cbor.js";
import type { Act, CellRead, CellWrite, EventRead, KvRead, KvWrite, TraceRead, TraceWrite } from "./acts.js";

export type Table = "k" | "c";

export interface Scan {
  readonly table: Table;
  readonly range: RangeOptions;
}

/** What is written: `undefined` for a deletion. */
export type Writes = ReadonlyMap<string, Value | undefined>;

export interface Prediction {
  /** For a put 0, as in a transaction. */
  readonly result: unknown;
  readonly writes: Writes;
  readonly reads: readonly string[];
  readonly scans: readonly Scan[];
  /** Whether the transaction may conflict with a commit that wrote this. */
  readonly touches: (item: string, value: Value | undefined) => boolean;
}

/** What a cell is, as it is read. */
interface CellValue {
  readonly value: Value;
  readonly version: number;
  readonly updatedAt: number;
}

const GENESIS = new Uint8Array(32);
const NEVER = (): boolean => false;

function predicted(result: unknown, more: Partial<Prediction> = {}): Prediction {
  return { result, writes: new Map(), reads: [], scans: [], touches: NEVER, ...more };
}

function refused(code: string, details: object = {}): { refused: string } {
  return { refused: code, ...details };
}

/** The item of an event. */
export function eventItem(sequence: number): string {
  return `e:${String(sequence).padStart(16, "0")}`;
}

/** One table of a state, its prefix taken off. */
export function inTable(state: State, table: string): State {
  const found = new Map();
  for (const [item, cell] of state) if (item.startsWith(`${table}:`)) found.set(item.slice(2), cell);
  return found;
}

/** The values of a table, in no order. */
function valuesOf<T>(state: State, table: string): T[] {
  return [...inTable(state, table).values()].map(({ value }) => value as unknown as T);
}

function prefixOf({ prefix }: RangeOptions): RangeOptions {
  return prefix === undefined ? {} : { prefix };
}

/** Whether a listing looks at anything. */
function looks(range: RangeOptions): boolean {
  return range.limit !== 0 && range.end !== "";
}

// Key-values.

function predictKvWrite(state: State, act: KvWrite): Prediction {
  const item = `k:${act.key}`;
  const cell = state.get(item);
  const isRead = act.ifVersion !== undefined || act.do === "kv.delete";
  const reads = isRead ? [item] : [];
  const { ifVersion } = act;
  const isExpected = ifVersion === undefined || (ifVersion === null ? cell === undefined : cell?.version === ifVersion);
  if (!isExpected) return predicted(refused("VERSION_MISMATCH"), { reads });
  if (act.do === "kv.put") return predicted(0, { reads, writes: new Map([[item, act.value]]) });
  if (cell === undefined) return predicted(false, { reads });
  return predicted(true, { reads, writes: new Map([[item, undefined]]) });
}

function predictKvRead(state: State, act: KvRead): Prediction {
  if (act.do === "kv.many") {
    const items = act.keys.map((key) => `k:${key}`);
    return predicted(
      items.map((item) => state.get(item)?.value),
      { reads: items },
    );
  }
  if ("key" in act) {
    const item = `k:${act.key}`;
    const cell = state.get(item);
    const result = act.do === "kv.get" ? cell?.value : act.do === "kv.has" ? cell !== undefined : cell;
    return predicted(result, { reads: [item] });
  }
  const { range } = act;
  const kv = inTable(state, "k");
  if (act.do === "kv.count") {
    return predicted(listOf(kv, prefixOf(range)).length, { ...scanned("k", prefixOf(range)) });
  }
  const found = listOf(kv, range);
  const keys = found.map(([key]) => key);
  const looked = upTo(range, keys);
  if (act.do === "kv.keys") return predicted(keys, scanned("k", looked));
  const result = found.map(([key, { value }]) => [key, value]);
  return predicted(result, { ...scanned("k", looked), reads: keys.map((key) => `k:${key}`) });
}

/** What a listing has looked at: where it ended at its limit, nothing behind the last key that it gave. */
function upTo(range: RangeOptions, keys: readonly string[]): RangeOptions {
  const last = keys.at(-1);
  if (last === undefined || keys.length !== range.limit) return range;
  return range.reverse === true ? { ...range, start: last } : { ...range, end: `${last}\u0000` };
}

/** A range of keys that was scanned. */
function scanned(table: Table, range: RangeOptions): Pick<Prediction, "scans" | "touches"> {
  if (!looks(range)) return { scans: [], touches: NEVER };
  const touches = (item: string): boolean => item.startsWith(`${table}:`) && isInRange(item.slice(2), range);
  return { scans: [{ table, range }], touches };
}

// Events.

function eventsOf(state: State): LogEvent[] {
  return valuesOf<LogEvent>(state, "e").sort((a, b) => a.sequence - b.sequence);
}

const isEvent = (item: string): boolean => item.startsWith("e:");

function predictAppend(state: State, type: string, payload: Value, timestamp: number): Prediction {
  const events = eventsOf(state);
  const sequence = events.length;
  const previousHash = events.at(-1)?.hash ?? GENESIS;
  const hash = eventHash(sequence, type, payload, timestamp, previousHash);
  const event = { sequence, type, payload, timestamp, previousHash, hash };
  return predicted({ sequence, hash }, { writes: new Map([[eventItem(sequence), event]]), touches: isEvent });
}

function predictEventRead(state: State, act: EventRead): Prediction {
  const events = eventsOf(state);
  const head = events.at(-1);
  switch (act.do) {
    case "events.read":
      return predicted(events[act.sequence], { reads: [eventItem(act.sequence)] });
    case "events.range": {
      const inside = act.end !== undefined && (act.end <= act.start || act.end <= events.length);
      return predicted(events.slice(act.start, Math.max(act.start, act.end ?? events.length)), {
        touches: inside ? NEVER : isEvent,
      });
    }
    case "events.byType": {
      const found = events.filter(({ type }) => type === act.type);
      if (act.reverse) found.reverse();
      const touches = (item: string, value: Value | undefined): boolean =>
        isEvent(item) && (value as unknown as LogEvent).type === act.type;
      return predicted(found.slice(0, act.limit ?? found.length), { touches: act.limit === 0 ? NEVER : touches });
    }
    case "events.types": {
      const types = [...new Set(events.map(({ type }) => type))].sort(compareKeys);
      const touches = (item: string, value: Value | undefined): boolean =>
        isEvent(item) && !types.includes((value as unknown as LogEvent).type);
      return predicted(types, { touches });
    }
    case "events.length":
      return predicted(events.length, { touches: isEvent });
    case "events.head":
      return predicted(head && { sequence: head.sequence, hash: head.hash }, { touches: isEvent });
    case "events.verify":
      return predicted({ valid: true, length: events.length }, { touches: isEvent });
  }
}

// State cells.

function cellOf(state: State, name: string): CellValue | undefined {
  return state.get(`c:${name}`)?.value as unknown as CellValue | undefined;
}

/** What a cell's next write makes of it. */
function cellWritten(state: State, name: string, value: Value, updatedAt: number): { version: number; writes: Writes } {
  const counter = state.get(`n:${name}`)?.value as number | undefined;
  const version = (cellOf(state, name)?.version ?? counter ?? 0) + 1;
  const writes = new Map<string, Value | undefined>([[`c:${name}`, { value, version, updatedAt }]]);
  if (counter !== undefined) writes.set(`n:${name}`, undefined);
  return { version, writes };
}

function predictCellWrite(state: State, act: CellWrite, nowMs: number): Prediction {
  const { name } = act;
  const cell = cellOf(state, name);
  const reads = cell === undefined ? [`c:${name}`, `n:${name}`] : [`c:${name}`];
  const no = (code: string, details: object = {}): Prediction =>
    predicted(refused(code, details), { reads: [`c:${name}`] });
  if (act.do === "state.delete") {
    if (cell === undefined) return predicted(false, { reads: [`c:${name}`] });
    const writes = new Map<string, Value | undefined>([
      [`c:${name}`, undefined],
      [`n:${name}`, cell.version],
    ]);
    return predicted(true, { reads, writes });
  }
  const { version, writes } = cellWritten(state, name, act.value, nowMs);
  switch (act.do) {
    case "state.init":
      return cell === undefined
        ? predicted(version, { reads, writes })
        : no("ALREADY_EXISTS", { version: cell.version });
    case "state.set":
      return predicted(version, { reads, writes });
    case "state.cas": {
      const expected = act.expected ?? 1;
      if (cell === undefined) return no("NOT_FOUND");
      if (cell.version !== expected) return no("VERSION_MISMATCH", { expected, actual: cell.version });
      return predicted(version, { reads, writes });
    }
    case "state.transition":
    case "state.transitionOrInit": {
      if (cell === undefined && act.do === "state.transition") return no("NOT_FOUND");
      if (act.fails) return no("INVALID_TRANSITION");
      return predicted(cell === undefined ? "initial" : cell.value, { reads, writes });
    }
  }
}

function predictCellRead(state: State, act: CellRead): Prediction {
  if ("name" in act) {
    const cell = cellOf(state, act.name);
    return predicted(act.do === "state.has" ? cell !== undefined : cell, { reads: [`c:${act.name}`] });
  }
  const cells = inTable(state, "c");
  const range = act.do === "state.count" ? prefixOf(act.range) : act.range;
  const found = listOf(cells, range);
  if (act.do === "state.count") return predicted(found.length, scanned("c", range));
  const names = found.map(([name]) => name);
  if (act.do === "state.keys") return predicted(names, scanned("c", range));
  const result = found.map(([name, { value }]) => [name, value]);
  return predicted(result, { ...scanned("c", range), reads: names.map((name) => `c:${name}`) });
}

// Traces.

/** Traces in the order of time, and of ids within a millisecond. */
function tracesOf(state: State, matches: (trace: Trace) => boolean): Trace[] {
  const place = ({ timestamp, id }: Trace): string => String(timestamp).padStart(16, "0") + id;
  return valuesOf<Trace>(state, "t")
    .filter(matches)
    .sort((a, b) => compareKeys(place(a), place(b)));
}

function predictRecord(state: State, act: TraceWrite, timestamp: number): Prediction {
  const { entry, parent, tags, metadata } = act;
  // What a made id will be shows when it is made.
  const id = act.id ?? "";
  if (parent !== undefined && !state.has(`t:${parent}`)) {
    return predicted(refused("NOT_FOUND"), { reads: [`t:${parent}`] });
  }
  const reads = parent === undefined ? [`t:${id}`] : [`t:${parent}`, `t:${id}`];
  if (state.has(`t:${id}`)) return predicted(refused("ALREADY_EXISTS"), { reads });
  const trace = {
    id,
    entry,
    ...(parent === undefined ? {} : { parent }),
    tags: [...new Set(tags)],
    ...(metadata === undefined ? {} : { metadata }),
    timestamp,
  };
  return predicted(id, { reads, writes: new Map([[`t:${id}`, trace as unknown as Value]]) });
}

/** A listing of the traces that match: it may conflict with one more of them. */
function listing(state: State, matches: (trace: Trace) => boolean, bounds: { reverse?: boolean; limit?: number } = {}) {
  const found = tracesOf(state, matches);
  if (bounds.reverse === true) found.reverse();
  const touches = (item: string, value: Value | undefined): boolean =>
    item.startsWith("t:") && matches(value as unknown as Trace);
  return predicted(found.slice(0, bounds.limit ?? found.length), { touches: bounds.limit === 0 ? NEVER : touches });
}

function predictTree(state: State, id: string): Prediction {
  const root = state.get(`t:${id}`)?.value as unknown as Trace | undefined;
  if (root === undefined) return predicted(undefined, { reads: [`t:${id}`] });
  const ids = new Set<string>();
  const grow = (trace: Trace): object => {
    ids.add(trace.id);
    return { trace, children: tracesOf(state, ({ parent }) => parent === trace.id).map(grow) };
  };
  const touches = (item: string, value: Value | undefined): boolean =>
    item.startsWith("t:") && ids.has((value as unknown as Trace).parent ?? "");
  return predicted(grow(root), { reads: [`t:${id}`], touches });
}

function predictTraceRead(state: State, act: TraceRead): Prediction {
  switch (act.do) {
    case "traces.get":
      return predicted(state.get(`t:${act.id}`)?.value, { reads: [`t:${act.id}`] });
    case "traces.has":
      return predicted(state.has(`t:${act.id}`), { reads: [`t:${act.id}`] });
    case "traces.children":
      return listing(state, ({ parent }) => parent === act.id);
    case "traces.tree":
      return predictTree(state, act.id);
    case "traces.roots":
      return listing(state, ({ parent }) => parent === undefined);
    case "traces.count": {
      const all = listing(state, () => true);
      return { ...all, result: (all.result as unknown[]).length };
    }
    case "traces.byType":
      return listing(state, ({ entry }) => {
        if (entry.type !== act.type) return false;
        return act.name === undefined || (entry.type === "custom" && entry.name === act.name);
      });
    case "traces.byTag":
      return listing(state, ({ tags }) => tags.includes(act.tag));
    case "traces.byTime":
      return listing(state, ({ timestamp }) => timestamp >= act.start && timestamp < act.end);
    case "traces.list": {
      const { reverse, limit } = act;
      return listing(state, () => true, limit === undefined ? { reverse } : { reverse, limit });
    }
  }
}

/** What an act gives on a state, at a time. */
export function predict(state: State, act: Act, nowMs: number): Prediction {
  switch (act.do) {
    case "kv.put":
    case "kv.delete":
      return predictKvWrite(state, act);
    case "events.append":
      return predictAppend(state, act.type, act.payload, nowMs);
    case "traces.record":
      return predictRecord(state, act, nowMs);
    case "state.init":
    case "state.set":
    case "state.cas":
    case "state.transition":
    case "state.transitionOrInit":
    case "state.delete":
      return predictCellWrite(state, act, nowMs);
  }
  if (act.do.startsWith("kv.")) return predictKvRead(state, act as KvRead);
  if (act.do.startsWith("events.")) return predictEventRead(state, act as EventRead);
  if (act.do.startsWith("state.")) return predictCellRead(state, act as CellRead);
  return predictTraceRead(state, act as TraceRead);
}

/** An act whose expectation of a version has become that version. */
export function bind(state: State, act: Act): Act {
  if (act.do === "kv.put" || act.do === "kv.delete") {
    const version = state.get(`k:${act.key}`)?.version ?? 0;
    if (act.expect === "any") return act;
    if (act.expect === "null") return { ...act, ifVersion: null };
    if (act.expect === "wrong") return { ...act, ifVersion: version + 1 };
    return { ...act, ifVersion: version === 0 ? null : version };
  }
  if (act.do !== "state.cas") return act;
  const version = cellOf(state, act.name)?.version ?? 0;
  return {
    ...act,
    expected: act.expect === "right" ? Math.max(1, version) : version + (act.expect === "null" ? 2 : 1),
  };
}

// The index of runs.

export type IndexWrite =
  | { readonly do: "create"; run: string; parent: string | undefined; tags: readonly string[]; note: Value }
  | { readonly do: "complete" | "fail" | "pause" | "resume" | "cancel" | "archive"; run: string }
  | { readonly do: "addTags" | "removeTags"; run: string; tags: readonly string[] }
  | { readonly do: "updateMetadata"; run: string; note: Value };

export interface IndexQuery {
  readonly status?: RunInfo["status"];
  readonly tag?: string;
  readonly parent?: string;
  readonly includeArchived?: boolean;
}

const BECOMES = {
  complete: "completed",
  fail: "failed",
  pause: "paused",
  resume: "active",
  cancel: "cancelled",
  archive: "archived",
} as const;

const MOVES: Readonly<Record<RunInfo["status"], string>> = {
  active: "completed failed cancelled paused archived",
  paused: "active cancelled archived",
  completed: "archived",
  failed: "archived",
  cancelled: "archived",
  archived: "",
};

/** A run's entry in the index. */
export function infoOf(state: State): RunInfo | undefined {
  return state.get("i:")?.value as unknown as RunInfo | undefined;
}

/** What becomes of a run's entry, or the code of a refusal. `parent`: the state of the parent that is named. */
function changed(info: RunInfo | undefined, act: IndexWrite, parent: State, now: number): RunInfo | string {
  if (act.do === "create") {
    if (act.parent !== undefined && infoOf(parent) === undefined) return "NOT_FOUND";
    if (info !== undefined) return "ALREADY_EXISTS";
    const ancestry = act.parent === undefined ? {} : { parent: act.parent };
    const [tags, metadata] = [[...new Set(act.tags)], { note: act.note }];
    return { name: act.run, status: "active", ...ancestry, tags, metadata, createdAt: now, updatedAt: now };
  }
  if (info === undefined) return "NOT_FOUND";
  switch (act.do) {
    case "addTags":
      return { ...info, tags: [...new Set([...info.tags, ...act.tags])], updatedAt: now };
    case "removeTags":
      return { ...info, tags: info.tags.filter((tag) => !act.tags.includes(tag)), updatedAt: now };
    case "updateMetadata":
      return { ...info, metadata: { ...info.metadata, [`at ${now}`]: act.note }, updatedAt: now };
  }
  const status = BECOMES[act.do];
  if (!MOVES[info.status].split(" ").includes(status)) return "INVALID_TRANSITION";
  const isEnd = ["completed", "failed", "cancelled"].includes(status);
  const more = { ...(isEnd ? { completedAt: now } : {}), ...(status === "failed" ? { error: "why" } : {}) };
  return { ...info, status, updatedAt: now, ...more };
}

/** What a write of the index gives on a run's state. */
export function predictIndex(state: State, act: IndexWrite, parent: State, nowMs: number): Prediction {
  const after = changed(infoOf(state), act, parent, nowMs);
  if (typeof after === "string") return predicted(refused(after), { reads: ["i:"] });
  return predicted(after, { reads: ["i:"], writes: new Map([["i:", after as unknown as Value]]) });
}

/** What the index lists. */
export function indexList(infos: readonly (RunInfo | undefined)[], query: IndexQuery): RunInfo[] {
  return infos
    .filter((info) => info !== undefined)
    .filter(({ status, tags, parent }) => {
      const isShown = status !== "archived" || query.includeArchived === true;
      if (query.status === undefined ? !isShown : status !== query.status) return false;
      if (query.tag !== undefined && !tags.includes(query.tag)) return false;
      return query.parent === undefined || parent === query.parent;
    })
    .sort((a, b) => compareKeys(a.name, b.name));
}
