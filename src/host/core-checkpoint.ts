/**
 * What writing a checkpoint asks of the core. Its records come into being among the staged bytes ({@link Core.staged}).
 */
import { STATUS_LIMIT, STEP_NEEDS_OFFSET } from "./abi.js";
import { type Core, type HeldRun, statusError } from "./core.js";

/** What one step of writing a checkpoint has come to. */
export interface CheckpointStep {
  /** Bytes of the record that was written; 0 for none. */
  readonly length: number;
  /** One of the `STEP_…` states. */
  readonly state: number;
  /** Where there was no room: the bytes that the next record needs. */
  readonly needs: number;
}

/** Begins the records of what a version sees, behind a header with this checksum; what the next calls are given. */
export function checkpointBegin(core: Core, version: number, headerCrc: number, epoch: number): number {
  const walk = core.call("checkpointBegin", version, headerCrc, epoch) >>> 0;
  if (walk < STATUS_LIMIT) throw statusError(walk, "The checkpoint");
  return walk;
}

export function checkpointRun(core: Core, walk: number, run: HeldRun): void {
  core.call("checkpointRun", walk, run.pointer, run.version);
}

/** Writes one record of the run behind the first `offset` staged bytes. */
export function checkpointStep(core: Core, walk: number, offset: number): CheckpointStep {
  const length = core.call("checkpointStep", walk, offset) >>> 0;
  return { length, state: core.resultAt(0), needs: core.resultAt(STEP_NEEDS_OFFSET) };
}

/** Writes the last record there; its length. */
export function checkpointFinish(core: Core, walk: number, offset: number): number {
  return core.call("checkpointFinish", walk, offset) >>> 0;
}

/** Lets go of what writing a checkpoint has worked with, also where it was not finished. */
export function checkpointEnd(core: Core, walk: number): void {
  core.call("checkpointEnd", walk);
}
