// An ordered map behind one lock, with a full copy for each snapshot: the simplest design that gives order, isolation and
// snapshots, and what a store with versions has to be better than.
//
// Keeps true: each operation takes the lock and lets go of it, which nobody else wants here; a snapshot copies every node of
// the tree (`greedyClone` by force), so that what is written afterwards costs nothing more.

import BTreeModule, { simpleComparator } from "sorted-btree";
import { openMutex } from "../concurrency/mutex.mjs";

// The package is CommonJS, and its default export a property.
const BTree = BTreeModule.default;

export function openLockedTree() {
  const tree = new BTree(undefined, simpleComparator);
  const { lock, unlock } = openMutex(new SharedArrayBuffer(4));
  const get = (key) => {
    lock();
    const value = tree.get(key);
    unlock();
    return value;
  };
  const put = (key, value) => {
    lock();
    tree.set(key, value);
    unlock();
  };
  const copy = () => {
    lock();
    const copied = tree.greedyClone(true);
    unlock();
    return copied;
  };
  return {
    load(keys, values) {
      for (let i = 0; i < keys.length; i++) put(keys[i], values[i]);
    },
    getPass({ keys, count }) {
      let total = 0;
      for (let i = 0; i < count; i++) total += get(keys[i]);
      return total;
    },
    putPass({ keys, values, count }) {
      for (let i = 0; i < count; i++) put(keys[i], values[i]);
      return count;
    },
    listPass({ keys: prefixes, count }) {
      let total = 0;
      for (let i = 0; i < count; i++) {
        lock();
        const found = tree.getRange(prefixes[i], `${prefixes[i]}\u{10ffff}`);
        unlock();
        for (const entry of found) total += entry[1];
      }
      return total;
    },
    snapshotGetPass({ keys, count }) {
      let total = 0;
      for (let i = 0; i < count; i++) total += copy().get(keys[i]);
      return total;
    },
    put,
    copy,
    read: get,
    count: () => tree.size,
    close() {},
  };
}
