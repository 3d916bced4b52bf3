// What is measured, in the order in which it is run and shown, and what is expected of it.
//
// Keeps true: the goals are those of the specification's section on speed and stand here once; a measurement's module is only
// imported when it is run, because it needs the peers to be installed and this list must not.
//
// A goal names the subject that Holdfast stands beside. `timesAsFast` lists what is to be reached, the first goal and the one
// after it; `timesItsTime` is for a floor that nobody can beat, where less is better. A goal with `of` is for that row by
// itself: `atMost`, in nanoseconds or in the row's own unit, or `atLeast`, where more is better. `red` is where to stop and
// redesign. `ratios` are rows that say how many times one row's time another's is, `rates` rows of how many operations a second
// a row's time comes to.

import { WORKLOADS } from "./work/ycsb.mjs";

const RAW = "raw table put (A0)";
const ENGINE = "engine put (A1)";
const FACADE = "Holdfast kv.put (B)";

/** What the two measurements of layers share. The engine's floor is 10 µs, the façade's 20. */
const layers = {
  unit: "ns",
  ratios: [
    { name: "A1 ÷ A0", of: ENGINE, to: RAW },
    { name: "B ÷ A1", of: FACADE, to: ENGINE },
    { name: "B ÷ A0", of: FACADE, to: RAW },
    { name: "B ÷ encoding engine put", of: FACADE, to: "engine put, encoding each time" },
  ],
  goals: [
    { of: "A1 ÷ A0", atMost: 3, red: 20 },
    { of: "B ÷ A1", atMost: 2, red: 8 },
    { of: "B ÷ A0", atMost: 5, red: 30 },
    { of: ENGINE, atMost: 3000, red: 10_000 },
    { of: FACADE, atMost: 1000, red: 20_000 },
  ],
};

/** The core workloads of YCSB. Their definitions need no peer. */
const ycsb = Object.entries(WORKLOADS).map(([name, { title }]) => ({
  name: `ycsb-${name}`,
  title: `YCSB workload ${name.toUpperCase()}, in memory: ${title}; records of ten fields of 100 bytes`,
  unit: "µs",
  goals: [],
  load: async () => (await import("./measurements/ycsb.mjs")).prepareWorkload(name),
}));

export const catalogue = [
  {
    name: "get",
    title: "get hit: 100,000 string keys in shuffled order, number values",
    unit: "ns",
    goals: [
      { against: "lmdb get", timesAsFast: [4, 6], red: 1 },
      { against: "Map.get", timesAsFast: [0.6, 0.8] },
      { of: "Holdfast kv.get", atMost: 500, red: 10_000 },
    ],
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
      { of: "Holdfast kv.put", atMost: 1000, red: 20_000 },
    ],
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
    rates: [{ name: "Holdfast kv.put buffered, puts", of: "Holdfast kv.put buffered" }],
    goals: [
      { against: "better-sqlite3 WAL NORMAL", timesAsFast: [5] },
      { of: "Holdfast kv.put buffered", red: 30_000 },
      { of: "Holdfast kv.put buffered, puts", atLeast: 50_000, red: 50_000 },
    ],
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
    name: "arrivals",
    title: "strict puts on files that arrive by a schedule: the time from when each was due",
    unit: "µs",
    goals: [],
    load: async () => (await import("./measurements/arrivals.mjs")).prepare,
  },
  {
    name: "group-commit",
    title: "strict asynchronous transactions on files: one after another, and 64 in flight",
    unit: "µs",
    per: "per transaction",
    goals: [
      { of: "different keys, one after another ÷ in flight", atLeast: 30, red: 10 },
      { of: "events of one run, one after another ÷ in flight", atLeast: 30, red: 10 },
      { of: "different keys, attempts ÷ commits", atMost: 2 },
      { of: "events of one run, attempts ÷ commits", atMost: 2 },
    ],
    load: async () => (await import("./measurements/group-commit.mjs")).prepare,
  },
  {
    name: "recovery",
    title: "opening a log and a checkpoint, and making one",
    unit: "M/s",
    goals: [
      { of: "opening a log, records", atLeast: 1 },
      { of: "opening a log, bytes", atLeast: 300 },
    ],
    load: async () => (await import("./measurements/recovery.mjs")).prepare,
  },
  {
    name: "memory",
    title: "bytes of memory for an entry beyond its key of 16 bytes and its value of 64: 100,000 entries",
    unit: "bytes",
    per: "per entry",
    goals: [{ of: "Holdfast", atMost: 48, red: 96 }],
    load: async () => (await import("./measurements/memory.mjs")).prepare,
  },
  {
    name: "list",
    title: "list the 100 entries of a prefix: out of 10,000",
    unit: "µs",
    goals: [],
    load: async () => (await import("./measurements/list.mjs")).prepare,
  },
  {
    name: "get-many",
    title: "getMany of ten keys: of 100,000, in shuffled order",
    unit: "ns",
    per: "per ten keys",
    goals: [{ of: "Holdfast kv.getMany of ten", red: 50_000 }],
    load: async () => (await import("./measurements/get-many.mjs")).prepare,
  },
  {
    name: "snapshot",
    title: "snapshots: taken and let go of again",
    unit: "ns",
    goals: [
      { of: "Holdfast run.snapshot()", atMost: 100, red: 2000 },
      { of: "Holdfast db.snapshot()", atMost: 100, red: 2000 },
    ],
    load: async () => (await import("./measurements/snapshot.mjs")).prepare,
  },
  {
    name: "transaction",
    title: "explicit transactions, in memory",
    unit: "ns",
    per: "per transaction",
    goals: [],
    load: async () => (await import("./measurements/transaction.mjs")).prepare,
  },
  {
    name: "events-append",
    title: "events.append in memory: payloads of three fields, sealed with SHA-256",
    unit: "µs",
    goals: [{ of: "Holdfast events.append", atMost: 10_000, red: 40_000 }],
    load: async () => (await import("./measurements/events.mjs")).prepareAppend,
  },
  {
    name: "events-read",
    title: "events: one by its sequence, a range, the whole chain verified",
    unit: "µs",
    per: "per event",
    goals: [],
    load: async () => (await import("./measurements/events.mjs")).prepareRead,
  },
  {
    name: "state",
    title: "state cells: 1,000 of them, small integers",
    unit: "ns",
    goals: [],
    load: async () => (await import("./measurements/state.mjs")).prepare,
  },
  {
    name: "traces",
    title: "traces: recorded with a parent and two tags, read back",
    unit: "µs",
    goals: [],
    load: async () => (await import("./measurements/traces.mjs")).prepare,
  },
  {
    name: "runs",
    title: "the index of runs: a run made with two tags and metadata, read back",
    unit: "µs",
    goals: [],
    load: async () => (await import("./measurements/runs.mjs")).prepare,
  },
  {
    name: "graph",
    title: "a graph in memory: the modules of this project and of all that it depends on, and what they import",
    unit: "ns",
    goals: [],
    load: async () => (await import("./measurements/graph.mjs")).prepare,
  },
  {
    name: "keys-get",
    title: "get hit by how many keys there are: 1,000 to 1,000,000, in shuffled order",
    unit: "ns",
    goals: [],
    load: async () => (await import("./measurements/key-counts.mjs")).prepareGet,
  },
  {
    name: "keys-put",
    title: "put in-memory by how many keys there are: over 1,000 to 1,000,000, in shuffled order",
    unit: "ns",
    goals: [],
    load: async () => (await import("./measurements/key-counts.mjs")).preparePut,
  },
  {
    name: "values-get",
    title: "get by how long the value is: bytes, in memory",
    unit: "ns",
    goals: [],
    load: async () => (await import("./measurements/value-sizes.mjs")).prepareGet,
  },
  {
    name: "values-put",
    title: "put by how long the value is: bytes, in memory",
    unit: "ns",
    goals: [],
    load: async () => (await import("./measurements/value-sizes.mjs")).preparePut,
  },
  ...ycsb,
  {
    name: "modes",
    title: "what each durability mode costs each primitive: one write, its own commit",
    unit: "µs",
    goals: [],
    load: async () => (await import("./measurements/modes.mjs")).prepare,
  },
  {
    name: "layers",
    title: "what each layer adds to a put: over 100,000 existing keys in shuffled order",
    ...layers,
    load: async () => (await import("./measurements/layers.mjs")).prepareAll,
  },
  {
    name: "layers-hot",
    title: "what each layer adds to a put: over 1,000 hot keys of a store of 100,000",
    ...layers,
    load: async () => (await import("./measurements/layers.mjs")).prepareHot,
  },
  {
    name: "tail",
    title: "how far the slowest puts are from the others: over 100,000 existing keys",
    unit: "ns",
    goals: [{ of: "Holdfast kv.put, p99 ÷ mean", atMost: 5, red: 20 }],
    load: async () => (await import("./measurements/tail.mjs")).prepare,
  },
  {
    name: "growth",
    title: "the slowest puts while one run grows from nothing to 1,000,000 keys",
    unit: "µs",
    goals: [
      { of: "Holdfast kv.put, p99.99", atMost: 1_000_000 },
      { of: "entries moved by one put, most", atMost: 512 },
    ],
    load: async () => (await import("./measurements/tail.mjs")).prepareGrowth,
  },
  {
    name: "pause",
    title:
      "the longest put and gap of the event loop: 1,000,000 new keys written, then a checkpoint or a snapshot of them",
    unit: "ms",
    per: "at the longest",
    goals: [],
    load: async () => (await import("./measurements/pause.mjs")).prepare,
  },
  {
    name: "cold",
    title: "opening cold: a new process until its first get, 100,000 keys on files",
    unit: "ms",
    per: "per process",
    goals: [],
    load: async () => (await import("./measurements/cold.mjs")).prepare,
  },
  {
    name: "allocations",
    title: "bytes of JavaScript heap that an operation takes",
    unit: "bytes",
    goals: [
      { of: "kv.get of small integers", atMost: 0, red: 0 },
      { of: "kv.put of small integers", atMost: 0, red: 0 },
      { of: "kv.has", atMost: 0, red: 0 },
      { of: "kv.put of floats", atMost: 0, red: 0 },
      { of: "run.snapshot and dispose, linear memory", atMost: 0 },
    ],
    load: async () => (await import("./measurements/allocations.mjs")).prepare,
  },
];
