/**
 * `holdfast get`: one thing of a run.
 */
import { HoldfastError, type Run, type Value } from "../index.js";
import { type Call, type Command, READING_OPTIONS } from "./command.js";
import { eventToJson } from "./event-lines.js";
import { EXIT, type ExitCode } from "./exit-codes.js";
import { noRun } from "./inspect.js";
import { type Json, jsonText, toJson } from "./json-values.js";
import { openToRead } from "./opening.js";
import { printable } from "./text.js";
import { traceToJson } from "./trace-tree.js";

/** What was found: the value by itself, and what is known of it. */
interface Found {
  readonly value: Value | undefined;
  readonly document: { readonly [key: string]: Json };
}

const PLACES: { readonly [place: string]: (run: Run, key: string) => Found | undefined } = {
  kv: ({ kv }, key) => {
    const found = kv.getVersioned(key);
    return found && { value: found.value, document: { key, version: found.version, value: toJson(found.value) } };
  },
  state: ({ state }, name) => {
    const cell = state.read(name);
    return cell && { value: cell.value, document: { name, ...cell, value: toJson(cell.value) } };
  },
  event: ({ events }, text) => {
    const event = events.read(numberOf(text, "The sequence of an event"));
    return event && { value: event.payload, document: eventToJson(event) };
  },
  trace: ({ traces }, id) => {
    const trace = traces.get(id);
    return trace && { value: undefined, document: traceToJson(trace) };
  },
  node: ({ graph }, text) => {
    const node = graph.getNode(numberOf(text, "The id of a node"));
    return node && { value: undefined, document: { ...node, properties: toJson(node.properties) } };
  },
  edge: ({ graph }, text) => {
    const edge = graph.getEdge(numberOf(text, "The id of an edge"));
    return edge && { value: undefined, document: { ...edge, properties: toJson(edge.properties) } };
  },
};
const PLACE_NAMES = Object.keys(PLACES).join(", ");

export const getCommand: Command = {
  name: "get",
  operands: ["DIR", "RUN", "KEY"],
  summary: "one value of a run, as it is or with its version",
  details: [
    "Reads beside a live owner. A string is printed as it is, anything else as JSON. With --json comes what is known of it:",
    "its version, its time, its hash. --raw prints a string's or a Uint8Array's bytes and nothing behind them.",
  ],
  options: {
    in: { type: "string", value: "PLACE", help: `what KEY names: ${PLACE_NAMES} (kv if left out)` },
    raw: { type: "boolean", help: "the bytes of a string or a Uint8Array alone" },
    ...READING_OPTIONS,
  },
  run: get,
};

async function get(call: Call): Promise<ExitCode> {
  const { out } = call;
  const [directory, id, key] = [call.operand(0), call.operand(1), call.operand(2)];
  if (call.flag("raw") && out.json) throw call.misused("--raw and --json exclude one another");
  const place = call.text("in") ?? "kv";
  const read = Object.hasOwn(PLACES, place) ? PLACES[place] : undefined;
  if (read === undefined) throw call.misused(`There is no place ${printable(place)}; there are ${PLACE_NAMES}`);
  const db = await openToRead(directory, out, call.flag("salvage"));
  try {
    if (!db.runs.ids().includes(id)) throw noRun(id);
    const found = read(db.run(id), key);
    if (found === undefined) {
      throw new HoldfastError(
        "NOT_FOUND",
        `The run ${JSON.stringify(id)} has no ${place} ${JSON.stringify(key)}. "holdfast dump DIR --run RUN" lists what it has.`,
        { details: { run: id, in: place, key } },
      );
    }
    await print(call, found, { run: id, in: place });
  } finally {
    await db.close();
  }
  return EXIT.done;
}

async function print(call: Call, { value, document }: Found, where: { run: string; in: string }): Promise<void> {
  const { out } = call;
  if (call.flag("raw")) {
    if (typeof value !== "string" && !(value instanceof Uint8Array)) {
      throw call.misused("--raw is for a string or a Uint8Array, and this is neither; leave it out");
    }
    await out.bytes(value);
  } else if (out.json) {
    await out.document({ ...where, ...document });
  } else if (typeof value === "string") {
    // A terminal would obey what stands in it; in a pipe it is data.
    await out.line(out.isTerminal ? value.split("\n").map(printable).join("\n") : value);
  } else {
    await out.line(jsonText(value === undefined ? document : toJson(value), 2));
  }
}

function numberOf(text: string, what: string): number {
  const number = text.trim() === "" ? Number.NaN : Number(text);
  if (Number.isSafeInteger(number) && number >= 0) return number;
  throw new HoldfastError(
    "INVALID_ARGUMENT",
    `${what} is a whole number that is not negative, got ${printable(text)}.`,
  );
}
