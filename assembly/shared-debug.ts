/**
 * The entry of the shared test builds: the shared ABI, and ways to make happen what tests cannot wait for.
 */
export { faultAddress, refuseGrowth, strayExtent } from "./debug";
export * from "./shared";
