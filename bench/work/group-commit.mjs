// One pass of strict asynchronous transactions by some clients at once, and what becomes of its figures: the same on a server
// and in a browser.
//
// Keeps true: what an attempt was is counted in the callback; a pass ends when its last transaction is durable. Nothing here
// knows a platform.

import { ratioByRound, spread } from "../statistics.mjs";

export const IN_FLIGHT = 64;
const KEYS = 5000;

/** What one transaction does, by the name of its row. */
export const KINDS = {
  "different keys": (tx, i) => tx.kv.put(`key-${i % KEYS}`, i),
  "events of one run": (tx, i) => tx.events.append("step", { i, tool: "tool" }),
};

/** Nanoseconds for each transaction, attempts for each commit, commits for each sync. */
export async function pass(db, work, inFlight, operations) {
  const run = db.run("bench");
  let next = 0;
  let attempts = 0;
  const client = async () => {
    while (next < operations) {
      const i = next++;
      await run.transactionAsync(
        async (tx) => {
          attempts++;
          work(tx, i);
        },
        { retry: { attempts: 20 } },
      );
    }
  };
  const syncsBefore = db.stats().syncs;
  const start = performance.now();
  await Promise.all(Array.from({ length: inFlight }, client));
  const ns = ((performance.now() - start) * 1e6) / operations;
  return { ns, attempts: attempts / operations, perSync: operations / (db.stats().syncs - syncsBefore) };
}

/** The rows of one kind, of its passes alone and together, round by round. */
export function rowsOf(kind, alone, together) {
  const row = (name, passes) => {
    const perRound = passes.map(({ ns }) => ns);
    return { name: `${kind}, ${name}`, perRound, ns: spread(perRound) };
  };
  const one = row("one after another", alone);
  const many = row(`${IN_FLIGHT} in flight`, together);
  const ratio = (name, perRound) => ({ name: `${kind}, ${name}`, unit: "×", figure: spread(perRound) });
  return [
    one,
    many,
    { name: `${kind}, one after another ÷ in flight`, unit: "×", figure: ratioByRound(one.perRound, many.perRound) },
    ratio(
      "attempts ÷ commits",
      together.map((each) => each.attempts),
    ),
    ratio(
      "commits ÷ syncs",
      together.map((each) => each.perSync),
    ),
  ];
}
