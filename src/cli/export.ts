/**
 * `holdfast export`: runs as one stream of bytes, which `holdfast import` and `Database.import` take on every platform.
 */
import { closeSync, existsSync, fsyncSync, linkSync, openSync, realpathSync, renameSync } from "node:fs";
import { dirname } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { type Call, type Command, READING_OPTIONS } from "./command.js";
import { EXIT, type ExitCode } from "./exit-codes.js";
import { openToRead } from "./opening.js";
import { fileFailure } from "./system-errors.js";
import { withTemporary } from "./temporary.js";
import { bytes, count, printable } from "./text.js";
import { writeWholly } from "./whole-write.js";

export const exportCommand: Command = {
  name: "export",
  operands: ["DIR", "[FILE]"],
  summary: "runs as one file or stream, for import on any platform",
  details: [
    "Reads beside a live owner: what is exported is of one instant. Without FILE, or with -, the bytes go to standard output,",
    "which may not be a terminal, and nothing else does. FILE is there whole and synced, or not at all; never in DIR itself.",
  ],
  options: {
    run: { type: "string", multiple: true, value: "RUN", help: "only this run; may be given again" },
    force: { type: "boolean", help: "replace FILE if it is there" },
    ...READING_OPTIONS,
  },
  run: runExport,
};

async function runExport(call: Call): Promise<ExitCode> {
  const { out } = call;
  const directory = call.operand(0);
  const file = call.operandIfGiven(1) ?? "-";
  if (file === "-" && out.isTerminal) {
    throw call.misused("An export is bytes, and standard output is a terminal: name a FILE, or lead it into a pipe");
  }
  if (file !== "-") refuseWithin(call, directory, file);
  const db = await openToRead(directory, out, call.flag("salvage"));
  try {
    const runs = call.texts("run");
    let sum = 0;
    const pieces = counted(db.export({ runs }), (sofar) => {
      sum = sofar;
      out.progress(`export: ${bytes(sofar)}`);
    });
    if (file === "-") {
      for await (const piece of pieces) await out.bytes(piece);
      return EXIT.done;
    }
    await writeWhole(file, call.flag("force"), pieces);
    const number = runs === undefined ? db.runs.ids().length : new Set(runs).size;
    if (out.json) await out.document({ file, bytes: sum, runs: number, version: db.version });
    else await out.line(`${printable(file)}: ${count(number, "run")}, ${bytes(sum)}, at version ${db.version}`);
  } finally {
    await db.close();
  }
  return EXIT.done;
}

/** A database's directory is its own: an export by the name of a segment would take that one's place. */
function refuseWithin(call: Call, directory: string, file: string): void {
  const [own, place] = [realPath(directory), realPath(dirname(file))];
  if (own === undefined || own !== place) return;
  throw call.misused(
    `${printable(file)} is in the directory of the database, where only the database's own files may be; name a FILE elsewhere`,
  );
}

/** `undefined` where there is nothing, or nothing that may be looked at. */
function realPath(path: string): string | undefined {
  try {
    return realpathSync.native(path);
  } catch {
    return undefined;
  }
}

/** The same pieces; `onBytes` is told how many bytes have gone by. */
async function* counted(
  pieces: AsyncIterable<Uint8Array>,
  onBytes: (bytes: number) => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  let sum = 0;
  for await (const piece of pieces) {
    sum += piece.length;
    onBytes(sum);
    yield piece;
  }
}

/** Writes a file beside its place, syncs it, and puts it there. */
async function writeWhole(file: string, force: boolean, pieces: AsyncIterable<Uint8Array>): Promise<void> {
  const fill = async (descriptor: number): Promise<void> => {
    for await (const piece of pieces) {
      writeWholly(descriptor, piece);
      await turn();
    }
    fsyncSync(descriptor);
  };
  try {
    if (!force && existsSync(file)) throw Object.assign(new Error("there is one"), { code: "EEXIST" });
    await withTemporary(dirname(file), fill, (temporary) => {
      if (force || !linked(temporary, file)) renameSync(temporary, file);
    });
    syncDirectory(dirname(file));
  } catch (error) {
    throw fileFailure(file, error);
  }
}

/** A link, unlike a rename, never takes the place of what has come there meanwhile; not every file system has them. */
function linked(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as { readonly code?: unknown }).code === "EEXIST") throw error;
    return false;
  }
}

/** Makes the file's name durable, where a directory can be synced. */
function syncDirectory(directory: string): void {
  try {
    const descriptor = openSync(directory, "r");
    try {
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  } catch {
    // Not on Windows, where a directory is no file; the content is synced all the same.
  }
}
