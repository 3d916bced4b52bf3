// Traces: recording one with a parent and two tags, getting one by its id, and the ten children of one.
//
// Beside them: better-sqlite3 with a table of traces, one of tags, and the indices that the same questions need.

import { randomUUID } from "node:crypto";
import { openSqliteTables } from "../subjects/better-sqlite3.mjs";
import { openDatabase } from "../subjects/holdfast.mjs";
import { pick, shuffledIndices } from "../workload.mjs";

const PARENTS = 200;
const CHILDREN = 10;
const RECORDS = 5000;
const RECORDS_QUICK = 1000;
const READS = 20_000;
const READS_QUICK = 4000;
const TAGS = ["search", "step"];

const SCHEMA = `
  CREATE TABLE traces (id TEXT PRIMARY KEY, parent TEXT, type TEXT, timestamp INTEGER, stored TEXT) WITHOUT ROWID;
  CREATE INDEX traces_by_parent ON traces (parent, timestamp, id);
  CREATE INDEX traces_by_type ON traces (type, timestamp, id);
  CREATE INDEX traces_by_time ON traces (timestamp, id);
  CREATE TABLE tags (tag TEXT, timestamp INTEGER, id TEXT, PRIMARY KEY (tag, timestamp, id)) WITHOUT ROWID`;

async function openTraces() {
  const db = await openDatabase();
  const { traces } = db.run("bench");
  return {
    record: (entry, options) => traces.record(entry, options),
    recordPass({ entries, options, count }) {
      let records = 0;
      for (let i = 0; i < count; i++) if (traces.record(entries[i], options[i]).length > 0) records++;
      return records;
    },
    getPass({ ids, count }) {
      let found = 0;
      for (let i = 0; i < count; i++) if (traces.get(ids[i]).entry.type === "tool-call") found++;
      return found;
    },
    childrenPass({ parents, count }) {
      let found = 0;
      for (let i = 0; i < count; i++) found += traces.children(parents[i]).length;
      return found;
    },
    close: () => db.close(),
  };
}

function openSqliteTraces() {
  const db = openSqliteTables(SCHEMA);
  const select = db.prepare("SELECT stored FROM traces WHERE id = ?").pluck();
  const selectChildren = db.prepare("SELECT id, stored FROM traces WHERE parent = ? ORDER BY timestamp, id").raw();
  const insert = db.prepare("INSERT INTO traces VALUES (?, ?, ?, ?, ?)");
  const insertTag = db.prepare("INSERT INTO tags VALUES (?, ?, ?)");
  const record = db.transaction((entry, { parent, tags }) => {
    if (parent !== undefined && select.get(parent) === undefined) throw new Error(`no trace ${parent}`);
    const id = randomUUID();
    const timestamp = Date.now();
    insert.run(id, parent ?? null, entry.type, timestamp, JSON.stringify({ entry, parent, tags, timestamp }));
    for (const tag of tags) insertTag.run(tag, timestamp, id);
    return id;
  });
  return {
    record,
    recordPass({ entries, options, count }) {
      let records = 0;
      for (let i = 0; i < count; i++) if (record(entries[i], options[i]).length > 0) records++;
      return records;
    },
    getPass({ ids, count }) {
      let found = 0;
      for (let i = 0; i < count; i++) if (JSON.parse(select.get(ids[i])).entry.type === "tool-call") found++;
      return found;
    },
    childrenPass({ parents, count }) {
      let found = 0;
      for (let i = 0; i < count; i++) {
        found += selectChildren.all(parents[i]).map(([id, stored]) => ({ id, ...JSON.parse(stored) })).length;
      }
      return found;
    },
    close: () => db.close(),
  };
}

function makeEntry(step) {
  return { type: "tool-call", name: "grep", args: { pattern: `p-${step}`, all: true }, result: step, durationMs: 12 };
}

/** Parents with ten children each, and one more under which the rounds record: its children are never listed. */
function fill(store) {
  const recordUnder = (parent, step) => store.record(makeEntry(step), { parent, tags: TAGS });
  const parents = Array.from({ length: PARENTS }, (_, at) => recordUnder(undefined, at));
  const ids = parents.flatMap((parent) => Array.from({ length: CHILDREN }, (_, at) => recordUnder(parent, at)));
  return { store, parents, ids, busy: recordUnder(undefined, PARENTS) };
}

export async function prepare({ quick, opened }) {
  const records = quick ? RECORDS_QUICK : RECORDS;
  const reads = quick ? READS_QUICK : READS;
  const entries = Array.from({ length: records }, (_, step) => makeEntry(step));
  const stores = [
    { store: await opened("Holdfast", openTraces), isHoldfast: true },
    { store: await opened("better-sqlite3", openSqliteTraces), isHoldfast: false },
  ]
    .filter(({ store }) => store !== undefined)
    .map(({ store, isHoldfast }) => ({ ...fill(store), isHoldfast }));

  const subject = (own, peer, toSubject) =>
    stores.map((filled) => ({
      name: filled.isHoldfast ? `Holdfast ${own}` : `better-sqlite3, ${peer}`,
      isHoldfast: filled.isHoldfast,
      ...toSubject(filled),
    }));
  return {
    computes: true,
    subjects: [
      ...subject("traces.record", "3 rows of 2 tables", ({ store, busy }) => ({
        operations: records,
        pass: store.recordPass,
        makeInput: (_round, count) => ({
          entries,
          options: entries.map(() => ({ parent: busy, tags: TAGS })),
          count,
          expected: count,
        }),
      })),
      ...subject("traces.get", "select and parse", ({ store, ids }) => ({
        operations: reads,
        pass: store.getPass,
        makeInput: (round, count) => ({
          ids: pick(
            ids,
            shuffledIndices(reads, round).map((index) => index % ids.length),
          ),
          count,
          expected: count,
        }),
      })),
      ...subject("traces.children, ten", "ten by an index", ({ store, parents }) => ({
        operations: reads / 4,
        pass: store.childrenPass,
        makeInput: (round, count) => ({
          parents: pick(
            parents,
            shuffledIndices(count, round).map((index) => index % PARENTS),
          ),
          count,
          expected: count * CHILDREN,
        }),
      })),
    ],
  };
}
