/**
 * What a graph asks of the core: ids, and walks, whose rows stand in linear memory.
 */
import * as abi from "./abi.js";
import { encodeBound } from "./codec.js";
import { type Core, type RunHandle, statusError } from "./core.js";
import { utf8ByteLength } from "./utf8.js";

/** Where a walk is: the address of its rows, which of them are the level under way, and the next of them. */
export interface TraversalStep {
  readonly rows: number;
  readonly level: number;
  readonly end: number;
  readonly next: number;
}

/** An id that no other call was given for the run; 0 as long as nobody has said from where on, negative if the run is gone. */
export function nextId(core: Core, run: RunHandle): number {
  return core.call("runTakeId", run.pointer, run.generation);
}

/** Says from which id on a run has given none. Whoever comes second changes nothing. */
export function setFirstId(core: Core, run: RunHandle, first: number): void {
  core.call("runFreeIds", run.pointer, run.generation, first);
}

/** A walk over a run's graph from a node, over edges of the given types or with none of any; its address. */
export function openTraversal(core: Core, start: number, types: readonly string[]): number {
  const textBytes = types.reduce((sum, type) => sum + 2 + utf8ByteLength(type), 0);
  if (textBytes > core.valueCapacity) core.reserveValue(textBytes);
  core.renew();
  let at = core.valueOffset;
  for (const type of types) {
    const byteLength = encodeBound(type, "The type", core, at + 2);
    core.view.setUint16(at, byteLength, true);
    at += 2 + byteLength;
  }
  const traversal = core.call("traverseOpen", start, at - core.valueOffset) >>> 0;
  if (traversal < abi.STATUS_LIMIT) throw statusError(traversal, "The walk");
  return traversal;
}

/**
 * Goes on with a walk over a run's graph at a version, or as a transaction sees it, as the core's exports of these names
 * take it.
 */
export function traverse(
  core: Core,
  how: "traverseStep" | "transactionTraverse",
  run: RunHandle,
  pointer: number,
  ...numbers: number[]
): TraversalStep {
  const status = core.call(how, pointer, ...numbers);
  if (status !== abi.STATUS_OK) throw core.runError(status, run.pointer, "The walk");
  return {
    rows: core.view.getUint32(pointer + abi.TRAVERSE_ROWS_OFFSET, true),
    level: core.view.getUint32(pointer + abi.TRAVERSE_LEVEL_OFFSET, true),
    end: core.view.getUint32(pointer + abi.TRAVERSE_END_OFFSET, true),
    next: core.view.getUint32(pointer + abi.TRAVERSE_NEXT_OFFSET, true),
  };
}

/** The node of a row of a walk. */
export function rowNode(core: Core, rows: number, row: number): number {
  core.renew();
  return core.view.getFloat64(rows + row * abi.TRAVERSE_ROW_BYTES, true);
}

/** The row that a row was come upon from. */
export function rowParent(core: Core, rows: number, row: number): number {
  core.renew();
  return core.view.getUint32(rows + row * abi.TRAVERSE_ROW_BYTES + abi.TRAVERSE_PARENT_OFFSET, true);
}

export function closeTraversal(core: Core, pointer: number): void {
  core.call("traverseClose", pointer);
}
