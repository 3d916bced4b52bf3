/**
 * How databases stand in the tables of a Durable Object: each by its name, so that an object may have several.
 *
 *     holdfast_database   name, epoch                        the epoch of the newest owner
 *     holdfast_file       name, kind, number                 there is such a segment, or such a checkpoint, whole
 *     holdfast_chunk      name, kind, number, start, bytes   its bytes from `start` on, or those of a checkpoint that was never
 *                                                            finished: the next one begun, or an owner's first segment, removes them
 *
 * What it keeps true:
 *  - what is written goes through {@link Tables.write}: whole or not at all, within the call, and only while the epoch is the
 *    writer's, so that an owner that was overtaken, or whose tables were deleted under it, writes nothing;
 *  - chunks of a file meet without gaps; where one is missing, or is no bytes, reading says so;
 *  - a segment has its row in `holdfast_file` whenever it has chunks, since both are written and removed together: one that has not
 *    is listed all the same, and reading it says so;
 *  - no row is longer than {@link CHUNK_BYTES_MAX}, and none has an index beside it: an append of a record is one row written.
 */

import { HoldfastError } from "../errors.js";
import { noSuchFile, storageFull, storeFailed } from "./failures.js";
import type { SegmentInfo } from "./storage.js";

/** What `sql.exec` answers; as much of the platform's `SqlStorageCursor` as is needed. */
export interface DurableObjectCursor {
  /** All rows that are left. */
  toArray(): Record<string, unknown>[];
  readonly rowsWritten: number;
}

/** As much of the platform's `DurableObjectStorage` as is needed, of an object whose class is backed by SQLite. */
export interface DurableObjectStorageLike {
  readonly sql: {
    /** Runs one statement within the call. */
    exec(query: string, ...bindings: unknown[]): DurableObjectCursor;
  };
  /** All that the closure does, or none of it. */
  transactionSync<T>(closure: () => T): T;
  /** Resolves once everything that was written before is durable. */
  sync(): Promise<void>;
}

export type FileKind = "segment" | "checkpoint";

/** Half of what a row may have on the platform, which is 2 MB with its key. */
const CHUNK_BYTES_MAX = 1024 * 1024;
const EPOCH_MAX = 2 ** 32 - 1;

const TABLES = `
  CREATE TABLE IF NOT EXISTS holdfast_database (name TEXT PRIMARY KEY, epoch INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS holdfast_file (
    name TEXT, kind TEXT, number INTEGER, PRIMARY KEY (name, kind, number)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS holdfast_chunk (
    name TEXT, kind TEXT, number INTEGER, start INTEGER, bytes BLOB NOT NULL,
    PRIMARY KEY (name, kind, number, start)) WITHOUT ROWID;
`;
const OF_FILE = "name = ? AND kind = ? AND number = ?";
/** The numbers of segments that have chunks, each found by one look behind the one before. */
const SEGMENTS_OF_CHUNKS = `WITH RECURSIVE there(number) AS (VALUES (-1) UNION ALL
    SELECT (SELECT number FROM holdfast_chunk WHERE name = ?1 AND kind = 'segment' AND number > there.number
      ORDER BY number LIMIT 1)
      FROM there WHERE number IS NOT NULL)
  SELECT number FROM there WHERE number >= 0`;

/** One database in the tables of an object. */
export class Tables {
  readonly #storage: DurableObjectStorageLike;
  readonly #name: string;

  constructor(storage: DurableObjectStorageLike, name: string) {
    this.#storage = storage;
    this.#name = name;
  }

  /** Whether anything of this database was ever written. */
  get exists(): boolean {
    const table = this.#rows("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'holdfast_database'");
    return table.length > 0 && this.#rows("SELECT 1 FROM holdfast_database WHERE name = ?", this.#name).length > 0;
  }

  /** Makes the tables, and takes the next epoch. @throws HoldfastError `CORRUPTION` where the last one is no number */
  own(): number {
    return this.#storage.transactionSync(() => {
      this.#exec(TABLES);
      const [row] = this.#rows("SELECT epoch FROM holdfast_database WHERE name = ?", this.#name);
      const last = row === undefined ? 0 : row["epoch"];
      if (!Number.isSafeInteger(last) || (last as number) < 0) throw badEpoch(this.#name);
      const epoch = (last as number) + 1;
      if (epoch > EPOCH_MAX) throw storeFailed("The database has used up its epochs; export it and import it anew");
      this.#exec("INSERT OR REPLACE INTO holdfast_database VALUES (?, ?)", this.#name, epoch);
      return epoch;
    });
  }

  get hasFiles(): boolean {
    const file = this.#rows("SELECT 1 FROM holdfast_file WHERE name = ? LIMIT 1", this.#name);
    return file.length > 0 || this.#rows(SEGMENTS_OF_CHUNKS, this.#name).length > 0;
  }

  has(kind: FileKind, number: number): boolean {
    return this.#rows(`SELECT 1 FROM holdfast_file WHERE ${OF_FILE}`, this.#name, kind, number).length > 0;
  }

  list(kind: FileKind): SegmentInfo[] {
    const rows = this.#rows(
      `SELECT number, coalesce((SELECT start + length(bytes) FROM holdfast_chunk AS chunk
           WHERE chunk.name = file.name AND chunk.kind = file.kind AND chunk.number = file.number
           ORDER BY start DESC LIMIT 1), 0) AS byteLength
         FROM (SELECT name, kind, number FROM holdfast_file
           UNION SELECT ?1, 'segment', number FROM (${SEGMENTS_OF_CHUNKS})) AS file
         WHERE name = ?1 AND kind = ?2 ORDER BY number`,
      this.#name,
      kind,
    );
    return rows.map(({ number, byteLength }) => ({ number: Number(number), byteLength: Number(byteLength) }));
  }

  /**
   * Reads from `offset` on as much as there is, up to the length of `into`; returns how much that was.
   * @throws HoldfastError `NOT_FOUND` if there is no such file, `CORRUPTION` with its number and the offset
   */
  read(kind: FileKind, number: number, offset: number, into: Uint8Array): number {
    const file = [this.#name, kind, number];
    if (!this.has(kind, number)) {
      const chunk = this.#rows(`SELECT 1 FROM holdfast_chunk WHERE ${OF_FILE} LIMIT 1`, ...file);
      if (kind === "checkpoint" || chunk.length === 0) throw noSuchFile(kind, number);
      throw damaged(kind, number, 0, "its row in holdfast_file is missing");
    }
    const rows = this.#rows(
      `SELECT max(start, ?4) AS start, substr(bytes, max(?4 - start, 0) + 1, ?5) AS bytes FROM holdfast_chunk
         WHERE name = ?1 AND kind = ?2 AND number = ?3 AND start < ?4 + ?5 AND start + length(bytes) > ?4
           AND start >= coalesce((SELECT max(start) FROM holdfast_chunk
             WHERE name = ?1 AND kind = ?2 AND number = ?3 AND start <= ?4), 0)
         ORDER BY start`,
      ...file,
      offset,
      into.byteLength,
    );
    let done = 0;
    for (const { start, bytes } of rows) {
      if (start !== offset + done) throw damaged(kind, number, offset + done, MISSING);
      if (!(bytes instanceof ArrayBuffer)) throw damaged(kind, number, start, "what its row has there is not bytes");
      const part = new Uint8Array(bytes).subarray(0, into.byteLength - done);
      into.set(part, done);
      done += part.byteLength;
    }
    if (done > 0 || into.byteLength === 0) return done;
    const beyond = this.#rows(`SELECT 1 FROM holdfast_chunk WHERE ${OF_FILE} AND start > ? LIMIT 1`, ...file, offset);
    if (beyond.length > 0) throw damaged(kind, number, offset, MISSING);
    return 0;
  }

  /** Says that there is such a file. */
  name(kind: FileKind, number: number): void {
    this.#exec("INSERT INTO holdfast_file VALUES (?, ?, ?)", this.#name, kind, number);
  }

  /**
   * Adds bytes to a file, of which `start` has to be the end: it is not where somebody has taken rows away, or has rolled back a
   * transaction of his own around a write.
   */
  append(kind: FileKind, number: number, start: number, bytes: Uint8Array): void {
    const query = `SELECT start + length(bytes) AS end FROM holdfast_chunk WHERE ${OF_FILE} ORDER BY start DESC LIMIT 1`;
    const [last] = this.#rows(query, this.#name, kind, number);
    if (Number(last?.["end"] ?? 0) !== start) {
      throw storeFailed(
        `${kind} ${number} does not end at byte ${start}: rows were removed, or rolled back from outside`,
      );
    }
    for (let at = 0; at < bytes.byteLength; at += CHUNK_BYTES_MAX) {
      const chunk = bytes.subarray(at, at + CHUNK_BYTES_MAX);
      this.#exec("INSERT INTO holdfast_chunk VALUES (?, ?, ?, ?, ?)", this.#name, kind, number, start + at, chunk);
    }
  }

  /** Cuts a file to that length. */
  cut(kind: FileKind, number: number, byteLength: number): void {
    const file = [this.#name, kind, number];
    this.#exec(`DELETE FROM holdfast_chunk WHERE ${OF_FILE} AND start >= ?`, ...file, byteLength);
    this.#exec(
      `UPDATE holdfast_chunk SET bytes = substr(bytes, 1, ?4 - start)
         WHERE name = ?1 AND kind = ?2 AND number = ?3 AND start + length(bytes) > ?4
           AND start = (SELECT max(start) FROM holdfast_chunk WHERE name = ?1 AND kind = ?2 AND number = ?3)`,
      ...file,
      byteLength,
    );
  }

  /** Takes away what is left of checkpoints that were never finished. */
  removeUnfinished(): void {
    this.#exec(
      `DELETE FROM holdfast_chunk WHERE name = ?1 AND kind = 'checkpoint' AND number NOT IN (
         SELECT number FROM holdfast_file WHERE name = ?1 AND kind = 'checkpoint')`,
      this.#name,
    );
  }

  /** Takes a file away, and whatever there is of one that was never finished. */
  remove(kind: FileKind, number: number): void {
    for (const table of ["holdfast_file", "holdfast_chunk"]) {
      this.#exec(`DELETE FROM ${table} WHERE ${OF_FILE}`, this.#name, kind, number);
    }
  }

  /**
   * Does all of `work` or nothing, if `epoch` is still the newest owner's; returns whether it is. What was thrown is thrown on, and
   * nothing of it stays.
   */
  write(epoch: number, work: () => void): boolean {
    return this.#storage.transactionSync(() => {
      const owned = this.#rows("SELECT 1 FROM holdfast_database WHERE name = ? AND epoch = ?", this.#name, epoch);
      if (owned.length > 0) work();
      return owned.length > 0;
    });
  }

  #rows(query: string, ...bindings: unknown[]): Record<string, unknown>[] {
    return this.#exec(query, ...bindings).toArray();
  }

  #exec(query: string, ...bindings: unknown[]): DurableObjectCursor {
    return this.#storage.sql.exec(query, ...bindings);
  }
}

/** Something that the platform threw, as what it means here. */
export function failure(what: string, cause: unknown): HoldfastError {
  if (HoldfastError.is(cause)) return cause;
  const text = cause instanceof Error ? cause.message : String(cause);
  if (/SQLITE_FULL/.test(text)) return storageFull(what, 0, cause);
  if (!/SQL is not enabled/.test(text)) return storeFailed(what, cause);
  return new HoldfastError(
    "UNSUPPORTED",
    `${what}: the object's class is not backed by SQLite. Name it in new_sqlite_classes, or with enableSql in workerd.`,
    { cause },
  );
}

/** Whether it failed because the tables are not there. */
export function isGone(cause: unknown): boolean {
  return cause instanceof Error && /no such table: holdfast_/.test(cause.message);
}

const MISSING = "rows are missing from there on";

function damaged(kind: FileKind, number: number, offset: number, what: string): HoldfastError {
  return new HoldfastError(
    "CORRUPTION",
    `The rows of ${kind} ${number} are damaged at byte ${offset}: ${what}. Nothing was changed. Restore them from a copy, or the object's storage from a bookmark.`,
    { details: { [kind]: number, offset } },
  );
}

function badEpoch(name: string): HoldfastError {
  return new HoldfastError(
    "CORRUPTION",
    `The epoch of ${name} in holdfast_database is no whole number. Nothing was changed. Set it to one that is not below what it was.`,
    { details: { name } },
  );
}
