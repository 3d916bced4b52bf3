/**
 * A storage in a directory: made with its parents where it is missing, owned, and opened.
 *
 * What it keeps true: each entry that is made on the way is durable before anything is put into it; a directory that must not
 * be written to says how to go on.
 */

import { HoldfastError } from "../errors.js";
import { refuseAborted } from "./failures.js";
import { codeOf, failure, type Platform, syncDirectory } from "./node-fs-platform.js";
import { FileSession, type Ownership } from "./node-fs-session.js";
import type { Storage, StorageCapabilities, StorageOpenOptions, StorageSession } from "./storage.js";

const RECORD_BYTES_MAX = 64 * 1024 * 1024;
const DIRECTORY_MODE = 0o700;
const FORBIDDEN_CODES = new Set(["EROFS", "EACCES", "EPERM"]);

/** What a storage in a directory is built on: the system's files, and how one comes to own a directory. */
export interface FileSystem {
  platform(): Platform;
  own(node: Platform, directory: string, signal: AbortSignal | undefined): Promise<Ownership>;
}

/** What files can do. */
export function filesCapabilities(segmentBytesTarget: number): StorageCapabilities {
  const host = (globalThis as { process?: NodeJS.Process }).process;
  return {
    kind: "files",
    mechanism: host?.platform === "darwin" ? "fsync" : "fdatasync",
    persistent: true,
    syncAppend: true,
    syncFlush: true,
    asyncFlush: true,
    recordBytesMax: RECORD_BYTES_MAX,
    segmentBytesTarget,
  };
}

export class FileStorage implements Storage {
  readonly capabilities: StorageCapabilities;
  readonly #path: string;
  readonly #system: FileSystem;

  constructor(path: string, segmentBytesTarget: number, system: FileSystem) {
    this.capabilities = filesCapabilities(segmentBytesTarget);
    this.#path = path;
    this.#system = system;
  }

  async open(options: StorageOpenOptions): Promise<StorageSession> {
    const node = this.#system.platform();
    refuseAborted(options.signal);
    if (options.readOnly) return this.#openReadOnly(node);
    const directory = makeDirectory(node, this.#path);
    let lock: Ownership | undefined;
    try {
      lock = await this.#system.own(node, directory, options.signal);
      return new FileSession(node, directory, lock, options.onLockedOut, this.capabilities.segmentBytesTarget);
    } catch (error) {
      await lock?.release();
      throw openFailure(directory, error);
    }
  }

  #openReadOnly(node: Platform): StorageSession {
    try {
      return new FileSession(node, existingDirectory(node, this.#path), undefined, undefined, 0);
    } catch (error) {
      if (codeOf(error) !== "ENOENT") throw failure(`Cannot open ${this.#path} read-only`, error);
      throw new HoldfastError(
        "NOT_FOUND",
        `There is no database at ${this.#path}. Open without readOnly to make one.`,
        {
          cause: error,
          details: { path: this.#path },
        },
      );
    }
  }
}

/** Makes the directory with its parents, each entry durable; returns its path with links resolved. */
function makeDirectory(node: Platform, path: string): string {
  const directory = node.path.resolve(path);
  try {
    const missing = missingDirectories(node, directory);
    const [outermost] = missing;
    syncIfEmpty(node, outermost === undefined ? directory : node.path.dirname(outermost));
    for (const made of missing) {
      makeOne(node, made);
      syncDirectory(node, node.path.dirname(made));
    }
    return existingDirectory(node, directory);
  } catch (error) {
    if (codeOf(error) === "EEXIST" || codeOf(error) === "ENOTDIR") throw notDirectory(directory, error);
    throw openFailure(directory, error);
  }
}

/** Makes one directory, unless somebody else has made it meanwhile. */
function makeOne({ fs }: Platform, directory: string): void {
  try {
    fs.mkdirSync(directory, { mode: DIRECTORY_MODE });
  } catch (error) {
    if (codeOf(error) !== "EEXIST" || !fs.statSync(directory).isDirectory()) throw error;
  }
}

/**
 * What has to be made of a path, outermost first. One by one, because making a path with its parents in one call never
 * returns where the system says of a parent that it is missing and cannot be made.
 */
function missingDirectories(node: Platform, directory: string): string[] {
  const missing: string[] = [];
  for (let at = directory; !node.fs.existsSync(at) && at !== node.path.dirname(at); at = node.path.dirname(at)) {
    missing.unshift(at);
  }
  return missing;
}

/**
 * A directory with nothing in it may have been made by somebody who was killed before its entry was durable. One that cannot
 * be reached for that was made by somebody else.
 */
function syncIfEmpty(node: Platform, directory: string): void {
  if (node.fs.readdirSync(directory).length > 0) return;
  try {
    syncDirectory(node, node.path.dirname(directory));
  } catch (error) {
    if (!FORBIDDEN_CODES.has(codeOf(error))) throw error;
  }
}

function existingDirectory(node: Platform, path: string): string {
  const directory = node.fs.realpathSync(node.path.resolve(path));
  if (!node.fs.statSync(directory).isDirectory()) throw notDirectory(directory);
  return directory;
}

function notDirectory(path: string, cause?: unknown): HoldfastError {
  return new HoldfastError(
    "STORE_FAILED",
    `${path} is, or leads through, something that is not a directory. Name another.`,
    {
      cause,
      details: { path },
    },
  );
}

/** What the system said at `open`: as {@link failure}, but a directory that must not be written to says how to go on. */
function openFailure(directory: string, cause: unknown): HoldfastError {
  if (HoldfastError.is(cause)) return cause;
  if (FORBIDDEN_CODES.has(codeOf(cause))) {
    return new HoldfastError(
      "READ_ONLY",
      `Cannot write in ${directory} (${codeOf(cause)}). Open with { readOnly: true }, or make the directory writable.`,
      { cause, details: { path: directory } },
    );
  }
  return failure(`Cannot open ${directory}`, cause);
}
