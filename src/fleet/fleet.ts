/**
 * Runs that outlive the machine they run on: each is a database of its own on JetStream, which one process has at a time.
 *
 * What it keeps true:
 *  - a run that is held is loaded, and stays so until it is released or taken away;
 *  - one that was released stays loaded, and this process its owner, until memory is short or another process asks for it: whoever
 *    comes back to it need not read its log again;
 *  - one that is asked for elsewhere is let go at once where nobody here holds it;
 *  - one whose database somebody who holds it has closed is given back like any other, and loaded anew when it is asked for.
 */
import type { NatsConnection, Subscription } from "@nats-io/nats-core";
import { type NatsOptions, nats, STREAM, tokenOf } from "../adapters/nats.js";
import { Database, type DurabilityOption, HoldfastError, type OpenOptions, type Run } from "../index.js";

/** Options of {@link Fleet.open}. */
export interface FleetOptions extends Omit<NatsOptions, "waitMs"> {
  /** In which mode runs are written unless a write says otherwise; `"buffered"` if left out. */
  readonly durability?: DurabilityOption | undefined;
  /** The most bytes of memory that all runs may take together before those that nobody holds are let go; 1 GiB if left out. */
  readonly memoryBytesMax?: number | undefined;
  /** The most runs that are loaded before those that nobody holds are let go; 1,000 if left out. */
  readonly runsMax?: number | undefined;
  /**
   * After so many commits of a run a checkpoint takes the place of its log, in the background, so that whoever takes it over need not
   * read more; 20,000 if left out, `Infinity` for never.
   */
  readonly commitsMax?: number | undefined;
  /** The core, where the package cannot find its own: as in `Database.open`. */
  readonly wasm?: OpenOptions["wasm"];
}

/** Options of {@link Fleet.acquire}. */
export interface AcquireOptions {
  /**
   * Milliseconds for which a process that holds it and lives is waited for; 0 if left out. One that has died is waited for in any
   * case, until its lease is over.
   */
  readonly waitMs?: number | undefined;
  /** Ends the wait. */
  readonly signal?: AbortSignal | undefined;
}

/** A run that this process holds. */
export interface Held {
  /** The database that is this run's own. */
  readonly db: Database;
  /**
   * Gives it back, with everything committed acknowledged. Idempotent.
   * @throws HoldfastError `STORAGE_FULL`, `STORE_FAILED`, `COMMIT_INDETERMINATE` if not everything was; it is given back all the same
   */
  release(): Promise<void>;
  /**
   * Calls `listener` once if the run is taken away from this process, or its writes were not answered for too long. Returns what
   * ends that. Commits in flight are `COMMIT_INDETERMINATE` then, whatever is called later `STORE_FAILED`.
   */
  onLost(listener: (reason: string) => void): () => void;
  /** {@link release}, for `await using`. */
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
const COMMITS_MAX = 20_000;
/** How often is looked for runs with so many commits. */
const LOOK_MS = 2_000;
/** How often whoever waits asks the owner to let go. */
const ASK_MS = 250;
/** How long an owner is given for that who does not hold it any more. */
const LET_GO_MS = 150;

/** A run that is loaded. */
interface Loaded {
  readonly token: string;
  readonly db: Database;
  readonly run: Run;
  readonly listeners: Set<(reason: string) => void>;
  holds: number;
  /** As of the last time that it was taken or given back. */
  memoryBytes: number;
  /** How many of its commits are in no log any more, since a checkpoint has them; whether one is under way. */
  commits: number;
  isCheckpointing: boolean;
  /** Why this process has it no more. */
  lost: string | undefined;
  /** Its being let go, once that has begun. */
  leaving: Promise<void> | undefined;
}

/** The runs that one process has of all that are on the same servers. */
export class Fleet implements AsyncDisposable {
  readonly #connection: NatsConnection;
  readonly #options: FleetOptions;
  readonly #wishes: string;
  readonly #memoryBytesMax: number;
  readonly #runsMax: number;
  readonly #commitsMax: number;
  /** By what stands for their ids in a subject; the least recently used one first. */
  readonly #loaded = new Map<string, Loaded>();
  readonly #loading = new Map<string, Promise<void>>();
  /** Those that are being let go. */
  readonly #leaving = new Map<string, Promise<void>>();
  /** Those who held a run that has left with something unacknowledged were not told of it yet. */
  readonly #untold = new Set<Promise<void>>();
  /** What ends the waits of those who acquire a run. */
  readonly #stops = new Set<() => void>();
  #memoryBytes = 0;
  #asked: Subscription | undefined;
  #looking: ReturnType<typeof setInterval> | undefined;
  #closing: Promise<void> | undefined;

  private constructor(connection: NatsConnection, options: FleetOptions) {
    const {
      stream = STREAM,
      memoryBytesMax = MEMORY_BYTES_MAX,
      runsMax = RUNS_MAX,
      commitsMax = COMMITS_MAX,
    } = options;
    this.#connection = connection;
    this.#options = options;
    this.#wishes = `${stream}.wanted`;
    this.#memoryBytesMax = limitOf("memoryBytesMax", memoryBytesMax);
    this.#runsMax = limitOf("runsMax", runsMax);
    this.#commitsMax = limitOf("commitsMax", commitsMax);
  }

  /**
   * A fleet over a connection, which stays the caller's: close it after the fleet.
   * @throws HoldfastError `INVALID_ARGUMENT`, `STORE_FAILED` where the connection is closed
   */
  static async open(connection: NatsConnection, options: FleetOptions = {}): Promise<Fleet> {
    // What is wrong with the options is said here, and not with the first run.
    nats(connection, "options", options);
    const fleet = new Fleet(connection, options);
    try {
      fleet.#listen();
    } catch (cause) {
      throw new HoldfastError("STORE_FAILED", "The fleet cannot listen: its connection is closed.", { cause });
    }
    return fleet;
  }

  #listen(): void {
    this.#asked = this.#connection.subscribe(`${this.#wishes}.*`, {
      callback: (error, message) => {
        // Who may not listen lets go for want of room alone.
        if (error !== null) return;
        const found = this.#loaded.get(message.subject.slice(this.#wishes.length + 1));
        if (found?.holds === 0) void this.#letGo(found);
      },
    });
    this.#looking = setInterval(() => this.#compact(), LOOK_MS);
    // It must not keep a process alive.
    if (typeof this.#looking === "object") this.#looking.unref?.();
  }

  /** Begins a checkpoint of each run whose log has become long. */
  #compact(): void {
    for (const loaded of [...this.#loaded.values()]) {
      // One that fails says so to whoever uses it, and must not end the process.
      try {
        this.#compactOne(loaded);
      } catch {}
    }
  }

  #compactOne(loaded: Loaded): void {
    if (this.#isGone(loaded)) return;
    const { db } = loaded;
    const { commits } = db.stats();
    if (loaded.isCheckpointing || commits - loaded.commits < this.#commitsMax) return;
    loaded.commits = commits;
    loaded.isCheckpointing = true;
    // Where it fails the log is still there, and longer; what else that means is said by the commits.
    const end = (): void => {
      loaded.isCheckpointing = false;
    };
    db.checkpoint().then(end, end);
  }

  /**
   * Takes a run, new or not, for this process; loads it where it is not. Whoever takes it again here shares it.
   * @throws HoldfastError `LOCKED` with the owner where another process has it and does not let go, `TIMEOUT` by the signal,
   *   `INVALID_ARGUMENT`, `INVALID_KEY`, `CORRUPTION`, `UNSUPPORTED`, `STORE_FULL`, `STORAGE_FULL`, `STORE_FAILED`, `CLOSED`
   */
  async acquire(runId: string, options: AcquireOptions = {}): Promise<FleetRun> {
    if (typeof runId !== "string" || runId === "") throw invalid("the id of a run must be a non-empty string");
    if (typeof options !== "object" || options === null)
      throw invalid("pass the options as an object, or leave them out");
    const { waitMs = 0, signal } = options;
    if (!(waitMs >= 0)) throw invalid("waitMs must be 0 or more");
    if (signal !== undefined && !(signal instanceof AbortSignal)) throw invalid("signal must be an AbortSignal");
    const token = tokenOf(runId);
    for (;;) {
      if (this.#closing !== undefined) throw fleetClosed();
      const there = this.#loaded.get(token);
      if (there !== undefined && !this.#isGone(there)) return this.#hold(there);
      await this.#unlessClosed(signal, (stopped) => {
        // Whoever loads it may wait for a shorter time, or be told to stop.
        const underWay = this.#leaving.get(token) ?? this.#loading.get(token);
        return underWay === undefined
          ? this.#begin(token, this.#load(runId, token, waitMs, stopped))
          : unlessAborted(underWay, stopped);
      });
    }
  }

  /**
   * What `wait` comes to, which is given a signal that fires with the caller's, and when the fleet is closed.
   * @throws HoldfastError `CLOSED` where it has given up for that
   */
  async #unlessClosed(signal: AbortSignal | undefined, wait: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const controller = new AbortController();
    const stop = (): void => controller.abort(signal?.reason);
    this.#stops.add(stop);
    signal?.addEventListener("abort", stop, { once: true });
    if (signal?.aborted) stop();
    try {
      await wait(controller.signal);
    } catch (error) {
      const gaveUp = HoldfastError.is(error, "TIMEOUT") && signal?.aborted !== true;
      throw gaveUp && this.#closing !== undefined ? fleetClosed() : error;
    } finally {
      this.#stops.delete(stop);
      signal?.removeEventListener("abort", stop);
    }
  }

  #begin(token: string, loading: Promise<void>): Promise<void> {
    this.#loading.set(token, loading);
    const end = (): boolean => this.#loading.delete(token);
    loading.then(end, end);
    return loading;
  }

  async #load(id: string, token: string, waitMs: number, signal: AbortSignal): Promise<void> {
    const { durability = "buffered", wasm } = this.#options;
    const ask = (): void => {
      // Over a connection that is closed nothing can be opened either, which says so.
      try {
        this.#connection.publish(`${this.#wishes}.${token}`);
      } catch {}
    };
    ask();
    const asking = setInterval(ask, ASK_MS);
    try {
      await this.#makeRoom(1);
      const storage = nats(this.#connection, id, { ...this.#options, waitMs: Math.max(waitMs, LET_GO_MS) });
      const db = await Database.open({ storage, durability, wasm, signal });
      try {
        this.#add(id, token, db);
      } catch (error) {
        await db.close();
        throw error;
      }
    } finally {
      clearInterval(asking);
    }
  }

  /** @throws HoldfastError `INVALID_KEY` */
  #add(id: string, token: string, db: Database): void {
    const loaded: Loaded = {
      token,
      db,
      run: db.run(id),
      listeners: new Set(),
      holds: 0,
      memoryBytes: 0,
      commits: db.stats().commits - (db.storageInfo.recovered?.commits ?? 0),
      isCheckpointing: false,
      lost: undefined,
      leaving: undefined,
    };
    db.on("locked-out", (reason) => this.#lose(loaded, reason));
    this.#loaded.set(token, loaded);
  }

  #hold(loaded: Loaded): FleetRun {
    const { run, db, listeners } = loaded;
    this.#use(loaded);
    loaded.holds++;
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
        if (typeof listener !== "function") throw invalid("onLost takes a function");
        const { lost } = loaded;
        if (lost !== undefined) queueMicrotask(() => mine.has(listener) && listener(lost));
        mine.add(listener);
        listeners.add(listener);
        return () => {
          mine.delete(listener);
          listeners.delete(listener);
        };
      },
      [Symbol.asyncDispose]: release,
    };
    return holdOf(run, held);
  }

  async #release(loaded: Loaded, listeners: ReadonlySet<(reason: string) => void>): Promise<void> {
    for (const listener of listeners) loaded.listeners.delete(listener);
    try {
      await (loaded.db.isOpen ? loaded.db.flush() : (loaded.leaving ?? this.#letGo(loaded)));
    } finally {
      loaded.holds--;
      // Now all who held it are told.
      if (loaded.holds === 0 && loaded.leaving !== undefined) this.#untold.delete(loaded.leaving);
      if (this.#loaded.get(loaded.token) === loaded && !this.#isGone(loaded)) this.#use(loaded);
      await this.#makeRoom(0);
    }
  }

  /** The one that was used last is the last to go. */
  #use(loaded: Loaded): void {
    const { memoryBytes } = loaded.db.stats();
    this.#memoryBytes += memoryBytes - loaded.memoryBytes;
    loaded.memoryBytes = memoryBytes;
    this.#loaded.delete(loaded.token);
    this.#loaded.set(loaded.token, loaded);
  }

  /** Lets runs go that nobody holds, the least recently used first, until so many more have room. */
  async #makeRoom(more: number): Promise<void> {
    const leaving: Promise<void>[] = [];
    for (const loaded of this.#loaded.values()) {
      const count = this.#loaded.size + this.#loading.size + more;
      if (count <= this.#runsMax && this.#memoryBytes <= this.#memoryBytesMax) break;
      if (loaded.holds === 0) leaving.push(this.#letGo(loaded));
    }
    // What it could not write was told to whoever released it.
    await Promise.allSettled(leaving);
  }

  /** Whether somebody has closed the database of a run that is loaded: then it is let go. */
  #isGone(loaded: Loaded): boolean {
    if (loaded.db.isOpen) return false;
    void this.#letGo(loaded);
    return true;
  }

  /** What could not be written is told to whoever gives it back, or closes the fleet before that. */
  #letGo(loaded: Loaded): Promise<void> {
    const { token, db } = loaded;
    this.#loaded.delete(token);
    this.#memoryBytes -= loaded.memoryBytes;
    const leaving = db.close();
    loaded.leaving = leaving;
    this.#leaving.set(token, leaving);
    const end = (): boolean => this.#leaving.delete(token);
    leaving.then(end, () => {
      end();
      if (loaded.holds > 0) this.#untold.add(leaving);
    });
    return leaving;
  }

  #lose(loaded: Loaded, reason: string): void {
    loaded.lost = reason;
    if (this.#loaded.get(loaded.token) === loaded) void this.#letGo(loaded);
    for (const listener of [...loaded.listeners]) {
      // As with a database's own listeners: one that throws is in nobody's way.
      try {
        listener(reason);
      } catch {}
    }
  }

  /** What is loaded here. */
  stats(): FleetStats {
    const all = [...this.#loaded.values()].filter(({ db }) => db.isOpen);
    const held = all.filter(({ holds }) => holds > 0).length;
    const memoryBytes = all.reduce((sum, { db }) => sum + db.stats().memoryBytes, 0);
    return { held, idle: all.length - held, memoryBytes };
  }

  /**
   * Gives back every run, held or not, and ends the waits for others with `CLOSED`. Idempotent.
   * @throws HoldfastError `STORAGE_FULL`, `STORE_FAILED`, `COMMIT_INDETERMINATE` if not everything was acknowledged
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#asked?.unsubscribe();
    clearInterval(this.#looking);
    for (const stop of [...this.#stops]) stop();
    await Promise.allSettled(this.#loading.values());
    const last = [...this.#loaded.values()].map((loaded) => this.#letGo(loaded));
    await Promise.allSettled(this.#leaving.values());
    const results = await Promise.allSettled([...last, ...this.#untold]);
    const failed = results.find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  /** {@link close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function fleetClosed(): HoldfastError {
  return new HoldfastError("CLOSED", "The fleet is closed. Open another one.");
}

function invalid(what: string): HoldfastError {
  return new HoldfastError("INVALID_ARGUMENT", `fleet: ${what}.`);
}

function limitOf(name: string, value: number): number {
  if (!(value >= 1)) throw invalid(`${name} must be 1 or more`);
  return value;
}

/** Waits until somebody else's attempt is over, however it ends. @throws HoldfastError `TIMEOUT` by the signal */
async function unlessAborted(attempt: Promise<void>, signal: AbortSignal): Promise<void> {
  let stop = (): void => {};
  const aborted = new Promise<void>((resolve) => {
    stop = resolve;
    signal.addEventListener("abort", stop, { once: true });
  });
  if (signal.aborted) stop();
  try {
    await Promise.race([attempt.catch(() => {}), aborted]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
  if (signal.aborted) {
    throw new HoldfastError("TIMEOUT", "Waiting for the run was given up, because its signal fired.", {
      cause: signal.reason,
    });
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
