// idb-keyval: IndexedDB with nothing around it. It has no transaction of several calls, no range and no way to be closed, and leaves
// the durability to the browser, which is relaxed.
import { createStore, get, getMany, set, setMany } from "idb-keyval";

const NAME = "bench-idb-keyval";
const BATCH = 1000;

export function idbKeyval() {
  const open = async () => {
    const at = createStore(NAME, "kv");
    return {
      keeps: true,
      async load(keys, values) {
        for (let from = 0; from < keys.length; from += BATCH) {
          const end = Math.min(from + BATCH, keys.length);
          await setMany(
            Array.from({ length: end - from }, (_, i) => [keys[from + i], values[from + i]]),
            at,
          );
        }
      },
      get: (key) => get(key, at),
      getMany: (keys) => getMany(keys, at),
      put: (key, value) => set(key, value, at),
      // Deleting waits for whoever has it open, which goes with the page.
      remove: () => void indexedDB.deleteDatabase(NAME),
    };
  };
  return { name: "idb-keyval", note: "asynchronous, awaited one by one; the browser's relaxed durability", open };
}
