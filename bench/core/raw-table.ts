// biome-ignore-all lint/suspicious/noDoubleEquals: AssemblyScript, where it compares numbers.
// biome-ignore-all lint/style/useImportType: AssemblyScript, which has no such imports.
// biome-ignore-all lint/style/useConst: as the core is written.
/**
 * The core with two ways more to put: into its bare table (A0), and through its own `put` with bytes that stand ready (A1).
 * Compiled by the benchmark alone, with the flags of the release.
 *
 *   operation, OPERATION_BYTES   0  keyBytes   4  valueBytes   8  key, 16 bytes   24  value, 16 bytes
 *
 * What it keeps true: both are called once for each operation and read it from the same place. The bare table makes an entry
 * and a record for a new key and writes over the record of a known one, in place where the block allows it: no versions, no
 * lock, no publication, nothing to prune.
 */
import { arenaFree, blockBytes, EXTENT_HEADER_BYTES, extentAllocate, orderFor } from "../../assembly/arena";
import { TABLE_KV } from "../../assembly/constants";
import { bytesCopy, entryMake } from "../../assembly/entry";
import { hashKey } from "../../assembly/hash";
import { put } from "../../assembly/index";
import { Run, runArena } from "../../assembly/run";
import { scratchKey, scratchValue } from "../../assembly/scratch";
import { superblock } from "../../assembly/superblock";
import { Table, tableFind, tableInsert, tableMake } from "../../assembly/table";
import { Version, versionBytes, versionMake, versionValue } from "../../assembly/versions";

export * from "../../assembly/index";

const KEY_OFFSET: usize = 8;
const VALUE_OFFSET: usize = 24;

/** Memory for operations; 0 if there is none. */
export function benchArea(bytes: u32): usize {
  const extent = extentAllocate(orderFor(bytes), 0);
  return extent == 0 ? 0 : extent + EXTENT_HEADER_BYTES;
}

/** A table in the memory of a run, of which the run knows nothing; 0 if there is no memory. */
export function benchTableMake(run: usize): usize {
  const table = tableMake(runArena(changetype<Run>(run)));
  return table === null ? 0 : changetype<usize>(table);
}

/** Whether a value of `valueBytes` takes a block like that of a record. */
function fits(record: Version, valueBytes: u32): bool {
  return record.length == valueBytes || blockBytes(versionBytes(record.length)) == blockBytes(versionBytes(valueBytes));
}

/** Puts an operation's value under its key; 1, or 0 if there is no memory. */
export function benchTablePut(run: usize, tablePointer: usize, operation: usize): u32 {
  const table = changetype<Table>(tablePointer);
  const arena = runArena(changetype<Run>(run));
  const keyBytes = load<u32>(operation);
  const valueBytes = load<u32>(operation, 4);
  const key = operation + KEY_OFFSET;
  const hash = hashKey(key, keyBytes, superblock().seed);
  let entry = tableFind(table, hash, key, keyBytes);
  if (entry === null) {
    entry = entryMake(arena, TABLE_KV, hash, key, keyBytes);
    if (entry === null || !tableInsert(table, arena, entry)) return 0;
  }
  let record = changetype<Version>(entry.head);
  if (entry.head == 0 || !fits(record, valueBytes)) {
    const made = versionMake(arena, valueBytes);
    if (made === null) return 0;
    if (entry.head) arenaFree(arena, entry.head, versionBytes(record.length));
    entry.head = changetype<usize>(made);
    record = made;
  }
  record.length = valueBytes;
  bytesCopy(versionValue(record), operation + VALUE_OFFSET, valueBytes);
  return 1;
}

/** The record that stands under an operation's key in a bare table; 0 if there is none. */
export function benchTableGet(tablePointer: usize, operation: usize): usize {
  const keyBytes = load<u32>(operation);
  const key = operation + KEY_OFFSET;
  const entry = tableFind(changetype<Table>(tablePointer), hashKey(key, keyBytes, superblock().seed), key, keyBytes);
  return entry === null ? 0 : entry.head;
}

/** The engine's own put of an operation, from the scratch that a host would have filled. */
export function benchEnginePut(run: usize, generation: u32, operation: usize): f64 {
  const keyBytes = load<u32>(operation);
  const valueBytes = load<u32>(operation, 4);
  bytesCopy(scratchKey(), operation + KEY_OFFSET, keyBytes);
  bytesCopy(scratchValue(), operation + VALUE_OFFSET, valueBytes);
  return put(run, generation, TABLE_KV, keyBytes, valueBytes, 0, -1);
}
