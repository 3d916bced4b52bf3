/**
 * A walk over a graph that the core is in the middle of: its rows stand in the core's memory until it is closed, or until
 * nobody has it any more.
 */
import { TRAVERSE_IN, TRAVERSE_OUT } from "./abi.js";
import { closeTraversal, rowNode, rowParent, type TraversalStep } from "./core-graph.js";
import type { Engine, Held, Holder } from "./engine.js";
import type { Traversal } from "./reader-writer.js";

/** The nodes whose edges are looked at in one call of the core, so that a signal is heard in between. */
const ROWS_PER_STEP = 1024;

/** The core's number for a direction. */
export const SIDES = { out: TRAVERSE_OUT, in: TRAVERSE_IN, both: TRAVERSE_OUT | TRAVERSE_IN };

export class CoreTraversal implements Traversal, Holder {
  readonly #engine: Engine;
  readonly #version: number;
  readonly #step: (pointer: number, rowsMax: number) => TraversalStep;
  #pointer: number;
  #rows = 0;
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
    return rowNode(this.#engine.core, this.#rows, row);
  }

  parent(row: number): number {
    return rowParent(this.#engine.core, this.#rows, row);
  }

  close(): void {
    if (this.#pointer === 0) return;
    this.#engine.unwatch(this);
    if (this.#engine.canGiveBack) closeTraversal(this.#engine.core, this.#pointer);
    this.#pointer = 0;
  }
}

function heldTraversal(pointer: number, version: number): Held {
  return { version, giveBack: (core) => closeTraversal(core, pointer) };
}
