// The few statistics that the benchmark uses.
//
// Keeps true: a figure is a median with its range, never a mean that one bad round could move; a ratio is taken inside a
// round, where both sides met the same machine, and the median is taken afterwards.

export function median(numbers) {
  const sorted = Float64Array.from(numbers).sort();
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** The median, its range, and the middle half: from `low` to `high`. */
export function spread(numbers) {
  const sorted = Float64Array.from(numbers).sort();
  return {
    median: median(sorted),
    min: sorted[0],
    max: sorted[sorted.length - 1],
    low: quantileOf(sorted, 0.25),
    high: quantileOf(sorted, 0.75),
  };
}

/** Between the two nearest, where it falls between. */
function quantileOf(sorted, share) {
  const place = (sorted.length - 1) * share;
  const below = Math.floor(place);
  const above = Math.ceil(place);
  return sorted[below] + (sorted[above] - sorted[below]) * (place - below);
}

/** The spread of `numerator[i] / denominator[i]`, round by round. */
export function ratioByRound(numerators, denominators) {
  return spread(numerators.map((numerator, round) => numerator / denominators[round]));
}

/** The value below which `share` of the numbers lie. They are sorted already. */
export function percentileOf(sorted, share) {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

const SHARES = { p50: 0.5, p90: 0.9, p99: 0.99, p999: 0.999, p9999: 0.9999 };

/** What single operations took, over those of all rounds: percentiles, the longest, and how many there were. */
export function percentilesOf(lists) {
  const count = lists.reduce((sum, { length }) => sum + length, 0);
  const all = new Float64Array(count);
  let at = 0;
  for (const list of lists) {
    all.set(list, at);
    at += list.length;
  }
  all.sort();
  const entries = Object.entries(SHARES).map(([name, share]) => [name, percentileOf(all, share)]);
  return { ...Object.fromEntries(entries), max: all[count - 1], count };
}
