// The index of runs: putting a new run into it, and getting one by its name.
//
// Beside it: a table of runs in better-sqlite3, which a run costs one row of. In Holdfast it makes the run itself too.

import { openSqliteTables } from "../subjects/better-sqlite3.mjs";
import { openDatabase } from "../subjects/holdfast.mjs";
import { pick, shuffledIndices } from "../workload.mjs";

const CREATES = 1000;
const CREATES_QUICK = 300;
const RUNS = 1000;
const READS = 20_000;
const READS_QUICK = 4000;

const SCHEMA = `
  CREATE TABLE runs (
    name TEXT PRIMARY KEY, status TEXT, tags TEXT, metadata TEXT, created_at INTEGER, updated_at INTEGER
  ) WITHOUT ROWID`;

async function openRuns() {
  const db = await openDatabase();
  const { runs } = db;
  return {
    createPass({ specs, count }) {
      let created = 0;
      for (let i = 0; i < count; i++) if (runs.create(specs[i]).status === "active") created++;
      return created;
    },
    getPass({ names, count }) {
      let found = 0;
      for (let i = 0; i < count; i++) if (runs.get(names[i]).metadata.model === "m-1") found++;
      return found;
    },
    close: () => db.close(),
  };
}

function openSqliteRuns() {
  const db = openSqliteTables(SCHEMA);
  const insert = db.prepare("INSERT INTO runs VALUES (?, 'active', ?, ?, ?, ?)");
  const select = db.prepare("SELECT * FROM runs WHERE name = ?").raw();
  return {
    createPass({ specs, count }) {
      let created = 0;
      for (let i = 0; i < count; i++) {
        const { name, tags, metadata } = specs[i];
        const now = Date.now();
        created += insert.run(name, JSON.stringify(tags), JSON.stringify(metadata), now, now).changes;
      }
      return created;
    },
    getPass({ names, count }) {
      let found = 0;
      for (let i = 0; i < count; i++) {
        const [, , tags, metadata] = select.get(names[i]);
        if (JSON.parse(tags).length === 2 && JSON.parse(metadata).model === "m-1") found++;
      }
      return found;
    },
    close: () => db.close(),
  };
}

function makeSpecs(prefix, count) {
  return Array.from({ length: count }, (_, at) => ({
    name: `${prefix}-${String(at).padStart(6, "0")}`,
    tags: ["bench", "nightly"],
    metadata: { model: "m-1", budget: at },
  }));
}

export async function prepare({ quick, opened }) {
  const creates = quick ? CREATES_QUICK : CREATES;
  const reads = quick ? READS_QUICK : READS;
  const holdfast = await opened("Holdfast", openRuns);
  const sqlite = await opened("better-sqlite3", openSqliteRuns);
  const specs = makeSpecs("kept", RUNS);
  for (const runs of [holdfast, sqlite].filter(Boolean)) runs.createPass({ specs, count: RUNS });
  const names = specs.map(({ name }) => name);

  const create = {
    operations: creates,
    makeInput: (round, count) => ({ specs: makeSpecs(`round-${round}`, count), count, expected: count }),
  };
  const get = {
    operations: reads,
    makeInput: (round, count) => ({
      names: pick(
        names,
        shuffledIndices(count, round).map((index) => index % RUNS),
      ),
      count,
      expected: count,
    }),
  };
  return {
    computes: true,
    subjects: [
      holdfast && { ...create, name: "Holdfast runs.create", isHoldfast: true, pass: holdfast.createPass },
      sqlite && { ...create, name: "better-sqlite3, insert", pass: sqlite.createPass },
      holdfast && { ...get, name: "Holdfast runs.get", isHoldfast: true, pass: holdfast.getPass },
      sqlite && { ...get, name: "better-sqlite3, select", note: "and parse", pass: sqlite.getPass },
    ].filter(Boolean),
  };
}
