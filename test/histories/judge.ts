/**
 * What has to hold of everything that the workers of a history have told, and of what was found afterwards.
 *
 *   each run is strictly serializable                          the list-append checker
 *   what is seen at a version is all of it, and nothing newer   by the versions of those commits that tell theirs
 *   what was acknowledged as durable is in what was kept        by the clock, and by the mode
 *   what was kept is a beginning of the order of commits        both of the first, with what was found as one more read
 */
import { checkListAppend, type ListTransaction, type Micro } from "../support/list-append.js";
import type { Mode, Told } from "./diary.js";

/** All lists of some runs as they were found from outside, at one instant. */
export interface Finding {
  readonly where: string;
  readonly lists: ReadonlyMap<string, readonly Micro[]>;
  /** When the look began, by the common clock: what was acknowledged before has to be there, if its mode is one of these. */
  readonly began: number;
  readonly holds: readonly Mode[];
  /** Whether it has to show what was acknowledged before: otherwise it may be older. */
  readonly isNewest: boolean;
  /** The highest version in it: everything up to that has to be there. */
  readonly version?: number | undefined;
}

/** Characters of a transaction that is told of. */
const TOLD_CHARACTERS_MAX = 400;

function tell(transaction: Told): string {
  return JSON.stringify(transaction).slice(0, TOLD_CHARACTERS_MAX);
}

function inEach<T>(told: readonly Told[], runs: readonly string[], work: (run: string, ofRun: Told[]) => T[]): T[] {
  return runs.flatMap((run) =>
    work(
      run,
      told.filter((transaction) => transaction.run === run),
    ),
  );
}

/** Everything that could not be so if transactions came one after another; for people. */
export function faultsOf(told: readonly Told[], findings: readonly Finding[], runs: readonly string[]): string[] {
  return inEach(told, runs, (run, ofRun) => [
    ...anomaliesOf(run, ofRun, findings),
    ...ofRun.flatMap((reader) => versionFaults(`T(${reader.began}) of ${run}`, reader.micros, reader.reads, ofRun)),
    ...findings.flatMap(({ where, lists, version }) =>
      versionFaults(`${where}, ${run}`, lists.get(run) ?? [], lists.has(run) ? version : undefined, ofRun),
    ),
  ]);
}

/** Everything that was acknowledged, and is not where it has to be. */
export function lossesOf(told: readonly Told[], findings: readonly Finding[], runs: readonly string[]): string[] {
  return inEach(told, runs, (run, ofRun) => findings.flatMap((finding) => lostFrom(run, finding, ofRun)));
}

function anomaliesOf(run: string, told: readonly Told[], findings: readonly Finding[]): string[] {
  const history: ListTransaction[] = told.map(({ micros, began, ending }) => ({
    status: ending?.status ?? "indeterminate",
    micros,
    began,
    ended: ending?.ended,
  }));
  for (const { lists, began, isNewest } of findings) {
    const micros = lists.get(run);
    if (micros !== undefined) history.push({ status: "committed", micros, began: isNewest ? began : undefined });
  }
  return checkListAppend(history).map(({ explanation }) => `${run}: ${explanation}`);
}

function valuesOf(micros: readonly Micro[]): Set<number> {
  return new Set(micros.flatMap((micro) => (micro.do === "read" ? micro.list : [])));
}

function appendsOf({ micros }: Told): number[] {
  return micros.flatMap((micro) => (micro.do === "append" ? [micro.value] : []));
}

/** What is wrong with what was read of all keys at a version: it has to be all that was committed up to then, and no more. */
function versionFaults(
  who: string,
  micros: readonly Micro[],
  version: number | undefined,
  told: readonly Told[],
): string[] {
  if (version === undefined) return [];
  const values = valuesOf(micros);
  return told.flatMap((writer) => {
    const { ending } = writer;
    if (ending?.status !== "committed" || ending.version === undefined) return [];
    const is = appendsOf(writer).filter((value) => values.has(value)).length;
    const should = ending.version <= version ? appendsOf(writer).length : 0;
    if (is === should) return [];
    const what = `${is} of the ${appendsOf(writer).length} values of the commit of version ${ending.version}`;
    return [`${who} at version ${version} shows ${what}: ${tell(writer)}`];
  });
}

function lostFrom(run: string, { where, lists, began, holds }: Finding, told: readonly Told[]): string[] {
  const micros = lists.get(run);
  if (micros === undefined) return [];
  const values = valuesOf(micros);
  const lost = told.filter((writer) => {
    const { ending, mode } = writer;
    const isHeld = ending?.status === "committed" && ending.ended < began && holds.includes(mode);
    return isHeld && appendsOf(writer).some((value) => !values.has(value));
  });
  return lost.map((writer) => `${where} misses what was acknowledged in ${run}: ${tell(writer)}`);
}
