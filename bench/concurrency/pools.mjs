// All threads of a run of the benchmark, by what they share.
//
// Keeps true: a Holdfast database has as many workers attached as are measured on it, because who commits looks at each of
// them; where nothing is shared, or only lmdb's file, the first of one set of threads do. What one lock guards is the same
// database as without it.

import { compileForBenchmark } from "../core/compile.mjs";
import { openPool } from "./pool.mjs";
import { openHoldfast, openLmdb, openOwn } from "./stores.mjs";

export async function openPools({ workloads, designs, folder }) {
  const counts = [...new Set(workloads.flatMap((workload) => workload.counts))];
  const most = Math.max(...counts);
  const isWanted = (name) => designs.some((design) => design.name === name);
  const pools = new Map();
  const canLock = isWanted("one-lock");
  if (isWanted("holdfast") || canLock) {
    for (const workers of counts) {
      pools.set(`holdfast ${workers}`, await openPool({ store: await openHoldfast({ workers }), workers, canLock }));
    }
  }
  if (isWanted("plain-locks")) {
    const wasm = compileForBenchmark({
      name: "plain-locks",
      entry: "assembly/shared.ts",
      target: "shared",
      use: ["PLAIN_LOCKS=1"],
    });
    for (const workers of counts) {
      pools.set(`plain-locks ${workers}`, await openPool({ store: await openHoldfast({ workers, wasm }), workers }));
    }
  }
  if (isWanted("own")) pools.set("own", await openPool({ store: await openOwn(), workers: most }));
  if (isWanted("lmdb"))
    pools.set("lmdb", await openPool({ store: await openLmdb({ workers: most, folder }), workers: most }));
  return {
    window({ workload, design, workers }, ms) {
      const behindLock = design === "one-lock";
      const pool = pools.get(design) ?? pools.get(`${behindLock ? "holdfast" : design} ${workers}`);
      return pool.window({ workload, workers, behindLock, ms });
    },
    async close() {
      for (const pool of pools.values()) await pool.close();
    },
  };
}
