/**
 * The commit order, read by the test itself out of the bytes that reach the files.
 *
 * What it keeps true:
 *  - an entry is a whole commit record that stands in a segment as reads see it, in the order of positions;
 *  - records that are written again (a tail under a new epoch) are the same entries; what is cut off is an entry no more;
 *  - an entry knows the state of the whole database right after it, and a digest of that: a recovered database is a prefix
 *    of the commit order if its digest is that of an entry, or of none.
 */
import { crc32 } from "node:zlib";
import * as abi from "../../src/host/abi.js";
import type { Database } from "../../src/index.js";
import type { Mode } from "../support/history.js";
import { plainDecode } from "../support/plain-cbor.js";

/** The runs and keys that workloads write to. */
export const RUNS = ["a", "b", "c"] as const;
export const KEYS = ["k0", "k1", "k2", "k3", "k4"] as const;

const MODES: readonly Mode[] = ["in-memory", "buffered", "strict"];
const SEGMENT = /\.log(\.tmp)?$/;

/** A run as it can be seen. */
interface RunState {
  readonly keys: ReadonlyMap<string, string>;
  readonly digest: string;
}

type State = ReadonlyMap<string, RunState>;

/** One commit in the log. */
export interface Entry {
  readonly version: number;
  readonly position: number;
  readonly run: string;
  readonly mode: Mode;
  /** What it put, and `undefined` for what it deleted. */
  readonly writes: ReadonlyMap<string, string | undefined>;
  readonly deletesRun: boolean;
  readonly state: State;
  readonly digest: string;
}

type Commit = Omit<Entry, "state" | "digest">;

/** A value in few characters. */
function brief(text: string): string {
  return `${text.length}.${crc32(text).toString(36)}`;
}

function digestOfRun(version: number, keys: ReadonlyMap<string, string>): string {
  let digest = `@${version}`;
  for (const key of KEYS) {
    const value = keys.get(key);
    if (value !== undefined) digest += ` ${key}=${value}`;
  }
  return digest;
}

const NOTHING = digestOfRun(0, new Map());

function digestOf(state: State): string {
  return RUNS.map((run) => state.get(run)?.digest ?? NOTHING).join("; ");
}

/** The digest of a database with nothing in it. */
export const EMPTY_DIGEST = digestOf(new Map());

/** What a database shows, as a digest. */
export function digestOfDatabase(database: Database): string {
  return RUNS.map((id) => {
    const run = database.run(id);
    const keys = new Map<string, string>();
    for (const key of run.kv.keys()) {
      const found = run.kv.getVersioned(key);
      if (found !== undefined) keys.set(key, `${found.version}:${brief(String(found.value))}`);
    }
    return digestOfRun(run.version, keys);
  }).join("; ");
}

function stateAfter(state: State, { run, version, writes, deletesRun }: Commit): State {
  const after = new Map(state);
  if (deletesRun) {
    after.delete(run);
    return after;
  }
  const keys = new Map(state.get(run)?.keys);
  for (const [key, value] of writes) {
    if (value === undefined) keys.delete(key);
    else keys.set(key, `${version}:${brief(value)}`);
  }
  after.set(run, { keys, digest: digestOfRun(version, keys) });
  return after;
}

/** The commit in a whole record; `undefined` for a watermark. */
function commitIn(record: Uint8Array): Commit | undefined {
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
  if (view.getUint8(abi.RECORD_KIND_OFFSET) !== abi.RECORD_COMMIT) return undefined;
  const text = (start: number, length: number): string =>
    Buffer.from(record.buffer, record.byteOffset + start, length).toString();
  let at: number = abi.RECORD_HEADER_BYTES;
  const runBytes = view.getUint16(abi.RECORD_RUN_BYTES_OFFSET, true);
  const run = text(at, runBytes);
  at += runBytes;
  const writes = new Map<string, string | undefined>();
  let deletesRun = false;
  for (let left = view.getUint32(abi.RECORD_OPERATIONS_OFFSET, true); left > 0; left--) {
    const kind = view.getUint8(at + abi.OPERATION_KIND_OFFSET);
    const keyBytes = view.getUint16(at + abi.OPERATION_KEY_BYTES_OFFSET, true);
    const valueBytes = view.getUint32(at + abi.OPERATION_VALUE_BYTES_OFFSET, true);
    at += abi.OPERATION_HEADER_BYTES;
    if (kind === abi.OPERATION_DELETE_RUN) deletesRun = true;
    else {
      const value = record.subarray(at + keyBytes, at + keyBytes + valueBytes);
      writes.set(text(at, keyBytes), kind === abi.OPERATION_PUT ? String(plainDecode(value)) : undefined);
    }
    at += keyBytes + valueBytes;
  }
  const version = Number(view.getBigUint64(abi.RECORD_VERSION_OFFSET, true));
  const position = Number(view.getBigUint64(abi.RECORD_POSITION_OFFSET, true));
  return { version, position, run, mode: MODES[view.getUint8(abi.RECORD_MODE_OFFSET)] as Mode, writes, deletesRun };
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
  #byVersion = new Map<number, Entry>();

  /** A file has changed what reads see of it. */
  note(path: string, inode: number, bytes: Uint8Array): void {
    if (!SEGMENT.test(path) || bytes.length < abi.SEGMENT_HEADER_BYTES) return;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const base = Number(view.getBigUint64(abi.SEGMENT_POSITION_OFFSET, true)) - abi.SEGMENT_HEADER_BYTES;
    let at = this.#read.get(inode) ?? abi.SEGMENT_HEADER_BYTES;
    if (at > bytes.length) {
      at = bytes.length;
      this.#cut(base + at);
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

  /** Another process begins on what is left after the first `count` entries. */
  restart(count: number): void {
    this.#read = new Map();
    this.entries = this.entries.slice(0, count);
    this.#byVersion = new Map(this.entries.map((entry) => [entry.version, entry]));
  }

  /** The entry of a version. */
  find(version: number): Entry | undefined {
    return this.#byVersion.get(version);
  }

  /** The newest entry with a value that begins so. */
  findMarked(mark: string): Entry | undefined {
    return this.entries.findLast(({ writes }) => [...writes.values()].some((value) => value?.startsWith(mark)));
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
    const state = stateAfter(last?.state ?? new Map(), commit);
    const entry = { ...commit, state, digest: digestOf(state) };
    this.#byVersion.set(entry.version, entry);
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
