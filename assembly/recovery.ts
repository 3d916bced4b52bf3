/**
 * Recovery: the log in place of the caller.
 *
 * The host reads a segment piece by piece and hands the bytes in; whole records that continue the log are applied, in
 * order, straight to the tables. What stands in the superblock between the pieces: the position of the next record, the
 * checksum that it must carry, the epoch that it must be of, the highest watermark and the highest version so far.
 *
 * A record continues the log if both of its checksums hold, it stands at its position, is of its segment's epoch, carries
 * the previous record's checksum, rises in version, and claims no watermark beyond itself. Where one does not, nothing
 * behind it is applied; whether that is a torn tail or damage is for the watermarks to say, also those of whole records
 * further on: they prove what had been synced by then.
 */
import {
  MODE_STRICT,
  OPERATION_DELETE,
  OPERATION_DELETE_RUN,
  OPERATION_HEADER_BYTES,
  OPERATION_KEY_BYTES_OFFSET,
  OPERATION_KIND_OFFSET,
  OPERATION_TABLE_OFFSET,
  OPERATION_VALUE_BYTES_OFFSET,
  RECORD_COMMIT,
  RECORD_EPOCH_OFFSET,
  RECORD_HEADER_BYTES,
  RECORD_KIND_OFFSET,
  RECORD_LENGTH_OFFSET,
  RECORD_MODE_OFFSET,
  RECORD_OPERATIONS_OFFSET,
  RECORD_POSITION_OFFSET,
  RECORD_PREVIOUS_CRC_OFFSET,
  RECORD_RUN_BYTES_OFFSET,
  RECORD_VERSION_OFFSET,
  RECORD_WATERMARK_OFFSET,
  STATUS_CORRUPTION,
  STATUS_DAMAGED,
  STATUS_OK,
  STATUS_STORE_FULL,
  TABLE_KV,
  VERSION_MAX,
} from "./constants";
import { bytesCopy, bytesEqual, Entry, entryFree, entryKey, entryMake } from "./entry";
import { hashKey } from "./hash";
import { headerIsSound, operationBytes, recordCrc, recordJudge, recordSeal } from "./record";
import { Run, runArena, runDrop, runFind, runMake, runPublish } from "./run";
import { entryRemove, isIndex, tableOfMake } from "./run-tables";
import { Superblock, superblock } from "./superblock";
import { tableFind, tableInsert } from "./table";
import { Version, versionFree, versionInstall, versionMake, versionValue } from "./versions";

const SHARED: bool = ASC_FEATURE_THREADS;

/** Whether a whole record continues the log at the place that the superblock names. */
function continues(sb: Superblock, record: usize): bool {
  if (load<u32>(record + RECORD_PREVIOUS_CRC_OFFSET) != sb.logChain) return false;
  if (load<u64>(record + RECORD_WATERMARK_OFFSET) > sb.logPosition) return false;
  const version = load<u64>(record + RECORD_VERSION_OFFSET);
  if (version > VERSION_MAX) return false;
  const commit = (load<u8>(record + RECORD_KIND_OFFSET) as u32) == RECORD_COMMIT;
  if (commit && (load<u8>(record + RECORD_MODE_OFFSET) as u32) > MODE_STRICT) return false;
  return commit ? version > sb.logWrittenVersion : version >= sb.logWrittenVersion;
}

/** Applies one operation of a record; a status. */
function applyOperation(sb: Superblock, run: Run, version: u64, operation: usize): u32 {
  const tag = load<u8>(operation + OPERATION_TABLE_OFFSET) as u32;
  const keyBytes = load<u16>(operation + OPERATION_KEY_BYTES_OFFSET) as u32;
  const valueBytes = load<u32>(operation + OPERATION_VALUE_BYTES_OFFSET);
  const key = operation + (OPERATION_HEADER_BYTES as usize);
  const arena = runArena(run);
  const table = tableOfMake(run, tag, key, keyBytes);
  if (table === null) return STATUS_STORE_FULL;
  const hash = hashKey(key, keyBytes, sb.seed);
  let entry = tableFind(table, hash, key, keyBytes);
  if ((load<u8>(operation + OPERATION_KIND_OFFSET) as u32) == OPERATION_DELETE) {
    // What a log deletes was there: only a commit that changes something is written.
    if (entry === null) return STATUS_DAMAGED;
    table.stamp = version;
    entryRemove(run, entry);
    countLive(run, tag, -1);
    return STATUS_OK;
  }
  const record = versionMake(arena, valueBytes);
  if (record === null) return STATUS_STORE_FULL;
  bytesCopy(versionValue(record), key + keyBytes, valueBytes);
  if (entry === null) {
    entry = entryMake(arena, tag, hash, key, keyBytes);
    if (entry === null || !tableInsert(table, arena, entry)) {
      if (entry !== null) entryFree(arena, entry);
      versionFree(arena, record);
      return STATUS_STORE_FULL;
    }
    table.stamp = version;
    countLive(run, tag, 1);
  } else {
    // Nobody has held a snapshot yet: the older value goes at once.
    versionFree(arena, changetype<Version>(entry.head));
    entry.head = 0;
  }
  versionInstall(entry, record, version);
  return STATUS_OK;
}

/** Counts entries that appear or go where nobody reads. */
export function countLive(run: Run, tag: u32, change: i32): void {
  if (isIndex(tag)) return;
  run.live += change;
  if (tag == TABLE_KV) run.liveKv += change;
}

/** Deletes a run as a whole; a status. What a log deletes was there. */
function applyDeletion(name: usize, nameBytes: u32, version: u64): u32 {
  const run = runFind(name, nameBytes);
  if (run === null) return STATUS_DAMAGED;
  run.commits++;
  runDrop(run, version);
  return STATUS_OK;
}

/** Whether the log is read back for one run alone, and a record is of another. */
export function isLeftOut(sb: Superblock, name: usize, nameBytes: u32): bool {
  if (sb.onlyRun == 0) return false;
  const only = changetype<Entry>(sb.onlyRun);
  return (only.keyBytes as u32) != nameBytes || !bytesEqual(entryKey(only), name, nameBytes);
}

/** Applies the operations of a whole record; a status. A key stands at most once in a record. */
function apply(sb: Superblock, record: usize): u32 {
  const runBytes = load<u16>(record + RECORD_RUN_BYTES_OFFSET) as u32;
  const version = load<u64>(record + RECORD_VERSION_OFFSET);
  const name = record + (RECORD_HEADER_BYTES as usize);
  if (SHARED && isLeftOut(sb, name, runBytes)) return STATUS_OK;
  let at = name + (runBytes as usize);
  if ((load<u8>(at + OPERATION_KIND_OFFSET) as u32) == OPERATION_DELETE_RUN)
    return applyDeletion(name, runBytes, version);
  const run = runMake(name, runBytes);
  if (run === null) return STATUS_STORE_FULL;
  for (let left = load<u32>(record + RECORD_OPERATIONS_OFFSET); left > 0; left--) {
    const status = applyOperation(sb, run, version, at);
    if (status != STATUS_OK) return status;
    at += operationBytes(load<u16>(at + OPERATION_KEY_BYTES_OFFSET), load<u32>(at + OPERATION_VALUE_BYTES_OFFSET));
  }
  run.installed = version;
  runPublish(run, version, 0, 0);
  run.commits++;
  return STATUS_OK;
}

/**
 * Applies the records at `bytes`; returns how many bytes of whole records were taken. Why it stopped stands at `status`:
 * STATUS_OK at the end of the bytes, STATUS_MORE inside a record, STATUS_CORRUPTION at one that does not continue the
 * log, STATUS_DAMAGED, STATUS_STORE_FULL. The last record's kind and mode stand behind it.
 */
export function recoverRecords(bytes: usize, length: u32, status: usize): u32 {
  const sb = superblock();
  let taken: u32 = 0;
  let judged = STATUS_OK;
  while (taken < length) {
    const record = bytes + (taken as usize);
    judged = recordJudge(record, length - taken, sb.logPosition, sb.logEpoch, RECORD_COMMIT);
    if (judged == STATUS_OK && !continues(sb, record)) judged = STATUS_CORRUPTION;
    if (judged != STATUS_OK) break;
    const kind = load<u8>(record + RECORD_KIND_OFFSET) as u32;
    // What was there when the checkpoint was made is in it, or was gone again.
    const isHeld = load<u64>(record + RECORD_VERSION_OFFSET) <= sb.restoredVersion;
    if (kind == RECORD_COMMIT && !isHeld) judged = apply(sb, record);
    if (judged != STATUS_OK) break;
    const recordLength = load<u32>(record + RECORD_LENGTH_OFFSET);
    sb.logWrittenVersion = load<u64>(record + RECORD_VERSION_OFFSET);
    sb.version = max(sb.version, sb.logWrittenVersion);
    sb.logWatermark = max(sb.logWatermark, load<u64>(record + RECORD_WATERMARK_OFFSET));
    sb.logChain = recordCrc(record);
    sb.logPosition += recordLength as u64;
    taken += recordLength;
    store<u32>(status, kind, 4);
    store<u32>(status, load<u8>(record + RECORD_MODE_OFFSET), 8);
  }
  store<u32>(status, judged);
  return taken;
}

/**
 * The highest watermark that a whole record header anywhere in `bytes` carries, or 0. The first byte stands at log position
 * `position`; a header counts if it says that it stands where it does, is of the segment's epoch, and its checksum holds.
 */
export function recoverWatermark(bytes: usize, length: u32, position: u64): u64 {
  const epoch = superblock().logEpoch;
  let watermark: u64 = 0;
  for (let i: u32 = 0; i + RECORD_HEADER_BYTES <= length; i++) {
    const record = bytes + (i as usize);
    const at = position + (i as u64);
    if (load<u64>(record + RECORD_POSITION_OFFSET) != at || load<u32>(record + RECORD_EPOCH_OFFSET) != epoch) continue;
    const claimed = load<u64>(record + RECORD_WATERMARK_OFFSET);
    if (claimed <= at && headerIsSound(record, RECORD_COMMIT)) watermark = max(watermark, claimed);
  }
  return watermark;
}

/**
 * Seals the records at `bytes`, which end with the bytes and are of `epoch`, anew for the epoch and chain that the
 * superblock names, and moves those on; a status. Their positions stay.
 */
export function recoverReseal(bytes: usize, length: u32, epoch: u32): u32 {
  const sb = superblock();
  for (let at: u32 = 0; at < length; ) {
    const record = bytes + (at as usize);
    if (recordJudge(record, length - at, sb.logPosition, epoch, RECORD_COMMIT) != STATUS_OK) return STATUS_DAMAGED;
    sb.logChain = recordSeal(record, sb.logPosition, sb.logWatermark, sb.logEpoch, sb.logChain);
    const recordLength = load<u32>(record + RECORD_LENGTH_OFFSET);
    sb.logPosition += recordLength as u64;
    at += recordLength;
  }
  return STATUS_OK;
}
