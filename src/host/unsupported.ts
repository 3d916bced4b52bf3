/**
 * What the contract names and this release does not do yet: it says so, instead of being `undefined`.
 */
import { HoldfastError } from "../errors.js";

/** The error for a part that is not there yet. */
export function unsupported(what: string, instead: string): HoldfastError {
  return new HoldfastError("UNSUPPORTED", `${what} is not part of this release; nothing has changed. ${instead}`);
}
