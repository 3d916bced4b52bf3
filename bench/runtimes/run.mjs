// `npm run bench:runtimes`: the same work on every runtime there is, one after the other, into one table and one page.
//
// Keeps true: the table goes to standard output and everything else to standard error; figures and page are written after each
// runtime, so that an interruption loses only the one under way. A runtime that is missing is named with what installs it; one that
// fails is status 1 and does not end the others; a wrong flag is one line and status 2.

import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { installRuntimes } from "../../test/runtimes/install.mjs";
import { ensurePeers } from "../dependencies.mjs";
import { machineFacts } from "../machine.mjs";
import { openScratch } from "../scratch.mjs";
import { renderMachine } from "../table.mjs";
import { absenceOf } from "./figures.mjs";
import { helpText, parseFlags, UsageError } from "./flags.mjs";
import { RUNTIMES } from "./places.mjs";
import { renderPage } from "./report-page.mjs";
import { renderTable } from "./table.mjs";
import { AROUND, WORKLOADS } from "./workloads.mjs";

const JSON_FORMAT = 1;
const RESULTS = fileURLToPath(new URL("../results/", import.meta.url));
const HERE = fileURLToPath(new URL("./", import.meta.url));
const ORDER = [
  ...Object.entries(WORKLOADS).map(([name, { what }]) => ({ name, what })),
  ...Object.entries(AROUND).map(([name, what]) => ({ name, what })),
];

const say = (line) => process.stderr.write(`${line}\n`);
const sayStep = (step) => (process.stderr.isTTY ? process.stderr.write(`\r\x1b[K${step}`) : say(step));

process.exitCode = await main(process.argv.slice(2));

async function main(args) {
  let options;
  try {
    options = parseFlags(args, RUNTIMES);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    say(error.message);
    return 2;
  }
  if (options.help) {
    process.stdout.write(helpText(RUNTIMES));
    return 0;
  }
  ensurePeers(say, HERE);
  await installRuntimes();
  const scratch = openScratch();
  const report = {
    format: JSON_FORMAT,
    machine: machineFacts(),
    quick: options.quick,
    missing: [],
    failed: [],
    rows: [],
  };
  const files = filesOf(options.json, report);
  process.stdout.write(renderMachine(report.machine, scratch));
  if (options.quick)
    process.stdout.write("quick: few and short rounds, good to see that it works and not to be quoted\n");
  try {
    for (const [at, runtime] of options.runtimes.entries()) {
      await runOne(runtime, report, { scratch, quick: options.quick, of: `${at + 1}/${options.runtimes.length}` });
      write(files, report);
    }
  } finally {
    scratch.remove();
  }
  process.stdout.write(renderTable(report.rows, ORDER));
  for (const { name, install } of report.missing) process.stdout.write(`${name} is missing: ${install}\n`);
  for (const { name, why } of report.failed) process.stdout.write(`${name} failed: ${why}\n`);
  say(`figures: ${files.json}\npage: ${files.page}`);
  return report.failed.length > 0 || report.rows.some(({ failure }) => failure !== undefined) ? 1 : 0;
}

/** One runtime, or a line that says why not. */
async function runOne(runtime, report, { scratch, quick, of }) {
  const { name, install } = runtime;
  const rows = [];
  try {
    const found = await runtime.find();
    if (found === undefined) {
      report.missing.push({ name, install });
      say(`${name} is missing: ${install}`);
      return;
    }
    const onLine = ({ progress, row }) => {
      if (row !== undefined) rows.push(row);
      else sayStep(`${of} ${found.title ?? name}: ${progress}`);
      if (row !== undefined && absenceOf(row) !== undefined)
        say(`${name}: ${row.subject}, ${row.workload} ${absenceOf(row)}`);
    };
    const folder = scratch.folder(name.replace(" ", "-"));
    const title = await runtime.run(found, { size: quick ? "quick" : "full", folder, onLine });
    keep(report, rows, found.title ?? title);
  } catch (error) {
    report.failed.push({ name, why: String(error?.message ?? error) });
    say(`${name} failed: ${error?.message ?? error}`);
    keep(report, rows, name);
  } finally {
    if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
  }
}

function keep(report, rows, runtime) {
  report.rows.push(...rows.map((row) => ({ runtime, ...row })));
}

function filesOf(given, { machine }) {
  fs.mkdirSync(RESULTS, { recursive: true });
  const json = given ?? path.join(RESULTS, `runtimes-${machine.date.replaceAll(":", "-")}.json`);
  return { json, page: `${json.replace(/\.json$/, "")}.html` };
}

function write({ json, page }, report) {
  fs.writeFileSync(json, `${JSON.stringify(report, null, 2)}\n`);
  fs.writeFileSync(page, renderPage(report, ORDER));
}
