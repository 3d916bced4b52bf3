/**
 * Faults of the core between workers, planted by changing the text of its sources before they are compiled, to see that the
 * scheduler finds each of them.
 *
 * What it keeps true: nothing of this is in `assembly/`; a text that is to be changed stands in its file exactly once, or the
 * plant's test fails: so that a plant cannot rot.
 */
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { main } from "assemblyscript/asc";
import { everyAccess } from "./every-access.mjs";

export interface Plant {
  readonly name: string;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  /** Whether it shows only where every access to memory is a step. */
  readonly everyAccess?: boolean;
  /** The one script that brings it to light, where others hardly do. */
  readonly script?: string;
  /** Whether a worker has to die for it to show. */
  readonly kills?: boolean;
}

export const PLANTS: readonly Plant[] = [
  {
    name: "a reader does not look a second time",
    file: "optimistic.ts",
    find: "  const holds = load32(sequenceAt) == began;\n",
    replace: "  const holds = true;\n",
  },
  {
    name: "a writer does not make the sequence odd",
    file: "run.ts",
    find: "  if (!SHARED || (run.sequence & 1) == 1) return;\n",
    replace: "  if (SHARED) return;\n",
  },
  {
    name: "a reader begins at an odd sequence",
    file: "optimistic.ts",
    find: "    if ((began & 1) == 0) return true;\n",
    replace: "    return true;\n",
    everyAccess: true,
    script: "a table splits",
  },
  {
    name: "the bound is announced after the version is taken",
    file: "store.ts",
    find: "    workerBegin();\n    const version = nextVersion();\n    install(",
    replace: "    const version = nextVersion();\n    workerBegin();\n    install(",
    script: "snapshot of all, a run is made",
  },
  {
    name: "the bound is taken back before the version can be seen",
    file: "store.ts",
    find: "  run.installed = version;\n  runPublish(run, version, change, changeKv);\n  workerEnd();\n",
    replace: "  workerEnd();\n  run.installed = version;\n  runPublish(run, version, change, changeKv);\n",
    script: "snapshot of all, a run is made",
    everyAccess: true,
  },
  {
    name: "a version can be seen before it is installed",
    file: "store.ts",
    find: "    install(foundTable(), entry, record, version, keys != 0);\n    publishAtOnce(run, version, change, tag == TABLE_KV ? change : 0);\n",
    replace:
      "    publishAtOnce(run, version, change, tag == TABLE_KV ? change : 0);\n    atomic.store<u32>(changetype<usize>(run), run.sequence + 1);\n    nextVersion();\n    runChange(run);\n    install(foundTable(), entry, record, version, keys != 0);\n",
  },
  {
    name: "the lock is given back before the sequence is even",
    file: "run.ts",
    find: "  if ((run.sequence & 1) == 1) store32(runSequence(run), run.sequence + 1);\n  lockRelease(lockOf(run));\n",
    replace:
      "  lockRelease(lockOf(run));\n  if ((run.sequence & 1) == 1) store32(runSequence(run), run.sequence + 1);\n",
    script: "two writers, a table splits, listed",
    everyAccess: true,
  },
  {
    name: "pruning goes up to the newest version",
    file: "prune.ts",
    find: "  known = surveyHorizon();\n",
    replace: "  surveyHorizon();\n  known = superblock().version;\n",
    script: "snapshot of all, two runs",
  },
  {
    name: "pruning does not raise the floor",
    file: "prune.ts",
    find: "  raiseFloor(horizon);\n",
    replace: "",
    script: "snapshot of all, a run deleted that another one saw",
  },
  {
    name: "pruning looks at its own snapshots alone",
    file: "snapshots.ts",
    find: '  for (let index: u32 = 0; index < high; index++) {\n    const address = changetype<usize>(workerAt(index));\n    if (load32(address + offsetof<Worker>("held")) == 0) continue;\n',
    replace:
      '  for (let index: u32 = 0; index < high; index++) {\n    const address = changetype<usize>(workerAt(index));\n    if (index != workerIndex() || load32(address + offsetof<Worker>("held")) == 0) continue;\n',
  },
  {
    name: "a transaction is not validated",
    file: "store.ts",
    find: "  let status = validate(run, transaction, cursors, range);\n",
    replace: "  let status: u32 = STATUS_OK;\n",
  },
  {
    name: "a deletion does not end the snapshots that are being taken",
    file: "index.ts",
    find: "  if (SHARED && slot != NO_SLOT && run != 0 && !runIs(header, generation)) {\n",
    replace: "  if (false) {\n",
  },
  {
    name: "a lock is taken by two",
    file: "lock.ts",
    find: "  if (swap32(word, 0, lockToken()) != 0 && !lockWait(word)) return false;\n",
    replace: "  if (load32(word) != 0) return lockWait(word);\n  atomic.store<u32>(word, lockToken());\n",
    everyAccess: true,
  },
  {
    name: "the run of a dead worker is not poisoned",
    file: "burial.ts",
    find: "    if ((run.sequence & 1) == 1 && !poison(run)) {\n",
    replace: "    if (false) {\n",
    kills: true,
  },
  {
    name: "the snapshots of a dead worker are held on",
    file: "burial.ts",
    find: "  snapshotsOfDead(index);\n  if (",
    replace: "  if (",
    kills: true,
  },
  {
    name: "the heap is not made anew behind a dead worker",
    file: "burial.ts",
    find: "  heapRebuild();\n",
    replace: "",
    kills: true,
    everyAccess: true,
  },
];

/**
 * Faults that histories of real workers have to find, which nobody schedules: those that show often enough wherever workers hardly
 * ever run at the same time.
 */
export const PLANTS_FOR_HISTORIES: readonly (Plant & { readonly onFiles?: boolean })[] = [
  ...PLANTS.filter(({ name }) =>
    [
      "a reader does not look a second time",
      "a transaction is not validated",
      "the snapshots of a dead worker are held on",
    ].includes(name),
  ),
  {
    name: "a lock is not given back where a transaction is refused",
    file: "store.ts",
    find: "  const result = commitTransactionLocked(run, transaction, mode, cursors, range);\n  runUnlock(run);\n",
    replace:
      "  const result = commitTransactionLocked(run, transaction, mode, cursors, range);\n  if (result != -(STATUS_CONFLICT as i64)) runUnlock(run);\n",
  },
  {
    name: "a run's visible version moves over a commit that is not published",
    file: "publish.ts",
    find: "  if (run.unpublished != 1 || !isDurableEnough(sb, item)) return;\n",
    replace: "  if (!isDurableEnough(sb, item)) return;\n",
    onFiles: true,
  },
];

const ROOT = resolve(import.meta.dirname, "../..");
const VARIANTS = join(ROOT, "build/interleavings");

/** Faults of clearing up behind who has died inside the log, which log-deaths.ts must find. */
export const LOG_PLANTS: readonly Plant[] = [
  {
    name: "a record counts from the moment its place is taken",
    file: "queue.ts",
    find: "  if (SHARED) item.whole = 0;\n",
    replace: "  if (SHARED) item.whole = 1;\n",
  },
  {
    name: "a publication that was begun is not ended",
    file: "publish.ts",
    find: "  if (sb.publishing == 0) return;\n",
    replace: "  if (SHARED) return;\n",
    script: "publishing the deletion of a run",
  },
  {
    name: "what was accepted is not accepted to the end",
    file: "queue.ts",
    find: "    if (item.state != ITEM_WRITTEN && item.state != ITEM_SYNCED) return;\n",
    replace: "    if (SHARED) return;\n",
    script: "writing what others have queued",
  },
  {
    name: "a run does not know of the record that its worker has left",
    file: "publish.ts",
    find: "    run.installed = item.version;\n    run.commits++;\n",
    replace: "    run.commits++;\n",
    script: "the first commit of a run",
  },
  {
    name: "the headers of deleted runs stand in no list",
    file: "publish.ts",
    find: "    sb.headersTorn = 1;\n",
    replace: "",
    script: "publishing the deletion of a run",
  },
  {
    name: "what waits is not counted anew",
    file: "queue.ts",
    find: "  sumsMend(sb);\n",
    replace: "",
  },
  {
    name: "the records of a chunk are not counted anew",
    file: "queue.ts",
    find: "  if (!chunksMend(sb)) return false;\n",
    replace: "",
    script: "a put that needs a chunk of its own",
  },
];

/** Faults of clearing up behind one while another one is dead of whom nobody knows, which two-deaths.ts must find. */
export const TWO_DEATHS_PLANTS: readonly Plant[] = [
  {
    name: "who leaves is gone, though what it held could not be given back",
    file: "burial.ts",
    find: "isDone ? WORKER_FREE : WORKER_DEAD",
    replace: "WORKER_FREE",
    script: "leave with a transaction open",
  },
  {
    name: "the directory of the dead is kept where it cannot be made anew",
    file: "burial.ts",
    find: "    directoryReturn(dead);\n",
    replace: "",
    script: "write the log",
  },
];

/** Faults of holding and of pruning while commits are held up, which held-up.ts must find. */
export const HELD_UP_PLANTS: readonly Plant[] = [
  {
    name: "the floor is read before the slot is stored",
    file: "acquire.ts",
    find: "    const slot = snapshotAcquire(version, reserved);\n    if (!SHARED || slot == NO_SLOT || !floorHasPassed(version)) return slot;\n",
    replace:
      "    const passed = floorHasPassed(version);\n    const slot = snapshotAcquire(version, reserved);\n    if (!SHARED || slot == NO_SLOT || !passed) return slot;\n",
    script: "transaction, others are held up",
  },
  {
    name: "the floor is not read at all",
    file: "acquire.ts",
    find: " || !floorHasPassed(version)) return slot;",
    replace: " || true) return slot;",
    script: "snapshot of all, others are held up",
  },
  {
    name: "what stands before a bound that is gone is held",
    file: "horizon.ts",
    find: "    if (boundOf(workerAt(index)) == version + 1) return true;\n",
    replace: "    return true;\n",
    script: "snapshot of all, others are held up",
  },
  {
    name: "a run is held as it was before what was published meanwhile",
    file: "acquire.ts",
    find: "newestOf(run, installed) == newest) return slot;",
    replace: "true) return slot;",
    script: "snapshot, others are held up",
  },
  {
    name: "what can still be held is pruned",
    file: "horizon.ts",
    find: "    if (point < to) return point >= from;\n",
    replace: "    if (point < to) return false;\n",
    script: "snapshot of all, others are held up",
  },
  {
    name: "a bound that is not sure is taken for none",
    file: "horizon.ts",
    find: "  for (; (word & UNSURE) != 0; word = load64(boundAddress(whose))) boundMakeSure(whose, word);\n",
    replace: "  if ((word & UNSURE) != 0) word = 0;\n",
    script: "snapshot of all, others are held up",
  },
  {
    name: "a bound is made from what the counter was before it was announced",
    file: "horizon.ts",
    find: "  store64(boundAddress(mine), unsure);\n  boundMakeSure(mine, unsure);\n",
    replace: "  const counter = load64(counterAddress());\n  store64(boundAddress(mine), (counter + 1) << 1);\n",
    script: "snapshot of all, others are held up",
  },
];

/** The text of a source with a plant in it. */
export function planted({ name, file, find, replace }: Plant): string {
  const parts = readFileSync(join(ROOT, "assembly", file), "utf8").split(find);
  if (parts.length !== 2)
    throw new Error(`${name}: what it changes stands ${parts.length - 1} times in ${file}:\n${find}`);
  return parts.join(replace);
}

/** Compiles a core with a plant in it, as a target of asconfig.json and further options say; its file. */
async function compile(plant: Plant, name: string, target: string, further: readonly string[] = []): Promise<string> {
  const directory = join(VARIANTS, name);
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  cpSync(join(ROOT, "assembly"), join(directory, "assembly"), { recursive: true });
  writeFileSync(join(directory, "assembly", plant.file), planted(plant));
  const outFile = join(directory, `${target}.wasm`);
  const entry = join(directory, "assembly/shared-debug.ts");
  const options = [
    "--baseDir",
    ROOT,
    "--config",
    "asconfig.json",
    "--target",
    target,
    "--outFile",
    outFile,
    ...further,
  ];
  // In this process: a compiler that was loaded once takes a fraction of the time of one that is started anew.
  const { error, stderr } = await main([entry, ...options]);
  if (error !== null) throw new Error(`${plant.name} does not compile:\n${stderr}`, { cause: error });
  return outFile;
}

/** Compiles a core with a plant in it that real workers can share, without asserts, as it ships. */
export function buildShared(plant: Plant): Promise<string> {
  return compile(plant, `shared ${plant.name}`.replaceAll(" ", "-"), "shared-debug", ["--noAssert"]);
}

/** Compiles a stepped core with a plant in it; its file. */
export async function build(plant: Plant, index: number): Promise<string> {
  const outFile = await compile(plant, `${index}`, "stepped");
  if (plant.everyAccess === true) writeFileSync(outFile, everyAccess(readFileSync(outFile)));
  return outFile;
}
