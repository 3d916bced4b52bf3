// classic-level: LevelDB. Its writes exist in an asynchronous form only, on a thread of their own; its reads in both.

import { ClassicLevel } from "classic-level";

const LOAD_BATCH = 1000;

export async function openLevel({ folder, sync = false }) {
  const db = new ClassicLevel(folder, { keyEncoding: "utf8", valueEncoding: "json" });
  await db.open();
  const putOptions = { sync };

  return {
    async load(keys, values) {
      for (let from = 0; from < keys.length; from += LOAD_BATCH) {
        const batch = keys.slice(from, from + LOAD_BATCH);
        await db.batch(batch.map((key, i) => ({ type: "put", key, value: values[from + i] })));
      }
    },
    getSyncPass({ keys, count }) {
      let total = 0;
      for (let i = 0; i < count; i++) total += db.getSync(keys[i]);
      return total;
    },
    async getPass({ keys, count }) {
      let total = 0;
      for (let i = 0; i < count; i++) total += await db.get(keys[i]);
      return total;
    },
    async putPass({ keys, values, count }) {
      for (let i = 0; i < count; i++) await db.put(keys[i], values[i], putOptions);
      return count;
    },
    async listPass({ keys: prefixes, count }) {
      let total = 0;
      for (let i = 0; i < count; i++) {
        const found = await db.iterator({ gte: prefixes[i], lt: `${prefixes[i]}\u{10ffff}` }).all();
        for (const entry of found) total += entry[1];
      }
      return total;
    },
    read: (key) => db.get(key),
    close: () => db.close(),
  };
}
