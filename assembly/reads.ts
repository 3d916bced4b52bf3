/**
 * Reading one key: of the newest published state, or at a version that is held.
 *
 * Without the run's lock (optimistic.ts) it is tried READS_MAX times; if somebody comes between each time, the lock is taken
 * for one look. That excludes writers, and nobody else's reads without the lock.
 *
 * What a held version sees stays where it is, so that a record that was found for it is good for as long as it is held. What
 * is the newest may be gone in the next moment: between workers it is copied before the second look.
 */
import {
  KEY_BYTES_MAX,
  STATUS_BUSY_LOCK,
  STATUS_LARGE,
  STATUS_POISONED,
  STATUS_RUN_STALE,
  VERSION_HEADER_BYTES,
} from "./constants";
import { bytesCopy, Entry } from "./entry";
import { READS_MAX, readAbandon, readBegin, readHolds, within } from "./optimistic";
import { readsByLock } from "./read-lock";
import { Run, runIs, runIsLost, runLock, runReadLock, runReadUnlock, runSequence, runUnlock, runVisible } from "./run";
import { tableOf, tableOfMake } from "./run-tables";
import { scratchValue } from "./scratch";
import { Table, tableFind } from "./table";
import { Version, valueAt } from "./versions";

const SHARED: bool = ASC_FEATURE_THREADS;
/** The largest value that is copied; the value scratch has room for it at any time. */
const COPIED_BYTES_MAX: u32 = 32768;

// What the last read has found: each instance's own.
let tableFound: usize = 0;
let entryFound: usize = 0;
let versionFound: usize = 0;

/** The entry of a key in a run, or null. */
export function findEntry(run: Run, tag: u32, hash: u32, key: usize, keyBytes: u32): Entry | null {
  assert(keyBytes <= KEY_BYTES_MAX);
  const table = tableOf(run, tag, key, keyBytes);
  tableFound = changetype<usize>(table);
  return table === null ? null : tableFind(table, hash, key, keyBytes);
}

/** The table that the last findEntry has looked in, or that was made then. Under the run's lock. */
export function foundTable(): Table {
  return changetype<Table>(tableFound);
}

/** The same, made if it was not there; null if memory cannot grow. */
export function foundTableMake(run: Run, tag: u32, key: usize, keyBytes: u32): Table | null {
  if (tableFound == 0) tableFound = changetype<usize>(tableOfMake(run, tag, key, keyBytes));
  return changetype<Table | null>(tableFound);
}

/** The entry that the last readHeld has come upon, or null. */
export function foundEntry(): Entry | null {
  return entryFound ? changetype<Entry>(entryFound) : null;
}

/** The value that it has found, or null. */
export function foundVersion(): Version | null {
  return versionFound ? changetype<Version>(versionFound) : null;
}

/** The value of a key at a version, or null. Under the run's lock, or where there is only one worker. */
export function readAt(run: Run, tag: u32, hash: u32, key: usize, keyBytes: u32, at: u64): Version | null {
  const entry = findEntry(run, tag, hash, key, keyBytes);
  return entry === null ? null : valueAt(entry, at);
}

function find(run: Run, tag: u32, hash: u32, key: usize, keyBytes: u32, at: u64): void {
  const entry = findEntry(run, tag, hash, key, keyBytes);
  const version: Version | null = entry === null ? null : valueAt(entry, at);
  entryFound = changetype<usize>(entry);
  versionFound = changetype<usize>(version);
}

/** Finds a key at a version that is held; false if the lock could not be had. */
export function readHeld(run: Run, tag: u32, hash: u32, key: usize, keyBytes: u32, at: u64): bool {
  if (!SHARED) {
    find(run, tag, hash, key, keyBytes, at);
    return true;
  }
  if (readsByLock()) {
    if (!runReadLock(run)) return false;
    find(run, tag, hash, key, keyBytes, at);
    runReadUnlock(run);
    return true;
  }
  for (let attempt: u32 = 0; attempt < READS_MAX && readBegin(runSequence(run)); attempt++) {
    find(run, tag, hash, key, keyBytes, at);
    if (readHolds()) return true;
  }
  readAbandon();
  if (!runLock(run)) return false;
  find(run, tag, hash, key, keyBytes, at);
  runUnlock(run);
  return true;
}

/** The newest published value of a key as a version record, 0 if there is none; or a status. */
export function readLatest(run: Run, generation: u32, tag: u32, hash: u32, key: usize, keyBytes: u32): usize {
  if (!SHARED) {
    if (!runIs(run, generation)) return STATUS_RUN_STALE as usize;
    return changetype<usize>(readAt(run, tag, hash, key, keyBytes, run.visible));
  }
  if (readsByLock()) {
    if (!runReadLock(run)) return STATUS_BUSY_LOCK as usize;
    const result = copyLatest(run, generation, tag, hash, key, keyBytes);
    runReadUnlock(run);
    return result;
  }
  for (let attempt: u32 = 0; attempt < READS_MAX && readBegin(runSequence(run)); attempt++) {
    const result = copyLatest(run, generation, tag, hash, key, keyBytes);
    if (readHolds()) return result;
  }
  readAbandon();
  if (!runLock(run)) return STATUS_BUSY_LOCK as usize;
  const result = copyLatest(run, generation, tag, hash, key, keyBytes);
  runUnlock(run);
  return result;
}

function copyLatest(run: Run, generation: u32, tag: u32, hash: u32, key: usize, keyBytes: u32): usize {
  // A run that is poisoned while somebody waits for whoever died in it is not one that is gone.
  if (!runIs(run, generation)) return (runIsLost(run) ? STATUS_POISONED : STATUS_RUN_STALE) as usize;
  find(run, tag, hash, key, keyBytes, runVisible(run));
  if (versionFound == 0) return 0;
  const length = changetype<Version>(versionFound).length;
  if (length > COPIED_BYTES_MAX) return STATUS_LARGE as usize;
  const copy = scratchValue();
  const bytes = VERSION_HEADER_BYTES + length;
  const from = within(versionFound, bytes);
  if (from != 0) bytesCopy(copy, from, bytes);
  return copy;
}
