// What a run of everything leaves in docs/: the file of figures, and all that is made of it.
//
// Keeps true: the scorecard, the README's block and the pictures are made of docs/figures/figures.json and of nothing else, so
// that a test can say whether they still are; figures in it have four digits, which is more than they mean.

import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { renderReadme } from "../readme/block.mjs";
import { renderScorecard } from "./scorecard.mjs";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const DATA = "docs/figures/figures.json";
const DIGITS = 4;

/** The measurements whose subjects stand beside one another in the README. */
const COMPARED = ["get", "put", "put-buffered", "put-strict"];

const rounded = (_key, value) =>
  typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(DIGITS)) : value;

/** What is kept of a run's report. */
export function toData({ machine, files, seconds, rows, reports }) {
  const compared = COMPARED.map((name) => {
    const { title, rows: subjects } = reports[name].measurements[0];
    const timed = subjects.filter(({ ns }) => ns !== undefined);
    return {
      name,
      title,
      subjects: timed.map((row) => ({ name: row.name, ns: row.ns, timesAsFast: row.timesAsFast?.median })),
    };
  });
  const kept = rows.map(({ from: _, source: __, beside: ___, at: ____, ...row }) => row);
  return JSON.parse(JSON.stringify({ machine, files, seconds, rows: kept, compared }, rounded));
}

/** Writes the file of figures and all that is made of it; the paths of what was written. */
export async function publish(report) {
  const data = toData(report);
  const written = [write(DATA, `${JSON.stringify(data, null, 1)}\n`)];
  return [...written, ...(await publishData(data))];
}

/** What is made of the file of figures. */
export async function publishData(data) {
  // The drawing needs what bench/ has installed, which the rest of this file does not.
  const { drawFigures } = await import("../readme/figures.mjs");
  const readme = fs.readFileSync(path.join(ROOT, "README.md"), "utf8");
  const written = [write("docs/SCORECARD.md", renderScorecard(data)), write("README.md", renderReadme(readme, data))];
  for (const { file, svg } of await drawFigures(data)) written.push(write(file, svg));
  return written;
}

export function readData() {
  return JSON.parse(fs.readFileSync(path.join(ROOT, DATA), "utf8"));
}

function write(file, content) {
  const full = path.join(ROOT, file);
  fs.mkdirSync(path.dirname(full), { recursive: true });
  fs.writeFileSync(full, content);
  return file;
}
