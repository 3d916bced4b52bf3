/**
 * What the suites about durability have counted: one file for each suite in `build/durability/`, from which the run's table
 * is made.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Figures of one suite. Everything from `lost` on must be 0. */
export interface DurabilityReport {
  /** A short name, which is the file's name too: `crash-states`. */
  readonly suite: string;
  /** What one case is, in a few words. */
  readonly what: string;
  readonly cases: number;
  /** How many cases there must at least be. */
  readonly goal: number;
  /** Acknowledged commits that were compared with what was found. */
  readonly acknowledged: number;
  /** Acknowledged as durable and not found again. */
  readonly lost: number;
  /** Transactions of which a part was found. */
  readonly partial: number;
  /** States that are no prefix of the commit order. */
  readonly reordered: number;
  /** Damage that was served as if it were good. */
  readonly silentlyCorrupt: number;
  /** Errors that were no HoldfastError, or the wrong one; traps. */
  readonly untyped: number;
  /** Cases that did not end in time. */
  readonly hung: number;
  /** What replays the run; `undefined` where nothing is random. */
  readonly seed?: number | undefined;
  readonly seconds: number;
  /** What was left out here and why: a runtime that is missing, root that was not to be had. */
  readonly skipped?: string | undefined;
}

/** Where the figures of a run stand. */
export const REPORT_DIRECTORY = fileURLToPath(new URL("../../build/durability/", import.meta.url));

/** Keeps the figures of one suite. */
export function writeReport(report: DurabilityReport): void {
  mkdirSync(REPORT_DIRECTORY, { recursive: true });
  writeFileSync(join(REPORT_DIRECTORY, `${report.suite}.json`), `${JSON.stringify(report, null, 2)}\n`);
}

/** How many times as many cases are run as in CI; a soak sets it. */
export const SCALE = Number(process.env["HOLDFAST_SCALE"] ?? 1);

/** The seed of this run: printed with every failure, and given back in `HOLDFAST_SEED` to replay it. */
export const SEED = Number(process.env["HOLDFAST_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
