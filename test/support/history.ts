/**
 * The oracle of the model tests: every commit ever made, in order, and what a `Map` says of any instant.
 *
 * A state is what is live at a version; keys are ordered by their UTF-8 bytes. Nothing here knows how the store works.
 */
import { isDeepStrictEqual } from "node:util";
import type { Value } from "../../src/index.js";

export type Mode = "in-memory" | "buffered" | "strict";

export interface Commit {
  readonly run: string;
  readonly version: number;
  readonly mode: Mode;
  /** What it wrote, `undefined` for a deletion. */
  readonly writes: ReadonlyMap<string, Value | undefined>;
  /** It deleted the run as a whole. */
  readonly deletesRun?: boolean;
}

export interface Cell {
  readonly value: Value;
  /** 0 where a transaction has written it and not yet committed. */
  readonly version: number;
}

export type State = ReadonlyMap<string, Cell>;

export interface RangeOptions {
  readonly prefix?: string;
  readonly start?: string;
  readonly end?: string;
  readonly reverse?: boolean;
  readonly limit?: number;
}

export function compareKeys(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** Whether a key lies in a range, whatever its limit. */
export function isInRange(key: string, range: RangeOptions): boolean {
  if (range.prefix !== undefined && !key.startsWith(range.prefix)) return false;
  if (range.start !== undefined && compareKeys(key, range.start) < 0) return false;
  return range.end === undefined || compareKeys(key, range.end) < 0;
}

/** What a listing of a state returns. */
export function listOf(state: State, range: RangeOptions = {}): [string, Cell][] {
  const all = [...state].filter(([key]) => isInRange(key, range)).sort(([a], [b]) => compareKeys(a, b));
  if (range.reverse === true) all.reverse();
  return all.slice(0, range.limit ?? all.length);
}

/** Laid over a state: what a transaction has written. */
export function overlay(state: State, writes: ReadonlyMap<string, Value | undefined>): State {
  const laid = new Map(state);
  for (const [key, value] of writes) {
    if (value === undefined) laid.delete(key);
    else laid.set(key, { value, version: 0 });
  }
  return laid;
}

export class History {
  commits: Commit[] = [];

  /** The version of the newest commit, of one run or of all; 0 if there is none. */
  newest(run?: string): number {
    for (let i = this.commits.length - 1; i >= 0; i--) {
      const commit = this.commits[i] as Commit;
      if (run === undefined || commit.run === run) return commit.version;
    }
    return 0;
  }

  /** What is live in a run after the first `count` commits that are at or below `version`. */
  state(run: string, version = Number.POSITIVE_INFINITY, count = this.commits.length): Map<string, Cell> {
    const state = new Map<string, Cell>();
    for (const commit of this.commits.slice(0, count)) {
      if (commit.run !== run || commit.version > version) continue;
      if (commit.deletesRun === true) state.clear();
      for (const [key, value] of commit.writes) {
        if (value === undefined) state.delete(key);
        else state.set(key, { value, version: commit.version });
      }
    }
    return state;
  }

  /** The version of a run that readers see: that of its last commit, 0 once that has deleted it. */
  versionOf(run: string, count = this.commits.length): number {
    const last = this.commits.slice(0, count).findLast((commit) => commit.run === run);
    return last === undefined || last.deletesRun === true ? 0 : last.version;
  }

  /** The keys of a run that commits above `version` have written. */
  writtenSince(run: string, version: number): Set<string> {
    const keys = new Set<string>();
    for (const commit of this.commits) {
      if (commit.run === run && commit.version > version) for (const key of commit.writes.keys()) keys.add(key);
    }
    return keys;
  }
}

export function show(value: unknown): string {
  return JSON.stringify(value, (_, item: unknown) => {
    if (item instanceof Map) return [...item];
    if (item instanceof Set) return [...item];
    if (item instanceof Uint8Array) return `${item.length} bytes`;
    return typeof item === "bigint" ? `${item}n` : item;
  });
}

/** Throws unless two things are deeply equal: −0 and NaN count, the order of an object's properties does not. */
export function expectSame(what: string, actual: unknown, expected: unknown): void {
  if (!isDeepStrictEqual(actual, expected)) throw new Error(`${what}: is ${show(actual)}, should be ${show(expected)}`);
}
