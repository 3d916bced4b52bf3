/**
 * What a command is, and how its line is read: operands first, options anywhere, everything checked before anything is
 * opened. Every command has `--json` and `--help`.
 */
import { type ParseArgsConfig, parseArgs } from "node:util";
import { HoldfastError } from "../index.js";
import type { ExitCode } from "./exit-codes.js";
import type { Output } from "./output.js";
import { nearest, shortened } from "./text.js";

/** One option of a command. */
export interface OptionSpec {
  readonly type: "boolean" | "string";
  readonly multiple?: boolean;
  /** What stands for its value in the help. */
  readonly value?: string;
  readonly help: string;
}

/** One command. */
export interface Command {
  readonly name: string;
  /** Operands; those in brackets may be left out. */
  readonly operands: readonly string[];
  readonly summary: string;
  /** Sentences that the help adds. */
  readonly details: readonly string[];
  readonly options: { readonly [name: string]: OptionSpec };
  run(call: Call): Promise<ExitCode>;
}

/** What every command takes. */
export const COMMON_OPTIONS: { readonly [name: string]: OptionSpec } = {
  json: { type: "boolean", help: "answer in JSON, errors on standard error too" },
  help: { type: "boolean", help: "say what the command does" },
};

/** What every command takes that reads a database. */
export const READING_OPTIONS: { readonly [name: string]: OptionSpec } = {
  salvage: {
    type: "boolean",
    help: "of a damaged log, read what stands before the damage; a damaged checkpoint takes a copy",
  },
};

/** One use of a command. */
export class Call {
  readonly command: Command;
  readonly out: Output;
  readonly #operands: readonly string[];
  readonly #values: { readonly [name: string]: unknown };

  constructor(command: Command, out: Output, given: Given) {
    this.command = command;
    this.out = out;
    this.#operands = given.operands;
    this.#values = given.values;
  }

  /** An operand that the command cannot do without. */
  operand(at: number): string {
    const value = this.#operands[at];
    if (value !== undefined && value !== "") return value;
    const name = this.command.operands[at] ?? "";
    throw misused(this.command, value === undefined ? `${name} is missing` : `${name} must not be empty`);
  }

  /** An operand that may be left out. */
  operandIfGiven(at: number): string | undefined {
    return this.#operands[at] === undefined ? undefined : this.operand(at);
  }

  flag(name: string): boolean {
    return this.#values[name] === true;
  }

  text(name: string): string | undefined {
    return this.#values[name] as string | undefined;
  }

  texts(name: string): readonly string[] | undefined {
    return this.#values[name] as readonly string[] | undefined;
  }

  /** The value of an option that is a number. */
  number(name: string, fallback: number, { least = 0, most = Number.MAX_VALUE, whole = true } = {}): number {
    const text = this.text(name);
    if (text === undefined) return fallback;
    const value = text.trim() === "" ? Number.NaN : Number(text);
    if (value >= least && value <= most && (!whole || Number.isSafeInteger(value))) return value;
    const kind = whole ? "a whole number" : "a number";
    const bounds = `at least ${least}${most === Number.MAX_VALUE ? "" : ` and at most ${most}`}`;
    throw misused(this.command, `--${name} must be ${kind} of ${bounds}, got ${shortened(text, 40)}`);
  }

  misused(what: string): HoldfastError {
    return misused(this.command, what);
  }
}

/** What stood on the line of a command. */
export interface Given {
  readonly operands: readonly string[];
  readonly values: { readonly [name: string]: unknown };
}

/** The error of a line that cannot be followed. */
export function misused(command: Command, what: string): HoldfastError {
  return new HoldfastError(
    "INVALID_ARGUMENT",
    `${what}${what.endsWith("?") ? "" : "."} Usage: ${usageOf(command)}; "holdfast help ${command.name}" says more.`,
  );
}

export function usageOf({ name, operands, options }: Command): string {
  const own = Object.entries(options).map(([option, { value, multiple }]) => {
    const text = value === undefined ? `--${option}` : `--${option} ${value}`;
    return multiple === true ? `[${text}]…` : `[${text}]`;
  });
  return ["holdfast", name, ...operands, ...own, "[--json]"].join(" ");
}

/** Reads the line of a command. @throws HoldfastError `INVALID_ARGUMENT` */
export function readLine(command: Command, args: readonly string[]): Given {
  const specs = { ...command.options, ...COMMON_OPTIONS };
  const options: NonNullable<ParseArgsConfig["options"]> = {};
  for (const [name, { type, multiple = false }] of Object.entries(specs)) options[name] = { type, multiple };
  let given: Given;
  try {
    const { positionals, values } = parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
    given = { operands: positionals, values: { ...values } };
  } catch (error) {
    throw misused(command, faultOf(error, args, Object.keys(specs)));
  }
  if (given.operands.length > command.operands.length && given.values["help"] !== true) {
    throw misused(command, `There is no place for ${shortened(given.operands[command.operands.length] ?? "", 40)}`);
  }
  return given;
}

/** What is wrong with a line, with the option that was probably meant. */
function faultOf(error: unknown, args: readonly string[], known: readonly string[]): string {
  const { code, message } = error as { readonly code?: unknown; readonly message: string };
  if (code === "ERR_PARSE_ARGS_UNKNOWN_OPTION") {
    const word = /'(-[^'\s]*)/.exec(message)?.[1] ?? args.find((arg) => arg.startsWith("-")) ?? "";
    const meant = nearest(word.replace(/^-+/, ""), known);
    return `There is no option ${shortened(word, 40)}${meant === undefined ? "" : `; did you mean --${meant}?`}`;
  }
  return (message.split("\n")[0] ?? "").replace(/\.$/, "");
}
