/**
 * The event log: appended in order and without gaps, sealed by a chain of hashes, found by sequence and by type.
 */
import {
  type Database,
  type EventLogReader,
  HoldfastError,
  type LogEvent,
  type Run,
  type StepOptions,
  type Value,
} from "../../src/index.js";
import { deepEqual, equal, ok, throwsCode } from "./assert.js";
import type { Case } from "./context.js";
import { byUtf8, eachView, HOSTILE_KEYS, hostileObject, nested, onRun, RUN, sampleValues } from "./samples.js";

/** The whole suite. */
export function eventsContract(): Case[] {
  return [
    ...appendCases(),
    ...hashCases(),
    ...rangeCases(),
    ...typeCases(),
    ...transactionCases(),
    ...conflictCases(),
    ...snapshotCases(),
    ...refusalCases(),
  ];
}

/** Lets `check` read through every view there is; each must show the same. */
function throughEveryView(db: Database, check: (events: EventLogReader, view: string) => void): void {
  eachView(db, (views, view) => check(views.events, view));
}

/** Appends events of types in turn, in one transaction, numbered from 0. */
function appendMany(run: Run, count: number, types: readonly string[] = ["step"]): void {
  run.transaction((tx) => {
    for (let i = 0; i < count; i++) tx.events.append(types[i % types.length] as string, i);
  });
}

const payloads = (events: Iterable<LogEvent>): Value[] => [...events].map(({ payload }) => payload);
const sequences = (events: Iterable<LogEvent>): number[] => [...events].map(({ sequence }) => sequence);
const upTo = (end: number, start = 0): number[] => Array.from({ length: end - start }, (_, i) => start + i);

async function sha256(...parts: readonly Uint8Array[]): Promise<Uint8Array> {
  const bytes = Uint8Array.from(parts.flatMap((part) => [...part]));
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

function appendCases(): Case[] {
  return [
    onRun("an empty log has no events, no head, no types, and is valid", (_run, db) => {
      throughEveryView(db, (events, view) => {
        equal(events.length, 0, view);
        equal(events.head(), undefined, view);
        equal(events.read(0), undefined, view);
        deepEqual([...events.range()], [], view);
        deepEqual([...events.range(0, 10)], [], view);
        deepEqual([...events.range(5)], [], view);
        deepEqual(events.readByType("step"), [], view);
        deepEqual(events.types(), [], view);
        deepEqual(events.verify(), { valid: true, length: 0 }, view);
      });
      equal(db.stats().runs, 0, "runs after reads");
    }),
    onRun("events get sequences from 0 on, and are read as they were appended", (run, db) => {
      const before = Date.now();
      const first = run.events.append("tool", { name: "grep" });
      const second = run.events.append("thought", null);
      const after = Date.now();
      deepEqual([first.sequence, second.sequence], [0, 1]);
      throughEveryView(db, (events, view) => {
        equal(events.length, 2, view);
        deepEqual(events.head(), second, view);
        const [tool, thought] = [events.read(0), events.read(1)];
        ok(tool !== undefined && thought !== undefined, `two events in the ${view}`);
        deepEqual([tool.sequence, tool.type, tool.payload], [0, "tool", { name: "grep" }], view);
        deepEqual([thought.sequence, thought.type, thought.payload], [1, "thought", null], view);
        deepEqual(tool.hash, first.hash, view);
        deepEqual(tool.previousHash, new Uint8Array(32), `${view} genesis`);
        deepEqual(thought.previousHash, first.hash, `${view} chain`);
        ok(before <= tool.timestamp && tool.timestamp <= after, `the timestamp to be of the call: ${tool.timestamp}`);
        equal(events.read(2), undefined, view);
        equal(events.read(Number.MAX_SAFE_INTEGER), undefined, view);
      });
    }),
    onRun("a payload is any value, and comes back as it was", (run, db) => {
      const values = sampleValues().filter(([name]) => name !== "64 levels");
      for (const [name, value] of values) run.events.append(name, value);
      throughEveryView(db, (events, view) => {
        for (const [i, [name, value]] of values.entries()) {
          deepEqual(events.read(i)?.payload, value, `${view} ${name}`);
          equal(events.read(i)?.type, name);
        }
        deepEqual(
          payloads(events.range()),
          values.map(([, value]) => value),
          view,
        );
        deepEqual(events.verify(), { valid: true, length: values.length }, view);
      });
    }),
    onRun("what was read or given can be changed, and changes nothing that is stored", (run) => {
      const payload = { list: [1] };
      const { hash } = run.events.append("step", payload);
      payload.list.push(2);
      hash.fill(0);
      const read = run.events.read(0) as LogEvent;
      read.hash.fill(1);
      read.previousHash.fill(1);
      (read.payload as typeof payload).list.push(3);
      run.events.head()?.hash.fill(2);
      deepEqual(run.events.read(0)?.payload, { list: [1] });
      run.events.append("step", 2);
      deepEqual(run.events.verify(), { valid: true, length: 2 });
    }),
    onRun("each event counts once among the entries of the run", (run, db) => {
      appendMany(run, 30, ["a", "b", "c"]);
      equal(run.count(), 30, "run.count()");
      equal(db.totalCount(), 30, "db.totalCount()");
      equal(run.kv.count(), 0, "keys");
    }),
    onRun("runs have logs of their own", (run, db) => {
      appendMany(run, 3);
      equal(db.run("other").events.append("step", 0).sequence, 0);
      deepEqual([run.events.length, db.run("other").events.length], [3, 1]);
    }),
    {
      name: "a log is there again after it was closed and opened, and goes on",
      needs: ({ persistent }) => persistent,
      async run(context) {
        const db = await context.open();
        appendMany(db.run(RUN), 5, ["a", "b"]);
        const head = db.run(RUN).events.head();
        const again = await context.reopen();
        const { events } = again.run(RUN);
        deepEqual(events.head(), head);
        equal(events.append("c", 5).sequence, 5);
        deepEqual(payloads(events.range()), upTo(6));
        deepEqual(events.types(), ["a", "b", "c"]);
        deepEqual(events.verify(), { valid: true, length: 6 });
      },
    },
  ];
}

function hashCases(): Case[] {
  return [
    onRun("a hash is SHA-256 over the event's bytes and the hash before it, which anybody can compute", async (run) => {
      run.events.append("a", null);
      const { timestamp, hash } = run.events.read(0) as LogEvent;
      // CBOR: an array of four: 0, "a", null, and the timestamp as a float64.
      const bytes = new Uint8Array(4 + 1 + 9);
      bytes.set([0x84, 0x00, 0x61, 0x61, 0xf6, 0xfb]);
      new DataView(bytes.buffer).setFloat64(6, timestamp);
      deepEqual(hash, await sha256(bytes.subarray(0, 14), new Uint8Array(32)));
    }),
    onRun("no two events have the same hash, equal ones included", (run) => {
      appendMany(run, 50);
      run.transaction((tx) => {
        for (let i = 0; i < 50; i++) tx.events.append("same", "same");
      });
      const hashes = new Set([...run.events.range()].map(({ hash }) => hash.join()));
      equal(hashes.size, 100);
    }),
    onRun("verify walks the whole chain", (run, db) => {
      appendMany(run, 600, ["a", "b\u0000", "\u0001"]);
      throughEveryView(db, (events, view) => deepEqual(events.verify(), { valid: true, length: 600 }, view));
    }),
  ];
}

function rangeCases(): Case[] {
  return [
    onRun("a range is half-open, and ends where the log does", (run, db) => {
      appendMany(run, 10);
      throughEveryView(db, (events, view) => {
        deepEqual(sequences(events.range()), upTo(10), view);
        deepEqual(sequences(events.range(3)), upTo(10, 3), view);
        deepEqual(sequences(events.range(3, 7)), upTo(7, 3), view);
        deepEqual(sequences(events.range(0, 1)), [0], view);
        deepEqual(sequences(events.range(9, 10)), [9], view);
        deepEqual(sequences(events.range(8, 1000)), [8, 9], view);
        for (const [start, end] of [
          [10, 11],
          [10, 10],
          [5, 5],
          [7, 3],
          [0, 0],
          [1000, 2000],
        ] as const) {
          deepEqual([...events.range(start, end)], [], `${view} ${start} to ${end}`);
        }
        deepEqual([...events.range(10)], [], view);
      });
    }),
    onRun("a range longer than a chunk is whole and in order", (run, db) => {
      appendMany(run, 1000);
      throughEveryView(db, (events, view) => {
        deepEqual(payloads(events.range()), upTo(1000), view);
        deepEqual(payloads(events.range(255, 514)), upTo(514, 255), view);
        deepEqual(payloads(events.range(256, 512)), upTo(512, 256), view);
      });
    }),
    onRun("a range goes on whatever is done to the hashes that it has given", (run, db) => {
      appendMany(run, 600);
      throughEveryView(db, (events, view) => {
        const walked: number[] = [];
        for (const { sequence, hash, previousHash } of events.range()) {
          walked.push(sequence);
          hash.fill(0);
          previousHash.fill(0);
        }
        deepEqual(walked, upTo(600), view);
        deepEqual(events.verify(), { valid: true, length: 600 }, view);
      });
    }),
    onRun("a range can be walked again, and left before its end", (run) => {
      appendMany(run, 600);
      const range = run.events.range(1, 500);
      for (const { sequence } of range) if (sequence === 300) break;
      deepEqual(sequences(range), upTo(500, 1));
      deepEqual(sequences(range), upTo(500, 1));
      const [one, two] = [range[Symbol.iterator](), range[Symbol.iterator]()];
      deepEqual([one.next().value?.sequence, two.next().value?.sequence, one.next().value?.sequence], [1, 1, 2]);
    }),
    onRun("what is appended after the call is not in its range", (run) => {
      appendMany(run, 300);
      const [open, finite] = [run.events.range(), run.events.range(290, 310)];
      const iterator = open[Symbol.iterator]();
      iterator.next();
      appendMany(run, 300);
      equal([...{ [Symbol.iterator]: () => iterator }].length, 299, "events behind the first");
      equal([...open].length, 300);
      deepEqual(sequences(finite), upTo(300, 290));
      deepEqual(sequences(run.events.range(290, 310)), upTo(310, 290));
    }),
    onRun("a range of a transaction ends with it", (run) => {
      appendMany(run, 3);
      const range = run.transaction((tx) => tx.events.range());
      throwsCode("TRANSACTION_CLOSED", () => [...range]);
    }),
  ];
}

function typeCases(): Case[] {
  return [
    onRun("events are found by their type, in order, from either end, as many as asked for", (run, db) => {
      appendMany(run, 30, ["a", "b", "c"]);
      throughEveryView(db, (events, view) => {
        deepEqual(
          payloads(events.readByType("a")),
          upTo(10).map((i) => i * 3),
          view,
        );
        deepEqual(payloads(events.readByType("b", { limit: 2 })), [1, 4], view);
        deepEqual(payloads(events.readByType("c", { reverse: true, limit: 3 })), [29, 26, 23], view);
        deepEqual(events.readByType("c", { limit: 0 }), [], view);
        deepEqual(events.readByType("d"), [], view);
        deepEqual(events.readByType("a")[1], events.read(3), view);
        deepEqual(events.types(), ["a", "b", "c"], view);
      });
    }),
    onRun("a type may be any text of 1 to 256 bytes, and no two are taken for one another", (run, db) => {
      const nulls = [
        "\u0000",
        "\u0001",
        "\u0000\u0000",
        "\u0001\u0001",
        "\u0001\u0002",
        "a\u0000",
        "a\u0001",
        "a\u0001\u0001",
      ];
      const long = ["x".repeat(256), "\u0000".repeat(256), "\u0001".repeat(255), "é".repeat(128), "😀".repeat(64)];
      const types = [...new Set([...HOSTILE_KEYS, ...nulls, ...long, "types", "head", "of:", "\uE000", "\u{10000}"])];
      appendMany(run, types.length * 2, types);
      throughEveryView(db, (events, view) => {
        deepEqual(events.types(), [...types].sort(byUtf8), view);
        for (const [i, type] of types.entries()) {
          deepEqual(payloads(events.readByType(type)), [i, i + types.length], `${view} ${JSON.stringify(type)}`);
        }
        deepEqual(events.verify(), { valid: true, length: types.length * 2 }, view);
      });
      equal(run.count(), types.length * 2);
    }),
  ];
}

function transactionCases(): Case[] {
  return [
    onRun("a transaction sees what it appends, and nobody else does before the commit", (run) => {
      run.events.append("old", 0);
      run.transaction((tx) => {
        const { sequence, hash } = tx.events.append("new", 1);
        equal(sequence, 1);
        tx.events.append("new", 2);
        equal(tx.events.length, 3);
        deepEqual(tx.events.read(1)?.hash, hash);
        deepEqual(tx.events.read(2)?.previousHash, hash);
        deepEqual(payloads(tx.events.range()), [0, 1, 2]);
        deepEqual(payloads(tx.events.readByType("new", { reverse: true })), [2, 1]);
        deepEqual(tx.events.types(), ["new", "old"]);
        deepEqual(tx.events.verify(), { valid: true, length: 3 });
        equal(run.events.length, 1, "length on the run");
        equal(run.events.read(1), undefined, "event on the run");
        deepEqual(run.events.types(), ["old"]);
      });
      deepEqual(payloads(run.events.range()), [0, 1, 2]);
      deepEqual(run.events.verify(), { valid: true, length: 3 });
    }),
    onRun("an append that is rolled back leaves nothing and burns no sequence", (run) => {
      run.events.append("kept", 0);
      throwsCode("NOT_FOUND", () =>
        run.transaction((tx) => {
          tx.events.append("lost", 1);
          tx.kv.put("lost", 1);
          throw new HoldfastError("NOT_FOUND", "mine");
        }),
      );
      const transaction = run.begin();
      transaction.events.append("lost", 2);
      transaction.rollback();
      deepEqual([run.events.length, run.count()], [1, 1]);
      deepEqual(run.events.types(), ["kept"]);
      deepEqual(run.events.readByType("lost"), []);
      equal(run.events.append("next", 1).sequence, 1);
      deepEqual(run.events.verify(), { valid: true, length: 2 });
    }),
    onRun("events commit together with what else a transaction writes", async (run) => {
      await run.transactionAsync(async (tx) => {
        tx.events.append("a", 1);
        await Promise.resolve();
        tx.kv.put("a", tx.events.length);
        tx.state.set("a", tx.events.length);
      });
      deepEqual([run.kv.get("a"), run.state.read("a")?.value, run.events.length], [1, 1, 1]);
      throwsCode("VERSION_MISMATCH", () =>
        run.transaction((tx) => {
          tx.events.append("b", 2);
          tx.kv.put("a", 2, { ifVersion: 1_000_000_000 });
        }),
      );
      equal(run.events.length, 1);
    }),
    onRun("an append that is refused in a transaction leaves the rest of it whole", (run) => {
      run.transaction((tx) => {
        tx.events.append("a", 0);
        throwsCode("INVALID_VALUE", () => tx.events.append("b", undefined as unknown as Value));
        throwsCode("INVALID_KEY", () => tx.events.append("", 1));
        throwsCode("INVALID_ARGUMENT", () => tx.events.append("b", 1, { durability: "strict" }));
        tx.events.append("a", 1);
      });
      deepEqual(payloads(run.events.range()), [0, 1]);
      deepEqual(run.events.types(), ["a"]);
      deepEqual(run.events.verify(), { valid: true, length: 2 });
    }),
    onRun("a payload whose own code appends to the same transaction changes no order", (run) => {
      run.transaction((tx) => {
        const payload = new Proxy<Record<string, Value>>(
          { a: 1 },
          {
            ownKeys(target) {
              tx.events.append("inner", 0);
              return Reflect.ownKeys(target);
            },
          },
        );
        tx.events.append("outer", payload);
      });
      deepEqual([...run.events.range()].at(-1)?.type, "outer");
      deepEqual(run.events.verify(), { valid: true, length: run.events.length });
    }),
  ];
}

function conflictCases(): Case[] {
  return [
    onRun("two transactions that append are in conflict; an append on the run never is", (run) => {
      const transaction = run.begin();
      transaction.events.append("mine", 0);
      equal(run.events.append("theirs", 0).sequence, 0);
      throwsCode("CONFLICT", () => transaction.commit());
      deepEqual(run.events.types(), ["theirs"]);
      equal(run.events.append("mine", 1).sequence, 1);
    }),
    onRun("whoever has read an event, or a range inside the log, is in no conflict with an append", (run) => {
      appendMany(run, 10);
      const reads: ((tx: { events: EventLogReader }) => unknown)[] = [
        ({ events }) => events.read(9),
        ({ events }) => [...events.range(2, 10)],
        ({ events }) => [...events.range(4, 5)],
      ];
      for (const [i, read] of reads.entries()) {
        const transaction = run.begin();
        read(transaction);
        transaction.kv.put(`read-${i}`, true);
        run.events.append("step", "more");
        transaction.commit();
      }
      equal(run.kv.count(), 3);
    }),
    onRun("whoever has read where the log ends is in conflict with an append", (run) => {
      const reads: ((tx: { events: EventLogReader }) => unknown)[] = [
        ({ events }) => events.length,
        ({ events }) => events.head(),
        ({ events }) => [...events.range()],
        ({ events }) => [...events.range(0, 1000)],
        ({ events }) => events.read(run.events.length),
        ({ events }) => events.readByType("step"),
        ({ events }) => events.verify(),
      ];
      for (const read of reads) {
        const transaction = run.begin();
        read(transaction);
        transaction.kv.put("lost", true);
        run.events.append("step", 0);
        throwsCode("CONFLICT", () => transaction.commit());
      }
      equal(run.kv.has("lost"), false);
    }),
    onRun("whoever has read the types is in conflict with a new one only", (run) => {
      run.events.append("a", 0);
      const read = (type: string): (() => void) => {
        const transaction = run.begin();
        deepEqual(transaction.events.types(), ["a"]);
        transaction.kv.put("read", type);
        run.events.append(type, 1);
        return () => transaction.commit();
      };
      read("a")();
      throwsCode("CONFLICT", read("b"));
      equal(run.kv.get("read"), "a");
    }),
    onRun("whoever has read one type is in no conflict with another", (run) => {
      run.events.append("a", 0);
      run.events.append("b", 0);
      const transaction = run.begin();
      equal(transaction.events.readByType("a").length, 1);
      transaction.kv.put("read", true);
      run.events.append("b", 1);
      transaction.commit();
      equal(run.kv.has("read"), true);
    }),
    onRun("asynchronous transactions that append all get through with retry", async (run) => {
      const append = (i: number): Promise<number> =>
        run.transactionAsync((tx) => tx.events.append("step", i).sequence, { retry: { attempts: 100, baseMs: 1 } });
      const given = await Promise.all(upTo(20).map(append));
      deepEqual(
        given.sort((a, b) => a - b),
        upTo(20),
      );
      deepEqual(run.events.verify(), { valid: true, length: 20 });
    }),
  ];
}

function snapshotCases(): Case[] {
  return [
    onRun("a snapshot holds the log as it was", (run, db) => {
      appendMany(run, 300, ["a", "b"]);
      const [snapshot, whole] = [run.snapshot(), db.snapshot()];
      const range = snapshot.events.range();
      appendMany(run, 300, ["b", "c"]);
      for (const { events } of [snapshot, whole.run(RUN)]) {
        equal(events.length, 300);
        equal(events.head()?.sequence, 299);
        equal(events.read(300), undefined);
        deepEqual(payloads(events.range()), upTo(300));
        equal(events.readByType("b").length, 150);
        deepEqual(events.types(), ["a", "b"]);
        deepEqual(events.verify(), { valid: true, length: 300 });
      }
      equal([...range].length, 300);
      equal("append" in snapshot.events, false, "append on a snapshot");
      snapshot.dispose();
      whole.dispose();
      throwsCode("TRANSACTION_CLOSED", () => snapshot.events.length);
      throwsCode("TRANSACTION_CLOSED", () => [...range]);
    }),
  ];
}

/** An object that throws whatever is done with it. */
function revoked(target: object): never {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy as never;
}

function refusalCases(): Case[] {
  const loose = (value: unknown): never => value as never;
  return [
    onRun("a type that is none is INVALID_KEY, wherever it is given", (run) => {
      for (const type of ["", "x".repeat(257), "é".repeat(129), "\uD800", 7, null, undefined, {}, ["a"]].map(loose)) {
        throwsCode("INVALID_KEY", () => run.events.append(type, 1));
        throwsCode("INVALID_KEY", () => run.events.readByType(type));
      }
      equal(run.events.length, 0);
    }),
    onRun("a payload that is no value is INVALID_VALUE, with the path to it from the payload itself", (run, db) => {
      const path = (payload: unknown): unknown =>
        throwsCode("INVALID_VALUE", () => run.events.append("a", loose(payload))).details["path"];
      equal(path(undefined), "$");
      equal(path({ a: [1, () => 1] }), "$.a[1]");
      equal(path(new Date()), "$");
      throwsCode("INVALID_VALUE", () => run.events.append("a", nested(64)));
      throwsCode("VALUE_TOO_LARGE", () => run.events.append("a", new Uint8Array(16 * 1024 * 1024)));
      equal(db.stats().runs, 0, "runs after refusals");
      run.events.append("a", nested(63));
      run.events.append("a", hostileObject());
      deepEqual(payloads(run.events.range()), [nested(63), hostileObject()]);
    }),
    onRun("a sequence that is none is INVALID_ARGUMENT", (run) => {
      for (const bad of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, "0", null, 1n, {}].map(loose)) {
        throwsCode("INVALID_ARGUMENT", () => run.events.read(bad));
        throwsCode("INVALID_ARGUMENT", () => run.events.range(bad));
        throwsCode("INVALID_ARGUMENT", () => run.events.range(0, bad));
      }
      throwsCode("INVALID_ARGUMENT", () => run.events.read(loose(undefined)));
    }),
    onRun("what throws when it is looked at gives a typed error", (run) => {
      throwsCode("INVALID_VALUE", () => run.events.append("a", revoked({})));
      throwsCode("INVALID_VALUE", () => run.events.append("a", [revoked([])]));
      throwsCode("INVALID_ARGUMENT", () => run.events.append("a", 1, revoked({})));
      throwsCode("INVALID_ARGUMENT", () => run.events.readByType("a", revoked({})));
      throwsCode("INVALID_KEY", () => run.events.append(revoked({}), 1));
      throwsCode("INVALID_ARGUMENT", () => run.events.range(revoked({})));
      equal(run.events.length, 0);
    }),
    onRun("options that there are not are INVALID_ARGUMENT", (run) => {
      for (const bad of [null, 1, "strict", { durable: true }, { durability: "maybe" }].map(loose)) {
        throwsCode("INVALID_ARGUMENT", () => run.events.append("a", 1, bad));
      }
      for (const bad of [null, { reverse: 1 }, { limit: -1 }, { limit: "1" }, { prefix: "a" }].map(loose)) {
        throwsCode("INVALID_ARGUMENT", () => run.events.readByType("a", bad));
      }
      equal(run.events.length, 0);
      run.events.append("a", 1, { durability: "in-memory" });
      equal(run.events.length, 1);
    }),
    onRun(
      "the durability of an append is handed on: a storage that cannot keep it refuses, and nothing has changed",
      (run, db, context) => {
        const { capabilities } = context;
        const uses = (options: StepOptions): (() => unknown)[] => [() => run.events.append("a", 1, options)];
        const strict = { durability: "strict" } as const;
        const before = db.stats().syncs;
        for (const use of uses(strict)) {
          if (capabilities.syncFlush) use();
          else throwsCode("SYNC_COMMIT_UNSUPPORTED", use);
        }
        if (capabilities.syncFlush) ok(db.stats().syncs > before, "a sync");
        else equal(run.events.length, 0);
      },
    ),
    onRun("a closed database appends and reads nothing", async (run, db) => {
      run.events.append("a", 1);
      const range = run.events.range();
      await db.close();
      throwsCode("CLOSED", () => run.events.append("a", 1));
      throwsCode("CLOSED", () => run.events.read(0));
      throwsCode("CLOSED", () => run.events.length);
      throwsCode("CLOSED", () => run.events.verify());
      throwsCode("CLOSED", () => [...range]);
    }),
  ];
}
