/**
 * What reading a log or a checkpoint back asks of the core. The bytes are staged before ({@link Core.stage}).
 */
import { STATUS_OK } from "./abi.js";
import type { Core } from "./core.js";

/** Why a call stopped, and what it saw last. */
export interface RecoverOutcome {
  readonly taken: number;
  readonly status: number;
  readonly lastKind: number;
  readonly lastMode: number;
}

function outcome(core: Core, taken: number, lastMode: number): RecoverOutcome {
  return { taken, status: core.resultAt(0), lastKind: core.resultAt(4), lastMode };
}

/** Applies the records among the staged bytes from `offset` on. */
export function recover(core: Core, offset: number, length: number): RecoverOutcome {
  const taken = core.call("recover", core.valueOffset + offset, length) >>> 0;
  return outcome(core, taken, core.resultAt(8));
}

/** The highest watermark that a whole header among the staged bytes carries, if the first byte stands at `position`. */
export function recoverSearch(core: Core, length: number, position: number): number {
  return core.call("recoverSearch", core.valueOffset, length, position);
}

/** Seals the staged records, which are of `epoch`, anew where the log begins; a copy, or undefined if they are damaged. */
export function reseal(core: Core, length: number, epoch: number): Uint8Array | undefined {
  const status = core.call("reseal", core.valueOffset, length, epoch);
  return status === STATUS_OK ? core.staged(length).slice() : undefined;
}

/** Restores the staged records of a checkpoint of `version`. */
export function restore(core: Core, length: number, version: number): RecoverOutcome {
  return outcome(core, core.call("restore", core.valueOffset, length, version) >>> 0, 0);
}

/** A checkpoint is restored whole; what it says of the log behind it. */
export function restored(core: Core, version: number, given: number, written: number, commits: number): void {
  core.call("restored", version, given, written, commits);
}
