/**
 * The agent: all it knows is what its run remembers, so it can be stopped after any step, and goes on from there.
 */
import type { Database, LogPosition, Run, StateCellsReader } from "holdfast";
import { PLAN, TASK } from "./plan";

export const RUN = "mend-the-cart";
/** The root of the trace tree. */
export const TASK_TRACE = "task";

/** Finds the run, or begins it: puts it into the index of runs, and records its task. */
export function begin(db: Database): Run {
  const run = db.run(RUN);
  if (db.runs.get(RUN) === undefined) db.runs.create({ name: RUN, tags: ["demo"] });
  if (!run.state.has("cursor")) {
    run.transaction((tx) => {
      tx.traces.record({ type: "custom", name: "task", data: TASK }, { id: TASK_TRACE });
      tx.state.init("cursor", 0);
    });
  }
  completeWhenDone(db, run);
  return run;
}

/** The index has transactions of its own: a tab that was killed after the last step completes its run when it is back. */
function completeWhenDone(db: Database, run: Run): void {
  if (stepsDone(run) === PLAN.length && db.runs.get(RUN)?.status === "active") db.runs.complete(RUN);
}

/** How many steps have been taken, by this page or by one long closed. */
export function stepsDone({ state }: { readonly state: StateCellsReader }): number {
  return Number(state.read("cursor")?.value ?? 0);
}

/** One step is one transaction: cursor, traces, note and decision happen together or not at all. */
export function takeStep(db: Database, run: Run): LogPosition | undefined {
  const cursor = run.state.read("cursor");
  const done = stepsDone(run);
  const next = PLAN[done];
  if (cursor === undefined || next === undefined) return undefined;
  const { task, tool, on, note } = next;
  const step = done + 1;
  const decided = run.transaction((tx) => {
    tx.state.cas("cursor", cursor.version, step); // only from where this step began
    const thought = tx.traces.record({ type: "thought", content: task }, { parent: TASK_TRACE, tags: ["step"] });
    tx.traces.record({ type: "tool-call", name: tool, args: on, result: note }, { parent: thought });
    tx.kv.put(`note:${step}`, note);
    return tx.events.append("decision", { step, tool });
  });
  completeWhenDone(db, run);
  return decided;
}

/** Resolves once the approval, and every step before it, is as durable as the browser can make it. */
export function approve(run: Run): Promise<LogPosition> {
  return run.transactionAsync((tx) => tx.events.append("approval", { afterStep: stepsDone(tx) }), {
    durability: "strict",
  });
}

/** Forgets everything: deletes the run as a whole, and begins it anew. */
export function startOver(db: Database): Run {
  db.runs.delete(RUN);
  return begin(db);
}
