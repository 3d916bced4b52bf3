/**
 * Asynchronous transactions whose callbacks go on one step at a time, beside synchronous writes and reads on the same
 * runs, over a disk whose syncs are held, fail, or find no room; and what must be true of all of it.
 *
 * Every value is written once, so that a value names its writer. What was committed, and in which order, is read out of
 * the log by the test itself. Then (COMMIT 3 to 9):
 *  - nobody sees a value before its mode's promise is kept, nor an outcome of a callback that has read such a value;
 *  - whatever was refused is not in the log, whatever was acknowledged is, each transaction in one record;
 *  - every committed transaction has read what stood just before its own version;
 *  - a crash leaves a prefix of the log that holds everything acknowledged as durable.
 */
import { Database, HoldfastError, type Transaction } from "../../src/index.js";
import { type Build, moduleOf } from "../support/builds.js";
import { type Cell, expectSame, History, type Mode, show } from "../support/history.js";
import { commitsOf, holds } from "../support/log-records.js";
import { SeededEnvironment, turn } from "../support/seeded-environment.js";
import { SimulatedDisk } from "../support/simulated-storage.js";

export const ASYNC_RUNS = ["a", "b"] as const;
export const ASYNC_KEYS = ["k", "j", "i"] as const;

export type Step =
  | { readonly do: "get"; key: string }
  | { readonly do: "list" }
  | { readonly do: "put"; key: string }
  | { readonly do: "delete"; key: string }
  | { readonly do: "return" }
  | { readonly do: "throw" }
  | { readonly do: "rollback" };

export type Event =
  | { readonly op: "begin"; run: string; mode: Mode }
  | { readonly op: "step"; index: number; step: Step }
  | { readonly op: "put"; run: string; key: string; mode: Mode }
  | { readonly op: "delete"; run: string; key: string; mode: Mode }
  | { readonly op: "increment"; run: string; key: string; mode: Mode }
  | { readonly op: "hold" }
  | { readonly op: "release"; fail: boolean }
  | { readonly op: "room"; bytes: number }
  | { readonly op: "flush" }
  | { readonly op: "tick" };

export type Ending = "close" | "kill" | "power";

interface Writer {
  readonly run: string;
  readonly mode: Mode;
  /** The values that it has written last to each key; `undefined`: deleted. */
  readonly writes: Map<string, string | undefined>;
  /** What it has read from the store: the version of each key, 0 where there was none. */
  readonly reads: Map<string, number>;
  readonly seen: Set<string>;
  outcome: string | undefined;
}

interface Client extends Writer {
  next: ((step: Step) => void) | undefined;
  isAbandoned: boolean;
}

const MANY_TURNS = 200;

export class Clients {
  readonly #disk: SimulatedDisk;
  readonly #environment: SeededEnvironment;
  readonly #syncStorage: boolean;
  #database!: Database;
  #clients: Client[] = [];
  readonly #writers: Writer[] = [];
  readonly #modeOfValue = new Map<string, Mode>();
  readonly #versions = new Map<string, number>();
  #values = 0;
  #hadNoRoom = false;
  #hasFailed = false;
  /** A flush that resolved makes durable what had been acknowledged by its call. */
  readonly #durable = new Set<Writer>();

  private constructor(seed: number, syncStorage: boolean) {
    this.#disk = new SimulatedDisk({ seed });
    this.#environment = new SeededEnvironment(seed);
    this.#syncStorage = syncStorage;
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
      storage: this.#disk.storage({ syncAppend: this.#syncStorage, segmentBytesTarget: 2000 }),
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
      case "put":
      case "delete":
        this.#writeNow(event.run, event.key, event.mode, event.op === "delete");
        break;
      case "increment":
        this.#incrementNow(event.run, event.key, event.mode);
        break;
      case "hold":
        this.#disk.hold("flush");
        break;
      case "release":
        await this.#release(event.fail);
        break;
      case "room":
        this.#disk.room = event.bytes;
        this.#hadNoRoom ||= event.bytes < 1e6;
        break;
      case "flush":
        this.#flush();
        break;
      case "tick":
        this.#environment.advance(100);
    }
    await turn();
    this.check();
  }

  async #release(fail: boolean): Promise<void> {
    if (!fail || this.#disk.waiting("flush") === 0) return this.#disk.release("flush");
    this.#hasFailed = true;
    await this.#disk.release("flush", { fail: "STORE_FAILED" });
  }

  #flush(): void {
    const covered = this.#writers.filter((writer) => writer.outcome === "committed");
    this.#database.flush().then(
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

  #value(mode: Mode): string {
    const value = `v${String(this.#values++).padStart(5, "0")}`;
    this.#modeOfValue.set(value, mode);
    return value;
  }

  #writer(run: string, mode: Mode): Writer {
    return { run, mode, writes: new Map(), reads: new Map(), seen: new Set(), outcome: undefined };
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
      case "get":
        this.#noteRead(client, step.key, tx.kv.getVersioned(step.key) as Cell | undefined);
        return false;
      case "list": {
        tx.kv.list();
        for (const key of ASYNC_KEYS) this.#noteRead(client, key, tx.kv.getVersioned(key) as Cell | undefined);
        return false;
      }
      case "put": {
        const value = this.#value(client.mode);
        tx.kv.put(step.key, value);
        client.writes.set(step.key, value);
        return false;
      }
      case "delete":
        this.#noteRead(client, step.key, tx.kv.getVersioned(step.key) as Cell | undefined);
        if (tx.kv.delete(step.key)) client.writes.set(step.key, undefined);
        return false;
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

  #noteRead(writer: Writer, key: string, cell: Cell | undefined): void {
    if (writer.writes.has(key)) {
      expectSame("a transaction reads what it has written", cell?.value, writer.writes.get(key));
      return;
    }
    if (cell !== undefined) writer.seen.add(cell.value as string);
    const known = writer.reads.get(key);
    if (known !== undefined) expectSame("a transaction reads the same again", cell?.version ?? 0, known);
    writer.reads.set(key, cell?.version ?? 0);
  }

  #writeNow(run: string, key: string, mode: Mode, isDeletion: boolean): void {
    const writer = this.#writer(run, mode);
    const { kv } = this.#database.run(run);
    this.#writers.push(writer);
    let existed = true;
    const value = isDeletion ? undefined : this.#value(mode);
    writer.outcome = this.#now(() => {
      if (value === undefined) existed = kv.delete(key, { durability: mode });
      else kv.put(key, value, { durability: mode });
    });
    if (existed) writer.writes.set(key, value);
    if (writer.outcome !== "committed") return;
    if (!existed) expectSame("a key whose deletion was refused as done", kv.has(key), false);
    else if (!this.#hasFailed) expectSame("a write that returned is there", kv.get(key), value);
    this.#ended(writer);
  }

  /** A synchronous read-modify-write: begun, read, written and committed at once. */
  #incrementNow(run: string, key: string, mode: Mode): void {
    const writer = this.#writer(run, mode);
    this.#writers.push(writer);
    writer.outcome = this.#now(() => {
      this.#database.run(run).transaction(
        (tx) => {
          this.#noteRead(writer, key, tx.kv.getVersioned(key) as Cell | undefined);
          const value = this.#value(mode);
          tx.kv.put(key, value);
          writer.writes.set(key, value);
        },
        { durability: mode },
      );
    });
    if (writer.outcome === "committed") this.#ended(writer);
  }

  #now(call: () => void): string {
    try {
      call();
      return "committed";
    } catch (error) {
      return this.#allow(codeIn(error));
    }
  }

  /** The code, if there is a reason for it. */
  #allow(code: string): string {
    const isReason =
      code === "CONFLICT" ||
      code === "NOT_FOUND" ||
      (code === "STORAGE_FULL" && this.#hadNoRoom) ||
      (["STORE_FAILED", "COMMIT_INDETERMINATE"].includes(code) && this.#hasFailed) ||
      (["BUSY", "SYNC_COMMIT_UNSUPPORTED"].includes(code) && !this.#syncStorage);
    if (!isReason) throw new Error(`${code} for no reason`);
    return code;
  }

  #ended(writer: Writer): void {
    this.#faults.push(...this.#faultsOf(writer));
  }

  readonly #faults: string[] = [];

  /** What is wrong with an outcome at the moment that it is told. */
  #faultsOf(writer: Writer): string[] {
    const { outcome, writes, seen } = writer;
    const faults: string[] = [];
    if (["COMMIT_INDETERMINATE", "STORE_FAILED", "STORAGE_FULL", "CONFLICT"].includes(outcome ?? "")) {
      return this.#unreasonable(outcome ?? "");
    }
    for (const value of seen) {
      if (!this.#isKept(value))
        faults.push(`an outcome (${outcome}) was told that has read ${value}, which is not durable`);
    }
    if (outcome !== "committed") return faults;
    for (const value of writes.values()) {
      if (value !== undefined && !this.#isKept(value)) faults.push(`${value} was acknowledged and is not durable`);
    }
    return faults;
  }

  /** Whether the promise of a value's mode is kept. */
  #isKept(value: string): boolean {
    const mode = this.#modeOfValue.get(value);
    if (mode === "in-memory" || (mode === "buffered" && !this.#syncStorage)) return true;
    return holds(this.#disk, value, mode === "buffered");
  }

  // Seeing.

  /** What readers see is durable enough, and never goes back. */
  check(): void {
    if (this.#faults.length > 0) throw new Error(this.#faults[0]);
    expectSame("verify", this.#database.verify(), { valid: true });
    const snapshot = this.#database.snapshot();
    try {
      for (const run of ASYNC_RUNS) this.#checkRun(run, snapshot.version);
    } finally {
      snapshot.dispose();
    }
  }

  #checkRun(id: string, horizon: number): void {
    const run = this.#database.run(id);
    const version = run.version;
    if (version < (this.#versions.get(id) ?? 0)) throw new Error(`run ${id} went back to ${version}`);
    this.#versions.set(id, version);
    for (const [key, value] of run.kv.list()) {
      if (!this.#isKept(value as string)) throw new Error(`${key} shows ${String(value)}, which is not durable`);
      const cell = run.kv.getVersioned(key);
      if ((cell?.version ?? 0) > version) throw new Error(`${key} is newer than its run (${horizon})`);
    }
  }

  // Ending.

  /** Lets everything come to its end; nothing may hang. */
  async #settle(): Promise<void> {
    this.#disk.room = Number.POSITIVE_INFINITY;
    await this.#disk.release("flush");
    for (let turns = 0; this.#clients.length > 0; turns++) {
      if (turns > MANY_TURNS) throw new Error(`${this.#clients.length} transactions never end: ${show(this.#clients)}`);
      for (const client of this.#clients) {
        const { next } = client;
        client.next = undefined;
        next?.({ do: "return" });
      }
      await this.#disk.release("flush");
      await turn();
      this.check();
    }
  }

  async end(build: Build, ending: Ending): Promise<void> {
    if (ending === "close") {
      await this.#settle();
      if (!this.#hasFailed) await this.#database.flush();
    }
    const history = new History();
    history.commits = commitsOf(this.#disk);
    this.#checkLog(history, ending === "close" && !this.#hasFailed);
    if (ending === "close") {
      if (!this.#hasFailed) this.#compare(history);
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
    await this.#open(build);
    const found = new Map(ASYNC_RUNS.map((run) => [run, this.#stateOf(run)]));
    history.prefixOf(found, least);
    expectSame("verify after recovery", this.#database.verify(), { valid: true });
    await this.#database.close();
  }

  #stateOf(run: string): Map<string, Cell> {
    const { kv } = this.#database.run(run);
    return new Map(kv.keys().map((key) => [key, kv.getVersioned(key) as Cell]));
  }

  #compare(history: History): void {
    for (const run of ASYNC_RUNS) expectSame(`run ${run}`, this.#stateOf(run), history.state(run));
  }

  /** How many commits of the log have to survive. */
  #floor(history: History, ending: Ending): number {
    let least = 0;
    for (const writer of this.#writers) {
      const isKept =
        this.#durable.has(writer) ||
        (writer.outcome === "committed" &&
          (writer.mode === "strict" || (writer.mode === "buffered" && ending === "kill" && this.#syncStorage)));
      if (isKept) least = Math.max(least, this.#placeOf(history, writer) + 1);
    }
    return least;
  }

  /** Where in the log a writer's record stands, −1 if nowhere. Deletions alone cannot be told. */
  #placeOf(history: History, writer: Writer): number {
    const values = [...writer.writes.values()].filter((value) => value !== undefined);
    if (values.length === 0) return -1;
    return history.commits.findIndex(({ writes }) => values.some((value) => [...writes.values()].includes(value)));
  }

  #checkLog(history: History, isWhole: boolean): void {
    for (const [i, commit] of history.commits.entries()) {
      if (i > 0 && commit.version <= (history.commits[i - 1]?.version ?? 0)) throw new Error("the log is out of order");
    }
    for (const writer of this.#writers) {
      const place = this.#placeOf(history, writer);
      const isRefused = ["CONFLICT", "STORAGE_FULL", "NOT_FOUND", "BUSY", "rolled back"].includes(writer.outcome ?? "");
      if (isRefused && place >= 0) throw new Error(`a transaction that ended with ${writer.outcome} is in the log`);
      const hasValues = [...writer.writes.values()].some((value) => value !== undefined);
      if (isWhole && writer.outcome === "committed" && hasValues && place < 0)
        throw new Error(`${show(writer)} is lost`);
      if (place >= 0) this.#checkSerial(history, writer, place);
    }
  }

  /** What it has read is what stood just before its own version. */
  #checkSerial(history: History, writer: Writer, place: number): void {
    const before = history.state(writer.run, undefined, place);
    for (const [key, version] of writer.reads) {
      expectSame(
        `what the writer of version ${history.commits[place]?.version} read of ${key}`,
        version,
        before.get(key)?.version ?? 0,
      );
    }
    for (const [key, value] of writer.writes) {
      const written = history.commits[place]?.writes;
      if (value !== undefined || before.has(key)) expectSame(`the record has ${key}`, written?.get(key), value);
    }
  }

  async abandon(): Promise<void> {
    const clients = this.#clients;
    this.#disk.crash({ kind: "kill" });
    for (const { next } of clients) next?.({ do: "rollback" });
    await this.#database.close().catch(() => {});
  }
}

function codeIn(error: unknown): string {
  if (HoldfastError.is(error)) return error.code;
  throw error;
}
