/** Small scripts, each about one meeting: what workers do to one another in a few acts. */
import type { Act } from "./acts.mjs";
import type { Script } from "./harness.js";

const R = "r";
const put = (key: string, value: number, more: Partial<Act> = {}): Act => ({ do: "put", run: R, key, value, ...more });
const remove = (key: string): Act => ({ do: "delete", run: R, key });
const get = (key: string, run = R): Act => ({ do: "get", run, key });
const list: Act = { do: "list", run: R };
const count: Act = { do: "count", run: R };
const of = (act: string, more: Partial<Act> = {}): Act => ({ do: act, ...more });

const SETUP: readonly Act[] = [put("a", 1), put("b", 2), put("c", 3)];

/** A transaction that reads some keys and writes others. */
function transaction(as: string, reads: readonly string[], writes: readonly (readonly [string, number])[]): Act[] {
  return [
    of("begin", { run: R, as }),
    ...reads.map((key) => of("transactionGet", { as, key })),
    ...writes.map(([key, value]) => of("transactionPut", { as, key, value })),
    of("commit", { as }),
  ];
}

/** With those of the setup as many keys as a leaf takes: with the next one it is made anew. */
const MANY: readonly Act[] = Array.from({ length: 25 }, (_, i) => put(`m${i}`, 500 + i));

export const SCRIPTS: readonly Script[] = [
  { name: "put, get", setup: SETUP, parts: [[put("a", 10)], [get("a"), get("a")]] },
  { name: "put, put of one key", setup: SETUP, parts: [[put("a", 10)], [put("a", 20), get("a")]] },
  { name: "put, list", setup: SETUP, parts: [[put("d", 10)], [list]] },
  { name: "put, count", setup: SETUP, parts: [[put("a", 10), put("b", 11)], [count]] },
  {
    name: "delete, get",
    setup: SETUP,
    parts: [
      [remove("a"), get("a")],
      [get("a"), get("b")],
    ],
  },
  { name: "delete, list", setup: SETUP, parts: [[remove("a")], [list, count]] },
  {
    name: "write skew",
    setup: SETUP,
    parts: [transaction("t", ["a"], [["b", 10]]), transaction("u", ["b"], [["a", 20]])],
  },
  {
    name: "lost update",
    setup: SETUP,
    parts: [transaction("t", ["a"], [["a", 10]]), transaction("u", ["a"], [["a", 20]])],
  },
  {
    name: "commit of two keys, reads of both",
    setup: SETUP,
    parts: [
      transaction(
        "t",
        [],
        [
          ["a", 10],
          ["b", 11],
        ],
      ),
      [get("a"), get("b"), get("a")],
    ],
  },
  {
    name: "commit, transaction that reads",
    setup: SETUP,
    parts: [
      transaction(
        "t",
        [],
        [
          ["a", 10],
          ["b", 11],
        ],
      ),
      transaction("u", ["a", "b"], []),
    ],
  },
  {
    name: "insertion into a listed range",
    setup: SETUP,
    parts: [
      [
        of("begin", { run: R, as: "t" }),
        of("transactionList", { as: "t" }),
        of("transactionPut", { as: "t", key: "n", value: 10 }),
        of("commit", { as: "t" }),
      ],
      [put("d", 20)],
    ],
  },
  {
    name: "snapshot, overwritten",
    setup: SETUP,
    parts: [
      [
        of("snapshot", { run: R, as: "s" }),
        of("snapshotGet", { as: "s", key: "a" }),
        of("snapshotList", { as: "s" }),
        of("snapshotDrop", { as: "s" }),
      ],
      [put("a", 10), put("a", 11), put("a", 12)],
    ],
  },
  {
    name: "snapshot of all, two runs",
    setup: [...SETUP, put("a", 4, { run: "q" })],
    parts: [
      [
        of("snapshotAll", { as: "s" }),
        of("snapshotGet", { as: "s", run: R, key: "a" }),
        of("snapshotGet", { as: "s", run: "q", key: "a" }),
        of("snapshotDrop", { as: "s" }),
      ],
      [put("a", 10), put("a", 11)],
      [put("a", 12, { run: "q" })],
    ],
  },
  {
    name: "snapshot of all, a run is made",
    setup: [...SETUP, put("a", 4, { run: "q" })],
    parts: [
      [
        of("snapshotAll", { as: "s" }),
        of("snapshotRuns", { as: "s" }),
        of("snapshotRuns", { as: "s" }),
        of("snapshotDrop", { as: "s" }),
      ],
      [put("a", 11, { run: "n" })],
      [put("a", 12, { run: "q" })],
    ],
  },
  {
    name: "snapshot, run deleted",
    setup: SETUP,
    parts: [
      [
        of("snapshot", { run: R, as: "s" }),
        of("snapshotGet", { as: "s", key: "a" }),
        of("snapshotGet", { as: "s", key: "a" }),
        of("snapshotList", { as: "s" }),
        of("snapshotDrop", { as: "s" }),
      ],
      [of("deleteRun", { run: R }), put("z", 30, { run: "other" })],
    ],
  },
  {
    name: "snapshot of all, a run deleted that another one saw",
    setup: [...SETUP, put("a", 4, { run: "q" })],
    parts: [
      [
        of("snapshotAll", { as: "s" }),
        of("snapshotRuns", { as: "s" }),
        of("snapshotGet", { as: "s", run: "q", key: "a" }),
        of("snapshotDrop", { as: "s" }),
      ],
      [of("snapshotAll", { as: "t" }), of("deleteRun", { run: "q" }), of("snapshotDrop", { as: "t" })],
    ],
  },
  {
    name: "transaction, run deleted",
    setup: SETUP,
    parts: [transaction("t", ["a", "b"], []), [of("deleteRun", { run: R }), put("a", 30)]],
  },
  {
    name: "run deleted, get",
    setup: SETUP,
    parts: [
      [of("deleteRun", { run: R }), put("x", 10, { run: "other" })],
      [get("a"), get("a")],
    ],
  },
  { name: "run deleted, put", setup: SETUP, parts: [[of("deleteRun", { run: R })], [put("a", 10), get("a")]] },
  {
    name: "run made, discarded",
    setup: SETUP,
    parts: [
      [of("open", { run: "n" }), of("discard", { run: "n" })],
      [put("a", 10, { run: "n" }), get("a", "n")],
    ],
  },
  { name: "runs made", setup: SETUP, parts: [[put("a", 10, { run: "n" })], [put("a", 20, { run: "n" })]] },
  {
    name: "transaction on a run that is not there",
    setup: SETUP,
    parts: [
      [
        of("begin", { run: "n", as: "t" }),
        of("transactionPut", { as: "t", key: "a", value: 10 }),
        of("commit", { as: "t" }),
      ],
      [of("begin", { run: "n", as: "t" }), of("transactionGet", { as: "t", key: "a" }), of("end", { as: "t" })],
    ],
  },
  {
    name: "extents taken and given",
    setup: SETUP,
    parts: [
      [put("a", 10, { bytes: 40_000 }), put("a", 11)],
      [put("b", 20, { bytes: 40_000, run: "q" }), put("b", 21, { run: "q" })],
    ],
  },
  {
    name: "memory grows",
    setup: SETUP,
    parts: [[of("reserve", { bytes: 400_000 })], [of("reserve", { bytes: 900_000 }), put("a", 10)]],
  },
  {
    name: "a table splits",
    setup: [...SETUP, ...MANY],
    parts: [
      [put("n1", 10), put("n2", 11), put("n3", 12)],
      [list, get("m3"), list],
    ],
  },
  {
    name: "two writers, a table splits, listed",
    setup: [...SETUP, ...MANY],
    parts: [
      [put("a", 10), put("b", 11), put("a", 12), put("b", 13)],
      [put("n1", 20), put("n2", 21), put("n3", 22), put("n4", 23)],
      [list, list, list, list],
    ],
  },
  {
    name: "a large value, read",
    setup: [put("a", 1, { bytes: 40_000 })],
    parts: [[put("a", 10, { bytes: 40_000 }), put("a", 11)], [get("a")]],
  },
  {
    name: "three on one key",
    setup: SETUP,
    parts: [[put("a", 10)], [remove("a"), put("a", 21)], [get("a"), list]],
  },
];

/** One that comes to hold something, one that writes on, and two whose commits on other runs are held up. */
const WHILE_HELD_UP: readonly Act[][] = [
  [put("a", 10), put("a", 11), put("a", 12)],
  [put("a", 13, { run: "q" })],
  [put("a", 14, { run: "o" })],
];
const SETUP_OF_THREE = [...SETUP, put("a", 4, { run: "q" }), put("a", 5, { run: "o" })];

export const HELD_UP_SCRIPTS: readonly Script[] = [
  {
    name: "snapshot of all, others are held up",
    setup: SETUP_OF_THREE,
    parts: [
      [
        of("snapshotAll", { as: "s" }),
        of("snapshotGet", { as: "s", run: R, key: "a" }),
        of("snapshotDrop", { as: "s" }),
      ],
      ...WHILE_HELD_UP,
    ],
  },
  {
    name: "snapshot, others are held up",
    setup: SETUP_OF_THREE,
    parts: [
      [of("snapshot", { run: R, as: "s" }), of("snapshotGet", { as: "s", key: "a" }), of("snapshotDrop", { as: "s" })],
      ...WHILE_HELD_UP,
    ],
  },
  {
    name: "snapshot of all, others are held up, a key goes",
    setup: SETUP_OF_THREE,
    parts: [
      [
        of("snapshotAll", { as: "s" }),
        of("snapshotGet", { as: "s", run: R, key: "a" }),
        of("snapshotDrop", { as: "s" }),
      ],
      [put("a", 10), remove("a"), put("b", 12)],
      ...WHILE_HELD_UP.slice(1),
    ],
  },
  {
    name: "transaction, others are held up",
    setup: SETUP_OF_THREE,
    parts: [transaction("t", ["a"], [["b", 20]]), ...WHILE_HELD_UP],
  },
];

/** Those that are small enough for every schedule with two preemptions. */
export const TINY: readonly string[] = [
  "put, get",
  "put, put of one key",
  "put, list",
  "delete, get",
  "run made, discarded",
];

/** What goes on behind a worker that was killed: somebody clears up, and both go on. */
function behind(...acts: readonly Act[]): readonly Act[] {
  return [{ do: "bury", worker: 0 }, ...acts];
}

const AFTER: readonly Act[] = [get("a"), put("a", 900), list, put("z", 901, { run: "other" }), list];

/** Scripts whose first worker is killed at each of its steps. */
export const KILL_SCRIPTS: readonly Script[] = [
  { name: "a put", setup: SETUP, parts: [[put("a", 10)], behind(...AFTER)] },
  { name: "a put of a new key", setup: SETUP, parts: [[put("d", 10)], behind(...AFTER)] },
  {
    name: "a put of a new key that splits a table",
    setup: [...SETUP, ...MANY],
    parts: [[put("n1", 10), put("n2", 11)], behind(...AFTER)],
  },
  { name: "a large put", setup: SETUP, parts: [[put("a", 10, { bytes: 40_000 }), put("a", 11)], behind(...AFTER)] },
  { name: "a deletion", setup: SETUP, parts: [[remove("a")], behind(...AFTER)] },
  {
    name: "a commit",
    setup: SETUP,
    parts: [
      transaction(
        "t",
        ["a"],
        [
          ["b", 10],
          ["d", 11],
        ],
      ),
      behind(...AFTER),
    ],
  },
  {
    name: "a snapshot",
    setup: SETUP,
    parts: [
      [
        put("a", 10),
        of("snapshot", { run: R, as: "s" }),
        put("a", 11),
        of("snapshotGet", { as: "s", key: "a" }),
        of("snapshotDrop", { as: "s" }),
      ],
      behind(...AFTER),
    ],
  },
  { name: "a listing", setup: SETUP, parts: [[list], behind(...AFTER)] },
  {
    name: "the making of a run",
    setup: SETUP,
    parts: [[put("a", 10, { run: "n" })], behind(...AFTER, put("a", 20, { run: "n" }), get("a", "n"))],
  },
  { name: "the deletion of a run", setup: SETUP, parts: [[of("deleteRun", { run: R })], behind(...AFTER)] },
  {
    name: "the deletion of a run that a snapshot sees",
    setup: SETUP,
    parts: [
      [
        of("snapshot", { run: R, as: "s" }),
        of("deleteRun", { run: R }),
        of("snapshotGet", { as: "s", key: "a" }),
        of("snapshotDrop", { as: "s" }),
      ],
      behind(...AFTER),
    ],
  },
  {
    name: "a run that is made and discarded",
    setup: SETUP,
    parts: [
      [of("open", { run: "n" }), of("discard", { run: "n" })],
      behind(...AFTER, put("a", 20, { run: "n" }), get("a", "n")),
    ],
  },
  {
    name: "a transaction on a run that is not there",
    setup: SETUP,
    parts: [
      [
        of("begin", { run: "n", as: "t" }),
        of("transactionPut", { as: "t", key: "a", value: 10 }),
        of("end", { as: "t" }),
      ],
      behind(...AFTER, put("a", 20, { run: "n" }), get("a", "n")),
    ],
  },
  { name: "a growth of memory", setup: SETUP, parts: [[of("reserve", { bytes: 900_000 })], behind(...AFTER)] },
  { name: "a put that grows memory", setup: SETUP, parts: [[put("b", 10, { bytes: 900_000 })], behind(...AFTER)] },
];

/** Scripts over one lock, in which somebody is held up inside for longer than others spin. */
export const LOCK_SCRIPT: Script = {
  name: "four writers of one run",
  mayBeBusy: true,
  setup: SETUP,
  parts: [10, 20, 30, 40].map((value) => [put("a", value), put("b", value + 1), put("c", value + 2)]),
};

/** Two of three workers die: one of them while it clears up behind the other. */
export const BURIAL_SCRIPT: Script = {
  name: "a burial",
  setup: SETUP,
  parts: [
    [of("deleteRun", { run: R })],
    [{ do: "bury", worker: 0 }],
    [{ do: "bury", worker: 1 }, { do: "bury", worker: 0 }, ...AFTER],
  ],
};
