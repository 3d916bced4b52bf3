/**
 * A POSIX file system in memory, under the file adapter that ships: what reads see, what is on the platter, and every way
 * in which the two can come apart.
 *
 *     a file         cache     what reads see
 *                    platter   what is durable, its length included
 *                    blocks    what was written since, block by block, oldest first
 *                    lengths   how long it was made since
 *     a directory    entries, platter, and the creations, renames and removals since, in order
 *
 * What it keeps true:
 *  - a node is never changed, only replaced: so the state of the disk at any call is kept by keeping one map;
 *  - `fsync` and `fdatasync` of a file make its data and length durable, as they were when the call began, and never its
 *    name; only a sync of the directory makes entries durable;
 *  - after a power cut each unsynced block is as it was, as it was last written, as it was at any time between, or torn
 *    between two of these, and in a file that grew also what another file had left in its place; each unsynced length and directory operation has happened or not; a rename is atomic, and may
 *    have happened before the data of the file that was renamed;
 *  - a sync that fails is reported once for each descriptor that was open then. What it covered of a file counts as clean
 *    from then on, although it never reaches the platter unless it is written again; what it covered of a directory is left
 *    to the next sync, for a journal that cannot be written ends the file system;
 *  - a killed process loses nothing that was written, and what was unsynced stays so.
 */
import { posix } from "node:path";
import { crc32 } from "node:zlib";
import { ignoreErrors, type Platform, syncDirectory } from "../../src/adapters/node-fs-platform.js";
import type { Ownership } from "../../src/adapters/node-fs-session.js";
import type { Chooser } from "./random.js";

/** One state of a block since it was durable. */
interface BlockChange {
  readonly sequence: number;
  readonly bytes: Uint8Array;
  /** A sync of it has failed: no later one takes it to the platter. */
  readonly isLost: boolean;
}

interface LengthChange {
  readonly sequence: number;
  readonly length: number;
  readonly isLost: boolean;
}

interface EntryChange {
  readonly sequence: number;
  readonly name: string;
  /** What the name leads to from then on; 0 for nothing. */
  readonly inode: number;
  /** The name that it had before, in a rename. */
  readonly from: string | undefined;
}

interface FileNode {
  readonly kind: "file";
  readonly cache: Uint8Array;
  readonly platter: Uint8Array;
  readonly blocks: ReadonlyMap<number, readonly BlockChange[]>;
  readonly lengths: readonly LengthChange[];
  readonly failedSyncs: number;
}

interface DirectoryNode {
  readonly kind: "directory";
  readonly entries: ReadonlyMap<string, number>;
  readonly platter: ReadonlyMap<string, number>;
  readonly changes: readonly EntryChange[];
  readonly failedSyncs: number;
}

type FsNode = FileNode | DirectoryNode;

/** The state of a disk. Nothing in it is ever changed. */
export interface Disk {
  readonly nodes: ReadonlyMap<number, FsNode>;
  readonly blockBytes: number;
  readonly sequence: number;
  /** How often the machine was started: an owner from before is dead. */
  readonly boots: number;
}

/** One call, as it was made. */
export interface FileCall {
  /** Its place among all calls of this process. */
  readonly index: number;
  readonly name: string;
  readonly path: string;
  readonly inode: number;
  /** Whether it may change what is on the disk. */
  readonly mutates: boolean;
}

/** How a call goes wrong. */
export interface Fault {
  /** The system's code; `""` for a write that is only short. */
  readonly code: string;
  /** How many bytes of a write get done, as a share of them from 0 to 1; other calls take effect all the same from 1 on. */
  readonly done?: number;
}

/** A sync under way. */
interface Sync {
  readonly finish: () => void;
}

interface Descriptor {
  readonly inode: number;
  readonly path: string;
  /** How many failed syncs of the node it has reported. */
  reported: number;
}

const ROOT = 1;
const FIRST_DESCRIPTOR = 3;
const O_RDONLY = 0;
const O_WRONLY = 1;
const O_CREAT = 64;
const O_EXCL = 128;
const O_NOFOLLOW = 131072;
/** Before that many bytes a write is not looked at in its middle. */
const MIDDLE_BYTES_LEAST = 2;
const PID = 4000;
/** The magic number of ext4: a disk that no other machine has mounted. */
const LOCAL_DISK = 0xef53;
/** Files that say who owns the directory: the shipped lock puts a random name and the time into them. */
/** One in so many unsynced blocks of a file that grew shows what was in that place of the disk before. */
const STALE_ONE_IN = 16;
const LOCK_FILE = /^lock\./;
const EPOCH = /^lock\.(\d+)$/;
const LOCK_PATH = /lock\.[^/]+$/;
const TEMPORARY = ".tmp";
/** Where the shipped lock keeps who is at work in this process. */
const OWNERS = Symbol.for("holdfast.node-fs.owners");

/** How many processes there were: each is another device to the registry of owners, and began at another time. */
let processes = 0;

const NO_CHANGES: readonly never[] = [];

function emptyDirectory(): DirectoryNode {
  return { kind: "directory", entries: new Map(), platter: new Map(), changes: NO_CHANGES, failedSyncs: 0 };
}

function emptyFile(): FileNode {
  const nothing = new Uint8Array(0);
  return { kind: "file", cache: nothing, platter: nothing, blocks: new Map(), lengths: NO_CHANGES, failedSyncs: 0 };
}

const NO_NETWORK = systemError("EAFNOSUPPORT", "socket", "");

function refuse(): never {
  throw NO_NETWORK;
}

/** What the system says of a file. */
class Status {
  readonly dev: number;
  readonly ino: number;
  readonly size: number;
  readonly #isFile: boolean;

  constructor(dev: number, ino: number, node: FsNode) {
    this.dev = dev;
    this.ino = ino;
    this.#isFile = node.kind === "file";
    this.size = node.kind === "file" ? node.cache.length : 0;
  }

  isFile(): boolean {
    return this.#isFile;
  }

  isDirectory(): boolean {
    return !this.#isFile;
  }
}

const partsOfPath = new Map<string, readonly string[]>();

function partsOf(path: string): readonly string[] {
  const known = partsOfPath.get(path);
  if (known !== undefined) return known;
  const parts = path.split("/").filter((part) => part !== "");
  partsOfPath.set(path, parts);
  return parts;
}

/** A disk with nothing on it. */
export function emptyDisk(blockBytes: number): Disk {
  return { nodes: new Map([[ROOT, emptyDirectory()]]), blockBytes, sequence: ROOT + 1, boots: 1 };
}

/** An error as the system makes them, without a stack: it is asked what it says, a million times. */
function systemError(code: string, call: string, path: string): Error {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  const error = new Error(`${code}: simulated, ${call} '${path}'`);
  Error.stackTraceLimit = stackTraceLimit;
  return Object.assign(error, { code, syscall: call, path });
}

/** One process at work on a disk. */
export class SimulatedFiles {
  /** Every call since the process began, where `keepsTrace` is set. */
  readonly trace: FileCall[] = [];
  keepsTrace = false;
  /** Told before a call that changes something takes effect, and in the middle of a write. */
  onBoundary: ((call: FileCall, isMiddle: boolean) => void) | undefined;
  /** Told after a file has changed what reads see of it. */
  onChange: ((path: string, inode: number, bytes: Uint8Array) => void) | undefined;
  /** Asked of every call how it is to go wrong. */
  fault: ((call: FileCall) => Fault | undefined) | undefined;
  /** Syncs of a process that synced a node again after that had failed. */
  readonly syncedAgain: string[] = [];
  /** How many more bytes fit. */
  room = Number.POSITIVE_INFINITY;
  /** Asynchronous syncs end by themselves, at once; otherwise by `step`. */
  isPrompt = true;
  readonly #nodes: Map<number, FsNode>;
  readonly #blockBytes: number;
  readonly #descriptors = new Map<number, Descriptor>();
  readonly #failed = new Set<number>();
  #sequence: number;
  readonly #boots: number;
  readonly #process = ++processes;
  #calls = 0;
  #nextDescriptor = FIRST_DESCRIPTOR;
  #isDead = false;
  #syncs: Sync[] = [];

  constructor(disk: Disk) {
    this.#nodes = new Map(disk.nodes);
    this.#blockBytes = disk.blockBytes;
    this.#sequence = disk.sequence;
    this.#boots = disk.boots;
  }

  /** The disk as it is now. */
  get disk(): Disk {
    return {
      nodes: new Map(this.#nodes),
      blockBytes: this.#blockBytes,
      sequence: this.#sequence,
      boots: this.#boots,
    };
  }

  /** How many calls were made. */
  get calls(): number {
    return this.#calls;
  }

  /** How many syncs are under way. */
  get syncsInFlight(): number {
    return this.#syncs.length;
  }

  /** Ends one of the syncs under way. */
  step(index: number): void {
    const [sync] = this.#syncs.splice(index, 1);
    sync?.finish();
  }

  /** Ends the process: whatever it still does fails and leaves no trace, and what is under way never ends. */
  die(): void {
    this.#isDead = true;
    this.#syncs = [];
    const owners = (globalThis as { [OWNERS]?: Map<string, unknown> })[OWNERS];
    for (const inode of this.#nodes.keys()) owners?.delete(`${this.#process}:${inode}`);
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  // What a storage is built on.

  platform(): Platform {
    return {
      fs: this.#fs() as unknown as Platform["fs"],
      net: { createServer: refuse } as unknown as Platform["net"],
      os: { hostname: () => "simulated" } as Platform["os"],
      path: posix as Platform["path"],
      name: "linux",
      pid: PID,
      kill: () => {},
    };
  }

  /**
   * Ownership in few calls, for disks that are opened by the hundred thousand. As after the shipped lock there is a higher
   * epoch for certain, the directory is synced, and what was left unfinished is gone; nobody else may come for the disk.
   */
  own(node: Platform, directory: string): Ownership {
    const { inode } = this.#nodeAt(directory);
    const found = this.#directory(inode);
    const epochs = [...found.entries.keys()].map((name) => Number(EPOCH.exec(name)?.[1] ?? 0));
    const epoch = Math.max(0, ...epochs) + 1;
    const lock = this.#sequence++;
    this.#nodes.set(lock, emptyFile());
    const name = `lock.${epoch}`;
    this.#nodes.set(inode, {
      ...found,
      entries: new Map(found.entries).set(name, lock),
      platter: new Map(found.platter).set(name, lock),
    });
    syncDirectory(node, directory);
    for (const left of found.entries.keys()) {
      if (left.endsWith(TEMPORARY)) ignoreErrors(() => node.fs.rmSync(posix.join(directory, left), { force: true }));
    }
    return { epoch, isStillOwner: () => true, release: async () => {} };
  }

  #fs(): object {
    return {
      constants: { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW },
      openSync: (path: string, flags: number) => this.#open(path, flags),
      closeSync: (fd: number) => this.#close(fd),
      readSync: (fd: number, into: Uint8Array, offset: number, length: number, position: number) =>
        this.#read(fd, into, offset, length, position),
      writeSync: (fd: number, from: Uint8Array, offset: number, length: number, position: number) =>
        this.#write(fd, from, offset, length, position),
      ftruncateSync: (fd: number, length: number) => this.#cut(fd, length),
      fsyncSync: (fd: number) => this.#sync("fsyncSync", fd),
      fdatasyncSync: (fd: number) => this.#sync("fdatasyncSync", fd),
      fsync: (fd: number, done: (error: unknown) => void) => this.#syncLater("fsync", fd, done),
      fdatasync: (fd: number, done: (error: unknown) => void) => this.#syncLater("fdatasync", fd, done),
      renameSync: (from: string, to: string) => this.#rename(from, to),
      linkSync: (from: string, to: string) => this.#link(from, to),
      unlinkSync: (path: string) => this.#remove(path, false),
      rmSync: (path: string, options?: { force?: boolean }) => this.#remove(path, options?.force === true),
      mkdirSync: (path: string) => this.#makeDirectory(path),
      readdirSync: (path: string) => this.#list(path),
      existsSync: (path: string) => this.#exists(path),
      realpathSync: (path: string) => this.#realPath(path),
      statSync: (path: string) => this.#stat("statSync", path, true),
      lstatSync: (path: string, options?: { throwIfNoEntry?: boolean }) =>
        this.#stat("lstatSync", path, options?.throwIfNoEntry !== false),
      fstatSync: (fd: number) => this.#statOf(fd),
      statfsSync: () => ({ type: LOCAL_DISK }),
      readFileSync: (file: number | string) => this.#readText(file),
      readlinkSync: () => "pid:[1]",
    };
  }

  // Calls.

  #refuseDead(name: string, path: string): void {
    if (this.#isDead) throw systemError("EIO", name, `${path} of a process that has died`);
  }

  /** Counts a call and asks how it goes; throws where it fails without having done anything. */
  #enter(name: string, path: string, inode: number, mutates: boolean): { call: FileCall; fault: Fault | undefined } {
    this.#refuseDead(name, path);
    const call: FileCall = { index: this.#calls++, name, path, inode, mutates };
    if (this.keepsTrace) this.trace.push(call);
    if (mutates) this.onBoundary?.(call, false);
    this.#refuseDead(name, path);
    const fault = this.fault?.(call);
    return { call, fault };
  }

  /** For calls that a fault stops, or that take effect although they report it. */
  #act(name: string, path: string, inode: number, mutates: boolean, work: () => void): void {
    const { fault } = this.#enter(name, path, inode, mutates);
    if (fault === undefined || fault.code === "") {
      work();
      return;
    }
    if ((fault.done ?? 0) >= 1) work();
    throw systemError(fault.code, name, path);
  }

  #nodeAt(path: string): { readonly parent: number; readonly name: string; readonly inode: number } {
    const parts = LOCK_PATH.test(path) ? path.split("/").slice(1) : partsOf(path);
    let parent = ROOT;
    let inode = ROOT;
    for (let i = 0; i < parts.length; i++) {
      const part = parts[i] as string;
      const node = this.#nodes.get(inode);
      if (node?.kind !== "directory") return { parent: 0, name: part, inode: 0 };
      parent = inode;
      inode = node.entries.get(part) ?? 0;
      if (inode === 0 && i + 1 < parts.length) return { parent: 0, name: part, inode: 0 };
    }
    return { parent, name: parts.at(-1) ?? "", inode };
  }

  #directory(inode: number): DirectoryNode {
    return this.#nodes.get(inode) as DirectoryNode;
  }

  #file(inode: number): FileNode {
    return this.#nodes.get(inode) as FileNode;
  }

  #descriptor(name: string, fd: number): Descriptor {
    const found = this.#descriptors.get(fd);
    if (found === undefined) throw systemError("EBADF", name, String(fd));
    return found;
  }

  #changeEntry(parent: number, name: string, inode: number, from?: string): void {
    const node = this.#directory(parent);
    const entries = new Map(node.entries);
    apply(entries, { name, inode, from });
    const change = { sequence: this.#sequence++, name, inode, from };
    this.#nodes.set(parent, { ...node, entries, changes: [...node.changes, change] });
  }

  #open(path: string, flags: number): number {
    const { parent, name, inode } = this.#nodeAt(path);
    const creates = (flags & O_CREAT) !== 0;
    let opened = inode;
    this.#act("openSync", path, inode, creates, () => {
      if (parent === 0 || (inode === 0 && !creates)) throw systemError("ENOENT", "openSync", path);
      if (creates && inode !== 0 && (flags & O_EXCL) !== 0) throw systemError("EEXIST", "openSync", path);
      if (inode !== 0) return;
      opened = this.#sequence++;
      this.#nodes.set(opened, emptyFile());
      this.#changeEntry(parent, name, opened);
    });
    const fd = this.#nextDescriptor++;
    const { failedSyncs } = this.#nodes.get(opened) as FsNode;
    this.#descriptors.set(fd, { inode: opened, path, reported: failedSyncs });
    return fd;
  }

  #close(fd: number): void {
    const { inode, path } = this.#descriptor("closeSync", fd);
    this.#descriptors.delete(fd);
    this.#act("closeSync", path, inode, false, () => {});
  }

  #read(fd: number, into: Uint8Array, offset: number, length: number, position: number): number {
    const { inode, path } = this.#descriptor("readSync", fd);
    const { fault } = this.#enter("readSync", path, inode, false);
    if (fault !== undefined && fault.code !== "") throw systemError(fault.code, "readSync", path);
    const wanted = fault === undefined ? length : Math.max(1, Math.floor(length * (fault.done ?? 0)));
    const part = this.#file(inode).cache.subarray(position, position + wanted);
    into.set(part, offset);
    return part.length;
  }

  #write(fd: number, from: Uint8Array, offset: number, length: number, position: number): number {
    const { inode, path } = this.#descriptor("writeSync", fd);
    const { call, fault } = this.#enter("writeSync", path, inode, true);
    const grows = Math.max(position + length - this.#file(inode).cache.length, 0);
    const fits = Math.max(length - Math.max(grows - this.room, 0), 0);
    const count = fault === undefined ? fits : Math.min(fits, Math.floor(length * (fault.done ?? 0)));
    if (count >= MIDDLE_BYTES_LEAST && this.onBoundary !== undefined) {
      const middle = 1 + ((Math.imul(call.index + 1, 0x9e3779b1) >>> 0) % (count - 1));
      this.#put(inode, path, from.subarray(offset, offset + middle), position);
      this.onBoundary(call, true);
      this.#refuseDead("writeSync", path);
    }
    if (count > 0) this.#put(inode, path, from.subarray(offset, offset + count), position);
    if (fault !== undefined && fault.code !== "") throw systemError(fault.code, "writeSync", path);
    if (count === 0 && length > 0 && fault === undefined) throw systemError("ENOSPC", "writeSync", path);
    return count;
  }

  #put(inode: number, path: string, bytes: Uint8Array, position: number): void {
    const node = this.#file(inode);
    const length = Math.max(node.cache.length, position + bytes.length);
    this.room -= length - node.cache.length;
    const cache = new Uint8Array(length);
    cache.set(node.cache);
    cache.set(bytes, position);
    this.#change(inode, path, node, cache, position, position + bytes.length);
  }

  /** Puts other content in the place of a file's, which differs from `start` to `end`. */
  #change(inode: number, path: string, node: FileNode, cache: Uint8Array, start: number, end: number): void {
    const sequence = this.#sequence++;
    const size = this.#blockBytes;
    const blocks = new Map(node.blocks);
    for (let block = Math.floor(start / size); block * size < end; block++) {
      const bytes = cache.subarray(block * size, (block + 1) * size);
      blocks.set(block, [...(blocks.get(block) ?? NO_CHANGES), { sequence, bytes, isLost: false }]);
    }
    const isLonger = cache.length !== node.cache.length;
    const lengths = isLonger ? [...node.lengths, { sequence, length: cache.length, isLost: false }] : node.lengths;
    this.#nodes.set(inode, { ...node, cache, blocks, lengths });
    this.onChange?.(path, inode, cache);
  }

  #cut(fd: number, length: number): void {
    const { inode, path } = this.#descriptor("ftruncateSync", fd);
    this.#act("ftruncateSync", path, inode, true, () => {
      const node = this.#file(inode);
      const cache = new Uint8Array(length);
      cache.set(node.cache.subarray(0, length));
      this.room += node.cache.length - length;
      // The rest of the last block reads as zeros from then on.
      const end = Math.ceil(length / this.#blockBytes) * this.#blockBytes;
      this.#change(inode, path, node, cache, length, Math.min(end, node.cache.length));
    });
  }

  #rename(from: string, to: string): void {
    const source = this.#nodeAt(from);
    this.#act("renameSync", to, source.inode, true, () => {
      const target = this.#nodeAt(to);
      if (source.inode === 0 || target.parent === 0) throw systemError("ENOENT", "renameSync", from);
      if (source.parent !== target.parent) throw systemError("EXDEV", "renameSync", to);
      this.#changeEntry(source.parent, target.name, source.inode, source.name);
      this.onChange?.(to, source.inode, this.#file(source.inode).cache);
    });
  }

  #link(from: string, to: string): void {
    const source = this.#nodeAt(from);
    this.#act("linkSync", to, source.inode, true, () => {
      const target = this.#nodeAt(to);
      if (source.inode === 0 || target.parent === 0) throw systemError("ENOENT", "linkSync", from);
      if (target.inode !== 0) throw systemError("EEXIST", "linkSync", to);
      this.#changeEntry(target.parent, target.name, source.inode);
    });
  }

  #remove(path: string, force: boolean): void {
    const { parent, name, inode } = this.#nodeAt(path);
    this.#act("rmSync", path, inode, inode !== 0, () => {
      if (inode === 0) {
        if (force) return;
        throw systemError("ENOENT", "rmSync", path);
      }
      const node = this.#nodes.get(inode);
      if (node?.kind === "file") this.room += node.cache.length;
      this.#changeEntry(parent, name, 0);
    });
  }

  #makeDirectory(path: string): void {
    const { parent, name, inode } = this.#nodeAt(path);
    this.#act("mkdirSync", path, inode, true, () => {
      if (inode !== 0) throw systemError("EEXIST", "mkdirSync", path);
      if (parent === 0) throw systemError("ENOENT", "mkdirSync", path);
      const made = this.#sequence++;
      this.#nodes.set(made, emptyDirectory());
      this.#changeEntry(parent, name, made);
    });
  }

  #list(path: string): string[] {
    const { inode } = this.#nodeAt(path);
    let names: string[] = [];
    this.#act("readdirSync", path, inode, false, () => {
      const node = this.#nodes.get(inode);
      if (node?.kind !== "directory") throw systemError(inode === 0 ? "ENOENT" : "ENOTDIR", "readdirSync", path);
      names = [...node.entries.keys()];
    });
    return names;
  }

  #exists(path: string): boolean {
    const { inode } = this.#nodeAt(path);
    const { fault } = this.#enter("existsSync", path, inode, false);
    return fault === undefined || fault.code === "" ? inode !== 0 : false;
  }

  #realPath(path: string): string {
    const { inode } = this.#nodeAt(path);
    this.#act("realpathSync", path, inode, false, () => {
      if (inode === 0) throw systemError("ENOENT", "realpathSync", path);
    });
    return path;
  }

  #stat(name: string, path: string, throws: boolean): object | undefined {
    const { inode } = this.#nodeAt(path);
    this.#act(name, path, inode, false, () => {
      if (inode === 0 && throws) throw systemError("ENOENT", name, path);
    });
    return inode === 0 ? undefined : this.#status(inode);
  }

  /** A whole file by its descriptor, or what the system says of processes. */
  #readText(file: number | string): string {
    if (typeof file === "string") return this.#aboutProcess(file);
    const { inode, path } = this.#descriptor("readFileSync", file);
    this.#act("readFileSync", path, inode, false, () => {});
    return Buffer.from(this.#file(inode).cache).toString();
  }

  #aboutProcess(path: string): string {
    if (path === "/proc/sys/kernel/random/boot_id") return `boot ${this.#boots}`;
    if (path !== "/proc/self/stat" && path !== `/proc/${PID}/stat`) throw systemError("ENOENT", "readFileSync", path);
    // The state is the third field, and the start time the twenty-second.
    return `${PID} (node) S ${"0 ".repeat(18)}${this.#process} 0`;
  }

  #statOf(fd: number): object {
    const { inode, path } = this.#descriptor("fstatSync", fd);
    this.#act("fstatSync", path, inode, false, () => {});
    return this.#status(inode);
  }

  #status(inode: number): object {
    return new Status(this.#process, inode, this.#nodes.get(inode) as FsNode);
  }

  // Syncs.

  #sync(name: string, fd: number): void {
    const descriptor = this.#descriptor(name, fd);
    const { fault } = this.#beginSync(name, descriptor);
    this.#finishSync(name, descriptor, this.#sequence, fault);
  }

  #syncLater(name: string, fd: number, done: (error: unknown) => void): void {
    const descriptor = this.#descriptor(name, fd);
    const { fault } = this.#beginSync(name, descriptor);
    const covered = this.#sequence;
    const finish = (): void => {
      if (this.#isDead) return;
      try {
        this.#finishSync(name, descriptor, covered, fault);
      } catch (error) {
        done(error);
        return;
      }
      done(null);
    };
    if (this.isPrompt) queueMicrotask(finish);
    else this.#syncs.push({ finish });
  }

  #beginSync(name: string, { path, inode }: Descriptor): { fault: Fault | undefined } {
    const entered = this.#enter(name, path, inode, true);
    if (this.#failed.has(inode)) this.syncedAgain.push(`${name} ${path}`);
    return entered;
  }

  /** Makes durable what was there before `covered`, or loses it. */
  #finishSync(name: string, descriptor: Descriptor, covered: number, fault: Fault | undefined): void {
    const { inode, path } = descriptor;
    const node = this.#nodes.get(inode) as FsNode;
    if (fault !== undefined && fault.code !== "") {
      this.#failed.add(inode);
      const failedSyncs = node.failedSyncs + 1;
      this.#nodes.set(inode, { ...withoutHope(node, covered), failedSyncs });
      descriptor.reported = failedSyncs;
      throw systemError(fault.code, name, path);
    }
    if (descriptor.reported < node.failedSyncs) {
      this.#failed.add(inode);
      descriptor.reported = node.failedSyncs;
      throw systemError("EIO", name, path);
    }
    const synced = node.kind === "file" ? syncedFile(node, covered, this.#blockBytes) : syncedDirectory(node, covered);
    this.#nodes.set(inode, synced);
  }
}

function apply(entries: Map<string, number>, change: Pick<EntryChange, "name" | "inode" | "from">): void {
  const { name, inode, from } = change;
  if (from !== undefined && entries.get(from) === inode) entries.delete(from);
  if (inode === 0) entries.delete(name);
  else entries.set(name, inode);
}

/** What was there before `covered` counts as clean, and stays in the cache alone. */
function withoutHope(node: FsNode, covered: number): FsNode {
  const lost = <C extends { readonly sequence: number; readonly isLost: boolean }>(changes: readonly C[]): C[] =>
    changes.map((change) => (change.sequence < covered ? { ...change, isLost: true } : change));
  if (node.kind === "directory") return node;
  const blocks = new Map([...node.blocks].map(([block, changes]) => [block, lost(changes)]));
  return { ...node, blocks, lengths: lost(node.lengths) };
}

function syncedFile(node: FileNode, covered: number, size: number): FileNode {
  const isSynced = ({ sequence, isLost }: LengthChange | BlockChange): boolean => sequence < covered && !isLost;
  const length = node.lengths.findLast(isSynced)?.length ?? node.platter.length;
  const platter = new Uint8Array(length);
  platter.set(node.platter.subarray(0, length));
  const blocks = new Map<number, readonly BlockChange[]>();
  for (const [block, changes] of node.blocks) {
    const last = changes.findLast(isSynced);
    const start = block * size;
    if (last !== undefined && start < length) platter.set(last.bytes.subarray(0, length - start), start);
    const left = last === undefined ? changes : changes.filter(({ sequence }) => sequence >= covered);
    if (left.length > 0) blocks.set(block, left);
  }
  const hasLength = node.lengths.some(isSynced);
  const lengths = hasLength ? node.lengths.filter(({ sequence }) => sequence >= covered) : node.lengths;
  return { ...node, platter, blocks, lengths };
}

function syncedDirectory(node: DirectoryNode, covered: number): DirectoryNode {
  const platter = new Map(node.platter);
  for (const change of node.changes) if (change.sequence < covered) apply(platter, change);
  return { ...node, platter, changes: node.changes.filter(({ sequence }) => sequence >= covered) };
}

// What a crash leaves.

/** How a power cut treats what was not synced. */
export type Fate = "kept" | "lost" | "any";

/** The disk after a power cut, as a chooser has it. What is left is durable. */
export function afterPowerCut(disk: Disk, chooser: Chooser, fate: Fate = "any"): Disk {
  const nodes = new Map<number, FsNode>();
  const survive = (inode: number): void => {
    const node = disk.nodes.get(inode);
    if (node === undefined || nodes.has(inode)) return;
    if (node.kind === "file") {
      const bytes = survivingBytes(disk, node, chooser, fate);
      nodes.set(inode, { ...emptyFile(), cache: bytes, platter: bytes });
      return;
    }
    const entries = survivingEntries(node, chooser, fate);
    nodes.set(inode, { ...emptyDirectory(), entries, platter: entries });
    for (const child of entries.values()) survive(child);
  };
  survive(ROOT);
  return { ...disk, nodes, boots: disk.boots + 1 };
}

/** Which of `count` states comes true, the oldest being 0. */
function fateOf(chooser: Chooser, fate: Fate, count: number): number {
  if (fate === "kept") return count - 1;
  return fate === "lost" ? 0 : chooser.pick(count);
}

/** What some file, perhaps removed long ago, has in a block: space is given to files as it was left. */
function staleBlock(disk: Disk, block: number, chooser: Chooser): Uint8Array {
  const files = [...disk.nodes.values()].filter((node) => node.kind === "file");
  const size = disk.blockBytes;
  return (files[chooser.pick(files.length)] as FileNode).cache.subarray(block * size, (block + 1) * size);
}

function survivingBytes(disk: Disk, node: FileNode, chooser: Chooser, fate: Fate): Uint8Array {
  if (node.blocks.size === 0 && node.lengths.length === 0) return node.platter;
  const size = disk.blockBytes;
  const lengths = [node.platter.length, ...node.lengths.map(({ length }) => length)];
  const length = lengths[fateOf(chooser, fate, lengths.length)] as number;
  const bytes = new Uint8Array(length);
  bytes.set(node.platter.subarray(0, length));
  for (const [block, changes] of node.blocks) {
    const start = block * size;
    if (start >= length) continue;
    const states = [node.platter.subarray(start, start + size), ...changes.map((change) => change.bytes)];
    const chosen = fateOf(chooser, fate, states.length);
    const end = Math.min(start + size, length);
    fill(bytes, start, end, states[chosen] as Uint8Array);
    if (fate === "any" && chosen > 0 && chooser.rarely(4)) {
      const before = states[chooser.pick(chosen)] as Uint8Array;
      const torn = start + chooser.pick(size);
      fill(bytes, torn, end, before.subarray(Math.min(torn - start, before.length)));
    }
    const isNew = start >= node.platter.length;
    if (fate === "any" && isNew && chooser.rarely(STALE_ONE_IN))
      fill(bytes, start, end, staleBlock(disk, block, chooser));
  }
  return bytes;
}

/** What a part of a file holds, with zeros where the content is shorter. */
function fill(bytes: Uint8Array, start: number, end: number, content: Uint8Array): void {
  if (start >= end) return;
  bytes.fill(0, start, end);
  bytes.set(content.subarray(0, end - start), start);
}

function survivingEntries(node: DirectoryNode, chooser: Chooser, fate: Fate): ReadonlyMap<string, number> {
  if (node.changes.length === 0) return node.platter;
  const entries = new Map(node.platter);
  for (const change of node.changes) {
    if (fateOf(chooser, fate, 2) === 1) apply(entries, change);
  }
  return entries;
}

/** How many combinations of survivors there are, as far as that can be told at once; many more counts as `limit`. */
export function uncertainties(disk: Disk): number {
  let count = 0;
  for (const node of disk.nodes.values()) {
    count += node.kind === "file" ? node.blocks.size + node.lengths.length : node.changes.length;
  }
  return count;
}

/** A fingerprint of what reads would see, names and bytes; without the lock, whose content is never the same twice. */
export function fingerprint(disk: Disk): string {
  let names = 0;
  let bytes = 0;
  const walk = (inode: number): void => {
    const node = disk.nodes.get(inode);
    if (node === undefined) return;
    if (node.kind === "file") {
      bytes = crc32(node.cache, bytes);
      return;
    }
    for (const [name, child] of [...node.entries].sort(([a], [b]) => (a < b ? -1 : 1))) {
      if (LOCK_FILE.test(name)) continue;
      const { length = 0 } = (disk.nodes.get(child) as FileNode | undefined)?.cache ?? {};
      names = crc32(`${name}/${length}/`, names);
      walk(child);
    }
  };
  walk(ROOT);
  return `${names.toString(36)}.${bytes.toString(36)}`;
}

/** The files of a disk by their paths, as reads would see them. */
export function filesOf(disk: Disk): ReadonlyMap<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  const walk = (inode: number, path: string): void => {
    const node = disk.nodes.get(inode);
    if (node?.kind === "file") files.set(path, node.cache);
    else for (const [name, child] of node?.entries ?? []) walk(child, `${path}/${name}`);
  };
  walk(ROOT, "");
  return files;
}

/** A disk with other content in the place of a file's, durably. */
export function withContent(disk: Disk, before: Uint8Array, after: Uint8Array): Disk {
  const nodes = new Map(disk.nodes);
  for (const [inode, node] of nodes) {
    if (node.kind === "file" && node.cache === before)
      nodes.set(inode, { ...emptyFile(), cache: after, platter: after });
  }
  return { ...disk, nodes };
}
