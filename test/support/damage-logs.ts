/**
 * Small logs with their whole history, made to be damaged, and what opening a damaged one has to give.
 */
import { readFileSync } from "node:fs";
import { Database } from "../../src/index.js";
import { ByteStorage, type Segments } from "./byte-storage.js";
import { SimulatedDisk, type SimulatedStorageOptions } from "./simulated-storage.js";

export const RUNS = ["alpha", "beta", "gamma"];

/** Everything that is stored, by run and key. */
export type State = Record<string, Record<string, unknown>>;

/** A log, and the state after each of its commits; `states[0]` is empty. */
export interface DamageLog {
  readonly segments: Segments;
  readonly epoch: number;
  readonly states: readonly State[];
}

const core = process.env["HOLDFAST_CORE"] === "debug" ? "build/single-debug.wasm" : "dist/single.wasm";

/** The core, compiled once, so that opening costs well under a millisecond. */
export const wasm = new WebAssembly.Module(readFileSync(new URL(`../../${core}`, import.meta.url)));

/** What a database holds now. */
export function stateOf(db: Database): State {
  return Object.fromEntries(RUNS.map((run) => [run, Object.fromEntries(db.run(run).kv.list())]));
}

/** One commit of the history: puts, deletions of keys and of runs, and transactions of several keys, on several runs in turn. */
function commitNumber(db: Database, i: number, durability: "strict" | "buffered"): void {
  const run = db.run(RUNS[i % RUNS.length] as string);
  if (i % 5 === 3) {
    run.transaction(
      (tx) => {
        tx.kv.put("a", i);
        tx.kv.put("b", { n: i, list: ["x", null, -0.5] });
        tx.kv.delete("k0");
      },
      { durability },
    );
  } else if (i % 11 === 10 && run.count() > 0) {
    db.deleteRun(run.id, { durability });
  } else if (i % 7 === 6 && run.kv.has("a")) {
    run.kv.delete("a", { durability });
  } else {
    run.kv.put(`k${i % 4}`, `value ${i}`, { durability });
  }
}

export interface DamageLogOptions {
  readonly bytes: number;
  readonly ending: "closed" | "killed" | "buffered tail" | "recovered" | "recovered, written on";
  readonly storage?: SimulatedStorageOptions;
}

/** Makes a log of about so many bytes. */
export async function damageLog(options: DamageLogOptions): Promise<DamageLog> {
  const disk = new SimulatedDisk({ seed: 5 });
  const storage = disk.storage(options.storage);
  let db = await Database.open({ storage, wasm });
  const states: State[] = [stateOf(db)];
  const write = (bytes: number, mode: "strict" | "buffered"): void => {
    const before = db.stats().logBytes;
    while (db.stats().logBytes - before < bytes) {
      commitNumber(db, states.length, mode);
      states.push(stateOf(db));
    }
  };
  const reopen = async (): Promise<void> => {
    disk.crash({ kind: "kill" });
    db = await Database.open({ storage, wasm });
  };
  const tail = options.ending === "killed" || options.ending === "closed" ? 0 : options.bytes / 3;
  write(options.bytes - tail, "strict");
  if (tail > 0) write(tail, "buffered");
  if (options.ending.startsWith("recovered")) await reopen();
  if (options.ending === "recovered, written on") write(tail, "strict");
  if (options.ending === "closed") await db.close();
  else disk.crash({ kind: "kill" });
  const segments = new Map(disk.segmentNumbers().map((number) => [number, disk.bytes(number)]));
  return { segments, epoch: disk.epoch, states };
}

/** How an opening ended. */
export type Outcome =
  | { readonly kind: "opened"; readonly state: State; readonly droppedBytes: number; readonly storage: ByteStorage }
  | { readonly kind: "refused"; readonly error: unknown; readonly storage: ByteStorage };

/** Opens bytes as a database that may write, looks, and lets go without closing: as a crash would. */
export async function openSegments(segments: Segments, epoch: number): Promise<Outcome> {
  const storage = new ByteStorage(segments, epoch);
  try {
    const db = await Database.open({ storage, wasm });
    const droppedBytes = db.storageInfo.recovered?.droppedBytes ?? 0;
    return { kind: "opened", state: stateOf(db), droppedBytes, storage };
  } catch (error) {
    return { kind: "refused", error, storage };
  }
}

/** What the format says must come of a log: so many commits, or a refusal. */
export type Expectation = { readonly commits: number; readonly droppedBytes: number } | "CORRUPTION" | "unchanged";
