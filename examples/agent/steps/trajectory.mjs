/**
 * The steps of a recorded run, one after the other.
 *
 *   step/00000   the step as it was recorded: thought, action, observation …
 *   tool/<name>  { calls, bytes }   how often a tool was used, and how much it answered
 *   totals       { steps, bytes }
 */
import { readFileSync } from "node:fs";
import { stepKey } from "../store-keys.mjs";
import { counted } from "../terminal.mjs";

const TOOL_NAME_LENGTH_MAX = 40;

export function open(input) {
  return JSON.parse(readFileSync(input, "utf8"));
}

export function next(steps, kv) {
  const done = kv.get("cursor")?.step ?? 0;
  const record = steps[done];
  if (record === undefined) return undefined;
  const tool = toolOf(record.action);
  const bytes = Buffer.byteLength(record.observation ?? "");
  const write = (kv) => {
    const used = kv.get(`tool/${tool}`) ?? { calls: 0, bytes: 0 };
    kv.put(`tool/${tool}`, { calls: used.calls + 1, bytes: used.bytes + bytes });
    const totals = kv.get("totals") ?? { steps: 0, bytes: 0 };
    kv.put("totals", { steps: totals.steps + 1, bytes: totals.bytes + bytes });
  };
  return { label: record.action.trim().split("\n")[0], record, write };
}

/** The first word of an action is the tool that it calls. */
function toolOf(action) {
  const word = action.trim().split(/\s/)[0];
  return (word === "" ? "(none)" : word.slice(0, TOOL_NAME_LENGTH_MAX)).toWellFormed();
}

export function fault(kv) {
  const { steps } = kv.get("totals") ?? { steps: 0 };
  const calls = kv.list({ prefix: "tool/" }).reduce((sum, [, tool]) => sum + tool.calls, 0);
  const records = kv.count(stepKey.prefix);
  if (calls === steps && records === steps) return undefined;
  return `${records} steps are recorded and ${steps} counted, with ${calls} calls of tools`;
}

export function learned(listing) {
  const totals = listing.find(([key]) => key === "totals")[1];
  const tools = listing.filter(([key]) => key.startsWith("tool/")).map(([key, { calls }]) => ({ key, calls }));
  const often = tools.sort((a, b) => b.calls - a.calls).slice(0, 4);
  return [
    ["observed", `${counted(totals.bytes, "byte")} in ${counted(totals.steps, "step")}`],
    ["tools", often.map(({ key, calls }) => `${key.slice("tool/".length)} ${calls} ×`).join(", ")],
  ];
}
