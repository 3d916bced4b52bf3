/**
 * Where a database stands in the origin private file system: `holdfast/<encoded name>/`.
 *
 * A name is encoded so that every system's files can have it and no two names meet: lower-case letters, digits, `-` and `_`
 * are themselves, every other byte of its UTF-8 is `%` and two digits.
 */

import { HoldfastError } from "../errors.js";
import { storeFailed } from "./failures.js";
import { lockedByOther, OwnerLock } from "./shared-owner-lock.js";
import { forget } from "./shared-witness.js";

const ROOT = "holdfast";
const LOCK_PREFIX = "holdfast-opfs:";
/** What common file systems take for one name. */
const ENCODED_LENGTH_MAX = 240;
const PLAIN = /[a-z0-9_-]/;

/** The directory's name. @throws HoldfastError `INVALID_ARGUMENT` for a name that is empty, too long, or no well-formed text */
export function encodedName(name: string): string {
  if (typeof name !== "string" || name === "") throw refusal("the name must be a non-empty string");
  let encoded = "";
  for (const byte of new TextEncoder().encode(name)) {
    const character = String.fromCharCode(byte);
    encoded += PLAIN.test(character) ? character : `%${byte.toString(16).padStart(2, "0")}`;
  }
  if (/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(name)) {
    throw refusal("the name has a lone surrogate in it");
  }
  if (encoded.length > ENCODED_LENGTH_MAX) {
    throw refusal(`the name is too long; encoded it may have ${ENCODED_LENGTH_MAX} characters`);
  }
  return encoded;
}

function refusal(what: string): HoldfastError {
  return new HoldfastError("INVALID_ARGUMENT", `opfs: ${what}.`);
}

/** Whether files can be opened synchronously here: the interface is there in dedicated workers only, of some browsers. */
export function hasSyncHandles(): boolean {
  return "FileSystemSyncAccessHandle" in globalThis;
}

/** For where no database can be kept in this file system. */
export function unsupported(what: string, cause?: unknown): HoldfastError {
  return new HoldfastError(
    "UNSUPPORTED",
    `The origin private file system cannot keep a database here: there is ${what}. Use indexedDb from "holdfast/adapters/indexeddb", or nodeFs where there are files.`,
    { cause },
  );
}

/** For where the browser has the file system and does not give it out, as some do in private windows; else `undefined`. */
export function refused(error: unknown): HoldfastError | undefined {
  return nameOf(error) === "SecurityError" ? unsupported("no such file system in this window", error) : undefined;
}

/** The database's directory; `undefined` where it is not there and is not to be made. */
export async function directoryOf(name: string, create: boolean): Promise<FileSystemDirectoryHandle | undefined> {
  try {
    const top = await navigator.storage.getDirectory();
    const root = await top.getDirectoryHandle(ROOT, { create });
    return await root.getDirectoryHandle(encodedName(name), { create });
  } catch (error) {
    if (!create && nameOf(error) === "NotFoundError") return undefined;
    throw error;
  }
}

/** Whether there is a database of that name; `false` also where there is no such file system. */
export async function opfsExists(name: string): Promise<boolean> {
  try {
    return (await directoryOf(name, false)) !== undefined;
  } catch {
    return false;
  }
}

/** Whether a database can be made here that works synchronously. */
export async function canMakeOpfs(): Promise<boolean> {
  if (!hasSyncHandles()) return false;
  try {
    await navigator.storage.getDirectory();
    return true;
  } catch {
    return false;
  }
}

/**
 * Becomes the owner of the database of that name, whether there is one or not; nothing where there are no Web Locks.
 * @throws HoldfastError `LOCKED` while another one is
 */
export function own(name: string): Promise<OwnerLock | undefined> {
  return OwnerLock.acquire(LOCK_PREFIX + name, name);
}

/**
 * Deletes the database of that name with everything in it; without complaint where there is none. Whoever opens it meanwhile is
 * told that it is `LOCKED`.
 * @throws HoldfastError `LOCKED` while it is open somewhere, or being removed; `UNSUPPORTED`, `STORE_FAILED`
 */
export async function removeOpfs(name: string): Promise<void> {
  const entry = encodedName(name);
  const lock = await own(name);
  try {
    await removeEntry(entry);
    await forget("opfs", name);
  } catch (error) {
    if (HoldfastError.is(error)) throw error;
    if (nameOf(error) === "NoModificationAllowedError") throw lockedByOther(name, undefined, error);
    throw refused(error) ?? storeFailed(`Cannot remove ${name}`, error);
  } finally {
    await lock?.release();
  }
}

async function removeEntry(entry: string): Promise<void> {
  try {
    const top = await navigator.storage.getDirectory();
    const root = await top.getDirectoryHandle(ROOT);
    await root.removeEntry(entry, { recursive: true });
  } catch (error) {
    if (nameOf(error) !== "NotFoundError") throw error;
  }
}

/** The name of a platform's error: `"QuotaExceededError"`; empty for anything else. */
export function nameOf(error: unknown): string {
  if (typeof error !== "object" || error === null || !("name" in error)) return "";
  return String(error.name);
}
