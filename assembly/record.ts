/**
 * The record: one whole commit, or a part of a checkpoint, and how its bytes are written, sealed and judged. docs/FORMAT.md is the specification.
 *
 *   header (48)   its own checksum, length, version, position, watermark, epoch, previous checksum, kind, mode, run bytes,
 *                 operations
 *   run id        run bytes
 *   operations    kind, table, key bytes, value bytes (8); key; value
 *   checksum (4)  over everything before it
 *
 * A committer writes the body; the drainer seals: position, watermark, epoch and the previous record's checksum are known
 * only in log order. Whoever reads checks everything that was written: nothing of a record is used before both of its
 * checksums hold and its lengths add up.
 */

import { checksum } from "./checksum";
import {
  KEY_BYTES_MAX,
  OPERATION_DELETE,
  OPERATION_DELETE_RUN,
  OPERATION_HEADER_BYTES,
  OPERATION_HELD,
  OPERATION_KEY_BYTES_OFFSET,
  OPERATION_KIND_OFFSET,
  OPERATION_PUT,
  OPERATION_TABLE_OFFSET,
  OPERATION_VALUE_BYTES_OFFSET,
  OPERATION_VERSION_BYTES,
  RECORD_BYTES_MAX,
  RECORD_COMMIT,
  RECORD_EPOCH_OFFSET,
  RECORD_HEADER_BYTES,
  RECORD_HEADER_CRC_OFFSET,
  RECORD_KIND_OFFSET,
  RECORD_LENGTH_OFFSET,
  RECORD_MODE_OFFSET,
  RECORD_OPERATIONS_OFFSET,
  RECORD_POSITION_OFFSET,
  RECORD_PREVIOUS_CRC_OFFSET,
  RECORD_RUN,
  RECORD_RUN_BYTES_OFFSET,
  RECORD_TRAILER_BYTES,
  RECORD_VERSION_OFFSET,
  RECORD_WATERMARK_OFFSET,
  RUN_ID_BYTES_MAX,
  STATUS_CORRUPTION,
  STATUS_MORE,
  STATUS_OK,
  TABLE_COUNT,
  VALUE_BYTES_MAX,
} from "./constants";
import { bytesCopy } from "./entry";

/** The bytes of a record beyond its operations. */
export function recordOverhead(runBytes: u32): u32 {
  return RECORD_HEADER_BYTES + runBytes + RECORD_TRAILER_BYTES;
}

/** The bytes of one operation. */
export function operationBytes(keyBytes: u32, valueBytes: u32): u32 {
  return OPERATION_HEADER_BYTES + keyBytes + valueBytes;
}

/** Writes what a committer knows of a header, and the run id; returns where the first operation goes. */
export function recordBegin(
  record: usize,
  length: u32,
  version: u64,
  kind: u32,
  mode: u32,
  name: usize,
  nameBytes: u32,
  operations: u32,
): usize {
  store<u32>(record + RECORD_LENGTH_OFFSET, length);
  store<u64>(record + RECORD_VERSION_OFFSET, version);
  store<u8>(record + RECORD_KIND_OFFSET, kind as u8);
  store<u8>(record + RECORD_MODE_OFFSET, mode as u8);
  store<u16>(record + RECORD_RUN_BYTES_OFFSET, nameBytes as u16);
  store<u32>(record + RECORD_OPERATIONS_OFFSET, operations);
  const body = record + (RECORD_HEADER_BYTES as usize);
  bytesCopy(body, name, nameBytes);
  return body + nameBytes;
}

/** Writes one operation; returns where the next one goes. */
export function operationWrite(
  at: usize,
  kind: u32,
  tag: u32,
  key: usize,
  keyBytes: u32,
  value: usize,
  valueBytes: u32,
): usize {
  store<u8>(at + OPERATION_KIND_OFFSET, kind as u8);
  store<u8>(at + OPERATION_TABLE_OFFSET, tag as u8);
  store<u16>(at + OPERATION_KEY_BYTES_OFFSET, keyBytes as u16);
  store<u32>(at + OPERATION_VALUE_BYTES_OFFSET, valueBytes);
  const body = at + (OPERATION_HEADER_BYTES as usize);
  bytesCopy(body, key, keyBytes);
  bytesCopy(body + keyBytes, value, valueBytes);
  return body + keyBytes + valueBytes;
}

/** The bytes of one entry in a checkpoint. */
export function heldBytes(keyBytes: u32, valueBytes: u32): u32 {
  return operationBytes(keyBytes, valueBytes) + OPERATION_VERSION_BYTES;
}

/** Writes one entry of a checkpoint but for its value, which stands behind the key. */
export function heldWrite(at: usize, tag: u32, version: u64, key: usize, keyBytes: u32, valueBytes: u32): void {
  operationWrite(at, OPERATION_HELD, tag, 0, 0, 0, 0);
  store<u16>(at + OPERATION_KEY_BYTES_OFFSET, keyBytes as u16);
  store<u32>(at + OPERATION_VALUE_BYTES_OFFSET, valueBytes);
  store<u64>(at + OPERATION_HEADER_BYTES, version);
  bytesCopy(at + ((OPERATION_HEADER_BYTES + OPERATION_VERSION_BYTES) as usize), key, keyBytes);
}

/** Completes a record for its place in the log; returns its checksum, which the next record carries. */
export function recordSeal(record: usize, position: u64, watermark: u64, epoch: u32, previousCrc: u32): u32 {
  store<u64>(record + RECORD_POSITION_OFFSET, position);
  store<u64>(record + RECORD_WATERMARK_OFFSET, watermark);
  store<u32>(record + RECORD_EPOCH_OFFSET, epoch);
  store<u32>(record + RECORD_PREVIOUS_CRC_OFFSET, previousCrc);
  const covered = record + RECORD_LENGTH_OFFSET;
  store<u32>(record + RECORD_HEADER_CRC_OFFSET, checksum(covered, RECORD_HEADER_BYTES - RECORD_LENGTH_OFFSET));
  const length = load<u32>(record + RECORD_LENGTH_OFFSET) - RECORD_TRAILER_BYTES;
  const crc = checksum(record, length);
  store<u32>(record + length, crc);
  return crc;
}

/** The checksum that stands at the end of a sealed record. */
export function recordCrc(record: usize): u32 {
  return load<u32>(record + load<u32>(record + RECORD_LENGTH_OFFSET) - RECORD_TRAILER_BYTES);
}

/**
 * Whether the header of a record at `record`, of which 48 bytes are there, is whole and possible. Records with a run are of
 * kind `withRun`, those without of the next: RECORD_COMMIT in a log, RECORD_RUN in a checkpoint.
 */
export function headerIsSound(record: usize, withRun: u32): bool {
  const covered = record + RECORD_LENGTH_OFFSET;
  const expected = load<u32>(record + RECORD_HEADER_CRC_OFFSET);
  if (checksum(covered, RECORD_HEADER_BYTES - RECORD_LENGTH_OFFSET) != expected) return false;
  const length = load<u32>(record + RECORD_LENGTH_OFFSET);
  const kind = load<u8>(record + RECORD_KIND_OFFSET) as u32;
  const runBytes = load<u16>(record + RECORD_RUN_BYTES_OFFSET) as u32;
  if (length > RECORD_BYTES_MAX || length < recordOverhead(runBytes)) return false;
  if (kind == withRun) return runBytes > 0 && runBytes <= RUN_ID_BYTES_MAX;
  return kind == withRun + 1 && runBytes == 0 && length == recordOverhead(0);
}

/** Whether the deletion of a run stands alone in a commit's record, without table, key and value. */
function deletionIsSound(record: usize, operation: usize, left: u32): bool {
  return (
    left == OPERATION_HEADER_BYTES &&
    load<u32>(record + RECORD_OPERATIONS_OFFSET) == 1 &&
    (load<u8>(record + RECORD_KIND_OFFSET) as u32) == RECORD_COMMIT &&
    load<u8>(operation + OPERATION_TABLE_OFFSET) == 0 &&
    load<u16>(operation + OPERATION_KEY_BYTES_OFFSET) == 0 &&
    load<u32>(operation + OPERATION_VALUE_BYTES_OFFSET) == 0
  );
}

/** The bytes of an operation of the log beyond its key and value, or 0 if there is no such operation. */
function logOperation(kind: u32, valueBytes: u32): u32 {
  if (kind == OPERATION_PUT || (kind == OPERATION_DELETE && valueBytes == 0)) return OPERATION_HEADER_BYTES;
  return 0;
}

/** The same of a checkpoint. */
function heldOperation(kind: u32): u32 {
  return kind == OPERATION_HELD ? OPERATION_HEADER_BYTES + OPERATION_VERSION_BYTES : 0;
}

/** Whether the operations of a record fill it exactly and each is within the limits. Its checksums hold. */
function operationsAreSound(record: usize): bool {
  const runBytes = load<u16>(record + RECORD_RUN_BYTES_OFFSET) as u32;
  const recordKind = load<u8>(record + RECORD_KIND_OFFSET) as u32;
  const end = load<u32>(record + RECORD_LENGTH_OFFSET) - RECORD_TRAILER_BYTES;
  let at = RECORD_HEADER_BYTES + runBytes;
  let operations: u32 = 0;
  while (at < end) {
    if (end - at < OPERATION_HEADER_BYTES) return false;
    const operation = record + at;
    const kind = load<u8>(operation + OPERATION_KIND_OFFSET) as u32;
    const keyBytes = load<u16>(operation + OPERATION_KEY_BYTES_OFFSET) as u32;
    const valueBytes = load<u32>(operation + OPERATION_VALUE_BYTES_OFFSET);
    if (kind == OPERATION_DELETE_RUN) return deletionIsSound(record, operation, end - at);
    if (keyBytes == 0 || keyBytes > KEY_BYTES_MAX || valueBytes > VALUE_BYTES_MAX) return false;
    if ((load<u8>(operation + OPERATION_TABLE_OFFSET) as u32) >= TABLE_COUNT) return false;
    const header = recordKind == RECORD_RUN ? heldOperation(kind) : logOperation(kind, valueBytes);
    if (header == 0 || end - at < header + keyBytes + valueBytes) return false;
    at += header + keyBytes + valueBytes;
    operations++;
  }
  if (operations != load<u32>(record + RECORD_OPERATIONS_OFFSET)) return false;
  // A run can be there with nothing in it; a commit changes something; the others have no operations.
  return recordKind == RECORD_RUN || (operations != 0) == (recordKind == RECORD_COMMIT);
}

/**
 * Judges the record at `record`, of which `available` bytes are there. It must stand at `position` and be of `epoch`, and of
 * kind `withRun` or the next. STATUS_OK, STATUS_MORE where the bytes end before the record does, or STATUS_CORRUPTION. The chain is not looked at.
 */
export function recordJudge(record: usize, available: u32, position: u64, epoch: u32, withRun: u32): u32 {
  if (available < RECORD_HEADER_BYTES) return STATUS_MORE;
  if (load<u64>(record + RECORD_POSITION_OFFSET) != position) return STATUS_CORRUPTION;
  if (load<u32>(record + RECORD_EPOCH_OFFSET) != epoch) return STATUS_CORRUPTION;
  if (!headerIsSound(record, withRun)) return STATUS_CORRUPTION;
  const length = load<u32>(record + RECORD_LENGTH_OFFSET);
  if (available < length) return STATUS_MORE;
  const crc = checksum(record, length - RECORD_TRAILER_BYTES);
  if (crc != recordCrc(record) || !operationsAreSound(record)) return STATUS_CORRUPTION;
  return STATUS_OK;
}
