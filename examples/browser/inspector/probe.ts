/**
 * The inspector's part beside the database: answers its questions over the public interface.
 *
 * The past is shown from snapshots: one is taken whenever `note` is called after a commit, and the newest `held` of them are kept. So what lies further
 * back, or before the database was opened, cannot be looked at here, and what only they see stays in memory until they go.
 */
import type { Database, Run, RunSnapshot, Snapshot, Value } from "holdfast";
import { changesBetween } from "./changes";
import { clockStepMs, type Meter } from "./meter";
import type { Entries, Entry, HeldVersion, Questions, Topic } from "./questions";
import { textOf } from "./text";

const HELD_DEFAULT = 64;

type View = Pick<RunSnapshot, "kv" | "events" | "state" | "traces" | "graph">;
type Answers = { [T in Topic]: (question: Questions[T]["ask"]) => Questions[T]["answer"] };

export interface ProbeOptions {
  /** How many versions are held; 64 if left out. */
  readonly held?: number;
  readonly meter: Meter;
}

export class Probe {
  readonly #db: Database;
  readonly #run: Run;
  readonly #meter: Meter;
  readonly #heldMax: number;
  readonly #clockMs = clockStepMs();
  readonly #held: (HeldVersion & { readonly snapshot: Snapshot; readonly sequence: number | undefined })[] = [];

  constructor(db: Database, runId: string, { held = HELD_DEFAULT, meter }: ProbeOptions) {
    this.#db = db;
    this.#run = db.run(runId);
    this.#meter = meter;
    this.#heldMax = held;
    this.note();
  }

  /** Says that something may have been committed: the version that there is now is held. */
  note(): void {
    const { version } = this.#run;
    if (version === 0 || this.#held.at(-1)?.version === version) return;
    const snapshot = this.#run.snapshot();
    const head = snapshot.events.head();
    const isNew = head !== undefined && head.sequence !== this.#held.at(-1)?.sequence;
    const event = isNew ? snapshot.events.read(head.sequence)?.type : undefined;
    this.#held.push({ version, takenAt: Date.now(), event, snapshot, sequence: head?.sequence });
    if (this.#held.length > this.#heldMax) this.#held.shift()?.snapshot.dispose();
  }

  /** Lets go of everything that is held. */
  dispose(): void {
    for (const { snapshot } of this.#held.splice(0)) snapshot.dispose();
  }

  answer<T extends Topic>(topic: T, question: Questions[T]["ask"]): Questions[T]["answer"] {
    return this.#answers[topic](question);
  }

  /** A version that has gone since it was asked for is answered with the oldest one that is left. */
  #at(version: number | undefined): View {
    if (version === undefined) return this.#run;
    const held = this.#held.find((each) => each.version >= version);
    return held?.snapshot ?? this.#run;
  }

  readonly #answers: Answers = {
    overview: () => ({
      runId: this.#run.id,
      info: this.#db.runs.get(this.#run.id),
      version: this.#run.version,
      held: this.#held.map(({ version, takenAt, event }) => ({ version, takenAt, event })),
      heldMax: this.#heldMax,
      storage: this.#db.storageInfo,
      durability: this.#db.durability.mode,
    }),
    events: ({ at, limit, type }) => {
      const { events } = this.#at(at);
      const { length } = events;
      const newest =
        type === undefined
          ? [...events.range(Math.max(0, length - limit), length)].reverse()
          : events.readByType(type, { reverse: true, limit });
      return { events: newest, length, types: events.types() };
    },
    traces: ({ at }) => {
      const { traces } = this.#at(at);
      const trees = traces.roots().flatMap(({ id }) => traces.tree(id) ?? []);
      return { trees, total: traces.count() };
    },
    cells: ({ at }) => this.#at(at).state.list(),
    entries: ({ at, search, prefix, limit }) => searchEntries(this.#at(at), search, prefix, limit),
    graph: ({ at, limit }) => {
      const { graph } = this.#at(at);
      const nodes = graph.nodes({ limit });
      const shown = new Set(nodes.map(({ id }) => id));
      const all = graph.edges();
      const edges = all.filter(({ source, target }) => shown.has(source) && shown.has(target));
      return { nodes, edges, nodeCount: graph.nodeCount(), edgeCount: all.length };
    },
    changes: ({ version }) => {
      const index = this.#held.findIndex((each) => each.version >= version);
      const [before, after] = [this.#held[index - 1], this.#held[index]];
      if (after === undefined || before === undefined) {
        return { version: after?.version ?? version, since: undefined, lines: [] };
      }
      const lines = changesBetween(before.snapshot, after.snapshot);
      return { version: after.version, since: before.version, lines };
    },
    verify: () => this.#run.events.verify(),
    costs: () => ({ stats: this.#db.stats(), latency: this.#meter.summary(), clockMs: this.#clockMs }),
  };
}

/** A key or a text in a value that holds what is searched for, in either case. */
function searchEntries({ kv }: View, search = "", prefix: string | undefined, limit: number): Entries {
  const wanted = search.toLowerCase();
  const matches = ([key, value]: [string, Value]) =>
    wanted === "" || key.toLowerCase().includes(wanted) || textOf(value).toLowerCase().includes(wanted);
  const matching = kv.list({ prefix }).filter(matches);
  const found: Entry[] = matching
    .slice(0, limit)
    .map(([key, value]) => ({ key, value, version: kv.getVersioned(key)?.version ?? 0 }));
  return { found, matching: matching.length, total: kv.count() };
}
