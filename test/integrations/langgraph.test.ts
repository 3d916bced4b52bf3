/**
 * What LangGraph's validation leaves open: graphs that go on, fork and have graphs within them, ids of any kind, and what is
 * stored how often.
 */

import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Annotation, Command, END, interrupt, MemorySaver, START, StateGraph } from "@langchain/langgraph";
import { type Checkpoint, emptyCheckpoint, uuid6 } from "@langchain/langgraph-checkpoint";
import { Database, HoldfastError, type Storage } from "holdfast";
import { nodeFs } from "holdfast/adapters/node-fs";
import { HoldfastSaver } from "holdfast/integrations/langgraph";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { collect } from "./places.js";

type StorageSession = Awaited<ReturnType<Storage["open"]>>;
type Config = Parameters<HoldfastSaver["getTuple"]>[0];

const META = { source: "loop", step: 0, parents: {} } as const;

const State = Annotation.Root({
  log: Annotation<string[]>({ reducer: (a, b) => a.concat(b), default: () => [] }),
});

/** A graph of two steps, of which the second asks and waits. */
function askingGraph() {
  return new StateGraph(State)
    .addNode("look", () => ({ log: ["looked"] }))
    .addNode("ask", () => ({ log: [`answered ${interrupt("which?")}`] }))
    .addEdge(START, "look")
    .addEdge("look", "ask")
    .addEdge("ask", END);
}

/** A checkpoint whose channels hold these values, each at its version. */
function checkpointOf(values: Record<string, [value: unknown, version: number]>): Checkpoint {
  const channels = Object.entries(values);
  return {
    ...emptyCheckpoint(),
    id: uuid6(0),
    channel_values: Object.fromEntries(channels.map(([name, [value]]) => [name, value])),
    channel_versions: Object.fromEntries(channels.map(([name, [, version]]) => [name, version])),
  };
}

let db: Database;
let saver: HoldfastSaver;

beforeEach(async () => {
  db = await Database.open({ durability: "in-memory" });
  saver = new HoldfastSaver(db);
});
afterEach(() => db.close());

describe("a graph", () => {
  it("is interrupted, goes on, and has the history that it has with LangGraph's own saver", async () => {
    const histories = [];
    for (const checkpointer of [saver, new MemorySaver()]) {
      const graph = askingGraph().compile({ checkpointer });
      const config = { configurable: { thread_id: "t" } };
      await graph.invoke({ log: ["begun"] }, config);
      const state = await graph.invoke(new Command({ resume: "this" }), config);
      expect(state.log).toEqual(["begun", "looked", "answered this"]);
      const history = await collect(graph.getStateHistory(config));
      histories.push(
        history.map(({ values, next, metadata, tasks }) => ({
          values,
          next,
          metadata,
          interrupts: tasks.map(({ interrupts }) => interrupts.map(({ value }) => value)),
        })),
      );
    }
    expect(histories[0]).toHaveLength(4);
    expect(histories[0]).toEqual(histories[1]);
  });

  it("forks: each branch keeps its own values, though both count the versions of their channels alike", async () => {
    const graph = askingGraph().compile({ checkpointer: saver });
    const config = { configurable: { thread_id: "t" } };
    await graph.invoke({ log: ["begun"] }, config);
    const asked = await graph.getState(config);
    await graph.invoke(new Command({ resume: "one" }), config);
    const ended = await graph.getState(config);
    const fork = await graph.updateState(asked.config, { log: ["looked again"] }, "look");
    await graph.invoke(null, fork);
    await graph.invoke(new Command({ resume: "two" }), config);
    const forked = await graph.getState(config);
    const versionOf = async ({ config }: { config: Config }) => (await saver.get(config))?.channel_versions["log"];
    expect(await versionOf(ended), "the version that both branches give the channel").toBe(
      await versionOf({ config: fork }),
    );
    expect((await graph.getState(ended.config)).values.log).toEqual(["begun", "looked", "answered one"]);
    expect(forked.values.log).toEqual(["begun", "looked", "looked again", "answered two"]);
  });

  // A copy follows what the copied one followed, and names no channel as new: what that one had changed was missing in it.
  it("is copied with all that it holds, and goes on from there, as with LangGraph's own saver", async () => {
    const Pair = Annotation.Root({ n: Annotation<number>(), k: Annotation<number>() });
    const outcomes = [];
    for (const checkpointer of [saver, new MemorySaver()]) {
      const graph = new StateGraph(Pair)
        .addNode("a", () => ({ n: 1 }))
        .addNode("b", () => ({ k: 2 }))
        .addEdge(START, "a")
        .addEdge("a", "b")
        .compile({ checkpointer });
      const config = { configurable: { thread_id: "t" } };
      await graph.invoke({}, config);
      const history = await collect(graph.getStateHistory(config));
      const [ended, before] = [history[0], history.find(({ next }) => next[0] === "b")];
      if (ended === undefined || before === undefined) throw new Error("the graph has no such history");
      const copy = await graph.updateState(before.config, null, "__copy__");
      const { values, next } = await graph.getState(copy);
      const end = await graph.updateState(ended.config, null, "__copy__");
      outcomes.push({ values, next, on: await graph.invoke(null, copy), end: (await graph.getState(end)).values });
    }
    expect(outcomes[0]).toEqual({ values: { n: 1 }, next: ["b"], on: { n: 1, k: 2 }, end: { n: 1, k: 2 } });
    expect(outcomes[0]).toEqual(outcomes[1]);
  });

  it("keeps what it holds where its thread is deleted in mid-run", async () => {
    const Three = Annotation.Root({ n: Annotation<number>(), k: Annotation<number>(), l: Annotation<number>() });
    const graph = new StateGraph(Three)
      .addNode("a", () => ({ n: 1 }))
      .addNode("b", async () => {
        await saver.deleteThread("t");
        return { k: 1 };
      })
      .addNode("c", () => ({ l: 1 }))
      .addEdge(START, "a")
      .addEdge("a", "b")
      .addEdge("b", "c")
      .compile({ checkpointer: saver });
    const config = { configurable: { thread_id: "t" }, durability: "sync" as const };
    await graph.invoke({}, config);
    expect((await graph.getState(config)).values).toEqual({ n: 1, k: 1, l: 1 });
  });

  it("keeps those within it in namespaces of the same thread", async () => {
    const inner = askingGraph().compile();
    const graph = new StateGraph(State)
      .addNode("inner", inner)
      .addEdge(START, "inner")
      .compile({ checkpointer: saver });
    const config = { configurable: { thread_id: "t" } };
    await graph.invoke({ log: [] }, config);
    const state = await graph.invoke(new Command({ resume: "deep" }), config);
    expect(state.log).toEqual(["looked", "answered deep"]);
    const tuples = await collect(saver.list({ configurable: { thread_id: "t" } }));
    const namespaces = new Set(tuples.map(({ config }) => config.configurable?.["checkpoint_ns"]));
    expect([...namespaces].filter((namespace) => namespace?.startsWith("inner:"))).toHaveLength(1);
    expect(namespaces.has("")).toBe(true);
    await saver.deleteThread("t");
    expect(await collect(saver.list({}))).toEqual([]);
    expect(db.totalCount()).toBe(0);
  });
});

describe("what is stored", () => {
  it("is a channel's value once, however many checkpoints hold it", async () => {
    const big = "x".repeat(100_000);
    let config = await saver.put(
      { configurable: { thread_id: "t" } },
      checkpointOf({ big: [big, 1], small: [0, 1] }),
      META,
      { big: 1, small: 1 },
    );
    for (let version = 2; version <= 20; version++) {
      const checkpoint = checkpointOf({ big: [big, 1], small: [version, version] });
      config = await saver.put(config, checkpoint, META, { small: version });
    }
    expect((await saver.get(config))?.channel_values).toEqual({ big, small: 20 });
    expect(db.stats().liveBytes).toBeLessThan(2 * big.length);
  });

  it("is bytes as bytes, Node's own kind of them too", async () => {
    const bytes = new Uint8Array(50_000).fill(7);
    const config = await saver.put(
      { configurable: { thread_id: "t" } },
      checkpointOf({ bytes: [bytes, 1], buffer: [Buffer.from("abc"), 1] }),
      META,
      { bytes: 1, buffer: 1 },
    );
    await saver.putWrites(config, [["bytes", bytes]], "task");
    const tuple = await saver.getTuple(config);
    expect(tuple?.checkpoint.channel_values).toEqual({ bytes, buffer: new Uint8Array([97, 98, 99]) });
    expect(tuple?.pendingWrites).toEqual([["task", "bytes", bytes]]);
    expect(db.stats().liveBytes).toBeLessThan(3 * bytes.length);
  });

  it("is what the checkpoint before had, only where it is at the same version", async () => {
    const first = await saver.put({ configurable: { thread_id: "t" } }, checkpointOf({ a: ["old", 1] }), META, {
      a: 1,
    });
    const second = await saver.put(first, checkpointOf({ a: ["new", 2] }), META, {});
    expect((await saver.get(second))?.channel_values).toEqual({});
    const third = await saver.put(first, checkpointOf({}), META, {});
    expect((await saver.get(third))?.channel_values).toEqual({});
  });

  it("is the order of writes: by the path of their task, then by the task, then as they were written", async () => {
    const config = await saver.put({ configurable: { thread_id: "t" } }, checkpointOf({}), META, {});
    const many = Array.from({ length: 12 }, (_, at): [string, number] => ["a", at]);
    await saver.putWrites(config, many, "task", "path 2");
    await saver.putWrites(config, [["a", "first"]], "zebra", "path 1");
    const writes = (await saver.getTuple(config))?.pendingWrites?.map(([, , value]) => value);
    expect(writes).toEqual(["first", 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  });

  it("is each write of a task once, but for errors and interrupts, which the last one replaces", async () => {
    const config = await saver.put({ configurable: { thread_id: "t" } }, checkpointOf({}), META, {});
    await saver.putWrites(config, [["a", 1]], "task", "path");
    await saver.putWrites(config, [["a", 2]], "task", "path");
    await saver.putWrites(config, [["__interrupt__", "first"]], "task", "path");
    await saver.putWrites(config, [["__interrupt__", "last"]], "task", "path");
    await saver.putWrites(config, [["b", 3]], "another", "earlier path");
    expect((await saver.getTuple(config))?.pendingWrites).toEqual([
      ["another", "b", 3],
      ["task", "__interrupt__", "last"],
      ["task", "a", 1],
    ]);
  });
});

describe("names", () => {
  it("may be of any length and content", async () => {
    const texts = ["a/b", "a%2Fb", "#", "ü|:\u0000", "__proto__", "x".repeat(3000), `${"x".repeat(3000)}.`];
    for (const [at, text] of texts.entries()) {
      for (const namespace of ["", text]) {
        const checkpoint = { ...emptyCheckpoint(), id: uuid6(at) };
        checkpoint.channel_values = Object.fromEntries([[text, at]]);
        checkpoint.channel_versions = Object.fromEntries([[text, 1]]);
        const config = { configurable: { thread_id: text, checkpoint_ns: namespace } };
        const put = await saver.put(config, checkpoint, META, Object.fromEntries([[text, 1]]));
        await saver.putWrites(put, [[text, at]], text, text);
      }
    }
    for (const [at, text] of texts.entries()) {
      const tuple = await saver.getTuple({ configurable: { thread_id: text, checkpoint_ns: text } });
      expect(Object.entries(tuple?.checkpoint.channel_values ?? {})).toEqual([[text, at]]);
      expect(tuple?.pendingWrites).toEqual([[text, text, at]]);
      const listed = await collect(saver.list({ configurable: { thread_id: text } }));
      expect(listed.map(({ config }) => config.configurable?.["checkpoint_ns"]).sort()).toEqual(["", text].sort());
    }
    const all = await collect(saver.list({}));
    expect(new Set(all.map(({ config }) => config.configurable?.["thread_id"]))).toEqual(new Set(texts));
    expect(all).toHaveLength(2 * texts.length);
  });

  it("are refused where they cannot be kept apart, with the name of what is wrong", async () => {
    const refused = { code: "INVALID_ARGUMENT" };
    await expect(saver.put({ configurable: { thread_id: 5 } }, emptyCheckpoint(), META, {})).rejects.toMatchObject(
      refused,
    );
    await expect(saver.put({}, emptyCheckpoint(), META, {})).rejects.toThrow('"thread_id"');
    const lone = { configurable: { thread_id: "\ud800" } };
    await expect(saver.put(lone, emptyCheckpoint(), META, {})).rejects.toMatchObject({ code: "INVALID_KEY" });
    expect(await saver.getTuple({})).toBeUndefined();
  });
});

it("lists newest first over namespaces and threads, by metadata of any kind, and before a checkpoint", async () => {
  for (let step = 0; step < 6; step++) {
    const config = { configurable: { thread_id: `t${step % 2}`, checkpoint_ns: step % 3 === 0 ? "n" : "" } };
    const metadata = { source: "loop", step, parents: { "": `p${step % 2}` } } as const;
    await saver.put(config, { ...emptyCheckpoint(), id: uuid6(step) }, metadata, {});
  }
  const steps = async (...[config, options]: Parameters<HoldfastSaver["list"]>) =>
    (await collect(saver.list(config, options))).map(({ metadata }) => metadata?.step);
  expect(await steps({})).toEqual([5, 4, 3, 2, 1, 0]);
  expect(await steps({}, { filter: { parents: { "": "p1" } } })).toEqual([5, 3, 1]);
  expect(await steps({ configurable: { thread_id: "t0" } }, { limit: 2 })).toEqual([4, 2]);
  const [third] = await collect(saver.list({}, { filter: { step: 3 } }));
  expect(await steps({}, { before: third!.config, limit: 2 })).toEqual([2, 1]);
  expect(await steps({ configurable: { checkpoint_id: third!.checkpoint.id } })).toEqual([3]);
});

it("lets many write to one thread at once", async () => {
  const config = await saver.put({ configurable: { thread_id: "t" } }, checkpointOf({}), META, {});
  const tasks = Array.from({ length: 50 }, (_, at) => `task-${String(at).padStart(2, "0")}`);
  await Promise.all(tasks.map((task) => saver.putWrites(config, [["a", task]], task)));
  expect((await saver.getTuple(config))?.pendingWrites?.map(([task]) => task)).toEqual(tasks);
});

/** Has a directory for as long as it takes. */
async function within(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "hf-langgraph-"));
  try {
    await work(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** A storage that only commits asynchronously, over files; `meddle` may change what a session does. */
function asynchronous(files: Storage, meddle = (session: StorageSession): StorageSession => session): Storage {
  return {
    capabilities: { ...files.capabilities, syncAppend: false, syncFlush: false },
    open: async (options) => meddle(await files.open(options)),
  };
}

/** The database in `state` as a cut of the power would leave it. */
async function asCut(directory: string): Promise<Database> {
  const filter = (file: string): boolean => !file.endsWith(".sock");
  const copy = mkdtempSync(join(directory, "copy-"));
  cpSync(join(directory, "state"), copy, { recursive: true, filter });
  return Database.open({ path: copy, readOnly: true });
}

it("deletes threads and finds new ones durably, also where only asynchronous commits can be strict", async () => {
  await within(async (directory) => {
    const storage = asynchronous(nodeFs(join(directory, "state")));
    const strict = await Database.open({ storage, durability: "strict" });
    expect(() => strict.run("any").kv.put("key", 1)).toThrow("synchronous call");
    const keeper = new HoldfastSaver(strict);
    for (const thread_id of ["stays", "goes"]) {
      await keeper.put({ configurable: { thread_id } }, checkpointOf({ a: [thread_id, 1] }), META, { a: 1 });
    }
    await keeper.deleteThread("goes");
    const copy = await asCut(directory);
    const left = await collect(new HoldfastSaver(copy).list({}));
    expect(left.map(({ checkpoint }) => checkpoint.channel_values)).toEqual([{ a: "stays" }]);
    expect(copy.runs.list().map(({ metadata }) => metadata)).toEqual([{ thread: "stays" }]);
    await Promise.all([copy.close(), strict.close()]);
  });
});

/** Puts a checkpoint into the thread `t`. */
function putInto(keeper: HoldfastSaver): Promise<unknown> {
  return keeper.put({ configurable: { thread_id: "t" } }, checkpointOf({ x: [1, 1] }), META, { x: 1 });
}

describe("a deletion is said to be done once it is durable", () => {
  it("also to whoever finds nothing any more", async () => {
    await within(async (directory) => {
      let open = (): void => {};
      let gate: Promise<void> | undefined;
      const storage = asynchronous(nodeFs(join(directory, "state")), (session) => {
        const flush = session.flush.bind(session);
        session.flush = async () => {
          await gate;
          return flush();
        };
        return session;
      });
      const strict = await Database.open({ storage, durability: "strict" });
      const keeper = new HoldfastSaver(strict);
      await putInto(keeper);
      gate = new Promise((resolve) => {
        open = resolve;
      });
      let settled = 0;
      const both = [1, 2].map(() => keeper.deleteThread("t").finally(() => settled++));
      await new Promise((resolve) => setTimeout(resolve, 50));
      expect(settled).toBe(0);
      open();
      await Promise.all(both);
      await strict.close();
    });
  });

  it("and not where the disk was full the first time", async () => {
    await within(async (directory) => {
      let isFull = false;
      const files = nodeFs(join(directory, "state"));
      const storage: Storage = {
        capabilities: files.capabilities,
        open: async (options) => {
          const session = await files.open(options);
          const append = session.appendSync.bind(session);
          session.appendSync = (bytes) => {
            if (isFull) throw new HoldfastError("STORAGE_FULL", "There is no room.", { details: { appendedBytes: 0 } });
            append(bytes);
          };
          return session;
        },
      };
      const strict = await Database.open({ storage, durability: "strict" });
      const keeper = new HoldfastSaver(strict);
      await putInto(keeper);
      isFull = true;
      for (const attempt of ["the first", "the second"]) {
        await expect(keeper.deleteThread("t"), attempt).rejects.toMatchObject({ code: "STORAGE_FULL" });
      }
      isFull = false;
      await keeper.deleteThread("t");
      const copy = await asCut(directory);
      expect(await collect(new HoldfastSaver(copy).list({}))).toEqual([]);
      await Promise.all([copy.close(), strict.close()]);
    });
  });
});

describe("a thread that is deleted beside a put", () => {
  const TURNS = 24;

  /** Deletes it that many turns after a put has begun; what became of that put and of two behind it. */
  async function beside(keeper: HoldfastSaver, turns: number): Promise<unknown[]> {
    const config = (await putInto(keeper)) as { configurable: { thread_id: string } };
    const going = [putInto(keeper), keeper.putWrites(config, [["a", 1]], "before")];
    for (let turn = 0; turn < turns; turn++) await null;
    const deleted = keeper.deleteThread("t");
    for (let turn = 0; turn < turns % 5; turn++) await null;
    going.push(keeper.putWrites(config, [["a", 2]], "behind"));
    await deleted;
    return Promise.all(
      going.map((put) =>
        put.then(
          () => "done",
          (error: unknown) => error,
        ),
      ),
    );
  }

  for (const kind of ["synchronously", "asynchronously"] as const) {
    it(`is found durably where commits are made ${kind}`, async () => {
      await within(async (directory) => {
        const files = nodeFs(join(directory, "state"));
        const storage = kind === "synchronously" ? files : asynchronous(files);
        const strict = await Database.open({ storage, durability: "strict" });
        const keeper = new HoldfastSaver(strict);
        for (let turns = 0; turns < TURNS; turns++) {
          expect(await beside(keeper, turns), `after ${turns} turns`).toEqual(["done", "done", "done"]);
          const copy = await asCut(directory);
          const isThere = (await keeper.getTuple({ configurable: { thread_id: "t" } })) !== undefined;
          const found = await collect(new HoldfastSaver(copy).list({}));
          expect(found.length > 0, `after ${turns} turns`).toBe(isThere);
          await copy.close();
          await keeper.deleteThread("t");
        }
        await strict.close();
      });
    });
  }
});

describe("a thread", () => {
  const config = { configurable: { thread_id: "t" } };
  const put = () => saver.put(config, checkpointOf({ x: [1, 1] }), META, { x: 1 });

  it("is found as long as it has a checkpoint, also where it was deleted beside a put", async () => {
    for (let turns = 0; turns < 40; turns++) {
      await put();
      const going = put();
      for (let turn = 0; turn < turns; turn++) await null;
      await saver.deleteThread("t");
      await going;
      const isThere = (await saver.getTuple(config)) !== undefined;
      expect((await collect(saver.list({}))).length > 0, `after ${turns} turns`).toBe(isThere);
      await saver.deleteThread("t");
    }
  });

  it("refuses what is no thread, no config, no database and no serializer, by name", async () => {
    const code = (error: unknown): unknown => (error as { code?: unknown }).code;
    const refused = async (work: () => Promise<unknown>): Promise<unknown> => work().then(() => "taken", code);
    expect(await refused(() => saver.deleteThread(undefined as unknown as string))).toBe("INVALID_ARGUMENT");
    expect(await refused(() => saver.getTuple(undefined as unknown as Config))).toBe("INVALID_ARGUMENT");
    expect(await refused(() => collect(saver.list(undefined as unknown as Config)))).toBe("INVALID_ARGUMENT");
    expect(() => new HoldfastSaver(undefined as unknown as Database)).toThrow(/pass a Database/);
    const serde = { dumpsTyped: async () => ["json", "{}"], loadsTyped: async () => ({}) };
    const wrong = new HoldfastSaver(db, serde as never);
    expect(await refused(() => wrong.put(config, checkpointOf({ x: [1, 1] }), META, { x: 1 }))).toBe("INVALID_VALUE");
  });
});
