/**
 * `holdfast inspect`: what is in a database, run by run, or in one run, with the tree of its traces.
 */
import { type Database, HoldfastError } from "../index.js";
import { type Call, type Command, READING_OPTIONS } from "./command.js";
import { EXIT, type ExitCode } from "./exit-codes.js";
import { hex, type Json } from "./json-values.js";
import { type DirectoryUse, directoryUse, openToRead } from "./opening.js";
import { type RunReport, reportRun, runToJson } from "./run-report.js";
import { bytes, count, printable, shortened, table, time } from "./text.js";
import { placedTraces, traceToJson, treeLine } from "./trace-tree.js";

const NAME_CHARS_MAX = 48;
const DEPTH_MAX = 1_000_000;
const LIMIT = 200;

export const inspectCommand: Command = {
  name: "inspect",
  operands: ["DIR", "[RUN]"],
  summary: "runs, entries, sizes, versions; of one run the tree of its traces",
  details: [
    "Reads beside a live owner. A size is what an export of the run alone takes; it and the counts take time in proportion",
    "to what is stored. On a terminal and in pipes the tree ends after --limit traces and says so; 0 is without end.",
  ],
  options: {
    depth: { type: "string", value: "N", help: "levels of the tree (all of them if left out)" },
    limit: { type: "string", value: "N", help: `traces of the tree (${LIMIT} if left out)` },
    ...READING_OPTIONS,
  },
  run: inspect,
};

async function inspect(call: Call): Promise<ExitCode> {
  const directory = call.operand(0);
  const id = call.operandIfGiven(1);
  const bounds = { depthMax: call.number("depth", DEPTH_MAX, { least: 1 }), limit: call.number("limit", LIMIT) };
  const use = await directoryUse(directory);
  const db = await openToRead(directory, call.out, call.flag("salvage"));
  try {
    if (id === undefined) await inspectAll(call, db, directory, use);
    else await inspectRun(call, db, id, bounds);
  } finally {
    await db.close();
  }
  return EXIT.done;
}

async function inspectAll({ out }: Call, db: Database, directory: string, use: DirectoryUse): Promise<void> {
  const ids = db.runs.ids();
  const runs: RunReport[] = [];
  for (const id of ids) {
    out.progress(`run ${runs.length + 1} of ${ids.length}`);
    runs.push(await reportRun(db, id));
  }
  const { kind, mechanism, salvaged } = db.storageInfo;
  const { segments, checkpoints } = use;
  const { entries, liveBytes, deadBytes, memoryBytes, logBytes, commits } = db.stats();
  if (out.json) {
    await out.document({
      directory,
      version: db.version,
      storage: { kind, mechanism, segments: { ...segments }, checkpoints: { ...checkpoints } },
      salvaged: salvaged === undefined ? null : { commits: salvaged.commits, damage: salvaged.damage.message },
      stats: { runs: ids.length, entries, commits, liveBytes, deadBytes, memoryBytes, logBytes },
      runs: runs.map(runToJson),
    });
    return;
  }
  const files = (what: string, { files, bytes: sum }: { files: number; bytes: number }): string =>
    `${count(files, what)} of ${bytes(sum)}`;
  await out.lines([
    out.bold(printable(directory)),
    ...table([
      ["version", String(db.version)],
      ["storage", `${kind}, ${mechanism}: ${files("segment", segments)}, ${files("checkpoint", checkpoints)}`],
      ["memory", `${bytes(liveBytes)} live, ${bytes(deadBytes)} dead`],
      ["contents", `${count(ids.length, "run")}, ${count(entries, "entry", "entries")}`],
    ]),
  ]);
  if (runs.length === 0) return;
  const head = ["run", "status", "version", "entries", "size", "kv", "events", "state", "traces", "nodes", "edges"];
  const rows = runs.map((run) => [
    shortened(run.id, NAME_CHARS_MAX),
    run.info?.status ?? "-",
    ...[run.version, run.entries].map(String),
    bytes(run.exportBytes),
    ...[run.kv, run.events, run.state, run.traces, run.nodes, run.edges].map(String),
  ]);
  const [heading = "", ...lines] = table([head, ...rows], [2, 3, 4, 5, 6, 7, 8, 9, 10]);
  await out.lines(["", out.bold(heading), ...lines]);
}

async function inspectRun(
  { out }: Call,
  db: Database,
  id: string,
  { depthMax, limit }: { readonly depthMax: number; readonly limit: number },
): Promise<void> {
  if (!db.runs.ids().includes(id)) throw noRun(id);
  const report = await reportRun(db, id);
  const { events, traces } = db.run(id);
  const head = events.head();
  const listed: Json[] = [];
  const lines: string[] = [];
  let left = limit === 0 ? Number.POSITIVE_INFINITY : limit;
  for (const placed of placedTraces(traces, { depthMax })) {
    if (left-- === 0) break;
    if (out.json) listed.push({ depth: placed.depth, ...traceToJson(placed.trace) });
    else lines.push(treeLine(placed));
  }
  const isCut = left < 0;
  if (out.json) {
    const eventHead = head === undefined ? null : { sequence: head.sequence, hash: hex(head.hash) };
    await out.document({ ...runToJson(report), eventHead, eventTypes: events.types(), traceTree: listed, cut: isCut });
    return;
  }
  const { info } = report;
  const rows = [
    ["version", String(report.version)],
    ["entries", `${report.entries}, ${bytes(report.exportBytes)} as an export`],
    ["kv", String(report.kv)],
    [
      "events",
      head === undefined ? "0" : `${report.events}, head ${hex(head.hash).slice(0, 16)}…, ${types(events.types())}`,
    ],
    ["state", String(report.state)],
    ["traces", String(report.traces)],
    ["graph", `${count(report.nodes, "node")}, ${count(report.edges, "edge")}`],
  ];
  if (info !== undefined) {
    rows.unshift(["status", `${info.status}, created ${time(info.createdAt)}, updated ${time(info.updatedAt)}`]);
    if (info.error !== undefined) rows.splice(1, 0, ["error", shortened(info.error, 100)]);
    if (info.tags.length > 0) rows.splice(1, 0, ["tags", shortened(info.tags.join(", "), 100)]);
  }
  await out.lines([out.bold(printable(id)), ...table(rows)]);
  if (lines.length > 0) await out.lines(["", ...lines]);
  if (isCut) await out.line(out.dim(`… ${report.traces} traces in all; --limit 0 shows them`));
}

function types(names: readonly string[]): string {
  return shortened(`${count(names.length, "type")}: ${names.join(", ")}`, 80);
}

/** The error for a run that is not there. */
export function noRun(id: string): HoldfastError {
  return new HoldfastError(
    "NOT_FOUND",
    `There is no run ${JSON.stringify(id)}. "holdfast inspect DIR" lists the runs that there are.`,
    { details: { run: id } },
  );
}
