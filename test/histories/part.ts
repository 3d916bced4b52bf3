/**
 * What one worker does in a history: transactions that append to lists and read them, synchronous and asynchronous ones, reads
 * outside of transactions and snapshots, on a database that it is attached to, in all modes that this has.
 *
 * Nothing here knows which runtime it is on. The same seed does the same things, though not at the same time as the others.
 */
import { type Database, HoldfastError, type KVReader, type KVStore } from "../../src/index.js";
import type { Micro } from "../support/list-append.js";
import { randomFrom } from "../support/seeded-random.js";
import { Diary, type Ending, type Mode } from "./diary.js";

/** What a worker is told of its part: plain data, which can be posted. */
export interface Part {
  /** One word, which every beginning and end takes its time from. */
  readonly clock: SharedArrayBuffer;
  readonly diary: SharedArrayBuffer;
  readonly seed: number;
  /** Tells its values from those of others. */
  readonly index: number;
  readonly runs: readonly string[];
  readonly keys: number;
  /** How many it makes; without end for one that is to be terminated. */
  readonly transactions: number;
  readonly modes: readonly Mode[];
  /** In how many of a hundred transactions it writes a lot besides: so that it is mostly in the middle of that when it is terminated. */
  readonly bulkPercent: number;
  /** How many of a hundred turns go to making and deleting runs instead. */
  readonly churnPercent: number;
  /** How often it may have waited for another one in vain: not at all, unless somebody is terminated who may hold something. */
  readonly busyMax: number;
}

/** Values of one worker. */
const VALUES = 1_000_000;
const STEPS_MAX = 4;
/** Transactions between two turns of the event loop, in which timers and whoever ends the worker have their time. */
const YIELD_EVERY = 24;
const TOGETHER_MAX = 3;
const BULK_MAX = 400;

/** What a call is refused with that has changed nothing. */
const REFUSALS = new Set(["CONFLICT", "BUSY", "TIMEOUT", "CORRUPTION", "STORAGE_FULL"]);

type Outcome = Pick<Ending, "status" | "code" | "why">;

class Player {
  readonly #db: Database;
  readonly #part: Part;
  readonly #clock: Int32Array;
  readonly #diary: Diary;
  readonly #random: () => number;
  #value: number;
  #count = 0;
  #busy = 0;

  constructor(db: Database, part: Part) {
    this.#db = db;
    this.#part = part;
    this.#clock = new Int32Array(part.clock);
    this.#diary = new Diary(part.diary);
    this.#random = randomFrom(part.seed);
    this.#value = part.index * VALUES + 1;
  }

  async play(): Promise<string | undefined> {
    for (let i = 0; i < this.#part.transactions; i++) {
      this.#diary.at("between two transactions");
      if (i % YIELD_EVERY === YIELD_EVERY - 1) await new Promise((resolve) => setTimeout(resolve, 0));
      const kind = this.#below(100);
      if (this.#below(100) < this.#part.churnPercent) this.#churn();
      else if (kind < 8) this.#readOne();
      else if (kind < 14) this.#readRun();
      else if (kind < 18) this.#readAll();
      else if (kind < 32) await this.#together();
      else if (kind < 62) this.#begun();
      else this.#inCallback();
    }
    this.#diary.at("closing");
    const refusal = await this.#db.close().then(
      () => undefined,
      (error: unknown) => this.#outcomeOf(error).code,
    );
    this.#diary.at("done");
    return refusal;
  }

  #below(bound: number): number {
    return Math.floor(this.#random() * bound);
  }

  #now(): number {
    return Atomics.add(this.#clock, 0, 1);
  }

  #key(): string {
    return `k${this.#below(this.#part.keys)}`;
  }

  #mode(): Mode {
    return this.#part.modes[this.#below(this.#part.modes.length)] as Mode;
  }

  /** Reads a key and perhaps appends to it. */
  #step(kv: KVStore, micros: Micro[]): void {
    const key = this.#key();
    const list = (kv.get(key) ?? []) as number[];
    micros.push({ do: "read", key, list });
    if (this.#below(2) === 0) return;
    const value = this.#value++;
    kv.put(key, [...list, value]);
    micros.push({ do: "append", key, value });
  }

  #steps(kv: KVStore, micros: Micro[]): void {
    for (let left = 1 + this.#below(STEPS_MAX); left > 0; left--) this.#step(kv, micros);
    if (this.#below(100) >= this.#part.bulkPercent) return;
    for (let left = this.#below(BULK_MAX); left > 0; left--) kv.put(`bulk ${this.#below(BULK_MAX)}`, left);
  }

  #lists(kv: KVReader): Micro[] {
    const keys = Array.from({ length: this.#part.keys }, (_, i) => `k${i}`);
    if (this.#below(2) === 0) {
      const lists = kv.getMany(keys);
      return keys.map((key, i) => ({ do: "read", key, list: (lists[i] ?? []) as number[] }));
    }
    const found = new Map(kv.list({ prefix: "k" }));
    return keys.map((key) => ({ do: "read", key, list: (found.get(key) ?? []) as number[] }));
  }

  /** A run to be at, by name and place. */
  #run(): { readonly name: string; readonly place: number } {
    const place = this.#below(this.#part.runs.length);
    return { name: this.#part.runs[place] as string, place };
  }

  /** What an error says of the transaction that it ended. Whatever else is thrown goes through. */
  #outcomeOf(error: unknown): Outcome {
    if (HoldfastError.is(error, "BUSY") && ++this.#busy > this.#part.busyMax) throw error;
    if (HoldfastError.is(error, "COMMIT_INDETERMINATE")) return { status: "indeterminate", code: error.code };
    if (HoldfastError.is(error, "STORE_FAILED")) {
      return { status: "aborted", code: error.code, why: String(error.cause ?? error.message) };
    }
    if (HoldfastError.is(error) && REFUSALS.has(error.code)) return { status: "aborted", code: error.code };
    throw error;
  }

  #end(ends: number, outcome: Outcome, version?: number): void {
    this.#diary.write({ ends, ...outcome, version, ended: this.#now() });
  }

  /** Does what is nothing but reading; what it returns is written down as one transaction of a run. */
  #reading(
    place: number,
    began: number | undefined,
    read: () => { run: string; micros: Micro[]; reads?: number }[],
  ): void {
    this.#diary.at("reading", place);
    try {
      for (const { run, micros, reads } of read()) {
        const of = this.#count++;
        this.#diary.write({ of, run, micros, began, mode: "in-memory", reads });
        this.#end(of, { status: "committed" });
      }
    } catch (error) {
      this.#end(this.#count++, this.#outcomeOf(error));
    }
  }

  /** One read outside of a transaction, which has to be as good. */
  #readOne(): void {
    const { name, place } = this.#run();
    const key = this.#key();
    this.#reading(place, this.#now(), () => [
      { run: name, micros: [{ do: "read", key, list: (this.#db.run(name).kv.get(key) ?? []) as number[] }] },
    ]);
  }

  #readRun(): void {
    const { name, place } = this.#run();
    this.#reading(place, this.#now(), () => {
      const snapshot = this.#db.run(name).snapshot();
      try {
        return [{ run: name, micros: this.#lists(snapshot.kv), reads: snapshot.version }];
      } finally {
        snapshot.dispose();
      }
    });
  }

  /** All runs at one version, which may be an older one where something newer is not published everywhere. */
  #readAll(): void {
    this.#reading(0, undefined, () => {
      const snapshot = this.#db.snapshot();
      try {
        const reads = snapshot.version;
        return this.#part.runs.map((run) => ({ run, micros: this.#lists(snapshot.run(run).kv), reads }));
      } finally {
        snapshot.dispose();
      }
    });
  }

  /** Makes a run of its own and deletes it again: what is in it is nobody's business, what it stood in is everybody's. */
  #churn(): void {
    this.#diary.at("making and deleting runs");
    const name = `of ${this.#part.index}`;
    const durability = this.#mode();
    try {
      for (let left = 1 + this.#below(4); left > 0; left--) {
        this.#db.run(name).kv.put(`c${left}`, new Uint8Array(this.#below(3000)), { durability });
      }
      this.#db.run(name).events.append("made", this.#count, { durability });
      this.#db.deleteRun(name, { durability });
    } catch (error) {
      this.#end(this.#count++, this.#outcomeOf(error));
    }
  }

  #begun(): void {
    const { name, place } = this.#run();
    const [of, mode, began, micros] = [this.#count++, this.#mode(), this.#now(), [] as Micro[]];
    this.#diary.at("in the body of a transaction", place);
    let outcome: Outcome = { status: "committed" };
    let version: number | undefined;
    try {
      const transaction = this.#db.run(name).begin({ durability: mode });
      try {
        this.#steps(transaction.kv, micros);
        this.#diary.write({ of, run: name, micros, began, mode });
        this.#diary.at("committing", place);
        version = transaction.commit();
      } finally {
        transaction.rollback();
      }
    } catch (error) {
      outcome = this.#outcomeOf(error);
    }
    this.#end(of, outcome, micros.some((micro) => micro.do === "append") ? version : undefined);
  }

  #inCallback(): void {
    const { name, place } = this.#run();
    const [of, mode, began] = [this.#count++, this.#mode(), this.#now()];
    // A tenth changes its mind: what a transaction that was rolled back has appended must be nowhere.
    const gives = this.#below(10) === 0;
    let micros: Micro[] = [];
    let outcome: Outcome = { status: "committed" };
    const undo = new Error("rolled back");
    this.#diary.at("in the body of a transaction", place);
    try {
      this.#db.run(name).transaction(
        (transaction) => {
          micros = [];
          this.#steps(transaction.kv, micros);
          this.#diary.write({ of, run: name, micros, began, mode });
          if (gives) throw undo;
          this.#diary.at("committing", place);
        },
        { durability: mode },
      );
    } catch (error) {
      outcome = error === undo ? { status: "aborted" } : this.#outcomeOf(error);
    }
    this.#end(of, outcome);
  }

  /** Some that are under way at once. */
  async #together(): Promise<void> {
    this.#diary.at("in asynchronous transactions");
    await Promise.all(Array.from({ length: 1 + this.#below(TOGETHER_MAX) }, () => this.#asynchronous()));
  }

  async #asynchronous(): Promise<void> {
    const { name } = this.#run();
    const [of, mode, began] = [this.#count++, this.#mode(), this.#now()];
    const micros: Micro[] = [];
    let outcome: Outcome = { status: "committed" };
    try {
      await this.#db.run(name).transactionAsync(
        async (transaction) => {
          this.#steps(transaction.kv, micros);
          if (this.#below(2) === 0) {
            await Promise.resolve();
            this.#steps(transaction.kv, micros);
          }
          this.#diary.write({ of, run: name, micros, began, mode });
        },
        { durability: mode },
      );
    } catch (error) {
      outcome = this.#outcomeOf(error);
    }
    this.#end(of, outcome);
  }
}

/** Plays a part on a database, and closes that; the code of what closing was refused with. */
export function playPart(db: Database, part: Part): Promise<string | undefined> {
  return new Player(db, part).play();
}
