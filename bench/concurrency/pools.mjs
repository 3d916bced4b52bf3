// All threads of a group of workloads, by what they share.
//
// Keeps true: a Holdfast database has as many workers attached as are measured on it, because who commits looks at each of
// them; where nothing is shared, or only lmdb's file, the first of one set of threads do. What one lock guards is the same
// database as without it, what has one counter the same as what has none.

import { compileForBenchmark } from "../core/compile.mjs";
import { openPool } from "./pool.mjs";
import { openHoldfast, openLmdb, openOwn } from "./stores.mjs";

/** What a design is measured on, and how its workers come to it. */
const USES = {
  "one-lock": { pool: "holdfast", way: "locked" },
  "own-counter": { pool: "own", way: "counted" },
};
const useOf = (design) => USES[design] ?? { pool: design, way: "free" };
/** For which there is one set of threads for all counts of workers. */
const ONE_FOR_ALL = new Set(["own", "lmdb"]);

const keyOf = (pool, workers) => (ONE_FOR_ALL.has(pool) ? pool : `${pool} ${workers}`);

/** @param cells What will be measured, all of one group: `workload`, `design`, `workers`. */
export async function openPools({ cells, group, folder }) {
  const pools = new Map();
  for (const [pool, { counts, ways }] of usesByPool(cells)) {
    for (const workers of ONE_FOR_ALL.has(pool) ? [Math.max(...counts)] : counts) {
      const store = await openStore(pool, { workers, group, folder });
      pools.set(keyOf(pool, workers), await openPool({ store, workers, ways }));
    }
  }
  return {
    window({ workload, design, workers }, ms) {
      const { pool, way } = useOf(design);
      return pools.get(keyOf(pool, workers)).window({ workload, workers, way, ms });
    },
    async close() {
      for (const pool of pools.values()) await pool.close();
    },
  };
}

/** How many workers each pool is used with, and how they come to what it holds. */
function usesByPool(cells) {
  const uses = new Map();
  for (const { design, workers } of cells) {
    const { pool, way } = useOf(design);
    if (!uses.has(pool)) uses.set(pool, { counts: new Set(), ways: new Set() });
    uses.get(pool).counts.add(workers);
    uses.get(pool).ways.add(way);
  }
  return uses;
}

function openStore(pool, { workers, group, folder }) {
  if (pool === "own") return openOwn({ group });
  if (pool === "lmdb") return openLmdb({ workers, folder });
  return openHoldfast({ workers, group, wasm: pool === "plain-locks" ? compilePlainLocks() : undefined });
}

function compilePlainLocks() {
  return compileForBenchmark({
    name: "plain-locks",
    entry: "assembly/shared.ts",
    target: "shared",
    use: ["PLAIN_LOCKS=1"],
  });
}
