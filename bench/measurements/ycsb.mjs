// The core workloads of YCSB, A to F, in memory. One operation is one of the workload's.

import { openYcsb as openSqlite } from "../subjects/ycsb/better-sqlite3.mjs";
import { openYcsb as openLevel } from "../subjects/ycsb/classic-level.mjs";
import { openYcsb as openHoldfast } from "../subjects/ycsb/holdfast.mjs";
import { openYcsb as openLmdb } from "../subjects/ycsb/lmdb.mjs";
import { openYcsb as openMap } from "../subjects/ycsb/map.mjs";
import { openWorkload, SCAN, WORKLOADS } from "../work/ycsb.mjs";

const RECORDS = 20_000;
const RECORDS_QUICK = 2000;
const OPERATIONS = 20_000;
const OPERATIONS_QUICK = 2000;
/** A scan is some fifty reads. */
const SCANS = 1000;
const SCANS_QUICK = 200;
const ROUNDS_MOST = 13;
const SEED = 20_100_610;

export const prepareWorkload = (name) => (context) => prepare(name, context);

async function prepare(name, { scratch, quick, opened }) {
  const { shares } = WORKLOADS[name];
  const scans = shares.some(([kind]) => kind === SCAN);
  const operations = scans ? (quick ? SCANS_QUICK : SCANS) : quick ? OPERATIONS_QUICK : OPERATIONS;
  const records = quick ? RECORDS_QUICK : RECORDS;
  const workload = openWorkload(WORKLOADS[name], { records, operations, rounds: ROUNDS_MOST, seed: SEED });

  const level = "asynchronous: each write awaited";
  const stores = [
    { name: "Holdfast", isHoldfast: true, store: await opened("Holdfast", openHoldfast) },
    !scans && { name: "Map", note: "objects as they are", store: await opened("Map", openMap) },
    {
      name: "lmdb",
      note: "noSync; a file even so",
      store: await opened("lmdb", () => openLmdb(scratch.folder("lmdb"))),
    },
    { name: "better-sqlite3 :memory:", note: "ten columns", store: await opened("better-sqlite3", openSqlite) },
    {
      name: "classic-level",
      note: name === "c" ? "getSync" : `${level}${name === "f" ? "; no transaction" : ""}`,
      store: await opened("classic-level", () => openLevel(scratch.folder("level"))),
    },
  ].filter((subject) => subject && subject.store !== undefined);
  for (const { store } of stores) await store.load(workload.keys, workload.records);

  return {
    computes: true,
    makeInput: workload.makeInput,
    subjects: stores.map(({ store, ...subject }) => ({ ...subject, operations, pass: store.pass, read: store.read })),
  };
}
