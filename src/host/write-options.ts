/**
 * What a write may be given, checked; and the error for a key that is not as it was expected to be.
 */
import { HoldfastError } from "../errors.js";
import { describe, readOptions, refuseArgument } from "./arguments.js";
import type { DurabilityOption } from "./durability-mode.js";
import type { WriteOptions } from "./reader-writer.js";

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

/** Refuses a durability of its own to what is part of a transaction. */
export function refuseDurability(durability: DurabilityOption | undefined): void {
  if (durability === undefined) return;
  throw new HoldfastError(
    "INVALID_ARGUMENT",
    "A transaction is durable as a whole: give durability to the transaction, not to a write in it.",
  );
}
