/**
 * What `holdfast help` says, made of what the commands say of themselves.
 */
import { COMMON_OPTIONS, type Command, usageOf } from "./command.js";
import { EXIT_MEANINGS } from "./exit-codes.js";
import type { Json } from "./json-values.js";
import { table } from "./text.js";

const indented = (lines: readonly string[]): string[] => lines.map((line) => `  ${line}`);

/** The help on all commands. */
export function helpOfAll(commands: readonly Command[], version: string): string[] {
  const rows = commands.map(({ name, operands, summary }) => [[name, ...operands].join(" "), summary]);
  return [
    `holdfast ${version}: looks into databases of agent runs, moves them, and says what this runtime can promise.`,
    "",
    ...indented(table([...rows, ["help [COMMAND]", "this, or what a command takes"]])),
    "",
    "DIR is the directory that Database.open was given. Commands that only read may be used beside a live owner; those",
    "that write need the database to themselves and say LOCKED where it has an owner. Every command takes --json.",
    "Standard output is data; progress is shown on a terminal only, colours neither with NO_COLOR.",
    "",
    "Exit codes",
    ...indented(EXIT_MEANINGS.map(([code, meaning]) => `${code}  ${meaning}`)),
  ];
}

/** The help on one command. */
export function helpOf(command: Command): string[] {
  const options = Object.entries({ ...command.options, ...COMMON_OPTIONS });
  const rows = options.map(([name, { value, help }]) => [
    value === undefined ? `--${name}` : `--${name} ${value}`,
    help,
  ]);
  return [
    `${command.name}: ${command.summary}`,
    "",
    `  ${usageOf(command)}`,
    "",
    ...indented(table(rows)),
    "",
    ...command.details,
  ];
}

/** The same for programs. */
export function helpToJson(commands: readonly Command[], version: string): Json {
  return {
    version,
    commands: commands.map(({ name, operands, summary, options }) => ({
      name,
      operands,
      summary,
      options: Object.entries({ ...options, ...COMMON_OPTIONS }).map(([option, { value = null, help }]) => ({
        name: option,
        value,
        help,
      })),
    })),
    exitCodes: EXIT_MEANINGS.map(([code, meaning]) => ({ code, meaning })),
  };
}
