// `npm run bench:compare`: two commits, built side by side and measured in turn, each time in a fresh process.
//
// Keeps true: verdicts go to standard output and everything else to standard error; nothing is left behind, also where it is
// interrupted; status 1 says that something is slower and nothing else.

import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { catalogue } from "../catalogue.mjs";
import { UsageError } from "../flags.mjs";
import { machineFacts } from "../machine.mjs";
import { openScratch } from "../scratch.mjs";
import { helpText, parseOptions } from "./flags.mjs";
import { JobError, openJobs } from "./jobs.mjs";
import { compareReports } from "./rows.mjs";
import { renderComparison, renderSides } from "./table.mjs";
import { checkOut, fitToCore, newerOf, provideModules, resolveCommit, TreeError, takeBench } from "./trees.mjs";

const JSON_FORMAT = 1;
const PROJECT = fileURLToPath(new URL("../../", import.meta.url));
const SIDES = ["base", "head"];
/** The benchmark's status where a subject failed: its figures are there all the same. */
const SOME_FAILED = 1;

const say = (line) => process.stderr.write(`${line}\n`);
const sayStep = (step) => (process.stderr.isTTY ? process.stderr.write(`\r\x1b[K${step}`) : say(step));

process.exitCode = await main(process.argv.slice(2));

async function main(args) {
  const names = catalogue.map(({ name }) => name);
  try {
    const options = parseOptions(args, names);
    if (options.help) {
      process.stdout.write(helpText(names));
      return 0;
    }
    return await compare(options);
  } catch (error) {
    if (!(error instanceof UsageError || error instanceof TreeError || error instanceof JobError)) throw error;
    say(error.message);
    return 2;
  }
}

async function compare(options) {
  const [base, head] = options.commits.map((ref) => resolveCommit(PROJECT, ref));
  const sides = { base, head };
  const benchOf = options.ownBench ? "own" : newerOf(PROJECT, base, head);

  // In this order at exit: who is at work ends, git forgets its work trees, the folder goes.
  const job = openJobs();
  const undo = [];
  process.once("exit", () => {
    for (const each of undo) each();
  });
  const scratch = openScratch();
  try {
    const trees = { base: scratch.folder("base"), head: scratch.folder("head") };
    for (const side of SIDES) undo.push(checkOut(PROJECT, sides[side], trees[side]));
    const taker = benchOf === "head" ? "base" : "head";
    const own = benchOf === "own" ? [] : takeBench(trees[taker], trees[benchOf]);
    for (const side of ["head", "base"]) {
      await provideModules(trees[side], [PROJECT, ...(side === "base" ? [trees.head] : [])], job, say);
      if (side === taker) await fitToCore(trees[side], own, job);
      sayStep(`building ${side.toUpperCase()}`);
      await job.run(process.execPath, ["scripts/build.mjs", "--quiet"], { cwd: trees[side] });
    }
    const { rounds, quick } = options;
    process.stdout.write(renderSides({ base, head, benchOf, rounds, quick }));
    const measurements = [];
    for (const name of options.only) {
      const { title, reports } = await measureInTurn(name, trees, options, job, scratch);
      const compared = { name, title, rows: compareReports(reports) };
      if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
      process.stdout.write(renderComparison(compared));
      measurements.push(compared);
    }
    if (options.json !== undefined) {
      const report = { format: JSON_FORMAT, machine: machineFacts(), base, head, benchOf, rounds, quick, measurements };
      fs.writeFileSync(path.resolve(options.json), `${JSON.stringify(report, null, 2)}\n`);
    }
    return conclude(measurements);
  } finally {
    for (const each of undo.splice(0)) each();
    scratch.remove();
  }
}

/** BASE, HEAD, BASE, HEAD, and BASE once more, so that each figure of HEAD stands between two of BASE: a process each. */
async function measureInTurn(name, trees, { rounds, quick }, job, scratch) {
  const reports = { base: [], head: [] };
  const folder = scratch.folder(name);
  let title;
  for (let round = 0; round <= rounds; round++) {
    for (const side of round < rounds ? SIDES : ["base"]) {
      sayStep(`${name}: ${side.toUpperCase()}, process ${round + 1} of ${side === "base" ? rounds + 1 : rounds}`);
      const file = path.join(folder, `${side}-${round}.json`);
      const args = ["bench/run.mjs", "--only", name, "--json", file, ...(quick ? ["--quick"] : [])];
      await job.run(process.execPath, args, { cwd: trees[side], fine: [0, SOME_FAILED] });
      if (!fs.existsSync(file)) throw new JobError(`${side.toUpperCase()} gave no figures of ${name}: see --own-bench`);
      const [report] = JSON.parse(fs.readFileSync(file, "utf8")).measurements;
      reports[side].push(report);
      title = report.title;
    }
  }
  return { title, reports };
}

function conclude(measurements) {
  const rows = measurements.flatMap(({ name, rows }) => rows.map((row) => ({ ...row, at: `${name}: ${row.name}` })));
  const slower = rows.filter(({ verdict }) => verdict === "slower");
  const compared = rows.filter(({ verdict }) => verdict !== "not compared");
  if (compared.length === 0) {
    say("nothing could be compared");
    return 2;
  }
  const text = slower.length === 0 ? "nothing is slower" : `slower: ${slower.map(({ at }) => at).join("; ")}`;
  process.stdout.write(`\n${text}\n`);
  return slower.length === 0 ? 0 : 1;
}
