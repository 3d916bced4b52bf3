// The comparison as text for a terminal.
//
// Keeps true: columns are aligned, numbers to the right; each row ends with its verdict; nothing is said that the JSON does not.

import { inUnit } from "../units.mjs";

const HEAD = ["", "BASE", "HEAD", "HEAD ÷ BASE", "min – max", "noise", "verdict"];
const LEFT_ALIGNED = new Set([0, HEAD.length - 1]);

export function renderSides({ base, head, benchOf, rounds, quick }) {
  const name = ({ ref, commit }) => (commit === undefined ? "the work tree" : `${ref} (${commit.slice(0, 10)})`);
  const bench =
    benchOf === "own" ? "each with its own benchmark" : `both with the benchmark of ${benchOf.toUpperCase()}`;
  const lines = [
    `BASE is ${name(base)}, HEAD is ${name(head)}; ${bench}`,
    `${rounds} processes of HEAD, each between two of BASE; the best round of each; a ratio above 1 is more time, or more of what is counted`,
    ...(quick ? ["quick: few and short rounds, good to see that it works and not to judge by"] : []),
  ];
  return `${lines.join("\n")}\n`;
}

export function renderComparison({ name, title, rows }) {
  const cells = [HEAD, ...rows.map(renderRow)];
  const widths = HEAD.map((_, column) => Math.max(...cells.map((line) => line[column].length)));
  const lines = cells.map((line) =>
    line
      .map((cell, at) => (LEFT_ALIGNED.has(at) ? cell.padEnd(widths[at]) : cell.padStart(widths[at])))
      .join("  ")
      .trimEnd(),
  );
  return `\n${name} – ${title}\n${lines.join("\n")}\n`;
}

function renderRow({ name, unit, base, head, ratio, noise, verdict, reason }) {
  if (ratio === undefined) return [name, "–", "–", "–", "", "", reason];
  return [
    name,
    figure(base.median, unit),
    figure(head.median, unit),
    ratio.median.toFixed(3),
    `${ratio.min.toFixed(2)} – ${ratio.max.toFixed(2)}`,
    noise < 1 ? `${(noise * 100).toFixed(1)} %` : "> 100 %",
    verdict,
  ];
}

function figure(number, unit) {
  return `${inUnit(number, unit).toLocaleString("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 })} ${unit}`;
}
