/**
 * What a child of the crash tests said was committed, and whether a database that is found afterwards agrees.
 *
 * A state agrees if it is the plan up to some commit, no earlier than what was acknowledged as durable and no later than
 * what can have been begun, and if the joint run is at one number in every primitive. Either must hold all of the other
 * that had returned before its own last commit began, so that both together are a prefix of the commit order.
 */
import { isDeepStrictEqual } from "node:util";
import type { Database } from "../../src/index.js";
import { JOINT_RUN, JOINT_UNACKNOWLEDGED_MAX, planOf, RUNS, SAYS, UNACKNOWLEDGED_MAX } from "./plan.mjs";

const MESSAGE_BYTES = 5;

/** What was acknowledged over all lives of one database. */
export interface Acknowledged {
  /** The last commit of the plan whose call has returned. */
  returned: number;
  /** The last one that must be there. */
  durable: number;
  jointReturned: number;
  jointDurable: number;
}

export function nothingAcknowledged(): Acknowledged {
  return { returned: 0, durable: 0, jointReturned: 0, jointDurable: 0 };
}

/** Reads what a child says, in pieces of any size. */
export class Listener {
  readonly #hear: (says: number, count: number) => void;
  #rest: Buffer = Buffer.alloc(0);

  constructor(hear: (says: number, count: number) => void) {
    this.#hear = hear;
  }

  take(piece: Buffer): void {
    const bytes = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece]);
    let at = 0;
    for (; at + MESSAGE_BYTES <= bytes.length; at += MESSAGE_BYTES) {
      this.#hear(bytes[at] as number, bytes.readUInt32LE(at + 1));
    }
    this.#rest = bytes.subarray(at);
  }
}

/** Enters one message into the ledger. `killOnly`: whatever has returned must be there, because only a process dies. */
export function enter(ledger: Acknowledged, says: number, count: number, killOnly: boolean): void {
  const isDurable = says === SAYS.durable || says === SAYS.jointDurable || killOnly;
  if (says === SAYS.returned || says === SAYS.durable) {
    ledger.returned = Math.max(ledger.returned, count);
    if (isDurable) ledger.durable = Math.max(ledger.durable, count);
  } else if (says === SAYS.jointReturned || says === SAYS.jointDurable) {
    ledger.jointReturned = Math.max(ledger.jointReturned, count);
    if (isDurable) ledger.jointDurable = Math.max(ledger.jointDurable, count);
  }
}

type Values = Record<string, Record<string, { readonly n: number; readonly key: string }>>;

/** What stands in a database, read once. */
export interface Found {
  readonly values: Values;
  /** The highest number of the joint run that a commit of the plan had seen. */
  readonly jointSeen: number;
  readonly joint: { readonly n: number; readonly after: number };
  /** What is wrong with the joint run in itself; empty where nothing is. */
  readonly jointFault: string;
  readonly isValid: boolean;
}

interface PlanValue {
  readonly n: number;
  readonly key: string;
  readonly joint: number;
}

/** Reads all that the tests have written. */
export function read(db: Database): Found {
  let jointSeen = 0;
  const valuesOf = (run: string) =>
    Object.fromEntries(
      db
        .run(run)
        .kv.list()
        .map(([key, value]) => {
          const { joint, ...rest } = value as unknown as PlanValue;
          jointSeen = Math.max(jointSeen, joint);
          return [key, rest];
        }),
    );
  const values = Object.fromEntries(RUNS.map((run) => [run, valuesOf(run)]));
  const run = db.run(JOINT_RUN);
  const joint = (run.kv.get("sequence") as { n: number; after: number } | undefined) ?? { n: 0, after: 0 };
  const cell = run.state.read("sequence")?.value ?? 0;
  const { length } = run.events;
  const payloads = [...run.events.range(0)].every((event, i) => event.payload === i + 1);
  const traces = run.traces.count();
  const agrees = cell === joint.n && length === joint.n && traces === joint.n && payloads && run.events.verify().valid;
  const jointFault = agrees
    ? ""
    : `kv ${joint.n}, cell ${String(cell)}, ${length} events${payloads ? "" : " out of order"}, ${traces} traces`;
  return { values, jointSeen, joint, jointFault, isValid: db.verify().valid };
}

/** The plan, carried out in plain objects as far as it was asked for. */
class Model {
  readonly values: Values = Object.fromEntries(RUNS.map((run) => [run, {}]));
  sequence = 0;

  /** Everything as it must stand after commit `sequence`; forwards only. */
  upTo(sequence: number): Values {
    while (this.sequence < sequence) {
      const n = ++this.sequence;
      const { run, puts, deletes, deletesRun } = planOf(n);
      if (deletesRun) this.values[run] = {};
      const values = this.values[run] as Values[string];
      for (const key of puts) values[key] = { n, key };
      for (const key of deletes) delete values[key];
    }
    return this.values;
  }
}

function highestIn(values: Values): number {
  const numbers = Object.values(values).flatMap((run) => Object.values(run).map(({ n }) => n));
  return Math.max(0, ...numbers);
}

/** The first commit between two after which the plan stands as found. */
function commitWithin(values: Values, from: number, to: number): number | undefined {
  const model = new Model();
  for (let n = from; n <= to; n++) if (isDeepStrictEqual(model.upTo(n), values)) return n;
  return undefined;
}

/** Whether the last commit that shows has left a part of what it wrote. */
function isPartial(values: Values): boolean {
  const last = highestIn(values);
  if (last === 0) return false;
  const { run, puts } = planOf(last);
  return puts.some((key) => values[run]?.[key]?.n !== last);
}

export type Fault = "lost" | "partial" | "reordered" | "silentlyCorrupt";

/** Where a found state stands in the commit order, or what is wrong with it. */
export type Verdict =
  | { readonly last: number; readonly joint: number; readonly fault?: undefined }
  | { readonly fault: Fault; readonly why: string };

/** Compares what was found with what was acknowledged. */
export function judge(found: Found, ledger: Acknowledged): Verdict {
  const { values, joint } = found;
  if (!found.isValid) return { fault: "silentlyCorrupt", why: "the heap does not verify" };
  if (found.jointFault !== "") return { fault: "partial", why: `the joint run is at ${found.jointFault}` };
  const highest = highestIn(values);
  // Commits beyond the highest number that shows can only have deleted what they wrote: few in a row do.
  const last = commitWithin(values, Math.max(highest, ledger.durable), ledger.returned + UNACKNOWLEDGED_MAX);
  if (last === undefined) return faultOf(values, highest, ledger);
  if (joint.n < ledger.jointDurable) {
    return { fault: "lost", why: `the joint run is at ${joint.n}, acknowledged was ${ledger.jointDurable}` };
  }
  if (joint.n > ledger.jointReturned + JOINT_UNACKNOWLEDGED_MAX) {
    return { fault: "silentlyCorrupt", why: `nobody has brought the joint run to ${joint.n}` };
  }
  if (joint.after > last || found.jointSeen > joint.n) {
    const why = `the plan is at ${last} and the joint run at ${joint.n}, but they have seen ${joint.after} and ${found.jointSeen}`;
    return { fault: "reordered", why };
  }
  return { last, joint: joint.n };
}

function faultOf(values: Values, highest: number, ledger: Acknowledged): Verdict {
  const acknowledged = `acknowledged was ${ledger.returned}, as durable ${ledger.durable}, the highest that shows is ${highest}`;
  const earlier = commitWithin(values, highest, ledger.durable - 1);
  if (earlier !== undefined) return { fault: "lost", why: `this is the plan up to ${earlier}: ${acknowledged}` };
  if (isPartial(values)) return { fault: "partial", why: `commit ${highest} is there in part: ${acknowledged}` };
  return { fault: "reordered", why: `this is the plan up to no commit at all: ${acknowledged}` };
}
