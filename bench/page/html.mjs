// The page: one file that needs nothing else, for light and dark, for a phone and for a wide screen.
//
// Keeps true: everything that comes from a measurement is escaped; each plot has its table behind it; no script, nothing fetched.

import { gates } from "../red-flags/rows.mjs";
import { foundText, goalText, machineText, redText, summaryOf, verdictText } from "../red-flags/scorecard.mjs";
import { DARK, draw, LIGHT, ROLES } from "./draw.mjs";
import { latencyPlots, scalingPlots, scorecardPlot, throughputPlots } from "./plots.mjs";

const VARIABLES = Object.fromEntries(Object.keys(ROLES).map((role) => [role, `var(--${role})`]));
const variables = (palette) =>
  Object.entries(palette)
    .map(([role, colour]) => `--${role}:${colour}`)
    .join(";");

const STYLE = `
:root{color-scheme:light dark;${variables(LIGHT)}}
@media (prefers-color-scheme:dark){:root{${variables(DARK)}}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:76rem;padding:1rem;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif}
h1{font-size:1.6rem;margin:.5rem 0}h2{font-size:1.25rem;margin:2.5rem 0 .5rem;border-bottom:1px solid var(--grid);padding-bottom:.3rem}h3{font-size:1rem;margin:1.5rem 0 .3rem}
p{margin:.4rem 0;max-width:46rem}.note,figcaption span{color:var(--muted);font-size:.85rem}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(28rem,100%),1fr));gap:1.5rem;align-items:start}
figure{margin:0;min-width:0}figcaption{font-weight:600;line-height:1.3;margin-bottom:.4rem}figcaption span{display:block;font-weight:400}
figure svg{display:block;width:100%;height:auto}
details{margin-top:.3rem;font-size:.85rem}summary{cursor:pointer;color:var(--muted)}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:.85rem;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.25rem .7rem .25rem 0;border-bottom:1px solid var(--grid);vertical-align:top}td,th+th{white-space:nowrap}.card td:first-child{white-space:normal}
.card td:nth-child(2){white-space:normal;min-width:9rem}.card td:first-child{min-width:10rem}
.v{font-weight:600}.reached{color:var(--third)}.kept{color:var(--fourth)}.goal{color:var(--holdfast)}.missed{color:var(--second)}.red{color:var(--fifth)}
`;

const escaped = (text) =>
  String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
const withCode = (text) => escaped(text).replaceAll(/`([^`]+)`/g, "<code>$1</code>");

const tableOf = ({ head, rows }) =>
  `<div class="scroll"><table><thead><tr>${head.map((cell) => `<th>${escaped(cell)}</th>`).join("")}</tr></thead><tbody>${rows
    .map(
      ([first, ...cells]) =>
        `<tr><th>${escaped(first)}</th>${cells.map((cell) => `<td>${escaped(cell)}</td>`).join("")}</tr>`,
    )
    .join("")}</tbody></table></div>`;

async function figureOf({ title, note, spec, table }) {
  const svg = (await draw(spec, VARIABLES)).replace(
    "<svg ",
    `<svg role="img" aria-label="${escaped(title)}: the table below has the figures" `,
  );
  return `<figure><figcaption>${escaped(title)}<span>${escaped(note)}</span></figcaption>${sized(svg)}<details><summary>Figures</summary>${tableOf(table)}</details></figure>`;
}

/** No larger than it was drawn, so that its text has one size in all plots. */
const sized = (svg) => svg.replace(/ width="(\d+)" height="(\d+)"/, ' style="max-width:$1px"');

async function section(title, lead, plots) {
  if (plots.length === 0) return "";
  const figures = await Promise.all(plots.map(figureOf));
  return `<section><h2>${escaped(title)}</h2><p class="note">${escaped(lead)}</p><div class="plots">${figures.join("\n")}</div></section>`;
}

const CLASSES = {
  reached: "reached",
  kept: "kept",
  "at the goal": "goal",
  missed: "missed",
  red: "red",
  "at the red line": "red",
  "not measured": "red",
};

async function scorecardSection(scorecard) {
  if (scorecard === undefined) return "";
  const svg = sized(
    (await draw(scorecardPlot(scorecard), VARIABLES)).replace(
      "<svg ",
      '<svg role="img" aria-label="verdicts by gate: the tables below have them" ',
    ),
  );
  const tables = gates.map((gate) => {
    const rows = scorecard.rows.filter((row) => row.gate === gate);
    if (rows.length === 0) return "";
    const lines = rows.map(
      (row) =>
        `<tr><td>${withCode(row.title)}</td><td class="v ${CLASSES[row.verdict] ?? ""}">${escaped(verdictText(row))}</td>${[foundText, goalText, redText].map((textOf) => `<td>${escaped(textOf(row))}</td>`).join("")}</tr>`,
    );
    return `<h3>${escaped(gate)}</h3><div class="scroll"><table class="card"><thead><tr><th>measured</th><th>verdict</th><th>found</th><th>goal</th><th>red</th></tr></thead><tbody>${lines.join("")}</tbody></table></div>`;
  });
  return `<section><h2>Scorecard</h2><p>${escaped(`${scorecard.rows.length} rows: ${summaryOf(scorecard.rows)}.`)}</p><p class="note">${escaped(machineText(scorecard))}</p><figure>${svg}</figure>${tables.join("")}</section>`;
}

/** @param gathered what `gather` found */
export async function renderPage({ measurements, workloads, scorecard }) {
  const machine = (scorecard ?? measurements[0] ?? workloads[0])?.machine;
  const sections = await Promise.all([
    section(
      "How long single operations take",
      "From the median to the longest, on a log scale. Each operation is timed by itself; those that arrive by a schedule from when they were due, so that waiting for a slow one counts.",
      latencyPlots(measurements),
    ),
    section(
      "Throughput beside other stores",
      "Operations per second on a log scale: a point for the median, a line for the middle half of the rounds. What is not alike stands in bench/README.md.",
      throughputPlots(measurements),
    ),
    section("Many workers over one memory", "Throughput of all workers together.", scalingPlots(workloads)),
    scorecardSection(scorecard),
  ]);
  const lead =
    machine === undefined
      ? "Nothing has been measured yet."
      : `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.platform}, Node ${machine.node}. Ratios are what counts: another machine gives other times.`;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>Holdfast: measured</title><style>${STYLE}</style></head>
<body><h1>Holdfast: measured</h1><p>${escaped(lead)}</p>
${sections.join("\n")}
</body></html>
`;
}
