/**
 * Memory that cannot grow, at every place where it might have to: a call that is refused with `STORE_FULL` has changed
 * nothing (contents, counts, versions, what is held), the heap verifies, and the same call goes through once there is room.
 *
 * Two ways: the k-th growth is refused, for every k; and the heap is filled up to some kilobytes, so that the refusal comes
 * at any allocation of a call and not only where the memory would have grown by a step. The debug core can be told to
 * refuse.
 */
import { isDeepStrictEqual } from "node:util";
import { afterAll, describe, expect, test } from "vitest";
import { HoldfastError } from "../../src/errors.js";
import type { CoreExports } from "../../src/host/core-loader.js";
import type { Instrument } from "../../src/host/instrument.js";
import { Database } from "../../src/index.js";
import { type Build, moduleOf, SHARED_DEBUG, SINGLE_DEBUG } from "../support/builds.js";
import { ByteStorage } from "../support/byte-storage.js";
import { SCALE, SEED, writeReport } from "../support/durability-report.js";
import { judgeLog } from "../support/plain-log.js";
import { type Bag, counters, digest, STEPS, STILL, type Step } from "./workload.js";

/** Heaps that are filled up, with more and less room left. */
const FILLED = Math.round(24 * SCALE);
const GOAL = 1_000;
const MAX_BYTES = 64 * 1024 * 1024;
const FILLER = "filler";
const DEFERRED = { durability: "in-memory" } as const;
/** The most kilobytes that are left of a heap: some steps need more. */
const ROOM_MAX = 96;
const counts = { cases: 0, acknowledged: 0, partial: 0, lost: 0, untyped: 0 };
const startMs = performance.now();

afterAll(() => {
  writeReport({
    suite: "refused-growth",
    what: "a call that was refused memory",
    cases: counts.cases,
    goal: GOAL,
    acknowledged: counts.acknowledged,
    lost: counts.lost,
    partial: counts.partial,
    reordered: 0,
    silentlyCorrupt: 0,
    untyped: counts.untyped,
    hung: 0,
    seed: SEED,
    seconds: (performance.now() - startMs) / 1000,
  });
});

/** Keeps the core's exports, to tell it when to refuse. */
class Refuser implements Instrument {
  #exports: CoreExports = {};
  /** Refuses from the start on, where opening is to be refused. */
  readonly #atOpen: number;

  constructor(atOpen = 0) {
    this.#atOpen = atOpen;
  }

  attach(exports: CoreExports): ReturnType<Instrument["attach"]> {
    this.#exports = exports;
    if (this.#atOpen > 0) this.refuse(this.#atOpen);
    return { exports, session: (session) => session };
  }

  /** Refuses the `count`th growth and all after it; 0 ends that. */
  refuse(count: number): void {
    this.#exports["refuseGrowth"]?.(count);
  }
}

/** A database whose memory can be refused. */
interface Subject {
  readonly build: Build;
  readonly storage: ByteStorage | undefined;
}

async function open({ build, storage }: Subject, refuser: Refuser): Promise<Database> {
  return Database.open({
    ...(storage === undefined ? { durability: "in-memory" as const } : { storage }),
    wasm: await moduleOf(build),
    shared: build.shared,
    maxBytes: MAX_BYTES,
    environment: STILL,
    trace: refuser,
  });
}

/** What a call came to. */
async function outcomeOf(step: Step, db: Database, bag: Bag): Promise<{ error?: unknown }> {
  try {
    await step.run(db, bag);
    return {};
  } catch (error) {
    return { error };
  }
}

/** Lets go of what a step that was refused has left in the bag. */
function undoBag(bag: Bag, before: Bag): void {
  if (bag.snapshot !== before.snapshot) bag.snapshot?.dispose();
  if (bag.whole !== before.whole) bag.whole?.dispose();
  if (bag.transaction !== before.transaction) bag.transaction?.rollback();
  Object.assign(bag, { snapshot: undefined, whole: undefined, transaction: undefined }, before);
}

/**
 * Takes every step, each with memory refused as `refuse` says; one that is refused must have changed nothing, and is taken
 * again with room. Returns how many were.
 */
async function takeSteps(db: Database, refuser: Refuser, where: string, refuse: () => void): Promise<number> {
  const bag: Bag = {};
  let refused = 0;
  // Many steps only read: where one has changed no counter, what was shown before it is shown before the next.
  let shown: string | undefined;
  for (const step of STEPS) {
    const before: string = shown ?? digest(db);
    const bagBefore = { ...bag };
    if (!step.several) refuse();
    const countedBefore = counters(db);
    const { error } = await outcomeOf(step, db, bag);
    counts.acknowledged++;
    shown = error === undefined && isDeepStrictEqual(counters(db), countedBefore) ? before : undefined;
    if (error === undefined) {
      refuser.refuse(0);
      continue;
    }
    refused++;
    counts.cases++;
    if (!HoldfastError.is(error, "STORE_FULL")) {
      counts.untyped++;
      throw new Error(`${where}, ${step.name}: ${error instanceof Error ? error.stack : error}`);
    }
    undoBag(bag, bagBefore);
    counts.partial++;
    expect(counters(db), `${where}, ${step.name}: something has changed`).toEqual(countedBefore);
    refuser.refuse(0);
    expect(digest(db), `${where}, ${step.name}: something has changed`).toBe(before);
    expect(db.verify(), `${where}, ${step.name}`).toEqual({ valid: true });
    counts.partial--;
    expect((await outcomeOf(step, db, bag)).error, `${where}, ${step.name}, with room`).toBeUndefined();
  }
  return refused;
}

/** Closes, reads the log without the core, and opens it again. */
async function readAgain(db: Database, subject: Subject, where: string): Promise<void> {
  const last = JSON.parse(digest(db)) as unknown;
  await db.close();
  if (subject.storage === undefined) return;
  expect(judgeLog(subject.storage, subject.storage.epoch + 1).kind, where).toBe("good");
  await using again = await open(subject, new Refuser());
  counts.lost++;
  expect(JSON.parse(digest(again)), where).toEqual(last);
  counts.lost--;
}

/** Values that take the room in a heap: of all sizes, so that next to nothing is left; and some deleted again. */
class Filler {
  readonly #db: Database;
  readonly #keys: [key: string, kilobytes: number][] = [];
  #next = 0;

  constructor(db: Database) {
    this.#db = db;
  }

  /** Takes all room while memory is refused, and leaves about `room` kilobytes of it, not all in one piece. */
  fill(room: number): void {
    const { kv } = this.#db.run(FILLER);
    for (let kilobytes = 128; kilobytes >= 1; kilobytes /= 2) {
      // The rest of an extent goes to its header.
      const value = new Uint8Array(kilobytes * 1024 - 100);
      for (;;) {
        const key = `${this.#next++}`;
        try {
          kv.put(key, value, DEFERRED);
        } catch (error) {
          if (!HoldfastError.is(error, "STORE_FULL")) throw error;
          break;
        }
        this.#keys.push([key, kilobytes]);
      }
    }
    for (let left = room; left > 0; ) {
      const [key, kilobytes] = this.#keys.pop() ?? ["", Number.POSITIVE_INFINITY];
      left -= kilobytes;
      if (left >= 0) kv.delete(key, DEFERRED);
    }
  }
}

const SUBJECTS = [SINGLE_DEBUG, SHARED_DEBUG].flatMap((build) => [
  { name: `${build.name}, in memory`, make: (): Subject => ({ build, storage: undefined }) },
  { name: `${build.name}, strict`, make: (): Subject => ({ build, storage: new ByteStorage(new Map(), 0) }) },
]);

describe.each(SUBJECTS)("$name", ({ name, make }) => {
  test("every growth refused once", async () => {
    for (let k = 1, refused = 1; refused > 0; k++) {
      const subject = make();
      const refuser = new Refuser();
      const db = await open(subject, refuser);
      let left = k;
      let bytes = db.stats().memoryBytes;
      // Growths are counted over the whole workload: those of a step are seen in the memory afterwards.
      refused = await takeSteps(db, refuser, `growth ${k}`, () => {
        const now = db.stats().memoryBytes;
        if (now > bytes) left--;
        bytes = now;
        if (left === 1) refuser.refuse(1);
      });
      await readAgain(db, subject, `growth ${k}`);
    }
  });

  test(`heaps that are almost full, seed ${SEED}`, async () => {
    let refused = 0;
    for (let i = 0; i < FILLED; i++) {
      const subject = make();
      const refuser = new Refuser();
      const db = await open(subject, refuser);
      const filler = new Filler(db);
      const where = `HOLDFAST_SEED=${SEED} ${name}, heap ${i}`;
      let taken = SEED + i;
      refused += await takeSteps(db, refuser, where, () => {
        refuser.refuse(1);
        taken += 37;
        filler.fill(taken % ROOM_MAX);
      });
      await readAgain(db, subject, where);
    }
    expect(refused).toBeGreaterThan(FILLED);
  });
});

describe.each([SINGLE_DEBUG, SHARED_DEBUG])("opening a log, $name", (build) => {
  test("every growth refused once", async () => {
    const subject: Subject = { build, storage: new ByteStorage(new Map(), 0) };
    const db = await open(subject, new Refuser());
    for (let i = 0; i < 30; i++) db.run(`run ${i % 7}`).kv.put(`k${i}`, new Uint8Array(40_000 + i * 777));
    db.run("a").transaction((tx) => {
      for (let i = 0; i < 3000; i++) tx.kv.put(`key ${i}`, i);
    });
    const last = JSON.parse(digest(db)) as unknown;
    await db.close();
    const written = new Map(subject.storage?.segments);
    for (let k = 1; ; k++) {
      const storage = new ByteStorage(written, k);
      const error = await open({ build, storage }, new Refuser(k))
        .then((opened) => opened.close())
        .catch((e) => e);
      if (error === undefined) break;
      counts.cases++;
      expect(HoldfastError.is(error, "STORE_FULL"), `growth ${k}: ${error}`).toBe(true);
      for (const [number, bytes] of written) {
        expect(storage.segments.get(number) === bytes, `growth ${k}: the log was changed`).toBe(true);
      }
      await using again = await open({ build, storage }, new Refuser());
      expect(JSON.parse(digest(again))).toEqual(last);
      expect(again.verify()).toEqual({ valid: true });
    }
  });
});
