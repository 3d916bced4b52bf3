// The figures as text for a terminal.
//
// Keeps true: columns are aligned, numbers to the right; one unit per table, named in its head, and a row of another says so;
// where notes would make a table wider than LINE_CHARS, they stand below it; nothing is said that the JSON does not say too.

import { figureOf, inUnit } from "./units.mjs";

const LINE_CHARS = 120;
const HEAD = ["subject", "median", "min – max", "Holdfast is", "goal"];
const RIGHT_ALIGNED = new Set([1, 2, 3]);

export function renderMachine({ cpu, cores, memoryGiB, platform, node, date, loadAverage }, { fileSystem, isMemory }) {
  const lines = [
    `${cpu}, ${cores} cores, ${memoryGiB} GiB, ${platform}, Node ${node}, ${date}`,
    `files on ${fileSystem}${isMemory ? ": this is memory, so the figures of put-buffered and put-strict mean nothing" : ""}; load ${loadAverage.join(" ")}`,
  ];
  return `${lines.join("\n")}\n`;
}

export function renderMeasurement({ name, title, unit, per = "per operation", rounds, rows, goals, red }) {
  const isGrouped = rows.filter(({ isHoldfast }) => isHoldfast).length > 1;
  const labelled = rows.map((row) => ({
    ...row,
    label: isGrouped && row.beside !== undefined ? `  ${row.name}` : row.name,
  }));
  const cells = labelled.map((row) => renderRow(row, unit, goals));
  const notes = labelled.map((row) => (row.failure === undefined ? (row.note ?? "") : `failed: ${row.failure}`));
  const lines = [
    "",
    `${name} – ${title}`,
    `${unit} ${per}, ${rounds === 1 ? "1 round" : `${rounds} rounds`}`,
    ...renderCells(cells, notes, labelled),
    ...red.map((flag) => `RED: ${flag}`),
  ];
  return `${lines.join("\n")}\n`;
}

function renderCells(cells, notes, rows) {
  const withNotes = alignAll([[...HEAD, ""], ...cells.map((line, at) => [...line, notes[at]])]);
  if (withNotes.every((line) => line.length <= LINE_CHARS)) return withNotes;
  const below = rows.flatMap(({ name }, at) => (notes[at] === "" ? [] : [`  ${name}: ${notes[at]}`]));
  return [...alignAll([HEAD, ...cells]), ...below];
}

function renderRow(row, unit, goals) {
  const figures = figureOf(row);
  if (figures === undefined) return [row.label, "–", "–", "", ""];
  const suffix = row.unit === unit ? "" : ` ${row.unit}`;
  const text = (figure) => formatFigure(inUnit(figure, row.unit), row.unit);
  const own = goals.filter((goal) => goal.at === row.name);
  return [
    row.label,
    `${text(figures.median)}${suffix}`,
    figures.min === figures.max ? "" : `${text(figures.min)} – ${text(figures.max)}${suffix}`,
    row.timesAsFast === undefined ? "" : renderRatio(row.timesAsFast.median, own),
    own.map((goal) => `${goal.text} ${verdictOf(goal)}`).join(", "),
  ];
}

function renderRatio(timesAsFast, goals) {
  const isFloor = goals.some((goal) => goal.text.startsWith("≤"));
  return isFloor ? `${formatRatio(1 / timesAsFast)} × its time` : `${formatRatio(timesAsFast)} × as fast`;
}

function verdictOf({ reached }) {
  if (reached === undefined) return "not measured";
  return reached ? "reached" : "not reached";
}

/** Columns that say nothing are left out. */
function alignAll(lines) {
  const widths = lines[0].map((_, column) =>
    lines.slice(1).every((line) => line[column] === "") ? 0 : Math.max(...lines.map((line) => line[column].length)),
  );
  return lines.map((line) => alignCells(line, widths));
}

function alignCells(cells, widths) {
  return cells
    .map((cell, column) => (RIGHT_ALIGNED.has(column) ? cell.padStart(widths[column]) : cell.padEnd(widths[column])))
    .filter((_, column) => widths[column] > 0)
    .join("  ")
    .trimEnd();
}

function formatFigure(number, unit) {
  const digits = unit === "×" ? 2 : unit === "entries" || unit === "/s" ? 0 : 1;
  return number.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function formatRatio(ratio) {
  return ratio >= 10 ? ratio.toFixed(1) : ratio.toFixed(2);
}
