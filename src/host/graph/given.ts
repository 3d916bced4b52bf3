/**
 * What callers give to a graph, checked and copied before anything is read or changed.
 */
import { HoldfastError } from "../../errors.js";
import { checkSignal, describe, isPlainObject, readOptions, refuseArgument } from "../arguments.js";
import { isPlainPrototype, type Value } from "../codec.js";
import { checkName, readTags } from "../names.js";
import type { GraphDirection } from "../reader-writer.js";
import { copyValue } from "../value-bytes.js";
import { isId, type Properties } from "./layout.js";
import type { WalkPlan } from "./walk.js";

/** Which of a listing are returned. */
export interface GraphPageOptions {
  /** Only what has an id above this one, or, in reverse, below it: the last id of the page before. */
  readonly after?: number | undefined;
  /** From the greatest id to the least. */
  readonly reverse?: boolean | undefined;
  /** At most this many. */
  readonly limit?: number | undefined;
}

/** Which edges are followed. */
export interface GraphEdgeOptions {
  /** `"out"` unless given. */
  readonly direction?: GraphDirection | undefined;
  /** Only edges of this type. */
  readonly type?: string | undefined;
  /** Only edges of one of these types, of which there is one at least. */
  readonly types?: readonly string[] | undefined;
}

/** Which neighbours are returned. `after` is the id of an edge. */
export interface GraphNeighborOptions extends GraphEdgeOptions, GraphPageOptions {}

/** How far a path is looked for. */
export interface GraphPathOptions extends GraphEdgeOptions {
  /** At most so many edges away from the start. */
  readonly depth?: number | undefined;
  /** Looked at every thousand nodes or so. */
  readonly signal?: AbortSignal | undefined;
}

/** How far a walk goes. */
export interface GraphWalkOptions extends GraphPathOptions {
  /** At most so many nodes, the start included. */
  readonly limit?: number | undefined;
}

/** What a node is to be like. What is left out stays as it is. */
export interface GraphNodeUpdate {
  /** Instead of all labels. */
  readonly labels?: string | readonly string[] | undefined;
  /** Instead of all properties. */
  readonly properties?: Properties | undefined;
}

/** Single properties: to be set, or where `undefined` to be removed. */
export type GraphPatch = { readonly [property: string]: Value | undefined };

/** The index of a property. */
export interface GraphIndex {
  readonly label: string;
  readonly property: string;
}

const EDGE_OPTIONS = ["direction", "type", "types"] as const;
const PAGE_OPTIONS = ["after", "reverse", "limit"] as const;
const NEIGHBOR_OPTIONS = [...EDGE_OPTIONS, ...PAGE_OPTIONS] as const;
const PATH_OPTIONS = [...EDGE_OPTIONS, "depth", "signal"] as const;
const WALK_OPTIONS = [...PATH_OPTIONS, "limit"] as const;

export function checkId(id: unknown, what: string): asserts id is number {
  if (!isId(id)) throw refuseArgument(`${what} must be an id that the graph has given, got ${describe(id)}.`);
}

export function checkCount(count: unknown, what: string): number {
  if (count === undefined) return Number.POSITIVE_INFINITY;
  if (count === Number.POSITIVE_INFINITY || (Number.isInteger(count) && (count as number) >= 0)) return count as number;
  throw refuseArgument(`${what} must be a whole number that is not negative, got ${describe(count)}.`);
}

/** A checked copy of a list of ids. The first that is none ends it, however long an array says that it is. */
export function readIds(given: unknown, what: string): number[] {
  const ids: number[] = [];
  try {
    if (!Array.isArray(given)) throw refuseArgument(`${what} takes an array of ids, got ${describe(given)}.`);
    for (let index = 0; index < given.length; index++) {
      const id: unknown = given[index];
      checkId(id, "An id");
      ids.push(id);
    }
  } catch (cause) {
    if (HoldfastError.is(cause)) throw cause;
    throw refuseArgument(`The ids of ${what} threw when they were read.`, cause);
  }
  return ids;
}

/** The labels of a node, checked, each once. */
export function readLabels(given: unknown): string[] {
  if (typeof given !== "string") return readTags(given, "label");
  checkName(given, "A label");
  return [given];
}

/** A checked copy of properties. What is checked is the copy, in which bytes of any realm are of this one. */
export function readProperties(given: unknown): Properties {
  if (given === undefined) return {};
  const properties = typeof given === "object" ? copyValue(given) : undefined;
  if (isPlainObject(properties)) return properties;
  throw refuseArgument(`properties must be a plain object, got ${describe(given)}.`);
}

/** Whether it is what the value model takes for an object, and no instance of anything. May throw what a Proxy throws. */
function isPlain(given: unknown): given is object {
  return typeof given === "object" && given !== null && isPlainPrototype(Object.getPrototypeOf(given));
}

/** The changes of a patch, as they are at this moment: what is set, and the names of what is removed. */
export function readPatch(given: unknown): { readonly set: Properties; readonly removed: readonly string[] } {
  const removed: string[] = [];
  const set: Record<string, unknown> = {};
  try {
    if (!isPlain(given)) throw refuseArgument(`A patch must be a plain object, got ${describe(given)}.`);
    for (const [name, value] of Object.entries(given)) {
      if (value === undefined) removed.push(name);
      else Object.defineProperty(set, name, { value, enumerable: true, configurable: true, writable: true });
    }
  } catch (cause) {
    if (HoldfastError.is(cause)) throw cause;
    throw refuseArgument("The patch threw when it was read.", cause);
  }
  return { set: copyValue(set) as Properties, removed };
}

export function patched(properties: Properties, { set, removed }: ReturnType<typeof readPatch>): Properties {
  return Object.fromEntries(
    Object.entries({ ...properties, ...set }).filter(([name]) => Object.hasOwn(set, name) || !removed.includes(name)),
  );
}

export function readPage(given: GraphPageOptions | undefined, what: string): GraphPageOptions {
  return readOptions<GraphPageOptions>(given, PAGE_OPTIONS, what);
}

/** The edges that are followed: of one of the types, or with none of any. */
export interface Edges {
  readonly direction: GraphDirection;
  readonly types: readonly string[];
}

function edgesOf({ direction = "out", type, types }: GraphEdgeOptions): Edges {
  if (direction !== "out" && direction !== "in" && direction !== "both") {
    throw refuseArgument(`direction must be "out", "in" or "both", got ${describe(direction)}.`);
  }
  if (type !== undefined && types !== undefined) throw refuseArgument("Give type or types, not both.");
  if (type !== undefined) checkName(type, "The type of an edge");
  const chosen = type === undefined ? (types === undefined ? [] : readTags(types, "type")) : [type];
  if (types !== undefined && chosen.length === 0) {
    throw refuseArgument("types is empty. Leave it out to follow all edges.");
  }
  return { direction, types: chosen };
}

export function readEdges(given: GraphEdgeOptions | undefined, what: string): Edges {
  return edgesOf(readOptions<GraphEdgeOptions>(given, EDGE_OPTIONS, what));
}

export function readNeighborOptions(id: number, given: GraphNeighborOptions | undefined, what: string) {
  checkId(id, "The id of a node");
  const options = readOptions<GraphNeighborOptions>(given, NEIGHBOR_OPTIONS, what);
  const { after, reverse, limit } = options;
  return { edges: edgesOf(options), page: { after, reverse, limit }, most: checkCount(limit, "limit") };
}

export function readWalk(given: GraphWalkOptions | undefined, what: string): WalkPlan {
  return planOf(given, WALK_OPTIONS, what);
}

export function readPath(given: GraphPathOptions | undefined, what: string): WalkPlan {
  return planOf(given, PATH_OPTIONS, what);
}

function planOf(
  given: GraphWalkOptions | undefined,
  names: readonly (keyof GraphWalkOptions)[],
  what: string,
): WalkPlan {
  const options = readOptions<GraphWalkOptions>(given, names, what);
  checkSignal(options.signal);
  const { direction, types } = edgesOf(options);
  return {
    direction,
    types,
    depth: checkCount(options.depth, "depth"),
    limit: checkCount(options.limit, "limit"),
    signal: options.signal,
  };
}

export function checkProperty(name: unknown): asserts name is string {
  if (typeof name !== "string") throw refuseArgument(`A property's name must be a string, got ${describe(name)}.`);
}
