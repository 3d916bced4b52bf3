// What the figures of one measurement mean: how Holdfast stands beside each subject, which goals are reached, what is red.
//
// Keeps true: a subject is compared with the row of Holdfast that stands above it; every ratio is the median of the ratios of
// single rounds; a goal whose subject or whose Holdfast has no figure is "not measured", never reached.

import { ratioByRound, spread } from "./statistics.mjs";
import { figureOf, inUnit } from "./units.mjs";

/** Adds `timesAsFast` to each row beside Holdfast's and a row for each ratio and rate; returns them with goals and red flags. */
export function judge(entry, given) {
  const compared = [
    ...compareRows(given),
    ...ratioRows(entry.ratios ?? [], given),
    ...rateRows(entry.rates ?? [], given),
  ];
  const rows = compared.map((row) => ({ ...row, unit: row.unit ?? entry.unit }));
  const judged = entry.goals.map((goal) => judgeGoal(goal, rows));
  return {
    rows,
    goals: judged.flatMap(({ goals }) => goals),
    red: [...new Set([...floorFlag(entry, rows), ...judged.flatMap(({ flags }) => flags)])],
  };
}

/**
 * What a goal of the catalogue asks for, and the figure that stands for it, `undefined` where there is none: `isMore` where
 * more is better, `wanted` what is to be reached, first and next, `red` where to stop and redesign; `disturbed` says what others have
 * added to the figure.
 */
export function lookUp({ against, of, timesAsFast, timesItsTime, atMost, atLeast, red }, rows) {
  const row = rows.find(({ name }) => name === (against ?? of));
  const { beside, failure, disturbed, unit = "ns" } = row ?? {};
  if (against === undefined) {
    const wanted = [atLeast ?? atMost].filter((each) => each !== undefined);
    const figure = row === undefined ? undefined : figureOf(row);
    return { at: of, figure, unit, isMore: atLeast !== undefined, wanted, red, failure, disturbed };
  }
  const isMore = timesItsTime === undefined;
  const figure = row?.timesAsFast === undefined || isMore ? row?.timesAsFast : inverted(row.timesAsFast);
  return { at: against, figure, unit: "×", isMore, wanted: timesAsFast ?? [timesItsTime], red, beside, failure };
}

function inverted({ median, min, max, low, high }) {
  return { median: 1 / median, min: 1 / max, max: 1 / min, low: 1 / high, high: 1 / low };
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

function judgeGoal(goal, rows) {
  const { at, figure, unit, isMore, wanted, red, beside } = lookUp(goal, rows);
  const text = (limit) => inUnit(limit, unit).toLocaleString("en");
  const goals = wanted.map((limit) => ({
    at,
    text: `${isMore ? "≥" : "≤"} ${text(limit)}`,
    wanted: limit,
    reached: figure === undefined ? undefined : isMore ? figure.median >= limit : figure.median <= limit,
  }));
  const isRed = figure !== undefined && red !== undefined && (isMore ? figure.median < red : figure.median > red);
  if (!isRed) return { goals, flags: [] };
  if (goal.against === undefined) {
    return { goals, flags: [`${at} is ${isMore ? "below" : "above"} ${text(red)} ${unit}`] };
  }
  const flag = isMore ? `less than ${red} × as fast as` : `more than ${red} × the time of`;
  return { goals, flags: [`${beside} is ${flag} ${at}`] };
}

/** How many operations a second a row's time comes to: a row of its own. */
function rateRows(rates, rows) {
  return rates.map(({ name, of }) => {
    const row = rows.find((each) => each.name === of && each.ns !== undefined);
    if (row === undefined) return { name, unit: "/s", failure: `needs ${of}` };
    return { name, unit: "/s", figure: spread(row.perRound.map((ns) => 1e9 / ns)) };
  });
}

/** The time that the first row of Holdfast must not pass on any machine. */
function floorFlag({ redAboveNs }, rows) {
  const holdfast = rows.find((row) => row.isHoldfast && row.ns !== undefined);
  if (redAboveNs === undefined || holdfast === undefined || holdfast.ns.median <= redAboveNs) return [];
  return [`${holdfast.name} is above ${redAboveNs / 1000} µs`];
}
