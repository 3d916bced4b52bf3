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
  return inEach(told, runs, (run, ofRun) => {
    const commits = commitsOf(ofRun);
    return [
      ...anomaliesOf(run, ofRun, findings),
      ...ofRun.flatMap((reader) => versionFaults(`T(${reader.began}) of ${run}`, reader.micros, reader.reads, commits)),
      ...findings.flatMap(({ where, lists, version }) =>
        versionFaults(`${where}, ${run}`, lists.get(run) ?? [], lists.has(run) ? version : undefined, commits),
      ),
    ];
  });
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
  const values = new Set<number>();
  for (const micro of micros) if (micro.do === "read") for (const value of micro.list) values.add(value);
  return values;
}

function appendsOf({ micros }: Told): number[] {
  return micros.flatMap((micro) => (micro.do === "append" ? [micro.value] : []));
}

/** A commit whose version was told, and what it has appended. */
interface Commit {
  readonly writer: Told;
  readonly version: number;
  readonly values: readonly number[];
}

/** Found once for all who read: there are hundreds of both. */
function commitsOf(told: readonly Told[]): Commit[] {
  return told.flatMap((writer) => {
    const { ending } = writer;
    if (ending?.status !== "committed" || ending.version === undefined) return [];
    return [{ writer, version: ending.version, values: appendsOf(writer) }];
  });
}

/** What is wrong with what was read of all keys at a version: it has to be all that was committed up to then, and no more. */
function versionFaults(
  who: string,
  micros: readonly Micro[],
  version: number | undefined,
  commits: readonly Commit[],
): string[] {
  if (version === undefined) return [];
  const values = valuesOf(micros);
  const faults: string[] = [];
  for (const commit of commits) {
    const should = commit.version <= version ? commit.values.length : 0;
    let is = 0;
    for (const value of commit.values) if (values.has(value)) is++;
    if (is === should) continue;
    const what = `${is} of the ${commit.values.length} values of the commit of version ${commit.version}`;
    faults.push(`${who} at version ${version} shows ${what}: ${tell(commit.writer)}`);
  }
  return faults;
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
