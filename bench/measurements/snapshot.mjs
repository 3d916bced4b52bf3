// Taking a snapshot and letting go of it, with nothing read in between and with one key read.
//
// The peers have no snapshot that costs nothing to hold, so only the pair with a read has something beside it: the shortest
// read transaction of each, ended after one key.

import { openSqlite } from "../subjects/better-sqlite3.mjs";
import { openHoldfast } from "../subjects/holdfast.mjs";
import { openLmdb } from "../subjects/lmdb.mjs";
import { openLockedTree } from "../subjects/locked-tree.mjs";
import { openNodeSqlite } from "../subjects/node-sqlite.mjs";
import { makeKeys, makeValues, pick, shuffledIndices, sum } from "../workload.mjs";

const ENTRIES = 10_000;
const OPERATIONS = 300_000;
const OPERATIONS_QUICK = 50_000;
const PEERS_SHARE = 0.1;
/** A copy of all entries for each. */
const COPIES_SHARE = 0.001;

export async function prepare({ scratch, quick, opened }) {
  const all = makeKeys(ENTRIES);
  const values = makeValues(ENTRIES, 0);
  const operations = quick ? OPERATIONS_QUICK : OPERATIONS;

  const holdfast = await opened("Holdfast", () => openHoldfast({ durability: "in-memory" }));
  const lmdb = await opened("lmdb", () => openLmdb({ folder: scratch.folder("lmdb"), sync: false }));
  const sqlite = await opened("better-sqlite3", () => openSqlite({}));
  const nodeSqlite = await opened("node:sqlite", openNodeSqlite);
  const tree = await opened("ordered map, one lock", openLockedTree);
  for (const store of [holdfast, lmdb, sqlite, nodeSqlite, tree]) await store?.load(all, values);

  const counted = (_round, count) => ({ count, expected: count });
  return {
    computes: true,
    makeInput(round, count) {
      const order = shuffledIndices(operations, round)
        .map((index) => index % ENTRIES)
        .subarray(0, count);
      return { keys: pick(all, order), count, expected: sum(pick(values, order), count) };
    },
    subjects: [
      holdfast && {
        name: "Holdfast run.snapshot()",
        note: "and dispose, nothing read",
        isHoldfast: true,
        operations,
        pass: holdfast.snapshotPass,
        makeInput: counted,
      },
      holdfast && {
        name: "Holdfast db.snapshot()",
        note: "and dispose, nothing read",
        isHoldfast: true,
        operations,
        pass: holdfast.databaseSnapshotPass,
        makeInput: counted,
      },
      holdfast && {
        name: "Holdfast run.snapshot(), one get",
        isHoldfast: true,
        operations,
        pass: holdfast.snapshotGetPass,
      },
      lmdb && {
        name: "lmdb read transaction, one get",
        note: "reset and renewed",
        operations: operations * PEERS_SHARE,
        pass: lmdb.snapshotGetPass,
      },
      sqlite && {
        name: "better-sqlite3, one get",
        note: "begin, select, commit",
        operations: operations * PEERS_SHARE,
        pass: sqlite.snapshotGetPass,
      },
      nodeSqlite && {
        name: "node:sqlite, one get",
        note: "begin, select, commit",
        operations: operations * PEERS_SHARE,
        pass: nodeSqlite.snapshotGetPass,
      },
      tree && {
        name: "ordered map, one lock, one get",
        note: `all ${ENTRIES.toLocaleString("en")} entries copied`,
        operations: operations * COPIES_SHARE,
        pass: tree.snapshotGetPass,
      },
    ].filter(Boolean),
  };
}
