// The measurements that run in browsers, by name: each opens a database of its own, takes its rounds, and leaves nothing behind.
//
// Keeps true: both shapes of a measurement alternate in every round; what comes back is plain data, one list of passes each.

import { indexedDb, removeIndexedDb } from "../../dist/adapters/indexeddb.js";
import { opfs, removeOpfs } from "../../dist/adapters/opfs.js";
import { Database } from "../../dist/index.js";
import { IN_FLIGHT, KINDS, pass } from "../work/group-commit.mjs";

const NAME = "bench";
const STORAGES = {
  indexeddb: { make: indexedDb, remove: removeIndexedDb },
  opfs: { make: opfs, remove: removeOpfs },
};

/** One kind of transaction on one storage: passes one after another, and with all in flight. */
async function groupCommit({ storage, kind, rounds, warmUps, operations }) {
  const { make, remove } = STORAGES[storage];
  await remove(NAME);
  const db = await Database.open({ storage: make(NAME), durability: "strict" });
  const passes = { alone: [], together: [] };
  try {
    for (let round = 0; round < warmUps + rounds; round++) {
      const alone = await pass(db, KINDS[kind], 1, operations.alone);
      const together = await pass(db, KINDS[kind], IN_FLIGHT, operations.together);
      if (round < warmUps) continue;
      passes.alone.push(alone);
      passes.together.push(together);
    }
  } finally {
    await db.close();
    await remove(NAME);
  }
  return passes;
}

export const program = { groupCommit };
