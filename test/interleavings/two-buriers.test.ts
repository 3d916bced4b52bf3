/**
 * Two clear up at the same time, each behind one of two that are dead: what the one hears of in the middle is cleared up as whole as
 * what it began with, and nothing is taken from who has come into a place that was given back meanwhile.
 */
import { readFileSync } from "node:fs";
import { beforeAll, expect, it } from "vitest";
import { WORKER_ATTACHED, WORKER_DEAD, WORKER_FREE } from "../../src/host/abi.js";
import type { Core, WorkerSlot } from "../../src/host/core.js";
import { buryWorker } from "../../src/host/core-workers.js";
import { HoldfastError } from "../../src/index.js";
import { everyAccessModule, Victim } from "../support/victim.js";
import type { Cores } from "./log-deaths.js";
import { expectNothingLeft, Scene } from "./two-deaths.js";

/** Parts of a lock word, as assembly/workers.ts has them. */
const FLAGS = 0x300;
const INCARNATION_SHIFT = 10;
const [TURN_WRITE, TURN_SYNC, DIRECTORY, ALLOCATOR, LOG] = [0, 1, 2, 3, 4];
/** One of so many accesses is tried. */
const STRIDE = 29;

let cores: Cores;

beforeAll(async () => {
  const whole = await WebAssembly.compile(readFileSync("build/shared-debug.wasm"));
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
