// What is measured, in the order in which it is run and shown, and what is expected of it.
//
// Keeps true: the goals are those of the specification's section on speed and stand here once; a measurement's module is only
// imported when it is run, because it needs the peers to be installed and this list must not.
//
// A goal names the subject that Holdfast stands beside. `timesAsFast` lists what is to be reached, the first goal and the one
// after it; `timesItsTime` is for a floor that nobody can beat, where less is better. `red` is where to stop and redesign.

export const catalogue = [
  {
    name: "get",
    title: "get hit: 100,000 string keys in shuffled order, number values",
    unit: "ns",
    goals: [
      { against: "lmdb get", timesAsFast: [4, 6], red: 1 },
      { against: "Map.get", timesAsFast: [0.6, 0.8] },
    ],
    redAboveNs: 10_000,
    load: async () => (await import("./measurements/get.mjs")).prepareAll,
  },
  {
    name: "get-hot",
    title: "get hit: 1,000 hot keys of a store of 100,000",
    unit: "ns",
    goals: [{ against: "Map.get", timesAsFast: [0.35, 0.7] }],
    redAboveNs: 10_000,
    load: async () => (await import("./measurements/get.mjs")).prepareHot,
  },
  {
    name: "get-fresh",
    title: "get hit: 100,000 keys in shuffled order, by strings made anew",
    unit: "ns",
    goals: [],
    redAboveNs: 10_000,
    load: async () => (await import("./measurements/get.mjs")).prepareFresh,
  },
  {
    name: "put",
    title: "put in-memory: over 100,000 existing keys in shuffled order",
    unit: "ns",
    goals: [
      { against: "better-sqlite3 :memory:", timesAsFast: [6, 10] },
      { against: "Map.set", timesAsFast: [0.6, 0.8] },
    ],
    redAboveNs: 20_000,
    load: async () => (await import("./measurements/put-in-memory.mjs")).prepareAll,
  },
  {
    name: "put-hot",
    title: "put in-memory: over 1,000 hot keys of a store of 100,000",
    unit: "ns",
    goals: [],
    redAboveNs: 20_000,
    load: async () => (await import("./measurements/put-in-memory.mjs")).prepareHot,
  },
  {
    name: "put-buffered",
    title: "put buffered: on files, over 10,000 existing keys",
    unit: "ns",
    goals: [{ against: "better-sqlite3 WAL NORMAL", timesAsFast: [5] }],
    redAboveNs: 30_000,
    load: async () => (await import("./measurements/put-buffered.mjs")).prepare,
  },
  {
    name: "put-strict",
    title: "put strict: on files, synced when the call returns",
    unit: "µs",
    goals: [{ against: "bare write + fdatasync", timesItsTime: 1.15, red: 1.5 }],
    load: async () => (await import("./measurements/put-strict.mjs")).prepare,
  },
  {
    name: "list",
    title: "list the 100 entries of a prefix: out of 10,000",
    unit: "µs",
    goals: [],
    load: async () => (await import("./measurements/list.mjs")).prepare,
  },
];
