/**
 * The core's side of a transaction: what primitives read and write through inside of one, and how it ends.
 *
 * A writer is made for one explicit transaction and never used for another, so that what was left behind cannot act in
 * somebody else's. Those behind implicit operations, which nobody ever gets hold of, are opened again and again.
 */
import { HoldfastError } from "../errors.js";
import {
  STATUS_BUSY_LOCK,
  STATUS_BUSY_PENDING,
  STATUS_CONFLICT,
  STATUS_CONFLICT_PENDING,
  STATUS_DRAIN_FIRST,
  STATUS_LIMIT,
  STATUS_POISONED,
  STATUS_RUN_STALE,
  STATUS_UNDONE,
} from "./abi.js";
import { readKeys } from "./arguments.js";
import type { Value } from "./codec.js";
import { encodeKey, encodeValue } from "./codec.js";
import { type Core, type RunHandle, statusError } from "./core.js";
import { openTraversal, traverse } from "./core-graph.js";
import { narrowScan, noteScanned, type ScanRequest, transactionScan } from "./core-scan.js";
import type { CommitMode } from "./durability-mode.js";
import type { Engine, Held, Holder } from "./engine.js";
import { markIds, notePublished, takeId } from "./ids.js";
import {
  CallerError,
  type GraphDirection,
  type HeldReader,
  type Reader,
  type StepOptions,
  type StepWriter,
  type Traversal,
  type Versioned,
  type WriteOptions,
} from "./reader-writer.js";
import type { ListOptions } from "./scan.js";
import { CoreTraversal, SIDES } from "./traversal.js";
import { countKeys, listEntries, listKeys } from "./view.js";
import { expectedVersion, readWriteOptions, refuseDurability, versionMismatch } from "./write-options.js";

export class TransactionWriter implements StepWriter, HeldReader, Holder {
  readonly #engine: Engine;
  readonly #core: Core;
  #run: RunHandle = NO_RUN;
  /** The context in the core, and its generation. */
  #pointer = 0;
  #generation = 0;
  #open = false;
  #mode = NO_MODE;
  #asynchronous = false;
  #deadlineMs = Number.POSITIVE_INFINITY;
  #start = 0;
  /** The newest unpublished version that it may have read; 0 where there is none. */
  #depends = 0;
  /** How many writes it has noted. */
  #writes = 0;
  /** The greatest id that it has taken; 0 for none. */
  #newestId = 0;
  /** Why it cannot be committed any more: a step of several writes was cut off in the middle. */
  #broken: unknown;
  #undone = false;
  #committed = false;
  /** Where it stands among the open handles that the engine watches; −1: it does not. */
  place = -1;

  constructor(engine: Engine) {
    this.#engine = engine;
    this.#core = engine.core;
  }

  /** Opens it on a run; false where that incarnation of the run is gone. */
  begin(run: RunHandle, mode: CommitMode, asynchronous: boolean, how: number, deadlineMs: number): boolean {
    const core = this.#core;
    const pointer = core.begin(run.pointer, run.generation, how);
    if (pointer === STATUS_RUN_STALE) return false;
    this.#run = run;
    this.#pointer = pointer;
    this.#start = core.resultVersion();
    this.#depends = core.begunDepends();
    this.#generation = core.begunGeneration();
    this.#mode = mode;
    this.#asynchronous = asynchronous;
    this.#deadlineMs = deadlineMs;
    this.#writes = 0;
    this.#newestId = 0;
    this.#broken = undefined;
    this.#undone = false;
    this.#committed = false;
    this.#open = true;
    return true;
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /** Whether it was installed, or had nothing to install. */
  get hasCommitted(): boolean {
    return this.#committed;
  }

  get isAsynchronous(): boolean {
    return this.#asynchronous;
  }

  held(): Held {
    return heldTransaction(this.#pointer, this.#generation, this.#start);
  }

  /** The core, if the transaction can still be used. */
  #live(): Core {
    const engine = this.#engine;
    if (!engine.isLive) engine.assertLive();
    if (!this.#open) throw new HoldfastError("TRANSACTION_CLOSED", "The transaction has ended. Begin a new one.");
    this.#core.renew();
    return this.#core;
  }

  // Reading.

  #record(table: number, key: string): number {
    const core = this.#live();
    const record = core.transactionGet(this.#pointer, this.#generation, table, encodeKey(key, core));
    if (record !== 0 && record < STATUS_LIMIT) throw core.runError(record, this.#run.pointer, "The read");
    return record;
  }

  get(table: number, key: string): Value | undefined {
    const record = this.#record(table, key);
    return record === 0 ? undefined : this.#core.value(record);
  }

  getVersioned(table: number, key: string): Versioned | undefined {
    const record = this.#record(table, key);
    return record === 0 ? undefined : { value: this.#core.value(record), version: this.#core.versionOf(record) };
  }

  getMany(table: number, keys: readonly string[]): (Value | undefined)[] {
    this.#live();
    return readKeys(keys).map((key) => this.get(table, key));
  }

  has(table: number, key: string): boolean {
    return this.#record(table, key) !== 0;
  }

  list(table: number, options: ListOptions | undefined): [string, Value][] {
    const core = this.#live();
    const note = (count: number): void => {
      check(narrowScan(core, this.#pointer, this.#generation), "The listing");
      check(noteScanned(core, this.#pointer, this.#generation, table, count), "The listing");
    };
    return listEntries(core, options, (request, collect) => this.#scan(core, table, request, collect), note);
  }

  keys(table: number, options: ListOptions | undefined): string[] {
    const core = this.#live();
    return listKeys(
      core,
      options,
      (request, collect) => this.#scan(core, table, request, collect),
      () => check(narrowScan(core, this.#pointer, this.#generation), "The listing"),
    );
  }

  count(table: number, prefix: string | undefined): number {
    const core = this.#live();
    return countKeys(core, prefix, (request, collect) => this.#scan(core, table, request, collect));
  }

  #scan(core: Core, table: number, request: ScanRequest, collect: boolean): number {
    const status = transactionScan(core, this.#pointer, this.#generation, table, request, collect);
    if (status === STATUS_POISONED) throw core.runError(status, this.#run.pointer, "The listing");
    return status;
  }

  view<T>(body: (reader: Reader) => T): T {
    this.#live();
    return body(this);
  }

  /** It is as of one instant anyway, but for what it writes itself. */
  hold(): HeldReader {
    this.#live();
    return this;
  }

  release(): void {}

  traverse(start: number, types: readonly string[], direction: GraphDirection): Traversal {
    const core = this.#live();
    const run = this.#run;
    const pointer = this.#pointer;
    const generation = this.#generation;
    return new CoreTraversal(this.#engine, openTraversal(core, start, types), this.#start, (walk, rowsMax) =>
      traverse(this.#live(), "transactionTraverse", run, walk, pointer, generation, SIDES[direction], rowsMax),
    );
  }

  // Writing.

  /** Refuses a key that is not at the version that it has to be at. */
  #checkVersion(table: number, key: string, ifVersion: WriteOptions["ifVersion"]): void {
    if (ifVersion === undefined) return;
    const expected = expectedVersion(ifVersion);
    const record = this.#record(table, key);
    const actual = record === 0 ? 0 : this.#core.versionOf(record);
    const own = record !== 0 && actual === 0;
    if (own || actual !== expected) throw versionMismatch(key, ifVersion, own ? "written in this transaction" : actual);
  }

  put(table: number, key: string, value: Value, options: WriteOptions | undefined): number {
    this.#engine.assertWritable();
    // What calls into objects of the caller comes first: they may use the database, whose values go through the same scratch, or end
    // the transaction. Only a Proxy in the value does so while that is encoded, before anything of it stands there.
    const ifVersion = expectedIn(options);
    const valueBytes = encodeValue(value, this.#live());
    this.#checkVersion(table, key, ifVersion);
    this.#write(table, key, valueBytes);
    return 0;
  }

  putOwn(table: number, key: string, value: Value): void {
    this.#engine.assertWritable();
    this.#write(table, key, encodeValue(value, this.#live(), true));
  }

  #write(table: number, key: string, valueBytes: number): void {
    const core = this.#live();
    check(core.transactionPut(this.#pointer, this.#generation, table, encodeKey(key, core), valueBytes), "The write");
    this.#writes++;
  }

  delete(table: number, key: string, options: WriteOptions | undefined): boolean {
    this.#engine.assertWritable();
    this.#checkVersion(table, key, expectedIn(options));
    if (!this.has(table, key)) return false;
    this.remove(table, key);
    return true;
  }

  /** Deletes what may be there without looking, so that it is not noted as read. */
  remove(table: number, key: string): void {
    const core = this.#live();
    const status = core.transactionRemove(this.#pointer, this.#generation, table, encodeKey(key, core));
    check(status, "The deletion");
    this.#writes++;
  }

  step<T>(body: (writer: StepWriter) => T, options: StepOptions | undefined): T {
    this.#engine.assertWritable();
    refuseDurability(options?.durability);
    this.#live();
    const before = this.#writes;
    try {
      return body(this);
    } catch (error) {
      // Half of a step must never be committed. What a caller's function has done before it threw is whole by itself.
      if (this.#writes !== before && !(error instanceof CallerError)) this.#broken ??= error;
      throw error;
    }
  }

  get takenId(): number {
    return this.#newestId;
  }

  newId(): number {
    const id = takeId(this.#live(), this.#run, this.#start);
    this.#newestId = Math.max(this.#newestId, id);
    return id;
  }

  nowMs(): number {
    return this.#engine.wallMs();
  }

  randomBytes(bytes: Uint8Array): void {
    this.#engine.environment.randomBytes(bytes);
  }

  // Ending.

  /**
   * Commits and keeps the mode's promise; returns the version, or for one that wrote nothing the version that it started
   * at. Whatever happens, it has ended then.
   */
  commit(): number {
    const version = this.#install();
    // What changes nothing, such as deleting what is not there, has no version of its own.
    if (version > this.#start && this.#engine.log !== undefined) this.#engine.settle(this.#run, version, this.#mode);
    if (this.#newestId > 0 && version > this.#start) notePublished(this.#engine, this.#run, this.#newestId);
    return version;
  }

  /** Validates and installs; the version that its outcome must wait for, 0 where there is none. */
  commitInstalled(): { readonly awaits: number; readonly committed: boolean } {
    const version = this.#install();
    const committed = version > this.#start;
    return { awaits: committed ? version : this.#depends, committed };
  }

  #install(): number {
    try {
      this.#live();
      if (this.#broken !== undefined) throw this.#broken;
      if (this.#deadlineMs !== Number.POSITIVE_INFINITY) this.#checkDeadline();
      if (this.#writes > 0) this.#engine.assertWritable();
      if (this.#newestId > 0 && this.#writes > 0) markIds(this.#engine, this.#run, this.#newestId, this.#start, this);
      for (;;) {
        const version = this.#core.commit(this.#pointer, this.#generation, this.#mode.number);
        if (-version === STATUS_DRAIN_FIRST) {
          this.#engine.log?.drainFirst();
          continue;
        }
        this.#ended();
        this.#committed = version >= 0;
        if (this.#committed) return version;
        throw this.#refusal(-version);
      }
    } finally {
      this.rollback();
    }
  }

  #checkDeadline(): void {
    if (this.#engine.environment.monotonicMs() <= this.#deadlineMs) return;
    throw new HoldfastError("TIMEOUT", "The transaction took longer than its timeoutMs; nothing has changed.");
  }

  #refusal(status: number): HoldfastError {
    const isPending = status === STATUS_CONFLICT_PENDING || status === STATUS_BUSY_PENDING;
    if (isPending && !this.#asynchronous && this.#engine.log?.settlePending()) return statusError(STATUS_CONFLICT);
    const known = [STATUS_CONFLICT, STATUS_CONFLICT_PENDING, STATUS_BUSY_PENDING, STATUS_BUSY_LOCK];
    return statusError(status, known.includes(status) ? undefined : "The transaction");
  }

  /** Keeps a handle that was ended; see {@link Engine.keptTransaction}. */
  keep(handle: object): void {
    if (!this.#open) this.#engine.keptTransaction = handle;
  }

  #ended(): void {
    this.#open = false;
    this.#engine.unwatch(this);
  }

  /** Ends it without a commit. Doing so again, or after a commit, does nothing. */
  rollback(): void {
    if (!this.#open) return;
    this.#ended();
    if (this.#engine.canGiveBack) this.#undone = this.#core.end(this.#pointer, this.#generation) === STATUS_UNDONE;
  }

  /**
   * Ends it without a commit, unless its callback has; the version that its outcome must wait for, 0 where there is none.
   * @throws HoldfastError `STORAGE_FULL` if what it may have read was undone.
   */
  abandon(): number {
    this.rollback();
    if (this.#undone) throw statusError(STATUS_UNDONE);
    return this.#depends;
  }
}

function heldTransaction(pointer: number, generation: number, version: number): Held {
  return { version, giveBack: (core) => core.end(pointer, generation) };
}

const NO_RUN: RunHandle = { pointer: 0, generation: 0 };
const NO_MODE: CommitMode = { number: 0, bounds: undefined };

function check(status: number, what: string): void {
  if (status !== 0) throw statusError(status, what);
}

/** The version that a write in a transaction expects, by its options. */
function expectedIn(given: WriteOptions | undefined): WriteOptions["ifVersion"] {
  if (given === undefined) return undefined;
  const { durability, ifVersion } = readWriteOptions(given);
  refuseDurability(durability);
  return ifVersion;
}
