// The longest pauses: of a put, and of the event loop, while a million new keys are written, and while a checkpoint or a snapshot
// of them is made.
//
// Keeps true: whoever writes gives way to the event loop after every WRITES_PER_TURN puts; a gap is between two of its turns,
// those puts included. While a checkpoint is made every turn writes one key. All write the same keys, in rounds whose order
// rotates, each into a store of its own; in the end the number of entries is right, and the last one is there.

import { collectGarbage } from "../measure.mjs";
import { spread } from "../statistics.mjs";
import { PAUSED } from "../work/pause-writers.mjs";
import { makeKeys, makeValues } from "../workload.mjs";

const KEYS = 1_000_000;
const KEYS_QUICK = 100_000;
const ROUNDS = 2;
const ROUNDS_QUICK = 1;
const WRITES_PER_TURN = 100;
const NS_PER_MS = 1e6;

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** The longest put and the longest gap between turns, in milliseconds, while all keys are written. */
async function write({ put }, keys, values) {
  let longestPut = 0;
  let longestGap = 0;
  collectGarbage();
  let last = performance.now();
  for (let from = 0; from < keys.length; from += WRITES_PER_TURN) {
    for (let i = from; i < from + WRITES_PER_TURN; i++) {
      const start = performance.now();
      put(keys[i], values[i]);
      const took = performance.now() - start;
      if (took > longestPut) longestPut = took;
    }
    await turn();
    const now = performance.now();
    if (now - last > longestGap) longestGap = now - last;
    last = now;
  }
  return { longestPut, longestGap };
}

/** The longest gap between turns while `work` goes on, with a put in each, and how long it took. */
async function during(work, { put }, keys, values) {
  let isDone = false;
  let longestGap = 0;
  let puts = 0;
  collectGarbage();
  const start = performance.now();
  const done = Promise.resolve(work()).finally(() => {
    isDone = true;
  });
  let last = start;
  do {
    await turn();
    const now = performance.now();
    if (now - last > longestGap) longestGap = now - last;
    last = now;
    put(keys[puts % keys.length], values[puts % keys.length]);
    puts++;
  } while (!isDone);
  await done;
  return { longestGap, took: performance.now() - start };
}

async function measureOne({ open }, scratch, keys, values) {
  const store = await open(scratch);
  try {
    const written = await write(store, keys, values);
    const compacted = store.compact === undefined ? undefined : await during(store.compact, store, keys, values);
    const last = keys.length - 1;
    if (store.count() !== keys.length) throw new Error(`holds ${store.count()} entries where ${keys.length} are right`);
    if (store.read(keys[last]) !== values[last]) throw new Error(`does not hold ${values[last]} under ${keys[last]}`);
    return { written, compacted };
  } finally {
    await store.close();
  }
}

export async function prepare({ scratch, quick, rounds: asked }) {
  const count = quick ? KEYS_QUICK : KEYS;
  const rounds = asked ?? (quick ? ROUNDS_QUICK : ROUNDS);
  const keys = makeKeys(count);
  const values = makeValues(count, 0);

  const measure = async (progress) => {
    const found = new Map(PAUSED.map((writer) => [writer, []]));
    const failures = new Map();
    for (let round = 0; round < rounds; round++) {
      for (let place = 0; place < PAUSED.length; place++) {
        const writer = PAUSED[(place + round) % PAUSED.length];
        if (failures.has(writer)) continue;
        progress(`${writer.name}, round ${round + 1} of ${rounds}`);
        try {
          found.get(writer).push(await measureOne(writer, scratch, keys, values));
        } catch (error) {
          failures.set(writer, String(error?.message ?? error));
        }
      }
    }
    const failed = PAUSED.filter((writer) => failures.has(writer));
    return [
      ...failed.map((writer) => ({ name: writer.name, isHoldfast: writer.isHoldfast, failure: failures.get(writer) })),
      ...rowsOf(
        found,
        PAUSED.filter((writer) => !failures.has(writer)),
        count,
      ),
    ];
  };
  return { measure, rounds };
}

/** By what is looked at, so that each stands below the Holdfast that promises the same. */
function rowsOf(found, writers, count) {
  const row = (writer, what, ofPass, note) => {
    const perRound = found.get(writer).map((pass) => ofPass(pass) * NS_PER_MS);
    const { name, isHoldfast = false } = writer;
    return { name: `${name}, ${what}`, note, isHoldfast, perRound, ns: spread(perRound) };
  };
  const keys = `${count.toLocaleString("en")} keys`;
  const compacting = writers.filter((writer) => writer.compacting !== undefined);
  return [
    ...writers.map((writer) => {
      const note = writer.note === undefined ? keys : `${keys}; ${writer.note}`;
      return row(writer, "longest put", ({ written }) => written.longestPut, note);
    }),
    ...writers.map((writer) => row(writer, "longest gap", ({ written }) => written.longestGap)),
    ...compacting.map((writer) =>
      row(writer, `longest gap in ${writer.compacting}`, ({ compacted }) => compacted.longestGap),
    ),
    ...compacting.map((writer) => row(writer, `${writer.compacting} as a whole`, ({ compacted }) => compacted.took)),
  ];
}
