/**
 * One run: its tables, its arena, its lock, what of it is visible; and the directory that finds runs by name.
 *
 *   Run header (RUN_BYTES, on its own cache lines, made once and only ever reused as a run header)
 *     sequence             odd while the run is being changed (optimistic.ts)
 *     generation           which incarnation a handle means
 *     visible, installed   the newest version that readers see; the newest that is in the chains
 *     tables[TABLE_COUNT]  made on first use
 *     prune queue          entries whose chains may hold something to free (prune.ts)
 *     arena                everything else of the run lives in its extents
 *     lock                 who may write; on a line of its own, so that waiting for it disturbs no reader
 *
 * A handle is a header's address with its generation. A run that nobody has written to yet has a header only while a
 * transaction is open on it; it exists for readers once `visible` is not zero. A deleted run keeps header and memory, and
 * its place behind newer incarnations of its name, until no snapshot can see it.
 */

import { ARENA_BYTES, Arena, arenaAllocate, arenaRelease, extentsOf } from "./arena";
import {
  add32,
  load32,
  load64,
  replace64,
  store32,
  store64,
  storeFirst32,
  storeFirst64,
  swap32,
  take32,
} from "./atomics";
import { RUN_ID_BYTES_MAX, TABLE_COUNT, VERSION_MAX } from "./constants";
import { countsAt, countsSay } from "./counts";
import { Entry, entryFree, entryMake } from "./entry";
import { hashKey } from "./hash";
import { lockAcquire, lockRelease, lockReturn, lockSeize, lockTry } from "./lock";
import { within } from "./optimistic";
import { readersLeave, readLock, readsByLock, readUnlock } from "./read-lock";
import { keeps, RULE_KNOWN_GO_WITH_RUN, RULE_RETIRED_STAYS } from "./rules";
import { heldBetween } from "./snapshots";
import { CACHE_LINE_BYTES, Superblock, SYSTEM_ARENA_BASE, superblock } from "./superblock";
import { Table, tableErase, tableFind, tableInsert, tableMake } from "./table";
import { Context, workerAt } from "./workers";

const SHARED: bool = ASC_FEATURE_THREADS;

@unmanaged
export class Run {
  sequence: u32;
  /** Rises when an incarnation begins and when it ends: odd while it is in use. */
  generation: u32;
  visible: u64;
  installed: u64;
  /** Entries that have a value at `visible`, over all tables. */
  live: u32;
  /** The same for the key-value table. */
  liveKv: u32;
  /** Commits of this run, recovered ones included and undone ones not. */
  commits: u32;
  /** Commits of this run that are installed and not published. */
  unpublished: u32;
  /**
   * Transactions that were begun on it before its first commit was published: as long as there are any it is kept. Between workers
   * their contexts say so (isBegunOn).
   */
  transactions: u32;
  pruneFirst: usize;
  pruneLast: usize;
  pruneCount: u32;
  /** The directory's entry, whose key is the run's name. */
  entry: usize;
  /** The next header ever made. */
  nextRun: usize;
  /** The next free header, while this one is free. */
  nextFree: usize;
  /** Marks a run that a pass over the queue has met an unpublished commit of. */
  publishPass: u32;
  flags: u32;
  /** Between workers: the generation that it has since a worker has died in it, 0 before. */
  lostAs: u32;
  /** The version of its first commit, 0 while it has none. */
  born: u64;
  /** The version of the commit that deleted it, once that is published; 0 while it lives. */
  deleted: u64;
  /** The incarnation of this name before, which a snapshot may still see. */
  older: usize;
  /** Reserved: a run that branches off another at a version. */
  parent: usize;
  parentVersion: u64;
}

/** Its deletion is installed and not yet published: nothing can be written to it. */
export const RUN_DELETING: u32 = 1;
/** A worker died while it was changing the run: nobody can say what is in it. */
export const RUN_POISONED: u32 = 2;

const TABLES_OFFSET: usize = offsetof<Run>();
const TABLES_END: usize = TABLES_OFFSET + ((TABLE_COUNT as usize) << 2);
/** What every allocation writes is on a line that nobody reads to find a table, and so are the lists of the smallest blocks. */
const ARENA_OFFSET: usize = (TABLES_END + CACHE_LINE_BYTES - 1) & ~(CACHE_LINE_BYTES - 1);
const LOCK_OFFSET: usize = (ARENA_OFFSET + ARENA_BYTES + CACHE_LINE_BYTES - 1) & ~(CACHE_LINE_BYTES - 1);
/** The next id that the run's graph gives, 0 as long as nobody has said from where on: with the lock, which who takes one takes next. */
const NEXT_ID_OFFSET: usize = LOCK_OFFSET + 8;
/** Between workers: how many entries there are as of the last two versions (counts.ts). Readers look at other lines with each read. */
const COUNTS_OFFSET: usize = LOCK_OFFSET + 16;
export const RUN_BYTES: u32 = (LOCK_OFFSET + CACHE_LINE_BYTES) as u32;

/** The arena of a run. */
export function runArena(run: Run): Arena {
  return changetype<Arena>(changetype<usize>(run) + ARENA_OFFSET);
}

/** Takes the directory's lock; false when it could not be had in time. */
export function directoryLock(): bool {
  return lockAcquire(directoryLockAddress());
}

export function directoryTryLock(): bool {
  return lockTry(directoryLockAddress());
}

export function directorySeize(dead: u32): bool {
  return lockSeize(directoryLockAddress(), dead);
}

/** Gives it back to a dead worker, for whoever clears up behind that one next. */
export function directoryReturn(dead: u32): void {
  lockReturn(directoryLockAddress(), dead);
}

export function directoryUnlock(): void {
  lockRelease(directoryLockAddress());
}

function directoryLockAddress(): usize {
  return changetype<usize>(superblock()) + offsetof<Superblock>("directoryLock");
}

/** The arena of run headers, the directory and transaction contexts. Guarded by the directory's lock. */
export function systemArena(): Arena {
  return changetype<Arena>(SYSTEM_ARENA_BASE);
}

/** Where the lock of a run stands. */
export function lockOf(run: Run): usize {
  return changetype<usize>(run) + LOCK_OFFSET;
}

/** Where the sequence of a run stands, for reading without its lock. */
export function runSequence(run: Run): usize {
  return changetype<usize>(run) + offsetof<Run>("sequence");
}

/** Takes the lock of a run; false when it could not be had in time. */
export function runLock(run: Run): bool {
  return lockAcquire(lockOf(run)) && (!readsByLock() || readersLeave(lockOf(run)));
}

/** Takes the lock of a run if it is free. */
export function runTryLock(run: Run): bool {
  return lockTry(lockOf(run)) && (!readsByLock() || readersLeave(lockOf(run)));
}

/** Begins to read a run by its lock, in the build that does; false when it could not be had in time. */
export function runReadLock(run: Run): bool {
  return readLock(lockOf(run));
}

export function runReadUnlock(run: Run): void {
  readUnlock(lockOf(run));
}

/** From here on until the lock is given back, what others read of the run without the lock means nothing. Under the lock. */
export function runChange(run: Run): void {
  if (!SHARED || (run.sequence & 1) == 1) return;
  storeFirst32(runSequence(run), run.sequence + 1);
}

/** Gives the lock of a run back, with all changes. */
export function runUnlock(run: Run): void {
  if (!SHARED) return;
  if ((run.sequence & 1) == 1) store32(runSequence(run), run.sequence + 1);
  lockRelease(lockOf(run));
}

/** Takes the lock of a run over from a dead worker; false if that does not hold it. */
export function runSeize(run: Run, dead: u32): bool {
  return lockSeize(lockOf(run), dead);
}

/** Gives it back to a dead worker, for whoever clears up behind that one next. */
export function runReturn(run: Run, dead: u32): void {
  lockReturn(lockOf(run), dead);
}

/** A table of a run; null if nothing was ever put into it. */
export function runTable(run: Run, tag: u32): Table | null {
  const table = load<usize>(changetype<usize>(run) + TABLES_OFFSET + ((tag as usize) << 2));
  return table ? changetype<Table>(within(table, offsetof<Table>() as u32)) : null;
}

/** A table of a run, made if it is not there; null if memory cannot grow. */
export function runTableMake(run: Run, tag: u32): Table | null {
  const place = changetype<usize>(run) + TABLES_OFFSET + ((tag as usize) << 2);
  if (load<usize>(place)) return changetype<Table>(load<usize>(place));
  const table = tableMake(runArena(run));
  if (table !== null) store<usize>(place, changetype<usize>(table));
  return table;
}

/** Whether a handle still means the incarnation that it was made for. */
export function runIs(run: Run, generation: u32): bool {
  return load32(changetype<usize>(run) + offsetof<Run>("generation")) == generation;
}

/** Whether nobody can say what is in a run that still has its name. */
export function runIsLost(run: Run): bool {
  return (run.flags & RUN_POISONED) != 0 && run.deleted == 0;
}

/** The newest version that readers of a run see. */
export function runVisible(run: Run): u64 {
  return load64(changetype<usize>(run) + offsetof<Run>("visible"));
}

/** The newest version that readers of a run see; before its first commit, that at which its name was last deleted. */
export function runSeen(run: Run): u64 {
  const visible = runVisible(run);
  if (visible != 0 || run.older == 0) return visible;
  const olderAt = changetype<usize>(run) + offsetof<Run>("older");
  const older = load32(olderAt);
  const deleted: u64 = older == 0 ? 0 : load64((older as usize) + offsetof<Run>("deleted"));
  // What has gone meanwhile may be another run's header by now, which can be deleted too; it never comes back as this one's.
  return load32(olderAt) == older ? deleted : 0;
}

/** Whether a handle means an incarnation that a snapshot may look into: the one that lives, or the same after its end. */
export function runShows(run: Run, generation: u32): bool {
  return load32(changetype<usize>(run) + offsetof<Run>("generation")) - generation <= 1;
}

function nameFind(name: usize, nameBytes: u32): Entry | null {
  const sb = superblock();
  return tableFind(changetype<Table>(sb.directory), hashKey(name, nameBytes, sb.seed), name, nameBytes);
}

/** The living run of a name, or null. The directory's lock is held, or there is only one worker. */
export function runFind(name: usize, nameBytes: u32): Run | null {
  const entry = nameFind(name, nameBytes);
  if (entry === null) return null;
  const run = changetype<Run>(entry.head);
  return run.deleted == 0 ? run : null;
}

/** The incarnation of a name that `version` sees, or null. As runFind. */
export function runFindAt(name: usize, nameBytes: u32, version: u64): Run | null {
  const entry = nameFind(name, nameBytes);
  if (entry === null) return null;
  let run = changetype<Run>(entry.head);
  while (run.older != 0 && changetype<Run>(run.older).deleted > version) run = changetype<Run>(run.older);
  return run.deleted != 0 && run.deleted <= version ? null : run;
}

/**
 * Whether a version sees the incarnation before, though this one was born by then: it is rebuilt from the log, and the other one
 * is lost. Where that has gone meanwhile, it is not.
 */
function isBehindOlder(run: Run, version: u64): bool {
  const olderAt = changetype<usize>(run) + offsetof<Run>("older");
  const older = load32(olderAt);
  if (older == 0) return false;
  const deleted = load64((older as usize) + offsetof<Run>("deleted"));
  return (deleted == 0 || deleted > version) && load32(olderAt) == older;
}

/** Whether a run has something at a version; with `published` at what readers see of it now. */
export function runExistsAt(run: Run, published: bool, version: u64): bool {
  if (run.entry == 0 || run.born == 0) return false;
  if (SHARED && run.older != 0 && isBehindOlder(run, published ? VERSION_MAX : version)) return false;
  if (published) return run.deleted == 0;
  return run.born <= version && (run.deleted == 0 || run.deleted > version);
}

function headerMake(): Run | null {
  const sb = superblock();
  if (sb.freeRun) {
    const run = changetype<Run>(sb.freeRun);
    sb.freeRun = run.nextFree;
    return run;
  }
  // A block of a size class is 8-byte aligned; the header wants cache lines of its own, so it takes one more.
  const block = arenaAllocate(systemArena(), RUN_BYTES + (CACHE_LINE_BYTES as u32));
  if (block == 0) return null;
  const aligned = (block + CACHE_LINE_BYTES - 1) & ~(CACHE_LINE_BYTES - 1);
  memory.fill(aligned, 0, RUN_BYTES);
  const run = changetype<Run>(aligned);
  run.nextRun = sb.firstRun;
  // Some walk the headers without the directory's lock.
  store32(changetype<usize>(sb) + offsetof<Superblock>("firstRun"), aligned as u32);
  sb.runCount++;
  return run;
}

/** The run of a name, made if it is not there; null if memory cannot grow. The directory's lock is held. */
export function runMake(name: usize, nameBytes: u32): Run | null {
  assert(nameBytes > 0 && nameBytes <= RUN_ID_BYTES_MAX);
  const found = runFind(name, nameBytes);
  if (found !== null) return found;
  const sb = superblock();
  const run = headerMake();
  if (run === null) return null;
  // The name may still stand for an incarnation that was deleted.
  let entry = nameFind(name, nameBytes);
  if (entry === null) {
    entry = entryMake(systemArena(), 0, hashKey(name, nameBytes, sb.seed), name, nameBytes);
    if (entry === null || !tableInsert(changetype<Table>(sb.directory), systemArena(), entry)) {
      if (entry !== null) entryFree(systemArena(), entry);
      run.nextFree = sb.freeRun;
      sb.freeRun = changetype<usize>(run);
      return null;
    }
  }
  run.older = entry.head;
  entry.head = changetype<usize>(run);
  run.entry = changetype<usize>(entry);
  store32(changetype<usize>(run) + offsetof<Run>("generation"), run.generation + 1);
  add32(changetype<usize>(sb) + offsetof<Superblock>("runsLive"), 1);
  return run;
}

/** Takes an incarnation out of the chain of its name, and the name out of the directory with the last one. */
function nameDrop(run: Run): void {
  const entry = changetype<Entry>(run.entry);
  run.entry = 0;
  if (entry.head == changetype<usize>(run)) {
    entry.head = run.older;
  } else {
    let newer = changetype<Run>(entry.head);
    while (newer.older != changetype<usize>(run)) newer = changetype<Run>(newer.older);
    newer.older = run.older;
  }
  run.older = 0;
  if (entry.head != 0) return;
  tableErase(changetype<Table>(superblock().directory), entry);
  entryFree(systemArena(), entry);
}

/** Gives the extents of a run back, and with them all of its tables. */
export function runEmpty(run: Run): void {
  arenaRelease(runArena(run));
  memory.fill(changetype<usize>(run) + TABLES_OFFSET, 0, (TABLE_COUNT as usize) << 2);
  run.pruneFirst = 0;
  run.pruneLast = 0;
  run.pruneCount = 0;
}

/** Gives back everything of an incarnation that nobody can see, its header to the next run. Under its lock and the directory's. */
function runReclaim(run: Run): void {
  runChange(run);
  nameDrop(run);
  runEmpty(run);
  runBlank(run);
}

/** Makes a header without name and memory one that the next run can have. */
function runBlank(run: Run): void {
  const sb = superblock();
  sb.commitsForgotten += run.commits as u64;
  run.visible = 0;
  run.installed = 0;
  run.live = 0;
  run.liveKv = 0;
  run.commits = 0;
  // Transactions that are still counted are of a run that was taken away from them; they take themselves off.
  run.flags = 0;
  if (SHARED) run.lostAs = 0;
  run.born = 0;
  run.deleted = 0;
  store64(changetype<usize>(run) + NEXT_ID_OFFSET, 0);
  run.nextFree = sb.freeRun;
  sb.freeRun = changetype<usize>(run);
}

/**
 * Puts a header in front of a run that nobody can say anything about, which is filled with what its log says: at `version`, and
 * lost itself until it is whole. Null if memory cannot grow. The directory's lock is held.
 *
 * Whatever is never ended here leaves one of the two as the run of the name: the new one counts for nothing before its
 * generation says that it is in use.
 */
export function runRenew(lost: Run, version: u64): Run | null {
  const run = headerMake();
  if (run === null) return null;
  const entry = changetype<Entry>(lost.entry);
  run.flags = RUN_POISONED;
  run.born = version;
  run.installed = version;
  store64(changetype<usize>(run) + offsetof<Run>("visible"), version);
  run.older = changetype<usize>(lost);
  store64(changetype<usize>(run) + NEXT_ID_OFFSET, load64(changetype<usize>(lost) + NEXT_ID_OFFSET));
  run.entry = changetype<usize>(entry);
  entry.head = changetype<usize>(run);
  store32(changetype<usize>(run) + offsetof<Run>("generation"), run.generation + 1);
  add32(changetype<usize>(superblock()) + offsetof<Superblock>("runsLive"), 1);
  return run;
}

/**
 * Gives the memory of a deleted run back that a worker has died in: nobody knows what its arena is, but each extent names it.
 * False if it has to wait. Under its lock.
 */
function lostIsGiven(run: Run): bool {
  if (!SHARED || (run.flags & RUN_POISONED) == 0) return true;
  if (!extentsOf(changetype<usize>(runArena(run)))) return false;
  memory.fill(changetype<usize>(runArena(run)), 0, ARENA_BYTES);
  return true;
}

/**
 * Makes the directory anew from the run headers, in memory of its own: of what it and the names stood in before nobody knows
 * what is whole, so that stays as it is. Under the directory's lock, whose last holder may have been anywhere. False if
 * memory cannot grow: then it has to be done again. Nobody publishes a deletion meanwhile: the log's lock is held.
 */
export function directoryRebuild(): bool {
  const sb = superblock();
  memory.fill(SYSTEM_ARENA_BASE, 0, ARENA_BYTES);
  sb.directoriesLost++;
  const table = tableMake(systemArena());
  if (table === null) return false;
  sb.directory = changetype<usize>(table);
  headersSort(sb);
  for (let at = sb.firstRun; at; at = changetype<Run>(at).nextRun) {
    const run = changetype<Run>(at);
    if (run.entry == 0) continue;
    nameMend(run);
    const entry = changetype<Entry>(run.entry);
    if (entry.head == at && !tableInsert(table, systemArena(), entry)) return false;
  }
  for (let at = sb.firstRun; at; at = changetype<Run>(at).nextRun) {
    const run = changetype<Run>(at);
    if (run.entry == 0 && !headerClear(run)) return false;
  }
  return true;
}

/** Says of each header what it is, by what was written to it last: of a run that lives, of one that is deleted, or free. */
function headersSort(sb: Superblock): void {
  sb.runCount = 0;
  sb.runsLive = 0;
  sb.freeRun = 0;
  sb.retiredRuns = 0;
  sb.retiredLast = 0;
  store32(changetype<usize>(sb) + offsetof<Superblock>("retiredNew"), 0);
  for (let at = sb.firstRun; at; at = changetype<Run>(at).nextRun) {
    const run = changetype<Run>(at);
    sb.runCount++;
    if (run.entry == 0) continue;
    if (run.deleted != 0) {
      if (run.generation & 1) store32(changetype<usize>(run) + offsetof<Run>("generation"), run.generation + 1);
      store64(changetype<usize>(run) + offsetof<Run>("visible"), run.deleted);
      run.live = 0;
      run.liveKv = 0;
      run.flags &= RUN_POISONED;
      retiredPush(sb, run);
    } else if ((run.generation & 1) == 1) {
      sb.runsLive++;
    } else {
      // Not yet made, or about to be forgotten: whatever was in it is to go.
      run.entry = 0;
    }
  }
}

/** Takes headers that are free by now out of the chain of a run's name. */
function nameMend(run: Run): void {
  const entry = changetype<Entry>(run.entry);
  while (changetype<Run>(entry.head).entry == 0) entry.head = changetype<Run>(entry.head).older;
  while (run.older != 0 && changetype<Run>(run.older).entry == 0) run.older = changetype<Run>(run.older).older;
}

/** Makes a header whose run was being made or taken away one that the next run can have; false if its memory has to wait. */
function headerClear(run: Run): bool {
  const hasMemory = runArena(run).extents != 0 || (run.flags & RUN_POISONED) != 0;
  if (hasMemory && !extentsOf(changetype<usize>(runArena(run)))) return false;
  memory.fill(changetype<usize>(run) + TABLES_OFFSET, 0, LOCK_OFFSET - TABLES_OFFSET);
  run.pruneFirst = 0;
  run.pruneLast = 0;
  run.pruneCount = 0;
  run.older = 0;
  if (run.generation & 1) store32(changetype<usize>(run) + offsetof<Run>("generation"), run.generation + 1);
  runBlank(run);
  return true;
}

/** Takes a run that was never written to, and on which no transaction is open, out of the directory again. */
export function runForget(run: Run): void {
  assert(run.installed == 0 && run.unpublished == 0);
  runChange(run);
  store32(changetype<usize>(run) + offsetof<Run>("generation"), run.generation + 1);
  add32(changetype<usize>(superblock()) + offsetof<Superblock>("runsLive"), -1);
  runReclaim(run);
}

/**
 * Whether a transaction is open that was begun on a run before its first commit was published. The directory's lock is held, or
 * there is only one worker.
 */
function isBegunOn(run: Run): bool {
  if (!SHARED) return run.transactions != 0;
  for (let index: u32 = 0; index < superblock().workersHigh; index++) {
    for (let at = workerAt(index).contexts; at; at = changetype<Context>(at).nextOwned) {
      if (load32(at + offsetof<Context>("begunOn")) == (changetype<usize>(run) as u32)) return true;
    }
  }
  return false;
}

/** Forgets a run that was never written to, if nobody is using it. The directory's lock is held. */
export function runForgetUnused(run: Run, generation: u32): void {
  if (!runTryLock(run)) return;
  const unused = run.installed == 0 && run.unpublished == 0 && runIs(run, generation);
  if (unused && !isBegunOn(run)) runForget(run);
  runUnlock(run);
}

/** Publishes the deletion of a run: from now on only snapshots older than `version` see it. */
export function runRetire(run: Run, version: u64): void {
  assert(run.unpublished == 0 && version > run.visible);
  const sb = superblock();
  const header = changetype<usize>(run);
  // First what tells of the deletion if this is never ended.
  store64(header + offsetof<Run>("deleted"), version);
  // Before the version can be seen: who finds the incarnation alive after it holds a snapshot then holds one from before.
  // And before the flag goes: who sees that it is not being deleted any more sees that it is gone.
  store32(header + offsetof<Run>("generation"), run.generation + 1);
  store64(header + offsetof<Run>("visible"), version);
  if (!SHARED && keeps(RULE_KNOWN_GO_WITH_RUN)) sb.knownGone = 1;
  run.live = 0;
  run.liveKv = 0;
  store32(header + offsetof<Run>("flags"), run.flags & ~RUN_DELETING);
  add32(changetype<usize>(sb) + offsetof<Superblock>("runsLive"), -1);
  if (SHARED) retiredHandOver(sb, run);
  else retiredPush(sb, run);
}

/** Ends the publication of a deletion that somebody has died in, but for the lists of headers. */
export function runRetireAgain(run: Run, version: u64): void {
  const header = changetype<usize>(run);
  store64(header + offsetof<Run>("deleted"), version);
  store32(header + offsetof<Run>("generation"), (run.generation + 1) & ~1);
  store64(header + offsetof<Run>("visible"), version);
  run.live = 0;
  run.liveKv = 0;
  store32(header + offsetof<Run>("flags"), run.flags & ~RUN_DELETING);
}

/**
 * Makes the lists of headers anew: of those that are free, and of those that are deleted. Under the directory's lock and the
 * log's. False if the allocator could not be had: then it has to be done again.
 */
export function headersMend(): bool {
  const sb = superblock();
  headersSort(sb);
  for (let at = sb.firstRun; at; at = changetype<Run>(at).nextRun) {
    if (changetype<Run>(at).entry == 0 && !headerClear(changetype<Run>(at))) return false;
  }
  sb.headersTorn = 0;
  return true;
}

/** Whoever publishes a deletion may not have the directory's lock: the run waits for somebody who has. */
function retiredHandOver(sb: Superblock, run: Run): void {
  const stack = changetype<usize>(sb) + offsetof<Superblock>("retiredNew");
  let first = load32(stack);
  for (;;) {
    run.nextFree = first;
    const before = swap32(stack, first, changetype<usize>(run) as u32);
    if (before == first) return;
    first = before;
  }
}

/** Takes over what was handed over. Under the directory's lock. */
function retiredAccept(sb: Superblock): void {
  let run = take32(changetype<usize>(sb) + offsetof<Superblock>("retiredNew"), 0) as usize;
  while (run) {
    const next = changetype<Run>(run).nextFree;
    retiredPush(sb, changetype<Run>(run));
    run = next;
  }
}

/** Whether there are deleted runs whose memory may be given back some time. */
export function hasRetired(): bool {
  const sb = superblock();
  return sb.retiredRuns != 0 || (SHARED && load32(changetype<usize>(sb) + offsetof<Superblock>("retiredNew")) != 0);
}

function retiredPush(sb: Superblock, run: Run): void {
  run.nextFree = 0;
  if (sb.retiredLast) changetype<Run>(sb.retiredLast).nextFree = changetype<usize>(run);
  else sb.retiredRuns = changetype<usize>(run);
  sb.retiredLast = changetype<usize>(run);
}

/** Takes the first deleted run off the queue, which is not empty. */
function retiredPop(sb: Superblock): Run {
  const run = changetype<Run>(sb.retiredRuns);
  sb.retiredRuns = run.nextFree;
  if (sb.retiredRuns == 0) sb.retiredLast = 0;
  return run;
}

/**
 * Forgets all that were never written to and that nobody is using: whoever had made them died, and will not do it. The
 * directory's lock is held.
 */
export function runsForgetUnused(): void {
  for (let at = superblock().firstRun; at; at = changetype<Run>(at).nextRun) {
    const run = changetype<Run>(at);
    // What is in a poisoned one nobody can say, and it is not to be taken for one that was never there.
    const isWhole = run.entry != 0 && run.deleted == 0 && (run.flags & RUN_POISONED) == 0;
    if (isWhole && run.installed == 0) runForgetUnused(run, run.generation);
  }
}

/** Deletes a run that nobody can hold a snapshot of: while a log is read back. */
export function runDrop(run: Run, version: u64): void {
  runRetire(run, version);
  if (SHARED) retiredAccept(superblock());
  // While a log is read back nobody holds a snapshot, so that no other stands in the queue.
  runReclaim(retiredPop(superblock()));
}

/** Deleted runs that one call looks at. */
const RETIRED_PER_STEP: u32 = 32;

/**
 * Gives back deleted runs that no held snapshot sees any more and none can come to see: it looks at some, and those that
 * must stay go to the queue's end. The floor stands at `horizon` or above.
 */
export function retiredReclaim(horizon: u64): void {
  const sb = superblock();
  if (SHARED) retiredAccept(sb);
  const last = sb.retiredLast;
  for (let left = RETIRED_PER_STEP; left > 0 && sb.retiredRuns != 0; left--) {
    const run = retiredPop(sb);
    // Whoever holds a version from before its first commit sees nothing of it, unless it is a transaction on it.
    const stays = run.deleted > horizon || isBegunOn(run) || heldBetween(run.born, run.deleted);
    if ((stays && keeps(RULE_RETIRED_STAYS)) || !runTryLock(run)) {
      retiredPush(sb, run);
    } else {
      if (lostIsGiven(run)) runReclaim(run);
      else retiredPush(sb, run);
      runUnlock(run);
    }
    if (changetype<usize>(run) == last) return;
  }
}

/** Moves `visible` over a commit, with what it changed in the number of live entries. */
export function runPublish(run: Run, version: u64, liveChange: i32, liveKvChange: i32): void {
  assert(version > run.visible);
  runShow(run, version, run.live + liveChange, run.liveKv + liveKvChange);
}

/** From now on readers see a version, and that there are so many entries. */
export function runShow(run: Run, version: u64, live: u32, liveKv: u32): void {
  if (SHARED) countsSay(countsOf(run), run.visible, version, ((live as u64) << 32) | (liveKv as u64));
  runAppear(run, version);
  runCounted(run, live, liveKv);
}

/** Has the next publication count on from there. */
export function runCounted(run: Run, live: u32, liveKv: u32): void {
  run.live = live;
  run.liveKv = liveKv;
}

/** The same of a run that is read back at a version, whose entries are counted as they come. */
export function runAppear(run: Run, version: u64): void {
  if (run.born == 0) run.born = version;
  storeFirst64(changetype<usize>(run) + offsetof<Run>("visible"), version);
}

function countsOf(run: Run): usize {
  return changetype<usize>(run) + COUNTS_OFFSET;
}

/** How many entries readers see, of all tables or of the key-value table. */
export function runLive(run: Run, onlyKv: bool): u32 {
  if (!SHARED) return onlyKv ? run.liveKv : run.live;
  const header = changetype<usize>(run);
  let visible: u64 = 0;
  let live: u32 = 0;
  // Again only where something was published meanwhile.
  do {
    visible = runVisible(run);
    const said = countsAt(countsOf(run), visible);
    // Of what was read back from a checkpoint nobody has said it: of that these are.
    if (said == 0) live = load32(header + (onlyKv ? offsetof<Run>("liveKv") : offsetof<Run>("live")));
    else live = (load64(said) >> (onlyKv ? 0 : 32)) as u32;
  } while (runVisible(run) != visible);
  return live;
}

/** An id that the run has not given before; 0 as long as nobody has said from where on. */
export function runIdTake(run: Run): u64 {
  const word = changetype<usize>(run) + NEXT_ID_OFFSET;
  let id = load64(word);
  // Only ever from one id to the next: the header may be another run's by now, of which nobody has said so.
  while (id != 0 && !replace64(word, id, id + 1)) id = load64(word);
  return id;
}

/** Says from where on ids are free. Whoever comes second changes nothing. */
export function runIdsFrom(run: Run, first: u64): void {
  replace64(changetype<usize>(run) + NEXT_ID_OFFSET, 0, first);
}

/** Live entries of every run together. Each run counts its own, so that commits of different runs share no counter. */
export function liveEntriesOfAll(): u64 {
  let entries: u64 = 0;
  for (let at = superblock().firstRun; at; at = changetype<Run>(at).nextRun) {
    entries += runLive(changetype<Run>(at), false) as u64;
  }
  return entries;
}

/** Commits of every run together. */
export function commitsOfAll(): u64 {
  let commits = superblock().commitsForgotten;
  for (let at = superblock().firstRun; at; at = changetype<Run>(at).nextRun)
    commits += changetype<Run>(at).commits as u64;
  return commits;
}
