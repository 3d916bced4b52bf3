/**
 * The trace store: what an agent did and thought, as a tree that can be looked through by parent, type, tag and time.
 *
 *   table 3   id                                    → { entry, parent?, tags, metadata?, timestamp }
 *   index     all U+0000 time id                    → null
 *             roots U+0000 time id                  → null
 *             child:parent U+0000 time id           → null
 *             type:type U+0000 time id              → null
 *             custom:name U+0000 time id            → null
 *             tag:tag U+0000 time id                → null
 *
 * What it keeps true:
 *  - a trace is in the index once for each way to find it, written with it in one step; nothing changes or deletes it;
 *  - every listing is in the order of time, and of ids within one millisecond; ids made in one process rise.
 */
import { HoldfastError } from "../../errors.js";
import { describe, isPlainObject, readOptions, refuseArgument } from "../arguments.js";
import type { Value } from "../codec.js";
import { checkName, DIGITS, fixedWidth, inGroup, readTags } from "../names.js";
import type { Reader, StepOptions, StepWriter, Writer } from "../reader-writer.js";
import { copyValue } from "../value-bytes.js";

/** The table of a run that traces are kept in: one entry each. */
const TABLE = 3;
const INDEX = TABLE + 8;

const ALL = "all\u0000";
const ROOTS = "roots\u0000";

/** A tool was called. */
export interface ToolCallEntry {
  readonly type: "tool-call";
  readonly name: string;
  readonly args: Value;
  readonly result?: Value | undefined;
  readonly durationMs?: number | undefined;
}

/** One of several options was chosen. */
export interface DecisionEntry {
  readonly type: "decision";
  readonly question: string;
  readonly options: readonly string[];
  readonly chosen: string;
  readonly reasoning?: string | undefined;
}

/** Something was looked up. */
export interface QueryEntry {
  readonly type: "query";
  readonly queryType: string;
  readonly query: string;
  /** A whole number that is not negative. */
  readonly resultsCount: number;
}

/** Something was thought. */
export interface ThoughtEntry {
  readonly type: "thought";
  readonly content: string;
  /** Any finite number; most use 0 to 1. */
  readonly confidence?: number | undefined;
}

/** Something failed. */
export interface ErrorEntry {
  readonly type: "error";
  readonly errorType: string;
  readonly message: string;
  readonly recoverable: boolean;
}

/** Anything else, under a name of 1 to 256 bytes of UTF-8. */
export interface CustomEntry {
  readonly type: "custom";
  readonly name: string;
  readonly data: Value;
}

/** What a trace is about; `type` says which fields it has. */
export type TraceEntry = ToolCallEntry | DecisionEntry | QueryEntry | ThoughtEntry | ErrorEntry | CustomEntry;

/** The types of entries. */
export type TraceType = TraceEntry["type"];

/** What belongs to a trace besides its entry. */
export type TraceMetadata = { readonly [key: string]: Value };

/** A recorded trace. */
export interface Trace {
  readonly id: string;
  readonly entry: TraceEntry;
  /** The id of the trace that it belongs to; a root has none. */
  readonly parent?: string;
  /** Without doubles, in the order given. */
  readonly tags: readonly string[];
  readonly metadata?: TraceMetadata;
  /** When it was recorded, in milliseconds since 1970 by the wall clock. */
  readonly timestamp: number;
}

/** A trace with all that belongs to it. */
export interface TraceTree {
  readonly trace: Trace;
  readonly children: readonly TraceTree[];
}

/** How a trace is recorded. */
export interface RecordOptions extends StepOptions {
  /** The id of a trace that is there already. */
  readonly parent?: string | undefined;
  /** At most 256, each 1 to 256 bytes of UTF-8. */
  readonly tags?: readonly string[] | undefined;
  readonly metadata?: TraceMetadata | undefined;
  /** 1 to 256 bytes of UTF-8. One that sorts by time is made where none is given. */
  readonly id?: string | undefined;
}

/** Which traces of all are listed. */
export interface TraceListOptions {
  /** From the newest to the oldest. */
  readonly reverse?: boolean | undefined;
  /** At most this many. */
  readonly limit?: number | undefined;
}

/** Which traces of a type are listed. */
export interface TraceTypeOptions extends TraceListOptions {
  /** Of custom traces: only those whose entry has this name. */
  readonly name?: string | undefined;
}

/** What a field of an entry must be. */
interface Field {
  readonly what: string;
  readonly optional: boolean;
  test(value: unknown): boolean;
}

const isText = (value: unknown): boolean => typeof value === "string";
const isNumber = (value: unknown): boolean => typeof value === "number" && Number.isFinite(value);
const isCount = (value: unknown): boolean => typeof value === "number" && Number.isSafeInteger(value) && value >= 0;

/** Stops at the first item that is none, so that a sparse array of any length takes no time. */
function areTexts(value: unknown): boolean {
  if (!Array.isArray(value)) return false;
  for (let index = 0; index < value.length; index++) {
    if (!isText(value[index])) return false;
  }
  return true;
}

const TEXT: Field = { what: "a string", optional: false, test: isText };
const TEXTS: Field = {
  what: "an array of strings",
  optional: false,
  test: areTexts,
};
const NUMBER: Field = { what: "a finite number", optional: false, test: isNumber };
const COUNT: Field = { what: "a whole number that is not negative", optional: false, test: isCount };
const FLAG: Field = { what: "true or false", optional: false, test: (value) => typeof value === "boolean" };
/** The codec says what a value is. */
const VALUE: Field = { what: "a value", optional: false, test: (value) => value !== undefined };

function optional(field: Field): Field {
  return { ...field, optional: true };
}

/** The fields of each type of entry. */
const FIELDS: { readonly [T in TraceType]: Readonly<Record<string, Field>> } = {
  "tool-call": { name: TEXT, args: VALUE, result: optional(VALUE), durationMs: optional(NUMBER) },
  decision: { question: TEXT, options: TEXTS, chosen: TEXT, reasoning: optional(TEXT) },
  query: { queryType: TEXT, query: TEXT, resultsCount: COUNT },
  thought: { content: TEXT, confidence: optional(NUMBER) },
  error: { errorType: TEXT, message: TEXT, recoverable: FLAG },
  custom: { name: TEXT, data: VALUE },
};
const TYPES = Object.keys(FIELDS).join(", ");

function isTraceType(type: unknown): type is TraceType {
  return typeof type === "string" && Object.hasOwn(FIELDS, type);
}

/** What is wrong with the fields of an entry, `undefined` if nothing is. */
function faultOf(type: TraceType, entry: Readonly<Record<string, unknown>>): string | undefined {
  for (const [name, field] of Object.entries(FIELDS[type])) {
    const value = entry[name];
    if (value === undefined && field.optional) continue;
    if (!field.test(value)) return `${name} must be ${field.what}, got ${describe(value)}`;
  }
  return undefined;
}

/** A checked copy of an entry, as deep as its own fields; the values in them are the caller's still. */
function readEntry(given: unknown): Readonly<Record<string, unknown>> {
  if (typeof given !== "object" || given === null) {
    throw refuseArgument(`A trace entry must be an object with a type (${TYPES}), got ${describe(given)}.`);
  }
  let type: unknown;
  try {
    type = (given as { type?: unknown }).type;
  } catch (cause) {
    throw refuseArgument("The trace entry threw when it was read.", cause);
  }
  if (!isTraceType(type))
    throw refuseArgument(`There is no trace entry of type ${describe(type)}; there are ${TYPES}.`);
  const names = Object.keys(FIELDS[type]);
  const fields = readOptions<Record<string, unknown>>(given, ["type", ...names], `A trace entry of type ${type}`);
  const entry: Record<string, unknown> = { type };
  for (const name of names) {
    if (fields[name] !== undefined) entry[name] = fields[name];
  }
  let fault: string | undefined;
  try {
    fault = faultOf(type, entry);
  } catch (cause) {
    throw refuseArgument("The trace entry threw when it was read.", cause);
  }
  if (fault !== undefined) throw refuseArgument(`In a trace entry of type ${type}, ${fault}.`);
  if (type === "custom") checkName(entry["name"], "The name of a custom trace entry");
  return entry;
}

/** A trace as it is stored, of values of our own. */
interface Stored {
  readonly entry: TraceEntry;
  readonly parent?: string;
  readonly tags: readonly string[];
  readonly metadata?: TraceMetadata;
  readonly timestamp: number;
}

function damaged(what: string, details: Record<string, unknown>): HoldfastError {
  const message = `${what}: it was damaged, or written by something else. What is whole can still be read by its id.`;
  return new HoldfastError("CORRUPTION", message, { details });
}

function isOptionalText(value: unknown): boolean {
  return value === undefined || isText(value);
}

function traceOf(id: string, value: Value): Trace {
  if (isPlainObject(value)) {
    const { entry, parent, tags, metadata, timestamp } = value as unknown as Partial<Stored>;
    const whole =
      isPlainObject(entry) &&
      isTraceType(entry.type) &&
      faultOf(entry.type, entry) === undefined &&
      isOptionalText(parent) &&
      TEXTS.test(tags) &&
      (metadata === undefined || isPlainObject(metadata)) &&
      isNumber(timestamp);
    if (whole) return { id, ...(value as unknown as Stored) };
  }
  throw damaged(`What is stored as the trace ${describe(id)} is none`, { id });
}

function readTrace(reader: Reader, id: string): Trace | undefined {
  const stored = reader.get(TABLE, id);
  return stored === undefined ? undefined : traceOf(id, stored);
}

/** The traces that a group of the index names, in the order of time and id. */
function tracesOf(reader: Reader, prefix: string, bounds: IndexBounds): Trace[] {
  const ids = reader.keys(INDEX, { ...bounds, prefix }).map((key) => idOf(key, prefix));
  return reader.getMany(TABLE, ids).map((stored, index) => {
    const id = ids[index] as string;
    if (stored !== undefined) return traceOf(id, stored);
    throw damaged(`The index of traces names ${describe(id)}, which there is not`, { id });
  });
}

function idOf(key: string, prefix: string): string {
  const id = key.slice(prefix.length + DIGITS);
  if (id !== "") return id;
  throw damaged(`The index of traces has the entry ${describe(key)}, which names none`, { key });
}

interface IndexBounds extends TraceListOptions {
  readonly start?: string;
  readonly end?: string;
}

function readBounds(options: TraceListOptions | undefined, what: string): TraceListOptions {
  return readOptions<TraceListOptions>(options, ["reverse", "limit"], what);
}

function childrenGroup(parent: string): string {
  return `child:${inGroup(parent)}\u0000`;
}

function typeGroup(type: TraceType): string {
  return `type:${type}\u0000`;
}

function customGroup(name: string): string {
  return `custom:${inGroup(name)}\u0000`;
}

function tagGroup(tag: string): string {
  return `tag:${inGroup(tag)}\u0000`;
}

/** Every group of the index that a trace is in. */
function groupsOf({ entry, parent, tags }: Stored): string[] {
  const groups = [ALL, parent === undefined ? ROOTS : childrenGroup(parent), typeGroup(entry.type)];
  if (entry.type === "custom") groups.push(customGroup(entry.name));
  return groups.concat(tags.map(tagGroup));
}

function checkTime(value: unknown, what: string): asserts value is number {
  if (typeof value === "number" && !Number.isNaN(value)) return;
  throw refuseArgument(`${what} must be a time in milliseconds since 1970, got ${describe(value)}.`);
}

/** The index's text for the first whole millisecond at or after a time. */
function timeText(timeMs: number): string {
  return fixedWidth(Math.min(Math.max(Math.ceil(timeMs), 0), Number.MAX_SAFE_INTEGER));
}

const BASE_32 = "0123456789abcdefghjkmnpqrstvwxyz";
const TIME_CHARS = 9;
const COUNTER_CHARS = 3;
const COUNTER_MAX = 32 ** COUNTER_CHARS - 1;
const RANDOM_BYTES = 5;
const RANDOM_CHARS = 8;

/** The last id's time and counter: one for the process, so that ids rise over all its runs and transactions. */
const last = { timeMs: 0, counter: 0 };

function base32(value: number, chars: number): string {
  let text = "";
  for (let rest = value; text.length < chars; rest = Math.floor(rest / 32)) text = BASE_32.charAt(rest % 32) + text;
  return text;
}

/** An id above every id that this process has made, and unlike those of any other. */
function makeId(writer: Writer, nowMs: number): string {
  if (nowMs > last.timeMs || last.counter === COUNTER_MAX) {
    last.timeMs = Math.max(nowMs, last.timeMs + 1);
    last.counter = 0;
  } else {
    last.counter++;
  }
  const bytes = new Uint8Array(RANDOM_BYTES);
  writer.randomBytes(bytes);
  const random = bytes.reduce((number, byte) => number * 256 + byte, 0);
  return base32(last.timeMs, TIME_CHARS) + base32(last.counter, COUNTER_CHARS) + base32(random, RANDOM_CHARS);
}

/** Traces that can be read: of a snapshot. Ids and tags are 1 to 256 bytes of UTF-8. */
export class TraceStoreReader {
  readonly #reader: Reader;

  /** @internal */
  constructor(reader: Reader) {
    this.#reader = reader;
  }

  /**
   * A trace, `undefined` if there is none.
   * @throws HoldfastError `INVALID_KEY`, `CORRUPTION`, `CLOSED`.
   */
  get(id: string): Trace | undefined {
    checkName(id, "The id of a trace");
    return readTrace(this.#reader, id);
  }

  /** Whether there is such a trace. */
  has(id: string): boolean {
    checkName(id, "The id of a trace");
    return this.#reader.has(TABLE, id);
  }

  /** The traces that were recorded with this one as their parent, or the first or last of them. */
  children(id: string, options?: TraceListOptions): Trace[] {
    checkName(id, "The id of a trace");
    return this.#read(childrenGroup(id), readBounds(options, "children"));
  }

  /** A trace with its children, theirs and so on, however deep; `undefined` if there is no such trace. */
  tree(id: string): TraceTree | undefined {
    checkName(id, "The id of a trace");
    return this.#reader.view((reader) => treeOf(reader, id));
  }

  /** The traces without a parent, or the first or last of them. */
  roots(options?: TraceListOptions): Trace[] {
    return this.#read(ROOTS, readBounds(options, "roots"));
  }

  /**
   * The traces whose entry is of a type, or the first or last of them; of custom ones, if a `name` is given, those of it.
   * @throws HoldfastError `INVALID_ARGUMENT` for a type that there is not, or a name with another type; `INVALID_KEY`.
   */
  byType(type: TraceType, options?: TraceTypeOptions): Trace[] {
    if (!isTraceType(type)) throw refuseArgument(`There are no traces of type ${describe(type)}; there are ${TYPES}.`);
    const { name, ...bounds } = readOptions<TraceTypeOptions>(options, ["name", "reverse", "limit"], "byType");
    if (name === undefined) return this.#read(typeGroup(type), bounds);
    if (type !== "custom") throw refuseArgument(`Only custom traces can be found by name; leave it out for ${type}.`);
    checkName(name, "The name of a custom trace entry");
    return this.#read(customGroup(name), bounds);
  }

  /** The traces with a tag, or the first or last of them. */
  byTag(tag: string, options?: TraceListOptions): Trace[] {
    checkName(tag, "A tag");
    return this.#read(tagGroup(tag), readBounds(options, "byTag"));
  }

  /**
   * The traces that were recorded at `start` or later and before `end`, in milliseconds since 1970; either may be infinite.
   * Looks through all that there are.
   * @throws HoldfastError `INVALID_ARGUMENT`, `CORRUPTION`, `CLOSED`.
   */
  byTime(start: number, end: number): Trace[] {
    checkTime(start, "start");
    checkTime(end, "end");
    return this.#read(ALL, { start: ALL + timeText(start), end: ALL + timeText(end) });
  }

  /** All traces, or the first or last of them by time. Looks through all that there are. */
  list(options?: TraceListOptions): Trace[] {
    return this.#read(ALL, readBounds(options, "list"));
  }

  /** How many traces there are. */
  count(): number {
    return this.#reader.count(TABLE, undefined);
  }

  #read(prefix: string, bounds: IndexBounds = {}): Trace[] {
    return this.#reader.view((reader) => tracesOf(reader, prefix, bounds));
  }
}

interface TreeNode extends TraceTree {
  readonly children: TreeNode[];
}

/** Level by level and without recursion, so that no depth is too much. */
function treeOf(reader: Reader, id: string): TraceTree | undefined {
  const trace = readTrace(reader, id);
  if (trace === undefined) return undefined;
  const top: TreeNode = { trace, children: [] };
  const nodes = [top];
  const seen = new Set([id]);
  // It grows while it is walked.
  for (const node of nodes) {
    for (const child of tracesOf(reader, childrenGroup(node.trace.id), {})) {
      if (seen.has(child.id)) throw damaged(`The trace ${describe(child.id)} has two parents`, { id: child.id });
      seen.add(child.id);
      const below: TreeNode = { trace: child, children: [] };
      node.children.push(below);
      nodes.push(below);
    }
  }
  return top;
}

/**
 * Traces of a run or a transaction: recorded, never changed, never deleted.
 *
 * ```ts
 * const plan = run.traces.record({ type: "thought", content: "look for the leak", confidence: 0.7 });
 * const call = { type: "tool-call", name: "grep", args: { pattern: "malloc" }, durationMs: 12 } as const;
 * run.traces.record(call, { parent: plan, tags: ["search"], metadata: { model: "m-1" } });
 * run.traces.tree(plan)?.children.length; // 1
 * run.traces.byTag("search");
 * ```
 */
export class TraceStore extends TraceStoreReader {
  readonly #writer: Writer;

  /** @internal */
  constructor(writer: Writer) {
    super(writer);
    this.#writer = writer;
  }

  /**
   * Records a trace; returns its id. A made id has 20 characters, and is above all others that this process has made.
   * @throws HoldfastError `INVALID_ARGUMENT` naming the field; `INVALID_KEY` for an id, a tag or a custom entry's name;
   *   `INVALID_VALUE` with `details.path`; `NOT_FOUND` if the parent is not there; `ALREADY_EXISTS` if the id is;
   *   `VALUE_TOO_LARGE`, and what a transaction's commit does.
   */
  record(entry: TraceEntry, options?: RecordOptions): string {
    const names = ["parent", "tags", "metadata", "id", "durability"] as const;
    const { parent, tags, metadata, id: givenId, durability } = readOptions<RecordOptions>(options, names, "record");
    const timestamp = Math.max(0, Math.floor(this.#writer.nowMs()));
    if (parent !== undefined) checkName(parent, "The parent of a trace");
    if (givenId !== undefined) checkName(givenId, "The id of a trace");
    const trace = copyTrace({
      entry: readEntry(entry),
      parent,
      tags: tags === undefined ? [] : readTags(tags),
      metadata,
      timestamp,
    });
    const id = givenId ?? makeId(this.#writer, timestamp);
    return this.#writer.step((writer) => add(writer, id, trace), { durability });
  }
}

/** A trace of values of our own. Fields that are `undefined` are left out. */
function copyTrace(given: { readonly [field: string]: unknown }): Stored {
  const present = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const trace = copyValue(present) as unknown as Stored;
  // A Proxy may have been one thing for the check and another for the copy.
  const fault = faultOf(trace.entry.type, trace.entry as unknown as Record<string, unknown>);
  if (fault !== undefined) throw refuseArgument(`In a trace entry of type ${trace.entry.type}, ${fault}.`);
  if (trace.metadata !== undefined && !isPlainObject(trace.metadata)) {
    throw refuseArgument(`metadata must be a plain object, got ${describe(given["metadata"])}.`);
  }
  return trace;
}

function add(writer: StepWriter, id: string, trace: Stored): string {
  const { parent, timestamp } = trace;
  if (parent !== undefined && !writer.has(TABLE, parent)) {
    const message = `There is no trace ${describe(parent)} to be the parent. Record it first.`;
    throw new HoldfastError("NOT_FOUND", message, { details: { id: parent } });
  }
  if (writer.has(TABLE, id)) {
    const message = `There is a trace ${describe(id)} already. Leave the id out to get a new one.`;
    throw new HoldfastError("ALREADY_EXISTS", message, { details: { id } });
  }
  writer.putOwn(TABLE, id, trace as unknown as Value);
  const member = fixedWidth(timestamp) + id;
  for (const group of groupsOf(trace)) writer.putOwn(INDEX, group + member, null);
  return id;
}
