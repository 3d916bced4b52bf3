/**
 * One database, worked on by one process after another, all of it from one seed: every primitive in every mode, transactions,
 * deletions, asynchronous transactions in flight, segments that change after a few commits, full disks, checkpoints, and processes that
 * end in every way.
 *
 * It notes what it was told and what it saw, as the least that must be found again:
 *  - `power`: after a power cut, whatever was acknowledged as strict, flushed, or seen of a strict commit by a reader;
 *  - `kill`: after the end of the process, also whatever was acknowledged, or seen, of a buffered one;
 *  - `given`: the highest version that anybody was told of, or that was written.
 *
 * And it keeps the disk as it is before each call that changes it, and in the middle of writes.
 */
import type { acquireLock } from "../../src/adapters/node-fs-lock.js";
import type { FileStorage } from "../../src/adapters/node-fs-storage.js";
import { type Database, type DurabilityOption, HoldfastError } from "../../src/index.js";
import { ByteStorage } from "../support/byte-storage.js";
import type { Mode } from "../support/history.js";
import { SeededEnvironment, turn } from "../support/seeded-environment.js";
import { changeIndex, faultIn, isDeletable, someItem, type Writes, writeAll, writeOne } from "./primitives.js";
import { mixed, Random } from "./random.js";
import { KEYS_ONLY_SEEDS } from "./seeds.js";
import { afterPowerCut, type Disk, emptyDisk, type FileCall, SimulatedFiles } from "./simulated-files.js";
import {
  CELLS,
  countUpTo,
  digestOfDatabase,
  type Entry,
  KEYS,
  prefixOf,
  RUNS,
  shortestPrefixOf,
  WrittenLog,
} from "./written-log.js";

/** The code under test: what ships, or a copy with a fault planted. */
export interface Subject {
  readonly Database: typeof Database;
  readonly FileStorage: typeof FileStorage;
  readonly acquireLock: typeof acquireLock;
  readonly wasm: WebAssembly.Module;
}

/**
 * Has a subject load what it loads only where it is asked for: how long that takes is no seed's business, and the turns of a trial
 * are counted. What a plant has broken shows in the trials.
 */
export async function warmedUp(subject: Subject): Promise<Subject> {
  const storage = new ByteStorage(new Map(), 0);
  try {
    for (let opening = 0; opening < 2; opening++) {
      const db = await subject.Database.open({ storage, wasm: subject.wasm });
      db.run("r").kv.put("k", opening);
      await db.checkpoint();
      await db.close();
    }
  } catch {}
  return subject;
}

/** The ways in which a store can break its word. */
export type Wrong = "lost" | "partial" | "reordered" | "silentlyCorrupt" | "untyped" | "hung" | "broken";

/** A word that was broken. */
export class Violation extends Error {
  readonly wrong: Wrong;
  /** The message without the word for what is wrong. */
  readonly reason: string;

  constructor(wrong: Wrong, reason: string, cause?: unknown) {
    super(`${wrong}: ${reason}`, { cause });
    this.wrong = wrong;
    this.reason = reason;
  }
}

/** What must be found again. */
export interface Floors {
  readonly power: number;
  readonly kill: number;
  readonly given: number;
}

/** The disk at one moment, with what must be found on it. */
export interface Point {
  readonly call: number;
  readonly name: string;
  readonly isMiddle: boolean;
  readonly disk: Disk;
  readonly entries: readonly Entry[];
  /** The entries, and behind them what was cut off and may come back. */
  readonly recoverable: readonly Entry[];
  readonly floors: Floors;
  /** Whether a log was begun that has not been closed: recovery must say that it found one. */
  readonly isUnclean: boolean;
}

/** How a process ends. */
export type Ending = "close" | "kill" | "power";

export interface WorkloadOptions {
  readonly sessions: number;
  readonly steps: number;
  /** Whether the disk is full at times. */
  readonly fills: boolean;
  readonly keepsPoints: boolean;
}

const PATH = "/state/db";
const MAX_BYTES = 16 * 1024 * 1024;
const TURNS_MAX = 400;
const MODES: readonly Mode[] = ["in-memory", "buffered", "strict"];
/** What a write may end with for reasons of the storage or of concurrency. */
const REASONS = new Set<string>(["STORAGE_FULL", "STORE_FAILED", "COMMIT_INDETERMINATE", "CONFLICT"]);

interface Told {
  readonly mark: string;
  readonly run: string;
  readonly mode: Mode;
  readonly writes: Writes;
}

interface InFlight {
  readonly what: string;
  readonly promise: Promise<void>;
  readonly release: (() => void) | undefined;
  isSettled: boolean;
}

/** How a database is opened. */
export interface OpenOptions {
  readonly segmentBytes: number;
  readonly environment: SeededEnvironment;
  readonly durability?: DurabilityOption;
  /** With the lock that ships, or in fewer calls. */
  readonly locks: boolean;
}

/** Opens a database with the storage that ships, on simulated files. */
export function openOn(subject: Subject, files: SimulatedFiles, options: OpenOptions): Promise<Database> {
  const storage = new subject.FileStorage(PATH, options.segmentBytes, {
    platform: () => files.platform(),
    own: async (node, directory, signal) =>
      options.locks ? subject.acquireLock(node, directory, { takeOver: false, signal }) : files.own(node, directory),
  });
  const { environment, durability = "strict" } = options;
  return subject.Database.open({ storage, environment, durability, wasm: subject.wasm, maxBytes: MAX_BYTES });
}

/** What something ends with; throws unless it ends, or is typed. */
export async function outcomeOf<T>(
  what: string,
  files: SimulatedFiles,
  environment: SeededEnvironment,
  random: Random,
  work: Promise<T>,
): Promise<T> {
  let isSettled = false;
  const settle = (): void => {
    isSettled = true;
  };
  work.then(settle, settle);
  for (let turns = 0; !isSettled; turns++) {
    if (turns === TURNS_MAX) throw new Violation("hung", `${what} never ends`);
    await turn();
    environment.advance(1);
    if (!isSettled && files.syncsInFlight > 0) files.step(random.pick(files.syncsInFlight));
  }
  return work;
}

/** The code of an error; one that is not typed is a violation. */
export function codeOf(what: string, error: unknown): string {
  if (HoldfastError.is(error)) return error.code;
  if (error instanceof Violation) throw error;
  throw new Violation("untyped", `${what} threw ${String(error)}`, error);
}

export class Workload {
  readonly seed: number;
  readonly segmentBytes: number;
  readonly points: Point[] = [];
  readonly log = new WrittenLog();
  /** How many commits were acknowledged. */
  acknowledged = 0;
  /** How many synchronous calls were refused for want of room. */
  refusedForRoom = 0;
  /** How many checkpoints were made. */
  checkpoints = 0;
  /** What was done, for whoever has to find out. */
  readonly story: string[] = [];
  readonly #subject: Subject;
  readonly #options: WorkloadOptions;
  readonly #random: Random;
  readonly #writesKeysOnly: boolean;
  readonly #told = new Map<number, Told>();
  #disk: Disk;
  #files: SimulatedFiles;
  #environment = new SeededEnvironment(0);
  #database: Database | undefined;
  #inFlight: InFlight[] = [];
  #session = 0;
  #calls = 0;
  #marks = 0;
  #power = 0;
  #kill = 0;
  #given = 0;
  #committed = 0;
  #isUnclean = false;
  #canCheckpoint = true;
  /** Set once something has failed, so that what is shown need not be written. */
  #hasFailed = false;
  /** Set once a write was told that nothing is written any more: no later one may be taken. */
  #isDown = false;
  /** The first violation that was met where nobody waits for it. */
  #failure: unknown;
  #wasFull = false;
  /** Called with the files of each process before it begins. */
  onProcess: ((files: SimulatedFiles, session: number) => void) | undefined;
  /** Codes that an open may end with, where faults are injected. */
  isFaulty = false;

  constructor(subject: Subject, seed: number, options: WorkloadOptions) {
    this.seed = seed;
    this.#subject = subject;
    this.#options = options;
    this.#random = new Random(mixed(seed, 1));
    this.#writesKeysOnly = KEYS_ONLY_SEEDS.has(seed);
    this.segmentBytes = this.#random.of([300, 700, 1500, 4000]);
    this.#disk = emptyDisk(this.#random.of([512, 512, 4096]));
    this.#files = new SimulatedFiles(this.#disk);
  }

  /** Another one that goes on from where this one stands, whose process has ended. */
  fork(): Workload {
    const other = new Workload(this.#subject, this.seed, this.#options);
    other.points.push(...this.points);
    other.story.push(...this.story);
    other.log.become(this.log);
    other.acknowledged = this.acknowledged;
    other.refusedForRoom = this.refusedForRoom;
    other.checkpoints = this.checkpoints;
    other.#random.become(this.#random);
    for (const [version, told] of this.#told) other.#told.set(version, told);
    other.#disk = this.#disk;
    other.#files = this.#files;
    other.#session = this.#session;
    other.#calls = this.#calls;
    other.#marks = this.#marks;
    other.#power = this.#power;
    other.#kill = this.#kill;
    other.#given = this.#given;
    other.#committed = this.#committed;
    other.#isUnclean = this.#isUnclean;
    other.#canCheckpoint = this.#canCheckpoint;
    other.#failure = this.#failure;
    return other;
  }

  get floors(): Floors {
    return { power: this.#power, kill: this.#kill, given: Math.max(this.#given, this.log.versionMost) };
  }

  get disk(): Disk {
    return this.#disk;
  }

  get database(): Database | undefined {
    return this.#database;
  }

  get files(): SimulatedFiles {
    return this.#files;
  }

  /** Where the workload stands, as a point. */
  point(name: string): Point {
    return {
      call: this.#calls + this.#files.calls,
      name,
      isMiddle: false,
      disk: this.#disk,
      entries: this.log.entries,
      recoverable: this.log.recoverable,
      floors: this.floors,
      isUnclean: this.#isUnclean,
    };
  }

  /** Runs all of it. The last process ends as the seed says, and what it leaves is the last point. */
  async run(): Promise<void> {
    for (let session = 0; session < this.#options.sessions; session++) {
      await this.begin();
      if (this.#database !== undefined) await this.work();
      await this.end(this.#random.of(["close", "kill", "power"]));
    }
    if (this.#options.keepsPoints) this.points.push(this.point("the end"));
  }

  /** A new process opens the database. */
  async begin(): Promise<void> {
    this.#session++;
    const files = new SimulatedFiles(this.#disk);
    this.#files = files;
    this.#inFlight = [];
    this.#hasFailed = false;
    this.#isDown = false;
    this.#wasFull = false;
    files.isPrompt = false;
    files.onChange = (path, inode, bytes) => this.log.note(path, inode, bytes);
    if (this.#options.keepsPoints) files.onBoundary = (call, isMiddle) => this.#keep(call, isMiddle);
    this.onProcess?.(files, this.#session);
    const environmentSeed = mixed(this.seed, 2, this.#session);
    this.#environment = new SeededEnvironment(environmentSeed);
    const mode = this.#random.of(MODES);
    const opening = openOn(this.#subject, files, {
      segmentBytes: this.segmentBytes,
      environment: this.#environment,
      durability: mode === "in-memory" ? { mode: "buffered", maxPendingWrites: 3 } : mode,
      locks: true,
    });
    this.#say(`process ${this.#session} opens, ${mode}`);
    try {
      this.#database = await this.#outcomeOf("open", opening);
    } catch (error) {
      this.#database = undefined;
      const code = codeOf("open", error);
      this.#say(`open: ${code}`);
      if (!this.isFaulty) throw new Violation("broken", `the database does not open: ${String(error)}`, error);
      if (!["STORE_FAILED", "STORAGE_FULL", "READ_ONLY"].includes(code)) {
        throw new Violation("untyped", `open ended with ${code}: ${String(error)}`, error);
      }
      return;
    }
    this.#expectFound(this.#database);
  }

  /** The process whose open has failed tries once more, now that nothing is wrong: it must not stand in its own way. */
  async openAgain(): Promise<void> {
    const environment = this.#environment;
    const opening = openOn(this.#subject, this.#files, { segmentBytes: this.segmentBytes, environment, locks: true });
    try {
      this.#database = await this.#outcomeOf("open again", opening);
    } catch (error) {
      throw new Violation("broken", `after an open that failed the next one ends with ${String(error)}`, error);
    }
    this.#expectFound(this.#database);
  }

  #outcomeOf<T>(what: string, work: Promise<T>): Promise<T> {
    return outcomeOf(what, this.#files, this.#environment, this.#random, work);
  }

  /** What is found is a prefix with all that must be there; from now on it is durable. */
  #expectFound(database: Database): void {
    const entries = this.log.recoverable;
    const { count, digest } = expectPrefix(database, entries, this.#kill, "reopened");
    const least = countUpTo(entries, this.#kill);
    const certain = shortestPrefixOf(entries, digest, least);
    const version = entries[certain - 1]?.version ?? 0;
    this.log.restart(count);
    this.#power = version;
    this.#kill = version;
    this.#committed = version;
    if (database.storageInfo.recovered !== undefined) this.#isUnclean = true;
    else if (count === 0) this.#isUnclean = false;
  }

  #keep(call: FileCall, isMiddle: boolean): void {
    this.points.push({
      ...this.point(`${call.name} ${call.path}`),
      call: this.#calls + call.index,
      isMiddle,
      disk: this.#files.disk,
    });
  }

  #say(what: string): void {
    this.story.push(`${this.#calls + this.#files.calls}: ${what}`);
  }

  /** The steps of one process. */
  async work(): Promise<void> {
    const steps = 1 + this.#random.pick(this.#options.steps);
    for (let step = 0; step < steps; step++) {
      await this.#step();
      for (let turns = this.#random.pick(4); turns >= 0; turns--) {
        await turn();
        this.#environment.advance(this.#random.pick(15));
        if (turns > 0 && this.#files.syncsInFlight > 0) this.#files.step(this.#random.pick(this.#files.syncsInFlight));
      }
      this.observe();
    }
  }

  async #step(): Promise<void> {
    const random = this.#random;
    if (this.#files.room !== Number.POSITIVE_INFINITY && random.rarely(4)) this.#fill();
    const run = random.of(RUNS);
    const mode = random.of(MODES);
    switch (random.pick(this.#writesKeysOnly ? 23 : 29)) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4:
      case 5:
        return this.#put(run, mode);
      case 6:
        return this.#delete(run, mode);
      case 7:
      case 8:
      case 9:
        return this.#transaction(run, mode);
      case 10:
        return this.#deleteRun(run, mode);
      case 11:
      case 12:
      case 13:
      case 14:
        return this.#beginAsync(run, mode);
      case 15:
        return this.#release();
      case 16:
      case 17:
        if (this.#files.syncsInFlight > 0) this.#files.step(random.pick(this.#files.syncsInFlight));
        return;
      case 18:
        return this.#flush();
      case 19:
        return this.#flushSync();
      case 20:
      case 21:
        return this.#checkpoint();
      case 22:
        if (this.#options.fills) this.#fill();
        else this.#environment.advance(200);
        return;
      default:
        return this.#primitive(run, mode);
    }
  }

  #primitive(run: string, mode: Mode): void {
    const which = this.#random.pick(6);
    if (which < 2) this.#writeOne("event", "e:", run, mode);
    else if (which === 2) this.#writeOne("cell", `c:${this.#random.of(CELLS)}`, run, mode);
    else if (which === 3) this.#deleteCell(run, mode);
    else if (which === 4) this.#writeOne("trace", "t:", run, mode);
    else this.#changeIndex(run, mode);
  }

  /** What a transaction writes to. */
  #item(mark: string, count: number): string {
    return this.#writesKeysOnly ? `k:${this.#random.of(KEYS)}` : someItem(this.#random, mark, count);
  }

  #mark(): string {
    this.#marks++;
    return `t${this.#marks}|`;
  }

  #value(mark: string): string {
    const random = this.#random;
    const length = random.rarely(8) ? random.pick(3000) : random.pick(120);
    return `${mark}${random.pick(1000)}${"x".repeat(length)}`;
  }

  #writes(mark: string): Map<string, string | undefined> {
    const random = this.#random;
    const writes = new Map<string, string | undefined>();
    for (let left = random.pick(3); left > 0; left--) {
      const item = this.#item(mark, left);
      writes.set(item, isDeletable(item) && random.rarely(4) ? undefined : this.#value(mark));
    }
    // Something of each transaction can be told from everything else.
    writes.set(this.#item(mark, 0), this.#value(mark));
    return writes;
  }

  get #open(): Database {
    return this.#database as Database;
  }

  #put(run: string, mode: Mode): void {
    const mark = this.#mark();
    const key = this.#random.of(KEYS);
    const value = this.#value(mark);
    const told = { mark, run, mode, writes: new Map([[`k:${key}`, value]]) };
    this.#commit("put", told, () => this.#open.run(run).kv.put(key, value, { durability: mode }));
  }

  #transaction(run: string, mode: Mode): void {
    const mark = this.#mark();
    const writes = this.#writes(mark);
    this.#commit("transaction", { mark, run, mode, writes }, () => {
      const transaction = this.#open.run(run).begin({ durability: mode });
      try {
        if (this.#random.rarely(3)) transaction.kv.get(this.#random.of(KEYS));
        writeAll(transaction, writes);
        return transaction.commit();
      } finally {
        transaction.rollback();
      }
    });
  }

  #delete(run: string, mode: Mode): void {
    const key = this.#random.of(KEYS);
    const told = { mark: "", run, mode, writes: new Map([[`k:${key}`, undefined]]) };
    this.#commit("delete", told, () => {
      return this.#open.run(run).kv.delete(key, { durability: mode }) ? this.#open.run(run).version : 0;
    });
  }

  /** Writes one item; what it is published at is the run's newest version when the call returns. */
  #writeOne(what: string, kind: string, run: string, mode: Mode): void {
    const mark = this.#mark();
    const item = kind.length > 2 ? kind : `${kind}${mark}`;
    const text = this.#value(mark);
    this.#commit(what, { mark, run, mode, writes: new Map([[item, text]]) }, () => {
      writeOne(this.#open.run(run), item, text, { durability: mode });
      return this.#open.run(run).version;
    });
  }

  /** Most often one that is there, so that it can be made again. */
  #deleteCell(run: string, mode: Mode): void {
    const name = this.#random.of([...CELLS.filter((cell) => this.#open.run(run).state.has(cell)), CELLS[0]]);
    const told = { mark: "", run, mode, writes: new Map([[`c:${name}`, undefined]]) };
    this.#commit("delete cell", told, () => {
      return this.#open.run(run).state.delete(name, { durability: mode }) ? this.#open.run(run).version : 0;
    });
  }

  #changeIndex(run: string, mode: Mode): void {
    const told = { mark: "", run, mode, writes: new Map([["i:", undefined]]) };
    this.#commit("index", told, () => {
      changeIndex(this.#open, run, this.#random, this.#mark(), { durability: mode });
      return this.#open.run(run).version;
    });
  }

  #deleteRun(run: string, mode: Mode): void {
    this.#commit("deleteRun", { mark: "", run, mode, writes: new Map() }, () => {
      if (!this.#open.deleteRun(run, { durability: mode }) || mode === "in-memory") return 0;
      const entry = this.log.entries.findLast((found) => found.run === run);
      if (entry?.deletesRun !== true) {
        throw new Violation("lost", `the deletion of run ${run} was acknowledged as ${mode} and is not in the log`);
      }
      return entry.version;
    });
  }

  /** A synchronous commit; `work` returns its version, 0 where that is not known or there is none. */
  #commit(what: string, told: Told, work: () => number): void {
    let version: number;
    try {
      version = work();
    } catch (error) {
      this.#refused(what, told, error);
      return;
    }
    this.#say(`${what} ${told.mark} on ${told.run}, ${told.mode}: ${version}`);
    if (version > 0) this.#acknowledge(told, version);
  }

  #refused(what: string, told: Told, error: unknown): void {
    const code = codeOf(what, error);
    this.#say(`${what} ${told.mark} on ${told.run}, ${told.mode}: ${code}`);
    this.#expectReason(what, code, error);
    if (code === "STORAGE_FULL" && what !== "transactionAsync") this.#expectFull(what);
    if (code === "COMMIT_INDETERMINATE" || told.mark === "") return;
    this.log.refuse(told.mark);
    if (this.log.findMarked(told.mark) !== undefined) {
      throw new Violation("partial", `${what} ${told.mark} ended with ${code} and is in the log`);
    }
  }

  /** A synchronous call is refused for want of room only while there is none. */
  #expectFull(what: string): void {
    this.refusedForRoom++;
    if (this.isFaulty || this.#files.room !== Number.POSITIVE_INFINITY) return;
    throw new Violation("broken", `${what} ended with STORAGE_FULL, though there is room again`);
  }

  #expectReason(what: string, code: string, error: unknown): void {
    const hasReason =
      REASONS.has(code) &&
      (code !== "STORAGE_FULL" || this.#wasFull || this.isFaulty) &&
      (!["STORE_FAILED", "COMMIT_INDETERMINATE"].includes(code) || this.isFaulty);
    if (!hasReason) throw new Violation("untyped", `${what} ended with ${code} for no reason: ${String(error)}`, error);
    if (code !== "STORE_FAILED" && code !== "COMMIT_INDETERMINATE") return;
    this.#hasFailed = true;
    // A checkpoint that fails leaves the log as it was.
    if (what !== "checkpoint") this.#isDown = true;
  }

  /** `isLate`: it was durable before the storage failed, perhaps, and is only told now. */
  #acknowledge(told: Told, version: number, isLate = false): void {
    const { mode, run, mark } = told;
    if (this.#isDown && !isLate)
      throw new Violation("broken", `version ${version} (${mark}) was taken after the storage had failed`);
    this.acknowledged++;
    this.#given = Math.max(this.#given, version);
    this.#committed = Math.max(this.#committed, version);
    this.#told.set(version, told);
    if (mode === "in-memory") return;
    if (this.log.find(version) === undefined) {
      throw new Violation(
        "lost",
        `version ${version} (${mark}) of run ${run} was acknowledged as ${mode} and is not written`,
      );
    }
    this.#isUnclean = true;
    this.#kill = Math.max(this.#kill, version);
    if (mode === "strict") this.#power = Math.max(this.#power, version);
  }

  #beginAsync(run: string, mode: Mode): void {
    const mark = this.#mark();
    const writes = this.#writes(mark);
    const told = { mark, run, mode, writes };
    let release: (() => void) | undefined;
    const gate = this.#random.rarely(2) ? new Promise<void>((resolve) => (release = resolve)) : undefined;
    const key = this.#random.rarely(2) ? this.#random.of(KEYS) : undefined;
    const session = this.#session;
    const files = this.#files;
    const work = this.#open.run(run).transactionAsync(
      async (transaction) => {
        if (key !== undefined) transaction.kv.get(key);
        writeAll(transaction, writes);
        await gate;
      },
      { durability: mode },
    );
    const isOver = (): boolean => session !== this.#session || files.isDead;
    const promise = work.then(
      () => {
        if (!isOver()) this.#resolved(told);
      },
      (error: unknown) => {
        if (!isOver()) this.#refused("transactionAsync", told, error);
      },
    );
    this.#follow(`transactionAsync ${mark} on ${run}, ${mode}`, promise, release);
  }

  #resolved(told: Told): void {
    this.#say(`transactionAsync ${told.mark} on ${told.run}, ${told.mode}: committed`);
    const entry = this.log.findMarked(told.mark);
    if (entry !== undefined) this.#acknowledge(told, entry.version, true);
    else if (told.mode !== "in-memory") {
      throw new Violation("lost", `transactionAsync ${told.mark} was acknowledged as ${told.mode} and is not written`);
    }
  }

  #follow(what: string, promise: Promise<void>, release: (() => void) | undefined): void {
    const going: InFlight = { what, promise, release, isSettled: false };
    this.#inFlight.push(going);
    const settle = (): void => {
      going.isSettled = true;
    };
    promise.then(settle, (error: unknown) => {
      settle();
      this.#failure ??= error;
    });
    this.#say(`${what} begins`);
  }

  #release(): void {
    const held = this.#inFlight.filter(({ release, isSettled }) => release !== undefined && !isSettled);
    if (held.length > 0) this.#random.of(held).release?.();
  }

  #flush(): void {
    const upTo = this.#committed;
    const session = this.#session;
    const files = this.#files;
    const isOver = (): boolean => session !== this.#session || files.isDead;
    const promise = this.#open.flush().then(
      () => {
        if (isOver()) return;
        this.#say(`flush up to ${upTo}`);
        this.#flushed(upTo);
      },
      (error: unknown) => {
        if (!isOver()) this.#expectReason("flush", codeOf("flush", error), error);
      },
    );
    this.#follow("flush", promise, undefined);
  }

  #flushSync(): void {
    const upTo = this.#committed;
    try {
      this.#open.flushSync();
    } catch (error) {
      this.#expectReason("flushSync", codeOf("flushSync", error), error);
      return;
    }
    this.#say(`flushSync up to ${upTo}`);
    this.#flushed(upTo);
  }

  #flushed(version: number): void {
    this.#power = Math.max(this.#power, version);
    this.#kill = Math.max(this.#kill, version);
  }

  #checkpoint(): void {
    if (!this.#canCheckpoint) return;
    const session = this.#session;
    const files = this.#files;
    const isOver = (): boolean => session !== this.#session || files.isDead;
    const made = this.#open.checkpoint() as Promise<unknown>;
    const promise = made.then(
      () => {
        this.checkpoints++;
        if (!isOver()) this.#say("checkpoint");
      },
      (error: unknown) => {
        if (HoldfastError.is(error, "UNSUPPORTED")) this.#canCheckpoint = false;
        else if (!isOver()) this.#expectReason("checkpoint", codeOf("checkpoint", error), error);
      },
    );
    this.#follow("checkpoint", promise, undefined);
  }

  #fill(): void {
    const isFull = this.#files.room !== Number.POSITIVE_INFINITY;
    this.#files.room = isFull ? Number.POSITIVE_INFINITY : this.#random.pick(600);
    this.#wasFull = true;
    this.#say(`room for ${this.#files.room}`);
  }

  /** The version of a key, or of the run. Reads go on, whatever has become of the storage. */
  #versionOf(run: string, key: string | undefined): number {
    try {
      const shown = this.#open.run(run);
      return key === undefined ? shown.version : (shown.kv.getVersioned(key)?.version ?? 0);
    } catch (error) {
      throw new Violation("broken", `a read ended with ${codeOf("a read", error)}: ${String(error)}`, error);
    }
  }

  /** What readers see of a strict commit must survive everything, and of a buffered one the end of the process. */
  observe(): void {
    for (const run of RUNS) {
      for (const key of [undefined, ...KEYS]) {
        const version = this.#versionOf(run, key);
        const mode = this.log.find(version)?.mode ?? this.#told.get(version)?.mode;
        if (mode === "strict") this.#power = Math.max(this.#power, version);
        if (mode === "strict" || mode === "buffered") this.#kill = Math.max(this.#kill, version);
      }
    }
    if (this.log.fault !== undefined) throw new Violation("reordered", this.log.fault);
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** The process ends, and the disk is as that leaves it. */
  async end(ending: Ending): Promise<void> {
    const files = this.#files;
    if (this.#database !== undefined && ending === "close") await this.#close();
    else this.#say(ending);
    if (this.#failure !== undefined) throw this.#failure;
    this.#expectWhole();
    const again = files.syncedAgain.find((sync) => sync.includes(".log"));
    if (again !== undefined) throw new Violation("broken", `a sync that had failed was made again: ${again}`);
    const { disk } = files;
    files.die();
    files.onBoundary = undefined;
    this.#calls += files.calls;
    if (ending === "power") {
      this.#disk = afterPowerCut(disk, this.#random);
      this.#kill = this.#power;
    } else {
      this.#disk = disk;
    }
    this.#database = undefined;
  }

  async #close(): Promise<void> {
    const database = this.#open;
    this.#files.room = Number.POSITIVE_INFINITY;
    for (const { release } of this.#inFlight) release?.();
    for (const { what, promise } of this.#inFlight) await this.#outcomeOf(what, promise);
    this.observe();
    const shown = digestOfDatabase(database);
    // From now on the note that it was closed may be on the disk.
    this.#isUnclean = false;
    try {
      await this.#outcomeOf("close", database.close());
    } catch (error) {
      this.#say(`close: ${codeOf("close", error)}`);
      this.#expectReason("close", codeOf("close", error), error);
      return;
    }
    this.#say("closed");
    if (this.#hasFailed) return;
    if (prefixOf(this.log.entries, shown) !== this.log.entries.length) {
      throw new Violation("lost", `after close the log does not hold what was shown: ${shown}`);
    }
    this.#power = this.log.entries.at(-1)?.version ?? 0;
    this.#kill = this.#power;
  }

  /** Every record is the whole of what one call wrote. */
  #expectWhole(): void {
    for (const { version, writes } of this.log.entries) {
      const told = this.#told.get(version);
      if (told === undefined) continue;
      for (const [key, value] of told.writes) {
        if (value !== undefined && !holds(writes, key, value)) {
          throw new Violation("partial", `the record of version ${version} (${told.mark}) does not hold ${key}`);
        }
      }
      if (writes.size > told.writes.size)
        throw new Violation("partial", `version ${version} holds more than was written`);
    }
  }
}

/** Whether a record holds what was written; under which sequence an event was, only the record says. */
function holds(writes: Writes, item: string, text: string): boolean {
  if (!item.startsWith("e:")) return writes.get(item) === text;
  return [...writes].some(([name, found]) => name.startsWith("e:") && found === text);
}

/** What a database was found to hold. */
export interface Found {
  /** How many entries. */
  readonly count: number;
  readonly digest: string;
}

/** What a database holds; throws unless it is a prefix with everything up to `floor`, and sound. */
export function expectPrefix(database: Database, entries: readonly Entry[], floor: number, what: string): Found {
  const { valid, fault } = database.verify();
  if (!valid) throw new Violation("silentlyCorrupt", `${what}: the heap does not verify: fault ${fault}`);
  const wrong = faultIn(database);
  if (wrong !== undefined) throw new Violation("silentlyCorrupt", `${what}: ${wrong}`);
  const digest = digestOfDatabase(database);
  const count = prefixOf(entries, digest);
  if (count < 0) throw new Violation("reordered", `${what}: no prefix of the commit order is ${digest}`);
  const least = countUpTo(entries, floor);
  if (floor > 0 && entries[least - 1]?.version !== floor) {
    throw new Violation("lost", `${what}: version ${floor} was acknowledged and is in the log no more`);
  }
  if (count < least) {
    throw new Violation("lost", `${what}: ${count} commits are there, of at least ${least} up to version ${floor}`);
  }
  return { count, digest };
}
