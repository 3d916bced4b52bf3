// Listing the 100 entries that share a prefix, out of 10,000. One operation is one list of 100.

import { openSqlite } from "../subjects/better-sqlite3.mjs";
import { openLevel } from "../subjects/classic-level.mjs";
import { openHoldfast } from "../subjects/holdfast.mjs";
import { openLmdb } from "../subjects/lmdb.mjs";
import { openLockedTree } from "../subjects/locked-tree.mjs";
import { openMap } from "../subjects/map.mjs";
import { openNodeSqlite } from "../subjects/node-sqlite.mjs";
import { flatCopy, makeKeys, makeValues, pick, shuffledIndices, sum } from "../workload.mjs";

const ENTRIES = 10_000;
const PER_PREFIX = 100;
const PREFIXES = ENTRIES / PER_PREFIX;
const OPERATIONS = 1000;
const OPERATIONS_QUICK = 200;
// All keys have one length, so that what is left after the last two digits is a prefix of exactly a hundred.
const PREFIX_LENGTH = "key:0000000".length;

export async function prepare({ scratch, quick, opened }) {
  const all = makeKeys(ENTRIES);
  const values = makeValues(ENTRIES, 0);
  const operations = quick ? OPERATIONS_QUICK : OPERATIONS;
  const prefixes = Array.from({ length: PREFIXES }, (_, at) => flatCopy(all[at * PER_PREFIX].slice(0, PREFIX_LENGTH)));
  const totals = prefixes.map((_, at) => sum(values.slice(at * PER_PREFIX), PER_PREFIX));

  const holdfast = await opened("Holdfast", () => openHoldfast({ durability: "in-memory" }));
  const map = await opened("Map", openMap);
  const lmdb = await opened("lmdb", () => openLmdb({ folder: scratch.folder("lmdb"), sync: false }));
  const sqlite = await opened("better-sqlite3", () => openSqlite({}));
  const nodeSqlite = await opened("node:sqlite", openNodeSqlite);
  const tree = await opened("ordered map, one lock", openLockedTree);
  const level = await opened("classic-level", () => openLevel({ folder: scratch.folder("level") }));
  for (const store of [holdfast, map, lmdb, sqlite, nodeSqlite, tree, level]) await store?.load(all, values);

  return {
    computes: true,
    makeInput(round, count) {
      const order = shuffledIndices(operations, round).map((index) => index % PREFIXES);
      return { keys: pick(prefixes, order), count, expected: sum(pick(totals, order), count) };
    },
    subjects: [
      holdfast && { name: "Holdfast kv.list", isHoldfast: true, operations, pass: holdfast.listPass },
      map && { name: "Map", note: "all keys looked at, hits sorted", operations: operations / 5, pass: map.listPass },
      lmdb && { name: "lmdb getRange", note: "as an array", operations, pass: lmdb.listPass },
      sqlite && {
        name: "better-sqlite3 :memory:",
        note: "prepared range select, raw rows",
        operations,
        pass: sqlite.listPass,
      },
      nodeSqlite && {
        name: "node:sqlite :memory:",
        note: "prepared range select, objects",
        operations,
        pass: nodeSqlite.listPass,
      },
      tree && { name: "ordered map, one lock", note: "getRange of a B+ tree", operations, pass: tree.listPass },
      level && { name: "classic-level iterator", note: "async, all()", operations, pass: level.listPass },
    ].filter(Boolean),
  };
}
