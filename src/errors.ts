/**
 * The one error class of the package, and the list of its codes.
 *
 * A code is stable and meant for programs; a message is for people and says what was wrong with which input and what to
 * do next. Everything that leaves Holdfast as a failure is one of these.
 */

/** Every code that a {@link HoldfastError} can carry. Codes are never renamed; new ones may be added. */
export type ErrorCode =
  | "INVALID_KEY"
  | "INVALID_VALUE"
  | "INVALID_ARGUMENT"
  | "VALUE_TOO_LARGE"
  | "TRANSACTION_TOO_LARGE"
  | "STORE_FULL"
  | "CONFLICT"
  | "TIMEOUT"
  | "TRANSACTION_CLOSED"
  | "CLOSED"
  | "LOCKED"
  | "READ_ONLY"
  | "ALREADY_EXISTS"
  | "NOT_FOUND"
  | "VERSION_MISMATCH"
  | "INVALID_TRANSITION"
  | "SYNC_COMMIT_UNSUPPORTED"
  | "COMMIT_INDETERMINATE"
  | "STORE_FAILED"
  | "STORAGE_FULL"
  | "CORRUPTION"
  | "SHARED_MEMORY_UNAVAILABLE"
  | "BUSY"
  | "UNSUPPORTED";

/** Facts about a failure, for programs: offsets, owners, limits, the path to a bad value. */
export type ErrorDetails = Readonly<Record<string, unknown>>;

/** The brand survives two copies of the package in one process, where `instanceof` would not. */
const BRAND = Symbol.for("holdfast.error");

/** Thrown by every public function that fails. Compare {@link HoldfastError.code}, never the message. */
export class HoldfastError extends Error {
  override readonly name = "HoldfastError";
  /** What went wrong, for programs. */
  readonly code: ErrorCode;
  /** Facts about the failure; which ones depends on the code. */
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; details?: ErrorDetails } = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.details = options.details ?? {};
    Object.defineProperty(this, BRAND, { value: true });
  }

  /** Whether `error` came from Holdfast and, where `code` is given, carries that code. */
  static is(error: unknown, code?: ErrorCode): error is HoldfastError {
    try {
      if (typeof error !== "object" || error === null || !(BRAND in error)) return false;
      return code === undefined || (error as { code?: unknown }).code === code;
    } catch {
      // A Proxy that cannot be asked is none.
      return false;
    }
  }
}
