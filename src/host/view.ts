/**
 * Reading a listing out of the core: the same for a run, a transaction and a snapshot, which differ only in how they scan.
 */

import { STATUS_OK, STATUS_RUN_STALE } from "./abi.js";
import type { Value } from "./codec.js";
import { type Core, statusError } from "./core.js";
import { eachScanned, type ScanRequest, scanCount, scanSort } from "./core-scan.js";
import type { ListOptions } from "./scan.js";
import { prepareScan } from "./scan.js";

/** Collects, or only counts, the matches of a request in the core; returns a status. */
export type Scanner = (request: ScanRequest, collect: boolean) => number;

function collect(core: Core, options: ListOptions | undefined, scan: Scanner): number {
  const request = prepareScan(core, options);
  if (request.limit === 0) return 0;
  if (isNowhere(scan(request, true))) return 0;
  return scanSort(core);
}

/** Keys and values of a range, in order. `note` is told how many there are. */
export function listEntries(
  core: Core,
  options: ListOptions | undefined,
  scan: Scanner,
  note?: (count: number) => void,
): [string, Value][] {
  const count = collect(core, options, scan);
  const entries: [string, Value][] = [];
  eachScanned(core, count, (key, record) => entries.push([key, core.value(record)]));
  if (count > 0) note?.(count);
  return entries;
}

/** Keys of a range, in order. `note` is told when they are read. */
export function listKeys(
  core: Core,
  options: ListOptions | undefined,
  scan: Scanner,
  note?: (count: number) => void,
): string[] {
  const count = collect(core, options, scan);
  const keys: string[] = [];
  eachScanned(core, count, (key) => keys.push(key));
  if (count > 0) note?.(count);
  return keys;
}

/** How many keys begin with a prefix. */
export function countKeys(core: Core, prefix: string | undefined, scan: Scanner): number {
  const request = prepareScan(core, prefix === undefined ? undefined : { prefix });
  return isNowhere(scan(request, false)) ? 0 : scanCount(core);
}

/** Whether a scan's status says that the run is not there any more, which leaves nothing to list. */
function isNowhere(status: number): boolean {
  if (status === STATUS_RUN_STALE) return true;
  if (status !== STATUS_OK) throw statusError(status, "The listing");
  return false;
}
