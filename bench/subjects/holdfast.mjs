// Holdfast, through its public API only: what is measured is what a user gets, with options as they come.

import { bytesUnder } from "../scratch.mjs";

const LOAD_BATCH = 1000;

let Database;

/** Imports the build. Returns the reason where there is none that can be imported. */
export async function loadHoldfast() {
  try {
    ({ Database } = await import("../../dist/index.js"));
    return undefined;
  } catch (error) {
    return String(error?.message ?? error);
  }
}

/** A database in memory, with options as they come. */
export async function openDatabase(options = { durability: "in-memory" }) {
  if (Database === undefined) throw new Error("no build could be imported");
  return Database.open(options);
}

/** @param options What `Database.open` takes, plus the folder where there are files. */
export async function openHoldfast({ durability, folder }) {
  if (Database === undefined) throw new Error("no build could be imported");
  const db = await Database.open(folder === undefined ? { durability } : { path: folder, durability });
  const run = db.run("bench");
  const mode = typeof db.durability === "string" ? db.durability : db.durability?.mode;
  if (mode !== durability) throw new Error(`opened as ${mode} where ${durability} was asked for`);

  return {
    load(keys, values) {
      for (let from = 0; from < keys.length; from += LOAD_BATCH) {
        run.transaction((tx) => {
          const to = Math.min(from + LOAD_BATCH, keys.length);
          for (let i = from; i < to; i++) tx.kv.put(keys[i], values[i]);
        });
      }
    },
    getPass({ keys, count }) {
      let total = 0;
      for (let i = 0; i < count; i++) total += run.kv.get(keys[i]);
      return total;
    },
    putPass({ keys, values, count }) {
      let puts = 0;
      for (let i = 0; i < count; i++) if (run.kv.put(keys[i], values[i]) > 0) puts++;
      return puts;
    },
    listPass({ keys: prefixes, count }) {
      let total = 0;
      for (let i = 0; i < count; i++) {
        for (const entry of run.kv.list({ prefix: prefixes[i] })) total += entry[1];
      }
      return total;
    },
    /** Ten keys at a time. */
    getManyPass({ keys: groups, count }) {
      let total = 0;
      for (let i = 0; i < count; i++) {
        for (const value of run.kv.getMany(groups[i])) total += value;
      }
      return total;
    },
    getEachPass({ keys: groups, count }) {
      let total = 0;
      for (let i = 0; i < count; i++) {
        for (const key of groups[i]) total += run.kv.get(key);
      }
      return total;
    },
    snapshotPass({ count }) {
      let taken = 0;
      for (let i = 0; i < count; i++) {
        const snapshot = run.snapshot();
        if (snapshot.version > 0) taken++;
        snapshot.dispose();
      }
      return taken;
    },
    snapshotGetPass({ keys, count }) {
      let total = 0;
      for (let i = 0; i < count; i++) {
        const snapshot = run.snapshot();
        total += snapshot.kv.get(keys[i]);
        snapshot.dispose();
      }
      return total;
    },
    databaseSnapshotPass({ count }) {
      let taken = 0;
      for (let i = 0; i < count; i++) {
        const snapshot = db.snapshot();
        if (snapshot.version > 0) taken++;
        snapshot.dispose();
      }
      return taken;
    },
    transactionPutPass({ keys, values, count }) {
      let commits = 0;
      for (let i = 0; i < count; i++) {
        run.transaction((tx) => {
          tx.kv.put(keys[i], values[i]);
        });
        commits++;
      }
      return commits;
    },
    transactionPass({ readKeys, keys, values, count, reads, writes }) {
      let total = 0;
      for (let i = 0; i < count; i++) {
        total += run.transaction((tx) => {
          let found = 0;
          for (let at = i; at < i + reads; at++) found += tx.kv.get(readKeys[at]);
          for (let at = i; at < i + writes; at++) tx.kv.put(keys[at], values[at]);
          return found;
        });
      }
      return total;
    },
    put: (key, value) => run.kv.put(key, value),
    read: (key) => run.kv.get(key),
    settle: () => db.flush(),
    /** By how many bytes the files grow with one put, or 0 where they do not show it. */
    bytesPerPut(keys, values) {
      const before = bytesUnder(folder);
      for (let i = 0; i < keys.length; i++) run.kv.put(keys[i], values[i]);
      return Math.round((bytesUnder(folder) - before) / keys.length);
    },
    close: () => db.close(),
  };
}
