/**
 * Reads a recorded agent run: a JSON object with a list `trajectory` of steps, or a list `history` of messages, as software
 * engineering agents write them. What is not one gives one line that says what is missing.
 *
 * Steps come out as texts that a store takes: well-formed, and bounded in number and size.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { UsageError } from "./options.mjs";

const FILE_BYTES_MAX = 16 << 20;
const STEPS_MAX = 500;
const FIELDS = ["thought", "action", "observation", "response", "state"];

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

/** Checks the run in `file` and writes its steps to `place`. @returns how much it is */
export function freezeTrajectory(file, place) {
  const steps = stepsOf(file, parse(file, read(file))).slice(0, STEPS_MAX);
  const text = JSON.stringify(steps);
  writeFileSync(place, text);
  return { steps: steps.length, bytes: Buffer.byteLength(text) };
}

function read(file) {
  let bytes;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    throw new UsageError(`--input: cannot read ${file} (${error.code})`);
  }
  if (bytes.length > FILE_BYTES_MAX)
    throw new UsageError(`--input: ${file} is larger than ${FILE_BYTES_MAX >> 20} MiB`);
  return bytes.toString("utf8");
}

function parse(file, text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new UsageError(`--input: ${file} is not JSON`);
  }
}

function stepsOf(file, recorded) {
  const refuse = (why) => {
    throw new UsageError(`--input: ${file} is no recorded run: ${why}`);
  };
  if (!isObject(recorded)) refuse("it is not an object");
  const { trajectory, history } = recorded;
  if (!Array.isArray(trajectory) && !Array.isArray(history))
    refuse('it has neither a "trajectory" nor a "history" list');
  const raw = Array.isArray(trajectory) ? trajectory : stepsOfMessages(history);
  if (raw.length === 0) refuse("it has no steps");
  const odd = raw.findIndex((step) => !isObject(step) || typeof step.action !== "string");
  if (odd >= 0) refuse(`step ${odd + 1} has no "action"`);
  return raw.map(normalStep);
}

/** A message of the agent is an action; what the next one says, if it is not the agent's, is the observation. */
function stepsOfMessages(messages) {
  const isAction = (message) => isObject(message) && typeof message.action === "string";
  return messages.flatMap((message, index) => {
    const answer = messages[index + 1];
    if (!isAction(message)) return [];
    return [{ ...message, observation: isAction(answer) ? undefined : answer?.content }];
  });
}

function normalStep(step) {
  const given = FIELDS.filter((field) => step[field] !== undefined && step[field] !== null);
  const texts = Object.fromEntries(given.map((field) => [field, asText(step[field])]));
  const { execution_time: seconds } = step;
  return typeof seconds === "number" ? { ...texts, durationMs: Math.round(seconds * 1000) } : texts;
}

/** Half a surrogate pair, which JSON can spell, has no UTF-8. */
function asText(value) {
  return (typeof value === "string" ? value : JSON.stringify(value)).toWellFormed();
}
