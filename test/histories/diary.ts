/**
 * What a worker of a history writes down as it goes, in a buffer that outlives it: what a transaction has read and appended
 * before its commit, how that ended after it. So that of a worker that is terminated everything is known but the ends of the
 * transactions that it was in.
 *
 *   word 0   how many bytes of lines behind the words are whole
 *   word 1   what the worker is at: a PHASE
 *   word 2   transactions that it has ended
 *   word 3   the run that it is at, by its place among the runs
 *   text     one line of JSON each
 */
import type { Micro, Status } from "../support/list-append.js";

export type Mode = "in-memory" | "buffered" | "strict";

/** A transaction whose outcome is not known yet. */
export interface Beginning {
  /** Its number in the diary. */
  readonly of: number;
  readonly run: string;
  readonly micros: readonly Micro[];
  /** By the common clock; left out for what may be older than its beginning. */
  readonly began?: number | undefined;
  readonly mode: Mode;
  /** What the version of the state was that it has read, where that is told. */
  readonly reads?: number | undefined;
}

/** What has become of it. */
export interface Ending {
  readonly ends: number;
  readonly status: Status;
  readonly code?: string | undefined;
  /** What the store failed of. */
  readonly why?: string | undefined;
  /** The version of the commit, where that is told. */
  readonly version?: number | undefined;
  readonly ended: number;
}

export const PHASES = [
  "has not begun",
  "between two transactions",
  "reading",
  "in the body of a transaction",
  "committing",
  "in asynchronous transactions",
  "making and deleting runs",
  "closing",
  "done",
] as const;
export type Phase = (typeof PHASES)[number];

const WORDS = 4;
const [LENGTH, PHASE, ENDED, RUN] = [0, 1, 2, 3];
const TEXT_BASE = WORDS * 4;

/** The worker's side. */
export class Diary {
  readonly #bytes: Uint8Array;
  readonly #words: Int32Array;
  readonly #encoder = new TextEncoder();
  #length = 0;

  constructor(buffer: SharedArrayBuffer) {
    this.#bytes = new Uint8Array(buffer);
    this.#words = new Int32Array(buffer, 0, WORDS);
  }

  at(phase: Phase, run = 0): void {
    Atomics.store(this.#words, RUN, run);
    Atomics.store(this.#words, PHASE, PHASES.indexOf(phase));
  }

  write(line: Beginning | Ending): void {
    const text = this.#encoder.encode(`${JSON.stringify(line)}\n`);
    if (TEXT_BASE + this.#length + text.length > this.#bytes.length) throw new Error("the diary is full");
    this.#bytes.set(text, TEXT_BASE + this.#length);
    this.#length += text.length;
    Atomics.store(this.#words, LENGTH, this.#length);
    if ("ends" in line) Atomics.add(this.#words, ENDED, 1);
  }
}

/** A transaction as its worker has told of it. */
export interface Told extends Beginning {
  /** Undefined where the worker did not live to see it. */
  readonly ending: Ending | undefined;
}

/** The other side: who looks at a worker from outside. */
export class Reader {
  readonly #buffer: SharedArrayBuffer;
  readonly #words: Int32Array;

  constructor(buffer: SharedArrayBuffer) {
    this.#buffer = buffer;
    this.#words = new Int32Array(buffer, 0, WORDS);
  }

  get phase(): Phase {
    return PHASES[Atomics.load(this.#words, PHASE)] as Phase;
  }

  /** Transactions that have ended so far. */
  get ended(): number {
    return Atomics.load(this.#words, ENDED);
  }

  get run(): number {
    return Atomics.load(this.#words, RUN);
  }

  #lines(): string[] {
    const length = Atomics.load(this.#words, LENGTH);
    const text = new TextDecoder().decode(new Uint8Array(this.#buffer).slice(TEXT_BASE, TEXT_BASE + length));
    return text.split("\n").slice(0, -1);
  }

  /** The last lines, for people. */
  tail(): string {
    return this.#lines().slice(-2).join("\n").slice(-600);
  }

  transactions(): Told[] {
    const told = new Map<number, Told>();
    for (const text of this.#lines()) {
      const line = JSON.parse(text) as Beginning | Ending;
      if ("of" in line) told.set(line.of, { ...line, ending: undefined });
      else told.set(line.ends, { ...(told.get(line.ends) ?? neverBegun(line.ends)), ending: line });
    }
    return [...told.values()];
  }
}

/** One that was refused before it came to anything. */
function neverBegun(of: number): Beginning {
  return { of, run: "", micros: [], mode: "in-memory" };
}
