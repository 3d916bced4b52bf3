/**
 * Where long rows of histories start on a runtime: on servers with its settings as the first argument and one line of JSON for
 * each history; in a browser as `window.holdfastHistories`, which posts the same lines to the server that the page came from.
 */
import { Crew, type Ground, inMemory, onFiles, terminatesForSure } from "../histories/ground.js";
import { addTally, emptyTally, Fault, type FaultKind, followHistory, type Tally } from "../histories/history.js";
import { startWorker } from "./hire.js";
import { detectRuntime } from "./mounts.js";

export interface HistoriesSettings {
  readonly firstSeed: number;
  /** From one seed to the next: 0 repeats the first. */
  readonly step: number;
  /** How many at most, and for how long; the one under way is brought to its end. */
  readonly count: number;
  readonly msMax: number;
  readonly transactions: number;
  /** One in so many is one with workers that are terminated. */
  readonly killsEvery: number;
  /** A directory for logs, of which every second history has one; without it all are in memory. */
  readonly root: string | undefined;
}

/** What goes out: what one history has come to, or what was wrong with it; and that it is over. */
export type HistoryLine =
  | { readonly seed: number; readonly tally: Tally }
  | { readonly seed: number; readonly kind: FaultKind; readonly failed: string }
  | { readonly done: true };

declare global {
  var holdfastHistories: ((settings: HistoriesSettings) => Promise<void>) | undefined;
}

const WORKERS_MAX = 8;
const KILLS_MAX = 2;
const SEGMENT_BYTES = [16 * 1024, 256 * 1024, 64 * 1024 * 1024];

/** By its seed alone, so that one history can be repeated. */
function groundOf(seed: number, root: string | undefined): Ground {
  const runtime = detectRuntime();
  if (root === undefined || seed % 2 === 0) return inMemory(runtime);
  return onFiles(runtime, `${root}/${seed}`, SEGMENT_BYTES[seed % SEGMENT_BYTES.length] as number);
}

async function followAll(
  { firstSeed, step, count, msMax, transactions, killsEvery, root }: HistoriesSettings,
  report: (line: HistoryLine) => void | Promise<void>,
): Promise<void> {
  const until = performance.now() + msMax;
  const crew = new Crew(startWorker, terminatesForSure(detectRuntime()));
  try {
    for (let done = 0; done < count && performance.now() < until; done++) {
      const seed = firstSeed + step * done;
      const hasKills = Math.floor(seed / 2) % killsEvery === killsEvery - 1;
      const shape = { seed, transactions, workersMax: WORKERS_MAX, killsMax: hasKills ? KILLS_MAX : 0 };
      const tally = emptyTally();
      try {
        addTally(tally, await followHistory(groundOf(seed, root), crew, shape));
        await report({ seed, tally });
      } catch (error) {
        const kind = error instanceof Fault ? error.kind : "untyped";
        await report({ seed, kind, failed: error instanceof Error ? error.message : String(error) });
      }
    }
  } finally {
    await crew.close();
  }
  await report({ done: true });
}

if (detectRuntime() === "browser") {
  globalThis.holdfastHistories = (settings) =>
    followAll(settings, async (line) => {
      await fetch("/report", { method: "POST", body: JSON.stringify(line) });
    });
} else {
  await followAll(JSON.parse(process.argv[2] ?? "{}") as HistoriesSettings, (line) =>
    console.log(JSON.stringify(line)),
  );
}
