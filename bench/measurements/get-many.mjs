// Ten keys at once, of 100,000, in shuffled order. One operation is ten keys.

import { openSqlite } from "../subjects/better-sqlite3.mjs";
import { openHoldfast } from "../subjects/holdfast.mjs";
import { openLmdb } from "../subjects/lmdb.mjs";
import { openMap } from "../subjects/map.mjs";
import { makeKeys, makeValues, pick, shuffledIndices, sum } from "../workload.mjs";

const ENTRIES = 100_000;
const TOGETHER = 10;
const OPERATIONS = 10_000;
const OPERATIONS_QUICK = 2000;

export async function prepare({ scratch, quick, opened }) {
  const all = makeKeys(ENTRIES);
  const values = makeValues(ENTRIES, 0);
  const operations = quick ? OPERATIONS_QUICK : OPERATIONS;

  const holdfast = await opened("Holdfast", () => openHoldfast({ durability: "in-memory" }));
  const map = await opened("Map", openMap);
  const lmdb = await opened("lmdb", () => openLmdb({ folder: scratch.folder("lmdb"), sync: false }));
  const sqlite = await opened("better-sqlite3", () => openSqlite({}));
  for (const store of [holdfast, map, lmdb, sqlite]) await store?.load(all, values);

  const note = "one after another";
  return {
    computes: true,
    makeInput(round, count) {
      const order = shuffledIndices(ENTRIES, round).subarray(0, count * TOGETHER);
      const keys = pick(all, order);
      const groups = Array.from({ length: count }, (_, at) => keys.slice(at * TOGETHER, (at + 1) * TOGETHER));
      return { keys: groups, count, expected: sum(pick(values, order), order.length) };
    },
    subjects: [
      holdfast && { name: "Holdfast kv.getMany of ten", isHoldfast: true, operations, pass: holdfast.getManyPass },
      holdfast && { name: "Holdfast, ten kv.get", note, operations, pass: holdfast.getEachPass },
      map && { name: "Map, ten get", note, operations, pass: map.getEachPass },
      lmdb && { name: "lmdb, ten get", note: "its getMany is asynchronous", operations, pass: lmdb.getEachPass },
      sqlite && { name: "better-sqlite3, ten selects", note, operations, pass: sqlite.getEachPass },
    ].filter(Boolean),
  };
}
