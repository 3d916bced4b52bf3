/**
 * The child whose system calls are watched: `node traced.mjs busy|strict|in-memory <directory>`. Lines that it writes to
 * its standard output are the marks that the trace is read by.
 */
import { writeSync } from "node:fs";
import { Database } from "../../dist/index.js";

const [what, path] = process.argv.slice(2);
const mark = (text) => writeSync(1, `${text}\n`);

const actions = {
  /** Never yields, for 600 ms; the number of writes alone never asks for a sync. */
  async busy() {
    const durability = { mode: "buffered", flushIntervalMs: 100, maxPendingWrites: 1e9 };
    const db = await Database.open({ path, durability });
    const { kv } = db.run("busy");
    kv.put("first", 0);
    mark("begin");
    const endMs = performance.now() + 600;
    for (let i = 0; performance.now() < endMs; i++) kv.put(`k${i % 100}`, i);
    mark("end");
    process.exit(0);
  },

  async strict() {
    const db = await Database.open({ path, durability: "strict" });
    for (let i = 0; i < 20; i++) {
      mark(`begin ${i}`);
      if (i % 2 === 0) db.run("strict").kv.put("k", i);
      else db.run("strict").transaction((tx) => tx.kv.put("k", i));
      mark(`end ${i}`);
    }
    for (let i = 20; i < 30; i++) {
      mark(`begin ${i}`);
      await db.run("strict").transactionAsync((tx) => tx.kv.put("k", i));
      mark(`end ${i}`);
    }
    process.exit(0);
  },

  async "in-memory"() {
    const db = await Database.open({ path, durability: "in-memory" });
    const { kv } = db.run("memory");
    mark("begin");
    for (let i = 0; i < 2000; i++) kv.put(`k${i}`, { i });
    db.run("memory").transaction((tx) => tx.kv.put("k", kv.count()));
    db.flushSync();
    await db.flush();
    await db.close();
    mark("end");
    process.exit(0);
  },
};

await actions[what]();
