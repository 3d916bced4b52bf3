/**
 * Isolation from the outside: random clients append to lists and read them, and a checker that knows nothing of the store
 * says whether their history could be that of transactions one after another, each between its beginning and its end.
 *
 * The checker itself is tested first: by histories small enough to judge by eye, and by clean ones of a thousand
 * transactions into which one anomaly is planted. Some anomalies cannot be without others; `PLANTS` says which.
 *
 * A failure prints its seed: `HOLDFAST_MODEL_SEED=…` does it again; `HOLDFAST_MODEL_RUNS` multiplies the histories.
 */
import { describe, expect, it } from "vitest";
import { Database, HoldfastError, type KVReader, type KVStore, type Run, type Transaction } from "../../src/index.js";
import { type Build, moduleOf, SINGLE, SINGLE_DEBUG } from "../support/builds.js";
import type { Mode } from "../support/history.js";
import {
  type Anomaly,
  type AnomalyName,
  checkListAppend,
  type ListTransaction,
  type Micro,
  type Status,
} from "../support/list-append.js";
import { SeededEnvironment, turn } from "../support/seeded-environment.js";
import { SimulatedDisk } from "../support/simulated-storage.js";

const TIMES = Number(process.env["HOLDFAST_MODEL_RUNS"] ?? 1);
const SEED = Number(process.env["HOLDFAST_MODEL_SEED"] ?? Date.now() % 2 ** 31);
const TIMEOUT_MS = 120_000 * Math.max(1, TIMES);

const TRANSACTIONS = 1000;
/** Histories for each planted anomaly, and without one. */
const PLANTED_EACH = 12;
const CLEAN = 24;
const CHECK_MS_MAX = 100;
/** Histories over the store. */
const RUNS_RELEASE = { memory: 70, disk: 130 };
const RUNS_DEBUG = { memory: 10, disk: 20 };
const FAULTY_EACH = 4;

console.info(`list-append: seed ${SEED}`);

/** Choices from a seed (mulberry32). */
class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** An integer from 0 to `below` − 1. */
  below(below: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  }

  /** True `percent` times of a hundred. */
  is(percent: number): boolean {
    return this.below(1000) < percent * 10;
  }

  of<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)] as T;
  }
}

function namesOf(anomalies: readonly Anomaly[]): AnomalyName[] {
  return [...new Set(anomalies.map(({ name }) => name))].sort();
}

function explain(anomalies: readonly Anomaly[]): string {
  const first = anomalies.slice(0, 3).map(({ explanation }) => explanation);
  return [`${anomalies.length} anomalies: ${namesOf(anomalies).join(", ")}`, ...first].join("\n\n");
}

// Histories to judge by eye.

function append(key: string, value: number): Micro {
  return { do: "append", key, value };
}

function read(key: string, ...list: number[]): Micro {
  return { do: "read", key, list };
}

function committed(...micros: Micro[]): ListTransaction {
  return { status: "committed", micros };
}

function aborted(...micros: Micro[]): ListTransaction {
  return { status: "aborted", micros };
}

function indeterminate(...micros: Micro[]): ListTransaction {
  return { status: "indeterminate", micros };
}

function between(began: number, ended: number, transaction: ListTransaction): ListTransaction {
  return { ...transaction, began, ended };
}

interface Small {
  readonly name: string;
  readonly history: readonly ListTransaction[];
  readonly finds: readonly AnomalyName[];
}

const SOUND: readonly Small[] = [
  { name: "nothing", history: [], finds: [] },
  {
    name: "one after another, told in another order",
    history: [
      committed(read("x", 1, 2)),
      committed(append("x", 2), read("x", 1, 2)),
      committed(read("x"), append("x", 1), read("x", 1)),
      committed(read("x", 1)),
    ],
    finds: [],
  },
  {
    name: "blind appends that nobody reads",
    history: [committed(append("x", 1)), committed(append("x", 2)), committed(read("x"), append("x", 3))],
    finds: [],
  },
  {
    name: "one indeterminate transaction that has happened, and one that has not",
    history: [
      indeterminate(append("x", 1), append("y", 1)),
      indeterminate(append("x", 2), read("y", 1)),
      committed(read("x", 1), read("y", 1)),
    ],
    finds: [],
  },
  {
    name: "an aborted transaction that has read what nobody should",
    history: [committed(append("x", 1)), aborted(read("x", 7), append("x", 2)), committed(read("x", 1))],
    finds: [],
  },
  {
    name: "overlapping in time, whatever order they took",
    history: [
      between(0, 10, committed(append("x", 2))),
      between(5, 15, committed(append("x", 1))),
      between(10, 20, committed(read("x"))),
      between(16, 20, committed(read("x", 1, 2))),
    ],
    finds: [],
  },
  {
    name: "one anti-dependency against the order of beginnings",
    history: [
      between(0, 9, committed(read("x"), append("y", 1))),
      between(1, 2, committed(append("x", 1))),
      between(3, 4, committed(read("x", 1))),
      between(10, 11, committed(read("x", 1), read("y", 1))),
    ],
    finds: [],
  },
];

const UNSOUND: readonly Small[] = [
  { name: "a value of nobody", history: [committed(read("x", 1))], finds: ["unknown value"] },
  {
    name: "a value twice",
    history: [committed(append("x", 1)), committed(append("x", 2)), committed(read("x", 1, 2, 1))],
    finds: ["duplicate"],
  },
  {
    name: "two orders",
    history: [
      committed(append("x", 1)),
      committed(append("x", 2)),
      committed(read("x", 1, 2)),
      committed(read("x", 2, 1)),
    ],
    finds: ["incompatible order"],
  },
  { name: "own append unseen", history: [committed(append("x", 1), read("x"))], finds: ["internal"] },
  {
    name: "own reads that differ",
    history: [committed(append("x", 1)), committed(read("x"), read("x", 1))],
    finds: ["internal"],
  },
  {
    name: "own reads that differ, in an aborted transaction",
    history: [committed(append("x", 1)), aborted(read("x"), read("x", 1))],
    finds: ["internal"],
  },
  { name: "an aborted read", history: [aborted(append("x", 1)), committed(read("x", 1))], finds: ["G1a"] },
  {
    name: "an intermediate read",
    history: [committed(append("x", 1), append("x", 2)), committed(read("x", 1))],
    finds: ["G-single", "G1b"],
  },
  {
    name: "a write upon an aborted one",
    history: [aborted(append("x", 1)), committed(append("x", 2)), committed(read("x", 1, 2))],
    finds: ["G1a", "dirty update"],
  },
  {
    name: "writes in two orders on two keys",
    history: [
      committed(append("x", 1), append("y", 1)),
      committed(append("x", 2), append("y", 2)),
      committed(read("x", 1, 2), read("y", 2, 1)),
    ],
    finds: ["G0"],
  },
  {
    name: "each reads the other's write",
    history: [committed(append("x", 1), read("y", 1)), committed(append("y", 1), read("x", 1))],
    finds: ["G1c"],
  },
  {
    name: "a write seen, and another of the same transaction not",
    history: [committed(append("x", 1), append("y", 1)), committed(read("x", 1), read("y"))],
    finds: ["G-single"],
  },
  {
    name: "two updates of one version",
    history: [committed(read("x"), append("x", 1)), committed(read("x"), append("x", 2)), committed(read("x", 1, 2))],
    finds: ["G-single", "lost update"],
  },
  {
    name: "two updates of one version, both unread",
    history: [committed(read("x"), append("x", 1)), committed(read("x"), append("x", 2))],
    finds: ["G2-item", "lost update"],
  },
  {
    name: "each misses the other's write",
    history: [committed(read("x"), append("y", 1)), committed(read("y"), append("x", 1))],
    finds: ["G2-item"],
  },
  {
    name: "a ring of three that each miss the next one's write",
    history: [
      committed(read("x"), append("y", 1)),
      committed(read("z"), append("x", 1)),
      committed(read("y"), append("z", 1)),
      committed(read("x", 1), read("y", 1), read("z", 1)),
    ],
    finds: ["G2-item"],
  },
  {
    name: "an indeterminate transaction of which a half is seen",
    history: [
      indeterminate(append("x", 1), append("y", 1)),
      committed(read("x", 1), read("y")),
      committed(read("y", 1)),
    ],
    finds: ["G-single"],
  },
  {
    name: "appended, ended, and not seen afterwards",
    history: [between(0, 1, committed(append("x", 1))), between(2, 3, committed(read("x")))],
    finds: ["G-single-realtime"],
  },
  {
    name: "appended, ended, and lost for good, with much in between",
    history: [
      between(0, 1, committed(append("x", 1))),
      between(2, 3, committed(append("y", 1))),
      between(4, 5, committed(read("y", 1))),
      between(6, 7, committed(read("x"))),
    ],
    finds: ["G-single-realtime"],
  },
  {
    name: "appended before what had ended",
    history: [
      between(0, 1, committed(append("x", 2))),
      between(2, 3, committed(append("x", 1))),
      between(0, 9, committed(read("x", 1, 2))),
    ],
    finds: ["G0-realtime"],
  },
  {
    name: "read before it was begun",
    history: [between(0, 1, committed(read("x", 1))), between(2, 3, committed(append("x", 1)))],
    finds: ["G1c-realtime"],
  },
];

describe("the checker of list-append histories, by eye", () => {
  it.each(SOUND)("finds nothing wrong with $name", ({ history }) => {
    expect(checkListAppend(history)).toEqual([]);
  });

  it.each(UNSOUND)("finds $finds: $name", ({ history, finds }) => {
    expect(namesOf(checkListAppend(history))).toEqual([...finds].sort());
  });

  it("explains a cycle by its edges, with keys and values", () => {
    const [anomaly] = checkListAppend([
      between(0, 5, committed(append("x", 1), append("y", 7))),
      between(1, 4, committed(read("x", 1), read("y"))),
      between(6, 7, committed(read("y", 7))),
    ]);
    expect(anomaly?.transactions).toEqual([1, 0]);
    expect(anomaly?.explanation).toBe(
      [
        "G-single:",
        "  T1 —rw y→ T0: T1 read [], T0 appended 7, which is not in it",
        "  T0 —wr x→ T1: T0 appended 1, T1 read [1]",
        "  T1 = committed { read x [1]; read y [] }",
        "  T0 = committed { append x 1; append y 7 }",
      ].join("\n"),
    );
  });

  it("refuses a history in which a value does not name its writer", () => {
    expect(() => checkListAppend([committed(append("x", 1)), committed(append("x", 1))])).toThrow("appended twice");
  });
});

// Histories of a thousand transactions, one after another, with one anomaly planted.

/** How far the places of transactions in time are apart; each reaches over those of several others. */
const PLACE_MS = 100;
const REACH_MS = 300;
/** Within its place a planted group is alone. */
const GROUP_MS = 40;
const HOT_KEYS = 5;
const LIST_LENGTH_MAX = 24;

/** Transactions that happen one after another and overlap in time. */
class SerialHistory {
  readonly chance: Chance;
  readonly transactions: ListTransaction[] = [];
  readonly #lists = new Map<string, number[]>();
  readonly #hot: string[] = [];
  #values = 0;
  #place = 0;

  constructor(seed: number) {
    this.chance = new Chance(seed);
    for (let i = 0; i < HOT_KEYS; i++) this.#hot.push(this.#newKey());
  }

  #newKey(): string {
    const key = `k${this.#lists.size}`;
    this.#lists.set(key, []);
    return key;
  }

  value(): number {
    return ++this.#values;
  }

  list(key: string): readonly number[] {
    return this.#lists.get(key) as number[];
  }

  push(key: string, ...values: readonly number[]): void {
    this.#lists.get(key)?.push(...values);
  }

  /** A key in use, for a planted group: nobody after it appends to that key any more. */
  take(): string {
    const at = this.chance.below(HOT_KEYS);
    const key = this.#hot[at] as string;
    this.#hot[at] = this.#newKey();
    if (this.list(key).length === 0) this.add("committed", this.#appends(key, 2), 0, 0);
    return key;
  }

  #appends(key: string, count: number): Micro[] {
    const values = Array.from({ length: count }, () => this.value());
    this.push(key, ...values);
    return values.map((value) => append(key, value));
  }

  /** Adds a transaction as it is, `began` and `ended` from the present place. */
  add(status: Status, micros: readonly Micro[], began = -GROUP_MS, ended = GROUP_MS): void {
    const at = this.#place * PLACE_MS;
    this.transactions.push({ status, micros, began: at + began, ended: at + ended });
  }

  next(): void {
    this.#place += 1;
  }

  /** A transaction that happens here, or not. */
  step(): void {
    const { chance } = this;
    const status: Status = chance.is(90) ? "committed" : chance.is(50) ? "aborted" : "indeterminate";
    const isEffective = status === "committed" || (status === "indeterminate" && chance.is(50));
    const own = new Map<string, number[]>();
    const micros: Micro[] = [];
    for (let left = 1 + chance.below(4); left > 0; left--) {
      const key = chance.of(this.#hot);
      const mine = own.get(key) ?? [];
      own.set(key, mine);
      if (chance.is(50)) micros.push(read(key, ...this.list(key), ...mine));
      else {
        mine.push(this.value());
        micros.push(append(key, this.#values));
      }
    }
    this.add(status, micros, -chance.below(REACH_MS), chance.below(REACH_MS));
    this.next();
    if (!isEffective) return;
    for (const [key, values] of own) {
      this.push(key, ...values);
      const at = this.#hot.indexOf(key);
      if (this.list(key).length > LIST_LENGTH_MAX && at >= 0) this.#hot[at] = this.#newKey();
    }
  }

  /** Reads everything, and tells all of it in any order. */
  end(): ListTransaction[] {
    this.next();
    this.add(
      "committed",
      [...this.#lists.keys()].map((key) => read(key, ...this.list(key))),
    );
    for (let i = this.transactions.length - 1; i > 0; i--) {
      const j = this.chance.below(i + 1);
      const [a, b] = [this.transactions[i], this.transactions[j]] as [ListTransaction, ListTransaction];
      [this.transactions[i], this.transactions[j]] = [b, a];
    }
    return this.transactions;
  }
}

interface Plant {
  readonly name: AnomalyName;
  readonly by?: string;
  /** What cannot but come with it. */
  readonly implies?: readonly AnomalyName[];
  /** Adds a group of transactions, all at one place, that have this anomaly and no other. */
  readonly plant: (history: SerialHistory, x: string, y: string, a: number, b: number) => void;
}

const PLANTS: readonly Plant[] = [
  {
    name: "unknown value",
    plant: (h, x, _, a) => h.add("committed", [read(x, ...h.list(x), a)]),
  },
  {
    name: "duplicate",
    plant(h, x, _, a) {
      h.add("committed", [append(x, a)]);
      h.add("committed", [read(x, ...h.list(x), a, a)]);
      h.push(x, a);
    },
  },
  {
    name: "incompatible order",
    plant(h, x, _, a, b) {
      h.add("committed", [append(x, a)]);
      h.add("committed", [append(x, b)]);
      h.add("committed", [read(x, ...h.list(x), b, a)]);
      h.push(x, a, b);
    },
  },
  {
    name: "internal",
    plant(h, x, _, a) {
      h.add("committed", [append(x, a), read(x, ...h.list(x))]);
      h.push(x, a);
    },
  },
  {
    name: "G1a",
    plant(h, x, _, a) {
      h.add("aborted", [append(x, a)]);
      h.add("committed", [read(x, ...h.list(x), a)]);
    },
  },
  {
    // Who has read the first of two appends comes after it, and before the second.
    name: "G1b",
    implies: ["G-single"],
    plant(h, x, _, a, b) {
      h.add("committed", [append(x, a), append(x, b)]);
      h.add("committed", [read(x, ...h.list(x), a)]);
      h.push(x, a, b);
    },
  },
  {
    // Only a read shows what a write stands upon, and that read is one of something aborted.
    name: "dirty update",
    implies: ["G1a"],
    plant(h, x, _, a, b) {
      h.add("aborted", [append(x, a)]);
      h.add("committed", [append(x, b)]);
      h.push(x, a, b);
    },
  },
  {
    // The later of both in the order has missed the earlier one.
    name: "lost update",
    implies: ["G-single"],
    plant(h, x, _, a, b) {
      h.add("committed", [read(x, ...h.list(x)), append(x, a)]);
      h.add("committed", [read(x, ...h.list(x)), append(x, b)]);
      h.push(x, a, b);
    },
  },
  {
    name: "G0",
    plant(h, x, y, a, b) {
      h.add("committed", [append(x, a), append(y, a)]);
      h.add("committed", [append(x, b), append(y, b)]);
      h.push(x, a, b);
      h.push(y, b, a);
    },
  },
  {
    name: "G1c",
    plant(h, x, y, a, b) {
      h.add("committed", [append(x, a), read(y, ...h.list(y), b)]);
      h.add("committed", [append(y, b), read(x, ...h.list(x), a)]);
      h.push(x, a);
      h.push(y, b);
    },
  },
  {
    name: "G-single",
    plant(h, x, y, a, b) {
      h.add("committed", [read(x, ...h.list(x)), read(y, ...h.list(y), b)]);
      h.add("committed", [append(x, a), append(y, b)]);
      h.push(x, a);
      h.push(y, b);
    },
  },
  {
    name: "G2-item",
    plant(h, x, y, a, b) {
      h.add("committed", [read(x, ...h.list(x)), append(y, b)]);
      h.add("committed", [read(y, ...h.list(y)), append(x, a)]);
      h.push(x, a);
      h.push(y, b);
    },
  },
  {
    name: "G0-realtime",
    plant(h, x, _, a, b) {
      h.add("committed", [append(x, a)], -20, -10);
      h.add("committed", [append(x, b)], 10, 20);
      h.push(x, b, a);
    },
  },
  {
    name: "G1c-realtime",
    plant(h, x, _, a) {
      h.add("committed", [read(x, ...h.list(x), a)], -20, -10);
      h.add("committed", [append(x, a)], 10, 20);
      h.push(x, a);
    },
  },
  {
    name: "G-single-realtime",
    by: "a stale read",
    plant(h, x, _, a) {
      h.add("committed", [append(x, a)], -20, -10);
      h.add("committed", [read(x, ...h.list(x))], 10, 20);
      h.push(x, a);
    },
  },
  {
    // It is committed and gone: what is read of the key for the last time has not got it.
    name: "G-single-realtime",
    by: "an append that is lost",
    plant: (h, x, _, a) => h.add("committed", [append(x, a)], -20, -10),
  },
  {
    name: "G2-item-realtime",
    plant(h, x, y, a, b) {
      const c = h.value();
      h.add("committed", [append(y, b)], -20, -10);
      h.add("committed", [read(x, ...h.list(x))], 10, 20);
      h.add("committed", [append(x, a), append("z", c)], -15, 15);
      h.add("committed", [read("z", c), read(y, ...h.list(y))], -15, 15);
      h.push(x, a);
      h.push(y, b);
    },
  },
];

function serialHistory(seed: number, plant?: Plant): ListTransaction[] {
  const history = new SerialHistory(seed);
  const place = 50 + history.chance.below(TRANSACTIONS - 100);
  for (let i = 0; history.transactions.length < TRANSACTIONS - 1; i++) {
    if (i === place && plant !== undefined) {
      const [x, y] = [history.take(), history.take()];
      history.next();
      plant.plant(history, x, y, history.value(), history.value());
      history.next();
    }
    history.step();
  }
  return history.end();
}

describe(`the checker of list-append histories, on ${TRANSACTIONS} transactions`, () => {
  it(`finds nothing wrong with ${CLEAN} clean histories, and takes less than ${CHECK_MS_MAX} ms for one`, () => {
    const times: number[] = [];
    for (let i = 0; i < CLEAN; i++) {
      const history = serialHistory(SEED + i);
      const start = performance.now();
      const found = checkListAppend(history);
      times.push(performance.now() - start);
      expect(found, `HOLDFAST_MODEL_SEED=${SEED}: ${explain(found)}`).toEqual([]);
    }
    // Some of them share the processor with other tests, and the first are still being compiled.
    const [medianMs] = times.sort((a, b) => a - b).slice(CLEAN / 2);
    expect(medianMs).toBeLessThan(CHECK_MS_MAX);
  });

  for (const [place, plant] of PLANTS.entries()) {
    const { name, by, implies = [] } = plant;
    it(`finds a planted ${name}${by === undefined ? "" : ` by ${by}`}, and names it`, () => {
      for (let i = 0; i < PLANTED_EACH; i++) {
        const found = checkListAppend(serialHistory(SEED + 1000 * place + i, plant));
        expect(namesOf(found), `HOLDFAST_MODEL_SEED=${SEED}, ${i}: ${explain(found)}`).toEqual(
          [name, ...implies].sort(),
        );
      }
    });
  }
});

// Histories of clients of the store.

/** What a client does wrong, to see that it is found out. */
type Fault =
  /** It reads through the run, so that the transaction does not know what it has read. */
  | "reads outside"
  /** It writes through the run, at once, whatever becomes of the transaction. */
  | "writes through"
  /** It counts, to find the next free place, through the run, so that nobody else's insertion is a conflict. */
  | "counts outside"
  /** What it only reads is of a snapshot that it has taken long ago. */
  | "stale reads";

interface Plan {
  readonly seed: number;
  readonly build: Build;
  readonly storage: "memory" | "disk" | "asynchronous disk";
  readonly modes: readonly Mode[];
  /** `"power"`: cut off in the middle of it all; what was acknowledged must be there, so that all has to be strict. */
  readonly ending: "close" | "power";
  readonly failsSync: boolean;
  readonly fault?: Fault;
}

/** A transaction while it is recorded. */
interface Recorded {
  readonly run: string;
  status: Status;
  readonly micros: Micro[];
  began: number | undefined;
  ended: number | undefined;
}

/** A client that goes on one step at a time: a handle, or a held snapshot. */
interface Slot {
  readonly record: Recorded;
  stepsLeft: number;
  readonly step: () => void;
  readonly end: () => void;
}

interface Tally {
  committed: number;
  aborted: number;
  indeterminate: number;
  readonly codes: Map<string, number>;
}

const RUNS = ["a", "a", "a", "b"] as const;
const SLOTS = 6;
const IN_FLIGHT_MAX = 8;
const CONFLICT_ATTEMPTS = 3;
/** Keys in use at once in each run: of the two shapes, a list as one value and a list as one entry for each place. */
const HOT_EACH = 3;
const KEY_APPENDS_MAX = 20;
const HOLD_TICKS_MAX = 40;
const TURNS_MAX = 2000;
const GIVES_UP = "the client gives up";

/** The lists that clients of one run use now, and those that they have used. */
class Names {
  readonly all: string[] = [];
  readonly hot: string[] = [];
  readonly #appends = new Map<string, number>();

  constructor() {
    for (const shape of ["value", "entries"]) for (let i = 0; i < HOT_EACH; i++) this.hot.push(this.#add(shape));
  }

  #add(shape: string): string {
    const name = `${shape}:${String(this.all.length).padStart(4, "0")}`;
    this.all.push(name);
    return name;
  }

  /** Notes an append; a key that has had enough of them is no longer used. */
  noteAppend(name: string): void {
    const count = (this.#appends.get(name) ?? 0) + 1;
    this.#appends.set(name, count);
    const at = this.hot.indexOf(name);
    if (count >= KEY_APPENDS_MAX && at >= 0) this.hot[at] = this.#add(isValue(name) ? "value" : "entries");
  }
}

function isValue(key: string): boolean {
  return key.startsWith("value");
}

function readList(kv: KVReader, key: string): number[] {
  if (isValue(key)) return (kv.get(key) as number[] | undefined) ?? [];
  return kv.list({ prefix: `${key}/` }).map(([, value]) => value as number);
}

/** Random clients of one database, and the record of what they have done. */
class ListClients {
  readonly #plan: Plan;
  readonly #chance: Chance;
  readonly #disk: SimulatedDisk;
  readonly #environment: SeededEnvironment;
  readonly #names = new Map<string, Names>(RUNS.map((run) => [run, new Names()]));
  readonly #records: Recorded[] = [];
  readonly #codes = new Map<string, number>();
  #database!: Database;
  #slots: Slot[] = [];
  #inFlight = 0;
  #isCut = false;
  #holdTicks = 0;
  #full = 0;
  #values = 0;
  #clock = 0;
  readonly #unexpected: unknown[] = [];
  #stale: ReturnType<Run["snapshot"]> | undefined;

  private constructor(plan: Plan) {
    this.#plan = plan;
    this.#chance = new Chance(plan.seed);
    this.#disk = new SimulatedDisk({ seed: plan.seed });
    this.#environment = new SeededEnvironment(plan.seed);
  }

  /** What happened to each run, and how it ended. */
  static async follow(plan: Plan): Promise<{ histories: Map<string, ListTransaction[]>; tally: Tally }> {
    const clients = new ListClients(plan);
    await clients.#open();
    try {
      while (clients.#records.length < TRANSACTIONS) await clients.#tick();
      await clients.#end();
    } finally {
      await clients.#close();
    }
    if (clients.#unexpected.length > 0) throw clients.#unexpected[0];
    return clients.#told();
  }

  async #open(): Promise<void> {
    const { build, storage, seed } = this.#plan;
    const syncAppend = storage !== "asynchronous disk";
    const durableAppend = !syncAppend && seed % 2 === 0;
    this.#database = await Database.open({
      wasm: await moduleOf(build),
      shared: build.shared,
      maxBytes: 64 * 1024 * 1024,
      environment: this.#environment,
      ...(storage === "memory"
        ? { durability: "in-memory" }
        : { storage: this.#disk.storage({ syncAppend, durableAppend, segmentBytesTarget: 20_000 }) }),
    });
  }

  async #close(): Promise<void> {
    this.#disk.room = Number.POSITIVE_INFINITY;
    if (this.#holdTicks > 0) await this.#disk.release("flush");
    this.#stale?.dispose();
    await this.#database.close().catch(() => {});
  }

  #told(): { histories: Map<string, ListTransaction[]>; tally: Tally } {
    const histories = new Map<string, ListTransaction[]>();
    const tally: Tally = { committed: 0, aborted: 0, indeterminate: 0, codes: this.#codes };
    for (const record of this.#records) {
      const { run, ...transaction } = record;
      const history = histories.get(run) ?? [];
      history.push(transaction);
      histories.set(run, history);
      tally[record.status] += 1;
    }
    return { histories, tally };
  }

  // Recording.

  #record(run: string): Recorded {
    const record: Recorded = { run, status: "aborted", micros: [], began: ++this.#clock, ended: undefined };
    this.#records.push(record);
    return record;
  }

  #committed(record: Recorded): void {
    record.status = "committed";
    record.ended = ++this.#clock;
  }

  #failed(record: Recorded, error: unknown): void {
    record.ended = ++this.#clock;
    const isOwn = error instanceof Error && error.message === GIVES_UP;
    const code = isOwn ? "gave up" : HoldfastError.is(error) ? error.code : "";
    this.#codes.set(code, (this.#codes.get(code) ?? 0) + 1);
    record.status = code === "COMMIT_INDETERMINATE" || (this.#isCut && !isOwn) ? "indeterminate" : "aborted";
    if (!isOwn && !this.#isReason(code)) this.#unexpected.push(error);
  }

  #isReason(code: string): boolean {
    const { storage, failsSync } = this.#plan;
    if (code === "CONFLICT" || this.#isCut) return true;
    if (code === "STORAGE_FULL") return storage !== "memory";
    if (code === "STORE_FAILED" || code === "COMMIT_INDETERMINATE") return failsSync;
    return storage === "asynchronous disk" && (code === "BUSY" || code === "SYNC_COMMIT_UNSUPPORTED");
  }

  // What a client does in one step.

  #step(record: Recorded, tx: Transaction): void {
    const names = this.#names.get(record.run) as Names;
    const what = this.#chance.below(100);
    const key = this.#chance.of(names.hot);
    if (what < 45) this.#append(record, tx.kv, key, names);
    else this.#look(record, this.#readerOf(record, tx.kv), key, what);
  }

  #readerOf(record: Recorded, kv: KVStore): KVReader {
    if (this.#plan.fault === "reads outside") return this.#database.run(record.run).kv;
    return kv;
  }

  #append(record: Recorded, kv: KVStore, key: string, names: Names): void {
    const outside = this.#database.run(record.run).kv;
    const { fault } = this.#plan;
    const writer = fault === "writes through" ? outside : kv;
    const reader = fault === "writes through" || fault === "reads outside" ? outside : kv;
    const value = ++this.#values;
    if (isValue(key)) {
      const list = readList(reader, key);
      // What was read on the way may be told or not: the history is true both times.
      if (this.#chance.is(50)) record.micros.push({ do: "read", key, list });
      writer.put(key, [...list, value]);
    } else {
      const place = (fault === "counts outside" ? outside : reader).count(`${key}/`);
      writer.put(`${key}/${String(place).padStart(4, "0")}`, value);
    }
    record.micros.push({ do: "append", key, value });
    names.noteAppend(key);
  }

  /** Reads, in one of the ways that there are. */
  #look(record: Recorded, kv: KVReader, key: string, way: number): void {
    const note = (name: string, list: readonly number[]): void => {
      record.micros.push({ do: "read", key: name, list });
    };
    const { hot } = this.#names.get(record.run) as Names;
    if (way < 75) note(key, readList(kv, key));
    else if (way < 85) {
      const keys = hot.filter(isValue);
      for (const [i, list] of kv.getMany(keys).entries()) note(keys[i] as string, (list as number[] | undefined) ?? []);
    } else if (way < 93) {
      const [start] = hot.filter(isValue).sort();
      const listed = new Map(kv.list({ prefix: "value:", start }));
      for (const name of hot.filter(isValue)) note(name, (listed.get(name) as number[] | undefined) ?? []);
    } else {
      for (const name of hot.filter((one) => !isValue(one))) {
        const list = kv.keys({ prefix: `${name}/` }).map((place) => kv.get(place) as number);
        note(name, list);
      }
    }
  }

  // Starting clients.

  #start(): void {
    const run = this.#chance.of(RUNS);
    const what = this.#chance.below(100);
    if (what < 25) this.#callNow(run);
    else if (what < 60) this.#callLater(run);
    else if (this.#slots.length >= SLOTS) return;
    else if (what < 90) this.#beginHandle(run);
    else this.#holdSnapshot(run, what < 95);
  }

  #mode(): Mode {
    return this.#chance.of(this.#plan.modes);
  }

  /** A mode that the storage can keep in a synchronous call. */
  #syncMode(): Mode {
    const mode = this.#mode();
    return mode === "strict" && this.#plan.storage === "asynchronous disk" ? "buffered" : mode;
  }

  #beginHandle(run: string): void {
    const record = this.#record(run);
    const transaction = this.#database.run(run).begin({ durability: this.#syncMode() });
    const isReader = this.#chance.is(15);
    const step = (): void => {
      const key = this.#chance.of((this.#names.get(run) as Names).hot);
      if (isReader) this.#look(record, this.#staleOr(run, transaction.kv), key, 45 + this.#chance.below(55));
      else this.#step(record, transaction);
    };
    const end = (): void => {
      if (this.#chance.is(5)) {
        transaction.rollback();
        throw new Error(GIVES_UP);
      }
      transaction.commit();
    };
    this.#slots.push({ record, stepsLeft: 1 + this.#chance.below(4), step, end });
  }

  #staleOr(run: string, kv: KVReader): KVReader {
    if (this.#plan.fault !== "stale reads" || run !== RUNS[0]) return kv;
    if (this.#stale === undefined || this.#chance.is(5)) {
      this.#stale?.dispose();
      this.#stale = this.#database.run(run).snapshot();
    }
    return this.#stale.kv;
  }

  #holdSnapshot(run: string, isWhole: boolean): void {
    const record = this.#record(run);
    // One of the whole database may precede what was just committed.
    if (isWhole) record.began = undefined;
    const snapshot = isWhole ? this.#database.snapshot() : this.#database.run(run).snapshot();
    const { kv } = "run" in snapshot ? snapshot.run(run) : snapshot;
    const step = (): void => {
      const key = this.#chance.of((this.#names.get(run) as Names).hot);
      this.#look(record, kv, key, 45 + this.#chance.below(55));
    };
    this.#slots.push({ record, stepsLeft: 1 + this.#chance.below(6), step, end: () => snapshot.dispose() });
  }

  /** A transaction that is over when it returns, with others in its middle. */
  #callNow(run: string): void {
    let record: Recorded | undefined;
    const body = (tx: Transaction): void => {
      if (record !== undefined) this.#failed(record, new HoldfastError("CONFLICT", "an earlier attempt"));
      const attempt = this.#record(run);
      record = attempt;
      for (let left = 1 + this.#chance.below(4); left > 0; left--) {
        this.#step(attempt, tx);
        if (this.#chance.is(10)) this.#goOn();
      }
      if (this.#chance.is(5)) throw new Error(GIVES_UP);
    };
    try {
      const retry = { attempts: this.#chance.is(50) ? 1 : CONFLICT_ATTEMPTS };
      this.#database.run(run).transaction(body, { durability: this.#syncMode(), retry });
      this.#committed(record as unknown as Recorded);
    } catch (error) {
      this.#failed(record ?? this.#record(run), error);
    }
  }

  /** A transaction that waits between its steps while others go on. */
  #callLater(run: string): void {
    if (this.#inFlight >= IN_FLIGHT_MAX) return;
    this.#inFlight += 1;
    let record: Recorded | undefined;
    const body = async (tx: Transaction): Promise<void> => {
      if (record !== undefined) this.#failed(record, new HoldfastError("CONFLICT", "an earlier attempt"));
      const attempt = this.#record(run);
      record = attempt;
      for (let left = 1 + this.#chance.below(4); left > 0; left--) {
        this.#step(attempt, tx);
        for (let waits = this.#chance.below(6); waits > 0; waits--) await Promise.resolve();
        if (this.#chance.is(30)) await turn();
      }
      if (this.#chance.is(5)) throw new Error(GIVES_UP);
    };
    const retry = { attempts: this.#chance.is(50) ? 1 : CONFLICT_ATTEMPTS, baseMs: 1, maxMs: 3 };
    this.#database
      .run(run)
      .transactionAsync(body, { durability: this.#mode(), retry })
      .then(
        () => this.#committed(record as unknown as Recorded),
        (error: unknown) => this.#failed(record ?? this.#record(run), error),
      )
      .finally(() => {
        this.#inFlight -= 1;
      });
  }

  // The world.

  /** One of the open clients takes its next step. */
  #goOn(): void {
    if (this.#slots.length === 0) return;
    const at = this.#chance.below(this.#slots.length);
    const slot = this.#slots[at] as Slot;
    try {
      if (slot.stepsLeft-- > 0) slot.step();
      else {
        this.#slots.splice(at, 1);
        slot.end();
        this.#committed(slot.record);
      }
    } catch (error) {
      this.#slots = this.#slots.filter((other) => other !== slot);
      this.#failed(slot.record, error);
    }
  }

  async #tick(): Promise<void> {
    if (this.#chance.is(40)) this.#start();
    else this.#goOn();
    this.#environment.advance(1);
    if (this.#plan.storage !== "memory") await this.#weather();
    if (this.#chance.is(30)) await turn();
    else await Promise.resolve();
  }

  /** Syncs that take long, room that runs out, and towards the end a sync that fails. */
  async #weather(): Promise<void> {
    if (this.#holdTicks > 0) {
      if (--this.#holdTicks === 0) await this.#release();
    } else if (this.#chance.is(1)) {
      this.#disk.hold("flush");
      this.#holdTicks = 1 + this.#chance.below(HOLD_TICKS_MAX);
    }
    if (this.#full > 0) {
      if (--this.#full === 0) this.#disk.room = Number.POSITIVE_INFINITY;
    } else if (this.#chance.is(0.7)) {
      this.#disk.room = this.#chance.below(400);
      this.#full = 1 + this.#chance.below(20);
    }
  }

  async #release(): Promise<void> {
    const isLate = this.#records.length > TRANSACTIONS * 0.8;
    const fails = this.#plan.failsSync && isLate && this.#disk.waiting("flush") > 0;
    await this.#disk.release("flush", fails ? { fail: "STORE_FAILED" } : {});
  }

  /** Lets all come to its end, or cuts it off, and reads everything at last. */
  async #end(): Promise<void> {
    if (this.#plan.ending === "power") await this.#cut();
    else await this.#settle();
    this.#readAll();
    const canReopen = this.#plan.storage !== "memory" && !this.#plan.failsSync;
    if (this.#plan.ending === "power" || !canReopen) return;
    this.#stale?.dispose();
    await this.#database.close();
    await this.#open();
    this.#readAll();
  }

  async #settle(): Promise<void> {
    this.#disk.room = Number.POSITIVE_INFINITY;
    await this.#release();
    this.#holdTicks = 0;
    for (let turns = 0; this.#slots.length + this.#inFlight > 0; turns++) {
      if (turns > TURNS_MAX) throw new Error(`${this.#slots.length} and ${this.#inFlight} clients never end`);
      this.#goOn();
      this.#environment.advance(10);
      await turn();
    }
  }

  async #cut(): Promise<void> {
    this.#isCut = true;
    this.#disk.crash({ kind: "power" });
    this.#holdTicks = 0;
    for (const { record } of this.#slots) this.#failed(record, new Error(GIVES_UP));
    this.#slots = [];
    for (let turns = 0; this.#inFlight > 0 && turns < TURNS_MAX; turns++) {
      this.#environment.advance(10);
      await turn();
    }
    await this.#database.close().catch(() => {});
    this.#disk.room = Number.POSITIVE_INFINITY;
    await this.#open();
  }

  #readAll(): void {
    for (const [run, { all }] of this.#names) {
      const record = this.#record(run);
      const { kv } = this.#database.run(run);
      for (const key of all) record.micros.push({ do: "read", key, list: readList(kv, key) });
      this.#committed(record);
    }
  }
}

const ALL_MODES: readonly Mode[] = ["in-memory", "buffered", "strict"];

/** The plans of the histories over a disk, in turn: the modes mixed, strict alone with its endings, and asynchronous storage. */
function diskPlan(seed: number, build: Build, i: number): Plan {
  const base = { seed, build, storage: "disk", modes: ALL_MODES, ending: "close", failsSync: false } as const;
  switch (i % 6) {
    case 0:
      return { ...base, modes: ["strict"], ending: "power" };
    case 1:
      return { ...base, modes: ["strict"], ending: "power", failsSync: true };
    case 2:
      return { ...base, failsSync: true };
    case 3:
      return { ...base, storage: "asynchronous disk" };
    default:
      return base;
  }
}

function memoryPlan(seed: number, build: Build): Plan {
  return { seed, build, storage: "memory", modes: ["in-memory"], ending: "close", failsSync: false };
}

async function requireSound(plan: Plan, totals: Tally): Promise<void> {
  const told = `HOLDFAST_MODEL_SEED=${SEED}, ${JSON.stringify({ ...plan, build: plan.build.name })}`;
  const { histories, tally } = await ListClients.follow(plan).catch((error: unknown) => {
    throw new Error(`${told}: ${String(error)}`, { cause: error });
  });
  for (const [run, history] of histories) {
    const found = checkListAppend(history);
    expect(found.length, `${told}, run ${run}: ${explain(found)}`).toBe(0);
  }
  totals.committed += tally.committed;
  totals.aborted += tally.aborted;
  totals.indeterminate += tally.indeterminate;
  for (const [code, count] of tally.codes) totals.codes.set(code, (totals.codes.get(code) ?? 0) + count);
}

describe.each([
  { build: SINGLE, runs: RUNS_RELEASE },
  { build: SINGLE_DEBUG, runs: RUNS_DEBUG },
])("the histories of clients of the $build.name build are strictly serializable", ({ build, runs }) => {
  it.each(["memory", "disk"] as const)("over %s", { timeout: TIMEOUT_MS }, async (storage) => {
    const totals: Tally = { committed: 0, aborted: 0, indeterminate: 0, codes: new Map() };
    const count = Math.ceil(runs[storage] * TIMES);
    for (let i = 0; i < count; i++) {
      const seed = SEED + i;
      await requireSound(storage === "memory" ? memoryPlan(seed, build) : diskPlan(seed, build, i), totals);
    }
    const codes = [...totals.codes].map(([code, times]) => `${code} ${times}`).join(", ");
    const { committed, aborted, indeterminate } = totals;
    console.info(
      `${build.name}, ${storage}: ${committed} committed, ${indeterminate} indeterminate, ${aborted} not: ${codes}`,
    );
    // A history of nothing but failures would show nothing.
    expect(totals.committed).toBeGreaterThan(totals.aborted);
    expect(totals.codes.get("CONFLICT") ?? 0).toBeGreaterThan(10 * count);
  });
});

/** What several histories of each fault together must show at the least. */
const FAULTS: readonly { readonly fault: Fault; readonly shows: readonly AnomalyName[] }[] = [
  { fault: "reads outside", shows: ["lost update", "G-single"] },
  { fault: "counts outside", shows: ["incompatible order", "G-single"] },
  { fault: "writes through", shows: ["G1a", "G1b", "dirty update"] },
  { fault: "stale reads", shows: ["G-single-realtime"] },
];

describe("a client that does wrong", () => {
  it.each(FAULTS)("is found out in every history: $fault", async ({ fault, shows }) => {
    const names = new Set<AnomalyName>();
    for (let i = 0; i < FAULTY_EACH; i++) {
      const { histories } = await ListClients.follow({ ...memoryPlan(SEED + i, SINGLE), fault });
      const found = namesOf([...histories.values()].flatMap((history) => checkListAppend(history)));
      expect(found, `HOLDFAST_MODEL_SEED=${SEED}, ${i}`).not.toEqual([]);
      for (const name of found) names.add(name);
    }
    expect([...names], `HOLDFAST_MODEL_SEED=${SEED}`).toEqual(expect.arrayContaining([...shows]));
  });
});
