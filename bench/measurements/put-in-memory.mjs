// Writing numbers over existing keys where nothing has to outlive the process: over 100,000 keys in shuffled order, and over
// a hot thousand of them.

import { openSqlite } from "../subjects/better-sqlite3.mjs";
import { openHoldfast } from "../subjects/holdfast.mjs";
import { openLmdb } from "../subjects/lmdb.mjs";
import { openLockedTree } from "../subjects/locked-tree.mjs";
import { openMap } from "../subjects/map.mjs";
import { openNodeSqlite } from "../subjects/node-sqlite.mjs";
import { makeKeys, makeValues, pick, shuffledIndices } from "../workload.mjs";

const ENTRIES = 100_000;
const HOT_KEYS = 1000;
const OPERATIONS = 100_000;
const OPERATIONS_QUICK = 20_000;

export const prepareAll = (context) => prepare(context, (round) => shuffledIndices(ENTRIES, round));

export const prepareHot = (context) =>
  prepare(context, (round) =>
    shuffledIndices(OPERATIONS, round).map((index) => (index % HOT_KEYS) * (ENTRIES / HOT_KEYS)),
  );

async function prepare({ scratch, quick, opened }, orderOfRound) {
  const all = makeKeys(ENTRIES);
  const values = makeValues(ENTRIES, 0);
  const operations = quick ? OPERATIONS_QUICK : OPERATIONS;

  const holdfast = await opened("Holdfast", () => openHoldfast({ durability: "in-memory" }));
  const map = await opened("Map", openMap);
  const sqlite = await opened("better-sqlite3", () => openSqlite({}));
  const lmdb = await opened("lmdb", () => openLmdb({ folder: scratch.folder("lmdb"), sync: false }));
  const nodeSqlite = await opened("node:sqlite", openNodeSqlite);
  const tree = await opened("ordered map, one lock", openLockedTree);
  for (const store of [holdfast, map, sqlite, lmdb, nodeSqlite, tree]) await store?.load(all, values);

  return {
    computes: true,
    makeInput: (round, count) => ({
      keys: pick(all, orderOfRound(round)),
      values: makeValues(ENTRIES, round + 1),
      count,
      expected: count,
    }),
    subjects: [
      holdfast && {
        name: "Holdfast kv.put",
        isHoldfast: true,
        operations,
        pass: holdfast.putPass,
        read: holdfast.read,
      },
      map && { name: "Map.set", operations, pass: map.putPass, read: map.read },
      sqlite && {
        name: "better-sqlite3 :memory:",
        note: "prepared upsert, each its own transaction",
        operations,
        pass: sqlite.putPass,
        read: sqlite.read,
      },
      nodeSqlite && {
        name: "node:sqlite :memory:",
        note: "prepared upsert, each its own transaction",
        operations,
        pass: nodeSqlite.putPass,
        read: nodeSqlite.read,
      },
      tree && { name: "ordered map, one lock", note: "a B+ tree", operations, pass: tree.putPass, read: tree.read },
      lmdb && {
        name: "lmdb putSync",
        note: "noSync; a file even so",
        operations: operations / 2,
        pass: lmdb.putPass,
        read: lmdb.read,
      },
    ].filter(Boolean),
  };
}
