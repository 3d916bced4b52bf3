/**
 * What a graph is, in the plainest way: two maps, and everything else looked for in them.
 *
 * An act is done to the store by `perform` and to the model by `predict`, which also says what the act reads and writes as
 * far as conflicts go: a resource that one transaction has read and another one has written since is a reason for a conflict,
 * and nothing else is.
 */
import { isDeepStrictEqual } from "node:util";
import {
  type GraphDirection,
  type GraphEdge,
  type GraphNeighbor,
  type GraphNeighborOptions,
  type GraphNode,
  type GraphPath,
  type GraphReader,
  type GraphStore,
  type GraphVisit,
  HoldfastError,
  type Value,
} from "../../src/index.js";

export type Properties = { readonly [name: string]: Value };
/** `undefined` removes, and stands here as a list of names of its own so that a sequence can be printed. */
export interface Patch {
  readonly set: Properties;
  readonly removed: readonly string[];
}

export type WriteAct =
  | { readonly do: "addNode"; labels: readonly string[]; properties: Properties }
  | {
      readonly do: "updateNode";
      id: number;
      labels?: readonly string[] | undefined;
      properties?: Properties | undefined;
    }
  | { readonly do: "patchNode"; id: number; patch: Patch }
  | { readonly do: "deleteNode"; id: number }
  | { readonly do: "addEdge"; source: number; target: number; type: string; properties: Properties }
  | { readonly do: "updateEdge"; id: number; properties: Properties }
  | { readonly do: "patchEdge"; id: number; patch: Patch }
  | { readonly do: "deleteEdge"; id: number }
  | { readonly do: "createIndex" | "dropIndex"; label: string; property: string };

export interface Edges {
  readonly direction: GraphDirection;
  readonly types?: readonly string[] | undefined;
}

export interface Page {
  readonly after?: number | undefined;
  readonly reverse?: boolean | undefined;
  readonly limit?: number | undefined;
}

export type ReadAct =
  | { readonly do: "getNode" | "hasNode" | "getEdge"; id: number }
  | { readonly do: "nodes" | "edges"; page: Page }
  | { readonly do: "nodeCount" | "edgeCount" | "indexes" }
  | { readonly do: "nodesByLabel"; label: string; page: Page }
  | { readonly do: "findNodes"; label: string; property: string; value: Value; page: Page }
  | { readonly do: "neighbors"; id: number; edges: Edges; page: Page }
  | { readonly do: "degree"; id: number; edges: Edges }
  | { readonly do: "bfs"; id: number; edges: Edges; depth?: number | undefined; limit?: number | undefined }
  | { readonly do: "shortestPath"; source: number; target: number; edges: Edges; depth?: number | undefined };

export type Act = WriteAct | ReadAct;

const WRITES = new Set<string>([
  "addNode",
  "updateNode",
  "patchNode",
  "deleteNode",
  "addEdge",
  "updateEdge",
  "patchEdge",
  "deleteEdge",
  "createIndex",
  "dropIndex",
]);

export function isWrite(act: Act): act is WriteAct {
  return WRITES.has(act.do);
}

/** A refusal as a result. */
export interface Refused {
  readonly refused: string;
}

const NOT_FOUND: Refused = { refused: "NOT_FOUND" };

// Doing it to the store.

function patchOf({ set, removed }: Patch): { [name: string]: Value | undefined } {
  const gone = removed.filter((name) => !Object.hasOwn(set, name)).map((name) => [name, undefined] as const);
  return Object.fromEntries<Value | undefined>([...Object.entries(set), ...gone]);
}

function write(graph: GraphStore, act: WriteAct): unknown {
  switch (act.do) {
    case "addNode":
      return graph.addNode(act.labels, act.properties);
    case "updateNode":
      return graph.updateNode(act.id, { labels: act.labels, properties: act.properties });
    case "patchNode":
      return graph.patchNode(act.id, patchOf(act.patch));
    case "deleteNode":
      return graph.deleteNode(act.id);
    case "addEdge":
      return graph.addEdge(act.source, act.target, act.type, act.properties);
    case "updateEdge":
      return graph.updateEdge(act.id, { properties: act.properties });
    case "patchEdge":
      return graph.patchEdge(act.id, patchOf(act.patch));
    case "deleteEdge":
      return graph.deleteEdge(act.id);
    default:
      return graph[act.do](act.label, act.property);
  }
}

function read(graph: GraphReader, act: ReadAct): unknown {
  switch (act.do) {
    case "getNode":
    case "hasNode":
    case "getEdge":
      return graph[act.do](act.id);
    case "nodes":
    case "edges":
      return graph[act.do](act.page);
    case "nodeCount":
    case "edgeCount":
      return graph[act.do]();
    case "indexes":
      return graph
        .indexes()
        .map(({ label, property }) => indexName(label, property))
        .sort();
    case "nodesByLabel":
      return graph.nodesByLabel(act.label, act.page);
    case "findNodes":
      return graph.findNodes(act.label, act.property, act.value, act.page);
    case "neighbors":
      return eachAsAll(graph, act.id, { ...act.edges, ...act.page });
    case "degree":
      return graph.degree(act.id, act.edges);
    case "bfs":
      return [...graph.bfs(act.id, { ...act.edges, depth: act.depth, limit: act.limit })];
    case "shortestPath":
      return graph.shortestPath(act.source, act.target, { ...act.edges, depth: act.depth });
  }
}

/** What is next to a node, asked for at once and one by one: the same, or both. */
function eachAsAll(graph: GraphReader, id: number, options: GraphNeighborOptions): unknown {
  const all = graph.neighbors(id, options);
  const each = [...graph.eachNeighbor(id, options)];
  return isDeepStrictEqual(each, all) ? all : { all, each };
}

/** Does an act; its result, or the code that it was refused with. */
export function perform(graph: GraphReader | GraphStore, act: Act): unknown {
  try {
    return isWrite(act) ? write(graph as GraphStore, act) : read(graph, act);
  } catch (error) {
    if (HoldfastError.is(error)) return { refused: error.code } satisfies Refused;
    throw error;
  }
}

// Doing it to the model.

function indexName(label: string, property: string): string {
  return JSON.stringify([label, property]);
}

/** A value as a text that only the same value has: not the encoding of the store. */
export function valueName(value: Value): string {
  if (Object.is(value, -0)) return "-0";
  if (typeof value === "bigint") return `${value}n`;
  if (value instanceof Uint8Array) return `bytes ${[...value]}`;
  if (typeof value !== "object" || value === null)
    return typeof value === "string" ? JSON.stringify(value) : `${value}`;
  if (Array.isArray(value)) return `[${value.map((item) => valueName(item as Value)).join()}]`;
  const entries = Object.entries(value as Properties);
  return `{${entries.map(([name, item]) => `${JSON.stringify(name)}:${valueName(item)}`).join()}}`;
}

function paged<T>(all: readonly T[], idOf: (item: T) => number, { after, reverse = false, limit }: Page): T[] {
  const sorted = [...all].sort((a, b) => (reverse ? idOf(b) - idOf(a) : idOf(a) - idOf(b)));
  return sorted
    .filter((item) => after === undefined || (reverse ? idOf(item) < after : idOf(item) > after))
    .slice(0, limit);
}

/** The nodes with a value in an index; a line of its own for the index. */
function indexGroup(name: string, value: Value): string {
  return `index ${name}\n${valueName(value)}`;
}

/** Groups that are written, and the indices that they belong to. */
function widened(groups: readonly string[]): string[] {
  return groups.flatMap((group) => (group.includes("\n") ? [group, group.slice(0, group.indexOf("\n"))] : [group]));
}

/** What an act came to, and what it has to do with others. */
export interface Prediction {
  readonly result: unknown;
  readonly reads: readonly string[];
  readonly writes: readonly string[];
}

const idOf = ({ id }: GraphNode | GraphEdge): number => id;

export class GraphModel {
  readonly nodes: Map<number, GraphNode>;
  readonly edges: Map<number, GraphEdge>;
  readonly indexes: Set<string>;

  constructor(from?: GraphModel) {
    this.nodes = new Map(from?.nodes);
    this.edges = new Map(from?.edges);
    this.indexes = new Set(from?.indexes);
  }

  // Reading.

  withLabel(label: string): GraphNode[] {
    return [...this.nodes.values()].filter(({ labels }) => labels.includes(label));
  }

  neighbors(id: number, { direction, types }: Edges): GraphNeighbor[] {
    const found: GraphNeighbor[] = [];
    for (const { id: edge, source, target, type } of this.edges.values()) {
      if (types !== undefined && types.length > 0 && !types.includes(type)) continue;
      if (direction !== "in" && source === id) found.push({ edge, node: target, type, direction: "out" });
      else if (direction !== "out" && target === id) found.push({ edge, node: source, type, direction: "in" });
    }
    return found.sort((a, b) => a.edge - b.edge);
  }

  bfs(start: number, edges: Edges, depthMax = Number.POSITIVE_INFINITY): GraphVisit[] {
    if (!this.nodes.has(start)) return [];
    const visits: GraphVisit[] = [{ node: start, depth: 0, parent: undefined }];
    const seen = new Set([start]);
    for (let level = visits.slice(), depth = 1; level.length > 0 && depth <= depthMax; depth++) {
      const found: GraphVisit[] = [];
      for (const { node: parent } of level) {
        for (const { node } of this.neighbors(parent, edges)) {
          if (seen.has(node)) continue;
          seen.add(node);
          found.push({ node, depth, parent });
        }
      }
      level = found.sort((a, b) => a.node - b.node);
      visits.push(...level);
    }
    return visits;
  }

  shortestPath(
    source: number,
    target: number,
    edges: Edges,
    depthMax = Number.POSITIVE_INFINITY,
  ): GraphPath | undefined {
    if (!this.nodes.has(source) || !this.nodes.has(target)) return undefined;
    const back = ({ out: "in", in: "out", both: "both" } as const)[edges.direction];
    const left = new Map(this.bfs(target, { ...edges, direction: back }).map(({ node, depth }) => [node, depth]));
    const length = left.get(source);
    if (length === undefined || length > depthMax) return undefined;
    const nodes = [source];
    const steps: number[] = [];
    for (let at = source, depth = length; depth > 0; depth--) {
      const onward = this.neighbors(at, edges).filter(({ node }) => left.get(node) === depth - 1);
      at = Math.min(...onward.map(({ node }) => node));
      nodes.push(at);
      steps.push(Math.min(...onward.filter(({ node }) => node === at).map(({ edge }) => edge)));
    }
    return { nodes, edges: steps };
  }

  #found(label: string, property: string, value: Value): GraphNode[] {
    const wanted = valueName(value);
    return this.withLabel(label).filter(
      ({ properties }) => Object.hasOwn(properties, property) && valueName(properties[property] as Value) === wanted,
    );
  }

  /** What scanning a node's edges reads. */
  #sides(id: number, direction: GraphDirection): string[] {
    return [...(direction === "in" ? [] : [`out ${id}`]), ...(direction === "out" ? [] : [`in ${id}`])];
  }

  look(act: ReadAct): Prediction {
    const nothing = { reads: [], writes: [] };
    const pageOf = (all: readonly GraphNode[], page: Page, ...reads: string[]): Prediction => {
      const result = paged(all, idOf, page);
      return { result, reads: [...reads, ...result.map(({ id }) => `node ${id}`)], writes: [] };
    };
    switch (act.do) {
      case "getNode":
        return { ...nothing, result: this.nodes.get(act.id), reads: [`node ${act.id}`] };
      case "hasNode":
        return { ...nothing, result: this.nodes.has(act.id), reads: [`presence ${act.id}`] };
      case "getEdge":
        return { ...nothing, result: this.edges.get(act.id), reads: [`edge ${act.id}`] };
      case "nodes":
        return pageOf([...this.nodes.values()], act.page, "nodes");
      case "edges": {
        const result = paged([...this.edges.values()], idOf, act.page);
        return { result, reads: ["edges", ...result.map(({ id }) => `edge ${id}`)], writes: [] };
      }
      case "nodeCount":
        return { ...nothing, result: this.nodes.size, reads: ["nodes"] };
      case "edgeCount":
        return { ...nothing, result: this.edges.size, reads: ["edges"] };
      case "indexes":
        return { ...nothing, result: [...this.indexes].sort(), reads: ["indexes"] };
      case "nodesByLabel":
        return pageOf(this.withLabel(act.label), act.page, `label ${act.label}`);
      case "findNodes": {
        const { label, property, value } = act;
        const name = indexName(label, property);
        if (this.indexes.has(name)) {
          return pageOf(this.#found(label, property, value), act.page, "indexes", indexGroup(name, value));
        }
        const { reads } = pageOf(this.withLabel(label), {}, "indexes", `label ${label}`);
        return { result: paged(this.#found(label, property, value), idOf, act.page), reads, writes: [] };
      }
      case "neighbors": {
        const result = paged(this.neighbors(act.id, act.edges), ({ edge }) => edge, act.page);
        return { ...nothing, result, reads: this.#sides(act.id, act.edges.direction) };
      }
      case "degree": {
        const result = this.neighbors(act.id, act.edges).length;
        return { ...nothing, result, reads: this.#sides(act.id, act.edges.direction) };
      }
      case "bfs": {
        const all = this.bfs(act.id, act.edges, act.depth);
        const reads = all.flatMap(({ node, depth }) =>
          depth < (act.depth ?? Number.POSITIVE_INFINITY) ? this.#sides(node, act.edges.direction) : [],
        );
        return { result: all.slice(0, act.limit), reads: [`presence ${act.id}`, ...reads], writes: [] };
      }
      case "shortestPath": {
        const back = ({ out: "in", in: "out", both: "both" } as const)[act.edges.direction];
        const met = this.bfs(act.target, { ...act.edges, direction: back }, act.depth);
        const reads = met.flatMap(({ node }) => [`in ${node}`, `out ${node}`]);
        const result = this.shortestPath(act.source, act.target, act.edges, act.depth);
        return { result, reads: [`presence ${act.source}`, `presence ${act.target}`, ...reads], writes: [] };
      }
    }
  }

  // Writing.

  /** The groups of the index that a node stands in. */
  #groupsOf(node: GraphNode | undefined): string[] {
    if (node === undefined) return [];
    const groups: string[] = [];
    for (const label of node.labels) {
      groups.push(`label ${label}`);
      for (const [property, value] of Object.entries(node.properties)) {
        const name = indexName(label, property);
        if (this.indexes.has(name)) groups.push(indexGroup(name, value));
      }
    }
    return groups;
  }

  #changeNode(id: number, change: (node: GraphNode) => GraphNode): Prediction {
    const before = this.nodes.get(id);
    const reads = [`node ${id}`, "indexes"];
    if (before === undefined) return { result: NOT_FOUND, reads, writes: [] };
    const after = change(before);
    this.nodes.set(id, after);
    const [left, joined] = [new Set(this.#groupsOf(before)), new Set(this.#groupsOf(after))];
    const moved = [...left, ...joined].filter((group) => left.has(group) !== joined.has(group));
    // A line of the index that is deleted is looked at.
    const looked = moved.filter((group) => left.has(group)).map((group) => `${group} of ${id}`);
    const lines = moved.map((group) => `${group} of ${id}`);
    return { result: undefined, reads: [...reads, ...looked], writes: [`node ${id}`, ...widened(moved), ...lines] };
  }

  #changeEdge(id: number, change: (properties: Properties) => Properties): Prediction {
    const edge = this.edges.get(id);
    if (edge === undefined) return { result: NOT_FOUND, reads: [`edge ${id}`], writes: [] };
    this.edges.set(id, { ...edge, properties: change(edge.properties) });
    return { result: undefined, reads: [`edge ${id}`], writes: [`edge ${id}`] };
  }

  #removeEdge({ id, source, target }: GraphEdge): string[] {
    this.edges.delete(id);
    return [`edge ${id}`, "edges", `out ${source}`, `in ${target}`];
  }

  #deleteNode(id: number): Prediction {
    const node = this.nodes.get(id);
    const reads = [`node ${id}`];
    if (node === undefined) return { result: false, reads, writes: [] };
    const edges = [...this.edges.values()].filter(({ source, target }) => source === id || target === id);
    const groups = this.#groupsOf(node);
    const lines = groups.map((group) => `${group} of ${id}`);
    const removed = edges.flatMap((edge) => this.#removeEdge(edge));
    this.nodes.delete(id);
    return {
      result: true,
      reads: [
        ...reads,
        "indexes",
        `presence ${id}`,
        `out ${id}`,
        `in ${id}`,
        ...lines,
        ...edges.map((e) => `edge ${e.id}`),
      ],
      writes: [`node ${id}`, `presence ${id}`, "nodes", ...widened(groups), ...lines, ...removed],
    };
  }

  /** Does a write; `made` is the id that the store has given. */
  change(act: WriteAct, made: number): Prediction {
    switch (act.do) {
      case "addNode": {
        const node = { id: made, labels: [...new Set(act.labels)], properties: act.properties };
        this.nodes.set(made, node);
        const writes = [`node ${made}`, `presence ${made}`, "nodes", ...widened(this.#groupsOf(node))];
        return { result: made, reads: ["indexes"], writes };
      }
      case "updateNode": {
        const { labels, properties } = act;
        return this.#changeNode(act.id, (node) => ({
          ...node,
          ...(labels === undefined ? {} : { labels: [...new Set(labels)] }),
          ...(properties === undefined ? {} : { properties }),
        }));
      }
      case "patchNode":
        return this.#changeNode(act.id, (node) => ({ ...node, properties: patched(node.properties, act.patch) }));
      case "deleteNode":
        return this.#deleteNode(act.id);
      case "addEdge": {
        const { source, target, type, properties } = act;
        const reads = [`presence ${source}`, `presence ${target}`];
        if (!this.nodes.has(source) || !this.nodes.has(target)) return { result: NOT_FOUND, reads, writes: [] };
        this.edges.set(made, { id: made, source, target, type, properties });
        return { result: made, reads, writes: [`edge ${made}`, "edges", `out ${source}`, `in ${target}`] };
      }
      case "updateEdge":
        return this.#changeEdge(act.id, () => act.properties);
      case "patchEdge":
        return this.#changeEdge(act.id, (properties) => patched(properties, act.patch));
      case "deleteEdge": {
        const edge = this.edges.get(act.id);
        const reads = [`edge ${act.id}`];
        return { result: edge !== undefined, reads, writes: edge === undefined ? [] : this.#removeEdge(edge) };
      }
      case "createIndex":
        return this.#createIndex(act.label, act.property);
      case "dropIndex": {
        const name = indexName(act.label, act.property);
        const was = this.indexes.delete(name);
        return { result: was, reads: ["indexes", ...(was ? [`index ${name}`] : [])], writes: was ? ["indexes"] : [] };
      }
    }
  }

  #createIndex(label: string, property: string): Prediction {
    const name = indexName(label, property);
    if (this.indexes.has(name)) return { result: false, reads: ["indexes"], writes: [] };
    const nodes = this.withLabel(label);
    this.indexes.add(name);
    const reads = ["indexes", `label ${label}`, ...nodes.map(({ id }) => `node ${id}`)];
    return { result: true, reads, writes: ["indexes"] };
  }
}

/** Does an act to the model. */
export function predict(model: GraphModel, act: Act, made: number): Prediction {
  return isWrite(act) ? model.change(act, made) : model.look(act);
}

function patched(properties: Properties, { set, removed }: Patch): Properties {
  const kept = Object.entries(properties).filter(([name]) => Object.hasOwn(set, name) || !removed.includes(name));
  const names = new Set(kept.map(([name]) => name));
  const made = Object.entries(set).filter(([name]) => !names.has(name));
  const entries = kept.map(([name, value]) => [name, Object.hasOwn(set, name) ? (set[name] as Value) : value] as const);
  return Object.fromEntries<Value>([...entries, ...made]);
}
