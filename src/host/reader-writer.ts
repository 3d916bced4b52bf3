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

/** Reads as of one instant. Missing is `undefined`, never a throw. */
export interface Reader {
  get(table: number, key: string): Value | undefined;
  getVersioned(table: number, key: string): Versioned | undefined;
  getMany(table: number, keys: readonly string[]): (Value | undefined)[];
  has(table: number, key: string): boolean;
  list(table: number, options: ListOptions | undefined): [string, Value][];
  keys(table: number, options: ListOptions | undefined): string[];
  count(table: number, prefix: string | undefined): number;
}

/** Reads and writes. */
export interface Writer extends Reader {
  put(table: number, key: string, value: Value, options: WriteOptions | undefined): number;
  delete(table: number, key: string, options: WriteOptions | undefined): boolean;
}
