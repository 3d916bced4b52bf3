// What the workers do, how many there are, over which stores, and what is expected of it.
//
// Keeps true: the goals are those of the specification's sections on workers and on speed and stand here once.

/** Workers of every measurement. */
export const COUNTS = [1, 2, 4, 8, 50];
/** The specification asks for the mixed work of ten. */
const COUNTS_MIXED = [1, 2, 4, 8, 10, 50];
const COUNTS_GRAPH = [1, 2, 5, 10, 20, 50];

/**
 * The keys of each run, and the nodes of a graph before anything is added. All of them fit into a core's cache, so that what
 * is seen is the store and not the memory.
 */
export const KEYS = 1000;
/** Of five operations of mixed work one is a put. */
export const MIXED_OF = 5;

export const designs = [
  {
    name: "holdfast",
    title: "Holdfast",
    note: "one database, each worker attached to it",
  },
  {
    name: "own",
    title: "each its own (yardstick)",
    note: "each worker an unshared Holdfast database of its own, on the same work: shares nothing",
  },
  {
    name: "own-counter",
    title: "its own, one counter",
    note: "the same, and after each put one atomic addition to a word that all of them share: what versions that rise over all runs leave at best",
  },
  {
    name: "one-lock",
    title: "one lock",
    note: "Holdfast, each operation behind one mutex of Atomics: 100 looks, then sleep",
  },
  {
    name: "plain-locks",
    title: "read-write locks",
    note: "Holdfast, built with a counting read-write lock on the run instead of reads without a lock",
  },
  {
    name: "lmdb",
    title: "lmdb",
    note: "one environment, noSync, putSync. A worker reads 32 times as of one moment (a transaction each), Holdfast sees the newest commit each time. One writer at a time over all runs; pages go to a file",
  },
];

const ON_KEYS = ["holdfast", "own", "one-lock", "plain-locks", "lmdb"];
const ON_GRAPHS = ["holdfast", "own", "one-lock"];

/** Those of one group are measured by the same threads. `--only` takes its name too. */
export const workloads = [
  { name: "reads", title: "reads of one run", counts: COUNTS, per: "per read", on: ON_KEYS },
  {
    name: "disjoint",
    title: "writes to disjoint runs, one for each worker",
    counts: COUNTS,
    per: "per put",
    on: [...ON_KEYS, "own-counter"],
  },
  { name: "one-run", title: "writes to one run", counts: COUNTS, per: "per put", on: ON_KEYS },
  {
    name: "mixed",
    title: "80 % reads and 20 % writes of one run",
    counts: COUNTS_MIXED,
    per: "per operation",
    on: ON_KEYS,
  },
  { name: "graph-reads", title: "getNode of one run's graph", counts: COUNTS_GRAPH, per: "per read", on: ON_GRAPHS },
  { name: "graph-adds", title: "addNode to one run's graph", counts: COUNTS_GRAPH, per: "per node", on: ON_GRAPHS },
  {
    name: "graph-mixed",
    title: "80 % getNode and 20 % addNode of one run's graph",
    counts: COUNTS_GRAPH,
    per: "per operation",
    on: ON_GRAPHS,
  },
].map((workload) => ({ ...workload, group: workload.name.startsWith("graph-") ? "graph" : "keys" }));

/** What a graph is to reach is where the keys are red. */
const GRAPH_READS_PER_SECOND = 3e6;
const GRAPH_MIXED_PER_SECOND = 3e5;

/**
 * What is asked of Holdfast, each of one workload and one count of workers:
 *   `scalesLikeOwn`   its throughput over one worker's, over the same of the yardstick
 *   `scalesLike`      the same over that of another design, or of `design` instead of Holdfast's: shown, and no goal
 *   `ofTwo`           its throughput over two workers'
 *   `ofOne`           its throughput over one worker's
 *   `cpuOfOne`        CPU time per operation over one worker's, at most
 *   `perSecond`       operations per second; as many are to be reached
 * `red` is where to stop and redesign; `cores` how many there must be for it to mean something; `isFloor` tells two goals of one
 * kind apart.
 */
export const goals = [
  ...[2, 4, 8].map((workers) => ({ workload: "reads", workers, scalesLikeOwn: 0.93, cores: workers })),
  ...[2, 4, 8].map((workers) => ({ workload: "reads", workers, ofOne: 1, red: 1, cores: workers })),
  { workload: "disjoint", workers: 2, scalesLikeOwn: 0.93, cores: 2 },
  { workload: "disjoint", workers: 2, scalesLike: "own-counter", cores: 2 },
  { workload: "disjoint", workers: 2, design: "own-counter", scalesLike: "own", cores: 2 },
  ...[4, 8, 50].flatMap((workers) => [
    { workload: "reads", workers, ofTwo: 0.9, cores: 2 },
    { workload: "disjoint", workers, ofTwo: 0.9, cores: 2 },
  ]),
  ...[2, 4, 8, 50].map((workers) => ({ workload: "reads", workers, cpuOfOne: 1.15, cores: 1 })),
  { workload: "reads", workers: 50, perSecond: 5e6, red: GRAPH_READS_PER_SECOND, cores: 2 },
  { workload: "mixed", workers: 10, perSecond: 1e6, red: GRAPH_MIXED_PER_SECOND, cores: 2 },
  { workload: "one-run", workers: 4, ofOne: 0.6, red: 0.25, cores: 1 },
  { workload: "disjoint", workers: 1, perSecond: 2e6, red: 1e5, cores: 1 },
  { workload: "disjoint", workers: 4, perSecond: 5e6, red: 4e5, cores: 4 },
  { workload: "disjoint", workers: 4, perSecond: 4e5, red: 4e5, cores: 1, isFloor: true },
  { workload: "disjoint", workers: 2, ofOne: 1.9, cores: 2 },
  { workload: "disjoint", workers: 4, ofOne: 3.6, red: 2.5, cores: 4 },
  { workload: "disjoint", workers: 8, ofOne: 7, cores: 8 },
  { workload: "graph-reads", workers: 50, perSecond: GRAPH_READS_PER_SECOND, cores: 2 },
  { workload: "graph-mixed", workers: 10, perSecond: GRAPH_MIXED_PER_SECOND, cores: 2 },
  { workload: "graph-adds", workers: 20, ofOne: 1, cores: 2 },
];
