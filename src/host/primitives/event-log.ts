/**
 * The event log: what happened in a run, in order, each event sealed with the hash of the one before it.
 *
 *   table 1   0000000000000042           → [bytes, previous hash, hash], bytes = [sequence, type, payload, timestamp]
 *   index     head U+0000                → [length, hash of the newest event]
 *             types U+0000 type          → null
 *             of:type U+0000 sequence    → null
 *
 * What it keeps true:
 *  - sequences run from 0 without gaps, because every append reads the head that it replaces;
 *  - hash = SHA-256(bytes ‖ previous hash); the previous hash of the first event is 32 zero bytes;
 *  - whoever reads an event by its sequence reads that event alone, and so never conflicts with an append.
 */
import { HoldfastError } from "../../errors.js";
import { describe, readOptions, refuseArgument, withPath } from "../arguments.js";
import type { Value } from "../codec.js";
import { checkName, DIGITS, fixedWidth, inGroup } from "../names.js";
import type { Reader, StepOptions, StepWriter, Writer } from "../reader-writer.js";
import { sha256 } from "../sha256.js";
import { decodeFromBytes, encodeToBytes, giveBack, type LentBytes, lendBytes } from "../value-bytes.js";

/** The table of a run that events are kept in: one entry each. */
const TABLE = 1;
const INDEX = TABLE + 8;

const HEAD = "head\u0000";
const TYPES = "types\u0000";

const HASH_BYTES = 32;
const GENESIS = new Uint8Array(HASH_BYTES);
/** The head of a CBOR array of four. */
const ARRAY_OF_4 = 0x84;
/** An array's head and the sequence 0, in whose place the real one is put. */
const PLACEHOLDER_BYTES = 2;
/** How many events an iteration reads at once. */
const CHUNK_EVENTS = 256;

/** One event of a log. */
export interface LogEvent {
  /** Its place in the log, from 0. */
  readonly sequence: number;
  readonly type: string;
  readonly payload: Value;
  /** When it was appended, in milliseconds since 1970 by the wall clock. */
  readonly timestamp: number;
  /** The hash of the event before it; 32 zero bytes for the first. */
  readonly previousHash: Uint8Array;
  /** SHA-256 over the event's exact stored bytes and {@link LogEvent.previousHash}. */
  readonly hash: Uint8Array;
}

/** A place in a log, and the hash that seals everything up to it. */
export interface LogPosition {
  readonly sequence: number;
  readonly hash: Uint8Array;
}

/** Which events of a type are read. */
export interface ReadByTypeOptions {
  /** From the newest to the oldest. */
  readonly reverse?: boolean | undefined;
  /** At most this many. */
  readonly limit?: number | undefined;
}

/** What {@link EventLogReader.verify} has found. */
export interface EventLogReport {
  readonly valid: boolean;
  /** How many events the log should have; where its head cannot be read, how many it has. */
  readonly length: number;
  /** The sequence of the first event that is not as it was appended, where the fault lies with one. */
  readonly firstInvalid?: number;
  /** What is wrong, for people. */
  readonly reason?: string;
}

/** The log's head as it is stored: how many events there are, and the hash of the last. */
interface Head {
  readonly length: number;
  readonly hash: Uint8Array;
}

/** An event as it is stored. */
interface Sealed {
  readonly bytes: Uint8Array;
  readonly previousHash: Uint8Array;
  readonly hash: Uint8Array;
}

/** Which events an iteration gives, fixed when it was asked for. */
interface Span {
  readonly start: number;
  readonly end: number;
  /** The hash of the event at `start`. */
  readonly anchor: Uint8Array;
}

/** The error for what no append has written. `details.reason` says what is wrong without advice. */
function damaged(what: string, details: Record<string, unknown> = {}): HoldfastError {
  const reason = `${what}: it was damaged, or written by something else.`;
  return new HoldfastError("CORRUPTION", `${reason} Run events.verify() to see how far the log holds.`, {
    details: { ...details, reason },
  });
}

function isHash(value: Value | undefined): value is Uint8Array {
  return value instanceof Uint8Array && value.length === HASH_BYTES;
}

function isSequence(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

function checkSequence(value: unknown, what: string): asserts value is number {
  if (isSequence(value)) return;
  throw refuseArgument(`${what} must be a whole number that is not negative, got ${describe(value)}.`);
}

function typeGroup(type: string): string {
  return `of:${inGroup(type)}\u0000`;
}

function readHead(reader: Reader): Head {
  const stored = reader.get(INDEX, HEAD);
  if (stored === undefined) return { length: 0, hash: GENESIS };
  if (!Array.isArray(stored) || stored.length !== 2) throw damaged("The head of the event log is none");
  const [length, hash] = stored as readonly Value[];
  if (!isSequence(length) || length === 0 || !isHash(hash)) throw damaged("The head of the event log is none");
  return { length, hash };
}

function sealedOf(stored: Value, sequence: number): Sealed {
  const [bytes, previousHash, hash] = Array.isArray(stored) && stored.length === 3 ? (stored as readonly Value[]) : [];
  if (bytes instanceof Uint8Array && isHash(previousHash) && isHash(hash)) return { bytes, previousHash, hash };
  throw damaged(`What is stored at sequence ${sequence} of the event log is no event`, { sequence });
}

/** An event from what is stored at its sequence. The hash is compared by `verify` alone. */
function eventOf(stored: Value, at: number): LogEvent {
  const { bytes, previousHash, hash } = sealedOf(stored, at);
  const fields = decodeFromBytes(bytes);
  if (Array.isArray(fields) && fields.length === 4) {
    const [sequence, type, payload, timestamp] = fields as readonly Value[];
    if (sequence === at && typeof type === "string" && payload !== undefined && typeof timestamp === "number") {
      return { sequence, type, payload, timestamp, previousHash, hash };
    }
  }
  throw damaged(`What is stored at sequence ${at} of the event log is not that event`, { sequence: at });
}

/** Events by their sequences, each of which must be there. */
function readAll(reader: Reader, sequences: readonly number[]): LogEvent[] {
  const stored = reader.getMany(TABLE, sequences.map(fixedWidth));
  return stored.map((value, index) => {
    const sequence = sequences[index] as number;
    if (value !== undefined) return eventOf(value, sequence);
    if (readHead(reader).length > sequence) throw damaged(`The event log has no event ${sequence}`, { sequence });
    throw begunAnew();
  });
}

function begunAnew(): HoldfastError {
  return new HoldfastError(
    "CONFLICT",
    "The event log was deleted, and perhaps begun anew, while a range of it was read. Call range again.",
  );
}

/** What `range` is to give; `undefined` for nothing. Reads no head where `end` is inside the log. */
function spanOf(reader: Reader, start: number, end: number | undefined): Span | undefined {
  if (end !== undefined && end <= start) return undefined;
  const inside = end !== undefined && reader.has(TABLE, fixedWidth(end - 1));
  const stop = inside ? end : Math.min(end ?? Number.MAX_SAFE_INTEGER, readHead(reader).length);
  if (stop <= start) return undefined;
  const stored = reader.get(TABLE, fixedWidth(start));
  if (stored === undefined) throw damaged(`The event log has no event ${start}`, { sequence: start });
  return { start, end: stop, anchor: sealedOf(stored, start).hash };
}

/** Events of one log: each chunk is of one instant, and goes on where the one before it ended. */
function* iterate(reader: Reader, { start, end, anchor }: Span): Generator<LogEvent, void, undefined> {
  let last: Uint8Array | undefined;
  for (let from = start; from < end; from += CHUNK_EVENTS) {
    const sequences = Array.from({ length: Math.min(CHUNK_EVENTS, end - from) }, (_, index) => from + index);
    const chunk = reader.view((view) => readAll(view, sequences));
    // A chunk has at least one event.
    const first = chunk[0] as LogEvent;
    const goesOn = last === undefined ? sameBytes(first.hash, anchor) : sameBytes(first.previousHash, last);
    if (!goesOn) throw begunAnew();
    // A copy: whoever walks may change or transfer what they are given.
    last = (chunk.at(-1) as LogEvent).hash.slice();
    yield* chunk;
  }
}

/** The first thing that is not as it should be. */
interface Fault {
  readonly reason: string;
  readonly firstInvalid?: number;
}

/** What `look` finds; damage that it stumbles over counts as a finding. */
function findFault(look: () => Fault | undefined, firstInvalid?: number): Fault | undefined {
  try {
    return look();
  } catch (error) {
    if (!HoldfastError.is(error, "CORRUPTION")) throw error;
    const reason = String(error.details["reason"] ?? error.message);
    return { reason, ...(firstInvalid === undefined ? {} : { firstInvalid }) };
  }
}

/** Walks a log from its first event on. */
class Verifier {
  readonly #reader: Reader;
  readonly #countByType = new Map<string, number>();
  #last: Uint8Array = GENESIS;

  constructor(reader: Reader) {
    this.#reader = reader;
  }

  report(): EventLogReport {
    let head: Head | undefined;
    const unreadable = findFault(() => {
      head = readHead(this.#reader);
      return undefined;
    });
    if (head === undefined) return { valid: false, length: this.#reader.count(TABLE, undefined), ...unreadable };
    const { length } = head;
    const fault = this.#walk(length) ?? this.#compareHead(head) ?? findFault(() => this.#compareTypes(length));
    return fault === undefined ? { valid: true, length } : { valid: false, length, ...fault };
  }

  #walk(length: number): Fault | undefined {
    for (let sequence = 0; sequence < length; sequence++) {
      const fault = findFault(() => this.#check(sequence), sequence);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }

  #check(sequence: number): Fault | undefined {
    const fault = (reason: string): Fault => ({ reason: `Event ${sequence} ${reason}.`, firstInvalid: sequence });
    const key = fixedWidth(sequence);
    const stored = this.#reader.get(TABLE, key);
    if (stored === undefined) return fault("is missing");
    const { type, previousHash, hash } = eventOf(stored, sequence);
    if (!sameBytes(previousHash, this.#last)) return fault("does not follow the event before it: previousHash differs");
    const { bytes } = sealedOf(stored, sequence);
    if (!sameBytes(hash, sha256(bytes, previousHash))) return fault("is not what its hash was made over");
    if (!this.#reader.has(INDEX, typeGroup(type) + key)) return fault("is missing in the index of its type");
    this.#last = hash;
    this.#countByType.set(type, (this.#countByType.get(type) ?? 0) + 1);
    return undefined;
  }

  #compareHead({ length, hash }: Head): Fault | undefined {
    if (!sameBytes(this.#last, hash)) {
      return { reason: "The head of the log has another hash than its last event.", firstInvalid: length - 1 };
    }
    const count = this.#reader.count(TABLE, undefined);
    if (count === length) return undefined;
    return { reason: `There are ${count} events, and the head of the log counts ${length}.`, firstInvalid: length };
  }

  /** Every event is in the index of its type; here, that nothing else is in it. */
  #compareTypes(length: number): Fault | undefined {
    const types = typesOf(this.#reader);
    if (types.length !== this.#countByType.size || types.some((type) => !this.#countByType.has(type))) {
      return { reason: "The list of types is not that of the events." };
    }
    for (const [type, count] of this.#countByType) {
      if (this.#reader.count(INDEX, typeGroup(type)) === count) continue;
      return { reason: `The index of the type ${describe(type)} has events that are not of it.` };
    }
    const expected = length === 0 ? 0 : 1 + types.length + length;
    if (this.#reader.count(INDEX, undefined) === expected) return undefined;
    return { reason: "The index has entries that belong to no event." };
  }
}

function typesOf(reader: Reader): string[] {
  return reader.keys(INDEX, { prefix: TYPES }).map((key) => key.slice(TYPES.length));
}

/** Events that can be read: of a snapshot. */
export class EventLogReader {
  readonly #reader: Reader;

  /** @internal */
  constructor(reader: Reader) {
    this.#reader = reader;
  }

  /** How many events there are, which is the sequence that the next one gets. */
  get length(): number {
    return readHead(this.#reader).length;
  }

  /** The newest event's sequence and hash, `undefined` while there is none. */
  head(): LogPosition | undefined {
    const { length, hash } = readHead(this.#reader);
    return length === 0 ? undefined : { sequence: length - 1, hash };
  }

  /**
   * The event at a sequence, `undefined` if there is none yet. Its hash is not computed again: that is what
   * {@link EventLogReader.verify} does.
   * @throws HoldfastError `INVALID_ARGUMENT`, `CORRUPTION`, `CLOSED`.
   */
  read(sequence: number): LogEvent | undefined {
    checkSequence(sequence, "sequence");
    const stored = this.#reader.get(TABLE, fixedWidth(sequence));
    return stored === undefined ? undefined : eventOf(stored, sequence);
  }

  /**
   * The events from `start` up to and without `end`, in order; without an `end`, all that there are now. What is appended
   * later is not among them. They are read in chunks while one iterates, as often as one likes.
   * @throws HoldfastError `INVALID_ARGUMENT`, `CORRUPTION`, `CLOSED`; while iterating also `CONFLICT`, if the run was
   *   deleted and its log begun anew.
   */
  range(start = 0, end?: number): Iterable<LogEvent> {
    checkSequence(start, "start");
    if (end !== undefined) checkSequence(end, "end");
    const reader = this.#reader;
    const span = reader.view((view) => spanOf(view, start, end));
    return { [Symbol.iterator]: () => (span === undefined ? [].values() : iterate(reader, span)) };
  }

  /**
   * The events of a type, in order.
   * @throws HoldfastError `INVALID_KEY`, `INVALID_ARGUMENT`, `CORRUPTION`, `CLOSED`.
   */
  readByType(type: string, options?: ReadByTypeOptions): LogEvent[] {
    checkName(type, "The type of an event");
    const bounds = readOptions<ReadByTypeOptions>(options, ["reverse", "limit"], "readByType");
    const prefix = typeGroup(type);
    return this.#reader.view((view) => {
      const sequences = view.keys(INDEX, { ...bounds, prefix }).map((key) => {
        const sequence = Number(key.slice(prefix.length));
        if (key.length === prefix.length + DIGITS && isSequence(sequence)) return sequence;
        throw damaged(`The index of the type ${describe(type)} has an entry that is none`);
      });
      return readAll(view, sequences);
    });
  }

  /** Every type that an event has, sorted by UTF-8 bytes. */
  types(): string[] {
    return typesOf(this.#reader);
  }

  /**
   * Reads every event and computes every hash again; compares the chain with the head of the log, with the number of
   * events that are stored, and with the index of types. Damage is reported, never thrown. Takes time in proportion to
   * the length. Somebody who can write the files can make a new chain: keep a {@link EventLogReader.head} elsewhere to
   * compare with.
   * @throws HoldfastError `CLOSED`, `TRANSACTION_CLOSED`.
   */
  verify(): EventLogReport {
    return this.#reader.view((view) => new Verifier(view).report());
  }
}

/**
 * Events of a run or a transaction: appended, never changed, never deleted.
 *
 * ```ts
 * const { sequence } = run.events.append("tool", { name: "grep", args: ["TODO"] });
 * run.events.read(sequence)?.payload; // { name: "grep", args: ["TODO"] }
 * for (const event of run.events.range(0)) console.log(event.sequence, event.type);
 * run.events.readByType("tool", { reverse: true, limit: 10 });
 * run.events.verify(); // { valid: true, length: 1 }
 * ```
 */
export class EventLog extends EventLogReader {
  readonly #writer: Writer;

  /** @internal */
  constructor(writer: Writer) {
    super(writer);
    this.#writer = writer;
  }

  /**
   * Appends an event; returns its sequence and hash. A type is 1 to 256 bytes of UTF-8; a payload is any value, of at
   * most 63 levels. An append that is rolled back leaves its sequence to the next one. The timestamp is that of the call.
   * @throws HoldfastError `INVALID_KEY`, `INVALID_VALUE`, `VALUE_TOO_LARGE`, `INVALID_ARGUMENT`, `CORRUPTION`, and what a
   *   transaction's commit does.
   */
  append(type: string, payload: Value, options?: StepOptions): LogPosition {
    checkName(type, "The type of an event");
    const stepOptions = options === undefined ? undefined : readOptions<StepOptions>(options, ["durability"], "append");
    const timestamp = this.#writer.nowMs();
    // Encoded before the head is read: encoding may run a Proxy's code, which may append itself.
    const draft = withPath("$[2]", () => lendBytes([0, type, payload, timestamp]));
    try {
      return this.#writer.step((writer) => appendTo(writer, type, draft), stepOptions);
    } finally {
      giveBack(draft);
    }
  }
}

/** The event's bytes: those of a draft, whose sequence is 0, with the real one before its other fields. Over them at the next call. */
function numbered({ bytes, valueOffset, byteLength }: LentBytes, sequence: number): Uint8Array {
  const number = encodeToBytes(sequence);
  const start = valueOffset + PLACEHOLDER_BYTES - number.length - 1;
  bytes[start] = ARRAY_OF_4;
  bytes.set(number, start + 1);
  return bytes.subarray(start, valueOffset + byteLength);
}

/** May run again where others were faster. */
function appendTo(writer: StepWriter, type: string, draft: LentBytes): LogPosition {
  const { length: sequence, hash: previousHash } = readHead(writer);
  const bytes = numbered(draft, sequence);
  const hash = sha256(bytes, previousHash);
  const key = fixedWidth(sequence);
  writer.putOwn(TABLE, key, [bytes, previousHash, hash]);
  writer.putOwn(INDEX, HEAD, [sequence + 1, hash]);
  writer.putOwn(INDEX, typeGroup(type) + key, null);
  if (!writer.has(INDEX, TYPES + type)) writer.putOwn(INDEX, TYPES + type, null);
  return { sequence, hash };
}
