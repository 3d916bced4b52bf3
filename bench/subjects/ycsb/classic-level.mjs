// YCSB over classic-level: a record is one value, JSON; its writes are asynchronous and awaited one by one, its single reads are
// synchronous. It has no transactions that read: read-modify-write is a read and a put.

import { ClassicLevel } from "classic-level";
import { FIELDS, INSERT, READ, SCAN, TOLD_BY, UPDATE } from "../../work/ycsb.mjs";

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

export async function openYcsb(folder) {
  const db = new ClassicLevel(folder, { keyEncoding: "utf8", valueEncoding: "json" });
  await db.open();
  return {
    async load(keys, records) {
      for (let from = 0; from < keys.length; from += LOAD_BATCH) {
        const batch = keys.slice(from, from + LOAD_BATCH);
        await db.batch(batch.map((key, i) => ({ type: "put", key, value: records[from + i] })));
      }
    },
    async pass({ kinds, keys, fields, texts, records, lengths, count }) {
      let total = 0;
      for (let i = 0; i < count; i++) {
        const kind = kinds[i];
        if (kind === READ) total += tally(db.getSync(keys[i]));
        else if (kind === INSERT) await db.put(keys[i], records[i]);
        else if (kind === SCAN) {
          const found = await db.iterator({ gte: keys[i], limit: lengths[i] }).all();
          for (const entry of found) total += tally(entry[1]);
        } else {
          const record = db.getSync(keys[i]);
          if (kind !== UPDATE) total += tally(record);
          record[fields[i]] = texts[i];
          await db.put(keys[i], record);
        }
      }
      return total;
    },
    read(key) {
      const record = db.getSync(key);
      return FIELDS.map((field) => record[field]).join("");
    },
    close: () => db.close(),
  };
}
