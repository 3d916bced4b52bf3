/**
 * The index of runs: which runs there are, how they stand, and what belongs to them.
 *
 *   table 5 of each run   run → { status, parent?, tags, metadata, createdAt, updatedAt, completedAt?, error? }
 *
 * What it keeps true:
 *  - a run's entry is in the run itself, so that it comes and goes with the run; listing walks the directory of runs;
 *  - a status changes only along the moves below; an archived run has none left.
 */
import { HoldfastError } from "../../errors.js";
import { describe, isPlainObject, readOptions, refuseArgument } from "../arguments.js";
import type { Value } from "../codec.js";
import { checkName, compareUtf8, readTags } from "../names.js";
import type { Reader, RunsReader, RunsWriter, StepOptions, Writer } from "../reader-writer.js";
import { copyValue } from "../value-bytes.js";

/** The table of a run that its entry is kept in: at most one. */
const TABLE = 5;
const KEY = "run";

/** How a run stands. */
export type RunStatus = "active" | "paused" | "completed" | "failed" | "cancelled" | "archived";

/** Where a run may go from each status. */
const MOVES: { readonly [S in RunStatus]: readonly RunStatus[] } = {
  active: ["completed", "failed", "cancelled", "paused", "archived"],
  paused: ["active", "cancelled", "archived"],
  completed: ["archived"],
  failed: ["archived"],
  cancelled: ["archived"],
  archived: [],
};
const STATUSES = Object.keys(MOVES) as RunStatus[];
const ENDED: readonly RunStatus[] = ["completed", "failed", "cancelled"];

/** What is kept beside a run: any values under names of one's own. */
export type RunMetadata = { readonly [key: string]: Value };

/** A run's entry in the index. Times are milliseconds since 1970 by the wall clock. */
export interface RunInfo {
  /** The run's id. */
  readonly name: string;
  readonly status: RunStatus;
  /** The name of the run that it belongs to, which may have been deleted since. */
  readonly parent?: string;
  /** Without doubles, in the order in which they were added. */
  readonly tags: readonly string[];
  readonly metadata: RunMetadata;
  readonly createdAt: number;
  /** When the entry was last changed. What is written to the run itself does not count. */
  readonly updatedAt: number;
  /** When it was completed, failed or cancelled. */
  readonly completedAt?: number;
  /** Why it failed. */
  readonly error?: string;
}

/** A run to be put into the index. */
export interface RunSpec {
  /** 1 to 256 bytes of UTF-8: the id that `db.run` takes. */
  readonly name: string;
  /** The name of a run that is in the index. */
  readonly parent?: string | undefined;
  /** At most 256, each 1 to 256 bytes of UTF-8. */
  readonly tags?: readonly string[] | undefined;
  readonly metadata?: RunMetadata | undefined;
}

/** Which runs are listed: those for which all that is given holds. */
export interface RunListOptions {
  readonly status?: RunStatus | undefined;
  readonly tag?: string | undefined;
  readonly parent?: string | undefined;
  /** Archived runs too, which are left out unless `status` asks for them. */
  readonly includeArchived?: boolean | undefined;
}

/** How many runs the index has, and how many at each status. */
export interface RunStats {
  readonly total: number;
  readonly byStatus: Readonly<Record<RunStatus, number>>;
}

function checkRunName(name: unknown, what = "The name of a run"): asserts name is string {
  checkName(name, what);
}

function isStatus(value: unknown): value is RunStatus {
  return typeof value === "string" && Object.hasOwn(MOVES, value);
}

function isTime(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

function isOptional(value: unknown, type: "string" | "number"): boolean {
  return value === undefined || typeof value === type;
}

/** An entry as it is stored, without the name, which is that of the run it is in. */
type StoredInfo = Omit<RunInfo, "name">;

function isStoredInfo(value: Value): boolean {
  if (!isPlainObject(value)) return false;
  const { status, parent, tags, metadata, createdAt, updatedAt, completedAt, error } = value as Partial<StoredInfo>;
  return (
    isStatus(status) &&
    isOptional(parent, "string") &&
    Array.isArray(tags) &&
    tags.every((tag) => typeof tag === "string") &&
    isPlainObject(metadata) &&
    isTime(createdAt) &&
    isTime(updatedAt) &&
    isOptional(completedAt, "number") &&
    isOptional(error, "string")
  );
}

function readInfo(reader: Reader, name: string): RunInfo | undefined {
  const stored = reader.get(TABLE, KEY);
  if (stored === undefined) return undefined;
  if (isStoredInfo(stored)) return { name, ...(stored as unknown as StoredInfo) };
  throw new HoldfastError(
    "CORRUPTION",
    `What is stored as the entry of the run ${describe(name)} is none: it was damaged, or written by something else. ` +
      "The run's own data can still be read.",
    { details: { name } },
  );
}

function notFound(name: string, advice: string): HoldfastError {
  return new HoldfastError("NOT_FOUND", `The run ${describe(name)} is not in the index. ${advice}`, {
    details: { name },
  });
}

/** A checked copy of metadata. */
function readMetadata(given: unknown): RunMetadata {
  const metadata = typeof given === "object" ? copyValue(given) : undefined;
  if (isPlainObject(metadata)) return metadata;
  throw refuseArgument(`metadata must be a plain object, got ${describe(given)}.`);
}

/** The index of runs that can be read: of a snapshot of a database. */
export class RunIndexReader {
  readonly #runs: RunsReader;

  /** @internal */
  constructor(runs: RunsReader) {
    this.#runs = runs;
  }

  /**
   * A run's entry, `undefined` if it is not in the index.
   * @throws HoldfastError `INVALID_KEY`, `CORRUPTION`, `CLOSED`.
   */
  get(name: string): RunInfo | undefined {
    checkRunName(name);
    return readInfo(this.#runs.reader(name), name);
  }

  /**
   * The entries for which all that is given holds, sorted by the UTF-8 bytes of their names. Looks at every run; over runs
   * that change meanwhile it is of no one instant, but for those of a snapshot.
   * @throws HoldfastError `INVALID_ARGUMENT`, `INVALID_KEY`, `CORRUPTION`, `CLOSED`.
   */
  list(options?: RunListOptions): RunInfo[] {
    const names = ["status", "tag", "parent", "includeArchived"] as const;
    const { status, tag, parent, includeArchived } = readOptions<RunListOptions>(options, names, "list");
    if (status !== undefined && !isStatus(status)) {
      throw refuseArgument(`There is no status ${describe(status)}; there are ${STATUSES.join(", ")}.`);
    }
    if (includeArchived !== undefined && typeof includeArchived !== "boolean") {
      throw refuseArgument(`includeArchived must be true or false, got ${describe(includeArchived)}.`);
    }
    if (tag !== undefined) checkName(tag, "A tag");
    if (parent !== undefined) checkRunName(parent, "The parent of a run");
    return this.#all().filter((info) => {
      if (status === undefined ? info.status === "archived" && !includeArchived : info.status !== status) return false;
      if (tag !== undefined && !info.tags.includes(tag)) return false;
      return parent === undefined || info.parent === parent;
    });
  }

  /**
   * The ids of all runs that exist, those that are not in the index included, sorted by their UTF-8 bytes.
   * @throws HoldfastError `CLOSED`.
   */
  ids(): string[] {
    return this.#runs.ids().sort(compareUtf8);
  }

  /** How many runs are in the index, archived ones included. Looks at every run. */
  stats(): RunStats {
    const byStatus = { active: 0, paused: 0, completed: 0, failed: 0, cancelled: 0, archived: 0 };
    const all = this.#all();
    for (const { status } of all) byStatus[status]++;
    return { total: all.length, byStatus };
  }

  #all(): RunInfo[] {
    const infos: RunInfo[] = [];
    for (const name of this.ids()) {
      const info = readInfo(this.#runs.reader(name), name);
      if (info !== undefined) infos.push(info);
    }
    return infos;
  }
}

/**
 * The index of the runs of a database. A run need not be in it; one that is need not have anything else.
 *
 * ```ts
 * db.runs.create({ name: "run-1", tags: ["nightly"], metadata: { model: "m-1" } });
 * db.runs.updateMetadata("run-1", { tokens: 1200 });
 * db.runs.complete("run-1"); // { name: "run-1", status: "completed", … }
 * db.runs.list({ tag: "nightly", status: "completed" });
 * db.runs.delete("run-1"); // with all that the run holds
 * ```
 *
 * Besides what is named, every write throws what a transaction's commit does. Each is a transaction of its own.
 */
export class RunIndex extends RunIndexReader {
  readonly #runs: RunsWriter;

  /** @internal */
  constructor(runs: RunsWriter) {
    super(runs);
    this.#runs = runs;
  }

  /**
   * Puts a run into the index, as active; returns its entry. What the run holds already stays as it is.
   * @throws HoldfastError `ALREADY_EXISTS`; `NOT_FOUND` if the parent is not in the index; `INVALID_KEY` for a name or a
   *   tag; `INVALID_ARGUMENT`, `INVALID_VALUE`, `VALUE_TOO_LARGE`.
   */
  create(spec: RunSpec, options?: StepOptions): RunInfo {
    const given = readOptions<Partial<RunSpec>>(spec, ["name", "parent", "tags", "metadata"], "create");
    const { name, parent } = given;
    checkRunName(name);
    if (parent !== undefined) checkRunName(parent, "The parent of a run");
    const tags = given.tags === undefined ? [] : readTags(given.tags);
    const metadata = given.metadata === undefined ? {} : readMetadata(given.metadata);
    const stepOptions = readOptions<StepOptions>(options, ["durability"], "create");
    if (parent !== undefined && !this.#runs.reader(parent).has(TABLE, KEY)) {
      throw notFound(parent, "Create it first, to be a parent.");
    }
    return this.#runs.writer(name).step((writer) => {
      if (writer.has(TABLE, KEY)) {
        throw new HoldfastError("ALREADY_EXISTS", `The run ${describe(name)} is in the index already.`, {
          details: { name },
        });
      }
      const now = writer.nowMs();
      const ancestry = parent === undefined ? {} : { parent };
      return save(writer, { name, status: "active", ...ancestry, tags, metadata, createdAt: now, updatedAt: now });
    }, stepOptions);
  }

  /**
   * It has done what it should; returns the entry. Sets `completedAt`.
   * @throws HoldfastError `INVALID_TRANSITION` with `details.from` and `details.to`, `NOT_FOUND`, `INVALID_KEY`. So do all
   *   that change the status.
   */
  complete(name: string, options?: StepOptions): RunInfo {
    return this.#move(name, "completed", options, "complete");
  }

  /** It could not go on, because of `error`; returns the entry. Sets `completedAt`. */
  fail(name: string, error: string, options?: StepOptions): RunInfo {
    if (typeof error !== "string") throw refuseArgument(`error must be a string, got ${describe(error)}.`);
    return this.#move(name, "failed", options, "fail", { error: copyValue(error) as string });
  }

  /** It is not to go on for now; returns the entry. */
  pause(name: string, options?: StepOptions): RunInfo {
    return this.#move(name, "paused", options, "pause");
  }

  /** A paused run goes on; returns the entry. */
  resume(name: string, options?: StepOptions): RunInfo {
    return this.#move(name, "active", options, "resume");
  }

  /** It is not to go on any more; returns the entry. Sets `completedAt`. */
  cancel(name: string, options?: StepOptions): RunInfo {
    return this.#move(name, "cancelled", options, "cancel");
  }

  /** It is kept and no longer listed, for good; returns the entry. */
  archive(name: string, options?: StepOptions): RunInfo {
    return this.#move(name, "archived", options, "archive");
  }

  /** Adds the tags that the run does not have, at most 256 at once; returns the entry. Of a run at any status. */
  addTags(name: string, tags: readonly string[], options?: StepOptions): RunInfo {
    const added = readTags(tags);
    return this.#change(name, options, "addTags", (info) => ({
      ...info,
      tags: [...new Set([...info.tags, ...added])],
    }));
  }

  /** Takes away the tags that the run has; returns the entry. Of a run at any status. */
  removeTags(name: string, tags: readonly string[], options?: StepOptions): RunInfo {
    const removed = new Set(readTags(tags));
    return this.#change(name, options, "removeTags", (info) => ({
      ...info,
      tags: info.tags.filter((tag) => !removed.has(tag)),
    }));
  }

  /**
   * Writes properties over those of the same names, and keeps the others; returns the entry. A property is replaced as a
   * whole, and `null` is a value like any other. Of a run at any status.
   * @throws HoldfastError `NOT_FOUND`, `INVALID_KEY`, `INVALID_ARGUMENT`, `INVALID_VALUE`, `VALUE_TOO_LARGE`.
   */
  updateMetadata(name: string, metadata: RunMetadata, options?: StepOptions): RunInfo {
    const changes = readMetadata(metadata);
    return this.#change(name, options, "updateMetadata", (info) => ({
      ...info,
      // Spreading makes own properties of all names, `__proto__` too.
      metadata: { ...info.metadata, ...changes },
    }));
  }

  /**
   * Deletes a run with everything in it, whether it is in the index or not; returns whether there was such a run. Runs
   * whose parent it is keep its name.
   */
  delete(name: string, options?: StepOptions): boolean {
    checkRunName(name);
    return this.#runs.deleteRun(name, readOptions<StepOptions>(options, ["durability"], "delete"));
  }

  #move(
    name: string,
    to: RunStatus,
    options: StepOptions | undefined,
    what: string,
    more: { error?: string } = {},
  ): RunInfo {
    return this.#change(name, options, what, (info, now) => {
      if (!MOVES[info.status].includes(to)) throw invalidMove(info, to);
      const completed = ENDED.includes(to) ? { completedAt: now } : {};
      return { ...info, status: to, ...completed, ...more };
    });
  }

  /** Writes what `change` makes of the entry. */
  #change(
    name: string,
    options: StepOptions | undefined,
    what: string,
    change: (info: RunInfo, now: number) => RunInfo,
  ): RunInfo {
    checkRunName(name);
    const stepOptions = readOptions<StepOptions>(options, ["durability"], what);
    return this.#runs.writer(name).step((writer) => {
      const info = readInfo(writer, name);
      if (info === undefined) throw notFound(name, "Create it first.");
      const updatedAt = writer.nowMs();
      return save(writer, { ...change(info, updatedAt), updatedAt });
    }, stepOptions);
  }
}

/** Writes an entry, and returns it. */
function save(writer: Writer, info: RunInfo): RunInfo {
  const { name: _, ...stored } = info;
  writer.put(TABLE, KEY, stored as unknown as Value, undefined);
  return info;
}

function invalidMove({ name, status }: RunInfo, to: RunStatus): HoldfastError {
  const open = MOVES[status];
  const may = open.length === 0 ? "it stays so for good" : `it may become ${open.join(", ")}`;
  return new HoldfastError(
    "INVALID_TRANSITION",
    `The run ${describe(name)} is ${status} and cannot become ${to}: ${may}.`,
    { details: { name, from: status, to } },
  );
}
