// The jobs of a worker, by the numbers that go through the gate.

export const JOB_CLOSE = -1;

const LOOPS = {
  reads: { loop: "reads", on: "one" },
  disjoint: { loop: "puts", on: "own" },
  "one-run": { loop: "puts", on: "one" },
  mixed: { loop: "mixed", on: "one" },
  "graph-reads": { loop: "reads", on: "graph" },
  "graph-adds": { loop: "adds", on: "graph" },
  "graph-mixed": { loop: "mixed", on: "graph" },
};

/** How a worker comes to its store: as it is, behind the one lock, or with an addition to the one counter. */
const WAYS = ["free", "locked", "counted"];

const jobs = Object.entries(LOOPS).flatMap(([workload, job]) => WAYS.map((way) => ({ workload, ...job, way })));

export const jobAt = (number) => jobs[number];

/** The number of a workload's job that is done in a way. */
export function jobNumber(workload, way) {
  return jobs.findIndex((job) => job.workload === workload && job.way === way);
}
