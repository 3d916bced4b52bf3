/**
 * A line as it was typed: which command it is, and what its end looks like. Every failure leaves here as a code with a
 * message that has the next step, on standard error, and an exit code by its kind.
 */
import { readFileSync } from "node:fs";
import { HoldfastError } from "../index.js";
import { benchCommand } from "./bench.js";
import { Call, type Command, readLine } from "./command.js";
import { compactCommand } from "./compact.js";
import { doctorCommand } from "./doctor.js";
import { dumpCommand } from "./dump.js";
import { eventsCommand } from "./events.js";
import { EXIT, type ExitCode, exitCodeOf } from "./exit-codes.js";
import { exportCommand } from "./export.js";
import { getCommand } from "./get.js";
import { helpOf, helpOfAll, helpToJson } from "./help.js";
import { importCommand } from "./import.js";
import { inspectCommand } from "./inspect.js";
import { type Json, jsonText, toJson } from "./json-values.js";
import { Output, ReaderGone } from "./output.js";
import { nearest, printable, shortened } from "./text.js";
import { verifyCommand } from "./verify.js";

const COMMANDS: readonly Command[] = [
  inspectCommand,
  getCommand,
  eventsCommand,
  verifyCommand,
  dumpCommand,
  exportCommand,
  importCommand,
  compactCommand,
  benchCommand,
  doctorCommand,
];

/** Runs one line. @returns the exit code */
export async function execute(args: readonly string[]): Promise<ExitCode> {
  const end = args.indexOf("--");
  const out = new Output((end < 0 ? args : args.slice(0, end)).includes("--json"));
  // What the command has come to stands also where nobody reads its last lines.
  let code: ExitCode = EXIT.done;
  try {
    code = await dispatch(args, out);
    await out.flush();
    return code;
  } catch (error) {
    return error instanceof ReaderGone ? code : ended(error, out);
  }
}

async function dispatch(args: readonly string[], out: Output): Promise<ExitCode> {
  const [word, ...rest] = args;
  if (word === undefined) {
    out.note(helpOfAll(COMMANDS, version()).join("\n"));
    return EXIT.usage;
  }
  if (word === "--version") {
    if (out.json) await out.document({ version: version() });
    else await out.line(version());
    return EXIT.done;
  }
  if (word === "help" || word === "--help" || word === "-h") {
    const [name] = rest.filter((arg) => arg !== "--json");
    const commands = name === undefined ? COMMANDS : [commandOf(name)];
    if (out.json) await out.document(helpToJson(commands, version()));
    else await out.lines(name === undefined ? helpOfAll(COMMANDS, version()) : helpOf(commandOf(name)));
    return EXIT.done;
  }
  const command = commandOf(word);
  const given = readLine(command, rest);
  if (given.values["help"] === true) {
    if (out.json) await out.document(helpToJson([command], version()));
    else await out.lines(helpOf(command));
    return EXIT.done;
  }
  return command.run(new Call(command, out, given));
}

function version(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { readonly version: string }).version;
}

function commandOf(word: string): Command {
  const command = COMMANDS.find(({ name }) => name === word);
  if (command !== undefined) return command;
  const meant = nearest(
    word,
    COMMANDS.map(({ name }) => name),
  );
  const advice = meant === undefined ? "" : `Did you mean "holdfast ${meant}"? `;
  throw new HoldfastError(
    "INVALID_ARGUMENT",
    `There is no command ${shortened(word, 40)}. ${advice}"holdfast help" lists the commands.`,
    { details: { command: word, ...(meant === undefined ? {} : { nearest: meant }) } },
  );
}

/** Tells of what ended a command before its time. */
async function ended(error: unknown, out: Output): Promise<ExitCode> {
  // What was found before is the reader's all the same.
  await out.flush().catch(() => {});
  const code = HoldfastError.is(error) ? error.code : "UNEXPECTED";
  const message = error instanceof Error ? error.message : String(error);
  if (out.json) {
    const details = HoldfastError.is(error) ? detailsOf(error) : {};
    out.note(jsonText({ error: { code, message, details } }));
  } else {
    out.note(`holdfast: ${code}: ${printable(message)}`);
  }
  return exitCodeOf(error);
}

/** The facts of a failure, as far as JSON can tell of them. */
function detailsOf({ details }: HoldfastError): Json {
  const facts: [string, Json][] = [];
  for (const [name, fact] of Object.entries(details)) {
    if (fact === null || ["string", "number", "bigint", "boolean"].includes(typeof fact)) {
      facts.push([name, toJson(fact as string | number | bigint | boolean | null)]);
    }
  }
  return Object.fromEntries(facts);
}
