/**
 * A storage adapter for Keyv over the key-values of one run. It knows Keyv by the shape of its interface and imports nothing of
 * it; that the shapes agree is checked where the tests are compiled.
 *
 *   "=" key               → { value, expires? }           a key that fits
 *   "#" SHA-256 of key    → { value, expires?, key }      one that does not
 *
 * What it keeps true:
 *  - what Keyv hands over comes back as it was: Keyv serializes, the adapter stores;
 *  - an entry whose time is over is never returned or counted, and is removed by whoever comes across it;
 *  - a call resolves once what it wrote is as durable as the database's mode promises;
 *  - a namespace is the prefix that Keyv puts before its keys, and clearing one leaves the others alone.
 */
import type { Database, KVReader, Run, Transaction, Value } from "../../index.js";
import { digestOf } from "../digest.js";

/** Longer keys, in bytes of UTF-8, are stored by their digest. The store's own limit leaves room for what stands around one. */
const KEY_BYTES_MAX = 1000;
const FITTING = "=";
const DIGESTED = "#";
/** How many entries an iteration reads at once, and how many one transaction of a removal of any number looks at. */
const PAGE = 256;
const PAGE_OF_REMOVAL = 4096;
/** What one call may meet of others that write the same keys. */
const RETRY = { attempts: 20 } as const;

/** How the adapter is to be made. */
export interface HoldfastKeyvOptions {
  /** The id of the run that the entries are kept in; `keyv` if left out. The run should hold nothing else. */
  readonly run?: string | undefined;
}

interface Entry {
  readonly value: Value;
  /** Milliseconds since 1970 at which its time is over. */
  readonly expires?: number;
  /** The key, where what it is stored under is its digest. */
  readonly key?: string;
}

type ErrorListener = (error: unknown) => void;

function storedKey(key: string): string {
  // No character has more than three bytes for each code unit.
  const fits = key.length * 3 <= KEY_BYTES_MAX || new TextEncoder().encode(key).length <= KEY_BYTES_MAX;
  return fits ? FITTING + key : DIGESTED + digestOf(key);
}

function isOver({ expires }: Entry): boolean {
  return expires !== undefined && Date.now() > expires;
}

/** Without properties that are undefined: an unserialized entry of Keyv's has one where there is no time to live. */
function withoutUndefined(value: unknown): Value {
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) {
    return value as Value;
  }
  return Object.fromEntries(Object.entries(value).filter(([, property]) => property !== undefined));
}

/**
 * Keeps what a Keyv holds in a Holdfast database: `new Keyv({ store: new HoldfastKeyv(db) })`.
 *
 * The database stays that of whoever opened it: `disconnect` flushes it, and does not close it.
 */
export class HoldfastKeyv {
  readonly #db: Database;
  readonly #run: Run;
  readonly #listeners = new Set<ErrorListener>();
  /** The namespace of the Keyv that uses it, which sets this itself. */
  namespace: string | undefined;
  /** Keyv iterates only over stores whose dialect or URL it knows; of those it knows, the one that is embedded and has files. */
  readonly opts: Record<string, unknown>;

  /** @throws HoldfastError `INVALID_KEY` for a run id that cannot be one, `CLOSED`. */
  constructor(db: Database, options: HoldfastKeyvOptions = {}) {
    const id = options.run ?? "keyv";
    this.#db = db;
    this.#run = db.run(id);
    this.opts = { dialect: "sqlite", url: `holdfast://${id}` };
  }

  /** Calls `listener` with what made a read fail, which Keyv keeps to itself otherwise. What makes a write fail it reports. */
  on(event: string, listener: (...args: unknown[]) => void): this {
    if (event === "error") this.#listeners.add(listener);
    return this;
  }

  /** The value of a key, `undefined` if there is none or its time is over. */
  async get<T>(key: string): Promise<T | undefined> {
    const [value] = await this.getMany<T>([key]);
    return value;
  }

  /** The values of several keys as of one instant, in the order asked for. */
  async getMany<T>(keys: readonly string[]): Promise<(T | undefined)[]> {
    const entries = await this.#live(keys);
    return entries.map((entry) => entry?.value as T | undefined);
  }

  /** Whether there is such a key whose time is not over. */
  async has(key: string): Promise<boolean> {
    const [entry] = await this.#live([key]);
    return entry !== undefined;
  }

  /** Writes a value, for `ttl` milliseconds, or for good where there is none. */
  async set(key: string, value: unknown, ttl?: number): Promise<boolean> {
    const stored = storedKey(key);
    const entry = {
      value: withoutUndefined(value),
      ...(ttl ? { expires: Date.now() + ttl } : {}),
      ...(stored.startsWith(DIGESTED) ? { key } : {}),
    };
    await this.#write(({ kv }) => kv.put(stored, entry));
    return true;
  }

  /** Removes a key; resolves with whether it was there. */
  delete(key: string): Promise<boolean> {
    return this.deleteMany([key]);
  }

  /** Removes several keys in one transaction; resolves with whether any was there. */
  deleteMany(keys: readonly string[]): Promise<boolean> {
    const stored = keys.map(storedKey);
    return this.#write(({ kv }) => stored.filter((key) => kv.delete(key)).length > 0);
  }

  /**
   * Removes everything of the namespace, and where there is none, everything. Of what is written meanwhile some may stay: thousands
   * of entries are more than one transaction.
   */
  async clear(): Promise<void> {
    const prefix = this.#prefix(this.namespace);
    await this.#removeWhere(FITTING + prefix, () => true);
    await this.#removeWhere(DIGESTED, ({ key }) => key?.startsWith(prefix) ?? false);
  }

  /** Removes every entry whose time is over, also those that nobody asks for; resolves with how many there were. */
  deleteExpired(): Promise<number> {
    return this.#removeWhere("", isOver);
  }

  /** Goes through the entries of a namespace, or through all: keys with the prefix that Keyv puts before them. */
  async *iterator<T>(namespace?: string): AsyncGenerator<[string, T], void> {
    const prefix = this.#prefix(namespace);
    for (const stored of [FITTING + prefix, DIGESTED]) {
      let start: string | undefined;
      for (;;) {
        const page = this.#reading((kv) => kv.list({ prefix: stored, start, limit: PAGE }));
        await this.#removeOver(page.filter(([, entry]) => isOver(entry as unknown as Entry)).map(([key]) => key));
        for (const [storedAs, given] of page) {
          const entry = given as unknown as Entry;
          const key = entry.key ?? storedAs.slice(FITTING.length);
          if (key.startsWith(prefix) && !isOver(entry)) yield [key, entry.value as T];
        }
        const last = page.at(-1);
        if (last === undefined || page.length < PAGE) break;
        start = `${last[0]}\u0000`;
      }
    }
  }

  /** Resolves when everything that was set is durable. */
  disconnect(): Promise<void> {
    return this.#db.flush();
  }

  #prefix(namespace: string | undefined): string {
    return namespace ? `${namespace}:` : "";
  }

  /** The entries of keys; those that are over are removed. */
  async #live(keys: readonly string[]): Promise<(Entry | undefined)[]> {
    const found = this.#reading((kv) => {
      const stored = keys.map(storedKey);
      return kv.getMany(stored).map((entry, at) => ({ key: stored[at] ?? "", entry: entry as Entry | undefined }));
    });
    await this.#removeOver(found.filter(({ entry }) => entry !== undefined && isOver(entry)).map(({ key }) => key));
    return found.map(({ entry }) => (entry === undefined || isOver(entry) ? undefined : entry));
  }

  /** Removes entries unless they were written again. That it fails, as where nothing may be written, is no reader's affair. */
  async #removeOver(keys: readonly string[]): Promise<void> {
    if (keys.length === 0) return;
    try {
      await this.#write(({ kv }) => {
        for (const key of keys) {
          const entry = kv.get(key) as Entry | undefined;
          if (entry !== undefined && isOver(entry)) kv.delete(key);
        }
      });
    } catch {
      // They stay, and stay unseen.
    }
  }

  /** Removes what is chosen of the entries below a prefix of what they are stored under. @returns how many it removed */
  async #removeWhere(prefix: string, isChosen: (entry: Entry) => boolean): Promise<number> {
    let removed = 0;
    let start: string | undefined;
    do {
      const page = await this.#write(({ kv }) => {
        const entries = kv.list({ prefix, start, limit: PAGE_OF_REMOVAL });
        const chosen = entries.filter(([, entry]) => isChosen(entry as unknown as Entry));
        for (const [key] of chosen) kv.delete(key);
        return { removed: chosen.length, last: entries[PAGE_OF_REMOVAL - 1]?.[0] };
      });
      removed += page.removed;
      start = page.last;
    } while (start !== undefined);
    return removed;
  }

  #reading<T>(read: (kv: KVReader) => T): T {
    try {
      return read(this.#run.kv);
    } catch (error) {
      for (const listener of this.#listeners) listener(error);
      throw error;
    }
  }

  #write<T>(body: (transaction: Transaction) => T): Promise<T> {
    return this.#run.transactionAsync(body, { retry: RETRY });
  }
}
