// An event log in better-sqlite3 `:memory:`: JSON payloads, the same chain of hashes, an index by type. The newest hash is
// kept in a variable, as a program with a single writer would.

import { openSqliteTables } from "./better-sqlite3.mjs";
import { GENESIS, sealJson } from "./events-by-hand.mjs";

const SCHEMA = `
  CREATE TABLE events (
    sequence INTEGER PRIMARY KEY, type TEXT, bytes TEXT, timestamp INTEGER, previous_hash BLOB, hash BLOB
  );
  CREATE INDEX events_by_type ON events (type, sequence);`;

export function openEventsSqlite() {
  const db = openSqliteTables(SCHEMA);
  const insert = db.prepare("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)");
  const select = db.prepare("SELECT bytes FROM events WHERE sequence = ?").pluck();
  const selectRange = db.prepare("SELECT * FROM events WHERE sequence >= ? AND sequence < ? ORDER BY sequence").raw();
  let length = 0;
  let head = GENESIS;
  const append = (type, payload) => {
    const sequence = length;
    const timestamp = Date.now();
    const bytes = JSON.stringify([sequence, type, payload, timestamp]);
    const hash = sealJson(bytes, head);
    insert.run(sequence, type, bytes, timestamp, head, hash);
    length++;
    head = hash;
    return sequence;
  };
  return {
    append,
    appendPass({ types, payloads, count }) {
      let inOrder = 0;
      let last = length - 1;
      for (let i = 0; i < count; i++) {
        const sequence = append(types[i], payloads[i]);
        if (sequence === last + 1) inOrder++;
        last = sequence;
      }
      return inOrder;
    },
    readPass({ sequences, count }) {
      let total = 0;
      for (let i = 0; i < count; i++) total += JSON.parse(select.get(sequences[i]))[2].step;
      return total;
    },
    rangePass({ starts, length: rangeLength }) {
      let total = 0;
      for (const start of starts) {
        for (const row of selectRange.all(start, start + rangeLength)) total += JSON.parse(row[2])[2].step;
      }
      return total;
    },
    close: () => db.close(),
  };
}
