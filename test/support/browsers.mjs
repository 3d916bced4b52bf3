/**
 * What everything that runs in Chromium and Firefox needs: a page that is bundled as an application would bundle the package,
 * a server for it that takes what the page posts, and a browser on a profile of the caller's.
 *
 * What it keeps true: the page is isolated, so that it may share memory, unless it is asked for without; no browser is downloaded; which library drives which
 * browser is known here alone. Playwright drives Chromium, and puppeteer-core Firefox, where Playwright needs one that was built
 * for it.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { ROOT } from "../../scripts/steps.mjs";

const PUPPETEER = join(ROOT, "test/runtimes/node_modules/puppeteer-core/lib/esm/puppeteer/puppeteer-core.js");
const ISOLATING = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };
const TYPES = { ".js": "text/javascript", ".css": "text/css", ".wasm": "application/wasm", ".html": "text/html" };
const CHROMIUM_FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const PAGE = `<!doctype html><meta charset="utf-8"><title>Holdfast</title><link rel="icon" href="data:,">
<script type="module" src="/page.js"></script>`;

/** Bundles a module and what it imports into a folder, with a page that runs it. */
export async function bundle(entry, site) {
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
      rollupOptions: { input: { page: entry }, output: { entryFileNames: "[name].js" } },
    },
    worker: { format: "es" },
  });
  writeFileSync(join(site, "index.html"), PAGE);
}

function bodyOf(request, then) {
  let body = "";
  request.setEncoding("utf8").on("data", (chunk) => {
    body += chunk;
  });
  request.on("end", () => then(body));
}

/**
 * Serves a bundled folder, with headers of the caller's beside those that isolate; `onPost(path, body)` takes what the page posts,
 * `onSent(file, content)` is told what it was given.
 * @returns its URL, and what ends it
 */
export async function serve(
  site,
  onPost = () => {},
  { isolated = true, headers: further = {}, onSent = () => {} } = {},
) {
  const headers = { ...(isolated ? ISOLATING : {}), ...further };
  const server = createServer((request, response) => {
    const path = new URL(request.url, "http://localhost").pathname;
    if (request.method === "POST") {
      bodyOf(request, (body) => {
        onPost(path, body);
        response.writeHead(204, headers).end();
      });
      return;
    }
    const file = path === "/" ? "index.html" : path.slice(1);
    try {
      const content = readFileSync(join(site, file));
      onSent(file, content);
      response.writeHead(200, { ...headers, "Content-Type": TYPES[extname(file)] ?? "application/octet-stream" });
      response.end(content);
    } catch {
      response.writeHead(404, headers).end();
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Throws where `work` takes longer than it may. */
export function within(msMax, work, what = "a call into the page") {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not end within ${msMax} ms`)), msMax);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

/** A page, driven by no more than what both libraries call alike: among that, a function in it gets one argument. */
class Page {
  #driven;
  #callMsMax;
  #name;

  /** @param devtools opens a session of Chromium's own protocol, which Firefox has not */
  constructor(driven, callMsMax, devtools) {
    this.#driven = driven;
    this.#callMsMax = callMsMax;
    this.devtools = devtools;
  }

  /** Goes to an address, and waits until `globalThis[name]` is there: the function by which the page is told what to do. */
  async open(url, name) {
    this.#name = name;
    await this.#driven.goto(url);
    await this.#ready();
  }

  async reload() {
    await this.#driven.reload();
    await this.#ready();
  }

  #ready() {
    return this.#driven.waitForFunction(`globalThis.${this.#name} !== undefined`);
  }

  /** Has the page do something. @returns what comes of it */
  call(...args) {
    const work = ([name, given]) => globalThis[name](...given);
    return within(this.#callMsMax, this.#driven.evaluate(work, [this.#name, args]));
  }

  /** Has the page begin something whose end is not waited for. */
  begin(...args) {
    const work = ([name, given]) => {
      globalThis[name](...given).catch(() => {});
    };
    return within(this.#callMsMax, this.#driven.evaluate(work, [this.#name, args]));
  }

  /** Calls `heard(error)` for every error that nothing in the page has caught. */
  onError(heard) {
    this.#driven.on("pageerror", heard);
  }

  /** Calls `heard(type, text)` for every line on the console. */
  onConsole(heard) {
    this.#driven.on("console", (message) => heard(message.type(), message.text()));
  }

  async close() {
    await this.#driven.close();
  }
}

async function launchChromium({ executablePath, profile, callMsMax }) {
  const { chromium } = await import("playwright");
  const context = await chromium.launchPersistentContext(profile, {
    executablePath,
    headless: true,
    args: CHROMIUM_FLAGS,
  });
  const browser = context.browser();
  const devtools = await browser.newBrowserCDPSession();
  const { processInfo } = await devtools.send("SystemInfo.getProcessInfo");
  const pageOf = async (window) => {
    const driven = await window.newPage();
    return new Page(driven, callMsMax, () => window.newCDPSession(driven));
  };
  return {
    version: `Chromium ${browser.version()}`,
    pid: processInfo.find(({ type }) => type === "browser").id,
    newPage: () => pageOf(context),
    openPrivate: async () => {
      const window = await browser.newContext();
      return { newPage: () => pageOf(window), close: () => window.close() };
    },
    close: () => context.close(),
  };
}

async function launchFirefox({ executablePath, profile, callMsMax, hearsRequests = true }) {
  const { launch: start } = await import(pathToFileURL(PUPPETEER));
  const browser = await start({
    browser: "firefox",
    executablePath,
    userDataDir: profile,
    headless: true,
    protocolTimeout: callMsMax,
    networkEnabled: hearsRequests,
  });
  const pageOf = async (window) => new Page(await window.newPage(), callMsMax);
  return {
    version: await browser.version(),
    pid: browser.process().pid,
    newPage: () => pageOf(browser),
    openPrivate: async () => {
      const window = await browser.createBrowserContext();
      return { newPage: () => pageOf(window), close: () => window.close() };
    },
    close: () => browser.close(),
  };
}

const LAUNCH = { chromium: launchChromium, firefox: launchFirefox };

/**
 * Starts `"chromium"` or `"firefox"` on a profile; a call into a page may take `callMsMax`. With `hearsRequests: false` Firefox
 * does not tell its driver what pages request, which takes it longer than the requests.
 *
 * @returns `version`; `pid`, the browser's main process, for who wants to kill it; `newPage()`, a {@link Page}; `openPrivate()`, a
 * window that keeps nothing, with `newPage()` and `close()`; `close()`
 */
export function launch(name, options) {
  return LAUNCH[name](options);
}
