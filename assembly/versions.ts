/**
 * Version chains: what a key was at each version that somebody may still ask for, newest first.
 *
 *   0  number    the version of the commit that wrote it
 *   8  previous  the next older record
 *  12  length    bytes of the value, or TOMBSTONE
 *  16  the value
 *
 * Numbers fall strictly along a chain. A record is never overwritten in place. What is not published is taken out by undoing
 * alone; of what is, a record stays while it is the newest or a snapshot sees it or can come to see it (COMMIT 12, horizon.ts).
 */

import { Arena, arenaAllocate, arenaFree } from "./arena";
import { TOMBSTONE, VERSION_HEADER_BYTES, VERSION_PREVIOUS_OFFSET } from "./constants";
import { Entry } from "./entry";
import { within } from "./optimistic";
import { keeps, RULE_HELD_STAYS } from "./rules";
import { seenBetween } from "./snapshots";

const SHARED: bool = ASC_FEATURE_THREADS;

@unmanaged
export class Version {
  number: u64;
  previous: usize;
  length: u32;
}

/** The bytes of a record's block for a value of `length` bytes, or for a tombstone. */
export function versionBytes(length: u32): u32 {
  return length == TOMBSTONE ? VERSION_HEADER_BYTES : VERSION_HEADER_BYTES + length;
}

/** A record that is in no chain yet; null if memory cannot grow. The caller fills in the value. */
export function versionMake(arena: Arena, length: u32): Version | null {
  const block = arenaAllocate(arena, versionBytes(length));
  if (block == 0) return null;
  const version = changetype<Version>(block);
  version.number = 0;
  version.previous = 0;
  version.length = length;
  return version;
}

/** Gives a record that is in no chain back. */
export function versionFree(arena: Arena, version: Version): void {
  arenaFree(arena, changetype<usize>(version), versionBytes(version.length));
}

/** The address of a record's value. */
export function versionValue(version: Version): usize {
  return changetype<usize>(version) + (VERSION_HEADER_BYTES as usize);
}

/** The newest record at or below `at`, a tombstone included; null if the key had none. */
export function versionAt(entry: Entry, at: u64): Version | null {
  if (SHARED) return versionAtUnlocked(entry, at);
  let version = changetype<Version>(entry.head);
  while (changetype<usize>(version) && version.number > at) version = changetype<Version>(version.previous);
  return changetype<usize>(version) ? version : null;
}

/** The same for a reader that may have come upon anything: numbers that do not fall end the chain. */
function versionAtUnlocked(entry: Entry, at: u64): Version | null {
  let address = within(entry.head, VERSION_HEADER_BYTES);
  let newer: u64 = u64.MAX_VALUE;
  while (address != 0) {
    const version = changetype<Version>(address);
    const number = version.number;
    if (number >= newer) return null;
    if (number <= at) return version;
    newer = number;
    address = within(version.previous, VERSION_HEADER_BYTES);
  }
  return null;
}

/** The newest record at or below `at` if it holds a value; null if the key was missing or deleted then. */
export function valueAt(entry: Entry, at: u64): Version | null {
  const version = versionAt(entry, at);
  return version === null || version.length == TOMBSTONE ? null : version;
}

/** Puts a record at the head of its entry's chain, under a number greater than every one in it. */
export function versionInstall(entry: Entry, version: Version, number: u64): void {
  assert(entry.head == 0 || changetype<Version>(entry.head).number < number);
  version.number = number;
  version.previous = entry.head;
  entry.head = changetype<usize>(version);
}

/** Takes the newest record out again, which has this number, and frees it. */
export function versionUndo(arena: Arena, entry: Entry, number: u64): void {
  const version = changetype<Version>(entry.head);
  assert(changetype<usize>(version) != 0 && version.number == number);
  entry.head = version.previous;
  versionFree(arena, version);
}

/**
 * Frees the records that nobody can see any more, among those whose successor is no newer than `newest`. The floor stands there
 * or above.
 */
export function versionPrune(arena: Arena, entry: Entry, newest: u64, horizon: u64): void {
  let kept = versionAt(entry, newest);
  if (kept === null) return;
  let link = changetype<usize>(kept) + (VERSION_PREVIOUS_OFFSET as usize);
  let candidate = load<usize>(link);
  while (candidate) {
    const version = changetype<Version>(candidate);
    const next = version.previous;
    if (seenBetween(version.number, kept.number, horizon) && keeps(RULE_HELD_STAYS)) {
      kept = version;
      link = candidate + (VERSION_PREVIOUS_OFFSET as usize);
    } else {
      store<usize>(link, next);
      versionFree(arena, version);
    }
    candidate = next;
  }
}

/** Whether a chain holds nothing that anybody can see: it is empty, or only a tombstone that is no newer than `newest`. */
export function chainIsGone(entry: Entry, newest: u64): bool {
  if (entry.head == 0) return true;
  const head = changetype<Version>(entry.head);
  return head.length == TOMBSTONE && head.previous == 0 && head.number <= newest;
}

/** Whether a chain may hold something to prune now or later: more than one record, or a tombstone. */
export function chainIsLoose(entry: Entry): bool {
  if (entry.head == 0) return true;
  const head = changetype<Version>(entry.head);
  return head.previous != 0 || head.length == TOMBSTONE;
}
