/**
 * The graph: nodes with labels and properties, edges with a type and properties between them.
 *
 * What it keeps true:
 *  - an edge never dangles: adding one reads that its ends are there, deleting a node reads that no edge has come to it;
 *  - what is changed of a node is no business of its edges, and adding an edge none of another one's: neither conflicts;
 *  - the index is written in the same step as what it follows from (graph/layout.ts);
 *  - every listing is in the order of ids, and ids rise with time.
 */
import { HoldfastError } from "../../errors.js";
import { checkSignal, describe, isPlainObject, readOptions, refuseArgument, withPath } from "../arguments.js";
import type { Value } from "../codec.js";
import { checkGraph, type GraphReport, rebuildGraph } from "../graph/check.js";
import {
  DEFINITIONS,
  type Definitions,
  damaged,
  definitionsOf,
  EDGE,
  edgeGroup,
  edgeKey,
  edgeLines,
  edgeOf,
  type GraphEdge,
  type GraphNeighbor,
  type GraphNode,
  INDEX,
  isId,
  labelGroup,
  memberId,
  NODES,
  nodeKey,
  nodeLines,
  nodeOf,
  type Properties,
  presenceKey,
  readLine,
  storedEdge,
  storedNode,
  TABLE,
  valueGroup,
  valueText,
} from "../graph/layout.js";
import { type GraphPath, GraphWalk, shortestPath, type WalkPlan } from "../graph/walk.js";
import { checkName, idText, readTags } from "../names.js";
import type { GraphDirection, Reader, StepOptions, StepWriter, Writer } from "../reader-writer.js";
import { copyValue } from "../value-bytes.js";

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

function checkId(id: unknown, what: string): asserts id is number {
  if (!isId(id)) throw refuseArgument(`${what} must be an id that the graph has given, got ${describe(id)}.`);
}

function checkCount(count: unknown, what: string): number {
  if (count === undefined) return Number.POSITIVE_INFINITY;
  if (count === Number.POSITIVE_INFINITY || (Number.isInteger(count) && (count as number) >= 0)) return count as number;
  throw refuseArgument(`${what} must be a whole number that is not negative, got ${describe(count)}.`);
}

/** A checked copy of a list of ids. The first that is none ends it, however long an array says that it is. */
function readIds(given: unknown, what: string): number[] {
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
function readLabels(given: unknown): string[] {
  if (typeof given !== "string") return readTags(given);
  checkName(given, "A label");
  return [given];
}

/** Properties that are given, the caller's still: encoding them says whether they can be stored. */
function checkProperties(given: unknown): Properties {
  if (given === undefined) return {};
  try {
    if (isPlainObject(given)) return given;
  } catch (cause) {
    // A Proxy that was revoked cannot even be asked whether it is an array.
    throw refuseArgument("The properties threw when they were read.", cause);
  }
  throw refuseArgument(`properties must be a plain object, got ${describe(given)}.`);
}

/** The same as they are at this moment, for whoever looks at them more than once. */
function readProperties(given: unknown): Properties {
  return copyValue(checkProperties(given)) as Properties;
}

/** Whether it is what the value model takes for an object, and no instance of anything. May throw what a Proxy throws. */
function isPlain(given: unknown): given is object {
  if (typeof given !== "object" || given === null) return false;
  const prototype: unknown = Object.getPrototypeOf(given);
  return prototype === null || prototype === Object.prototype;
}

/** The changes of a patch, as they are at this moment: what is set, and the names of what is removed. */
function readPatch(given: unknown): { readonly set: Properties; readonly removed: readonly string[] } {
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

function patched(properties: Properties, { set, removed }: ReturnType<typeof readPatch>): Properties {
  return Object.fromEntries(
    Object.entries({ ...properties, ...set }).filter(([name]) => Object.hasOwn(set, name) || !removed.includes(name)),
  );
}

/** A page of ids, as a listing of keys takes it. */
function boundsOf(prefix: string, { after, reverse, limit }: GraphPageOptions): object {
  checkCount(limit, "limit");
  if (after === undefined) return { prefix, reverse, limit };
  checkId(after, "after");
  const bound = reverse ? { end: prefix + idText(after) } : { start: prefix + idText(after + 1) };
  return { prefix, reverse, limit, ...bound };
}

function readPage(given: GraphPageOptions | undefined, what: string): GraphPageOptions {
  return readOptions<GraphPageOptions>(given, PAGE_OPTIONS, what);
}

interface Edges {
  readonly direction: GraphDirection;
  readonly types: readonly string[];
}

function readEdges({ direction = "out", type, types }: GraphEdgeOptions): Edges {
  if (direction !== "out" && direction !== "in" && direction !== "both") {
    throw refuseArgument(`direction must be "out", "in" or "both", got ${describe(direction)}.`);
  }
  if (type !== undefined && types !== undefined) throw refuseArgument("Give type or types, not both.");
  if (type !== undefined) checkName(type, "The type of an edge");
  const chosen = type === undefined ? (types === undefined ? [] : readTags(types)) : [type];
  if (types !== undefined && chosen.length === 0) {
    throw refuseArgument("types is empty. Leave it out to follow all edges.");
  }
  return { direction, types: chosen };
}

function readNeighborOptions(id: number, given: GraphNeighborOptions | undefined, what: string) {
  checkId(id, "The id of a node");
  const options = readOptions<GraphNeighborOptions>(given, NEIGHBOR_OPTIONS, what);
  const { after, reverse, limit } = options;
  return { edges: readEdges(options), page: { after, reverse, limit }, most: checkCount(limit, "limit") };
}

function readWalk(
  given: GraphWalkOptions | undefined,
  names: readonly (keyof GraphWalkOptions)[],
  what: string,
): WalkPlan {
  const options = readOptions<GraphWalkOptions>(given, names, what);
  checkSignal(options.signal);
  const { direction, types } = readEdges(options);
  return {
    direction,
    types,
    depth: checkCount(options.depth, "depth"),
    limit: checkCount(options.limit, "limit"),
    signal: options.signal,
  };
}

/** A graph that can be read: of a snapshot. Labels and types are 1 to 256 bytes of UTF-8; ids are whole numbers from 1 on. */
export class GraphReader {
  readonly #reader: Reader;

  /** @internal */
  constructor(reader: Reader) {
    this.#reader = reader;
  }

  /**
   * A node, `undefined` if there is none. One look-up.
   * @throws HoldfastError `INVALID_ARGUMENT`, `CORRUPTION`, `CLOSED`.
   */
  getNode(id: number): GraphNode | undefined {
    checkId(id, "The id of a node");
    return readNode(this.#reader, id);
  }

  /** Several nodes as of one instant, in the order asked for. */
  getNodes(ids: readonly number[]): (GraphNode | undefined)[] {
    return this.#getMany(ids, "getNodes", nodeKey, nodeOf);
  }

  /** Whether there is such a node. */
  hasNode(id: number): boolean {
    checkId(id, "The id of a node");
    return this.#reader.has(INDEX, presenceKey(id));
  }

  /** An edge, `undefined` if there is none. One look-up. */
  getEdge(id: number): GraphEdge | undefined {
    checkId(id, "The id of an edge");
    return readEdge(this.#reader, id);
  }

  /** Several edges as of one instant, in the order asked for. */
  getEdges(ids: readonly number[]): (GraphEdge | undefined)[] {
    return this.#getMany(ids, "getEdges", edgeKey, edgeOf);
  }

  #getMany<T>(
    given: readonly number[],
    what: string,
    keyOf: (id: number) => string,
    itemOf: (id: number, value: Value) => T,
  ): (T | undefined)[] {
    const ids = readIds(given, what);
    const values = this.#reader.getMany(TABLE, ids.map(keyOf));
    return values.map((value, index) => (value === undefined ? undefined : itemOf(ids[index] as number, value)));
  }

  /** All nodes, or a page of them, by id. */
  nodes(options?: GraphPageOptions): GraphNode[] {
    return this.#listed(NODES, readPage(options, "nodes"));
  }

  /** All edges, or a page of them, by id. Looks through all that there is in the graph. */
  edges(options?: GraphPageOptions): GraphEdge[] {
    const found = this.#reader.list(TABLE, boundsOf(EDGE, readPage(options, "edges")));
    return found.map(([key, value]) => edgeOf(memberId(key, EDGE.length), value));
  }

  /** How many nodes there are. Takes as long as there are many. */
  nodeCount(): number {
    return this.#reader.count(INDEX, NODES);
  }

  /** How many edges there are. Looks through all that there is in the graph. */
  edgeCount(): number {
    return this.#reader.count(TABLE, EDGE);
  }

  /** The nodes with a label, or a page of them, by id. Takes as long as there are many of them. */
  nodesByLabel(label: string, options?: GraphPageOptions): GraphNode[] {
    checkName(label, "A label");
    return this.#listed(labelGroup(label), readPage(options, "nodesByLabel"));
  }

  /**
   * The nodes with a label that have a value in a property, or a page of them, by id. Values are the same when they are
   * stored as the same bytes: `1` and `1n` are not, nor are objects whose properties stand in another order. Where the
   * property is indexed ({@link GraphStore.createIndex}) this takes as long as there are many of them; otherwise it looks
   * through the nodes with the label.
   * @throws HoldfastError `INVALID_KEY`, `INVALID_ARGUMENT`, `INVALID_VALUE`, `CORRUPTION`, `CLOSED`.
   */
  findNodes(label: string, property: string, value: Value, options?: GraphPageOptions): GraphNode[] {
    checkName(label, "A label");
    checkProperty(property);
    const page = readPage(options, "findNodes");
    const wanted = copyValue(value);
    return this.#reader.view((reader) => {
      const definitions = readDefinitions(reader);
      const index = indexOf(definitions, label, property);
      if (index !== undefined) return listNodes(reader, valueGroup(index, wanted), page);
      const text = valueText(wanted);
      const { limit, ...bounds } = page;
      const most = checkCount(limit, "limit");
      const found = listNodes(reader, labelGroup(label), bounds).filter(
        ({ properties }) => Object.hasOwn(properties, property) && valueText(properties[property] as Value) === text,
      );
      return found.slice(0, most);
    });
  }

  #listed(group: string, page: GraphPageOptions): GraphNode[] {
    return this.#reader.view((reader) => listNodes(reader, group, page));
  }

  /** Which properties are indexed. */
  indexes(): GraphIndex[] {
    return Object.entries(readDefinitions(this.#reader)).flatMap(([label, properties]) =>
      Object.keys(properties).map((property) => ({ label, property })),
    );
  }

  /**
   * What a node's edges lead to, by the edges' ids: an edge that leads from the node to itself stands in it once. Takes as long
   * as the node has edges, also for a page of them. Of a node that is not there, nothing.
   * @throws HoldfastError `INVALID_ARGUMENT`, `INVALID_KEY`, `CORRUPTION`, `CLOSED`.
   */
  neighbors(id: number, options?: GraphNeighborOptions): GraphNeighbor[] {
    const { edges, page, most } = readNeighborOptions(id, options, "neighbors");
    return this.#reader.view((reader) => listNeighbors(reader, id, edges, page).slice(0, most));
  }

  /**
   * The same one by one, for nodes with very many edges: as of the instant when the first is asked for, in portions that grow, so
   * that neither memory nor the time to the first of them grows with the node. `break` ends it before its time.
   */
  eachNeighbor(id: number, options?: GraphNeighborOptions): IterableIterator<GraphNeighbor> {
    const { edges, page, most } = readNeighborOptions(id, options, "eachNeighbor");
    return eachNeighbor(this.#reader, id, edges, page, most);
  }

  /** How many there are of what {@link GraphReader.neighbors} returns. */
  degree(id: number, options?: GraphEdgeOptions): number {
    checkId(id, "The id of a node");
    const edges = readEdges(readOptions<GraphEdgeOptions>(options, EDGE_OPTIONS, "degree"));
    if (edges.direction !== "both" && edges.types.length === 0) {
      return this.#reader.count(INDEX, edgeGroup(id, edges.direction));
    }
    return this.#reader.view((reader) => listNeighbors(reader, id, edges, {}).length);
  }

  /**
   * Walks breadth first from a node: each node that can be come to once, the start first, by depth and then by id. What is
   * walked is the graph as it is now, in a transaction with what that writes while it goes on; `break` ends it before its time. Of
   * a node that is not there, nothing.
   *
   * ```ts
   * for (const { node, depth } of run.graph.bfs(1, { depth: 2, types: ["imports"] })) console.log(depth, node);
   * ```
   * @throws HoldfastError `INVALID_ARGUMENT`, `INVALID_KEY`; from the walk `STORE_FULL`, `TIMEOUT` when its signal is
   *   aborted, `CORRUPTION`, `BUSY`, `TRANSACTION_CLOSED`, `CLOSED`.
   */
  bfs(id: number, options?: GraphWalkOptions): GraphWalk {
    checkId(id, "The id of a node");
    const plan = readWalk(options, WALK_OPTIONS, "bfs");
    return new GraphWalk(this.#reader.hold(), id, plan);
  }

  /**
   * A shortest path between two nodes, `undefined` if there is none: of several, the one whose next node has the least id at
   * each step, over the edges with the least ids. Throws what {@link GraphReader.bfs} does.
   */
  shortestPath(source: number, target: number, options?: GraphPathOptions): GraphPath | undefined {
    checkId(source, "The source");
    checkId(target, "The target");
    const plan = readWalk(options, PATH_OPTIONS, "shortestPath");
    const held = this.#reader.hold();
    try {
      return shortestPath(held, source, target, plan);
    } finally {
      held.release();
    }
  }

  /**
   * Compares every node and edge with the index.
   * @throws HoldfastError `CLOSED`, and what a listing does.
   */
  verify(): GraphReport {
    return this.#reader.view(checkGraph);
  }
}

function readNode(reader: Reader, id: number): GraphNode | undefined {
  const stored = reader.get(TABLE, nodeKey(id));
  return stored === undefined ? undefined : nodeOf(id, stored);
}

function readEdge(reader: Reader, id: number): GraphEdge | undefined {
  const stored = reader.get(TABLE, edgeKey(id));
  return stored === undefined ? undefined : edgeOf(id, stored);
}

function readDefinitions(reader: Reader): Definitions {
  return definitionsOf(reader.get(INDEX, DEFINITIONS));
}

function indexOf(definitions: Definitions, label: string, property: string): number | undefined {
  if (!Object.hasOwn(definitions, label)) return undefined;
  const properties = definitions[label] as Definitions[string];
  return Object.hasOwn(properties, property) ? properties[property] : undefined;
}

/** The nodes that a group of the index names. */
function listNodes(reader: Reader, group: string, page: GraphPageOptions): GraphNode[] {
  const ids = reader.keys(INDEX, boundsOf(group, page)).map((key) => memberId(key, group.length));
  return reader.getMany(TABLE, ids.map(nodeKey)).map((value, index) => {
    const id = ids[index] as number;
    if (value === undefined) throw damaged(`The index names the node ${id}, which is not there`, { id });
    return nodeOf(id, value);
  });
}

function listNeighbors(reader: Reader, id: number, edges: Edges, page: GraphPageOptions): GraphNeighbor[] {
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

function* eachNeighbor(
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

function missing(what: "node" | "edge", id: number): never {
  throw new HoldfastError("NOT_FOUND", `There is no ${what} ${id}; nothing has changed.`, { details: { id } });
}

function checkProperty(name: unknown): asserts name is string {
  if (typeof name !== "string") throw refuseArgument(`A property's name must be a string, got ${describe(name)}.`);
}

/**
 * The graph of a run or a transaction. Each method that changes something is one step of its own on a run, and a part of it in
 * a transaction.
 *
 * ```ts
 * const ada = run.graph.addNode("person", { name: "Ada" });
 * const engine = run.graph.addNode(["machine", "idea"], { year: 1837 });
 * run.graph.addEdge(ada, engine, "wrote-about", { pages: 66 });
 * run.graph.neighbors(ada); // [{ edge: 3, node: 2, type: "wrote-about", direction: "out" }]
 * run.graph.deleteNode(engine); // true, and its edge is gone with it
 * ```
 */
export class GraphStore extends GraphReader {
  readonly #writer: Writer;

  /** @internal */
  constructor(writer: Writer) {
    super(writer);
    this.#writer = writer;
  }

  #step<T>(body: (writer: StepWriter) => T, given: StepOptions | undefined, what: string): T {
    return this.#writer.step(body, readOptions<StepOptions>(given, ["durability"], what));
  }

  /**
   * Adds a node; returns its id, which the run never gives again. Where what added it is rolled back it is not given again as
   * long as the database is open, but for a run that nothing was ever committed to, which is forgotten as a whole.
   * @throws HoldfastError `INVALID_KEY` for a label, `INVALID_ARGUMENT`; `INVALID_VALUE` with `details.path`;
   *   `VALUE_TOO_LARGE`, and what a transaction's commit does.
   */
  addNode(labels: string | readonly string[], properties?: Properties, options?: StepOptions): number {
    const node = { labels: readLabels(labels), properties: checkProperties(properties) };
    return this.#step((writer) => addNode(writer, node), options, "addNode");
  }

  /**
   * Replaces the labels of a node, its properties, or both.
   * @throws HoldfastError `NOT_FOUND`, and what {@link GraphStore.addNode} does.
   */
  updateNode(id: number, update: GraphNodeUpdate, options?: StepOptions): void {
    checkId(id, "The id of a node");
    const given = readOptions<GraphNodeUpdate>(update, ["labels", "properties"], "updateNode");
    const labels = given.labels === undefined ? undefined : readLabels(given.labels);
    const properties = given.properties === undefined ? undefined : readProperties(given.properties);
    const change = (node: GraphNode): GraphNode => ({
      id,
      labels: labels ?? node.labels,
      properties: properties ?? node.properties,
    });
    this.#step((writer) => changeNode(writer, id, change), options, "updateNode");
  }

  /** Sets single properties of a node, or removes those that are given as `undefined`. Throws what {@link GraphStore.updateNode} does. */
  patchNode(id: number, patch: GraphPatch, options?: StepOptions): void {
    checkId(id, "The id of a node");
    const changes = readPatch(patch);
    const change = (node: GraphNode): GraphNode => ({ ...node, properties: patched(node.properties, changes) });
    this.#step((writer) => changeNode(writer, id, change), options, "patchNode");
  }

  /**
   * Deletes a node with all of its edges; whether it was there. Of a node with so many edges that this does not fit into a
   * transaction, delete edges first.
   * @throws HoldfastError `TRANSACTION_TOO_LARGE`, `CORRUPTION`, and what a transaction's commit does.
   */
  deleteNode(id: number, options?: StepOptions): boolean {
    checkId(id, "The id of a node");
    return this.#step((writer) => deleteNode(writer, id), options, "deleteNode");
  }

  /**
   * Adds an edge; returns its id. There may be others between the same nodes, and it may lead from a node to itself.
   * @throws HoldfastError `NOT_FOUND` if one of the nodes is not there; `INVALID_KEY` for the type; otherwise what
   *   {@link GraphStore.addNode} does.
   */
  addEdge(source: number, target: number, type: string, properties?: Properties, options?: StepOptions): number {
    checkId(source, "The source");
    checkId(target, "The target");
    checkName(type, "The type of an edge");
    const edge = { source, target, type, properties: checkProperties(properties) };
    return this.#step((writer) => addEdge(writer, edge), options, "addEdge");
  }

  /** Replaces the properties of an edge. Its ends and its type never change. @throws HoldfastError as {@link GraphStore.updateNode}. */
  updateEdge(id: number, update: { readonly properties: Properties }, options?: StepOptions): void {
    checkId(id, "The id of an edge");
    const given = readOptions<{ properties: Properties }>(update, ["properties"], "updateEdge");
    const properties = given.properties === undefined ? undefined : readProperties(given.properties);
    this.#step((writer) => changeEdge(writer, id, (before) => properties ?? before), options, "updateEdge");
  }

  /** Sets single properties of an edge, or removes those that are given as `undefined`. */
  patchEdge(id: number, patch: GraphPatch, options?: StepOptions): void {
    checkId(id, "The id of an edge");
    const changes = readPatch(patch);
    this.#step((writer) => changeEdge(writer, id, (before) => patched(before, changes)), options, "patchEdge");
  }

  /** Deletes an edge; whether it was there. */
  deleteEdge(id: number, options?: StepOptions): boolean {
    checkId(id, "The id of an edge");
    return this.#step(
      (writer) => {
        const edge = readEdge(writer, id);
        if (edge !== undefined) deleteEdge(writer, edge);
        return edge !== undefined;
      },
      options,
      "deleteEdge",
    );
  }

  /**
   * Indexes a property of the nodes with a label, those that are there included; false if it was indexed already. A node
   * without the property is not in the index.
   * @throws HoldfastError `INVALID_KEY`, `INVALID_ARGUMENT`, `TRANSACTION_TOO_LARGE` where there are too many nodes for one
   *   transaction, and what a transaction's commit does.
   */
  createIndex(label: string, property: string, options?: StepOptions): boolean {
    checkName(label, "A label");
    checkProperty(property);
    return this.#step((writer) => createIndex(writer, label, property), options, "createIndex");
  }

  /** Removes an index; false if there was none. Looks through the whole index of the graph. */
  dropIndex(label: string, property: string, options?: StepOptions): boolean {
    checkName(label, "A label");
    checkProperty(property);
    return this.#step((writer) => dropIndex(writer, label, property), options, "dropIndex");
  }

  /** Makes the index say again what nodes and edges say; what {@link GraphReader.verify} would have found before. */
  rebuild(options?: StepOptions): GraphReport {
    return this.#step(rebuildGraph, options, "rebuild");
  }
}

function put(writer: StepWriter, key: string, stored: Value, path: string): void {
  withPath(path, () => writer.put(TABLE, key, stored, undefined));
}

function addNode(writer: StepWriter, given: Omit<GraphNode, "id">): number {
  const { labels } = given;
  const definitions = readDefinitions(writer);
  const isIndexed = labels.some((label) => Object.hasOwn(definitions, label));
  const properties = isIndexed ? (copyValue(given.properties) as Properties) : given.properties;
  const node = { id: writer.newId(), labels, properties };
  put(writer, nodeKey(node.id), storedNode(node), "$[1]");
  for (const line of nodeLines(node, definitions)) writer.put(INDEX, line, null, undefined);
  return node.id;
}

function changeNode(writer: StepWriter, id: number, change: (node: GraphNode) => GraphNode): void {
  const before = readNode(writer, id) ?? missing("node", id);
  const after = change(before);
  const definitions = readDefinitions(writer);
  put(writer, nodeKey(id), storedNode(after), "$[1]");
  const lines = new Set(nodeLines(after, definitions));
  for (const line of nodeLines(before, definitions)) {
    if (!lines.delete(line)) writer.delete(INDEX, line, undefined);
  }
  for (const line of lines) writer.put(INDEX, line, null, undefined);
}

function deleteNode(writer: StepWriter, id: number): boolean {
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

function addEdge(writer: StepWriter, given: Omit<GraphEdge, "id">): number {
  for (const end of [given.source, given.target]) {
    if (!writer.has(INDEX, presenceKey(end))) missing("node", end);
  }
  const edge = { id: writer.newId(), ...given };
  put(writer, edgeKey(edge.id), storedEdge(edge), "$[3]");
  for (const line of edgeLines(edge)) writer.put(INDEX, line, null, undefined);
  return edge.id;
}

function changeEdge(writer: StepWriter, id: number, change: (properties: Properties) => Properties): void {
  const edge = readEdge(writer, id) ?? missing("edge", id);
  put(writer, edgeKey(id), storedEdge({ ...edge, properties: change(edge.properties) }), "$[3]");
}

function deleteEdge(writer: StepWriter, edge: Omit<GraphEdge, "properties">): void {
  writer.delete(TABLE, edgeKey(edge.id), undefined);
  for (const line of edgeLines(edge)) writer.delete(INDEX, line, undefined);
}

function createIndex(writer: StepWriter, label: string, property: string): boolean {
  const definitions = readDefinitions(writer);
  if (indexOf(definitions, label, property) !== undefined) return false;
  const index = writer.newId();
  const ofLabel = Object.hasOwn(definitions, label) ? (definitions[label] as Definitions[string]) : {};
  const changed = withEntry(definitions, label, withEntry(ofLabel, property, index));
  writer.put(INDEX, DEFINITIONS, changed, undefined);
  for (const { id, properties } of listNodes(writer, labelGroup(label), {})) {
    if (!Object.hasOwn(properties, property)) continue;
    writer.put(INDEX, valueGroup(index, properties[property] as Value) + idText(id), null, undefined);
  }
  return true;
}

function dropIndex(writer: StepWriter, label: string, property: string): boolean {
  const definitions = readDefinitions(writer);
  const index = indexOf(definitions, label, property);
  if (index === undefined) return false;
  const { [property]: _, ...left } = definitions[label] as Definitions[string];
  writer.put(INDEX, DEFINITIONS, withEntry(definitions, label, left), undefined);
  for (const key of writer.keys(INDEX, { prefix: `p${idText(index)}` })) writer.delete(INDEX, key, undefined);
  return true;
}

/** A copy with one property more; `__proto__` is one like any other. */
function withEntry<T>(object: { readonly [name: string]: T }, name: string, value: T): { readonly [name: string]: T } {
  return Object.fromEntries([...Object.entries(object), [name, value]]);
}
