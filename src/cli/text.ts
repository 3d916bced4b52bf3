/**
 * Figures and names as people read them. Names and contents come from anybody: what would move a terminal's cursor or
 * change its colours is spelled out.
 */

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for.
const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** A text on one line, with whatever a terminal would obey spelled out. */
export function printable(text: string): string {
  return text.replaceAll(CONTROLS, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** A text on one line of at most so many characters. */
export function shortened(text: string, charsMax: number): string {
  const line = printable(text);
  if (line.length <= charsMax) return line;
  const cut = line.slice(0, charsMax - 1);
  return `${cut.isWellFormed() ? cut : cut.slice(0, -1)}…`;
}

/** A number of things with the thing's name: `1 run`, `2,000 runs`. */
export function count(number: number, singular: string, plural = `${singular}s`): string {
  return `${number.toLocaleString("en-US")} ${number === 1 ? singular : plural}`;
}

const BYTE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/** A number of bytes. */
export function bytes(number: number): string {
  let value = number;
  let unit = 0;
  for (; value >= 1024 && unit < BYTE_UNITS.length - 1; unit++) value /= 1024;
  return `${unit === 0 ? value : value.toFixed(1)} ${BYTE_UNITS[unit]}`;
}

/** A duration of so many nanoseconds, to three digits. */
export function duration(ns: number): string {
  const [value, unit] =
    ns < 1e3 ? [ns, "ns"] : ns < 1e6 ? [ns / 1e3, "µs"] : ns < 1e9 ? [ns / 1e6, "ms"] : [ns / 1e9, "s"];
  return `${value.toPrecision(3).replace(/e.*/, "")} ${unit}`;
}

/** A time in milliseconds since 1970. One that no calendar has is given as the number it is. */
export function time(ms: number): string {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? String(ms) : date.toISOString();
}

/** Rows in columns as wide as their widest cell; those named in `right` (by index) are set to the right. */
export function table(rows: readonly (readonly string[])[], right: readonly number[] = []): string[] {
  const widths: number[] = [];
  for (const row of rows)
    row.forEach((cell, at) => {
      widths[at] = Math.max(widths[at] ?? 0, cell.length);
    });
  return rows.map((row) =>
    row
      .map((cell, at) => (right.includes(at) ? cell.padStart(widths[at] ?? 0) : cell.padEnd(widths[at] ?? 0)))
      .join("  ")
      .trimEnd(),
  );
}

/** How many letters one word is away from another, by inserting, removing and replacing them. */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, at) => at);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const replaced = (row[j - 1] as number) + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[to.length] as number;
}

/** A longer word is no slip of the finger. */
const WORD_CHARS_MAX = 40;

/** The word that was probably meant, `undefined` where none is near. */
export function nearest(word: string, words: Iterable<string>): string | undefined {
  if (word.length > WORD_CHARS_MAX) return undefined;
  const candidates = [...words].map((candidate) => ({ candidate, away: distance(word, candidate) }));
  const best = candidates.sort((a, b) => a.away - b.away)[0];
  if (best === undefined) return undefined;
  return best.away <= Math.max(2, Math.floor(best.candidate.length / 3)) || best.candidate.startsWith(word)
    ? best.candidate
    : undefined;
}
