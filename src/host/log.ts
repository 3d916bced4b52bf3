/**
 * What the modes, the flusher and group commit ask of a log, whoever writes it: this worker itself (`log-writer.ts`), or another
 * one that writes for all who share the memory (`remote-log.ts`). And how both word it when they cannot.
 */
import { HoldfastError } from "../errors.js";

/** Told what becomes of commits: published, undone, or lost with the store. */
export interface LogListener {
  /** Something was published. */
  onPublished(): void;
  /** A sync in the background has ended well, and what waited for it was published. Nobody has been let go on yet. */
  onSynced(): void;
  /** An append failed for want of room: commits above `writtenVersion` that were not published have just been undone. */
  onUndoing(): void;
  /** What that has left in the file is cut off, and the cut is durable: now it may be told. */
  onUndone(error: HoldfastError): void;
  /** Nothing will be written any more. */
  onFailed(error: HoldfastError): void;
}

/** Where a segment begins, and what stands before it. */
export interface SegmentStart {
  readonly number: number;
  readonly position: number;
  /** The checksum that what stands before it ends with. */
  readonly chain: number;
  /** The highest version that was written before it. */
  readonly writtenVersion: number;
}

/** The log of one worker: written to by itself, or by another worker for it. */
export interface Log {
  /** Whether something is written that is not known to be synced, or queued and not written. */
  readonly isDirty: boolean;
  /** How often a sync has been made. */
  readonly syncs: number;
  /** Why nothing can be written any more. */
  readonly failure: HoldfastError | undefined;
  /** The sync that this worker has under way in the background. */
  readonly syncing: Promise<void> | undefined;
  /** Whether the log has any segment. */
  readonly hasLog: boolean;
  /** Whether the log has a segment of this session, so that there is something to mark. */
  readonly hasBegun: boolean;
  /** Throws if nothing can be written: `STORE_FAILED`, or `STORAGE_FULL` while asynchronous storage has no room. */
  assertUsable(): void;
  /** Ends all writing; returns the error for commits that were in flight. */
  fail(cause: unknown): HoldfastError;
  /**
   * Closes the segment under way, synced to its end, and begins the next; where that is. One that nothing was written to yet
   * is kept. What stands before it is published when this returns.
   */
  rotate(): Promise<SegmentStart>;
  /**
   * Writes everything that is queued by now. Only where that can be done in a synchronous call. What is to be durable next
   * (`durably`) may be made so in the same step.
   */
  drainSync(durably?: boolean): void;
  /** The same, synchronously where that can be. */
  drain(durably?: boolean): Promise<void>;
  /** Begins to write what is queued, if nobody does; what fails is told to the listener. */
  pump(): void;
  /** Makes everything that is written durable, and publishes what waited for it. */
  syncSync(): void;
  /**
   * Makes everything durable that is written when it begins. Calls share a sync: one is under way, the next covers all who
   * came meanwhile.
   */
  sync(): Promise<void>;
  /**
   * Writes what is queued and begins the next sync, all in this call; what fails is told to the listener, and to whoever waits.
   */
  beginSync(): void;
  /** Sees to it that what other workers have written and synced is published when this returns. */
  publishDue(): void;
  /** Queues the record that tells recovery what is synced; with `closed` also that nothing came after. */
  mark(closed: boolean): void;
  /** Waits for what is under way; never throws. */
  settle(): Promise<void>;
}

/** What every write gets after the storage has failed. */
export function storeFailed(failure: HoldfastError): HoldfastError {
  return new HoldfastError(
    "STORE_FAILED",
    `The storage has failed and nothing is written any more; reads go on. Close the database, look after the storage, and open it again. (${failure.message})`,
    { cause: failure },
  );
}

export function closedMeanwhile(): HoldfastError {
  return new HoldfastError("CLOSED", "The database was closed where it was opened before this could be written.");
}

/** What a commit gets that was on its way when the storage failed. */
export function indeterminate(failure: HoldfastError): HoldfastError {
  return new HoldfastError(
    "COMMIT_INDETERMINATE",
    `The storage was lost while the commit was on its way: whether it is durable shows when the database is opened again. (${failure.message})`,
    { cause: failure },
  );
}

/** What a commit that is installed is told where it has waited too long for another worker (COMMIT 6). */
export function installedError(error: unknown): unknown {
  // In another worker, perhaps, and before this commit had its turn.
  if (HoldfastError.is(error, "STORE_FAILED") || HoldfastError.is(error, "CLOSED")) return indeterminate(error);
  if (!HoldfastError.is(error, "BUSY")) return error;
  return new HoldfastError(
    "COMMIT_INDETERMINATE",
    `The commit is on its way, and another worker has been in the middle of the log for too long: it becomes durable once that goes on. (${error.message})`,
    { cause: error },
  );
}
