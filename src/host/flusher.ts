/**
 * The background sync of buffered commits: at the latest `flushIntervalMs` after the first unsynced one, or when
 * `maxPendingWrites` are pending. Each commit has these of its own, and the smallest of those that are pending count.
 *
 * It starts with the database, never keeps a process alive, and is stopped by `close`. In a loop that never yields timers do
 * not run: then the writing call that finds a sync overdue makes it. Its errors end the store and are told to the listener.
 */
import { HoldfastError } from "../errors.js";
import type { BufferedMode } from "./durability-mode.js";
import type { Environment } from "./environment.js";
import type { Log } from "./log.js";

export class Flusher {
  readonly #log: Log;
  readonly #environment: Environment;
  readonly #canSyncNow: boolean;
  readonly #bounds: BufferedMode;
  #pending = 0;
  /** The bounds of what is pending. */
  #intervalMs = Number.POSITIVE_INFINITY;
  #pendingMax = Number.POSITIVE_INFINITY;
  /** When the oldest unsynced commit must be synced. */
  #dueMs = Number.POSITIVE_INFINITY;
  #cancel: (() => void) | undefined;
  #inFlight: Promise<void> | undefined;
  #stopped = false;

  /** `bounds` are those of a commit that comes without. */
  constructor(log: Log, environment: Environment, canSyncNow: boolean, bounds: BufferedMode) {
    this.#log = log;
    this.#environment = environment;
    this.#canSyncNow = canSyncNow;
    this.#bounds = bounds;
  }

  /** Notes one buffered commit; syncs in this call if the last sync is overdue. */
  note({ flushIntervalMs, maxPendingWrites } = this.#bounds): void {
    this.#pending++;
    this.#intervalMs = Math.min(this.#intervalMs, flushIntervalMs);
    this.#pendingMax = Math.min(this.#pendingMax, maxPendingWrites);
    const nowMs = this.#environment.monotonicMs();
    if (nowMs + flushIntervalMs < this.#dueMs) this.#arm(nowMs);
    if (nowMs > this.#dueMs && this.#canSyncNow) {
      this.#syncNow();
    } else if (this.#pending >= this.#pendingMax) {
      this.#start();
    }
  }

  #syncNow(): void {
    try {
      this.#log.syncSync();
      this.synced();
    } catch (error) {
      if (!HoldfastError.is(error, "BUSY")) throw error;
      // Another worker is in the middle of it for too long. Nothing was promised of this commit that a later sync does not keep.
      this.#arm(this.#environment.monotonicMs());
    }
  }

  #arm(nowMs: number): void {
    this.#disarm();
    this.#dueMs = nowMs + this.#intervalMs;
    this.#cancel = this.#environment.schedule(this.#intervalMs, () => {
      this.#disarm();
      this.#start();
    });
  }

  /** Begins a sync in the background; what comes while it is under way waits for the next. */
  #start(): void {
    if (this.#inFlight !== undefined || this.#stopped) return;
    const intervalMs = this.#intervalMs;
    this.#forget();
    this.#inFlight = this.#sync().then((isPutOff) => {
      this.#inFlight = undefined;
      if (isPutOff) {
        this.#pending++;
        this.#intervalMs = Math.min(this.#intervalMs, intervalMs);
      }
      if (this.#pending === 0 || this.#stopped) return;
      const nowMs = this.#environment.monotonicMs();
      if (this.#pending >= this.#pendingMax) this.#start();
      else if (nowMs + this.#intervalMs < this.#dueMs) this.#arm(nowMs);
    });
  }

  /** Nothing is pending. */
  #forget(): void {
    this.#pending = 0;
    this.#intervalMs = Number.POSITIVE_INFINITY;
    this.#pendingMax = Number.POSITIVE_INFINITY;
  }

  /** Never throws; true where another worker was in the middle of it, so that it has to be done again. */
  async #sync(): Promise<boolean> {
    let isPutOff = false;
    const note = (error: unknown): void => {
      isPutOff ||= HoldfastError.is(error, "BUSY");
    };
    // What fails has been told to the log's listener, and the next write will say so too. Want of room for what is queued
    // is no reason not to sync what is written.
    await this.#log.drain().catch(note);
    await this.#log.sync().catch(note);
    return isPutOff;
  }

  #disarm(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#dueMs = Number.POSITIVE_INFINITY;
  }

  /** Everything written is synced: nothing is pending. */
  synced(): void {
    this.#forget();
    this.#disarm();
  }

  /** Stops, after the sync under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#disarm();
    await this.#inFlight;
  }
}
