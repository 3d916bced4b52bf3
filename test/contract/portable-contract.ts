/**
 * Checkpoints, exports and imports: what is there stays there, with its versions, and the log goes on behind it.
 */
import type { StorageCapabilities } from "../../src/adapters/storage.js";
import { Database, type Value } from "../../src/index.js";
import { deepEqual, equal, ok, rejectsCode, throwsCode } from "./assert.js";
import type { Case, Context } from "./context.js";
import { RUN } from "./samples.js";

const DEFERRED = { durability: "in-memory" } as const;
const OTHER = "another run";
const EMPTIED = "emptied";
/** More than the checkpoints take, unless commits hold them up. */
const TURNS_MAX = 200;
const CHECKPOINTS = 5;
const PUTS_PER_TURN = 10;

/** The whole suite. */
export function portableContract(): Case[] {
  return [...checkpointCases(), ...exportCases(), ...importCases()];
}

/** What opens a database in memory. */
const inMemory = ({ wasm }: Context) => ({ durability: "in-memory", wasm }) as const;

const persistent = (capabilities: StorageCapabilities): boolean => capabilities.persistent;

/** Something of every primitive in two runs, with overwritten, deleted and large values, and a run with nothing left in it. */
function fill(db: Database): void {
  for (const id of [RUN, OTHER]) {
    db.run(id).transaction((tx) => {
      for (let i = 0; i < 600; i++) tx.kv.put(`key ${i}`, { i, text: "x".repeat(i % 40) });
      for (let i = 0; i < 30; i++) tx.events.append(i % 2 === 0 ? "even" : "odd", { i });
      tx.state.init("cell", "value");
      tx.state.init("deleted", 1);
      const root = tx.traces.record({ type: "thought", content: "root" }, { tags: ["tag"], id: "root" });
      for (let i = 0; i < 20; i++) {
        tx.traces.record({ type: "thought", content: `${i}` }, { parent: root, id: `child ${i}` });
      }
    }, DEFERRED);
  }
  const run = db.run(RUN);
  for (let i = 0; i < 600; i += 3) run.kv.put(`key ${i}`, -i, DEFERRED);
  for (let i = 1; i < 600; i += 3) run.kv.delete(`key ${i}`, DEFERRED);
  run.kv.put("large", new Uint8Array(300_000).fill(7), DEFERRED);
  run.state.delete("deleted", DEFERRED);
  db.run(EMPTIED).kv.put("gone", 1, DEFERRED);
  db.run(EMPTIED).kv.delete("gone", DEFERRED);
  db.runs.create({ name: RUN, tags: ["tag"] }, DEFERRED);
  db.run("deleted run").kv.put("gone", 1, DEFERRED);
  db.deleteRun("deleted run", DEFERRED);
}

/** Everything that can be read of a database, versions included. */
function contentsOf(db: Database): unknown {
  const runs = [RUN, OTHER, EMPTIED, "deleted run"].map((id) => {
    const run = db.run(id);
    return {
      version: run.version,
      count: run.count(),
      kv: run.kv.keys().map((key) => [key, run.kv.getVersioned(key)]),
      events: [...run.events.range(0, run.events.length)],
      types: run.events.types(),
      even: [...run.events.readByType("even")],
      chain: run.events.verify(),
      cells: run.state.list(),
      traces: run.traces.list(),
      children: run.traces.children("root"),
      tagged: run.traces.byTag("tag"),
    };
  });
  return { runs, index: db.runs.list(), live: db.stats().runs, total: db.totalCount() };
}

async function collect(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const pieces: Uint8Array[] = [];
  for await (const piece of stream) pieces.push(piece);
  return pieces;
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** A database in memory with everything in it, and its export. */
async function exported(context: Context): Promise<{ contents: unknown; pieces: Uint8Array[] }> {
  const db = await Database.open(inMemory(context));
  fill(db);
  const contents = contentsOf(db);
  const pieces = await collect(db.export());
  await db.close();
  return { contents, pieces };
}

async function filesOf(context: Context): Promise<{ segments: number[]; checkpoints: number[] }> {
  const session = await context.storage().open({ readOnly: true });
  try {
    const segments = (await session.segments()).map(({ number }) => number);
    return { segments, checkpoints: (await session.checkpoints()).map(({ number }) => number) };
  } finally {
    await session.close();
  }
}

function checkpointCases(): Case[] {
  return [
    {
      name: "a checkpoint holds everything with its versions, and the database opens from it",
      needs: persistent,
      async run(context) {
        let db = await context.open();
        fill(db);
        const before = contentsOf(db);
        await db.checkpoint();
        deepEqual(contentsOf(db), before, "at once");
        db = await context.reopen();
        deepEqual(contentsOf(db), before, "opened again");
        equal(db.storageInfo.recovered, undefined, "recovered");
        equal(db.verify().valid, true, "heap");
        equal(db.run(RUN).state.init("deleted", 5, DEFERRED), 2, "a deleted cell's version goes on");
        ok(db.run(RUN).kv.put("next", 1, DEFERRED) > db.run(OTHER).version, "versions go on");
      },
    },
    {
      name: "what the checkpoint has taken the place of is removed, and a second one takes the first one's place",
      needs: persistent,
      async run(context) {
        const db = await context.open();
        fill(db);
        // Also what is only queued goes before the checkpoint, and not behind it.
        await db.checkpoint();
        const first = await filesOf(context);
        equal(first.checkpoints.length, 1, "one checkpoint");
        deepEqual(first.segments, first.checkpoints, "the segment behind it");
        await db.checkpoint();
        deepEqual(await filesOf(context), first, "nothing new, nothing done");
        db.run(RUN).kv.put("more", 1, DEFERRED);
        await db.checkpoint();
        const second = await filesOf(context);
        ok((second.checkpoints[0] as number) > (first.checkpoints[0] as number), "a newer one");
        equal(second.checkpoints.length, 1, "and only that");
      },
    },
    {
      name: "commits go on while a checkpoint is made, and stand behind it",
      needs: persistent,
      async run(context) {
        let db = await context.open();
        fill(db);
        const run = db.run(RUN);
        const done = db.checkpoint();
        const written: Record<string, Value> = {};
        for (let i = 0; i < 200; i++) {
          run.kv.put(`during ${i}`, i, DEFERRED);
          run.kv.put(`key ${i}`, "during", DEFERRED);
          written[`during ${i}`] = i;
          await Promise.resolve();
        }
        await done;
        run.kv.put("after", true, DEFERRED);
        const before = contentsOf(db);
        db = await context.reopen();
        deepEqual(contentsOf(db), before, "opened again");
        for (const [key, value] of Object.entries(written)) equal(db.run(RUN).kv.get(key), value, key);
        equal(db.verify().valid, true, "heap");
      },
    },
    {
      name: "commits in the database's own mode go on in other turns until some checkpoints are over",
      needs: persistent,
      async run(context) {
        let db = await context.open();
        fill(db);
        const run = db.run(RUN);
        let isOver = false;
        const checkpoints = async (): Promise<void> => {
          for (let i = 0; i < CHECKPOINTS; i++) await db.checkpoint();
        };
        const done = checkpoints().finally(() => {
          isOver = true;
        });
        done.catch(() => {});
        let written = 0;
        for (; !isOver && written < TURNS_MAX; written++) {
          for (let i = 0; i < PUTS_PER_TURN; i++) run.kv.put(`during ${written}`, i);
          await new Promise((resolve) => setTimeout(resolve));
        }
        await done;
        run.kv.put("after", true);
        const before = contentsOf(db);
        db = await context.reopen();
        deepEqual(contentsOf(db), before, "opened again");
        for (let i = 0; i < written; i++) equal(db.run(RUN).kv.get(`during ${i}`), PUTS_PER_TURN - 1, `during ${i}`);
        equal(db.verify().valid, true, "heap");
      },
    },
    {
      name: "a snapshot that is held over a checkpoint sees what it saw",
      needs: persistent,
      async run(context) {
        const db = await context.open();
        const run = db.run(RUN);
        run.kv.put("key", "old", DEFERRED);
        const snapshot = run.snapshot();
        run.kv.put("key", "new", DEFERRED);
        await db.checkpoint();
        equal(snapshot.kv.get("key"), "old", "the snapshot");
        equal(run.kv.get("key"), "new", "the run");
        snapshot.dispose();
        equal(db.stats().snapshotsHeld, 0, "held");
      },
    },
    {
      name: "several that are asked for at once are all done, one after another",
      needs: persistent,
      async run(context) {
        const db = await context.open();
        fill(db);
        await Promise.all([db.checkpoint(), db.checkpoint(), db.checkpoint()]);
        equal((await filesOf(context)).checkpoints.length, 1, "one is left");
      },
    },
    {
      name: "an empty database needs no checkpoint, one in memory has none",
      async run(context) {
        const db = await context.open(context.capabilities.persistent ? {} : inMemory(context));
        await db.checkpoint();
        if (context.capabilities.persistent) {
          deepEqual(await filesOf(context), { segments: [], checkpoints: [] }, "files");
        }
        await db.close();
        await rejectsCode("CLOSED", () => db.checkpoint());
      },
    },
    {
      name: "a reader beside the owner reads the checkpoint and what stands behind it",
      needs: persistent,
      async run(context) {
        const db = await context.open();
        fill(db);
        await db.checkpoint();
        db.run(RUN).kv.put("behind", 1, DEFERRED);
        await db.flush();
        const before = contentsOf(db);
        const reader = await Database.open({ storage: context.storage(), readOnly: true, wasm: context.wasm });
        try {
          deepEqual(contentsOf(reader), before, "the reader");
          await rejectsCode("READ_ONLY", () => reader.checkpoint());
        } finally {
          await reader.close();
        }
      },
    },
  ];
}

function exportCases(): Case[] {
  return [
    {
      name: "an export is what was there when it was asked for, whatever is written meanwhile",
      async run(context) {
        const db = await context.open(inMemory(context));
        fill(db);
        const before = contentsOf(db);
        const stream = db.export();
        db.run(RUN).kv.put("key 2", "later");
        const first = await stream.next();
        db.run(RUN).kv.put("key 5", "later");
        db.deleteRun(OTHER);
        const rest = await collect(stream);
        const copy = await Database.import([first.value as Uint8Array, ...rest], inMemory(context));
        deepEqual(contentsOf(copy), before, "the copy");
        equal(copy.verify().valid, true, "heap of the copy");
        await copy.close();
        equal(db.stats().snapshotsHeld, 0, "nothing is held");
        equal(db.verify().valid, true, "heap");
      },
    },
    {
      name: "named runs alone, and a name that there is no run of is refused",
      async run(context) {
        const db = await context.open(inMemory(context));
        fill(db);
        const copy = await Database.import(db.export({ runs: [OTHER, OTHER] }), inMemory(context));
        equal(copy.stats().runs, 1, "runs");
        deepEqual(copy.run(OTHER).kv.list(), db.run(OTHER).kv.list(), "its key-values");
        await copy.close();
        throwsCode("NOT_FOUND", () => db.export({ runs: ["no such run"] }));
        throwsCode("INVALID_KEY", () => db.export({ runs: [""] }));
        throwsCode("INVALID_ARGUMENT", () => db.export({ runs: RUN as unknown as string[] }));
        equal(db.stats().snapshotsHeld, 0, "nothing is held");
      },
    },
    {
      name: "one that is left early lets go of what it held; one that outlives its database is refused",
      async run(context) {
        const db = await context.open(inMemory(context));
        fill(db);
        for await (const piece of db.export()) {
          ok(piece.length > 0, "a piece");
          break;
        }
        equal(db.stats().snapshotsHeld, 0, "nothing is held");
        const stream = db.export();
        await stream.next();
        await db.close();
        await rejectsCode("CLOSED", () => stream.next());
      },
    },
  ];
}

function importCases(): Case[] {
  return [
    {
      name: "an import has everything with its versions, durably, and goes on from there",
      async run(context) {
        const { contents, pieces } = await exported(context);
        const place = context.capabilities.persistent
          ? { storage: context.storage(), wasm: context.wasm }
          : inMemory(context);
        const copy = await Database.import(pieces, place);
        deepEqual(contentsOf(copy), contents, "imported");
        copy.run("new").kv.put("key", 1, DEFERRED);
        await copy.close();
        if (!context.capabilities.persistent) return;
        const again = await context.open({ storage: context.storage() });
        equal(again.run("new").kv.get("key"), 1, "what was written behind it");
        again.deleteRun("new", DEFERRED);
        deepEqual(contentsOf(again), contents, "opened");
        equal(again.verify().valid, true, "heap");
        await again.checkpoint();
        deepEqual(contentsOf(again), contents, "after a checkpoint of its own");
      },
    },
    {
      name: "any kind of stream is taken, in pieces of any size",
      async run(context) {
        const { contents, pieces } = await exported(context);
        const whole = joined(pieces);
        const small: Uint8Array[] = [];
        for (let at = 0; at < whole.length; at += 1 + (at % 9973)) small.push(whole.subarray(at, at + 1 + (at % 9973)));
        const stream = new ReadableStream<Uint8Array>({
          start(controller) {
            for (const piece of pieces) controller.enqueue(piece);
            controller.close();
          },
        });
        for (const source of [whole as unknown as Uint8Array[], small, stream]) {
          const copy = await Database.import(source, inMemory(context));
          deepEqual(contentsOf(copy), contents, "the copy");
          await copy.close();
        }
      },
    },
    {
      name: "a place in which there is something is refused, and stays as it is",
      needs: persistent,
      async run(context) {
        const { pieces } = await exported(context);
        const db = await context.open();
        db.run(RUN).kv.put("mine", 1, DEFERRED);
        await db.close();
        await rejectsCode("ALREADY_EXISTS", () =>
          Database.import(pieces, { storage: context.storage(), wasm: context.wasm }),
        );
        const again = await context.open();
        deepEqual(again.run(RUN).kv.keys(), ["mine"], "what was there");
      },
    },
    {
      name: "what is cut, changed, or no export is refused, and the place stays empty",
      async run(context) {
        const { contents, pieces } = await exported(context);
        const whole = joined(pieces);
        const place = (): object =>
          context.capabilities.persistent ? { storage: context.storage(), wasm: context.wasm } : inMemory(context);
        const changed = whole.slice();
        changed[whole.length >> 1] = (changed[whole.length >> 1] as number) ^ 1;
        const longer = joined([whole, new Uint8Array(1)]);
        for (const bad of [new Uint8Array(0), whole.subarray(0, 100), whole.subarray(0, -52), changed, longer]) {
          await rejectsCode("CORRUPTION", () => Database.import([bad], place()));
        }
        for (const bad of [1, null, undefined, {}, ["text"], "text"]) {
          await rejectsCode("INVALID_ARGUMENT", () => Database.import(bad as unknown as Uint8Array[], place()));
        }
        const options = { ...place(), readOnly: true };
        await rejectsCode("INVALID_ARGUMENT", () => Database.import(pieces, options));
        const copy = await Database.import(pieces, place());
        deepEqual(contentsOf(copy), contents, "the good one is taken after all of that");
        await copy.close();
      },
    },
  ];
}
