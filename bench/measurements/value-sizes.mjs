// Getting and putting bytes in memory: 16 bytes, a kibibyte, 64 kibibytes.
//
// Keeps true: a put writes other bytes than are there, all of them made beforehand; a get gives bytes that are the caller's own,
// but for `Map`. After each pass of puts the last key's bytes are compared, every one.

import { openHoldfastBytes, openLmdbBytes, openMapOfBytes, openSqliteBytes, tell } from "../subjects/bytes.mjs";
import { makeKeys, pick, randomFrom, shuffledIndices } from "../workload.mjs";

/** Each pass comes once to every entry. */
const SIZES = [
  { name: "16 bytes", bytes: 16, entries: 20_000 },
  { name: "1 KiB", bytes: 1024, entries: 10_000 },
  { name: "64 KiB", bytes: 65_536, entries: 500 },
];
const QUICK_DIVISOR = 5;
/** Those that stand there and those that are put over them, in turn. */
const GENERATIONS = 2;
const SEED = 64;

function makeBlobs(count, bytes, random) {
  return Array.from({ length: count }, () => {
    const blob = new Uint8Array(bytes);
    for (let at = 0; at < bytes; at += 4) {
      const word = Math.floor(random() * 2 ** 32);
      for (let byte = 0; byte < 4; byte++) blob[at + byte] = word >>> (8 * byte);
    }
    return blob;
  });
}

const hex = (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");

export const prepareGet = (context) =>
  prepare(context, (all, [standing]) => ({
    pass: "getPass",
    makeInput(round, count) {
      const order = shuffledIndices(count, round);
      const expected = pick(standing, order).reduce((total, blob) => total + tell(blob), 0);
      return { keys: pick(all, order), count, expected };
    },
  }));

export const preparePut = (context) =>
  prepare(context, (all, generations) => ({
    pass: "putPass",
    makeInput(round, count) {
      const order = shuffledIndices(count, round);
      const blobs = pick(generations[(round + 1) % GENERATIONS], order);
      const last = count - 1;
      return { keys: pick(all, order), blobs, values: { [last]: hex(blobs[last]) }, count, expected: count };
    },
  }));

async function prepare({ scratch, quick, opened }, toSubject) {
  const random = randomFrom(SEED);
  const subjects = [];
  for (const size of SIZES) {
    const operations = quick ? size.entries / QUICK_DIVISOR : size.entries;
    const all = makeKeys(operations);
    const generations = Array.from({ length: GENERATIONS }, () => makeBlobs(operations, size.bytes, random));
    const openers = {
      Holdfast: openHoldfastBytes,
      Map: openMapOfBytes,
      lmdb: () => openLmdbBytes(scratch.folder(`lmdb-${size.bytes}`)),
      "better-sqlite3 :memory:": openSqliteBytes,
    };
    const { pass, makeInput } = toSubject(all, generations);
    for (const [name, open] of Object.entries(openers)) {
      const store = await opened(name, open);
      if (store === undefined) continue;
      store.putPass({ keys: all, blobs: generations[0], count: operations });
      subjects.push({
        name: `${name}, ${size.name}`,
        isHoldfast: name === "Holdfast",
        operations,
        pass: store[pass],
        makeInput,
        ...(pass === "putPass" ? { read: (key) => hex(store.read(key)) } : {}),
      });
    }
  }
  return { computes: true, subjects };
}
