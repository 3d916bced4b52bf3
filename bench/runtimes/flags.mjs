// The command line of `npm run bench:runtimes`.

import { parseArgs } from "node:util";

/** A wrong flag: its message is all there is to say. */
export class UsageError extends Error {}

const HELP = `npm run bench:runtimes -- [--only NAME]... [--quick] [--json FILE]

  --only NAME   on this runtime alone; more than once for several. A name is enough from its beginning: node, deno, chr
  --quick       few and short rounds: to see that it works, not to quote
  --json FILE   where the figures go; otherwise bench/results/runtimes-<date>.json. The page is beside them, as .html

`;

/** @param runtimes all there may be, `{ name, onDemand }[]` */
export function parseFlags(args, runtimes) {
  let values;
  try {
    ({ values } = parseArgs({
      args,
      options: {
        only: { type: "string", multiple: true, default: [] },
        quick: { type: "boolean", default: false },
        json: { type: "string" },
        help: { type: "boolean", short: "h", default: false },
      },
    }));
  } catch (error) {
    throw new UsageError(`${error.message.split("\n")[0]} See --help.`);
  }
  const names = runtimes.map(({ name }) => name).join(", ");
  for (const name of values.only) {
    if (!runtimes.some((runtime) => runtime.name.startsWith(name))) throw new UsageError(`${name}: there are ${names}`);
  }
  const isWanted = ({ name, onDemand }) =>
    values.only.length === 0 ? !onDemand : values.only.some((prefix) => name.startsWith(prefix));
  return { ...values, runtimes: runtimes.filter(isWanted) };
}

export function helpText(runtimes) {
  const lines = runtimes.map(({ name, onDemand }) => `  ${name}${onDemand ? " (only when it is named)" : ""}`);
  return `${HELP}Runtimes:\n${lines.join("\n")}\n`;
}
