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
 *  - a namespace is the prefix that Keyv puts before its keys, so that one takes in those whose names go on behind its colon;
 *  - what goes over entries of any number holds the keys of a few of them, and of their values one.
 */
import type { Database, KVReader, Run, Transaction, Value } from "../../index.js";
import { digestOf } from "../digest.js";
import { checkDatabase, checkKey, checkListener, checkTtl, prefixOf, readKeys, readRunId } from "./arguments.js";

/** Longer keys, in bytes of UTF-8, are stored by their digest. The store's own limit leaves room for what stands around one. */
const KEY_BYTES_MAX = 1000;
const FITTING = "=";
const DIGESTED = "#";
/** How many keys are listed at once where their values are looked at, one by one, and where keys are enough. */
const PAGE = 256;
const PAGE_OF_KEYS = 4096;
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
type Choice = (entry: Entry) => boolean;

function storedKey(key: string): string {
  // No character has more than three bytes for each code unit.
  const fits = key.length * 3 <= KEY_BYTES_MAX || new TextEncoder().encode(key).length <= KEY_BYTES_MAX;
  return fits ? FITTING + key : DIGESTED + digestOf(key);
}

/** Beginnings of what the keys with a prefix are stored under: none of them fits where the prefix alone does not. */
function storedPrefixes(prefix: string): string[] {
  const fitting = storedKey(prefix);
  return fitting.startsWith(FITTING) ? [fitting, DIGESTED] : [DIGESTED];
}

function isOver({ expires }: Entry): boolean {
  return expires !== undefined && Date.now() > expires;
}

/** Without properties that are undefined: an unserialized entry of Keyv's has one where there is no time to live. */
function withoutUndefined(value: unknown): Value {
  try {
    if (typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype) {
      return Object.fromEntries(Object.entries(value).filter(([, property]) => property !== undefined));
    }
  } catch {
    // What throws when it is read the store refuses, and says where.
  }
  return value as Value;
}

/**
 * Keeps what a Keyv holds in a Holdfast database: `new Keyv({ store: new HoldfastKeyv(db) })`.
 *
 * The database stays that of whoever opened it: `disconnect` flushes it, and does not close it.
 *
 * Each Keyv wants a store object of its own, of which one database may have any number: Keyv sets the {@link namespace} of the
 * one that it is given, and where two share one, `clear` and iterators of both go by whoever set it last.
 *
 * Besides what is named, its methods reject with `INVALID_ARGUMENT` for a key that is no string, `INVALID_KEY` for one with a
 * lone surrogate, and with what a transaction's commit throws; none throws before it has returned its promise.
 */
export class HoldfastKeyv {
  readonly #db: Database;
  readonly #run: Run;
  readonly #listeners = new Set<ErrorListener>();
  /**
   * The namespace of the Keyv that uses it, which sets this itself: `keyv` unless it is given another, and also where
   * `useKeyPrefix: false` keeps the prefix off the keys.
   */
  namespace: string | undefined;
  /** Keyv iterates only over stores whose dialect or URL it knows; of those it knows, the one that is embedded and has files. */
  readonly opts: Record<string, unknown>;

  /** @throws HoldfastError `INVALID_ARGUMENT`; `INVALID_KEY` for a run id that cannot be one, `CLOSED`. */
  constructor(db: Database, options?: HoldfastKeyvOptions) {
    checkDatabase(db);
    const id = readRunId(options, "keyv");
    this.#db = db;
    this.#run = db.run(id);
    this.opts = { dialect: "sqlite", url: `holdfast://${id}` };
  }

  /**
   * Calls `listener` with what made a read fail, which Keyv keeps to itself otherwise. What makes a write fail it reports.
   * @throws HoldfastError `INVALID_ARGUMENT` unless it is a function.
   */
  on(event: string, listener: (...args: unknown[]) => void): this {
    checkListener(listener);
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

  /**
   * Writes a value, for `ttl` milliseconds, or for good where there is none or it is 0.
   * @throws HoldfastError `INVALID_ARGUMENT` for a `ttl` that is no number, `INVALID_VALUE`, `VALUE_TOO_LARGE`.
   */
  async set(key: string, value: unknown, ttl?: number): Promise<boolean> {
    checkKey(key);
    checkTtl(ttl);
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
  async delete(key: string): Promise<boolean> {
    return this.deleteMany([key]);
  }

  /** Removes several keys in one transaction; resolves with whether any was there. */
  async deleteMany(keys: readonly string[]): Promise<boolean> {
    const stored = readKeys(keys).map(storedKey);
    return this.#write(({ kv }) => stored.filter((key) => kv.delete(key)).length > 0);
  }

  /**
   * Removes everything of the {@link namespace}, and where there is none, everything: all keys that begin with it and a colon, so
   * that `a` takes in what `a:b` has, and finds nothing of a Keyv with `useKeyPrefix: false`, whose keys do not begin so. Of what
   * is written meanwhile some may stay: thousands of entries are more than one transaction.
   */
  async clear(): Promise<void> {
    const prefix = prefixOf(this.namespace);
    const isOfPrefix: Choice = ({ key }) => key?.startsWith(prefix) ?? false;
    for (const stored of storedPrefixes(prefix)) {
      await this.#removeBelow(stored, stored === DIGESTED && prefix !== "" ? isOfPrefix : undefined);
    }
  }

  /** Removes every entry whose time is over, also those that nobody asks for; resolves with how many there were. */
  async deleteExpired(): Promise<number> {
    return this.#removeBelow("", isOver);
  }

  /**
   * Goes through the entries of a namespace, or through all: keys that begin with it and a colon, as in {@link clear}. Each value
   * is read when its turn comes.
   */
  async *iterator<T>(namespace?: string): AsyncGenerator<[string, T], void> {
    try {
      const prefix = prefixOf(namespace);
      for (const stored of storedPrefixes(prefix)) {
        for (const page of this.#pages(stored, PAGE)) yield* this.#entriesOf<T>(page, prefix);
      }
    } catch (error) {
      this.#report(error);
      throw error;
    }
  }

  /** Resolves when everything that was set is durable. */
  async disconnect(): Promise<void> {
    return this.#db.flush();
  }

  /** The entries of keys; those that are over are removed. */
  async #live(keys: readonly string[]): Promise<(Entry | undefined)[]> {
    const found = this.#reading((kv) => {
      const stored = readKeys(keys).map(storedKey);
      return kv.getMany(stored).map((entry, at) => ({ key: stored[at] ?? "", entry: entry as Entry | undefined }));
    });
    await this.#removeOver(found.filter(({ entry }) => entry !== undefined && isOver(entry)).map(({ key }) => key));
    return found.map(({ entry }) => (entry === undefined || isOver(entry) ? undefined : entry));
  }

  /** Those of a page whose keys have a prefix, one by one; those that are over are removed when it ends. */
  async *#entriesOf<T>(page: readonly string[], prefix: string): AsyncGenerator<[string, T], void> {
    const over: string[] = [];
    try {
      for (const stored of page) {
        const entry = this.#run.kv.get(stored) as Entry | undefined;
        if (entry === undefined) continue;
        const key = entry.key ?? stored.slice(FITTING.length);
        if (isOver(entry)) over.push(stored);
        else if (key.startsWith(prefix)) yield [key, entry.value as T];
      }
    } finally {
      await this.#removeOver(over);
    }
  }

  /** Removes entries unless they were written again. That it fails, as where nothing may be written, is no reader's affair. */
  async #removeOver(keys: readonly string[]): Promise<void> {
    if (keys.length === 0) return;
    try {
      await this.#removeOf(keys, isOver);
    } catch {
      // They stay, and stay unseen.
    }
  }

  /** Removes what is stored below a prefix, all of it or what is chosen. @returns how many it removed */
  async #removeBelow(prefix: string, isChosen?: Choice): Promise<number> {
    let removed = 0;
    for (const page of this.#pages(prefix, isChosen === undefined ? PAGE_OF_KEYS : PAGE)) {
      removed += await this.#removeOf(page, isChosen);
    }
    return removed;
  }

  /** Removes what is stored under some keys, all of it or what is chosen, in one transaction. @returns how many it removed */
  #removeOf(keys: readonly string[], isChosen?: Choice): Promise<number> {
    return this.#write(({ kv }) => {
      const isToGo = (key: string): boolean => {
        if (isChosen === undefined) return true;
        const entry = kv.get(key) as Entry | undefined;
        return entry !== undefined && isChosen(entry);
      };
      return keys.filter((key) => isToGo(key) && kv.delete(key)).length;
    });
  }

  /** What entries below a prefix are stored under, so many at a time. */
  *#pages(prefix: string, limit: number): Generator<readonly string[], void> {
    let start: string | undefined;
    for (;;) {
      const page = this.#run.kv.keys({ prefix, start, limit });
      if (page.length > 0) yield page;
      if (page.length < limit) return;
      start = `${page.at(-1)}\u0000`;
    }
  }

  #reading<T>(read: (kv: KVReader) => T): T {
    try {
      return read(this.#run.kv);
    } catch (error) {
      this.#report(error);
      throw error;
    }
  }

  #report(error: unknown): void {
    for (const listener of this.#listeners) listener(error);
  }

  #write<T>(body: (transaction: Transaction) => T): Promise<T> {
    return this.#run.transactionAsync(body, { retry: RETRY });
  }
}
