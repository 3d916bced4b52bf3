/**
 * Damage, case by case: planted records, missing and foreign segments, recovery that is interrupted. `test/damage/` tries
 * every cut, every flipped bit, and what chance makes of a log.
 *
 * Opening gives the state at a version of the history, exactly the one that the format says, or refuses with
 * `CORRUPTION` and leaves every byte as it is.
 */
import { isDeepStrictEqual } from "node:util";
import { beforeAll, describe, expect, test } from "vitest";
import type { Storage, StorageSession } from "../../src/adapters/storage.js";
import { HoldfastError } from "../../src/errors.js";
import * as abi from "../../src/host/abi.js";
import { Database } from "../../src/index.js";
import { ByteStorage, type Segments } from "../support/byte-storage.js";
import { type DamageLog, damageLog, type Expectation, openSegments, stateOf, wasm } from "../support/damage-logs.js";
import { crc32c, forgeHeader, forgeRecord, parseSegment, recordCrc } from "../support/log-oracle.js";
import { SimulatedDisk } from "../support/simulated-storage.js";

const LOG_BYTES = 4096;

function withSegment(log: Segments, number: number, bytes: Uint8Array): Segments {
  return new Map([...log].map(([n, content]) => [n, n === number ? bytes : content]));
}

/** What is wrong with how damaged segments opened, if anything. */
async function faultOf(log: DamageLog, damaged: Segments, expected: Expectation): Promise<string | undefined> {
  const outcome = await openSegments(damaged, log.epoch);
  for (const [number, bytes] of damaged) {
    if (outcome.storage.segments.get(number) !== bytes) return `segment ${number} was touched`;
  }
  if (outcome.kind === "refused") {
    const { error } = outcome;
    if (!HoldfastError.is(error, "CORRUPTION")) return `refused with ${String(error)}`;
    if (outcome.storage.segments.size !== damaged.size) return "a segment was made although the log was refused";
    if (typeof error.details["offset"] !== "number") return "the refusal does not name the offset";
    return expected === "CORRUPTION" ? undefined : `refused: ${error.message}`;
  }
  if (expected === "CORRUPTION") return "opened, although what is lost had been synced";
  const commits = expected === "unchanged" ? log.states.length - 1 : expected.commits;
  if (!isDeepStrictEqual(outcome.state, log.states[commits])) return `the state is not that after ${commits} commits`;
  const dropped = expected === "unchanged" ? 0 : expected.droppedBytes;
  return outcome.droppedBytes === dropped ? undefined : `reports ${outcome.droppedBytes} bytes, dropped ${dropped}`;
}

describe("what cannot be told from a crash", () => {
  test("only the last strict group, with nothing after it, can be lost in silence", async () => {
    // The watermark of a record vouches for what stood before it; so for the last one nothing vouches. Its loss looks
    // like a crash before its sync was done, and gives the state before it. Every record but that one is vouched for.
    const log = await damageLog({ bytes: LOG_BYTES, ending: "killed" });
    const [number, bytes] = [...log.segments][0] as [number, Uint8Array];
    const { records } = parseSegment(bytes);
    for (const [i, record] of records.entries()) {
      const damaged = bytes.slice();
      damaged.fill(0, record.start, record.end);
      const isLast = i === records.length - 1;
      const expected = isLast ? { commits: i, droppedBytes: record.end - record.start } : "CORRUPTION";
      expect(await faultOf(log, withSegment(log.segments, number, damaged), expected)).toBeUndefined();
    }
  });

  test("after close even the last commit is vouched for, and only the closing record itself is not", async () => {
    const log = await damageLog({ bytes: LOG_BYTES, ending: "closed" });
    const [number, bytes] = [...log.segments][0] as [number, Uint8Array];
    const { records } = parseSegment(bytes);
    for (const record of records) {
      const damaged = bytes.slice();
      damaged[record.end - 1] = (bytes[record.end - 1] as number) ^ 1;
      const expected = record.isCommit ? "CORRUPTION" : { commits: log.states.length - 1, droppedBytes: 52 };
      expect(await faultOf(log, withSegment(log.segments, number, damaged), expected)).toBeUndefined();
    }
  });
});

describe("planted bytes", () => {
  let log: DamageLog;
  let number: number;
  let bytes: Uint8Array;
  beforeAll(async () => {
    log = await damageLog({ bytes: 600, ending: "killed" });
    [number, bytes] = [...log.segments][0] as [number, Uint8Array];
  });

  /** The log with one more record behind it, made from its last one. */
  function planted(change: (genuine: Parameters<typeof forgeRecord>[1]) => Parameters<typeof forgeRecord>[1]): {
    segments: Segments;
    bytes: number;
  } {
    const last = parseSegment(bytes).records.at(-1);
    if (last === undefined) throw new Error("the log is empty");
    const model = bytes.subarray(last.start, last.end);
    const position = last.position + model.length;
    const genuine = { position, epoch: last.epoch, previousCrc: recordCrc(model), version: last.version + 1 };
    const record = forgeRecord(model, { ...genuine, watermark: last.watermark, ...change(genuine) });
    const longer = new Uint8Array(bytes.length + record.length);
    longer.set(bytes);
    longer.set(record, bytes.length);
    return { segments: withSegment(log.segments, number, longer), bytes: record.length };
  }

  test("a forged record in which everything is right does continue the log: a CRC is no signature", async () => {
    const outcome = await openSegments(planted(() => ({})).segments, log.epoch);
    expect(outcome.kind === "opened" && outcome.droppedBytes).toBe(0);
  });

  test.each<[string, (genuine: Parameters<typeof forgeRecord>[1]) => Parameters<typeof forgeRecord>[1]]>([
    ["of an older epoch", (genuine) => ({ epoch: (genuine.epoch ?? 0) - 1 })],
    ["of a newer epoch", (genuine) => ({ epoch: (genuine.epoch ?? 0) + 1 })],
    ["from another position", (genuine) => ({ position: (genuine.position ?? 0) - 1 })],
    ["from far away", () => ({ position: 2 ** 52 })],
    ["behind another record", (genuine) => ({ previousCrc: ((genuine.previousCrc ?? 0) ^ 1) >>> 0 })],
    ["with a version that was there", (genuine) => ({ version: (genuine.version ?? 0) - 1 })],
    ["with a version beyond all versions", () => ({ version: 2 ** 53 })],
    ["with a watermark beyond itself", (genuine) => ({ watermark: (genuine.position ?? 0) + 1 })],
  ])("a record %s does not, though both its checksums hold", async (_, change) => {
    const { segments, bytes: length } = planted(change);
    const expected = { commits: log.states.length - 1, droppedBytes: length };
    expect(await faultOf(log, segments, expected)).toBeUndefined();
  });

  test("a copy of the log's own last record behind it does not", async () => {
    const last = parseSegment(bytes).records.at(-1);
    if (last === undefined) throw new Error("the log is empty");
    const copy = bytes.subarray(last.start, last.end);
    const longer = new Uint8Array([...bytes, ...copy]);
    const expected = { commits: log.states.length - 1, droppedBytes: copy.length };
    expect(await faultOf(log, withSegment(log.segments, number, longer), expected)).toBeUndefined();
  });

  test("a header of a newer format is UNSUPPORTED, whatever else it says", async () => {
    const newer = forgeHeader(bytes, (view) => view.setUint32(abi.SEGMENT_FORMAT_OFFSET, abi.FORMAT_VERSION + 1, true));
    const outcome = await openSegments(withSegment(log.segments, number, newer), log.epoch);
    expect(outcome.kind === "refused" && HoldfastError.is(outcome.error, "UNSUPPORTED")).toBe(true);
    expect(outcome.storage.segments.get(number)).toBe(newer);
  });

  test.each<[string, (view: DataView) => void]>([
    ["vouches for what is not there", (view) => view.setBigUint64(abi.SEGMENT_SYNCED_END_OFFSET, 1n << 40n, true)],
    [
      "vouches for one byte too many",
      (view) => {
        view.setBigUint64(abi.SEGMENT_SYNCED_END_OFFSET, BigInt(bytes.length - abi.SEGMENT_HEADER_BYTES + 1), true);
      },
    ],
    ["has a number beyond 2^52", (view) => view.setBigUint64(abi.SEGMENT_POSITION_OFFSET, 1n << 60n, true)],
    ["is of another segment", (view) => view.setBigUint64(abi.SEGMENT_NUMBER_OFFSET, 9n, true)],
    ["names a predecessor that is not there", (view) => view.setBigUint64(abi.SEGMENT_PREDECESSOR_OFFSET, 7n, true)],
  ])("a header whose checksum holds and that %s is CORRUPTION", async (_, change) => {
    const forged = withSegment(log.segments, number, forgeHeader(bytes, change));
    expect(await faultOf(log, forged, "CORRUPTION")).toBeUndefined();
  });

  test.each<[string, (view: DataView) => void]>([
    ["the last epoch there is", (view) => view.setUint32(abi.SEGMENT_EPOCH_OFFSET, 2 ** 32 - 1, true)],
    ["versions near 2^53", (view) => view.setBigUint64(abi.SEGMENT_FIRST_VERSION_OFFSET, 2n ** 52n, true)],
    ["a position near 2^53", (view) => view.setBigUint64(abi.SEGMENT_POSITION_OFFSET, 2n ** 53n - 10n, true)],
  ])("a header whose checksum holds and that has %s is CORRUPTION", async (_, change) => {
    // Such a log opened, and took commits. The next epoch was 2^32, which is stored as 0, versions and positions were not
    // exact any more, and the open after that refused the database or did not find what it had acknowledged.
    const header = forgeHeader(bytes.slice(0, abi.SEGMENT_HEADER_BYTES), change);
    expect(await faultOf(log, withSegment(log.segments, number, header), "CORRUPTION")).toBeUndefined();
  });

  test("the oracle's checksum is CRC-32C", () => {
    expect(crc32c(new TextEncoder().encode("123456789"))).toBe(0xe3069283);
  });
});

test.each<[string, (view: DataView) => void]>([
  ["another number", (view) => view.setBigUint64(abi.SEGMENT_NUMBER_OFFSET, 4n, true)],
  ["a position in a log", (view) => view.setBigUint64(abi.CHECKPOINT_POSITION_OFFSET, 640n, true)],
  ["a log before it", (view) => view.setUint32(abi.CHECKPOINT_CHAIN_OFFSET, 7, true)],
])("an export that has %s is not imported", async (_, change) => {
  // It was imported and took commits, which went to segment 1 from position 0 on. The next open looked for the log where
  // the export said, and did not find or did not believe what had been acknowledged.
  const source = await Database.open({ durability: "in-memory", wasm });
  source.run("alpha").kv.put("k", 1);
  const pieces: Uint8Array[] = [];
  for await (const piece of source.export()) pieces.push(piece);
  const bytes = new Uint8Array(Buffer.concat(pieces));
  const storage = new ByteStorage(new Map(), 0);
  const error: unknown = await Database.import([forgeHeader(bytes, change)], { storage, wasm }).catch((e) => e);
  expect(error).toMatchObject({ code: "CORRUPTION", details: { offset: 0 } });
  expect((error as Error).message).toContain("goes on from no log");
  expect(storage.checkpoints.size + storage.segments.size).toBe(0);
});

test("a checkpoint of a log is not imported as if it were an export", async () => {
  // It was stored as an export that goes on from the log that it was made of, and took commits; the next open refused that.
  const place = new ByteStorage(new Map(), 0);
  const source = await Database.open({ storage: place, wasm });
  source.run("alpha").kv.put("k", 1);
  await source.checkpoint();
  const storage = new ByteStorage(new Map(), 0);
  const importing = Database.import([...place.checkpoints.values()], { storage, wasm });
  await expect(importing).rejects.toMatchObject({ code: "CORRUPTION", details: { offset: 0 } });
  expect(storage.checkpoints.size + storage.segments.size).toBe(0);
});

/** An export of nothing that says so many versions and commits, all its checksums right. */
async function exportWith(version: bigint, commits: bigint): Promise<Uint8Array> {
  const source = await Database.open({ durability: "in-memory", wasm });
  const pieces: Uint8Array[] = [];
  for await (const piece of source.export()) pieces.push(piece);
  const header = forgeHeader(new Uint8Array(Buffer.concat(pieces)), (view) => {
    view.setBigUint64(abi.CHECKPOINT_VERSION_OFFSET, version, true);
    view.setBigUint64(abi.CHECKPOINT_GIVEN_OFFSET, version, true);
    view.setBigUint64(abi.CHECKPOINT_COMMITS_OFFSET, commits, true);
  }).subarray(0, abi.SEGMENT_HEADER_BYTES);
  const previousCrc = new DataView(header.buffer).getUint32(abi.SEGMENT_CRC_OFFSET, true);
  const end = Buffer.concat(pieces).subarray(abi.SEGMENT_HEADER_BYTES);
  return new Uint8Array(Buffer.concat([header, forgeRecord(end, { version: Number(version), previousCrc })]));
}

test.each([
  [2n ** 52n, 1n],
  [2n ** 51n + 1n, 1n],
  [1n, 2n ** 52n],
])("an export that says %i versions and %i commits is not imported", async (version, commits) => {
  // It was imported and took commits, and the next open, or the one behind a checkpoint, refused what those were counted to.
  const storage = new ByteStorage(new Map(), 0);
  const error: unknown = await Database.import([await exportWith(version, commits)], { storage, wasm }).catch((e) => e);
  expect(error).toMatchObject({ code: "CORRUPTION", details: { offset: 0 } });
  expect((error as Error).message).toContain("The export is damaged: its versions or commits leave too few");
  expect(storage.checkpoints.size + storage.segments.size).toBe(0);
});

test("one that says the most that is imported can be written on, and opened again", async () => {
  const storage = new ByteStorage(new Map(), 0);
  let db = await Database.import([await exportWith(2n ** 51n, 2n ** 51n)], { storage, wasm });
  for (let round = 0; round < 3; round++) {
    db.run("alpha").kv.put(`k${round}`, round, { durability: "strict" });
    // What is opened next has found it killed.
    db = await Database.open({ storage, wasm });
    await db.checkpoint();
  }
  expect(db.run("alpha").kv.keys()).toEqual(["k0", "k1", "k2"]);
});

test.each<[string, (view: DataView) => void]>([
  ["flags", (view) => view.setUint32(abi.SEGMENT_FLAGS_OFFSET, 2, true)],
  ["a byte behind its fields", (view) => view.setUint8(abi.SEGMENT_CRC_OFFSET - 1, 1)],
  ["another length", (view) => view.setUint32(abi.SEGMENT_HEADER_BYTES_OFFSET, 256, true)],
])("a header whose checksum holds and that has %s is of a newer release", async (_, change) => {
  // What this release writes as 0 it did not look at, so that it would have read the log of a release that means something by
  // it as if it were its own, and have written behind it.
  const log = await damageLog({ bytes: 600, ending: "killed" });
  const [number, bytes] = [...log.segments][0] as [number, Uint8Array];
  const outcome = await openSegments(withSegment(log.segments, number, forgeHeader(bytes, change)), log.epoch);
  expect(outcome).toMatchObject({ kind: "refused", error: { code: "UNSUPPORTED", details: { segment: number } } });
  const source = await Database.open({ durability: "in-memory", wasm });
  const pieces: Uint8Array[] = [];
  for await (const piece of source.export()) pieces.push(piece);
  const forged = forgeHeader(new Uint8Array(Buffer.concat(pieces)), change);
  const error: unknown = await Database.import([forged], { storage: new ByteStorage(new Map(), 0), wasm }).catch(
    (e) => e,
  );
  expect(error).toMatchObject({ code: "UNSUPPORTED" });
});

describe("segments", () => {
  const small = { segmentBytesTarget: 300 };

  test("every missing segment but the last is CORRUPTION; without the last the log ends before it", async () => {
    const log = await damageLog({ bytes: 1500, ending: "killed", storage: small });
    const numbers = [...log.segments.keys()];
    expect(numbers.length).toBeGreaterThan(3);
    for (const missing of numbers.slice(0, -1)) {
      const rest = new Map([...log.segments].filter(([number]) => number !== missing));
      expect(await faultOf(log, rest, "CORRUPTION"), `without segment ${missing}`).toBeUndefined();
    }
    const last = numbers.at(-1) as number;
    const rest = new Map([...log.segments].filter(([number]) => number !== last));
    const commits = [...rest.values()].flatMap((bytes) => parseSegment(bytes).records).length;
    expect(await faultOf(log, rest, { commits, droppedBytes: 0 })).toBeUndefined();
  });

  test("a segment of another database, an older copy of one, and two that changed places are CORRUPTION", async () => {
    const log = await damageLog({ bytes: 1500, ending: "killed", storage: small });
    const other = await damageLog({ bytes: 1500, ending: "killed", storage: small });
    const [first, second, third] = [...log.segments.keys()] as [number, number, number];
    const at = (from: DamageLog, number: number): Uint8Array => from.segments.get(number) as Uint8Array;
    const foreign = withSegment(log.segments, second, at(other, second));
    expect(await faultOf(log, foreign, "CORRUPTION")).toBeUndefined();
    const lastForeign = new Map([...log.segments].slice(0, 1).concat([[second, at(other, second)]]));
    expect(await faultOf(log, lastForeign, "CORRUPTION")).toBeUndefined();
    const swapped = withSegment(withSegment(log.segments, second, at(log, third)), third, at(log, second));
    expect(await faultOf(log, swapped, "CORRUPTION")).toBeUndefined();
    const repeated = withSegment(log.segments, second, at(log, first));
    expect(await faultOf(log, repeated, "CORRUPTION")).toBeUndefined();
  });

  test.each<[string, (view: DataView) => void]>([
    ["is of another database", (view) => view.setUint8(abi.SEGMENT_DATABASE_OFFSET, 0x77)],
    ["follows another checksum", (view) => view.setUint32(abi.SEGMENT_PREDECESSOR_CRC_OFFSET, 0x5a5a5a5a, true)],
    ["follows a segment that is missing", (view) => view.setBigUint64(abi.SEGMENT_PREDECESSOR_OFFSET, 1n, true)],
    ["has an epoch older than its predecessor's", (view) => view.setUint32(abi.SEGMENT_EPOCH_OFFSET, 0, true)],
  ])("a segment without records whose header's checksum holds and that %s is CORRUPTION", async (_, change) => {
    // Nothing but the check of this one field can refuse it: there is no record behind it whose chain would break.
    const log = await damageLog({ bytes: 600, ending: "recovered" });
    const { storage } = await openSegments(log.segments, log.epoch);
    const [number, bytes] = [...storage.segments].at(-1) as [number, Uint8Array];
    const bare = new Map(storage.segments).set(number, bytes.slice(0, abi.SEGMENT_HEADER_BYTES));
    const emptied = forgeHeader(bare.get(number) as Uint8Array, (view) => {
      const end = view.getBigUint64(abi.SEGMENT_POSITION_OFFSET, true);
      view.setBigUint64(abi.SEGMENT_SYNCED_END_OFFSET, end, true);
    });
    const again = { ...log, epoch: storage.epoch };
    expect(await faultOf(again, bare.set(number, emptied), "unchanged")).toBeUndefined();
    expect(await faultOf(again, bare.set(number, forgeHeader(emptied, change)), "CORRUPTION")).toBeUndefined();
  });

  test("segments of nothing at all, of zeros, and of a text file are CORRUPTION", async () => {
    const log = await damageLog({ bytes: 600, ending: "killed", storage: small });
    const text = new TextEncoder().encode('{"event":"a line of JSON"}\n'.repeat(40));
    for (const content of [new Uint8Array(0), new Uint8Array(128), new Uint8Array(5000), text]) {
      for (const number of log.segments.keys()) {
        expect(await faultOf(log, withSegment(log.segments, number, content), "CORRUPTION")).toBeUndefined();
      }
    }
  });

  test("a segment that ends between two records, below what its header vouches for, is CORRUPTION", async () => {
    // Only a bad record made recovery look at the watermark, and a segment cut exactly between two has none. Read-only the
    // loss went unnoticed; for an owner the tail came out with a negative length, and a RangeError was all that was said.
    const log = await damageLog({ bytes: 900, ending: "recovered" });
    const [number, bytes] = [...log.segments].at(-1) as [number, Uint8Array];
    const { records, syncedEnd } = parseSegment(bytes);
    for (const record of records.filter(({ position }) => position < syncedEnd)) {
      const damaged = withSegment(log.segments, number, bytes.subarray(0, record.start));
      const reading = Database.open({ storage: new ByteStorage(damaged, log.epoch), wasm, readOnly: true });
      const error: unknown = await reading.then(() => "opened, and what is lost had been synced").catch((e) => e);
      expect(HoldfastError.is(error, "CORRUPTION"), String(error)).toBe(true);
      expect(await faultOf(log, damaged, "CORRUPTION")).toBeUndefined();
    }
  });

  test("logs whose lock was lost go on under a higher epoch than their own", async () => {
    // Restoring the segments without the lock files made the next owner begin at epoch 1 again. Its segment then had
    // an older epoch than its predecessor, and the open after that refused the whole database as damaged.
    const log = await damageLog({ bytes: 900, ending: "recovered, written on" });
    const first = await openSegments(log.segments, 0);
    expect(first.kind === "opened" && first.state).toEqual(log.states.at(-1));
    const second = await openSegments(first.storage.segments, 1);
    expect(second.kind === "refused" ? String(second.error) : second.state).toEqual(log.states.at(-1));
  });
});

/** A storage whose `at`th call on a session ends the process, or fails: before it takes effect, or after. */
function breaking(disk: SimulatedDisk, at: number, how: "fail" | "kill" | "power", when: "before" | "after"): Storage {
  const storage = disk.storage({ segmentBytesTarget: 300 });
  let calls = 0;
  const end = (): HoldfastError => {
    if (how !== "fail") disk.crash({ kind: how });
    return new HoldfastError("STORE_FAILED", `call ${at} was made to fail`);
  };
  const wrap = (session: StorageSession): StorageSession =>
    new Proxy(session, {
      get(target, name) {
        const member: unknown = Reflect.get(target, name, target);
        if (typeof member !== "function" || name === "close") {
          return typeof member === "function" ? member.bind(target) : member;
        }
        const isHit = (): boolean => ++calls === at;
        if (String(name).endsWith("Sync")) {
          return (...given: unknown[]) => {
            const hit = isHit();
            if (hit && when === "before") throw end();
            Reflect.apply(member, target, given);
            if (hit) throw end();
          };
        }
        return async (...given: unknown[]) => {
          const hit = isHit();
          if (hit && when === "before") throw end();
          const result: unknown = await Reflect.apply(member, target, given);
          if (hit) throw end();
          return result;
        };
      },
    });
  return { capabilities: storage.capabilities, open: async (options) => wrap(await storage.open(options)) };
}

describe("recovery that is interrupted", () => {
  /** A disk after a kill: closed segments, a tail above the watermark, and half a record behind it. */
  async function killedDisk(): Promise<{ disk: SimulatedDisk; state: ReturnType<typeof stateOf>; synced: unknown }> {
    const disk = new SimulatedDisk({ seed: 11 });
    const db = await Database.open({ storage: disk.storage({ segmentBytesTarget: 300 }), wasm });
    const { kv } = db.run("alpha");
    for (let i = 0; i < 12; i++) kv.put(`k${i % 5}`, i);
    const synced = stateOf(db);
    for (let i = 0; i < 3; i++) kv.put(`late${i}`, i, { durability: "buffered" });
    const state = stateOf(db);
    disk.failNext("appendSync", "STORE_FAILED", { afterBytes: 60 });
    expect(() => kv.put("torn", "x".repeat(100), { durability: "buffered" })).toThrow();
    disk.crash({ kind: "kill" });
    return { disk, state, synced };
  }

  test("opening again and again gives the same state", async () => {
    const { disk, state } = await killedDisk();
    for (let i = 0; i < 5; i++) {
      const db = await Database.open({ storage: disk.storage({ segmentBytesTarget: 300 }), wasm });
      expect(stateOf(db)).toEqual(state);
      expect(db.verify()).toEqual({ valid: true });
      disk.crash({ kind: i % 2 === 0 ? "kill" : "power" });
    }
  });

  test("by a failure or a kill at any call: opening again gives the whole state", async () => {
    let at = 1;
    for (let finished = false; !finished; at++) {
      for (const how of ["fail", "kill"] as const) {
        for (const when of ["before", "after"] as const) {
          const { disk, state } = await killedDisk();
          const opened = await Database.open({ storage: breaking(disk, at, how, when), wasm }).catch((error) => error);
          finished = opened instanceof Database;
          if (finished) disk.crash({ kind: "kill" });
          else expect(HoldfastError.is(opened), String(opened)).toBe(true);
          const db = await Database.open({ storage: disk.storage({ segmentBytesTarget: 300 }), wasm });
          expect(stateOf(db), `call ${at}, ${how} ${when}`).toEqual(state);
          expect(db.verify()).toEqual({ valid: true });
        }
      }
    }
    expect(at).toBeGreaterThan(10);
  });

  test("by a power cut at any call: what was synced is there, and what follows is a prefix", async () => {
    for (let at = 1, finished = false; !finished; at++) {
      const { disk, state } = await killedDisk();
      const opened = await Database.open({ storage: breaking(disk, at, "power", "after"), wasm }).catch(
        () => undefined,
      );
      finished = opened !== undefined;
      if (finished) disk.crash({ kind: "power" });
      const db = await Database.open({ storage: disk.storage({ segmentBytesTarget: 300 }), wasm });
      const { alpha } = stateOf(db);
      const late = Object.keys(alpha ?? {}).filter((key) => key.startsWith("late"));
      expect(late).toEqual(["late0", "late1", "late2"].slice(0, late.length));
      const kept = Object.entries(state["alpha"] ?? {}).filter(
        ([key]) => !key.startsWith("late") || late.includes(key),
      );
      expect(alpha).toEqual(Object.fromEntries(kept));
      if (finished) expect(late.length, "what an open database has shown is durable").toBe(3);
    }
  });
});

describe("versions after a crash", () => {
  test("a version that was lost is not given again, however often the process dies", async () => {
    // Recovery raised the counter by 2^20 in memory only. A process that died again before anything of it was durable
    // left the next one to raise the same counter by the same amount, and a remembered ifVersion matched another value.
    const disk = new SimulatedDisk({ seed: 3 });
    const open = (): Promise<Database> => Database.open({ storage: disk.storage(), wasm });
    let db = await open();
    db.run("alpha").kv.put("k", "first");
    const given = new Set<number>();
    for (let life = 0; life < 4; life++) {
      disk.crash({ kind: "kill" });
      db = await open();
      const version = db.run("alpha").kv.put("k", `life ${life}`, { durability: "in-memory" });
      expect(given.has(version), `version ${version} was given before`).toBe(false);
      given.add(version);
    }
  });

  test("nor after a clean end, by an owner that died before it wrote anything", async () => {
    // After a clean close the log ends closed, and an owner that only made deferred commits leaves it so. When it died,
    // the next one took the log for cleanly closed and gave the same versions to other values.
    const disk = new SimulatedDisk({ seed: 3 });
    const open = (): Promise<Database> => Database.open({ storage: disk.storage(), wasm });
    let db = await open();
    db.run("alpha").kv.put("k", "first");
    await db.close();
    db = await open();
    const lost = db.run("alpha").kv.put("k", "deferred", { durability: "in-memory" });
    disk.crash({ kind: "kill" });
    db = await open();
    expect(db.run("alpha").kv.put("k", "another", { durability: "in-memory" })).not.toBe(lost);
  });

  test.each(["closed", "imported"])(
    "nor where the lock that counts owners was lost, of a database that was %s",
    async (how) => {
      // Each owner had the epoch above the log's, and took it that nobody had been there before.
      const given: (number | string)[] = [];
      const give = (db: Database): void => {
        const run = db.run("alpha");
        given.push(run.kv.put("k", given.length, { durability: "in-memory" }));
        given.push(`node ${run.graph.addNode("node", {}, { durability: "in-memory" })}`);
      };
      const place = new ByteStorage(new Map(), 0);
      const before = await Database.open({ storage: how === "closed" ? place : new ByteStorage(new Map(), 0), wasm });
      before.run("alpha").graph.addNode("node");
      if (how === "imported") give(await Database.import(before.export(), { storage: place, wasm }));
      await before.close();
      const storage = new ByteStorage(place.segments, 0, place.checkpoints);
      for (let life = 0; life < 5; life++) {
        const db = await Database.open({ storage, wasm });
        give(db);
        expect(db.verify()).toEqual({ valid: true });
        // One of them ends well; the others are killed.
        if (life === 2) await db.close();
      }
      expect(new Set(given).size).toBe(given.length);
    },
  );
});
