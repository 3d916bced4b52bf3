// What of two benchmarks' reports can be set side by side.
//
// Keeps true: only Holdfast's own rows have a verdict; a peer's shows what the machine did, since it is the same in both. Rows
// that are ratios of others are left out: they move with either side of them. A row that one of both has not says so. A process
// gives its best round, because what others do on the machine only ever adds.

import { spread } from "../statistics.mjs";
import { figureOf } from "../units.mjs";
import { compareFigures } from "./judgement.mjs";

const RATIO = "×";
const OWN = "Holdfast";
const PEER = "a peer";

/** @param reports `{ base, head }`: for each process its measurement as the benchmark wrote it, in turn. */
export function compareReports({ base, head }) {
  const names = [...new Set([...head, ...base].flatMap(({ rows }) => rows.map(({ name }) => name)))];
  const all = head.flatMap(({ rows }) => rows);
  return names.flatMap((name) => compareRow(name, base, head, all));
}

function compareRow(name, base, head, all) {
  const [before, after] = [base, head].map((reports) =>
    reports.map(({ rows }) => rows.find((row) => row.name === name)),
  );
  const known = [...after, ...before].find((row) => row !== undefined);
  if (known.unit === RATIO) return [];
  const failure = reasonAgainst(before, "BASE") ?? reasonAgainst(after, "HEAD");
  const label = { name, unit: known.unit };
  if (failure !== undefined) return [{ ...label, reason: failure, verdict: "not compared" }];
  const figures = { base: before.map(bestOf), head: after.map(bestOf) };
  const sides = {
    base: { ...spread(figures.base), all: figures.base },
    head: { ...spread(figures.head), all: figures.head },
  };
  if ([...figures.base, ...figures.head].some((figure) => figure <= 0)) return [compareZeros(label, sides)];
  const judged = compareFigures(figures.base, figures.head, isMoreBetter(known));
  return [{ ...label, ...sides, ...judged, verdict: isOwn(known, all) ? judged.verdict : PEER }];
}

const isMoreBetter = ({ unit }) => unit.endsWith("/s");
const bestOf = (row) => (isMoreBetter(row) ? figureOf(row).max : figureOf(row).min);

function reasonAgainst(rows, side) {
  const bad = rows.find((row) => row === undefined || figureOf(row) === undefined);
  if (bad === undefined && !rows.includes(undefined)) return undefined;
  return `not in ${side}${bad?.failure === undefined ? "" : `: ${bad.failure}`}`;
}

/** Where a figure is nothing at all, as allocations are, there is no ratio: it is compared as it is. */
function compareZeros(label, { base, head }) {
  const verdict = head.median === base.median ? "no difference" : head.median > base.median ? "slower" : "faster";
  const one = { median: 1, min: 1, max: 1 };
  const ratio = verdict === "no difference" ? one : { median: Number.NaN, min: Number.NaN, max: Number.NaN };
  return { ...label, base, head, ratio, noise: 0, verdict };
}

/** Where some rows are said to be Holdfast's, the others are not. */
function isOwn(row, all) {
  if (all.some(({ isHoldfast }) => isHoldfast)) return row.isHoldfast === true;
  return !all.some(({ name }) => name.startsWith(OWN)) || row.name.startsWith(OWN);
}
