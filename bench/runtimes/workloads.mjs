// What is done to a store, the same on every runtime and for every subject.
//
// Keeps true:
// - No import of a runtime's own. Keys are flat strings of 13 characters, values small records as an agent writes them, made
//   beforehand; all subjects use the same ones in the same order.
// - What a store has to hold stands in `steps`, one number for each key: each operation gives a number that follows from what it
//   read, and after each round `check` looks up what was written.
// - A store offers what it has: a workload whose methods it lacks is not run on it.

import { shuffledIndices } from "../workload.mjs";

const SEED = 7;
const PER_GROUP = 10;
const CHECKED = 50;
const POOL = 1024;
const TOOLS = ["search", "read", "write", "run"];

const record = (step) => ({
  step,
  tool: TOOLS[step % TOOLS.length],
  note: `what came of step ${step}`.padEnd(40, "."),
});

/** A copy whose characters stand in one piece, so that no subject pays for making them so. */
function flat(text) {
  return new TextDecoder().decode(new TextEncoder().encode(text));
}

/** Keys, values and orders of one run of the benchmark. */
export function makeInput(count) {
  const keys = Array.from({ length: count }, (_, i) => flat(`key:${String(i).padStart(9, "0")}`));
  return {
    count,
    keys,
    values: keys.map((_, i) => record(i)),
    fresh: Array.from({ length: POOL }, (_, i) => record(count + i)),
    order: shuffledIndices(count, SEED),
    groups: Array.from({ length: count / PER_GROUP }, (_, i) => keys.slice(i * PER_GROUP, (i + 1) * PER_GROUP)),
    prefixes: Array.from({ length: count / PER_GROUP }, (_, i) => flat(keys[i * PER_GROUP].slice(0, -1))),
  };
}

/** A store with everything loaded into it, and what it has to hold. */
export async function loaded(store, input) {
  await store.load(input.keys, input.values);
  return { store, input, steps: Float64Array.from(input.values, ({ step }) => step), appended: 0 };
}

const stepOf = (value) => value.step;
const sumOf = (values) => {
  let sum = 0;
  for (const value of values) sum += value.step;
  return sum;
};
/** What comes of `found`, at once or later, as the store gives it. */
const then = (found, use) => (found instanceof Promise ? found.then(use) : use(found));
const one = () => 1;

/** A number below the keys, for the `at`-th operation. */
const placeOf = ({ order, count }, at) => order[at % count];

function sumOfGroup({ steps }, group) {
  let sum = 0;
  for (let i = group * PER_GROUP; i < (group + 1) * PER_GROUP; i++) sum += steps[i];
  return sum;
}

/** A workload that reads one group of ten keys that stand beside one another. */
function ofGroups(read) {
  return (loadedStore) => {
    const { input } = loadedStore;
    const groupOf = (at) => placeOf(input, at) % input.groups.length;
    return {
      op: (at) => then(read(loadedStore, groupOf(at)), sumOf),
      right: (at) => sumOfGroup(loadedStore, groupOf(at)),
    };
  };
}

function ofOneKey(read) {
  return ({ store, input, steps }) => ({
    op: (at) => then(read(store, input.keys[placeOf(input, at)]), stepOf),
    right: (at) => steps[placeOf(input, at)],
  });
}

/** Ten reads in the lower half of the keys, and ten writes in the upper one, so that what is read is known. */
function transactions({ store, input, steps }) {
  const half = input.groups.length >> 1;
  const valuesOf = input.fresh.map((_, i) =>
    Array.from({ length: PER_GROUP }, (_, j) => input.fresh[(i + j) % input.fresh.length]),
  );
  const groupOf = (at) => placeOf(input, at) % half;
  return {
    op: (at) => {
      const group = half + groupOf(at);
      const values = valuesOf[at % valuesOf.length];
      for (let i = 0; i < PER_GROUP; i++) steps[group * PER_GROUP + i] = values[i].step;
      return then(store.transaction(input.groups[groupOf(at)], input.groups[group], values), sumOf);
    },
    right: (at) => sumOfGroup({ steps }, groupOf(at)),
  };
}

function puts({ store, input, steps }) {
  return {
    op: (at) => {
      const place = placeOf(input, at);
      const value = input.fresh[at % input.fresh.length];
      steps[place] = value.step;
      return then(store.put(input.keys[place], value), one);
    },
    right: one,
  };
}

function appends(loadedStore) {
  const { store, input } = loadedStore;
  return {
    op: (at) => {
      loadedStore.appended++;
      return then(store.append("step", input.fresh[at % input.fresh.length]), one);
    },
    right: one,
  };
}

/** What is measured once for each subject, around the work below. */
export const AROUND = {
  opening:
    "a database that is closed. Holdfast loads its core and reads all that was loaded into memory, the others read nothing yet; in memory it is empty",
  loading: "one entry, a thousand to a transaction, until all are as durable as the mode says",
};

/** By name: what one operation is, which method of a store it needs, and whether it writes. */
export const WORKLOADS = {
  "kv.get": { what: "one key", needs: "get", of: ofOneKey((store, key) => store.get(key)) },
  getMany: {
    what: "ten keys at once",
    needs: "getMany",
    of: ofGroups(({ store, input }, group) => store.getMany(input.groups[group])),
  },
  list: {
    what: "the ten entries under a prefix, in order",
    needs: "list",
    of: ofGroups(({ store, input }, group) => store.list(input.prefixes[group])),
  },
  snapshot: {
    what: "taken, one key read in it, let go of",
    needs: "snapshotGet",
    of: ofOneKey((store, key) => store.snapshotGet(key)),
  },
  "kv.put": { what: "one key written over", needs: "put", writes: true, of: puts },
  transaction: { what: "ten keys read and ten others written", needs: "transaction", writes: true, of: transactions },
  "events.append": { what: "one event of three fields", needs: "append", writes: true, of: appends },
};

/** Looks up some of what a store has to hold, and how many events. Throws where it is anything else. */
export async function check({ store, input, steps, appended }, round) {
  for (let i = 0; i < CHECKED; i++) {
    const place = placeOf(input, i * 31 + round);
    const { step } = await store.get(input.keys[place]);
    if (step !== steps[place])
      throw new Error(`holds ${step} under ${input.keys[place]} where ${steps[place]} was put`);
  }
  if (store.appended === undefined) return;
  const count = await store.appended();
  if (count !== appended) throw new Error(`has ${count} events where ${appended} were appended`);
}
