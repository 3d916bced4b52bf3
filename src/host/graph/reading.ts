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

const SIDES = { out: ["out"], in: ["in"], both: ["out", "in"] } as const;

/** What stands on one side of a node, of every type. */
function readSide(reader: Reader, id: number, side: "out" | "in", page: GraphPageOptions): GraphNeighbor[] {
  const prefix = edgeGroup(id, side);
  return reader.keys(INDEX, boundsOf(prefix, page)).map((key) => readLine(key, prefix.length, side));
}

/** Of both sides one list, in order: an edge to itself, left out of one, stands in the other. */
function mergeSides(sides: readonly GraphNeighbor[][], id: number, order: number): GraphNeighbor[] {
  const [first = [], second] = sides;
  if (second === undefined) return first;
  return first.concat(second.filter(({ node }) => node !== id)).sort((a, b) => order * (a.edge - b.edge));
}

export function listNeighbors(reader: Reader, id: number, edges: Edges, page: GraphPageOptions): GraphNeighbor[] {
  const { types } = edges;
  // Whether one is of a wanted type is only found out when it is read.
  const read = types.length === 0 ? page : { ...page, limit: undefined };
  // Of each side as many as are wanted are enough.
  const sides = SIDES[edges.direction].map((side) => readSide(reader, id, side, read));
  const all = mergeSides(sides, id, page.reverse ? -1 : 1);
  return types.length === 0 ? all : all.filter(({ type }) => types.includes(type));
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
  const { direction, types } = edges;
  const order = reverse ? -1 : 1;
  const held = over.hold();
  try {
    let after = begin;
    let left = most;
    for (let portion = PORTION_MIN; left > 0; portion = Math.min(2 * portion, PORTION_MAX)) {
      const limit = types.length === 0 ? Math.min(portion, left) : portion;
      const sides = SIDES[direction].map((side) => readSide(held, id, side, { after, reverse, limit }));
      // A side that goes on is known up to its last line, and all together up to the first of these.
      const ends = sides.filter(({ length }) => length === limit).map((lines) => order * (lines.at(-1)?.edge ?? 0));
      const end = Math.min(...ends);
      for (const neighbor of mergeSides(sides, id, order)) {
        if (order * neighbor.edge > end || left === 0) break;
        if (types.length !== 0 && !types.includes(neighbor.type)) continue;
        left--;
        yield neighbor;
      }
      if (ends.length === 0) return;
      after = order * end;
    }
  } finally {
    held.release();
  }
}
