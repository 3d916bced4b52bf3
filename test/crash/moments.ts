/**
 * What the suites share that end a writing child at a random moment: when that is, and what stands there afterwards.
 *
 * What it keeps true: a moment takes two numbers of its random source, so that a seed repeats all moments of a suite.
 */
import { existsSync, readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { SCALE } from "../support/durability-report.js";
import type { Life } from "./life.js";
import { SAYS } from "./plan.mjs";

export const LANES = 2;
export const TEST_TIMEOUT_MS = Math.max(1, SCALE) * 600_000;
export const SEGMENT_BYTES = { strict: [2_000, 64 * 1024 * 1024], buffered: [20_000, 64 * 1024 * 1024] } as const;

/** The longest that each step of a life may take before its end comes anyway. */
export const OPENING_MS_MAX = 10_000;
export const CHECKPOINT_MS_MAX = 150;

/** When an end comes, counted from what the child said. */
export interface Moment {
  /** Of all ends; those of a suite come to 1. */
  readonly share: number;
  /** Of {@link SAYS}; `undefined` counts from the child's start. */
  readonly after: number | undefined;
  readonly waitMsMax: number;
  readonly delayMsMax: number;
}

/** Waits for one of the moments, drawn by their shares. */
export async function moment(moments: readonly Moment[], life: Life, random: () => number): Promise<void> {
  let choice = random();
  const found = moments.find(({ share }) => {
    choice -= share;
    return choice < 0;
  });
  const { after, waitMsMax, delayMsMax } = found ?? (moments.at(-1) as Moment);
  if (after === SAYS.checkpointBegun || after === SAYS.checkpointEnded) await life.until(SAYS.ready, OPENING_MS_MAX);
  if (after !== undefined) await life.until(after, waitMsMax);
  await sleep(random() * delayMsMax);
}

/** Whether there is anything to open: an end may come before there is. */
export function isBegun(directory: string): boolean {
  return existsSync(directory) && readdirSync(directory).some((name) => /\.(log|ckp)$/.test(name));
}
