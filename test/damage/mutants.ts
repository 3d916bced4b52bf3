/**
 * Logs that were changed by somebody who knows the format: any field of a header, a record or an operation; records and
 * segments dropped, doubled, moved, taken from another database; bytes behind the end. What the change has broken is
 * repaired as far as chance says: nothing, checksums, the chain behind, or positions and epochs too.
 *
 * A mutant is made from a seed and its number alone, so that either replays it.
 */
import * as abi from "../../src/host/abi.js";
import { crc32c } from "../support/log-oracle.js";
import type { DatabaseFiles, FileKind } from "../support/plain-log.js";

/** A changed log, and how it came about. */
export interface Mutant {
  readonly files: DatabaseFiles;
  readonly story: readonly string[];
}

const RECORD_BYTES_MIN = abi.RECORD_HEADER_BYTES + abi.RECORD_TRAILER_BYTES;

/** How much of what a change has broken is made right again. Each includes the one before. */
const REPAIRS = ["nothing", "checksums", "chain", "places"] as const;
type Repair = (typeof REPAIRS)[number];

/** One segment or checkpoint, taken apart. */
interface Part {
  readonly kind: FileKind;
  number: number;
  header: Uint8Array;
  records: Uint8Array[];
  tail: Uint8Array;
  /** How many of its records its successor counts as there. */
  kept: number;
}

/** A field that keeps what it was set to, whatever is repaired around it. */
interface Pin {
  readonly bytes: Uint8Array;
  set(view: DataView): void;
}

/** A field: where it stands, and how many bytes it has. */
type Field = readonly [name: string, offset: number, bytes: 1 | 2 | 4 | 8];

const HEADER_FIELDS: readonly Field[] = [
  ["magic", abi.SEGMENT_MAGIC_OFFSET, 8],
  ["format", abi.SEGMENT_FORMAT_OFFSET, 4],
  ["database", abi.SEGMENT_DATABASE_OFFSET, 8],
  ["number", abi.SEGMENT_NUMBER_OFFSET, 8],
  ["epoch", abi.SEGMENT_EPOCH_OFFSET, 4],
  ["position", abi.SEGMENT_POSITION_OFFSET, 8],
  ["first version", abi.SEGMENT_FIRST_VERSION_OFFSET, 8],
  ["synced end", abi.SEGMENT_SYNCED_END_OFFSET, 8],
  ["predecessor", abi.SEGMENT_PREDECESSOR_OFFSET, 8],
  ["predecessor's end", abi.SEGMENT_PREDECESSOR_END_OFFSET, 8],
  ["predecessor's checksum", abi.SEGMENT_PREDECESSOR_CRC_OFFSET, 4],
  ["header bytes", abi.SEGMENT_HEADER_BYTES_OFFSET, 4],
  ["flags", abi.SEGMENT_FLAGS_OFFSET, 4],
  ["reserved", abi.SEGMENT_RESERVED_OFFSET, 8],
];

const CHECKPOINT_FIELDS: readonly Field[] = [
  ...HEADER_FIELDS.slice(0, 6),
  ["flags", abi.SEGMENT_FLAGS_OFFSET, 4],
  ["version", abi.CHECKPOINT_VERSION_OFFSET, 8],
  ["given", abi.CHECKPOINT_GIVEN_OFFSET, 8],
  ["commits", abi.CHECKPOINT_COMMITS_OFFSET, 8],
  ["written", abi.CHECKPOINT_WRITTEN_OFFSET, 8],
  ["chain", abi.CHECKPOINT_CHAIN_OFFSET, 4],
  ["header bytes", abi.SEGMENT_HEADER_BYTES_OFFSET, 4],
  ["reserved", abi.SEGMENT_RESERVED_OFFSET, 8],
];

const RECORD_FIELDS: readonly Field[] = [
  ["length", abi.RECORD_LENGTH_OFFSET, 4],
  ["version", abi.RECORD_VERSION_OFFSET, 8],
  ["position", abi.RECORD_POSITION_OFFSET, 8],
  ["watermark", abi.RECORD_WATERMARK_OFFSET, 8],
  ["epoch", abi.RECORD_EPOCH_OFFSET, 4],
  ["previous checksum", abi.RECORD_PREVIOUS_CRC_OFFSET, 4],
  ["kind", abi.RECORD_KIND_OFFSET, 1],
  ["mode", abi.RECORD_MODE_OFFSET, 1],
  ["run bytes", abi.RECORD_RUN_BYTES_OFFSET, 2],
  ["operations", abi.RECORD_OPERATIONS_OFFSET, 4],
];

const OPERATION_FIELDS: readonly Field[] = [
  ["kind", abi.OPERATION_KIND_OFFSET, 1],
  ["table", abi.OPERATION_TABLE_OFFSET, 1],
  ["key bytes", abi.OPERATION_KEY_BYTES_OFFSET, 2],
  ["value bytes", abi.OPERATION_VALUE_BYTES_OFFSET, 4],
];

/** Numbers at the edges of what a field of so many bytes can be, and of what it may be. */
const EDGES: Readonly<Record<number, readonly bigint[]>> = {
  1: [0n, 1n, 2n, 3n, 4n, 8n, 15n, 16n, 255n],
  2: [0n, 1n, 256n, 257n, 1024n, 1025n, 0x7fffn, 0xffffn],
  4: [0n, 1n, 47n, 51n, 52n, 53n, 1n << 24n, (1n << 24n) + 1n, BigInt(abi.RECORD_BYTES_MAX) - 1n].concat([
    BigInt(abi.RECORD_BYTES_MAX),
    BigInt(abi.RECORD_BYTES_MAX) + 1n,
    1n << 31n,
    (1n << 32n) - 1n,
  ]),
  8: [
    0n,
    1n,
    1n << 31n,
    1n << 32n,
    BigInt(abi.VERSION_MAX) - 1n,
    BigInt(abi.VERSION_MAX),
    BigInt(abi.VERSION_MAX) + 1n,
  ].concat([1n << 53n, 1n << 63n, (1n << 64n) - 1n]),
};

/** Numbers from a seed. */
class Random {
  #state: number;

  constructor(seed: number, number: number) {
    this.#state = (Math.imul(seed, 0x9e3779b1) ^ Math.imul(number + 1, 0x85ebca6b)) >>> 0;
  }

  /** A whole number from 0 up to and without `end`. */
  below(end: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * end);
  }

  of<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256));
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function u64(bytes: Uint8Array, offset: number): bigint {
  return viewOf(bytes).getBigUint64(offset, true);
}

function readField(bytes: Uint8Array, offset: number, size: number): bigint {
  const view = viewOf(bytes);
  if (size === 8) return view.getBigUint64(offset, true);
  return BigInt(
    size === 4 ? view.getUint32(offset, true) : size === 2 ? view.getUint16(offset, true) : view.getUint8(offset),
  );
}

function writeField(view: DataView, offset: number, size: number, value: bigint): void {
  if (size === 8) view.setBigUint64(offset, value, true);
  else if (size === 4) view.setUint32(offset, Number(value), true);
  else if (size === 2) view.setUint16(offset, Number(value), true);
  else view.setUint8(offset, Number(value));
}

function partOf(kind: FileKind, number: number, bytes: Uint8Array): Part {
  const records: Uint8Array[] = [];
  let at = abi.SEGMENT_HEADER_BYTES;
  while (at + abi.RECORD_HEADER_BYTES <= bytes.length) {
    const end = at + viewOf(bytes).getUint32(at + abi.RECORD_LENGTH_OFFSET, true);
    records.push(bytes.slice(at, end));
    at = end;
  }
  const header = bytes.slice(0, abi.SEGMENT_HEADER_BYTES);
  return { kind, number, header, records, tail: new Uint8Array(0), kept: records.length };
}

/** Checkpoints first, then the segments in order. */
function partsOf({ segments, checkpoints }: DatabaseFiles): Part[] {
  const logParts = [...segments].map(([number, bytes]) => partOf("segment", number, bytes));
  for (const [i, part] of logParts.entries()) {
    const next = logParts[i + 1];
    if (next === undefined) continue;
    const end = u64(next.header, abi.SEGMENT_PREDECESSOR_END_OFFSET);
    part.kept = part.records.filter((record) => u64(record, abi.RECORD_POSITION_OFFSET) < end).length;
  }
  return [...[...checkpoints].map(([number, bytes]) => partOf("checkpoint", number, bytes)), ...logParts];
}

/** Where the operations of a whole record begin. */
function operationsOf(record: Uint8Array): number[] {
  const view = viewOf(record);
  const starts: number[] = [];
  let at = abi.RECORD_HEADER_BYTES + view.getUint16(abi.RECORD_RUN_BYTES_OFFSET, true);
  while (at + abi.OPERATION_HEADER_BYTES <= record.length - abi.RECORD_TRAILER_BYTES) {
    starts.push(at);
    const keyBytes = view.getUint16(at + abi.OPERATION_KEY_BYTES_OFFSET, true);
    const valueBytes = view.getUint32(at + abi.OPERATION_VALUE_BYTES_OFFSET, true);
    const isHeld = record[at + abi.OPERATION_KIND_OFFSET] === abi.OPERATION_HELD;
    at += abi.OPERATION_HEADER_BYTES + (isHeld ? abi.OPERATION_VERSION_BYTES : 0) + keyBytes + valueBytes;
  }
  return starts;
}

/** Where a segment goes on from: the one before it, or what stood there before a checkpoint. */
interface Before {
  readonly number: number;
  readonly position: bigint;
  readonly chain: number;
}

const NOTHING_BEFORE: Before = { number: 0, position: 0n, chain: 0 };

function beforeFirst(parts: readonly Part[]): Before {
  const header = parts.find(({ kind }) => kind === "segment")?.header;
  if (header === undefined) return NOTHING_BEFORE;
  return {
    number: Number(u64(header, abi.SEGMENT_PREDECESSOR_OFFSET)),
    position: u64(header, abi.SEGMENT_POSITION_OFFSET),
    chain: viewOf(header).getUint32(abi.SEGMENT_PREDECESSOR_CRC_OFFSET, true),
  };
}

/** A log while it is changed. */
class Workpiece {
  readonly random: Random;
  readonly parts: Part[];
  /** Another log, whose segments and records are of another database or another time. */
  readonly others: Part[];
  readonly story: string[] = [];
  readonly #pins: Pin[] = [];
  readonly #beforeFirst: Before;

  constructor(random: Random, parts: Part[], others: Part[]) {
    this.random = random;
    this.parts = parts;
    this.#beforeFirst = beforeFirst(parts);
    this.others = others;
  }

  tell(what: string): void {
    this.story.push(what);
  }

  /** Sets a field for good. */
  pin(bytes: Uint8Array, offset: number, size: number, value: bigint): void {
    this.#pins.push({ bytes, set: (view) => writeField(view, offset, size, value) });
  }

  /** A value that a field might be set to by somebody who means harm, or by chance. */
  value(current: bigint, size: number): bigint {
    const near = [current + 1n, current - 1n, current + 8n, current ^ (1n << BigInt(this.random.below(size * 8)))];
    const chosen = this.random.below(2) === 0 ? this.random.of(near) : this.random.of(EDGES[size] ?? []);
    return BigInt.asUintN(size * 8, chosen);
  }

  setField(what: string, bytes: Uint8Array, [name, offset, size]: Field): void {
    const current = readField(bytes, offset, size);
    const value = this.value(current, size);
    this.pin(bytes, offset, size, value);
    this.tell(`${what}: ${name} ${current} → ${value}`);
  }

  #settle(bytes: Uint8Array): void {
    const view = viewOf(bytes);
    for (const pin of this.#pins) if (pin.bytes === bytes) pin.set(view);
  }

  /** Puts the files together again, with what is broken repaired as far as `repair` says. */
  assemble(repair: Repair): { segments: Map<number, Uint8Array>; checkpoints: Map<number, Uint8Array> } {
    const level = REPAIRS.indexOf(repair);
    const files = { segments: new Map<number, Uint8Array>(), checkpoints: new Map<number, Uint8Array>() };
    let before = this.#beforeFirst;
    for (const part of this.parts) {
      this.#settleHeader(part, level, before);
      const end = this.#settleRecords(part, level);
      if (part.kind === "segment") before = end;
      const kept = part.kind === "segment" ? files.segments : files.checkpoints;
      kept.set(part.number, joined([part.header, ...part.records, part.tail]));
    }
    return files;
  }

  #settleHeader({ kind, number, header }: Part, level: number, before: Before): void {
    if (header.length < abi.SEGMENT_HEADER_BYTES) return;
    const view = viewOf(header);
    if (level >= 3) view.setBigUint64(abi.SEGMENT_NUMBER_OFFSET, BigInt(number), true);
    if (level >= 3 && kind === "segment") {
      view.setBigUint64(abi.SEGMENT_PREDECESSOR_OFFSET, BigInt(before.number), true);
      view.setBigUint64(abi.SEGMENT_POSITION_OFFSET, before.position, true);
      view.setBigUint64(abi.SEGMENT_PREDECESSOR_END_OFFSET, before.position, true);
    }
    if (level >= 2 && kind === "segment") view.setUint32(abi.SEGMENT_PREDECESSOR_CRC_OFFSET, before.chain, true);
    this.#settle(header);
    if (level >= 1) view.setUint32(abi.SEGMENT_CRC_OFFSET, crc32c(header.subarray(0, abi.SEGMENT_CRC_OFFSET)), true);
  }

  /** Seals the records of a file; where a successor begins. */
  #settleRecords(part: Part, level: number): Before {
    const hasHeader = part.header.length >= abi.SEGMENT_HEADER_BYTES;
    const header = hasHeader ? part.header : new Uint8Array(abi.SEGMENT_HEADER_BYTES);
    const epoch = viewOf(header).getUint32(abi.SEGMENT_EPOCH_OFFSET, true);
    let position = part.kind === "segment" ? u64(header, abi.SEGMENT_POSITION_OFFSET) : 0n;
    let chain = viewOf(header).getUint32(abi.SEGMENT_CRC_OFFSET, true);
    let end: Before = { number: part.number, position, chain };
    for (const [i, record] of part.records.entries()) {
      if (record.length < RECORD_BYTES_MIN) continue;
      const view = viewOf(record);
      if (level >= 3) {
        view.setUint32(abi.RECORD_LENGTH_OFFSET, record.length, true);
        view.setBigUint64(abi.RECORD_POSITION_OFFSET, position, true);
        view.setUint32(abi.RECORD_EPOCH_OFFSET, epoch, true);
        const isBeyond = u64(record, abi.RECORD_WATERMARK_OFFSET) > position;
        if (isBeyond) view.setBigUint64(abi.RECORD_WATERMARK_OFFSET, position, true);
      }
      if (level >= 2) view.setUint32(abi.RECORD_PREVIOUS_CRC_OFFSET, chain, true);
      this.#settle(record);
      if (level >= 1) sealRecord(record);
      chain = view.getUint32(record.length - abi.RECORD_TRAILER_BYTES, true);
      position = BigInt.asUintN(64, position + BigInt(record.length));
      if (i < part.kept) end = { number: part.number, position, chain };
    }
    return end;
  }
}

function sealRecord(record: Uint8Array): void {
  const view = viewOf(record);
  const covered = record.subarray(abi.RECORD_LENGTH_OFFSET, abi.RECORD_HEADER_BYTES);
  view.setUint32(abi.RECORD_HEADER_CRC_OFFSET, crc32c(covered), true);
  const end = record.length - abi.RECORD_TRAILER_BYTES;
  view.setUint32(end, crc32c(record.subarray(0, end)), true);
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(pieces));
}

function nameOf({ kind, number }: Part): string {
  return `${kind} ${number}`;
}

/** A part, and a place among its records. */
function somewhere({
  parts,
  random,
}: Workpiece): { part: Part; index: number; record: Uint8Array; what: string } | undefined {
  const part = random.of(parts);
  if (part.records.length === 0) return undefined;
  const index = random.below(part.records.length);
  // What was cut down to less than a record has no fields any more.
  if ((part.records[index] as Uint8Array).length < RECORD_BYTES_MIN) return undefined;
  return { part, index, record: part.records[index] as Uint8Array, what: `${nameOf(part)} record ${index}` };
}

type Mutation = (work: Workpiece) => void;

function changeHeader(work: Workpiece): void {
  const part = work.random.of(work.parts);
  if (part.header.length === abi.SEGMENT_HEADER_BYTES) {
    const fields = part.kind === "segment" ? HEADER_FIELDS : CHECKPOINT_FIELDS;
    work.setField(nameOf(part), part.header, work.random.of(fields));
  }
}

function changeRecord(work: Workpiece): void {
  const at = somewhere(work);
  if (at !== undefined) work.setField(at.what, at.record, work.random.of(RECORD_FIELDS));
}

function changeOperation(work: Workpiece): void {
  const at = somewhere(work);
  const start = at === undefined ? undefined : work.random.of(operationsOf(at.record));
  if (at === undefined || start === undefined) return;
  const [name, offset, size] = work.random.of(OPERATION_FIELDS);
  work.setField(`${at.what} operation at ${start}`, at.record, [name, start + offset, size]);
}

/** Changes bytes of a run id, a key or a value. */
function changeBody(work: Workpiece): void {
  const at = somewhere(work);
  if (at === undefined || at.record.length <= RECORD_BYTES_MIN) return;
  const body = at.record.length - RECORD_BYTES_MIN;
  const offset = abi.RECORD_HEADER_BYTES + work.random.below(body);
  work.pin(at.record, offset, 1, BigInt(work.random.below(256)));
  work.tell(`${at.what}: byte ${offset} changed`);
}

/** Puts bytes into a record, or takes some out. */
function resize(work: Workpiece): void {
  const at = somewhere(work);
  if (at === undefined) return;
  const { random } = work;
  const offset = random.below(at.record.length);
  const count = 1 + random.below(16);
  const taken = random.below(2) === 0 ? count : 0;
  const put = taken === 0 ? random.bytes(count) : new Uint8Array(0);
  at.part.records[at.index] = joined([at.record.subarray(0, offset), put, at.record.subarray(offset + taken)]);
  work.tell(`${at.what}: at byte ${offset} ${taken} taken out, ${put.length} put in`);
}

function dropRecords(work: Workpiece): void {
  const at = somewhere(work);
  if (at === undefined) return;
  const count = 1 + work.random.below(3);
  at.part.records.splice(at.index, count);
  at.part.kept = Math.min(at.part.kept, at.part.records.length);
  work.tell(`${at.what} and ${count - 1} more dropped`);
}

function doubleRecord(work: Workpiece): void {
  const at = somewhere(work);
  if (at === undefined) return;
  const to = work.random.below(at.part.records.length + 1);
  at.part.records.splice(to, 0, at.record.slice());
  if (at.part.kept > to) at.part.kept++;
  work.tell(`${at.what} doubled at ${to}`);
}

function swapRecords(work: Workpiece): void {
  const at = somewhere(work);
  if (at === undefined) return;
  const other = work.random.below(at.part.records.length);
  at.part.records[at.index] = at.part.records[other] as Uint8Array;
  at.part.records[other] = at.record;
  work.tell(`${at.what} changed places with ${other}`);
}

/** Takes a record from elsewhere: with another version it may well fit. */
function spliceRecord(work: Workpiece): void {
  const at = somewhere(work);
  const { random } = work;
  const from = random.of([...work.others, ...work.parts]);
  if (at === undefined || from.records.length === 0) return;
  const record = random.of(from.records).slice();
  if (record.length < RECORD_BYTES_MIN) return;
  const replaces = random.below(2);
  at.part.records.splice(at.index, replaces, record);
  if (replaces === 0 && at.part.kept > at.index) at.part.kept++;
  const version = u64(at.record, abi.RECORD_VERSION_OFFSET) + BigInt(random.below(3)) - 1n;
  if (random.below(2) === 0) work.pin(record, abi.RECORD_VERSION_OFFSET, 8, BigInt.asUintN(64, version));
  work.tell(`${at.what}: ${replaces === 0 ? "before it" : "in its place"} one of ${nameOf(from)} of some log`);
}

/** Makes a commit of operations that may contradict one another and the state. */
function forgeCommit(work: Workpiece): void {
  const at = somewhere(work);
  if (at === undefined) return;
  const { random } = work;
  const model = random.of([at.record, ...at.part.records.filter((record) => record.length >= RECORD_BYTES_MIN)]);
  const runBytes = viewOf(model).getUint16(abi.RECORD_RUN_BYTES_OFFSET, true);
  if (runBytes === 0) return;
  const held = model[abi.RECORD_KIND_OFFSET] === abi.RECORD_RUN;
  const operations = Array.from({ length: 1 + random.below(4) }, () => forgedOperation(random, held));
  const head = model.slice(0, abi.RECORD_HEADER_BYTES + runBytes);
  const view = viewOf(head);
  view.setUint32(abi.RECORD_OPERATIONS_OFFSET, operations.length, true);
  view.setBigUint64(
    abi.RECORD_VERSION_OFFSET,
    u64(at.record, abi.RECORD_VERSION_OFFSET) + BigInt(random.below(2)),
    true,
  );
  const record = joined([head, ...operations, new Uint8Array(abi.RECORD_TRAILER_BYTES)]);
  viewOf(record).setUint32(abi.RECORD_LENGTH_OFFSET, record.length, true);
  at.part.records.splice(at.index + 1, 0, record);
  if (at.part.kept > at.index) at.part.kept++;
  work.tell(`${at.what}: behind it a forged commit of ${operations.length}`);
}

function forgedOperation(random: Random, held: boolean): Uint8Array {
  const keys = ["a", "b", "k0", "k1", "k2", "k3", "head\u0000", "of:x\u00001", "\u0000"];
  const key = Buffer.from(random.of(keys));
  const usual = held ? abi.OPERATION_HELD : abi.OPERATION_PUT;
  const kind = random.below(2) === 0 ? usual : random.of([1, 2, 3, 4]);
  const hasValue = kind === abi.OPERATION_PUT || kind === abi.OPERATION_HELD;
  const value = hasValue ? random.bytes(random.below(40)) : new Uint8Array(0);
  const head = new Uint8Array(abi.OPERATION_HEADER_BYTES);
  if (kind === abi.OPERATION_DELETE_RUN && random.below(4) > 0) return Uint8Array.of(kind, 0, 0, 0, 0, 0, 0, 0);
  viewOf(head).setUint8(abi.OPERATION_KIND_OFFSET, kind);
  viewOf(head).setUint8(abi.OPERATION_TABLE_OFFSET, random.below(3) === 0 ? random.below(abi.TABLE_COUNT) : 0);
  viewOf(head).setUint16(abi.OPERATION_KEY_BYTES_OFFSET, key.length, true);
  viewOf(head).setUint32(abi.OPERATION_VALUE_BYTES_OFFSET, value.length, true);
  const version = held ? Uint8Array.of(random.below(20), 0, 0, 0, 0, 0, 0, 0) : new Uint8Array(0);
  return joined([head, version, key, value]);
}

function changeSegments(work: Workpiece): void {
  work.tell(changedSegments(work));
}

/** Changes which segments there are; what was done. */
function changedSegments(work: Workpiece): string {
  const { parts, others, random } = work;
  const index = random.below(parts.length);
  const part = parts[index] as Part;
  const what = nameOf(part);
  switch (random.below(7)) {
    case 0:
      if (parts.length > 1) parts.splice(index, 1);
      return `${what} dropped`;
    case 1: {
      const other = random.of(parts.filter(({ kind }) => kind === part.kind));
      [part.number, other.number] = [other.number, part.number];
      parts.sort((a, b) => (a.kind === b.kind ? a.number - b.number : a.kind === "checkpoint" ? -1 : 1));
      return `${what} and ${other.number} changed places`;
    }
    case 2: {
      const other = random.of(others);
      parts[index] = { ...other, kind: part.kind, number: part.number };
      return `${what} replaced by ${nameOf(other)} of another log`;
    }
    case 3: {
      const gap = 1 + random.below(3);
      for (const later of parts.slice(index)) later.number += gap;
      return `${what} and those behind it numbered with a gap`;
    }
    case 4:
      parts[index] = { ...part, header: new Uint8Array(0), records: [], kept: 0 };
      return `${what} emptied`;
    case 5:
      parts[index] = { ...part, records: [], kept: 0 };
      return `${what} left with its header alone`;
    default: {
      const { records, header } = part;
      const number = Math.max(...parts.map((any) => any.number)) + 1;
      parts.push({
        kind: part.kind,
        number,
        header: header.slice(),
        records: records.map((record) => record.slice()),
        tail: part.tail,
        kept: 0,
      });
      return `${what} copied to number ${number}`;
    }
  }
}

/** Puts something behind a segment's end: noise, zeros, or what may look like a record. */
function plant(work: Workpiece): void {
  const { random, parts, others } = work;
  const part = random.of(parts);
  const length = 1 + random.below(200);
  const from = random.of([...parts, ...others]).records;
  const record = from.length === 0 ? random.bytes(length) : random.of(from).slice();
  const kinds = [
    random.bytes(length),
    new Uint8Array(length),
    record.subarray(0, length),
    joined([random.bytes(7), record]),
  ];
  part.tail = joined([part.tail, random.of(kinds)]);
  work.tell(`${nameOf(part)}: ${part.tail.length} bytes behind its end`);
}

/** Loses or mixes up bytes, as a disk does: a block of zeros, or of something else, or the end. */
function tear(files: Map<number, Uint8Array>, random: Random, story: string[]): void {
  const [number, whole] = random.of([...files]);
  if (whole.length === 0) return;
  const bytes = whole.slice();
  const start = random.below(bytes.length);
  const length = Math.min(random.of([1, 8, 48, 64, 512, 4096]), bytes.length - start);
  const how = random.below(4);
  if (how === 0) bytes.fill(0, start, start + length);
  else if (how === 1) bytes.set(random.bytes(length), start);
  else if (how === 2) bytes.copyWithin(start, random.below(bytes.length), random.below(bytes.length) + 1);
  files.set(number, how === 3 ? bytes.subarray(0, start) : bytes);
  story.push(`file ${number} torn at byte ${start}, ${length} bytes, way ${how}`);
}

const MUTATIONS: readonly Mutation[] = [
  changeHeader,
  changeHeader,
  changeRecord,
  changeRecord,
  changeRecord,
  changeOperation,
  changeOperation,
  changeBody,
  resize,
  dropRecords,
  doubleRecord,
  swapRecords,
  spliceRecord,
  forgeCommit,
  forgeCommit,
  changeSegments,
  plant,
];

/** The changed log of a number. */
export function mutant(logs: readonly (readonly [string, DatabaseFiles])[], seed: number, number: number): Mutant {
  const random = new Random(seed, number);
  const [name, files] = random.of(logs);
  const [, others] = random.of(logs);
  const work = new Workpiece(random, partsOf(files), partsOf(others));
  work.tell(name);
  for (let left = 1 + random.below(3); left > 0 && work.parts.length > 0; left--) random.of(MUTATIONS)(work);
  const repair = random.of(REPAIRS);
  work.tell(`repaired: ${repair}`);
  const changed = work.assemble(repair);
  const torn = random.of([changed.segments, changed.checkpoints].filter(({ size }) => size > 0));
  if (torn !== undefined && random.below(8) === 0) tear(torn, random, work.story);
  return { files: changed, story: work.story };
}
