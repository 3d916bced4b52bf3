/**
 * `holdfast import`: a new database from an export.
 */
import { createReadStream, existsSync, fstatSync, openSync, readdirSync, rmdirSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { Database, HoldfastError } from "../index.js";
import type { Call, Command } from "./command.js";
import { EXIT, type ExitCode } from "./exit-codes.js";
import { explained, progressOf } from "./opening.js";
import { readFailure } from "./system-errors.js";
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
  const missing = missingDirectories(directory);
  const db = await Database.import(source as AsyncIterable<Uint8Array>, {
    path: directory,
    onProgress: progressOf(out),
  }).catch((error: unknown) => {
    if (!HoldfastError.is(error, "LOCKED")) removeMade(missing);
    throw importFailure(file === "-" ? "Standard input" : file, error);
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

/** What is wrong with a stream, said of the stream: an export's header is that of a checkpoint, of which nobody here knows. */
function importFailure(name: string, error: unknown): unknown {
  if (!HoldfastError.is(error)) return readFailure(name, error);
  const { code, details } = error;
  if (code !== "CORRUPTION" && (code !== "UNSUPPORTED" || details["format"] === undefined)) return error;
  const what = printable(name);
  if (details["checkpoint"] === undefined) return explained(error, `${what} is no whole export: `, "");
  const message =
    code === "CORRUPTION"
      ? `${what} is no export of Holdfast, or it is damaged: it does not begin as one does. Name an export, or export again.`
      : `${what} is of format ${details["format"]}, or has more than this release reads. Import it with the release that wrote it, or a newer one.`;
  const { checkpoint: _, ...facts } = details;
  return new HoldfastError(code, message, { cause: error, details: facts });
}

/** A directory and those above it that are not there, the innermost first. */
function missingDirectories(directory: string): readonly string[] {
  const missing: string[] = [];
  for (let at = resolve(directory); !existsSync(at) && at !== dirname(at); at = dirname(at)) missing.push(at);
  return missing;
}

/** Removes the directories that a failed import has made, with the lock that stays behind every owner, if nothing else is in them. */
function removeMade(directories: readonly string[]): void {
  const [innermost] = directories;
  if (innermost === undefined) return;
  try {
    // Whoever has owned it since has left a higher number.
    if (String(readdirSync(innermost)) === "lock.1") rmSync(join(innermost, "lock.1"));
    for (const directory of directories) rmdirSync(directory);
  } catch {
    // It is as empty as an import needs it.
  }
}

/** Opened before the database is made, so that a file which is not there leaves no directory behind. */
function readable(file: string): AsyncIterable<Uint8Array> {
  try {
    const descriptor = openSync(file, "r");
    if (fstatSync(descriptor).isDirectory()) throw Object.assign(new Error("a directory"), { code: "EISDIR" });
    return createReadStream(file, { fd: descriptor });
  } catch (error) {
    throw readFailure(file, error);
  }
}
