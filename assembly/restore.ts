/**
 * Restoring: a checkpoint in the place of the log that it was made of.
 *
 * The host hands the bytes in piece by piece, as it does with a log. Records continue a checkpoint as they continue a
 * segment: position, epoch and chain. Each entry comes with the version that it has, and once only.
 */
import {
  OPERATION_HEADER_BYTES,
  OPERATION_KEY_BYTES_OFFSET,
  OPERATION_TABLE_OFFSET,
  OPERATION_VALUE_BYTES_OFFSET,
  OPERATION_VERSION_BYTES,
  RECORD_END,
  RECORD_HEADER_BYTES,
  RECORD_KIND_OFFSET,
  RECORD_LENGTH_OFFSET,
  RECORD_OPERATIONS_OFFSET,
  RECORD_PREVIOUS_CRC_OFFSET,
  RECORD_RUN,
  RECORD_RUN_BYTES_OFFSET,
  RECORD_VERSION_OFFSET,
  STATUS_CORRUPTION,
  STATUS_DAMAGED,
  STATUS_OK,
  STATUS_STORE_FULL,
} from "./constants";
import { bytesCopy, entryFree, entryMake } from "./entry";
import { hashKey } from "./hash";
import { heldBytes, recordCrc, recordJudge } from "./record";
import { countLive, isLeftOut } from "./recovery";
import { Run, runAppear, runArena, runMake } from "./run";
import { tableOfMake } from "./run-tables";
import { Superblock, superblock } from "./superblock";
import { tableFind, tableInsert } from "./table";
import { versionFree, versionInstall, versionMake, versionValue } from "./versions";

const SHARED: bool = ASC_FEATURE_THREADS;

/** Puts one entry that was held where it belongs; a status. */
function restoreEntry(sb: Superblock, run: Run, operation: usize): u32 {
  const tag = load<u8>(operation + OPERATION_TABLE_OFFSET) as u32;
  const keyBytes = load<u16>(operation + OPERATION_KEY_BYTES_OFFSET) as u32;
  const valueBytes = load<u32>(operation + OPERATION_VALUE_BYTES_OFFSET);
  const version = load<u64>(operation + OPERATION_HEADER_BYTES);
  if (version == 0 || version > run.visible) return STATUS_DAMAGED;
  const key = operation + ((OPERATION_HEADER_BYTES + OPERATION_VERSION_BYTES) as usize);
  const table = tableOfMake(run, tag, key, keyBytes);
  if (table === null) return STATUS_STORE_FULL;
  const hash = hashKey(key, keyBytes, sb.seed);
  if (tableFind(table, hash, key, keyBytes) !== null) return STATUS_DAMAGED;
  const arena = runArena(run);
  const record = versionMake(arena, valueBytes);
  if (record === null) return STATUS_STORE_FULL;
  const entry = entryMake(arena, tag, hash, key, keyBytes);
  if (entry === null || !tableInsert(table, arena, entry)) {
    if (entry !== null) entryFree(arena, entry);
    versionFree(arena, record);
    return STATUS_STORE_FULL;
  }
  bytesCopy(versionValue(record), key + keyBytes, valueBytes);
  versionInstall(entry, record, version);
  table.stamp = max(table.stamp, version);
  countLive(run, tag, 1);
  return STATUS_OK;
}

/** Restores the entries of one record; a status. Every record of a run names the same version of it. */
function restoreRun(sb: Superblock, record: usize, version: u64): u32 {
  const runBytes = load<u16>(record + RECORD_RUN_BYTES_OFFSET) as u32;
  const runVersion = load<u64>(record + RECORD_VERSION_OFFSET);
  if (runVersion == 0 || runVersion > version) return STATUS_DAMAGED;
  const name = record + (RECORD_HEADER_BYTES as usize);
  if (SHARED && isLeftOut(sb, name, runBytes)) return STATUS_OK;
  const run = runMake(name, runBytes);
  if (run === null) return STATUS_STORE_FULL;
  if (run.visible == 0) {
    run.installed = runVersion;
    runAppear(run, runVersion);
  } else if (run.visible != runVersion) {
    return STATUS_DAMAGED;
  }
  return restoreEntries(sb, run, record, runBytes);
}

/** Puts the entries of one record, behind a name of so many bytes, where they belong; a status. */
export function restoreEntries(sb: Superblock, run: Run, record: usize, runBytes: u32): u32 {
  let at = record + (RECORD_HEADER_BYTES as usize) + (runBytes as usize);
  for (let left = load<u32>(record + RECORD_OPERATIONS_OFFSET); left > 0; left--) {
    const status = restoreEntry(sb, run, at);
    if (status != STATUS_OK) return status;
    at += heldBytes(load<u16>(at + OPERATION_KEY_BYTES_OFFSET), load<u32>(at + OPERATION_VALUE_BYTES_OFFSET));
  }
  return STATUS_OK;
}

/**
 * Restores the records at `bytes` of a checkpoint of `version`; returns how many bytes of whole records were taken. Why it
 * stopped stands at `status`, and the last record's kind behind it: nothing comes after RECORD_END.
 */
export function restoreRecords(bytes: usize, length: u32, version: u64, status: usize): u32 {
  const sb = superblock();
  let taken: u32 = 0;
  let judged = STATUS_OK;
  let kind: u32 = 0;
  while (taken < length && kind != RECORD_END) {
    const record = bytes + (taken as usize);
    judged = recordJudge(record, length - taken, sb.logPosition, sb.logEpoch, RECORD_RUN);
    if (judged == STATUS_OK && load<u32>(record + RECORD_PREVIOUS_CRC_OFFSET) != sb.logChain)
      judged = STATUS_CORRUPTION;
    if (judged != STATUS_OK) break;
    kind = load<u8>(record + RECORD_KIND_OFFSET) as u32;
    if (kind == RECORD_RUN) judged = restoreRun(sb, record, version);
    else if (load<u64>(record + RECORD_VERSION_OFFSET) != version) judged = STATUS_DAMAGED;
    if (judged != STATUS_OK) break;
    const recordLength = load<u32>(record + RECORD_LENGTH_OFFSET);
    sb.logChain = recordCrc(record);
    sb.logPosition += recordLength as u64;
    taken += recordLength;
  }
  store<u32>(status, judged);
  store<u32>(status, kind, 4);
  return taken;
}

/**
 * What a checkpoint says of the log behind it, once it is restored whole: its version, the highest that was given, the
 * highest that the log before it held, and how many commits there were.
 */
export function restoreEnd(version: u64, given: u64, written: u64, commits: u64): void {
  const sb = superblock();
  sb.restoredVersion = version;
  sb.version = max(version, given);
  sb.logWrittenVersion = written;
  sb.commitsForgotten = commits;
}
