/**
 * The commit order, read by the test itself out of the bytes that reach the files.
 *
 * What it keeps true:
 *  - an entry is a whole commit record that stands in a segment as reads see it, in the order of positions;
 *  - records that are written again (a tail under a new epoch) are the same entries; what is cut off is an entry no more;
 *  - a power cut may lose that cut, and bring back what was cut off, unless something else was written there since, or whoever
 *    wrote it was told that it did not happen;
 *  - an entry knows the state of the whole database right after it, and a digest of that: a recovered database is a prefix
 *    of the commit order if its digest is that of an entry, or of none.
 */
import { crc32 } from "node:zlib";
import * as abi from "../../src/host/abi.js";
import type { Cell, Database, LogEvent, Run, RunInfo, Trace, Value } from "../../src/index.js";
import type { Mode } from "../support/history.js";
import { commitAt } from "../support/log-items.js";

/** The runs and keys that workloads write to. */
export const RUNS = ["a", "b", "c"] as const;
export const KEYS = ["k0", "k1", "k2", "k3", "k4"] as const;
export const CELLS = ["c0", "c1"] as const;
export const TAGS = ["x", "y"] as const;

const SEGMENT = /\.log(\.tmp)?$/;
const GENESIS = "0".repeat(64);

/** A run as it can be seen, and what follows from it for the next commit. */
interface RunState {
  /** What is shown of each item, by its name (`log-items.ts`); events by their head alone, whose hash is over all of them. */
  readonly items: ReadonlyMap<string, string>;
  readonly events: number;
  readonly hash: string;
  /** The versions of cells, of deleted ones too. */
  readonly cells: ReadonlyMap<string, number>;
  readonly digest: string;
}

type State = ReadonlyMap<string, RunState>;

/** One commit in the log. */
export interface Entry {
  readonly version: number;
  readonly position: number;
  readonly run: string;
  readonly mode: Mode;
  /** The text of what it put, by item, and `undefined` for what it deleted. */
  readonly writes: ReadonlyMap<string, string | undefined>;
  readonly deletesRun: boolean;
  readonly state: State;
  readonly digest: string;
}

/** A value in few characters. */
function brief(text: string): string {
  return `${text.length}.${crc32(text).toString(36)}`;
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

// What is shown of an item, told from its value alone.

const showKey = (version: number, value: Value | undefined): string => `${version}:${brief(String(value))}`;
const showCell = ({ version, value }: Pick<Cell, "version" | "value">): string => `${version}:${brief(String(value))}`;
const showTrace = ({ entry, parent, tags, timestamp }: Trace): string =>
  brief(JSON.stringify([entry, parent, tags, timestamp]));
const showInfo = ({ status, tags, metadata, updatedAt }: RunInfo): string =>
  brief(JSON.stringify([status, tags, metadata, updatedAt]));

function show(item: string, version: number, value: Value): string {
  if (item.startsWith("c:")) return showCell(value as unknown as Cell);
  if (item.startsWith("t:")) return showTrace(value as unknown as Trace);
  return item.startsWith("i:") ? showInfo(value as unknown as RunInfo) : showKey(version, value);
}

/** The text by which a write can be told from all others. */
function textOf(item: string, value: Value): string {
  if (item.startsWith("e:")) return String((value as unknown as LogEvent).payload);
  if (item.startsWith("c:")) return String((value as unknown as Cell).value);
  if (item.startsWith("i:")) return String((value as unknown as RunInfo).metadata["mark"]);
  if (!item.startsWith("t:")) return String(value);
  const { entry } = value as unknown as Trace;
  return entry.type === "thought" ? entry.content : "";
}

function digestOfRun(version: number, items: ReadonlyMap<string, string>, events: number, hash: string): string {
  let digest = `@${version}`;
  if (events > 0) digest += ` e:${events}=${hash.slice(0, 12)}`;
  for (const item of [...items.keys()].sort()) digest += ` ${item}=${items.get(item)}`;
  return digest;
}

const NOTHING: RunState = {
  items: new Map(),
  events: 0,
  hash: GENESIS,
  cells: new Map(),
  digest: digestOfRun(0, new Map(), 0, GENESIS),
};

function digestOf(state: State): string {
  return RUNS.map((run) => (state.get(run) ?? NOTHING).digest).join("; ");
}

/** The digest of a database with nothing in it. */
export const EMPTY_DIGEST = digestOf(new Map());

/** What a run shows, item by item. */
function itemsOf(run: Run, info: RunInfo | undefined): Map<string, string> {
  const items = new Map<string, string>();
  for (const key of run.kv.keys()) {
    const found = run.kv.getVersioned(key);
    if (found !== undefined) items.set(`k:${key}`, showKey(found.version, found.value));
  }
  for (const [name, cell] of run.state.list()) items.set(`c:${name}`, showCell(cell));
  for (const trace of run.traces.list()) items.set(`t:${trace.id}`, showTrace(trace));
  if (info !== undefined) items.set("i:", showInfo(info));
  return items;
}

/** What a database shows, as a digest. */
export function digestOfDatabase(database: Database): string {
  return RUNS.map((id) => {
    const run = database.run(id);
    const head = run.events.head();
    const events = head === undefined ? 0 : head.sequence + 1;
    const items = itemsOf(run, database.runs.get(id));
    return digestOfRun(run.version, items, events, head === undefined ? GENESIS : hex(head.hash));
  }).join("; ");
}

/** A commit as its record has it. */
interface Commit {
  readonly version: number;
  readonly position: number;
  readonly run: string;
  readonly mode: Mode;
  readonly values: ReadonlyMap<string, Value | undefined>;
  readonly deletesRun: boolean;
}

/** The run after a commit; `fault` is told what cannot stand behind what was there. */
function runAfter(before: RunState, { version, values }: Commit, fault: (what: string) => void): RunState {
  const items = new Map(before.items);
  const cells = new Map(before.cells);
  let { events, hash } = before;
  for (const [item, value] of values) {
    const name = item.slice(2);
    if (item.startsWith("e:")) {
      const event = value as unknown as LogEvent;
      if (event.sequence !== events || hex(event.previousHash) !== hash) fault(`event ${name} behind ${events} others`);
      events++;
      hash = hex(event.hash);
    } else if (item.startsWith("n:")) {
      if (value !== undefined && value !== cells.get(name)) fault(`cell ${name} kept as ${String(value)}`);
    } else if (value === undefined) items.delete(item);
    else {
      items.set(item, show(item, version, value));
      if (!item.startsWith("c:")) continue;
      const cell = value as unknown as Cell;
      if (cell.version !== (cells.get(name) ?? 0) + 1) fault(`cell ${name} at ${cell.version}`);
      cells.set(name, cell.version);
    }
  }
  return { items, cells, events, hash, digest: digestOfRun(version, items, events, hash) };
}

/** The commit in a whole record; `undefined` for a watermark. */
function commitIn(record: Uint8Array): Commit | undefined {
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
  if (view.getUint8(abi.RECORD_KIND_OFFSET) !== abi.RECORD_COMMIT) return undefined;
  const { run, version, mode, writes, deletesRun = false } = commitAt(record);
  const position = Number(view.getBigUint64(abi.RECORD_POSITION_OFFSET, true));
  return { version, position, run, mode, values: writes, deletesRun };
}

function isMarked({ writes }: Entry, mark: string): boolean {
  return [...writes.values()].some((value) => value?.startsWith(mark));
}

/** The log as one process after another writes it. */
export class WrittenLog {
  /** Replaced with every change, so that keeping it keeps what it was. */
  entries: readonly Entry[] = [];
  /** The highest version that any record had, whatever became of it. */
  versionMost = 0;
  /** The first thing that cannot be, if anything. */
  fault: string | undefined;
  /** How far each file has been read: records behind that are not whole yet. */
  #read = new Map<number, number>();
  /** The entries, and behind them what was cut off and may come back; undefined where nothing was. */
  #beforeCut: readonly Entry[] | undefined;
  #byVersion = new Map<number, Entry>();

  /** Goes on from where another one stands, which is left as it is. */
  become(other: WrittenLog): void {
    this.entries = other.entries;
    this.versionMost = other.versionMost;
    this.fault = other.fault;
    this.#read = new Map(other.#read);
    this.#beforeCut = other.#beforeCut;
    this.#byVersion = new Map(other.#byVersion);
  }

  /** A file has changed what reads see of it. */
  note(path: string, inode: number, bytes: Uint8Array): void {
    if (!SEGMENT.test(path) || bytes.length < abi.SEGMENT_HEADER_BYTES) return;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const base = Number(view.getBigUint64(abi.SEGMENT_POSITION_OFFSET, true)) - abi.SEGMENT_HEADER_BYTES;
    let at = this.#read.get(inode) ?? abi.SEGMENT_HEADER_BYTES;
    if (at > bytes.length) {
      at = bytes.length;
      const { entries } = this;
      this.#cut(base + at);
      if (this.entries.length < entries.length) this.#beforeCut ??= entries;
    }
    while (at + abi.RECORD_HEADER_BYTES <= bytes.length) {
      const length = view.getUint32(at + abi.RECORD_LENGTH_OFFSET, true);
      if (length < abi.RECORD_HEADER_BYTES || at + length > bytes.length) break;
      const commit = commitIn(bytes.subarray(at, at + length));
      if (commit !== undefined) this.#add(commit);
      at += length;
    }
    this.#read.set(inode, at);
  }

  /** The most that a crash can leave. */
  get recoverable(): readonly Entry[] {
    return this.#beforeCut ?? this.entries;
  }

  /** Another process begins on what is left after the first `count` of what was recoverable. */
  restart(count: number): void {
    this.#read = new Map();
    const isAsItWas = count === this.entries.length;
    this.entries = this.recoverable.slice(0, count);
    if (!isAsItWas) this.#beforeCut = undefined;
    this.#byVersion = new Map(this.entries.map((entry) => [entry.version, entry]));
  }

  /** The entry of a version. */
  find(version: number): Entry | undefined {
    return this.#byVersion.get(version);
  }

  /** The newest entry with a value that begins so. */
  findMarked(mark: string): Entry | undefined {
    return this.entries.findLast((entry) => isMarked(entry, mark));
  }

  /** Whoever wrote the entries with such a value was told that they did not happen: they may not come back. */
  refuse(mark: string): void {
    const at = this.#beforeCut?.findIndex((entry) => isMarked(entry, mark)) ?? -1;
    if (at >= 0) this.#beforeCut = this.#beforeCut?.slice(0, at);
  }

  #cut(position: number): void {
    for (const entry of this.entries) if (entry.position >= position) this.#byVersion.delete(entry.version);
    this.entries = this.entries.filter((entry) => entry.position < position);
  }

  #add(commit: Commit): void {
    if (this.#byVersion.has(commit.version)) return;
    this.#cut(commit.position);
    const last = this.entries.at(-1);
    if (commit.version <= (last?.version ?? 0)) {
      this.fault ??= `version ${commit.version} of run ${commit.run} stands behind version ${last?.version} in the log`;
    }
    const state = new Map(last?.state);
    if (commit.deletesRun) state.delete(commit.run);
    else {
      const fault = (what: string): void => {
        this.fault ??= `version ${commit.version} of run ${commit.run} has ${what} in the log`;
      };
      state.set(commit.run, runAfter(state.get(commit.run) ?? NOTHING, commit, fault));
    }
    const { values, ...about } = commit;
    const writes = new Map<string, string | undefined>();
    for (const [item, value] of values) {
      // What a deleted cell leaves is nobody's write.
      if (!item.startsWith("n:")) writes.set(item, value === undefined ? undefined : textOf(item, value));
    }
    const entry = { ...about, writes, state, digest: digestOf(state) };
    this.#byVersion.set(entry.version, entry);
    if (this.#beforeCut?.[this.entries.length]?.digest !== entry.digest) this.#beforeCut = undefined;
    this.entries = [...this.entries, entry];
    this.versionMost = Math.max(this.versionMost, entry.version);
  }
}

/** How many entries a digest stands for, the most if several would do; −1 if it is that of no prefix. */
export function prefixOf(entries: readonly Entry[], digest: string): number {
  for (let count = entries.length; count > 0; count--) {
    if (entries[count - 1]?.digest === digest) return count;
  }
  return digest === EMPTY_DIGEST ? 0 : -1;
}

/** The same, the fewest from `least` up. Deleting a run leaves a state that there was before, so that several may do. */
export function shortestPrefixOf(entries: readonly Entry[], digest: string, least: number): number {
  if (least === 0 && digest === EMPTY_DIGEST) return 0;
  return entries.findIndex((entry, index) => index + 1 >= least && entry.digest === digest) + 1;
}

/** How many entries there are up to a version, itself included. */
export function countUpTo(entries: readonly Entry[], version: number): number {
  let count = entries.length;
  while (count > 0 && (entries[count - 1] as Entry).version > version) count--;
  return count;
}
