/**
 * A transaction on one run: it reads what it has written, then its snapshot, and commits all of it or nothing.
 */
import { HoldfastError } from "../errors.js";
import {
  STATUS_BUSY_LOCK,
  STATUS_BUSY_PENDING,
  STATUS_CONFLICT,
  STATUS_CONFLICT_PENDING,
  STATUS_DRAIN_FIRST,
  STATUS_LIMIT,
  STATUS_UNDONE,
} from "./abi.js";
import { describe, readKeys, readOptions, refuseArgument } from "./arguments.js";
import type { Value } from "./codec.js";
import { encodeKey, encodeValue } from "./codec.js";
import { type Core, type RunHandle, statusError } from "./core.js";
import type { DurabilityOption } from "./durability-mode.js";
import type { Engine } from "./engine.js";
import { KVStore } from "./primitives/kv-store.js";
import type { Versioned, WriteOptions, Writer } from "./reader-writer.js";
import type { ListOptions } from "./scan.js";
import { countKeys, listEntries, listKeys } from "./view.js";

/** How a transaction is to be made. */
export interface BeginOptions {
  /** How durable the commit is, in place of the database's own mode. */
  readonly durability?: DurabilityOption | undefined;
  /** The transaction must come to its commit within this time, or the commit throws `TIMEOUT`. */
  readonly timeoutMs?: number | undefined;
}

/** Where a transaction's commit goes: at once, or to be awaited. */
export interface TransactionPlan {
  readonly mode: number;
  readonly asynchronous: boolean;
  readonly deadlineMs: number;
}

/** What a committed transaction leaves to wait for. */
export interface Committed {
  /** The version of the commit; of one that wrote nothing, the version it started at. */
  readonly version: number;
  /** Whether it has changed anything. */
  readonly committed: boolean;
  /** What must be published before the outcome may be told; 0: nothing. */
  readonly awaits: number;
}

/** The core's side of a transaction: the primitives' {@link Writer}. */
export class TransactionWriter implements Writer {
  readonly #engine: Engine;
  readonly #handle: RunHandle;
  #open = true;
  #wrote = false;

  constructor(engine: Engine, handle: RunHandle) {
    this.#engine = engine;
    this.#handle = handle;
  }

  get isOpen(): boolean {
    return this.#open;
  }

  get wrote(): boolean {
    return this.#wrote;
  }

  get handle(): RunHandle {
    return this.#handle;
  }

  /** The core, if the transaction can still be used. */
  #core(): Core {
    this.#engine.assertLive();
    if (!this.#open) throw new HoldfastError("TRANSACTION_CLOSED", "The transaction has ended. Begin a new one.");
    const { core } = this.#engine;
    core.renew();
    return core;
  }

  /** Ends it in the core. */
  end(): void {
    if (!this.#open) return;
    this.#open = false;
    if (this.#engine.isLive) this.#engine.core.end(this.#handle);
  }

  #record(table: number, key: string): number {
    const core = this.#core();
    const pointer = core.transactionGet(this.#handle, table, encodeKey(key, core));
    if (pointer !== 0 && pointer < STATUS_LIMIT) throw statusError(pointer, "The read");
    return pointer;
  }

  get(table: number, key: string): Value | undefined {
    const record = this.#record(table, key);
    return record === 0 ? undefined : this.#engine.core.value(record);
  }

  getVersioned(table: number, key: string): Versioned | undefined {
    const record = this.#record(table, key);
    const { core } = this.#engine;
    return record === 0 ? undefined : { value: core.value(record), version: core.versionOf(record) };
  }

  getMany(table: number, keys: readonly string[]): (Value | undefined)[] {
    this.#core();
    return readKeys(keys).map((key) => this.get(table, key));
  }

  has(table: number, key: string): boolean {
    return this.#record(table, key) !== 0;
  }

  list(table: number, options: ListOptions | undefined): [string, Value][] {
    const core = this.#core();
    const note = (count: number): void => this.#check(core.noteScanned(this.#handle, table, count), "The listing");
    return listEntries(
      core,
      options,
      ({ bounds }, collect) => core.transactionScan(this.#handle, table, bounds, collect),
      note,
    );
  }

  keys(table: number, options: ListOptions | undefined): string[] {
    const core = this.#core();
    return listKeys(core, options, ({ bounds }, collect) => core.transactionScan(this.#handle, table, bounds, collect));
  }

  count(table: number, prefix: string | undefined): number {
    const core = this.#core();
    return countKeys(core, prefix, ({ bounds }, collect) => core.transactionScan(this.#handle, table, bounds, collect));
  }

  #check(status: number, what: string): void {
    if (status !== 0) throw statusError(status, what);
  }

  #checkOptions(table: number, key: string, given: WriteOptions | undefined): void {
    if (given === undefined) return;
    const options = readWriteOptions(given);
    if (options.durability !== undefined) {
      throw new HoldfastError(
        "INVALID_ARGUMENT",
        "A transaction is durable as a whole: give durability to the transaction, not to a write in it.",
      );
    }
    const { ifVersion } = options;
    if (ifVersion === undefined) return;
    const expected = expectedVersion(ifVersion);
    const record = this.#record(table, key);
    const actual = record === 0 ? 0 : this.#engine.core.versionOf(record);
    const own = record !== 0 && actual === 0;
    if (own || actual !== expected) throw versionMismatch(key, ifVersion, own ? "written in this transaction" : actual);
  }

  put(table: number, key: string, value: Value, options: WriteOptions | undefined): number {
    this.#engine.assertWritable();
    this.#core();
    this.#checkOptions(table, key, options);
    const core = this.#core();
    const valueBytes = encodeValue(value, core);
    const status = this.#core().transactionPut(this.#handle, table, encodeKey(key, core), valueBytes);
    this.#check(status, "The write");
    this.#wrote = true;
    return 0;
  }

  delete(table: number, key: string, options: WriteOptions | undefined): boolean {
    this.#engine.assertWritable();
    this.#checkOptions(table, key, options);
    if (!this.has(table, key)) return false;
    const core = this.#core();
    this.#check(core.transactionRemove(this.#handle, table, encodeKey(key, core)), "The deletion");
    this.#wrote = true;
    return true;
  }
}

/** A transaction's handle. It belongs to one run and is never used again after its end. */
export class Transaction implements Disposable {
  readonly #engine: Engine;
  readonly #writer: TransactionWriter;
  readonly #run: RunHandle;
  readonly #plan: TransactionPlan;
  /** What it had read when it ended: the newest version not published then, and whether any of it was undone. */
  #left = { depends: 0, doomed: false };
  /** The key-values as the transaction sees and changes them. */
  readonly kv: KVStore;

  /** @internal */
  constructor(engine: Engine, run: RunHandle, handle: RunHandle, plan: TransactionPlan) {
    this.#engine = engine;
    this.#run = run;
    this.#plan = plan;
    this.#writer = new TransactionWriter(engine, handle);
    this.kv = new KVStore(this.#writer);
  }

  /** Whether it has neither been committed nor rolled back. */
  get isOpen(): boolean {
    return this.#writer.isOpen;
  }

  /**
   * Commits; returns the version, or for a transaction that wrote nothing the version that it started at. Whatever
   * happens, the transaction has ended then.
   * @throws HoldfastError `CONFLICT`, `TIMEOUT`, `STORE_FULL`, `STORAGE_FULL`, `STORE_FAILED`, `COMMIT_INDETERMINATE`,
   *   `BUSY`, `TRANSACTION_CLOSED`, `CLOSED`.
   */
  commit(): number {
    if (this.#plan.asynchronous && this.isOpen) {
      throw new HoldfastError(
        "INVALID_ARGUMENT",
        "transactionAsync commits when its callback returns: do not call commit in it.",
      );
    }
    try {
      const { version, committed } = this.#install();
      if (committed) this.#settle(version);
      return version;
    } finally {
      this.rollback();
    }
  }

  #settle(version: number): void {
    if (this.#engine.core.runVisible(this.#run) < version || this.#plan.mode !== 0) {
      this.#engine.settle(this.#run, version, this.#plan.mode);
    }
  }

  /**
   * Validates and installs; the caller waits for what comes back. Ends the transaction on any failure.
   * @internal
   */
  commitInstalled(): Committed {
    const { core } = this.#engine;
    const depends = core.transactionDepends(this.#writer.handle);
    try {
      const { version, committed } = this.#install();
      return { version, committed, awaits: committed ? version : depends };
    } finally {
      this.rollback();
    }
  }

  /**
   * Ends a transaction without a commit, unless its callback has; what it has read and its outcome must wait for.
   * @throws HoldfastError `STORAGE_FULL` if what it may have read was undone.
   * @internal
   */
  abandon(): number {
    this.rollback();
    if (this.#left.doomed) throw statusError(STATUS_UNDONE);
    return this.#left.depends;
  }

  #install(): { version: number; committed: boolean } {
    this.#engine.assertLive();
    if (!this.isOpen) throw new HoldfastError("TRANSACTION_CLOSED", "The transaction has ended. Begin a new one.");
    if (this.#engine.environment.monotonicMs() > this.#plan.deadlineMs) {
      throw new HoldfastError("TIMEOUT", "The transaction took longer than its timeoutMs; nothing has changed.");
    }
    if (this.#writer.wrote) this.#engine.assertWritable();
    const { core } = this.#engine;
    const start = core.transactionStart(this.#writer.handle);
    for (;;) {
      const version = core.commit(this.#writer.handle, this.#plan.mode);
      // What changes nothing, such as deleting what is not there, has no version of its own.
      if (version >= 0) return { version, committed: version > start };
      if (-version === STATUS_DRAIN_FIRST) this.#engine.log?.drainFirst();
      else throw this.#refusal(-version);
    }
  }

  #refusal(status: number): HoldfastError {
    if (status === STATUS_CONFLICT_PENDING && !this.#plan.asynchronous) this.#engine.log?.settlePending();
    const known = [STATUS_CONFLICT, STATUS_CONFLICT_PENDING, STATUS_BUSY_PENDING, STATUS_BUSY_LOCK];
    return statusError(status, known.includes(status) ? undefined : "The transaction");
  }

  /** Ends the transaction without a commit. Doing so again, or after a commit, does nothing. */
  rollback(): void {
    if (!this.#writer.isOpen) return;
    if (this.#plan.asynchronous && this.#engine.isLive) {
      const { core } = this.#engine;
      const { handle } = this.#writer;
      this.#left = { depends: core.transactionDepends(handle), doomed: core.transactionDoomed(handle) };
    }
    this.#writer.end();
    this.#engine.unwatch(this);
  }

  [Symbol.dispose](): void {
    this.rollback();
  }
}

/** A write's options, checked for their names. */
export function readWriteOptions(options: WriteOptions): WriteOptions {
  return readOptions<WriteOptions>(options, ["durability", "ifVersion"], "A write");
}

/** The version that a key must be at, as the core takes it: 0 for none. */
export function expectedVersion(ifVersion: number | null): number {
  if (ifVersion === null) return 0;
  if (typeof ifVersion === "number" && Number.isSafeInteger(ifVersion) && ifVersion >= 1) return ifVersion;
  throw refuseArgument(`ifVersion must be a version, or null for "only if absent", got ${describe(ifVersion)}.`);
}

/** The error for a key that is at another version than was expected. */
export function versionMismatch(key: string, expected: number | null, actual: number | string): HoldfastError {
  const is = actual === 0 ? "absent" : typeof actual === "number" ? `at version ${actual}` : actual;
  const should = expected === null ? "absent" : `at version ${expected}`;
  return new HoldfastError(
    "VERSION_MISMATCH",
    `The key ${JSON.stringify(key)} was expected to be ${should}, but is ${is}; nothing has changed. Read it again.`,
    { details: { key, expected, actual: actual === 0 ? null : actual } },
  );
}
