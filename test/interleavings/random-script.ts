/** Scripts from a seed: two to four workers, each with a few acts on the same runs and keys. */
import { randomFrom } from "../support/seeded-random.js";
import type { Act } from "./acts.mjs";
import type { Script } from "./harness.js";

const RUNS = ["r", "r", "r", "q", "n"];
/** Key-values, and an index: whose keys have a group before their first zero byte. */
const TABLES = [0, 0, 0, 8];
const KEYS = ["a", "b", "c", "d", "e"];
const GROUPS = ["x", "y"];
const SIZES = [1, 1, 1, 60, 500, 3000, 40_000];

/** Makes acts; each value is its own. */
class Author {
  readonly #random: () => number;
  #value = 1000;
  #name = 0;

  constructor(seed: number) {
    this.#random = randomFrom(seed);
  }

  below(bound: number): number {
    return Math.floor(this.#random() * bound);
  }

  of<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)] as T;
  }

  place(): { table: number; key: string } {
    const table = this.of(TABLES);
    return { table, key: table === 0 ? this.of(KEYS) : `${this.of(GROUPS)}\0${this.of(KEYS)}` };
  }

  range(): { table: number; prefix: string } {
    const table = this.of(TABLES);
    return { table, prefix: table === 0 ? "" : this.of(["", `${this.of(GROUPS)}\0`]) };
  }

  value(): { value: number; bytes: number } {
    return { value: this.#value++, bytes: this.of(SIZES) };
  }

  put(run: string): Act {
    return { do: "put", run, ...this.place(), ...this.value() };
  }

  /** One or several acts that belong together. */
  acts(): Act[] {
    const run = this.of(RUNS);
    const as = `${this.#name++}`;
    switch (this.below(16)) {
      case 0:
      case 1:
      case 2:
        return [this.put(run)];
      case 3:
        return [{ do: "delete", run, ...this.place() }];
      case 4:
      case 5:
        return [{ do: "get", run, ...this.place() }];
      case 6:
        return [{ do: "list", run, ...this.range() }];
      case 7:
        return [{ do: "count", run, ...this.range() }];
      case 8:
        return this.#look("snapshot", { run, as }, run);
      case 9:
        return this.#look("snapshotAll", { as }, run);
      case 10:
        return [{ do: "deleteRun", run }];
      case 11:
        return [
          { do: "open", run },
          { do: "discard", run },
        ];
      case 12:
        return [...Array(12)].map(() => this.put(run));
      default:
        return this.#transaction(run, as);
    }
  }

  #look(how: string, more: Partial<Act> & { readonly as: string }, run: string): Act[] {
    const { as } = more;
    const looks = [...Array(1 + this.below(3))].map((): Act => {
      if (how === "snapshotAll" && this.below(4) === 0) return { do: "snapshotRuns", as };
      if (this.below(2) === 0) return { do: "snapshotGet", as, run, ...this.place() };
      return { do: "snapshotList", as, run, ...this.range() };
    });
    const between = this.below(2) === 0 ? [this.put(run)] : [];
    return [{ do: how, ...more }, ...looks, ...between, ...looks, { do: "snapshotDrop", as }];
  }

  #transaction(run: string, as: string): Act[] {
    const inside = [...Array(1 + this.below(4))].map((): Act => {
      switch (this.below(6)) {
        case 0:
        case 1:
          return { do: "transactionGet", as, ...this.place() };
        case 2:
          return { do: "transactionList", as, ...this.range() };
        case 3:
          return { do: "transactionDelete", as, ...this.place() };
        default:
          return { do: "transactionPut", as, ...this.place(), ...this.value() };
      }
    });
    return [{ do: "begin", run, as }, ...inside, { do: this.below(8) === 0 ? "end" : "commit", as }];
  }
}

/** A script of `workers` workers, of which the last one clears up behind the first if that is killed. */
export function randomScript(seed: number, workers: number, buries: boolean): Script {
  const author = new Author(seed);
  const setup = [...Array(author.below(20))].map(() => author.put(author.of(RUNS)));
  const parts = [...Array(workers)].map((_, worker) => {
    const acts = [...Array(1 + author.below(3))].flatMap(() => author.acts());
    if (!buries || worker !== workers - 1) return acts;
    return [{ do: "bury", worker: 0 }, ...acts, ...[...Array(2)].flatMap(() => author.acts())];
  });
  return { name: `random ${seed}`, setup, parts };
}
