// Stores of bytes, in memory: values are `Uint8Array`s, and a read gives one that is the reader's own, but for `Map`'s, which is
// the one that was put.
//
// Keeps true: each has loops of its own. What was read is told by its length, its first and its last byte.

import { open as openEnvironment } from "lmdb";
import { openSqliteTables } from "./better-sqlite3.mjs";
import { openDatabase } from "./holdfast.mjs";

export const tell = (bytes) => bytes.length + bytes[0] + bytes[bytes.length - 1];

export async function openHoldfastBytes() {
  const db = await openDatabase();
  const { kv } = db.run("bench");
  return {
    getPass({ keys, count }) {
      let total = 0;
      for (let i = 0; i < count; i++) {
        const found = kv.get(keys[i]);
        total += found.length + found[0] + found[found.length - 1];
      }
      return total;
    },
    putPass({ keys, blobs, count }) {
      let puts = 0;
      for (let i = 0; i < count; i++) if (kv.put(keys[i], blobs[i]) > 0) puts++;
      return puts;
    },
    read: (key) => kv.get(key),
    close: () => db.close(),
  };
}

export function openMapOfBytes() {
  const map = new Map();
  return {
    getPass({ keys, count }) {
      let total = 0;
      for (let i = 0; i < count; i++) {
        const found = map.get(keys[i]);
        total += found.length + found[0] + found[found.length - 1];
      }
      return total;
    },
    putPass({ keys, blobs, count }) {
      for (let i = 0; i < count; i++) map.set(keys[i], blobs[i]);
      return count;
    },
    read: (key) => map.get(key),
    close() {},
  };
}

export function openLmdbBytes(folder) {
  const db = openEnvironment({ path: folder, noSync: true, encoding: "binary" });
  return {
    getPass({ keys, count }) {
      let total = 0;
      for (let i = 0; i < count; i++) {
        const found = db.get(keys[i]);
        total += found.length + found[0] + found[found.length - 1];
      }
      return total;
    },
    putPass({ keys, blobs, count }) {
      let puts = 0;
      for (let i = 0; i < count; i++) if (db.putSync(keys[i], blobs[i])) puts++;
      return puts;
    },
    read: (key) => db.get(key),
    close: () => db.close(),
  };
}

/** A table with row numbers, and an index of keys: SQLite advises against `WITHOUT ROWID` for rows that are not small. */
export function openSqliteBytes() {
  const db = openSqliteTables("CREATE TABLE kv (key TEXT PRIMARY KEY, value BLOB)");
  const select = db.prepare("SELECT value FROM kv WHERE key = ?").pluck();
  const upsert = db.prepare(
    "INSERT INTO kv (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
  );
  return {
    getPass({ keys, count }) {
      let total = 0;
      for (let i = 0; i < count; i++) {
        const found = select.get(keys[i]);
        total += found.length + found[0] + found[found.length - 1];
      }
      return total;
    },
    putPass({ keys, blobs, count }) {
      let puts = 0;
      for (let i = 0; i < count; i++) puts += upsert.run(keys[i], blobs[i]).changes;
      return puts;
    },
    read: (key) => select.get(key),
    close: () => db.close(),
  };
}
