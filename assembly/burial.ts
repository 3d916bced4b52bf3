/**
 * What is done behind a worker that died: its locks are taken over, what it held is let go of, and what it was in the middle
 * of is put right or said to be lost.
 *
 *   allocator    rebuilt from the headers of the extents, which say what is free and whose the rest is
 *   directory    made anew from the run headers, those of runs that were being made or taken away put right; what it stood in
 *                before is left where it is, for nobody knows what of it is free
 *   one run      untouched if its sequence is even; otherwise poisoned: handles are stale, and its name is refused
 *   snapshots, transactions, scratch     given back
 *
 * Only on evidence that the worker is dead, which the host has. Each step can be done again: whoever buries may die of it,
 * and whoever buries that one goes on with both.
 */

import { allocatorSeize, allocatorUnlock, extentsLaterOf, extentsOf, heapRebuild } from "./arena";
import { store32, store64 } from "./atomics";
import {
  STATUS_BUSY_LOCK,
  STATUS_NOTHING,
  STATUS_OK,
  WORKER_ATTACHED,
  WORKER_DEAD,
  WORKER_FREE,
  WORKER_RESERVED,
  WORKERS_MAX,
} from "./constants";
import {
  directoryLock,
  directoryRebuild,
  directoryReturn,
  directorySeize,
  directoryUnlock,
  RUN_POISONED,
  Run,
  runArena,
  runBanish,
  runLock,
  runSeize,
  runUnlock,
} from "./run";
import { snapshotsOfDead } from "./snapshots";
import { superblock } from "./superblock";
import { transactionsOfDead } from "./transaction";
import { lockTokenOf, Worker, workerAt, workerIndex, workerMove, workerState } from "./workers";

/** Clears up behind the worker in a slot, which is dead or this very one; a status: STATUS_NOTHING if there was none. */
export function bury(index: u32): u32 {
  if (index >= WORKERS_MAX) return STATUS_NOTHING;
  if (index == workerIndex()) return leave();
  if (workerMove(index, WORKER_RESERVED, WORKER_FREE)) return STATUS_OK;
  if (!workerMove(index, WORKER_ATTACHED, WORKER_DEAD) && workerState(index) != WORKER_DEAD) return STATUS_NOTHING;
  // First of all, for what comes next needs memory.
  for (let dead: u32 = 0; dead < superblock().workersHigh; dead++) {
    if (workerState(dead) == WORKER_DEAD) rebuildHeapOf(dead);
  }
  if (!takeDirectory()) return STATUS_BUSY_LOCK;
  for (let dead: u32 = 0; dead < superblock().workersHigh; dead++) {
    if (workerState(dead) == WORKER_DEAD) buryOne(dead);
  }
  directoryUnlock();
  return STATUS_OK;
}

/** Takes the directory's lock, from a dead worker if one has it. */
function takeDirectory(): bool {
  for (let dead: u32 = 0; dead < superblock().workersHigh; dead++) {
    if (workerState(dead) != WORKER_DEAD || !directorySeize(lockTokenOf(dead))) continue;
    if (directoryRebuild()) return true;
    directoryReturn(lockTokenOf(dead));
    return false;
  }
  return directoryLock();
}

function rebuildHeapOf(dead: u32): void {
  if (!allocatorSeize(lockTokenOf(dead))) return;
  heapRebuild();
  allocatorUnlock();
}

function buryOne(dead: u32): void {
  const token = lockTokenOf(dead);
  for (let at = superblock().firstRun; at; at = changetype<Run>(at).nextRun) {
    const run = changetype<Run>(at);
    if (!runSeize(run, token)) continue;
    // A header of no run, or of a deleted one, is whole again already: those are changed under the directory's lock.
    if ((run.sequence & 1) == 1 && run.entry != 0 && run.deleted == 0) poison(run);
    runUnlock(run);
  }
  const worker = workerAt(dead);
  store64(changetype<usize>(worker) + offsetof<Worker>("bound"), 0);
  transactionsOfDead(dead);
  snapshotsOfDead(dead);
  store32(changetype<usize>(worker) + offsetof<Worker>("open"), 0);
  if (!extentsOf(changetype<usize>(worker)) || !extentsLaterOf(dead)) return;
  workerMove(dead, WORKER_DEAD, WORKER_FREE);
}

/** Nobody reads or writes the incarnation any more: handles and snapshots of it are stale. */
function poison(run: Run): void {
  run.flags |= RUN_POISONED;
  store32(changetype<usize>(run) + offsetof<Run>("generation"), run.generation + 2);
}

/** Takes a poisoned run away with all that is in it; a status. The directory's lock is held. */
export function banish(run: Run): u32 {
  if ((run.flags & RUN_POISONED) == 0) return STATUS_NOTHING;
  if (!runLock(run)) return STATUS_BUSY_LOCK;
  const given = extentsOf(changetype<usize>(runArena(run)));
  if (given) runBanish(run);
  runUnlock(run);
  return given ? STATUS_OK : STATUS_BUSY_LOCK;
}

/** Gives this instance's slot back, with all that it held. */
function leave(): u32 {
  const index = workerIndex();
  transactionsOfDead(index);
  snapshotsOfDead(index);
  extentsOf(changetype<usize>(workerAt(index)));
  workerMove(index, WORKER_ATTACHED, WORKER_FREE);
  return STATUS_OK;
}
