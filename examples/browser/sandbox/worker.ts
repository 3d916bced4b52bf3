/**
 * The worker: it owns the database, and the agent lives in it. What it keeps true: everything that has to outlive it is in the
 * database, so that it can be terminated at any instant; between two steps, and only there, it does what the page asks for.
 */
import { Database, type DurabilityName, HoldfastError, type Run, type Storage } from "holdfast";
import { type PerfTrace, trace } from "holdfast/trace";
import { begin, MODE, RUN, type Standing, standing, startOver, takeStep } from "../agent/agent";
import { linkedError, type Port, serve } from "../inspector/link";
import { Meter } from "../inspector/meter";
import { Probe } from "../inspector/probe";
import { serveProbe } from "../inspector/source";
import type { Commands, Kind, News, Place } from "./protocol";

/** A worker that was terminated lets go of its lock a moment later. */
const LOCKED_RETRY_MS = 100;
const LOCKED_RETRIES = 40;
const EXPORT_BEGINS = new TextEncoder().encode("HLFDCKP1");

interface Open {
  readonly db: Database;
  run: Run;
  probe: Probe;
  readonly meter: Meter;
  readonly changed: () => void;
}

let open: Open | undefined;
/** What was filled, and is to be opened next. */
let filled: { readonly name: string; readonly db: Database } | undefined;
let paceMs = 0;
/** The loop that goes on; another one that wakes from its pause ends. */
let current: symbol | undefined;
/** The step that is being made, or what else must not run beside one. */
let busy: Promise<unknown> = Promise.resolve();
/** Commits that have been measured, and the modes that steps were made in, until the two are brought together. */
const measured: PerfTrace[] = [];
const modes = new Map<number, DurabilityName>();

/** Only the storage that is used is loaded. */
async function storageOf({ kind, name }: Place): Promise<Storage> {
  if (kind === "opfs") return (await import("holdfast/adapters/opfs")).opfs(name);
  return (await import("holdfast/adapters/indexeddb")).indexedDb(name);
}

/** The names of all the places of that kind that the sandbox has made. */
async function namesOf(kind: Kind): Promise<string[]> {
  const names: string[] = [];
  if (kind === "opfs") {
    const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle("holdfast");
    for await (const name of folder.keys()) names.push(name);
  } else {
    for (const { name } of await indexedDB.databases()) names.push(name ?? "");
  }
  return names.filter((name) => name === `sandbox-${kind}` || name.startsWith(`sandbox-${kind}-`));
}

async function remove({ kind, name }: Place): Promise<void> {
  if (kind === "opfs") await (await import("holdfast/adapters/opfs")).removeOpfs(name);
  else await (await import("holdfast/adapters/indexeddb")).removeIndexedDb(name);
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function opened(): Open {
  if (open === undefined) throw new Error("The worker has no database open.");
  return open;
}

const optionsOf = async (place: Place) => ({
  storage: await storageOf(place),
  trace: trace({ onCommit: (each) => measured.push(each) }),
});

/** Opens what is there; waits for a while for whoever has it. */
async function openPatiently(place: Place): Promise<Database> {
  for (let tries = 0; ; tries++) {
    try {
      return await Database.open(await optionsOf(place));
    } catch (error) {
      if (!HoldfastError.is(error, "LOCKED") || tries === LOCKED_RETRIES) throw error;
      if (tries === 0) tell({ waiting: true });
      await pause(LOCKED_RETRY_MS);
    }
  }
}

/** @throws what is wrong with the bytes; then nothing is left of the place */
async function fill(place: Place, bytes: Uint8Array): Promise<Database> {
  if (!EXPORT_BEGINS.every((byte, index) => bytes[index] === byte)) throw new Error("This is no exported run.");
  try {
    const db = await Database.import([bytes], await optionsOf(place));
    if (db.runs.get(RUN) !== undefined) return db;
    await db.close();
    throw new Error(`There is no run “${RUN}” in this file.`);
  } catch (error) {
    await remove(place);
    throw error;
  }
}

/** Hands out what was filled, if it is of that place; what is of another one is let go of. */
async function takeFilled(place?: Place): Promise<Database | undefined> {
  const was = filled;
  filled = undefined;
  if (was === undefined || was.name === place?.name) return was?.db;
  await was.db.close();
  return undefined;
}

async function letGo(): Promise<void> {
  current = undefined;
  const was = open;
  open = undefined;
  was?.probe.dispose();
  await was?.db.close();
  measured.length = 0;
  modes.clear();
}

/** Says what is new to whoever looks. */
function changed(): Standing {
  const { db, run, probe, meter, changed } = opened();
  for (const each of measured.splice(0)) {
    meter.add(modes.get(each.version) ?? db.durability.mode, each);
    modes.delete(each.version);
  }
  probe.note();
  changed();
  const now = standing(db, run);
  tell({ standing: now });
  return now;
}

async function step(): Promise<boolean> {
  const { db, run } = opened();
  const { mode } = standing(db, run);
  const isMore = await takeStep(db, run);
  modes.set(run.version, mode);
  // Measures come once the turn of the commit is over.
  await pause(0);
  changed();
  return isMore;
}

/** One step after another, each followed by a pause, until it is told to stop or there is none left. */
async function loop(self: symbol): Promise<void> {
  try {
    while (await alone(() => current === self && step())) await pause(paceMs);
  } catch (error) {
    tell({ failed: linkedError(error) });
  }
  if (current === self) current = undefined;
}

/** Does something after the step that is being made, and before the next. */
function alone<T>(work: () => T | Promise<T>): Promise<T> {
  const done = busy.then(work);
  busy = done.catch(() => {});
  return done;
}

function start(): void {
  if (current !== undefined) return;
  current = Symbol("loop");
  void loop(current);
}

type Handlers = { [N in keyof Commands]: (given: Commands[N]["takes"]) => Promise<Commands[N]["returns"]> };

const HANDLERS: Handlers = {
  open: ({ place, paceMs: ms, port }) =>
    alone(async () => {
      paceMs = ms;
      const db = (await takeFilled(place)) ?? (await openPatiently(place));
      await letGo();
      const run = begin(db);
      const meter = new Meter();
      const probe = new Probe(db, RUN, { meter });
      port.start();
      open = { db, run, probe, meter, changed: serveProbe(port, probe) };
      const now = changed();
      if (now.status === "active") start();
      return { storage: db.storageInfo, standing: now };
    }),
  go: () =>
    alone(() => {
      const { db } = opened();
      if (db.runs.get(RUN)?.status === "paused") db.runs.resume(RUN);
      start();
      return changed();
    }),
  pause: () =>
    alone(() => {
      current = undefined;
      const { db } = opened();
      if (db.runs.get(RUN)?.status === "active") db.runs.pause(RUN);
      return changed();
    }),
  async pace({ ms }) {
    paceMs = ms;
  },
  mode: ({ mode }) =>
    alone(() => {
      opened().run.state.set(MODE, mode);
      return changed();
    }),
  startOver: () =>
    alone(() => {
      current = undefined;
      const now = opened();
      now.probe.dispose();
      now.run = startOver(now.db);
      return changed();
    }),
  export: () =>
    alone(async () => {
      const pieces: Uint8Array[] = [];
      for await (const piece of opened().db.export({ runs: [RUN] })) pieces.push(piece);
      return pieces;
    }),
  fill: ({ place, bytes }) =>
    alone(async () => {
      await takeFilled();
      filled = { name: place.name, db: await fill(place, bytes) };
    }),
  // Never beside an import, whose place is another one, too.
  tidy: ({ place: { kind, name } }) =>
    alone(async () => {
      for (const other of await namesOf(kind)) {
        // One that somebody else has open yet is removed at a later start.
        if (other !== name) await remove({ kind, name: other }).catch(() => {});
      }
    }),
};

const tell: (news: News) => void = serve(self as unknown as Port, (name, given) =>
  HANDLERS[name as keyof Commands](given),
);
