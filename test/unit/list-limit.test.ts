/**
 * Listings with limits: they give the first of what the plain definition gives, need memory for no more than that, and are
 * in the way of nothing outside of what they scanned.
 *
 * `HOLDFAST_SEED` repeats the random cases.
 */
import { describe, expect, it } from "vitest";
import { encodeKey, encodeValue } from "../../src/host/codec.js";
import type { Core, RunHandle } from "../../src/host/core.js";
import { scan, transactionScan } from "../../src/host/core-scan.js";
import { eachNeighbor } from "../../src/host/graph/reading.js";
import type { Reader } from "../../src/host/reader-writer.js";
import type { ListOptions } from "../../src/host/scan.js";
import { countKeys, listEntries, listKeys, type Scanner } from "../../src/host/view.js";
import { Database, type KVReader, type Run, type Transaction, type Value } from "../../src/index.js";
import { listedKeys } from "../contract/samples.js";
import { bareCore, get, put, runOf } from "../support/bare-core.js";
import { BUILDS, type Build, moduleOf, SHARED_DEBUG, SINGLE_DEBUG } from "../support/builds.js";

const SEED = Number(process.env["HOLDFAST_SEED"] ?? Date.now() % 1_000_000_000);

/** Whole numbers below a bound, from a seed (mulberry32). */
function randomFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

async function open(build: Build): Promise<Database> {
  return Database.open({ wasm: await moduleOf(build), shared: build.shared, durability: "in-memory" });
}

/** What must be listed, by the plain definition. */
function plainList(entries: ReadonlyMap<string, Value>, options: ListOptions): [string, Value][] {
  return listedKeys(entries.keys(), options).map((key) => [key, entries.get(key) as Value]);
}

/** Compares a listing with the definition at every limit where something could go wrong. */
function expectAtEveryLimit(kv: KVReader, entries: ReadonlyMap<string, Value>, range: ListOptions, what: string): void {
  const all = plainList(entries, range).length;
  for (const limit of new Set([0, 1, 2, 7, all - 1, all, all + 1, all * 2 + 5])) {
    if (limit < 0) continue;
    for (const reverse of [false, true]) {
      const options = { ...range, reverse, limit };
      const expected = plainList(entries, options);
      const about = `${what}, ${JSON.stringify(options)}`;
      expect(kv.list(options), about).toEqual(expected);
      expect(kv.keys(options), about).toEqual(expected.map(([key]) => key));
    }
  }
  expect(kv.list(range), what).toEqual(plainList(entries, range));
  const { prefix, start, end } = range;
  if (start === undefined && end === undefined) expect(kv.count(prefix), what).toBe(all);
}

describe.each(BUILDS)("a listing in the $name build", (build) => {
  it("of 100 keys with a prefix gives them and no others, out of 10,000", async () => {
    await using db = await open(build);
    const run = db.run("r");
    const entries = new Map<string, Value>();
    run.transaction((tx) => {
      for (let i = 0; i < 10_000; i++) {
        // Multiplied by a number without common factors, they come in no order.
        const n = (i * 7919) % 10_000;
        const key = n % 100 === 0 ? `few:${n}` : `many:${n}`;
        tx.kv.put(key, n);
        entries.set(key, n);
      }
    });
    const few: ListOptions = { prefix: "few:" };
    expect(listedKeys(entries.keys(), few)).toHaveLength(100);
    using transaction = run.begin();
    using snapshot = run.snapshot();
    for (const [what, view] of Object.entries({ run, transaction, snapshot })) {
      expectAtEveryLimit(view.kv, entries, few, what);
      expect(view.kv.count("few:"), what).toBe(100);
      expect(view.kv.keys({ prefix: "many:", limit: 3 }), what).toEqual(["many:1", "many:10", "many:1001"]);
    }
  });

  it(`gives what the definition gives, with a transaction's own writes in between (seed ${SEED})`, async () => {
    await using db = await open(build);
    const random = randomFrom(SEED);
    const rounds = build.debug ? 6 : 12;
    for (let round = 0; round < rounds; round++) randomRound(db.run(`run ${round}`), random, `round ${round}`);
    expect(db.verify()).toEqual({ valid: true });
  });
});

// Random rounds.

const ALPHABET = ["a", "b", "ab", "é", "😀", "\uFFFF", "\u0000", "z"];

function randomKey(random: (below: number) => number): string {
  let key = "";
  for (let left = 1 + random(4); left > 0; left--) key += ALPHABET[random(ALPHABET.length)];
  return key;
}

function randomRange(random: (below: number) => number): ListOptions {
  const some = (): string | undefined => (random(2) === 0 ? undefined : randomKey(random));
  return { prefix: random(3) === 0 ? undefined : [...randomKey(random)][0], start: some(), end: some() };
}

/** Writes at random to a run and to what it should hold then. */
function scribble(kv: Run["kv"], entries: Map<string, Value>, times: number, random: (below: number) => number): void {
  for (let i = 0; i < times; i++) {
    const key = randomKey(random);
    if (random(3) === 0) {
      expect(kv.delete(key)).toBe(entries.delete(key));
    } else {
      const value = random(4) === 0 ? "v".repeat(random(200)) : i;
      kv.put(key, value);
      entries.set(key, value);
    }
  }
}

function randomRound(run: Run, random: (below: number) => number, what: string): void {
  const committed = new Map<string, Value>();
  scribble(run.kv, committed, random(400), random);
  using before = run.snapshot();
  const frozen = new Map(committed);
  const own = new Map(committed);
  const transaction = run.begin();
  for (let part = 0; part < 3; part++) {
    scribble(transaction.kv, own, random(60), random);
    for (let i = 0; i < 3; i++) {
      const range = randomRange(random);
      expectAtEveryLimit(transaction.kv, own, range, `${what}, own writes`);
      expectAtEveryLimit(run.kv, committed, range, `${what}, committed`);
      expectAtEveryLimit(before.kv, frozen, range, `${what}, held`);
    }
  }
  transaction.commit();
  expectAtEveryLimit(run.kv, own, {}, `${what}, after the commit`);
  expectAtEveryLimit(before.kv, frozen, {}, `${what}, held, after the commit`);
}

// Full memory.

/** Uses up what memory there is, so that whatever comes next would have to grow; growth stays refused. */
function fill(core: Core, run: RunHandle): void {
  for (const bytes of [30_000, 900, 10]) {
    core.refuseGrowth(1);
    for (let i = 0, version = 1; version > 0; i++) version = put(core, run, `${bytes} ${i}`, "f".repeat(bytes));
  }
}

function scannerOf(core: Core, run: RunHandle): Scanner {
  return (request, collect) => scan(core, run, 0, -1, request, collect);
}

describe.each([SINGLE_DEBUG, SHARED_DEBUG])("where memory is full, in the $name build", (build) => {
  const KEYS = 3000;

  async function full(listFirst: boolean): Promise<{ core: Core; run: RunHandle; entries: Map<string, Value> }> {
    const { core } = await bareCore(build);
    const run = runOf(core, "r");
    const entries = new Map<string, Value>();
    for (let i = 0; i < KEYS; i++) {
      put(core, run, `key ${i}`, i);
      entries.set(`key ${i}`, i);
    }
    if (listFirst) listKeys(core, { limit: 1 }, scannerOf(core, run));
    fill(core, runOf(core, "filler"));
    return { core, run, entries };
  }

  it("a listing with a small limit works, one of everything is STORE_FULL and changes nothing", async () => {
    const { core, run, entries } = await full(true);
    const scan = scannerOf(core, run);
    for (const limit of [1, 2, 100]) {
      for (const reverse of [false, true]) {
        const expected = plainList(entries, { reverse, limit });
        expect(listEntries(core, { reverse, limit }, scan)).toEqual(expected);
        expect(listKeys(core, { reverse, limit }, scan)).toEqual(expected.map(([key]) => key));
      }
    }
    expect(() => listEntries(core, undefined, scan)).toThrow(expect.objectContaining({ code: "STORE_FULL" }));
    expect(() => listKeys(core, { limit: KEYS }, scan)).toThrow(expect.objectContaining({ code: "STORE_FULL" }));
    expect(countKeys(core, "key 1", scan), "counting needs no memory").toBe(
      listedKeys(entries.keys(), { prefix: "key 1" }).length,
    );
    expect(countKeys(core, undefined, scan)).toBe(KEYS);
    expect(listKeys(core, { limit: 3 }, scan), "after a refusal").toEqual(listedKeys(entries.keys(), { limit: 3 }));
    expect(get(core, run, "key 7")).toBe(7);
    expect(core.verify()).toBe(0);
    core.refuseGrowth(0);
    expect(listEntries(core, undefined, scan)).toEqual(plainList(entries, {}));
    expect(core.verify()).toBe(0);
  });

  it("so does one in a transaction that has begun, over its own writes", async () => {
    const { core } = await bareCore(build);
    const run = runOf(core, "r");
    const entries = new Map<string, Value>();
    for (let i = 0; i < KEYS; i++) {
      put(core, run, `key ${i}`, i);
      entries.set(`key ${i}`, i);
    }
    const pointer = core.begin(run.pointer, run.generation, 0);
    const generation = core.begunGeneration();
    core.renew();
    const valueBytes = encodeValue("own", core);
    expect(core.transactionPut(pointer, generation, 0, encodeKey("a", core), valueBytes)).toBe(0);
    entries.set("a", "own");
    const scan: Scanner = (request, collect) => transactionScan(core, pointer, generation, 0, request, collect);
    expect(listEntries(core, { limit: 2 }, scan)).toEqual(plainList(entries, { limit: 2 }));
    fill(core, runOf(core, "filler"));
    for (const reverse of [false, true]) {
      for (const limit of [1, 2, 100]) {
        expect(listEntries(core, { reverse, limit }, scan)).toEqual(plainList(entries, { reverse, limit }));
      }
    }
    expect(() => listEntries(core, undefined, scan)).toThrow(expect.objectContaining({ code: "STORE_FULL" }));
    expect(listEntries(core, { limit: 2 }, scan)).toEqual(plainList(entries, { limit: 2 }));
    core.refuseGrowth(0);
    expect(core.commit(pointer, generation, 0)).toBeGreaterThan(0);
    expect(get(core, run, "a")).toBe("own");
    expect(core.verify()).toBe(0);
  });

  // The buffer of listings is taken with the first of them, and so that one is STORE_FULL, however few keys it is to give.
  it("the very first listing of all works with a small limit too", async () => {
    const { core, run, entries } = await full(false);
    expect(listKeys(core, { limit: 2 }, scannerOf(core, run))).toEqual(listedKeys(entries.keys(), { limit: 2 }));
  });

  it("the very first listing of all is refused without a trace, and works once there is room", async () => {
    const { core, run, entries } = await full(false);
    const scan = scannerOf(core, run);
    expect(() => listKeys(core, undefined, scan)).toThrow(expect.objectContaining({ code: "STORE_FULL" }));
    expect(core.verify()).toBe(0);
    expect(countKeys(core, undefined, scan)).toBe(KEYS);
    core.refuseGrowth(0);
    expect(listKeys(core, { limit: 2 }, scan)).toEqual(listedKeys(entries.keys(), { limit: 2 }));
    expect(core.verify()).toBe(0);
  });
});

// Conflicts.

/** What one transaction reads, what another commits meanwhile, and whether the first can still commit then. */
interface Meeting {
  readonly reads: string;
  readonly read: (tx: Transaction) => unknown;
  readonly beside: string;
  readonly write: (run: Run) => unknown;
  readonly conflicts: boolean;
}

function furnish(run: Run): void {
  for (const group of ["a", "b"]) for (let i = 0; i < 20; i++) run.kv.put(`${group}:${i}`, i);
  for (const name of ["a:1", "b:1"]) run.state.init(name, 1);
  for (const type of ["x", "y", "x"]) run.events.append(type, type);
  for (const id of ["a", "b", "childless"]) run.traces.record({ type: "thought", content: id }, { id, tags: [id] });
  run.traces.record({ type: "thought", content: "a1" }, { id: "a1", parent: "a" });
  run.traces.record({ type: "thought", content: "b1" }, { id: "b1", parent: "b" });
}

let made = 0;
const child = (parent: string) => (run: Run) =>
  run.traces.record({ type: "thought", content: "" }, { parent, id: `made ${made++}` });
const root = (tag: string) => (run: Run) =>
  run.traces.record({ type: "custom", name: tag, data: null }, { tags: [tag], id: `made ${made++}` });
const event = (type: string) => (run: Run) => run.events.append(type, null);

function meetings(
  reads: string,
  read: Meeting["read"],
  writes: Record<string, [Meeting["write"], boolean]>,
): Meeting[] {
  return Object.entries(writes).map(([beside, [write, conflicts]]) => ({ reads, read, beside, write, conflicts }));
}

const [IN_THE_WAY, OUT_OF_IT] = [true, false];

const MEETINGS: readonly Meeting[] = [
  ...meetings("kv.list of a prefix", (tx) => tx.kv.list({ prefix: "a:" }), {
    "a put with another prefix": [(run) => run.kv.put("b:1", 2), OUT_OF_IT],
    "a new key with another prefix": [(run) => run.kv.put("b:new", 2), OUT_OF_IT],
    "a delete with another prefix": [(run) => run.kv.delete("b:2"), OUT_OF_IT],
    "a cell with that prefix": [(run) => run.state.set("a:1", 2), OUT_OF_IT],
    "a put with that prefix": [(run) => run.kv.put("a:1", 2), IN_THE_WAY],
    "a new key with that prefix": [(run) => run.kv.put("a:new", 2), IN_THE_WAY],
    "a delete with that prefix": [(run) => run.kv.delete("a:2"), IN_THE_WAY],
  }),
  ...meetings("kv.keys with a limit", (tx) => tx.kv.keys({ prefix: "a:", limit: 2 }), {
    "a put with another prefix": [(run) => run.kv.put("b:1", 2), OUT_OF_IT],
    "a new first key": [(run) => run.kv.put("a:", 2), IN_THE_WAY],
    "a delete of its first key": [(run) => run.kv.delete("a:0"), IN_THE_WAY],
  }),
  ...meetings("kv.list with a limit from the end", (tx) => tx.kv.list({ end: "b", reverse: true, limit: 1 }), {
    "a put at the end": [(run) => run.kv.put("b", 2), OUT_OF_IT],
    "a new last key": [(run) => run.kv.put("a:zzz", 2), IN_THE_WAY],
  }),
  ...meetings("kv.keys with a limit of 0", (tx) => tx.kv.keys({ limit: 0 }), {
    "a new key": [(run) => run.kv.put("a:new", 2), OUT_OF_IT],
  }),
  ...meetings("kv.count of a prefix", (tx) => tx.kv.count("a:"), {
    "a new key with another prefix": [(run) => run.kv.put("b:new", 2), OUT_OF_IT],
    "a new key with that prefix": [(run) => run.kv.put("a:new", 2), IN_THE_WAY],
  }),
  ...meetings("state.list of a prefix", (tx) => tx.state.list({ prefix: "a:" }), {
    "a cell with another prefix": [(run) => run.state.set("b:1", 2), OUT_OF_IT],
    "a key with that prefix": [(run) => run.kv.put("a:1", 2), OUT_OF_IT],
    "a cell with that prefix": [(run) => run.state.set("a:1", 2), IN_THE_WAY],
    "a new cell with that prefix": [(run) => run.state.init("a:new", 2), IN_THE_WAY],
  }),
  ...meetings("traces.children", (tx) => tx.traces.children("a"), {
    "a child of another": [child("b"), OUT_OF_IT],
    "the first child of another": [child("childless"), OUT_OF_IT],
    "a child of its child": [child("a1"), OUT_OF_IT],
    "a root": [root("a"), OUT_OF_IT],
    "an event": [event("a"), OUT_OF_IT],
    "a child of the same": [child("a"), IN_THE_WAY],
  }),
  ...meetings("traces.children where there are none", (tx) => tx.traces.children("childless"), {
    "a child of another": [child("b"), OUT_OF_IT],
    "the first child of the same": [child("childless"), IN_THE_WAY],
  }),
  ...meetings("traces.tree", (tx) => tx.traces.tree("a"), {
    "a child of another": [child("b"), OUT_OF_IT],
    "a child of its child": [child("a1"), IN_THE_WAY],
  }),
  ...meetings("traces.roots", (tx) => tx.traces.roots(), {
    "a child": [child("a"), OUT_OF_IT],
    "a root": [root("z"), IN_THE_WAY],
  }),
  ...meetings("traces.byTag", (tx) => tx.traces.byTag("a"), {
    "a trace with another tag": [root("b"), OUT_OF_IT],
    "a trace with a tag that begins with it": [root("a "), OUT_OF_IT],
    "a trace with that tag": [root("a"), IN_THE_WAY],
  }),
  ...meetings("traces.byType", (tx) => tx.traces.byType("thought"), {
    "a trace of another type": [root("b"), OUT_OF_IT],
    "a trace of that type": [child("b"), IN_THE_WAY],
  }),
  ...meetings("traces.byType with a name", (tx) => tx.traces.byType("custom", { name: "z" }), {
    "another name": [root("b"), OUT_OF_IT],
    "that name": [root("z"), IN_THE_WAY],
  }),
  ...meetings("traces.list with a limit", (tx) => tx.traces.list({ limit: 1 }), {
    "a key": [(run) => run.kv.put("a", 1), OUT_OF_IT],
    "a trace behind those that it gave": [child("b"), OUT_OF_IT],
  }),
  ...meetings("traces.list from the newest", (tx) => tx.traces.list({ limit: 1, reverse: true }), {
    "any trace": [child("b"), IN_THE_WAY],
  }),
  ...meetings("events.readByType", (tx) => tx.events.readByType("x"), {
    "an event of another type": [event("y"), OUT_OF_IT],
    "the first event of a new type": [event("z"), OUT_OF_IT],
    "an event of that type": [event("x"), IN_THE_WAY],
  }),
  ...meetings("events.readByType of a type that there is not", (tx) => tx.events.readByType("z"), {
    "an event of another type": [event("y"), OUT_OF_IT],
    "the first event of that type": [event("z"), IN_THE_WAY],
  }),
  ...meetings("events.types", (tx) => tx.events.types(), {
    "an event of a known type": [event("y"), OUT_OF_IT],
    "an event of a new type": [event("z"), IN_THE_WAY],
  }),
  ...meetings("events.read and a range that has ended", (tx) => [tx.events.read(1), ...tx.events.range(0, 2)], {
    "an event": [event("x"), OUT_OF_IT],
  }),
  ...meetings("events.head", (tx) => tx.events.head(), {
    "a trace": [child("a"), OUT_OF_IT],
    "an event": [event("y"), IN_THE_WAY],
  }),
  // An append reads the head that it replaces.
  ...meetings("an append of its own", (tx) => tx.events.append("x", null), {
    "a trace": [child("a"), OUT_OF_IT],
    "an event of another type": [event("y"), IN_THE_WAY],
  }),
];

describe.each(BUILDS)("what a scan is in the way of, in the $name build", (build) => {
  it.each(MEETINGS)("$reads beside $beside: conflicts $conflicts", async ({ read, write, conflicts }) => {
    await using db = await open(build);
    const run = db.run("r");
    furnish(run);
    const commit = (): void => {
      const transaction = run.begin();
      read(transaction);
      // Whoever only reads never conflicts.
      transaction.kv.put("own", 1);
      write(run);
      transaction.commit();
    };
    if (conflicts) expect(commit).toThrow(expect.objectContaining({ code: "CONFLICT" }));
    else commit();
    expect(run.kv.has("own")).toBe(!conflicts);
    const reader = run.begin();
    read(reader);
    if (conflicts) reader.rollback();
    else {
      write(run);
      expect(reader.commit(), "a commit after it").toBeGreaterThan(0);
    }
    expect(db.verify()).toEqual({ valid: true });
  });
});

describe.each(BUILDS)("the neighbors of a hub in the $name build", (build) => {
  it("are listed with a limit whichever of them are wanted, and each portion begins behind the last", async () => {
    // Where types were given every portion listed the whole node.
    await using db = await open(build);
    const run = db.run("r");
    const hub = run.transaction(({ graph }) => {
      const id = graph.addNode("n");
      for (let i = 0; i < 1500; i++) graph.addEdge(id, id, i % 100 === 99 ? "rare" : "t");
      return id;
    });
    for (const direction of ["out", "in", "both"] as const) {
      for (const types of [[], ["rare"], ["rare", "t"]]) {
        const listings: { limit: number; listed: number }[] = [];
        const held = run.writer.hold();
        const keys: Reader["keys"] = (table, options) => {
          const found = held.keys(table, options);
          listings.push({ limit: options?.limit ?? Number.POSITIVE_INFINITY, listed: found.length });
          return found;
        };
        const recorder = { hold: () => ({ keys, release: () => held.release() }) } as unknown as Reader;
        const found = [...eachNeighbor(recorder, hub, { direction, types }, {}, Number.POSITIVE_INFINITY)];
        expect(found).toEqual(run.graph.neighbors(hub, types.length === 0 ? { direction } : { direction, types }));
        const [first] = listings;
        const sides = direction === "both" ? 2 : 1;
        expect(first).toEqual({ limit: 256, listed: 256 });
        expect(Math.max(...listings.map(({ limit }) => limit))).toBeLessThanOrEqual(1024);
        expect(listings.reduce((sum, { listed }) => sum + listed, 0)).toBe(sides * 1500);
      }
    }
  });
});
