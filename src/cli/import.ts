/**
 * `holdfast import`: a new database from an export.
 */
import { createReadStream, fstatSync, openSync } from "node:fs";
import { Database, HoldfastError } from "../index.js";
import type { Call, Command } from "./command.js";
import { EXIT, type ExitCode } from "./exit-codes.js";
import { explained, progressOf } from "./opening.js";
import { fileFailure } from "./system-errors.js";
import { count, printable } from "./text.js";

export const importCommand: Command = {
  name: "import",
  operands: ["DIR", "[FILE]"],
  summary: "a new database in DIR from an export",
  details: [
    "DIR is made if it is not there, and must have no database in it; where this fails it has none afterwards. Without FILE, or",
    "with -, the export is read from standard input. Keys keep their versions.",
  ],
  options: {},
  run: runImport,
};

async function runImport(call: Call): Promise<ExitCode> {
  const { out } = call;
  const directory = call.operand(0);
  const file = call.operandIfGiven(1) ?? "-";
  if (file === "-" && process.stdin.isTTY === true) {
    throw call.misused("An export is bytes, and standard input is a terminal: name a FILE, or lead a pipe into it");
  }
  const source = file === "-" ? process.stdin : readable(file);
  const db = await Database.import(source as AsyncIterable<Uint8Array>, {
    path: directory,
    onProgress: progressOf(out),
  }).catch((error: unknown) => {
    const what = file === "-" ? "Standard input" : printable(file);
    throw HoldfastError.is(error, "CORRUPTION") ? explained(error, `${what} is no whole export: `, "") : error;
  });
  out.clearProgress();
  const report = { directory, runs: db.runs.ids().length, entries: db.totalCount(), version: db.version };
  await db.close();
  if (out.json) await out.document(report);
  else {
    const { runs, entries, version } = report;
    await out.line(
      `${printable(directory)}: ${count(runs, "run")}, ${count(entries, "entry", "entries")}, at version ${version}`,
    );
  }
  return EXIT.done;
}

/** Opened before the database is made, so that a file which is not there leaves no directory behind. */
function readable(file: string): AsyncIterable<Uint8Array> {
  try {
    const descriptor = openSync(file, "r");
    if (fstatSync(descriptor).isDirectory()) throw Object.assign(new Error("a directory"), { code: "EISDIR" });
    return createReadStream(file, { fd: descriptor });
  } catch (error) {
    throw fileFailure(file, error);
  }
}
