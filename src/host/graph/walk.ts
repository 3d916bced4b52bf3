/**
 * Walking a graph: breadth first, and along a shortest path. The core does the walking, a level at a time, and nothing is
 * allocated here for a node but what the caller gets of it.
 */
import { HoldfastError } from "../../errors.js";
import type { GraphDirection, HeldReader, Traversal } from "../reader-writer.js";
import { edgeGroup, INDEX, presenceKey, readLine } from "./layout.js";

/** A node that a walk has come to. */
export interface GraphVisit {
  readonly node: number;
  /** How many edges lead from the start to it at least. */
  readonly depth: number;
  /** The node that it was come to from; the start has none. */
  readonly parent: number | undefined;
}

/** A way from one node to another: `edges[i]` leads from `nodes[i]` to `nodes[i + 1]`, or back where edges are followed so. */
export interface GraphPath {
  readonly nodes: readonly number[];
  readonly edges: readonly number[];
}

/** Where a walk goes, of arguments that were checked. */
export interface WalkPlan {
  readonly depth: number;
  readonly direction: GraphDirection;
  readonly types: readonly string[];
  readonly limit: number;
  readonly signal: AbortSignal | undefined;
}

/** Nodes between two looks at a signal within one level. */
const ROWS_PER_LOOK = 1024;
const BACK = { out: "in", in: "out", both: "both" } as const;

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (!signal?.aborted) return;
  throw new HoldfastError("TIMEOUT", "The walk was aborted by its signal.", { cause: signal.reason });
}

/** Goes on to the next level; false where there is none. */
function nextLevel(walk: Traversal, signal: AbortSignal | undefined): boolean {
  do throwIfAborted(signal);
  while (!walk.advance());
  return walk.level < walk.end;
}

/**
 * Nodes breadth first, each once: by depth, and by id within one depth. It holds a snapshot until it has ended; `return`,
 * which `break` calls, ends it before its time.
 */
export class GraphWalk implements IterableIterator<GraphVisit, undefined>, Disposable {
  readonly #held: HeldReader;
  readonly #plan: WalkPlan;
  #walk: Traversal | undefined;
  #row = 0;
  #depth = -1;

  /** @internal */
  constructor(held: HeldReader, start: number, plan: WalkPlan) {
    this.#held = held;
    this.#plan = plan;
    try {
      const isThere = held.has(INDEX, presenceKey(start)) && plan.limit > 0;
      if (isThere) this.#walk = held.traverse(start, plan.types, plan.direction);
    } finally {
      if (this.#walk === undefined) held.release();
    }
  }

  /** Itself: a walk is gone through once. */
  [Symbol.iterator](): this {
    return this;
  }

  /** The next node, by depth and then in the order that they were found in. */
  next(): IteratorResult<GraphVisit, undefined> {
    const walk = this.#walk;
    if (walk === undefined) return { done: true, value: undefined };
    try {
      if (this.#row % ROWS_PER_LOOK === 0) throwIfAborted(this.#plan.signal);
      if (this.#row === walk.end) {
        if (this.#depth >= this.#plan.depth || !nextLevel(walk, this.#plan.signal)) return this.return();
        this.#depth++;
      }
      const row = this.#row++;
      const parent = row === 0 ? undefined : walk.node(walk.parent(row));
      const value = { node: walk.node(row), depth: this.#depth, parent };
      if (this.#row >= this.#plan.limit) this.return();
      return { done: false, value };
    } catch (error) {
      this.return();
      throw error;
    }
  }

  /** Ends the walk before its time and lets go of what it holds; `break` in a `for … of` does so. */
  return(): IteratorResult<GraphVisit, undefined> {
    this.#walk?.close();
    this.#walk = undefined;
    this.#held.release();
    return { done: true, value: undefined };
  }

  /** {@link return}, for `using`. */
  [Symbol.dispose](): void {
    this.return();
  }
}

/** The row of a node in the level that was completed last, which is in the order of nodes; −1 if it is not there. */
function rowIn(walk: Traversal, node: number): number {
  let from = walk.level;
  let to = walk.end;
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (walk.node(middle) < node) from = middle + 1;
    else to = middle;
  }
  return from < walk.end && walk.node(from) === node ? from : -1;
}

/** The least edge between two nodes that a path may take. */
function edgeBetween(held: HeldReader, from: number, to: number, plan: WalkPlan): number {
  let least = Number.POSITIVE_INFINITY;
  for (const direction of plan.direction === "both" ? (["out", "in"] as const) : [plan.direction]) {
    const prefix = edgeGroup(from, direction);
    for (const key of held.keys(INDEX, { prefix })) {
      const { edge, node, type } = readLine(key, prefix.length, direction);
      if (node === to && (plan.types.length === 0 || plan.types.includes(type))) least = Math.min(least, edge);
    }
  }
  return least;
}

/**
 * The shortest path from a node to another, `undefined` if there is none. It is looked for from its end, so that of several
 * the one with the least next node at each step is found.
 */
export function shortestPath(held: HeldReader, source: number, target: number, plan: WalkPlan): GraphPath | undefined {
  if (!held.has(INDEX, presenceKey(source)) || !held.has(INDEX, presenceKey(target))) return undefined;
  const walk = held.traverse(target, plan.types, BACK[plan.direction]);
  try {
    for (let depth = 0; depth <= plan.depth && nextLevel(walk, plan.signal); depth++) {
      let row = rowIn(walk, source);
      if (row < 0) continue;
      const nodes = [source];
      for (; row !== 0; nodes.push(walk.node(row))) row = walk.parent(row);
      const edges = nodes.slice(1).map((node, index) => edgeBetween(held, nodes[index] as number, node, plan));
      return { nodes, edges };
    }
    return undefined;
  } finally {
    walk.close();
  }
}
