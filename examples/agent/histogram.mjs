/**
 * Latencies as a horizontal histogram. Buckets are log-scaled, 1-2-5 a decade, or whole decades where those would be too
 * many rows; those between the fastest and the slowest are all shown, empty ones too, so that a gap looks like one.
 */
const STEPS_PER_DECADE = [1, 2, 5];
const ROWS_MAX = 5;
const DECADES = 9;
const EIGHTHS = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
const LABEL_WIDTH = 12;
const COUNT_WIDTH = 6;

/** Lower bounds in microseconds; the first bucket begins at 0. */
const boundsOf = (steps) =>
  Array.from({ length: DECADES }, (_, decade) => steps.map((step) => step * 10 ** decade)).flat();

function unitOf(micros) {
  if (micros >= 1e6) return ["s", 1e6];
  return micros >= 1e3 ? ["ms", 1e3] : ["µs", 1];
}

/** A time with as many digits as mean something. */
export function duration(micros) {
  const [unit, scale] = unitOf(micros);
  const value = micros / scale;
  return `${value.toFixed(value < 10 ? 1 : 0)} ${unit}`;
}

/** "1–2 ms", and "500 µs–1 ms" where the units differ. */
function rangeLabel(bounds, bucket) {
  if (bucket === 0) return "< 1 µs";
  const [low, high] = [bounds[bucket - 1], bounds[bucket]];
  if (high === undefined) return `≥ ${low / 1e6} s`;
  const [lowUnit, lowScale] = unitOf(low);
  const [highUnit, highScale] = unitOf(high);
  return `${low / lowScale}${lowUnit === highUnit ? "" : ` ${lowUnit}`}–${high / highScale} ${highUnit}`;
}

function bar(share, width) {
  const eighths = share === 0 ? 0 : Math.max(1, Math.round(share * width * 8));
  return "█".repeat(Math.floor(eighths / 8)) + EIGHTHS[eighths % 8];
}

/** The smallest value that at least this share of all values does not exceed. `sorted` is not empty. */
export function percentile(sorted, share) {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
}

/** @returns rows of `{ label, bar, count }`, each cell padded, together no wider than `width` */
export function histogram(latencies, width) {
  const fine = rowsOf(latencies, width, boundsOf(STEPS_PER_DECADE));
  return fine.length <= ROWS_MAX ? fine : rowsOf(latencies, width, boundsOf([1]));
}

function rowsOf(latencies, width, bounds) {
  const counts = new Array(bounds.length + 1).fill(0);
  for (const micros of latencies) counts[bounds.filter((bound) => bound <= micros).length] += 1;
  const first = counts.findIndex((count) => count > 0);
  const last = counts.findLastIndex((count) => count > 0);
  if (first < 0) return [];
  const most = Math.max(...counts);
  const barWidth = width - LABEL_WIDTH - COUNT_WIDTH - 2;
  return counts.slice(first, last + 1).map((count, index) => ({
    label: rangeLabel(bounds, first + index).padStart(LABEL_WIDTH),
    bar: bar(count / most, barWidth).padEnd(barWidth),
    count: String(count).padStart(COUNT_WIDTH),
  }));
}
