/**
 * The entry of the test builds: the whole ABI, and ways to make happen what tests cannot wait for.
 */
import { superblock } from "./superblock";

export * from "./index";

/** Refuses the `count`th growth of memory and all after it, until it is called with 0. */
export function refuseGrowth(count: u32): void {
  superblock().refuseGrowthIn = count;
}

/** Where `verify` has found what it complained of last. */
export function faultAddress(): u32 {
  return superblock().faultAddress;
}
