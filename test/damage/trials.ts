/**
 * Opening damaged files, and what has to come of it.
 *
 * A trial reads files back into a core that is wiped for each, and compares with what `judgeLog` says: the state byte by
 * byte, the bytes dropped, or the refusal with its segment and offset. A deep trial opens them as a database, reads
 * everything there is, writes, closes, and reads back what that has left.
 */
import type { Storage } from "../../src/adapters/storage.js";
import { HoldfastError } from "../../src/errors.js";
import { platformEnvironment } from "../../src/host/environment.js";
import { recoverLog } from "../../src/host/recovery.js";
import { Database, type Run } from "../../src/index.js";
import { type Build, moduleOf, SHARED, SINGLE, SINGLE_DEBUG } from "../support/builds.js";
import { ByteStorage, type Segments } from "../support/byte-storage.js";
import { type DatabaseFiles, judgeExport, judgeLog, stateLine, type Verdict } from "../support/plain-log.js";
import { RecycledCore } from "../support/recycled-core.js";

/** More than any of these logs may need: what takes more has believed a length that it should not have. */
const MAX_BYTES = 16 * 1024 * 1024;
/** What an empty database uses, and what one may use for each byte of its log. */
const USED_BYTES_EMPTY = 320 * 1024;
const USED_BYTES_PER_LOG_BYTE = 16;
/** The memory that was grown for it, which goes by steps. */
const GROWTH_BYTES = 1024 * 1024;
/** One trial of so many is on the debug core, on the shared one, deep. */
const DEBUG_EVERY = 8;
const SHARED_EVERY = 31;
const DEEP_EVERY = 101;
/** An epoch above those of all golden logs, as the storage's own count has it. */
const EPOCH = 8;

const OPTIONS = { readOnly: false, databaseId: new Uint8Array(16), environment: platformEnvironment() };

/** Why a trial failed. */
export interface Fault {
  readonly kind: "silentlyCorrupt" | "lost" | "untyped" | "other";
  readonly what: string;
}

function fault(kind: Fault["kind"], what: string): Fault {
  return { kind, what };
}

function bytesIn({ segments, checkpoints }: DatabaseFiles): number {
  let sum = 0;
  for (const bytes of segments.values()) sum += bytes.length;
  for (const bytes of checkpoints.values()) sum += bytes.length;
  return sum;
}

function keeps(before: Segments, after: Segments): boolean {
  for (const [number, bytes] of before) if (after.get(number) !== bytes) return false;
  return true;
}

/** Whether every file is the very one that was there before, and no other. */
function isUntouched(before: DatabaseFiles, after: DatabaseFiles): boolean {
  const sameSegments = keeps(before.segments, after.segments) && before.segments.size === after.segments.size;
  return (
    sameSegments && keeps(before.checkpoints, after.checkpoints) && before.checkpoints.size === after.checkpoints.size
  );
}

/** Whether all that is read is the same as before: what a checkpoint has taken the place of may be gone. */
function isKept({ segments, checkpoints }: DatabaseFiles, after: DatabaseFiles): boolean {
  const newest = Math.max(0, ...checkpoints.keys());
  const read = (files: Segments): Segments => new Map([...files].filter(([number]) => number >= newest));
  return keeps(read(segments), after.segments) && keeps(read(checkpoints), after.checkpoints);
}

function textOf(error: unknown): string {
  return HoldfastError.is(error) ? `${error.code}: ${error.message}` : String(error);
}

/** What is wrong with a refusal, if anything. */
function faultOfRefusal(error: unknown, expected: Verdict): Fault | undefined {
  if (!HoldfastError.is(error)) return fault("untyped", `threw ${error instanceof Error ? error.stack : error}`);
  if (expected.kind === "good") return fault("lost", `refused what is good: ${textOf(error)}`);
  const { offset, format } = error.details;
  const where = `${expected.file} ${expected.number} byte ${expected.offset} (${expected.why})`;
  if (error.code !== expected.code) return fault("untyped", `${textOf(error)}, not ${expected.code} at ${where}`);
  const number = error.details[expected.file];
  // An export has no number; its header is spoken of as that of checkpoint 0.
  if (number !== expected.number && !(expected.number === 0 && number === undefined)) {
    return fault("other", `${textOf(error)}, not at ${where}`);
  }
  if (error.code === "UNSUPPORTED") {
    return typeof format === "number" ? undefined : fault("other", "does not name the format");
  }
  return offset === expected.offset ? undefined : fault("other", `names byte ${offset}, not ${where}`);
}

/** Opens one log after the other. */
export class Trials {
  readonly #cores: ReadonlyMap<Build, RecycledCore>;
  readonly #modules: ReadonlyMap<Build, WebAssembly.Module>;
  #tried = 0;
  /** Commits that were found where they had to be. */
  commits = 0;

  private constructor(cores: Map<Build, RecycledCore>, modules: Map<Build, WebAssembly.Module>) {
    this.#cores = cores;
    this.#modules = modules;
  }

  static async begin(): Promise<Trials> {
    const cores = new Map<Build, RecycledCore>();
    const modules = new Map<Build, WebAssembly.Module>();
    for (const build of [SINGLE, SINGLE_DEBUG, SHARED]) {
      cores.set(build, await RecycledCore.of(build, MAX_BYTES));
      modules.set(build, await moduleOf(build));
    }
    return new Trials(cores, modules);
  }

  /** What is wrong with how these files open, if anything. */
  async of(files: DatabaseFiles): Promise<Fault | undefined> {
    const number = this.#tried++;
    const build = number % DEBUG_EVERY === 0 ? SINGLE_DEBUG : number % SHARED_EVERY === 0 ? SHARED : SINGLE;
    const expected = judgeLog(files, EPOCH + 1);
    const found = await this.#shallow(files, expected, build);
    if (found !== undefined || number % DEEP_EVERY !== 0) return found;
    return this.#deep(files, expected, number % (2 * DEEP_EVERY) === 0 ? SINGLE_DEBUG : SINGLE);
  }

  async #shallow(files: DatabaseFiles, expected: Verdict, build: Build): Promise<Fault | undefined> {
    const recycled = this.#cores.get(build) as RecycledCore;
    const core = recycled.format();
    const storage = new ByteStorage(files.segments, EPOCH, files.checkpoints);
    const session = await storage.open();
    let state: string;
    let dropped: number;
    try {
      const { recovered } = await recoverLog(session, core, OPTIONS);
      dropped = recovered?.droppedBytes ?? 0;
      state = recycled.state();
    } catch (error) {
      if (!isUntouched(files, storage)) return fault("other", "files were changed although they were refused");
      return faultOfRefusal(error, expected);
    }
    if (!isKept(files, storage)) return fault("other", "a file was changed");
    if (expected.kind === "refused") return fault("silentlyCorrupt", `opened, and should not: ${expected.why}`);
    if (state !== expected.state) return fault("silentlyCorrupt", `the state is\n${state}\nnot\n${expected.state}`);
    if (dropped !== expected.droppedBytes) {
      return fault("other", `reports ${dropped} dropped bytes, not ${expected.droppedBytes}`);
    }
    this.commits += expected.commits;
    const logBytes = bytesIn(files);
    const { bytes, usedBytes } = recycled.use(core);
    if (usedBytes > USED_BYTES_EMPTY + USED_BYTES_PER_LOG_BYTE * logBytes || bytes > GROWTH_BYTES + 32 * logBytes) {
      return fault("other", `uses ${usedBytes} of ${bytes} bytes of memory for a log of ${logBytes}`);
    }
    const broken = build.debug ? core.verify() : 0;
    return broken === 0 ? undefined : fault("other", `invariant ${broken} of the heap is broken`);
  }

  async #deep(files: DatabaseFiles, expected: Verdict, build: Build): Promise<Fault | undefined> {
    const storage = new ByteStorage(files.segments, EPOCH, files.checkpoints);
    let db: Database;
    try {
      db = await this.#open(storage, build);
    } catch (error) {
      return faultOfRefusal(error, expected);
    }
    if (expected.kind === "refused") return fault("silentlyCorrupt", `opened, and should not: ${expected.why}`);
    const runs = new Set(expected.state.split("\n").map(runOf));
    const untyped = readEverything(db, [...runs].filter(isUtf8).map(fromLatin1));
    if (untyped !== undefined) return untyped;
    if (!db.verify().valid) return fault("other", "the heap does not verify");
    try {
      db.run("written behind").kv.put("k", 7);
      await db.close();
    } catch (error) {
      return HoldfastError.is(error) ? undefined : fault("untyped", `writing behind it threw ${textOf(error)}`);
    }
    const after = judgeLog(storage, EPOCH + 1);
    const lines = expected.state === "" ? [] : expected.state.split("\n");
    const state = [
      ...lines.filter((line) => runOf(line) !== "written behind"),
      stateLine("written behind", 0, "k", "\u0007"),
    ];
    if (after.kind === "refused") return fault("lost", `what was written behind it cannot be read: ${after.why}`);
    if (after.state !== state.sort().join("\n")) return fault("lost", `written behind it, it holds\n${after.state}`);
    return this.#shallow(storage, after, SINGLE);
  }

  /** What is wrong with how a stream is imported, if anything: into an empty storage, which stays empty if it is refused. */
  async ofExport(bytes: Uint8Array): Promise<Fault | undefined> {
    const build = this.#tried++ % DEBUG_EVERY === 0 ? SINGLE_DEBUG : SINGLE;
    const expected = judgeExport(bytes);
    const storage = new ByteStorage(new Map(), EPOCH);
    try {
      const db = await Database.import([bytes], { storage, wasm: this.#modules.get(build), maxBytes: MAX_BYTES });
      if (expected.kind === "refused") return fault("silentlyCorrupt", `imported, and should not: ${expected.why}`);
      if (!db.verify().valid) return fault("other", "the heap does not verify");
      await db.close();
    } catch (error) {
      if (storage.segments.size + storage.checkpoints.size > 0) return fault("other", "left something behind");
      return faultOfRefusal(error, expected);
    }
    const after = judgeLog(storage, EPOCH + 2);
    if (after.kind === "refused") return fault("lost", `what was imported cannot be read: ${after.why}`);
    return after.state === expected.state ? undefined : fault("silentlyCorrupt", `imported as\n${after.state}`);
  }

  #open(storage: Storage, build: Build): Promise<Database> {
    return Database.open({ storage, wasm: this.#modules.get(build), shared: build.shared, maxBytes: MAX_BYTES });
  }
}

function runOf(line: string): string {
  return line === "" ? "" : (JSON.parse(line) as [string])[0];
}

function fromLatin1(text: string): string {
  return Buffer.from(text, "latin1").toString();
}

function isUtf8(latin1: string): boolean {
  return latin1 !== "" && Buffer.from(fromLatin1(latin1)).toString("latin1") === latin1;
}

/** Reads everything that a database shows; a fault if anything is thrown that is no HoldfastError. */
function readEverything(db: Database, runs: readonly string[]): Fault | undefined {
  const reads: (() => unknown)[] = [
    () => db.stats(),
    () => db.runs.list(),
    () => db.runs.stats(),
    () => db.totalCount(),
  ];
  for (const id of runs) reads.push(...readsOf(db.run(id)));
  for (const read of reads) {
    try {
      read();
    } catch (error) {
      if (!HoldfastError.is(error)) return fault("untyped", `${read} threw ${textOf(error)}`);
    }
  }
  return undefined;
}

function readsOf(run: Run): (() => unknown)[] {
  return [
    () => run.kv.list(),
    () => run.kv.count(),
    () => run.events.head(),
    () => [...run.events.range(0, 100)],
    () => run.events.types(),
    () => run.events.verify(),
    () => run.state.list(),
    () => run.traces.list(),
    () => run.traces.roots(),
    () => run.count(),
    () => run.snapshot().kv.list(),
  ];
}
