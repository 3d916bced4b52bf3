// State cells, a thousand of them: set, transition (read, add one, write) and read.
//
// Beside them: a table of cells in better-sqlite3 with the same version, time and value, the value as JSON.

import { openSqliteTables } from "../subjects/better-sqlite3.mjs";
import { openDatabase } from "../subjects/holdfast.mjs";
import { pick, shuffledIndices, sum } from "../workload.mjs";

const CELLS = 1000;
const OPERATIONS = 30_000;
const OPERATIONS_QUICK = 5000;

const SCHEMA = `
  CREATE TABLE cells (name TEXT PRIMARY KEY, version INTEGER, updated_at INTEGER, value TEXT) WITHOUT ROWID`;
const UPSERT = `
  INSERT INTO cells VALUES (?, 1, ?, ?) ON CONFLICT (name)
  DO UPDATE SET version = version + 1, updated_at = excluded.updated_at, value = excluded.value`;
const UPDATE = "UPDATE cells SET version = version + 1, updated_at = ?, value = ? WHERE name = ?";

const increment = (state) => [state + 1, state + 1];

async function openCells() {
  const db = await openDatabase();
  const { state } = db.run("bench");
  return {
    set: (name, value) => state.set(name, value),
    setPass({ names, values, count }) {
      let sets = 0;
      for (let i = 0; i < count; i++) if (state.set(names[i], values[i]) > 1) sets++;
      return sets;
    },
    transitionPass({ counters, count }) {
      let moves = 0;
      for (let i = 0; i < count; i++) if (state.transition(counters[i], increment) > 0) moves++;
      return moves;
    },
    readPass({ fixed, count }) {
      let total = 0;
      for (let i = 0; i < count; i++) total += state.read(fixed[i]).value;
      return total;
    },
    close: () => db.close(),
  };
}

function openSqliteCells() {
  const db = openSqliteTables(SCHEMA);
  const upsert = db.prepare(UPSERT);
  const update = db.prepare(UPDATE);
  const select = db.prepare("SELECT version, updated_at, value FROM cells WHERE name = ?").raw();
  const transition = db.transaction((name) => {
    const [value, result] = increment(JSON.parse(select.get(name)[2]));
    update.run(Date.now(), JSON.stringify(value), name);
    return result;
  });
  return {
    set: (name, value) => upsert.run(name, Date.now(), JSON.stringify(value)),
    setPass({ names, values, count }) {
      let sets = 0;
      for (let i = 0; i < count; i++) sets += upsert.run(names[i], Date.now(), JSON.stringify(values[i])).changes;
      return sets;
    },
    transitionPass({ counters, count }) {
      let moves = 0;
      for (let i = 0; i < count; i++) if (transition(counters[i]) > 0) moves++;
      return moves;
    },
    readPass({ fixed, count }) {
      let total = 0;
      for (let i = 0; i < count; i++) total += JSON.parse(select.get(fixed[i])[2]);
      return total;
    },
    close: () => db.close(),
  };
}

export async function prepare({ quick, opened }) {
  const operations = quick ? OPERATIONS_QUICK : OPERATIONS;
  const named = (kind) => Array.from({ length: CELLS }, (_, at) => `${kind}/${String(at).padStart(4, "0")}`);
  const [names, counters, fixed] = [named("cell"), named("counter"), named("fixed")];
  const numbers = Array.from({ length: CELLS }, (_, at) => at);

  const holdfast = await opened("Holdfast", openCells);
  const sqlite = await opened("better-sqlite3", openSqliteCells);
  for (const cells of [holdfast, sqlite].filter(Boolean)) {
    for (let at = 0; at < CELLS; at++) {
      cells.set(names[at], 0);
      cells.set(counters[at], 0);
      cells.set(fixed[at], numbers[at]);
    }
  }

  const orderOf = (round) => shuffledIndices(operations, round).map((index) => index % CELLS);
  const counted = (round, count) => {
    const order = orderOf(round);
    return { names: pick(names, order), counters: pick(counters, order), values: order, count, expected: count };
  };
  const summed = (round, count) => {
    const order = orderOf(round);
    return { fixed: pick(fixed, order), count, expected: sum(pick(numbers, order), count) };
  };
  const write = { operations, makeInput: counted };
  const read = { operations, makeInput: summed };
  return {
    computes: true,
    subjects: [
      holdfast && { ...write, name: "Holdfast state.set", isHoldfast: true, pass: holdfast.setPass },
      sqlite && { ...write, name: "better-sqlite3, upsert", pass: sqlite.setPass },
      holdfast && { ...write, name: "Holdfast state.transition", isHoldfast: true, pass: holdfast.transitionPass },
      sqlite && {
        ...write,
        name: "better-sqlite3, select and update",
        note: "in a transaction",
        pass: sqlite.transitionPass,
      },
      holdfast && { ...read, name: "Holdfast state.read", isHoldfast: true, pass: holdfast.readPass },
      sqlite && { ...read, name: "better-sqlite3, select", pass: sqlite.readPass },
    ].filter(Boolean),
  };
}
