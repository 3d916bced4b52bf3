/**
 * What workers are asked to do by the suite of many workers: plain functions over a database, called by name in a worker that
 * has attached to it.
 *
 * Those that go on until they are told to stop look, once they have done a little, for a key in a run of its own, which is a
 * use of the database too.
 */
import { instantiateCore } from "../../src/host/core-instance.js";
import { type Database, HoldfastError, type Snapshot, type Transaction } from "../../src/index.js";
import { type Part, playPart } from "../histories/part.js";

export const CONTROL = "control";
const STOP = "stop";
const RETRY = { retry: { attempts: Number.POSITIVE_INFINITY } };

/** Tells every job that goes on until then that it is over. */
export function stopJobs(db: Database): void {
  patiently(() => db.run(CONTROL).kv.put(STOP, true));
}

/** Attempts of who must not sleep: a worker that the machine has put aside in the middle of something is BUSY for as long. */
const ATTEMPTS_MAX = 10_000;

/** Does something as often as it takes for the others to be out of the way: a page's main thread waits for milliseconds only. */
function patiently<T>(act: () => T): T {
  for (let attempt = 1; ; attempt++) {
    try {
      return act();
    } catch (error) {
      if (attempt === ATTEMPTS_MAX || !HoldfastError.is(error, "BUSY")) throw error;
    }
  }
}

/** What a job does at least: a busy machine may hardly have let it begin by the time it is told to stop. */
const ROUNDS_MIN = 10;

/** Whether a job that has come so far is told to stop, and may. */
function isOver(db: Database, rounds: number): boolean {
  return rounds >= ROUNDS_MIN && db.run(CONTROL).kv.has(STOP);
}

export const COUNTED_RUNS = ["counted a", "counted b"] as const;

/** How a commit of `count` is made. */
export interface Counting {
  readonly durability: "strict" | "buffered" | "in-memory";
  readonly asynchronous: boolean;
}

/** One commit of `count`. */
export async function countOnce(db: Database, who: number, i: number, how: Counting): Promise<void> {
  const run = db.run(COUNTED_RUNS[i % COUNTED_RUNS.length] as string);
  const options = { durability: how.durability, retry: { attempts: 100_000, baseMs: 0, maxMs: 1 } };
  const work = (tx: Transaction): void => {
    tx.kv.put("n", ((tx.kv.get("n") as number | undefined) ?? 0) + 1);
    tx.kv.put(`by ${who}`, i + 1);
    tx.events.append("counted", { who, i });
  };
  if (how.asynchronous) await run.transactionAsync(work, options);
  else run.transaction(work, options);
}

/** What is held from one job to the next. */
let held: Snapshot | undefined;

/** A value all of whose bytes are the same. */
export function patternOf(byte: number, bytes: number): Uint8Array {
  return new Uint8Array(bytes).fill(byte);
}

/** What is wrong with a value that must be one of the patterns; undefined where nothing is. */
function tornness(value: unknown, sizes: readonly number[]): string | undefined {
  if (!(value instanceof Uint8Array)) return `no bytes, ${typeof value}`;
  if (!sizes.includes(value.length)) return `${value.length} bytes`;
  for (let i = 1; i < value.length; i++) {
    if (value[i] !== value[0]) return `byte ${i} of ${value.length} is ${value[i]}, byte 0 is ${value[0]}`;
  }
  return undefined;
}

/** The code of what an action throws; where it is no error of ours, its text. */
function codeOf(action: () => unknown): string | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    return HoldfastError.is(error) ? error.code : `untyped: ${error instanceof Error ? error.stack : String(error)}`;
  }
}

const account = (index: number): string => `account-${index}`;

/** Makes accounts whose balances sum up to 100 each. */
export function openAccounts(db: Database, run: string, accounts: number): void {
  db.run(run).transaction((tx) => {
    for (let i = 0; i < accounts; i++) tx.kv.put(account(i), 100);
  });
}

const sum = (values: readonly unknown[]): number =>
  values.reduce((total: number, value) => total + (value as number), 0);

/** What is known in several ways of a hub and its leaves, as of one instant, and of a walk that is begun without holding one. */
function lookAtGraph(db: Database, run: string, hub: number) {
  // As it stands at this moment, so that it is the graph of no instant but its own.
  const free = [...db.run(run).graph.bfs(hub)];
  const isTree = free.every(({ parent, depth }) => (depth === 0 ? parent === undefined : parent === hub));
  const snapshot = db.run(run).snapshot();
  try {
    const { graph } = snapshot;
    const counts = Array.from({ length: 7 }, (_, i) => graph.findNodes("leaf", "i", i).length);
    return {
      nodes: graph.nodeCount(),
      degree: graph.degree(hub),
      walked: [...graph.bfs(hub)].length,
      found: sum(counts),
      problems: [...graph.verify().problems, ...(isTree ? [] : ["a walk that is none"])],
    };
  } finally {
    snapshot.dispose();
  }
}

export const jobs = {
  workerId: (db: Database) => db.workerId,

  put: (db: Database, run: string, key: string, value: string) => db.run(run).kv.put(key, value),

  get: (db: Database, run: string, key: string) => db.run(run).kv.get(key),

  codeOfPut: (db: Database, run: string) => codeOf(() => db.run(run).kv.put("key", 1)),

  codeOfGet: (db: Database, run: string) => codeOf(() => db.run(run).kv.get("key")),

  close: (db: Database) => db.close(),

  /**
   * Instantiates the core over and over while another worker makes a memory larger, until that has so many bytes. How often it
   * did, at least once, and how many of the instances did not know of what was grown meanwhile.
   */
  async instantiate(_db: Database, module: WebAssembly.Module, memory: WebAssembly.Memory, bytes: number) {
    let made = 0;
    let unknowing = 0;
    do {
      const { knowsMemory } = instantiateCore(module, memory);
      made++;
      if (knowsMemory?.() !== 1) unknowing++;
      // As an attaching worker does, which goes on with its next step then.
      await Promise.resolve();
    } while (memory.buffer.byteLength < bytes);
    return { made, unknowing };
  },

  /** Adds one to a counter so many times, each in a transaction that is tried until it succeeds. */
  increment(db: Database, run: string, times: number) {
    for (let i = 0; i < times; i++) {
      db.run(run).transaction((tx) => tx.kv.put("n", 1 + ((tx.kv.get("n") as number | undefined) ?? 0)), RETRY);
    }
  },

  /** The same in transactions that are asynchronous. */
  async incrementAsync(db: Database, run: string, times: number) {
    const retry = { attempts: Number.POSITIVE_INFINITY, baseMs: 0, maxMs: 1 };
    for (let i = 0; i < times; i++) {
      await db.run(run).transactionAsync(
        async (tx) => {
          const n = (tx.kv.get("n") as number | undefined) ?? 0;
          await Promise.resolve();
          tx.kv.put("n", n + 1);
        },
        { retry },
      );
    }
  },

  /**
   * Counts in transactions over several runs, each of which also notes who has got how far; says of every commit that was
   * acknowledged in `tally`, which outlives this worker. The codes of what was refused.
   */
  async count(db: Database, who: number, times: number, how: Counting, tally: Int32Array) {
    const refused: string[] = [];
    for (let i = 0; i < times; i++) {
      try {
        await countOnce(db, who, i, how);
        Atomics.store(tally, who, i + 1);
      } catch (error) {
        if (!HoldfastError.is(error)) throw error;
        refused.push(error.code);
        // One that was put aside in the middle of something is waited for again.
        if (error.code !== "BUSY") break;
      }
    }
    await db.close().catch((error: HoldfastError) => refused.push(error.code));
    return refused;
  },

  /** Uses every primitive of a run, which others use too. */
  everyPrimitive(db: Database, run: string, who: string, times: number) {
    const { kv, events, state, traces } = db.run(run);
    for (let i = 0; i < times; i++) {
      kv.put(`${who}-${i}`, i);
      events.append("step", { who, i });
      state.transitionOrInit("steps", 0, (n) => [(n as number) + 1, null]);
      const id = traces.record({ type: "thought", content: `${who} ${i}`, confidence: 1 }, { tags: [who] });
      if (i % 3 === 0) traces.record({ type: "tool-call", name: "look", args: i }, { parent: id });
      if (i % 2 === 0) kv.delete(`${who}-${i}`);
    }
  },

  /**
   * Adds nodes with an edge from one that all others add to as well, each pair in a transaction that is not tried again: it must
   * not conflict. The ids that it was given.
   */
  growGraph(db: Database, run: string, hub: number, times: number) {
    const ids: number[] = [];
    for (let i = 0; i < times; i++) {
      const given = patiently(() =>
        db.run(run).transaction(({ graph }) => {
          const node = graph.addNode("leaf", { i: i % 7 });
          return [node, graph.addEdge(hub, node, "t")];
        }),
      );
      ids.push(...given);
    }
    return ids;
  },

  /** Adds leaves to a hub, changes and deletes them, until it is told to stop; how often. */
  churnGraph(db: Database, run: string, hub: number) {
    const { graph } = db.run(run);
    let rounds = 0;
    for (; !isOver(db, rounds); rounds++) {
      db.run(run).transaction((tx) => tx.graph.addEdge(hub, tx.graph.addNode("leaf", { i: rounds % 7 }), "t"), RETRY);
      const leaves = graph.neighbors(hub, { limit: 40 });
      const { node } = leaves[rounds % leaves.length] ?? {};
      if (node !== undefined && leaves.length > 20) patiently(() => graph.deleteNode(node));
      const other = leaves[(rounds * 3) % Math.max(1, leaves.length)]?.node;
      if (other !== undefined) patiently(() => codeOf(() => graph.patchNode(other, { i: rounds % 7 })));
    }
    return rounds;
  },

  /** Looks at such a graph until it is told to stop, at one instant each time; how often, and what was not whole. */
  watchGraph(db: Database, run: string, hub: number) {
    const wrong: string[] = [];
    let looks = 0;
    for (; !isOver(db, looks); looks++) {
      const { nodes, degree, walked, found, problems } = patiently(() => lookAtGraph(db, run, hub));
      const isWhole = degree === nodes - 1 && walked === nodes && found === degree && problems.length === 0;
      if (!isWhole && wrong.length < 10) wrong.push(`${nodes} ${degree} ${walked} ${found} ${problems}`);
    }
    return { looks, wrong };
  },

  /** Holds a snapshot of a run, until `drop`. */
  hold(db: Database, run: string) {
    held = db.run(run).snapshot();
    return held.version;
  },

  readHeld: (_db: Database, key: string) => held?.kv.get(key),

  listHeld: (_db: Database) => held?.kv.list(),

  drop(_db: Database) {
    held?.dispose();
    held = undefined;
  },

  /** Overwrites one key with whole patterns of changing sizes, until it is told to stop; how often. */
  writePatterns(db: Database, run: string, key: string, sizes: readonly number[], first: number) {
    const { kv } = db.run(run);
    let writes = 0;
    for (; !isOver(db, writes); writes++)
      kv.put(key, patternOf(first + (writes % 2), sizes[writes % sizes.length] as number));
    return writes;
  },

  /** Reads it in every way until it is told to stop; how often, and what was not whole. */
  readPatterns(db: Database, run: string, key: string, sizes: readonly number[]) {
    const torn: string[] = [];
    let reads = 0;
    const look = (how: string, value: unknown): void => {
      const what = tornness(value, sizes);
      if (what !== undefined && torn.length < 10) torn.push(`${how}: ${what}`);
      reads++;
    };
    const { kv } = db.run(run);
    while (!isOver(db, reads)) {
      look("get", kv.get(key));
      look("getVersioned", kv.getVersioned(key)?.value);
      look("getMany", kv.getMany([key])[0]);
      look("list", kv.list({ prefix: key })[0]?.[1]);
      look(
        "transaction",
        db.run(run).transaction((tx) => tx.kv.get(key)),
      );
      const snapshot = db.run(run).snapshot();
      look("snapshot", snapshot.kv.get(key));
      snapshot.dispose();
    }
    return { reads, torn };
  },

  /** Moves amounts between accounts until it is told to stop; how often. */
  transfer(db: Database, run: string, accounts: number) {
    let moves = 0;
    for (; !isOver(db, moves); moves++) {
      const from = account(moves % accounts);
      const to = account((moves * 7 + 3) % accounts);
      if (from === to) continue;
      db.run(run).transaction((tx) => {
        tx.kv.put(from, (tx.kv.get(from) as number) - 1);
        tx.kv.put(to, (tx.kv.get(to) as number) + 1);
      }, RETRY);
    }
    return moves;
  },

  /** Sums the accounts up in every way until it is told to stop; how often, and what was not the whole. */
  audit(db: Database, run: string, accounts: number) {
    const wrong: string[] = [];
    let audits = 0;
    const names = Array.from({ length: accounts }, (_, i) => account(i));
    const look = (how: string, total: number, expected: number): void => {
      if (total !== expected && wrong.length < 10) wrong.push(`${how}: ${total} instead of ${expected}`);
      audits++;
    };
    const { kv } = db.run(run);
    const whole = accounts * 100;
    while (!isOver(db, audits)) {
      look("list", sum(kv.list({ prefix: "account-" }).map(([, value]) => value)), whole);
      look("getMany", sum(kv.getMany(names)), whole);
      look("count", kv.count("account-"), accounts);
      look("keys", kv.keys({ prefix: "account-" }).length, accounts);
      const snapshot = db.snapshot();
      look("snapshot", sum(snapshot.run(run).kv.getMany(names)), whole);
      snapshot[Symbol.dispose]();
      look(
        "transaction",
        db.run(run).transaction((tx) => sum(tx.kv.list().map(([, value]) => value))),
        whole,
      );
    }
    return { audits, wrong };
  },

  /**
   * Adds rings of three nodes to a hub, each ring in one transaction, and deletes some as a whole, until it is told to stop; the
   * ids that it was given.
   */
  growRings(db: Database, run: string, hub: number) {
    const given: number[] = [];
    const rings: number[][] = [];
    for (let round = 0; !isOver(db, round); round++) {
      const ring = db.run(run).transaction(({ graph }) => {
        const nodes = [0, 1, 2].map((place) => graph.addNode("ring", { place }));
        given.push(...nodes);
        nodes.forEach((node, place) => {
          given.push(graph.addEdge(node, nodes[(place + 1) % 3] as number, "next"));
        });
        given.push(graph.addEdge(hub, nodes[0] as number, "ring"));
        return nodes;
      }, RETRY);
      rings.push(ring);
      if (round % 3 !== 2) continue;
      const old = rings.shift() ?? [];
      db.run(run).transaction(({ graph }) => {
        for (const node of old) graph.deleteNode(node);
      }, RETRY);
    }
    return given;
  },

  /** Walks that graph in every way until it is told to stop; how often, and what was not of one instant. */
  walkRings(db: Database, run: string, hub: number) {
    const wrong: string[] = [];
    let walks = 0;
    const { graph } = db.run(run);
    const look = (how: string, seen: Pick<typeof graph, "bfs" | "neighbors">, isHeld: boolean): void => {
      const visits = [...seen.bfs(hub)];
      const isOrdered = visits.every(({ node, depth }, i) => {
        const before = visits[i - 1];
        return before === undefined || before.depth < depth || (before.depth === depth && before.node < node);
      });
      const rings = isHeld ? seen.neighbors(hub, { type: "ring" }).length : (visits.length - 1) / 3;
      if ((!isOrdered || visits.length !== 1 + 3 * rings || !Number.isInteger(rings)) && wrong.length < 10) {
        wrong.push(`${how}: ${visits.length} nodes of ${rings} rings, ${isOrdered ? "in" : "out of"} order`);
      }
      walks++;
    };
    while (!isOver(db, walks)) {
      look("run", graph, false);
      const snapshot = db.run(run).snapshot();
      look("snapshot", snapshot.graph, true);
      snapshot.dispose();
      db.run(run).transaction((tx) => look("transaction", tx.graph, true));
    }
    return { walks, wrong };
  },

  /** Puts and deletes the same keys in single commits until it is told to stop, so that none or all are there. */
  flicker(db: Database, run: string, keys: number) {
    let turns = 0;
    for (; !isOver(db, turns); turns++) {
      db.run(run).transaction((tx) => {
        for (let i = 0; i < keys; i++) {
          if (turns % 2 === 0) tx.kv.put(`flicker-${i}`, turns);
          else tx.kv.delete(`flicker-${i}`);
        }
      });
    }
    return turns;
  },

  /** Lists and counts them until it is told to stop; what was neither none nor all, or of different commits. */
  watchFlicker(db: Database, run: string, keys: number) {
    const wrong: string[] = [];
    let looks = 0;
    const { kv } = db.run(run);
    for (; !isOver(db, looks); looks++) {
      const entries = kv.list({ prefix: "flicker-" });
      const commits = new Set(entries.map(([, value]) => value)).size;
      const counted = kv.count("flicker-");
      const ok = (entries.length === 0 || (entries.length === keys && commits === 1)) && [0, keys].includes(counted);
      if (!ok && wrong.length < 10) wrong.push(`${entries.length} listed of ${commits} commits, ${counted} counted`);
    }
    return { looks, wrong };
  },

  /** Makes and deletes runs of the same names until it is told to stop; how often. */
  churn(db: Database, runs: number, who: number) {
    let turns = 0;
    for (; !isOver(db, turns); turns++) {
      const id = `churned-${(turns + who) % runs}`;
      db.run(id).transaction(
        (tx) => {
          tx.kv.put("a", id);
          tx.kv.put("b", id);
        },
        // Another worker may delete the run meanwhile.
        RETRY,
      );
      if (turns % 2 === 1) db.deleteRun(id);
    }
    return turns;
  },

  /** Reads them until it is told to stop; what was not as their writers have left it. */
  watchChurn(db: Database, runs: number) {
    const wrong: string[] = [];
    let looks = 0;
    for (; !isOver(db, looks); looks++) {
      const id = `churned-${looks % runs}`;
      const got = db.run(id).kv.getMany(["a", "b"]);
      const listed = db.run(id).kv.list();
      const whole = (values: readonly unknown[]): boolean =>
        values.every((value) => value === undefined) || (values.length === 2 && values.every((value) => value === id));
      if (!whole(got) && wrong.length < 10) wrong.push(`getMany of ${id}: ${JSON.stringify(got)}`);
      if (!whole(listed.map(([, value]) => value)) && wrong.length < 10) {
        wrong.push(`list of ${id}: ${JSON.stringify(listed)}`);
      }
    }
    return { looks, wrong };
  },

  /** Writes values that the memory has to grow for. */
  fill(db: Database, run: string, keys: number, bytes: number) {
    for (let i = 0; i < keys; i++) db.run(run).kv.put(`filled-${i}`, patternOf(i % 251, bytes));
    return db.stats().memoryBytes;
  },

  /** Reads them while and after they are written; how many are there, and what is not as it was written. */
  readFilled(db: Database, run: string, keys: number, bytes: number) {
    const wrong: string[] = [];
    let found = 0;
    for (let i = 0; i < keys; i++) {
      const value = db.run(run).kv.get(`filled-${i}`);
      if (value === undefined) continue;
      found++;
      const torn = tornness(value, [bytes]);
      if (torn !== undefined) wrong.push(torn);
      else if ((value as Uint8Array)[0] !== i % 251) wrong.push(`key ${i} has the value of another one`);
    }
    return { found, wrong };
  },

  /** Waits for each key in turn and reads it at once; what was not as it was written. */
  chase(db: Database, run: string, keys: number, bytes: number) {
    const wrong: string[] = [];
    for (let i = 0; i < keys; i++) {
      let value = db.run(run).kv.get(`filled-${i}`);
      while (value === undefined) value = db.run(run).kv.get(`filled-${i}`);
      const torn = tornness(value, [bytes]);
      if (torn !== undefined) wrong.push(`${i}: ${torn}`);
    }
    return wrong;
  },

  /** Plays a part in a history, and closes the database. */
  playPart: (db: Database, part: Part) => playPart(db, part),

  /** Writes without end, in small and large commits: to be killed in the middle of. */
  writeForEver(db: Database, run: string, bytes: number) {
    for (let i = 0; ; i++) {
      db.run(run).transaction((tx) => {
        tx.kv.put("large", patternOf(i % 251, bytes));
        tx.kv.put(`small-${i % 100}`, i);
        tx.events.append("written", i);
      }, RETRY);
      db.run(`${run}-${i % 5}`).kv.put("n", i);
      if (i % 50 === 0) db.deleteRun(`${run}-${i % 5}`);
    }
  },
} as const;

export type Jobs = typeof jobs;

type Rest<F> = F extends (db: Database, ...rest: infer R) => unknown ? R : never;

/** What a job is given besides the database, and what it comes to. */
export type JobInput<N extends keyof Jobs> = Rest<Jobs[N]>;
export type JobResult<N extends keyof Jobs> = Awaited<ReturnType<Jobs[N]>>;
