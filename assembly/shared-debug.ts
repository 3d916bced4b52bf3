/**
 * The entry of the shared test builds: the shared ABI, and ways to make happen what tests cannot wait for.
 */
export { refuseGrowth } from "./debug";
export * from "./shared";
