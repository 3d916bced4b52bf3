/**
 * Memory over a long life: what is overwritten, deleted, rolled back or dropped is used again, to the byte.
 *
 * Counts are of the arena, by `db.stats()`. After a warm-up that has been everywhere once, nothing may grow any more:
 * `memoryBytes` never, and the other figures return to what they were wherever the state does.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import {
  Database,
  type DatabaseSnapshot,
  type DatabaseStats,
  type GraphStore,
  type KVReader,
  type Snapshot,
  type Value,
} from "../../src/index.js";
import { BUILDS, type Build, moduleOf, SINGLE, SINGLE_DEBUG } from "../support/builds.js";

const MIB = 1024 * 1024;
const KEYS = 1000;
/** Contexts of transactions that are kept for the next ones. */
const POOLED_MAX = 8;

/** What a build of that speed is asked to do: the release build all of it, the others a share. */
function scaled(build: Build, count: number): number {
  if (build.debug) return count / 25;
  return build.shared ? count / 4 : count;
}

async function open(build: Build): Promise<Database> {
  const wasm = await moduleOf(build);
  return Database.open({ wasm, shared: build.shared, durability: "in-memory", maxBytes: 256 * MIB });
}

const KEY_NAMES: readonly string[] = Array.from({ length: KEYS }, (_, i) => `key ${i}`);

function keyOf(i: number): string {
  return KEY_NAMES[i % KEYS] as string;
}

/** Texts of a few size classes, and several sizes in each. */
const TEXTS: readonly string[] = [1, 5, 20, 24, 60, 64, 130, 250].map((length) => "t".repeat(length));

/** Values whose sizes differ from one time to the next, the same again after as many times as there are. */
function sizedValue(i: number): Value {
  const choice = (i * 7 + Math.floor(i / KEYS)) % 16;
  return choice < TEXTS.length ? (TEXTS[choice] as string) : i * (choice % 2 === 0 ? 1 : 0.5);
}

/** The figures of memory, in which a leak would show. */
function use(db: Database): Pick<DatabaseStats, "memoryBytes" | "memoryFreeBytes" | "liveBytes" | "deadBytes"> {
  const { memoryBytes, memoryFreeBytes, liveBytes, deadBytes } = db.stats();
  return { memoryBytes, memoryFreeBytes, liveBytes, deadBytes };
}

function expectSound(db: Database): void {
  expect(db.verify()).toEqual({ valid: true });
}

describe.each(BUILDS)("overwriting in the $name build", (build) => {
  const rounds = scaled(build, 1_000_000) / KEYS;

  it("1,000 keys a million times, with a snapshot for each thousand, takes no memory after the warm-up", async () => {
    await using db = await open(build);
    const run = db.run("r");
    let steady: DatabaseStats | undefined;
    for (let round = 0; round < rounds; round++) {
      using snapshot = run.snapshot();
      const [was, wasCount] = [snapshot.kv.get("key 3"), snapshot.kv.count()];
      for (let i = 0; i < KEYS; i++) run.kv.put(keyOf(i), sizedValue(round * KEYS + i));
      expect(snapshot.kv.get("key 3")).toEqual(was);
      expect(snapshot.kv.count()).toBe(wasCount);
      // By then each key has had a value of every size, and its version under a snapshot.
      if (round === 20) steady = db.stats();
      if (steady !== undefined) expect(db.stats().memoryBytes).toBe(steady.memoryBytes);
    }
    for (let i = 0; i < KEYS; i++) run.kv.put(keyOf(i), sizedValue(i));
    expect(use(db).deadBytes, "once no snapshot is held, only the newest are kept").toBe(0);
    // The same values as after the warm-up, and so the same bytes.
    const { liveBytes } = use(db);
    for (let i = 0; i < 16 * KEYS; i++) run.kv.put(keyOf(i), sizedValue(i));
    for (let i = 0; i < KEYS; i++) run.kv.put(keyOf(i), sizedValue(i));
    expect(use(db)).toEqual({ ...use(db), memoryBytes: steady?.memoryBytes, liveBytes, deadBytes: 0 });
    expectSound(db);
  });

  it("under one snapshot held all along keeps two versions of each key, and none after it", async () => {
    await using db = await open(build);
    const run = db.run("r");
    for (let i = 0; i < KEYS; i++) run.kv.put(keyOf(i), `first ${i}`);
    const { liveBytes: one } = use(db);
    const held = run.snapshot();
    const seen = held.kv.list();
    for (let i = 0; i < 16 * KEYS; i++) run.kv.put(keyOf(i), sizedValue(i));
    const { memoryBytes } = use(db);
    for (let round = 0; round < rounds; round++) {
      for (let i = 0; i < KEYS; i++) run.kv.put(keyOf(i), sizedValue(round * KEYS + i));
    }
    const under = use(db);
    expect(under.memoryBytes, "no growth").toBe(memoryBytes);
    expect(under.deadBytes, "the old version of each key").toBeGreaterThan(0);
    expect(under.deadBytes, "no more than one old version of each key").toBeLessThanOrEqual(one);
    expect(held.kv.list()).toEqual(seen);
    held.dispose();
    for (let i = 0; i < KEYS; i++) run.kv.put(keyOf(i), `first ${i}`);
    expect(use(db)).toEqual({ ...under, memoryFreeBytes: use(db).memoryFreeBytes, liveBytes: one, deadBytes: 0 });
    expectSound(db);
  });

  it("by keys that come and go, a window of them at a time, takes no memory", async () => {
    await using db = await open(build);
    const { kv } = db.run("r");
    const window = 500;
    const names = Array.from({ length: 20 * window }, (_, i) => `item ${i}`);
    const nameOf = (i: number): string => names[i % names.length] as string;
    const count = rounds * KEYS;
    let steady = 0;
    for (let i = 0; i < count; i++) {
      kv.put(nameOf(i), sizedValue(i));
      if (i >= window && !kv.delete(nameOf(i - window))) throw new Error(`${nameOf(i - window)} was not there`);
      if (i === 20 * window) steady = use(db).memoryBytes;
    }
    expect(use(db).memoryBytes).toBe(steady);
    expect(kv.count()).toBe(window);
    expect(use(db).deadBytes).toBe(0);
    for (const key of kv.keys()) kv.delete(key);
    expect(db.stats().entries).toBe(0);
    expectSound(db);
  });
});

/** Fills a run so that tables split and values are of every size. */
function fillRun(db: Database, id: string, keys: number): void {
  db.run(id).transaction((tx) => {
    for (let i = 0; i < keys; i++) tx.kv.put(`${id} ${i}`, i % 50 === 0 ? "v".repeat(3000) : sizedValue(i));
  });
}

describe.each(BUILDS)("deleted runs in the $name build", (build) => {
  const big = scaled(build, 20_000);

  it("big ones, again and again, give all their memory back", async () => {
    await using db = await open(build);
    db.run("other").kv.put("stays", 1);
    const free: number[] = [];
    let memoryBytes = 0;
    for (let round = 0; round < 12; round++) {
      fillRun(db, "big", big);
      expect(db.deleteRun("big")).toBe(true);
      free.push(use(db).memoryFreeBytes);
      if (round === 1) memoryBytes = use(db).memoryBytes;
    }
    expect(use(db).memoryBytes).toBe(memoryBytes);
    expect(new Set(free.slice(1)), "free bytes after each round").toEqual(new Set([free[1]]));
    expect(db.run("other").kv.get("stays")).toBe(1);
    expectSound(db);
  });

  it("one under a held snapshot keeps its memory until that is let go of", async () => {
    await using db = await open(build);
    db.run("other").kv.put("stays", 1);
    fillRun(db, "big", big);
    // Listing has a buffer of its own, which stays.
    db.run("big").kv.list();
    db.deleteRun("big");
    const before = use(db).memoryFreeBytes;
    fillRun(db, "big", big);
    const held = db.run("big").snapshot();
    const seen = held.kv.list();
    const full = use(db).memoryFreeBytes;
    db.deleteRun("big");
    expect(use(db).memoryFreeBytes, "kept").toBeLessThanOrEqual(full);
    for (let i = 0; i < 100; i++) db.run("other").kv.put("stays", i);
    expect(held.kv.list()).toEqual(seen);
    expect(db.run("big").kv.count()).toBe(0);
    held.dispose();
    // What nobody sees any more goes with the next steps of pruning, which writes take.
    db.run("other").kv.put("stays", 1);
    expect(use(db).memoryFreeBytes, "given back").toBe(before);
    expect(use(db).deadBytes).toBe(0);
    expectSound(db);
  });

  it("made again under the same name are each seen by whoever held them, and by nobody else", async () => {
    await using db = await open(build);
    // What is kept for runs to come is there after the first time.
    holdIncarnations(db);
    const { memoryBytes, memoryFreeBytes } = use(db);
    for (let round = 0; round < 3; round++) holdIncarnations(db);
    expect(db.stats()).toMatchObject({ runs: 0, entries: 0, snapshotsHeld: 0, deadBytes: 0 });
    expect(use(db)).toMatchObject({ memoryBytes, memoryFreeBytes });
    expectSound(db);
  });

  it("10,000 short-lived ones leave nothing", async () => {
    await using db = await open(build);
    const count = scaled(build, 10_000);
    let steady: DatabaseStats | undefined;
    for (let i = 0; i < count; i++) {
      const { kv } = db.run(`run ${i}`);
      for (let key = 0; key < 5; key++) kv.put(keyOf(key), sizedValue(i + key));
      if (i % 2 === 0) db.run(`run ${i}`).transaction((tx) => tx.events.append("made", i));
      expect(db.deleteRun(`run ${i}`)).toBe(true);
      if (i === 100) steady = db.stats();
    }
    const stats = db.stats();
    expect(stats).toMatchObject({ runs: 0, entries: 0, liveBytes: steady?.liveBytes, deadBytes: 0 });
    expect(stats.memoryBytes).toBe(steady?.memoryBytes);
    expect(stats.memoryFreeBytes).toBe(steady?.memoryFreeBytes);
    expectSound(db);
  });
});

interface HeldIncarnation {
  /** Which incarnation its snapshots see; −1: none. */
  readonly n: number;
  readonly whole: DatabaseSnapshot;
  /** Views that were made while the incarnation was there. */
  readonly early: readonly KVReader[];
  readonly own: Snapshot | undefined;
}

/** Makes a run and deletes it, again and again; each incarnation and each gap between two is held. */
function holdIncarnations(db: Database): void {
  const held: HeldIncarnation[] = [];
  for (let n = 0; n < 8; n++) {
    const { kv } = db.run("r");
    expect(kv.count()).toBe(0);
    for (let i = 0; i <= 100; i++) kv.put(`${n} ${i}`, `of incarnation ${n}`);
    const [whole, own] = [db.snapshot(), db.run("r").snapshot()];
    held.push({ n, whole, early: [whole.run("r").kv, own.kv], own });
    expect(db.deleteRun("r")).toBe(true);
    held.push({ n: -1, whole: db.snapshot(), early: [], own: undefined });
  }
  fillRun(db, "r", 500);
  expectIncarnations(held);
  // In no order, those between two others too.
  for (const i of [3, 0, 7, 5, 1, 2]) {
    release(held.splice(i, 1));
    expectIncarnations(held);
  }
  release(held);
  expect(db.run("r").kv.count()).toBe(500);
  db.deleteRun("r");
}

/** Each snapshot sees its own incarnation: through views as old as itself, and through one that is made only now. */
function expectIncarnations(held: readonly HeldIncarnation[]): void {
  for (const { n, whole, early } of held) {
    for (const kv of [...early, whole.run("r").kv]) {
      expect(kv.count()).toBe(n < 0 ? 0 : 101);
      expect(kv.get(`${n} 50`)).toBe(n < 0 ? undefined : `of incarnation ${n}`);
      expect(kv.get(`${n + 1} 50`)).toBeUndefined();
      expect(kv.get("r 1")).toBeUndefined();
    }
  }
}

function release(held: readonly HeldIncarnation[]): void {
  for (const { whole, own } of held) {
    whole.dispose();
    own?.dispose();
  }
}

describe.each(BUILDS)("transactions in the $name build", (build) => {
  it("fifty open at once, ended in every way, keep at most eight contexts, and no memory", async () => {
    await using db = await open(build);
    const run = db.run("r");
    for (let i = 0; i < KEYS; i++) run.kv.put(keyOf(i), i);
    let steady: DatabaseStats | undefined;
    for (let round = 0; round < 40; round++) {
      await openFifty(db, round);
      const stats = db.stats();
      expect(stats.transactionsOpen).toBe(0);
      expect(stats.transactionsPooled).toBeLessThanOrEqual(POOLED_MAX);
      expect(stats.snapshotsHeld).toBe(0);
      if (round === 5) steady = stats;
      if (steady !== undefined) expect(stats.memoryBytes).toBe(steady.memoryBytes);
    }
    for (let i = 0; i < KEYS; i++) run.kv.put(keyOf(i), i);
    expect(db.stats().deadBytes).toBe(0);
    expectSound(db);
  });

  it("a throw in the middle of many nested ones gives every context back", async () => {
    await using db = await open(build);
    const run = db.run("r");
    const nest = (depth: number): void => {
      run.transaction((tx) => {
        tx.kv.put(keyOf(depth), "x".repeat(depth * 100));
        if (depth === 40) throw new Error("the innermost");
        nest(depth + 1);
      });
    };
    for (let i = 0; i < 20; i++) expect(() => nest(0)).toThrow("the innermost");
    expect(db.stats()).toMatchObject({ transactionsOpen: 0, snapshotsHeld: 0, entries: 0 });
    expect(db.stats().transactionsPooled).toBeLessThanOrEqual(POOLED_MAX);
    expectSound(db);
  });
});

describe.each(BUILDS)("listings within one transaction in the $name build", (build) => {
  const listings = scaled(build, 70_000);

  it.each<[name: string, list: (graph: GraphStore, hub: number, lonely: number) => unknown[], found: number]>([
    ["at their limit", (graph, hub) => graph.neighbors(hub, { limit: 1 }), 1],
    ["at their limit, in reverse", (graph, hub) => graph.neighbors(hub, { limit: 1, reverse: true }), 1],
    ["below their limit", (graph, hub) => graph.neighbors(hub, { limit: 3 }), 2],
    ["that find nothing", (graph, _, lonely) => graph.neighbors(lonely, { limit: 1 }), 0],
    ["one after another", (graph, hub) => [...graph.eachNeighbor(hub)], 2],
  ])("with a limit, $0, take the memory of their bounds, and no end of them is too many", async (_, list, found) => {
    // Each kept room for a key of the greatest length: 65,000 of them were TRANSACTION_TOO_LARGE.
    await using db = await open(build);
    const run = db.run("r");
    const inUse = (): number => use(db).memoryBytes - use(db).memoryFreeBytes;
    const [hub, lonely] = run.transaction(({ graph }) => [graph.addNode("n"), graph.addNode("n")] as const);
    for (let i = 0; i < 2; i++) run.graph.addEdge(hub, lonely, "t");
    const leaf = run.graph.addNode("n");
    const before = inUse();
    run.transaction(({ graph }) => {
      let sum = 0;
      for (let i = 0; i < listings; i++) sum += list(graph, hub, leaf).length;
      expect(sum).toBe(listings * found);
      expect(inUse() - before).toBeLessThan(listings * 150);
      graph.addEdge(leaf, hub, "t");
    });
    expect(run.graph.neighbors(leaf)).toHaveLength(1);
    expectSound(db);
  });
});

/** Fifty transactions at once, ten of each ending. Some have written a lot, so that their buffers have grown. */
async function openFifty(db: Database, round: number): Promise<void> {
  const run = db.run("r");
  const rejected = new Error("rejected");
  const handles = Array.from({ length: 30 }, (_, i) => {
    const transaction = run.begin();
    for (let key = 0; key < (i % 5 === 0 ? 400 : 3); key++) {
      transaction.kv.put(keyOf(key * 7 + i), sizedValue(round + key + i));
    }
    return transaction;
  });
  let go = (): void => {};
  const gone = new Promise<void>((resolve) => {
    go = resolve;
  });
  const callbacks = Array.from({ length: 20 }, (_, i) =>
    run.transactionAsync(async (tx) => {
      tx.kv.put(keyOf(i), round);
      await gone;
      if (i % 2 === 0) throw rejected;
    }),
  );
  // Each waits a moment for the one before it.
  await new Promise((resolve) => setTimeout(resolve, 0));
  expect(db.stats().transactionsOpen).toBe(50);
  for (const [i, transaction] of handles.entries()) {
    if (i % 3 === 0) transaction.commit();
    else if (i % 3 === 1) transaction.rollback();
    else {
      const thrown = new Error("thrown");
      expect(() => {
        using _open = transaction;
        throw thrown;
      }).toThrow(thrown);
    }
  }
  go();
  const endings = await Promise.allSettled(callbacks);
  expect(endings.filter(({ status }) => status === "rejected")).toHaveLength(10);
}

// What is dropped.

setFlagsFromString("--expose-gc");
const COLLECTIONS_MAX = 50;
const collect = runInNewContext("gc") as () => void;

/** Collects, and gives finalizers a turn. */
async function collectOnce(): Promise<void> {
  collect();
  await new Promise((resolve) => setTimeout(resolve, 5));
}

/** Collects until `done`, a bounded number of times. */
async function collectUntil(done: () => boolean): Promise<void> {
  for (let attempt = 0; attempt < COLLECTIONS_MAX && !done(); attempt++) await collectOnce();
}

describe.each([SINGLE, SINGLE_DEBUG])("handles that are dropped in the $name build", (build) => {
  it("snapshots and transactions are released by the collector, and what they held goes", async () => {
    await using db = await open(build);
    const run = db.run("r");
    const other = db.run("other");
    for (let i = 0; i < KEYS; i++) run.kv.put(keyOf(i), i);
    other.kv.put("a", 1);
    const leak = (): void => {
      run.snapshot();
      expect(other.snapshot().kv.get("a")).toBe(1);
      db.snapshot().run("r").kv.count();
      run.begin().kv.put("never", 1);
      other.begin();
    };
    for (let i = 0; i < 5; i++) {
      leak();
      run.kv.put("changed", i);
    }
    expect(db.stats()).toMatchObject({ snapshotsHeld: 25, transactionsOpen: 10 });
    for (let i = 0; i < KEYS; i++) run.kv.put(keyOf(i), `new ${i}`);
    expect(db.stats().deadBytes).toBeGreaterThan(0);
    await collectUntil(() => db.stats().snapshotsHeld === 0);
    expect(db.stats()).toMatchObject({ snapshotsHeld: 0, transactionsOpen: 0 });
    expect(db.stats().transactionsPooled).toBeLessThanOrEqual(POOLED_MAX);
    for (let i = 0; i < KEYS; i++) run.kv.put(keyOf(i), i);
    expect(db.stats().deadBytes).toBe(0);
    expect(run.kv.has("never")).toBe(false);
    expectSound(db);
  });

  it("a view keeps the snapshot that it is of, and a range of events too", async () => {
    await using db = await open(build);
    const run = db.run("r");
    run.kv.put("a", "old");
    run.state.set("a", "old");
    for (let i = 0; i < 600; i++) run.transaction((tx) => tx.events.append("old", i));
    // Only views leave these functions; nothing else refers to their snapshots.
    const ofSnapshot = () => {
      const { kv, state } = run.snapshot();
      return { kv, state };
    };
    const ofWhole = () => db.snapshot().run("r").kv;
    const ofRange = () => run.snapshot().events.range(0)[Symbol.iterator]();
    const ofTransaction = () => run.begin().kv;
    let views: unknown[] | undefined;
    const look = (view: ReturnType<typeof ofSnapshot>, whole: KVReader, own: KVReader): void => {
      expect([view.kv.get("a"), view.state.read("a")?.value]).toEqual(["old", "old"]);
      expect([whole.get("a"), own.get("a")]).toEqual(["old", "old"]);
    };
    await (async () => {
      const [view, whole, own, range] = [ofSnapshot(), ofWhole(), ofTransaction(), ofRange()];
      views = [view, whole, own, range];
      expect(range.next().value?.sequence).toBe(0);
      for (let i = 0; i < 5; i++) {
        run.kv.put("a", `new ${i}`);
        run.state.set("a", i);
        await collectOnce();
        look(view, whole, own);
      }
      expect([...{ [Symbol.iterator]: () => range }].length, "the rest of the range").toBe(599);
      look(view, whole, own);
      expect(db.stats()).toMatchObject({ transactionsOpen: 1 });
    })();
    views = undefined;
    await collectUntil(() => db.stats().snapshotsHeld === 0);
    expect(views).toBeUndefined();
    expect(db.stats()).toMatchObject({ snapshotsHeld: 0, transactionsOpen: 0 });
    expectSound(db);
  });

  it("a store keeps the run that it is of: asked for again it is the same one, and what it deletes is gone for all", async () => {
    // A second run of the same name remembered keys for itself, so that the first one's store read what stood in a deleted
    // entry's place: another key's value.
    await using db = await open(build);
    const storeOf = (id: string) => db.run(id).kv;
    const kept = storeOf("r");
    const again = (key: string): unknown => {
      const { kv } = db.run("r");
      for (let i = 0; i < 16; i++) kv.get(key);
      return kv.get(key);
    };
    kept.put("k1", "a text of thirty or so letters");
    for (let i = 0; i < 16; i++) kept.get("k1");
    for (let i = 0; i < 3; i++) await collectOnce();
    expect(again("k1")).toBe("a text of thirty or so letters");
    storeOf("r").delete("k1");
    kept.put("k2", "another text of as many letters");
    expect([kept.get("k1"), kept.has("k1"), again("k1")]).toEqual([undefined, false, undefined]);
    expect(storeOf("r")).toBe(kept);
    expectSound(db);
  });

  it("walks that are dropped in the middle are released, and one that is kept goes on over what it holds", async () => {
    await using db = await open(build);
    const run = db.run("r");
    const nodes = run.transaction(({ graph }) => {
      const ids = Array.from({ length: 300 }, () => graph.addNode("n"));
      for (const [i, id] of ids.entries()) graph.addEdge(id, ids[(i + 1) % ids.length] as number, "t");
      return ids;
    });
    const start = nodes[0] as number;
    const drop = (): void => {
      run.graph.bfs(start).next();
      run.graph.bfs(start);
      run.snapshot().graph.bfs(start, { direction: "both" }).next();
      run.begin().graph.bfs(start).next();
      db.snapshot().run("r").graph.bfs(start).next();
    };
    const ofSnapshot = () => run.snapshot().graph.bfs(start);
    const ofTransaction = () => run.begin().graph.bfs(start);
    await (async () => {
      const kept = [ofSnapshot(), ofTransaction(), run.graph.bfs(start)];
      for (const walk of kept) walk.next();
      for (let i = 0; i < 20; i++) drop();
      run.transaction(({ graph }) => {
        for (const id of nodes) graph.patchNode(id, { changed: true });
        for (const { edge } of nodes.flatMap((id) => graph.neighbors(id))) graph.deleteEdge(edge);
      });
      for (let i = 0; i < 3; i++) await collectOnce();
      for (const walk of kept) expect([...walk].map(({ node }) => node)).toEqual(nodes.slice(1));
    })();
    await collectUntil(() => db.stats().snapshotsHeld === 0 && db.stats().transactionsOpen === 0);
    expect(db.stats()).toMatchObject({ snapshotsHeld: 0, transactionsOpen: 0 });
    expectSound(db);
    let steady = 0;
    for (let round = 0; round < 20; round++) {
      for (let i = 0; i < 50; i++) drop();
      await collectUntil(() => db.stats().snapshotsHeld === 0 && db.stats().transactionsOpen === 0);
      if (round === 2) steady = db.stats().memoryBytes;
    }
    expect(db.stats().memoryBytes, "after a thousand more").toBe(steady);
    expectSound(db);
  });

  it("a handle of a run keeps what is open on it in use, dropped and asked for again", async () => {
    await using db = await open(build);
    db.run("r").kv.put("a", 1);
    using held = db.run("r").snapshot();
    for (let i = 0; i < 5; i++) await collectOnce();
    expect(db.run("r").kv.get("a")).toBe(1);
    expect(held.kv.get("a")).toBe(1);
  });
});
