// The jobs of a worker, by the numbers that go through the gate.

export const JOB_CLOSE = -1;

const LOOPS = {
  reads: { loop: "reads", run: "one" },
  disjoint: { loop: "puts", run: "own" },
  "one-run": { loop: "puts", run: "one" },
  mixed: { loop: "mixed", run: "one" },
};

const jobs = Object.entries(LOOPS).flatMap(([workload, job]) => [
  { workload, ...job, behindLock: false },
  { workload, ...job, behindLock: true },
]);

export const jobAt = (number) => jobs[number];

/** The number of a workload's job, behind the one lock or without it. */
export function jobNumber(workload, behindLock) {
  return jobs.findIndex((job) => job.workload === workload && job.behindLock === behindLock);
}
