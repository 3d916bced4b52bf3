/**
 * Runs of scripts under a scheduler: real workers, each with an instance of its own over one memory, of which one goes on at
 * a time. The same script, policy and seed make the same run again, to the last step.
 */
import { readFile } from "node:fs/promises";
import { Worker } from "node:worker_threads";
import { encodeKey, encodeValue } from "../../src/host/codec.js";
import { Core, type WorkerPlace } from "../../src/host/core.js";
import type { CoreExports } from "../../src/host/core-loader.js";
import * as scans from "../../src/host/core-scan.js";
import { attachCore, promiseWorker } from "../../src/host/core-workers.js";
import { type Act, type Event, Player, perform } from "./acts.mjs";
import {
  CONTROL_WORDS,
  FAULT,
  HEAD_WORDS as HEAD,
  hand,
  LANE_WORDS as LANE,
  laneAt,
  PATIENCE,
  POINTS_AT,
  POLICY,
  STATE,
  WORKERS_MAX,
} from "./control.mjs";
import { renewal, withGlobals } from "./global-exports.mjs";

/** What is done first, by one worker alone, and then by each worker of the run. */
export interface Script {
  readonly name: string;
  readonly setup: readonly Act[];
  readonly parts: readonly (readonly Act[])[];
  /** Whether workers wait for so long that they may give up. */
  readonly mayBeBusy?: boolean;
}

export interface Preemption {
  /** At which step of the run, and who goes on then. */
  readonly step: number;
  readonly worker: number;
}

export type Policy =
  /** Somebody else is chosen at one of `every` steps. */
  | { readonly kind: "random"; readonly seed: number; readonly every: number }
  /** Whoever has the highest priority goes on; at `changes` steps among the first `steps` it becomes the lowest. */
  | { readonly kind: "priorities"; readonly seed: number; readonly changes: number; readonly steps: number }
  /** Somebody goes on for up to `steps` steps. */
  | { readonly kind: "bursts"; readonly seed: number; readonly steps: number; readonly patience?: number }
  | { readonly kind: "bounded"; readonly preemptions: readonly Preemption[] }
  /** One goes on until it has taken so many steps of its own, then the next. */
  | { readonly kind: "turns"; readonly turns: readonly Turn[] };

export interface Turn {
  readonly worker: number;
  /** Steps of its own. */
  readonly until: number;
}

export interface Kill {
  readonly worker: number;
  /** The step of that worker which it does not take any more. */
  readonly step: number;
  /** Another one that dies. */
  readonly also?: Kill | undefined;
}

export interface Outcome {
  readonly events: Event[];
  /** What went wrong with the run itself: a trap, or no end. */
  readonly fault: string | undefined;
  readonly steps: number;
  /** The steps of each worker. */
  readonly stepsOf: readonly number[];
  /** Those that were killed. */
  readonly dead: readonly number[];
  readonly killed: boolean;
  readonly deaths: number;
  readonly switches: number;
  readonly trace: number;
}

const PAGES_MAX = 2048;
const TEXT_BYTES = 65536;
const PART_BYTES = 65536;
const ENDED_MS_MAX = 20_000;
const STEPS_MAX = 400_000;

interface Watcher {
  readonly exports: CoreExports;
  readonly renew: () => void;
}

interface Instance {
  readonly exports: CoreExports;
  readonly core: Core;
}

/** Threads that play the parts, and what they agree by. They go from one harness to the next: to start them takes longer than most tests. */
class Threads {
  readonly control = new SharedArrayBuffer(CONTROL_WORDS * 4);
  readonly text = new SharedArrayBuffer(TEXT_BYTES + WORKERS_MAX * PART_BYTES);
  readonly failures: unknown[] = [];
  readonly #workers: Worker[] = [];
  /** How many cores and memories they were told of. */
  grounds = 0;

  static async started(): Promise<Threads> {
    const threads = new Threads();
    for (let index = 0; index < WORKERS_MAX; index++) {
      const workerData = { control: threads.control, text: threads.text, index };
      const worker = new Worker(new URL("./worker.mjs", import.meta.url), { workerData, execArgv: [] });
      worker.on("error", (error) => threads.failures.push(error));
      threads.#workers.push(worker);
      await new Promise((resolve) => worker.once("online", resolve));
      // The process may end while they wait for the next one.
      worker.unref();
    }
    return threads;
  }

  /** Gives all of them another core and memory, which they take as soon as they are told its number. */
  take(module: WebAssembly.Module, memory: WebAssembly.Memory): void {
    this.grounds++;
    for (const worker of this.#workers) worker.postMessage({ module, memory });
  }

  async terminate(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }
}

const idle: Threads[] = [];
/** What was compiled last from a file, as long as the same stands there. */
const compiled = new Map<string, { readonly bytes: Buffer; readonly module: WebAssembly.Module }>();

async function moduleIn(file: string): Promise<WebAssembly.Module> {
  const bytes = await readFile(file);
  const known = compiled.get(file);
  if (known?.bytes.equals(bytes) === true) return known.module;
  const module = await WebAssembly.compile(withGlobals(bytes));
  compiled.set(file, { bytes, module });
  return module;
}

export class Harness {
  readonly #module: WebAssembly.Module;
  readonly #threads: Threads;
  readonly #memory = new WebAssembly.Memory({ initial: 4, maximum: PAGES_MAX, shared: true });
  readonly #words: Int32Array;
  readonly #text: SharedArrayBuffer;
  #hasEnded = true;
  #watcher: Watcher | undefined;
  #image = new Uint8Array();
  #places: WorkerPlace[] = [];
  #script: Script | undefined;
  setupEvents: Event[] = [];
  /** All runs, and all steps of them. */
  runs = 0;
  steps = 0;
  switches = 0;

  private constructor(module: WebAssembly.Module, threads: Threads) {
    this.#module = module;
    this.#threads = threads;
    this.#words = new Int32Array(threads.control);
    this.#text = threads.text;
    threads.take(module, this.#memory);
  }

  static async of(file: string): Promise<Harness> {
    const module = await moduleIn(file);
    return new Harness(module, idle.pop() ?? (await Threads.started()));
  }

  /** Leaves the threads to the next one, unless one of them has failed or is not back. */
  async close(): Promise<void> {
    if (this.#hasEnded && this.#threads.failures.length === 0) idle.push(this.#threads);
    else await this.#threads.terminate();
  }

  #instance(): CoreExports {
    const imports = { env: { memory: this.#memory }, step: { step: () => {} } };
    return new WebAssembly.Instance(this.#module, imports).exports as CoreExports;
  }

  #watch(): Watcher {
    const exports = this.#instance();
    return { exports, renew: renewal(exports) };
  }

  /** An instance that watches, in a slot of its own. */
  attach(): Instance {
    this.#watcher ??= this.#watch();
    const { exports, renew } = this.#watcher;
    renew();
    return { exports, core: attachCore(exports, this.#memory, undefined, true) };
  }

  /** Makes the memory that each run of a script begins with. */
  prepare(script: Script): void {
    const bytes = new Uint8Array(this.#memory.buffer);
    bytes.fill(0);
    const core = Core.format(this.#instance(), this.#memory, true, {
      maxBytes: PAGES_MAX * 65536,
      seed: new Uint32Array([1, 2]),
      capabilities: 0,
      recordBytesMax: 2 ** 25,
      canWait: true,
    });
    const player = new Player(core, { encodeKey, encodeValue }, scans);
    this.setupEvents = script.setup.map((act) => ({ worker: -1, act, began: -2, ended: -1 }));
    for (const event of this.setupEvents) perform(player, event.act, event);
    this.#places = script.parts.map(() => promiseWorker(core));
    this.#image = this.#bytes().slice();
    this.#script = script;
    const after = TEXT_BYTES;
    const told = new TextEncoder().encode(JSON.stringify({ parts: script.parts, places: this.#places, after }));
    if (told.length + 8 > TEXT_BYTES) throw new Error("the script is too long");
    new Int32Array(this.#text, 0, 1)[0] = told.length;
    new Uint8Array(this.#text).set(told, 8);
  }

  #bytes(): Uint8Array {
    return new Uint8Array(this.#memory.buffer);
  }

  get script(): Script {
    return this.#script as Script;
  }

  /** Where the last complaint of verify() was found. */
  faultOf(exports: CoreExports): string {
    return `0x${((exports["faultAddress"]?.() ?? 0) >>> 0).toString(16)}`;
  }

  slotOf(worker: number): number {
    return (this.#places[worker] as WorkerPlace).worker;
  }

  /** One run of the script that was prepared. */
  run(policy: Policy, kill?: Kill): Outcome {
    const script = this.#script as Script;
    const bytes = this.#bytes();
    if (bytes.length > this.#image.length) {
      const image = new Uint8Array(bytes.length);
      image.set(this.#image);
      this.#image = image;
    }
    // All at once: filling what has grown with zeros takes eight times as long.
    bytes.set(this.#image);
    const words = this.#words;
    const count = script.parts.length;
    const rounds = Array.from({ length: WORKERS_MAX }, (_, index) => words[laneAt(index) + LANE.round] as number);
    words.fill(0);
    for (const [index, round] of rounds.entries()) words[laneAt(index) + LANE.round] = round;
    words[HEAD.ground] = this.#threads.grounds;
    words[HEAD.count] = count;
    words[HEAD.budget] = STEPS_MAX;
    words[HEAD.patience] = policy.kind === "bursts" ? (policy.patience ?? PATIENCE) : PATIENCE;
    words[HEAD.killed] = -1;
    words[HEAD.alsoKilled] = -1;
    if (kill !== undefined) [words[HEAD.killed], words[HEAD.killAt]] = [kill.worker, kill.step];
    if (kill?.also !== undefined) [words[HEAD.alsoKilled], words[HEAD.alsoKillAt]] = [kill.also.worker, kill.also.step];
    schedule(words, policy, count);
    this.#hasEnded = false;
    for (let index = 0; index < count; index++) {
      Atomics.add(words, laneAt(index) + LANE.round, 1);
      Atomics.notify(words, laneAt(index) + LANE.round);
    }
    hand(words, 0);
    // What wakes it can be of the run before, whose last worker has told its end and not yet called.
    while (Atomics.load(words, HEAD.ended) === 0) {
      if (Atomics.wait(words, HEAD.ended, 0, ENDED_MS_MAX) === "timed-out") {
        throw new Error(`${script.name}: no end; ${this.#threads.failures.map(String).join()}`);
      }
    }
    this.#hasEnded = true;
    return this.#outcome(count);
  }

  #outcome(count: number): Outcome {
    const words = this.#words;
    const at = (index: number): number => words[index] as number;
    const parts = Array.from({ length: count }, (_, index) => this.#part(index));
    const traps = parts.flatMap(({ fault }) => (fault === undefined ? [] : [fault]));
    const overrun = at(HEAD.fault) === FAULT.budget ? [`no end after ${STEPS_MAX} steps`] : [];
    this.runs++;
    this.steps += at(HEAD.step);
    this.switches += at(HEAD.preemptions);
    const faults = [...traps, ...overrun];
    const dead = [...parts.keys()].filter((index) => at(laneAt(index) + LANE.state) === STATE.killed);
    return {
      events: parts.flatMap(({ events }) => events),
      fault: faults.length === 0 ? undefined : faults.join("\n"),
      steps: at(HEAD.step),
      stepsOf: parts.map((_, index) => at(laneAt(index) + LANE.steps)),
      dead,
      killed: dead.length > 0,
      deaths: dead.length,
      switches: at(HEAD.preemptions),
      trace: at(HEAD.trace),
    };
  }

  #part(index: number): { events: Event[]; fault: string | undefined } {
    const at = TEXT_BYTES + index * PART_BYTES;
    const length = new DataView(this.#text).getUint32(at, true);
    const told = new TextDecoder().decode(new Uint8Array(this.#text).slice(at + 4, at + 4 + length));
    return JSON.parse(told) as { events: Event[]; fault: string | undefined };
  }
}

function schedule(words: Int32Array, policy: Policy, count: number): void {
  // The generator must not begin with 0, nor should seeds that are neighbours begin alike.
  const seed = policy.kind === "bounded" || policy.kind === "turns" ? 1 : Math.imul(policy.seed + 1, 0x9e3779b1) | 1;
  words[HEAD.random] = seed;
  let state = seed >>> 0;
  const below = (bound: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
  switch (policy.kind) {
    case "random":
      words[HEAD.policy] = POLICY.random;
      words[HEAD.rate] = Math.ceil(1024 / policy.every);
      break;
    case "bursts":
      words[HEAD.policy] = POLICY.bursts;
      words[HEAD.rate] = policy.steps;
      break;
    case "priorities": {
      words[HEAD.policy] = POLICY.priorities;
      const order = Array.from({ length: count }, (_, i) => i);
      for (let i = count - 1; i > 0; i--) {
        const j = below(i + 1);
        [order[i], order[j]] = [order[j] as number, order[i] as number];
      }
      for (const [i, worker] of order.entries()) words[laneAt(worker) + LANE.priority] = i + 1;
      const points = Array.from({ length: policy.changes }, () => 1 + below(policy.steps)).sort((a, b) => a - b);
      words[HEAD.points] = points.length;
      words.set(points, POINTS_AT);
      break;
    }
    case "bounded":
      words[HEAD.policy] = POLICY.bounded;
      words[HEAD.points] = policy.preemptions.length;
      words.set(
        policy.preemptions.flatMap(({ step, worker }) => [step, worker]),
        POINTS_AT,
      );
      break;
    case "turns":
      words[HEAD.policy] = POLICY.turns;
      words[HEAD.points] = policy.turns.length;
      words.set(
        policy.turns.flatMap(({ until, worker }) => [Math.min(until, STEPS_MAX), worker]),
        POINTS_AT,
      );
      break;
  }
}
