/**
 * Two clear up at the same time, each behind one of two that are dead: what the one hears of in the middle is cleared up as whole as
 * what it began with, and nothing is taken from who has come into a place that was given back meanwhile.
 */
import { beforeAll, expect, it } from "vitest";
import { WORKER_ATTACHED, WORKER_DEAD, WORKER_FREE } from "../../src/host/abi.js";
import { encodeName } from "../../src/host/codec.js";
import type { Core, RunHandle, WorkerSlot } from "../../src/host/core.js";
import { buryWorker } from "../../src/host/core-workers.js";
import { HoldfastError } from "../../src/index.js";
import { everyAccessModule, lookerModule, Victim } from "../support/victim.js";
import { CAPABILITIES, type Cores, Log, makeCore, newMemory, STRICT } from "./log-deaths.js";
import { expectNothingLeft, Scene } from "./two-deaths.js";

/** Parts of a lock word, as assembly/workers.ts has them. */
const FLAGS = 0x300;
const INCARNATION_SHIFT = 10;
const [TURN_WRITE, TURN_SYNC, DIRECTORY, ALLOCATOR, LOG] = [0, 1, 2, 3, 4];
/** One of so many accesses is tried. */
const STRIDE = 29;

let cores: Cores;

beforeAll(async () => {
  const whole = await lookerModule();
  cores = { dying: await everyAccessModule(), whole };
});

/** A worker as it stood in its place when it was found to be dead. */
interface Seen {
  readonly worker: number;
  readonly seen: WorkerSlot;
}

function seenOf(scene: Scene, { core: { worker } }: Victim): Seen {
  return { worker, seen: scene.core.workerIn(worker) };
}

/** Clears up behind a worker, as far as that can be done now. */
function bury(core: Core, { worker, seen }: Seen): void {
  try {
    buryWorker(core, worker, seen);
  } catch (error) {
    if (!HoldfastError.is(error, "BUSY")) throw error;
  }
}

const STOP = new Error("held up for good");

/** Has somebody do something until, before an access, that is so; there it stays. */
function until(victim: Victim, action: () => void, isSo: () => boolean): void {
  let was = false;
  victim.onStep = () => {
    was ||= isSo();
    if (was) throw STOP;
  };
  try {
    action();
  } catch (error) {
    if (!was) throw error;
  }
  victim.onStep = undefined;
  expect(was, "that it has come to that").toBe(true);
}

/** Has somebody say that a worker is dead, and no more. */
function hear(scene: Scene, says: Victim, dead: Victim): void {
  const found = seenOf(scene, dead);
  until(
    says,
    () => bury(says.core, found),
    () => scene.core.workerIn(found.worker).state === WORKER_DEAD,
  );
}

function tokenOf({ core }: Victim): number {
  return (core.worker + 1) | (core.workerIn(core.worker).incarnation << INCARNATION_SHIFT);
}

/** The second one dies holding this; its commit is queued. */
const HOLDING = [
  { what: "the turn to write", lock: TURN_WRITE },
  { what: "the turn to sync", lock: TURN_SYNC },
  { what: "the log", lock: LOG },
];

it.each(HOLDING)("who dies with $what is not given up where somebody else hears of it in the middle", ({ lock }) => {
  let heardLate = 0;
  for (let at = 0, more = true; more; at += STRIDE) {
    const scene = new Scene(cores, true);
    const [one, two] = scene.victims;
    const [burier, says] = [new Victim(cores.dying, scene.memory, false), new Victim(cores.dying, scene.memory, false)];
    if (lock === LOG) {
      const isLocked = () => scene.held().includes(`the log by ${two.core.worker}`);
      until(two, () => scene.log?.drain(two.core), isLocked);
    } else {
      expect(two.core.call("turnTake", lock)).toBe(1);
    }
    more = false;
    burier.onStep = (step) => {
      if (step !== at) return;
      more = true;
      hear(scene, says, two);
    };
    const found = seenOf(scene, one);
    burier.run(() => bury(burier.core, found));
    burier.onStep = undefined;
    if (scene.core.workerIn(two.core.worker).state === WORKER_FREE) heardLate++;
    burier.core.leave();
    for (const dead of [says, one, two]) scene.bury(dead);
    expectNothingLeft(scene);
  }
  expect(heardLate, "the second was cleared up by who had begun with the first").toBeGreaterThan(10);
});

/** Held at the same time: whoever waits for one of them comes to no other set. */
const TAKEN = [
  { what: "the log and its turns", locks: [TURN_WRITE, TURN_SYNC, LOG] },
  { what: "the directory", locks: [DIRECTORY] },
  { what: "the allocator", locks: [ALLOCATOR] },
];
/** As far as locks are taken over before anything else is done. */
const ACCESSES = 450;
/** For so many accesses who clears up goes on beside the holder. */
const MEANWHILE = 40;

it.each(TAKEN)("$what of who has come into the place of the dead is not taken from it", ({ locks }) => {
  let came = 0;
  for (let at = 0; at < ACCESSES; at++) {
    const scene = new Scene(cores, true);
    const [one, two] = scene.victims;
    const burier = new Victim(cores.dying, scene.memory, false);
    hear(scene, two, one);
    const words = new Int32Array(scene.memory.buffer);
    const places = locks.map((lock) => (scene.core.call("lockAddress", lock) >>> 0) / 4);
    const found = seenOf(scene, one);
    let lives: Victim | undefined;
    let held: number[] = [];
    const letGo = (): void => {
      if (held.length === 0) held = places.map((place) => Atomics.exchange(words, place, 0));
    };
    burier.onStep = (step) => {
      if (step === at && places.every((place) => Atomics.load(words, place) === 0)) {
        bury(scene.core, found);
        if (scene.core.workerIn(found.worker).state !== WORKER_FREE) return;
        lives = new Victim(cores.dying, scene.memory, false);
        expect(lives.core.worker).toBe(found.worker);
        for (const place of places) Atomics.store(words, place, tokenOf(lives));
      }
      if (lives !== undefined && step >= at + MEANWHILE) letGo();
    };
    burier.run(() => bury(burier.core, found));
    burier.onStep = undefined;
    if (lives === undefined) continue;
    letGo();
    const token = tokenOf(lives);
    for (const word of held) expect(word & ~FLAGS, `who holds it, at access ${at}`).toBe(token);
    expect(scene.core.workerIn(lives.core.worker).state).toBe(WORKER_ATTACHED);
    came++;
  }
  expect(came).toBeGreaterThan(50);
});

/** Writes and syncs what is queued, unless somebody is in the middle of the log. */
function drainIfFree(scene: Scene): void {
  try {
    scene.log?.drain(scene.core);
  } catch (error) {
    if (!HoldfastError.is(error, "BUSY")) throw error;
  }
}

it("a run whose deletion is published while somebody clears up in it is deleted, and its header good for another", () => {
  let published = 0;
  for (let at = 0, more = true; more; at++) {
    const scene = new Scene(cores, true);
    scene.log?.drain(scene.core);
    const [one] = scene.victims;
    const burier = new Victim(cores.dying, scene.memory, false);
    const run = one.runOf("c");
    // Its deletion is placed and whole, and it has yet to give the run back.
    let wasInLog = false;
    const isPlaced = (): boolean => {
      const isInLog = scene.held().includes(`the log by ${one.core.worker}`);
      wasInLog ||= isInLog;
      return wasInLog && !isInLog;
    };
    until(one, () => one.core.deleteRun(run, STRICT), isPlaced);
    more = false;
    let left = at;
    burier.onStep = () => {
      if (!scene.held().includes(`a run by ${burier.core.worker}`) || left-- !== 0) return;
      more = true;
      drainIfFree(scene);
      if (scene.core.unpublished === 0) published++;
    };
    const found = seenOf(scene, one);
    burier.run(() => bury(burier.core, found));
    burier.onStep = undefined;
    burier.core.leave();
    for (const victim of scene.victims) expect(scene.bury(victim)).toBe(true);
    expectNothingLeft(scene);
    expect(scene.core.call("runGeneration", run.pointer) % 2, `its generation, at access ${at}`).toBe(0);
  }
  expect(published).toBeGreaterThan(2);
});

/** A run that a worker has died in while a strict commit of another one waits for the log. */
class Waiting {
  readonly memory = newMemory();
  readonly core: Core;
  readonly log = new Log();
  readonly run: RunHandle;
  readonly version: number;
  readonly dead: Victim;

  constructor() {
    this.core = makeCore(cores, this.memory, CAPABILITIES).core;
    const before = new Victim(cores.dying, this.memory);
    expect(before.put(before.runOf("x"), "k", "before", STRICT)).toBeGreaterThan(0);
    this.log.drain(this.core);
    this.run = before.runOf("x");
    this.version = before.put(this.run, "k", "it waits", STRICT);
    this.dead = new Victim(cores.dying, this.memory);
    const sequence = new Uint32Array(this.memory.buffer, this.run.pointer, 1);
    const isOdd = () => (sequence[0] as number) % 2 === 1;
    until(this.dead, () => this.dead.put(this.dead.runOf("x"), "k", "by the dead", STRICT), isOdd);
  }

  bury(victim: Victim): void {
    const { worker } = victim.core;
    expect(buryWorker(this.core, worker, this.core.workerIn(worker))).toBe(true);
  }

  expectPublishedOnceSynced(when: string): void {
    expect(this.core.isPublished(this.run, this.version), `published, ${when}`).toBe(false);
    this.log.drain(this.core);
    expect(this.core.isPublished(this.run, this.version), `published when it is synced, ${when}`).toBe(true);
    expect(this.core.verify()).toBe(0);
  }
}

it("a commit that waits in a run which two have died in is published when it is synced, and not before", () => {
  let deaths = 0;
  for (let at = 0; ; at += 7) {
    const scene = new Waiting();
    scene.bury(scene.dead);
    const two = new Victim(cores.dying, scene.memory);
    const banish = (): number => two.core.banishRun(encodeName("x", 256, "The run id", two.core), STRICT);
    if (!two.run(banish, at)) break;
    deaths++;
    scene.bury(two);
    scene.expectPublishedOnceSynced(`where the second died at ${at}`);
  }
  expect(deaths).toBeGreaterThan(10);
});

it("the same where who clears up dies of it", () => {
  let deaths = 0;
  for (let at = 0, more = true; more; at++) {
    const scene = new Waiting();
    const burier = new Victim(cores.dying, scene.memory);
    const seen = scene.core.workerIn(scene.dead.core.worker);
    const lock = scene.core.call("lockAddress", 5) >>> 0;
    const words = new Uint32Array(scene.memory.buffer);
    let left = at;
    more = false;
    burier.onStep = () => {
      if (((words[lock / 4] as number) & 0xff) !== burier.core.worker + 1 || left-- !== 0) return;
      more = true;
      throw STOP;
    };
    try {
      buryWorker(burier.core, scene.dead.core.worker, seen);
    } catch (error) {
      if (!more) throw error;
    }
    burier.onStep = undefined;
    if (!more) break;
    deaths++;
    scene.bury(burier);
    scene.expectPublishedOnceSynced(`where who clears up died at ${at}`);
  }
  expect(deaths).toBeGreaterThan(5);
});
