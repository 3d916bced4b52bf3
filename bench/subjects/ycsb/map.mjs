// YCSB over a `Map`: the record that is read is the object that was put, so nothing is copied or decoded; an update makes a copy
// of it with one field changed. It has no order, so that it cannot scan.

import { FIELDS, INSERT, READ, READ_MODIFY_WRITE, TOLD_BY, UPDATE } from "../../work/ycsb.mjs";

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

export function openYcsb() {
  const map = new Map();
  return {
    load(keys, records) {
      for (let i = 0; i < keys.length; i++) map.set(keys[i], records[i]);
    },
    pass({ kinds, keys, fields, texts, records, count }) {
      let total = 0;
      for (let i = 0; i < count; i++) {
        const kind = kinds[i];
        if (kind === READ) total += tally(map.get(keys[i]));
        else if (kind === INSERT) map.set(keys[i], records[i]);
        else if (kind === UPDATE || kind === READ_MODIFY_WRITE) {
          const record = { ...map.get(keys[i]) };
          if (kind === READ_MODIFY_WRITE) total += tally(record);
          record[fields[i]] = texts[i];
          map.set(keys[i], record);
        }
      }
      return total;
    },
    read(key) {
      const record = map.get(key);
      return FIELDS.map((field) => record[field]).join("");
    },
    close() {},
  };
}
