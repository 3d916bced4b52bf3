/**
 * A graph and its model side by side: every operation is done to both, and whatever can be seen must be the same.
 *
 * A transaction that commits must be as if it had been made at that moment: all that it did is done to the model again, with
 * the ids that it was given, and must come to the same. It may be refused only where it has read what another one has
 * written since.
 */
import {
  Database,
  type GraphDirection,
  type GraphReader,
  type GraphStore,
  type GraphVisit,
  type GraphWalk,
  HoldfastError,
  type OpenOptions,
  type Transaction,
  type Value,
} from "../../src/index.js";
import { type Build, moduleOf } from "../support/builds.js";
import { expectSame } from "../support/history.js";
import { SeededEnvironment } from "../support/seeded-environment.js";
import { SimulatedDisk } from "../support/simulated-storage.js";
import { type Act, GraphModel, isWrite, type Page, perform, predict, type ReadAct, valueName } from "./graph-oracle.js";

export type Operation =
  | { readonly op: "do"; act: LooseAct }
  | { readonly op: "begin" }
  | { readonly op: "in"; index: number; act: LooseAct }
  | { readonly op: "commit"; index: number }
  | { readonly op: "rollback"; index: number }
  | { readonly op: "snapshot"; whole: boolean }
  | { readonly op: "look"; index: number }
  | { readonly op: "dispose"; index: number }
  | { readonly op: "walk"; at: number; direction: GraphDirection }
  | { readonly op: "step"; index: number; visits: number }
  | { readonly op: "check" }
  | { readonly op: "checkpoint" | "reopen" | "transfer" | "crash" | "rebuild" };

/** An act that names nodes and edges by a number, which is taken modulo those that there are and one that there is not. */
export type LooseAct = Act;

/** What the random acts are made of, and what is looked for in the end. */
export const LABELS = ["a", "b", "a\u0000", "__proto__"] as const;
export const PROPERTIES = ["p", "q", "__proto__"] as const;
export const TYPES = ["t", "u", "t\u0000"] as const;
export const VALUES: readonly Value[] = [
  0,
  -0,
  1,
  1n,
  Number.NaN,
  null,
  "",
  "1",
  "a\u0001",
  "x".repeat(140),
  Uint8Array.of(1, 2),
  [1, [2]],
  { a: 1 },
];
const RUN = "graph";
const OTHER = "another graph";
const MEMORY_BYTES_MAX = 64 * 1024 * 1024;
/** An id that nothing has. */
const NOWHERE = 1_000_000;
const DIRECTIONS: readonly GraphDirection[] = ["out", "in", "both"];

export interface SubjectOptions {
  readonly build: Build;
  readonly persistent: boolean;
  readonly seed: number;
}

interface Done {
  readonly act: Act;
  readonly result: unknown;
}

interface Open {
  readonly handle: Transaction;
  readonly graph: GraphStore;
  readonly model: GraphModel;
  readonly reads: Set<string>;
  readonly done: Done[];
  /** How many commits there were when it began. */
  readonly begun: number;
  wrote: boolean;
}

interface HeldSnapshot {
  readonly graph: () => GraphReader;
  readonly model: GraphModel;
  readonly dispose: () => void;
}

interface OpenWalk {
  readonly walk: GraphWalk;
  readonly left: GraphVisit[];
}

function pick<T>(items: readonly T[], index: number): T | undefined {
  return items.length === 0 ? undefined : items[index % items.length];
}

/** What a number stands for among the nodes or edges of a model. */
function named(ids: Map<number, unknown>, index: number): number {
  const all = [...ids.keys()];
  return all[index % (all.length + 1)] ?? NOWHERE;
}

function bind(model: GraphModel, act: LooseAct): Act {
  const isEdge = act.do === "updateEdge" || act.do === "patchEdge" || act.do === "deleteEdge" || act.do === "getEdge";
  const bound: Record<string, unknown> = { ...act };
  if ("id" in act) bound["id"] = named(isEdge ? model.edges : model.nodes, act.id);
  if ("source" in act) {
    bound["source"] = named(model.nodes, act.source);
    bound["target"] = named(model.nodes, act.target);
  }
  return bound as unknown as Act;
}

/** What was done and seen, over all sequences of a test file: what it says, and what shows that it meets anything. */
export const tally = { reads: 0, commits: 0, conflicts: 0, openings: 0, copies: 0, checkpoints: 0, visits: 0 };

function compare(where: string, graph: GraphReader, model: GraphModel, act: ReadAct): void {
  tally.reads++;
  expectSame(`${act.do} of ${where}`, perform(graph, act), model.look(act).result);
}

/** Everything that can be seen of a graph, in every way there is to see it. */
export function compareAll(where: string, graph: GraphReader, model: GraphModel): void {
  const see = (act: ReadAct): void => compare(where, graph, model, act);
  const pages: readonly Page[] = [{}, { reverse: true, limit: 3 }, { after: 3, limit: 2 }];
  for (const page of pages) for (const what of ["nodes", "edges"] as const) see({ do: what, page });
  see({ do: "nodeCount" });
  see({ do: "edgeCount" });
  see({ do: "indexes" });
  const held = new Map<string, Value>(VALUES.slice(0, 3).map((value) => [valueName(value), value]));
  for (const { properties } of model.nodes.values()) {
    for (const value of Object.values(properties)) held.set(valueName(value), value);
  }
  for (const label of LABELS) {
    see({ do: "nodesByLabel", label, page: {} });
    for (const property of PROPERTIES) {
      for (const value of held.values()) see({ do: "findNodes", label, property, value, page: {} });
    }
  }
  const ids = [...model.nodes.keys()];
  for (const id of [...ids, NOWHERE]) {
    see({ do: "getNode", id });
    see({ do: "hasNode", id });
    for (const direction of DIRECTIONS) {
      for (const types of [undefined, ["t\u0000", "u"]]) {
        see({ do: "neighbors", id, edges: { direction, types }, page: {} });
        see({ do: "degree", id, edges: { direction, types } });
      }
      see({ do: "bfs", id, edges: { direction } });
    }
    see({ do: "bfs", id, edges: { direction: "both", types: ["t"] }, depth: 2, limit: 4 });
  }
  for (const id of [...model.edges.keys(), NOWHERE]) see({ do: "getEdge", id });
  for (const [i, source] of ids.entries()) {
    const target = ids[(i * 3 + 1) % ids.length] as number;
    for (const direction of DIRECTIONS) see({ do: "shortestPath", source, target, edges: { direction } });
    see({ do: "shortestPath", source, target, edges: { direction: "both", types: ["t", "u"] }, depth: 2 });
  }
  const { size: nodes } = model.nodes;
  const { size: edges } = model.edges;
  expectSame(`graph.verify() of ${where}`, graph.verify(), { valid: true, nodes, edges, problems: [] });
}

export class GraphSubject {
  readonly #options: SubjectOptions;
  readonly #environment: SeededEnvironment;
  #disk: SimulatedDisk;
  #database!: Database;
  #model = new GraphModel();
  /** What was written by each commit, in their order. */
  #written: (readonly string[])[] = [];
  #open: Open[] = [];
  #snapshots: HeldSnapshot[] = [];
  #walks: OpenWalk[] = [];
  /** The greatest id that was given, and the greatest that was committed: later ones are above it. */
  #given = 0;
  #kept = 0;

  private constructor(options: SubjectOptions) {
    this.#options = options;
    this.#environment = new SeededEnvironment(options.seed);
    this.#disk = new SimulatedDisk({ seed: options.seed });
  }

  static async make(options: SubjectOptions): Promise<GraphSubject> {
    const subject = new GraphSubject(options);
    subject.#database = await Database.open(await subject.#openOptions());
    return subject;
  }

  async #openOptions(): Promise<OpenOptions> {
    const { build, persistent } = this.#options;
    return {
      wasm: await moduleOf(build),
      shared: build.shared,
      maxBytes: MEMORY_BYTES_MAX,
      environment: this.#environment,
      durability: persistent ? "buffered" : "in-memory",
      ...(persistent ? { storage: this.#disk.storage({ segmentBytesTarget: 20_000 }) } : {}),
    };
  }

  get #graph(): GraphStore {
    return this.#database.run(RUN).graph;
  }

  // Doing.

  async apply(operation: Operation): Promise<void> {
    // A run that nothing was ever committed to is forgotten with the last transaction that would have made it, and with its ids.
    if (this.#written.length === 0 && this.#open.length === 0) this.#given = 0;
    switch (operation.op) {
      case "do":
        return this.#do(operation.act);
      case "begin": {
        const handle = this.#database.run(RUN).begin();
        const [model, begun] = [new GraphModel(this.#model), this.#written.length];
        this.#open.push({ handle, graph: handle.graph, model, reads: new Set(), done: [], begun, wrote: false });
        return;
      }
      case "in":
        return this.#doIn(pick(this.#open, operation.index), operation.act);
      case "commit":
        return this.#commit(this.#take(this.#open, operation.index));
      case "rollback":
        return this.#take(this.#open, operation.index)?.handle.rollback();
      case "snapshot":
        return this.#snapshot(operation.whole);
      case "look": {
        const held = pick(this.#snapshots, operation.index);
        return held && compareAll("a snapshot", held.graph(), held.model);
      }
      case "dispose":
        return this.#dispose(this.#take(this.#snapshots, operation.index));
      case "walk":
        return this.#walk(operation.at, operation.direction);
      case "step":
        return this.#step(operation.index, operation.visits);
      default:
        return this.#applyToAll(operation.op);
    }
  }

  async #applyToAll(op: "check" | "checkpoint" | "reopen" | "transfer" | "crash" | "rebuild"): Promise<void> {
    switch (op) {
      case "check":
        return this.check();
      case "rebuild":
        expectSame("what rebuild has found", this.#graph.rebuild().valid, true);
        return;
      case "checkpoint":
        if (!this.#options.persistent) return;
        await this.#database.checkpoint();
        tally.checkpoints++;
        return;
      case "transfer":
        return this.#transfer();
      case "reopen":
      case "crash":
        if (this.#options.persistent) await this.#reopen(op === "crash");
    }
  }

  #take<T>(items: T[], index: number): T | undefined {
    return items.length === 0 ? undefined : items.splice(index % items.length, 1)[0];
  }

  /** Notes an id that an act was given. */
  #made(act: Act, result: unknown): number {
    if ((act.do !== "addNode" && act.do !== "addEdge") || typeof result !== "number") return 0;
    const isKnown = this.#written.length > 0;
    if (isKnown && !(result > this.#given)) throw new Error(`the id ${result} was given after ${this.#given}`);
    this.#given = result;
    return result;
  }

  #do(loose: LooseAct): void {
    const act = bind(this.#model, loose);
    const result = perform(this.#graph, act);
    const made = this.#made(act, result);
    this.#kept = Math.max(this.#kept, made);
    const { result: expected, writes } = predict(this.#model, act, made);
    expectSame(act.do, result, expected);
    if (writes.length > 0) this.#written.push(writes);
  }

  #doIn(open: Open | undefined, loose: LooseAct): void {
    if (open === undefined) return;
    const act = bind(open.model, loose);
    const result = perform(open.graph, act);
    const { result: expected, reads, writes } = predict(open.model, act, this.#made(act, result));
    expectSame(`${act.do} in a transaction`, result, expected);
    for (const resource of reads) open.reads.add(resource);
    open.done.push({ act, result });
    open.wrote ||= writes.length > 0;
  }

  #commit(open: Open | undefined): void {
    if (open === undefined) return;
    const { handle, reads, done, begun, wrote } = open;
    let code: string | undefined;
    try {
      handle.commit();
    } catch (error) {
      if (!HoldfastError.is(error)) throw error;
      code = error.code;
    }
    const after = new GraphModel(this.#model);
    const written: string[] = [];
    let isSame = true;
    for (const { act, result } of done) {
      const again = predict(after, act, typeof result === "number" ? result : 0);
      isSame &&= isEqual(again.result, result);
      written.push(...again.writes);
    }
    if (code !== undefined) {
      expectSame("why a commit was refused", code, "CONFLICT");
      tally.conflicts++;
      const others = new Set(this.#written.slice(begun).flat());
      const met = [...reads].filter((resource) => others.has(resource));
      if (met.length === 0) throw new Error("a conflict with nothing that was read");
      if (!wrote) throw new Error("a conflict of one that has only read");
      return;
    }
    if (!wrote) return;
    tally.commits++;
    if (!isSame) throw new Error("a commit whose reads others had changed");
    this.#model = after;
    this.#written.push(written);
    for (const { act, result } of done)
      if (isWrite(act) && typeof result === "number") this.#kept = Math.max(this.#kept, result);
  }

  #snapshot(whole: boolean): void {
    const model = new GraphModel(this.#model);
    const held = whole ? this.#database.snapshot() : this.#database.run(RUN).snapshot();
    const graph = (): GraphReader => ("run" in held ? held.run(RUN).graph : held.graph);
    this.#snapshots.push({ graph, model, dispose: () => held.dispose() });
  }

  #dispose(held: HeldSnapshot | undefined): void {
    if (held === undefined) return;
    compareAll("a snapshot before it is let go of", held.graph(), held.model);
    held.dispose();
  }

  #walk(at: number, direction: GraphDirection): void {
    const held = pick(this.#snapshots, at);
    const [graph, model] = held === undefined || at % 3 === 0 ? [this.#graph, this.#model] : [held.graph(), held.model];
    const start = named(model.nodes, at);
    this.#walks.push({ walk: graph.bfs(start, { direction }), left: model.bfs(start, { direction }) });
  }

  #step(index: number, visits: number): void {
    const open = pick(this.#walks, index);
    if (open === undefined) return;
    for (let i = 0; i < visits; i++) {
      let next: IteratorResult<GraphVisit, undefined>;
      try {
        next = open.walk.next();
      } catch (error) {
        // Its snapshot was let go of.
        if (!HoldfastError.is(error, "TRANSACTION_CLOSED")) throw error;
        open.left.length = 0;
        continue;
      }
      const expected = open.left.shift();
      tally.visits++;
      expectSame("a walk that goes on", next, { done: expected === undefined, value: expected });
    }
  }

  // Coming and going.

  #forget(): void {
    this.#open = [];
    this.#snapshots = [];
  }

  async #reopen(isCrash: boolean): Promise<void> {
    tally.openings++;
    this.#forget();
    if (isCrash) this.#disk.crash({ kind: "kill" });
    await (isCrash ? this.#database.close().catch(() => {}) : this.#database.close());
    this.#expectWalksClosed();
    this.#database = await Database.open(await this.#openOptions());
    this.#given = this.#kept;
    this.check();
  }

  #expectWalksClosed(): void {
    for (const { walk } of this.#walks.splice(0)) {
      try {
        for (const _ of walk);
      } catch (error) {
        if (!HoldfastError.is(error)) throw error;
      }
    }
  }

  /** Goes on with a database into which this one was imported. */
  async #transfer(): Promise<void> {
    tally.copies++;
    const pieces: Uint8Array[] = [];
    for await (const piece of this.#database.export()) pieces.push(piece);
    this.#forget();
    this.#disk.crash({ kind: "kill" });
    await this.#database.close().catch(() => {});
    this.#expectWalksClosed();
    this.#disk = new SimulatedDisk({ seed: this.#options.seed + 1 });
    this.#database = await Database.import(pieces, await this.#openOptions());
    this.#given = this.#kept;
    this.check();
  }

  // Seeing.

  check(): void {
    expectSame("verify", this.#database.verify(), { valid: true });
    compareAll("the run", this.#graph, this.#model);
    expectSame("another run's graph", this.#database.run(OTHER).graph.nodes(), []);
  }

  async end(): Promise<void> {
    for (const { graph, model } of this.#open) compareAll("a transaction", graph, model);
    for (const { handle } of this.#open.splice(0)) handle.rollback();
    for (const { walk, left } of this.#walks.splice(0)) {
      try {
        expectSame("what a walk has left", [...walk], left);
      } catch (error) {
        if (!HoldfastError.is(error, "TRANSACTION_CLOSED")) throw error;
      }
    }
    for (const held of this.#snapshots.splice(0)) this.#dispose(held);
    this.check();
    const { snapshotsHeld, transactionsOpen } = this.#database.stats();
    expectSame("what is left open", [snapshotsHeld, transactionsOpen], [0, 0]);
    await this.#database.close();
  }

  /** Lets go of everything after a failure, whatever state it is in. */
  async abandon(): Promise<void> {
    this.#disk.crash({ kind: "kill" });
    await this.#database.close().catch(() => {});
  }
}

function isEqual(a: unknown, b: unknown): boolean {
  try {
    expectSame("", a, b);
    return true;
  } catch {
    return false;
  }
}
