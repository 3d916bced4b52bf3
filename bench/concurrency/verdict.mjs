// Which goals are reached.
//
// Keeps true: what could not be measured, or means nothing on so few cores, says so and is neither reached nor missed; what
// stands there for comparison is no goal.

const HOLDFAST = "holdfast";
const YARDSTICK = "own";

export function judge(goals, measured, cores) {
  return goals.map((goal) => {
    const { text, figure, wanted, isMost, unit } = look(goal, measured);
    const base = { workload: goal.workload, workers: goal.workers, text, unit, wanted, isMost, red: goal.red };
    if (figure === undefined) return { ...base, verdict: "not measured" };
    if (cores < goal.cores) return { ...base, figure, verdict: `needs ${goal.cores} cores` };
    if (wanted === undefined) return { ...base, figure, verdict: "to compare" };
    const reached = isMost ? figure.median <= wanted : figure.median >= wanted;
    const isRed = goal.red !== undefined && figure.median < goal.red;
    return { ...base, figure, verdict: isRed ? "RED" : reached ? "reached" : "not reached" };
  });
}

function look({ workload, workers, ...goal }, measured) {
  if (goal.scalesLikeOwn !== undefined) {
    return {
      text: "of what a loop that shares nothing scales to",
      unit: "×",
      figure: measured.scalesLike(workload, HOLDFAST, YARDSTICK, workers),
      wanted: goal.scalesLikeOwn,
    };
  }
  if (goal.scalesLike !== undefined) {
    const { design = HOLDFAST, scalesLike } = goal;
    const text = `${design === HOLDFAST ? "" : `${design} `}of what ${scalesLike} scales to`;
    return { text, unit: "×", figure: measured.scalesLike(workload, design, scalesLike, workers) };
  }
  if (goal.ofTwo !== undefined) {
    const figure = measured.over(workload, HOLDFAST, workers, 2);
    return { text: "of two workers' throughput", unit: "×", figure, wanted: goal.ofTwo };
  }
  if (goal.ofOne !== undefined) {
    const figure = measured.over(workload, HOLDFAST, workers, 1);
    return { text: "of one worker's throughput", unit: "×", figure, wanted: goal.ofOne };
  }
  if (goal.cpuOfOne !== undefined) {
    const figure = measured.over(workload, HOLDFAST, workers, 1, "cpuNs");
    return { text: "of one worker's CPU time", unit: "×", figure, wanted: goal.cpuOfOne, isMost: true };
  }
  const figure = measured.perSecond(workload, HOLDFAST, workers);
  return { text: "operations per second", unit: "M/s", figure, wanted: goal.perSecond };
}
