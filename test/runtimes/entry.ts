/**
 * Where a runtime starts. On servers: reads its settings from the first argument and writes one line of JSON per event.
 * In a browser: offers the same to the driver as `window.holdfastRun`, which posts its lines to the server that the page came
 * from, since some browsers are slow to tell their drivers; what belongs into a worker is run in one, after the page's own.
 */
import { detectRuntime } from "./mounts.js";
import { type Line, runSuites, type Settings } from "./runner.js";

declare global {
  var holdfastRun: ((settings: Settings) => Promise<string[]>) | undefined;
  /** Kept, so that what a first phase has left open there stays open. */
  var holdfastWorker: Worker | undefined;
}

const KEEP_ALIVE_MS = 60_000;

/**
 * Each in a worker of its own. A worker is slow to collect the memory of databases that were closed, and where that is shared it
 * may come to it too late for hundreds of cases in a row to find address space: the end of the worker gives it back.
 */
const SHARED_PARTS = 6;
const WORKER_PARTS = [
  { shared: false },
  ...Array.from({ length: SHARED_PARTS }, (_, index) => ({ shared: true, part: { index, of: SHARED_PARTS } })),
];

if (detectRuntime() === "browser") {
  globalThis.holdfastRun = async (settings) => {
    let held = "";
    const report = async (line: Line): Promise<void> => {
      held += `${JSON.stringify(line)}\n`;
      // Nothing happens between the end of a case and what begins next: one request tells both.
      if ("ok" in line && line.ok) return;
      const body = held;
      held = "";
      await fetch("/report", { method: "POST", body });
    };
    const quiet = (line: Line): void | Promise<void> => ("done" in line ? undefined : report(line));
    const failed: string[] = [];
    if (settings.where !== "worker") failed.push(...(await runSuites(settings, quiet)));
    if (settings.where !== "page") {
      const parts = settings.phase === "cases" ? WORKER_PARTS : [{}];
      for (const part of parts) failed.push(...(await runInWorker({ ...settings, ...part }, quiet)));
    }
    await report({ done: true });
    return failed;
  };
} else {
  const settings = JSON.parse(process.argv[2] ?? "{}") as Settings;
  // Phase one waits to be killed, so that what is open then is open when it dies. In all other phases the process must
  // end by itself: whatever keeps it alive after the last case is a leak.
  if (settings.phase === "before") setTimeout(() => process.exit(1), KEEP_ALIVE_MS);
  await runSuites(settings, (line) => console.log(JSON.stringify(line)));
}

function runInWorker(settings: Settings, report: (line: Line) => void | Promise<void>): Promise<string[]> {
  globalThis.holdfastWorker?.terminate();
  const worker = new Worker(new URL("./worker-entry.js", import.meta.url), { type: "module" });
  globalThis.holdfastWorker = worker;
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }: MessageEvent<{ line: Line } | { failed: string[] } | { died: string }>) => {
      if ("line" in data) void report(data.line);
      else if ("failed" in data) resolve(data.failed);
      else reject(new Error(data.died));
    };
    worker.onerror = (event) => reject(new Error(`the worker failed: ${event.message}`));
    worker.postMessage(settings);
  });
}
