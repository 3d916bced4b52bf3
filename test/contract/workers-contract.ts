/**
 * Many workers over one memory: what holds for a database holds for all who are attached to it together.
 *
 * Every case opens a database in memory, hires workers, lets them attach, and gives them jobs (`workers-jobs.ts`). Jobs that go
 * on until they are told to stop are run beside one another for a while, and say what they have seen that must not be.
 */
import { Database, type DatabaseHandle } from "../../src/index.js";
import { deepEqual, equal, ok, rejectsCode, throwsCode } from "./assert.js";
import type { Case, Context } from "./context.js";
import { Hand, JobError } from "./hand.js";
import { pause } from "./samples.js";
import { openAccounts, patternOf, stopJobs } from "./workers-jobs.js";

/** How long jobs run beside one another. */
const TOGETHER_MS = 300;
/** Longer than clearing up behind a dead worker takes, once it is known to be dead. */
const BURIED_MS_MAX = 5000;
const PATTERN_SIZES = [0, 1, 7, 100, 4096, 32_768, 40_000, 300_000, 1_048_576];

interface Crew {
  readonly db: Database;
  readonly hands: readonly Hand[];
  readonly context: Context;
}

/** A case with a database and so many workers that are attached to it, which it is done with when it is over. */
function withHands(name: string, hands: number, run: (crew: Crew) => Promise<void>): Case {
  return {
    name,
    needs: ({ persistent }) => !persistent,
    async run(context) {
      const db = await context.open({ shared: true });
      const hired = Array.from({ length: hands }, () => hire(context));
      try {
        await Promise.all(hired.map((hand) => hand.attach(db.share(hand.object))));
        await run({ db, hands: hired, context });
      } finally {
        await Promise.all(hired.map((hand) => hand.terminate()));
      }
    },
  };
}

function hire(context: Context): Hand {
  const port = context.startWorker?.();
  ok(port !== undefined, "a runtime that can start workers");
  return new Hand(port);
}

function handAt(hands: readonly Hand[], index: number): Hand {
  const hand = hands[index];
  ok(hand !== undefined, `${index + 1} workers`);
  return hand;
}

/** Lets jobs run beside one another for a while; what they came to. */
async function together<T extends readonly Promise<unknown>[]>(
  db: Database,
  work: readonly [...T],
): Promise<{ -readonly [I in keyof T]: Awaited<T[I]> }> {
  const all = Promise.all(work);
  // Whoever fails at once is told of now, and not after the rest.
  await Promise.race([pause(TOGETHER_MS), all]);
  stopJobs(db);
  return all;
}

/** Fails unless the heap is sound and nobody holds anything. */
function sound(db: Database): void {
  deepEqual(db.verify(), { valid: true }, "verify");
  equal(db.stats().snapshotsHeld, 0, "snapshots held");
  equal(db.stats().transactionsOpen, 0, "transactions open");
}

async function until(what: string, is: () => boolean): Promise<void> {
  const deadline = performance.now() + BURIED_MS_MAX;
  while (!is()) {
    ok(performance.now() < deadline, `${what} within ${BURIED_MS_MAX} ms`);
    await pause(20);
  }
}

/** Fails unless a run can be written to, or is refused by name and can be deleted. @returns whether it was refused */
function aliveOrPoisoned(db: Database, id: string): boolean {
  try {
    db.run(id).kv.put("after", 1);
    return false;
  } catch {
    const error = throwsCode("CORRUPTION", () => db.run(id).kv.put("after", 1));
    equal(error.details["run"], id, "the run that the error names");
    throwsCode("CORRUPTION", () => db.run(id).kv.get("small-1"));
    throwsCode("CORRUPTION", () => db.run(id).kv.list());
    equal(db.deleteRun(id), true, "whether the run was there to delete");
    equal(db.run(id).kv.get("after"), undefined);
    db.run(id).kv.put("after", 1);
    return true;
  }
}

async function rejectsJob(code: string, job: Promise<unknown>): Promise<JobError> {
  const error = await job.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  ok(error instanceof JobError && error.code === code, `${code} from the worker, got ${error}`);
  return error;
}

const WRITTEN_RUNS = ["victim", ...Array.from({ length: 5 }, (_, i) => `victim-${i}`)];

export function workersContract(): Case[] {
  return [
    withHands("what one worker writes the others read, each by an id of its own", 2, async ({ db, hands }) => {
      const [a, b] = [handAt(hands, 0), handAt(hands, 1)];
      const ids = [db.workerId, await a.call("workerId"), await b.call("workerId")];
      equal(new Set(ids).size, 3, `different ids among ${ids}`);
      equal(db.workerId, 0);
      const version = await a.call("put", "run", "key", "from a");
      equal(await b.call("get", "run", "key"), "from a");
      equal(db.run("run").kv.get("key"), "from a");
      ok((await b.call("put", "run", "key", "from b")) > version, "versions that grow over all workers");
      equal(db.run("run").kv.get("key"), "from b");
      db.run("run").kv.put("key", "from the owner");
      equal(await a.call("get", "run", "key"), "from the owner");
      sound(db);
    }),

    withHands("a counter in transactions of four workers sums up", 4, async ({ db, hands }) => {
      await Promise.all(hands.map((hand) => hand.call("increment", "counter", 500)));
      equal(db.run("counter").kv.get("n"), 2000);
      sound(db);
    }),

    withHands("so it does in asynchronous transactions", 3, async ({ db, hands }) => {
      await Promise.all(hands.map((hand) => hand.call("incrementAsync", "counter", 100)));
      equal(db.run("counter").kv.get("n"), 300);
      sound(db);
    }),

    withHands("every primitive of one run is used by two workers at once", 2, async ({ db, hands }) => {
      await Promise.all(hands.map((hand, i) => hand.call("everyPrimitive", "shared", `w${i}`, 60)));
      const run = db.run("shared");
      deepEqual(run.events.verify(), { valid: true, length: 120 });
      equal(run.state.read("steps")?.value, 120);
      equal(run.traces.byTag("w0").length, 60);
      equal(run.traces.byTag("w1").length, 60);
      equal(run.traces.count(), 160);
      equal(run.kv.count(), 60);
      sound(db);
    }),

    withHands("a snapshot that one worker holds is not changed by what others write", 2, async ({ db, hands }) => {
      const [holder, writer] = [handAt(hands, 0), handAt(hands, 1)];
      const { kv } = db.run("run");
      for (let i = 0; i < 50; i++) kv.put(`key-${i}`, "before");
      const version = await holder.call("hold", "run");
      equal(db.stats().oldestSnapshotVersion, version);
      for (let round = 0; round < 20; round++) {
        for (const i of [1, 2, 3]) await writer.call("put", "run", `key-${i}`, `round ${round}`);
        equal(await holder.call("readHeld", "key-1"), "before");
      }
      deepEqual(
        await holder.call("listHeld"),
        Array.from({ length: 50 }, (_, i) => [`key-${i}`, "before"] as const).sort(([a], [b]) => (a < b ? -1 : 1)),
      );
      await holder.call("drop");
      equal(kv.get("key-1"), "round 19");
      sound(db);
    }),

    withHands("values of up to 1 MiB are read whole while two workers overwrite them", 4, async ({ db, hands }) => {
      db.run("run").kv.put("value", patternOf(9, 7));
      const results = await together(db, [
        handAt(hands, 0).call("writePatterns", "run", "value", PATTERN_SIZES, 1),
        handAt(hands, 1).call("writePatterns", "run", "value", PATTERN_SIZES, 3),
        handAt(hands, 2).call("readPatterns", "run", "value", PATTERN_SIZES),
        handAt(hands, 3).call("readPatterns", "run", "value", PATTERN_SIZES),
      ]);
      for (const { reads, torn } of [results[2], results[3]]) {
        deepEqual(torn, [], "what was torn");
        ok(reads > 0, "reads");
      }
      ok(results[0] + results[1] > 0, "writes");
      sound(db);
    }),

    withHands("lists, counts and sums are of one instant", 4, async ({ db, hands }) => {
      openAccounts(db, "bank", 20);
      const results = await together(db, [
        handAt(hands, 0).call("transfer", "bank", 20),
        handAt(hands, 1).call("transfer", "bank", 20),
        handAt(hands, 2).call("audit", "bank", 20),
        handAt(hands, 3).call("audit", "bank", 20),
      ]);
      for (const { audits, wrong } of [results[2], results[3]]) {
        deepEqual(wrong, [], "what did not sum up");
        ok(audits > 0, "audits");
      }
      sound(db);
    }),

    withHands("keys that come and go together are listed together", 3, async ({ db, hands }) => {
      const results = await together(db, [
        handAt(hands, 0).call("flicker", "run", 40),
        handAt(hands, 1).call("watchFlicker", "run", 40),
        handAt(hands, 2).call("watchFlicker", "run", 40),
      ]);
      for (const { wrong } of [results[1], results[2]]) deepEqual(wrong, [], "what was seen of one commit");
      sound(db);
    }),

    withHands("runs are made and deleted under their readers", 4, async ({ db, hands }) => {
      const results = await together(db, [
        handAt(hands, 0).call("churn", 8, 0),
        handAt(hands, 1).call("churn", 8, 3),
        handAt(hands, 2).call("watchChurn", 8),
        handAt(hands, 3).call("watchChurn", 8),
      ]);
      for (const { wrong } of [results[2], results[3]]) deepEqual(wrong, [], "what was not whole");
      sound(db);
    }),

    withHands("what one worker grows the memory for others read at once", 3, async ({ db, hands }) => {
      const [writer, chaser] = [handAt(hands, 0), handAt(hands, 1)];
      const before = db.stats().memoryBytes;
      const [after, wrong] = await Promise.all([
        writer.call("fill", "run", 200, 60_000),
        chaser.call("chase", "run", 200, 60_000),
      ]);
      deepEqual(wrong, [], "what was not whole");
      ok(after > before + 8_000_000, `memory to grow from ${before}, got ${after}`);
      deepEqual(await handAt(hands, 2).call("readFilled", "run", 200, 60_000), { found: 200, wrong: [] });
      equal(db.run("run").kv.count(), 200);
      deepEqual(db.run("run").kv.get("filled-7"), patternOf(7, 60_000));
      sound(db);
    }),

    withHands(
      "a worker that closes gives back what it holds, and its place to the next",
      1,
      async ({ db, hands, context }) => {
        const hand = handAt(hands, 0);
        await hand.call("put", "run", "key", "kept");
        await hand.call("hold", "run");
        equal(db.stats().snapshotsHeld, 1);
        const id = await hand.call("workerId");
        await hand.call("close");
        equal(db.stats().snapshotsHeld, 0);
        equal(await hand.call("codeOfPut", "run"), "CLOSED");
        const next = hire(context);
        try {
          equal(await next.attach(db.share()), id, "the place");
          equal(await next.call("get", "run", "key"), "kept");
        } finally {
          await next.terminate();
        }
      },
    ),

    withHands("a worker that ends without closing is cleared up behind", 1, async ({ db, hands, context }) => {
      const hand = handAt(hands, 0);
      await hand.call("put", "run", "key", "kept");
      await hand.call("hold", "run");
      equal(db.stats().snapshotsHeld, 1);
      hand.leave();
      await until("its snapshot to be let go of", () => db.stats().snapshotsHeld === 0);
      equal(db.run("run").kv.get("key"), "kept");
      sound(db);
      const next = hire(context);
      try {
        await next.attach(db.share(next.object));
        equal(await next.call("get", "run", "key"), "kept");
      } finally {
        await next.terminate();
      }
    }),

    withHands("workers that are killed while they write harm nobody else", 1, async ({ db, hands, context }) => {
      const bystander = handAt(hands, 0);
      for (let round = 0; round < 3; round++) {
        const victim = hire(context);
        await victim.attach(db.share(victim.object));
        await victim.call("hold", "victim");
        victim.call("writeForEver", "victim", 200_000).catch(() => {});
        await bystander.call("increment", "counter", 50);
        await pause(30 + 17 * round);
        await victim.terminate();
        await until("its snapshot to be let go of", () => db.stats().snapshotsHeld === 0);
        await bystander.call("increment", "counter", 50);
        for (const id of WRITTEN_RUNS) aliveOrPoisoned(db, id);
        equal(db.run("counter").kv.get("n"), 100 * (round + 1));
        sound(db);
      }
    }),

    withHands("a handle for one worker is good once", 1, async ({ db, hands, context }) => {
      const handle = db.share(handAt(hands, 0).object);
      const [first, second] = [hire(context), hire(context)];
      try {
        await first.attach(handle);
        await rejectsJob("BUSY", second.attach(handle));
        await second.attach(db.share());
      } finally {
        await Promise.all([first.terminate(), second.terminate()]);
      }
    }),

    withHands(
      "once the owner has closed, nobody can write and everybody can read and close",
      2,
      async ({ db, hands, context }) => {
        const [a, b] = [handAt(hands, 0), handAt(hands, 1)];
        db.run("run").kv.put("key", "kept");
        await a.call("put", "run", "other", "kept");
        const handle = db.share();
        await db.close();
        for (const hand of [a, b]) {
          equal(await hand.call("codeOfPut", "run"), "CLOSED");
          equal(await hand.call("codeOfPut", "new"), "CLOSED");
          await rejectsJob("CLOSED", hand.call("increment", "run", 1));
          equal(await hand.call("get", "run", "key"), "kept");
        }
        await a.call("close");
        equal(await a.call("codeOfGet", "run"), "CLOSED");
        const late = hire(context);
        try {
          await rejectsJob("CLOSED", late.attach(handle));
        } finally {
          await late.terminate();
        }
      },
    ),

    {
      name: "a database in the worker that opened it is attached to as well, and each closes by itself",
      needs: ({ persistent }) => !persistent,
      async run(context) {
        const owner = await context.open({ shared: true });
        const attached = await Database.attach(owner.share());
        attached.run("run").kv.put("key", 1);
        const snapshot = attached.snapshot();
        equal(owner.stats().snapshotsHeld, 1);
        owner.run("run").kv.put("key", 2);
        equal(snapshot.run("run").kv.get("key"), 1);
        await attached.close();
        equal(attached.isOpen, false);
        equal(owner.isOpen, true);
        equal(owner.stats().snapshotsHeld, 0);
        equal(owner.run("run").kv.get("key"), 2);
      },
    },

    {
      name: "what is no handle, or not of this release, is refused",
      needs: ({ persistent }) => !persistent,
      async run(context) {
        const owner = await context.open({ shared: true });
        const handle = owner.share();
        const wrong: readonly unknown[] = [
          undefined,
          null,
          7,
          "handle",
          {},
          { ...handle, holdfast: handle.holdfast + 1 },
          { ...handle, memory: undefined },
          { ...handle, memory: new WebAssembly.Memory({ initial: 1 }) },
          { ...handle, module: {} },
          { ...handle, place: { worker: -1, word: 0 } },
        ];
        for (const it of wrong) await rejectsCode("INVALID_ARGUMENT", () => Database.attach(it as DatabaseHandle));
        await rejectsCode("TIMEOUT", () => Database.attach(handle, { signal: AbortSignal.abort() }));
        throwsCode("INVALID_ARGUMENT", () => owner.share(5 as unknown as object));
        throwsCode("INVALID_ARGUMENT", () => owner.share({}));
        throwsCode("INVALID_ARGUMENT", () => owner.detach(owner.workerId));
        throwsCode("INVALID_ARGUMENT", () => owner.detach(-1));
        equal(owner.detach(40), false);
        await rejectsCode("UNSUPPORTED", () => owner.recoverRun("run"));
        const unshared = await Database.open({ storage: context.storage(), shared: false });
        throwsCode("INVALID_ARGUMENT", () => unshared.share());
        equal(unshared.workerId, 0);
        await unshared.close();
        await owner.close();
        throwsCode("CLOSED", () => owner.share());
        await rejectsCode("CLOSED", () => Database.attach(handle));
      },
    },

    {
      name: "there are 64 places, and more is BUSY",
      needs: ({ persistent }) => !persistent,
      async run(context) {
        const owner = await context.open({ shared: true });
        const handle = owner.share();
        const all: Database[] = [];
        for (let i = 1; i < 64; i++) all.push(await Database.attach(handle));
        await rejectsCode("BUSY", () => Database.attach(handle));
        throwsCode("BUSY", () => owner.share({ postMessage: () => {} }));
        for (const [i, db] of all.entries()) db.run("run").kv.put(`key-${i}`, i);
        equal(owner.run("run").kv.count(), 63);
        await all.pop()?.close();
        all.push(await Database.attach(handle));
        for (const db of all) await db.close();
        sound(owner);
      },
    },
  ];
}
