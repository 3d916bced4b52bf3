/**
 * Stored values, versions, sizes and times as people read them.
 */
import type { Value } from "holdfast";

const SHORT_CHARS = 96;
const DIGITS_SHOWN = 16;

/** A value in one line, much like JSON, with what JSON has no word for. */
export function textOf(value: Value): string {
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (Array.isArray(value)) return `[${value.map((item: Value) => textOf(item)).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    const fields = Object.entries(value).map(([name, field]) => `${name}: ${textOf(field as Value)}`);
    return `{ ${fields.join(", ")} }`;
  }
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}

export function shortText(text: string, chars = SHORT_CHARS): string {
  return text.length <= chars ? text : `${text.slice(0, chars - 1)}…`;
}

export function bytesText(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const kib = bytes / 1024;
  return kib < 1024 ? `${kib.toFixed(1)} KiB` : `${(kib / 1024).toFixed(1)} MiB`;
}

export function countText(count: number): string {
  return count.toLocaleString("en");
}

/** A duration, never finer than the clock that it was measured with. */
export function millisecondsText(ms: number, clockMs: number): string {
  const digits = Math.min(3, Math.max(0, Math.ceil(-Math.log10(clockMs) - 0.01)));
  return ms < clockMs ? `< ${clockMs.toFixed(digits)} ms` : `${ms.toFixed(digits)} ms`;
}

export function timeText(timestamp: number): string {
  return new Date(timestamp).toLocaleTimeString("en-GB");
}

export function hashText(hash: Uint8Array): string {
  return [...hash.subarray(0, DIGITS_SHOWN / 4)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${countText(count)} ${count === 1 ? one : many}`;
}
