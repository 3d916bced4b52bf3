/**
 * What a database says of where it is kept. Plain data, the same in every worker that has the database.
 */
import type { VanishedInfo } from "../adapters/storage.js";
import type { HoldfastError } from "../errors.js";

/** What was found when a database was opened after an unclean end. */
export interface RecoveredInfo {
  /** Commits that were found in the log. */
  readonly commits: number;
  /** Bytes of a torn tail that were cut off. */
  readonly droppedBytes: number;
  /** Why the tail was cut off, or why nothing was. */
  readonly reason: string;
}

/** What was left out when a damaged database was opened with `salvage`. */
export interface SalvagedInfo {
  /** Commits that were found in the log before the damage. */
  readonly commits: number;
  /** The damage that it ends at, or with `STORE_FAILED` what could not be read; the file and the offset are in its details. */
  readonly damage: HoldfastError;
}

/** Where a database is kept, and in what state it was found. */
export interface StorageInfo {
  /** `"memory"`, `"files"`, `"indexeddb"`, … */
  readonly kind: string;
  /** What makes a commit durable there: `"fdatasync"`, … */
  readonly mechanism: string;
  /** Whether the platform promises not to evict it; `undefined` where it cannot say. */
  readonly persisted: boolean | undefined;
  /** Whether nothing was there before. */
  readonly fresh: boolean;
  /** Set where it is fresh and yet known to have been there: it was evicted, cleared or deleted. */
  readonly vanished: VanishedInfo | undefined;
  /** Set where the database had not been closed. */
  readonly recovered: RecoveredInfo | undefined;
  /** Set where it was opened with `salvage` and is damaged: what it ends at. */
  readonly salvaged: SalvagedInfo | undefined;
}
