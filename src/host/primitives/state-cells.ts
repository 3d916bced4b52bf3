/**
 * State cells: single values that are compared before they are changed, each with a version of its own.
 *
 *   table 2   name               → [version, updatedAt, value]
 *   index     d U+0000 name      → version that the deleted cell had
 *
 * A cell's versions are its own counter: 1 for a new name, one more for each write, continued where a deleted cell is made
 * again. So no version of a name ever stands for two values, and a stale `cas` cannot succeed.
 */
import { HoldfastError } from "../../errors.js";
import { checkFunction, describe, isThenable, readOptions, refuseArgument, withPath } from "../arguments.js";
import { KEY_BYTES_MAX, type Value } from "../codec.js";
import { checkName } from "../names.js";
import { CallerError, type Reader, type StepOptions, type StepWriter, type Writer } from "../reader-writer.js";
import type { ListOptions } from "../scan.js";
import { copyValue } from "../value-bytes.js";

/** The table of a run that cells are kept in: one entry each. */
const TABLE = 2;
const INDEX = TABLE + 8;

const DELETED = "d\u0000";
/** A name must leave room for what stands before it in the index. */
const NAME_BYTES_MAX = KEY_BYTES_MAX - DELETED.length;

/** What a cell holds. */
export interface Cell {
  readonly value: Value;
  /** The cell's own counter, from 1; one more with each write. */
  readonly version: number;
  /** When it was last written, in milliseconds since 1970 by the wall clock. */
  readonly updatedAt: number;
}

/**
 * Computes a cell's next value, and a result for whoever asked for the transition. It may be called more than once, and
 * must not change the cell by other means.
 */
export type Transition<T> = (state: Value) => readonly [value: Value, result: T];

function isVersion(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 1;
}

function checkCellName(name: unknown): asserts name is string {
  checkName(name, "The name of a cell", NAME_BYTES_MAX);
}

function damaged(name: string): HoldfastError {
  return new HoldfastError(
    "CORRUPTION",
    `What is stored as the state cell ${describe(name)} is none: it was damaged, or written by something else. ` +
      "Restore it from elsewhere under another name.",
    { details: { name } },
  );
}

function missing(name: string): HoldfastError {
  const advice = "Make it with init or set, or use transitionOrInit";
  return new HoldfastError("NOT_FOUND", `There is no state cell ${describe(name)}. ${advice}.`, { details: { name } });
}

function cellOf(name: string, stored: Value): Cell {
  if (Array.isArray(stored) && stored.length === 3) {
    const [version, updatedAt, value] = stored as readonly Value[];
    if (isVersion(version) && typeof updatedAt === "number" && value !== undefined)
      return { value, version, updatedAt };
  }
  throw damaged(name);
}

/** A value as it is at this moment, which is to lie within the array that a cell is stored as. */
function copyForCell(value: unknown): Value {
  if (typeof value === "number" || typeof value === "boolean" || value === null) return value;
  if (typeof value === "string" && value.isWellFormed()) return value;
  const [copy] = withPath("$[0]", () => copyValue([value])) as readonly Value[];
  // An array of one is copied to an array of one.
  return copy as Value;
}

function readCell(reader: Reader, name: string): Cell | undefined {
  const stored = reader.get(TABLE, name);
  return stored === undefined ? undefined : cellOf(name, stored);
}

/** Writes a cell that was read as `before`; returns its new version. */
function write(writer: StepWriter, name: string, before: Cell | undefined, value: Value): number {
  const version = before === undefined ? firstVersion(writer, name) : before.version + 1;
  writer.putOwn(TABLE, name, [version, writer.nowMs(), value]);
  // Only a cell that was deleted before has a counter to take away.
  if (before === undefined && version > 1) writer.delete(INDEX, DELETED + name, undefined);
  return version;
}

/** The version that a cell which is not there begins at. */
function firstVersion(reader: Reader, name: string): number {
  const counter = reader.get(INDEX, DELETED + name);
  if (counter === undefined) return 1;
  if (!isVersion(counter)) throw damaged(name);
  return counter + 1;
}

/** State cells that can be read: of a snapshot. Names are 1 to 1,022 bytes of UTF-8. */
export class StateCellsReader {
  readonly #reader: Reader;

  /** @internal */
  constructor(reader: Reader) {
    this.#reader = reader;
  }

  /**
   * What a cell holds, `undefined` if there is none.
   * @throws HoldfastError `INVALID_KEY`, `CORRUPTION`, `CLOSED`.
   */
  read(name: string): Cell | undefined {
    checkCellName(name);
    return readCell(this.#reader, name);
  }

  /** Whether there is such a cell. */
  has(name: string): boolean {
    checkCellName(name);
    return this.#reader.has(TABLE, name);
  }

  /** Names and cells in a range, sorted by the names' UTF-8 bytes. `end` is exclusive. */
  list(options?: ListOptions): [name: string, cell: Cell][] {
    return this.#reader.list(TABLE, options).map(([name, stored]) => [name, cellOf(name, stored)]);
  }

  /** The names in a range, sorted by their UTF-8 bytes. */
  keys(options?: ListOptions): string[] {
    return this.#reader.keys(TABLE, options);
  }

  /** How many cells there are, or how many have a name that begins with `prefix`. */
  count(prefix?: string): number {
    return this.#reader.count(TABLE, prefix);
  }
}

/**
 * State cells of a run or a transaction.
 *
 * ```ts
 * run.state.init("phase", "plan"); // 1
 * run.state.cas("phase", 1, "build"); // 2
 * run.state.read("phase"); // { value: "build", version: 2, updatedAt: … }
 * const next = run.state.transitionOrInit("calls", 0, (calls) => [(calls as number) + 1, (calls as number) + 1]);
 * run.state.list({ prefix: "ca" });
 * ```
 *
 * A value is any, of at most 63 levels. Besides what is named, every write throws what a transaction's commit does.
 */
export class StateCells extends StateCellsReader {
  readonly #writer: Writer;

  /** @internal */
  constructor(writer: Writer) {
    super(writer);
    this.#writer = writer;
  }

  /**
   * Makes a cell; returns its version: 1 for a new name, one more than the last where a cell of that name was deleted.
   * @throws HoldfastError `ALREADY_EXISTS` with `details.name` and `details.version`, `INVALID_KEY`, `INVALID_VALUE`,
   *   `VALUE_TOO_LARGE`.
   */
  init(name: string, value: Value, options?: StepOptions): number {
    checkCellName(name);
    const stepOptions = readOptions<StepOptions>(options, ["durability"], "init");
    const copy = copyForCell(value);
    return this.#writer.step((writer) => {
      const cell = readCell(writer, name);
      if (cell === undefined) return write(writer, name, cell, copy);
      throw new HoldfastError(
        "ALREADY_EXISTS",
        `There is a state cell ${describe(name)} already, at version ${cell.version}. Change it with set, cas or transition.`,
        { details: { name, version: cell.version } },
      );
    }, stepOptions);
  }

  /**
   * Writes a cell whatever it holds, and makes it where there is none; returns its version.
   * @throws HoldfastError `INVALID_KEY`, `INVALID_VALUE`, `VALUE_TOO_LARGE`.
   */
  set(name: string, value: Value, options?: StepOptions): number {
    checkCellName(name);
    const stepOptions = readOptions<StepOptions>(options, ["durability"], "set");
    const copy = copyForCell(value);
    return this.#writer.step((writer) => write(writer, name, readCell(writer, name), copy), stepOptions);
  }

  /**
   * Writes a cell only if it is at version `expected`; returns its new version.
   * @throws HoldfastError `VERSION_MISMATCH` with `details.expected` and `details.actual`, `NOT_FOUND`, `INVALID_KEY`,
   *   `INVALID_ARGUMENT`, `INVALID_VALUE`, `VALUE_TOO_LARGE`.
   */
  cas(name: string, expected: number, value: Value, options?: StepOptions): number {
    checkCellName(name);
    if (!isVersion(expected)) {
      throw refuseArgument(
        `expected must be a version that the cell had, got ${describe(expected)}. Use init for none.`,
      );
    }
    const stepOptions = readOptions<StepOptions>(options, ["durability"], "cas");
    const copy = copyForCell(value);
    return this.#writer.step((writer) => {
      const cell = readCell(writer, name);
      if (cell === undefined) throw missing(name);
      if (cell.version === expected) return write(writer, name, cell, copy);
      throw new HoldfastError(
        "VERSION_MISMATCH",
        `The state cell ${describe(name)} was expected at version ${expected}, but is at ${cell.version}; ` +
          "nothing has changed. Read it again.",
        { details: { name, expected, actual: cell.version } },
      );
    }, stepOptions);
  }

  /**
   * Reads a cell, computes its next value, and writes it; returns the result that `fn` gave beside the value. After a
   * conflict `fn` is called again with what the cell holds then. What it throws passes through, and nothing has changed.
   * @throws HoldfastError `NOT_FOUND`; `INVALID_ARGUMENT` if `fn` returns no pair, or a promise, or has itself changed the
   *   cell; `INVALID_KEY`, `INVALID_VALUE`, `VALUE_TOO_LARGE`, `CONFLICT` if it is in the way of itself each time.
   */
  transition<T>(name: string, fn: Transition<T>, options?: StepOptions): T {
    checkCellName(name);
    checkFunction(fn, "The function of transition");
    const stepOptions = readOptions<StepOptions>(options, ["durability"], "transition");
    const step = (writer: StepWriter): T => {
      const cell = readCell(writer, name);
      if (cell === undefined) throw missing(name);
      return move(writer, name, cell, cell.value, fn);
    };
    return CallerError.unwrap(() => this.#writer.step(step, stepOptions));
  }

  /**
   * As {@link StateCells.transition}; where there is no such cell, `fn` is given `initial`, and what it returns is the
   * cell's first value.
   */
  transitionOrInit<T>(name: string, initial: Value, fn: Transition<T>, options?: StepOptions): T {
    checkCellName(name);
    checkFunction(fn, "The function of transitionOrInit");
    const stepOptions = readOptions<StepOptions>(options, ["durability"], "transitionOrInit");
    const first = copyForCell(initial);
    const step = (writer: StepWriter): T => {
      const cell = readCell(writer, name);
      // Each attempt gets a copy of its own, because fn may change what it is given.
      return move(writer, name, cell, cell === undefined ? copyValue(first) : cell.value, fn);
    };
    return CallerError.unwrap(() => this.#writer.step(step, stepOptions));
  }

  /** Removes a cell; returns whether it was there. Its version is kept, for a cell that is made again under the name. */
  delete(name: string, options?: StepOptions): boolean {
    checkCellName(name);
    const stepOptions = readOptions<StepOptions>(options, ["durability"], "delete");
    return this.#writer.step((writer) => {
      const cell = readCell(writer, name);
      if (cell === undefined) return false;
      writer.putOwn(INDEX, DELETED + name, cell.version);
      return writer.delete(TABLE, name, undefined);
    }, stepOptions);
  }
}

/** Calls `fn` with `state`, writes the value and returns the result of what it returns. */
function move<T>(writer: StepWriter, name: string, cell: Cell | undefined, state: Value, fn: Transition<T>): T {
  const [copy, result] = CallerError.within(() => {
    const [value, told] = readPair<T>(fn(state));
    const copied = copyForCell(value);
    if (readCell(writer, name)?.version === cell?.version) return [copied, told] as const;
    throw refuseArgument(
      `The function of a transition has changed the cell ${describe(name)} itself. Let it return the new value only.`,
    );
  });
  write(writer, name, cell, copy);
  return result;
}

/** What a transition's function has returned, if that is a pair. */
function readPair<T>(pair: unknown): readonly [value: unknown, result: T] {
  let isPromise = false;
  try {
    if (Array.isArray(pair) && pair.length === 2) return [pair[0], pair[1] as T];
    isPromise = isThenable(pair);
  } catch (cause) {
    throw refuseArgument("What the function of a transition returned threw when it was read.", cause);
  }
  if (!isPromise) {
    throw refuseArgument(`The function of a transition must return [value, result], got ${describe(pair)}.`);
  }
  // Nobody else waits for it, and a rejection that nobody waits for can end a process.
  Promise.resolve(pair).catch(() => {});
  const advice = "Compute first, or use cas in a transactionAsync";
  throw refuseArgument(`The function of a transition returned a promise; nothing has changed. ${advice}.`);
}
