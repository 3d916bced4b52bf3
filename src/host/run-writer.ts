/**
 * The core's side of a run: every implicit operation, one call of the core each.
 *
 * The run's name is resolved in the core when it is first needed, and again when the core says that the incarnation is
 * gone. A write that is refused has changed nothing: it is tried again where the host can mend the reason, and thrown as a
 * typed error otherwise.
 */

import { HoldfastError } from "../errors.js";
import {
  BEGIN_INSTALLED,
  BEGIN_STEP,
  RUN_ID_BYTES_MAX,
  SLOT_RUN_STALE,
  STATUS_BUSY_PENDING,
  STATUS_DRAIN_FIRST,
  STATUS_LARGE,
  STATUS_LIMIT,
  STATUS_NOTHING,
  STATUS_NOTHING_PENDING,
  STATUS_POISONED,
  STATUS_RUN_STALE,
  STATUS_VERSION_MISMATCH,
  TABLE_KV,
  VERSION_HEADER_BYTES,
  VERSION_LENGTH_OFFSET,
} from "./abi.js";
import { readKeys } from "./arguments.js";
import { decodeValue, encodeKey, encodeName, encodeValue, type Value } from "./codec.js";
import { type Core, type RunHandle, statusError } from "./core.js";
import { type ScanRequest, scan } from "./core-scan.js";
import type { CommitMode } from "./durability-mode.js";
import type { Engine } from "./engine.js";
import { KnownKeys } from "./known-keys.js";
import type { HeldReader, Reader, StepOptions, StepWriter, Versioned, WriteOptions, Writer } from "./reader-writer.js";
import { type ListOptions, prepareScan } from "./scan.js";
import { Snapshot, SnapshotReader, viewOnSnapshot } from "./snapshot.js";
import { TransactionWriter } from "./transaction-writer.js";
import { countKeys, listEntries, listKeys } from "./view.js";
import { expectedVersion, readWriteOptions, versionMismatch } from "./write-options.js";

/** No expectation of a key's version. */
const ANY_VERSION = -1;
/** Attempts of an implicit operation that meets conflicts: each means that somebody else has got on. */
const STEP_ATTEMPTS_MAX = 100;

/** Instead of a run: look again which there is. */
const LOST: RunHandle = { pointer: -1, generation: 0 };

/** The core's side of a run: the primitives' {@link Writer}, one call for each operation. */
export class RunWriter implements Writer {
  readonly #engine: Engine;
  readonly #id: string;
  /** Where the run is in the core. Replaced as a whole, because commits in flight keep the one they were made with. */
  #handle: RunHandle = { pointer: 0, generation: 0 };
  #takenAt = 0;
  /** Undefined where memory is shared. */
  readonly #known: KnownKeys | undefined;
  /** The writer of the last step, which nobody has kept. */
  #spare: TransactionWriter | undefined;
  /** The run that it writes: who has kept no more than a store of it keeps it too, and asking for the run again gives no second one. */
  owner: object | undefined;

  constructor(engine: Engine, id: string) {
    this.#engine = engine;
    this.#id = id;
    this.#known = engine.core.shared ? undefined : new KnownKeys(engine.core);
  }

  #encodeId(core: Core): number {
    core.renew();
    return encodeName(this.#id, RUN_ID_BYTES_MAX, "The run id", core);
  }

  /** Looks the run up; pointer 0 if nothing was ever written to it. Overwrites the key in scratch. */
  resolve(): RunHandle {
    const { core } = this.#engine;
    this.#handle = core.resolveRun(this.#encodeId(core));
    return this.#handle;
  }

  /** The run, made if it is not there. Overwrites the key in scratch. */
  create(): RunHandle {
    const { core } = this.#engine;
    this.#handle = core.createRun(this.#encodeId(core));
    return this.#handle;
  }

  /** The run as last looked up, looked up now if it was not there then. */
  handle(): RunHandle {
    return this.#handle.pointer === 0 ? this.resolve() : this.#handle;
  }

  /** The version record of a key, 0 if there is none. */
  #record(table: number, key: string): number {
    const engine = this.#engine;
    if (!engine.isOpen) engine.assertOpen();
    const { core } = engine;
    core.renew();
    const known = table === TABLE_KV ? this.#known : undefined;
    const found = known?.record(key) ?? 0;
    if (found !== 0) return found;
    const keyBytes = encodeKey(key, core);
    const { pointer, generation } = this.#handle;
    if (pointer === 0) return this.#recordAnew(table, key);
    const record = core.get(pointer, generation, table, keyBytes);
    if (record >= STATUS_LIMIT) {
      known?.learn(key, pointer, table, keyBytes);
      return record;
    }
    if (record === 0 || record === STATUS_LARGE) return record;
    if (record !== STATUS_RUN_STALE && record !== STATUS_POISONED) throw statusError(record, "The read");
    return this.#recordAnew(table, key);
  }

  #recordAnew(table: number, key: string): number {
    const { core } = this.#engine;
    const { pointer, generation } = this.resolve();
    if (pointer === 0) return 0;
    const record = core.get(pointer, generation, table, encodeKey(key, core));
    if (record >= STATUS_LIMIT || record === STATUS_LARGE) return record;
    // Deleted since: whatever comes after that is a later state.
    if (record === 0 || record === STATUS_RUN_STALE) return 0;
    throw statusError(record, "The read");
  }

  get(table: number, key: string): Value | undefined {
    const record = this.#record(table, key);
    if (record === 0) return undefined;
    if (record === STATUS_LARGE) return this.view((reader) => reader.get(table, key));
    const { core } = this.#engine;
    return decodeValue(core, record + VERSION_HEADER_BYTES, core.view.getUint32(record + VERSION_LENGTH_OFFSET, true));
  }

  getVersioned(table: number, key: string): Versioned | undefined {
    const record = this.#record(table, key);
    if (record === 0) return undefined;
    if (record === STATUS_LARGE) return this.view((reader) => reader.getVersioned(table, key));
    const { core } = this.#engine;
    return { value: core.value(record), version: core.versionOf(record) };
  }

  getMany(table: number, given: readonly string[]): (Value | undefined)[] {
    this.#engine.assertOpen();
    const keys = readKeys(given);
    return this.view((reader) => keys.map((key) => reader.get(table, key)));
  }

  view<T>(body: (reader: Reader) => T): T {
    const engine = this.#engine;
    engine.assertOpen();
    // Nothing else runs between the reads unless other workers share the memory.
    if (!engine.core.shared) return body(this);
    const slot = this.takeSnapshot(true);
    return viewOnSnapshot(engine, slot, this.#handle, this.#takenAt, body);
  }

  hold(): HeldReader {
    const snapshot = this.snapshot();
    return new SnapshotReader(snapshot, this.#handle, () => snapshot.dispose());
  }

  /** Holds the run as it is now. @throws HoldfastError `BUSY`, `CLOSED`. */
  snapshot(): Snapshot {
    const engine = this.#engine;
    engine.assertOpen();
    return new Snapshot(engine, this.takeSnapshot(false), this.#handle, this.#takenAt, this.#id);
  }

  /**
   * Takes a snapshot of the run as it is now, `reserved` if it is let go of within this call; its slot. What it was taken of, and
   * at which version, is then {@link RunWriter.taken} and {@link RunWriter.takenAt}.
   */
  takeSnapshot(reserved: boolean): number {
    const { core } = this.#engine;
    for (let run = this.handle(); ; run = this.resolve()) {
      const slot = core.takeSnapshot(run.pointer, run.generation, reserved);
      if (slot === SLOT_RUN_STALE) continue;
      if (run.pointer !== 0) this.#takenAt = core.resultVersion();
      else if (!this.#isAbsent(slot)) continue;
      return slot;
    }
  }

  /**
   * Whether a run that was not there still is not, so that it is empty at the newest version between the two looks: another
   * worker may have made it meanwhile. Otherwise lets go of the slot.
   */
  #isAbsent(slot: number): boolean {
    const { core } = this.#engine;
    this.#takenAt = core.version();
    let isAbsent = !core.shared;
    try {
      isAbsent ||= this.resolve().pointer === 0;
      return isAbsent;
    } finally {
      if (!isAbsent) core.dropSnapshot(slot, 0, 0);
    }
  }

  has(table: number, key: string): boolean {
    return this.#record(table, key) !== 0;
  }

  /** Collects a range at what is published; a run that is not there has nothing in it. */
  #scan(table: number, request: ScanRequest, collect: boolean): number {
    return scan(this.#engine.core, this.#handle, table, -1, request, collect);
  }

  /** Makes sure that the run can be scanned; false if it is not there, its options checked all the same. */
  #isThere(options: ListOptions | undefined): boolean {
    this.#engine.assertOpen();
    if (this.resolve().pointer !== 0) return true;
    prepareScan(this.#engine.core, options);
    return false;
  }

  list(table: number, options: ListOptions | undefined): [string, Value][] {
    if (!this.#isThere(options)) return [];
    if (this.#engine.core.shared) return this.view((reader) => reader.list(table, options));
    return listEntries(this.#engine.core, options, (request, collect) => this.#scan(table, request, collect));
  }

  keys(table: number, options: ListOptions | undefined): string[] {
    if (!this.#isThere(options)) return [];
    if (this.#engine.core.shared) return this.view((reader) => reader.keys(table, options));
    return listKeys(this.#engine.core, options, (request, collect) => this.#scan(table, request, collect));
  }

  count(table: number, prefix: string | undefined): number {
    if (!this.#isThere(prefix === undefined ? undefined : { prefix })) return 0;
    if (prefix === undefined && table === 0) return this.#engine.core.runCount(this.#handle, true);
    if (this.#engine.core.shared) return this.view((reader) => reader.count(table, prefix));
    return countKeys(this.#engine.core, prefix, (request, collect) => this.#scan(table, request, collect));
  }

  put(table: number, key: string, value: Value, given: WriteOptions | undefined): number {
    const engine = this.#engine;
    engine.assertOpen();
    engine.assertWritable();
    const options = given === undefined ? undefined : readWriteOptions(given);
    const mode = options === undefined ? engine.syncModeOf(undefined) : engine.syncModeOf(options.durability);
    const expected =
      options === undefined || options.ifVersion === undefined ? ANY_VERSION : expectedVersion(options.ifVersion);
    const { core } = engine;
    for (;;) {
      core.renew();
      // The value first: encoding it may call into objects of the caller, which may use the database themselves.
      const valueBytes = encodeValue(value, core);
      if (!engine.isOpen) engine.assertOpen();
      let keyBytes = encodeKey(key, core);
      if (this.#handle.pointer === 0) {
        this.create();
        keyBytes = encodeKey(key, core);
      }
      const handle = this.#handle;
      const version = core.put(handle.pointer, handle.generation, table, keyBytes, valueBytes, mode.number, expected);
      if (version > 0) {
        if (engine.log !== undefined) engine.settle(handle, version, mode);
        return version;
      }
      this.#afterRefusal(-version, key, options);
    }
  }

  delete(table: number, key: string, given: WriteOptions | undefined): boolean {
    const engine = this.#engine;
    engine.assertOpen();
    engine.assertWritable();
    const options = given === undefined ? undefined : readWriteOptions(given);
    const mode = engine.syncModeOf(options?.durability);
    const expected = options?.ifVersion === undefined ? ANY_VERSION : expectedVersion(options.ifVersion);
    const { core } = engine;
    core.renew();
    if (table === TABLE_KV) this.#known?.forget(key);
    for (;;) {
      core.renew();
      encodeKey(key, core);
      const handle = this.#handle.pointer === 0 ? this.resolve() : this.#handle;
      if (handle.pointer === 0) return this.#deleteNowhere(key, options, expected);
      const version = core.remove(handle, table, encodeKey(key, core), mode.number, expected);
      if (version > 0) {
        engine.settle(handle, version, mode);
        return true;
      }
      if (-version === STATUS_NOTHING_PENDING) engine.log?.settlePending();
      if (-version === STATUS_NOTHING || -version === STATUS_NOTHING_PENDING) return false;
      // There is nothing to delete in a run that is not there, and no reason to make one.
      if (-version === STATUS_RUN_STALE) this.resolve();
      else this.#afterRefusal(-version, key, options);
    }
  }

  /** Opens a transaction on the run, which is made if it is not there. */
  begin(writer: TransactionWriter, mode: CommitMode, asynchronous: boolean, deadlineMs: number): void {
    const { log } = this.#engine;
    // Once the storage has failed, what is installed and not published never will be.
    const fromInstalled = asynchronous && log !== undefined && !log.hasFailed;
    this.#begin(writer, mode, asynchronous, fromInstalled ? BEGIN_INSTALLED : 0, deadlineMs);
  }

  #begin(writer: TransactionWriter, mode: CommitMode, asynchronous: boolean, how: number, deadlineMs: number): void {
    let run = this.handle();
    try {
      while (run.pointer === 0 || !writer.begin(run, mode, asynchronous, how, deadlineMs)) run = this.create();
    } catch (error) {
      // One that was made for this and not begun on would stay.
      this.#engine.core.discardRun(run);
      throw error;
    }
  }

  step<T>(body: (writer: StepWriter) => T, options: StepOptions | undefined): T {
    const engine = this.#engine;
    engine.assertOpen();
    engine.assertWritable();
    const mode = engine.syncModeOf(options?.durability);
    // What the body calls may take a step itself.
    const writer = this.#spare ?? new TransactionWriter(engine);
    this.#spare = undefined;
    for (let attempt = 1; ; attempt++) {
      this.#begin(writer, mode, false, BEGIN_STEP, Number.POSITIVE_INFINITY);
      try {
        const result = body(writer);
        writer.commit();
        this.#spare = writer;
        return result;
      } catch (error) {
        writer.rollback();
        if (attempt < STEP_ATTEMPTS_MAX && HoldfastError.is(error, "CONFLICT")) continue;
        this.#spare = writer;
        throw error;
      }
    }
  }

  nowMs(): number {
    return this.#engine.wallMs();
  }

  randomBytes(bytes: Uint8Array): void {
    this.#engine.environment.randomBytes(bytes);
  }

  /** Deletes the run as a whole; whether it existed. */
  deleteRun(options: StepOptions | undefined): boolean {
    const engine = this.#engine;
    engine.assertOpen();
    engine.assertWritable();
    const mode = engine.syncModeOf(options?.durability);
    for (;;) {
      const { run, version } = this.#delete(mode.number);
      if (run.pointer === 0) return false;
      if (version > 0) engine.settle(run, version, mode);
      if (version >= 0) return true;
      if (-version === STATUS_NOTHING) return false;
      if (-version === STATUS_DRAIN_FIRST) engine.log?.drainFirst();
      // Somebody else is deleting it, or has died in doing so.
      else if (-version === STATUS_BUSY_PENDING && engine.log?.settlePending()) continue;
      else if (-version !== STATUS_RUN_STALE) throw statusError(-version, "The deletion of the run");
    }
  }

  /** Commits the deletion: of the run, or of one that nobody can say anything about; the version, or a status negated. */
  #delete(mode: number): { readonly run: RunHandle; readonly version: number } {
    const { core } = this.#engine;
    try {
      const run = this.resolve();
      return { run, version: run.pointer === 0 ? 0 : core.deleteRun(run, mode) };
    } catch (error) {
      if (!HoldfastError.is(error, "CORRUPTION")) throw error;
      const version = core.banishRun(this.#encodeId(core), mode);
      // It has been rebuilt or deleted by somebody meanwhile.
      if (-version === STATUS_NOTHING) return { run: LOST, version: -STATUS_RUN_STALE };
      return { run: core.besideResult(), version };
    }
  }

  #deleteNowhere(key: string, options: WriteOptions | undefined, expected: number): boolean {
    if (expected > 0) throw versionMismatch(key, options?.ifVersion ?? null, 0);
    return false;
  }

  /** Returns where the operation is to be tried again, throws otherwise. Nothing has changed. */
  #drainFirst(): void {
    try {
      this.#engine.log?.drainFirst();
    } catch (error) {
      // It may have been made for this.
      this.#engine.discard(this.#handle);
      throw error;
    }
  }

  #afterRefusal(status: number, key: string, options: WriteOptions | undefined): void {
    const { core, log } = this.#engine;
    const actual = core.resultVersion();
    if (status === STATUS_RUN_STALE) {
      this.create();
    } else if (status === STATUS_DRAIN_FIRST) {
      this.#drainFirst();
    } else if (status === STATUS_BUSY_PENDING && log?.settlePending()) {
      return;
    } else if (status === STATUS_VERSION_MISMATCH) {
      // What it is compared with may not be published yet: nobody is told of it before it is.
      if (core.runUnpublished(this.#handle) > 0) log?.settlePending();
      core.discardRun(this.#handle);
      throw versionMismatch(key, options?.ifVersion ?? null, actual);
    } else {
      core.discardRun(this.#handle);
      throw statusError(status, "The write");
    }
  }
}
