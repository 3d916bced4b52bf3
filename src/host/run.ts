/**
 * A run: the unit of isolation and atomicity. Implicit operations on it are one-operation transactions; here are the
 * explicit ones, synchronous and asynchronous.
 */
import { HoldfastError } from "../errors.js";
import { MODE_BUFFERED } from "./abi.js";
import { onAbort, untilAborted } from "./abort.js";
import { checkFunction, checkSignal, describe, isThenable, readOptions, refuseArgument } from "./arguments.js";
import type { RunHandle } from "./core.js";
import type { CommitMode } from "./durability-mode.js";
import type { Engine } from "./engine.js";
import { sleep } from "./environment.js";
import { type RetryOptions, type RetryPlan, retryDelayMs, retryPlan } from "./retry.js";
import { Primitives } from "./run-primitives.js";
import { RunWriter } from "./run-writer.js";
import type { Snapshot } from "./snapshot.js";
import { type BeginOptions, Transaction } from "./transaction.js";
import { TransactionWriter } from "./transaction-writer.js";
import { Turnstile } from "./turnstile.js";

/** How a transaction that is a callback is to be made. */
export interface TransactionOptions extends BeginOptions {
  /** Run it again after a conflict, unless its callback has committed it. Without this it is run once. */
  readonly retry?: RetryOptions | undefined;
}

/** How an asynchronous transaction is to be made. */
export interface AsyncTransactionOptions extends TransactionOptions {
  /** Ends waiting, for the callback too, and retrying; it is rolled back unless it has come to its commit. */
  readonly signal?: AbortSignal | undefined;
}

/** One agent run of a database. Cheap: get it by its id whenever it is needed. */
export class Run extends Primitives {
  readonly #engine: Engine;
  readonly #writer: RunWriter;
  readonly #turnstile = new Turnstile();
  /** The run's name. */
  readonly id: string;
  /** @internal */
  constructor(engine: Engine, id: string) {
    const writer = new RunWriter(engine, id);
    super(writer);
    writer.owner = this;
    this.#engine = engine;
    this.#writer = writer;
    this.id = id;
  }

  /** The run as its primitives write it. @internal */
  get writer(): RunWriter {
    return this.#writer;
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

  /**
   * Holds the run as it is now. Dispose of it when done.
   * @throws HoldfastError `BUSY` when snapshots of 1,024 versions are held, `CLOSED`.
   */
  snapshot(): Snapshot {
    return this.#writer.snapshot();
  }

  /**
   * Begins a transaction at what is published now. End it with `commit` or `rollback`, or declare it with `using`.
   * @throws HoldfastError `BUSY`, `STORE_FULL`, `SYNC_COMMIT_UNSUPPORTED`, `CLOSED`.
   */
  begin(given?: BeginOptions): Transaction {
    const engine = this.#engine;
    engine.assertOpen();
    const options = readOptions<BeginOptions>(given, ["durability", "timeoutMs"], "begin");
    const mode = engine.syncModeOf(options.durability);
    const deadlineMs = this.#deadline(options.timeoutMs);
    const writer = new TransactionWriter(engine);
    this.#writer.begin(writer, mode, false, deadlineMs);
    engine.watch(writer);
    return new Transaction(writer);
  }

  #deadline(timeoutMs: number | undefined): number {
    if (timeoutMs === undefined) return Number.POSITIVE_INFINITY;
    if (typeof timeoutMs === "number" && timeoutMs >= 0) return this.#engine.environment.monotonicMs() + timeoutMs;
    throw refuseArgument(`timeoutMs must be a number that is not negative, got ${describe(timeoutMs)}.`);
  }

  /**
   * Runs `body` in a transaction and commits it; what it returns is returned. A throw rolls back and passes through.
   * @throws HoldfastError what {@link Transaction.commit} does. Conflicts are retried only as `retry` says.
   */
  transaction<T>(body: (transaction: Transaction) => T, given?: TransactionOptions): T {
    const engine = this.#engine;
    engine.assertOpen();
    checkFunction(body, "The body of a transaction");
    const options = readOptions<TransactionOptions>(given, ["durability", "timeoutMs", "retry"], "transaction");
    const mode = engine.syncModeOf(options.durability);
    const deadlineMs = this.#deadline(options.timeoutMs);
    const retry = retryPlan(options.retry);
    for (let attempt = 1; ; attempt++) {
      let waitMs = 0;
      const writer = new TransactionWriter(engine);
      this.#writer.begin(writer, mode, false, deadlineMs);
      const transaction = new Transaction(writer);
      try {
        const result = body(transaction);
        if (isThenable(result)) {
          // Nobody else waits for it, and a rejection that nobody waits for can end a process.
          Promise.resolve(result).catch(() => {});
          throw asyncBody(writer.isOpen);
        }
        if (writer.isOpen) writer.commit();
        return result;
      } catch (error) {
        // One that its callback has committed stands, and the conflict is of something else.
        if (writer.hasCommitted || !HoldfastError.is(error, "CONFLICT") || attempt >= retry.attempts) throw error;
        const { core, environment } = engine;
        waitMs = core.shared && core.hasOthers ? retryDelayMs(retry, attempt, environment) : 0;
      } finally {
        writer.rollback();
        writer.keep(transaction);
      }
      // Only other workers run before the next attempt; without any there is nothing to wait for.
      if (waitMs > 0) sleep(waitMs);
    }
  }

  /**
   * Runs `body` in a transaction that starts from the newest installed state, commits it, and resolves with what it
   * returned once all that it read and wrote is as durable as its mode promises. Any number of these share syncs.
   * @throws HoldfastError as {@link Run.transaction}; `TIMEOUT` with the signal's reason as cause when it is aborted.
   */
  transactionAsync<T>(
    body: (transaction: Transaction) => Promise<T> | T,
    options?: AsyncTransactionOptions,
  ): Promise<T> {
    return this.#engine.track(() => this.#transactionAsync(body, options));
  }

  async #transactionAsync<T>(
    body: (transaction: Transaction) => Promise<T> | T,
    given: AsyncTransactionOptions | undefined,
  ): Promise<T> {
    const engine = this.#engine;
    engine.assertOpen();
    checkFunction(body, "The body of a transaction");
    const names = ["durability", "timeoutMs", "retry", "signal"] as const;
    const options = readOptions<AsyncTransactionOptions>(given, names, "transactionAsync");
    checkSignal(options.signal);
    const mode = engine.asyncModeOf(options.durability);
    const deadlineMs = this.#deadline(options.timeoutMs);
    const retry = retryPlan(options.retry);
    for (let attempt = 1; ; attempt++) {
      throwIfAborted(options.signal);
      try {
        return await this.#attempt(body, mode, deadlineMs, options.signal);
      } catch (error) {
        if (!HoldfastError.is(error, "CONFLICT") || attempt >= retry.attempts) throw error;
        await this.#backOff(retry, attempt, options.signal);
      }
    }
  }

  /**
   * One run of the callback, up to its outcome. All in one frame: what each of these costs is most of what a commit costs that
   * shares its sync with others.
   */
  async #attempt<T>(
    body: (transaction: Transaction) => Promise<T> | T,
    mode: CommitMode,
    deadlineMs: number,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    const entered = this.#turnstile.enter();
    const ticket = typeof entered === "number" ? entered : await entered;
    let thrown: { readonly error: unknown } | undefined;
    let result: T | undefined;
    let published: Promise<void> | undefined;
    let run: RunHandle;
    let awaits: number;
    let committed = false;
    try {
      throwIfAborted(signal);
      const writer = new TransactionWriter(this.#engine);
      this.#writer.begin(writer, mode, true, deadlineMs);
      run = this.#writer.handle();
      try {
        const transaction = new Transaction(writer);
        result = await (signal === undefined
          ? body(transaction)
          : untilAborted(
              () => body(transaction),
              signal,
              () => aborted(signal),
            ));
        throwIfAborted(signal);
      } catch (error) {
        thrown = { error };
      }
      if (thrown === undefined && writer.isOpen) ({ awaits, committed } = writer.commitInstalled());
      else awaits = writer.abandon();
      published = this.#published(run, awaits);
    } finally {
      this.#turnstile.leave(ticket);
    }
    if (published !== undefined) {
      try {
        await published;
      } catch (error) {
        this.#engine.discard(run);
        throw error;
      }
    }
    if (thrown !== undefined) throw thrown.error;
    if (committed && mode.number === MODE_BUFFERED) {
      const handedOver = this.#engine.log?.noteBufferedAsync(run, awaits, mode.bounds);
      if (handedOver !== undefined) await handedOver;
    } else if (committed) {
      this.#engine.log?.drainIfFull();
    }
    return result as T;
  }

  /** Joins those who wait for a version, in the same breath as it is installed: a moment later it may have been undone. */
  #published(run: RunHandle, version: number): Promise<void> | undefined {
    return version === 0 ? undefined : this.#engine.log?.published(run, version);
  }

  /** Waits between two attempts, doubling, jittered. */
  async #backOff(retry: RetryPlan, attempt: number, signal: AbortSignal | undefined): Promise<void> {
    throwIfAborted(signal);
    const delayMs = retryDelayMs(retry, attempt, this.#engine.environment);
    return new Promise((resolve, reject) => {
      const cancel = this.#engine.environment.schedule(
        delayMs,
        () => {
          end?.();
          resolve();
        },
        true,
      );
      const end =
        signal &&
        onAbort(signal, () => {
          cancel();
          reject(aborted(signal));
        });
    });
  }
}

function asyncBody(isOpen: boolean): HoldfastError {
  const what = isOpen ? "so it was rolled back" : "after it had ended the transaction by itself, which stands";
  return new HoldfastError(
    "INVALID_ARGUMENT",
    `The callback of transaction returned a promise, ${what}. Use transactionAsync for asynchronous work.`,
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
