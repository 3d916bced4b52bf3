/**
 * What becomes of queued commits: published when their mode's promise is kept, undone when the log has no room for them.
 *
 * The rules (COMMIT 3, 7, 8): `visible` of a run moves in version order and never passes an unpublished commit of that run;
 * a deferred commit is published at once, a buffered one once it is written (where the storage only works asynchronously:
 * once it is queued), a strict one once it is synced. After a failed append everything unpublished behind the failure is
 * undone, newest first; what is published is never undone and waits to be sealed again.
 */
import { store64 } from "./atomics";
import {
  CAPABILITY_SYNC_APPEND,
  MODE_BUFFERED,
  MODE_IN_MEMORY,
  OPERATION_HEADER_BYTES,
  OPERATION_KEY_BYTES_OFFSET,
  OPERATION_TABLE_OFFSET,
  OPERATION_VALUE_BYTES_OFFSET,
  RECORD_COMMIT,
  RECORD_HEADER_BYTES,
  RECORD_RUN_BYTES_OFFSET,
  VERSION_MAX,
} from "./constants";
import { ENTRY_QUEUED, Entry } from "./entry";
import { hashKey } from "./hash";
import { PRUNE_CHAINS_PER_WRITE, pruneBelow, raisedFloor, runTrim } from "./prune";
import {
  drainReject,
  ITEM_SYNCED,
  ITEM_UNDONE,
  ITEM_WRITTEN,
  Item,
  itemAt,
  lastPlaced,
  logLockAlways,
  logUnlock,
  queueCut,
  queueMend,
  queueRelease,
  ringMend,
  unpublishedOf,
} from "./queue";
import { operationBytes } from "./record";
import {
  keeps,
  RULE_PUBLISH_WHEN_DURABLE,
  RULE_PUBLISHED_STAYS,
  RULE_UNDO_NEWEST_FIRST,
  RULE_UNDONE_DOOMS,
  RULE_VISIBLE_IN_ORDER,
} from "./rules";
import {
  RUN_DELETING,
  RUN_POISONED,
  Run,
  retiredReclaim,
  runArena,
  runChange,
  runCounted,
  runLock,
  runPublish,
  runRetire,
  runRetireAgain,
  runShow,
  runUnlock,
} from "./run";
import { entryRemove, tableOf } from "./run-tables";
import { Superblock, superblock } from "./superblock";
import { tableFind } from "./table";
import { versionUndo } from "./versions";

const SHARED: bool = ASC_FEATURE_THREADS;

/** Whether the promise of a commit's mode is kept, so that readers may see it. */
function isDurableEnough(sb: Superblock, item: Item): bool {
  if (!keeps(RULE_PUBLISH_WHEN_DURABLE)) return true;
  if (item.mode == (MODE_IN_MEMORY as u8)) return true;
  if (item.mode == (MODE_BUFFERED as u8)) {
    return item.state >= ITEM_WRITTEN || (sb.capabilities & CAPABILITY_SYNC_APPEND) == 0;
  }
  return item.state == ITEM_SYNCED;
}

function publishItem(sb: Superblock, item: Item): void {
  const run = changetype<Run>(item.run);
  if (SHARED) {
    sb.publishingLive = run.live;
    sb.publishingLiveKv = run.liveKv;
    sb.publishing = changetype<usize>(item);
  }
  item.published = 1;
  run.unpublished--;
  if (item.state < ITEM_WRITTEN) sb.queueDeferredBytes += item.length;
  if (item.deletesRun) runRetire(run, item.version);
  else runPublish(run, item.version, item.liveChange, item.liveKvChange);
  // Behind that: where nothing is unpublished hosts take it, without the lock, that readers see all.
  sb.queueUnpublished--;
  if (SHARED) sb.publishing = 0;
}

/** Ends the publication that somebody has died in, so that it is made once. */
function publishMend(sb: Superblock): void {
  if (sb.publishing == 0) return;
  const item = changetype<Item>(sb.publishing);
  const run = changetype<Run>(item.run);
  item.published = 1;
  if (item.deletesRun) {
    runRetireAgain(run, item.version);
    sb.headersTorn = 1;
  } else {
    const live = sb.publishingLive + item.liveChange;
    const liveKv = sb.publishingLiveKv + item.liveKvChange;
    // Where it can be seen already its counts are said, and somebody may be reading them.
    if (run.visible == item.version) runCounted(run, live, liveKv);
    else runShow(run, item.version, live, liveKv);
  }
  run.unpublished = unpublishedOf(item.run);
  sb.publishing = 0;
}

/** Ends the placing of the newest item, or takes it back where its record is not whole. */
function placeMend(item: Item): void {
  if (!item.whole) item.state = ITEM_UNDONE;
  // Before it is published its run is not given to anybody else.
  if (item.published || item.state == ITEM_UNDONE) return;
  const run = changetype<Run>(item.run);
  if (run.installed < item.version) {
    run.installed = item.version;
    run.commits++;
  }
  if (item.deletesRun) run.flags |= RUN_DELETING;
}

/**
 * Puts the log right behind somebody who has died in the middle of it. A record that is whole counts, though the run that it is
 * of is lost by now; one that is not is skipped, and its version burnt (COMMIT 20). False if nothing can be said of the log any
 * more. Under its lock, taken over.
 */
export function logMend(): bool {
  const sb = superblock();
  if (sb.undoing != 0) return false;
  ringMend();
  const last = lastPlaced();
  if (last !== null) placeMend(last);
  publishMend(sb);
  if (!queueMend()) return false;
  if (last !== null && last.run != 0) changetype<Run>(last.run).unpublished = unpublishedOf(last.run);
  advance(sb);
  publishReady();
  return true;
}

/** Gives back what a published deletion has left, as far as nobody sees it. */
function reclaimRetired(sb: Superblock): void {
  if (!SHARED && sb.retiredRuns != 0) retiredReclaim(raisedFloor());
}

/** Moves past what is published or undone, and tells snapshots where the first unpublished commit stands. */
function advance(sb: Superblock): void {
  while (sb.queuePublishedTo != sb.queueTail) {
    const item = itemAt(sb, sb.queuePublishedTo);
    if (!item.published && item.state != ITEM_UNDONE) break;
    sb.queuePublishedTo++;
  }
  const first = sb.queuePublishedTo == sb.queueTail ? VERSION_MAX : itemAt(sb, sb.queuePublishedTo).version;
  store64(changetype<usize>(sb) + offsetof<Superblock>("unpublishedFrom"), first);
}

/** Notes a commit that was just placed: it is published at once if its mode allows and nothing of its run stands before it. */
export function publishPlaced(item: Item): void {
  const sb = superblock();
  const run = changetype<Run>(item.run);
  run.unpublished++;
  sb.queueUnpublished++;
  if (!SHARED && sb.unpublishedFrom == VERSION_MAX) sb.unpublishedFrom = item.version;
  if (run.unpublished != 1 || !isDurableEnough(sb, item)) return;
  publishItem(sb, item);
  advance(sb);
  // Between workers this comes after the log's lock has been given back.
  if (SHARED) return;
  if (run.pruneCount != 0) pruneBelow(run, item.operations + PRUNE_CHAINS_PER_WRITE);
  runTrim(run);
  reclaimRetired(sb);
}

/** Publishes every queued commit whose time has come, in version order within each run, and lets go of what is done. */
export function publishReady(): void {
  const sb = superblock();
  const first = sb.queuePublishedTo;
  const pass = ++sb.publishPass;
  for (let sequence = first; sequence != sb.queueTail; sequence++) {
    const item = itemAt(sb, sequence);
    if (item.published || item.state == ITEM_UNDONE) continue;
    const run = changetype<Run>(item.run);
    if (run.publishPass == pass && keeps(RULE_VISIBLE_IN_ORDER)) continue;
    if (isDurableEnough(sb, item)) publishItem(sb, item);
    else run.publishPass = pass;
  }
  advance(sb);
  // Pruning comes after the horizon has moved, or it would find nothing to free. Between workers whoever next writes to the
  // run does it: here nobody has its lock.
  for (let sequence = first; !SHARED && sequence != sb.queuePublishedTo; sequence++) {
    const item = itemAt(sb, sequence);
    if (item.state == ITEM_UNDONE || item.kind != (RECORD_COMMIT as u8)) continue;
    const run = changetype<Run>(item.run);
    if (run.pruneCount != 0) pruneBelow(run, item.operations + PRUNE_CHAINS_PER_WRITE);
    runTrim(run);
  }
  reclaimRetired(sb);
  queueRelease();
}

/** Takes a commit that is the newest of its run back. */
function undoItem(sb: Superblock, item: Item): void {
  const run = changetype<Run>(item.run);
  if (item.deletesRun) run.flags &= ~RUN_DELETING;
  // Of a run that a worker has died in nobody knows what its chains are.
  else if (!SHARED || (run.flags & RUN_POISONED) == 0) undoOperations(sb, run, item);
  run.installed = item.previousInstalled;
  run.commits--;
  run.unpublished--;
  sb.queueUnpublished--;
  sb.undoneCommits++;
  sb.queueUnwrittenBytes -= item.length;
  item.state = ITEM_UNDONE;
}

/** Whether an item is a note and no commit. One that is not written is dropped: whoever writes the next says as much. */
function dropsNote(sb: Superblock, item: Item): bool {
  if (item.kind == (RECORD_COMMIT as u8)) return false;
  sb.queueUnwrittenBytes -= item.length;
  item.state = ITEM_UNDONE;
  return true;
}

/** Takes the versions of a commit out of the chains again. */
function undoOperations(sb: Superblock, run: Run, item: Item): void {
  const arena = runArena(run);
  const record = item.record;
  let at = record + (RECORD_HEADER_BYTES as usize) + (load<u16>(record + RECORD_RUN_BYTES_OFFSET) as usize);
  for (let operation: u32 = 0; operation < item.operations; operation++) {
    const tag = load<u8>(at + OPERATION_TABLE_OFFSET) as u32;
    const keyBytes = load<u16>(at + OPERATION_KEY_BYTES_OFFSET) as u32;
    const valueBytes = load<u32>(at + OPERATION_VALUE_BYTES_OFFSET);
    const key = at + (OPERATION_HEADER_BYTES as usize);
    const table = tableOf(run, tag, key, keyBytes);
    const entry: Entry | null =
      table === null ? null : tableFind(table, hashKey(key, keyBytes, sb.seed), key, keyBytes);
    assert(entry !== null);
    if (entry !== null) {
      versionUndo(arena, entry, item.version);
      // One that is in the prune queue goes when its turn comes.
      if (entry.head == 0 && (entry.flags & ENTRY_QUEUED) == 0) entryRemove(run, entry);
    }
    at += operationBytes(keyBytes, valueBytes);
  }
}

/**
 * The same between workers: run by run under its lock, while no place in the queue is given. Called and left with the log's
 * lock; how many were undone, or UNDO_FAILED if a run could not be had.
 */
function undoShared(sb: Superblock): u32 {
  sb.undoing = 1;
  let undone: u32 = 0;
  const count = sb.queueTail - sb.queueWritten;
  for (let i: u32 = 0; i < count; i++) {
    const sequence = sb.queueTail - 1 - i;
    const item = itemAt(sb, sequence);
    if (item.state == ITEM_UNDONE || dropsNote(sb, item) || item.published) continue;
    if (undone++ == 0) sb.undoneGeneration++;
    const run = changetype<Run>(item.run);
    logUnlock();
    const has = runLock(run);
    logLockAlways();
    if (!has) return UNDO_FAILED;
    runChange(run);
    const again = itemAt(sb, sequence);
    if (again.state != ITEM_UNDONE && !again.published) undoItem(sb, again);
    runUnlock(run);
  }
  publishReady();
  queueCut();
  sb.undoing = 0;
  return undone;
}

/** Instead of how many commits were undone: one could not be, and what is in memory is not what will be in the log. */
export const UNDO_FAILED: u32 = 0xffffffff;

/** Undoes everything unpublished that is not written, newest first, and raises the generation that dooms who may have read it. */
export function undoUnwritten(): u32 {
  const sb = superblock();
  drainReject();
  if (SHARED) return undoShared(sb);
  let undone: u32 = 0;
  const count = sb.queueTail - sb.queueWritten;
  for (let i: u32 = 0; i < count; i++) {
    const item = itemAt(sb, keeps(RULE_UNDO_NEWEST_FIRST) ? sb.queueTail - 1 - i : sb.queueWritten + i);
    if (item.state == ITEM_UNDONE || dropsNote(sb, item)) continue;
    if (item.published && keeps(RULE_PUBLISHED_STAYS)) continue;
    undoItem(sb, item);
    undone++;
  }
  if (undone != 0 && keeps(RULE_UNDONE_DOOMS)) sb.undoneGeneration++;
  publishReady();
  queueCut();
  return undone;
}
