/**
 * What runs, transactions and snapshots share of one open database: its core, its durability, and whether it is open.
 */
import { HoldfastError } from "../errors.js";
import { MODE_BUFFERED, MODE_IN_MEMORY, MODE_STRICT } from "./abi.js";
import type { Core, RunHandle } from "./core.js";
import type { DurableLog } from "./durability.js";
import { type DurabilityMode, type DurabilityOption, modeNumber, parseDurability } from "./durability-mode.js";
import type { Environment } from "./environment.js";

/** What an engine is made of. */
export interface EngineParts {
  readonly core: Core;
  /** Undefined for a database in memory only. */
  readonly log: DurableLog | undefined;
  readonly mode: DurabilityMode;
  readonly readOnly: boolean;
  /** Whether a strict commit can be made in a synchronous call. */
  readonly syncFlush: boolean;
  readonly storageKind: string;
  readonly environment: Environment;
}

/** What a leaked snapshot or transaction still holds in the core. */
export type Held =
  | { readonly kind: "snapshot"; readonly slot: number; readonly run: RunHandle | undefined }
  | { readonly kind: "transaction"; readonly handle: RunHandle };

export class Engine {
  readonly core: Core;
  readonly log: DurableLog | undefined;
  readonly environment: Environment;
  /** The database's own mode, as the core numbers it. */
  readonly defaultMode: number;
  readonly #readOnly: boolean;
  readonly #syncFlush: boolean;
  readonly #storageKind: string;
  /** Why nothing new is taken, once closing; and why nothing can be done any more, once closed or locked out. */
  #closing: string | undefined;
  #closed: string | undefined;
  #inFlight = new Set<Promise<unknown>>();
  readonly #leaks = new FinalizationRegistry<Held>((held) => this.#reclaim(held));

  constructor(parts: EngineParts) {
    this.core = parts.core;
    this.log = parts.log;
    this.environment = parts.environment;
    this.defaultMode = modeNumber(parts.mode.mode);
    this.#readOnly = parts.readOnly;
    this.#syncFlush = parts.syncFlush;
    this.#storageKind = parts.storageKind;
  }

  /** Whether new work is taken. */
  get isOpen(): boolean {
    return this.#closing === undefined;
  }

  /** Whether work that has begun can go on. */
  get isLive(): boolean {
    return this.#closed === undefined;
  }

  /** Takes no new work from now on; what has begun goes on. */
  beginClosing(reason: string): void {
    this.#closing ??= reason;
  }

  /** Refuses everything from now on. */
  close(reason: string): void {
    this.#closing ??= reason;
    this.#closed ??= reason;
  }

  /** Before new work. @throws HoldfastError `CLOSED`. */
  assertOpen(): void {
    if (this.#closing !== undefined) throw new HoldfastError("CLOSED", `${this.#closing} Open it again.`);
  }

  /** Before a step of work that has begun. @throws HoldfastError `CLOSED`. */
  assertLive(): void {
    if (this.#closed !== undefined) throw new HoldfastError("CLOSED", `${this.#closed} Open it again.`);
  }

  /** Before a write. @throws HoldfastError `READ_ONLY`, `STORE_FAILED`, `STORAGE_FULL`, `BUSY`; nothing has changed. */
  assertWritable(): void {
    if (this.#readOnly) {
      throw new HoldfastError("READ_ONLY", "The database was opened with readOnly: true. Open it without to write.");
    }
    this.log?.assertWritable();
  }

  /**
   * The number of the mode that a synchronous write is made in.
   * @throws HoldfastError `SYNC_COMMIT_UNSUPPORTED` if the storage cannot keep its promise synchronously.
   */
  syncModeOf(option: DurabilityOption | undefined): number {
    const mode = option === undefined ? this.defaultMode : modeNumber(parseDurability(option).mode);
    if (mode === MODE_IN_MEMORY) return mode;
    // Without a log nothing is written: a transaction can still read.
    if (this.#readOnly) return mode;
    if (this.log === undefined) throw this.#unsupported(mode, "Open the database with a path or a persistent storage.");
    if (mode === MODE_STRICT && !this.#syncFlush) throw this.#unsupported(mode, "Use await run.transactionAsync(…).");
    return mode;
  }

  /** The number of the mode that an asynchronous transaction is made in. */
  asyncModeOf(option: DurabilityOption | undefined): number {
    const mode = option === undefined ? this.defaultMode : modeNumber(parseDurability(option).mode);
    if (mode === MODE_IN_MEMORY || this.log !== undefined || this.#readOnly) return mode;
    throw this.#unsupported(mode, "Open the database with a path or a persistent storage.");
  }

  #unsupported(mode: number, next: string): HoldfastError {
    const name = mode === MODE_BUFFERED ? "buffered" : "strict";
    return new HoldfastError(
      "SYNC_COMMIT_UNSUPPORTED",
      `The storage (${this.#storageKind}) cannot make a ${name} commit in a synchronous call; nothing has changed. ${next}`,
      { details: { storage: this.#storageKind, mode: name } },
    );
  }

  /** Keeps the promise of `mode` for a commit that was just installed. */
  settle(run: RunHandle, version: number, mode: number): void {
    if (this.log !== undefined) this.log.mode(mode).commit(run, version);
  }

  /** Counts an asynchronous operation as in flight, so that `close` waits for it. */
  track<T>(work: Promise<T>): Promise<T> {
    this.#inFlight.add(work);
    const done = (): void => {
      this.#inFlight.delete(work);
    };
    work.then(done, done);
    return work;
  }

  /** Waits for every operation in flight, whatever becomes of it. */
  async drainInFlight(): Promise<void> {
    while (this.#inFlight.size > 0) await Promise.allSettled([...this.#inFlight]);
  }

  /** Sees to it that what `owner` holds in the core is given back if `owner` is dropped without being ended. */
  watch(owner: object, held: Held): void {
    this.#leaks.register(owner, held, owner);
  }

  unwatch(owner: object): void {
    this.#leaks.unregister(owner);
  }

  #reclaim(held: Held): void {
    if (!this.isLive) return;
    if (held.kind === "snapshot") this.core.dropSnapshot(held.slot, held.run);
    else this.core.end(held.handle);
  }
}
