/**
 * What once went wrong, each as a test that opens with its story.
 */
import { runInNewContext } from "node:vm";
import { afterEach, describe, expect, test } from "vitest";
import { FileStorage } from "../../src/adapters/node-fs-storage.js";
import type { Environment } from "../../src/host/environment.js";
import { Flusher } from "../../src/host/flusher.js";
import { Listeners } from "../../src/host/listeners.js";
import type { Log } from "../../src/host/log.js";
import {
  Database,
  flushInterval,
  HoldfastError,
  type OpenOptions,
  type RecoveredInfo,
  requiresImmediateFsync,
  requiresWal,
} from "../../src/index.js";
import { trace } from "../../src/trace.js";
import { emptyDisk, SimulatedFiles } from "../simulation/simulated-files.js";
import { wasm } from "../support/damage-logs.js";
import { ManualEnvironment, settled } from "../support/manual-environment.js";
import { SeededEnvironment } from "../support/seeded-environment.js";
import { SimulatedDisk } from "../support/simulated-storage.js";

const opened: Database[] = [];
afterEach(async () => {
  for (const db of opened.splice(0)) await db.close().catch(() => {});
});

async function open(options: OpenOptions = { durability: "in-memory" }): Promise<Database> {
  const db = await Database.open({ wasm, ...options });
  opened.push(db);
  return db;
}

function codeOf(call: () => unknown): string | undefined {
  try {
    call();
    return undefined;
  } catch (error) {
    return HoldfastError.is(error) ? error.code : `untyped: ${error}`;
  }
}

describe("tracing", () => {
  test("two databases with one tracer stay apart", async () => {
    // The tracer kept the exports of the last database that it was given to, so that writes to the first one went into the
    // memory of the second.
    const tracer = trace();
    const [a, b] = [
      await open({ durability: "in-memory", trace: tracer }),
      await open({ durability: "in-memory", trace: tracer }),
    ];
    a.run("r").kv.put("k", "A");
    b.run("r").kv.put("k", "B");
    a.run("r").kv.put("k2", "A2");
    expect(a.run("r").kv.list()).toEqual([
      ["k", "A"],
      ["k2", "A2"],
    ]);
    expect(b.run("r").kv.list()).toEqual([["k", "B"]]);
    expect(tracer.commits).toHaveLength(3);
  });

  test("a listener may throw and use the database", async () => {
    // It was called in the middle of a call of the core: what it threw was taken for a trap, and ended the database.
    let told = 0;
    const tracer = trace({
      onCommit: () => {
        if (told++ === 0) db.run("r").kv.put("told", 1);
        throw new Error("mine");
      },
    });
    const db = await open({ durability: "in-memory", trace: tracer });
    db.run("r").kv.put("a", 1);
    await settled();
    expect(db.run("r").kv.list()).toEqual([
      ["a", 1],
      ["told", 1],
    ]);
    expect(told).toBe(2);
  });

  test.each([null, 7, { keep: 0 }, { keep: Number.NaN }, { keep: "x" }, { onCommit: 5 }, { kept: 1 }])(
    "options that are none are refused: %j",
    (options) => {
      expect(codeOf(() => trace(options as never))).toBe("INVALID_ARGUMENT");
    },
  );
});

describe("a deleted run", () => {
  test("is given back at once where what is held cannot see it", async () => {
    // Whatever was held anywhere kept every run that was deleted, and each deletion looked through all of them.
    const db = await open();
    db.run("other").kv.put("a", 1);
    const held = db.run("other").snapshot();
    const whole = db.snapshot();
    const transaction = db.run("other").begin();
    const make = (): void => {
      db.run("n").kv.put("big", new Uint8Array(1 << 20));
      db.deleteRun("n");
    };
    make();
    const { memoryBytes } = db.stats();
    for (let i = 0; i < 50; i++) make();
    expect(db.stats()).toMatchObject({ memoryBytes, deadBytes: 0 });
    for (const holder of [held, whole]) holder.dispose();
    transaction.rollback();
  });

  test("stays for a transaction that was open on it before its first commit", async () => {
    const db = await open();
    const early = db.run("n").begin();
    early.kv.get("none");
    db.run("n").kv.put("a", 1);
    db.deleteRun("n");
    for (let i = 0; i < 10; i++) db.run(`x${i}`).kv.put("a", "another run's");
    expect(early.kv.list()).toEqual([]);
    early.kv.put("b", 1);
    expect(codeOf(() => early.commit())).toBe("CONFLICT");
    expect(db.verify().valid).toBe(true);
  });

  test("counts as dead while it is held", async () => {
    const db = await open();
    db.run("n").kv.put("big", new Uint8Array(1 << 20));
    const held = db.run("n").snapshot();
    db.deleteRun("n");
    expect(db.stats().deadBytes).toBeGreaterThan(1 << 20);
    held.dispose();
    expect(db.stats().deadBytes).toBe(0);
  });
});

describe("closing", () => {
  test("waits for a transaction whose body calls it before it awaits anything", async () => {
    // The transaction counted as in flight only from its first await on.
    const db = await open();
    let closing: Promise<void> | undefined;
    const done = db.run("r").transactionAsync(async (tx) => {
      closing = db.close();
      await settled();
      tx.kv.put("a", 1);
      return "done";
    });
    expect(await done).toBe("done");
    await closing;
  });

  test("refuses a commit that comes when the log is being ended", async () => {
    // A deferred commit between the last record and the end of the log was acknowledged, and lost.
    const disk = new SimulatedDisk();
    const db = await open({ storage: disk.storage({ syncAppend: false }), durability: "buffered" });
    db.run("r").kv.put("a", 1);
    const tx = db.run("r").begin({ durability: "in-memory" });
    tx.kv.put("b", 2);
    disk.hold("flush");
    const closing = db.close();
    await settled();
    expect(codeOf(() => tx.commit())).toBe("CLOSED");
    await disk.release("flush");
    await settled();
    await disk.release("flush");
    await closing;
    const again = await open({ storage: disk.storage({ syncAppend: false }) });
    expect(again.storageInfo.recovered).toBeUndefined();
    expect(again.run("r").kv.keys()).toEqual(["a"]);
  });
});

test("a signal ends a transaction whose callback never settles", async () => {
  const db = await open();
  const controller = new AbortController();
  const never = db.run("r").transactionAsync(
    (tx) => {
      tx.kv.put("a", 1);
      return new Promise<void>(() => {});
    },
    { signal: controller.signal },
  );
  controller.abort(new Error("enough"));
  await expect(never).rejects.toMatchObject({ code: "TIMEOUT" });
  expect(db.stats().transactionsOpen).toBe(0);
  await db.close();
});

test("a listener for recoveries may throw, and is not told once it has gone", async () => {
  // What it threw was thrown by a microtask, where nobody could catch it.
  const disk = new SimulatedDisk();
  (await open({ storage: disk.storage(), durability: "buffered" })).run("r").kv.put("a", 1);
  disk.crash({ kind: "kill" });
  const db = await open({ storage: disk.storage() });
  const told: RecoveredInfo[] = [];
  db.on("recovered", () => {
    throw new Error("mine");
  });
  db.on("recovered", (info) => told.push(info))();
  db.on("recovered", (info) => told.push(info));
  await settled();
  expect(told).toHaveLength(1);
});

test("with as many snapshots held as can be, transactions are BUSY and leave no runs behind; operations go on", async () => {
  const db = await open();
  const held = Array.from({ length: 1024 }, (_, i) => {
    db.run("r").kv.put("a", i);
    return db.run("r").snapshot();
  });
  db.run("r").kv.put("a", "newest");
  expect(codeOf(() => db.run("new 1").begin())).toBe("BUSY");
  expect(codeOf(() => db.run("new 2").transaction(() => 1))).toBe("BUSY");
  expect(codeOf(() => db.snapshot())).toBe("BUSY");
  expect(db.stats().runs).toBe(1);
  for (let i = 1; i <= 100; i++) expect(db.run("r").state.set("a", i)).toBe(i);
  expect(db.run("r").events.append("a", 1).sequence).toBe(0);
  db.runs.create({ name: "new 3" });
  expect(db.run("r").state.transition("a", (a) => [a, db.run("r").state.set("b", 1)])).toBe(1);
  expect(db.stats().snapshotsHeld).toBe(1024);
  expect(db.verify().valid).toBe(true);
  for (const [i, snapshot] of held.entries()) {
    expect(snapshot.kv.get("a")).toBe(i);
    snapshot.dispose();
  }
});

test("nor are reads of several keys refused then, which hold a version over shared memory", async () => {
  const db = await Database.open({ durability: "in-memory", shared: true });
  opened.push(db);
  const run = db.run("r");
  const held = Array.from({ length: 1024 }, (_, i) => {
    run.kv.put("a", i);
    return run.snapshot();
  });
  run.kv.put("a", "newest");
  expect(codeOf(() => run.snapshot())).toBe("BUSY");
  expect(run.kv.getMany(["a", "none"])).toEqual(["newest", undefined]);
  expect(run.traces.list()).toEqual([]);
  expect([...run.events.range()]).toEqual([]);
  expect(db.stats().snapshotsHeld).toBe(1024);
  for (const snapshot of held) snapshot.dispose();
});

test("an operation on a new run for which there is no memory leaves the store as it was", async () => {
  // There was no run yet to take away again, and what stands at address 0 was taken for one.
  const db = await open({ durability: "in-memory", maxBytes: 1 << 20 });
  const { kv } = db.run("r");
  for (const bytes of [30_000, 900, 10]) {
    for (let i = 0; codeOf(() => kv.put(`${bytes} ${i}`, "f".repeat(bytes))) === undefined; i++);
  }
  const before = db.stats();
  let refused = 0;
  for (let i = 0; i < 200; i++) {
    const id = `${"n".repeat(200)} ${i}`;
    if (codeOf(() => db.run(id).begin()) === "STORE_FULL") refused++;
    if (codeOf(() => db.run(id).state.set("a", 1)) === "STORE_FULL") refused++;
    if (codeOf(() => db.run(id).kv.put("a", "v".repeat(40_000))) === "STORE_FULL") refused++;
  }
  expect(refused).toBeGreaterThan(0);
  expect(db.stats().entries).toBeGreaterThanOrEqual(before.entries);
  expect(db.stats().runs).toBeGreaterThanOrEqual(1);
  expect(db.verify()).toEqual({ valid: true });
});

test("memory that waits for the log is to be had by writing it", async () => {
  // Deferred overwrites of one key filled a small store, and then not even a deletion was taken.
  const disk = new SimulatedDisk();
  const db = await open({ storage: disk.storage(), durability: "in-memory", maxBytes: 1 << 20 });
  const { kv } = db.run("r");
  for (let i = 0; i < 20_000; i++) kv.put("k", i);
  db.run("r").transaction((tx) => tx.kv.put("k", "last"));
  expect(kv.get("k")).toBe("last");
  for (let i = 0; codeOf(() => kv.put(`fill ${i}`, "f".repeat(500))) === undefined; i++);
  expect(codeOf(() => kv.delete("k"))).toBeUndefined();
  expect(codeOf(() => db.deleteRun("r"))).toBeUndefined();
  expect(db.verify().valid).toBe(true);
});

test("what a transition's function did before it threw is whole, and can be committed", async () => {
  const db = await open();
  const run = db.run("r");
  run.state.init("c", 1);
  run.transaction((tx) => {
    expect(
      codeOf(() =>
        tx.state.transition("c", () => {
          tx.kv.put("log", "tried");
          throw new RangeError("rule");
        }),
      ),
    ).toBe("untyped: RangeError: rule");
    expect(
      codeOf(() =>
        tx.state.transition("c", () => {
          tx.kv.put("log 2", "tried");
          return 5 as never;
        }),
      ),
    ).toBe("INVALID_ARGUMENT");
    tx.kv.put("ok", 1);
  });
  expect(run.kv.keys()).toEqual(["log", "log 2", "ok"]);
  expect(run.state.read("c")).toMatchObject({ value: 1, version: 1 });
});

describe("a listing with a limit", () => {
  test.each([
    [{ prefix: "q", limit: 1 }, "q3", undefined],
    [{ prefix: "q", limit: 1 }, "q0", "CONFLICT"],
    [{ prefix: "q", limit: 2 }, "q15", "CONFLICT"],
    [{ prefix: "q", limit: 3 }, "q9", "CONFLICT"],
    [{ prefix: "q", limit: 1, reverse: true }, "q1", undefined],
    [{ prefix: "q", limit: 1, reverse: true }, "q9", "CONFLICT"],
    [{ start: "q", end: "r", limit: 1 }, "q9", undefined],
    [{ start: "q", end: "r", limit: 2, reverse: true }, "q15", "CONFLICT"],
    [{ start: "q", end: "r", limit: 2, reverse: true }, "q0", undefined],
  ] as const)("%j conflicts with %s: %s", async (range, written, expected) => {
    // A consumer that takes the first of a queue met a conflict with everyone who put something at its end.
    for (const read of ["list", "keys"] as const) {
      const db = await open();
      const run = db.run("r");
      for (const key of ["q10", "q2"]) run.kv.put(key, 1);
      const tx = run.begin();
      tx.kv[read](range);
      tx.kv.put("taken", 1);
      run.kv.put(written, 1);
      expect(
        codeOf(() => tx.commit()),
        read,
      ).toBe(expected);
      await db.close();
    }
  });

  test("a transaction's own writes count for where it ends", async () => {
    const db = await open();
    const run = db.run("r");
    run.kv.put("q5", 1);
    const tx = run.begin();
    tx.kv.put("q3", 1);
    expect(tx.kv.keys({ prefix: "q", limit: 1 })).toEqual(["q3"]);
    run.kv.put("q4", 1);
    tx.commit();
    const next = run.begin();
    next.kv.put("q1", 1);
    expect(next.kv.list({ prefix: "q", limit: 2 }).map(([key]) => key)).toEqual(["q1", "q3"]);
    run.kv.put("q2", 1);
    expect(codeOf(() => next.commit())).toBe("CONFLICT");
  });
});

test("the age of a version counts from when it was last held", async () => {
  const environment = new SeededEnvironment(1);
  const db = await open({ durability: "in-memory", environment });
  db.run("r").kv.put("a", 1);
  const first = db.run("r").snapshot();
  await settled();
  first.dispose();
  environment.advance(700);
  const second = db.run("r").snapshot();
  await settled();
  environment.advance(10);
  expect(db.stats().oldestSnapshotAgeMs).toBe(10);
  second.dispose();
});

test.each([Number.NaN, Number.POSITIVE_INFINITY, "now", undefined])(
  "a clock that returns %s stores nothing",
  async (now) => {
    const environment = Object.assign(new SeededEnvironment(1), { wallMs: () => now as number });
    const db = await open({ durability: "in-memory", environment });
    const run = db.run("r");
    expect(codeOf(() => run.traces.record({ type: "thought", content: "a" }))).toBe("INVALID_ARGUMENT");
    expect(codeOf(() => run.events.append("a", 1))).toBe("INVALID_ARGUMENT");
    expect(codeOf(() => run.state.set("a", 1))).toBe("INVALID_ARGUMENT");
    expect(run.count()).toBe(0);
  },
);

test("a value that writes the key while it is encoded does not slip past ifVersion", async () => {
  const db = await open();
  const run = db.run("r");
  const tx = run.begin();
  const value = new Proxy(
    { a: 1 },
    {
      ownKeys(target) {
        tx.kv.put("new", "proxy's");
        return Reflect.ownKeys(target);
      },
    },
  );
  expect(codeOf(() => tx.kv.put("new", value, { ifVersion: null }))).toBe("VERSION_MISMATCH");
  tx.commit();
  expect(run.kv.get("new")).toBe("proxy's");
});

test("a result that cannot even be asked whether it is a promise is a result", async () => {
  const db = await open();
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  db.run("r").transaction((tx) => {
    tx.kv.put("a", 1);
    return proxy;
  });
  expect(db.run("r").kv.get("a")).toBe(1);
});

test("an import of nothing but empty pieces ends with its signal", async () => {
  // Its signal was only looked at between pieces with bytes, and timers had no turn: neither could end it.
  const abort = new AbortController();
  function* nothing(): Generator<Uint8Array> {
    for (let count = 0; count < 2_000_000; count++) yield new Uint8Array(0);
    throw new Error("nobody has looked at the signal");
  }
  setTimeout(() => abort.abort(), 1);
  const importing = Database.import(nothing(), { wasm, durability: "in-memory", signal: abort.signal });
  await expect(importing).rejects.toMatchObject({ code: "TIMEOUT" });
});

describe("what a checkpoint has taken the place of", () => {
  const small = { segmentBytesTarget: 200 };

  test("is removed by another checkpoint if it could not be by the first, and by closing", async () => {
    // Where nothing had been written since, another checkpoint had nothing to do, and left it where it was.
    const disk = new SimulatedDisk();
    const db = await open({ storage: disk.storage(small) });
    const write = (): void => {
      for (let i = 0; i < 20; i++) db.run("r").kv.put("k", "x".repeat(100));
    };
    write();
    disk.failNext("removeSegment", "STORE_FAILED", { applied: false });
    await expect(db.checkpoint()).rejects.toMatchObject({ code: "STORE_FAILED" });
    expect(disk.segmentNumbers().length).toBeGreaterThan(1);
    await db.checkpoint();
    expect(disk.segmentNumbers()).toHaveLength(1);
    write();
    disk.failNext("removeSegment", "STORE_FAILED", { applied: false });
    await expect(db.checkpoint()).rejects.toMatchObject({ code: "STORE_FAILED" });
    await db.close();
    expect(disk.segmentNumbers()).toHaveLength(1);
  });

  test("goes with a few syncs of the directory, not with one for each segment", async () => {
    // Hundreds of segments took hundreds of syncs, each as long as that of a commit.
    const files = new SimulatedFiles(emptyDisk(512));
    const storage = new FileStorage("/db", small.segmentBytesTarget, {
      platform: () => files.platform(),
      own: async (node, directory) => files.own(node, directory),
    });
    const db = await open({ storage, durability: "buffered" });
    for (let i = 0; i < 100; i++) db.run("r").kv.put("k", "x".repeat(100));
    const syncs: string[] = [];
    let removed = 0;
    files.onBoundary = ({ name, path }) => {
      if (/^fsync/.test(name) && path === "/db") syncs.push(name);
      if (name === "rmSync" && path.endsWith(".log")) removed++;
    };
    await db.checkpoint();
    expect(removed).toBeGreaterThan(40);
    expect(syncs.length).toBeLessThan(10);
  });
});

async function bytesOf(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const pieces: Uint8Array[] = [];
  for await (const piece of stream) pieces.push(piece);
  return pieces;
}

describe("exports", () => {
  test("a run that has nothing committed yet is not there to be exported", async () => {
    // Whatever had a header was taken for a run; the export could not be imported, nor could the other runs in it.
    const db = await open();
    db.run("real").kv.put("k", "precious");
    const begun = db.run("fresh").begin();
    begun.kv.put("k", 1);
    const held = db.stats().snapshotsHeld;
    expect(codeOf(() => db.export({ runs: ["real", "fresh"] }))).toBe("NOT_FOUND");
    db.run("deleted").kv.put("k", 1);
    db.deleteRun("deleted");
    const again = db.run("deleted").begin();
    expect(codeOf(() => db.export({ runs: ["deleted"] }))).toBe("NOT_FOUND");
    expect(db.stats().snapshotsHeld).toBe(held + 1);
    const copy = await Database.import(await bytesOf(db.export({ runs: ["real"] })), { wasm, durability: "in-memory" });
    opened.push(copy);
    expect(copy.run("real").kv.list()).toEqual([["k", "precious"]]);
    begun.commit();
    again.rollback();
    expect(codeOf(() => db.export({ runs: ["fresh"] }).return())).toBe(undefined);
  });

  test("one that is ended before it was begun lets go of its snapshot", async () => {
    // A generator that was never begun runs nothing when it is ended: so many exports, and nothing more could be begun.
    const db = await open();
    db.run("r").kv.put("k", 1);
    await db.export().return();
    await db
      .export()
      .throw(new Error("mine"))
      .catch(() => {});
    for await (const _ of db.export()) break;
    expect(db.stats().snapshotsHeld).toBe(0);
    await expect(Database.import(db.export(), { wasm, readOnly: true, path: "never" })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
    });
    const disk = new SimulatedDisk().storage();
    const full = await open({ storage: disk });
    full.run("r").kv.put("k", 1);
    await full.close();
    await expect(Database.import(db.export(), { wasm, storage: disk })).rejects.toMatchObject({
      code: "ALREADY_EXISTS",
    });
    expect(db.stats().snapshotsHeld).toBe(0);
    const whole = db.export();
    await bytesOf(whole);
    await whole.return();
    expect(db.stats().snapshotsHeld).toBe(0);
  });

  test("an import from a stream that stalls ends by its signal, and gives its place back", async () => {
    // It was looked for between two pieces only.
    const db = await open();
    db.run("r").kv.put("k", 1);
    const [first] = await bytesOf(db.export());
    let ended = 0;
    const stalled: AsyncIterable<Uint8Array> = {
      [Symbol.asyncIterator]: () => {
        let given = 0;
        return {
          next: () =>
            given++ === 0
              ? Promise.resolve({ done: false, value: first?.subarray(0, 20) as Uint8Array })
              : new Promise<never>(() => {}),
          return: () => {
            ended++;
            return new Promise<never>(() => {});
          },
        };
      },
    };
    const storage = new SimulatedDisk().storage();
    const aborting = new AbortController();
    const importing = Database.import(stalled, { wasm, storage, signal: aborting.signal });
    await new Promise((resolve) => setTimeout(resolve, 20));
    aborting.abort(new Error("mine"));
    await expect(importing).rejects.toMatchObject({ code: "TIMEOUT" });
    expect(ended).toBeGreaterThan(0);
    const fresh = await open({ storage });
    expect(fresh.run("r").kv.count()).toBe(0);
  });
});

describe("what callers give", () => {
  test("options that use the database while they are read do not change what is stored", async () => {
    // The value stood encoded in the scratch already, where the other write's took its place.
    const db = await open();
    const other = db.run("other").kv;
    db.run("r").transaction((tx) => {
      tx.kv.put("a", "AAAA", {
        get ifVersion() {
          other.put("x", "BBBB");
          return undefined;
        },
      });
      tx.kv.put("n", [1, 2, 3], {
        get durability() {
          other.put("x", "a longer text than that");
          return undefined;
        },
      });
    });
    expect(db.run("r").kv.list()).toEqual([
      ["a", "AAAA"],
      ["n", [1, 2, 3]],
    ]);
    db.run("r").kv.put("b", "CCCC", {
      get ifVersion() {
        other.put("x", "DDDD");
        return null;
      },
    });
    expect(db.run("r").kv.get("b")).toBe("CCCC");
  });

  test("plain objects and arrays of another realm are what they are", async () => {
    // Results of a sandbox were refused as instances of Object.
    const kv = (await open()).run("r").kv;
    kv.put("v", runInNewContext('JSON.parse(\'{"list":[1,{"a":null}]}\')'));
    expect(kv.get("v")).toEqual({ list: [1, { a: null }] });
    for (const made of ["new Date()", "new Map()", "new (class A {})", "new (class L extends Array {})"]) {
      expect(codeOf(() => kv.put("v", runInNewContext(made)))).toBe("INVALID_VALUE");
    }
    class Bare {}
    Object.setPrototypeOf(Bare.prototype, null);
    expect(codeOf(() => kv.put("v", new Bare() as never))).toBe("INVALID_VALUE");
  });

  test("a path beside a storage is refused", async () => {
    // It was ignored, and nothing was kept.
    await expect(open({ path: "never", storage: new SimulatedDisk().storage() })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
    });
  });

  test("what cannot be asked is refused with a type", async () => {
    // What the caller's Proxy threw went through.
    const db = await open();
    const handler = new Proxy({}, { get: () => refuse });
    const refuse = (): never => {
      throw new Error("mine");
    };
    const unwilling = (target: object): never => new Proxy(target, handler) as never;
    expect(codeOf(() => db.export({ runs: new Proxy(["r"], { get: refuse }) }))).toBe("INVALID_ARGUMENT");
    await expect(Database.import(unwilling({}), "never")).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await expect(Database.attach(unwilling({}))).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    expect(HoldfastError.is(unwilling({}))).toBe(false);
    expect(codeOf(() => requiresWal(null as never))).toBe("INVALID_ARGUMENT");
    expect([requiresWal("in-memory"), requiresImmediateFsync("strict"), flushInterval("buffered")]).toEqual([
      false,
      true,
      100,
    ]);
  });
});

describe("transactions", () => {
  test("one that was committed by its callback is not called rolled back", async () => {
    const run = (await open()).run("r");
    const committed = (): unknown =>
      run.transaction((tx) => {
        tx.kv.put("paid", 1);
        tx.commit();
        return Promise.resolve();
      });
    expect(committed).toThrowError(/which stands/);
    expect(run.kv.get("paid")).toBe(1);
    expect(() => run.transaction(async (tx) => tx.kv.put("paid", 2))).toThrowError(/rolled back/);
    expect(run.kv.get("paid")).toBe(1);
  });

  test("many by one signal listen to it once, and no more once they are over", async () => {
    // Eleven were taken for a leak.
    const db = await open();
    const { signal } = new AbortController();
    const listening = new Set<unknown>();
    let most = 0;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...given: Parameters<typeof add>) => {
      listening.add(given[1]);
      most = Math.max(most, listening.size);
      add(...given);
    };
    signal.removeEventListener = (...given: Parameters<typeof remove>) => {
      listening.delete(given[1]);
      remove(...given);
    };
    const all = Array.from({ length: 20 }, (_, n) =>
      db.run(`${n}`).transactionAsync(
        async (tx) => {
          await settled();
          tx.kv.put("n", n);
        },
        { signal },
      ),
    );
    await Promise.all(all);
    expect([most, listening.size, db.runs.ids().length]).toEqual([1, 0, 20]);
  });

  test("all that wait by one signal are told", async () => {
    const run = (await open()).run("r");
    const aborting = new AbortController();
    const all = Array.from({ length: 3 }, () =>
      run.transactionAsync(() => new Promise<never>(() => {}), { signal: aborting.signal }),
    );
    const settledAll = Promise.allSettled(all);
    await new Promise((resolve) => setTimeout(resolve, 5));
    aborting.abort();
    for (const one of await settledAll) expect(one).toMatchObject({ reason: { code: "TIMEOUT" } });
  });
});

describe("retries", () => {
  test("of a synchronous transaction wait where another worker may run meanwhile", async () => {
    // They came at once, into the same conflict.
    const baseMs = 60;
    const db = await Database.open({ durability: "in-memory", shared: true });
    opened.push(db);
    const conflictOnce = (): number => {
      const other = opened.at(-1) as Database;
      let attempts = 0;
      const beganMs = performance.now();
      db.run("r").transaction(
        (tx) => {
          tx.kv.put("n", Number(tx.kv.get("n") ?? 0) + 1);
          if (attempts++ === 0) other.run("r").kv.put("n", 10);
        },
        { retry: { attempts: 2, baseMs, maxMs: baseMs } },
      );
      expect([attempts, db.run("r").kv.get("n")]).toEqual([2, 11]);
      return performance.now() - beganMs;
    };
    // Alone there is nobody to wait for.
    conflictOnce();
    opened.push(await Database.attach(db.share()));
    expect(conflictOnce()).toBeGreaterThanOrEqual(baseMs / 2 - 1);
  });
});

describe("listeners", () => {
  test("a function that was added twice is taken away once by each", () => {
    // Whoever took his own away took the other's along.
    const listeners = new Listeners();
    const told: string[] = [];
    const listener = (reason: string): number => told.push(reason);
    const one = listeners.add("locked-out", listener);
    const other = listeners.add("locked-out", listener);
    listeners.emit("locked-out", "both");
    listeners.remove(one, "locked-out");
    listeners.emit("locked-out", "the other");
    listeners.remove(other, "locked-out");
    listeners.emit("locked-out", "nobody");
    expect(told).toEqual(["both", "both", "the other"]);
  });
});

describe("the sync in the background", () => {
  test("is put off where another worker is in the middle of one, and the commit stands", () => {
    // A put that was installed and written threw BUSY, which means that nothing has changed; and so did each one behind it.
    let nowMs = 0;
    let syncs = 0;
    const log = {
      syncSync: () => {
        syncs++;
        throw new HoldfastError("BUSY", "in the middle");
      },
    } as unknown as Log;
    const environment = { monotonicMs: () => nowMs, schedule: () => () => {} } as unknown as Environment;
    const flusher = new Flusher(log, environment, true, {
      mode: "buffered",
      flushIntervalMs: 10,
      maxPendingWrites: 1_000,
    });
    for (; nowMs < 100; nowMs++) flusher.note();
    expect(syncs).toBeGreaterThan(5);
    expect(syncs).toBeLessThan(10);
  });

  test.each(["drain", "sync"])("is made again where another worker was in the middle of it: %s", async (failing) => {
    // Where the timer's own met BUSY, nothing was due any more: the commit waited for the next one, however long.
    const calls: string[] = [];
    const call = async (name: string): Promise<void> => {
      const isFirst = !calls.includes(name);
      calls.push(name);
      if (isFirst && name === failing) throw new HoldfastError("BUSY", "in the middle");
    };
    const log = { drain: () => call("drain"), sync: () => call("sync") } as unknown as Log;
    const due: (() => void)[] = [];
    const schedule = (_ms: number, callback: () => void): (() => void) => {
      due.push(callback);
      return () => {};
    };
    const environment = { monotonicMs: () => 0, schedule } as unknown as Environment;
    const flusher = new Flusher(log, environment, true, {
      mode: "buffered",
      flushIntervalMs: 10,
      maxPendingWrites: 1_000,
    });
    flusher.note();
    for (let made = 1; made <= 2; made++) {
      due.shift()?.();
      await new Promise((resolve) => setImmediate(resolve));
      expect(calls).toEqual(Array(made).fill(["drain", "sync"]).flat());
    }
    expect(due).toEqual([]);
    await flusher.stop();
  });

  test("is made again as soon as the shortest interval says, whatever came meanwhile", async () => {
    const environment = new ManualEnvironment();
    let drains = 0;
    let end = (): void => {};
    const drain = async (): Promise<void> => {
      if (++drains > 1) return;
      await new Promise<void>((resolve) => {
        end = resolve;
      });
      throw new HoldfastError("BUSY", "in the middle");
    };
    const log = { drain, sync: async () => {} } as unknown as Log;
    const late = { mode: "buffered", flushIntervalMs: 3_600_000, maxPendingWrites: 1_000 } as const;
    const flusher = new Flusher(log, environment, true, late);
    flusher.note({ ...late, flushIntervalMs: 100 });
    await environment.advance(101);
    flusher.note();
    end();
    await environment.advance(0);
    expect(drains).toBe(1);
    await environment.advance(101);
    expect(drains).toBe(2);
    await flusher.stop();
  });
});

describe("arrays of holes", () => {
  test("are looked at no further than to the first, however many there are", async () => {
    // All of them were copied first: a quarter of a minute for as many as an array may have.
    const db = await Database.open({ durability: "in-memory" });
    opened.push(db);
    const run = db.run("r");
    run.kv.put("k", 1);
    const snapshot = run.snapshot();
    const calls: ((holes: string[]) => unknown)[] = [
      (holes) => run.kv.getMany(holes),
      (holes) => run.transaction((tx) => tx.kv.getMany(holes)),
      (holes) => snapshot.kv.getMany(holes),
      (holes) => db.export({ runs: holes }),
    ];
    for (const call of calls) {
      const read: PropertyKey[] = [];
      const holes = new Proxy(Array<string>(1000), {
        get: (target, name) => {
          if (/^\d+$/.test(String(name))) read.push(name);
          return Reflect.get(target, name);
        },
      });
      expect(() => call(holes)).toThrow(expect.objectContaining({ code: "INVALID_KEY" }));
      expect(read).toEqual(["0"]);
    }
    snapshot.dispose();
    expect(db.stats()).toMatchObject({ snapshotsHeld: 0, transactionsOpen: 0 });
  });
});
