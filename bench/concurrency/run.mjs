// `npm run bench:concurrency`: many workers over one memory, and beside it what shares nothing, one lock, plain read-write
// locks, and lmdb, on the same work in the same rounds.
//
// Keeps true: the table goes to standard output and everything else to standard error; the figures are also written as JSON; a
// wrong flag is one line and status 2, anything that failed or gave a wrong answer is status 1; a goal that is not reached is
// said and is no failure; no files are left behind.

import fs from "node:fs";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { ensurePeers } from "../dependencies.mjs";
import { UsageError } from "../flags.mjs";
import { machineFacts } from "../machine.mjs";
import { openScratch } from "../scratch.mjs";
import { renderMachine } from "../table.mjs";
import { goals, KEYS } from "./catalogue.mjs";
import { helpText, parseOptions } from "./flags.mjs";
import { Measured } from "./statistics.mjs";
import { renderNotes, renderVerdicts, renderWorkload } from "./table.mjs";
import { cellsFor, judge } from "./verdict.mjs";

const JSON_FORMAT = 1;
const FULL = {
  rounds: 5,
  windowMs: 250,
  windowMsPerWorker: 16,
  restMs: 150,
  warmUpMs: 250,
  warmUpMsPerWorker: 40,
  retries: 100,
};
const QUICK = {
  rounds: 2,
  windowMs: 60,
  windowMsPerWorker: 0,
  restMs: 0,
  warmUpMs: 100,
  warmUpMsPerWorker: 20,
  retries: 0,
};
/**
 * A loop is warm when so many windows in a row have not brought the processor time of an operation below this share of the least
 * before, or after so many windows. Throughput says less of it: where many threads compile, or others work beside, one window in
 * five is slower than the one before.
 */
const WARM = 0.95;
const WARM_IN_A_ROW = 2;
const WARM_UPS_MAX = 12;
/** A window in which others took more than this of the cores is taken again, once, and not more often than `retries` in all. */
const OTHERS_MAX = 0.04;
const RESULTS = fileURLToPath(new URL("../results/", import.meta.url));

const say = (line) => process.stderr.write(`${line}\n`);
const sayStep = (step) => (process.stderr.isTTY ? process.stderr.write(`\r\x1b[K${step}`) : undefined);

// Where something has failed there may be threads that wait for ever.
process.exit(await main(process.argv.slice(2)));

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
  const scratch = openScratch();
  try {
    const report = await measureAll(options, ensurePeers(say), scratch);
    const file = path.resolve(
      options.json ?? path.join(RESULTS, `concurrency-${report.machine.date.replaceAll(":", "-")}.json`),
    );
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
    say(`figures written to ${path.relative(process.cwd(), file)}`);
    return 0;
  } catch (error) {
    say(`failed: ${error?.stack ?? error}`);
    return 1;
  } finally {
    scratch.remove();
  }
}

async function measureAll({ quick, workloads, designs, goalsOnly, rounds }, peers, scratch) {
  const machine = machineFacts();
  const base = quick ? QUICK : FULL;
  const how = { ...base, rounds: rounds ?? base.rounds };
  const named = new Set(workloads.map(({ name }) => name));
  const ofInterest = goals.filter(({ workload }) => named.has(workload));
  process.stdout.write(renderMachine(machine, scratch));
  process.stdout.write(
    `${KEYS} keys in each run; ${how.rounds} rounds of windows of ${how.windowMs} ms; columns are workers, on ${machine.cores} cores\n`,
  );
  if (quick) process.stdout.write("quick: few and short windows, good to see that it works and not to be quoted\n");

  const measured = new Measured();
  const left = { retries: how.retries };
  let disturbed = 0;
  for (const group of new Set(workloads.map((workload) => workload.group))) {
    const ofGroup = workloads.filter((workload) => workload.group === group);
    const cells = goalsOnly ? cellsOfGoals(ofInterest, ofGroup) : cellsOf(ofGroup, designs);
    if (cells.length === 0) continue;
    disturbed += await measureGroup({ group, cells, how, left, folder: scratch.folder(`lmdb-${group}`) }, measured);
  }

  for (const workload of workloads) process.stdout.write(renderWorkload(workload, designs, measured));
  const verdicts = judge(ofInterest, measured, machine.cores);
  process.stdout.write(renderVerdicts(verdicts));
  process.stdout.write(renderNotes(designs.filter(({ name }) => workloads.some(({ on }) => on.includes(name)))));
  const windows = measured.cells().reduce((count, cell) => count + cell.windows.length, 0);
  const others = `others took more than ${OTHERS_MAX * 100} % of the cores in ${disturbed} of ${windows} windows`;
  process.stdout.write(`${others}\n`);
  const cells = measured.cells();
  return {
    format: JSON_FORMAT,
    machine,
    peers,
    quick,
    goalsOnly,
    ...how,
    keys: KEYS,
    disturbed,
    windows,
    cells,
    verdicts,
  };
}

/** Measures all workloads of one group with threads that do nothing else; how many windows others have disturbed. */
async function measureGroup({ group, cells, how, left, folder }, measured) {
  const { openPools } = await import("./pools.mjs");
  say(`${group}: starting the workers`);
  const pools = await openPools({ cells, group, folder });
  say(`${group}: warming up`);
  await warmUp(cells, pools, how);
  let disturbed = 0;
  for (let round = 0; round < how.rounds; round++) {
    for (const [at, cell] of inTurn(cells, round).entries()) {
      sayStep(`${group}: round ${round + 1} of ${how.rounds}: window ${at + 1} of ${cells.length}`);
      const window = await quietWindow(cell, pools, how, left);
      if (window.othersShare > OTHERS_MAX) disturbed++;
      measured.add(cell.workload, cell.design, cell.workers, window);
    }
    if (!process.stderr.isTTY) say(`${group}: round ${round + 1} of ${how.rounds} is done`);
  }
  sayStep(`${group}: looking through the stores\n`);
  await pools.close();
  return disturbed;
}

/** What goals look at, of these workloads; also where there are too few cores for the goal itself. */
function cellsOfGoals(goals, workloads) {
  const names = workloads.map(({ name }) => name);
  return cellsFor(goals).filter(({ workload }) => names.includes(workload));
}

function cellsOf(workloads, designs) {
  return workloads.flatMap((workload) =>
    workload.counts.flatMap((workers) =>
      designs
        .filter(({ name }) => workload.on.includes(name))
        .map(({ name }) => ({ workload: workload.name, design: name, workers })),
    ),
  );
}

/** What is compared stays together; who begins is another design in each round. */
function inTurn(cells, round) {
  const groups = new Map();
  for (const cell of cells) {
    const key = `${cell.workload} ${cell.workers}`;
    groups.set(key, [...(groups.get(key) ?? []), cell]);
  }
  return [...groups.values()].flatMap((group) => group.map((_, at) => group[(at + round) % group.length]));
}

/** Every worker runs every loop that it will be measured with until it is compiled. */
async function warmUp(cells, pools, { warmUpMs, warmUpMsPerWorker }) {
  for (const [at, cell] of cells.entries()) {
    sayStep(`warm-up ${at + 1} of ${cells.length}`);
    let least = Number.POSITIVE_INFINITY;
    let inARow = 0;
    for (let windows = 0; windows < WARM_UPS_MAX && inARow < WARM_IN_A_ROW; windows++) {
      const { cpuNs } = await pools.window(cell, Math.max(warmUpMs, cell.workers * warmUpMsPerWorker));
      inARow = cpuNs < WARM * least ? 0 : inARow + 1;
      least = Math.min(least, cpuNs);
    }
  }
}

/** A window, and another one where others have disturbed it; the better of the two. */
async function quietWindow(cell, pools, { windowMs, windowMsPerWorker, restMs }, left) {
  const ms = Math.max(windowMs, cell.workers * windowMsPerWorker);
  await pause(restMs);
  const first = await pools.window(cell, ms);
  if (first.othersShare <= OTHERS_MAX || left.retries === 0) return first;
  left.retries--;
  await pause(2 * restMs);
  const second = await pools.window(cell, ms);
  return second.othersShare < first.othersShare ? second : first;
}
