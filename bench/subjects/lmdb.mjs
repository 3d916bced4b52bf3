// lmdb-js: a memory-mapped B+ tree. It has no memory-only mode: its file is always there, and reads come from the page cache.
//
// `sync: false` sets `noSync`: a commit hands its pages to the system and nothing is ever synced. Otherwise the options are the
// library's own, and a synchronous put returns after its `fdatasync`.

import { open } from "lmdb";

export function openLmdb({ folder, sync, encoding = "msgpack" }) {
  const db = open({ path: folder, encoding, ...(sync ? {} : { noSync: true }) });
  const isBinary = encoding === "binary";

  return {
    load(keys, values) {
      db.transactionSync(() => {
        for (let i = 0; i < keys.length; i++) db.put(keys[i], isBinary ? asBytes(values[i]) : values[i]);
      });
    },
    getPass({ keys, count }) {
      let total = 0;
      for (let i = 0; i < count; i++) total += db.get(keys[i]);
      return total;
    },
    /** Its fastest synchronous read: bytes in a buffer that the next read overwrites, here a float64 to be taken out at once. */
    getBinaryFastPass({ keys, count }) {
      let total = 0;
      for (let i = 0; i < count; i++) total += db.getBinaryFast(keys[i]).readDoubleLE(0);
      return total;
    },
    putPass({ keys, values, count }) {
      let puts = 0;
      for (let i = 0; i < count; i++) if (db.putSync(keys[i], values[i])) puts++;
      return puts;
    },
    /** Its own preferred way: puts are queued, a thread commits them in batches, and only the last one is awaited. */
    async putQueuedPass({ keys, values, count }) {
      let last;
      for (let i = 0; i < count; i++) last = db.put(keys[i], values[i]);
      return (await last) ? count : 0;
    },
    listPass({ keys: prefixes, count }) {
      let total = 0;
      for (let i = 0; i < count; i++) {
        const found = db.getRange({ start: prefixes[i], end: `${prefixes[i]}\uffff` }).asArray;
        for (const entry of found) total += entry.value;
      }
      return total;
    },
    getEachPass({ keys: groups, count }) {
      let total = 0;
      for (let i = 0; i < count; i++) {
        for (const key of groups[i]) total += db.get(key);
      }
      return total;
    },
    /** Its read transaction is kept and renewed: what `get` then sees is as of now. */
    snapshotGetPass({ keys, count }) {
      let total = 0;
      for (let i = 0; i < count; i++) {
        db.resetReadTxn();
        total += db.get(keys[i]);
      }
      return total;
    },
    transactionPutPass({ keys, values, count }) {
      let commits = 0;
      for (let i = 0; i < count; i++) {
        db.transactionSync(() => {
          db.put(keys[i], values[i]);
        });
        commits++;
      }
      return commits;
    },
    transactionPass({ readKeys, keys, values, count, reads, writes }) {
      let total = 0;
      for (let i = 0; i < count; i++) {
        total += db.transactionSync(() => {
          let found = 0;
          for (let at = i; at < i + reads; at++) found += db.get(readKeys[at]);
          for (let at = i; at < i + writes; at++) db.put(keys[at], values[at]);
          return found;
        });
      }
      return total;
    },
    put: (key, value) => db.putSync(key, value),
    /** Settled when it is synced, which its commit alone is not. */
    putFlushed: (key, value) => db.put(key, value).then(() => db.flushed),
    read: (key) => (isBinary ? db.getBinary(key)?.readDoubleLE(0) : db.get(key)),
    settle: () => db.flushed,
    close: () => db.close(),
  };
}

function asBytes(number) {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeDoubleLE(number);
  return bytes;
}
