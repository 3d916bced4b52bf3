/**
 * What primitives do with stored values that are none of theirs: a typed error when read, a finding for `verify`, never more.
 */
import { describe, expect, test } from "vitest";
import { memory } from "../../src/adapters/memory.js";
import { compareUtf8, inGroup } from "../../src/host/names.js";
import { Database, type EventLogReport, HoldfastError, type Run, type Value } from "../../src/index.js";
import { byUtf8 } from "../contract/samples.js";

/** Writes under the primitives. */
interface Raw {
  put(table: number, key: string, value: unknown): void;
  delete(table: number, key: string): void;
  /** A stored event: its bytes, the previous hash, its hash. */
  get(table: number, key: string): [Uint8Array, Uint8Array, Uint8Array];
}

async function open(): Promise<{ db: Database; run: Run; w: Raw }> {
  const db = await Database.open({ storage: memory() });
  const run = db.run("r");
  const w: Raw = {
    put: (table, key, value) => void run.writer.put(table, key, value as Value, undefined),
    delete: (table, key) => void run.writer.delete(table, key, undefined),
    get: (table, key) => run.writer.get(table, key) as [Uint8Array, Uint8Array, Uint8Array],
  };
  return { db, run, w };
}

const key = (n: number) => String(n).padStart(16, "0");
const FOREIGN = [
  null,
  1,
  -1,
  0,
  "x",
  [],
  [1],
  [1, 2, 3],
  [1, 2, "x"],
  {},
  new Uint8Array(3),
  [new Uint8Array(1), new Uint8Array(32), new Uint8Array(32)],
  [new Uint8Array(0), new Uint8Array(32), new Uint8Array(32)],
  true,
  1n,
  { entry: 1 },
  { entry: { type: "thought", content: "a" } },
  { entry: { type: "thought" }, tags: [], timestamp: 1 },
  { entry: { type: "__proto__" }, tags: [], timestamp: 1 },
  { status: "active" },
  { status: "active", tags: [1], metadata: {}, createdAt: 1, updatedAt: 1 },
  [0, 1, 1],
  [1.5, 1, 1],
  ["1", 1, 1],
  [1, "t", 1],
];
const fill = (run: Run, n = 10): void => {
  for (let i = 0; i < n; i++) run.events.append(i % 2 ? "odd" : "even", i);
};
function flip(bytes: Uint8Array): void {
  bytes[3] = (bytes[3] as number) ^ 1;
}

const report = (r: EventLogReport): EventLogReport => {
  expect(r.valid).toBe(false);
  return r;
};
describe("events", () => {
  test("foreign event", async () => {
    for (const v of FOREIGN) {
      const { run, w } = await open();
      fill(run);
      w.put(1, key(4), v);
      expect(report(run.events.verify())).toMatchObject({ length: 10, firstInvalid: 4 });
      for (const f of [() => run.events.read(4), () => [...run.events.range()], () => run.events.readByType("even")])
        expect(() => f()).toThrow(expect.objectContaining({ code: "CORRUPTION" }));
      expect(run.events.read(3)?.payload).toBe(3);
      expect(run.events.append("even", 10).sequence).toBe(10);
    }
  });
  test("foreign head", async () => {
    for (const v of FOREIGN) {
      const { run, w } = await open();
      fill(run);
      w.put(9, "head\0", v);
      expect(report(run.events.verify()).reason).toBeTypeOf("string");
      for (const f of [
        () => run.events.length,
        () => run.events.head(),
        () => run.events.append("a", 1),
        () => run.events.range(),
      ])
        expect(() => f(), String(v)).toThrow(expect.objectContaining({ code: "CORRUPTION" }));
    }
  });
  test("subtle", async () => {
    const cases: [string, (w: Raw, run: Run) => void, Partial<EventLogReport>][] = [
      ["missing event", (w) => w.delete(1, key(3)), { firstInvalid: 3 }],
      [
        "swapped",
        (w) => {
          const [a, b] = [w.get(1, key(3)), w.get(1, key(4))];
          w.put(1, key(3), b);
          w.put(1, key(4), a);
        },
        { firstInvalid: 3 },
      ],
      [
        "byte flip",
        (w) => {
          const [b, p, h] = w.get(1, key(5));
          flip(b);
          w.put(1, key(5), [b, p, h]);
        },
        { firstInvalid: 5 },
      ],
      [
        "prev flip",
        (w) => {
          const [b, p, h] = w.get(1, key(5));
          flip(p);
          w.put(1, key(5), [b, p, h]);
        },
        { firstInvalid: 5 },
      ],
      [
        "hash flip",
        (w) => {
          const [b, p, h] = w.get(1, key(9));
          flip(h);
          w.put(1, key(9), [b, p, h]);
        },
        { firstInvalid: 9 },
      ],
      ["beyond", (w) => w.put(1, key(10), w.get(1, key(9))), { firstInvalid: 10 }],
      ["odd key", (w) => w.put(1, "zzz", 1), { firstInvalid: 10 }],
      [
        "head short",
        (w) => {
          const [, p] = w.get(1, key(9));
          w.put(9, "head\0", [9, p]);
        },
        { firstInvalid: 9, length: 9 },
      ],
      [
        "head long",
        (w) => {
          const [, , h] = w.get(1, key(9));
          w.put(9, "head\0", [11, h]);
        },
        { firstInvalid: 10, length: 11 },
      ],
      [
        "head huge",
        (w) => {
          const [, , h] = w.get(1, key(9));
          w.put(9, "head\0", [2 ** 53 - 1, h]);
        },
        { firstInvalid: 10 },
      ],
      ["head hash", (w) => w.put(9, "head\0", [10, new Uint8Array(32)]), { firstInvalid: 9 }],
      ["head gone", (w) => w.delete(9, "head\0"), { firstInvalid: 0, length: 0 }],
      ["type member gone", (w) => w.delete(9, `of:odd\0${key(3)}`), { firstInvalid: 3 }],
      ["type member extra", (w) => w.put(9, `of:odd\0${key(4)}`, null), {}],
      ["type registry extra", (w) => w.put(9, "types\0none", null), {}],
      ["type registry gone", (w) => w.delete(9, "types\0odd"), {}],
      ["unknown index", (w) => w.put(9, "x\0y", null), {}],
    ];
    for (const [name, spoil, expected] of cases) {
      const { run, w } = await open();
      fill(run);
      spoil(w, run);
      const r = run.events.verify();
      expect(r, name).toMatchObject({ valid: false, ...expected });
      expect(r.reason, name).toBeTypeOf("string");
      if (!("firstInvalid" in expected)) expect("firstInvalid" in r, name).toBe(false);
      run.transaction((tx) => expect(tx.events.verify()).toEqual(r));
    }
  });
  test("index garbage", async () => {
    for (const k of [
      "of:odd\0x",
      "of:odd\0",
      `of:odd\0${"9".repeat(16)}`,
      `of:odd\0${"1e3".padStart(16, " ")}`,
      "of:odd\0-000000000000001",
    ]) {
      const { run, w } = await open();
      fill(run);
      w.put(9, k, null);
      expect(() => run.events.readByType("odd"), k).toThrow(HoldfastError);
      expect(run.events.verify().valid).toBe(false);
    }
  });
});
test("state foreign", async () => {
  for (const v of FOREIGN.filter(
    (v) => !(Array.isArray(v) && v.length === 3 && v[0] === 1 && typeof v[1] === "number"),
  )) {
    const { run, w } = await open();
    w.put(2, "a", v);
    const corrupt = expect.objectContaining({ code: "CORRUPTION" });
    for (const f of [
      () => run.state.read("a"),
      () => run.state.list(),
      () => run.state.set("a", 1),
      () => run.state.init("a", 1),
      () => run.state.cas("a", 1, 1),
      () => run.state.transition("a", (x) => [x, x]),
      () => run.state.delete("a"),
    ])
      expect(f, JSON.stringify(String(v))).toThrow(corrupt);
    const o = await open();
    if (typeof v === "number" && v >= 1) continue;
    o.w.put(10, "d\0a", v);
    expect(() => o.run.state.init("a", 1)).toThrow(corrupt);
  }
});
test("traces foreign", async () => {
  for (const v of FOREIGN) {
    const { run, w } = await open();
    run.traces.record({ type: "thought", content: "a" }, { id: "a", tags: ["t"] });
    w.put(3, "a", v);
    const corrupt = expect.objectContaining({ code: "CORRUPTION" });
    for (const f of [
      () => run.traces.get("a"),
      () => run.traces.list(),
      () => run.traces.tree("a"),
      () => run.traces.byTag("t"),
    ])
      expect(f, String(v)).toThrow(corrupt);
    w.delete(3, "a");
    for (const f of [() => run.traces.list(), () => run.traces.roots(), () => run.traces.byTag("t")])
      expect(f, String(v)).toThrow(corrupt);
  }
  const { run, w } = await open();
  run.traces.record({ type: "thought", content: "a" }, { id: "a" });
  run.traces.record({ type: "thought", content: "a" }, { id: "b", parent: "a" });
  w.put(11, `child:b\0${key(5)}a`, null);
  expect(() => run.traces.tree("a")).toThrow(expect.objectContaining({ code: "CORRUPTION" }));
  w.put(11, "all\0short", null);
  expect(() => run.traces.list()).toThrow(HoldfastError);
});
test("runs foreign", async () => {
  for (const v of FOREIGN) {
    const { db, w } = await open();
    w.put(5, "run", v);
    const corrupt = expect.objectContaining({ code: "CORRUPTION" });
    for (const f of [
      () => db.runs.get("r"),
      () => db.runs.list(),
      () => db.runs.stats(),
      () => db.runs.complete("r"),
      () => db.runs.addTags("r", ["a"]),
    ])
      expect(f, String(v)).toThrow(corrupt);
    expect(db.runs.delete("r")).toBe(true);
  }
});
test("names", () => {
  const all: string[] = [""];
  const units = ["\0", "\x01", "\x02", "a", "\uE000", "\u{10000}"];
  for (let d = 0; d < 4; d++)
    for (const s of all.filter((x) => [...x].length === d)) for (const u of units) all.push(s + u);
  const sorted = [...all].sort(byUtf8);
  expect([...all].sort(compareUtf8)).toEqual(sorted);
  expect(new Set(all.map(inGroup)).size).toBe(all.length);
  expect([...all].sort((a, b) => compareUtf8(inGroup(a), inGroup(b)))).toEqual(sorted);
  expect(all.some((x) => inGroup(x).includes("\0"))).toBe(false);
});
