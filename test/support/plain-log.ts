/**
 * A whole log judged by the rules of docs/FORMAT.md, in plain TypeScript: what recovery is compared with.
 *
 * It shares the offsets of `abi.ts` with the host and the checksum with `log-oracle.ts`, and nothing with the core. A state
 * is one text, so that two can be compared at the price of a comparison of strings: a line for each entry that is live, its
 * run, table, key and value as bytes, sorted.
 */
import * as abi from "../../src/host/abi.js";
import type { Segments } from "./byte-storage.js";
import { crc32c } from "./log-oracle.js";

/** The files of a database. */
export interface DatabaseFiles {
  readonly segments: Segments;
  readonly checkpoints: Segments;
}

/** Which file is meant. */
export type FileKind = "segment" | "checkpoint";

/** What must come of opening a database, or of an import. */
export type Verdict =
  | {
      readonly kind: "good";
      readonly state: string;
      readonly commits: number;
      readonly droppedBytes: number;
      /** Whether the log was closed cleanly, so that its tail needs no care. */
      readonly closed: boolean;
    }
  | {
      readonly kind: "refused";
      readonly code: "CORRUPTION" | "UNSUPPORTED";
      readonly file: FileKind;
      readonly number: number;
      /** Where the file's bytes stop being good; 0 for its header. */
      readonly offset: number;
      readonly why: string;
    };

/** Thrown inside, and caught where a verdict is made; nobody asks for its stack, which would take longer than most verdicts. */
class Refused {
  readonly why: string;
  readonly file: FileKind;
  readonly number: number;
  readonly offset: number;
  readonly code: "CORRUPTION" | "UNSUPPORTED";

  constructor(file: FileKind, number: number, offset: number, why: string, code: Refused["code"] = "CORRUPTION") {
    this.why = why;
    this.file = file;
    this.number = number;
    this.offset = offset;
    this.code = code;
  }
}

const NUMBER_MAX = 2 ** 52;
const EPOCH_MAX = 2 ** 32 - 1;

/** What both kinds of header say. */
interface AnyHeader {
  readonly number: number;
  readonly database: string;
  readonly epoch: number;
  readonly position: number;
  readonly crc: number;
}

interface Header extends AnyHeader {
  readonly firstVersion: number;
  readonly syncedEnd: number;
  readonly predecessor: number;
  readonly predecessorEnd: number;
  readonly predecessorCrc: number;
}

interface CheckpointHeader extends AnyHeader {
  readonly isExport: boolean;
  readonly version: number;
  readonly given: number;
  readonly written: number;
  readonly commits: number;
  readonly chain: number;
}

/** Bytes as a text of as many characters. */
export function binaryText(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString("latin1");
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Exact up to 2^53, and above that at least above that. */
function integerAt(view: DataView, offset: number): number {
  return view.getUint32(offset, true) + view.getUint32(offset + 4, true) * 2 ** 32;
}

/** Reads the fields that both kinds of header have; `expected` is the number that it must say, if that is known. */
class HeaderFields {
  readonly #file: FileKind;
  readonly #number: number;
  readonly #view: DataView;
  readonly any: AnyHeader;

  constructor(file: FileKind, expected: number | undefined, bytes: Uint8Array) {
    this.#file = file;
    this.#number = expected ?? 0;
    if (bytes.length < abi.SEGMENT_HEADER_BYTES) throw this.refuse("it ends inside its header");
    this.#view = viewOf(bytes);
    const magic = file === "segment" ? abi.SEGMENT_MAGIC : abi.CHECKPOINT_MAGIC;
    if (this.#view.getBigUint64(abi.SEGMENT_MAGIC_OFFSET, true) !== magic) throw this.refuse("magic");
    const crc = this.u32(abi.SEGMENT_CRC_OFFSET);
    if (crc32c(bytes.subarray(0, abi.SEGMENT_CRC_OFFSET)) !== crc) throw this.refuse("header checksum");
    if (this.u32(abi.SEGMENT_FORMAT_OFFSET) !== abi.FORMAT_VERSION) throw this.refuse("format", "UNSUPPORTED");
    const headerBytes = this.u32(abi.SEGMENT_HEADER_BYTES_OFFSET);
    if (headerBytes !== abi.SEGMENT_HEADER_BYTES) throw this.refuse("header bytes", "UNSUPPORTED");
    const flagsMost = file === "segment" ? 0 : 1;
    if (this.u32(abi.SEGMENT_FLAGS_OFFSET) > flagsMost) throw this.refuse("flags", "UNSUPPORTED");
    for (let at = abi.SEGMENT_RESERVED_OFFSET; at < abi.SEGMENT_CRC_OFFSET; at++) {
      if (this.#view.getUint8(at) !== 0) throw this.refuse("reserved", "UNSUPPORTED");
    }
    const number = this.u64(abi.SEGMENT_NUMBER_OFFSET);
    if (expected !== undefined && number !== expected) throw this.refuse("number");
    this.any = {
      number,
      database: binaryText(bytes, abi.SEGMENT_DATABASE_OFFSET, abi.SEGMENT_NUMBER_OFFSET),
      epoch: this.u32(abi.SEGMENT_EPOCH_OFFSET),
      position: this.u64(abi.SEGMENT_POSITION_OFFSET),
      crc,
    };
  }

  refuse(why: string, code: Refused["code"] = "CORRUPTION"): Refused {
    return new Refused(this.#file, this.#number, 0, why, code);
  }

  u32(offset: number): number {
    return this.#view.getUint32(offset, true);
  }

  u64(offset: number): number {
    const value = integerAt(this.#view, offset);
    if (value > NUMBER_MAX) throw this.refuse("a number beyond 2^52");
    return value;
  }
}

function headerOf(number: number, bytes: Uint8Array): Header {
  const fields = new HeaderFields("segment", number, bytes);
  return {
    ...fields.any,
    firstVersion: fields.u64(abi.SEGMENT_FIRST_VERSION_OFFSET),
    syncedEnd: fields.u64(abi.SEGMENT_SYNCED_END_OFFSET),
    predecessor: fields.u64(abi.SEGMENT_PREDECESSOR_OFFSET),
    predecessorEnd: fields.u64(abi.SEGMENT_PREDECESSOR_END_OFFSET),
    predecessorCrc: fields.u32(abi.SEGMENT_PREDECESSOR_CRC_OFFSET),
  };
}

function checkpointHeaderOf(number: number | undefined, bytes: Uint8Array): CheckpointHeader {
  const fields = new HeaderFields("checkpoint", number, bytes);
  const commits = fields.u64(abi.CHECKPOINT_COMMITS_OFFSET);
  const version = fields.u64(abi.CHECKPOINT_VERSION_OFFSET);
  const given = fields.u64(abi.CHECKPOINT_GIVEN_OFFSET);
  const written = fields.u64(abi.CHECKPOINT_WRITTEN_OFFSET);
  if (version > given || written > given) throw fields.refuse("versions");
  const isExport = (fields.u32(abi.SEGMENT_FLAGS_OFFSET) & abi.CHECKPOINT_EXPORT) !== 0;
  const chain = fields.u32(abi.CHECKPOINT_CHAIN_OFFSET);
  const { number: own, position } = fields.any;
  if (isExport && (own !== 1 || position !== 0 || chain !== 0 || written !== 0)) throw fields.refuse("export of a log");
  return { ...fields.any, isExport, version, given, written, commits, chain };
}

function checkFollows(before: AnyHeader, header: Header): void {
  const faulty = (why: string): Refused => new Refused("segment", header.number, 0, why);
  if (header.predecessor !== before.number) throw faulty("predecessor");
  if (header.database !== before.database) throw faulty("database");
  if (header.epoch < before.epoch) throw faulty("epoch");
  if (header.position !== header.predecessorEnd || header.position < before.position) throw faulty("position");
}

/** The first segment behind a checkpoint goes on from it; without one it is the first of all. */
function checkFirst(checkpoint: CheckpointHeader | undefined, header: Header): void {
  const faulty = (why: string): Refused => new Refused("segment", header.number, 0, why);
  if (checkpoint === undefined) {
    if (header.predecessor !== 0) throw faulty("predecessor");
    return;
  }
  if (header.database !== checkpoint.database) throw faulty("database");
  if (header.epoch < checkpoint.epoch) throw faulty("epoch");
  if (header.number !== checkpoint.number) throw new Refused("segment", checkpoint.number, 0, "missing");
  const { position, predecessorEnd, predecessorCrc } = header;
  if (position !== checkpoint.position || predecessorEnd !== position || predecessorCrc !== checkpoint.chain) {
    throw faulty("it goes on from another log");
  }
}

/** Whether a record's header is whole and possible by itself: of kind `withRun` with a run, of the next one without. */
function isHeaderSound(bytes: Uint8Array, view: DataView, at: number, withRun: number): boolean {
  if (at + abi.RECORD_HEADER_BYTES > bytes.length) return false;
  const length = view.getUint32(at + abi.RECORD_LENGTH_OFFSET, true);
  const kind = bytes[at + abi.RECORD_KIND_OFFSET];
  const runBytes = view.getUint16(at + abi.RECORD_RUN_BYTES_OFFSET, true);
  const least = abi.RECORD_HEADER_BYTES + runBytes + abi.RECORD_TRAILER_BYTES;
  if (length > abi.RECORD_BYTES_MAX || length < least) return false;
  if (kind === withRun ? runBytes === 0 || runBytes > abi.RUN_ID_BYTES_MAX : kind !== withRun + 1) return false;
  if (kind !== withRun && (runBytes !== 0 || length !== least)) return false;
  const covered = bytes.subarray(at + abi.RECORD_LENGTH_OFFSET, at + abi.RECORD_HEADER_BYTES);
  return view.getUint32(at + abi.RECORD_HEADER_CRC_OFFSET, true) === crc32c(covered);
}

interface Operation {
  readonly kind: number;
  readonly table: number;
  readonly key: string;
  readonly value: string;
  /** Of an entry in a checkpoint. */
  readonly version: number;
}

/** The operations that fill [at, end) exactly, or `undefined` if any of them says what a record cannot. */
function operationsIn(bytes: Uint8Array, start: number, end: number, held: boolean): Operation[] | undefined {
  const view = viewOf(bytes);
  const operations: Operation[] = [];
  let at = start;
  while (at < end) {
    if (end - at < abi.OPERATION_HEADER_BYTES) return undefined;
    const kind = bytes[at + abi.OPERATION_KIND_OFFSET] as number;
    const table = bytes[at + abi.OPERATION_TABLE_OFFSET] as number;
    const keyBytes = view.getUint16(at + abi.OPERATION_KEY_BYTES_OFFSET, true);
    const valueBytes = view.getUint32(at + abi.OPERATION_VALUE_BYTES_OFFSET, true);
    const headerEnd = at + abi.OPERATION_HEADER_BYTES;
    if (kind === abi.OPERATION_DELETE_RUN) {
      const alone = at === start && headerEnd === end && table === 0 && keyBytes === 0 && valueBytes === 0;
      return alone && !held ? [{ kind, table, key: "", value: "", version: 0 }] : undefined;
    }
    const isDelete = kind === abi.OPERATION_DELETE && valueBytes === 0;
    if (held ? kind !== abi.OPERATION_HELD : kind !== abi.OPERATION_PUT && !isDelete) return undefined;
    if (keyBytes === 0 || keyBytes > abi.KEY_BYTES_MAX || valueBytes > abi.VALUE_BYTES_MAX) return undefined;
    const key = headerEnd + (held ? abi.OPERATION_VERSION_BYTES : 0);
    const value = key + keyBytes;
    if (table >= abi.TABLE_COUNT || value + valueBytes > end) return undefined;
    operations.push({
      kind,
      table,
      key: binaryText(bytes, key, value),
      value: binaryText(bytes, value, value + valueBytes),
      version: held ? integerAt(view, headerEnd) : 0,
    });
    at = value + valueBytes;
  }
  return operations;
}

/** One line of a state. */
export function stateLine(run: string, table: number, key: string, value: string): string {
  return JSON.stringify([run, table, key, value]);
}

/** Reads one log; a new one for each. */
class PlainReader {
  readonly #runs = new Map<string, Map<string, [table: number, key: string, value: string]>>();
  #commits = 0;
  /** The highest version that the log holds so far, that was ever given, and that a checkpoint holds. */
  #version = 0;
  #given = 0;
  #restored = 0;
  #position = 0;
  #chain = 0;
  #watermark = 0;
  #lastIsClosed = false;
  /** Where the records of the segment begin, and where the last one ends. */
  #borders = new Set<number>();

  /** Takes a checkpoint in, whole. */
  checkpoint(header: CheckpointHeader, bytes: Uint8Array, number: number): void {
    const view = viewOf(bytes);
    const runVersions = new Map<string, number>();
    let at = abi.SEGMENT_HEADER_BYTES;
    let chain = header.crc;
    for (let ended = false; !ended; ) {
      const refuse = (why: string): Refused => new Refused("checkpoint", number, at, why);
      if (!isHeaderSound(bytes, view, at, abi.RECORD_RUN)) throw refuse("record header");
      const end = at + view.getUint32(at + abi.RECORD_LENGTH_OFFSET, true);
      if (end > bytes.length) throw refuse("it ends inside a record");
      if (integerAt(view, at + abi.RECORD_POSITION_OFFSET) !== at - abi.SEGMENT_HEADER_BYTES) throw refuse("position");
      if (view.getUint32(at + abi.RECORD_EPOCH_OFFSET, true) !== header.epoch) throw refuse("epoch");
      if (view.getUint32(at + abi.RECORD_PREVIOUS_CRC_OFFSET, true) !== chain) throw refuse("chain");
      const body = end - abi.RECORD_TRAILER_BYTES;
      chain = view.getUint32(body, true);
      if (crc32c(bytes.subarray(at, body)) !== chain) throw refuse("checksum");
      const nameStart = at + abi.RECORD_HEADER_BYTES;
      const runEnd = nameStart + view.getUint16(at + abi.RECORD_RUN_BYTES_OFFSET, true);
      const operations = operationsIn(bytes, runEnd, body, true);
      if (operations?.length !== view.getUint32(at + abi.RECORD_OPERATIONS_OFFSET, true)) throw refuse("operations");
      const version = integerAt(view, at + abi.RECORD_VERSION_OFFSET);
      ended = bytes[at + abi.RECORD_KIND_OFFSET] === abi.RECORD_END;
      if (ended ? version !== header.version : version === 0 || version > header.version) throw refuse("version");
      if (!ended) {
        const run = binaryText(bytes, nameStart, runEnd);
        if ((runVersions.get(run) ?? version) !== version) throw refuse("version of the run");
        runVersions.set(run, version);
        if (!this.#hold(run, version, operations)) throw refuse("it says what cannot be");
      }
      at = end;
    }
    if (at < bytes.length) throw new Refused("checkpoint", number, at, "something stands behind its end");
    this.#restored = header.version;
    this.#given = Math.max(header.version, header.given);
    this.#version = header.written;
  }

  /** Takes the entries of a run in; false if one is there already or of a version that it cannot have. */
  #hold(run: string, runVersion: number, operations: readonly Operation[]): boolean {
    const entries = this.#runs.get(run) ?? new Map<string, [number, string, string]>();
    this.#runs.set(run, entries);
    for (const { table, key, value, version } of operations) {
      const place = `${table}:${key}`;
      if (version === 0 || version > runVersion || entries.has(place)) return false;
      entries.set(place, [table, key, value]);
    }
    return true;
  }

  /** What a checkpoint must leave room for that nothing stands behind. */
  alone(header: CheckpointHeader, ownerEpoch: number): void {
    const refuse = (why: string): Refused => new Refused("checkpoint", header.number, 0, why);
    const owners = Math.max(ownerEpoch - header.epoch, 0);
    if (header.epoch === EPOCH_MAX) throw refuse("no epoch is left");
    if (this.#given + owners * abi.VERSION_GAP_AFTER_CRASH > NUMBER_MAX) throw refuse("versions beyond 2^52");
  }

  /** Applies the records of a segment up to a log position, or all; returns where the first bad one begins. */
  segment(header: Header, bytes: Uint8Array, untilPosition: number): { end: number; bad: boolean } {
    const view = viewOf(bytes);
    this.#position = header.position;
    this.#chain = header.crc;
    this.#watermark = Math.max(header.syncedEnd, header.position);
    this.#borders = new Set([this.#position]);
    const byteEnd = Math.min(bytes.length, abi.SEGMENT_HEADER_BYTES + untilPosition - header.position);
    let at = abi.SEGMENT_HEADER_BYTES;
    while (at < byteEnd) {
      const end = this.#record(header, bytes, view, at, byteEnd);
      if (end === undefined) return { end: this.#position, bad: true };
      this.#position += end - at;
      this.#borders.add(this.#position);
      at = end;
    }
    return { end: this.#position, bad: false };
  }

  /** Applies one record if it continues the log; where it ends. */
  #record(header: Header, bytes: Uint8Array, view: DataView, at: number, byteEnd: number): number | undefined {
    if (at + abi.RECORD_HEADER_BYTES > byteEnd || !isHeaderSound(bytes, view, at, abi.RECORD_COMMIT)) return undefined;
    const end = at + view.getUint32(at + abi.RECORD_LENGTH_OFFSET, true);
    if (end > byteEnd) return undefined;
    if (integerAt(view, at + abi.RECORD_POSITION_OFFSET) !== this.#position) return undefined;
    if (view.getUint32(at + abi.RECORD_EPOCH_OFFSET, true) !== header.epoch) return undefined;
    if (view.getUint32(at + abi.RECORD_PREVIOUS_CRC_OFFSET, true) !== this.#chain) return undefined;
    const body = end - abi.RECORD_TRAILER_BYTES;
    const crc = view.getUint32(body, true);
    if (crc32c(bytes.subarray(at, body)) !== crc) return undefined;
    const isCommit = bytes[at + abi.RECORD_KIND_OFFSET] === abi.RECORD_COMMIT;
    const mode = bytes[at + abi.RECORD_MODE_OFFSET] as number;
    const version = integerAt(view, at + abi.RECORD_VERSION_OFFSET);
    const watermark = integerAt(view, at + abi.RECORD_WATERMARK_OFFSET);
    if (version > abi.VERSION_MAX || watermark > this.#position || (isCommit && mode > abi.MODE_STRICT))
      return undefined;
    if (isCommit ? version <= this.#version : version < this.#version) return undefined;
    const runEnd = at + abi.RECORD_HEADER_BYTES + view.getUint16(at + abi.RECORD_RUN_BYTES_OFFSET, true);
    const operations = operationsIn(bytes, runEnd, body, false);
    if (operations === undefined || operations.length > 0 !== isCommit) return undefined;
    if (operations.length !== view.getUint32(at + abi.RECORD_OPERATIONS_OFFSET, true)) return undefined;
    if (
      isCommit &&
      version > this.#restored &&
      !this.#apply(binaryText(bytes, at + abi.RECORD_HEADER_BYTES, runEnd), operations)
    ) {
      throw new Refused("segment", header.number, at, "a record says what cannot be");
    }
    this.#version = version;
    this.#chain = crc;
    this.#watermark = Math.max(this.#watermark, watermark);
    this.#lastIsClosed = !isCommit && mode === abi.WATERMARK_CLOSED && this.#watermark === this.#position;
    return end;
  }

  /** Applies a commit; false if it deletes what is not there. */
  #apply(run: string, operations: readonly Operation[]): boolean {
    this.#commits++;
    if (operations[0]?.kind === abi.OPERATION_DELETE_RUN) return this.#runs.delete(run);
    const entries = this.#runs.get(run) ?? new Map<string, [number, string, string]>();
    this.#runs.set(run, entries);
    for (const { kind, table, key, value } of operations) {
      const place = `${table}:${key}`;
      if (kind === abi.OPERATION_PUT) entries.set(place, [table, key, value]);
      else if (!entries.delete(place)) return false;
    }
    return true;
  }

  get chain(): number {
    return this.#chain;
  }

  /** What a bad record at the end of the last segment is; how many bytes are dropped. */
  tail(header: Header, bytes: Uint8Array, bad: boolean, ownerEpoch: number): number {
    const from = abi.SEGMENT_HEADER_BYTES + this.#position - header.position;
    const watermark = bad ? Math.max(this.#watermark, this.#watermarkBehind(header, bytes, from)) : this.#watermark;
    if (watermark > this.#position) throw new Refused("segment", header.number, from, "it had been synced beyond this");
    // An owner's versions begin above those of all owners since, of whom this log knows as many as there are epochs.
    const owners = Math.max(ownerEpoch, header.epoch + 1) - header.epoch - (!bad && this.#lastIsClosed ? 1 : 0);
    const highest =
      Math.max(this.#version, this.#given, header.firstVersion - 1) + owners * abi.VERSION_GAP_AFTER_CRASH;
    if (header.epoch === EPOCH_MAX) throw new Refused("segment", header.number, 0, "no epoch is left");
    if (highest > NUMBER_MAX) throw new Refused("segment", header.number, 0, "versions beyond 2^52");
    // What stands above it is written again, and begins with a whole record. A closed log has nothing to write again.
    if (!this.#borders.has(this.#watermark) && (bad || !this.#lastIsClosed)) {
      const inside = abi.SEGMENT_HEADER_BYTES + this.#watermark - header.position;
      throw new Refused("segment", header.number, inside, "what had been synced ends inside a record");
    }
    return bad ? bytes.length - from : 0;
  }

  /** The highest watermark of whole record headers anywhere behind. */
  #watermarkBehind(header: Header, bytes: Uint8Array, from: number): number {
    const view = viewOf(bytes);
    let highest = 0;
    for (let at = from; at + abi.RECORD_HEADER_BYTES <= bytes.length; at++) {
      if (view.getUint32(at + abi.RECORD_EPOCH_OFFSET, true) !== header.epoch) continue;
      const position = this.#position + at - from;
      if (integerAt(view, at + abi.RECORD_POSITION_OFFSET) !== position) continue;
      const watermark = integerAt(view, at + abi.RECORD_WATERMARK_OFFSET);
      if (watermark <= position && isHeaderSound(bytes, view, at, abi.RECORD_COMMIT))
        highest = Math.max(highest, watermark);
    }
    return highest;
  }

  /** What is left where nothing was refused. */
  verdict(droppedBytes: number, bad: boolean): Verdict {
    const runs = this.#runs;
    let state: string | undefined;
    return {
      kind: "good",
      // Written out for who compares it: it may be many times the log.
      get state() {
        state ??= stateOf(runs);
        return state;
      },
      commits: this.#commits,
      droppedBytes,
      closed: !bad && this.#lastIsClosed,
    };
  }
}

function stateOf(runs: ReadonlyMap<string, ReadonlyMap<string, readonly [number, string, string]>>): string {
  const lines: string[] = [];
  for (const [run, entries] of runs) {
    for (const [table, key, value] of entries.values()) lines.push(stateLine(run, table, key, value));
  }
  return lines.sort().join("\n");
}

function judge({ segments, checkpoints }: DatabaseFiles, ownerEpoch: number): Verdict {
  const [newest] = [...checkpoints].sort(([a], [b]) => b - a);
  const all = [...segments].filter(([number]) => number >= (newest?.[0] ?? 0)).sort(([a], [b]) => a - b);
  const headers = all.map(([number, bytes]) => headerOf(number, bytes));
  const reader = new PlainReader();
  const checkpoint = newest === undefined ? undefined : checkpointHeaderOf(newest[0], newest[1]);
  if (newest !== undefined && checkpoint !== undefined) reader.checkpoint(checkpoint, newest[1], newest[0]);
  for (const [i, header] of headers.entries()) {
    if (i === 0) checkFirst(checkpoint, header);
    else checkFollows(headers[i - 1] as Header, header);
  }
  if (headers.length === 0 && checkpoint !== undefined) {
    if (!checkpoint.isExport) throw new Refused("segment", checkpoint.number, 0, "missing");
    reader.alone(checkpoint, ownerEpoch);
  }
  for (const [i, header] of headers.entries()) {
    const bytes = (all[i] as [number, Uint8Array])[1];
    const next = headers[i + 1];
    const { end, bad } = reader.segment(header, bytes, next?.predecessorEnd ?? Number.POSITIVE_INFINITY);
    if (next === undefined) return reader.verdict(reader.tail(header, bytes, bad, ownerEpoch), bad);
    if (end !== next.predecessorEnd || reader.chain !== next.predecessorCrc) {
      const offset = abi.SEGMENT_HEADER_BYTES + end - header.position;
      throw new Refused("segment", header.number, offset, "it was closed beyond this");
    }
  }
  return reader.verdict(0, false);
}

function verdictOf(judged: () => Verdict): Verdict {
  try {
    return judged();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    const { code, file, number, offset, why } = error;
    return { kind: "refused", code, file, number, offset, why };
  }
}

/** What must come of opening a database for writing, as the owner of an epoch. */
export function judgeLog(files: DatabaseFiles, ownerEpoch: number): Verdict {
  return verdictOf(() => judge(files, ownerEpoch));
}

/** What must come of importing a stream. */
export function judgeExport(bytes: Uint8Array): Verdict {
  return verdictOf(() => {
    const reader = new PlainReader();
    const header = checkpointHeaderOf(undefined, bytes);
    const refuse = (why: string): Refused => new Refused("checkpoint", 0, 0, why);
    if (!header.isExport) throw refuse("a checkpoint of a log");
    if (Math.max(header.given, header.commits) > NUMBER_MAX / 2) throw refuse("too few numbers are left");
    reader.checkpoint(header, bytes, 0);
    return reader.verdict(0, false);
  });
}
