// `node:sqlite`, at a path or in memory.
import { DatabaseSync } from "node:sqlite";
import { sqlite } from "./sqlite.mjs";

function connect(path) {
  const db = new DatabaseSync(path);
  return {
    exec: (text) => db.exec(text),
    prepare(text) {
      const statement = db.prepare(text);
      // A row is an object with one member.
      const first = (row) => {
        for (const name in row) return row[name];
        return undefined;
      };
      return {
        run: (...given) => statement.run(...given),
        get: (...given) => first(statement.get(...given)),
        all: (...given) => statement.all(...given).map(first),
      };
    },
    close: () => db.close(),
  };
}

export const nativeSqlite = ({ mode, path = ":memory:", remove }) =>
  sqlite({ name: "node:sqlite", mode, connect: () => connect(path), remove });
