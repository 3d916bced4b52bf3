/**
 * The entry of the test build in which rules can be switched off: the ABI, and the switch.
 */
export * from "./index";
export { breakRule } from "./rules";
