// How figures are written, in the table and on the page alike.

const UNITS = [
  { ns: 1e9, name: "s" },
  { ns: 1e6, name: "ms" },
  { ns: 1e3, name: "µs" },
  { ns: 1, name: "ns" },
];
const SMALL = 10;
const MEDIUM = 100;

/** A time with three digits or so: `431 ns`, `2.43 µs`; what is less than can be told, `< 1.00 ms`. */
export function formatTime(ns, leastNs = 0) {
  if (ns === undefined || ns === null) return "–";
  if (ns < leastNs) return `< ${formatTime(leastNs)}`;
  const unit = UNITS.find((each) => ns >= each.ns) ?? UNITS.at(-1);
  const number = ns / unit.ns;
  return `${number.toFixed(number < SMALL ? 2 : number < MEDIUM ? 1 : 0)} ${unit.name}`;
}

/** Median and p99 of a row, as exact as the clock there was. */
export function timesOf({ medianNs, p99Ns, tickNs, perSample }) {
  return [medianNs, p99Ns].map((ns) => formatTime(ns, tickNs / perSample));
}

export function formatBytes(bytes) {
  return bytes === undefined || bytes === null ? "" : `${Math.round(bytes).toLocaleString("en")} B`;
}

/** What stands in place of figures, or nothing. */
export function absenceOf({ failure, missing }) {
  if (failure !== undefined) return `failed: ${failure.split("\n")[0]}`;
  return missing === undefined ? undefined : `not there: ${missing.split("\n")[0]}`;
}

/** Rows by workload, in the order in which workloads are done. */
export function byWorkload(rows, workloads) {
  return workloads
    .map(({ name, what }) => ({ name, what, rows: rows.filter(({ workload }) => workload === name) }))
    .filter(({ rows: some }) => some.length > 0);
}

/** Each note once, numbered in the order in which it is come to. */
export function numberedNotes(rows) {
  return [...new Set(rows.map(({ note }) => note).filter((note) => note !== undefined))];
}
