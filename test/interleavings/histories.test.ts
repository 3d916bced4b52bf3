/**
 * Histories of real workers that nobody schedules: two to eight of them, a thousand transactions each history, checked for
 * strict serializability; in every fourth one a worker is terminated inside. The heap is verified at the end of each.
 *
 * `HOLDFAST_SEED` repeats what the workers do, though not who comes when; `HOLDFAST_SCALE` makes more histories.
 */
import { Worker } from "node:worker_threads";
import { afterAll, describe, expect, it } from "vitest";
import { WORKER_FREE } from "../../src/host/abi.js";
import { Core } from "../../src/host/core.js";
import type { CoreExports } from "../../src/host/core-loader.js";
import { Database, type DatabaseHandle } from "../../src/index.js";
import { moduleOf, SHARED } from "../support/builds.js";
import { SCALE, SEED } from "../support/durability-report.js";
import { checkListAppend, type ListTransaction, type Micro } from "../support/list-append.js";
import { randomFrom } from "../support/seeded-random.js";

const HISTORIES = Math.ceil(200 * SCALE);
const TRANSACTIONS = 1000;
const WORKERS_MAX = 8;
const RUNS = 2;
const KEYS = 8;
const DIARY_BYTES = 16 * 1024 * 1024;
const ENDED_MS_MAX = 60_000;
const CLIENT = new URL("./client.mjs", import.meta.url);

interface Line {
  readonly run?: string;
  readonly began?: number;
  readonly micros?: readonly Micro[];
  readonly status?: "committed" | "aborted";
  readonly code?: string;
  readonly ended?: number;
}

const totals = { committed: 0, aborted: 0, indeterminate: 0, killed: 0, poisoned: 0, pages: 0 };
afterAll(() => console.info(`histories: seed ${SEED}, ${JSON.stringify(totals)}`));

/** Threads that go from one history to the next; one that was terminated is replaced. */
class Crew {
  readonly #idle: Worker[] = [];

  take(count: number): Worker[] {
    return Array.from({ length: count }, () => this.#idle.pop() ?? Crew.#hire());
  }

  /** Each history's database listens for its end. */
  static #hire(): Worker {
    return new Worker(CLIENT).setMaxListeners(0);
  }

  give(worker: Worker): void {
    this.#idle.push(worker);
  }

  async close(): Promise<void> {
    await Promise.all(this.#idle.map((worker) => worker.terminate()));
  }
}

/** Resolves when a worker has done its part, or has been terminated. */
function partOf(worker: Worker, plan: object): { attached: Promise<void>; ended: Promise<"done" | "exit"> } {
  let isAttached: () => void;
  const attached = new Promise<void>((resolve) => {
    isAttached = resolve;
  });
  const ended = new Promise<"done" | "exit">((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("a worker does not end")), ENDED_MS_MAX);
    const exited = (): void => end(() => resolve("exit"));
    const told = (message: unknown): void => {
      if (message === "attached") isAttached();
      else end(() => (message === "done" ? resolve("done") : reject(new Error(JSON.stringify(message)))));
    };
    const end = (settle: () => void): void => {
      isAttached();
      clearTimeout(timer);
      worker.off("message", told);
      worker.off("exit", exited);
      settle();
    };
    worker.on("message", told);
    worker.on("exit", exited);
    worker.postMessage(plan);
  });
  return { attached, ended };
}

function linesOf(diary: SharedArrayBuffer): Line[] {
  const length = Atomics.load(new Int32Array(diary, 0, 1), 0);
  const text = new TextDecoder().decode(new Uint8Array(diary).slice(4, 4 + length));
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Line);
}

/** What the diaries tell of each run. */
function historiesOf(diaries: readonly SharedArrayBuffer[]): Map<string, ListTransaction[]> {
  const histories = new Map<string, ListTransaction[]>();
  for (const diary of diaries) {
    let open: Line | undefined;
    const close = (status: ListTransaction["status"], ended?: number): void => {
      if (open === undefined) return;
      totals[status]++;
      const history = histories.get(open.run as string) ?? [];
      histories.set(open.run as string, history);
      history.push({ status, micros: open.micros as readonly Micro[], began: open.began, ended });
      open = undefined;
    };
    for (const line of linesOf(diary)) {
      if (line.micros !== undefined) open = line;
      else close(line.status as "committed" | "aborted", line.ended);
    }
    close("indeterminate");
  }
  return histories;
}

/** Looks into the heap as one more worker, while all others are at rest. */
async function verify({ memory, module }: DatabaseHandle): Promise<void> {
  const { exports } = await WebAssembly.instantiate(module, { env: { memory } });
  const core = Core.attach(exports as CoreExports, memory, undefined, true);
  // The exit of a worker has been told by now; what is done behind it may have to wait for a lock.
  const places = Array.from({ length: WORKERS_MAX + 1 }, (_, i) => i + 1).filter((place) => place !== core.worker);
  const isAnyone = (): boolean => places.some((place) => core.workerIn(place).state !== WORKER_FREE);
  for (let i = 0; i < 200 && isAnyone(); i++) await sleep(10);
  expect(isAnyone()).toBe(false);
  expect(core.verify()).toBe(0);
  expect(core.use()).toMatchObject({ snapshotsHeld: 0, transactionsOpen: 0 });
  core.leave();
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function follow(crew: Crew, seed: number, kills: boolean): Promise<void> {
  const random = randomFrom(seed);
  const count = 2 + Math.floor(random() * (WORKERS_MAX - 1));
  const database = await Database.open({
    durability: "in-memory",
    shared: true,
    wasm: await moduleOf(SHARED),
    maxBytes: 2 ** 27,
  });
  const clock = new SharedArrayBuffer(4);
  const workers = crew.take(count);
  const diaries = workers.map(() => new SharedArrayBuffer(DIARY_BYTES));
  const handle = database.share();
  const parts = workers.map((worker, index) => {
    const transactions = Math.ceil(TRANSACTIONS / count);
    const plan = { clock, diary: diaries[index], index, seed: seed * 64 + index, runs: RUNS, keys: KEYS, transactions };
    return partOf(worker, { ...plan, handle: database.share(worker) });
  });
  if (kills) {
    await (parts[0] as (typeof parts)[0]).attached;
    await sleep(random() * 12);
    await (workers[0] as Worker).terminate();
    totals.killed++;
  }
  for (const [index, { ended }] of parts.entries()) {
    if ((await ended) === "done" && !(kills && index === 0)) crew.give(workers[index] as Worker);
  }
  const histories = historiesOf(diaries);
  for (const [run, history] of histories) {
    const micros = readAll(database, run);
    if (micros === undefined) totals.poisoned++;
    else history.push({ status: "committed", micros, began: Atomics.add(new Int32Array(clock), 0, 1) });
    const anomalies = checkListAppend(history);
    const told = anomalies.slice(0, 2).map(({ explanation }) => explanation);
    expect(anomalies.length, `HOLDFAST_SEED=${SEED}, history ${seed}, ${run}: ${told.join("\n")}`).toBe(0);
  }
  await verify(handle);
  totals.pages = Math.max(totals.pages, handle.memory.buffer.byteLength / 65536);
  await database.close();
}

/** Every list of a run; undefined where a worker has left it poisoned. */
function readAll(database: Database, name: string): Micro[] | undefined {
  try {
    return Array.from({ length: KEYS }, (_, i) => {
      const list = (database.run(name).kv.get(`k${i}`) ?? []) as number[];
      return { do: "read", key: `k${i}`, list };
    });
  } catch (error) {
    if ((error as { code?: string }).code === "CORRUPTION") return undefined;
    throw error;
  }
}

describe("histories of real workers are strictly serializable", () => {
  it(`${HISTORIES} of ${TRANSACTIONS} transactions`, async () => {
    const crew = new Crew();
    try {
      for (let i = 0; i < HISTORIES; i++) await follow(crew, (SEED % 1_000_000) + i, i % 4 === 3);
    } finally {
      await crew.close();
    }
    expect(totals.committed).toBeGreaterThan(HISTORIES * TRANSACTIONS * 0.2);
  });
});
