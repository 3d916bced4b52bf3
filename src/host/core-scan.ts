/**
 * What listings ask of the core: bounds stand in their scratch, keys are collected there, ordered, and read one after another.
 */
import { STATUS_POISONED } from "./abi.js";
import { decodeText } from "./codec.js";
import type { Core, RunHandle } from "./core.js";

/** A listing: how many bytes of each bound stand in the bounds scratch, in which direction, and how many at most. */
export interface ScanRequest {
  readonly prefixBytes: number;
  readonly startBytes: number;
  readonly endBytes: number;
  readonly reverse: boolean;
  readonly limit: number;
}

/**
 * Collects the first `limit` keys in the bounds that have a value at a version, −1 for what is published, or counts all;
 * a status.
 */
export function scan(
  core: Core,
  run: RunHandle,
  table: number,
  version: number,
  request: ScanRequest,
  collect: boolean,
): number {
  const { pointer, generation } = run;
  const status = core.call("scan", pointer, generation, table, version, ...scanNumbers(request, collect));
  if (status === STATUS_POISONED) throw core.runError(status, pointer, "The listing");
  return status;
}

/** The same as a transaction sees it; the range is noted. */
export function transactionScan(
  core: Core,
  pointer: number,
  generation: number,
  table: number,
  request: ScanRequest,
  collect: boolean,
): number {
  return core.call("transactionScan", pointer, generation, table, ...scanNumbers(request, collect));
}

/** How many keys the last scan collected. */
export function scanCount(core: Core): number {
  return core.call("scanCount") >>> 0;
}

/** Orders what the last scan has collected; returns how many keys that are. */
export function scanSort(core: Core): number {
  return core.call("scanSort") >>> 0;
}

/** Ends the range that a transaction has just scanned where its ordered listing ends, if that is at its limit; a status. */
export function narrowScan(core: Core, pointer: number, generation: number): number {
  return core.call("transactionNarrow", pointer, generation);
}

/** Notes the first `count` keys of the last scan as read by a transaction; a status. */
export function noteScanned(core: Core, pointer: number, generation: number, table: number, count: number): number {
  return core.call("transactionNoteScanned", pointer, generation, table, count);
}

/** Calls `visit` with the key and the version record of the first `count` keys of the ordered scan. */
export function eachScanned(core: Core, count: number, visit: (key: string, record: number) => void): void {
  if (count === 0) return;
  core.renew();
  const base = core.call("scanBase") >>> 0;
  for (let i = 0; i < count; i++) {
    const match = base + i * 12;
    const key = decodeText(core, core.view.getUint32(match, true), core.view.getUint32(match + 4, true));
    visit(key, core.view.getUint32(match + 8, true));
  }
}

/** What the core is told of a listing; a limit of 0 only counts. */
function scanNumbers({ prefixBytes, startBytes, endBytes, reverse, limit }: ScanRequest, collect: boolean): number[] {
  return [prefixBytes, startBytes, endBytes, collect ? limit : 0, reverse ? 1 : 0];
}
