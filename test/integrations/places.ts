/**
 * Where the libraries' tests keep what they write: in memory, and in files that are opened anew for each call, so that a call
 * sees nothing but what the one before it has left there.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Database } from "holdfast";

/** A database that calls are made on, one after another where it is opened for each. */
export interface Place {
  use<T>(work: (db: Database) => Promise<T>): Promise<T>;
  remove(): Promise<void>;
}

class InMemory implements Place {
  readonly #db = Database.open({ durability: "in-memory" });

  async use<T>(work: (db: Database) => Promise<T>): Promise<T> {
    return work(await this.#db);
  }

  async remove(): Promise<void> {
    const db = await this.#db;
    await db.close();
  }
}

class OnFiles implements Place {
  readonly #path = mkdtempSync(join(tmpdir(), "hf-integrations-"));
  #last: Promise<unknown> = Promise.resolve();

  use<T>(work: (db: Database) => Promise<T>): Promise<T> {
    const result = this.#last.then(async () => {
      await using db = await Database.open({ path: this.#path, durability: "buffered" });
      return await work(db);
    });
    this.#last = result.catch(() => {});
    return result;
  }

  async remove(): Promise<void> {
    await this.#last;
    rmSync(this.#path, { recursive: true, force: true });
  }
}

/** The kinds of places, by what they are called in the names of tests. */
export const PLACES: Readonly<Record<string, () => Place>> = {
  "in memory": () => new InMemory(),
  "on files, reopened for each call": () => new OnFiles(),
};

/** All that an iteration yields. */
export async function collect<T>(iterable: AsyncIterable<T> | Iterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of iterable) items.push(item);
  return items;
}
