// `node:sqlite`: SQLite as Node brings it along, where it does. The same table, statements and pragmas as better-sqlite3.

import path from "node:path";
import { Missing } from "../missing.mjs";

const UPSERT = "INSERT INTO kv (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value";

async function loadSqlite() {
  try {
    return (await import("node:sqlite")).DatabaseSync;
  } catch {
    throw new Missing(`Node ${process.version} has no node:sqlite; from 22.13 on it is there`);
  }
}

/** @param options `folder` for a file with a write-ahead log, none for `:memory:`; `synchronous` is the pragma's value. */
export async function openNodeSqlite({ folder, synchronous } = {}) {
  const DatabaseSync = await loadSqlite();
  const db = new DatabaseSync(folder === undefined ? ":memory:" : path.join(folder, "kv.sqlite"));
  if (folder !== undefined) db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${synchronous}`);
  db.exec("CREATE TABLE kv (key TEXT PRIMARY KEY, value) WITHOUT ROWID");
  const select = db.prepare("SELECT value FROM kv WHERE key = ?");
  const selectRange = db.prepare("SELECT key, value FROM kv WHERE key >= ? AND key < ? ORDER BY key");
  const upsert = db.prepare(UPSERT);
  const begin = db.prepare("BEGIN");
  const commit = db.prepare("COMMIT");
  return {
    load(keys, values) {
      begin.run();
      for (let i = 0; i < keys.length; i++) upsert.run(keys[i], values[i]);
      commit.run();
    },
    getPass({ keys, count }) {
      let total = 0;
      for (let i = 0; i < count; i++) total += select.get(keys[i]).value;
      return total;
    },
    putPass({ keys, values, count }) {
      let puts = 0;
      for (let i = 0; i < count; i++) puts += Number(upsert.run(keys[i], values[i]).changes);
      return puts;
    },
    listPass({ keys: prefixes, count }) {
      let total = 0;
      for (let i = 0; i < count; i++) {
        for (const { value } of selectRange.all(prefixes[i], `${prefixes[i]}\u{10ffff}`)) total += value;
      }
      return total;
    },
    /** The read is what makes SQLite take its snapshot. */
    snapshotGetPass({ keys, count }) {
      let total = 0;
      for (let i = 0; i < count; i++) {
        begin.run();
        total += select.get(keys[i]).value;
        commit.run();
      }
      return total;
    },
    put: (key, value) => upsert.run(key, value),
    read: (key) => select.get(key)?.value,
    close: () => db.close(),
  };
}
