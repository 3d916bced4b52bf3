/**
 * How long commits take, by the mode that they were made in. What it keeps true: it measures nothing itself; it is given what
 * `holdfast/trace` has measured around the core and the storage, and keeps the newest of each mode.
 */
import type { DurabilityName } from "holdfast";

/** How many of the newest commits of each mode are kept. */
export const LATENCIES_KEPT = 160;
const NS_PER_MS = 1e6;

/** The commits of one mode. */
export interface Latency {
  readonly mode: DurabilityName;
  readonly commits: number;
  /** The newest, in milliseconds, oldest first. */
  readonly recentMs: readonly number[];
  readonly medianMs: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** The part of the median that was waiting for the sync. */
  readonly syncMedianMs: number;
}

interface Kept {
  commits: number;
  readonly totals: number[];
  readonly syncs: number[];
}

function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0;
}

export class Meter {
  readonly #byMode = new Map<DurabilityName, Kept>();

  add(
    mode: DurabilityName,
    { commitTotalNs, fsyncNs }: { readonly commitTotalNs: number; readonly fsyncNs: number },
  ): void {
    const kept = this.#byMode.get(mode) ?? { commits: 0, totals: [], syncs: [] };
    this.#byMode.set(mode, kept);
    kept.commits++;
    kept.totals.push(commitTotalNs / NS_PER_MS);
    kept.syncs.push(fsyncNs / NS_PER_MS);
    if (kept.totals.length > LATENCIES_KEPT) {
      kept.totals.shift();
      kept.syncs.shift();
    }
  }

  summary(): Latency[] {
    return [...this.#byMode].map(([mode, { commits, totals, syncs }]) => ({
      mode,
      commits,
      recentMs: [...totals],
      medianMs: quantile(totals, 0.5),
      p99Ms: quantile(totals, 0.99),
      maxMs: Math.max(...totals),
      syncMedianMs: quantile(syncs, 0.5),
    }));
  }
}

/** The steps in which this clock moves: browsers make them coarse, more so on a page that is not isolated. */
export function clockStepMs(): number {
  let least = Number.POSITIVE_INFINITY;
  for (let seen = 0; seen < 5; seen++) {
    const from = performance.now();
    let to = from;
    while (to === from) to = performance.now();
    least = Math.min(least, to - from);
  }
  return least;
}
