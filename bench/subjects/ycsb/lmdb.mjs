// YCSB over lmdb: a record is one value, msgpack with shared structures, which its authors advise for objects of one shape. Never
// synced (`noSync`); each write is a transaction of its own.

import { open } from "lmdb";
import { FIELDS, INSERT, READ, READ_MODIFY_WRITE, SCAN, TOLD_BY, UPDATE } from "../../work/ycsb.mjs";

const STRUCTURES = Symbol.for("structures");

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

export function openYcsb(folder) {
  const db = open({ path: folder, noSync: true, sharedStructuresKey: STRUCTURES });
  return {
    load(keys, records) {
      db.transactionSync(() => {
        for (let i = 0; i < keys.length; i++) db.put(keys[i], records[i]);
      });
    },
    pass({ kinds, keys, fields, texts, records, lengths, count }) {
      let total = 0;
      for (let i = 0; i < count; i++) {
        const kind = kinds[i];
        if (kind === READ) total += tally(db.get(keys[i]));
        else if (kind === UPDATE) db.putSync(keys[i], { ...db.get(keys[i]), [fields[i]]: texts[i] });
        else if (kind === INSERT) db.putSync(keys[i], records[i]);
        else if (kind === SCAN) {
          for (const { value } of db.getRange({ start: keys[i], limit: lengths[i] }).asArray) total += tally(value);
        } else if (kind === READ_MODIFY_WRITE) {
          total += db.transactionSync(() => {
            const record = db.get(keys[i]);
            db.put(keys[i], { ...record, [fields[i]]: texts[i] });
            return tally(record);
          });
        }
      }
      return total;
    },
    read(key) {
      const record = db.get(key);
      return FIELDS.map((field) => record[field]).join("");
    },
    close: () => db.close(),
  };
}
