/**
 * What everything that runs in Chromium and Firefox needs: a page that is bundled as an application would bundle the package,
 * a server for it that takes what the page posts, and a browser on a profile of the caller's.
 *
 * What it keeps true: the page is isolated, so that it may share memory; no browser is downloaded; one driver for both, because
 * only it can drive a Firefox that was not built for it.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { ROOT } from "../../scripts/steps.mjs";

const PUPPETEER = join(ROOT, "test/runtimes/node_modules/puppeteer-core/lib/esm/puppeteer/puppeteer-core.js");
const HEADERS = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };
const TYPES = { ".js": "text/javascript", ".wasm": "application/wasm", ".html": "text/html" };
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

/** Serves a bundled folder; `onPost(path, body)` takes what the page posts. @returns its URL, and what ends it */
export async function serve(site, onPost = () => {}) {
  const server = createServer((request, response) => {
    const path = new URL(request.url, "http://localhost").pathname;
    if (request.method === "POST") {
      bodyOf(request, (body) => {
        onPost(path, body);
        response.writeHead(204, HEADERS).end();
      });
      return;
    }
    const file = path === "/" ? "index.html" : path.slice(1);
    try {
      const content = readFileSync(join(site, file));
      response.writeHead(200, { ...HEADERS, "Content-Type": TYPES[extname(file)] ?? "application/octet-stream" });
      response.end(content);
    } catch {
      response.writeHead(404, HEADERS).end();
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

/** Starts `"chromium"` or `"firefox"` on a profile; a call into a page may take `callMsMax`. */
export async function launch(name, { executablePath, profile, callMsMax }) {
  const { launch: start } = await import(pathToFileURL(PUPPETEER));
  return start({
    browser: name === "firefox" ? "firefox" : "chrome",
    executablePath,
    userDataDir: profile,
    headless: true,
    args: name === "firefox" ? [] : CHROMIUM_FLAGS,
    protocolTimeout: callMsMax,
  });
}
