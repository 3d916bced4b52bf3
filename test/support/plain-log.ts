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

/** What must come of opening a log. */
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
      readonly segment: number;
      /** Where the segment's bytes stop being good; 0 for its header. */
      readonly offset: number;
      readonly why: string;
    };

/** Thrown inside, and caught where a log's verdict is made. */
class Refused extends Error {
  readonly code: "CORRUPTION" | "UNSUPPORTED";
  readonly segment: number;
  readonly offset: number;

  constructor(segment: number, offset: number, why: string, code: "CORRUPTION" | "UNSUPPORTED" = "CORRUPTION") {
    super(why);
    this.segment = segment;
    this.offset = offset;
    this.code = code;
  }
}

const NUMBER_MAX = 2 ** 52;
const EPOCH_MAX = 2 ** 32 - 1;

interface Header {
  readonly number: number;
  readonly database: string;
  readonly epoch: number;
  readonly position: number;
  readonly firstVersion: number;
  readonly syncedEnd: number;
  readonly predecessor: number;
  readonly predecessorEnd: number;
  readonly predecessorCrc: number;
  readonly crc: number;
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

function headerOf(number: number, bytes: Uint8Array): Header {
  if (bytes.length < abi.SEGMENT_HEADER_BYTES) throw new Refused(number, 0, "it ends inside its header");
  const view = viewOf(bytes);
  if (view.getBigUint64(abi.SEGMENT_MAGIC_OFFSET, true) !== abi.SEGMENT_MAGIC) throw new Refused(number, 0, "magic");
  const crc = view.getUint32(abi.SEGMENT_CRC_OFFSET, true);
  if (crc32c(bytes.subarray(0, abi.SEGMENT_CRC_OFFSET)) !== crc) throw new Refused(number, 0, "header checksum");
  if (view.getUint32(abi.SEGMENT_FORMAT_OFFSET, true) !== abi.FORMAT_VERSION) {
    throw new Refused(number, 0, "format", "UNSUPPORTED");
  }
  const integer = (offset: number): number => {
    const value = integerAt(view, offset);
    if (value > NUMBER_MAX) throw new Refused(number, 0, "a number beyond 2^52");
    return value;
  };
  if (integer(abi.SEGMENT_NUMBER_OFFSET) !== number) throw new Refused(number, 0, "number");
  return {
    number,
    database: binaryText(bytes, abi.SEGMENT_DATABASE_OFFSET, abi.SEGMENT_NUMBER_OFFSET),
    epoch: view.getUint32(abi.SEGMENT_EPOCH_OFFSET, true),
    position: integer(abi.SEGMENT_POSITION_OFFSET),
    firstVersion: integer(abi.SEGMENT_FIRST_VERSION_OFFSET),
    syncedEnd: integer(abi.SEGMENT_SYNCED_END_OFFSET),
    predecessor: integer(abi.SEGMENT_PREDECESSOR_OFFSET),
    predecessorEnd: integer(abi.SEGMENT_PREDECESSOR_END_OFFSET),
    predecessorCrc: view.getUint32(abi.SEGMENT_PREDECESSOR_CRC_OFFSET, true),
    crc,
  };
}

function checkFollows(before: Header | undefined, header: Header): void {
  const faulty = (why: string): Refused => new Refused(header.number, 0, why);
  if (header.predecessor !== (before?.number ?? 0)) throw faulty("predecessor");
  if (before === undefined) return;
  if (header.database !== before.database) throw faulty("database");
  if (header.epoch < before.epoch) throw faulty("epoch");
  if (header.position !== header.predecessorEnd || header.position < before.position) throw faulty("position");
}

/** Whether a record's header is whole and possible by itself. */
function isHeaderSound(bytes: Uint8Array, view: DataView, at: number): boolean {
  if (at + abi.RECORD_HEADER_BYTES > bytes.length) return false;
  const length = view.getUint32(at + abi.RECORD_LENGTH_OFFSET, true);
  const kind = bytes[at + abi.RECORD_KIND_OFFSET];
  const runBytes = view.getUint16(at + abi.RECORD_RUN_BYTES_OFFSET, true);
  const least = abi.RECORD_HEADER_BYTES + runBytes + abi.RECORD_TRAILER_BYTES;
  if (length > abi.RECORD_BYTES_MAX || length < least) return false;
  if (kind === abi.RECORD_COMMIT ? runBytes === 0 || runBytes > abi.RUN_ID_BYTES_MAX : kind !== abi.RECORD_WATERMARK) {
    return false;
  }
  if (kind === abi.RECORD_WATERMARK && (runBytes !== 0 || length !== least)) return false;
  const covered = bytes.subarray(at + abi.RECORD_LENGTH_OFFSET, at + abi.RECORD_HEADER_BYTES);
  return view.getUint32(at + abi.RECORD_HEADER_CRC_OFFSET, true) === crc32c(covered);
}

interface Operation {
  readonly kind: number;
  readonly table: number;
  readonly key: string;
  readonly value: string;
}

/** The operations that fill [at, end) exactly, or `undefined` if any of them says what a record cannot. */
function operationsIn(bytes: Uint8Array, view: DataView, start: number, end: number): Operation[] | undefined {
  const operations: Operation[] = [];
  let at = start;
  while (at < end) {
    if (end - at < abi.OPERATION_HEADER_BYTES) return undefined;
    const kind = bytes[at + abi.OPERATION_KIND_OFFSET] as number;
    const table = bytes[at + abi.OPERATION_TABLE_OFFSET] as number;
    const keyBytes = view.getUint16(at + abi.OPERATION_KEY_BYTES_OFFSET, true);
    const valueBytes = view.getUint32(at + abi.OPERATION_VALUE_BYTES_OFFSET, true);
    const key = at + abi.OPERATION_HEADER_BYTES;
    if (kind === abi.OPERATION_DELETE_RUN) {
      const alone = at === start && key === end && table === 0 && keyBytes === 0 && valueBytes === 0;
      return alone ? [{ kind, table, key: "", value: "" }] : undefined;
    }
    if (kind !== abi.OPERATION_PUT && (kind !== abi.OPERATION_DELETE || valueBytes !== 0)) return undefined;
    if (keyBytes === 0 || keyBytes > abi.KEY_BYTES_MAX || valueBytes > abi.VALUE_BYTES_MAX) return undefined;
    if (table >= abi.TABLE_COUNT || key + keyBytes + valueBytes > end) return undefined;
    const value = key + keyBytes;
    operations.push({
      kind,
      table,
      key: binaryText(bytes, key, value),
      value: binaryText(bytes, value, value + valueBytes),
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
  #version = 0;
  #position = 0;
  #chain = 0;
  #watermark = 0;
  #lastIsClosed = false;
  /** Where the records of the segment begin, and where the last one ends. */
  #borders = new Set<number>();

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
    if (at + abi.RECORD_HEADER_BYTES > byteEnd || !isHeaderSound(bytes, view, at)) return undefined;
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
    const operations = operationsIn(bytes, view, runEnd, body);
    if (operations === undefined || operations.length > 0 !== isCommit) return undefined;
    if (operations.length !== view.getUint32(at + abi.RECORD_OPERATIONS_OFFSET, true)) return undefined;
    if (isCommit && !this.#apply(binaryText(bytes, at + abi.RECORD_HEADER_BYTES, runEnd), operations)) {
      throw new Refused(header.number, at, "a record says what cannot be");
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
    if (watermark > this.#position) throw new Refused(header.number, from, "it had been synced beyond this");
    // An owner's versions begin above those of all owners since, of whom this log knows as many as there are epochs.
    const owners = Math.max(ownerEpoch, header.epoch + 1) - header.epoch - (!bad && this.#lastIsClosed ? 1 : 0);
    const highest = Math.max(this.#version, header.firstVersion - 1) + owners * abi.VERSION_GAP_AFTER_CRASH;
    if (header.epoch === EPOCH_MAX) throw new Refused(header.number, 0, "no epoch is left");
    if (highest > NUMBER_MAX) throw new Refused(header.number, 0, "versions beyond 2^52");
    // What stands above it is written again, and begins with a whole record. A closed log has nothing to write again.
    if (!this.#borders.has(this.#watermark) && (bad || !this.#lastIsClosed)) {
      const inside = abi.SEGMENT_HEADER_BYTES + this.#watermark - header.position;
      throw new Refused(header.number, inside, "what had been synced ends inside a record");
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
      if (watermark <= position && isHeaderSound(bytes, view, at)) highest = Math.max(highest, watermark);
    }
    return highest;
  }

  /** What is left where nothing was refused. */
  verdict(droppedBytes: number, bad: boolean): Verdict {
    const lines: string[] = [];
    for (const [run, entries] of this.#runs) {
      for (const [table, key, value] of entries.values()) lines.push(stateLine(run, table, key, value));
    }
    const state = lines.sort().join("\n");
    return { kind: "good", state, commits: this.#commits, droppedBytes, closed: !bad && this.#lastIsClosed };
  }
}

function judge(segments: Segments, ownerEpoch: number): Verdict {
  const all = [...segments].sort(([a], [b]) => a - b);
  const headers = all.map(([number, bytes]) => headerOf(number, bytes));
  for (const [i, header] of headers.entries()) checkFollows(headers[i - 1], header);
  const reader = new PlainReader();
  for (const [i, header] of headers.entries()) {
    const bytes = (all[i] as [number, Uint8Array])[1];
    const next = headers[i + 1];
    const { end, bad } = reader.segment(header, bytes, next?.predecessorEnd ?? Number.POSITIVE_INFINITY);
    if (next === undefined) return reader.verdict(reader.tail(header, bytes, bad, ownerEpoch), bad);
    if (end !== next.predecessorEnd || reader.chain !== next.predecessorCrc) {
      throw new Refused(header.number, abi.SEGMENT_HEADER_BYTES + end - header.position, "it was closed beyond this");
    }
  }
  return reader.verdict(0, false);
}

/** What must come of opening a log for writing, as the owner of an epoch. */
export function judgeLog(segments: Segments, ownerEpoch: number): Verdict {
  try {
    return judge(segments, ownerEpoch);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    const { code, segment, offset, message } = error;
    return { kind: "refused", code, segment, offset, why: message };
  }
}
