/**
 * Who owns a directory: one owner among all processes, threads and copies of the package.
 *
 *     lock.7                the owner's record; the highest number owns, and that number is the epoch
 *     9f86d081.sock         the owner's socket; whether it lives is for `node-fs-owner.ts` to say
 *     lock.<nonce>.tmp      a record that does not have its name yet
 *
 * What it keeps true:
 *  - within a process the registry decides, before anything is waited for, so that a process cannot race itself;
 *  - a `lock.N` is created exclusively, and of all who see the same dead owner one creates it;
 *  - the highest `lock.N` is never unlinked, so two openers that both see a dead owner cannot remove each other's;
 *  - epochs only rise: a released lock stays until the next owner has a higher one.
 */

import { HoldfastError } from "../errors.js";
import { refuseAborted, storeFailed } from "./failures.js";
import {
  isDeadSocket,
  judge,
  listen,
  type OwnerRecord,
  type OwnerSocket,
  ownRecord,
  readRecord,
  type Verdict,
} from "./node-fs-owner.js";
import {
  codeOf,
  ignoreErrors,
  openFile,
  type Platform,
  rename,
  syncDirectory,
  TEMPORARY_SUFFIX,
  writeAll,
} from "./node-fs-platform.js";

const EPOCH_MAX = 2 ** 32 - 1;
const LOCK_PATTERN = /^lock\.([1-9]\d{0,9})$/;
/** What an owner writes before it has its name: a segment, a checkpoint, or a record of its own. */
const TEMPORARY_PATTERN = /^(\d{12}\.(log|ckp)|lock\.[0-9a-f]+)\.tmp$/;
/** What a link is refused with where there are none. */
const NO_LINKS = new Set(["EPERM", "ENOSYS", "ENOTSUP", "EOPNOTSUPP", "EINVAL", "EISDIR", "EMLINK", "UNKNOWN"]);
const LOCK_ATTEMPTS_MAX = 64;
const LOCK_READ_ATTEMPTS_MAX = 20;
const LOCK_READ_RETRY_MS = 25;
/** How a record ends before its owner has released it and after that, in as many bytes. */
const HELD_END = "false}\n";
const RELEASED_END = "true }\n";

/** What to do about an owner that is sure to live, and about any other. */
const CLOSE_IT = "Close it there first, or open with { readOnly: true }.";
const TAKE_IT_OVER = "If you are sure that this owner is dead, open with nodeFs(path, { takeOver: true }).";

/** Ownership of one directory, from {@link acquireLock} to `release`. */
export interface DirectoryLock {
  /** From 1 to 2³² − 1, and higher than that of any owner before. */
  readonly epoch: number;
  /** Whether nobody has taken over since, nor the directory been replaced by another of the same name. */
  isStillOwner(): boolean;
  /** Says that no proof of death is needed any more. The lock itself stays: the next epoch must be greater. */
  release(): Promise<void>;
}

/** Someone who wants to own a directory. */
interface Contender {
  readonly node: Platform;
  /** Its path with links resolved. */
  readonly directory: string;
  readonly record: OwnerRecord;
  /** Goes ahead against an owner that cannot be proved dead, but not against one that answers. */
  readonly takeOver: boolean;
  readonly signal: AbortSignal | undefined;
}

/**
 * Takes a directory.
 * @param directory its path with links resolved
 * @throws HoldfastError `LOCKED` if it has an owner that is not known to be dead, `TIMEOUT` if the signal has fired,
 *   and errors of the system as they come
 */
export async function acquireLock(
  node: Platform,
  directory: string,
  options: { readonly takeOver: boolean; readonly signal: AbortSignal | undefined },
): Promise<DirectoryLock> {
  const identity = directoryIdentity(node, directory);
  const holder = registry().get(identity);
  if (holder !== undefined && !isStale(node, directory, holder)) {
    throw locked(directory, holder.epoch, holder.record, "it is open in this process", CLOSE_IT);
  }
  const own = ownRecord(node);
  registry().set(identity, { record: own, epoch: 0 });
  let socket: OwnerSocket | undefined;
  let owner: Contender = { node, directory, record: own, ...options };
  try {
    await refuseLiving(owner);
    socket = await listen(node, directory, own.nonce);
    owner = { ...owner, record: { ...own, socket: socket?.name ?? "" } };
    const epoch = await contend(owner);
    registry().set(identity, { record: owner.record, epoch });
    await tidy(owner, epoch);
    return new HeldLock(owner, epoch, identity, socket);
  } catch (error) {
    // A lock that was made before something failed would keep this very process from trying again.
    let epoch = 0;
    ignoreErrors(() => {
      epoch = highestEpoch(node, directory);
    });
    await new HeldLock(owner, epoch, identity, socket).release();
    registry().delete(identity);
    throw error;
  }
}

class HeldLock implements DirectoryLock {
  readonly epoch: number;
  readonly #owner: Contender;
  readonly #identity: string;
  readonly #socket: OwnerSocket | undefined;

  constructor(owner: Contender, epoch: number, identity: string, socket: OwnerSocket | undefined) {
    this.epoch = epoch;
    this.#owner = owner;
    this.#identity = identity;
    this.#socket = socket;
  }

  isStillOwner(): boolean {
    const { node, directory, record } = this.#owner;
    if (highestEpoch(node, directory) !== this.epoch) return false;
    return readRecord(node, lockPath(node, directory, this.epoch))?.nonce === record.nonce;
  }

  async release(): Promise<void> {
    const { node, directory, record } = this.#owner;
    const temporary = temporaryPath(this.#owner);
    ignoreErrors(() => {
      if (!this.isStillOwner()) return;
      const path = lockPath(node, directory, this.epoch);
      try {
        writeExclusively(node, temporary, textOf({ ...record, released: true }));
        rename(node, temporary, path);
      } catch {
        releaseInPlace(node, path, record);
      }
    });
    ignoreErrors(() => node.fs.rmSync(temporary, { force: true }));
    await this.#socket?.close();
    const owners = registry();
    if (owners.get(this.#identity)?.record.nonce === record.nonce) owners.delete(this.#identity);
  }
}

/**
 * Whether nobody has come after the owner with an epoch, by two looks and no listing: whoever does makes the next number, and
 * removes lower ones only then.
 */
export function isNewest(node: Platform, directory: string, epoch: number): boolean {
  const { existsSync } = node.fs;
  return existsSync(lockPath(node, directory, epoch)) && !existsSync(lockPath(node, directory, epoch + 1));
}

/** An owner in this process; its epoch is 0 while it is still trying to become one. */
interface Registration {
  readonly record: OwnerRecord;
  readonly epoch: number;
}

/**
 * The directories that are open for writing in this process, by device and inode. Under a registered symbol, so that two
 * copies of the package share it. Worker threads have one each; the lock file stands between them.
 */
function registry(): Map<string, Registration> {
  const key = Symbol.for("holdfast.node-fs.owners");
  const holder = globalThis as { [key]?: Map<string, Registration> };
  holder[key] ??= new Map();
  return holder[key];
}

function directoryIdentity(node: Platform, directory: string): string {
  const stat = node.fs.statSync(directory, { bigint: true });
  return `${stat.dev}:${stat.ino}`;
}

/** A directory that was removed under its owner may have left its inode to another one, which nobody owns. */
function isStale(node: Platform, directory: string, holder: Registration): boolean {
  if (holder.epoch === 0) return false;
  try {
    return readRecord(node, lockPath(node, directory, holder.epoch))?.nonce !== holder.record.nonce;
  } catch (error) {
    return codeOf(error) === "ENOENT";
  }
}

/** Of all who see the same dead owner, the one that creates the next number wins; the others look again. */
async function contend(contender: Contender): Promise<number> {
  const { node, directory } = contender;
  for (let attempt = 0; attempt < LOCK_ATTEMPTS_MAX; attempt += 1) {
    refuseAborted(contender.signal);
    const epoch = (await refuseLiving(contender)) + 1;
    if (epoch > EPOCH_MAX) throw storeFailed(`${directory} has used up its epochs; export it and import it anew`);
    if (!createLock(contender, epoch)) continue;
    // Whoever slept since it looked may have made a number that was already used up and removed.
    if (highestEpoch(node, directory) === epoch) return epoch;
    ignoreErrors(() => node.fs.unlinkSync(lockPath(node, directory, epoch)));
  }
  throw new HoldfastError("LOCKED", `${directory}: others keep taking it. Try again.`, {
    details: { path: directory },
  });
}

/** Throws unless the highest lock's owner is gone; returns that lock's number, 0 if there is none. */
async function refuseLiving(contender: Contender): Promise<number> {
  const { node, directory, record, takeOver } = contender;
  const highest = highestEpoch(node, directory);
  if (highest === 0) return 0;
  let owner: OwnerRecord | undefined;
  try {
    owner = await readSettledRecord(node, lockPath(node, directory, highest));
  } catch (error) {
    // A lock that has gone has been overtaken by a higher one.
    if (codeOf(error) === "ENOENT") return refuseLiving(contender);
    throw error;
  }
  const verdict: Verdict =
    owner === undefined
      ? { state: "undecidable", why: "its record cannot be read" }
      : await judge(node, directory, owner, record);
  if (verdict.state === "dead") return highest;
  if (verdict.state === "answers") throw locked(directory, highest, owner, verdict.why, CLOSE_IT);
  if (!takeOver) throw locked(directory, highest, owner, verdict.why, TAKE_IT_OVER);
  return highest;
}

/** Where a file cannot be linked into place, its record follows its name by a moment. */
async function readSettledRecord(node: Platform, path: string): Promise<OwnerRecord | undefined> {
  let record = readRecord(node, path);
  for (let attempt = 0; record === undefined && attempt < LOCK_READ_ATTEMPTS_MAX; attempt += 1) {
    await new Promise((resolve) => setTimeout(resolve, LOCK_READ_RETRY_MS));
    record = readRecord(node, path);
  }
  return record;
}

function locked(
  directory: string,
  epoch: number,
  owner: OwnerRecord | undefined,
  why: string,
  advice: string,
): HoldfastError {
  const who =
    owner === undefined
      ? "an owner whose record cannot be read"
      : `process ${owner.pid} on ${owner.host} since ${owner.since}`;
  return new HoldfastError("LOCKED", `${directory} is owned by ${who}: ${why}. ${advice}`, {
    details: { path: directory, epoch, pid: owner?.pid, host: owner?.host, since: owner?.since, reason: why },
  });
}

/** Removes what dead owners left: temporaries, lower locks, sockets that nobody listens on. What others keep there stays. */
async function tidy(owner: Contender, epoch: number): Promise<void> {
  const { node, directory, record } = owner;
  let names: readonly string[] = [];
  ignoreErrors(() => {
    names = node.fs.readdirSync(directory);
  });
  for (const name of names) {
    const other = epochOf(name);
    const stale =
      TEMPORARY_PATTERN.test(name) ||
      (other > 0 && other < epoch) ||
      (name !== record.socket && (await isDeadSocket(node, directory, name)));
    if (stale) ignoreErrors(() => node.fs.rmSync(node.path.join(directory, name), { force: true }));
  }
}

function lockPath(node: Platform, directory: string, epoch: number): string {
  return node.path.join(directory, `lock.${epoch}`);
}

function temporaryPath({ node, directory, record }: Contender): string {
  return node.path.join(directory, `lock.${record.nonce}${TEMPORARY_SUFFIX}`);
}

/** The epoch of a lock by its file's name, 0 for any other file. */
function epochOf(name: string): number {
  return Number(LOCK_PATTERN.exec(name)?.[1] ?? 0);
}

/**
 * The highest lock, 0 if there is none. A listing that runs while locks come and go may miss both the one that goes and
 * the one that comes; so it counts only when the next one agrees.
 */
function highestEpoch(node: Platform, directory: string): number {
  let last = -1;
  for (;;) {
    const highest = Math.max(0, ...node.fs.readdirSync(directory).map(epochOf));
    if (highest === last) return highest;
    last = highest;
  }
}

function textOf(record: OwnerRecord): string {
  return `${JSON.stringify(record)}\n`;
}

/** Creates a lock that is whole as soon as it has its name, and only if nobody has that name; `false` if somebody has. */
function createLock(contender: Contender, epoch: number): boolean {
  const { node, directory } = contender;
  const path = lockPath(node, directory, epoch);
  const temporary = temporaryPath(contender);
  const text = textOf(contender.record);
  writeExclusively(node, temporary, text);
  try {
    node.fs.linkSync(temporary, path);
  } catch (error) {
    // A network file system that asks twice says that a name is taken when it was its own first attempt that took it.
    if (!isOwnLock(contender, path)) {
      // A new owner tidies temporaries away: whoever lost its own has lost the race.
      if (codeOf(error) === "EEXIST" || codeOf(error) === "ENOENT") return false;
      if (!hasNoLinks(node, codeOf(error))) throw error;
      try {
        writeExclusively(node, path, text);
      } catch (second) {
        if (codeOf(second) === "EEXIST") return false;
        throw second;
      }
    }
  } finally {
    ignoreErrors(() => node.fs.rmSync(temporary, { force: true }));
  }
  syncDirectory(node, directory);
  return true;
}

/**
 * Whether a file system, or what watches over it, has no links. Nothing else is a reason to write under the name itself: whoever
 * fails in that leaves a lock without a record, of which nobody can tell whether its owner lives.
 */
function hasNoLinks({ name }: Platform, code: string): boolean {
  return NO_LINKS.has(code) || (name === "android" && code === "EACCES");
}

function isOwnLock({ node, record }: Contender, path: string): boolean {
  try {
    return readRecord(node, path)?.nonce === record.nonce;
  } catch {
    return false;
  }
}

/**
 * Has a record say that its owner has released it, where a full disk has no room for another file: in as many bytes, and only if
 * it is as that owner has written it.
 */
function releaseInPlace(node: Platform, path: string, record: OwnerRecord): void {
  const held = textOf(record);
  if (!held.endsWith(HELD_END) || readText(node, path) !== held) return;
  const position = new TextEncoder().encode(held).byteLength - HELD_END.length;
  const fd = openFile(node, path, "write");
  try {
    writeAll(node, fd, new TextEncoder().encode(RELEASED_END), position, `Cannot release ${path}`);
    node.fs.fsyncSync(fd);
  } finally {
    node.fs.closeSync(fd);
  }
}

function readText(node: Platform, path: string): string {
  const fd = openFile(node, path, "read");
  try {
    return node.fs.readFileSync(fd, "utf8");
  } finally {
    node.fs.closeSync(fd);
  }
}

function writeExclusively(node: Platform, path: string, text: string): void {
  const fd = openFile(node, path, "create");
  let whole = false;
  try {
    writeAll(node, fd, new TextEncoder().encode(text), 0, `Cannot write ${path}`);
    node.fs.fsyncSync(fd);
    whole = true;
  } finally {
    node.fs.closeSync(fd);
    if (!whole) ignoreErrors(() => node.fs.rmSync(path, { force: true }));
  }
}
