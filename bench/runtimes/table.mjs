// The comparison as text: one block for each workload, a line for each runtime, storage, mode and subject.

import { absenceOf, byWorkload, formatBytes, numberedNotes, timesOf } from "./figures.mjs";

const HEAD = ["runtime", "storage", "mode", "subject", "median", "p99", "bytes", "sampled", "note"];
const RIGHT_ALIGNED = new Set([4, 5, 6, 7]);

export function renderTable(rows, workloads) {
  const notes = numberedNotes(rows);
  const cellsOf = (row) => {
    const where = [row.runtime, row.storage, row.mode, row.subject];
    const absence = absenceOf(row);
    if (absence !== undefined) return [...where, "–", "–", "", "", absence];
    return [
      ...where,
      ...timesOf(row),
      formatBytes(row.bytes),
      `${row.samples} × ${row.perSample}`,
      row.note === undefined ? "" : `(${notes.indexOf(row.note) + 1})`,
    ];
  };
  const blocks = byWorkload(rows, workloads).map(
    ({ name, what, rows: some }) => `\n${name}: ${what}\n${aligned([HEAD, ...some.map(cellsOf)]).join("\n")}\n`,
  );
  return `${blocks.join("")}\n${notes.map((note, at) => `(${at + 1}) ${note}`).join("\n")}\n`;
}

function aligned(lines) {
  const widths = HEAD.map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  const align = (cell, column) =>
    RIGHT_ALIGNED.has(column) ? cell.padStart(widths[column]) : cell.padEnd(widths[column]);
  return lines.map((line) => line.map(align).join("  ").trimEnd());
}
