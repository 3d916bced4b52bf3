/**
 * What a listing may be bounded by, checked and encoded into the core's scratch.
 */
import { HoldfastError } from "../errors.js";
import { encodeBound } from "./codec.js";
import type { Core, ScanBounds } from "./core.js";

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

/** A listing's options, checked. */
export interface ScanRequest {
  readonly bounds: ScanBounds;
  readonly reverse: boolean;
  readonly limit: number;
}

const OPTION_NAMES = new Set(["prefix", "start", "end", "reverse", "limit"]);

function checkShape(options: ListOptions): void {
  if (typeof options !== "object" || options === null) {
    throw new HoldfastError(
      "INVALID_ARGUMENT",
      `A listing takes an object like { prefix: "plan:" }, got ${options === null ? "null" : typeof options}.`,
    );
  }
  for (const name of Object.keys(options)) {
    if (OPTION_NAMES.has(name)) continue;
    throw new HoldfastError(
      "INVALID_ARGUMENT",
      `A listing has no option "${name}"; it has ${[...OPTION_NAMES].join(", ")}.`,
    );
  }
}

function checkLimit(limit: unknown): number {
  if (limit === undefined || limit === Number.POSITIVE_INFINITY) return 0xffffffff;
  if (typeof limit === "number" && Number.isInteger(limit) && limit >= 0) return Math.min(limit, 0xffffffff);
  throw new HoldfastError(
    "INVALID_ARGUMENT",
    `limit must be a whole number that is not negative, got ${String(limit)}.`,
  );
}

/**
 * Checks a listing's options and encodes its bounds into the core's scratch.
 * @throws HoldfastError `INVALID_ARGUMENT`, or `INVALID_KEY` for a bound that no key could have.
 */
export function prepareScan(core: Core, options: ListOptions | undefined): ScanRequest {
  core.renew();
  if (options === undefined) {
    return { bounds: { prefixBytes: 0, startBytes: 0, endBytes: 0 }, reverse: false, limit: 0xffffffff };
  }
  checkShape(options);
  const { prefix, start, end, reverse } = options;
  if (reverse !== undefined && typeof reverse !== "boolean") {
    throw new HoldfastError("INVALID_ARGUMENT", `reverse must be true or false, got ${String(reverse)}.`);
  }
  const limit = checkLimit(options.limit);
  let at = core.boundsOffset;
  const prefixBytes = prefix === undefined ? 0 : encodeBound(prefix, "prefix", core, at);
  at += prefixBytes;
  const startBytes = start === undefined ? 0 : encodeBound(start, "start", core, at);
  at += startBytes;
  const endBytes = end === undefined ? 0 : encodeBound(end, "end", core, at);
  // Nothing stands before the empty string, while to the core a bound of no bytes is none.
  const nothing = end !== undefined && endBytes === 0;
  return { bounds: { prefixBytes, startBytes, endBytes }, reverse: reverse ?? false, limit: nothing ? 0 : limit };
}
