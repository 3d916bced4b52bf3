// How a measurement is taken.
//
// Keeps true:
// - Every subject takes part in every round, and the order of subjects rotates from round to round, so that a slow minute of
//   the machine or a place after an expensive neighbour is shared out among all.
// - Input is made, and rubbish collected, outside of the time that is taken.
// - Each pass returns something that depends on all of its operations, and that is compared with what is right: nothing can
//   be optimised away, and a subject that is fast because it is wrong is found out.
// - Where nothing waits for a disk or for another thread (`computes`), a synchronous pass has taken what the clock says or what the
//   process was on a core for, whichever is less: on a busy machine it waits for a core, and that is not the subject's doing.
// - A subject that fails is reported with its reason and leaves the measurement; the others go on.

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { median, spread } from "./statistics.mjs";

setFlagsFromString("--expose-gc");
export const collectGarbage = runInNewContext("gc");

/**
 * Starts timing something; the function that ends it says how many milliseconds it took. With `computes` that is what the process was
 * on a core for, where that is less.
 */
export function startTimer({ computes = false } = {}) {
  const onCore = process.cpuUsage();
  const start = performance.now();
  return () => {
    const ms = performance.now() - start;
    if (!computes) return ms;
    const { user, system } = process.cpuUsage(onCore);
    return Math.min(ms, (user + system) / 1000);
  };
}

/**
 * A turn times one or more subjects in a round and returns nanoseconds per operation for each.
 * `alone` is for subjects whose pass is one loop; `inTurn` for subjects that alternate operation by operation.
 *
 * A subject is `{ name, note?, isHoldfast?, operations, pass(input), settle?(), read?(key), makeInput? }`; where subjects do
 * different things, each brings its own `makeInput`.
 */
export function alone(subject, { computes = false } = {}) {
  return {
    subjects: [subject],
    async time(makeInput, round) {
      const input = await (subject.makeInput ?? makeInput)(round, subject.operations);
      collectGarbage();
      const clock = startTimer();
      const core = startTimer({ computes });
      let result = subject.pass(input);
      // Awaiting a number would add a turn of the event loop to the synchronous subjects.
      const isAwaited = result instanceof Promise;
      if (isAwaited) result = await result;
      const taken = isAwaited ? clock() : core();
      await check(subject, input, result);
      return [(taken * 1e6) / input.count];
    },
  };
}

/**
 * Subjects whose operations alternate one by one, each timed by itself. What the disk does meanwhile meets all of them alike,
 * and the round's figure is the median operation, because a journal that commits now and then hits anyone.
 */
export function inTurn(subjects) {
  return {
    subjects,
    async time(makeInput, round) {
      const input = makeInput(round, subjects[0].operations);
      const times = subjects.map(() => new Float64Array(input.count));
      collectGarbage();
      for (let i = 0; i < input.count; i++) {
        for (let place = 0; place < subjects.length; place++) {
          const which = (place + i) % subjects.length;
          const start = performance.now();
          subjects[which].one(input.keys[i], input.values[i]);
          times[which][i] = (performance.now() - start) * 1e6;
        }
      }
      for (const subject of subjects) await check(subject, input, input.count);
      return times.map((each) => median(each));
    },
  };
}

async function check(subject, input, result) {
  await subject.settle?.();
  if (result !== input.expected) {
    throw new Error(`gave ${result} where ${input.expected} is right`);
  }
  if (subject.read !== undefined) {
    const last = input.count - 1;
    const found = await subject.read(input.keys[last]);
    if (found !== input.values[last]) {
      throw new Error(`holds ${found} under ${input.keys[last]} where ${input.values[last]} was put`);
    }
  }
}

/** Runs all rounds. Returns a row per subject, in the order given. */
export async function measureInRounds({ turns, makeInput, rounds, warmUps, progress }) {
  const rows = new Map();
  for (const { subjects } of turns) {
    for (const subject of subjects) rows.set(subject, { ...labels(subject), perRound: [], failure: undefined });
  }

  let standing = [...turns];
  for (let round = 0; round < warmUps + rounds; round++) {
    const isWarmUp = round < warmUps;
    progress(isWarmUp ? `warm-up ${round + 1} of ${warmUps}` : `round ${round - warmUps + 1} of ${rounds}`);
    for (let place = 0; place < turns.length; place++) {
      const turn = turns[(place + round) % turns.length];
      if (!standing.includes(turn)) continue;
      try {
        const figures = await turn.time(makeInput, round);
        if (isWarmUp) continue;
        for (const [at, subject] of turn.subjects.entries()) rows.get(subject).perRound.push(figures[at]);
      } catch (error) {
        for (const subject of turn.subjects) rows.get(subject).failure = String(error?.message ?? error);
        standing = standing.filter((other) => other !== turn);
      }
    }
  }
  return [...rows.values()].map((row) => (row.failure === undefined ? { ...row, ns: spread(row.perRound) } : row));
}

function labels({ name, note, isHoldfast = false, operations }) {
  return { name, note, isHoldfast, operations };
}
