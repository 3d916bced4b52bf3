// Strict asynchronous transactions on files: one after another, and 64 in flight, on different keys and all appending events
// to one run.
//
// Keeps true: both shapes alternate within one process and in every round; what an attempt was is counted in the callback; a
// round ends when its last transaction is durable.

import { collectGarbage } from "../measure.mjs";
import { ratioByRound, spread } from "../statistics.mjs";
import { openDatabase } from "../subjects/holdfast.mjs";

const IN_FLIGHT = 64;
const OPERATIONS = { alone: 400, together: 12_800 };
const OPERATIONS_QUICK = { alone: 100, together: 2560 };
const KEYS = 5000;
const ROUNDS = 11;
const ROUNDS_QUICK = 3;
const WARM_UPS = 2;

/** What one transaction does, by the name of its row. */
const KINDS = {
  "different keys": (tx, i) => tx.kv.put(`key-${i % KEYS}`, i),
  "events of one run": (tx, i) => tx.events.append("step", { i, tool: "tool" }),
};

async function pass(db, work, inFlight, operations) {
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
  collectGarbage();
  const start = performance.now();
  await Promise.all(Array.from({ length: inFlight }, client));
  return { ns: ((performance.now() - start) * 1e6) / operations, attempts: attempts / operations };
}

export async function prepare({ scratch, quick, opened }) {
  const operations = quick ? OPERATIONS_QUICK : OPERATIONS;
  const rounds = quick ? ROUNDS_QUICK : ROUNDS;
  const stores = {};
  for (const kind of Object.keys(KINDS)) {
    stores[kind] = await opened("Holdfast", () => openDatabase({ path: scratch.folder(kind), durability: "strict" }));
  }
  const measure = async (progress) => {
    const passes = Object.fromEntries(Object.keys(KINDS).map((kind) => [kind, { alone: [], together: [] }]));
    for (let round = 0; round < WARM_UPS + rounds; round++) {
      progress(`round ${round + 1} of ${WARM_UPS + rounds}, warm-up included`);
      for (const [kind, work] of Object.entries(KINDS)) {
        const alone = await pass(stores[kind], work, 1, operations.alone);
        const together = await pass(stores[kind], work, IN_FLIGHT, operations.together);
        if (round < WARM_UPS) continue;
        passes[kind].alone.push(alone);
        passes[kind].together.push(together);
      }
    }
    return Object.entries(passes).flatMap(([kind, { alone, together }]) => rowsOf(kind, alone, together));
  };
  return { measure, rounds };
}

function rowsOf(kind, alone, together) {
  const row = (name, passes) => {
    const perRound = passes.map(({ ns }) => ns);
    return { name: `${kind}, ${name}`, perRound, ns: spread(perRound) };
  };
  const one = row("one after another", alone);
  const many = row(`${IN_FLIGHT} in flight`, together);
  const attempts = spread(together.map((each) => each.attempts));
  return [
    one,
    many,
    { name: `${kind}, one after another ÷ in flight`, unit: "×", figure: ratioByRound(one.perRound, many.perRound) },
    { name: `${kind}, attempts ÷ commits`, unit: "×", figure: attempts },
  ];
}
