/**
 * The agent: a process of its own, so that it can be killed. Started with one argument, `{ task, input, path, mode }` as
 * JSON; says on stdout, a line of JSON each, `opened`, every `step` and `finished`, or `failed`.
 *
 * What it keeps true:
 * - where it goes on is read from the store, from nothing else;
 * - a step is one transaction: its record, the cursor and what was learned are all there or none is;
 * - a step is announced only after its transaction has returned, and the next begins only once that is said;
 * - it is never far ahead of what its parent has heard, and closes its database only when its parent closes stdin: so a
 *   kill that is meant for the middle comes in the middle, and never after the end.
 */
import { Database } from "../../dist/index.js";
import { stepKey } from "./store-keys.mjs";
import { TASKS } from "./tasks.mjs";

const RUN_ID = "demo";

const UNHEARD_STEPS_MAX = 8;

function say(message) {
  return new Promise((resolve) => {
    process.stdout.write(`${JSON.stringify(message)}\n`, () => resolve());
  });
}

/** The process that has started this one. It writes a byte for each step that it has heard of. */
class Parent {
  #heard = 0;
  #isGone = false;
  #wake = () => {};

  constructor(input) {
    input.on("data", (bytes) => {
      this.#heard += bytes.length;
      this.#wake();
    });
    input.on("end", () => {
      this.#isGone = true;
      this.#wake();
    });
  }

  /** Waits until the parent has heard of so many steps, or hears nothing any more. */
  async hasHeard(steps) {
    while (this.#heard < steps && !this.#isGone) {
      await new Promise((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  hasGone() {
    return this.hasHeard(Number.POSITIVE_INFINITY);
  }
}

/** How many steps the store holds. @throws Error where they have a gap, or do not agree with what was learned */
function wholeSteps(task, kv) {
  const steps = kv.get("cursor")?.step ?? 0;
  const records = kv.list({ prefix: stepKey.prefix });
  const missing = records.findIndex(([key], index) => key !== stepKey(index));
  if (missing >= 0) throw new Error(`the store has no ${stepKey(missing)} but later steps`);
  if (records.length !== steps) throw new Error(`the store has ${records.length} steps and a cursor at ${steps}`);
  const fault = task.fault(kv);
  if (fault !== undefined) throw new Error(`the store contradicts itself: ${fault}`);
  return steps;
}

/** Takes one step. @returns how long its transaction took */
function commit(run, number, step) {
  const start = performance.now();
  run.transaction((tx) => {
    tx.kv.put(stepKey(number), step.record);
    step.write(tx.kv);
    tx.kv.put("cursor", { step: number + 1, last: step.label });
  });
  return (performance.now() - start) * 1000;
}

async function work(db, task, input, parent) {
  const { kv } = db.run(RUN_ID);
  const opened = task.open(input);
  const found = wholeSteps(task, kv);
  await say({ type: "opened", found, recovered: db.storageInfo.recovered ?? null });
  let number = found;
  for (let step = task.next(opened, kv); step !== undefined; step = task.next(opened, kv)) {
    const micros = commit(db.run(RUN_ID), number, step);
    number += 1;
    await say({ type: "step", steps: number, label: step.label, micros });
    await parent.hasHeard(number - found - UNHEARD_STEPS_MAX);
  }
  wholeSteps(task, kv);
  return kv;
}

async function main() {
  const { task, input, path, mode } = JSON.parse(process.argv[2]);
  const parent = new Parent(process.stdin);
  const db = await Database.open(mode === "in-memory" ? { durability: mode } : { path, durability: mode });
  try {
    const kv = await work(db, TASKS[task], input, parent);
    // A database in memory ends with this process: what it held has to be told.
    await say({ type: "finished", listing: mode === "in-memory" ? kv.list() : null });
    await parent.hasGone();
  } finally {
    await db.close();
  }
}

try {
  await main();
} catch (error) {
  await say({ type: "failed", message: `${error.code === undefined ? "" : `${error.code}: `}${error.message}` });
  process.exitCode = 1;
}
