// What the figures of one measurement mean: how Holdfast stands beside each subject, which goals are reached, what is red.
//
// Keeps true: every ratio is the median of the ratios of single rounds; a goal whose subject or whose Holdfast has no figure
// is "not measured", never reached.

import { ratioByRound } from "./statistics.mjs";

/** Adds `timesAsFast` to each row beside Holdfast's, and returns the goals and red flags of the measurement. */
export function judge(entry, rows) {
  const holdfast = rows.find((row) => row.isHoldfast && row.ns !== undefined);
  const compared = rows.map((row) =>
    row.isHoldfast || row.ns === undefined || holdfast === undefined
      ? row
      : { ...row, timesAsFast: ratioByRound(row.perRound, holdfast.perRound) },
  );
  const beside = (name) => compared.find((row) => row.name === name)?.timesAsFast?.median;
  return {
    rows: compared,
    goals: entry.goals.flatMap((goal) => judgeGoal(goal, beside(goal.against))),
    red: redFlags(entry, holdfast, beside),
  };
}

function judgeGoal({ against, timesAsFast, timesItsTime }, ratio) {
  const goals = timesAsFast ?? [timesItsTime];
  return goals.map((wanted) => {
    const text = timesItsTime === undefined ? `≥ ${wanted}` : `≤ ${wanted}`;
    if (ratio === undefined) return { against, text, wanted, reached: undefined };
    return { against, text, wanted, reached: timesItsTime === undefined ? ratio >= wanted : 1 / ratio <= wanted };
  });
}

function redFlags({ goals, redAboveNs }, holdfast, beside) {
  if (holdfast === undefined) return [];
  const flags = [];
  if (redAboveNs !== undefined && holdfast.ns.median > redAboveNs) flags.push(`above ${redAboveNs / 1000} µs`);
  for (const { against, red, timesItsTime } of goals) {
    const ratio = beside(against);
    if (red === undefined || ratio === undefined) continue;
    if (timesItsTime === undefined && ratio < red) flags.push(`less than ${red} × as fast as ${against}`);
    if (timesItsTime !== undefined && 1 / ratio > red) flags.push(`more than ${red} × the time of ${against}`);
  }
  return flags;
}
