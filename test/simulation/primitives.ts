/**
 * What workloads write with the primitives, and what must hold of each of them in any database that was recovered.
 *
 * Writes are named by item, as `log-items.ts` names them: `k:key`, `c:cell`, `t:id`, `i:` of the index. An event's sequence is
 * not known before it is appended: its name is `e:` and something that no other event has.
 */

import { isDeepStrictEqual } from "node:util";
import type { Database, Run, RunInfo, Trace, Transaction } from "../../src/index.js";
import type { Random } from "./random.js";
import { CELLS, KEYS, RUNS, TAGS } from "./written-log.js";

/** What a commit is to write: texts, and `undefined` for deletions. */
export type Writes = ReadonlyMap<string, string | undefined>;

/** What writes can be made through: a run, or a transaction. */
type Target = Pick<Transaction, "kv" | "events" | "state" | "traces">;

/** An item that a transaction writes `mark` to; key-values most of all, since they are told apart the best. */
export function someItem(random: Random, mark: string, count: number): string {
  switch (random.pick(8)) {
    case 0:
      return `e:${mark}${count}`;
    case 1:
      return `t:${mark}${count}`;
    case 2:
    case 3:
      return `c:${random.of(CELLS)}`;
    default:
      return `k:${random.of(KEYS)}`;
  }
}

/** Whether what has this name can be deleted. */
export function isDeletable(item: string): boolean {
  return item.startsWith("k:") || item.startsWith("c:");
}

/** Makes writes in a transaction. */
export function writeAll(target: Target, writes: Writes): void {
  for (const [item, text] of writes) {
    const name = item.slice(2);
    if (text !== undefined) writeOne(target, item, text, undefined);
    else if (item.startsWith("k:")) target.kv.delete(name);
    else target.state.delete(name);
  }
}

/** Makes one write; a trace has the first root as its parent, in one half of the cases, and a tag. */
export function writeOne(target: Target, item: string, text: string, durability: RunOptions | undefined): void {
  const name = item.slice(2);
  switch (item[0]) {
    case "e":
      target.events.append(`type ${text.length % 3}`, text, durability);
      return;
    case "c":
      target.state.set(name, text, durability);
      return;
    case "t": {
      const parent = text.length % 2 === 0 ? target.traces.roots({ limit: 1 })[0]?.id : undefined;
      const tags = [TAGS[text.length % TAGS.length] as string];
      target.traces.record({ type: "thought", content: text }, { id: name, parent, tags, ...durability });
      return;
    }
    default:
      target.kv.put(name, text, durability);
  }
}

interface RunOptions {
  readonly durability: "in-memory" | "buffered" | "strict";
}

/** Changes a run's entry in the index, or makes it. */
export function changeIndex(database: Database, run: string, random: Random, mark: string, options: RunOptions): void {
  const { runs } = database;
  const info = runs.get(run);
  if (info === undefined) runs.create({ name: run, tags: [random.of(TAGS)], metadata: { mark } }, options);
  else if (random.rarely(3)) runs.addTags(run, [random.of(TAGS)], options);
  else if (random.rarely(2)) runs.updateMetadata(run, { mark }, options);
  else if (info.status === "active") runs.pause(run, options);
  else runs.resume(run, options);
}

// What must hold.

/** The first thing that is wrong with a primitive, if anything. */
export function faultIn(database: Database): string | undefined {
  const infos = RUNS.flatMap((id) => database.runs.get(id) ?? []);
  for (const id of RUNS) {
    const run = database.run(id);
    const fault = eventFault(run) ?? cellFault(run) ?? traceFault(run);
    if (fault !== undefined) return `run ${id}: ${fault}`;
  }
  return indexFault(database, infos);
}

function eventFault({ events }: Run): string | undefined {
  const { length } = events;
  const report = events.verify();
  if (!report.valid || report.length !== length) return `events.verify() says ${JSON.stringify(report)} of ${length}`;
  if (length === 0) return undefined;
  const all = [...events.range(0, length)];
  if (all.length !== length || all.some(({ sequence }, place) => sequence !== place)) return "events have gaps";
  const types = new Set(all.map(({ type }) => type));
  return isDeepStrictEqual(events.types(), [...types].sort()) ? undefined : `events are of types ${events.types()}`;
}

function cellFault({ state }: Run): string | undefined {
  const cells = state.list();
  if (state.count() !== cells.length) return `${cells.length} cells are listed, ${state.count()} counted`;
  for (const [name, cell] of cells) {
    if (!isDeepStrictEqual(state.read(name), cell)) return `cell ${name} is read as another than it is listed as`;
  }
  return undefined;
}

function traceFault({ traces }: Run): string | undefined {
  const all = traces.list();
  if (traces.count() !== all.length) return `${all.length} traces are listed, ${traces.count()} counted`;
  if (all.length === 0) return undefined;
  const expectFound = (where: string, found: readonly Trace[], is: (trace: Trace) => boolean): string | undefined => {
    const ids = (given: readonly Trace[]): string[] => given.map(({ id }) => id).sort();
    return isDeepStrictEqual(ids(found), ids(all.filter(is))) ? undefined : `traces are not found by ${where}`;
  };
  const parents = new Set(all.flatMap(({ parent }) => parent ?? []));
  return (
    expectFound("type", traces.byType("thought"), () => true) ??
    expectFound("being a root", traces.roots(), ({ parent }) => parent === undefined) ??
    first(TAGS, (tag) => expectFound(`tag ${tag}`, traces.byTag(tag), ({ tags }) => tags.includes(tag))) ??
    first(parents, (id) => expectFound(`parent ${id}`, traces.children(id), ({ parent }) => parent === id))
  );
}

function indexFault(database: Database, infos: readonly RunInfo[]): string | undefined {
  if (!isDeepStrictEqual(database.runs.list(), infos)) return "the index lists other runs than it has";
  return database.runs.stats().total === infos.length ? undefined : "the index counts other runs than it has";
}

function first<T>(of: Iterable<T>, fault: (it: T) => string | undefined): string | undefined {
  for (const it of of) {
    const found = fault(it);
    if (found !== undefined) return found;
  }
  return undefined;
}
