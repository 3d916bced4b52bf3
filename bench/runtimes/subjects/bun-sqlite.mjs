// `bun:sqlite`, at a path or in memory.
import { Database } from "bun:sqlite";
import { sqlite } from "./sqlite.mjs";

function connect(path) {
  const db = new Database(path, { create: true, strict: true });
  const first = (row) => row?.[0];
  return {
    exec: (text) => db.run(text),
    prepare(text) {
      const statement = db.prepare(text);
      return {
        run: (...given) => statement.run(...given),
        get: (...given) => first(statement.values(...given)[0]),
        all: (...given) => statement.values(...given).map(first),
      };
    },
    close: () => db.close(),
  };
}

export const nativeSqlite = ({ mode, path = ":memory:", remove }) =>
  sqlite({ name: "bun:sqlite", mode, connect: () => connect(path), remove });
