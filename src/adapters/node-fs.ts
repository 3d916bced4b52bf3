/**
 * One storage over `node:fs` for Node, Deno and Bun: a directory per database, a file per segment and per checkpoint.
 *
 *     000000000001.log      a segment; written under its name + ".tmp", synced, renamed, the directory synced
 *     000000000003.ckp      a checkpoint, written in the same way
 *     lock.7, *.sock        who owns the directory: `node-fs-lock.ts`
 *     *.log.tmp, *.ckp.tmp  left over from something that did not finish; the next owner removes it, and nothing of others
 *
 * What it keeps true:
 *  - importing it touches nothing of `node:*`: built-in modules are looked up at `open`, so bundlers may see this file;
 *  - how bytes come to the disk is `node-fs-session.ts`, where the directory comes from `node-fs-storage.ts`.
 */

import { HoldfastError } from "../errors.js";
import { acquireLock, isNewest } from "./node-fs-lock.js";
import { platform } from "./node-fs-platform.js";
import { FileSession } from "./node-fs-session.js";
import { FileStorage, filesCapabilities } from "./node-fs-storage.js";
import type { JoinTicket, Storage, StorageCapabilities, StorageSession } from "./storage.js";

const SEGMENT_BYTES_TARGET = 64 * 1024 * 1024;

/** Options of {@link nodeFs}. */
export interface NodeFsOptions {
  /** A segment that has reached this many bytes is closed and a new one begun; 64 MiB if left out. */
  readonly segmentBytesTarget?: number | undefined;
  /**
   * Take the database over although it cannot be proved that its last owner is dead (another machine over a network file
   * system, for instance). Does nothing against an owner that answers. Two owners at once damage the database.
   */
  readonly takeOver?: boolean | undefined;
}

/**
 * A storage in a directory, for Node, Deno and Bun. The directory and its parents are made when it is opened.
 * @param path the directory; relative paths are resolved when the storage is opened
 * @throws HoldfastError `INVALID_ARGUMENT` for an empty path or a target that is not a positive integer
 */
export function nodeFs(path: string, options: NodeFsOptions = {}): Storage {
  if (typeof path !== "string" || path === "" || path.includes("\0")) {
    throw new HoldfastError("INVALID_ARGUMENT", "nodeFs: the path must be a non-empty string without NUL characters.");
  }
  const target = options.segmentBytesTarget ?? SEGMENT_BYTES_TARGET;
  if (!Number.isSafeInteger(target) || target < 1) {
    throw new HoldfastError(
      "INVALID_ARGUMENT",
      `nodeFs: segmentBytesTarget must be a positive integer, not ${target}.`,
    );
  }
  const takeOver = options.takeOver === true;
  return new FileStorage(path, target, {
    platform,
    own: (node, directory, signal) => acquireLock(node, directory, { takeOver, signal }),
  });
}

/**
 * A session of another worker over a directory that is open: it appends and syncs by descriptors of its own. Ownership is the
 * first worker's, and ends with that one: then it goes on until somebody else takes over.
 */
export function joinFiles(ticket: JoinTicket): {
  readonly capabilities: StorageCapabilities;
  readonly session: StorageSession;
} {
  const node = platform();
  const { path, epoch } = ticket;
  const ownership = {
    epoch,
    isAnothers: true,
    isStillOwner: () => isNewest(node, path, epoch),
    release: () => Promise.resolve(),
  };
  const session = new FileSession(node, ticket.path, ownership, undefined, ticket.segmentBytesTarget);
  return { capabilities: filesCapabilities(ticket.segmentBytesTarget), session };
}
