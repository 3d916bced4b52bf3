/**
 * The entry of the test builds: the whole ABI, and ways to make happen what tests cannot wait for.
 */
import { EXTENT_HEADER_BYTES, Extent, extentOrder, extentState } from "./arena";
import { WORKER_FREE, WORKERS_MAX } from "./constants";
import { Run, runArena } from "./run";
import { HEAP_BASE, SUPERBLOCK_BASE, SYSTEM_ARENA_BASE, superblock } from "./superblock";
import { Transaction } from "./transaction";
import { stateIn, workerAt, workerWord } from "./workers";

export * from "./index";

/** Refuses the `count`th growth of memory and all after it, until it is called with 0. */
export function refuseGrowth(count: u32): void {
  superblock().refuseGrowthIn = count;
}

/** Where `verify` has found what it complained of last. */
export function faultAddress(): u32 {
  return superblock().faultAddress;
}

/** The first extent in use whose owner is nobody, or has no use for it any more; 0 if there is none. At rest. */
export function strayExtent(): usize {
  for (let at = HEAP_BASE; at < superblock().heapEnd; at += (1 as usize) << extentOrder(at)) {
    if (extentState(at) == 2 && !isOwned(at, changetype<Extent>(at).owner)) return at;
  }
  return 0;
}

function isOwned(extent: usize, owner: usize): bool {
  if (owner == SUPERBLOCK_BASE || owner == SYSTEM_ARENA_BASE) return true;
  for (let at = superblock().firstRun; at; at = changetype<Run>(at).nextRun) {
    const run = changetype<Run>(at);
    if (owner == changetype<usize>(runArena(run))) return run.entry != 0;
  }
  for (let index: u32 = 0; index < WORKERS_MAX; index++) {
    const worker = workerAt(index);
    if (owner == changetype<usize>(worker)) return stateIn(workerWord(index)) != WORKER_FREE;
    for (let at = worker.contexts; at; at = changetype<Transaction>(at).nextOwned) {
      const first = at + offsetof<Transaction>("items");
      const isBuffer = owner >= first && owner <= at + offsetof<Transaction>("data");
      if (isBuffer) return load<usize>(owner) == extent + EXTENT_HEADER_BYTES;
    }
  }
  return false;
}
