/**
 * Opening a database in the origin private file system, in a dedicated worker: owned, looked through, and its files opened.
 *
 * What it keeps true:
 *  - the Web Lock comes first and is never waited for; then the owner file, whose handle only one can have. That of a tab
 *    that has just died may be busy for a moment, which is waited for, since the lock says that nobody lives;
 *  - the epoch is above every one that is known: in the owner file, in the files' headers, beside the database;
 *  - files without a valid header are left-overs: empty ones become spares, others are removed.
 */

import type { HoldfastError } from "../errors.js";
import { refuseAborted, storeFailed } from "./failures.js";
import {
  decodeHeader,
  type FileHeader,
  failure,
  HEADER_BYTES,
  ignoreErrors,
  isDataFile,
  lengthOf,
  OWNER_FILE,
  openHandle,
  readAll,
  readEpoch,
  type SyncHandle,
  writeEpoch,
} from "./opfs-files.js";
import { directoryOf, hasSyncHandles, nameOf, own, refused, unsupported } from "./opfs-place.js";
import { OpfsSession, type StoredFile } from "./opfs-session.js";
import { SPARES, type Spare, SparePool } from "./opfs-spares.js";
import { lockedByOther, type OwnerLock, persistedHint } from "./shared-owner-lock.js";
import { recall, remember } from "./shared-witness.js";
import type { StorageOpenOptions } from "./storage.js";

const EPOCH_MAX = 2 ** 32 - 1;

/** Takes ownership of the database of that name, which is made where it is missing. */
export async function openOwned(name: string, options: StorageOpenOptions): Promise<OpfsSession> {
  if (!hasSyncHandles()) throw unsupported("no synchronous access to its files in this browser");
  const handles: SyncHandle[] = [];
  let lock: OwnerLock | undefined;
  try {
    lock = await own(name);
    refuseAborted(options.signal);
    return await openLocked(name, lock, handles, options);
  } catch (error) {
    for (const handle of handles) ignoreErrors(() => handle.close());
    await lock?.release();
    throw openFailure(name, error);
  }
}

async function openLocked(
  name: string,
  lock: OwnerLock | undefined,
  handles: SyncHandle[],
  options: StorageOpenOptions,
): Promise<OpfsSession> {
  const directory = await directoryOf(name, true);
  if (directory === undefined) throw storeFailed(`The directory of ${name} could not be made`);
  const open = async (file: FileSystemFileHandle): Promise<SyncHandle> => {
    const handle = await openHandle(file);
    handles.push(handle);
    return handle;
  };
  const owner = await open(await directory.getFileHandle(OWNER_FILE, { create: true }));
  const found = await lookThrough(directory, open);
  const known = await recall("opfs", name);
  const epoch = Math.max(readEpoch(owner), known, ...found.files.map((file) => file.epoch)) + 1;
  if (epoch > EPOCH_MAX) throw storeFailed("The database has used up its epochs; export it and import it anew");
  writeEpoch(owner, epoch);
  const spares = new SparePool(directory, epoch, found.spares);
  try {
    await spares.refill();
    refuseAborted(options.signal);
    const persisted = await persistedHint();
    const onFirstFile = (): Promise<void> => remember("opfs", name, epoch);
    if (found.files.length > 0) await onFirstFile();
    const vanished = found.files.length === 0 && known > 0 ? { epoch: known } : undefined;
    const { onLockedOut } = options;
    const { files } = found;
    return new OpfsSession({
      directory,
      owner,
      lock,
      epoch,
      files,
      spares,
      persisted,
      vanished,
      onLockedOut,
      onFirstFile,
    });
  } catch (error) {
    await spares.close();
    throw error;
  }
}

type FoundFile = StoredFile & { readonly epoch: number };

/** Opens every file that is valid, keeps some that are empty, and removes what is left over. */
async function lookThrough(
  directory: FileSystemDirectoryHandle,
  open: (file: FileSystemFileHandle) => Promise<SyncHandle>,
): Promise<{ files: FoundFile[]; spares: Spare[] }> {
  const files: FoundFile[] = [];
  const spares: Spare[] = [];
  const entries: [string, FileSystemFileHandle][] = [];
  for await (const [name, entry] of directory.entries()) {
    if (isDataFile(name) && entry.kind === "file") entries.push([name, entry as FileSystemFileHandle]);
  }
  for (const [name, entry] of entries) {
    const handle = await open(entry);
    const fileBytes = handle.getSize();
    const bytes = new Uint8Array(HEADER_BYTES);
    const header = decodeHeader(bytes.subarray(0, readAll(handle, bytes, 0)));
    if (header !== undefined) files.push(storedFile(name, handle, header, fileBytes, files));
    else if (fileBytes === 0 && spares.length < SPARES) spares.push({ name, handle });
    else {
      handle.close();
      await directory.removeEntry(name);
    }
  }
  return { files, spares };
}

function storedFile(
  name: string,
  handle: SyncHandle,
  header: FileHeader,
  fileBytes: number,
  files: readonly FoundFile[],
): FoundFile {
  const { kind, number, epoch } = header;
  if (files.some((file) => file.kind === kind && file.number === number)) {
    throw storeFailed(`Two files say that they are ${kind} ${number}. Restore the database from a copy`);
  }
  const byteLength = lengthOf(header, fileBytes);
  return { name, handle, kind, number, epoch, byteLength, syncedBytes: byteLength };
}

function openFailure(name: string, cause: unknown): HoldfastError {
  if (nameOf(cause) === "NoModificationAllowedError") return lockedByOther(name, undefined, cause);
  return refused(cause) ?? failure(`Cannot open the database ${name} in the origin private file system`, cause);
}
