/**
 * The contract suites in browsers: Chromium and Firefox.
 *
 * The compiled suites are bundled as an application would bundle the package, served with the headers that isolate a
 * page (so that it may share memory), and opened in a browser with a profile of its own. Reload cases run twice: over a
 * reload of the page, and over a browser that is closed and started again on the same profile.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "../../scripts/steps.mjs";
import { bundle, launch, serve } from "../support/browsers.mjs";
import { Collector } from "./collect.mjs";

const ENTRY = join(ROOT, "build/runtimes/test/runtimes/entry.js");
/** A site for each browser, so that two of them can be tested at once. */
const siteOf = (runtime) => join(ROOT, "build/browser", runtime);
const SILENCE_MS_MAX = 30_000;
/** Longer than any phase: what hangs is found by its silence. */
const CALL_MS_MAX = 1_800_000;

/** One browser on one profile, with one page; what it complains of goes to `collector`. */
async function openPage({ runtime, executablePath, profile, url, collector }) {
  const browser = await launch(runtime, { executablePath, profile, callMsMax: CALL_MS_MAX });
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

async function runAll(place, collector) {
  const open = () => openPage({ ...place, collector });
  const phase = (browser, name, variant, failedBefore = []) =>
    runPhase(browser, collector, { phase: name, variant, failedBefore });

  // A browser of their own for each: thousands of databases are opened, and the memory of those that were closed goes when
  // the browser comes to it.
  for (const where of ["page", "worker"]) {
    const alone = await open();
    try {
      await runPhase(alone, collector, { phase: "cases", variant: "", failedBefore: [], where });
    } finally {
      await alone.close();
    }
  }
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

/** Runs all suites in the browser of that name at `executablePath`. @returns the outcomes */
export async function runInBrowser(runtime, executablePath) {
  const collector = new Collector(runtime);
  const profile = mkdtempSync(join(tmpdir(), `holdfast-${runtime}-`));
  let server;
  try {
    await bundle(ENTRY, siteOf(runtime));
    server = await serve(siteOf(runtime), (_path, line) => collector.line(line));
    await runAll({ runtime, executablePath, profile, url: server.url }, collector);
  } catch (error) {
    collector.fail(error.message);
  } finally {
    server?.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
  return collector.outcomes;
}
