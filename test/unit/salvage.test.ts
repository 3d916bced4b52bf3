/**
 * Opening a damaged log with `salvage`: what stands before the damage, and never anything else.
 */
import { isDeepStrictEqual } from "node:util";
import { describe, expect, it } from "vitest";
import type { Storage } from "../../src/adapters/storage.js";
import { VERSION_GAP_AFTER_CRASH } from "../../src/host/abi.js";
import { Database, HoldfastError } from "../../src/index.js";
import { ByteStorage } from "../support/byte-storage.js";
import { type DamageLog, type DamageLogOptions, damageLog, type State, stateOf, wasm } from "../support/damage-logs.js";
import { SimulatedDisk } from "../support/simulated-storage.js";

const LOGS: Record<string, DamageLogOptions> = {
  closed: { bytes: 3000, ending: "closed" },
  "with an unsynced tail": { bytes: 3000, ending: "buffered tail" },
  "of several segments": { bytes: 3000, ending: "closed", storage: { segmentBytesTarget: 700 } },
};
/** Bits from one flip to the next: a number that meets every bit of a byte. */
const STRIDE = 37;

interface Opening {
  readonly state: State | undefined;
  readonly code: string | undefined;
  readonly damage: HoldfastError | undefined;
}

async function openedWith(storage: Storage, options: { readOnly: boolean; salvage?: boolean }): Promise<Opening> {
  try {
    const db = await Database.open({ storage, wasm, ...options });
    try {
      return { state: stateOf(db), code: undefined, damage: db.storageInfo.salvaged?.damage };
    } finally {
      await db.close();
    }
  } catch (error) {
    if (!HoldfastError.is(error)) throw error;
    return { state: undefined, code: error.code, damage: undefined };
  }
}

/** How many commits a state is after; −1 for none of them. */
function commitsOf(log: DamageLog, state: State | undefined): number {
  return log.states.findIndex((each) => isDeepStrictEqual(each, state));
}

describe.each(Object.entries(LOGS))("a log %s", (_name, options) => {
  it("gives up what stands before a flipped bit, and says where it ends", async () => {
    const log = await damageLog(options);
    let salvaged = 0;
    for (const [number, bytes] of log.segments) {
      let least = 0;
      for (let bit = 0; bit < bytes.length * 8; bit += STRIDE) {
        const damaged = bytes.slice();
        damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7));
        const segments = new Map([...log.segments, [number, damaged]]);
        const plain = await openedWith(new ByteStorage(segments, log.epoch), { readOnly: true });
        const found = await openedWith(new ByteStorage(segments, log.epoch), { readOnly: true, salvage: true });
        expect(found.code, `bit ${bit} of segment ${number}`).toBeUndefined();
        const commits = commitsOf(log, found.state);
        expect(commits, `the state with bit ${bit} of segment ${number}`).toBeGreaterThanOrEqual(0);
        if (plain.code === undefined) {
          expect([found.state, found.damage]).toEqual([plain.state, undefined]);
          continue;
        }
        expect(plain.code).toBe("CORRUPTION");
        expect(found.damage?.code).toBe("CORRUPTION");
        expect(found.damage?.details).toHaveProperty("segment");
        // The further back the damage, the more is had.
        expect(commits).toBeGreaterThanOrEqual(least);
        least = commits;
        salvaged++;
      }
    }
    expect(salvaged).toBeGreaterThan(100);
  });
});

/** A storage of which one byte of one segment cannot be read, as of a disk with a bad sector: what stands before it can. */
function withBadByte(log: Pick<DamageLog, "segments" | "epoch">, segment: number, bad: number): Storage {
  const storage = new ByteStorage(log.segments, log.epoch);
  return {
    capabilities: storage.capabilities,
    open: async () => {
      const session = await storage.open();
      const read = async (number: number, offset: number, into: Uint8Array): Promise<number> => {
        if (number !== segment || offset > bad) return session.read(number, offset, into);
        if (offset === bad) throw new HoldfastError("STORE_FAILED", "a bad sector");
        return session.read(number, offset, into.subarray(0, bad - offset));
      };
      return Object.assign(Object.create(session), { read });
    },
  };
}

describe.each(Object.entries(LOGS))("a log %s, a sector of which cannot be read", (_name, options) => {
  it("is refused, and gives up what stands before that one, and says where it is", async () => {
    const log = await damageLog(options);
    let before = 0;
    for (const [number, bytes] of log.segments) {
      let least = before;
      for (let bad = 0; bad < bytes.length; bad += STRIDE) {
        const what = `byte ${bad} of segment ${number}`;
        const place = { segment: number, offset: bad };
        const opening = Database.open({ storage: withBadByte(log, number, bad), wasm });
        await expect(opening, what).rejects.toMatchObject({ code: "STORE_FAILED", details: place });
        const found = await openedWith(withBadByte(log, number, bad), { readOnly: true, salvage: true });
        expect(found.damage, what).toMatchObject({ code: "STORE_FAILED", details: place });
        expect(found.damage?.message).toContain(`Segment ${number} could not be read at byte ${bad}`);
        const commits = commitsOf(log, found.state);
        expect(commits, what).toBeGreaterThanOrEqual(least);
        least = commits;
      }
      expect(least).toBeGreaterThan(before);
      before = least;
    }
    // Only the last commit and the end of the log can be behind the last sector that was tried.
    expect(before).toBeGreaterThanOrEqual(log.states.length - 3);
  });
});

it("on a disk that fails to read from some call on, gives what it has read by then", async () => {
  const disk = new SimulatedDisk({ seed: 5 });
  const db = await Database.open({ storage: disk.storage({ segmentBytesTarget: 300 }), wasm });
  for (let i = 0; i < 12; i++) db.run("alpha").kv.put(`k${i}`, i);
  await db.close();
  const segments = disk.segmentNumbers();
  let entries = 0;
  // First the headers are read, and then the records of each.
  for (let after = 0; after < segments.length * 2; after++) {
    disk.failNext("read", "STORE_FAILED", { after, times: 1 });
    const found = await Database.open({ storage: disk.storage(), wasm, readOnly: true, salvage: true });
    expect(found.storageInfo.salvaged?.damage).toMatchObject({
      code: "STORE_FAILED",
      details: { segment: segments[after % segments.length] },
    });
    if (after >= segments.length) {
      expect(found.run("alpha").kv.count()).toBeGreaterThanOrEqual(entries);
      entries = found.run("alpha").kv.count();
    }
    await found.close();
  }
  expect(entries).toBeGreaterThan(8);
});

it("refuses a checkpoint that cannot be read, with the place", async () => {
  const disk = new SimulatedDisk({ seed: 6 });
  const db = await Database.open({ storage: disk.storage(), wasm });
  db.run("alpha").kv.put("k", 1);
  await db.checkpoint();
  await db.close();
  disk.failNext("readCheckpoint", "STORE_FAILED");
  const opening = Database.open({ storage: disk.storage(), wasm, readOnly: true, salvage: true });
  await expect(opening).rejects.toMatchObject({ code: "STORE_FAILED", details: { checkpoint: 2, offset: 0 } });
});

it("is what it is elsewhere where nothing is damaged, and takes no writes", async () => {
  const log = await damageLog({ bytes: 2000, ending: "closed" });
  const db = await Database.open({
    storage: new ByteStorage(log.segments, log.epoch),
    wasm,
    readOnly: true,
    salvage: true,
  });
  expect(stateOf(db)).toEqual(log.states.at(-1));
  expect(db.storageInfo.salvaged).toBeUndefined();
  expect(() => db.run("alpha").kv.put("k", 1)).toThrowError(expect.objectContaining({ code: "READ_ONLY" }));
  await db.close();
});

it("gives what was salvaged on as an export", async () => {
  const log = await damageLog({ bytes: 2000, ending: "closed" });
  const [number, bytes] = [...log.segments][0] as [number, Uint8Array];
  const damaged = bytes.slice();
  damaged[bytes.length >> 1] = (damaged[bytes.length >> 1] as number) ^ 1;
  const storage = new ByteStorage(new Map([...log.segments, [number, damaged]]), log.epoch);
  const db = await Database.open({ storage, wasm, readOnly: true, salvage: true });
  const copy = await Database.import(db.export(), { durability: "in-memory", wasm });
  expect(stateOf(copy)).toEqual(stateOf(db));
  expect(commitsOf(log, stateOf(copy))).toBeGreaterThan(0);
  await copy.close();
  await db.close();
});

describe("an import of what was salvaged", () => {
  /** What is got out of a log of which the last commits are lost: two of one key, and one of nodes of a graph. */
  async function salvagedExport(): Promise<{ pieces: Uint8Array[]; lostVersion: number; lostId: number }> {
    const place = new ByteStorage(new Map(), 0);
    const db = await Database.open({ storage: place, wasm });
    const { kv, graph } = db.run("alpha");
    kv.put("key", "kept");
    graph.addNode("kept");
    const keptBytes = place.segments.get(1)?.length ?? 0;
    // More ids than an opening leaves out anyway.
    const lostId = db.run("alpha").transaction((tx) => {
      let id = 0;
      for (let i = 0; i < 600; i++) id = tx.graph.addNode("lost");
      return id;
    });
    const lostVersion = kv.put("key", "lost");
    expect(graph.nodeCount()).toBe(601);
    const storage = withBadByte({ segments: place.segments, epoch: 1 }, 1, keptBytes);
    const salvaged = await Database.open({ storage, wasm, readOnly: true, salvage: true });
    const pieces: Uint8Array[] = [];
    for await (const piece of salvaged.export()) pieces.push(piece);
    expect(salvaged.run("alpha").graph.nodeCount()).toBe(1);
    expect(salvaged.version).toBeLessThan(lostVersion);
    await salvaged.close();
    return { pieces, lostVersion, lostId };
  }

  it("gives no version and no id that was lost to anything else", async () => {
    const { pieces, lostVersion, lostId } = await salvagedExport();
    const copy = await Database.import(pieces, { durability: "in-memory", wasm });
    const { kv, graph } = copy.run("alpha");
    expect(kv.getVersioned("key")).toEqual({ value: "kept", version: 1 });
    expect(kv.put("key", "later")).toBe(2 + VERSION_GAP_AFTER_CRASH + 1);
    expect(() => kv.put("key", "too late", { ifVersion: lostVersion })).toThrowError(
      expect.objectContaining({ code: "VERSION_MISMATCH" }),
    );
    expect(graph.addNode("later")).toBeGreaterThan(lostId);
    await copy.close();
  });

  /** Segments of two owners, the first of whom was killed. Nothing of what the second has committed is found in what is read. */
  async function twoOwners(): Promise<{ place: ByteStorage; lost: number; lostVersion: number; lostId: number }> {
    const place = new ByteStorage(new Map(), 0);
    const first = await Database.open({ storage: place, wasm });
    first.run("alpha").kv.put("key", "kept");
    first.run("alpha").graph.addNode("kept");
    const second = await Database.open({ storage: place, wasm });
    const lost = place.segments.get(2)?.length ?? 0;
    const { kv, graph } = second.run("alpha");
    const lostVersion = kv.put("key", "lost");
    const lostId = graph.addNode("lost");
    return { place, lost, lostVersion, lostId };
  }

  it.each([
    ["behind what the first owner left", (lost: number) => lost, 1],
    ["in the header of the second owner's segment", () => 8, 2],
  ])("gives none of the second owner's again where a sector is bad %s", async (_where, badOf, gaps) => {
    // The second owner's began 2^20 above what was found, and there an import went on.
    const { place, lost, lostVersion, lostId } = await twoOwners();
    const storage = withBadByte({ segments: place.segments, epoch: place.epoch }, 2, badOf(lost));
    const salvaged = await Database.open({ storage, wasm, readOnly: true, salvage: true });
    expect(salvaged.storageInfo.salvaged?.damage).toMatchObject({ details: { segment: 2 } });
    expect(salvaged.run("alpha").kv.getVersioned("key")).toEqual({ value: "kept", version: 1 });
    const copy = await Database.import(salvaged.export(), { durability: "in-memory", wasm });
    const { kv, graph } = copy.run("alpha");
    expect(kv.put("key", "later")).toBe(2 + (gaps + 1) * VERSION_GAP_AFTER_CRASH + 1);
    expect(() => kv.put("key", "too late", { ifVersion: lostVersion })).toThrowError(
      expect.objectContaining({ code: "VERSION_MISMATCH" }),
    );
    expect(graph.addNode("later")).toBeGreaterThan(lostId);
    await copy.close();
    await salvaged.close();
  });

  it("gives none of the second owner's again where what that had written was torn off, and a reader exports", async () => {
    const { place, lost, lostVersion, lostId } = await twoOwners();
    const torn = (place.segments.get(2) as Uint8Array).subarray(0, lost);
    const storage = new ByteStorage(new Map([...place.segments, [2, torn]]), place.epoch);
    const reader = await Database.open({ storage, wasm, readOnly: true });
    expect(reader.run("alpha").kv.getVersioned("key")).toEqual({ value: "kept", version: 1 });
    const copy = await Database.import(reader.export(), { durability: "in-memory", wasm });
    expect(copy.run("alpha").kv.put("key", "later")).toBeGreaterThan(lostVersion);
    expect(copy.run("alpha").graph.addNode("later")).toBeGreaterThan(lostId);
    await copy.close();
    await reader.close();
  });

  it.each([
    ["closed at once", () => {}],
    ["closed after something was written", (db: Database) => void db.run("alpha").kv.put("other", 1)],
    ["closed after a checkpoint", (db: Database) => void db.run("beta").kv.put("other", 1)],
  ])("gives none to anything else after it was %s and opened again", async (how, write) => {
    const { pieces, lostVersion, lostId } = await salvagedExport();
    const disk = new SimulatedDisk({ seed: 8 });
    const copy = await Database.import(pieces, { storage: disk.storage(), wasm });
    write(copy);
    if (how.includes("checkpoint")) await copy.checkpoint();
    await copy.close();
    const again = await Database.open({ storage: disk.storage(), wasm });
    expect(again.storageInfo.recovered).toBeUndefined();
    expect(again.run("alpha").kv.put("key", "later")).toBeGreaterThan(lostVersion);
    expect(again.run("alpha").graph.addNode("later")).toBeGreaterThan(lostId);
    await again.close();
  });
});

it("gives no id of a graph that a crash has lost, also where the next owner left the graph alone and closed", async () => {
  const disk = new SimulatedDisk({ seed: 9 });
  const db = await Database.open({ storage: disk.storage(), wasm });
  db.run("alpha").graph.addNode("kept");
  const lost: number[] = [];
  for (const id of ["alpha", "never there"]) {
    db.run(id).transaction(
      ({ graph }) => {
        for (let i = 0; i < 600; i++) lost.push(graph.addNode("lost"));
      },
      { durability: "in-memory" },
    );
  }
  disk.crash({ kind: "kill" });
  const next = await Database.open({ storage: disk.storage(), wasm });
  expect(next.run("alpha").graph.nodeCount()).toBe(1);
  next.run("beta").kv.put("k", 1);
  await next.checkpoint();
  await next.close();
  const again = await Database.open({ storage: disk.storage(), wasm });
  expect(again.storageInfo.recovered).toBeUndefined();
  for (const id of ["alpha", "never there"]) {
    expect(again.run(id).graph.addNode("later"), id).toBeGreaterThan(Math.max(...lost));
  }
  // Where nothing can have been lost, none are left out but those of a block.
  await again.close();
  const last = await Database.open({ storage: disk.storage(), wasm });
  const [, newest = 0] = last
    .run("alpha")
    .graph.nodes()
    .map(({ id }) => id);
  expect(last.run("alpha").graph.addNode("last") - newest).toBeLessThan(2 * 256 * 16);
  await last.close();
});

it("only reads", async () => {
  const opening = Database.open({ durability: "in-memory", salvage: true, wasm });
  await expect(opening).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
});
