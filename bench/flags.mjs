// The command line of the benchmark.
//
// Keeps true: every flag is known and complete, or one line says which is not and nothing has been started.

export const ROUNDS_FULL = 11;
export const ROUNDS_QUICK = 3;

export class UsageError extends Error {}

/** Turns arguments into options. Throws a `UsageError` with a one-line message. */
export function parseFlags(args, measurementNames) {
  const options = { quick: false, help: false, only: [], json: undefined, rounds: undefined };
  for (let i = 0; i < args.length; i++) {
    const [flag, inline] = splitOnce(args[i]);
    const value = () => {
      const given = inline ?? args[++i];
      if (given === undefined || given === "" || (inline === undefined && given.startsWith("--"))) {
        throw new UsageError(`${flag} needs a value; see --help`);
      }
      return given;
    };
    if (flag === "--only") options.only.push(knownName(value(), measurementNames));
    else if (flag === "--json") options.json = value();
    else if (flag === "--rounds") options.rounds = countOf(flag, value());
    else if (flag === "--quick" && inline === undefined) options.quick = true;
    else if (flag === "--help" && inline === undefined) options.help = true;
    else throw new UsageError(`unknown flag ${args[i]}; see --help`);
  }
  return options;
}

function splitOnce(argument) {
  const at = argument.indexOf("=");
  return argument.startsWith("--") && at > 0 ? [argument.slice(0, at), argument.slice(at + 1)] : [argument, undefined];
}

/** A number of something, one at least. */
export function countOf(flag, given) {
  const count = Number(given);
  if (Number.isSafeInteger(count) && count > 0) return count;
  throw new UsageError(`${flag} ${given}: give a whole number, 1 or more`);
}

function knownName(name, measurementNames) {
  if (measurementNames.includes(name)) return name;
  throw new UsageError(`--only ${name}: no such measurement; there are ${measurementNames.join(", ")}`);
}

export function helpText(measurements) {
  const width = Math.max(...measurements.map((each) => each.name.length));
  return [
    "npm run bench [-- flags]: Holdfast beside its peers, in one process, on the same work",
    "",
    `  --quick       ${ROUNDS_QUICK} rounds of fewer operations instead of ${ROUNDS_FULL}: to see that it works, not to quote`,
    "  --only NAME   this measurement alone; may be given more than once",
    "  --rounds N    this many rounds of each measurement that is taken in rounds",
    "  --json FILE   write the figures to FILE instead of bench/results/",
    "  --help        this text",
    "",
    "measurements:",
    ...measurements.map((each) => `  ${each.name.padEnd(width)}  ${each.title}`),
    "",
  ].join("\n");
}
