/**
 * A run: the unit of isolation and atomicity. Implicit operations on it are one-operation transactions.
 *
 * The handle resolves its name in the core when it is first needed and again when the core says that the incarnation is
 * gone; a run exists once something is written to it.
 */
import { HoldfastError } from "../errors.js";
import {
  RUN_ID_BYTES_MAX,
  STATUS_DRAIN_FIRST,
  STATUS_LIMIT,
  STATUS_NOTHING,
  STATUS_RUN_STALE,
  STATUS_VERSION_MISMATCH,
  VERSION_HEADER_BYTES,
  VERSION_LENGTH_OFFSET,
} from "./abi.js";
import { decodeValue, encodeKey, encodeName, encodeValue, type Value } from "./codec.js";
import { type Core, type RunHandle, statusError } from "./core.js";
import type { Engine } from "./engine.js";
import { KVStore } from "./primitives/kv-store.js";
import type { Versioned, WriteOptions, Writer } from "./reader-writer.js";
import { type RetryOptions, type RetryPlan, retryDelayMs, retryPlan } from "./retry.js";
import { type ListOptions, prepareScan } from "./scan.js";
import { Snapshot } from "./snapshot.js";
import {
  type BeginOptions,
  expectedVersion,
  Transaction,
  type TransactionPlan,
  versionMismatch,
} from "./transaction.js";
import { unsupported } from "./unsupported.js";
import { countKeys, listEntries, listKeys } from "./view.js";

/** How a transaction that is a callback is to be made. */
export interface TransactionOptions extends BeginOptions {
  /** Run it again after a conflict. Without this it is run once. */
  readonly retry?: RetryOptions | undefined;
}

/** How an asynchronous transaction is to be made. */
export interface AsyncTransactionOptions extends TransactionOptions {
  /** Ends waiting and retrying; the transaction is rolled back unless it has come to its commit. */
  readonly signal?: AbortSignal | undefined;
}

const KEEP_IN_KV = "Keep it in run.kv, which shares its transactions.";
/** No expectation of a key's version. */
const ANY_VERSION = -1;
const NO_BOUNDS = { prefixBytes: 0, startBytes: 0, endBytes: 0 };

/** The core's side of a run: the primitives' {@link Writer}, one call for each operation. */
export class RunWriter implements Writer {
  readonly #engine: Engine;
  readonly #id: string;
  /** Where the run is in the core. Replaced as a whole, because commits in flight keep the one they were made with. */
  #handle: RunHandle = { pointer: 0, generation: 0 };

  constructor(engine: Engine, id: string) {
    this.#engine = engine;
    this.#id = id;
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
    const keyBytes = encodeKey(key, core);
    const { pointer, generation } = this.#handle;
    if (pointer === 0) return this.#recordAnew(table, key);
    const record = core.get(pointer, generation, table, keyBytes);
    if (record >= STATUS_LIMIT || record === 0) return record;
    return this.#recordAnew(table, key);
  }

  #recordAnew(table: number, key: string): number {
    const { core } = this.#engine;
    const { pointer, generation } = this.resolve();
    if (pointer === 0) return 0;
    const record = core.get(pointer, generation, table, encodeKey(key, core));
    return record < STATUS_LIMIT ? 0 : record;
  }

  get(table: number, key: string): Value | undefined {
    const record = this.#record(table, key);
    if (record === 0) return undefined;
    const { core } = this.#engine;
    return decodeValue(core, record + VERSION_HEADER_BYTES, core.view.getUint32(record + VERSION_LENGTH_OFFSET, true));
  }

  getVersioned(table: number, key: string): Versioned | undefined {
    const record = this.#record(table, key);
    if (record === 0) return undefined;
    const { core } = this.#engine;
    return { value: core.value(record), version: core.versionOf(record) };
  }

  getMany(table: number, keys: readonly string[]): (Value | undefined)[] {
    // Nothing else runs between these reads unless other workers share the memory.
    if (!this.#engine.core.shared) return keys.map((key) => this.get(table, key));
    const snapshot = new Snapshot(this.#engine, this.create());
    try {
      return snapshot.kv.getMany(keys);
    } finally {
      snapshot.dispose();
    }
  }

  has(table: number, key: string): boolean {
    return this.#record(table, key) !== 0;
  }

  /** Collects a range at what is published; a run that is not there has nothing in it. */
  #scan(table: number, bounds: typeof NO_BOUNDS): number {
    const { core } = this.#engine;
    const { pointer, generation } = this.#handle;
    return core.scan({ pointer, generation }, table, -1, bounds);
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
    return listEntries(this.#engine.core, options, ({ bounds }) => this.#scan(table, bounds));
  }

  keys(table: number, options: ListOptions | undefined): string[] {
    if (!this.#isThere(options)) return [];
    return listKeys(this.#engine.core, options, ({ bounds }) => this.#scan(table, bounds));
  }

  count(table: number, prefix: string | undefined): number {
    if (!this.#isThere(prefix === undefined ? undefined : { prefix })) return 0;
    if (prefix === undefined && table === 0) return this.#engine.core.runCount(this.#handle, true);
    return countKeys(this.#engine.core, prefix, ({ bounds }) => this.#scan(table, bounds));
  }

  put(table: number, key: string, value: Value, options: WriteOptions | undefined): number {
    const engine = this.#engine;
    engine.assertOpen();
    engine.assertWritable();
    const mode = options === undefined ? engine.syncModeOf(undefined) : engine.syncModeOf(options.durability);
    const expected =
      options === undefined || options.ifVersion === undefined ? ANY_VERSION : expectedVersion(options.ifVersion);
    const { core } = engine;
    for (;;) {
      if (this.#handle.pointer === 0) this.create();
      core.renew();
      // The value first: encoding it may call into objects of the caller, which may use the database themselves.
      const valueBytes = encodeValue(value, core);
      const keyBytes = encodeKey(key, core);
      const handle = this.#handle;
      const version = core.put(handle.pointer, handle.generation, table, keyBytes, valueBytes, mode, expected);
      if (version > 0) {
        if (engine.log !== undefined) engine.settle(handle, version, mode);
        return version;
      }
      this.#afterRefusal(-version, key, options);
    }
  }

  delete(table: number, key: string, options: WriteOptions | undefined): boolean {
    const engine = this.#engine;
    engine.assertOpen();
    engine.assertWritable();
    const mode = engine.syncModeOf(options?.durability);
    const expected = options?.ifVersion === undefined ? ANY_VERSION : expectedVersion(options.ifVersion);
    const { core } = engine;
    for (;;) {
      core.renew();
      encodeKey(key, core);
      const handle = this.#handle.pointer === 0 ? this.resolve() : this.#handle;
      if (handle.pointer === 0) return this.#deleteNowhere(key, options, expected);
      const version = core.remove(handle, table, encodeKey(key, core), mode, expected);
      if (version > 0) {
        engine.settle(handle, version, mode);
        return true;
      }
      if (-version === STATUS_NOTHING) return false;
      this.#afterRefusal(-version, key, options);
    }
  }

  #deleteNowhere(key: string, options: WriteOptions | undefined, expected: number): boolean {
    if (expected > 0) throw versionMismatch(key, options?.ifVersion ?? null, 0);
    return false;
  }

  /** Returns where the operation is to be tried again, throws otherwise. Nothing has changed. */
  #afterRefusal(status: number, key: string, options: WriteOptions | undefined): void {
    const { core, log } = this.#engine;
    if (status === STATUS_RUN_STALE) {
      this.create();
    } else if (status === STATUS_DRAIN_FIRST) {
      log?.drainFirst();
    } else if (status === STATUS_VERSION_MISMATCH) {
      const actual = core.resultVersion();
      // What it is compared with may not be published yet: nobody is told of it before it is.
      if (core.runUnpublished(this.#handle) > 0) log?.settlePending();
      throw versionMismatch(key, options?.ifVersion ?? null, actual);
    } else {
      throw statusError(status, "The write");
    }
  }
}

/** One agent run of a database. Cheap: get it by its id whenever it is needed. */
export class Run {
  readonly #engine: Engine;
  readonly #writer: RunWriter;
  /** The run's name. */
  readonly id: string;
  /** The run's key-values. */
  readonly kv: KVStore;

  /** @internal */
  constructor(engine: Engine, id: string) {
    this.#engine = engine;
    this.id = id;
    this.#writer = new RunWriter(engine, id);
    this.kv = new KVStore(this.#writer);
  }

  /** The version of the last commit of this run that readers see; 0 if there is none. */
  get version(): number {
    this.#engine.assertOpen();
    return this.#engine.core.runVisible(this.#writer.resolve());
  }

  /** How many entries the run has, over all primitives. */
  count(): number {
    this.#engine.assertOpen();
    return this.#engine.core.runCount(this.#writer.resolve(), false);
  }

  /** The run's event log. @throws HoldfastError `UNSUPPORTED` in this release. */
  get events(): never {
    throw unsupported("run.events", KEEP_IN_KV);
  }

  /** The run's state cells. @throws HoldfastError `UNSUPPORTED` in this release. */
  get state(): never {
    throw unsupported("run.state", KEEP_IN_KV);
  }

  /** The run's trace tree. @throws HoldfastError `UNSUPPORTED` in this release. */
  get traces(): never {
    throw unsupported("run.traces", KEEP_IN_KV);
  }

  /** The run's graph. @throws HoldfastError `UNSUPPORTED` in this release. */
  get graph(): never {
    throw unsupported("run.graph", KEEP_IN_KV);
  }

  /**
   * Holds the run as it is now. Dispose of it when done.
   * @throws HoldfastError `BUSY` when snapshots of 1,024 versions are held, `CLOSED`.
   */
  snapshot(): Snapshot {
    this.#engine.assertOpen();
    return new Snapshot(this.#engine, this.#writer.resolve());
  }

  /**
   * Begins a transaction at what is published now. End it with `commit` or `rollback`, or declare it with `using`.
   * @throws HoldfastError `BUSY`, `STORE_FULL`, `SYNC_COMMIT_UNSUPPORTED`, `CLOSED`.
   */
  begin(options: BeginOptions = {}): Transaction {
    const engine = this.#engine;
    engine.assertOpen();
    const mode = engine.syncModeOf(options.durability);
    return this.#begin({ mode, asynchronous: false, deadlineMs: this.#deadline(options.timeoutMs) });
  }

  #deadline(timeoutMs: number | undefined): number {
    if (timeoutMs === undefined) return Number.POSITIVE_INFINITY;
    if (typeof timeoutMs === "number" && timeoutMs >= 0) return this.#engine.environment.monotonicMs() + timeoutMs;
    throw new HoldfastError(
      "INVALID_ARGUMENT",
      `timeoutMs must be a number that is not negative, got ${String(timeoutMs)}.`,
    );
  }

  #begin(plan: TransactionPlan): Transaction {
    const { core, log } = this.#engine;
    // Once the storage has failed, what is installed and not published never will be.
    const fromInstalled = plan.asynchronous && log !== undefined && !log.hasFailed;
    for (let run = this.#writer.handle(); ; run = this.#writer.create()) {
      const handle = run.pointer === 0 ? undefined : core.begin(run, fromInstalled);
      if (handle === undefined) continue;
      const transaction = new Transaction(this.#engine, run, handle, plan);
      this.#engine.watch(transaction, { kind: "transaction", handle });
      return transaction;
    }
  }

  /**
   * Runs `body` in a transaction and commits it; what it returns is returned. A throw rolls back and passes through.
   * @throws HoldfastError what {@link Transaction.commit} does. Conflicts are retried only as `retry` says.
   */
  transaction<T>(body: (transaction: Transaction) => T, options: TransactionOptions = {}): T {
    const engine = this.#engine;
    engine.assertOpen();
    const mode = engine.syncModeOf(options.durability);
    const plan: TransactionPlan = { mode, asynchronous: false, deadlineMs: this.#deadline(options.timeoutMs) };
    const retry = retryPlan(options.retry);
    for (let attempt = 1; ; attempt++) {
      const transaction = this.#begin(plan);
      try {
        const result = body(transaction);
        if (isThenable(result)) throw asyncBody();
        if (transaction.isOpen) transaction.commit();
        return result;
      } catch (error) {
        // Nobody else runs before the next attempt, so that there is nothing to wait for between them.
        if (!HoldfastError.is(error, "CONFLICT") || attempt >= retry.attempts) throw error;
      } finally {
        transaction.rollback();
      }
    }
  }

  /**
   * Runs `body` in a transaction that starts from the newest installed state, commits it, and resolves with what it
   * returned once all that it read and wrote is as durable as its mode promises. Any number of these share syncs.
   * @throws HoldfastError as {@link Run.transaction}; `TIMEOUT` with the signal's reason as cause when it is aborted.
   */
  transactionAsync<T>(
    body: (transaction: Transaction) => Promise<T> | T,
    options: AsyncTransactionOptions = {},
  ): Promise<T> {
    return this.#engine.track(this.#transactionAsync(body, options));
  }

  async #transactionAsync<T>(
    body: (transaction: Transaction) => Promise<T> | T,
    options: AsyncTransactionOptions,
  ): Promise<T> {
    const engine = this.#engine;
    engine.assertOpen();
    const mode = engine.asyncModeOf(options.durability);
    const plan: TransactionPlan = {
      mode,
      asynchronous: true,
      deadlineMs: this.#deadline(options.timeoutMs),
    };
    const retry = retryPlan(options.retry);
    for (let attempt = 1; ; attempt++) {
      throwIfAborted(options.signal);
      try {
        return await this.#attempt(body, plan, options.signal);
      } catch (error) {
        if (!HoldfastError.is(error, "CONFLICT") || attempt >= retry.attempts) throw error;
        await this.#backOff(retry, attempt, options.signal);
      }
    }
  }

  /** One run of the callback, up to its outcome. */
  async #attempt<T>(
    body: (transaction: Transaction) => Promise<T> | T,
    plan: TransactionPlan,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    const transaction = this.#begin(plan);
    const run = this.#writer.handle();
    let result: T;
    try {
      result = await body(transaction);
      throwIfAborted(signal);
      if (!transaction.isOpen) return result;
    } catch (error) {
      await this.#published(run, transaction.abandon());
      throw error;
    }
    const { awaits } = transaction.commitInstalled();
    await this.#published(run, awaits);
    return result;
  }

  async #published(run: RunHandle, version: number): Promise<void> {
    if (version !== 0) await this.#engine.log?.published(run, version);
  }

  /** Waits between two attempts, doubling, jittered. */
  #backOff(retry: RetryPlan, attempt: number, signal: AbortSignal | undefined): Promise<void> {
    const delayMs = retryDelayMs(retry, attempt, this.#engine.environment);
    return new Promise((resolve, reject) => {
      const stop = (): void => {
        cancel();
        reject(aborted(signal));
      };
      const cancel = this.#engine.environment.schedule(delayMs, () => {
        signal?.removeEventListener("abort", stop);
        resolve();
      });
      signal?.addEventListener("abort", stop, { once: true });
    });
  }
}

function isThenable(result: unknown): boolean {
  return typeof result === "object" && result !== null && "then" in result && typeof result.then === "function";
}

function asyncBody(): HoldfastError {
  return new HoldfastError(
    "INVALID_ARGUMENT",
    "The callback of transaction returned a promise, so it was rolled back. Use transactionAsync for asynchronous work.",
  );
}

function aborted(signal: AbortSignal | undefined): HoldfastError {
  return new HoldfastError("TIMEOUT", "The transaction was aborted by its signal; nothing has changed.", {
    cause: signal?.reason,
  });
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw aborted(signal);
}
