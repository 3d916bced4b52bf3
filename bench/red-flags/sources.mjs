// Where the figures of the scorecard come from: the benchmarks themselves, each measurement in a process of its own, and the
// size budget.
//
// Keeps true: what is run is the command that a row names to reproduce it, and its JSON is all that is read; a measurement is
// run once however many rows it has; a benchmark that fails gives rows without a figure, and its reason.

import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { measure as measureSizes } from "../../scripts/size.mjs";
import { catalogue } from "../catalogue.mjs";
import { goals as workerGoals, workloads } from "../concurrency/catalogue.mjs";
import { kindOf } from "../concurrency/verdict.mjs";
import { spread } from "../statistics.mjs";
import { lookUp } from "../verdict.mjs";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** Fewer than the benchmark has by itself: as many as give the same verdicts again. */
const ROUNDS = 7;
const ROUNDS_OF = { growth: 3, allocations: 3, recovery: 5, layers: 9 };
const ROUNDS_WORKERS = 11;
const REASON_CHARS = 300;
const KIB = 1024;

const groupOf = (workload) => workloads.find(({ name }) => name === workload).group;

/** What a row's figure is measured by: rows with the same source are measured together. */
export function sourceOf({ measurement, workload }) {
  if (measurement !== undefined) {
    return {
      key: measurement,
      script: "bench",
      args: ["--only", measurement, "--rounds", String(roundsOf(measurement))],
    };
  }
  if (workload !== undefined) {
    const group = groupOf(workload);
    const args = ["--goals", "--only", group, "--rounds", String(ROUNDS_WORKERS)];
    return { key: `workers, ${group}`, script: "bench:concurrency", args };
  }
  return { key: "sizes", script: "size", args: [] };
}

const roundsOf = (measurement) => ROUNDS_OF[measurement] ?? ROUNDS;

/** The command that measures a source alone. */
export function commandOf({ script, args }) {
  return script === "size" ? "node scripts/size.mjs" : `npm run ${script} -- ${args.join(" ")}`;
}

const SCRIPTS = { bench: "bench/run.mjs", "bench:concurrency": "bench/concurrency/run.mjs" };

/** Runs a source; `{ report }` is its JSON, `{ failure }` says why there is none. */
export async function runSource({ key, script, args }, folder) {
  if (script === "size") return { report: await measureSizes() };
  const file = path.join(folder, `${key.replaceAll(/\W+/g, "-")}.json`);
  fs.rmSync(file, { force: true });
  const { status, said } = await runNode([SCRIPTS[script], ...args, "--json", file]);
  if (!fs.existsSync(file)) return { failure: `ended with status ${status}: ${said.trim().slice(-REASON_CHARS)}` };
  return { report: JSON.parse(fs.readFileSync(file, "utf8")) };
}

function runNode(args) {
  const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text) => {
    said = (said + text).slice(-REASON_CHARS * 2);
  });
  // Who ends this process ends its measurement too.
  const end = () => child.kill();
  process.once("exit", end);
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (status) => {
      process.off("exit", end);
      resolve({ status, said });
    });
  });
}

/** The goal of a catalogue that a row stands for; `undefined` where there is none, as for sizes and for what is only shown. */
export function goalOf({ measurement, goal, workload, workers, kind, isFloor }) {
  if (workload === undefined) {
    const entry = catalogue.find(({ name }) => name === measurement);
    return entry?.goals.find(({ against, of }) => (against ?? of) === goal);
  }
  return workerGoals.find(
    (each) =>
      each.workload === workload && each.workers === workers && kindOf(each) === kind && each.isFloor === isFloor,
  );
}

/** What a row says of its source: figure, goal and red line, as `judgeRow` takes them. */
export function readRow(from, { report, failure }) {
  if (report === undefined) return { failure };
  if (from.measurement !== undefined) return readMeasurement(from, report);
  if (from.workload !== undefined) return readWorkers(from, report);
  return readSize(from, report);
}

function readMeasurement({ measurement, goal, shown }, { measurements }) {
  const { rows } = measurements.find(({ name }) => name === measurement);
  if (shown !== undefined) {
    const row = rows.find(({ name }) => name === shown);
    return { figure: row?.ns ?? row?.figure, unit: row?.unit, failure: row?.failure, isShown: true };
  }
  return lookUp(goalOf({ measurement, goal }), rows);
}

function readWorkers({ workload, workers, kind, isFloor }, { verdicts, machine }) {
  const found = verdicts.find(
    (each) => each.workload === workload && each.workers === workers && each.kind === kind && each.isFloor === isFloor,
  );
  const { figure, unit, wanted, isMost = false, red, verdict, instead } = found;
  // The concurrency benchmark keeps operations per second and shows millions.
  const given = { figure, unit: unit === "M/s" ? "/s" : unit, isMore: !isMost, wanted: [wanted], red };
  if (instead === undefined) return given;
  const needs = `${verdict}, and there are ${machine.cores}`;
  return kind === "perSecond"
    ? { ...given, instead, needs }
    : { ...given, figure: instead.ofOne, unit: "×", instead, needs };
}

function readSize({ size, redTimesGoal }, sizes) {
  const { gzipBytes, bytesGoal } = sizes.find(({ name }) => name.startsWith(size));
  return {
    figure: spread([gzipBytes / KIB]),
    unit: "KiB",
    wanted: [bytesGoal / KIB],
    red: (bytesGoal / KIB) * redTimesGoal,
  };
}
