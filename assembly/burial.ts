/**
 * What is done behind a worker that died: its locks are taken over, what it held is let go of, and what it was in the middle
 * of is put right or said to be lost.
 *
 *   allocator    rebuilt from the headers of the extents, which say what is free and whose the rest is
 *   directory    made anew from the run headers, those of runs that were being made or taken away put right; what it stood in
 *                before is left where it is, for nobody knows what of it is free
 *   one run      untouched if its sequence is even; otherwise poisoned: handles are stale, and its name is refused
 *   log          its turn to write or to sync is given on; if it was changing the queue, that is made whole, and a record that
 *                was not is skipped
 *   snapshots, transactions, scratch     given back
 *
 * Only on evidence that the worker is dead, which the host has. Each step can be done again: whoever buries may die of it,
 * and whoever buries that one goes on with both. So locks are waited for briefly: where another one is dead who has them, that
 * is known only once the host has its turn.
 */

import { allocatorLock, allocatorSeize, allocatorUnlock, extentsLaterOf, extentsOf, heapRebuild } from "./arena";
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
import { lockBriefly, lockRelease, lockSeize } from "./lock";
import { logMend } from "./publish";
import { logLock, logSeize, logUnlock } from "./queue";
import {
  directoryLock,
  directoryRebuild,
  directoryReturn,
  directorySeize,
  directoryTryLock,
  directoryUnlock,
  headersMend,
  RUN_POISONED,
  Run,
  runReturn,
  runSeize,
  runsForgetUnused,
  runUnlock,
} from "./run";
import { snapshotsOfDead } from "./snapshots";
import { Superblock, superblock } from "./superblock";
import { transactionsOfDead } from "./transaction";
import {
  lockToken,
  lockTokenOf,
  lockTokenOfDead,
  stateIn,
  Worker,
  workerAt,
  workerIndex,
  workerMove,
  workerMoveFrom,
  workerWord,
} from "./workers";

/**
 * Clears up behind the worker that a slot's word is of, and who is dead or this very one; a status: STATUS_NOTHING if the slot
 * is nobody's, or somebody else's by now.
 */
export function bury(index: u32, word: u32): u32 {
  if (index >= WORKERS_MAX) return STATUS_NOTHING;
  if (index == workerIndex()) return leave(word);
  const state = stateIn(word);
  if (state == WORKER_FREE || workerWord(index) != word) return STATUS_NOTHING;
  if (state == WORKER_RESERVED) return workerMoveFrom(index, word, WORKER_FREE) ? STATUS_OK : STATUS_NOTHING;
  if (state == WORKER_ATTACHED && !workerMoveFrom(index, word, WORKER_DEAD)) return STATUS_NOTHING;
  lockBriefly(true);
  const isDone = buryAll();
  lockBriefly(false);
  return isDone ? STATUS_OK : STATUS_BUSY_LOCK;
}

/** Clears up behind everybody who is known to be dead; false where a lock could not be had: then it has to be done again. */
function buryAll(): bool {
  // First of all, for what comes next needs memory and the log at rest.
  for (let index: u32 = 0; index < WORKERS_MAX; index++) {
    const dead = lockTokenOfDead(index);
    if (dead != 0) rebuildHeapOf(dead);
  }
  // Now rather than with the directory in hand, which everybody else would wait for meanwhile.
  if (!allocatorLock()) return false;
  allocatorUnlock();
  for (let index: u32 = 0; index < WORKERS_MAX; index++) {
    const dead = lockTokenOfDead(index);
    if (dead != 0) freeLogOf(dead);
  }
  if (!takeDirectory()) return false;
  const isDone = mendHeaders() && buryEach();
  if (isDone) runsForgetUnused();
  directoryUnlock();
  return isDone;
}

/** Also those that came to be known as dead only now. Under the directory's lock, with which alone a place is given back. */
function buryEach(): bool {
  for (let index: u32 = 0; index < WORKERS_MAX; index++) {
    const dead = lockTokenOfDead(index);
    if (dead != 0 && !buryOne(index, dead)) return false;
  }
  return true;
}

/** Takes the directory's lock, from a dead worker if one has it. */
function takeDirectory(): bool {
  for (let index: u32 = 0; index < WORKERS_MAX; index++) {
    const dead = lockTokenOfDead(index);
    if (dead == 0 || !directorySeize(dead)) continue;
    if (rebuildDirectory()) return true;
    directoryReturn(dead);
    return false;
  }
  return directoryLock();
}

function rebuildDirectory(): bool {
  if (!logLock()) return false;
  const rebuilt = directoryRebuild();
  logUnlock();
  return rebuilt;
}

/** Makes the lists of headers anew where somebody has died while he changed them under the log's lock alone. */
function mendHeaders(): bool {
  if (superblock().headersTorn == 0) return true;
  if (!logLock()) return false;
  const isDone = headersMend();
  logUnlock();
  return isDone;
}

function rebuildHeapOf(dead: u32): void {
  if (!allocatorSeize(dead)) return;
  heapRebuild();
  allocatorUnlock();
}

function freeLogOf(dead: u32): void {
  if (logSeize(dead)) {
    // Where nobody can tell what is whole, what is in the log stays, and nothing more is written.
    if (!logMend()) {
      superblock().logFailed = 1;
      superblock().queueLost = 1;
    }
    logUnlock();
  }
  turnRelease(offsetof<Superblock>("drainLock"), dead);
  turnRelease(offsetof<Superblock>("syncLock"), dead);
}

function buryOne(index: u32, dead: u32): bool {
  // Who has come to be known as dead behind the first looks, because somebody else clears up too, has these still.
  rebuildHeapOf(dead);
  freeLogOf(dead);
  if (!mendHeaders()) return false;
  for (let at = superblock().firstRun; at; at = changetype<Run>(at).nextRun) {
    const run = changetype<Run>(at);
    if (!runSeize(run, dead)) continue;
    if ((run.sequence & 1) == 1 && !poison(run)) {
      runReturn(run, dead);
      return false;
    }
    runUnlock(run);
  }
  const worker = workerAt(index);
  store64(changetype<usize>(worker) + offsetof<Worker>("bound"), 0);
  snapshotsOfDead(index);
  if (!transactionsOfDead(index) || !extentsOf(changetype<usize>(worker)) || !extentsLaterOf(index)) return false;
  workerMove(index, WORKER_DEAD, WORKER_FREE);
  return true;
}

/**
 * Gives back the turn to write or to sync. What it had sealed is sealed again by the next, and written to the same place; a sync
 * that nobody has seen end has made nothing durable.
 */
function turnRelease(field: usize, dead: u32): void {
  const word = changetype<usize>(superblock()) + field;
  if (lockSeize(word, dead)) lockRelease(word);
}

/**
 * Nobody reads or writes the incarnation any more: handles and snapshots of it are stale. Done again it changes nothing, for who
 * waits for what is installed knows it by the generation before (runVisible in index.ts). False if the log's lock could not be had,
 * under which deletions are published: one that is deleted is whole already, and so is a header of no run.
 */
function poison(run: Run): bool {
  if (!logLock()) return false;
  if (run.entry != 0 && run.deleted == 0) {
    if (run.lostAs == 0) run.lostAs = run.generation + 2;
    run.flags |= RUN_POISONED;
    store32(changetype<usize>(run) + offsetof<Run>("generation"), run.lostAs);
  }
  logUnlock();
  return true;
}

/**
 * Gives this instance's slot back, with all that it held. Where the allocator cannot be had, somebody has died who has it, and
 * whoever clears up behind that one does so behind this one.
 */
function leave(word: u32): u32 {
  const index = workerIndex();
  // Taken for dead, and somebody else's by now.
  if (lockTokenOf(index) != lockToken() || stateIn(word) != WORKER_ATTACHED) return STATUS_NOTHING;
  snapshotsOfDead(index);
  const isDone = transactionsOfDead(index) && extentsOf(changetype<usize>(workerAt(index)));
  if (isDone && directoryTryLock()) {
    runsForgetUnused();
    directoryUnlock();
  }
  workerMoveFrom(index, word, isDone ? WORKER_FREE : WORKER_DEAD);
  return STATUS_OK;
}
