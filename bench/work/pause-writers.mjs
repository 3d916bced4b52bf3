// Who writes while pauses are looked for: stores of their own in every round, with what they do to make what they hold compact.

import path from "node:path";
import Sqlite from "better-sqlite3";
import { open as openEnvironment } from "lmdb";
import { openDatabase } from "../subjects/holdfast.mjs";
import { openLockedTree } from "../subjects/locked-tree.mjs";

const CHECKPOINT = "a checkpoint";
const SNAPSHOT = "a snapshot";

const checkpoint = (db) => db.checkpoint();
const takeSnapshot = (db) => db.snapshot().dispose();

async function openHoldfast(options, compact) {
  const db = await openDatabase(options);
  const { kv } = db.run("bench");
  return {
    put: (key, value) => kv.put(key, value),
    compact: () => compact(db),
    read: (key) => kv.get(key),
    count: () => kv.count(),
    close: () => db.close(),
  };
}

async function openSqlite(scratch) {
  const db = new Sqlite(path.join(scratch.folder("pause-sqlite"), "kv.sqlite"));
  db.pragma("journal_mode = WAL");
  db.pragma("synchronous = NORMAL");
  db.exec("CREATE TABLE kv (key TEXT PRIMARY KEY, value) WITHOUT ROWID");
  const upsert = db.prepare("INSERT INTO kv VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value");
  const select = db.prepare("SELECT value FROM kv WHERE key = ?").pluck();
  return {
    put: (key, value) => upsert.run(key, value),
    compact: () => db.pragma("wal_checkpoint(TRUNCATE)"),
    read: (key) => select.get(key),
    count: () => db.prepare("SELECT count(*) FROM kv").pluck().get(),
    close: () => db.close(),
  };
}

async function openLmdb(scratch) {
  const db = openEnvironment({ path: scratch.folder("pause-lmdb"), noSync: true });
  return {
    put: (key, value) => db.putSync(key, value),
    read: (key) => db.get(key),
    count: () => db.getCount(),
    close: () => db.close(),
  };
}

function openMap() {
  const map = new Map();
  return {
    put: (key, value) => map.set(key, value),
    read: (key) => map.get(key),
    count: () => map.size,
    close() {},
  };
}

function openTree() {
  const tree = openLockedTree();
  return { ...tree, compact: () => tree.copy() };
}

/** `{ name, open(scratch), isHoldfast?, note?, compacting? }`: below each of Holdfast's, what promises the same. */
export const PAUSED = [
  {
    name: "Holdfast buffered",
    isHoldfast: true,
    compacting: CHECKPOINT,
    open: (scratch) => openHoldfast({ path: scratch.folder("pause-holdfast"), durability: "buffered" }, checkpoint),
  },
  {
    name: "better-sqlite3 WAL NORMAL",
    note: "its own checkpoints are in its puts",
    compacting: CHECKPOINT,
    open: openSqlite,
  },
  { name: "lmdb putSync", note: "noSync", open: openLmdb },
  {
    name: "Holdfast in-memory",
    isHoldfast: true,
    compacting: SNAPSHOT,
    open: () => openHoldfast({ durability: "in-memory" }, takeSnapshot),
  },
  { name: "Map", open: openMap },
  { name: "ordered map, one lock", compacting: SNAPSHOT, open: openTree },
];
