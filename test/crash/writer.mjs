/**
 * The child that gets killed: opens a database, goes on with the plan where the parent says that it stands, and writes as
 * fast as it can: synchronous commits, bursts of `transactionAsync`, deletions of a run, flushes, checkpoints.
 *
 *     node writer.mjs '{"directory":…,"mode":"strict","segmentBytes":…,"from":…,"seed":…}'
 *
 * After each commit has returned, that goes to the pipe at once: one byte of `SAYS` and a number of four.
 *
 * What it keeps true: commits of the plan take their numbers in the order in which they are installed. So those in
 * flight are all begun in one turn, without waiting inside, and nothing synchronous is done before the next turn.
 */
import { nodeFs } from "../../dist/adapters/node-fs.js";
import { Database, HoldfastError } from "../../dist/index.js";
import { JOINT_RUN, JOINT_UNACKNOWLEDGED_MAX, planOf, SAYS, UNACKNOWLEDGED_MAX } from "./plan.mjs";
import { errorOf, tellBytes } from "./tell.mjs";

const { directory, mode, segmentBytes, from, seed } = JSON.parse(process.argv[2]);
/** Commits of one synchronous turn, at most; transactions of one burst; deferred commits in a row. */
const SYNC_COMMITS_MAX = mode === "strict" ? 12 : 64;
const BURST_MAX = 8;
const DEFERRED_MAX = 4;
const RETRY = { attempts: 1000, baseMs: 1, maxMs: 4 };
/** What a storage may say when its power is cut. */
const STORAGE_CODES = ["STORE_FAILED", "COMMIT_INDETERMINATE", "STORAGE_FULL", "READ_ONLY"];

const message = Buffer.alloc(5);
function tell(what, number) {
  message[0] = what;
  message.writeUInt32LE(number, 1);
  tellBytes(message);
}

let state = seed >>> 0;
function below(limit) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * limit);
}

let hasFailed = false;
// A child whose storage has failed waits for its parent.
setInterval(() => {}, 1000);

tell(SAYS.opening, 0);
const storage = nodeFs(directory, { segmentBytesTarget: segmentBytes });
const durability = mode === "buffered" ? { mode, flushIntervalMs: 20, maxPendingWrites: 500 } : mode;
const db = await Database.open({ storage, durability }).catch(stayFailed);
const joint = db.run(JOINT_RUN);

let sequence = from;
/** The highest number of which the parent knows. */
let told = from;
/** The highest number whose call has returned, deferred ones included. */
let returned = from;
let jointDone = joint.kv.get("sequence")?.n ?? 0;
let jointsInFlight = 0;
let isCheckpointing = false;
let hasCheckpoints = true;
tell(SAYS.ready, jointDone);

/** A storage that fails is the parent's doing; anything else ends the child, and the parent is told why. */
function failed(error) {
  if (hasFailed) return;
  hasFailed = true;
  if (HoldfastError.is(error) && STORAGE_CODES.includes(error.code)) {
    tell(SAYS.storageFailed, 0);
    return;
  }
  process.stderr.write(`${JSON.stringify(errorOf(error))}\n${error?.stack}\n`);
  process.exit(3);
}

/** The same where there is no database yet: waits for the parent. */
function stayFailed(error) {
  failed(error);
  return new Promise(() => {});
}

function isReturned(n, isDurable) {
  returned = Math.max(returned, n);
  if (n > told || isDurable) tell(isDurable ? SAYS.durable : SAYS.returned, n);
  told = Math.max(told, n);
}

const valueFor = (n, key) => ({ n, key, joint: jointDone });

/** The next commit of the plan, synchronously; `as` a mode of its own where it is given. */
function commitNext(as = mode) {
  const n = ++sequence;
  const options = { durability: as };
  const { run, puts, deletes, deletesRun } = planOf(n);
  if (deletesRun) {
    db.deleteRun(run, options);
  } else if (puts.length === 1) {
    db.run(run).kv.put(puts[0], valueFor(n, puts[0]), options);
  } else {
    db.run(run).transaction(
      (tx) => {
        for (const key of puts) tx.kv.put(key, valueFor(n, key));
        for (const key of deletes) tx.kv.delete(key);
      },
      // What it deletes may have been written by a commit that is still in flight.
      { ...options, retry: RETRY },
    );
  }
  if (as === "in-memory") returned = n;
  else isReturned(n, as === "strict");
}

/** Several in flight at once; whatever reads or deletes is left to a turn of its own. */
function commitBurst() {
  const limit = 1 + below(BURST_MAX);
  const ofRun = new Map();
  let before = 0;
  for (let i = 0; i < limit; i++) {
    const { run, puts, deletes, deletesRun } = planOf(sequence + 1);
    if (deletesRun || deletes.length > 0) return;
    // Those of one run take turns: one that waits for fewer of its run would be installed before those in front of it.
    const waitsFor = ofRun.get(run) ?? 0;
    if (waitsFor < before) return;
    before = waitsFor;
    ofRun.set(run, waitsFor + 1);
    const n = ++sequence;
    const body = (tx) => {
      for (const key of puts) tx.kv.put(key, valueFor(n, key));
    };
    db.run(run)
      .transactionAsync(body)
      .then(() => isReturned(n, mode === "strict"), failed);
  }
}

/** One number in every primitive at once, read and written again; several of these meet. */
async function commitJoint() {
  jointsInFlight++;
  const n = await joint.transactionAsync(
    async (tx) => {
      const next = (tx.kv.get("sequence")?.n ?? 0) + 1;
      const after = returned;
      if (below(4) === 0) await null;
      tx.kv.put("sequence", { n: next, after });
      tx.events.append("step", next);
      if (next === 1) tx.state.init("sequence", next);
      else tx.state.set("sequence", next);
      tx.traces.record({ type: "custom", name: "step", data: next });
      return next;
    },
    { retry: RETRY },
  );
  jointsInFlight--;
  jointDone = Math.max(jointDone, n);
  tell(mode === "strict" ? SAYS.jointDurable : SAYS.jointReturned, n);
}

async function flush() {
  const n = returned;
  await db.flush();
  isReturned(n, true);
}

async function checkpoint() {
  isCheckpointing = true;
  tell(SAYS.checkpointBegun, 0);
  try {
    await db.checkpoint();
    tell(SAYS.checkpointEnded, 0);
  } catch (error) {
    if (!HoldfastError.is(error, "UNSUPPORTED")) throw error;
    hasCheckpoints = false;
    tell(SAYS.checkpointMissing, 0);
  }
  isCheckpointing = false;
}

/** What there is to do in a turn, each with its share of a hundred. */
const ACTS = [
  [50, () => commitMany(1 + below(SYNC_COMMITS_MAX))],
  [25, commitBurst],
  [8, () => startJoints(1 + below(3))],
  [4, () => flush().catch(failed)],
  [2, flushNow],
  [4, () => commitMany(1 + below(DEFERRED_MAX), "in-memory")],
  [4, () => commitNext(mode === "strict" ? "buffered" : "strict")],
  [3, () => hasCheckpoints && !isCheckpointing && checkpoint().catch(failed)],
];
const SHARES = ACTS.reduce((sum, [share]) => sum + share, 0);

function commitMany(count, as) {
  for (let i = 0; i < count; i++) commitNext(as);
}

function startJoints(count) {
  for (let i = 0; i < count && jointsInFlight < JOINT_UNACKNOWLEDGED_MAX; i++) commitJoint().catch(failed);
}

function flushNow() {
  db.flushSync();
  isReturned(returned, true);
}

function act() {
  // Few enough are unacknowledged that whatever is done next stays below the limit.
  if (sequence - told > UNACKNOWLEDGED_MAX - 2 * BURST_MAX) return commitNext();
  let choice = below(SHARES);
  for (const [share, work] of ACTS) {
    choice -= share;
    if (choice < 0) return work();
  }
}

/** One act in a turn, so that timers, promises and background syncs have theirs. */
function writeOn() {
  if (hasFailed) return;
  try {
    act();
  } catch (error) {
    failed(error);
  }
  setImmediate(writeOn);
}

writeOn();
