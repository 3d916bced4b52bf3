/**
 * The one interface that primitives are built on: a run, a transaction and a snapshot implement it.
 *
 * A primitive names a table and keys in it; it never knows whose view it reads or how durable a write becomes.
 */
import type { Value } from "./codec.js";
import type { DurabilityOption } from "./durability-mode.js";
import type { ListOptions } from "./scan.js";

/** A value with the version of the commit that wrote it. */
export interface Versioned {
  readonly value: Value;
  /** The commit's version; 0 for what the transaction that reads it has itself written and not yet committed. */
  readonly version: number;
}

/** How one write is to be made. */
export interface WriteOptions {
  /** How durable the write is when the call returns, in place of the database's own mode. Not inside a transaction. */
  readonly durability?: DurabilityOption | undefined;
  /**
   * Write only if the key is at this version now; `null`: only if there is no such key. Otherwise `VERSION_MISMATCH`.
   */
  readonly ifVersion?: number | null | undefined;
}

/** How durable an implicit transaction is to be. Not inside a transaction, which is durable as a whole. */
export interface StepOptions {
  readonly durability?: DurabilityOption | undefined;
}

/** Reads. Missing is `undefined`, never a throw. */
export interface Reader {
  get(table: number, key: string): Value | undefined;
  getVersioned(table: number, key: string): Versioned | undefined;
  getMany(table: number, keys: readonly string[]): (Value | undefined)[];
  has(table: number, key: string): boolean;
  list(table: number, options: ListOptions | undefined): [string, Value][];
  keys(table: number, options: ListOptions | undefined): string[];
  count(table: number, prefix: string | undefined): number;
  /** Several reads as of one instant; `body` makes them on the reader that it is given, and writes nothing. */
  view<T>(body: (reader: Reader) => T): T;
  /** The greatest id that it has taken and whose mark its commit will write; of a reader that takes none, none. */
  readonly takenId?: number;
  /** Holds what is read as of one instant, until it is let go of: for reads that go on beyond a call. */
  hold(): HeldReader;
}

/** Which way the edges of a graph are followed. */
export type GraphDirection = "out" | "in" | "both";

/**
 * A walk over a graph, breadth first. Rows are counted from 0, the node that the walk starts from, level after level, each in the
 * order of its nodes.
 */
export interface Traversal {
  /** The first row of the level that was completed last, and the row behind it. */
  readonly level: number;
  readonly end: number;
  /**
   * Goes on to the next level, which is empty at the end; false where it is not there yet and the call is to be made again.
   * @throws HoldfastError `STORE_FULL`, `TRANSACTION_TOO_LARGE`, `CORRUPTION`, `BUSY`, `TRANSACTION_CLOSED`, `CLOSED`.
   */
  advance(): boolean;
  node(row: number): number;
  /** The row that a row was first come upon from; of row 0 itself. */
  parent(row: number): number;
  /** Gives its memory back. Doing so again does nothing. */
  close(): void;
}

/** Reads as of one instant. */
export interface HeldReader extends Reader {
  /** A walk over the graph from a node that is there, over edges of these types, or with none of any. */
  traverse(start: number, types: readonly string[], direction: GraphDirection): Traversal;
  /** Lets go of what is held. Doing so again does nothing. */
  release(): void;
}

/** Reads and writes. */
export interface Writer extends Reader {
  put(table: number, key: string, value: Value, options: WriteOptions | undefined): number;
  delete(table: number, key: string, options: WriteOptions | undefined): boolean;
  /**
   * Several reads and writes as one step: on a run a transaction of its own, run again after a conflict; in a transaction
   * a part of it. `body` may run more than once, so it does nothing but read and write on the writer that it is given.
   */
  step<T>(body: (writer: StepWriter) => T, options: StepOptions | undefined): T;
  /** Milliseconds since 1970 by the wall clock. */
  nowMs(): number;
  /** Fills `bytes` with randomness that an attacker cannot guess. */
  randomBytes(bytes: Uint8Array): void;
}

/** Reads and writes within a step. */
export interface StepWriter extends Writer {
  /** Puts a value that nobody else has a part of: it is not looked at as one that a caller gives. */
  putOwn(table: number, key: string, value: Value): void;
  /** A whole number, 1 or more, that the run has never given before and never gives again, whatever becomes of the step. */
  newId(): number;
}

/** What a caller's function threw in the middle of a step, to tell it from a step that was cut off. */
export class CallerError extends Error {
  constructor(override readonly cause: unknown) {
    super();
  }

  /** Runs a caller's function within a step. */
  static within<T>(call: () => T): T {
    try {
      return call();
    } catch (cause) {
      throw new CallerError(cause);
    }
  }

  /** Makes a step with a caller's function in it; what that threw passes through as it was. */
  static unwrap<T>(step: () => T): T {
    try {
      return step();
    } catch (error) {
      throw error instanceof CallerError ? error.cause : error;
    }
  }
}

/** The runs of a database, as the index of runs reads them. */
export interface RunsReader {
  /** The ids of all runs that exist. */
  ids(): string[];
  /** One run; one that does not exist is empty. */
  reader(id: string): Reader;
}

/** The runs of a database, as the index of runs writes them. */
export interface RunsWriter extends RunsReader {
  writer(id: string): Writer;
  /** Deletes a run as a whole; whether it existed. */
  deleteRun(id: string, options: StepOptions | undefined): boolean;
}
