/**
 * The failures that every storage words alike, so that the host meets the same codes and the same facts everywhere.
 */

import { HoldfastError } from "../errors.js";

/** For want of room; `appendedBytes` is how many of this call's bytes are in the segment. */
export function storageFull(what: string, appendedBytes: number, cause?: unknown): HoldfastError {
  return new HoldfastError("STORAGE_FULL", `${what}: there is no room left. Free some and write again.`, {
    cause,
    details: { appendedBytes },
  });
}

/** For anything that is neither want of room nor the caller's doing. */
export function storeFailed(what: string, cause?: unknown): HoldfastError {
  const reason = cause instanceof Error ? `: ${cause.message}` : "";
  return new HoldfastError("STORE_FAILED", `${what}${reason}`, { cause });
}

/** For a writing method of a session that was opened read-only. */
export function openedReadOnly(what: string): HoldfastError {
  return new HoldfastError("READ_ONLY", `${what}: this session was opened read-only. Open without readOnly to write.`);
}

/** For a method of a session that has been closed. */
export function sessionClosed(what: string): HoldfastError {
  return new HoldfastError("CLOSED", `${what}: the storage session is closed. Open the database again.`);
}

/** For a segment or a checkpoint that is not there. */
export function noSuchFile(kind: "segment" | "checkpoint", number: number): HoldfastError {
  return new HoldfastError("NOT_FOUND", `There is no ${kind} ${number}.`, { details: { [kind]: number } });
}

/** For a segment that is not there. */
export function noSuchSegment(segment: number): HoldfastError {
  return noSuchFile("segment", segment);
}

/** Ends an `open` whose signal has fired. */
export function refuseAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted !== true) return;
  throw new HoldfastError("TIMEOUT", "Opening was given up, because its signal fired.", { cause: signal.reason });
}
