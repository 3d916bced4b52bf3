// Writing numbers over existing keys on files, each synced before the call returns.
//
// Keeps true: Holdfast and the bare file alternate operation by operation in one folder, and the bare file appends as many
// bytes as Holdfast's files grow by. The others have passes of their own, each subject in every round.

import { openBareFile } from "../subjects/bare-file.mjs";
import { openSqlite } from "../subjects/better-sqlite3.mjs";
import { openLevel } from "../subjects/classic-level.mjs";
import { openHoldfast } from "../subjects/holdfast.mjs";
import { openLmdb } from "../subjects/lmdb.mjs";
import { makeKeys, makeValues, pick, shuffledIndices } from "../workload.mjs";

const ENTRIES = 1000;
const OPERATIONS = 300;
const OPERATIONS_QUICK = 60;
const PROBES = 50;
const BYTES_WITHOUT_HOLDFAST = 64;

export async function prepare({ scratch, quick, opened }) {
  const all = makeKeys(ENTRIES);
  const values = makeValues(ENTRIES, 0);
  const operations = quick ? OPERATIONS_QUICK : OPERATIONS;

  const folder = scratch.folder("holdfast");
  const holdfast = await opened("Holdfast", () => openHoldfast({ durability: "strict", folder }));
  const sqlite = await opened("better-sqlite3", () =>
    openSqlite({ folder: scratch.folder("sqlite"), synchronous: "FULL" }),
  );
  const lmdb = await opened("lmdb", () => openLmdb({ folder: scratch.folder("lmdb"), sync: true }));
  const level = await opened("classic-level", () => openLevel({ folder: scratch.folder("level"), sync: true }));
  for (const store of [holdfast, sqlite, lmdb, level]) await store?.load(all, values);

  const grown = holdfast?.bytesPerPut(all.slice(0, PROBES), values) ?? 0;
  const bytes = grown > 0 ? grown : BYTES_WITHOUT_HOLDFAST;
  const bare = await opened("bare file", () => openBareFile({ folder, bytes }));

  const pair = [
    holdfast && {
      name: "Holdfast kv.put strict",
      note: grown > 0 ? `its files grow by ${grown} bytes` : "its files do not show how many bytes it writes",
      isHoldfast: true,
      operations,
      one: holdfast.put,
      read: holdfast.read,
    },
    bare && { name: "bare write + fdatasync", note: `${bytes} bytes, appended, in turn`, operations, one: bare.put },
  ].filter(Boolean);

  return {
    makeInput: (round, count) => ({
      keys: pick(all, shuffledIndices(ENTRIES, round)),
      values: makeValues(ENTRIES, round + 1),
      count,
      expected: count,
    }),
    inTurn: pair,
    subjects: [
      sqlite && { name: "better-sqlite3 WAL FULL", operations, pass: sqlite.putPass, read: sqlite.read },
      lmdb && { name: "lmdb putSync", note: "its default: fdatasync", operations, pass: lmdb.putPass, read: lmdb.read },
      level && {
        name: "classic-level put sync",
        note: "async, awaited one by one",
        operations,
        pass: level.putPass,
        read: level.read,
      },
    ].filter(Boolean),
  };
}
