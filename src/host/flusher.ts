/**
 * The background sync of buffered commits: at the latest `flushIntervalMs` after the first unsynced one, or when
 * `maxPendingWrites` are pending.
 *
 * It starts with the database, never keeps a process alive, and is stopped by `close`. In a loop that never yields timers do
 * not run: then the writing call that finds a sync overdue makes it. Its errors end the store and are told to the listener.
 */
import { HoldfastError } from "../errors.js";
import type { Environment } from "./environment.js";
import type { Log } from "./log.js";

export class Flusher {
  readonly #log: Log;
  readonly #environment: Environment;
  readonly #canSyncNow: boolean;
  readonly #intervalMs: number;
  readonly #pendingMax: number;
  #pending = 0;
  /** When the oldest unsynced commit must be synced. */
  #dueMs = Number.POSITIVE_INFINITY;
  #cancel: (() => void) | undefined;
  #inFlight: Promise<void> | undefined;
  #stopped = false;

  constructor(log: Log, environment: Environment, canSyncNow: boolean, intervalMs: number, pendingMax: number) {
    this.#log = log;
    this.#environment = environment;
    this.#canSyncNow = canSyncNow;
    this.#intervalMs = intervalMs;
    this.#pendingMax = pendingMax;
  }

  /** Notes one buffered commit; syncs in this call if the last sync is overdue. */
  note(): void {
    this.#pending++;
    const nowMs = this.#environment.monotonicMs();
    if (!this.#isArmed) this.#arm(nowMs);
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
      this.#disarm();
      this.#arm(this.#environment.monotonicMs());
    }
  }

  #arm(nowMs: number): void {
    this.#dueMs = nowMs + this.#intervalMs;
    this.#cancel = this.#environment.schedule(this.#intervalMs, () => {
      this.#disarm();
      this.#start();
    });
  }

  /** Begins a sync in the background; what comes while it is under way waits for the next. */
  #start(): void {
    if (this.#inFlight !== undefined || this.#stopped) return;
    this.#pending = 0;
    this.#inFlight = this.#sync().finally(() => {
      this.#inFlight = undefined;
      if (this.#pending > 0 && !this.#stopped && !this.#isArmed) this.#arm(this.#environment.monotonicMs());
    });
  }

  get #isArmed(): boolean {
    return this.#dueMs !== Number.POSITIVE_INFINITY;
  }

  async #sync(): Promise<void> {
    // What fails has been told to the log's listener, and the next write will say so too. Want of room for what is queued
    // is no reason not to sync what is written.
    await this.#log.drain().catch(this.#putOff);
    await this.#log.sync().catch(this.#putOff);
  }

  /** Where another worker was in the middle of it, something is still pending. */
  #putOff = (error: unknown): void => {
    if (HoldfastError.is(error, "BUSY")) this.#pending++;
  };

  #disarm(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#dueMs = Number.POSITIVE_INFINITY;
  }

  /** Everything written is synced: nothing is pending. */
  synced(): void {
    this.#pending = 0;
    this.#disarm();
  }

  /** Stops, after the sync under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#disarm();
    await this.#inFlight;
  }
}
