/**
 * How long the records of checkpoints and exports are: short, whatever has been read or written before.
 */
import { afterEach, describe, expect, test } from "vitest";
import * as abi from "../../src/host/abi.js";
import { Database } from "../../src/index.js";
import { bareCore } from "../support/bare-core.js";
import { BUILDS, type Build, moduleOf, SHARED, SINGLE } from "../support/builds.js";
import { ByteStorage } from "../support/byte-storage.js";
import { crc32c, forgeRecord, recordCrc } from "../support/log-oracle.js";
import { randomFrom } from "../support/seeded-random.js";

const VALUE = new Uint8Array(4096).fill(7);
/** So many of these values are a transaction whose record is all but the longest that there is. */
const MOST = 8159;

const opened: Database[] = [];
afterEach(async () => {
  for (const db of opened.splice(0)) await db.close().catch(() => {});
});

async function open(storage: ByteStorage | undefined, { shared }: Build = SINGLE): Promise<Database> {
  const wasm = await moduleOf(shared ? SHARED : SINGLE);
  const place =
    storage === undefined ? { durability: "in-memory" as const } : { storage, durability: "buffered" as const };
  const db = await Database.open({ wasm, shared, ...place });
  opened.push(db);
  return db;
}

/** Closes a database and opens what it has stored. */
async function reopen(db: Database, storage: ByteStorage, build?: Build): Promise<Database> {
  await db.close();
  return open(storage, build);
}

/** Puts so many values in one transaction. */
function fill(db: Database, prefix: string, count: number): void {
  db.run("r").transaction((tx) => {
    for (let i = 0; i < count; i++) tx.kv.put(prefix + i, VALUE);
  });
}

/** The records of a checkpoint or an export. */
function recordsOf(bytes: Uint8Array): Uint8Array[] {
  const records: Uint8Array[] = [];
  for (let at = abi.SEGMENT_HEADER_BYTES; at < bytes.length; ) {
    const record = bytes.subarray(at, at + lengthIn(bytes, at));
    records.push(record);
    at += record.length;
  }
  return records;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

const lengthIn = (bytes: Uint8Array, at: number): number =>
  viewOf(bytes).getUint32(at + abi.RECORD_LENGTH_OFFSET, true);
const entriesIn = (record: Uint8Array): number => viewOf(record).getUint32(abi.RECORD_OPERATIONS_OFFSET, true);

/** The length of the longest record that holds more than one entry. */
function longestOf(bytes: Uint8Array): number {
  return Math.max(...recordsOf(bytes).map((record) => (entriesIn(record) > 1 ? record.length : 0)));
}

function checkpointIn(storage: ByteStorage): Uint8Array {
  expect(storage.checkpoints.size).toBe(1);
  return [...storage.checkpoints.values()][0] as Uint8Array;
}

async function exportOf(db: Database): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of db.export()) pieces.push(piece);
  return new Uint8Array(Buffer.concat(pieces));
}

/** The same export of one run with records as long as a reader takes them. */
function withLongRecords(bytes: Uint8Array): Uint8Array {
  const records = recordsOf(bytes);
  const end = records.pop() as Uint8Array;
  const bodyAt = abi.RECORD_HEADER_BYTES + viewOf(end).getUint16(abi.RECORD_RUN_BYTES_OFFSET, true) + "r".length;
  const joined: Uint8Array[][] = [[]];
  let length = bodyAt + abi.RECORD_TRAILER_BYTES;
  for (const record of records) {
    const body = record.length - bodyAt - abi.RECORD_TRAILER_BYTES;
    if (length + body > abi.RECORD_BYTES_MAX) {
      joined.push([]);
      length = bodyAt + abi.RECORD_TRAILER_BYTES;
    }
    joined.at(-1)?.push(record);
    length += body;
  }
  const made: Uint8Array[] = [bytes.slice(0, abi.SEGMENT_HEADER_BYTES)];
  let previousCrc = viewOf(bytes).getUint32(abi.SEGMENT_CRC_OFFSET, true);
  let position = 0;
  for (const parts of [...joined.map((part) => joinedRecord(part, bodyAt)), end]) {
    const record = forgeRecord(parts, { position, previousCrc });
    made.push(record);
    previousCrc = recordCrc(record);
    position += record.length;
  }
  return new Uint8Array(Buffer.concat(made));
}

/** Records of one run as one, its checksums aside. */
function joinedRecord(records: readonly Uint8Array[], bodyAt: number): Uint8Array {
  const bodies = records.map((record) => record.subarray(bodyAt, -abi.RECORD_TRAILER_BYTES));
  const head = (records[0] as Uint8Array).subarray(0, bodyAt);
  const joined = new Uint8Array(Buffer.concat([head, ...bodies, new Uint8Array(abi.RECORD_TRAILER_BYTES)]));
  const view = viewOf(joined);
  view.setUint32(abi.RECORD_LENGTH_OFFSET, joined.length, true);
  const entries = records.reduce((sum, record) => sum + entriesIn(record), 0);
  view.setUint32(abi.RECORD_OPERATIONS_OFFSET, entries, true);
  return joined;
}

// What a record was read with stayed, and a checkpoint filled all of it: with a record that no reader takes. The log before it
// was removed, and the next open refused the whole database.
describe("a database opens from a checkpoint that is made", () => {
  test("after a record of the greatest length was read", async () => {
    const storage = new ByteStorage(new Map(), 0);
    let db = await open(storage);
    fill(db, "a", MOST);
    fill(db, "b", MOST);
    db = await reopen(db, storage);
    await db.checkpoint();
    expect(longestOf(checkpointIn(storage))).toBeLessThanOrEqual(abi.CHECKPOINT_RECORD_BYTES_MAX);
    db = await reopen(db, storage);
    expect(db.run("r").kv.count()).toBe(2 * MOST);
  });

  test("after others were, each after the one before was read", async () => {
    const storage = new ByteStorage(new Map(), 0);
    let db = await open(storage, SHARED);
    fill(db, "large", 2500);
    for (let i = 0; i < 40; i++) fill(db, `${i}.`, 256);
    for (let round = 0; round < 2; round++) {
      db = await reopen(db, storage, SHARED);
      fill(db, "round", round + 1);
      await db.checkpoint();
      expect(longestOf(checkpointIn(storage))).toBeLessThanOrEqual(abi.CHECKPOINT_RECORD_BYTES_MAX);
    }
    db = await reopen(db, storage, SHARED);
    expect(db.run("r").kv.count()).toBe(2500 + 40 * 256 + 2);
  });
});

test("what was imported from an export with long records is stored, and exported again, with short ones", async () => {
  const source = await open(undefined);
  fill(source, "a", MOST);
  fill(source, "b", MOST);
  const long = withLongRecords(await exportOf(source));
  expect(longestOf(long)).toBeGreaterThan(abi.RECORD_BYTES_MAX - 200_000);
  const storage = new ByteStorage(new Map(), 0);
  const wasm = await moduleOf(SINGLE);
  const imported = await Database.import([long], { storage, wasm });
  opened.push(imported);
  expect(longestOf(checkpointIn(storage))).toBeLessThanOrEqual(abi.CHECKPOINT_RECORD_BYTES_MAX);
  expect(longestOf(await exportOf(imported))).toBeLessThanOrEqual(abi.CHECKPOINT_RECORD_BYTES_MAX);
  const again = await reopen(imported, storage);
  expect(again.run("r").kv.count()).toBe(2 * MOST);
});

describe("entries of any length", () => {
  /** Values of few bytes to the most there can be, in several runs and tables. */
  function write(db: Database, seed: number): void {
    const random = randomFrom(seed);
    const most = abi.CHECKPOINT_RECORD_BYTES_MAX;
    const sizes = [0, 100, 5000, most / 2, most - 200, most - 60, most, most + 1, 3 * most];
    for (let i = 0; i < 200; i++) {
      const size = Math.floor((sizes[Math.floor(random() * sizes.length)] as number) * random());
      const run = db.run(`run ${i % 3}`);
      if (i % 5 === 0) run.events.append("note", new Uint8Array(size));
      else run.kv.put(`key ${i}`, new Uint8Array(size).fill(i));
    }
    db.run("run 0").kv.put("x".repeat(abi.KEY_BYTES_MAX), new Uint8Array(abi.VALUE_BYTES_MAX - 8).fill(1));
  }

  /** Everything that is there, each value as its checksum. */
  function contentsOf(db: Database): unknown {
    return [0, 1, 2].map((i) => {
      const { kv, events } = db.run(`run ${i}`);
      const payloads = [...events.range()].map(({ payload }) => crc32c(payload as Uint8Array));
      return [kv.list().map(([key, value]) => [key, crc32c(value as Uint8Array)]), payloads];
    });
  }

  test.each([1, 2])("are whole in an export, its records short, whatever room there is: seed %i", async (seed) => {
    const db = await open(undefined);
    write(db, seed);
    const bytes = await exportOf(db);
    expect(longestOf(bytes)).toBeLessThanOrEqual(abi.CHECKPOINT_RECORD_BYTES_MAX);
    const copy = await Database.import([bytes], { wasm: await moduleOf(SINGLE), durability: "in-memory" });
    opened.push(copy);
    // What the largest value has made room for stays.
    const second = await exportOf(copy);
    expect(longestOf(second)).toBeLessThanOrEqual(abi.CHECKPOINT_RECORD_BYTES_MAX);
    const third = await Database.import([second], { wasm: await moduleOf(SINGLE), durability: "in-memory" });
    opened.push(third);
    expect(contentsOf(third)).toEqual(contentsOf(db));
  });
});

test.each(BUILDS)("an empty store has the room that such a record is read back with: $name", async (build) => {
  const { core } = await bareCore(build);
  expect(core.valueCapacity).toBeGreaterThanOrEqual(abi.CHECKPOINT_RECORD_BYTES_MAX);
});
