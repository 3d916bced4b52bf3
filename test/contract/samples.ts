/**
 * What the contract suites of the API share: one value of every kind, the order of keys, and the four views that a
 * key-value can be read through.
 */
import type { Database, KVReader, ListOptions, Run, RunSnapshot, Value } from "../../src/index.js";
import type { Case, Context } from "./context.js";

/** One value of every kind and at every edge of its encoding, named. */
export function sampleValues(): readonly (readonly [name: string, value: Value])[] {
  return [...scalars(), ...texts(), ...bytesAndContainers()];
}

function scalars(): [string, Value][] {
  return [
    ["null", null],
    ["true", true],
    ["false", false],
    ["zero", 0],
    ["minus zero", -0],
    ["NaN", Number.NaN],
    ["infinity", Number.POSITIVE_INFINITY],
    ["minus infinity", Number.NEGATIVE_INFINITY],
    ["one byte", 23],
    ["two bytes", 255],
    ["three bytes", -65_536],
    ["2^32 - 1", 4_294_967_295],
    ["2^32", 4_294_967_296],
    ["-2^32", -4_294_967_296],
    ["beyond -2^32", -4_294_967_297],
    ["2^53", 9_007_199_254_740_992],
    ["a fraction", 0.1],
    ["the smallest number", Number.MIN_VALUE],
    ["the largest number", -Number.MAX_VALUE],
    ["bigint zero", 0n],
    ["bigint one", 1n],
    ["bigint minus one", -1n],
    ["largest bigint", 9_223_372_036_854_775_807n],
    ["smallest bigint", -9_223_372_036_854_775_808n],
  ];
}

function texts(): [string, Value][] {
  return [
    ["empty string", ""],
    ["ASCII", "the plan"],
    ["all widths of UTF-8", "aé€😀"],
    ["a byte order mark", "\uFEFFmarked"],
    ["a null character", "a\u0000b"],
    ["64 characters", "x".repeat(64)],
    ["65 characters", "x".repeat(65)],
    ["100,000 characters", "é".repeat(100_000)],
  ];
}

function bytesAndContainers(): [string, Value][] {
  return [
    ["no bytes", new Uint8Array(0)],
    ["bytes", Uint8Array.of(0, 1, 127, 128, 255)],
    ["1 MiB of bytes", mebibyte()],
    ["empty array", []],
    ["array", [null, true, 1, 1n, "one", Uint8Array.of(1), [], {}]],
    ["empty object", {}],
    ["object", { z: 1, a: { "": null, "0": -0, nested: [Number.NaN] }, bytes: Uint8Array.of(9) }],
    ["object of prototype names", hostileObject()],
    ["64 levels", nested(64)],
  ];
}

function mebibyte(): Uint8Array {
  const bytes = new Uint8Array(1_048_576);
  for (let i = 0; i < bytes.length; i++) bytes[i] = i * 31 + (i >> 8);
  return bytes;
}

/** An object whose own keys are the names that careless code trips over. */
export function hostileObject(): { readonly [key: string]: Value } {
  return JSON.parse('{"__proto__": {"polluted": true}, "constructor": 1, "toString": null, "hasOwnProperty": "own"}');
}

/** Arrays within one another, `levels` deep. */
export function nested(levels: number): Value {
  let value: Value = "core";
  for (let level = 0; level < levels; level++) value = level % 2 === 0 ? [value] : { in: value };
  return value;
}

/** Keys that mean something elsewhere and nothing here. */
export const HOSTILE_KEYS: readonly string[] = [
  "__proto__",
  "constructor",
  "toString",
  "hasOwnProperty",
  "then",
  "\u0000",
  "a\u0000b",
  "a",
  " ",
  "../../etc/passwd",
  "%00",
  "\uFEFF",
  "\uFFFF",
  "\u{10FFFF}",
];

const encoder = new TextEncoder();

/** The order of listings: by the bytes of UTF-8, which is not that of JavaScript's strings. */
export function byUtf8(a: string, b: string): number {
  const [left, right] = [encoder.encode(a), encoder.encode(b)];
  const common = Math.min(left.length, right.length);
  for (let i = 0; i < common; i++) {
    const difference = (left[i] as number) - (right[i] as number);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

/** What a listing of `keys` must give, computed in the plainest way. */
export function listedKeys(keys: Iterable<string>, options: ListOptions): string[] {
  const { prefix = "", start, end, reverse = false, limit = Number.POSITIVE_INFINITY } = options;
  const found = [...keys]
    .filter((key) => key.startsWith(prefix))
    .filter((key) => start === undefined || byUtf8(key, start) >= 0)
    .filter((key) => end === undefined || byUtf8(key, end) < 0)
    .sort(byUtf8);
  if (reverse) found.reverse();
  return found.slice(0, limit);
}

/** The name of the run that cases use which need only one. */
export const RUN = "agent-1";

/** Lets `check` read the key-values of a run through every view there is; each must show the same. */
export function throughEveryView(db: Database, runId: string, check: (kv: KVReader, view: string) => void): void {
  check(db.run(runId).kv, "run");
  const transaction = db.run(runId).begin();
  try {
    check(transaction.kv, "transaction");
  } finally {
    transaction.rollback();
  }
  const snapshot = db.run(runId).snapshot();
  try {
    check(snapshot.kv, "snapshot");
  } finally {
    snapshot.dispose();
  }
  const whole = db.snapshot();
  try {
    check(whole.run(runId).kv, "database snapshot");
  } finally {
    whole.dispose();
  }
}

/** Writes entries to a run in one transaction. */
export function fill(db: Database, runId: string, entries: Iterable<readonly [string, Value]>): void {
  db.run(runId).transaction((tx) => {
    for (const [key, value] of entries) tx.kv.put(key, value);
  });
}

/** Resolves after `ms` milliseconds. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Keeps the thread busy for `ms` milliseconds. */
export function spin(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

/** Something to wait for until it is opened. */
export function gateway(): { readonly passed: Promise<void>; open(): void } {
  let open = (): void => {};
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { passed, open: () => open() };
}

/** A case that works on one run with nothing in it. */
export function onRun(name: string, use: (run: Run, db: Database, context: Context) => Promise<void> | void): Case {
  return {
    name,
    async run(context) {
      const db = await context.open();
      await use(db.run(RUN), db, context);
    },
  };
}

/** What can be read of a run, whoever shows it. */
type Views = Pick<RunSnapshot, "kv" | "events" | "state" | "traces" | "graph">;

/** Lets `check` look at the run of a case in every way there is. */
export function eachView(db: Database, check: (views: Views, view: string) => void): void {
  const run = db.run(RUN);
  check(run, "run");
  run.transaction((tx) => check(tx, "transaction"));
  const snapshot = run.snapshot();
  check(snapshot, "snapshot");
  snapshot.dispose();
  const whole = db.snapshot();
  check(whole.run(RUN), "database snapshot");
  whole.dispose();
}
