// The benchmark as it runs inside of any runtime: takes what there is to measure there, and reports rows of plain data.
//
// Keeps true:
// - Subjects that promise the same stand in one group: all of them take part in every round, in an order that rotates. One group is
//   over, closed and removed before the next one begins.
// - Nothing is reported while something is timed. A subject that fails, or that the platform has not got, becomes a row that says
//   so; all others go on.

import { figuresOf, Sampler, tickOfClock } from "./sampling.mjs";
import { check, loaded, makeInput, WORKLOADS } from "./workloads.mjs";

const SIZES = {
  full: { keys: 10_000, warmUpMs: 150, roundMs: 100, rounds: 7, openings: 9 },
  quick: { keys: 2000, warmUpMs: 30, roundMs: 25, rounds: 2, openings: 2 },
};

/**
 * Measures all groups, `{ storage, mode, missing?, subjects: { name, isHoldfast?, note?, open() }[] }`; `missing` says why the
 * storage is not there. `report` gets `{ progress }` and
 * `{ row }`, and is awaited. @param size `"full"`, `"quick"`, or sizes as above
 */
export async function measure(groups, { size, report }) {
  const sizes = typeof size === "string" ? SIZES[size] : size;
  const input = makeInput(sizes.keys);
  const tickMs = tickOfClock();
  for (const group of groups) await measureGroup(group, { input, sizes, tickMs, report });
}

class Standing {
  /** All that have not failed, each with a store that is loaded. */
  members = [];
  #group;
  #tickMs;
  #report;

  constructor(group, tickMs, report) {
    this.#group = group;
    this.#tickMs = tickMs;
    this.#report = report;
  }

  row(subject, workload, figures) {
    const { storage, mode } = this.#group;
    const { name, isHoldfast = false, note } = subject;
    const about = { storage, mode, subject: name, isHoldfast, note, workload, tickNs: this.#tickMs * 1e6 };
    return this.#report({ row: { ...about, ...figures } });
  }

  /** Does something for one subject; where it fails that is its row, and it takes no further part. */
  async attempt(subject, workload, work) {
    try {
      return await work();
    } catch (error) {
      this.members = this.members.filter((member) => member.subject !== subject);
      const why = String(error?.message ?? error);
      await this.row(subject, workload, error?.code === "UNSUPPORTED" ? { missing: why } : { failure: why });
      return undefined;
    }
  }
}

async function measureGroup(group, { input, sizes, tickMs, report }) {
  const standing = new Standing(group, tickMs, report);
  if (group.missing !== undefined) {
    for (const subject of group.subjects) await standing.row(subject, "opening", { missing: group.missing });
    return;
  }
  const say = (what) => report({ progress: `${group.storage}, ${group.mode}: ${what}` });
  const opened = [];
  try {
    await say("opening and loading");
    for (const subject of group.subjects) {
      await standing.attempt(subject, "loading", async () => {
        const store = await subject.open();
        opened.push(store);
        // In memory nothing is there again: what is opened is empty.
        if (!store.keeps) await timeOpening(standing, subject, store, { entries: 0, openings: sizes.openings });
        const ready = await timeLoading(standing, subject, store, input);
        const { count: entries } = input;
        if (store.keeps) await timeOpening(standing, subject, store, { entries, openings: sizes.openings });
        standing.members.push({ subject, ready });
      });
    }
    for (const [name, workload] of Object.entries(WORKLOADS)) {
      await say(name);
      await measureWorkload(standing, name, workload, { sizes, tickMs });
    }
  } finally {
    for (const store of opened) await store.remove?.();
  }
}

async function timeLoading(standing, subject, store, input) {
  const before = await store.bytes?.();
  const start = performance.now();
  const ready = await loaded(store, input);
  await store.settle?.();
  const ns = ((performance.now() - start) * 1e6) / input.count;
  const bytes = before === undefined ? undefined : ((await store.bytes()) - before) / input.count;
  await standing.row(subject, "loading", { ...figuresOf([ns]), p99Ns: undefined, perSample: input.count, bytes });
  return ready;
}

async function measureWorkload(standing, name, workload, { sizes, tickMs }) {
  const taking = [];
  for (const { subject, ready } of standing.members) {
    if (ready.store[workload.needs] === undefined) continue;
    const sampler = new Sampler(workload.of(ready), tickMs);
    await standing.attempt(subject, name, () => sampler.warmUp(sizes.warmUpMs));
    await ready.store.settle?.();
    taking.push({
      subject,
      ready,
      sampler,
      bytesBefore: await ready.store.written?.(),
      operations: sampler.operations,
    });
  }
  const stands = ({ subject }) => standing.members.some((member) => member.subject === subject);
  for (let round = 0; round < sizes.rounds; round++) {
    for (let place = 0; place < taking.length; place++) {
      const turn = taking[(place + round) % taking.length];
      if (!stands(turn)) continue;
      await standing.attempt(turn.subject, name, async () => {
        await turn.sampler.round(sizes.roundMs);
        await turn.ready.store.settle?.();
        await check(turn.ready, round);
      });
    }
  }
  for (const turn of taking.filter(stands)) {
    const bytes = workload.writes ? await bytesPerOperation(turn) : undefined;
    await standing.row(turn.subject, name, { ...turn.sampler.figures(), bytes });
  }
}

async function bytesPerOperation({ ready, sampler, bytesBefore, operations }) {
  if (bytesBefore === undefined) return undefined;
  return ((await ready.store.written()) - bytesBefore) / (sampler.operations - operations);
}

/** Closing is outside of the time. */
async function timeOpening(standing, subject, store, { entries, openings }) {
  if (store.open === undefined) return;
  const times = [];
  for (let i = 0; i < openings; i++) {
    await store.close();
    const start = performance.now();
    await store.open();
    times.push((performance.now() - start) * 1e6);
    const count = await store.count();
    if (count !== entries) throw new Error(`found ${count} entries where ${entries} are right`);
  }
  await standing.row(subject, "opening", { ...figuresOf(times), perSample: 1 });
}
