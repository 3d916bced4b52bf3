/**
 * A database and its oracle side by side: every operation is done to both, and whatever can be seen must be the same.
 *
 * What a crash may take: the oracle counts how many commits are certain to survive a killed process and a power cut; what is
 * found after it must be exactly the state after some number of commits that is not smaller.
 */
import { Database, HoldfastError, type KVReader, type Transaction, type Value } from "../../src/index.js";
import { type Build, moduleOf } from "../support/builds.js";
import {
  type Cell,
  expectSame,
  History,
  isInRange,
  listOf,
  type Mode,
  overlay,
  type RangeOptions,
  type State,
} from "../support/history.js";
import { SeededEnvironment, turn } from "../support/seeded-environment.js";
import { SimulatedDisk } from "../support/simulated-storage.js";
import { type Expectation, KEYS, type Operation, type Read, RUNS } from "./operations.js";

export interface SubjectOptions {
  readonly build: Build;
  readonly seed: number;
  /** The database's own mode; in memory only where there is no storage. */
  readonly mode: Mode;
  readonly persistent: boolean;
  readonly maxPendingWrites: number;
}

interface OpenTransaction {
  readonly run: string;
  readonly mode: Mode;
  readonly start: number;
  readonly handle: Transaction;
  readonly before: State;
  readonly writes: Map<string, Value | undefined>;
  /** The versions of keys when they were first read, 0 where there was none. */
  readonly reads: Map<string, number>;
  readonly scans: RangeOptions[];
}

interface HeldSnapshot {
  readonly version: number;
  readonly views: readonly { readonly reader: () => KVReader; readonly state: State }[];
  readonly dispose: () => void;
}

const INTERVAL_MS = 100;
const MEMORY_BYTES_MAX = 64 * 1024 * 1024;

/** The code that a call throws, `undefined` if it returns. */
export function codeOf(call: () => unknown): string | undefined {
  try {
    call();
    return undefined;
  } catch (error) {
    if (HoldfastError.is(error)) return error.code;
    throw error;
  }
}

export class Subject {
  readonly history = new History();
  readonly #options: SubjectOptions;
  readonly #environment: SeededEnvironment;
  readonly #disk: SimulatedDisk;
  #database!: Database;
  #transactions: OpenTransaction[] = [];
  #snapshots: HeldSnapshot[] = [];
  /** How many commits survive a killed process, and a power cut. */
  #killFloor = 0;
  #powerFloor = 0;
  #versionMax = 0;

  private constructor(options: SubjectOptions) {
    this.#options = options;
    this.#environment = new SeededEnvironment(options.seed);
    this.#disk = new SimulatedDisk({ seed: options.seed });
  }

  static async make(options: SubjectOptions): Promise<Subject> {
    const subject = new Subject(options);
    await subject.#open();
    return subject;
  }

  async #open(): Promise<void> {
    const { build, mode, persistent, maxPendingWrites } = this.#options;
    const buffered = { mode, flushIntervalMs: INTERVAL_MS, maxPendingWrites } as const;
    this.#database = await Database.open({
      wasm: await moduleOf(build),
      shared: build.shared,
      maxBytes: MEMORY_BYTES_MAX,
      environment: this.#environment,
      durability: mode === "buffered" ? (buffered as { mode: "buffered" }) : mode,
      ...(persistent ? { storage: this.#disk.storage({ segmentBytesTarget: 20_000 }) } : {}),
    });
  }

  // Doing.

  async apply(operation: Operation): Promise<void> {
    switch (operation.op) {
      case "put":
        return this.#write(operation.run, operation.key, operation.value, operation.mode, operation.expect);
      case "delete":
        return this.#write(operation.run, operation.key, undefined, operation.mode, operation.expect);
      case "read":
        return this.#read(operation);
      case "begin":
        return this.#begin(operation.run, operation.mode);
      case "txPut":
        return this.#writeIn(operation.index, operation.key, operation.value, operation.expect);
      case "txDelete":
        return this.#writeIn(operation.index, operation.key, undefined, operation.expect);
      case "commit":
        return this.#commit(operation.index);
      case "rollback":
        return this.#take(this.#transactions, operation.index)?.handle.rollback();
      case "callback":
        return this.#callback(operation);
      case "snapshot":
        return this.#snapshot(operation.run);
      case "dispose":
        return this.#take(this.#snapshots, operation.index)?.dispose();
      default:
        return this.#applyToStorage(operation);
    }
  }

  async #applyToStorage(
    operation: Extract<Operation, { op: "flush" | "tick" | "room" | "reopen" | "crash" }>,
  ): Promise<void> {
    switch (operation.op) {
      case "flush":
        return this.#flush(operation.sync);
      case "tick":
        this.#environment.advance(operation.ms);
        await turn();
        // Whatever was handed over an interval ago is synced by now.
        if (operation.ms >= INTERVAL_MS) this.#powerFloor = Math.max(this.#powerFloor, this.#killFloor);
        return;
      case "room":
        this.#disk.room = operation.bytes;
        return;
      case "reopen":
        return this.#reopen();
      case "crash":
        return this.#crash(operation.kind);
    }
  }

  #take<T>(items: T[], index: number): T | undefined {
    return items.length === 0 ? undefined : items.splice(index % items.length, 1)[0];
  }

  #mode(mode: Mode | undefined): Mode {
    return mode ?? this.#options.mode;
  }

  /** The mode if a synchronous commit can be made in it; without a storage only what stays in memory. */
  #isUnsupported(mode: Mode | undefined): boolean {
    return !this.#options.persistent && this.#mode(mode) !== "in-memory";
  }

  #expected(expect: Expectation, cell: Cell | undefined): { ifVersion?: number | null } {
    if (expect === "any") return {};
    if (expect === "null") return { ifVersion: null };
    if (expect === "wrong") return { ifVersion: (cell?.version ?? 0) + 1 };
    return { ifVersion: cell === undefined || cell.version === 0 ? null : cell.version };
  }

  #isAsExpected(options: { ifVersion?: number | null }, cell: Cell | undefined): boolean {
    if (options.ifVersion === undefined) return true;
    return options.ifVersion === null ? cell === undefined : cell?.version === options.ifVersion;
  }

  /** Notes a commit that returned. */
  #committed(run: string, version: number, mode: Mode, writes: ReadonlyMap<string, Value | undefined>): void {
    if (!(version > this.#versionMax)) throw new Error(`version ${version} does not rise above ${this.#versionMax}`);
    this.#versionMax = version;
    this.history.commits.push({ run, version, mode, writes });
    const count = this.history.commits.length;
    if (mode !== "in-memory") this.#killFloor = count;
    if (mode === "strict") this.#powerFloor = count;
    expectSame("db.version", this.#database.version, version);
    expectSame("run.version", this.#database.run(run).version, version);
  }

  /** Whether a call failed for want of room, which must have left no trace. */
  #isRefusedForRoom(code: string | undefined, mode: Mode): boolean {
    return code === "STORAGE_FULL" && mode !== "in-memory" && this.#disk.room < 1e6;
  }

  #write(run: string, key: string, value: Value | undefined, mode: Mode | undefined, expect: Expectation): void {
    const { kv } = this.#database.run(run);
    const cell = this.history.state(run).get(key);
    const expected = this.#expected(expect, cell);
    const options = { ...expected, ...(mode === undefined ? {} : { durability: mode }) };
    let version = 0;
    let existed = false;
    const code = codeOf(() => {
      if (value === undefined) existed = kv.delete(key, options);
      else version = kv.put(key, value, options);
    });
    if (this.#isUnsupported(mode)) {
      expectSame("the mode", code, "SYNC_COMMIT_UNSUPPORTED");
      return;
    }
    if (!this.#isAsExpected(expected, cell)) {
      expectSame("ifVersion", code, "VERSION_MISMATCH");
      return;
    }
    const isNothing = value === undefined && cell === undefined;
    if (!isNothing && this.#isRefusedForRoom(code, this.#mode(mode))) {
      this.#versionsBurnt();
      return;
    }
    expectSame("the write", code, undefined);
    if (value === undefined) expectSame("delete", existed, cell !== undefined);
    if (isNothing) return;
    if (value === undefined) version = this.#database.run(run).version;
    this.#committed(run, version, this.#mode(mode), new Map([[key, value]]));
  }

  /** After a refusal the versions that were taken are gone for good; the next ones must still rise. */
  #versionsBurnt(): void {
    this.check();
  }

  #begin(run: string, mode: Mode | undefined): void {
    const options = mode === undefined ? {} : { durability: mode };
    const start = this.history.newest();
    if (this.#isUnsupported(mode)) {
      expectSame(
        "the mode",
        codeOf(() => this.#database.run(run).begin(options)),
        "SYNC_COMMIT_UNSUPPORTED",
      );
      return;
    }
    const handle = this.#database.run(run).begin(options);
    const before = this.history.state(run);
    const [writes, reads] = [new Map<string, Value | undefined>(), new Map<string, number>()];
    this.#transactions.push({ run, mode: this.#mode(mode), start, handle, before, writes, reads, scans: [] });
  }

  #transaction(index: number): OpenTransaction | undefined {
    return this.#transactions[index % Math.max(1, this.#transactions.length)];
  }

  #noteRead(transaction: OpenTransaction, key: string): void {
    const { reads, writes, before } = transaction;
    if (!writes.has(key) && !reads.has(key)) reads.set(key, before.get(key)?.version ?? 0);
  }

  #writeIn(index: number, key: string, value: Value | undefined, expect: Expectation): void {
    const transaction = this.#transaction(index);
    if (transaction === undefined) return;
    const { handle, before, writes } = transaction;
    const cell = overlay(before, writes).get(key);
    const expected = this.#expected(expect, cell);
    let existed = false;
    const code = codeOf(() => {
      if (value === undefined) existed = handle.kv.delete(key, expected);
      else expectSame("tx put", handle.kv.put(key, value, expected), 0);
    });
    if (expected.ifVersion !== undefined || value === undefined) this.#noteRead(transaction, key);
    if (!this.#isAsExpected(expected, cell)) {
      expectSame("tx ifVersion", code, "VERSION_MISMATCH");
      return;
    }
    expectSame("tx write", code, undefined);
    if (value === undefined) expectSame("tx delete", existed, cell !== undefined);
    if (value !== undefined || cell !== undefined) writes.set(key, value);
  }

  /** Whether a commit has to conflict, and whether it may: something in a range that it scanned was written. */
  #conflict({ run, start, before, reads, scans }: OpenTransaction): { must: boolean; may: boolean } {
    const now = this.history.state(run);
    const written = this.history.writtenSince(run, start);
    const readsMoved = [...reads].some(([key, seen]) => (now.get(key)?.version ?? 0) !== seen);
    const membershipMoved = scans.some((range) =>
      [...written].some((key) => isInRange(key, range) && now.has(key) !== before.has(key)),
    );
    const rangeMoved = scans.some((range) => [...written].some((key) => isInRange(key, range)));
    return { must: readsMoved || membershipMoved, may: readsMoved || rangeMoved };
  }

  #commit(index: number): void {
    const transaction = this.#take(this.#transactions, index);
    if (transaction === undefined) return;
    const { run, mode, handle, writes, start } = transaction;
    const { must, may } = this.#conflict(transaction);
    let version = 0;
    const code = codeOf(() => {
      version = handle.commit();
    });
    expectSame("isOpen after commit", handle.isOpen, false);
    expectSame(
      "a second commit",
      codeOf(() => handle.commit()),
      "TRANSACTION_CLOSED",
    );
    if (writes.size === 0) {
      expectSame("a read-only commit", code, undefined);
      if (version < start) throw new Error(`a read-only commit returned ${version}, it started at ${start}`);
      return;
    }
    if (must || (may && code === "CONFLICT")) {
      expectSame("a commit over changed reads", code, "CONFLICT");
      return;
    }
    const live = this.history.state(run);
    const effective = new Map([...writes].filter(([key, value]) => value !== undefined || live.has(key)));
    if (effective.size > 0 && this.#isRefusedForRoom(code, mode)) {
      this.#versionsBurnt();
      return;
    }
    expectSame("the commit", code, undefined);
    if (effective.size > 0) this.#committed(run, version, mode, effective);
  }

  #callback({ run, mode, writes, fails }: Extract<Operation, { op: "callback" }>): void {
    const options = mode === undefined ? {} : { durability: mode };
    let result: number | undefined;
    const marker = new HoldfastError("NOT_FOUND", "the callback throws");
    const code = codeOf(() => {
      result = this.#database.run(run).transaction((tx) => {
        for (const [key, value] of writes) tx.kv.put(key, value);
        if (fails) throw marker;
        return tx.kv.count();
      }, options);
    });
    if (this.#isUnsupported(mode)) {
      expectSame("the mode", code, "SYNC_COMMIT_UNSUPPORTED");
      return;
    }
    if (fails) {
      expectSame("a callback that throws", code, "NOT_FOUND");
      return;
    }
    if (writes.length > 0 && this.#isRefusedForRoom(code, this.#mode(mode))) {
      this.#versionsBurnt();
      return;
    }
    expectSame("transaction", code, undefined);
    if (writes.length > 0) this.#committed(run, this.#database.run(run).version, this.#mode(mode), new Map(writes));
    expectSame("what the callback returned", result, this.history.state(run).size);
  }

  #snapshot(run: string | undefined): void {
    if (run !== undefined) {
      const snapshot = this.#database.run(run).snapshot();
      const state = this.history.state(run);
      this.#snapshots.push({
        version: snapshot.version,
        views: [{ reader: () => snapshot.kv, state }],
        dispose: () => snapshot.dispose(),
      });
      return;
    }
    const snapshot = this.#database.snapshot();
    const views = RUNS.map((id) => ({ reader: () => snapshot.run(id).kv, state: this.history.state(id) }));
    this.#snapshots.push({ version: snapshot.version, views, dispose: () => snapshot.dispose() });
  }

  // The storage.

  async #flush(sync: boolean): Promise<void> {
    let code: string | undefined;
    try {
      if (sync) this.#database.flushSync();
      else await this.#database.flush();
    } catch (error) {
      if (!HoldfastError.is(error)) throw error;
      code = error.code;
    }
    if (code === "STORAGE_FULL" && this.#disk.room < 1e6) return;
    expectSame("flush", code, undefined);
    this.#killFloor = this.history.commits.length;
    this.#powerFloor = this.#killFloor;
  }

  #forget(): void {
    this.#transactions = [];
    this.#snapshots = [];
  }

  async #reopen(): Promise<void> {
    this.#forget();
    let isClean = true;
    await this.#database.close().catch((error: unknown) => {
      if (!HoldfastError.is(error, "STORAGE_FULL") || this.#disk.room > 1e6) throw error;
      isClean = false;
    });
    expectSame(
      "a read after close",
      codeOf(() => this.#database.run("a")),
      "CLOSED",
    );
    await this.#recover(isClean ? this.history.commits.length : this.#killFloor);
    if (isClean) expectSame("recovered after a clean close", this.#database.storageInfo.recovered, undefined);
  }

  async #crash(kind: "kill" | "power"): Promise<void> {
    this.#forget();
    this.#disk.crash({ kind });
    await this.#database.close().catch(() => {});
    await this.#recover(kind === "kill" ? this.#killFloor : this.#powerFloor);
  }

  /** Opens again; what is there must be a prefix of at least so many commits. */
  async #recover(least: number): Promise<void> {
    this.#disk.room = Number.POSITIVE_INFINITY;
    await this.#open();
    const found = new Map(RUNS.map((run) => [run, this.#stateOf(this.#database.run(run).kv)]));
    const count = this.history.prefixOf(found, least);
    this.history.commits = this.history.commits.slice(0, count);
    this.#killFloor = count;
    this.#powerFloor = count;
    this.check();
  }

  // Seeing.

  #stateOf(kv: KVReader): Map<string, Cell> {
    return new Map(kv.keys().map((key) => [key, kv.getVersioned(key) as Cell]));
  }

  #read(operation: Extract<Operation, { op: "read" }>): void {
    if (operation.view === "run") {
      this.#compareRead("run", this.#database.run(operation.run).kv, this.history.state(operation.run), operation);
      return;
    }
    if (operation.view === "snapshot") {
      const snapshot = this.#snapshots[operation.index % Math.max(1, this.#snapshots.length)];
      const view = snapshot?.views[operation.index % snapshot.views.length];
      if (view !== undefined) this.#compareRead("snapshot", view.reader(), view.state, operation);
      return;
    }
    const transaction = this.#transaction(operation.index);
    if (transaction === undefined) return;
    const { handle, before, writes } = transaction;
    this.#compareRead("transaction", handle.kv, overlay(before, writes), operation);
    this.#noteReadOf(transaction, operation);
  }

  #noteReadOf(transaction: OpenTransaction, { kind, key, range }: Read): void {
    if (kind === "get" || kind === "versioned" || kind === "has") {
      this.#noteRead(transaction, key);
      return;
    }
    if (kind === "many") {
      for (const one of KEYS) this.#noteRead(transaction, one);
    } else if (kind === "count") {
      transaction.scans.push(range.prefix === undefined ? {} : { prefix: range.prefix });
    } else if (range.limit !== 0 && range.end !== "") {
      transaction.scans.push(range);
      if (kind !== "list") return;
      for (const [found] of listOf(overlay(transaction.before, transaction.writes), range))
        this.#noteRead(transaction, found);
    }
  }

  #compareRead(where: string, kv: KVReader, state: State, { kind, key, range }: Read): void {
    const cell = state.get(key);
    const what = `${kind} of ${where}`;
    if (kind === "get") expectSame(what, kv.get(key), cell?.value);
    else if (kind === "versioned") expectSame(what, kv.getVersioned(key), cell);
    else if (kind === "has") expectSame(what, kv.has(key), cell !== undefined);
    else if (kind === "many")
      expectSame(
        what,
        kv.getMany(KEYS),
        KEYS.map((one) => state.get(one)?.value),
      );
    else if (kind === "count") expectSame(what, kv.count(range.prefix), listOf(state, prefixOf(range)).length);
    else if (kind === "keys")
      expectSame(
        what,
        kv.keys(range),
        listOf(state, range).map(([found]) => found),
      );
    else
      expectSame(
        what,
        kv.list(range),
        listOf(state, range).map(([found, { value }]) => [found, value]),
      );
  }

  /** The heap is sound. */
  verify(): void {
    expectSame("verify", this.#database.verify(), { valid: true });
  }

  /** Everything that can be seen is as the oracle says. */
  check(): void {
    this.verify();
    let entries = 0;
    for (const run of RUNS) {
      const state = this.history.state(run);
      const { kv } = this.#database.run(run);
      expectSame(`the state of run ${run}`, this.#stateOf(kv), state);
      expectSame(
        `list of run ${run}`,
        kv.list(),
        listOf(state).map(([key, { value }]) => [key, value]),
      );
      expectSame(`count of run ${run}`, kv.count(), state.size);
      entries += state.size;
    }
    expectSame("totalCount", this.#database.totalCount(), entries);
    for (const { views } of this.#snapshots) {
      for (const { reader, state } of views) expectSame("a held snapshot", this.#stateOf(reader()), state);
    }
  }

  async end(): Promise<void> {
    this.check();
    for (const { dispose } of this.#snapshots.splice(0)) dispose();
    for (const { handle } of this.#transactions.splice(0)) handle.rollback();
    this.check();
    expectSame("snapshots held at the end", this.#database.stats().snapshotsHeld, 0);
    this.#disk.room = Number.POSITIVE_INFINITY;
    await this.#database.close();
  }

  /** Lets go of everything after a failure, whatever state it is in. */
  async abandon(): Promise<void> {
    this.#disk.crash({ kind: "kill" });
    await this.#database.close().catch(() => {});
  }
}

function prefixOf(range: RangeOptions): RangeOptions {
  return range.prefix === undefined ? {} : { prefix: range.prefix };
}
