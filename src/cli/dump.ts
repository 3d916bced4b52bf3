/**
 * `holdfast dump`: everything, as lines of JSON that any tool can read. What `holdfast import` takes is an export, not this.
 */
import { type Call, type Command, READING_OPTIONS } from "./command.js";
import { EXIT, type ExitCode } from "./exit-codes.js";
import { noRun } from "./inspect.js";
import { partsOf } from "./items.js";
import { openToRead } from "./opening.js";

export const dumpCommand: Command = {
  name: "dump",
  operands: ["DIR"],
  summary: "everything as lines of JSON, one for each item",
  details: [
    "Reads beside a live owner. Always JSON, with or without --json: each line has the run, what it is in (info, kv, state,",
    "event, trace, index, node, edge) and the item. For moving a database use export and import, which keep all of it.",
  ],
  options: {
    run: { type: "string", multiple: true, value: "RUN", help: "only this run; may be given again" },
    ...READING_OPTIONS,
  },
  run: dump,
};

async function dump(call: Call): Promise<ExitCode> {
  const { out } = call;
  const directory = call.operand(0);
  const db = await openToRead(directory, out, call.flag("salvage"));
  try {
    const there = db.runs.ids();
    const ids = [...new Set(call.texts("run") ?? there)];
    for (const id of ids) if (!there.includes(id)) throw noRun(id);
    for (const [at, id] of ids.entries()) {
      out.progress(`run ${at + 1} of ${ids.length}`);
      for (const items of Object.values(partsOf(db, id)))
        for (const item of items()) await out.item({ run: id, ...item });
    }
  } finally {
    await db.close();
  }
  return EXIT.done;
}
