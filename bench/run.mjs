// `npm run bench`: Holdfast beside its peers, in one process, on the same work.
//
// Keeps true: the table goes to standard output and everything else to standard error; the figures are also written as JSON;
// a wrong flag is one line and status 2, a subject that failed is status 1; no files are left behind.

import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { catalogue } from "./catalogue.mjs";
import { ensurePeers } from "./dependencies.mjs";
import { measureEntry, WARM_UPS } from "./entry.mjs";
import { helpText, parseFlags, ROUNDS_FULL, ROUNDS_QUICK, UsageError } from "./flags.mjs";
import { machineFacts } from "./machine.mjs";
import { openScratch } from "./scratch.mjs";
import { renderMachine, renderMeasurement } from "./table.mjs";

const JSON_FORMAT = 2;
const RESULTS = fileURLToPath(new URL("./results/", import.meta.url));

const say = (line) => process.stderr.write(`${line}\n`);
/** Progress stays on one line of a terminal, and is gone from it when the next table comes. */
const sayStep = (step) => (process.stderr.isTTY ? process.stderr.write(`\r\x1b[K${step}`) : say(step));

process.exitCode = await main(process.argv.slice(2));

async function main(args) {
  let options;
  try {
    options = parseFlags(
      args,
      catalogue.map(({ name }) => name),
    );
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    say(error.message);
    return 2;
  }
  if (options.help) {
    process.stdout.write(helpText(catalogue));
    return 0;
  }

  let peers;
  try {
    peers = ensurePeers(say);
  } catch (error) {
    say(`the peers could not be installed: ${error.message}`);
    return 1;
  }
  const { loadHoldfast } = await import("./subjects/holdfast.mjs");
  const missing = await loadHoldfast();
  if (missing !== undefined) say(`Holdfast itself cannot be measured: ${missing}`);

  const scratch = openScratch();
  try {
    const report = await runAll(options, peers, scratch);
    const file = writeJson(options.json, report);
    say(`figures written to ${path.relative(process.cwd(), file)}`);
    if (options.only.length === 0) await drawPage(file);
    return report.measurements.some(({ rows }) => rows.some((row) => row.failure !== undefined)) ? 1 : 0;
  } finally {
    scratch.remove();
  }
}

/** The page beside the figures, of all that was measured lately; figures without it are no failure. */
async function drawPage(beside) {
  const page = beside.replace(/(\.json)?$/, ".html");
  try {
    const { writePage } = await import("./page/write.mjs");
    await writePage(RESULTS, page, [beside]);
    say(`plots drawn in ${path.relative(process.cwd(), page)}`);
  } catch (error) {
    say(`no plots were drawn: ${error?.message ?? error}`);
  }
}

async function runAll({ quick, only, rounds }, peers, scratch) {
  const machine = machineFacts();
  const { fileSystem, isMemory } = scratch;
  process.stdout.write(renderMachine(machine, scratch));
  if (quick) process.stdout.write("quick: few and short rounds, good to see that it works and not to be quoted\n");

  const chosen = catalogue.filter(({ name }) => only.length === 0 || only.includes(name));
  const measurements = [];
  for (const entry of chosen) {
    const measured = await measureEntry(entry, { quick, rounds, scratch, say, sayStep });
    if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
    process.stdout.write(renderMeasurement(measured));
    measurements.push(measured);
  }
  return {
    format: JSON_FORMAT,
    machine,
    files: { fileSystem, isMemory },
    peers,
    quick,
    rounds: rounds ?? (quick ? ROUNDS_QUICK : ROUNDS_FULL),
    warmUps: WARM_UPS,
    measurements,
  };
}

function writeJson(wanted, report) {
  const file = path.resolve(wanted ?? path.join(RESULTS, `${report.machine.date.replaceAll(":", "-")}.json`));
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
  return file;
}
