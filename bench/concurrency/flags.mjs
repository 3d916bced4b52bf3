// The command line: every flag is known and complete, or one line says which is not and nothing has been started.

import { parseFlags } from "../flags.mjs";
import { designs, workloads } from "./catalogue.mjs";

const GOALS = "--goals";
const groups = [...new Set(workloads.map(({ group }) => group))];
const names = [...[...workloads, ...designs].map(({ name }) => name), ...groups];

/**
 * What is to be measured. `--only` names workloads, groups of them, and designs: of each kind those that are named, or all
 * where none is. Throws a `UsageError`.
 */
export function parseOptions(args) {
  const goalsOnly = args.includes(GOALS);
  const { only, ...options } = parseFlags(
    args.filter((arg) => arg !== GOALS),
    names,
  );
  const chosen = (all) => {
    const named = all.filter(({ name, group }) => only.includes(name) || only.includes(group));
    return named.length > 0 ? named : all;
  };
  return { ...options, goalsOnly, workloads: chosen(workloads), designs: chosen(designs) };
}

export function helpText() {
  const line = ({ name, title }) => `  ${name.padEnd(12)}  ${title}`;
  return [
    "npm run bench:concurrency [-- flags]: many workers over one memory, beside what shares nothing, locks, and lmdb",
    "",
    "  --quick       few and short windows: to see that it works, not to quote",
    "  --goals       only what a goal looks at, and no other design or count of workers",
    "  --only NAME   this workload, group of workloads or design alone; may be given more than once",
    "  --rounds N    this many rounds of windows",
    "  --json FILE   write the figures to FILE instead of bench/results/",
    "  --help        this text",
    "",
    ...groups.flatMap((name) => [
      `workloads of the group ${name}:`,
      ...workloads.filter(({ group }) => group === name).map(line),
    ]),
    "designs:",
    ...designs.map(line),
    "",
  ].join("\n");
}
