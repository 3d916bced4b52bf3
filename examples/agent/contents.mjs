/**
 * What a run holds, read at one instant, and what would not fit together in it. It is plain data without the clock's: so it
 * can be told as JSON, and compared with that of another run.
 */
import { cursorOf, DECISION, ROOT_ID, RUN_ID, STEP_TAG, stepId } from "./journal.mjs";

export const hex = (bytes) => Buffer.from(bytes).toString("hex");

/** Everything in the run of a database: a snapshot of all of it, and of the index beside it. */
export function contentsOf(db) {
  const snapshot = db.snapshot();
  try {
    const { status, tags } = snapshot.runs.get(RUN_ID) ?? {};
    const run = snapshot.run(RUN_ID);
    const { kv, events, traces } = run;
    const cursor = cursorOf(run);
    return {
      status,
      tags,
      cursor: cursor && { value: cursor.value, version: cursor.version },
      chain: events.verify(),
      hashes: [...events.range()].map(({ hash }) => hex(hash)),
      decisions: events.readByType(DECISION).map(({ payload }) => payload),
      steps: traces.byTag(STEP_TAG).map(({ id }) => id),
      traces: traces
        .list()
        .map(({ timestamp, ...trace }) => trace)
        .sort((a, b) => (a.id < b.id ? -1 : 1)),
      roots: traces.roots().map(({ id }) => id),
      belowRoot: sizeOf(traces.tree(ROOT_ID)) - 1,
      kv: kv.list(),
    };
  } finally {
    snapshot.dispose();
  }
}

function sizeOf(tree) {
  return tree === undefined ? 0 : tree.children.reduce((sum, child) => sum + sizeOf(child), 1);
}

/** Cursor, traces and decisions have to tell of the same steps, each of them once. @returns a sentence if not */
export function faultOfSteps({ cursor, steps, decisions }) {
  if (cursor === undefined) return "there is no cursor";
  const { value, version } = cursor;
  if (value !== steps.length || value !== decisions.length) {
    return `the cursor is at ${value}, with ${steps.length} steps traced and ${decisions.length} decided`;
  }
  // The cell was made at version 1.
  if (version !== value + 1) return `the cursor was moved ${version - 1} times in ${value} steps`;
  const odd = [...steps].sort().findIndex((id, number) => id !== stepId(number) || decisions[number].step !== number);
  return odd < 0 ? undefined : `the trace or the decision of step ${odd} is that of another`;
}

export function faultOfChain({ chain, hashes }) {
  if (!chain.valid) return `the event log is broken: ${chain.reason}`;
  return hashes.length === chain.length ? undefined : `${hashes.length} events of ${chain.length} can be read`;
}

export function faultOfTree({ roots, belowRoot, traces }) {
  if (roots.length !== 1 || roots[0] !== ROOT_ID) return `its roots are ${roots.join(", ") || "none"}`;
  return belowRoot + 1 === traces.length ? undefined : `${belowRoot} of ${traces.length - 1} traces are below the root`;
}

export function faultOf(contents) {
  return faultOfSteps(contents) ?? faultOfChain(contents) ?? faultOfTree(contents);
}
