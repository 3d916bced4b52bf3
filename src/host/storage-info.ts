/**
 * What a database says of where it is kept. Plain data, the same in every worker that has the database.
 */
import type { VanishedInfo } from "../adapters/storage.js";
import type { RecoveredInfo, SalvagedInfo } from "./recovery.js";

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
