/**
 * What the suites about durability have counted, as one table: `node scripts/durability.mjs`.
 *
 * Reads `build/durability/*.json`, which the suites write (`test/support/durability-report.ts`), and keeps all of it in
 * `build/durability.json`. Ends with exit code 1 if anything was lost, partial, reordered, silently corrupt, untyped or hung,
 * if a goal is missed, or if a suite that is expected has not reported. One that was skipped says why, and passes.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isMain, ROOT } from "./steps.mjs";

const REPORTS = join(ROOT, "build/durability");
const SUMMARY = join(ROOT, "build/durability.json");

/** What must have been counted, each by one suite or by several together. */
const EXPECTED = [
  { suites: ["crash-states"], goal: 100_000 },
  { suites: ["storage-errors"], goal: 5_000 },
  { suites: ["damaged-logs"], goal: 200_000 },
  { suites: ["refused-growth", "traps"], goal: 2_000 },
  { suites: ["kills"], goal: 600 },
  { suites: ["system-calls"], goal: 60 },
  { suites: ["power-cuts"], goal: 100 },
  { suites: ["terminations"], goal: 300 },
  { suites: ["browsers"], goal: 60 },
  { suites: ["edge-kills"], goal: 24 },
  { suites: ["histories"], goal: 200 },
  { suites: ["planted-bugs"], goal: 20 },
];

/** Columns that must be 0, by field and by what stands above them. */
const ZEROS = [
  ["lost", "lost"],
  ["partial", "partial"],
  ["reordered", "reordered"],
  ["silentlyCorrupt", "silently corrupt"],
  ["untyped", "untyped"],
  ["hung", "hung"],
];

/** Forgets what earlier runs have counted. */
export function clearReports() {
  rmSync(REPORTS, { recursive: true, force: true });
}

/** Everything that was reported, in the order of what is expected. */
export function readReports() {
  if (!existsSync(REPORTS)) return [];
  const order = EXPECTED.flatMap(({ suites }) => suites);
  const rank = ({ suite }) => (order.includes(suite) ? order.indexOf(suite) : order.length);
  return readdirSync(REPORTS)
    .filter((name) => name.endsWith(".json"))
    .map(readReport)
    .sort((a, b) => rank(a) - rank(b) || a.suite.localeCompare(b.suite));
}

/** A report that cannot be read stands in the table as a failure of its own. */
function readReport(name) {
  const suite = name.slice(0, -".json".length);
  try {
    const report = JSON.parse(readFileSync(join(REPORTS, name), "utf8"));
    if (report.suite === suite) return report;
  } catch {}
  return { suite, isUnreadable: true };
}

/** Sums what several runs of one suite have counted. */
export function addReport(total, report) {
  if (total === undefined) return { ...report };
  const sum = { ...report };
  for (const field of ["cases", "goal", "acknowledged", "seconds", ...ZEROS.map(([name]) => name)]) {
    sum[field] = (total[field] ?? 0) + (report[field] ?? 0);
  }
  return sum;
}

/**
 * Everything that is wrong with some reports, one line each. `goals`: whether a run was meant to come to its end;
 * `expectAll`: whether all suites were meant to run.
 */
export function faultsOf(reports, { goals = true, expectAll = true } = {}) {
  const faults = reports.flatMap((report) => [...brokenIn(report), ...(goals ? missedIn(report) : [])]);
  if (!expectAll) return faults;
  for (const { suites, goal } of EXPECTED) {
    const found = suites.map((suite) => reports.find((report) => report.suite === suite));
    const missing = suites.filter((_, i) => found[i] === undefined);
    if (missing.length > 0) faults.push(`${missing.join(" and ")}: not reported`);
    else if (found.every((report) => !report.isUnreadable && !report.skipped && missedIn(report).length === 0)) {
      const cases = found.reduce((sum, report) => sum + report.cases, 0);
      if (cases < goal) faults.push(`${suites.join(" and ")}: ${whole(cases)} cases, of at least ${whole(goal)}`);
    }
  }
  return faults;
}

function brokenIn(report) {
  const { suite } = report;
  if (report.isUnreadable) return [`${suite}: its report cannot be read`];
  return ZEROS.filter(([field]) => report[field] !== 0).map(
    ([field, title]) => `${suite}: ${report[field]} ${title}${seedOf(report)}`,
  );
}

/** A suite that was skipped, in whole or in part, has said why: that is no fault. */
function missedIn({ suite, cases, goal, skipped, isUnreadable }) {
  if (isUnreadable || skipped !== undefined || cases >= goal) return [];
  return [`${suite}: ${whole(cases)} cases, of at least ${whole(goal)}`];
}

function seedOf({ seed }) {
  return seed === undefined ? "" : ` (HOLDFAST_SEED=${seed})`;
}

function whole(number) {
  return typeof number === "number" ? Math.round(number).toLocaleString("en-US") : "?";
}

/** Reports as a table for people. */
export function durabilityTable(reports) {
  const titles = ["suite", "cases", "goal", "acknowledged", ...ZEROS.map(([, title]) => title), "seconds", "skipped"];
  const rows = reports.map((report) =>
    report.isUnreadable
      ? [report.suite, "unreadable", ...titles.slice(2).map(() => "")]
      : [
          report.suite,
          whole(report.cases),
          whole(report.goal),
          whole(report.acknowledged),
          ...ZEROS.map(([field]) => whole(report[field])),
          report.seconds.toFixed(1),
          report.skipped ?? "",
        ],
  );
  const all = [titles, ...rows];
  const widths = titles.map((_, column) => Math.max(...all.map((row) => row[column].length)));
  const lastColumn = titles.length - 1;
  const cell = (text, column) =>
    column === 0 || column === lastColumn ? text.padEnd(widths[column]) : text.padStart(widths[column]);
  return all.map((row) => row.map(cell).join("  ").trimEnd()).join("\n");
}

/** Prints the table of some reports and what is wrong with them. @returns whether nothing is */
export function conclude(reports, faults) {
  mkdirSync(join(ROOT, "build"), { recursive: true });
  writeFileSync(SUMMARY, `${JSON.stringify({ ok: faults.length === 0, faults, reports }, null, 2)}\n`);
  console.log(durabilityTable(reports));
  if (faults.length > 0) console.log(`\n${faults.join("\n")}`);
  return faults.length === 0;
}

if (isMain(import.meta.url)) {
  const reports = readReports();
  process.exitCode = conclude(reports, faultsOf(reports)) ? 0 : 1;
}
