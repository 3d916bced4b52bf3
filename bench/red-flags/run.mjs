// `npm run bench:red-flags`: every row and every floor of the specification's section on speed, with its verdict.
//
// Keeps true: the scorecard goes to standard output and everything else to standard error; status 1 is a red row, or a figure
// that could not be had, status 2 a wrong flag; what is in docs/ is only written by a run of everything; no files are left
// behind but those.

import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { ensurePeers } from "../dependencies.mjs";
import { UsageError } from "../flags.mjs";
import { machineFacts } from "../machine.mjs";
import { openScratch } from "../scratch.mjs";
import { helpText, parseOptions } from "./flags.mjs";
import { publish } from "./publish.mjs";
import { rows as allRows } from "./rows.mjs";
import { machineText, renderLines, summaryOf } from "./scorecard.mjs";
import { commandOf, readRow, runSource, sourceOf } from "./sources.mjs";
import { confirm, judgeRow } from "./verdict.mjs";

const JSON_FORMAT = 1;
const RESULTS = fileURLToPath(new URL("../results/", import.meta.url));
/** What "reached" would contradict; what is at a goal, or at a red line, is on neither side. */
const OPPOSITES = new Set(["missed", "red"]);
const FAILURES = new Set(["red", "not measured"]);

const say = (line) => process.stderr.write(`${line}\n`);

process.exitCode = await main(process.argv.slice(2));

async function main(args) {
  let options;
  try {
    options = parseOptions(args);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    say(error.message);
    return 2;
  }
  if (options.help) {
    process.stdout.write(helpText());
    return 0;
  }
  let peers;
  try {
    peers = ensurePeers(say);
  } catch (error) {
    say(`the peers could not be installed: ${error.message}`);
    return 1;
  }
  const chosen = allRows.filter(({ gate }) => options.only.length === 0 || options.only.includes(gate));
  const scratch = openScratch();
  try {
    const runs = [];
    for (let run = 0; run < options.runs; run++) {
      const mark = options.runs === 1 ? "" : `run ${run + 1} of ${options.runs}: `;
      runs.push(await measureOnce(chosen, peers, scratch, mark));
      process.stdout.write(`\n${mark}${summaryOf(runs[run].rows)}\n`);
    }
    const [last] = runs.slice(-1);
    process.stdout.write(`${machineText(last)}\n${renderLines(last.rows)}`);
    if (runs.length > 1) process.stdout.write(renderAgreement(runs));
    const report = runs.length > 1 ? { ...last, runs: runs.map(({ rows }) => rows) } : last;
    say(`figures written to ${path.relative(process.cwd(), writeJson(options.json, report))}`);
    if (runs.length === 1 && options.only.length === 0) for (const file of await publish(last)) say(`wrote ${file}`);
    return runs.some(({ rows }) => rows.some(({ verdict }) => FAILURES.has(verdict))) ? 1 : 0;
  } finally {
    scratch.remove();
  }
}

/** Measures what the rows come from, and says of each row what its figure means. */
async function measureOnce(rows, peers, scratch, mark) {
  const started = performance.now();
  const machine = machineFacts();
  const sources = new Map(rows.map(({ from }) => sourceOf(from)).map((source) => [source.key, source]));
  const folder = scratch.folder("reports");
  const found = new Map();
  for (const [at, source] of [...sources.values()].entries()) {
    say(`${mark}${at + 1} of ${sources.size}: ${source.key}`);
    found.set(source.key, await runSource(source, folder));
  }
  const judged = judgeAll(rows, found);
  for (const key of new Set(judged.filter(({ verdict }) => verdict === "red").map(({ source }) => source))) {
    say(`${mark}red, so once more: ${key}`);
    const again = await runSource(sources.get(key), folder);
    for (const row of judged.filter((each) => each.source === key && each.verdict === "red")) {
      Object.assign(row, confirm(row, judgeRow(readRow(row.from, again))));
    }
  }
  const seconds = Math.round((performance.now() - started) / 1000);
  const { fileSystem, isMemory } = scratch;
  const reports = Object.fromEntries([...found].map(([key, { report }]) => [key, report]));
  return { format: JSON_FORMAT, machine, files: { fileSystem, isMemory }, peers, seconds, rows: judged, reports };
}

function judgeAll(rows, found) {
  return rows.map(({ gate, title, from }) => {
    const source = sourceOf(from);
    const { failure: _, ...read } = readRow(from, found.get(source.key));
    const verdict = judgeRow(readRow(from, found.get(source.key)));
    return { gate, title, from, source: source.key, command: commandOf(source), ...read, ...verdict };
  });
}

/** Which verdicts were not the same in all runs, what they were, and whether any were opposites. */
function renderAgreement(runs) {
  const differing = runs[0].rows.flatMap(({ title }, at) => {
    const verdicts = runs.map(({ rows }) => rows[at].verdict);
    return new Set(verdicts).size === 1 ? [] : [{ title, verdicts }];
  });
  const count = runs[0].rows.length;
  const isOpposed = ({ verdicts }) => verdicts.includes("reached") && verdicts.some((each) => OPPOSITES.has(each));
  const lines = [
    `${runs.length} runs: ${count - differing.length} of ${count} verdicts are the same in all of them`,
    ...differing.map(({ title, verdicts }) => {
      const counts = [...new Set(verdicts)].map((each) => `${each} ${verdicts.filter((one) => one === each).length} ×`);
      return `  ${title.replaceAll("`", "")}: ${counts.join(", ")}`;
    }),
    `reached in one and missed in another: ${differing.filter(isOpposed).length}`,
  ];
  return `\n${lines.join("\n")}\n`;
}

function writeJson(wanted, report) {
  const name = `red-flags-${report.machine.date.replaceAll(":", "-")}.json`;
  const file = path.resolve(wanted ?? path.join(RESULTS, name));
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
  return file;
}
