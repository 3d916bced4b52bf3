/**
 * The tables of a run. One of TABLE_INDEX_BASE or above is a table of groups: what stands before a key's first zero byte
 * names the group, and each group is a table by itself, whose entries hold their whole keys.
 *
 *   run.tables[tag] ── Table of entries                                    below TABLE_INDEX_BASE
 *   run.tables[tag] ── Table of groups ── Entry.head ── Table of entries   from there on
 *
 * What it keeps true: a group's table is there while it has an entry, those included that hold only a tombstone; its stamp
 * is of that group alone, so that transactions over different groups never conflict.
 */
import { TABLE_COUNT, TABLE_INDEX_BASE } from "./constants";
import { ENTRY_QUEUED, ENTRY_TABLE_MASK, Entry, entryFree, entryKey, entryMake } from "./entry";
import { hashKey } from "./hash";
import { within } from "./optimistic";
import { Run, runArena, runTable, runTableMake } from "./run";
import { superblock } from "./superblock";
import { Table, tableErase, tableFind, tableFree, tableInsert, tableMake } from "./table";
import { Version, versionFree } from "./versions";

/** Whether a tag is that of an index. */
export function isIndex(tag: u32): bool {
  return tag >= TABLE_INDEX_BASE;
}

/** The bytes of a key, or of a prefix of one, that name its group; all of them where it has no zero byte. */
export function groupBytes(key: usize, keyBytes: u32): u32 {
  let bytes: u32 = 0;
  while (bytes < keyBytes && load<u8>(key + (bytes as usize)) != 0) bytes++;
  return bytes;
}

function groupFind(groups: Table, group: usize, bytes: u32): Entry | null {
  return tableFind(groups, hashKey(group, bytes, superblock().seed), group, bytes);
}

/** The table of a group's entry. */
export function groupTable(group: Entry): Table {
  return changetype<Table>(within(group.head, offsetof<Table>() as u32));
}

/** The table that a key stands in or would stand in; null if that is not there. */
export function tableOf(run: Run, tag: u32, key: usize, keyBytes: u32): Table | null {
  const table = runTable(run, tag);
  if (table === null || !isIndex(tag)) return table;
  const group = groupFind(table, key, groupBytes(key, keyBytes));
  return group === null ? null : groupTable(group);
}

/** The same, made if it is not there; null if memory cannot grow. */
export function tableOfMake(run: Run, tag: u32, key: usize, keyBytes: u32): Table | null {
  const table = runTableMake(run, tag);
  if (table === null || !isIndex(tag)) return table;
  const bytes = groupBytes(key, keyBytes);
  const found = groupFind(table, key, bytes);
  if (found !== null) return groupTable(found);
  const arena = runArena(run);
  const inner = tableMake(arena);
  if (inner === null) return null;
  const group = entryMake(arena, tag, hashKey(key, bytes, superblock().seed), key, bytes);
  if (group !== null && tableInsert(table, arena, group)) {
    group.head = changetype<usize>(inner);
    return inner;
  }
  if (group !== null) entryFree(arena, group);
  tableFree(inner, arena);
  return null;
}

/** Lets go of the group of a key if nothing is left in it. */
export function groupTidy(run: Run, tag: u32, key: usize, keyBytes: u32): void {
  if (!isIndex(tag)) return;
  const table = runTable(run, tag);
  if (table === null) return;
  const group = groupFind(table, key, groupBytes(key, keyBytes));
  if (group === null || groupTable(group).entries != 0) return;
  tableErase(table, group);
  tableFree(groupTable(group), runArena(run));
  group.head = 0;
  entryFree(runArena(run), group);
}

/** Takes an entry that nobody can see a value of out of its table and frees it. It is not in the prune queue. */
export function entryRemove(run: Run, entry: Entry): void {
  const tag = (entry.flags & ENTRY_TABLE_MASK) as u32;
  const table = tableOf(run, tag, entryKey(entry), entry.keyBytes as u32);
  assert(table !== null && (entry.flags & ENTRY_QUEUED) == 0);
  if (table === null) return;
  tableErase(table, entry);
  if (table.entries == 0) groupTidy(run, tag, entryKey(entry), entry.keyBytes as u32);
  if (entry.head) {
    versionFree(runArena(run), changetype<Version>(entry.head));
    entry.head = 0;
  }
  entryFree(runArena(run), entry);
}

/** Whether no table of a run has an entry. */
export function tablesAreEmpty(run: Run): bool {
  for (let tag: u32 = 0; tag < TABLE_COUNT; tag++) {
    const table = runTable(run, tag);
    if (table !== null && table.entries != 0) return false;
  }
  return true;
}
