/** The files that the messages of a subject make: whatever was broken off, taken away before, or is none of Holdfast's. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Fold } from "../../src/adapters/nats-fold.js";
import { decodeFrame, encodeFrame, FRAME_BYTES, type Frame, OPERATIONS } from "../../src/adapters/nats-frames.js";
import { HoldfastError } from "../../src/index.js";

const WRITER = 7n;
const EVERYTHING = (): boolean => true;

interface Message {
  readonly sequence: number;
  readonly message: Uint8Array;
}

/** Writes messages as owners would, and keeps plain files beside. */
class PlainFiles {
  readonly messages: Message[] = [];
  readonly files = new Map<number, number[]>();
  readonly #isAlone: boolean;
  #count = 0;
  #sequence = 0;
  #epoch = 1;

  /** @param isAlone whether nobody else writes to the stream */
  constructor(isAlone = false) {
    this.#isAlone = isAlone;
  }

  #publish(frame: Pick<Frame, "operation" | "file" | "at"> & { more?: boolean }, body: Uint8Array): void {
    this.#sequence += this.#isAlone ? 1 : 1 + ((this.#count + 1) % 3);
    const by = { epoch: this.#epoch, count: ++this.#count, writer: WRITER + BigInt(this.#epoch) };
    const whole = { more: false, ...by, ...frame };
    this.messages.push({ sequence: this.#sequence, message: encodeFrame(whole, body) });
  }

  /** Another owner takes over. */
  own(): void {
    this.#epoch++;
    this.#count = 0;
    this.#publish({ operation: OPERATIONS.own, file: 0, at: this.#sequence + 1 }, new Uint8Array(0));
  }

  write(
    operation: Frame["operation"],
    file: number,
    at: number,
    body: readonly number[],
    partBytes: number,
    parts = Infinity,
  ): void {
    let start = 0;
    let written = 0;
    do {
      const part = body.slice(start, start + partBytes);
      const more = start + part.length < body.length;
      this.#publish({ operation, file, at: at + start, more }, Uint8Array.from(part));
      start += part.length;
    } while (start < body.length && ++written < parts);
  }
}

const action = fc.oneof(
  fc.record({ kind: fc.constant("create" as const), body: fc.array(fc.nat(255), { maxLength: 40 }) }),
  fc.record({ kind: fc.constant("append" as const), body: fc.array(fc.nat(255), { minLength: 1, maxLength: 40 }) }),
  fc.record({ kind: fc.constant("broken" as const), body: fc.array(fc.nat(255), { minLength: 30, maxLength: 40 }) }),
  fc.record({ kind: fc.constant("cut" as const), part: fc.double({ min: 0, max: 1, noNaN: true }) }),
  fc.record({ kind: fc.constant("remove" as const) }),
  fc.record({ kind: fc.constant("own" as const) }),
);

function written(
  actions: readonly (typeof action extends fc.Arbitrary<infer T> ? T : never)[],
  partBytes: number,
  isAlone = false,
): PlainFiles {
  const plain = new PlainFiles(isAlone);
  const { files } = plain;
  let current = 0;
  for (const each of actions) {
    const file = files.get(current);
    if (each.kind === "create") {
      current++;
      plain.write(OPERATIONS.create, current, 0, each.body, partBytes);
      files.set(current, [...each.body]);
    } else if (each.kind === "own") {
      plain.own();
    } else if (file === undefined) {
    } else if (each.kind === "append") {
      plain.write(OPERATIONS.append, current, file.length, each.body, partBytes);
      file.push(...each.body);
    } else if (each.kind === "broken") {
      plain.write(OPERATIONS.append, current, file.length, each.body, 10, 2);
    } else if (each.kind === "cut") {
      file.length = Math.floor(file.length * each.part);
      plain.write(OPERATIONS.cut, current, file.length, [], partBytes);
    } else {
      const oldest = Math.min(...files.keys());
      plain.write(OPERATIONS.remove, oldest, 0, [], partBytes);
      files.delete(oldest);
    }
  }
  return plain;
}

function folded(messages: readonly Message[]): Fold {
  const fold = new Fold(EVERYTHING);
  for (const { sequence, message } of messages) fold.take(sequence, message);
  return fold;
}

function contentsOf(fold: Fold): [number, number[]][] {
  return [...fold.segments.keys()]
    .sort((a, b) => a - b)
    .map((number) => [number, (fold.segment(number)?.parts ?? []).flatMap((part) => [...part])]);
}

describe("the files of a subject", () => {
  test("are what was written, in parts or whole, with what was broken off left out", () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 40 }), fc.integer({ min: 1, max: 50 }), (actions, partBytes) => {
        const plain = written(actions, partBytes);
        expect(contentsOf(folded(plain.messages))).toEqual([...plain.files]);
      }),
      { numRuns: 500 },
    );
  });

  test("are the same where messages before the first that counts are gone, all or some", () => {
    fc.assert(
      fc.property(
        fc.array(action, { maxLength: 40 }),
        fc.integer({ min: 1, max: 50 }),
        fc.nat(),
        (actions, partBytes, seed) => {
          const plain = written(actions, partBytes);
          const { first } = folded(plain.messages);
          plain.write(OPERATIONS.forget, 0, first, [], partBytes);
          const left = plain.messages.filter(({ sequence }) => sequence >= first || (sequence * 31 + seed) % 3 === 0);
          const fold = folded(left);
          expect(fold.isTorn).toBe(false);
          expect(contentsOf(fold)).toEqual([...plain.files]);
        },
      ),
      { numRuns: 500 },
    );
  });

  test("that lack a message are said to be damaged", () => {
    const plain = written(
      [
        { kind: "create", body: [1, 2, 3] },
        { kind: "append", body: [4] },
        { kind: "append", body: [5] },
      ],
      10,
    );
    const fold = folded(plain.messages.filter((_, at) => at !== 1));
    expect(() => fold.segment(1)).toThrowError(expect.objectContaining({ code: "CORRUPTION" }));
  });

  test("are torn where a message is missing that may count, of whatever kind", () => {
    fc.assert(
      fc.property(fc.array(action, { minLength: 1, maxLength: 40 }), fc.nat(), (actions, seed) => {
        const plain = written(actions, 50);
        const { first } = folded(plain.messages);
        const inside = plain.messages.slice(0, -1).filter(({ sequence }) => sequence > first);
        const gone = inside[seed % Math.max(inside.length, 1)];
        fc.pre(gone !== undefined);
        const fold = folded(plain.messages.filter((message) => message !== gone));
        expect(() => fold.refuseTorn()).toThrowError(expect.objectContaining({ code: "CORRUPTION" }));
      }),
      { numRuns: 500 },
    );
  });

  test("are in doubt where something stands before a takeover that it has not seen, as far as that still counts", () => {
    fc.assert(
      fc.property(fc.array(action, { minLength: 1, maxLength: 40 }), fc.nat(), (actions, seed) => {
        const { messages } = written(actions, 50);
        expect(folded(messages).doubts).toEqual([]);
        const owns = messages.flatMap(({ message }, at) =>
          at > 0 && decodeFrame(message, 0).operation === OPERATIONS.own ? [at] : [],
        );
        const at = owns[seed % Math.max(owns.length, 1)];
        fc.pre(at !== undefined);
        const [before, own] = messages.slice(at - 1) as [Message, Message];
        const frame = decodeFrame(before.message, before.sequence);
        const late = {
          ...frame,
          operation: OPERATIONS.create,
          file: 1_000,
          at: 0,
          more: false,
          count: frame.count + 1,
        };
        const stale = { sequence: own.sequence - 1, message: encodeFrame(late, Uint8Array.of(1)) };
        const fold = folded(messages.toSpliced(at, 0, stale));
        expect(fold.isTorn).toBe(false);
        const doubt = { sequence: own.sequence, behind: before.sequence + 1, last: stale.sequence };
        expect(fold.doubts).toEqual(own.sequence > fold.first ? [doubt] : []);
      }),
      { numRuns: 500 },
    );
  });

  test("are the same where takeovers do not say what they have seen, as those of older releases", () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 40 }), (actions) => {
        const plain = written(actions, 50);
        const older = plain.messages.map(({ sequence, message }) => {
          const frame = decodeFrame(message, sequence);
          const at = frame.operation === OPERATIONS.own ? 0 : frame.at;
          return { sequence, message: encodeFrame({ ...frame, at }, message.subarray(FRAME_BYTES)) };
        });
        const fold = folded(older);
        expect([fold.isTorn, fold.doubts]).toEqual([false, []]);
        expect(contentsOf(fold)).toEqual([...plain.files]);
      }),
    );
  });

  test("are the same where messages stand twice, and where one who was overtaken has still written", () => {
    fc.assert(
      fc.property(
        fc.array(action, { maxLength: 40 }),
        fc.integer({ min: 1, max: 50 }),
        fc.nat(),
        (actions, part, seed) => {
          const plain = written(actions, part, true);
          const from = plain.messages.length;
          plain.own();
          for (const [at, size] of [30, 20].entries()) {
            plain.write(OPERATIONS.create, 100 + at, 0, new Array(size).fill(at), part);
            plain.files.set(100 + at, new Array(size).fill(at));
          }
          const late = plain.messages.map(({ sequence, message }, at) => ({ sequence, message, at }));
          // Messages of the owner before, and of this one once more, behind any of this one's.
          const all = late.flatMap((each) => {
            const again = late[(seed + each.at) % (each.at + 1)] as (typeof late)[number];
            return each.at < from ? [each] : [each, { ...again, at: each.at }];
          });
          const fold = folded(all.map(({ message }, at) => ({ sequence: at + 1, message })));
          expect(fold.isTorn).toBe(false);
          expect(contentsOf(fold)).toEqual([...plain.files]);
        },
      ),
      { numRuns: 500 },
    );
  });

  test("are refused by a typed error, whatever the bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        const fold = new Fold(EVERYTHING);
        try {
          fold.take(1, bytes);
        } catch (error) {
          expect(HoldfastError.is(error, "CORRUPTION") || HoldfastError.is(error, "UNSUPPORTED")).toBe(true);
        }
      }),
      { numRuns: 2_000 },
    );
    const message = encodeFrame(
      { operation: OPERATIONS.own, more: false, epoch: 1, file: 0, count: 1, at: 0, writer: WRITER },
      new Uint8Array(0),
    );
    message[0] = 2;
    expect(() => new Fold(EVERYTHING).take(1, message)).toThrowError(expect.objectContaining({ code: "UNSUPPORTED" }));
  });
});
