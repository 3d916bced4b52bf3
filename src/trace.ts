/**
 * What each commit of a database has cost, and where: `holdfast/trace`.
 *
 * ```ts
 * const tracer = trace();
 * const db = await Database.open({ path: "./agent-state", trace: tracer });
 * tracer.commits.at(-1); // { version, snapshotAcquireNs, …, fsyncNs, commitTotalNs, keysRead, keysWritten }
 * tracer.summary().fsyncNs.p99;
 * ```
 *
 * A database that is opened without it has no trace of it: the measuring stands around the core's exports and the storage's
 * session, and nowhere else.
 */
import type { StorageSession } from "./adapters/storage.js";
import { checkFunction, describe, readOptions, refuseArgument } from "./host/arguments.js";
import type { CoreExports } from "./host/core-loader.js";
import type { Attachment, Instrument } from "./host/instrument.js";

/** What one commit has cost. Times are in nanoseconds, as fine as the platform's clock. */
export interface PerfTrace {
  readonly version: number;
  /** Taking the snapshot that its transaction started at; 0 for a single operation. */
  readonly snapshotAcquireNs: number;
  /** Comparing what it has read with what is installed; 0 for a single operation, which does so while it writes. */
  readonly readSetValidateNs: number;
  /** Making room, encoding its record, and installing its versions. */
  readonly writeSetApplyNs: number;
  /** Handing its record to the storage, with those of others that went along. */
  readonly walAppendNs: number;
  /** The syncs between its installation and its publication, which it may share with others. */
  readonly fsyncNs: number;
  /** From the call of the commit until readers see it. */
  readonly commitTotalNs: number;
  /** Keys that it has read and written, those of indices included. */
  readonly keysRead: number;
  readonly keysWritten: number;
}

/** A measure of a {@link PerfTrace} over several commits. */
export interface Spread {
  readonly mean: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** The measures of a {@link PerfTrace}. */
export type Measure = Exclude<keyof PerfTrace, "version">;

/** What {@link Tracer.summary} gives. */
export type PerfSummary = { readonly commits: number } & { readonly [M in Measure]: Spread };

/** How a tracer is made. */
export interface TraceOptions {
  /** How many of the newest commits are kept, at least one; by default 1,000. */
  readonly keep?: number | undefined;
  /** Told of each commit right after readers see it, once the caller's turn is over. What it throws is ignored. */
  readonly onCommit?: ((trace: PerfTrace) => void) | undefined;
}

const MEASURES: readonly Measure[] = [
  "snapshotAcquireNs",
  "readSetValidateNs",
  "writeSetApplyNs",
  "walAppendNs",
  "fsyncNs",
  "commitTotalNs",
  "keysRead",
  "keysWritten",
];
const KEEP = 1000;

/** A commit that is installed and not yet seen by readers. */
interface Pending {
  readonly trace: { -readonly [M in keyof PerfTrace]: PerfTrace[M] };
  readonly startedNs: number;
  /** The run's header and incarnation. */
  readonly run: number;
  readonly generation: number;
}

/** A transaction that is open. */
interface Opened {
  readonly run: number;
  readonly generation: number;
  readonly snapshotAcquireNs: number;
  readonly start: number;
}

function nowNs(): number {
  return performance.now() * 1e6;
}

/** Measures the commits of every database that it is passed to as `trace`. */
export class Tracer implements Instrument {
  readonly #keep: number;
  readonly #onCommit: ((trace: PerfTrace) => void) | undefined;
  #commits: PerfTrace[] = [];

  /** @internal */
  constructor(keep: number, onCommit: ((trace: PerfTrace) => void) | undefined) {
    this.#keep = keep;
    this.#onCommit = onCommit;
  }

  /** The newest commits, in the order in which readers came to see them. */
  get commits(): readonly PerfTrace[] {
    return this.#commits.slice(-this.#keep);
  }

  /** Mean, median, 99th percentile and maximum of each measure over the commits that are kept. */
  summary(): PerfSummary {
    const commits = this.commits;
    const spreads = MEASURES.map((measure) => [measure, spreadOf(commits.map((commit) => commit[measure]))]);
    return { commits: commits.length, ...Object.fromEntries(spreads) } as PerfSummary;
  }

  /** @internal */
  attach(exports: CoreExports, persistent: boolean, memory: WebAssembly.Memory): Attachment {
    return new Tap(exports, persistent, memory, (commit) => this.#note(commit));
  }

  #note(commit: PerfTrace): void {
    this.#commits.push(commit);
    if (this.#commits.length >= 2 * this.#keep) this.#commits = this.#commits.slice(-this.#keep);
    const listener = this.#onCommit;
    // Not at once: the listener may use the database, which is in the middle of a call.
    if (listener !== undefined) queueMicrotask(() => tell(listener, commit));
  }
}

/** What a listener throws is its own affair. */
function tell(listener: (trace: PerfTrace) => void, commit: PerfTrace): void {
  try {
    listener(commit);
  } catch {}
}

/** Measures the commits of one database. */
class Tap implements Attachment {
  readonly exports: CoreExports;
  readonly #core: CoreExports;
  readonly #persistent: boolean;
  readonly #memory: WebAssembly.Memory;
  readonly #note: (commit: PerfTrace) => void;
  readonly #opened = new Map<number, Opened>();
  #pending: Pending[] = [];

  constructor(core: CoreExports, persistent: boolean, memory: WebAssembly.Memory, note: (commit: PerfTrace) => void) {
    this.#core = core;
    this.#persistent = persistent;
    this.#memory = memory;
    this.#note = note;
    this.exports = this.#wrapped();
  }

  #wrapped(): CoreExports {
    return {
      ...this.#core,
      put: (...numbers) => this.#single("put", 0, numbers),
      remove: (...numbers) => this.#single("remove", 1, numbers),
      runDelete: (...numbers) => this.#single("runDelete", 0, numbers),
      transactionOpen: (...numbers) => this.#open(numbers),
      transactionCommit: (...numbers) => this.#commit(numbers),
      transactionClose: (...numbers) => {
        this.#opened.delete(numbers[0] ?? 0);
        return this.#call("transactionClose", numbers);
      },
      drained: () => this.#after("drained", []),
      synced: (...numbers) => this.#after("synced", numbers),
      drainFailed: (...numbers) => {
        const undone = this.#call("drainFailed", numbers);
        this.#forgetUndone();
        return undone;
      },
    };
  }

  session(session: StorageSession): StorageSession {
    const timed =
      <A extends unknown[], R>(measure: "walAppendNs" | "fsyncNs", call: (...input: A) => R) =>
      (...input: A): R => {
        const startedNs = nowNs();
        const waiting = [...this.#pending];
        const add = (): void => {
          const tookNs = nowNs() - startedNs;
          for (const { trace } of waiting) trace[measure] += tookNs;
        };
        const result = call.apply(session, input);
        if (result instanceof Promise) {
          return result.then((value: unknown) => {
            add();
            return value;
          }) as R;
        }
        add();
        return result;
      };
    const wrapped = Object.create(session) as { -readonly [K in keyof StorageSession]: StorageSession[K] };
    const methods = ["segments", "read", "createSegment", "createSegmentSync", "truncate", "truncateSync"] as const;
    // A session keeps what it has in private fields, so that its methods must be called on itself.
    const checkpoints = ["checkpoints", "readCheckpoint", "beginCheckpoint", "removeCheckpoint"] as const;
    for (const name of [...methods, "removeSegment", ...checkpoints, "close"] as const) {
      const method = session[name] as (...input: unknown[]) => unknown;
      Object.defineProperty(wrapped, name, { value: (...input: unknown[]) => method.apply(session, input) });
    }
    for (const name of ["epoch", "fresh", "persisted", "vanished", "ticket"] as const) {
      Object.defineProperty(wrapped, name, { get: () => session[name] });
    }
    for (const name of ["prepareSegment", "joinSegmentSync", "adoptSegmentSync"] as const) {
      const method = session[name] as ((...input: unknown[]) => unknown) | undefined;
      if (method === undefined) continue;
      Object.defineProperty(wrapped, name, { value: (...input: unknown[]) => method.apply(session, input) });
    }
    Object.defineProperty(wrapped, "append", { value: timed("walAppendNs", session.append) });
    Object.defineProperty(wrapped, "appendSync", { value: timed("walAppendNs", session.appendSync) });
    // What appends and syncs at once has cost a sync.
    const { appendDurably } = session;
    if (appendDurably !== undefined) {
      Object.defineProperty(wrapped, "appendDurably", { value: timed("fsyncNs", appendDurably) });
    }
    Object.defineProperty(wrapped, "flush", { value: timed("fsyncNs", session.flush) });
    Object.defineProperty(wrapped, "flushSync", { value: timed("fsyncNs", session.flushSync) });
    return wrapped;
  }

  #call(name: string, numbers: readonly number[]): number {
    return (this.#core[name] as (...numbers: readonly number[]) => number)(...numbers);
  }

  /** A commit of one operation. The first two numbers of each are the run and its incarnation. */
  #single(name: string, keysRead: number, numbers: readonly number[]): number {
    const startedNs = nowNs();
    const version = this.#call(name, numbers);
    const writeSetApplyNs = nowNs() - startedNs;
    if (version > 0) {
      this.#installed(startedNs, numbers, { ...EMPTY, version, writeSetApplyNs, keysRead, keysWritten: 1 });
    }
    return version;
  }

  #open(numbers: readonly number[]): number {
    const startedNs = nowNs();
    const context = this.#call("transactionOpen", numbers) >>> 0;
    const snapshotAcquireNs = nowNs() - startedNs;
    const [run = 0, generation = 0] = numbers;
    // Where the core says it: it may be above what its run has come to.
    const start = new DataView(this.#memory.buffer).getFloat64(this.#call("scratchResult", []) >>> 0, true);
    this.#opened.set(context, { run, generation, snapshotAcquireNs, start });
    return context;
  }

  #commit(numbers: readonly number[]): number {
    const [context = 0] = numbers;
    const opened = this.#opened.get(context);
    const keysRead = this.#call("transactionReads", [context]) >>> 0;
    const keysWritten = this.#call("transactionWrites", [context]) >>> 0;
    const startedNs = nowNs();
    this.#call("transactionValidate", numbers.slice(0, 2));
    const validatedNs = nowNs();
    const version = this.#call("transactionCommit", numbers);
    const readSetValidateNs = validatedNs - startedNs;
    // The commit validates once more.
    const writeSetApplyNs = Math.max(0, nowNs() - validatedNs - readSetValidateNs);
    if (version >= 0) this.#opened.delete(context);
    if (opened !== undefined && keysWritten > 0 && version > opened.start) {
      const { snapshotAcquireNs } = opened;
      const costs = { snapshotAcquireNs, readSetValidateNs, writeSetApplyNs, keysRead, keysWritten };
      this.#installed(startedNs, [opened.run, opened.generation], { ...EMPTY, version, ...costs });
    }
    return version;
  }

  #installed(startedNs: number, [run = 0, generation = 0]: readonly number[], trace: PerfTrace): void {
    this.#pending.push({ trace: { ...trace }, startedNs, run, generation });
    this.#publish();
  }

  #after(name: string, numbers: readonly number[]): number {
    const result = this.#call(name, numbers);
    this.#publish();
    return result;
  }

  /** Whether readers see a commit: also where its run was deleted since. */
  #isPublished({ run, generation, trace }: Pending): boolean {
    if (!this.#persistent) return true;
    const visible = this.#call("runVisible", [run, generation]);
    return visible < 0 || visible >= trace.version;
  }

  #publish(): void {
    if (this.#pending.length === 0) return;
    const still: Pending[] = [];
    for (const pending of this.#pending) {
      if (this.#isPublished(pending)) this.#finish(pending);
      else still.push(pending);
    }
    this.#pending = still;
  }

  #finish({ trace, startedNs }: Pending): void {
    trace.commitTotalNs = nowNs() - startedNs;
    this.#note(trace);
  }

  /** What was undone for want of room was no commit. */
  #forgetUndone(): void {
    this.#publish();
    const written = this.#call("writtenVersion", []);
    this.#pending = this.#pending.filter(({ trace }) => trace.version <= written);
  }
}

const EMPTY: PerfTrace = {
  version: 0,
  snapshotAcquireNs: 0,
  readSetValidateNs: 0,
  writeSetApplyNs: 0,
  walAppendNs: 0,
  fsyncNs: 0,
  commitTotalNs: 0,
  keysRead: 0,
  keysWritten: 0,
};

function spreadOf(values: readonly number[]): Spread {
  if (values.length === 0) return { mean: 0, p50: 0, p99: 0, max: 0 };
  const sorted = [...values].sort((a, b) => a - b);
  const at = (part: number): number => sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] as number;
  return {
    mean: values.reduce((sum, value) => sum + value, 0) / values.length,
    p50: at(0.5),
    p99: at(0.99),
    max: at(1),
  };
}

/**
 * A tracer, to be passed to `Database.open` as `trace`.
 * @throws HoldfastError `INVALID_ARGUMENT`.
 */
export function trace(options?: TraceOptions): Tracer {
  const { keep, onCommit } = readOptions<TraceOptions>(options, ["keep", "onCommit"], "trace");
  if (keep !== undefined && !(Number.isSafeInteger(keep) && keep >= 1)) {
    throw refuseArgument(`keep must be a whole number of at least 1, got ${describe(keep)}.`);
  }
  if (onCommit !== undefined) checkFunction(onCommit, "onCommit");
  return new Tracer(keep ?? KEEP, onCommit);
}
