// Opening a log, opening what a checkpoint has made of it, and making that checkpoint.
//
// Keeps true: the files are in the page cache, so that it is the store that is measured and not the disk, and an opening takes
// what the process is on a core for, where that is less than the clock; each opening is a database of its own, read-only, so
// that nothing is written; what is found is counted.

import fs from "node:fs";
import path from "node:path";
import { collectGarbage, startTimer } from "../measure.mjs";
import { spread } from "../statistics.mjs";
import { openDatabase } from "../subjects/holdfast.mjs";

const RECORDS = 1_000_000;
const RECORDS_QUICK = 100_000;
const KEYS = 100_000;
const LARGE_BYTES = 4096;
const LARGE_RECORDS = 75_000;
const LARGE_RECORDS_QUICK = 7500;
const LARGE_KEYS = 5000;
const ROUNDS = 7;
const ROUNDS_QUICK = 3;
const WARM_UPS = 1;
const HEADS = /\.(log|ckp)$/;

const buffered = { mode: "buffered", flushIntervalMs: 60_000, maxPendingWrites: 1_000_000_000 };

async function fill(folder, records, keys, value) {
  const db = await openDatabase({ path: folder, durability: buffered });
  const { kv } = db.run("bench");
  for (let i = 0; i < records; i++) kv.put(`key-${i % keys}`, value ?? i);
  await db.close();
}

function bytesIn(folder) {
  const names = fs.readdirSync(folder).filter((name) => HEADS.test(name));
  return names.reduce((sum, name) => sum + fs.statSync(path.join(folder, name)).size, 0);
}

async function timeOpening(folder, entries) {
  collectGarbage();
  const elapsed = startTimer({ computes: true });
  const db = await openDatabase({ path: folder, readOnly: true });
  const seconds = elapsed() / 1000;
  if (db.totalCount() !== entries) throw new Error(`found ${db.totalCount()} entries where ${entries} are right`);
  await db.close();
  return seconds;
}

/** Makes a checkpoint of a copy of a log; how long that took, and where it is. */
async function timeCheckpoint(from, to) {
  fs.rmSync(to, { recursive: true, force: true });
  fs.cpSync(from, to, { recursive: true, filter: (name) => fs.statSync(name).isDirectory() || HEADS.test(name) });
  const db = await openDatabase({ path: to, durability: buffered });
  collectGarbage();
  const start = performance.now();
  await db.checkpoint();
  const seconds = (performance.now() - start) / 1000;
  await db.close();
  return seconds;
}

export async function prepare({ scratch, quick, rounds: wanted }) {
  const rounds = wanted ?? (quick ? ROUNDS_QUICK : ROUNDS);
  const records = quick ? RECORDS_QUICK : RECORDS;
  const largeRecords = quick ? LARGE_RECORDS_QUICK : LARGE_RECORDS;
  const small = scratch.folder("small");
  const large = scratch.folder("large");
  const compacted = scratch.folder("compacted");
  await fill(small, records, KEYS);
  await fill(large, largeRecords, LARGE_KEYS, new Uint8Array(LARGE_BYTES).fill(7));

  const measure = async (progress) => {
    const figures = { records: [], bytes: [], checkpoint: [], opening: [] };
    for (let round = 0; round < WARM_UPS + rounds; round++) {
      progress(`round ${round + 1} of ${WARM_UPS + rounds}, warm-up included`);
      const found = {
        records: records / (await timeOpening(small, KEYS)) / 1e6,
        bytes: bytesIn(large) / (await timeOpening(large, LARGE_KEYS)) / 1e6,
        checkpoint: KEYS / (await timeCheckpoint(small, compacted)) / 1e6,
        opening: KEYS / (await timeOpening(compacted, KEYS)) / 1e6,
      };
      if (round < WARM_UPS) continue;
      for (const [name, figure] of Object.entries(found)) figures[name].push(figure);
    }
    const row = (name, perRound, unit, note) => ({ name, unit, note, isHoldfast: true, figure: spread(perRound) });
    const log = `${records.toLocaleString("en")} records of ${KEYS.toLocaleString("en")} keys, numbers`;
    return [
      row("opening a log, records", figures.records, "M/s", log),
      row("opening a log, bytes", figures.bytes, "MB/s", `values of ${LARGE_BYTES.toLocaleString("en")} bytes`),
      row("making a checkpoint, entries", figures.checkpoint, "M/s", "synced when it returns"),
      row("opening a checkpoint, entries", figures.opening, "M/s"),
    ];
  };
  return { measure, rounds };
}
