/**
 * The golden logs: small databases of every kind, written the same way each time, and what they hold.
 *
 * Nothing here is random and no clock runs, so that the same operations give the same bytes on every runtime and in every
 * release that writes this version of the format. `test/golden/` keeps those bytes. A release that reads them otherwise, or
 * writes others, has changed the format.
 *
 * Runs on every runtime: the database is handed in, and nothing of a platform is used.
 */
import type { Environment } from "../../src/host/environment.js";
import type { Database, Run, Value } from "../../src/index.js";
import type { OpenOptions } from "../contract/context.js";
import { ByteStorage, type Segments } from "./byte-storage.js";
import type { DatabaseFiles } from "./plain-log.js";

/** How `Database.open` and `Database.import` are called; whoever writes golden logs says which `Database`. */
export type Open = (options: OpenOptions, source?: AsyncIterable<Uint8Array>) => Promise<Database>;

/** One golden log: a name, what it is about, and how it is written. */
export interface GoldenLog {
  readonly name: string;
  readonly about: string;
  /** Writes it; left out of one that today's code writes otherwise and has to read all the same. */
  write?(life: Life): Promise<void>;
}

/** A golden log that today's code writes byte for byte. */
export type WrittenLog = GoldenLog & Required<Pick<GoldenLog, "write">>;

const WALL_MS = 1_700_000_000_000;
/** Long enough to hold a few records, short enough that a small log has several. */
const SEGMENT_BYTES = 400;

/** Time that stands still, and randomness that is the same for every caller. */
const ENVIRONMENT: Environment = {
  monotonicMs: () => 0,
  wallMs: () => WALL_MS,
  randomBytes: (bytes) => {
    for (let i = 0; i < bytes.length; i++) bytes[i] = 0xa0 + (i % 16);
  },
  // What only lets others have their turn goes on at once; nothing else ever does.
  schedule: (delayMs, task) => {
    if (delayMs === 0) queueMicrotask(task);
    return () => {};
  },
};

/** A database while it is written: opened, killed and opened again. */
export class Life {
  readonly storage: ByteStorage;
  readonly #open: Open;

  constructor(open: Open, segmentBytesTarget: number) {
    this.#open = open;
    this.storage = new ByteStorage(new Map(), 0, new Map(), { segmentBytesTarget });
  }

  /** Opens it. Whoever had it open before is taken to have been killed. */
  open(): Promise<Database> {
    return this.#open({ storage: this.storage, environment: ENVIRONMENT });
  }

  /** Makes it from what another one exports. */
  import(source: AsyncIterable<Uint8Array>): Promise<Database> {
    return this.#open({ storage: this.storage, environment: ENVIRONMENT }, source);
  }

  /** A database that is not kept. */
  aside(): Promise<Database> {
    return this.#open({ durability: "in-memory", environment: ENVIRONMENT });
  }
}

/** Something of every primitive, in a few commits. */
function everyPrimitive(db: Database): void {
  const agent = db.run("agent");
  agent.kv.put("plan", { steps: ["look", "think", "act"], done: false });
  agent.events.append("started", { by: "user" });
  agent.state.init("phase", "draft");
  agent.state.set("phase", "final");
  agent.traces.record({ type: "thought", content: "hm" }, { id: "t1", tags: ["first"] });
  db.runs.create({ name: "agent", tags: ["demo"] });
  agent.transaction((tx) => {
    tx.kv.put("plan", null);
    tx.kv.put("é€😀", [1, -1, 0.5]);
    tx.events.append("ended", null);
    tx.state.init("gone", 1);
  });
  agent.state.delete("gone");
  agent.kv.delete("plan");
}

/** Commits on several runs in turn: puts, transactions, deletions of keys and of runs. */
function turns(db: Database, from: number, count: number, durability?: "strict" | "buffered"): void {
  const runs = ["alpha", "beta", "gamma"];
  for (let i = from; i < from + count; i++) {
    const run = db.run(runs[i % 3] as string);
    if (i % 5 === 3) {
      run.transaction(
        (tx) => {
          tx.kv.put("a", i);
          tx.kv.put("b", { n: i });
          tx.kv.delete("k0");
        },
        { durability },
      );
    } else if (i % 11 === 10) db.deleteRun(run.id, { durability });
    else if (i % 7 === 6) run.kv.delete("a", { durability });
    else run.kv.put(`k${i % 4}`, `value ${i}`, { durability });
  }
}

/** Values of every kind and at the edges of their encodings. */
function everyValue(): readonly (readonly [string, Value])[] {
  return [
    ["simple", [null, true, false]],
    ["integers", [0, 23, 24, 255, 256, 65_535, 65_536, 4_294_967_295, -1, -24, -25, -256, -257, -4_294_967_296]],
    ["numbers", [-0, 0.1, 4_294_967_296, -4_294_967_297, Number.NaN, Number.POSITIVE_INFINITY, Number.MIN_VALUE]],
    ["bigints", [0n, -1n, 9_223_372_036_854_775_807n, -9_223_372_036_854_775_808n]],
    ["texts", ["", "a\u0000b", "aé€😀", "\uFEFF", "x".repeat(24)]],
    ["bytes", [new Uint8Array(0), Uint8Array.of(0, 127, 128, 255), new Uint8Array(24)]],
    ["nested", { "": [[[]], {}], z: { a: { "0": -0 } }, constructor: 1 }],
    ["k".repeat(300), "a long key"],
    ["\u0000", "a key of one byte"],
  ];
}

/** Every golden log of this version of the format. */
export const GOLDEN_LOGS: readonly GoldenLog[] = [
  {
    name: "closed",
    about: "Every primitive, strict, closed.",
    async write(life) {
      const db = await life.open();
      everyPrimitive(db);
      await db.close();
    },
  },
  {
    name: "killed",
    about: "Several runs, one of them deleted and begun anew, strict, killed.",
    async write(life) {
      turns(await life.open(), 0, 24, "strict");
    },
  },
  {
    name: "unsynced-tail",
    about: "Strict commits, then buffered ones that were never synced, killed.",
    async write(life) {
      const db = await life.open();
      turns(db, 0, 12, "strict");
      turns(db, 12, 8, "buffered");
    },
  },
  {
    name: "rewritten-tail",
    about: "An unsynced tail that the next owner wrote again, and its own commits behind it, killed.",
    async write(life) {
      const db = await life.open();
      turns(db, 0, 9, "strict");
      turns(db, 9, 6, "buffered");
      turns(await life.open(), 15, 6, "strict");
    },
  },
  {
    name: "segments",
    about: "Many small segments of several owners, with flushes between, closed.",
    async write(life) {
      const first = await life.open();
      turns(first, 0, 10, "strict");
      turns(first, 10, 4, "buffered");
      const second = await life.open();
      turns(second, 14, 8, "buffered");
      second.flushSync();
      turns(second, 22, 4, "strict");
      await second.close();
      const third = await life.open();
      turns(third, 26, 5, "strict");
      await third.close();
    },
  },
  {
    name: "values",
    about: "Values of every kind, deferred and made durable by a flush, killed.",
    async write(life) {
      const db = await life.open();
      const { kv } = db.run("values");
      for (const [key, value] of everyValue()) kv.put(key, value, { durability: "in-memory" });
      db.flushSync();
    },
  },
  {
    name: "checkpoint",
    about: "A checkpoint of every primitive and of several runs, with a log behind it, killed.",
    async write(life) {
      const db = await life.open();
      everyPrimitive(db);
      turns(db, 0, 12, "strict");
      await db.checkpoint();
      turns(db, 12, 12, "strict");
    },
  },
  {
    name: "checkpoint-closed",
    about: "A second checkpoint, by a second owner, with nothing behind it but its end.",
    async write(life) {
      const first = await life.open();
      turns(first, 0, 6, "strict");
      await first.checkpoint();
      turns(first, 6, 6, "buffered");
      const second = await life.open();
      turns(second, 12, 6, "strict");
      await second.checkpoint();
      await second.close();
    },
  },
  {
    name: "imported",
    about: "What another database has exported, before anything is written behind it.",
  },
  {
    name: "imported-past-lost",
    about: "The same, imported past the versions that the other database may have lost.",
    async write(life) {
      const source = await life.aside();
      everyPrimitive(source);
      turns(source, 0, 12);
      const db = await life.import(source.export());
      await db.close();
      await source.close();
    },
  },
  {
    name: "graph",
    about:
      "A graph with an index of a property, changed by a second owner after the first was killed; a checkpoint between.",
    async write(life) {
      const first = await life.open();
      const { graph } = first.run("graph");
      const [a, b, c] = ["a.ts", "b.ts", "c.ts"].map((path) => graph.addNode("file", { path })) as [
        number,
        number,
        number,
      ];
      graph.createIndex("file", "path");
      graph.addEdge(a, b, "imports", { line: 1 });
      const gone = graph.addEdge(b, c, "imports");
      await first.checkpoint();
      graph.deleteEdge(gone);
      const second = await life.open();
      second.run("graph").transaction((tx) => {
        const long = tx.graph.addNode(["file", "odd\u0000one"], { path: "x".repeat(100), size: 2n });
        tx.graph.addEdge(long, long, "is", { exactly: true });
        tx.graph.addEdge(c, long, "im\u0001ports");
        tx.graph.patchNode(a, { path: "d.ts" });
        tx.graph.deleteNode(b);
      });
      await second.close();
    },
  },
];

/** The golden logs that today's code writes. */
export const WRITTEN_LOGS: readonly WrittenLog[] = GOLDEN_LOGS.filter((log) => log.write !== undefined) as WrittenLog[];

/** Writes a golden log with today's code. */
export async function writeGolden(log: WrittenLog, open: Open): Promise<DatabaseFiles> {
  const life = new Life(open, log.name === "segments" ? SEGMENT_BYTES : 64 * 1024 * 1024);
  await log.write(life);
  return { segments: ascending(life.storage.segments), checkpoints: ascending(life.storage.checkpoints) };
}

/** As they are now: whoever still has the database open writes to the storage's own map. */
function ascending(files: Segments): Segments {
  return new Map([...files].sort(([a], [b]) => a - b));
}

/** Runs that golden logs write to. */
const RUNS = ["agent", "alpha", "beta", "gamma", "values", "graph"];

function graphOf({ graph }: Run): unknown {
  const byPath = ["d.ts", "c.ts", "x".repeat(100), "a.ts"].map((path) => graph.findNodes("file", "path", path).length);
  const odd = graph.nodesByLabel("odd\u0000one").map(({ id }) => id);
  return { nodes: graph.nodes(), edges: graph.edges(), byPath, odd, verified: { ...graph.verify() } };
}

/** Everything that a database shows of what golden logs write, as one plain value. */
export function contentsOf(db: Database): Value {
  const contents: Record<string, Value> = {};
  for (const id of RUNS) {
    const run = db.run(id);
    if (run.count() === 0) continue;
    contents[id] = {
      kv: run.kv.list(),
      events: [...run.events.range(0, run.events.length)],
      eventsVerified: { ...run.events.verify() },
      state: run.state.list(),
      traces: run.traces.list(),
      run: db.runs.get(id) ?? null,
      ...(run.graph.nodeCount() === 0 ? {} : { graph: graphOf(run) }),
    } as unknown as Value;
  }
  return contents;
}

// The same as JSON, which has no bytes, no bigints, and not all numbers.

interface Marked {
  readonly $: "bytes" | "bigint" | "number";
  readonly is: string;
}

function marked(value: Value): Marked | undefined {
  if (value instanceof Uint8Array) {
    return { $: "bytes", is: Array.from(value, (byte) => byte.toString(16).padStart(2, "0")).join("") };
  }
  if (typeof value === "bigint") return { $: "bigint", is: String(value) };
  const isPlain = typeof value !== "number" || (Number.isFinite(value) && !Object.is(value, -0));
  return isPlain ? undefined : { $: "number", is: Object.is(value, -0) ? "-0" : String(value) };
}

/** A value as JSON can carry it: what it cannot is marked. */
export function toJson(value: Value): unknown {
  const mark = marked(value);
  if (mark !== undefined) return mark;
  if (Array.isArray(value)) return value.map(toJson);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, toJson(item as Value)]));
}
