/**
 * What a person reads: a headline, a line per thing that happened, and the report at the end. No line is wider than the
 * terminal or 80 columns, and nothing depends on colour.
 */
import { readdirSync, statfsSync, statSync } from "node:fs";
import { join } from "node:path";
import { duration, histogram, percentile } from "./histogram.mjs";
import { clip, clipPath, columns, counted, paint, size } from "./terminal.mjs";
import { drawTree } from "./trace-tree.mjs";

const NAME_WIDTH = 14;
const HASH_DIGITS = 32;
const TMPFS_MAGIC = 0x01021994;

const MODES = {
  strict: "a step counts once it is synced to disk",
  buffered: "a step counts once the system has it; syncs follow",
  "in-memory": "a killed process loses everything, so nothing is killed",
};

const row = (name, text, style = "dim") =>
  `  ${paint(style, name.padEnd(NAME_WIDTH))}${clip(text, columns - NAME_WIDTH - 2)}`;

export function describeStart({ title, steps }, mode, runtime) {
  const amount = title.file === undefined ? `${title.files} files, ${size(title.bytes)}` : size(title.bytes);
  const source = clipPath(title.file ?? "the source tree", columns - NAME_WIDTH - amount.length - 4);
  const input = `${source}, ${amount}`;
  const lines = [
    "",
    paint("bold", `Holdfast: ${title.what}`),
    "",
    row("input", input),
    row("agent", `${runtime}, ${counted(steps, "step")}, each one transaction`),
    row(mode, MODES[mode]),
    "",
  ];
  return lines.join("\n");
}

export function describeEnd(name, run, total) {
  const text = run.killed
    ? `killed (SIGKILL) after step ${run.acknowledged} of ${total} was acknowledged`
    : `${run.acknowledged} of ${counted(total, "step")}, undisturbed`;
  return row(name, text, "cyan");
}

export function describeRecovery(run, total) {
  const { commits, droppedBytes, reason } = run.recovered ?? {};
  const lines = run.recovered
    ? [`started again: ${reason}`, `recovered ${counted(commits, "commit")}, dropped ${counted(droppedBytes, "byte")}`]
    : ["started again: there was nothing to recover"];
  const found = `found it ${run.status}, with ${counted(run.found, "whole step")}`;
  lines.push(`${found}; finished ${run.acknowledged} of ${total}`);
  return lines.map((line) => row("", line)).join("\n");
}

export function printReport({ checks, contents, learned, latencies, paths, kept }) {
  const lines = [""];
  for (const { ok, text } of checks) lines.push(`  ${ok ? paint("green", "✓") : paint("red", "✗")} ${text}`);
  lines.push("", ...learned.map(([name, text]) => row(name, text)));
  if (paths.length > 0) lines.push(row("log on disk", diskUse(paths)));
  // A path that is cut is of no use to anyone.
  if (kept !== undefined) lines.push(`  ${paint("dim", "kept in".padEnd(NAME_WIDTH))}${kept}`);
  lines.push("", ...runLines(contents));
  lines.push("", ...latencyLines(latencies), "");
  console.log(lines.join("\n"));
}

/** How the run stands in the index, where its cursor and its log are, and the end of its tree. */
function runLines({ status, tags, cursor, hashes, traces }) {
  return [
    row("run", `${status}, tagged ${tags?.join(", ")}; cursor ${cursor?.value}, at version ${cursor?.version}`),
    row("event log", `${counted(hashes.length, "event")}, head ${hashes.at(-1)?.slice(0, HASH_DIGITS)}…`),
    ...drawTree(traces, columns - NAME_WIDTH - 2).map(
      (line, index) => `  ${paint("dim", (index === 0 ? "traces" : "").padEnd(NAME_WIDTH))}${line}`,
    ),
  ];
}

function latencyLines(latencies) {
  const sorted = [...latencies].sort((a, b) => a - b);
  if (sorted.length === 0) return [];
  const p50 = duration(percentile(sorted, 0.5));
  const p99 = duration(percentile(sorted, 0.99));
  const max = duration(sorted.at(-1));
  const rows = histogram(sorted, columns - 2);
  return [
    `  ${paint("bold", `${sorted.length} commits`)}   p50 ${p50}   p99 ${p99}   max ${max}`,
    ...rows.map(({ label, bar, count }) => `  ${paint("dim", label)} ${paint("cyan", bar)} ${count}`),
  ];
}

/** Both logs, and a word about a disk that is none, where a sync costs nothing. */
function diskUse(paths) {
  const sizes = paths.map((path) => size(logBytes(path)));
  const onTmpfs = process.platform === "linux" && statfsSync(paths[0]).type === TMPFS_MAGIC;
  return `${sizes.join(" and ")}${onTmpfs ? ", on tmpfs, where a sync costs nothing" : ""}`;
}

function logBytes(path) {
  return readdirSync(path)
    .filter((name) => name.endsWith(".log"))
    .reduce((sum, name) => sum + statSync(join(path, name)).size, 0);
}
