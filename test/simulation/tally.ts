/**
 * What a suite of the simulation counts, and how it says what it found: every violation with the seed that replays it.
 */
import { type DurabilityReport, SEED, writeReport } from "../support/durability-report.js";
import { mixed } from "./random.js";
import { Violation, type Wrong } from "./workload.js";

/** After so many violations there is nothing to learn from more. */
const VIOLATIONS_MAX = 5;

/** Seeds of workloads: those that failed once, then the run's own, then what follows from it. */
export function* workloadSeeds(known: readonly number[]): Generator<number> {
  yield* known;
  yield SEED;
  for (let index = 1; ; index++) yield mixed(SEED, index);
}

export class Tally {
  cases = 0;
  acknowledged = 0;
  readonly violations: string[] = [];
  readonly #counts = new Map<Wrong, number>();
  readonly #startMs = performance.now();

  /** Notes what a workload threw; whatever is no violation is untyped. */
  note(seed: number, error: unknown, story: readonly string[]): void {
    const wrong = error instanceof Violation ? error.wrong : "untyped";
    this.#counts.set(wrong, (this.#counts.get(wrong) ?? 0) + 1);
    const text = error instanceof Error ? error.message : String(error);
    const stack = error instanceof Violation ? "" : `\n${(error as Error)?.stack ?? ""}`;
    const told = story.length === 0 ? "" : `\n    ${story.slice(-20).join("\n    ")}`;
    this.violations.push(`HOLDFAST_SEED=${seed} replays it first\n  ${text}${stack}${told}`);
    console.error(this.violations.at(-1));
  }

  get isEnough(): boolean {
    return this.violations.length >= VIOLATIONS_MAX;
  }

  get seconds(): number {
    return (performance.now() - this.#startMs) / 1000;
  }

  /** Keeps the figures; what is broken in no other way counts as lost. */
  report(suite: string, what: string, goal: number, skipped?: string): void {
    const count = (wrong: Wrong): number => this.#counts.get(wrong) ?? 0;
    const report: DurabilityReport = {
      suite,
      what,
      cases: this.cases,
      goal,
      acknowledged: this.acknowledged,
      lost: count("lost") + count("broken"),
      partial: count("partial"),
      reordered: count("reordered"),
      silentlyCorrupt: count("silentlyCorrupt"),
      untyped: count("untyped"),
      hung: count("hung"),
      seed: SEED,
      seconds: Math.round(this.seconds * 10) / 10,
      skipped,
    };
    writeReport(report);
    console.log(`${suite}: ${this.cases} cases in ${report.seconds} s, seed ${SEED}`);
  }
}
