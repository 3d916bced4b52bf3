// Explicit transactions in memory: of one put, and of ten reads and ten writes of other keys. One operation is one of them.

import { openSqlite } from "../subjects/better-sqlite3.mjs";
import { openHoldfast } from "../subjects/holdfast.mjs";
import { openLmdb } from "../subjects/lmdb.mjs";
import { makeKeys, makeValues, pick, shuffledIndices, sum } from "../workload.mjs";

const ENTRIES = 100_000;
const SINGLE = 40_000;
const SINGLE_QUICK = 8000;
const MIXED = 10_000;
const MIXED_QUICK = 2000;
const TOUCHED = 10;

export async function prepare({ scratch, quick, opened }) {
  const all = makeKeys(ENTRIES);
  const values = makeValues(ENTRIES, 0);
  // What is read is never written, so that what is right is known beforehand.
  const half = ENTRIES / 2;

  const holdfast = await opened("Holdfast", () => openHoldfast({ durability: "in-memory" }));
  const sqlite = await opened("better-sqlite3", () => openSqlite({}));
  const lmdb = await opened("lmdb", () => openLmdb({ folder: scratch.folder("lmdb"), sync: false }));
  for (const store of [holdfast, sqlite, lmdb]) await store?.load(all, values);

  /** Operation `i` reads and writes the ten keys from `i` on: neighbours in a shuffled order. */
  const mixed = (round, count) => {
    const read = shuffledIndices(half, round);
    const written = shuffledIndices(half, round + 1000).map((index) => index + half);
    const found = pick(values, read);
    let expected = 0;
    for (let i = 0; i < count; i++) expected += sum(found.slice(i, i + TOUCHED), TOUCHED);
    return {
      readKeys: pick(all, read),
      keys: pick(all, written),
      values: makeValues(half, round + 1),
      count,
      reads: TOUCHED,
      writes: TOUCHED,
      expected,
    };
  };
  const single = (round, count) => ({ ...mixed(round, 0), count, expected: count });

  const subjectsOf = (kind, operations, pass, makeInput) =>
    [
      holdfast && { name: `Holdfast run.transaction, ${kind}`, isHoldfast: true, store: holdfast, share: 1 },
      sqlite && { name: `better-sqlite3 :memory:, ${kind}`, store: sqlite, share: 1 },
      lmdb && { name: `lmdb transactionSync, ${kind}`, note: "noSync; a file even so", store: lmdb, share: 0.5 },
    ]
      .filter(Boolean)
      .map(({ store, share, ...subject }) => ({
        ...subject,
        operations: operations * share,
        pass: store[pass],
        read: store.read,
        makeInput,
      }));
  return {
    computes: true,
    subjects: [
      ...subjectsOf("one put", quick ? SINGLE_QUICK : SINGLE, "transactionPutPass", single),
      ...subjectsOf("10 gets, 10 puts", quick ? MIXED_QUICK : MIXED, "transactionPass", mixed),
    ],
  };
}
