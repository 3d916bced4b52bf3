// The few statistics that the benchmark uses.
//
// Keeps true: a figure is a median with its range, never a mean that one bad round could move; a ratio is taken inside a
// round, where both sides met the same machine, and the median is taken afterwards.

export function median(numbers) {
  const sorted = Float64Array.from(numbers).sort();
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export function spread(numbers) {
  return { median: median(numbers), min: Math.min(...numbers), max: Math.max(...numbers) };
}

/** The spread of `numerator[i] / denominator[i]`, round by round. */
export function ratioByRound(numerators, denominators) {
  return spread(numerators.map((numerator, round) => numerator / denominators[round]));
}

/** The value below which `share` of the numbers lie. They are sorted already. */
export function percentileOf(sorted, share) {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}
