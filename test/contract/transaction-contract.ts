/**
 * Transactions: all or nothing, serializable within a run, and what each way of ending one does.
 */
import { type Database, HoldfastError, type Run, type Transaction } from "../../src/index.js";
import { deepEqual, equal, ok, rejectsCode, throwsCode } from "./assert.js";
import type { Case, Context } from "./context.js";
import { gateway, pause, RUN, spin } from "./samples.js";

/** The whole suite. */
export function transactionContract(): Case[] {
  return [
    ...callbackCases(),
    ...handleCases(),
    ...conflictCases(),
    ...retryCases(),
    ...timeCases(),
    ...asyncCases(),
    ...abortCases(),
    ...crossRunCases(),
  ];
}

function on(name: string, use: (run: Run, db: Database, context: Context) => Promise<void> | void): Case {
  return {
    name,
    async run(context) {
      const db = await context.open();
      await use(db.run(RUN), db, context);
    },
  };
}

function callbackCases(): Case[] {
  return [
    on("what the callback returns is passed through, whatever it is", (run) => {
      const result = { any: () => 1 };
      equal(
        run.transaction(() => result),
        result,
      );
      equal(
        run.transaction((tx) => tx.kv.put("a", 1)),
        0,
        "put inside a transaction has no version yet, so it",
      );
      equal(
        run.transaction(() => undefined),
        undefined,
      );
      equal(
        run.transaction(() => null),
        null,
      );
    }),
    on("a throw rolls back and passes through as it is", (run, db) => {
      run.kv.put("kept", 1);
      const version = run.version;
      for (const thrown of [new Error("mine"), "a string", undefined, null, 7]) {
        let caught: unknown = "nothing";
        try {
          run.transaction((tx) => {
            tx.kv.put("lost", 1);
            tx.kv.delete("kept");
            throw thrown;
          });
        } catch (error) {
          caught = error;
        }
        equal(caught, thrown, "what was thrown");
      }
      deepEqual(run.kv.list(), [["kept", 1]]);
      equal(run.version, version);
      equal(db.verify().valid, true, "verify");
    }),
    on("it reads its own writes, in every way of reading, and nobody else does before the commit", (run) => {
      run.transaction((setup) => {
        setup.kv.put("a", 1);
        setup.kv.put("b", 2);
      });
      run.transaction((tx) => {
        tx.kv.put("a", 10);
        tx.kv.delete("b");
        tx.kv.put("c", 30);
        equal(tx.kv.get("a"), 10);
        deepEqual(tx.kv.getVersioned("a"), { value: 10, version: 0 });
        equal(tx.kv.has("b"), false);
        deepEqual(tx.kv.getMany(["a", "b", "c"]), [10, undefined, 30]);
        deepEqual(tx.kv.list({ reverse: true }), [
          ["c", 30],
          ["a", 10],
        ]);
        deepEqual(tx.kv.keys({ start: "b" }), ["c"]);
        equal(tx.kv.count(), 2);
        equal(tx.kv.count("c"), 1);
        equal(tx.kv.delete("b"), false, "a second delete");
        tx.kv.put("b", 20);
        equal(tx.kv.delete("b"), true, "deleting what it wrote itself");
        deepEqual(run.kv.list(), [
          ["a", 1],
          ["b", 2],
        ]);
      });
      deepEqual(run.kv.list(), [
        ["a", 10],
        ["c", 30],
      ]);
    }),
    on("a callback that returns a promise is refused and rolled back", async (run) => {
      const error = throwsCode("INVALID_ARGUMENT", () =>
        run.transaction((tx) => {
          tx.kv.put("lost", 1);
          return Promise.resolve(1);
        }),
      );
      ok(error.message.includes("transactionAsync"), `the message to name transactionAsync: ${error.message}`);
      throwsCode("INVALID_ARGUMENT", () =>
        run.transaction((tx) => {
          tx.kv.put("lost", 1);
          // biome-ignore lint/suspicious/noThenProperty: anything with a then is taken for a promise
          return { then: () => {} };
        }),
      );
      equal(run.kv.has("lost"), false);
    }),
    on("the callback may end the transaction itself", (run) => {
      const version = run.transaction((tx) => {
        tx.kv.put("a", 1);
        return tx.commit();
      });
      equal(run.kv.getVersioned("a")?.version, version);
      equal(
        run.transaction((tx) => {
          tx.kv.put("a", 2);
          tx.rollback();
          return "rolled back";
        }),
        "rolled back",
      );
      equal(run.kv.get("a"), 1);
    }),
    on("a transaction of nothing but reads commits without a version of its own", (run) => {
      const version = run.kv.put("a", 1);
      const transaction = run.begin();
      equal(transaction.kv.get("a"), 1);
      equal(transaction.commit(), version);
      equal(run.version, version);
    }),
  ];
}

/** Every call on a transaction's handle that needs it to be open. */
function usesOf(transaction: Transaction): readonly (() => unknown)[] {
  return [
    () => transaction.kv.get("a"),
    () => transaction.kv.getVersioned("a"),
    () => transaction.kv.getMany(["a"]),
    () => transaction.kv.has("a"),
    () => transaction.kv.list(),
    () => transaction.kv.keys(),
    () => transaction.kv.count(),
    () => transaction.kv.count("a"),
    () => transaction.kv.put("a", 1),
    () => transaction.kv.put("a", 1, { ifVersion: null }),
    () => transaction.kv.delete("a"),
    () => transaction.commit(),
  ];
}

function requireClosed(transaction: Transaction): void {
  equal(transaction.isOpen, false, "isOpen");
  for (const use of usesOf(transaction)) throwsCode("TRANSACTION_CLOSED", use);
  transaction.rollback();
}

function handleCases(): Case[] {
  return [
    on("begin, commit: visible at once, with the version that commit returns", (run) => {
      const transaction = run.begin();
      equal(transaction.isOpen, true);
      transaction.kv.put("a", 1);
      equal(run.kv.get("a"), undefined, "before the commit");
      const version = transaction.commit();
      deepEqual(run.kv.getVersioned("a"), { value: 1, version });
      requireClosed(transaction);
      equal(run.kv.get("a"), 1);
    }),
    on("begin, rollback: nothing has happened, and a second rollback is none", (run) => {
      const transaction = run.begin();
      transaction.kv.put("a", 1);
      transaction.rollback();
      transaction.rollback();
      equal(run.kv.get("a"), undefined);
      requireClosed(transaction);
    }),
    on("leaving the scope of a transaction rolls it back unless it was committed", (run) => {
      const left = run.begin();
      left.kv.put("a", 1);
      left[Symbol.dispose]();
      equal(run.kv.get("a"), undefined, "without a commit");
      const committed = run.begin();
      committed.kv.put("a", 2);
      committed.commit();
      committed[Symbol.dispose]();
      equal(run.kv.get("a"), 2, "with a commit");
    }),
    on("a handle that leaks out of its callback acts in nobody's transaction", async (run) => {
      const leaked: Transaction[] = [];
      run.transaction((tx) => leaked.push(tx));
      throwsCode("NOT_FOUND", () =>
        run.transaction((tx) => {
          leaked.push(tx);
          throw new HoldfastError("NOT_FOUND", "mine");
        }),
      );
      await run.transactionAsync((tx) => leaked.push(tx));
      // The core pools what is behind a handle, so that the next transaction has what these have had.
      const next = run.begin();
      next.kv.put("a", "of the next");
      for (const transaction of leaked) requireClosed(transaction);
      next.commit();
      deepEqual(run.kv.list(), [["a", "of the next"]]);
    }),
    on("a hundred open at once, ended in any order, each keep their own", (run, db) => {
      const open = Array.from({ length: 100 }, () => run.begin());
      for (const [i, transaction] of open.entries()) transaction.kv.put(`key-${i}`, i);
      for (const [i, transaction] of open.entries()) {
        deepEqual(transaction.kv.keys(), [`key-${i}`], `what ${i} sees`);
        equal(run.kv.has(`key-${i}`), false);
      }
      for (let i = 0; i < 100; i += 2) (open[i] as Transaction).rollback();
      // Each has listed the run, so whoever commits first makes all others conflict.
      (open[99] as Transaction).commit();
      throwsCode("CONFLICT", () => (open[1] as Transaction).commit());
      for (let i = 3; i < 99; i += 2) (open[i] as Transaction).rollback();
      deepEqual(run.kv.keys(), ["key-99"]);
      equal(db.verify().valid, true, "verify");
    }),
    on("a write in a transaction has no durability of its own", (run) => {
      run.transaction((tx) => {
        throwsCode("INVALID_ARGUMENT", () => tx.kv.put("a", 1, { durability: "in-memory" }));
        throwsCode("INVALID_ARGUMENT", () => tx.kv.delete("a", { durability: "in-memory" }));
      });
    }),
  ];
}

/** Reads in one of the ways there are, then lets somebody else write, then commits a write of its own. */
interface Race {
  readonly name: string;
  readonly read: (tx: Transaction) => unknown;
  readonly meanwhile: (run: Run) => unknown;
  readonly conflicts: boolean;
}

const RACES: readonly Race[] = [
  { name: "get", read: (tx) => tx.kv.get("a"), meanwhile: (run) => run.kv.put("a", 2), conflicts: true },
  { name: "get, same value", read: (tx) => tx.kv.get("a"), meanwhile: (run) => run.kv.put("a", 1), conflicts: true },
  { name: "get, deleted", read: (tx) => tx.kv.get("a"), meanwhile: (run) => run.kv.delete("a"), conflicts: true },
  { name: "get of nothing", read: (tx) => tx.kv.get("x"), meanwhile: (run) => run.kv.put("x", 2), conflicts: true },
  { name: "has", read: (tx) => tx.kv.has("a"), meanwhile: (run) => run.kv.put("a", 2), conflicts: true },
  { name: "getVersioned", read: (tx) => tx.kv.getVersioned("a"), meanwhile: (r) => r.kv.put("a", 2), conflicts: true },
  { name: "getMany", read: (tx) => tx.kv.getMany(["x", "a"]), meanwhile: (r) => r.kv.put("a", 2), conflicts: true },
  { name: "list, phantom", read: (tx) => tx.kv.list(), meanwhile: (run) => run.kv.put("x", 2), conflicts: true },
  { name: "keys, phantom", read: (tx) => tx.kv.keys(), meanwhile: (run) => run.kv.put("x", 2), conflicts: true },
  { name: "count, phantom", read: (tx) => tx.kv.count(), meanwhile: (run) => run.kv.put("x", 2), conflicts: true },
  { name: "list, deleted", read: (tx) => tx.kv.list(), meanwhile: (run) => run.kv.delete("b"), conflicts: true },
  { name: "count, deleted", read: (tx) => tx.kv.count("b"), meanwhile: (run) => run.kv.delete("b"), conflicts: true },
  { name: "list of values", read: (tx) => tx.kv.list(), meanwhile: (run) => run.kv.put("b", 9), conflicts: true },
  { name: "prefix", read: (tx) => tx.kv.keys({ prefix: "p:" }), meanwhile: (r) => r.kv.put("p:1", 2), conflicts: true },
  { name: "delete of nothing", read: (tx) => tx.kv.delete("x"), meanwhile: (r) => r.kv.put("x", 2), conflicts: true },
  {
    name: "beside a prefix",
    read: (tx) => tx.kv.keys({ prefix: "p:" }),
    meanwhile: (r) => r.kv.put("q", 2),
    conflicts: false,
  },
  {
    name: "beside a range",
    read: (tx) => tx.kv.list({ start: "a", end: "b" }),
    meanwhile: (r) => r.kv.put("b", 2),
    conflicts: false,
  },
  {
    name: "get of another key",
    read: (tx) => tx.kv.get("b"),
    meanwhile: (run) => run.kv.put("a", 2),
    conflicts: false,
  },
  {
    name: "own write",
    read: (tx) => {
      tx.kv.put("a", 5);
      tx.kv.get("a");
    },
    meanwhile: (r) => r.kv.put("a", 2),
    conflicts: false,
  },
];

function conflictCases(): Case[] {
  const races = RACES.map(({ name, read, meanwhile, conflicts }) =>
    on(`${conflicts ? "a conflict" : "no conflict"}: ${name}`, (run) => {
      run.transaction((setup) => {
        setup.kv.put("a", 1);
        setup.kv.put("b", 1);
      });
      const transaction = run.begin();
      read(transaction);
      transaction.kv.put("mine", 1);
      meanwhile(run);
      if (conflicts) throwsCode("CONFLICT", () => transaction.commit());
      else transaction.commit();
      requireClosed(transaction);
      equal(run.kv.has("mine"), !conflicts, "whether it was written");
    }),
  );
  return [
    ...races,
    on("blind writes never conflict, and the last to commit wins", (run) => {
      const [first, second] = [run.begin(), run.begin()];
      first.kv.put("a", "first");
      second.kv.put("a", "second");
      second.commit();
      first.commit();
      equal(run.kv.get("a"), "first");
    }),
    on("reads alone never conflict, and stay as of the beginning", (run) => {
      run.kv.put("a", 1);
      const reader = run.begin();
      run.kv.put("a", 2);
      run.kv.put("b", 2);
      equal(reader.kv.get("a"), 1);
      deepEqual(reader.kv.list(), [["a", 1]]);
      reader.commit();
    }),
    on("write skew is a conflict", (run) => {
      run.transaction((setup) => {
        setup.kv.put("on call: ada", true);
        setup.kv.put("on call: bob", true);
      });
      const leave = (who: string): Transaction => {
        const transaction = run.begin();
        if (transaction.kv.list({ prefix: "on call:" }).filter(([, value]) => value).length > 1) {
          transaction.kv.put(`on call: ${who}`, false);
        }
        return transaction;
      };
      const [ada, bob] = [leave("ada"), leave("bob")];
      ada.commit();
      throwsCode("CONFLICT", () => bob.commit());
      deepEqual(run.kv.getMany(["on call: ada", "on call: bob"]), [false, true]);
    }),
  ];
}

function retryCases(): Case[] {
  return [
    on("a conflict is thrown and not retried unless retry says so", (run) => {
      let attempts = 0;
      throwsCode("CONFLICT", () =>
        run.transaction((tx) => {
          attempts++;
          tx.kv.get("a");
          run.kv.put("a", attempts);
          tx.kv.put("b", attempts);
        }),
      );
      equal(attempts, 1);
      equal(run.kv.has("b"), false);
    }),
    on("retry runs it again with a new transaction, until it succeeds or attempts are used up", (run) => {
      const disturb = (times: number): { attempts: number; result: unknown } => {
        let attempts = 0;
        const result = run.transaction(
          (tx) => {
            attempts++;
            const seen = tx.kv.get("a");
            if (attempts <= times) run.kv.put("a", attempts);
            tx.kv.put("b", seen ?? null);
            return `attempt ${attempts}`;
          },
          { retry: { attempts: 3 } },
        );
        return { attempts, result };
      };
      deepEqual(disturb(2), { attempts: 3, result: "attempt 3" });
      equal(run.kv.get("b"), 2);
      throwsCode("CONFLICT", () => disturb(3));
    }),
    on("only conflicts are retried", (run) => {
      let attempts = 0;
      const options = { retry: { attempts: 5, baseMs: 0 } };
      throwsCode("VERSION_MISMATCH", () =>
        run.transaction((tx) => {
          attempts++;
          tx.kv.put("a", 1, { ifVersion: 99 });
        }, options),
      );
      equal(attempts, 1);
    }),
    on("one that its callback has committed is not run again, though a conflict comes out of that", (run, db) => {
      const other = db.run("other");
      let attempts = 0;
      throwsCode("CONFLICT", () =>
        run.transaction(
          (tx) => {
            attempts++;
            tx.kv.put("n", ((tx.kv.get("n") as number | undefined) ?? 0) + 1);
            tx.commit();
            other.transaction((its) => {
              its.kv.get("a");
              other.kv.put("a", attempts);
              its.kv.put("b", attempts);
            });
          },
          { retry: { attempts: 3, baseMs: 0 } },
        ),
      );
      deepEqual([attempts, run.kv.get("n"), other.kv.list()], [1, 1, [["a", 1]]]);
    }),
    on("one whose callback has met a conflict in its own commit, or rolled it back, is run again", (run) => {
      for (const end of ["commit", "rollback"] as const) {
        let attempts = 0;
        run.transaction(
          (tx) => {
            attempts++;
            tx.kv.get("a");
            if (attempts < 3) run.kv.put("a", attempts);
            tx.kv.put("b", attempts);
            if (end === "commit" || attempts === 3) tx.commit();
            else {
              tx.rollback();
              run.transaction((its) => {
                its.kv.get("a");
                run.kv.put("a", 0);
                its.kv.put("b", 0);
              });
            }
          },
          { retry: { attempts: 3, baseMs: 0 } },
        );
        deepEqual([attempts, run.kv.get("b")], [3, 3], end);
      }
    }),
    on("asynchronous transactions that want the same key all get through with retry", async (run) => {
      const increment = async (): Promise<void> => {
        await run.transactionAsync(
          async (tx) => {
            const count = (tx.kv.get("count") as number | undefined) ?? 0;
            await Promise.resolve();
            tx.kv.put("count", count + 1);
          },
          { retry: { attempts: 100, baseMs: 1, maxMs: 5 } },
        );
      };
      await Promise.all(Array.from({ length: 20 }, increment));
      equal(run.kv.get("count"), 20);
    }),
  ];
}

function timeCases(): Case[] {
  return [
    on("timeoutMs: too late for its commit is TIMEOUT, and nothing has changed", async (run) => {
      const slow = (tx: Transaction): void => {
        tx.kv.put("a", 1);
        spin(8);
      };
      throwsCode("TIMEOUT", () => run.transaction(slow, { timeoutMs: 1 }));
      const transaction = run.begin({ timeoutMs: 1 });
      slow(transaction);
      throwsCode("TIMEOUT", () => transaction.commit());
      requireClosed(transaction);
      await rejectsCode("TIMEOUT", () =>
        run.transactionAsync(
          async (tx) => {
            tx.kv.put("a", 1);
            await pause(15);
          },
          { timeoutMs: 1 },
        ),
      );
      equal(run.kv.has("a"), false);
      run.transaction(slow, { timeoutMs: 5000 });
      equal(run.kv.get("a"), 1);
    }),
  ];
}

function asyncCases(): Case[] {
  return [
    on("transactionAsync resolves with what its callback returns, and what it wrote is there", async (run) => {
      const result = await run.transactionAsync(async (tx) => {
        tx.kv.put("a", 1);
        await pause(1);
        equal(tx.kv.get("a"), 1, "own write after a pause");
        return "done";
      });
      equal(result, "done");
      equal(run.kv.get("a"), 1);
      equal(await run.transactionAsync((tx) => tx.kv.get("a")), 1, "with a synchronous callback");
    }),
    on("transactionAsync rolls back on a rejection, which passes through", async (run) => {
      const mine = new Error("mine");
      for (const body of [
        async (tx: Transaction) => {
          tx.kv.put("lost", 1);
          await pause(1);
          throw mine;
        },
        (tx: Transaction) => {
          tx.kv.put("lost", 1);
          throw mine;
        },
      ]) {
        const caught = await run.transactionAsync(body).then(
          () => "nothing",
          (error: unknown) => error,
        );
        equal(caught, mine, "the rejection");
      }
      equal(run.kv.has("lost"), false);
    }),
    on("transactionAsync commits by itself: commit in it is refused, rollback leaves nothing", async (run) => {
      await run.transactionAsync((tx) => {
        throwsCode("INVALID_ARGUMENT", () => tx.commit());
        tx.kv.put("a", 1);
      });
      equal(run.kv.get("a"), 1);
      equal(
        await run.transactionAsync((tx) => {
          tx.kv.put("a", 2);
          tx.rollback();
          return "rolled back";
        }),
        "rolled back",
      );
      equal(run.kv.get("a"), 1);
    }),
    on("transactionAsync meets a conflict as any other transaction does", async (run) => {
      run.kv.put("a", 1);
      await rejectsCode("CONFLICT", () =>
        run.transactionAsync(async (tx) => {
          tx.kv.get("a");
          await pause(1);
          run.kv.put("a", 2);
          tx.kv.put("b", 1);
        }),
      );
      equal(run.kv.has("b"), false);
    }),
    on("synchronous work goes on beside asynchronous transactions that are waiting", async (run) => {
      const gate = gateway();
      const waiting = run.transactionAsync(async (tx) => {
        tx.kv.put("slow", 1);
        await gate.passed;
      });
      for (let i = 0; i < 10; i++) run.kv.put("fast", i);
      equal(run.kv.get("slow"), undefined);
      gate.open();
      await waiting;
      deepEqual(run.kv.list(), [
        ["fast", 9],
        ["slow", 1],
      ]);
    }),
  ];
}

function abortCases(): Case[] {
  return [
    on("a signal that has fired before ends it before the callback runs", async (run) => {
      let ran = false;
      const reason = new Error("no more");
      const error = await rejectsCode("TIMEOUT", () =>
        run.transactionAsync(
          () => {
            ran = true;
          },
          { signal: AbortSignal.abort(reason) },
        ),
      );
      equal(ran, false, "whether it ran");
      equal(error.cause, reason, "cause");
    }),
    on("a signal that fires during the callback rolls it back", async (run) => {
      const controller = new AbortController();
      await rejectsCode("TIMEOUT", () =>
        run.transactionAsync(
          async (tx) => {
            tx.kv.put("lost", 1);
            await pause(1);
            controller.abort();
          },
          { signal: controller.signal },
        ),
      );
      equal(run.kv.has("lost"), false);
    }),
    on("a signal ends the wait between two attempts", async (run) => {
      const controller = new AbortController();
      let attempts = 0;
      const start = performance.now();
      setTimeout(() => controller.abort(), 30);
      await rejectsCode("TIMEOUT", () =>
        run.transactionAsync(
          (tx) => {
            attempts++;
            tx.kv.get("a");
            run.kv.put("a", attempts);
            tx.kv.put("b", 1);
          },
          { signal: controller.signal, retry: { attempts: 2, baseMs: 60_000, maxMs: 60_000 } },
        ),
      );
      equal(attempts, 1, "attempts");
      ok(performance.now() - start < 5000, "not to wait for the whole delay");
      equal(run.kv.has("b"), false);
    }),
  ];
}

function crossRunCases(): Case[] {
  return [
    on("another run can be used inside a transaction, and lives and dies by itself", (run, db) => {
      const other = db.run("other");
      throwsCode("NOT_FOUND", () =>
        run.transaction((tx) => {
          tx.kv.put("a", 1);
          other.kv.put("direct", 1);
          other.transaction((inner) => {
            inner.kv.put("nested", 1);
            equal(inner.kv.has("a"), false, "seeing the outer one's write");
            tx.kv.put("from within", 1);
          });
          equal(other.kv.count(), 2);
          throw new HoldfastError("NOT_FOUND", "mine");
        }),
      );
      equal(run.kv.count(), 0);
      deepEqual(other.kv.keys(), ["direct", "nested"]);
    }),
    on("transactions of different runs never conflict", (run, db) => {
      const [here, there] = [run.begin(), db.run("other").begin()];
      for (const tx of [here, there]) {
        tx.kv.list();
        tx.kv.get("a");
        tx.kv.put("a", 1);
      }
      here.commit();
      there.commit();
      equal(db.totalCount(), 2);
    }),
    on("a nested transaction of the same run is a transaction of its own", (run) => {
      run.transaction((outer) => {
        outer.kv.put("outer", 1);
        run.transaction((inner) => {
          equal(inner.kv.has("outer"), false, "seeing what is not committed");
          inner.kv.put("inner", 1);
        });
        equal(run.kv.get("inner"), 1);
      });
      throwsCode("CONFLICT", () =>
        run.transaction((outer) => {
          run.transaction((inner) => inner.kv.put("inner", 2));
          equal(outer.kv.get("inner"), 1, "seeing what came after its beginning");
          outer.kv.put("outer", 2);
        }),
      );
      deepEqual(run.kv.getMany(["inner", "outer"]), [2, 1]);
    }),
    on("close ends open transactions, and waits for asynchronous ones", async (run, db) => {
      const open = run.begin();
      open.kv.put("lost", 1);
      const gate = gateway();
      const waiting = run.transactionAsync(async (tx) => {
        await gate.passed;
        tx.kv.put("kept", 1);
        return "committed";
      });
      const closing = db.close();
      throwsCode("CLOSED", () => run.begin());
      throwsCode("CLOSED", () => run.kv.put("a", 1));
      gate.open();
      equal(await waiting, "committed");
      await closing;
      throwsCode("CLOSED", () => open.kv.get("a"));
      throwsCode("CLOSED", () => open.commit());
      open.rollback();
    }),
  ];
}
