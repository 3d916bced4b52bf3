// What the README shows of the figures: one picture, one table, and how the scorecard stands.
//
// Keeps true: it stands between two markers and is made of the file of figures alone; what is around it is left as it is.

import { timeText } from "../red-flags/format.mjs";
import { machineText, summaryOf } from "../red-flags/scorecard.mjs";

const BEGIN = "<!-- figures: made by npm run bench:red-flags, not typed -->";
const END = "<!-- /figures -->";
const FIGURE = "docs/figures/operations";

/** What each measurement is called in a table for users. */
const OPERATIONS = {
  get: "`kv.get`, one of 100,000 keys",
  put: "`kv.put` in memory",
  "put-buffered": "`kv.put` buffered, on files",
  "put-strict": "`kv.put` strict, synced",
};

/** A column shows the first subject whose name begins so. */
const COLUMNS = ["Holdfast", "Map", "lmdb", "better-sqlite3", "classic-level", "bare write"];

function tableOf({ compared }) {
  const head = ["", ...COLUMNS.map((column) => (column === "bare write" ? "bare `write`, `fdatasync`" : column))];
  const lines = compared.map(({ name, subjects }) => [
    OPERATIONS[name],
    ...COLUMNS.map((column) => {
      const found = subjects.find((subject) => subject.name.startsWith(column));
      return found === undefined ? "–" : timeText(found.ns.median);
    }),
  ]);
  return [head, head.map((_, at) => (at === 0 ? "---" : "---:")), ...lines].map((line) => `| ${line.join(" | ")} |`);
}

/** The lines between the markers, and the markers. */
export function renderBlock(data) {
  return [
    BEGIN,
    "<picture>",
    `  <source media="(prefers-color-scheme: dark)" srcset="${FIGURE}-dark.svg">`,
    `  <img alt="Time for one operation, Holdfast beside other stores; the table below has the figures." src="${FIGURE}-light.svg">`,
    "</picture>",
    "",
    ...tableOf(data),
    "",
    `Time for one operation, medians. ${machineText(data)}. Peers in their documented fastest settings for the same promise; what is`,
    "not alike stands in [bench/README.md](bench/README.md).",
    "",
    `Of the ${data.rows.length} rows of the [scorecard](docs/SCORECARD.md): ${summaryOf(data.rows)}.`,
    END,
  ].join("\n");
}

/** The README with its block made anew; throws where it has no markers. */
export function renderReadme(readme, data) {
  const from = readme.indexOf(BEGIN);
  const to = readme.indexOf(END);
  if (from < 0 || to < from) throw new Error(`README.md has no place for figures: ${BEGIN} … ${END}`);
  return readme.slice(0, from) + renderBlock(data) + readme.slice(to + END.length);
}
