// What a figure is counted in.
//
// Keeps true: times are kept in nanoseconds and shown in the unit of their table; a row of another unit says so itself.

const NS_PER = { ns: 1, µs: 1000, ms: 1_000_000 };

/** A figure that is kept in nanoseconds where `unit` is one of time, and in `unit` itself otherwise. */
export function inUnit(figure, unit) {
  return figure / (NS_PER[unit] ?? 1);
}

/** A row's figure over rounds; `undefined` where it failed. */
export function figureOf(row) {
  return row.ns ?? row.figure;
}
