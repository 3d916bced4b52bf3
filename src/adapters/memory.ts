/**
 * A storage that keeps nothing: there is no log, and only in-memory commits.
 *
 * What it keeps true:
 *  - nothing is ever there, so every session is fresh;
 *  - the epoch still grows with each owner of one storage object, as everywhere;
 *  - it never pretends: every method that would have to keep bytes refuses.
 */

import { HoldfastError } from "../errors.js";
import { noSuchFile, noSuchSegment, openedReadOnly, refuseAborted, sessionClosed } from "./failures.js";
import type { SegmentInfo, Storage, StorageCapabilities, StorageOpenOptions, StorageSession } from "./storage.js";

const RECORD_BYTES_MAX = 64 * 1024 * 1024;

const CAPABILITIES: StorageCapabilities = {
  kind: "memory",
  mechanism: "none",
  persistent: false,
  syncAppend: false,
  syncFlush: false,
  asyncFlush: false,
  recordBytesMax: RECORD_BYTES_MAX,
  segmentBytesTarget: RECORD_BYTES_MAX,
};

/** A storage that keeps nothing: the database lives and ends with its memory. */
export function memory(): Storage {
  return new MemoryStorage();
}

class MemoryStorage implements Storage {
  readonly capabilities = CAPABILITIES;
  #epoch = 0;

  async open(options: StorageOpenOptions): Promise<StorageSession> {
    refuseAborted(options.signal);
    if (options.readOnly) return new MemorySession(0);
    this.#epoch += 1;
    return new MemorySession(this.#epoch);
  }
}

class MemorySession implements StorageSession {
  readonly epoch: number;
  readonly fresh = true;
  readonly persisted = false;
  #closed = false;

  constructor(epoch: number) {
    this.epoch = epoch;
  }

  async segments(): Promise<readonly SegmentInfo[]> {
    if (this.#closed) throw sessionClosed("segments");
    return [];
  }

  async read(segment: number): Promise<number> {
    if (this.#closed) throw sessionClosed("read");
    throw noSuchSegment(segment);
  }

  async createSegment(): Promise<void> {
    throw this.#refusal("createSegment");
  }

  createSegmentSync(): void {
    throw this.#refusal("createSegmentSync");
  }

  async append(): Promise<void> {
    throw this.#refusal("append");
  }

  appendSync(): void {
    throw this.#refusal("appendSync");
  }

  async flush(): Promise<void> {
    throw this.#refusal("flush");
  }

  flushSync(): void {
    throw this.#refusal("flushSync");
  }

  async truncate(): Promise<void> {
    throw this.#refusal("truncate");
  }

  truncateSync(): void {
    throw this.#refusal("truncateSync");
  }

  async removeSegment(): Promise<void> {
    throw this.#refusal("removeSegment");
  }

  async checkpoints(): Promise<readonly SegmentInfo[]> {
    if (this.#closed) throw sessionClosed("checkpoints");
    return [];
  }

  async readCheckpoint(checkpoint: number): Promise<number> {
    if (this.#closed) throw sessionClosed("readCheckpoint");
    throw noSuchFile("checkpoint", checkpoint);
  }

  async beginCheckpoint(): Promise<never> {
    throw this.#refusal("beginCheckpoint");
  }

  async removeCheckpoint(): Promise<void> {
    throw this.#refusal("removeCheckpoint");
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #refusal(what: string): HoldfastError {
    if (this.#closed) return sessionClosed(what);
    if (this.epoch === 0) return openedReadOnly(what);
    return new HoldfastError(
      "UNSUPPORTED",
      `${what}: a memory storage keeps nothing. Open the database over files or IndexedDB to keep a log.`,
    );
  }
}
