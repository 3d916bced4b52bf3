// Opens a store that is there already, in a process that has done nothing yet, gets one key and says so: the milliseconds from
// before the first import until the value was there, and the value.
//
// Keeps true: only what the store needs is imported; what is written to standard output is written before anything is closed.

import fs from "node:fs";
import path from "node:path";

const [kind, folder, key] = process.argv.slice(2);
const start = performance.now();

/** How each store comes to its first value. */
const openers = {
  node: () => undefined,
  async holdfast() {
    const { Database } = await import("../../dist/index.js");
    const db = await Database.open({ path: folder, durability: "buffered" });
    return db.run("bench").kv.get(key);
  },
  async sqlite() {
    const { default: Sqlite } = await import("better-sqlite3");
    const db = new Sqlite(path.join(folder, "kv.sqlite"));
    return db.prepare("SELECT value FROM kv WHERE key = ?").pluck().get(key);
  },
  async nodeSqlite() {
    const { DatabaseSync } = await import("node:sqlite");
    const db = new DatabaseSync(path.join(folder, "kv.sqlite"));
    return db.prepare("SELECT value FROM kv WHERE key = ?").get(key).value;
  },
  async lmdb() {
    const { open } = await import("lmdb");
    return open({ path: folder, noSync: true }).get(key);
  },
  async level() {
    const { ClassicLevel } = await import("classic-level");
    const db = new ClassicLevel(folder, { keyEncoding: "utf8", valueEncoding: "json" });
    await db.open();
    return db.getSync(key);
  },
  json: () => new Map(JSON.parse(fs.readFileSync(path.join(folder, "kv.json"), "utf8"))).get(key),
};

const value = await openers[kind]();
fs.writeSync(1, JSON.stringify({ ms: performance.now() - start, value }));
process.exit(0);
