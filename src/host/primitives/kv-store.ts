/**
 * Key-values: strings to values, each with the version of the commit that wrote it.
 */
import type { Value } from "../codec.js";
import type { Reader, Versioned, WriteOptions, Writer } from "../reader-writer.js";
import type { ListOptions } from "../scan.js";

/** The table of a run that key-values are kept in. */
const TABLE = 0;

/** Key-values that can be read: of a snapshot. Keys are 1 to 1,024 bytes of UTF-8. */
export class KVReader {
  readonly #reader: Reader;

  /** @internal */
  constructor(reader: Reader) {
    this.#reader = reader;
  }

  /**
   * The value of a key, `undefined` if there is none.
   * @throws HoldfastError `INVALID_KEY`, `CLOSED`.
   */
  get(key: string): Value | undefined {
    return this.#reader.get(TABLE, key);
  }

  /** The value of a key with the version of the commit that wrote it. */
  getVersioned(key: string): Versioned | undefined {
    return this.#reader.getVersioned(TABLE, key);
  }

  /** The values of several keys as of one instant, in the order asked for. */
  getMany(keys: readonly string[]): (Value | undefined)[] {
    return this.#reader.getMany(TABLE, keys);
  }

  /** Whether there is such a key. */
  has(key: string): boolean {
    return this.#reader.has(TABLE, key);
  }

  /** Keys and values in a range, sorted by the keys' UTF-8 bytes. `end` is exclusive. */
  list(options?: ListOptions): [key: string, value: Value][] {
    return this.#reader.list(TABLE, options);
  }

  /** The keys in a range, sorted by their UTF-8 bytes. */
  keys(options?: ListOptions): string[] {
    return this.#reader.keys(TABLE, options);
  }

  /** How many keys there are, or how many begin with `prefix`. */
  count(prefix?: string): number {
    return this.#reader.count(TABLE, prefix);
  }
}

/**
 * Key-values of a run or a transaction.
 *
 * ```ts
 * const version = run.kv.put("plan", { goal: "ship" });
 * run.kv.put("plan", { goal: "rest" }, { ifVersion: version }); // VERSION_MISMATCH if somebody was faster
 * run.kv.getMany(["plan", "none"]); // [{ goal: "rest" }, undefined]
 * run.kv.list({ prefix: "pl", reverse: true, limit: 10 });
 * run.kv.delete("plan"); // true
 * ```
 */
export class KVStore extends KVReader {
  readonly #writer: Writer;

  /** @internal */
  constructor(writer: Writer) {
    super(writer);
    this.#writer = writer;
  }

  /**
   * Writes a value; returns the version of the commit, 0 inside a transaction, whose `commit` has it.
   * @throws HoldfastError `INVALID_KEY`, `INVALID_VALUE`, `VALUE_TOO_LARGE`, `VERSION_MISMATCH`, `STORE_FULL`,
   *   `STORAGE_FULL`, `STORE_FAILED`, `SYNC_COMMIT_UNSUPPORTED`, `BUSY`, `READ_ONLY`, `CLOSED`.
   */
  put(key: string, value: Value, options?: WriteOptions): number {
    return this.#writer.put(TABLE, key, value, options);
  }

  /** Removes a key; returns whether it was there. Throws what {@link KVStore.put} does. */
  delete(key: string, options?: WriteOptions): boolean {
    return this.#writer.delete(TABLE, key, options);
  }
}
