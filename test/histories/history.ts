/**
 * One history: two to eight workers over one memory, and on files one log, each with its part of a thousand transactions; some
 * of them terminated in the middle. When all are done everything is judged that they have told, the heap is verified, nobody
 * may hold anything any more, and what was deleted must have given its memory back. A database that is kept is looked at from
 * outside while they work, and opened again when it is over.
 *
 * What becomes of a commit that was in flight when its worker was terminated: if it was acknowledged it has to be there. If
 * not it may have happened, or not, or half of it in memory; then its run is refused as poisoned, and what is in the log of it
 * is whole. A worker that dies inside the log's own lock ends the log: then what was published without being written is lost
 * with the memory, as `in-memory` says, and what was acknowledged as written is not.
 *
 * A history in which nothing moves for STALL_MS has hung: it fails with what each worker is at and who holds which lock.
 */
import { type Database, HoldfastError } from "../../src/index.js";
import type { Hand } from "../contract/hand.js";
import { pause } from "../contract/samples.js";
import type { Micro } from "../support/list-append.js";
import { randomFrom } from "../support/seeded-random.js";
import { type Mode, Reader } from "./diary.js";
import type { Crew, Ground } from "./ground.js";
import { type Finding, faultsOf, lossesOf } from "./judge.js";
import { Locks } from "./locks.js";
import type { Part } from "./part.js";

/** How a history is to be; the rest is made from its seed. */
export interface Shape {
  readonly seed: number;
  readonly transactions: number;
  readonly workersMax: number;
  /** How many workers are terminated inside, at most. */
  readonly killsMax: number;
}

/** What histories have come to. */
export interface Tally {
  histories: number;
  committed: number;
  aborted: number;
  indeterminate: number;
  killed: number;
  /** Runs that a terminated worker has left unfinished, and logs. */
  poisoned: number;
  logsLost: number;
  /** Looks from outside, and databases that were opened again. */
  looks: number;
  reopened: number;
  /** The most bytes by which what was in use afterwards differed from what was before. */
  leftMax: number;
}

export function emptyTally(): Tally {
  const zero = { histories: 0, committed: 0, aborted: 0, indeterminate: 0, killed: 0 };
  return { ...zero, poisoned: 0, logsLost: 0, looks: 0, reopened: 0, leftMax: 0 };
}

/** Adds what another one has counted. */
export function addTally(sum: Tally, more: Tally): void {
  for (const key of Object.keys(sum) as (keyof Tally)[]) {
    sum[key] = key === "leftMax" ? Math.max(sum[key], more[key]) : sum[key] + more[key];
  }
}

const RUNS = ["a", "b"] as const;
const KEYS = 8;
const WORKERS_MIN = 2;
/** Commits that wait for the log at once, at most, and the value of each: together more than one chunk of the queue. */
const WAITING = 1000;
const FILLER = "x".repeat(100);
/** Some times what the longest have come to: whoever is to be killed writes on until then. */
const DIARY_BYTES = 4 * 1024 * 1024;
const STALL_MS = 10_000;
const LOOK_MS = 20;
/** For clearing up, judging, closing and opening again. */
const END_MS_MAX = 45_000;
/** How often a worker may wait in vain where others are terminated: each time for as long as a lock is waited for. */
const BUSY_MAX = 8;
/** Faults of one history that are told. */
const TOLD_MAX = 3;
/** Longer than clearing up behind a worker takes once it is known to be dead, and longer than that takes to be known. */
const BURIED_MS_MAX = 8_000;
/** Attempts of who must not sleep: a page's main thread spins for some 60 ms only. */
const ATTEMPTS_MAX = 300;
/**
 * Bytes that may be in use when all is deleted beyond what was before. The directory and the headers of runs are never given
 * back, only used again, and a context for transactions stays with each place that ever had one: as many as there were
 * workers, and not more with each history. Where a worker was terminated, the directory may have been made anew, and what it
 * stood in before is left where it is.
 */
const LEFT_BYTES_MAX = 16 * 1024;
const LEFT_BYTES_EACH_KILL = 32 * 1024;
/**
 * A header of a run, with what its arena grows by at once. Where somebody was terminated in the middle of a commit, and is not yet
 * cleared up behind, those that are deleted have to stay, so that one is made for each run that is made.
 */
const LEFT_BYTES_EACH_HEADER = 1024;

/** How long what has failed may take to be cleared away. */
const GIVEN_UP_MS_MAX = 2_000;

/** What is wrong with a history, by the columns of the table about durability. */
export type FaultKind = "lost" | "reordered" | "silentlyCorrupt" | "untyped" | "hung";

export class Fault extends Error {
  readonly kind: FaultKind;

  constructor(kind: FaultKind, message: string) {
    super(message);
    this.kind = kind;
  }
}

interface Player {
  readonly hand: Hand;
  readonly diary: SharedArrayBuffer;
  readonly reader: Reader;
  readonly isVictim: boolean;
  id: number;
  done: Promise<void>;
  isDone: boolean;
}

/** Does something as often as it takes for others to be out of the way. */
async function patiently<T>(act: () => T): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return act();
    } catch (error) {
      if (attempt === ATTEMPTS_MAX || !HoldfastError.is(error, "BUSY")) throw error;
      await pause(2);
    }
  }
}

class History {
  readonly #ground: Ground;
  readonly #crew: Crew;
  readonly #shape: Shape;
  readonly #random: () => number;
  readonly #clock = new SharedArrayBuffer(4);
  readonly #tally = { ...emptyTally(), histories: 1 };
  readonly #findings: Finding[] = [];
  #players: readonly Player[] = [];
  /** What became of those that were terminated, for whoever looks for what all others have waited for. */
  readonly #kills: { worker: number; goneAfterMs: number; detachedAfterMs: number; attempts: number }[] = [];
  #db!: Database;
  #locks!: Locks;
  #usedBefore = 0;
  #headersBefore = 0;
  #hasLostLog = false;

  constructor(ground: Ground, crew: Crew, shape: Shape) {
    this.#ground = ground;
    this.#crew = crew;
    this.#shape = shape;
    this.#random = randomFrom(shape.seed);
  }

  async follow(): Promise<Tally> {
    try {
      await this.#begin();
      await this.#unlessStalled(this.#play());
      await this.#unlessLate(this.#end());
    } catch (error) {
      await Promise.race([this.#giveUp(), pause(GIVEN_UP_MS_MAX)]);
      const { seed, killsMax } = this.#shape;
      const kind = error instanceof Fault ? error.kind : "untyped";
      const why =
        error instanceof Fault ? error.message : `${(error as Error)?.name}: ${(error as Error)?.stack ?? error}`;
      throw new Fault(
        kind,
        `history ${seed} ${this.#ground.name}, ${killsMax === 0 ? "without" : "with"} kills: ${why}`,
      );
    }
    return this.#tally;
  }

  /** Leaves nothing running behind a history that has failed, as far as that can be. */
  async #giveUp(): Promise<void> {
    await Promise.all(this.#players.map(({ hand }) => hand.terminate()));
    await this.#db?.close().catch(() => {});
    await this.#ground.remove().catch(() => {});
  }

  #below(bound: number): number {
    return Math.floor(this.#random() * bound);
  }

  #now(): number {
    return Atomics.add(new Int32Array(this.#clock), 0, 1);
  }

  async #begin(): Promise<void> {
    this.#db = await this.#ground.open();
    // What is made once and for all is there before it is looked at.
    for (const run of RUNS) this.#db.run(run).kv.put("first", 1);
    if (this.#ground.kept !== undefined) this.#widenQueue();
    for (const run of RUNS) this.#db.deleteRun(run);
    await this.#db.flush();
    this.#usedBefore = this.#used();
    this.#locks = await Locks.of(this.#db.share());
    this.#headersBefore = this.#locks.runHeaders();
    const { workersMax, killsMax } = this.#shape;
    const count = WORKERS_MIN + this.#below(workersMax - WORKERS_MIN + 1);
    const kills = Math.min(count - 1, killsMax === 0 ? 0 : 1 + this.#below(killsMax));
    this.#players = Array.from({ length: count }, (_, index) => {
      const diary = new SharedArrayBuffer(DIARY_BYTES);
      const isVictim = index < kills;
      const hand = this.#crew.take();
      return { hand, diary, reader: new Reader(diary), isVictim, id: -1, done: Promise.resolve(), isDone: false };
    });
  }

  /**
   * Has as much wait for the log as a slow disk makes wait: the queue keeps its ring, and a chunk for records that it has done
   * with, so that this would count as left behind.
   */
  #widenQueue(): void {
    const { kv } = this.#db.run(RUNS[0]);
    for (let i = 0; i < WAITING; i++) kv.put("first", FILLER, { durability: "in-memory" });
  }

  #used(): number {
    const { memoryBytes, memoryFreeBytes } = this.#db.stats();
    return memoryBytes - memoryFreeBytes;
  }

  async #play(): Promise<void> {
    const players = this.#players;
    // Of half of the victims the database is not told whom it gives the handle to.
    const handles = players.map(({ hand, isVictim }) =>
      isVictim && this.#crew.terminatesForSure && this.#below(2) === 0 ? this.#db.share() : this.#db.share(hand.object),
    );
    await Promise.all(
      players.map(async (player, index) => {
        player.id = await player.hand.attach(handles[index] as (typeof handles)[number]);
      }),
    );
    for (const [index, player] of players.entries()) {
      player.done = player.hand.call("playPart", this.#part(player, index)).then((refusal) => {
        player.isDone = true;
        // Without the log nobody can close well; and it is lost only where somebody was terminated in the middle of it.
        if (refusal !== undefined && this.#tally.killed === 0)
          throw new Fault("untyped", `closing was refused: ${refusal}`);
      });
      player.done.catch(() => {});
    }
    const victims = players.filter(({ isVictim }) => isVictim);
    const survivors = players.filter(({ isVictim }) => !isVictim);
    await Promise.all([
      ...victims.map((victim) => this.#kill(victim)),
      this.#lookNow(),
      ...survivors.map(({ done }) => done),
    ]);
  }

  #part({ diary, isVictim }: Player, index: number): Part {
    const { seed, transactions } = this.#shape;
    return {
      clock: this.#clock,
      diary,
      seed: seed * 64 + index,
      index,
      runs: RUNS,
      keys: KEYS,
      transactions: isVictim ? Number.POSITIVE_INFINITY : Math.ceil(transactions / this.#players.length),
      modes: this.#ground.modes,
      bulkPercent: isVictim ? 60 : 2,
      // Who dies is often in the directory, or in the allocator.
      churnPercent: isVictim ? 50 : 4,
      busyMax: this.#shape.killsMax === 0 ? 0 : BUSY_MAX,
    };
  }

  /** How far a player is to come before something is done, from the middle of what all do. */
  #somewhere(): number {
    return this.#below(Math.ceil((0.8 * this.#shape.transactions) / this.#players.length));
  }

  async #kill(victim: Player): Promise<void> {
    const least = this.#somewhere();
    const waitMs = this.#random() * 3;
    while (victim.reader.ended < least) await Promise.race([pause(1), victim.done]);
    // Not always on the same beat.
    const until = performance.now() + waitMs;
    while (performance.now() < until);
    const killedMs = performance.now();
    const noted = { worker: victim.id, goneAfterMs: -1, detachedAfterMs: -1, attempts: 0 };
    this.#kills.push(noted);
    await victim.hand.terminate();
    noted.goneAfterMs = performance.now() - killedMs;
    this.#tally.killed++;
    if (!this.#crew.terminatesForSure) return;
    await patiently(() => {
      noted.attempts++;
      return this.#db.detach(victim.id);
    });
    noted.detachedAfterMs = performance.now() - killedMs;
  }

  /** Looks at what is kept, from outside and while they are at it. */
  async #lookNow(): Promise<void> {
    const { kept } = this.#ground;
    const last = this.#players.at(-1);
    if (kept === undefined || last === undefined) return;
    const least = this.#somewhere();
    while (last.reader.ended < least && !last.isDone) await Promise.race([pause(1), last.done]);
    const began = this.#now();
    const db = await kept.look();
    try {
      this.#find("a look beside the owner", db, { began, holds: ["buffered", "strict"], isNewest: false });
      this.#tally.looks++;
    } finally {
      await db.close();
    }
  }

  /** Waits for what all do, unless nothing moves any more. */
  async #unlessStalled(work: Promise<void>): Promise<void> {
    let isOver = false;
    const over = work.finally(() => {
      isOver = true;
    });
    const watch = async (): Promise<void> => {
      let [seen, sinceMs] = [-1, performance.now()];
      while (!isOver) {
        const now = Atomics.load(new Int32Array(this.#clock), 0);
        if (now !== seen) [seen, sinceMs] = [now, performance.now()];
        if (performance.now() - sinceMs > STALL_MS)
          throw new Fault("hung", `nothing has moved for ${STALL_MS} ms\n${this.#state()}`);
        await pause(LOOK_MS);
      }
    };
    try {
      await Promise.race([over, watch()]);
      await over;
    } catch (error) {
      if (error instanceof Fault) throw error;
      throw new Fault("untyped", `${(error as Error)?.stack ?? error}\n  ${this.#state()}`);
    }
  }

  /** Waits for the end of it all, which nobody else has a part in. */
  async #unlessLate(end: Promise<void>): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      const hung = (): void => reject(new Fault("hung", `it has not ended after ${END_MS_MAX} ms\n  ${this.#state()}`));
      timer = setTimeout(hung, END_MS_MAX);
    });
    await Promise.race([end, late]).finally(() => clearTimeout(timer));
  }

  /** Who is at what, and who holds what. */
  #state(): string {
    const workers = this.#players.map(({ id, reader, isVictim, isDone }) => {
      const at = `worker ${id}${isVictim ? ", to be terminated" : ""}${isDone ? ", done" : ""}: ${reader.ended} ended,`;
      return `${at} ${reader.phase}, run ${RUNS[reader.run]}\n    ${reader.tail().replaceAll("\n", "\n    ")}`;
    });
    const kills = this.#kills.map((kill) => JSON.stringify(kill));
    return [...workers, "kills:", ...kills, "locks:", ...this.#locks.held(), "places:", ...this.#locks.places()].join(
      "\n  ",
    );
  }

  async #end(): Promise<void> {
    await this.#settle();
    await this.#judgeLive();
    const keeps = this.#ground.kept !== undefined && this.#below(3) !== 0;
    if (!keeps) await this.#deleteAll();
    await this.#close();
    if (keeps) await this.#findAgain();
    this.#judge();
    await this.#ground.remove();
    for (const { hand, isVictim } of this.#players) if (!isVictim) this.#crew.give(hand);
  }

  /** Waits until everybody who has gone is cleared up behind: nobody has a place, and nobody holds anything. */
  async #settle(): Promise<void> {
    const until = performance.now() + BURIED_MS_MAX;
    while (this.#locks.places().length + this.#locks.held().length > 0 && performance.now() < until) await pause(10);
    const left = [...this.#locks.places(), ...this.#locks.held()];
    if (left.length > 0)
      throw new Fault("hung", `all have gone, and there is still\n  ${left.join("\n  ")}\n${this.#state()}`);
  }

  async #judgeLive(): Promise<void> {
    try {
      await this.#db.flush();
    } catch (error) {
      if (this.#tally.killed === 0 || !HoldfastError.is(error)) throw error;
      this.#hasLostLog = true;
      this.#tally.logsLost++;
    }
    const began = this.#now();
    this.#find("the memory", this.#db, { began, holds: ["in-memory", "buffered", "strict"], isNewest: true });
    const report = this.#db.verify();
    if (!report.valid) throw new Fault("silentlyCorrupt", `the heap is broken: fault ${report.fault}`);
    const { snapshotsHeld, transactionsOpen } = this.#db.stats();
    if (snapshotsHeld + transactionsOpen > 0) {
      throw new Fault(
        "silentlyCorrupt",
        `${snapshotsHeld} snapshots and ${transactionsOpen} transactions are held by nobody`,
      );
    }
  }

  /** Reads every list of every run; a poisoned one is left out. */
  #find(where: string, db: Database, about: Pick<Finding, "began" | "holds" | "isNewest">): void {
    const lists = new Map<string, readonly Micro[]>();
    let version = 0;
    for (const run of RUNS) {
      try {
        const micros: Micro[] = [];
        for (let i = 0; i < KEYS; i++) {
          const found = db.run(run).kv.getVersioned(`k${i}`);
          version = Math.max(version, found?.version ?? 0);
          micros.push({ do: "read", key: `k${i}`, list: (found?.value ?? []) as number[] });
        }
        lists.set(run, micros);
      } catch (error) {
        if (this.#tally.killed === 0 || !HoldfastError.is(error, "CORRUPTION")) throw error;
        this.#tally.poisoned++;
      }
    }
    this.#findings.push({ where, lists, version: about.isNewest ? undefined : version, ...about });
  }

  /** Everything that was made is taken away again, and its memory has to come back. */
  async #deleteAll(): Promise<void> {
    const ofWorkers = this.#players.map((_, index) => `of ${index}`);
    // A log would bring back what a worker has left unfinished, so that it cannot be deleted there.
    if (this.#hasLostLog) return;
    try {
      for (const run of [...RUNS, ...ofWorkers]) await patiently(() => this.#db.deleteRun(run));
    } catch (error) {
      const isUnfinished = this.#tally.killed > 0 && HoldfastError.is(error, "CORRUPTION");
      if (this.#ground.kept === undefined || !isUnfinished) throw error;
      this.#tally.poisoned++;
      return;
    }
    await this.#db.flush();
    const { entries, runs } = this.#db.stats();
    if (entries + runs > 0)
      throw new Fault("silentlyCorrupt", `all is deleted, and there are ${entries} entries in ${runs} runs`);
    const left = this.#used() - this.#usedBefore;
    this.#tally.leftMax = Math.max(this.#tally.leftMax, left);
    const headers = this.#locks.runHeaders();
    const forHeaders = this.#tally.killed === 0 ? 0 : LEFT_BYTES_EACH_HEADER * (headers - this.#headersBefore);
    const leftMax = LEFT_BYTES_MAX + LEFT_BYTES_EACH_KILL * this.#tally.killed + forHeaders;
    if (left > leftMax)
      throw new Fault(
        "silentlyCorrupt",
        `all is deleted, and ${left} bytes more are in use than before, of ${leftMax} that may, with ${headers} headers of runs`,
      );
    const report = this.#db.verify();
    if (!report.valid)
      throw new Fault("silentlyCorrupt", `when all was deleted the heap was broken: fault ${report.fault}`);
  }

  async #close(): Promise<void> {
    try {
      await this.#db.close();
    } catch (error) {
      if (!this.#hasLostLog || !HoldfastError.is(error)) throw error;
    }
  }

  /** Opens what was kept again. */
  async #findAgain(): Promise<void> {
    const lost = this.#hasLostLog;
    const holds: Mode[] = lost ? ["buffered", "strict"] : ["in-memory", "buffered", "strict"];
    const began = this.#now();
    const db = (await this.#ground.kept?.reopen()) as Database;
    try {
      const { recovered } = db.storageInfo;
      if (!lost && recovered !== undefined)
        throw new Fault("silentlyCorrupt", `it was closed, and recovers ${JSON.stringify(recovered)}`);
      this.#find("the database, opened again,", db, { began, holds, isNewest: !lost });
      const report = db.verify();
      if (!report.valid) throw new Fault("silentlyCorrupt", `opened again, the heap is broken: fault ${report.fault}`);
      this.#tally.reopened++;
    } finally {
      await db.close();
    }
  }

  #judge(): void {
    const told = this.#players.flatMap(({ reader }) => reader.transactions());
    for (const { ending } of told) this.#tally[ending?.status ?? "indeterminate"]++;
    const lost = lossesOf(told, this.#findings, RUNS);
    if (lost.length > 0) throw new Fault("lost", `${lost.length} lost\n${lost.slice(0, TOLD_MAX).join("\n")}`);
    const faults = faultsOf(told, this.#findings, RUNS);
    if (this.#tally.killed === 0) {
      const waited = told.filter(({ ending }) => ending?.code !== undefined && ending.code !== "CONFLICT");
      faults.push(...waited.map((one) => `refused, and nobody was terminated: ${JSON.stringify(one)}`));
    }
    if (faults.length > 0)
      throw new Fault("reordered", `${faults.length} faults\n${faults.slice(0, TOLD_MAX).join("\n\n")}`);
  }
}

/** Lets one history happen. Throws what is wrong with it, beginning with its seed. */
export function followHistory(ground: Ground, crew: Crew, shape: Shape): Promise<Tally> {
  return new History(ground, crew, shape).follow();
}
