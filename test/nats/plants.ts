/** Faults of the adapter that its tests must find: changes of the source's text, and the test that has to fail for each. */

export interface Plant {
  readonly name: string;
  readonly changes: readonly { readonly file: string; readonly from: string; readonly to: string }[];
  /** A file of tests, and what the titles of those begin with that have to fail. */
  readonly caughtBy: readonly [file: string, title: string];
}

const SUBJECT = "nats-subject.ts";
const UNSURE = "frame.operation === OPERATIONS.own || !this.isSure()";

export const PLANTS: readonly Plant[] = [
  {
    name: "publishes on no condition, and believes every acknowledgement",
    changes: [
      { file: SUBJECT, from: "{ lastSubjectSequence: this.#last, streamName: stream }", to: "{ streamName: stream }" },
      { file: SUBJECT, from: UNSURE, to: "frame.operation === OPERATIONS.own" },
    ],
    caughtBy: ["adapter.test.ts", "an owner who was cut off"],
  },
  {
    name: "acknowledges before the servers do",
    changes: [
      {
        file: "nats-session.ts",
        from: "    return done;\n  }\n\n  async #write(",
        to: "    return Promise.resolve();\n  }\n\n  async #write(",
      },
    ],
    caughtBy: ["adapter.test.ts", "an owner who was cut off"],
  },
  {
    name: "takes away more than is forgotten",
    changes: [{ file: "nats-session.ts", from: "this.#subject.purge(first)", to: "this.#subject.purge(first + 1)" }],
    caughtBy: ["adapter.test.ts", "a checkpoint takes the place"],
  },
  {
    name: "takes nothing away",
    changes: [{ file: "nats-session.ts", from: "await this.#subject.purge(first);", to: "" }],
    caughtBy: ["adapter.test.ts", "a checkpoint takes the place"],
  },
  {
    name: "publishes again what had arrived, and takes it for another one's",
    changes: [{ file: SUBJECT, from: "const isMine = frame.writer === writer;", to: "const isMine = false;" }],
    caughtBy: ["adapter.test.ts", "what had arrived"],
  },
  {
    name: "takes over without a look at what came before",
    changes: [{ file: SUBJECT, from: UNSURE, to: "frame.operation !== OPERATIONS.own && !this.isSure()" }],
    caughtBy: ["fence.test.ts", "of several who take over"],
  },
  {
    name: "believes an acknowledgement when its lease is over",
    changes: [{ file: SUBJECT, from: UNSURE, to: "frame.operation === OPERATIONS.own" }],
    caughtBy: ["fence.test.ts", "an owner whose lease is over believes"],
  },
  {
    name: "counts what one who was overtaken has still written",
    changes: [{ file: "nats-fold.ts", from: "if (last > 0 && !this.#counts(frame)) return;", to: "" }],
    caughtBy: ["fence.test.ts", "what one who was overtaken"],
  },
  {
    name: "reads what only one of the servers holds",
    changes: [
      {
        file: "nats-session.ts",
        from: "if ((await subject.lastBetween(behind, sequence)) !== last) return false;",
        to: "",
      },
    ],
    caughtBy: ["adapter.test.ts", "what only the server that delivers has from before an owner who died"],
  },
  {
    name: "lets go of nothing that is asked for elsewhere",
    changes: [{ file: "fleet.ts", from: "if (found?.holds === 0)", to: "if (found?.holds === -1)" }],
    caughtBy: ["fleet.test.ts", "shares a run within"],
  },
  {
    name: "gives a run back before it is acknowledged",
    changes: [{ file: "fleet.ts", from: "await loaded.db.flush();", to: "loaded.holds = 0; return;" }],
    caughtBy: ["fleet.test.ts", "lets those go"],
  },
];
