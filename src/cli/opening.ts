/**
 * How a command comes to a database: read-only, which is safe beside a live owner and takes no lock, or as its owner, which
 * is `LOCKED` while another lives. Neither ever makes a database where there is none.
 */
import { nodeFs } from "../adapters/node-fs.js";
import { Database, HoldfastError, type RecoveryProgress } from "../index.js";
import type { Output } from "./output.js";
import { bytes, count, printable } from "./text.js";

/** Files of one kind. */
export interface FileUse {
  readonly files: number;
  readonly bytes: number;
}

/** What a database takes in its directory. */
export interface DirectoryUse {
  readonly segments: FileUse;
  readonly checkpoints: FileUse;
  /** Changes whenever something was written: number and length of every file. */
  readonly mark: string;
}

function noDatabase(directory: string, why: string, cause?: unknown): HoldfastError {
  return new HoldfastError(
    "NOT_FOUND",
    `There is no database in ${printable(directory)}: ${why}. Name the directory that Database.open was given.`,
    { cause, details: { path: directory } },
  );
}

/**
 * Looks at a database's files, without reading them.
 * @throws HoldfastError `NOT_FOUND` where there is no database, `STORE_FAILED`
 */
export async function directoryUse(directory: string): Promise<DirectoryUse> {
  const session = await nodeFs(directory)
    .open({ readOnly: true })
    .catch((error: unknown) => {
      throw HoldfastError.is(error, "NOT_FOUND") ? noDatabase(directory, "the directory does not exist", error) : error;
    });
  try {
    const [segments, checkpoints] = [await session.segments(), await session.checkpoints()];
    if (segments.length + checkpoints.length === 0) {
      throw noDatabase(directory, "the directory has neither a log nor a checkpoint in it");
    }
    const sum = (files: typeof segments): FileUse => ({
      files: files.length,
      bytes: files.reduce((total, { byteLength }) => total + byteLength, 0),
    });
    return { segments: sum(segments), checkpoints: sum(checkpoints), mark: JSON.stringify([segments, checkpoints]) };
  } finally {
    await session.close();
  }
}

const SALVAGE_ADVICE = ' "holdfast export DIR FILE --salvage" gets out what stands before the damage.';
const BEYOND_SALVAGE =
  " --salvage gets nothing out of it: that reads the log up to its damage, and needs the checkpoint whole.";

/** The same failure with something before and behind its message. */
export function explained(error: HoldfastError, before: string, behind: string): HoldfastError {
  const { code, message, details } = error;
  return new HoldfastError(code, `${before}${message}${behind}`, { cause: error, details });
}

/** Tells somebody who looks on how far opening has come. */
export function progressOf(out: Output): (progress: RecoveryProgress) => void {
  return ({ phase, bytesDone, bytesTotal }) => {
    const of = bytesTotal === undefined ? "" : ` of ${bytes(bytesTotal)}`;
    out.progress(`${phase}: ${bytes(bytesDone)}${of}`);
  };
}

/** Whether a file of the database is damaged, or could not be read. */
function isOfFile(error: unknown): error is HoldfastError {
  if (HoldfastError.is(error, "CORRUPTION")) return true;
  if (!HoldfastError.is(error, "STORE_FAILED")) return false;
  return error.details["segment"] !== undefined || error.details["checkpoint"] !== undefined;
}

/** Opens a database as it stands in its files, beside whoever owns it. */
export async function openToRead(directory: string, out: Output, salvage: boolean): Promise<Database> {
  await directoryUse(directory);
  const options = { path: directory, readOnly: true, salvage, onProgress: progressOf(out) };
  const db = await Database.open(options).catch((error: unknown) => {
    if (!isOfFile(error)) throw error;
    const isLost = salvage || error.details["checkpoint"] !== undefined;
    throw explained(error, "", isLost ? BEYOND_SALVAGE : SALVAGE_ADVICE);
  });
  out.clearProgress();
  const { salvaged } = db.storageInfo;
  if (salvaged !== undefined) {
    // Counted are all commits ever; what the log has not given came by the checkpoint.
    const checkpoint = db.stats().commits > salvaged.commits ? "the checkpoint and " : "";
    const read = `${checkpoint}${count(salvaged.commits, "commit")}`;
    out.notice("salvaged", `damaged; read ${read} before the damage: ${salvaged.damage.message}`);
  }
  return db;
}

/** Opens a database as its only owner. @throws HoldfastError `LOCKED` with the owner's details */
export async function openToOwn(directory: string, out: Output): Promise<Database> {
  await directoryUse(directory);
  const db = await Database.open({ path: directory, onProgress: progressOf(out) });
  out.clearProgress();
  return db;
}
