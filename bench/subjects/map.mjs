// `Map`: what a read costs when there is no store at all. It keeps no order, no versions and no file.

export function openMap() {
  const map = new Map();
  return {
    load(keys, values) {
      for (let i = 0; i < keys.length; i++) map.set(keys[i], values[i]);
    },
    getPass({ keys, count }) {
      let total = 0;
      for (let i = 0; i < count; i++) total += map.get(keys[i]);
      return total;
    },
    putPass({ keys, values, count }) {
      for (let i = 0; i < count; i++) map.set(keys[i], values[i]);
      return count;
    },
    /** There is no index to ask: every key is looked at, and the hits are sorted. */
    listPass({ keys: prefixes, count }) {
      let total = 0;
      for (let i = 0; i < count; i++) {
        const prefix = prefixes[i];
        const found = [];
        for (const entry of map) if (entry[0].startsWith(prefix)) found.push(entry);
        found.sort((a, b) => (a[0] < b[0] ? -1 : 1));
        for (const entry of found) total += entry[1];
      }
      return total;
    },
    getEachPass({ keys: groups, count }) {
      let total = 0;
      for (let i = 0; i < count; i++) {
        for (const key of groups[i]) total += map.get(key);
      }
      return total;
    },
    put: (key, value) => map.set(key, value),
    read: (key) => map.get(key),
    close() {},
  };
}
