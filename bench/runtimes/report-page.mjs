// The comparison as one HTML file that needs nothing else: a table for each workload, with a bar for each median on one logarithmic
// scale, a mark at p99, and the figures beside them.
//
// Keeps true: the figures stand in the file as text, so that it is readable without its style; light and dark follow the reader's
// choice; on a narrow screen a row is two lines.

import { absenceOf, byWorkload, formatBytes, formatTime, numberedNotes, timesOf } from "./figures.mjs";

const LEAST_NS = 100;
const MOST_NS = 1e9;
const DECADES = Math.log10(MOST_NS / LEAST_NS);

const STYLE = `
:root { color-scheme: light dark; --text: #1d2126; --soft: #5d6670; --line: #dfe3e8; --ground: #fff; --own: #0f766e; --peer: #8a94a0; --mark: #b45309; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e4e8ec; --soft: #98a2ad; --line: #2c333a; --ground: #14181c; --own: #2dd4bf; --peer: #6f7a86; --mark: #f59e0b; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1.5rem 1rem 4rem; background: var(--ground); color: var(--text); font: 15px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; }
h2 { font-size: 1.1rem; margin: 2.25rem 0 .1rem; }
p, li, dd { color: var(--soft); margin: .15rem 0; }
nav { display: flex; flex-wrap: wrap; gap: .25rem 1rem; margin: 1rem 0; }
a { color: inherit; }
table { width: 100%; border-collapse: collapse; margin-top: .5rem; font-variant-numeric: tabular-nums; font-size: .87rem; }
th { text-align: left; font-weight: 500; color: var(--soft); }
th, td { padding: .2rem .5rem .2rem 0; border-bottom: 1px solid var(--line); vertical-align: middle; }
td.n, th.n { text-align: right; white-space: nowrap; }
td.where, td.who { white-space: nowrap; }
tr.next td { border-top: 1px solid var(--soft); }
td.bar, th.bar { width: 27%; padding-right: .75rem; }
tr.own td.who { font-weight: 600; }
td.absent { color: var(--mark); }
.scale { position: relative; height: .8rem; background: repeating-linear-gradient(90deg, var(--line) 0 1px, transparent 1px calc(100% / ${DECADES})); }
.scale i { position: absolute; inset: .12rem auto .12rem 0; background: var(--peer); }
.own .scale i { background: var(--own); }
.scale b { position: absolute; top: 0; bottom: 0; width: 2px; background: var(--mark); }
sup { color: var(--soft); }
ol { padding-left: 1.4rem; }
@media (max-width: 46rem) {
  thead { display: none; }
  table, tbody { display: block; }
  td.where { white-space: normal; }
  tr.next td { border: 0; }
  tr { display: grid; grid-template-columns: 1fr auto auto; column-gap: .75rem; padding: .35rem 0; border-bottom: 1px solid var(--line); }
  td { border: 0; padding: 0; }
  td.where { grid-column: 1 / -1; color: var(--soft); font-size: .8rem; }
  td.where.runtime { color: var(--text); font-size: .87rem; grid-column: 1; }
  td.who { grid-column: 2 / -1; text-align: right; }
  td.bar { grid-column: 1; width: auto; align-self: center; }
  td.bytes, td.sampled { display: none; }
  td.absent { grid-column: 1 / -1; }
}
`;

const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
const escaped = (text) => String(text).replace(/[&<>"]/g, (character) => ENTITIES[character]);

/** How far along the scale a time stands, in percent. */
function along(ns) {
  const share = Math.log10(Math.max(ns, LEAST_NS) / LEAST_NS) / DECADES;
  return (100 * Math.min(1, share)).toFixed(1);
}

function bar({ medianNs, p99Ns }) {
  const mark = p99Ns === undefined ? "" : `<b style="left:${along(p99Ns)}%"></b>`;
  return `<div class="scale"><i style="width:${along(medianNs)}%"></i>${mark}</div>`;
}

function figureCells(row) {
  const absence = absenceOf(row);
  if (absence !== undefined) return `<td class="absent" colspan="5">${escaped(absence)}</td>`;
  const [median, p99] = timesOf(row);
  return `<td class="bar">${bar(row)}</td><td class="n">${median}</td><td class="n">${p99}</td><td class="n bytes">${formatBytes(row.bytes)}</td><td class="n sampled">${row.samples} × ${row.perSample}</td>`;
}

/** Where another runtime begins, a line says so. */
function tableRow(row, notes, before) {
  const isNext = before !== undefined && before.runtime !== row.runtime;
  const classes = [row.isHoldfast ? "own" : "peer", ...(isNext ? ["next"] : [])].join(" ");
  const note = row.note === undefined ? "" : `<sup>${notes.indexOf(row.note) + 1}</sup>`;
  return `<tr class="${classes}"><td class="where runtime">${escaped(row.runtime)}</td><td class="who">${escaped(
    row.subject,
  )}${note}</td><td class="where">${escaped(row.storage)}, ${escaped(row.mode)}</td>${figureCells(row)}</tr>`;
}

const HEAD = `<thead><tr><th>runtime</th><th>subject</th><th>storage, mode</th><th class="bar">${formatTime(LEAST_NS)} to ${formatTime(
  MOST_NS,
)}</th><th class="n">median</th><th class="n">p99</th><th class="n">bytes</th><th class="n">sampled</th></tr></thead>`;

const idOf = (name) => name.replaceAll(".", "-");

/** @param report `{ machine, quick, missing, rows }` */
export function renderPage({ machine, quick, missing, rows }, workloads) {
  const notes = numberedNotes(rows);
  const parts = byWorkload(rows, workloads);
  const links = parts.map(({ name }) => `<a href="#${idOf(name)}">${escaped(name)}</a>`).join("");
  const sections = parts.map(
    ({ name, what, rows: some }) => `<section><h2 id="${idOf(name)}">${escaped(name)}</h2><p>${escaped(what)}</p>
<table>${HEAD}<tbody>${some.map((row, at) => tableRow(row, notes, some[at - 1])).join("\n")}</tbody></table></section>`,
  );
  const absent = missing.map(
    ({ name, install }) => `<li>${escaped(name)} is missing: <code>${escaped(install)}</code></li>`,
  );
  const quickly = quick ? "<p>Few and short rounds: to see that it works, not to be quoted.</p>" : "";
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Holdfast on every runtime</title><style>${STYLE}</style></head><body>
<h1>Holdfast on every runtime</h1>
<p>The same work on each runtime, storage and mode, one after the other; beside it what else there is in the same process.</p>
<p>${escaped(machine.cpu)}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${escaped(machine.platform)}; ${escaped(machine.date)}; load ${machine.loadAverage.join(", ")}.</p>
${quickly}
<p>A bar is the median, on a logarithmic scale: from one line to the next is ten times. The mark is p99. Both are over samples of some
operations each, as many as the clock there can tell apart; “sampled” says how many samples of how many. Bytes are what an operation adds
to the log, which only Holdfast tells, and for loading what an entry takes.</p>
<ul>${absent.join("")}</ul>
<nav>${links}</nav>
${sections.join("\n")}
<h2>What is not alike</h2>
<ol>${notes.map((note) => `<li>${escaped(note)}</li>`).join("")}</ol>
</body></html>
`;
}
