// The core workloads of YCSB, A to F, as lists of operations with what has to come of them.
//
// Keeps true:
// - Shares, distributions, fields and lengths of scans are those of YCSB's published workload files, key names those of its
//   hashed order.
// - A round's operations follow from its number; every subject does all of them, in every round, so that all stores hold the
//   same at its end. What is right is found out beforehand, by doing them on plain arrays.

import { flatCopy, randomFrom } from "../workload.mjs";
import { fnvHash64, scrambledZipfian, skewedLatest } from "./zipfian.mjs";

export const FIELDS = Array.from({ length: 10 }, (_, at) => `field${at}`);
const FIELD_CHARS = 100;
/** The last character of a field: what a read is told by. */
export const TOLD_BY = FIELD_CHARS - 1;
const SCAN_MAX = 100;

export const READ = 0;
export const UPDATE = 1;
export const INSERT = 2;
export const SCAN = 3;
export const READ_MODIFY_WRITE = 4;

export const WORKLOADS = {
  a: {
    title: "half reads, half updates, zipfian",
    shares: [
      [READ, 0.5],
      [UPDATE, 0.5],
    ],
  },
  b: {
    title: "95 % reads, 5 % updates, zipfian",
    shares: [
      [READ, 0.95],
      [UPDATE, 0.05],
    ],
  },
  c: { title: "reads only, zipfian", shares: [[READ, 1]] },
  d: {
    title: "95 % reads of the latest, 5 % inserts",
    shares: [
      [READ, 0.95],
      [INSERT, 0.05],
    ],
    isLatest: true,
  },
  e: {
    title: "95 % scans of up to 100 records, 5 % inserts, zipfian",
    shares: [
      [SCAN, 0.95],
      [INSERT, 0.05],
    ],
  },
  f: {
    title: "half reads, half read-modify-writes, zipfian",
    shares: [
      [READ, 0.5],
      [READ_MODIFY_WRITE, 0.5],
    ],
  },
};

const POOL_CHARS = 1 << 20;
const PRINTABLE_FROM = 32;
const PRINTABLE = 95;

/** Fields of printable characters, cut out of one long text: flat strings of their own. */
function openTexts(random) {
  const pool = Buffer.alloc(POOL_CHARS);
  for (let at = 0; at < POOL_CHARS; at++) pool[at] = PRINTABLE_FROM + Math.floor(random() * PRINTABLE);
  return () => {
    const from = Math.floor(random() * (POOL_CHARS - FIELD_CHARS));
    return pool.latin1Slice(from, from + FIELD_CHARS);
  };
}

export const toRecord = (texts) => Object.fromEntries(FIELDS.map((field, at) => [field, texts[at]]));
const tally = (texts) => texts.reduce((total, text) => total + text.charCodeAt(TOLD_BY), 0);

/** Where `key` stands in sorted keys, or would stand. */
function placeOf(sorted, key) {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * One workload over so many records: `keys` and `records` to be loaded, and `makeInput(round, count)`. Rounds are asked for in
 * order, each as often as there are subjects.
 */
export function openWorkload({ shares, isLatest = false }, { records: loaded, operations, rounds, seed }) {
  const random = randomFrom(seed);
  const nextText = openTexts(random);
  const insertShare = shares.find(([kind]) => kind === INSERT)?.[1] ?? 0;
  // Twice as many as there will be, as YCSB does: what is chosen beyond the newest is chosen again.
  const expected = Math.ceil(operations * rounds * insertShare * 2);
  const zipfianOverAll = scrambledZipfian(random, loaded + expected);
  const latest = skewedLatest(random, loaded);

  const names = [];
  const model = new Map();
  const sorted = [];
  const insert = () => {
    const key = flatCopy(`user${fnvHash64(names.length)}`);
    const texts = FIELDS.map(nextText);
    names.push(key);
    model.set(key, texts);
    return { key, texts };
  };
  for (let at = 0; at < loaded; at++) insert();
  sorted.push(...[...names].sort());
  const initial = names.map((key) => toRecord(model.get(key)));

  const chooseKind = () => {
    let at = random();
    for (const [kind, share] of shares) {
      if (at < share) return kind;
      at -= share;
    }
    return shares[0][0];
  };
  const chooseKey = () => {
    if (isLatest) return names[latest.next(names.length - 1)];
    let number = zipfianOverAll.next();
    while (number >= names.length) number = zipfianOverAll.next();
    return names[number];
  };
  const change = (input, i, key) => {
    input.fields[i] = FIELDS[Math.floor(random() * FIELDS.length)];
    input.texts[i] = nextText();
    const texts = [...model.get(key)];
    texts[FIELDS.indexOf(input.fields[i])] = input.texts[i];
    model.set(key, texts);
  };

  /** Does an operation on the model and writes it down; returns what it reads, told by tally. */
  const act = (input, i, kind) => {
    if (kind === INSERT) {
      const { key, texts } = insert();
      sorted.splice(placeOf(sorted, key), 0, key);
      input.keys[i] = key;
      input.records[i] = toRecord(texts);
      return 0;
    }
    const key = chooseKey();
    input.keys[i] = key;
    if (kind === SCAN) {
      input.lengths[i] = 1 + Math.floor(random() * SCAN_MAX);
      const from = placeOf(sorted, key);
      const found = sorted.slice(from, from + input.lengths[i]);
      return found.reduce((total, each) => total + tally(model.get(each)), 0);
    }
    const before = tally(model.get(key));
    if (kind !== READ) change(input, i, key);
    return kind === UPDATE ? 0 : before;
  };

  let current = { round: -1 };
  return {
    keys: names.slice(0, loaded),
    records: initial,
    makeInput(round) {
      if (current.round === round) return current.input;
      const make = (fill) => new Array(operations).fill(fill);
      const input = {
        kinds: new Uint8Array(operations),
        keys: make(""),
        fields: make(FIELDS[0]),
        texts: make(""),
        records: make(undefined),
        lengths: new Uint8Array(operations),
        count: operations,
        expected: 0,
      };
      for (let i = 0; i < operations; i++) {
        input.kinds[i] = chooseKind();
        input.expected += act(input, i, input.kinds[i]);
      }
      // What stands in the end under the last key, for who looks there.
      input.values = { [operations - 1]: model.get(input.keys[operations - 1]).join("") };
      current = { round, input };
      return input;
    },
  };
}
