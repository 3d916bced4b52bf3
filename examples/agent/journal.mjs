/**
 * How the agent's work is kept in its run. A step is one transaction, and all of this is there or none is:
 *
 *   traces   what it did: below the one root, a trace for the step, and below that what belongs to it
 *   events   what it decided: one event, sealed with the hash of all before it
 *   state    the cursor: how many steps were taken, moved on from the version that the step began at
 *   kv       what it has learned, which is the task's own affair
 *
 * The traces' ids are numbered by step, so a step that was taken already could not be recorded again.
 */
export const RUN_ID = "demo";
export const ROOT_ID = "task";
export const STEP_TAG = "step";
export const DECISION = "decision";

const CURSOR = "cursor";
const STEP_DIGITS = 5;
/** From where a run can be taken up: one that is completed has nothing left to do, and that is found again. */
const GOES_ON = ["active", "paused", "completed"];

/** Numbered without gaps, so that sorting by bytes sorts by number. */
export const stepId = (number) => `step/${String(number).padStart(STEP_DIGITS, "0")}`;

/**
 * Finds the run, or begins it. It is put into the index in a transaction of its own, after which the agent may be killed:
 * so what it begins with is looked for by itself.
 * @returns the run, and how it stood
 */
export function openRun(db, task) {
  const run = db.run(RUN_ID);
  const { status } = db.runs.get(RUN_ID) ?? db.runs.create({ name: RUN_ID, tags: ["demo", task] });
  if (!GOES_ON.includes(status)) throw new Error(`the run is ${status}, and so cannot go on`);
  if (status === "paused") db.runs.resume(RUN_ID);
  if (cursorOf(run) === undefined) {
    run.transaction((tx) => {
      tx.traces.record({ type: "custom", name: "task", data: { task } }, { id: ROOT_ID });
      tx.state.init(CURSOR, 0);
    });
  }
  return { run, status };
}

/** `{ value, version }`: how many steps were taken, and what a step has to begin from. */
export function cursorOf({ state }) {
  return state.read(CURSOR);
}

/** Takes the step that `cursor` stands at. @returns where the event log ends then: `{ sequence, hash }` */
export function takeStep(run, cursor, { traces, decision, write }) {
  const number = cursor.value;
  return run.transaction((tx) => {
    tx.state.cas(CURSOR, cursor.version, number + 1);
    recordAll(tx.traces, traces, stepId(number));
    write(tx.kv);
    return tx.events.append(DECISION, { step: number, ...decision });
  });
}

/** Records a step's trace below the root, and below it, by numbers, what belongs to it. */
function recordAll(store, top, id) {
  let count = 0;
  const record = ({ entry, tags = [], metadata, children = [] }, options) => {
    const parent = store.record(entry, { ...options, tags: [...(options.tags ?? []), ...tags], metadata });
    for (const child of children) {
      count += 1;
      record(child, { id: `${id}.${count}`, parent });
    }
  };
  record(top, { id, parent: ROOT_ID, tags: [STEP_TAG] });
}
