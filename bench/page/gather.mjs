// What the page shows, out of the JSON that lies in bench/results/.
//
// Keeps true: each measurement, workload and scorecard comes from one report, the newest that has it, and says from which and
// when, in the order of its catalogue; a quick or partial report is only taken where there is no other. What a scorecard was made of counts as a report too.

import fs from "node:fs";
import path from "node:path";
import { catalogue } from "../catalogue.mjs";
import { workloads } from "../concurrency/catalogue.mjs";

/** @returns `{ measurements, workloads, scorecard }`, each with the machine that it was measured on */
export function gather(folder, others = []) {
  const reports = readAll(folder, others);
  const nested = reports.flatMap(({ reports: parts = {} }) => Object.values(parts));
  const all = [...reports, ...nested].filter((report) => report.machine?.date !== undefined).sort(newestFirst);
  return {
    measurements: inOrder(measurementsOf(all), catalogue),
    workloads: inOrder(workloadsOf(all), workloads),
    scorecard:
      all.find(({ rows, runs }) => rows !== undefined && runs === undefined) ??
      all.find(({ rows }) => rows !== undefined),
  };
}

function inOrder(found, list) {
  const placeOf = ({ name }) => list.findIndex((each) => each.name === name);
  return found.filter((each) => placeOf(each) >= 0).sort((a, b) => placeOf(a) - placeOf(b));
}

function readAll(folder, others) {
  const names = fs.existsSync(folder) ? fs.readdirSync(folder).filter((name) => name.endsWith(".json")) : [];
  const files = new Set([...names.map((name) => path.join(folder, name)), ...others]);
  return [...files].map((file) => JSON.parse(fs.readFileSync(file, "utf8")));
}

const newestFirst = (a, b) => (a.machine.date < b.machine.date ? 1 : -1);

function measurementsOf(reports) {
  const found = new Map();
  const having = reports.filter(({ measurements }) => measurements !== undefined);
  for (const report of [...having.filter(({ quick }) => !quick), ...having]) {
    for (const measurement of report.measurements) {
      if (found.has(measurement.name)) continue;
      found.set(measurement.name, {
        ...measurement,
        machine: report.machine,
        files: report.files,
        quick: report.quick,
      });
    }
  }
  return [...found.values()];
}

function workloadsOf(reports) {
  const found = new Map();
  const having = reports.filter(({ cells }) => cells !== undefined);
  const whole = having.filter(({ goalsOnly }) => !goalsOnly);
  for (const report of [...whole.filter(({ quick }) => !quick), ...whole, ...having]) {
    const { machine, quick } = report;
    const taken = new Set(found.keys());
    for (const cell of report.cells) {
      if (taken.has(cell.workload)) continue;
      const { cells } = found.get(cell.workload) ?? { cells: [] };
      found.set(cell.workload, { name: cell.workload, cells: [...cells, cell], machine, quick });
    }
  }
  return [...found.values()];
}
