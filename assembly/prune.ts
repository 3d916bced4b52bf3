/**
 * Pruning: versions that nobody can see any more, a bounded number of chains at a time.
 *
 * A chain that may hold such versions now or later stands in its run's prune queue. Every write, every publication and every
 * release of a snapshot looks at a few; what must stay goes to the queue's end.
 */
import { CAPABILITY_LOG, TOMBSTONE } from "./constants";
import { ENTRY_QUEUED, Entry } from "./entry";
import { publishedHorizon, raiseFloor, surveyedCounter, surveyHorizon } from "./horizon";
import { keeps, RULE_HORIZON } from "./rules";
import { Run, runArena, runEmpty } from "./run";
import { entryRemove, tablesAreEmpty } from "./run-tables";
import { noteHeld } from "./snapshots";
import { SELDOM_IS_OFTEN } from "./step";
import { superblock } from "./superblock";
import { chainIsGone, chainIsLoose, Version, versionBytes, versionPrune } from "./versions";

const SHARED: bool = ASC_FEATURE_THREADS;
/** Chains that one write looks at beyond its own: what bounds the work that old versions can cause. */
export const PRUNE_CHAINS_PER_WRITE: u32 = 2;
/** Chains that the release of a snapshot looks at. */
export const PRUNE_CHAINS_PER_RELEASE: u32 = 64;

/** The horizon, with the floor raised to it: what a pruner starts from (COMMIT 13). */
export function raisedFloor(): u64 {
  const horizon = keeps(RULE_HORIZON) ? publishedHorizon() : superblock().version;
  raiseFloor(horizon);
  noteHeld(horizon);
  return horizon;
}

/**
 * Prunes after a commit: the chain of the entry that was written, unless that is null and stands in the queue already, and
 * `chains` of the queue. Under the run's lock.
 */
export function pruneCommitted(run: Run, written: Entry | null, chains: u32, bytes: u32): void {
  if (SHARED && superblock().workersHigh != 1) {
    if (written !== null) pruneEnqueue(run, written);
    pruneLate(run, chains + 1, bytes);
    return;
  }
  if (written !== null) pruneWritten(run, written, raisedFloor());
  if (run.pruneCount != 0) pruneBelow(run, chains);
}

// Between workers to ask for the horizon means to look at what each of them is doing, and the cache lines that this costs are
// only worth while for several commits together. What is known is right, if not the newest, and nothing that was written
// since is below it: each chain is looked at once for each look.

/** How much of commits one worker lets pass before it looks again: at least, and for each other worker. */
const WORK_PER_LOOK: u32 = SELDOM_IS_OFTEN ? 1 : 16;
const WORK_PER_WORKER: u32 = SELDOM_IS_OFTEN ? 0 : 2;
/** Bytes of a commit that count as much as a commit more. */
const WORK_BYTES_SHIFT: u32 = 12;

/** When this worker has last looked: the horizon, the newest version that it goes by, and the work since; its first commit looks. */
let known: u64 = 0;
let knownNewest: u64 = 0;
let work: u32 = 0xffff;
/** The run whose queue it goes through at this horizon, and how many chains of it are left. */
let passRun: usize = 0;
let passLeft: u32 = 0;

function pruneLate(run: Run, chains: u32, bytes: u32): void {
  work += 1 + (bytes >> WORK_BYTES_SHIFT);
  if (work >= WORK_PER_LOOK && work >= WORK_PER_WORKER * superblock().workersHigh) {
    work = 0;
    const before = knownNewest;
    look();
    if (knownNewest != before) passRun = 0;
  }
  if (passRun != changetype<usize>(run)) {
    passRun = changetype<usize>(run);
    passLeft = run.pruneCount;
  }
  const now = min(chains, min(passLeft, run.pruneCount));
  passLeft -= now;
  pruneStep(run, now, knownNewest, known);
}

/** With a log nothing above the horizon goes; without one what no snapshot can come to see does (horizon.ts). */
function look(): void {
  if (superblock().capabilities & CAPABILITY_LOG) {
    known = raisedFloor();
    knownNewest = known;
    return;
  }
  known = surveyHorizon();
  knownNewest = surveyedCounter();
  noteHeld(known);
}

/** Remembers that an entry's chain may hold something to prune. */
export function pruneEnqueue(run: Run, entry: Entry): void {
  if (entry.flags & ENTRY_QUEUED || !chainIsLoose(entry)) return;
  entry.flags |= ENTRY_QUEUED;
  entry.pruneNext = 0;
  if (run.pruneLast) changetype<Entry>(run.pruneLast).pruneNext = changetype<usize>(entry);
  else run.pruneFirst = changetype<usize>(entry);
  run.pruneLast = changetype<usize>(entry);
  run.pruneCount++;
}

/**
 * Prunes the chains of at most `chains` entries of the queue, which is not empty, as versionPrune does; those that stay loose go
 * to its end. Under the run's lock; the floor stands at `newest` or above.
 */
function pruneStep(run: Run, chains: u32, newest: u64, horizon: u64): void {
  const arena = runArena(run);
  for (let left = min(chains, run.pruneCount); left > 0; left--) {
    const entry = changetype<Entry>(run.pruneFirst);
    run.pruneFirst = entry.pruneNext;
    if (run.pruneFirst == 0) run.pruneLast = 0;
    run.pruneCount--;
    entry.flags &= ~ENTRY_QUEUED;
    versionPrune(arena, entry, newest, horizon);
    // Whoever can still come to stand below a tombstone has kept what it sees there, so that the tombstone is not alone.
    if (chainIsGone(entry, newest)) entryRemove(run, entry);
    else pruneEnqueue(run, entry);
  }
}

/** The same up to the horizon as it is now. */
export function pruneBelow(run: Run, chains: u32): void {
  const horizon = raisedFloor();
  pruneStep(run, chains, horizon, horizon);
}

/** Prunes the chain of an entry that was just written; what cannot go yet is remembered. Under the run's lock. */
function pruneWritten(run: Run, entry: Entry, horizon: u64): void {
  if (entry.flags & ENTRY_QUEUED) return;
  versionPrune(runArena(run), entry, horizon, horizon);
  if (chainIsGone(entry, horizon)) entryRemove(run, entry);
  else pruneEnqueue(run, entry);
}

/** A run that has been emptied keeps up to this much for what comes next. */
const TRIM_BYTES_MIN: u32 = 65536;

/**
 * Gives the extents of a run back in which nothing is left, not even for a snapshot: blocks are free for their own size
 * only, extents for every size and every run. The last step of what empties a run, under its lock.
 */
export function runTrim(run: Run): void {
  if (run.live != 0 || run.pruneCount != 0 || run.unpublished != 0) return;
  const arena = runArena(run);
  if (arena.extentBytes <= TRIM_BYTES_MIN) return;
  if (tablesAreEmpty(run)) runEmpty(run);
}

/** Bytes of versions that are not the newest of their keys, of tombstones included, over one run: all stand in the queue. */
export function deadBytes(run: Run): u64 {
  let bytes: u64 = 0;
  for (let at = run.pruneFirst; at; at = changetype<Entry>(at).pruneNext) {
    const head = changetype<Entry>(at).head;
    if (head == 0) continue;
    const newest = changetype<Version>(head);
    if (newest.length == TOMBSTONE) bytes += versionBytes(TOMBSTONE) as u64;
    for (let old = newest.previous; old; old = changetype<Version>(old).previous) {
      bytes += versionBytes(changetype<Version>(old).length) as u64;
    }
  }
  return bytes;
}
