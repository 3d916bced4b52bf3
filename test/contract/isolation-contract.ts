/**
 * Isolation, anomaly by anomaly: the interleavings of the Hermitage suite, and what must come of them in a store that is
 * serializable and optimistic.
 *
 * A case is a script: steps of T1, T2 and T3 in the order in which they happen, each with what it must read, and how each
 * transaction must end. A script is followed twice: by handles of `begin`, and by callbacks of `transactionAsync` that
 * wait between their steps. What it keeps true beyond the script itself:
 *  - there is an order in which the transactions that committed, one after another, read the same and leave the same;
 *  - whoever ended in any other way has left nothing.
 *
 * Adya's names stand in front: G0 to G2, and OTV, PMP, P4 as Hermitage has them.
 */
import {
  HoldfastError,
  type KVStore,
  type ListOptions,
  type Run,
  type Transaction,
  type Value,
} from "../../src/index.js";
import { deepEqual, equal, rejectsCode, show } from "./assert.js";
import type { Case } from "./context.js";
import { fill, gateway, listedKeys, pause, RUN } from "./samples.js";

/** The whole suite. */
export function isolationContract(): Case[] {
  const scripts = [
    ...dirtyWrites(),
    ...dirtyReads(),
    ...vanishing(),
    ...predicatePreceders(),
    ...lostUpdates(),
    ...readSkew(),
    ...writeSkew(),
    ...antiDependencyCycles(),
    ...scanBounds(),
    ...harmlessScans(),
    ...harmlessWrites(),
  ];
  return [...scripts.flatMap(casesOf), ...inFlightCases()];
}

// Scripts.

/** What a step can do: the same on a transaction, on the run itself and on the model. */
type View = Pick<KVStore, "get" | "list" | "keys" | "count" | "put" | "delete">;

type Ending = "committed" | "CONFLICT" | "rolled back";

type Step =
  | { readonly do: "begin"; readonly who: string }
  | { readonly do: "act"; readonly who: string; readonly act: (kv: View) => unknown; readonly gives: unknown }
  | { readonly do: "end"; readonly who: string; readonly how: Ending };

interface Script {
  readonly name: string;
  readonly steps: readonly Step[];
  readonly leaves: readonly (readonly [string, Value])[];
}

/** The name of whoever acts on the run itself: each act is a transaction of its own. */
const OUTSIDE = "outside";

const INITIAL: readonly (readonly [string, Value])[] = [
  ["item:1", 10],
  ["item:2", 20],
];

/** The steps of one transaction. */
class Actor {
  readonly #who: string;

  constructor(who: string) {
    this.#who = who;
  }

  begins(): Step {
    return { do: "begin", who: this.#who };
  }

  does(act: (kv: View) => unknown, gives: unknown = undefined): Step {
    return { do: "act", who: this.#who, act, gives };
  }

  get(key: string, gives: Value | undefined): Step {
    return this.does((kv) => kv.get(key), gives);
  }

  list(options: ListOptions, gives: readonly (readonly [string, Value])[]): Step {
    return this.does((kv) => kv.list(options), gives);
  }

  keys(options: ListOptions, gives: readonly string[]): Step {
    return this.does((kv) => kv.keys(options), gives);
  }

  count(prefix: string, gives: number): Step {
    return this.does((kv) => kv.count(prefix), gives);
  }

  put(key: string, value: Value): Step {
    return this.does((kv) => {
      kv.put(key, value);
    });
  }

  delete(key: string): Step {
    return this.does((kv) => {
      kv.delete(key);
    });
  }

  /** Replaces each value of the items that `change` gives another; `undefined` deletes. Returns the keys that it changed. */
  update(change: (value: number) => number | undefined, gives: readonly string[]): Step {
    return this.does((kv) => {
      const changed = kv.list(ITEMS).filter(([, value]) => change(value as number) !== value);
      for (const [key, value] of changed) {
        const next = change(value as number);
        if (next === undefined) kv.delete(key);
        else kv.put(key, next);
      }
      return changed.map(([key]) => key);
    }, gives);
  }

  commits(): Step {
    return { do: "end", who: this.#who, how: "committed" };
  }

  conflicts(): Step {
    return { do: "end", who: this.#who, how: "CONFLICT" };
  }

  rollsBack(): Step {
    return { do: "end", who: this.#who, how: "rolled back" };
  }
}

const T1 = new Actor("T1");
const T2 = new Actor("T2");
const T3 = new Actor("T3");
const outside = new Actor(OUTSIDE);
const ITEMS: ListOptions = { prefix: "item:" };

/** The two items that every script begins with, with these values. */
function items(first: number, second: number): [string, number][] {
  return [
    ["item:1", first],
    ["item:2", second],
  ];
}

// Following a script.

/** How transactions are made and taken on, step by step. */
interface Driver {
  begin(who: string): Promise<void>;
  act(who: string, act: (kv: View) => unknown): Promise<unknown>;
  end(who: string, how: Ending): Promise<Ending>;
  /** Ends whatever a script that has failed has left open: closing the database would wait for it. */
  abandon(): void;
}

function casesOf(script: Script): Case[] {
  const drivers: readonly (readonly [string, (run: Run) => Driver])[] = [
    ["", (run) => new Handles(run)],
    [", in callbacks that wait", (run) => new Callbacks(run)],
  ];
  return drivers.map(([how, drive]) => ({
    name: `${script.name}${how}`,
    async run(context) {
      const db = await context.open();
      fill(db, RUN, INITIAL);
      const driver = drive(db.run(RUN));
      try {
        await follow(script, db.run(RUN), driver);
      } finally {
        driver.abandon();
      }
      equal(db.verify().valid, true, "verify");
    },
  }));
}

/** What one transaction has done, and what it was given. */
interface Done {
  readonly who: string;
  readonly acts: { readonly act: (kv: View) => unknown; readonly gave: unknown }[];
}

async function follow(script: Script, run: Run, driver: Driver): Promise<void> {
  const open = new Map<string, Done>();
  const committed: Done[] = [];
  for (const [i, step] of script.steps.entries()) {
    const where = `step ${i + 1}, ${step.who}`;
    if (step.do === "begin") {
      open.set(step.who, { who: step.who, acts: [] });
      await driver.begin(step.who);
    } else if (step.do === "act") {
      const isOutside = step.who === OUTSIDE;
      const gave = isOutside ? step.act(run.kv) : await driver.act(step.who, step.act);
      deepEqual(gave, step.gives, where);
      if (isOutside) committed.push({ who: where, acts: [{ act: step.act, gave }] });
      else open.get(step.who)?.acts.push({ act: step.act, gave });
    } else {
      const how = await driver.end(step.who, step.how);
      equal(how, step.how, `how ${where} ended`);
      const done = open.get(step.who);
      if (how === "committed" && done !== undefined) committed.push(done);
      open.delete(step.who);
    }
  }
  equal(open.size, 0, "transactions that the script has left open");
  deepEqual(run.kv.list(), script.leaves, "what is left");
  requireSerial(committed, run.kv.list());
}

/** Transactions by handles, committed at once. */
class Handles implements Driver {
  readonly #run: Run;
  readonly #open = new Map<string, Transaction>();

  constructor(run: Run) {
    this.#run = run;
  }

  async begin(who: string): Promise<void> {
    this.#open.set(who, this.#run.begin());
  }

  async act(who: string, act: (kv: View) => unknown): Promise<unknown> {
    return act(requireOpen(this.#open, who).kv);
  }

  async end(who: string, how: Ending): Promise<Ending> {
    const transaction = requireOpen(this.#open, who);
    if (how === "rolled back") {
      transaction.rollback();
      return how;
    }
    return endingOf(async () => transaction.commit());
  }

  abandon(): void {
    for (const transaction of this.#open.values()) transaction.rollback();
  }
}

interface Callback {
  readonly outcome: Promise<unknown>;
  /** Gives the callback its next step; what is no act ends it. */
  next(act: ((kv: View) => unknown) | "return" | "throw"): Promise<unknown>;
}

/** Transactions by callbacks, each of which waits until it is given its next step. */
class Callbacks implements Driver {
  readonly #run: Run;
  readonly #open = new Map<string, Callback>();

  constructor(run: Run) {
    this.#run = run;
  }

  async begin(who: string): Promise<void> {
    const began = gateway();
    let next: Callback["next"] = () => Promise.reject(new Error("the callback has not begun"));
    const outcome = this.#run.transactionAsync(async (tx) => {
      for (;;) {
        const order = await new Promise<{ act: Parameters<Callback["next"]>[0]; told: (gave: unknown) => void }>(
          (resolve) => {
            next = (act) => new Promise((told) => resolve({ act, told }));
            began.open();
          },
        );
        if (order.act === "throw") throw new Error("the callback gives up");
        if (order.act === "return") return;
        order.told(order.act(tx.kv));
      }
    });
    this.#open.set(who, { outcome, next: (act) => next(act) });
    await Promise.race([began.passed, outcome]);
  }

  async act(who: string, act: (kv: View) => unknown): Promise<unknown> {
    const { next, outcome } = requireOpen(this.#open, who);
    // A callback that throws in a step ends without an answer to it.
    return Promise.race([next(act), outcome]);
  }

  async end(who: string, how: Ending): Promise<Ending> {
    const { next, outcome } = requireOpen(this.#open, who);
    if (how !== "rolled back") {
      next("return");
      return endingOf(() => outcome);
    }
    next("throw");
    const thrown = await outcome.catch((error: unknown) => error);
    equal((thrown as Error).message, "the callback gives up", "what the callback threw");
    return how;
  }

  abandon(): void {
    for (const { next, outcome } of this.#open.values()) {
      next("throw");
      outcome.catch(() => {});
    }
  }
}

function requireOpen<T>(open: ReadonlyMap<string, T>, who: string): T {
  const found = open.get(who);
  if (found === undefined) throw new Error(`the script has not begun ${who}`);
  return found;
}

async function endingOf(commit: () => Promise<unknown>): Promise<Ending> {
  try {
    await commit();
    return "committed";
  } catch (error) {
    if (HoldfastError.is(error, "CONFLICT")) return "CONFLICT";
    throw error;
  }
}

// Serial orders.

/** A run with nobody else in it. */
class Model implements View {
  readonly #values = new Map<string, Value>(INITIAL);

  get(key: string): Value | undefined {
    return this.#values.get(key);
  }

  keys(options: ListOptions = {}): string[] {
    return listedKeys(this.#values.keys(), options);
  }

  list(options: ListOptions = {}): [string, Value][] {
    return this.keys(options).map((key) => [key, this.#values.get(key) as Value]);
  }

  count(prefix = ""): number {
    return this.keys({ prefix }).length;
  }

  put(key: string, value: Value): number {
    this.#values.set(key, value);
    return 0;
  }

  delete(key: string): boolean {
    return this.#values.delete(key);
  }
}

/** Fails unless the transactions, one after another in some order, are given what they were given and leave `left`. */
function requireSerial(committed: readonly Done[], left: [string, Value][]): void {
  for (const order of ordersOf(committed)) {
    const model = new Model();
    const same = order.every(({ acts }) => acts.every(({ act, gave }) => isSame(act(model), gave)));
    if (same && isSame(model.list(), left)) return;
  }
  throw new Error(`no order of ${committed.map(({ who }) => who).join("; ")} reads the same and leaves ${show(left)}`);
}

function ordersOf<T>(of: readonly T[]): T[][] {
  if (of.length === 0) return [[]];
  return of.flatMap((first, i) => ordersOf(of.toSpliced(i, 1)).map((rest) => [first, ...rest]));
}

function isSame(actual: unknown, expected: unknown): boolean {
  try {
    deepEqual(actual, expected);
    return true;
  } catch {
    return false;
  }
}

// The anomalies.

function dirtyWrites(): Script[] {
  return [
    {
      name: "G0, dirty write: writes of two transactions never mix, and the later commit stands whole",
      steps: [
        T1.begins(),
        T2.begins(),
        T1.put("item:1", 11),
        T2.put("item:1", 12),
        T1.put("item:2", 21),
        T1.commits(),
        outside.list({}, items(11, 21)),
        T2.put("item:2", 22),
        T2.commits(),
      ],
      leaves: items(12, 22),
    },
    {
      name: "G0, dirty write: the earlier writer that commits later stands whole as well",
      steps: [
        T1.begins(),
        T2.begins(),
        T1.put("item:1", 11),
        T2.put("item:1", 12),
        T2.put("item:2", 22),
        T2.commits(),
        T1.put("item:2", 21),
        outside.list({}, items(12, 22)),
        T1.commits(),
      ],
      leaves: items(11, 21),
    },
    {
      name: "G0, dirty write: updates that read what they replace conflict",
      steps: [
        T1.begins(),
        T2.begins(),
        T1.get("item:1", 10),
        T1.put("item:1", 11),
        T2.get("item:1", 10),
        T2.put("item:1", 12),
        T1.put("item:2", 21),
        T1.commits(),
        T2.put("item:2", 22),
        T2.conflicts(),
      ],
      leaves: items(11, 21),
    },
  ];
}

function dirtyReads(): Script[] {
  return [
    {
      name: "G1a, aborted read: what is rolled back is seen by nobody, and conflicts with nobody",
      steps: [
        T1.begins(),
        T2.begins(),
        T1.put("item:1", 101),
        T2.list({}, items(10, 20)),
        T1.rollsBack(),
        T2.list({}, items(10, 20)),
        T2.put("item:2", 21),
        T2.commits(),
      ],
      leaves: items(10, 21),
    },
    {
      name: "G1b, intermediate read: only what a transaction wrote last is ever seen, and not by a reader begun before",
      steps: [
        T1.begins(),
        T2.begins(),
        T1.put("item:1", 101),
        T2.list({}, items(10, 20)),
        outside.get("item:1", 10),
        T1.put("item:1", 11),
        T1.commits(),
        T3.begins(),
        T2.list({}, items(10, 20)),
        T3.list({}, items(11, 20)),
        T2.commits(),
        T3.commits(),
      ],
      leaves: items(11, 20),
    },
    {
      name: "G1b, intermediate read: a writer that has read what was replaced meanwhile conflicts",
      steps: [
        T1.begins(),
        T2.begins(),
        T1.put("item:1", 101),
        T2.get("item:1", 10),
        T1.put("item:1", 11),
        T1.commits(),
        T2.put("item:2", 21),
        T2.conflicts(),
      ],
      leaves: items(11, 20),
    },
    {
      name: "G1c, circular information flow: neither sees the other's write, and the second conflicts",
      steps: [
        T1.begins(),
        T2.begins(),
        T1.put("item:1", 11),
        T2.put("item:2", 22),
        T1.get("item:2", 20),
        T2.get("item:1", 10),
        T1.commits(),
        T2.conflicts(),
      ],
      leaves: items(11, 20),
    },
  ];
}

function vanishing(): Script[] {
  return [
    {
      name: "OTV, observed transaction vanishes: a reader begun in between sees the whole of the first, for good",
      steps: [
        T1.begins(),
        T2.begins(),
        T1.put("item:1", 11),
        T1.put("item:2", 19),
        T2.put("item:1", 12),
        T1.commits(),
        T3.begins(),
        T3.get("item:1", 11),
        T2.put("item:2", 18),
        T3.get("item:2", 19),
        T2.commits(),
        T3.get("item:2", 19),
        T3.get("item:1", 11),
        T3.commits(),
      ],
      leaves: items(12, 18),
    },
    {
      name: "OTV, observed transaction vanishes: a reader begun before sees neither, and conflicts if it writes",
      steps: [
        T1.begins(),
        T2.begins(),
        T3.begins(),
        T1.put("item:1", 11),
        T1.put("item:2", 19),
        T2.put("item:1", 12),
        T1.commits(),
        T3.get("item:1", 10),
        T2.put("item:2", 18),
        T3.get("item:2", 20),
        T2.commits(),
        T3.get("item:2", 20),
        T3.get("item:1", 10),
        T3.put("item:3", 30),
        T3.conflicts(),
      ],
      leaves: items(12, 18),
    },
  ];
}

const ITEM_3: readonly (readonly [string, number])[] = [["item:3", 30]];
const ITEMS_FROM_3: ListOptions = { start: "item:3", end: "item:9" };

function predicatePreceders(): Script[] {
  return [
    {
      name: "PMP, predicate-many-preceders, read predicates: what is inserted meanwhile stays unseen",
      steps: [
        T1.begins(),
        T2.begins(),
        T1.list(ITEMS_FROM_3, []),
        T2.put("item:3", 30),
        T2.commits(),
        T1.list(ITEMS_FROM_3, []),
        T1.keys(ITEMS, ["item:1", "item:2"]),
        T1.count("item:", 2),
        T1.commits(),
      ],
      leaves: [...items(10, 20), ...ITEM_3],
    },
    ...(["list", "keys", "count"] as const).map((way) => ({
      name: `PMP, predicate-many-preceders, read predicates: whoever writes after such a ${way} conflicts`,
      steps: [
        T1.begins(),
        T2.begins(),
        T1.does((kv) => (way === "count" ? kv.count("item:3") : kv[way](ITEMS_FROM_3).length), 0),
        T2.put("item:3", 30),
        T2.commits(),
        T1.put("none above item:2", true),
        T1.conflicts(),
      ],
      leaves: [...items(10, 20), ...ITEM_3],
    })),
    {
      name: "PMP, predicate-many-preceders, write predicates: a deletion by value conflicts with the change of that value",
      steps: [
        T1.begins(),
        T2.begins(),
        T1.update((value) => value + 10, ["item:1", "item:2"]),
        T2.update((value) => (value === 20 ? undefined : value), ["item:2"]),
        T1.commits(),
        T2.conflicts(),
      ],
      leaves: items(20, 30),
    },
    {
      name: "PMP, predicate-many-preceders, write predicates: a change of all conflicts with an insertion and a deletion",
      steps: [
        T1.begins(),
        T2.begins(),
        T2.update((value) => (value === 20 ? undefined : value), ["item:2"]),
        T2.put("item:3", 30),
        T2.commits(),
        T1.update((value) => value + 10, ["item:1", "item:2"]),
        T1.conflicts(),
      ],
      leaves: [["item:1", 10], ...ITEM_3],
    },
  ];
}

function lostUpdates(): Script[] {
  return [
    {
      name: "P4, lost update: of two that have read the same, the second to commit conflicts",
      steps: [
        T1.begins(),
        T2.begins(),
        T1.get("item:1", 10),
        T2.get("item:1", 10),
        T1.put("item:1", 11),
        T2.put("item:1", 12),
        T1.commits(),
        T2.conflicts(),
      ],
      leaves: items(11, 20),
    },
    {
      name: "P4, lost update: of three, only one commits, and who comes after it starts from its value",
      steps: [
        T1.begins(),
        T2.begins(),
        T3.begins(),
        T1.get("item:1", 10),
        T2.get("item:1", 10),
        T3.get("item:1", 10),
        T3.put("item:1", 13),
        T3.commits(),
        T1.put("item:1", 11),
        T1.conflicts(),
        T3.begins(),
        T3.get("item:1", 13),
        T3.put("item:1", 14),
        T2.put("item:1", 12),
        T2.conflicts(),
        T3.commits(),
      ],
      leaves: items(14, 20),
    },
    {
      name: "P4, lost update: nor is a change lost to one from outside, a deletion to an update, an insertion to another",
      steps: [
        T1.begins(),
        T2.begins(),
        T3.begins(),
        T1.get("item:1", 10),
        T2.get("item:2", 20),
        T3.get("item:3", undefined),
        outside.put("item:1", 15),
        outside.delete("item:2"),
        outside.put("item:3", 30),
        T1.put("item:1", 11),
        T1.conflicts(),
        T2.put("item:2", 21),
        T2.conflicts(),
        T3.put("item:3", 31),
        T3.conflicts(),
      ],
      leaves: [["item:1", 15], ...ITEM_3],
    },
  ];
}

function readSkew(): Script[] {
  const overwritten: Step[] = [T2.list({}, items(10, 20)), T2.put("item:1", 12), T2.put("item:2", 18), T2.commits()];
  return [
    {
      name: "G-single, read skew of items: both reads are of one instant",
      steps: [T1.begins(), T2.begins(), T1.get("item:1", 10), ...overwritten, T1.get("item:2", 20), T1.commits()],
      leaves: items(12, 18),
    },
    {
      name: "G-single, read skew of items: a write on top of it conflicts",
      steps: [
        T1.begins(),
        T2.begins(),
        T1.get("item:1", 10),
        ...overwritten,
        T1.get("item:2", 20),
        T1.put("sum", 30),
        T1.conflicts(),
      ],
      leaves: items(12, 18),
    },
    {
      name: "G-single, read skew of predicates: listings and counts are of one instant",
      steps: [
        T1.begins(),
        T2.begins(),
        T1.list({ prefix: "item:" }, items(10, 20)),
        T2.put("item:1", 12),
        T2.delete("item:2"),
        T2.put("item:3", 30),
        T2.put("item:4", 40),
        T2.commits(),
        T1.count("item:", 2),
        T1.keys({ start: "item:2" }, ["item:2"]),
        T1.list({ prefix: "item:", reverse: true, limit: 1 }, [["item:2", 20]]),
        T1.commits(),
      ],
      leaves: [["item:1", 12], ...ITEM_3, ["item:4", 40]],
    },
    {
      name: "G-single, read skew of predicates: a write on top of it conflicts",
      steps: [
        T1.begins(),
        T2.begins(),
        T1.count("item:3", 0),
        T2.put("item:3", 30),
        T2.put("total", 60),
        T2.commits(),
        T1.get("total", undefined),
        T1.put("checked", true),
        T1.conflicts(),
      ],
      leaves: [...items(10, 20), ...ITEM_3, ["total", 60]],
    },
    {
      name: "G-single, read skew with a write predicate: a deletion by a value of the past conflicts",
      steps: [
        T1.begins(),
        T2.begins(),
        T1.get("item:1", 10),
        ...overwritten,
        T1.update((value) => (value === 20 ? undefined : value), ["item:2"]),
        T1.conflicts(),
      ],
      leaves: items(12, 18),
    },
  ];
}

function writeSkew(): Script[] {
  /** Each reads only what the one before it writes, so that two of the three have an order. */
  const ring: Step[] = [
    T1.begins(),
    T2.begins(),
    T3.begins(),
    T1.get("item:1", 10),
    T2.get("item:2", 20),
    T3.get("item:3", undefined),
    T1.put("item:2", 21),
    T2.put("item:3", 31),
    T3.put("item:1", 11),
  ];
  return [
    {
      name: "G2-item, write skew: of two that read both items and change one each, the second conflicts",
      steps: [
        T1.begins(),
        T2.begins(),
        T1.get("item:1", 10),
        T1.get("item:2", 20),
        T2.get("item:1", 10),
        T2.get("item:2", 20),
        T1.put("item:1", 11),
        T2.put("item:2", 21),
        T1.commits(),
        T2.conflicts(),
      ],
      leaves: items(11, 20),
    },
    {
      name: "G2-item, write skew: in a ring of three, the one that closes it conflicts",
      steps: [...ring, T1.commits(), T3.commits(), T2.conflicts()],
      leaves: items(11, 21),
    },
    {
      name: "G2-item, write skew: in a ring of three, whoever closes it conflicts",
      steps: [...ring, T2.commits(), T1.commits(), T3.conflicts()],
      leaves: [...items(10, 21), ["item:3", 31]],
    },
  ];
}

function antiDependencyCycles(): Script[] {
  const both = (way: "list" | "keys" | "count"): Script => ({
    name: `G2, anti-dependency cycle: two that have seen nothing by ${way} and insert there, the second conflicts`,
    steps: [
      T1.begins(),
      T2.begins(),
      ...[T1, T2].map((one) =>
        one.does((kv) => (way === "count" ? kv.count("item:") : kv[way]({ prefix: "item:" }).length), 2),
      ),
      T1.put("item:3", 30),
      T2.put("item:4", 42),
      T1.commits(),
      T2.conflicts(),
    ],
    leaves: [...items(10, 20), ...ITEM_3],
  });
  return [
    both("list"),
    both("keys"),
    both("count"),
    {
      name: "G2, anti-dependency cycle: two that count two ranges and insert into each other's, the second conflicts",
      steps: [
        T1.begins(),
        T2.begins(),
        T1.count("a:", 0),
        T2.count("b:", 0),
        T1.put("b:1", 1),
        T2.put("a:1", 1),
        T2.commits(),
        T1.conflicts(),
      ],
      leaves: [["a:1", 1], ...items(10, 20)],
    },
    {
      name: "G2, anti-dependency cycle of two edges: who has listed before the one that a reader saw conflicts",
      steps: [
        T1.begins(),
        T1.list({}, items(10, 20)),
        T2.begins(),
        T2.get("item:2", 20),
        T2.put("item:2", 25),
        T2.commits(),
        T3.begins(),
        T3.list({}, items(10, 25)),
        T3.commits(),
        T1.put("item:1", 0),
        T1.conflicts(),
      ],
      leaves: items(10, 25),
    },
    {
      name: "G2, anti-dependency cycle of two edges: so it is with an insertion into what was listed",
      steps: [
        T1.begins(),
        T1.count("item:", 2),
        T2.begins(),
        T2.put("item:3", 30),
        T2.commits(),
        T3.begins(),
        T3.count("item:", 3),
        T3.get("closed", undefined),
        T3.commits(),
        T1.put("closed", true),
        T1.conflicts(),
      ],
      leaves: [...items(10, 20), ...ITEM_3],
    },
  ];
}

// What is within a scan, and what is not.

function scanBounds(): Script[] {
  const race = (name: string, read: (kv: View) => unknown, key: string, how: "commits" | "conflicts"): Script => ({
    name: `a scan ${how === "commits" ? "is not" : "is"} touched by ${name}`,
    steps: [
      T1.begins(),
      T2.begins(),
      T1.does((kv) => {
        read(kv);
      }),
      T2.put(key, 99),
      T2.commits(),
      T1.put("mine", 1),
      T1[how](),
    ],
    leaves: [
      ...new Map<string, Value>([...INITIAL, ...(how === "commits" ? [["mine", 1] as const] : []), [key, 99]]),
    ].sort(([a], [b]) => (a < b ? -1 : 1)),
  });
  const between = { start: "item:1", end: "item:2" };
  return [
    race("its first key", (kv) => kv.list(between), "item:1", "conflicts"),
    race("what comes right after its start", (kv) => kv.keys(between), "item:1\u0000", "conflicts"),
    race("what comes right before its end", (kv) => kv.keys(between), "item:1\uffff", "conflicts"),
    race("the key at its end, which it excludes", (kv) => kv.list(between), "item:2", "commits"),
    race("what comes right before its start", (kv) => kv.list(between), "item:0\uffff", "commits"),
    race("the prefix itself as a key", (kv) => kv.count("item:"), "item:", "conflicts"),
    race("a key that is shorter than its prefix", (kv) => kv.count("item:"), "item", "commits"),
    race("the first key after its prefix", (kv) => kv.list(ITEMS), "item;", "commits"),
    race("what a limited listing would have returned", (kv) => kv.list({ limit: 1 }), "a", "conflicts"),
    race(
      "what a limited listing from the end would have returned",
      (kv) => kv.keys({ limit: 1, reverse: true }),
      "z",
      "conflicts",
    ),
  ];
}

// What must not conflict.

function harmlessScans(): Script[] {
  return [
    {
      name: "no conflict: scans of ranges that the other does not write",
      steps: [
        T1.begins(),
        T2.begins(),
        T1.list({ prefix: "a:" }, []),
        T2.list({ prefix: "b:" }, []),
        T1.count("c:", 0),
        T2.keys({ start: "d:", end: "e:" }, []),
        T1.put("a:1", 1),
        T2.put("b:1", 1),
        T1.commits(),
        T2.commits(),
      ],
      leaves: [["a:1", 1], ["b:1", 1], ...items(10, 20)],
    },
    {
      name: "no conflict: a scan of a range that was overwritten by what began and ended before",
      steps: [
        T2.begins(),
        T2.list(ITEMS, items(10, 20)),
        T2.put("item:1", 11),
        T2.put("item:3", 30),
        T2.commits(),
        T1.begins(),
        T1.list(ITEMS, [...items(11, 20), ...ITEM_3]),
        T1.count("item:", 3),
        T1.put("count", 3),
        T1.commits(),
      ],
      leaves: [["count", 3], ...items(11, 20), ...ITEM_3],
    },
    {
      name: "no conflict: a scan of a range that was written by what was rolled back or conflicted",
      steps: [
        T1.begins(),
        T2.begins(),
        T3.begins(),
        T1.list(ITEMS, items(10, 20)),
        T2.put("item:3", 30),
        T2.delete("item:1"),
        T2.rollsBack(),
        T3.get("other", undefined),
        T3.put("item:4", 40),
        outside.put("other", 1),
        T3.conflicts(),
        T1.put("count", 2),
        T1.commits(),
      ],
      leaves: [["count", 2], ...items(10, 20), ["other", 1]],
    },
    {
      name: "no conflict: a scan of a range that it has written itself",
      steps: [
        T1.begins(),
        T2.begins(),
        T1.put("item:3", 30),
        T1.delete("item:1"),
        T1.list(ITEMS, [["item:2", 20], ...ITEM_3]),
        T2.put("other", 1),
        T2.commits(),
        T1.put("item:2", 21),
        T1.commits(),
      ],
      leaves: [["item:2", 21], ...ITEM_3, ["other", 1]],
    },
    {
      name: "no conflict: a scan of a range in which somebody has deleted what was not there",
      steps: [
        T1.begins(),
        T2.begins(),
        T1.list(ITEMS, items(10, 20)),
        T2.delete("item:3"),
        T2.put("other", 1),
        T2.commits(),
        T1.put("count", 2),
        T1.commits(),
      ],
      leaves: [["count", 2], ...items(10, 20), ["other", 1]],
    },
  ];
}

function harmlessWrites(): Script[] {
  return [
    {
      name: "no conflict: blind writes to one key, in whatever order they are committed",
      steps: [
        T1.begins(),
        T2.begins(),
        T3.begins(),
        T1.put("item:1", 11),
        T2.put("item:1", 12),
        T3.put("item:1", 13),
        T2.commits(),
        T3.commits(),
        outside.get("item:1", 13),
        T1.commits(),
      ],
      leaves: items(11, 20),
    },
    {
      name: "no conflict: transactions of nothing but reads, whatever is written meanwhile",
      steps: [
        T1.begins(),
        T1.get("item:1", 10),
        T1.get("item:3", undefined),
        T2.begins(),
        T2.update((value) => value + 1, ["item:1", "item:2"]),
        T2.put("item:3", 30),
        T2.commits(),
        T3.begins(),
        T1.list(ITEMS, items(10, 20)),
        T3.list(ITEMS, [...items(11, 21), ...ITEM_3]),
        outside.delete("item:1"),
        T1.count("item:", 2),
        T3.count("item:", 3),
        T1.commits(),
        T3.commits(),
      ],
      leaves: [["item:2", 21], ...ITEM_3],
    },
    {
      name: "no conflict: reads of what the other does not write, and one anti-dependency alone",
      steps: [
        T1.begins(),
        T2.begins(),
        T1.get("item:1", 10),
        T1.put("item:3", 30),
        T2.get("item:2", 20),
        T2.put("item:1", 11),
        T1.commits(),
        T2.commits(),
      ],
      leaves: [...items(11, 20), ...ITEM_3],
    },
    {
      name: "no conflict: a key that is read only after it was written by the same transaction",
      steps: [
        T1.begins(),
        T2.begins(),
        T1.put("item:1", 11),
        T1.get("item:1", 11),
        T2.put("item:1", 12),
        T2.commits(),
        T1.put("item:2", 21),
        T1.commits(),
      ],
      leaves: items(11, 21),
    },
  ];
}

// Callbacks whose outcomes are not awaited one by one.

function inFlightCases(): Case[] {
  const on = (name: string, use: (run: Run) => Promise<void>): Case => ({
    name,
    async run(context) {
      const db = await context.open();
      fill(db, RUN, INITIAL);
      await use(db.run(RUN));
    },
  });
  return [
    on("P4, lost update: of callbacks in flight that have read the same, exactly one commits", async (run) => {
      const gate = gateway();
      const increment = async (tx: Transaction): Promise<void> => {
        const seen = tx.kv.get("item:1") as number;
        await gate.passed;
        tx.kv.put("item:1", seen + 1);
      };
      const all = Array.from({ length: 5 }, () => endingOf(() => run.transactionAsync(increment)));
      // Each waits a moment for the one before it to end.
      await pause(0);
      gate.open();
      const endings = (await Promise.all(all)).sort();
      deepEqual(endings, [...Array.from({ length: 4 }, () => "CONFLICT"), "committed"]);
      equal(run.kv.get("item:1"), 11);
    }),
    on(
      "G2, anti-dependency cycle: of callbacks in flight that have counted the same, exactly one inserts",
      async (run) => {
        const gate = gateway();
        const insert = (key: string) => async (tx: Transaction) => {
          const count = tx.kv.count("item:");
          await gate.passed;
          if (count < 3) tx.kv.put(key, count);
        };
        const keys = ["item:3", "item:4", "item:5"];
        const all = keys.map((key) => endingOf(() => run.transactionAsync(insert(key))));
        await pause(0);
        gate.open();
        deepEqual((await Promise.all(all)).sort(), ["CONFLICT", "CONFLICT", "committed"]);
        equal(run.kv.count("item:"), 3);
      },
    ),
    on("G1c, circular information flow: what flows between callbacks in flight flows one way", async (run) => {
      const gate = gateway();
      const flow = (to: string, value: number, from: string) => async (tx: Transaction) => {
        tx.kv.put(to, value);
        await gate.passed;
        return tx.kv.get(from);
      };
      const first = run.transactionAsync(flow("item:1", 11, "item:2"));
      const second = run.transactionAsync(flow("item:2", 22, "item:1"));
      const refused = rejectsCode("CONFLICT", () => second);
      await pause(0);
      gate.open();
      equal(await first, 20);
      await refused;
      deepEqual(run.kv.list(), items(11, 20));
    }),
    on("retries take every callback through as if one had come after another", async (run) => {
      const move = async (): Promise<void> => {
        await run.transactionAsync(
          async (tx) => {
            const [first, second] = [tx.kv.get("item:1") as number, tx.kv.get("item:2") as number];
            await Promise.resolve();
            tx.kv.put("item:1", second);
            tx.kv.put("item:2", first + 1);
          },
          { retry: { attempts: 1000, baseMs: 0, maxMs: 1 } },
        );
      };
      await Promise.all(Array.from({ length: 6 }, move));
      deepEqual(run.kv.list(), items(13, 23));
    }),
  ];
}
