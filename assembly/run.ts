/**
 * One run: its tables, its arena, its lock, what of it is visible; and the directory that finds runs by name.
 *
 *   Run header (RUN_BYTES, on its own cache lines, made once and only ever reused as a run header)
 *     lock, generation     who may write; which incarnation a handle means
 *     visible, installed   the newest version that readers see; the newest that is in the chains
 *     tables[TABLE_COUNT]  made on first use
 *     prune queue          entries whose chains may hold something to free
 *     arena                everything else of the run lives in its extents
 *
 * A handle is a header's address with its generation. A run that nobody has written to yet has a header only while a
 * transaction is open on it; it exists for readers once `visible` is not zero.
 */

import { ARENA_BYTES, Arena, arenaAllocate, arenaRelease } from "./arena";
import { RUN_ID_BYTES_MAX, TABLE_COUNT } from "./constants";
import { ENTRY_QUEUED, Entry, entryFree, entryMake } from "./entry";
import { hashKey } from "./hash";
import { publishedHorizon, raiseFloor } from "./snapshots";
import { CACHE_LINE_BYTES, SYSTEM_ARENA_BASE, superblock } from "./superblock";
import { Table, tableErase, tableFind, tableInsert, tableMake } from "./table";
import { chainIsGone, chainIsLoose, Version, versionFree, versionPrune } from "./versions";

/** Chains that one write looks at beyond its own: what bounds the work that old versions can cause. */
export const PRUNE_CHAINS_PER_WRITE: u32 = 2;
/** Chains that the release of a snapshot looks at. */
export const PRUNE_CHAINS_PER_RELEASE: u32 = 64;

@unmanaged
export class Run {
  lock: u32;
  /** Rises each time the header is used for another incarnation; odd while it is in use. */
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
  /** Reserved: a run that branches off another at a version. */
  flags: u32;
  parent: usize;
  pad0: u32;
  parentVersion: u64;
}

const TABLES_OFFSET: usize = offsetof<Run>();
const ARENA_OFFSET: usize = TABLES_OFFSET + ((TABLE_COUNT as usize) << 2);
export const RUN_BYTES: u32 = ((ARENA_OFFSET + ARENA_BYTES + CACHE_LINE_BYTES - 1) & ~(CACHE_LINE_BYTES - 1)) as u32;

/** The arena of a run. */
export function runArena(run: Run): Arena {
  return changetype<Arena>(changetype<usize>(run) + ARENA_OFFSET);
}

/** The arena of run headers, the directory and transaction contexts. Guarded by the directory's lock. */
export function systemArena(): Arena {
  return changetype<Arena>(SYSTEM_ARENA_BASE);
}

/** A table of a run; null if nothing was ever put into it. */
export function runTable(run: Run, tag: u32): Table | null {
  const table = load<usize>(changetype<usize>(run) + TABLES_OFFSET + ((tag as usize) << 2));
  return table ? changetype<Table>(table) : null;
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
  return run.generation == generation;
}

/** The run of a name, or null. The directory's lock is held, or there is only one worker. */
export function runFind(name: usize, nameBytes: u32): Run | null {
  const sb = superblock();
  const directory = changetype<Table>(sb.directory);
  const entry = tableFind(directory, hashKey(name, nameBytes, sb.seed), name, nameBytes);
  return entry === null ? null : changetype<Run>(entry.head);
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
  sb.firstRun = aligned;
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
  const entry = entryMake(systemArena(), 0, hashKey(name, nameBytes, sb.seed), name, nameBytes);
  if (entry === null || !tableInsert(changetype<Table>(sb.directory), systemArena(), entry)) {
    if (entry !== null) entryFree(systemArena(), entry);
    run.nextFree = sb.freeRun;
    sb.freeRun = changetype<usize>(run);
    return null;
  }
  entry.head = changetype<usize>(run);
  run.entry = changetype<usize>(entry);
  run.generation++;
  sb.runsLive++;
  return run;
}

/** Takes a run that was never written to, and on which no transaction is open, out of the directory again. */
export function runForget(run: Run): void {
  assert(run.installed == 0 && run.transactions == 0 && run.unpublished == 0);
  const sb = superblock();
  const entry = changetype<Entry>(run.entry);
  tableErase(changetype<Table>(sb.directory), entry);
  entry.head = 0;
  entryFree(systemArena(), entry);
  arenaRelease(runArena(run));
  memory.fill(changetype<usize>(run) + TABLES_OFFSET, 0, (TABLE_COUNT as usize) << 2);
  run.entry = 0;
  run.visible = 0;
  run.live = 0;
  run.liveKv = 0;
  run.pruneFirst = 0;
  run.pruneLast = 0;
  run.pruneCount = 0;
  run.generation++;
  run.nextFree = sb.freeRun;
  sb.freeRun = changetype<usize>(run);
  sb.runsLive--;
}

/** Moves `visible` over a commit, with what it changed in the number of live entries. */
export function runPublish(run: Run, version: u64, liveChange: i32, liveKvChange: i32): void {
  assert(version > run.visible);
  run.visible = version;
  run.live += liveChange;
  run.liveKv += liveKvChange;
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

/** Prunes the chains of at most `chains` entries of the queue; those that stay loose go to its end. Under the run's lock. */
export function pruneStep(run: Run, chains: u32): void {
  if (run.pruneCount == 0) return;
  const horizon = publishedHorizon();
  raiseFloor(horizon);
  const arena = runArena(run);
  for (let left = min(chains, run.pruneCount); left > 0; left--) {
    const entry = changetype<Entry>(run.pruneFirst);
    run.pruneFirst = entry.pruneNext;
    if (run.pruneFirst == 0) run.pruneLast = 0;
    run.pruneCount--;
    entry.flags &= ~ENTRY_QUEUED;
    versionPrune(arena, entry, horizon);
    if (chainIsGone(entry, horizon)) entryRemove(run, entry);
    else pruneEnqueue(run, entry);
  }
}

/** Prunes the chain of an entry that was just written; what cannot go yet is remembered. Under the run's lock. */
export function pruneWritten(run: Run, entry: Entry, horizon: u64): void {
  if (entry.flags & ENTRY_QUEUED) return;
  versionPrune(runArena(run), entry, horizon);
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
  for (let tag: u32 = 0; tag < TABLE_COUNT; tag++) {
    const table = runTable(run, tag);
    if (table !== null && table.entries != 0) return;
  }
  arenaRelease(arena);
  memory.fill(changetype<usize>(run) + TABLES_OFFSET, 0, (TABLE_COUNT as usize) << 2);
}

/** Takes an entry that nobody can see a value of out of its table and frees it. It is not in the prune queue. */
export function entryRemove(run: Run, entry: Entry): void {
  const table = runTable(run, (entry.flags & 0xff) as u32);
  assert(table !== null && (entry.flags & ENTRY_QUEUED) == 0);
  if (table === null) return;
  tableErase(table, entry);
  if (entry.head) {
    versionFree(runArena(run), changetype<Version>(entry.head));
    entry.head = 0;
  }
  entryFree(runArena(run), entry);
}

/** Live entries of every run together. Each run counts its own, so that commits of different runs share no counter. */
export function liveEntriesOfAll(): u64 {
  let entries: u64 = 0;
  for (let at = superblock().firstRun; at; at = changetype<Run>(at).nextRun) entries += changetype<Run>(at).live as u64;
  return entries;
}

/** Commits of every run together. */
export function commitsOfAll(): u64 {
  let commits: u64 = 0;
  for (let at = superblock().firstRun; at; at = changetype<Run>(at).nextRun)
    commits += changetype<Run>(at).commits as u64;
  return commits;
}
