/**
 * The ids that a run gives to the parts of its graph: whole numbers from 1 on, each given once.
 *
 * Which is next stands in memory only, where taking one makes nobody wait and nobody conflict. So that none is given again
 * after a restart, ids come in blocks, and whoever commits something with an id has a mark of the id's block, or of a later
 * one, committed before or with it: after an opening ids go on behind the block of the newest mark, and for what was lost as
 * many further on as versions were moved up since that mark (COMMIT 11). An id that nothing was committed with is not given
 * again either as long as the database is open.
 *
 *   table 12   # U+0000 id of the block   → null
 */
import { HoldfastError } from "../errors.js";
import { STATUS_CONFLICT, STATUS_OK, TABLE_GRAPH, TABLE_INDEX_BASE, VERSION_GAP_AFTER_CRASH } from "./abi.js";
import { type Core, type RunHandle, statusError } from "./core.js";
import { nextId, setFirstId } from "./core-graph.js";
import { eachScanned, scan, scanSort } from "./core-scan.js";
import type { Engine } from "./engine.js";
import { IDS_PER_BLOCK, MARKS } from "./graph/layout.js";
import { idText, readId } from "./names.js";
import { prepareScan } from "./scan.js";

const TABLE = TABLE_GRAPH + TABLE_INDEX_BASE;
/** With so many marks, all but the newest are removed. Each opening and each block adds one. */
const MARKS_MAX = 16;

/** What marks are written and removed through: the transaction that takes the ids. */
interface MarkWriter {
  put(table: number, key: string, value: null, options: undefined): number;
  /** Whether it is there or not, and without reading it: two that remove the same marks do not conflict. */
  remove(table: number, key: string): void;
}

/** From so many blocks on, a mark stands for as many: it is seldom written, and an opening leaves out no more ids than there were. */
const BLOCKS_PER_MARK = 16;

/** The block whose mark will do for an id. */
function blockOf(id: number): number {
  const block = Math.floor(id / IDS_PER_BLOCK);
  return block < BLOCKS_PER_MARK ? block : block - (block % BLOCKS_PER_MARK) + BLOCKS_PER_MARK - 1;
}

/** A mark, and the version of the commit that has made it. */
interface Mark {
  readonly key: string;
  readonly version: number;
}

/** The marks at a version that is held, in the order of their blocks. Nothing is noted as read. */
function marksAt(core: Core, run: RunHandle, version: number): Mark[] {
  const status = scan(core, run, TABLE, version, prepareScan(core, { prefix: MARKS }), true);
  if (status !== STATUS_OK) throw statusError(status, "The graph's ids");
  const marks: Mark[] = [];
  eachScanned(core, scanSort(core), (key, record) => marks.push({ key, version: core.versionOf(record) }));
  return marks;
}

/**
 * As many ids as versions may have been moved up since one, for commits that were lost. Seen by the versions alone, so that it
 * shows after any number of openings, and in a copy.
 */
function idsLostSince(core: Core, version: number): number {
  const given = core.version() - version;
  return given - (given % VERSION_GAP_AFTER_CRASH);
}

function firstFree(core: Core, run: RunHandle, version: number): number {
  const newest = marksAt(core, run, version).at(-1);
  if (newest === undefined) return 1 + idsLostSince(core, 0);
  const block = readId(newest.key, MARKS.length);
  if (block === undefined) throw damagedIds();
  return (block.id + 1) * IDS_PER_BLOCK + idsLostSince(core, newest.version);
}

/**
 * An id that the run has not given before. `version` is one that is held.
 * @throws HoldfastError `CONFLICT` where the run was deleted; `CORRUPTION`.
 */
export function takeId(core: Core, run: RunHandle, version: number): number {
  for (;;) {
    const id = nextId(core, run);
    if (id < 0) throw statusError(STATUS_CONFLICT);
    if (id > Number.MAX_SAFE_INTEGER) throw damagedIds();
    if (id > 0) return id;
    setFirstId(core, run, firstFree(core, run, version));
  }
}

/** Whether this engine knows that a block is marked, or a later one. */
function isMarked(engine: Engine, run: RunHandle, block: number): boolean {
  const marked = engine.idMarks.get(run.pointer);
  return marked?.generation === run.generation && marked.block >= block;
}

/** Sees to it that the newest block of ids that a transaction has taken is marked, by its own commit unless it is already. */
export function markIds(engine: Engine, run: RunHandle, newestId: number, version: number, writer: MarkWriter): void {
  const block = blockOf(newestId);
  if (isMarked(engine, run, block)) return;
  const mark = MARKS + idText(block);
  const marks = marksAt(engine.core, run, version);
  // Another worker may have committed it, or a later one: it stands before whatever this one commits.
  if (marks.some(({ key }) => key >= mark)) return;
  writer.put(TABLE, mark, null, undefined);
  if (marks.length >= MARKS_MAX) for (const { key } of marks) writer.remove(TABLE, key);
}

/** Notes that what a transaction has marked is published, so that no later one need mark it again. */
export function notePublished(engine: Engine, run: RunHandle, newestId: number): void {
  const block = blockOf(newestId);
  if (isMarked(engine, run, block)) return;
  engine.idMarks.set(run.pointer, { generation: run.generation, block });
}

function damagedIds(): HoldfastError {
  return new HoldfastError(
    "CORRUPTION",
    "Which ids of the graph are free cannot be told: it was damaged, or written by something else.",
  );
}
