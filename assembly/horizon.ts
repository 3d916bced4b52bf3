/**
 * The horizon: up to where everything is published, and where snapshots can still come to stand.
 *
 * With a log the horizon is told by its queue. In memory only, between workers, who commits announces a bound before it takes a
 * version, and takes it back once that can be seen (COMMIT 14): the horizon is the version counter, or what stands before the lowest
 * bound.
 *
 * A worker that loses its core in a commit holds the horizon until it has one again, and meanwhile the others write on. So pruning
 * does not end there. What stands before a bound is a point, and a horizon that is read from now on is one of the points, or the
 * counter as it is now or above: a record whose successor is no newer than the counter can go if neither a point nor a held snapshot
 * stands between the two.
 *
 * A bound is announced as unsure, and then made sure from the counter as it is after that, by whose it is or by whoever comes upon
 * it: so a bound that is announced after a pruner has looked stands above the counter that it had read before. How those
 * who prune and those who come to hold a version keep out of each other's way stands in acquire.ts.
 */
import { add64, load32, load64, replace64, store64 } from "./atomics";
import { CAPABILITY_LOG, WORKERS_MAX } from "./constants";
import { Superblock, superblock } from "./superblock";
import { Worker, worker, workerAt } from "./workers";

const SHARED: bool = ASC_FEATURE_THREADS;

export const POINTS_BYTES: u32 = WORKERS_MAX * 8;

/** The lowest bit of a bound that is not sure; above it then stands how many were announced in its slot, so that no two are equal. */
const UNSURE: u64 = 1;

function counterAddress(): usize {
  return changetype<usize>(superblock()) + offsetof<Superblock>("version");
}

function floorAddress(): usize {
  return changetype<usize>(superblock()) + offsetof<Superblock>("floor");
}

function boundAddress(whose: Worker): usize {
  return changetype<usize>(whose) + offsetof<Worker>("bound");
}

/** One more than the highest worker slot that was ever attached. */
export function workersHigh(): u32 {
  return load32(changetype<usize>(superblock()) + offsetof<Superblock>("workersHigh"));
}

/** Announces that this worker is about to take a version: nothing from the bound on counts as published until it is done. */
export function workerBegin(): void {
  if (!SHARED) return;
  const mine = worker();
  mine.announced++;
  const unsure = (mine.announced << 1) | UNSURE;
  store64(boundAddress(mine), unsure);
  boundMakeSure(mine, unsure);
}

/** Ends what workerBegin announced, after the run's visible version has moved. */
export function workerEnd(): void {
  if (SHARED) store64(boundAddress(worker()), 0);
}

/** Takes the next version. Under the log lock where there is a log. */
export function nextVersion(): u64 {
  return add64(counterAddress(), 1) + 1;
}

/** Its worker takes no version before this is done, by whomever: so the bound is not above that version. */
function boundMakeSure(whose: Worker, unsure: u64): void {
  const counter = load64(counterAddress());
  replace64(boundAddress(whose), unsure, (counter + 1) << 1);
}

/** The bound of a worker, 0 where there is none. */
function boundOf(whose: Worker): u64 {
  let word = load64(boundAddress(whose));
  for (; (word & UNSURE) != 0; word = load64(boundAddress(whose))) boundMakeSure(whose, word);
  return word >> 1;
}

/**
 * D: everything at or below it is published, in every run. With a log that is where the first unpublished commit of the
 * queue stands; in memory only, it is told by what the workers are committing (COMMIT 14).
 */
export function publishedHorizon(): u64 {
  const sb = superblock();
  const counter = load64(counterAddress());
  if (sb.capabilities & CAPABILITY_LOG) {
    const first = load64(changetype<usize>(sb) + offsetof<Superblock>("unpublishedFrom"));
    return min(counter, first - 1);
  }
  if (!SHARED) return counter;
  let horizon = counter;
  for (let index: u32 = 0; index < workersHigh(); index++) {
    const bound = boundOf(workerAt(index));
    if (bound != 0) horizon = min(horizon, bound - 1);
  }
  return horizon;
}

// What a pruner goes by. Each instance's own.

let points: usize = 0;
let pointCount: u32 = 0;
let surveyed: u64 = 0;

/** Says where this instance can keep POINTS_BYTES. */
export function pointsKeepAt(address: usize): void {
  points = address;
}

/** The horizon, with the points, for a pruner between workers, who goes by the counter: the floor is raised to that. In memory only. */
export function surveyHorizon(): u64 {
  surveyed = load64(counterAddress());
  raiseFloor(surveyed);
  pointCount = 0;
  for (let index: u32 = 0; index < workersHigh(); index++) {
    const bound = boundOf(workerAt(index));
    if (bound != 0 && bound <= surveyed) pointAdd(bound - 1);
  }
  return pointCount == 0 ? surveyed : load<u64>(points);
}

/** The counter as surveyHorizon has read it. */
export function surveyedCounter(): u64 {
  return surveyed;
}

/** Adds a point to those that stand in order. */
function pointAdd(point: u64): void {
  let at = points + ((pointCount as usize) << 3);
  for (; at > points && load<u64>(at - 8) > point; at -= 8) store<u64>(at, load<u64>(at - 8));
  store<u64>(at, point);
  pointCount++;
}

/** Whether a point stands in [from, to). */
export function pointBetween(from: u64, to: u64): bool {
  for (let at = points + ((pointCount as usize) << 3); at > points; at -= 8) {
    const point = load<u64>(at - 8);
    if (point < to) return point >= from;
  }
  return false;
}

/** Raises the floor to what a pruner goes by: before it looks at what is held. */
export function raiseFloor(version: u64): void {
  for (;;) {
    const floor = load64(floorAddress());
    if (floor >= version || replace64(floorAddress(), floor, version)) return;
  }
}

/** Whether a pruner goes, or went, by something newer than `version`. */
export function floorHasPassed(version: u64): bool {
  return load64(floorAddress()) > version;
}

/** Whether a version is what stands before a bound that is announced. With a log no bound means anything. */
export function isPoint(version: u64): bool {
  if (superblock().capabilities & CAPABILITY_LOG) return false;
  for (let index: u32 = 0; index < workersHigh(); index++) {
    if (boundOf(workerAt(index)) == version + 1) return true;
  }
  return false;
}
