/**
 * A transaction's handle: it reads what it has written, then its snapshot, and commits all of it or nothing.
 */
import { HoldfastError } from "../errors.js";
import type { DurabilityOption } from "./durability-mode.js";
import { Primitives } from "./run-primitives.js";
import type { TransactionWriter } from "./transaction-writer.js";

/** How a transaction is to be made. */
export interface BeginOptions {
  /** How durable the commit is, in place of the database's own mode. */
  readonly durability?: DurabilityOption | undefined;
  /** The transaction must come to its commit within this time, or the commit throws `TIMEOUT`. */
  readonly timeoutMs?: number | undefined;
}

/** A transaction on one run. It is never used again after its end. */
export class Transaction extends Primitives implements Disposable {
  readonly #writer: TransactionWriter;

  /** @internal */
  constructor(writer: TransactionWriter) {
    super(writer);
    this.#writer = writer;
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
    if (this.#writer.isAsynchronous && this.isOpen) {
      throw new HoldfastError(
        "INVALID_ARGUMENT",
        "transactionAsync commits when its callback returns: do not call commit in it.",
      );
    }
    try {
      return this.#writer.commit();
    } finally {
      this.#writer.keep(this);
    }
  }

  /** Ends the transaction without a commit. Doing so again, or after a commit, does nothing. */
  rollback(): void {
    this.#writer.rollback();
    this.#writer.keep(this);
  }

  /** {@link rollback}, for `using`: does nothing after a commit. */
  [Symbol.dispose](): void {
    this.rollback();
  }
}
