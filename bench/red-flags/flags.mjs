// The command line: every flag is known and complete, or one line says which is not and nothing has been started.

import { parseArgs } from "node:util";
import { countOf, UsageError } from "../flags.mjs";
import { gates } from "./rows.mjs";

const OPTIONS = {
  only: { type: "string", multiple: true, default: [] },
  runs: { type: "string", default: "1" },
  json: { type: "string" },
  help: { type: "boolean", default: false },
};

/** Throws a `UsageError` with a one-line message. */
export function parseOptions(args) {
  let values;
  try {
    ({ values } = parseArgs({ args, options: OPTIONS }));
  } catch (error) {
    throw new UsageError(`${error.message.split("\n")[0]} See --help.`);
  }
  const gateOf = (given) => {
    const found = gates.filter((gate) => gate.startsWith(given));
    if (found.length === 1) return found[0];
    throw new UsageError(`--only ${given}: the gates are ${gates.map((gate) => `"${gate}"`).join(", ")}`);
  };
  return { ...values, only: values.only.map(gateOf), runs: countOf("--runs", values.runs) };
}

export function helpText() {
  return [
    "npm run bench:red-flags [-- flags]: every row of the specification's table on speed, with its verdict",
    "",
    "  --only GATE   the rows of this gate alone, by how its name begins; may be given more than once",
    "  --runs N      all of it N times, and whether the verdicts agree",
    "  --json FILE   write the figures to FILE instead of bench/results/",
    "  --help        this text",
    "",
    `gates: ${gates.join(", ")}`,
    "",
    "A run of everything, once, also writes docs/SCORECARD.md, docs/figures/ and what README.md shows of them.",
    "",
  ].join("\n");
}
