/**
 * Where Node, Deno and Bun, and Linux, macOS and Windows differ under `node-fs.ts`, and nothing that knows a segment or a lock.
 *
 * What it keeps true:
 *  - importing it touches nothing of `node:*`: built-in modules are looked up when asked for, so bundlers may see this file;
 *  - a write is whole or says how much of it is in the file, and its bytes are not copied on the way;
 *  - a file is never reached through a link, where the system can refuse that.
 */

import { HoldfastError } from "../errors.js";
import { storageFull, storeFailed } from "./failures.js";

/** Ends the name of what is not finished: whoever takes the directory next removes it. */
export const TEMPORARY_SUFFIX = ".tmp";

/** The most that one call reads or writes: some systems refuse 2 GiB and more. */
export const TRANSFER_BYTES_MAX = 2 ** 30;
const RENAME_ATTEMPTS_MAX = 10;
/** So often one call is made again that was interrupted before it did anything. */
export const INTERRUPTIONS_MAX = 1_000;
const FILE_MODE = 0o600;

/** The system's codes for want of room, of quota, and of what one file may hold. */
const ROOM_CODES = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);

const NAMED_CODE = /^E[A-Z0-9]+$/;
const NUMBER_IN_MESSAGE = /\(os error (\d+)\)$/;
/** Of the codes that are acted upon, those that a runtime may leave without a name; a quota's number differs on macOS. */
const CODES_BY_NUMBER: ReadonlyMap<number, string> = new Map([
  [4, "EINTR"],
  [27, "EFBIG"],
  [28, "ENOSPC"],
  [69, "EDQUOT"],
  [122, "EDQUOT"],
]);

export interface Platform {
  readonly fs: typeof import("node:fs");
  readonly net: typeof import("node:net");
  readonly os: typeof import("node:os");
  readonly path: typeof import("node:path");
  readonly name: string;
  readonly pid: number;
  /** Throws `ESRCH` if there is no such process, and does nothing to it if there is. */
  readonly kill: (pid: number) => void;
}

export function platform(): Platform {
  const host = (globalThis as { process?: NodeJS.Process }).process;
  if (typeof host?.getBuiltinModule !== "function") {
    throw new HoldfastError(
      "UNSUPPORTED",
      "nodeFs: this platform has no node:fs. It needs Node 20.16, Deno 2 or Bun 1.2, or newer; in a browser use indexedDb.",
    );
  }
  return {
    fs: host.getBuiltinModule("node:fs"),
    net: host.getBuiltinModule("node:net"),
    os: host.getBuiltinModule("node:os"),
    path: host.getBuiltinModule("node:path"),
    name: host.platform,
    pid: host.pid,
    kill: (pid) => host.kill(pid, 0),
  };
}

/**
 * The system's code of an error, `""` if it has none. Node has no name for a quota, and Deno names only some codes: there the
 * system's number tells, which Deno gives in its message.
 */
export function codeOf(error: unknown): string {
  if (typeof error !== "object" || error === null) return "";
  const { code, errno, message } = error as Readonly<Record<string, unknown>>;
  if (typeof code === "string" && NAMED_CODE.test(code)) return code;
  const told = typeof errno === "number" ? Math.abs(errno) : Number(NUMBER_IN_MESSAGE.exec(String(message))?.[1]);
  return CODES_BY_NUMBER.get(told) ?? (typeof code === "string" ? code : "");
}

/**
 * The system's code for a socket that refuses. Where Bun connects, it says `ECONNREFUSED` also of a socket at which too many
 * wait (`EAGAIN`); where it fetches through one, it tells the two apart.
 */
export async function refusalOf(path: string, msMax: number): Promise<string> {
  if (!("Bun" in globalThis)) return "ECONNREFUSED";
  try {
    await fetch("http://localhost/", { unix: path, signal: AbortSignal.timeout(msMax) } as RequestInit);
    return "";
  } catch (error) {
    return codeOf(error);
  }
}

/** What the system said, in the words of every storage; what is in them already stays. */
export function failure(what: string, cause: unknown, appendedBytes = 0): HoldfastError {
  if (HoldfastError.is(cause)) return cause;
  return ROOM_CODES.has(codeOf(cause)) ? storageFull(what, appendedBytes, cause) : storeFailed(what, cause);
}

export function ignoreErrors(action: () => void): void {
  try {
    action();
  } catch {
    // Tidying up is never worth failing for: what stays behind is tidied by the next owner.
  }
}

/** Opens a file itself, never what a link in its place leads to. `"create"` throws `EEXIST` if the name is taken. */
export function openFile(node: Platform, path: string, how: "read" | "write" | "create"): number {
  const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = node.fs.constants;
  const flags = { read: O_RDONLY, write: O_WRONLY, create: O_WRONLY | O_CREAT | O_EXCL }[how];
  return node.fs.openSync(path, flags | (O_NOFOLLOW ?? 0), FILE_MODE);
}

/** Continues short writes, which Deno and Bun leave to the caller, and which announce a full disk on every runtime. */
export function writeAll(node: Platform, fd: number, bytes: Uint8Array, position: number, what: string): void {
  let done = 0;
  let interruptions = 0;
  while (done < bytes.byteLength) {
    let count: number;
    try {
      const atMost = Math.min(bytes.byteLength - done, TRANSFER_BYTES_MAX);
      count = node.fs.writeSync(fd, bytes, done, atMost, position + done);
    } catch (error) {
      if (codeOf(error) === "EINTR" && interruptions++ < INTERRUPTIONS_MAX) continue;
      throw failure(what, error, Math.max(done, bytesBeyond(node, fd, position, bytes.byteLength)));
    }
    if (count === 0) throw storeFailed(`${what}: the system wrote nothing and gave no reason`);
    done += count;
    interruptions = 0;
  }
}

/** How much of a write that failed is in the file all the same: Deno writes what fits, and then only says that it failed. */
function bytesBeyond(node: Platform, fd: number, position: number, atMost: number): number {
  try {
    return Math.min(Math.max(node.fs.fstatSync(fd).size - position, 0), atMost);
  } catch {
    return 0;
  }
}

/** On macOS only `fsync` asks the drive itself to flush (`F_FULLFSYNC`). */
export function syncDataSync(node: Platform, fd: number): void {
  if (node.name === "darwin") node.fs.fsyncSync(fd);
  else node.fs.fdatasyncSync(fd);
}

/** {@link syncDataSync} without blocking the event loop. */
export function syncData(node: Platform, fd: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (error: unknown): void => (error ? reject(error) : resolve());
    if (node.name === "darwin") node.fs.fsync(fd, done);
    else node.fs.fdatasync(fd, done);
  });
}

/** Syncs a file, or a directory, with everything that the system keeps about it. */
export function syncFile(node: Platform, fd: number): Promise<void> {
  return new Promise((resolve, reject) => node.fs.fsync(fd, (error) => (error ? reject(error) : resolve())));
}

/** Windows has no way to sync a directory; there the rename itself is journalled. */
export function openDirectory(node: Platform, directory: string): number | undefined {
  return node.name === "win32" ? undefined : node.fs.openSync(directory, node.fs.constants.O_RDONLY);
}

export function syncDirectory(node: Platform, directory: string): void {
  const fd = openDirectory(node, directory);
  if (fd === undefined) return;
  try {
    node.fs.fsyncSync(fd);
  } finally {
    node.fs.closeSync(fd);
  }
}

/** On Windows a virus scanner or an indexer may hold a file for a moment, and the rename is refused. */
export function rename(node: Platform, from: string, to: string): void {
  for (let attempt = 1; ; attempt += 1) {
    try {
      node.fs.renameSync(from, to);
      return;
    } catch (error) {
      const transient = node.name === "win32" && ["EPERM", "EACCES", "EBUSY"].includes(codeOf(error));
      if (!transient || attempt === RENAME_ATTEMPTS_MAX) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2 ** attempt);
    }
  }
}
