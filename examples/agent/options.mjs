/**
 * The command line of the demo: every flag is known and sensible, or one line says which is not and nothing has started.
 */
import { resolve } from "node:path";
import { parseArgs } from "node:util";

const RUNTIMES = ["node", "deno", "bun"];
const MODES = ["strict", "buffered", "in-memory"];

/** Something was asked for that cannot be done: its message is one line, and all there is to say. */
export class UsageError extends Error {}

export const HELP = `npm run demo [-- flags]

An agent reads this project's source, one transaction a step: what it did is
traced, what it decided logged, its cursor moved, what it learned kept. Half-way
it is killed; it starts again, finds where it was, and finishes. Then a second
agent does the same undisturbed, and both stores have to be equal.

  --mode MODE        strict (default), buffered or in-memory
  --runtime RUNTIME  node (default), deno or bun: what the agent runs on
  --input FILE       replay a recorded agent run (JSON) instead
  --kill-after N     kill it once step N is acknowledged, not half-way
  --keep DIR         leave the two databases in DIR
  --help             this text

Exit code: 0 all promises held, 1 one did not, 2 wrong usage.`;

/** Turns arguments into options. @throws UsageError */
export function parseOptions(args) {
  const { runtime, mode, input, keep, help, "kill-after": killAfter } = parse(args);
  if (help) return { help };
  oneOf("--runtime", runtime, RUNTIMES);
  oneOf("--mode", mode, MODES);
  if (input === "") throw new UsageError("--input needs the name of a file");
  if (keep === "") throw new UsageError("--keep needs the name of a folder");
  if (keep !== undefined && mode === "in-memory") throw new UsageError("--keep: --mode in-memory has nothing to keep");
  if (killAfter !== undefined && !/^[1-9]\d{0,8}$/.test(killAfter))
    throw new UsageError(`--kill-after ${JSON.stringify(killAfter)}: it is the number of a step, from 1`);
  if (killAfter !== undefined && mode === "in-memory")
    throw new UsageError("--kill-after: --mode in-memory has nothing that would outlive a kill");
  return {
    runtime,
    mode,
    input,
    killAfter: killAfter === undefined ? undefined : Number(killAfter),
    keep: keep === undefined ? undefined : resolve(keep),
  };
}

function parse(args) {
  try {
    const text = { type: "string" };
    const options = {
      runtime: { ...text, default: RUNTIMES[0] },
      mode: { ...text, default: MODES[0] },
      input: text,
      "kill-after": text,
      keep: text,
      help: { type: "boolean" },
    };
    return parseArgs({ args, options }).values;
  } catch (error) {
    if (!error.code?.startsWith("ERR_PARSE_ARGS")) throw error;
    // What follows the first sentence is advice for other programs.
    const [sentence] = error.message.split(/\.\s/);
    throw new UsageError(`${sentence.replace(/\.$/, "")}; see --help`);
  }
}

function oneOf(flag, given, known) {
  if (!known.includes(given))
    throw new UsageError(`${flag} ${JSON.stringify(given)}: it is one of ${known.join(", ")}`);
}
