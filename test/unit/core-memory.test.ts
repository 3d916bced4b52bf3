/**
 * What the core does with memory: growth that is refused changes nothing, splits move little, and overwriting takes nothing.
 */
import { describe, expect, it } from "vitest";
import { STATUS_STORE_FULL } from "../../src/host/abi.js";
import { encodeKey, encodeValue } from "../../src/host/codec.js";
import type { Core, RunHandle } from "../../src/host/core.js";
import { Database } from "../../src/index.js";
import { bareCore, get, put, runOf } from "../support/bare-core.js";
import { BUILDS, type Build, moduleOf, SHARED_DEBUG, SINGLE, SINGLE_DEBUG } from "../support/builds.js";

const MOVED_MAX = 512;

function open(build: Build): Promise<Database> {
  return moduleOf(build).then((wasm) =>
    Database.open({ wasm, shared: build.shared, durability: "in-memory", maxBytes: 256 * 1024 * 1024 }),
  );
}

function begin(core: Core, run: RunHandle): RunHandle {
  const pointer = core.begin(run.pointer, run.generation, 0);
  return { pointer, generation: core.begunGeneration() };
}

function writeIn(core: Core, { pointer, generation }: RunHandle, key: string, value: string): number {
  core.renew();
  const valueBytes = encodeValue(value, core);
  return core.transactionPut(pointer, generation, 0, encodeKey(key, core), valueBytes);
}

/** Uses up what memory there is, so that whatever comes next has to grow. */
function fill(core: Core): void {
  const filler = runOf(core, "filler");
  for (const bytes of [30_000, 900, 10]) {
    for (let i = 0, version = 1; version > 0; i++) {
      core.refuseGrowth(1);
      version = put(core, filler, `${bytes} ${i}`, "f".repeat(bytes));
    }
  }
  core.refuseGrowth(0);
}

describe.each([SINGLE_DEBUG, SHARED_DEBUG])("growth refused in the $name build", (build) => {
  it.each([1, 2, 3, 4, 5])("at the %ith time leaves a put without a trace", async (count) => {
    const { core } = await bareCore(build);
    const run = runOf(core, "r");
    core.refuseGrowth(count);
    let refused = 0;
    // Sizes that differ make every part of memory grow: tables, size classes, whole extents.
    for (let i = 0; i < 4000 && refused === 0; i++) {
      const before = { live: core.liveEntries, version: core.version() };
      const value = "v".repeat(i % 7 === 0 ? 40_000 : i % 300);
      const version = put(core, run, `key ${i}`, value);
      if (version > 0) continue;
      refused++;
      expect(-version).toBe(STATUS_STORE_FULL);
      expect({ live: core.liveEntries, version: core.version() }).toEqual(before);
      expect(get(core, run, `key ${i}`)).toBeUndefined();
      expect(core.verify()).toBe(0);
      core.refuseGrowth(0);
      expect(put(core, run, `key ${i}`, value), "the next growth is granted").toBe(before.version + 1);
    }
    expect(refused).toBe(1);
    expect(core.verify()).toBe(0);
  });

  it.each([1, 2, 3, 4])("at the %ith time leaves a transaction of many writes without a trace", async (count) => {
    const { core } = await bareCore(build);
    const run = runOf(core, "r");
    for (let i = 0; i < 500; i += 2) put(core, run, `key ${i}`, "old");
    let transaction = begin(core, run);
    for (let i = 0; i < 2500; i++) expect(writeIn(core, transaction, `key ${i}`, "w".repeat(i % 400))).toBe(0);
    fill(core);
    const before = { live: core.liveEntries, version: core.version() };
    core.refuseGrowth(count);
    const refusal = core.commit(transaction.pointer, transaction.generation, 0);
    core.refuseGrowth(0);
    if (refusal < 0) {
      expect(-refusal).toBe(STATUS_STORE_FULL);
      expect({ live: core.liveEntries, version: core.version() }).toEqual(before);
      expect(get(core, run, "key 1")).toBeUndefined();
      expect(get(core, run, "key 2")).toBe("old");
    } else expect(count, "at least the first growth is needed").toBeGreaterThan(1);
    expect(core.verify()).toBe(0);
    transaction = begin(core, run);
    expect(writeIn(core, transaction, "key 1", "new")).toBe(0);
    expect(core.commit(transaction.pointer, transaction.generation, 0)).toBeGreaterThan(before.version);
    expect(core.verify()).toBe(0);
  });

  it("while a table splits leaves the table as it was to readers", async () => {
    const { core } = await bareCore(build);
    const run = runOf(core, "r");
    let refused = 0;
    for (let i = 0; i < 60_000; i++) {
      core.refuseGrowth(1);
      let version = put(core, run, `k${i}`, i);
      if (version < 0) {
        refused++;
        expect(-version).toBe(STATUS_STORE_FULL);
        if (refused % 4 === 0) expect(core.verify()).toBe(0);
        core.refuseGrowth(0);
        version = put(core, run, `k${i}`, i);
      }
      if (version < 0) throw new Error(`put ${i} was refused for no reason: ${version}`);
    }
    expect(refused).toBeGreaterThan(4);
    expect(core.verify()).toBe(0);
    for (let i = 0; i < 60_000; i++) if (get(core, run, `k${i}`) !== i) throw new Error(`key ${i} is lost`);
  });
});

describe.each(BUILDS)("a large run in the $name build", (build) => {
  it("moves few entries with any put, and finds all keys although hashes collide", async () => {
    const { core, exports } = await bareCore(build, 7);
    const run = runOf(core, "r");
    // Of so many keys some pairs share all 32 bits of the hash, whatever the seed.
    const keys = build.debug ? 30_000 : 150_000;
    for (let i = 0; i < keys; i++) put(core, run, `key ${i}`, i);
    const moved = (exports["movedMax"] as () => number)();
    expect(moved).toBeGreaterThan(100);
    expect(moved).toBeLessThanOrEqual(MOVED_MAX);
    for (let i = 0; i < keys; i++) if (get(core, run, `key ${i}`) !== i) throw new Error(`key ${i} is lost`);
    expect(core.liveEntries).toBe(keys);
    expect(core.verify()).toBe(0);
  });
});

describe.each([SINGLE, SINGLE_DEBUG])("overwriting in the $name build", (build) => {
  const rounds = build.debug ? 40_000 : 200_000;

  it("takes no memory while one old snapshot is held all along", async () => {
    await using db = await open(build);
    const { kv } = db.run("r");
    for (let i = 0; i < 100; i++) kv.put(`k${i}`, `value ${i}`);
    using held = db.run("r").snapshot();
    for (let i = 0; i < 2000; i++) kv.put(`k${i % 100}`, `value ${i}`);
    const before = db.stats();
    for (let i = 0; i < rounds; i++) kv.put(`k${i % 100}`, `value ${i % 1000}`);
    expect(db.stats().memoryBytes).toBe(before.memoryBytes);
    expect(db.stats().memoryFreeBytes).toBe(before.memoryFreeBytes);
    expect(held.kv.get("k7")).toBe("value 7");
    expect(db.verify()).toEqual({ valid: true });
  });

  it("takes no memory while snapshots come and go", async () => {
    await using db = await open(build);
    const { kv } = db.run("r");
    let free = 0;
    for (let i = 0; i < rounds; ) {
      using held = db.run("r").snapshot();
      const was = held.kv.get("k1");
      for (let left = 1000; left > 0; left--, i++) kv.put(`k${i % 100}`, i % 1000);
      expect(held.kv.get("k1")).toBe(was);
      if (i === 10_000) free = db.stats().memoryFreeBytes;
    }
    expect(db.stats().memoryFreeBytes).toBe(free);
    expect(db.verify()).toEqual({ valid: true });
  });
});
