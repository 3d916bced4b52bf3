/**
 * The words over which the workers of an interleaving agree who goes on: one of them at a time has the baton, and before each
 * access to what they share it asks here who is to have it next.
 *
 *   0 … HEAD       the run: how it is scheduled, how far it is, what went wrong
 *   then           a line of LANE words for each worker: its baton, its state, its steps
 *   then           POINTS words: where priorities change, or where a worker is preempted and by whom
 *
 * What it keeps true: every choice follows from these words alone, and only who has the baton changes them; so a run is
 * repeated by its seed, and nobody need send a message. A worker that looks at one word again and again waits for somebody:
 * it has to let others go on, under every policy.
 */
export const WORKERS_MAX = 4;

/** How the next worker is chosen. */
export const POLICY = { random: 0, priorities: 1, bursts: 2, bounded: 3, turns: 4 };
export const STATE = { idle: 0, ready: 1, ended: 2, killed: 3 };
/** What ends a run before its workers have ended. */
export const FAULT = { none: 0, budget: 1, trap: 2 };

const HEAD = {
  ended: 1,
  count: 2,
  step: 3,
  budget: 4,
  fault: 5,
  policy: 6,
  random: 7,
  /** Of 1024 steps, after how many somebody else is chosen; or how long a burst is at the most. */
  rate: 8,
  burst: 9,
  point: 10,
  points: 11,
  killed: 12,
  killAt: 13,
  lowest: 14,
  preemptions: 15,
  /** Folds in who had each step, so that a replay can be told from another run. */
  trace: 16,
  /** Steps at one word after which others have their turn. */
  patience: 17,
  alsoKilled: 18,
  alsoKillAt: 19,
  /** Which of the cores and memories that the workers were told of is meant. */
  ground: 20,
  length: 32,
};
const LANE = { baton: 0, state: 1, steps: 2, word: 3, same: 4, priority: 5, round: 6, rest: 7, length: 16 };
const POINTS_MAX = 64;
/** The patience of whoever is not asked to have more: looks at a word that has not changed are of no use. */
export const PATIENCE = 6;

export const HEAD_WORDS = HEAD;
export const LANE_WORDS = LANE;
export const POINTS_AT = HEAD.length + WORKERS_MAX * LANE.length;
export const CONTROL_WORDS = POINTS_AT + 2 * POINTS_MAX;

/** What a worker that is killed, or whose run is over, is unwound by. */
export class Unwound extends Error {}

export function laneAt(worker) {
  return HEAD.length + worker * LANE.length;
}

/** A number below a bound, from the run's seed (xorshift). */
export function chance(words, below) {
  let x = words[HEAD.random] | 0;
  x ^= x << 13;
  x ^= x >>> 17;
  x ^= x << 5;
  words[HEAD.random] = x;
  return (x >>> 0) % below;
}

/** Steps for which one that waits is not chosen, as long as there are others: as one that sleeps. */
const REST = 40;

function isReady(words, worker) {
  return words[laneAt(worker) + LANE.state] === STATE.ready;
}

function isRested(words, worker) {
  return isReady(words, worker) && words[laneAt(worker) + LANE.rest] <= words[HEAD.step];
}

/** Those that can go on, from one on in turn; those that wait for others only where there is nobody else. */
function readyFrom(words, from) {
  const count = words[HEAD.count];
  const inTurn = Array.from({ length: count }, (_, i) => (from + i) % count);
  const rested = inTurn.filter((worker) => isRested(words, worker));
  return rested.length > 0 ? rested : inTurn.filter((worker) => isReady(words, worker));
}

function highest(words) {
  const priority = (worker) => words[laneAt(worker) + LANE.priority];
  return readyFrom(words, 0).reduce(
    (best, worker) => (best < 0 || priority(worker) > priority(best) ? worker : best),
    -1,
  );
}

/** Who has the baton next; −1 if nobody is ready. `waits`: the one that had it cannot get on. */
export function choose(words, had, waits) {
  if (waits) words[laneAt(had) + LANE.rest] = words[HEAD.step] + REST;
  const others = () => {
    const ready = readyFrom(words, had + 1);
    return ready.length === 0 ? -1 : ready[chance(words, ready.length * 101) % ready.length];
  };
  switch (words[HEAD.policy]) {
    case POLICY.priorities: {
      const isPoint =
        words[HEAD.point] < words[HEAD.points] && words[HEAD.step] >= words[POINTS_AT + words[HEAD.point]];
      if (isPoint) words[HEAD.point]++;
      if (isPoint || waits) words[laneAt(had) + LANE.priority] = --words[HEAD.lowest];
      return isPoint || waits || !isReady(words, had) ? highest(words) : had;
    }
    case POLICY.bounded: {
      const at = POINTS_AT + 2 * words[HEAD.point];
      if (words[HEAD.point] < words[HEAD.points] && words[HEAD.step] >= words[at]) {
        words[HEAD.point]++;
        if (words[at + 1] !== had && isReady(words, words[at + 1])) return words[at + 1];
      }
      return !waits && isReady(words, had) ? had : (readyFrom(words, had + 1)[0] ?? -1);
    }
    case POLICY.turns:
      for (; words[HEAD.point] < words[HEAD.points]; words[HEAD.point]++) {
        const at = POINTS_AT + 2 * words[HEAD.point];
        const [until, worker] = [words[at], words[at + 1]];
        if (isReady(words, worker) && words[laneAt(worker) + LANE.steps] < until && !(waits && worker === had))
          return worker;
      }
      return !waits && isReady(words, had) ? had : (readyFrom(words, had + 1)[0] ?? -1);
    case POLICY.bursts:
      if (!waits && isReady(words, had) && words[HEAD.burst]-- > 0) return had;
      words[HEAD.burst] = chance(words, words[HEAD.rate]);
      return others();
    default:
      if (!waits && isReady(words, had) && chance(words, 1024) >= words[HEAD.rate]) return had;
      return others();
  }
}

/** One step of the worker that has the baton. Returns when it may go on; throws where it is killed, or the run is over. */
export function takeStep(words, worker, word) {
  const lane = laneAt(worker);
  words[HEAD.step]++;
  words[lane + LANE.steps]++;
  words[HEAD.trace] = Math.imul(words[HEAD.trace], 31) + worker + 1;
  const steps = words[lane + LANE.steps];
  const isFirst = words[HEAD.killed] === worker && words[HEAD.killAt] === steps;
  if (isFirst || (words[HEAD.alsoKilled] === worker && words[HEAD.alsoKillAt] === steps)) {
    words[lane + LANE.state] = STATE.killed;
    throw new Unwound("killed");
  }
  if (words[HEAD.step] > words[HEAD.budget]) {
    words[HEAD.fault] = FAULT.budget;
    throw new Unwound("over");
  }
  const same = words[lane + LANE.word] === word ? words[lane + LANE.same] + 1 : 0;
  words[lane + LANE.word] = word;
  const isStuck = same >= words[HEAD.patience];
  words[lane + LANE.same] = isStuck ? 0 : same;
  pass(words, worker, choose(words, worker, isStuck));
}

/** Lets others go on until the run has changed: for one that waits for what only they can do. */
export function giveWay(words, worker) {
  words[HEAD.step]++;
  if (words[HEAD.step] > words[HEAD.budget]) {
    words[HEAD.fault] = FAULT.budget;
    throw new Unwound("over");
  }
  pass(words, worker, choose(words, worker, true));
}

function pass(words, worker, next) {
  if (next === worker || next < 0) return;
  words[HEAD.preemptions]++;
  hand(words, next);
  await_(words, worker);
}

/** Hands the baton to a worker. */
export function hand(words, worker) {
  Atomics.store(words, laneAt(worker) + LANE.baton, 1);
  Atomics.notify(words, laneAt(worker) + LANE.baton);
}

/** Sleeps until this worker has the baton; throws where the run is over by then. */
export function await_(words, worker) {
  takeBaton(words, worker);
  if (words[HEAD.fault] !== FAULT.none) throw new Unwound("over");
}

export function takeBaton(words, worker) {
  const baton = laneAt(worker) + LANE.baton;
  // Without a spin: the other one has the baton for many steps, or a processor that this one would take from it.
  while (Atomics.load(words, baton) === 0) Atomics.wait(words, baton, 0);
  Atomics.store(words, baton, 0);
}

/** Ends a worker's part of the run, and lets another one go on, or whoever waits for the end. */
export function endPart(words, worker) {
  const lane = laneAt(worker);
  if (words[lane + LANE.state] !== STATE.killed) words[lane + LANE.state] = STATE.ended;
  const next = choose(words, worker, true);
  if (next >= 0) return hand(words, next);
  Atomics.store(words, HEAD.ended, 1);
  Atomics.notify(words, HEAD.ended);
}
