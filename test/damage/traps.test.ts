/**
 * A trap in every export of the core, before or after it has done its work, at many of its calls in a workload over every
 * method: the database is poisoned and says so.
 *
 * Every call afterwards throws `STORE_FAILED` or `CLOSED`, synchronously or not, and none hangs; a transaction in flight is
 * rejected; ending handles throws nothing more; `close` ends and gives the storage up; and opening it again gives a state
 * of the history with everything in it that was acknowledged as durable. A case is replayed by `HOLDFAST_CASE=<export>,
 * <before or after>,<call>`.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Storage, StorageCapabilities, StorageSession } from "../../src/adapters/storage.js";
import { HoldfastError } from "../../src/errors.js";
import type { CoreExports } from "../../src/host/core-loader.js";
import type { Instrument } from "../../src/host/instrument.js";
import { Database } from "../../src/index.js";
import { moduleOf, SINGLE } from "../support/builds.js";
import { ByteStorage } from "../support/byte-storage.js";
import { SCALE, SEED, writeReport } from "../support/durability-report.js";
import { judgeLog } from "../support/plain-log.js";
import { Watchdog } from "./watchdog.js";
import { type Bag, STEPS, STILL, type Step } from "./workload.js";

type When = "before" | "after";

/** One trap: at which call of which export, before or after its work. */
interface Trap {
  readonly name: string;
  readonly when: When;
  readonly call: number;
}

/** The calls of an export that are tried: the first, the last, and others between. */
const CALLS_PER_EXPORT = Math.round(20 * SCALE);
const GOAL = 1_000;
const SETTLES_MS_MAX = 5_000;
const ONLY_CASE = process.env["HOLDFAST_CASE"];
/** What only `holdfast/trace` and tests of the core call. */
const NOT_CALLED = ["transactionValidate", "transactionReads", "transactionWrites", "movedMax", "runGeneration"];

/** A key that the storage has no room for. */
const NO_ROOM = "no room for this";

/** A step that is refused as it should be. */
function refused(name: string, code: "VERSION_MISMATCH" | "STORAGE_FULL", run: Step["run"]): Step {
  return {
    name,
    run(db, bag) {
      try {
        run(db, bag);
      } catch (error) {
        if (!HoldfastError.is(error, code)) throw error;
      }
    },
  };
}

const WITHOUT_ROOM = refused("put without room", "STORAGE_FULL", (db) => db.run("a").kv.put(NO_ROOM, 1));
const ALL_STEPS: readonly Step[] = [
  refused("put of another version", "VERSION_MISMATCH", (db) => db.run("fresh").kv.put("k", 1, { ifVersion: 5 })),
  ...STEPS,
];

const counts = { cases: 0, acknowledged: 0, lost: 0, untyped: 0, hung: 0 };
const startMs = performance.now();
const watchdog = new Watchdog();

afterAll(async () => {
  await watchdog.end();
  if (ONLY_CASE !== undefined) return;
  writeReport({
    suite: "traps",
    what: "a trap in an export of the core",
    cases: counts.cases,
    goal: GOAL,
    acknowledged: counts.acknowledged,
    lost: counts.lost,
    partial: 0,
    reordered: 0,
    silentlyCorrupt: 0,
    untyped: counts.untyped,
    hung: counts.hung,
    seed: SEED,
    seconds: (performance.now() - startMs) / 1000,
  });
});

/** Stands in front of the core's exports, counts their calls, and lets one trap. */
class Trapper implements Instrument {
  readonly calls = new Map<string, number>();
  readonly #trap: Trap | undefined;
  hasTrapped = false;

  constructor(trap?: Trap) {
    this.#trap = trap;
  }

  attach(exports: CoreExports): ReturnType<Instrument["attach"]> {
    const wrapped: CoreExports = {};
    for (const [name, call] of Object.entries(exports)) {
      this.calls.set(name, 0);
      wrapped[name] = (...numbers) => this.#called(name, call, numbers);
    }
    return { exports: wrapped, session: (session) => session };
  }

  #called(name: string, call: (...numbers: number[]) => number, numbers: number[]): number {
    const nth = (this.calls.get(name) ?? 0) + 1;
    this.calls.set(name, nth);
    const isHit = name === this.#trap?.name && nth === this.#trap.call;
    if (isHit && this.#trap.when === "before") throw this.#thrown();
    const result = call(...numbers);
    if (isHit) throw this.#thrown();
    return result;
  }

  #thrown(): WebAssembly.RuntimeError {
    this.hasTrapped = true;
    return new WebAssembly.RuntimeError("unreachable");
  }
}

/** A storage that remembers every state that its files have been in, and whether anybody has it open. */
class Remembering implements Storage {
  readonly files: ByteStorage;
  readonly capabilities: StorageCapabilities;
  /** The states of the log after each change, as an independent reader has them. */
  readonly states: string[];
  readonly #keepsStates: boolean;
  owners = 0;

  constructor(start: ByteStorage, keepsStates: boolean) {
    this.files = new ByteStorage(start.segments, start.epoch, start.checkpoints);
    this.capabilities = this.files.capabilities;
    this.#keepsStates = keepsStates;
    this.states = [this.state()];
  }

  state(): string {
    const verdict = judgeLog(this.files, this.files.epoch + 1);
    if (verdict.kind === "refused") throw new Error(`the log is damaged: ${verdict.why}`);
    return verdict.state;
  }

  #changed(): void {
    if (!this.#keepsStates) return;
    const state = this.state();
    if (state !== this.states.at(-1)) this.states.push(state);
  }

  async open(): Promise<StorageSession> {
    const session = await this.files.open();
    this.owners++;
    return {
      ...session,
      createSegment: async (number, content) => {
        await session.createSegment(number, content);
        this.#changed();
      },
      createSegmentSync: (number, content) => {
        session.createSegmentSync(number, content);
        this.#changed();
      },
      appendSync: (bytes) => {
        if (Buffer.from(bytes).includes(NO_ROOM)) {
          throw new HoldfastError("STORAGE_FULL", "There is no room.", { details: { appendedBytes: 0 } });
        }
        session.appendSync(bytes);
        this.#changed();
      },
      close: async () => {
        await session.close();
        this.owners--;
      },
    };
  }
}

async function open(storage: Storage, trace: Instrument): Promise<Database> {
  return Database.open({ storage, trace, wasm: await moduleOf(SINGLE), environment: STILL });
}

/** Files that leave nothing of recovery undone: a checkpoint, a log behind it whose tail is unsynced, and torn. */
async function startFiles(): Promise<ByteStorage> {
  const storage = new ByteStorage(new Map(), 0);
  const db = await open(storage, new Trapper());
  for (let i = 0; i < 5; i++) db.run("early").kv.put("k", i);
  await db.checkpoint();
  for (let i = 5; i < 10; i++) db.run("early").kv.put("k", i, { durability: "buffered" });
  const [last = 0, bytes = new Uint8Array(0)] = [...storage.segments].at(-1) ?? [];
  storage.segments.set(last, new Uint8Array([...bytes, ...bytes.subarray(-60, -10)]));
  return storage;
}

/** Handles from before the trap, as far as it lets them be had; and a transaction that is in flight all the time. */
class Handles {
  readonly bag: Bag = {};
  flight: Promise<unknown> | undefined;
  /** Lets the transaction that is in flight come to its commit. */
  land = (): void => {};

  take(db: Database): void {
    // First, because what is in flight then has to be undone with it.
    WITHOUT_ROOM.run(db, {});
    const gate = new Promise<void>((resolve) => {
      this.land = resolve;
    });
    this.flight = db.run("flight").transactionAsync(async (tx) => {
      tx.kv.get("k");
      await gate;
      tx.kv.put("k", 1);
    });
    this.flight.catch(() => {});
    this.bag.snapshot = db.run("early").snapshot();
    this.bag.whole = db.snapshot();
    this.bag.transaction = db.run("early").begin();
  }
}

/** What happens without a trap: how often each export is called, and which states the log has been in after each step. */
interface Reference {
  readonly start: ByteStorage;
  readonly calls: ReadonlyMap<string, number>;
  readonly states: readonly string[];
  /** How many of the states had been there when a step was over; the first entry is that of opening. */
  readonly marks: readonly number[];
}

async function withoutTrap(): Promise<Reference> {
  const start = await startFiles();
  const storage = new Remembering(start, true);
  const trapper = new Trapper();
  const db = await open(storage, trapper);
  const handles = new Handles();
  handles.take(db);
  const held = handles.bag;
  const bag = { ...held };
  const marks = [storage.states.length];
  for (const step of ALL_STEPS) {
    await step.run(db, bag);
    marks.push(storage.states.length);
  }
  handles.land();
  await handles.flight;
  held.snapshot?.dispose();
  held.whole?.dispose();
  held.transaction?.rollback();
  marks.push(storage.states.length);
  await db.close();
  return { start, calls: trapper.calls, states: storage.states, marks };
}

/** Why a call after the trap is no good; `undefined` where it was refused as it should be. */
async function faultOf(name: string, call: () => unknown): Promise<string | undefined> {
  try {
    const result = await withinTime(call());
    if (result === HANGS) {
      counts.hung++;
      return `${name} hangs`;
    }
    return `${name} gave ${String(result)}`;
  } catch (error) {
    if (HoldfastError.is(error, "STORE_FAILED") || HoldfastError.is(error, "CLOSED")) return undefined;
    counts.untyped++;
    return `${name} threw ${error instanceof Error ? error.stack : error}`;
  }
}

const HANGS = Symbol("hangs");

async function withinTime(work: unknown): Promise<unknown> {
  if (!(work instanceof Promise)) return work;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise((resolve) => {
    timer = setTimeout(() => resolve(HANGS), SETTLES_MS_MAX);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Calls that must all be refused once the core has trapped. */
function callsAfter(db: Database, held: Bag): Record<string, () => unknown> {
  const run = db.run("a");
  const { snapshot, whole, transaction } = held;
  const { kv, events, state, traces } = run;
  return {
    version: () => db.version,
    totalCount: () => db.totalCount(),
    stats: () => db.stats(),
    verify: () => db.verify(),
    "db.snapshot": () => db.snapshot(),
    flush: () => db.flush(),
    flushSync: () => db.flushSync(),
    checkpoint: () => db.checkpoint(),
    export: async () => {
      for await (const piece of db.export()) piece.fill(0);
    },
    deleteRun: () => db.deleteRun("a"),
    "runs.list": () => db.runs.list(),
    "runs.get": () => db.runs.get("a"),
    "runs.stats": () => db.runs.stats(),
    "runs.create": () => db.runs.create({ name: "a" }),
    "run.version": () => run.version,
    "run.count": () => run.count(),
    "run.snapshot": () => run.snapshot(),
    begin: () => run.begin(),
    transaction: () => run.transaction((tx) => tx.kv.put("k", 1)),
    transactionAsync: () => run.transactionAsync((tx) => tx.kv.put("k", 1)),
    get: () => kv.get("k"),
    getVersioned: () => kv.getVersioned("k"),
    getMany: () => kv.getMany(["k"]),
    has: () => kv.has("k"),
    list: () => kv.list(),
    keys: () => kv.keys(),
    count: () => kv.count(),
    put: () => kv.put("k", 1),
    "deferred put": () => kv.put("k", 1, { durability: "in-memory" }),
    delete: () => kv.delete("k"),
    "put in a new run": () => db.run("new").kv.put("k", 1),
    append: () => events.append("t", 1),
    read: () => events.read(0),
    range: () => [...events.range(0, 9)],
    head: () => events.head(),
    length: () => events.length,
    types: () => events.types(),
    "events.verify": () => events.verify(),
    "state.read": () => state.read("c"),
    "state.list": () => state.list(),
    "state.init": () => state.init("c", 1),
    "state.set": () => state.set("c", 1),
    "state.transition": () => state.transition("c", (now) => [now, now]),
    "state.delete": () => state.delete("c"),
    "traces.record": () => traces.record({ type: "thought", content: "" }),
    "traces.get": () => traces.get("t1"),
    "traces.list": () => traces.list(),
    "traces.tree": () => traces.tree("t1"),
    "snapshot.get": () => snapshot?.kv.get("k"),
    "snapshot.list": () => snapshot?.kv.list(),
    "whole.get": () => whole?.run("early").kv.get("k"),
    "transaction.get": () => transaction?.kv.get("k"),
    "transaction.put": () => transaction?.kv.put("k", 1),
    "transaction.list": () => transaction?.kv.list(),
    "transaction.commit": () => transaction?.commit(),
  };
}

/** Whether an error is what the call gets in which the core traps: a commit may have come too far to be called off. */
function isTold(error: unknown): boolean {
  return HoldfastError.is(error, "STORE_FAILED") || HoldfastError.is(error, "COMMIT_INDETERMINATE");
}

/** Takes the steps until the trap has gone off; how many were acknowledged, or the fault of what was thrown. */
async function untilTrapped(db: Database, bag: Bag, trapper: Trapper): Promise<{ steps: number; fault?: string }> {
  let steps = 0;
  for (const step of ALL_STEPS) {
    try {
      if ((await withinTime(step.run(db, bag))) === HANGS) return { steps, fault: `${step.name} hangs` };
      steps++;
    } catch (error) {
      if (isTold(error) && trapper.hasTrapped) break;
      counts.untyped++;
      return { steps, fault: `${step.name} threw ${error instanceof Error ? error.stack : error}` };
    }
    if (trapper.hasTrapped) break;
  }
  return { steps };
}

/** Whether closing ends with success or a typed error, and the storage is nobody's then. */
async function closeFault(db: Database, storage: Remembering): Promise<string | undefined> {
  try {
    if ((await withinTime(db.close())) === HANGS) return "close hangs";
  } catch (error) {
    if (!HoldfastError.is(error)) return `close threw ${error instanceof Error ? error.stack : error}`;
  }
  return storage.owners === 0 ? undefined : "close has not given the storage up";
}

/** Opens again what a database with a trap has left. */
async function reopenFault(storage: Remembering, reference: Reference, steps: number): Promise<string | undefined> {
  const least = (reference.marks[steps] ?? 1) - 1;
  const most = reference.marks[Math.min(steps + 1, reference.marks.length - 1)] ?? reference.states.length;
  const state = storage.state();
  if (!reference.states.slice(least, most).includes(state)) {
    counts.lost++;
    return `after ${steps} steps the log holds\n${state}`;
  }
  counts.acknowledged += steps;
  await using db = await open(storage, new Trapper());
  if (!db.verify().valid) return "opened again, the heap does not verify";
  db.run("a").kv.put("after it", 1);
  return undefined;
}

/** What is wrong with how a trap is taken, if anything. */
async function faultOfTrap(trap: Trap, reference: Reference): Promise<string | undefined> {
  const storage = new Remembering(reference.start, false);
  const trapper = new Trapper(trap);
  let db: Database;
  try {
    db = await open(storage, trapper);
  } catch (error) {
    if (!HoldfastError.is(error, "STORE_FAILED")) return `open threw ${error instanceof Error ? error.stack : error}`;
    return storage.owners === 0 ? reopenFault(storage, reference, 0) : "open has not given the storage up";
  }
  const handles = new Handles();
  let steps = 0;
  try {
    handles.take(db);
    const outcome = await untilTrapped(db, { ...handles.bag }, trapper);
    if (outcome.fault !== undefined) return outcome.fault;
    steps = outcome.steps;
  } catch (error) {
    if (!isTold(error) || !trapper.hasTrapped)
      return `a handle could not be had: ${error instanceof Error ? error.stack : error}`;
  } finally {
    handles.land();
  }
  const fault = trapper.hasTrapped ? await poisonedFault(db, handles) : undefined;
  if (fault !== undefined) return fault;
  return (await closeFault(db, storage)) ?? reopenFault(storage, reference, steps);
}

/** Which handle a call is made on: the trap may have gone off before it was had. */
const HELD: Readonly<Record<string, keyof Bag>> = {
  "snapshot.get": "snapshot",
  "snapshot.list": "snapshot",
  "whole.get": "whole",
  "transaction.get": "transaction",
  "transaction.put": "transaction",
  "transaction.list": "transaction",
  "transaction.commit": "transaction",
};

/** Whether a poisoned database says so to every call. */
async function poisonedFault(db: Database, { bag, flight }: Handles): Promise<string | undefined> {
  for (const [name, call] of Object.entries(callsAfter(db, bag))) {
    const isThere = !(name in HELD) || bag[HELD[name] as keyof Bag] !== undefined;
    const fault = isThere ? await faultOf(name, call) : undefined;
    if (fault !== undefined) return fault;
  }
  if (flight !== undefined) {
    const fault = await faultOf("the transaction in flight", () => flight);
    if (fault !== undefined) return fault;
  }
  // Ending what was begun throws nothing: it would take the place of the error that a `using` is left with.
  bag.snapshot?.dispose();
  bag.whole?.dispose();
  bag.transaction?.rollback();
  return undefined;
}

/** The calls of an export that are tried. */
function chosenCalls(count: number): number[] {
  if (count <= CALLS_PER_EXPORT) return Array.from({ length: count }, (_, i) => i + 1);
  const step = (count - 1) / (CALLS_PER_EXPORT - 1);
  const shift = SEED % Math.max(1, Math.floor(step));
  const calls = Array.from({ length: CALLS_PER_EXPORT }, (_, i) => Math.min(count, 1 + Math.round(i * step) + shift));
  return [...new Set([1, ...calls, count])];
}

describe("a trap", () => {
  let reference: Reference;
  beforeAll(async () => {
    reference = await withoutTrap();
  });

  test("can be had in every export", () => {
    const never = [...reference.calls].filter(([, count]) => count === 0).map(([name]) => name);
    expect(never.filter((name) => !NOT_CALLED.includes(name))).toEqual([]);
  });

  test(`at any call of any export, seed ${SEED}`, async () => {
    const faults: string[] = [];
    for (const trap of trapsOf(reference.calls)) {
      counts.cases++;
      const name = `HOLDFAST_SEED=${SEED} HOLDFAST_CASE=${trap.name},${trap.when},${trap.call}`;
      watchdog.beat(() => name);
      const fault = await faultOfTrap(trap, reference);
      if (fault !== undefined) faults.push(`${name}: ${fault}`);
    }
    expect(faults.length, `${faults.length} faults, the first:\n${faults.slice(0, 5).join("\n")}`).toBe(0);
  });
});

function trapsOf(calls: ReadonlyMap<string, number>): Trap[] {
  if (ONLY_CASE !== undefined) {
    const [name = "", when, call] = ONLY_CASE.split(",");
    return [{ name, when: when === "after" ? "after" : "before", call: Number(call) }];
  }
  return [...calls].flatMap(([name, count]) =>
    chosenCalls(count).flatMap((call): Trap[] => [
      { name, when: "before", call },
      { name, when: "after", call },
    ]),
  );
}
