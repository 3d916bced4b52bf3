/**
 * Where a runtime starts. On servers: reads its settings from the first argument and writes one line of JSON per event.
 * In a browser: offers the same to the driver as `window.holdfastRun`, which streams through `window.holdfastReport`.
 */
import { detectRuntime } from "./mounts.js";
import { runSuites, type Settings } from "./runner.js";

declare global {
  var holdfastRun: ((settings: Settings) => Promise<string[]>) | undefined;
  var holdfastReport: ((line: string) => Promise<void>) | undefined;
}

const KEEP_ALIVE_MS = 60_000;

if (detectRuntime() === "browser") {
  globalThis.holdfastRun = (settings) =>
    runSuites(settings, (line) => globalThis.holdfastReport?.(JSON.stringify(line)));
} else {
  const settings = JSON.parse(process.argv[2] ?? "{}") as Settings;
  // Phase one waits to be killed, so that what is open then is open when it dies. In all other phases the process must
  // end by itself: whatever keeps it alive after the last case is a leak.
  if (settings.phase === "before") setTimeout(() => process.exit(1), KEEP_ALIVE_MS);
  await runSuites(settings, (line) => console.log(JSON.stringify(line)));
}
