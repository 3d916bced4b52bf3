/**
 * Histories of workers that nobody schedules, on every runtime: a few in memory and, where many workers write one log, a few on
 * files, in every second one a worker is terminated inside. What a history is and what has to hold of it stands in
 * `test/histories/`; many more of them are followed by `node test/runtimes/histories.mjs`, which also repeats one by its seed.
 */
import { Crew, type Ground, inMemory, onFiles, terminatesForSure } from "../histories/ground.js";
import { followHistory } from "../histories/history.js";
import { ok } from "./assert.js";
import type { Case, Context } from "./context.js";

const IN_MEMORY = 6;
const ON_FILES = 4;
const TRANSACTIONS = 400;
const WORKERS_MAX = 4;
const SEGMENT_BYTES = 32 * 1024;
/** Longer than several take where processors are busy with other things; one in which nothing moves any more ends by itself. */
const MS_MAX = 100_000;
const SEEDS = 1_000_000;

async function followSome({ runtime, startWorker }: Context, count: number, groundOf: (seed: number) => Ground) {
  ok(startWorker !== undefined, "a runtime that can start workers");
  const crew = new Crew(startWorker, terminatesForSure(runtime));
  const first = Math.floor(Math.random() * SEEDS);
  try {
    for (let seed = first; seed < first + count; seed++) {
      const shape = { seed, transactions: TRANSACTIONS, workersMax: WORKERS_MAX, killsMax: seed % 2 };
      const { committed } = await followHistory(groundOf(seed), crew, shape);
      ok(committed > TRANSACTIONS / 5, `most of ${TRANSACTIONS} to be committed, got ${committed}`);
    }
  } finally {
    await crew.close();
  }
}

export function historiesContract(): Case[] {
  return [
    {
      name: "histories in memory are strictly serializable, and leave nothing behind",
      needs: ({ persistent }) => !persistent,
      msMax: MS_MAX,
      run: (context) => followSome(context, IN_MEMORY, () => inMemory(context.runtime)),
    },
    {
      name: "histories over one log are too, and the log has all that was acknowledged",
      needs: ({ kind }) => kind === "files",
      msMax: MS_MAX,
      run: (context) =>
        followSome(context, ON_FILES, (seed) => onFiles(context.runtime, `${context.path}/${seed}`, SEGMENT_BYTES)),
    },
  ];
}
