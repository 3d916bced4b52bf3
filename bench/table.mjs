// The figures as text for a terminal.
//
// Keeps true: columns are aligned, numbers to the right; one unit per table, named in its head; nothing is said that the
// JSON does not say too.

const NS_PER = { ns: 1, µs: 1000 };
const HEAD = ["subject", "median", "min – max", "Holdfast is", "goal", ""];
const RIGHT_ALIGNED = new Set([1, 2, 3]);

export function renderMachine({ cpu, cores, memoryGiB, platform, node, date, loadAverage }, { fileSystem, isMemory }) {
  const lines = [
    `${cpu}, ${cores} cores, ${memoryGiB} GiB, ${platform}, Node ${node}, ${date}`,
    `files on ${fileSystem}${isMemory ? ": this is memory, so the figures of put-buffered and put-strict mean nothing" : ""}; load ${loadAverage.join(" ")}`,
  ];
  return `${lines.join("\n")}\n`;
}

export function renderMeasurement({ name, title, unit, rounds, rows, goals, red }) {
  const cells = rows.map((row) => renderRow(row, unit, goals));
  const widths = HEAD.map((_, column) => Math.max(...[HEAD, ...cells].map((line) => line[column].length)));
  const lines = [
    "",
    `${name} – ${title} (${unit} per operation, ${rounds} rounds)`,
    alignCells(HEAD, widths),
    ...cells.map((line) => alignCells(line, widths)),
    ...red.map((flag) => `RED: Holdfast is ${flag}`),
  ];
  return `${lines.join("\n")}\n`;
}

function renderRow(row, unit, goals) {
  if (row.failure !== undefined) return [row.name, "–", "–", "–", "", `failed: ${row.failure}`];
  const figure = (ns) => formatFigure(ns / NS_PER[unit]);
  const own = goals.filter((goal) => goal.against === row.name);
  return [
    row.name,
    figure(row.ns.median),
    `${figure(row.ns.min)} – ${figure(row.ns.max)}`,
    row.timesAsFast === undefined ? "" : renderRatio(row.timesAsFast.median, own),
    own.map((goal) => `${goal.text} ${verdictOf(goal)}`).join(", "),
    row.note ?? "",
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

function alignCells(cells, widths) {
  return cells
    .map((cell, column) => (RIGHT_ALIGNED.has(column) ? cell.padStart(widths[column]) : cell.padEnd(widths[column])))
    .join("  ")
    .trimEnd();
}

function formatFigure(number) {
  return number.toLocaleString("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
}

function formatRatio(ratio) {
  return ratio >= 10 ? ratio.toFixed(1) : ratio.toFixed(2);
}
