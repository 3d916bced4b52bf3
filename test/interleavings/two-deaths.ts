/**
 * Two workers die, each at an access to memory of its own, the second after the first and before anybody knows of that; or while
 * it clears up behind the first. Whoever clears up knows of one at a time, and may be refused as long as the other one holds
 * something; once both are known nothing is left of them: no place, no lock, no snapshot, no transaction, and no memory.
 */
import { expect } from "vitest";
import { WORKER_FREE } from "../../src/host/abi.js";
import { encodeKey, encodeName, encodeValue, type Value } from "../../src/host/codec.js";
import type { Core, RunHandle } from "../../src/host/core.js";
import { logFailed } from "../../src/host/core-shared-log.js";
import { buryWorker } from "../../src/host/core-workers.js";
import { HoldfastError } from "../../src/index.js";
import { LOCK_NAMES } from "../histories/locks.js";
import { randomFrom } from "../support/seeded-random.js";
import { Victim } from "../support/victim.js";
import { type Cores, Log, makeCore, newMemory } from "./log-deaths.js";

const [IN_MEMORY, BUFFERED] = [0, 1];
const RUNS = ["a", "b", "c", "new", "own", "not there"];
/** Of bytes, which are copied: a text would be encoded anew each time. */
const LARGE = new Uint8Array(100_000).fill(0x78);
/** What the directory stood in is left where it is when it is made anew, and a context for transactions stays with its place. */
const LEFT_BYTES_MAX = 2 * 32 * 1024;

/** What a worker does it to. */
interface Place {
  readonly mode: number;
  /** Undefined in memory. */
  readonly log: Log | undefined;
  /** The first, for the second. */
  readonly other: Victim | undefined;
}

/** What a worker does until it dies. */
interface Deed {
  readonly name: string;
  /** Whether it makes sense for the second alone. */
  readonly needsOther?: boolean;
  readonly act: (victim: Victim, place: Place) => void;
}

function transactionOf(victim: Victim, id: string, value: Value): { pointer: number; generation: number } {
  const { core } = victim;
  const run = victim.runOf(id);
  const pointer = core.begin(run.pointer, run.generation, 0);
  core.resultVersion();
  const generation = core.begunGeneration();
  core.renew();
  core.transactionPut(pointer, generation, 0, encodeKey("in a transaction", core), encodeValue(value, core));
  return { pointer, generation };
}

const DEEDS: readonly Deed[] = [
  { name: "put", act: (victim, { mode }) => victim.put(victim.runOf("a"), "k1", "by the dead", mode) },
  { name: "put a large value", act: (victim, { mode }) => victim.put(victim.runOf("b"), "large", LARGE, mode) },
  { name: "put into a new run", act: (victim, { mode }) => victim.put(victim.runOf("new"), "k", LARGE, mode) },
  {
    name: "delete a run",
    act: (victim, { mode }) => victim.core.deleteRun(victim.runOf("c"), mode),
  },
  {
    name: "make a run and delete it",
    act: (victim, { mode, log }) => {
      victim.put(victim.runOf("own"), "k", LARGE, mode);
      log?.drain(victim.core);
      victim.core.deleteRun(victim.runOf("own"), mode);
      log?.drain(victim.core);
    },
  },
  {
    name: "commit a transaction",
    act: (victim, { mode }) => {
      const { pointer, generation } = transactionOf(victim, "a", LARGE);
      victim.core.commit(pointer, generation, mode);
    },
  },
  {
    name: "roll a transaction back, on a run that is not there",
    act: (victim) => {
      const { pointer, generation } = transactionOf(victim, "not there", LARGE);
      victim.core.end(pointer, generation);
    },
  },
  {
    name: "leave with a transaction open",
    act: (victim) => {
      transactionOf(victim, "b", LARGE);
      victim.core.leave();
    },
  },
  { name: "write the log", act: ({ core }, { log }) => log?.drain(core) },
  {
    name: "clear up behind the first",
    needsOther: true,
    act: ({ core }, { other }) => {
      const worker = (other as Victim).core.worker;
      const seen = core.workerIn(worker);
      if (seen.state !== WORKER_FREE) buryWorker(core, worker, seen);
    },
  },
];

/** A scene that two die in: on a log or in memory, with a transaction of each open from before. */
export class Scene {
  readonly core: Core;
  readonly exports: ReturnType<typeof makeCore>["exports"];
  readonly memory = newMemory();
  readonly victims: readonly [Victim, Victim];
  readonly log: Log | undefined;
  readonly mode: number;
  readonly usedBefore: number;

  constructor(cores: Cores, hasLog: boolean) {
    const { core, exports } = makeCore(cores, this.memory, hasLog ? 7 : 0, false);
    this.core = core;
    this.exports = exports;
    this.mode = (hasLog ? BUFFERED : IN_MEMORY) as number;
    this.log = hasLog ? new Log() : undefined;
    for (const id of RUNS) this.put(id, "first", LARGE);
    this.log?.drain(core);
    this.deleteAll();
    this.usedBefore = this.used();
    for (let i = 0; i < 6; i++) {
      for (const id of ["a", "b", "c"]) this.put(id, `k${i}`, `${id}${i}`);
      // Who may not wait is refused behind what is not yet written.
      this.log?.drain(core);
    }
    this.victims = [new Victim(cores.dying, this.memory, false), new Victim(cores.dying, this.memory, false)];
    for (const victim of this.victims) transactionOf(victim, "a", LARGE);
    for (const id of ["b", "c"]) this.put(id, "queued", LARGE);
  }

  runOf(id: string): RunHandle {
    this.core.renew();
    return this.core.createRun(encodeName(id, 256, "The run id", this.core));
  }

  put(id: string, key: string, value: Value): void {
    const run = this.runOf(id);
    this.core.renew();
    const bytes = encodeValue(value, this.core);
    const version = this.core.put(run.pointer, run.generation, 0, encodeKey(key, this.core), bytes, this.mode, -1);
    if (version <= 0) throw new Error(`a put into ${id} was told ${version}`);
  }

  used(): number {
    const { bytes, freeBytes } = this.core.memoryUse();
    return bytes - freeBytes;
  }

  /** Takes every run away, also one that is lost. */
  deleteAll(): void {
    for (const id of RUNS) {
      this.core.renew();
      try {
        const run = this.core.resolveRun(encodeName(id, 256, "The run id", this.core));
        if (run.pointer !== 0 && this.core.runVisible(run) !== 0) this.delete(run);
      } catch (error) {
        if (!HoldfastError.is(error, "CORRUPTION")) throw error;
        this.core.renew();
        const version = this.core.banishRun(encodeName(id, 256, "The run id", this.core), this.mode);
        expect(version, "the deletion of a lost run").toBeGreaterThanOrEqual(0);
        this.log?.drain(this.core);
      }
    }
    // What the deletions have left is given back by whoever comes next.
    this.put("last", "k", "v");
    this.log?.drain(this.core);
    this.delete(this.runOf("last"));
  }

  delete(run: RunHandle): void {
    expect(this.core.deleteRun(run, this.mode), "the deletion of a run").toBeGreaterThan(0);
    this.log?.drain(this.core);
  }

  /** Who holds what. */
  held(): string[] {
    const words = new Uint32Array(this.memory.buffer);
    const found: string[] = [];
    for (let i = 0; ; i++) {
      const address = this.core.call("lockAddress", i) >>> 0;
      if (address === 0) return found;
      const owner = (words[address / 4] as number) & 0xff;
      if (owner !== 0) found.push(`${LOCK_NAMES[i] ?? "a run"} by ${owner - 1}`);
    }
  }

  /** Clears up behind one; whether that could be done. */
  bury(victim: Victim): boolean {
    const { worker } = victim.core;
    const seen = this.core.workerIn(worker);
    if (seen.state === WORKER_FREE) return true;
    try {
      return buryWorker(this.core, worker, seen);
    } catch (error) {
      if (!HoldfastError.is(error, "BUSY")) throw error;
      return false;
    }
  }

  fault(): string {
    return `${this.core.verify()} at ${(this.exports["faultAddress"]?.() ?? 0).toString(16)}`;
  }
}

/** That the two are gone, with all that they held, and that the others can go on. */
export function expectNothingLeft(scene: Scene): void {
  const { core } = scene;
  for (const victim of scene.victims) {
    expect(core.workerIn(victim.core.worker).state, "the state of a place").toBe(WORKER_FREE);
  }
  expect(scene.held(), "locks").toEqual([]);
  expect(scene.fault(), "after the burial").toMatch(/^0 /);
  expect(scene.exports["strayExtent"]?.() ?? 0, "an extent that nobody has").toBe(0);
  const { snapshotsHeld, transactionsOpen } = core.use();
  expect([snapshotsHeld, transactionsOpen], "held, open").toEqual([0, 0]);
  if (scene.log !== undefined) expect(logFailed(core), "the log has failed").toBe(false);
  scene.log?.drain(core);
  scene.put("other", "after", "1");
  scene.log?.drain(core);
  scene.delete(scene.runOf("other"));
  scene.deleteAll();
  expect(scene.fault(), "when all is deleted").toMatch(/^0 /);
  expect(scene.used(), "bytes in use").toBeLessThanOrEqual(scene.usedBefore + LEFT_BYTES_MAX);
}

/** Does a deed until it ends, is refused, or dies; whether it has died. */
function doUntil(victim: Victim, step: number, deed: Deed, place: Place): boolean {
  return victim.run(() => {
    try {
      deed.act(victim, place);
    } catch (error) {
      if (!HoldfastError.is(error) || !["BUSY", "CORRUPTION", "CLOSED"].includes(error.code)) throw error;
    }
  }, step);
}

/** How many accesses each deed has. */
function lengthsOf(cores: Cores, hasLog: boolean): number[] {
  return DEEDS.map((deed) => {
    const scene = new Scene(cores, hasLog);
    const [other, second] = scene.victims;
    doUntil(second, Number.POSITIVE_INFINITY, deed, { ...scene, other });
    return second.steps;
  });
}

/** When somebody dies: at an access of what it does, or at rest behind it. */
interface Moment {
  readonly deed: Deed;
  readonly step: number;
}

/** Two deaths; whether clearing up behind the first had to wait for the second to be known. What is wrong is thrown. */
function dieTwice(cores: Cores, hasLog: boolean, first: Moment, second: Moment): boolean {
  const scene = new Scene(cores, hasLog);
  const [one, two] = scene.victims;
  doUntil(one, first.step, first.deed, { ...scene, other: undefined });
  doUntil(two, second.step, second.deed, { ...scene, other: one });
  const waits = !scene.bury(one);
  expect(scene.bury(two), `burying the second, ${scene.held().join(", ")}`).toBe(true);
  expectNothingLeft(scene);
  return waits;
}

/** What trials have come to. */
interface Trials {
  deaths: number;
  /** How often clearing up behind the first had to wait for the second to be known. */
  waited: number;
}

/** One in so many has done what it does before it dies. */
const AT_REST_EVERY = 4;

/** So many trials of each deed with each other, or with one; what is wrong with one of them is thrown. */
export function tryDeaths(cores: Cores, hasLog: boolean, seed: number, trials: number, second?: string): Trials {
  const lengths = lengthsOf(cores, hasLog);
  const random = randomFrom(seed);
  const moments = DEEDS.map((deed, i) => (): Moment => {
    const step = Math.floor(random() * (lengths[i] as number));
    return { deed, step: random() * AT_REST_EVERY < 1 ? Number.POSITIVE_INFINITY : step };
  });
  const firsts = moments.filter((_, i) => DEEDS[i]?.needsOther !== true);
  const seconds = moments.filter((_, i) => second === undefined || DEEDS[i]?.name === second);
  const pairs = firsts.flatMap((one) => seconds.map((two) => [one, two]));
  const sum: Trials = { deaths: 0, waited: 0 };
  for (let left = trials; left > 0; left--) {
    for (const pair of pairs) {
      const [one, two] = pair.map((make) => make()) as [Moment, Moment];
      sum.deaths++;
      try {
        if (dieTwice(cores, hasLog, one, two)) sum.waited++;
      } catch (error) {
        const what = `${one.deed.name} at ${one.step}, then ${two.deed.name} at ${two.step}`;
        throw new Error(`${what}, seed ${seed}: ${(error as Error).message}`, { cause: error });
      }
    }
  }
  return sum;
}
