// Reading numbers by key, synchronously, out of a store of 100,000 entries: all of them in shuffled order; a hot thousand of
// them again and again; and all of them by strings that the store has never seen before.
//
// Keeps true: the three differ in the strings that are asked for and in nothing else.

import { openSqlite } from "../subjects/better-sqlite3.mjs";
import { openLevel } from "../subjects/classic-level.mjs";
import { openHoldfast } from "../subjects/holdfast.mjs";
import { openLmdb } from "../subjects/lmdb.mjs";
import { openLockedTree } from "../subjects/locked-tree.mjs";
import { openMap } from "../subjects/map.mjs";
import { openNodeSqlite } from "../subjects/node-sqlite.mjs";
import { flatCopy, makeKeys, makeValues, pick, shuffledIndices, sum } from "../workload.mjs";

const ENTRIES = 100_000;
const HOT_KEYS = 1000;
const OPERATIONS = 100_000;
const OPERATIONS_QUICK = 20_000;
// An awaited get costs ten times a synchronous one; fewer of them say as much.
const AWAITED_SHARE = 0.1;

/** All keys, by the very strings that they were stored with. */
export const prepareAll = (context) => prepare(context, (round) => shuffledIndices(ENTRIES, round));

/** Hot keys that lie all over the store, not side by side. */
export const prepareHot = (context) =>
  prepare(context, (round) =>
    shuffledIndices(OPERATIONS, round).map((index) => (index % HOT_KEYS) * (ENTRIES / HOT_KEYS)),
  );

/** All keys, by strings without a hash as yet, as they come out of a parser or off the network. */
export const prepareFresh = (context) => prepare(context, (round) => shuffledIndices(ENTRIES, round), flatCopy);

async function prepare({ scratch, quick, opened }, orderOfRound, copyOf = (key) => key) {
  const all = makeKeys(ENTRIES);
  const values = makeValues(ENTRIES, 0);
  const operations = quick ? OPERATIONS_QUICK : OPERATIONS;

  const holdfast = await opened("Holdfast", () => openHoldfast({ durability: "in-memory" }));
  const map = await opened("Map", openMap);
  const lmdb = await opened("lmdb", () => openLmdb({ folder: scratch.folder("lmdb"), sync: false }));
  const lmdbBinary = await opened("lmdb", () =>
    openLmdb({ folder: scratch.folder("lmdb-binary"), sync: false, encoding: "binary" }),
  );
  const sqlite = await opened("better-sqlite3", () => openSqlite({}));
  const nodeSqlite = await opened("node:sqlite", openNodeSqlite);
  const tree = await opened("ordered map, one lock", openLockedTree);
  const level = await opened("classic-level", () => openLevel({ folder: scratch.folder("level") }));
  for (const store of [holdfast, map, lmdb, lmdbBinary, sqlite, nodeSqlite, tree, level]) {
    await store?.load(all, values);
  }

  return {
    computes: true,
    makeInput(round, count) {
      const order = orderOfRound(round).subarray(0, count);
      return { keys: pick(all, order).map(copyOf), count, expected: sum(pick(values, order), count) };
    },
    subjects: [
      holdfast && { name: "Holdfast kv.get", isHoldfast: true, operations, pass: holdfast.getPass },
      map && { name: "Map.get", operations, pass: map.getPass },
      lmdb && { name: "lmdb get", operations, pass: lmdb.getPass },
      lmdbBinary && {
        name: "lmdb getBinaryFast",
        note: "raw bytes, a float64 read from them",
        operations,
        pass: lmdbBinary.getBinaryFastPass,
      },
      sqlite && { name: "better-sqlite3 :memory:", note: "prepared select, plucked", operations, pass: sqlite.getPass },
      nodeSqlite && {
        name: "node:sqlite :memory:",
        note: "prepared select",
        operations,
        pass: nodeSqlite.getPass,
      },
      tree && { name: "ordered map, one lock", note: "a B+ tree", operations, pass: tree.getPass },
      level && { name: "classic-level getSync", operations, pass: level.getSyncPass },
      level && {
        name: "classic-level get",
        note: "async, awaited one by one",
        operations: operations * AWAITED_SHARE,
        pass: level.getPass,
      },
    ].filter(Boolean),
  };
}
