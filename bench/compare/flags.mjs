// The command line of the comparison of two commits.
//
// Keeps true: as the benchmark's own, every flag is known and complete, or one line says which is not and nothing has started.

import { parseFlags, UsageError } from "../flags.mjs";

export const ROUNDS_FULL = 7;
export const ROUNDS_QUICK = 3;
/** With fewer there is no saying what is noise. */
const ROUNDS_LEAST = 3;
const ROUNDS_MOST = 101;

export const DEFAULT_ONLY = ["layers", "layers-hot"];
const WITH_VALUE = new Set(["--only", "--json"]);

/** Turns arguments into options. Throws a `UsageError` with a one-line message. */
export function parseOptions(args, measurementNames) {
  const commits = [];
  const passedOn = [];
  let rounds;
  let ownBench = false;
  for (let i = 0; i < args.length; i++) {
    const argument = args[i];
    if (argument === "--rounds") rounds = parseRounds(args[++i]);
    else if (argument.startsWith("--rounds=")) rounds = parseRounds(argument.slice("--rounds=".length));
    else if (argument === "--own-bench") ownBench = true;
    else if (!argument.startsWith("-")) commits.push(argument);
    else if (WITH_VALUE.has(argument)) passedOn.push(argument, ...args.slice(++i, i + 1));
    else passedOn.push(argument);
  }
  const { help, quick, json, only } = parseFlags(passedOn, measurementNames);
  if (!help && commits.length !== 2) {
    throw new UsageError(`two commits are compared, and ${commits.length} were named: npm run bench:compare BASE HEAD`);
  }
  return {
    help,
    quick,
    json,
    ownBench,
    commits,
    rounds: rounds ?? (quick ? ROUNDS_QUICK : ROUNDS_FULL),
    only: only.length > 0 ? only : DEFAULT_ONLY,
  };
}

function parseRounds(text) {
  const rounds = Number(text);
  if (Number.isInteger(rounds) && rounds >= ROUNDS_LEAST && rounds <= ROUNDS_MOST) return rounds;
  throw new UsageError(`--rounds takes a whole number from ${ROUNDS_LEAST} to ${ROUNDS_MOST}, not ${text}`);
}

export function helpText(measurementNames) {
  return [
    "npm run bench:compare -- BASE HEAD [flags]: whether HEAD is slower than BASE",
    "",
    "  BASE, HEAD    commits, as git names them; . is the work tree as it is",
    "  --only NAME   this measurement instead of the layers; may be given more than once",
    `  --rounds N    so many processes of HEAD, each between two of BASE, instead of ${ROUNDS_FULL}`,
    `  --quick       ${ROUNDS_QUICK} processes of fewer and shorter rounds: to see that it works, not to judge by`,
    "  --own-bench   each commit's own benchmark instead of the newer one's for both",
    "  --json FILE   write the figures to FILE, too",
    "  --help        this text",
    "",
    "status: 0 nothing is slower, 1 something is, 2 they could not be compared",
    `measurements: ${measurementNames.join(", ")}`,
    "",
  ].join("\n");
}
