/**
 * What a command's exit code says: one number for each kind of failure, so that a script can tell "try again later" from
 * "call somebody". Numbers are never given another meaning.
 */
import { type ErrorCode, HoldfastError } from "../index.js";

/** The exit codes by what they mean. */
export const EXIT = {
  done: 0,
  unexpected: 1,
  usage: 2,
  absent: 3,
  locked: 4,
  damaged: 5,
  refused: 6,
  full: 7,
  failed: 8,
} as const;

/** An exit code. */
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** What is told of each of them in `holdfast help` and docs/CLI.md. */
export const EXIT_MEANINGS: readonly (readonly [ExitCode, string])[] = [
  [EXIT.done, "done; also where the reader of a pipe has gone away"],
  [EXIT.unexpected, "anything else: a fault of holdfast, or of what it runs on"],
  [EXIT.usage, "no such command or option, or an argument that cannot be (INVALID_ARGUMENT, INVALID_KEY)"],
  [EXIT.absent, "no such database, run or key, or one where none may be (NOT_FOUND, ALREADY_EXISTS)"],
  [EXIT.locked, "another process owns the database, or has not answered in time (LOCKED, BUSY, TIMEOUT)"],
  [EXIT.damaged, "damage was found (CORRUPTION); nothing was changed"],
  [EXIT.refused, "the place may not be written to (READ_ONLY), or this runtime cannot do it (UNSUPPORTED)"],
  [EXIT.full, "no room on the disk or in memory (STORAGE_FULL, STORE_FULL)"],
  [EXIT.failed, "the system has refused a read, a write or a sync (STORE_FAILED, COMMIT_INDETERMINATE)"],
];

const BY_CODE: { readonly [code in ErrorCode]?: ExitCode } = {
  INVALID_ARGUMENT: EXIT.usage,
  INVALID_KEY: EXIT.usage,
  NOT_FOUND: EXIT.absent,
  ALREADY_EXISTS: EXIT.absent,
  LOCKED: EXIT.locked,
  BUSY: EXIT.locked,
  TIMEOUT: EXIT.locked,
  CORRUPTION: EXIT.damaged,
  READ_ONLY: EXIT.refused,
  UNSUPPORTED: EXIT.refused,
  SHARED_MEMORY_UNAVAILABLE: EXIT.refused,
  SYNC_COMMIT_UNSUPPORTED: EXIT.refused,
  STORAGE_FULL: EXIT.full,
  STORE_FULL: EXIT.full,
  STORE_FAILED: EXIT.failed,
  COMMIT_INDETERMINATE: EXIT.failed,
};

/** The exit code of a failure. */
export function exitCodeOf(error: unknown): ExitCode {
  return HoldfastError.is(error) ? (BY_CODE[error.code] ?? EXIT.unexpected) : EXIT.unexpected;
}
