/**
 * Changing a graph, each in one step: whatever is written here, its lines in the index are written with it.
 */
import { HoldfastError } from "../../errors.js";
import { withPath } from "../arguments.js";
import type { Value } from "../codec.js";
import { idText } from "../names.js";
import type { StepWriter } from "../reader-writer.js";
import {
  DEFINITIONS,
  type Definitions,
  edgeKey,
  edgeLines,
  type GraphEdge,
  type GraphNode,
  INDEX,
  labelGroup,
  nodeKey,
  nodeLines,
  type Properties,
  presenceKey,
  storedEdge,
  storedNode,
  TABLE,
  valueGroup,
} from "./layout.js";
import { indexOf, listNeighbors, listNodes, readDefinitions, readEdge, readNode } from "./reading.js";

function missing(what: "node" | "edge", id: number): never {
  throw new HoldfastError("NOT_FOUND", `There is no ${what} ${id}; nothing has changed.`, { details: { id } });
}

function put(writer: StepWriter, key: string, stored: Value, path: string): void {
  withPath(path, () => writer.putOwn(TABLE, key, stored));
}

export function addNode(writer: StepWriter, given: Omit<GraphNode, "id">): number {
  const definitions = readDefinitions(writer);
  const node = { id: writer.newId(), ...given };
  put(writer, nodeKey(node.id), storedNode(node), "$[1]");
  for (const line of nodeLines(node, definitions)) writer.putOwn(INDEX, line, null);
  return node.id;
}

export function changeNode(writer: StepWriter, id: number, change: (node: GraphNode) => GraphNode): void {
  const before = readNode(writer, id) ?? missing("node", id);
  const after = change(before);
  const definitions = readDefinitions(writer);
  put(writer, nodeKey(id), storedNode(after), "$[1]");
  const lines = new Set(nodeLines(after, definitions));
  for (const line of nodeLines(before, definitions)) {
    if (!lines.delete(line)) writer.delete(INDEX, line, undefined);
  }
  for (const line of lines) writer.putOwn(INDEX, line, null);
}

export function deleteNode(writer: StepWriter, id: number): boolean {
  const node = readNode(writer, id);
  if (node === undefined) return false;
  for (const line of nodeLines(node, readDefinitions(writer))) writer.delete(INDEX, line, undefined);
  writer.delete(TABLE, nodeKey(id), undefined);
  for (const { edge, node: other, type, direction } of listNeighbors(
    writer,
    id,
    { direction: "both", types: [] },
    {},
  )) {
    const [source, target] = direction === "out" ? [id, other] : [other, id];
    deleteEdge(writer, { id: edge, source, target, type });
  }
  return true;
}

export function addEdge(writer: StepWriter, given: Omit<GraphEdge, "id">): number {
  for (const end of [given.source, given.target]) {
    if (!writer.has(INDEX, presenceKey(end))) missing("node", end);
  }
  const edge = { id: writer.newId(), ...given };
  put(writer, edgeKey(edge.id), storedEdge(edge), "$[3]");
  for (const line of edgeLines(edge)) writer.putOwn(INDEX, line, null);
  return edge.id;
}

export function changeEdge(writer: StepWriter, id: number, change: (properties: Properties) => Properties): void {
  const edge = readEdge(writer, id) ?? missing("edge", id);
  put(writer, edgeKey(id), storedEdge({ ...edge, properties: change(edge.properties) }), "$[3]");
}

export function deleteEdge(writer: StepWriter, edge: Omit<GraphEdge, "properties">): void {
  writer.delete(TABLE, edgeKey(edge.id), undefined);
  for (const line of edgeLines(edge)) writer.delete(INDEX, line, undefined);
}

export function createIndex(writer: StepWriter, label: string, property: string): boolean {
  const definitions = readDefinitions(writer);
  if (indexOf(definitions, label, property) !== undefined) return false;
  const index = writer.newId();
  const ofLabel = Object.hasOwn(definitions, label) ? (definitions[label] as Definitions[string]) : {};
  const changed = withEntry(definitions, label, withEntry(ofLabel, property, index));
  writer.putOwn(INDEX, DEFINITIONS, changed);
  for (const { id, properties } of listNodes(writer, labelGroup(label), {})) {
    if (!Object.hasOwn(properties, property)) continue;
    writer.putOwn(INDEX, valueGroup(index, properties[property] as Value) + idText(id), null);
  }
  return true;
}

export function dropIndex(writer: StepWriter, label: string, property: string): boolean {
  const definitions = readDefinitions(writer);
  const index = indexOf(definitions, label, property);
  if (index === undefined) return false;
  const { [property]: _, ...left } = definitions[label] as Definitions[string];
  writer.putOwn(INDEX, DEFINITIONS, withEntry(definitions, label, left));
  for (const key of writer.keys(INDEX, { prefix: `p${idText(index)}` })) writer.delete(INDEX, key, undefined);
  return true;
}

/** A copy with one property more; `__proto__` is one like any other. */
function withEntry<T>(object: { readonly [name: string]: T }, name: string, value: T): { readonly [name: string]: T } {
  return Object.fromEntries([...Object.entries(object), [name, value]]);
}
