/**
 * What every storage keeps true, as cases that run anywhere: one suite for all, gated by the capabilities they declare.
 *
 * Each case gets a place of its own with nothing in it; `storage()` gives a new storage object over that same place, as
 * another process would have it. A case closes whatever it has opened, also when it fails.
 */

import type { Storage, StorageCapabilities, StorageOpenOptions, StorageSession } from "../../src/adapters/storage.js";
import { deepEqual, equal, ok, rejectsCode, throwsCode } from "./assert.js";

/** One place, and how to get at it. */
export interface StorageContext {
  storage(): Storage;
}

/** Something that must hold for every storage whose capabilities the case asks for. */
export interface Case {
  readonly name: string;
  /** Whether the case applies to such a storage; to all if left out. */
  readonly needs?: (capabilities: StorageCapabilities) => boolean;
  run(context: StorageContext): Promise<void>;
}

const persistent = (capabilities: StorageCapabilities): boolean => capabilities.persistent;
const synchronous = (capabilities: StorageCapabilities): boolean => capabilities.persistent && capabilities.syncAppend;

/** The whole suite. */
export function storageContract(): Case[] {
  return [
    ...capabilityCases(),
    ...ownershipCases(),
    ...segmentCases(),
    ...appendCases(),
    ...syncCases(),
    ...flushCases(),
    ...checkpointCases(),
    ...readOnlyCases(),
  ];
}

/** Bytes that tell where they belong: a rising pattern that starts anew for each `seed`. */
function bytes(byteLength: number, seed: number): Uint8Array {
  return Uint8Array.from({ length: byteLength }, (_, i) => (i * 7 + seed * 31 + (i >> 8)) & 255);
}

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.byteLength;
  }
  return whole;
}

/** `appendDurably`, of a storage that says that it has it. */
function durably(session: StorageSession, given: Uint8Array): Promise<void> {
  return session.appendDurably?.(given) ?? Promise.reject(new Error("appendDurably is not there"));
}

type Read = (offset: number, into: Uint8Array) => Promise<number>;

async function readAll(read: Read, step: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for (let offset = 0; ; ) {
    const into = new Uint8Array(step);
    const count = await read(offset, into);
    ok(count >= 0 && count <= step, `a count between 0 and ${step}, got ${count}`);
    if (count === 0) return concat(...parts);
    parts.push(into.subarray(0, count));
    offset += count;
  }
}

function contents(session: StorageSession, segment: number, step = 1 << 16): Promise<Uint8Array> {
  return readAll((offset, into) => session.read(segment, offset, into), step);
}

function checkpointContents(session: StorageSession, checkpoint: number, step = 1 << 16): Promise<Uint8Array> {
  return readAll((offset, into) => session.readCheckpoint(checkpoint, offset, into), step);
}

async function listing(session: StorageSession): Promise<[number, number][]> {
  return (await session.segments()).map(({ number, byteLength }) => [number, byteLength]);
}

async function checkpointListing(session: StorageSession): Promise<[number, number][]> {
  return (await session.checkpoints()).map(({ number, byteLength }) => [number, byteLength]);
}

/** Writes a checkpoint of these pieces, and makes it whole. */
async function checkpointed(session: StorageSession, number: number, ...pieces: readonly Uint8Array[]): Promise<void> {
  const writer = await session.beginCheckpoint(number);
  for (const piece of pieces) await writer.write(piece);
  await writer.commit();
}

async function withSession<T>(
  storage: Storage,
  use: (session: StorageSession) => Promise<T>,
  options: Partial<StorageOpenOptions> = {},
): Promise<T> {
  const session = await storage.open({ readOnly: false, ...options });
  try {
    return await use(session);
  } finally {
    await session.close();
  }
}

/** Does it; for how many `then`s the promise of which most is waited for still owes them an answer afterwards. */
async function mostOwed(work: () => Promise<void>): Promise<number> {
  const owed = new Map<Promise<unknown>, number>();
  const note = (promise: Promise<unknown>, by: number): void => {
    owed.set(promise, (owed.get(promise) ?? 0) + by);
  };
  const { then } = Promise.prototype;
  const counted = function (this: Promise<unknown>, ...handlers: readonly unknown[]): unknown {
    note(this, 1);
    const answered = (): void => note(this, -1);
    then.call(this, answered, answered);
    return Reflect.apply(then, this, handlers);
  };
  Reflect.set(Promise.prototype, "then", counted);
  try {
    await work();
  } finally {
    Reflect.set(Promise.prototype, "then", then);
  }
  return Math.max(0, ...owed.values());
}

/** A case that needs no more than one session of one owner. */
function owned(
  name: string,
  needs: (capabilities: StorageCapabilities) => boolean,
  use: (session: StorageSession, context: StorageContext) => Promise<void>,
): Case {
  return { name, needs, run: (context) => withSession(context.storage(), (session) => use(session, context)) };
}

function capabilityCases(): Case[] {
  return [
    {
      name: "declares capabilities that agree with one another",
      async run(context) {
        const { capabilities } = context.storage();
        ok(capabilities.kind !== "" && capabilities.mechanism !== "", "a kind and a mechanism");
        ok(Number.isSafeInteger(capabilities.recordBytesMax) && capabilities.recordBytesMax > 0, "a record limit");
        ok(Number.isSafeInteger(capabilities.segmentBytesTarget) && capabilities.segmentBytesTarget > 0, "a target");
        ok(!capabilities.syncFlush || capabilities.syncAppend, "no synchronous flush without synchronous appends");
        ok(capabilities.persistent || !capabilities.syncFlush, "no flush where nothing is kept");
        ok(
          !capabilities.durableAppend || !capabilities.syncAppend,
          "no durable append but where appends are asynchronous",
        );
      },
    },
    {
      name: "keeps nothing and says so where it is not persistent",
      needs: (capabilities) => !capabilities.persistent,
      run: (context) =>
        withSession(context.storage(), async (session) => {
          equal(session.fresh, true, "fresh");
          deepEqual(await session.segments(), [], "segments");
          await rejectsCode("NOT_FOUND", () => session.read(1, 0, new Uint8Array(1)));
          await rejectsCode("UNSUPPORTED", () => session.createSegment(1, bytes(4, 1)));
          throwsCode("UNSUPPORTED", () => session.appendSync(bytes(4, 1)));
        }),
    },
  ];
}

function ownershipCases(): Case[] {
  return [
    {
      name: "raises the epoch with every owner",
      needs: persistent,
      async run(context) {
        let last = 0;
        for (let i = 0; i < 4; i += 1) {
          const epoch = await withSession(context.storage(), async (session) => session.epoch);
          ok(Number.isInteger(epoch) && epoch > last && epoch < 2 ** 32, `an epoch above ${last}, got ${epoch}`);
          last = epoch;
        }
      },
    },
    {
      name: "refuses a second owner while the first one lives, and says who that is",
      needs: persistent,
      run: (context) =>
        withSession(context.storage(), async () => {
          const error = await rejectsCode("LOCKED", () => context.storage().open({ readOnly: false }));
          ok(Object.keys(error.details).length > 0, "details about the owner");
        }),
    },
    {
      name: "of many that open at once lets one in",
      needs: persistent,
      async run(context) {
        const results = await Promise.allSettled(
          Array.from({ length: 8 }, () => context.storage().open({ readOnly: false })),
        );
        const opened = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
        for (const session of opened) await session.close();
        equal(opened.length, 1, "sessions opened");
        for (const result of results) {
          if (result.status === "rejected") await rejectsCode("LOCKED", () => Promise.reject(result.reason));
        }
      },
    },
    {
      name: "is fresh until there is a segment",
      needs: persistent,
      async run(context) {
        await withSession(context.storage(), async (session) => {
          equal(session.fresh, true, "fresh");
          await session.createSegment(1, bytes(10, 1));
        });
        await withSession(context.storage(), async (session) => equal(session.fresh, false, "fresh"));
      },
    },
    {
      name: "refuses to open with a signal that has fired",
      async run(context) {
        await rejectsCode("TIMEOUT", () => context.storage().open({ readOnly: false, signal: AbortSignal.abort() }));
      },
    },
    {
      name: "closes more than once, and refuses work afterwards",
      async run(context) {
        const session = await context.storage().open({ readOnly: false });
        await session.close();
        await session.close();
        await rejectsCode("CLOSED", () => session.segments());
        await rejectsCode("CLOSED", () => session.append(bytes(1, 1)));
      },
    },
  ];
}

function segmentCases(): Case[] {
  return [
    owned("lists segments ascending by number, with their lengths", persistent, async (session) => {
      for (const number of [2, 1, 11, 3]) await session.createSegment(number, bytes(number * 100, number));
      deepEqual(
        await listing(session),
        [
          [1, 100],
          [2, 200],
          [3, 300],
          [11, 1100],
        ],
        "segments",
      );
    }),
    {
      name: "keeps segments over a reopening",
      needs: persistent,
      async run(context) {
        const content = bytes(3000, 5);
        await withSession(context.storage(), async (session) => {
          await session.createSegment(1, content);
          await session.append(bytes(500, 6));
          await session.flush();
        });
        await withSession(context.storage(), async (session) => {
          deepEqual(await listing(session), [[1, 3500]], "segments");
          deepEqual(await contents(session, 1), concat(content, bytes(500, 6)), "content");
        });
      },
    },
    owned("keeps an empty segment", persistent, async (session) => {
      await session.createSegment(4, new Uint8Array(0));
      deepEqual(await listing(session), [[4, 0]], "segments");
      equal(await session.read(4, 0, new Uint8Array(8)), 0, "bytes read");
    }),
    owned("refuses to make a segment that is there, and leaves it alone", persistent, async (session) => {
      await session.createSegment(1, bytes(20, 1));
      await rejectsCode("STORE_FAILED", () => session.createSegment(1, bytes(20, 2)));
      deepEqual(await contents(session, 1), bytes(20, 1), "content");
    }),
    owned("reads from any offset, up to the end and not beyond", persistent, async (session) => {
      const whole = bytes(1_000_003, 3);
      await session.createSegment(1, whole.subarray(0, 700_001));
      await session.append(whole.subarray(700_001));
      for (const [offset, length] of [
        [0, 10],
        [699_995, 20],
        [262_143, 2],
        [500_000, 500_003],
        [1_000_000, 100],
      ] as const) {
        const into = new Uint8Array(length);
        let count = 0;
        for (let got = -1; got !== 0; count += got) got = await session.read(1, offset + count, into.subarray(count));
        deepEqual(into.subarray(0, count), whole.subarray(offset, offset + length), `read at ${offset}`);
      }
      equal(await session.read(1, 1_000_003, new Uint8Array(4)), 0, "bytes at the end");
      equal(await session.read(1, 9_000_000, new Uint8Array(4)), 0, "bytes beyond the end");
    }),
    owned("has no segment that was not created", persistent, async (session) => {
      const error = await rejectsCode("NOT_FOUND", () => session.read(7, 0, new Uint8Array(4)));
      equal(error.details["segment"], 7, "details.segment");
    }),
    owned("removes segments for good, and does not mind when there are none", persistent, async (session, context) => {
      await session.createSegment(1, bytes(10, 1));
      await session.createSegment(2, bytes(10, 2));
      await session.removeSegment(1);
      await session.removeSegment(1);
      await session.removeSegment(99);
      await rejectsCode("NOT_FOUND", () => session.read(1, 0, new Uint8Array(4)));
      await session.close();
      await withSession(context.storage(), async (next) => deepEqual(await listing(next), [[2, 10]], "segments"));
    }),
  ];
}

function appendCases(): Case[] {
  return [
    owned("appends to the segment that was created last, in order", persistent, async (session) => {
      await session.createSegment(1, bytes(5, 1));
      await session.append(bytes(10, 2));
      await session.createSegment(2, bytes(6, 3));
      const pending = [4, 5, 6, 7, 8].map((seed) => session.append(bytes(seed * 1000, seed)));
      await Promise.all(pending);
      deepEqual(await contents(session, 1), concat(bytes(5, 1), bytes(10, 2)), "segment 1");
      deepEqual(
        await contents(session, 2, 777),
        concat(bytes(6, 3), ...[4, 5, 6, 7, 8].map((seed) => bytes(seed * 1000, seed))),
        "segment 2",
      );
    }),
    owned("takes effect in call order without being awaited", persistent, async (session) => {
      const work = [
        session.createSegment(1, bytes(3, 1)),
        session.append(bytes(100, 2)),
        session.flush(),
        session.append(bytes(100, 3)),
        session.truncate(150),
        session.append(bytes(50, 4)),
        session.createSegment(2, bytes(3, 5)),
        session.append(bytes(10, 6)),
      ];
      await Promise.all(work);
      deepEqual(
        await contents(session, 1),
        concat(bytes(3, 1), bytes(100, 2), bytes(47, 3), bytes(50, 4)),
        "segment 1",
      );
      deepEqual(await contents(session, 2), concat(bytes(3, 5), bytes(10, 6)), "segment 2");
    }),
    owned("does not look at a byte array after the call", persistent, async (session) => {
      const content = bytes(1000, 1);
      const creating = session.createSegment(1, content);
      content.fill(255);
      await creating;
      const appended = bytes(1000, 2);
      const appending = session.append(appended);
      appended.fill(255);
      await appending;
      deepEqual(await contents(session, 1), concat(bytes(1000, 1), bytes(1000, 2)), "content");
    }),
    owned("takes views into a larger memory, shared or not", persistent, async (session) => {
      const memory = new WebAssembly.Memory({ initial: 2, maximum: 4 });
      const view = new Uint8Array(memory.buffer, 70_000, 300);
      view.set(bytes(300, 9));
      await session.createSegment(1, view);
      await session.append(view.subarray(100, 200));
      const parts = [bytes(300, 9), bytes(300, 9).subarray(100, 200)];
      if (typeof SharedArrayBuffer === "function") {
        const shared = new Uint8Array(new SharedArrayBuffer(400), 50, 300);
        shared.set(bytes(300, 10));
        await session.append(shared);
        parts.push(bytes(300, 10));
      }
      deepEqual(await contents(session, 1), concat(...parts), "content");
    }),
    owned("refuses to append or cut before it has made a segment", persistent, async (session) => {
      await rejectsCode("STORE_FAILED", () => session.append(bytes(1, 1)));
      await rejectsCode("STORE_FAILED", () => session.truncate(0));
    }),
    owned("cuts a segment, and goes on from there", persistent, async (session, context) => {
      await session.createSegment(1, bytes(1000, 1));
      for (let i = 0; i < 10; i += 1) await session.append(bytes(100, 2 + i));
      await session.truncate(1250);
      deepEqual(await listing(session), [[1, 1250]], "segments");
      await session.append(bytes(60, 20));
      await session.truncate(1280);
      await session.append(bytes(5, 21));
      const expected = concat(bytes(1000, 1), bytes(100, 2), bytes(100, 3), bytes(50, 4), bytes(30, 20), bytes(5, 21));
      deepEqual(await contents(session, 1, 64), expected, "content");
      await session.truncate(0);
      await session.append(bytes(7, 22));
      await session.close();
      await withSession(context.storage(), async (next) => {
        deepEqual(await contents(next, 1), bytes(7, 22), "content after reopening");
      });
    }),
    owned("refuses to cut to more than there is", persistent, async (session) => {
      await session.createSegment(1, bytes(10, 1));
      await rejectsCode("STORE_FAILED", () => session.truncate(11));
      await rejectsCode("STORE_FAILED", () => session.truncate(-1));
      deepEqual(await listing(session), [[1, 10]], "segments");
    }),
    owned("takes a record of the greatest size whole", persistent, async (session, context) => {
      const record = new Uint8Array(Math.min(context.storage().capabilities.recordBytesMax, 4 << 20)).fill(0xa5);
      record[record.byteLength - 1] = 1;
      await session.createSegment(1, bytes(3, 1));
      await session.append(record);
      deepEqual(await contents(session, 1, 1 << 20), concat(bytes(3, 1), record), "content");
    }),
    owned("lets go of all that waited for a call that is over", persistent, async (session) => {
      // What waits for the loss of a session waits as long as that lives: what calls left there made its memory grow.
      const calls = 20;
      await session.createSegment(1, bytes(3, 1));
      const most = await mostOwed(async () => {
        for (let i = 0; i < calls; i++) {
          await session.append(bytes(3, i));
          await session.segments();
        }
      });
      ok(most < calls, `one promise owes an answer to ${most} after ${calls} calls`);
    }),
  ];
}

function syncCases(): Case[] {
  return [
    owned("does the same synchronously", synchronous, async (session) => {
      session.createSegmentSync(1, bytes(10, 1));
      session.appendSync(bytes(20, 2));
      session.appendSync(new Uint8Array(0));
      session.truncateSync(25);
      session.appendSync(bytes(3, 3));
      session.createSegmentSync(2, new Uint8Array(0));
      session.appendSync(bytes(8, 4));
      deepEqual(await contents(session, 1), concat(bytes(10, 1), bytes(15, 2), bytes(3, 3)), "segment 1");
      deepEqual(await contents(session, 2), bytes(8, 4), "segment 2");
    }),
    owned(
      "flushes synchronously",
      (capabilities) => capabilities.syncFlush,
      async (session) => {
        session.createSegmentSync(1, bytes(10, 1));
        session.flushSync();
        session.appendSync(bytes(20, 2));
        session.flushSync();
        session.flushSync();
        equal((await contents(session, 1)).byteLength, 30, "bytes");
      },
    ),
    owned(
      "refuses the synchronous call where it can only work asynchronously",
      (capabilities) => capabilities.persistent && !capabilities.syncAppend,
      async (session) => {
        throwsCode("SYNC_COMMIT_UNSUPPORTED", () => session.createSegmentSync(1, bytes(1, 1)));
        throwsCode("SYNC_COMMIT_UNSUPPORTED", () => session.appendSync(bytes(1, 1)));
        throwsCode("SYNC_COMMIT_UNSUPPORTED", () => session.truncateSync(0));
        throwsCode("SYNC_COMMIT_UNSUPPORTED", () => session.flushSync());
      },
    ),
  ];
}

function flushCases(): Case[] {
  return [
    owned(
      "flushes with nothing to flush",
      (capabilities) => capabilities.asyncFlush,
      async (session) => {
        await session.flush();
        await session.createSegment(1, bytes(1, 1));
        await session.flush();
      },
    ),
    owned(
      "flushes many times at once, with appends between and over a change of segment",
      (capabilities) => capabilities.asyncFlush,
      async (session) => {
        await session.createSegment(1, bytes(1, 1));
        const work: Promise<void>[] = [];
        for (let i = 0; i < 20; i += 1) {
          work.push(session.append(bytes(10, i)), session.flush());
          if (i === 10) work.push(session.createSegment(2, bytes(1, 2)));
        }
        await Promise.all(work);
        deepEqual(
          await listing(session),
          [
            [1, 111],
            [2, 91],
          ],
          "segments",
        );
      },
    ),
    owned(
      "appends durably in call order with appends, flushes and cuts, over a copy of the bytes",
      (capabilities) => capabilities.durableAppend === true,
      async (session, context) => {
        await rejectsCode("STORE_FAILED", () => durably(session, bytes(1, 1)));
        await session.createSegment(1, bytes(3, 1));
        const given = bytes(100, 2);
        const work = [durably(session, given), session.append(bytes(10, 3)), durably(session, bytes(20, 4))];
        given.fill(255);
        work.push(session.flush(), session.truncate(120), durably(session, bytes(0, 5)), durably(session, bytes(7, 6)));
        await Promise.all(work);
        await session.close();
        const expected = concat(bytes(3, 1), bytes(100, 2), bytes(10, 3), bytes(7, 4), bytes(7, 6));
        await withSession(context.storage(), async (next) => {
          deepEqual(await contents(next, 1), expected, "content after reopening");
        });
      },
    ),
    {
      name: "finishes what is under way before it closes",
      needs: (capabilities) => capabilities.asyncFlush,
      async run(context) {
        const session = await context.storage().open({ readOnly: false });
        await session.createSegment(1, bytes(1, 1));
        const work = [session.append(bytes(10, 2)), session.flush()];
        await session.close();
        await Promise.all(work);
        await withSession(context.storage(), async (next) => deepEqual(await listing(next), [[1, 11]], "segments"));
      },
    },
  ];
}

function checkpointCases(): Case[] {
  return [
    owned("writes a checkpoint piece by piece, and has it whole afterwards", persistent, async (session) => {
      deepEqual(await checkpointListing(session), [], "checkpoints");
      const pieces = [bytes(10, 1), new Uint8Array(0), bytes(700_001, 2), bytes(3, 3)];
      await checkpointed(session, 5, ...pieces);
      deepEqual(await checkpointListing(session), [[5, 700_014]], "checkpoints");
      deepEqual(await checkpointContents(session, 5), concat(...pieces), "content");
      const into = new Uint8Array(20);
      equal(await session.readCheckpoint(5, 700_010, into), 4, "bytes at the end");
      deepEqual(into.subarray(0, 4), concat(...pieces).subarray(700_010), "the last bytes");
      equal(await session.readCheckpoint(5, 700_014, into), 0, "bytes behind the end");
    }),
    owned("lists checkpoints ascending by number, apart from the segments", persistent, async (session) => {
      await session.createSegment(3, bytes(30, 1));
      for (const number of [3, 12, 2]) await checkpointed(session, number, bytes(number, number));
      deepEqual(
        await checkpointListing(session),
        [
          [2, 2],
          [3, 3],
          [12, 12],
        ],
        "checkpoints",
      );
      deepEqual(await listing(session), [[3, 30]], "segments");
      deepEqual(await contents(session, 3), bytes(30, 1), "segment 3");
      deepEqual(await checkpointContents(session, 3), bytes(3, 3), "checkpoint 3");
    }),
    owned("keeps an empty checkpoint", persistent, async (session) => {
      await checkpointed(session, 1);
      deepEqual(await checkpointListing(session), [[1, 0]], "checkpoints");
      equal(await session.readCheckpoint(1, 0, new Uint8Array(4)), 0, "bytes read");
    }),
    {
      name: "keeps checkpoints over a reopening, and is not fresh with one",
      needs: persistent,
      async run(context) {
        await withSession(context.storage(), (session) => checkpointed(session, 7, bytes(5000, 7)));
        await withSession(context.storage(), async (session) => {
          equal(session.fresh, false, "fresh");
          deepEqual(await checkpointListing(session), [[7, 5000]], "checkpoints");
          deepEqual(await checkpointContents(session, 7, 999), bytes(5000, 7), "content");
        });
      },
    },
    owned("shows nothing of a checkpoint before it is committed", persistent, async (session) => {
      const writer = await session.beginCheckpoint(4);
      await writer.write(bytes(100, 4));
      deepEqual(await checkpointListing(session), [], "checkpoints");
      const error = await rejectsCode("NOT_FOUND", () => session.readCheckpoint(4, 0, new Uint8Array(4)));
      equal(error.details["checkpoint"], 4, "details.checkpoint");
      await writer.commit();
      deepEqual(await checkpointListing(session), [[4, 100]], "checkpoints");
    }),
    owned("leaves nothing of a checkpoint that was abandoned", persistent, async (session) => {
      const writer = await session.beginCheckpoint(4);
      await writer.write(bytes(100, 4));
      await writer.abandon();
      await writer.abandon();
      deepEqual(await checkpointListing(session), [], "checkpoints");
      await checkpointed(session, 4, bytes(20, 5));
      deepEqual(await checkpointContents(session, 4), bytes(20, 5), "content");
    }),
    owned("does not take a checkpoint away that is abandoned after its commit", persistent, async (session) => {
      const writer = await session.beginCheckpoint(4);
      await writer.write(bytes(100, 4));
      await writer.commit();
      await writer.abandon();
      deepEqual(await checkpointContents(session, 4), bytes(100, 4), "content");
    }),
    owned("goes on with appends while a checkpoint is written", persistent, async (session) => {
      await session.createSegment(1, bytes(3, 1));
      const writer = await session.beginCheckpoint(9);
      const work: Promise<void>[] = [];
      for (let i = 0; i < 10; i += 1) {
        work.push(session.append(bytes(100, i)), writer.write(bytes(50, i)));
        if (i === 5) work.push(session.flush(), session.createSegment(2, bytes(4, 2)));
      }
      await Promise.all(work);
      await writer.commit();
      const parts = (byteLength: number, from: number, to: number): Uint8Array[] =>
        Array.from({ length: to - from }, (_, i) => bytes(byteLength, from + i));
      deepEqual(await contents(session, 1), concat(bytes(3, 1), ...parts(100, 0, 6)), "segment 1");
      deepEqual(await contents(session, 2), concat(bytes(4, 2), ...parts(100, 6, 10)), "segment 2");
      deepEqual(await checkpointContents(session, 9), concat(...parts(50, 0, 10)), "checkpoint 9");
    }),
    owned("does not look at a piece of a checkpoint after the call", persistent, async (session) => {
      const writer = await session.beginCheckpoint(1);
      const piece = bytes(1000, 1);
      const writing = writer.write(piece);
      piece.fill(255);
      await writing;
      await writer.commit();
      deepEqual(await checkpointContents(session, 1), bytes(1000, 1), "content");
    }),
    owned("refuses to begin a checkpoint whose number is taken", persistent, async (session) => {
      await checkpointed(session, 2, bytes(20, 2));
      await rejectsCode("STORE_FAILED", () => session.beginCheckpoint(2));
      deepEqual(await checkpointContents(session, 2), bytes(20, 2), "content");
      await checkpointed(session, 3, bytes(30, 3));
    }),
    owned("writes one checkpoint at a time", persistent, async (session) => {
      const writer = await session.beginCheckpoint(1);
      await rejectsCode("STORE_FAILED", () => session.beginCheckpoint(2));
      await writer.write(bytes(5, 1));
      await writer.commit();
      await checkpointed(session, 2, bytes(6, 2));
      deepEqual(
        await checkpointListing(session),
        [
          [1, 5],
          [2, 6],
        ],
        "checkpoints",
      );
    }),
    owned(
      "removes checkpoints for good, and does not mind when there are none",
      persistent,
      async (session, context) => {
        await checkpointed(session, 1, bytes(10, 1));
        await checkpointed(session, 2, bytes(10, 2));
        await session.removeCheckpoint(1);
        await session.removeCheckpoint(1);
        await session.removeCheckpoint(99);
        await rejectsCode("NOT_FOUND", () => session.readCheckpoint(1, 0, new Uint8Array(4)));
        await session.close();
        await withSession(context.storage(), async (next) => {
          deepEqual(await checkpointListing(next), [[2, 10]], "checkpoints");
          await checkpointed(next, 1, bytes(7, 7));
          deepEqual(await checkpointContents(next, 1), bytes(7, 7), "content");
        });
      },
    ),
    {
      name: "opens over checkpoints whose numbers are neighbours, and one that was never finished",
      needs: persistent,
      async run(context) {
        const whole = [1, 2, 3];
        await withSession(context.storage(), async (session) => {
          for (const number of whole) await checkpointed(session, number, bytes(number * 1000, number));
          const writer = await session.beginCheckpoint(5);
          await writer.write(bytes(100, 5));
        });
        await withSession(context.storage(), async (session) => {
          deepEqual(
            await checkpointListing(session),
            whole.map((number) => [number, number * 1000]),
            "checkpoints",
          );
          for (const number of whole) {
            deepEqual(await checkpointContents(session, number), bytes(number * 1000, number), `content of ${number}`);
          }
          await checkpointed(session, 5, bytes(9, 9));
          deepEqual(await checkpointContents(session, 5), bytes(9, 9), "content");
        });
      },
    },
    {
      name: "abandons a checkpoint that is open when the session closes, and the next owner finds nothing of it",
      needs: persistent,
      async run(context) {
        await withSession(context.storage(), async (session) => {
          await session.createSegment(1, bytes(10, 1));
          const writer = await session.beginCheckpoint(6);
          await writer.write(bytes(100_000, 6));
          await session.close();
          await rejectsCode("CLOSED", () => writer.write(bytes(1, 1)));
          await rejectsCode("CLOSED", () => writer.commit());
          await writer.abandon();
        });
        await withSession(context.storage(), async (session) => {
          deepEqual(await checkpointListing(session), [], "checkpoints");
          deepEqual(await listing(session), [[1, 10]], "segments");
          await checkpointed(session, 6, bytes(9, 9));
          deepEqual(await checkpointContents(session, 6), bytes(9, 9), "content");
        });
      },
    },
    {
      name: "reads checkpoints beside a live owner, and writes none",
      needs: persistent,
      run: (context) =>
        withSession(context.storage(), async (owner) => {
          await checkpointed(owner, 1, bytes(1000, 1));
          const unfinished = await owner.beginCheckpoint(2);
          await unfinished.write(bytes(10, 2));
          await withSession(
            context.storage(),
            async (reader) => {
              equal(reader.fresh, false, "fresh");
              deepEqual(await checkpointListing(reader), [[1, 1000]], "checkpoints");
              deepEqual(await checkpointContents(reader, 1, 300), bytes(1000, 1), "content");
              await rejectsCode("NOT_FOUND", () => reader.readCheckpoint(2, 0, new Uint8Array(4)));
              await rejectsCode("READ_ONLY", () => reader.beginCheckpoint(3));
              await rejectsCode("READ_ONLY", () => reader.removeCheckpoint(1));
            },
            { readOnly: true },
          );
          await unfinished.commit();
        }),
    },
    {
      name: "refuses checkpoints once it is closed",
      needs: persistent,
      async run(context) {
        const session = await context.storage().open({ readOnly: false });
        await session.close();
        await rejectsCode("CLOSED", () => session.checkpoints());
        await rejectsCode("CLOSED", () => session.readCheckpoint(1, 0, new Uint8Array(4)));
        await rejectsCode("CLOSED", () => session.beginCheckpoint(1));
        await rejectsCode("CLOSED", () => session.removeCheckpoint(1));
      },
    },
  ];
}

function readOnlyCases(): Case[] {
  return [
    {
      name: "reads beside a live owner, and writes nothing",
      needs: persistent,
      run: (context) =>
        withSession(context.storage(), async (owner) => {
          await owner.createSegment(1, bytes(100, 1));
          await withSession(
            context.storage(),
            async (reader) => {
              equal(reader.epoch, 0, "epoch");
              equal(reader.fresh, false, "fresh");
              deepEqual(await contents(reader, 1), bytes(100, 1), "content");
              await owner.append(bytes(5, 2));
              deepEqual(await contents(reader, 1), concat(bytes(100, 1), bytes(5, 2)), "content");
              await rejectsCode("READ_ONLY", () => reader.createSegment(2, bytes(1, 1)));
              await rejectsCode("READ_ONLY", () => reader.append(bytes(1, 1)));
              await rejectsCode("READ_ONLY", () => reader.truncate(0));
              await rejectsCode("READ_ONLY", () => reader.removeSegment(1));
              await rejectsCode("READ_ONLY", () => reader.flush());
            },
            { readOnly: true },
          );
          await owner.append(bytes(5, 3));
          deepEqual(await listing(owner), [[1, 110]], "segments");
        }),
    },
    {
      name: "does not make a database by looking for one",
      needs: persistent,
      async run(context) {
        await rejectsCode("NOT_FOUND", () => context.storage().open({ readOnly: true }));
        await withSession(context.storage(), async (session) => equal(session.fresh, true, "fresh"));
      },
    },
  ];
}
