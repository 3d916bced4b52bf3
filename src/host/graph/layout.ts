/**
 * Where a graph stands: nodes and edges by id, and an index of every way to come to them.
 *
 *   table 4    n id                                       → [labels, properties]
 *              e id                                       → [source, target, type, properties]
 *   table 12   n                   U+0000 id              → null       which nodes there are
 *              o source            U+0000 edge target type → null      edges out of a node
 *              i target            U+0000 edge source type → null      edges into a node
 *              l label             U+0000 id              → null
 *              p index value       U+0000 id              → null       nodes with a value in an indexed property
 *              x                   U+0000                 → { label: { property: index } }
 *              #                   U+0000 block            → null       ids of a block have been given (ids.ts)
 *
 * An id is a letter for its number of digits and the digits (names.ts), so that members sort by id. `value` is a text of
 * bounded length, the same for values with the same bytes and for no others.
 *
 * What it keeps true: what stands in table 4 says all, the index follows from it, but for which properties are indexed; an
 * edge's line under either end never changes, so that adding one writes nothing that adding another one reads.
 */
import { HoldfastError } from "../../errors.js";
import { describe, isPlainObject } from "../arguments.js";
import type { Value } from "../codec.js";
import { idText, inGroup, readId } from "../names.js";
import { sha256 } from "../sha256.js";
import { encodeToBytes } from "../value-bytes.js";

/** The table of a run that nodes and edges are kept in. */
export const TABLE = 4;
export const INDEX = TABLE + 8;
/** The group of marks of blocks of ids, and how many ids are in a block. */
export const MARKS = "#\u0000";
export const IDS_PER_BLOCK = 256;
/** Where it stands which properties are indexed. */
export const DEFINITIONS = "x\u0000";
/** The group of all nodes. */
export const NODES = "n\u0000";
/** What node and edge keys begin with. */
export const NODE = "n";
export const EDGE = "e";

/** Named values of a node or an edge. */
export type Properties = { readonly [name: string]: Value };

/** A node. */
export interface GraphNode {
  readonly id: number;
  /** Each once, in the order given. */
  readonly labels: readonly string[];
  readonly properties: Properties;
}

/** An edge from one node to another, or to itself. */
export interface GraphEdge {
  readonly id: number;
  readonly source: number;
  readonly target: number;
  readonly type: string;
  readonly properties: Properties;
}

/** An edge as one of its ends sees it. */
export interface GraphNeighbor {
  /** The edge. */
  readonly edge: number;
  /** The node at its other end. */
  readonly node: number;
  readonly type: string;
  /** Whether the edge leads to the other node or comes from it. */
  readonly direction: "out" | "in";
}

/** Which properties are indexed: by label and property, the number of the index. */
export type Definitions = { readonly [label: string]: { readonly [property: string]: number } };

/** The error for what stands in a graph and cannot. */
export function damaged(what: string, details: Record<string, unknown>): HoldfastError {
  const message = `${what}: it was damaged, or written by something else. graph.verify() lists what is wrong, and graph.rebuild() makes the index anew.`;
  return new HoldfastError("CORRUPTION", message, { details });
}

export function nodeKey(id: number): string {
  return NODE + idText(id);
}

export function edgeKey(id: number): string {
  return EDGE + idText(id);
}

/** The key by which a node is known to be there: nothing but adding and deleting the node writes it. */
export function presenceKey(id: number): string {
  return NODES + idText(id);
}

export function labelGroup(label: string): string {
  return `l${inGroup(label)}\u0000`;
}

/** Edges of a node, out of it or into it. */
export function edgeGroup(node: number, direction: "out" | "in"): string {
  return `${direction === "out" ? "o" : "i"}${idText(node)}\u0000`;
}

/** The two lines of an edge in the index. */
export function edgeLines({ id, source, target, type }: Omit<GraphEdge, "properties">): [string, string] {
  return [
    edgeGroup(source, "out") + idText(id) + idText(target) + type,
    edgeGroup(target, "in") + idText(id) + idText(source) + type,
  ];
}

/** What a line in one of a node's groups says. */
export function readLine(key: string, groupChars: number, direction: "out" | "in"): GraphNeighbor {
  const edge = readId(key, groupChars);
  const node = edge === undefined ? undefined : readId(key, edge.end);
  if (edge === undefined || node === undefined) throw damaged("An edge in the index has no ends", { key });
  return { edge: edge.id, node: node.id, type: key.slice(node.end), direction };
}

/** The id at a key's end, behind so many characters. */
export function memberId(key: string, chars: number): number {
  const member = readId(key, chars);
  if (member !== undefined && member.end === key.length) return member.id;
  throw damaged(`The key ${describe(key)} of the graph names nothing`, { key });
}

/** Longer texts, and other values of more bytes, stand in a group as a hash. */
const TEXT_CHARS_MAX = 64;
const VALUE_BYTES_MAX = 64;

function hex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += (byte + 256).toString(16).slice(1);
  return text;
}

/** A value as a part of a group: the same for values that are stored as the same bytes, and for no others. */
export function valueText(value: Value): string {
  if (typeof value === "string" && value.length <= TEXT_CHARS_MAX) return `s${inGroup(value)}`;
  const bytes = encodeToBytes(value);
  return bytes.length <= VALUE_BYTES_MAX ? `v${hex(bytes)}` : `h${hex(sha256(bytes))}`;
}

export function valueGroup(index: number, value: Value): string {
  return `p${idText(index)}${valueText(value)}\u0000`;
}

/** Every line of a node in the index. */
export function nodeLines({ id, labels, properties }: GraphNode, definitions: Definitions): string[] {
  const member = idText(id);
  const lines = [presenceKey(id)];
  for (const label of labels) {
    lines.push(labelGroup(label) + member);
    if (!Object.hasOwn(definitions, label)) continue;
    for (const [property, index] of Object.entries(definitions[label] ?? {})) {
      if (Object.hasOwn(properties, property)) lines.push(valueGroup(index, properties[property] as Value) + member);
    }
  }
  return lines;
}

export function storedNode(node: GraphNode): Value {
  return [node.labels, node.properties];
}

export function storedEdge(edge: GraphEdge): Value {
  return [edge.source, edge.target, edge.type, edge.properties];
}

/** Whether a value is one that the graph gives as an id. */
export function isId(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 1;
}

/** A node as it was stored. */
export function nodeOf(id: number, value: Value): GraphNode {
  if (Array.isArray(value) && value.length === 2) {
    const labels: unknown = value[0];
    const properties: unknown = value[1];
    if (areTexts(labels) && isPlainObject(properties)) return { id, labels, properties };
  }
  throw damaged(`What is stored as the node ${id} is none`, { id });
}

function areTexts(value: unknown): value is string[] {
  if (!Array.isArray(value)) return false;
  for (let i = 0; i < value.length; i++) if (typeof value[i] !== "string") return false;
  return true;
}

/** An edge as it was stored. */
export function edgeOf(id: number, value: Value): GraphEdge {
  if (Array.isArray(value) && value.length === 4) {
    const [source, target, type, properties] = value as unknown[];
    if (isId(source) && isId(target) && typeof type === "string" && isPlainObject(properties)) {
      return { id, source, target, type, properties };
    }
  }
  throw damaged(`What is stored as the edge ${id} is none`, { id });
}

/** Which properties are indexed, as it was stored. */
export function definitionsOf(value: Value | undefined): Definitions {
  if (value === undefined) return {};
  const isWhole =
    isPlainObject(value) &&
    Object.values(value).every((each) => isPlainObject(each) && Object.values(each).every(isId));
  if (isWhole) return value as Definitions;
  throw damaged("Which properties are indexed cannot be read", {});
}
