// Which goals are reached.
//
// Keeps true: what could not be measured, or means nothing on so few cores, says so and is neither reached nor missed; what
// stands there for comparison is no goal.

const HOLDFAST = "holdfast";
const YARDSTICK = "own";

/** The kinds of goals, by the word that they are written with. */
const KINDS = ["scalesLikeOwn", "scalesLike", "ofTwo", "ofOne", "cpuOfOne", "perSecond"];

export const kindOf = (goal) => KINDS.find((kind) => goal[kind] !== undefined);

export function judge(goals, measured, cores) {
  return goals.map((goal) => {
    const { workload, workers, red, isFloor } = goal;
    const { text, figure, wanted, isMost, unit } = look(goal, measured);
    const base = { workload, workers, kind: kindOf(goal), isFloor, text, unit, wanted, isMost, red };
    if (figure === undefined) return { ...base, verdict: "not measured" };
    if (cores < goal.cores) {
      return { ...base, figure, verdict: `needs ${goal.cores} cores`, instead: insteadOf(goal, measured) };
    }
    if (wanted === undefined) return { ...base, figure, verdict: "to compare" };
    const reached = isMost ? figure.median <= wanted : figure.median >= wanted;
    const isRed = red !== undefined && figure.median < red;
    return { ...base, figure, verdict: isRed ? "RED" : reached ? "reached" : "not reached" };
  });
}

/** What can be said with too few cores: the processor time that an operation takes, and throughput over one worker's. */
function insteadOf({ workload, workers }, measured) {
  return {
    cpuNs: measured.cpuNs(workload, HOLDFAST, workers),
    cpuOfOne: measured.over(workload, HOLDFAST, workers, 1, "cpuNs"),
    ofOne: measured.over(workload, HOLDFAST, workers, 1),
  };
}

/** The cells that the figures of these goals are made of. */
export function cellsFor(goals) {
  const cells = goals.flatMap(({ workload, workers, design = HOLDFAST, ...goal }) => {
    const others = [design, ...(goal.scalesLikeOwn !== undefined ? [YARDSTICK] : []), goal.scalesLike].filter(Boolean);
    const counts = goal.perSecond !== undefined ? [workers] : [workers, goal.ofTwo !== undefined ? 2 : 1];
    return others.flatMap((name) => counts.map((count) => ({ workload, design: name, workers: count })));
  });
  return [...new Map(cells.map((cell) => [Object.values(cell).join(" "), cell])).values()];
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
