/**
 * All that can be seen of a run, in the words of the oracle: read through the public interface, or taken from a state.
 *
 * Only key-values show the version of their commit; what a deleted cell has left shows only when it is made again.
 */
import { isDeepStrictEqual } from "node:util";
import type { Database, LogEvent, RunInfo, Trace, Value } from "../../src/index.js";
import { type Cell, expectSame, type History, type State, show } from "../support/history.js";
import { look, type ReadAct, type View } from "./acts.js";
import { eventItem, inTable, predict } from "./primitives-oracle.js";

/** What is there to be seen. */
export function imageOf(view: View, info: RunInfo | undefined): Map<string, Cell> {
  const image = new Map<string, Cell>();
  const see = (item: string, value: unknown): unknown => image.set(item, { value: value as Value, version: 0 });
  for (const key of view.kv.keys()) image.set(`k:${key}`, view.kv.getVersioned(key) as Cell);
  for (const event of view.events.range()) see(eventItem(event.sequence), event);
  for (const [name, cell] of view.state.list()) see(`c:${name}`, cell);
  for (const trace of view.traces.list()) see(`t:${trace.id}`, trace);
  if (info !== undefined) see("i:", info);
  return image;
}

/** What of a state can be seen. */
export function visibleOf(state: State): Map<string, Cell> {
  const visible = new Map<string, Cell>();
  for (const [item, cell] of state) {
    if (item.startsWith("k:")) visible.set(item, cell);
    else if (!item.startsWith("n:")) visible.set(item, { value: cell.value, version: 0 });
  }
  return visible;
}

/** Every way to find an event or a trace that a state has. */
function findings(state: State): ReadAct[] {
  const types = new Set<string>();
  const tags = new Set<string>();
  const acts: ReadAct[] = [{ do: "events.types" }, { do: "traces.roots" }];
  for (const [item, { value }] of state) {
    if (item.startsWith("e:")) types.add((value as unknown as LogEvent).type);
    if (!item.startsWith("t:")) continue;
    const { id, entry, tags: own } = value as unknown as Trace;
    for (const tag of own) tags.add(tag);
    const name = entry.type === "custom" ? entry.name : undefined;
    acts.push({ do: "traces.children", id }, { do: "traces.byType", type: entry.type, name });
  }
  for (const type of types) acts.push({ do: "events.byType", type, reverse: false, limit: undefined });
  for (const tag of tags) acts.push({ do: "traces.byTag", tag });
  return acts;
}

/** What was read is what a state shows, every index leads to all of it, and the log of events is sound. */
export function expectImage(what: string, view: View, info: RunInfo | undefined, state: State): void {
  expectSame(what, imageOf(view, info), visibleOf(state));
  const length = inTable(state, "e").size;
  expectSame(`the event log of ${what}`, view.events.verify(), { valid: true, length });
  const counts = [view.kv.count(), view.events.length, view.state.count(), view.traces.count()];
  const expected = [inTable(state, "k").size, length, inTable(state, "c").size, inTable(state, "t").size];
  expectSame(`the counts of ${what}`, counts, expected);
  for (const act of findings(state)) expectSame(`${act.do} of ${what}`, look(view, act), predict(state, act, 0).result);
}

/** How many live entries a state has. */
export function entriesOf(state: State): number {
  return visibleOf(state).size;
}

/** What was found of one run. */
export interface Found {
  readonly id: string;
  readonly version: number;
  readonly image: State;
}

/** All that can be seen of some runs of a database. */
export function findAll(database: Database, ids: readonly string[]): Found[] {
  return ids.map((id) => {
    const run = database.run(id);
    return { id, version: run.version, image: imageOf(run, database.runs.get(id)) };
  });
}

/**
 * How many commits a recovered database holds: the most, of at least `least`, after which every run was exactly so.
 * Throws if there is no such prefix.
 */
export function prefixOf(history: History, found: readonly Found[], least: number): number {
  for (let count = history.commits.length; count >= least; count--) {
    const isThere = ({ id, version, image }: Found): boolean =>
      version === history.versionOf(id, count) &&
      isDeepStrictEqual(image, visibleOf(history.state(id, undefined, count)));
    if (found.every(isThere)) return count;
  }
  throw new Error(
    `the recovered state is none of the prefixes of ${least} to ${history.commits.length} commits\n${show(found)}`,
  );
}
