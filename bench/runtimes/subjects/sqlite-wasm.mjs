// SQLite's own build for browsers: in memory, and in a worker over the origin private file system by its pool of synchronous handles,
// which its documentation calls the fastest of its file systems there.
//
// Keeps true: over the pool the journal is a write-ahead log, as everywhere else, which takes exclusive locking there.

import init from "@sqlite.org/sqlite-wasm";
import { sqlite } from "./sqlite.mjs";

const POOL = { name: "bench-sqlite", directory: "bench-sqlite", initialCapacity: 8 };
const FILE = "/bench.db";

let library;
const sqlite3 = () => {
  library ??= init();
  return library;
};

function connection(db) {
  return {
    exec: (text) => db.exec(text),
    prepare(text) {
      const statement = db.prepare(text);
      const bound = (given) => (given.length > 0 ? statement.bind(given) : statement);
      return {
        run: (...given) => bound(given).stepReset(),
        get(...given) {
          const value = bound(given).step() ? statement.get(0) : undefined;
          statement.reset();
          return value;
        },
        all(...given) {
          const values = [];
          bound(given);
          while (statement.step()) values.push(statement.get(0));
          statement.reset();
          return values;
        },
      };
    },
    close: () => db.close(),
  };
}

export function sqliteInMemory() {
  const connect = async () => connection(new (await sqlite3()).oo1.DB(":memory:"));
  return sqlite({ name: "sqlite-wasm", mode: "in-memory", connect });
}

export function sqliteOnOpfs({ mode }) {
  let pool;
  const connect = async () => {
    pool ??= await (await sqlite3()).installOpfsSAHPoolVfs(POOL);
    return connection(new pool.OpfsSAHPoolDb(FILE));
  };
  const remove = async () => {
    await pool?.removeVfs();
    pool = undefined;
  };
  const note = "opfs-sahpool, exclusive locking";
  return sqlite({ name: "sqlite-wasm", mode, connect, remove, note, pragmas: "pragma locking_mode = exclusive" });
}
