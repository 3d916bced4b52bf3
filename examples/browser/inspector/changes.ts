/**
 * What is different between two snapshots of a run, in words.
 */
import type { RunSnapshot } from "holdfast";
import type { ChangedLine } from "./questions";
import { shortText, textOf } from "./text";

type View = Pick<RunSnapshot, "kv" | "events" | "state" | "traces" | "graph">;

/** Names that stand in one, in the other, or in both with another text. */
function compare(kind: ChangedLine["kind"], before: Map<string, string>, after: Map<string, string>): ChangedLine[] {
  const lines: ChangedLine[] = [];
  for (const [what, text] of after) {
    const old = before.get(what);
    if (old === undefined) lines.push({ kind, what, how: `new: ${shortText(text)}` });
    else if (old !== text) lines.push({ kind, what, how: kind === "key" ? "changed" : shortText(`${old} → ${text}`) });
  }
  for (const what of before.keys()) if (!after.has(what)) lines.push({ kind, what, how: "removed" });
  return lines;
}

const keysOf = ({ kv }: View) => new Map(kv.list().map(([key, value]) => [key, textOf(value)]));
const cellsOf = ({ state }: View) => new Map(state.list().map(([name, { value }]) => [name, textOf(value)]));
const nodesOf = ({ graph }: View) =>
  new Map(graph.nodes().map(({ id, properties }) => [`node ${id}`, textOf({ ...properties })]));
const edgesOf = ({ graph }: View) =>
  new Map(graph.edges().map(({ id, source, target, type }) => [`edge ${id}`, `${source} ${type} ${target}`]));

export function changesBetween(before: View, after: View): ChangedLine[] {
  const events = [...after.events.range(before.events.length, after.events.length)];
  const traces = after.traces.count() - before.traces.count();
  return [
    ...compare("cell", cellsOf(before), cellsOf(after)),
    ...compare("key", keysOf(before), keysOf(after)),
    ...events.map(({ sequence, type, payload }): ChangedLine => {
      return { kind: "event", what: `${sequence} ${type}`, how: shortText(textOf(payload)) };
    }),
    ...(traces > 0
      ? after.traces.list({ reverse: true, limit: traces }).map(({ entry }): ChangedLine => {
          return { kind: "trace", what: entry.type, how: "recorded" };
        })
      : []),
    ...compare("graph", nodesOf(before), nodesOf(after)),
    ...compare("graph", edgesOf(before), edgesOf(after)),
  ];
}
