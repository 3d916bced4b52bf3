/**
 * What a listing may be bounded by, checked and encoded into the core's scratch.
 */
import { describe, readOptions, refuseArgument } from "./arguments.js";
import { encodeBound } from "./codec.js";
import type { Core } from "./core.js";
import type { ScanRequest } from "./core-scan.js";

/** Which keys a listing returns, in the order of their UTF-8 bytes. */
export interface ListOptions {
  /** Only keys that begin with this. */
  readonly prefix?: string | undefined;
  /** Only keys at or after this. */
  readonly start?: string | undefined;
  /** Only keys before this. */
  readonly end?: string | undefined;
  /** From the last key to the first. */
  readonly reverse?: boolean | undefined;
  /** At most this many. */
  readonly limit?: number | undefined;
}

const OPTION_NAMES = ["prefix", "start", "end", "reverse", "limit"] as const;

function checkLimit(limit: unknown): number {
  if (limit === undefined || limit === Number.POSITIVE_INFINITY) return 0xffffffff;
  if (typeof limit === "number" && Number.isInteger(limit) && limit >= 0) return Math.min(limit, 0xffffffff);
  throw refuseArgument(`limit must be a whole number that is not negative, got ${describe(limit)}.`);
}

/**
 * Checks a listing's options and encodes its bounds into the core's scratch.
 * @throws HoldfastError `INVALID_ARGUMENT`, or `INVALID_KEY` for a bound that no key could have.
 */
export function prepareScan(core: Core, options: ListOptions | undefined): ScanRequest {
  core.renew();
  if (options === undefined) {
    return { prefixBytes: 0, startBytes: 0, endBytes: 0, reverse: false, limit: 0xffffffff };
  }
  const given = readOptions<ListOptions>(options, OPTION_NAMES, "A listing");
  const { prefix, start, end, reverse } = given;
  if (reverse !== undefined && typeof reverse !== "boolean") {
    throw refuseArgument(`reverse must be true or false, got ${describe(reverse)}.`);
  }
  const limit = checkLimit(given.limit);
  let at = core.boundsOffset;
  const prefixBytes = prefix === undefined ? 0 : encodeBound(prefix, "prefix", core, at);
  at += prefixBytes;
  const startBytes = start === undefined ? 0 : encodeBound(start, "start", core, at);
  at += startBytes;
  const endBytes = end === undefined ? 0 : encodeBound(end, "end", core, at);
  // Nothing stands before the empty string, while to the core a bound of no bytes is none.
  const nothing = end !== undefined && endBytes === 0;
  return { prefixBytes, startBytes, endBytes, reverse: reverse ?? false, limit: nothing ? 0 : limit };
}
