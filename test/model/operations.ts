/**
 * What the model test does to a database: tagged operations that stay meaningful when others are left out, so that a
 * failing sequence shrinks well. Transactions and snapshots are named by a number that is taken modulo those that are open.
 */
import fc from "fast-check";
import type { Value } from "../../src/index.js";
import type { Mode, RangeOptions } from "../support/history.js";

/** What a write expects of its key's version. */
export type Expectation = "any" | "null" | "right" | "wrong";

export type ReadKind = "get" | "versioned" | "many" | "has" | "list" | "keys" | "count";

export interface Read {
  readonly kind: ReadKind;
  readonly key: string;
  readonly range: RangeOptions;
}

export type Operation =
  | { readonly op: "put"; run: string; key: string; value: Value; mode: Mode | undefined; expect: Expectation }
  | { readonly op: "delete"; run: string; key: string; mode: Mode | undefined; expect: Expectation }
  | ({ readonly op: "read"; view: "run" | "transaction" | "snapshot"; run: string; index: number } & Read)
  | { readonly op: "begin"; run: string; mode: Mode | undefined }
  | { readonly op: "txPut"; index: number; key: string; value: Value; expect: Expectation }
  | { readonly op: "txDelete"; index: number; key: string; expect: Expectation }
  | { readonly op: "commit"; index: number }
  | { readonly op: "rollback"; index: number }
  | { readonly op: "callback"; run: string; mode: Mode | undefined; writes: [string, Value][]; fails: boolean }
  | { readonly op: "snapshot"; run: string | undefined }
  | { readonly op: "dispose"; index: number }
  | { readonly op: "flush"; sync: boolean }
  | { readonly op: "tick"; ms: number }
  | { readonly op: "room"; bytes: number }
  | { readonly op: "reopen" }
  | { readonly op: "crash"; kind: "kill" | "power" };

export const RUNS = ["a", "run é"] as const;

// In UTF-8 "\uffff" stands before "😀", in UTF-16 behind it.
export const KEYS = ["a", "b", "ab", "a/", "a/1", "a/2", "é", "\uffff", "😀", "z", "z".repeat(1024)] as const;

const BOUNDS = ["", "a", "a/", "ab", "b", "é", "\uffff", "😀", "zz"] as const;

const SCALARS: readonly Value[] = [
  null,
  true,
  false,
  0,
  -0,
  1,
  -1,
  4294967296,
  0.5,
  Number.NaN,
  "",
  "x",
  0n,
  -1n,
  2n ** 63n - 1n,
];

const value: fc.Arbitrary<Value> = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...SCALARS) },
  { weight: 3, arbitrary: fc.integer() },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 400 }).map((length) => "v".repeat(length)) },
  { weight: 1, arbitrary: fc.string({ unit: "grapheme", maxLength: 20 }) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 60 }) },
  { weight: 1, arbitrary: fc.integer({ min: 2000, max: 70_000 }).map((length) => new Uint8Array(length).fill(length)) },
  {
    weight: 1,
    arbitrary: fc.constantFrom<Value>(
      [],
      [1, [2, "three"], { four: 4n }],
      {},
      { nested: { list: [null, -0], bytes: new Uint8Array([1, 2]) } },
      JSON.parse('{"__proto__":1,"constructor":[true]}') as Value,
    ),
  },
);

const run = fc.constantFrom(...RUNS, RUNS[0]);
const key = fc.oneof({ weight: 3, arbitrary: fc.constantFrom("a", "b", "ab", "a/1") }, fc.constantFrom(...KEYS));
const mode = fc.constantFrom<Mode | undefined>(undefined, "in-memory", "buffered", "strict");
const expect = fc.constantFrom<Expectation>("any", "any", "any", "null", "right", "wrong");
const index = fc.nat({ max: 5 });
const range: fc.Arbitrary<RangeOptions> = fc.record(
  {
    prefix: fc.constantFrom(...BOUNDS),
    start: fc.constantFrom(...BOUNDS),
    end: fc.constantFrom(...BOUNDS),
    reverse: fc.boolean(),
    limit: fc.nat({ max: 4 }),
  },
  { requiredKeys: [] },
);
const kind = fc.constantFrom<ReadKind>("get", "versioned", "many", "has", "list", "list", "keys", "count");

function tagged<T extends Operation["op"], R>(op: T, fields: { [K in keyof R]: fc.Arbitrary<R[K]> }) {
  return fc.record({ op: fc.constant(op), ...fields }) as unknown as fc.Arbitrary<Extract<Operation, { op: T }>>;
}

const work: fc.WeightedArbitrary<Operation>[] = [
  { weight: 20, arbitrary: tagged("put", { run, key, value, mode, expect }) },
  { weight: 8, arbitrary: tagged("delete", { run, key, mode, expect }) },
  {
    weight: 14,
    arbitrary: tagged("read", {
      view: fc.constantFrom("run", "transaction", "transaction", "snapshot"),
      run,
      index,
      kind,
      key,
      range,
    }),
  },
  { weight: 8, arbitrary: tagged("begin", { run, mode }) },
  { weight: 10, arbitrary: tagged("txPut", { index, key, value, expect }) },
  { weight: 5, arbitrary: tagged("txDelete", { index, key, expect }) },
  { weight: 8, arbitrary: tagged("commit", { index }) },
  { weight: 2, arbitrary: tagged("rollback", { index }) },
  {
    weight: 3,
    arbitrary: tagged("callback", {
      run,
      mode,
      writes: fc.array(fc.tuple(key, value), { maxLength: 6 }),
      fails: fc.boolean(),
    }),
  },
  { weight: 5, arbitrary: tagged("snapshot", { run: fc.constantFrom(undefined, ...RUNS) }) },
  { weight: 3, arbitrary: tagged("dispose", { index }) },
  { weight: 2, arbitrary: tagged("flush", { sync: fc.boolean() }) },
];

const storage: fc.WeightedArbitrary<Operation>[] = [
  { weight: 3, arbitrary: tagged("tick", { ms: fc.constantFrom(40, 100, 250) }) },
  { weight: 2, arbitrary: tagged("room", { bytes: fc.constantFrom(0, 100, 250, 1e9, 1e9) }) },
  { weight: 2, arbitrary: tagged("reopen", {}) },
  { weight: 3, arbitrary: tagged("crash", { kind: fc.constantFrom("kill", "power") }) },
];

/** Sequences for a database in memory, or with `persistent` for one with a storage. */
export function sequences(persistent: boolean): fc.Arbitrary<Operation[]> {
  const one = fc.oneof(...(persistent ? [...work, ...storage] : work));
  return fc.array(one, { maxLength: 50, size: "max" });
}
