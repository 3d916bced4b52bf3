// A figure as text, in the unit that it reads best in.

const TIMES = new Set(["ns", "µs", "ms"]);
const DIGITS = { "×": 2, "M/s": 2, "MB/s": 0, bytes: 1, entries: 0, KiB: 1 };
const MILLION = 1e6;

const number = (value, digits) =>
  value.toLocaleString("en", { minimumFractionDigits: 0, maximumFractionDigits: digits });

/** Nanoseconds as ns, µs or ms, with three digits that mean something. */
export function timeText(ns) {
  const [scaled, unit] = ns < 1000 ? [ns, "ns"] : ns < MILLION ? [ns / 1000, "µs"] : [ns / MILLION, "ms"];
  return `${number(scaled, scaled >= 100 ? 0 : scaled >= 10 ? 1 : 2)} ${unit}`;
}

/** @param unit as the benchmark's rows have it: what is counted in a unit of time is kept in nanoseconds */
export function figureText(figure, unit) {
  if (TIMES.has(unit)) return timeText(figure);
  if (unit === "/s") return figure >= MILLION ? `${number(figure / MILLION, 2)} M/s` : `${number(figure, 0)} /s`;
  if (unit === "×") return `${number(figure, figure >= 10 ? 1 : 2)} ×`;
  return `${number(figure, DIGITS[unit] ?? 1)} ${unit}`;
}

/** "low to high", or nothing where both are the same text. */
export function rangeText({ low, high }, unit) {
  const [from, to] = [low, high].map((each) => figureText(each, unit));
  if (from === to) return "";
  const [, suffix] = to.split(" ");
  return from.endsWith(` ${suffix}`) ? `${from.slice(0, -suffix.length - 1)} – ${to}` : `${from} – ${to}`;
}
