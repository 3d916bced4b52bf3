/**
 * What commit number `sequence` of the crash tests does: known to the child that makes it and to the parent that checks.
 *
 * Every commit writes its number to each key that it touches. The last number that a state shows is therefore its place
 * in the commit order, and the state must be exactly what the plan gives up to there.
 */

export const RUNS = ["alpha", "beta", "gamma"];

/** @returns {{ run: string, puts: string[], deletes: string[] }} */
export function planOf(sequence) {
  // Knuth's multiplicative hash: a choice that looks random and needs no state.
  const choice = Math.imul(sequence, 2654435761) >>> 0;
  const run = RUNS[choice % RUNS.length];
  const kind = (choice >>> 8) % 8;
  if (kind < 5) return { run, puts: [`k${(choice >>> 12) % 24}`], deletes: [] };
  const group = `t${(choice >>> 12) % 4}`;
  const puts = [0, 1, 2, 3, 4].map((i) => `${group}.${i}`);
  return { run, puts, deletes: kind === 7 ? [`k${(choice >>> 16) % 24}`] : [] };
}

/** The last commit that a state shows: the highest number in it. */
export function lastOf(db) {
  let last = 0;
  for (const run of RUNS) for (const [, value] of db.run(run).kv.list()) last = Math.max(last, value.n);
  return last;
}
