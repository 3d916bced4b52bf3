/**
 * Where the nodes of a graph are drawn: in columns, each node right of all that lead to it, the nodes of a column in the order of
 * what leads to them. The same graph is always drawn the same way.
 */
import type { Graph } from "./questions";

export const NODE_WIDTH = 164;
export const NODE_HEIGHT = 40;
const COLUMN_GAP = 48;
const ROW_GAP = 14;
const MARGIN = 6;

export interface Place {
  readonly x: number;
  readonly y: number;
}

export interface Layout {
  readonly width: number;
  readonly height: number;
  readonly places: ReadonlyMap<number, Place>;
}

/** How far each node is from the nodes that nothing leads to: the longest way, with rings cut where they close. */
function columnsOf({ nodes, edges }: Graph): Map<number, number> {
  const sources = new Map<number, number[]>();
  for (const { source, target } of edges) sources.set(target, [...(sources.get(target) ?? []), source]);
  const columns = new Map<number, number>();
  const columnOf = (id: number, above: ReadonlySet<number>): number => {
    const known = columns.get(id);
    if (known !== undefined) return known;
    const within = new Set(above).add(id);
    const before = (sources.get(id) ?? []).filter((source) => !within.has(source));
    const column = Math.max(-1, ...before.map((source) => columnOf(source, within))) + 1;
    columns.set(id, column);
    return column;
  };
  for (const { id } of nodes) columnOf(id, new Set());
  return columns;
}

export function layOut(graph: Graph): Layout {
  const columns = columnsOf(graph);
  const byColumn: number[][] = [];
  for (const { id } of graph.nodes) {
    const column = columns.get(id) ?? 0;
    byColumn[column] = [...(byColumn[column] ?? []), id];
  }
  const row = new Map<number, number>();
  for (const ids of byColumn) {
    const weight = new Map(
      ids.map((id, index) => {
        const rows = graph.edges.filter(({ target }) => target === id).map(({ source }) => row.get(source) ?? 0);
        return [id, rows.length === 0 ? index : rows.reduce((sum, each) => sum + each, 0) / rows.length];
      }),
    );
    ids.sort((a, b) => (weight.get(a) ?? 0) - (weight.get(b) ?? 0) || a - b);
    ids.forEach((id, index) => {
      row.set(id, index);
    });
  }
  const rowsMax = Math.max(1, ...byColumn.map((ids) => ids.length));
  const height = rowsMax * (NODE_HEIGHT + ROW_GAP) - ROW_GAP;
  const places = new Map<number, Place>();
  byColumn.forEach((ids, column) => {
    const own = ids.length * (NODE_HEIGHT + ROW_GAP) - ROW_GAP;
    ids.forEach((id, index) => {
      const x = MARGIN + column * (NODE_WIDTH + COLUMN_GAP);
      places.set(id, { x, y: MARGIN + (height - own) / 2 + index * (NODE_HEIGHT + ROW_GAP) });
    });
  });
  const width = Math.max(1, byColumn.length) * (NODE_WIDTH + COLUMN_GAP) - COLUMN_GAP;
  return { width: width + 2 * MARGIN, height: height + 2 * MARGIN, places };
}
