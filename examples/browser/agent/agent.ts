/**
 * The agent: it reads a project, runs its tests, and mends what fails, by trying small edits near the failure until fewer tests
 * fail. No network, no model, no chance: what it does next follows from the store alone.
 *
 * What it keeps true: a step is one transaction over files, results, graph, cells, traces and events. Stopped anywhere, it goes
 * on with the step that was not made.
 */
import type { Database, DurabilityName, Run, Transaction } from "holdfast";
import { Acts, PHASE, type Phase, STEP } from "./acts";
import { FILES } from "./project";

export const RUN = "mend-the-shop";
/** The root of the trace tree. */
export const TASK = "task";
/** The cell that says how durable each step is to be. */
export const MODE = "durability";

/** Where a run stands. */
export interface Standing {
  readonly step: number;
  /** When the run was begun, which tells it from one of the same name before it. */
  readonly createdAt: number | undefined;
  readonly phase: Phase;
  readonly status: "active" | "paused" | "completed" | "failed" | "cancelled" | "archived";
  readonly mode: DurabilityName;
}

/** Finds the run, or begins it: its files are put there, and it waits to be told to go. */
export function begin(db: Database): Run {
  const run = db.run(RUN);
  if (db.runs.get(RUN) === undefined) {
    db.runs.create({ name: RUN, tags: ["sandbox"] });
    db.runs.pause(RUN);
  }
  if (!run.state.has(STEP)) run.transaction((tx) => checkOut(tx, db.durability.mode));
  return run;
}

function checkOut(tx: Transaction, mode: DurabilityName): void {
  for (const [path, text] of Object.entries(FILES)) tx.kv.put(`file:${path}`, text);
  tx.graph.createIndex("file", "path");
  tx.traces.record({ type: "custom", name: "task", data: "Make every test of the shop pass" }, { id: TASK });
  tx.state.init(STEP, 0);
  tx.state.init(PHASE, "reading");
  tx.state.init(MODE, mode);
  tx.events.append("checked-out", { files: Object.keys(FILES).length });
}

export function standing(db: Database, run: Run): Standing {
  const info = db.runs.get(RUN);
  return {
    step: Number(run.state.read(STEP)?.value ?? 0),
    phase: (run.state.read(PHASE)?.value ?? "reading") as Phase,
    createdAt: info?.createdAt,
    status: info?.status ?? "paused",
    mode: (run.state.read(MODE)?.value ?? "buffered") as DurabilityName,
  };
}

/** Makes the next step, as durable as the cell says; whether there was one to make. */
export async function takeStep(db: Database, run: Run): Promise<boolean> {
  const { mode, phase } = standing(db, run);
  if (phase !== "done" && phase !== "stuck") {
    await run.transactionAsync((tx) => new Acts(tx, TASK).next(), { durability: mode, retry: { attempts: 3 } });
  }
  return conclude(db, run);
}

/** The index has transactions of its own: one that was killed after the last step is concluded when it is back. */
function conclude(db: Database, run: Run): boolean {
  const { phase, status } = standing(db, run);
  if (phase !== "done" && phase !== "stuck") return true;
  if (status === "active") {
    if (phase === "done") db.runs.complete(RUN);
    else db.runs.fail(RUN, "No edit that it knows made fewer tests fail.");
  }
  return false;
}

/** Forgets everything: deletes the run as a whole, and begins it anew. */
export function startOver(db: Database): Run {
  db.runs.delete(RUN);
  return begin(db);
}
