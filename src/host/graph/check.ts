/**
 * Whether a graph's index says what its nodes and edges say, and making it do so.
 */
import { HoldfastError } from "../../errors.js";
import { idText } from "../names.js";
import type { Reader, StepWriter } from "../reader-writer.js";
import {
  DEFINITIONS,
  type Definitions,
  definitionsOf,
  EDGE,
  edgeLines,
  edgeOf,
  IDS_PER_BLOCK,
  INDEX,
  MARKS,
  memberId,
  NODE,
  nodeLines,
  nodeOf,
  TABLE,
} from "./layout.js";

/** What `graph.verify()` has found. */
export interface GraphReport {
  /** Whether nothing is wrong. */
  readonly valid: boolean;
  readonly nodes: number;
  readonly edges: number;
  /** What is wrong, in words; the first hundred of it. */
  readonly problems: readonly string[];
}

/** Problems that are told one by one. */
const PROBLEMS_MAX = 100;
/** What the lines of the index begin with that follow from nodes and edges. */
const FOLLOWS = /^[noilp]/;

interface Findings {
  /** Whether it cannot be read which properties are indexed. */
  readonly isUndefined: boolean;
  readonly missing: string[];
  readonly extra: string[];
  readonly report: GraphReport;
}

function find(reader: Reader): Findings {
  const problems: string[] = [];
  let count = 0;
  const note = (problem: string): void => {
    if (++count <= PROBLEMS_MAX) problems.push(problem);
  };
  const attempt = (body: () => void): void => {
    try {
      body();
    } catch (error) {
      // What could not be read for another reason says nothing about what is stored.
      if (!HoldfastError.is(error, "CORRUPTION")) throw error;
      note(error.message);
    }
  };
  let definitions: Definitions | undefined;
  attempt(() => {
    definitions = definitionsOf(reader.get(INDEX, DEFINITIONS));
  });
  const expected = new Set<string>();
  let greatest = 0;
  const nodes = new Set<number>();
  for (const [key, value] of reader.list(TABLE, { prefix: NODE })) {
    attempt(() => {
      const node = nodeOf(memberId(key, NODE.length), value);
      nodes.add(node.id);
      greatest = Math.max(greatest, node.id);
      for (const line of nodeLines(node, definitions ?? {})) expected.add(line);
    });
  }
  const edges = reader.list(TABLE, { prefix: EDGE });
  for (const [key, value] of edges) {
    attempt(() => {
      const edge = edgeOf(memberId(key, EDGE.length), value);
      greatest = Math.max(greatest, edge.id);
      for (const end of [edge.source, edge.target]) {
        if (!nodes.has(end)) note(`The edge ${edge.id} ends at the node ${end}, which there is not`);
      }
      for (const line of edgeLines(edge)) expected.add(line);
    });
  }
  const extra: string[] = [];
  for (const key of reader.keys(INDEX, undefined)) {
    if (!FOLLOWS.test(key) || expected.delete(key)) continue;
    note(`The index has ${JSON.stringify(key)}, which nothing stands behind`);
    extra.push(key);
  }
  for (const key of expected) note(`The index lacks ${JSON.stringify(key)}`);
  let newest = "";
  for (const key of reader.keys(INDEX, { prefix: MARKS })) {
    try {
      memberId(key, MARKS.length);
      newest = key;
    } catch (error) {
      note((error as Error).message);
      extra.push(key);
    }
  }
  const mark = MARKS + idText(Math.floor(greatest / IDS_PER_BLOCK));
  if (greatest > (reader.takenId ?? 0) && newest < mark) {
    note(`The id ${greatest} would be given again`);
    expected.add(mark);
  }
  return {
    isUndefined: definitions === undefined,
    missing: [...expected],
    extra,
    report: { valid: count === 0, nodes: nodes.size, edges: edges.length, problems },
  };
}

/** Compares every node and edge with the index. */
export function checkGraph(reader: Reader): GraphReport {
  return find(reader).report;
}

/**
 * Makes the index say what nodes and edges say; what was wrong before. Where it cannot be read which properties are indexed,
 * none is any more.
 */
export function rebuildGraph(writer: StepWriter): GraphReport {
  const { isUndefined, missing, extra, report } = find(writer);
  if (isUndefined) writer.delete(INDEX, DEFINITIONS, undefined);
  for (const key of extra) writer.delete(INDEX, key, undefined);
  for (const key of missing) writer.putOwn(INDEX, key, null);
  return report;
}
