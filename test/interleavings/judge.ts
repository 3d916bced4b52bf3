/**
 * Whether a run's events could be those of acts one after another. Every commit names its version, so the order of the commits
 * is known, and with it what stood in a run at each version; what is left to find is at which version each read was made.
 *
 * What is asked for:
 *  - versions rise in real time: a commit that ended before another one began has the lower one;
 *  - a snapshot, and a transaction, sees just what stood at the version that it names, whenever it looks;
 *  - every read of a run is of one version: none below a commit of the run, or a version that somebody read, that ended before it began;
 *    none at or above a commit that began after it had ended;
 *  - a transaction that wrote has read what stood directly below the version that it was given;
 *  - a conflict has somebody who caused it, and only those who have read can have one;
 *  - of what a worker was killed in, all or nothing has happened: one of the versions that nobody else was given explains
 *    everything, or none at all does.
 */
import type { Act, Cell, Event } from "./acts.mjs";

interface Write {
  readonly run: string;
  readonly version: number;
  readonly began: number;
  readonly ended: number;
  /** What it wrote, null for a deletion; undefined where it deleted the run. */
  readonly keys: ReadonlyMap<string, number | null> | undefined;
}

interface Transaction {
  readonly run: string;
  readonly start: number;
  readonly reads: Map<string, Cell>;
  readonly lists: { readonly act: Act; readonly found: [string, Cell][] }[];
  readonly writes: Map<string, number | null>;
}

interface Read {
  readonly run: string;
  readonly began: number;
  readonly ended: number;
  /** The version that it names, if it does. */
  readonly at: number | undefined;
  /** Whether it has to see what had ended before it. */
  readonly isRecent: boolean;
  readonly told: string;
  fits(state: State): boolean;
}

type State = ReadonlyMap<string, { readonly value: number; readonly version: number }>;

const NEVER = Number.POSITIVE_INFINITY;

function place(table: number | undefined, key: string | undefined): string {
  return `${table ?? 0}/${key ?? ""}`;
}

function isList(result: Event["result"]): result is [string, Cell][] {
  return Array.isArray(result);
}

function tell(event: Event): string {
  return `worker ${event.worker} ${JSON.stringify(event.act)} at ${event.began}–${event.ended}: ${JSON.stringify(event.result)}${event.at === undefined ? "" : ` of ${event.at}`}`;
}

/** What is wrong with a run, the first thing found; undefined if nothing is. `final` are the events of whoever looked at the end. */
export function judge(
  setup: readonly Event[],
  events: readonly Event[],
  final: readonly Event[],
  mayBeBusy: boolean,
): string | undefined {
  const killed = events.find((event) => event.ended < 0);
  const sound = [undefined, ...(killed === undefined ? [] : freeVersions(setup, events, final))];
  let first: string | undefined;
  for (const version of sound) {
    const wrong = new Book(setup, events, final, killed, version, mayBeBusy).judge();
    if (wrong === undefined) return undefined;
    first ??= wrong;
  }
  return first;
}

/** The versions up to the highest that anybody has seen which nobody was given. */
function freeVersions(...parts: (readonly Event[])[]): number[] {
  const taken = new Set<number>();
  let highest = 0;
  for (const event of parts.flat()) {
    const isCommit = ["put", "delete", "commit", "deleteRun"].includes(event.act.do);
    if (isCommit && typeof event.result === "number" && event.result !== event.at) taken.add(event.result);
    const cells = isList(event.result) ? event.result.map(([, cell]) => cell) : [event.result as Cell];
    highest = Math.max(highest, event.at ?? 0, ...taken, ...cells.map((cell) => cell?.version ?? 0));
  }
  return Array.from({ length: highest + 1 }, (_, i) => i + 1).filter((version) => !taken.has(version));
}

class Book {
  readonly #writes: Write[] = [];
  readonly #reads: Read[] = [];
  readonly #transactions = new Map<string, Transaction>();
  readonly #lost: Event | undefined;
  readonly #lostVersion: number | undefined;
  /** Checks that need all writes. */
  readonly #later: (() => string | undefined)[] = [];
  readonly #states = new Map<string, State>();
  #wrong: string | undefined;
  readonly #mayBeBusy: boolean;
  /** Whether handles of runs may have become stale, so that a transaction ends for that. */
  readonly #deletes: boolean;

  constructor(
    setup: readonly Event[],
    events: readonly Event[],
    final: readonly Event[],
    lost: Event | undefined,
    lostVersion: number | undefined,
    mayBeBusy: boolean,
  ) {
    this.#mayBeBusy = mayBeBusy;
    this.#lost = lost;
    this.#lostVersion = lostVersion;
    const all = [...setup, ...events, ...final];
    this.#deletes = all.some(({ act }) => ["deleteRun", "discard", "bury"].includes(act.do));
    for (const event of setup) this.#note(event, -2, -1);
    for (const event of events) this.#note(event, event.began, event.ended < 0 ? NEVER : event.ended);
    for (const event of final) this.#note(event, NEVER, NEVER);
    this.#writes.sort((a, b) => a.version - b.version);
  }

  judge(): string | undefined {
    return this.#wrong ?? this.#judgeWrites() ?? this.#judgeReads() ?? this.#firstOf(this.#later);
  }

  #firstOf(checks: readonly (() => string | undefined)[]): string | undefined {
    for (const check of checks) {
      const wrong = check();
      if (wrong !== undefined) return wrong;
    }
    return undefined;
  }

  #complain(event: Event, why: string): undefined {
    this.#wrong ??= `${why}: ${tell(event)}`;
  }

  #write(event: Event, run: string, version: number, began: number, ended: number, keys: Write["keys"]): undefined {
    const twin = this.#writes.find((write) => write.version === version);
    if (twin !== undefined) this.#complain(event, "a version is given twice");
    this.#writes.push({ run, version, began, ended, keys });
  }

  #note(event: Event, began: number, ended: number): undefined {
    const { act, result } = event;
    const isLost = event === this.#lost;
    if (isLost && this.#lostVersion === undefined) return;
    const version = isLost ? this.#lostVersion : result;
    const key = place(act.table, act.key);
    const name = `${event.worker} ${act.as}`;
    const run = act.run ?? "";
    // Where a worker was killed, others may have met its lock, or the run that it has left poisoned.
    const isBusy = result === "BUSY" || result === "status 5";
    const isPoisoned = result === "CORRUPTION" || result === "status 21";
    const excused = this.#lost !== undefined ? isBusy || isPoisoned : isBusy && this.#mayBeBusy;
    if (excused || result === "skipped") return;
    switch (act.do) {
      case "put":
      case "delete":
        if (typeof version === "number") {
          this.#write(
            event,
            run,
            version,
            began,
            ended,
            new Map([[key, act.do === "put" ? (act.value as number) : null]]),
          );
        } else if (act.do === "put" || result !== "nothing") this.#complain(event, "a write failed");
        else this.#read(event, run, began, ended, true, (state) => !state.has(key));
        return;
      case "deleteRun":
        if (typeof version === "number") this.#write(event, run, version, began, ended, undefined);
        else if (result !== "nothing") this.#complain(event, "a deletion failed");
        else this.#read(event, run, began, ended, true, (state) => state.size === 0);
        return;
      case "get":
        return this.#readCell(event, run, key, began, ended, true);
      case "list":
        return this.#readList(event, run, began, ended, true);
      case "count":
        if (typeof result !== "number") return this.#complain(event, "a count failed");
        return this.#read(event, run, began, ended, true, (state) => inRange(state, act).length === result);
      case "snapshot":
        if (result !== "taken") return this.#complain(event, "a snapshot was refused");
        this.#transactions.set(name, {
          run,
          start: event.at as number,
          reads: new Map(),
          lists: [],
          writes: new Map(),
        });
        return this.#read(event, run, began, ended, true, () => true);
      case "snapshotAll":
        if (result !== "taken") this.#complain(event, "a snapshot was refused");
        return;
      case "snapshotGet":
        return this.#readCell(event, act.run ?? this.#transactions.get(name)?.run ?? "", key, began, ended, false);
      case "snapshotList":
        return this.#readList(event, act.run ?? this.#transactions.get(name)?.run ?? "", began, ended, false);
      case "snapshotRuns":
        this.#later.push(() => this.#judgeRuns(event));
        return;
      case "begin":
        if (result !== "begun") return this.#complain(event, "a transaction was refused");
        this.#transactions.set(name, {
          run,
          start: event.at as number,
          reads: new Map(),
          lists: [],
          writes: new Map(),
        });
        return this.#read(event, run, began, ended, true, () => true);
      case "transactionGet":
        return this.#readInside(event, name, key, began, ended);
      case "transactionList":
        return this.#listInside(event, name, began, ended);
      case "transactionPut":
      case "transactionDelete":
        if (result !== 0) return this.#complain(event, "a write in a transaction failed");
        this.#transactions.get(name)?.writes.set(key, act.do === "transactionPut" ? (act.value as number) : null);
        return;
      case "commit":
        return this.#commit(event, name, version, began, ended);
      default:
        return;
    }
  }

  #read(
    event: Event,
    run: string,
    began: number,
    ended: number,
    isRecent: boolean,
    fits: (state: State) => boolean,
  ): undefined {
    this.#reads.push({ run, began, ended, at: event.at, isRecent, told: tell(event), fits });
  }

  #readCell(event: Event, run: string, key: string, began: number, ended: number, isRecent: boolean): undefined {
    const cell = event.result as Cell;
    if (typeof cell !== "object" || cell === null || typeof cell.value === "string") {
      return this.#complain(event, "a read failed");
    }
    this.#read(event, run, began, ended, isRecent, (state) => isCell(state, key, cell));
  }

  #readList(event: Event, run: string, began: number, ended: number, isRecent: boolean): undefined {
    const { act, result } = event;
    if (!isList(result)) {
      // A listing of a run that is not there names no version.
      return this.#complain(event, "a listing failed");
    }
    this.#read(event, run, began, ended, isRecent, (state) => isListOf(state, act, result));
  }

  #readInside(event: Event, name: string, key: string, began: number, ended: number): undefined {
    const transaction = this.#transactions.get(name) as Transaction;
    const cell = event.result as Cell;
    if (typeof cell !== "object" || cell === null) return this.#complain(event, "a read in a transaction failed");
    const own = transaction.writes.get(key);
    if (own !== undefined) {
      if (own !== cell.value) this.#complain(event, "a transaction does not read its own write");
      return;
    }
    transaction.reads.set(key, cell);
    this.#readCell(event, transaction.run, key, began, ended, false);
  }

  #listInside(event: Event, name: string, began: number, ended: number): undefined {
    const transaction = this.#transactions.get(name) as Transaction;
    const { act, result } = event;
    if (!isList(result)) return this.#complain(event, "a listing in a transaction failed");
    const own = new Map(transaction.writes);
    const foreign = result.filter(([key]) => !own.has(place(act.table, key)));
    transaction.lists.push({ act, found: foreign });
    const fits = (state: State): boolean => {
      const rest = new Map([...state].filter(([key]) => !own.has(key)));
      return isListOf(rest, act, foreign);
    };
    this.#read(event, transaction.run, began, ended, false, fits);
    for (const [key, cell] of result) {
      const value = own.get(place(act.table, key));
      if (value !== undefined && value !== cell.value) this.#complain(event, "a listing lacks an own write");
    }
  }

  #commit(event: Event, name: string, version: unknown, began: number, ended: number): undefined {
    const transaction = this.#transactions.get(name) as Transaction;
    if (typeof version === "number" && version === transaction.start) return;
    if (typeof version === "number") {
      this.#write(event, transaction.run, version, began, ended, transaction.writes);
      this.#later.push(() => this.#judgeCommit(event, transaction, version));
    } else if (version !== "conflict") this.#complain(event, "a commit failed");
    else this.#later.push(() => this.#judgeConflict(event, transaction, ended));
  }

  /** What it read stands directly below its version. */
  #judgeCommit(event: Event, { run, reads, lists, writes }: Transaction, version: number): string | undefined {
    const below = this.#stateAt(run, version - 1);
    const stale = [...reads].find(([key, cell]) => !isCell(below, key, cell));
    if (stale !== undefined) return `a transaction has read ${stale[0]} before somebody changed it: ${tell(event)}`;
    for (const { act, found } of lists) {
      const rest = new Map(
        [...below].filter(([key]) => !writes.has(key) || found.some(([name]) => place(act.table, name) === key)),
      );
      if (!isListOf(rest, act, found)) return `a transaction has listed before somebody changed it: ${tell(event)}`;
    }
    return undefined;
  }

  /** The runs that had been written to by then, and not deleted since. */
  #judgeRuns(event: Event): string | undefined {
    const last = new Map<string, Write>();
    for (const write of this.#writes) if (write.version <= (event.at as number)) last.set(write.run, write);
    const runs = [...last.values()].filter(({ keys }) => keys !== undefined).map(({ run }) => run);
    return runs.sort().join() === event.result ? undefined : `not the runs that were there: ${tell(event)}`;
  }

  #judgeConflict(event: Event, { run, start, reads, lists }: Transaction, ended: number): string | undefined {
    if (this.#deletes) return undefined;
    if (reads.size + lists.length === 0) return `a transaction that only writes has a conflict: ${tell(event)}`;
    const cause = this.#writes.find((write) => write.run === run && write.version > start && write.began < ended);
    return cause === undefined ? `a conflict that nobody caused: ${tell(event)}` : undefined;
  }

  #stateAt(run: string, version: number): State {
    const name = `${version} ${run}`;
    const known = this.#states.get(name);
    if (known !== undefined) return known;
    const state = new Map<string, { value: number; version: number }>();
    for (const write of this.#writes) {
      if (write.run !== run || write.version > version) continue;
      if (write.keys === undefined) state.clear();
      for (const [key, value] of write.keys ?? []) {
        if (value === null) state.delete(key);
        else state.set(key, { value, version: write.version });
      }
    }
    this.#states.set(name, state);
    return state;
  }

  #judgeWrites(): string | undefined {
    for (const [i, later] of this.#writes.entries()) {
      const wrong = this.#writes.slice(0, i).find((earlier) => later.ended < earlier.began);
      if (wrong !== undefined) return `version ${wrong.version} was given after ${later.version} had been returned`;
    }
    return undefined;
  }

  #judgeReads(): string | undefined {
    const done: { read: Read; at: number }[] = [];
    for (const read of [...this.#reads].sort((a, b) => a.began - b.began)) {
      const writes = this.#writes.filter(({ run }) => run === read.run);
      const low = Math.max(
        0,
        ...writes.filter(({ ended }) => ended < read.began).map(({ version }) => version),
        ...done
          .filter((other) => other.read.run === read.run && other.read.isRecent && other.read.ended < read.began)
          .map(({ at }) => at),
      );
      const high = Math.min(NEVER, ...writes.filter(({ began }) => began > read.ended).map(({ version }) => version));
      if (read.at !== undefined) {
        if (!read.fits(this.#stateAt(read.run, read.at))) return `not what stood at ${read.at}: ${read.told}`;
        if (read.isRecent && read.at < low)
          return `older than ${low}, which had ended or was read before: ${read.told}`;
        if (read.at >= high) return `newer than what began later: ${read.told}`;
        if (read.isRecent) done.push({ read, at: read.at });
        continue;
      }
      const candidates = [low, ...writes.map(({ version }) => version).filter((version) => version > low)];
      const at = candidates.find((version) => version < high && read.fits(this.#stateAt(read.run, version)));
      if (at === undefined) return `nothing that stood from ${low} on, below ${high}: ${read.told}`;
      done.push({ read, at });
    }
    return undefined;
  }
}

function isCell(state: State, key: string, cell: Cell): boolean {
  const stands = state.get(key);
  if (cell.value === null) return stands === undefined;
  return stands !== undefined && stands.value === cell.value && stands.version === cell.version;
}

function inRange(state: State, { table, prefix = "" }: Act): [string, { value: number; version: number }][] {
  return [...state].filter(([key]) => key.startsWith(place(table, prefix))).sort(([a], [b]) => (a < b ? -1 : 1));
}

function isListOf(state: State, act: Act, found: [string, Cell][]): boolean {
  const stands = inRange(state, act);
  if (stands.length !== found.length) return false;
  return found.every(
    ([key, cell], i) => stands[i]?.[0] === place(act.table, key) && isCell(state, place(act.table, key), cell),
  );
}
