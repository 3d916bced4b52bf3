// What the figures of one measurement mean: how Holdfast stands beside each subject, which goals are reached, what is red.
//
// Keeps true: a subject is compared with the row of Holdfast that stands above it; every ratio is the median of the ratios of
// single rounds; a goal whose subject or whose Holdfast has no figure is "not measured", never reached.

import { ratioByRound } from "./statistics.mjs";
import { figureOf, inUnit } from "./units.mjs";

/** Adds `timesAsFast` to each row beside Holdfast's and a row for each ratio; returns them with goals and red flags. */
export function judge(entry, given) {
  const compared = [...compareRows(given), ...ratioRows(entry.ratios ?? [], given)];
  const rows = compared.map((row) => ({ ...row, unit: row.unit ?? entry.unit }));
  const judged = entry.goals.flatMap((goal) =>
    goal.against === undefined ? judgeLimit(goal, rows) : judgeRatio(goal, rows),
  );
  return {
    rows,
    goals: judged.filter(({ wanted }) => wanted !== undefined).map(({ red: _, ...goal }) => goal),
    red: [...new Set([...floorFlag(entry, rows), ...judged.flatMap(({ red }) => red ?? [])])],
  };
}

function compareRows(rows) {
  let holdfast;
  return rows.map((row) => {
    if (row.isHoldfast) {
      holdfast = row;
      return row;
    }
    if (row.ns === undefined || row.perRound === undefined || holdfast?.ns === undefined) return row;
    return { ...row, timesAsFast: ratioByRound(row.perRound, holdfast.perRound), beside: holdfast.name };
  });
}

/** How many times the one row's figure the other's is: a row of its own. */
function ratioRows(ratios, rows) {
  return ratios.map(({ name, of, to }) => {
    const [above, below] = [of, to].map((wanted) => rows.find((row) => row.name === wanted && row.ns !== undefined));
    if (above === undefined || below === undefined) return { name, unit: "×", failure: `needs both ${of} and ${to}` };
    return { name, unit: "×", figure: ratioByRound(above.perRound, below.perRound) };
  });
}

/** A goal for Holdfast beside a subject: `timesAsFast` is to be reached, `timesItsTime` not to be passed. */
function judgeRatio({ against, timesAsFast, timesItsTime, red }, rows) {
  const row = rows.find(({ name }) => name === against);
  const ratio = row?.timesAsFast?.median;
  const isFloor = timesItsTime !== undefined;
  const goals = timesAsFast ?? [timesItsTime];
  return goals.map((wanted) => {
    const text = isFloor ? `≤ ${wanted}` : `≥ ${wanted}`;
    if (ratio === undefined) return { at: against, text, wanted, reached: undefined };
    const isRed = red !== undefined && (isFloor ? 1 / ratio > red : ratio < red);
    const flag = isFloor ? `more than ${red} × the time of` : `less than ${red} × as fast as`;
    return {
      at: against,
      text,
      wanted,
      reached: isFloor ? 1 / ratio <= wanted : ratio >= wanted,
      red: isRed ? [`${row.beside} is ${flag} ${against}`] : [],
    };
  });
}

/** A goal for a row by itself, in nanoseconds or in the row's own unit: `atMost`, or `atLeast` where more is better. */
function judgeLimit({ of, atMost, atLeast, red }, rows) {
  const row = rows.find(({ name }) => name === of);
  const figure = row === undefined ? undefined : figureOf(row)?.median;
  const unit = row?.unit ?? "ns";
  const isMore = atLeast !== undefined;
  const isRed = figure !== undefined && red !== undefined && (isMore ? figure < red : figure > red);
  const flags = isRed ? [`${of} is ${isMore ? "below" : "above"} ${inUnit(red, unit)} ${unit}`] : [];
  const wanted = atLeast ?? atMost;
  if (wanted === undefined) return [{ red: flags }];
  const text = `${isMore ? "≥" : "≤"} ${inUnit(wanted, unit).toLocaleString("en")}`;
  const reached = figure === undefined ? undefined : isMore ? figure >= wanted : figure <= wanted;
  return [{ at: of, text, wanted, reached, red: flags }];
}

/** The time that the first row of Holdfast must not pass on any machine. */
function floorFlag({ redAboveNs }, rows) {
  const holdfast = rows.find((row) => row.isHoldfast && row.ns !== undefined);
  if (redAboveNs === undefined || holdfast === undefined || holdfast.ns.median <= redAboveNs) return [];
  return [`${holdfast.name} is above ${redAboveNs / 1000} µs`];
}
