/**
 * A database and its oracle side by side: every operation is done to both, and whatever can be seen must be the same.
 *
 * What a crash may take: the oracle counts how many commits are certain to survive a killed process and a power cut; what is
 * found after it must be exactly the state after some number of commits that is not smaller.
 */
import { isDeepStrictEqual } from "node:util";
import { DEFERRED_BYTES_MAX } from "../../src/host/abi.js";
import {
  Database,
  HoldfastError,
  type OpenOptions,
  type RunIndexReader,
  type Transaction,
  type Value,
} from "../../src/index.js";
import { type Build, moduleOf } from "../support/builds.js";
import { expectSame, History, isInRange, type Mode, overlay, type State } from "../support/history.js";
import { SeededEnvironment, turn } from "../support/seeded-environment.js";
import { SimulatedDisk } from "../support/simulated-storage.js";
import { type Act, callbackError, codeOfResult, isWrite, look, perform, resultOf, type View } from "./acts.js";
import { entriesOf, expectImage, findAll, prefixOf } from "./image.js";
import { type Operation, RUNS } from "./operations.js";
import {
  bind,
  type IndexWrite,
  indexList,
  infoOf,
  type Prediction,
  predict,
  predictIndex,
  type Scan,
  type Writes,
} from "./primitives-oracle.js";

export interface SubjectOptions {
  readonly build: Build;
  readonly seed: number;
  /** The database's own mode; in memory only where there is no storage. */
  readonly mode: Mode;
  readonly persistent: boolean;
  readonly maxPendingWrites: number;
}

/** An act that was done in a transaction. */
interface Done {
  readonly act: Act;
  readonly nowMs: number;
  /** What the transaction had written by then. */
  readonly own: Writes;
  readonly result: unknown;
}

interface OpenTransaction {
  readonly run: string;
  readonly mode: Mode;
  readonly start: number;
  readonly handle: Transaction;
  readonly before: State;
  readonly writes: Map<string, Value | undefined>;
  /** The versions of items when they were first read, 0 where there was none. */
  readonly reads: Map<string, number>;
  readonly scans: Scan[];
  readonly touches: Prediction["touches"][];
  readonly done: Done[];
}

interface HeldSnapshot {
  readonly views: readonly { readonly view: () => View; readonly state: State }[];
  /** Of all runs together: their index. */
  readonly runs: (() => RunIndexReader) | undefined;
  readonly dispose: () => void;
}

const INTERVAL_MS = 100;
const MEMORY_BYTES_MAX = 64 * 1024 * 1024;
/** Deferred commits of less than this are never refused for want of room. */
const DEFERRED_BYTES_SURE = 900_000;
const MADE_ID = /^[0-9a-z]{20}$/;

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

/** The newest id that was made for a trace: later ones are above it. */
let lastMadeId = "";

/** An act with the id that was made for it. */
export function withMadeId(act: Act, result: unknown): Act {
  if (act.do !== "traces.record" || act.id !== undefined || typeof result !== "string") return act;
  if (!MADE_ID.test(result) || result <= lastMadeId) throw new Error(`${result} was made as an id after ${lastMadeId}`);
  lastMadeId = result;
  return { ...act, id: result };
}

function bytesIn(writes: Writes): number {
  let bytes = 0;
  for (const value of writes.values()) bytes += value instanceof Uint8Array ? value.length : 1000;
  return bytes;
}

export class Subject {
  readonly history = new History();
  readonly #options: SubjectOptions;
  readonly #environment: SeededEnvironment;
  #disk: SimulatedDisk;
  #database!: Database;
  #transactions: OpenTransaction[] = [];
  #snapshots: HeldSnapshot[] = [];
  /** How many commits survive a killed process, and a power cut. */
  #killFloor = 0;
  #powerFloor = 0;
  #versionMax = 0;
  /** What deferred commits may have left waiting in memory. */
  #deferredBytes = 0;
  /** What of it has come since the disk had room last. */
  #waitingBytes = 0;

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
    this.#deferredBytes = 0;
    this.#database = await Database.open(await this.#openOptions());
  }

  async #openOptions(): Promise<OpenOptions> {
    const { build, mode, persistent, maxPendingWrites } = this.#options;
    const buffered = { mode, flushIntervalMs: INTERVAL_MS, maxPendingWrites } as const;
    return {
      wasm: await moduleOf(build),
      shared: build.shared,
      maxBytes: MEMORY_BYTES_MAX,
      environment: this.#environment,
      durability: mode === "buffered" ? (buffered as { mode: "buffered" }) : mode,
      ...(persistent ? { storage: this.#disk.storage({ segmentBytesTarget: 20_000 }) } : {}),
    };
  }

  // Doing.

  async apply(operation: Operation): Promise<void> {
    switch (operation.op) {
      case "do":
        return this.#do(operation.run, operation.act, operation.mode);
      case "look":
        return this.#look(operation);
      case "begin":
        return this.#begin(operation.run, operation.mode);
      case "in":
        return this.#doIn(this.#transaction(operation.index), operation.act);
      case "commit":
        return this.#commit(operation.index);
      case "rollback":
        return this.#take(this.#transactions, operation.index)?.handle.rollback();
      case "callback":
        return this.#callback(operation);
      case "index":
        return this.#changeIndex(operation.act, operation.mode);
      case "runs":
        return this.#listRuns(operation);
      case "deleteRun":
        return this.#deleteRun(operation.run, operation.mode, operation.byIndex);
      case "snapshot":
        return this.#snapshot(operation.run);
      case "dispose":
        return this.#take(this.#snapshots, operation.index)?.dispose();
      default:
        return this.#applyToStorage(operation);
    }
  }

  async #applyToStorage(
    operation: Extract<Operation, { op: "flush" | "tick" | "room" | "checkpoint" | "transfer" | "reopen" | "crash" }>,
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
        this.#waitingBytes = 0;
        return;
      case "checkpoint":
        return this.#checkpoint(operation);
      case "transfer":
        return this.#transfer();
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

  get #nowMs(): number {
    return this.#environment.wallMs();
  }

  /** The mode if a synchronous commit can be made in it; without a storage only what stays in memory. */
  #isUnsupported(mode: Mode | undefined): boolean {
    return !this.#options.persistent && this.#mode(mode) !== "in-memory";
  }

  /** Notes a commit that returned. */
  #committed(run: string, version: number, mode: Mode, writes: Writes, deletesRun = false): void {
    if (!(version > this.#versionMax)) throw new Error(`version ${version} does not rise above ${this.#versionMax}`);
    this.#versionMax = version;
    this.history.commits.push({ run, version, mode, writes, ...(deletesRun ? { deletesRun } : {}) });
    const count = this.history.commits.length;
    if (mode !== "in-memory") this.#killFloor = count;
    if (mode === "strict") this.#powerFloor = count;
    this.#deferredBytes = mode === "in-memory" ? this.#deferredBytes + bytesIn(writes) : 0;
    this.#waiting(mode, bytesIn(writes));
    expectSame("db.version", this.#database.version, version);
    expectSame("run.version", this.#database.run(run).version, deletesRun ? 0 : version);
  }

  /** Notes what waits for a disk without room: no more than may, unless it is one commit that is larger by itself. */
  #waiting(mode: Mode, bytes: number): void {
    this.#waitingBytes = mode === "in-memory" && this.#disk.room < 1e6 ? this.#waitingBytes + bytes : 0;
    if (this.#waitingBytes > Math.max(DEFERRED_BYTES_MAX, bytes)) throw new Error(`${this.#waitingBytes} bytes wait`);
  }

  /** Whether a call failed for want of room, which must have left no trace. */
  #isRefusedForRoom(code: string | undefined, mode: Mode, writes: Writes): boolean {
    if (code !== "STORAGE_FULL" || this.#disk.room >= 1e6) return false;
    return mode !== "in-memory" || this.#deferredBytes + bytesIn(writes) > DEFERRED_BYTES_SURE;
  }

  /**
   * Judges an implicit write by its result, and notes its commit. After a refusal for want of room the versions that were
   * taken are gone for good; the next ones must still rise.
   */
  #judge(what: string, run: string, mode: Mode, result: unknown, { writes, result: expected }: Prediction): void {
    if (writes.size > 0 && this.#isRefusedForRoom(codeOfResult(result), mode, writes)) {
      this.check();
      return;
    }
    expectSame(what, result, expected);
    if (writes.size > 0) this.#committed(run, this.#database.version, mode, writes);
  }

  #do(run: string, given: Act, mode: Mode | undefined): void {
    const state = this.history.state(run);
    const bound = bind(state, given);
    const result = perform(this.#database.run(run), bound, mode);
    if (this.#isUnsupported(mode)) {
      expectSame("the mode", codeOfResult(result), "SYNC_COMMIT_UNSUPPORTED");
      return;
    }
    const act = withMadeId(bound, result);
    const prediction = predict(state, act, this.#nowMs);
    const isPut = act.do === "kv.put" && prediction.writes.size > 0 && typeof result === "number";
    if (isPut) expectSame("the version of a put", result, this.#database.version);
    this.#judge(act.do, run, this.#mode(mode), isPut ? 0 : result, prediction);
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
    this.#transactions.push(this.#opened(run, this.#mode(mode), start, handle));
  }

  #opened(run: string, mode: Mode, start: number, handle: Transaction): OpenTransaction {
    const before = this.history.state(run);
    return {
      run,
      mode,
      start,
      handle,
      before,
      writes: new Map(),
      reads: new Map(),
      scans: [],
      touches: [],
      done: [],
    };
  }

  #transaction(index: number): OpenTransaction | undefined {
    return this.#transactions[index % Math.max(1, this.#transactions.length)];
  }

  /** Reads or writes in a transaction, and notes what that means for its commit. */
  #doIn(transaction: OpenTransaction | undefined, given: Act): void {
    if (transaction === undefined) return;
    const { handle, before, writes, reads, scans, touches, done } = transaction;
    const state = overlay(before, writes);
    const bound = bind(state, given);
    const result = perform(handle, bound);
    const act = withMadeId(bound, result);
    const prediction = predict(state, act, this.#nowMs);
    expectSame(`${act.do} in a transaction`, result, prediction.result);
    for (const item of prediction.reads) {
      if (!writes.has(item) && !reads.has(item)) reads.set(item, before.get(item)?.version ?? 0);
    }
    scans.push(...prediction.scans);
    touches.push(prediction.touches);
    done.push({ act, nowMs: this.#nowMs, own: new Map(writes), result });
    for (const [item, value] of prediction.writes) writes.set(item, value);
  }

  /** Whether a commit has to conflict, and whether it may. */
  #conflict({ run, start, before, reads, scans, touches, done }: OpenTransaction): { must: boolean; may: boolean } {
    const now = this.history.state(run);
    const written = [...this.history.writtenSince(run, start)];
    const isDeleted = this.history.commits.some(
      (commit) => commit.run === run && commit.version > start && commit.deletesRun === true,
    );
    const readsMoved = [...reads].some(([item, seen]) => (now.get(item)?.version ?? 0) !== seen);
    const membershipMoved = scans.some(({ table, range }) =>
      written.some((item) => {
        const isInside = item.startsWith(`${table}:`) && range.limit !== 0 && isInRange(item.slice(2), range);
        return isInside && now.has(item) !== before.has(item);
      }),
    );
    const resultsMoved = done.some(
      ({ act, nowMs, own, result }) => !isDeepStrictEqual(predict(overlay(now, own), act, nowMs).result, result),
    );
    const must = isDeleted || readsMoved || membershipMoved || resultsMoved;
    return { must, may: must || written.some((item) => touches.some((test) => test(item, now.get(item)?.value))) };
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
    const effective = new Map([...writes].filter(([item, value]) => value !== undefined || live.has(item)));
    if (effective.size > 0 && this.#isRefusedForRoom(code, mode, effective)) {
      this.check();
      return;
    }
    expectSame("the commit", code, undefined);
    if (effective.size > 0) this.#committed(run, version, mode, effective);
  }

  #callback({ run, mode, acts, fails }: Extract<Operation, { op: "callback" }>): void {
    const options = mode === undefined ? {} : { durability: mode };
    const before = this.history.state(run);
    const writes = new Map<string, Value | undefined>();
    const result = resultOf(() =>
      this.#database.run(run).transaction((tx) => {
        const inside = { ...this.#opened(run, this.#mode(mode), this.history.newest(), tx), writes };
        for (const act of acts) this.#doIn(inside, act);
        if (fails) throw callbackError();
        return tx.kv.count();
      }, options),
    );
    const code = codeOfResult(result);
    if (this.#isUnsupported(mode)) {
      expectSame("the mode", code, "SYNC_COMMIT_UNSUPPORTED");
      return;
    }
    if (fails) {
      expectSame("a callback that throws", code, "INVALID_TRANSITION");
      return;
    }
    const effective = new Map([...writes].filter(([item, value]) => value !== undefined || before.has(item)));
    const count = [...overlay(before, writes).keys()].filter((item) => item.startsWith("k:")).length;
    const prediction = { result: count, writes: effective, reads: [], scans: [], touches: () => false };
    this.#judge("transaction", run, this.#mode(mode), result, prediction);
  }

  // Runs.

  #changeIndex(act: IndexWrite, mode: Mode | undefined): void {
    const { runs } = this.#database;
    const options = mode === undefined ? {} : { durability: mode };
    const parent = act.do === "create" && act.parent !== undefined ? this.history.state(act.parent) : new Map();
    const prediction = predictIndex(this.history.state(act.run), act, parent, this.#nowMs);
    const nowMs = this.#nowMs;
    const result = resultOf(() => {
      switch (act.do) {
        case "create":
          return runs.create(
            { name: act.run, parent: act.parent, tags: act.tags, metadata: { note: act.note } },
            options,
          );
        case "fail":
          return runs.fail(act.run, "why", options);
        case "addTags":
        case "removeTags":
          return runs[act.do](act.run, act.tags, options);
        case "updateMetadata":
          return runs.updateMetadata(act.run, { [`at ${nowMs}`]: act.note }, options);
        default:
          return runs[act.do](act.run, options);
      }
    });
    if (this.#isUnsupported(mode)) {
      const isExpected = ["SYNC_COMMIT_UNSUPPORTED", codeOfResult(prediction.result)].includes(codeOfResult(result));
      if (!isExpected) throw new Error(`the mode is unsupported, ${act.do} gave ${JSON.stringify(result)}`);
      return;
    }
    this.#judge(`runs.${act.do}`, act.run, this.#mode(mode), result, prediction);
  }

  #listRuns({ view, index, query }: Extract<Operation, { op: "runs" }>): void {
    if (view === "run") {
      const states = RUNS.map((run) => this.history.state(run));
      this.#compareRuns("the index", this.#database.runs, states, query);
      return;
    }
    const held = this.#snapshots.filter(({ runs }) => runs !== undefined);
    const snapshot = held[index % Math.max(1, held.length)];
    if (snapshot?.runs === undefined) return;
    this.#compareRuns(
      "the index of a snapshot",
      snapshot.runs(),
      snapshot.views.map(({ state }) => state),
      query,
    );
  }

  #compareRuns(what: string, runs: RunIndexReader, states: readonly State[], query: object): void {
    const infos = states.map(infoOf);
    expectSame(`${what}: list`, runs.list(query), indexList(infos, query));
    for (const [i, info] of infos.entries()) expectSame(`${what}: get`, runs.get(RUNS[i] as string), info);
    const known = infos.filter((info) => info !== undefined);
    const count = (status: string): number => known.filter((info) => info.status === status).length;
    const { total, byStatus } = runs.stats();
    expectSame(`${what}: total`, total, known.length);
    for (const [status, found] of Object.entries(byStatus)) expectSame(`${what}: ${status}`, found, count(status));
  }

  #deleteRun(run: string, mode: Mode | undefined, byIndex: boolean): void {
    const options = mode === undefined ? {} : { durability: mode };
    const exists = this.history.versionOf(run) !== 0;
    const result = resultOf(() =>
      byIndex ? this.#database.runs.delete(run, options) : this.#database.deleteRun(run, options),
    );
    if (this.#isUnsupported(mode)) {
      expectSame("the mode", codeOfResult(result), "SYNC_COMMIT_UNSUPPORTED");
      return;
    }
    if (exists && this.#isRefusedForRoom(codeOfResult(result), this.#mode(mode), new Map())) {
      this.check();
      return;
    }
    expectSame("deleteRun", result, exists);
    if (exists) this.#committed(run, this.#database.version, this.#mode(mode), new Map(), true);
  }

  #snapshot(run: string | undefined): void {
    if (run !== undefined) {
      const snapshot = this.#database.run(run).snapshot();
      const views = [{ view: () => snapshot, state: this.history.state(run) }];
      this.#snapshots.push({ views, runs: undefined, dispose: () => snapshot.dispose() });
      return;
    }
    const snapshot = this.#database.snapshot();
    const views = RUNS.map((id) => ({ view: () => snapshot.run(id), state: this.history.state(id) }));
    this.#snapshots.push({ views, runs: () => snapshot.runs, dispose: () => snapshot.dispose() });
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
    this.#deferredBytes = 0;
  }

  /** A checkpoint, with commits while it is made, and perhaps a crash before it is done. */
  async #checkpoint({ run, acts, mode, turns, crash }: Extract<Operation, { op: "checkpoint" }>): Promise<void> {
    const before = this.history.commits.length;
    const done = this.#database.checkpoint().then(
      () => undefined,
      (error: unknown) => {
        if (HoldfastError.is(error)) return error.code;
        throw error;
      },
    );
    for (const act of acts) {
      for (let i = 0; i < turns; i++) await Promise.resolve();
      this.#do(run, act, mode);
    }
    if (crash) {
      for (let i = 0; i < turns * 4; i++) await Promise.resolve();
      await this.#crash("power");
      await done;
      return;
    }
    const code = await done;
    if (code === "STORAGE_FULL" && this.#disk.room < 1e6) return;
    expectSame("checkpoint", code, undefined);
    this.#killFloor = Math.max(this.#killFloor, before);
    this.#powerFloor = Math.max(this.#powerFloor, before);
    this.check();
  }

  /** Goes on with a database into which this one was imported, in another place. */
  async #transfer(): Promise<void> {
    const pieces: Uint8Array[] = [];
    for await (const piece of this.#database.export()) pieces.push(piece);
    this.#forget();
    await this.#abandonDisk();
    this.#disk = new SimulatedDisk({ seed: this.#options.seed + 1 });
    this.#database = await Database.import(pieces, await this.#openOptions());
    this.#deferredBytes = 0;
    this.#killFloor = this.history.commits.length;
    this.#powerFloor = this.#killFloor;
    this.check();
  }

  async #abandonDisk(): Promise<void> {
    this.#disk.crash({ kind: "kill" });
    await this.#database.close().catch(() => {});
  }

  #forget(): void {
    this.#transactions = [];
    this.#snapshots = [];
  }

  async #reopen(): Promise<void> {
    this.#forget();
    const hasRoom = this.#disk.room > 1e6;
    let isClean = true;
    await this.#database.close().catch((error: unknown) => {
      if (!HoldfastError.is(error, "STORAGE_FULL") || hasRoom) throw error;
      isClean = false;
    });
    expectSame(
      "a read after close",
      codeOf(() => this.#database.run("a")),
      "CLOSED",
    );
    await this.#recover(isClean ? this.history.commits.length : this.#killFloor);
    const { recovered } = this.#database.storageInfo;
    if (isClean && hasRoom) expectSame("recovered after a clean close", recovered, undefined);
    // There may have been no room for the note that it was closed; everything is there all the same.
    else if (isClean) expectSame("dropped after a clean close", recovered?.droppedBytes ?? 0, 0);
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
    const { history } = this;
    const count = prefixOf(history, findAll(this.#database, RUNS), least);
    history.commits = history.commits.slice(0, count);
    this.#killFloor = count;
    this.#powerFloor = count;
    this.check();
  }

  // Seeing.

  #look({ view, run, index, act }: Extract<Operation, { op: "look" }>): void {
    if (view === "transaction") {
      this.#doIn(this.#transaction(index), act);
      return;
    }
    if (view === "run") {
      this.#compare("a run", this.#database.run(run), this.history.state(run), act);
      return;
    }
    const snapshot = this.#snapshots[index % Math.max(1, this.#snapshots.length)];
    const held = snapshot?.views[index % snapshot.views.length];
    if (held !== undefined) this.#compare("a snapshot", held.view(), held.state, act);
  }

  #compare(where: string, view: View, state: State, act: Act): void {
    if (isWrite(act)) return;
    expectSame(`${act.do} of ${where}`, look(view, act), predict(state, act, this.#nowMs).result);
  }

  /** The heap is sound. */
  verify(): void {
    expectSame("verify", this.#database.verify(), { valid: true });
  }

  /** Everything that can be seen is as the oracle says. */
  check(): void {
    this.verify();
    let entries = 0;
    for (const id of RUNS) {
      const state = this.history.state(id);
      const run = this.#database.run(id);
      expectImage(`run ${id}`, run, this.#database.runs.get(id), state);
      expectSame(`count of run ${id}`, run.count(), entriesOf(state));
      entries += entriesOf(state);
    }
    expectSame("totalCount", this.#database.totalCount(), entries);
    for (const { views, runs } of this.#snapshots) {
      for (const [i, { view, state }] of views.entries()) {
        const info = runs === undefined ? infoOf(state) : runs().get(RUNS[i] as string);
        expectImage("a held snapshot", view(), info, state);
      }
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
    await this.#abandonDisk();
  }
}
