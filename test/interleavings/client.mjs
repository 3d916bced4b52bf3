/**
 * A client of a history under real workers: transactions that append to lists and read them, on a database that it attaches
 * to. What it does is written to a buffer that outlives it: micros before the commit, how that ended after it; so that of a
 * client that is terminated everything is known but the end of its last transaction.
 */
import { parentPort } from "node:worker_threads";
import { Database } from "../../dist/index.js";

const EXPECTED = new Set(["CONFLICT", "BUSY", "CORRUPTION", "TIMEOUT"]);

function randomFrom(seed) {
  let state = seed >>> 0;
  return (bound) => {
    state = (Math.imul(state ^ (state >>> 15), state | 1) + 0x6d2b79f5) >>> 0;
    return ((((state ^ (state >>> 14)) >>> 0) / 2 ** 32) * bound) >>> 0;
  };
}

/** Lines of text in shared memory: the first word says how many bytes are whole. */
class Diary {
  #bytes;
  #words;
  #length = 0;

  constructor(buffer) {
    this.#bytes = new Uint8Array(buffer);
    this.#words = new Int32Array(buffer, 0, 1);
  }

  write(line) {
    const text = new TextEncoder().encode(`${JSON.stringify(line)}\n`);
    if (4 + this.#length + text.length > this.#bytes.length) throw new Error("the diary is full");
    this.#bytes.set(text, 4 + this.#length);
    this.#length += text.length;
    Atomics.store(this.#words, 0, this.#length);
  }
}

class Client {
  constructor(database, { clock, diary, index, seed, runs, keys }) {
    this.database = database;
    this.clock = new Int32Array(clock);
    this.diary = new Diary(diary);
    this.below = randomFrom(seed);
    this.value = index * 1_000_000 + 1;
    Object.assign(this, { runs, keys });
  }

  now() {
    return Atomics.add(this.clock, 0, 1);
  }

  act(kv, micros) {
    const key = `k${this.below(this.keys)}`;
    if (this.below(2) === 0) {
      micros.push({ do: "read", key, list: kv.get(key) ?? [] });
      return;
    }
    const list = kv.get(key) ?? [];
    micros.push({ do: "read", key, list });
    const value = this.value++;
    kv.put(key, [...list, value]);
    micros.push({ do: "append", key, value });
  }

  transaction() {
    const name = `run ${this.below(this.runs)}`;
    const run = this.database.run(name);
    const micros = [];
    const began = this.now();
    let status = "committed";
    let code;
    try {
      if (this.below(10) === 0) {
        // One read outside of a transaction, which has to be as good.
        const key = `k${this.below(this.keys)}`;
        micros.push({ do: "read", key, list: run.kv.get(key) ?? [] });
        this.diary.write({ run: name, began, micros });
      } else if (this.below(12) === 0) {
        const snapshot = run.snapshot();
        for (let key = 0; key < this.keys; key++)
          micros.push({ do: "read", key: `k${key}`, list: snapshot.kv.get(`k${key}`) ?? [] });
        snapshot.dispose?.();
        this.diary.write({ run: name, began, micros });
      } else {
        run.transaction((transaction) => {
          const count = 1 + this.below(4);
          for (let i = 0; i < count; i++) this.act(transaction.kv, micros);
          this.diary.write({ run: name, began, micros });
        });
      }
    } catch (error) {
      if (!EXPECTED.has(error?.code)) throw error;
      status = "aborted";
      code = error.code;
    }
    this.diary.write({ status, code, ended: this.now() });
  }
}

parentPort.on("message", async (plan) => {
  try {
    const database = await Database.attach(plan.handle);
    parentPort.postMessage("attached");
    const client = new Client(database, plan);
    for (let i = 0; i < plan.transactions; i++) client.transaction();
    await database.close();
    parentPort.postMessage("done");
  } catch (error) {
    parentPort.postMessage({ error: `${error?.code} ${error?.stack} ${error?.cause?.stack ?? ""}` });
  }
});
