// YCSB over `run.kv` of a database in memory: a record is one value, an object of ten texts.
//
// An update reads the record and puts it back with one field changed; read-modify-write does so in a transaction.

import { FIELDS, INSERT, READ, READ_MODIFY_WRITE, SCAN, TOLD_BY, UPDATE } from "../../work/ycsb.mjs";
import { openDatabase } from "../holdfast.mjs";

const LOAD_BATCH = 1000;

/** All ten fields, told by their last characters. */
const tally = (of) =>
  of.field0.charCodeAt(TOLD_BY) +
  of.field1.charCodeAt(TOLD_BY) +
  of.field2.charCodeAt(TOLD_BY) +
  of.field3.charCodeAt(TOLD_BY) +
  of.field4.charCodeAt(TOLD_BY) +
  of.field5.charCodeAt(TOLD_BY) +
  of.field6.charCodeAt(TOLD_BY) +
  of.field7.charCodeAt(TOLD_BY) +
  of.field8.charCodeAt(TOLD_BY) +
  of.field9.charCodeAt(TOLD_BY);

export async function openYcsb() {
  const db = await openDatabase();
  const run = db.run("bench");
  const { kv } = run;
  return {
    load(keys, records) {
      for (let from = 0; from < keys.length; from += LOAD_BATCH) {
        run.transaction((tx) => {
          const to = Math.min(from + LOAD_BATCH, keys.length);
          for (let i = from; i < to; i++) tx.kv.put(keys[i], records[i]);
        });
      }
    },
    pass({ kinds, keys, fields, texts, records, lengths, count }) {
      let total = 0;
      for (let i = 0; i < count; i++) {
        const kind = kinds[i];
        if (kind === READ) total += tally(kv.get(keys[i]));
        else if (kind === UPDATE) {
          const record = kv.get(keys[i]);
          record[fields[i]] = texts[i];
          kv.put(keys[i], record);
        } else if (kind === INSERT) kv.put(keys[i], records[i]);
        else if (kind === SCAN) {
          for (const entry of kv.list({ start: keys[i], limit: lengths[i] })) total += tally(entry[1]);
        } else if (kind === READ_MODIFY_WRITE) {
          total += run.transaction((tx) => {
            const record = tx.kv.get(keys[i]);
            const found = tally(record);
            record[fields[i]] = texts[i];
            tx.kv.put(keys[i], record);
            return found;
          });
        }
      }
      return total;
    },
    read(key) {
      const record = kv.get(key);
      return FIELDS.map((field) => record[field]).join("");
    },
    close: () => db.close(),
  };
}
