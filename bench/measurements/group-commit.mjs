// Strict asynchronous transactions on files: one after another, and 64 in flight, on different keys and all appending events
// to one run.
//
// Keeps true: both shapes alternate within one process and in every round; rubbish is collected before each pass.

import { collectGarbage } from "../measure.mjs";
import { openDatabase } from "../subjects/holdfast.mjs";
import { IN_FLIGHT, KINDS, pass, rowsOf } from "../work/group-commit.mjs";

const OPERATIONS = { alone: 400, together: 12_800 };
const OPERATIONS_QUICK = { alone: 100, together: 2560 };
const ROUNDS = 11;
const ROUNDS_QUICK = 3;
const WARM_UPS = 2;

function cleanPass(...of) {
  collectGarbage();
  return pass(...of);
}

export async function prepare({ scratch, quick, rounds: wanted, opened }) {
  const operations = quick ? OPERATIONS_QUICK : OPERATIONS;
  const rounds = wanted ?? (quick ? ROUNDS_QUICK : ROUNDS);
  const stores = {};
  for (const kind of Object.keys(KINDS)) {
    stores[kind] = await opened("Holdfast", () => openDatabase({ path: scratch.folder(kind), durability: "strict" }));
  }
  const measure = async (progress) => {
    const passes = Object.fromEntries(Object.keys(KINDS).map((kind) => [kind, { alone: [], together: [] }]));
    for (let round = 0; round < WARM_UPS + rounds; round++) {
      progress(`round ${round + 1} of ${WARM_UPS + rounds}, warm-up included`);
      for (const [kind, work] of Object.entries(KINDS)) {
        const alone = await cleanPass(stores[kind], work, 1, operations.alone);
        const together = await cleanPass(stores[kind], work, IN_FLIGHT, operations.together);
        if (round < WARM_UPS) continue;
        passes[kind].alone.push(alone);
        passes[kind].together.push(together);
      }
    }
    return Object.entries(passes).flatMap(([kind, { alone, together }]) => rowsOf(kind, alone, together));
  };
  return { measure, rounds };
}
