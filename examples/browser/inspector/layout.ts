/**
 * Where the nodes of a graph are drawn: in columns, each node right of all that lead to it, in the row that is nearest to
 * them. The same graph is always drawn the same way.
 */
import type { Graph } from "./questions";

export const NODE_WIDTH = 164;
export const NODE_HEIGHT = 40;
export const COLUMN_GAP = 48;
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

/** Gives the nodes of a column rows of their own, each as near as it can be to the middle of what leads to it. */
function placeInRows(ids: number[], rows: Map<number, number>, rowsMax: number, { edges }: Graph): void {
  const middleOf = (id: number, index: number): number => {
    const above = edges.filter(({ target }) => target === id).map(({ source }) => rows.get(source) ?? 0);
    return above.length === 0 ? index : above.reduce((sum, row) => sum + row, 0) / above.length;
  };
  const middles = new Map(ids.map((id, index) => [id, middleOf(id, index)]));
  ids.sort((a, b) => (middles.get(a) ?? 0) - (middles.get(b) ?? 0) || a - b);
  let free = 0;
  ids.forEach((id, index) => {
    // Those that come after it need rows as well.
    const last = rowsMax - (ids.length - index);
    const row = Math.min(last, Math.max(free, Math.round(middles.get(id) ?? 0)));
    rows.set(id, row);
    free = row + 1;
  });
}

export function layOut(graph: Graph): Layout {
  const columns = columnsOf(graph);
  const byColumn: number[][] = [];
  for (const { id } of graph.nodes) {
    const column = columns.get(id) ?? 0;
    byColumn[column] = [...(byColumn[column] ?? []), id];
  }
  const rowsMax = Math.max(1, ...byColumn.map((ids) => ids.length));
  const rows = new Map<number, number>();
  for (const ids of byColumn) placeInRows(ids, rows, rowsMax, graph);
  const places = new Map<number, Place>();
  byColumn.forEach((ids, column) => {
    for (const id of ids) {
      const x = MARGIN + column * (NODE_WIDTH + COLUMN_GAP);
      places.set(id, { x, y: MARGIN + (rows.get(id) ?? 0) * (NODE_HEIGHT + ROW_GAP) });
    }
  });
  const height = rowsMax * (NODE_HEIGHT + ROW_GAP) - ROW_GAP;
  const width = Math.max(1, byColumn.length) * (NODE_WIDTH + COLUMN_GAP) - COLUMN_GAP;
  return { width: width + 2 * MARGIN, height: height + 2 * MARGIN, places };
}
