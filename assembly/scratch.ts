/**
 * What each instance owns: where the host puts keys, bounds and values, and finds results.
 *
 *   result   SCRATCH_RESULT_BYTES   version, status and counts of the last call
 *   key      SCRATCH_KEY_BYTES
 *   bounds   SCRATCH_BOUNDS_BYTES   prefix, start and end of a listing, one behind the other
 *   work     cursors and a Range for the call under way
 *   points   of the last look at the horizon (horizon.ts)
 *   value    an extent of its own that moves when it must grow
 *
 * The addresses are kept in globals, which are the instance's own, because nothing here but the points outlives a call.
 */

import { EXTENT_HEADER_BYTES, extentAllocate, extentFree, extentOrder, orderFor } from "./arena";
import {
  SCRATCH_BOUNDS_BYTES,
  SCRATCH_KEY_BYTES,
  SCRATCH_RESULT_BYTES,
  SCRATCH_VALUE_BYTES_MIN,
  STATUS_OK,
  STATUS_STORE_FULL,
} from "./constants";
import { POINTS_BYTES, pointsKeepAt } from "./horizon";
import { Cursors, Range, scanReserve } from "./scan";
import { worker } from "./workers";

const WORK_BYTES: u32 = 64;

let base: usize = 0;
let value: usize = 0;
let valueBytes: u32 = 0;

/** Allocates this instance's scratch; a status. */
export function scratchMake(): u32 {
  const bytes = SCRATCH_RESULT_BYTES + SCRATCH_KEY_BYTES + SCRATCH_BOUNDS_BYTES + WORK_BYTES + POINTS_BYTES;
  const extent = extentAllocate(orderFor(bytes), changetype<usize>(worker()));
  if (extent == 0) return STATUS_STORE_FULL;
  base = extent + EXTENT_HEADER_BYTES;
  memory.fill(base, 0, bytes);
  pointsKeepAt(base + bytes - POINTS_BYTES);
  const status = scanReserve();
  return status == STATUS_OK ? scratchReserve(SCRATCH_VALUE_BYTES_MIN) : status;
}

/** Makes room for a value of `bytes`; a status. What stood in it is gone. */
export function scratchReserve(bytes: u32): u32 {
  if (bytes <= valueBytes) return STATUS_OK;
  const extent = extentAllocate(orderFor(bytes), changetype<usize>(worker()));
  if (extent == 0) return STATUS_STORE_FULL;
  if (value) extentFree(value - EXTENT_HEADER_BYTES);
  value = extent + EXTENT_HEADER_BYTES;
  valueBytes = (1 << extentOrder(extent)) - (EXTENT_HEADER_BYTES as u32);
  return STATUS_OK;
}

export function scratchResult(): usize {
  return base;
}

export function scratchKey(): usize {
  return base + SCRATCH_RESULT_BYTES;
}

export function scratchBounds(): usize {
  return scratchKey() + SCRATCH_KEY_BYTES;
}

export function scratchCursors(): Cursors {
  return changetype<Cursors>(scratchBounds() + SCRATCH_BOUNDS_BYTES);
}

export function scratchRange(): Range {
  return changetype<Range>(scratchBounds() + SCRATCH_BOUNDS_BYTES + 16);
}

export function scratchValue(): usize {
  return value;
}

export function scratchValueBytes(): u32 {
  return valueBytes;
}
