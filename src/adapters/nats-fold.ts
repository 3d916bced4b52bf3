/**
 * The files of a database as the messages of its subject make them, one after another.
 *
 * What it keeps true:
 *  - from the message on with which an owner has taken the database over, only his count: a server that was busy with that one may
 *    have taken another of somebody who was overtaken by it. Nor does one count that stands there twice;
 *  - what goes on in several messages takes effect with the last of them; what was broken off, by a death or for want of room, has
 *    never been there, and whatever comes next goes on from before it;
 *  - messages before the first that still counts may be missing, all or some, once a later one says that they are forgotten;
 *  - a file that is there and lacks bytes is said to be damaged, never read as shorter; so is a log that lacks anything else;
 *  - what stands before a takeover and was not seen by it is in doubt: it came while the database was taken over, or only the server
 *    that has shown it holds it.
 */
import { HoldfastError } from "../errors.js";
import { countAfter, decodeFrame, FRAME_BYTES, type Frame, isAfter, OPERATIONS } from "./nats-frames.js";

/** A segment. */
export interface LogFile {
  readonly number: number;
  /** The sequences of the first and the last message that count for it. */
  readonly first: number;
  last: number;
  byteLength: number;
  /** Its bytes in order; nothing where they were not kept. */
  parts: Uint8Array[] | undefined;
  /** The message before which something is missing. */
  damagedAt: number | undefined;
}

/** A checkpoint, or what was begun of one, or what is left of one that was removed. */
export interface CheckpointFile {
  readonly number: number;
  /** The sequence of the message that it was begun with. */
  readonly first: number;
  /** Of the object in the object store. */
  readonly name: string;
  byteLength: number;
  state: "begun" | "there" | "removed";
}

/** A takeover before which something stands that it has not seen. */
export interface Doubt {
  /** The sequence of the takeover. */
  readonly sequence: number;
  /** The sequence behind the last message that it has seen. */
  readonly behind: number;
  /** The sequence of the message that was shown before it. */
  readonly last: number;
}

/** What was begun and goes on in the next message. */
interface Unfinished {
  readonly first: number;
  readonly frame: Frame;
  readonly bodies: Uint8Array[];
  byteLength: number;
}

export class Fold {
  readonly segments = new Map<number, LogFile>();
  /** By the names of their objects. */
  readonly checkpoints = new Map<string, CheckpointFile>();
  /** The greatest epoch that was seen. */
  epoch = 0;
  /** The sequence of the last message that was seen. */
  last = 0;
  /** Who has written that. */
  writer = 0n;
  readonly #keepsBytes: (segment: number, keptBytes: number) => boolean;
  #keptBytes = 0;
  #unfinished: Unfinished | undefined;
  /** The count of the last message, by its writer. */
  #count = 0;
  /** The last message before which one is missing. */
  #gapAt = 0;
  readonly #doubts: Doubt[] = [];

  /** @param keepsBytes whether the bytes of a segment are kept, where so many of others are */
  constructor(keepsBytes: (segment: number, keptBytes: number) => boolean) {
    this.#keepsBytes = keepsBytes;
  }

  /**
   * Takes the next message.
   * @throws HoldfastError `CORRUPTION`, `UNSUPPORTED`
   */
  take(sequence: number, message: Uint8Array): void {
    const frame = decodeFrame(message, sequence);
    const { last } = this;
    this.last = sequence;
    if (frame.operation === OPERATIONS.own && frame.at > 0 && last >= frame.at) {
      this.#doubts.push({ sequence, behind: frame.at, last });
    }
    if (last > 0 && !this.#counts(frame)) return;
    if (last > 0 && !this.#isNext(frame, last)) this.#gapAt = sequence;
    this.writer = frame.writer;
    this.#count = frame.count;
    this.epoch = frame.epoch;
    const body = message.subarray(FRAME_BYTES);
    const before = this.#unfinished;
    this.#unfinished = undefined;
    const goesOn = before !== undefined && isNext(before, frame);
    const whole = goesOn ? before : { first: sequence, frame, bodies: [], byteLength: 0 };
    whole.bodies.push(body.slice());
    whole.byteLength += body.byteLength;
    if (frame.more) this.#unfinished = whole;
    else this.#apply(whole, sequence);
  }

  /** The file of that number. @throws HoldfastError `CORRUPTION` where something of it is missing */
  segment(number: number): LogFile | undefined {
    const file = this.segments.get(number);
    if (file?.damagedAt === undefined) return file;
    throw new HoldfastError(
      "CORRUPTION",
      `Segment ${number} lacks what stood before message ${file.damagedAt} of the subject.`,
      { details: { segment: number, sequence: file.damagedAt } },
    );
  }

  /** The sequence of the first message that still counts. */
  get first(): number {
    let first = this.last;
    for (const file of this.segments.values()) first = Math.min(first, file.first);
    for (const file of this.checkpoints.values()) first = Math.min(first, file.first);
    return first;
  }

  /** Whether a message is missing that counts, or might. */
  get isTorn(): boolean {
    return this.#gapAt > this.first;
  }

  /** What is in doubt of what still counts. */
  get doubts(): readonly Doubt[] {
    const { first } = this;
    return this.#doubts.filter(({ sequence }) => sequence > first);
  }

  /** Whether a file that is there lacks bytes. */
  get isDamaged(): boolean {
    return [...this.segments.values()].some(({ damagedAt }) => damagedAt !== undefined);
  }

  /** @throws HoldfastError `CORRUPTION` where {@link isTorn} */
  refuseTorn(): void {
    if (!this.isTorn) return;
    throw new HoldfastError("CORRUPTION", `Something is missing before message ${this.#gapAt} of the subject.`, {
      details: { sequence: this.#gapAt },
    });
  }

  /** Whether it is of the owner, or the next one, and new. */
  #counts({ epoch, writer, count }: Frame): boolean {
    if (epoch !== this.epoch) return epoch > this.epoch;
    return writer === this.writer && isAfter(count, this.#count);
  }

  /** Whether nothing is known to stand between the last message, which has that sequence, and this one. */
  #isNext({ writer, count, operation, at }: Frame, last: number): boolean {
    if (writer === this.writer) return count === countAfter(this.#count);
    return operation === OPERATIONS.own && count === 1 && at <= last + 1;
  }

  #apply({ first, frame, bodies, byteLength }: Unfinished, last: number): void {
    const { operation, file: number, at } = frame;
    switch (operation) {
      case OPERATIONS.create:
        this.#create(number, { first, last, byteLength, bodies, damagedAt: at === 0 ? undefined : first });
        break;
      case OPERATIONS.append:
        this.#append(number, at, { first, last, byteLength, bodies });
        break;
      case OPERATIONS.cut:
        this.#cut(number, at, last);
        break;
      case OPERATIONS.remove:
        this.segments.delete(number);
        break;
      case OPERATIONS.begin: {
        const name = textOf(bodies);
        this.checkpoints.set(name, { number, first, name, byteLength: 0, state: "begun" });
        break;
      }
      case OPERATIONS.finish: {
        const begun = this.checkpoints.get(textOf(bodies));
        if (begun === undefined) break;
        begun.state = "there";
        begun.byteLength = at;
        break;
      }
      case OPERATIONS.drop: {
        const dropped = this.checkpoints.get(textOf(bodies));
        if (dropped !== undefined) dropped.state = "removed";
        break;
      }
      case OPERATIONS.forget:
        for (const [key, file] of this.segments) if (file.first < at) this.segments.delete(key);
        for (const [key, file] of this.checkpoints) if (file.first < at) this.checkpoints.delete(key);
        break;
    }
  }

  #create(
    number: number,
    made: { first: number; last: number; byteLength: number; bodies: Uint8Array[]; damagedAt: number | undefined },
  ): void {
    const { bodies, ...rest } = made;
    const isKept = this.#keepsBytes(number, this.#keptBytes);
    if (isKept) this.#keptBytes += made.byteLength;
    this.segments.set(number, { number, ...rest, parts: isKept ? bodies : undefined });
  }

  #append(
    number: number,
    at: number,
    { first, last, byteLength, bodies }: { first: number; last: number; byteLength: number; bodies: Uint8Array[] },
  ): void {
    const file = this.segments.get(number);
    if (file === undefined) {
      // What it was made with is gone: it was removed, or that will be seen.
      this.#create(number, { first, last, byteLength: at + byteLength, bodies, damagedAt: first });
      return;
    }
    if (file.byteLength !== at) file.damagedAt ??= first;
    file.byteLength = at + byteLength;
    file.last = last;
    if (file.parts === undefined) return;
    file.parts.push(...bodies);
    this.#keptBytes += byteLength;
  }

  #cut(number: number, at: number, last: number): void {
    const file = this.segments.get(number);
    if (file === undefined) return;
    if (at > file.byteLength) file.damagedAt ??= last;
    file.byteLength = at;
    file.last = last;
    if (file.parts === undefined) return;
    let room = at;
    const kept: Uint8Array[] = [];
    for (const part of file.parts) {
      if (room > 0) kept.push(part.subarray(0, room));
      room -= part.byteLength;
    }
    file.parts = kept;
  }
}

/** Whether a message goes on with what was begun. */
function isNext({ frame, byteLength }: Unfinished, next: Frame): boolean {
  const isSame = next.operation === frame.operation && next.file === frame.file && next.writer === frame.writer;
  return isSame && next.at === frame.at + byteLength;
}

const decoder = new TextDecoder();

function textOf(bodies: readonly Uint8Array[]): string {
  return bodies.map((body) => decoder.decode(body, { stream: true })).join("") + decoder.decode();
}
