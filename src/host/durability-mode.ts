/**
 * The three durability modes: all give the same atomicity, consistency and isolation, only the D differs.
 */
import { HoldfastError } from "../errors.js";
import { MODE_BUFFERED, MODE_IN_MEMORY, MODE_STRICT } from "./abi.js";
import { describe, readOptions, refuseArgument } from "./arguments.js";

/** How durable a commit is when the call that made it returns. */
export type DurabilityMode =
  /** Applied in memory. Over a persistent database its record is written ahead of the next durable commit. */
  | { readonly mode: "in-memory" }
  /** Handed to the operating system; synced in the background at the interval or the number of writes, whichever is first. */
  | { readonly mode: "buffered"; readonly flushIntervalMs: number; readonly maxPendingWrites: number }
  /** Written and synced, and only then visible to anyone. */
  | { readonly mode: "strict" };

/** The name of a mode. */
export type DurabilityName = DurabilityMode["mode"];

/**
 * How options name a mode: by name, or as an object whose missing fields take the defaults. What one write leaves out of
 * `"buffered"` is as the database has it, or the default where that is not buffered.
 */
export type DurabilityOption =
  | DurabilityName
  | { readonly mode: "in-memory" | "strict" }
  | {
      readonly mode: "buffered";
      readonly flushIntervalMs?: number | undefined;
      readonly maxPendingWrites?: number | undefined;
    };

const FLUSH_INTERVAL_MS = 100;
const MAX_PENDING_WRITES = 1000;
/** The longest delay that every platform's timers can keep: 2^31 − 1 ms. */
const FLUSH_INTERVAL_MS_MAX = 2147483647;

/** Buffered, synced every 100 ms or 1,000 writes. */
export function bufferedDefault(): DurabilityMode & { mode: "buffered" } {
  return { mode: "buffered", flushIntervalMs: FLUSH_INTERVAL_MS, maxPendingWrites: MAX_PENDING_WRITES };
}

/** Whether a mode needs a log: every mode but in-memory. */
export function requiresWal(mode: DurabilityOption): boolean {
  return parseDurability(mode).mode !== "in-memory";
}

/** Whether a mode's commits return only after a sync. */
export function requiresImmediateFsync(mode: DurabilityOption): boolean {
  return parseDurability(mode).mode === "strict";
}

/** The longest time in milliseconds that a commit stays unsynced, where the mode has one. */
export function flushInterval(mode: DurabilityOption): number | undefined {
  const parsed = parseDurability(mode);
  return parsed.mode === "buffered" ? parsed.flushIntervalMs : undefined;
}

/** The number of unsynced commits that starts a sync, where the mode has one. */
export function maxPendingWrites(mode: DurabilityOption): number | undefined {
  const parsed = parseDurability(mode);
  return parsed.mode === "buffered" ? parsed.maxPendingWrites : undefined;
}

/** The modes as values. The default is strict. */
export const DurabilityMode = {
  /** Applied in memory. */
  inMemory: (): DurabilityMode => ({ mode: "in-memory" }),
  /** Handed to the system, synced every 100 ms or 1,000 writes. */
  buffered: bufferedDefault,
  /** Written and synced. */
  strict: (): DurabilityMode => ({ mode: "strict" }),
  /** Strict. */
  default: (): DurabilityMode => ({ mode: "strict" }),
} as const;

/** Buffered, with its bounds. */
export type BufferedMode = ReturnType<typeof bufferedDefault>;

/** The mode that a commit is made in. */
export interface CommitMode {
  /** The number that it has in the core and in a record. */
  readonly number: number;
  /** When it is synced at the latest, where it is buffered. */
  readonly bounds: BufferedMode | undefined;
}

export function commitMode(mode: DurabilityMode): CommitMode {
  if (mode.mode === "buffered") return { number: MODE_BUFFERED, bounds: mode };
  return { number: mode.mode === "strict" ? MODE_STRICT : MODE_IN_MEMORY, bounds: undefined };
}

function positiveInteger(value: unknown, fallback: number, limit: number, what: string): number {
  if (value === undefined) return fallback;
  if (typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= limit) return value;
  throw refuseArgument(`${what} must be a whole number from 1 to ${limit}, got ${describe(value)}.`);
}

interface ModeFields {
  readonly mode?: unknown;
  readonly flushIntervalMs?: unknown;
  readonly maxPendingWrites?: unknown;
}

/**
 * A mode from an option, with the defaults filled in.
 * @throws HoldfastError `INVALID_ARGUMENT` naming the three modes.
 */
export function parseDurability(option: unknown, defaults = bufferedDefault()): DurabilityMode {
  const isObject = typeof option === "object" && option !== null;
  const fields: ModeFields = isObject
    ? readOptions<ModeFields>(option, ["mode", "flushIntervalMs", "maxPendingWrites"], "durability")
    : { mode: option };
  const { mode } = fields;
  if (mode === "in-memory" || mode === "strict") {
    if (isObject) readOptions(option, ["mode"] as never[], `durability "${mode}"`);
    return { mode };
  }
  if (mode !== "buffered") {
    const got = isObject ? `mode ${describe(mode)}` : describe(mode);
    throw refuseArgument(
      `durability must be "in-memory", "buffered" or "strict" (or an object with such a mode), got ${got}.`,
    );
  }
  return {
    mode,
    flushIntervalMs: positiveInteger(
      fields.flushIntervalMs,
      defaults.flushIntervalMs,
      FLUSH_INTERVAL_MS_MAX,
      "durability.flushIntervalMs",
    ),
    maxPendingWrites: positiveInteger(
      fields.maxPendingWrites,
      defaults.maxPendingWrites,
      Number.MAX_SAFE_INTEGER,
      "durability.maxPendingWrites",
    ),
  };
}

/** What a storage can keep, and how it is told apart. */
interface Keeper {
  readonly kind: string;
  readonly persistent: boolean;
  readonly syncFlush: boolean;
}

/** The strongest mode that a storage can keep in a synchronous call. */
function strongestMode(capabilities: Keeper): DurabilityMode {
  if (!capabilities.persistent) return { mode: "in-memory" };
  return capabilities.syncFlush ? { mode: "strict" } : bufferedDefault();
}

/** The mode that a database is opened in: what was asked for, or the strongest that its storage can keep synchronously. */
export function databaseMode(option: unknown, capabilities: Keeper): DurabilityMode {
  if (option === undefined) return strongestMode(capabilities);
  const mode = parseDurability(option);
  if (mode.mode === "in-memory" || capabilities.persistent) return mode;
  throw new HoldfastError(
    "INVALID_ARGUMENT",
    `The storage (${capabilities.kind}) keeps nothing, so the database can only be in-memory, not ${mode.mode}. Give a path or another storage.`,
  );
}
