// better-sqlite3: SQLite, synchronous, in the same process. Each statement is prepared once and every put commits by itself.
//
// The table is clustered by its key (`WITHOUT ROWID`), which is SQLite's shortest way from a text key to a value; reads are
// plucked, so that no row object is made.

import path from "node:path";
import Sqlite from "better-sqlite3";

/** A database in memory, its tables made by `schema`: for what is not keys and values. */
export function openSqliteTables(schema) {
  const db = new Sqlite(":memory:");
  db.exec(schema);
  return db;
}

const UPSERT = "INSERT INTO kv (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value";

/** @param options `folder` for a file with a write-ahead log, none for `:memory:`; `synchronous` is the pragma's value. */
export function openSqlite({ folder, synchronous }) {
  const db = new Sqlite(folder === undefined ? ":memory:" : path.join(folder, "kv.sqlite"));
  if (folder !== undefined) setDurability(db, synchronous);
  db.exec("CREATE TABLE kv (key TEXT PRIMARY KEY, value) WITHOUT ROWID");
  const select = db.prepare("SELECT value FROM kv WHERE key = ?").pluck();
  const selectRange = db.prepare("SELECT key, value FROM kv WHERE key >= ? AND key < ? ORDER BY key").raw();
  const upsert = db.prepare(UPSERT);
  const begin = db.prepare("BEGIN");
  const commit = db.prepare("COMMIT");

  return {
    load(keys, values) {
      db.transaction(() => {
        for (let i = 0; i < keys.length; i++) upsert.run(keys[i], values[i]);
      })();
    },
    getPass({ keys, count }) {
      let total = 0;
      for (let i = 0; i < count; i++) total += select.get(keys[i]);
      return total;
    },
    putPass({ keys, values, count }) {
      let puts = 0;
      for (let i = 0; i < count; i++) puts += upsert.run(keys[i], values[i]).changes;
      return puts;
    },
    listPass({ keys: prefixes, count }) {
      let total = 0;
      for (let i = 0; i < count; i++) {
        for (const entry of selectRange.all(prefixes[i], `${prefixes[i]}\u{10ffff}`)) total += entry[1];
      }
      return total;
    },
    getEachPass({ keys: groups, count }) {
      let total = 0;
      for (let i = 0; i < count; i++) {
        for (const key of groups[i]) total += select.get(key);
      }
      return total;
    },
    /** The read is what makes SQLite take its snapshot. */
    snapshotGetPass({ keys, count }) {
      let total = 0;
      for (let i = 0; i < count; i++) {
        begin.run();
        total += select.get(keys[i]);
        commit.run();
      }
      return total;
    },
    transactionPutPass({ keys, values, count }) {
      const one = db.transaction((key, value) => upsert.run(key, value).changes);
      let commits = 0;
      for (let i = 0; i < count; i++) commits += one(keys[i], values[i]);
      return commits;
    },
    transactionPass({ readKeys, keys, values, count, reads, writes }) {
      const several = db.transaction((i) => {
        let found = 0;
        for (let at = i; at < i + reads; at++) found += select.get(readKeys[at]);
        for (let at = i; at < i + writes; at++) upsert.run(keys[at], values[at]);
        return found;
      });
      let total = 0;
      for (let i = 0; i < count; i++) total += several(i);
      return total;
    },
    put: (key, value) => upsert.run(key, value),
    read: (key) => select.get(key),
    close: () => db.close(),
  };
}

function setDurability(db, synchronous) {
  const journal = db.pragma("journal_mode = WAL", { simple: true });
  if (journal !== "wal") throw new Error(`journal_mode is ${journal} where wal was asked for`);
  db.pragma(`synchronous = ${synchronous}`);
}
