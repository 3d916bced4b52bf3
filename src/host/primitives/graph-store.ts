/**
 * The graph: nodes with labels and properties, edges with a type and properties between them.
 *
 * What it keeps true:
 *  - an edge never dangles: adding one reads that its ends are there, deleting a node reads that no edge has come to it;
 *  - what is changed of a node is no business of its edges, and adding an edge none of another one's: neither conflicts;
 *  - the index is written in the same step as what it follows from (graph/layout.ts);
 *  - every listing is in the order of ids, and ids rise with time.
 */
import { readOptions } from "../arguments.js";
import type { Value } from "../codec.js";
import {
  addEdge,
  addNode,
  changeEdge,
  changeNode,
  createIndex,
  deleteEdge,
  deleteNode,
  dropIndex,
} from "../graph/changes.js";
import { checkGraph, type GraphReport, rebuildGraph } from "../graph/check.js";
import {
  checkCount,
  checkId,
  checkProperty,
  type GraphEdgeOptions,
  type GraphIndex,
  type GraphNeighborOptions,
  type GraphNodeUpdate,
  type GraphPageOptions,
  type GraphPatch,
  type GraphPathOptions,
  type GraphWalkOptions,
  patched,
  readEdges,
  readIds,
  readLabels,
  readNeighborOptions,
  readPage,
  readPatch,
  readPath,
  readProperties,
  readWalk,
} from "../graph/given.js";
import {
  EDGE,
  edgeGroup,
  edgeKey,
  edgeOf,
  type GraphEdge,
  type GraphNeighbor,
  type GraphNode,
  INDEX,
  labelGroup,
  memberId,
  NODES,
  nodeKey,
  nodeOf,
  type Properties,
  presenceKey,
  TABLE,
  valueGroup,
  valueText,
} from "../graph/layout.js";
import {
  boundsOf,
  eachNeighbor,
  indexOf,
  listNeighbors,
  listNodes,
  readDefinitions,
  readEdge,
  readNode,
} from "../graph/reading.js";
import { type GraphPath, GraphWalk, shortestPath } from "../graph/walk.js";
import { checkName } from "../names.js";
import type { Reader, StepOptions, StepWriter, Writer } from "../reader-writer.js";
import { copyValue } from "../value-bytes.js";

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
    const edges = readEdges(options, "degree");
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
    const plan = readWalk(options, "bfs");
    return new GraphWalk(this.#reader.hold(), id, plan);
  }

  /**
   * A shortest path between two nodes, `undefined` if there is none: of several, the one whose next node has the least id at
   * each step, over the edges with the least ids. Throws what {@link GraphReader.bfs} does.
   */
  shortestPath(source: number, target: number, options?: GraphPathOptions): GraphPath | undefined {
    checkId(source, "The source");
    checkId(target, "The target");
    const plan = readPath(options, "shortestPath");
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
    const node = { labels: readLabels(labels), properties: readProperties(properties) };
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
    const edge = { source, target, type, properties: readProperties(properties) };
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
