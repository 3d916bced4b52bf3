/**
 * Runs contract suites one case after another and reports every outcome as it comes.
 *
 * - a case that does not end within its time has failed, and the next one runs;
 * - a case has a place and a context of its own; what it left open is closed after it, and a failure to close is a
 *   failure of the case;
 * - phase one of a reload case leaves everything as it is: whoever runs it takes the ground from under it.
 */
import type { DurableObjectStorageLike } from "../../src/adapters/durable-object.js";
import { Database } from "../../src/index.js";
import { openAttached } from "../contract/attached.js";
import type { Case, Context, OpenOptions, ReloadCase } from "../contract/context.js";
import { startWorker } from "./hire.js";
import { detectRuntime, isInWorker, type Mount, mountsOf } from "./mounts.js";
import { OF_NO_STORAGE, type Suite, suites } from "./suites.js";

const CASE_TIMEOUT_MS = 25_000;

/** The outcome of one case. */
export interface Outcome {
  readonly suite: string;
  readonly storage: string;
  readonly name: string;
  /** What the case was given in its storage; how a driver tells phase two which first phases have failed. */
  readonly place: string;
  readonly ok: boolean;
  readonly skipped?: boolean;
  readonly error?: string;
  readonly ms: number;
}

/** What goes out line by line: a case begins, a case is over, all of them are. */
export type Line = { readonly running: string } | Outcome | { readonly done: true };

export interface Settings {
  /** `cases` runs all ordinary cases; `before` and `after` the phases of the reload cases. */
  readonly phase: "cases" | "before" | "after";
  /** In a browser: runs only what is for the page, or only what is for a worker. */
  readonly where?: "page" | "worker";
  /** Only what is over shared memory, or only what is not. */
  readonly shared?: boolean;
  /** Only each so-manieth case, from one on. */
  readonly part?: { readonly index: number; readonly of: number };
  /** Only what begins so: the storage, and behind a slash the suite. */
  readonly only?: string;
  /** Names the way in which the ground is taken away; part of the place and of the reported name. */
  readonly variant: string;
  /** The core, where the package cannot find its own. */
  readonly wasm?: WebAssembly.Module;
  /** The storage of the Durable Object that this runs in, if it does. */
  readonly object?: DurableObjectStorageLike;
  /** The directory for files; empty in a browser. */
  readonly root: string;
  /** Places whose first phase has failed: the second one would only fail for the same reason. */
  readonly failedBefore: readonly string[];
}

interface Job {
  readonly suite: string;
  readonly mount: Mount;
  readonly place: string;
  readonly name: string;
  readonly skipped: boolean;
  /** Whether success is worth a line: the first phase of two is not. */
  readonly counts: boolean;
  readonly closes: boolean;
  readonly msMax: number;
  readonly wasm: WebAssembly.Module | undefined;
  readonly object: DurableObjectStorageLike | undefined;
  readonly work: (context: Context) => Promise<void> | void;
}

/** Runs what `settings` ask for. @returns the places of the jobs that failed */
export async function runSuites(settings: Settings, report: (line: Line) => void | Promise<void>): Promise<string[]> {
  const failed: string[] = [];
  const mounts = await mountsOf(detectRuntime(), settings.root, settings.object);
  const { shared: ofKind, only = "", part = { index: 0, of: 1 } } = settings;
  for (const mount of mounts.filter(({ shared }) => shared === (ofKind ?? shared))) {
    const wanted = suites.filter(
      (suite) => isWanted(suite, mount, mounts) && `${mount.name}/${suite.name}`.startsWith(only),
    );
    const jobs = wanted.flatMap((suite) => jobsOf(suite, mount, settings));
    for (const job of jobs.filter((_, index) => index % part.of === part.index)) {
      await report({ running: `${job.suite} / ${mount.name} / ${job.name}` });
      const outcome = await runJob(job);
      if (!outcome.ok) failed.push(job.place);
      if (!outcome.ok || job.counts) await report(outcome);
    }
  }
  await report({ done: true });
  return failed;
}

/** What is about opening, checkpoints and how it ends is not about who is attached to it. */
const OF_THE_OWNER = new Set(["golden", "durability", "portable"]);

/**
 * Whether what knows no storage sees nothing in a mount that it does not see in another one: on servers it is run over files and over
 * shared memory; in a browser over memory of both kinds and IndexedDB in a page, over files in a worker, and there attached to where those
 * are shared.
 */
function isTwin({ kind, shared, attached }: Mount, mounts: readonly Mount[]): boolean {
  if (mounts.some((other) => other.kind === "files")) return shared === (kind === "files");
  if (kind === "memory") return false;
  if (isInWorker()) return attached ? kind === "indexeddb" : shared;
  return !attached && (kind === "opfs" || shared);
}

function isWanted({ opens, shares, name }: Suite, mount: Mount, mounts: readonly Mount[]): boolean {
  if (OF_NO_STORAGE.has(name) && isTwin(mount, mounts)) return false;
  if (mount.attached) return opens && !shares && !OF_THE_OWNER.has(name);
  return mount.shared ? opens : !shares;
}

function jobsOf(suite: Suite, mount: Mount, settings: Settings): Job[] {
  if (settings.phase === "cases")
    return (suite.cases?.() ?? []).map((item, i) => jobOfCase(suite.name, mount, item, i, settings));
  if (!mount.capabilities.persistent) return [];
  return (suite.reloadCases?.() ?? [])
    .map((item, i) => jobOfPhase(suite.name, mount, item, i, settings))
    .filter((job) => !settings.failedBefore.includes(job.place));
}

function jobOfCase(suite: string, mount: Mount, item: Case, index: number, settings: Settings): Job {
  return {
    suite,
    mount,
    place: placeOf(suite, mount, index),
    name: item.name,
    skipped: item.needs?.(mount.capabilities) === false,
    counts: true,
    closes: true,
    msMax: item.msMax ?? CASE_TIMEOUT_MS,
    wasm: settings.wasm,
    object: settings.object,
    work: (context) => item.run(context),
  };
}

function jobOfPhase(suite: string, mount: Mount, item: ReloadCase, index: number, settings: Settings): Job {
  const first = settings.phase === "before";
  return {
    suite,
    mount,
    place: placeOf(`${suite} ${settings.variant}`, mount, index),
    name: `${item.name} (${settings.variant})`,
    skipped: item.needs?.(mount.capabilities) === false,
    counts: !first,
    closes: !first,
    msMax: CASE_TIMEOUT_MS,
    wasm: settings.wasm,
    object: settings.object,
    work: (context) => (first ? item.before(context) : item.after(context)),
  };
}

function placeOf(name: string, mount: Mount, index: number): string {
  return `${name}${mount.attached ? " attached" : mount.shared ? " shared" : ""}-${index}`.replaceAll(" ", "-");
}

async function runJob(job: Job): Promise<Outcome> {
  const about = { suite: job.suite, storage: job.mount.name, name: job.name, place: job.place };
  if (job.skipped) return { ...about, ok: true, skipped: true, ms: 0 };
  const start = performance.now();
  const opened: Database[] = [];
  const context = contextOf(job, opened);
  let error: string | undefined;
  try {
    await withinTime(job.msMax, async () => job.work(context));
  } catch (thrown) {
    error = describe(thrown);
  }
  if (job.closes) {
    try {
      await withinTime(CASE_TIMEOUT_MS, async () => {
        for (const database of opened.reverse()) await database.close();
      });
    } catch (thrown) {
      error ??= `closing after the case: ${describe(thrown)}`;
    }
  }
  const ms = Math.round(performance.now() - start);
  return error === undefined ? { ...about, ok: true, ms } : { ...about, ok: false, error, ms };
}

function contextOf(job: Job, opened: Database[]): Context {
  const { mount, place, wasm, object } = job;
  let last: { database: Database; options: OpenOptions } | undefined;
  const open = async (options: OpenOptions) => {
    const whole = { storage: mount.storage(place), shared: mount.shared, wasm, ...options };
    const database = mount.attached ? await openAttached(whole, opened) : await Database.open(whole);
    if (!mount.attached) opened.push(database);
    last = { database, options };
    return database;
  };
  return {
    runtime: detectRuntime(),
    storageKind: mount.kind,
    capabilities: mount.capabilities,
    isWrittenElsewhere: mount.isApart,
    storage: () => mount.storage(place),
    path: mount.path(place),
    wasm,
    object,
    startWorker,
    open: (options = {}) => open(options),
    reopen: async (options = {}) => {
      await last?.database.close();
      const beside = last === undefined ? undefined : opened[opened.indexOf(last.database) - 1];
      if (mount.attached) await beside?.close();
      return open({ ...last?.options, ...options });
    },
  };
}

/** A case that never ends keeps running in the background: the timeout frees those behind it, not what it holds. */
async function withinTime(msMax: number, work: () => Promise<void>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not over after ${msMax} ms`)), msMax);
  });
  try {
    await Promise.race([work(), timeout]);
  } finally {
    clearTimeout(timer);
  }
}

/** V8 repeats the message in the stack, JavaScriptCore does not, and neither has the code. */
function describe(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  const code = "code" in thrown ? ` [${thrown.code}]` : "";
  const frames = (thrown.stack ?? "").split("\n").filter((line) => /^\s+at |@/.test(line));
  return [`${thrown.name}${code}: ${thrown.message}`, ...frames].join("\n");
}
