/**
 * The end of a run's trace tree, drawn: its last steps with all that belongs to them, and how many there were before.
 */
import { ROOT_ID } from "./journal.mjs";
import { clip, counted, paint } from "./terminal.mjs";

const LAST_STEPS = 2;
const TYPE_WIDTH = 11;
const TEXT_LENGTH_MAX = 200;

const oneLine = (text) => text.slice(0, TEXT_LENGTH_MAX).replace(/\s+/g, " ").trim();

const numbersIn = (result) =>
  Object.entries(result)
    .filter(([, value]) => typeof value === "number")
    .map(([name, value]) => `${value.toLocaleString("en")} ${name}`)
    .join(", ");

const TEXTS = {
  decision: ({ chosen, reasoning }) => `${chosen}: ${reasoning}`,
  thought: ({ content }) => content,
  "tool-call": ({ name, args, result }) =>
    typeof args === "string" ? `${name} ${args}` : `${name} → ${numbersIn(result)}`,
  error: ({ errorType, message }) => `${errorType}: ${message}`,
};

function groupByParent(traces) {
  const groups = new Map();
  for (const trace of traces) groups.set(trace.parent, [...(groups.get(trace.parent) ?? []), trace]);
  return groups;
}

/** @returns lines no wider than `width` */
export function drawTree(traces, width) {
  const below = groupByParent(traces);
  const steps = below.get(ROOT_ID) ?? [];
  const last = steps.slice(-LAST_STEPS);
  const earlier = steps.length - last.length;
  const lines = earlier === 0 ? [] : [paint("dim", `├─ … ${counted(earlier, "step")} before`)];
  const draw = (siblings, indent) => {
    siblings.forEach(({ id, entry }, index) => {
      const isLast = index === siblings.length - 1;
      const branch = `${indent}${isLast ? "└─ " : "├─ "}`;
      const text = clip(oneLine(TEXTS[entry.type](entry)), width - branch.length - TYPE_WIDTH);
      lines.push(`${paint("dim", branch)}${paint("cyan", entry.type.padEnd(TYPE_WIDTH))}${text}`);
      draw(below.get(id) ?? [], `${indent}${isLast ? "   " : "│  "}`);
    });
  };
  draw(last, "");
  return lines;
}
