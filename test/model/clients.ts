/**
 * Asynchronous transactions whose callbacks go on one act at a time, beside synchronous writes and reads on the same runs,
 * over a disk whose appends and syncs are held, fail, or find no room; and what must be true of all of it.
 *
 * Every value is written once, so that a value names its writer. What was committed, and in which order, is read out of
 * the log by the test itself. Then (COMMIT 3 to 9):
 *  - nobody sees a value before its mode's promise is kept, nor an outcome of a callback that has read such a value;
 *  - whatever was refused is not in the log, whatever was acknowledged is, each transaction in one record;
 *  - every committed transaction, done again on what stood just before its own version, gives and writes the same; one that
 *    wrote nothing does so on what stood at some instant;
 *  - what readers saw of a run at a version is what the log says of that version, and never goes back; so do snapshots, for
 *    as long as they are held;
 *  - a crash leaves a prefix of the log that holds everything acknowledged as durable, or what a checkpoint held that was ahead of it.
 */
import { isDeepStrictEqual } from "node:util";
import { Database, HoldfastError, type Transaction, type Value } from "../../src/index.js";
import { type Build, moduleOf } from "../support/builds.js";
import { type Commit, expectSame, History, type Mode, overlay, type State, show } from "../support/history.js";
import { itemCommitsOf } from "../support/log-items.js";
import { holds } from "../support/log-records.js";
import { SeededEnvironment, turn } from "../support/seeded-environment.js";
import { SimulatedDisk } from "../support/simulated-storage.js";
import { type Act, codeOfResult, isWrite, perform, resultOf, type Target } from "./acts.js";
import { type Found, findAll, imageOf, prefixOf, visibleOf } from "./image.js";
import { type IndexWrite, type Prediction, predict, predictIndex } from "./primitives-oracle.js";
import { withMadeId } from "./subject.js";

export const ASYNC_RUNS = ["a", "b"] as const;
export const ASYNC_KEYS = ["k", "j", "i"] as const;

export type Step =
  | { readonly do: "act"; act: Act }
  | { readonly do: "return" }
  | { readonly do: "throw" }
  | { readonly do: "rollback" };

export type Event =
  | { readonly op: "begin"; run: string; mode: Mode }
  | { readonly op: "step"; index: number; step: Step }
  | { readonly op: "do"; run: string; act: Act; mode: Mode }
  | { readonly op: "together"; run: string; acts: readonly Act[]; mode: Mode }
  | { readonly op: "index"; act: IndexWrite; mode: Mode }
  | { readonly op: "deleteRun"; run: string; mode: Mode }
  | { readonly op: "snapshot"; run: string | undefined }
  | { readonly op: "dispose" }
  | { readonly op: "hold" }
  | { readonly op: "release"; fail: boolean }
  | { readonly op: "room"; bytes: number }
  | { readonly op: "break"; bytes: number }
  | { readonly op: "flush" }
  | { readonly op: "checkpoint" }
  | { readonly op: "tick" };

export type Ending = "close" | "kill" | "power";

/** What was done, with what it gave. */
interface Done {
  readonly act: Act | IndexWrite;
  readonly nowMs: number;
  readonly result: unknown;
}

interface Writer {
  readonly run: string;
  readonly mode: Mode;
  readonly done: Done[];
  /** The values that it has written, and those of others that it has read. */
  readonly own: Set<string>;
  readonly seen: Set<string>;
  /** The version that a put has returned, or the place in the log of the deletion of a run. */
  version: number | undefined;
  place: number | undefined;
  outcome: string | undefined;
}

interface Client extends Writer {
  next: ((step: Step) => void) | undefined;
  isAbandoned: boolean;
}

/** A held snapshot, as it must stay. */
interface Held {
  readonly find: () => Found[];
  readonly found: readonly Found[];
  readonly dispose: () => void;
}

const MANY_TURNS = 200;
const VALUE = /V\d{5}/g;
/** What ends a call for reasons of the storage or of concurrency. */
const REASONS: ReadonlySet<string | undefined> = new Set([
  "CONFLICT",
  "STORAGE_FULL",
  "STORE_FAILED",
  "COMMIT_INDETERMINATE",
  "BUSY",
  "SYNC_COMMIT_UNSUPPORTED",
]);
/** Outcomes of transactions whose acts were all told, though nothing need be in the log. */
const TOLD = ["committed", "NOT_FOUND", "rolled back"];

function valuesIn(anything: unknown): string[] {
  return show(anything)?.match(VALUE) ?? [];
}

/** An act with a value of its own in the place of its value. */
function marked(act: Act, value: string): Act {
  if ("value" in act) return { ...act, value };
  if (act.do === "events.append") return { ...act, payload: value };
  if (act.do === "traces.record") return { ...act, entry: { type: "thought", content: value } };
  return act;
}

function predictAny(state: State, { act, nowMs }: Done): Prediction {
  if ("run" in act) return predictIndex(state, act, new Map(), nowMs);
  return predict(state, act, nowMs);
}

/** What a writer's acts write when they are done on a state; `undefined` if one of them would give something else there. */
function replay(state: State, writer: Writer): Map<string, Value | undefined> | undefined {
  const own = new Map<string, Value | undefined>();
  for (const done of writer.done) {
    const { result, writes } = predictAny(overlay(state, own), done);
    if (!isDeepStrictEqual(result, done.result)) return undefined;
    for (const [item, value] of writes) own.set(item, value);
  }
  return own;
}

export class Clients {
  readonly #disk: SimulatedDisk;
  readonly #environment: SeededEnvironment;
  readonly #syncStorage: boolean;
  readonly #durableAppend: boolean;
  #database!: Database;
  #clients: Client[] = [];
  readonly #writers: Writer[] = [];
  readonly #modeOfValue = new Map<string, Mode>();
  /** Values that are as durable as their mode promises: they stay so. */
  readonly #kept = new Set<string>();
  readonly #sightings: Found[] = [];
  #held: Held[] = [];
  readonly #last = new Map<string, Found>();
  readonly #faults: string[] = [];
  #values = 0;
  #hadNoRoom = false;
  #isHeld = false;
  #hasFailed = false;
  /** A flush that resolved makes durable what had been acknowledged by its call. */
  readonly #durable = new Set<Writer>();

  private constructor(seed: number, syncStorage: boolean) {
    this.#disk = new SimulatedDisk({ seed });
    this.#environment = new SeededEnvironment(seed);
    this.#syncStorage = syncStorage;
    this.#durableAppend = !syncStorage && seed % 2 === 0;
  }

  static async make(build: Build, seed: number, syncStorage: boolean): Promise<Clients> {
    const clients = new Clients(seed, syncStorage);
    await clients.#open(build);
    return clients;
  }

  async #open(build: Build): Promise<void> {
    this.#database = await Database.open({
      wasm: await moduleOf(build),
      shared: build.shared,
      maxBytes: 64 * 1024 * 1024,
      environment: this.#environment,
      storage: this.#disk.storage({
        syncAppend: this.#syncStorage,
        durableAppend: this.#durableAppend,
        segmentBytesTarget: 2000,
      }),
    });
  }

  // Doing.

  async apply(event: Event): Promise<void> {
    switch (event.op) {
      case "begin":
        this.#begin(event.run, event.mode);
        break;
      case "step":
        this.#step(event.index, event.step);
        break;
      case "do":
        this.#doNow(event.run, event.act, event.mode);
        break;
      case "together":
        this.#doTogether(event.run, event.acts, event.mode);
        break;
      case "index":
        this.#changeIndex(event.act, event.mode);
        break;
      case "deleteRun":
        this.#deleteRun(event.run, event.mode);
        break;
      case "snapshot":
        this.#snapshot(event.run);
        break;
      case "dispose":
        this.#held.shift()?.dispose();
        break;
      default:
        await this.#applyToDisk(event);
    }
    await turn();
    this.check();
  }

  async #applyToDisk(
    event: Extract<Event, { op: "hold" | "release" | "room" | "break" | "flush" | "checkpoint" | "tick" }>,
  ): Promise<void> {
    switch (event.op) {
      case "hold":
        this.#disk.hold("flush");
        this.#isHeld = true;
        break;
      case "release":
        await this.#release(event.fail);
        break;
      case "room":
        this.#disk.room = event.bytes;
        this.#hadNoRoom ||= event.bytes < 1e6;
        break;
      case "break":
        this.#hasFailed = true;
        this.#disk.failNext(this.#syncStorage ? "appendSync" : "append", "STORE_FAILED", { afterBytes: event.bytes });
        break;
      case "flush":
        this.#makeDurable(() => this.#database.flush());
        break;
      case "checkpoint":
        this.#makeDurable(() => this.#database.checkpoint());
        break;
      case "tick":
        this.#environment.advance(100);
    }
  }

  async #release(fail: boolean): Promise<void> {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    if (!fail || this.#disk.waiting("flush") === 0) return this.#disk.release("flush");
    this.#hasFailed = true;
    await this.#disk.release("flush", { fail: "STORE_FAILED" });
  }

  /** What is committed before a call that makes it durable is so when that returns. */
  #makeDurable(call: () => Promise<void>): void {
    const covered = this.#writers.filter((writer) => writer.outcome === "committed");
    call().then(
      () => {
        for (const writer of covered) this.#durable.add(writer);
      },
      (error: unknown) => this.#faults.push(...this.#unreasonable(codeIn(error))),
    );
  }

  /** The fault, if there is no reason for a code. */
  #unreasonable(code: string): string[] {
    try {
      this.#allow(code);
      return [];
    } catch (error) {
      return [String(error)];
    }
  }

  #value(writer: Writer): string {
    const value = `V${String(this.#values++).padStart(5, "0")}`;
    this.#modeOfValue.set(value, writer.mode);
    writer.own.add(value);
    return value;
  }

  #writer(run: string, mode: Mode): Writer {
    const [own, seen] = [new Set<string>(), new Set<string>()];
    return { run, mode, done: [], own, seen, version: undefined, place: undefined, outcome: undefined };
  }

  #begin(run: string, mode: Mode): void {
    if (this.#clients.length >= 5) return;
    const client: Client = { ...this.#writer(run, mode), next: undefined, isAbandoned: false };
    this.#clients.push(client);
    this.#writers.push(client);
    const body = async (tx: Transaction): Promise<void> => {
      for (;;) {
        const step = await new Promise<Step>((resolve) => {
          client.next = resolve;
        });
        if (this.#perform(client, tx, step)) return;
      }
    };
    const end = (outcome: string): void => {
      client.outcome = outcome;
      this.#clients = this.#clients.filter((other) => other !== client);
      this.#ended(client);
    };
    this.#database
      .run(run)
      .transactionAsync(body, { durability: mode })
      .then(
        () => end(client.isAbandoned ? "rolled back" : "committed"),
        (error: unknown) => {
          if (!HoldfastError.is(error)) this.#faults.push(String(error));
          end(HoldfastError.is(error) ? error.code : "a failed expectation");
        },
      );
  }

  #step(index: number, step: Step): void {
    const client = this.#clients[index % Math.max(1, this.#clients.length)];
    if (client?.next === undefined) return;
    const { next } = client;
    client.next = undefined;
    next(step);
  }

  /** One step of a callback; whether it was the last. */
  #perform(client: Client, tx: Transaction, step: Step): boolean {
    switch (step.do) {
      case "act": {
        const code = this.#act(client, tx, step.act);
        if (code !== undefined) this.#allow(code);
        return false;
      }
      case "return":
        return true;
      case "throw":
        throw new HoldfastError("NOT_FOUND", "the callback throws");
      case "rollback":
        client.isAbandoned = true;
        tx.rollback();
        return true;
    }
  }

  /** What an implicit operation is preceded by is another one: a commit that nobody saw yet may come between them. */
  #alone({ run, mode }: Writer): Writer {
    const reader = { ...this.#writer(run, mode), outcome: "committed" };
    this.#writers.push(reader);
    return reader;
  }

  /** Does an act and notes what it gave; the code where it was refused for a reason that is not its own. */
  #act(writer: Writer, target: Target, given: Act, mode?: Mode): string | undefined {
    let act = given;
    if (act.do === "state.cas") {
      const reader = mode === undefined ? writer : this.#alone(writer);
      this.#act(reader, target, { do: "state.read", name: act.name });
      const cell = reader.done.at(-1)?.result as { version: number } | undefined;
      act = { ...act, expected: (cell?.version ?? 0) + (act.expect === "right" && cell !== undefined ? 0 : 1) };
    }
    if (isWrite(act)) act = marked(act, this.#value(writer));
    let result = perform(target, act, mode);
    const code = codeOfResult(result);
    if (REASONS.has(code)) return code;
    act = withMadeId(act, result);
    if (act.do === "kv.put" && mode !== undefined && typeof result === "number") {
      writer.version = result;
      result = 0;
    }
    this.#note(writer, act, result);
    return undefined;
  }

  #note(writer: Writer, act: Act | IndexWrite, result: unknown): void {
    for (const value of valuesIn(result)) if (!writer.own.has(value)) writer.seen.add(value);
    writer.done.push({ act, nowMs: this.#environment.wallMs(), result });
  }

  /** An implicit operation. It has nobody to conflict with: it is tried again. */
  #doNow(run: string, given: Act, mode: Mode): void {
    const writer = this.#writer(run, mode);
    this.#writers.push(writer);
    const target = this.#database.run(run);
    const code = this.#act(writer, target, given, mode);
    writer.outcome = code === undefined ? "committed" : this.#refusedNow(writer, code);
    const last = writer.done.at(-1);
    if (code !== undefined || last === undefined) return;
    const { act, result } = last;
    if (act.do === "kv.delete" && result === false) {
      expectSame("a key whose deletion was refused as done", target.kv.has(act.key), false);
    }
    this.#expectShown(writer, last);
    this.#ended(writer);
  }

  /** An implicit operation was refused. One that may be durable or not is not asked for in the log. */
  #refusedNow(writer: Writer, code: string): string {
    if (code === "COMMIT_INDETERMINATE") writer.own.clear();
    return this.#allow(code, writer.mode, false);
  }

  /** What an implicit write wrote is there when it returns. */
  #expectShown(writer: Writer, { act, result }: Done): void {
    const target = this.#database.run(writer.run);
    const [value] = writer.own;
    if (this.#hasFailed) return;
    if (act.do === "state.cas" && codeOfResult(result) === "VERSION_MISMATCH") {
      const { actual } = result as { actual: number };
      expectSame("the version that a swap was refused for", target.state.read(act.name)?.version ?? 0, actual);
    }
    if (codeOfResult(result) !== undefined) return;
    if (act.do === "kv.put") expectSame("a put that returned", target.kv.get(act.key), value);
    if (act.do === "state.set" || act.do === "state.init") {
      expectSame("a cell that was written", target.state.read(act.name)?.value, value);
    }
    if (act.do === "events.append") {
      const { sequence } = result as { sequence: number };
      expectSame("an event that was appended", target.events.read(sequence)?.payload, value);
    }
  }

  /** A synchronous transaction, begun and committed at once. */
  #doTogether(run: string, acts: readonly Act[], mode: Mode): void {
    const writer = this.#writer(run, mode);
    this.#writers.push(writer);
    const result = resultOf(() =>
      this.#database.run(run).transaction(
        (tx) => {
          for (const act of acts) {
            const code = this.#act(writer, tx, act);
            if (code !== undefined) throw new HoldfastError("NOT_FOUND", this.#allow(code, mode));
          }
        },
        { durability: mode },
      ),
    );
    const code = codeOfResult(result);
    writer.outcome = code === undefined ? "committed" : this.#allow(code, mode);
    if (code === undefined) this.#ended(writer);
  }

  #changeIndex(given: IndexWrite, mode: Mode): void {
    const writer = this.#writer(given.run, mode);
    this.#writers.push(writer);
    const { runs } = this.#database;
    const act = "note" in given ? { ...given, note: this.#value(writer) } : given;
    const name = act.run;
    const nowMs = this.#environment.wallMs();
    const options = { durability: mode };
    const result = resultOf(() => {
      if (act.do === "create") return runs.create({ name, tags: act.tags, metadata: { note: act.note } }, options);
      if (act.do === "updateMetadata") return runs.updateMetadata(name, { [`at ${nowMs}`]: act.note }, options);
      if (act.do === "addTags" || act.do === "removeTags") return runs[act.do](name, act.tags, options);
      return act.do === "fail" ? runs.fail(name, "why", options) : runs[act.do](name, options);
    });
    const code = codeOfResult(result);
    if (REASONS.has(code)) {
      writer.outcome = this.#refusedNow(writer, code as string);
      return;
    }
    this.#note(writer, act, result);
    writer.outcome = "committed";
    this.#ended(writer);
  }

  #deleteRun(run: string, mode: Mode): void {
    const writer = this.#writer(run, mode);
    this.#writers.push(writer);
    const result = resultOf(() => this.#database.deleteRun(run, { durability: mode }));
    const code = codeOfResult(result);
    writer.outcome = code === undefined ? "committed" : this.#allow(code, mode, false);
    if (code !== undefined) return;
    expectSame("the version of a run that was deleted", this.#database.run(run).version, 0);
    const isWritten = mode === "strict" || (mode === "buffered" && this.#syncStorage);
    if (result !== true || !isWritten) return;
    writer.place = itemCommitsOf(this.#disk).findLastIndex(
      (commit) => commit.run === run && commit.deletesRun === true,
    );
    if (writer.place < 0) throw new Error(`the deletion of ${run} was acknowledged and is not in the log`);
  }

  #snapshot(run: string | undefined): void {
    const held = run === undefined ? this.#snapshotOfAll() : this.#snapshotOf(run);
    const found = held.find();
    this.#held.push({ ...held, found });
    this.#sightings.push(...found);
  }

  #snapshotOf(id: string): Omit<Held, "found"> {
    const snapshot = this.#database.run(id).snapshot();
    // A snapshot of a run does not show its entry in the index.
    const info = this.#database.runs.get(id);
    const find = (): Found[] => [{ id, version: snapshot.version, image: imageOf(snapshot, info) }];
    return { find, dispose: () => snapshot.dispose() };
  }

  #snapshotOfAll(): Omit<Held, "found"> {
    const snapshot = this.#database.snapshot();
    const find = (): Found[] =>
      ASYNC_RUNS.map((id) => {
        return { id, version: snapshot.version, image: imageOf(snapshot.run(id), snapshot.runs.get(id)) };
      });
    return { find, dispose: () => snapshot.dispose() };
  }

  /** The code, if there is a reason for it; a synchronous call says in which mode it was made. */
  #allow(code: string, mode?: Mode, mayConflict = true): string {
    const isReason =
      (code === "CONFLICT" && mayConflict) ||
      code === "NOT_FOUND" ||
      (code === "STORAGE_FULL" && this.#hadNoRoom) ||
      (["STORE_FAILED", "COMMIT_INDETERMINATE"].includes(code) && this.#hasFailed) ||
      (code === "BUSY" && !this.#syncStorage) ||
      (code === "SYNC_COMMIT_UNSUPPORTED" && !this.#syncStorage && mode === "strict");
    if (!isReason) throw new Error(`${code} for no reason`);
    return code;
  }

  #ended(writer: Writer): void {
    this.#faults.push(...this.#faultsOf(writer));
  }

  /** What is wrong with an outcome at the moment that it is told. */
  #faultsOf(writer: Writer): string[] {
    const { outcome = "nothing", own, seen, done } = writer;
    if (REASONS.has(outcome)) return this.#unreasonable(outcome);
    const faults: string[] = [];
    for (const value of seen) {
      if (!this.#isKept(value))
        faults.push(`an outcome (${outcome}) was told that has read ${value}, which is not durable`);
    }
    if (outcome !== "committed") return faults;
    const written = done.filter(({ result }) => codeOfResult(result) === undefined).map(({ act }) => act);
    const last = new Set(valuesIn(lastWrites(written)));
    for (const value of own) {
      if (last.has(value) && !this.#isKept(value)) faults.push(`${value} was acknowledged and is not durable`);
    }
    return faults;
  }

  /** Whether the promise of a value's mode is kept. */
  #isKept(value: string): boolean {
    const mode = this.#modeOfValue.get(value);
    if (mode === "in-memory" || (mode === "buffered" && !this.#syncStorage) || this.#kept.has(value)) return true;
    if (!holds(this.#disk, value, mode === "buffered")) return false;
    this.#kept.add(value);
    return true;
  }

  // Seeing.

  /** What readers see is durable enough, and never goes back. */
  check(): void {
    if (this.#faults.length > 0) throw new Error(this.#faults[0]);
    expectSame("verify", this.#database.verify(), { valid: true });
    let entries = 0;
    for (const found of findAll(this.#database, ASYNC_RUNS)) {
      entries += found.image.size;
      expectSame(`the count of run ${found.id}`, this.#database.run(found.id).count(), found.image.size);
      const last = this.#last.get(found.id);
      if (last?.version === found.version) {
        expectSame(`run ${found.id} at version ${found.version}`, found.image, last.image);
      } else {
        this.#sight(found, last);
      }
    }
    expectSame("totalCount", this.#database.totalCount(), entries);
    for (const { find, found } of this.#held) expectSame("a held snapshot", find(), found);
  }

  /** A run is at another version than before. */
  #sight(found: Found, last: Found | undefined): void {
    const { id, version, image } = found;
    if (version !== 0 && version < (last?.version ?? 0)) throw new Error(`run ${id} went back to ${version}`);
    this.#last.set(id, found);
    this.#sightings.push(found);
    for (const value of valuesIn(image)) {
      if (!this.#isKept(value)) throw new Error(`run ${id} shows ${value}, which is not durable`);
    }
    for (const [item, cell] of image) {
      if (cell.version > version) throw new Error(`${item} is newer than its run`);
    }
    expectSame(`the event log of run ${id}`, this.#database.run(id).events.verify().valid, true);
    const snapshot = this.#database.run(id).snapshot();
    try {
      if (snapshot.version < version) throw new Error(`a snapshot of run ${id} is older than ${version}`);
      expectSame("the length of a snapshot's log", snapshot.events.length, this.#database.run(id).events.length);
    } finally {
      snapshot.dispose();
    }
  }

  // Ending.

  /** Lets everything come to its end; nothing may hang. */
  async #settle(): Promise<void> {
    this.#disk.room = Number.POSITIVE_INFINITY;
    await this.#release(false);
    for (let turns = 0; this.#clients.length > 0; turns++) {
      if (turns > MANY_TURNS) throw new Error(`${this.#clients.length} transactions never end: ${show(this.#clients)}`);
      for (const client of this.#clients) {
        const { next } = client;
        client.next = undefined;
        next?.({ do: "return" });
      }
      await turn();
      this.check();
    }
  }

  async end(build: Build, ending: Ending): Promise<void> {
    if (ending === "close") {
      await this.#settle();
      if (!this.#hasFailed) await this.#database.flush();
    }
    for (const { dispose } of this.#held.splice(0)) dispose();
    const history = new History();
    history.commits = itemCommitsOf(this.#disk);
    this.#checkLog(history, ending === "close" && !this.#hasFailed);
    if (ending === "close") {
      if (!this.#hasFailed) {
        const found = findAll(this.#database, ASYNC_RUNS);
        expectSame("the commits in the log", prefixOf(history, found, 0), history.commits.length);
      }
      await this.#database.close().catch((error: unknown) => this.#allow(codeIn(error)));
      return;
    }
    const least = this.#floor(history, ending);
    const clients = this.#clients;
    this.#disk.crash({ kind: ending });
    for (const { next } of clients) next?.({ do: "rollback" });
    await this.#database.close().catch(() => {});
    await turn();
    this.#disk.room = Number.POSITIVE_INFINITY;
    const seen = [...this.#sightings];
    await this.#open(build);
    const found = findAll(this.#database, ASYNC_RUNS);
    if (!this.#isAhead(found, history, seen)) prefixOf(history, found, least);
    expectSame("verify after recovery", this.#database.verify(), { valid: true });
    for (const id of ASYNC_RUNS) {
      expectSame("the event log after recovery", this.#database.run(id).events.verify().valid, true);
    }
    await this.#database.close();
  }

  /**
   * Whether it is what a checkpoint holds that is ahead of the log, whose appends have failed since: all that had been seen up to
   * its version.
   */
  #isAhead(found: readonly Found[], history: History, seen: readonly Found[]): boolean {
    const newest = Math.max(...found.map(({ version }) => version));
    if (newest <= (history.commits.at(-1)?.version ?? 0)) return false;
    if (!this.#disk.calls.some(({ method }) => method === "commitCheckpoint")) return false;
    return found.every(({ id, version, image }) => {
      const last = seen.findLast((one) => one.id === id && one.version <= newest);
      return version === (last?.version ?? 0) && isDeepStrictEqual(image, last?.image ?? new Map());
    });
  }

  /** How many commits of the log have to survive. */
  #floor(history: History, ending: Ending): number {
    const places = placesOf(history);
    let least = 0;
    for (const writer of this.#writers) {
      const isKept =
        this.#durable.has(writer) ||
        (writer.outcome === "committed" &&
          (writer.mode === "strict" || (writer.mode === "buffered" && ending === "kill" && this.#syncStorage)));
      if (isKept) least = Math.max(least, this.#placeOf(places, writer) + 1);
    }
    return least;
  }

  /** Where in the log a writer's record stands, −1 if nowhere. Deletions of single keys cannot be told. */
  #placeOf(places: ReadonlyMap<string, number>, writer: Writer): number {
    if (writer.place !== undefined) return writer.place;
    return Math.max(-1, ...[...writer.own].map((value) => places.get(value) ?? -1));
  }

  #checkLog(history: History, isWhole: boolean): void {
    const { commits } = history;
    const places = placesOf(history);
    for (const [i, commit] of commits.entries()) {
      if (i > 0 && commit.version <= (commits[i - 1]?.version ?? 0)) throw new Error("the log is out of order");
    }
    const logged = isWhole ? Number.POSITIVE_INFINITY : (commits.at(-1)?.version ?? 0);
    for (const { id, version, image } of this.#sightings) {
      const state = version === 0 ? new Map() : history.state(id, version);
      if (version <= logged) expectSame(`what was seen of run ${id} at ${version}`, image, visibleOf(state));
    }
    for (const writer of this.#writers) {
      const place = this.#placeOf(places, writer);
      const isRefused = ["CONFLICT", "STORAGE_FULL", "NOT_FOUND", "BUSY", "rolled back"].includes(writer.outcome ?? "");
      if (isRefused && place >= 0) throw new Error(`a transaction that ended with ${writer.outcome} is in the log`);
      if (place >= 0) this.#checkSerial(history, writer, place, commits[place] as Commit);
      else if (isWhole && TOLD.includes(writer.outcome ?? "")) this.#checkInstant(history, writer);
    }
  }

  /** Done again on what stood just before its own version, it gives and writes the same. */
  #checkSerial(history: History, writer: Writer, place: number, commit: Commit): void {
    if (commit.deletesRun === true) return;
    const before = history.state(writer.run, undefined, place);
    const writes = replay(before, writer);
    if (writes === undefined) throw new Error(`version ${commit.version} has read what did not stand: ${show(writer)}`);
    const effective = [...writes].filter(([item, value]) => value !== undefined || before.has(item));
    expectSame(`the record of version ${commit.version}`, commit.writes, new Map(effective));
    if (writer.version !== undefined) expectSame("the version of a put", writer.version, commit.version);
  }

  /** Without a value of its own in the log, it has still seen one instant; what it would write must be nowhere. */
  #checkInstant(history: History, writer: Writer): void {
    for (let count = history.commits.length; count >= 0; count--) {
      const writes = replay(history.state(writer.run, undefined, count), writer);
      if (writes === undefined) continue;
      const isLost = writer.outcome === "committed" && valuesIn(writes).some((value) => writer.own.has(value));
      if (isLost) throw new Error(`${show(writer)} is lost`);
      return;
    }
    throw new Error(`what was read stood at no instant: ${show(writer)}`);
  }

  async abandon(): Promise<void> {
    const clients = this.#clients;
    this.#disk.crash({ kind: "kill" });
    for (const { next } of clients) next?.({ do: "rollback" });
    await this.#database.close().catch(() => {});
  }
}

/** Which commit wrote each value. */
function placesOf(history: History): Map<string, number> {
  const places = new Map<string, number>();
  for (const [place, { writes }] of history.commits.entries()) {
    for (const value of valuesIn([...writes.values()])) if (!places.has(value)) places.set(value, place);
  }
  return places;
}

/** Of several writes of one key or cell the last. */
function lastWrites(acts: readonly (Act | IndexWrite)[]): unknown[] {
  const last = new Map<string, unknown>();
  for (const [i, act] of acts.entries()) {
    if (act.do.startsWith("kv.") && "key" in act) last.set(`k:${act.key}`, act);
    else if (act.do.startsWith("state.") && "name" in act && isWrite(act as Act)) last.set(`c:${act.name}`, act);
    else if (act.do === "events.append" || act.do === "traces.record" || "run" in act) last.set(String(i), act);
  }
  return [...last.values()];
}

function codeIn(error: unknown): string {
  if (HoldfastError.is(error)) return error.code;
  throw error;
}
