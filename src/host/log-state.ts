/**
 * Where the log of a database goes on once it is open: as it was found, or, where there was none, from the beginning.
 */
import type { StorageSession } from "../adapters/storage.js";
import { VERSION_GAP_AFTER_CRASH } from "./abi.js";
import type { Core } from "./core.js";
import type { RecoveredInfo } from "./storage-info.js";

/** Where the log goes on. */
export interface LogState {
  readonly databaseId: Uint8Array;
  /** The epoch that this owner writes: above every one in the log, also where the lock that counts them was lost. */
  readonly epoch: number;
  /** The number of the last segment, 0 where there is none. */
  readonly segment: number;
  /** Bytes of records in the segment that appends go to; undefined where the first append begins a new one. */
  readonly segmentBytes: number | undefined;
  /** Where a new segment's predecessor ends, and the checksum it ends with. */
  readonly predecessorEnd: number;
  readonly predecessorCrc: number;
  readonly recovered: RecoveredInfo | undefined;
  /** The number of the newest checkpoint, 0 where there is none. */
  readonly checkpoint: number;
  /** Set where another worker has begun, and the core knows where the log goes on. */
  readonly isJoined?: boolean | undefined;
}

/** A log that has no segment yet, perhaps behind checkpoint `checkpoint`, which stands for itself. */
export function logWithoutSegments(session: StorageSession, databaseId: Uint8Array, checkpoint: number): LogState {
  return {
    databaseId,
    epoch: session.epoch,
    // Its first segment has the checkpoint's number: what is below that stands for nothing.
    segment: Math.max(checkpoint - 1, 0),
    segmentBytes: undefined,
    predecessorEnd: 0,
    predecessorCrc: 0,
    recovered: undefined,
    checkpoint,
  };
}

/** How many versions owners may have given of whom nothing is found (COMMIT 11). */
export function versionsUnseen(owners: number): number {
  return Math.max(owners, 0) * VERSION_GAP_AFTER_CRASH;
}

/** The log of a database of which there is nothing, over an empty core. */
export function newLog(session: StorageSession, core: Core, databaseId: Uint8Array): LogState {
  // Owners before this one have left nothing, but may have given versions.
  core.versionRaise(versionsUnseen(session.epoch - 1));
  return logWithoutSegments(session, databaseId, 0);
}
