// YCSB over better-sqlite3 `:memory:`: a record is a row of ten columns, as YCSB has it for databases with tables. An update is one
// statement that changes one column; rows come as arrays.

import { FIELDS, INSERT, READ, READ_MODIFY_WRITE, SCAN, TOLD_BY, UPDATE } from "../../work/ycsb.mjs";
import { openSqliteTables } from "../better-sqlite3.mjs";

const COLUMNS = FIELDS.join(", ");
const SCHEMA = `CREATE TABLE records (key TEXT PRIMARY KEY, ${FIELDS.map((field) => `${field} TEXT`).join(", ")})`;

/** All ten columns, told by their last characters. */
const tally = (of) =>
  of[0].charCodeAt(TOLD_BY) +
  of[1].charCodeAt(TOLD_BY) +
  of[2].charCodeAt(TOLD_BY) +
  of[3].charCodeAt(TOLD_BY) +
  of[4].charCodeAt(TOLD_BY) +
  of[5].charCodeAt(TOLD_BY) +
  of[6].charCodeAt(TOLD_BY) +
  of[7].charCodeAt(TOLD_BY) +
  of[8].charCodeAt(TOLD_BY) +
  of[9].charCodeAt(TOLD_BY);

export function openYcsb() {
  const db = openSqliteTables(SCHEMA);
  const insertRow = db.prepare(`INSERT INTO records VALUES (?, ${FIELDS.map(() => "?").join(", ")})`);
  const select = db.prepare(`SELECT ${COLUMNS} FROM records WHERE key = ?`).raw();
  const selectRange = db.prepare(`SELECT ${COLUMNS} FROM records WHERE key >= ? ORDER BY key LIMIT ?`).raw();
  const updates = Object.fromEntries(
    FIELDS.map((field) => [field, db.prepare(`UPDATE records SET ${field} = ? WHERE key = ?`)]),
  );
  const insert = (key, record) => insertRow.run(key, ...FIELDS.map((field) => record[field]));
  const readModifyWrite = db.transaction((key, field, text) => {
    const found = tally(select.get(key));
    updates[field].run(text, key);
    return found;
  });
  return {
    load: db.transaction((keys, records) => {
      for (let i = 0; i < keys.length; i++) insert(keys[i], records[i]);
    }),
    pass({ kinds, keys, fields, texts, records, lengths, count }) {
      let total = 0;
      for (let i = 0; i < count; i++) {
        const kind = kinds[i];
        if (kind === READ) total += tally(select.get(keys[i]));
        else if (kind === UPDATE) updates[fields[i]].run(texts[i], keys[i]);
        else if (kind === INSERT) insert(keys[i], records[i]);
        else if (kind === SCAN) for (const row of selectRange.all(keys[i], lengths[i])) total += tally(row);
        else if (kind === READ_MODIFY_WRITE) total += readModifyWrite(keys[i], fields[i], texts[i]);
      }
      return total;
    },
    read: (key) => select.get(key).join(""),
    close: () => db.close(),
  };
}
