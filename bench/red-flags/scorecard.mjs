// The scorecard as Markdown, and as lines for a terminal.
//
// Keeps true: both are made of the same data, which is the file of figures; nothing in them is typed.

import { figureText, rangeText } from "./format.mjs";
import { gates } from "./rows.mjs";

/** How often each verdict stands in a list of rows, in this order. */
const ORDER = [
  "red",
  "at the red line",
  "not measured",
  "reached",
  "kept",
  "at the goal",
  "missed",
  "not measurable",
  "shown",
];

const IN_WORDS = {
  red: "red",
  "at the red line": "at a red line",
  "not measured": "not measured",
  reached: "reached",
  kept: "above their floor",
  "at the goal": "at the goal, within noise",
  missed: "missed",
  "not measurable": "not measurable on this machine",
  shown: "without a goal",
};

export function summaryOf(rows) {
  const counts = ORDER.map((verdict) => [verdict, rows.filter((row) => row.verdict === verdict).length]);
  return counts
    .filter(([, count]) => count > 0)
    .map(([verdict, count]) => `${count} ${IN_WORDS[verdict]}`)
    .join(", ");
}

const limitText = (limits, { unit, isMore }) =>
  limits.map((limit, at) => `${at === 0 ? (isMore ? "≥ " : "≤ ") : "then "}${figureText(limit, unit)}`).join(", ");

export const goalText = (row) => (row.wanted?.length > 0 ? limitText(row.wanted, row) : "–");
export const redText = (row) =>
  row.red === undefined ? "–" : `${row.isMore ? "< " : "> "}${figureText(row.red, row.unit)}`;

export function foundText({ figure, unit }) {
  if (figure === undefined) return "–";
  const range = rangeText(figure, unit);
  return range === "" ? figureText(figure.median, unit) : `${figureText(figure.median, unit)} (${range})`;
}

/** What stands for a figure that this machine has too few cores for. */
function insteadText({ instead }) {
  if (instead === undefined) return "";
  const fall = instead.ofOne.median;
  const change = fall < 1 ? `${Math.round((1 - fall) * 100)} % less than` : `${fall.toFixed(2)} ×`;
  const cpu = `${figureText(instead.cpuNs.median, "ns")} of CPU each, ${instead.cpuOfOne.median.toFixed(2)} × one worker's`;
  return `; ${cpu}; throughput ${change} one worker's`;
}

export const verdictText = (row) => `${row.text}${insteadText(row)}`;

/** The machine and its versions, in a line. */
export function machineText({ machine, files }) {
  const { cpu, cores, memoryGiB, platform, node, date, loadAverage } = machine;
  const load = `load ${loadAverage[0]} when it began`;
  return `${cpu}, ${cores} cores, ${memoryGiB} GiB, ${platform}, Node ${node}, files on ${files.fileSystem}; ${date}, ${load}`;
}

const bold = (row) => (row.verdict === "red" ? `**${verdictText(row)}**` : verdictText(row));
const cells = (list) => `| ${list.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;

export function renderScorecard(data) {
  const { rows } = data;
  const lines = [
    "# Scorecard",
    "",
    "Made by `npm run bench:red-flags`, never edited. Every row of the specification's table on speed and every absolute floor.",
    "",
    `${machineText(data)}.`,
    "",
    `${rows.length} rows: ${summaryOf(rows)}.`,
    "",
    "A figure is a median over rounds, with their middle half in brackets. A ratio is taken inside a round, in one process. `×` beside",
    "another store is how many times as fast Holdfast is. A verdict is about an interval, the middle half and at least 5 % each way: a figure",
    "whose interval has the goal in it is *at the goal*, with where it lies, 1 being the goal. *Kept* is a floor without a goal. Red is only",
    "what was beyond its red line as a whole interval, twice. How it is measured: [bench/README.md](../bench/README.md).",
  ];
  for (const gate of gates) {
    const ofGate = rows.filter((row) => row.gate === gate);
    if (ofGate.length === 0) continue;
    lines.push("", `## ${gate[0].toUpperCase()}${gate.slice(1)}`, "");
    lines.push(cells(["measured", "goal", "red", "found", "verdict", "again by"]), cells(Array(6).fill("---")));
    for (const row of ofGate) {
      lines.push(cells([row.title, goalText(row), redText(row), foundText(row), bold(row), `\`${row.command}\``]));
    }
  }
  return `${lines.join("\n")}\n`;
}

const TITLE_CHARS = 84;
const FOUND_CHARS = 30;
const GOAL_CHARS = 24;

export function renderLines(rows) {
  const plain = (text) => text.replaceAll("`", "");
  const lines = [];
  for (const gate of gates) {
    const ofGate = rows.filter((row) => row.gate === gate);
    if (ofGate.length === 0) continue;
    lines.push("", gate);
    for (const row of ofGate) {
      const title = plain(row.title).padEnd(TITLE_CHARS);
      lines.push(
        `  ${title}${foundText(row).padEnd(FOUND_CHARS)}${goalText(row).padEnd(GOAL_CHARS)}${verdictText(row)}`,
      );
    }
  }
  return `${lines.join("\n")}\n`;
}
