// The event log: appending in memory; reading one event, a range, and verifying the chain. Where many events are one call,
// the figure is that of one event.

import { openEventsByHand } from "../subjects/events-by-hand.mjs";
import { openEventsSqlite } from "../subjects/events-sqlite.mjs";
import { openDatabase } from "../subjects/holdfast.mjs";
import { pick, shuffledIndices, sum } from "../workload.mjs";

const TYPES = ["plan", "tool", "answer", "note"];
const APPENDS = 10_000;
const APPENDS_QUICK = 2000;
const LOG_EVENTS = 5000;
const LOG_EVENTS_QUICK = 2000;
const READS = 30_000;
const READS_QUICK = 6000;
const RANGE_EVENTS = 1000;

function makeEvents(count) {
  const payloads = Array.from({ length: count }, (_, step) => ({
    step,
    tool: `tool-${step % 16}`,
    ok: step % 8 !== 0,
  }));
  return { payloads, types: payloads.map(({ step }) => TYPES[step % TYPES.length]) };
}

async function openEvents() {
  const db = await openDatabase();
  const { events } = db.run("bench");
  return {
    append: (type, payload) => events.append(type, payload).sequence,
    appendPass({ types, payloads, count }) {
      let inOrder = 0;
      let last = events.length - 1;
      for (let i = 0; i < count; i++) {
        const { sequence } = events.append(types[i], payloads[i]);
        if (sequence === last + 1) inOrder++;
        last = sequence;
      }
      return inOrder;
    },
    readPass({ sequences, count }) {
      let total = 0;
      for (let i = 0; i < count; i++) total += events.read(sequences[i]).payload.step;
      return total;
    },
    rangePass({ starts, length }) {
      let total = 0;
      for (const start of starts) {
        for (const event of events.range(start, start + length)) total += event.payload.step;
      }
      return total;
    },
    verifyPass() {
      const { valid, length } = events.verify();
      return valid ? length : 0;
    },
    close: () => db.close(),
  };
}

async function openAll(opened) {
  return {
    holdfast: await opened("Holdfast", openEvents),
    byHand: await opened("by hand", openEventsByHand),
    sqlite: await opened("better-sqlite3", openEventsSqlite),
  };
}

/** The logs grow from round to round, as a log does. */
export async function prepareAppend({ quick, opened }) {
  const operations = quick ? APPENDS_QUICK : APPENDS;
  const made = makeEvents(operations);
  const { holdfast, byHand, sqlite } = await openAll(opened);
  return {
    computes: true,
    makeInput: (_round, count) => ({ ...made, count, expected: count }),
    subjects: [
      holdfast && { name: "Holdfast events.append", isHoldfast: true, operations, pass: holdfast.appendPass },
      byHand && { name: "by hand", note: "JSON, node:crypto, an array", operations, pass: byHand.appendPass },
      sqlite && {
        name: "better-sqlite3 :memory:",
        note: "JSON, node:crypto, index by type",
        operations,
        pass: sqlite.appendPass,
      },
    ].filter(Boolean),
  };
}

export async function prepareRead({ quick, opened }) {
  const length = quick ? LOG_EVENTS_QUICK : LOG_EVENTS;
  const { types, payloads } = makeEvents(length);
  const { holdfast, byHand, sqlite } = await openAll(opened);
  for (const log of [holdfast, byHand, sqlite].filter(Boolean)) {
    for (let i = 0; i < length; i++) log.append(types[i], payloads[i]);
  }
  const steps = payloads.map(({ step }) => step);
  const reads = quick ? READS_QUICK : READS;
  const makeReads = (round, count) => {
    const sequences = shuffledIndices(reads, round).map((index) => index % length);
    return { sequences, count, expected: sum(pick(steps, sequences), count) };
  };
  const makeRanges = (_round, count) => {
    const starts = Array.from({ length: count / RANGE_EVENTS }, (_, at) => at * RANGE_EVENTS);
    return { starts, length: RANGE_EVENTS, count, expected: sum(steps, count) };
  };
  const makeWhole = (_round, count) => ({ count, expected: count });
  const read = { operations: reads, makeInput: makeReads };
  const range = { operations: length, makeInput: makeRanges };
  const verify = { operations: length, makeInput: makeWhole };
  return {
    computes: true,
    subjects: [
      holdfast && { ...read, name: "Holdfast events.read", isHoldfast: true, pass: holdfast.readPass },
      byHand && { ...read, name: "by hand, read", note: "an element of an array, parsed", pass: byHand.readPass },
      sqlite && { ...read, name: "better-sqlite3, read", note: "plucked and parsed", pass: sqlite.readPass },
      holdfast && { ...range, name: "Holdfast events.range of 1,000", isHoldfast: true, pass: holdfast.rangePass },
      sqlite && { ...range, name: "better-sqlite3, range of 1,000", note: "parsed", pass: sqlite.rangePass },
      holdfast && { ...verify, name: "Holdfast events.verify", isHoldfast: true, pass: holdfast.verifyPass },
      byHand && { ...verify, name: "by hand, verify", note: "the chain alone", pass: byHand.verifyPass },
    ].filter(Boolean),
  };
}
