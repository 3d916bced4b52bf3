/**
 * Runs that outlive the machine they run on: each is a database of its own on JetStream, which one process has at a time.
 *
 * What it keeps true:
 *  - a run that is held is loaded, and stays so until it is released or taken away;
 *  - one that was released stays loaded, and this process its owner, until memory is short or another process asks for it: whoever
 *    comes back to it need not read its log again;
 *  - one that is asked for elsewhere is let go at once where nobody here holds it.
 */
import type { NatsConnection, Subscription } from "@nats-io/nats-core";
import { type NatsOptions, nats, tokenOf } from "../adapters/nats.js";
import { Database, type DurabilityOption, HoldfastError, type OpenOptions, type Run } from "../index.js";

/** Options of {@link Fleet.open}. */
export interface FleetOptions extends Omit<NatsOptions, "waitMs"> {
  /** In which mode runs are written unless a write says otherwise; `"buffered"` if left out. */
  readonly durability?: DurabilityOption | undefined;
  /** The most bytes of memory that all runs may take together before those that nobody holds are let go; 1 GiB if left out. */
  readonly memoryBytesMax?: number | undefined;
  /** The most runs that are loaded before those that nobody holds are let go; 1,000 if left out. */
  readonly runsMax?: number | undefined;
  /** The core, where the package cannot find its own: as in `Database.open`. */
  readonly wasm?: OpenOptions["wasm"];
}

/** Options of {@link Fleet.acquire}. */
export interface AcquireOptions {
  /** Milliseconds for which an owner who lives is waited for; 0 if left out. An owner who has died is waited for in any case. */
  readonly waitMs?: number | undefined;
  /** Ends the wait. */
  readonly signal?: AbortSignal | undefined;
}

/** A run that this process holds. */
export interface Held {
  /** The database that is this run's own. */
  readonly db: Database;
  /** Gives it back, with everything committed acknowledged. Idempotent. */
  release(): Promise<void>;
  /** Calls `listener` once if the run is taken away from this process. Returns what ends that. */
  onLost(listener: (reason: string) => void): () => void;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A run, with everything that runs have, and how to give it back. */
export type FleetRun = Run & Held;

/** What a fleet has loaded. */
export interface FleetStats {
  /** Runs that somebody holds. */
  readonly held: number;
  /** Runs that are loaded and that nobody holds. */
  readonly idle: number;
  /** Bytes of memory of all of them. */
  readonly memoryBytes: number;
}

const MEMORY_BYTES_MAX = 2 ** 30;
const RUNS_MAX = 1_000;
/** How often whoever waits asks the owner to let go. */
const ASK_MS = 250;

/** A run that is loaded. */
interface Loaded {
  readonly id: string;
  readonly db: Database;
  readonly listeners: Set<(reason: string) => void>;
  holds: number;
}

export class Fleet implements AsyncDisposable {
  readonly #connection: NatsConnection;
  readonly #options: FleetOptions;
  readonly #wishes: string;
  /** The least recently used one first. */
  readonly #loaded = new Map<string, Loaded>();
  readonly #loading = new Map<string, Promise<Loaded>>();
  /** Those that are being let go. */
  readonly #leaving = new Map<string, Promise<void>>();
  #asked: Subscription | undefined;
  #closing: Promise<void> | undefined;

  private constructor(connection: NatsConnection, options: FleetOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#wishes = `${options.stream ?? "HOLDFAST"}.wanted`;
  }

  /**
   * A fleet over a connection, which stays the caller's: close it after the fleet.
   * @throws HoldfastError `INVALID_ARGUMENT`
   */
  static async open(connection: NatsConnection, options: FleetOptions = {}): Promise<Fleet> {
    const fleet = new Fleet(connection, options);
    // What is wrong with the options is said here, and not with the first run.
    nats(connection, "options", options);
    fleet.#listen();
    return fleet;
  }

  #listen(): void {
    this.#asked = this.#connection.subscribe(`${this.#wishes}.*`, {
      callback: (_, { subject }) => {
        const token = subject.slice(this.#wishes.length + 1);
        const found = [...this.#loaded.values()].find(({ id }) => tokenOf(id) === token);
        if (found?.holds === 0) this.#letGo(found).catch(() => {});
      },
    });
  }

  /**
   * Takes a run, new or not, for this process; loads it where it is not. Whoever takes it again here shares it.
   * @throws HoldfastError `LOCKED` with the owner where another process has it and does not let go, `TIMEOUT` by the signal,
   *   `CORRUPTION`, `UNSUPPORTED`, `STORE_FULL`, `STORE_FAILED`, `CLOSED`
   */
  async acquire(runId: string, options: AcquireOptions = {}): Promise<FleetRun> {
    for (;;) {
      if (this.#closing !== undefined) throw new HoldfastError("CLOSED", "The fleet is closed. Open another one.");
      const there = this.#loaded.get(runId);
      if (there !== undefined) return this.#hold(there);
      const leaving = this.#leaving.get(runId);
      if (leaving !== undefined) {
        await leaving.catch(() => {});
        continue;
      }
      let loading = this.#loading.get(runId);
      if (loading === undefined) {
        loading = this.#load(runId, options).finally(() => this.#loading.delete(runId));
        this.#loading.set(runId, loading);
      }
      const loaded = await loading;
      if (this.#loaded.get(runId) === loaded) return this.#hold(loaded);
    }
  }

  async #load(id: string, { waitMs = 0, signal }: AcquireOptions): Promise<Loaded> {
    const { durability = "buffered", wasm } = this.#options;
    await this.#makeRoom(1);
    const ask = (): void => this.#connection.publish(`${this.#wishes}.${tokenOf(id)}`);
    ask();
    const asking = setInterval(ask, ASK_MS);
    try {
      const storage = nats(this.#connection, id, { ...this.#options, waitMs });
      const db = await Database.open({ storage, durability, wasm, signal });
      const loaded: Loaded = { id, db, listeners: new Set(), holds: 0 };
      db.on("locked-out", (reason) => this.#lose(loaded, reason));
      this.#loaded.set(id, loaded);
      return loaded;
    } finally {
      clearInterval(asking);
    }
  }

  #hold(loaded: Loaded): FleetRun {
    const { id, db, listeners } = loaded;
    loaded.holds++;
    // The one that was used last is the last to go.
    this.#loaded.delete(id);
    this.#loaded.set(id, loaded);
    const mine = new Set<(reason: string) => void>();
    let released: Promise<void> | undefined;
    const release = (): Promise<void> => {
      released ??= this.#release(loaded, mine);
      return released;
    };
    const held: Held = {
      db,
      release,
      onLost(listener) {
        mine.add(listener);
        listeners.add(listener);
        return () => {
          mine.delete(listener);
          listeners.delete(listener);
        };
      },
      [Symbol.asyncDispose]: release,
    };
    return holdOf(db.run(id), held);
  }

  async #release(loaded: Loaded, listeners: ReadonlySet<(reason: string) => void>): Promise<void> {
    for (const listener of listeners) loaded.listeners.delete(listener);
    loaded.holds--;
    if (this.#loaded.get(loaded.id) !== loaded) return;
    await loaded.db.flush();
    await this.#makeRoom(0);
  }

  /** Lets runs go that nobody holds, the least recently used first, until so many more have room. */
  async #makeRoom(more: number): Promise<void> {
    const { memoryBytesMax = MEMORY_BYTES_MAX, runsMax = RUNS_MAX } = this.#options;
    for (const loaded of [...this.#loaded.values()]) {
      if (this.#loaded.size + more <= runsMax && this.#memoryBytes <= memoryBytesMax) return;
      if (loaded.holds === 0) await this.#letGo(loaded);
    }
  }

  get #memoryBytes(): number {
    let bytes = 0;
    for (const { db } of this.#loaded.values()) bytes += db.stats().memoryBytes;
    return bytes;
  }

  #letGo(loaded: Loaded): Promise<void> {
    this.#loaded.delete(loaded.id);
    const leaving = loaded.db.close().finally(() => this.#leaving.delete(loaded.id));
    this.#leaving.set(loaded.id, leaving);
    return leaving;
  }

  #lose(loaded: Loaded, reason: string): void {
    if (this.#loaded.get(loaded.id) === loaded) this.#loaded.delete(loaded.id);
    for (const listener of loaded.listeners) listener(reason);
  }

  /** What is loaded here. */
  stats(): FleetStats {
    const held = [...this.#loaded.values()].filter(({ holds }) => holds > 0).length;
    return { held, idle: this.#loaded.size - held, memoryBytes: this.#memoryBytes };
  }

  /** Gives back every run, held or not. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#asked?.unsubscribe();
    await Promise.allSettled(this.#loading.values());
    const results = await Promise.allSettled([...this.#loaded.values()].map((loaded) => this.#letGo(loaded)));
    await Promise.allSettled(this.#leaving.values());
    const failed = results.find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/**
 * The run with what a hold adds to it: an object of its own for each hold, so that none is given back twice. Whatever the run has
 * itself is asked of it, since only it can see its own private parts; what stands in it is copied, and so costs no more than there.
 */
function holdOf(run: Run, held: Held): FleetRun {
  const hold: object = { ...held };
  for (let from: object = run; from !== Object.prototype; from = Object.getPrototypeOf(from)) {
    for (const key of Reflect.ownKeys(from)) {
      if (key === "constructor" || Object.hasOwn(hold, key)) continue;
      const { value, get, enumerable = false } = Object.getOwnPropertyDescriptor(from, key) as PropertyDescriptor;
      const bound = typeof value === "function" ? value.bind(run) : value;
      Object.defineProperty(
        hold,
        key,
        get === undefined ? { value: bound, enumerable } : { get: get.bind(run), enumerable },
      );
    }
  }
  return hold as FleetRun;
}
