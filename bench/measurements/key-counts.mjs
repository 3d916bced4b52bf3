// Getting, and putting over what is there, out of a thousand, a hundred thousand and a million keys, in shuffled order.
//
// Keeps true: the three differ in how many keys there are and in nothing else; every pass does as many operations.

import { openSqlite } from "../subjects/better-sqlite3.mjs";
import { openHoldfast } from "../subjects/holdfast.mjs";
import { openLmdb } from "../subjects/lmdb.mjs";
import { openMap } from "../subjects/map.mjs";
import { makeKeys, makeValues, pick, shuffledIndices, sum } from "../workload.mjs";

const COUNTS = [1000, 100_000, 1_000_000];
const COUNTS_QUICK = [1000, 10_000, 100_000];
const OPERATIONS = 100_000;
const OPERATIONS_QUICK = 20_000;
/** Each put of lmdb is a transaction of pages. */
const LMDB_PUTS_SHARE = 0.1;

export const prepareGet = (context) =>
  prepare(context, ({ all, values }, store) => ({
    pass: store.getPass,
    makeInput: onceARound((round, count) => {
      const order = orderOf(all.length, count, round);
      return { keys: pick(all, order), count, expected: sum(pick(values, order), count) };
    }),
  }));

export const preparePut = (context) =>
  prepare(context, ({ all }, store, name) => ({
    pass: store.putPass,
    read: store.read,
    share: name === "lmdb" ? LMDB_PUTS_SHARE : 1,
    makeInput: onceARound((round, count) => {
      // Where keys come twice in a pass, the last one's value stands in the end, as is looked for.
      const keys = pick(all, orderOf(all.length, count, round));
      return { keys, values: makeValues(count, round + 1), count, expected: count };
    }),
  }));

/** `count` of the indices below `entries`, each as often as any other. */
function orderOf(entries, count, round) {
  if (entries >= count) return shuffledIndices(entries, round).subarray(0, count);
  return shuffledIndices(count, round).map((index) => index % entries);
}

/** A million indices are shuffled once in a round. */
function onceARound(make) {
  let made;
  return (round, count) => {
    if (made?.round !== round || made.count !== count) made = { round, count, input: make(round, count) };
    return made.input;
  };
}

async function prepare({ scratch, quick, opened }, toSubject) {
  const operations = quick ? OPERATIONS_QUICK : OPERATIONS;
  const subjects = [];
  for (const count of quick ? COUNTS_QUICK : COUNTS) {
    const work = { all: makeKeys(count), values: makeValues(count, 0) };
    const openers = {
      Holdfast: () => openHoldfast({ durability: "in-memory" }),
      Map: openMap,
      lmdb: () => openLmdb({ folder: scratch.folder(`lmdb-${count}`), sync: false }),
      "better-sqlite3 :memory:": () => openSqlite({}),
    };
    for (const [name, open] of Object.entries(openers)) {
      const store = await opened(name, open);
      if (store === undefined) continue;
      await store.load(work.all, work.values);
      const { share = 1, ...subject } = toSubject(work, store, name);
      subjects.push({
        ...subject,
        name: `${name}, ${count.toLocaleString("en")} keys`,
        isHoldfast: name === "Holdfast",
        operations: operations * share,
      });
    }
  }
  return { computes: true, subjects };
}
