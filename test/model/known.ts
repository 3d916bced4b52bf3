/**
 * Keys that are read again and again while they come and go: whoever knows where a key stands must see what one who asks sees.
 *
 * Few keys of one length, so that the memory of one that went is the next one's; in each round all are read as often as it takes
 * to know them, and compared with a map.
 */
import { deepStrictEqual } from "node:assert";
import fc from "fast-check";
import { Database, type Snapshot } from "../../src/index.js";
import { type Build, moduleOf } from "../support/builds.js";
import { show } from "../support/history.js";

const RUNS = ["a", "b"] as const;
const KEYS = ["k1", "k2", "k3", "k4", "k5", "k6"] as const;
/** So often is each key read in a round: more than one of as many reads is remembered. */
const READS = 3;

type Run = (typeof RUNS)[number];
type Key = (typeof KEYS)[number];

export type Happening =
  | { readonly op: "put" | "delete"; run: Run; key: Key }
  | { readonly op: "together"; run: Run; puts: readonly Key[]; deletes: readonly Key[] }
  | { readonly op: "deleteRun"; run: Run }
  | { readonly op: "hold"; run: Run }
  | { readonly op: "letGo" }
  | { readonly op: "read"; run: Run };

const run = fc.constantFrom(...RUNS);
const key = fc.constantFrom(...KEYS);
const keys = fc.uniqueArray(key, { maxLength: 4 });
const happening: fc.Arbitrary<Happening> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ op: fc.constantFrom("put" as const, "delete" as const), run, key }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constant("together" as const), run, puts: keys, deletes: keys }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("deleteRun" as const), run }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("hold" as const), run }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("letGo" as const) }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constant("read" as const), run }) },
);

/** A database, and what must be in it. */
class Known {
  readonly #database: Database;
  readonly #expected = new Map<Run, Map<Key, number>>(RUNS.map((id) => [id, new Map()]));
  readonly #held: Snapshot[] = [];
  #values = 0;

  constructor(database: Database) {
    this.#database = database;
  }

  apply(happening: Happening): void {
    if (happening.op === "letGo") {
      this.#held.shift()?.dispose();
      return;
    }
    const target = this.#database.run(happening.run);
    const expected = this.#expected.get(happening.run) as Map<Key, number>;
    switch (happening.op) {
      case "put":
        expected.set(happening.key, ++this.#values);
        target.kv.put(happening.key, this.#values);
        break;
      case "delete":
        deepStrictEqual(target.kv.delete(happening.key), expected.delete(happening.key));
        break;
      case "together":
        target.transaction(({ kv }) => {
          for (const put of happening.puts) {
            expected.set(put, ++this.#values);
            kv.put(put, this.#values);
          }
          for (const gone of happening.deletes) deepStrictEqual(kv.delete(gone), expected.delete(gone));
        });
        break;
      case "deleteRun":
        this.#database.deleteRun(happening.run);
        expected.clear();
        break;
      case "hold":
        this.#held.push(target.snapshot());
        break;
      case "read":
        for (let times = 0; times < READS; times++) {
          for (const one of KEYS) deepStrictEqual(target.kv.get(one), expected.get(one), `${happening.run}: ${one}`);
        }
    }
  }

  async end(): Promise<void> {
    for (const id of RUNS) this.apply({ op: "read", run: id });
    deepStrictEqual(this.#database.verify(), { valid: true });
    await this.#database.close();
  }
}

async function follow(build: Build, happenings: readonly Happening[]): Promise<void> {
  const options = { wasm: await moduleOf(build), shared: build.shared, maxBytes: 16 * 1024 * 1024 };
  const database = await Database.open({ ...options, durability: "in-memory" });
  const known = new Known(database);
  try {
    for (const one of happenings) known.apply(one);
    await known.end();
  } catch (error) {
    await database.close().catch(() => {});
    throw new Error(`${error instanceof Error ? error.message : error}; after ${show(happenings)}`, { cause: error });
  }
}

/** Sequences of keys that come and go while they are read. */
export function knownModelOf(build: Build): fc.IAsyncProperty<unknown> {
  return fc.asyncProperty(fc.array(happening, { minLength: 10, maxLength: 60, size: "max" }), (happenings) =>
    follow(build, happenings),
  );
}
