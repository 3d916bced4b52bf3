/**
 * A walk over a graph that the core is in the middle of: its rows stand in the core's memory until it is closed, or until
 * nobody has it any more.
 */
import type { TraversalStep } from "./core.js";
import type { Engine, Held, Holder } from "./engine.js";

/** The nodes whose edges are looked at in one call of the core, so that a signal is heard in between. */
const ROWS_PER_STEP = 1024;

/** Rows are counted from 0, the node that the walk starts from, level after level, each in the order of its nodes. */
export class Traversal implements Holder {
  readonly #engine: Engine;
  readonly #version: number;
  readonly #step: (pointer: number, rowsMax: number) => TraversalStep;
  #pointer: number;
  #rows = 0;
  /** The first row of the level that was completed last, and the row behind it. */
  level = 0;
  end = 0;
  /** Where it stands among the open handles that the engine watches. @internal */
  place = -1;

  constructor(
    engine: Engine,
    pointer: number,
    version: number,
    step: (pointer: number, rowsMax: number) => TraversalStep,
  ) {
    this.#engine = engine;
    this.#pointer = pointer;
    this.#version = version;
    this.#step = step;
    engine.watch(this);
  }

  held(): Held {
    return heldTraversal(this.#pointer, this.#version);
  }

  /**
   * Goes on to the next level, which is empty at the end; false where it is not there yet and the call is to be made again.
   * @throws HoldfastError `STORE_FULL`, `TRANSACTION_TOO_LARGE`, `CORRUPTION`, `BUSY`, `TRANSACTION_CLOSED`, `CLOSED`.
   */
  advance(): boolean {
    // Nothing is looked at for the first level, which is the start itself.
    const { rows, level, end } = this.#step(this.#pointer, this.end === 0 ? 0 : ROWS_PER_STEP);
    const isWhole = end !== this.end;
    const isOver = level === end;
    this.#rows = rows;
    this.level = level;
    this.end = end;
    return isWhole || isOver;
  }

  node(row: number): number {
    if (!this.#engine.isLive) this.#engine.assertLive();
    return this.#engine.core.rowNode(this.#rows, row);
  }

  /** The row that a row was first come upon from; of row 0 itself. */
  parent(row: number): number {
    return this.#engine.core.rowParent(this.#rows, row);
  }

  /** Gives its memory back. Doing so again does nothing. */
  close(): void {
    if (this.#pointer === 0) return;
    this.#engine.unwatch(this);
    if (this.#engine.canGiveBack) this.#engine.core.closeTraversal(this.#pointer);
    this.#pointer = 0;
  }
}

function heldTraversal(pointer: number, version: number): Held {
  return { version, giveBack: (core) => core.closeTraversal(pointer) };
}
