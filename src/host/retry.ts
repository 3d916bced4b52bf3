/**
 * How often, and after how long, a transaction that met a conflict is run again.
 */
import { describe, readOptions, refuseArgument } from "./arguments.js";
import type { Environment } from "./environment.js";

/** Retrying after conflicts: the wait doubles from `baseMs` up to `maxMs`, jittered. */
export interface RetryOptions {
  /** Attempts in all, the first included. */
  readonly attempts?: number | undefined;
  readonly baseMs?: number | undefined;
  readonly maxMs?: number | undefined;
}

/** Retry options with their defaults. */
export interface RetryPlan {
  readonly attempts: number;
  readonly baseMs: number;
  readonly maxMs: number;
}

const ONCE: RetryPlan = { attempts: 1, baseMs: 0, maxMs: 0 };
const ATTEMPTS = 3;
const BASE_MS = 10;
const MAX_MS = 100;
/** The longest delay that every platform's timers can keep: 2^31 − 1 ms. */
const DELAY_MS_MAX = 2147483647;

function atLeast(value: unknown, fallback: number, least: number, name: string): number {
  if (value === undefined) return fallback;
  if (typeof value === "number" && value >= least) return value;
  throw refuseArgument(`retry.${name} must be a number of at least ${least}, got ${describe(value)}.`);
}

function wholeAttempts(value: unknown): number {
  const attempts = atLeast(value, ATTEMPTS, 1, "attempts");
  if (Number.isInteger(attempts) || attempts === Number.POSITIVE_INFINITY) return attempts;
  throw refuseArgument(`retry.attempts must be a whole number, got ${describe(value)}.`);
}

/** The plan for an option: without one a transaction is run once. */
export function retryPlan(options: RetryOptions | undefined): RetryPlan {
  if (options === undefined) return ONCE;
  const given = readOptions<RetryOptions>(options, ["attempts", "baseMs", "maxMs"], "retry");
  return {
    attempts: wholeAttempts(given.attempts),
    baseMs: atLeast(given.baseMs, BASE_MS, 0, "baseMs"),
    maxMs: atLeast(given.maxMs, MAX_MS, 0, "maxMs"),
  };
}

/** How long to wait after attempt number `attempt` (from 1): between half and the whole of the doubled base. */
export function retryDelayMs(plan: RetryPlan, attempt: number, environment: Environment): number {
  const delayMs = Math.min(DELAY_MS_MAX, plan.maxMs, plan.baseMs * 2 ** (attempt - 1));
  const random = new Uint32Array(1);
  environment.randomBytes(new Uint8Array(random.buffer));
  return delayMs * (0.5 + (random[0] as number) / 2 ** 33);
}
