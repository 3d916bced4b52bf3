/**
 * The contract suites in browsers: Chromium and Firefox.
 *
 * The compiled suites are bundled as an application would bundle the package, served with the headers that isolate a
 * page (so that it may share memory; in Chromium without them where no memory is shared), and opened in a browser with a
 * profile of its own. Reload cases run twice: over a
 * reload of the page, and over a browser that is closed and started again on the same profile.
 */
import { mkdtempSync, rmSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "../../scripts/steps.mjs";
import { bundle, launch, serve } from "../support/browsers.mjs";
import { Collector } from "./collect.mjs";

const ENTRY = join(ROOT, "build/runtimes/test/runtimes/entry.js");
const SITE = join(ROOT, "build/browser");
const SILENCE_MS_MAX = 120_000;
const MEMORY_FOLDER = "/dev/shm";
/** More than all profiles at a time have ever taken. */
const PROFILE_BYTES_MAX = 4 * 1024 ** 3;
/** Longer than any phase: what hangs is found by its silence. */
const CALL_MS_MAX = 1_800_000;

/**
 * Where profiles lie: in memory, if there is enough. What a contract says does not depend on how fast a disk is; what outlives
 * killed browsers is tested on real ones, elsewhere.
 */
function profileParent() {
  try {
    const { bavail, bsize } = statfsSync(MEMORY_FOLDER);
    return bavail * bsize >= PROFILE_BYTES_MAX ? MEMORY_FOLDER : tmpdir();
  } catch {
    return tmpdir();
  }
}

/** One browser on one profile, with one page; what it complains of goes to `collector`. */
async function openPage({ runtime, executablePath, profile, url, collector }) {
  const browser = await launch(runtime, { executablePath, profile, callMsMax: CALL_MS_MAX, hearsRequests: false });
  try {
    const page = await browser.newPage();
    page.onError((error) => collector.fail(`uncaught in the page: ${error.stack ?? error.message}`));
    page.onConsole((type, text) => {
      if (type === "error") collector.noise += `console: ${text}\n`;
    });
    await page.open(url, "holdfastRun");
    return { page, close: () => browser.close() };
  } catch (error) {
    await browser.close();
    throw error;
  }
}

/** Runs one phase in the page. A page that falls silent is given up: its browser is closed. */
async function runPhase({ page, close }, collector, settings) {
  let watchdog;
  const silence = new Promise((_, reject) => {
    collector.onLine = () => {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => reject(new Error(`nothing for ${SILENCE_MS_MAX} ms`)), SILENCE_MS_MAX);
    };
    collector.onLine();
  });
  try {
    return await Promise.race([page.call({ root: "", ...settings }), silence]);
  } catch (error) {
    await close();
    throw error;
  } finally {
    clearTimeout(watchdog);
    collector.onLine = undefined;
  }
}

/** All ordinary cases of one kind. */
async function runCases(place, kind, collector) {
  const alone = await openPage({ ...place, collector });
  try {
    await runPhase(alone, collector, { phase: "cases", variant: "", failedBefore: [], ...kind });
  } finally {
    await alone.close();
  }
}

/** What is there after the ground was taken away, in the page and in a worker. */
async function runReloads(place, collector) {
  const open = () => openPage({ ...place, collector });
  const phase = (browser, name, variant, failedBefore = []) =>
    runPhase(browser, collector, { phase: name, variant, failedBefore });
  let browser = await open();
  try {
    const failedBeforeReload = await phase(browser, "before", "after a reload");
    await browser.page.reload();
    await phase(browser, "after", "after a reload", failedBeforeReload);
    const failedBeforeRestart = await phase(browser, "before", "in a new browser");
    await browser.close();
    browser = await open();
    await phase(browser, "after", "in a new browser", failedBeforeRestart);
  } finally {
    await browser.close();
  }
}

/** Where a page is opened without isolation if it shares no memory; elsewhere all of them are isolated. */
const NOT_ISOLATED = ["chromium"];

/**
 * What is run side by side, longest first; a browser of its own for each: thousands of databases are opened, and the memory of
 * those that were closed goes when the browser comes to it.
 */
export const BROWSER_PARTS = [
  {
    name: "page, shared memory",
    run: (place, collector) => runCases(place, { where: "page", shared: true }, collector),
  },
  { name: "workers", run: (place, collector) => runCases(place, { where: "worker" }, collector) },
  {
    name: "page",
    run: (place, collector) => runCases(place, { where: "page", shared: false }, collector),
    notIsolatedIn: NOT_ISOLATED,
  },
  { name: "reloads", run: runReloads },
];

/** Bundles what the pages load, once for all browsers. */
export async function bundlePages() {
  await bundle(ENTRY, SITE);
}

/** What a part is called in the browser of that name. */
export function titleOf(runtime, { name, notIsolatedIn = [] }) {
  return `${runtime}, ${name}${notIsolatedIn.includes(runtime) ? ", not isolated" : ""}`;
}

/** Runs one part of the suites, with the pages bundled, in the browser of that name. @returns the outcomes */
export async function runInBrowser({ runtime, executablePath }, part) {
  const isolated = !part.notIsolatedIn?.includes(runtime);
  const collector = new Collector(isolated ? runtime : `${runtime}, not isolated`);
  const profile = mkdtempSync(join(profileParent(), `holdfast-${runtime}-`));
  let server;
  try {
    const hear = (_path, lines) => {
      for (const line of lines.trimEnd().split("\n")) collector.line(line);
    };
    server = await serve(SITE, hear, { isolated });
    await part.run({ runtime, executablePath, profile, url: server.url }, collector);
  } catch (error) {
    collector.fail(error.message);
  } finally {
    server?.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
  return collector.outcomes;
}
