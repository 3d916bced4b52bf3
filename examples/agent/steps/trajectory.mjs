/**
 * The steps of a recorded run, one after the other. A step is traced as its thought, below it the call of its tool, and
 * below that an error where what was observed has one.
 *
 *   tool/<name>  { calls, bytes }   how often a tool was used, and how much it answered
 *   totals       { steps, bytes }
 */
import { readFileSync } from "node:fs";
import { counted } from "../terminal.mjs";

const TOOL_NAME_LENGTH_MAX = 40;
/** What a line of an observation looks like that tells of an error: by an interpreter, by a linter, or by a time limit. */
const ERROR_PATTERN = /^(?:- E\d+ )?(\w+(?:Error|Exception)): (.+)$/m;
const TIMEOUT_PATTERN = /^EXECUTION TIMED OUT$/m;

export function open(input) {
  return JSON.parse(readFileSync(input, "utf8"));
}

export function next(steps, _, number) {
  const step = steps[number];
  if (step === undefined) return undefined;
  const [label] = step.action.trim().split("\n");
  const tool = toolOf(step.action);
  const bytes = Buffer.byteLength(step.observation ?? "");
  const write = (kv) => {
    const used = kv.get(`tool/${tool}`) ?? { calls: 0, bytes: 0 };
    kv.put(`tool/${tool}`, { calls: used.calls + 1, bytes: used.bytes + bytes });
    const totals = kv.get("totals") ?? { steps: 0, bytes: 0 };
    kv.put("totals", { steps: totals.steps + 1, bytes: totals.bytes + bytes });
  };
  return { label, traces: tracesOf(step, tool), decision: { tool, action: step.action }, write };
}

/** A step without a thought begins with the call. */
function tracesOf({ thought = "", action, observation, response, state, durationMs }, tool) {
  const result = observation === undefined ? {} : { result: observation };
  const duration = durationMs === undefined ? {} : { durationMs };
  const call = {
    entry: { type: "tool-call", name: tool, args: argumentsOf(action), ...result, ...duration },
    tags: [tool],
    metadata: state === undefined ? undefined : { state },
    children: errorsIn(observation ?? ""),
  };
  if (thought.trim() === "") return call;
  return {
    entry: { type: "thought", content: thought },
    metadata: response === undefined ? undefined : { response },
    children: [call],
  };
}

function errorsIn(observation) {
  const [line, errorType, message] = observation.match(ERROR_PATTERN) ?? [];
  const found = line === undefined ? {} : { errorType, message: message.trim() };
  if (TIMEOUT_PATTERN.test(observation)) Object.assign(found, { errorType: "timeout", message: "execution timed out" });
  return found.errorType === undefined ? [] : [{ entry: { type: "error", ...found, recoverable: true } }];
}

/** The first word of an action is the tool that it calls; all behind it is for the tool. */
function toolOf(action) {
  const word = action.trim().split(/\s/)[0];
  return (word === "" ? "(none)" : word.slice(0, TOOL_NAME_LENGTH_MAX)).toWellFormed();
}

function argumentsOf(action) {
  return action.trim().replace(/^\S+\s*/, "");
}

export function fault(kv, taken) {
  const { steps } = kv.get("totals") ?? { steps: 0 };
  const calls = kv.list({ prefix: "tool/" }).reduce((sum, [, tool]) => sum + tool.calls, 0);
  if (calls === taken && steps === taken) return undefined;
  return `${taken} steps were taken and ${steps} counted, with ${calls} calls of tools`;
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
