/**
 * `holdfast verify`: whether what is stored is what was written. The files by their checksums, the memory that they were read
 * into by its invariants, and run by run the chain of events, the graph's index, and that everything can be read.
 */
import { type Database, HoldfastError } from "../index.js";
import type { Call, Command } from "./command.js";
import { EXIT, type ExitCode } from "./exit-codes.js";
import { partsOf } from "./items.js";
import { openToRead } from "./opening.js";
import { type Output, ReaderGone } from "./output.js";
import { count, printable } from "./text.js";

export const verifyCommand: Command = {
  name: "verify",
  operands: ["DIR"],
  summary: "files, memory, chains of events and indices of graphs; exit code 5 on damage",
  details: [
    "Reads beside a live owner, and changes nothing. A torn end, as a crash leaves it, is no damage: the next owner cuts it off.",
    "Checksums are no signatures: who can write the files can forge them, but the head hash of an event log that was noted",
    "elsewhere (holdfast inspect DIR RUN) tells.",
  ],
  options: {},
  run: verify,
};

interface Problem {
  readonly run: string | null;
  readonly part: string;
  readonly problem: string;
}

async function verify(call: Call): Promise<ExitCode> {
  const { out } = call;
  const directory = call.operand(0);
  // Damage of the files ends here, as a typed error with file and offset.
  const db = await openToRead(directory, out, false);
  try {
    const heap = db.verify();
    const problems: Problem[] = [];
    if (!heap.valid) problems.push({ run: null, part: "memory", problem: `invariant ${heap.fault} does not hold` });
    const ids = db.runs.ids();
    let items = 0;
    for (const [at, id] of ids.entries()) {
      out.progress(`verify: run ${at + 1} of ${ids.length}`);
      items += verifyRun(db, id, problems);
    }
    await tell(out, problems, { runs: ids.length, items }).catch((error: unknown) => {
      // The answer is the exit code, for whoever wants no more.
      if (!(error instanceof ReaderGone)) throw error;
    });
    return problems.length === 0 ? EXIT.done : EXIT.damaged;
  } finally {
    await db.close();
  }
}

/** Prints what was found of so much that was read. */
async function tell(
  out: Output,
  problems: readonly Problem[],
  { runs, items }: { readonly runs: number; readonly items: number },
): Promise<void> {
  const valid = problems.length === 0;
  if (out.json) return out.document({ valid, runs, items, problems: problems.map((it) => ({ ...it })) });
  for (const { run, part, problem } of problems) {
    await out.line(`${run === null ? "" : `${printable(run)}: `}${part}: ${printable(problem)}`);
  }
  const verdict = valid ? "valid" : `damaged: ${count(problems.length, "problem")}`;
  await out.line(`${verdict}: ${count(runs, "run")}, ${count(items, "item")} read`);
}

/** Looks at everything in a run; how many items could be read. */
function verifyRun(db: Database, id: string, problems: Problem[]): number {
  const note = (part: string, problem: string): number => problems.push({ run: id, part, problem });
  const { events, graph } = db.run(id);
  let items = 0;
  for (const [part, list] of Object.entries(partsOf(db, id))) {
    attempt(part, note, () => {
      for (const _ of list()) items++;
    });
  }
  attempt("events", note, () => {
    const { valid, reason, firstInvalid } = events.verify();
    if (!valid)
      note("events", `${reason ?? "not valid"}${firstInvalid === undefined ? "" : ` (from ${firstInvalid} on)`}`);
  });
  attempt("graph", note, () => {
    for (const problem of graph.verify().problems) note("graph", problem);
  });
  return items;
}

/** Damage that a look stumbles over is a finding. */
function attempt(part: string, note: (part: string, problem: string) => void, look: () => void): void {
  try {
    look();
  } catch (error) {
    if (!HoldfastError.is(error, "CORRUPTION")) throw error;
    note(part, error.message);
  }
}
