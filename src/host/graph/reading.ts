/**
 * Reading a graph: nodes, edges, and what its index leads to, in the order of ids.
 */
import { idText } from "../names.js";
import type { Reader } from "../reader-writer.js";
import { checkCount, checkId, type Edges, type GraphPageOptions } from "./given.js";
import {
  DEFINITIONS,
  type Definitions,
  damaged,
  definitionsOf,
  edgeGroup,
  edgeKey,
  edgeOf,
  type GraphEdge,
  type GraphNeighbor,
  type GraphNode,
  INDEX,
  memberId,
  nodeKey,
  nodeOf,
  readLine,
  TABLE,
} from "./layout.js";

/** A page of ids, as a listing of keys takes it. */
export function boundsOf(prefix: string, { after, reverse, limit }: GraphPageOptions): object {
  checkCount(limit, "limit");
  if (after === undefined) return { prefix, reverse, limit };
  checkId(after, "after");
  const bound = reverse ? { end: prefix + idText(after) } : { start: prefix + idText(after + 1) };
  return { prefix, reverse, limit, ...bound };
}

export function readNode(reader: Reader, id: number): GraphNode | undefined {
  const stored = reader.get(TABLE, nodeKey(id));
  return stored === undefined ? undefined : nodeOf(id, stored);
}

export function readEdge(reader: Reader, id: number): GraphEdge | undefined {
  const stored = reader.get(TABLE, edgeKey(id));
  return stored === undefined ? undefined : edgeOf(id, stored);
}

export function readDefinitions(reader: Reader): Definitions {
  return definitionsOf(reader.get(INDEX, DEFINITIONS));
}

export function indexOf(definitions: Definitions, label: string, property: string): number | undefined {
  if (!Object.hasOwn(definitions, label)) return undefined;
  const properties = definitions[label] as Definitions[string];
  return Object.hasOwn(properties, property) ? properties[property] : undefined;
}

/** The nodes that a group of the index names. */
export function listNodes(reader: Reader, group: string, page: GraphPageOptions): GraphNode[] {
  const ids = reader.keys(INDEX, boundsOf(group, page)).map((key) => memberId(key, group.length));
  return reader.getMany(TABLE, ids.map(nodeKey)).map((value, index) => {
    const id = ids[index] as number;
    if (value === undefined) throw damaged(`The index names the node ${id}, which is not there`, { id });
    return nodeOf(id, value);
  });
}

export function listNeighbors(reader: Reader, id: number, edges: Edges, page: GraphPageOptions): GraphNeighbor[] {
  const { after, reverse, limit } = page;
  const side = (direction: "out" | "in"): GraphNeighbor[] => {
    const prefix = edgeGroup(id, direction);
    // Whether one is of a wanted type is only found out when it is read.
    const most = edges.types.length === 0 ? limit : undefined;
    const keys = reader.keys(INDEX, boundsOf(prefix, { after, reverse, limit: most }));
    const found = keys.map((key) => readLine(key, prefix.length, direction));
    return edges.types.length === 0 ? found : found.filter(({ type }) => edges.types.includes(type));
  };
  if (edges.direction !== "both") return side(edges.direction);
  const order = reverse ? -1 : 1;
  // Of each side as many as are wanted are enough: an edge to itself, left out of one, stands in the other.
  const all = side("out").concat(side("in").filter(({ node }) => node !== id));
  return all.sort((a, b) => order * (a.edge - b.edge));
}

/** Edges that are read at a time: at first and at most. Each portion costs a look at all edges of the node. */
const PORTION_MIN = 256;
const PORTION_MAX = 65_536;

export function* eachNeighbor(
  over: Reader,
  id: number,
  edges: Edges,
  { after: begin, reverse }: GraphPageOptions,
  most: number,
): Generator<GraphNeighbor> {
  const held = over.hold();
  try {
    let after = begin;
    let left = most;
    for (let portion = PORTION_MIN; left > 0; portion = Math.min(2 * portion, PORTION_MAX)) {
      const limit = Math.min(portion, left);
      // Of more than one kind more may come than was asked for: what is behind comes again.
      const found = listNeighbors(held, id, edges, { after, reverse, limit }).slice(0, limit);
      yield* found;
      left -= found.length;
      after = found.at(-1)?.edge;
      if (found.length < limit) return;
    }
  } finally {
    held.release();
  }
}
