/**
 * The one who writes the log for all who share a memory, beside a storage that is in this very thread.
 */
import { afterEach, expect, test, vi } from "vitest";
import type { ApartSession, Storage } from "../../src/adapters/storage.js";
import { WORKER_INCARNATION_SHIFT } from "../../src/host/abi.js";
import { accompany } from "../../src/host/drainer.js";
import { LogPost } from "../../src/host/log-post.js";
import { Database, type DatabaseHandle } from "../../src/index.js";
import { SimulatedDisk } from "../support/simulated-storage.js";

/** Which lock is the log's, as the core counts them, and where in a lock's word stands who holds it. */
const LOG_LOCK = 4;
const LOCK_INCARNATION_SHIFT = 10;
/** Far longer than a round takes that is not refused. */
const ANSWER_MS_MAX = 10_000;

afterEach(() => vi.restoreAllMocks());

/** A storage that works as in a worker of its own: asynchronously, if nothing else is said. */
function apartStorage(disk = new SimulatedDisk({ seed: 1 }), syncAppend = false): Storage {
  const storage = disk.storage({ syncAppend });
  const openApart: Storage["openApart"] = async (options) => {
    const session = await storage.open(options);
    const companion = accompany(session, storage.capabilities);
    const apart: Pick<ApartSession, "ask" | "close"> = {
      ask: (what, given) => companion.ask(what, given),
      close: async () => {
        await companion.close();
        await session.close();
      },
    };
    return new Proxy(session, {
      get(_, name) {
        if (name === "ask" || name === "close") return apart[name];
        const value: unknown = Reflect.get(session, name);
        return typeof value === "function" ? value.bind(session) : value;
      },
    }) as ApartSession;
  };
  return { capabilities: storage.capabilities, open: (options) => storage.open(options), openApart };
}

/** The word of the log's lock, and what stands in it while that worker has it. */
async function logLock({ memory, module }: DatabaseHandle, workerId: number) {
  const { exports } = await WebAssembly.instantiate(module, { env: { memory } });
  const { lockAddress, workerSlot } = exports as unknown as Record<string, (index: number) => number>;
  const word = ((lockAddress?.(LOG_LOCK) ?? 0) >>> 0) / Int32Array.BYTES_PER_ELEMENT;
  const incarnation = (workerSlot?.(workerId) ?? 0) >>> WORKER_INCARNATION_SHIFT;
  const token = (workerId + 1) | (incarnation << LOCK_INCARNATION_SHIFT);
  return { words: new Int32Array(memory.buffer), word, token };
}

test("a round that found the log's lock held for too long is made again, though nobody calls any more", async () => {
  // It was left at that until somebody called anew: who had called waited for ever.
  const db = await Database.open({ storage: apartStorage(), shared: true, durability: "strict" });
  const other = await Database.attach(db.share());
  const { words, word, token } = await logLock(db.share(), other.workerId);
  let refused = 0;
  vi.spyOn(LogPost.prototype, "call").mockImplementationOnce(function (this: LogPost, durably) {
    expect(Atomics.compareExchange(words, word, 0, token)).toBe(0);
    // In this one thread, that somebody has waited for it is only seen when that is over.
    const letGo = setInterval(() => {
      if (Atomics.load(words, word) === token) return;
      clearInterval(letGo);
      refused++;
      Atomics.store(words, word, 0);
    }, 1);
    return this.call(durably);
  });
  const committed = db.run("run").transactionAsync((tx) => tx.kv.put("key", 1));
  const late = new Promise((resolve) => setTimeout(resolve, ANSWER_MS_MAX, "not answered"));
  expect(await Promise.race([committed.then(() => "answered"), late])).toBe("answered");
  expect([refused, db.run("run").kv.get("key")]).toEqual([1, 1]);
  await other.close();
  await db.close();
});

test.each([[false], [true]])(
  "flushes, strict commits and checkpoints are answered while one more put comes in every append (synchronous: %s)",
  async (syncAppend) => {
    // A round ended once nothing was queued any more, which it always was.
    let left = 0;
    let attached: Database | undefined;
    const putOne = (): void => {
      // It waits for nobody: the one who writes is in this very thread.
      if (left > 0) attached?.run("load").kv.put("key", left--, { durability: "in-memory" });
    };
    const disk = new SimulatedDisk({
      schedule: (resume) => {
        putOne();
        setTimeout(resume, 0);
      },
    });
    const append = disk.append.bind(disk);
    disk.append = (...given) => {
      if (syncAppend) putOne();
      append(...given);
    };
    const db = await Database.open({ storage: apartStorage(disk, syncAppend), shared: true, durability: "in-memory" });
    attached = await Database.attach(db.share());
    const strict = (key: string) => db.run("run").transactionAsync((tx) => tx.kv.put(key, 1), { durability: "strict" });
    left = 1000;
    attached.run("load").kv.put("key", left);
    await Promise.all([strict("first"), db.flush()]);
    expect(left).toBeGreaterThan(0);
    await strict("second");
    expect(left).toBeGreaterThan(0);
    await db.checkpoint();
    expect(left).toBeGreaterThan(0);
    left = 0;
    await attached.close();
    await db.close();
    const again = await Database.open({ storage: disk.storage() });
    expect(again.run("run").kv.keys()).toEqual(["first", "second"]);
    await again.close();
  },
);
