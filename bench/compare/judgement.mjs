// Whether one row differs between two commits that were measured in turn, BASE HEAD BASE HEAD BASE, each in a fresh process.
//
// Keeps true:
// - A figure of HEAD is only set beside the figures of BASE directly before and after it, so that a machine that grows slower
//   or faster moves as many ratios one way as the other.
// - Noise is what these ratios themselves scatter: how far their median may be from the true one by chance. A row is slower or
//   faster only where it is so by more than its noise and by more than LEAST_DIFFERENCE.

import { median, spread } from "../statistics.mjs";

export const LEAST_DIFFERENCE = 0.05;
/** Of a median's standard error, and more of it where so few rounds may agree by chance: a row in a hundred is further off. */
const standardErrors = (rounds) => 2.7 * (1 + 3 / rounds);
/** The standard error of a median is so many times that of a mean. */
const MEDIAN_OVER_MEAN = 1.2533;
/** Standard deviation over median absolute deviation, of a normal distribution. */
const DEVIATION_OVER_MAD = 1.4826;

/** HEAD ÷ BASE for each two figures that stand beside one another in time. */
export function adjacentRatios(base, head) {
  const ratios = [];
  for (let round = 0; round < head.length; round++) {
    ratios.push(head[round] / base[round]);
    if (round + 1 < base.length) ratios.push(head[round] / base[round + 1]);
  }
  return ratios;
}

/**
 * `{ ratio, noise, verdict }`: HEAD ÷ BASE with its range, how far its median may be off as a share of it, and `"slower"`,
 * `"faster"` or `"no difference"`. Figures are in the order in which they were taken, one more of BASE than of HEAD;
 * none is 0.
 */
export function compareFigures(base, head, isMoreBetter = false) {
  const ratios = adjacentRatios(base, head);
  const ratio = spread(ratios);
  const noise = noiseOf(ratios, head.length);
  const slowness = isMoreBetter ? 1 / ratio.median : ratio.median;
  const least = 1 + Math.max(LEAST_DIFFERENCE, noise);
  const verdict = slowness > least ? "slower" : slowness < 1 / least ? "faster" : "no difference";
  return { ratio, noise, verdict };
}

/** By logarithms, so that half as much and twice as much are as far; by medians, so that one process that met others counts once. */
function noiseOf(ratios, rounds) {
  const logs = ratios.map(Math.log);
  const middle = median(logs);
  const deviation = median(logs.map((log) => Math.abs(log - middle))) * DEVIATION_OVER_MAD;
  return Math.expm1((standardErrors(rounds) * MEDIAN_OVER_MEAN * deviation) / Math.sqrt(rounds));
}
