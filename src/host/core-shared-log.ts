/**
 * What workers that share the memory know together of the log: whose turn it is, where it goes on, and whether it is given up. Only in
 * the shared build.
 */
import * as abi from "./abi.js";
import type { Core } from "./core.js";

/** Whose turn it is between workers: to write to the storage, and to sync it. */
export type Turn = 0 | 1;
export const TURN_WRITE: Turn = 0;
export const TURN_SYNC: Turn = 1;

/** Takes the turn to write to the storage, or to sync it; false when another worker has had it for too long. */
export function takeTurn(core: Core, turn: Turn): boolean {
  return core.call("turnTake", turn) !== 0;
}

export function giveTurn(core: Core, turn: Turn): void {
  core.call("turnGive", turn);
}

/** The segment that is written to, 0 before the first, and where it begins. */
export function logPlace(core: Core): { readonly segment: number; readonly position: number } {
  core.renew();
  return {
    segment: core.view.getUint32(core.logPlaceAddress + abi.LOG_PLACE_SEGMENT_OFFSET, true),
    position: core.u64At(core.logPlaceAddress + abi.LOG_PLACE_POSITION_OFFSET),
  };
}

/** The segment that somebody is making, or was when he died; 0 where there is none. */
export function plannedSegment(core: Core): number {
  core.renew();
  return core.view.getUint32(core.logPlaceAddress + abi.LOG_PLACE_PLAN_OFFSET, true);
}

/** Notes which segment is about to be made; with 0 that none is. Whoever has the turn to write. */
export function planSegment(core: Core, segment: number, position = 0, chain = 0, epoch = 0): void {
  core.call("segmentPlan", segment, position, chain, epoch);
}

/** The segment that was planned is there: the log goes on in it. */
export function beginPlanned(core: Core): void {
  core.call("segmentBegin");
}

/** Lets the others know of a segment. Whoever has the turn to write. */
export function setLogPlace(core: Core, segment: number, position: number): void {
  core.renew();
  core.view.setBigUint64(core.logPlaceAddress + abi.LOG_PLACE_POSITION_OFFSET, BigInt(position), true);
  core.view.setUint32(core.logPlaceAddress + abi.LOG_PLACE_SEGMENT_OFFSET, segment, true);
}

/** Says that the storage is given up, also of a core that has trapped. */
export function noteStorageLeft(core: Core): void {
  core.renew();
  core.view.setUint32(core.closedAddress, abi.CLOSED_WHOLLY, true);
}

/** Whether the storage was given up where the database was opened. */
export function hasLeftStorage(core: Core): boolean {
  core.renew();
  return core.view.getUint32(core.closedAddress, true) === abi.CLOSED_WHOLLY;
}

/** Whether a write or a sync has failed in any worker. */
export function logFailed(core: Core): boolean {
  core.renew();
  return core.view.getUint32(core.logPlaceAddress + abi.LOG_PLACE_FAILED_OFFSET, true) !== 0;
}

export function failLog(core: Core): void {
  core.renew();
  core.view.setUint32(core.logPlaceAddress + abi.LOG_PLACE_FAILED_OFFSET, 1, true);
}
