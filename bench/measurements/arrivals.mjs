// Strict puts that arrive by a schedule, whether the one before is done or not: what a caller waits for, on files.
//
// Keeps true: the schedule is fixed before anything runs and is the same for all subjects of a kind, at half of what the
// slowest of them can do one after another; a put's time begins when it is due and not when it is begun, so that a put that is held up
// by a slow one counts as slow. Coordinated omission, which a loop of one after another has, is what the note of each row shows:
// the same puts, timed from when they are begun.

import { setImmediate as nextTurn } from "node:timers/promises";
import { collectGarbage } from "../measure.mjs";
import { median, percentileOf, percentilesOf, spread } from "../statistics.mjs";
import { openBareFile } from "../subjects/bare-file.mjs";
import { openSqlite } from "../subjects/better-sqlite3.mjs";
import { openDatabase, openHoldfast } from "../subjects/holdfast.mjs";
import { openLmdb } from "../subjects/lmdb.mjs";
import { makeKeys, makeValues } from "../workload.mjs";

const ENTRIES = 1000;
const BARE_BYTES = 64;
const PROBES = 100;
/** A schedule leaves half of the slowest subject's time idle. */
const UTILISATION = 0.5;
/** What is awaited together arrives so many times as often: more than one after another could do. */
const TOGETHER_TIMES = 4;
const ROUND_MS = 1000;
const OPERATIONS_MAX = 4000;
const ROUNDS = 5;
const ROUNDS_QUICK = 2;

const asMicroseconds = (ns) => (ns / 1000).toLocaleString("en", { maximumFractionDigits: 0 });

/** Each put returns when it is durable; in between the thread spins, as a timer is a millisecond off. */
function passInTurn({ put }, { keys, values }, intervalMs, count) {
  const fromDue = new Float64Array(count);
  const fromBegun = new Float64Array(count);
  const start = performance.now() + intervalMs;
  for (let i = 0; i < count; i++) {
    const due = start + i * intervalMs;
    while (performance.now() < due);
    const begun = performance.now();
    put(keys[i % ENTRIES], values[i % ENTRIES]);
    const done = performance.now();
    fromDue[i] = (done - due) * 1e6;
    fromBegun[i] = (done - begun) * 1e6;
  }
  return { fromDue, fromBegun };
}

/** Puts are begun when they are due, and are awaited together. */
async function passTogether({ put }, { keys, values }, intervalMs, count) {
  const fromDue = new Float64Array(count);
  const fromBegun = new Float64Array(count);
  const pending = [];
  const start = performance.now() + intervalMs;
  for (let i = 0; i < count; i++) {
    const due = start + i * intervalMs;
    while (performance.now() < due) await nextTurn();
    const begun = performance.now();
    const done = put(keys[i % ENTRIES], values[i % ENTRIES]).then(() => {
      const now = performance.now();
      fromDue[i] = (now - due) * 1e6;
      fromBegun[i] = (now - begun) * 1e6;
    });
    pending.push(done);
  }
  await Promise.all(pending);
  return { fromDue, fromBegun };
}

/** The time of one put of the slowest of these, one after another. */
function slowestMs(subjects, keys, values) {
  const medians = subjects.map(({ put }) => {
    const times = keys.slice(0, PROBES).map((key, at) => {
      const start = performance.now();
      put(key, values[at]);
      return performance.now() - start;
    });
    return median(times);
  });
  return Math.max(...medians);
}

async function openInTurn(scratch, opened, keys, values) {
  const folder = scratch.folder("holdfast");
  const stores = {
    "Holdfast kv.put strict": await opened("Holdfast", () => openHoldfast({ durability: "strict", folder })),
    "better-sqlite3 WAL FULL": await opened("better-sqlite3", () =>
      openSqlite({ folder: scratch.folder("sqlite"), synchronous: "FULL" }),
    ),
    "lmdb putSync": await opened("lmdb", () => openLmdb({ folder: scratch.folder("lmdb"), sync: true })),
  };
  for (const store of Object.values(stores)) store?.load(keys, values);
  const bare = await opened("bare file", () => openBareFile({ folder, bytes: BARE_BYTES }));
  return toSubjects({ ...stores, "bare write + fdatasync": bare }, passInTurn);
}

async function openTogether(scratch, opened) {
  const db = await opened("Holdfast", () =>
    openDatabase({ path: scratch.folder("holdfast-together"), durability: "strict" }),
  );
  const lmdb = await opened("lmdb", () => openLmdb({ folder: scratch.folder("lmdb-together"), sync: true }));
  const run = db?.run("bench");
  const stores = {
    "Holdfast transactionAsync strict": run && {
      put: (key, value) => run.transactionAsync(async (tx) => void tx.kv.put(key, value)),
      read: (key) => run.kv.get(key),
    },
    "lmdb put, flushed": lmdb && { put: lmdb.putFlushed, read: lmdb.read },
  };
  return toSubjects(stores, passTogether);
}

function toSubjects(stores, pass) {
  return Object.entries(stores)
    .filter(([, store]) => store !== undefined)
    .map(([name, store]) => ({ name, pass, passes: [], ...store }));
}

function rowsOf({ name, passes, intervalMs }) {
  const sorted = passes.map(({ fromDue }) => fromDue.slice().sort());
  const at = (share) => sorted.map((times) => percentileOf(times, share));
  const begun = percentilesOf(passes.map(({ fromBegun }) => fromBegun));
  const note = `due every ${asMicroseconds(intervalMs * 1e6)} µs; p99 from when begun ${asMicroseconds(begun.p99)} µs`;
  const row = (what, perRound, more) => ({ name: `${name}, ${what}`, perRound, ns: spread(perRound), ...more });
  const distribution = { of: name, ...percentilesOf(sorted) };
  return [row("median", at(0.5), { note, distribution }), row("p99", at(0.99))];
}

export async function prepare({ scratch, quick, rounds: wanted, opened }) {
  const rounds = wanted ?? (quick ? ROUNDS_QUICK : ROUNDS);
  const keys = makeKeys(ENTRIES);
  const values = makeValues(ENTRIES, 0);
  const inTurn = await openInTurn(scratch, opened, keys, values);
  const together = await openTogether(scratch, opened);
  const intervalMs = slowestMs(inTurn, keys, values) / UTILISATION;
  for (const subject of inTurn) subject.intervalMs = intervalMs;
  for (const subject of together) subject.intervalMs = intervalMs / TOGETHER_TIMES;
  const subjects = [...inTurn, ...together];

  const measure = async (progress) => {
    for (let round = 0; round <= rounds; round++) {
      progress(round === 0 ? "warm-up" : `round ${round} of ${rounds}`);
      const input = { keys, values: makeValues(ENTRIES, round + 1) };
      for (let place = 0; place < subjects.length; place++) {
        const subject = subjects[(place + round) % subjects.length];
        const count = Math.min(OPERATIONS_MAX, Math.ceil(ROUND_MS / subject.intervalMs));
        collectGarbage();
        const pass = await subject.pass(subject, input, subject.intervalMs, count);
        const last = (count - 1) % ENTRIES;
        const found = subject.read?.(keys[last]) ?? input.values[last];
        if (found !== input.values[last]) throw new Error(`${subject.name} holds ${found} under ${keys[last]}`);
        if (round > 0) subject.passes.push(pass);
      }
    }
    return subjects.flatMap(rowsOf);
  };
  return { measure, rounds };
}
