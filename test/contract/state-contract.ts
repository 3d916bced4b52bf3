/**
 * State cells: compared before they are changed, with versions that never stand for two values.
 */
import {
  type Cell,
  type Database,
  HoldfastError,
  type Run,
  type StateCellsReader,
  type StepOptions,
  type Value,
} from "../../src/index.js";
import { deepEqual, equal, ok, throwsCode } from "./assert.js";
import type { Case } from "./context.js";
import { byUtf8, eachView, HOSTILE_KEYS, nested, onRun, RUN, sampleValues } from "./samples.js";

/** The whole suite. */
export function stateContract(): Case[] {
  return [
    ...writeCases(),
    ...casCases(),
    ...transitionCases(),
    ...listCases(),
    ...transactionCases(),
    ...snapshotCases(),
    ...refusalCases(),
  ];
}

/** Lets `check` read through every view there is; each must show the same. */
function throughEveryView(db: Database, check: (state: StateCellsReader, view: string) => void): void {
  eachView(db, (views, view) => check(views.state, view));
}

/** What a cell holds, without the time. */
function held(cell: Cell | undefined): [Value, number] | undefined {
  return cell === undefined ? undefined : [cell.value, cell.version];
}

const loose = (value: unknown): never => value as never;

function writeCases(): Case[] {
  return [
    onRun("what is missing is undefined, false or empty, and a delete of it does nothing", (run, db) => {
      throughEveryView(db, (state, view) => {
        equal(state.read("missing"), undefined, view);
        equal(state.has("missing"), false, view);
        deepEqual(state.list(), [], view);
        deepEqual(state.keys(), [], view);
        equal(state.count(), 0, view);
      });
      equal(run.state.delete("missing"), false);
      equal(db.stats().runs, 0, "runs");
    }),
    onRun("init makes a cell at version 1, once", (run, db) => {
      const before = Date.now();
      equal(run.state.init("phase", "plan"), 1);
      const after = Date.now();
      const error = throwsCode("ALREADY_EXISTS", () => run.state.init("phase", "other"));
      deepEqual([error.details["name"], error.details["version"]], ["phase", 1]);
      throughEveryView(db, (state, view) => {
        const cell = state.read("phase") as Cell;
        deepEqual(held(cell), ["plan", 1], view);
        ok(
          before <= cell.updatedAt && cell.updatedAt <= after,
          `updatedAt to be the time of the write: ${cell.updatedAt}`,
        );
        equal(state.has("phase"), true, view);
      });
    }),
    onRun("set makes a cell or writes over it, one version further each time", (run) => {
      deepEqual([run.state.set("a", 1), run.state.set("a", 2), run.state.set("a", 2)], [1, 2, 3]);
      run.kv.put("unrelated", 1);
      equal(run.state.set("b", 1), 1, "version of another cell");
      deepEqual(held(run.state.read("a")), [2, 3]);
    }),
    onRun("a deleted cell that is made again goes on counting, however it is made and however often", (run) => {
      run.state.init("a", "first");
      run.state.set("a", "second");
      equal(run.state.delete("a"), true);
      equal(run.state.delete("a"), false, "second delete");
      equal(run.state.has("a"), false);
      equal(run.state.init("a", "third"), 3);
      throwsCode("VERSION_MISMATCH", () => run.state.cas("a", 2, "stale"));
      run.state.delete("a");
      equal(run.state.set("a", "fourth"), 4);
      run.state.delete("a");
      equal(
        run.state.transitionOrInit("a", "fifth", (value) => [value, value]),
        "fifth",
      );
      deepEqual(held(run.state.read("a")), ["fifth", 5]);
      run.state.delete("a");
      run.state.init("a", "sixth");
      equal(run.state.set("a", "seventh"), 7);
    }),
    onRun("a value is any, and comes back as it was, independent of what was given", (run, db) => {
      const values = sampleValues().filter(([name]) => name !== "64 levels");
      for (const [name, value] of values) run.state.set(name, value);
      throughEveryView(db, (state, view) => {
        for (const [name, value] of values) deepEqual(state.read(name)?.value, value, `${view} ${name}`);
      });
      const given = { list: [1] };
      run.state.set("given", given);
      given.list.push(2);
      ((run.state.read("given") as Cell).value as typeof given).list.push(3);
      deepEqual(run.state.read("given")?.value, { list: [1] });
    }),
    onRun("live cells count among the entries of the run, deleted ones do not", (run, db) => {
      for (const name of ["a", "b", "c"]) run.state.set(name, 1);
      run.state.set("a", 2);
      equal(run.count(), 3);
      run.state.delete("a");
      deepEqual([run.count(), run.state.count(), db.totalCount()], [2, 2, 2]);
      run.state.init("a", 3);
      deepEqual([run.count(), run.state.count()], [3, 3]);
    }),
    {
      name: "cells, and the versions of deleted ones, are there again after a close",
      needs: ({ persistent }) => persistent,
      async run(context) {
        const db = await context.open();
        db.run(RUN).state.set("kept", { a: 1 });
        db.run(RUN).state.set("deleted", 1);
        db.run(RUN).state.delete("deleted");
        const cell = db.run(RUN).state.read("kept");
        const { state } = (await context.reopen()).run(RUN);
        deepEqual(state.read("kept"), cell);
        equal(state.init("deleted", 2), 2);
      },
    },
  ];
}

function casCases(): Case[] {
  return [
    onRun("cas writes only at the version that was expected", (run) => {
      run.state.init("a", 1);
      equal(run.state.cas("a", 1, 2), 2);
      const error = throwsCode("VERSION_MISMATCH", () => run.state.cas("a", 1, 3));
      deepEqual([error.details["name"], error.details["expected"], error.details["actual"]], ["a", 1, 2]);
      throwsCode("VERSION_MISMATCH", () => run.state.cas("a", 3, 3));
      deepEqual(held(run.state.read("a")), [2, 2]);
    }),
    onRun("cas of a cell that is missing is NOT_FOUND", (run, db) => {
      equal(throwsCode("NOT_FOUND", () => run.state.cas("a", 1, 1)).details["name"], "a");
      equal(db.stats().runs, 0, "runs");
      run.state.init("a", 1);
      run.state.delete("a");
      throwsCode("NOT_FOUND", () => run.state.cas("a", 1, 1));
    }),
    onRun("an expectation that no cell could meet is INVALID_ARGUMENT", (run) => {
      run.state.init("a", 1);
      for (const bad of [0, -1, 1.5, Number.NaN, "1", 1n, null, undefined, {}].map(loose)) {
        throwsCode("INVALID_ARGUMENT", () => run.state.cas("a", bad, 2));
      }
      deepEqual(held(run.state.read("a")), [1, 1]);
    }),
  ];
}

function transitionCases(): Case[] {
  return [
    onRun("transition computes the next value from the last, and passes a result on", (run) => {
      run.state.init("n", 1);
      const result = { any: () => 1 };
      equal(
        run.state.transition("n", (n) => [(n as number) + 1, result]),
        result,
      );
      equal(
        run.state.transition("n", (n) => [n, undefined]),
        undefined,
      );
      deepEqual(held(run.state.read("n")), [2, 3]);
    }),
    onRun("transition of a missing cell is NOT_FOUND, and calls nothing", (run, db) => {
      let called = false;
      throwsCode("NOT_FOUND", () =>
        run.state.transition("n", () => {
          called = true;
          return [1, 1];
        }),
      );
      equal(called, false, "whether it was called");
      equal(db.stats().runs, 0, "runs");
    }),
    onRun("transitionOrInit starts from the initial value where there is no cell", (run) => {
      const count = (): number => run.state.transitionOrInit("n", 0, (n) => [(n as number) + 1, (n as number) + 1]);
      deepEqual([count(), count(), count()], [1, 2, 3]);
      deepEqual(held(run.state.read("n")), [3, 3]);
      const initial = { list: [1] };
      run.state.transitionOrInit("o", initial, (value) => {
        (value as typeof initial).list.push(2);
        return [value, null];
      });
      deepEqual(run.state.read("o")?.value, { list: [1, 2] });
      deepEqual(initial, { list: [1] }, "what was given");
    }),
    onRun("a throw in a transition passes through, and nothing has changed", (run) => {
      run.state.init("n", 1);
      const mine = new Error("mine");
      let caught: unknown;
      try {
        run.state.transition("n", () => {
          throw mine;
        });
      } catch (error) {
        caught = error;
      }
      equal(caught, mine, "what was thrown");
      deepEqual(held(run.state.read("n")), [1, 1]);
    }),
    onRun("a function that returns no pair is INVALID_ARGUMENT, one that returns no value INVALID_VALUE", (run) => {
      run.state.init("n", 1);
      const rejected = Promise.reject(new Error("nobody waits for this"));
      for (const bad of [undefined, null, 1, [], [1], [1, 2, 3], { 0: 1, 1: 2, length: 2 }, rejected]) {
        throwsCode("INVALID_ARGUMENT", () => run.state.transition("n", () => loose(bad)));
        throwsCode("INVALID_ARGUMENT", () => run.state.transitionOrInit("m", 0, () => loose(bad)));
      }
      throwsCode("INVALID_VALUE", () => run.state.transition("n", () => [loose(undefined), 1]));
      throwsCode("INVALID_ARGUMENT", () => run.state.transition("n", loose("no function")));
      throwsCode("INVALID_ARGUMENT", () => run.state.transitionOrInit("n", 0, loose(undefined)));
      deepEqual(held(run.state.read("n")), [1, 1]);
      equal(run.state.has("m"), false);
    }),
    onRun("a transition runs again when somebody has come between", (run) => {
      run.state.init("n", 1);
      let attempts = 0;
      const seen = run.state.transition("n", (n) => {
        attempts++;
        if (attempts === 1) run.state.set("n", 10);
        return [(n as number) + 1, n];
      });
      deepEqual([attempts, seen], [2, 10]);
      deepEqual(held(run.state.read("n")), [11, 3]);
    }),
    onRun("in a transaction, a function that changes its own cell is refused", (run) => {
      run.transaction((tx) => {
        tx.state.init("other", 1);
        throwsCode("INVALID_ARGUMENT", () =>
          tx.state.transitionOrInit("n", 1, (n) => {
            tx.state.set("n", 5);
            return [n, n];
          }),
        );
        tx.rollback();
      });
      equal(run.state.count(), 0);
    }),
  ];
}

function listCases(): Case[] {
  return [
    onRun("cells are listed by name, in the order of UTF-8, within bounds", (run, db) => {
      const names = ["b", "a:2", "a:1", "a", "é", "\u{10000}", "\uFFFD"];
      for (const [i, name] of names.entries()) run.state.set(name, i);
      run.state.set("gone", 1);
      run.state.delete("gone");
      const sorted = [...names].sort(byUtf8);
      throughEveryView(db, (state, view) => {
        deepEqual(state.keys(), sorted, view);
        deepEqual(
          state.list().map(([name, cell]) => [name, ...(held(cell) as [Value, number])]),
          sorted.map((name) => [name, names.indexOf(name), 1]),
          view,
        );
        deepEqual(state.list({ prefix: "a:", reverse: true, limit: 1 })[0]?.[0], "a:2", view);
        deepEqual(state.keys({ start: "a:1", end: "b" }), ["a:1", "a:2"], view);
        deepEqual(state.list({ prefix: "a" })[0]?.[1], state.read("a"), view);
        deepEqual([state.count(), state.count("a"), state.count("x")], [7, 3, 0], view);
      });
    }),
    onRun("names are 1 to 1,022 bytes of any text", (run) => {
      const names = [...HOSTILE_KEYS, "n".repeat(1022), "\u0000".repeat(1022), "é".repeat(511)];
      for (const [i, name] of names.entries()) equal(run.state.init(name, i), 1, JSON.stringify(name));
      for (const name of names) equal(run.state.delete(name), true);
      for (const [i, name] of names.entries()) equal(run.state.init(name, i), 2, JSON.stringify(name));
      deepEqual(run.state.keys(), [...names].sort(byUtf8));
    }),
  ];
}

function transactionCases(): Case[] {
  return [
    onRun("a transaction sees what it does to cells, and nobody else does before the commit", (run) => {
      run.state.init("a", 1);
      run.transaction((tx) => {
        equal(tx.state.cas("a", 1, 2), 2);
        equal(tx.state.set("a", 3), 3);
        equal(tx.state.init("b", 1), 1);
        deepEqual(held(tx.state.read("a")), [3, 3]);
        deepEqual(tx.state.keys(), ["a", "b"]);
        equal(tx.state.delete("b"), true);
        equal(tx.state.init("b", 2), 2, "version after a delete in the same transaction");
        equal(
          tx.state.transition("b", (b) => [(b as number) + 1, "result"]),
          "result",
        );
        deepEqual(held(run.state.read("a")), [1, 1]);
        equal(run.state.has("b"), false);
      });
      deepEqual(
        [held(run.state.read("a")), held(run.state.read("b"))],
        [
          [3, 3],
          [3, 3],
        ],
      );
    }),
    onRun("what is rolled back leaves no cell and no version", (run) => {
      run.state.init("a", 1);
      throwsCode("NOT_FOUND", () =>
        run.transaction((tx) => {
          tx.state.delete("a");
          tx.state.init("b", 1);
          tx.events.append("lost", 1);
          throw new HoldfastError("NOT_FOUND", "mine");
        }),
      );
      deepEqual([held(run.state.read("a")), run.state.has("b"), run.events.length], [[1, 1], false, 0]);
      equal(run.state.set("a", 2), 2);
      equal(run.state.init("b", 1), 1);
    }),
    onRun("two transactions that count up the same cell are in conflict", (run) => {
      run.state.init("n", 0);
      const count = (tx: { state: Run["state"] }): number =>
        tx.state.transition("n", (n) => [(n as number) + 1, (n as number) + 1]);
      const [one, two] = [run.begin(), run.begin()];
      deepEqual([count(one), count(two)], [1, 1]);
      one.commit();
      throwsCode("CONFLICT", () => two.commit());
      equal(count(run), 2);
    }),
    onRun("whoever has seen that there is no cell is in conflict with who makes it", (run) => {
      for (const see of [(tx: Run) => tx.state.has("a"), (tx: Run) => tx.state.init("a", 1)]) {
        const transaction = run.begin();
        see(transaction as unknown as Run);
        transaction.kv.put("lost", 1);
        run.state.init("a", 2);
        throwsCode("CONFLICT", () => transaction.commit());
        run.state.delete("a");
      }
      equal(run.kv.has("lost"), false);
    }),
    onRun("a refusal in a transaction leaves the rest of it whole", (run) => {
      run.transaction((tx) => {
        tx.state.init("a", 1);
        throwsCode("ALREADY_EXISTS", () => tx.state.init("a", 2));
        throwsCode("VERSION_MISMATCH", () => tx.state.cas("a", 2, 2));
        throwsCode("NOT_FOUND", () => tx.state.cas("b", 1, 2));
        throwsCode("INVALID_VALUE", () => tx.state.set("a", loose(undefined)));
        throwsCode("INVALID_ARGUMENT", () => tx.state.set("a", 1, { durability: "strict" }));
      });
      deepEqual(held(run.state.read("a")), [1, 1]);
    }),
    onRun("asynchronous transactions that count all get through with retry", async (run) => {
      await Promise.all(
        Array.from({ length: 20 }, () =>
          run.transactionAsync((tx) => tx.state.transitionOrInit("n", 0, (n) => [(n as number) + 1, null]), {
            retry: { attempts: 100, baseMs: 1 },
          }),
        ),
      );
      deepEqual(held(run.state.read("n")), [20, 20]);
    }),
  ];
}

function snapshotCases(): Case[] {
  return [
    onRun("a snapshot holds the cells as they were", (run, db) => {
      run.state.init("a", 1);
      run.state.init("b", 1);
      const [snapshot, whole] = [run.snapshot(), db.snapshot()];
      run.state.set("a", 2);
      run.state.delete("b");
      run.state.init("c", 1);
      for (const { state } of [snapshot, whole.run(RUN)]) {
        deepEqual(
          [held(state.read("a")), held(state.read("b"))],
          [
            [1, 1],
            [1, 1],
          ],
        );
        deepEqual(state.keys(), ["a", "b"]);
        deepEqual([state.count(), state.has("c")], [2, false]);
        equal("set" in state, false, "set on a snapshot");
      }
      snapshot.dispose();
      whole.dispose();
      throwsCode("TRANSACTION_CLOSED", () => snapshot.state.read("a"));
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
  return [
    onRun("a name that is none is INVALID_KEY, wherever it is given", (run) => {
      for (const name of ["", "n".repeat(1023), "é".repeat(512), "\uD800", 7, null, undefined, {}].map(loose)) {
        const { state } = run;
        const uses: (() => unknown)[] = [
          () => state.init(name, 1),
          () => state.read(name),
          () => state.set(name, 1),
          () => state.cas(name, 1, 1),
          () => state.transition(name, (value) => [value, 1]),
          () => state.transitionOrInit(name, 1, (value) => [value, 1]),
          () => state.delete(name),
          () => state.has(name),
        ];
        for (const use of uses) throwsCode("INVALID_KEY", use);
      }
      equal(run.state.count(), 0);
    }),
    onRun("a value that is none is INVALID_VALUE, with the path to it from the value itself", (run, db) => {
      const path = (value: unknown): unknown =>
        throwsCode("INVALID_VALUE", () => run.state.set("a", loose(value))).details["path"];
      equal(path(undefined), "$");
      equal(path({ a: [1, Symbol("s")] }), "$.a[1]");
      equal(path("\uD800"), "$");
      throwsCode("INVALID_VALUE", () => run.state.init("a", nested(64)));
      throwsCode("INVALID_VALUE", () => run.state.transitionOrInit("a", loose(undefined), (value) => [value, 1]));
      throwsCode("VALUE_TOO_LARGE", () => run.state.set("a", new Uint8Array(16 * 1024 * 1024)));
      equal(db.stats().runs, 0, "runs after refusals");
      run.state.set("a", nested(63));
      deepEqual(run.state.read("a")?.value, nested(63));
    }),
    onRun("what throws when it is looked at gives a typed error", (run) => {
      run.state.init("a", 1);
      throwsCode("INVALID_VALUE", () => run.state.set("a", revoked({})));
      throwsCode("INVALID_VALUE", () => run.state.transition("a", () => [revoked([]), 1]));
      throwsCode("INVALID_ARGUMENT", () => run.state.transition("a", () => revoked([])));
      throwsCode("INVALID_ARGUMENT", () => run.state.transition("a", () => revoked({})));
      throwsCode("INVALID_ARGUMENT", () => run.state.cas("a", revoked({}), 1));
      throwsCode("INVALID_ARGUMENT", () => run.state.set("a", 1, revoked({})));
      throwsCode("INVALID_ARGUMENT", () => run.state.list(revoked({})));
      throwsCode("INVALID_KEY", () => run.state.set(revoked({}), 1));
      deepEqual(held(run.state.read("a")), [1, 1]);
    }),
    onRun("options that there are not are INVALID_ARGUMENT", (run) => {
      run.state.init("a", 1);
      for (const bad of [null, 1, { ifVersion: 1 }, { durability: "maybe" }].map(loose)) {
        throwsCode("INVALID_ARGUMENT", () => run.state.init("b", 1, bad));
        throwsCode("INVALID_ARGUMENT", () => run.state.set("a", 2, bad));
        throwsCode("INVALID_ARGUMENT", () => run.state.cas("a", 1, 2, bad));
        throwsCode("INVALID_ARGUMENT", () => run.state.transition("a", (value) => [value, 1], bad));
        throwsCode("INVALID_ARGUMENT", () => run.state.transitionOrInit("a", 1, (value) => [value, 1], bad));
        throwsCode("INVALID_ARGUMENT", () => run.state.delete("a", bad));
      }
      throwsCode("INVALID_ARGUMENT", () => run.state.list(loose({ limit: -1 })));
      deepEqual(held(run.state.read("a")), [1, 1]);
      equal(run.state.set("a", 2, { durability: "in-memory" }), 2);
    }),
    onRun(
      "the durability of every write is handed on: a storage that cannot keep it refuses, and nothing has changed",
      (run, db, context) => {
        const { capabilities } = context;
        run.state.init("a", 0);
        const uses = (options: StepOptions): (() => unknown)[] => [
          () => run.state.init("b", 1, options),
          () => run.state.set("a", 1, options),
          () => run.state.cas("a", 2, 2, options),
          () => run.state.transition("a", () => [3, 3], options),
          () => run.state.transitionOrInit("c", 1, () => [4, 4], options),
          () => run.state.delete("a", options),
        ];
        const strict = { durability: "strict" } as const;
        const before = db.stats().syncs;
        for (const use of uses(strict)) {
          if (capabilities.syncFlush) use();
          else throwsCode("SYNC_COMMIT_UNSUPPORTED", use);
        }
        if (capabilities.syncFlush) ok(db.stats().syncs > before, "a sync");
        else
          deepEqual(
            run.state.list().map(([name, cell]) => [name, held(cell)]),
            [["a", [0, 1]]],
          );
      },
    ),
    onRun("a closed database keeps its cells to itself", async (run, db) => {
      run.state.init("a", 1);
      await db.close();
      throwsCode("CLOSED", () => run.state.read("a"));
      throwsCode("CLOSED", () => run.state.set("a", 2));
    }),
  ];
}
