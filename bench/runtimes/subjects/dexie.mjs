// Dexie over IndexedDB, in the durability that is asked for.
import { Dexie } from "dexie";

const NAME = "bench-dexie";
const BATCH = 1000;
const DURABILITY = { buffered: "relaxed", strict: "strict" };

export function dexie({ mode }) {
  const open = async () => {
    let db;
    const store = {
      keeps: true,
      async open() {
        db = new Dexie(NAME, { chromeTransactionDurability: DURABILITY[mode] });
        // Keys stand beside the values, and events count themselves.
        db.version(1).stores({ kv: "", events: "++,type" });
        await db.open();
      },
      async load(keys, values) {
        for (let from = 0; from < keys.length; from += BATCH) {
          await db.kv.bulkPut(values.slice(from, from + BATCH), keys.slice(from, from + BATCH));
        }
      },
      get: (key) => later(db.kv.get(key)),
      getMany: (keys) => later(db.kv.bulkGet(keys)),
      list: (prefix) => later(db.kv.where(":id").startsWith(prefix).toArray()),
      snapshotGet: (key) => later(db.transaction("r", db.kv, () => db.kv.get(key))),
      put: (key, value) => later(db.kv.put(value, key)),
      transaction: (readKeys, keys, values) =>
        later(
          db.transaction("rw", db.kv, async () => {
            const found = await db.kv.bulkGet(readKeys);
            await db.kv.bulkPut(values, keys);
            return found;
          }),
        ),
      append: (type, payload) => later(db.events.add({ type, payload })),
      appended: () => db.events.count(),
      count: () => db.kv.count(),
      close: () => db.close(),
      async remove() {
        db.close();
        await Dexie.delete(NAME);
      },
    };
    await Dexie.delete(NAME);
    await store.open();
    return store;
  };
  const note = "asynchronous, awaited one by one; an event has no chain of hashes";
  return { name: "Dexie", note, open };
}

/** Its own kind of promise is none of the platform's where zones are at work. */
const later = (found) => Promise.resolve(found);
