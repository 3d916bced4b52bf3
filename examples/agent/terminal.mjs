/**
 * What the terminal can do: colour only where it is wanted and can be shown, and how wide a line may be.
 */
const COLUMNS_MAX = 80;
const CODES = { bold: [1, 22], dim: [2, 22], red: [31, 39], green: [32, 39], cyan: [36, 39] };

const isTerminal = Boolean(process.stdout.isTTY) && process.env.TERM !== "dumb";
const wantsColour = isTerminal && !process.env.NO_COLOR;

/** Whether a line can be written over. */
export const canRewrite = isTerminal;

export const columns = Math.min(process.stdout.columns || COLUMNS_MAX, COLUMNS_MAX);

export function paint(style, text) {
  const [on, off] = CODES[style];
  return wantsColour ? `\x1b[${on}m${text}\x1b[${off}m` : text;
}

/** Cuts a text to a width. It must not be painted yet: whatever could move the cursor becomes a blank. */
export function clip(text, width) {
  const plain = text.replace(/\p{Cc}/gu, " ");
  return plain.length <= width ? plain : `${plain.slice(0, Math.max(0, width - 1))}…`;
}

/** Cuts a path to a width, from the front: its end is what tells it from others. */
export function clipPath(path, width) {
  return path.length <= width ? path : `…${path.slice(path.length - width + 1)}`;
}

/** "1 step", "2 steps". */
export function counted(number, noun, plural = "s") {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : plural}`;
}

/** A size in the unit that keeps it short. */
export function size(bytes) {
  if (bytes < 1024) return counted(bytes, "byte");
  return bytes < 1 << 20 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / (1 << 20)).toFixed(1)} MiB`;
}
