/**
 * The agent: a process of its own, so that it can be killed. Started with one argument, `{ task, input, path, mode }` as
 * JSON; says on stdout, a line of JSON each, `opened`, every `step`, and `finished`, `paused` or `failed`.
 *
 * What it keeps true:
 * - where it goes on is read from the store, from nothing else;
 * - a step is one transaction, as `journal.mjs` says;
 * - a step is announced only after its transaction has returned, and the next begins only once that is said;
 * - it is never far ahead of what its parent has heard, and closes its database only when its parent closes stdin: so a
 *   kill that is meant for the middle comes in the middle, and never after the end;
 * - stopped in the middle by its parent or by a signal, it pauses its run; where it cannot go on, its run has failed.
 */
import { Database } from "../../dist/index.js";
import { contentsOf, faultOf, hex } from "./contents.mjs";
import { cursorOf, openRun, RUN_ID, takeStep } from "./journal.mjs";
import { TASKS } from "./tasks.mjs";

const UNHEARD_STEPS_MAX = 8;
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"];

function say(message) {
  return new Promise((resolve) => {
    process.stdout.write(`${JSON.stringify(message)}\n`, () => resolve());
  });
}

/** The process that has started this one. It writes a byte for each step that it has heard of. */
class Parent {
  #input;
  #heard = 0;
  #wake = () => {};
  /** Why there is nobody any more to work for: the end of stdin, or a signal. */
  gone = undefined;

  constructor(input) {
    this.#input = input;
    const end = (why) => {
      this.gone ??= why;
      this.#wake();
    };
    input.on("data", (bytes) => {
      this.#heard += bytes.length;
      this.#wake();
    });
    input.on("end", () => end("end"));
    for (const signal of SIGNALS) process.on(signal, () => end(signal));
  }

  /** Waits until the parent has heard of so many steps, or is gone. */
  async hasHeard(steps) {
    while (this.#heard < steps && this.gone === undefined) {
      await new Promise((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  hasGone() {
    return this.hasHeard(Number.POSITIVE_INFINITY);
  }

  /** Listens no more: an open stdin would keep this process alive. */
  leave() {
    this.#input.destroy();
  }
}

/** @throws Error where the parts of the store do not agree, with one another or with what was learned */
function checkWhole(db, task) {
  const fault = faultOf(contentsOf(db)) ?? task.fault(db.run(RUN_ID).kv, cursorOf(db.run(RUN_ID)).value);
  if (fault !== undefined) throw new Error(`the store contradicts itself: ${fault}`);
}

/** Takes steps until there is none left, or nobody to take them for. @returns whether all are taken */
async function takeSteps(run, task, opened, parent) {
  const found = cursorOf(run).value;
  while (parent.gone === undefined) {
    const cursor = cursorOf(run);
    const step = task.next(opened, run.kv, cursor.value);
    if (step === undefined) return true;
    const start = performance.now();
    const { hash } = takeStep(run, cursor, step);
    const micros = (performance.now() - start) * 1000;
    const steps = cursor.value + 1;
    await say({ type: "step", steps, label: step.label, micros, hash: hex(hash) });
    await parent.hasHeard(steps - found - UNHEARD_STEPS_MAX);
  }
  return false;
}

async function work(db, { task: name, input, mode }, parent) {
  const task = TASKS[name];
  const { run, status } = openRun(db, name);
  checkWhole(db, task);
  const recovered = db.storageInfo.recovered ?? null;
  await say({ type: "opened", found: cursorOf(run).value, status, recovered });
  if (!(await takeSteps(run, task, task.open(input), parent))) {
    db.runs.pause(RUN_ID);
    return say({ type: "paused", why: parent.gone });
  }
  checkWhole(db, task);
  if (status !== "completed") db.runs.complete(RUN_ID);
  // A database in memory ends with this process: what it held has to be told.
  await say({ type: "finished", contents: mode === "in-memory" ? contentsOf(db) : null });
  await parent.hasGone();
}

/** The store itself may be what has failed: then its index cannot say so, and the error does. */
function noteFailure(db, error) {
  try {
    if (db.runs.get(RUN_ID)?.status === "active") db.runs.fail(RUN_ID, error.message);
  } catch {}
}

async function main() {
  const request = JSON.parse(process.argv[2]);
  const { path, mode } = request;
  const parent = new Parent(process.stdin);
  try {
    const db = await Database.open(mode === "in-memory" ? { durability: mode } : { path, durability: mode });
    try {
      await work(db, request, parent);
    } catch (error) {
      noteFailure(db, error);
      throw error;
    } finally {
      await db.close();
    }
  } finally {
    parent.leave();
  }
}

try {
  await main();
} catch (error) {
  await say({ type: "failed", message: `${error.code === undefined ? "" : `${error.code}: `}${error.message}` });
  process.exitCode = 1;
}
