/**
 * The contract suites in browsers: Chromium and Firefox.
 *
 * The compiled suites are bundled as an application would bundle the package, served with the headers that isolate a
 * page (so that it may share memory), and opened in a browser with a profile of its own. Reload cases run twice: over a
 * reload of the page, and over a browser that is closed and started again on the same profile.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { ROOT } from "../../scripts/steps.mjs";
import { Collector } from "./collect.mjs";

const ENTRY = join(ROOT, "build/runtimes/test/runtimes/entry.js");
export const PUPPETEER = join(ROOT, "test/runtimes/node_modules/puppeteer-core/lib/esm/puppeteer/puppeteer-core.js");
/** A site for each browser, so that two of them can be tested at once. */
const siteOf = (runtime) => join(ROOT, "build/browser", runtime);
const SILENCE_MS_MAX = 30_000;
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
/** Longer than any phase: what hangs is found by its silence. */
const PROTOCOL_MS_MAX = 1_800_000;
const ISOLATION = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};
const PAGE = `<!doctype html>
<meta charset="utf-8">
<title>Holdfast conformance</title>
<link rel="icon" href="data:,">
<script type="module" src="./entry.js"></script>
`;

async function bundle(site) {
  const { build } = await import("vite");
  await build({
    root: ROOT,
    base: "./",
    configFile: false,
    logLevel: "error",
    publicDir: false,
    build: {
      outDir: site,
      emptyOutDir: true,
      target: "es2022",
      minify: false,
      assetsInlineLimit: 0,
      modulePreload: false,
      rollupOptions: { input: { entry: ENTRY }, output: { entryFileNames: "[name].js" } },
    },
    worker: { format: "es" },
  });
  writeFileSync(join(site, "index.html"), PAGE);
}

/** Takes the lines that the page posts. */
function reportTo(collector) {
  const take = (request, response) => {
    let text = "";
    request.setEncoding("utf8").on("data", (chunk) => {
      text += chunk;
    });
    request.on("end", () => {
      collector.line(text);
      response.writeHead(204).end();
    });
  };
  return { name: "report", configurePreviewServer: (server) => void server.middlewares.use("/report", take) };
}

async function serve(site, collector) {
  const { preview } = await import("vite");
  const server = await preview({
    root: ROOT,
    configFile: false,
    logLevel: "error",
    plugins: [reportTo(collector)],
    build: { outDir: site },
    preview: { host: "127.0.0.1", port: 0, strictPort: true, headers: ISOLATION },
  });
  return { url: `http://127.0.0.1:${server.httpServer.address().port}/`, close: () => server.close() };
}

/** Chromium on one profile, driven by Playwright, which does not bring a browser of its own here. */
async function launchChromium({ executablePath, profile }) {
  const { chromium } = await import("playwright");
  const browser = await chromium.launchPersistentContext(profile, { executablePath, headless: true, args: FLAGS });
  return { page: browser.pages()[0] ?? (await browser.newPage()), close: () => browser.close() };
}

/** Firefox on one profile, driven by Puppeteer: Playwright needs a Firefox that was built for it. */
async function launchFirefox({ executablePath, profile }) {
  const { launch } = await import(pathToFileURL(PUPPETEER));
  const browser = await launch({
    browser: "firefox",
    executablePath,
    userDataDir: profile,
    headless: true,
    protocolTimeout: PROTOCOL_MS_MAX,
  });
  return { page: await browser.newPage(), close: () => browser.close() };
}

const LAUNCH = { chromium: launchChromium, firefox: launchFirefox };

/** One browser on one profile, with one page; what it complains of goes to `collector`. */
async function openPage({ runtime, executablePath, profile, url, collector }) {
  const { page, close } = await LAUNCH[runtime]({ executablePath, profile });
  page.on("pageerror", (error) => collector.fail(`uncaught in the page: ${error.stack ?? error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error") collector.noise += `console: ${message.text()}\n`;
  });
  await page.goto(url);
  return { page, close };
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
    await page.waitForFunction(() => globalThis.holdfastRun !== undefined);
    return await Promise.race([page.evaluate((it) => globalThis.holdfastRun(it), { root: "", ...settings }), silence]);
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
    await bundle(siteOf(runtime));
    server = await serve(siteOf(runtime), collector);
    await runAll({ runtime, executablePath, profile, url: server.url }, collector);
  } catch (error) {
    collector.fail(error.message);
  } finally {
    await server?.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
  return collector.outcomes;
}
