/**
 * What happens around the growth of memory: where a write lands while it grows, and what is had again when it cannot.
 */
import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { Database } from "../../src/index.js";
import { codeOf } from "../model/subject.js";
import { BUILDS, type Build, moduleOf } from "../support/builds.js";
import { SimulatedDisk } from "../support/simulated-storage.js";

const MIB = 1024 * 1024;

async function open(build: Build, maxBytes: number): Promise<Database> {
  return Database.open({ wasm: await moduleOf(build), shared: build.shared, durability: "in-memory", maxBytes });
}

/** Puts until the store is full; how many there were. */
function fill(db: Database, prefix: string, value: string): number {
  const { kv } = db.run("r");
  let count = 0;
  while (codeOf(() => kv.put(`${prefix}${count}`, value)) === undefined) count++;
  return count;
}

describe.each(BUILDS)("the $name build", (build) => {
  it.each([5, 1000])("puts the first key of each run under its own name: keys of %i bytes", async (bytes) => {
    // Making the run of a first put can grow the memory. The key was then encoded into the view from before, where it
    // vanished, and the value was stored, durably, under the bytes of the run's id that stood in the scratch.
    await using db = await open(build, 256 * MIB);
    const key = "k".repeat(bytes);
    for (let i = 0; i < 400; i++) {
      const { kv } = db.run(`é run ${i}`);
      kv.put(key, i);
      expect(kv.list(), `run ${i}`).toEqual([[key, i]]);
    }
    expect(db.verify()).toEqual({ valid: true });
  });

  it("uses the memory of what was deleted for values of another size, and for other runs", async () => {
    // Blocks are free for their own size only. After a store was filled with small values and emptied, two larger ones
    // fitted where there was room for thousands, and other runs got nothing.
    await using db = await open(build, 4 * MIB);
    const small = fill(db, "s", "v".repeat(10));
    for (let i = 0; i < small; i++) db.run("r").kv.delete(`s${i}`);
    expect(db.verify()).toEqual({ valid: true });
    const { kv } = db.run("another");
    for (let i = 0; i < 2000; i++) kv.put(`l${i}`, "v".repeat(1000));
    expect(db.verify()).toEqual({ valid: true });
  });

  it("cuts larger free blocks for smaller values when memory cannot grow", async () => {
    await using db = await open(build, 4 * MIB);
    const large = fill(db, "l", "v".repeat(1000));
    for (let i = 0; i < large / 2; i++) db.run("r").kv.delete(`l${i}`);
    for (let i = 0; i < large / 4; i++) db.run("r").kv.put(`s${i}`, 1);
    expect(db.verify()).toEqual({ valid: true });
  });

  it("counts and reads what is in a full store", async () => {
    // Counting collected what it counted, for which a full store had no room.
    await using db = await open(build, 4 * MIB);
    const count = fill(db, "k", "0123456789");
    const { kv } = db.run("r");
    expect([kv.count(), kv.count("k"), kv.get("k0"), kv.has("k1")]).toEqual([count, count, "0123456789", true]);
  });

  it("opens again with the memory that it was filled in", async () => {
    // Reading back took a window of its own, so that what had just fitted did not fit any more.
    const disk = new SimulatedDisk();
    // Deferred commits, which go to the log by the megabyte, so that filling takes no time.
    const options = { wasm: await moduleOf(build), shared: build.shared, maxBytes: 4 * MIB } as const;
    const db = await Database.open({ ...options, storage: disk.storage(), durability: "in-memory" });
    const count = fill(db, "k", "0123456789");
    await db.close();
    await using again = await Database.open({ ...options, storage: disk.storage() });
    expect([again.totalCount(), again.verify()]).toEqual([count, { valid: true }]);
  });
});

it("holds a process while a retry that is awaited waits", () => {
  // The wait between two attempts was on a timer that does not keep a process alive. With nothing else to do the process
  // ended there, with exit code 0 and the work not done.
  const script = `
    import { Database } from ${JSON.stringify(new URL("../../dist/index.js", import.meta.url).href)};
    const db = await Database.open({ durability: "in-memory" });
    const run = db.run("r");
    run.kv.put("n", 0);
    let calls = 0;
    await run.transactionAsync(async (tx) => {
      const n = tx.kv.get("n");
      if (calls++ === 0) run.kv.put("n", 5);
      tx.kv.put("n", n + 1);
    }, { retry: { attempts: 3 } });
    console.log(run.kv.get("n"));`;
  const { stdout, status } = spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
  expect([stdout.trim(), status]).toEqual(["6", 0]);
});
