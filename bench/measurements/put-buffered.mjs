// Writing numbers over existing keys on files, where a killed process must lose nothing and a power cut may lose the newest.

import { openSqlite } from "../subjects/better-sqlite3.mjs";
import { openLevel } from "../subjects/classic-level.mjs";
import { openHoldfast } from "../subjects/holdfast.mjs";
import { openLmdb } from "../subjects/lmdb.mjs";
import { makeKeys, makeValues, pick, shuffledIndices } from "../workload.mjs";

const ENTRIES = 10_000;
const OPERATIONS = 10_000;
const OPERATIONS_QUICK = 2000;

export async function prepare({ scratch, quick, opened }) {
  const all = makeKeys(ENTRIES);
  const values = makeValues(ENTRIES, 0);
  const operations = quick ? OPERATIONS_QUICK : OPERATIONS;

  const holdfast = await opened("Holdfast", () =>
    openHoldfast({ durability: "buffered", folder: scratch.folder("holdfast") }),
  );
  const sqlite = await opened("better-sqlite3", () =>
    openSqlite({ folder: scratch.folder("sqlite"), synchronous: "NORMAL" }),
  );
  const lmdb = await opened("lmdb", () => openLmdb({ folder: scratch.folder("lmdb"), sync: false }));
  const lmdbQueued = await opened("lmdb", () => openLmdb({ folder: scratch.folder("lmdb-queued"), sync: true }));
  const level = await opened("classic-level", () => openLevel({ folder: scratch.folder("level") }));
  for (const store of [holdfast, sqlite, lmdb, lmdbQueued, level]) await store?.load(all, values);

  return {
    makeInput: (round, count) => ({
      keys: pick(all, shuffledIndices(ENTRIES, round)),
      values: makeValues(ENTRIES, round + 1),
      count,
      expected: count,
    }),
    subjects: [
      holdfast && {
        name: "Holdfast kv.put buffered",
        isHoldfast: true,
        operations,
        pass: holdfast.putPass,
        read: holdfast.read,
        settle: holdfast.settle,
      },
      sqlite && {
        name: "better-sqlite3 WAL NORMAL",
        note: "each put its own transaction",
        operations,
        pass: sqlite.putPass,
        read: sqlite.read,
      },
      lmdb && {
        name: "lmdb putSync noSync",
        note: "each put its own transaction, never synced",
        operations,
        pass: lmdb.putPass,
        read: lmdb.read,
      },
      lmdbQueued && {
        name: "lmdb put queued",
        note: "async; many puts share a commit, only the last is awaited",
        operations,
        pass: lmdbQueued.putQueuedPass,
        read: lmdbQueued.read,
        settle: lmdbQueued.settle,
      },
      level && {
        name: "classic-level put",
        note: "async, awaited one by one",
        operations: operations / 2,
        pass: level.putPass,
        read: level.read,
      },
    ].filter(Boolean),
  };
}
