/**
 * The agent: all it knows is what its run remembers, so it can be stopped after any step, and goes on from there.
 */
import type { KVReader, Run } from "holdfast";
import { PLAN } from "./plan";

/** How many steps have been taken, by this page or by one long closed. */
export function stepsDone(kv: KVReader): number {
  return Number(kv.get("steps") ?? 0);
}

/** One step is one transaction: three writes that happen together or not at all. */
export function takeStep(run: Run): number {
  return run.transaction((tx) => {
    const done = stepsDone(tx.kv);
    const next = PLAN[done];
    if (next === undefined) return done;
    const step = done + 1;
    tx.kv.put("steps", step);
    tx.kv.put(`plan:${step}`, { task: next.task, done: true });
    tx.kv.put(`note:${step}`, next.note);
    return step;
  });
}

/** Resolves once the decision, and every step before it, is as durable as the browser can make it. */
export function decide(run: Run): Promise<number> {
  return run.transactionAsync(
    (tx) => {
      const step = stepsDone(tx.kv);
      tx.kv.put("decision", { approved: true, afterStep: step });
      return step;
    },
    { durability: "strict" },
  );
}

/** Forgets everything, again in one transaction. */
export function startOver(run: Run): void {
  run.transaction((tx) => {
    for (const key of tx.kv.keys()) tx.kv.delete(key);
  });
}
