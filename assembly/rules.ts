/**
 * The rules of committing, publishing and pruning that a test build can switch off one by one, to see that the tests find out.
 *
 * In every other build `keeps` is true when it is compiled, so that nothing of this is left.
 */

/** A read of a key is compared with the newest installed version. */
export const RULE_KEYS_VALIDATED: u32 = 1;
/** A range that was scanned is walked again where the keys of its table have changed since the start. */
export const RULE_RANGES_VALIDATED: u32 = 2;
/** Putting over a tombstone is an insertion. */
export const RULE_TOMBSTONE_IS_ABSENT: u32 = 3;
/** What a scan has returned is read. */
export const RULE_SCANNED_IS_READ: u32 = 4;
/** Incarnations are compared before anything else. */
export const RULE_INCARNATION: u32 = 5;
/** `visible` never passes an unpublished version of its run. */
export const RULE_VISIBLE_IN_ORDER: u32 = 6;
/** A commit that would stand behind an unpublished one, where nothing can sync it now, is refused before it is installed. */
export const RULE_BUSY_BEFORE_INSTALL: u32 = 7;
/** A strict commit is published when it is synced, a buffered one when it is written. */
export const RULE_PUBLISH_WHEN_DURABLE: u32 = 8;
/** Deferred commits wait in memory up to a limit. */
export const RULE_DEFERRED_BOUNDED: u32 = 9;
/** What is published is never undone. */
export const RULE_PUBLISHED_STAYS: u32 = 10;
/** Asynchronous transactions that are open when something is undone end with it. */
export const RULE_UNDONE_DOOMS: u32 = 11;
/** Nothing above the published horizon is pruned, but by what horizon.ts says of workers in memory. */
export const RULE_HORIZON: u32 = 12;
/** Nothing is pruned that a held snapshot sees. */
export const RULE_HELD_STAYS: u32 = 13;
/** A run's snapshot starts no lower than the horizon. */
export const RULE_START_AT_HORIZON: u32 = 14;
/** Counts move when a commit is published, not when it is installed. */
export const RULE_COUNTS_AT_VISIBLE: u32 = 15;
/** The memory of a deleted run stays while a snapshot sees it. */
export const RULE_RETIRED_STAYS: u32 = 16;
/** What is undone is undone newest first. */
export const RULE_UNDO_NEWEST_FIRST: u32 = 17;

/** The host is told before the entry of a key goes that it finds by itself. */
export const RULE_KNOWN_IS_TOLD: u32 = 18;
/** The same of all of them where their run is deleted. */
export const RULE_KNOWN_GO_WITH_RUN: u32 = 19;

/** A broken rule can make a chain that has no end: asked so often, the test build traps instead of going on for ever. */
const ASKED_MAX: u32 = 50000000;

let broken: u32 = 0;
let asked: u32 = 0;

/** Switches one rule off, or with 0 all of them on. Only in the test build. */
export function breakRule(rule: u32): void {
  broken = rule;
}

/** Whether a rule is kept. */
export function keeps(rule: u32): bool {
  if (!isDefined(PLANTED)) return true;
  if (asked++ == ASKED_MAX) unreachable();
  return broken != rule;
}
