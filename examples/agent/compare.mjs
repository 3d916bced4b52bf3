/**
 * What the demo proves: that no acknowledged step is missing, that each was taken once in every respect, and that both
 * stores hold the same. A check is `{ ok, text }`, and its text says what was compared, or what differs.
 */
import { isDeepStrictEqual } from "node:util";
import { contentsOf, faultOfChain, faultOfSteps, faultOfTree } from "./contents.mjs";
import { counted } from "./terminal.mjs";

/** Everything that a run has left: read back from its files by this process, or as told where it was in memory. */
export async function contentsLeft(Database, run, path) {
  if (run.contents !== undefined) return run.contents;
  const db = await Database.open({ path, readOnly: true });
  try {
    return contentsOf(db);
  } finally {
    await db.close();
  }
}

/** @returns the checks, in the order in which they are told; `before` is the run that was killed, if one was */
export function checkAll({ before, after, contents, other }) {
  const killed = before === undefined ? [] : [checkAcknowledged(before, after)];
  return [
    ...killed,
    checkSteps(contents),
    checkChain(contents, before),
    checkTree(contents),
    checkEqual(contents, other),
  ];
}

function verdict(fault, promise, proof) {
  return fault === undefined ? { ok: true, text: `${promise}: ${proof}` } : { ok: false, text: fault };
}

/** A step may be found that was never acknowledged: its process was killed between committing it and saying so. */
function checkAcknowledged({ acknowledged }, { found }) {
  const lost = `acknowledged steps are missing: ${acknowledged} acknowledged, only ${found} found`;
  const proof = `${acknowledged} acknowledged, ${found} found`;
  return verdict(found >= acknowledged ? undefined : lost, "no acknowledged step is missing", proof);
}

function checkSteps(contents) {
  const { status, cursor, steps, decisions } = contents;
  const proof = `cursor ${cursor?.value} = ${steps.length} traces = ${decisions.length} decisions`;
  const unfinished = status === "completed" ? undefined : `the run is ${status}, not completed`;
  return verdict(faultOfSteps(contents) ?? unfinished, "no step is lost or doubled", proof);
}

/** Who can write a store can make a new chain: so the hash of the last acknowledged event was kept here. */
function checkChain(contents, before) {
  const { hashes } = contents;
  const replaced = before !== undefined && hashes[before.acknowledged - 1] !== before.hash;
  const fault =
    faultOfChain(contents) ?? (replaced ? "the last acknowledged event was replaced by another" : undefined);
  const proof = `${counted(hashes.length, "hash", "es")} verified`;
  return verdict(fault, "the event log is whole", before ? `${proof}, that before the kill is in it` : proof);
}

function checkTree(contents) {
  const fault = faultOfTree(contents);
  const proof = `${counted(contents.belowRoot, "trace")} below one root`;
  return verdict(fault && `the tree of traces is not whole: ${fault}`, "the tree is whole", proof);
}

/** Both are compared but for what tells of their time, which is in the hashes. */
function checkEqual(first, second) {
  const { kv, traces, decisions } = first;
  const amounts = `${counted(kv.length, "key")}, ${counted(traces.length, "trace")}, ${counted(decisions.length, "decision")}`;
  const difference = firstDifference(first, second);
  const fault = difference && `the runs ended with different stores; the first difference is at ${difference}`;
  return verdict(fault, "both runs ended equal", amounts);
}

function firstDifference(first, second) {
  const [a, b] = [partsOf(first), partsOf(second)];
  return [...new Set([...a.keys(), ...b.keys()])].sort().find((key) => !isDeepStrictEqual(a.get(key), b.get(key)));
}

function partsOf({ status, tags, cursor, decisions, traces, kv }) {
  return new Map([
    ...Object.entries({ "the run's status": status, "the run's tags": tags, "the cursor": cursor }),
    ...decisions.map((payload, number) => [`decision ${number}`, payload]),
    ...traces.map((trace) => [`trace ${trace.id}`, trace]),
    ...kv.map(([key, value]) => [`key ${key}`, value]),
  ]);
}
