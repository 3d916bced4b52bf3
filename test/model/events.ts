/**
 * What can come between asynchronous transactions: steps of their callbacks, implicit writes, synchronous transactions,
 * deletions of runs, and what the disk does. Few keys, names and ids, so that transactions meet.
 *
 * A sequence keeps to one primitive or mixes all of them. Values are put in when an act is done.
 */
import fc from "fast-check";
import type { Mode } from "../support/history.js";
import type { Act } from "./acts.js";
import { ASYNC_KEYS, ASYNC_RUNS, type Event, type Step } from "./clients.js";
import type { IndexWrite } from "./primitives-oracle.js";

const run = fc.constantFrom(ASYNC_RUNS[0], ASYNC_RUNS[0], ASYNC_RUNS[1]);
const key = fc.constantFrom("k", "k", ...ASYNC_KEYS);
const mode = fc.constantFrom<Mode>("in-memory", "buffered", "strict", "strict");
const id = fc.constantFrom("1", "2", "1", "3");
const type = fc.constantFrom("x", "x", "y");
const value = null;

function acts(weighted: readonly [weight: number, arbitrary: fc.Arbitrary<unknown>][]): fc.Arbitrary<Act> {
  return fc.oneof(...weighted.map(([weight, arbitrary]) => ({ weight, arbitrary: arbitrary as fc.Arbitrary<Act> })));
}

const kv = acts([
  [4, key.map((key) => ({ do: "kv.versioned", key }))],
  [2, fc.constant({ do: "kv.list", range: {} })],
  [1, fc.constant({ do: "kv.count", range: {} })],
  [5, key.map((key) => ({ do: "kv.put", key, value, expect: "any" }))],
  [3, key.map((key) => ({ do: "kv.delete", key, expect: "any" }))],
]);
const events = acts([
  [6, type.map((type) => ({ do: "events.append", type, payload: value }))],
  [1, fc.nat({ max: 3 }).map((sequence) => ({ do: "events.read", sequence }))],
  [1, type.map((type) => ({ do: "events.byType", type, reverse: false, limit: undefined }))],
  [1, fc.constantFrom({ do: "events.length" }, { do: "events.types" }, { do: "events.verify" })],
  [1, fc.constant({ do: "events.range", start: 0, end: undefined })],
]);
const cells = acts([
  [3, key.map((name) => ({ do: "state.set", name, value }))],
  [1, key.map((name) => ({ do: "state.init", name, value }))],
  [
    2,
    fc
      .tuple(key, fc.constantFrom("right", "right", "wrong"))
      .map(([name, expect]) => ({ do: "state.cas", name, value, expect })),
  ],
  [2, key.map((name) => ({ do: "state.transitionOrInit", name, value, fails: false }))],
  [2, key.map((name) => ({ do: "state.delete", name }))],
  [2, key.map((name) => ({ do: "state.read", name }))],
  [1, fc.constant({ do: "state.list", range: {} })],
]);
const trace = { do: "traces.record", entry: { type: "thought", content: "" }, tags: ["x"], metadata: undefined };
const traces = acts([
  [3, id.map((id) => ({ ...trace, id, parent: undefined }))],
  [4, id.map((parent) => ({ ...trace, id: undefined, parent }))],
  [1, id.map((id) => ({ do: "traces.children", id }))],
  [1, id.map((id) => ({ do: "traces.get", id }))],
  [1, fc.constantFrom({ do: "traces.roots" }, { do: "traces.count" }, { do: "traces.byTag", tag: "x" })],
]);
const every = acts([
  [3, kv],
  [1, events],
  [1, cells],
  [1, traces],
]);

const name = run;
const indexed = fc.oneof(
  name.map((run): IndexWrite => ({ do: "create", run, parent: undefined, tags: ["x"], note: value })),
  name.map((run): IndexWrite => ({ do: "updateMetadata", run, note: value })),
  fc
    .tuple(name, fc.constantFrom("complete", "fail", "pause", "resume", "archive"))
    .map(([run, verb]) => ({ do: verb, run }) as IndexWrite),
);

/** Events whose acts are these. */
function eventsOf(act: fc.Arbitrary<Act>, deletions: number): fc.Arbitrary<Event> {
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 13, arbitrary: act.map((act): Step => ({ do: "act", act })) },
    { weight: 6, arbitrary: fc.constant<Step>({ do: "return" }) },
    { weight: 1, arbitrary: fc.constant<Step>({ do: "throw" }) },
    { weight: 1, arbitrary: fc.constant<Step>({ do: "rollback" }) },
  );
  const bytes = fc.constantFrom(0, 60, 150, 1e9, 1e9, 1e9);
  const fail = fc.nat({ max: 9 }).map((chance) => chance === 0);
  // Seldom: after it nothing is written any more.
  const broken = fc
    .tuple(fc.nat({ max: 9 }), fc.constantFrom(0, 40, 1000))
    .map(([chance, bytes]): Event => (chance === 0 ? { op: "break", bytes } : { op: "tick" }));
  const weighted: [weight: number, arbitrary: fc.Arbitrary<Event>][] = [
    [10, fc.tuple(run, mode).map(([run, mode]) => ({ op: "begin", run, mode }))],
    [30, fc.tuple(fc.nat({ max: 4 }), step).map(([index, step]) => ({ op: "step", index, step }))],
    [12, fc.tuple(run, act, mode).map(([run, act, mode]) => ({ op: "do", run, act, mode }))],
    [
      5,
      fc
        .tuple(run, fc.array(act, { minLength: 2, maxLength: 3 }), mode)
        .map(([run, acts, mode]) => ({ op: "together", run, acts, mode })),
    ],
    [1, fc.tuple(indexed, mode).map(([act, mode]) => ({ op: "index", act, mode }))],
    [deletions, fc.tuple(run, mode).map(([run, mode]) => ({ op: "deleteRun", run, mode }))],
    [3, fc.constantFrom(undefined, ...ASYNC_RUNS).map((run) => ({ op: "snapshot", run }))],
    [2, fc.constant({ op: "dispose" })],
    [5, fc.constant({ op: "hold" })],
    [4, fail.map((fail) => ({ op: "release", fail }))],
    [4, bytes.map((bytes) => ({ op: "room", bytes }))],
    [2, fc.constant({ op: "flush" })],
    [2, fc.constant({ op: "checkpoint" })],
    [2, broken],
  ];
  return fc.oneof(...weighted.map(([weight, arbitrary]) => ({ weight, arbitrary })));
}

const oneKey = acts([
  [3, fc.constant({ do: "kv.put", key: "k", value, expect: "any" })],
  [2, fc.constantFrom({ do: "kv.versioned", key: "k" }, { do: "kv.list", range: {} })],
  [1, fc.constant({ do: "state.set", name: "k", value })],
]);
const stepOnOne: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: oneKey.map((act): Step => ({ do: "act", act })) },
  { weight: 2, arbitrary: fc.constant<Step>({ do: "return" }) },
);
const amid = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.constant<Event>({ op: "begin", run: "a", mode: "strict" }) },
    {
      weight: 10,
      arbitrary: fc.tuple(fc.nat({ max: 4 }), stepOnOne).map(([index, step]): Event => ({ op: "step", index, step })),
    },
  ),
  { minLength: 4, maxLength: 24, size: "max" },
);
const put: Act = { do: "kv.put", key: "k", value, expect: "any" };
/**
 * Transactions on one key behind a sync that is held, so that they wait unwritten until there is no room: several commits
 * are undone that others have read.
 */
const undone: fc.Arbitrary<Event[]> = fc
  .tuple(amid, amid)
  .map(([before, after]) => [
    { op: "hold" },
    { op: "begin", run: "a", mode: "strict" },
    { op: "step", index: 0, step: { do: "act", act: put } },
    { op: "step", index: 0, step: { do: "return" } },
    ...before,
    { op: "room", bytes: 0 },
    { op: "release", fail: false },
    { op: "room", bytes: 1e9 },
    ...after,
  ]);

/** Sequences of events. */
export function interleavings(): fc.Arbitrary<Event[]> {
  const about = (act: fc.Arbitrary<Act>, deletions: number): fc.Arbitrary<Event[]> =>
    fc.array(eventsOf(act, deletions), { maxLength: 50, size: "max" });
  return fc.oneof(
    { weight: 4, arbitrary: about(kv, 1) },
    { weight: 4, arbitrary: about(every, 2) },
    { weight: 2, arbitrary: about(events, 1) },
    { weight: 2, arbitrary: about(cells, 1) },
    { weight: 2, arbitrary: about(traces, 1) },
    { weight: 2, arbitrary: undone },
  );
}
