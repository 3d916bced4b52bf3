// How far the slowest puts are from the others: over 100,000 existing keys in shuffled order, and while one run grows from
// nothing to a million keys.
//
// Keeps true: each operation is timed by itself, and what reading the clock costs (the median of reading it with nothing in
// between, in the same round) is taken off each; what the machine does meanwhile is not taken off, but shown: it is what the
// clock alone meets.

import { collectGarbage } from "../measure.mjs";
import { percentileOf, percentilesOf, spread } from "../statistics.mjs";
import { openSqlite } from "../subjects/better-sqlite3.mjs";
import { openHoldfast } from "../subjects/holdfast.mjs";
import { openCore } from "../subjects/holdfast-layers.mjs";
import { openMap } from "../subjects/map.mjs";
import { makeKeys, makeValues, pick, shuffledIndices } from "../workload.mjs";

const ENTRIES = 100_000;
const OPERATIONS = 100_000;
const OPERATIONS_QUICK = 20_000;
const ROUNDS = 11;
const ROUNDS_QUICK = 3;
const WARM_UPS = 2;

const GROWN_KEYS = 1_000_000;
const GROWN_KEYS_QUICK = 200_000;
const GROWN_ROUNDS = 3;
const GROWN_ROUNDS_QUICK = 1;

/** Half of what is above a p99.99. */
const SWITCHES_SHARE_MAX = 0.5 / 10_000;

const CLOCK = "the clock alone";

/** Loops of their own, so that no call site is shared. */
const timers = {
  holdfast({ put }, { keys, values }, times) {
    for (let i = 0; i < times.length; i++) {
      const start = performance.now();
      put(keys[i], values[i]);
      times[i] = performance.now() - start;
    }
  },
  map({ put }, { keys, values }, times) {
    for (let i = 0; i < times.length; i++) {
      const start = performance.now();
      put(keys[i], values[i]);
      times[i] = performance.now() - start;
    }
  },
  sqlite({ put }, { keys, values }, times) {
    for (let i = 0; i < times.length; i++) {
      const start = performance.now();
      put(keys[i], values[i]);
      times[i] = performance.now() - start;
    }
  },
  clock(_store, _input, times) {
    for (let i = 0; i < times.length; i++) {
      const start = performance.now();
      times[i] = performance.now() - start;
    }
  },
};

function inNanoseconds(times, overhead) {
  return times.map((time) => Math.max(0, time * 1e6 - overhead)).sort();
}

/** Whether so many puts were held up by whoever had the core instead that they decide a p99.99, and not the store; in words. */
function disturbedIn(passes) {
  const share = Math.min(...passes.map(({ switchesShare }) => switchesShare));
  if (share < SWITCHES_SHARE_MAX) return undefined;
  return `it was taken off its core ${(share * 10_000).toFixed(1)} times in 10,000 puts, by other work`;
}

/** What one pass says, and that the store holds what was put last. */
function timePass(kind, store, input, count, overhead) {
  const times = new Float64Array(count);
  collectGarbage();
  const switchesBefore = process.resourceUsage().involuntaryContextSwitches;
  timers[kind](store, input, times);
  const switches = process.resourceUsage().involuntaryContextSwitches - switchesBefore;
  const last = count - 1;
  const found = store?.read(input.keys[last]);
  if (store !== undefined && found !== input.values[last]) {
    throw new Error(`holds ${found} under ${input.keys[last]} where ${input.values[last]} was put`);
  }
  const sorted = inNanoseconds(times, overhead);
  let total = 0;
  for (const time of sorted) total += time;
  return {
    mean: total / count,
    median: percentileOf(sorted, 0.5),
    p99: percentileOf(sorted, 0.99),
    p9999: percentileOf(sorted, 0.9999),
    longest: sorted[last],
    sorted,
    switchesShare: switches / count,
  };
}

const toRow = (name, passes, read, more = {}) => {
  const perRound = passes.map(read);
  return { name, perRound, ns: spread(perRound), ...more };
};
/** The mean, and the whole distribution with it: what a plot of it is made of. */
const toMeanRow = (name, passes, more) =>
  toRow(`${name}, mean`, passes, ({ mean }) => mean, {
    distribution: { of: name, ...percentilesOf(passes.map(({ sorted }) => sorted)) },
    ...more,
  });
const toRatioRow = (name, passes) => {
  const perRound = passes.map(({ p99, mean }) => p99 / mean);
  return { name, unit: "×", perRound, figure: spread(perRound) };
};

export async function prepare({ quick, rounds: wanted, opened }) {
  const all = makeKeys(ENTRIES);
  const count = quick ? OPERATIONS_QUICK : OPERATIONS;
  const rounds = wanted ?? (quick ? ROUNDS_QUICK : ROUNDS);
  const stores = {
    holdfast: await opened("Holdfast", () => openHoldfast({ durability: "in-memory" })),
    map: await opened("Map", openMap),
    sqlite: await opened("better-sqlite3", () => openSqlite({})),
  };
  for (const store of Object.values(stores)) store?.load(all, makeValues(ENTRIES, 0));
  const kinds = Object.keys(stores).filter((kind) => stores[kind] !== undefined);

  const measure = async (progress) => {
    const passes = { clock: [], holdfast: [], map: [], sqlite: [] };
    for (let round = 0; round < WARM_UPS + rounds; round++) {
      progress(`round ${round + 1} of ${WARM_UPS + rounds}, warm-up included`);
      const input = { keys: pick(all, shuffledIndices(ENTRIES, round)), values: makeValues(ENTRIES, round + 1) };
      const clock = timePass("clock", undefined, input, count, 0);
      if (round >= WARM_UPS) passes.clock.push(clock);
      for (let place = 0; place < kinds.length; place++) {
        const kind = kinds[(place + round) % kinds.length];
        const pass = timePass(kind, stores[kind], input, count, clock.median);
        if (round >= WARM_UPS) passes[kind].push(pass);
      }
    }
    const ratios = { holdfast: "Holdfast kv.put", map: "Map.set", sqlite: "better-sqlite3 :memory:" };
    return [
      ...(stores.holdfast === undefined
        ? []
        : [
            toMeanRow("Holdfast kv.put", passes.holdfast),
            toRow("Holdfast kv.put, median", passes.holdfast, ({ median }) => median),
            toRow("Holdfast kv.put, p99", passes.holdfast, ({ p99 }) => p99),
          ]),
      ...kinds.filter((kind) => kind !== "holdfast").map((kind) => toMeanRow(ratios[kind], passes[kind])),
      ...kinds.map((kind) => toRatioRow(`${ratios[kind]}, p99 ÷ mean`, passes[kind])),
      toRow(`${CLOCK}, p99`, passes.clock, ({ p99 }) => p99, { note: "its median is taken off each time above" }),
    ];
  };
  return { measure, rounds };
}

/** A new run in every round: what is put is never there yet. */
export async function prepareGrowth({ quick, rounds: wanted, opened }) {
  const count = quick ? GROWN_KEYS_QUICK : GROWN_KEYS;
  const rounds = wanted ?? (quick ? GROWN_ROUNDS_QUICK : GROWN_ROUNDS);
  const input = { keys: makeKeys(count), values: makeValues(count, 0) };
  const openers = { holdfast: () => openHoldfast({ durability: "in-memory" }), map: openMap };

  const measure = async (progress) => {
    const passes = { clock: [], holdfast: [], map: [] };
    // So that the first round does not meet loops that were never optimised.
    for (const kind of Object.keys(openers)) await growOnce(kind, openers[kind], input, ENTRIES, 0);
    for (let round = 0; round < rounds; round++) {
      progress(`round ${round + 1} of ${rounds}`);
      const clock = timePass("clock", undefined, input, count, 0);
      passes.clock.push(clock);
      for (const kind of round % 2 === 0 ? ["holdfast", "map"] : ["map", "holdfast"]) {
        passes[kind].push(await growOnce(kind, openers[kind], input, count, clock.median));
      }
    }
    progress("counting what each put moves");
    const core = await opened("the core", openCore);
    core?.load(input.keys, input.values);
    const moved = core?.movedMax();
    const note = count === GROWN_KEYS ? undefined : `from 0 to ${count.toLocaleString("en")} keys`;
    return [
      toMeanRow("Holdfast kv.put", passes.holdfast, { note }),
      toRow("Holdfast kv.put, p99", passes.holdfast, ({ p99 }) => p99),
      toRow("Holdfast kv.put, p99.99", passes.holdfast, ({ p9999 }) => p9999, {
        disturbed: disturbedIn(passes.holdfast),
      }),
      toRow("Holdfast kv.put, longest", passes.holdfast, ({ longest }) => longest),
      ...(moved === undefined
        ? []
        : [
            {
              name: "entries moved by one put, most",
              unit: "entries",
              note: "counted in the core",
              figure: spread([moved]),
            },
          ]),
      toMeanRow("Map.set", passes.map),
      toRow("Map.set, p99.99", passes.map, ({ p9999 }) => p9999),
      toRow("Map.set, longest", passes.map, ({ longest }) => longest),
      toRow(`${CLOCK}, p99.99`, passes.clock, ({ p9999 }) => p9999),
      toRow(`${CLOCK}, longest`, passes.clock, ({ longest }) => longest, { note: "what the machine does meanwhile" }),
    ];
  };
  return { measure, rounds };
}

/** A store of its own, which is not kept until the measurement ends: a million keys each time would be. */
async function growOnce(kind, open, input, count, overhead) {
  const store = await open();
  try {
    return timePass(kind, store, input, count, overhead);
  } finally {
    await store.close();
  }
}
