// What a figure says about its goal and its red line.
//
// Keeps true:
// - A verdict is about an interval, never a point: the middle half of the rounds, and at least MARGIN each way, because
//   two runs may differ by that even where the rounds of one do not. What is counted and not timed has no margin, and is taken
//   at its least.
// - "reached" and "missed" have the whole interval on their side; where the goal is inside, the figure is "at the goal".
// - Red has the whole interval beyond the red line, twice: what is red is measured once more, and stays red only where it is
//   again. Where the two differ, or the median is beyond the line and the interval is not, it is "at the red line", which is no
//   failure.
// - A row without a figure is never reached.

/** What two runs of one build are taken to differ by, however close together the rounds of each are. */
export const MARGIN = 0.05;

/** Units of what is counted: the same build gives the same figure each time. */
const COUNTED = new Set(["bytes", "entries", "KiB"]);

/** How a figure stands to a limit that is not zero: 1 is at it, more is better. */
function standingOf({ median, low, high }, limit, isMore, margin) {
  const against = (figure) => (isMore ? figure / limit : limit / figure);
  const middle = against(median);
  return {
    middle,
    low: Math.min(against(isMore ? low : high), middle / (1 + margin)),
    high: Math.max(against(isMore ? high : low), middle * (1 + margin)),
  };
}

/** Whether a figure is on the good side of a limit, on the bad one, or so near that it cannot be told; only counts have zero for one. */
function sideOf(figure, limit, isMore, unit) {
  const isCounted = COUNTED.has(unit);
  const taken = isCounted ? countOf(figure, isMore) : figure;
  if (limit === 0) return { side: (isMore ? taken.median >= 0 : taken.median <= 0) ? "good" : "bad" };
  const standing = standingOf(taken, limit, isMore, isCounted ? 0 : MARGIN);
  const side = standing.low >= 1 ? "good" : standing.high < 1 ? "bad" : "near";
  return { side, standing };
}

/** What a pass counts beyond the least is the machine's: what an operation does is in every pass. */
function countOf({ median, min = median }, isMore) {
  const figure = isMore ? median : min;
  return { median: figure, low: figure, high: figure };
}

/**
 * The verdict on one row.
 *
 * @param given `figure` (a spread), `unit`, `isMore` where more is better, `wanted` (what is to be reached, first and next),
 *   `red`; `needs` where the machine cannot show it; `disturbed` where others have made it worse; `failure` where it could not be
 *   measured
 * @returns `{ verdict, text }`: one of "reached", "at the goal", "missed", "kept", "at the red line", "red", "shown",
 *   "not measurable", "not measured"
 */
export function judgeRow({ figure, needs, failure, disturbed, isShown = false, ...given }) {
  if (figure === undefined) return { verdict: "not measured", text: `not measured: ${failure ?? "no figure"}` };
  if (needs !== undefined) return { verdict: "not measurable", text: `not measurable here: ${needs}` };
  if (isShown) return { verdict: "shown", text: "shown beside it, no goal" };
  const verdict = judgeFigure(figure, given);
  // What others do to the process only ever adds: what is reached in spite of it is reached.
  if (disturbed === undefined || verdict.verdict === "reached") return verdict;
  return { verdict: "not measurable", text: `not measurable meanwhile: ${disturbed}` };
}

function judgeFigure(figure, { unit, isMore = false, wanted = [], red }) {
  if (red !== undefined) {
    const { side, standing } = sideOf(figure, red, isMore, unit);
    if (side === "bad") return { verdict: "red", text: "RED" };
    const isBeyond = side === "near" && standing.middle < 1;
    if (isBeyond && !wanted.includes(red)) {
      return { verdict: "at the red line", text: `at the red line, ${rangeText(standing)}` };
    }
  }
  if (wanted.length === 0) return { verdict: "kept", text: "kept" };
  const [first, next] = wanted;
  const verdict = judgeGoal(figure, first, isMore, unit);
  if (verdict.verdict !== "reached" || next === undefined) return verdict;
  return { ...verdict, text: `reached; ${next} next: ${judgeGoal(figure, next, isMore, unit).text}` };
}

function judgeGoal(figure, wanted, isMore, unit) {
  const { side, standing } = sideOf(figure, wanted, isMore, unit);
  if (side === "good") return { verdict: "reached", text: "reached" };
  if (side === "near") return { verdict: "at the goal", text: `at the goal, ${rangeText(standing)}` };
  if (standing === undefined) return { verdict: "missed", text: "missed" };
  const off = isMore ? 1 - standing.middle : 1 / standing.middle - 1;
  return { verdict: "missed", text: `missed by ${Math.max(1, Math.round(off * 100))} %` };
}

/** A red row is red where it was measured a second time and was red again. */
export function confirm(first, second) {
  if (first.verdict !== "red") return first;
  if (second.verdict === "red") return { verdict: "red", text: "RED, measured twice" };
  return { verdict: "at the red line", text: `at the red line: beyond it once, then ${second.text}` };
}

const rangeText = ({ low, high }) => `${low.toFixed(2)} to ${high.toFixed(2)}`;
