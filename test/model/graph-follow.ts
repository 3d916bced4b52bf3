/**
 * The graph's model as a property: a random sequence of everything that can be done to a graph is followed on a fresh database,
 * and a violation names what led to it.
 */
import fc from "fast-check";
import type { Value } from "../../src/index.js";
import type { Build } from "../support/builds.js";
import { show } from "../support/history.js";
import type { Edges, Page, Patch, Properties, ReadAct, WriteAct } from "./graph-oracle.js";
import { GraphSubject, LABELS, type LooseAct, type Operation, PROPERTIES, TYPES, VALUES } from "./graph-subject.js";

const OPERATIONS_MAX = 45;

const number = fc.nat({ max: 30 });
const label = fc.constantFrom(...LABELS, LABELS[0]);
const labels = fc.array(label, { maxLength: 3 });
const property = fc.constantFrom(...PROPERTIES, PROPERTIES[0]);
const value = fc.oneof({ weight: 3, arbitrary: fc.constantFrom<Value>(0, 1, "1") }, fc.constantFrom(...VALUES));
const type = fc.constantFrom(...TYPES, TYPES[0]);
const entries = fc.array(fc.tuple(property, value), { maxLength: 2 });
const properties: fc.Arbitrary<Properties> = entries.map((all) => Object.fromEntries<Value>(all));
const patch: fc.Arbitrary<Patch> = fc.record({ set: properties, removed: fc.array(property, { maxLength: 2 }) });
const edges: fc.Arbitrary<Edges> = fc.record({
  direction: fc.constantFrom("out", "in", "both"),
  types: fc.constantFrom(undefined, undefined, ["t"], ["u", "t\u0000"], ["none"]),
});
const page: fc.Arbitrary<Page> = fc.record(
  { after: fc.integer({ min: 1, max: 40 }), reverse: fc.boolean(), limit: fc.nat({ max: 5 }) },
  { requiredKeys: [] },
);
const limit = fc.option(fc.nat({ max: 6 }), { nil: undefined });

function acts<A extends { readonly do: string }>(names: readonly A["do"][], fields: object): fc.Arbitrary<A> {
  return fc.record({ do: fc.constantFrom(...names), ...fields }) as unknown as fc.Arbitrary<A>;
}

const optional = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined });
const anyWrite = fc.oneof(
  { weight: 6, arbitrary: acts<WriteAct>(["addNode"], { labels, properties }) },
  { weight: 9, arbitrary: acts<WriteAct>(["addEdge"], { source: number, target: number, type, properties }) },
  {
    weight: 3,
    arbitrary: acts<WriteAct>(["updateNode"], {
      id: number,
      labels: optional(labels),
      properties: optional(properties),
    }),
  },
  { weight: 3, arbitrary: acts<WriteAct>(["patchNode", "patchEdge"], { id: number, patch }) },
  { weight: 1, arbitrary: acts<WriteAct>(["updateEdge"], { id: number, properties }) },
  { weight: 2, arbitrary: acts<WriteAct>(["deleteNode"], { id: number }) },
  { weight: 2, arbitrary: acts<WriteAct>(["deleteEdge"], { id: number }) },
  { weight: 2, arbitrary: acts<WriteAct>(["createIndex", "createIndex", "dropIndex"], { label, property }) },
);
const anyRead = fc.oneof<fc.Arbitrary<ReadAct>[]>(
  acts<ReadAct>(["getNode", "hasNode", "getEdge"], { id: number }),
  acts<ReadAct>(["nodes", "edges"], { page }),
  acts<ReadAct>(["nodeCount", "edgeCount", "indexes"], {}),
  acts<ReadAct>(["nodesByLabel"], { label, page }),
  acts<ReadAct>(["findNodes"], { label, property, value, page }),
  acts<ReadAct>(["neighbors"], { id: number, edges, page }),
  acts<ReadAct>(["degree"], { id: number, edges }),
  acts<ReadAct>(["bfs"], { id: number, edges, depth: limit, limit }),
  acts<ReadAct>(["shortestPath"], { source: number, target: number, edges, depth: limit }),
);
const anyAct: fc.Arbitrary<LooseAct> = fc.oneof({ weight: 3, arbitrary: anyWrite }, { weight: 2, arbitrary: anyRead });
/** Transactions that meet: of few nodes, and writing. */
const near = fc.nat({ max: 2 });
const meeting = fc.oneof<fc.Arbitrary<LooseAct>[]>(
  acts<WriteAct>(["addEdge"], { source: near, target: near, type, properties: fc.constant({}) }),
  acts<WriteAct>(["patchNode"], { id: near, patch }),
  acts<WriteAct>(["deleteNode"], { id: near }),
  acts<ReadAct>(["neighbors"], { id: near, edges, page: fc.constant({}) }),
  acts<ReadAct>(["bfs"], { id: near, edges, depth: fc.constant(undefined), limit: fc.constant(undefined) }),
  acts<ReadAct>(["findNodes"], { label, property, value, page: fc.constant({}) }),
  acts<WriteAct>(["addNode"], { labels, properties }),
);

type Fields<T> = { [K in keyof Omit<T, "op">]: fc.Arbitrary<Omit<T, "op">[K]> };

function tagged<T extends Operation["op"]>(op: T, fields: Fields<Extract<Operation, { op: T }>>) {
  return fc.record({ op: fc.constant(op), ...fields }) as unknown as fc.Arbitrary<Operation>;
}

const BEGIN: Operation = { op: "begin" };
const COMMIT: Operation = { op: "commit", index: 0 };

const index = fc.nat({ max: 5 });
const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 30, arbitrary: tagged("do", { act: anyAct }) },
  { weight: 5, arbitrary: tagged("begin", {}) },
  { weight: 12, arbitrary: tagged("in", { index, act: anyAct }) },
  { weight: 8, arbitrary: tagged("in", { index, act: meeting }) },
  { weight: 4, arbitrary: tagged("do", { act: meeting }) },
  { weight: 5, arbitrary: tagged("commit", { index }) },
  { weight: 1, arbitrary: tagged("rollback", { index }) },
  { weight: 2, arbitrary: tagged("snapshot", { whole: fc.boolean() }) },
  { weight: 1, arbitrary: tagged("dispose", { index }) },
  { weight: 1, arbitrary: tagged("look", { index }) },
  { weight: 2, arbitrary: tagged("walk", { at: number, direction: fc.constantFrom("out", "in", "both") }) },
  { weight: 3, arbitrary: tagged("step", { index, visits: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 2, arbitrary: tagged("check", {}) },
  { weight: 1, arbitrary: fc.constantFrom<Operation>({ op: "reopen" }, { op: "checkpoint" }, { op: "crash" }) },
  { weight: 1, arbitrary: fc.constantFrom<Operation>({ op: "rebuild" }, { op: "transfer" }, { op: "checkpoint" }) },
);
/** Two transactions that do something in turn, and what somebody else does meanwhile; then both are committed. */
const meetings: fc.Arbitrary<Operation[]> = fc
  .array(
    fc.oneof(
      { weight: 4, arbitrary: tagged("in", { index: fc.nat({ max: 1 }), act: meeting }) },
      { weight: 1, arbitrary: tagged("in", { index: fc.nat({ max: 1 }), act: anyAct }) },
      { weight: 1, arbitrary: tagged("do", { act: meeting }) },
    ),
    { minLength: 2, maxLength: 6, size: "max" },
  )
  .map((acts) => [BEGIN, BEGIN, ...acts, COMMIT, COMMIT]);
/** Something to work on, before anything else. */
const grounds = fc.array(tagged("do", { act: anyWrite }), { minLength: 4, maxLength: 14, size: "max" });
const episodes = fc.array(
  fc.oneof({ weight: 12, arbitrary: operation.map((one) => [one]) }, { weight: 1, arbitrary: meetings }),
  { minLength: 3, maxLength: OPERATIONS_MAX, size: "max" },
);
const sequences = fc.tuple(grounds, episodes).map(([ground, all]) => [...ground, ...all.flat()]);

/** How many sequences were followed to their end. */
export let followed = 0;

async function follow(
  build: Build,
  persistent: boolean,
  seed: number,
  operations: readonly Operation[],
): Promise<void> {
  const subject = await GraphSubject.make({ build, persistent, seed });
  try {
    for (const each of operations) await subject.apply(each);
    await subject.end();
    followed++;
  } catch (error) {
    await subject.abandon();
    const message = error instanceof Error ? error.message : String(error);
    throw new Error(`${message}; after ${show(operations)}`, { cause: error });
  }
}

/** Sequences of operations on a graph, in memory or over a disk. */
export function graphModelOf(build: Build, persistent: boolean): fc.IAsyncProperty<unknown> {
  return fc.asyncProperty(fc.nat(), sequences, (seed, operations) => follow(build, persistent, seed, operations));
}
