// What an entry takes beyond its key and its value: 100,000 entries, keys of 16 bytes, values of 64.
//
// Keeps true: what is counted is all that a store takes from the system when it holds the entries over what it took when it
// held none, divided by them, less the bytes of key and value; entries are put one by one, and then each is written over once.

import { collectGarbage } from "../measure.mjs";
import { spread } from "../statistics.mjs";
import { openDatabase } from "../subjects/holdfast.mjs";
import { shuffledIndices } from "../workload.mjs";

const ENTRIES = 100_000;
const KEY_BYTES = 16;
const VALUE_BYTES = 64;

const keyAt = (index) => Buffer.from(String(index).padStart(KEY_BYTES, "k"), "latin1").toString("latin1");
const valueAt = (index) => new Uint8Array(VALUE_BYTES).fill(index);

/** Stores that say how many bytes they have. */
const stores = {
  async holdfast() {
    const db = await openDatabase();
    const { kv } = db.run("bench");
    return {
      put: (key, value) => kv.put(key, value),
      count: () => kv.count(),
      bytes: () => db.stats().memoryBytes,
      liveBytes: () => db.stats().liveBytes,
      close: () => db.close(),
    };
  },
  async map() {
    const map = new Map();
    return {
      put: (key, value) => map.set(key, value),
      count: () => map.size,
      bytes() {
        collectGarbage();
        const { heapUsed, arrayBuffers } = process.memoryUsage();
        return heapUsed + arrayBuffers;
      },
      close() {},
    };
  },
  async sqlite() {
    const { default: Sqlite } = await import("better-sqlite3");
    const db = new Sqlite(":memory:");
    db.exec("CREATE TABLE entries (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID");
    const upsert = db.prepare(
      "INSERT INTO entries VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    );
    const count = db.prepare("SELECT count(*) FROM entries").pluck();
    return {
      put: (key, value) => upsert.run(key, value),
      count: () => count.get(),
      bytes: () => db.pragma("page_count", { simple: true }) * db.pragma("page_size", { simple: true }),
      close: () => db.close(),
    };
  },
};

const beyond = (bytes) => bytes / ENTRIES - KEY_BYTES - VALUE_BYTES;

/** Bytes for each entry beyond key and value: when all are there, and when each was written over. */
async function fillOnce(open) {
  const store = await open();
  try {
    const empty = store.bytes();
    for (let i = 0; i < ENTRIES; i++) store.put(keyAt(i), valueAt(i));
    const filled = beyond(store.bytes() - empty);
    const live = store.liveBytes === undefined ? undefined : beyond(store.liveBytes());
    for (const i of shuffledIndices(ENTRIES, 1)) store.put(keyAt(i), valueAt(i + 1));
    if (store.count() !== ENTRIES) throw new Error(`holds ${store.count()} entries where ${ENTRIES} are right`);
    return { filled, live, overwritten: beyond(store.bytes() - empty) };
  } finally {
    await store.close();
  }
}

const row = (name, bytes, more = {}) => ({ name, figure: spread([bytes]), ...more });

export async function prepare() {
  const measure = async (progress) => {
    progress("filling each store");
    const holdfast = await fillOnce(stores.holdfast);
    const map = await fillOnce(stores.map);
    const sqlite = await fillOnce(stores.sqlite);
    return [
      row("Holdfast", holdfast.filled, { isHoldfast: true, note: "all linear memory" }),
      row("Holdfast, in use", holdfast.live, { isHoldfast: true, note: "of it the table, keys and newest values" }),
      row("Holdfast, each written over", holdfast.overwritten, { isHoldfast: true }),
      row("Map", map.filled, { note: "heap and buffers of a Map of Uint8Arrays" }),
      row("better-sqlite3 :memory:", sqlite.filled, { note: "its pages" }),
      row("better-sqlite3, each written over", sqlite.overwritten),
    ];
  };
  return { measure, rounds: 1 };
}
